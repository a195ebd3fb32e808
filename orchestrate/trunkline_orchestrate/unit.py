"""The unit of work: tap and target for one source, span and campaign; done once, kept in a state file of its own.

A unit that is done is not run again. One that was cut off is run again as a whole: it has no bookmark of its own to go
on from, and keys make what was loaded before harmless. No orchestrator is needed, and none is known here.

    <folder>/<source>/backfill.json        what the units belong to, and where the plan ends
    <folder>/<source>/units/<key>.json     a unit that is done
    <folder>/<source>/logs/<key>.*.log     logs of tap and target
    <folder>/<source>/state.json           where the plain runs stand
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

from trunkline import instants
from trunkline_orchestrate import pipe, plan
from trunkline_orchestrate.errors import Busy, SettingsInvalid, UnitFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from trunkline_orchestrate.plan import Unit
    from trunkline_orchestrate.sources import Settings, Source, Target

_COMPLETE = re.compile(r"\b\w+: complete, (\d+) rows")


@dataclass(frozen=True)
class Result:
    """The result of a unit or a plain run.

    Attributes:
        rows: That the tap wrote; None when its log does not show it.
        seconds: That it took.
        state: The state that the target confirmed.
        started: When it began, in UTC.
        ran: False when it had been done before.
    """

    rows: int | None
    seconds: float
    state: dict[str, Any]
    started: datetime
    ran: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the result as a state file has it."""
        return {
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "started": instants.to_iso(self.started),
            "state": self.state,
        }


def planned(settings: Settings, name: str, now: datetime | None = None) -> list[Unit]:
    """Return the units of a source; where the plan ends is written down, so that a later call plans the same ones.

    Args:
        settings: The backfill.
        name: The source's name.
        now: The present moment; the clock's when left out.

    Raises:
        SettingsInvalid: The folder belongs to a backfill of something else, or the span can't be read.
    """
    from trunkline_orchestrate import sources

    source = settings.source(name)
    now = now or datetime.now(timezone.utc)
    path = settings.folder / name / "backfill.json"
    mark = sources.fingerprint(source, settings.target)
    kept = read(path) or {}
    if kept.get("fingerprint", mark) != mark:
        raise SettingsInvalid(
            f"source {name} can't go on in {settings.folder / name}",
            "what is there was read with other settings of the tap, or loaded into another target",
            "Name another folder, or remove that one to read everything again",
        )
    if source.until is None and kept.get("until"):
        now = instants.from_iso(kept["until"])
    units = plan.units(source, now)
    until = instants.to_iso(units[-1].until) if units[-1].until else None
    store(path, {"fingerprint": mark, "until": until})
    return units


def run(settings: Settings, unit: Unit, *, timeout: float | None = None, again: bool = False) -> Result:
    """Run tap and target for one unit, unless it is done.

    Args:
        settings: The backfill.
        unit: One of `planned`.
        timeout: Seconds it may take.
        again: Run it also when it is done.

    Raises:
        UnitFailed: The tap or the target did not end well; both are ended, and the unit is still to be done.
        Busy: Another process is at this unit.
        SettingsInvalid: A program is missing.
    """
    source = settings.source(unit.source)
    folder = settings.folder / source.name
    path = folder / "units" / f"{unit.key}.json"
    done = None if again else finished(settings, unit)
    if done:
        return done
    with locked(folder / "units" / f"{unit.key}.lock", f"unit {unit}") as lock:
        done = None if again else finished(settings, unit)  # by the process that held the lock
        if done:
            return done
        config = unit_config(source, unit)
        with _first(settings, source):
            result = _through(source, settings.target, config, folder, unit.key, str(unit), lock, timeout)
        store(path, {"unit": unit.to_json(), **result.to_json()})
    return result


@contextlib.contextmanager
def _first(settings: Settings, source: Source) -> Iterator[None]:
    """Let a vendor's units run one at a time until one is done: several at once would all make the same tables."""
    folders = [settings.folder / one.name / "units" for one in settings.sources.values() if one.tap is source.tap]

    def made() -> bool:
        return any(path for folder in folders for path in folder.glob("*.json"))

    with contextlib.ExitStack() as stack:
        if not made():
            stack.enter_context(locked(settings.folder / f"first-{source.tap.vendor}.lock", "", wait=True))
            if made():
                stack.close()
        yield


def finished(settings: Settings, unit: Unit) -> Result | None:
    """Return the result of a unit that is done; None when it is not."""
    kept = read(settings.folder / unit.source / "units" / f"{unit.key}.json")
    if kept is None:
        return None
    started = instants.from_iso(kept["started"])
    return Result(kept["rows"], kept["seconds"], kept["state"], started, ran=False)


def plain(settings: Settings, name: str, *, until: datetime | None = None, timeout: float | None = None) -> Result:
    """Run tap and target from the source's bookmark on, and keep where they came to.

    Args:
        settings: With the source.
        name: Its name.
        until: Read up to here (exclusive); None: to now.
        timeout: Seconds it may take.

    Raises:
        UnitFailed: It did not end well. What the target confirmed before is kept.
        Busy: Another plain run of the source is going on.
    """
    source = settings.source(name)
    folder = settings.folder / name
    config = dict(source.config)
    config.pop("end_date", None)
    if source.dated and source.since:
        config.setdefault("start_date", instants.to_iso(source.since))
    if source.dated and until:
        config["end_date"] = instants.to_iso(until)
    with locked(folder / "plain.lock", f"a plain run of {name}") as lock:
        return _through(source, settings.target, config, folder, "plain", f"{name}, plain run", lock, timeout)


def check(source: Source) -> None:
    """Send the vendor one request for as little as possible: wrong credentials must not be sent once for every unit.

    Raises:
        UnitFailed: The vendor can't be read; with the tap's reason.
    """
    with pipe.handed() as files:
        config = files.written("tap.json", _started(source, dict(source.config)))
        line = [pipe.command(source.tap.name), "--config", config, "--test"]
        done = pipe.run_short(line, environment=_environment(source), keep=files.open)
    if done.code:
        raise UnitFailed(f"source {source.name} can't be read", done.log, "Correct its settings; nothing was started")


def unit_config(source: Source, unit: Unit) -> dict[str, Any]:
    """Return the tap's settings for one unit."""
    config = dict(source.config)
    if unit.since and unit.until:
        config |= {"start_date": instants.to_iso(unit.since), "end_date": instants.to_iso(unit.until)}
    if unit.partition and source.partitions:
        config[source.partitions[0]] = [unit.partition]
    if config.get("requests_per_minute") and source.limit > 1:
        config["requests_per_minute"] = plan.share(config["requests_per_minute"], source.limit)
    return config


def _started(source: Source, config: dict[str, Any]) -> dict[str, Any]:
    if source.dated and source.since:
        config.setdefault("start_date", instants.to_iso(source.since))
    return config


def _through(  # noqa: PLR0913, PLR0917 - what the two callers differ in
    source: Source,
    target: Target,
    config: dict[str, Any],
    folder: Path,
    key: str,
    what: str,
    lock: IO[bytes],
    timeout: float | None,
) -> Result:
    """Run tap and target; a plain run begins at its state file and keeps what was confirmed, well ended or not."""
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    tap_log, target_log = logs / f"{key}.tap.log", logs / f"{key}.target.log"
    goes_on = key == "plain"
    state_file = folder / "state.json"
    started, heard = datetime.now(timezone.utc), tap_log.stat().st_size if tap_log.exists() else 0
    before = (read(state_file) or {}) if goes_on else {}
    with pipe.handed() as files:
        tap = [pipe.command(source.tap.name), "--config", files.written("tap.json", config)]
        if before:
            tap += ["--state", files.written("state.json", before)]
        line = _target_line(target.of(source), files)
        ended = pipe.run(
            tap,
            line,
            tap_log=tap_log,
            target_log=target_log,
            environment=_environment(source),
            timeout=timeout,
            keep=[lock.fileno(), *files.open],
        )
    if goes_on and ended.state:
        store(state_file, ended.state)
    pipe.judge(ended, what, tap_log, target_log)
    rows = _rows(tap_log, heard)
    if rows and source.dated and ended.state is None:
        why = f"the target confirmed no state, though the tap wrote {rows} rows"
        raise UnitFailed(f"{what} can't be counted as done", why, "Use a target that prints the state it got")
    return Result(rows, ended.seconds, ended.state or before, started)


def _target_line(target: Target, files: pipe.Handed) -> list[str]:
    first, *rest = target.command
    line = [pipe.command(first), *rest]
    return [*line, "--config", files.written("target.json", target.config)] if target.config is not None else line


def _environment(source: Source) -> dict[str, str]:
    """Return the caller's variables without the tap's settings (they are in its file), with a log that names rows."""
    prefix = f"{source.tap.name.upper().replace('-', '_')}_"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
    return {**kept, f"{prefix}LOGLEVEL": "INFO"}


def _rows(log: Path, begin: int) -> int | None:
    """Return the rows that a tap logs as written, from a place in its log on; None when it logs none."""
    with log.open("rb") as file:
        file.seek(begin)
        found = _COMPLETE.findall(file.read().decode(errors="replace"))
    return sum(map(int, found)) if found else None


# -- files -------------------------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Any] | None:
    """Read a state file; None when there is none.

    Raises:
        SettingsInvalid: It can't be read.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or "it holds no JSON"
        raise SettingsInvalid(f"{path} can't be read", why, "Remove it: what it describes is then read again") from None
    return value if isinstance(value, dict) else None


def store(path: Path, value: Mapping[str, Any]) -> None:
    """Write a state file as a whole or not at all, also when the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with pipe.open_private(beside, os.O_TRUNC) as file:
        file.write(json.dumps(value, indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


@contextlib.contextmanager
def locked(path: Path, what: str, *, wait: bool = False) -> Iterator[IO[bytes]]:
    """Let one process at a time do something; a process that inherits the open file holds the lock too.

    So tap and target hold their unit's as long as either runs, also when their caller was killed.

    Raises:
        Busy: Another one has it, and this one is not to wait for it.
    """
    import fcntl  # not on Windows: there nothing here runs, and the import fails first

    path.parent.mkdir(parents=True, exist_ok=True)
    with pipe.open_private(path, os.O_APPEND) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            why = "another process is at it; after a kill, the tap and target that it had started"
            raise Busy(f"{what} can't be started", why, "Wait for it, or end it, and try again") from None
        yield file


def named(units: Sequence[Unit], key: str) -> Unit:
    """Return the unit with this key.

    Raises:
        SettingsInvalid: There is none.
    """
    for unit in units:
        if unit.key == key:
            return unit
    raise SettingsInvalid(f"there is no unit {key!r}", "the plan has others", "List them with the command `plan`")
