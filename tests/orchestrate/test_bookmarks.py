"""The bookmark after a backfill: past what is proven, and with nothing unread behind it."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.night import at_night
from tools import meltano_yml
from trunkline_orchestrate import bookmarks, unit
from trunkline_orchestrate.errors import Gap
from trunkline_orchestrate.unit import Result

from trunkline.errors import StateInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_orchestrate.plan import Unit
    from trunkline_orchestrate.sources import Settings, Source

    Make = Callable[..., Settings]
    Config = Callable[[str], dict[str, Any]]

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


def day(number: int, month: int = 1) -> datetime:
    return datetime(2026, month, number, tzinfo=timezone.utc)


def state_of(at: datetime, campaign: str = "") -> dict[str, Any]:
    """A state of one stream, as the SDK writes it."""
    entry: dict[str, Any] = {"replication_key": "at", "replication_key_value": at.isoformat()}
    if campaign:
        entry = {"partitions": [{"context": {"voice_campaign_id": campaign}, **entry}]}
    return {"bookmarks": {"calls": entry}}


def result(at: datetime | None, campaign: str = "", started: datetime = NOW) -> Result:
    return Result(1, 1.0, state_of(at, campaign) if at else {"bookmarks": {}}, started)


def planned(make: Make, config: Config, vendor: str = "bspk", **more: Any) -> tuple[Source, list[Unit]]:
    made = make({vendor: config(vendor)}, **{"span": "P5D", "until": "2026-01-16", **more})
    return made.source(vendor), unit.planned(made, vendor, NOW)


def test_g3_bookmark_stops_before_the_first_unit_that_is_not_done(settings: Make, config: Config) -> None:
    """The bookmark is the latest of the units up to the first that is missing, though later ones are done."""
    source, (first, second, third) = planned(settings, config)
    results = {first.key: result(day(4)), third.key: result(day(14))}
    assert [mark.at for mark in bookmarks.proven(source, [first, second, third], results).values()] == [day(4)]
    results[second.key] = result(None)
    assert [mark.at for mark in bookmarks.proven(source, [first, second, third], results).values()] == [day(14)]
    del results[first.key]
    assert bookmarks.proven(source, [first, second, third], results) == {}


def test_g3_each_campaign_has_its_own_bookmark(settings: Make, config: Config) -> None:
    """A unit of one campaign that is missing holds back that campaign's bookmark and no other."""
    source, units = planned(settings, config, "conpeek")
    one, other = dict.fromkeys(unit.partition for unit in units)
    results = {unit.key: result(unit.until and unit.until - timedelta(hours=1), unit.partition) for unit in units}
    del results[units[1].key]
    found = bookmarks.proven(source, units, results)
    state = bookmarks.advanced(source, {}, found, NOW)
    parts = state["bookmarks"]["calls"]["partitions"]
    assert {part["context"]["voice_campaign_id"]: part["replication_key_value"] for part in parts} == {
        one: "2026-01-05T23:00:00+00:00",
        other: "2026-01-15T23:00:00+00:00",
    }


def test_g1_unit_read_too_early_for_late_rows_holds_the_bookmark_back(settings: Make, config: Config) -> None:
    """A unit read before its rows had all come holds the bookmark back to that moment."""
    source, (first, second, third) = planned(settings, config, "hostedsuite")
    early = first.until + timedelta(days=1) if first.until else NOW  # six days before HostedSuite's lookback is over
    results = {first.key: result(day(5), started=early), second.key: result(day(9)), third.key: result(day(14))}
    assert [mark.at for mark in bookmarks.proven(source, [first, second, third], results).values()] == [early]
    results[first.key] = result(day(5), started=early + timedelta(days=6))
    assert [mark.at for mark in bookmarks.proven(source, [first, second, third], results).values()] == [day(14)]


def test_g3_bookmark_never_moves_back(settings: Make, config: Config) -> None:
    """Where the plain runs are further than the backfill they stay; so do streams that the backfill does not know."""
    source, _ = planned(settings, config)
    old = {"bookmarks": {**state_of(day(20))["bookmarks"], "other": {"replication_key": "at"}}}
    mark = {("calls", ""): bookmarks.Mark("at", day(14))}
    mine = {"account": {"api_url": source.config["api_url"]}}
    old["bookmarks"]["calls"] |= mine
    assert bookmarks.advanced(source, old, mark, NOW) == old
    newer = bookmarks.advanced(source, {"singer_state": state_of(day(3))}, mark, NOW)
    assert newer == {"bookmarks": {"calls": {**state_of(day(14))["bookmarks"]["calls"], **mine}}}


def test_g1_backfill_sets_no_bookmark_of_another_account(settings: Make, config: Config) -> None:
    """What one account's backfill has proven says nothing about the state of another: an error that names both."""
    source, _ = planned(settings, config)
    old = state_of(day(20))
    old["bookmarks"]["calls"]["account"] = {"api_url": "https://elsewhere.example"}
    with pytest.raises(StateInvalid, match=r"another account.*https://elsewhere\.example"):
        bookmarks.advanced(source, old, {("calls", ""): bookmarks.Mark("at", day(14))}, NOW)


@pytest.mark.parametrize("old", [{}, state_of(datetime(2025, 12, 20, tzinfo=timezone.utc))], ids=["none", "old"])
def test_g1_backfill_that_leaves_a_gap_sets_no_bookmark(settings: Make, config: Config, old: dict[str, Any]) -> None:
    """What lies between the plain runs' next start and the backfill's beginning would never be read: an error."""
    values = {**config("bspk"), "start_date": "2025-12-01"}
    source = settings({"bspk": values}).source("bspk")
    with pytest.raises(Gap, match="would never be read"):
        bookmarks.advanced(source, old, {("calls", ""): bookmarks.Mark("at", day(14))}, NOW)


@pytest.mark.slow
@at_night("half a dozen starts of Meltano")
def test_meltano_keeps_the_bookmark(
    settings: Make, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the units have proven is set in Meltano's state, in the form that its next run goes on from."""
    made = settings({"bspk": config("bspk")})
    for one in unit.planned(made, "bspk"):
        done = {"unit": one.to_json(), **result(one.until and one.until - timedelta(days=1)).to_json()}
        unit.store(made.folder / "bspk" / "units" / f"{one.key}.json", done)
    project = tmp_path / "project"
    project.mkdir()
    meltano_yml.copied(project)
    for name in [name for name in os.environ if name.startswith(("TAP_", "TARGET_", "MELTANO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MELTANO_STATE_BACKEND_URI", f"file://{tmp_path}/states")
    meltano = [str(Path(sys.executable).with_name("meltano")), "--environment=sandbox"]
    name = "sandbox:tap-bspk-to-target-postgres"
    state = bookmarks.set_meltano(made, "bspk", name, meltano, project)
    expected = state_of(day(17))
    expected["bookmarks"]["calls"]["account"] = {"api_url": config("bspk")["api_url"]}
    assert state == expected
    (kept,) = (tmp_path / "states").rglob("state.json")
    assert json.loads(kept.read_text(encoding="utf-8"))["completed"] == {"singer_state": state}
