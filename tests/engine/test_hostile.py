"""Whatever a vendor's server sends, the end is an error in few words or correct data, in bounded time and memory."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import subprocess
import sys
import tracemalloc
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest
from tests.model.harness import TAPS, Output, Result, first_streams, run

from trunkline import schemas
from trunkline.errors import BadRecord
from trunkline.personal import hasher, protect
from trunkline.steps.fetch import exchange
from trunkline.steps.prove import whole, window_reading
from trunkline_sandbox import Response, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Request

UTC = timezone.utc
BEGIN = datetime(2021, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CONFIG: dict[str, dict[str, Any]] = {
    "bspk": {},
    "switchtransact": {"phones": ["+27720000000"], "emails": None, "terms": None, "lookups_file": None},
    "hostedsuite": {"first_page": 1},
    "conpeek": {"voice_campaign_ids": ["c1"]},
    "evolux": {},
}
FACTS: dict[str, Any] = {vendor: first_streams(vendor) for vendor in TAPS}
STREAMS: dict[str, list[str]] = {vendor: [s.name for s in tap.stream_types] for vendor, tap in FACTS.items()}
VENDORS = sorted(STREAMS)
ROWS: dict[str, dict[str, Any]] = {
    "bspk": {"sales_associate_id": "SA", "client_id": "C1", "created_at": "2021-03-01T10:00:00.000Z"},
    "switchtransact": {"id": "7", "firstname": "Anna"},
    "hostedsuite": {"Id": "7", "StartTime": "2021-03-01T10:00:00Z"},
    "conpeek": {"id": "7", "created_date": "2021-03-01 10:00:00"},
    "evolux": {"id": 7, "start_time": "2021-03-01T10:00:00Z"},
}
Answer = tuple[tuple[tuple[str, str], ...], bytes]


class Stranger(Sandbox):
    """A vendor of whom nothing is known but that it answers.

    Args:
        answer: The headers and the body for a request.
    """

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(size=0)
        self.answer, self.asked = answer, 0

    def handle(self, request: Request) -> Response:
        self.asked += 1
        headers, body = self.answer(request)
        return Response(200, headers, body)


def page(vendor: str, *rows: str, total: object = None) -> Answer:
    """A page of rows, which are JSON already, in the vendor's own envelope."""
    listed, said = ",".join(rows), len(rows) if total is None else total
    body = {
        "bspk": f"[{listed}]",
        "switchtransact": f'{{"status":true,"contact":{listed}}}',
        "hostedsuite": f'{{"Items":[{listed}],"TotalCount":{said}}}',
        "conpeek": f'{{"data":[{listed}]}}',
        "evolux": f'{{"meta":{{"status":200}},"pagination":{{"total":{said},"next_url":null}},"data":[{listed}]}}',
    }[vendor]
    return ((("X-Total-Count", str(said)),) if vendor == "bspk" else ()), body.encode("utf-8", "surrogateescape")


NO_DETAIL = b'{"data":{"executed_tasks":[]}}'


def other_question(vendor: str, request: Request, detail: bytes = NO_DETAIL) -> Answer | None:
    """What is answered in order when the question is not the one of the test: no rows, or a plain detail."""
    query = unquote_plus(str(request.query))
    if vendor == "conpeek" and ("closed_date" in query or '"state"' in query or "'offset', '0'" not in query):
        return page(vendor)
    if vendor == "evolux" and request.path.endswith("/cdr"):
        return (), detail
    return None


def read(
    vendor: str, answer: Answer | Callable[[Request], Answer], detail: bytes = NO_DETAIL, **config: Any
) -> tuple[Result, Stranger]:
    """Run a tap over the one day that the answers are about."""
    given = answer if callable(answer) else lambda _: answer
    answered = callable(answer) and vendor == "conpeek"  # a test that answers every question of Conpeek's by itself
    box = Stranger(lambda request: (not answered and other_question(vendor, request, detail)) or given(request))
    span = {} if vendor == "switchtransact" else {"start_date": BEGIN.isoformat(), "window": "P2D"}
    settings = {"max_attempts": 2, "concurrency": 1, **span, **CONFIG[vendor], **config}
    return run(box, vendor, settings, at=BEGIN + DAY, output=Output()), box


def fields(row: dict[str, Any], **changed: str) -> str:
    """A row as JSON, some of its fields replaced by JSON that no encoder would write."""
    parts = {name: json.dumps(value) for name, value in row.items()} | changed
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in parts.items()) + "}"


def failed(vendor: str, result: Result) -> str:
    """Assert that the run ended in an error as it should be, and return it: stream, why, what to do, one line."""
    story = result.log[-1]
    assert result.code == 1, result.log
    assert any(story.startswith(stream) for stream in STREAMS[vendor]), story
    assert not re.search(r"unexpected \w+:", story), story
    assert "Traceback" not in "\n".join(result.log)
    assert story.isprintable()
    assert len(story) < 700
    assert ". " in story  # what to do
    return story


# -- bodies that are no answer ---------------------------------------------------------------------

BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle": lambda body: body[: len(body) // 2],
    "cut before its end": lambda body: body[:-1],
    "something behind": lambda body: body + b"{",
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "two byte order marks": lambda body: b"\xef\xbb\xbf" * 2 + body,
    "nested a million times": lambda body: body[:-1] + b',"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "NaN": lambda body: body.replace(b"10:00", b'10:00", "x": NaN, "y": "', 1).replace(b"Anna", b'", "x":NaN,"y":"', 1),
    "a NUL byte": lambda body: body + b"\0",
    "null": lambda _: b"null",
    "a number": lambda _: b"5",
    "a text": lambda _: b'"rows"',
    "true": lambda _: b"true",
    "a list of lists for an object": lambda _: b"[[]]",
    "blanks": lambda _: b"   ",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("vendor", VENDORS)
def test_g2_a_body_that_is_no_answer_fails_its_stream(vendor: str, name: str) -> None:
    """Cut, in another encoding, nested without end or simply something else: tried again, then a clear error."""
    headers, body = page(vendor, fields(ROWS[vendor]))
    result, box = read(vendor, (headers, BROKEN[name](body)))
    failed(vendor, result)
    assert not result.of("RECORD")
    assert box.asked <= 8


@pytest.mark.parametrize("no", [b'{"data":[],"success":false}', b'{"success":true,"data":[],"error":"over quota"}'])
def test_g2_conpeek_a_list_beside_an_error_is_no_empty_answer(no: bytes) -> None:
    """The vendor's other routes say in the body that something failed: so may this one."""
    result, _ = read("conpeek", lambda _: ((), no))
    assert "reports an error" in failed("conpeek", result)


def test_g2_switchtransact_a_contact_beside_a_false_status_is_no_answer() -> None:
    """Not found, and found: an answer that contradicts itself drops nobody in silence."""
    result, _ = read("switchtransact", ((), b'{"status":false,"contact":{"id":"7"}}'))
    assert "its status is false, and it has a contact" in failed("switchtransact", result)


@pytest.mark.parametrize("vendor", VENDORS)
def test_g2_a_byte_order_mark_before_an_answer_changes_nothing(vendor: str) -> None:
    """Some servers begin a UTF-8 body with one."""
    headers, body = page(vendor, fields(ROWS[vendor]))
    plain, marked = (read(vendor, (headers, mark + body))[0] for mark in (b"", b"\xef\xbb\xbf"))
    assert plain.of("RECORD")
    assert [line["record"] for line in marked.of("RECORD")] == [line["record"] for line in plain.of("RECORD")]


@pytest.mark.parametrize("instead", ["null", "5", '"x"', "{}", "true", "[null]", "[5]", '["x"]', "[[]]", "[[{}]]"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_g2_what_stands_where_rows_should_be_is_no_row(vendor: str, instead: str) -> None:
    """No list, or members of it that are no objects: an error, and never "no records"."""
    rows = page(vendor, "@@")[1].decode()
    body = rows.replace("[@@]", instead).replace("@@", instead) if vendor != "bspk" else instead
    if vendor == "switchtransact" and instead == "{}":
        body = body.replace("{}", "[{}]")
    result, _ = read(vendor, (page(vendor, "@@")[0], body.encode()))
    failed(vendor, result)
    assert not result.of("RECORD")


@pytest.mark.parametrize("total", ["-1", "1.5", '"7"', "true", "18446744073709551616", "9" * 5_000, "1e3", "NaN"])
@pytest.mark.parametrize("vendor", ["bspk", "hostedsuite", "evolux"])
def test_g2_a_total_that_is_no_number_of_rows_is_an_error(vendor: str, total: str) -> None:
    """Negative, broken, a text, or of five thousand digits: no proof can rest on it, and no line shows it all."""
    result, _ = read(vendor, page(vendor, fields(ROWS[vendor]), total=total))
    assert "different rows came" not in failed(vendor, result)  # it was not even counted against


# -- rows ------------------------------------------------------------------------------------------

ODD_VALUES = ("null", "{}", "true", "[1]", "5.5", "[[{}]]", '"x"')


COMPUTED = {"call_key", "changed_at", "call_id", "call_start_time", "voice_campaign_id"}


def same(ours: Any, came: str) -> bool:
    """Whether a value is what the JSON says, or what stands for it: null for missing, digits, or its JSON."""
    there = json.loads(came, parse_float=Decimal)
    return ours in (there, came) or (isinstance(ours, float) and Decimal(str(ours)) == there)


@pytest.mark.parametrize(
    ("vendor", "stream"),
    [(vendor, stream) for vendor in VENDORS for stream in STREAMS[vendor] if stream != "contact_lookups"],
)
def test_g10_a_value_of_another_type_is_an_error_in_a_key_and_kept_elsewhere(vendor: str, stream: str) -> None:
    """Every field of every stream, each with three of an object, lists, a number, a text, a truth value and nothing."""
    odd = itertools.cycle(ODD_VALUES)
    for name, spec in schemas.load(TAPS[vendor].vendor, stream)["properties"].items():
        types = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
        for value in itertools.islice(odd, 3):
            row = fields(ROWS[vendor], **{name: value})
            answer = page(vendor, row), NO_DETAIL
            if stream == "studio_cdr":
                answer = page(vendor, fields(ROWS[vendor])), b'{"data":%s}' % row.encode()
            result, _ = read(vendor, *answer)
            if result.code:
                failed(vendor, result)
                continue
            (record,) = result.records(stream)
            extra = record["_extra"] or {}
            if any(path.startswith((f"{name}[", f"{name}.")) for path in extra):
                continue  # of the right type, and what stands inside is not: null there, and kept
            kept = extra if name in extra else record
            assert record[name] is None or kept is record or name in {"_extra", *COMPUTED}
            assert same(kept[name], value) or name in COMPUTED, (name, value, kept[name])
            if kept is record and isinstance(kept[name], (dict, list)):
                assert ("object" if isinstance(kept[name], dict) else "array") in types, (name, value)


NUMBERS = {
    "past 64 bits": "123456789012345678901234567890",
    "far below": "-99999999999999999999999999",
    "as many digits as no double has": "0.1000000000000000055511151231257827",
    "past every double": "1e400",
    "of an exponent that no decimal has": "1e9999999999999999999",
    "of five thousand digits": "9" * 5_000,
    "tiny": "1e-400",
    "minus zero": "-0",
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("vendor", VENDORS)
def test_g10_a_number_keeps_its_value_or_is_an_error(vendor: str, name: str) -> None:
    """In a field that the schema does not know, and so is kept as it is; no digit is lost in silence."""
    output = Output()
    body = page(vendor, fields(ROWS[vendor], new=NUMBERS[name]))
    box = Stranger(lambda request: other_question(vendor, request) or body)
    span = {} if vendor == "switchtransact" else {"start_date": BEGIN.isoformat()}
    result = run(box, vendor, {"max_attempts": 1, **span, **CONFIG[vendor]}, at=BEGIN + DAY, output=output)
    if result.code:
        failed(vendor, result)
        return
    line = next(line for line in bytes(output.taken).splitlines() if b'"RECORD"' in line)
    record = json.loads(line, parse_float=Decimal, parse_int=Decimal)["record"]
    assert record["_extra"]["new"] == Decimal(NUMBERS[name])


@pytest.mark.parametrize(
    "date",
    [
        "2024-02-30T10:00:00Z", "2021-03-01T25:61:00Z", "2021-13-01T00:00:00Z", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999-23:59", "/Date(99999999999999999999)/", "12/31/9999 11:59 PM", "tomorrow", "",
        "\u0000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor != "switchtransact"])
def test_g10_a_date_that_does_not_exist_is_an_error(vendor: str, date: str) -> None:
    """It is not corrected, not dropped, and moves no bookmark."""
    times = {"bspk": "created_at", "hostedsuite": "StartTime", "conpeek": "created_date", "evolux": "start_time"}
    more: dict[str, Any] = {"timezone": "America/New_York"} if vendor == "hostedsuite" else {}
    result, _ = read(vendor, page(vendor, fields(ROWS[vendor], **{times[vendor]: json.dumps(date)})), **more)
    failed(vendor, result)
    assert not result.records(STREAMS[vendor][0])
    assert "replication_key_value" not in json.dumps(result.state)


@pytest.mark.parametrize("value", [r'"\ud800"', r'"\udc00\ud800"', r'"a\ud83d"', '"\udcff"', '"\udced\udca0\udc80"'])
@pytest.mark.parametrize("where", ["value", "key", "inside"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_g10_a_text_that_utf8_can_not_hold_is_an_error(vendor: str, where: str, value: str) -> None:
    """Half a surrogate pair or a stray byte, wherever it stands; what can't be written is not made up."""
    row = (
        fields(ROWS[vendor])[:-1]
        + {
            "value": f',"new":{value}}}',
            "key": f",{value}:1}}",
            "inside": f',"new":{{"a":[{value}]}}}}',
        }[where]
    )
    result, _ = read(vendor, page(vendor, row))
    failed(vendor, result)
    assert not result.of("RECORD")


@pytest.mark.parametrize("vendor", VENDORS)
def test_g10_a_nul_is_a_character(vendor: str) -> None:
    """In a value, in a name, and in what is nested: it stays where it is."""
    row = fields(ROWS[vendor])[:-1] + r',"a\u0000b":"\u0000","c":{"\u0000":["\u0000"]}}'
    result, _ = read(vendor, page(vendor, row))
    assert result.code == 0, result.log
    assert result.records(STREAMS[vendor][0])[0]["_extra"] == {"a\0b": "\0", "c": {"\0": ["\0"]}}


@pytest.mark.parametrize("vendor", VENDORS)
def test_g10_of_a_name_that_comes_twice_the_last_one_counts(vendor: str) -> None:
    """As in nearly every reader of JSON, so that tap and target agree."""
    result, _ = read(vendor, page(vendor, fields(ROWS[vendor])[:-1] + ',"a":1,"a":2,"b":{"c":1,"c":2}}'))
    assert result.code == 0, result.log
    assert result.records(STREAMS[vendor][0])[0]["_extra"] == {"a": 2, "b": {"c": 2}}


@pytest.mark.parametrize("vendor", VENDORS)
def test_g9_what_a_vendor_writes_can_not_make_lines_of_its_own(vendor: str) -> None:
    """Names and keys with line breaks and terminal codes, and a name of a megabyte, leave one short line each."""
    evil = json.dumps("x\n2021-03-01 INFO complete, 9 rows\x1b[2J\u2028" + "y" * 1_000_000)
    row = fields(ROWS[vendor])[:-1] + f",{evil}:1}}"
    for policy in ("keep", "fail"):
        result, _ = read(vendor, page(vendor, row), unknown_fields=policy)
        assert result.code == (policy == "fail"), result.log
        assert all(line.isprintable() and len(line) < 1_000 for line in result.log)
    key = fields(ROWS[vendor], **{TAPS[vendor].stream_types[0].primary_keys[0]: evil})  # type: ignore[index]
    result, _ = read(vendor, page(vendor, key[:-1] + ',"id":[],"Notes":5,"created_at":5}'))
    assert all(line.isprintable() and len(line) < 1_000 for line in result.log)


# -- bounded time, bounded memory ------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ["bspk", "hostedsuite", "evolux"])
def test_g5_a_total_of_ten_million_pages_costs_few_requests(vendor: str) -> None:
    """A total that lies by far is halved down to one tick, does not add up there, and ends the stream."""
    result, box = read(vendor, page(vendor, fields(ROWS[vendor]), total=10**12))
    failed(vendor, result)
    assert box.asked < 300


def test_g2_pages_that_are_empty_though_rows_are_said_to_be_there_end() -> None:
    """A server whose page 0 and page 1 are both empty is not asked for ever which of them is the first."""
    result, box = read("hostedsuite", page("hostedsuite", total=5), first_page="auto")
    failed("hostedsuite", result)
    assert box.asked < 10


@pytest.mark.parametrize("vendor", ["bspk", "conpeek", "hostedsuite", "evolux"])
def test_g5_pages_without_an_end_end(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows on every page and a total that keeps its distance: after a bound it is an error, total or not."""
    for module in (window_reading, whole):
        monkeypatch.setattr(module, "ENDLESS", 20)
    count = 0

    def more(request: Request) -> Answer:
        nonlocal count
        count += 1
        if "still" in str(request.query) or "state" in str(request.query):
            return page(vendor)
        name = {"bspk": "client_id", "hostedsuite": "Id", "evolux": "id", "conpeek": "id"}[vendor]
        value = str(count) if vendor == "evolux" else f'"{count}"'
        headers, body = page(vendor, fields(ROWS[vendor], **{name: value}), total=10**9)
        return headers, body.replace(b'"next_url":null', b'"next_url":"more"')

    result, box = read(vendor, more, page_size=1)
    assert "20" in failed(vendor, result)
    assert box.asked < 100


def test_g5_fields_without_number_do_not_pile_up() -> None:
    """A new unknown field in every row: a hundred are told of by name, and the count of the rest."""
    rows = [fields(ROWS["hostedsuite"], Id=f'"{n}"', **{f"new_{n}": "1"}) for n in range(300)]
    result, _ = read("hostedsuite", page("hostedsuite", *rows), unknown_fields="drop", page_size=300)
    assert result.code == 0
    told = [line for line in result.log if "not in the schema" in line]
    assert len(told) == 1
    assert "200 more" in told[0]


def test_g5_a_page_of_a_million_tiny_records_is_an_error_or_a_million_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of two bytes each take fifty times their size once they are objects: they are counted before."""
    monkeypatch.setattr(exchange, "MOST_VALUES", 100_000)
    headers, _ = page("bspk")
    tracemalloc.start()
    try:
        result, _ = read("bspk", (headers, b"[" + b"1," * 999_999 + b"1]"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "100,000 values" in failed("bspk", result)
    assert "page_size" in result.log[-1]
    assert peak < 40_000_000


@pytest.mark.parametrize(("fewer", "code"), [(0, 0), (1, 1)])
def test_a_body_with_as_many_values_as_the_bound_is_read(
    fewer: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is on what could be values, a text's own commas among them; the bound itself is allowed."""
    answer = page("hostedsuite", fields(ROWS["hostedsuite"], Notes=json.dumps(", [{ " * 5)))
    monkeypatch.setattr(exchange, "MOST_VALUES", sum(answer[1].count(sign) for sign in (b",", b"[", b"{")) - fewer)
    assert read("hostedsuite", answer)[0].code == code


@pytest.mark.parametrize("depth", [300, 900])
def test_g5_nesting_that_can_be_read_can_be_hashed_or_is_an_error(depth: int) -> None:
    """What is nested as deep as the decoder takes it does not end in a traceback where personal data is hashed."""
    deep = '{"a":' * depth + '"x"' + "}" * depth
    row = fields(ROWS["hostedsuite"], Forms=f"[{deep}]", new=deep, Interactions=f"[{deep}]")
    for config in ({"pii": "hash", "pii_key": "key"}, {"flattening_enabled": True, "flattening_max_depth": 3}):
        result, _ = read("hostedsuite", page("hostedsuite", row), **config)
        if result.code:
            failed("hostedsuite", result)
        else:
            assert result.records("calls")


def test_g5_nesting_too_deep_to_protect_names_stream_and_key() -> None:
    """Even where only the hash goes in deep, the error is the record's."""
    finish = protect({"properties": {"x": {"x-personal": True}}}, (), hasher("key", None), hasher("key", None))
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises((BadRecord, RecursionError)):
        finish({"x": deep})


_BOMB = """
import sys, threading, resource, logging
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse
import io
sys.path[:0] = {paths!r}
from trunkline.steps.fetch.client import Client, Request
from trunkline.errors import TrunklineError
from trunkline.steps.fetch.governor import Governor

class Wire(BaseAdapter):
    def send(self, request, **_):
        raw = HTTPResponse(io.BytesIO(sys.stdin.buffer.read()), {{"Content-Encoding": {encoding!r}}}, status=200,
                           preload_content=False, decode_content=False)
        return HTTPAdapter().build_response(request, raw)

class Vendor:
    sign = lambda self, request: ({{}}, None)
    refuse = lambda self, *_: None
    is_success = lambda self, *_: True

client = Client(Vendor(), api_url="https://vendor.example", timeout=60, max_attempts=1, user_agent="t", ca_bundle=None,
                pool_size=1, governor=Governor(None, logger=logging.getLogger("t")), transport=Wire(),
                logger=logging.getLogger("t"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    client.fetch(Request("the thing", "/"), lambda reply: len(reply.body), threading.Event())
except TrunklineError as problem:
    print(problem)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def bomb() -> bytes:
    """A GiB of zeros, packed and packed again."""
    return gzip.compress(gzip.compress(bytes(1 << 24)) * 64)


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no resource usage")
def test_g5_a_gzip_bomb_is_an_error_in_bounded_memory() -> None:
    """A GiB in a few KB, packed twice, is given up at the bound; what it took stays near the bound."""
    body = bomb()
    assert len(body) < 10_000
    script = _BOMB.format(paths=[path for path in sys.path if path], encoding="gzip, gzip")
    done = subprocess.run([sys.executable, "-c", script], input=body, capture_output=True, timeout=60, check=True)
    story, grown = done.stdout.decode().splitlines()
    told = f"the thing failed: the response is larger than {exchange.MAX_BODY >> 20} MiB. Request less at once"
    assert story.startswith(told)
    assert int(grown) * 1024 < 3 * exchange.MAX_BODY
