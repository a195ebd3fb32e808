"""Prove a window whose pages have numbers: by the vendor's total, or by readings that agree.

Page `number` holds the `size` rows from `size * (number - first_page)` on. Without a total nothing but an empty answer
behind the last row ends a reading, and a window of several pages needs two readings that bring the same rows.

A window that does not add up is read again. If its readings agree with each other, it fails with both numbers; if they
differ, it does not hold still, and is read in smaller parts, down to those that do. The newest part of a run may wait
for the next one. Rows are handed out before they are proven: repeats are harmless behind a key, and only the bookmark
waits for the proof.
"""

from __future__ import annotations

import math
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trunkline.ahead import Outcome
from trunkline.errors import Refused, Unproven
from trunkline.feeds import Proven, Unsettled
from trunkline.pages import EMPTY, ENDLESS

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Sequence
    from datetime import timedelta

    from trunkline.ahead import Desk, Ticket
    from trunkline.client import Reply
    from trunkline.pages import Page
    from trunkline.plan import Window

    Verdict = int | tuple[Window, ...] | Unsettled
    """Rows of a proven window, or the windows to read in its place, or that its newest part has to wait."""

MOST_PAGES = 100
"""A window that holds more pages than this is split: before it is read, where the vendor's total says so."""

MOST_READINGS = 4
"""Readings of one window with one page size, at most."""

MOST_SIZES = 8
"""Page sizes that are tried for one window where the vendor sends fewer rows than requested, at most."""

_TELLING = 20
"""Rows of a page of which a few may move, and it is still known again."""

_PARTS, _ROOM = 16, 1.4  # parts of a window of unknown length; parts for each page of one that moves


class Judged(Protocol):
    """What a decision about a window asks of its stream."""

    grain: timedelta

    def may_wait(self, window: Window) -> bool:
        """Whether the next run reads this window again anyway."""

    def warn(self, message: str) -> None:
        """Log a warning."""


class Reading(Protocol):
    """What a decision about a window asks of its readings."""

    pages: int

    @property
    def story(self) -> str:
        """What it came to, for the error."""

    def equals(self, other: Any) -> bool:
        """Whether both readings came to the same."""


class Numbered(Protocol):
    """A stream, or the part of it that one chunk of a long list selects, as `read_together` sees it."""

    first_page: int | None
    look_ahead: int
    page_size: int
    grain: timedelta

    def queue_page(self, desk: Desk, window: Window, number: int, size: int) -> Ticket:
        """Queue the request for one page of a window."""

    def give_page(self, desk: Desk, window: Window, page: Page, reply: Reply) -> None:
        """Hand out the rows of a page."""

    def may_wait(self, window: Window) -> bool:
        """Whether the next run reads this window again anyway."""

    def warn(self, message: str) -> None:
        """Log a warning."""


class _Reading:
    """One reading of a window: takes its pages, and knows what they add up to.

    Args:
        stream: What is read.
        window: The span.
        desk: Where the rows are given.
        size: Rows requested at once.
        front: The keys of page 0, where it is not known whether page 1 is the same page.
        given: Keys that earlier readings of the window have handed out.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a reading stands on
        self, stream: Numbered, window: Window, desk: Desk, size: int, front: list[Any] | None, given: set[Hashable]
    ) -> None:
        self.stream, self.window, self.desk, self.size, self.front = stream, window, desk, size, front
        self.seen: set[Hashable] = set()
        self.totals: set[int] = set()
        self.rows = self.pages = self.repeats = self.tail = 0  # tail: rows of the last page
        self.smaller = 0  # the page size to try next, as pages came that were shorter than requested
        self.cut_off = self.uneven = self.too_long = False
        self.trouble = ""
        self._given = given
        self._digests: set[int] = set()
        self._front_was_empty = False

    @property
    def adds_up(self) -> bool:
        """Whether this reading alone is the proof: the one total is reached, or a short page has nothing behind it."""
        if self.trouble or self.cut_off or self.too_long:
            return False
        if self.totals:
            return self.totals == {len(self.seen)}
        return self.pages <= 1 and self.rows < self.size and self.rows == len(self.seen)

    @property
    def story(self) -> str:
        """Both numbers, for the error."""
        if self.trouble:
            return self.trouble
        if self.cut_off:
            return f"a page of {self.tail} rows came where {self.size} were requested, and more stood behind it"
        if not self.totals:
            return f"{self.rows} rows came, {len(self.seen)} of them different"
        totals = " then ".join(str(total) for total in sorted(self.totals))
        return f"the vendor's total says {totals}, {len(self.seen)} different rows came"

    def equals(self, other: _Reading) -> bool:
        """Whether both readings came to the same, be it that neither came to an end."""
        alike = (self.totals, self.rows, self.seen) == (other.totals, other.rows, other.seen)
        return alike or bool(self.trouble and other.trouble)

    def confirms(self, other: _Reading) -> bool:
        """Whether both together are the proof: the same rows, and with a total as many as it says."""
        if self.trouble or other.trouble or self.cut_off or other.cut_off or not self.equals(other):
            return False
        if self.totals:
            return self.totals == {self.rows}
        # Where pages have holes, a second page size must bring the same: with one size the holes are the same, too.
        return self.size != other.size or not (self.uneven or other.uneven)

    def take(self, page: Page, reply: Reply | None) -> bool:
        """Take one page and hand out its rows.

        Returns:
            Whether it was the last one.
        """
        if page.total is not None:
            self.totals.add(page.total)
        if self.front is not None and self.is_front_again(page):
            return bool(self.trouble)
        self._note_short()
        if not page.rows or reply is None:
            return True
        if self._front_was_empty:
            self.stream.first_page = 1
        if self._is_repeated(page):
            self.trouble = f"a page came twice after {self.rows} rows"
            return True
        if self.pages >= ENDLESS:
            self.trouble = f"the pages did not end after {ENDLESS}"
            return True
        if not self.totals and self.pages >= MOST_PAGES and self.window.halves(self.stream.grain):
            self.too_long = True
            return True
        self.pages += 1
        self.tail = len(page.rows)
        self.rows += self.tail
        self.seen.update(page.keys)
        self.stream.give_page(self.desk, self.window, page.without(self._given) if self._given else page, reply)
        return self._is_last(page)

    def _note_short(self) -> None:
        """Note a page size for the next reading, if the page before was shorter than requested and was not the last."""
        if self.rows < max(self.totals, default=0) and 0 < self.tail < self.size:
            self.smaller = min(self.smaller or self.tail, self.tail)

    def _is_repeated(self, page: Page) -> bool:
        digest = hash(tuple(page.keys))
        if digest in self._digests:
            self.repeats += 1
            return self.repeats > MOST_PAGES or not self._may_repeat(page)
        self._digests.add(digest)
        return False

    def _may_repeat(self, page: Page) -> bool:
        """Whether the page may be one of several equal ones: rows of one key, and the total has room for them."""
        return page.total is not None and len(set(page.keys)) == 1 and self.rows + len(page.rows) <= page.total

    def is_front_again(self, page: Page) -> bool:
        """Whether page 0 was no page of its own: page 1 is the same one, or page 0 is empty though rows there are."""
        if self.pages == 0:
            if not page.rows and page.total != 0:
                self.front = None  # requested once: a page 1 that is empty too is the end, and shows nothing
                self._front_was_empty = True
                return True
            return False
        if self.pages == 1 and self.front and _are_alike(self.front, page.keys):
            if page.keys != self.front:  # a row moved meanwhile: what is new on page 1 is for the next reading
                self.trouble = "page 1 was page 0 again, with other rows on it"
            self.front = None
            self.stream.first_page = 1
            return True
        if self.stream.first_page is None and page.rows:
            self.stream.first_page = 0
        self.front = None
        return False

    def _is_last(self, page: Page) -> bool:
        if page.total is None:
            return False
        if len(self.totals) > 1 and self.rows >= min(self.totals):
            return True  # it can't add up any more, and the rows may come faster than they are read
        if page.more and len(self.seen) > page.total:
            self.trouble = f"more pages came than the vendor's total of {page.total} allows"
            return True
        if page.more is None:
            # Where pages are left a total that is reached may only count the rows of one page: what follows shows.
            return len(self.seen) >= page.total and self.pages >= (page.pages or 0)
        return not page.more and self.rows >= page.total

    # -- behind a page that is shorter than requested, where no total says whether rows follow -------------------------

    def is_short(self, page: Page) -> bool:
        """Whether only the row behind this page can show if it was cut off."""
        return not self.totals and page.total is None and 0 < self.tail < self.size

    def queue_behind(self) -> Ticket:
        """Queue the request for the row behind the last one: by a page size that divides what has come so far."""
        size = next(size for size in range(self.tail, 0, -1) if self.rows % size == 0)
        number = (self.stream.first_page or 0) + self.rows // size
        return self.stream.queue_page(self.desk, self.window, number, size)

    def look_behind(self, behind: Page) -> bool:
        """Take note of what stands behind a short page.

        Returns:
            Whether the reading ends with it.
        """
        if not behind.rows:
            return True
        self.smaller = min(self.smaller or self.tail, self.tail)
        self.cut_off = self.seen.isdisjoint(behind.keys)
        self.uneven |= not self.cut_off  # pages may have holes: rows that are counted and not shown
        return self.cut_off


def read_together(streams: Sequence[Numbered], window: Window, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
    """Read a window whose pages have numbers, prove it, and hand out that it is proven.

    Args:
        streams: What to read of the window; several where one list is too long for a single URL. All their first
            pages are looked at before any row is handed out: if one of them is too large, the window is halved.
        window: The span.
        desk: Where to queue requests and to give what comes.

    Raises:
        Unproven: The readings agree with each other and not with the vendor's total, or a span too short to be split
            does not hold still.
    """
    beginnings = []
    tickets = [stream.queue_page(desk, window, stream.first_page or 0, stream.page_size) for stream in streams]
    for stream, ticket in zip(streams, tickets, strict=True):
        beginnings.append((yield from _begin(stream, window, desk, ticket, stream.page_size)))
    if any(_too_large(beginning.reply.parsed or EMPTY) for beginning in beginnings):
        halves = window.halves(streams[0].grain)
        if halves:
            return Outcome(split=halves)
    rows, marker = 0, None
    for stream, beginning in zip(streams, beginnings, strict=True):
        verdict = yield from _read_proven(stream, window, desk, beginning)
        if isinstance(verdict, tuple):
            return Outcome(split=verdict)
        if isinstance(verdict, Unsettled):
            marker = marker or verdict
        else:
            rows += verdict
    desk.give(marker or Proven(window))
    return Outcome(empty=not (rows or marker))


def _too_large(page: Page) -> bool:
    return page.total is not None and page.total > MOST_PAGES * max(len(page.rows), 1)


def _read_proven(
    stream: Numbered, window: Window, desk: Desk, beginning: _Beginning
) -> Generator[Ticket, Reply, Verdict]:
    readings: list[_Reading] = []
    given: set[Hashable] = set()
    size = stream.page_size
    while True:
        reading = yield from _read_once(stream, window, desk, beginning, size, given)
        if reading.adds_up:
            return reading.rows
        if reading.too_long:
            return window.cut(_PARTS, stream.grain)
        if any(reading.confirms(other) for other in readings):
            if reading.rows > len(reading.seen):
                stream.warn(
                    f"{window}: {reading.rows - len(reading.seen)} of {reading.rows} rows share their key with another "
                    "one; two readings agree, so that is how the vendor has them"
                )
            return reading.rows
        readings.append(reading)
        given |= reading.seen
        if _is_enough(readings):
            return judge(stream, window, readings)
        if len(readings) > 1 or reading.totals or reading.trouble or reading.rows > len(reading.seen):
            stream.warn(f"{window} is read once more: {reading.story}")
        size = min(size, reading.smaller or size) if not reading.trouble else size
        ticket = stream.queue_page(desk, window, stream.first_page or 0, size)
        beginning = yield from _begin(stream, window, desk, ticket, size)


def _is_enough(readings: Sequence[_Reading]) -> bool:
    """Whether one more reading would show nothing new."""
    last = readings[-1]
    if not last.trouble and 0 < last.smaller < last.size and len({reading.size for reading in readings}) < MOST_SIZES:
        return False
    alike = [reading for reading in readings if reading.size == last.size]
    if len(alike) < (2 if last.totals or last.trouble else 3):
        return len(alike) > 1 and last.uneven and last.equals(alike[-2])
    steady_or_long = last.equals(alike[-2]) or last.window.halves(last.stream.grain) is not None
    return steady_or_long or len(alike) >= MOST_READINGS


def judge(stream: Judged, window: Window, readings: Sequence[Reading]) -> tuple[Window, ...] | Unsettled:
    """Decide about a window that was not proven: smaller parts, the next run, or an error."""
    before, last = readings[-2:]
    story = f"{last.story}; in the first reading, {readings[0].story}"
    if not before.equals(last):
        parts = window.cut(max(2, math.ceil(_ROOM * last.pages)), stream.grain)
        if parts:
            stream.warn(f"{window} does not hold still ({story}): it is read in {len(parts)} parts")
            return parts
        if stream.may_wait(window):
            return Unsettled(window, story)
    raise Unproven(
        f"{window} could not be shown complete",
        story,
        "The bookmark stays where it was: run again, and if it goes on, ask the vendor about this span",
    )


class _Beginning(NamedTuple):
    """The first page of a window: its number, the answer, and whether that number was a guess."""

    number: int
    reply: Reply
    unsure: bool


def _begin(
    stream: Numbered, window: Window, desk: Desk, ticket: Ticket, size: int
) -> Generator[Ticket, Reply, _Beginning]:
    unsure, number = stream.first_page is None, stream.first_page or 0
    try:
        return _Beginning(number, (yield ticket), unsure)
    except Refused as exc:
        if not unsure or exc.status < HTTPStatus.BAD_REQUEST:
            raise
        stream.warn(f"page 0 is refused ({exc.why}): pages are counted from 1")
    stream.first_page = 1
    return _Beginning(1, (yield stream.queue_page(desk, window, 1, size)), unsure=False)


def _read_once(  # noqa: PLR0913, PLR0917 - what a reading stands on
    stream: Numbered, window: Window, desk: Desk, beginning: _Beginning, size: int, given: set[Hashable]
) -> Generator[Ticket, Reply, _Reading]:
    """Read all pages once; whatever is odd goes into the reading."""
    number, first, unsure = beginning
    reply: Reply | None = first
    page: Page = first.parsed or EMPTY
    last = number + _expected(page)
    queued: deque[Ticket] = deque()
    # Whether page 0 and page 1 are the same is only of interest where the vendor does not say how it counts.
    front = page.keys if unsure and number == 0 else None
    reading = _Reading(stream, window, desk, size, front, given)
    try:
        while not reading.take(page, reply):
            if reading.is_short(page) and (yield from _ends_behind(reading, page)):
                break
            while len(queued) < stream.look_ahead and (not queued or number + len(queued) + 1 < last):
                queued.append(stream.queue_page(desk, window, number + len(queued) + 1, size))
            number += 1
            reply = yield from _unless_past_the_end(queued.popleft(), reading, page)
            page = (reply.parsed if reply else None) or EMPTY
    finally:
        desk.forget(queued)
    return reading


def _ends_behind(reading: _Reading, page: Page) -> Generator[Ticket, Reply, bool]:
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


def _unless_past_the_end(ticket: Ticket, reading: _Reading, page: Page) -> Generator[Ticket, Reply, Reply | None]:
    """The answer; None where the vendor refuses a page because it stands behind the last one."""
    try:
        return (yield ticket)
    except Refused as exc:
        if not (reading.pages and _is_past(exc, reading, page)):
            raise
        return None


def _is_past(refused: Refused, reading: _Reading, page: Page) -> bool:
    """Whether a request behind this page was refused because there is nothing, and nothing contradicts that."""
    if page.more:
        return False
    if reading.rows < max(reading.totals, default=0):  # unless what is missing was cut off pages that are too short
        return reading.tail < reading.size and refused.status == HTTPStatus.NOT_FOUND
    if page.more is False:  # as the vendor says itself
        return refused.status >= HTTPStatus.BAD_REQUEST
    return refused.status == HTTPStatus.NOT_FOUND


def _are_alike(front: Sequence[Hashable], keys: Sequence[Hashable]) -> bool:
    """Whether two pages are the same one, though rows came or went in between; on short pages that can't be told."""
    return keys == front or (len(front) >= _TELLING and 4 * len({*front} & {*keys}) >= 3 * len(front))


def _expected(page: Page) -> int:
    """Pages to look ahead over, judged by the first one: a hint, never a reason to stop."""
    return -(-page.total // len(page.rows)) if page.total and page.rows else 1
