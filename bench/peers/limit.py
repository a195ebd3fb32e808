"""The limit: requests and orjson in as many threads as the tap has, no Singer SDK, no checks and no bookmarks.

It requests the same lists and details as the others and writes the same number of RECORD lines, in order. The
configuration is the benchmark's own (see `bench.jobs`).
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CALLS = "/api/v1/studio/calls"
_BLOCK = 64 * 1024
_LOOK_AHEAD = 4  # responses ahead for each thread: enough that none of them waits, few enough to stay small


class Fetcher:
    """Fetches bodies in threads, one session each.

    Args:
        job: The benchmark's configuration.
        headers: What signs a request.
    """

    def __init__(self, job: dict[str, Any], headers: dict[str, str]) -> None:
        self.workers = int(job["workers"])
        self.pool = ThreadPoolExecutor(self.workers)
        self._api_url, self._headers = job["api_url"], headers
        self._own = threading.local()

    def get(self, path: str, query: dict[str, Any] | None = None) -> requests.Response:
        """Return the response, read in full."""
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.headers.update(self._headers)
        response: requests.Response = self._own.session.get(self._api_url + path, params=query, timeout=60)
        response.raise_for_status()
        return response

    def all(self, tasks: Iterable[Callable[[], requests.Response]]) -> Iterator[requests.Response]:
        """Yield the responses in order, a bounded number of them ahead."""
        ahead: deque[Future[requests.Response]] = deque()
        for one in tasks:
            ahead.append(self.pool.submit(one))
            if len(ahead) >= self.workers * _LOOK_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


class Lines:
    """Writes RECORD lines in blocks."""

    def __init__(self) -> None:
        self._block = bytearray()

    def write(self, stream: bytes, rows: list[Any]) -> None:
        """Write the rows of a response."""
        block, dumps = self._block, orjson.dumps
        prefix = b'{"type":"RECORD","stream":"' + stream + b'","record":'
        for row in rows:
            block += prefix
            block += dumps(row)
            block += b"}\n"
        if len(block) > _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is gathered."""
        sys.stdout.buffer.write(self._block)
        self._block.clear()


def bspk(job: dict[str, Any], lines: Lines) -> None:
    """Read the calls page by page; the first response has the number of pages."""
    fetcher = Fetcher(job, {"Authorization": f"Bearer {job['token']}"})
    size = job["page_size"]
    query = {"from": job["start"], "to": job["end"], "per_page": size}

    def page(number: int) -> Callable[[], requests.Response]:
        return lambda: fetcher.get("/api/extraction/v1/calls", {**query, "page": number})

    first = page(1)()
    lines.write(b"calls", orjson.loads(first.content))
    last = -(-int(first.headers["X-Total-Count"]) // size)
    for response in fetcher.all(page(number) for number in range(2, last + 1)):
        lines.write(b"calls", orjson.loads(response.content))


def conpeek(job: dict[str, Any], lines: Lines) -> None:
    """Read the lists of each campaign in spans that hold less than a page: all can be requested at once."""
    fetcher = Fetcher(job, {"Authorization": job["token"]})
    size = job["page_size"]

    def span(campaign: str, rules: list[dict[str, Any]]) -> Callable[[], requests.Response]:
        query = {"filter": orjson.dumps(rules).decode(), "limit": size}
        return lambda: fetcher.get(f"/voice_campaign/{campaign}/request", query)

    spans = (
        span(campaign, rules)
        for campaign in job["campaigns"]
        for which, text in job["filters"].items()
        # About every third request is open.
        for rules in _spans(orjson.loads(text), timedelta(hours=job["window_hours"] * (3 if which == "open" else 1)))
    )
    for response in fetcher.all(spans):
        rows = orjson.loads(response.content)["data"]
        if len(rows) >= size:
            raise ValueError("a span of Conpeek filled a page: shorten the window of this case")
        lines.write(b"voice_campaign_requests", rows)


def _spans(rules: list[dict[str, Any]], length: timedelta) -> Iterator[list[dict[str, Any]]]:
    """Yield the rules of a list for one span after the other; the bounds of its date are the last two rules."""
    *others, since, until = rules
    at, end = datetime.fromisoformat(since["value"]), datetime.fromisoformat(until["value"])
    while at < end:
        behind = min(at + length, end)
        last = behind - timedelta(seconds=1)  # both bounds are inclusive
        yield [*others, {**since, "value": str(at)}, {**until, "value": str(last)}]
        at = behind


def evolux(job: dict[str, Any], lines: Lines) -> None:
    """Read the list of calls page by page, then the detail of each call."""
    fetcher = Fetcher(job, {"token": job["token"]})
    size = job["page_size"]
    query = {"start_date": job["start"], "end_date": job["end"], "limit": size}

    def page(number: int) -> Callable[[], requests.Response]:
        return lambda: fetcher.get(_CALLS, {**query, "page": number})

    def detail(call: int) -> Callable[[], requests.Response]:
        return lambda: fetcher.get(f"{_CALLS}/{call}/cdr")

    first = orjson.loads(page(1)().content)
    last = -(-first["pagination"]["total"] // size)
    rest = fetcher.all(page(number) for number in range(2, last + 1))
    calls: list[int] = []
    for response in (first, *(orjson.loads(one.content) for one in rest)):
        lines.write(b"studio_calls", response["data"])
        calls += [row["id"] for row in response["data"]]
    for response in fetcher.all(detail(call) for call in calls):
        lines.write(b"studio_cdr", [orjson.loads(response.content)["data"]])


def main() -> None:
    """Read the vendor that the configuration names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lines = Lines()
    {"bspk": bspk, "conpeek": conpeek, "evolux": evolux}[job["vendor"]](job, lines)
    lines.flush()


if __name__ == "__main__":
    main()
