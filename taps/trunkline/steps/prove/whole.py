"""Prove a span that has no total and no pages with numbers: read it in one response with nothing behind its last row.

Nothing learned from one response decides about another: a server may cap responses by rows, by bytes or by its load.
A response behind which a row stands was cut off, and its span is split. The shortest span is paged by offset: rows that
move between pages can't be distinguished from rows that are missing, so there two readings must agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from trunkline.errors import Refused, Unproven
from trunkline.steps.feeds import Proof, WindowUnsettled
from trunkline.steps.prove.pages import EMPTY, ENDLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Sequence

    from trunkline.steps.fetch.context import PendingReply
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page

MOST_READINGS = 4
"""Readings of a span that is paged by offset, at most."""


@dataclass(frozen=True)
class SpanSource:
    """A span whose response has no total, and how to read it.

    Args:
        span: What is read, for messages.
        limit: Rows requested at once.
        queue: Queues the request for the rows from an offset on, at most as many as given.
        give: Hands out rows.
        split: Makes smaller spans out of a response that was cut off; none when the span is too short.
        may_wait: Whether the next run reads this span again anyway.
        may_leave: Whether rows may leave the listed set at any time: then nothing new in a reading is agreement.
    """

    span: Window
    limit: int
    queue: Callable[[int, int], PendingReply]
    give: Callable[[Page, Reply], None]
    split: Callable[[Page], Sequence[Window]]
    may_wait: bool = False
    may_leave: bool = False


def read_whole(
    source: SpanSource, first: PendingReply
) -> Generator[PendingReply, Reply, Sequence[Window] | Proof | WindowUnsettled]:
    """Read a span in one response, and prove that the response was not cut off.

    Args:
        source: What to request, and where the rows go.
        first: The request from offset 0, already queued.

    Returns:
        The proof, or the smaller spans to read instead, or that the span has to wait for the next run.

    Raises:
        Unproven: The vendor ignores the offset, or the readings of a span that can't be split differ.
    """
    reply = yield first
    page: Page = reply.parsed or EMPTY
    for repeated in (False, True):
        if len(page.rows) >= source.limit:
            break
        after = (yield from _behind(source, page, len(page.rows), 1)) if page.rows else None
        behind: Page = (after.parsed if after else None) or EMPTY
        if not behind.rows:
            source.give(page, reply)
            return Proof(len(page.rows), "not_cut_off")
        if repeated or not set(page.keys).issuperset(behind.keys):
            break
        # A row that came in at the front meanwhile looks like an offset that is ignored: once more from the start.
        reply = yield source.queue(0, source.limit)
        page = reply.parsed or EMPTY
    return source.split(page) or (yield from _page_by_offset(source, page, reply))


def _behind(source: SpanSource, page: Page, offset: int, limit: int) -> Generator[PendingReply, Reply, Reply | None]:
    """Request from the offset behind a page; None where the vendor reports by a 404 that nothing stands there.

    A 404 may mean the list itself: the last row of the page must be there still when it is requested alone.
    """
    try:
        return (yield source.queue(offset, limit))
    except Refused as exc:
        if exc.status != HTTPStatus.NOT_FOUND:
            raise
        last = (yield source.queue(offset - 1, 1)).parsed or EMPTY
        if not last.rows or not set(page.keys).issuperset(last.keys):
            raise
    return None


def _page_by_offset(
    source: SpanSource, page: Page, reply: Reply
) -> Generator[PendingReply, Reply, Proof | WindowUnsettled]:
    readings: list[set[Hashable]] = []
    given: set[Hashable] = set()
    why = ""
    for number in range(MOST_READINGS):
        if number:
            reply = yield source.queue(0, source.limit)
            page = reply.parsed or EMPTY
        seen, trouble = yield from _read_once(source, page, reply, given)
        if not trouble and (seen in readings or (source.may_leave and readings and seen <= given)):
            return Proof(len(seen), "read_twice")
        if not trouble:
            why = f"a reading brought {len(seen)} different rows, and none of those before it the same ones"
            readings.append(seen)
        given |= seen
    if readings and source.may_wait:
        return WindowUnsettled(source.span, why)
    raise Unproven(
        f"{source.span} could not be shown complete",
        f"{why if readings else trouble} ({MOST_READINGS} readings)",
        "The bookmark stays where it was: run again; if it fails again, report this span and offset to the vendor",
    )


def _read_once(
    source: SpanSource, page: Page, reply: Reply, given: set[Hashable]
) -> Generator[PendingReply, Reply, tuple[set[Hashable], str]]:
    """Read all pages by offset: the keys that came, and why they are no reading of the span, if so."""
    seen: set[Hashable] = set()
    offset = count = 0
    while page.rows:
        count += 1
        if count > ENDLESS:
            return seen, f"the page at offset {offset} is the {count}th, and there is no end"
        if seen.issuperset(page.keys):  # also where a row came in at the front meanwhile
            return seen, f"the page at offset {offset} brought nothing new: the vendor seems to ignore the offset"
        seen.update(page.keys)
        source.give(page.without(given) if given else page, reply)
        offset += len(page.rows)
        after = yield from _behind(source, page, offset, source.limit)
        if after is None:
            break
        reply, page = after, after.parsed or EMPTY
    return seen, ""
