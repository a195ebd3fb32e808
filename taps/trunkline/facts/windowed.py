"""Streams that are read span by span, with a bookmark in their replication key."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline import instants
from trunkline.errors import ConfigInvalid, Keyless, Refused, TrunklineError, Unproven
from trunkline.facts.stream import Batch, VendorStream, WindowRows
from trunkline.steps import feeds, plan
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.prove import numbered, pages
from trunkline.steps.prove.pages import EMPTY, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from trunkline.facts.partitions import PerSetting
    from trunkline.steps.fetch.context import Feed, PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply, Request
    from trunkline.steps.plan import Window


class PageSource:
    """A stream being read for several listeners: each gets every page.

    Args:
        stream: What is read.
        listeners: Who gets its rows.
        context: The partition.
    """

    def __init__(
        self,
        stream: WindowedStream,
        listeners: Sequence[VendorStream],
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.stream, self.listeners, self.context = stream, listeners, context
        self.look_ahead, self.grain, self.page_size = stream.look_ahead, stream.grain, stream.page_size
        self.rounds_within = stream.filter_tolerance if stream.may_read_days else None
        self.may_ignore_page = stream.may_ignore_page

    @property
    def first_page(self) -> int | None:
        """Number of the first page, None while it is not known."""
        return self.stream.first_page

    @first_page.setter
    def first_page(self, value: int | None) -> None:
        self.stream.first_page = value

    def queue_page(self, ctx: ReadContext, window: Window, number: int, size: int) -> PendingReply:
        """Queue the request for one page of a window."""
        return ctx.request(self.stream.page_request(window, number, size), self.stream.open)

    def emit_page(self, ctx: ReadContext, window: Window, page: Page, reply: Reply) -> None:
        """Hand out a page to every listener that has not failed."""
        for listener in self.listeners:
            if not listener.run.failure:
                listener.emit_page(ctx, window, page, reply, self.context)

    def may_wait(self, window: Window) -> bool:
        """Return whether the next run reads this window again anyway."""
        return self.stream.may_wait(window)

    def warn(self, message: str) -> None:
        """Log a warning."""
        self.stream.warn(message)


class WindowedStream(VendorStream):
    """A stream that is requested span by span, with its bookmark in the replication key."""

    tick: timedelta = instants.SECOND
    """The smallest difference that the vendor's filter knows."""
    up_to_now: bool = False
    """Whether the tick that the run starts in is read too, where ticks are long: a day that is not over yet."""
    beginning: datetime | None = None
    """The start of 'everything' in the vendor's filter."""
    inclusive: bool = False
    """Whether the vendor documents without contradiction that the lower end of its filter is inclusive."""
    filter_tolerance: timedelta | None = plan.MINUTE
    """Rows further outside the requested span than this show that the filter was ignored; None: no row can show it."""
    rounds: bool = False
    """Whether rows came from outside of what was requested, but not from far outside."""
    keep_rows_outside_window: bool = False
    """Whether a row outside the span is to be kept: the vendor may mean another time by its filter."""
    other_filter_times: ClassVar[Sequence[str]] = ()
    """Fields that the vendor may mean by it: a row is kept at or after `end_date` while one of them lies before it."""
    first_page: int | None = 1
    per: ClassVar[PerSetting | None] = None
    """The list in the config whose values are partitions of the stream."""
    lookback: ClassVar[str] = ""
    """The stream's own default of the setting `lookback`, an ISO 8601 duration; that of the tap when empty."""
    window: ClassVar[str] = ""
    """The same of the setting `window`."""
    unfinished: ClassVar[str] = ""
    """Field that the vendor fills once a row is final: no bookmark passes the earliest row in which it is empty."""
    may_ignore_page: ClassVar[bool] = False
    """Whether the vendor may not look at the page's number: if a page comes twice, shorter windows are read."""
    max_page_size: ClassVar[int | None] = None
    """Records that the route sends at once, where it allows fewer than the vendor's others."""

    def __init__(self, tap: Any) -> None:
        super().__init__(tap)
        self.read_key = pages.KeyReader(self.identity, keyless=self.skips_keyless)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.per:
            cls.state_partitioning_keys = (cls.per.field,)  # type: ignore[assignment,method-assign] # as the SDK has it

    @property
    def partitions(self) -> list[dict[str, Any]] | None:
        """The contexts of the partitions to read, where the stream has any."""
        return [*self.per.contexts(self.config)] if self.per else None

    def path_of(self, context: Mapping[str, str]) -> str:
        """Return the path of a partition: its values, and those of settings, stand in the place of their names."""
        return self.filled(str(self.path), context)

    @property
    def identity(self) -> Sequence[str]:
        """The vendor's fields that identify its rows: the primary keys, or what they are computed from."""
        made = self.computed
        return tuple(dict.fromkeys(part for key in self.primary_keys for part in made.get(key, ((key,),))[0]))

    # -- where it stands ---------------------------------------------------------------------------

    @functools.cached_property
    def start_date(self) -> datetime | None:
        """The configured first instant."""
        text = self.config.get("start_date")
        return instants.from_iso(text) if text else None

    @functools.cached_property
    def end_date(self) -> datetime | None:
        """The configured last instant (exclusive)."""
        text = self.config.get("end_date")
        return instants.from_iso(text) if text else None

    @property
    def grain(self) -> timedelta:
        """The shortest span that is requested alone, on whose multiples seams lie: what a server may round to."""
        return max(self.tick, plan.MINUTE)

    def bounds(self, window: Window) -> tuple[datetime | None, datetime]:
        """Return the edges to request for a window, in UTC on whole ticks; None stands for no lower one."""
        return window.bounds(self.tick, self.grain, instants.floor(self.tap.run_start, self.tick))

    def may_wait(self, window: Window) -> bool:
        """Return whether a window is the newest part of a run that goes up to now: the next run reads it again."""
        return self.end_date is None and window.until >= self.until

    @functools.cached_property
    def until(self) -> datetime:
        """Where this run stops (exclusive): fixed before the first request."""
        tick = instants.SECOND if self.up_to_now else self.tick
        return plan.end(end_date=self.end_date, run_start=self.tap.run_start, tick=tick)

    def start(self, bookmark: datetime | None) -> plan.Start:
        """Return where this run begins."""
        start = plan.start(
            bookmark=bookmark,
            start_date=self.start_date,
            lookback=self.duration("lookback"),
            run_start=self.tap.run_start,
        )
        if start.at is None and "start_date" in self.tap.required_to_start:
            raise ConfigInvalid(["start_date is missing: it must be a date or date-time, as there is no bookmark yet"])
        return start

    def nothing_to_do(self, start: plan.Start) -> str:
        """Return why there is nothing to read, if so."""
        if start.bookmark and self.end_date and self.end_date <= start.bookmark:
            return (
                f"end_date {instants.to_iso(self.end_date)} is not after the bookmark {instants.to_iso(start.bookmark)}"
            )
        if start.at and start.at >= self.until:
            return f"the start {instants.to_iso(start.at)} is not before the end {instants.to_iso(self.until)}"
        return ""

    def place(self) -> object:
        """Return where the stream stands."""
        start = self.start(self.run.bookmark({}).value)
        return start.at, self.nothing_to_do(start)

    @property
    def longest_span(self) -> timedelta | None:
        """The longest span that the vendor returns in full, as in `common`; None where any is."""
        text = self.tap.common.get("window", {}).get("longest")
        return instants.duration(text) if text else None

    def duration(self, setting: str) -> timedelta:
        """Return a duration: as the user has set it, else the stream's own default, else the tap's."""
        own = "" if self.tap.is_set(setting) else getattr(self, setting)
        return instants.duration(own or self.config[setting])

    def jobs(self, start: plan.Start) -> feeds.Jobs:
        """Plan what to read, from where the stream starts."""
        return feeds.windows(
            start,
            self.until,
            length=self.duration("window"),
            tick=self.tick,
            grain=self.grain,
            lookback=self.duration("lookback"),
            beginning=self.beginning,
            inclusive=self.inclusive,
            longest=self.longest_span,
        )

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """Yield one feed for each partition, or for the stream: the windows from the start to the end."""
        leader, *others = (listener.run for listener in listeners)
        if self.per is None:
            if start := leader.begin_partition({}, self, others):
                yield feeds.WindowFeed(self.jobs(start), functools.partial(self.read, listeners), {}, listeners)
            return
        for context in self.per.contexts(self.config):
            try:
                start = leader.begin_partition(context, self, others)
            except TrunklineError as exc:  # a bookmark that can't be read: the other partitions have theirs
                for listener in listeners:
                    listener.run.fail(context, exc)
                continue
            if start:
                read = functools.partial(self.read_partition, listeners, context)
                yield feeds.WindowFeed(self.jobs(start), read, context, listeners)

    def read_partition(
        self, listeners: Sequence[VendorStream], context: Mapping[str, str], job: Any, ctx: ReadContext
    ) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read one job of a partition, or let one go that is not there any more."""
        try:
            return (yield from self.read(listeners, job, ctx, context))
        except Refused as exc:
            assert self.per is not None  # noqa: S101 - there are partitions
            skipped = self.per.skip_setting and self.config[self.per.skip_setting]
            if exc.status != HTTPStatus.NOT_FOUND or not skipped:
                raise
            note = f"{self.per.noun} {context[self.per.field]} is not there (404) and was skipped; its bookmark stays"
            if note not in self.run.notes:
                self.run.notes.append(note)
            return ReadOutcome(empty=True)

    # -- reading -----------------------------------------------------------------------------------

    @property
    def page_size(self) -> int:
        """Records requested at once: as configured, and no more than the route allows; 0 where no page has a size."""
        size = int(self.config.get("page_size", self.max_page_size or 0))
        return min(size, self.max_page_size or size)

    @property
    def look_ahead(self) -> int:
        """The pages to request before the one at hand is used up."""
        concurrency = int(self.config["concurrency"])
        return 1 if concurrency == 1 else 2 * concurrency

    def read(
        self,
        listeners: Sequence[VendorStream],
        job: Any,
        ctx: ReadContext,
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read one window: pages with numbers, unless a vendor's stream has another way."""
        return (yield from numbered.read_together([PageSource(self, listeners, context)], job, ctx))

    def page_request(self, window: Window, number: int, size: int) -> Request:
        """Make the request for one page of a window, of `size` rows."""
        raise NotImplementedError

    def first_request(self, window: Window) -> Request:
        """Make the request for the first page of a window."""
        return self.page_request(window, self.first_page or 0, self.page_size)

    def open(self, reply: Reply) -> Page:
        """Check the form of a response and find its rows and what it states about them.

        Raises:
            BadResponse: The response is well-formed JSON but not what the vendor documents.
        """
        raise NotImplementedError

    def emit_page(
        self,
        ctx: ReadContext,
        window: Window,
        page: Page,
        reply: Reply,
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Hand out the rows of a page for this stream."""
        ctx.emit(WindowRows(self, window, page.rows, self.replication_key or "", context), reply)

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:
        """Request the first page of the last day, and when nothing is there that of the whole span."""
        day = plan.Window(instants.floor(self.until - timedelta(days=1), self.tick), self.until)
        since = self.start_date or self.beginning
        if since and self.longest_span:
            since = max(since, self.until - self.longest_span)
        spans = [day, plan.Window(instants.floor(since, self.tick), self.until)] if since else [day]
        for window in spans:
            try:
                reply = yield ctx.request(self.first_request(window), self.open)
            except Refused:
                if self.first_page is not None:
                    raise
                reply = yield ctx.request(self.page_request(window, 1, self.page_size), self.open)
            rows = (reply.parsed or EMPTY).rows
            if rows:
                break
        return [WindowRows(self, window, rows, self.replication_key or "")]

    # -- judging rows ------------------------------------------------------------------------------

    def records(self, batch: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Yield the rows that belong to the window."""
        assert isinstance(batch, WindowRows)  # noqa: S101 - what this stream emits
        by, odd = batch.by, self.skips_keyless or self.unfinished
        since, until = batch.window.since or instants.BEGINNING, batch.window.until
        overlap = []
        for record, moments in self._shaped(batch) if odd else map(self.run.shape, batch.rows):
            instant = moments.get(by)
            if (instant is not None and since <= instant < until) or self.belongs(batch, moments):
                if batch.context:
                    _name_partition(record, batch.context)
                yield record, instant
            elif not self.rounds:
                overlap.append((record, moments))
        for record, moments in overlap:
            if self.rounds and self.belongs(batch, moments):  # as a later row of the page has shown
                if batch.context:
                    _name_partition(record, batch.context)
                yield record, moments.get(by)

    def _shaped(self, batch: WindowRows) -> Iterator[tuple[dict[str, Any], dict[str, datetime]]]:
        """Make the records of rows that may have no key, or may not be final."""
        for raw in batch.rows:
            try:
                record, moments = self.run.shape(raw)
            except Keyless:
                if not self.skips_keyless:
                    raise
                self.run.keyless += 1
                continue
            if self.unfinished and batch.by in moments and self._read_end(raw).end in {None, ""}:
                self.run.hold_bookmark(batch.context, moments[batch.by])
            yield record, moments

    @functools.cached_property
    def _read_end(self) -> Callable[[msgspec.Raw], Any]:
        end: Any = ("end", Any, msgspec.field(name=self.unfinished, default=None))
        return msgspec.json.Decoder(msgspec.defstruct("End", [end])).decode

    def belongs(self, rows: WindowRows, moments: Mapping[str, datetime]) -> bool:
        """Return whether a row is this window's, by the field that the vendor filtered on.

        Raises:
            Unproven: The row is so far outside that the vendor must have ignored the filter.
        """
        if (instant := moments.get(rows.by)) is None or rows.window.holds(instant):
            return True
        window, slack = rows.window, self.filter_tolerance
        since, until = self.bounds(window)
        if slack is not None:
            slack = max(slack, self.tick)
            if (since is not None and instant < since - slack) or instant > until + slack:
                raise Unproven(
                    f"{self.name}, {window}, could not be shown complete",
                    f"the vendor ignored the filter: it sent a row with {rows.by} {instants.to_iso(instant)}",
                    self.tap.filter_hint,
                    code="filter-ignored",
                )
        if self.keep_rows_outside_window:
            others = [moments.get(name) for name in self.other_filter_times]
            return not self.end_date or any(at is None or at < self.end_date for at in (instant, *others))
        if instant >= self.until or (self.start_date and instant < self.start_date):
            return False
        # Ticks outside of what was even requested: the vendor rounds further than windows overlap.
        # Then no other window need bring the row, nor those of the overlap.
        far = (since is not None and instant < since - self.tick) or instant > until + self.tick
        self.rounds = self.rounds or far
        return self.rounds


def _name_partition(record: Any, context: Mapping[str, str]) -> None:
    """Write the partition into a record whose row does not name it."""
    for name, value in context.items():
        if record.get(name, "") is None:
            record[name] = value
