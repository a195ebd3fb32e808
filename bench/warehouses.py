"""Pipes from BSPK's tap into databases, and how many rows are in them afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import environments
from bench.jobs import PEERS, READERS, installed
from bench.measure import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Pipe = tuple[list[list[str]], Callable[[], int]]

_COUNT_DUCKDB = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
query = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'calls'"
schema = connection.execute(query).fetchall()[0][0]
print(connection.execute(f'SELECT count(*) FROM "{schema}".calls').fetchall()[0][0])
"""
_COUNT_POSTGRES = """
import psycopg, sys
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.execute(f'SELECT count(*) FROM "{sys.argv[2]}".calls').fetchone()[0])
"""


_MULTIPLY = """
import sys
place, schema, times = sys.argv[1:]
if "://" in place:
    import psycopg
    connection = psycopg.connect(place, autocommit=True)
else:
    import duckdb
    connection = duckdb.connect(place)
    connection.execute("SET enable_progress_bar = false")
query = f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{schema}' AND table_name = 'calls'"
names = ['"' + name + '"' for (name,) in connection.execute(query).fetchall()]
values = ", ".join("call_key || '-' || n" if name == '"call_key"' else name for name in names)
source = f'"{schema}".calls CROSS JOIN generate_series(1, {int(times) - 1}) AS more (n)'
connection.execute(f'INSERT INTO "{schema}".calls ({", ".join(names)}) SELECT {values} FROM {source}')
if "://" in place:
    connection.execute(f'VACUUM ANALYZE "{schema}".calls')
    connection.execute("CHECKPOINT")
connection.close()
print(0)
"""
"""Makes a table of BSPK's calls so many times as large, with keys of their own."""


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL of its own, and yield its URL."""
    command = [environments.program("postgres"), str(PEERS / "postgres_server.py")]
    process = subprocess.Popen(  # noqa: S603 - our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101 - same
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("PostgreSQL did not start: see the error above")
        yield url
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(timeout=60)


def _number(python: str, script: str, *arguments: str) -> int:
    done = subprocess.run(  # noqa: S603 - our own
        [python, "-c", script, *arguments], capture_output=True, text=True, check=True, env=environment()
    )
    return int(done.stdout)


def _config(at: Path, name: str, values: dict[str, Any]) -> list[str]:
    (at / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    return ["--config", f"{name}.json"]


def _own_duckdb(reader: str) -> Callable[[Path, str, int], Pipe]:
    def pipe(at: Path, _: str, turn: int) -> Pipe:
        path = at / f"{reader}-own-{turn}.duckdb"
        config = _config(at, "own", {"path": str(path), "default_target_schema": "bench"})
        commands = [READERS[reader]("bspk"), [installed("target-duckdb"), *config]]
        return commands, lambda: _number(sys.executable, _COUNT_DUCKDB, str(path))

    return pipe


def _published_duckdb(reader: str) -> Callable[[Path, str, int], Pipe]:
    def pipe(at: Path, _: str, turn: int) -> Pipe:
        path = at / f"{reader}-published-{turn}.duckdb"
        config = _config(at, "published", {"path": str(path), "default_target_schema": "bench"})
        commands = [READERS[reader]("bspk"), [environments.program("published", "target-duckdb"), *config]]
        return commands, lambda: _number(environments.program("published"), _COUNT_DUCKDB, str(path))

    return pipe


def _postgres(reader: str, target: str) -> Callable[[Path, str, int], Pipe]:
    def pipe(at: Path, url: str, turn: int) -> Pipe:
        schema = f"{reader}_{target}_{turn}".replace(" ", "_").replace("-", "_")
        commands = [READERS[reader]("bspk"), LOADERS[target](at, url, schema)]
        return commands, lambda: _number(environments.program("postgres"), _COUNT_POSTGRES, url, schema)

    return pipe


def _own_postgres(at: Path, url: str, schema: str) -> list[str]:
    config = _config(at, schema, {"sqlalchemy_url": url, "default_target_schema": schema})
    return [installed("target-postgres"), *config]


def _published_postgres(at: Path, url: str, schema: str) -> list[str]:
    settings = {
        "sqlalchemy_url": url.replace("postgresql://", "postgresql+psycopg://"),
        "default_target_schema": schema,
        "validate_records": False,
    }
    return [environments.program("postgres", "target-postgres"), *_config(at, schema, settings)]


def _duckdb(at: Path, _: str, schema: str) -> list[str]:
    config = _config(at, schema, {"path": str(_file(at, schema)), "default_target_schema": schema})
    return [installed("target-duckdb"), *config]


def _dlt_arrow(at: Path, url: str, schema: str) -> list[str]:
    config = _config(at, schema, {"sqlalchemy_url": url, "default_target_schema": schema})
    return [environments.program("dlt-arrow"), str(PEERS / "dlt_arrow.py"), *config]


def _file(at: Path, schema: str) -> Path:
    """Return the DuckDB file for a schema; DuckDB confuses a file with a schema of the same name."""
    return at / f"{schema}-file.duckdb"


def _driver(name: str) -> Callable[[Path, str, str], list[str]]:
    def command(at: Path, url: str, schema: str) -> list[str]:
        config = _config(at, schema, {"sqlalchemy_url": url, "default_target_schema": schema})
        return [environments.program("drivers"), str(PEERS / "drivers.py"), name, *config]

    return command


LOADERS: dict[str, Callable[[Path, str, str], list[str]]] = {
    "target-postgres": _own_postgres,
    "published target-postgres": _published_postgres,
    "target-duckdb": _duckdb,
    "dlt, Arrow": _dlt_arrow,
}
"""Name of a loader to its command, for a folder, a PostgreSQL and a schema."""

DRIVERS: dict[str, Callable[[Path, str, str], list[str]]] = {
    "psycopg, COPY of CSV": _driver("psycopg"),
    "ADBC, Arrow": _driver("adbc"),
}
"""The same for programs that differ in the driver alone."""

_PARTS = {
    "psycopg, COPY of CSV": ("psycopg", "psycopg-binary"),
    "ADBC, Arrow": ("adbc-driver-postgresql", "adbc-driver-manager", "pyarrow"),
}


def weight(driver: str) -> int:
    """Count the bytes that a driver brings along."""
    return environments.weight("drivers", _PARTS[driver])


def multiply(loader: str, at: Path, url: str, schema: str, times: int) -> None:
    """Make the table of calls that a loader has filled so many times as large."""
    own = loader == "target-duckdb"
    python = sys.executable if own else environments.program("postgres")
    _number(python, _MULTIPLY, str(_file(at, schema)) if own else url, schema, str(times))


def _dlt_duckdb(at: Path, _: str, turn: int) -> Pipe:
    path = at / f"dlt_{turn}.duckdb"
    return [[*READERS["dlt"]("bspk"), str(path)]], lambda: _number(
        environments.program("dlt"), _COUNT_DUCKDB, str(path)
    )


PIPES: dict[str, Callable[[Path, str, int], Pipe]] = {
    "trunkline > target-postgres": _postgres("trunkline", "target-postgres"),
    "trunkline > published target-postgres": _postgres("trunkline", "published target-postgres"),
    "trunkline > target-duckdb": _own_duckdb("trunkline"),
    "vanilla > published target-duckdb": _published_duckdb("vanilla"),
    "vanilla > target-duckdb": _own_duckdb("vanilla"),
    "dlt > duckdb": _dlt_duckdb,
    "vanilla > published target-postgres": _postgres("vanilla", "published target-postgres"),
}
"""Name of a pipe to its commands (for a folder, a PostgreSQL and a round) and what counts its rows."""
