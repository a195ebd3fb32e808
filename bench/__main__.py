"""`python -m bench`: measure, and write docs/performance.md and docs/performance.svg."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environments, report
from bench.cases import CASES
from bench.measure import RunFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cases import Case

ROOT = environments.ROOT
OUTPUT = ROOT / "output" / "bench"


def main(arguments: list[str] | None = None) -> int:
    """Measure the cases that the arguments name.

    Returns:
        0 when everything ran and, in a full run, every target is reached; 1 otherwise; 2 for an unknown case.
    """
    options = _options(arguments)
    if options.report_only:
        return _report(json.loads(Path(options.report_only).read_text(encoding="utf-8")), ROOT / "docs")
    cases = _chosen(options.only)
    if not cases:
        _print(f"no case begins with {' or '.join(options.only)}: there are {', '.join(case.name for case in CASES)}")
        return 2
    kept = options.resume or not (options.quick or options.only)
    path = OUTPUT / ("results.json" if kept else "results-part.json")
    results = _results(options)
    if options.resume and path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        results.update(cases=before["cases"], seconds=before["seconds"])
        cases = [case for case in cases if options.only or case.name not in before["cases"]]
    for case in cases:
        began = time.monotonic()
        _measure(case.smaller() if options.quick else case, options, results)
        results["seconds"] += round(time.monotonic() - began)
        # Figures are kept, also when the rest of the run fails.
        OUTPUT.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    _print(f"\n{path.relative_to(ROOT)} has every figure; it took {results['seconds']} s")
    whole = kept and all(case.name in results["cases"] for case in CASES)
    code = _report(results, ROOT / "docs" if whole else OUTPUT)
    return 1 if results["failed"] or (whole and code) else 0


def _measure(case: Case, options: argparse.Namespace, results: dict[str, Any]) -> None:
    rounds = options.repeats or (1 if options.quick else case.repeats)
    _print(f"\n{case.name}: {case.title}; {rounds} rounds")
    try:
        samples = case.measure(rounds, lambda line: _print(f"  {line}"))
    except RunFailed as problem:
        _print(f"  FAILED: {problem}")
        results["failed"][case.name] = str(problem)
        return
    results["cases"][case.name] = {
        "title": case.title,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "facts": {name: getattr(case, name) for name in ("size", "latency", "workers") if hasattr(case, name)},
        "peers": {peer: [sample.as_json() for sample in of] for peer, of in samples.items()},
    }


def _report(results: dict[str, Any], to: Path) -> int:
    rows = report.verdicts(results)
    report.write(results, rows, to)
    for row in rows:
        _print(f"{row.verdict:<18} {row.what}: {row.found} (to reach: {row.reach})")
    _print(f"\n{to.relative_to(ROOT)}/performance.md")
    return 0 if all(row.verdict == report.REACHED for row in rows) else 1


def _results(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python3 run.py bench", *(["--quick"] if options.quick else [])]),
        "quick": options.quick,
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
        },
        "versions": report.versions(),
        "cases": {},
        "failed": {},
        "seconds": 0,
    }


def _chosen(only: Sequence[str]) -> list[Case]:
    return [case for case in CASES if not only or any(case.name.startswith(one) for one in only)]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, one round: does it all still run?")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="cases whose name begins so")
    parser.add_argument("--repeats", type=int, help="rounds of each case (5, of the start-up 9)")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the last full run: measure what is missing, or what --only names, and keep the rest",
    )
    parser.add_argument("--report-only", metavar="RESULTS", help="write the page anew from a results file")
    return parser.parse_args(arguments)


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
