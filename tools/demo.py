"""The demo: a sandbox on a free port, Meltano's job `everything`, dbt's models of what it loaded, and a page about it.

The second run goes on from the first one's bookmarks, as it would against a real account.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
from tools.meltano_yml import vendors

from trunkline.errors import TrunklineError
from trunkline_commands.report_page import page as report_page
from trunkline_commands.verify.databases import connect
from trunkline_commands.verify.judge import DIFFERS
from trunkline_commands.verify.steps import compare
from trunkline_sandbox import Running, running, world
from trunkline_sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

ROOT = Path(__file__).resolve().parents[1]
DATABASE = "output/trunkline.duckdb"
LOG = "output/demo.log"
MODELS_LOG = "output/demo-models.log"
INSTALL_LOG, PARSE_LOG = "output/demo-install.log", "output/demo-parse.log"
REPORT = "output/report.html"
RUNS = "output/runs"
"""Gets the report of each tap's run."""
FIRST_DAY = "output/demo-first-day"
"""Keeps on which day the data begins."""
PARSED = "transform/target/partial_parse.msgpack"
"""Is there when dbt was installed and has read its project."""
MELTANO = str(Path(sys.executable).with_name("meltano"))

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LOADED = "{2}: {3} loaded, {1} rows in the table"
_MARKS = (
    (re.compile(r"Running job with name '\w+:tap-(\w+)-to-"), "{0}: started"),
    (re.compile(r"\btap-(\w+) +(\w+: complete, .*)"), "{0}: {1}"),
    (
        re.compile(r"Stream '\w+': ([\d,]+) rows received, ([\d,]+) rows in table 'tap_(\w+)\.(\w+)'"),
        _LOADED,
    ),
    (re.compile(r"\b(?:tap|target)-(\w+) +.*\b(?:ERROR|CRITICAL)\b(.*)"), "{0}: {1}"),
    (re.compile(r"\[error +\] (.*)"), "{0}"),
    (re.compile(r"Done\. PASS=(\d+) .*\bERROR=(\d+)"), "dbt: {0} models and tests passed, {1} failed"),
)
"""Lines of Meltano's log that are progress, and the form in which they are printed."""


class Row(NamedTuple):
    """A line of the table."""

    vendor: str
    stream: str
    rows: str
    earliest: str
    latest: str


def main() -> int:
    """Run the demo; 0 when every vendor was loaded and the models were built."""
    try:
        return run()
    except (TrunklineError, duckdb.Error, OSError) as problem:  # somebody has the file open, or the disk is full
        print(f"\n{problem}\n\nWhat to do: put that right, then start the demo again.", file=sys.stderr)
        return 1


def run() -> int:
    """Do it step by step; 0 when every vendor was loaded and the models were built."""
    started = time.monotonic()
    (ROOT / RUNS).mkdir(parents=True, exist_ok=True)
    show(started, "starting a sandbox of five vendors on this machine")
    again = (ROOT / DATABASE).exists()
    with running(first_day=first_day(again=again)) as sandbox:
        show(
            started,
            f"meltano run everything, {'from the last bookmarks on' if again else 'from the start'} (log: {LOG})",
        )
        variables = environment(sandbox)
        failed = load(variables, started, full_refresh=not again)
    if failed:
        explain(f"Meltano ended with exit code {failed}", LOG, "read the line of the vendor that failed")
        return 1
    unbuilt = build(variables, started)
    rows, missing = table()
    page(started)
    show(started, "done\n")
    print("\n".join(rows))
    print(f"\n{recounted()}")
    print(_NEXT.format(root=ROOT, database=DATABASE, report=REPORT))
    if unbuilt:
        explain(
            f"The rows are loaded, but the models are not built: Meltano ended with exit code {unbuilt}",
            MODELS_LOG,
            f"read dbt's first error there; if it could not be installed, {INSTALL_LOG}",
        )
    if missing:
        print(f"\nNothing was loaded of {', '.join(missing)}: see {ROOT / LOG}", file=sys.stderr)
    return 1 if unbuilt or missing else 0


def explain(what: str, log: str, remedy: str) -> None:
    """Print what failed, the end of its log, and what to do."""
    print(f"\n{what}. The last lines of {ROOT / log}:\n", file=sys.stderr)
    print("\n".join(f"    {line}" for line in tail(ROOT / log)), file=sys.stderr)
    print(f"\nWhat to do: {remedy}; then start the demo again.", file=sys.stderr)


def page(started: float) -> None:
    """Write the page."""
    begun = time.monotonic()
    now = datetime.now(report_page.default_zone(ROOT / DATABASE))
    made = report_page.page(ROOT / DATABASE, now, folder=ROOT / RUNS)
    (ROOT / REPORT).write_text(made, encoding="utf-8")
    show(started, f"page written in {time.monotonic() - begun:.1f} s: {REPORT}")


def build(variables: Mapping[str, str], started: float) -> int:
    """Build the models of what was loaded.

    Args:
        variables: The environment of Meltano.
        started: When the demo began (monotonic seconds).

    Returns:
        Meltano's exit code.
    """
    begun = time.monotonic()
    show(started, f"meltano run dbt-duckdb:build (log: {MODELS_LOG})")
    code = meltano(
        "run", "dbt-duckdb:build", log=MODELS_LOG, variables=variables, on_progress=lambda line: show(started, line)
    )
    if not code:
        show(started, f"models built in {time.monotonic() - begun:.1f} s: contact_centre.contacts_made and others")
    return code


def recounted() -> str:
    """Recount the file against the proofs that the taps wrote, as `trunkline verify` does."""
    database = connect(f"duckdb:///{DATABASE}")
    try:
        verdicts = [one.verdict for tap in vendors() for one in compare(database, tap, tap.name.replace("-", "_"))]
    finally:
        database.close()
    differ = [verdict.stream for verdict in verdicts if verdict.word == DIFFERS]
    proven = sum(len(verdict.findings) for verdict in verdicts)
    outcome = f"differs in {', '.join(differ)}" if differ else "nothing differs"
    return f"Recounted against {proven:,} proofs of {len(verdicts)} streams: {outcome}"


def first_day(*, again: bool) -> date:
    """Return the first day of the demo's data, which ends yesterday; the second time, the same day as the first time.

    Args:
        again: Whether there are rows of an earlier time, which the data must not move away from.
    """
    kept = ROOT / FIRST_DAY
    if again:
        return date.fromisoformat(kept.read_text(encoding="utf-8")) if kept.exists() else world.FIRST_DAY
    begins = world.ending_yesterday(World().days)
    kept.write_text(begins.isoformat(), encoding="utf-8")
    return begins


_NEXT = """
A page about it, for managers and those who run the loads: {root}/{report}
All of it is in {root}/{database}

Look at the contacts of every vendor (from {root}):
  .venv/bin/python -c "import duckdb; duckdb.connect('{database}').sql('FROM contact_centre.contacts_made').show()"

The same from a real account, Evolux for example:
  cp .env.example .env                                       then fill in the lines of Evolux
  .venv/bin/meltano --environment=prod config test tap-evolux
  .venv/bin/meltano --environment=prod run evolux"""


def show(started: float, what: str) -> None:
    """Print a line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - started:5.1f} s  {what}", flush=True)


def load(variables: Mapping[str, str], started: float, *, full_refresh: bool) -> int:
    """Run the job; install dbt meanwhile, where it is not there yet.

    Args:
        variables: The environment of Meltano.
        started: When the demo began (monotonic seconds).
        full_refresh: Forget the bookmarks: without the file they would leave all but the newest rows out.

    Returns:
        Meltano's exit code.
    """
    options = ["--full-refresh"] if full_refresh else []
    with ThreadPoolExecutor(1) as pool:
        installing: list[Future[int]] = []

        def on_progress(line: str) -> None:
            show(started, line)
            # Not sooner: Meltano's first run makes its own database.
            if not installing and not (ROOT / PARSED).exists():
                installing.append(pool.submit(install, variables))
                show(started, f"meltano install utility dbt-duckdb, meanwhile (log: {INSTALL_LOG})")

        return meltano("run", *options, "everything", log=LOG, variables=variables, on_progress=on_progress)


def install(variables: Mapping[str, str]) -> int:
    """Install dbt, and have it read its project, so that the build need not. The build reports what failed here."""
    failed = meltano("install", "utility", "dbt-duckdb", log=INSTALL_LOG, variables=variables)
    return failed or meltano("invoke", "dbt-duckdb", "parse", log=PARSE_LOG, variables=variables)


def meltano(*arguments: str, log: str, variables: Mapping[str, str], on_progress: Callable[[str], object] = str) -> int:
    """Run Meltano.

    Args:
        arguments: What it is to do.
        log: Gets its output.
        variables: Its environment.
        on_progress: Gets the lines of progress.

    Returns:
        Its exit code.
    """
    process = subprocess.Popen(
        [MELTANO, "--environment=sandbox", *arguments],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process, (ROOT / log).open("w", encoding="utf-8") as file:
        for line in process.stdout or ():
            plain = _COLOUR.sub("", line)
            file.write(plain)
            file.flush()
            for text in progress(plain):
                on_progress(text)
    return process.returncode


def environment(sandbox: Running) -> dict[str, str]:
    """Return the caller's variables, with this sandbox in place of any account that they or .env name."""
    ours = ("TAP_", "TARGET_DUCKDB_", "MELTANO_", "DBT_", "TRUNKLINE_DBT_")
    made = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for tap in vendors():
        for name, value in sandbox.config(tap.vendor).items():
            variable = f"{tap.name}_{name}".replace("-", "_").upper()
            made[variable] = value if isinstance(value, str) else json.dumps(value)
        made[f"{tap.name}_run_report".replace("-", "_").upper()] = str(ROOT / RUNS)
    return {**made, "TARGET_DUCKDB_PATH": DATABASE, "NO_COLOR": "1", "DO_NOT_TRACK": "1"}


def progress(line: str) -> Iterator[str]:
    """Yield the progress that a line of the log shows, in a user's words."""
    for pattern, form in _MARKS:
        found = pattern.search(line)
        if found:
            yield form.format(*found.groups()) + (_twice(*found.groups()[:2]) if form is _LOADED else "")
            return


def _twice(received: str, rows: str) -> str:
    """Explain why fewer rows are in the table than came, where it is so."""
    came, kept = (int(number.replace(",", "")) for number in (received, rows))
    return f" ({received} came: what was read in two ways, and the key keeps one of each)" if came > kept else ""


def tail(path: Path) -> list[str]:
    """Return the last lines of a file."""
    with path.open(encoding="utf-8") as lines:
        return [line.rstrip() for line in deque(lines, maxlen=15)]


def table() -> tuple[list[str], list[str]]:
    """Return the file's contents as the lines of a table, and the streams that are not there."""
    rows, missing = [Row("vendor", "stream", "rows", "earliest", "latest")], []
    with duckdb.connect(str(ROOT / DATABASE), read_only=True) as connection:
        there = set(connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall())
        for tap in vendors():
            schema = tap.name.replace("-", "_")
            streams: Sequence[Any] = tap.stream_types
            for stream in (stream for stream in streams if stream.selected_by_default):
                if (schema, stream.name) not in there:
                    missing.append(f"{tap.vendor} {stream.name}")
                    continue
                key = stream.replication_key
                span = f'epoch_us(min("{key}")), epoch_us(max("{key}"))' if key else "NULL, NULL"
                query = f'SELECT count(*), {span} FROM "{schema}"."{stream.name}"'  # noqa: S608 - names of our own
                count, earliest, latest = connection.execute(query).fetchall()[0]
                rows.append(Row(tap.vendor, stream.name, f"{count:,}", instant(earliest), instant(latest)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]], missing


def instant(micros: int | None) -> str:
    """Write microseconds since 1970 as UTC, to the second."""
    if micros is None:
        return "-"
    return datetime.fromtimestamp(micros // 1_000_000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


if __name__ == "__main__":
    sys.exit(main())
