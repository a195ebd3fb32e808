"""Judges of the filter: whether it acts, by which time, how exactly, and what its ends are. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from trunkline import instants
from trunkline_commands.doctor.finding import CONFIRMED, REFUTED, UNKNOWN, Finding
from trunkline_commands.doctor.rows import roughly, several

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from trunkline_commands.doctor.rows import Row, Seen

_FEW, _MANY_PAIRS = 3, 300


@dataclass(frozen=True)
class Span:
    """A span that was requested.

    Args:
        since: Its lower end.
        until: Its upper end.
        tick: The smallest difference that the filter knows.
    """

    since: datetime
    until: datetime
    tick: timedelta = instants.SECOND

    def is_inside(self, row: Row, by: str) -> bool:
        """Return whether a row lies inside, whatever the ends are and whatever its time leaves out."""
        at = row.moments.get(by)
        return at is not None and self.since < at and at + row.coarse < self.until

    def is_outside(self, row: Row, by: str) -> bool:
        """Return whether a row lies outside, whatever the ends are and whatever its time leaves out."""
        at = row.moments.get(by)
        return at is not None and (at + row.coarse < self.since or at >= self.until + self.tick)

    def parted(self, rows: Iterable[Row], by: str, other: str) -> list[Row]:
        """Return the rows that lie inside by one of two times and outside by the other one."""
        pairs = ((by, other), (other, by))
        return [
            row for row in rows if any(self.is_inside(row, one) and self.is_outside(row, two) for one, two in pairs)
        ]

    def reach(self, rows: Iterable[Row], by: str) -> timedelta:
        """Return how far outside rows lie at most."""
        times = [row.moments[by] for row in rows if by in row.moments]
        return max((max(self.since - at, at - self.until) for at in times), default=timedelta(0))


def choose_span(rows: Sequence[Row], by: str, tick: timedelta, others: Sequence[str] = ()) -> Span | None:
    """Choose the span among known rows that shows most: rows on its ends, inside and outside.

    Args:
        rows: Known rows.
        by: The field to filter by.
        tick: The smallest difference that the filter knows.
        others: Other fields that the vendor may look at instead.

    Returns:
        The span; None where the rows are too few.
    """
    times = sorted({row.moments[by] for row in rows if by in row.moments})
    edges = sorted({instants.floor(at, tick) for at in times})
    if len(edges) < _FEW:
        return None
    exact = {at for at in times if at == instants.floor(at, tick)}
    step = max(1, len(edges) // _MANY_PAIRS)
    width = max(2, min(_FEW + 1, len(edges) // 3))
    spans = [Span(edges[n], edges[n + width], tick) for n in range(0, len(edges) - width, step)]
    return max(spans, key=lambda span: _worth(span, rows, by, others, exact))


def _worth(
    span: Span, rows: Sequence[Row], by: str, others: Sequence[str], exact: Iterable[datetime]
) -> tuple[int, int, int, int]:
    inside = {row.key for row in rows if span.is_inside(row, by)}
    outside = [row for row in rows if span.is_outside(row, by)]
    shows = sum(bool(span.parted(rows, by, other)) for other in others)
    day = instants.DAY
    near = any(instants.floor(row.moments[by], day) == instants.floor(span.since, day) for row in outside)
    return shows, bool(inside) + bool(outside), (span.since in exact) + (span.until in exact), near


@dataclass(frozen=True)
class Filtered:
    """A narrow span, and the rows that came for it.

    Args:
        span: The span.
        known: Rows known from a longer span.
        seen: What came.
        by: The field that the tap presumes.
        tolerance: How far outside rows may lie before the tap fails the stream; None: any.
        lookback: How far back each run reads again, where that was chosen for this account.
        far: What came of a span far from all known rows, where that was requested.
    """

    span: Span
    known: Sequence[Row]
    seen: Seen
    by: str
    tolerance: timedelta | None = None
    lookback: timedelta = timedelta(0)
    far: Seen | None = None

    @property
    def outside(self) -> list[Row]:
        """Rows that came from outside of the span."""
        return [row for row in self.seen.rows if self.span.is_outside(row, self.by)]

    @property
    def left_out(self) -> int:
        """Known rows outside of the span that did not come."""
        got = {row.key for row in self.seen.rows}
        return sum(self.span.is_outside(row, self.by) and row.key not in got for row in self.known)

    @property
    def is_in_doubt(self) -> bool:
        """Whether the filter may be ignored, or only be rounded to days on which all known rows lie."""
        return bool(self.outside) and not self.left_out and self.span.reach(self.outside, self.by) <= instants.DAY

    @property
    def is_ignored(self) -> bool | None:
        """Whether the filter is ignored; None where that is unknown."""
        if not self.outside:
            return False
        if self.is_in_doubt:
            return None if self.far is None or not self.far.ok else bool(self.far.rows)
        full = bool(self.seen.requested and len(self.seen.rows) >= self.seen.requested)
        return not self.left_out or (full and self.span.reach(self.outside, self.by) > instants.DAY)


def filtered(stream: str, found: Filtered) -> list[Finding]:
    """Judge whether the filter acts, by which time, how exactly, and what its ends are."""
    span, by, seen = found.span, found.by, found.seen
    if not seen.ok:
        return [Finding(stream, "filter", UNKNOWN, seen.problem)]
    got = {row.key for row in seen.rows}
    missing = [row for row in found.known if span.is_inside(row, by) and row.key not in got]
    other = _other_field(found) if missing or found.outside else ""
    if other:
        return _looks_at(stream, found, other)
    if missing:
        return [_missing(stream, found, len(missing))]
    return [_acts(stream, found), *([] if found.is_ignored in {None, True} else _ends_as(stream, found))]


def _acts(stream: str, found: Filtered) -> Finding:
    outside, came = len(found.outside), len(found.seen.rows)
    if found.is_ignored or found.is_ignored is None:
        what = f"{outside} of {came} rows lie outside of the span that was requested"
        return Finding(stream, "filter", REFUTED if found.is_ignored else UNKNOWN, what)
    if found.left_out:
        seen = f"{came} rows came, {found.left_out} outside of the span did not"
        return Finding(stream, "filter", CONFIRMED, seen)
    if outside:
        return Finding(stream, "filter", CONFIRMED, f"{came} rows came, and none with a span far from them")
    return Finding(stream, "filter", UNKNOWN, "no row is known outside of the span")


def _ends_as(stream: str, found: Filtered) -> list[Finding]:
    if found.outside:
        return [_rounded(stream, found)]
    exact = [Finding(stream, "exact", CONFIRMED, "no row from outside")] if found.left_out else []
    return [*exact, *ends(stream, found)]


def _missing(stream: str, found: Filtered, missing: int) -> Finding:
    """Report rows inside that did not come: one or two may have changed since, but not all of several."""
    seen = f"{missing} rows that lie inside of a span did not come with it, {len(found.outside)} from outside did"
    inside = sum(found.span.is_inside(row, found.by) for row in found.known)
    clear = not found.seen.follows and (found.outside or missing == inside >= _FEW)
    return Finding(stream, "filter", REFUTED if clear else UNKNOWN, seen)


def _other_field(found: Filtered) -> str:
    """Return another time of the rows that agrees with what came; empty where there is none."""
    span, got = found.span, {row.key for row in found.seen.rows}
    for name in sorted({name for row in found.known for name in row.moments} - {found.by}):
        fits = all(name in row.moments and not span.is_outside(row, name) for row in found.seen.rows)
        whole = all(row.key in got for row in found.known if span.is_inside(row, name))
        left_out = any(span.is_outside(row, name) and row.key not in got for row in found.known)
        if fits and whole and left_out:
            return name
    return ""


def _looks_at(stream: str, found: Filtered, other: str) -> list[Finding]:
    """Report the cost of a filter that looks at another time; where the tap is ready for that, judge it by that."""
    seen = f"what came agrees with {other}, and not with {found.by}"
    if found.tolerance is not None:
        return [Finding(stream, "filter", REFUTED, seen, advice="Report it: the bookmark must count by another field")]
    both = [row.moments for row in found.known if {found.by, other} <= row.moments.keys()]
    latest = max((times[found.by] - times[other] for times in both), default=timedelta(0))
    seen += f"; rows changed up to {roughly(latest)} later"
    if latest <= found.lookback:
        when = Finding(stream, "filter-time", CONFIRMED, f"{seen}, which lookback covers")
    else:
        days = math.ceil(latest / instants.DAY) + 1
        when = Finding(stream, "filter-time", REFUTED, seen, setting="lookback", value=f"P{days}D")
    return [when, *filtered(stream, replace(found, by=other))]


def filter_time(stream: str, found: Filtered, others: Sequence[str]) -> Finding:
    """Judge which of several times the filter looks at, where what came agrees with the presumed one."""
    if found.seen.ok and all(found.span.parted(found.known, found.by, name) for name in others):
        return Finding(stream, "filter-time", CONFIRMED, f"what came agrees with {found.by} alone")
    why = found.seen.problem or f"{found.by} and {several(others)} lie too close together to show which"
    return Finding(stream, "filter-time", UNKNOWN, why)


def _rounded(stream: str, found: Filtered) -> Finding:
    """Report how far outside rows lay, and what the tap makes of that."""
    day, span, outside = instants.DAY, found.span, found.outside
    reach, low, high = span.reach(outside, found.by), instants.floor(span.since, day), instants.ceil(span.until, day)
    whole_days = all(low <= row.moments[found.by] < max(high, span.until + day) for row in outside)
    rounds = "the ends are read as whole days" if whole_days and reach > instants.MINUTE else "the ends are rounded"
    seen = f"{len(outside)} rows from outside, {roughly(reach)} at most: {rounds}"
    covered = found.tolerance is None or reach <= max(found.tolerance, span.tick)
    cost = "" if covered else "the stream fails, as it takes the filter for ignored"
    return Finding(stream, "exact", REFUTED, seen, cost=cost)


def ends(stream: str, found: Filtered) -> list[Finding]:
    """Judge whether the ends are inclusive, by rows that lie on them."""
    span, by, got = found.span, found.by, {row.key for row in found.seen.rows}
    known = {row.key: row for row in (*found.known, *found.seen.rows) if by in row.moments and not row.coarse}.values()
    low = [row.key in got for row in known if row.moments[by] == span.since]
    high = [row.key in got for row in known if row.moments[by] == span.until]
    # The filter may count in whole ticks: a row later in the last one shows that it is let through, or nothing.
    later = [row.key in got for row in known if span.until < row.moments[by] < span.until + span.tick]
    high = high or [one for one in later if one]
    return [_end(stream, "lower-end", low), _end(stream, "upper-end", high)]


def _end(stream: str, fact: str, came: Sequence[bool]) -> Finding:
    if not came or len(set(came)) > 1:
        return Finding(
            stream, fact, UNKNOWN, "no known row lies exactly on it" if not came else "of the rows on it some came"
        )
    if came[0]:
        return Finding(stream, fact, CONFIRMED, "the row on it came")
    return Finding(stream, fact, REFUTED, "the row on it did not come: the end is exclusive")


def one_end(stream: str, findings: Sequence[Finding], found: Filtered) -> list[Finding]:
    """Judge whether one end of a span acts alone, where both together did not.

    Args:
        stream: The stream.
        findings: What both together showed.
        found: What came with the upper end alone.
    """
    span, by, got = found.span, found.by, {row.key for row in found.seen.rows}
    later = [row for row in found.known if row.moments.get(by, span.until) >= span.until + span.tick]
    acts = found.seen.ok and bool(later) and not any(row.key in got for row in later)
    if not acts or any(row.moments.get(by, span.until) >= span.until + span.tick for row in found.seen.rows):
        return list(findings)
    alone = Finding(stream, "filter", CONFIRMED, f"one end alone acts: {len(later)} later rows did not come")
    both = next(one.seen for one in findings if one.fact == "filter")
    return [alone, Finding(stream, "combine", REFUTED, f"with both ends {both}")]


def combined(stream: str, found: Filtered, states: Sequence[str | None] = (), requested: Sequence[str] = ()) -> Finding:
    """Judge whether rows fulfil several filters at once: both ends of a span, or a span and one of some values.

    Args:
        stream: The stream.
        found: The span, and what came.
        states: The value of each row.
        requested: Values that were requested.
    """
    seen = found.seen
    if not seen.ok:
        return Finding(stream, "combine", UNKNOWN, seen.problem)
    outside = sum(found.span.is_outside(row, found.by) for row in seen.rows)
    others = sum(state not in requested for state in states)
    if outside or others:
        what = f"of {len(seen.rows)} rows {outside} lie outside of the span, {others} have another value"
        return Finding(stream, "combine", REFUTED, what)
    if not seen.rows:
        return Finding(stream, "combine", UNKNOWN, "no row fulfils all of them")
    return Finding(stream, "combine", CONFIRMED, f"all of {len(seen.rows)} rows fulfil all of them")
