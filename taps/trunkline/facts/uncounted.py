"""Streams whose vendor counts nothing: a span is requested at once, and split until its response is provably whole.

Where a row may change without any date (`unsettled`), those rows are read again before the windows, whatever their age.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline import instants
from trunkline.errors import Refused, Unproven, printable
from trunkline.facts.places import BodyReader
from trunkline.facts.stream import WindowRows
from trunkline.facts.windowed import WindowedStream
from trunkline.steps import feeds, plan
from trunkline.steps.fetch.context import CountedAnew, ReadOutcome
from trunkline.steps.fetch.exchange import Request
from trunkline.steps.prove import whole
from trunkline.steps.prove.pages import EMPTY, Page

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline.facts.paging import OffsetPages
    from trunkline.facts.stream import Batch, VendorStream
    from trunkline.steps.feeds import Jobs
    from trunkline.steps.fetch.context import PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window


@dataclass(frozen=True)
class Unsettled:
    """Rows whose state may change without any date.

    Args:
        field: The field that marks them.
        values: What it then holds.
        noun: What such rows are called, in messages.
    """

    field: str
    values: tuple[str, ...]
    noun: str = "unsettled"


@dataclass(frozen=True)
class UnsettledIn:
    """The unsettled rows of a span, as a job."""

    window: Window


@dataclass(frozen=True)
class SpanRows(WindowRows):
    """Rows of a span, by one of its dates; `unsettled` when they were requested by their state."""

    unsettled: bool = False


class UncountedStream(WindowedStream):
    """A stream with an offset and a limit, and no total."""

    paging: ClassVar[OffsetPages]
    dates: ClassVar[Sequence[str]] = ()
    """Fields a window is requested by, once each; the first one also splits the unsettled rows. Or the bookmark's."""
    unsettled: ClassVar[Unsettled | None] = None

    def query(self, window: Window, by: str, *, unsettled: bool) -> tuple[tuple[str, str], ...]:
        """Return the query parameters of a span, by one of `dates`; of the unsettled rows only, if so."""
        among = {self.unsettled.field: self.unsettled.values} if unsettled and self.unsettled else {}
        span = self.paging.span(self.bounds(window), by, self.config, **among)
        named = [*span, *self.paging.extra_params, *self.exclude_params()]
        return tuple((name, str(value)) for name, value in named)

    # -- which spans -------------------------------------------------------------------------------

    def jobs(self, start: plan.Start) -> Jobs:
        """Return the unsettled rows' job before the windows; a row that is settled meanwhile is found by its date."""
        jobs = super().jobs(start)
        if not self.unsettled:
            return jobs
        since = instants.floor(self.start_date, self.tick) if self.start_date else None
        return jobs.preceded_by(UnsettledIn(plan.Window(since, self.until)))

    @property
    def _dates(self) -> Sequence[str]:
        return self.dates or (str(self.replication_key),)

    # -- reading -----------------------------------------------------------------------------------

    def read(
        self,
        listeners: Sequence[VendorStream],
        job: Any,
        ctx: ReadContext,
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read a span by each of its dates; it is proven when all of them are."""
        unsettled = isinstance(job, UnsettledIn)
        window = job.window if unsettled else job
        spans = [
            SpanRows(self, window, (), by, context, unsettled) for by in (self._dates[:1] if unsettled else self._dates)
        ]
        firsts = [self.queue(ctx, span, 0, self.page_size) for span in spans]
        given: list[tuple[SpanRows, Page, Reply]] = []
        proofs: list[feeds.Proof] = []
        marker = None
        for place, span in enumerate(spans):

            def give(page: Page, reply: Reply, span: SpanRows = span) -> None:
                given.append((replace(span, rows=page.rows), page, reply))

            source = whole.SpanSource(
                window,
                self.page_size,
                functools.partial(self.queue, ctx, span),
                give,
                functools.partial(self.split, window, span.by),
                may_wait=not unsettled and self.may_wait(window),
                may_leave=unsettled,
            )
            verdict = yield from whole.read_whole(source, firsts[place])
            if isinstance(verdict, feeds.WindowUnsettled):
                marker = marker or verdict
            elif isinstance(verdict, feeds.Proof):
                proofs.append(verdict)
            else:
                ctx.forget(firsts[place + 1 :])
                return ReadOutcome(split=tuple(map(UnsettledIn, verdict) if unsettled else verdict))
        for rows, page, reply in given:
            for listener in listeners:
                if listener is self:
                    ctx.emit(rows, reply)
                else:  # reads on from the rows, as their details do
                    listener.emit_page(ctx, window, page, reply, context)
        if unsettled:
            ctx.emit(CountedAnew())
        else:
            ctx.emit(marker or feeds.WindowProven(window, feeds.Proof.of_parts(proofs), ctx.began))
        return ReadOutcome(empty=not any(page.rows for _, page, _ in given))

    def queue(self, ctx: ReadContext, span: SpanRows, offset: int, limit: int) -> PendingReply:
        """Queue the request for the rows of a span from an offset on, at most `limit`."""
        what = self.unsettled.noun if span.unsettled and self.unsettled else span.by.removesuffix("_date")
        label, facts = self.run.label(span.context), self.paging
        request = Request(
            f"{label}, {what}, {span.window}, offset {offset}",
            self.path_of(span.context),
            (
                (facts.size, str(limit)),
                (facts.offset, str(offset)),
                *self.query(span.window, span.by, unsettled=span.unsettled),
            ),
            stream=label,  # each partition's requests are counted for themselves
            endpoint=self.name,
        )
        return ctx.request(request, self.open)

    def split(self, window: Window, by: str, page: Page) -> Sequence[Window]:
        """Return smaller windows for one that holds more than a response, by what the response covers."""
        dates = []
        for raw in page.rows:
            with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError):  # reported when the row's turn comes
                dates.append(self.read_time(getattr(self._read_dates(raw), by))[0])
        if not dates:
            return window.halves(self.grain) or ()
        return window.pieces(min(dates), max(dates), self.grain)

    @functools.cached_property
    def _read_dates(self) -> Any:
        kinds: list[Any] = [(name, str | None, None) for name in self._dates]
        return msgspec.json.Decoder(msgspec.defstruct("Dates", kinds)).decode

    @functools.cached_property
    def _reader(self) -> BodyReader:
        rows = str(self.paging.rows)
        return BodyReader({rows: (list[msgspec.Raw], False)} if rows else {}, list[msgspec.Raw])

    def open(self, reply: Reply) -> Page:
        """Find the rows; there is no total."""
        body = self._reader.read(reply.body)
        return Page(self._reader.get(body, str(self.paging.rows)) if self.paging.rows else body, self.read_key)

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:
        """Request the newest day of each partition."""
        batches: list[Batch] = []
        refused: list[Refused] = []
        window = plan.Window(instants.floor(self.until - timedelta(days=1), self.tick), self.until)
        for context in self.per.contexts(self.config) if self.per else [{}]:
            span = SpanRows(self, window, (), self._dates[0], context)
            try:
                reply = yield self.queue(ctx, span, 0, self.page_size)
            except Refused as exc:  # this partition's: the others are tried all the same
                refused.append(exc)
                continue
            batches.append(replace(span, rows=(reply.parsed or EMPTY).rows))
        if refused:
            noun = self.per.noun if self.per else ""
            others = f" (and {len(refused) - 1} more {noun}s)" if refused[1:] else ""
            raise Refused(
                f"{refused[0].what}{others}",
                refused[0].why,
                refused[0].remedy,
                status=refused[0].status,
                code=refused[0].code,
            )
        return batches

    # -- rows --------------------------------------------------------------------------------------

    def records(self, batch: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Yield the rows; one counts for the bookmark by the date it was requested with, an unsettled one never."""
        if batch.unsettled:
            self._judge_states(batch)
        for record, instant in super().records(batch):
            yield record, None if batch.unsettled else instant

    def _judge_states(self, batch: SpanRows) -> None:
        """Raise if a row is settled that was requested as unsettled: by the vendor's row, whatever of it is written."""
        facts = self.unsettled
        assert facts is not None  # noqa: S101 - there are such rows
        for raw in batch.rows:
            try:
                state = self._read_state(raw).state
            except msgspec.MsgspecError:  # reported when the row's turn comes
                continue
            if (state is None or isinstance(state, str)) and state not in facts.values:
                raise Unproven(
                    f"{self.run.label(batch.context)}, {facts.noun}, could not be read",
                    f"the vendor ignored the filter: it sent a row whose {facts.field} is {printable(str(state))}",
                    self.tap.filter_hint,
                    code="filter-ignored",
                )

    @functools.cached_property
    def _read_state(self) -> Any:
        assert self.unsettled is not None  # noqa: S101 - same
        field: Any = ("state", Any, msgspec.field(name=self.unsettled.field, default=None))
        return msgspec.json.Decoder(msgspec.defstruct("State", [field])).decode
