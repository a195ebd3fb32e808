"""The plan: windows without gap and overlap, whole ticks, and halving that comes to an end."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import instants
from trunkline.steps import feeds, plan
from trunkline.steps.plan import Pace, Window

UTC = timezone.utc
RUN = datetime(2026, 1, 31, 8, 0, 0, 123456, UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1969, 1, 1), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001 - Hypothesis adds the zone
ticks = st.sampled_from([timedelta(milliseconds=1), SECOND, timedelta(minutes=1)])
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=400))


def walk(pace: Pace, empties: list[bool]) -> list[Window]:
    """The windows, the answers being empty as listed and empty from then on."""
    answers, windows = iter(empties), []
    while (window := pace.window) is not None:
        windows.append(window)
        pace = pace.after(window, empty=next(answers, True))
        assert len(windows) < 10_000
    return windows


@given(moments, st.timedeltas(timedelta(0), timedelta(days=4000)), lengths, ticks, st.lists(st.booleans(), max_size=30))
def test_windows_have_no_gap_no_overlap_and_whole_ticks(
    since: datetime, span: timedelta, length: timedelta, tick: timedelta, empties: list[bool]
) -> None:
    """From the start's tick to the end, each window begins where the last one ended, on a whole tick."""
    until = since + span
    jobs = feeds.windows(
        plan.Start(since, "", None),
        until,
        length=max(length, span / 500),
        tick=tick,
        grain=tick,
        lookback=DAY,
        beginning=None,
        inclusive=True,
    )
    assert jobs._pace is not None  # noqa: SLF001 - the plan under test
    windows = walk(jobs._pace, empties)  # noqa: SLF001 - same
    first = instants.floor(since, tick)
    if first >= until:
        assert windows == []
        return
    edges = [first, *(window.until for window in windows)]
    assert [window.since for window in windows] == edges[:-1]
    assert edges[-1] == until
    assert edges == sorted(set(edges))
    assert [window.seam for window in windows] == [False, *[True] * (len(windows) - 1)]
    assert all((edge - instants.EPOCH) % tick == timedelta(0) for edge in edges[:-1])


@given(moments, st.lists(st.booleans(), max_size=40), lengths)
def test_windows_grow_only_after_four_empty_ones_in_a_row(at: datetime, empties: list[bool], length: timedelta) -> None:
    """A weekend does not change the rhythm; from the fourth on, each is twice the last; a row resets it."""
    pace, row = Pace(at, at + timedelta(days=3000), length), 0
    for empty in empties:
        window = pace.window
        if window is None or window.until == pace.until:
            break
        assert window.since is not None
        assert window.until - window.since == length * 2 ** max(0, row - plan.GROW_AFTER + 1)
        row = row + 1 if empty else 0
        pace = pace.after(window, empty=empty)


@given(
    moments,
    st.timedeltas(timedelta(0), timedelta(days=4000)),
    st.timedeltas(DAY, timedelta(days=28)),
    st.sampled_from([timedelta(0), DAY]),
    st.lists(st.booleans(), max_size=30),
)
def test_g1_no_request_is_longer_than_the_vendor_answers_in_full(
    since: datetime, span: timedelta, length: timedelta, lookback: timedelta, empties: list[bool]
) -> None:
    """However many empty windows come in a row: of a longer span the vendor would send a part alone."""
    minute, longest, until = timedelta(minutes=1), timedelta(days=28), since + span
    jobs = feeds.windows(
        plan.Start(since, "", since),
        until,
        length=length,
        tick=SECOND,
        grain=minute,
        lookback=lookback,
        beginning=None,
        inclusive=True,
        longest=longest,
    )
    assert jobs._pace is not None  # noqa: SLF001 - the plan under test
    windows = walk(jobs._pace, empties)  # noqa: SLF001 - same
    for window in windows:
        low, high = window.bounds(SECOND, minute, until)
        assert low is not None
        assert high - low <= longest + SECOND  # the end is not on a whole tick
    edges = [window.since for window in windows] + [until]
    assert all(left.until == edge for left, edge in zip(windows, edges[1:], strict=True))


def test_a_century_of_nothing_costs_few_requests() -> None:
    """Long empty spans stay cheap, whatever the window."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    assert len(walk(Pace(start, datetime(2070, 1, 1, tzinfo=UTC), timedelta(minutes=1)), [])) < 40


def test_a_hundred_thousand_empty_windows_overflow_nothing() -> None:
    """The factor has a bound, and the longest window still ends at the end."""
    pace = Pace(RUN, datetime.max.replace(tzinfo=UTC), timedelta(days=36_500), empties=100_000)
    assert pace.window == Window(RUN, pace.until)


def test_the_supposition_about_a_window_not_read_yet() -> None:
    """Ordinary windows are taken to hold rows, those that have begun to grow to be empty."""
    assert not Pace(RUN, RUN + DAY, SECOND, empties=plan.GROW_AFTER - 1).likely_empty
    assert Pace(RUN, RUN + DAY, SECOND, empties=plan.GROW_AFTER).likely_empty


def test_parts_of_a_split_window_count_for_the_growth() -> None:
    """A part with rows ends the row of empty windows, an empty one prolongs it."""
    pace = Pace(RUN, RUN + DAY, SECOND, empties=3)
    assert (pace.noted(empty=True).empties, pace.noted(empty=False).empties) == (4, 0)
    assert pace.noted(empty=True).at == pace.at


def halve(window: Window, tick: timedelta) -> list[Window]:
    """Every window that halving without an end comes to, always taking the later half."""
    found = [window]
    while (halves := found[-1].halves(tick)) is not None:
        assert halves[0].until == halves[1].since
        assert (halves[0].since, halves[1].until) == (found[-1].since, found[-1].until)
        assert (halves[0].until - instants.EPOCH) % tick == timedelta(0)
        assert all(half.since is None or half.since < half.until for half in halves)
        found.append(halves[1])
        assert len(found) < 200
    return found


@given(st.one_of(st.none(), moments), st.timedeltas(timedelta(microseconds=1), timedelta(days=40_000)), ticks)
def test_halving_loses_nothing_and_comes_to_an_end(since: datetime | None, span: timedelta, tick: timedelta) -> None:
    """Halves touch on a whole tick, cover the whole, and end at a tick or so."""
    until = (since or instants.EPOCH) + span
    last = halve(Window(since, until), tick)[-1]
    assert last.since is None or last.until - last.since < 2 * tick


@given(st.integers(-2, 5), ticks)
def test_a_whole_tick_can_not_be_split(number: int, tick: timedelta) -> None:
    """What the filter can't tell apart is never asked for in two halves."""
    since = instants.EPOCH + number * tick
    assert Window(since, since + tick).halves(tick) is None
    assert Window(since, since + 2 * tick).halves(tick) == (
        Window(since, since + tick),
        Window(since + tick, since + 2 * tick, seam=True),
    )


def test_everything_is_halved_down_to_the_epoch_and_no_further() -> None:
    """Without a lower end the earlier half keeps none, and what is older than 1970 is read page by page."""
    window = Window(None, RUN)
    for _ in range(100):
        halves = window.halves(SECOND)
        if halves is None:
            break
        assert halves[0].since is None
        window = halves[0]
    assert window.until <= instants.EPOCH


@given(moments, moments, moments)
def test_a_row_belongs_to_exactly_one_of_two_halves(a: datetime, b: datetime, row: datetime) -> None:
    """The lower edge is inside, the upper edge is the next window's."""
    since, until = sorted((a, b))
    halves = Window(since, until).halves(SECOND) if since < until else None
    if halves:
        assert [half.holds(row) for half in halves].count(True) == int(Window(since, until).holds(row))


def test_the_lower_edge_is_inside_and_the_upper_one_is_not() -> None:
    """A row on the seam of two windows is in the later one, and in that one only."""
    window = Window(RUN - DAY, RUN)
    assert window.holds(RUN - DAY)
    assert not window.holds(RUN)
    assert Window(None, RUN).holds(instants.EPOCH)


def test_a_window_says_its_span() -> None:
    """Log lines and errors name both ends."""
    assert str(Window(None, RUN)) == "the beginning to 2026-01-31T08:00:00.123456+00:00"
    assert str(Window(RUN - DAY, RUN)).startswith("2026-01-30T08:00:00.123456+00:00 to ")


# -- where a run begins and ends -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bookmark", "start_date", "at", "why"),
    [
        (None, None, None, "everything"),
        (None, RUN - DAY, RUN - DAY, "start_date"),
        (RUN - 2 * DAY, None, RUN - 3 * DAY, "less the lookback"),
        (RUN - 2 * DAY, RUN - 9 * DAY, RUN - 3 * DAY, "less the lookback"),
        (RUN - 2 * DAY, RUN - 2.5 * DAY, RUN - 2.5 * DAY, "does not pass"),
        (RUN - 2 * DAY, RUN - DAY, RUN - DAY, "newer than the bookmark"),
        (RUN + 99 * DAY, None, RUN - DAY, "less the lookback"),
    ],
)
def test_where_a_run_begins(
    bookmark: datetime | None, start_date: datetime | None, at: datetime | None, why: str
) -> None:
    """The bookmark less the lookback, not before start_date; a newer start_date wins; the future counts as now."""
    start = plan.start(bookmark=bookmark, start_date=start_date, lookback=DAY, run_start=RUN)
    assert start.at == at
    assert why in start.why
    assert start.bookmark == (min(bookmark, RUN) if bookmark else None)


@given(st.none() | moments, st.none() | moments, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_no_lookback_reaches_before_start_date(
    bookmark: datetime | None, start_date: datetime | None, lookback: timedelta
) -> None:
    """And no start is later than both what was read and what was asked for."""
    start = plan.start(bookmark=bookmark, start_date=start_date, lookback=lookback, run_start=RUN)
    if start_date:
        assert start.at is not None
        assert start.at >= start_date
    if bookmark and not start_date:
        assert start.at == min(bookmark, RUN) - lookback


def test_where_a_run_ends() -> None:
    """At end_date as it stands, else at the last whole tick before the run began."""
    assert plan.end(end_date=None, run_start=RUN, tick=SECOND) == RUN.replace(microsecond=0)
    assert plan.end(end_date=RUN - DAY, run_start=RUN, tick=SECOND) == RUN - DAY
    assert plan.end(end_date=RUN + DAY, run_start=RUN, tick=SECOND) == RUN + DAY


@given(
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.integers(1, 10**7),
    st.integers(0, 10**7),
    st.integers(0, 10**7),
)
def test_g1_pieces_leave_no_gap_and_no_overlap(since: int | None, length: int, low: int, covered: int) -> None:
    """Whatever an answer covered, the pieces in order are the window, each on whole ticks and none of them empty."""
    start = EPOCH + timedelta(seconds=since or 0)
    window = Window(None if since is None else start, start + timedelta(seconds=length))
    early = min(start + timedelta(seconds=low), window.until - SECOND)
    pieces = window.pieces(early, min(early + timedelta(seconds=covered), window.until - SECOND), SECOND)
    if not pieces:
        assert window.halves(SECOND) is None
        return
    assert (pieces[0].since, pieces[-1].until) == (window.since, window.until)
    assert pieces[0].seam == window.seam
    for one, other in itertools.pairwise(pieces):
        assert one.until == other.since
        assert other.seam
        assert (one.until - EPOCH) % SECOND == timedelta(0)
    assert all(piece.since is None or piece.since < piece.until for piece in pieces)


def test_pieces_follow_the_density_that_an_answer_shows() -> None:
    """An answer that covers an hour of a day says that about twenty-four more are needed; one over all of it, two."""
    day = Window(EPOCH + timedelta(days=1), EPOCH + timedelta(days=2))
    since = day.since
    assert since is not None
    assert len(day.pieces(since, since + timedelta(hours=1), SECOND)) == 33
    assert day.pieces(since, day.until - SECOND, SECOND) == day.halves(SECOND)


far = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone


@given(st.none() | far, far, far, far, ticks)
def test_g1_whatever_rows_come_the_pieces_are_the_window(
    since: datetime | None, until: datetime, low: datetime, high: datetime, tick: timedelta
) -> None:
    """Rows may say any instant of the calendar: a window is split into parts that follow each other, or not at all."""
    until = min(max(until, datetime(1970, 1, 2, tzinfo=UTC)), datetime(2999, 1, 1, tzinfo=UTC))
    if since is not None:
        since = instants.floor(max(min(since, until - tick), EPOCH), tick)
    window = plan.Window(since, until)
    parts = window.pieces(min(low, high), max(low, high), tick)
    if parts:
        assert (parts[0].since, parts[-1].until) == (since, until)
        assert all(one.until == other.since for one, other in itertools.pairwise(parts))
        assert all(part.since is None or part.since < part.until for part in parts)


@given(st.none() | far, st.none() | far, st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_g3_no_bookmark_leads_out_of_the_calendar(
    bookmark: datetime | None, start: datetime | None, lookback: timedelta
) -> None:
    """A server's year 1 in a bookmark less a lookback is still a place to begin, and never after the run's start."""
    run_start = datetime(2026, 6, 1, tzinfo=UTC)
    begun = plan.start(bookmark=bookmark, start_date=start, lookback=lookback, run_start=run_start)
    if bookmark is not None:
        assert begun.at is not None
        assert start is not None or begun.at <= run_start
