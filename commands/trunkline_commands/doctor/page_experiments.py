"""Experiments on pages: small ones among known rows, one behind a short one, and one far behind the last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trunkline.facts.paged import PagedStream
from trunkline.facts.paging import CursorPages, NumberedPages
from trunkline_commands.doctor import judges, page_judges
from trunkline_commands.doctor.finding import UNKNOWN, Finding
from trunkline_commands.doctor.page_judges import Pages
from trunkline_commands.doctor.subject import Exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_commands.doctor.rows import Seen
    from trunkline_commands.doctor.subject import Subject

_LEAST = 3
_FAR, _MANY = 10, 1000


def examine(subject: Subject) -> Iterator[Finding]:
    """Judge a stream's pages, and its total."""
    subject.recount()
    known, stream, name = subject.known, subject.stream, subject.name
    setting = stream.oldest_first if isinstance(stream, PagedStream) else ""
    if setting and stream.config.get(setting):
        yield page_judges.order(name, known, subject.by, setting)
    if not subject.size:
        if subject.paging.total:
            yield _total(subject, None)
        return
    if len(known.rows) < _LEAST:
        why = f"{len(known.rows)} rows are too few for pages" if known.rows else judges.QUIET
        yield from (Finding(name, fact, UNKNOWN, why) for fact in ("pages", "steady"))
    else:
        yield from _cursors(subject) if isinstance(subject.paging, CursorPages) else _numbers(subject)
    known, beyond = subject.known, _beyond(subject)
    if subject.paging.total:
        yield _total(subject, beyond)
    yield page_judges.page_size(name, known, beyond)
    if subject.is_numbered:
        pages = known.total // max(1, len(known.rows)) if known.total is not None else _MANY
        seen = subject.page("a page past the end", _window(subject), subject.base + pages + _FAR, subject.size)
        yield page_judges.past_the_end(name, seen, known)


def _beyond(subject: Subject) -> Seen | None:
    """Request the page behind the first one, where that was shorter than requested and may not be the last."""
    known, paging, window = subject.known, subject.paging, _window(subject)
    if not 0 < len(known.rows) < subject.size or not (known.follows or known.total is None):
        return None
    why = "what stands behind a short page"
    if isinstance(paging, CursorPages):
        return subject.following(why, window, known.cursor, subject.size) if known.cursor else None
    if isinstance(paging, NumberedPages):
        return subject.page(why, window, subject.base + 1, subject.size)
    return subject.page(why, window, 1, len(known.rows))


def _total(subject: Subject, beyond: Seen | None) -> Finding:
    """Judge the total by pages that came, or by the last page where none of them was a whole span."""
    known, found = subject.known, page_judges.total(subject.name, subject.pages)
    if found.verdict != UNKNOWN or known.total is None or not known.rows:
        return found
    if beyond is not None:
        return page_judges.total_of_short_page(subject.name, known, beyond) or found
    if not (subject.is_numbered and len(known.rows) == subject.size):
        return found
    place, rest = divmod(known.total - 1, subject.size)
    seen = subject.page("the last page", _window(subject), subject.base + place, subject.size)
    return page_judges.last_page(subject.name, seen, rest + 1)


def _window(subject: Subject) -> Exactly:
    span = subject.span or Exactly(None, subject.stream.tap.run_start)
    return span if isinstance(span, Exactly) else Exactly(span.since, span.until)


def _small(subject: Subject) -> int:
    """Return a size of which three pages are known."""
    return min(len(subject.known.rows) // _LEAST, subject.size)


def _numbers(subject: Subject) -> Iterator[Finding]:
    window, paging, base, size = _window(subject), subject.paging, subject.base, _small(subject)
    found = Pages(subject.known, size, base, subject.page("the second of small pages", window, base + 1, size))
    if found.second.ok and not found.is_clear:
        found = replace(
            found,
            third=subject.page("the third of small pages", window, base + 2, size),
            first=subject.page("the first of small pages", window, base, size),
            before=subject.page("the page before it", window, base - 1, size) if base else None,
        )
    if isinstance(paging, NumberedPages):
        if found.counted_from is not None:
            subject.found_base = found.counted_from
            subject.recount()
        setting = paging.first if isinstance(paging.first, str) else ""
        declared = str(subject.stream.config.get(setting, "auto") if setting else paging.first)
        yield from page_judges.pages(subject.name, found, subject.by, declared=declared, setting=setting)
    else:
        yield from _steady(subject, found)


def _cursors(subject: Subject) -> Iterator[Finding]:
    window, known, size = _window(subject), subject.known, _small(subject)
    first = subject.page("the first of small pages", window, 0, size)
    if first.ok and first.cursor:
        second = subject.following("the second of small pages", window, first.cursor, size)
        yield from _steady(subject, Pages(known, size, 0, second, first))
    else:
        yield Finding(subject.name, "steady", UNKNOWN, first.problem or "a small page names none behind it")


def _steady(subject: Subject, found: Pages) -> Iterator[Finding]:
    yield from (one for one in page_judges.pages(subject.name, found, subject.by) if one.fact == "steady")
