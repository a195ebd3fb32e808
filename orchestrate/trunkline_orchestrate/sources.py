"""The settings file of a backfill: sources, target and where states are kept.

    {
      "folder": "output/backfill",
      "since": "2024-01-01",
      "span": "P7D",
      "workers": 4,
      "target": {"command": ["target-postgres"], "config": {"default_target_schema": "tap_{vendor}"}},
      "sources": {"evolux": {"config": {"api_url": "https://example.evolux.net.br"}, "limit": 1}}
    }

A source is one account of a vendor. Vendors are found by the entry point group `trunkline.vendors`, those of other
packages too. Settings of a tap that the file does not have come from the environment (`TAP_EVOLUX_API_TOKEN`), and a
text that is `${NAME}` as a whole is the value of that variable: so no secret has to stand in the file.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.doors.vendors import vendor_taps
from trunkline.errors import ConfigInvalid
from trunkline.facts import config as settings
from trunkline_orchestrate.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trunkline.doors.command import VendorTap

SPAN = "P7D"
"""A unit's span unless the file sets another: long enough that starting two programs for it does not count."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SECRET = re.compile("password|secret|token|key|credential|passwd|private", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/@]*@")
_TOP = {"folder", "since", "until", "span", "workers", "retries", "retry_delay", "target", "sources"}
_OF_SOURCE = {"vendor", "config", "since", "until", "span", "limit"}
_MUST = "Correct the settings file; docs/orchestration.md shows one"


@dataclass(frozen=True)
class Source:
    """One account of a vendor.

    Attributes:
        name: What it is called in the file, in Dagster and in the folder.
        tap: The vendor's tap.
        config: The tap's settings, secrets included: never shown.
        since: Where its history begins, in UTC; None for a vendor without dates.
        until: Where it ends (exclusive); None: at the moment the backfill is first planned.
        span: Of one unit.
        limit: Units of it at once, at most; they share `requests_per_minute`.
    """

    name: str
    tap: type[VendorTap]
    config: Mapping[str, Any] = field(repr=False)
    since: datetime | None = None
    until: datetime | None = None
    span: timedelta = timedelta(days=7)
    limit: int = 1

    @property
    def dated(self) -> bool:
        """Whether the vendor is read span by span; not where full tables and lookups come with each run anyway."""
        return "window" in self.tap.common

    @functools.cached_property
    def tick(self) -> timedelta:
        """The smallest difference that the vendor's filter knows: edges of units lie on whole ticks."""
        # Of the streams as the config makes them: HostedSuite's filter knows only minutes in its American form.
        made = self.tap(config=dict(self.config)).ordered_streams()
        return max([instants.SECOND, *(getattr(stream, "tick", instants.SECOND) for stream in made)])

    @property
    def lookback(self) -> timedelta:
        """How long after the fact the vendor's rows may still come."""
        text = self.config.get("lookback") or self.tap.common.get("lookback", {}).get("default", "PT0S")
        return instants.duration(text)

    @property
    def partitions(self) -> tuple[str, str] | None:
        """The setting that lists the partitions (campaigns), and the name that one has in the state; None without."""
        for stream in self.tap.stream_types:
            keys: Any = stream.state_partitioning_keys
            if isinstance(keys, (list, tuple)) and len(keys) == 1:
                listed = f"{keys[0]}s"
                if self.tap.settings.get(listed, {}).get("type") == "array":
                    return listed, keys[0]
        return None


@dataclass(frozen=True)
class Target:
    """The target that the rows go to.

    Attributes:
        command: The program and its arguments.
        config: Its settings, secrets included: never shown; None when the command needs no config file.
    """

    command: Sequence[str]
    config: Mapping[str, Any] | None = field(default=None, repr=False)

    def of(self, source: Source) -> Target:
        """Return the target of one source: `{source}` and `{vendor}` in its texts are filled in."""
        names = {"{source}": source.name, "{vendor}": source.tap.vendor}
        filled: Target = Target(_replaced(list(self.command), names), _replaced(self.config, names))
        return filled


@dataclass(frozen=True)
class Settings:
    """A backfill.

    Attributes:
        folder: Where states and logs are; every machine that runs units must see the same one.
        target: Where the rows go.
        sources: What is read, by name.
        workers: Units at once on one machine, at most.
        retries: Tries of a unit after its first one.
        retry_delay: Before the first of them; each next one waits twice as long.
    """

    folder: Path
    target: Target
    sources: Mapping[str, Source]
    workers: int = 2
    retries: int = 3
    retry_delay: timedelta = timedelta(seconds=30)

    def source(self, name: str) -> Source:
        """Return a source by its name.

        Raises:
            SettingsInvalid: There is none.
        """
        found = self.sources.get(name)
        if found is None:
            raise SettingsInvalid(f"there is no source {name!r}", f"the settings have {', '.join(self.sources)}")
        return found


def load(path: Path) -> Settings:
    """Read a settings file.

    Args:
        path: JSON in UTF-8; its relative paths are relative to the working folder.

    Raises:
        SettingsInvalid: It can't be read, or something in it can't be.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it holds no JSON"
        raise SettingsInvalid(f"the settings file {path} can't be read", str(why), _MUST) from None
    return of(raw)


def of(raw: Any) -> Settings:
    """Return settings from what the file holds.

    Raises:
        SettingsInvalid: Something in it can't be.
    """
    _known(raw, _TOP, "the settings")
    if not raw.get("sources") or not isinstance(raw["sources"], dict):
        raise SettingsInvalid("the settings name no sources", "`sources` is missing or empty", _MUST)
    target = raw.get("target")
    _known(target, {"command", "config"}, "`target`")
    command = target.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise SettingsInvalid("`target` names no program", "its `command` must be a list of texts", _MUST)
    made = Settings(
        Path(raw.get("folder", "output/backfill")),
        Target(tuple(command), _from_environment(target.get("config"))),
        {name: _source(name, one, raw) for name, one in raw["sources"].items()},
        _count(raw, "workers", 2),
        _count(raw, "retries", 3, least=0),
        _duration(raw.get("retry_delay", "PT30S"), "retry_delay"),
    )
    _one_writer(made)
    return made


def _source(name: str, raw: Any, top: Mapping[str, Any]) -> Source:
    if not _NAME.fullmatch(name):
        raise SettingsInvalid(
            f"a source can't be called {name!r}", "small letters, digits and _, a letter first", _MUST
        )
    _known(raw, _OF_SOURCE, f"source {name}")
    taps = vendor_taps()
    vendor = raw.get("vendor", name)
    if vendor not in taps:
        raise SettingsInvalid(
            f"source {name} can't be read",
            f"there is no vendor {vendor!r} in the entry point group trunkline.vendors",
            f"Name one of {', '.join(taps)}, or install the package that brings it",
        )
    tap = taps[vendor]
    config = _config(name, tap, _from_environment(raw.get("config", {})))
    spans = {key: raw.get(key, top.get(key)) for key in ("since", "until", "span")}
    source = Source(
        name,
        tap,
        config,
        _instant(spans["since"] or config.get("start_date"), f"since of {name}"),
        _instant(spans["until"] or config.get("end_date"), f"until of {name}"),
        _duration(spans["span"] or SPAN, f"span of {name}"),
        _count(raw, "limit", 1),
    )
    if source.limit > 1 and tap.limit and not config.get("requests_per_minute"):
        raise SettingsInvalid(
            f"source {name} can't have {source.limit} units at once",
            f"{tap.name} has a documented limit ({tap.limit}), which a single unit keeps and uses up",
            "Leave limit at 1; or set requests_per_minute in its config, if the account has another limit",
        )
    if source.dated and source.since is None:
        why = "neither the settings nor the source have `since`, and its config has no start_date"
        raise SettingsInvalid(f"source {name} has no beginning", why, "Set since to where its history begins")
    return source


def _config(name: str, tap: type[VendorTap], config: dict[str, Any]) -> dict[str, Any]:
    schema = copy.deepcopy(tap.config_jsonschema)
    tap.append_builtin_config(schema)
    prefix = f"{tap.name.upper().replace('-', '_')}_"
    made = {**settings.from_environment(schema["properties"], prefix), **config}
    dated = "start_date" in tap.common
    required = [one for one in schema.get("required", ()) if not (dated and one == "start_date")]
    wrong = settings.errors(made, {**schema, "required": required}, prefix)
    if wrong:
        raise ConfigInvalid([f"source {name}: {line}" for line in wrong])
    return made


def _one_writer(made: Settings) -> None:
    """Refuse several writers at one DuckDB file: all but one would wait, and give up in the end."""
    if Path(made.target.command[0]).name != "target-duckdb" or made.workers == 1:
        return
    files: dict[str, str] = {}
    for source in made.sources.values():
        path = str((made.target.of(source).config or {}).get("path"))
        if path in files or source.limit > 1:
            raise SettingsInvalid(
                "several units at once can't load into one DuckDB file",
                f"{path} would have more than one writer, and DuckDB lets one process write",
                "Load into PostgreSQL; or set workers to 1; or give each source a file of its own, with {source} in "
                "its path, and limit 1",
            )
        files[path] = source.name


def fingerprint(source: Source, target: Target) -> str:
    """Return a mark of what is read, and where to: a done unit does not outlive its change; credentials may change."""
    schema = source.tap.config_jsonschema["properties"]
    steering = {"start_date", "end_date", "concurrency", "requests_per_minute", "request_timeout", "max_attempts"}
    config = {
        name: value
        for name, value in source.config.items()
        if name not in steering and not schema.get(name, {}).get("secret")
    }
    where = [Path(target.command[0]).name, *target.command[1:], _public(dict(target.of(source).config or {}))]
    text = json.dumps([source.tap.name, config, where], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _public(config: dict[str, Any]) -> dict[str, Any]:
    """Return a foreign target's settings without what may be secret: it does not mark which are."""
    return {
        name: _USER.sub("", value) if isinstance(value, str) else value
        for name, value in config.items()
        if not _SECRET.search(name)
    }


# -- reading the file --------------------------------------------------------------------------------------------------


def _known(raw: Any, names: Iterable[str], what: str) -> None:
    if not isinstance(raw, dict):
        raise SettingsInvalid(f"{what} can't be read", "it must be a JSON object", _MUST)
    unknown = sorted(set(raw) - set(names))
    if unknown:
        raise SettingsInvalid(f"{what} can't have {', '.join(unknown)}", f"it has {', '.join(sorted(names))}", _MUST)


def _instant(text: Any, what: str) -> datetime | None:
    if text is None:
        return None
    try:
        return instants.from_iso(text)
    except (ValueError, TypeError, OverflowError):
        raise SettingsInvalid(f"{what} can't be read", "it must be an ISO 8601 date or date-time", _MUST) from None


def _duration(text: Any, what: str) -> timedelta:
    try:
        span = instants.duration(text)
    except (ValueError, TypeError, OverflowError, ArithmeticError):
        span = timedelta(0)
    if span < instants.SECOND:
        why = "it must be an ISO 8601 duration of at least a second, without months and years: P7D, PT30S"
        raise SettingsInvalid(f"{what} can't be read", why, _MUST)
    return span


def _count(raw: Mapping[str, Any], name: str, default: int, *, least: int = 1) -> int:
    value = raw.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsInvalid(f"{name} can't be used", f"it must be a whole number of at least {least}", _MUST)
    return value


def _from_environment(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _from_environment(one) for name, one in value.items()}
    found = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    if not os.environ.get(found[1]):
        raise SettingsInvalid(
            f"the variable {found[1]} is not set", "the settings file takes a value from it", "Set it"
        )
    return os.environ[found[1]]


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, names) for one in value]
    if isinstance(value, str):
        for name, filled in names.items():
            value = value.replace(name, filled)
    return value
