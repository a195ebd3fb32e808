"""From Singer lines to committed batches: what is held, when it is flushed, and which STATE may go out.

One batch, over all streams together, is held in memory. It is flushed when it is full by rows or bytes, when its
oldest record is 30 seconds old, before a stream's schema changes, at the end of input, and on SIGTERM or SIGINT. A
STATE goes to standard output as it came, once everything that stood before it is committed.

A batch that is full is written by a thread while the next one is read. Everything else that touches the store waits
until it is written.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Annotated, Any, Optional

import msgspec

from trunkline.errors import Stopped
from trunkline_loader import messages
from trunkline_loader.columns import BATCHED_AT, DELETED_AT, STAMPS, VERSION, Column, declare
from trunkline_loader.errors import InputError, StoreError, UnannouncedError, shown
from trunkline_loader.messages import InputLines, Message, MessageHandler, write_state
from trunkline_loader.records import Codec, Extras
from trunkline_loader.store import Batch
from trunkline_loader.values import INT64_MAX, INT64_MIN, Outgrown

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from trunkline_loader.store import Store

BATCH_BYTES = 32_000_000
"""Most bytes of staged lines held, over all streams together."""

BATCH_AGE = 30.0
"""Seconds after which a record that waits is committed, so that a slow tap's STATE is not held for ever."""

METADATA = (*STAMPS[:2], BATCHED_AT, DELETED_AT, STAMPS[2])
FILLED = {BATCHED_AT: "now()", DELETED_AT: "NULL"}

_VERSION = Optional[Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]]  # noqa: UP045 - `|` does not take Annotated on 3.10


@dataclass
class _Written:
    """Batches on their way into the store.

    Args:
        streams: Names and batches.
        done: Ends when they are committed.
        states: What may go out then.
    """

    streams: list[tuple[str, Batch]]
    done: Future[None]
    states: list[bytes]


@dataclass
class _Stream:
    """A stream's current schema, its batch, and how much came.

    Args:
        described: The SCHEMA message's schema and keys, to recognise a repetition.
        batch: What waits to be written.
        stamps: Which of `STAMPS` each record gets.
        received: Records of this stream so far.
    """

    described: tuple[bytes, tuple[str, ...]]
    batch: Batch
    stamps: tuple[int, ...]
    received: int = 0


class Loader(MessageHandler):
    """Reads Singer messages and writes them to a store.

    Args:
        store: An open store.
        batch_rows: Most records held, over all streams together.
        metadata: Whether the `_sdc_*` columns are added (`add_record_metadata`).
        logger: For the lines a user sees.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        store: Store,
        batch_rows: int,
        logger: logging.Logger,
        *,
        metadata: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._store = store
        self._batch_rows = batch_rows
        self._logger = logger
        self._metadata = metadata
        self._received = 0.0
        self._received_at, self._sequence = "", 0
        self._extracted: tuple[bytes, datetime | None] = (b"", None)
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._rows = 0
        self._bytes = 0
        self._oldest = 0.0
        self._state: bytes | None = None
        self._state_out: bytes | None = None
        self._writer = ThreadPoolExecutor(1, "store")
        self._written: _Written | None = None
        self._lost = False  # rows are gone: what came after them may not be committed, or a state would cover them
        self._active: dict[str, int] = {}
        self._lines: InputLines | None = None
        self._signal: int | None = None

    def run(self, source: IO[str] | None) -> Counter[str]:
        """Load the whole input.

        Args:
            source: Where Singer messages come from; None is standard input.

        Returns:
            How many messages of each type came.

        Raises:
            LoadError: The input or the store can't be gone on with. Complete records before the fault are committed,
                and the state that covers them is out.
            Stopped: A signal ended the run, after a commit.
        """
        seen: Counter[str] = Counter()
        self._lines = lines = InputLines(source, timeout=BATCH_AGE)
        try:
            self._read(lines, seen)
        except InputError:
            self._flush()
            raise
        except StoreError:
            if not self._lost:
                # What is held may still fit; if not, the first error is the cause.
                with contextlib.suppress(StoreError):
                    self._flush()
            raise
        else:
            self._flush(ended=self._signal is None)
        finally:
            self._writer.shutdown()
        self._summarise()
        if self._signal is not None:
            self._logger.warning("Ended by signal %d: what had come in full is committed", self._signal)
            raise Stopped(self._signal)
        return seen

    def stop(self, signum: int) -> None:
        """Commit what has come and read no more; called in a signal's handler.

        Raises:
            Stopped: Nothing has come yet.
        """
        if self._lines is None:
            raise Stopped(signum)
        self._signal = signum
        self._lines.wake()

    def _read(self, lines: InputLines, seen: Counter[str]) -> None:
        for line in lines:
            if lines.endless:
                self._line += 1
                raise self.fault(f"longer than {messages.LONGEST_LINE / 1e6:.0f} MB")
            if line is None:
                if self._signal is not None:
                    return
                if self._written and self._written.done.done():
                    self._settle()
                if self._rows and self._clock() - self._oldest >= BATCH_AGE:
                    self._flush()
                continue
            kind = self.take(line, cut=lines.unfinished)
            if kind:
                seen[kind] += 1

    def record(self, message: Message) -> None:
        """Check a record and stage it."""
        stream = self._streams.get(message.stream or "")
        if stream is None:
            raise self._unannounced(message)
        if not len(message.record):
            raise self.fault(f"the RECORD of stream {shown(message.stream or '')} has no record")
        batch = stream.batch
        added = self._stamps(message, stream) if self._metadata else ()
        version = self._version(message) if len(message.version) else None
        if version is not None and not batch.codec.has_version:
            self._make_versioned(message.stream or "", stream)
        if batch.codec.has_version:
            added = (version, *added)
        before = len(batch.lines)
        while True:
            try:
                extras = batch.codec.stage(message.record, batch.rows, batch.lines, self._line, added)
                break
            except Outgrown as need:
                self._flush()
                before = 0
                self._widen(message.stream or "", stream, need)
        if extras:
            self._report(stream, extras)
        length = len(batch.lines) - before
        batch.rows += 1
        batch.longest = max(batch.longest, length)
        stream.received += 1
        if not self._rows:
            self._oldest = self._clock()
        self._rows += 1
        self._bytes += length
        if self._rows >= self._batch_rows or self._bytes >= BATCH_BYTES:
            self._send()

    def _widen(self, name: str, stream: _Stream, need: Outgrown) -> None:
        batch = stream.batch
        wider = self._store.widen(name, batch.table, need.column, need.type_name)
        batch.codec = batch.codec.with_column(need.column, wider)

    def _version(self, message: Message) -> int | None:
        """Return the table version of a message, null being none."""
        try:
            version: int | None = msgspec.json.decode(message.version, type=_VERSION)
        except msgspec.DecodeError:
            raise self.fault(f"the version of {_named(message)} is no whole number of 64 bits") from None
        return version

    def _make_versioned(self, name: str, stream: _Stream) -> None:
        """Give the table a column for versions, unless the records bring that column themselves."""
        batch = stream.batch
        if any(column.declared.name == VERSION.name for column in batch.codec.columns):
            return
        self._flush()
        (column,) = self._store.columns_for(name, batch.table, [VERSION])
        batch.codec = batch.codec.with_version(Column(VERSION, column.name, column.stored))

    def _stamps(self, message: Message, stream: _Stream) -> tuple[Any, ...]:
        """Return the metadata of a record, without what its own schema declares."""
        if self._lines and self._lines.received != self._received:
            self._received = self._lines.received
            self._received_at = datetime.fromtimestamp(self._received, timezone.utc).isoformat()
            self._sequence = round(self._received * 1000)
        raw = bytes(message.time_extracted)
        if raw != self._extracted[0]:
            try:
                extracted = msgspec.json.decode(raw, type=Optional[datetime])  # noqa: UP045 - 3.10 at run time
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise self.fault(f"the time_extracted of {_named(message)} is no ISO 8601 date-time") from None
            if extracted is not None and extracted.tzinfo is None:
                extracted = extracted.replace(tzinfo=timezone.utc)
            self._extracted = raw, extracted
        stamps = self._extracted[1], self._received_at, self._sequence
        return stamps if len(stream.stamps) == len(stamps) else tuple(stamps[at] for at in stream.stamps)

    def schema(self, message: Message) -> None:
        """Make the stream's table fit its schema."""
        name, _, properties = self.properties(message)
        keys = tuple(message.key_properties or ())
        described = (bytes(message.schema), keys)
        known = self._streams.get(name)
        if known is not None and known.described == described:
            return
        missing = [key for key in keys if key not in properties]
        if missing:
            raise self.fault(
                f"the SCHEMA of stream {shown(name)} names the key {shown(missing[0])} but has no such property"
            )
        if known is not None:
            self._flush()
        self._settle()
        try:
            declared = [declare(key, value) for key, value in properties.items()]
        except RecursionError:
            raise self.fault(f"the SCHEMA of stream {shown(name)} is nested too deeply") from None
        table = self._store.table_for(name)
        own, metadata = len(declared), [one for one in METADATA if self._metadata and one.name not in properties]
        made = self._store.columns_for(name, table, [*declared, *metadata], keys)
        codec = Codec(
            name, self._store.types, made[:own], keys,
            added=[column for column in made[own:] if column.declared in STAMPS],
            filled=[(column, FILLED[column.declared]) for column in made[own:] if column.declared in FILLED],
            arrays=self._store.arrays,
        )  # fmt: skip
        stamps = tuple(at for at, stamp in enumerate(STAMPS) if stamp in metadata)
        self._streams[name] = _Stream(described, Batch(table, codec), stamps, known.received if known else 0)

    def state(self, message: Message) -> None:
        """Keep a state until what stood before it is committed."""
        self._state = self.state_value(message)
        if not self._rows and self._written:
            self._written.states.append(self._state)
        elif not self._rows:
            self._emit(self._state)

    def activate_version(self, message: Message) -> None:
        """Note that rows of older versions are to go, which they do at the end of the input.

        Taps send this message before a table's rows or after them, or both. Rows that go at the end are there as long
        as those that replace them are not.
        """
        if message.stream not in self._streams:
            raise self._unannounced(message)
        if not self._store.activates_versions:
            return
        version = self._version(message) if len(message.version) else None
        if version is None:
            raise self.fault(f"the ACTIVATE_VERSION of stream {shown(message.stream)} has no version")
        self._active[message.stream] = max(version, self._active.get(message.stream, version))

    def _delete_older(self) -> None:
        for name, version in self._active.items():
            deleted = self._store.delete_older(self._streams[name].batch.table, version)
            self._logger.info(
                "Stream %s: %s rows of older versions %s", shown(name), f"{deleted:,}", self._store.deleted
            )
        self._active.clear()

    def _send(self) -> None:
        """Hand the held records to the writing thread, once the batch before them is committed."""
        self._settle()
        streams = []
        for name, stream in self._streams.items():
            if stream.batch.rows:
                streams.append((name, replace(stream.batch)))
                stream.batch.lines = bytearray()
                stream.batch.rows = stream.batch.longest = 0
        if streams:
            done = self._writer.submit(self._store.load, [batch for _, batch in streams])
            self._written = _Written(streams, done, [] if self._state is None else [self._state])
            if self._lines:  # a tap that is slow now does not hold back the state
                done.add_done_callback(lambda _, wake=self._lines.wake: wake())  # type: ignore[misc]
        self._rows = self._bytes = 0

    def _settle(self) -> None:
        """Wait until what was sent is committed, then pass on the state that covers it.

        Raises:
            StoreError: It is not committed.
        """
        if self._written is None:
            return
        written, self._written = self._written, None
        try:
            written.done.result()
        except BaseException:
            self._lost = True
            raise
        for name, batch in written.streams:
            self._logger.info("Committed %s rows of %s", f"{batch.rows:,}", shown(name))
        for state in written.states:
            self._emit(state)

    def _flush(self, *, ended: bool = False) -> None:
        """Commit what is held, then pass on the state that covers it; after the whole input, older versions go."""
        self._send()
        self._settle()
        if ended:
            self._store.end([stream.batch.table for stream in self._streams.values()])
            self._delete_older()
        self._emit(self._state)

    def _emit(self, state: bytes | None) -> None:
        if state is None or state == self._state_out:
            return
        write_state(state, "The rows are committed, but the next run will not know.")
        self._state_out = state

    def _summarise(self) -> None:
        for name, stream in self._streams.items():
            table = stream.batch.table
            if stream.batch.codec.nuls:
                self._logger.warning(
                    "Stream %s: %s NUL characters, which the database can't hold, are stored as U+FFFD",
                    shown(name),
                    f"{stream.batch.codec.nuls:,}",
                )
            self._logger.info(
                "Stream %s: %s rows received, %s rows in table %s",
                shown(name),
                f"{stream.received:,}",
                self._store.count(table),
                shown(f"{self._store.schema}.{table}"),
            )

    def _report(self, stream: _Stream, extras: Extras) -> None:
        listed = ", ".join(shown(name) for name in extras.names)
        self._logger.warning(
            "Stream %s: not in the schema, so not loaded: %s%s",
            shown(stream.batch.codec.stream), listed, " and more, no longer listed" if extras.more else "",
        )  # fmt: skip

    def _unannounced(self, message: Message) -> InputError:
        if message.stream is None:
            return self.fault(f"{_named(message)} without a stream")
        fault = self.fault(f"{_named(message)} of stream {shown(message.stream)} came before its SCHEMA")
        return UnannouncedError(*fault.args)


def _named(message: Message) -> str:
    return f"{'an' if message.type[0] == 'A' else 'a'} {message.type}"
