"""Plan: which windows to request. Pure functions on aware instants; nothing here knows a vendor or the clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from trunkline import instants

if TYPE_CHECKING:
    from datetime import datetime

GROW_AFTER = 4
"""Empty windows in a row before the next one is longer: a weekend (two) or a holiday must not change the rhythm."""

MOST_PIECES = 64
"""Pieces that a window is split into at once, at most."""

MINUTE = timedelta(minutes=1)
"""Seams lie on whole minutes: a server that rounds the bounds of its filter leaves those as they are."""

_ROOM = 1.4  # pieces more than the density requires: rows do not come evenly


@dataclass(frozen=True)
class Window:
    """The span of time from `since` (inclusive; None: from the beginning of time) to `until` (exclusive), in UTC.

    Args:
        since: Lower edge.
        until: Upper edge.
        seam: Whether the first row on the lower edge must come with this window: another window ends there, or a run
            begins. It is then requested from a grain earlier, as no vendor is certain about whether the lower end of
            its filter is inclusive and how it is rounded.
        whole_total: The vendor's total for the window that this one is a half of, where it was too large.
    """

    since: datetime | None
    until: datetime
    seam: bool = False
    whole_total: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        since = instants.to_iso(self.since) if self.since else "the beginning"
        return f"{since} to {instants.to_iso(self.until)}"

    def holds(self, instant: datetime) -> bool:
        """Return whether `instant` belongs to this window: the row on the upper edge is the next window's."""
        return (self.since is None or self.since <= instant) and instant < self.until

    def is_rounded(self, total: int, tolerance: timedelta | None) -> bool:
        """Return whether the vendor's filter rounds further than this half of a window is long: it holds no less.

        Args:
            total: The vendor's total for this window.
            tolerance: How far the filter may round.
        """
        short = self.since is not None and tolerance is not None and self.until - self.since <= tolerance
        return short and total == self.whole_total

    def halves(self, grain: timedelta) -> tuple[Window, Window] | None:
        """Split on a whole `grain` in the middle; None when the window is a single grain and can't be split."""
        if self.since is None and self.until <= instants.EPOCH:
            return None  # no call data is older; what lies there is read page by page
        since = self.since or instants.EPOCH
        middle = instants.floor(since + (self.until - since) / 2, grain)
        if middle >= self.until or (self.since is not None and middle <= self.since):
            return None
        return replace(self, until=middle), replace(self, since=middle, seam=True)

    def pieces(self, low: datetime, high: datetime, grain: timedelta) -> tuple[Window, ...]:
        """Split so that a piece should hold what a response can: by how much of the span one full response covered.

        A response in order of time covers a small part of the span, and shows how dense the rest is; one without order
        covers nearly all of it, and then the span is halved.

        Args:
            low: The earliest instant in the response.
            high: The latest one.
            grain: The shortest span that is requested alone.

        Returns:
            The pieces in order, without a gap or an overlap; none when the window is a single grain.
        """
        since = self.since or max(instants.floor(low, grain), instants.EPOCH)
        if since >= self.until:  # what came does not lie in the window: it shows nothing of how dense that is
            return self.halves(grain) or ()
        first = [] if self.since else [replace(self, until=since)]
        rest = self if self.since else Window(since, self.until, seam=True)
        density = _ROOM * (self.until - since) / max(high - low, grain)
        parts = rest.cut(int(min(MOST_PIECES, density)), grain)
        return (*first, *parts) if len(first) + len(parts) > len(first) + 1 else self.halves(grain) or ()

    def cut(self, count: int, grain: timedelta) -> tuple[Window, ...]:
        """Split into `count` pieces of about one length, at most `MOST_PIECES`, their seams on whole grains.

        Returns:
            The pieces in order, fewer where the window has too few grains; none when it can't be split.
        """
        halves = self.halves(grain)
        if halves is None or self.since is None or count <= len(halves):
            return halves or ()
        step = (self.until - self.since) / min(count, MOST_PIECES)
        edges = [instants.floor(self.since + step * n, grain) for n in range(1, min(count, MOST_PIECES))]
        inner = sorted({edge for edge in edges if self.since < edge < self.until})
        lows, highs = [self.since, *inner], [*inner, self.until]
        return tuple(
            Window(low, high, seam=self.seam or low is not self.since) for low, high in zip(lows, highs, strict=True)
        )

    def bounds(self, tick: timedelta, grain: timedelta, latest: datetime) -> tuple[datetime | None, datetime]:
        """Return the edges to request, on whole ticks; what lies outside of the window belongs to its neighbours.

        Args:
            tick: Smallest difference that the vendor's filter knows.
            grain: What it may round to.
            latest: The run's start: later rows are not requested, as they would keep moving the pages.
        """
        since = self.since
        if since is not None:
            since = instants.floor(since, grain) - grain if self.seam else instants.floor(since, tick)
        return since, max(instants.ceil(self.until, tick), min(instants.ceil(self.until, grain), latest))


@dataclass(frozen=True)
class Start:
    """The place where a stream begins to read, and the reason.

    Args:
        at: The first instant requested; None means everything the vendor has.
        why: One clause for the log.
        bookmark: The bookmark to continue from, capped at the run's start.
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
    bookmark = max(bookmark, instants.EARLIEST)  # year 1, a server's form of "no date", has no room for a lookback
    if start_date and start_date > bookmark:
        return Start(start_date, "start_date, which is newer than the bookmark", bookmark)
    at = bookmark - lookback
    if start_date and at < start_date:
        return Start(start_date, "start_date, which the lookback does not pass", bookmark)
    return Start(at, f"the bookmark {instants.to_iso(bookmark)} less the lookback", bookmark)


def end(*, end_date: datetime | None, run_start: datetime, tick: timedelta) -> datetime:
    """Return the end (exclusive): `end_date` as it stands, else the run's start floored to the vendor's tick."""
    return end_date or instants.floor(run_start, tick)


@dataclass(frozen=True)
class Pace:
    """The progress of the plan: the next window begins `at`, after `empties` windows in a row without a row.

    The same responses give the same windows whatever is fetched ahead, so that the output does not depend on it.
    """

    at: datetime
    until: datetime
    length: timedelta
    grain: timedelta = timedelta(0)
    empties: int = 0
    begun: bool = False
    longest: timedelta | None = None
    """The longest span that the vendor returns in full: empty windows do not grow beyond it."""

    @property
    def window(self) -> Window | None:
        """The next window, or None when the plan is at its end."""
        if self.at >= self.until:
            return None
        rest = self.until - self.at
        # What is requested before the lower edge counts towards the longest span to be requested at once.
        length = self.length - self.grain if self.begun and self.length > self.grain else self.length
        factor = 2 ** min(max(0, self.empties - GROW_AFTER + 1), 32)
        if self.longest is not None:
            factor = min(factor, max(1, (self.longest - self.grain) // length))
        # Compared by division: the product of a long window and a large factor overflows a timedelta.
        if rest / factor <= length:
            return Window(self.at, self.until, seam=self.begun)
        until = self.at + length * factor
        return Window(self.at, instants.floor(until, self.grain) if self.grain else until, seam=self.begun)

    def after(self, window: Window, *, empty: bool) -> Pace:
        """Return the plan once `window` was read, or is supposed to have been."""
        return replace(self, at=window.until, empties=self.empties + 1 if empty else 0, begun=True)

    def noted(self, *, empty: bool) -> Pace:
        """Return the plan once one more part of a window that was split was read."""
        return replace(self, empties=self.empties + 1 if empty else 0)

    @property
    def likely_empty(self) -> bool:
        """The supposed outcome of a window not read yet: more of the same once the windows have begun to grow."""
        return self.empties >= GROW_AFTER
