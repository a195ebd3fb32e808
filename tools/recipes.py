"""Try the recipes of docs/recipes.md, each with the real tool, against the sandbox: `python3 run.py recipes`.

Pipes into PostgreSQL, CSV and JSON lines; dlt; `meltano el` in parallel; the container's file and the units of systemd
by their own checkers. What arrives is compared with what the vendor has. Each tool has an environment of its own.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from bench import environments, warehouses
from bench.jobs import installed
from tools import meltano_yml

from trunkline_contract import warehouse
from trunkline_sandbox import Running, running

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
SINCE = "2026-01-01"
TAP = str(Path(sys.executable).with_name("tap-evolux"))
MELTANO = str(Path(sys.executable).with_name("meltano"))
STREAMS = ("studio_calls", "studio_cdr")
EDGES = ("2026-01-01", "2026-01-04", "2026-01-08", "2026-01-12", "2026-01-16")
_PIPE = "set -o pipefail; {tap} --config tap.json | {target} --config target.json > state.jsonl"


class Wrong(Exception):  # noqa: N818 - reads as what happened
    """A recipe did not do what its page describes."""


def main(names: list[str]) -> int:
    """Try the recipes; 0 when all of those that could be tried work."""
    failed = 0
    with running(size=300) as sandbox:
        for name, recipe in RECIPES.items():
            if names and name not in names:
                continue
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="recipe-") as folder:
                try:
                    result = recipe(Path(folder), sandbox)
                except (Wrong, environments.NoEnvironment, subprocess.CalledProcessError) as problem:
                    failed += 1
                    result = f"FAILED: {problem}"
            print(f"{name:<12} {time.monotonic() - began:5.1f} s  {result}", flush=True)
    return 1 if failed else 0


def postgres(folder: Path, sandbox: Running) -> str:
    """Return a plain pipe into target-postgres, twice: rows are updated, not doubled."""
    _config(folder, sandbox)
    target = installed("target-postgres")
    with warehouses.postgres() as url:
        sqlalchemy = url.replace("postgresql://", "postgresql+psycopg://")
        _write(folder / "target.json", {**_shown("PostgreSQL"), "sqlalchemy_url": sqlalchemy})
        for _ in range(2):
            _shell(_PIPE.format(tap=TAP, target=target), folder)
        for stream in STREAMS:
            _same(warehouse.postgres_rows(url, "evolux", stream), _truth(sandbox, stream), stream)
    return f"{len(_truth(sandbox, STREAMS[0]))} calls and their details, the same after a second load"


def older_duckdb(folder: Path, sandbox: Running) -> str:
    """Return a plain pipe into target-duckdb; an older DuckDB reads the file."""
    _config(folder, sandbox)
    _write(folder / "target.json", {"path": "calls.duckdb"})
    for _ in range(2):
        _shell(_PIPE.format(tap=TAP, target=Path(sys.executable).with_name("target-duckdb")), folder)
    script = (
        "import duckdb, json, sys; file = duckdb.connect('calls.duckdb', read_only=True); "
        "print(json.dumps([file.table(name).count('*').fetchone()[0] for name in sys.argv[1:]]))"
    )
    line = [environments.program("older-duckdb"), "-c", script, *STREAMS]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(done.stderr[-500:])
    _same(json.loads(done.stdout), [len(_truth(sandbox, stream)) for stream in STREAMS], "rows")
    return f"DuckDB {environments.versions('older-duckdb')['duckdb']} reads the file"


def files(folder: Path, sandbox: Running) -> str:
    """Return a plain pipe into target-csv, twice: a line for each row, and the files of the first run stay."""
    _config(folder, sandbox)
    _write(folder / "target.json", {**_shown("CSV"), "output_path": str(folder)})
    kept: dict[Path, bytes] = {}
    for _ in range(2):
        _shell(_PIPE.format(tap=TAP, target=environments.program("csv", "target-csv")), folder)
        _same({path: path.read_bytes() for path in kept}, kept, "files of the first run")
        kept = {path: path.read_bytes() for path in folder.glob("*.csv")}
    for stream in STREAMS:
        written = sorted(folder.glob(f"{stream}.*.csv"))
        _same(len(written), 2, f"files of {stream}")
        for path in written:
            with path.open(encoding="utf-8", newline="") as file:
                found = sorted(int(row[_key(stream)]) for row in csv.DictReader(file))
            _same(found, sorted(key for (key,) in _truth(sandbox, stream)), stream)
    return "a file for each stream and run, a line for each row"


def lines(folder: Path, sandbox: Running) -> str:
    """Return a plain pipe into target-jsonl: the records as they are."""
    _config(folder, sandbox)
    _write(folder / "target.json", {"destination_path": str(folder), "do_timestamp_file": False})
    _shell(_PIPE.format(tap=TAP, target=environments.program("jsonl", "target-jsonl")), folder)
    for stream in STREAMS:
        rows = [json.loads(line) for line in (folder / f"{stream}.jsonl").read_text(encoding="utf-8").splitlines()]
        _same(warehouse.by_key("evolux", stream, rows), _truth(sandbox, stream), stream)
    return "a file for each stream, the records whole"


def with_dlt(folder: Path, sandbox: Running) -> str:
    """Return the tap as a source of dlt, twice: the second time from the bookmark that dlt keeps."""
    _config(folder, sandbox)
    requests = []
    for _ in range(2):
        sandbox.sandbox.requests.clear()
        _dlt(folder, TAP)
        requests.append(len(sandbox.sandbox.requests.of("evolux")))
        for stream in STREAMS:
            query = f"SELECT {_key(stream)} FROM tap_evolux.{stream} ORDER BY 1"  # noqa: S608 - names of our own
            found = [key for (key,) in _query(folder, query)]
            _same(found, sorted(key for (key,) in _truth(sandbox, stream)), stream)
    if requests[1] >= requests[0] / 2:
        raise Wrong(f"the second load sent {requests[1]} requests, the first {requests[0]}: not from the bookmark")
    return f"{requests[0]} requests, then {requests[1]} from the bookmark on; {_dlt_types(folder / 'types')}"


def _dlt_types(folder: Path) -> str:
    """Load values that show no type: the columns must be those of the tap's SCHEMA."""
    folder.mkdir()
    schema = json.loads((ROOT / "schemas" / "hostedsuite" / "calls.json").read_text(encoding="utf-8"))["properties"]
    with running(size=3) as sandbox:
        _write(folder / "tap.json", {**sandbox.config("hostedsuite"), "start_date": SINCE})
        known = sandbox.sandbox.truth("hostedsuite", "calls")
        empty = {**dict.fromkeys(known[-1]), "StartTime": known[-1]["StartTime"]}
        odd = ({"RingTimeInSeconds": 0, "Notes": "2026-01-05"}, {"RingTimeInSeconds": 3.5, "Notes": "none"})
        # The vendor has nothing else: all other columns are null in every row.
        sandbox.sandbox.upsert("hostedsuite", "calls", [{**empty, "Id": row["Id"]} for row in known])
        new = [{**empty, **values, "Id": f"{number:024}"} for number, values in enumerate(odd)]
        sandbox.sandbox.upsert("hostedsuite", "calls", new)
        _dlt(folder, TAP.replace("evolux", "hostedsuite"))
    listed = _query(folder, "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'calls'")
    made = {name.replace("_", ""): kind for name, kind in listed if not name.startswith("_dlt")}
    expected = {name.replace("_", "").lower(): _DLT_TYPES[_kind(spec)] for name, spec in schema.items()}
    _same(made, expected, "columns")
    values = "SELECT ring_time_in_seconds, notes FROM tap_hostedsuite.calls WHERE notes IS NOT NULL ORDER BY id"
    _same(_query(folder, values), [(0.0, "2026-01-05"), (3.5, "none")], "odd values")
    return f"{len(made)} columns with the types of the SCHEMA"


_DLT_TYPES = {
    "string": "VARCHAR",
    "date-time": "TIMESTAMP WITH TIME ZONE",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "object": "JSON",
    "array": "JSON",
}


def _kind(spec: dict[str, Any]) -> str:
    kinds = [spec["type"]] if isinstance(spec["type"], str) else spec["type"]
    return str(spec.get("format") or next(kind for kind in kinds if kind != "null"))


def _dlt(folder: Path, tap: str) -> None:
    script = ROOT / "orchestrate" / "recipes" / "dlt_pipeline.py"
    _shell(f"{environments.program('dlt')} {script} {tap} tap.json calls.duckdb", folder)


def _query(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "calls.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def parallel(folder: Path, sandbox: Running) -> str:
    """Run `meltano el` three times at once, each with a span and a state of its own, into one PostgreSQL.

    The first span goes alone: it makes the tables, which several at once would all try to make.
    """
    meltano_yml.copied(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    with warehouses.postgres() as url:
        sqlalchemy = url.replace("postgresql://", "postgresql+psycopg://")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAP_", "TARGET_", "MELTANO_"))
        }
        base = {
            **kept,
            "TARGET_POSTGRES_SQLALCHEMY_URL": sqlalchemy,
            "TAP_EVOLUX_API_URL": sandbox.api_url("evolux"),
            "MELTANO_STATE_BACKEND_URI": f"file://{folder}/states",
        }
        meltano = [MELTANO, "--environment=sandbox"]
        spans = list(itertools.pairwise(EDGES))
        for together in (spans[:1], spans[1:]):
            lines = {}
            for since, until in together:
                span = {**base, "TAP_EVOLUX_START_DATE": since, "TAP_EVOLUX_END_DATE": until}
                line = [
                    *meltano,
                    "el",
                    "--no-install",
                    "--state-id",
                    f"evolux-{since}",
                    "tap-evolux",
                    "target-postgres",
                ]
                with (folder / f"{since}.log").open("wb") as output:
                    lines[since] = subprocess.Popen(line, cwd=folder, env=span, stdout=output, stderr=output)
            for since, process in lines.items():
                if process.wait():
                    raise Wrong((folder / f"{since}.log").read_text(encoding="utf-8", errors="replace")[-1500:])
        for stream in STREAMS:
            _same(warehouse.postgres_rows(url, "evolux", stream), _truth(sandbox, stream), stream)
    states = len(list((folder / "states").rglob("state.json")))
    _same(states, len(spans), "states")
    return f"one span, then {len(spans) - 1} at once; {states} states"


def dockerfile(folder: Path, sandbox: Running) -> str:
    """Return the container's file: by hadolint, and its own install commands in a folder."""
    del sandbox
    _run([environments.program("dockerfile", "hadolint"), str(ROOT / "Dockerfile")], ROOT)
    uv = str(Path(sys.executable).with_name("uv"))
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "image")], ROOT)
    python = str(folder / "image" / "bin" / "python")
    lock = ["--constraint", "requirements.lock"]
    _run([uv, "pip", "install", "--quiet", "--link-mode=copy", "--python", python, *lock, "."], ROOT)
    _run([str(folder / "image" / "bin" / "tap-evolux"), "--version"], folder)
    size = sum(
        path.stat().st_size for path in (folder / "image").rglob("*") if path.is_file() and not path.is_symlink()
    )
    return f"hadolint finds nothing; {size / 1e6:.0f} MB beside the base image"


def systemd(folder: Path, sandbox: Running) -> str:
    """Return the units, by systemd's own checker, with programs that are there."""
    del sandbox
    checker = shutil.which("systemd-analyze")
    if not checker:
        return "not tried: there is no systemd-analyze here"
    for path in (ROOT / "orchestrate" / "systemd").glob("trunkline@.*"):
        text = path.read_text(encoding="utf-8").replace("/opt/trunkline/.venv/bin/python", sys.executable)
        (folder / path.name).write_text(text.replace("User=trunkline", "User=root"), encoding="utf-8")
    units = [str(folder / f"trunkline@evolux.{kind}") for kind in ("service", "timer")]
    for unit in units:
        Path(unit).symlink_to(folder / Path(unit).name.replace("@evolux", "@"))
    line = [checker, "verify", "--man=no", *units]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "trunkline" in line]
    if done.returncode or complaints:
        raise Wrong("\n".join(complaints or [done.stderr]))
    return "service and timer are as systemd requires them"


RECIPES: dict[str, Callable[[Path, Running], str]] = {
    "postgres": postgres,
    "duckdb": older_duckdb,
    "csv": files,
    "jsonl": lines,
    "dlt": with_dlt,
    "meltano": parallel,
    "dockerfile": dockerfile,
    "systemd": systemd,
}


def _config(folder: Path, sandbox: Running) -> None:
    _write(folder / "tap.json", {**sandbox.config("evolux"), "start_date": SINCE})


def _shown(target: str) -> dict[str, Any]:
    """Return the config of a target as the page shows it."""
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {target} |"))
    config: dict[str, Any] = json.loads(line.split("|")[3].strip().strip("`"))
    return config


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def _shell(line: str, folder: Path) -> None:
    _run(["bash", "-c", line], folder)


def _run(line: list[str], folder: Path, variables: dict[str, str] | None = None) -> None:
    done = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(
            f"{' '.join(line)[:200]} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr[-2000:]}"
        )


def _key(stream: str) -> str:
    (key,) = warehouse.KEYS["evolux", stream]
    return key


def _truth(sandbox: Running, stream: str) -> warehouse.Rows:
    return warehouse.expected(sandbox.sandbox, "evolux", stream, warehouse.instant(f"{SINCE}T00:00:00Z"))


def _same(found: Any, expected: Any, what: str) -> None:
    if found != expected:
        counts = f"{len(found)} and not {len(expected)}" if hasattr(found, "__len__") else f"{found} and not {expected}"
        raise Wrong(f"{what}: {counts}, or not the same")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
