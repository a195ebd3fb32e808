"""Rows and proofs as a tap writes them, through the loaders, for tests of `trunkline verify`."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from trunkline_commands import cli
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
NULLABLE: dict[str, Any] = {"type": ["string", "null"]}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
PROOF_KEYS = ["stream", "partition", "since", "until"]
COUNT: dict[str, Any] = {"type": "integer"}
PROOF: dict[str, Any] = {
    "stream": {"type": "string"},
    "partition": {"type": "string"},
    "since": TIME,
    "until": TIME,
    "rows": COUNT,
    "rows_within": COUNT,
    "vendor_total": {"type": ["integer", "null"]},
    "proof": {"type": "string"},
    "read_from": TIME,
    "read_to": TIME,
    "run_started": TIME,
}


def at(hours: float) -> str:
    """An instant, so many hours after the first day's beginning."""
    return (DAY + timedelta(hours=hours)).isoformat()


class Loads:
    """A place that a loader writes to, and the command's runs over it.

    Args:
        url: Of the database, as the command takes it.
        schema: What the loader writes to.
    """

    def __init__(self, url: str, schema: str = "main") -> None:
        self.url, self.schema = url, schema
        self.lines: list[dict[str, Any]] = []
        self._described: set[str] = set()

    def rows(self, stream: str, rows: Sequence[dict[str, Any]], read: float, keys: Sequence[str] = ("id",)) -> Loads:
        """Rows of a stream, read at an hour; a field that is called like a time is one."""
        names = {name: value for row in rows for name, value in row.items()}
        schema = {name: TIME if "20" in str(value)[:2] else NULLABLE for name, value in names.items()}
        schema |= {name: COUNT for name, value in names.items() if isinstance(value, int)}
        self._describe(stream, schema, keys)
        for row in rows:
            self.lines.append({"type": "RECORD", "stream": stream, "record": row, "time_extracted": at(read)})
        return self

    def proof(
        self, stream: str, since: float, until: float, rows: int, read: float, *, within: int | None = None,
        run: float | None = None, **partition: str,
    ) -> Loads:  # fmt: skip
        """A proof of a span, in hours; of a full table both ends are when it was read."""
        self._describe("window_proofs", PROOF, PROOF_KEYS)
        record = {
            "stream": stream, "partition": json.dumps(partition), "since": at(since), "until": at(until), "rows": rows,
            "rows_within": rows if within is None else within, "vendor_total": None, "proof": "total",
            "read_from": at(read), "read_to": at(read), "run_started": at(read if run is None else run),
        }  # fmt: skip
        self.lines.append({"type": "RECORD", "stream": "window_proofs", "record": record, "time_extracted": at(read)})
        return self

    def load(self, **config: Any) -> Loads:
        """Load what was written, once more with each call until something new is written."""
        text = io.StringIO("".join(f"{json.dumps(line)}\n" for line in self.lines))
        settings = {"default_target_schema": self.schema, **config}
        with redirect_stdout(io.StringIO()):
            if self.url.startswith("duckdb"):
                TargetDuckDB(config={"path": self.url.removeprefix("duckdb:///"), **settings}).listen(text)
            else:
                TargetPostgres(config={"sqlalchemy_url": self.url, **settings}).listen(text)
        return self

    def then(self) -> Loads:
        """The same place, for another run's messages."""
        return type(self)(self.url, self.schema)

    def _describe(self, stream: str, properties: dict[str, Any], keys: Sequence[str]) -> None:
        if stream not in self._described:
            self._described.add(stream)
            schema = {"type": "object", "properties": properties}
            self.lines.append({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": list(keys)})

    def verify(self, tap: str, *options: str, schema: bool = True) -> int:
        """Exit code of the command."""
        named = ["--schema", self.schema] if schema else []
        return cli.run(["verify", "--tap", tap, "--database", self.url, *named, *options])


def calls(*hours: float, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    """Calls of Evolux that begin at these hours."""
    return [{"id": start + number, "start_time": at(hour), **more} for number, hour in enumerate(hours)]


def in_file(folder: Path, schema: str = "main") -> Loads:
    """A DuckDB file."""
    return Loads(f"duckdb:///{folder / 'calls.duckdb'}", schema)
