"""The tables of a DuckDB file, and what their columns mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from trunkline import schemas
from trunkline.doors import docs
from trunkline.doors.vendors import vendor_taps
from trunkline_commands.report_page import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    Connection = duckdb.DuckDBPyConnection

_TIME_NAMES = ("start_time", "starttime", "started_at", "call_start_time", "created_at", "created_date", "date_created")
_OUTCOME = re.compile(
    r"(type|state|status|direction|reason|result|outcome|disposition|hangup|matched|kind)$", re.IGNORECASE
)
_SECONDS = re.compile(r"^(duration|call_?duration|duration_?in_?seconds|duration_?seconds)$", re.IGNORECASE)
_SPANS = (
    ("enter_time_epoch", "exit_time_epoch"),
    ("start_time", "end_time"),
    ("started_at", "ended_at"),
    ("created_date", "closed_date"),
    ("created_at", "closed_at"),
)


PROOFS = "window_proofs"
"""The table in which taps keep what is proven of their other streams."""


class Table(NamedTuple):
    """A table, and what its columns mean.

    Args:
        vendor: The vendor, or the name of the schema where the vendor is not known.
        schema: The schema it lies in.
        stream: The table.
        time: The column with the moment that a row is about, if there is one.
        outcomes: Columns that show how a call went.
        duration: An expression for seconds, and what it is called; None where there is none.
        has_proofs: Whether there are proofs of windows beside it.
    """

    vendor: str
    schema: str
    stream: str
    time: str | None
    outcomes: Sequence[str]
    duration: tuple[str, str] | None
    has_proofs: bool = False


def tables(connection: Connection) -> Iterator[Table]:
    """Find the tables of the file, by vendor and stream."""
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, name, kind in connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'loaded' AND NOT internal ORDER BY schema_name, table_name, column_index"
    ).fetchall():
        columns.setdefault((schema, table), {})[name] = kind
    known = list(_streams())
    for (schema, table), kinds in columns.items():
        if table == PROOFS:
            continue
        fitting = [one for one in known if one.name == table and one.columns <= kinds.keys()]
        fitting.sort(key=lambda one: one.vendor not in schema)
        found = _table(schema, table, kinds, fitting[0] if fitting else None)
        yield found._replace(has_proofs=(schema, PROOFS) in columns)


class _Stream(NamedTuple):
    vendor: str
    name: str
    columns: frozenset[str]
    time: str | None
    personal: frozenset[str]


def _streams() -> Iterator[_Stream]:
    """List the streams of every vendor that is installed."""
    for vendor, tap in vendor_taps().items():
        for stream in docs.stream_facts(tap):
            fields = schemas.load(vendor, stream.name)["properties"]
            needed = frozenset([*stream.keys, *([stream.replication_key] if stream.replication_key else [])])
            personal = frozenset(name for name, spec in fields.items() if spec.get("x-personal"))
            yield _Stream(vendor, stream.name, needed, stream.replication_key, personal)


def _table(schema: str, table: str, kinds: Mapping[str, str], known: _Stream | None) -> Table:
    times = [name for name, kind in kinds.items() if kind.startswith("TIMESTAMP") or kind == "DATE"]
    usual = [name for common in _TIME_NAMES for name in times if name.lower() == common]
    time = known.time if known else next(iter([*usual, *times]), None)
    personal = known.personal if known else frozenset()
    outcomes = [
        name
        for name, kind in kinds.items()
        if kind in {"VARCHAR", "BOOLEAN"} and _OUTCOME.search(name) and name not in personal
    ]
    vendor = known.vendor if known else schema
    return Table(vendor, schema, table, time if time in times else None, outcomes, _duration(kinds))


def _duration(kinds: Mapping[str, str]) -> tuple[str, str] | None:
    number = re.compile(r"^(\w*INT|INTEGER|DOUBLE|FLOAT|DECIMAL.*)$")
    for name, kind in kinds.items():
        if _SECONDS.match(name) and number.match(kind):
            return quoted(name), name
    lower = {name.lower(): name for name in kinds}
    for since, until in _SPANS:
        if since in lower and until in lower:
            low, high = lower[since], lower[until]
            if all(kinds[name].startswith("TIMESTAMP") for name in (low, high)):
                return f"epoch({quoted(high)}) - epoch({quoted(low)})", f"{low} to {high}"
            if all(number.match(kinds[name]) for name in (low, high)):
                return f"CAST({quoted(high)} AS DOUBLE) - CAST({quoted(low)} AS DOUBLE)", f"{low} to {high}"
    return None


def quoted(name: str) -> str:
    """Write a name as SQL does, with any characters."""
    return '"' + name.replace('"', '""') + '"'


def opened(path: Path, zone: str) -> Connection:
    """Open the file, to be read only.

    Args:
        path: The file.
        zone: The time zone that days are counted in.

    Raises:
        ReportError: It is not there, is no DuckDB file, or is being written to.
    """
    if not path.is_file():
        raise ReportError(
            f"{path} could not be opened: there is no such file. Load one (`python3 run.py demo` does), or name it "
            "with --database"
        )
    connection = duckdb.connect()
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET TimeZone = ?", [zone])
        # A name of our own: the file's stem may be that of a schema in it, which is ambiguous.
        place = str(path.absolute()).replace("'", "''")
        connection.execute(f"ATTACH '{place}' AS loaded (READ_ONLY)")
        connection.execute("USE loaded")
    except duckdb.Error as problem:
        connection.close()
        reason = str(problem).splitlines()[0]
        raise ReportError(
            f"{path} could not be opened: {reason}. If a target is writing to it, wait until it has ended; else check "
            "that it is a DuckDB file"
        ) from None
    return connection
