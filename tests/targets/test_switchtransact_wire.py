"""What `target-switchtransact` concludes from connections: which writes have left, and which provably have not."""

from __future__ import annotations

import io
import json
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.targets.switchtransact_kit import KEY, call, contact, counts, record, schema, state

from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

LINES = [schema("contacts", "id"), schema("call_logs", "id")]


class Vendor(socketserver.ThreadingTCPServer):
    """Answers HTTP/1.1 on connections that it keeps, as a vendor behind a gateway does.

    Attributes:
        seen: Of each connection, the request lines and bodies that came on it.
        answers: Writes that are answered before the rest is read and cut off.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.seen: list[list[tuple[str, bytes]]] = []
        self.answers = 10**6

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def writes(self) -> int:
        return sum(line.startswith("POST") for connection in self.seen for line, _ in connection)


class Connection(socketserver.StreamRequestHandler):
    """One connection."""

    server: Vendor

    def handle(self) -> None:
        mine: list[tuple[str, bytes]] = []
        self.server.seen.append(mine)
        while (first := self.rfile.readline().decode("latin-1").strip()) and " HTTP/1." in first:
            length = 0
            while header := self.rfile.readline().strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            body = self.rfile.read(length)
            mine.append((first, body))
            if first.startswith("POST") and self.server.writes > self.server.answers:
                return
            answer = body if "create" in first else json.dumps({"status": first.startswith("POST")}).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


@contextmanager
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def run(
    folder: Path, caplog: pytest.LogCaptureFixture, url: str, *lines: str, **more: Any
) -> tuple[int, dict[str, int]]:
    config = {"api_url": url, "api_key": KEY, "ledger": str(folder / "ledger.sqlite"), "max_attempts": 2, **more}
    with caplog.at_level("INFO"):
        code = TargetSwitchTransact(config=config).run(io.StringIO("\n".join([*LINES, *lines])))
    return code, counts(caplog.messages[-1])


def test_g2_each_write_has_a_connection_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However long the vendor keeps connections: one that closes says then whether its only write was read."""
    lines = [record("contacts", **contact(number)) for number in range(6)]
    lines += [record("call_logs", **call(number)) for number in range(6)]
    with vendor() as served:
        code, found = run(tmp_path, caplog, f"http://{served.url}", *lines)
    assert (code, found["written"]) == (0, 12)
    assert [len(connection) for connection in served.seen] == [1] * 12


def test_g2_a_connection_that_closes_after_the_write_leaves_it_in_doubt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its body was sent: it is not sent again, and no state goes out."""
    with vendor() as served:
        served.answers = 1
        lines = [record("call_logs", **call(number)) for number in range(3)]
        code, found = run(tmp_path, caplog, f"http://{served.url}", *lines, state(1), concurrency=1)
        assert (code, found["written"], found["in doubt"], found["not sent"]) == (1, 1, 1, 1)
        assert served.writes == 2


def test_g2_without_tls_nothing_has_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where no connection comes to stand nothing is in doubt: the next run sends the record."""
    with vendor() as served:
        code, found = run(tmp_path, caplog, f"https://{served.url}", record("call_logs", **call(1)))
    assert (code, found["in doubt"], found["not sent"], served.writes) == (1, 0, 1, 0)
