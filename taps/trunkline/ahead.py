"""Look ahead: fetch what will be needed next while the current rows are written, and hand everything out in order.

A *reading* is a generator that asks for answers and gives out items:

    def read(self, job, desk):
        first = desk.ask(request, open_body)      # a ticket: sent when its turn or a free worker comes
        reply = yield first                       # the reading sleeps until the ticket is answered
        desk.give(rows, reply)                    # handed out when everything given before it was
        desk.give_later(ticket, make_item)        # the same, once the ticket is answered
        return Outcome(empty=False)

Only the calling thread runs readings and takes items; workers do nothing but requests. So nothing here needs a lock,
and no queue has a consumer that is also its producer. Which requests are in flight never changes what comes out.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trunkline.client import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence

    from trunkline.client import Client, Reply, Request

BUFFER = 12 * 1024 * 1024
"""Bytes of answers fetched and not yet handed out, at most (and one answer more)."""

LOOK_AHEAD = 8
"""Answers fetched and not yet handed out, at most, for each request that may be in flight."""


class Ticket:
    """One request on its way: wanted, sent, or answered with a reply or an error."""

    __slots__ = ("cancelled", "desk", "done", "dropped", "error", "open_body", "owner", "reply", "request", "sent")

    def __init__(self, desk: Desk, request: Request, open_body: Callable[[Reply], Any], owner: object) -> None:
        self.desk, self.request, self.open_body, self.owner = desk, request, open_body, owner
        self.cancelled = desk.cancelled if owner is None else desk.abandoned[owner]
        self.sent = self.done = self.dropped = False
        self.reply: Reply | None = None
        self.error: BaseException | None = None

    def result(self) -> Reply:
        """The reply, or the error raised."""
        if self.error is not None:
            raise self.error
        assert self.reply is not None  # noqa: S101 - an answered ticket has one or the other
        return self.reply

    @property
    def size(self) -> int:
        """Bytes held by the reply."""
        return len(self.reply.body) if self.reply is not None else 0


@dataclass(frozen=True)
class Outcome:
    """How a reading ended.

    Args:
        empty: No row came.
        split: The jobs to read instead, in order, because this one was too large or did not hold still. What it has
            given until then is handed out before what the first of them gives.
    """

    empty: bool = False
    split: tuple[Hashable, ...] = ()


@dataclass(frozen=True)
class Failure:
    """The last item of a feed that ended early: its other jobs are not read any more."""

    error: Exception


class Feed(Protocol):
    """Jobs that are read in order and fail together: a stream's windows, one campaign's, or a single lookup.

    Args:
        context: What names the partition; empty when the feed is the whole stream.
        listeners: The streams that want what is read.
    """

    context: Mapping[str, Any]
    listeners: Sequence[Any]

    def upcoming(self) -> Iterator[Hashable]:
        """The jobs still to read, in order; all but the first may rest on a supposition about those before."""

    def read(self, job: Any, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
        """Read one job."""

    def split(self, job: Any, parts: tuple[Any, ...]) -> None:
        """Take note that `parts` are read in the place of `job`."""

    def resolve(self, job: Any, outcome: Outcome) -> None:
        """Take note that the first upcoming job was read and all its items were handed out."""


class _Rest(NamedTuple):
    """What stands for items that are made when their turn comes."""

    make: Callable[[], None]


class _Item(NamedTuple):
    ticket: Ticket | None
    value: Any  # the item, or what makes it from the answered ticket
    size: int


class Desk:
    """What a reading sees: here it asks, and here it gives its items."""

    def __init__(self) -> None:
        self.wanted: deque[Ticket] = deque()
        self.items: deque[_Item] = deque()
        self.cancelled = threading.Event()
        self.abandoned: defaultdict[object, threading.Event] = defaultdict(threading.Event)  # by owner
        self.held = 0  # bytes of answers that were not handed out
        self.answers = 0  # their number

    def ask(self, request: Request, open_body: Callable[[Reply], Any], owner: object = None) -> Ticket:
        """Want a request; it is sent in its turn. The `owner` can be abandoned while others go on."""
        ticket = Ticket(self, request, open_body, owner)
        self.wanted.append(ticket)
        return ticket

    def forget(self, tickets: Iterable[Ticket]) -> None:
        """Drop these requests; the answers to those already sent are ignored."""
        for ticket in tickets:
            if ticket in self.wanted:
                self.wanted.remove(ticket)
            elif ticket.done:
                self.take(ticket)
            else:
                ticket.dropped = True

    def give(self, item: Any, reply: Reply | None = None) -> None:
        """Hand out an item after everything given before; `reply` is the answer whose bytes it keeps alive."""
        size = len(reply.body) if reply else 0
        self.held += size
        self.items.append(_Item(None, item, size))

    def give_later(self, ticket: Ticket, make_item: Callable[[Ticket], Any]) -> None:
        """Hand out `make_item(ticket)` once the ticket is answered, after everything given before."""
        self.items.append(_Item(ticket, make_item, 0))

    def give_rest(self, make: Callable[[], None]) -> None:
        """Give whatever `make` gives, made when its turn comes: a page of a million rows is not a million requests."""
        self.items.append(_Item(None, _Rest(make), 0))

    def expand(self) -> None:
        """Put what the first item stands for in its place."""
        rest = self.items.popleft().value
        behind, self.items = self.items, deque()
        rest.make()
        self.items.extend(behind)

    def put_by(self, ticket: Ticket) -> None:
        """An answer has come and waits for its turn."""
        self.held += ticket.size
        self.answers += 1

    def take(self, ticket: Ticket) -> None:
        """An answer's turn has come."""
        self.held -= ticket.size
        self.answers -= 1


@dataclass
class Steps:
    """A generator that waits for tickets, run as far as their answers are there.

    Args:
        desk: Where it queues requests and gives items.
        generator: The generator.
    """

    desk: Desk
    generator: Generator[Ticket, Reply, Outcome]
    waits_for: Ticket | None = field(default=None, kw_only=True)
    outcome: Outcome | None = field(default=None, kw_only=True)
    error: Exception | None = field(default=None, kw_only=True)

    def advance(self) -> None:
        """Run the generator until it waits for an unanswered ticket, or to its end."""
        try:
            while not self.ended:
                ticket = self.waits_for
                if ticket is None:
                    self.waits_for = next(self.generator)
                    continue
                if not ticket.done:
                    return
                self.desk.take(ticket)
                if ticket.error is not None:
                    self.waits_for = self.generator.throw(ticket.error)
                else:
                    self.waits_for = self.generator.send(ticket.result())
        except StopIteration as end:
            self.outcome, self.waits_for = end.value, None
        except Exception as exc:  # noqa: BLE001 - kept until its turn comes: what was read before is good
            self.error, self.waits_for = exc, None

    @property
    def ended(self) -> bool:
        """Whether it came to its end, be it by an error."""
        return self.outcome is not None or self.error is not None


@dataclass
class _Reading(Steps):
    feed: Feed
    job: Hashable

    @property
    def needed(self) -> Ticket | None:
        """The ticket without which nothing more comes out of this reading."""
        return self.desk.items[0].ticket if self.desk.items else self.waits_for

    def cancel(self) -> None:
        for cancelled in (self.desk.cancelled, *self.desk.abandoned.values()):
            cancelled.set()
        self.desk.wanted.clear()
        self.generator.close()


class Workers:
    """The threads that send requests; begun when first needed, shared by everything a tap reads.

    Args:
        client: Sends the requests.
        concurrency: Requests in flight at most, and so threads at most.
    """

    def __init__(self, client: Client, concurrency: int) -> None:
        self.client, self.concurrency = client, concurrency
        self.outstanding = 0
        self._answered: SimpleQueue[Ticket | BaseException] = SimpleQueue()
        self._wanted: SimpleQueue[Ticket | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._begun: set[str] = set()  # streams and partitions of which a request was sent
        self._known: set[str] = set()  # and of which one has ended

    @property
    def capacity(self) -> int:
        """Tickets that may be out: beside those in flight as many wait, so that no thread has to wait for us.

        One, until a request of the run has succeeded: wrong credentials must not knock eight times.
        """
        return 1 if self.concurrency == 1 or not self.client.succeeded.is_set() else 2 * self.concurrency

    def may_send(self, ticket: Ticket) -> bool:
        """Whether a ticket's stream (or partition) is known to answer, or nothing of it is under way.

        What the account may not read costs one request, and not as many as there are workers.
        """
        return ticket.request.stream in self._known or ticket.request.stream not in self._begun

    def send(self, ticket: Ticket) -> None:
        """Let a worker send the ticket's request."""
        ticket.sent = True
        self._begun.add(ticket.request.stream)
        self.outstanding += 1
        if len(self._threads) < min(self.concurrency, self.outstanding):
            # Daemons: a request that hangs must not keep a stopped process alive until it times out.
            thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._wanted.put(ticket)

    def interrupt(self, reason: BaseException) -> None:
        """Wake the thread that waits for an answer with an exception; safe to call from a signal handler."""
        self._answered.put(reason)

    def wait(self) -> Ticket:
        """The next answered ticket.

        Raises:
            BaseException: What `interrupt` was called with.
        """
        answer = self._answered.get()
        if isinstance(answer, BaseException):
            raise answer
        self.outstanding -= 1
        self._known.add(answer.request.stream)
        return answer

    def close(self, seconds: float = 1.0) -> None:
        """End the threads; those whose requests hang longer than `seconds` are left to die with the process."""
        for _ in self._threads:
            self._wanted.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (ticket := self._wanted.get()) is not None:
            try:
                ticket.reply = self.client.fetch(ticket.request, ticket.open_body, ticket.cancelled)
            except BaseException as exc:  # noqa: BLE001 - whatever it is, it belongs to the thread that waits
                ticket.error = exc
            ticket.done = True
            self._answered.put(ticket)


class Ahead:
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
        self._typical = 0  # bytes of the largest answer so far: what one under way may bring

    def items(self) -> Generator[tuple[Feed, Any], None, None]:
        """Everything the feeds give, in order; a feed that fails gives a `Failure` as its last item.

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
        """Send nothing more for an owner (see `Desk.ask`); what stands in line for it is answered with `Cancelled`."""
        for reading in self._readings:
            reading.desk.abandoned[owner].set()  # what waits for its turn or its next try gives up
            for ticket in [ticket for ticket in reading.desk.wanted if ticket.owner is owner]:
                reading.desk.wanted.remove(ticket)
                ticket.sent = ticket.done = True
                ticket.error = Cancelled()
                reading.desk.put_by(ticket)

    # -- handing out -------------------------------------------------------------------------------

    def _hand_out(self, head: _Reading) -> Iterator[tuple[Feed, Any]]:
        """Give what the first reading has; then wait for more of it, or take note of its end."""
        desk = head.desk
        while desk.items and not desk.cancelled.is_set():
            ticket, value, size = desk.items[0]
            if isinstance(value, _Rest):
                desk.expand()
                self._send()
                continue
            if ticket is not None:
                if not ticket.done:
                    break
                desk.take(ticket)
                try:
                    value = value(ticket)
                except Exception as exc:  # noqa: BLE001 - the feed's failure, not ours
                    self.drop(head.feed)
                    yield head.feed, Failure(exc)
                    return
            desk.items.popleft()
            desk.held -= size
            yield head.feed, value
            self._send()
        if desk.cancelled.is_set():
            return
        if desk.items or not head.ended:
            self._wait()
        elif head.error is not None:
            self.drop(head.feed)
            yield head.feed, Failure(head.error)
        else:
            del self._readings[0]
            assert head.outcome is not None  # noqa: S101 - it ended, and without an error
            head.feed.resolve(head.job, head.outcome)
            self._refuted = True

    def _wait(self) -> None:
        ticket = self.workers.wait()
        if ticket.desk.cancelled.is_set() or ticket.dropped:
            return
        ticket.desk.put_by(ticket)
        self._typical = max(self._typical, ticket.size)
        for place, reading in enumerate(self._readings):
            if reading.desk is ticket.desk:
                reading.advance()
                self._split(place, reading)
                return

    def _split(self, place: int, reading: _Reading) -> None:
        if reading.outcome is not None and reading.outcome.split:
            first, *others = reading.outcome.split
            reading.feed.split(reading.job, reading.outcome.split)
            self._readings[place : place + 1] = [
                self._begin(reading.feed, first, reading.desk),
                *(self._begin(reading.feed, part) for part in others),
            ]

    # -- looking ahead -----------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Have readings for what comes next, as many as the workers can use; False when nothing is left."""
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

    def _begin(self, feed: Feed, job: Hashable, desk: Desk | None = None) -> _Reading:
        desk = desk or Desk()
        reading = _Reading(desk, feed.read(job, desk), feed, job)
        reading.advance()
        return reading

    def _of_use(self) -> bool:
        """Whether one more reading keeps a worker busy that would stand idle."""
        if not self._readings:
            return True
        if self.workers.capacity == 1 or len(self._readings) > 2 * self.workers.concurrency:
            return False
        if self.workers.outstanding >= self.workers.capacity:
            return False
        wanted = sum(len(reading.desk.wanted) for reading in self._readings)
        return wanted + self.workers.outstanding < self.workers.capacity and self._room() > 0

    def _cut(self, place: int) -> None:
        for reading in self._readings[place:]:
            reading.cancel()
        del self._readings[place:]

    def _room(self) -> int:
        """Bytes that may still be fetched ahead; 0 or less when enough is held."""
        answers = sum(reading.desk.answers for reading in self._readings)
        if answers >= LOOK_AHEAD * self.workers.concurrency:
            return 0
        held = sum(reading.desk.held for reading in self._readings)
        return BUFFER - held - self.workers.outstanding * self._typical

    def _send(self) -> None:
        """Send wanted tickets: first the one that everything waits for, then others in order while there is room."""
        workers = self.workers
        if not self._readings or workers.outstanding >= workers.capacity:
            return
        needed = self._readings[0].needed
        if needed is not None and not needed.sent and workers.may_send(needed):
            needed.desk.wanted.remove(needed)
            workers.send(needed)
        if workers.capacity == 1:
            return
        room = self._room()
        for reading in self._readings:
            wanted = reading.desk.wanted
            while wanted and workers.may_send(wanted[0]):
                if workers.outstanding >= workers.capacity or room <= 0:
                    return
                workers.send(wanted.popleft())
                room -= self._typical
