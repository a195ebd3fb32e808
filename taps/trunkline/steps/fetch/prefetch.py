"""Look ahead: fetch what will be needed next while the current rows are written, and hand everything out in order.

Only the calling thread runs readings (see `context`) and takes items; workers do nothing but requests. So nothing here
needs a lock, and no queue has a consumer that is also its producer. Which requests are in flight never changes what
comes out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline.steps.fetch.client import Cancelled
from trunkline.steps.fetch.context import CountedAnew, FeedFailed, ReadContext, Steps, _Rest

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterable, Iterator

    from trunkline.steps.fetch.context import Feed, PendingReply
    from trunkline.steps.fetch.workers import Workers

BUFFER = 12 * 1024 * 1024
"""Bytes of responses fetched and not yet handed out, at most (and one response more)."""

LOOK_AHEAD = 8
"""Responses fetched and not yet handed out, at most, for each request that may be in flight."""


@dataclass
class _Reading(Steps):
    feed: Feed
    job: Hashable

    @property
    def needed(self) -> PendingReply | None:
        """The pending without which nothing more comes out of this reading."""
        return self.ctx.items[0].pending if self.ctx.items else self.waits_for

    def cancel(self) -> None:
        for cancelled in (self.ctx.cancelled, *self.ctx.abandoned.values()):
            cancelled.set()
        self.ctx.queued.clear()
        self.generator.close()


class Prefetcher:
    """Reads feeds one after the other, looking ahead over pages, windows and feeds.

    Args:
        workers: Who sends the requests.
        feeds: What to read; taken one by one as the look-ahead reaches them.
    """

    def __init__(self, workers: Workers, feeds: Iterable[Feed]) -> None:
        self.workers = workers
        self._coming = iter(feeds)
        self._feeds: deque[Feed] = deque()
        self._readings: list[_Reading] = []
        self._refuted = False  # whether the plan may have changed since the readings were begun
        self._typical = 0  # bytes of the largest response so far: what one under way may bring

    def items(self) -> Generator[tuple[Feed, Any], None, None]:
        """Yield everything the feeds give, in order; a feed that fails gives a `FeedFailed` as its last item.

        Raises:
            BaseException: What `Workers.interrupt` was called with.
        """
        try:
            while self._readings or self._fill():
                yield from self._hand_out(self._readings[0])
                # What was begun ahead may rest on a supposition that the job just read has refuted.
                if self._refuted or self._of_use():
                    self._fill()
                else:
                    self._send()
        finally:
            self._cut(0)

    def drop(self, feed: Feed) -> None:
        """Read nothing more of a feed."""
        for reading in self._readings:
            if reading.feed is feed:
                reading.cancel()
        self._readings = [reading for reading in self._readings if reading.feed is not feed]
        self._feeds = deque(other for other in self._feeds if other is not feed)

    def abandon(self, owner: object) -> None:
        """Send nothing more for an owner (see `ReadContext.request`); what is queued for it ends with `Cancelled`."""
        for reading in self._readings:
            reading.ctx.abandoned[owner].set()  # what waits for its turn or its next try gives up
            for pending in [pending for pending in reading.ctx.queued if pending.owner is owner]:
                reading.ctx.queued.remove(pending)
                pending.sent = pending.done = True
                pending.error = Cancelled()
                reading.ctx.hold(pending)

    # -- handing out -------------------------------------------------------------------------------

    def _hand_out(self, head: _Reading) -> Iterator[tuple[Feed, Any]]:
        """Give what the first reading has; then wait for more of it, or take note of its end."""
        ctx = head.ctx
        while ctx.items and not ctx.cancelled.is_set():
            pending, value, size = ctx.items[0]
            if isinstance(value, _Rest):
                ctx.expand()
                self._send()
                continue
            if pending is not None:
                if not pending.done:
                    break
                ctx.release(pending)
                try:
                    value = value(pending)
                except Exception as exc:  # noqa: BLE001 - the feed's failure, not ours
                    self.drop(head.feed)
                    yield head.feed, FeedFailed(exc)
                    return
            ctx.items.popleft()
            ctx.held -= size
            yield head.feed, value
            self._send()
        if ctx.cancelled.is_set():
            return
        if ctx.items or not head.ended:
            self._wait()
        elif head.error is not None:
            self.drop(head.feed)
            yield head.feed, FeedFailed(head.error)
        else:
            del self._readings[0]
            assert head.outcome is not None  # noqa: S101 - it ended, and without an error
            head.feed.resolve(head.job, head.outcome)
            self._refuted = True

    def _wait(self) -> None:
        pending = self.workers.wait()
        if pending.ctx.cancelled.is_set() or pending.dropped:
            return
        pending.ctx.hold(pending)
        self._typical = max(self._typical, pending.size)
        for place, reading in enumerate(self._readings):
            if reading.ctx is pending.ctx:
                reading.advance()
                self._split(place, reading)
                return

    def _split(self, place: int, reading: _Reading) -> None:
        if reading.outcome is not None and reading.outcome.split:
            first, *others = reading.outcome.split
            reading.feed.split(reading.job, reading.outcome.split)
            reading.ctx.emit(CountedAnew())
            self._readings[place : place + 1] = [
                self._begin(reading.feed, first, reading.ctx),
                *(self._begin(reading.feed, part) for part in others),
            ]

    # -- looking ahead -----------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Start readings of what comes next, as many as the workers can use; False when nothing is left."""
        for place, (feed, job) in enumerate(self._jobs()):
            begun = self._readings[place] if place < len(self._readings) else None
            if begun is None or begun.feed is not feed or begun.job != job:
                # What was begun here rested on a supposition that did not hold.
                self._cut(place)
                if place and not self._of_use():
                    break
                self._readings.append(self._begin(feed, job))
        self._refuted = False
        self._send()
        return bool(self._readings)

    def _jobs(self) -> Iterator[tuple[Feed, Hashable]]:
        while self._feeds and next(self._feeds[0].upcoming(), None) is None:
            self._feeds.popleft()
        for feed in list(self._feeds):
            for job in feed.upcoming():
                yield feed, job
        for feed in self._coming:
            self._feeds.append(feed)
            for job in feed.upcoming():
                yield feed, job

    def _begin(self, feed: Feed, job: Hashable, ctx: ReadContext | None = None) -> _Reading:
        ctx = ctx or ReadContext()
        reading = _Reading(ctx, feed.read(job, ctx), feed, job)
        reading.advance()
        return reading

    def _of_use(self) -> bool:
        """Return whether one more reading keeps a worker busy that would stand idle."""
        if not self._readings:
            return True
        if self.workers.capacity == 1 or len(self._readings) > 2 * self.workers.concurrency:
            return False
        if self.workers.outstanding >= self.workers.capacity:
            return False
        queued = sum(len(reading.ctx.queued) for reading in self._readings)
        return queued + self.workers.outstanding < self.workers.capacity and self._room() > 0

    def _cut(self, place: int) -> None:
        for reading in self._readings[place:]:
            reading.cancel()
        del self._readings[place:]

    def _room(self) -> int:
        """Return the bytes that may still be fetched ahead; 0 or less when enough is held."""
        responses = sum(reading.ctx.responses for reading in self._readings)
        if responses >= LOOK_AHEAD * self.workers.concurrency:
            return 0
        held = sum(reading.ctx.held for reading in self._readings)
        return BUFFER - held - self.workers.outstanding * self._typical

    def _send(self) -> None:
        """Send queued requests: first the one that everything waits for, then others in order while there is room."""
        workers = self.workers
        if not self._readings or workers.outstanding >= workers.capacity:
            return
        needed = self._readings[0].needed
        if needed is not None and not needed.sent and workers.may_send(needed):
            needed.ctx.queued.remove(needed)
            workers.send(needed)
        if workers.capacity == 1:
            return
        room = self._room()
        for reading in self._readings:
            queued = reading.ctx.queued
            while queued and workers.may_send(queued[0]):
                if workers.outstanding >= workers.capacity or room <= 0:
                    return
                workers.send(queued.popleft())
                room -= self._typical
