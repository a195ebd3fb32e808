"""A backfill on Dagster, seen through: five vendors of the sandbox into a real PostgreSQL, one unit failing on purpose.

    python3 run.py backfill
    python3 run.py backfill plan            with words behind it: `trunkline backfill`, for accounts of your own

Dagster's multiprocess executor loads the units, retries the one that fails, and sets the bookmarks. What PostgreSQL
holds is compared with what the vendors have, row by row and field by field. Then the vendors get new rows, and a plain
run of each source must bring these, from its bookmark less the lookback on, and again leave nothing out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environments, warehouses
from bench.jobs import installed
from trunkline_orchestrate import bookmarks, sources, unit

from trunkline import signals
from trunkline_commands import cli
from trunkline_contract import warehouse
from trunkline_sandbox import Running, running

if TYPE_CHECKING:
    from trunkline_orchestrate.sources import Settings, Source

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "output" / "backfill-demo"
LOG = FOLDER / "dagster.log"
SINCE, UNTIL = "2026-01-01", "2026-01-18"
SIZE, DAYS, SPAN = 600, 14, "P9D"
AT = {"conpeek": 2}
"""Units of a source at once, where it is not one."""
FAILS = ("evolux", r"GET /evolux/\S*/cdr", 100)
"""The source that fails once, the requests it fails at, and after how many of them: in the midst of a unit."""

_EVENT = re.compile(r" - (\w+(?:\[\w+\])?) - (STEP_SUCCESS|STEP_FAILURE|STEP_UP_FOR_RETRY)\b")
_FROM = re.compile(r"(\w+)(?: of \w+)?: reading from (\S+) \((.+?)\) to")
_NEW: dict[tuple[str, str], dict[str, Any]] = {
    ("bspk", "calls"): {"created_at": "2026-01-21T09:10:11.123Z"},
    ("conpeek", "voice_campaign_requests"): {
        "id": "6970a0a0a0a0a0a0a0a0a0a0",
        "created_date": "2026-01-21 09:10:11",
        "closed_date": None,
        "state": "OPEN",
    },
    ("evolux", "studio_calls"): {
        "id": 999_999,
        "uuid": "0e4bccbe-3827-4c3d-9d43-0d6b0c0a1b2c",
        "start_time": "2026-01-21T09:10:11+00:00",
    },
    ("hostedsuite", "calls"): {"Id": "6970a0a0a0a0a0a0a0a0a0a0", "StartTime": "2026-01-21T09:10:11Z"},
}
"""Rows that each vendor gets after the backfill."""


def main(arguments: list[str]) -> int:
    """Run it; 0 when nothing is missing and the failure was retried."""
    if arguments:
        return cli.run(["backfill", *arguments])
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        dagster = environments.program("dagster", "dagster")
        target = installed("target-postgres")
    except environments.NoEnvironment as problem:
        print(problem, file=sys.stderr)
        return 1
    with running(size=SIZE, days=DAYS) as sandbox, warehouses.postgres() as url:
        path, settings = _settings(sandbox, url, target)
        sandbox.sandbox.fault("status", FAILS[1], status=503, times=1, after=FAILS[2])
        _print(began, f"Dagster: job backfill, {settings.workers} processes (log: {LOG.relative_to(ROOT)})")
        code, retried = _dagster(dagster, path, began)
        if code:
            print(f"\nDagster ended with exit code {code}: see {LOG}", file=sys.stderr)
            return 1
        loaded = time.monotonic() - began
        first = {name: _Seen(name, sandbox, url) for name in settings.sources}
        requests = {name: len(sandbox.sandbox.requests.of(name)) for name in settings.sources}
        for (vendor, stream), values in _NEW.items():
            sandbox.sandbox.upsert(vendor, stream, [{**sandbox.sandbox.truth(vendor, stream)[-1], **values}])
        marks = {name: bookmarks.marks(_state(settings, name)) for name in settings.sources}
        sandbox.sandbox.requests.clear()
        for name in settings.sources:
            done = _plain(str(Path(dagster).with_name("python")), path, name)
            if done.returncode:
                print(f"the plain run of {name} failed:\n{done.stderr}", file=sys.stderr)
                return 1
            _print(began, done.stdout.strip())
        second = {name: _Seen(name, sandbox, url) for name in settings.sources}
        again = {name: len(sandbox.sandbox.requests.of(name)) for name in settings.sources}
    print(f"\nThe backfill took {loaded:.0f} s, with what Dagster needs to start.\n")
    bad = _table(settings, retried, first, second, requests, again)
    for name, source in settings.sources.items():
        bad += _goes_on(settings, source, marks[name])
    if retried != {FAILS[0]: 1}:
        bad.append(f"one failure of {FAILS[0]} should have been retried, and nothing else: {retried}")
    print("\n" + "\n".join(bad or ["Nothing is missing, nothing is there twice, and the failure was retried."]))
    return 1 if bad else 0


class _Seen:
    """Rows of a source, and those of them that PostgreSQL holds."""

    def __init__(self, name: str, sandbox: Running, url: str) -> None:
        self.rows, self.bad = 0, []
        since = warehouse.instant(f"{SINCE}T00:00:00Z")
        for stream_name in [stream for vendor, stream in warehouse.LOADED if vendor == name]:
            truth = warehouse.expected(sandbox.sandbox, name, stream_name, since)
            held = warehouse.postgres_rows(url, name, stream_name)
            self.rows += len(held)
            if held != truth:
                self.bad.append(f"{name} {stream_name}: {len(truth)} rows, {len(held)} in PostgreSQL, or not the same")


def _settings(sandbox: Running, url: str, target: str) -> tuple[Path, Settings]:
    names = sorted(name for name in sandbox.sandbox.vendors if name in {vendor for vendor, _ in warehouse.LOADED})
    raw = {
        "folder": str(FOLDER),
        "since": SINCE,
        "until": UNTIL,
        "span": SPAN,
        "workers": 2,
        "retry_delay": "PT2S",
        "target": {
            "command": [target],
            "config": {
                "sqlalchemy_url": url.replace("postgresql://", "postgresql+psycopg://"),
                "default_target_schema": "tap_{vendor}",
                "load_method": "upsert",
            },
        },
        "sources": {
            # One try for each request of Evolux, so that the fault is one of the unit.
            name: {
                "config": {**sandbox.config(name), **({"max_attempts": 1} if name == FAILS[0] else {})},
                "limit": AT.get(name, 1),
            }
            for name in names
        },
    }
    path = FOLDER / "backfill.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    return path, sources.load(path)


def _environment(path: Path) -> dict[str, str]:
    ours = ("TAP_", "TARGET_", "DAGSTER_", "TRUNKLINE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) and name != "VIRTUAL_ENV"}
    home = FOLDER / "home"
    home.mkdir(exist_ok=True)
    shutil.copy(ROOT / "orchestrate" / "dagster.yaml", home)
    return {
        **kept,
        "DAGSTER_HOME": str(home),
        "TRUNKLINE_BACKFILL": str(path),
        "PYTHONPATH": str(ROOT / "orchestrate"),
        "NO_COLOR": "1",
    }


def _dagster(program: str, path: Path, began: float) -> tuple[int, dict[str, int]]:
    """Run the job; its exit code, and how often steps of each source were retried."""
    module = ["-m", "trunkline_orchestrate.definitions", "-d", str(ROOT / "orchestrate")]
    process = subprocess.Popen(
        [program, "job", "execute", *module, "-j", "backfill"],
        cwd=ROOT,
        env=_environment(path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process, LOG.open("w", encoding="utf-8") as log:
        for line in process.stdout or ():
            log.write(line)
            log.flush()
            found = _EVENT.search(line)
            if found:
                _print(began, f"{found[1]}: {found[2].removeprefix('STEP_').replace('_', ' ').lower()}")
    python = str(Path(program).with_name("python"))
    # What the log shows of a step's end may be torn by another step's line: Dagster's own records are not.
    counted = subprocess.run(
        [python, "-W", "ignore", "-c", _RETRIED], env=_environment(path), capture_output=True, text=True, check=True
    )
    retried: dict[str, int] = json.loads(counted.stdout.splitlines()[-1])
    return process.returncode, retried


_RETRIED = """
import collections, json, dagster
with dagster.DagsterInstance.get() as instance:
    (run,) = instance.get_run_ids()
    events = [entry.dagster_event for entry in instance.all_logs(run) if entry.dagster_event]
again = [event.step_key for event in events if event.event_type_value == "STEP_UP_FOR_RETRY"]
print(json.dumps(collections.Counter(key.partition("[")[0].removeprefix("load_") for key in again)))
"""


def _plain(python: str, path: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "trunkline_commands", "backfill", "plain", name]
    return subprocess.run(command, cwd=ROOT, env=_environment(path), capture_output=True, text=True, check=False)


def _state(settings: Settings, name: str) -> dict[str, Any]:
    return unit.read(settings.folder / name / "state.json") or {}


def _goes_on(settings: Settings, source: Source, marks: dict[bookmarks.Place, bookmarks.Mark]) -> list[str]:
    """Check that a plain run read from its bookmark less the lookback on; a line for each problem."""
    if not source.dated:
        return []
    log = (settings.folder / source.name / "logs" / "plain.tap.log").read_text(encoding="utf-8")
    # Streams that are read from the same responses log it once.
    found = {warehouse.instant(since) for _, since, _ in _FROM.findall(log)}
    expected = {mark.at - source.lookback for mark in marks.values()}
    return (
        [] if found == expected else [f"{source.name}: the plain run began at {found}, and should have at {expected}"]
    )


def _table(
    settings: Settings,
    retried: dict[str, int],
    first: dict[str, _Seen],
    second: dict[str, _Seen],
    *requests: dict[str, int],
) -> list[str]:
    """Print the figures; what is wrong in them."""
    rows = [
        ("source", "units", "retried", "seconds", "requests", "rows", "same", "requests after", "rows after", "same")
    ]
    for name in settings.sources:
        done = [unit.finished(settings, one) for one in unit.planned(settings, name)]
        rows.append((
            name,
            f"{sum(result is not None for result in done)} of {len(done)}",
            str(retried.get(name, 0)),
            f"{sum(result.seconds for result in done if result):.1f}",
            f"{requests[0][name]:,}",
            f"{first[name].rows:,}",
            "no" if first[name].bad else "yes",
            f"{requests[1][name]:,}",
            f"{second[name].rows:,}",
            "no" if second[name].bad else "yes",
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return [line for seen in (*first.values(), *second.values()) for line in seen.bad]


def _print(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    signals.leave(main(sys.argv[1:]))
