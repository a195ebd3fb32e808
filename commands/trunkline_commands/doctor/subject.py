"""A stream as the doctor reads it: requests of the stream's own making, for spans and pages of the doctor's choice."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.facts import uncounted
from trunkline.facts.paged import Part
from trunkline.facts.paging import NumberedPages, OffsetPages, OnePage
from trunkline.facts.uncounted import UncountedStream
from trunkline.facts.windowed import WindowedStream
from trunkline.steps.fetch.context import ReadContext
from trunkline.steps.plan import Window
from trunkline.steps.prove.pages import EMPTY
from trunkline_commands.doctor.line import Note
from trunkline_commands.doctor.rows import Seen, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import msgspec

    from trunkline.facts.paged import PagedStream
    from trunkline.facts.paging import Paging
    from trunkline.steps.fetch.exchange import Request
    from trunkline_commands.doctor.line import Line

BINDING = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
"""Statuses of a parameter that the vendor does not take."""
SAMPLES = 2
"""Rows whose details are requested at most."""
ENOUGH = 4
"""Rows that are enough where a response has no pages: a longer span would bring all of it at once."""
DAY, MONTH, YEAR = timedelta(days=1), timedelta(days=30), timedelta(days=365)


class Exactly(Window):
    """A window that is requested as it stands: its ends are what is looked at."""

    def bounds(self, tick: timedelta, grain: timedelta, latest: datetime) -> tuple[datetime | None, datetime]:
        """Return its ends."""
        del tick, grain, latest
        return self.since, self.until


@dataclass
class Subject:
    """A stream, or one of its partitions.

    Args:
        stream: The stream.
        line: Where requests go.
        context: The partition.
        number: The partition's place, and how many there are, for people.
    """

    stream: PagedStream | UncountedStream
    line: Line
    context: Mapping[str, str] = field(default_factory=dict)
    number: str = ""
    pages: list[Seen] = field(default_factory=list)
    """First pages that came, of any spans."""
    span: Window | None = None
    """The span of the page in `known`."""
    known: Seen = field(default_factory=Seen)
    """The first page with the most rows."""
    found_base: int | None = None
    """Number of the first page, where it is not the one that the tap counts from."""
    is_counted: bool = False
    """Whether no page stands before the one that the tap takes for the first."""
    known_base: int = 0
    """Number of the page in `known`."""
    samples: list[msgspec.Raw] = field(default_factory=list)
    """Some rows of the last page that had any, to request their details; nothing else looks at them."""

    @property
    def name(self) -> str:
        """Its name in findings."""
        return self.stream.name + self.number

    @property
    def paging(self) -> Paging:
        """How the vendor pages."""
        return self.stream.paging

    @property
    def by(self) -> str:
        """The field that the vendor is supposed to filter by; empty for a full table."""
        dates = self.stream.dates if isinstance(self.stream, UncountedStream) else ()
        return next(iter(dates), self.stream.replication_key or "")

    @property
    def is_dated(self) -> bool:
        """Whether there is a filter by date."""
        facts = self.paging
        return bool(self.by and (facts.since or facts.until or facts.filter))

    @property
    def kind(self) -> tuple[Any, ...]:
        """The traits that streams with shared experiments have in common."""
        stream = self.stream
        return str(stream.path).rpartition("/")[0], self.paging, stream.may_read_days, self.is_dated, [*self.context]

    @property
    def is_numbered(self) -> bool:
        """Whether pages have numbers or offsets."""
        return isinstance(self.paging, (NumberedPages, OffsetPages))

    @property
    def base(self) -> int:
        """Number of the first page, as far as it is known; an offset's is 0."""
        if self.found_base is not None:
            return self.found_base
        return (self.stream.first_page or 0) if isinstance(self.paging, NumberedPages) else 0

    @property
    def size(self) -> int:
        """Rows that the tap requests at once; 0 where no page has a size."""
        return self.stream.page_size if self.paging.size and not isinstance(self.paging, OnePage) else 0

    @functools.cached_property
    def chunk(self) -> tuple[tuple[str, Any], ...]:
        """Parameters of the first chunk of a list in the config."""
        chunks = getattr(self.stream, "chunks", None)
        return next(iter(chunks.cut(self.stream.config)), ()) if chunks else ()

    # -- requests ----------------------------------------------------------------------------------

    def request(self, window: Window, number: int, size: int, *, unsettled: bool = False) -> Request:
        """Make the request for a page by its number, or for the first page where pages have none."""
        stream, part = self.stream, Part(self.context, self.chunk)
        if isinstance(stream, UncountedStream):
            rows = uncounted.SpanRows(stream, window, (), self.by, self.context, unsettled)
            return stream.queue(ReadContext(), rows, number * size, size).request
        if self.is_numbered:
            return stream.page_request(window, number, size, part)
        return self._sized(stream.link_request(window, None, part), size)

    def _sized(self, request: Request, size: int) -> Request:
        """Return the request with another size of a page, where pages have one."""
        name = self.paging.size
        if not name or isinstance(self.paging, OnePage):
            return request
        if request.json is not None:
            return replace(request, json={**request.json, name: size})
        if request.form is not None:
            return replace(request, form={**request.form, name: str(size)})
        return replace(request, params=tuple((key, str(size) if key == name else old) for key, old in request.params))

    def page(self, why: str, window: Window, number: int, size: int, *, unsettled: bool = False) -> Seen:
        """Request a page by its number; the first page of any span is kept as one that shows something."""
        return self.seen(why, window, self.request(window, number, size, unsettled=unsettled), size)

    def following(self, why: str, window: Window, cursor: str, size: int) -> Seen:
        """Request the page that a cursor names."""
        part = Part(self.context, self.chunk)
        assert not isinstance(self.stream, UncountedStream)  # noqa: S101 - that has offsets
        return self.seen(why, window, self._sized(self.stream.link_request(window, cursor, part), size), size)

    def seen(self, why: str, window: Window, request: Request, size: int) -> Seen:
        """Send a request, and read the parts of its response that judges need."""
        note = Note(self.name, why, "", str(self.stream.path), [], self._relative(window))
        outcome = self.line.request(request, self.stream.open, note)
        if outcome.reply is None:
            return Seen(status=outcome.status, refused=outcome.refused, problem=outcome.problem, requested=size)
        page = outcome.reply.parsed or EMPTY
        note.rows, note.total = len(page.rows), page.total
        if page.rows:
            self.samples = page.rows[len(page.rows) // 2 :][:SAMPLES] or page.rows[:SAMPLES]
        return Seen(
            status=outcome.status,
            requested=size,
            total=page.total,
            more=page.more,
            cursor=page.cursor,
            **read_rows(self.stream, page, self.by),
        )

    def _relative(self, window: Window) -> str:
        """Describe a span by its distance from the run's start, rounded: no instant of a row may show."""
        if window.since is None:
            return "all"
        start = self.stream.tap.run_start
        return f"{_rounded(window.since - start)} to {_rounded(window.until - start)}"

    # -- where the rows are ------------------------------------------------------------------------

    def go_on_with(self, stream: PagedStream) -> None:
        """Take the same stream with another setting in the place of the first, and look for rows anew."""
        self.stream, self.known, self.pages = stream, Seen(), []
        self.survey(longest=True)

    def recount(self) -> None:
        """Request the first page again, where it has become known since that its number is another one."""
        if self.known_base != self.base and self.span is not None:
            seen = self.first(self.span)
            if seen.rows:
                self.known, self.known_base, self.pages = seen, self.base, [seen]

    def survey(self, *, longest: bool) -> Seen:
        """Find a span that has rows, from the shortest on.

        Args:
            longest: Whether all spans may be tried, or one alone.

        Returns:
            The first page of the span with the most rows; of none with a row, that of the last one.
        """
        spans = list(self.spans())
        for window in spans if longest else spans[:2][-1:]:
            seen = self.first(window)
            if not seen.ok:
                self.known = self.known if self.known.rows else seen
                break
            self.pages.append(seen)
            if len(seen.rows) >= len(self.known.rows):  # of two with as many, the longer one shows more
                self.known, self.span, self.known_base = seen, window, self.base
            if self._is_enough(seen):
                break
        return self.known

    def first(self, window: Window) -> Seen:
        """Request the first page, whatever its number is: the vendor's count may not be the tap's."""
        seen = self.page("rows", window, self.base, self.size)
        if not isinstance(self.paging, NumberedPages) or not self._may_not_be_first(seen):
            return seen
        number = 0 if self.base else 1
        other = self.page("rows, counted otherwise", window, number, self.size)
        if not other.ok or (seen.ok and (not other.rows or set(other.keys) & set(seen.keys))):
            self.is_counted = True
            return seen
        self.found_base = number
        return other

    def _may_not_be_first(self, seen: Seen) -> bool:
        """Return whether a page may not be the first: it is refused, or has fewer rows than it could have."""
        short = seen.ok and len(seen.rows) < self.size and (seen.total or 0) > len(seen.rows)
        return seen.refused in BINDING or (short and not (seen.rows and (self.is_counted or not self.base)))

    def _is_enough(self, seen: Seen) -> bool:
        if not self.size:
            return len(seen.rows) >= ENOUGH
        return len(seen.rows) >= self.size or seen.follows

    def spans(self) -> Iterator[Window]:
        """Yield spans that may have rows, from the bookmark back where there is one; of a full table the whole."""
        stream = self.stream
        if not self.is_dated:
            yield stream.table if hasattr(stream, "table") else Exactly(None, stream.tap.run_start)
            return
        tick, bookmark = stream.tick, stream.run.bookmark(self.context).value
        until = min(bookmark + tick, stream.until) if bookmark else stream.until
        until = instants.ceil(until, tick)
        longest = stream.longest_span or YEAR
        start = max(filter(None, (stream.start_date, stream.beginning, until - longest)), default=until - YEAR)
        for length in (DAY, MONTH):
            yield Exactly(instants.floor(until - min(length, longest), tick), until)
        everything = min(start, until - min(YEAR, longest))
        if stream.paging.size and not stream.longest_span and (stream.start_date or stream.beginning):
            everything = stream.start_date or stream.beginning or everything
        if everything < until - MONTH:
            yield Exactly(instants.floor(everything, tick), until)


def _rounded(span: timedelta) -> str:
    days = span / DAY
    return f"{days:+.0f} d" if abs(days) >= 2 else f"{span / timedelta(hours=1):+.0f} h"  # noqa: PLR2004


def subjects(stream: Any, line: Line, most: int) -> list[Subject]:
    """Make the subjects of a stream: itself, or its first partitions."""
    per = getattr(stream, "per", None)
    if per is None:
        return [Subject(stream, line)]
    contexts = per.contexts(stream.config)
    number = f" ({per.noun} {{}} of {len(contexts)})"
    return [Subject(stream, line, one, number.format(place)) for place, one in enumerate(contexts[:most], 1)]


def can_be_paged(stream: Any) -> bool:
    """Return whether a stream is one whose rows can be requested page by page."""
    return isinstance(stream, WindowedStream) and hasattr(stream, "paging") and not hasattr(stream, "listed")
