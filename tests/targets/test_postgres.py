"""What `target-postgres` promises about rows, columns, values and settings, against a real PostgreSQL."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import io
import json
import logging
import threading
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from singer_sdk.exceptions import ConfigValidationError
from tests.targets.test_duckdb import INSTANT, NUMBER, TEXT, WHOLE, row, schema, state

from trunkline_loader.errors import InputError, StoreError
from trunkline_postgres import TargetPostgres, connection, store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.targets.conftest import Loads

# Rows


def test_rows_equal_the_distinct_keys_over_many_batches(pg: Loads) -> None:
    """No batch loses a row, whatever its size; of records with one key the last one stays, also within a batch."""
    records = [row(id=f"k{number % 53}", name=f"v{number}") for number in range(211)]
    for size in (10, 1000):
        pg(schema(), *records, batch_size_rows=size)
        newest = {record["record"]["id"]: record["record"]["name"] for record in records}
        assert dict(pg.query("SELECT id, name FROM calls")) == newest


def test_a_second_run_adds_only_what_is_new(pg: Loads) -> None:
    """Loading the same records again changes nothing but what they say anew."""
    pg(schema(), row(id="a", name="1"), row(id="b", name="1"))
    pg(schema(), row(id="b", name="2"), row(id="c", name="2"))
    assert pg.query("SELECT * FROM calls ORDER BY id") == [("a", "1"), ("b", "2"), ("c", "2")]


def test_without_keys_every_record_is_a_row(pg: Loads) -> None:
    """A stream without key is appended to, in order."""
    pg(schema(keys=[]), row(id="a"), row(id="a"), row(id="b"))
    assert pg.query("SELECT id FROM calls") == [("a",), ("a",), ("b",)]


@pytest.mark.parametrize(
    ("properties", "keys"),
    [
        ({"id": {"type": "integer"}}, [1, 2, -(2**63)]),
        ({"id": {"type": "number"}}, [1.5, 2.25, 1e300]),
        ({"id": {"type": "string", "format": "date-time"}}, ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000001Z"]),
        ({"id": {"type": "boolean"}}, [True, False]),
        ({"id": {}}, ["a", 1, {"x": 1}]),
    ],
)
def test_keys_of_any_type_are_upserted(pg: Loads, properties: dict[str, Any], keys: list[Any]) -> None:
    """A key's type does not matter for the upsert."""
    for name in ("1", "2"):
        pg(schema(**properties, name=TEXT), *(row(id=key, name=name) for key in keys))
    assert pg.query("SELECT name, count(*) FROM calls GROUP BY name") == [("2", len(keys))]


def test_composite_keys_and_keys_alone_are_upserted(pg: Loads) -> None:
    """Rows are one when all parts of the key are equal; where there is nothing to update, nothing is doubled."""
    declared = schema(keys=["kind", "value"], kind=TEXT, value=TEXT, n=WHOLE)
    pg(declared, row(kind="a", value="b", n=1), row(kind="b", value="a", n=2), row(kind="a", value="b", n=3))
    assert pg.query("SELECT * FROM calls ORDER BY kind") == [("a", "b", 3), ("b", "a", 2)]
    for _ in range(2):
        pg(schema("keys", id=TEXT), row("keys", id="a"), row("keys", id="a"))
    assert pg.query("SELECT * FROM keys") == [("a",)]


@pytest.mark.parametrize(
    ("method", "held"),
    [
        ("upsert", [("a", "2"), ("b", "1"), ("c", "2")]),
        ("append-only", [("a", "1"), ("a", "2"), ("b", "1"), ("b", "1"), ("c", "2")]),
        ("overwrite", [("a", "2"), ("c", "2")]),
    ],
)
def test_a_load_method_does_what_it_says(pg: Loads, method: str, held: list[tuple[str, str]]) -> None:
    """Replace by key, add every record, or replace the table; with batches of one row too."""
    pg(schema(), row(id="a", name="1"), row(id="b", name="1"), row(id="b", name="1"), load_method=method)
    pg(schema(), row(id="a", name="2"), row(id="c", name="2"), load_method=method, batch_size_rows=1)
    assert pg.query("SELECT id, name FROM calls ORDER BY id, name") == held


def test_overwrite_empties_a_table_whose_stream_has_no_records(pg: Loads) -> None:
    """What the vendor no longer has is gone, and a run that fails before its end empties nothing of that kind."""
    pg(schema(), row(id="a"))
    with pytest.raises(InputError):
        pg(schema(), "{", load_method="overwrite")
    assert pg.query("SELECT id FROM calls") == [("a",)]
    pg(schema(), load_method="overwrite")
    assert pg.query("SELECT id FROM calls") == []


# Columns


def test_a_column_that_appears_later_is_added(pg: Loads) -> None:
    """A new property becomes a column in the middle of a run, and the rows before it have null there."""
    wider = schema(id=TEXT, name=TEXT, city=TEXT)
    pg(schema(), row(id="a", name="x"), wider, row(id="b", name="y", city="z"))
    assert pg.query("SELECT * FROM calls ORDER BY id") == [("a", "x", None), ("b", "y", "z")]


def test_a_property_left_out_of_the_schema_keeps_its_stored_values(pg: Loads) -> None:
    """Property selection must not null what was loaded before."""
    pg(schema(id=TEXT, name=TEXT, city=TEXT), row(id="a", name="x", city="z"))
    pg(schema(), row(id="a", name="new"), row(id="b", name="y"))
    assert pg.query("SELECT * FROM calls ORDER BY id") == [("a", "new", "z"), ("b", "y", None)]


@pytest.mark.parametrize(
    ("before", "value", "after", "fresh", "stored"),
    [
        (WHOLE, 7, NUMBER, 1.5, ("double precision", [7.0, 1.5])),
        (WHOLE, 2**60 + 1, NUMBER, 1.5, ("numeric", [Decimal(2**60 + 1), Decimal("1.5")])),
        (NUMBER, 1.5, WHOLE, 7, ("double precision", [1.5, 7.0])),
        (NUMBER, 0.1, NUMBER, 9007199254740993, ("numeric", [Decimal("0.1"), Decimal(9007199254740993)])),
        (WHOLE, 7, WHOLE, 2**70, ("numeric", [Decimal(7), Decimal(2**70)])),
        (WHOLE, 7, TEXT, "x", ("text", ["7", "x"])),
        (TEXT, "x", WHOLE, 7, ("text", ["x", "7"])),
        (TEXT, "x", INSTANT, "2024-01-01T00:00:00Z", ("text", ["x", "2024-01-01T00:00:00Z"])),
        (INSTANT, "2024-01-01T02:00:00+02:00", TEXT, "x", ("text", ["2024-01-01T00:00:00.000000Z", "x"])),
        ({"type": ["null", "boolean"]}, True, TEXT, "x", ("text", ["true", "x"])),
        (TEXT, 'a"b', {"type": ["null", "object"]}, {"x": 1}, ("jsonb", ['a"b', {"x": 1}])),
        (INSTANT, "2024-01-01T02:00:00+02:00", {}, 5, ("jsonb", ["2024-01-01T00:00:00.000000Z", 5])),
        ({"type": "null"}, None, TEXT, "x", ("text", [None, "x"])),
        ({"type": ["null", "boolean"]}, None, INSTANT, None, ("timestamp with time zone", [None, None])),
    ],
)
def test_a_changed_type_is_widened_without_loss(  # noqa: PLR0917 - one case a row
    pg: Loads, before: Any, value: Any, after: Any, fresh: Any, stored: tuple[str, list[Any]]
) -> None:
    """The column takes the narrower of the types that hold old and new values."""
    pg(schema(id=TEXT, x=before), row(id="a", x=value))
    pg(schema(id=TEXT, x=after), row(id="b", x=fresh))
    found = [x for (x,) in pg.query("SELECT x FROM calls ORDER BY id")]
    assert (pg.types()["x"], found) == stored


def test_a_type_that_has_nothing_in_common_is_an_error(pg: Loads) -> None:
    """It names stream, column and both types, and the stored rows stay."""
    pg(schema(id=TEXT, x={"type": "boolean"}), row(id="a", x=True))
    with pytest.raises(StoreError, match=r"'calls', column 'x'.*boolean.*timestamp with time zone.*drop the table"):
        pg(schema(id=TEXT, x=INSTANT), row(id="b", x="2024-01-01T00:00:00Z"))
    assert pg.query("SELECT * FROM calls") == [("a", True)]


@pytest.mark.parametrize("letter", ["n", "ü"])
def test_names_longer_than_63_bytes_are_cut_and_kept_apart(pg: Loads, letter: str) -> None:
    """The same name leads to the same table and column in every run; PostgreSQL itself would cut both to one."""
    one, other = letter * 80 + "1", letter * 80 + "2"
    for _ in range(2):
        pg(
            schema(one, id=TEXT, **{one: TEXT, other: TEXT}), row(one, id="a", **{one: "1", other: "2"}),
            schema(other, id=TEXT), row(other, id="b"),
        )  # fmt: skip
    assert sorted(pg.query(f"SELECT * FROM {name}") for name in pg.tables()) == [[("a", "1", "2")], [("b",)]]


def test_names_are_kept_as_they_are_and_never_obeyed(pg: Loads) -> None:
    """Case, quotes, percent signs and dots stay; nothing else moves."""
    names = ["Id", "id", 'x"; DROP TABLE safe; --', "%s", "a.b", "", "a\0b", "$1", "n"]
    pg(schema("safe", id=TEXT), row("safe", id="kept"))
    for _ in range(2):
        for name in names:
            pg(schema(name, keys=[name], **{name: TEXT}), row(name, **{name: f"of {name!r}"}))
    held = sorted(pg.query(f"SELECT * FROM {name}")[0][0] for name in pg.tables())
    assert held == sorted(["kept", *(f"of {name!r}" for name in names)])


# Values


def test_every_json_schema_type_keeps_its_value(pg: Loads) -> None:
    """Each type has its column type, and the value is in it; control characters and backslashes are in the text."""
    text = 'tab\t new\n line\r\n "quoted" back\\slash \\n \\u0041 null é 😀 \x01\x1f\x7f\b\f, comma'
    declared = schema(
        id=TEXT, at=INSTANT, day={"type": "string", "format": "date"}, clock={"type": "string", "format": "time"},
        n=WHOLE, x=NUMBER, yes={"type": "boolean"}, tree={"type": "object"}, many={"type": "array"}, what={}, t=TEXT,
        empty=TEXT, null=TEXT,
    )  # fmt: skip
    record = {
        "id": "a", "at": "2024-08-07T12:29:23.594123+02:00", "day": "2024-02-29", "clock": "23:59:59.5",
        "n": 9007199254740993, "x": 0.1, "yes": True, "what": "text\n", "many": [1, None, text],
        "tree": {"v": 1.1, "t": text}, "t": text, "empty": "", "null": "null",
    }  # fmt: skip
    pg(declared, row(**record))
    assert pg.query("SELECT * FROM calls") == [
        (
            "a", datetime(2024, 8, 7, 10, 29, 23, 594123, tzinfo=timezone.utc), date(2024, 2, 29),
            time(23, 59, 59, 500000), 9007199254740993, 0.1, True, {"v": 1.1, "t": text}, [1, None, text], "text\n",
            text, "", "null",
        )
    ]  # fmt: skip
    assert list(pg.types().values()) == [
        "text", "timestamp with time zone", "date", "time without time zone", "bigint", "double precision", "boolean",
        "jsonb", "jsonb", "jsonb", "text", "text", "text",
    ]  # fmt: skip


def test_numbers_in_nested_values_keep_their_digits(pg: Loads) -> None:
    """A jsonb number is as long as it was sent."""
    pg(
        schema(id=TEXT, tree={}),
        '{"type":"RECORD","stream":"calls","record":{"id":"a","tree":{"v":1.10,"big":12345678901234567890123}}}',
    )
    assert pg.query("SELECT tree::text FROM calls") == [('{"v": 1.10, "big": 12345678901234567890123}',)]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**900])
def test_an_integer_past_64_bits_widens_its_column(pg: Loads, value: int) -> None:
    """No integer is wrapped or rounded, and the rows of the same batch survive the change."""
    pg(schema(id=TEXT, n=WHOLE), row(id="a", n=1), row(id="b", n=value), row(id="c", n=2))
    assert pg.query("SELECT n FROM calls ORDER BY id") == [(1,), (value,), (2,)]
    assert pg.types()["n"] == "numeric"


def test_numbers_that_no_numeric_holds_are_kept_as_text(pg: Loads) -> None:
    """1e400000 is a number in JSON."""
    pg(
        schema(id=TEXT, x=NUMBER),
        '{"type":"RECORD","stream":"calls","record":{"id":"a","x":1e400000}}',
        row(id="b", x=1.5),
    )
    assert pg.query("SELECT x FROM calls ORDER BY id") == [("1e400000",), ("1.5",)]


def test_g10_nul_characters_are_replaced_and_counted(pg: Loads, caplog: pytest.LogCaptureFixture) -> None:
    """PostgreSQL has none; in texts, nested values and keys they become U+FFFD, and one line counts them."""
    pg(
        schema(id=TEXT, name=TEXT, tree={}),
        row(id="a\0", name="x\0y\0", tree={"k\0": ["\0"]}),
        '{"type":"RECORD","stream":"calls","record":{"id":"b","name":"\\\\u0000","tree":"\\\\\\u0000"}}',
    )
    assert pg.query("SELECT * FROM calls ORDER BY id") == [
        ("a\ufffd", "x\ufffdy\ufffd", {"k\ufffd": ["\ufffd"]}),
        ("b", "\\u0000", "\\\ufffd"),
    ]
    assert "Stream 'calls': 6 NUL characters, which the database can't hold, are stored as U+FFFD" in caplog.messages


@pytest.mark.parametrize("record", ['{"id": "a", "name": "\\ud800"}', '{"id": "a", "name": {"y": ["\\udc00 "]}}'])
def test_g10_half_a_surrogate_pair_is_an_error_that_names_the_field(pg: Loads, record: str) -> None:
    """No UTF-8 text can hold it; what came before is loaded."""
    with pytest.raises(InputError, match="Line 3: half a surrogate pair in field 'name' of stream 'calls'"):
        pg(schema(id=TEXT, name={}), row(id="first"), f'{{"type": "RECORD", "stream": "calls", "record": {record}}}')
    assert pg.query("SELECT id FROM calls") == [("first",)]


def test_a_value_that_postgresql_refuses_names_stream_and_field_and_no_value(pg: Loads) -> None:
    """A number in a nested value that is past all of its bounds."""
    line = '{"type":"RECORD","stream":"calls","record":{"id":"secret","tree":{"x":1e4000000}}}'
    with pytest.raises(StoreError, match=r"Stream 'calls', field 'tree': Can't write a batch") as problem:
        pg(schema(id=TEXT, tree={}), line)
    assert "secret" not in str(problem.value)
    assert "4000000" not in str(problem.value)


# Tables that others made


def test_zone_less_columns_are_written_in_utc(pg: Loads) -> None:
    """A table of before keeps its types; the session's zone does not matter."""
    pg(schema("other"), row("other", id="x"))
    pg.query("CREATE TABLE calls (id varchar PRIMARY KEY, at timestamp, n numeric, name varchar(3))")
    pg(schema(id=TEXT, at=INSTANT, n=WHOLE), row(id="a", at="2024-08-07T12:29:23+02:00", n=5))
    assert pg.query("SELECT id, at, n FROM calls") == [("a", datetime(2024, 8, 7, 10, 29, 23), Decimal(5))]  # noqa: DTZ001
    assert pg.types()["at"] == "timestamp without time zone"
    pg(schema(id=TEXT, at=TEXT, name=TEXT), row(id="b", at="x", name="longer than three"))
    assert pg.query("SELECT at, name FROM calls ORDER BY id") == [
        ("2024-08-07T10:29:23.000000Z", None),
        ("x", "longer than three"),
    ]


def test_a_table_of_the_published_target_goes_on_being_loaded(pg: Loads) -> None:
    """The types that meltanolabs-target-postgres 0.8.1 makes; its arrays become jsonb, which loses nothing."""
    pg(schema("other"), row("other", id="x"))
    pg.query(
        'CREATE TABLE calls ("Id" text PRIMARY KEY, at timestamp, n bigint, x numeric, yes boolean, tree jsonb, '
        "many jsonb[], names text[], _sdc_extracted_at timestamp, _sdc_received_at timestamp, "
        "_sdc_batched_at timestamp, _sdc_deleted_at timestamp, _sdc_sequence bigint, _sdc_table_version bigint, "
        "_sdc_sync_started_at bigint)"
    )
    pg.query("INSERT INTO calls VALUES ('a', '2024-01-01', 1, 1.10, true, '{}', ARRAY['{\"a\": 1}'::jsonb], '{p,q}')")
    declared = schema(
        keys=["Id"], Id=TEXT, at=INSTANT, n=WHOLE, x=NUMBER, yes={"type": "boolean"}, tree={"type": "object"},
        many={"type": "array"}, names={"type": ["array", "null"]},
    )  # fmt: skip
    fresh = {"Id": "b", "at": "2024-01-01T02:00:00+02:00", "n": 2, "x": 0.1, "yes": False, "tree": {}, "many": [1]}
    pg(declared, row(**fresh, names=["r"]), row(Id="a", at="2024-01-02T00:00:00Z", yes=True), add_record_metadata=True)
    pg(declared, row(**{**fresh, "Id": "c"}), add_record_metadata=True)
    names = "at, n, x, yes, tree, many, names, _sdc_received_at IS NOT NULL"
    moment = datetime(2024, 1, 1)  # noqa: DTZ001 - as the column is
    held: tuple[Any, ...] = (moment, 2, Decimal("0.1"), False, {}, [1])
    rows = pg.query(f'SELECT {names} FROM calls WHERE n = 2 ORDER BY "Id"')
    assert rows == [(*held, ["r"], True), (*held, None, True)]
    types = pg.types()
    assert (types["many"], types["names"], types["at"]) == ("jsonb", "jsonb", "timestamp without time zone")


def test_a_table_without_an_index_gets_one_and_doubled_keys_are_an_error(pg: Loads) -> None:
    """The key must be unique before it can be upserted by; what is in the way is said."""
    pg(schema("other"), row("other", id="x"))
    pg.query("CREATE TABLE calls (id text, name text); INSERT INTO calls VALUES ('a', '1')")
    pg(schema(), row(id="a", name="2"))
    assert pg.query("SELECT * FROM calls") == [("a", "2")]
    pg.query("CREATE TABLE twice (id text, name text); INSERT INTO twice VALUES ('secret', '1'), ('secret', '1')")
    with pytest.raises(StoreError, match="several rows for one key") as problem:
        pg(schema("twice"), row("twice", id="a"))
    assert "secret" not in str(problem.value)


def test_a_view_in_the_way_is_a_clear_error(pg: Loads) -> None:
    """Nothing is written over what somebody else made."""
    pg(schema("other"), row("other", id="x"))
    pg.query("CREATE VIEW calls AS SELECT * FROM other")
    with pytest.raises(StoreError, match=r"'calls'.*view.*Rename"):
        pg(schema(), row(id="a"))
    assert pg.query("SELECT id FROM other") == [("x",)]


def test_wrong_rights_are_named(pg: Loads) -> None:
    """A user that may not make a schema is told what it needs, and its password is nowhere."""
    pg.query("DROP ROLE IF EXISTS reader")
    pg.query("CREATE ROLE reader LOGIN PASSWORD 'hunter2 x'")
    url = pg.url.replace("postgres:@", "reader:hunter2%20x@")
    with pytest.raises(StoreError, match=r"permission denied.*needs CREATE and TEMPORARY") as problem:
        pg(schema(), row(id="a"), sqlalchemy_url=url)
    assert "hunter2" not in str(problem.value)
    pg(schema(), row(id="a"))
    pg.query(f"GRANT USAGE ON SCHEMA {pg.schema} TO reader")
    with pytest.raises(StoreError, match="permission denied"):
        pg(schema(), row(id="b"), sqlalchemy_url=url)
    pg.query("GRANT INSERT, UPDATE, SELECT ON calls TO reader")
    pg(schema(), row(id="c"), sqlalchemy_url=url)
    assert pg.query("SELECT id FROM calls ORDER BY id") == [("a",), ("c",)]


# Metadata and versions


def test_metadata_is_added_also_to_a_table_that_is_there(pg: Loads) -> None:
    """As the SDK's targets do: when it was read, received and written, and a sequence; null where nobody knows."""
    pg(schema(), row(id="a", name="x"))
    before = datetime.now(timezone.utc)
    timed = {**row(id="b", name="y"), "time_extracted": "2024-01-01T02:00:00.5+02:00"}
    pg(schema(), timed, add_record_metadata=True)
    (found,) = pg.query(
        "SELECT _sdc_extracted_at, _sdc_received_at, _sdc_batched_at, _sdc_deleted_at, _sdc_sequence FROM calls "
        "WHERE id = 'b'"
    )
    extracted, received, batched, deleted, sequence = found
    assert extracted == datetime(2024, 1, 1, 0, 0, 0, 500000, tzinfo=timezone.utc)
    assert before <= received <= batched <= datetime.now(timezone.utc)
    assert deleted is None
    assert abs(sequence / 1000 - received.timestamp()) < 0.01
    assert pg.query("SELECT _sdc_received_at FROM calls WHERE id = 'a'") == [(None,)]


def test_metadata_that_a_record_brings_itself_is_kept(pg: Loads) -> None:
    """A tap that knows when a row was deleted is believed."""
    declared = schema(id=TEXT, _sdc_deleted_at=INSTANT)
    pg(declared, row(id="a", _sdc_deleted_at="2024-01-01T00:00:00Z"), add_record_metadata=True)
    assert pg.query("SELECT _sdc_deleted_at::text, _sdc_received_at IS NULL FROM calls") == [
        ("2024-01-01 00:00:00+00", False)
    ]


def activate(version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": "calls", "version": version}


@pytest.mark.parametrize(
    ("config", "held"),
    [
        ({"hard_delete": True}, [("b", None)]),
        ({}, [("a", True), ("b", None)]),
        ({"activate_version": False}, [("a", None), ("b", None)]),
    ],
)
def test_an_older_version_is_deleted_marked_or_left(pg: Loads, config: dict[str, Any], held: list[Any]) -> None:
    """As `hard_delete` and `activate_version` say; a row that comes again is no longer marked."""
    old = {"add_record_metadata": True, **config}
    pg(schema(), {**row(id="a"), "version": 1}, {**row(id="b"), "version": 1}, activate(1), **old)
    pg(schema(), {**row(id="b"), "version": 2}, activate(2), **old)
    found = pg.query("SELECT id, CASE WHEN _sdc_deleted_at IS NOT NULL THEN true END FROM calls ORDER BY id")
    assert found == held
    pg(schema(), {**row(id="a"), "version": 2}, activate(2), **old)
    assert pg.query("SELECT _sdc_deleted_at FROM calls WHERE id = 'a'") == [(None,)]


# State, several at once


def test_state_comes_out_only_after_its_rows_are_committed(pg: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """A batch boundary passes on the state before it; what a refused batch covers stays in."""
    pg(schema(), row(id="a"), state(1), row(id="b"), state(2), state(2), row(id="c"), state(3), batch_size_rows=2)
    assert capsys.readouterr().out.splitlines() == ['{"n": 1}', '{"n": 2}', '{"n": 3}']
    pg.query("ALTER TABLE calls ADD CHECK (id <> 'no')")
    with pytest.raises(StoreError, match="breaks a constraint"):
        pg(schema(), row(id="no"), state(4))
    assert not capsys.readouterr().out


def test_two_runs_at_once_on_the_same_new_tables_lose_nothing(pg: Loads) -> None:
    """They make the schema and tables together, widen columns beneath each other, and upsert the same keys."""
    names, errors = ("one", "two", "three"), list[Exception]()

    def run(which: int) -> None:
        order = names if which % 2 else names[::-1]
        messages: list[Any] = [schema(name, id=TEXT, n=WHOLE) for name in order]
        for number in range(60):
            mine = str(number % 30 if number % 2 else number + 100 * which)
            value = 2**70 if number == 40 and which == 1 else number
            messages += [row(name, id=mine, n=value) for name in order[::-1]]
        try:
            pg(*messages, batch_size_rows=17)
        except Exception as problem:  # noqa: BLE001 - of whatever kind
            errors.append(problem)

    threads = [threading.Thread(target=run, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    shared, own = range(1, 60, 2), range(0, 60, 2)
    expected = {str(n % 30) for n in shared} | {str(n + 100 * which) for n in own for which in range(4)}
    for name in names:
        assert {one for (one,) in pg.query(f"SELECT id FROM {name}")} == expected


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'target-postgres'"


def test_a_lost_connection_is_made_anew_and_nothing_doubles(
    pg: Loads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut off before, within and after a commit, the batch of a stream without key is there once."""
    caplog.set_level(logging.WARNING)
    real, cuts = store.PostgreSQL._write, iter(["before", "after"])  # noqa: SLF001 - between it and its answer

    def cut(self: Any, batches: Any) -> Any:
        where = next(cuts, "")
        if where == "before":
            pg.query(CUT)
        number = real(self, batches)
        if where == "after":  # committed, and the answer is lost
            pg.query(CUT)
            try:
                self.query("SELECT 1")
            except psycopg.Error as problem:
                raise store.Interrupted(problem, number) from None
        return number

    monkeypatch.setattr(store.PostgreSQL, "_write", cut)
    monkeypatch.setattr(store, "PAUSES", (0.0, 0.0, 0.0))
    pg(schema(keys=[]), row(id="a"), row(id="b"))
    assert pg.query("SELECT id FROM calls") == [("a",), ("b",)]
    assert caplog.text.count("Trying again") == 2


def test_a_certificate_that_is_exchanged_meanwhile_is_waited_for(
    pg: Loads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is lost while the file is away: the next try finds it."""
    write, connect, cuts, away = store.PostgreSQL._write, connection.Access.connect, iter([True]), iter([False, True])  # noqa: SLF001

    def cut(self: Any, batches: Any) -> Any:
        if next(cuts, False):
            pg.query(CUT)
        return write(self, batches)

    def reach(self: connection.Access) -> Any:
        if next(away, False):
            raise FileNotFoundError(2, "there is no file client.crt")
        return connect(self)

    monkeypatch.setattr(store.PostgreSQL, "_write", cut)
    monkeypatch.setattr(connection.Access, "connect", reach)
    monkeypatch.setattr(store, "PAUSES", (0.0, 0.0, 0.0))
    pg(schema(keys=[]), row(id="a"))
    assert pg.query("SELECT id FROM calls") == [("a",)]
    assert caplog.text.count("Trying again") == 2


class Output(io.StringIO):
    """Standard output that says when a state has come out."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def flush(self) -> None:
        self.written.set()

    def wait(self) -> None:
        """Wait for the next state."""
        assert self.written.wait(300), "the state was held until more came"
        self.written.clear()


def test_a_connection_that_is_lost_while_the_tap_is_slow_is_made_anew(
    pg: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next stream's table is made over a new connection, and the rows are counted over another one."""

    def tap() -> Iterator[str]:
        for number, name in enumerate(("one", "two")):
            messages = schema(name), row(name, id="a"), state(number)
            yield "".join(f"{json.dumps(message)}\n" for message in messages)
            output.wait()
            pg.query(CUT)

    monkeypatch.setattr(store, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr("sys.stdout", output := Output())
    TargetPostgres(config=pg.config(batch_size_rows=1)).listen(tap())  # type: ignore[arg-type]
    assert [pg.query(f"SELECT id FROM {name}") for name in ("one", "two")] == [[("a",)], [("a",)]]


def test_a_restart_of_the_server_in_the_middle_of_a_run_loses_nothing(
    pg: Loads, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next batch waits for the server; the states that come out are of what is committed."""
    messages = [schema(), *(row(id=str(number)) for number in range(8)), state(1), row(id="x"), state(2)]
    lines = [json.dumps(message) + "\n" for message in messages]

    def tap() -> Iterator[str]:
        yield "".join(lines[:-2])
        output.wait()
        server.stop()
        server.start()
        yield "".join(lines[-2:])

    monkeypatch.setattr("sys.stdout", output := Output())
    TargetPostgres(config=pg.config(batch_size_rows=4)).listen(tap())  # type: ignore[arg-type]
    assert len(pg.query("SELECT id FROM calls")) == 9
    assert output.getvalue() == '{"n": 1}\n{"n": 2}\n'


def test_the_rows_of_a_large_table_are_not_counted(pg: Loads, caplog: pytest.LogCaptureFixture) -> None:
    """A run that finds little must not cost what the table has; the last line says about how much that is."""
    caplog.set_level(logging.INFO)
    pg(schema(), row(id="a"))
    pg.query("INSERT INTO calls SELECT n::text FROM generate_series(1, 150000) n; ANALYZE calls")
    pg(schema(), row(id="b"))
    said = [line.split(" rows received, ")[1] for line in caplog.messages if "rows received" in line]
    assert said[0] == f"1 rows in table '{pg.schema}.calls'"
    assert said[1].startswith("about 15")


# Settings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pa%40ss%20word%2F@db.example:6543/calls?sslmode=require",
        "postgres://me:pa%40ss%20word%2F@db.example:6543/calls?sslmode=require",
        "postgresql+psycopg2://me:pa%40ss%20word%2F@db.example:6543/calls?sslmode=require",
        "postgresql+psycopg://me:pa%40ss%20word%2F@db.example:6543/calls?sslmode=require",
    ],
)
def test_a_url_is_read_in_all_its_forms(url: str) -> None:
    """A driver's name says nothing here; a password keeps its signs and spaces."""
    found = connection.from_url(url)
    assert found == {
        "user": "me", "password": "pa@ss word/", "host": "db.example", "port": "6543", "dbname": "calls",
        "sslmode": "require",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "host is missing"),
        ({"sqlalchemy_url": "mysql://me:hunter2@host/x"}, "sqlalchemy_url must begin with postgresql://"),
        ({"sqlalchemy_url": "postgresql://me:hunter2@host:port:1/x"}, "sqlalchemy_url must be a URL such as"),
        ({"sqlalchemy_url": 5}, "sqlalchemy_url"),
        ({"sqlalchemy_url": "md:calls"}, "sqlalchemy_url must begin"),
        ({"stream_maps": {}}, "stream_maps is not offered: mapping and flattening are the tap's"),
        ({"flattening_enabled": True}, "flattening_enabled is not offered: mapping and flattening are the tap's"),
        ({"use_copy": True}, "use_copy is not needed"),
        ({"load_method": "merge"}, "load_method must be one of upsert, append-only, overwrite"),
        ({"port": 70000}, "port must be an integer from 1 to 65535"),
        ({"passwrod": "hunter2"}, "passwrod is not a setting of target-postgres: did you mean password?"),
    ],
)
def test_g9_a_wrong_setting_is_one_line_without_its_value(config: dict[str, Any], says: str) -> None:
    """It names the setting and what it must be."""
    if config and "sqlalchemy_url" not in config:
        config = {"host": "h", "user": "u", "database": "d", **config}
    with pytest.raises(ConfigValidationError) as problem:
        TargetPostgres(config=config)
    assert says in problem.value.errors[0]
    assert "hunter2" not in str(problem.value.errors)


def test_g7_a_password_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture, tmp_path: Any) -> None:
    """A server that can't be reached is said without it."""
    config = {"host": str(tmp_path), "user": "me", "password": "hunter2hunter2", "database": "d"}
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreError, match="Can't open database d at") as problem:
        TargetPostgres(config=config).listen(iter([]))  # type: ignore[arg-type]
    assert "hunter2" not in str(problem.value)
    assert "hunter2" not in caplog.text


def test_certificates_given_as_text_stand_in_a_file_for_the_owner_alone(tmp_path: Any) -> None:
    """Libpq wants files; they are gone after the run."""
    pem = "-----BEGIN CERTIFICATE-----\\nxyz\\n-----END CERTIFICATE-----"
    access = connection.Access(
        {
            "host": "h", "ssl_enable": True, "ssl_certificate_authority": pem, "ssl_client_certificate_enable": True,
            "ssl_client_certificate": "~/x.crt", "ssl_client_private_key": pem, "ssl_storage_directory": str(tmp_path),
        }
    )  # fmt: skip
    found = access.parameters()
    assert found["sslmode"] == "verify-full"
    assert not found["sslcert"].startswith("~")
    assert Path(found["sslrootcert"]).read_text(encoding="utf-8").split("\n")[1] == "xyz"
    assert json.dumps(found).count(str(tmp_path)) == 2
    access.close()
    assert not list(tmp_path.iterdir())
