"""Read a list for each row of another list: in the order of the rows, many of them at once, and in bounded memory.

The outer reading gives pages of rows. For each row an inner reading is begun, as many as can be of use at once; what
they give is handed out row by row. The outer reading continues when no row is left, so that no more of it is held than
the pages its own look-ahead has brought.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.steps.feeds import WindowProven, WindowUnsettled
from trunkline.steps.fetch.context import ReadContext, ReadOutcome, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterable, Iterator

    from trunkline.steps.fetch.context import PendingReply
    from trunkline.steps.fetch.exchange import Reply

    Reading = Generator[PendingReply, Reply, ReadOutcome]


class Inner(ReadContext):
    """The ctx of a reading within another one: its requests are the outer one's, its items wait for their turn.

    Args:
        outer: The ctx of the reading around it.
        keeps_markers: Whether it hands out that a window is proven; the list of a row is none.
    """

    def __init__(self, outer: ReadContext, *, keeps_markers: bool = False) -> None:
        super().__init__()
        self._outer, self._keeps_markers = outer, keeps_markers
        self.kept: deque[tuple[Any, Reply | None]] = deque()
        self.gave = False

    def request(self, request: Any, open_body: Callable[[Reply], Any], owner: object = None) -> PendingReply:
        """Queue a request."""
        return self._outer.request(request, open_body, owner)

    def forget(self, queued: Iterable[PendingReply]) -> None:
        """Drop requests."""
        self._outer.forget(queued)

    def release(self, pending: PendingReply) -> None:
        """Note that a response's turn has come."""
        self._outer.release(pending)

    def emit(self, item: Any, reply: Reply | None = None) -> None:
        """Keep an item until its turn comes; its bytes count as fetched ahead until then."""
        if not self._keeps_markers and isinstance(item, (WindowProven, WindowUnsettled)):
            return
        self._outer.held += len(reply.body) if reply else 0
        self.kept.append((item, reply))
        self.gave = True

    def emit_kept(self) -> None:
        """Hand out what was kept."""
        while self.kept:
            item, reply = self.kept.popleft()
            self._outer.held -= len(reply.body) if reply else 0
            self._outer.emit(item, reply)


@dataclass(frozen=True)
class Ready:
    """An item that needs no reading, in the place of one."""

    item: Any


@dataclass(frozen=True)
class Broken:
    """Marker that ends the reading when its turn comes."""

    error: Exception


def read_nested(
    ctx: ReadContext,
    outer: Callable[[ReadContext], Reading],
    rows: Callable[[Any], Iterator[Callable[[Inner], Reading] | Ready | Broken]],
    most: int,
) -> Reading:
    """Read lists of lists.

    Args:
        ctx: Where to queue requests and to give what comes.
        outer: Begins the outer reading on a ctx; its items are pages, and at the end its markers.
        rows: Makes of a page what begins the reading of each of its rows.
        most: Readings of rows that are begun at once, at most.

    Returns:
        What the outer reading returns, after everything was handed out.
    """
    return _Nested(ctx, outer, rows, most).read()


class _Nested:
    def __init__(
        self,
        ctx: ReadContext,
        outer: Callable[[ReadContext], Reading],
        rows: Callable[[Any], Iterator[Callable[[Inner], Reading] | Ready | Broken]],
        most: int,
    ) -> None:
        self.ctx, self.rows, self.most = ctx, rows, most
        self.outer_ctx = Inner(ctx, keeps_markers=True)
        self.outer = Steps(self.outer_ctx, outer(self.outer_ctx))
        self.line: deque[tuple[Inner, Steps] | Ready | Broken] = deque()
        self.coming: Iterator[Callable[[Inner], Reading] | Ready | Broken] = iter(())
        self.markers: list[Hashable] = []

    def read(self) -> Reading:
        try:
            self.outer.advance()
            while self._fill() or not self.outer.ended:
                if not self.line:
                    yield from self._wait(self.outer)
                    continue
                head = self.line[0]
                if isinstance(head, Broken):
                    raise head.error
                if isinstance(head, Ready):
                    self.ctx.emit(head.item)
                    self.line.popleft()
                    continue
                yield from self._advance_head(*head)
        finally:
            for entry in self.line:
                if isinstance(entry, tuple):
                    entry[1].generator.close()
            self.outer.generator.close()
        if self.outer.error is not None:
            raise self.outer.error
        for marker in self.markers:
            self.ctx.emit(replace(marker, read_to=instants.now()) if isinstance(marker, WindowProven) else marker)
        assert self.outer.outcome is not None  # noqa: S101 - it ended, and without an error
        return self.outer.outcome

    def _advance_head(self, inner: Inner, steps: Steps) -> Generator[PendingReply, Reply, None]:
        inner.emit_kept()
        if steps.error is not None:
            raise steps.error
        if steps.ended:
            self.line.popleft()
            return
        yield from self._wait(steps)
        for entry in self.line:  # others may be finished meanwhile
            if isinstance(entry, tuple):
                entry[1].advance()

    def _wait(self, steps: Steps) -> Generator[PendingReply, Reply, None]:
        pending = steps.waits_for
        assert pending is not None  # noqa: S101 - it has not ended
        if not pending.done:
            with contextlib.suppress(Exception):  # raised again where it belongs
                yield pending
            self.ctx.hold(pending)  # taken by the caller that runs this reading, and once more by the inner one
        steps.advance()

    def _fill(self) -> bool:
        """Begin readings of the rows that come next; False when there is none, and none is left."""
        while len(self.line) < self.most:
            entry = next(self.coming, None)
            if entry is None:
                if not self._next_page():
                    break
            elif isinstance(entry, (Ready, Broken)):
                self.line.append(entry)
            else:
                inner = Inner(self.ctx)
                steps = Steps(inner, entry(inner))
                steps.advance()
                self.line.append((inner, steps))
        return bool(self.line)

    def _next_page(self) -> bool:
        kept = self.outer_ctx.kept
        if not kept and not self.outer.ended:
            self.outer.advance()
        if not kept:
            return False
        item, reply = kept.popleft()
        self.ctx.held -= len(reply.body) if reply else 0
        if reply is None:
            self.markers.append(item)
        else:
            self.coming = self.rows(item)
        return True
