"""Measure how the time of a backfill grows with history, span and workers, from the sandbox into a real PostgreSQL.

    python3 run.py scale

Without Dagster, which adds its seconds to each unit. The sandbox waits before each response, as a vendor far away does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "orchestrate"))

from bench import warehouses  # noqa: E402 - behind the path
from bench.jobs import installed  # noqa: E402 - same
from bench.server import serving  # noqa: E402 - same
from trunkline_orchestrate import pipe, sources, unit  # noqa: E402 - same
from trunkline_orchestrate.plan import Unit  # noqa: E402 - same

from trunkline_sandbox import Sandbox  # noqa: E402 - same

LATENCY = 0.2
"""Seconds before each response."""
ROWS_A_DAY = 250
DAYS = 28
GRID = (
    (14, "P14D", 1),
    (28, "P28D", 1),
    (28, "P14D", 1),
    (28, "P7D", 1),
    (28, "P14D", 2),
    (28, "P7D", 2),
    (28, "P7D", 4),
)
"""Days of history, span of a unit, workers."""
LIMITED = ((14, "P14D", 1), (28, "P28D", 1), (28, "P14D", 1))
"""The same for a vendor with a limit of requests, which one unit uses up."""
RECORDS = 30_000


def main() -> int:
    """Measure, and print two tables."""
    target = installed("target-postgres")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trunkline-scale-")))
        url = stack.enter_context(warehouses.postgres())
        server = stack.enter_context(serving(ROWS_A_DAY * DAYS, LATENCY, DAYS))
        print(f"{LATENCY} s before each response, {ROWS_A_DAY} calls a day, one request at a time in each unit\n")
        print("| vendor | days | span | units | workers | seconds | requests | rows a second |")
        print("|---|---|---|---|---|---|---|---|")
        for vendor, grid in (("hostedsuite", GRID), ("bspk", LIMITED)):
            for days, span, workers in grid:
                at = folder / f"{vendor}-{days}-{span}-{workers}"
                made = _settings(server.url, vendor, at, url, target, days, span, workers)
                _tables(made, vendor)
                server.forget_requests()
                units, seconds, rows = _all(made, vendor, workers)
                requests, _ = server.requests(vendor)
                cells = (vendor, days, span, units, workers, f"{seconds:.1f}", requests, f"{rows / seconds:.0f}")
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print("\n| vendor | CPU of the tap, µs a record | of target-postgres | of PostgreSQL | its log, bytes a record |")
    print("|---|---|---|---|---|")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trunkline-scale-")))
        url = stack.enter_context(warehouses.postgres())
        server = stack.enter_context(serving(RECORDS, 0.0, DAYS))
        for vendor in ("bspk", "hostedsuite", "conpeek"):
            figures = " | ".join(f"{one:.0f}" for one in _cpu(server.url, vendor, folder, url, target))
            print(f"| {vendor} | {figures} |", flush=True)
    return 0


def _settings(  # noqa: PLR0913, PLR0917 - what the table varies
    sandbox: str, vendor: str, at: Path, url: str, target: str, days: int, span: str, workers: int
) -> sources.Settings:
    config = {**Sandbox(size=1).config(vendor, sandbox), "concurrency": 1}
    return sources.of({
        "folder": str(at),
        "since": "2026-01-01",
        "until": f"2026-01-{days + 1:02d}",
        "span": span,
        "workers": workers,
        "target": {"command": [target], "config": _target(url, at.name)},
        "sources": {vendor: {"config": config, "limit": workers}},
    })  # fmt: skip


def _target(url: str, schema: str) -> dict[str, Any]:
    return {
        "sqlalchemy_url": url.replace("postgresql://", "postgresql+psycopg://"),
        "default_target_schema": schema.replace("-", "_").lower(),
    }


def _tables(made: sources.Settings, vendor: str) -> None:
    """Make the tables, which the first unit does alone."""
    since = made.source(vendor).since
    assert since is not None  # noqa: S101 - given above
    unit.run(made, Unit(vendor, since, since + timedelta(hours=1)))


def _all(made: sources.Settings, vendor: str, workers: int) -> tuple[int, float, int]:
    """Run all units, as many at once as there are workers."""
    units = unit.planned(made, vendor)
    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda one: unit.run(made, one), units))
    return len(units), time.monotonic() - began, sum(result.rows or 0 for result in results)


_COUNT = """
import json, os, subprocess, sys
source, target, output = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
with open(output, "wb") as out, open(os.devnull, "wb") as away:
    tap = subprocess.Popen(source, stdout=subprocess.PIPE if target else out, stderr=away)
    load = subprocess.Popen(target, stdin=tap.stdout, stdout=away, stderr=away) if target else None
    if tap.stdout: tap.stdout.close()
    used = {}
    for _ in range(2 if load else 1):
        pid, status, usage = os.wait4(-1, 0)
        assert status == 0, status
        used[pid] = usage.ru_utime + usage.ru_stime
print(json.dumps([used[tap.pid], used[load.pid] if load else 0.0]))
"""


def _cpu(sandbox: str, vendor: str, folder: Path, url: str, target: str) -> list[float]:
    """Return the CPU microseconds a record, without start-up, of tap, target, server, and bytes of the server's log."""
    found = []
    for until in ("2026-01-02", "2026-01-29"):
        config = {**Sandbox(size=1).config(vendor, sandbox), "start_date": "2026-01-01", "end_date": until}
        if vendor == "bspk":
            config["requests_per_minute"] = 100_000
            _knob(sandbox, vendor, enforce_rate_limit=False)
        tap = [pipe.command(f"tap-{vendor}"), "--config", _file(folder, "tap.json", config)]
        load = [target, "--config", _file(folder, "target.json", _target(url, f"{vendor}_cpu"))]
        line = [sys.executable, "-c", _COUNT, json.dumps(tap), json.dumps(load), os.devnull]
        before = _server_cpu(url), _server_log(url)
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        after = _server_cpu(url), _server_log(url)
        plain = [sys.executable, "-c", _COUNT, json.dumps(tap), "null", str(folder / "lines")]
        subprocess.run(plain, capture_output=True, check=True)
        with (folder / "lines").open("rb") as lines:
            rows = sum(line.startswith(b'{"type":"RECORD"') for line in lines)
        found.append((rows, *json.loads(done.stdout), after[0] - before[0], after[1] - before[1]))
    (few, *used_few), (many, *used_many) = found
    return [(more - less) / (many - few) * 1e6 for less, more in zip(used_few, used_many, strict=True)]


def _server_cpu(url: str) -> float:
    """Return the seconds of CPU of a server on this machine, its ended processes included."""
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    server = psutil.Process(int((folder / "postmaster.pid").read_text(encoding="utf-8").split()[0]))
    own = sum(server.cpu_times()[:4])  # with the children that have ended
    return float(own + sum(sum(child.cpu_times()[:2]) for child in server.children()))


def _server_log(url: str) -> float:
    """Return the bytes of the server's write-ahead log so far, in millions, so that a record's are in bytes."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None  # noqa: S101 - a query of one row
    return float(row[0]) / 1e6


def _file(folder: Path, name: str, values: dict[str, Any]) -> str:
    path = folder / name
    path.write_text(json.dumps(values), encoding="utf-8")
    return str(path)


def _knob(sandbox: str, vendor: str, **values: Any) -> None:
    import urllib.request

    body = json.dumps(values).encode()
    request = urllib.request.Request(f"{sandbox}/_sandbox/knobs/{vendor}", body, method="POST")  # noqa: S310 - loopback
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


if __name__ == "__main__":
    sys.exit(main())
