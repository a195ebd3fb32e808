"""A stream that plays answers, and the loop that drives a reading of it: no socket, no thread, no clock."""

# ruff: noqa: ARG002 - the fakes keep the signatures of what they stand for

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.instants import EPOCH, SECOND
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.plan import MINUTE, Window
from trunkline.steps.prove.pages import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import timedelta

    from trunkline.steps.fetch.context import PendingReply, ReadContext

WINDOW = Window(EPOCH, EPOCH + 8 * MINUTE)
SHORTEST = Window(EPOCH, EPOCH + MINUTE)


def page(keys: Sequence[Any], total: int | None = None, *, more: bool | None = None, count: int | None = None) -> Page:
    """A page whose rows have these as keys, and are their text."""
    key_of = {str(key).encode(): key for key in keys}
    rows = [msgspec.Raw(str(key).encode()) for key in keys]
    return Page(rows, lambda rows: [key_of[bytes(row)] for row in rows], total, more, count)


class Script:
    """A stream that plays answers by page number and how often that page was requested, or by number and size."""

    tick, grain = SECOND, MINUTE
    rounds_within: timedelta | None = MINUTE
    may_ignore_page = False

    def __init__(
        self,
        answer: Callable[[int, int], Any] | None = None,
        *,
        sized: Callable[[int, int], Any] | None = None,
        first_page: int | None = 1,
        look_ahead: int = 1,
        page_size: int = 2,
        waits: bool = False,
    ) -> None:
        self.answer, self.sized = answer, sized
        self.first_page, self.look_ahead, self.page_size, self.waits = first_page, look_ahead, page_size, waits
        self.asked: list[int] = []
        self.requests: list[tuple[int, int]] = []
        self.given: list[Any] = []
        self.warnings: list[str] = []
        self.waited = False

    def queue_page(self, ctx: ReadContext, window: Window, number: int, size: int) -> PendingReply:
        return ctx.request(Request(str(number), "/", (("n", str(number)), ("size", str(size)))), lambda reply: reply)

    def emit_page(self, ctx: ReadContext, window: Window, page: Page, reply: Reply) -> None:
        self.given += page.keys

    def may_wait(self, window: Window) -> bool:
        return self.waits

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def reply_to(self, pending: PendingReply) -> Any:
        """The answer to a request: a page, or the error it ends in."""
        number, size = (int(value) for _, value in pending.request.params)
        self.asked.append(number)
        self.requests.append((number, size))
        assert len(self.asked) < 5000
        if self.sized:
            return self.sized(number, size)
        assert self.answer is not None
        return self.answer(number, self.asked.count(number))


def drive(script: Script, ctx: ReadContext, steps: Generator[PendingReply, Reply, Any]) -> Any:
    """Run a reading, its requests answered one after the other in the order they are needed."""
    try:
        pending = next(steps)
        while True:
            if pending in ctx.queued:
                ctx.queued.remove(pending)
            pending.sent = True
            answer = script.reply_to(pending)
            if isinstance(answer, Exception):
                pending = steps.throw(answer)
            else:
                pending = steps.send(Reply(pending.request, 200, {}, b"", answer))
    except StopIteration as end:
        return end.value
