"""Feeds of windows: which is next, and what becomes of the parts of a split one."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.instants import EPOCH, SECOND
from trunkline.steps import feeds, plan
from trunkline.steps.feeds import Jobs
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.plan import Pace, Window

if TYPE_CHECKING:
    from datetime import datetime


def window(since: int, until: int) -> Window:
    return Window(EPOCH + since * SECOND, EPOCH + until * SECOND)


def seconds(job: object) -> tuple[int, int]:
    assert isinstance(job, Window)
    assert job.since is not None
    return (job.since - EPOCH) // SECOND, (job.until - EPOCH) // SECOND


def test_jobs_come_in_order_and_windows_without_an_end_do_no_harm() -> None:
    """What is still to be read is a view: looking at it changes nothing."""
    jobs = Jobs(["first"], Pace(EPOCH, EPOCH + timedelta(days=365_000), SECOND)).preceded_by("before all")
    for _ in range(2):
        assert [*islice(jobs.upcoming(), 2)] == ["before all", "first"]
        assert [seconds(job) for job in islice(jobs.upcoming(), 2, 4)] == [(0, 1), (1, 2)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_every_second_is_read_once_whatever_is_split_and_whatever_is_empty(
    span: int, length: int, data: st.DataObject
) -> None:
    """Split or not, empty or not, ahead or in turn: resolved leaves cover the span without gap and overlap."""
    jobs = Jobs([], Pace(EPOCH, EPOCH + span * SECOND, length * SECOND))
    read = []
    while (job := next(jobs.upcoming(), None)) is not None:
        ahead = data.draw(st.sampled_from([*islice(jobs.upcoming(), 3)]), "a job that is found too large")
        halves = ahead.halves(SECOND) if isinstance(ahead, Window) and data.draw(st.booleans()) else None
        if halves:
            jobs.split(ahead, halves)
            continue
        assert isinstance(job, Window)
        read.append(seconds(job))
        jobs.resolve(job, ReadOutcome(empty=data.draw(st.booleans())))
    assert [since for since, _ in read] == [0, *[until for _, until in read[:-1]]]
    assert read[-1][1] == span


def test_an_empty_part_of_a_split_window_counts_as_empty() -> None:
    """The growth depends on the answers only: parts count like windows."""
    jobs = Jobs([], Pace(EPOCH, EPOCH + 1000 * SECOND, 4 * SECOND, empties=3))
    (job,) = islice(jobs.upcoming(), 1)
    jobs.split(job, (window(0, 2), window(2, 4)))
    for empty in (False, True):
        jobs.resolve(next(jobs.upcoming()), ReadOutcome(empty=empty))
    assert [seconds(job) for job in islice(jobs.upcoming(), 2)] == [(4, 8), (8, 12)]


def planned(start: plan.Start, until: datetime, length: timedelta, **facts: Any) -> Jobs:
    """The windows of a filter that knows seconds and may round to minutes."""
    known: dict[str, Any] = {"grain": plan.MINUTE, "lookback": timedelta(days=1), "beginning": None, "inclusive": True}
    return feeds.windows(start, until, length=length, tick=SECOND, **{**known, **facts})


def test_the_first_window_begins_on_a_tick_and_seams_lie_on_whole_minutes() -> None:
    """The tick of the start is requested as a whole, windows are whole minutes, and one of these is the overlap."""
    start = plan.Start(EPOCH + 90.5 * SECOND, "", None)
    jobs = planned(start, EPOCH + 500 * SECOND, 150.5 * SECOND)
    assert next(jobs.upcoming()) == window(90, 180)
    assert [seconds(job) for job in jobs.upcoming()] == [
        (90, 180),
        (180, 240),
        (240, 300),
        (300, 360),
        (360, 420),
        (420, 480),
        (480, 500),
    ]
    assert seconds(next(planned(start, EPOCH + 300 * SECOND, SECOND).upcoming())) == (90, 120)


@pytest.mark.parametrize(
    ("bookmark", "lookback", "inclusive", "seam"),
    [
        (None, 86_400, True, False),
        (None, 86_400, False, True),
        (EPOCH, 86_400, False, False),
        (EPOCH, 30, True, True),
    ],
)
def test_g1_the_beginning_is_requested_from_a_minute_earlier_where_rounding_may_hide_a_row(
    bookmark: datetime | None,
    lookback: int,
    inclusive: bool,  # noqa: FBT001 - a table
    seam: bool,  # noqa: FBT001 - same
) -> None:
    """Without a bookmark unless the filter is inclusive for certain, and with one that no lookback covers."""
    jobs = planned(
        plan.Start(EPOCH + 90 * SECOND, "", bookmark),
        EPOCH + 300 * SECOND,
        timedelta(days=1),
        lookback=lookback * SECOND,
        inclusive=inclusive,
    )
    window = next(jobs.upcoming())
    assert isinstance(window, Window)
    assert window.seam is seam


def test_without_a_start_everything_is_one_window() -> None:
    """It is halved as needed; what stands for "everything" is the vendor's."""
    for beginning in (None, EPOCH):
        jobs = planned(plan.Start(None, "", None), EPOCH + 9 * SECOND, SECOND, beginning=beginning)
        assert [*jobs.upcoming()] == [Window(beginning, EPOCH + 9 * SECOND)]


def test_a_start_behind_the_end_has_no_windows() -> None:
    """Nothing to do is no window, not an upside-down one."""
    assert [*planned(plan.Start(EPOCH + 9 * SECOND, "", None), EPOCH, SECOND).upcoming()] == []
