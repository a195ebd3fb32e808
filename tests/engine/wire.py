"""A vendor on no wire: calls in pages, a detail of each, and a list of recordings of each, as a tap's transport."""

from __future__ import annotations

import io
import json
import random
import re
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from trunkline.facts import NumberedPages, PagedStream, VendorTap, array, common, header, text, token
from trunkline.steps.write import BlockWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
TIME = {"type": "string", "format": "date-time"}
TEXT = {"type": ["string", "null"]}


def schema(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """A stream's schema."""
    extra = {"type": ["object", "null"], "additionalProperties": True}
    return {"type": "object", "properties": {**properties, "_extra": extra}, "required": list(required)}


class Calls(PagedStream):
    """What has details and recordings."""

    name, path = "calls", "/calls"
    primary_keys, replication_key = ("id",), "at"
    schema = schema(("id", "at"), id={"type": "integer"}, at=TIME, uuid=TEXT)
    paging = NumberedPages(since="from", until="to", rows="data", total="total")


def tap(*streams: Any, wire: Wire, state: Any = None, catalog: Any = None, **config: Any) -> Any:
    """A tap with these streams, and its output."""
    kinds = streams

    class Tap(VendorTap):
        """Any tap."""

        name, vendor = "tap-any", "evolux"
        common = common(lookback="P1D", window="P1D", page_size=5)
        settings = {  # noqa: RUF012 - a fact, never changed
            "api_url": text("Address.", format="url", default="https://vendor.example"),
            "key": token("Key."),
            "known_by": text("Which field.", enum=["id", "uuid"], default="id"),
            "teams": array("Teams."),
            "region": text("What stands in a path."),
        }
        stream_types = kinds
        sign = header("key", "key")

    output = io.BytesIO()
    config = {"key": "k", "start_date": BEGIN.isoformat(), "max_attempts": 1, "requests_per_minute": 1e6, **config}
    made = Tap(
        config=config,
        state=state,
        catalog=catalog,
        transport=wire,
        run_start=BEGIN + 20 * DAY,
        message_writer=BlockWriter(output),
    )
    return made, output


def call(number: int, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    """A call; an hour after the one before, unless it says when."""
    at = at or BEGIN + number * timedelta(hours=1)
    return {"id": number, "at": at.isoformat(), "uuid": f"u {number}", **more}


def recording(of: int, number: int) -> dict[str, Any]:
    """A recording of a call."""
    return {"id": f"{of}-{number}", "length": number}


class Wire(BaseAdapter):
    """The vendor.

    Args:
        calls: What it has.
        recordings: How many recordings each call has.
        cap: Rows of a page at most.
        jitter: Seed of small random delays, which change the order of answers; None for none.
    """

    def __init__(
        self,
        calls: list[dict[str, Any]],
        recordings: Mapping[int, int] | None = None,
        *,
        cap: int = 100,
        jitter: int = -1,
    ) -> None:
        super().__init__()
        self.calls, self.recordings, self.cap = calls, recordings or {}, cap
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.faults: dict[str, Callable[[dict[str, str]], tuple[int, Any] | None]] = {}
        """By path: what is answered in the place of the true answer, if anything."""
        self.in_flight = self.most_in_flight = 0
        self._random = random.Random(jitter) if jitter >= 0 else None  # noqa: S311 - no secret
        self._builder = HTTPAdapter()

    @property
    def paths(self) -> Counter[str]:
        """How often each path was requested."""
        return Counter(path for path, _ in self.seen)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        self.seen.append((path, query))
        fault = self.faults.get(path)
        status, answer = (fault and fault(query)) or self.answer(path, query)
        if self._random:
            time.sleep(self._random.random() / 500)
        body = b"" if answer is None else json.dumps(answer).encode()
        raw = HTTPResponse(io.BytesIO(body), status=status, preload_content=False, decode_content=False)
        return self._builder.build_response(request, raw)

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """Status and body."""
        path = re.sub(r"^/teams/[^/]+", "", path)
        if path == "/calls" and "from" not in query:  # the whole table
            return 200, self.page(self.calls, query)
        if path == "/calls":
            low, high = (datetime.fromisoformat(query[name].replace("Z", "+00:00")) for name in ("from", "to"))
            return 200, self.page([row for row in self.calls if low <= _at(row) <= high], query)
        found = re.fullmatch(r"/calls/([^/]*)/(detail|recordings)", path)
        row = next((row for row in self.calls if found and found[1] in {str(row["id"]), row["uuid"]}), None)
        if not found or row is None:
            return 404, {}
        if found[2] == "detail":
            return 200, {"result": {"call": {"note": f"of {row['id']}"}}}
        of = row["id"]
        return 200, self.page([recording(of, number) for number in range(self.recordings.get(of, 0))], query)

    def page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        """One page of a list."""
        size = min(int(query.get("per_page", "100")), self.cap)
        first = (int(query["page"]) - 1) * size
        return {"data": rows[first : first + size], "total": len(rows)}

    def close(self) -> None:
        """There is nothing to close."""


def _at(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["at"])


def messages(output: io.BytesIO) -> list[dict[str, Any]]:
    """What was written."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


def records(output: io.BytesIO, stream: str) -> list[dict[str, Any]]:
    """The records of a stream."""
    return [said["record"] for said in messages(output) if said["type"] == "RECORD" and said["stream"] == stream]


def bookmark(output: io.BytesIO, stream: str) -> str | None:
    """The last bookmark of a stream."""
    value: str | None = _state(output, stream).get("replication_key_value")
    return value


def partitions(output: io.BytesIO, stream: str) -> list[tuple[dict[str, str], str]]:
    """The last bookmarks of a stream's partitions."""
    return [(one["context"], one["replication_key_value"]) for one in _state(output, stream)["partitions"]]


def _state(output: io.BytesIO, stream: str) -> dict[str, Any]:
    states = [said["value"] for said in messages(output) if said["type"] == "STATE"]
    state: dict[str, Any] = states[-1].get("bookmarks", {}).get(stream, {}) if states else {}
    return state
