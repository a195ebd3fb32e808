"""Streams declared as facts alone: windows of pages, whichever way the vendor pages.

A stream of this kind needs no code: the names of the vendor's parameters and fields. What a vendor does otherwise, a
method of `WindowedStream` or `PagedStream` takes precedence.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec

from trunkline.errors import BadResponse
from trunkline.facts.paging import CursorPages, NumberedPages, OffsetPages, OnePage, Paging
from trunkline.facts.places import BodyReader, Header, Link, query_of
from trunkline.facts.windowed import PageSource, WindowedStream
from trunkline.steps.fetch.exchange import Request
from trunkline.steps.prove import chain, numbered
from trunkline.steps.prove.pages import Page

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from trunkline.facts.partitions import InChunks
    from trunkline.facts.places import Place
    from trunkline.facts.ports import OwningTap
    from trunkline.facts.stream import VendorStream
    from trunkline.steps.fetch.context import PendingReply, ReadContext, ReadOutcome
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window

    Parameter = tuple[str, Any]


class Part(NamedTuple):
    """Part of a window that a request is for: its partition, and the parameters of one chunk of a list."""

    context: Mapping[str, str] = MappingProxyType({})
    chunk: tuple[Parameter, ...] = ()


WHOLE = Part()


class PagedStream(WindowedStream):
    """A stream that is read in pages; `paging` holds the vendor's names."""

    paging: ClassVar[Paging]
    chunks: ClassVar[InChunks | None] = None
    """Lists in the config that may be too long for one request."""
    oldest_first: ClassVar[str] = ""
    """Setting that requests the rows in the order of their time, where there is one: whether it acts can be tried."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "paging" in vars(cls) and "http_method" not in vars(cls):
            cls.http_method = "GET" if cls.paging.place == "query" else "POST"  # type: ignore[assignment,method-assign] # as the SDK has it

    def __init__(self, tap: OwningTap) -> None:
        super().__init__(tap)
        facts = self.paging
        if isinstance(facts, NumberedPages):
            first = self.config.get(facts.first, "auto") if isinstance(facts.first, str) else facts.first
            self.first_page = None if first == "auto" else int(first)  # learned from the first window of several pages
        else:
            self.first_page = 0  # an offset is a page's number times its size

    # -- requests ----------------------------------------------------------------------------------

    def span(self, window: Window) -> Iterable[Parameter]:
        """Yield the parameters of a window's ends, as the vendor's filter reads them."""
        yield from self.paging.span(self.bounds(window), str(self.replication_key), self.config)

    def page_request(self, window: Window, number: int, size: int, part: Part = WHOLE) -> Request:
        """Make the request for one page of a window, of `size` rows."""
        facts = self.paging
        place = (facts.offset, number * size) if isinstance(facts, OffsetPages) else (_page_of(facts), number)
        return self._listing(f"page {number}", window, part, (place, (facts.size, size)))

    def link_request(self, window: Window, cursor: str | None, part: Part = WHOLE) -> Request:
        """Make the request for the page that a cursor names, or for the first one."""
        facts = self.paging
        following = ((facts.cursor, cursor),) if isinstance(facts, CursorPages) and cursor is not None else ()
        about = "first page" if cursor is None else "next page"
        return self._listing(about, window, part, (*following, (facts.size, self.page_size if facts.size else "")))

    def _listing(self, about: str, window: Window, part: Part, paged: Iterable[Parameter]) -> Request:
        facts, config = self.paging, self.config
        named = [
            *part.chunk,
            *self.span(window),
            *((name, config[setting]) for setting, name in facts.settings.items() if config.get(setting) is not None),
            *facts.extra_params,
            *self.exclude_params(),
            *(pair for setting, also in facts.extra_params_if.items() if config.get(setting) for pair in also.items()),
            *((name, value) for name, value in paged if name),
        ]
        # Each partition's requests are counted for themselves.
        label = self.run.label(part.context) if part.context else self.name
        request = Request(f"{label} {window} {about}", self.path_of(part.context), stream=label, endpoint=self.name)
        if facts.place == "body":
            return replace(request, method=self.http_method, json=nested(named))
        texts = tuple((name, str(value)) for name, value in named)
        if facts.place == "form":
            return replace(request, method=self.http_method, form=dict(texts))
        return replace(request, method=self.http_method, params=texts)

    # -- responses ---------------------------------------------------------------------------------

    def open(self, reply: Reply) -> Page:
        """Find the rows, the total and the next page where `paging` has them."""
        facts = self.paging
        reader, place, fields = self._read(reply.body)
        body = reader, fields
        rows = reader.get(fields, place) if place else fields
        total = self._at(body, reply, facts.total)
        if rows is None:
            if total != 0:
                raise BadResponse("the response has another form", f"it has no list '{place}'")
            rows = []
        more = pages = cursor = None
        if isinstance(facts, (NumberedPages, OffsetPages)) and facts.more:
            value = self._at(body, reply, facts.more)
            more = value if isinstance(facts.more, Link) else bool(value)
        if isinstance(facts, NumberedPages) and facts.pages:
            pages = self._at(body, reply, facts.pages)
        if isinstance(facts, CursorPages):
            cursor = self._cursor(facts, body, reply)
        return Page(rows, self.read_key, total, more, pages, cursor)

    def _cursor(self, facts: CursorPages, body: Any, reply: Reply) -> str | None:
        if facts.more and not self._at(body, reply, facts.more):
            return None
        if isinstance(facts.next, Link):
            return facts.next.parameter(reply, facts.cursor)
        value = self._at(body, reply, facts.next)
        if value is None or value == "":
            return None
        text = str(value)
        if "?" in text:  # a link in a field
            text = query_of(text, facts.cursor) or ""
        if not text:
            raise BadResponse("the response has another form", f"its next page's link has no parameter {facts.cursor}")
        return text

    def _at(self, body: Any, reply: Reply, place: Place) -> Any:
        if isinstance(place, Header):
            return place.number(reply)
        if isinstance(place, Link):
            return place.read(reply)
        reader, fields = body
        return reader.get(fields, place) if place else None

    def _read(self, body: bytes) -> tuple[BodyReader, str, Any]:
        """Read a body in the first of the vendor's forms that fits: its reader, the place of its rows, its fields."""
        *others, (place, reader) = self._readers
        for other, other_reader in others:
            with contextlib.suppress(msgspec.ValidationError):
                return other_reader, other, other_reader.read(body)
        return reader, place, reader.read(body)

    @functools.cached_property
    def _readers(self) -> list[tuple[str, BodyReader]]:
        rows = self.paging.rows
        return [(place, self._reader(place)) for place in ((rows,) if isinstance(rows, str) else rows)]

    def _reader(self, rows_at: str) -> BodyReader:
        facts = self.paging
        rows, total, optional = list[msgspec.Raw], int, facts.none_left_out
        places: list[tuple[Place, Any, bool]] = [
            (rows_at, rows | None if optional else rows, optional),
            (facts.total, total | None if optional else total, optional),
        ]
        if isinstance(facts, (NumberedPages, OffsetPages)):
            places.append((facts.more, Any, True))
        if isinstance(facts, NumberedPages):
            places.append((facts.pages, int | None, True))
        if isinstance(facts, CursorPages):
            places += [(facts.next, str | int | None, True), (facts.more, Any, True)]
        fields = {place: (kind, optional) for place, kind, optional in places if isinstance(place, str) and place}
        return BodyReader(fields, list[msgspec.Raw])

    # -- reading -----------------------------------------------------------------------------------

    def read(
        self,
        listeners: Sequence[VendorStream],
        job: Any,
        ctx: ReadContext,
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read one window: once for each chunk of a long list; it is proven when all of them are."""
        chunks = self.chunks.cut(self.config) if self.chunks else [()]
        sources = [_PartSource(self, listeners, Part(context, chunk)) for chunk in chunks]
        if isinstance(self.paging, (CursorPages, OnePage)):
            return (yield from chain.read_chains(sources, job, ctx))
        return (yield from numbered.read_together(sources, job, ctx))

    def first_request(self, window: Window) -> Request:
        """Make the request for the first page of a window."""
        if isinstance(self.paging, (CursorPages, OnePage)):
            return self.link_request(window, None)
        return super().first_request(window)


class _PartSource(PageSource):
    """A stream being read for one partition and with one chunk of a list."""

    stream: PagedStream

    def __init__(self, stream: PagedStream, listeners: Sequence[VendorStream], part: Part) -> None:
        super().__init__(stream, listeners, part.context)
        self.part = part

    def queue_page(self, ctx: ReadContext, window: Window, number: int, size: int) -> PendingReply:
        """Queue the request for one page of a window."""
        return ctx.request(self.stream.page_request(window, number, size, self.part), self.stream.open)

    def queue_link(self, ctx: ReadContext, window: Window, cursor: str | None) -> PendingReply:
        """Queue the request for the page that a cursor names, or for the first one."""
        return ctx.request(self.stream.link_request(window, cursor, self.part), self.stream.open)


def nested(named: Iterable[Parameter]) -> dict[str, Any]:
    """Return parameters as a JSON body; a name with dots stands in objects."""
    body: dict[str, Any] = {}
    for name, value in named:
        *above, last = name.split(".")
        functools.reduce(lambda node, part: node.setdefault(part, {}), above, body)[last] = value
    return body


def _page_of(facts: Paging) -> str:
    assert isinstance(facts, NumberedPages)  # noqa: S101 - the other ways have no numbers
    return facts.page
