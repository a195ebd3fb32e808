"""Singer messages: read line by line from a file, a pipe or text, taken apart, and the one line of a STATE written.

A thread reads blocks, so that a slow tap does not keep the loader from looking at the clock. Not more than a few
blocks are ahead.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import queue
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

import msgspec

from trunkline.errors import OutputLost, TrunklineError
from trunkline_loader.errors import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 18  # bytes; a signal is seen between two blocks
_BLOCKS_AHEAD = 4

LONGEST_LINE = 256_000_000
"""Bytes of a line at most: it is held whole, and a few times over while it is read."""

_EMPTY = msgspec.Raw()


REMEDY = "Correct the tap"


class Message(msgspec.Struct, gc=False):
    """A Singer line, its parts still as JSON text."""

    type: str
    stream: str | None = None
    record: msgspec.Raw = _EMPTY
    schema: msgspec.Raw = _EMPTY
    key_properties: list[str] | None = None
    value: msgspec.Raw = _EMPTY
    version: msgspec.Raw = _EMPTY
    time_extracted: msgspec.Raw = _EMPTY


class InputLines:
    """The input's lines as bytes, without their newline, and None whenever the loader should look around.

    Args:
        source: A file, a pipe, or any iterable of text lines; None is standard input.
        timeout: Seconds until a None when nothing comes.
    """

    def __init__(self, source: IO[str] | None, timeout: float) -> None:
        self._read = _block_reader(sys.stdin if source is None else source)
        self._timeout = timeout
        self._blocks: queue.SimpleQueue[bytes | BaseException | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_BLOCKS_AHEAD)
        self.unfinished = False
        """Whether the last line ended without a newline."""
        self.received = time.time()
        """When the lines at hand came, in seconds since 1970."""
        self.endless = False
        """Whether the line at hand is longer than any line may be; nothing comes after it."""

    def wake(self) -> None:
        """Make the iterator yield soon. Safe in a signal handler: SimpleQueue.put is reentrant."""
        self._blocks.put(None)

    def __iter__(self) -> Iterator[bytes | None]:
        threading.Thread(target=self._fill, name="input", daemon=True).start()
        begun: list[bytes] = []
        size = 0
        while True:
            try:
                block = self._blocks.get(timeout=self._timeout)
            except queue.Empty:
                block = None
            if isinstance(block, OSError):
                raise TrunklineError(
                    "standard input could not be read",
                    block.strerror or "",
                    "Start the target behind a tap",
                    code="singer-input",
                ) from None
            if isinstance(block, BaseException):
                raise block
            if block is None:
                yield None
                continue
            self._room.release()
            self.received = time.time()
            if not block:
                break
            first, *rest = block.split(b"\n")
            begun.append(first)
            size += len(first)
            if size > LONGEST_LINE:
                self.endless = True
                yield b""
                return
            if rest:
                yield b"".join(begun)
                yield from rest[:-1]
                begun, size = [rest[-1]], len(rest[-1])
            yield None
        last = b"".join(begun)
        if last:
            self.unfinished = True
            yield last

    def _fill(self) -> None:
        mark = codecs.BOM_UTF8  # Windows' editors and PowerShell write it before the first line
        try:
            while True:
                self._room.acquire()
                block = self._read()
                if mark and block:
                    block, mark = block.removeprefix(mark), b""
                    if not block:
                        block = self._read()
                self._blocks.put(block)
                if not block:
                    return
        except BaseException as problem:  # noqa: BLE001 - raised again in the thread that reads the queue
            self._blocks.put(problem)


def _block_reader(source: IO[str]) -> Callable[[], bytes]:
    """Return a function that returns the next bytes, b"" at the end."""
    try:
        descriptor = source.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation):
        lines = iter(source)
        return lambda: next(lines, "").encode("utf-8", "surrogateescape")
    return lambda: os.read(descriptor, _BLOCK)


class MessageHandler:
    """Takes Singer messages from lines; a subclass does something with each type of message.

    Args:
        place: How an error names a line, with `{}` for its number.
        before: The sentence of an error about the lines before it.
    """

    place = "Line {}"
    before = "Everything before this line is loaded. "

    def __init__(self) -> None:
        self._line = 0
        self._decode = msgspec.json.Decoder(Message).decode
        self._handlers: dict[str, Callable[[Message], None]] = {
            "RECORD": self.record,
            "SCHEMA": self.schema,
            "STATE": self.state,
            "ACTIVATE_VERSION": self.activate_version,
            "BATCH": self.refuse_batch,
        }

    def record(self, message: Message) -> None:
        """Take a record."""
        raise NotImplementedError

    def schema(self, message: Message) -> None:
        """Take a stream's schema."""
        raise NotImplementedError

    def state(self, message: Message) -> None:
        """Take a state."""
        raise NotImplementedError

    def activate_version(self, message: Message) -> None:
        """Take the version of a table that replaces the older ones."""
        raise NotImplementedError

    def refuse_batch(self, message: Message) -> None:
        """Refuse batch files."""
        raise self.fault(
            f"a BATCH of stream {shown(message.stream or '')}; this target reads RECORD messages, "
            "because batch files bypass property selection",
            "Remove `batch_config` from the tap's settings",
        )

    def take(self, line: bytes, *, cut: bool) -> str | None:
        """Read one line and hand its message on.

        Raises:
            InputError: It is no Singer message.
        """
        self._line += 1
        try:
            message = self._decode(line)
            handler = self._handlers[message.type]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError) as problem:
            if not line.strip():
                return None
            raise self._unreadable(line, problem, cut=cut) from None
        handler(message)
        return message.type

    def properties(self, message: Message) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Read a SCHEMA message.

        Raises:
            InputError: One of them is missing.
        """
        if message.stream is None:
            raise self.fault("a SCHEMA without a stream")
        try:
            schema = msgspec.json.decode(message.schema, type=dict[str, Any]) if len(message.schema) else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            schema = {}
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            raise self.fault(f"the SCHEMA of stream {shown(message.stream)} has no object `properties`")
        return message.stream, schema, properties

    def state_value(self, message: Message) -> bytes:
        """Return the value of a STATE message, as it came.

        Raises:
            InputError: It has none.
        """
        if not len(message.value):
            raise self.fault("a STATE without a value")
        return bytes(message.value)

    def fault(self, what: str, remedy: str = REMEDY) -> InputError:
        """Return the error of the line at hand."""
        return InputError(self.place.format(self._line), what, f"{self.before}{remedy}, then run again")

    def _unreadable(self, line: bytes, problem: Exception, *, cut: bool) -> InputError:
        if isinstance(problem, KeyError):
            return self.fault(f"unknown message type {shown(problem.args[0])}")
        if isinstance(problem, RecursionError):
            return self.fault("values nested too deeply")
        if isinstance(problem, msgspec.ValidationError):
            return self.fault("JSON, but no Singer message: a field is missing or of the wrong type")
        if (message := _lenient(line)) is not None:
            field = _field_with_half_surrogate(message.get("record"))
            where = f"field {shown(field)}" if field else "a string"
            stream = shown(message.get("stream"))
            return self.fault(f"half a surrogate pair in {where} of stream {stream}, which no UTF-8 text can hold")
        if cut:
            return self.fault("ends in the middle: the tap was cut off", "See why the tap ended")
        return self.fault("not JSON in UTF-8", "See that the tap writes only Singer messages to its standard output")


def write_state(state: bytes, kept: str) -> None:
    """Write a STATE's value as one line to standard output, in UTF-8 in any locale.

    Raises:
        OutputLost: Nobody reads it any more.
    """
    try:
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            sys.stdout.write(f"{state.decode()}\n")
        else:
            buffer.write(state + b"\n")
        sys.stdout.flush()
    except OSError as problem:
        # Else the interpreter tries once more as it ends, and makes the exit code its own.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        remedy = f"{kept} Keep the program that reads this command's standard output running"
        raise OutputLost("Can't pass on the state", problem.strerror or "", remedy) from None


def _lenient(line: bytes) -> dict[str, Any] | None:
    """Return a line that msgspec refuses and JSON's grammar lets pass: then a string holds half a surrogate pair."""
    try:
        message = json.loads(line, parse_constant=_refuse, parse_int=str)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _field_with_half_surrogate(record: Any) -> str | None:
    """Return the record's first field in which a text is not Unicode."""
    if not isinstance(record, dict):
        return None
    return next(
        (name for name, value in record.items() if not is_unicode(json.dumps([name, value], ensure_ascii=False))), None
    )


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can hold a text: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
