"""Judging rows: what belongs to a window, and what shows that the filter was ignored."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tap_bspk import TapBSPK
from tap_evolux import TapEvolux
from tap_hostedsuite import TapHostedSuite
from trunkline.errors import ConfigInvalid, Unproven
from trunkline.facts import common
from trunkline.facts.stream import WindowRows
from trunkline.steps import plan

if TYPE_CHECKING:
    from trunkline.facts.windowed import WindowedStream

UTC = timezone.utc
RUN = datetime(2026, 1, 31, 8, 0, 0, 500_000, UTC)
SINCE, UNTIL = datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def stream(**more: Any) -> WindowedStream:
    config = {"api_url": "https://vendor.example/x/", "api_token": "t", "start_date": "2026-01-01", **more}
    return TapEvolux(config=config, run_start=RUN).streams["studio_calls"]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("moment", "belongs"),
    [
        (SINCE, True),
        (UNTIL - timedelta(microseconds=1), True),
        (UNTIL, False),
        (UNTIL + SECOND, False),
        (SINCE - SECOND, False),
        (SINCE - timedelta(microseconds=1), False),
    ],
)
def test_a_row_on_the_edge_is_exactly_one_windows(moment: datetime, belongs: bool) -> None:  # noqa: FBT001 - a table
    """The lower edge is inside, the upper one the next window's; a tick beyond is the vendor's rounding."""
    assert stream().belongs(WindowRows(stream(), plan.Window(SINCE, UNTIL), (), "at"), {"at": moment}) is belongs


@pytest.mark.parametrize("moment", [SINCE - 61 * SECOND, UNTIL + 61 * SECOND, datetime(1970, 1, 1, tzinfo=UTC)])
def test_a_row_far_outside_shows_that_the_filter_was_ignored(moment: datetime) -> None:
    """Everything or the current day instead of what was asked for must not pass as proven."""
    with pytest.raises(Unproven, match="ignored the filter"):
        stream().belongs(WindowRows(stream(), plan.Window(SINCE, UNTIL), (), "at"), {"at": moment})


@pytest.mark.parametrize("hours", [[1, 23.99], [23.99, 1]])
def test_g1_rows_from_outside_what_was_requested_are_kept(hours: list[float]) -> None:
    """A vendor that rounds bounds to the day brings them, and those of the overlap, with no other window."""
    config = {
        "api_url": "https://vendor.example",
        "customer_name": "c",
        "user_name": "u",
        "password": "p",
        "start_date": "2026-01-01",
    }
    calls: Any = TapHostedSuite(config=config, run_start=RUN).streams["calls"]
    times = [SINCE - timedelta(days=1) + timedelta(hours=hour) for hour in hours]
    calls.run = SimpleNamespace(shape=lambda moment: ({}, {"StartTime": moment}))
    rows = WindowRows(calls, plan.Window(SINCE, UNTIL, seam=True), times, "StartTime")  # type: ignore[arg-type]
    assert sorted(instant for _, instant in calls.records(rows)) == sorted(times)
    assert not calls.belongs(rows, {"StartTime": calls.until})


def test_the_overlap_is_left_to_the_window_before() -> None:
    """Where nothing shows that the vendor rounds further: no row is written twice."""
    calls = stream()
    assert not calls.belongs(
        WindowRows(calls, plan.Window(SINCE, UNTIL, seam=True), (), "at"), {"at": SINCE - 59 * SECOND}
    )
    assert not calls.rounds


def test_a_row_without_a_time_belongs_where_it_came() -> None:
    """It can't be judged, so it is not lost."""
    assert stream().belongs(WindowRows(stream(), plan.Window(SINCE, UNTIL), (), "at"), {})


def test_where_the_filter_may_mean_another_time_rows_outside_are_kept() -> None:
    """But none that all of the times in question put at the configured end or behind it."""
    config = {"auth_token": "t", "end_date": "2026-01-31"}
    calls: Any = TapBSPK(config=config, run_start=RUN).streams["calls"]
    rows = WindowRows(stream(), plan.Window(SINCE, UNTIL), (), "at")
    assert calls.belongs(rows, {"at": SINCE - timedelta(days=300)})
    assert calls.belongs(rows, {"at": UNTIL + SECOND, "created_at": UNTIL - SECOND})
    assert not calls.belongs(rows, {"at": UNTIL + SECOND, "created_at": UNTIL + SECOND})


def test_a_run_ends_where_it_began() -> None:
    """Fixed before the first request, on a whole tick; or at end_date as it stands."""
    assert stream().until == RUN.replace(microsecond=0)
    assert stream(end_date="2026-01-15T00:00:00.25Z").until == datetime(2026, 1, 15, 0, 0, 0, 250_000, UTC)


def test_a_vendor_that_needs_a_start_gets_one_or_an_error() -> None:
    """Without a bookmark; with one there is where to go on from."""
    tap = TapEvolux(config={"api_url": "https://vendor.example", "api_token": "t"}, run_start=RUN)
    calls: Any = tap.streams["studio_calls"]
    with pytest.raises(ConfigInvalid, match="start_date is missing"):
        calls.start(None)
    assert calls.start(UNTIL).at == UNTIL - timedelta(days=1)


def test_nothing_to_do_says_why() -> None:
    """One line, for a success without a request."""
    calls = stream(end_date="2026-01-10")
    assert "is not after the bookmark" in calls.nothing_to_do(calls.start(UNTIL))
    later = stream(start_date="2026-02-15")
    assert "is not before the end" in later.nothing_to_do(later.start(None))
    assert stream().nothing_to_do(stream().start(UNTIL)) == ""


def test_the_address_has_no_slash_at_its_end() -> None:
    """Paths begin with one."""
    assert stream().url_base == "https://vendor.example/x"


def test_every_stream_describes_itself() -> None:
    """Keys are fields of the schema, and the schema is the stream's own."""
    tap: Any = stream().tap
    for name, one in tap.streams.items():
        assert {*one.primary_keys, one.replication_key} - {None} <= set(one.schema["properties"]), name


def test_a_probe_requests_no_longer_span_than_the_vendor_answers_in_full() -> None:
    """Where the last day is empty: not everything since start_date, which the vendor may refuse."""

    class TapMonth(TapEvolux):
        common = common(lookback="P1D", window="P1D", page_size=50, longest="P28D")

    config = {"api_url": "https://vendor.example/x/", "api_token": "t", "start_date": "2025-01-01"}
    calls: Any = TapMonth(config=config, run_start=RUN).streams["studio_calls"]
    probe = calls.probe(SimpleNamespace(request=lambda request, _: request))
    next(probe)
    span = dict(probe.send(SimpleNamespace(parsed=None)).params)
    assert (span["start_date"], span["end_date"]) == ("2026-01-03T08:00:00+00:00", "2026-01-31T08:00:00+00:00")
