"""The report page: it counts what the file holds, finds gaps and lateness, and nothing in the data can break it."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
import zoneinfo
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from trunkline_commands import cli
from trunkline_commands import report as command
from trunkline_commands.report_page import page, reading, runs, tables, words
from trunkline_sandbox import running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOW = datetime(2026, 3, 31, 7, 30, tzinfo=timezone.utc)  # a Tuesday


def report(monkeypatch: pytest.MonkeyPatch, *options: str, now: datetime = NOW) -> int:
    """Exit code of the command at a moment."""
    monkeypatch.setattr(command, "now", now.astimezone)
    return cli.run(["report", *options])


def loaded(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in statements:
            connection.execute(statement)
    return path


def evolux(path: Path, days: dict[date, int]) -> Path:
    """A file with calls of Evolux: so many a day, at noon."""
    rows = [(n * 1000 + k, day, k * 10) for n, (day, count) in enumerate(days.items()) for k in range(count)]
    values = ", ".join(f"({n}, '{day} 12:00:00Z', 'hangup', {seconds})" for n, day, seconds in rows)
    return loaded(
        path,
        "CREATE SCHEMA tap_evolux",
        "CREATE TABLE tap_evolux.studio_calls "
        "(id BIGINT, start_time TIMESTAMPTZ, exit_reason VARCHAR, duration BIGINT)",
        f"INSERT INTO tap_evolux.studio_calls VALUES {values}",  # noqa: S608 - rows of our own
    )


def stories(path: Path, now: datetime = NOW, days: int = 90) -> list[Any]:
    with tables.opened(path, str(now.tzinfo)) as connection:
        return [reading.read_story(connection, table, now, days) for table in tables.tables(connection)]


def workdays(until: date, count: int) -> dict[date, int]:
    days = (until - timedelta(days=n) for n in range(count))
    return {day: 3 for day in days if day.weekday() < 5}


class Page(html.parser.HTMLParser):
    """What a browser would make of the page: its elements and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_counts_what_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tap's rows, loaded by the target, by day; the page is one file that asks for nothing else."""
    database, output, runs = tmp_path / "calls.duckdb", tmp_path / "page" / "report.html", tmp_path / "runs"
    runs.mkdir()
    (runs / "other.json").write_text("{}")
    with running(size=60) as served:
        (tmp_path / "tap.json").write_text(json.dumps({**served.config("evolux"), "run_report": str(runs)}))
        (tmp_path / "target.json").write_text(
            json.dumps({"path": str(database), "default_target_schema": "tap_evolux"})
        )
        bin_ = Path(sys.executable).parent
        lines = subprocess.run(
            [str(bin_ / "tap-evolux"), "--config", str(tmp_path / "tap.json")], capture_output=True, check=True
        ).stdout
        target = [str(bin_ / "target-duckdb"), "--config", str(tmp_path / "target.json")]
        subprocess.run(target, input=lines, capture_output=True, check=True)
        truth = Counter(row["start_time"][:10] for row in served.sandbox.truth("evolux", "studio_calls"))
    options = ["--database", str(database), "--output", str(output), "--runs", str(runs)]
    assert report(monkeypatch, *options, now=datetime(2026, 2, 1, tzinfo=timezone.utc)) == 0
    text = output.read_text(encoding="utf-8")
    shown = Page(text)
    found = stories(database, datetime(2026, 2, 1, tzinfo=timezone.utc))
    calls = next(story for story in found if story.table.stream == "studio_calls")
    assert {str(day): count for day, count in calls.days if count} == {d: c for d, c in truth.items() if d >= "2026"}
    for day, count in calls.days:
        assert f"{day}: {count}" in shown.text
    assert {name for name, _ in calls.outcomes} >= {"exit_reason", "who_hangup"}
    assert calls.durations
    assert "tap-evolux" in shown.text
    assert "1 JSON file in" in shown.text  # what is no report is counted, not hidden
    assert not {"script", "link", "img", "iframe"} & shown.elements.keys()
    assert not re.search(r"https?://|url\(|@import", text)
    assert "default-src 'none'" in text


def test_a_gap_is_a_day_that_should_have_rows(tmp_path: Path) -> None:
    """A weekend without calls is none; a Wednesday is, and a Friday with the Monday after it is one gap."""
    days = workdays(date(2026, 3, 30), 60)
    for missing in (date(2026, 3, 11), date(2026, 3, 20), date(2026, 3, 23)):
        del days[missing]
    (told,) = stories(evolux(tmp_path / "calls.duckdb", days))
    assert told.gaps == [(date(2026, 3, 11), date(2026, 3, 11)), (date(2026, 3, 20), date(2026, 3, 23))]
    assert told.weekdays == "Mon, Tue, Wed, Thu, Fri"
    assert (told.verdict, told.missed, told.recent_gaps) == ("fresh", 0, 3)


def proofs(path: Path, *rows: tuple[str, str, str, str]) -> Path:
    """The proofs of windows beside the calls: stream, partition, since and until of each."""
    values = ", ".join(str(row) for row in rows)
    return loaded(
        path,
        "CREATE TABLE tap_evolux.window_proofs "
        "(stream VARCHAR, partition VARCHAR, since TIMESTAMPTZ, until TIMESTAMPTZ)",
        f"INSERT INTO tap_evolux.window_proofs VALUES {values}",  # noqa: S608 - rows of our own
    )


def test_g2_a_day_is_proven_where_all_of_it_is_in_every_partition(tmp_path: Path) -> None:
    """Spans that touch are one; a day that ends without proof, or has one in some partitions, is proven in part."""
    days = {date(2026, 3, day): 2 for day in range(20, 25)}
    path = evolux(tmp_path / "x.duckdb", days)
    spans = (("20", "21T12"), ("21T12", "22"), ("22", "23T09"))
    a, b = ('{"c":"a"}', '{"c":"b"}')
    known = [("studio_calls", a, f"2026-03-{since}Z", f"2026-03-{until}Z") for since, until in _whole(spans)]
    whole = [("studio_calls", b, "2026-03-20 00:00Z", "2026-03-22 00:00Z")]
    other = [("other", "{}", "2020-01-01 00:00Z", "2027-01-01 00:00Z")]
    proofs(path, *known, *whole, *other)
    (story,) = stories(path)
    assert dict(story.proven_days) == {
        date(2026, 3, 20): "whole",
        date(2026, 3, 21): "whole",
        date(2026, 3, 22): "partly",
        date(2026, 3, 23): "partly",
        date(2026, 3, 24): "not",
    } | dict.fromkeys((date(2026, 3, day) for day in range(25, 32)), "not")
    assert (story.proven.whole, story.proven.windows) == (2, 4)
    made = page.page(path, NOW)
    assert "Proven: 2 of 12 days, up to 2026-03-23 09:00" in made
    assert made.count('class="proven"') == 2
    assert made.count('class="partly"') == 2
    assert "window_proofs <small" not in made


def _whole(spans: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Times of day where a day alone is meant."""
    for span in spans:
        since, until = (f"{text} 00:00" if "T" not in text else f"{text.replace('T', ' ')}:00" for text in span)
        yield since, until


def test_g2_without_proofs_nothing_is_said_of_completeness(tmp_path: Path) -> None:
    """A file whose tap wrote none, and a stream that has none yet."""
    path = evolux(tmp_path / "x.duckdb", {date(2026, 3, 20): 2})
    assert "select that stream of the tap" in page.page(path, NOW)
    proofs(path, ("other", "{}", "2020-01-01 00:00Z", "2027-01-01 00:00Z"))
    assert "No window of this stream is proven yet" in page.page(path, NOW)


def test_late_counts_days_that_usually_have_rows(tmp_path: Path) -> None:
    """On a Tuesday morning Friday's calls are late by the Monday; on the Monday they are fresh."""
    path = evolux(tmp_path / "calls.duckdb", workdays(date(2026, 3, 27), 60))
    (told,) = stories(path)
    assert (told.verdict, told.missed, told.gaps) == ("late", 1, [])
    (told,) = stories(path, NOW - timedelta(days=1))
    assert (told.verdict, told.missed) == ("fresh", 0)


def test_old_data_are_shown_where_they_are(tmp_path: Path) -> None:
    """Years later the chart still has the last days with rows, and the stream is late by all that passed since."""
    path = evolux(tmp_path / "calls.duckdb", workdays(date(2026, 3, 27), 60))
    (told,) = stories(path, NOW.replace(year=2028))
    assert told.days[-1] == (date(2026, 3, 27), 3)
    assert told.missed > 500


def test_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    """A call at noon UTC is of the next day in Auckland."""
    from zoneinfo import ZoneInfo

    path = evolux(tmp_path / "calls.duckdb", {date(2026, 3, 10): 2})
    (told,) = stories(path, NOW.astimezone(ZoneInfo("Pacific/Auckland")))
    assert told.days[0] == (date(2026, 3, 11), 2)


def test_durations_and_shares(tmp_path: Path) -> None:
    """Every row is in one bucket, zero for itself; shares add up, null is named, and the rest is one part."""
    path = loaded(
        tmp_path / "calls.duckdb",
        "CREATE SCHEMA tap_hostedsuite",
        'CREATE TABLE tap_hostedsuite.calls AS SELECT CAST(i AS VARCHAR) AS "Id", '
        'TIMESTAMPTZ \'2026-03-30 10:00:00Z\' AS "StartTime", CAST(i * 10 AS DOUBLE) AS "DurationInSeconds", '
        "CASE WHEN i < 50 THEN 'Incoming' WHEN i < 60 THEN NULL ELSE 'T' || i % 10 END AS \"Type\", "
        "'Anna ' || i AS \"CallerName\" FROM range(100) AS r(i)",
    )
    (told,) = stories(path)
    assert sum(bar.rows for bar in told.durations) == 100
    assert [bar.rows for bar in told.durations][:3] == [1, 0, 2]  # 0 s; below 10 s; 10 and 20 s
    ((name, shares),) = told.outcomes
    assert name == "Type"
    assert [(share.value, share.rows) for share in shares[:2]] == [("Incoming", 50), ("(none)", 10)]
    assert shares[-1].value == "6 others"
    assert sum(share.rows for share in shares) == 100
    assert "Anna" not in page.page(path, NOW)


def test_g7_personal_fields_are_no_outcomes() -> None:
    """A field that a vendor's schema marks as personal stands nowhere on the page, whatever its name is like."""
    personal = {name for stream in tables._streams() for name in stream.personal}  # noqa: SLF001 - one by one
    assert len(personal) > 10
    for one in tables._streams():  # noqa: SLF001 - same
        one = one._replace(personal=one.personal | {"client_status"})  # noqa: PLW2901 - with a name like an outcome's
        kinds = {**dict.fromkeys(one.personal, "VARCHAR"), "exit_status": "VARCHAR"}
        table = tables._table("tap_x", one.name, kinds, one)  # noqa: SLF001 - same
        assert table.outcomes == ["exit_status"]


HOSTILE = ["<script>alert(1)</script>", "</title><img src=x onerror=alert(2)>", "{{ 7 * 7 }}{% raw %}", "\"'&<b>;--"]


def test_g7_hostile_names_and_values_stay_text(tmp_path: Path) -> None:
    """Names of schemas, tables and columns, values, and the words of reports: all of it is text, none of it markup."""
    statements = []
    for name in HOSTILE:
        schema, table, column = (tables.quoted(name + kind) for kind in (" schema", " table", " status"))
        values = ", ".join(f"('2026-03-30', $h${value}$h$)" for value in HOSTILE)
        statements += [
            f"CREATE SCHEMA {schema}",
            f"CREATE TABLE {schema}.{table} (start_time TIMESTAMPTZ, {column} VARCHAR)",
            f"INSERT INTO {schema}.{table} VALUES {values}",  # noqa: S608 - the names are quoted
        ]
    run = {
        "tap": HOSTILE[0], "started": "2026-03-31T01:00:00+00:00", "seconds": 1, "verdict": HOSTILE[1], "rows": 1,
        "requests": 1, "retries": 0, "waited_seconds": 0, "peak_memory_bytes": None, "error": None,
        "streams": [{"failures": [{"what": HOSTILE[2], "why": HOSTILE[3], "remedy": HOSTILE[0]}]}],
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(run))
    shown = Page(page.page(loaded(tmp_path / "calls.duckdb", *statements), NOW, folder=tmp_path))
    assert shown.text.count(HOSTILE[0]) > 8
    for text in HOSTILE:
        assert text in shown.text
    assert [shown.elements[name] for name in ("script", "img", "b")] == [0, 0, 0]
    assert not [name for name, _ in shown.attributes if name.startswith("on")]


def test_tables_of_every_kind_are_told(tmp_path: Path) -> None:
    """Without rows, without times, with rows in the future or without a time: each is said, none is an error."""
    path = loaded(
        tmp_path / "x.duckdb",
        "CREATE SCHEMA x.x",  # the file's own name
        "CREATE TABLE x.x.a_empty (start_time TIMESTAMPTZ)",
        "CREATE TABLE x.x.b_untimed AS SELECT 'a' AS id, 'open' AS status",
        "CREATE TABLE x.x.c_future AS SELECT TIMESTAMPTZ '2027-01-01 00:00:00Z' AS start_time",
        "CREATE TABLE x.x.d_some AS SELECT unnest([NULL, TIMESTAMPTZ '2026-03-30 00:00:00Z']) AS start_time",
        "CREATE TABLE x.x.e_null AS SELECT CAST(NULL AS TIMESTAMPTZ) AS start_time",
        "CREATE TABLE x.x.f_naive AS SELECT TIMESTAMP '2026-03-30 00:00:00' AS started_at, 1.5 AS duration",
        "CREATE TABLE x.x.g_date AS SELECT DATE '2026-03-30' AS day",
    )
    told = stories(path)
    assert [one.verdict for one in told] == ["empty", "untimed", "untimed", "fresh", "untimed", "fresh", "fresh"]
    assert (told[2].future, told[3].timeless, told[4].timeless) == (1, 1, 1)
    text = Page(page.page(path, NOW)).text
    assert "In the future: 1." in text
    assert "Without start_time: 1." in text
    assert "There is no table in the file yet" in page.page(loaded(tmp_path / "y.duckdb", "SELECT 1"), NOW)


ODD = {
    "epochs": "SELECT CAST(-9223372036854775807 AS BIGINT) AS enter_time_epoch, "
    "CAST(9223372036854775807 AS BIGINT) AS exit_time_epoch",
    "year_one": "SELECT TIMESTAMPTZ '0001-01-01 00:00:00Z' AS start_time",
    "year_one_too": "SELECT unnest([TIMESTAMPTZ '0001-01-01 00:00:00Z', TIMESTAMPTZ '2026-03-30 00:00:00Z']) "
    "AS start_time",
    "before_christ": "SELECT TIMESTAMPTZ '0044-03-15 (BC) 00:00:00Z' AS start_time",
    "endless": "SELECT unnest([TIMESTAMPTZ 'infinity', TIMESTAMPTZ '-infinity']) AS start_time, "
    "TIMESTAMPTZ 'infinity' AS end_time",
    "no_number": "SELECT unnest([CAST('nan' AS DOUBLE), CAST('infinity' AS DOUBLE), 1e308]) AS duration",
    "far": "SELECT TIMESTAMP '200000-01-01 00:00:00' AS started_at, TIMESTAMP '290000-01-01' AS ended_at",
}


@pytest.mark.parametrize("zone", ["UTC", "America/Lima", "Asia/Tokyo"])
def test_g9_one_odd_row_leaves_out_a_figure_at_most(tmp_path: Path, zone: str) -> None:
    """The page is made whatever times and numbers a row holds; a figure that can't be made is named."""
    now = NOW.astimezone(zoneinfo.ZoneInfo(zone))
    tables = [f"CREATE TABLE odd.{name} AS {query}" for name, query in ODD.items()]
    path = loaded(
        tmp_path / "x.duckdb",
        "CREATE SCHEMA odd",
        *tables,
        "CREATE TABLE odd.good AS SELECT TIMESTAMPTZ '2026-03-30 00:00:00Z' AS start_time, 5 AS duration",
        "CREATE VIEW odd.broken AS SELECT CAST(CAST('x' || duration AS INTEGER) AS VARCHAR) AS status FROM odd.good",
    )
    told = {one.table.stream: one for one in stories(path, now)}
    assert len(told["good"].days) == len(told["good"].bars) >= 2
    assert told["good"].durations
    assert told["good"].left_out == []
    assert len(told["year_one_too"].days) == 90
    assert told["broken"].left_out
    shown = Page(page.page(path, now))
    assert "Left out, as the data do not allow it" in shown.text


def test_g9_one_odd_report_of_a_run_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are no report, or one with values that nobody foresaw, do not hide the others."""
    good = {
        "tap": "tap-x", "started": "2026-03-31T01:00:00+00:00", "seconds": 1, "verdict": "complete", "rows": 1,
        "requests": 1, "retries": 0, "waited_seconds": 0, "peak_memory_bytes": None, "error": None, "streams": [],
    }  # fmt: skip
    odd: dict[str, Any] = {
        "year": {**good, "started": "0001-01-01T00:00:00+14:00"},
        "endless": {**good, "seconds": float("inf")},
        "large": {**good, "rows": float("inf")},
        "list": [],
        "text": {**good, "streams": "x"},
        "memory": {**good, "peak_memory_bytes": "much"},
    }
    for name, content in {**odd, "good": good, "half": {**good, "tap": "\ud800"}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    assert [run["tap"] for run in runs.runs(tmp_path / "good.json", NOW)[0]] == [good["tap"]]  # one file is enough
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    (tmp_path / "naive.json").write_text(json.dumps({**good, "started": "2026-03-31T02:00:00"}), encoding="utf-8")
    path = loaded(tmp_path / "x.duckdb", "CREATE TABLE t AS SELECT 1 AS n")
    output = tmp_path / "page.html"
    assert report(monkeypatch, "--database", str(path), "--output", str(output), "--runs", str(tmp_path)) == 0
    text = Page(output.read_text(encoding="utf-8")).text
    assert text.count("complete") >= 3
    assert all(f"{name}.json" in text for name in [*odd, "deep"])


def test_a_failure_shows_the_span_that_is_not_proven(tmp_path: Path) -> None:
    """In the page's own zone, with the stream, the partition and the key of the run's proofs; where a report has it."""
    failure = {"what": "it failed", "why": "", "remedy": "Run it again", "partition": {"campaign": "c1"}}
    span = {"unproven_from": "2026-03-01T23:30:00+00:00", "unproven_to": "2026-03-31T00:00:00+00:00"}
    whole = {**failure, "partition": {}, "unproven_from": None, "unproven_to": None}
    told = {
        "tap": "tap-x", "started": "2026-03-31T01:00:00+00:00", "run_started": "2026-03-31T00:00:01+00:00",
        "seconds": 1, "verdict": "failed", "rows": 1, "requests": 1, "retries": 0, "waited_seconds": 0,
        "peak_memory_bytes": None, "error": None,
        "streams": [{"stream": "requests", "failures": [{**failure, **span}, failure, whole]}],
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(told), encoding="utf-8")
    ((run,), strange) = runs.runs(tmp_path, NOW.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo")))
    assert not strange
    doubt = (
        "Not proven: requests, c1, from 2026-03-02 08:30 to 2026-03-31 09:00 (run_started 2026-03-31T00:00:01+00:00)"
    )
    assert run["failures"] == [f"it failed. Run it again. {doubt}", *["it failed. Run it again"] * 2]


def test_what_can_not_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file, one that is none, and a folder of runs that is none: what failed, why, and what to do."""
    other = tmp_path / "other.duckdb"
    other.write_text("no database, but long enough to be taken for one" * 200)
    good = loaded(tmp_path / "good.duckdb", "SELECT 1")
    for options, said in (
        (["--database", str(tmp_path / "none.duckdb")], "there is no such file. Load one"),
        (["--database", str(other)], "check that it is a DuckDB file"),
        (
            ["--database", str(good), "--runs", str(tmp_path / "none")],
            "there is no such file or folder. Give run_report",
        ),
        (["--database", str(good), "--output", str(other / "page.html")], "other.duckdb"),
        (
            ["--database", str(good), "--output", str(tmp_path)],
            "the path of a file that can be written [",
        ),
    ):
        assert report(monkeypatch, "--output", str(tmp_path / "page.html"), *options) == 1
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "plain", "exact"),
    [
        (0.2, "0 s", "0 s"),
        (59, "59 s", "59 s"),
        (95, "1 min", "1 min 35 s"),
        (3600, "1 h", "1 h"),
        (90_000, "1 d", "1 d 1 h"),
    ],
)
def test_lengths_of_time_in_words(seconds: float, plain: str, exact: str) -> None:
    """One unit, or two where it is to be exact."""
    assert (words.words(seconds), words.words(seconds, exact=True)) == (plain, exact)
