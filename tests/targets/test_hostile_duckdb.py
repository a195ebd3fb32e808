"""Hostile Singer input: names that SQL would obey, schemas that are none, numbers without bound, a kill in between."""

from __future__ import annotations

import io
import json
import random
import threading
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tests.targets.test_duckdb_process import feed, start

from trunkline_duckdb import InputError, LoadError, TargetDuckDB
from trunkline_loader import messages

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {"type": ["null", "string"]}


def schema(stream: str = "calls", /, **properties: Any) -> dict[str, Any]:
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}, "key_properties": []}


def row(stream: str = "calls", /, **record: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": record}


class Loads:
    """Loads messages, or lines as they are, into one file; nothing else may appear beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "calls.duckdb"

    def __call__(self, *messages: dict[str, Any] | str) -> None:
        text = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in messages)
        TargetDuckDB(config={"path": str(self.path), "add_record_metadata": False}).listen(io.StringIO(text))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def tables(self) -> list[list[tuple[Any, ...]]]:
        """The rows of each table, the tables in order of what is in them."""
        names = [name.replace('"', '""') for (name,) in self.query("SELECT table_name FROM duckdb_tables()")]
        return sorted(self.query(f'SELECT * FROM "{name}"') for name in names)  # noqa: S608 - it is quoted


@pytest.fixture
def load(tmp_path: Path) -> Loads:
    return Loads(tmp_path)


HOSTILE = (
    'x"; DROP TABLE safe; --',
    "x'; ATTACH 'evil.duckdb'; --",
    "calls); DELETE FROM safe; (",
    "main.safe",
    "loaded.main.safe",
    "information_schema",
    "read_json('/etc/hostname')",
    "%s ? $1 :name {0}",
    "a\0b",
    "\0",
    "a\nb\r\t",
    " ",
    "\\",
    "'",
    '""',
    "../../up",
    "K",  # the sign of kelvin, in lower case a plain k
    "İ",
    "ß",
    "\u202etfel",
    "😀",
    "n" * 10_000,
)


def test_names_are_never_obeyed(load: Loads) -> None:
    """Streams and columns called like SQL, paths, placeholders or other tables hold their rows; nothing else moves."""
    load(schema("safe", id=TEXT), row("safe", id="kept"))
    messages = []
    for name in HOSTILE:
        messages += [schema(name, **{name: TEXT}), row(name, **{name: f"value of {HOSTILE.index(name)}"})]
    load(*messages)
    load(*messages)  # the same names lead to the same tables
    assert load.tables() == sorted([[("kept",)], *([(f"value of {number}",)] * 2 for number in range(len(HOSTILE)))])
    assert [file.name for file in load.folder.iterdir()] == ["calls.duckdb"]


@pytest.mark.parametrize(
    ("one", "other"), [("Straße", "straße"), ("K", "k"), ("Ä", "ä"), ("a\0b", "a_b"), ("", "unnamed"), ("É", "é")]
)
def test_names_that_fall_together_are_kept_apart(load: Loads, one: str, other: str) -> None:
    """Whatever makes two names equal to a database, each stream and each column keeps its own values."""
    load(schema(one, **{one: TEXT, other: TEXT}), row(one, **{one: "1", other: "2"}), schema(other, id=TEXT))
    load(schema(other, id=TEXT), row(other, id="3"), schema(one, **{one: TEXT, other: TEXT}))
    assert load.tables() == [[("1", "2")], [("3",)]]


@pytest.mark.parametrize(
    "properties",
    [
        {"x": 5},
        {"x": None},
        {"x": []},
        {"x": {"type": 5}},
        {"x": {"type": [["string"]]}},
        {"x": {"type": "string", "format": ["date"]}},
        {"x": {"type": "string", "format": {}}},
        {"x": {"anyOf": 5}},
        {"x": {"anyOf": {"a": 1}}},
        {"x": {"oneOf": [5, None]}},
        {"x": {"anyOf": [{"type": "string", "format": []}]}},
    ],
)
def test_a_schema_of_another_form_holds_anything(load: Loads, properties: dict[str, Any]) -> None:
    """What no JSON schema says is taken as saying nothing: the value is kept, or its line refused, in words."""
    try:
        load(schema(id=TEXT, **properties), row(id="1", x="2024-01-01"))
    except LoadError as problem:
        assert "Line" in str(problem)  # noqa: PT017 - both ends are right
    else:
        assert load.query("SELECT id, x::VARCHAR FROM calls") in ([("1", '"2024-01-01"')], [("1", "2024-01-01")])


def test_a_schema_nested_without_end_is_an_error(load: Loads) -> None:
    """`anyOf` in `anyOf`, deeper than any program looks."""
    deep = '{"anyOf":[' * 480 + "{}" + "]}" * 480
    try:
        load(json.dumps(schema(id=TEXT, x={})).replace("{}", deep), row(id="1", x="a"))
    except LoadError as problem:
        assert "nested too deeply" in str(problem)  # noqa: PT017 - both ends are right
    else:
        assert load.query("SELECT id FROM calls") == [("1",)]


NUMBERS = ("1e9999999999999999999", "-1e9999999999999999999", "1e-9999999999999999999", "1e400", "9" * 20_000,
           "0." + "3" * 20_000, "1" + "0" * 12_000 + ".5", "1e-999999", "1e999999")  # fmt: skip


@pytest.mark.parametrize("kind", ["integer", "number", "date-time", "any"])
def test_a_number_without_bound_is_kept_or_refused(load: Loads, kind: str) -> None:
    """In a column of any type: an error that names line and column, or every digit of it."""
    spec = {"date-time": {"type": "string", "format": "date-time"}, "any": {}}.get(kind, {"type": kind})
    for count, number in enumerate(NUMBERS):
        line = f'{{"type":"RECORD","stream":"s{count}","record":{{"x":{number}}}}}'
        try:
            load(schema(f"s{count}", x=spec), line)
        except InputError as problem:
            assert "Line 2" in str(problem)  # noqa: PT017 - both ends are right
            assert len(str(problem)) < 600  # noqa: PT017 - same
        else:
            assert load.query(f"SELECT x::VARCHAR FROM s{count}") == [(number,)] or kind == "integer"  # noqa: S608 - our own


def test_an_error_is_one_line_whatever_is_in_the_record(load: Loads) -> None:
    """Keys with line breaks and terminal codes are quoted in the message."""
    evil = "a\u2028\u001b[2Jb\u0085" * 30
    keyed = {**schema(id=TEXT, x={"type": "integer"}), "key_properties": ["id"]}
    line = json.dumps(row(id=evil, x="no"), ensure_ascii=False).replace("\\u001b", "\\u001b")
    with pytest.raises(InputError) as problem:
        load(keyed, line)
    assert str(problem.value).isprintable()
    assert len(str(problem.value)) < 700


def test_g5_a_line_without_end_is_an_error(load: Loads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is held whole, so it has a bound; what came before it is loaded."""
    monkeypatch.setattr(messages, "LONGEST_LINE", 1_000_000)
    with pytest.raises(InputError, match=r"Line 3: longer than 1 MB.*Everything before this line is loaded"):
        load(schema(id=TEXT), row(id="1"), json.dumps(row(id="2" * 2_000_000)), row(id="3"))
    assert load.query("SELECT id FROM calls") == [("1",)]


def test_killed_while_columns_are_widened_no_acknowledged_row_is_missing(tmp_path: Path) -> None:
    """Tables that grow and change their types as the rows come: the file opens, and holds what the last STATE says."""
    path, chance = tmp_path / "calls.duckdb", random.Random(5)  # noqa: S311 - a seeded test
    text = []
    for number in range(2_000):
        stream = f"s{number % 3}"
        if number % 40 < 3:
            columns = {f"c{n}": {"type": ["null", "number"]} for n in range(number // 40 % 20 + 1)}
            text.append(json.dumps(schema(stream, id={"type": "integer"}, **columns)))
        value = 12345678901234567890.125 if number % 97 == 0 else number
        text.append(json.dumps(row(stream, id=number, c0=value)))
        if number % 10 == 9:
            text.append(json.dumps({"type": "STATE", "value": {"done": number + 1}}))
    process = start({"path": str(path), "batch_size_rows": 7}, tmp_path)
    assert process.stdin
    assert process.stdout
    writer = threading.Thread(target=feed, args=(process.stdin, "\n".join(text) + "\n"))
    writer.start()
    states = b"".join(process.stdout.readline() for _ in range(chance.randrange(2, 60)))
    process.kill()
    states += process.stdout.read()
    process.wait()
    writer.join()
    done = json.loads(states[: states.rfind(b"\n")].split(b"\n")[-1])["done"]
    with duckdb.connect(str(path)) as connection:
        found = {
            number
            for n in range(3)
            for (number,) in connection.execute(f"SELECT id FROM s{n}").fetchall()  # noqa: S608 - our own
        }
    assert set(range(done)) <= found
    assert found == set(range(len(found)))
