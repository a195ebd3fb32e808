"""Prove a window whose pages have numbers: by the vendor's total, or by readings that agree.

Page `number` holds the `size` rows from `size * (number - first_page)` on. Without a total nothing but an empty page
behind the last row ends a reading, and a window of several pages needs two readings that bring the same rows.

A window that does not add up is read again. If its readings agree with each other, it fails with both numbers; if they
differ, it does not hold still, and is read in smaller parts, down to those that do. The newest part of a run may wait
for the next one. Rows are handed out before they are proven: repeats are harmless behind a key, and only the bookmark
waits for the proof.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from trunkline.errors import Refused
from trunkline.steps.feeds import Proof, WindowUnsettled
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.prove.pages import EMPTY
from trunkline.steps.prove.verdict import conclude, judge
from trunkline.steps.prove.window_reading import Numbered, WindowReading, is_too_large

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Sequence

    from trunkline.steps.fetch.context import PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page
    from trunkline.steps.prove.verdict import Verdict


MOST_READINGS = 4
"""Readings of one window with one page size, at most."""

MOST_SIZES = 8
"""Page sizes that are tried for one window where the vendor sends fewer rows than requested, at most."""

_PARTS = 16  # of a window of unknown length


def read_together(
    streams: Sequence[Numbered], window: Window, ctx: ReadContext
) -> Generator[PendingReply, Reply, ReadOutcome]:
    """Read a window whose pages have numbers, prove it, and hand out that it is proven.

    Args:
        streams: What to read of the window; several where one list is too long for a single URL. All their first
            pages are looked at before any row is handed out: if one of them is too large, the window is halved.
        window: The span.
        ctx: Where to queue requests and to give what comes.

    Raises:
        Unproven: The readings agree with each other and not with the vendor's total, or a span too short to be split
            does not hold still.
    """
    beginnings = []
    queued = [stream.queue_page(ctx, window, stream.first_page or 0, stream.page_size) for stream in streams]
    for stream, pending in zip(streams, queued, strict=True):
        beginnings.append((yield from _begin(stream, window, ctx, pending, stream.page_size)))
    firsts: list[Page] = [beginning.reply.parsed or EMPTY for beginning in beginnings]
    if any(is_too_large(first) for first in firsts):
        total = sum(first.total or 0 for first in firsts)
        halves = None if window.is_rounded(total, streams[0].rounds_within) else window.halves(streams[0].grain)
        if halves:
            return ReadOutcome(split=tuple(replace(half, whole_total=total) for half in halves))
    proofs: list[Proof] = []
    marker = None
    for stream, beginning in zip(streams, beginnings, strict=True):
        verdict = yield from _read_proven(stream, window, ctx, beginning)
        if isinstance(verdict, tuple):
            return ReadOutcome(split=verdict)
        if isinstance(verdict, WindowUnsettled):
            marker = marker or verdict
        else:
            proofs.append(verdict)
    return conclude(ctx, window, proofs, marker)


def _read_proven(
    stream: Numbered, window: Window, ctx: ReadContext, beginning: _Beginning
) -> Generator[PendingReply, Reply, Verdict]:
    readings: list[WindowReading] = []
    given: set[Hashable] = set()
    size = stream.page_size
    while True:
        reading = yield from _read_once(stream, window, ctx, beginning, size, given)
        if reading.adds_up:
            return Proof(reading.rows, "total" if reading.totals else "not_cut_off", reading.total)
        if reading.too_long:
            return window.cut(_PARTS, stream.grain)
        if reading.came_twice and stream.may_ignore_page:
            # Two parts for each page, so that one response should hold a part though the rows are not spread evenly.
            parts = window.cut(2 * max(2, max(reading.totals, default=0) // max(1, reading.tail)), stream.grain)
            if parts:
                return parts
        if any(reading.confirms(other) for other in readings):
            if reading.rows > len(reading.seen):
                stream.warn(
                    f"{window}: {reading.rows - len(reading.seen)} of {reading.rows} rows share their key with another "
                    "one; two readings agree, so that is how the vendor has them"
                )
            return Proof(reading.rows, "read_twice", reading.total)
        readings.append(reading)
        given |= reading.seen
        if _is_enough(readings):
            return judge(stream, window, readings)
        if len(readings) > 1 or reading.totals or reading.trouble or reading.rows > len(reading.seen):
            stream.warn(f"{window} is read once more: {reading.story}")
        size = min(size, reading.smaller or size) if not reading.trouble else size
        pending = stream.queue_page(ctx, window, stream.first_page or 0, size)
        beginning = yield from _begin(stream, window, ctx, pending, size)


def _is_enough(readings: Sequence[WindowReading]) -> bool:
    """Return whether one more reading would show nothing new."""
    last = readings[-1]
    if not last.trouble and 0 < last.smaller < last.size and len({reading.size for reading in readings}) < MOST_SIZES:
        return False
    alike = [reading for reading in readings if reading.size == last.size]
    if len(alike) < (2 if last.totals or last.trouble else 3):
        return len(alike) > 1 and last.uneven and last.equals(alike[-2])
    steady_or_long = last.equals(alike[-2]) or last.window.halves(last.stream.grain) is not None
    return steady_or_long or len(alike) >= MOST_READINGS


class _Beginning(NamedTuple):
    """The first page of a window: its number, the response, and whether that number was a guess."""

    number: int
    reply: Reply
    unsure: bool


def _begin(
    stream: Numbered, window: Window, ctx: ReadContext, pending: PendingReply, size: int
) -> Generator[PendingReply, Reply, _Beginning]:
    unsure, number = stream.first_page is None, stream.first_page or 0
    try:
        return _Beginning(number, (yield pending), unsure)
    except Refused as exc:
        if not unsure or exc.status < HTTPStatus.BAD_REQUEST:
            raise
        stream.warn(f"page 0 is refused ({exc.why}): pages are counted from 1")
    stream.first_page = 1
    return _Beginning(1, (yield stream.queue_page(ctx, window, 1, size)), unsure=False)


def _read_once(  # noqa: PLR0913, PLR0917 - what a reading stands on
    stream: Numbered, window: Window, ctx: ReadContext, beginning: _Beginning, size: int, given: set[Hashable]
) -> Generator[PendingReply, Reply, WindowReading]:
    """Read all pages once; whatever is odd goes into the reading."""
    number, first, unsure = beginning
    reply: Reply | None = first
    page: Page = first.parsed or EMPTY
    last = number + _expected(page)
    queued: deque[PendingReply] = deque()
    # Whether page 0 and page 1 are the same is only of interest where the vendor does not document how it counts.
    front = page.keys if unsure and number == 0 else None
    reading = WindowReading(stream, window, ctx, size, front, given)
    try:
        while not reading.take(page, reply):
            if reading.is_short(page) and (yield from _ends_behind(reading, page)):
                break
            while len(queued) < stream.look_ahead and (not queued or number + len(queued) + 1 < last):
                queued.append(stream.queue_page(ctx, window, number + len(queued) + 1, size))
            number += 1
            reply = yield from _unless_past_the_end(queued.popleft(), reading, page)
            page = (reply.parsed if reply else None) or EMPTY
    finally:
        ctx.forget(queued)
    return reading


def _ends_behind(reading: WindowReading, page: Page) -> Generator[PendingReply, Reply, bool]:
    """Request the row behind a page that is shorter than requested: whether the reading ends there."""
    while True:
        try:
            reply: Reply | None = yield reading.queue_behind()
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                return _is_past(exc, reading, page)  # or a page size that the vendor does not take
            reply = None
        behind: Page = (reply.parsed if reply else None) or EMPTY
        if page.more and not behind.rows:
            return False
        if reading.front is None or not behind.rows or not reading.is_front_again(behind):
            return reading.look_behind(behind)


def _unless_past_the_end(
    pending: PendingReply, reading: WindowReading, page: Page
) -> Generator[PendingReply, Reply, Reply | None]:
    """Return the response; None where the vendor refuses a page because it stands behind the last one."""
    try:
        return (yield pending)
    except Refused as exc:
        if not (reading.pages and _is_past(exc, reading, page)):
            raise
        return None


def _is_past(refused: Refused, reading: WindowReading, page: Page) -> bool:
    """Return whether a request behind this page was refused because there is nothing, and nothing contradicts that."""
    if page.more:
        return False
    if reading.rows < max(reading.totals, default=0):  # unless what is missing was cut off pages that are too short
        return reading.tail < reading.size and refused.status == HTTPStatus.NOT_FOUND
    if page.more is False:  # as the vendor itself reports
        return refused.status >= HTTPStatus.BAD_REQUEST
    return refused.status == HTTPStatus.NOT_FOUND


def _expected(page: Page) -> int:
    """Estimate the pages to look ahead over, judged by the first one: a hint, never a reason to stop."""
    return -(-page.total // len(page.rows)) if page.total and page.rows else 1
