"""The databases that can be recounted: one small interface, DuckDB's and PostgreSQL's way to do it."""

from __future__ import annotations

import abc
import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg

from trunkline.errors import TrunklineError
from trunkline.redact import redactor
from trunkline_commands.verify.facts import PROOFS
from trunkline_duckdb import errors as duckdb_errors
from trunkline_loader.columns import named, quoted
from trunkline_loader.paths import why_no_file
from trunkline_postgres import errors as postgres_errors
from trunkline_postgres.connection import Access, BadUrl, from_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DUCKDB = "duckdb:///"
_URLS = "duckdb:///path/of.duckdb or postgresql://user:password@host/database"


class DatabaseError(TrunklineError):
    """The database can't be opened, recounted or changed."""

    code = "verify-database"


class Database(abc.ABC):
    """A database that a loader has written to."""

    def __init__(self) -> None:
        self.place = ""
        """The database in words, without a password."""

    @abc.abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query and return its rows.

        Raises:
            DatabaseError: The database refuses it, or is gone.
        """

    @abc.abstractmethod
    def changing(self) -> contextlib.AbstractContextManager[None]:
        """Make all changes within one transaction.

        Raises:
            DatabaseError: Nothing was changed.
        """

    @abc.abstractmethod
    def micros(self, name: str, kind: str) -> str:
        """Write a column in SQL as microseconds since 1970; times without a zone are in UTC.

        Args:
            name: The column, quoted.
            kind: Its type.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the database."""

    @functools.cached_property
    def catalog(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """The columns with their types, by schema and table."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for schema, table, column, kind in self.rows(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_catalog = current_database() ORDER BY table_schema, table_name, ordinal_position"
        ):
            found.setdefault(schema, {}).setdefault(table, {})[column] = kind
        return found

    def columns(self, schema: str, stream: str) -> Mapping[str, str]:
        """Name the columns of a stream's table with their types; none where there is no such table."""
        table = self.table(schema, stream)
        return self.catalog[schema][table] if table else {}

    def table(self, schema: str, stream: str) -> str | None:
        """Name the table that holds a stream."""
        return self.found(stream, self.catalog.get(schema, {}))

    def qualified(self, schema: str, stream: str) -> str:
        """Write a stream's table in SQL."""
        return f"{quoted(schema)}.{quoted(self.table(schema, stream) or stream)}"

    @staticmethod
    def found(name: str, present: Mapping[str, Any]) -> str | None:
        """Find the name that a loader made of a stream's or field's: itself, with digits behind it, in another case."""
        alike = [one for one in present if one.lower() == name.lower()]
        exact = next((one for one in (name, named(name, {name: ""}, str)) if one in present), None)
        return exact or (alike[0] if len(alike) == 1 else None)

    def with_proofs(self) -> list[str]:
        """Name the schemas that hold proofs."""
        return [schema for schema in self.catalog if self.table(schema, PROOFS)]


class DuckDB(Database):
    """A DuckDB file.

    Args:
        path: The file.
        writes: Whether it is to be changed; otherwise it is opened to be read only.

    Raises:
        TrunklineError: It is not there, no DuckDB file, or another process writes to it.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        super().__init__()
        self.place = str(path)
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a folder that may not be entered
            raise DatabaseError(f"can't open {path}", "there is no such file", f"Correct --database ({_URLS})")
        self._connection = duckdb.connect()
        try:
            for setting in ("autoinstall_known_extensions = false", "TimeZone = 'UTC'"):
                self._connection.execute(f"SET {setting}")
            # A name of our own: the file's stem may be that of a schema in it, which is ambiguous.
            literal = str(path.absolute()).replace("'", "''")
            self._connection.execute(f"ATTACH '{literal}' AS loaded ({'READ_WRITE' if writes else 'READ_ONLY'})")
            self._connection.execute("USE loaded")
        except duckdb.Error as problem:
            self._connection.close()
            raise DatabaseError(
                f"can't open {path}",
                duckdb_errors.cause(problem),
                "If a target is writing to it, wait until it has ended; else check that it is a DuckDB file",
            ) from None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        try:
            return self._connection.execute(query).fetchall()
        except duckdb.Error as problem:
            raise DatabaseError(f"{self.place} can't be recounted", duckdb_errors.cause(problem)) from None

    def qualified(self, schema: str, stream: str) -> str:
        """Write a stream's table in SQL: with the file, as a schema may be called as DuckDB's own catalogs are."""
        return f"loaded.{super().qualified(schema, stream)}"

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Make all changes within one transaction."""
        self.rows("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self.rows("COMMIT")

    def micros(self, name: str, kind: str) -> str:
        """Write a column in SQL as microseconds since 1970."""
        return f"epoch_us({'TRY_CAST' if kind == 'VARCHAR' else 'CAST'}({name} AS TIMESTAMPTZ))"

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PostgreSQL(Database):
    """A PostgreSQL database.

    Args:
        url: Its URL.
        writes: Whether it is to be changed; otherwise nothing in the session can.

    Raises:
        TrunklineError: The URL is none of PostgreSQL's, or the server can't be reached.
    """

    def __init__(self, url: str, *, writes: bool) -> None:
        super().__init__()
        redactor.add([url])
        try:
            redactor.add([str(value) for name, value in from_url(url).items() if name in {"password", "sslpassword"}])
        except BadUrl as problem:
            raise DatabaseError("can't connect", f"--database {problem}") from None
        access = Access({"sqlalchemy_url": url})
        self.place = access.place
        try:
            self._connection = access.connect()
            if not writes:
                self._connection.execute("SET default_transaction_read_only = on")
        except psycopg.Error as problem:
            raise DatabaseError(
                f"can't connect to {self.place}", postgres_errors.cause(problem), postgres_errors.advice(problem)
            ) from None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        try:
            cursor = self._connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as problem:
            raise DatabaseError(f"{self.place} can't be recounted", postgres_errors.cause(problem)) from None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Make all changes within one transaction."""
        try:
            with self._connection.transaction():
                yield
        except psycopg.Error as problem:
            raise DatabaseError(f"{self.place} can't be changed", postgres_errors.cause(problem)) from None

    def micros(self, name: str, kind: str) -> str:
        """Write a column in SQL as microseconds since 1970."""
        at = name if kind == "timestamp with time zone" else f"{name}::timestamptz"
        return f"(extract(epoch FROM {at}) * 1000000)::bigint"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def connect(url: str, *, writes: bool = False) -> Database:
    """Open the database that a URL names.

    Args:
        url: `duckdb:///path` (relative), `duckdb:////path` (absolute), or a URL of PostgreSQL's.
        writes: Whether it is to be changed.

    Raises:
        TrunklineError: It is no such URL, or can't be opened.
    """
    url = url.strip()
    if not url.lower().startswith("duckdb:"):
        return PostgreSQL(url, writes=writes)
    path = url[len(_DUCKDB) :]
    if not url.lower().startswith(_DUCKDB) or not path or why_no_file(path):
        raise DatabaseError("can't open the database", "the URL names no DuckDB file", f"Give --database {_URLS}")
    return DuckDB(Path(os.path.expanduser(path)), writes=writes)  # noqa: PTH111 - Path raises where there is no home
