"""Feeds of windows: which window is next, who listens to its rows, and what happens when it is proven."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trunkline import instants
from trunkline.steps.plan import Pace, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from trunkline.steps.fetch.context import PendingReply, ReadContext, ReadOutcome
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Start


@dataclass(frozen=True)
class Proof:
    """The way that a reading was shown to be complete.

    Args:
        rows: Rows of the reading.
        how: `total` (as many different rows as the vendor counts), `read_twice` (two readings agree), `not_cut_off`
            (one response, and nothing stands behind its last row), `pages_ended` (the chain of pages came to its end)
            or `each_answered` (each row or value has its own response).
        vendor_total: The vendor's own count; None where it has none.
    """

    rows: int
    how: str
    vendor_total: int | None = None

    @classmethod
    def of_parts(cls, parts: Sequence[Proof]) -> Proof:
        """Return the proof of what was read in parts; it names what the vendor itself contributes least to."""
        totals = [part.vendor_total for part in parts]
        total = None if None in totals else sum(filter(None, totals))
        return cls(sum(part.rows for part in parts), max((part.how for part in parts), key=_HOW.index), total)


_HOW = ("total", "pages_ended", "not_cut_off", "read_twice", "each_answered")


@dataclass(frozen=True)
class WindowProven:
    """Everything of this window was given, and it adds up.

    Args:
        window: The span.
        proof: How that was shown.
        read_from: When its reading began, aware.
        read_to: When it ended.
    """

    window: Window
    proof: Proof = Proof(0, "total")
    read_from: datetime = field(default=instants.EPOCH, compare=False)
    read_to: datetime = field(default_factory=instants.now, compare=False)


@dataclass(frozen=True)
class WindowUnsettled:
    """The newest part of a run: everything of it that came was given, but it does not hold still.

    Args:
        window: The span.
        why: How its readings differ, for the log.
    """

    window: Window
    why: str


class Jobs:
    """Jobs in order, windows planned as the responses come.

    Args:
        first: Jobs that stand at the beginning as they are.
        pace: The windows after them, if any.
    """

    def __init__(self, first: Sequence[Hashable], pace: Pace | None) -> None:
        self._queue: deque[Hashable] = deque(first)
        self._pace = pace
        self._parts: dict[Hashable, tuple[Hashable, ...]] = {}

    def preceded_by(self, job: Hashable) -> Jobs:
        """Return the same jobs, with one more before all others."""
        self._queue.appendleft(job)
        return self

    def upcoming(self) -> Iterator[Hashable]:
        """Yield the jobs still to read; windows that rest on a supposition are long empty ones, or of usual length."""
        for job in self._queue:
            yield from self._leaves(job)
        pace = self._pace
        while pace and (window := pace.window):
            yield from self._leaves(window)
            pace = pace.after(window, empty=pace.likely_empty)

    def _leaves(self, job: Hashable) -> Iterator[Hashable]:
        for part in self._parts.get(job, ()):
            yield from self._leaves(part)
        if job not in self._parts:
            yield job

    def split(self, job: Hashable, parts: tuple[Hashable, ...]) -> None:
        """Read `parts` in the place of `job`."""
        self._parts[job] = parts

    def resolve(self, job: Hashable, outcome: ReadOutcome) -> None:
        """Note that the first upcoming job was read."""
        if self._queue:
            leaves = list(self._leaves(self._queue.popleft()))
            self._queue.extendleft(reversed(leaves[1:]))
            if self._pace and isinstance(job, Window):
                self._pace = self._pace.noted(empty=outcome.empty)
            return
        assert self._pace is not None  # noqa: S101 - with no queue, the job came from the pace
        window = self._pace.window
        assert window is not None  # noqa: S101 - same
        self._queue.extend(list(self._leaves(window))[1:])
        self._pace = self._pace.after(window, empty=outcome.empty and not self._queue)


def windows(  # noqa: PLR0913 - the facts of a vendor's filter, each by its name
    start: Start,
    until: datetime,
    *,
    length: timedelta,
    tick: timedelta,
    grain: timedelta,
    lookback: timedelta,
    beginning: datetime | None,
    inclusive: bool,
    longest: timedelta | None = None,
) -> Jobs:
    """Plan the windows of a stream from where it starts.

    Args:
        start: Where to begin, and why.
        until: Where to end (exclusive).
        length: Longest span requested at once.
        tick: Smallest difference that the vendor's filter knows.
        grain: What it may round to: seams lie on whole ones.
        lookback: What is read again before a bookmark.
        beginning: What stands for "everything" in the vendor's filter; None for no lower filter at all.
        inclusive: Whether the vendor documents without contradiction that the lower end of its filter is inclusive.
        longest: The longest span that the vendor returns in full, if it has one.

    Returns:
        The jobs; with no place to start, a single window that is halved as needed.
    """
    if start.at is None:
        return Jobs([Window(beginning, until)], None)
    # A filter that knows whole ticks is requested from the tick the start lies in.
    at = instants.floor(start.at, tick)
    length = max(instants.floor(instants.EPOCH + length, grain) - instants.EPOCH, grain)
    # The first instant of all is requested from a grain earlier where the vendor may take its filter's end as exclusive
    # or round it. After a bookmark that instant was read before; what stands just behind it, a lookback reads again.
    exact = inclusive if start.bookmark is None else lookback >= grain
    return Jobs([], Pace(at, until, length, grain=grain, begun=not exact, longest=longest))


class Listener(Protocol):
    """A stream that takes what a feed brings."""

    name: Any
    run: Any


class WindowFeed:
    """The windows of a stream (or of one of its partitions), and the streams that take their rows.

    Args:
        jobs: What to read.
        read: Reads one job.
        context: What names the partition; empty for a stream without partitions.
        listeners: The streams that take the rows.
    """

    def __init__(
        self,
        jobs: Jobs,
        read: Callable[[Any, ReadContext], Generator[PendingReply, Reply, ReadOutcome]],
        context: Mapping[str, Any],
        listeners: Sequence[Listener],
    ) -> None:
        self.jobs, self._read, self.context, self.listeners = jobs, read, context, listeners
        self.upcoming, self.split, self.resolve = jobs.upcoming, jobs.split, jobs.resolve

    def read(self, job: Any, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read one job."""
        return self._read(job, ctx)
