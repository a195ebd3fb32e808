"""A warehouse that our taps and targets filled from the sandbox, and dbt to build the models of `transform/` in it."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
from bench import environments

from trunkline import schemas
from trunkline_contract import warehouse
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from typing_extensions import Self

    from trunkline_sandbox import Running

ROOT = environments.ROOT
ZONE = "Europe/Warsaw"
SINCE, UNTIL = "2026-01-01", "2026-01-16"
"""Around all that the sandbox makes up; the samples of the vendors' pages are older."""
THRESHOLD, SHORT = 10, 30
"""Seconds: all calls of HostedSuite's sandbox are within the default of 20, and few are abandoned within 5."""
VARS = {
    "centre_timezone": ZONE,
    "phone_region": "ZA",  # where the sandbox's customers live
    "service_level_seconds": THRESHOLD,
    "short_abandon_seconds": SHORT,
    "overlap_hours": 0,  # so that a later run can be seen to leave rows alone
}

_SHORT_OFFSET = re.compile(r'(\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d)"')
_DATED = {"bspk", "hostedsuite", "conpeek", "evolux"}


def extract(served: Running, folder: Path) -> dict[str, str]:
    """Run every tap, all of them at once; return what each wrote."""
    running = {}
    for vendor in served.sandbox.vendors:
        config = served.config(vendor) | {"requests_per_minute": 60_000}
        if vendor in _DATED:
            config |= {"start_date": SINCE, "end_date": UNTIL, "window": "P5D"}
        (folder / f"{vendor}.json").write_text(json.dumps(config), encoding="utf-8")
        command = [str(ROOT / ".venv" / "bin" / f"tap-{vendor}"), "--config", str(folder / f"{vendor}.json")]
        running[vendor] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    written = {}
    for vendor, process in running.items():
        written[vendor], log = process.communicate()
        assert process.returncode == 0, log
    written["bspk"] += _clients(served)
    return written


def _clients(served: Running) -> str:
    """Return BSPK's clients as a tap writes them when they are selected, which the plain run above does not."""
    schema = {"type": "SCHEMA", "stream": "clients", "schema": schemas.load("bspk", "clients")}
    rows = [row for row in served.sandbox.truth("bspk", "clients") if row["client_id"]]
    lines = [schema | {"key_properties": ["client_id"]}]
    head = {"type": "RECORD", "stream": "clients", "time_extracted": f"{UNTIL}T00:00:00+00:00"}
    lines += [head | {"record": row} for row in rows]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


class Built:
    """A warehouse with the models in it.

    Attributes:
        kind: `duckdb` or `postgres`.
    """

    kind: str

    def __init__(self, place: str, folder: Path) -> None:
        self.place, self.folder = place, folder

    def load(self, messages: Mapping[str, str]) -> None:
        """Load what the taps wrote, each vendor into its own schema."""
        for vendor, text in messages.items():
            self.target(f"tap_{vendor}").listen(io.StringIO(text))

    def filled(self, messages: Mapping[str, str]) -> Self:
        """Load what the taps wrote and build everything; return this warehouse."""
        self.load(messages)
        self.dbt("build")
        return self

    def dbt(self, *arguments: str, **variables: Any) -> str:
        """Run dbt on the package and return what it printed."""
        command = [
            environments.program("dbt", "dbt"),
            "--no-use-colors",
            *arguments,
            "--vars",
            json.dumps(VARS | variables),
        ]
        places = {"project-dir": ROOT / "transform", "profiles-dir": ROOT / "transform"}
        places |= {"target-path": self.folder / f"dbt-{self.kind}", "log-path": self.folder / "logs"}
        for name, place in places.items():
            command += [f"--{name}", str(place)]
        environment = os.environ | self.profile() | {"DO_NOT_TRACK": "1", "TRUNKLINE_DBT_TARGET": self.kind}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, relation: str, schema: str = "contact_centre") -> list[dict[str, Any]]:
        """Return a table's or view's rows in the one form that `warehouse.canonical` gives them."""
        texts = self.texts(f"{schema}.{relation}")
        found = (json.loads(_SHORT_OFFSET.sub(r'\1:00"', text)) for text in texts)
        return [{name: warehouse.canonical(value) for name, value in row.items()} for row in found]

    def target(self, schema: str) -> Any:
        """Return a target that loads into a schema."""
        raise NotImplementedError

    def profile(self) -> dict[str, str]:
        """Return the variables by which dbt finds the warehouse."""
        raise NotImplementedError

    def copied(self) -> Built:
        """Return a copy of the warehouse, for a test that changes it."""
        raise NotImplementedError

    def texts(self, relation: str) -> Iterable[str]:
        """Return each row as JSON text."""
        raise NotImplementedError

    def run(self, sql: str) -> None:
        """Change something in the warehouse."""
        raise NotImplementedError


class InDuckDB(Built):
    """In a DuckDB file."""

    kind = "duckdb"

    def target(self, schema: str) -> Any:
        return TargetDuckDB(config={"path": self.place, "default_target_schema": schema})

    def profile(self) -> dict[str, str]:
        return {"TARGET_DUCKDB_PATH": self.place}

    def copied(self) -> Built:
        return InDuckDB(shutil.copy(self.place, f"{self.place}.copy"), self.folder)

    def texts(self, relation: str) -> Iterable[str]:
        with duckdb.connect(self.place) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.execute(f"SELECT CAST(to_json(r) AS VARCHAR) FROM {relation} AS r").fetchall()
        return [text for (text,) in found]

    def run(self, sql: str) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{self.place}' AS held (STORAGE_VERSION 'v1.0.0'); USE held")  # dbt's is 1.x
            connection.execute(sql)


class InPostgres(Built):
    """In a database of PostgreSQL, whose folder of sockets is its address."""

    kind = "postgres"

    def __init__(self, place: str, folder: Path, database: str = "calls") -> None:
        super().__init__(place, folder)
        self.database = database

    @property
    def url(self) -> str:
        return f"postgresql://postgres:@/{self.database}?host={self.place}"

    def target(self, schema: str) -> Any:
        return TargetPostgres(config={"sqlalchemy_url": self.url, "default_target_schema": schema})

    def profile(self) -> dict[str, str]:
        return {"TARGET_POSTGRES_HOST": self.place, "TARGET_POSTGRES_DATABASE": self.database}

    def copied(self) -> Built:
        other = InPostgres(self.place, self.folder, "copy")
        with psycopg.connect(InPostgres(self.place, self.folder, "postgres").url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {other.database}".encode())
            connection.execute(f"CREATE DATABASE {other.database} TEMPLATE {self.database}".encode())
        return other

    def texts(self, relation: str) -> Iterable[str]:
        with psycopg.connect(self.url) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.execute(f"SELECT to_jsonb(r)::text FROM {relation} AS r".encode()).fetchall()
        return [text for (text,) in found]

    def run(self, sql: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.encode())
