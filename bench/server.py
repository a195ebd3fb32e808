"""The sandbox in a process of its own, and the questions the benchmark has for it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bench.measure import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


FIRST_DAY = "2026-01-01"
"""The first of the days over which rows are spread, which the jobs request."""


class Server:
    """A sandbox that listens at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def forget_requests(self) -> None:
        """Empty the log."""
        self._send("DELETE", "requests")

    def requests(self, vendor: str) -> tuple[int, int]:
        """Count the vendor's requests, and those that were under way at once at most."""
        response = self._send("GET", f"requests?vendor={vendor}")
        return len(response["requests"]), response["max_in_flight"]

    def play(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Set these faults, and no others."""
        self._send("DELETE", "faults")
        if faults:
            self._send("POST", "faults", list(faults))

    def refused(self, vendor: str) -> list[float]:
        """Return when the vendor responded with a 429, in seconds since 1970."""
        response = self._send("GET", f"requests?vendor={vendor}")
        return [entry["at"] for entry in response["requests"] if entry["status"] == HTTPStatus.TOO_MANY_REQUESTS]

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data, method=method)  # noqa: S310 - loopback
        with _DIRECT.open(request, timeout=300) as response:
            return json.load(response)


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def serving(size: int, latency: float, days: int = 14) -> Iterator[Server]:
    """Serve a sandbox until the block ends.

    Args:
        size: Rows of each vendor.
        latency: Seconds before each response.
        days: Days over which the rows are spread.

    Raises:
        RuntimeError: It did not start.
    """
    values = {"--port": 0, "--size": size, "--latency": latency, "--days": days, "--first-day": FIRST_DAY}
    command = [sys.executable, "-m", "trunkline_sandbox", *(str(part) for pair in values.items() for part in pair)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())  # noqa: S603 - our own
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("the sandbox did not start: see the error above; it needs the extra `sandbox`")
        yield Server(json.loads(line)["url"])
    finally:
        process.terminate()
        process.wait(timeout=30)
