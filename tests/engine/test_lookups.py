"""Lookups said in facts: a request for each configured value, whatever the vendor calls things."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.wire import TEXT, Wire, records, schema

from trunkline.errors import BadResponse
from trunkline.facts import LookupResults, Lookups, LookupStream, VendorTap, array, common, header, text, token
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.write import BlockWriter

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = {"+1": [{"id": "a", "n": "A"}], "x@y": [{"id": "a", "n": "A"}, {"id": "b", "n": "B"}]}
FOUND = Lookups(
    kinds={"tel": ("tels", "/people"), "mail": ("mails", "/people/by-mail")},
    rows=("people", "person"),
    found="ok",
    error="problem",
    lower_case=("mail",),
    file="people_file",
)


class People(LookupStream):
    name, primary_keys, lookups = "people", ("id",), FOUND
    schema = schema(("id",), id={"type": "string"}, n=TEXT)


class Results(LookupResults):
    name, lookups, ids = "results", FOUND, ("people_ids", "person_id")
    schema = schema(
        ("kind", "value"),
        kind={"type": "string"},
        value={"type": "string"},
        matched={"type": ["boolean", "null"]},
        people_ids={"type": ["array", "null"]},
        person_id=TEXT,
    )


class Tap(VendorTap):
    """Any tap."""

    name, vendor = "tap-any", "evolux"
    common = common()
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address.", format="url", default="https://vendor.example"),
        "key": token("Key."),
        "tels": array("Numbers."),
        "mails": array("Addresses."),
        "people_file": text("Path.", format="file"),
    }
    stream_types = (People, Results)
    sign = header("key", "key")


class Book(Wire):
    """A vendor that looks people up."""

    def answer(self, _: str, query: dict[str, str]) -> tuple[int, Any]:
        (value,) = query.values()
        people = PEOPLE.get(value)
        return 200, {"ok": people is not None, **({"people": people} if people else {})}


def tap(wire: Wire, **config: Any) -> tuple[Any, io.BytesIO]:
    """The tap on a vendor, and its output."""
    output = io.BytesIO()
    config = {"key": "k", "max_attempts": 1, **config}
    return Tap(config=config, transport=wire, message_writer=BlockWriter(output)), output


@pytest.mark.parametrize("concurrency", [1, 8])
def test_g1_one_request_for_each_value_serves_both_streams(tmp_path: Path, concurrency: int) -> None:
    """Trimmed, in lower case where that is the same, each once; a row found twice is written once, a miss is kept."""
    file = tmp_path / "people.csv"
    file.write_text("kind,value\nMAIL, X@Y \ntel,+9\ntel,+1\n", encoding="utf-8")
    wire = Book([], jitter=concurrency)
    made, output = tap(wire, tels=[" +1", "+1"], mails=["X@y"], people_file=str(file), concurrency=concurrency)
    assert made.run() == 0
    assert [(path, query) for path, query in wire.seen if path == "/people/by-mail"] == [
        ("/people/by-mail", {"mail": "x@y"})
    ]
    assert wire.paths == {"/people": 2, "/people/by-mail": 1}
    assert records(output, "people") == [
        {"id": "a", "n": "A", "_extra": None},
        {"id": "b", "n": "B", "_extra": None},
    ]
    rows = [(row["kind"], row["value"], row["people_ids"], row["person_id"]) for row in records(output, "results")]
    assert rows == [("tel", "+1", ["a"], "a"), ("mail", "x@y", ["a", "b"], None), ("tel", "+9", [], None)]
    assert [row["matched"] for row in records(output, "results")] == [True, True, False]


def test_g8_a_lookup_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The others are on record, and the failed one is named by its kind and place, without its value."""
    wire = Book([])
    wire.faults["/people/by-mail"] = lambda _: (400, {})
    made, output = tap(wire, tels=["+1"], mails=["x@y"])
    assert made.run() == 1
    assert [row["value"] for row in records(output, "results")] == ["+1"]
    assert "mail lookup 2 of 2" in caplog.messages[-1]
    assert "x@y" not in caplog.text


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"ok": True, "people": [{"id": "a"}]}, [{"id": "a"}]),
        ({"ok": True, "person": {"id": "a"}}, [{"id": "a"}]),
        ({"ok": True, "people": []}, []),
        ({"ok": False}, []),
        ({"ok": False, "person": None}, []),
    ],
)
def test_g2_what_was_found_stands_where_the_facts_say(body: Any, found: Any) -> None:
    """One object or a list, under the first of the names that is there; a plain no is nothing found."""
    assert FOUND.open(Reply(Request("it", "/"), 200, {}, json.dumps(body).encode())) == found


@pytest.mark.parametrize(
    "body",
    [
        {"ok": True},
        {"ok": True, "people": None},
        {"ok": True, "people": "A"},
        {"ok": True, "people": ["A"]},
        {"ok": False, "people": [{"id": "a"}]},
        {"ok": False, "problem": "no such key"},
        {"ok": False, "problem": 5},
        {"people": []},
        [],
    ],
)
def test_g2_an_answer_of_another_form_is_never_nothing_found(body: Any) -> None:
    """Neither a contradiction nor an error is a miss."""
    with pytest.raises((BadResponse, ValueError)):
        FOUND.open(Reply(Request("it", "/"), 200, {}, json.dumps(body).encode()))


def test_g2_without_a_flag_the_rows_alone_decide() -> None:
    """An empty list is nothing found, and an answer without a list is none."""
    plain = Lookups(kinds={"tel": ("tels", "/people")}, rows=("people",))
    assert plain.open(Reply(Request("it", "/"), 200, {}, b'{"people":[],"found":false}')) == []
    with pytest.raises(BadResponse):
        plain.open(Reply(Request("it", "/"), 200, {}, b"{}"))


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("kind,value\ntel,1\n", []),
        ("kind,value\n", ["people_file must have at least one row"]),
        ("kind,value\nfax,1\n", ["people_file, line 2: kind must be tel or mail"]),
        ("kind,value\ntel,1\nmail,\n", ["people_file, line 3: value must not be empty"]),
        ("type,value\ntel,1\n", ["people_file must have the columns kind and value in its first line"]),
    ],
)
def test_g9_a_file_is_checked_row_by_row(tmp_path: Path, content: str, problems: list[str]) -> None:
    """What is no lookup is named by its line, without its value."""
    file = tmp_path / "people.csv"
    file.write_text(content, encoding="utf-8")
    assert FOUND.problems({"people_file": str(file)}) == problems
    assert FOUND.problems({}) == []


def test_the_path_in_the_documentation_is_the_first_kinds() -> None:
    """A stream says where it is read although each kind has a path of its own."""
    facts: list[Any] = [People, Results]
    assert [stream.path for stream in facts] == ["/people", "/people"]
