"""Points in time: every form a vendor writes becomes the same instant, in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline import instants

NEW_YORK = ZoneInfo("America/New_York")
DAY, MINUTE, NOTHING = timedelta(days=1), timedelta(minutes=1), timedelta(0)
UTC = timezone.utc

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=offsets)  # noqa: DTZ001 - Hypothesis adds the zone
ticks = st.sampled_from([timedelta(milliseconds=1), timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)])


@given(moments)
def test_iso_round_trip(moment: datetime) -> None:
    """What is written can be read again and is the same instant, to the microsecond."""
    text = instants.to_iso(moment)
    assert instants.from_iso(text) == moment
    assert instants.has_zone(text)
    assert instants.from_iso(text).utcoffset() == timedelta(0)


@given(moments)
def test_iso_keeps_the_instant_whatever_the_offset(moment: datetime) -> None:
    """A text with an offset, also of half an hour, is the instant it names."""
    assert instants.from_iso(moment.isoformat()) == moment


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-08-07T12:29:23.594Z", datetime(2024, 8, 7, 12, 29, 23, 594000, UTC)),
        ("2024-08-07T12:29:23Z", datetime(2024, 8, 7, 12, 29, 23, tzinfo=UTC)),
        ("2024-08-07T12:29:23.5+02:00", datetime(2024, 8, 7, 10, 29, 23, 500000, UTC)),
        ("2024-08-07T12:29:23+0200", datetime(2024, 8, 7, 10, 29, 23, tzinfo=UTC)),
        ("2021-08-10 00:00:00", datetime(2021, 8, 10, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_iso_forms(text: str, instant: datetime) -> None:
    """Every form that vendors and users write is read, on Python 3.10 too."""
    assert instants.from_iso(text) == instant


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30", "2024-13-01T00:00:00Z", "2023-02-29T10:00:00Z", "12:00"]
)
def test_a_text_that_is_no_date_is_an_error(text: str) -> None:
    """Dates that do not exist are refused, never moved to one that does."""
    with pytest.raises(ValueError, match=r"."):
        instants.from_iso(text)


def test_a_zone_less_time_is_the_zones() -> None:
    """A zone that the user names holds for times without one, and not for those with one."""
    assert instants.from_iso("2024-01-15T08:00:00", NEW_YORK) == datetime(2024, 1, 15, 13, tzinfo=UTC)
    assert instants.from_iso("2024-07-15T08:00:00", NEW_YORK) == datetime(2024, 7, 15, 12, tzinfo=UTC)
    assert instants.from_iso("2024-07-15T08:00:00Z", NEW_YORK) == datetime(2024, 7, 15, 8, tzinfo=UTC)


def test_the_hour_that_a_change_of_clocks_repeats_means_its_first_pass() -> None:
    """01:30 on the day the clocks go back is taken as summer time."""
    assert instants.from_iso("2024-11-03T01:30:00", NEW_YORK) == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)


def test_the_hour_that_a_change_of_clocks_skips_is_still_an_instant() -> None:
    """02:30 on the day the clocks go forward is no reason to lose a record."""
    assert instants.from_iso("2024-03-10T02:30:00", NEW_YORK) == datetime(2024, 3, 10, 7, 30, tzinfo=UTC)


@given(st.integers(-2_000_000_000_000, 7_000_000_000_000), st.sampled_from(["", "+0000", "-0500", "+0530", "+1400"]))
@example(0, "-0500")
@example(-1, "")
def test_ms_dates_count_from_the_epoch_whatever_the_offset(milliseconds: int, offset: str) -> None:
    """`/Date(ms±zone)/`: the number is the instant, exactly; the offset changes nothing."""
    instant = instants.from_service_stack(f"/Date({milliseconds}{offset})/")
    assert (instant - instants.EPOCH) // timedelta(milliseconds=1) == milliseconds
    assert instant.microsecond % 1000 == 0


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),  # noqa: DTZ001 - zone-less on purpose
    st.booleans(),
    st.booleans(),
)
@example(moment=datetime(2024, 2, 29, 0, 5), lower=True, padded=False)  # noqa: DTZ001 - same
@example(moment=datetime(2024, 2, 29, 12, 5), lower=False, padded=False)  # noqa: DTZ001 - same
def test_us_dates(moment: datetime, lower: bool, padded: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    """`M/d/yyyy h:mm:ss tt` is read with and without leading zeros, in any case, noon and midnight right."""
    hour, half = moment.hour % 12 or 12, "PM" if moment.hour >= 12 else "AM"
    width = "02d" if padded else "d"
    text = f"{moment.month:{width}}/{moment.day:{width}}/{moment.year} {hour:{width}}:{moment:%M:%S} {half}"
    assert instants.from_service_stack(text.lower() if lower else text) == moment.replace(tzinfo=UTC)


def test_us_dates_without_seconds_and_in_a_zone() -> None:
    """The form without seconds is a whole minute, in the zone of the server."""
    assert instants.from_service_stack("7/4/2024 8:05 PM", NEW_YORK) == datetime(2024, 7, 5, 0, 5, tzinfo=UTC)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),  # noqa: DTZ001 - zone-less on purpose
    st.booleans(),
)
@example(moment=datetime(2026, 7, 5), padded=False)  # noqa: DTZ001 - same
@example(moment=datetime(2026, 7, 5, 13, 5), padded=False)  # noqa: DTZ001 - same
def test_us_dates_of_a_24_hour_clock(moment: datetime, padded: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    """`M/d/yyyy H:mm` is read with and without seconds and leading zeros, and a bare `M/d/yyyy` is its midnight."""
    width = "02d" if padded else "d"
    day = f"{moment.month:{width}}/{moment.day:{width}}/{moment.year}"
    zoned = moment.replace(tzinfo=NEW_YORK).astimezone(UTC)
    assert instants.from_service_stack(f"{day} {moment.hour:{width}}:{moment:%M:%S}", NEW_YORK) == zoned
    zoned = moment.replace(second=0, tzinfo=NEW_YORK).astimezone(UTC)
    assert instants.from_service_stack(f"{day} {moment.hour:{width}}:{moment:%M}", NEW_YORK) == zoned
    zoned = moment.replace(hour=0, minute=0, second=0, tzinfo=NEW_YORK).astimezone(UTC)
    assert instants.from_service_stack(day, NEW_YORK) == zoned


@given(moments.map(lambda moment: moment.replace(microsecond=0)))
def test_rfc_2822_round_trip(moment: datetime) -> None:
    """A date as mail writes it is the instant it names, whatever its offset, and is written as ISO 8601 in UTC."""
    text = format_datetime(moment)
    assert instants.from_rfc2822(text) == moment
    assert instants.read(text) == (moment, instants.to_iso(moment))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("Fri, 18 Oct 2019 17:02:00 +0000", datetime(2019, 10, 18, 17, 2, tzinfo=UTC)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("1 Jan 2026 00:30 +0530", datetime(2025, 12, 31, 19, tzinfo=UTC)),
        ("1 Jan 2026 00:30 -0030", datetime(2026, 1, 1, 1, tzinfo=UTC)),
        ("1 Jan 2026 00:30:00 -0000", datetime(2026, 1, 1, 0, 30, tzinfo=UTC)),
    ],
)
def test_rfc_2822_forms(text: str, instant: datetime) -> None:
    """The day's name and the seconds may be missing; an offset less than an hour keeps its sign."""
    assert instants.read(text)[0] == instant


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 30 Feb 2026 17:02:00 +0000",
        "Fri, 18 Okt 2019 17:02:00 +0000",
        "Fri, 18 Oct 2019 17:02:00",
        "Fri, 18 Oct 2019 25:02:00 +0000",
        "Fri, 18 Oct 2019 17:02:00 +9900",
        "Fri, 01 Jan 0001 00:00:00 +0100",
        "18 Oct 19 17:02:00 +0000",
    ],
)
def test_a_text_that_is_nearly_rfc_2822_is_an_error(text: str) -> None:
    """No such date, no zone, or a year of two digits: never a guess."""
    with pytest.raises(ValueError, match=r"."):
        instants.read(text)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("7/5/2026", DAY),
        ("07/05/2026", DAY),
        ("2026-07-05", DAY),
        ("20260705", DAY),
        ("7/5/2026 0:00", MINUTE),
        ("7/5/2026 12:05 AM", MINUTE),
        ("2026-07-05T00:00", MINUTE),
        ("2026-07-05 00:00Z", MINUTE),
        ("2026-07-05T00:00+02:00", MINUTE),
        ("20260705T0000", MINUTE),
        ("7/5/2026 12:05:00 AM", NOTHING),
        ("7/5/2026 13:05:00", NOTHING),
        ("2026-07-05T00:00:00", NOTHING),
        ("2026-07-05T00:00:00-05:00", NOTHING),
        ("20260705T000000", NOTHING),
        ("/Date(1782925509000-0500)/", NOTHING),
    ],
)
def test_a_text_that_leaves_out_seconds_or_the_time_is_known_as_one(text: str, precision: timedelta) -> None:
    """What a bare date names may have happened at any time of the day, and the same with a minute."""
    assert instants.precision(text) == precision


@pytest.mark.parametrize(
    "text",
    ["2/30/2024 1:00 PM", "13/1/2024 1:00 PM", "1/1/2024 0:30 AM", "1/1/2024 13:30 PM", "1/1/2024 1:60 AM",
     "/Date(x)/", "/Date(12", "1/1/2024 24:00", "1/1/2024 13:60", "13/1/2024", "2/30/2024", "1/1/2024 ", "1/1/24", ""],
)  # fmt: skip
def test_service_stack_texts_that_name_no_instant(text: str) -> None:
    """What does not exist is an error; nothing is guessed."""
    with pytest.raises(ValueError, match=r"."):
        instants.from_service_stack(text)


def test_service_stack_iso() -> None:
    """The third form of such a server is ISO 8601, with and without a zone."""
    assert instants.from_service_stack("2024-07-04T20:05:00.1230000Z") == datetime(2024, 7, 4, 20, 5, 0, 123000, UTC)
    assert instants.from_service_stack("2024-07-04T20:05:00", NEW_YORK) == datetime(2024, 7, 5, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("2024-08-07T12:29:23.594Z", True),
        ("2024-08-07T12:29:23+00:00", True),
        ("2024-08-07T12:29:23-03:00", True),
        ("2024-08-07T12:29:23", False),
        ("2024-08-07 12:29:23Z", False),
        ("2024-08-07", False),
        ("20240807T122923Z", False),
        ("", False),
    ],
)
def test_only_a_time_with_t_and_zone_is_passed_on_as_written(text: str, fit: bool) -> None:  # noqa: FBT001 - a table
    """A target that checks date-times must not meet a form that only some of us can read."""
    assert instants.has_zone(text) is fit


@pytest.mark.parametrize("text", ["2024-08-07T12:29:23,594Z", "2024-W32-3T12:00:00Z"])
def test_forms_that_iso_knows_and_targets_do_not_are_written_anew(text: str) -> None:
    """A comma or a week date is right by ISO 8601 and wrong for every date-time check."""
    assert not instants.has_zone(text)


@given(moments, ticks)
def test_floor_and_ceil_are_the_nearest_whole_ticks(moment: datetime, tick: timedelta) -> None:
    """Both are whole ticks from the epoch, and the moment lies between, less than a tick away."""
    low, high = instants.floor(moment, tick), instants.ceil(moment, tick)
    assert low <= moment <= high
    assert moment - low < tick
    assert high - moment < tick
    assert (low - instants.EPOCH) % tick == (high - instants.EPOCH) % tick == timedelta(0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("P7D", 604_800), ("PT6H", 21_600), ("P1W", 604_800), ("P1DT2H3M4S", 93_784), ("PT0.5S", 0.5), ("PT0S", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    """Weeks, days, hours, minutes and seconds have a fixed length."""
    assert instants.duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "P", "7D", "P7", "1 day", "P1M", "P1Y", "P1Y2M3D", "-P1D", "PTXH", "P7D "])
def test_what_is_no_fixed_span_is_refused(text: str) -> None:
    """Months, years and negative spans are no setting that means the same every day."""
    with pytest.raises(ValueError, match=r"."):
        instants.duration(text)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (instants.from_iso, "0001-01-01T00:00:00+05:00"),
        (instants.from_service_stack, "/Date(99999999999999999999)/"),
        (instants.duration, "P99999999999999D"),
    ],
)
def test_what_no_datetime_can_hold_is_a_value_error_too(read: object, text: str) -> None:
    """The docstrings promise a single kind of error."""
    with pytest.raises(ValueError, match=r"."):
        read(text)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("zone", "turn", "hours"),
    [
        ("Europe/Warsaw", datetime(2024, 10, 27, 1, tzinfo=UTC), 1),
        ("Antarctica/Troll", datetime(2024, 10, 27, 1, tzinfo=UTC), 2),
        ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC), 0.5),
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC), 24),
        ("UTC", datetime(2024, 10, 27, 1, tzinfo=UTC), 0),
    ],
)
def test_g1_the_widest_change_of_clocks_comes_from_the_zone(zone: str, turn: datetime, hours: float) -> None:
    """Not from what most zones do; and there is none in a span that lies far from it."""
    at, hour, place = turn, timedelta(hours=1), ZoneInfo(zone)
    for low, high in ((-1, 1), (-1, 0), (0, 1), (-hours - 0.5, -hours), (hours, hours + 1), (-30, 30)):
        assert instants.widest_change(at + low * hour, at + high * hour, place) == hours * hour
    for low, high in ((-90, -60), (60, 90)):
        assert instants.widest_change(at + low * hour, at + high * hour, place) == timedelta(0)
