"""What the file of `target-duckdb` may be called, where it may stand, and who can open it."""

from __future__ import annotations

import io
import json
import os
import struct
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from singer_sdk.exceptions import ConfigValidationError
from tests.night import NIGHT
from tests.targets.test_duckdb_process import start

from trunkline_duckdb import StoreError, TargetDuckDB

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {"type": ["null", "string"]}


def load(path: Path | str, values: list[str], **config: Any) -> None:
    """Load rows whose two columns stage as `c0` and `c1`."""
    schema = {"properties": {"id": TEXT, "name": TEXT}}
    messages: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "calls", "schema": schema, "key_properties": ["id"]},
        *({"type": "RECORD", "stream": "calls", "record": {"id": one, "name": f"name {one}"}} for one in values),
    ]
    text = "".join(f"{json.dumps(message)}\n" for message in messages)
    TargetDuckDB(config={"path": str(path), **config}).listen(io.StringIO(text))


def rows(path: Path) -> list[tuple[Any, ...]]:
    plain = path.rename(path.parent.parent / "plain")  # DuckDB misreads some of the names
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{plain}' AS file (READ_ONLY)")
        return connection.execute("SELECT id, name FROM file.calls ORDER BY ALL").fetchall()


ODD = (
    "c0=2026",
    "c1=eu",
    "n=7",
    "id=x",
    "c0=__HIVE_DEFAULT_PARTITION__",
    "a/c0=1/c1=2",
    "calls[1]",
    "[a-z]",
    "[!a]",
    "[",
    "a]b",
    "**",
    "*",
    "{a,b}",
    "it's",
    'say "x"',
    "%41",
    " ",
    "~",
    "$HOME",
    "ü",
    "line\nbreak",
    "c0=it's [1]*",
)


@pytest.mark.skipif(os.name == "nt", reason="Windows allows none of these names")
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("as_folder", [True, False] if NIGHT else [True])
def test_g1_where_the_file_stands_changes_no_row(tmp_path: Path, name: str, as_folder: bool) -> None:  # noqa: FBT001
    """Neither a glob nor a hive partition is read from the name of the folder or the file."""
    path = tmp_path / "in" / name / "calls.duckdb" if as_folder else tmp_path / "in" / f"{name}.duckdb"
    load(path, ["a", "b"])
    load(path, ["b", "c"], batch_size_rows=1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert rows(path) == [("a", "name a"), ("b", "name b"), ("c", "name c")]


@pytest.mark.skipif(os.name == "nt", reason="Windows allows none of these names")
@pytest.mark.parametrize(
    ("own", "other"), [("calls[1]", "calls1"), ("c*", "cats"), ("**", "calls"), ("[*]", "*"), ("[a-z]", "x")]
)
def test_g1_leftovers_of_another_target_are_not_loaded(tmp_path: Path, own: str, other: str) -> None:
    """A staging file whose name a glob of ours would match stays where it is."""
    left = tmp_path / f"{other}.duckdb.batch"
    left.write_text('{"n": 0, "c0": "foreign", "c1": "foreign"}\n')
    load(tmp_path / f"{own}.duckdb", ["a"])
    load(tmp_path / f"{own}.duckdb", ["a"])
    assert rows(tmp_path / f"{own}.duckdb") == [("a", "name a")]
    assert "foreign" in left.read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows allows none of these names")
@pytest.mark.parametrize("name", ["back\\slash/x", "x\\y", "\\[1]/x", "\\*", "what?/x"])
def test_g9_a_path_that_duckdb_misreads_is_refused(tmp_path: Path, name: str) -> None:
    """It would make a file or a log somewhere else; nothing is made."""
    with pytest.raises(StoreError, match="DuckDB can't open a file whose path has a backslash"):
        load(tmp_path / name, ["a"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path",
    [
        "md:",
        "md:calls",
        "MD:calls",
        "motherduck:calls",
        "s3://bucket/calls.duckdb",
        "gs://bucket/calls.duckdb",
        "http://127.0.0.1/calls.duckdb",
        "https://example.org/calls.duckdb",
        "file:calls.duckdb",
        "file:///tmp/calls.duckdb",
        "duckdb:///calls.duckdb",
        "ducklake:calls",
        "sqlite:calls.db",
        "postgresql://user:hunter2@host/calls",
        ":memory:",
        ":memory:calls",
        " :memory:",
        " ",
        "a\0b.duckdb",
        "\ud800.duckdb",
        "folder/",
    ],
)
def test_g9_what_is_no_file_path_is_a_config_error(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the setting, shows no password, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigValidationError) as problem:
        TargetDuckDB(config={"path": path})
    assert len(problem.value.errors) == 1
    assert problem.value.errors[0].startswith("path ")
    assert "TARGET_DUCKDB_PATH" in problem.value.errors[0]
    assert "hunter2" not in problem.value.errors[0]
    assert problem.value.errors[0].isprintable()
    assert not list(tmp_path.iterdir())


def test_g9_a_path_from_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--config ENV` is no way around it."""
    monkeypatch.setenv("TARGET_DUCKDB_PATH", ":memory:")
    with pytest.raises(ConfigValidationError, match="validation"):
        TargetDuckDB(parse_env_config=True)


def test_a_file_whose_name_looks_like_a_url_is_reached_with_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`./md:x` is a file, as the error says."""
    monkeypatch.chdir(tmp_path)
    load("./md:x", ["a"])
    assert (tmp_path / "md:x").is_file()


@pytest.mark.parametrize(
    "path",
    ["x" * 300, f"{'x' * 300}/calls.duckdb", "x" * 251, "~nobody-has-this-name/x", f"{'deep/' * 1500}x", "\ud800"],
)
def test_g9_a_name_that_no_disk_takes_is_one_line(tmp_path: Path, path: str) -> None:
    """The command ends with exit code 1 before it reads, with no traceback."""
    process = start({"path": path}, tmp_path)
    out, errors = process.communicate(b"")
    assert process.returncode == 1
    assert b"Traceback" not in errors
    assert not out
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def version(path: Path) -> int:
    """The number of the storage format, from the file's header."""
    header = path.read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    return int(struct.unpack("<Q", header[12:20])[0])


def test_g10_a_new_file_is_one_that_duckdb_1_reads(tmp_path: Path) -> None:
    """Storage format 64 is read by every release since 1.0, also after the file was written again."""
    path = tmp_path / "calls.duckdb"
    for values in (["a"], ["b"]):
        load(path, values)
        assert version(path) == 64


def test_a_file_of_a_newer_format_is_loaded_as_it_is(tmp_path: Path) -> None:
    """A file that somebody else made keeps its format: DuckDB can't lower it, and says so as an error."""
    path = tmp_path / "calls.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION 'latest')")
    before = version(path)
    load(path, ["a"])
    assert (version(path), rows(path)) == (before, [("a", "name a")])


INDEXED = "CREATE TABLE calls (id VARCHAR, name BIGINT); CREATE INDEX slow ON calls ({})"


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (INDEXED.format("name"), "An index or a foreign key .* depends"),
        (INDEXED.format("id"), "An index or a foreign key .* depends"),
        ("CREATE TABLE calls (id VARCHAR, name VARCHAR CHECK (name = 'x'))", "breaks a constraint"),
        ("CREATE TABLE calls (id VARCHAR, name VARCHAR, must BIGINT NOT NULL)", "breaks a constraint"),
        ("CREATE TABLE calls (id VARCHAR, name VARCHAR GENERATED ALWAYS AS (id))", "a generated column. Rename"),
        ("CREATE VIEW calls AS SELECT 1 AS id", "such as a view .* Rename"),
    ],
)
def test_g9_what_others_made_in_the_file_is_named_as_the_cause(tmp_path: Path, made: str, says: str) -> None:
    """The advice fits the error: nothing of disk room where a dependency or a constraint is in the way."""
    path = tmp_path / "calls.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(made)
        if "BIGINT" in made and "must" not in made:
            connection.execute("INSERT INTO calls VALUES ('z', 1)")
    with pytest.raises(StoreError, match=says) as problem:
        load(path, ["secret"])
    assert "disk" not in str(problem.value)
    assert "secret" not in str(problem.value)
