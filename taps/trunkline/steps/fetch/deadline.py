"""The time that one exchange may take: from the connection to the last byte, whatever the other end sends meanwhile."""

from __future__ import annotations

import http.client
import io
import threading
import time
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

LEAST_RATE = 1024
"""Bytes of a body that must come in a second, or the exchange ends after `request_timeout`."""

LONGEST_BODY = 10
"""A body that keeps coming may take this many times `request_timeout`."""

CONNECT = 15.0
"""Seconds of `request_timeout` that connecting may take at most: a host that can be reached accepts in a few."""


class Late(Exception):  # noqa: N818 - reads as a statement
    """The deadline has passed.

    Args:
        why: One clause for the log.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class Deadline:
    """The moment at which an exchange has to be at its end.

    Status line and headers of the final response must have come within `seconds` of the beginning, connecting and
    informational responses (1xx) included. Then each further `seconds` must bring `LEAST_RATE` bytes of the body for
    every one of them, after decompression, and all of it `LONGEST_BODY` times as long.

    Args:
        seconds: The setting `request_timeout`.
        clock: Monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._at = clock() + seconds
        self._last = clock() + seconds * LONGEST_BODY
        self._size: float | None = None  # bytes of the body since the deadline was last put off; None before it

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            Late: None are.
        """
        left = self._at - self._clock()
        if left <= 0:
            raise Late(self.story)
        return left

    @property
    def story(self) -> str:
        """The part that has not come in time, for messages."""
        if self._size is None:
            return f"the response headers were not complete after {self.seconds:g} s (request_timeout)"
        if self._at >= self._last:
            return f"the response was not complete after {self.seconds * LONGEST_BODY:g} s"
        return f"the response brought less than {LEAST_RATE} bytes a second for {self.seconds:g} s (request_timeout)"

    def body(self, size: int = 0) -> None:
        """Take note of the end of the headers, and of bytes of the body.

        Raises:
            Late: They came too late.
        """
        begun = self._size is not None
        self._size = (self._size or 0) + size
        if begun:
            self.left()
        if not begun or self._size >= LEAST_RATE * self.seconds:
            self._size, self._at = 0, min(self._clock() + self.seconds, self._last)


_current = threading.local()


@contextmanager
def limited(deadline: Deadline) -> Iterator[Deadline]:
    """Hold this thread's exchange to a deadline."""
    _current.deadline = deadline
    try:
        yield deadline
    finally:
        _current.deadline = None


def of_this_thread() -> Deadline | None:
    """Return the deadline of the exchange that this thread is in."""
    return getattr(_current, "deadline", None)


class _Timed(io.RawIOBase):
    """A socket to read from, each read of which takes no longer than the exchange may.

    A timeout of the socket alone begins anew with every byte that comes.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket, self._raw, self._deadline = sock, sock.makefile("rb", buffering=0), deadline

    def readable(self) -> bool:
        """Return true."""
        return True

    def fileno(self) -> int:
        """Return the socket's."""
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come.

        Raises:
            Late: The deadline has passed.
        """
        self._socket.settimeout(self._deadline.left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            raise Late(self._deadline.story) from None

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class TimedResponse(http.client.HTTPResponse):
    """A response whose status line, headers and body are read within the deadline of this thread's exchange."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if deadline := of_this_thread():
            self.fp.close()
            self.fp = io.BufferedReader(_Timed(sock, deadline))

    def begin(self) -> None:
        """Read status line and headers of the final response; informational ones (1xx) stand before it."""
        super().begin()
        while self.status < HTTPStatus.OK and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment] # as they are before the first time
            super().begin()
