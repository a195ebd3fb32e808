"""The same records into the same table by the same statements, through psycopg's COPY or through ADBC with Arrow.

It takes the settings and options of a target, and checks nothing: only the drivers differ.
"""

# ruff: noqa: S608 - names of our own bench

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS, BYTES = 100_000, 32_000_000
"""Of a batch at most, as in our target."""

_SQL = {"integer": "bigint", "number": "double precision", "boolean": "boolean", "date-time": "timestamptz"}
_STAGE = "bench_batch"


class Message(msgspec.Struct):
    """A Singer line."""

    type: str
    record: msgspec.Raw = msgspec.Raw()
    schema: dict[str, Any] = {}
    key_properties: list[str] = []
    stream: str = ""


class Table:
    """A stream's table, and the statements that all drivers share.

    Args:
        schema: The database's schema.
        message: The stream's SCHEMA.
    """

    def __init__(self, schema: str, message: Message) -> None:
        self.name, self.schema = f'"{schema}"."{message.stream}"', schema
        self.kinds = {name: _kind(one) for name, one in message.schema["properties"].items()}
        self.keys = list(message.key_properties)
        names = [f"c{at}" for at in range(len(self.kinds))]
        fields = [(at, _typed(kind), None) for at, kind in zip(names, self.kinds.values(), strict=True)]
        rename = dict(zip(names, self.kinds, strict=True))
        self.row = msgspec.defstruct("Row", fields, rename=rename, gc=False)
        self.decode = msgspec.json.Decoder(self.row).decode

    def create(self) -> list[str]:
        """Make the table."""
        columns = ", ".join(f'"{name}" {_SQL.get(kind, kind)}' for name, kind in self.kinds.items())
        keys = ", ".join(f'"{key}"' for key in self.keys)
        return [
            f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"',
            f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}, PRIMARY KEY ({keys}))",
        ]

    def merge(self) -> str:
        """Bring the batch into the table, the last one winning."""
        keys = ", ".join(f'"{key}"' for key in self.keys)
        names = ", ".join(f'"{name}"' for name in self.kinds)
        values = ", ".join(f'"{name}"::jsonb' if kind == "jsonb" else f'"{name}"' for name, kind in self.kinds.items())
        changes = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in self.kinds if name not in self.keys)
        return (
            f"INSERT INTO {self.name} ({names}) SELECT DISTINCT ON ({keys}) {values} FROM {_STAGE} "
            f"ORDER BY {keys}, n DESC ON CONFLICT ({keys}) DO UPDATE SET {changes}"
        )


def _kind(schema: dict[str, Any]) -> str:
    types = {schema["type"]} if isinstance(schema.get("type"), str) else set(schema.get("type") or ())
    types -= {"null"}
    if types == {"string"}:
        return "date-time" if schema.get("format") == "date-time" else "text"
    return next(iter(types)) if types and types <= {"integer", "number", "boolean"} and len(types) == 1 else "jsonb"


def _typed(kind: str) -> Any:
    found = {"integer": int, "number": float, "boolean": bool, "date-time": datetime, "text": str}.get(kind)
    return Optional[found] if found else msgspec.Raw  # noqa: UP045 - as msgspec takes it on 3.10


class Psycopg:
    """COPY of CSV into a temporary table."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url)

    def write(self, table: Table, rows: Sequence[Any]) -> None:
        """Write one batch in one transaction."""
        columns = "n bigint, " + ", ".join(
            f'"{name}" {"text" if kind == "jsonb" else _SQL.get(kind, kind)}' for name, kind in table.kinds.items()
        )
        with self._connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {_STAGE} ({columns}) ON COMMIT DROP".encode())
            encode, lines = msgspec.json.Encoder().encode_into, bytearray()
            for at, row in enumerate(rows):
                encode([at, *(_text(value) for value in msgspec.structs.astuple(row))], lines, -1)
                lines += b"\n"
            with cursor.copy(f"COPY {_STAGE} FROM STDIN (FORMAT csv, ESCAPE '\\', NULL 'null')".encode()) as copy:
                copy.write(bytes(lines[1:-2]).replace(b"]\n[", b"\n"))
            cursor.execute(table.merge().encode())
        self._connection.commit()

    def run(self, statements: Sequence[str]) -> None:
        """Run some statements."""
        for statement in statements:
            self._connection.execute(statement.encode())
        self._connection.commit()


class Adbc:
    """Arrow's columns into a temporary table, by ADBC's own COPY."""

    def __init__(self, url: str) -> None:
        import adbc_driver_postgresql.dbapi  # type: ignore[import-not-found]
        import pyarrow as pa  # type: ignore[import-not-found]

        self._connection, self._pa = adbc_driver_postgresql.dbapi.connect(url), pa

    def write(self, table: Table, rows: Sequence[Any]) -> None:
        """Write one batch in one transaction."""
        pa = self._pa
        types = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
        types["date-time"] = pa.timestamp("us", tz="UTC")
        columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
        arrays = [pa.array(range(len(rows)), pa.int64())]
        for kind, values in zip(table.kinds.values(), columns, strict=True):
            listed = [_text(value) for value in values] if kind == "jsonb" else list(values)
            arrays.append(pa.array(listed, types.get(kind, pa.string())))
        batch = pa.Table.from_arrays(arrays, names=["n", *table.kinds])
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(_STAGE, batch, mode="create", temporary=True)
            cursor.execute(table.merge())
            cursor.execute(f"DROP TABLE {_STAGE}")
        self._connection.commit()

    def run(self, statements: Sequence[str]) -> None:
        """Run some statements."""
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        self._connection.commit()


def _text(value: Any) -> Any:
    """Return a JSON value as the text of itself, everything else as it is."""
    if not isinstance(value, msgspec.Raw):
        return value
    text = bytes(value).decode()
    return None if text == "null" else text


def main() -> None:
    """Load a file of one stream."""
    parser = argparse.ArgumentParser()
    parser.add_argument("driver", choices=["psycopg", "adbc"])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--input", type=Path)
    options = parser.parse_args()
    config = json.loads(options.config.read_text(encoding="utf-8"))
    driver = (Psycopg if options.driver == "psycopg" else Adbc)(config["sqlalchemy_url"])
    table: Table | None = None
    rows: list[Any] = []
    size = 0
    decode = msgspec.json.Decoder(Message).decode
    with options.input.open("rb") as lines:
        for line in lines:
            message = decode(line)
            if message.type == "SCHEMA":
                table = Table(config["default_target_schema"], message)
                driver.run(table.create())
            elif message.type == "RECORD" and table is not None:
                rows.append(table.decode(message.record))
                size += len(line)
                if len(rows) >= ROWS or size >= BYTES:
                    driver.write(table, rows)
                    rows, size = [], 0
    if table is not None and rows:
        driver.write(table, rows)


if __name__ == "__main__":
    main()
