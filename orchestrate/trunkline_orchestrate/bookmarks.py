"""Bookmarks that the units of a backfill have proven together, set where the plain runs look for them.

Of each stream, or campaign, the bookmark is the latest one of its units, up to the first unit that is not done: what
lies behind a bookmark is never read again. Two more things could leave rows behind it, and are seen to:

* A unit that was read before all its rows could have come (by the vendor's lookback) holds the bookmark back to the
  moment it was read, so that the next run's lookback reaches what may have come since.
* A backfill that begins after the place where the plain runs would go on leaves a gap: an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.steps import bookmark
from trunkline.steps import plan as steps
from trunkline_orchestrate import pipe, plan, unit
from trunkline_orchestrate.errors import Gap, SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from trunkline_orchestrate.plan import Unit
    from trunkline_orchestrate.sources import Settings, Source
    from trunkline_orchestrate.unit import Result

Place = tuple[str, str]
"""A stream, and its partition's context as JSON; empty without one."""

_KEY, _VALUE = "replication_key", "replication_key_value"


@dataclass(frozen=True)
class Mark:
    """A bookmark: the replication key it counts by, and its instant."""

    key: str
    at: datetime


def proven(source: Source, units: Sequence[Unit], results: Mapping[str, Result]) -> dict[Place, Mark]:
    """Return the bookmarks that the units of a source have proven together.

    Args:
        source: The source.
        units: Its plan, in order of time within each campaign.
        results: Of the units that are done, by key.
    """
    found: dict[Place, Mark] = {}
    for campaign in dict.fromkeys(one.partition for one in units):
        done = []
        for one in units:
            if one.partition == campaign:
                if one.key not in results:
                    break
                done.append((one, results[one.key]))
        found.update(_latest(done, source))
    return found


def _latest(done: Iterable[tuple[Unit, Result]], source: Source) -> dict[Place, Mark]:
    latest: dict[Place, Mark] = {}
    cap: datetime | None = None
    for one, result in done:
        for place, mark in marks(result.state).items():
            if place not in latest or mark.at > latest[place].at:
                latest[place] = mark
        if not plan.settled(one, result.started, source.lookback):
            cap = min(cap or result.started, result.started)
    return {place: Mark(mark.key, min(mark.at, cap or mark.at)) for place, mark in latest.items()}


def marks(state: Mapping[str, Any]) -> dict[Place, Mark]:
    """Return the bookmarks of a state."""
    found = {}
    for stream, entry in state.get("bookmarks", {}).items():
        for part in entry.get("partitions") or [entry]:
            if part.get(_VALUE):
                context = json.dumps(part["context"], sort_keys=True) if part.get("context") else ""
                found[stream, context] = Mark(part[_KEY], instants.from_iso(part[_VALUE]))
    return found


def advanced(source: Source, state: Mapping[str, Any], proved: Mapping[Place, Mark], now: datetime) -> dict[str, Any]:
    """Return a state moved on to what was proven, in the SDK's form; never back.

    Args:
        source: The source.
        state: Where the plain runs stand; empty when there was none.
        proved: What `proven` found.
        now: The present moment.

    Raises:
        Gap: The backfill begins after the place where the next plain run would.
        StateInvalid: The state is another tap's, or another account's.
    """
    made: dict[str, Any] = json.loads(json.dumps(bookmark.check(dict(state)) or {}))
    account = bookmark.account(source.config, source.tap.account_settings)
    streams = [stream.name for stream in source.tap.stream_types]  # type: ignore[misc]
    bookmark.claim(made, account, streams, moved=bool(source.config.get("new_account")))
    there = marks(made)
    for place, mark in proved.items():
        old = there.get(place)
        _joins(source, place, old.at if old else None, now)
        context = json.loads(place[1]) if place[1] else None
        one = bookmark.Bookmark(made, place[0], mark.key, context=context, run_start=now, account=account)
        one.advance(mark.at)
    return made


def _joins(source: Source, place: Place, old: datetime | None, now: datetime) -> None:
    text = source.config.get("start_date")
    start = steps.start(
        bookmark=old,
        start_date=instants.from_iso(text) if text else None,
        lookback=source.lookback,
        run_start=now,
    )
    if start.at is not None and source.since is not None and source.since > start.at:
        raise Gap(
            f"the bookmark of {source.name}, {place[0]}, can't be set",
            f"the next plain run would begin at {instants.to_iso(start.at)} ({start.why}), the backfill began only at "
            f"{instants.to_iso(source.since)}, and what lies between would never be read",
            "Begin the backfill there, or set start_date to where the backfill began",
        )


# -- where the plain runs look for it ----------------------------------------------------------------------------------


def set_file(settings: Settings, name: str, now: datetime | None = None) -> dict[str, Any]:
    """Move a source's state file on to what its backfill has proven.

    Returns:
        The state as it is now.

    Raises:
        Gap: See `advanced`.
        Busy: A plain run of the source is going on.
    """
    source, folder = settings.source(name), settings.folder / name
    proved = _proved(settings, name)
    with unit.locked(folder / "plain.lock", f"setting the bookmark of {name}"):
        path = folder / "state.json"
        state = advanced(source, unit.read(path) or {}, proved, now or datetime.now(timezone.utc))
        unit.store(path, state)
    return state


def set_meltano(settings: Settings, name: str, state_id: str, meltano: Sequence[str], project: Path) -> dict[str, Any]:
    """Move a state that Meltano keeps on to what a source's backfill has proven. No run with this id may go on.

    Args:
        settings: The backfill.
        name: The source's name.
        state_id: Meltano's, such as `prod:tap-evolux-to-target-postgres`.
        meltano: The command, with its options (`--environment=prod`).
        project: The folder with meltano.yml.

    Returns:
        The state as it is now.

    Raises:
        Gap: See `advanced`.
        SettingsInvalid: Meltano refuses.
    """
    kept = _meltano([*meltano, "state", "get", state_id], project).strip()
    try:
        old = json.loads(kept) if kept else {}
    except ValueError:
        raise SettingsInvalid(f"the state {state_id} can't be read", "Meltano printed no JSON", "Look with `meltano "
                              "state get`") from None  # fmt: skip
    source = settings.source(name)
    state = advanced(source, old, _proved(settings, name), datetime.now(timezone.utc))
    _meltano([*meltano, "state", "set", "--force", state_id, json.dumps({"singer_state": state})], project)
    return state


def _proved(settings: Settings, name: str) -> dict[Place, Mark]:
    units = unit.planned(settings, name)
    found = {one.key: unit.finished(settings, one) for one in units}
    return proven(settings.source(name), units, {key: result for key, result in found.items() if result})


def _meltano(line: Sequence[str], project: Path) -> str:
    done = pipe.run_short(line, folder=project)
    if done.code:
        raise SettingsInvalid(f"{' '.join(line[:-1])} failed", done.log, "Check the project's folder and the id")
    return done.output
