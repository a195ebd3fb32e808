"""The processes that are started, and the sandbox in one of them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, cast

import requests
from tools.soak import BEGIN, DAYS, VENDORS

from trunkline_sandbox import Request, Response, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Stopped(BaseException):
    """A signal requests the end of the soak.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Children:
    """The processes that were started, so that none outlives the soak."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start one.

        Raises:
            Stopped: The soak is being ended.
        """
        with self._lock:
            if self._closed:
                raise Stopped(0)
            self._alive = [one for one in self._alive if one.returncode is None]
            self._alive.append(subprocess.Popen(command, **options))
            return self._alive[-1]

    def close(self) -> None:
        """Kill all that live, and let no other be started."""
        with self._lock:
            self._closed = True
            for one in self._alive:
                one.kill()
            for one in self._alive:
                one.wait()


class Box:
    """A sandbox in a process of its own, reached over its admin paths; stands in for `Sandbox` in a comparison.

    Args:
        children: Where its process is started.
        seed: Decides the data and which requests fail.
        size: Rows of each vendor at the start.

    Raises:
        RuntimeError: It did not start.
    """

    def __init__(self, children: Children, seed: int, size: int) -> None:
        numbers = ["--port", "0", "--seed", str(seed), "--size", str(size), "--days", str(DAYS)]
        numbers += ["--first-day", BEGIN.date().isoformat()]
        command = [sys.executable, "-m", "trunkline_sandbox", *numbers]
        process = children.start(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        first = cast("IO[bytes]", process.stdout).readline()
        if not first:
            raise RuntimeError("the sandbox did not start: see its own words above")
        self.url = str(json.loads(first)["url"])
        # What finds contacts is taken from those that are there: chosen later, it would be other lookups.
        self.configs = {name: Sandbox(seed, size, DAYS, vendors=[name]).config(name, self.url) for name in VENDORS}
        # Every contact that a term finds, not the first one: what is found then only ever becomes more.
        self.send("POST", "knobs/switchtransact", {"autocomplete": "list"})

    def send(self, method: str, path: str, value: Any = None) -> Any:
        """Send a request to `/_sandbox/`.

        Raises:
            RuntimeError: The sandbox refuses it.
        """
        response = requests.request(method, f"{self.url}/_sandbox/{path}", json=value, timeout=60)
        if not response.ok:
            raise RuntimeError(f"the sandbox refuses {method} {path}: {response.text[:300]}")
        return response.json()

    def upsert(self, vendor: str, stream: str, *rows: Mapping[str, Any]) -> None:
        """Add or change rows."""
        self.send("POST", f"rows/{vendor}/{stream}", rows)

    def truth(self, vendor: str, stream: str) -> list[dict[str, Any]]:
        """Return the rows that the vendor holds."""
        rows: list[dict[str, Any]] = self.send("GET", f"truth/{vendor}/{stream}")
        return rows

    def config(self, vendor: str) -> dict[str, Any]:
        """Return the tap's config: the same lookups all along, also when the vendor's rows have changed."""
        return self.configs[vendor]

    def handle(self, request: Request) -> Response:
        """Send a request of the comparison, and return the response."""
        response = requests.request(
            request.method,
            self.url + request.path,
            params=dict(request.query),
            headers=dict(request.headers),
            timeout=60,
        )
        return Response(response.status_code, (), response.content)

    def fired(self) -> Counter[str]:
        """Count how often each rule has happened."""
        return Counter(self.send("GET", "faults")["fired"])

    def requests(self, vendor: str) -> int:
        """Count the requests that came to the vendor."""
        entries = self.send("GET", f"requests?vendor={vendor}")["requests"]
        return int(entries[-1]["n"]) if entries else 0
