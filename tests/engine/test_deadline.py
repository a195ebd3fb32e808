"""The deadline: whatever the other end sends, an exchange ends after about `request_timeout`."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.errors import Unavailable
from trunkline.steps.fetch.deadline import LEAST_RATE, LONGEST_BODY, Deadline, Late
from trunkline.steps.fetch.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.engine.conftest import FakeClock

PATIENCE = 30.0
"""Seconds after which the other end gives up: only an exchange without a deadline takes so long."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY_MEMBER = gzip.compress(b"")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"


class Dripping:
    """A server on loopback that reads a request and then sends bytes, one piece after the other, until hung up on."""

    def __init__(self, pieces: Iterable[bytes], pause: float) -> None:
        self._pieces, self._pause = pieces, pause
        self.hung_up = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        other, _ = self._socket.accept()
        with other:
            other.recv(65536)
            end = time.monotonic() + PATIENCE
            try:
                for piece in self._pieces:
                    other.sendall(piece)
                    time.sleep(self._pause)
                    if time.monotonic() > end:
                        return
                other.settimeout(PATIENCE)
                self.hung_up = not other.recv(1)
            except OSError:
                self.hung_up = True

    def close(self) -> None:
        self._thread.join(2 * PATIENCE)
        self._socket.close()


def letters(text: bytes) -> Iterator[bytes]:
    return (text[place : place + 1] for place in range(len(text)))


def after(head: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    return itertools.chain([head], pieces)


def for_ever(piece: bytes) -> Iterator[bytes]:
    return itertools.repeat(piece)


USELESS: dict[str, Callable[[], Iterable[bytes]]] = {
    "nothing": list,
    "status line": lambda: letters(b"HTTP/1.1 200 " + b"O" * 60_000),
    "headers": lambda: after(b"HTTP/1.1 200 OK\r\nX-Long: ", for_ever(b"x")),
    "many headers": lambda: after(b"HTTP/1.1 200 OK\r\n", letters(b"X: y\r\n" * 90)),
    "100 Continue": lambda: for_ever(CONTINUE),
    "103 Early Hints": lambda: for_ever(HINTS),
    "102 and 100 in turn": lambda: itertools.cycle([b"HTTP/1.1 102 Processing\r\n\r\n", CONTINUE]),
    "a body in drops": lambda: after(HEAD + b"Content-Length: 100000\r\n\r\n", for_ever(b"1")),
    "a body without a length in drops": lambda: after(HEAD + b"Connection: close\r\n\r\n", for_ever(b"1")),
    "chunks in drops": lambda: after(CHUNKED, for_ever(b"1\r\n1\r\n")),
    "chunk extensions": lambda: after(CHUNKED + b"5;", for_ever(b"x=y;")),
    "a chunk size": lambda: after(CHUNKED, for_ever(b"0")),
    "trailers": lambda: after(CHUNKED + b"2\r\n[]\r\n0\r\n", for_ever(b"X: y\r\n")),
    "empty gzip members": lambda: after(
        PACKED, for_ever(f"{len(EMPTY_MEMBER):x}\r\n".encode() + EMPTY_MEMBER + b"\r\n")
    ),
}


@pytest.mark.parametrize("kind", USELESS)
def test_g5_an_exchange_that_brings_nothing_useful_ends(bench: Callable[..., Any], kind: str) -> None:
    """Each byte comes in time, so no single read is late: the whole has a deadline, and the client hangs up."""
    server = Dripping(USELESS[kind](), pause=0.02)
    asked = bench([], api_url=f"http://127.0.0.1:{server.port}", transport=None, timeout=0.3, max_attempts=1)
    with pytest.raises(Unavailable, match=r"\(request_timeout\)"):
        asked.fetch(Request("x", "/x"))
    asked.client.exchanges.adapter.close()
    server.close()
    assert server.hung_up


@pytest.mark.parametrize("before", [CONTINUE, HINTS, CONTINUE * 3 + HINTS * 2], ids=["100", "103", "several"])
def test_g2_an_informational_response_is_not_the_final_one(bench: Callable[..., Any], before: bytes) -> None:
    """What stands before the final response is read past, and the connection stays in step."""
    final = HEAD + b"Content-Length: 2\r\n\r\n[]"
    server = Dripping([before, final], pause=0.0)
    asked = bench([], api_url=f"http://127.0.0.1:{server.port}", transport=None, timeout=120.0, max_attempts=1)
    reply = asked.fetch(Request("x", "/x"))
    assert (reply.status, reply.body) == (200, b"[]")
    asked.client.exchanges.adapter.close()
    server.close()


def test_a_large_body_that_keeps_coming_may_take_longer(bench: Callable[..., Any]) -> None:
    """Progress puts the deadline off: this body takes several times `request_timeout`."""
    piece, number = b" " * 2000, 60
    head = HEAD + f"Content-Length: {len(piece) * number}\r\n\r\n".encode()
    server = Dripping(after(head, itertools.repeat(piece, number)), pause=0.02)
    asked = bench([], api_url=f"http://127.0.0.1:{server.port}", transport=None, timeout=0.5, max_attempts=1)
    # A busy machine may send more slowly than the rate that is asked for; what matters is that time alone is no reason.
    with contextlib.suppress(Unavailable):
        assert len(asked.fetch(Request("x", "/x")).body) == len(piece) * number
    asked.client.exchanges.adapter.close()
    server.close()


# -- the rule, by a clock of its own ---------------------------------------------------------------


def test_headers_have_to_come_within_the_timeout(clock: FakeClock) -> None:
    """Counted from the beginning: connecting, sending and 1xx responses included."""
    deadline = Deadline(10.0, clock)
    clock.now += 9
    assert deadline.left() == 1.0
    clock.now += 1
    with pytest.raises(Late, match=r"the response headers were not complete after 10 s \(request_timeout\)"):
        deadline.left()


def test_a_body_has_to_bring_something_in_each_timeout(clock: FakeClock) -> None:
    """Fewer bytes than the least rate asks for put nothing off, however often they come."""
    deadline = Deadline(10.0, clock)
    deadline.body()
    for _ in range(9):
        clock.now += 1
        deadline.body(LEAST_RATE - 1)
    clock.now += 1
    with pytest.raises(Late, match=r"less than 1024 bytes a second for 10 s \(request_timeout\)"):
        deadline.body(LEAST_RATE - 1)


def test_a_body_that_keeps_coming_has_a_deadline_too(clock: FakeClock) -> None:
    """Ten times the timeout, whatever it brings."""
    deadline, began = Deadline(10.0, clock), clock.now
    deadline.body()
    while clock.now < began + 10.0 * LONGEST_BODY - 1:
        clock.now += 1
        deadline.body(LEAST_RATE * 10)
    clock.now += 1
    with pytest.raises(Late, match=r"not complete after 100 s$"):
        deadline.body(LEAST_RATE * 10)
