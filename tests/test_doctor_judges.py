"""The doctor's judges: what came is judged alone, without a vendor."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from trunkline.steps.fetch.governor import Limit
from trunkline_commands.doctor import filter_judges, judges, page_judges
from trunkline_commands.doctor.filter_judges import Filtered, Span
from trunkline_commands.doctor.finding import CONFIRMED, REFUTED, UNKNOWN
from trunkline_commands.doctor.rows import Row, Seen, form, roughly

NOON = datetime(2026, 1, 15, 12, tzinfo=timezone.utc)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def row(key: int, at: datetime, **others: datetime) -> Row:
    return Row(key, {"at": at, **others})


HOURLY = [row(n, NOON - timedelta(hours=n)) for n in range(9)]
SPAN = Span(NOON - timedelta(hours=5), NOON - timedelta(hours=1))


def verdict(came: list[Row], fact: str, span: Span = SPAN, known: list[Row] = HOURLY, **more: object) -> str:
    """The verdict on a fact, after these rows came."""
    found = filter_judges.filtered("s", Filtered(span, known, Seen(tuple(came), 200, **more), "at"))  # type: ignore[arg-type]
    return next((one.verdict for one in found if one.fact == fact), "")


def test_rows_that_are_missing_refute_a_filter_only_when_there_are_many() -> None:
    """One row may have changed since it was seen; all of several have not, nor has one whose place others take."""
    assert verdict(HOURLY[1:6], "filter") == CONFIRMED
    assert verdict([*HOURLY[1:3], *HOURLY[4:6]], "filter") == UNKNOWN
    assert verdict([], "filter") == REFUTED
    assert verdict([*HOURLY[3:6], HOURLY[8]], "filter") == REFUTED
    assert verdict([], "filter", more=True) == UNKNOWN


def test_ends_are_judged_by_rows_on_them() -> None:
    """A row on an end came, or not; one later in the last second shows that whole seconds count, or nothing."""
    assert (verdict(HOURLY[1:6], "lower-end"), verdict(HOURLY[1:6], "upper-end")) == (CONFIRMED, CONFIRMED)
    assert (verdict(HOURLY[2:5], "lower-end"), verdict(HOURLY[2:5], "upper-end")) == (REFUTED, REFUTED)
    later = [*HOURLY[2:], row(1, SPAN.until + SECOND / 2)]
    assert verdict([later[-1], *HOURLY[2:6]], "upper-end", known=later) == CONFIRMED
    assert verdict(HOURLY[2:6], "upper-end", known=later) == UNKNOWN


def test_a_filter_that_is_ignored_is_not_one_that_rounds() -> None:
    """Rows of other days come where it is ignored; on one day alone a span far away decides."""
    days = [row(n, NOON - n * DAY) for n in range(9)]
    span = Span(NOON - 5 * DAY, NOON - 3 * DAY)
    assert verdict(days, "filter", span, days) == REFUTED
    assert verdict(HOURLY, "filter") == UNKNOWN
    for far, expected in ((Seen(status=200), CONFIRMED), (Seen(tuple(HOURLY), 200), REFUTED)):
        found = filter_judges.filtered("s", Filtered(SPAN, HOURLY, Seen(tuple(HOURLY), 200), "at", far=far))
        assert found[0].verdict == expected
    assert [
        one.fact for one in filter_judges.filtered("s", Filtered(SPAN, HOURLY, Seen(problem="HTTP 500"), "at"))
    ] == ["filter"]


def test_a_time_is_told_apart_by_rows_between_two() -> None:
    """Without a row that lies inside by one time and outside by the other, either may be the filter's."""
    alike = [row(n, one.moments["at"], made=one.moments["at"]) for n, one in enumerate(HOURLY)]
    apart = [row(n, one.moments["at"], made=one.moments["at"] - DAY) for n, one in enumerate(HOURLY)]
    for known, expected in ((alike, UNKNOWN), (apart, CONFIRMED)):
        found = Filtered(SPAN, known, Seen(tuple(known[1:6]), 200), "at")
        assert filter_judges.filter_time("s", found, ["made"]).verdict == expected


def test_a_span_is_chosen_that_shows_its_ends() -> None:
    """Rows lie on both ends, inside and outside; too few rows have no span."""
    span = filter_judges.choose_span(HOURLY, "at", SECOND)
    assert span is not None
    assert {span.since, span.until} <= {one.moments["at"] for one in HOURLY}
    assert any(span.is_inside(one, "at") for one in HOURLY)
    assert any(span.is_outside(one, "at") for one in HOURLY)
    assert filter_judges.choose_span(HOURLY[:2], "at", SECOND) is None


@pytest.mark.parametrize(
    ("rows", "expected", "more", "wanted"),
    [(40, 40, None, CONFIRMED), (39, 40, None, REFUTED), (40, 40, True, REFUTED), (0, 1, None, REFUTED)],
)
def test_the_last_page_shows_whether_the_total_is_right(
    rows: int, expected: int, *, more: bool | None, wanted: str
) -> None:
    """It has what the total leaves for it, and none behind it."""
    seen = Seen(tuple(HOURLY[:1] * rows), 200, total=240, more=more)
    assert page_judges.last_page("s", seen, expected).verdict == wanted
    assert page_judges.last_page("s", Seen(problem="HTTP 503"), expected).verdict == UNKNOWN


@pytest.mark.parametrize(
    ("limits", "refused", "documented", "wanted", "value"),
    [
        ({}, 0, Limit(30, 10.0), UNKNOWN, ""),
        ({"x-ratelimit-limit": "30"}, 0, Limit(30, 10.0), CONFIRMED, ""),
        ({"x-ratelimit-limit": "60"}, 0, Limit(30, 10.0), CONFIRMED, ""),
        ({"x-ratelimit-limit": "10"}, 0, Limit(30, 10.0), REFUTED, "60"),
        ({"x-ratelimit-limit": "no number"}, 0, Limit(30, 10.0), UNKNOWN, ""),
        ({"x-ratelimit-limit": "10"}, 0, None, UNKNOWN, ""),
        ({}, 1, None, REFUTED, ""),
    ],
)
def test_limits(limits: dict[str, str], refused: int, documented: Limit | None, wanted: str, value: str) -> None:
    """A header that names less than the page does, or a refusal, refutes a limit; silence shows nothing."""
    found = judges.limit(limits, refused, documented)
    assert (found.verdict, found.value) == (wanted, value)


def test_forms_of_times_show_no_value() -> None:
    """Digits are zeros, and of words only those that times have."""
    assert form("2026-01-02T03:04:05.678Z") == "0000-00-00T00:00:00.000Z"
    assert form("/Date(1767323045000+0100)/") == "/Date(0000000000000+0000)/"
    assert form("7/5/2026 1:05:09 PM") == "0/0/0000 0:00:00 PM"
    assert form("call Zoë at 5 <b>") == "x x x 0 ?x?"


def test_lengths_of_time_are_rounded_up() -> None:
    """No instant of a row can be computed from what is said of it."""
    assert [roughly(timedelta(seconds=s)) for s in (0.4, 61, 121, 7199, 7201)] == [
        "1 s",
        "61 s",
        "3 min",
        "120 min",
        "3 h",
    ]
