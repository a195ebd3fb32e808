"""Days of a stream that are proven, from the proofs of windows that the tap has written beside its rows."""

# ruff: noqa: S608 - every name in a query went through `quoted`

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from trunkline_commands.report_page.days import midnight
from trunkline_commands.report_page.tables import PROOFS, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from trunkline_commands.report_page.tables import Connection, Table

    Span = tuple[datetime, datetime]


class Proven(NamedTuple):
    """Facts known about a stream's completeness.

    Args:
        days: For each day shown `whole`, `partly` or `not`.
        up_to: Where the newest proof ends; of a full table when it was read.
        windows: How many windows were proven in all.
    """

    days: Sequence[str]
    up_to: datetime
    windows: int

    @property
    def whole(self) -> int:
        """Days shown that are proven from their beginning to their end."""
        return sum(day == "whole" for day in self.days)


def read_proven(connection: Connection, table: Table, days: Sequence[date], now: datetime) -> Proven | None:
    """Read which days are proven.

    Args:
        connection: The file.
        table: The table of the stream.
        days: The days shown.
        now: The report's moment, in the time zone that days are counted in.

    Returns:
        None where there is no proof of the stream.
    """
    rows = connection.execute(
        f"SELECT partition, epoch_us(since), epoch_us(until) FROM {quoted(table.schema)}.{quoted(PROOFS)} "
        "WHERE stream = $1 ORDER BY 1, 2, 3",
        [table.stream],
    ).fetchall()
    if not rows:
        return None
    spans = [
        list(_merged((_moment(since), _moment(until)) for _, since, until in group))
        for _, group in itertools.groupby(rows, key=lambda row: row[0])
    ]
    marks = [_day(spans, midnight(day, now.tzinfo), midnight(day + timedelta(days=1), now.tzinfo)) for day in days]
    return Proven(marks, max(until for part in spans for _, until in part).astimezone(now.tzinfo), len(rows))


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, timezone.utc)


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Join spans that touch or overlap; they come in the order of their beginnings."""
    held: Span | None = None
    for since, until in spans:
        if held and since <= held[1]:
            held = held[0], max(held[1], until)
            continue
        if held:
            yield held
        held = since, until
    if held:
        yield held


def _day(partitions: Sequence[Sequence[Span]], begin: datetime, end: datetime) -> str:
    """Return whether a day is proven in every partition; partly where it is in some, or for some of its hours."""
    whole = [any(since <= begin and end <= until for since, until in spans) for spans in partitions]
    if all(whole):
        return "whole"
    touched = any(since < end and begin < until for spans in partitions for since, until in spans)
    return "partly" if touched else "not"
