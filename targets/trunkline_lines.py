"""What both targets read: lines from a file, a pipe or text, and a word in between when nothing or a signal comes.

A thread reads blocks, so that a slow tap does not keep the loader from looking at the clock. Not more than a few
blocks are ahead.
"""

from __future__ import annotations

import codecs
import io
import os
import queue
import sys
import threading
from typing import IO, TYPE_CHECKING

import msgspec

from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 18  # bytes; a signal is seen between two blocks
_BLOCKS_AHEAD = 4

LONGEST_LINE = 256_000_000
"""Bytes of a line at most: it is held whole, and a few times over while it is read."""

_EMPTY = msgspec.Raw()


class Message(msgspec.Struct, gc=False):
    """A Singer line, its parts still as JSON text."""

    type: str
    stream: str | None = None
    record: msgspec.Raw = _EMPTY
    schema: msgspec.Raw = _EMPTY
    key_properties: list[str] | None = None
    value: msgspec.Raw = _EMPTY
    version: msgspec.Raw = _EMPTY


class Lines:
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
                    "standard input could not be read", block.strerror or "", "Start the target behind a tap"
                ) from None
            if isinstance(block, BaseException):
                raise block
            if block is None:
                yield None
                continue
            self._room.release()
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
    """A function that returns the next bytes, b"" at the end."""
    try:
        descriptor = source.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation):
        lines = iter(source)
        return lambda: next(lines, "").encode("utf-8", "surrogateescape")
    return lambda: os.read(descriptor, _BLOCK)
