"""The SQL of a load: every name in it went through `quoted`, every text through `literal`."""

# ruff: noqa: S608 - every name is quoted and every text a literal

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trunkline_duckdb.columns import HUGEINT, JSON, TIMESTAMPTZ, VARCHAR
from trunkline_loader.columns import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from trunkline_loader.columns import Column
    from trunkline_loader.records import Codec

_GLOB = re.compile(r"[*?\[\]]")
_ISO = "strftime({} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
_NEWEST = "temp.main.trunkline_newest"
_OBJECT = 1 << 20  # bytes of a line that DuckDB is set to expect at least


def batch_of(codec: Codec, staging: Path, longest: int) -> str:
    """Return the staged lines as a table called `batch`.

    Args:
        codec: What staged the lines.
        staging: The file that holds the lines.
        longest: Bytes of the longest line.
    """
    glob = _GLOB.sub(r"[\g<0>]", str(staging))  # `read_json` takes one: `[[]` is a glob for `[`
    return (
        f"read_json({literal(glob)}, format = 'newline_delimited', auto_detect = false, "
        "hive_partitioning = false, "  # a folder called c0=x would become the column c0
        f"columns = {_staged_types(codec)}, maximum_object_size = {max(longest + 1024, _OBJECT)}) AS batch"
    )


def newest(codec: Codec, batch: str) -> str:
    """Return the statement that finds each key's last line: a narrow table, as sorting whole rows costs the most."""
    keys = ", ".join(f"{_staged(codec, column)} AS k{at}" for at, column in enumerate(_keyed(codec)))
    return f"CREATE OR REPLACE TEMP TABLE {_NEWEST} AS SELECT max(batch.n) AS n, {keys} FROM {batch} GROUP BY ALL"


def meets(codec: Codec, into: str) -> str:
    """Return the query that gives a row if the table holds any key of the batch."""
    same = " AND ".join(f"stored.{quoted(column.name)} = fresh.k{at}" for at, column in enumerate(_keyed(codec)))
    return f"SELECT 1 FROM {into} AS stored JOIN {_NEWEST} AS fresh ON ({same}) LIMIT 1"


def write(codec: Codec, into: str, batch: str, *, merge: bool) -> str:
    """Return the statement that writes the staged lines, of those with one key the last one.

    Args:
        codec: What staged the lines.
        into: The table, qualified.
        batch: The staged lines.
        merge: Whether the table may hold a key of theirs.
    """
    names = [quoted(column.name) for column in (*codec.staged, *(column for column, _ in codec.filled))]
    keys = [quoted(column.name) for column in _keyed(codec)]
    listed = ", ".join(names)
    values = [*(_staged(codec, column) for column in codec.staged), *(value for _, value in codec.filled)]
    selected = ", ".join(f"{value} AS {name}" for name, value in zip(names, values, strict=True))
    source = f"SELECT {selected} FROM {batch}" + (f" WHERE batch.n IN (SELECT n FROM {_NEWEST})" if keys else "")
    if not merge:
        return f"INSERT INTO {into} ({listed}) {source}"
    same = " AND ".join(f"stored.{key} = fresh.{key}" for key in keys)
    changes = ", ".join(f"{name} = fresh.{name}" for name in names if name not in keys)
    update = f"WHEN MATCHED THEN UPDATE SET {changes} " if changes else ""
    return (
        f"MERGE INTO {into} AS stored USING ({source}) AS fresh ON ({same}) {update}"
        f"WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({', '.join(f'fresh.{name}' for name in names)})"
    )


def _keyed(codec: Codec) -> list[Column]:
    return [column for column in codec.columns if column.declared.name in codec.keys]


def _staged(codec: Codec, column: Column) -> str:
    """Write one column of the staged lines, called `batch`, as SQL of the table's own type."""
    name = f"batch.{codec.place(column)}"
    return name if _staged_type(column) == column.stored else f"CAST({name} AS {column.stored})"


def _staged_types(codec: Codec) -> str:
    """Return a staged line's fields as a DuckDB struct literal for `read_json(columns = …)`: nothing is guessed."""
    pairs = [("n", "BIGINT"), *((codec.place(column), _staged_type(column)) for column in codec.staged)]
    return "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in pairs) + "}"


def _staged_type(column: Column) -> str:
    """Return the type that DuckDB reads a staged value as: text for a wide integer and nested JSON."""
    return VARCHAR if column.stored in {HUGEINT, JSON} else column.stored


def conversion(name: str, stored: str, target: str) -> str:
    """Return SQL that turns a stored value into its like in a wider type."""
    text = _ISO.format(name) if stored == TIMESTAMPTZ else f"{name}::VARCHAR"
    as_text = stored == TIMESTAMPTZ and target in {VARCHAR, JSON}
    rules: Mapping[str, Callable[[], str]] = {
        VARCHAR: lambda: text,
        JSON: lambda: f"to_json({text if as_text else name})",
    }
    return rules.get(target, lambda: f"{name}::{target}")()


def literal(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
