"""The DuckDB file: opened by one writer, its tables made and widened, and batches written in one transaction each.

Tables have no PRIMARY KEY. MERGE keeps keys unique without an index, which would have to fit in memory and makes
DuckDB check uniqueness row by row (deleting and inserting a key in one transaction is then an error).
"""

# ruff: noqa: S608 - every name in a query went through `quoted`, every text through `literal` or a parameter

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from trunkline_duckdb.columns import TYPES
from trunkline_duckdb.errors import advice, cause, code
from trunkline_duckdb.sql import batch_of, conversion, literal, meets, newest, write
from trunkline_loader.columns import VERSION, quoted
from trunkline_loader.errors import StoreError, shown
from trunkline_loader.store import Store

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence

    from trunkline_loader.store import Batch

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that has the file open."""

_LOCK_PAUSE = 0.5
_CATALOG = "loaded"  # our own name for the file: its stem may equal a schema's name, which DuckDB finds ambiguous
_STORAGE = "v1.0.0"
_LARGE = 1 << 26  # bytes of a file in which a second thread pays: to read a batch, one takes the least CPU and memory
_MEMORY = 1 << 29
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50}


class DuckDB(Store):
    """One DuckDB file and one schema in it.

    Args:
        path: The file; its folder is made if it is missing.
        schema: The schema that gets the tables; made if it is missing.
        logger: For the lines a user sees.
        lock_timeout: Seconds to wait for another process that has the file open.
    """

    types = TYPES

    def __init__(self, path: Path, schema: str, logger: logging.Logger, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self.path = _absolute(path)
        super().__init__(self.path, schema, logger)
        self._lock_timeout = lock_timeout
        self._staging = Path(f"{self.path}.batch")
        self._connection: duckdb.DuckDBPyConnection | None = None

    def open(self) -> None:
        """Open the file and make the schema.

        Raises:
            StoreError: It is in use for longer than the lock timeout, is no DuckDB file, or can't be made.
        """
        self._refuse_misread()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._staging.lstat()  # a name too long for the files beside it is seen here, not at the first batch
        except (OSError, ValueError) as problem:
            raise self._failed("make the folder of", problem) from None
        if os.path.isdir(self.path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            raise StoreError(
                f"Can't open {self.path}: it is a folder. Set `path` to a file in it, e.g. "
                f"{self.path / 'calls.duckdb'}.",
                code="config",
            )
        self._connection = duckdb.connect()
        for name, value in (
            ("TimeZone", "UTC"),  # a time without zone is UTC, wherever this runs
            ("autoinstall_known_extensions", "false"),  # everything used here is built in: never reach for the network
            ("autoload_known_extensions", "false"),
            ("enable_external_file_cache", "false"),  # batches share one file name; never read the last one's bytes
            ("temp_directory", f"{self.path}.tmp"),
            ("threads", "2" if self._is_large else "1"),
        ):
            self._run(f"SET {name} = {literal(value)}")
        self._bound_memory()
        self._attach()
        self._unlink_staging()
        with self.changing(f"make the schema {shown(self.schema)} in"):
            self._run(f"CREATE SCHEMA IF NOT EXISTS {_CATALOG}.{quoted(self.schema)}")

    def close(self) -> None:
        """Close the file, which writes its log into it."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(duckdb.Error):
                connection.execute(f"DETACH {_CATALOG}")
            connection.close()
            self._unlink_staging()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self._run(statement).fetchall()

    def names(self) -> list[str]:
        """Return the tables and views of the schema."""
        rows = self._rows("SELECT table_name FROM duckdb_tables()") + self._rows("SELECT view_name FROM duckdb_views()")
        return [name for (name,) in rows]

    def stored(self, table: str) -> dict[str, str]:
        """Return a table's columns with their types."""
        return dict(self._rows("SELECT column_name, data_type FROM duckdb_columns()", table))

    def qualified(self, table: str) -> str:
        """Return a table in SQL."""
        return f"{_CATALOG}.{quoted(self.schema)}.{quoted(table)}"

    def conversion(self, name: str, stored: str, target: str) -> str:
        """Return SQL that turns a stored value into its like in a wider type."""
        return conversion(name, stored, target)

    def fold(self, name: str) -> str:
        """Return a name in lower case: DuckDB compares names without regard to case."""
        return name.lower()

    def delete(self, table: str, version: int) -> int:
        """Delete rows whose version is older."""
        older = f"TRY_CAST({quoted(VERSION.name)} AS HUGEINT) < {version}"
        return int(self.query(f"DELETE FROM {self.qualified(table)} WHERE {older}")[0][0])

    def load(self, batches: Sequence[Batch]) -> None:
        """Write batches of any number of streams in one transaction."""
        with self.changing("write a batch to"):
            self._run("BEGIN TRANSACTION")
            try:
                for batch in batches:
                    self._write(batch)
                self._run("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    self._run("ROLLBACK")
                raise
            finally:
                self._unlink_staging()

    @property
    def _is_large(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > _LARGE

    def _refuse_misread(self) -> None:
        """Refuse a path that DuckDB misreads: it takes a backslash for `/`, and puts its log at the first `?`."""
        folder = str(self.path.parent)
        if os.sep == "/" and ("\\" in str(self.path) or "?" in folder):
            raise StoreError(
                f"Can't open {self.path}: DuckDB can't open a file whose path has a backslash, or whose folder has a "
                "question mark. Rename it, and set `path`.",
                code="config",
            )

    def _bound_memory(self) -> None:
        """Limit the cache of the file, which would grow to 80 % of the machine's memory and serve no loader."""
        number, unit = str(self._run("SELECT current_setting('memory_limit')").fetchall()[0][0]).split()
        if float(number) * _UNITS.get(unit, 1) > _MEMORY:
            self._run(f"SET memory_limit = '{_MEMORY}B'")

    def _attach(self) -> None:
        """Attach the file; while another process has it, log that and wait."""
        give_up = time.monotonic() + self._lock_timeout
        waiting = False
        while True:
            try:
                # An existing file keeps its format. A new one gets that of DuckDB 1.0, which every later release reads.
                storage = "" if os.path.lexists(self.path) else f", STORAGE_VERSION '{_STORAGE}'"
                self._run(f"ATTACH {literal(str(self.path))} AS {_CATALOG} (TYPE duckdb{storage})")
            except duckdb.Error as problem:  # noqa: PERF203 - this loop waits
                if "lock on file" not in str(problem):
                    raise self._failed("open", problem) from None
                if time.monotonic() >= give_up:
                    raise StoreError(
                        f"Can't open {self.path}: another process has had it open for {self._lock_timeout:g} s, and "
                        f"DuckDB lets one "
                        f"process write at a time. Close that program, or run the loads one after the other. "
                        f"{_holder(problem)}",
                        code="store-locked",
                    ) from None
                if not waiting:
                    self.logger.warning(
                        "Waiting up to %g s for %s: another process has it open", self._lock_timeout, self.path
                    )
                    waiting = True
                time.sleep(min(_LOCK_PAUSE, self._lock_timeout))
            else:
                return

    def _write(self, batch: Batch) -> None:
        """Stage the lines in a file beside ours, and let DuckDB read them into the table."""
        # People's data: readable by the owner only.
        descriptor = os.open(self._staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as staging:
            staging.write(batch.lines)
        codec, into = batch.codec, self.qualified(batch.table)
        lines = batch_of(codec, self._staging, batch.longest)
        if codec.keys:
            self._run(newest(codec, lines))
        # MERGE costs twice what INSERT does.
        self._run(write(codec, into, lines, merge=bool(codec.keys and self.query(meets(codec, into)))))

    def _rows(self, query: str, table: str | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a catalog function that belong to our schema, and to one table if it is named."""
        where, values = "database_name = ? AND lower(schema_name) = lower(?)", [_CATALOG, self.schema]
        if table is not None:
            where, values = f"{where} AND table_name = ?", [*values, table]
        order = " ORDER BY column_index" if table is not None else ""
        return self._run(f"{query} WHERE {where}{order}", values).fetchall()

    def _run(self, query: str, values: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise StoreError(f"{self.path} is not open.")
        return self._connection.execute(query, values) if values else self._connection.execute(query)

    def _unlink_staging(self) -> None:
        with contextlib.suppress(OSError):
            self._staging.unlink(missing_ok=True)

    @contextlib.contextmanager
    def changing(self, doing: str, table: str | None = None) -> Iterator[None]:  # noqa: ARG002 - one process has the file
        """Explain why a change failed; a statement is a transaction, and no other process has the file."""
        try:
            yield
        except (duckdb.Error, OSError, MemoryError) as problem:
            raise self._failed(doing, problem) from None

    def _failed(self, doing: str, problem: BaseException) -> StoreError:
        return StoreError(
            f"Can't {doing} {self.path}: {cause(problem)}. What was committed before is safe. {advice(problem)}",
            code=code(problem),
        )


def _holder(problem: duckdb.Error) -> str:
    """Name the process that has the file, in DuckDB's words; empty when it names none."""
    _, found, rest = str(problem).partition("Conflicting lock is held in ")
    return f"(Held by {rest.split('. ')[0]})" if found else ""


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise StoreError(
            f"Can't open {path}: there is no user of that name. Set `path` to the file itself, without `~`.",
            code="config",
        ) from None
