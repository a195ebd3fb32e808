"""The command `target-switchtransact`: settings, and the way from the SDK's command line to the loader."""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from singer_sdk import Target
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities

from tap_switchtransact import TapSwitchTransact
from trunkline import sdk, signals
from trunkline.doors.failures import exit_with_one_line
from trunkline.errors import ConfigInvalid
from trunkline.facts import common, text
from trunkline.facts import config as settings
from trunkline.redact import redactor
from trunkline.steps.fetch import network
from trunkline.steps.fetch.governor import Governor, Limit
from trunkline_loader.paths import why_no_file
from trunkline_loader.target import LineReader
from trunkline_switchtransact.client import Account, WritingClient
from trunkline_switchtransact.ledger import LOCK_WAIT, Ledger
from trunkline_switchtransact.loader import Loader
from trunkline_switchtransact.orders import Orders, Preview
from trunkline_switchtransact.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests.adapters import BaseAdapter

_COMMON = common()


class TargetSwitchTransact(sdk.ConfigFiles, Target):
    """Singer target for SwitchTransact: creates contacts and logs calls, each record once.

    Args:
        config: The settings.
        transport: Responds in place of the network, for tests.
        clock: Seconds since 1970.
        lock_wait: Seconds to wait for another process to let go of the ledger.
        kwargs: What the SDK's `Target` takes.
    """

    name = "target-switchtransact"
    package_name = "trunkline"
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["api_key"],
        "properties": {
            "api_url": TapSwitchTransact.settings["api_url"],
            "api_key": TapSwitchTransact.settings["api_key"],
            "dry_run": {
                "type": "boolean",
                "default": False,
                "description": "Check every record and show what would be sent, personal data masked; send nothing, "
                "note nothing, pass on no state.",
            },
            "ledger": text(
                "Path of the SQLite file that remembers what was written, relative to the working folder; made, with "
                "its folder, if it is missing. Keep it: without it everything that comes again is written again.",
                default="switchtransact-ledger.sqlite",
            ),
            "in_doubt": text(
                "Handling of a record that may or may not be written, if no look-up shows which: stop so that a "
                "person decides, resend it (it may be there twice), or skip it (it may be missing).",
                enum=["stop", "resend", "skip"],
                default="stop",
            ),
            "timezone": text(
                "IANA time zone of the times that are written; a time that comes without a zone is taken to be in it.",
                format="zone",
                default="UTC",
            ),
            "concurrency": {
                **_COMMON["concurrency"],
                "description": "Requests in flight at most; the records of one phone number keep their order.",
            },
            "requests_per_minute": {
                **_COMMON["requests_per_minute"],
                "description": "Replaces the vendor's documented limit; shared by all requests of the target.",
            },
            **{name: _COMMON[name] for name in ("request_timeout", "max_attempts", "ca_bundle", "user_agent")},
        },
    }

    def __init__(
        self,
        *,
        transport: BaseAdapter | None = None,
        clock: Callable[[], float] = time.time,
        lock_wait: float = LOCK_WAIT,
        **kwargs: Any,
    ) -> None:
        self._transport, self._clock, self._lock_wait = transport, clock, lock_wait
        super().__init__(**kwargs)
        self.message_reader = LineReader(self._listen)

    # -- settings ------------------------------------------------------------------------------------------------------

    @property
    def _env_var_config(self) -> dict[str, Any]:
        return settings.from_environment(self._settings(), f"{self.name.upper().replace('-', '_')}_")

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check every setting, and report all that are wrong at once."""
        properties = self._settings()
        self._config = {name: value for name, value in self._config.items() if value is not None}
        if self._config.get("api_key"):
            redactor.add([str(self._config["api_key"])])
        found = [
            # The sentence is the taps'.
            line.replace("is no setting of this tap", "is no setting of this target")
            for line in settings.errors(self._config, self.config_jsonschema, "TARGET_SWITCHTRANSACT_")
        ]
        fits = not any(line.startswith("ledger ") for line in found)
        if fits and (reason := why_no_file(self._config.get("ledger", "x"))):
            found.append(f"ledger {reason}")
        for name, spec in properties.items():
            if "default" in spec:
                self._config.setdefault(name, copy.deepcopy(spec["default"]))
        if not any(line.startswith(("api_url ", "ca_bundle ")) for line in found):
            found += network.problems(self._config["api_url"], self._config.get("ca_bundle"))
        if found and raise_errors:
            raise ConfigInvalid(found)
        return found

    def _settings(self) -> dict[str, Any]:
        self.append_builtin_config(self.config_jsonschema)
        properties: dict[str, Any] = self.config_jsonschema["properties"]
        return properties

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the settings of stream maps alone: the SDK's own target settings act on its sinks, which are not used."""
        super(Target, cls).append_builtin_config(config_jsonschema)

    def _setup_signal_handlers(self) -> None:
        """Leave signals alone until a run begins: the SDK's handler exits with 0 in the middle of anything."""

    # -- a run ---------------------------------------------------------------------------------------------------------

    def run(self, source: IO[str] | None = None) -> int:
        """Write the whole input.

        Args:
            source: Where Singer messages come from; None is standard input.

        Returns:
            The exit code: 0 when every record is written, 128 and the number after a signal, else 1.

        Raises:
            LedgerError: The ledger can't be used.
        """
        config = self.config
        ledger = Ledger(
            Path(config["ledger"]),
            api_url=config["api_url"],
            api_key=config["api_key"],
            read_only=config["dry_run"],
            lock_wait=self._lock_wait,
            clock=self._clock,
        )
        try:
            ledger.open()
            if ledger.key_changed:
                self.logger.warning(
                    "api_key is another one than the ledger's last. If it is for another account, stop and set ledger "
                    "to a path of its own: this one has nothing about that account"
                )
            orders = Preview(ledger) if config["dry_run"] else self._orders(ledger)
            zone = ZoneInfo(config["timezone"])
            return Loader(ledger, orders, mapper=self.mapper, zone=zone, logger=self.logger).run(source)
        finally:
            ledger.close()

    def _orders(self, ledger: Ledger) -> Orders:
        config, per_minute = self.config, self.config.get("requests_per_minute")
        client = WritingClient(
            Account(config["api_key"]),
            api_url=config["api_url"],
            timeout=float(config["request_timeout"]),
            max_attempts=int(config["max_attempts"]),
            user_agent=config.get("user_agent") or f"trunkline/{self.get_plugin_version()} ({self.name})",
            ca_bundle=config.get("ca_bundle"),
            pool_size=int(config["concurrency"]),
            governor=Governor(
                Limit.per_minute(per_minute) if per_minute else TapSwitchTransact.limit, logger=self.logger
            ),
            transport=self._transport,
            logger=self.logger,
        )
        sender = Sender(
            client,
            policy=config["in_doubt"],
            again=ledger.again,
            cancelled=threading.Event(),
            log=self.logger.warning,
            clock=self._clock,
        )
        return Orders(ledger, sender, int(config["concurrency"]))

    def _listen(self, source: IO[str] | None) -> Counter[str]:
        """Write the whole input, for those who call `listen`.

        Raises:
            SystemExit: Not every record was written.
        """
        code = self.run(source)
        if code:
            raise SystemExit(code)
        return Counter()

    # -- the command ---------------------------------------------------------------------------------------------------

    cli = sdk.command_line

    @classmethod
    def invoke(  # type: ignore[override] # as the SDK's, whose names are its command line's
        cls, *, about: bool = False, about_format: str | None = None, config: Any = None, file_input: Any = None
    ) -> None:
        """Run the command; what fails is one line on standard error, never a traceback."""
        if about:
            cls.print_about(about_format)
            return
        cls.print_version(print_fn=cls.logger.info)
        with exit_with_one_line(cls.logger):
            target = cls(config=config.config if config else {}, parse_env_config=bool(config and config.parse_env))
            signals.leave(target.run(file_input))

    def process_endofpipe(self) -> None:
        """Do nothing: there are no SDK sinks to drain."""
