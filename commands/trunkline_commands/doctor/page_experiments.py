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

    from trunkline_commands.doctor.subject import Subject

_LEAST = 3
_FAR = 10


def examine(subject: Subject) -> Iterator[Finding]:
    """Yield what is found of a stream's pages, and of its total."""
    subject.recount()
    known, stream, name = subject.known, subject.stream, subject.name
    setting = stream.oldest_first if isinstance(stream, PagedStream) else ""
    if setting and stream.config.get(setting):
        yield page_judges.order(name, known, subject.by, setting)
    if subject.paging.total:
        yield page_judges.total(name, subject.pages)
    if not subject.size:
        return
    if len(known.rows) < _LEAST:
        why = f"{len(known.rows)} rows are too few for pages" if known.rows else judges.QUIET
        yield from (Finding(name, fact, UNKNOWN, why) for fact in ("pages", "steady", "page-size"))
    elif isinstance(subject.paging, CursorPages):
        yield from _cursors(subject)
    else:
        yield from _numbers(subject)
    if subject.is_numbered:
        far = subject.base + len(known.rows) + (known.total or 0) // subject.size + _FAR
        seen = subject.page("a page past the end", _window(subject), far, subject.size)
        yield page_judges.past_the_end(name, seen, counted=known.total is not None)


def _window(subject: Subject) -> Exactly:
    span = subject.span or Exactly(None, subject.stream.tap.run_start)
    return span if isinstance(span, Exactly) else Exactly(span.since, span.until)


def _small(subject: Subject) -> int:
    """Return a size of which three pages are known."""
    return min(len(subject.known.rows) // _LEAST, subject.size)


def _numbers(subject: Subject) -> Iterator[Finding]:
    window, paging, known, base, size = _window(subject), subject.paging, subject.known, subject.base, _small(subject)
    found = Pages(known, size, base, subject.page("the second of small pages", window, base + 1, size))
    if found.second.ok and not found.is_clear:
        found = replace(
            found,
            third=subject.page("the third of small pages", window, base + 2, size),
            first=subject.page("the first of small pages", window, base, size),
            before=subject.page("the page before it", window, base - 1, size) if base else None,
        )
    if isinstance(paging, NumberedPages):
        setting = paging.first if isinstance(paging.first, str) else ""
        declared = str(subject.stream.config.get(setting, "auto") if setting else paging.first)
        yield from page_judges.pages(subject.name, found, subject.by, declared=declared, setting=setting)
    else:
        yield from _steady(subject, found)
    beyond = None
    if len(known.rows) < subject.size and (known.follows or not paging.total):
        number, rows = (base + 1, subject.size) if isinstance(paging, NumberedPages) else (1, len(known.rows))
        beyond = subject.page("what stands behind a short page", window, number, rows)
    yield page_judges.page_size(subject.name, known, beyond)


def _cursors(subject: Subject) -> Iterator[Finding]:
    window, known, size = _window(subject), subject.known, _small(subject)
    first = subject.page("the first of small pages", window, 0, size)
    if first.ok and first.cursor:
        second = subject.following("the second of small pages", window, first.cursor, size)
        yield from _steady(subject, Pages(known, size, 0, second, first))
    else:
        yield Finding(subject.name, "steady", UNKNOWN, first.problem or "a small page names none behind it")
    beyond = None
    if known.cursor and len(known.rows) < subject.size:
        beyond = subject.following("what stands behind a short page", window, known.cursor, subject.size)
    yield page_judges.page_size(subject.name, known, beyond)


def _steady(subject: Subject, found: Pages) -> Iterator[Finding]:
    yield from (one for one in page_judges.pages(subject.name, found, subject.by) if one.fact == "steady")
