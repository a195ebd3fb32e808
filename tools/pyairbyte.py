"""Show that PyAirbyte reads every source: twice into its DuckDB cache, with rows that come and change in between.

The second read must go on from the states of the first (fewer requests, fewer records), and after each the cache must
hold what the sandbox holds, every row once and every field of it. PyAirbyte gets an environment of its own: it is
large, and the first time takes a minute.

    python3 run.py pyairbyte
    python3 run.py pyairbyte evolux conpeek
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environments

from trunkline_contract import warehouse
from trunkline_sandbox import running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trunkline_sandbox import Running, Sandbox

VENDORS = tuple(dict.fromkeys(vendor for vendor, _ in warehouse.KEYS))
_SECONDS = 240.0


@dataclass(frozen=True)
class Read:
    """One read of a source.

    Attributes:
        records: How many records PyAirbyte got.
        requests: How many requests came to the sandbox for it, those of `check` included.
        rows: What the cache holds of each stream.
    """

    records: int
    requests: int
    rows: dict[str, list[dict[str, Any]]]


class Reader:
    """PyAirbyte in its own environment and process.

    Args:
        process: The one that runs `pyairbyte_reader.py`.
        served: The sandbox.
    """

    def __init__(self, process: subprocess.Popen[str], served: Running) -> None:
        self._process, self._served = process, served

    def read(self, vendor: str) -> Read:
        """Let it read a source.

        Raises:
            RuntimeError: It ended without a response.
        """
        assert self._process.stdin  # noqa: S101 - both are pipes
        assert self._process.stdout  # noqa: S101 - same
        self._served.sandbox.requests.clear()
        self._process.stdin.write(f"{vendor}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"PyAirbyte ended while it read source-{vendor}; its own words are above")
        found = json.loads(line)
        return Read(found["records"], len(self._served.sandbox.requests.of(vendor)), found["rows"])


def config(served: Running, vendor: str) -> dict[str, Any]:
    """Return a config that ends soon after the sandbox's data: the empty time up to today must prove nothing."""
    made = served.config(vendor)
    return {**made, "end_date": "2026-03-10"} if "start_date" in made else made


@contextmanager
def reader(served: Running, vendors: Sequence[str]) -> Iterator[Reader]:
    """Run PyAirbyte, with an empty cache, until the block ends."""
    python = environments.program("pyairbyte")
    sources = {
        vendor: {"program": str(Path(sys.executable).with_name(f"source-{vendor}")), "config": config(served, vendor)}
        for vendor in vendors
    }
    with tempfile.TemporaryDirectory(prefix="pyairbyte-") as folder:
        process = subprocess.Popen(
            [python, str(Path(__file__).with_name("pyairbyte_reader.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            # Offline: nothing is looked up in Airbyte's registry, and no use of it is reported.
            env={**os.environ, "AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": folder},
        )
        with process:
            try:
                assert process.stdin  # noqa: S101 - it is a pipe
                job = {"cache": f"{folder}/cache.duckdb", "sources": sources}
                process.stdin.write(json.dumps(job) + "\n")
                yield Reader(process, served)
                process.stdin.close()
                process.wait(_SECONDS)
            finally:
                process.kill()


# -- what must be there ------------------------------------------------------------------------------------------------


def differences(sandbox: Sandbox, vendor: str, found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the differences between cache and vendor, a line for each stream; none when all is right."""
    lines = []
    for (of, stream), key in warehouse.KEYS.items():
        if of != vendor:
            continue
        since = datetime(2026, 1, 1, tzinfo=timezone.utc)  # the start_date of the sandbox's config
        expected = warehouse.expected(sandbox, vendor, stream, since)
        rows = found.get(stream, [])
        # PyAirbyte writes names in lower case.
        keys = [tuple(str(row[name.lower()]) for name in key) for row in rows]
        lost = len({tuple(map(str, at)) for at in expected} - set(keys))
        foreign = len(set(keys) - {tuple(map(str, at)) for at in expected})
        doubled = len(keys) - len(set(keys))
        by_key = dict(zip(keys, rows, strict=True))
        wrong = sorted({
            name
            for at, row in expected.items()
            for name, value in row.items()
            if tuple(map(str, at)) in by_key
            and not same(value, by_key[tuple(map(str, at))].get(name.lower()))
        })  # fmt: skip
        if lost or foreign or doubled or wrong:
            fields = f"; other values in {', '.join(wrong)}" if wrong else ""
            lines.append(f"{stream}: {lost} rows lost, {doubled} doubled, {foreign} that the vendor has not{fields}")
    return lines


def same(expected: Any, found: Any) -> bool:
    """Return whether a value in the cache is the vendor's: JSON and numbers may be written in another way."""
    if isinstance(expected, tuple):  # a text that holds JSON
        expected = expected[1]
    if isinstance(found, str) and not isinstance(expected, (str, datetime)):
        found = json.loads(found)
    found = warehouse.canonical(found)
    if isinstance(expected, (int, float, Decimal)) and isinstance(found, (int, float)):
        return float(expected) == float(found)
    return bool(found == expected)


def grow(sandbox: Sandbox, vendor: str) -> None:
    """Let a row come, and where the vendor's rows change, let one change."""
    if vendor == "bspk":
        row = sandbox.truth(vendor, "calls")[-1]
        sandbox.upsert(vendor, "calls", [{**row, "client_id": "CLI_NEW", "created_at": "2026-03-05T08:00:00.000Z"}])
    elif vendor == "conpeek":
        rows = sandbox.truth(vendor, "voice_campaign_requests")
        new = {**rows[-1], "id": "ffffffffffffffffffffffff", "created_date": "2026-03-05 08:00:00", "closed_date": None}
        still_open = next(row for row in rows if row["closed_date"] is None)
        closed = {**still_open, "state": "CLOSED", "closed_date": "2026-03-05 09:00:00"}
        sandbox.upsert(vendor, "voice_campaign_requests", [{**new, "state": "OPEN"}, closed])
    elif vendor == "evolux":
        row = sandbox.truth(vendor, "studio_calls")[-1]
        sandbox.upsert(
            vendor, "studio_calls", [{**row, "id": row["id"] + 1, "start_time": "2026-03-05T08:00:00+00:00"}]
        )
    elif vendor == "hostedsuite":
        row = sandbox.truth(vendor, "calls")[-1]
        sandbox.upsert(vendor, "calls", [{**row, "Id": "f" * 24, "StartTime": "2026-03-05T08:00:00Z"}])
    else:
        row = sandbox.truth(vendor, "contacts")[-1]
        sandbox.upsert(vendor, "contacts", [{**row, "id": "new", "mobilephone": "+27720000000", "email": None}])


# -- the command -------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Read every source twice; 0 when nothing was lost, doubled or read for nothing."""
    parser = argparse.ArgumentParser(prog="python3 run.py pyairbyte", description=__doc__.splitlines()[0])
    parser.add_argument("vendors", nargs="*", metavar="VENDOR", help=f"of {', '.join(VENDORS)}; all if none is named")
    vendors = parser.parse_args(arguments).vendors or VENDORS
    if set(vendors) - set(VENDORS):
        parser.error(f"there is no vendor {', '.join(set(vendors) - set(VENDORS))}: there are {', '.join(VENDORS)}")
    print(f"PyAirbyte reads {', '.join(vendors)}; its own words are in between\n", flush=True)
    rows: list[tuple[str, ...]] = [("source", "read", "records", "requests", "rows in the cache", "verdict")]
    good = True
    try:
        with running(size=600, days=60) as served, reader(served, vendors) as pyairbyte:
            for vendor in vendors:
                first = pyairbyte.read(vendor)
                wrong = differences(served.sandbox, vendor, first.rows)
                rows.append(table_row(vendor, "first", first, wrong))
                grow(served.sandbox, vendor)
                second = pyairbyte.read(vendor)
                wrong_too = differences(served.sandbox, vendor, second.rows)
                incremental = any(of == vendor for of, _ in warehouse.TIMES)
                if incremental and not (second.records < first.records and second.requests < first.requests):
                    wrong_too.append("the second read was no smaller than the first")
                rows.append(table_row("", "second", second, wrong_too))
                good &= not wrong and not wrong_too
    except (RuntimeError, environments.NoEnvironment) as problem:
        print(problem, file=sys.stderr)
        return 1
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0 if good else 1


def table_row(vendor: str, which: str, read: Read, wrong: Sequence[str]) -> tuple[str, ...]:
    """Return a line of the table."""
    held = " + ".join(str(len(rows)) for rows in read.rows.values())
    verdict = "; ".join(wrong) or "as the vendor has it"
    return vendor, which, str(read.records), str(read.requests), held, verdict


if __name__ == "__main__":
    sys.exit(main())
