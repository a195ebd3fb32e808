"""One stream in one run: its records, its counts, its bookmarks, and the line about it in the table of the run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from trunkline import instants
from trunkline.errors import TrunklineError
from trunkline.run.window_keys import WindowKeys
from trunkline.steps.bookmark import Bookmark
from trunkline.steps.fetch.client import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from trunkline.facts.stream import Batch, VendorStream
    from trunkline.facts.windowed import WindowedStream
    from trunkline.steps.feeds import WindowProven, WindowUnsettled
    from trunkline.steps.plan import Start

MOST_FAILURES = 20
"""Failures of parts that are logged one by one, where a stream may have any number of parts."""


@dataclass(slots=True)
class PartitionProgress:
    """The progress of one partition of a stream (or the stream, if it has none) in this run.

    Args:
        bookmark: Its bookmark.
        before: The bookmark's value when the run began.
        number: Its place among the stream's partitions, from 1.
        earliest: The earliest instant that was written.
        latest: Of the window at hand, the latest one.
        plan: Where it is read from and to; None before that is known.
        at: The upper edge of the last proven window.
        windows: Windows proven.
        rows: Records written.
        first: The earliest instant of the proven windows.
        last: The latest one.
        held: The instant that no bookmark passes, because a row at it is not final.
        unsettled: The newest part of the run that was written and not proven, if any.
        written: The different keys that were written of the window at hand; None where nobody counts them.
        proven: The span of its proofs in this run, as `window_proofs` has it; None before the first one.
    """

    bookmark: Bookmark
    before: datetime | None
    number: int
    earliest: datetime | None = None
    latest: datetime | None = None
    span: ReadSpan | None = None
    at: datetime | None = None
    windows: int = 0
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    unsettled: WindowUnsettled | None = None
    held: datetime | None = None
    written: WindowKeys | None = None
    proven: tuple[datetime, datetime] | None = None

    @property
    def unproven(self) -> tuple[datetime, datetime] | None:
        """The span that the run was to read and has no proof of; None if there is none, or no span was to be read."""
        if self.span is None:
            return None
        since = self.at or self.span.since or instants.EPOCH
        return (since, self.span.until) if since < self.span.until else None

    @property
    def complete_up_to(self) -> datetime | None:
        """Where what is proven ends, if the newest part was left to the next run."""
        return (self.unsettled.window.since or instants.BEGINNING) if self.unsettled else None


class ReadSpan(NamedTuple):
    """A partition's span to read: from an instant (None: everything) to another one, in windows of a length."""

    since: datetime | None
    until: datetime
    length: timedelta


class StreamRun:
    """One stream in one run: makes its records, counts them, and moves its bookmarks.

    Args:
        stream: The stream.
        write: Takes each finished record; returns False if it was filtered out.
        state: Where its bookmarks stand; the tap's state when left out.
        as_dict: Whether records must be dicts, because the caller changes them.
        counts_keys: Whether the different keys of each window are counted, for its proof.
    """

    def __init__(
        self,
        stream: VendorStream,
        write: Callable[[dict[str, Any]], bool | None],
        *,
        state: dict[str, Any] | None = None,
        as_dict: bool = False,
        counts_keys: bool = False,
    ) -> None:
        self.stream, self.write = stream, write
        self.counts_keys = counts_keys
        self._state = stream.tap.bookmarks if state is None else state
        self.shape = stream.compile_shape(as_dict=as_dict)
        self.rows = self.missing = self.keyless = self.repeated = self.filtered = 0
        self.failures: list[str] = []
        self.causes: list[tuple[Mapping[str, Any], Exception]] = []  # the same, with the partition and unworded
        self.failure: Exception | None = None  # of the stream as a whole; one of a partition is only in `failures`
        self.notes: list[str] = []
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.current: PartitionProgress | None = None  # the one that rows came from last
        self.ended = False
        self.whole: datetime | None = None  # when a table that has no windows was begun, once it is proven
        self._partitions: dict[tuple[tuple[str, Any], ...], PartitionProgress] = {}
        self._begun = 0
        self.unlogged = 0
        """Failures that are only counted, beside those in `failures`."""

    # -- where it stands ---------------------------------------------------------------------------

    def bookmark(self, context: Mapping[str, Any]) -> Bookmark:
        """Return the bookmark of the stream, or of one of its partitions."""
        stream = self.stream
        return Bookmark(
            # A full table keeps no bookmark: a private state takes what it would write.
            self._state if stream.replication_method == REPLICATION_INCREMENTAL else {},
            stream.name,
            stream.replication_key or "",
            context=context,
            run_start=stream.tap.run_start,
            account=stream.tap.account,
        )

    def begin_partition(
        self, context: Mapping[str, Any], source: WindowedStream, others: Sequence[StreamRun] = ()
    ) -> Start | None:
        """Log where reading starts and why.

        Args:
            context: The partition.
            source: The stream whose windows are requested.
            others: Those read from the same responses, so over the same span.

        Returns:
            Where to start; None when there is nothing to do.
        """
        start = source.start(self.bookmark(context).value)
        label = self.label(context)
        self._known(context)
        nothing = source.nothing_to_do(start)
        if nothing:
            self.stream.logger.info("%s: nothing to do, %s", label, nothing)
            return None
        span = ReadSpan(start.at, source.until, source.duration("window"))
        for run in (self, *others):
            run._known(context).span = span  # noqa: SLF001 - of the same class
        begin = instants.to_iso(start.at) if start.at else "the beginning"
        end = instants.to_iso(source.until)
        self.stream.logger.info("%s: reading from %s (%s) to %s", label, begin, start.why, end)
        return start

    def label(self, context: Mapping[str, Any]) -> str:
        """Return the stream, and its partition if there is one, for log lines."""
        return f"{self.stream.name} of {', '.join(str(v) for v in context.values())}" if context else self.stream.name

    @property
    def partitions(self) -> list[tuple[Mapping[str, Any], PartitionProgress]]:
        """The partitions read so far, by context; for a stream without partitions, at most the empty one."""
        if not self.stream.keeps_partitions:
            return []
        return [(dict(key), partition) for key, partition in self._partitions.items()]

    def tally(self, tallies: Mapping[str, Tally], context: Mapping[str, Any] | None = None) -> Tally:
        """Return the counts of the stream, or of one of its partitions where requests are counted for each."""
        if context is not None:
            return tallies.get(self.label(context), Tally())
        labels = {self.stream.name, *(self.label(dict(key)) for key in self._partitions)}
        each = [tallies[label] for label in labels if label in tallies]
        return Tally(*(sum(getattr(one, field.name) for one in each) for field in fields(Tally)))

    def _known(self, context: Mapping[str, Any]) -> PartitionProgress:
        key = tuple(context.items())
        partition = self._partitions.get(key)
        if partition is None:
            bookmark = self.bookmark(context)
            if not self.stream.keeps_partitions:
                self._partitions.clear()
            self._begun += 1
            partition = self._partitions[key] = PartitionProgress(bookmark, bookmark.value, self._begun)
            if self.counts_keys:
                partition.written = WindowKeys(self.stream.primary_keys, self.stream.replication_key)
        return partition

    def _partition(self, context: Mapping[str, Any]) -> PartitionProgress:
        self.current = self._known(context)
        return self.current

    # -- what comes --------------------------------------------------------------------------------

    def take(self, context: Mapping[str, Any], batch: Batch, stopped: Callable[[], None] = lambda: None) -> None:
        """Write what a feed handed out.

        Args:
            context: The partition.
            batch: What came for the stream.
            stopped: Called after each record; raises to stop there.
        """
        partition, write = self._partition(context), self.write
        earliest, latest, rows = partition.earliest, partition.latest, 0
        count = partition.written.adder(getattr(batch, "by", None)) if partition.written else None
        try:
            for record, instant in self.stream.records(batch):
                is_kept = write(record) is not False
                rows += 1
                if not is_kept:
                    self.filtered += 1
                elif count:
                    count(record, instant)
                if instant is not None:
                    if latest is None or instant > latest:
                        latest = instant
                    if earliest is None or instant < earliest:
                        earliest = instant
                stopped()
        finally:
            partition.earliest, partition.latest = earliest, latest
            partition.rows += rows
            self.rows += rows

    def proven(self, context: Mapping[str, Any], item: WindowProven) -> bool:
        """Move the bookmark past a window that adds up and was written.

        Returns:
            Whether the bookmark has moved.
        """
        partition = self._partition(context)
        latest, partition.latest = partition.latest, None
        partition.at = item.window.until
        since, until = self.proven_span(item)
        partition.proven = (partition.proven or (since, until))[0], until
        partition.windows += 1
        if latest is None:
            return False  # never to the end of an empty window: late rows must still be caught
        partition.first = min(partition.first or latest, partition.earliest or latest)
        partition.last = max(partition.last or latest, latest)
        self.first = min(self.first or latest, partition.first)
        self.last = max(self.last or latest, latest)
        return partition.bookmark.advance(min(latest, item.window.until, partition.held or latest))

    def proven_span(self, item: WindowProven) -> tuple[datetime, datetime]:
        """Return the span that a proof is about, as `window_proofs` has it: of a full table the moment it was read."""
        if self.stream.replication_key is None:
            return item.read_from, item.read_from
        return item.window.since or instants.EPOCH, item.window.until

    def unproven(self, context: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
        """Return the span that a partition has no proof of; None where that is no span, or is not known."""
        partition = self._partitions.get(tuple(context.items()))
        return partition.unproven if partition else None

    def count_anew(self, context: Mapping[str, Any]) -> None:
        """Forget the keys counted so far: what was written belongs to no window that will be proven."""
        self._forget_keys(self._known(context))

    def window_keys(self, context: Mapping[str, Any]) -> WindowKeys | None:
        """Return the different keys that were written of the window at hand, where they are counted."""
        return self._known(context).written

    @staticmethod
    def _forget_keys(partition: PartitionProgress) -> None:
        if partition.written:
            partition.written.clear()

    def hold_bookmark(self, context: Mapping[str, Any], instant: datetime) -> None:
        """Let no bookmark of the partition pass an instant in this run."""
        partition = self._partition(context)
        partition.held = min(partition.held or instant, instant)

    def unsettled(self, context: Mapping[str, Any], item: WindowUnsettled) -> None:
        """Leave the newest part of the run to the next one: it was written, and no bookmark moves past it."""
        partition = self._partition(context)
        partition.latest, partition.unsettled = None, item
        self._forget_keys(partition)
        of = f"{self.label(context)}: " if context else ""
        self.notes.append(
            f"{of}{item.window} was written and is not proven, as it does not hold still ({item.why}); the bookmark "
            "stays before it, and the next run reads it again"
        )

    @property
    def complete_up_to(self) -> datetime | None:
        """Where what is proven ends, if the newest part was left to the next run; of partitions, the earliest."""
        return min(filter(None, (each.complete_up_to for each in self._partitions.values())), default=None)

    def fail(self, context: Mapping[str, Any], error: Exception) -> None:
        """Note a failure; without a partition it is the whole stream's."""
        if not context:
            self.failure = error
        elif not self.stream.keeps_partitions and len(self.failures) >= MOST_FAILURES:
            self.unlogged += 1
            return
        self.causes.append((dict(context), error))
        self.stream.logger.debug("traceback, as set by the log level", exc_info=error)
        kind = "" if isinstance(error, TrunklineError) else f"unexpected {type(error).__name__}: "
        self.failures.append(f"{self.label(context)}: {kind}{error}")


_HEAD = ("stream", "rows", "pages", "requests", "retries", "waited", "from", "to", "verdict")


def _verdict(run: StreamRun) -> str:
    if run.failures:
        return "FAILED"
    return f"complete up to {run.complete_up_to:%Y-%m-%d %H:%M:%S}" if run.complete_up_to else "complete"


def table(runs: Sequence[StreamRun], tallies: Mapping[str, Tally]) -> list[str]:
    """Return the figures of each stream in columns; requests are counted for the stream they were sent for."""
    rows = [_HEAD]
    for run in runs:
        tally = run.tally(tallies)
        rows.append((
            run.stream.name,
            str(run.rows),
            str(tally.responses),
            str(tally.requests),
            str(tally.retries),
            f"{tally.waited:.1f} s",
            run.first.strftime("%Y-%m-%d %H:%M:%S") if run.first else "-",
            run.last.strftime("%Y-%m-%d %H:%M:%S") if run.last else "-",
            _verdict(run),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
