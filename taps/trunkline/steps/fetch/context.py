"""Context of a reading: it queues requests, sleeps until the responses are there, and emits what it makes of them.

A *reading* is a generator:

    def read(self, job, ctx):
        first = ctx.request(request, open_body)      # a pending: sent when its turn or a free worker comes
        reply = yield first                       # the reading sleeps until the pending has a reply
        ctx.emit(rows, reply)                    # handed out when everything given before it was
        ctx.emit_when_answered(pending, make_item)        # the same, once the pending has a reply
        return ReadOutcome(empty=False)
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trunkline import instants

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence

    from trunkline.steps.fetch.exchange import Reply, Request


class PendingReply:
    """One request on its way: queued, sent, or done with a reply or an error."""

    __slots__ = ("cancelled", "ctx", "done", "dropped", "error", "open_body", "owner", "reply", "request", "sent")

    def __init__(self, ctx: ReadContext, request: Request, open_body: Callable[[Reply], Any], owner: object) -> None:
        self.ctx, self.request, self.open_body, self.owner = ctx, request, open_body, owner
        self.cancelled = ctx.cancelled if owner is None else ctx.abandoned[owner]
        self.sent = self.done = self.dropped = False
        self.reply: Reply | None = None
        self.error: BaseException | None = None

    def result(self) -> Reply:
        """Return the reply, or the error raised."""
        if self.error is not None:
            raise self.error
        assert self.reply is not None  # noqa: S101 - a finished pending has one or the other
        return self.reply

    @property
    def size(self) -> int:
        """Bytes held by the reply."""
        return len(self.reply.body) if self.reply is not None else 0


@dataclass(frozen=True)
class ReadOutcome:
    """The end of a reading.

    Args:
        empty: No row came.
        split: The jobs to read instead, in order, because this one was too large or did not hold still. What it has
            given until then is handed out before what the first of them gives.
    """

    empty: bool = False
    split: tuple[Hashable, ...] = ()


@dataclass(frozen=True)
class CountedAnew:
    """Marker: what was given until here belongs to no window that will be proven; parts of it are read again."""


@dataclass(frozen=True)
class FeedFailed:
    """The last item of a feed that ended early: its other jobs are not read any more."""

    error: Exception


class Feed(Protocol):
    """Jobs that are read in order and fail together: a stream's windows, one campaign's, or a single lookup.

    Args:
        context: What names the partition; empty when the feed is the whole stream.
        listeners: The streams that take what is read.
    """

    context: Mapping[str, Any]
    listeners: Sequence[Any]

    def upcoming(self) -> Iterator[Hashable]:
        """Yield the jobs still to read, in order; all but the first may rest on a supposition about those before."""

    def read(self, job: Any, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read one job."""

    def split(self, job: Any, parts: tuple[Any, ...]) -> None:
        """Take note that `parts` are read in the place of `job`."""

    def resolve(self, job: Any, outcome: ReadOutcome) -> None:
        """Take note that the first upcoming job was read and all its items were handed out."""


class _Rest(NamedTuple):
    """Stand-in for an item that is made when its turn comes."""

    make: Callable[[], None]


class _Item(NamedTuple):
    pending: PendingReply | None
    value: Any  # the item, or the function that makes it from the finished pending
    size: int


class ReadContext:
    """Context of one reading: it queues requests here, and emits its items."""

    def __init__(self) -> None:
        self.queued: deque[PendingReply] = deque()
        self.items: deque[_Item] = deque()
        self.cancelled = threading.Event()
        self.abandoned: defaultdict[object, threading.Event] = defaultdict(threading.Event)  # by owner
        self.began = instants.now()
        """When the reading began."""
        self.held = 0  # bytes of responses that were not handed out
        self.responses = 0  # their number

    def request(self, request: Request, open_body: Callable[[Reply], Any], owner: object = None) -> PendingReply:
        """Queue a request; it is sent in its turn. The `owner` can be abandoned while others continue."""
        pending = PendingReply(self, request, open_body, owner)
        self.queued.append(pending)
        return pending

    def forget(self, queued: Iterable[PendingReply]) -> None:
        """Drop these requests; the responses to those already sent are ignored."""
        for pending in queued:
            if pending in self.queued:
                self.queued.remove(pending)
            elif pending.done:
                self.release(pending)
            else:
                pending.dropped = True

    def emit(self, item: Any, reply: Reply | None = None) -> None:
        """Hand out an item after everything given before; `reply` is the response whose bytes it keeps alive."""
        size = len(reply.body) if reply else 0
        self.held += size
        self.items.append(_Item(None, item, size))

    def emit_when_answered(self, pending: PendingReply, make_item: Callable[[PendingReply], Any]) -> None:
        """Hand out `make_item(pending)` once the pending has a reply, after everything given before."""
        self.items.append(_Item(pending, make_item, 0))

    def emit_rest(self, make: Callable[[], None]) -> None:
        """Give whatever `make` gives, made when its turn comes: a page of a million rows is not a million requests."""
        self.items.append(_Item(None, _Rest(make), 0))

    def expand(self) -> None:
        """Put what the first item stands for in its place."""
        rest = self.items.popleft().value
        behind, self.items = self.items, deque()
        rest.make()
        self.items.extend(behind)

    def hold(self, pending: PendingReply) -> None:
        """Note that a response has come and waits for its turn."""
        self.held += pending.size
        self.responses += 1

    def release(self, pending: PendingReply) -> None:
        """Note that a response's turn has come."""
        self.held -= pending.size
        self.responses -= 1


@dataclass
class Steps:
    """A generator that waits for queued, run as far as their responses are there.

    Args:
        ctx: Where it queues requests and gives items.
        generator: The generator.
    """

    ctx: ReadContext
    generator: Generator[PendingReply, Reply, ReadOutcome]
    waits_for: PendingReply | None = field(default=None, kw_only=True)
    outcome: ReadOutcome | None = field(default=None, kw_only=True)
    error: Exception | None = field(default=None, kw_only=True)

    def advance(self) -> None:
        """Run the generator until it waits for an unfinished pending, or to its end."""
        try:
            while not self.ended:
                pending = self.waits_for
                if pending is None:
                    self.waits_for = next(self.generator)
                    continue
                if not pending.done:
                    return
                self.ctx.release(pending)
                if pending.error is not None:
                    self.waits_for = self.generator.throw(pending.error)
                else:
                    self.waits_for = self.generator.send(pending.result())
        except StopIteration as end:
            self.outcome, self.waits_for = end.value, None
        except Exception as exc:  # noqa: BLE001 - kept until its turn comes: what was read before is good
            self.error, self.waits_for = exc, None

    @property
    def ended(self) -> bool:
        """Whether it came to its end, be it by an error."""
        return self.outcome is not None or self.error is not None
