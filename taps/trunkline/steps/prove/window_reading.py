"""One reading of a window whose pages have numbers: takes the pages, and knows what they add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from trunkline.steps.prove.pages import ENDLESS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import timedelta

    from trunkline.steps.fetch.context import PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page

MOST_PAGES = 100
"""A window that holds more pages than this is split: before it is read, where the vendor's total shows it."""

_DISTINCTIVE = 20
"""Rows of a page of which a few may move, and it is still known again."""


class Numbered(Protocol):
    """A stream, or the part of it that one chunk of a long list selects, as `read_together` sees it."""

    first_page: int | None
    look_ahead: int
    page_size: int
    grain: timedelta
    rounds_within: timedelta | None
    may_ignore_page: bool

    def queue_page(self, ctx: ReadContext, window: Window, number: int, size: int) -> PendingReply:
        """Queue the request for one page of a window."""

    def emit_page(self, ctx: ReadContext, window: Window, page: Page, reply: Reply) -> None:
        """Hand out the rows of a page."""

    def may_wait(self, window: Window) -> bool:
        """Return whether the next run reads this window again anyway."""

    def warn(self, message: str) -> None:
        """Log a warning."""


class WindowReading:
    """One reading of a window: takes its pages, and knows what they add up to.

    Args:
        stream: What is read.
        window: The span.
        ctx: Where the rows are given.
        size: Rows requested at once.
        front: The keys of page 0, where it is not known whether page 1 is the same page.
        given: Keys that earlier readings of the window have handed out.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a reading stands on
        self,
        stream: Numbered,
        window: Window,
        ctx: ReadContext,
        size: int,
        front: list[Any] | None,
        given: set[Hashable],
    ) -> None:
        self.stream, self.window, self.ctx, self.size, self.front = stream, window, ctx, size, front
        self.seen: set[Hashable] = set()
        self.totals: set[int] = set()
        self.rows = self.pages = self.repeats = self.tail = 0  # tail: rows of the last page
        self.smaller = 0  # the page size to try next, as pages came that were shorter than requested
        self.cut_off = self.uneven = self.too_long = self.came_twice = False
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
    def total(self) -> int | None:
        """The vendor's own count; None where it has none, or more than one."""
        return next(iter(self.totals)) if len(self.totals) == 1 else None

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
        return f"the vendor's total is {totals}, {len(self.seen)} different rows came"

    def equals(self, other: WindowReading) -> bool:
        """Return whether both readings came to the same, be it that neither came to an end."""
        alike = (self.totals, self.rows, self.seen) == (other.totals, other.rows, other.seen)
        return alike or bool(self.trouble and other.trouble)

    def confirms(self, other: WindowReading) -> bool:
        """Return whether both together are the proof: the same rows, and with a total as many as it counts."""
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
            self.trouble, self.came_twice = f"a page came twice after {self.rows} rows", True
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
        self.stream.emit_page(self.ctx, self.window, page.without(self._given) if self._given else page, reply)
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
        """Return whether the page may be one of several equal ones: rows of one key, within the total."""
        return page.total is not None and len(set(page.keys)) == 1 and self.rows + len(page.rows) <= page.total

    def is_front_again(self, page: Page) -> bool:
        """Return whether page 0 was no page of its own: page 1 is the same one, or 0 is empty though there are rows."""
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

    # -- behind a page that is shorter than requested, where no total shows whether rows follow -----------------------

    def is_short(self, page: Page) -> bool:
        """Return whether only the row behind this page can show if it was cut off."""
        return not self.totals and page.total is None and 0 < self.tail < self.size

    def queue_behind(self) -> PendingReply:
        """Queue the request for the row behind the last one: by a page size that divides what has come so far."""
        size = next(size for size in range(self.tail, 0, -1) if self.rows % size == 0)
        number = (self.stream.first_page or 0) + self.rows // size
        return self.stream.queue_page(self.ctx, self.window, number, size)

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


def _are_alike(front: Sequence[Hashable], keys: Sequence[Hashable]) -> bool:
    """Return whether two pages are the same one, though rows came or went; on short pages that is undecidable."""
    return keys == front or (len(front) >= _DISTINCTIVE and 4 * len({*front} & {*keys}) >= 3 * len(front))


def is_too_large(page: Page) -> bool:
    """Return whether the vendor's total counts that the window holds more pages than may be read of it at once."""
    return page.total is not None and page.total > MOST_PAGES * max(len(page.rows), 1)
