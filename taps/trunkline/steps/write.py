"""Write: Singer messages to standard output in blocks, from one thread."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message

from trunkline import instants
from trunkline.errors import BadRecord, OutputLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

BLOCK = 64 * 1024
"""Bytes gathered before they are written; a write per record costs more than making the record."""

AGE = 1.0
"""Seconds after which a smaller block is written all the same, so that a slow vendor's rows are seen at once."""


class _Texts(io.RawIOBase):
    """Standard output where a program has put an object in its place that takes text alone, such as `io.StringIO`."""

    def write(self, block: Any) -> int:
        sys.stdout.write(str(block, "utf-8"))  # whole lines: no letter is cut
        return len(block)


def _other(value: Any) -> str:
    """Return JSON for the value that a stream map may have made."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_other)


class BlockWriter(GenericSingerWriter[bytes, Message]):
    """The tap's message writer: RECORD lines in blocks, everything else at once and after what stands before it.

    Args:
        output: Where to write; standard output when left out.
    """

    def __init__(self, output: BinaryIO | None = None) -> None:
        super().__init__()
        self._output = output
        self._block = bytearray()
        self._since = time.monotonic()
        self.bytes_written = 0
        self._abandoned = False
        self._stamp = b""
        self.tick()

    def record_line(self, stream: str, keep: Callable[[Any, bytes], bool] | None = None) -> Callable[[Any], None]:
        """Make a function that writes one record of `stream`, the message around it prepared once.

        Args:
            stream: Its name.
            keep: Gets each record and its JSON, and returns whether it is to be written; all are when left out.
        """
        prefix = self.before_record(stream)
        encode_into, block = _encoder.encode_into, self._block

        def write(record: Any) -> None:
            mark = len(block)
            block.extend(prefix)
            try:
                encode_into(record, block, -1)
            except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
                del block[mark:]  # half a line would be glued to the next one
                raise _unwritable(stream, exc) from None
            if keep is not None and not keep(record, bytes(block[mark + len(prefix) :])):
                block[mark:] = b""
                return
            block.extend(self._stamp)
            if len(block) >= BLOCK:
                self.flush()

        return write

    def before_record(self, stream: str) -> bytes:
        """Return the beginning of a record's line."""
        return b'{"type":"RECORD","stream":' + msgspec.json.encode(stream) + b',"record":'

    def after_record(self, now: datetime) -> bytes:
        """Return the end of a record's line: when it was extracted."""
        return b',"time_extracted":"%s"}\n' % instants.to_iso(now).encode()

    def tick(self) -> None:
        """Look at the clock: once for each response is often enough, once for each record is not cheap enough."""
        self._stamp = self.after_record(datetime.now(instants.UTC))
        if time.monotonic() - self._since > AGE:
            self.flush()

    def serialize_message(self, message: Message) -> bytes:
        """Return one line of JSON."""
        try:
            return _encoder.encode(message.to_dict()) + b"\n"
        except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
            raise _unwritable(getattr(message, "stream", "a message"), exc) from None

    def write_message(self, message: Message) -> None:
        """Write any message; all but records leave at once, together with everything before them."""
        self._block.extend(self.serialize_message(message))
        if message.type != "RECORD" or len(self._block) >= BLOCK or time.monotonic() - self._since > AGE:
            self.flush()

    def abandon(self) -> None:
        """Write nothing more, not even the rest of a line that is being written: the reader is gone."""
        self._abandoned = True

    def flush(self) -> None:
        """Write what is gathered.

        Raises:
            OutputLost: The other end of the pipe is closed, or the disk is full.
        """
        self._since = time.monotonic()
        if self._abandoned:
            self._block.clear()
        if not self._block:
            return
        output: BinaryIO = self._output or getattr(sys.stdout, "buffer", None) or _Texts()  # type: ignore[assignment]
        try:
            done = 0
            while done < len(self._block):  # an unbuffered output may take less than it is given
                with memoryview(self._block) as block, block[done:] as rest:
                    taken = output.write(rest)
                if taken is None:
                    raise BlockingIOError(errno.EAGAIN, "it is a pipe that does not wait")
                done += taken
            output.flush()
        except (OSError, ValueError) as exc:
            self._block.clear()
            raise lost(output, exc) from None
        self.bytes_written += len(self._block)
        self._block.clear()


def _unwritable(stream: str, exc: Exception) -> BadRecord:
    reason = (
        "it is nested too deeply" if isinstance(exc, RecursionError) else f"it holds what JSON has no form for ({exc})"
    )
    return BadRecord(f"{stream}: a record could not be written", reason, "The bookmark stays where it was")


def lost(output: BinaryIO, exc: OSError | ValueError) -> OutputLost:
    """Return the error of an output that can't be written; nothing more is written to it."""
    _let_go(output)
    reason = exc.strerror if isinstance(exc, OSError) else "it is closed"
    return OutputLost(
        "standard output could not be written",
        f"{reason}: the target has probably ended",
        "Look at the target's own log; the next run continues from the last STATE it passed on",
    )


def _let_go(output: BinaryIO) -> None:
    """Let what is still buffered go nowhere, or the interpreter tries to write it once more as it ends."""
    # By its number: another object may stand before the file, or for it in sys.stdout.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.__stdout__ and output.fileno() == sys.__stdout__.fileno():
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
