"""Prove a window that is read along a chain: each response names the next one by a cursor, or is the only one.

A chain is proven by its end, by no cursor and no page that comes twice, and by the vendor's total where there is one. A
chain that does not add up, or that the vendor cuts off (cursors expire), is read once more from its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trunkline.errors import Refused
from trunkline.steps.feeds import Proof
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.prove.pages import EMPTY, ENDLESS
from trunkline.steps.prove.verdict import conclude, judge
from trunkline.steps.prove.window_reading import is_too_large

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Sequence
    from datetime import timedelta

    from trunkline.steps.fetch.context import PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page

MOST_READINGS = 4
"""Readings of one window, at most; two where they agree with each other."""


class Chained(Protocol):
    """A stream, or the part of it that one chunk of a long list selects, as `read_chains` sees it."""

    grain: timedelta

    def queue_link(self, ctx: ReadContext, window: Window, cursor: str | None) -> PendingReply:
        """Queue the request for the page that a cursor names, or for the first one."""

    def emit_page(self, ctx: ReadContext, window: Window, page: Page, reply: Reply) -> None:
        """Hand out the rows of a page."""

    def may_wait(self, window: Window) -> bool:
        """Return whether the next run reads this window again anyway."""

    def warn(self, message: str) -> None:
        """Log a warning."""


class _Chain:
    """One reading of a window along its chain."""

    def __init__(self) -> None:
        self.seen: set[Hashable] = set()
        self.totals: set[int] = set()
        self.rows = self.pages = 0
        self.trouble = ""
        self.repeated = False  # whether the last page came before
        self._cursors: set[str] = set()
        self._digests: set[int] = set()

    @property
    def adds_up(self) -> bool:
        """Whether the chain came to its end, with as many different rows as the one total counts."""
        return not self.trouble and (self.totals or {len(self.seen)}) == {len(self.seen)}

    @property
    def story(self) -> str:
        """Both numbers, for the error."""
        if self.trouble or not self.totals:
            return self.trouble or f"{self.rows} rows came"
        totals = " then ".join(map(str, sorted(self.totals)))
        return f"the vendor's total is {totals}, {len(self.seen)} different rows came"

    def equals(self, other: _Chain) -> bool:
        """Return whether both readings came to the same."""
        mine = (self.totals, self.rows, self.seen, self.trouble)
        return mine == (other.totals, other.rows, other.seen, other.trouble)

    def take(self, page: Page) -> str | None:
        """Count a page.

        Returns:
            The cursor of the next one; None at the end, and where the chain is in trouble.
        """
        if page.total is not None:
            self.totals.add(page.total)
        if page.rows:
            digest = hash(tuple(page.keys))
            if digest in self._digests:
                self.repeated = True
                self.trouble = f"a page came twice after {self.rows} rows"
                return None
            self._digests.add(digest)
        self.pages += 1
        self.rows += len(page.rows)
        self.seen.update(page.keys)
        if page.cursor in self._cursors:
            self.trouble = f"a cursor came twice after {self.rows} rows"
        elif self.pages > ENDLESS:
            self.trouble = f"the pages did not end after {ENDLESS}"
        elif page.cursor:
            self._cursors.add(page.cursor)
            return page.cursor
        return None


def read_chains(
    sources: Sequence[Chained], window: Window, ctx: ReadContext
) -> Generator[PendingReply, Reply, ReadOutcome]:
    """Read a window along the chain of each source, prove it, and hand out that it is proven.

    Args:
        sources: What to read of the window; several where one list is too long for a single URL.
        window: The span.
        ctx: Where to queue requests and to give what comes.

    Raises:
        Unproven: The readings agree with each other and not with the vendor's total, or a span too short to be split
            does not hold still.
    """
    firsts = [source.queue_link(ctx, window, None) for source in sources]
    proofs: list[Proof] = []
    marker = None
    for place, source in enumerate(sources):
        readings: list[_Chain] = []
        given: set[Hashable] = set()
        pending = firsts[place]
        while True:
            reading = yield from _read_once(source, window, ctx, pending, given)
            if isinstance(reading, tuple):
                ctx.forget(firsts[place + 1 :])
                return ReadOutcome(split=reading)
            if reading.adds_up:
                total = next(iter(reading.totals), None)
                proofs.append(Proof(reading.rows, "pages_ended" if total is None else "total", total))
                break
            readings.append(reading)
            given |= reading.seen
            if len(readings) >= MOST_READINGS or (len(readings) > 1 and readings[-2].equals(reading)):
                verdict = judge(source, window, readings)
                if isinstance(verdict, tuple):
                    ctx.forget(firsts[place + 1 :])
                    return ReadOutcome(split=verdict)
                marker = marker or verdict
                break
            source.warn(f"{window} is read once more: {reading.story}")
            pending = source.queue_link(ctx, window, None)
    return conclude(ctx, window, proofs, marker)


def _read_once(
    source: Chained, window: Window, ctx: ReadContext, pending: PendingReply, given: set[Hashable]
) -> Generator[PendingReply, Reply, _Chain | tuple[Window, ...]]:
    """Read a chain to its end; what is odd goes into the reading. A window that is too large is split instead."""
    reading = _Chain()
    while True:
        try:
            reply = yield pending
        except Refused as exc:
            if not reading.pages:
                raise
            reading.trouble = f"the vendor refused a cursor of its own after {reading.rows} rows ({exc.why})"
            return reading
        page: Page = reply.parsed or EMPTY
        if not reading.pages and is_too_large(page):
            halves = window.halves(source.grain)
            if halves:
                return halves
        cursor = reading.take(page)
        if not reading.repeated:
            source.emit_page(ctx, window, page.without(given) if given else page, reply)
        if cursor is None:
            return reading
        pending = source.queue_link(ctx, window, cursor)
