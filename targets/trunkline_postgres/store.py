"""PostgreSQL: tables made and widened by one writer at a time, batches in one transaction, lost connections made anew.

A batch is copied into a temporary table and from there into the stream's, by the key. Where the connection is lost, the
batch is written again over a new one; that a commit whose response was lost has happened is found by its transaction's
number, so that a stream without key does not double.

Two writers do not wait for each other in a circle: a change of a table takes an advisory lock and no second table,
batches take tables in the order of their names and rows in the order of their keys.
"""

# ruff: noqa: S608 - every name in a query went through `quoted`, every text is a parameter

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Any

import psycopg

from trunkline_loader.columns import DELETED_AT, VERSION, quoted
from trunkline_loader.errors import StoreError, shown
from trunkline_loader.store import Store
from trunkline_postgres.columns import AS_GOOD, TYPES
from trunkline_postgres.errors import advice, cause, code, may_pass, place
from trunkline_postgres.sql import COPY, STAGE, conversion, csv, insert, stage_table

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Sequence

    from trunkline_loader.columns import Column
    from trunkline_loader.store import Batch
    from trunkline_postgres.connection import Access

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before another try to reach a server that was reached before."""

_COUNTED = 100_000
"""Rows of a table that are counted at most."""

_FROM = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s"
_NAMES = f"SELECT c.relname {_FROM}"
_TABLE = f"SELECT c.oid, c.relkind::text {_FROM} AND c.relname = %s"
_COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
_UNIQUE = (
    "SELECT array(SELECT a.attname::text FROM unnest(i.indkey) k JOIN pg_attribute a "
    "ON a.attrelid = i.indrelid AND a.attnum = k ORDER BY 1) FROM pg_index i "
    "WHERE i.indrelid = %s AND i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
)


class PostgreSQL(Store):
    """One database and one schema in it.

    Args:
        access: How to connect.
        schema: The schema that gets the tables; made if it is missing.
        logger: For the lines a user sees.
        load_method: `upsert`, `append-only` or `overwrite`.
        hard_delete: Whether ACTIVATE_VERSION deletes rows instead of marking them.
        activate_version: Whether ACTIVATE_VERSION means anything.
        sleep: Waits that many seconds.
    """

    types = TYPES
    longest_name = 63
    arrays = True

    def __init__(  # noqa: PLR0913 - each is one setting
        self,
        access: Access,
        schema: str,
        logger: logging.Logger,
        *,
        load_method: str = "upsert",
        hard_delete: bool = False,
        activate_version: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(access.place, schema, logger)
        self._access, self._sleep = access, sleep
        self._method, self._hard_delete = load_method, hard_delete
        self.activates_versions = activate_version
        self.deleted = "deleted" if hard_delete else "marked as deleted"
        self._emptied: set[str] = set()
        self._writing = ""
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    # -- the connection ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, and make the schema if it is missing."""
        with self._explained("open"):
            self._connection = self._access.connect()
        if not self._rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", self.schema):
            with self.changing(f"make the schema {shown(self.schema)} in", ""):
                self.query(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.schema)}")

    def close(self) -> None:
        """Close the connection; what is not committed is undone."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(psycopg.Error):
                connection.close()
        self._access.close()

    @property
    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None:
            raise StoreError(f"{self.place} is not open")
        return self._connection

    @property
    def _is_broken(self) -> bool:
        return self._open.broken or self._open.closed

    def _reach(self) -> None:
        """Check that the connection is still there, and make it anew if not.

        Raises:
            psycopg.Error: The server can't be reached.
        """
        pauses = iter(PAUSES)
        while True:
            try:
                self._rows("SELECT 1")
            except psycopg.Error as problem:  # noqa: PERF203 - this loop waits
                if not may_pass(problem, broken=self._is_broken) or not self._reconnected(problem, pauses):
                    raise
            else:
                return

    def _reconnected(self, problem: psycopg.Error, pauses: Iterator[float]) -> bool:
        """Return whether there is another try, before which the connection is made anew where that is possible."""
        pause = next(pauses, None)
        if pause is None:
            return False
        self.logger.warning("No response from %s: %s. Trying again in %g s", self.place, cause(problem), pause)
        self._sleep(pause)
        with contextlib.suppress(psycopg.Error, OSError):  # a certificate is away while it is exchanged
            fresh = self._access.connect()
            self._open.close()
            self._connection = fresh
        return True

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self._open.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self._rows(statement)

    @contextlib.contextmanager
    def changing(self, doing: str, table: str | None = None) -> Iterator[None]:
        """Change a table, or make the schema, in a transaction that no other writer's change of it is beside."""
        with self._explained(doing):
            self._reach()
            if table is None:
                yield
                return
            with self._open.transaction():
                self._rows("SELECT pg_advisory_xact_lock(%s)", _lock(self.schema, table))
                yield

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, OSError) as problem:
            raise self._failed(doing, problem) from None

    def _failed(self, doing: str, problem: psycopg.Error | OSError) -> StoreError:
        why = problem.strerror if isinstance(problem, OSError) else cause(problem)
        remedy = advice(problem) if isinstance(problem, psycopg.Error) else "Correct the setting, or put the file there"
        safe = "What was committed before is safe, and the next run goes on from the last state"
        return StoreError(f"Can't {doing} {self.place}", why or "", f"{safe}. {remedy}", code=code(problem))

    # -- tables --------------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of the schema's tables, and of all else that shares their namespace."""
        with self._explained("read the tables of"):
            self._reach()
            return [name for (name,) in self._rows(_NAMES, self.schema)]

    def _found(self, table: str) -> int | None:
        """Return the number of a table; None when there is none.

        Raises:
            StoreError: Something else has its name.
        """
        found = self._rows(_TABLE, self.schema, table)
        if found and found[0][1] not in {"r", "p"}:
            raise StoreError(
                f"Can't load into {shown(table)} in {self.place}",
                "it is a view, or something else that is no table",
                "Rename it, then run again",
                code="table-layout",
            )
        return int(found[0][0]) if found else None

    def stored(self, table: str) -> dict[str, str]:
        """Return a table's columns with their types; a type that is as good as one of ours is called so."""
        number = self._found(table)
        rows = self._rows(_COLUMNS, number) if number else []
        return {name: AS_GOOD.get(kind, kind) for name, kind in rows}

    def qualified(self, table: str) -> str:
        """Return a table in SQL."""
        return f"{quoted(self.schema)}.{quoted(table)}"

    def conversion(self, name: str, stored: str, target: str) -> str:
        """Return SQL that turns a stored value into its like in a wider type."""
        return conversion(name, stored, target)

    def prepare(self, stream: str, table: str, columns: Sequence[Column], keys: Sequence[str]) -> None:
        """Make the unique index that ON CONFLICT needs, if there is none over the key."""
        names = [column.name for column in columns if column.declared.name in keys]
        if not names or self._method == "append-only":
            return
        if any(sorted(names) == found for (found,) in self._rows(_UNIQUE, self._found(table))):
            return
        listed, qualified = ", ".join(quoted(name) for name in names), self.qualified(table)
        if self.query(f"SELECT 1 FROM {qualified} LIMIT 1"):
            self.logger.warning("Stream %s: making a unique index over the key of %s", shown(stream), shown(table))
            self.query(f"CREATE UNIQUE INDEX ON {qualified} ({listed})")
        elif self._rows("SELECT 1 FROM pg_index WHERE indrelid = %s AND indisprimary", self._found(table)):
            self.query(f"CREATE UNIQUE INDEX ON {qualified} ({listed})")
        else:
            self.query(f"ALTER TABLE {qualified} ADD PRIMARY KEY ({listed})")

    def count(self, table: str) -> str:
        """Count the rows of a table; of a large one take the planner's estimate, as counting reads all of it."""
        with self.changing(f"count the rows of {shown(table)} in"):
            plan = self.query(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {self.qualified(table)}")
            rows = int(plan[0][0][0]["Plan"]["Plan Rows"])
        return super().count(table) if rows <= _COUNTED else f"about {rows:,}"

    def delete(self, table: str, version: int) -> int:
        """Delete the rows whose version is older, or mark them."""
        older, qualified = f"{quoted(VERSION.name)} < {version}", self.qualified(table)
        if self._hard_delete:
            return self._open.execute(f"DELETE FROM {qualified} WHERE {older}".encode()).rowcount
        mark = quoted(DELETED_AT.name)
        self.query(f"ALTER TABLE {qualified} ADD COLUMN IF NOT EXISTS {mark} timestamptz")
        marked = f"UPDATE {qualified} SET {mark} = now() WHERE {older} AND {mark} IS NULL"
        return self._open.execute(marked.encode()).rowcount

    # -- batches -------------------------------------------------------------------------------------------------------

    def load(self, batches: Sequence[Batch]) -> None:
        """Write batches in one transaction; one that was cut off is written again over a new connection."""
        pauses, number = iter(PAUSES), None
        while True:
            try:
                if number is None or not self._is_committed(number):
                    number = self._write(sorted(batches, key=lambda batch: batch.table))
                break
            except Interrupted as interrupted:
                number, problem = interrupted.number or number, interrupted.problem
            except psycopg.Error as refused:
                problem = refused
            if not may_pass(problem, broken=self._is_broken):
                raise self._refused(batches, problem) from None
            if not self._reconnected(problem, pauses):
                raise self._failed("write a batch to", problem) from None
        self._emptied.update(batch.table for batch in batches)

    def _write(self, batches: Sequence[Batch]) -> str | None:
        """Write batches.

        Returns:
            The transaction's number.

        Raises:
            Interrupted: With the number of a transaction that may be committed.
        """
        number = None
        try:
            with self._open.transaction():
                for batch in batches:
                    self._write_one(batch)
                number = str(self._rows("SELECT pg_current_xact_id()::text")[0][0])
        except psycopg.Error as problem:
            raise Interrupted(problem, number) from None
        return number

    def _write_one(self, batch: Batch) -> None:
        self._writing, into = batch.table, self.qualified(batch.table)
        if self._method == "overwrite" and batch.table not in self._emptied:
            self.query(f"TRUNCATE {into}")
        self.query(stage_table(batch.codec))
        with self._open.cursor() as cursor, cursor.copy(COPY.encode()) as copy:
            for part in csv(batch.lines):
                copy.write(part)
        self.query(insert(batch.codec, into, append=self._method == "append-only"))
        self.query(f"DROP TABLE pg_temp.{STAGE}")

    def end(self, tables: Sequence[str]) -> None:
        """Empty the tables of streams without a record, where tables are to be overwritten."""
        for table in tables if self._method == "overwrite" else ():
            if table not in self._emptied:
                with self.changing(f"empty the table {shown(table)} in", table):
                    self.query(f"TRUNCATE {self.qualified(table)}")

    def _is_committed(self, number: str) -> bool:
        """Return whether a transaction whose commit had no response is committed; one that still runs is waited for."""
        for pause in (*PAUSES, None):
            status = self._rows("SELECT pg_xact_status(%s::text::xid8)", number)[0][0]
            if status != "in progress":
                return bool(status == "committed")
            if pause is not None:
                self._sleep(pause)
        raise StoreError(f"Can't write a batch to {self.place}", "the server has not ended a cut off transaction yet")

    def _refused(self, batches: Sequence[Batch], problem: psycopg.Error) -> StoreError:
        """Return the error of a batch that PostgreSQL does not take, with stream and field where it names them."""
        error, at = self._failed("write a batch to", problem), place(problem)
        for batch in batches:
            codec = batch.codec
            for column in codec.staged if at and batch.table == self._writing else ():
                if codec.place(column) == at:
                    what = f"Stream {shown(codec.stream)}, field {shown(column.declared.name)}: {error.what}"
                    return StoreError(what, error.why, error.remedy, code=error.code)
        return error


class Interrupted(Exception):  # noqa: N818 - what happened to a batch
    """A batch was not written, or nobody knows.

    Args:
        problem: What was raised.
        number: Of the transaction, once everything of it was sent.
    """

    def __init__(self, problem: psycopg.Error, number: str | None) -> None:
        super().__init__(problem)
        self.problem, self.number = problem, number


def _lock(schema: str, table: str) -> int:
    """Return the number of the advisory lock for changes of a table, the same in every process."""
    digest = hashlib.sha256(f"trunkline\0{schema}\0{table}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
