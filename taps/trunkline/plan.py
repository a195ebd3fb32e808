"""Plan: which windows to ask for. Pure functions on aware instants; nothing here knows a vendor or the clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from trunkline import instants

if TYPE_CHECKING:
    from datetime import datetime

GROW_AFTER = 4
"""Empty windows in a row before the next one is longer: a weekend (two) or a holiday must not change the rhythm."""

MOST_PIECES = 64
"""Pieces that a window is split into at once, at most."""

_ROOM = 1.4  # pieces more than the density asks for: rows do not come evenly


@dataclass(frozen=True)
class Window:
    """The span of time from `since` (inclusive; None: from the beginning of time) to `until` (exclusive), in UTC.

    Args:
        since: Lower edge.
        until: Upper edge.
        seam: Whether another window ends at the lower edge. It is then asked for from a tick earlier, as no vendor says
            for certain whether the lower end of its filter is inclusive.
    """

    since: datetime | None
    until: datetime
    seam: bool = False

    def __str__(self) -> str:
        since = instants.to_iso(self.since) if self.since else "the beginning"
        return f"{since} to {instants.to_iso(self.until)}"

    def holds(self, instant: datetime) -> bool:
        """Whether `instant` belongs to this window: the row on the upper edge is the next window's."""
        return (self.since is None or self.since <= instant) and instant < self.until

    def halves(self, tick: timedelta) -> tuple[Window, Window] | None:
        """Split on a whole `tick` in the middle; None when the window is a single tick and can't be split."""
        if self.since is None and self.until <= instants.EPOCH:
            return None  # nothing with a telephone in it is older; what lies there is read page by page
        since = self.since or instants.EPOCH
        middle = instants.floor(since + (self.until - since) / 2, tick)
        if middle >= self.until or (self.since is not None and middle <= self.since):
            return None
        return replace(self, until=middle), replace(self, since=middle, seam=True)

    def pieces(self, low: datetime, high: datetime, tick: timedelta) -> tuple[Window, ...]:
        """Split so that a piece should hold what an answer can: by how much of the span one full answer covered.

        An answer in order of time covers a small part of the span, and tells how dense the rest is; one without order
        covers nearly all of it, and then the span is halved.

        Args:
            low: The earliest instant in the answer.
            high: The latest one.
            tick: What the vendor's filter can tell apart.

        Returns:
            The pieces in order, without a gap or an overlap; none when the window is a single tick.
        """
        halves = self.halves(tick)
        if halves is None:
            return ()
        since = self.since or max(instants.floor(low, tick), instants.EPOCH)
        if since >= self.until:
            return halves  # what came does not lie in the window: it says nothing about how dense that is
        span = self.until - since
        count = min(MOST_PIECES, int(_ROOM * span / max(high - low, tick)))
        step = instants.floor(instants.EPOCH + span / max(count, 1), tick) - instants.EPOCH
        if count <= len(halves) or step < tick:
            return halves
        edges = [since + step * n for n in range(count)]
        firsts = [] if self.since else [replace(self, until=since)]
        uppers = [*edges[1:], self.until]
        seams = [self.seam if self.since else True, *([True] * (count - 1))]
        return (*firsts, *(Window(low, high, seam) for low, high, seam in zip(edges, uppers, seams, strict=True)))

    def asked(self, tick: timedelta) -> tuple[datetime | None, datetime]:
        """The edges to ask for, on whole ticks; the row on the upper one is the next window's."""
        since = self.since - tick if self.since and self.seam else self.since
        return since, instants.ceil(self.until, tick)


@dataclass(frozen=True)
class Start:
    """Where a stream begins to read, and why.

    Args:
        at: The first instant asked for; None means everything the vendor has.
        why: One clause for the log.
        bookmark: The bookmark to go on from, capped at the run's start.
    """

    at: datetime | None
    why: str
    bookmark: datetime | None


def start(*, bookmark: datetime | None, start_date: datetime | None, lookback: timedelta, run_start: datetime) -> Start:
    """Decide where to read from.

    The lookback widens the query and never moves the bookmark; it does not reach before `start_date`. A `start_date`
    newer than the bookmark wins. A bookmark in the future (a phone with a wrong clock) counts as the run's start.
    """
    if bookmark is None:
        return Start(start_date, "start_date" if start_date else "no bookmark and no start_date: everything", None)
    bookmark = min(bookmark, run_start)
    bookmark = max(bookmark, instants.EARLIEST)  # year 1, a server's way to say "no date", has no room for a lookback
    if start_date and start_date > bookmark:
        return Start(start_date, "start_date, which is newer than the bookmark", bookmark)
    at = bookmark - lookback
    if start_date and at < start_date:
        return Start(start_date, "start_date, which the lookback does not pass", bookmark)
    return Start(at, f"the bookmark {instants.to_iso(bookmark)} less the lookback", bookmark)


def end(*, end_date: datetime | None, run_start: datetime, tick: timedelta) -> datetime:
    """Where to stop (exclusive): `end_date` as it stands, else the run's start floored to the vendor's tick."""
    return end_date or instants.floor(run_start, tick)


@dataclass(frozen=True)
class Pace:
    """How far the plan has come: the next window begins `at`, after `empties` windows in a row without a row.

    The same answers give the same windows whatever is fetched ahead, so that the output does not depend on it.
    """

    at: datetime
    until: datetime
    length: timedelta
    overlap: timedelta = timedelta(0)
    empties: int = 0
    begun: bool = False

    @property
    def window(self) -> Window | None:
        """The next window, or None when the plan is at its end."""
        if self.at >= self.until:
            return None
        rest = self.until - self.at
        # What a window asks for before its lower edge counts towards the longest span to be asked for at once.
        length = self.length - self.overlap if self.begun and self.length > self.overlap else self.length
        factor = 2 ** min(max(0, self.empties - GROW_AFTER + 1), 32)
        # Compared by division: the product of a long window and a large factor overflows a timedelta.
        until = self.until if rest / factor <= length else self.at + length * factor
        return Window(self.at, until, seam=self.begun)

    def after(self, window: Window, *, empty: bool) -> Pace:
        """The plan once `window` was read, or is supposed to have been."""
        return replace(self, at=window.until, empties=self.empties + 1 if empty else 0, begun=True)

    def noted(self, *, empty: bool) -> Pace:
        """The plan once one more part of a window that was split was read."""
        return replace(self, empties=self.empties + 1 if empty else 0)

    @property
    def likely_empty(self) -> bool:
        """What to suppose of a window not read yet: more of the same once the windows have begun to grow."""
        return self.empties >= GROW_AFTER
