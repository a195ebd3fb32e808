"""Vendors that page in every way the facts can say, read by a whole run: each row comes, as plain records."""

from __future__ import annotations

import io
import json
import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from trunkline import facts, instants
from trunkline.facts import (
    CursorPages,
    Header,
    InChunks,
    Link,
    NumberedPages,
    OffsetPages,
    OnePage,
    PagedStream,
    PerSetting,
    SnapshotStream,
    VendorTap,
    array,
    bearer,
    common,
    switch,
    text,
    token,
)
from trunkline.steps.plan import Window
from trunkline.steps.write import BlockWriter
from trunkline_contract.runs import PROOFS

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from trunkline.facts.paging import Paging

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ROWS = [
    {"id": n, "uuid": str(n), "start_time": (BEGIN + timedelta(hours=n)).isoformat(), "caller": f"c{n % 4}"}
    for n in range(100)
]


class Calls(PagedStream):
    """The schema is borrowed from Evolux: only keys and times matter here."""

    name, path = "studio_calls", "/calls"
    primary_keys, replication_key = ("id",), "start_time"


class Table(SnapshotStream):
    """The same rows as a full table."""

    name, path = "studio_calls", "/table"
    primary_keys = ("id",)


class Server(BaseAdapter):
    """Answers in the place of the network, page by page as `way` has it."""

    def __init__(self, way: Callable[[dict[str, Any], list[Any]], tuple[dict[str, str], Any]]) -> None:
        super().__init__()
        self.way, self.seen = way, list[dict[str, Any]]()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}
        asked = {**query, **(json.loads(request.body) if request.body else {})}
        self.seen.append({"method": request.method, "path": urlsplit(str(request.url)).path, **asked})
        span = asked.get("span", asked)
        low, high = span.get("from"), span.get("to")
        rows = [row for row in ROWS if (low or "") <= str(row["start_time"]) <= (high or "9")]
        if "callers" in asked:
            rows = [row for row in rows if row["caller"] in asked["callers"].split(",")]
        headers, answer = self.way(asked, rows)
        raw = HTTPResponse(
            io.BytesIO(json.dumps(answer).encode()), headers, status=200, preload_content=False, decode_content=False
        )
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """There is nothing to close."""


def read(
    kind: type[Any], facts: Paging, way: Callable[..., Any], **config: Any
) -> tuple[int, list[dict[str, Any]], Server]:
    """Run a tap of one stream: its exit code, its records, and what was requested."""
    more: dict[str, Any] = {"chunks": InChunks("callers")} if "callers" in config else {}
    if "teams" in config:
        more |= {"per": PerSetting("teams", "team", skip_setting="skip", noun="team"), "path": "/teams/{team}/calls"}
    stream = type("Stream", (kind,), {"paging": facts, **more})
    tap_class = type(
        "AnyTap",
        (VendorTap,),
        {
            "name": "tap-any",
            "vendor": "evolux",
            "common": common(lookback="P1D", window="P2D", page_size=9),
            "settings": {
                "api_url": text("Address.", format="url", default="https://vendor.example"),
                "api_token": token("Token."),
                "callers": array("Callers."),
                "teams": array("Teams."),
                "skip": switch("Skip."),
            },
            "stream_types": (stream,),
            "sign": bearer("api_token"),
        },
    )
    output, server = io.BytesIO(), Server(way)
    settings = {"api_token": "t0ken", "start_date": "2026-01-01", "end_date": "2026-01-05T04:00:00Z", **config}
    tap: Any = tap_class(
        config={name: value for name, value in settings.items() if value is not None},
        transport=server,
        run_start=BEGIN + timedelta(hours=100),
        message_writer=BlockWriter(output),
    )
    logging.getLogger("tap-any").setLevel(logging.INFO)
    code = tap.run()
    messages = [json.loads(line) for line in output.getvalue().splitlines()]
    written = [message for message in messages if message["type"] == "RECORD" and message["stream"] != PROOFS]
    return code, [message["record"] for message in written], server


def cut(asked: dict[str, Any], rows: list[Any], *, first: int) -> list[Any]:
    """The rows of a page."""
    return rows[first : first + int(asked["size"])]


def numbered(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
    """Pages from 1, the total in a header, the next page in a link between curly quotes."""
    first = (int(asked["page"]) - 1) * int(asked["size"])
    more = first + int(asked["size"]) < len(rows)
    link = {"Link": "<https://elsewhere.example?page=9>; rel=\u2018next\u2019"} if more else {"Link": "<x>; rel='last'"}
    return {"X-Total": str(len(rows)), **link}, cut(asked, rows, first=first)


def offset(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
    """Rows from an offset on, in an envelope, with a total."""
    return {}, {"d": {"rows": cut(asked, rows, first=int(asked["offset"]))}, "meta": {"n": {"all": len(rows)}}}


def bare_offset(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
    """The same without a total."""
    return {}, {"d": {"rows": cut(asked, rows, first=int(asked["offset"]))}}


def cursor(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
    """A token in the answer, empty on the last page."""
    first = int(asked.get("cursor", "t0")[1:])
    rest = first + int(asked["size"])
    return {}, {"rows": cut(asked, rows, first=first), "next_page_token": f"t{rest}" if rest < len(rows) else ""}


def uri(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
    """A relative link in the answer, whose query has the token."""
    _, answer = cursor(asked, rows)
    mark = answer.pop("next_page_token")
    return {}, {**answer, "next_page_uri": f"/2010/calls.json?size=9&cursor={mark}" if mark else None}


def linked(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
    """A link in the header, whose query has the token."""
    _, answer = uri(asked, rows)
    link = answer["next_page_uri"]
    return ({"Link": f'<https://elsewhere.example{link}>; rel="next"'} if link else {}), answer["rows"]


SPAN: dict[str, Any] = {"since": "from", "until": "to", "size": "size"}
WAYS: dict[str, tuple[Paging, Any]] = {
    "numbers, header and link": (NumberedPages(**SPAN, total=Header("X-Total"), more=Link("next")), numbered),
    "offset with a total": (OffsetPages(**SPAN, rows="d.rows", total="meta.n.all"), offset),
    "offset without a total": (OffsetPages(**SPAN, rows="d.rows"), bare_offset),
    "cursor": (CursorPages(**SPAN, rows="rows", next="next_page_token"), cursor),
    "cursor in a link's query": (CursorPages(**SPAN, rows="rows", next="next_page_uri"), uri),
    "cursor in a header": (CursorPages(**SPAN, next=Link("next")), linked),
    "one page": (OnePage(since="from", until="to", rows="rows"), lambda _, rows: ({}, {"rows": rows})),
    "one page with a total": (
        OnePage(since="from", until="to", rows="rows", total="total"),
        lambda _, rows: ({}, {"rows": rows, "total": len(rows)}),
    ),
}


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("way", WAYS)
def test_g1_windows_are_read_in_every_way_of_paging(way: str, concurrency: int) -> None:
    """Each row of the span comes, once and in the vendor's order, and no link is followed."""
    facts, answer = WAYS[way]
    code, records, server = read(Calls, facts, answer, concurrency=concurrency)
    assert (code, [record["id"] for record in records]) == (0, list(range(100)))
    assert {request["method"] for request in server.seen} == {"GET"}


@pytest.mark.parametrize("way", [way for way in WAYS if way != "one page"])
def test_g1_a_full_table_is_read_in_every_way_of_paging(way: str) -> None:
    """Whole, without a span and a bookmark; twice only where nothing but a second reading proves it."""
    facts, answer = WAYS[way]
    code, records, server = read(Table, facts, answer)
    assert (code, [record["id"] for record in records]) == (0, list(range(100)))
    assert not any("from" in request for request in server.seen)
    assert len(server.seen) == {"offset without a total": 26, "one page with a total": 1}.get(way, 12)


def test_a_search_is_posted_with_a_body_of_any_depth() -> None:
    """Parameters go into objects of a JSON body, numbers as numbers."""

    def way(asked: dict[str, Any], rows: list[Any]) -> tuple[dict[str, str], Any]:
        page = asked["paging"]
        assert isinstance(page["number"], int)
        first = (page["number"] - 1) * page["size"]
        return {}, {"data": rows[first : first + page["size"]], "total": len(rows)}

    facts = NumberedPages(
        place="body", since="span.from", until="span.to", page="paging.number", size="paging.size", rows="data",
        total="total", extra_params=(("deep.er.kind", ["a"]),),
    )  # fmt: skip
    code, records, server = read(Calls, facts, way)
    assert (code, len(records)) == (0, 100)
    assert {request["method"] for request in server.seen} == {"POST"}
    assert all(request["deep"] == {"er": {"kind": ["a"]}} for request in server.seen)


def test_g1_a_filter_of_whole_days_loses_nothing() -> None:
    """The days of the span are requested, and what lies outside of it is left out."""

    class Days(Calls):
        tick = timedelta(days=1)

    def way(asked: dict[str, Any], _: list[Any]) -> tuple[dict[str, str], Any]:
        assert len(asked["from"]) == len(asked["to"]) == len("2026-01-01")
        return {}, {"rows": [row for row in ROWS if asked["from"] <= str(row["start_time"])[:10] <= asked["to"]]}

    facts = OnePage(since="from", until="to", rows="rows", time=instants.to_day)
    code, records, _ = read(Days, facts, way)
    assert code == 0
    assert {record["id"] for record in records} == set(range(100))


@pytest.mark.parametrize(("now", "last"), [(False, 95), (True, 99)])
def test_g1_the_day_that_is_not_over_is_read_where_the_stream_says_so(now: bool, last: int) -> None:  # noqa: FBT001 - a parameter
    """Without an end_date a filter of whole days leaves the running day to the next run, unless it is `up_to_now`."""

    class Days(Calls):
        tick, up_to_now = timedelta(days=1), now

    def way(asked: dict[str, Any], _: list[Any]) -> tuple[dict[str, str], Any]:
        return {}, {"rows": [row for row in ROWS if asked["from"] <= str(row["start_time"])[:10] < asked["to"]]}

    facts = OnePage(since="from", until="to", rows="rows", time=instants.to_day)
    code, records, _ = read(Days, facts, way, end_date=None)
    assert code == 0
    assert max(record["id"] for record in records) == last


def test_g1_a_long_list_is_read_in_chunks_also_along_cursors() -> None:
    """A window is proven when every chunk of the list is."""
    facts = CursorPages(**SPAN, rows="rows", next="next_page_token")
    names = [f"c{n}" for n in range(4)] + [f"nobody-{n:04d}" for n in range(400)]
    code, records, server = read(Calls, facts, cursor, callers=names)
    assert code == 0
    assert {record["id"] for record in records} == set(range(100))
    assert all(len(request["callers"]) <= 1500 for request in server.seen)
    assert len({request["callers"] for request in server.seen}) > 2


@pytest.mark.parametrize("way", WAYS)
def test_g1_a_configured_list_is_a_partition_each_in_every_way_of_paging(way: str) -> None:
    """Each value stands in the path, percent-encoded, and each has a bookmark of its own."""
    facts, answer = WAYS[way]
    code, records, server = read(Calls, facts, answer, teams=["a/b", "c", "c"])
    assert (code, [record["id"] for record in records]) == (0, list(range(100)) * 2)
    assert {request["path"] for request in server.seen} == {"/teams/a%2Fb/calls", "/teams/c/calls"}


def test_the_guides_ways_of_paging_are_what_they_are_said_to_be() -> None:
    """Each is made of its facts, and a request by each of them has the vendor's names."""
    guide = (Path(__file__).resolve().parents[2] / "docs" / "adding-a-vendor.md").read_text(encoding="utf-8")
    section = guide.partition("## Ways of paging")[2].partition("\n## ")[0]
    names: dict[str, Any] = {
        **vars(facts),
        **{name: getattr(facts, name) for name in facts.__all__},
        "instants": instants,
    }
    exec(section.partition("```python")[2].partition("```")[0], names)  # noqa: S102 - the guide's own words
    window = Window(BEGIN, BEGIN + timedelta(days=2))

    def sent(way: str, cursor: str | None = None) -> dict[str, Any]:
        stream: Any = type("Stream", (Calls,), {"paging": names[way]})(Tap(config={"api_token": "t0ken"}))
        if way in {"by_cursor", "by_links_query", "in_one_answer"}:
            request = stream.link_request(window, cursor)
        else:
            request = stream.page_request(window, 3, 50)
        return dict(request.params) or request.json

    assert sent("by_number") | {"from": 0, "to": 0} == {"from": 0, "to": 0, "page": "3", "per_page": "50"}
    assert sent("by_offset") | {"from": 0, "to": 0} == {"from": 0, "to": 0, "skip": "150", "take": "50"}
    assert sent("by_cursor", "x")["page_token"] == "x"
    assert "PageToken" not in sent("by_links_query")
    assert sent("in_one_answer") == {"date": "2026-01-01", "date_to": "2026-01-03"}
    assert sent("searched")["paging"] == {"number": 3, "size": 50}


class Tap(VendorTap):
    """Any tap."""

    name, vendor = "tap-any", "evolux"
    common = common(lookback="P1D", window="P2D", page_size=9)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address.", format="url", default="https://vendor.example"),
        "api_token": token("Token."),
    }
    stream_types = (type("AnyCalls", (Calls,), {"paging": OnePage()}),)
    sign = bearer("api_token")
