"""One stream read by itself, record by record: what the SDK's `get_records`, `sync` and `sync_all` stand on.

A run reads all streams together and writes the vendor's rows without a dict of each (see `trunkline.run.run`); here
every record is a dict, and belongs to the caller that iterates.
"""

from __future__ import annotations

import copy
from contextlib import closing
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException, MaxRecordsLimitException

from trunkline import instants, sdk
from trunkline.errors import TrunklineError, printable
from trunkline.run.proofs import ProofWriter
from trunkline.run.run import Run
from trunkline.run.stream_run import StreamRun
from trunkline.steps.bookmark import drop_markers
from trunkline.steps.fetch.prefetch import Prefetcher
from trunkline.steps.fetch.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline.facts.stream import VendorStream
    from trunkline.facts.tap import TapFacts
    from trunkline.sdk import Records
    from trunkline.steps.fetch.context import Feed

    Context = Mapping[str, Any] | None


class StreamReading(Run):
    """A run of one stream that hands out its records instead of writing them.

    Args:
        tap: Its tap.
        stream: The stream.
        context: The partition to read alone, where the stream has partitions; all of them when left out.
        state: Where its bookmarks stand, and are moved to.
        writes_state: Whether STATE messages are written.
        concurrency: Requests in flight at most.
        keeps_proofs: Whether the proofs of its windows are kept for the stream of proofs.
    """

    def __init__(  # noqa: PLR0913 - each a fact of the reading, named where it is used
        self,
        tap: TapFacts,
        stream: VendorStream,
        context: Context,
        *,
        state: dict[str, Any],
        writes_state: bool,
        concurrency: int,
        keeps_proofs: bool = False,
    ) -> None:
        super().__init__(tap)
        self.stream, self.context, self.writes_state = stream, dict(context or {}), writes_state
        # Threads of its own: another stream may be read meanwhile, by the same caller.
        self.workers = Workers(self.tap.client, concurrency)
        drop_markers(state)
        self._made: list[dict[str, Any]] = []
        keeps_proofs &= tap.proofs.selected and stream is not tap.proofs
        counts = keeps_proofs and stream.keeps_partitions
        write = self._made_of if keeps_proofs else self._made.append
        self.runs = [StreamRun(stream, write, state=state, as_dict=True, counts_keys=counts)]
        if keeps_proofs:
            self.proofs = ProofWriter(StreamRun(tap.proofs, tap.proofs.kept.append), tap.proofs, tap.run_start)

    def records(self) -> Records:
        """Read the stream; a bookmark moves once the records of its window were taken, and the next one is requested.

        Raises:
            TrunklineError: The stream could not be read, or one of its partitions: then after the others were.
            Exception: A fault of ours, or of a vendor's own code.
        """
        run = self.stream.run = self.runs[0]
        begun = instants.now()
        prefetcher = Prefetcher(self.workers, self._feeds())
        try:
            if self.stream is self.tap.proofs:
                kept, self.tap.proofs.kept = self.tap.proofs.kept, []
                yield from kept
            with closing(prefetcher.items()) as items:
                for feed, item in items:
                    self._take(prefetcher, feed, item)
                    yield from self._made
                    self._made.clear()
                    if self.denied:
                        break
            self._prove_whole(run, begun)
            self._log_end(run)
        finally:
            self.workers.close()
            self._write_state(last=True)
        for failure in run.failures[1:]:
            self.logger.error(failure)
        # A partition's bookmark may be found to be wrong though another one is read.
        for context, error in run.causes:
            if not context or self._is_read(context):
                raise error

    def _made_of(self, record: dict[str, Any]) -> bool:
        """Keep a record for the caller; return False if the map will filter it out, and no proof is to count it."""
        self._made.append(record)
        return sdk.passes_map(self.stream, record)

    def _feeds(self) -> Iterator[Feed]:
        """Yield the stream's feeds, or that of the partition.

        Raises:
            TrunklineError: There is no such partition.
        """
        known = self.stream.partitions
        if self.context and known is not None and self.context not in known:
            raise TrunklineError(
                f"{self.stream.name}: there is no partition {printable(str(self.context))}",
                "the config does not name it",
                f"Give one of {printable(str(known))}, or none to read them all",
                code="config",
            )
        for feed in self.stream.feeds([self.stream]):
            if self._is_read(feed.context):
                yield feed

    def _is_read(self, context: Mapping[str, Any]) -> bool:
        """Return whether a partition is read: a stream that has none is read whatever it is called with."""
        return not self.context or self.stream.partitions is None or dict(context) == self.context

    def _write_state(self, *, last: bool = False) -> None:
        if self.writes_state:
            super()._write_state(last=last)


def records(tap: TapFacts, stream: VendorStream, context: Context) -> Records:
    """Yield the records of a stream, from its bookmark on, as dicts; nothing is written and no bookmark moves.

    Args:
        tap: The tap.
        stream: One of its streams.
        context: The partition to read alone, where the stream has partitions.
    """
    state = copy.deepcopy(tap.bookmarks)
    concurrency = int(stream.config["concurrency"])
    return StreamReading(tap, stream, context, state=state, writes_state=False, concurrency=concurrency).records()


def synced(tap: TapFacts, stream: VendorStream, context: Context, *, writes: bool) -> Records:
    """Yield the records of a stream, each written before it is handed out; its bookmarks move as in a run.

    Args:
        tap: The tap.
        stream: One of its streams.
        context: The partition to read alone, where the stream has partitions.
        writes: Whether RECORD and STATE messages are written.

    Raises:
        AbortedSyncPausedException: There are more records than the stream's `ABORT_AT_RECORD_COUNT`.
        AbortedSyncFailedException: The same, of a full table.
    """
    if not stream.selected:
        return
    most = stream.ABORT_AT_RECORD_COUNT
    # What is cut off after a few records needs no look prefetcher: it would be for nothing.
    concurrency = int(stream.config["concurrency"]) if most is None else 1
    reading = StreamReading(
        tap,
        stream,
        context,
        state=tap.bookmarks,
        writes_state=writes,
        concurrency=concurrency,
        keeps_proofs=True,
    )
    write = sdk.record_writer(stream, reading.writer) if writes else None
    with closing(reading.records()) as made:
        for place, record in enumerate(made):
            if most is not None and place >= most:
                reason = MaxRecordsLimitException(f"{stream.name} has more than the {most} records to be read")
                raise (AbortedSyncPausedException if stream.replication_key else AbortedSyncFailedException) from reason
            if write:
                write(record)
            yield record
