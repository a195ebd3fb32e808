"""`python3 run.py soak`: five taps for a set time, one request in five fails, runs are killed at random; then compare.

Each vendor has a DuckDB file of its own and is loaded again and again by `tap | target-duckdb`, while rows arrive,
arrive late and change. A run begins at the last STATE that the target passed on, whatever ended the one before. At the
end the faults stop, each vendor is loaded once more, and every row and value in the files must be what the vendor has.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests import warehouse  # noqa: E402 - the path comes first

from trunkline_sandbox import Fault, running  # noqa: E402 - same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_sandbox import Running, Sandbox

BIN = Path(sys.executable).parent
UTC = timezone.utc
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DATA_END = datetime(2026, 1, 15, tzinfo=UTC)
STREAMS: dict[str, tuple[str, ...]] = {}
for _vendor, _stream in warehouse.KEYS:
    STREAMS[_vendor] = (*STREAMS.get(_vendor, ()), _stream)

TIMES = {
    ("bspk", "calls"): "created_at",
    ("evolux", "studio_calls"): "start_time",
    ("evolux", "studio_cdr"): "call_start_time",
    ("hostedsuite", "calls"): "StartTime",
}


def faults(rate: float) -> Iterator[Fault]:
    """One request in so many fails, in each of the ways there are."""
    soon = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT"
    kinds: list[dict[str, Any]] = [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
        {"kind": "status", "status": 429, "headers": {"Retry-After": soon}},
        {"kind": "status", "status": 429, "headers": {"X-RateLimit-Reset": str(int(time.time()))}},
        {"kind": "status", "status": 429, "headers": {"RateLimit-Reset": "0"}},
        {"kind": "reset"},
        {"kind": "stall", "seconds": 2.0},
        {"kind": "cut"},
        {"kind": "html200"},
        {"kind": "broken_json"},
    ]
    for kind in kinds:
        yield Fault(**kind, rate=rate / len(kinds))


@dataclass
class Vendor:
    """One vendor's loads, and what they showed."""

    name: str
    folder: Path
    config: dict[str, Any]
    dice: random.Random
    moment: datetime = DATA_END
    number: int = 0
    state: str = ""
    runs: int = 0
    killed: int = 0
    failed: int = 0
    leaks: list[str] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The DuckDB file."""
        return self.folder / f"{self.name}.duckdb"

    def secrets(self) -> list[str]:
        """What must not be seen anywhere."""
        return [value for name, value in self.config.items() if name in _SECRETS]


_SECRETS = {"auth_token", "api_key", "api_token", "password"}


def change(sandbox: Sandbox, vendor: Vendor) -> None:
    """Let time pass at a vendor: rows arrive, one of them late but within the lookback, and one changes."""
    dice, stamp = vendor.dice, vendor.moment
    vendor.moment += timedelta(minutes=dice.randint(5, 90))
    late = max(stamp - timedelta(hours=dice.randint(0, 18)), FIRST)
    for moment in (stamp, late):
        vendor.number += 1
        number = 900_000 + vendor.number
        if vendor.name == "bspk":
            text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{dice.randint(0, 999):03d}Z"
            row = {"sales_associate_id": "SA_1", "client_id": f"CLI_{number}", "created_at": text}
            sandbox.upsert("bspk", "calls", [row])
        elif vendor.name == "evolux":
            sandbox.upsert(
                "evolux", "studio_calls", [{"id": number, "uuid": f"u-{number}", "start_time": _iso(moment)}]
            )
        elif vendor.name == "hostedsuite":
            row = {"Id": f"{number:024x}", "StartTime": _iso(moment).replace("+00:00", "Z")}
            sandbox.upsert("hostedsuite", "calls", [row])
        elif vendor.name == "conpeek":
            _conpeek(sandbox, dice, number, moment)
    if vendor.name == "switchtransact":
        contact = dice.choice(sandbox.truth("switchtransact", "contacts"))
        sandbox.upsert("switchtransact", "contacts", [{**contact, "lastname": f"Changed {vendor.runs}"}])


def _conpeek(sandbox: Sandbox, dice: random.Random, number: int, moment: datetime) -> None:
    stamp, stream = moment.strftime("%Y-%m-%d %H:%M:%S"), "voice_campaign_requests"
    campaigns = sandbox.config("conpeek", "")["voice_campaign_ids"]
    row = {"id": f"{number:024x}", "voice_campaign_id": dice.choice(campaigns), "created_date": stamp, "state": "OPEN"}
    sandbox.upsert("conpeek", stream, [{**row, "closed_date": None}])
    still_open = [row for row in sandbox.truth("conpeek", stream) if row["state"] != "CLOSED"]
    if still_open:
        one = dice.choice(still_open)
        closed = max(stamp, one["created_date"])
        sandbox.upsert("conpeek", stream, [{**one, "state": "CLOSED", "closed_date": closed}])


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def load(vendor: Vendor, *, may_kill: bool) -> None:
    """Run `tap | target-duckdb` once, and perhaps kill one of the two."""
    config, target = vendor.folder / f"{vendor.name}.json", vendor.folder / f"{vendor.name}-target.json"
    config.write_text(json.dumps(vendor.config))
    target.write_text(json.dumps({"path": str(vendor.file), "default_target_schema": f"tap_{vendor.name}"}))
    command = [str(BIN / f"tap-{vendor.name}"), "--config", str(config)]
    if vendor.state:
        state = vendor.folder / f"{vendor.name}-state.json"
        state.write_text(vendor.state)
        command += ["--state", str(state)]
    log = vendor.folder / f"{vendor.name}.log"
    with log.open("wb") as errors, log.with_suffix(".target.log").open("wb") as target_errors:
        tap = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        loader = subprocess.Popen(
            [str(BIN / "target-duckdb"), "--config", str(target)],
            stdin=tap.stdout, stdout=subprocess.PIPE, stderr=target_errors,
        )  # fmt: skip
        if tap.stdout:
            tap.stdout.close()
        killer = _killer(vendor, tap, loader) if may_kill and vendor.dice.random() < 0.5 else None  # noqa: PLR2004 - a coin
        out = loader.communicate()[0]
        if killer:
            killer.cancel()
        code, vendor_peak = _reap(tap)
    vendor.runs += 1
    vendor.peaks.append(vendor_peak)
    vendor.failed += code != 0
    states = [line for line in out.decode().splitlines() if line.startswith("{")]
    vendor.state = states[-1] if states else vendor.state
    seen = log.read_text(errors="replace") + log.with_suffix(".target.log").read_text(errors="replace") + vendor.state
    vendor.leaks += [secret for secret in vendor.secrets() if secret in seen]
    if not may_kill and (code or loader.returncode):
        print(f"{vendor.name}: the undisturbed run failed ({code}, {loader.returncode}):\n{seen[-2000:]}")


def _reap(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """The exit code and the largest memory (MiB) of a process."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss // 1024


def _killer(vendor: Vendor, *processes: subprocess.Popen[bytes]) -> threading.Timer:
    victim = vendor.dice.choice(processes)
    number = vendor.dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))

    def kill() -> None:
        vendor.killed += 1
        victim.send_signal(number)

    timer = threading.Timer(vendor.dice.uniform(0.4, 4.0), kill)
    timer.start()
    return timer


def compare(served: Running, vendor: Vendor) -> list[str]:
    """What is in the file and should not be, or should be and is not."""
    found = []
    for stream in STREAMS[vendor.name]:
        truth = warehouse.expected(served.sandbox, vendor.name, stream)
        column = TIMES.get((vendor.name, stream))
        truth = {key: row for key, row in truth.items() if not column or row[column] >= FIRST}
        held = warehouse.duckdb_rows(vendor.file, vendor.name, stream)
        missing, more = truth.keys() - held.keys(), held.keys() - truth.keys()
        other = [key for key in truth.keys() & held.keys() if truth[key] != held[key]]
        found += [
            f"{vendor.name}.{stream}: {len(missing)} missing, {len(more)} too many, {len(other)} different"
        ] * bool(missing or more or other)
        print(f"  {vendor.name + '.' + stream:42} {len(held):6} rows in the file, {len(truth):6} at the vendor")
        for key in [*sorted(missing, key=str)[:3], *sorted(other, key=str)[:3]]:
            found.append(f"    {key}: vendor {truth.get(key)} file {held.get(key)}")
    return found


def main() -> int:
    """Run the soak.

    Returns:
        0 when nothing was lost, doubled or leaked, and memory stayed flat.
    """
    parser = argparse.ArgumentParser(prog="run.py soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.2, help="share of requests that fail")
    options = parser.parse_args()
    print(
        f"soak: {options.seconds:.0f} s, one request in {1 / options.rate:.0f} fails, seed {options.seed}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder, running(size=200, seed=options.seed) as served:
        served.sandbox.faults.add(*faults(options.rate))
        vendors = [
            Vendor(name, Path(folder), _config(served, name), random.Random(f"{options.seed}/{name}"))  # noqa: S311 - no secret
            for name in STREAMS
        ]
        deadline = time.monotonic() + options.seconds
        threads = [threading.Thread(target=_keep_loading, args=(served, vendor, deadline)) for vendor in vendors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return _judge(served, vendors)


def _config(served: Running, name: str) -> dict[str, Any]:
    quick = {"request_timeout": 1, "max_attempts": 12, "requests_per_minute": 60_000}
    start = {} if name == "switchtransact" else {"start_date": "2026-01-01"}
    return {**served.config(name), **start, **quick}


def _keep_loading(served: Running, vendor: Vendor, deadline: float) -> None:
    while time.monotonic() < deadline:
        change(served.sandbox, vendor)
        load(vendor, may_kill=True)


def _judge(served: Running, vendors: list[Vendor]) -> int:
    served.sandbox.faults.clear()
    found: list[str] = []
    for vendor in vendors:
        load(vendor, may_kill=False)
        found += compare(served, vendor)
        found += [f"{vendor.name}: a secret was seen in its output"] * bool(vendor.leaks)
        whole = [peak for peak in vendor.peaks if peak]
        early, late = max(whole[: max(1, len(whole) // 3)]), max(whole[-max(1, len(whole) // 3) :])
        found += [f"{vendor.name}: memory grew from {early} to {late} MiB"] * (late > 1.25 * early + 8)
        print(
            f"  {vendor.name:15} {vendor.runs:4} runs, {vendor.killed:4} killed, {vendor.failed:4} ended early, "
            f"at most {max(whole)} MiB"
        )
    print(f"  {len(served.sandbox.faults.fired())} kinds of faults happened, each many times")
    print("\n".join(found) if found else "nothing lost, nothing doubled, no secret seen, memory flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
