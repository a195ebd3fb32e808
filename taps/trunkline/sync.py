"""The run: streams one after the other, one thread that writes, and a verdict for each at the end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from singer_sdk.singerlib.encoding.simple import StateMessage

from trunkline import instants, process, sdk
from trunkline.ahead import Ahead, Desk, Failure
from trunkline.bookmark import Bookmark, clean
from trunkline.client import Cancelled, Tally
from trunkline.errors import AccessDenied, OutputLost, Stopped, TrunklineError, shown
from trunkline.feeds import Proven, Unsettled
from trunkline.shape import EXTRA
from trunkline.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from trunkline.ahead import Feed
    from trunkline.plan import Start
    from trunkline.stream import VendorStream, WindowedStream
    from trunkline.tap import VendorTap

STATE_EVERY = 1.0
"""Seconds after which a moved bookmark is written at the next window's end."""

MOST_FAILURES = 20
"""Failures of parts that are told one by one, where a stream may have any number of parts."""

STATE_SHARE = 50
"""A moved bookmark is written sooner once this many times its own bytes were written since the last one."""


_UNREAD = AccessDenied("it was not read to its end", "the credentials were refused meanwhile", "")
_KEPT = {"keep": "kept in _extra", "drop": "dropped"}


@dataclass(slots=True)
class Partition:
    """How far one partition of a stream (or the stream, if it has none) has come in this run.

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
        unsettled: The newest part of the run that was written and not proven, if any.
    """

    bookmark: Bookmark
    before: datetime | None
    number: int
    earliest: datetime | None = None
    latest: datetime | None = None
    plan: Plan | None = None
    at: datetime | None = None
    windows: int = 0
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    unsettled: Unsettled | None = None

    @property
    def complete_up_to(self) -> datetime | None:
        """Where what is proven ends, if the newest part was left to the next run."""
        return (self.unsettled.window.since or instants.BEGINNING) if self.unsettled else None


class Plan(NamedTuple):
    """What a partition is asked for: from an instant (None: everything) to another one, in windows of a length."""

    since: datetime | None
    until: datetime
    length: timedelta


class StreamRun:
    """One stream in one run: makes its records, counts them, and moves its bookmarks.

    Args:
        stream: The stream.
        write: Takes each finished record.
        state: Where its bookmarks stand; the tap's state when left out.
        as_dict: Whether records must be dicts, because somebody else goes on with them.
    """

    def __init__(
        self,
        stream: VendorStream,
        write: Callable[[dict[str, Any]], None],
        *,
        state: dict[str, Any] | None = None,
        as_dict: bool = False,
    ) -> None:
        self.stream, self.write = stream, write
        self._state = stream.tap.bookmarks if state is None else state
        self.shape = sdk.compile_shape(stream, as_dict=as_dict)
        self.rows = self.missing = 0
        self.failures: list[str] = []
        self.causes: list[tuple[Mapping[str, Any], Exception]] = []  # the same, with the partition and unworded
        self.failure: Exception | None = None  # of the stream as a whole; one of a partition is only in `failures`
        self.notes: list[str] = []
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.current: Partition | None = None  # the one that rows came from last
        self.ended = False
        self._partitions: dict[tuple[tuple[str, Any], ...], Partition] = {}
        self._begun = 0
        self.untold = 0
        """Failures that are only counted, beside those in `failures`."""

    # -- where it stands ---------------------------------------------------------------------------

    def bookmark(self, context: Mapping[str, Any]) -> Bookmark:
        """The bookmark of the stream, or of one of its partitions."""
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

    def begin_partition(self, context: Mapping[str, Any], source: WindowedStream) -> Start | None:
        """Say where reading starts and why.

        Returns:
            Where to start; None when there is nothing to do.
        """
        start = source.start(self.bookmark(context).value)
        label = self.label(context)
        partition = self._known(context)
        nothing = source.nothing_to_do(start)
        if nothing:
            self.stream.logger.info("%s: nothing to do, %s", label, nothing)
            return None
        partition.plan = Plan(start.at, source.until, instants.duration(source.config["window"]))
        begin = instants.to_iso(start.at) if start.at else "the beginning"
        end = instants.to_iso(source.until)
        self.stream.logger.info("%s: reading from %s (%s) to %s", label, begin, start.why, end)
        return start

    def label(self, context: Mapping[str, Any]) -> str:
        """The stream, and its partition if there is one, for log lines."""
        return f"{self.stream.name} of {', '.join(str(v) for v in context.values())}" if context else self.stream.name

    @property
    def partitions(self) -> list[tuple[Mapping[str, Any], Partition]]:
        """What the stream was read in so far, by context; for a stream without partitions, at most the empty one."""
        if not self.stream.keeps_parts:
            return []
        return [(dict(key), partition) for key, partition in self._partitions.items()]

    def tally(self, tallies: Mapping[str, Tally], context: Mapping[str, Any] | None = None) -> Tally:
        """What was asked for the stream, or for one of its partitions where requests are counted for each."""
        if context is not None:
            return tallies.get(self.label(context), Tally())
        labels = {self.stream.name, *(self.label(dict(key)) for key in self._partitions)}
        each = [tallies[label] for label in labels if label in tallies]
        return Tally(*(sum(getattr(one, field.name) for one in each) for field in fields(Tally)))

    def _known(self, context: Mapping[str, Any]) -> Partition:
        key = tuple(context.items())
        partition = self._partitions.get(key)
        if partition is None:
            bookmark = self.bookmark(context)
            if not self.stream.keeps_parts:
                self._partitions.clear()
            self._begun += 1
            partition = self._partitions[key] = Partition(bookmark, bookmark.value, self._begun)
        return partition

    def _partition(self, context: Mapping[str, Any]) -> Partition:
        self.current = self._known(context)
        return self.current

    # -- what comes --------------------------------------------------------------------------------

    def take(self, context: Mapping[str, Any], thing: Any, stopped: Callable[[], None] = lambda: None) -> None:
        """Write what a feed handed out.

        Args:
            context: The partition.
            thing: What was handed out.
            stopped: Called after each record; raises to stop there.
        """
        partition, write = self._partition(context), self.write
        earliest, latest, rows = partition.earliest, partition.latest, 0
        try:
            for record, instant in self.stream.records(thing):
                write(record)
                rows += 1
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

    def proven(self, context: Mapping[str, Any], item: Proven) -> bool:
        """Move the bookmark past a window that adds up and was written.

        Returns:
            Whether the bookmark has moved.
        """
        partition = self._partition(context)
        latest, partition.latest = partition.latest, None
        partition.at = item.window.until
        partition.windows += 1
        if latest is None:
            return False  # never to the end of an empty window: late rows must still be caught
        partition.first = min(partition.first or latest, partition.earliest or latest)
        partition.last = max(partition.last or latest, latest)
        self.first = min(self.first or latest, partition.first)
        self.last = max(self.last or latest, latest)
        return partition.bookmark.advance(min(latest, item.window.until))

    def unsettled(self, context: Mapping[str, Any], item: Unsettled) -> None:
        """Leave the newest part of the run to the next one: it was written, and no bookmark moves past it."""
        partition = self._partition(context)
        partition.latest, partition.unsettled = None, item
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
        elif not self.stream.keeps_parts and len(self.failures) >= MOST_FAILURES:
            self.untold += 1
            return
        self.causes.append((dict(context), error))
        self.stream.logger.debug("traceback, as asked for by the log level", exc_info=error)
        kind = "" if isinstance(error, TrunklineError) else f"unexpected {type(error).__name__}: "
        self.failures.append(f"{self.label(context)}: {kind}{error}")


class Run:
    """One run of a tap.

    Args:
        tap: The tap.
    """

    def __init__(self, tap: VendorTap) -> None:
        self.tap, self.writer, self.logger = tap, tap.block_writer, tap.logger
        self.workers = tap.workers
        self.runs: list[StreamRun] = []  # of the streams begun so far
        self.reading: Sequence[StreamRun] = ()  # of those that are read now, from the same answers
        self.stop: int | None = None  # the signal that ends it
        self.last_words: Callable[[int], None] = lambda _: None  # what is told if the signal ends the process at once
        self.denied = False  # the credentials are refused: nothing more can be read
        self._state_at = float("-inf")
        self._state_mark = 0
        self._state_size = 0
        self._state_pending = False

    def sync(self) -> int:
        """Read every selected stream.

        Returns:
            The process's exit code: 0 only if all is well.
        """
        clean(self.tap.bookmarks)
        self._warn_of_catalog()
        try:
            for group in self._groups():
                self.reading = [stream.run for stream in group]
                self.runs.extend(self.reading)
                if not self.denied:
                    self._group(group)
                for stream in group:
                    if self.denied and not stream.run.failures:
                        stream.run.fail({}, _UNREAD)
                    self._told(stream.run)
            self._write_state(last=True)
            self._stopped()
        except Stopped as stopped:
            with suppress(OutputLost, Stopped):  # the target may be gone by the same signal, or sleep
                self._write_state(last=True)
            self.logger.warning("stopped by signal %d; what was proven is kept in the last STATE", stopped.signum)
            return 128 + stopped.signum
        finally:
            self.reading = ()
            self.workers.close(0 if self.stop else 1)
        return self._verdict()

    # -- groups of streams -------------------------------------------------------------------------

    def _groups(self) -> Iterator[list[VendorStream]]:
        """Selected streams, those read from the same answers together where they stand at the same place."""
        left = [stream for stream in self.tap.ordered_streams() if stream.selected]
        self.tap.client.only = sum(stream.parts or 1 for stream in left) == 1
        for stream in left:
            stream.run = StreamRun(stream, sdk.record_writer(stream, self.writer))
        while left:
            first = left.pop(0)
            same = [s for s in left if s.shares_with(first) and s.place() == first.place()]
            left = [s for s in left if s not in same]
            yield [first, *same]

    def _warn_of_catalog(self) -> None:
        """Tell of a catalog that was made for another tap, or selects nothing: nothing is left out in silence."""
        names = [stream.name for stream in self.tap.ordered_streams()]
        for name in sorted(set(self.tap.input_catalog or ()) - set(names)):
            self.logger.warning("the catalog names %s, which is no stream of this tap", shown(name))
        for stream in self.tap.ordered_streams():
            fields = sdk.unmentioned(stream) if stream.selected else []
            if fields:
                kept = "kept in _extra" if stream.mask["properties", EXTRA] else "left out, as _extra is deselected"
                told = "%s: the catalog does not mention %s: %s; discover it again to give them columns"
                self.logger.warning(told, stream.name, ", ".join(fields), kept)
        if not any(stream.selected for stream in self.tap.ordered_streams()):
            self.logger.warning("the catalog selects none of %s: nothing is read", ", ".join(names))

    def _group(self, streams: list[VendorStream]) -> None:
        """Read one group of streams."""
        for stream in streams:
            for message in sdk.schema_messages(stream):
                self.writer.write_message(message)
        ahead = Ahead(self.workers, streams[0].feeds(streams))
        try:
            self._read(ahead)
        except OutputLost:
            raise
        except Exception as exc:  # noqa: BLE001 - the group's, before it had any feed
            for stream in streams:
                stream.run.fail({}, exc)

    def _read(self, ahead: Ahead) -> None:
        for feed, item in ahead.items():
            self._take(ahead, feed, item)
            if self.denied:
                return

    def _take(self, ahead: Ahead, feed: Feed, item: Any) -> None:
        """Do what an item that came from a feed calls for."""
        if isinstance(item, Failure):
            if isinstance(item.error, (OutputLost, Stopped)):
                raise item.error
            for stream in feed.listeners:
                if not stream.run.failure:
                    stream.run.fail(feed.context, item.error)
            self.denied |= isinstance(item.error, AccessDenied)
        elif isinstance(item, (Proven, Unsettled)):
            self._window_ended(ahead, feed, item)
        else:
            self._deliver(ahead, feed, *item)

    def _deliver(self, ahead: Ahead, feed: Feed, stream: VendorStream, thing: Any) -> None:
        if stream.run.failure or stream not in feed.listeners:
            return
        with self._isolated(ahead, feed, stream):
            self.writer.tick()
            stream.run.take(feed.context, thing, self._stopped)

    def _stopped(self) -> None:
        if self.stop is not None:
            raise Stopped(self.stop)

    def _window_ended(self, ahead: Ahead, feed: Feed, item: Proven | Unsettled) -> None:
        for stream in feed.listeners:
            if not stream.run.failure:
                with self._isolated(ahead, feed, stream):
                    stream.prove(item.window)
                    if isinstance(item, Unsettled):
                        stream.run.unsettled(feed.context, item)
                    else:
                        self._state_pending |= stream.run.proven(feed.context, item)
        self._write_state()

    @contextmanager
    def _isolated(self, ahead: Ahead, feed: Feed, stream: VendorStream) -> Iterator[None]:
        """Let one stream's failure stop that stream (or partition) alone."""
        try:
            yield
        except OutputLost:
            raise
        except Exception as exc:  # noqa: BLE001 - a stream map's error, or one of ours: the other streams go on
            stream.run.fail(feed.context, exc)
            if isinstance(exc, AccessDenied):
                self.denied = True
            if feed.context:  # the partition's, and this stream's alone
                feed.listeners = [other for other in feed.listeners if other is not stream]
            if all(other.run.failure for other in feed.listeners):
                ahead.drop(feed)
            elif not feed.context:
                ahead.abandon(stream)

    # -- state -------------------------------------------------------------------------------------

    def _write_state(self, *, last: bool = False) -> None:
        """Write the state after what it covers: by time, by the bytes it stands behind, and at the end."""
        if last:
            self.writer.flush()
        now = time.monotonic()
        since = self.writer.bytes_written - self._state_mark
        due = now - self._state_at >= STATE_EVERY or since >= STATE_SHARE * self._state_size
        if not (since if last else self._state_pending and due):
            return
        self.writer.flush()
        before = self.writer.bytes_written
        self.writer.write_message(StateMessage(value=self.tap.bookmarks))
        self._state_mark = self.writer.bytes_written
        self._state_size = self._state_mark - before
        self._state_at, self._state_pending = now, False
        process.trim()

    # -- the end -----------------------------------------------------------------------------------

    def signals(self) -> Signals:
        """While it is entered, SIGTERM and SIGINT end the run after the record at hand."""

        def noticed(signum: int) -> None:
            self.stop = signum
            self.workers.interrupt(Stopped(signum))

        def last_words(signum: int) -> None:
            self.last_words(signum)  # as they are by then

        return Signals(noticed, self.writer.abandon, last_words)

    def _told(self, run: StreamRun) -> None:
        """Say how a stream ended, as soon as it has."""
        run.ended, name = True, run.stream.name
        if run.shape.unknown:
            seen = ", ".join(f"{shown(field)} ({n} times)" for field, n in sorted(run.shape.unknown.items()))
            seen += f", and {run.shape.unnamed} more" * bool(run.shape.unnamed)
            policy = _KEPT[self.tap.config["unknown_fields"]]
            self.logger.warning("%s: fields not in the schema, %s: %s", name, policy, seen)
        if run.shape.odd:
            seen = ", ".join(f"{field} ({n} times)" for field, n in sorted(run.shape.odd.items()))
            policy = "kept in _extra" if run.shape.keeps_odd else "dropped, as pii is not clear"
            self.logger.warning(
                "%s: values that contradict the schema, null in their place and %s: %s", name, policy, seen
            )
        for note in run.notes:
            self.logger.warning("%s: %s", name, note)
        if run.missing:
            self.logger.warning("%s: %d details are not there yet", name, run.missing)
        up_to = f", up to {instants.to_iso(run.last)}" if run.last else ""
        if run.failures:
            self.logger.error("%s: FAILED after %d rows%s", name, run.rows, up_to)
        elif run.complete_up_to:
            end = instants.to_iso(run.complete_up_to)
            self.logger.warning("%s: complete up to %s, %d rows and the newest part", name, end, run.rows)
        else:
            self.logger.info("%s: complete, %d rows%s", name, run.rows, up_to)

    def _verdict(self) -> int:
        """The table of the run, and at the very end what failed, why, and what to do."""
        for line in _table(self.runs, self.tap.client.tallies):
            self.logger.info(line)
        failures = [failure for run in self.runs for failure in run.failures]
        failures += [f"{run.stream.name}: {run.untold} more failed, as those above" for run in self.runs if run.untold]
        for failure in failures:
            self.logger.error(failure)
        return 1 if failures else 0


_HEAD = ("stream", "rows", "pages", "requests", "retries", "waited", "from", "to", "verdict")


def _verdict(run: StreamRun) -> str:
    if run.failures:
        return "FAILED"
    return f"complete up to {run.complete_up_to:%Y-%m-%d %H:%M:%S}" if run.complete_up_to else "complete"


def _table(runs: Sequence[StreamRun], tallies: Mapping[str, Tally]) -> list[str]:
    """The figures of each stream in columns; requests are counted for the stream they were sent for."""
    rows = [_HEAD]
    for run in runs:
        tally = run.tally(tallies)
        rows.append((
            run.stream.name,
            str(run.rows),
            str(tally.answers),
            str(tally.requests),
            str(tally.retries),
            f"{tally.waited:.1f} s",
            run.first.strftime("%Y-%m-%d %H:%M:%S") if run.first else "-",
            run.last.strftime("%Y-%m-%d %H:%M:%S") if run.last else "-",
            _verdict(run),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def test(tap: VendorTap) -> int:
    """Ask for as little as possible of each stream, and say for each whether it can be read.

    Returns:
        The process's exit code.
    """
    failed = [stream for stream, error in verdicts(tap) if error]
    return 1 if failed else 0


def verdicts(tap: VendorTap) -> Iterator[tuple[VendorStream, TrunklineError | None]]:
    """Each stream, and why it can't be read if so, until the credentials are refused; it is logged too."""
    tap.client.only = sum(stream.parts or 1 for stream in tap.ordered_streams()) == 1
    for stream in tap.ordered_streams():
        count = 0
        stream.run = StreamRun(stream, lambda _: None)
        try:
            for thing in _drive(tap, stream):
                count += sum(1 for _ in stream.records(thing))
        except TrunklineError as exc:
            tap.logger.error("%s: FAILED. %s", stream.name, exc)  # noqa: TRY400 - no traceback unless asked for
            yield stream, exc
            if isinstance(exc, AccessDenied):
                return
        else:
            tap.logger.info("%s: ok, the vendor answers and %d rows read well", stream.name, count)
            yield stream, None


def _drive(tap: VendorTap, stream: VendorStream) -> list[Any]:
    """Run a probe, one request after the other."""
    desk, never = Desk(), threading.Event()
    steps = stream.probe(desk)
    try:
        ticket = next(steps)
        while True:
            ticket.done = True
            try:
                ticket.reply = tap.client.fetch(ticket.request, ticket.open_body, never)
            except (TrunklineError, Cancelled) as exc:
                ticket.error = exc
                ticket = steps.throw(exc)
            else:
                ticket = steps.send(ticket.reply)
    except StopIteration as end:
        things: list[Any] = end.value
        return things
