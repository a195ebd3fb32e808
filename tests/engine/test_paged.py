"""Streams and signatures said in facts alone: what is asked for, and what is found in an answer."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest

from trunkline import instants
from trunkline.doors.command import VendorTap
from trunkline.facts import FilterObjects, NumberedPages, OffsetPages, PagedStream, array, common, signing, text
from trunkline.facts.stream import WindowRows
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.plan import Window

SPAN = Window(datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 2, tzinfo=timezone.utc))
ROW = b'{"id":1}'


class Calls(PagedStream):
    """A schema is borrowed from Evolux: only keys matter here."""

    name, path = "studio_calls", "/calls"
    primary_keys, replication_key = ("id",), "start_time"
    paging = NumberedPages(since="from", until="to", rows="data")


class Tap(VendorTap):
    """Any tap."""

    name, vendor = "tap-any", "evolux"
    common = common(lookback="P1D", window="P1D", page_size=50)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address.", format="url", default="https://vendor.example"),
        "user": text("User.", default="zoë"),
        "password": text("Password.", secret=True, default="s:e"),
    }
    stream_types = (Calls,)
    sign = signing.basic("user", "password")


def stream(**facts: Any) -> Calls:
    """A stream that pages like that."""
    made = Calls(Tap(config={}))
    made.paging = NumberedPages(**{"since": "from", "until": "to", "rows": "data", **facts})  # type: ignore[misc]
    return made


def opened(body: bytes, **facts: Any) -> tuple[list[bytes], int | None, bool | None]:
    """What is found in an answer: rows, total and whether more follows."""
    page = stream(**facts).open(Reply(Request("it", "/"), 200, {}, body))
    return [bytes(row) for row in page.rows], page.total, page.more


@pytest.mark.parametrize(
    ("body", "facts", "found"),
    [
        (b'{"data":[{"id":1}]}', {}, ([ROW], None, None)),
        (b'[{"id":1}]', {"rows": ""}, ([ROW], None, None)),
        (b'{"data":[],"total":0,"next":"x"}', {"total": "total", "more": "next"}, ([], 0, True)),
        (b'{"data":[],"total":7}', {"total": "total", "more": "next"}, ([], 7, False)),
        (b'{"data":[],"next":null}', {"more": "next"}, ([], None, False)),
        (b'{"d":{"rows":[{"id":1}]},"m":{"n":{"all":3}}}', {"rows": "d.rows", "total": "m.n.all"}, ([ROW], 3, None)),
        (b'{"data":[],"links":{"next":"x"}}', {"more": "links.next"}, ([], None, True)),
        (b'{"data":[],"links":null}', {"more": "links.next"}, ([], None, False)),
        (b'{"data":[]}', {"more": "links.next"}, ([], None, False)),
        (b'{"m":{"t":1,"more":false},"data":[{"id":1}]}', {"total": "m.t", "more": "m.more"}, ([ROW], 1, False)),
    ],
)
def test_g2_rows_total_and_more_are_where_the_facts_say(body: bytes, facts: dict[str, str], found: Any) -> None:
    """A field is found at any depth; only what tells of more pages may be missing."""
    assert opened(body, **facts) == found


@pytest.mark.parametrize("body", [b"{}", b'{"data":null,"total":1}', b'{"data":[]}', b'{"data":[],"total":"1"}', b"[]"])
def test_g2_an_answer_without_rows_or_total_is_none(body: bytes) -> None:
    """It is never an empty page."""
    with pytest.raises(msgspec.ValidationError):
        opened(body, total="total")


def test_the_span_is_asked_for_in_the_vendors_names_and_times() -> None:
    """In order: the span, what always stands there, page and size; without a lower end its parameter is left out."""
    made = stream(time=instants.to_epoch, page="p", size="n", extra_params=(("order", "asc"),))
    whole = made.page_request(SPAN, 3, 50)
    assert (whole.path, whole.stream) == ("/calls", "studio_calls")
    assert dict(whole.params) == {"from": "1767225600", "to": "1767312000", "order": "asc", "p": "3", "n": "50"}
    assert "from" not in dict(made.page_request(Window(None, SPAN.until), 1, 50).params)


def test_epochs_are_read_and_written_as_whole_seconds() -> None:
    """There and back; what no calendar holds is an error, and nothing stays nothing."""
    assert instants.from_epoch(1767225600) == "2026-01-01T00:00:00+00:00"
    assert instants.to_epoch(datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=timezone.utc)) == "1767225600"
    assert instants.from_epoch(None) is None
    with pytest.raises(ValueError, match="outside the calendar"):
        instants.from_epoch(10**18)


def test_credentials_are_signed_into_a_header() -> None:
    """Basic in UTF-8, bearer, and a header of the vendor's own; the body goes through as it is."""
    tap, request = Tap(config={}), Request("it", "/", json={"a": 1})
    headers, body = tap.sign(request)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "zoë:s:e"
    assert body == {"a": 1}
    assert signing.bearer("password")(tap, request)[0] == {"Authorization": "Bearer s:e"}
    assert signing.header("token", "password")(tap, request)[0] == {"token": "s:e"}


def test_headers_that_every_request_needs_stand_beside_the_credentials() -> None:
    """A keyword can't hold a hyphen: an underscore stands for it."""
    sign = signing.header("token", "password", Content_Type="application/json")
    assert sign(Tap(config={}), Request("it", "/"))[0] == {"token": "s:e", "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("request_", "rest"),
    [
        (Request("it", "/", json={"a": 1}), {"a": 1}),
        (Request("it", "/", form={"a": "1"}), {"a": "1"}),
        (Request("it", "/"), {}),
    ],
)
def test_g7_credentials_in_the_body_stand_beside_what_is_sent(request_: Request, rest: dict[str, Any]) -> None:
    """In the JSON object or the form; the request itself, which log lines are about, never holds them."""
    sent = signing.in_body(UserName="user", Password="password")(Tap(config={}), request_)
    assert sent == ({}, {**rest, "UserName": "zoë", "Password": "s:e"})
    assert "s:e" not in repr(request_)


def test_a_span_can_be_a_list_of_objects() -> None:
    """A filter of objects is one parameter: rows of which kinds, the span's ends, and what the setting holds."""
    pages = OffsetPages(filter=FilterObjects(setting="narrow", until="lt"), time=instants.to_day)
    ends = (SPAN.since, SPAN.until)
    ((name, written),) = pages.span(ends, "at", {"narrow": [{"property": "x", "value": 1}]}, state=("A", "B"))
    assert name == "filter"
    assert msgspec.json.decode(written) == [
        {"property": "state", "value": ["A", "B"]},
        {"property": "at", "operator": "gte", "value": "2026-01-01"},
        {"property": "at", "operator": "lt", "value": "2026-01-02"},
        {"property": "x", "value": 1},
    ]
    ((_, open_below),) = pages.span((None, SPAN.until), "at", {})
    assert msgspec.json.decode(open_below) == [{"property": "at", "operator": "lt", "value": "2026-01-02"}]


def test_what_is_not_wanted_is_named_and_leaves_the_schema() -> None:
    """Fields that a setting excludes stand in a parameter of the setting's name, and in no schema."""

    class Fewer(Calls):
        exclude_setting = "leave_out"

    class Choosy(Tap):
        settings = {**Tap.settings, "leave_out": array("Left out.")}  # noqa: RUF012 - a fact, never changed

    made = Fewer(Choosy(config={"leave_out": ["caller", "project"]}))
    asked = made.page_request(SPAN, 1, 5)
    assert ("leave_out", '["caller","project"]') in asked.params
    assert not {"caller", "project"} & made.schema["properties"].keys()
    unset = Fewer(Choosy(config={}))
    assert "leave_out" not in dict(unset.page_request(SPAN, 1, 5).params)


def test_a_flag_may_come_as_a_number() -> None:
    """0 and 1 become false and true; anything else stays, for the schema to judge."""
    made = stream()
    made.flag_or_number = ("a", "b", "c", "d", "e")  # type: ignore[misc]
    row: dict[str, Any] = {"a": 0, "b": 1, "c": True, "d": 2, "f": 1}
    made.compute(row)
    assert made.computes
    assert [row["a"], row["b"], row["c"], row["d"], row["f"]] == [False, True, True, 2, 1]
    assert type(row["a"]) is type(row["b"]) is bool
    assert type(row["f"]) is int


@pytest.mark.parametrize(
    ("others", "moments", "kept"),
    [
        ((), {"at": 3}, False),
        ((), {"at": 1}, True),
        (("made",), {"at": 3, "made": 1}, True),
        (("made",), {"at": 3, "made": 3}, False),
        (("made",), {"at": 3}, True),
    ],
)
def test_g1_a_row_behind_the_end_is_kept_while_the_filter_may_mean_a_time_before_it(
    others: tuple[str, ...], moments: dict[str, int], *, kept: bool
) -> None:
    """Where the vendor may filter by one of several times, a row is left out only if all of them reach `end_date`."""
    made = Calls(Tap(config={"end_date": "2026-01-02"}))
    made.keep_rows_outside_window, made.filter_tolerance = True, None
    made.other_filter_times = others  # type: ignore[misc]
    times = {name: datetime(2026, 1, day, tzinfo=timezone.utc) for name, day in moments.items()}
    assert (
        made.belongs(WindowRows(made, Window(None, datetime(2026, 1, 2, tzinfo=timezone.utc)), (), "at"), times) is kept
    )
