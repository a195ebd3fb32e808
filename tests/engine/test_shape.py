"""The shape: numbers keep their value, texts their characters, unknown fields a place; the rest is an error."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline import instants
from trunkline.errors import BadRecord
from trunkline.exact import decode, encode
from trunkline.steps.fetch.client import one_line
from trunkline.steps.shape.shape import EXTRA, Shape

SCHEMA: dict[str, Any] = {
    "properties": {
        "id": {"type": ["integer", "null"]},
        "text": {"type": ["string", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "list": {"type": ["array", "null"]},
        "nested": {"type": ["object", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        EXTRA: {"type": ["object", "null"]},
    }
}
WITH_NUMBER: dict[str, Any] = {"properties": {**SCHEMA["properties"], "number": {"type": ["number", "null"]}}}


def shape(schema: dict[str, Any] = SCHEMA, **more: Any) -> Shape:
    return Shape("calls", schema, ("id",), **more)


def made(shaper: Shape, raw: bytes) -> tuple[Any, dict[str, datetime]]:
    """The record as a target reads it, and its instants."""
    record, moments = shaper(msgspec.Raw(raw))
    return json.loads(encode(record), parse_float=Decimal, parse_int=int), moments


def row(**fields: Any) -> bytes:
    return encode(fields)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | texts | decimals
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


# -- values are kept -------------------------------------------------------------------------------


@given(values)
@example(2**64)
@example(-(10**30))
@example(Decimal("1.10"))
@example(Decimal("1E+2"))
@example(Decimal("0.1000000000000000055511151231257827021181583404541015625"))
@example("\u2028\x00\x7f\U0001f600")
def test_json_keeps_every_value(value: Any) -> None:
    """Decoding and encoding change no number, no character and no order."""
    again = decode(encode(value))
    assert again == value
    assert json.loads(encode(value), parse_float=Decimal) == value


@settings(max_examples=40, deadline=None)
@given(
    st.integers(-(10**200), 10**200),
    texts,
    st.booleans(),
    st.lists(values, max_size=3),
    st.dictionaries(texts, values, max_size=3),
)
def test_a_row_keeps_its_values(number: int, text: str, flag: bool, items: list[Any], nested: dict[str, Any]) -> None:  # noqa: FBT001 - drawn
    """Every type of the schema, and whatever stands inside lists and objects."""
    fields = {"id": number, "text": text, "flag": flag, "list": items, "nested": nested}
    for as_dict in (False, True):
        record, _ = made(shape(as_dict=as_dict), row(**fields))
        assert record == {**fields, "at": None, EXTRA: None}


@given(decimals | st.integers(-(10**40), 10**40))
def test_a_decimal_keeps_its_value(number: Any) -> None:
    """A price or a duration is not rounded to what a float holds."""
    record, _ = made(shape(WITH_NUMBER), row(number=number))
    assert record["number"] == number


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(texts.filter(lambda name: name not in WITH_NUMBER["properties"]), values, min_size=1, max_size=4)
)
def test_unknown_fields_are_kept(fields: dict[str, Any]) -> None:
    """What the schema does not name stands in one column, as it came; and it is counted."""
    for as_dict in (False, True):
        shaper = shape(as_dict=as_dict)
        record, _ = made(shaper, row(id=1) if not fields else encode({"id": 1, **fields}))
        assert record[EXTRA] == fields
        assert shaper.unknown == dict.fromkeys(fields, 1)


def test_unknown_fields_can_be_dropped_or_refused() -> None:
    """Dropped ones are counted all the same; refused ones are named."""
    shaper = shape(unknown_fields="drop")
    assert made(shaper, row(id=1, new=2))[0][EXTRA] is None
    assert shaper.unknown == {"new": 1}
    with pytest.raises(BadRecord, match=r"calls.*id 1.*does not name also, new\. Set unknown_fields"):
        made(shape(unknown_fields="fail"), row(id=1, new="hidden", also=1))


# -- both ways -------------------------------------------------------------------------------------

broken = st.sampled_from(
    [b"", b"5", b"[]", b"null", b'{"id":1', b'{"id":1}x', b'{"id":1,"nested":{"a":"\xff"}}', b'{"id":"\xff"}',
     b'{"id":1,"nested":{"a":"\\q"}}', b'{"id":1,"nested":{"a":"\\ud800"}}', b'{"id":1,"nested":{"a":"\\uDFFF"}}',
     b'{"id":1,"nested":{"a":"\x01"}}', b'{"id":1,"list":[01]}', b'{"id":1,"list":[1.]}', b'{"id":1,"list":[NaN]}',
     b'{"id":1,"nested":[1]}', b'{"id":1,"list":{}}', b'{"id":5.5}', b'{"id":"5"}', b'{"id":true}', b'{"text":5}',
     b'{"flag":1}', b'{"at":5}', b'{"at":"never"}', b'{"at":"2024-02-30T00:00:00Z"}', b'{"id":1e5000}',
     b'{"id":1e999999999}', b'{"id":1,"_extra":5}']
)  # fmt: skip
fine = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(-(10**20), 10**20),
        "text": texts | st.none(),
        "flag": st.booleans() | st.none(),
        "list": st.lists(values, max_size=2) | st.none(),
        "nested": st.dictionaries(texts, values, max_size=2) | st.none(),
        "at": st.sampled_from(["2024-08-07T12:29:23.594Z", "2024-08-07 12:29:23", "2024-08-07T12:29:23+02:00", None]),
        "new": values,
    },
).map(encode)
spaced = st.sampled_from(
    [b'{ "id" : 1,\n"nested" : {\n"a" : 1.50 } ,\r\n"list":[ 1 ,\t2 ] }', b'{"id":1,"nested":{"a":"\\ud83d\\ude00"}}',
     b'{"id":5.0}', b'{"id":-0}', b'{"id":1e3}', b'{"id":1,"id":2}', b'{"id":1,"nested":null,"list":null}']
)  # fmt: skip


@given(broken | fine | spaced)
def test_both_ways_make_the_same_record(raw: bytes) -> None:
    """The short way is only shorter: the same record, or the same error; and always a line that can be read again."""
    try:
        raw = one_line(raw)  # nothing else gets here
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return
    results = []
    for as_dict in (False, True):
        try:
            results.append(made(shape(as_dict=as_dict), raw))
        except BadRecord as exc:  # noqa: PERF203 - two rounds
            results.append((str(exc), {}))
    assert results[0] == results[1]
    try:
        line = encode(shape(as_dict=False)(msgspec.Raw(raw))[0])
    except BadRecord:
        return
    assert b"\n" not in line
    assert decode(line) is not None


@given(broken)
def test_what_is_no_row_or_has_no_key_is_always_the_same_kind_of_error(raw: bytes) -> None:
    """Broken texts, wrong types in a key, bombs: `BadRecord`, with what, why and what to do; nothing else is one."""
    try:
        record, _ = made(shape(), raw)
    except BadRecord as exc:
        told = [exc.what.startswith(("calls", "a row of calls")), exc.why, exc.remedy]
    else:
        told = [record[EXTRA]]
    assert all(told)


def test_a_row_nested_too_deeply_is_an_error_of_the_record() -> None:
    """It ends the stream with a clear error, not the run with a traceback."""
    deep = b'{"id":1,"list":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(BadRecord, match="nested too deeply"):
        made(shape(), deep)


def test_objects_and_lists_take_the_short_way() -> None:
    """What needs no look inside is written as the vendor wrote it, to the byte."""
    record, _ = shape(as_dict=False)(
        msgspec.Raw(b'{"id":1,"nested":{"a": {"b": 1.50, "c":"\\u0142"}},"list":[[1, 2]]}')
    )
    assert b'"nested":{"a":{"b": 1.50, "c":"\\u0142"}}' in encode(record)
    assert b'"list":[[1, 2]]' in encode(record)


# -- contradictions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"id": "hidden"}, "id"),
        ({"id": 1.5}, "id"),
        ({"id": True}, "id"),
        ({"id": ["hidden"]}, "id"),
        ({"id": 1, "at": "hidden"}, "at"),
        ({"id": 1, "at": 5}, "at"),
    ],
)
def test_g10_a_key_that_contradicts_names_stream_key_and_field_and_shows_no_value(
    fields: dict[str, Any], name: str
) -> None:
    """A primary or replication key that is none: a person can find the row; a log collector learns nothing of it."""
    for as_dict in (False, True):
        with pytest.raises(BadRecord) as caught:
            made(shape(WITH_NUMBER, replication_key="at", as_dict=as_dict), row(**fields))
        text = str(caught.value)
        assert text.startswith("calls, the record with id ")
        assert f"field {name} " in caught.value.why
        assert "hidden" not in caught.value.why
        assert "hidden" not in caught.value.remedy


NESTED: dict[str, Any] = {
    "properties": {
        **WITH_NUMBER["properties"],
        "steps": {
            "type": ["array", "null"],
            "items": {
                "type": ["object", "null"],
                "properties": {
                    "at": {"type": ["string", "null"], "format": "date-time"},
                    "n": {"type": ["integer", "null"]},
                    "sure": {"type": "string"},
                },
            },
        },
        "flow": {"type": ["object", "null"], "properties": {"id": {"type": ["integer", "null"]}}},
        "names": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        "whole": {"type": ["array", "null"], "items": {"type": "integer"}},
    }
}
WITHOUT_NUMBER = {"properties": {name: spec for name, spec in NESTED["properties"].items() if name != "number"}}
ODD: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"text": {"a": 1}}, {"text": None}, {"text": {"a": 1}}),
    ({"flag": 1}, {"flag": None}, {"flag": 1}),
    ({"list": "x"}, {"list": None}, {"list": "x"}),
    ({"nested": ["x"]}, {"nested": None}, {"nested": ["x"]}),
    ({"at": "N/A"}, {"at": None}, {"at": "N/A"}),
    ({"at": 5}, {"at": None}, {"at": 5}),
    ({"at": ""}, {"at": None}, {}),
    ({"at": "2024-02-30T00:00:00Z"}, {"at": None}, {"at": "2024-02-30T00:00:00Z"}),
    ({"steps": "N/A"}, {"steps": None}, {"steps": "N/A"}),
    ({"steps": [5]}, {"steps": [None]}, {"steps[0]": 5}),
    ({"steps": [{"at": ""}, {"at": "N/A"}]}, {"steps": [{"at": None}, {"at": None}]}, {"steps[1].at": "N/A"}),
    (
        {"steps": [{"at": 5, "n": "6", "new": [7]}, {"at": "2026-01-02 03:04:05"}]},
        {"steps": [{"at": None, "n": None, "new": [7]}, {"at": "2026-01-02T03:04:05+00:00"}]},
        {"steps[0].at": 5, "steps[0].n": "6"},
    ),
    ({"steps": [{"sure": None}]}, {"steps": [None]}, {"steps[0]": {"sure": None}}),
    ({"steps": [{"n": 5.0}]}, {"steps": [{"n": 5}]}, {}),
    ({"flow": {"id": "x", "more": 1}}, {"flow": {"id": None, "more": 1}}, {"flow.id": "x"}),
    ({"flow": []}, {"flow": None}, {"flow": []}),
    ({"names": ["a", 5, None]}, {"names": ["a", None, None]}, {"names[1]": 5}),
    ({"whole": [1, "2"]}, {"whole": None}, {"whole": [1, "2"]}),
]


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize(("fields", "there", "kept"), ODD)
def test_g10_what_contradicts_the_schema_and_is_no_key_is_kept_under_its_path(
    fields: dict[str, Any], there: dict[str, Any], kept: dict[str, Any], *, as_dict: bool
) -> None:
    """It never stops a stream: null in its place so that the record fits; as it came in `_extra`; counted."""
    shaper = shape(WITHOUT_NUMBER, as_dict=as_dict)
    record, _ = made(shaper, row(id=1, **fields, new="n"))
    assert {name: record[name] for name in there} == there
    assert record[EXTRA] == {"new": "n", **kept}
    assert sum(shaper.odd.values()) == len(kept)
    jsonschema.validate(json.loads(encode(record)), {**WITHOUT_NUMBER, "type": "object"})
    bare = shape(WITHOUT_NUMBER, as_dict=as_dict, keeps_odd=False)
    assert made(bare, row(id=1, **fields))[0][EXTRA] is None
    assert bare.odd == shaper.odd


@pytest.mark.parametrize("value", ["hidden", "1.5", "NaN", True, [], {}])
def test_g10_a_number_that_is_none_is_kept(value: Any) -> None:
    """A text does not pass for a number, though it may look like one."""
    record, _ = made(shape(WITH_NUMBER), row(id=1, number=value))
    assert (record["number"], record[EXTRA]) == (None, {"number": value})


@pytest.mark.parametrize("as_dict", [False, True])
def test_g10_a_deselected_field_is_neither_checked_nor_made(*, as_dict: bool) -> None:
    """Whatever stands there: it is not judged, not kept, not counted, and what would be made of it is not made."""
    computed = {"text": (("nested",), lambda nested: nested["there"])}
    shaper = shape(WITHOUT_NUMBER, as_dict=as_dict, computed=computed, fields={"id", "flag", EXTRA})
    odd: list[Any] = [5, "N/A", [{"at": "never"}], {"there": 5}, {"id": []}]
    for value in odd:
        record, moments = made(shaper, row(id=1, at=value, steps=value, nested=value, flow=value, names=value))
        assert record == {"id": 1, "flag": None, EXTRA: None}
        assert not moments
    assert not shaper.odd
    assert not shaper.unknown


@pytest.mark.parametrize("as_dict", [False, True])
def test_g10_what_a_key_is_made_from_counts_as_one_though_it_is_deselected(*, as_dict: bool) -> None:
    """The bookmark and the key rest on it: it is checked and read, and left out of the record."""
    computed = {"text": (("list",), lambda one: str(len(one)))}
    schema = {"properties": {**SCHEMA["properties"], "later": {"type": ["string", "null"], "format": "date-time"}}}
    keys = Shape(
        "calls", schema, ("text",), replication_key="later", computed=computed, latest={"later": ("at",)},
        fields={"text", "later"}, as_dict=as_dict,
    )  # fmt: skip
    record, moments = made(keys, row(list=[1], at="2026-01-02T03:04:05Z"))
    assert record == {"text": "1", "later": "2026-01-02T03:04:05+00:00"}
    assert moments["later"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    for odd in ({"list": 5, "at": None}, {"list": [], "at": "N/A"}):
        with pytest.raises(BadRecord, match=r"list|text|at"):
            made(keys, row(**odd))


@pytest.mark.parametrize("as_dict", [False, True])
def test_g10_what_the_catalog_does_not_mention_stays_in_extra(*, as_dict: bool) -> None:
    """A schema that has grown since the catalog was written takes nothing away."""
    shaper = shape(
        WITHOUT_NUMBER,
        as_dict=as_dict,
        fields={"id", EXTRA},
        unmentioned=("at", "flow", "names"),
        unknown_fields="drop",
    )
    record, _ = made(shaper, row(id=1, at="2026-01-02 03:04:05", flow={"id": "x", "a": 1}, new=1))
    kept = {"at": "2026-01-02T03:04:05+00:00", "flow": {"id": None, "a": 1}, "flow.id": "x"}
    assert record == {"id": 1, EXTRA: kept}
    assert made(shaper, row(id=1))[0] == {"id": 1, EXTRA: None}


def test_a_personal_key_is_not_shown() -> None:
    """Where the key itself is about a person, the error does without."""
    schema = {"properties": {"id": {"type": "string", "x-personal": True}, "n": {"type": "integer"}}}
    with pytest.raises(BadRecord) as caught:
        made(shape(schema, replication_key="n"), row(id="anna@example.com", n="x"))
    assert "anna" not in str(caught.value)
    assert "(personal)" in str(caught.value)


def test_a_required_field_must_be_there() -> None:
    """A key that is null would be an upsert on nothing."""
    schema = {**SCHEMA, "required": ["id"]}
    for raw in (b"{}", b'{"id":null}'):
        for as_dict in (False, True):
            with pytest.raises(BadRecord, match="field id is missing or null"):
                made(shape(schema, as_dict=as_dict), raw)


@pytest.mark.parametrize("raw", [b'{"id":5.0}', b'{"id":5}', b'{"id":50e-1}', b'{"id":0.5e1}'])
def test_a_whole_number_written_otherwise_is_that_number(raw: bytes) -> None:
    """5.0 is the integer 5."""
    assert made(shape(), raw)[0]["id"] == 5


@pytest.mark.parametrize("kind", [None, ["string", "number", "null"]])
def test_a_property_of_no_one_type_takes_what_comes(kind: Any) -> None:
    """A schema may leave open what the vendor leaves open."""
    schema = {"properties": {"id": {"type": "integer"}, "any": {"type": kind} if kind else {}}}
    for value in ("text", 1, Decimal("1.5"), None):
        assert made(shape(schema), row(id=1, any=value))[0]["any"] == value


# -- times, computed fields, selection -------------------------------------------------------------


def test_a_time_keeps_its_instant_and_gets_a_zone() -> None:
    """A time with `T` and zone stays as written; any other is written in UTC. Both are handed on as instants."""
    record, moments = made(shape(), row(at="2024-08-07T12:29:23.594Z"))
    assert record["at"] == "2024-08-07T12:29:23.594Z"
    assert moments == {"at": datetime(2024, 8, 7, 12, 29, 23, 594000, timezone.utc)}
    record, moments = made(shape(), row(at="2024-08-07 12:29:23"))
    assert record["at"] == "2024-08-07T12:29:23+00:00"
    assert instants.from_iso(record["at"]) == moments["at"]


def test_computed_fields_are_made_before_anything_is_judged() -> None:
    """What makes a key may fail: the error names it, and the row; any other field is null then, and counted."""
    computed = {"text": (("id",), lambda number: f"call {number + 1}")}
    for as_dict in (False, True):
        shaper = shape(computed=computed, as_dict=as_dict)
        assert made(shaper, row(id=1))[0]["text"] == "call 2"
        assert made(shaper, row(id=None))[0]["text"] is None
        assert shaper.odd == {"text": 1}
        with pytest.raises(BadRecord, match=r"the computed field text could not be made \(TypeError\)"):
            made(shape(computed=computed, as_dict=as_dict, replication_key="text"), row(id=None))


def test_a_number_in_a_text_field_becomes_its_digits() -> None:
    """Only where the vendor's pages show both, decimals too; elsewhere it is a contradiction."""
    for as_dict in (False, True):
        shaper = shape(text_or_number=("text",), as_dict=as_dict)
        assert made(shaper, row(id=1, text=5))[0]["text"] == "5"
        assert made(shaper, row(id=1, text=-0.0025))[0]["text"] == "-0.0025"
        assert made(shaper, row(id=1, text=True))[0][EXTRA] == {"text": True}


def test_fields_that_are_not_selected_are_left_out() -> None:
    """Not null but absent: an upsert must not empty the column."""
    for as_dict in (False, True):
        record, _ = made(shape(fields={"id", "at"}, as_dict=as_dict), row(id=1, text="x", new=1))
        assert record == {"id": 1, "at": None}


def test_the_last_word_has_finish() -> None:
    """Personal data is protected in the finished record, computed fields and all."""

    def finish(record: dict[str, Any]) -> None:
        record["text"] = "***"

    assert made(shape(finish=finish), row(id=1, text="x"))[0]["text"] == "***"


def test_rows_do_not_share_anything() -> None:
    """The template of nulls is not written to."""
    shaper = shape(as_dict=True)
    first, _ = shaper(msgspec.Raw(row(id=1, new=1)))
    second, _ = shaper(msgspec.Raw(row(id=2)))
    assert (first[EXTRA], second[EXTRA]) == ({"new": 1}, None)
