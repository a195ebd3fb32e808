"""Streams of details: one request for each row of another stream, in order, while the list is read ahead."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline.errors import Refused, TrunklineError
from trunkline.facts.children import ChildStream
from trunkline.facts.stream import Batch
from trunkline.steps.fetch.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from datetime import datetime

    from trunkline.facts.children import Parent
    from trunkline.facts.stream import VendorStream
    from trunkline.steps.fetch.context import PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page


AT_ONCE = 256
"""Requests for details that are queued before the first response, of one page of the list."""


@dataclass(frozen=True)
class Detail(Batch):
    """The detail of one row.

    Args:
        stream: The stream.
        parent: The row.
        pending: The request for it; None where the row has no key to request it by.
        error: What is raised in its place.
    """

    parent: Parent | None
    pending: PendingReply | None = None
    error: Exception | None = None


class DetailStream(ChildStream):
    """The detail of each row of another stream; where both stand at the same place, the list is read once for both.

    A detail that the vendor does not have (404 or 204) is counted, and requested again within the lookback.
    """

    detail: ClassVar[str] = ""
    """Field that holds the detail, written with dots where it is in an object; empty when it is the body itself."""

    def shares_with(self, other: VendorStream) -> bool:
        """Share the list with its own stream, and with the other details of its rows; not one with many bookmarks."""
        same = isinstance(other, self.listed) or (isinstance(other, DetailStream) and other.listed is self.listed)
        return same and not self.listed.per

    def emit_page(
        self,
        ctx: ReadContext,
        window: Window,
        page: Page,
        reply: Reply,  # noqa: ARG002 - all is on the page
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Queue the request for the detail of each row on the page, some hundred at a time."""
        self._give(ctx, self.parents(window, page.rows, context))

    def _give(self, ctx: ReadContext, parents: Iterator[Parent]) -> None:
        try:
            for number, parent in enumerate(parents, 1):
                if parent.path is None:
                    ctx.emit(Detail(self, parent))
                else:
                    ctx.emit_when_answered(self.queue_detail(ctx, parent), functools.partial(Detail, self, parent))
                if number == AT_ONCE:
                    ctx.emit_rest(functools.partial(self._give, ctx, parents))
                    return
        except TrunklineError as exc:
            # Raised when its turn comes, and for this stream alone: the list may serve another one too.
            ctx.emit(Detail(self, None, error=exc))

    def queue_detail(self, ctx: ReadContext, parent: Parent) -> PendingReply:
        """Queue the request for the detail of one row."""
        label = self.run.label(parent.context) if parent.context else self.name
        path = self.filled(parent.path or "", parent.context)
        request = Request(f"{label} of {self.noun} {parent}", path, stream=label, endpoint=self.name)
        return ctx.request(request, self.open_detail, owner=self)

    def open_detail(self, reply: Reply) -> msgspec.Raw:
        """Find the detail in its response."""
        return self._read_detail(reply.body)

    @functools.cached_property
    def _read_detail(self) -> Callable[[bytes], msgspec.Raw]:
        names = self.detail.split(".") if self.detail else []
        kind: Any = msgspec.Raw
        for name in reversed(names):
            kind = msgspec.defstruct("Body", [("inner", kind, msgspec.field(name=name))])
        read = msgspec.json.Decoder(kind).decode

        def detail(body: bytes) -> Any:
            found = read(body)
            for _ in names:
                found = found.inner
            return found

        return detail

    def records(self, batch: Detail) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Make the record of a detail with what it carries; none when the vendor does not have it (yet)."""
        parent, pending = batch.parent, batch.pending
        if batch.error or parent is None:
            raise batch.error or AssertionError("a detail has a row or an error")
        self.counted += 1
        if pending is None:
            self.note_unnamed(parent)
            return
        try:
            detail = pending.result().parsed
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            detail = None
        if detail is None:  # a 404, or a 204: it may come later
            self.missing += 1
            return
        record, moments = self.run.shape({**self.run.shape.decode(detail), **parent.carried})
        yield record, moments.get(self.replication_key or "")

    def probe_row(self, ctx: ReadContext, parent: Parent) -> Generator[PendingReply, Reply, Batch]:
        """Request the detail of a row."""
        if parent.path is None:
            return Detail(self, parent)
        pending = self.queue_detail(ctx, parent)
        with contextlib.suppress(Refused):  # raised again where it is no 404
            yield pending
        return Detail(self, parent, pending)
