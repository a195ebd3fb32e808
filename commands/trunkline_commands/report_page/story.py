"""The page's part about a stream."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from trunkline_commands.report_page.proven import Proven
    from trunkline_commands.report_page.tables import Table

RECENT = 30
"""Days in the small charts, and in which gaps count for the summary."""


class Bar(NamedTuple):
    """A day of the chart, or a bucket of the distribution.

    Args:
        label: What it stands for.
        rows: How many.
        height: Of the chart's height, from 0 to 100.
        kind: `gap` for a day that should have rows and has none, `overdue` for one after the latest row, `today`,
            `weekend`, or nothing.
    """

    label: str
    rows: int
    height: float
    kind: str = ""


class Share(NamedTuple):
    """One value of an outcome: how many rows, how much of them all, and where its part of the bar begins."""

    value: str
    rows: int
    percent: float
    start: float
    place: int


@dataclass
class Story:
    """The page's part about a stream.

    Args:
        table: The table.
        rows: Rows in all.
        latest: The latest moment that is not in the future.
        age: How long before the report that was, in words.
        missed: Days that should have had rows since then.
        future: Rows later than the report.
        timeless: Rows without a time.
        days: The days shown, with their rows.
        bars: The same as a chart.
        ticks: Labels below the chart, and where they stand, from 0 to 100.
        top: What the full height of the chart stands for.
        gaps: Days that should have rows and have none, as spans.
        weekdays: The days of the week that usually have rows, in words.
        week: Rows of the last seven days before the report's own, and of the seven before them; the latter None where
            rows begin later.
        durations: The distribution.
        length: What is measured by it, and its quantiles in words.
        outcomes: Shares by column.
        proven: What is known of the completeness of the days shown, where the tap has written proofs.
        left_out: Figures that could not be made, and why.
        name: The stream, with its schema where another one holds the same stream.
    """

    table: Table
    rows: int
    latest: datetime | None = None
    age: str = ""
    missed: int = 0
    future: int = 0
    timeless: int = 0
    days: list[tuple[date, int]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    ticks: list[tuple[str, float]] = field(default_factory=list)
    top: int = 0
    gaps: list[tuple[date, date]] = field(default_factory=list)
    weekdays: str = ""
    week: tuple[int, int | None] = (0, None)
    durations: list[Bar] = field(default_factory=list)
    length: tuple[str, list[tuple[str, str]]] = ("", [])
    outcomes: list[tuple[str, list[Share]]] = field(default_factory=list)
    proven: Proven | None = None
    left_out: list[str] = field(default_factory=list)
    name: str = ""

    @contextmanager
    def figure(self, name: str) -> Iterator[None]:
        """Let one figure fail alone: it is left out and named, and the page has all others."""
        before = dict(self.__dict__)
        try:
            yield
        except Exception as problem:  # noqa: BLE001 - a row may bring about any error
            self.__dict__.update(before)
            # The words of the database quote values.
            self.left_out.append(f"{name} ({type(problem).__name__})")

    @property
    def verdict(self) -> str:
        """`fresh`, `late`, `empty`, or `untimed` where rows have no time."""
        if not self.rows:
            return "empty"
        if not self.latest:
            return "untimed"
        return "late" if self.missed else "fresh"

    @property
    def recent(self) -> list[Bar]:
        """The last days, for the small chart."""
        return self.bars[-RECENT:]

    @property
    def recent_gaps(self) -> int:
        """Gap days among the last ones."""
        return sum(bar.kind == "gap" for bar in self.recent)

    @property
    def proven_days(self) -> list[tuple[date, str]]:
        """The days shown, each with whether it is proven."""
        return list(zip([day for day, _ in self.days], self.proven.days, strict=True)) if self.proven else []

    @property
    def trend(self) -> str:
        """The last seven days against the seven before."""
        now, before = self.week
        return f"{100 * (now - before) / before:+.0f} %" if before else ""
