"""Airbyte's messages: one to a line on standard output, from whichever thread, and records without a second encoding.

Rests on Airbyte's protocol (airbyte_protocol.yaml, 0.18): AirbyteMessage and what it holds.
"""

from __future__ import annotations

import errno
import logging
import operator
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec
from singer_sdk.singerlib.encoding.simple import RecordMessage, SchemaMessage, StateMessage

from trunkline.errors import OutputLost
from trunkline.redact import redactor
from trunkline.steps.write import BlockWriter, lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from singer_sdk.singerlib.encoding.simple import Message

_logger = logging.getLogger(__name__)

NO_CURSOR: dict[str, Any] = {"__ab_no_cursor_state_message": True}
"""The state of a stream that has no bookmark, as Airbyte's own sources write it."""

_LEVELS = (
    (logging.CRITICAL, "FATAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARN"),
    (logging.INFO, "INFO"),
    (logging.NOTSET, "DEBUG"),
)


def printable(text: str) -> str:
    """Return a text fit for a message to people: without secrets, and without what UTF-8 can't hold."""
    return redactor(text).encode("utf-8", "backslashreplace").decode()


def stack_trace(error: BaseException) -> str:
    """Return the traceback of an error, without secrets."""
    return printable("".join(traceback.format_exception(type(error), error, error.__traceback__)))


def failure(
    message: str, failure_type: str, *, stream: str | None = None, error: BaseException | None = None
) -> dict[str, Any]:
    """Make a TRACE message that something failed.

    Args:
        message: What failed, why, and what to do.
        failure_type: `config_error`, `system_error` or `transient_error`.
        stream: The stream that failed; None when it is the whole command.
        error: What was raised; its traceback goes along.
    """
    content: dict[str, Any] = {"message": printable(message), "failure_type": failure_type}
    if error is not None:
        content["internal_message"] = printable(f"{type(error).__name__}: {error}")
        content["stack_trace"] = stack_trace(error)
    if stream is not None:
        content["stream_descriptor"] = {"name": stream}
    return _trace("ERROR", "error", content)


def control(config: Mapping[str, Any]) -> dict[str, Any]:
    """Make a CONTROL message: the settings to use from now on, with secrets, which Airbyte keeps as it keeps them."""
    content = {
        "type": "CONNECTOR_CONFIG",
        "emitted_at": time.time_ns() // 1_000_000,
        "connectorConfig": {"config": config},
    }
    return {"type": "CONTROL", "control": content}


def _trace(kind: str, field: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "TRACE", "trace": {"type": kind, "emitted_at": time.time_ns() // 1_000_000, field: content}}


def _line(message: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(message) + b"\n"


class MessageLines:
    """Standard output for several threads: each block stays together.

    Args:
        output: Where the bytes go.
    """

    def __init__(self, output: BinaryIO) -> None:
        self._output, self._lock, self._abandoned = output, threading.RLock(), False
        self._lost: OutputLost | None = None
        self.fileno = output.fileno

    def write(self, block: Any) -> int:
        """Write all of it.

        Raises:
            OSError: The other end of the pipe is closed, the disk is full, or the pipe does not wait.
        """
        if self._abandoned:
            return len(block)
        if self._lost:
            raise BrokenPipeError(errno.EPIPE, "it is closed")
        with self._lock:
            rest = memoryview(block)
            try:
                while rest and not self._abandoned:  # an unbuffered output may take less than it is given
                    taken = self._output.write(rest)
                    if taken is None:
                        raise BlockingIOError(errno.EAGAIN, "it is a pipe that does not wait")
                    rest = rest[taken:]
            finally:
                rest.release()
        return len(block)

    def emit(self, message: Mapping[str, Any]) -> None:
        """Write one message at once.

        Raises:
            OutputLost: The reader is gone.
        """
        if self._lost:  # a log line may have found out first
            raise self._lost
        try:
            with self._lock:
                self.write(_line(message))
                self.flush()
        except (OSError, ValueError) as exc:
            self._lost = lost(cast("BinaryIO", self), exc)
            raise self._lost from None

    def flush(self) -> None:
        """Pass on what is buffered."""
        if not self._abandoned:
            self._output.flush()

    def abandon(self) -> None:
        """Write nothing more, from whichever thread: the reader is gone."""
        self._abandoned = True


class LogMessages(logging.Handler):
    """Log lines as LOG messages, without secrets.

    Args:
        lines: Where they go.
    """

    def __init__(self, lines: MessageLines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        level = next(name for number, name in _LEVELS if record.levelno >= number)
        log = {"level": level, "message": printable(record.getMessage())}
        if record.exc_info and record.exc_info[1]:
            log["stack_trace"] = stack_trace(record.exc_info[1])
        try:
            self._lines.emit({"type": "LOG", "log": log})
        except OutputLost:  # the reader is gone: the writer of records notices by itself
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Do nothing: a log line that can't be written is no reason for another one."""


class Repeats:
    """Memory of records, to know one that repeats what was last written under its key.

    A tap may write a row twice (windows that touch, Conpeek's dates of creation and of closing), which its key makes
    harmless. Airbyte has destinations without keys, and PyAirbyte's cache keeps both rows when one read brings them.

    Args:
        keys: The fields of the key.
        most: Keys that are remembered; those of `most` to twice as many records back.
    """

    def __init__(self, keys: Sequence[str], most: int = 50_000) -> None:
        self._key, self._most = operator.itemgetter(*keys), most
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self.count = 0

    def is_new(self, record: Any, encoded: bytes) -> bool:
        """Return whether a record is new; it is remembered."""
        # Numbers in the place of keys are small; two keys with one number only let a repeat pass.
        key, digest = hash(self._key(record)), hash(encoded)
        if self._young.get(key, self._old.get(key)) == digest:
            self.count += 1
            return False
        if len(self._young) >= self._most:
            self._young, self._old = {}, self._young
        self._young[key] = digest
        return True


@dataclass
class SourceStream:
    """Progress of a configured stream, as far as its messages went out.

    Args:
        source: The tap's stream that its records come from.
        keys: The fields of its key.
        without_bookmark: Its last STATE, if it has no bookmark; None if it has one.
        rows: Records since its last STATE.
        status: The last one.
        state: The last one, encoded.
        repeats: The records that were left out; None when there is no key to know them by.
    """

    source: str
    keys: Sequence[str]
    without_bookmark: Mapping[str, Any] | None = None
    rows: int = 0
    status: str = ""
    state: bytes = b""
    repeats: Repeats | None = field(init=False)

    def __post_init__(self) -> None:
        self.repeats = Repeats(self.keys) if self.keys else None

    def is_new(self, record: Any, encoded: bytes) -> bool:
        """Return whether a record is to be written; it is counted."""
        if self.repeats and not self.repeats.is_new(record, encoded):
            return False
        self.rows += 1
        return True


class AirbyteWriter(BlockWriter):
    """Writes what a tap writes as Airbyte's messages: a SCHEMA is a stream's start, a STATE one for each stream.

    Args:
        lines: Where they go.
        streams: The configured streams by name; records of others are left out.
    """

    def __init__(self, lines: MessageLines, streams: Mapping[str, SourceStream]) -> None:
        self._streams, self._lines = streams, lines
        self._writes: dict[str, Callable[[Any], None]] = {}
        super().__init__(cast("BinaryIO", lines))

    def abandon(self) -> None:
        """Write nothing more, no log either."""
        self._lines.abandon()
        super().abandon()

    def before_record(self, stream: str) -> bytes:
        """Return the beginning of a record's line."""
        return b'{"type":"RECORD","record":{"stream":' + msgspec.json.encode(stream) + b',"data":'

    def after_record(self, now: datetime) -> bytes:
        """Return the end of a record's line: when it was read, in milliseconds since 1970."""
        return b',"emitted_at":%d}}\n' % (now.timestamp() * 1000)

    def record_line(self, stream: str, keep: Callable[[Any, bytes], bool] | None = None) -> Callable[[Any], None]:
        """Make a function that writes one record of `stream`, unless it is a repeat or the stream is not configured."""
        one = self._streams.get(stream)
        if one is None:
            return lambda _: None
        write = super().record_line(stream, keep or one.is_new)

        def begun(record: Any) -> None:
            if one.status != "RUNNING":
                self._status(stream, "RUNNING")
            write(record)

        return begun

    def write_message(self, message: Message) -> None:
        """Write what Airbyte has in the place of a Singer message."""
        if isinstance(message, RecordMessage):
            if message.stream not in self._writes:
                self._writes[message.stream] = self.record_line(message.stream)
            self._writes[message.stream](message.record)
            return
        if isinstance(message, SchemaMessage):
            self._started(message.stream)
        elif isinstance(message, StateMessage):
            for name, one in self._streams.items():
                self._state(name, one, message.value)
        self.flush()

    def ended(self, source: str, state: Mapping[str, Any], failed: Callable[[str], Sequence[dict[str, Any]]]) -> None:
        """Write the end of a tap's stream: its last STATE, what failed, and its status.

        Args:
            source: The tap's stream.
            state: The tap's state.
            failed: Makes the TRACE messages of what failed for a configured stream; none of them, and it is complete.
        """
        for name, one in self._named(source):
            self._started(name)
            if one.repeats and one.repeats.count:
                _logger.info("%s: %d rows came again unchanged and were left out", name, one.repeats.count)
            errors = failed(name)
            self._state(name, one, state, last=not errors)
            for error in errors:
                self._block.extend(_line(error))
            self._status(name, "INCOMPLETE" if errors else "COMPLETE")
        self.flush()

    def cut_off(self) -> None:
        """Write that no more will come of the streams that have begun."""
        for name, one in self._streams.items():
            if one.status in {"STARTED", "RUNNING"}:
                self._status(name, "INCOMPLETE")
        self.flush()

    def _named(self, source: str) -> Iterable[tuple[str, SourceStream]]:
        return [(name, one) for name, one in self._streams.items() if one.source == source]

    def _started(self, name: str) -> None:
        one = self._streams.get(name)
        if one and not one.status:
            self._status(name, "STARTED")

    def _status(self, name: str, status: str) -> None:
        self._streams[name].status = status
        descriptor = {"name": name}
        content = {"stream_descriptor": descriptor, "status": status}
        self._block.extend(_line(_trace("STREAM_STATUS", "stream_status", content)))

    def _state(self, name: str, one: SourceStream, state: Mapping[str, Any], *, last: bool = False) -> None:
        """Write a stream's STATE if it has begun and moved, and the last one in any case."""
        kept = state.get("bookmarks", {}).get(one.source, {})
        if one.without_bookmark is not None:
            kept = one.without_bookmark if last else {}
        encoded = msgspec.json.encode(kept)
        if not last and (not kept or not one.status or encoded == one.state):
            return
        stream = {"stream_descriptor": {"name": name}, "stream_state": msgspec.Raw(encoded)}
        content = {"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": one.rows}}
        self._block.extend(_line({"type": "STATE", "state": content}))
        one.rows, one.state = 0, encoded
