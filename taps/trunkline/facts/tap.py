"""A vendor's tap: its settings, how it signs, how it refuses, and its streams."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, cast

from singer_sdk import Tap
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from trunkline import instants, personal, schemas, sdk
from trunkline.errors import ConfigInvalid
from trunkline.facts import config as settings
from trunkline.facts.refusals import HttpErrors
from trunkline.facts.window_proofs import WindowProofs
from trunkline.redact import redactor
from trunkline.steps import bookmark
from trunkline.steps.fetch import network
from trunkline.steps.fetch.client import Client
from trunkline.steps.fetch.governor import Governor, Limit
from trunkline.steps.fetch.workers import Workers
from trunkline.steps.write import BlockWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from requests.adapters import BaseAdapter
    from singer_sdk.streams import Stream

    from trunkline.facts.config import Rule, Setting
    from trunkline.facts.stream import VendorStream
    from trunkline.sdk import Records
    from trunkline.steps.fetch.exchange import Request


class TapFacts(sdk.ConfigFiles, Tap):
    """A tap for one vendor; the facts stand in the class.

    Args:
        run_start: The moment the run counts as started, aware; now when left out.
        transport: Adapter in place of the network, for tests.
        map_all: Whether stream maps are built for streams that are not selected too.
        kwargs: What the SDK's `Tap` takes.
    """

    package_name = "trunkline"
    message_writer_class = BlockWriter
    capabilities: ClassVar[list[Any]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    vendor: ClassVar[str]
    """Name of the vendor: its folder under schemas/, its page in the docs, its part of the sandbox."""
    settings: ClassVar[Mapping[str, Setting]]
    """The vendor's own settings."""
    common: ClassVar[Mapping[str, Setting]]
    """The settings every tap has, with this vendor's defaults (`trunkline.facts.settings.common`)."""
    rules: ClassVar[Sequence[Rule]] = ()
    """Rules about several settings (`NotBoth`, `InOrder`, `AtLeastOne`)."""
    required: ClassVar[Sequence[str]] = ()
    required_to_start: ClassVar[Sequence[str]] = ()
    """Settings needed only when there is no bookmark to continue from."""
    account_settings: ClassVar[Sequence[str]] = ("api_url",)
    """Settings that distinguish accounts of the vendor: a state keeps them, in clear."""
    limit: ClassVar[Limit | None] = None
    """The documented rate limit."""
    limit_headers: ClassVar[str] = "X-RateLimit"
    """How the vendor's headers about it begin, before `-Remaining` and `-Reset`."""
    stream_types: ClassVar[Sequence[type[VendorStream]]]
    errors: ClassVar[HttpErrors] = HttpErrors()
    """The form of the vendor's refusals in a body (`StatusInBody`, `CodeInBody`, `ErrorInBody`)."""
    denials = 0
    """Refused sign-ins before any success, where many of them lock the user out."""
    hints: ClassVar[Mapping[int, str]] = {}
    """The remedy for a response with an HTTP status."""
    filter_hint: ClassVar[str] = "Report it: the vendor has changed the way it filters"
    """The remedy when the vendor ignored the filter."""

    def __init__(
        self,
        *args: Any,
        run_start: datetime | None = None,
        transport: BaseAdapter | None = None,
        map_all: bool = False,
        **kwargs: Any,
    ) -> None:
        self._map_all = map_all
        self.keep_settings: Callable[[Mapping[str, str]], None] | None = None
        """Keeps settings that the vendor has replaced, where there is a place for them beside `token_store`."""
        self.run_start = run_start or datetime.now(timezone.utc)
        self.transport = transport
        super().__init__(*args, **kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "settings" in cls.__dict__:
            # What a `sign` needs comes with it; the vendor's own word about a setting wins.
            brought: Mapping[str, Setting] = getattr(inspect.getattr_static(cls, "sign"), "settings", {})
            cls.settings = {**cls.settings, **{name: brought[name] for name in brought if name not in cls.settings}}
            needed = (name for name in brought if name != "token_store" and "default" not in cls.settings[name])
            cls.required = tuple(dict.fromkeys((*cls.required, *needed)))
            properties = {**cls.settings, **cls.common}
            cls.config_jsonschema = {"type": "object", "properties": properties, "required": list(cls.required)}
            schemas.beside(cls.vendor, cls.__module__)

    # -- a vendor's own methods -----------------------------------------------------------------

    def sign(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """Return headers with the credentials, and the body to send."""
        raise NotImplementedError

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """Raise if the response is a refusal that its HTTP status does not show, or shows wrongly."""
        self.errors.refuse(self, request, status, body)

    def is_success(self, status: int, body: bytes) -> bool:
        """Return whether this is the response to the request: any 2xx, unless a vendor's body decides otherwise."""
        return self.errors.is_success(status, body)

    def reason(self, body: bytes) -> str:
        """Return the vendor's own words in an error's body."""
        return self.errors.reason(body)

    def hint(self, status: int) -> str:
        """Return the remedy for a response with this status."""
        return self.hints.get(status) or _HINTS.get(status, "")

    def check_config(self, config: Mapping[str, Any]) -> list[str]:
        """Return the errors of a config whose settings are each right for themselves."""
        found = []
        start, end = config.get("start_date"), config.get("end_date")
        if start and end and instants.from_iso(start) >= instants.from_iso(end):
            found.append("end_date must be later than start_date")
        problems = (network.problems(url, config.get("ca_bundle")) for url in self._urls(config).values())
        found += dict.fromkeys(itertools.chain.from_iterable(problems))
        mode = config.get("pii")
        if not config.get("pii_key") and (mode == "hash" or (mode == "drop" and self._has_personal_keys())):
            why = "" if mode == "hash" else ", as a key of this tap is personal and is hashed then"
            found.append(f"pii_key must be set when pii is {mode}{why}: a text that is not blank")
        return found + [line for rule in self.rules for line in rule.problems(config)]

    @classmethod
    def missing_to_start(cls, config: Mapping[str, Any]) -> list[str]:
        """Return the settings that a run without a bookmark needs and the config lacks, a sentence each."""
        properties = {**cls.settings, **cls.common}
        return [
            f"{name} is missing: it must be {settings.must(properties[name])}"
            for name in cls.required_to_start
            if config.get(name) is None
        ]

    @classmethod
    def _has_personal_keys(cls) -> bool:
        facts: list[Any] = list(cls.stream_types)  # as classes: the instances need a config that is right
        return any(cls._has_personal_key(stream) for stream in facts if stream.selected_by_default)

    @classmethod
    def _has_personal_key(cls, stream: Any) -> bool:
        properties = schemas.load(cls.vendor, stream.name)["properties"]
        return any(personal.mark_of(properties[key]) for key in stream.primary_keys)

    def _is_selected(self, stream: str) -> bool:
        """Return whether the catalog that was given selects a stream."""
        entry = self.input_catalog.get_stream(stream) if self.input_catalog else None
        return entry is not None and bool(entry.metadata.resolve_selection()[()])

    # -- streams -----------------------------------------------------------------------------------

    def discover_streams(self) -> Sequence[VendorStream]:
        """Return the vendor's streams, but for those that need a setting which is not set.

        Raises:
            ConfigInvalid: The catalog selects one of these, or one whose key is personal and can't be hashed.
        """
        found, wrong = [], []
        unhashed = self.config.get("pii") == "drop" and not self.config.get("pii_key")
        for stream_type in self.stream_types:
            facts: Any = stream_type  # as a class: the SDK types its names for instances
            name, needs = facts.name, stream_type.needs
            if unhashed and self._is_selected(name) and self._has_personal_key(facts):
                wrong.append(f"pii_key must be set when pii is drop: the catalog selects {name}, whose key is personal")
            if not needs or any(self.config.get(setting) for setting in needs):
                found.append(stream_type(self))
                continue
            if self._is_selected(name):
                wrong.append(f"{' or '.join(needs)} must be set: the catalog selects {name}, which needs it")
            self.logger.info("%s is not offered: it needs %s", name, " or ".join(needs))
        if wrong:
            raise ConfigInvalid(wrong)
        return [*found, WindowProofs(self)]

    @property
    def streams(self) -> dict[str, Stream]:
        """Return the streams by name, the proofs last: `sync_all` writes them once all others were read."""
        found = super().streams
        if WindowProofs.name in found and next(reversed(found)) != WindowProofs.name:
            found[WindowProofs.name] = found.pop(WindowProofs.name)
        return found

    @property
    def proofs(self) -> WindowProofs:
        """The stream of proofs, which a run writes while it reads the others."""
        return cast("WindowProofs", self.streams[WindowProofs.name])

    def is_set(self, setting: str) -> bool:
        """Return whether the user has set a setting, be it to its default."""
        return setting in self._set_by_user

    def setup_mapper(self) -> None:
        """Compile the stream maps; the streams come first, as they complete a catalog that names too little."""
        self.streams  # noqa: B018 - made and kept by this access
        super().setup_mapper()

    def _build_maps(self) -> None:
        super(Tap, self).setup_mapper()
        sdk.register_maps(self, of_all=self._map_all)

    def ordered_streams(self) -> list[VendorStream]:
        """Return the streams in the order the vendor's file names them, and the proofs of what they bring."""
        names = [*(stream_type.name for stream_type in self.stream_types), WindowProofs.name]  # type: ignore[misc]
        return [self.streams[name] for name in names if name in self.streams]  # type: ignore[misc]

    # -- what a run needs --------------------------------------------------------------------------

    @property
    def block_writer(self) -> BlockWriter:
        """The tap's message writer."""
        assert isinstance(self.message_writer, BlockWriter)  # noqa: S101 - it is made from message_writer_class
        return self.message_writer

    def _urls(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Return the base URLs by their settings."""
        properties: Mapping[str, Setting] = self.config_jsonschema["properties"]
        return {
            name: config[name] for name, spec in properties.items() if spec.get("format") == "url" and config.get(name)
        }

    @functools.cached_property
    def client(self) -> Client:
        """The client that sends requests."""
        config, per_minute = self.config, self.config.get("requests_per_minute")
        urls = self._urls(config)
        # Before the first request an error may name the account; from then on a vendor's words may give it away.
        redactor.add(
            str(config[name])
            for name in self.account_settings
            if self.config_jsonschema["properties"][name].get("secret")
        )
        return Client(
            self,
            api_url=urls.pop("api_url"),
            more_urls=urls,
            timeout=float(config["request_timeout"]),
            max_attempts=int(config["max_attempts"]),
            user_agent=config.get("user_agent") or f"trunkline/{self.get_plugin_version()} ({self.name})",
            ca_bundle=config.get("ca_bundle"),
            pool_size=int(config["concurrency"]),
            governor=Governor(
                Limit.per_minute(per_minute) if per_minute else self.limit,
                logger=self.logger,
                headers=self.limit_headers,
            ),
            transport=self.transport,
            logger=self.logger,
        )

    @functools.cached_property
    def workers(self) -> Workers:
        """The threads that send them."""
        return Workers(self.client, int(self.config["concurrency"]))

    def read_records(self, stream: VendorStream, context: Mapping[str, Any] | None) -> Records:
        """Read a stream for its `get_records`: finished records, as dicts."""
        raise NotImplementedError

    def sync_records(self, stream: VendorStream, context: Mapping[str, Any] | None, *, writes: bool) -> Records:
        """Read a stream for its `sync`: the same, each written before it is handed out."""
        raise NotImplementedError

    # -- config and state --------------------------------------------------------------------------

    @functools.cached_property
    def account(self) -> dict[str, str]:
        """The settings that a state keeps of the account it belongs to."""
        return bookmark.account(self.config, self.account_settings)

    @property
    def bookmarks(self) -> dict[str, Any]:
        """The tap's state as it will be written."""
        return cast("dict[str, Any]", self.state)

    @property
    def _env_var_config(self) -> dict[str, Any]:
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        return settings.from_environment(schema["properties"], self._env_prefix())

    @classmethod
    def _env_prefix(cls) -> str:
        return f"{cls.name.upper().replace('-', '_')}_"

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        properties = schema["properties"]
        self._config = {name: value for name, value in self._config.items() if value is not None}
        redactor.add(
            str(self._config[name])
            for name, spec in properties.items()
            if spec.get("secret") and self._config.get(name) and name not in self.account_settings
        )
        found = settings.errors(self._config, schema, self._env_prefix())
        self._set_by_user = frozenset(self._config)
        for name, spec in properties.items():
            if "default" in spec:
                self._config.setdefault(name, copy.deepcopy(spec["default"]))
        # What is wrong by itself can't be compared with anything; the rest can, so that all is reported at once.
        wrong = {line.partition(" ")[0].partition("[")[0] for line in found}
        found += self.check_config({name: value for name, value in self._config.items() if name not in wrong})
        if found and raise_errors:
            raise ConfigInvalid(found)
        return found

    def load_state(self, state: dict[str, Any]) -> None:
        """Take the bookmarks of an earlier run.

        Raises:
            StateInvalid: It is no state of a Singer tap, or one of another tap or account.
        """
        super().load_state(bookmark.check(state))
        if not self.bookmarks.get("bookmarks"):
            return  # discovery takes any config, also one that does not name its account
        moved = bool(self.config.get("new_account"))
        streams = [stream_type.name for stream_type in self.stream_types]  # type: ignore[misc]
        for line in bookmark.claim(self.bookmarks, self.account, streams, moved=moved):
            self.logger.warning(line)
        for line in bookmark.ahead(self.bookmarks, self.run_start):
            self.logger.warning(line)

    def _setup_signal_handlers(self) -> None:
        """Leave signals alone until a run begins: the SDK's handler exits with 0 in the middle of anything."""


_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Check the credentials",
    HTTPStatus.FORBIDDEN: "Check what the credentials are allowed to do",
    HTTPStatus.NOT_FOUND: "Check api_url: the path below it is the vendor's own",
    HTTPStatus.BAD_REQUEST: "Check the settings that narrow what is read",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "It is the proxy's: check HTTPS_PROXY in the environment",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Check the settings that narrow what is read",
}
