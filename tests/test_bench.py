"""The small version of the benchmark: what can be counted (requests, bytes, messages, imports) instead of timed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from bench import counting, jobs, measure, report, server

from tap_bspk import Calls, TapBSPK
from trunkline.steps.write import BlockWriter
from trunkline_sandbox import Sandbox, running
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline_sandbox.sandbox import Entry

LATENCY = 0.01
"""Seconds: enough that requests which may overlap do; nothing is measured by it."""

PAGE = {"bspk": 100, "conpeek": 100, "evolux": 50}


class Read:
    """What an installed tap wrote, and what it asked for."""

    def __init__(self, folder: Path, vendor: str, size: int, workers: int) -> None:
        with running(size=size, latency=LATENCY) as served:
            job = jobs.Job(vendor, served.url, workers, PAGE[vendor], "P30D")
            job.write(folder)
            measure.run([jobs.READERS["trunkline"](vendor)], folder)
            self.requests: list[Entry] = served.sandbox.requests.of(vendor)
            self.in_flight = served.sandbox.requests.max_in_flight
        self.lines = (folder / "out").read_bytes().splitlines()
        self.output = counting.read(folder / "out", keys=True)

    def records(self) -> list[Any]:
        """Stream and record of each RECORD line, in order."""
        messages = [msgspec.json.decode(line) for line in self.lines]
        return [(one["stream"], one["record"]) for one in messages if one["type"] == "RECORD"]

    def details(self) -> int:
        """Requests for the detail of a call."""
        return sum(entry.path.endswith("/cdr") for entry in self.requests)


def test_the_served_rows_lie_in_the_span_that_the_jobs_ask_for(tmp_path: Path) -> None:
    """A benchmark of no rows would be the fastest."""
    with server.serving(30, 0.0) as served:
        jobs.Job("hostedsuite", served.url, 1, 100, "P30D").write(tmp_path)
        measure.run([jobs.READERS["trunkline"]("hostedsuite")], tmp_path)
    assert counting.read(tmp_path / "out").rows == 30


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vendor", "size", "requests"), [("bspk", 950, 10), ("evolux", 70, 2 + 70)])
def test_one_worker_sends_the_requests_of_a_serial_tap(tmp_path: Path, vendor: str, size: int, requests: int) -> None:
    """With `concurrency` 1 there is a request for each page and each detail, none besides, and never two at once."""
    read = Read(tmp_path, vendor, size, workers=1)
    assert (len(read.requests), read.in_flight) == (requests, 1)


@pytest.mark.parametrize("vendor", ["bspk", "conpeek", "evolux"])
def test_eight_workers_ask_little_more_and_write_the_same(tmp_path: Path, vendor: str) -> None:
    """Looking ahead costs at most a request for each worker, keeps within the workers, and changes no record."""
    reads = []
    for workers in (1, 8):
        (tmp_path / str(workers)).mkdir()
        reads.append(Read(tmp_path / str(workers), vendor, 150 if vendor == "evolux" else 450, workers))
    serial, ahead = reads
    assert len(serial.requests) <= len(ahead.requests) <= len(serial.requests) + 8
    assert 1 < ahead.in_flight <= 8
    assert ahead.records() == serial.records()


class Output:
    """Standard output that looks, at each write, how far the requests are ahead of what is written."""

    def __init__(self, box: Sandbox, page: int) -> None:
        self._box, self._page = box, page
        self._records = 0
        self.furthest = 0

    def write(self, block: Any) -> int:
        """Count."""
        asked = len(self._box.requests)
        self.furthest = max(self.furthest, asked - self._records // self._page)
        self._records += bytes(block).count(b'{"type":"RECORD"')
        return len(block)

    def flush(self) -> None:
        """Nothing is kept back."""


def test_look_ahead_is_bounded() -> None:
    """However slow the output, at most some ten answers a worker are wanted before their records are written."""
    workers, size = 4, 9000
    box = Sandbox(size=size, vendors=["bspk"])
    output = Output(box, 100)
    config = {"auth_token": "sandbox-bspk-token", "start_date": jobs.START, "end_date": jobs.END}
    only_calls: Any = type("TapBSPK", (TapBSPK,), {"stream_types": (Calls,)})
    tap = only_calls(
        config={
            **config,
            "api_url": "http://127.0.0.1/bspk",
            "concurrency": workers,
            "requests_per_minute": 1_000_000,
        },
        transport=SandboxAdapter(box),
        message_writer=BlockWriter(output),  # type: ignore[arg-type]
    )
    assert tap.run() == 0
    assert len(box.requests) == size // 100
    assert output.furthest <= 12 * workers < size // 100


# -- messages ----------------------------------------------------------------------------------------------------------


def test_details_cost_the_same_each(tmp_path: Path) -> None:
    """Twice the calls take twice the details, twice the pages, no second SCHEMA and no larger STATE."""
    reads = []
    for calls in (100, 200):
        (tmp_path / str(calls)).mkdir()
        reads.append(Read(tmp_path / str(calls), "evolux", calls, 8))
    once, twice = reads
    assert (once.details(), twice.details()) == (100, 200)
    assert len(twice.requests) <= 2.1 * len(once.requests)
    for read in reads:
        assert read.output.messages["SCHEMA"] == len(jobs.STREAMS["evolux"])
        assert read.output.largest_state < 1000
    assert twice.output.state_bytes <= 2.1 * once.output.state_bytes


@pytest.mark.parametrize("vendor", ["bspk", "conpeek"])
def test_one_schema_and_small_states(tmp_path: Path, vendor: str) -> None:
    """One SCHEMA a stream however many windows and campaigns there are, and every STATE under 2 KB."""
    read = Read(tmp_path, vendor, 450, 8)
    assert read.output.messages["SCHEMA"] == 1
    assert 0 < read.output.largest_state < 2000
    assert read.output.distinct == 450


# -- start-up ----------------------------------------------------------------------------------------------------------

HEAVY = {
    "duckdb",
    "openlineage",
    "orjson",
    "pandas",
    "phonenumbers",
    "psycopg",
    "pyarrow",
    "starlette",
    "trunkline_sandbox",
    "uvicorn",
}
"""What only a part of the commands needs; nothing of it may be imported to say a version."""
_VERSION = """
import sys
from {module} import {name} as Tap
sys.argv = ["tap", "--version"]
try:
    Tap.cli()
finally:
    print(*{{module.partition(".")[0] for module in sys.modules}}, sep="\\n")
"""


@pytest.mark.parametrize("vendor", ["BSPK", "Conpeek", "Evolux", "HostedSuite", "SwitchTransact"])
def test_version_imports_little_more_than_the_sdk(vendor: str) -> None:
    """`--version` brings in nothing heavy, and few packages that the SDK itself has not imported already."""
    tap = _VERSION.format(module=f"tap_{vendor.lower()}", name=f"Tap{vendor}")
    sdk = 'import singer_sdk, sys; print(*{name.partition(".")[0] for name in sys.modules}, sep="\\n")'
    ours, theirs = (
        set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())
        for script in (tap, sdk)
    )
    assert not ours & HEAVY - theirs
    assert len(ours - theirs) <= 25


# -- the benchmark itself ----------------------------------------------------------------------------------------------


def test_a_command_is_measured_by_the_operating_system(tmp_path: Path) -> None:
    """The memory of a program is its own, not that of whoever started it, and its output is in the folder."""
    program = "import sys; held = bytearray(60_000_000); print(len(held))"
    large, small = (measure.run([[sys.executable, "-c", one]], tmp_path) for one in (program, "pass"))
    assert large.peak > 60_000_000 > small.peak > 1_000_000
    assert large.cpu > 0 < large.wall


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    """A peer that breaks is no fast peer: exit code and last line are in the error."""
    with pytest.raises(measure.RunFailed, match=r"(?s)exit code 3.*so that is why"):
        measure.run([[sys.executable, "-c", "import sys; print('so that is why'); sys.exit(3)"]], tmp_path)


def test_measured_programs_do_not_inherit_what_slows_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONDONTWRITEBYTECODE and its like stay outside."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("TAP_BSPK_PAGE_SIZE", "1")
    assert not {"PYTHONDONTWRITEBYTECODE", "TAP_BSPK_PAGE_SIZE"} & set(measure.environment())


def test_messages_of_both_protocols_are_counted(tmp_path: Path) -> None:
    """Singer's lines, with blanks or without, and Airbyte's, which nest the row one level deeper."""
    rows = [
        {"type": "RECORD", "stream": "studio_calls", "record": {"id": 1}},
        {"type": "RECORD", "record": {"stream": "studio_calls", "data": {"id": 2}}},
        {"type": "RECORD", "stream": "studio_calls", "record": {"id": 2, "type": "STATE"}},
        {"type": "STATE", "value": {}},
        {"type": "LOG"},
    ]
    lines = [json.dumps(row, separators=((",", ":") if n % 2 else (", ", ": "))) for n, row in enumerate(rows)]
    (tmp_path / "out").write_text("\n".join(lines) + "\n", encoding="utf-8")
    output = counting.read(tmp_path / "out", keys=True)
    assert dict(output.messages) == {"RECORD": 3, "STATE": 1, "other": 1}
    assert (output.rows, output.distinct, output.largest_state) == (3, 2, len(lines[3]) + 1)


def _results(ours: float, limit_requests: int = 408, **more: Any) -> dict[str, Any]:
    def sample(wall: float) -> dict[str, Any]:
        return {"wall": wall, "cpu": 1.0, "peak": 1, "rows": 800, "distinct": 800, "requests": limit_requests}

    peers = {"trunkline": [sample(ours)], "vanilla": [sample(44.0)], "limit": [sample(5.5)]}
    facts = {"size": 400, "latency": 0.1, "workers": 8}
    return {"quick": False, "cases": {"details-100ms-8": {"title": "", "facts": facts, "peers": peers}}, **more}


@pytest.mark.parametrize(("wall", "verdict"), [(6.97, report.REACHED), (6.98, report.MISSED)])
def test_ideal_is_requests_times_latency_over_workers(wall: float, verdict: str) -> None:
    """408 requests of 100 ms over 8 workers are 5.1 s; 1.25 times that and 0.6 s is the most."""
    assert report.verdicts(_results(wall))[0].verdict == verdict


def test_what_was_not_run_is_not_reached() -> None:
    """A target without figures has no verdict, and a quick run has none at all."""
    verdicts = report.verdicts(_results(6.0))
    assert [row.verdict for row in verdicts[:2]] == [report.REACHED, report.REACHED]
    assert {row.verdict for row in verdicts[2:]} == {report.NOT_RUN}
    assert report.verdicts(_results(6.0, quick=True))[0].verdict == report.TOO_SMALL


def test_the_issue_table_is_reported_in_full() -> None:
    """Each line of the table of targets is there, by its first words."""
    lines = " | ".join(row.what for row in report.verdicts(_results(6.0)))
    for words in ("400 calls", "32 workers", "100 pages", "CPU per record, BSPK", "CPU per record, Conpeek", "2N"):
        assert words in lines
    for words in ("STATE", "1,000,000 BSPK", "Conpeek, page 1000", "start-up", "target-duckdb", "Airbyte CDK"):
        assert words in lines
