"""Instants as the sandbox keeps them: whole microseconds since 1970 in UTC, and the texts that vendors make of them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

UTC = timezone.utc
SECOND = 1_000_000
DAY = 86_400 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?",
)
_US = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AP]M))?)?", re.IGNORECASE)
_NOON = 12


def from_datetime(moment: datetime) -> int:
    """Return microseconds since 1970 (UTC) of an aware datetime."""
    gap = moment - _EPOCH
    return (gap.days * 86_400 + gap.seconds) * SECOND + gap.microseconds


def to_datetime(instant: int) -> datetime:
    """Return the aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant)


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


@lru_cache(maxsize=86_400)
def _time(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def iso(instant: int, *, digits: int = 0, between: str = "T", tail: str = "Z") -> str:
    """Write `YYYY-MM-DD<between>HH:MM:SS[.fff]<tail>` in UTC, cut (not rounded) to `digits` decimals."""
    days, rest = divmod(instant, DAY)
    seconds, micros = divmod(rest, SECOND)
    fraction = f".{micros:06d}"[: digits + 1] if digits else ""
    return f"{_day(days)}{between}{_time(seconds)}{fraction}{tail}"


@lru_cache(maxsize=16_384)
def parse_iso(text: str, zone: tzinfo = UTC) -> int | None:
    """Return an ISO 8601 date or date-time as an instant, zone-less ones in `zone`; None when it is neither."""
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            micros,
            tzinfo=_zone(offset) if offset else zone,
        )
    except ValueError:
        return None
    return from_datetime(local)


def _zone(offset: str) -> tzinfo:
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    gap = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-gap if offset[0] == "-" else gap)


@lru_cache(maxsize=16_384)
def parse_us(text: str, zone: tzinfo = UTC) -> int | None:
    """Read `M/d/yyyy [H:mm[:ss] [AM|PM]]` in `zone` as an instant; None when it is something else."""
    found = _US.fullmatch(text)
    if found is None:
        return None
    month, day, year, hour, minute, second, half = found.groups()
    hours = int(hour or 0)
    if half:
        hours = hours % _NOON + (_NOON if half.upper() == "PM" else 0)
    try:
        local = datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second or 0), tzinfo=zone)
    except ValueError:
        return None
    return from_datetime(local)


def us(instant: int, zone: tzinfo = UTC, form: str = "us") -> str:
    """Return a US form in `zone`: `us` is `M/d/yyyy h:mm:ss tt`, `us24` `M/d/yyyy H:mm:ss`.

    Also `us24_minutes`, which is `M/d/yyyy H:mm`, and `us_date`, which is `M/d/yyyy`.
    """
    local = to_datetime(instant).astimezone(zone)
    day = f"{local.month}/{local.day}/{local.year}"
    if form == "us_date":
        return day
    if form == "us24_minutes":
        return f"{day} {local.hour}:{local.minute:02d}"
    if form == "us24":
        return f"{day} {local.hour}:{local.minute:02d}:{local.second:02d}"
    half = "PM" if local.hour >= _NOON else "AM"
    hour = local.hour % _NOON or _NOON
    return f"{day} {hour}:{local.minute:02d}:{local.second:02d} {half}"
