"""The run: streams one after the other, one thread that writes, and a verdict for each at the end."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.encoding.simple import StateMessage

from trunkline import instants, process, sdk
from trunkline.errors import AccessDenied, OutputLost, Stopped, printable
from trunkline.run.proofs import ProofWriter
from trunkline.run.stream_run import StreamRun, table
from trunkline.signals import Signals
from trunkline.steps.bookmark import drop_markers
from trunkline.steps.feeds import WindowProven, WindowUnsettled
from trunkline.steps.fetch.context import CountedAnew, FeedFailed
from trunkline.steps.fetch.prefetch import Prefetcher
from trunkline.steps.shape.shape import EXTRA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline.facts.stream import Batch, VendorStream
    from trunkline.facts.tap import TapFacts
    from trunkline.steps.fetch.context import Feed

STATE_EVERY = 1.0
"""Seconds after which a moved bookmark is written at the next window's end."""

STATE_SHARE = 50
"""A moved bookmark is written sooner once this many times its own bytes were written since the last one."""


_UNREAD = AccessDenied("it was not read to its end", "the credentials were refused meanwhile", "")
_KEPT = {"keep": "kept in _extra", "drop": "dropped"}


class Run:
    """One run of a tap.

    Args:
        tap: The tap.
    """

    def __init__(self, tap: TapFacts) -> None:
        self.tap, self.writer, self.logger = tap, tap.block_writer, tap.logger
        self.workers = tap.workers
        self.runs: list[StreamRun] = []  # of the streams begun so far
        self._run_of: dict[str, StreamRun] = {}  # of the selected streams, by name
        self.reading: Sequence[StreamRun] = ()  # of those that are read now, from the same responses
        self.stop: int | None = None  # the signal that ends it
        self.last_words: Callable[[int], None] = lambda _: None  # written if the signal ends the process at once
        self.note_proof: Callable[[StreamRun, Mapping[str, Any], datetime, datetime], None] = lambda *_: None
        """Called with each span that is proven, as `window_proofs` has it."""
        self.proofs: ProofWriter | None = None  # where they are selected
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
        drop_markers(self.tap.bookmarks)
        self._warn_of_catalog()
        self.proofs = self._begin_proofs()
        try:
            for group in self._groups():
                self.reading = [self._run_of[stream.name] for stream in group]
                end = len(self.runs) - bool(self.proofs)  # proofs come last, as they do not end before the others
                self.runs[end:end] = self.reading
                if not self.denied:
                    self._group(group)
                for run in self.reading:
                    if self.denied and not run.failures:
                        run.fail({}, _UNREAD)
                    self._log_end(run)
            if self.proofs:
                self._log_end(self.proofs.run)
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

    def _begin_proofs(self) -> ProofWriter | None:
        """Begin the stream of proofs, if it is selected: its rows stand among those that they prove."""
        stream = self.tap.proofs
        if not stream.selected:
            return None
        stream.run = run = self._run_of[stream.name] = StreamRun(stream, sdk.record_writer(stream, self.writer))
        for message in sdk.schema_messages(stream):
            self.writer.write_message(message)
        self.runs.append(run)
        return ProofWriter(run, stream, self.tap.run_start)

    def _prove_whole(self, run: StreamRun, begun: datetime) -> None:
        """Note that a table that has no windows is proven, once all that it is made of has come."""
        if run.stream.keeps_partitions or run.failures or self.denied:
            return
        run.whole = begun
        self.note_proof(run, {}, begun, begun)
        self._prove(ProofWriter.whole, run, begun)

    def _prove(self, write: Callable[..., None], *proven: Any) -> None:
        """Write a proof, if they are selected; what fails in that is no fault of the stream that is proven."""
        if self.proofs and not self.proofs.run.failure:
            try:
                write(self.proofs, *proven)
            except OutputLost:
                raise
            except Exception as exc:  # noqa: BLE001 - a stream map's error, or one of ours
                self.proofs.run.fail({}, exc)

    # -- groups of streams -------------------------------------------------------------------------

    def _groups(self) -> Iterator[list[VendorStream]]:
        """Yield selected streams, those read from the same responses together where they stand at the same place."""
        left = [stream for stream in self.tap.ordered_streams() if stream.selected and stream is not self.tap.proofs]
        self.tap.client.only = sum(stream.parts or 1 for stream in left) == 1
        for stream in left:
            stream.run = self._run_of[stream.name] = StreamRun(
                stream,
                sdk.record_writer(stream, self.writer),
                counts_keys=self.proofs is not None and stream.keeps_partitions,
            )
        while left:
            first = left.pop(0)
            same = [s for s in left if s.shares_with(first) and s.place() == first.place()]
            left = [s for s in left if s not in same]
            yield [first, *same]

    def _warn_of_catalog(self) -> None:
        """Warn of a catalog that was made for another tap, or selects nothing: nothing is left out in silence."""
        names = [stream.name for stream in self.tap.ordered_streams()]
        for name in sorted(set(self.tap.input_catalog or ()) - set(names)):
            self.logger.warning("the catalog names %s, which is no stream of this tap", printable(name))
        for stream in self.tap.ordered_streams():
            fields = sdk.unmentioned(stream) if stream.selected else []
            if fields:
                kept = "kept in _extra" if stream.mask["properties", EXTRA] else "left out, as _extra is deselected"
                line = "%s: the catalog does not mention %s: %s; discover it again to give them columns"
                self.logger.warning(line, stream.name, ", ".join(fields), kept)
        if not any(stream.selected for stream in self.tap.ordered_streams() if stream is not self.tap.proofs):
            self.logger.warning("the catalog selects none of %s: nothing is read", ", ".join(names))

    def _group(self, streams: list[VendorStream]) -> None:
        """Read one group of streams."""
        for stream in streams:
            for message in sdk.schema_messages(stream):
                self.writer.write_message(message)
        prefetcher, begun = Prefetcher(self.workers, streams[0].feeds(streams)), instants.now()
        try:
            self._read(prefetcher)
            for stream in streams:
                self._prove_whole(self._run_of[stream.name], begun)
        except OutputLost:
            raise
        except Exception as exc:  # noqa: BLE001 - the group's, before it had any feed
            for stream in streams:
                stream.run.fail({}, exc)

    def _read(self, prefetcher: Prefetcher) -> None:
        for feed, item in prefetcher.items():
            self._take(prefetcher, feed, item)
            if self.denied:
                return

    def _take(self, prefetcher: Prefetcher, feed: Feed, item: Any) -> None:
        """Do what an item that came from a feed calls for."""
        if isinstance(item, FeedFailed):
            if isinstance(item.error, (OutputLost, Stopped)):
                raise item.error
            for stream in feed.listeners:
                if not stream.run.failure:
                    stream.run.fail(feed.context, item.error)
            self.denied |= isinstance(item.error, AccessDenied)
        elif isinstance(item, CountedAnew):
            for stream in feed.listeners:
                stream.run.count_anew(feed.context)
        elif isinstance(item, (WindowProven, WindowUnsettled)):
            self._window_ended(prefetcher, feed, item)
        else:
            self._deliver(prefetcher, feed, item)

    def _deliver(self, prefetcher: Prefetcher, feed: Feed, batch: Batch) -> None:
        stream = batch.stream
        if stream.run.failure or stream not in feed.listeners:
            return
        with self._isolated(prefetcher, feed, stream):
            self.writer.tick()
            stream.run.take(feed.context, batch, self._stopped)

    def _stopped(self) -> None:
        if self.stop is not None:
            raise Stopped(self.stop)

    def _window_ended(self, prefetcher: Prefetcher, feed: Feed, item: WindowProven | WindowUnsettled) -> None:
        for stream in feed.listeners:
            if not stream.run.failure:
                with self._isolated(prefetcher, feed, stream):
                    stream.prove(item.window)
                    if isinstance(item, WindowUnsettled):
                        stream.run.unsettled(feed.context, item)
                    else:
                        self._state_pending |= stream.run.proven(feed.context, item)
                        self.note_proof(stream.run, feed.context, *stream.run.proven_span(item))
                        self._prove(ProofWriter.window, stream.run, feed.context, item)
        self._write_state()

    @contextmanager
    def _isolated(self, prefetcher: Prefetcher, feed: Feed, stream: VendorStream) -> Iterator[None]:
        """Let one stream's failure stop that stream (or partition) alone."""
        try:
            yield
        except OutputLost:
            raise
        except Exception as exc:  # noqa: BLE001 - a stream map's error, or one of ours: the other streams continue
            stream.run.fail(feed.context, exc)
            if isinstance(exc, AccessDenied):
                self.denied = True
            if feed.context:  # the partition's, and this stream's alone
                feed.listeners = [other for other in feed.listeners if other is not stream]
            if all(other.run.failure for other in feed.listeners):
                prefetcher.drop(feed)
            elif not feed.context:
                prefetcher.abandon(stream)

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
        """Let SIGTERM and SIGINT end the run after the record at hand, while it is entered."""

        def noticed(signum: int) -> None:
            self.stop = signum
            self.workers.interrupt(Stopped(signum))

        def last_words(signum: int) -> None:
            self.last_words(signum)  # as they are by then

        return Signals(noticed, self.writer.abandon, last_words)

    def _log_end(self, run: StreamRun) -> None:
        """Log how a stream ended, as soon as it has."""
        run.ended, name = True, run.stream.name
        if run.shape.unknown:
            seen = ", ".join(f"{printable(field)} ({n} times)" for field, n in sorted(run.shape.unknown.items()))
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
        if run.keyless:
            keys = " or ".join(run.stream.primary_keys)
            self.logger.warning("%s: %d rows without %s were left out", name, run.keyless, keys)
        if run.missing:
            self.logger.warning("%s: %d details are not there yet", name, run.missing)
        up_to = f", up to {instants.to_iso(run.last)}" if run.last else ""
        if run.failures:
            self.logger.error("%s: FAILED after %d rows%s", name, run.rows, up_to)
        elif run.stream is self.tap.proofs:
            self.logger.info("%s: %d windows proven", name, run.rows)
        elif run.complete_up_to:
            end = instants.to_iso(run.complete_up_to)
            self.logger.warning("%s: complete up to %s, %d rows and the newest part", name, end, run.rows)
        else:
            self.logger.info("%s: complete, %d rows%s", name, run.rows, up_to)

    def _verdict(self) -> int:
        """Log the table of the run, and at the very end what failed, why, and what to do."""
        read = [run for run in self.runs if run.stream is not self.tap.proofs]
        for line in table(read, self.tap.client.tallies):
            self.logger.info(line)
        failures = [failure for run in self.runs for failure in run.failures]
        failures += [
            f"{run.stream.name}: {run.unlogged} more failed, as those above" for run in self.runs if run.unlogged
        ]
        # The cause comes last: some callers show the last line alone.
        for failure in sorted(failures, key=lambda line: _UNREAD.what not in line):
            self.logger.error(failure)
        return 1 if failures else 0
