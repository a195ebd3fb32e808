"""Points in time: read from every form a vendor writes, kept as aware datetimes in UTC, compared as instants."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone, tzinfo

if sys.version_info >= (3, 11):
    _from_iso = datetime.fromisoformat
else:  # 3.10's own knows no `Z`
    from backports.datetime_fromisoformat import datetime_fromisoformat as _from_iso

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING = datetime.min.replace(tzinfo=UTC)
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # no start is older: nothing with a telephone in it is
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
_WIDEST, _STEP = DAY, timedelta(hours=1)

_MS_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?(?: ([AaPp][Mm]))?)?", re.ASCII)
_BARE_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{4}|[\dW-]+", re.ASCII)
_NO_SECONDS = re.compile(r"[^T ]+[T ]\d{1,2}:?\d{2}(?: [AaPp][Mm]|Z|[+-]\d{2}:?\d{2})?", re.ASCII)
_MAIL_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2})(?::(\d{2}))?"
    r" (?:(UTC?|GMT|Z)|([+-]\d{2})(\d{2}))",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PLAIN_LENGTH = len("2021-08-10 00:00:00")
_AFTER_SECONDS = (".", "Z")
_HOURS_HALF_DAY = 12
_NEXT_MIDNIGHT = "24"
"""An hour that ISO 8601 and newer Pythons know, and RFC 3339 does not."""


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


class NullTimeError(ValueError):
    """A text that stands for no time at all, such as the null date of .NET."""


def now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def from_iso(text: str, zone: tzinfo = UTC) -> datetime:
    """Read an ISO 8601 date or date-time; a value without a zone is taken to be in `zone`.

    Args:
        text: For example `2024-08-07T12:29:23.594Z`, `2021-08-10 00:00:00` or `2026-01-01`.
        zone: The zone of a zone-less value. In the hour that a change of clocks repeats, the first pass is meant.

    Returns:
        An aware datetime in UTC.

    Raises:
        ValueError: The text is no such date.
    """
    value: datetime = _from_iso(text)
    try:
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ValueError("the date is outside the calendar") from None


def read(text: str, zone: tzinfo = UTC) -> tuple[datetime, str]:
    """Read a date-time and return how it is to be written: as it stands where it is RFC 3339, else in UTC.

    Args:
        text: The vendor's text, ISO 8601 or RFC 2822.
        zone: The zone of a zone-less value.

    Returns:
        The instant in UTC, and its text.

    Raises:
        ValueError: The text is no such date.
    """
    if zone is UTC and len(text) == _PLAIN_LENGTH and text[4] == text[7] == "-" and text[13] == ":":
        written = f"{text[:10]}T{text[11:]}+00:00"
        instant = _from_iso(written)
        if text[11:13] != _NEXT_MIDNIGHT:
            return instant, written  # what some vendors write, known without another look
    try:
        value = _from_iso(text)
    except ValueError:
        instant = from_rfc2822(text)
        return instant, to_iso(instant)
    if (
        value.tzinfo is UTC
        and text[7:8] == "-"
        and text[10:11] == "T"
        and text[11:13] != _NEXT_MIDNIGHT
        and text[16:17] == ":"
        and text[-1:] == "Z"
        and text[-2:-1] != "."
        and text[19:20] in _AFTER_SECONDS
    ):
        return value, text  # what nearly all others write, the same
    instant = from_iso(text, zone)
    return instant, text if has_zone(text) else to_iso(instant)


def from_service_stack(text: str, zone: tzinfo = UTC) -> datetime:
    r"""Read the forms a ServiceStack server writes: ISO 8601, `/Date(ms±zone)/` and `M/d/yyyy[ h:mm[:ss][ tt]]`.

    Args:
        text: The server's text. A US time without AM or PM is one of a 24-hour clock, a bare date is its midnight.
        zone: The zone of a zone-less value.

    Returns:
        An aware datetime in UTC.

    Raises:
        ValueError: The text has none of the three forms, or names a date that does not exist.
    """
    if match := _MS_DATE.fullmatch(text):
        # The offset only shows where the clock on the wall stood; the number already counts from the UTC epoch.
        try:
            return EPOCH + timedelta(milliseconds=int(match[1]))
        except OverflowError:
            raise ValueError("the date is outside the calendar") from None
    if match := _US_DATE.fullmatch(text):
        month, day, year, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        if match[7]:
            if not 1 <= hour <= _HOURS_HALF_DAY:
                raise ValueError(f"{hour} is no hour of a twelve-hour clock")
            hour = hour % _HOURS_HALF_DAY + (_HOURS_HALF_DAY if match[7].lower() == "pm" else 0)
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
        except OverflowError:
            raise ValueError("the date is outside the calendar") from None
    return from_iso(text, zone)


def from_rfc2822(text: str) -> datetime:
    """Read the form of a date in mail and in headers of HTTP: `Fri, 18 Oct 2019 17:02:00 +0000`.

    Args:
        text: With or without the day's name, which is not checked, and the seconds. Its zone is an offset, or `GMT`,
            `UTC`, `UT` or `Z`.

    Returns:
        An aware datetime in UTC.

    Raises:
        ValueError: The text has another form, or names a date that does not exist.
    """
    match = _MAIL_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        raise ValueError("the text is no date of ISO 8601 or RFC 2822")
    hours, minutes = (0, 0) if match[7] else (int(match[8]), int(match[8][0] + match[9]))
    zone = timezone(timedelta(hours=hours, minutes=minutes))
    day, year, hour, minute, second = (int(part or 0) for part in match.group(1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        raise ValueError("the date is outside the calendar") from None


def precision(text: str) -> timedelta:
    """Return the span that a text means where it leaves out seconds (a minute) or the time (a day); else zero.

    Args:
        text: A text that could be read as an instant, such as `7/5/2026`, `7/5/2026 13:05` or `2026-07-05`.
    """
    if _BARE_DATE.fullmatch(text):
        return DAY
    return MINUTE if _NO_SECONDS.fullmatch(text) else timedelta(0)


def has_zone(text: str) -> bool:
    """Return whether a date-time is written as RFC 3339 has it, zone included, so that it can be passed on as is."""
    return _RFC3339.fullmatch(text) is not None


def to_iso(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC, with as many digits as it needs: `2024-08-07T12:29:23.594000+00:00`."""
    return instant.astimezone(UTC).isoformat()


def to_seconds(instant: datetime) -> str:
    """Write an instant as `YYYY-MM-DDTHH:MM:SSZ`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_day(instant: datetime) -> str:
    """Write the day of an instant in UTC as `YYYY-MM-DD`, for filters that know whole days only."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d")


def to_epoch_ms(instant: datetime) -> str:
    """Write an instant as whole milliseconds since 1970."""
    return str((instant - EPOCH) // timedelta(milliseconds=1))


def to_epoch(instant: datetime) -> str:
    """Write an instant as whole seconds since 1970, as some vendors' filters read it."""
    return str((instant - EPOCH) // SECOND)


def from_epoch(number: float | str | None, unit: timedelta = SECOND) -> str | None:
    """Return UNIX seconds as ISO 8601 in UTC, for a field computed from them; None stays None.

    Args:
        number: As a number, or as its digits in a text.
        unit: What is counted.

    Raises:
        ValueError: It is no number, or the date is outside the calendar.
    """
    if number is None:
        return None
    try:
        return (EPOCH + (int(number) if isinstance(number, str) else number) * unit).isoformat()
    except OverflowError:
        raise ValueError("the date is outside the calendar") from None


def from_epoch_ms(number: float | str | None) -> str | None:
    """Return milliseconds since 1970 as ISO 8601 in UTC; see `from_epoch`."""
    return from_epoch(number, timedelta(milliseconds=1))


def floor(instant: datetime, tick: timedelta) -> datetime:
    """Return the last whole `tick` (counted from 1970-01-01T00:00Z) that is not after `instant`."""
    return instant - (instant - EPOCH) % tick


def ceil(instant: datetime, tick: timedelta) -> datetime:
    """Return the first whole `tick` (counted from 1970-01-01T00:00Z) that is not before `instant`."""
    return instant + (EPOCH - instant) % tick


def widest_change(since: datetime, until: datetime, zone: tzinfo) -> timedelta:
    """Return the widest change of a zone's clocks that can make a time in a span ambiguous; zero where there is none.

    Args:
        since: The span's lower end, in UTC.
        until: Its upper end.
        zone: The zone; most change by an hour, Antarctica/Troll by two, a crossing of the date line by a day.
    """
    widest, moment = timedelta(0), since - _WIDEST - _STEP
    offset = moment.astimezone(zone).utcoffset() or widest
    while moment < until + _WIDEST:
        moment += _STEP
        changed = moment.astimezone(zone).utcoffset() or timedelta(0)
        by, offset = abs(changed - offset), changed
        if since - by - _STEP <= moment <= until + by + _STEP:
            widest = max(widest, by)
    return widest


def duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of weeks, days, hours, minutes and seconds.

    Args:
        text: For example `P7D` or `PT6H`.

    Returns:
        The span of time, never negative.

    Raises:
        ValueError: The text is no such duration, or has months or years, which have no fixed length.
    """
    import isodate  # an eighth of our own start-up, and of no use to `--version` and `--discover`

    try:
        value = isodate.parse_duration(text)  # ISO8601Error is a ValueError
    except (OverflowError, ArithmeticError):
        raise ValueError("the duration is too long") from None
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise ValueError("months and years have no fixed length, and a duration is not negative")
    return value
