"""Streams of lists within lists: for each row of another stream a list of its own, such as the recordings of a call."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from trunkline.errors import Refused, TrunklineError, Unproven
from trunkline.facts.children import ChildStream
from trunkline.facts.paged import PagedStream
from trunkline.facts.snapshot import WholeTable
from trunkline.facts.stream import Batch
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.prove import nested
from trunkline.steps.prove.pages import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    import msgspec

    from trunkline.facts.children import Parent
    from trunkline.facts.ports import StreamState
    from trunkline.facts.stream import VendorStream
    from trunkline.facts.windowed import WindowedStream
    from trunkline.steps.fetch.context import PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page


@dataclass(frozen=True)
class RowTable(WholeTable):
    """The whole list of one row, in the place of a window."""

    about: str = ""
    parent: Any = None

    def __str__(self) -> str:
        return self.about


@dataclass(frozen=True)
class ListRows(Batch):
    """Rows of one row's list, or that the list has ended.

    Args:
        stream: The stream.
        parent: The row.
        rows: Rows of its list.
        ended: Whether its list has ended.
        missing: Whether there is no list.
    """

    parent: Parent
    rows: Sequence[msgspec.Raw] = ()
    ended: bool = False
    missing: bool = False


@dataclass
class _Rows:
    """Listens to the parent: keeps its pages for the reading around it."""

    run: StreamState

    def emit_page(self, ctx: ReadContext, window: Window, page: Page, reply: Reply, context: Mapping[str, str]) -> None:
        """Give a page as it is."""
        ctx.emit((window, page, context), reply)


class PerRow(ChildStream, PagedStream):
    """A list for each row of another stream, paged in any way: `paging` holds how, `path` where.

    Each list is proven as a full table is. A list that fails fails its window; one that the vendor does not have (404)
    is counted, and requested again within the lookback.
    """

    thing, statuses = "list", "404"

    @property
    def identity(self) -> Sequence[str]:
        """The vendor's fields that identify the rows of one list."""
        return [name for name in self.primary_keys if name not in self.carries] or self.primary_keys

    def span(self, window: Window) -> tuple[()]:  # noqa: ARG002 - it has none
        """Return nothing: a row's list has no span."""
        return ()

    def may_wait(self, window: Window) -> bool:  # noqa: ARG002 - whatever it is
        """Return false: the bookmark would move past the row."""
        return False

    # -- reading -----------------------------------------------------------------------------------

    @functools.cached_property
    def source(self) -> WindowedStream:
        """The parent as this stream reads it: with each of its windows, the lists of the rows in it."""
        source: Any = super().source
        read = source.read

        def read_with_lists(
            _: Sequence[VendorStream], job: Any, ctx: ReadContext, context: Mapping[str, str] = MappingProxyType({})
        ) -> Generator[PendingReply, Reply, ReadOutcome]:
            def outer(inner: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
                steps: Generator[PendingReply, Reply, ReadOutcome] = read([_Rows(self.run)], job, inner, context)
                return steps

            return nested.read_nested(ctx, outer, self._lists, self.look_ahead)

        source.read = read_with_lists
        return cast("WindowedStream", source)

    def _lists(
        self, given: tuple[Window, Page, Mapping[str, str]]
    ) -> Iterator[Callable[[nested.Inner], nested.Reading] | nested.Ready | nested.Broken]:
        window, page, context = given
        try:
            for parent in self.parents(window, page.rows, context):
                if parent.path is None:
                    yield nested.Ready(ListRows(self, parent, ended=True, missing=True))
                else:
                    yield functools.partial(self._read_list, parent)
        except TrunklineError as exc:
            yield nested.Broken(exc)

    def _read_list(self, parent: Parent, ctx: nested.Inner) -> Generator[PendingReply, Reply, ReadOutcome]:
        stream, table, missing = self._of(parent), self._table(parent), False
        try:
            outcome = yield from PagedStream.read(stream, [self], table, ctx, parent.context)
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND or ctx.gave:
                raise
            outcome, missing = ReadOutcome(empty=True), True
        except Unproven as exc:
            raise Unproven(f"{self.name} {exc.what}", exc.why, exc.remedy, code=exc.code) from None
        self.first_page = stream.first_page  # where it had to be learned
        ctx.emit(ListRows(self, parent, ended=True, missing=missing))
        return outcome

    def _of(self, parent: Parent) -> PerRow:
        """Return the stream as it stands for one row."""
        self._reader  # noqa: B018 - made once, and not for each row
        stream = copy.copy(self)
        stream.path = parent.path or ""
        return stream

    def _table(self, parent: Parent) -> RowTable:
        return RowTable(None, self.source.until, about=f"of {self.noun} {parent}", parent=parent)

    def emit_page(
        self,
        ctx: ReadContext,
        window: Window,
        page: Page,
        reply: Reply,
        context: Mapping[str, str] = MappingProxyType({}),  # noqa: ARG002 - the row's own
    ) -> None:
        """Hand out a page of a row's list."""
        assert isinstance(window, RowTable)  # noqa: S101 - it is read with no other
        ctx.emit(ListRows(self, window.parent, page.rows), reply)

    def probe_row(self, ctx: ReadContext, parent: Parent) -> Generator[PendingReply, Reply, Batch]:
        """Request the first page of a row's list."""
        if parent.path is None:
            return ListRows(self, parent, ended=True, missing=True)
        stream = self._of(parent)
        try:
            stream.path = stream.path_of(parent.context)
            reply = yield ctx.request(stream.first_request(self._table(parent)), self.open)
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            return ListRows(self, parent, ended=True, missing=True)
        return ListRows(self, parent, (reply.parsed or EMPTY).rows)

    # -- rows --------------------------------------------------------------------------------------

    def records(self, batch: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Make the records of a row's list with what they carry."""
        assert isinstance(batch, ListRows)  # noqa: S101 - what this stream emits
        parent, ended, missing = batch.parent, batch.ended, batch.missing
        shape, by = self.run.shape, self.replication_key or ""
        for raw in batch.rows:
            record, moments = shape({**shape.decode(raw), **parent.carried})
            yield record, moments.get(by)
        if ended:
            self.counted += 1
        if missing and parent.path is None:
            self.note_unnamed(parent)
        elif missing:
            self.missing += 1
