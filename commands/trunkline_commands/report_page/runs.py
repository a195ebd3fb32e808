"""The last runs, from the reports that the taps write."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trunkline_commands.report_page import ReportError
from trunkline_commands.report_page.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNS = 30
"""Runs shown."""


def runs(folder: Path, now: datetime) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the last runs, newest first, from the reports in a folder, or from one report.

    Returns:
        The reports, and the names of files that could not be read as one.

    Raises:
        ReportError: There is neither.
    """
    if not folder.is_dir() and not folder.is_file():
        raise ReportError(f"{folder} could not be read", "there is no such file or folder", "Give run_report's")
    files = [folder] if folder.is_file() else sorted(folder.glob("*.json"))
    read = {path.name: _run(path, now) for path in files if not path.is_fifo()}
    found = [run for run in read.values() if run]
    found.sort(key=lambda run: run["started"], reverse=True)
    return found[:RUNS], [name for name, run in read.items() if not run]


def _run(path: Path, now: datetime) -> dict[str, Any] | None:
    """Read the page's part about a run; None where the file is no report."""
    try:
        return _row(json.loads(path.read_text(encoding="utf-8")), now)
    except Exception:  # noqa: BLE001 - a file that holds anything else is left out and named
        return None


def _row(report: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    failures = [
        ". ".join(part for part in (_sentence(f), f["remedy"], _doubt(report, stream, f, now)) if part)
        for stream in [{"failures": [report["error"]] if report["error"] else []}, *report["streams"]]
        for f in stream["failures"]
    ]
    memory = report["peak_memory_bytes"]
    return {
        "tap": str(report["tap"]),
        "started": datetime.fromisoformat(report["started"]).astimezone(now.tzinfo),
        "took": words(report["seconds"], exact=True),
        "verdict": str(report["verdict"]),
        "rows": int(report["rows"]),
        "requests": int(report["requests"]),
        "retries": int(report["retries"]),
        "waited": words(report["waited_seconds"]),
        "memory": f"{memory / 2**20:.0f} MiB" if memory else "",
        "failures": failures[:3],
        "more": max(len(failures) - 3, 0),
    }


def _sentence(failure: Mapping[str, str]) -> str:
    return f"{failure['what']}: {failure['why']}" if failure["why"] else failure["what"]


def _doubt(report: Mapping[str, Any], stream: Mapping[str, Any], failure: Mapping[str, Any], now: datetime) -> str:
    """Return which span the failure left without a proof; reports of older releases do not have it."""
    ends = [failure.get(name) for name in ("unproven_from", "unproven_to")]
    if None in ends:
        return ""
    since, until = (f"{datetime.fromisoformat(str(end)).astimezone(now.tzinfo):%Y-%m-%d %H:%M}" for end in ends)
    of = ", ".join([str(stream["stream"]), *map(str, failure["partition"].values())])
    return f"Not proven: {of}, from {since} to {until} (run_started {report['run_started']})"
