"""HostedSuite as an outsider's stand-in serves it (vendor-docs/002)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from starlette.responses import Response
from tests.standin.servers import SECOND, UTC, HostedSuite, instant
from tests.standin.wire import Case, Run, Taps, reply

if TYPE_CHECKING:
    from tests.standin.conftest import Serve

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MILLI = timedelta(milliseconds=1)


def history(seams: tuple[datetime, ...] = (MARCH, MARCH + DAY, MARCH + 3 * DAY)) -> list[dict[str, Any]]:
    """Three days of calls: on the seams, beside them, tied in one second."""
    times = [MARCH + timedelta(minutes=19 * n, seconds=n) for n in range(1, 226)]
    for seam in seams:
        times += [seam - SECOND, seam - MILLI, seam, seam + MILLI, seam + SECOND / 2, seam + SECOND]
    times += [MARCH + timedelta(hours=5)] * 9
    return [HostedSuite.call(number, at) for number, at in enumerate(times, 1)]


def truth(rows: list[dict[str, Any]], low: datetime, high: datetime) -> dict[str, datetime]:
    """Id and instant of the calls in [low, high)."""
    return {row["Id"]: row["at"] for row in rows if low <= row["at"] < high}


def got(run: Run) -> dict[str, datetime]:
    """Id and instant of what a run emitted."""
    return {row["Id"]: instant(row["StartTime"]) for row in run.rows("calls")}


SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "base 0, cap 7": ({"cap": 7}, {}),
    "base 1, page 0 is page 1": ({"base": 1, "cap": 37}, {}),
    "base 1, page 0 refused": ({"base": 1, "rejects_zero": True, "cap": 7}, {}),
    "base 1, set": ({"base": 1, "rejects_zero": True}, {"first_page": 1, "page_size": 9}),
    "base 0, set as text": ({"base": 0}, {"first_page": "0", "page_size": 9}),
    "ms": ({"written": "ms", "zone": "America/New_York"}, {"timezone": "America/New_York"}),
    "with Z": ({"written": "utc"}, {"window": "PT7H"}),
    "unsorted": ({"order": "random", "cap": 7}, {"sort": False}),
    "exclusive": ({"exclusive": True}, {"window": "PT12H"}),
    "whole seconds": ({"whole_seconds": True}, {"window": "PT12H"}),
    "exclusive, whole seconds": ({"exclusive": True, "whole_seconds": True}, {"window": "P2D"}),
    "no total": ({"total": lambda _true: None, "cap": 7}, {}),
}


def test_g1_every_shape_of_the_list_gives_every_call(serve: Serve, run: Taps) -> None:
    """Whatever the vendor's pages, caps, order, bounds and precision, each call of the span is emitted."""
    cases, vendors = {}, {}
    for name, (vendor, config) in SHAPES.items():
        vendors[name] = serve(HostedSuite(history()))
        vars(vendors[name]).update(vendor)
        cases[name] = Case(
            "hostedsuite", vendors[name].config("2024-03-01T00:00:00Z", end_date="2024-03-04T00:00:00Z", **config)
        )
    wrong = {}
    expected = truth(history(), MARCH, MARCH + 3 * DAY)
    runs = run.many(cases)
    for name, one in runs.items():
        if one.code or got(one) != expected:
            have = got(one)
            lost = [at.isoformat() for key, at in expected.items() if key not in have]
            shifted = [at.isoformat() for key, at in have.items() if expected.get(key) != at]
            wrong[name] = (one.code, "lost", lost, "foreign or shifted", shifted[:8], one.stderr[-700:])
    if "no total" in wrong and wrong["no total"][0] == 1:
        del wrong["no total"]  # a missing TotalCount may also be refused: honest either way
    assert not wrong, wrong
    assert all(s.query == {} for v in vendors.values() for s in v.seen)
    sent = vendors["unsorted"].seen[0].json()
    assert "SortField" not in sent
    assert not sent.get("DisableStats")
    assert vendors["with Z"].seen[0].json()["SortField"] == "StartTime"


@pytest.mark.parametrize(
    ("zone", "turn"),
    [("Europe/Warsaw", datetime(2024, 3, 31, tzinfo=UTC)), ("America/New_York", datetime(2024, 11, 3, tzinfo=UTC))],
)
def test_g1_changes_of_clocks_lose_no_call(serve: Serve, run: Taps, zone: str, turn: datetime) -> None:
    """Zone-less times around a change of clocks lose no call; an ambiguous hour is read as its first pass."""
    place = ZoneInfo(zone)
    autumn = datetime(2024, 10, 27, tzinfo=UTC) if turn.month == 3 else datetime(2024, 3, 10, tzinfo=UTC)
    cases, vendors, seen = {}, {}, {}
    for written in ("iso", "us", "us24"):
        for window in ("P1D", "PT1H") if written == "iso" else ("PT1H",):
            for day in (turn, autumn):
                name = f"{written} {window} {day.date()}"
                calls = [HostedSuite.call(n, day - DAY / 4 + timedelta(minutes=7 * n)) for n in range(260)]
                vendor = vendors[name] = serve(HostedSuite(calls))
                vendor.zone, vendor.written, vendor.filter_format = zone, written, written
                config = vendor.config(
                    day.isoformat(),
                    end_date=(day + DAY).isoformat(),
                    timezone=zone,
                    window=window,
                    filter_date_format=written,
                )
                cases[name] = Case("hostedsuite", config)
                seen[name] = day
    # A daily seam within the ambiguous hour.
    half = autumn if turn.month == 3 else turn
    half += timedelta(minutes=30) if turn.month == 3 else timedelta(hours=5, minutes=30)
    calls = [HostedSuite.call(n, half - DAY + timedelta(minutes=7 * n)) for n in range(420)]
    vendor = vendors["seam"] = serve(HostedSuite(calls))
    vendor.zone = zone
    cases["seam"] = Case(
        "hostedsuite", vendor.config((half - DAY).isoformat(), end_date=(half + DAY).isoformat(), timezone=zone)
    )
    seen["seam"] = half - DAY
    wrong = {}
    for name, one in run.many(cases).items():
        day = seen[name]
        expected = {}
        for row in vendors[name].rows:
            wall = row["at"].astimezone(place).replace(tzinfo=None)
            read = wall.replace(tzinfo=place, fold=0).astimezone(UTC)
            if day <= read < day + (2 * DAY if name == "seam" else DAY):
                expected[row["Id"]] = read
        have = got(one)
        # The second pass of the ambiguous hour reads as the first.
        if one.code or have != expected:
            wrong[name] = (
                one.code,
                "lost",
                [v.isoformat() for k, v in expected.items() if k not in have],
                "extra",
                [v.isoformat() for k, v in have.items() if expected.get(k) != v],
                one.stderr[-500:],
            )
    assert not wrong, wrong


def test_every_filter_setting_is_sent_and_narrows(serve: Serve, run: Taps) -> None:
    """Each of the vendor's filters is a setting that the body carries by the documented name and type."""
    rows = history()[:40]
    for number, row in enumerate(rows):
        row |= {
            "ClientId": f"cl{number % 2}",
            "CenterId": f"ce{number % 3}",
            "TalkTimeInSeconds": float(number),
            "Type": ("Incoming", "Outgoing")[number % 5 == 0],
        }
    settings: dict[str, tuple[dict[str, Any], Any]] = {
        "client_id": ({"client_id": "cl1"}, lambda row: row["ClientId"] == "cl1"),
        "center_id": ({"center_id": "ce2"}, lambda row: row["CenterId"] == "ce2"),
        "call_record_id": ({"call_record_id": rows[7]["Id"]}, lambda row: row["Id"] == rows[7]["Id"]),
        "durations": (
            {"min_call_duration": 4.5, "max_call_duration": 11},
            lambda row: 4.5 <= row["TalkTimeInSeconds"] <= 11,
        ),
        "zero": ({"max_call_duration": 0}, lambda row: row["TalkTimeInSeconds"] == 0),
        "call_type": ({"call_type": "Outgoing"}, lambda row: row["Type"] == "Outgoing"),
    }
    vendor = serve(HostedSuite(rows))
    runs = run.many(
        {
            name: Case("hostedsuite", vendor.config("2024-03-01", end_date="2024-03-04", **extra))
            for name, (extra, _) in settings.items()
        }
    )
    for name, (_extra, kept) in settings.items():
        assert runs[name].code == 0, (name, runs[name].stderr)
        expected = {row["Id"] for row in rows if kept(row) and MARCH <= row["at"] < MARCH + 3 * DAY}
        assert set(got(runs[name])) == expected, name


def test_g2_answers_that_are_no_page(serve: Serve, run: Taps) -> None:
    """An error status in any answer, a lying total or an ignored filter fails; a refused login is tried once."""
    refused = {"ResponseStatus": {"ErrorCode": "AuthenticationException", "Message": "no: pass-s3cret user-s3cret"}}
    answers: dict[str, tuple[Any, int | None]] = {
        "login 500": (lambda: reply({"ResponseStatus": {"ErrorCode": "SecurityException", "Message": "x"}}, 500), 1),
        "login 200": (lambda: reply(refused), 1),
        "login 401": (lambda: reply(refused, 401), 1),
        "argument 400": (
            lambda: reply({"ResponseStatus": {"ErrorCode": "ArgumentException", "Message": "bad date"}}, 400),
            None,
        ),
        "500": (
            lambda: reply({"ResponseStatus": {"ErrorCode": "NullReferenceException", "Message": "oops"}}, 500),
            None,
        ),
        "no Items": (lambda: reply({"TotalCount": 3, "TotalPages": 1, "Page": 0}), None),
        "empty object": (lambda: reply({}), None),
        "array": (lambda: reply([]), None),
        "HTML": (lambda: Response("<html>Login</html>", 200, media_type="text/html"), None),
        "empty 200": (lambda: Response("", 200), None),
        "redirect": (lambda: Response("", 302, {"location": "https://127.0.0.1/login"}), None),
    }
    cases, vendors = {}, {}
    for name, (make, _times) in answers.items():
        vendors[name] = serve(HostedSuite(history()))
        vendors[name].faults.append(lambda _n, _request, make=make: make())  # type: ignore[misc]
        cases[name] = Case("hostedsuite", vendors[name].config("2024-03-01", end_date="2024-03-04", max_attempts=2))
    lies: dict[str, dict[str, Any]] = {
        "total high": {"total": lambda true: true + 4},
        "total low": {"total": lambda true: max(0, true - 4)},
        "total of one page": {"total": lambda true: min(true, 20)},
        "total zero": {"total": lambda _true: 0},
        "filter ignored": {"ignores_filter": True},
        "us dates not understood": {"filter_format": "us"},
    }
    for name, change in lies.items():
        vendors[name] = serve(HostedSuite(history((MARCH - 400 * DAY, MARCH))))
        vars(vendors[name]).update(change)
        cases[name] = Case("hostedsuite", vendors[name].config("2024-03-01", end_date="2024-03-04", page_size=20))
    same = serve(HostedSuite(history()))
    first = [
        {k: v for k, v in row.items() if k != "at"} | {"StartTime": "2024-03-01T10:00:00"} for row in history()[:20]
    ]
    same.faults.append(lambda _n, _request: reply({"Items": first, "Page": 0, "TotalCount": 90, "TotalPages": 5}))
    cases["same page"] = Case("hostedsuite", same.config("2024-03-01", end_date="2024-03-02", page_size=20))
    wrong = {}
    for name, one in run.many(cases).items():
        times = answers.get(name, (None, None))[1]
        if one.code != 1 or one.bookmark("calls") is not None or (times and len(vendors[name].seen) != times):
            wrong[name] = (one.code, one.bookmark("calls"), len(vendors[name].seen), one.stderr[-600:])
    assert not wrong, wrong
    assert len(same.seen) < 30


def test_g1_g3_second_run_and_late_rows(serve: Serve, run: Taps) -> None:
    """A call up to seven days late and notes changed meanwhile come with the next run."""
    now = datetime.now(UTC).replace(microsecond=0)
    vendor = serve(HostedSuite([HostedSuite.call(n, now - timedelta(hours=n)) for n in range(1, 100)]))
    vendor.cap = 37
    config = vendor.config((now - 20 * DAY).isoformat())
    first = run("hostedsuite", config)
    assert got(first) == {row["Id"]: row["at"] for row in vendor.rows}
    vendor.rows[60]["Notes"] = "edited"
    vendor.rows.append(HostedSuite.call(500, now - timedelta(days=7)))
    vendor.rows.append(HostedSuite.call(501, now - timedelta(days=9)))
    vendor.rows.append(HostedSuite.call(502, now - timedelta(minutes=2)))
    mark = len(vendor.seen)
    second = run("hostedsuite", config, state=first.state)
    have = got(second)
    assert f"{500:024x}" in have
    assert f"{502:024x}" in have
    assert f"{501:024x}" not in have
    assert [row["Notes"] for row in second.rows("calls") if row["Id"] == vendor.rows[60]["Id"]] == ["edited"]
    earliest = min(instant(s.json()["StartDate"]) for s in vendor.seen[mark:])
    assert earliest >= now - timedelta(hours=1) - 7 * DAY - 2 * SECOND
    assert instant(second.bookmark("calls")) == now - timedelta(minutes=2)


def test_g6_a_refused_login_in_camel_case_is_tried_once(serve: Serve, run: Taps) -> None:
    """An error status in the later API's spelling that refuses the login ends the tap after one request."""
    vendor = serve(HostedSuite(history()))
    refused = {"responseStatus": {"errorCode": "Unauthorized", "message": "x"}}
    vendor.faults.append(lambda _n, _request: reply(refused, 500))
    one = run("hostedsuite", vendor.config("2024-03-01", end_date="2024-03-04", max_attempts=2), code=1)
    assert one.bookmark("calls") is None
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("null", ["", "0001-01-01T00:00:00", "0001-01-01T00:00:00.0000000Z", "/Date(-62135596800000)/"])
@pytest.mark.parametrize("odd", ["N/A", 5])
def test_g10_times_of_interactions_that_are_none_stop_no_stream(serve: Serve, run: Taps, null: str, odd: Any) -> None:
    """The null date of .NET is null, in any zone; what is no time at all is kept in `_extra` under its path."""
    steps = [{"StartTime": null, "Type": "a"}, {"StartTime": odd}, {"StartTime": "2024-03-01T10:00:00"}, {}, None]
    vendor = serve(HostedSuite([HostedSuite.call(1, MARCH + timedelta(hours=10), Interactions=steps)]))
    vendor.zone = "Europe/Warsaw"
    config = vendor.config("2024-03-01", end_date="2024-03-02", timezone="Europe/Warsaw")
    one, bare = (run("hostedsuite", config | more) for more in ({}, {"pii": "drop", "pii_key": "a-long-key"}))
    (row,), (protected,) = one.rows("calls"), bare.rows("calls")
    times = ["null" if step is None else step.get("StartTime", "none") for step in row["Interactions"]]
    assert times == [None, None, "2024-03-01T09:00:00+00:00", "none", "null"]
    assert row["_extra"] == {"Interactions[1].StartTime": odd}
    assert "Interactions[].StartTime (1 times)" in one.stderr
    assert protected["_extra"] is None


@pytest.mark.parametrize("start", ["", "N/A", "0001-01-01T00:00:00"])
def test_g10_a_call_without_a_start_is_an_error_that_names_the_field(serve: Serve, run: Taps, start: str) -> None:
    """The bookmark counts by StartTime: there is no going on without one."""
    vendor = serve(HostedSuite([HostedSuite.call(1, MARCH + timedelta(hours=10))]))
    vendor.write = lambda at: start  # type: ignore[method-assign]  # noqa: ARG005
    one = run("hostedsuite", vendor.config("2024-03-01", end_date="2024-03-02", timezone="Europe/Warsaw"), code=1)
    told = one.stderr.splitlines()[-1]
    assert "calls, the record with Id " in told
    assert "StartTime" in told


def test_g1_the_other_lists_come_as_an_outsider_reads_their_pages(serve: Serve, run: Taps) -> None:
    """Bare arrays by the documented fields: full tables as they are, changes by their date, logins nowhere."""
    zone = "America/New_York"
    changes = [MARCH + timedelta(hours=7 * n) for n in range(10)] + [MARCH, MARCH + DAY - SECOND, MARCH + DAY]
    vendor = serve(HostedSuite(history()[:5]))
    vendor.zone = zone
    vendor.lists = {
        "/api/clients/names": [
            {"Id": "c1", "Name": "Żabka", "ScreenPops": ["a"], "CallAllowanceAmount": 12.5, "Links": [{"Id": "l"}]},
            {"Id": "c2", "CustomFields": [{"Name": "Tariff", "Value": "B"}], "at": MARCH},
        ],
        "/api/centers": [{"Id": "z1", "Name": "Lakeside", "TimeZoneId": "Eastern Standard Time"}],
        "/api/contacts": [{"Id": "p1", "ClientId": "c1", "UserName": "login-1", "LastName": "May", "Keywords": ["k"]}],
        "/api/charges": [
            {"Id": f"h{n}", "at": at, "ClientId": "c1", "Quantity": 2.0, "DateOfCharge": "2024-02-29T00:00:00"}
            for n, at in enumerate(changes)
        ],
        "/api/scheduling/reservations": [
            {"Id": f"r{n}", "at": at, "IsRecurring": False, "Organizer": {"Name": "Ann"}, "NumAttendees": 3}
            for n, at in enumerate(changes)
        ],
    }
    cases = {}
    for ends in ("inclusive", "exclusive"):
        vendors = vendor if ends == "inclusive" else serve(HostedSuite(history()[:5]))
        vendors.lists, vendors.zone, vendors.exclusive = vendor.lists, zone, ends == "exclusive"
        config = vendors.config(MARCH.isoformat(), end_date=(MARCH + 4 * DAY).isoformat(), timezone=zone, window="P1D")
        cases[ends] = Case("hostedsuite", config)
    for name, one in run.many(cases).items():
        assert one.code == 0, (name, one.stderr)
        assert {row["Id"] for row in one.rows("clients")} == {"c1", "c2"}
        assert [row["TimeZoneId"] for row in one.rows("centers")] == ["Eastern Standard Time"]
        assert not one.rows("contacts"), "they must be chosen"
        for stream, letter in (("charges", "h"), ("reservations", "r")):
            found = {row["Id"]: instant(row["DateLastModified"]) for row in one.rows(stream)}
            assert found == {f"{letter}{n}": at for n, at in enumerate(changes)}, (name, stream)
        assert {instant(row["DateOfCharge"]) for row in one.rows("charges")} == {
            datetime(2024, 2, 29, tzinfo=ZoneInfo(zone))
        }
        assert "login-1" not in one.stdout
