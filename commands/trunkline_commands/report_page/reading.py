"""Reads from the file the page's part about a stream."""

# ruff: noqa: S608 - every name in a query went through `quoted`

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from trunkline_commands.report_page import days as calendar
from trunkline_commands.report_page import measures
from trunkline_commands.report_page.proven import read_proven
from trunkline_commands.report_page.story import Bar, Story
from trunkline_commands.report_page.tables import quoted
from trunkline_commands.report_page.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline_commands.report_page.tables import Connection, Table

_WEEK, _WEEKEND = 7, {5, 6}


def read_story(connection: Connection, table: Table, now: datetime, days: int) -> Story:
    """Read the page's part about a stream.

    Args:
        connection: The file.
        table: The table.
        now: The report's moment, in the time zone that days are counted in.
        days: How many days to show at most.
    """
    place = f"{quoted(table.schema)}.{quoted(table.stream)}"
    story = Story(table, 0)
    with story.figure("rows"):
        (story.rows,) = connection.execute(f"SELECT count(*) FROM {place}").fetchone() or (0,)
    if not story.rows:
        return story
    within = "true"
    if table.time:
        at = quoted(table.time)
        with story.figure("latest"):
            _add_times(connection, story, place, at, now)
        if story.latest:
            with story.figure("rows by day"):
                _add_days(connection, story, place, at, now, days)
        if story.days:
            within = f"CAST({at} AS DATE) BETWEEN DATE '{story.days[0][0]}' AND DATE '{story.days[-1][0]}'"
    if table.has_proofs:
        with story.figure("proven days"):
            story.proven = read_proven(connection, table, [day for day, _ in story.days], now)
    with story.figure("durations"):
        measures.add_durations(connection, story, place, within)
    for name in table.outcomes:
        with story.figure(name):
            if shares := measures.read_shares(connection, place, name, within, story.rows):
                story.outcomes.append((name, shares))
    return story


def _add_times(connection: Connection, story: Story, place: str, at: str, now: datetime) -> None:
    # As epoch microseconds a time needs no package for its zone.
    latest, future, timeless = connection.execute(
        f"SELECT max(epoch_us({at})) FILTER (epoch_us({at}) <= $1), count(*) FILTER (epoch_us({at}) > $1), "
        f"count(*) FILTER ({at} IS NULL) FROM {place}",
        [int(now.timestamp() * 1_000_000)],
    ).fetchone() or (None, 0, 0)
    story.future, story.timeless = future, timeless
    if latest is not None:
        story.latest = datetime.fromtimestamp(latest // 1_000_000, timezone.utc).astimezone(now.tzinfo)
        story.age = words((now - story.latest).total_seconds())


def _add_days(  # noqa: PLR0913, PLR0917 - one query's parts
    connection: Connection, story: Story, place: str, at: str, now: datetime, days: int
) -> None:
    assert story.latest  # noqa: S101 - called only then
    today, newest = now.date(), story.latest.date()
    # Old data are shown where they are, not as an empty chart.
    last = today if newest > today - timedelta(days=days) else newest
    begin = date.fromordinal(max(last.toordinal() - days + 1, date.min.toordinal()))
    last_week, before = today - timedelta(days=_WEEK), today - timedelta(days=2 * _WEEK)
    counted = dict(
        connection.execute(
            f"SELECT CAST({at} AS DATE) AS day, count(*) FROM {place} "
            f"WHERE CAST({at} AS DATE) BETWEEN $1 AND $2 GROUP BY 1",
            [min(begin, before), max(newest, last)],
        ).fetchall()
    )
    older, long_ago = connection.execute(
        f"SELECT count(*) FILTER (CAST({at} AS DATE) < $1), count(*) FILTER (CAST({at} AS DATE) <= $2) FROM {place}",
        [begin, before],
    ).fetchone() or (0, 0)
    begin = begin if older else min(counted)
    story.week = _week(counted, today), _week(counted, last_week) if long_ago else None
    story.days = [(day, counted.get(day, 0)) for day in calendar.span(begin, last)]
    usual = calendar.usual_weekdays(story.days[: (newest - begin).days + 1])
    story.weekdays = calendar.weekday_words(usual)
    holes = {day for day, count in story.days if not count and day.weekday() in usual and day != today}
    story.missed = sum(day > newest for day in holes) if last == today else calendar.count_days(newest, today, usual)
    story.gaps = list(calendar.gaps(sorted(day for day in holes if day < newest), counted))
    story.top = max(count for _, count in story.days)
    bars = []
    for day, count in story.days:
        hole = "overdue" if day > newest else "gap"
        kind = hole if day in holes else "today" if day == today else "weekend" if day.weekday() in _WEEKEND else ""
        bars.append(Bar(f"{day:%a %Y-%m-%d}", count, 100 * count / max(story.top, 1), kind))
    story.bars = bars
    story.ticks = calendar.ticks([day for day, _ in story.days])


def _week(counted: Mapping[date, int], end: date) -> int:
    """Add up the seven days before one."""
    return sum(counted.get(end - timedelta(days=n), 0) for n in range(1, _WEEK + 1))
