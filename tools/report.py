"""One HTML page about what was loaded: `python3 run.py report`, from the DuckDB file that target-duckdb wrote.

For each vendor and stream it shows rows by day, how fresh they are, days that should have rows and have none, how long
calls took and how they ended, and the last runs, from the reports that the taps write (`run_report`). The page needs
no network and runs no script; it can be opened from a mail or a share. It holds counts, and values of the fields that
say how a call ended, never a field that a schema marks as personal.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import zoneinfo
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import jinja2

from trunkline import schemas
from trunkline.doors import docs
from trunkline.doors.vendors import vendor_taps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Connection = duckdb.DuckDBPyConnection

# ruff: noqa: S608 - every name in a query went through `quoted`

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = Path(__file__).with_name("report.html.j2")
DATABASE, OUTPUT = ROOT / "output" / "trunkline.duckdb", ROOT / "output" / "report.html"

DAYS = 90
"""Days shown of each stream."""

RUNS = 30
"""Runs shown."""

_OFTEN = 0.5  # a weekday counts as one with rows when at least this share of them had some
_MOST_VALUES, _SHOWN_VALUES = 40, 6  # a field with more values is free text; of the others the most frequent are named
_FEWEST = 14  # days that a chart has room for at least
_RECENT = 30  # days in the small charts, and in which gaps count for the summary
_WEEK, _WEEKEND = 7, {5, 6}
_TIME_NAMES = ("start_time", "starttime", "started_at", "call_start_time", "created_at", "created_date", "date_created")
_OUTCOME = re.compile(
    r"(type|state|status|direction|reason|result|outcome|disposition|hangup|matched|kind)$", re.IGNORECASE
)
_SECONDS = re.compile(r"^(duration|call_?duration|duration_?in_?seconds|duration_?seconds)$", re.IGNORECASE)
_SPANS = (
    ("enter_time_epoch", "exit_time_epoch"),
    ("start_time", "end_time"),
    ("started_at", "ended_at"),
    ("created_date", "closed_date"),
    ("created_at", "closed_at"),
)
_SHORT = (10, 30, 60, 120, 300, 600, 1200, 3600)
_LONG = (600, 3600, 4 * 3600, 12 * 3600, 86_400, 2 * 86_400, 4 * 86_400, 7 * 86_400)


class ReportError(Exception):
    """What failed, why, and what to do."""


# -- what is in the file ---------------------------------------------------------------------------


class Table(NamedTuple):
    """A table, and what its columns mean.

    Args:
        vendor: The vendor, or the name of the schema where the vendor is not known.
        schema: The schema it lies in.
        stream: The table.
        time: The column with the moment that a row is about, if there is one.
        outcomes: Columns that say how a call went.
        duration: An expression for seconds, and what it is called; None where there is none.
    """

    vendor: str
    schema: str
    stream: str
    time: str | None
    outcomes: Sequence[str]
    duration: tuple[str, str] | None


def tables(connection: Connection) -> Iterator[Table]:
    """The tables of the file, by vendor and stream."""
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, name, kind in connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'loaded' AND NOT internal ORDER BY schema_name, table_name, column_index"
    ).fetchall():
        columns.setdefault((schema, table), {})[name] = kind
    known = list(_streams())
    for (schema, table), kinds in columns.items():
        fitting = [one for one in known if one.name == table and one.columns <= kinds.keys()]
        fitting.sort(key=lambda one: one.vendor not in schema)
        yield _table(schema, table, kinds, fitting[0] if fitting else None)


class _Stream(NamedTuple):
    vendor: str
    name: str
    columns: frozenset[str]
    time: str | None
    personal: frozenset[str]


def _streams() -> Iterator[_Stream]:
    """The streams of every vendor that is installed."""
    for vendor, tap in vendor_taps().items():
        for stream in docs.stream_facts(tap):
            fields = schemas.load(vendor, stream.name)["properties"]
            needed = frozenset([*stream.keys, *([stream.replication_key] if stream.replication_key else [])])
            personal = frozenset(name for name, spec in fields.items() if spec.get("x-personal"))
            yield _Stream(vendor, stream.name, needed, stream.replication_key, personal)


def _table(schema: str, table: str, kinds: Mapping[str, str], known: _Stream | None) -> Table:
    times = [name for name, kind in kinds.items() if kind.startswith("TIMESTAMP") or kind == "DATE"]
    usual = [name for wanted in _TIME_NAMES for name in times if name.lower() == wanted]
    time = known.time if known else next(iter([*usual, *times]), None)
    personal = known.personal if known else frozenset()
    outcomes = [
        name
        for name, kind in kinds.items()
        if kind in {"VARCHAR", "BOOLEAN"} and _OUTCOME.search(name) and name not in personal
    ]
    vendor = known.vendor if known else schema
    return Table(vendor, schema, table, time if time in times else None, outcomes, _duration(kinds))


def _duration(kinds: Mapping[str, str]) -> tuple[str, str] | None:
    number = re.compile(r"^(\w*INT|INTEGER|DOUBLE|FLOAT|DECIMAL.*)$")
    for name, kind in kinds.items():
        if _SECONDS.match(name) and number.match(kind):
            return quoted(name), name
    lower = {name.lower(): name for name in kinds}
    for since, until in _SPANS:
        if since in lower and until in lower:
            low, high = lower[since], lower[until]
            if all(kinds[name].startswith("TIMESTAMP") for name in (low, high)):
                return f"epoch({quoted(high)}) - epoch({quoted(low)})", f"{low} to {high}"
            if all(number.match(kinds[name]) for name in (low, high)):
                return f"CAST({quoted(high)} AS DOUBLE) - CAST({quoted(low)} AS DOUBLE)", f"{low} to {high}"
    return None


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def opened(path: Path, zone: str) -> Connection:
    """The file, to be read only.

    Args:
        path: The file.
        zone: The time zone that days are counted in.

    Raises:
        ReportError: It is not there, is no DuckDB file, or is being written to.
    """
    if not path.is_file():
        raise ReportError(
            f"{path} could not be opened: there is no such file. Load one (`python3 run.py demo` does), or name it "
            "with --database"
        )
    connection = duckdb.connect()
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET TimeZone = ?", [zone])
        # A name of our own: the file's stem may be that of a schema in it, which is ambiguous.
        place = str(path.absolute()).replace("'", "''")
        connection.execute(f"ATTACH '{place}' AS loaded (READ_ONLY)")
        connection.execute("USE loaded")
    except duckdb.Error as problem:
        connection.close()
        reason = str(problem).splitlines()[0]
        raise ReportError(
            f"{path} could not be opened: {reason}. If a target is writing to it, wait until it has ended; else check "
            "that it is a DuckDB file"
        ) from None
    return connection


# -- what is told of a stream ----------------------------------------------------------------------


class Bar(NamedTuple):
    """A day of the chart, or a bucket of the distribution.

    Args:
        label: What it stands for.
        rows: How many.
        height: Of the chart's height, from 0 to 100.
        kind: `gap` for a day that should have rows and has none, `overdue` for one after the latest row, `today`,
            `weekend`, or nothing.
    """

    label: str
    rows: int
    height: float
    kind: str = ""


class Share(NamedTuple):
    """One value of an outcome: how many rows, how much of them all, and where its part of the bar begins."""

    value: str
    rows: int
    percent: float
    start: float
    place: int


@dataclass
class Story:
    """What the page tells of a stream.

    Args:
        table: The table.
        rows: Rows in all.
        latest: The latest moment that is not in the future.
        age: How long before the report that was, in words.
        missed: Days that should have had rows since then.
        future: Rows later than the report.
        timeless: Rows without a time.
        days: The days shown, with their rows.
        bars: The same as a chart.
        ticks: Labels below the chart, and where they stand, from 0 to 100.
        top: What the full height of the chart stands for.
        gaps: Days that should have rows and have none, as spans.
        weekdays: The days of the week that usually have rows, in words.
        week: Rows of the last seven days shown before the report's own, and of the seven before them.
        durations: The distribution.
        length: What is measured by it, and its quantiles in words.
        outcomes: Shares by column.
        left_out: Figures that could not be made, and why.
    """

    table: Table
    rows: int
    latest: datetime | None = None
    age: str = ""
    missed: int = 0
    future: int = 0
    timeless: int = 0
    days: list[tuple[date, int]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    ticks: list[tuple[str, float]] = field(default_factory=list)
    top: int = 0
    gaps: list[tuple[date, date]] = field(default_factory=list)
    weekdays: str = ""
    week: tuple[int, int] = (0, 0)
    durations: list[Bar] = field(default_factory=list)
    length: tuple[str, list[tuple[str, str]]] = ("", [])
    outcomes: list[tuple[str, list[Share]]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @contextmanager
    def figure(self, name: str) -> Iterator[None]:
        """Let one figure fail alone: it is left out and named, and the page has all others."""
        before = dict(self.__dict__)
        try:
            yield
        except Exception as problem:  # noqa: BLE001 - whatever a row may bring about
            self.__dict__.update(before)
            # The words of the database quote values.
            self.left_out.append(f"{name} ({type(problem).__name__})")

    @property
    def verdict(self) -> str:
        """`fresh`, `late`, `empty`, or `untimed` where rows have no time."""
        if not self.rows:
            return "empty"
        if not self.latest:
            return "untimed"
        return "late" if self.missed else "fresh"

    @property
    def recent(self) -> list[Bar]:
        """The last days, for the small chart."""
        return self.bars[-_RECENT:]

    @property
    def recent_gaps(self) -> int:
        """Gap days among the last ones."""
        return sum(bar.kind == "gap" for bar in self.recent)

    @property
    def trend(self) -> str:
        """The last seven days against the seven before."""
        now, before = self.week
        return f"{100 * (now - before) / before:+.0f} %" if before else ""


def story(connection: Connection, table: Table, now: datetime, days: int) -> Story:
    """Read what the page tells of a stream.

    Args:
        connection: The file.
        table: The table.
        now: The report's moment, in the time zone that days are counted in.
        days: How many days to show at most.
    """
    place = f"{quoted(table.schema)}.{quoted(table.stream)}"
    told = Story(table, 0)
    with told.figure("rows"):
        (told.rows,) = connection.execute(f"SELECT count(*) FROM {place}").fetchone() or (0,)
    if not told.rows:
        return told
    within = "true"
    if table.time:
        at = quoted(table.time)
        with told.figure("latest"):
            _tell_times(connection, told, place, at, now)
        if told.latest:
            with told.figure("rows by day"):
                _tell_days(connection, told, place, at, now, days)
        if told.days:
            within = f"CAST({at} AS DATE) BETWEEN DATE '{told.days[0][0]}' AND DATE '{told.days[-1][0]}'"
    with told.figure("durations"):
        _tell_durations(connection, told, place, within)
    for name in table.outcomes:
        with told.figure(name):
            if shares := _shares(connection, place, name, within, told.rows):
                told.outcomes.append((name, shares))
    return told


def _tell_times(connection: Connection, told: Story, place: str, at: str, now: datetime) -> None:
    # As epoch microseconds a time needs no package for its zone.
    latest, future, timeless = connection.execute(
        f"SELECT max(epoch_us({at})) FILTER (epoch_us({at}) <= $1), count(*) FILTER (epoch_us({at}) > $1), "
        f"count(*) FILTER ({at} IS NULL) FROM {place}",
        [int(now.timestamp() * 1_000_000)],
    ).fetchone() or (None, 0, 0)
    told.future, told.timeless = future, timeless
    if latest is not None:
        told.latest = datetime.fromtimestamp(latest // 1_000_000, timezone.utc).astimezone(now.tzinfo)
        told.age = words((now - told.latest).total_seconds())


def _tell_days(  # noqa: PLR0913, PLR0917 - one query's parts
    connection: Connection, told: Story, place: str, at: str, now: datetime, days: int
) -> None:
    assert told.latest  # noqa: S101 - asked for only then
    today, newest = now.date(), told.latest.date()
    # Old data are shown where they are, not as an empty chart.
    last = today if newest > today - timedelta(days=days) else newest
    begin = date.fromordinal(max(last.toordinal() - days + 1, date.min.toordinal()))
    counted = dict(
        connection.execute(
            f"SELECT CAST({at} AS DATE) AS day, count(*) FROM {place} "
            f"WHERE CAST({at} AS DATE) BETWEEN $1 AND $2 GROUP BY 1",
            [begin, max(newest, last)],
        ).fetchall()
    )
    (older,) = connection.execute(
        f"SELECT count(*) FROM {place} WHERE CAST({at} AS DATE) < $1", [begin]
    ).fetchone() or (0,)
    begin = begin if older else min(counted)
    told.days = [(day, counted.get(day, 0)) for day in _span(begin, last)]
    usual = _usual(told.days[: (newest - begin).days + 1])
    told.weekdays = _weekday_words(usual)
    holes = {day for day, count in told.days if not count and day.weekday() in usual and day != today}
    told.missed = sum(day > newest for day in holes) if last == today else _count(newest, today, usual)
    told.gaps = list(_spans(sorted(day for day in holes if day < newest), counted))
    told.top = max(count for _, count in told.days)
    bars = []
    for day, count in told.days:
        hole = "overdue" if day > newest else "gap"
        kind = hole if day in holes else "today" if day == today else "weekend" if day.weekday() in _WEEKEND else ""
        bars.append(Bar(f"{day:%a %Y-%m-%d}", count, 100 * count / max(told.top, 1), kind))
    told.bars = bars
    told.ticks = _ticks([day for day, _ in told.days])
    whole = [count for day, count in told.days if day < today]
    told.week = sum(whole[-_WEEK:]), sum(whole[-2 * _WEEK : -_WEEK])


def _span(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _usual(days: Sequence[tuple[date, int]]) -> set[int]:
    """The weekdays on which rows are to be expected: a call centre that rests on Sundays has no gap there."""
    seen: Counter[int] = Counter(day.weekday() for day, _ in days)
    had: Counter[int] = Counter(day.weekday() for day, count in days if count)
    return {weekday for weekday, times in seen.items() if had[weekday] >= _OFTEN * times}


def _count(newest: date, today: date, usual: set[int]) -> int:
    return sum(day.weekday() in usual for day in _span(newest + timedelta(days=1), today - timedelta(days=1)))


def _weekday_words(usual: set[int]) -> str:
    if len(usual) == _WEEK:
        return "every day"
    return ", ".join(f"{date(2024, 1, 1 + weekday):%a}" for weekday in sorted(usual))  # that year began on a Monday


def _spans(holes: Sequence[date], counted: Mapping[date, int]) -> Iterator[tuple[date, date]]:
    """Gaps that no day with rows parts, as one: a quiet weekend in between does not."""
    first = last = None
    for day in holes:
        if first and last and not any(counted.get(between) for between in _span(last, day)):
            last = day
            continue
        if first and last:
            yield first, last
        first = last = day
    if first and last:
        yield first, last


def _ticks(days: Sequence[date]) -> list[tuple[str, float]]:
    """The first day, then the first of months, or Mondays where there are few days."""
    marks = [n for n, day in enumerate(days) if day.day == 1] if len(days) > 45 else []  # noqa: PLR2004 - a month and a half
    if not marks:
        marks = [n for n, day in enumerate(days) if day.weekday() == 0] or [0]
    marks = marks[:: math.ceil(len(marks) / 6)]
    return [(f"{days[n]:%d %b}", 100 * (n + 0.5) / max(len(days), _FEWEST)) for n in marks]


def _tell_durations(connection: Connection, told: Story, place: str, within: str) -> None:
    if not told.table.duration:
        return
    expression, name = told.table.duration
    measured = f"(SELECT CAST({expression} AS DOUBLE) AS s FROM {place} WHERE {within}) WHERE s >= 0 AND isfinite(s)"
    found = connection.execute(
        f"SELECT count(*), quantile_cont(s, [0.5, 0.9, 0.99]), max(s) FROM {measured}"
    ).fetchone()
    if not found or not found[0]:
        return
    count, (median, most, nearly), longest = found
    edges = _LONG if most > 2 * _SHORT[-1] else _SHORT
    cases = " ".join(f"WHEN s < {edge} THEN {n}" for n, edge in enumerate(edges, start=1))
    buckets = dict(
        connection.execute(
            f"SELECT CASE WHEN s = 0 THEN 0 {cases} ELSE {len(edges) + 1} END, count(*) FROM {measured} GROUP BY 1"
        ).fetchall()
    )
    labels = ["0 s", *(f"to {words(edge)}" for edge in edges), f"over {words(edges[-1])}"]
    top = max(buckets.values())
    told.durations = [Bar(label, buckets.get(n, 0), 100 * buckets.get(n, 0) / top) for n, label in enumerate(labels)]
    quantiles = (("median", median), ("9 of 10 within", most), ("99 of 100 within", nearly), ("longest", longest))
    told.length = name, [*((text, words(value, exact=True)) for text, value in quantiles), ("measured", f"{count:,}")]


def _shares(connection: Connection, place: str, name: str, within: str, rows: int) -> list[Share]:
    """The values of an outcome; none where nothing is in it, or where it is free text."""
    column = quoted(name)
    found = connection.execute(
        f"SELECT CAST({column} AS VARCHAR), count(*) FROM {place} WHERE {within} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
        [_MOST_VALUES + 1],
    ).fetchall()
    if len(found) > _MOST_VALUES or not any(value is not None for value, _ in found):
        return []
    total = sum(count for _, count in found) or rows
    named = [("(none)" if value is None else value or "(empty)", count) for value, count in found]
    rest = sum(count for _, count in named[_SHOWN_VALUES:])
    shown = [*named[:_SHOWN_VALUES], *([(f"{len(named) - _SHOWN_VALUES} others", rest)] if rest else [])]
    shares, start = [], 0.0
    for place_in_bar, (value, count) in enumerate(shown):
        percent = 100 * count / total
        shares.append(Share(value, count, percent, start, place_in_bar))
        start += percent
    return shares


def words(seconds: float, *, exact: bool = False) -> str:
    """A length of time in words.

    Args:
        seconds: The length.
        exact: With a second unit, `4 min 10 s` instead of `4 min`.
    """
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    whole = max(round(seconds), 0)
    for place, (unit, size) in enumerate(units):
        if whole >= size:
            small = whole % size // units[place + 1][1] if size > 1 else 0
            return f"{whole // size} {unit}" + (f" {small} {units[place + 1][0]}" if exact and small else "")
    return "0 s"


# -- runs ------------------------------------------------------------------------------------------


def runs(folder: Path, now: datetime) -> tuple[list[dict[str, Any]], list[str]]:
    """The last runs, newest first, from the reports in a folder.

    Returns:
        The reports, and the names of files that could not be read as one.

    Raises:
        ReportError: There is no such folder.
    """
    if not folder.is_dir():
        raise ReportError(f"{folder} could not be read: it is no folder. Give the one that run_report names")
    read = {path.name: _run(path, now) for path in sorted(folder.glob("*.json")) if not path.is_fifo()}
    found = [run for run in read.values() if run]
    found.sort(key=lambda run: run["started"], reverse=True)
    return found[:RUNS], [name for name, run in read.items() if not run]


def _run(path: Path, now: datetime) -> dict[str, Any] | None:
    """What the page tells of a run; None where the file is no report."""
    try:
        return _row(json.loads(path.read_text(encoding="utf-8")), now)
    except Exception:  # noqa: BLE001 - whatever somebody's file holds: it is left out and named
        return None


def _row(report: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    failures = [failure for stream in report["streams"] for failure in stream["failures"]]
    if report["error"]:
        failures.insert(0, report["error"])
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
        "failures": [". ".join(part for part in (_sentence(f), f["remedy"]) if part) for f in failures[:3]],
        "more": max(len(failures) - 3, 0),
    }


def _sentence(failure: Mapping[str, str]) -> str:
    return f"{failure['what']}: {failure['why']}" if failure["why"] else failure["what"]


# -- the page --------------------------------------------------------------------------------------


def page(database: Path, now: datetime, *, days: int = DAYS, folder: Path | None = None) -> str:
    """The page.

    Args:
        database: The DuckDB file.
        now: The report's moment; its zone is the one that days are counted in.
        days: How many days to show at most.
        folder: Where reports of runs lie, if anywhere.

    Raises:
        ReportError: The file or the folder can't be read.
    """
    last_runs, strange = runs(folder, now) if folder else ([], [])
    with opened(database, str(now.tzinfo)) as connection:
        stories = [story(connection, table, now, days) for table in tables(connection)]
    vendors: dict[str, list[Story]] = {}
    for told in sorted(stories, key=lambda told: (told.table.vendor, told.table.schema, told.table.stream)):
        vendors.setdefault(told.table.vendor, []).append(told)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        now=now,
        database=database.name,
        loaded=datetime.fromtimestamp(database.stat().st_mtime, timezone.utc).astimezone(now.tzinfo),
        vendors=vendors,
        stories=stories,
        most=days,
        fewest=_FEWEST,
        recent=_RECENT,
        runs=last_runs,
        strange=strange,
        folder=folder,
        verdicts=Counter(told.verdict for told in stories),
        gaps=sum(told.recent_gaps for told in stories),
        failed=sum(run["verdict"] != "complete" for run in last_runs),
    )


def main(arguments: Sequence[str] | None = None, now: datetime | None = None) -> int:
    """Write the page.

    Returns:
        The exit code: 1 when it could not be made.
    """
    options = _options(arguments)
    zone = options.timezone
    try:
        made = page(
            options.database, (now or datetime.now(zone)).astimezone(zone), days=options.days, folder=options.runs
        )
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(made, encoding="utf-8", errors="backslashreplace")
    except (ReportError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(options.output)
    return 0


def _options(arguments: Iterable[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 run.py report", description="One HTML page about what was loaded.")
    parser.add_argument("--database", type=Path, default=DATABASE, help="the DuckDB file (the demo's)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the page goes (output/report.html)")
    parser.add_argument("--runs", type=Path, help="the folder that the taps' run_report names")
    parser.add_argument("--days", type=_days, default=DAYS, help=f"days to show at most ({DAYS})")
    parser.add_argument("--timezone", type=_zone, default="UTC", help="IANA time zone that days are counted in (UTC)")
    return parser.parse_args(list(arguments) if arguments is not None else None)


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 3660:  # noqa: PLR2004 - ten years
        raise ValueError
    return days


def _zone(text: str) -> Any:
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError("must be an IANA time zone, such as Europe/Warsaw") from None


if __name__ == "__main__":
    sys.exit(main())
