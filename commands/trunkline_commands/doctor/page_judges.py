"""Judges of pages: where they are counted from, what they hold, and what follows the last one. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from trunkline_commands.doctor.finding import CONFIRMED, REFUTED, UNKNOWN, Finding
from trunkline_commands.doctor.judges import QUIET
from trunkline_commands.doctor.rows import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_PAGE = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}


def page_size(stream: str, seen: Seen, beyond: Seen | None, *, setting: bool = True) -> Finding:
    """Judge whether a page is cut to fewer rows than requested.

    Args:
        stream: The stream.
        seen: The first page.
        beyond: What was behind it, where that was requested.
        setting: Whether there is a setting for it.
    """
    came, requested = len(seen.rows), seen.requested
    if not came:
        return Finding(stream, "page-size", UNKNOWN, seen.problem or QUIET)
    if came >= requested:
        return Finding(stream, "page-size", CONFIRMED, f"{came} rows came where {requested} were requested")
    if beyond is not None and set(beyond.keys) - set(seen.keys):
        what = f"{came} rows came where {requested} were requested, and more rows stand behind them"
        change = {"setting": "page_size", "value": str(came)} if setting else {}
        return Finding(stream, "page-size", REFUTED, what, **change)
    what = f"only {came} rows in the longest span that was tried, and {requested} were requested"
    return Finding(stream, "page-size", UNKNOWN, what)


@dataclass(frozen=True)
class Pages:
    """Small pages of a span whose first rows are known.

    Args:
        known: The first page.
        size: Rows of a small page.
        base: Number of the first page, as the tap counts.
        second: The page with the number behind it.
        first: The page with that number, where it was requested; so are the next two where the second is not clear.
        third: The page with the number two behind it.
        before: The page with the number before it.
    """

    known: Seen
    size: int
    base: int
    second: Seen
    first: Seen | None = None
    third: Seen | None = None
    before: Seen | None = None

    def part(self, number: int) -> tuple[object, ...]:
        """Return the keys that a small page must have, counted from 0."""
        return self.known.keys[number * self.size : (number + 1) * self.size]

    @property
    def counted_from(self) -> int | None:
        """Number of the first page, as far as these pages show it."""
        second, third = self.second, self.third or Seen()
        if self.is_clear:
            return self.base
        if (second.rows and second.keys == self.part(2)) or self._has_page_before:
            return self.base - 1
        if second.keys == self.part(0) and third.ok and third.keys == self.part(1):
            return self.base + 1
        return None

    @property
    def _has_page_before(self) -> bool:
        before, first = self.before, self.first
        if before is None or first is None or not (before.rows and first.rows):
            return False
        return not set(before.keys) & {*first.keys, *self.known.keys}

    @property
    def is_clear(self) -> bool:
        """Whether the second page alone shows that all is well."""
        return bool(self.second.keys) and self.second.keys == self.part(1)


def pages(stream: str, found: Pages, by: str, *, declared: str = "", setting: str = "") -> list[Finding]:
    """Judge where pages are counted from, and whether they overlap.

    Args:
        stream: The stream.
        found: Pages.
        by: The field that rows are ordered by.
        declared: Number of the first page as it is declared, or `auto`; empty where pages have none.
        setting: The setting that holds it, if any.
    """
    order = found.known.direction(by) if by else "of no order that shows"
    second, third = found.second, found.third or Seen()
    if not second.ok:
        return [Finding(stream, name, UNKNOWN, f"the second page: {second.problem}") for name in ("pages", "steady")]
    if (base := found.counted_from) is not None:
        steady = Finding(stream, "steady", CONFIRMED, f"the second page is what stands behind the first; {order}")
        return [_counted(stream, base, declared, setting), steady]
    if second.keys == found.part(0) == third.keys:
        what = f"page {found.base + 1} is page {found.base} again: the number is not looked at"
        cost = "shorter windows are read, and a minute that holds more than a page fails the stream"
        unsteady = Finding(stream, "steady", REFUTED, what, cost=cost, advice="A shorter window needs fewer requests")
        return [Finding(stream, "pages", UNKNOWN, what), unsteady]
    what = f"the second page is not what stands behind the first; {order}"
    twice = set(second.keys) & set(found.first.keys if found.first else ())
    advice = "Nothing is to be done: the tap reads such windows twice" if twice else ""
    verdict = REFUTED if twice else UNKNOWN  # rows may have come in between
    return [Finding(stream, "pages", UNKNOWN, what), Finding(stream, "steady", verdict, what, advice=advice)]


def _counted(stream: str, base: int, declared: str, setting: str) -> Finding:
    seen = f"the first page is {base}"
    if declared == "auto":
        return Finding(stream, "pages", CONFIRMED, f"{seen}, which auto finds out")
    if declared in {str(base), ""}:
        return Finding(stream, "pages", CONFIRMED, seen)
    if setting:
        return Finding(stream, "pages", REFUTED, seen, setting=setting, value=str(base))
    return Finding(stream, "pages", REFUTED, seen, advice="Report it: there is no setting for it")


def past_the_end(stream: str, seen: Seen, known: Seen) -> Finding:
    """Judge a page far behind the last one.

    Args:
        stream: The stream.
        seen: What came.
        known: The first page; with a total the tap need not rely on what is behind the last one.
    """
    counted = known.total is not None
    cost = "nothing while the vendor sends a total" if counted else ""
    if seen.ok and not seen.rows:
        return Finding(stream, "past-the-end", CONFIRMED, f"HTTP {seen.status} without rows")
    if seen.ok:
        what = f"HTTP {seen.status} with {len(seen.rows)} rows"
        again = counted or set(seen.keys) <= set(known.keys)  # else it may not be behind the last one
        return Finding(stream, "past-the-end", REFUTED if again else UNKNOWN, what, cost=cost)
    if seen.refused in _NO_PAGE:
        return Finding(stream, "past-the-end", REFUTED, seen.problem, cost=cost)
    return Finding(stream, "past-the-end", UNKNOWN, seen.problem)


def total(stream: str, found: Sequence[Seen]) -> Finding:
    """Judge whether totals count what is listed, from first pages of any spans."""
    most = max((len(seen.rows) for seen in found), default=0)
    if not most:
        return Finding(stream, "total", UNKNOWN, QUIET)
    if all(seen.total is None for seen in found if seen.rows):
        cost = "every window of several pages is read twice"
        return Finding(stream, "total", REFUTED, "there is no total where the tap looks for it", cost=cost)
    # A page with fewer rows than another one of the same size had is no page that was cut off.
    whole = [seen for seen in found if seen.total is not None and seen.rows and len(seen.rows) < most]
    whole += [seen for seen in found if seen.total is not None and seen.total <= len(seen.rows) > 0]
    off = [seen for seen in whole if seen.total != len(seen.rows)]
    if off:
        return Finding(stream, "total", REFUTED, f"a total of {off[0].total} where {len(off[0].rows)} rows are listed")
    if whole:
        return Finding(stream, "total", CONFIRMED, f"{whole[0].total} counted, {len(whole[0].rows)} listed")
    return Finding(stream, "total", UNKNOWN, "no span was small enough for one page")


def total_of_short_page(stream: str, seen: Seen, beyond: Seen) -> Finding | None:
    """Judge a total by which rows follow a short page; None where some do, or the same page comes again."""
    if not beyond.ok or beyond.rows:
        return None
    return Finding(stream, "total", REFUTED, f"a total of {seen.total} where {len(seen.rows)} rows are listed")


def last_page(stream: str, seen: Seen, expected: int) -> Finding:
    """Judge whether the total counts what is listed, by the page that is the last one by it.

    Args:
        stream: The stream.
        seen: That page.
        expected: Rows that it has if the total is right.
    """
    if not seen.ok:
        return Finding(stream, "total", UNKNOWN, seen.problem)
    listed = f"the last page by a total of {seen.total} has {len(seen.rows)} rows"
    right = len(seen.rows) == expected and not seen.more
    return Finding(stream, "total", CONFIRMED if right else REFUTED, listed)


def order(stream: str, seen: Seen, by: str, setting: str) -> Finding:
    """Judge whether the rows come oldest first, as a setting requests."""
    found = seen.direction(by)
    if found == "oldest first":
        return Finding(stream, "order", CONFIRMED, found)
    if found == "of no order that shows":
        return Finding(stream, "order", UNKNOWN, found if seen.rows else QUIET)
    return Finding(stream, "order", REFUTED, found, setting=setting, value="false")
