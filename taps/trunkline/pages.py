"""Prove: read a window page by page and show that nothing is missing, or say that it can't be shown.

Three ways, after what the vendor offers:

* `read_together`: pages with numbers, and a total the rows must reach.
* `read_whole`: no total; a span is asked for at once and halved until the answer is provably not cut off.
* a single answer to a single question needs no proof of its own.

A window that does not add up is read once more, then it fails with both numbers. Its rows may be handed out before it
is proven: repeats are harmless behind a key, and only the bookmark waits for the proof.
"""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from trunkline.ahead import Outcome
from trunkline.errors import BadAnswer, Refused, Unproven

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Sequence
    from datetime import timedelta

    from trunkline.ahead import Desk, Ticket
    from trunkline.client import Reply
    from trunkline.plan import Window

MOST_PAGES = 100
"""A window that the vendor says holds more pages than this is halved before it is read."""

ENDLESS = 100_000
"""Pages of one window after which the vendor counts as endless, whatever its total says."""

MOST_ROWS = 2**53
"""Largest total that is believed to be one."""


class Page:
    """One answer, its rows still bytes.

    Args:
        rows: The rows, each as the vendor's bytes.
        read_keys: Reads what tells each row from the others.
        total: Rows of the whole window, if the vendor says it.
        more: Whether the vendor says that pages follow; None if it does not say.
        pages: Pages of the whole window, if the vendor says it.

    Raises:
        BadAnswer: The total is no number of rows.
    """

    def __init__(
        self,
        rows: list[msgspec.Raw],
        read_keys: Callable[[list[msgspec.Raw]], list[Any]],
        total: int | None = None,
        more: bool | None = None,  # noqa: FBT001 - a fact of the page, not a switch
        pages: int | None = None,
    ) -> None:
        self.rows, self._read_keys, self.total, self.more, self.pages = rows, read_keys, total, more, pages
        if total is not None and not 0 <= total <= MOST_ROWS:
            raise BadAnswer("the answer has another form", "its total is no number that rows can have")

    @functools.cached_property
    def keys(self) -> list[Any]:
        """What tells each row from the others; read when asked for, as a span of one answer never asks."""
        return self._read_keys(self.rows)


_STRANGE = (msgspec.MsgspecError, UnicodeDecodeError)

EMPTY = Page([], list)
"""What a 204 stands for."""


class KeyReader:
    """Reads what tells a row from the others, without decoding the rest of it.

    Args:
        names: The vendor's fields that make the key.
    """

    def __init__(self, names: Sequence[str]) -> None:
        fields = [
            (f"part{n}", str | int | float | None, msgspec.field(name=name, default=None))
            for n, name in enumerate(names)
        ]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Key", fields, frozen=True)).decode

    def __call__(self, rows: Sequence[msgspec.Raw]) -> list[Hashable]:
        """The key of each row; a row with a key of a strange type stands for itself (its error comes with its turn)."""
        decode = self._decode
        try:
            return [decode(row) for row in rows]
        except _STRANGE:
            return [self._one(row) for row in rows]

    def _one(self, row: msgspec.Raw) -> Hashable:
        try:
            return self._decode(row)
        except _STRANGE:
            return bytes(row)


class Numbered(Protocol):
    """What `read_together` needs to know of a stream."""

    first_page: int | None
    look_ahead: int
    tick: timedelta

    def ask_page(self, desk: Desk, window: Window, number: int) -> Ticket:
        """Want one page of a window."""

    def give_page(self, desk: Desk, window: Window, page: Page, reply: Reply) -> None:
        """Hand out the rows of a page."""

    def warn(self, message: str) -> None:
        """Tell the user."""


class _Reading:
    """One reading of a window: takes its pages, and knows what they add up to.

    Args:
        stream: What is read.
        window: The span.
        desk: Where the rows are given.
        front: The keys of page 0, where it is not known whether page 1 is the same page.
    """

    def __init__(self, stream: Numbered, window: Window, desk: Desk, front: list[Any] | None) -> None:
        self.stream, self.window, self.desk, self.front = stream, window, desk, front
        self.seen: set[Hashable] = set()
        self.totals: set[int] = set()
        self.rows = self.pages = self.repeats = 0
        self.trouble = ""
        self._digests: set[int] = set()
        self._front_was_empty = False

    @property
    def adds_up(self) -> bool:
        """Whether the different rows are as many as the one total says; without a total, whether no row came twice."""
        return not self.trouble and (self.totals or {self.rows}) == {len(self.seen)}

    @property
    def story(self) -> str:
        """Both numbers, for the error."""
        if self.trouble:
            return self.trouble
        if not self.totals:
            return f"{self.rows} rows came, {len(self.seen)} of them different"
        said = " then ".join(str(total) for total in sorted(self.totals))
        return f"the vendor's total says {said}, {len(self.seen)} different rows came"

    def agrees_with(self, other: _Reading) -> bool:
        """Whether both readings brought the same rows and the one total, so that only their keys repeat."""
        return (
            not (self.trouble or other.trouble)
            and self.totals == other.totals
            and self.totals in ({self.rows}, set())
            and self.rows == other.rows
            and self.seen == other.seen
        )

    def take(self, page: Page, reply: Reply) -> bool:
        """Take one page and hand out its rows.

        Returns:
            Whether it was the last one.
        """
        if page.total is not None:
            self.totals.add(page.total)
        if self.front is not None and self._is_front_again(page):
            return False
        if not page.rows:
            return True
        if self._front_was_empty:
            self.stream.first_page = 1
        digest = hash(tuple(page.keys))
        if digest in self._digests:
            self.repeats += 1
            if self.repeats > MOST_PAGES or not self._may_repeat(page):
                self.trouble = f"a page came twice after {self.rows} rows"
                return True
        self._digests.add(digest)
        self.pages += 1
        if self.pages > ENDLESS:
            self.trouble = f"the pages did not end after {ENDLESS}"
            return True
        self.rows += len(page.rows)
        self.seen.update(page.keys)
        self.stream.give_page(self.desk, self.window, page, reply)
        return self._is_last(page)

    def _may_repeat(self, page: Page) -> bool:
        """Whether the page may be one of several equal ones: rows of one key, and the total has room for them."""
        return page.total is not None and len(set(page.keys)) == 1 and self.rows + len(page.rows) <= page.total

    def _is_front_again(self, page: Page) -> bool:
        """Whether page 0 was no page of its own: page 1 is the same one, or page 0 is empty though rows there are."""
        if self.pages == 0:
            if not page.rows and page.total != 0:
                self.front = None  # asked once: a page 1 that is empty too is the end, and tells nothing
                self._front_was_empty = True
                return True
            return False
        if self.pages == 1 and page.keys == self.front:
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
        if page.more and len(self.seen) > page.total:
            self.trouble = f"more pages came than the vendor's total of {page.total} allows"
            return True
        if page.more is None:
            # Where pages are left a total that is reached may only count the rows of one page: what follows tells.
            return len(self.seen) >= page.total and self.pages >= (page.pages or 0)
        return not page.more and self.rows >= page.total


def read_together(streams: Sequence[Numbered], window: Window, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
    """Read a window whose pages have numbers, and prove it by the vendor's total.

    Args:
        streams: What to read of the window; several where one question is too long for a single URL. All their first
            pages are looked at before any row is handed out: if one of them is too large, the window is halved.
        window: The span.
        desk: Where to ask.

    Raises:
        Unproven: Neither of two readings added up.
    """
    beginnings = []
    tickets = [stream.ask_page(desk, window, stream.first_page or 0) for stream in streams]
    for stream, ticket in zip(streams, tickets, strict=True):
        beginnings.append((yield from _begin(stream, window, desk, ticket)))
    if any(_too_large(beginning.reply.parsed or EMPTY) for beginning in beginnings):
        halves = window.halves(streams[0].tick)
        if halves:
            return Outcome(split=halves)
    rows = 0
    for stream, beginning in zip(streams, beginnings, strict=True):
        rows += yield from _read_proven(stream, window, desk, beginning)
    return Outcome(empty=not rows)


def _too_large(page: Page) -> bool:
    return page.total is not None and page.total > MOST_PAGES * max(len(page.rows), 1)


def _read_proven(stream: Numbered, window: Window, desk: Desk, beginning: _Beginning) -> Generator[Ticket, Reply, int]:
    first = yield from _read_once(stream, window, desk, beginning)
    if first.adds_up:
        return first.rows
    stream.warn(f"{window} is read once more: {first.story}")
    ticket = stream.ask_page(desk, window, stream.first_page or 0)
    again = yield from _begin(stream, window, desk, ticket)
    second = yield from _read_once(stream, window, desk, again)
    if second.adds_up:
        return second.rows
    if second.agrees_with(first):
        stream.warn(
            f"{window}: {second.rows - len(second.seen)} of {second.rows} rows share their key with another one; "
            "two readings agree, so that is how the vendor has them"
        )
        return second.rows
    raise Unproven(
        f"{window} could not be shown complete",
        f"{second.story}; in the first reading, {first.story}",
        "The bookmark stays where it was: run again, and if it goes on, ask the vendor about this span",
    )


class _Beginning(NamedTuple):
    """The first page of a window: its number, the answer, and whether that number was a guess."""

    number: int
    reply: Reply
    unsure: bool


def _begin(stream: Numbered, window: Window, desk: Desk, ticket: Ticket) -> Generator[Ticket, Reply, _Beginning]:
    unsure, number = stream.first_page is None, stream.first_page or 0
    try:
        return _Beginning(number, (yield ticket), unsure)
    except Refused as exc:
        if not unsure or exc.status < HTTPStatus.BAD_REQUEST:
            raise
        stream.warn(f"page 0 is refused ({exc.why}): pages are counted from 1")
    stream.first_page = 1
    return _Beginning(1, (yield stream.ask_page(desk, window, 1)), unsure=False)


def _read_once(
    stream: Numbered, window: Window, desk: Desk, beginning: _Beginning
) -> Generator[Ticket, Reply, _Reading]:
    """Read all pages once; whatever is odd goes into the reading's `trouble`."""
    number, reply, unsure = beginning
    page: Page = reply.parsed or EMPTY
    last = number + _expected(page)
    asked: deque[Ticket] = deque()
    # Whether page 0 and page 1 are the same is only of interest where the vendor does not say how it counts.
    reading = _Reading(stream, window, desk, page.keys if unsure and number == 0 else None)
    try:
        while not reading.take(page, reply):
            while len(asked) < stream.look_ahead and (not asked or number + len(asked) + 1 < last):
                asked.append(stream.ask_page(desk, window, number + len(asked) + 1))
            number += 1
            reply = yield asked.popleft()
            page = reply.parsed or EMPTY
    finally:
        desk.forget(asked)
    return reading


def _expected(page: Page) -> int:
    """Pages to look ahead over, judged by the first one: a hint, never a reason to stop."""
    return -(-page.total // len(page.rows)) if page.total and page.rows else 1


class Whole(Protocol):
    """What `read_whole` needs to know of a stream."""

    longest: int
    tick: timedelta

    @property
    def limit(self) -> int:
        """Rows asked for at once."""

    def warn(self, message: str) -> None:
        """Tell the user."""


@dataclass(frozen=True)
class Question:
    """A question whose answer has no total.

    Args:
        span: What is asked about, for messages.
        ask: Wants the rows from an offset on.
        give: Hands out rows.
        split: Makes smaller spans out of an answer that was cut off; none when the span is a single tick.
    """

    span: Window
    ask: Callable[[int], Ticket]
    give: Callable[[Page, Reply], None]
    split: Callable[[Page], Sequence[Window] | None]


def read_whole(stream: Whole, question: Question, first: Ticket) -> Generator[Ticket, Reply, Sequence[Window] | int]:
    """Read a span that has no total in one answer, and prove that the answer was not cut off.

    An answer is whole when it is shorter than the longest seen in this run (a server may cap answers at any number), or
    when nothing stands behind its last row. Otherwise the span is to be split. Only a single tick is paged by offset:
    rows that move between pages can't be told from rows that are missing, so there two readings must agree.

    Args:
        stream: Knows the limit asked for and the longest answer so far.
        question: What to ask, and whom to give the rows.
        first: The answer from offset 0, already wanted.

    Returns:
        The number of rows, or the smaller spans to read instead.

    Raises:
        Unproven: The vendor ignores the offset, or two readings of a single tick differ.
    """
    span, ask, give = question.span, question.ask, question.give
    reply = yield first
    page: Page = reply.parsed or EMPTY
    for repeated in (False, True):
        if not page.rows or len(page.rows) < min(stream.limit, stream.longest):
            give(page, reply)
            return len(page.rows)
        stream.longest = max(stream.longest, len(page.rows))
        if len(page.rows) >= stream.limit:
            break
        behind = (yield ask(len(page.rows))).parsed or EMPTY
        if not behind.rows:
            give(page, reply)
            return len(page.rows)
        if not set(page.keys).issuperset(behind.keys):
            break
        if repeated:
            raise Unproven(
                f"{span} could not be shown complete",
                f"the rows from {len(page.rows)} on are the same as those before: the vendor ignored the offset",
                "The bookmark stays where it was: run again, and if it goes on, ask the vendor about offset",
            )
        # A row that came in at the front meanwhile looks the same: once more from the start tells.
        reply = yield ask(0)
        page = reply.parsed or EMPTY
    if parts := question.split(page):
        return parts
    seen = yield from _by_offset(ask, page, reply, give)
    reply = yield ask(0)
    again = yield from _by_offset(ask, reply.parsed or EMPTY, reply, give)
    if seen != again:
        raise Unproven(
            f"{span} could not be shown complete",
            f"a first reading brought {len(seen)} different rows, a second one {len(again)}",
            "The bookmark stays where it was: run again",
        )
    return len(seen)


def _by_offset(
    ask: Callable[[int], Ticket], page: Page, reply: Reply, give: Callable[[Page, Reply], None]
) -> Generator[Ticket, Reply, set[Hashable]]:
    seen: set[Hashable] = set()
    offset = count = 0
    while page.rows:
        count += 1
        if seen.issuperset(page.keys) or count > ENDLESS:
            why = "brought nothing new" if count <= ENDLESS else f"is the {count}th, and there is no end"
            raise Unproven(
                "a single second could not be read",
                f"the page at offset {offset} {why}",
                "The bookmark stays where it was: run again, and if it goes on, ask the vendor about offset",
            )
        seen.update(page.keys)
        give(page, reply)
        offset += len(page.rows)
        reply = yield ask(offset)
        page = reply.parsed or EMPTY
    return seen
