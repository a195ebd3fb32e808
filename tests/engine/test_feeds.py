"""Feeds of windows: which is next, and what becomes of the parts of a split one."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline import feeds, plan
from trunkline.ahead import Outcome
from trunkline.feeds import Jobs
from trunkline.instants import EPOCH, SECOND
from trunkline.plan import Pace, Window


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
        jobs.resolve(job, Outcome(empty=data.draw(st.booleans())))
    assert [since for since, _ in read] == [0, *[until for _, until in read[:-1]]]
    assert read[-1][1] == span


def test_an_empty_part_of_a_split_window_counts_as_empty() -> None:
    """The growth depends on the answers only: parts count like windows."""
    jobs = Jobs([], Pace(EPOCH, EPOCH + 1000 * SECOND, 4 * SECOND, empties=3))
    (job,) = islice(jobs.upcoming(), 1)
    jobs.split(job, (window(0, 2), window(2, 4)))
    for empty in (False, True):
        jobs.resolve(next(jobs.upcoming()), Outcome(empty=empty))
    assert [seconds(job) for job in islice(jobs.upcoming(), 2)] == [(4, 8), (8, 12)]


def test_from_a_bookmark_the_windows_begin_on_a_tick() -> None:
    """The tick that the start lies in is asked for as a whole, and windows are whole ticks, one of them the overlap."""
    start = plan.Start(EPOCH + 90.5 * SECOND, "", None)
    jobs = feeds.windows(
        start, EPOCH + 300 * SECOND, length=150.5 * SECOND, tick=timedelta(minutes=1), beginning=None, inclusive=True
    )
    assert [seconds(job) for job in jobs.upcoming()] == [(60, 180), (180, 240), (240, 300)]
    jobs = feeds.windows(
        start, EPOCH + 300 * SECOND, length=SECOND, tick=timedelta(minutes=1), beginning=None, inclusive=True
    )
    assert seconds(next(jobs.upcoming())) == (60, 120)


def test_without_a_start_everything_is_one_window() -> None:
    """It is halved as needed; what stands for "everything" is the vendor's."""
    for beginning in (None, EPOCH):
        jobs = feeds.windows(
            plan.Start(None, "", None),
            EPOCH + 9 * SECOND,
            length=SECOND,
            tick=SECOND,
            beginning=beginning,
            inclusive=True,
        )
        assert [*jobs.upcoming()] == [Window(beginning, EPOCH + 9 * SECOND)]


def test_a_start_behind_the_end_has_no_windows() -> None:
    """Nothing to do is no window, not an upside-down one."""
    start = plan.Start(EPOCH + 9 * SECOND, "", None)
    assert [*feeds.windows(start, EPOCH, length=SECOND, tick=SECOND, beginning=None, inclusive=True).upcoming()] == []
