"""The DuckDB file: opened by one writer, its tables made and widened, and batches written in one transaction each.

Tables have no PRIMARY KEY. MERGE keeps keys unique without an index, which would have to fit in memory and makes
DuckDB check uniqueness row by row (deleting and inserting a key in one transaction is then an error).
"""

# ruff: noqa: S608 - every name in a query went through `quoted`, every text through `literal` or a parameter

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from trunkline_duckdb.columns import (
    DOUBLE,
    FIRST_TYPE,
    VARCHAR,
    VERSION,
    Column,
    Declared,
    identifier,
    quoted,
    widened,
)
from trunkline_duckdb.errors import StoreError, advice, cause, shown
from trunkline_duckdb.sql import conversion, literal, upsert

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline_duckdb.records import Codec

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that has the file open."""

_LOCK_PAUSE = 0.5
_CATALOG = "loaded"  # our own name for the file: its stem may equal a schema's name, which DuckDB finds ambiguous
_STORAGE = "v1.0.0"
_EXACT_IN_DOUBLE = 2**53
_THREADS = 2  # one batch is too small for more, and each costs a read buffer
_MEMORY = 1 << 29
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50}


@dataclass
class Batch:
    """Staged records of one stream.

    Args:
        table: The table they go to.
        codec: What staged them.
        lines: The staged lines.
        rows: How many there are.
        longest: The longest line's length in bytes.
    """

    table: str
    codec: Codec
    lines: bytearray = field(default_factory=bytearray)
    rows: int = 0
    longest: int = 0


class Store:
    """One DuckDB file and one schema in it.

    Args:
        path: The file; its folder is made if it is missing.
        schema: The schema that gets the tables; made if it is missing.
        logger: For the lines a user sees.
        lock_timeout: Seconds to wait for another process that has the file open.
    """

    def __init__(self, path: Path, schema: str, logger: logging.Logger, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self.path = _absolute(path)
        self.schema = schema
        self._logger = logger
        self._lock_timeout = lock_timeout
        self._staging = Path(f"{self.path}.batch")
        self._streams: dict[str, str] = {}
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
                f"{self.path / 'calls.duckdb'}."
            )
        self._connection = duckdb.connect()
        for name, value in (
            ("TimeZone", "UTC"),  # a time without zone is UTC, wherever this runs
            ("autoinstall_known_extensions", "false"),  # everything used here is built in: never reach for the network
            ("autoload_known_extensions", "false"),
            ("enable_external_file_cache", "false"),  # batches share one file name; never read the last one's bytes
            ("temp_directory", f"{self.path}.tmp"),
            ("threads", str(min(_THREADS, os.cpu_count() or 1))),
        ):
            self._run(f"SET {name} = {literal(value)}")
        self._bound_memory()
        self._attach()
        self._unlink_staging()
        with self._explained(f"make the schema {shown(self.schema)} in"):
            self._run(f"CREATE SCHEMA IF NOT EXISTS {_CATALOG}.{quoted(self.schema)}")

    def close(self) -> None:
        """Close the file, which writes its log into it."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(duckdb.Error):
                connection.execute(f"DETACH {_CATALOG}")
            connection.close()
            self._unlink_staging()

    def table_for(self, stream: str) -> str:
        """The name of the table that holds a stream.

        Args:
            stream: The stream's name.

        Returns:
            The name, the same in every run.

        Raises:
            StoreError: Another stream or a view has the name.
        """
        rows = self._rows("SELECT table_name FROM duckdb_tables()") + self._rows("SELECT view_name FROM duckdb_views()")
        taken = {**{table.lower(): table for table in self._streams}, **{name.lower(): name for (name,) in rows}}
        table = identifier(stream, taken)
        if self._streams.setdefault(table, stream) != stream:
            raise StoreError(
                f"Streams {shown(stream)} and {shown(self._streams[table])} would share the table {shown(table)} in "
                f"{self.path}. "
                "Rename one of them in the tap."
            )
        return table

    def columns_for(self, stream: str, table: str, declared: Sequence[Declared]) -> list[Column]:
        """Make the table, add the columns it lacks, and widen those that can't hold what the schema declares.

        Args:
            stream: The stream's name, for messages.
            table: The table's name.
            declared: The schema's properties.

        Returns:
            The properties with their columns.

        Raises:
            StoreError: A stored column and its new type have nothing in common, or DuckDB refuses the change.
        """
        with self._explained(f"change the table {shown(table)} in"):
            present = dict(self._rows("SELECT column_name, data_type FROM duckdb_columns()", table))
            columns, fresh = self._named(stream, declared, present)
            if not present:
                self._create(table, fresh)
            else:
                for column in fresh:
                    self._run(f"ALTER TABLE {self._qualified(table)} ADD COLUMN {quoted(column.name)} {column.stored}")
                    self._logger.info("Added column %s %s to %s", shown(column.name), column.stored, shown(table))
            return [self._fitted(stream, table, column) if column.name in present else column for column in columns]

    def widen(self, stream: str, table: str, column: Column, wanted: str) -> Column:
        """Change a column's type to one that holds the stored values and the new ones.

        Args:
            stream: The stream's name, for messages.
            table: The table's name.
            column: The column as it is.
            wanted: The DuckDB type that new values need.

        Returns:
            The column as it is now.

        Raises:
            StoreError: There is no such type, or DuckDB refuses the change.
        """
        with self._explained(f"widen column {shown(column.name)} of table {shown(table)} in"):
            target = widened(column.stored, wanted)
            name, qualified = quoted(column.name), self._qualified(table)
            if target != wanted and not self._any(f"SELECT 1 FROM {qualified} WHERE {name} IS NOT NULL LIMIT 1"):
                self._run(f"ALTER TABLE {qualified} ALTER {name} SET DATA TYPE {wanted} USING NULL")
                return Column(column.declared, column.name, wanted)
            if target is None:
                raise self._incompatible(stream, table, column, wanted)
            if (
                target == DOUBLE
                and column.stored not in {DOUBLE, "FLOAT"}
                and self._any(f"SELECT 1 FROM {qualified} WHERE abs({name}::HUGEINT) > {_EXACT_IN_DOUBLE} LIMIT 1")
            ):
                target = VARCHAR
            if target != column.stored:
                using = conversion(name, column.stored, target)
                self._run(f"ALTER TABLE {qualified} ALTER {name} SET DATA TYPE {target} USING {using}")
                self._logger.warning(
                    "Stream %s: widened column %s from %s to %s, because the tap sends what %s can't hold",
                    shown(stream), shown(column.name), column.stored, target, column.stored,
                )  # fmt: skip
            return Column(column.declared, column.name, target)

    def version_column(self, stream: str, table: str) -> Column:
        """The column that holds the table version of each record, added if it is missing.

        Args:
            stream: The stream's name, for messages.
            table: The table's name.

        Returns:
            The column.

        Raises:
            StoreError: DuckDB refuses the change, or the column can't hold a version.
        """
        return self.columns_for(stream, table, [VERSION])[0]

    def delete_older(self, table: str, version: int) -> int:
        """Delete the rows of a table whose version is older; rows without a version stay.

        Args:
            table: The table's name.
            version: The version that stays, and every newer one.

        Returns:
            The number of deleted rows.

        Raises:
            StoreError: Nothing was deleted.
        """
        with self._explained(f"delete rows of older versions of {shown(table)} in"):
            present = dict(self._rows("SELECT column_name, data_type FROM duckdb_columns()", table))
            if VERSION.name not in present:
                return 0
            older = f"TRY_CAST({quoted(VERSION.name)} AS HUGEINT) < {version}"
            return int(self._run(f"DELETE FROM {self._qualified(table)} WHERE {older}").fetchall()[0][0])

    def load(self, batches: Sequence[Batch]) -> None:
        """Write batches of any number of streams, all or nothing. When this returns, they are on disk.

        Args:
            batches: What to write.

        Raises:
            StoreError: Nothing of it was written.
        """
        with self._explained("write a batch to"):
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

    def count(self, table: str) -> int:
        """How many rows a table has.

        Args:
            table: The table's name.

        Returns:
            The number of rows.
        """
        with self._explained(f"count the rows of {shown(table)} in"):
            return int(self._run(f"SELECT count(*) FROM {self._qualified(table)}").fetchall()[0][0])

    def _refuse_misread(self) -> None:
        """Refuse a path that DuckDB misreads: it takes a backslash for `/`, and puts its log at the first `?`."""
        folder = str(self.path.parent)
        if os.sep == "/" and ("\\" in str(self.path) or "?" in folder):
            raise StoreError(
                f"Can't open {self.path}: DuckDB can't open a file whose path has a backslash, or whose folder has a "
                "question mark. Rename it, and set `path`."
            )

    def _bound_memory(self) -> None:
        """DuckDB would cache the file in up to 80 % of the machine's memory; a loader has no use for that."""
        number, unit = str(self._run("SELECT current_setting('memory_limit')").fetchall()[0][0]).split()
        if float(number) * _UNITS.get(unit, 1) > _MEMORY:
            self._run(f"SET memory_limit = '{_MEMORY}B'")

    def _attach(self) -> None:
        """Attach the file; wait, with a line that says so, while another process has it."""
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
                        f"{_holder(problem)}"
                    ) from None
                if not waiting:
                    self._logger.warning(
                        "Waiting up to %g s for %s: another process has it open", self._lock_timeout, self.path
                    )
                    waiting = True
                time.sleep(min(_LOCK_PAUSE, self._lock_timeout))
            else:
                return

    def _named(
        self, stream: str, declared: Sequence[Declared], present: Mapping[str, str]
    ) -> tuple[list[Column], list[Column]]:
        """All properties with their columns, and those columns that the table doesn't have yet."""
        taken = {name.lower(): name for name in present}
        owners: dict[str, str] = {}
        columns, fresh = [], []
        for one in declared:
            name = identifier(one.name, taken)
            if owners.setdefault(name, one.name) != one.name:
                raise StoreError(
                    f"Stream {shown(stream)}: properties {shown(one.name)} and {shown(owners[name])} would share the "
                    f"column "
                    f"{shown(name)}. Leave one of them out in the tap's catalog."
                )
            column = Column(one, name, present.get(name, FIRST_TYPE[one.kind]))
            columns.append(column)
            if name not in present:
                fresh.append(column)
                taken[name.lower()] = name
        return columns, fresh

    def _create(self, table: str, columns: Sequence[Column]) -> None:
        if not columns:
            raise StoreError(
                f"Can't make the table {shown(table)}: its schema has no properties. Select some in the tap's catalog."
            )
        definitions = ", ".join(f"{quoted(column.name)} {column.stored}" for column in columns)
        self._run(f"CREATE TABLE {self._qualified(table)} ({definitions})")

    def _fitted(self, stream: str, table: str, column: Column) -> Column:
        wanted = FIRST_TYPE[column.declared.kind]
        return column if column.stored == wanted else self.widen(stream, table, column, wanted)

    def _write(self, batch: Batch) -> None:
        """Stage the lines in a file beside ours, and let DuckDB read them into the table."""
        # People's data: readable by the owner only.
        descriptor = os.open(self._staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as staging:
            staging.write(batch.lines)
        self._run(upsert(batch.codec, self._qualified(batch.table), self._staging, batch.longest))

    def _qualified(self, table: str) -> str:
        return f"{_CATALOG}.{quoted(self.schema)}.{quoted(table)}"

    def _rows(self, query: str, table: str | None = None) -> list[tuple[Any, ...]]:
        """Rows of one of DuckDB's catalog functions that belong to our schema, and to one table if it is named."""
        where, values = "database_name = ? AND lower(schema_name) = lower(?)", [_CATALOG, self.schema]
        if table is not None:
            where, values = f"{where} AND table_name = ?", [*values, table]
        order = " ORDER BY column_index" if table is not None else ""
        return self._run(f"{query} WHERE {where}{order}", values).fetchall()

    def _any(self, query: str) -> bool:
        return bool(self._run(query).fetchall())

    def _run(self, query: str, values: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise StoreError(f"{self.path} is not open.")
        return self._connection.execute(query, values) if values else self._connection.execute(query)

    def _unlink_staging(self) -> None:
        with contextlib.suppress(OSError):
            self._staging.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError, MemoryError) as problem:
            raise self._failed(doing, problem) from None

    def _failed(self, doing: str, problem: BaseException) -> StoreError:
        return StoreError(
            f"Can't {doing} {self.path}: {cause(problem)}. What was committed before is safe. {advice(problem)}"
        )

    def _incompatible(self, stream: str, table: str, column: Column, wanted: str) -> StoreError:
        return StoreError(
            f"Stream {shown(stream)}, column {shown(column.name)}: the table {shown(table)} in {self.path} stores it "
            f"as {column.stored}, "
            f"the schema now declares {wanted}, and no type holds both without loss. Convert the column (ALTER TABLE "
            f"… ALTER … SET DATA "
            "TYPE … USING …), rename it, or drop the table and load it again."
        )


def _holder(problem: duckdb.Error) -> str:
    """Who has the file, in DuckDB's words, when it says so."""
    _, found, rest = str(problem).partition("Conflicting lock is held in ")
    return f"(Held by {rest.split('. ')[0]})" if found else ""


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise StoreError(
            f"Can't open {path}: there is no user of that name. Set `path` to the file itself, without `~`."
        ) from None
