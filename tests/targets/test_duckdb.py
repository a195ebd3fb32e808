"""What `target-duckdb` promises about the rows, columns and values in the file."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from singer_sdk.exceptions import ConfigValidationError

from trunkline_duckdb import InputError, LoadError, StoreError, TargetDuckDB
from trunkline_duckdb.columns import FIRST_TYPE, widened
from trunkline_duckdb.store import DuckDB
from trunkline_loader import loader
from trunkline_loader.columns import Kind, declare, named
from trunkline_loader.values import survives_double

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TEXT = {"type": ["null", "string"]}
WHOLE = {"type": ["null", "integer"]}
NUMBER = {"type": ["null", "number"]}
INSTANT = {"type": ["null", "string"], "format": "date-time"}


def schema(stream: str = "calls", /, keys: Iterable[str] = ("id",), **properties: Any) -> dict[str, Any]:
    """A SCHEMA message; without properties the stream has an `id` and a `name`."""
    properties = properties or {"id": {"type": "string"}, "name": TEXT}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(keys),
    }


def row(stream: str = "calls", /, **record: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": record}


def state(number: int) -> dict[str, Any]:
    return {"type": "STATE", "value": {"n": number}}


def lines(*messages: dict[str, Any] | str) -> str:
    return "".join(f"{message if isinstance(message, str) else json.dumps(message)}\n" for message in messages)


class Loads:
    """A DuckDB file that Singer messages are loaded into, by a new target each time."""

    def __init__(self, path: Path) -> None:
        self.path = path / "folder" / "calls.duckdb"

    def __call__(self, *messages: dict[str, Any] | str, **config: Any) -> None:
        self.text(lines(*messages), **config)

    def text(self, text: str, **config: Any) -> None:
        config = {"path": str(self.path), "add_record_metadata": False, **config}
        TargetDuckDB(config=config).listen(io.StringIO(text))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def types(self, table: str = "calls") -> dict[str, str]:
        return dict(
            self.query(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'")  # noqa: S608
        )


@pytest.fixture
def load(tmp_path: Path) -> Loads:
    return Loads(tmp_path)


# Rows


def test_rows_equal_the_distinct_keys_over_many_batches(load: Loads) -> None:
    """No batch loses a row, whatever its size, and a repeated key is one row."""
    records = [row(id=f"k{number % 53}", name=f"v{number}") for number in range(211)]
    load(schema(), *records, batch_size_rows=10)
    newest = {record["record"]["id"]: record["record"]["name"] for record in records}
    assert dict(load.query("SELECT id, name FROM calls")) == newest


def test_a_second_run_adds_only_what_is_new(load: Loads) -> None:
    """Loading the same records again changes nothing but what they say anew."""
    load(schema(), row(id="a", name="1"), row(id="b", name="1"))
    load(schema(), row(id="b", name="2"), row(id="c", name="2"))
    assert load.query("SELECT * FROM calls ORDER BY id") == [("a", "1"), ("b", "2"), ("c", "2")]


def test_the_last_record_of_a_key_wins_within_a_batch(load: Loads) -> None:
    """Of records with one key in one batch the last one stays, also when the values go back and forth."""
    load(schema(), *(row(id="a", name=str(number)) for number in [3, 1, 2]))
    assert load.query("SELECT * FROM calls") == [("a", "2")]


def test_without_keys_every_record_is_a_row(load: Loads) -> None:
    """A stream without key is appended to, in order."""
    load(schema(keys=[]), row(id="a"), row(id="a"), row(id="b"))
    assert load.query("SELECT id FROM calls") == [("a",), ("a",), ("b",)]


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
def test_keys_of_any_type_are_upserted(load: Loads, properties: dict[str, Any], keys: list[Any]) -> None:
    """A key's type does not matter for the upsert."""
    for name in ("1", "2"):
        load(schema(**properties, name=TEXT), *(row(id=key, name=name) for key in keys))
    assert load.query("SELECT name, count(*) FROM calls GROUP BY ALL") == [("2", len(keys))]


def test_composite_keys_are_upserted(load: Loads) -> None:
    """Rows are one when all parts of the key are equal, and only then."""
    declared = schema(keys=["kind", "value"], kind=TEXT, value=TEXT, n=WHOLE)
    load(declared, row(kind="a", value="b", n=1), row(kind="b", value="a", n=2), row(kind="a", value="b", n=3))
    assert load.query("SELECT * FROM calls ORDER BY kind") == [("a", "b", 3), ("b", "a", 2)]


def test_a_stream_of_keys_only_is_upserted(load: Loads) -> None:
    """There is nothing to update, and nothing is doubled."""
    load(schema(id=TEXT), row(id="a"), row(id="a"))
    load(schema(id=TEXT), row(id="a"), row(id="b"))
    assert load.query("SELECT count(*) FROM calls") == [(2,)]


def test_streams_interleave_in_one_batch(load: Loads) -> None:
    """The batch bound counts all streams together and loses none of them."""
    messages = [row(stream, id=str(number)) for number in range(50) for stream in ("calls", "contacts")]
    load(schema(), schema("contacts"), *messages, batch_size_rows=7)
    assert load.query("SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM contacts)") == [(50, 50)]


# Columns


def test_a_column_that_appears_later_is_added(load: Loads) -> None:
    """A new property becomes a column in the middle of a run, and the rows before it have null there."""
    wider = schema(id=TEXT, name=TEXT, city=TEXT)
    load(schema(), row(id="a", name="x"), wider, row(id="b", name="y", city="z"))
    assert load.query("SELECT * FROM calls ORDER BY id") == [("a", "x", None), ("b", "y", "z")]


def test_a_property_left_out_of_the_schema_keeps_its_stored_values(load: Loads) -> None:
    """Property selection must not null what was loaded before."""
    load(schema(id=TEXT, name=TEXT, city=TEXT), row(id="a", name="x", city="z"))
    load(schema(), row(id="a", name="new"), row(id="b", name="y"))
    assert load.query("SELECT * FROM calls ORDER BY id") == [("a", "new", "z"), ("b", "y", None)]


@pytest.mark.parametrize(
    ("before", "value", "after", "fresh", "stored"),
    [
        (WHOLE, 7, NUMBER, 1.5, ("DOUBLE", [7.0, 1.5])),
        (WHOLE, 2**60 + 1, NUMBER, 1.5, ("VARCHAR", ["1152921504606846977", "1.5"])),
        (NUMBER, 1.5, WHOLE, 7, ("DOUBLE", [1.5, 7.0])),
        (WHOLE, 7, TEXT, "x", ("VARCHAR", ["7", "x"])),
        (TEXT, "x", WHOLE, 7, ("VARCHAR", ["x", "7"])),
        (TEXT, "x", INSTANT, "2024-01-01T00:00:00Z", ("VARCHAR", ["x", "2024-01-01T00:00:00Z"])),
        (INSTANT, "2024-01-01T02:00:00+02:00", TEXT, "x", ("VARCHAR", ["2024-01-01T00:00:00.000000Z", "x"])),
        ({"type": ["null", "boolean"]}, True, TEXT, "x", ("VARCHAR", ["true", "x"])),
        (TEXT, 'a"b', {"type": ["null", "object"]}, {"x": 1}, ("JSON", ['"a\\"b"', '{"x": 1}'])),
        ({"type": "null"}, None, TEXT, "x", ("VARCHAR", [None, "x"])),
    ],
)
def test_a_changed_type_is_widened_without_loss(  # noqa: PLR0917 - one case a row
    load: Loads, before: Any, value: Any, after: Any, fresh: Any, stored: tuple[str, list[Any]]
) -> None:
    """The column takes the narrower of the types that hold old and new values."""
    load(schema(id=TEXT, x=before), row(id="a", x=value))
    load(schema(id=TEXT, x=after), row(id="b", x=fresh))
    found = [x for (x,) in load.query("SELECT x FROM calls ORDER BY id")]
    assert (load.types()["x"], found) == stored


def test_a_type_that_has_nothing_in_common_is_an_error(load: Loads) -> None:
    """It names stream, column and both types, and the stored rows stay."""
    load(schema(id=TEXT, x={"type": "boolean"}), row(id="a", x=True))
    with pytest.raises(StoreError, match=r"'calls', column 'x'.*BOOLEAN.*TIMESTAMP WITH TIME ZONE.*drop the table"):
        load(schema(id=TEXT, x=INSTANT), row(id="b", x="2024-01-01T00:00:00Z"))
    assert load.query("SELECT * FROM calls") == [("a", True)]


def test_a_column_without_values_takes_any_type(load: Loads) -> None:
    """Nothing is lost where nothing is stored."""
    load(schema(id=TEXT, x={"type": ["null", "boolean"]}), row(id="a"))
    load(schema(id=TEXT, x=INSTANT), row(id="b", x="2024-01-01T00:00:00Z"))
    assert load.types()["x"] == "TIMESTAMP WITH TIME ZONE"


def test_widening_never_changes_what_both_types_hold() -> None:
    """`widened` is symmetric, keeps equal types, and JSON holds everything."""
    for one in FIRST_TYPE.values():
        assert widened(one, one) == one
        assert widened(one, "JSON") == "JSON"
        for other in FIRST_TYPE.values():
            assert widened(one, other) == widened(other, one)
    assert widened("DECIMAL(18,3)", "DOUBLE") is None


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, Kind.DATE_TIME),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}, Kind.STRING),
        ({"type": ["integer", "number"]}, Kind.NUMBER),
        ({"type": ["string", "integer"]}, Kind.JSON),
        ({"type": "string", "format": "uuid"}, Kind.STRING),
        ({"oneOf": [{"type": "object"}, {"$ref": "#/x"}]}, Kind.JSON),
        (True, Kind.JSON),
    ],
)
def test_a_schema_becomes_the_kind_that_holds_it(declared: Any, kind: Kind) -> None:
    """Branches that agree are one kind; what is richer is JSON."""
    assert declare("x", declared).kind is kind


# Values


def test_every_json_schema_type_keeps_its_value(load: Loads) -> None:
    """Each type has its column type, and the value is in it."""
    declared = schema(
        id=TEXT,
        at=INSTANT,
        day={"type": "string", "format": "date"},
        clock={"type": "string", "format": "time"},
        n=WHOLE,
        x=NUMBER,
        yes={"type": "boolean"},
        tree={"type": "object"},
        many={"type": "array"},
        what={},
    )
    record = (
        '{"id": "a", "at": "2024-08-07T12:29:23.594123+02:00", "day": "2024-02-29", "clock": "23:59:59.5",'
        ' "n": 9007199254740993, "x": 0.1, "yes": true, "what": "text", "many": [1, null],'
        ' "tree": {"v": 1.10, "big": 12345678901234567890123, "e": 1e400, "t": "\\u0000é"}}'
    )
    load(declared, f'{{"type": "RECORD", "stream": "calls", "record": {record}}}')
    assert load.query('SELECT * REPLACE ("at"::VARCHAR AS "at") FROM calls') == [
        (
            "a",
            "2024-08-07 10:29:23.594123+00",
            *load.query("SELECT DATE '2024-02-29', TIME '23:59:59.5'")[0],
            9007199254740993,
            0.1,
            True,
            '{"v": 1.10, "big": 12345678901234567890123, "e": 1e400, "t": "\\u0000é"}',
            "[1, null]",
            '"text"',
        )
    ]
    assert list(load.types().values()) == [
        *("VARCHAR", "TIMESTAMP WITH TIME ZONE", "DATE", "TIME", "BIGINT", "DOUBLE", "BOOLEAN", "JSON", "JSON", "JSON")
    ]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2024-08-07T12:29:23Z", "2024-08-07 12:29:23+00"),
        ("2024-08-07T12:29:23", "2024-08-07 12:29:23+00"),
        ("2024-08-07 12:29:23.5-03:00", "2024-08-07 15:29:23.5+00"),
        ("2024-08-07T12:29:23+0200", "2024-08-07 10:29:23+00"),
        ("2024-08-07", "2024-08-07 00:00:00+00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999+00"),
        ("9999-12-31T23:59:59Z", "9999-12-31 23:59:59+00"),
        ("2024-01-01T12:00:00+05:45:30", "2024-01-01 06:14:30+00"),
        ("2024-01-01T00:00:00.5-00:00:30", "2024-01-01 00:00:30.5+00"),
        ("1890-01-01T00:00:00+00:17:30", "1889-12-31 23:42:30+00"),
        ("2024-01-01T12:00:00.1234567Z", "2024-01-01 12:00:00.123457+00"),
        ("2024-01-01T12:00:00.1234567+05:45:30", "2024-01-01 06:14:30.123457+00"),
        ("2024-12-31T23:59:59.9999999Z", "2024-12-31 23:59:59.999999+00"),
        ("2024-12-31T23:59:59.9999995+01:00", "2024-12-31 22:59:59.999999+00"),
        ("2024-12-31T23:59:59.99999949Z", "2024-12-31 23:59:59.999999+00"),
        ("2024-01-01T23:59:59.9999999", "2024-01-01 23:59:59.999999+00"),
        ("2024-01-01T23:59:59.9999999+05:45:30", "2024-01-01 18:14:29.999999+00"),
        ("2024-01-01T00:00:00.9999999Z", "2024-01-01 00:00:00.999999+00"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31 23:59:59.999999+00"),
    ],
)
def test_a_time_keeps_its_instant(load: Loads, written: str, stored: str) -> None:
    """With an offset it is converted, without a zone it is UTC; digits past the microsecond never make it another day.

    It is the same beside a value that takes the exact path, where a record is looked at one value after the other.
    """
    load(schema(id=TEXT, at=INSTANT, n=WHOLE), row(id="a", at=written, n=1))
    load(
        schema(id=TEXT, at=INSTANT, n=WHOLE),
        f'{{"type":"RECORD","stream":"calls","record":{{"id":"b","at":"{written}","n":1.0}}}}',
    )
    assert load.query('SELECT "at"::VARCHAR FROM calls') == [(stored,)] * 2


@pytest.mark.parametrize(
    ("written", "stored"),
    [("23:59:59.9999999", "23:59:59.999999"), ("12:00:00.1234567", "12:00:00.123457"), ("23:59:59Z", "23:59:59")],
)
def test_a_time_of_day_stays_on_its_day(load: Loads, written: str, stored: str) -> None:
    """The last tenth of a microsecond of a day is not its first."""
    declared = schema(id=TEXT, clock={"type": "string", "format": "time"}, n=WHOLE)
    load(declared, row(id="a", clock=written, n=1))
    load(declared, f'{{"type":"RECORD","stream":"calls","record":{{"id":"b","clock":"{written}","n":1.0}}}}')
    assert load.query("SELECT clock::VARCHAR FROM calls") == [(stored,)] * 2


@pytest.mark.parametrize(
    ("value", "kept", "column"),
    [
        (2**63 - 1, 2**63 - 1, "BIGINT"),
        (2**63, 2**63, "HUGEINT"),
        (-(2**63) - 1, -(2**63) - 1, "HUGEINT"),
        (2**127 - 1, 2**127 - 1, "HUGEINT"),
        (2**127, str(2**127), "VARCHAR"),
        (10**4000, str(10**4000), "VARCHAR"),
    ],
)
def test_an_integer_past_64_bits_widens_its_column(load: Loads, value: int, kept: Any, column: str) -> None:
    """No integer is wrapped or rounded, and the rows of the same batch survive the change."""
    load(schema(id=TEXT, n=WHOLE), row(id="a", n=1), row(id="b", n=value), row(id="c", n=2), state(1))
    one, two = ("1", "2") if column == "VARCHAR" else (1, 2)
    assert load.query("SELECT n FROM calls ORDER BY id") == [(one,), (kept,), (two,)]
    assert load.types()["n"] == column
    load(schema(id=TEXT, n=WHOLE), row(id="d", n=4))
    assert load.query("SELECT count(*) FROM calls") == [(4,)]


@pytest.mark.parametrize("written", ["1.0", "1e3", "100e-2"])
def test_a_whole_number_in_another_form_is_an_integer(load: Loads, written: str) -> None:
    """JSON schema counts them as integers."""
    load(schema(id=TEXT, n=WHOLE), f'{{"type":"RECORD","stream":"calls","record":{{"id":"a","n":{written}}}}}')
    assert load.query("SELECT n FROM calls") == [(int(float(written)),)]


@pytest.mark.parametrize(
    "written", ["9007199254740993", "12345678901234567890.12", "1e400", "1e-400", "123456789.123456789123"]
)
def test_a_number_that_a_double_would_round_is_kept_as_text(load: Loads, written: str) -> None:
    """The column becomes VARCHAR with the digits as written; the numbers before it survive too."""
    load(
        schema(id=TEXT, x=NUMBER),
        row(id="a", x=0.5),
        f'{{"type":"RECORD","stream":"calls","record":{{"id":"b","x":{written}}}}}',
        row(id="c", x=2.5),
    )
    assert load.query("SELECT x FROM calls ORDER BY id") == [("0.5",), (written,), ("2.5",)]


@pytest.mark.parametrize(
    ("text", "survives"),
    [
        (b"0.30000000000000004", True),
        (b"0.10000000000000001", True),
        (b"0.1000000000000000055511151231257827", True),
        (b"1.7976931348623157e308", True),
        (b"5e-324", True),
        (b"9007199254740992", True),
        (b"0.1234567890123456789", False),
    ],
)
def test_a_double_keeps_a_number_when_it_gives_back_every_written_digit(text: bytes, survives: bool) -> None:  # noqa: FBT001
    """Digits that only repeat the double's own expansion do not make a column text."""
    assert survives_double(text) is survives


def test_text_of_any_kind_is_stored_as_it_is(load: Loads) -> None:
    """NUL, quotes, line ends, separators and emoji come back unchanged."""
    text = "a\x00b\"\\\n\r\u2028\u00e9\U0001f600\t,'; DROP TABLE calls;--"
    load(schema(), row(id="a", name=text), row(id=text, name=""))
    assert load.query("SELECT name FROM calls WHERE id = 'a'") == [(text,)]
    assert load.query("SELECT name FROM calls WHERE id <> 'a'") == [("",)]


def test_null_and_missing_are_null(load: Loads) -> None:
    """A declared property that a record leaves out is null; an empty string is not."""
    load(schema(), row(id="a", name=None), row(id="b"), row(id="c", name=""))
    assert load.query("SELECT name FROM calls ORDER BY id") == [(None,), (None,), ("",)]


@pytest.mark.parametrize("column", ["n", "batch", "stored", "fresh", "c0", "select", "rowid", "order by"])
def test_a_column_may_have_any_name(load: Loads, column: str) -> None:
    """Neither SQL words nor the names that the loading itself uses are in the way."""
    for value in ("x", "y"):
        load(schema("table", id=TEXT, **{column: TEXT}), row("table", id="a", **{column: value}))
    assert load.query(f'SELECT "{column}" FROM "table"') == [("y",)]  # noqa: S608


# Names


@pytest.mark.parametrize("name", ['a"b', "a.b c", "main", "schema-table", "Ä", "x" * 10_000, "a\\b", "a\tb"])
def test_streams_and_columns_may_have_hostile_names(load: Loads, name: str) -> None:
    """Table and column are called as the tap calls them."""
    for value in ("1", "2"):
        load(schema(name, keys=[name], **{name: TEXT, "v": TEXT}), row(name, **{name: "k", "v": value}))
    assert load.query("SELECT table_name, estimated_size FROM duckdb_tables()") == [(name, 1)]
    assert name in load.types(name.replace("'", "''"))


def test_names_that_differ_only_in_case_are_kept_apart(load: Loads) -> None:
    """DuckDB compares names without case: the later twin gets a suffix, the same in every run and order."""
    both = schema(keys=["Id"], Id=TEXT, id=TEXT)
    load(both, row(Id="a", id="1"))
    load(schema(keys=["id"], id=TEXT), row(id="2"))
    load(both, row(Id="a", id="3"))
    suffixed = named("id", {"id": "Id"}, str.lower)
    assert list(load.types()) == ["Id", suffixed]
    assert load.query("SELECT * FROM calls ORDER BY ALL NULLS LAST") == [("a", "3"), (None, "2")]
    load(schema("Calls"), row("Calls", id="x"))
    assert len(load.query("SELECT * FROM duckdb_tables()")) == 2


def test_an_empty_name_is_loaded(load: Loads) -> None:
    """SQL has no empty name, Singer does."""
    load(schema("", keys=[], **{"": TEXT}), row("", **{"": "x"}))
    (table,) = load.query("SELECT table_name FROM duckdb_tables()")[0]
    assert load.query(f"SELECT * FROM {table}") == [("x",)]  # noqa: S608


@pytest.mark.parametrize("name", ["evolux", "calls", "memory", 'a"b'])
def test_the_schema_may_be_called_like_the_file(load: Loads, name: str) -> None:
    """`default_target_schema` is made and used, also where DuckDB would find the bare name ambiguous."""
    load.path = load.path.with_name(f"{name}.duckdb".replace('"', ""))
    load(schema(), row(id="a"), default_target_schema=name)
    load(schema(), row(id="b"), default_target_schema=name)
    assert load.query("SELECT schema_name, table_name, estimated_size FROM duckdb_tables()") == [(name, "calls", 2)]


def test_a_view_in_the_way_is_a_clear_error(load: Loads) -> None:
    """Nothing is written over what somebody else made."""
    load(schema("other"), row("other", id="a"))
    with duckdb.connect(str(load.path)) as connection:
        connection.execute("CREATE VIEW calls AS SELECT 1 AS x")
    with pytest.raises(StoreError, match="calls"):
        load(schema(), row(id="a"))


# State and batches


def test_state_comes_out_only_after_its_rows_are_committed(load: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """A state is one line as it came, and the newest one that the committed rows cover."""
    value = '{"n": 1, "f": 1.10, "t": "é"}'
    load(schema(), row(id="a"), f'{{"type": "STATE", "value": {value}}}', row(id="b"))
    assert capsys.readouterr().out == f"{value}\n"


def test_state_is_held_back_when_its_rows_are_not_committed(
    load: Loads, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that can't be written takes its state with it: the next run sends those rows again."""

    def fail(*_: Any) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(DuckDB, "load", fail)
    with pytest.raises(StoreError, match="no room"):
        load(schema(), row(id="a"), state(1))
    assert not capsys.readouterr().out


def test_a_batch_boundary_passes_on_the_state_before_it(load: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """Each full batch is committed and lets the newest state out; a state that says nothing new stays in."""
    load(schema(), row(id="a"), state(1), row(id="b"), state(2), state(2), row(id="c"), state(3), batch_size_rows=2)
    assert capsys.readouterr().out.splitlines() == ['{"n": 1}', '{"n": 2}', '{"n": 3}']


def test_a_full_batch_is_written_while_the_next_one_is_read(load: Loads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow database does not hold back the tap."""
    seen, read = threading.Event(), list[bool]()
    write, record = DuckDB.load, loader.Loader.record

    def slow(self: DuckDB, batches: Any) -> None:
        read.append(seen.wait(60))
        write(self, batches)

    def noted(self: loader.Loader, message: Any) -> None:
        record(self, message)
        if b'"c"' in bytes(message.record):
            seen.set()

    monkeypatch.setattr(DuckDB, "load", slow)
    monkeypatch.setattr(loader.Loader, "record", noted)
    load(schema(), *(row(id=one) for one in "abc"), batch_size_rows=2)
    assert read == [True, True]
    assert load.query("SELECT id FROM calls ORDER BY id") == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize("later", [True, False])
def test_g1_a_batch_that_fails_while_the_next_is_read_keeps_its_state(
    load: Loads, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, later: bool
) -> None:
    """The error ends the run; only the state of what was committed before is out, also where there is room later."""
    write, rooms = DuckDB.load, iter([True, False, *[later] * 9])

    def once(self: DuckDB, batches: Any) -> None:
        if not next(rooms):
            raise StoreError("no room")
        write(self, batches)

    monkeypatch.setattr(DuckDB, "load", once)
    messages = [message for number, one in enumerate("abcde") for message in (row(id=one), state(number))]
    with pytest.raises(StoreError, match="no room"):
        load(schema(), *messages, batch_size_rows=1)
    assert capsys.readouterr().out == '{"n": 0}\n'


def test_g1_a_state_inside_of_a_batch_waits_for_its_commit(
    load: Loads, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that covers a part of a batch is not out when that batch can't be written."""

    def fail(_: DuckDB, __: Any) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(DuckDB, "load", fail)
    with pytest.raises(StoreError, match="no room"):
        load(schema(), row(id="a"), state(0), row(id="b"), state(1), batch_size_rows=2)
    assert capsys.readouterr().out == ""


def test_a_bad_record_leaves_everything_before_it_committed(load: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows before the fault are in the file, and so is the state that covers them; nothing after it is."""
    with pytest.raises(InputError, match="Line 4"):
        load(schema(), row(id="a"), state(1), row(id=5), row(id="c"), state(2))
    assert load.query("SELECT id FROM calls") == [("a",)]
    assert capsys.readouterr().out == '{"n": 1}\n'


def test_a_batch_ends_at_its_byte_bound(
    load: Loads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows of a megabyte must not add up to a batch of gigabytes."""
    monkeypatch.setattr(loader, "BATCH_BYTES", 1_000)
    with caplog.at_level(logging.INFO):
        load(schema(), *(row(id=str(number), name="x" * 400) for number in range(10)))
    assert sum("Committed" in message for message in caplog.messages) >= 4


def test_a_batch_ends_at_its_age(load: Loads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow tap's rows and state go out while it is silent, without waiting for a full batch."""
    monkeypatch.setattr(loader, "BATCH_AGE", 0.01)
    written = threading.Event()

    class Output(io.StringIO):
        def flush(self) -> None:
            written.set()

    def slow_tap() -> Iterator[str]:
        yield lines(schema(), row(id="a"), state(1))
        assert written.wait(300), "the state was held until more came"
        yield lines(row(id="b"))

    monkeypatch.setattr("sys.stdout", Output())
    TargetDuckDB(config={"path": str(load.path)}).listen(slow_tap())  # type: ignore[arg-type]
    assert load.query("SELECT count(*) FROM calls") == [(2,)]


def test_a_repeated_schema_changes_nothing(load: Loads, caplog: pytest.LogCaptureFixture) -> None:
    """Taps repeat SCHEMA messages; that must not cut batches short."""
    with caplog.at_level(logging.INFO):
        load(schema(), *[message for number in range(20) for message in (schema(), row(id=str(number)))])
    assert sum("Committed" in message for message in caplog.messages) == 1


def test_the_last_lines_count_rows_and_show_no_values(load: Loads, caplog: pytest.LogCaptureFixture) -> None:
    """One line a stream: rows received, rows in the table; no record's value in any line."""
    with caplog.at_level(logging.DEBUG, logger="target-duckdb"):
        load(schema(), row(id="secret-1", name="secret-2"), row(id="secret-1"))
    assert "Stream 'calls': 2 rows received, 1 rows in table 'main.calls'" in caplog.messages
    assert "secret" not in caplog.text


# Hostile input


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (
            {"id": "k1", "n": "five"},
            r"Line 2, stream 'calls': 'n' of the record with key 'id' \"k1\" is string, .* integer or null",
        ),
        ({"id": "k1", "n": 1.5}, "'n'.*is number, its schema declares integer"),
        ({"id": "k1", "n": True}, "'n'.*is boolean, its schema declares integer"),
        ({"id": "k1", "s": 5}, "'s'.*is integer, its schema declares string"),
        ({"id": "k1", "s": None}, "'s'.*is null, its schema declares string"),
        ({"id": "k1", "x": "1.5"}, "'x'.*is string, its schema declares number"),
        ({"id": "k1", "yes": 1}, "'yes'.*is integer, its schema declares boolean"),
        ({"id": "k1", "tree": []}, "'tree'.*is array, its schema declares object"),
        ({"id": "k1", "mixed": []}, "'mixed'.*is array, its schema declares integer or string"),
        ({"id": "k1", "at": "tomorrow"}, "'at'.*no ISO 8601 date-time"),
        ({"id": "k1", "day": "2024-02-30"}, "'day'.*no ISO 8601 date,"),
        ({"id": "k1", "day": "2024-02-03T01:00:00Z"}, "'day'.*no ISO 8601 date,"),
        ({"id": "k1", "clock": "10:00:00+02:00"}, "'clock'.*offset"),
        ({"n": 1}, "'id' is missing"),
        ({"id": None}, "'id'.*is null"),
        ([], "is not a JSON object"),
    ],
)
def test_a_record_that_contradicts_its_schema_is_an_error(load: Loads, record: Any, says: str) -> None:
    """It names line, stream, key and column, what came and what should; never silently nulled."""
    declared = schema(
        id={"type": "string"},
        n=WHOLE,
        s={"type": "string"},
        x=NUMBER,
        yes={"type": "boolean"},
        tree={"type": "object"},
        mixed={"type": ["string", "integer"]},
        at=INSTANT,
        day={"type": "string", "format": "date"},
        clock={"type": "string", "format": "time"},
    )
    with pytest.raises(InputError, match=says) as problem:
        load(declared, {"type": "RECORD", "stream": "calls", "record": record})
    assert "five" not in str(problem.value)
    assert "tomorrow" not in str(problem.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"type": "RECORD", "stream": "other", "record": {}}', "'other' came before its SCHEMA"),
        ('{"type": "RECORD", "record": {}}', "without a stream"),
        ('{"type": "RECORD", "stream": "calls"}', "has no record"),
        ('{"type": "NEWS"}', "unknown message type 'NEWS'"),
        ('{"type": "STATE"}', "STATE without a value"),
        ('{"type": "SCHEMA", "stream": "x", "schema": {"type": "object"}}', "no object `properties`"),
        (
            '{"type": "SCHEMA", "stream": "x", "schema": {"properties": {}}, "key_properties": ["id"]}',
            "'id' but has no such",
        ),
        ('{"type": "BATCH", "stream": "calls", "encoding": {}, "manifest": []}', "Remove `batch_config`"),
        ("hello", "not JSON"),
        ("[]", "no Singer message"),
        ('{"type": 5}', "no Singer message"),
        ('{"type": "RECORD", "stream": "calls", "record": {"id": "a", "name": NaN}}', "not JSON"),
        ('{"type": "RECORD", "stream": "calls", "record": {"id": "a", "name": "\\ud800"}}', "half a surrogate pair"),
        (
            '{"type": "RECORD", "stream": "calls", "record": {"id": "a", "x": {"y": "\\udc00 "}}}',
            "half a surrogate pair",
        ),
        ('{"type": "RECORD", "stream": "calls", "record": ' + "[" * 1_000_000, "nested too deeply"),
        ('{"type": "RECORD", "stream": "calls", "record": {"id": "\udcff"}}', "UTF-8"),
        ('{"type": "RECORD", "stream": "calls", "record": {"id": "a", "x": "\udcff"}}', "UTF-8"),
    ],
)
def test_a_bad_line_is_an_error_that_names_it(load: Loads, line: str, says: str) -> None:
    """The line number and what to do, no traceback, no values; what stood before is loaded."""
    with pytest.raises(InputError, match=f"(?s)Line 4.*{says}") as problem:
        load(schema(id=TEXT, name=TEXT, x={}), row(id="first"), "", line)
    assert len(str(problem.value)) < 500
    assert load.query("SELECT id FROM calls") == [("first",)]


def test_a_truncated_last_line_is_an_error(load: Loads) -> None:
    """Half a record means that the tap died; the whole ones before it are loaded."""
    text = lines(schema(), row(id="a"), row(id="b"))
    with pytest.raises(InputError, match="Line 3: ends in the middle"):
        load.text(text[:-5])
    assert load.query("SELECT id FROM calls") == [("a",)]


def test_a_last_line_without_newline_is_loaded(load: Loads) -> None:
    """A complete message needs no line end."""
    load.text(lines(schema(), row(id="a"), row(id="b"))[:-1])
    assert load.query("SELECT count(*) FROM calls") == [(2,)]


def test_a_property_that_the_schema_does_not_name_is_told_once(load: Loads, caplog: pytest.LogCaptureFixture) -> None:
    """It is not loaded, and not dropped in silence; thousands of them cost a bounded number of lines."""
    records: list[dict[str, Any]] = []
    for number in range(1000):
        records.append(row(id=str(number)))
        records[-1]["record"][f"extra{number % 500}"] = 1
    declared = schema(id=TEXT, n=WHOLE)
    load(declared, row(id="x", surplus=1), row(id="z", n=2**70), row(id="y", surplus=2), *records)
    told = [message for message in caplog.messages if "not in the schema" in message]
    assert sum("'surplus'" in message for message in told) == 1
    assert len(told) < 150
    assert load.query("SELECT count(*) FROM calls") == [(1003,)]


def test_a_row_of_many_megabytes_is_loaded(load: Loads) -> None:
    """DuckDB's default bound of 16 MB an object does not hold here."""
    load(schema(), row(id="a", name="x" * 40_000_000), row(id="b"))
    assert load.query("SELECT length(name) FROM calls ORDER BY id") == [(40_000_000,), (None,)]


# Settings


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"path": "x", "pathh": 1}, "pathh is not a setting of target-duckdb: did you mean path?"),
        ({"path": "x", "batch_size": 1}, "did you mean batch_size_rows?"),
        ({"path": "x", "zzz": 1}, "there are path, default_target_schema, batch_size_rows, add_record_metadata"),
        ({}, "path is missing: it must be a text"),
        ({"path": ""}, "path"),
        ({"path": "x", "batch_size_rows": 0}, "batch_size_rows"),
        ({"path": "x", "batch_size_rows": "many"}, "batch_size_rows"),
    ],
)
def test_a_wrong_setting_is_an_error_before_input_is_read(config: dict[str, Any], says: str) -> None:
    """One line names the setting, and the nearest that exists."""
    with pytest.raises(ConfigValidationError) as problem:
        TargetDuckDB(config=config)
    assert len(problem.value.errors) == 1
    assert says in problem.value.errors[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("path", value) for value in (577, ["secret"], {"password": "secret"}, True, "md:secret", "\ud800secret")],
        *[("default_target_schema", value) for value in (577, ["secret"])],
        *[("batch_size_rows", value) for value in ("secret", -577, 2.577, ["secret"], True)],
        *[("passwrod", value) for value in ("secret", 577, ["secret"])],
    ],
)
def test_g9_a_wrong_setting_shows_no_value(name: str, value: Any) -> None:
    """A line names the setting and what it must be; what stands there may be somebody's password."""
    with pytest.raises(ConfigValidationError) as problem:
        TargetDuckDB(config={"path": "x", name: value})
    (line,) = problem.value.errors
    assert line.startswith(name)
    assert not any(shown in line for shown in ("secret", "577", "True"))


def test_g9_a_config_given_in_the_place_of_its_file_is_not_shown(tmp_path: Path) -> None:
    """Somebody who writes the JSON itself behind --config has a password in it."""
    done = subprocess.run(
        [Path(sys.executable).with_name("target-duckdb"), "--config", '{"path": "x", "password": "secret"}'],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "could not be read" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_a_path_that_can_not_be_a_file_is_a_clear_error(load: Loads, tmp_path: Path) -> None:
    """A folder, a file in the folder's place, and a file that is no DuckDB file."""
    with pytest.raises(StoreError, match="it is a folder"):
        load(schema(), path=str(tmp_path))
    (tmp_path / "text").write_text("not a database, but long enough to have a header" * 100)
    with pytest.raises(StoreError, match="Can't make the folder"):
        load(schema(), path=str(tmp_path / "text" / "x.duckdb"))
    with pytest.raises(StoreError, match="not a valid DuckDB"):
        load(schema(), path=str(tmp_path / "text"))


@pytest.mark.parametrize("name", ["it's.duckdb", "md:x", ":memory:", "s3.duckdb?a=b"])
def test_a_path_is_a_path(load: Loads, name: str) -> None:
    """In a folder, names that mean something else to DuckDB are files here."""
    load.path = load.path.with_name(name)
    load(schema(), row(id="a"))
    assert load.path.is_file()
    assert [file.name for file in load.path.parent.iterdir()] == [name]


def test_the_sdk_offers_nothing_that_this_target_does_not_do() -> None:
    """`--about` lists the contract's four settings and no others."""
    TargetDuckDB(config={"path": "x"})
    settings = ["path", "default_target_schema", "batch_size_rows", "add_record_metadata"]
    assert list(TargetDuckDB.config_jsonschema["properties"]) == settings


def test_errors_are_one_tree() -> None:
    """Whoever catches LoadError catches all of them."""
    assert issubclass(InputError, LoadError)
    assert issubclass(StoreError, LoadError)
