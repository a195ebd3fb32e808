"""Days on which rows are to be expected, gaps among them, and the labels below a chart."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

FEWEST = 14
"""Days that a chart has room for at least."""

_OFTEN = 0.5  # a weekday counts as one with rows when at least this share of them had some
_WEEK = 7


def span(first: date, last: date) -> Iterator[date]:
    """Yield the days from the first to the last one."""
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def midnight(day: date, zone: tzinfo | None) -> datetime:
    """Return the instant at which a day begins in a zone: a day of a change of clocks has 23 or 25 hours."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def usual_weekdays(days: Sequence[tuple[date, int]]) -> set[int]:
    """Find the weekdays on which rows are to be expected: a call centre that rests on Sundays has no gap there."""
    seen: Counter[int] = Counter(day.weekday() for day, _ in days)
    had: Counter[int] = Counter(day.weekday() for day, count in days if count)
    return {weekday for weekday, times in seen.items() if had[weekday] >= _OFTEN * times}


def count_days(newest: date, today: date, usual: set[int]) -> int:
    """Count the days between two on which rows are to be expected."""
    return sum(day.weekday() in usual for day in span(newest + timedelta(days=1), today - timedelta(days=1)))


def weekday_words(usual: set[int]) -> str:
    """Name days of the week."""
    if len(usual) == _WEEK:
        return "every day"
    return ", ".join(f"{date(2024, 1, 1 + weekday):%a}" for weekday in sorted(usual))  # that year began on a Monday


def gaps(holes: Sequence[date], counted: Mapping[date, int]) -> Iterator[tuple[date, date]]:
    """Join gaps that no day with rows parts: a quiet weekend in between does not."""
    first = last = None
    for day in holes:
        if first and last and not any(counted.get(between) for between in span(last, day)):
            last = day
            continue
        if first and last:
            yield first, last
        first = last = day
    if first and last:
        yield first, last


def ticks(days: Sequence[date]) -> list[tuple[str, float]]:
    """Label the first day, then the first of months, or Mondays where there are few days."""
    marks = [n for n, day in enumerate(days) if day.day == 1] if len(days) > 45 else []  # noqa: PLR2004 - a month and a half
    if not marks:
        marks = [n for n, day in enumerate(days) if day.weekday() == 0] or [0]
    marks = marks[:: math.ceil(len(marks) / 6)]
    return [(f"{days[n]:%d %b}", 100 * (n + 0.5) / max(len(days), FEWEST)) for n in marks]
