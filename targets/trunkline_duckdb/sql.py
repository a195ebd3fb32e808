"""The SQL of a load: every name in it went through `quoted`, every text through `literal`."""

# ruff: noqa: S608 - as the docstring says

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
_OBJECT = 1 << 20  # bytes of a line that DuckDB is told to expect at least


def upsert(codec: Codec, into: str, staging: Path, longest: int) -> str:
    """The statement that writes staged lines. Of several records with one key the last one stays.

    Args:
        codec: What staged the lines.
        into: The table, qualified.
        staging: The file that holds the lines.
        longest: Bytes of the longest line.
    """
    glob = _GLOB.sub(r"[\g<0>]", str(staging))  # `read_json` takes one: `[[]` is a glob for `[`
    read = (
        f"read_json({literal(glob)}, format = 'newline_delimited', auto_detect = false, "
        "hive_partitioning = false, "  # a folder called c0=x would become the column c0
        f"columns = {_staged_types(codec)}, maximum_object_size = {max(longest + 1024, _OBJECT)}) AS batch"
    )
    names = [quoted(column.name) for column in (*codec.staged, *(column for column, _ in codec.filled))]
    keys = {
        quoted(column.name): _staged(codec, column) for column in codec.columns if column.declared.name in codec.keys
    }
    listed = ", ".join(names)
    values = [*(_staged(codec, column) for column in codec.staged), *(value for _, value in codec.filled)]
    selected = ", ".join(f"{value} AS {name}" for name, value in zip(names, values, strict=True))
    if not keys:
        return f"INSERT INTO {into} ({listed}) SELECT {selected} FROM {read}"
    latest = f"row_number() OVER (PARTITION BY {', '.join(keys.values())} ORDER BY batch.n DESC) = 1"
    source = f"SELECT {selected} FROM {read} QUALIFY {latest}"
    same = " AND ".join(f"stored.{key} = fresh.{key}" for key in keys)
    changes = ", ".join(f"{name} = fresh.{name}" for name in names if name not in keys)
    update = f"WHEN MATCHED THEN UPDATE SET {changes} " if changes else ""
    return (
        f"MERGE INTO {into} AS stored USING ({source}) AS fresh ON ({same}) {update}"
        f"WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({', '.join(f'fresh.{name}' for name in names)})"
    )


def _staged(codec: Codec, column: Column) -> str:
    """One column of the staged lines, called `batch`, as SQL of the table's own type."""
    name = f"batch.{codec.place(column)}"
    return name if _staged_type(column) == column.stored else f"CAST({name} AS {column.stored})"


def _staged_types(codec: Codec) -> str:
    """The staged line's fields as a DuckDB struct literal for `read_json(columns = …)`: nothing is ever guessed."""
    pairs = [("n", "BIGINT"), *((codec.place(column), _staged_type(column)) for column in codec.staged)]
    return "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in pairs) + "}"


def _staged_type(column: Column) -> str:
    """How DuckDB reads a staged value: a wide integer and nested JSON travel as text."""
    return VARCHAR if column.stored in {HUGEINT, JSON} else column.stored


def conversion(name: str, stored: str, target: str) -> str:
    """SQL that turns a stored value into its like in a wider type."""
    text = _ISO.format(name) if stored == TIMESTAMPTZ else f"{name}::VARCHAR"
    as_text = stored == TIMESTAMPTZ and target in {VARCHAR, JSON}
    rules: Mapping[str, Callable[[], str]] = {
        VARCHAR: lambda: text,
        JSON: lambda: f"to_json({text if as_text else name})",
    }
    return rules.get(target, lambda: f"{name}::{target}")()


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
