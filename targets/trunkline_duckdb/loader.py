"""From Singer lines to committed batches: what is held, when it is flushed, and which STATE may go out.

One batch, over all streams together, is held in memory. It is flushed when it is full by rows or bytes, when its
oldest record is 30 seconds old, before a stream's schema changes, at the end of input, and on SIGTERM or SIGINT. A
STATE goes to standard output as it came, once everything that stood before it is committed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any, Optional

import msgspec
from msgspec import Raw

import trunkline_lines
from trunkline.errors import Stopped
from trunkline_duckdb.columns import VERSION, declare
from trunkline_duckdb.errors import InputError, LoadError, StoreError, UnannouncedError, shown
from trunkline_duckdb.records import Codec, Extras
from trunkline_duckdb.store import Batch, Store
from trunkline_duckdb.values import INT64_MAX, INT64_MIN, Outgrown, has_half_surrogate
from trunkline_lines import Lines, Message

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

BATCH_BYTES = 32_000_000
"""Most bytes of staged lines held, over all streams together."""

BATCH_AGE = 30.0
"""Seconds after which a record that waits is committed, so that a slow tap's STATE is not held for ever."""

_VERSION = Optional[Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]]  # noqa: UP045 - `|` does not take Annotated on 3.10


@dataclass
class _Stream:
    """A stream's current schema, its batch, and how much came.

    Args:
        described: The SCHEMA message's schema and keys, to recognise a repetition.
        batch: What waits to be written.
        received: Records of this stream so far.
    """

    described: tuple[bytes, tuple[str, ...]]
    batch: Batch
    received: int = 0


class Loader:
    """Reads Singer messages and writes them to a store.

    Args:
        store: The open DuckDB file.
        batch_rows: Most records held, over all streams together.
        logger: For the lines a user sees.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, store: Store, batch_rows: int, logger: logging.Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._batch_rows = batch_rows
        self._logger = logger
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._rows = 0
        self._bytes = 0
        self._oldest = 0.0
        self._state: bytes | None = None
        self._state_out: bytes | None = None
        self._line = 0
        self._active: dict[str, int] = {}
        self._lines: Lines | None = None
        self._signal: int | None = None
        self._decode = msgspec.json.Decoder(Message).decode
        self._handlers: dict[str, Callable[[Message], None]] = {
            "RECORD": self._record,
            "SCHEMA": self._schema,
            "STATE": self._keep_state,
            "ACTIVATE_VERSION": self._activate_version,
            "BATCH": self._refuse_batch,
        }

    def run(self, source: IO[str] | None) -> Counter[str]:
        """Load the whole input.

        Args:
            source: Where Singer messages come from; None is standard input.

        Returns:
            How many messages of each type came.

        Raises:
            LoadError: The input or the file can't be gone on with. Complete records before the fault are committed,
            and the state that
                covers them is out.
            Stopped: A signal ended the run, after a commit.
        """
        seen: Counter[str] = Counter()
        self._lines = lines = Lines(source, timeout=BATCH_AGE)
        try:
            self._read(lines, seen)
        except InputError:
            self._flush()
            raise
        except StoreError:
            with contextlib.suppress(StoreError):  # what is held may still fit; if not, the first error says why
                self._flush()
            raise
        self._flush(ended=self._signal is None)
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

    def _read(self, lines: Lines, seen: Counter[str]) -> None:
        for line in lines:
            if lines.endless:
                self._line += 1
                raise self._fault(f"longer than {trunkline_lines.LONGEST_LINE / 1e6:.0f} MB")
            if line is None:
                if self._signal is not None:
                    return
                if self._rows and self._clock() - self._oldest >= BATCH_AGE:
                    self._flush()
                continue
            self._line += 1
            try:
                message = self._decode(line)
                handler = self._handlers[message.type]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError) as problem:
                if not line.strip():
                    continue
                raise self._unreadable(line, problem, cut=lines.unfinished) from None
            handler(message)
            seen[message.type] += 1

    def _record(self, message: Message) -> None:
        stream = self._streams.get(message.stream or "")
        if stream is None:
            raise self._unannounced(message)
        if not len(message.record):
            raise self._fault(f"the RECORD of stream {shown(message.stream or '')} has no record")
        batch = stream.batch
        version = self._version(message) if len(message.version) else None
        if version is not None and batch.codec.version is None:
            version = self._make_versioned(message.stream or "", stream, version)
        before = len(batch.lines)
        while True:
            try:
                extras = batch.codec.stage(message.record, batch.rows, batch.lines, self._line, version)
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
            self._flush()

    def _widen(self, name: str, stream: _Stream, need: Outgrown) -> None:
        batch = stream.batch
        wider = self._store.widen(name, batch.table, need.column, need.wanted)
        columns = [wider if column == need.column else column for column in batch.codec.columns]
        batch.codec = Codec(name, columns, batch.codec.keys, batch.codec.extras, batch.codec.version)

    def _version(self, message: Message) -> int | None:
        """The table version of a message, null being none."""
        try:
            version: int | None = msgspec.json.decode(message.version, type=_VERSION)
        except msgspec.DecodeError:
            raise self._fault(f"the version of {_named(message)} is no whole number of 64 bits") from None
        return version

    def _make_versioned(self, name: str, stream: _Stream, version: int) -> int | None:
        """Give the table a column for versions; the version, or None when the records bring that column themselves."""
        batch = stream.batch
        if any(column.declared.name == VERSION.name for column in batch.codec.columns):
            return None
        self._flush()
        column = self._store.version_column(name, batch.table)
        batch.codec = Codec(name, batch.codec.columns, batch.codec.keys, batch.codec.extras, column)
        return version

    def _schema(self, message: Message) -> None:
        name = message.stream
        if name is None:
            raise self._fault("a SCHEMA without a stream")
        keys = tuple(message.key_properties or ())
        described = (bytes(message.schema), keys)
        known = self._streams.get(name)
        if known is not None and known.described == described:
            return
        properties = self._properties(name, message.schema)
        missing = [key for key in keys if key not in properties]
        if missing:
            raise self._fault(
                f"the SCHEMA of stream {shown(name)} names the key {shown(missing[0])} but has no such property"
            )
        if known is not None:
            self._flush()
        try:
            declared = [declare(key, value) for key, value in properties.items()]
        except RecursionError:
            raise self._fault(f"the SCHEMA of stream {shown(name)} is nested too deeply") from None
        table = self._store.table_for(name)
        columns = self._store.columns_for(name, table, declared)
        batch = Batch(table, Codec(name, columns, keys))
        self._streams[name] = _Stream(described, batch, known.received if known else 0)

    def _properties(self, name: str, schema: Raw) -> dict[str, Any]:
        try:
            properties = msgspec.json.decode(schema, type=dict[str, Any])["properties"] if len(schema) else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            properties = None
        if not isinstance(properties, dict):
            raise self._fault(f"the SCHEMA of stream {shown(name)} has no object `properties`")
        return properties

    def _keep_state(self, message: Message) -> None:
        if not len(message.value):
            raise self._fault("a STATE without a value")
        self._state = bytes(message.value)
        if not self._rows:
            self._emit_state()

    def _activate_version(self, message: Message) -> None:
        """Note that rows of older versions are to go, which they do at the end of the input.

        Taps send this message before a table's rows or after them, or both. Rows that go at the end are there as long
        as those that replace them are not.
        """
        if message.stream not in self._streams:
            raise self._unannounced(message)
        version = self._version(message) if len(message.version) else None
        if version is None:
            raise self._fault(f"the ACTIVATE_VERSION of stream {shown(message.stream)} has no version")
        self._active[message.stream] = max(version, self._active.get(message.stream, version))

    def _delete_older(self) -> None:
        for name, version in self._active.items():
            deleted = self._store.delete_older(self._streams[name].batch.table, version)
            self._logger.info("Stream %s: %s rows of older versions deleted", shown(name), f"{deleted:,}")
        self._active.clear()

    def _refuse_batch(self, message: Message) -> None:
        raise self._fault(
            f"a BATCH of stream {shown(message.stream or '')}; this target reads RECORD messages, "
            "because batch files bypass property selection",
            "Remove `batch_config` from the tap's settings",
        )

    def _flush(self, *, ended: bool = False) -> None:
        """Commit what is held, then pass on the state that covers it; after the whole input, older versions go."""
        held = [(name, stream) for name, stream in self._streams.items() if stream.batch.rows]
        if held:
            self._store.load([stream.batch for _, stream in held])
            for name, stream in held:
                self._logger.info("Committed %s rows of %s", f"{stream.batch.rows:,}", shown(name))
                stream.batch.lines = bytearray()
                stream.batch.rows = stream.batch.longest = 0
            self._rows = self._bytes = 0
        if ended:
            self._delete_older()
        self._emit_state()

    def _emit_state(self) -> None:
        if self._state is None or self._state == self._state_out:
            return
        try:
            _write_line(self._state)
        except OSError as problem:
            # Else the interpreter tries once more as it ends, and makes the exit code its own.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise LoadError(
                f"Can't pass on the state: {problem.strerror}. The rows are committed, but the next run will not know. "
                "Keep the program that reads this command's standard output running."
            ) from None
        self._state_out = self._state

    def _summarise(self) -> None:
        for name, stream in self._streams.items():
            table = stream.batch.table
            self._logger.info(
                "Stream %s: %s rows received, %s rows in table %s",
                shown(name),
                f"{stream.received:,}",
                f"{self._store.count(table):,}",
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
            return self._fault(f"{_named(message)} without a stream")
        fault = self._fault(f"{_named(message)} of stream {shown(message.stream)} came before its SCHEMA")
        return UnannouncedError(*fault.args)

    def _unreadable(self, line: bytes, problem: Exception, *, cut: bool) -> InputError:
        if isinstance(problem, KeyError):
            return self._fault(f"unknown message type {shown(str(problem.args[0]))}")
        if isinstance(problem, RecursionError):
            return self._fault("values nested too deeply")
        if isinstance(problem, msgspec.ValidationError):
            return self._fault("JSON, but no Singer message: a field is missing or of the wrong type")
        if has_half_surrogate(line):
            named = shown(str(json.loads(line, parse_int=str).get("stream")))
            return self._fault(f"half a surrogate pair in a string of stream {named}, which no UTF-8 text can hold")
        if cut:
            return self._fault("ends in the middle: the tap was cut off", "See why the tap ended")
        return self._fault("not JSON in UTF-8", "See that the tap writes only Singer messages to its standard output")

    def _fault(self, what: str, remedy: str = "Correct the tap") -> InputError:
        return InputError(
            f"Line {self._line}: {what}. Everything before this line is loaded. {remedy}, then run again."
        )


def _named(message: Message) -> str:
    return f"{'an' if message.type[0] == 'A' else 'a'} {message.type}"


def _write_line(text: bytes) -> None:
    """Write one line to standard output, in UTF-8 whatever the locale says."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(f"{text.decode()}\n")
    else:
        buffer.write(text + b"\n")
    sys.stdout.flush()
