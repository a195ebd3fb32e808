"""G1, G2, G3, G10: single promises, each shown in the plainest world in which it could be broken."""

# ruff: noqa: N802 - a test's name carries the guarantee it holds

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.model.harness import UTC, Output, bookmark, instant, killed, run

from trunkline_sandbox import Sandbox
from trunkline_sandbox.vendors.conpeek import CAMPAIGNS

if TYPE_CHECKING:
    from tests.model.harness import Result

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
BEGIN = datetime(2021, 3, 1, tzinfo=UTC)
STREAM = {
    "bspk": "calls",
    "hostedsuite": "calls",
    "conpeek": "voice_campaign_requests",
    "evolux": "studio_calls",
}
KEY = {"bspk": "client_id", "hostedsuite": "Id", "conpeek": "id", "evolux": "id"}
SAMPLES = {"bspk": 2, "hostedsuite": 0, "conpeek": 0, "evolux": 2}
"""Rows of the vendors' own pages: of other years."""
WINDOWED = tuple(STREAM)
TOTALLED = ("bspk", "hostedsuite", "evolux")
CONFIG = {
    "start_date": BEGIN.isoformat(),
    "window": "P1D",
    "lookback": "PT0S",
    "page_size": 3,
    "concurrency": 2,
    "max_attempts": 2,
}


def world(vendor: str, *moments: datetime) -> Sandbox:
    """A vendor with a row at each of these moments."""
    box = Sandbox(size=0, vendors=[vendor])
    put(box, vendor, *moments)
    return box


def put(box: Sandbox, vendor: str, *moments: datetime, **more: Any) -> None:
    """Add a row at each of these moments, numbered from 100 on."""
    known = len(box.truth(vendor, STREAM[vendor])) - SAMPLES[vendor]
    rows = []
    for n, moment in enumerate(moments, known + 100):
        text = moment.strftime("%Y-%m-%dT%H:%M:%S")
        fraction = f".{moment.microsecond // 1000:03d}"
        forms: dict[str, dict[str, Any]] = {
            "bspk": {"sales_associate_id": "SA", "client_id": str(n), "created_at": f"{text}{fraction}Z"},
            "hostedsuite": {"Id": str(n), "StartTime": f"{text}{fraction}Z", "Interactions": []},
            "conpeek": {"id": str(n), "voice_campaign_id": CAMPAIGNS[0], "created_date": text.replace("T", " ")},
            "evolux": {"id": n, "start_time": f"{text}{fraction}+00:00"},
        }
        rows.append({**forms[vendor], **more})
    box.upsert(vendor, STREAM[vendor], rows)


def mark(result: Result, vendor: str, stream: str | None = None) -> datetime | None:
    """The bookmark that a run left."""
    return bookmark(result.state, stream or STREAM[vendor], CAMPAIGNS[0] if vendor == "conpeek" else "")


def keys(result: Result, vendor: str) -> list[Any]:
    """The keys of the rows that a run wrote."""
    return [record[KEY[vendor]] for record in result.records(STREAM[vendor])]


def held(box: Sandbox, vendor: str) -> set[Any]:
    """The keys of the rows that the vendor has since the begin."""
    time = {"bspk": "created_at", "hostedsuite": "StartTime", "conpeek": "created_date", "evolux": "start_time"}[vendor]
    rows = box.truth(vendor, STREAM[vendor])
    return {row[KEY[vendor]] for row in rows if BEGIN <= instant(row[time]) < BEGIN + 100 * DAY}


# -- G1 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", WINDOWED)
@pytest.mark.parametrize("window", ["PT1H", "PT3607S", "P1D"])
def test_G1_no_row_is_lost_on_a_seam(vendor: str, window: str) -> None:
    """A row on each seam of two windows, and one a hair before and after it, all come."""
    length = {"PT1H": 60, "PT3607S": 60, "P1D": 1440}[window]
    hair = timedelta(seconds=1) if vendor == "conpeek" else MS
    # Windows are whole minutes, each of them perhaps one shorter for the overlap.
    seams = sorted({BEGIN + timedelta(minutes=n * length - k) for n in range(1, 5) for k in range(n + 1)})
    box = world(vendor, *(seam + side for seam in seams for side in (-hair, timedelta(0), hair)))
    result = run(box, vendor, {**CONFIG, "window": window}, at=seams[-1] + timedelta(seconds=10))
    assert result.code == 0, result.log
    assert set(keys(result, vendor)) == held(box, vendor)
    if vendor in {"hostedsuite", "evolux"}:  # elsewhere a row may come by two dates, or be kept though it is outside
        assert len(keys(result, vendor)) == len(seams) * 3


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G1_runs_that_follow_each_other_leave_no_gap(vendor: str) -> None:
    """A row in the very tick that a run starts in is the next run's, with no lookback to help."""
    at = BEGIN + timedelta(hours=5, milliseconds=400)
    hair = timedelta(seconds=1) if vendor == "conpeek" else MS
    box = world(vendor, at - timedelta(hours=1))
    first = run(box, vendor, CONFIG, at=at)
    put(box, vendor, at - 400 * MS, at - 400 * MS + hair, at)
    second = run(box, vendor, CONFIG, at=at + DAY, state=first.state)
    assert first.code == second.code == 0
    assert set(keys(first, vendor)) | set(keys(second, vendor)) == held(box, vendor)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Beirut", "Australia/Lord_Howe"])
@pytest.mark.parametrize("form", ["us_date", "us24_minutes", "us24"])
@pytest.mark.parametrize("window", ["PT5H", "P1D"])
def test_G1_a_time_that_leaves_out_its_end_loses_no_call(form: str, zone: str, window: str) -> None:
    """A call is found by when it began, also where its StartTime is the day or the minute alone."""
    begin = BEGIN + timedelta(seconds=30)  # the clocks of all these zones change in the weeks that follow
    moments = [begin + n * timedelta(hours=2, seconds=13) for n in range(300, 480)]
    box = world("hostedsuite", begin + timedelta(seconds=5), *moments)
    box.knobs("hostedsuite", start_time=form, zone=zone)
    config = {**CONFIG, "start_date": begin.isoformat(), "window": window, "timezone": zone, "page_size": 50}
    first = run(box, "hostedsuite", config, at=moments[90])
    put(box, "hostedsuite", moments[90] + MS)
    second = run(box, "hostedsuite", config, at=moments[-1] + DAY, state=first.state)
    assert first.code == second.code == 0, (first.log, second.log)
    assert set(keys(first, "hostedsuite")) | set(keys(second, "hostedsuite")) == held(box, "hostedsuite")


@pytest.mark.parametrize(("form", "other"), [("iso", "us24"), ("us", "us24"), ("us24", "us")])
def test_G2_a_filter_date_that_the_server_does_not_read_is_an_error(form: str, other: str) -> None:
    """Each form loads a server that reads it alone; another one is ignored, and its unfiltered rows are refused."""
    box = world("hostedsuite", *(BEGIN + n * timedelta(hours=30) for n in range(5)))
    box.knobs("hostedsuite", filter_dates=form)
    right = run(box, "hostedsuite", {**CONFIG, "filter_date_format": form}, at=BEGIN + 7 * DAY)
    wrong = run(box, "hostedsuite", {**CONFIG, "filter_date_format": other}, at=BEGIN + 7 * DAY)
    assert (right.code, set(keys(right, "hostedsuite"))) == (0, held(box, "hostedsuite"))
    assert wrong.code == 1
    assert mark(wrong, "hostedsuite") is None
    assert any("set filter_date_format to another form" in line for line in wrong.log), wrong.log


def test_G1_a_killed_backfill_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `kill -9` in the middle of a long backfill, only what was not proven is asked for again."""
    monkeypatch.setattr("trunkline.run.run.STATE_EVERY", 0.0)
    box = world("evolux", *(BEGIN + n * timedelta(hours=3) for n in range(160)))
    config = {**CONFIG, "lookback": "PT6H"}
    first = run(box, "evolux", config, at=BEGIN + 20 * DAY, output=Output(250_000, killed))
    stands = mark(first, "evolux")
    assert first.code is None
    assert stands is not None
    assert BEGIN + 2 * DAY < stands < BEGIN + 18 * DAY
    box.requests.clear()
    second = run(box, "evolux", config, at=BEGIN + 20 * DAY, state=first.state)
    assert second.code == 0
    asked = [instant(dict(entry.query)["start_date"]) for entry in box.requests.of("evolux") if entry.query]
    marks = [mark(first, "evolux", stream) or BEGIN for stream in ("studio_calls", "studio_cdr")]
    assert min(asked) >= min(marks) - timedelta(hours=6, seconds=1)
    assert set(keys(first, "evolux")) | set(keys(second, "evolux")) == held(box, "evolux")


# -- G2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", TOTALLED)
@pytest.mark.parametrize("by", [1, -1])
def test_G2_a_total_that_lies_fails_the_stream(vendor: str, by: int) -> None:
    """Rows that do not add up to the vendor's total fail the run twice read, with both numbers; the bookmark stays."""
    box = world(vendor, *(BEGIN + n * timedelta(hours=1) for n in range(8)))
    box.fault("wrong_total", by=by)
    result = run(box, vendor, CONFIG, at=BEGIN + DAY)
    assert result.code == 1
    assert mark(result, vendor) is None
    told = " ".join(result.log)
    assert f"total is {8 + by}" in told
    assert re.search(r"\b8 different rows|more pages came", told)


@pytest.mark.parametrize("vendor", ["hostedsuite", "evolux", "conpeek"])
def test_G2_an_ignored_filter_fails_the_stream(vendor: str) -> None:
    """Rows far outside the asked span show that the vendor did not filter: an error, never a bookmark."""
    box = world(vendor, BEGIN + timedelta(hours=1), BEGIN - 40 * DAY, BEGIN + 40 * DAY)
    box.fault("ignore_filter")
    result = run(box, vendor, {**CONFIG, "page_size": 50}, at=BEGIN + 2 * DAY)
    assert result.code == 1
    assert mark(result, vendor) is None
    assert any("filter" in line for line in result.log)


def test_G2_bspk_keeps_old_rows_and_leaves_out_what_is_at_or_after_the_end() -> None:
    """BSPK's dates may mean updated: an old created_at is kept, one that is not before end_date is not written."""
    box = world("bspk")
    for n, (created, updated) in enumerate(((-9, 1), (1, 1), (5, 1))):
        put(box, "bspk", BEGIN + created * DAY, updated_at=f"2021-03-0{updated + 1}T0{n}:00:00Z")
    box.knobs("bspk", filter_on="updated")
    result = run(box, "bspk", {**CONFIG, "end_date": (BEGIN + 5 * DAY).isoformat()}, at=BEGIN + 20 * DAY)
    created_at = sorted(record["created_at"] for record in result.records("calls"))
    assert result.code == 0
    assert created_at == ["2021-02-20T00:00:00.000Z", "2021-03-02T00:00:00.000Z"]


@pytest.mark.parametrize("vendor", [*WINDOWED, "switchtransact"])
@pytest.mark.parametrize("kind", ["html200", "empty200", "broken_json", "other_envelope", "cut", "reset", "status"])
def test_G2_an_answer_that_is_none_is_never_no_records(vendor: str, kind: str) -> None:
    """What is not the vendor's own envelope fails the run after its tries."""
    box = Sandbox(size=0, vendors=[vendor])
    box.fault(kind)
    config = {"max_attempts": 2} if vendor == "switchtransact" else CONFIG
    result = run(box, vendor, config, at=BEGIN + DAY)
    assert result.code == 1, result.log
    assert len(box.requests) > 1, "nothing was tried again"
    assert not any(result.of("RECORD"))


@pytest.mark.parametrize("vendor", TOTALLED)
def test_G2_a_page_that_repeats_is_an_error(vendor: str) -> None:
    """A server that answers each page with the one before is caught, and soon."""
    box = world(vendor, *(BEGIN + n * timedelta(minutes=1) for n in range(30)))
    box.fault("repeat_page")
    # Where it is not known how HostedSuite counts, a page that comes twice says just that.
    config = {**CONFIG, **({"first_page": 0} if vendor == "hostedsuite" else {})}
    result = run(box, vendor, config, at=BEGIN + DAY)
    assert result.code == 1
    assert mark(result, vendor) is None
    assert len(box.requests) < 40


def test_G2_without_a_total_pages_are_read_until_an_empty_one() -> None:
    """A BSPK that sends neither total nor links is read to the page that has nothing."""
    box = world("bspk", *(BEGIN + n * timedelta(minutes=1) for n in range(6)))
    box.knobs("bspk", total_header=False, link_headers=False)
    result = run(box, "bspk", CONFIG, at=BEGIN + DAY)
    assert result.code == 0
    assert set(keys(result, "bspk")) == held(box, "bspk")
    assert "3" in {dict(entry.query)["page"] for entry in box.requests.of("bspk")}


def test_G2_a_204_is_an_empty_answer() -> None:
    """No content is an answer: no records, no error, and no bookmark."""
    box = world("bspk", BEGIN)
    box.fault("status", status=204)
    result = run(box, "bspk", CONFIG, at=BEGIN + DAY)
    assert result.code == 0
    assert not result.of("RECORD")
    assert mark(result, "bspk") is None


# -- G3 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G3_empty_windows_do_not_move_the_bookmark(vendor: str) -> None:
    """Weeks without a row leave the bookmark at the last row, so that late rows of those weeks are still caught."""
    box = world(vendor, BEGIN + timedelta(hours=7))
    first = run(box, vendor, CONFIG, at=BEGIN + 40 * DAY)
    assert mark(first, vendor) == BEGIN + timedelta(hours=7)
    put(box, vendor, BEGIN + 20 * DAY)
    second = run(box, vendor, CONFIG, at=BEGIN + 41 * DAY, state=first.state)
    assert len(set(keys(second, vendor))) == 2
    assert mark(second, vendor) == BEGIN + 20 * DAY


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G3_long_empty_spans_are_cheap(vendor: str) -> None:
    """Twenty empty years in windows of a day cost few requests."""
    box = world(vendor)
    config = {**CONFIG, "start_date": "1995-01-01", "concurrency": 1}
    result = run(box, vendor, config, at=datetime(2015, 1, 1, tzinfo=UTC))
    assert result.code == 0
    assert len(box.requests) < 120


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G3_a_second_run_reads_the_lookback_and_no_more(vendor: str) -> None:
    """The next run asks from the bookmark less the lookback on, and never before the start date."""
    box = world(vendor, BEGIN + timedelta(hours=1), BEGIN + 3 * DAY, BEGIN + 9 * DAY)
    config = {**CONFIG, "lookback": "P7D"}
    first = run(box, vendor, config, at=BEGIN + 10 * DAY)
    for lookback, expected in (("P7D", 2), ("PT0S", 1), ("P99D", 3)):
        second = run(box, vendor, {**config, "lookback": lookback}, at=BEGIN + 10 * DAY, state=first.state)
        found = set(keys(second, vendor))
        assert second.code == 0
        assert len(found) == (3 if vendor == "conpeek" else expected), lookback  # open requests are always read
        assert mark(second, vendor) == mark(first, vendor)


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G3_the_lookback_reaches_its_own_edge(vendor: str) -> None:
    """A row that comes late and lies exactly one lookback before the bookmark is read, on the first instant asked."""
    box = world(vendor, BEGIN + 5 * DAY)
    config = {**CONFIG, "lookback": "P2D"}
    first = run(box, vendor, config, at=BEGIN + 6 * DAY)
    put(box, vendor, BEGIN + 3 * DAY, **({"state": "CLOSED"} if vendor == "conpeek" else {}))
    second = run(box, vendor, config, at=BEGIN + 6 * DAY, state=first.state)
    assert first.code == second.code == 0
    assert set(map(str, keys(second, vendor))) == {"100", "101"}


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G3_a_bookmark_in_the_future_counts_as_now(vendor: str) -> None:
    """A wrong clock in the state does not blind the tap for years: reading starts a lookback before the run."""
    box = world(vendor, BEGIN + 5 * DAY - timedelta(hours=1))
    first = run(box, vendor, CONFIG, at=BEGIN + 5 * DAY)
    text = json.dumps(first.state).replace("2021-03-05T23:00:00", "2090-01-01T00:00:00")
    put(box, vendor, BEGIN + 6 * DAY - timedelta(minutes=1))
    second = run(box, vendor, {**CONFIG, "lookback": "PT1H"}, at=BEGIN + 6 * DAY, state=json.loads(text))
    assert second.code == 0
    assert "2090" in text
    assert "101" in map(str, keys(second, vendor))
    assert (mark(second, vendor) or BEGIN) <= BEGIN + 6 * DAY


@pytest.mark.parametrize("vendor", WINDOWED)
def test_G3_a_row_from_the_future_does_not_carry_the_bookmark_along(vendor: str) -> None:
    """A row dated after the run's start is left to the run that comes after it."""
    box = world(vendor, BEGIN + timedelta(hours=1), BEGIN + 30 * DAY)
    result = run(box, vendor, CONFIG, at=BEGIN + 2 * DAY)
    assert result.code == 0
    assert mark(result, vendor) == BEGIN + timedelta(hours=1)


# -- G10 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", WINDOWED)
@pytest.mark.parametrize("policy", ["keep", "drop", "fail"])
def test_G10_unknown_fields(vendor: str, policy: str) -> None:
    """A field that the schema does not name is kept in `_extra`, dropped with a word, or an error with its name."""
    box = world(vendor)
    put(box, vendor, BEGIN, Nouveauté={"a": 1})
    result = run(box, vendor, {**CONFIG, "unknown_fields": policy}, at=BEGIN + DAY)
    told = [line for line in result.log if "Nouveauté" in line]
    assert told
    if policy == "fail":
        assert result.code == 1
        assert not result.records(STREAM[vendor])
        assert mark(result, vendor) is None
    else:
        assert result.code == 0
        kept = {"Nouveauté": {"a": 1}} if policy == "keep" else None
        assert all(record["_extra"] == kept for record in result.records(STREAM[vendor]))


@pytest.mark.parametrize("field", ["client_id", "sales_associate_id"])
def test_G10_a_key_that_contradicts_the_schema_is_an_error(field: str) -> None:
    """The error names stream, key and field, not the value; the row is not written, the bookmark stays before it."""
    box = world("bspk", BEGIN + timedelta(hours=1))
    put(box, "bspk", BEGIN + 2 * DAY, **{field: 77_123})
    result = run(box, "bspk", {**CONFIG, "concurrency": 1}, at=BEGIN + 5 * DAY)
    told = " ".join(line for line in result.log if "contradicts" in line)
    assert result.code == 1, result.log
    assert "calls, the record with call_key" in told
    assert field in told
    assert "77123" not in told
    assert set(keys(result, "bspk")) == {"100"}
    assert mark(result, "bspk") == BEGIN + timedelta(hours=1)


@pytest.mark.parametrize(
    ("vendor", "field", "value"),
    [
        ("bspk", "client_name", 77_123),
        ("hostedsuite", "HoldCount", "77 123"),
        ("conpeek", "priority", "77 123"),
        ("evolux", "exit_reason", 77_123),
        ("evolux", "end_time", "2021-03-02T77:00:00Z"),
    ],
)
def test_G10_any_other_value_that_contradicts_the_schema_is_kept(vendor: str, field: str, value: object) -> None:
    """It stops nothing: null in its place, as it came in `_extra`, and counted in a warning that does not show it."""
    box = world(vendor, BEGIN + timedelta(hours=1))
    put(box, vendor, BEGIN + 2 * DAY, **{field: value})
    result = run(box, vendor, CONFIG, at=BEGIN + 5 * DAY)
    assert result.code == 0, result.log
    (row, *_) = [row for row in result.records(STREAM[vendor]) if row["_extra"]]
    assert (row[field], row["_extra"]) == (None, {field: value})
    told = next(line for line in result.log if line.startswith(f"{STREAM[vendor]}: values that contradict"))
    assert f"{field} (" in told
    assert "77" not in told
    assert mark(result, vendor) == BEGIN + 2 * DAY


def test_G10_numbers_and_texts_keep_their_value() -> None:
    """Integers beyond 64 bits, decimals with all their digits and any character stand in the RECORD line as sent."""
    row = (
        '{"Id":"1","StartTime":"2021-03-01T10:00:00Z","TalkTimeInSeconds":0.1000000000000000055511151231257827,'
        '"HoldCount":123456789012345678901234567890,"RingTimeInSeconds":1e-7,"Notes":'
        '"\\u0000 \\ud83d\\ude00 \\u2028 é",'
        '"DurationInSeconds":12345678901234567890.5,"New":[9007199254740993]}'
    )
    box = Sandbox(size=0, vendors=["hostedsuite"])
    box.fault("status", status=200, body=f'{{"Items":[{row}],"TotalCount":1}}')
    output = Output()
    result = run(box, "hostedsuite", {**CONFIG, "first_page": 0}, at=BEGIN + DAY, output=output)
    line = next(line for line in bytes(output.taken).decode().split("\n") if '"RECORD"' in line)
    assert result.code == 0, result.log
    numbers = set(re.findall(r":\[?(-?\d[\d.eE+-]*)", line))
    assert {
        "0.1000000000000000055511151231257827",
        "123456789012345678901234567890",
        "12345678901234567890.5",
    } <= numbers
    assert "9007199254740993" in numbers
    record = json.loads(line)["record"]
    assert record["Notes"] == "\0 😀 \u2028 é"
    assert record["RingTimeInSeconds"] == pytest.approx(1e-7, rel=0, abs=0)


# -- the details of Evolux -----------------------------------------------------------------------------------------


def test_G1_a_detail_that_comes_later_is_asked_for_again() -> None:
    """A 404 lets the run succeed and is counted; within the lookback the detail is fetched by a later run."""
    box = world("evolux", *(BEGIN + n * timedelta(hours=1) for n in range(6)))
    box.knobs("evolux", cdr_pending={"104": None})
    config = {**CONFIG, "lookback": "P1D"}
    first = run(box, "evolux", config, at=BEGIN + DAY)
    assert first.code == 0
    assert len(first.records("studio_cdr")) == 5
    assert any("1 detail" in line for line in first.log)
    box.knobs("evolux", cdr_pending={})
    second = run(box, "evolux", config, at=BEGIN + DAY, state=first.state)
    assert 104 in {record["call_id"] for record in second.records("studio_cdr")}


def test_G2_no_detail_at_all_suggests_the_other_id() -> None:
    """Five calls in a window and not one detail: an error that names cdr_call_id; the calls themselves are read."""
    box = world("evolux", *(BEGIN + n * timedelta(hours=1) for n in range(5)))
    box.upsert(
        "evolux",
        "studio_calls",
        [{"id": 200 + n, "uuid": f"u{n}", "start_time": "2021-03-01T09:00:00Z"} for n in range(5)],
    )
    box.knobs("evolux", cdr_pending={str(row["id"]): None for row in box.truth("evolux", "studio_calls")})
    result = run(box, "evolux", CONFIG, at=BEGIN + DAY)
    assert result.code == 1
    assert any("cdr_call_id" in line and "uuid" in line for line in result.log)
    assert mark(result, "evolux", "studio_cdr") is None
    assert mark(result, "evolux") is not None


def test_G2_four_missing_details_are_no_error() -> None:
    """Fewer than five calls without a detail prove nothing about the id."""
    box = world("evolux", *(BEGIN + n * timedelta(hours=1) for n in range(4)))
    box.knobs("evolux", cdr_pending={str(row["id"]): None for row in box.truth("evolux", "studio_calls")})
    result = run(box, "evolux", CONFIG, at=BEGIN + DAY)
    assert result.code == 0
    assert mark(result, "evolux", "studio_cdr") is None


@pytest.mark.parametrize("status", [400, 403, 500])
def test_G2_a_detail_that_fails_holds_its_window(status: int) -> None:
    """An error that is no 404 fails studio_cdr and holds its bookmark before that window; studio_calls goes on."""
    box = world("evolux", *(BEGIN + n * timedelta(hours=12) for n in range(8)))
    box.fault("status", "calls/105/cdr", status=status)
    result = run(box, "evolux", {**CONFIG, "concurrency": 1}, at=BEGIN + 10 * DAY)
    assert result.code == 1
    assert (mark(result, "evolux", "studio_cdr") or BEGIN) < BEGIN + timedelta(hours=60)
    assert mark(result, "evolux") == BEGIN + timedelta(hours=84)
    box.faults.clear()
    again = run(box, "evolux", CONFIG, at=BEGIN + 10 * DAY, state=result.state)
    assert again.code == 0
    assert {105, 106, 107} <= {record["call_id"] for record in again.records("studio_cdr")}
