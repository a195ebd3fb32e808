"""Evolux as an outsider's stand-in serves it (vendor-docs/004)."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response
from tests.standin.servers import SECOND, UTC, Evolux, instant
from tests.standin.wire import Case, Cut, Hub, Run, Seen, StandIn, Taps, reply, upserted

if TYPE_CHECKING:
    from tests.standin.conftest import Serve

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MICRO = timedelta(microseconds=1)
LIST = "/api/v1/studio/calls"


def history() -> list[dict[str, Any]]:
    """Two days of calls: on the seams, beside them by a microsecond, tied in one second, and in another zone."""
    times = [MARCH + timedelta(minutes=17 * n, microseconds=n * 1001) for n in range(1, 120)]
    for seam in (MARCH, MARCH + DAY, MARCH + 2 * DAY):
        times += [seam - SECOND, seam - MICRO, seam, seam + MICRO, seam + SECOND / 2, seam + SECOND]
    times += [MARCH + timedelta(hours=5)] * 3
    rows = [Evolux.call(number, at) for number, at in enumerate(times, 1)]
    rows[5]["start_time"] = times[5].astimezone(UTC).isoformat().replace("+00:00", "Z")
    return rows


def truth(rows: list[dict[str, Any]], low: datetime, high: datetime) -> set[int]:
    """The ids of the calls in [low, high)."""
    return {row["id"] for row in rows if low <= instant(row["start_time"]) < high}


def ids(run: Run, stream: str = "studio_calls", key: str = "id") -> set[int]:
    """The ids that a run emitted."""
    return {row[key] for row in run.rows(stream)}


def test_g1_every_shape_of_the_list_gives_every_call(serve: Serve, run: Taps) -> None:
    """Whatever the vendor's pages, caps, order, bounds and precision, each call of the span is emitted."""
    shapes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "plain": ({}, {}),
        "cap 7": ({"cap": 7}, {}),
        "cap 37, random order": ({"cap": 37, "order": "random"}, {}),
        "page_size 11, oldest first": ({"order": "oldest"}, {"page_size": 11}),
        "whole seconds": ({"whole_seconds": True}, {"window": "PT7H"}),
        "exclusive bounds": ({"exclusive": True}, {"window": "PT12H"}),
        "exclusive bounds, whole seconds": ({"exclusive": True, "whole_seconds": True}, {}),
        "no total": ({"total": lambda _true: None}, {}),
        "uuid": ({"detail_by": "uuid"}, {"cdr_call_id": "uuid", "window": "P3D"}),
    }
    cases, vendors = {}, {}
    for name, (vendor, config) in shapes.items():
        vendors[name] = serve(Evolux(history()))
        vars(vendors[name]).update(vendor)
        cases[name] = Case("evolux", vendors[name].config("2024-03-01", end_date="2024-03-03", **config))
    runs = run.many(cases)
    expected = truth(history(), MARCH, MARCH + 2 * DAY)
    wrong = {}
    for name, one in runs.items():
        got, details = ids(one), ids(one, "studio_cdr", "call_id")
        if one.code or got != expected or details != expected:
            wrong[name] = (
                one.code,
                "lost",
                expected - got,
                "foreign",
                got - expected,
                "details lost",
                expected - details,
                one.stderr[-600:],
            )
    if "no total" in wrong and wrong["no total"][0] == 1:
        del wrong["no total"], runs["no total"]  # the page always shows a total: to refuse its absence is honest too
    assert not wrong, wrong
    for name, one in runs.items():
        latest = max(instant(row["start_time"]) for row in history() if row["id"] in expected)
        assert instant(one.bookmark("studio_calls")) == latest, name
        assert instant(one.bookmark("studio_cdr")) == latest, name
        assert all(s.headers["token"] == vendors[name].token for s in vendors[name].seen)
        assert "token" not in {key for s in vendors[name].seen for key in s.query}
        sizes = {int(s.query["limit"]) for s in vendors[name].seen if s.path == LIST}
        assert sizes == {shapes[name][1].get("page_size", 50)}, name


def test_g2_a_total_that_lies_or_a_wrong_answer_fails_and_holds_the_bookmark(serve: Serve, run: Taps) -> None:
    """A day that can't be shown complete is exit code 1 and a bookmark that does not pass it."""
    turn = iter(range(10_000))
    page = {"pagination": {"total": 0}, "meta": {"status": 200, "message": "OK"}, "data": []}
    answers: dict[str, Any] = {
        "empty 200": lambda: Response("", 200, media_type="application/json"),
        "HTML 200": lambda: Response("<html><body>Sign in</body></html>", 200, media_type="text/html"),
        "malformed JSON": lambda: Response('{"data": [{"caller": "600",,}]}', 200, media_type="application/json"),
        "bare list": lambda: reply([]),
        "no data": lambda: reply({key: value for key, value in page.items() if key != "data"}),
        "data null": lambda: reply(page | {"data": None}),
        "data object": lambda: reply(page | {"data": {}}),
        "meta 500 in a 200": lambda: reply(page | {"meta": {"status": 500, "message": "boom"}}),
        "meta 404 in a 200": lambda: reply({"meta": {"status": 404, "message": "Not found"}}),
        "404": lambda: reply({"meta": {"status": 404, "message": "Not found"}}, 404),
        "null": lambda: reply(None),
        "cut body": lambda: Cut(b'{"pagination": {"total": 0}, "meta"', 5000),
        "total as text": lambda: reply(page | {"pagination": {"total": "many"}}),
        "record is no object": lambda: reply(page | {"pagination": {"total": 1}, "data": ["x"]}),
        "redirect": lambda: Response("", 302, {"location": "/elsewhere"}),
    }
    lies: dict[str, Any] = {
        "too high": lambda true: true + 5,
        "too low": lambda true: max(0, true - 3),
        "zero": lambda _true: 0,
        "changing": lambda true: true + next(turn) % 2 * 3,
    }
    cases = {}
    for name, make in {**answers, **lies}.items():
        vendor = serve(Evolux(history()[:: 1 if name in lies else 5]))
        if name in lies:
            vendor.total = make
        else:

            def fault(_ordinal: int, request: Seen, make: Any = make) -> Any:
                second_day = request.path == LIST and instant(request.query["end_date"]) > MARCH + DAY + SECOND
                return make() if second_day else None

            vendor.faults.append(fault)
        # One request after the other: else a window could by chance be told the same total on all its pages.
        config = vendor.config("2024-03-01", end_date="2024-03-03", max_attempts=2, concurrency=1)
        cases[name] = Case("evolux", config)
    runs = run.many(cases)
    wrong = {}
    for name, one in runs.items():
        for stream in ("studio_calls", "studio_cdr"):
            bookmark = one.bookmark(stream)
            if one.code != 1 or (bookmark and instant(bookmark) > MARCH + DAY) or stream not in one.stderr:
                wrong[name, stream] = (one.code, bookmark, one.stderr[-800:])
    assert not wrong
    for name in answers:  # the first day was proven: it is not lost again
        assert runs[name].bookmark("studio_calls"), name
    said = re.search(r"total is (\d+), (\d+) different rows came", runs["too high"].stderr)
    assert said
    assert int(said[1]) == int(said[2]) + 5


def test_g2_a_filter_that_is_ignored_fails(serve: Serve, run: Taps) -> None:
    """Calls outside the asked days are no answer: the run fails and says that the filter was ignored."""
    vendor = serve(Evolux(history()))
    vendor.ignores_filter = True
    one = run("evolux", vendor.config("2024-03-02", end_date="2024-03-03"), code=1)
    assert "filter" in one.stderr.lower() or "outside" in one.stderr.lower()
    assert one.bookmark("studio_calls") is None


def test_g1_g3_rows_that_come_between_and_during_runs_are_not_lost(serve: Serve, run: Taps) -> None:
    """Inserts while reading, late rows and new rows are there after the next run, which reads no more than needed."""
    now = datetime.now(UTC).replace(microsecond=0)
    start = (now - 5 * DAY).replace(hour=0, minute=0, second=0)
    vendor = serve(Evolux([Evolux.call(n, now - timedelta(minutes=37 * n)) for n in range(1, 190)]))
    vendor.cap = 7

    def grow(ordinal: int) -> None:
        if ordinal in {9, 14, 15}:
            vendor.rows.append(Evolux.call(1000 + ordinal, now - timedelta(hours=50, seconds=ordinal)))

    vendor.before_page = grow
    before = {row["id"] for row in vendor.rows}
    config = vendor.config(start.isoformat())
    first = run("evolux", config)
    assert ids(first) >= before
    first_bookmark = first.bookmark("studio_calls")
    assert instant(first_bookmark) == now - timedelta(minutes=37)
    vendor.before_page = lambda _ordinal: None
    vendor.rows.append(Evolux.call(2001, instant(first_bookmark) - timedelta(hours=23)))
    vendor.rows.append(Evolux.call(2002, now - timedelta(minutes=1)))
    vendor.rows.append(Evolux.call(2003, now + 3 * DAY))
    mark = len(vendor.seen)
    second = run("evolux", config, state=first.state)
    expected = {row["id"] for row in vendor.rows if instant(row["start_time"]) <= now}
    got = {key[0] for key in upserted([first, second], "studio_calls")}
    lost = {i for i in expected - got if not 1000 <= i < 1100}
    assert not lost
    assert {key[0] for key in upserted([first, second], "studio_cdr")} >= {i for i in expected if not 1000 <= i < 1100}
    earliest = min(instant(s.query["start_date"]) for s in vendor.seen[mark:] if s.path == LIST)
    assert earliest >= instant(first_bookmark) - DAY - SECOND
    assert instant(second.bookmark("studio_calls")) == now - timedelta(minutes=1)
    # Nothing new: the bookmark stands, and a run that finds nothing does not move it.
    vendor.rows.clear()
    third = run("evolux", config, state=second.state)
    assert not third.rows("studio_calls")
    assert third.bookmark("studio_calls") == second.bookmark("studio_calls")


def test_g3_details_that_are_not_there_yet_are_asked_for_again(serve: Serve, run: Taps) -> None:
    """A detail's 404 is counted, lets the run succeed, and the next run asks again within the lookback."""
    now = datetime.now(UTC).replace(microsecond=0)
    vendor = serve(Evolux([Evolux.call(n, now - timedelta(minutes=5 * n)) for n in range(1, 9)]))
    vendor.no_detail = {3, 4}
    config = vendor.config((now - 2 * DAY).date().isoformat())
    first = run("evolux", config)
    assert ids(first, "studio_cdr", "call_id") == {1, 2, 5, 6, 7, 8}
    assert "2 " in first.stderr
    assert "404" in first.stderr or "detail" in first.stderr
    vendor.no_detail.clear()
    second = run("evolux", config, state=first.state)
    assert ids(second, "studio_cdr", "call_id") >= {3, 4}


def test_g2_all_details_missing_suggests_the_other_number(serve: Serve, run: Taps) -> None:
    """Five calls without any detail are an error that names cdr_call_id; four are not."""
    five = serve(Evolux([Evolux.call(n, MARCH + timedelta(hours=n)) for n in range(1, 6)]))
    four = serve(Evolux(five.rows[:4]))
    cases = {}
    for name, vendor in (("five", five), ("four", four)):
        vendor.detail_by = "uuid"
        cases[name] = Case("evolux", vendor.config("2024-03-01", end_date="2024-03-02"))
    runs = run.many(cases)
    assert runs["five"].code == 1
    assert "cdr_call_id" in runs["five"].stderr
    assert ids(runs["five"]) == {1, 2, 3, 4, 5}
    assert runs["five"].bookmark("studio_cdr") is None
    assert runs["five"].bookmark("studio_calls")
    assert runs["four"].code == 0, runs["four"].stderr


@pytest.mark.parametrize("fault", ["500", "malformed", "meta"])
def test_g8_a_detail_that_fails_holds_only_its_own_stream(serve: Serve, run: Taps, fault: str) -> None:
    """A detail that can't be read fails studio_cdr before that day; studio_calls goes on to the end."""
    vendor = serve(Evolux(history()))
    sick = next(row["id"] for row in vendor.rows if instant(row["start_time"]) > MARCH + DAY + timedelta(hours=3))
    answers = {
        "500": lambda: reply({"meta": {"status": 500, "message": "x"}}, 500),
        "malformed": lambda: Response("{'meta': {'status': 200}}", 200, media_type="application/json"),
        "meta": lambda: reply({"meta": {"status": 422, "message": "no"}, "data": {}}),
    }
    vendor.faults.append(lambda _n, request: answers[fault]() if request.path == f"{LIST}/{sick}/cdr" else None)
    one = run("evolux", vendor.config("2024-03-01", end_date="2024-03-03", max_attempts=2), code=1)
    assert ids(one) == truth(vendor.rows, MARCH, MARCH + 2 * DAY)
    assert instant(one.bookmark("studio_calls")) > MARCH + DAY
    assert instant(one.bookmark("studio_cdr")) < MARCH + DAY + MICRO
    assert "studio_cdr" in one.stderr.splitlines()[-2] + one.stderr.splitlines()[-1]


def test_g7_no_link_is_followed(serve: Serve, run: Taps) -> None:
    """The addresses in an answer lead elsewhere and are never called; redirects are not followed either."""
    elsewhere = Hub()
    trap = StandIn()
    elsewhere.add(trap)
    try:
        vendor = serve(Evolux(history()))
        vendor.link_host = trap.url
        one = run("evolux", vendor.config("2024-03-01", end_date="2024-03-03"))
        assert ids(one) == truth(vendor.rows, MARCH, MARCH + 2 * DAY)
        away = serve(Evolux(history()))
        away.faults.append(lambda _n, _request: Response("", 307, {"location": f"{trap.url}{LIST}"}))
        two = run("evolux", away.config("2024-03-01", end_date="2024-03-03"), code=1)
        assert "redirect" in two.stderr.lower()
        assert len({(seen.path, seen.raw_query) for seen in away.seen}) == len(away.seen)  # none was tried again
        assert not trap.seen
    finally:
        elsewhere.close()


def test_g7_task_parameters_lose_what_is_secret_unless_told_otherwise(serve: Serve, run: Taps) -> None:
    """Task parameters stay an object, without credentials under redact_task_params and as sent without it."""
    vendor = serve(Evolux([Evolux.call(7, MARCH + timedelta(hours=1))]))
    runs = run.many(
        {
            name: Case("evolux", vendor.config("2024-03-01", end_date="2024-03-02", redact_task_params=redact))
            for name, redact in (("yes", True), ("no", False))
        }
    )
    sent = vendor.cdr(vendor.rows[0])
    (clear,) = runs["no"].rows("studio_cdr")
    assert clear == sent | {"call_id": 7, "call_start_time": clear["call_start_time"], "_extra": None}
    assert instant(clear["call_start_time"]) == MARCH + timedelta(hours=1)
    (redacted,) = runs["yes"].rows("studio_cdr")
    assert "third-party" not in str(redacted)
    parameters = redacted["executed_tasks"][0]["task_raw_params"]
    assert parameters["auth"] is None
    assert parameters["headers"] is None
    assert parameters["params"] == {"access_token": None, "page": 1, "client_secret": None}
    assert parameters["data"] == {"login": {"password": None, "name": "n"}}
    assert parameters["url"] == "https://api.example.org/"
    listed = runs["no"].rows("studio_calls")[0]
    assert {k: v for k, v in listed.items() if k not in {"_extra", "start_time", "end_time"}} == {
        k: v for k, v in vendor.rows[0].items() if k not in {"start_time", "end_time"}
    }


CARRIERS: dict[str, Any] = {
    "named": [{"name": "token", "value": "third-party-1"}, {"key": "X-Api-Key", "value": ["third-party-2"]}],
    "a label with a blank": {"label": "API key", "content": {"deep": "third-party-3"}},
    "pairs": [["Authorization", "Bearer third-party-4"], ["page", "2"]],
    "JSON in a text": json.dumps({"login": {"password": "third-party-5"}, "page": 1}),
    "JSON in JSON": json.dumps(json.dumps([{"name": "senha", "value": "third-party-6"}])),
    "a query": "https://user:third-party-7@api.example.org/a?page=1&access_token=third-party-8&x=y#id_token=third-party-9",
    "a header in a text": "-H 'Authorization: Bearer third-party-10' --silent",
    "plain": {"name": "Ask for the password again", "url": "https://api.example.org/?page=2", "text": "page: 3"},
}


@pytest.mark.parametrize("whole", ["object", "text", "list"])
def test_g7_a_secret_in_task_parameters_is_removed_however_it_is_carried(serve: Serve, run: Taps, whole: str) -> None:
    """A name beside its value, a pair, JSON inside a text, a query: the secret goes, what stands beside it stays."""
    vendor = serve(Evolux([Evolux.call(7, MARCH + timedelta(hours=1))]))
    parameters = {"object": CARRIERS, "text": json.dumps(CARRIERS), "list": [CARRIERS]}[whole]
    vendor.detail_extra = {"executed_tasks": [{"task_id": "t", "task_raw_params": parameters}]}
    (row,) = run("evolux", vendor.config("2024-03-01", end_date="2024-03-02")).rows("studio_cdr")
    assert "third-party" not in json.dumps(row)
    if whole == "list":
        return  # no object: where it is kept is another promise
    kept = row["executed_tasks"][0]["task_raw_params"]
    assert kept["plain"] == CARRIERS["plain"]
    assert kept["pairs"][1] == ["page", "2"]
    assert json.loads(kept["JSON in a text"]) == {"login": {"password": None}, "page": 1}
    assert [kept["named"][0]["name"], kept["named"][1]["key"]] == ["token", "X-Api-Key"]
    assert "page=1&" in kept["a query"]
    assert "x=y" in kept["a query"]


@pytest.mark.parametrize("uuid", [None, "", "  ", ".."])
def test_g10_a_call_without_a_uuid_is_counted_and_named(serve: Serve, run: Taps, uuid: str | None) -> None:
    """No null goes into a path: the detail of such a call is not requested, and a line counts and names it."""
    vendor = serve(Evolux([Evolux.call(n, MARCH + timedelta(hours=n)) for n in range(1, 8)]))
    vendor.detail_by = "uuid"
    for row in vendor.rows[2:4]:
        row["uuid"] = uuid
    config = vendor.config("2024-03-01", end_date="2024-03-02", cdr_call_id="uuid")
    one = run("evolux", config)
    assert ids(one) == set(range(1, 8))
    assert ids(one, "studio_cdr", "call_id") == {1, 2, 5, 6, 7}
    assert len([seen for seen in vendor.seen if seen.path.endswith("/cdr")]) == 5
    (line,) = [line for line in one.stderr.splitlines() if "have no uuid" in line]
    assert "2 of 7" in line
    assert "calls 3, 4" in line
    for row in vendor.rows:
        row["uuid"] = uuid
    none = run("evolux", config, code=1)
    assert "cdr_call_id" in none.stderr.splitlines()[-1]


def test_g10_a_key_that_contradicts_the_schema_is_an_error_naming_stream_key_and_field(serve: Serve, run: Taps) -> None:
    """A key against the schema fails by stream, key and field; odd but true values keep their value."""
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "time": ({"start_time": "yesterday"}, "start_time"),
        "no id": ({"id": None}, "id"),
    }
    cases, kept = (
        {},
        serve(
            Evolux([Evolux.call(2**60 + 1, MARCH + timedelta(hours=1), new={"a": [1.10]}, caller="\u0000ż\U0001f600")])
        ),
    )
    for name, (wrong, _field) in bad.items():
        vendor = serve(Evolux([Evolux.call(41, MARCH + timedelta(hours=1))]))
        body = {"pagination": {"total": 1}, "meta": {"status": 200, "message": "OK"}, "data": [vendor.rows[0] | wrong]}
        vendor.faults.append(lambda _n, request, body=body: reply(body) if request.path == LIST else None)  # type: ignore[misc]
        cases[name] = Case("evolux", vendor.config("2024-03-01", end_date="2024-03-02"))
    cases["kept"] = Case("evolux", kept.config("2024-03-01", end_date="2024-03-02"))
    cases["drop"] = Case("evolux", kept.config("2024-03-01", end_date="2024-03-02", unknown_fields="drop"))
    cases["fail"] = Case("evolux", kept.config("2024-03-01", end_date="2024-03-02", unknown_fields="fail"))
    runs = run.many(cases)
    for name, (wrong, field) in bad.items():
        assert runs[name].code == 1, name
        assert "studio_calls" in runs[name].stderr, name
        assert field in runs[name].stderr, name
        assert "id" in wrong or "41" in runs[name].stderr, name
        assert runs[name].bookmark("studio_calls") is None, name
    (row,) = runs["kept"].rows("studio_calls")
    assert row["id"] == 2**60 + 1
    assert row["caller"] == "\u0000ż\U0001f600"
    assert row["_extra"] == {"new": {"a": [1.10]}}
    assert any("new" in line and "studio_calls" in line for line in runs["kept"].stderr.splitlines())
    (row,) = runs["drop"].rows("studio_calls")
    assert row["_extra"] is None
    assert "_extra" in runs["drop"].schema("studio_calls")
    assert runs["fail"].code == 1
    assert "new" in runs["fail"].stderr


ODD: dict[str, Any] = {
    "duration": "long",
    "end_time": "N/A",
    "call_flow": {"id": "two", "name": "Test 1"},
    "project": "Test",
    "caller": 11_999_482_052,
}


@pytest.mark.parametrize("pii", ["clear", "drop"])
def test_g10_an_odd_value_stops_no_stream_and_is_kept(serve: Serve, run: Taps, pii: str) -> None:
    """Null in its place, as it came in `_extra` under its path, and a warning counts it; under `pii` it is dropped."""
    vendor = serve(Evolux([Evolux.call(n, MARCH + timedelta(hours=n)) for n in range(1, 5)]))
    vendor.rows[1] |= ODD
    vendor.rows[2] |= {"end_time": ""}
    one = run("evolux", vendor.config("2024-03-01", end_date="2024-03-02", pii=pii, pii_key="a-long-key"))
    found = {row["id"]: row for row in one.rows("studio_calls")}
    assert set(found) == {1, 2, 3, 4}
    assert one.bookmark("studio_calls")
    kept = {**{name: ODD[name] for name in ODD if name != "call_flow"}, "call_flow.id": "two"}
    assert found[2]["_extra"] == (kept if pii == "clear" else None)
    assert found[2]["call_flow"] == {"id": None, "name": "Test 1"}
    assert all(found[2][name] is None for name in ODD if name != "call_flow")
    assert (found[3]["end_time"], found[3]["_extra"]) == (None, None)
    (line,) = [line for line in one.stderr.splitlines() if "contradict the schema" in line]
    assert all(f"{path} (1 times)" in line for path in kept)
    assert ("kept in _extra" in line) == (pii == "clear")
    assert "long" not in one.stderr


def test_g8_refused_midway_is_no_complete_stream(serve: Serve, run: Taps) -> None:
    """A token refused in the middle ends the run, and no stream that was cut short is called complete."""
    vendor = serve(Evolux([Evolux.call(n, MARCH + timedelta(hours=2 * n)) for n in range(30)]))
    vendor.faults.append(lambda n, _request: reply({"meta": {"status": 401, "message": "x"}}, 401) if n >= 2 else None)
    one = run("evolux", vendor.config("2024-03-01", end_date="2024-03-04"), code=1)
    assert len(ids(one)) < 30
    assert one.bookmark("studio_calls") is None or instant(one.bookmark("studio_calls")) < MARCH + DAY
    lines = [line for line in one.stderr.splitlines() if "studio_calls" in line]
    assert not any("complete" in line for line in lines), lines


# -- the contact centre, after facts/siblings.md 5.1 to 5.6 --------------------------------------------------------

DIALER, PAUSES, AGENTS, QUEUES, CALLS = (
    "/api/v1/dialer/calls_history",
    "/api/v1/report/complete_pause",
    "/api/v1/agents",
    "/api/v1/queues",
    "/api/v1/report/calls_history",
)
STREAM_OF = {DIALER: "dialer_calls", PAUSES: "agent_pauses", AGENTS: "agents", QUEUES: "queues", CALLS: "queue_calls"}


def centre() -> dict[str, list[dict[str, Any]]]:
    """Rows of each list over two days: more than a page, ties, and calls without an agent."""
    times = [MARCH + timedelta(minutes=11 * n, seconds=n % 7) for n in range(250)]
    return {
        DIALER: [
            {
                "id": n,
                "start_time": at.isoformat().replace("+00:00", "+00" if n % 2 else "+00:00"),
                "answer_time": None if n % 3 else at.isoformat(),
                "agent": None if n % 3 else {"id": 4, "name": "Ann"},
                "billable_duration": 41.0 if n % 2 else 400,
                "hangup_cause": "NO_ANSWER" if n % 3 else "NORMAL_CLEARING",
            }
            for n, at in enumerate(times)
        ],
        PAUSES: [
            {
                "time_start": at.isoformat(),
                "time_end": (at + SECOND).isoformat(),
                "agent": {"login": f"a{agent}", "id": agent, "name": "Ann"},
                "limit": None,
                "duration": 1,
                "overflow": 0,
            }
            for at in times
            for agent in (4, 5)
        ],
        AGENTS: [
            {
                "id": n,
                "login": f"a{n}",
                "queues": [1],
                "current_extension": [None, "sip/1", {"id": 7, "exten": "sip/1"}][n % 3],
                "current_pause": 12 if n % 2 else None,
                "last_pause": {"id": 5, "time_start": "2024-03-01T00:00:00+00:00"},
            }
            for n in range(1, 124)
        ],
        QUEUES: [
            {"id": 1, "name": "Suporte", "slug": "suporte", "number": "500", "public_number": None},
            {"id": 2, "name": "Antiga", "slug": "archived", "number": "501", "public_number": "5511"},
        ],
        CALLS: [
            {
                "call_id": n,
                "date_join": at.isoformat(),
                "time_leave": (at + SECOND).isoformat(),
                "time_connect": None,
                "call_duration": str(n) if n % 2 else n,
                "call_type_description": "Saída",
                "asa": "Sim",
                "csat": "",
                "new_field": n,
            }
            for n, at in enumerate(times)
        ],
    }


@pytest.mark.parametrize("odd", [False, True])
def test_g1_each_list_of_the_contact_centre_comes_as_it_is(serve: Serve, run: Taps, *, odd: bool) -> None:
    """Every row of the span with its values, whichever of its two ways the vendor goes."""
    vendor = serve(Evolux())
    vendor.lists = centre()
    vendor.calls_in_data = vendor.ignores_pause_page = odd
    one = run("evolux", vendor.config("2024-03-01", end_date="2024-03-03"))
    until = MARCH + 2 * DAY
    times = {DIALER: "start_time", PAUSES: "time_start", CALLS: "date_join"}
    for path, rows in vendor.lists.items():
        due = [row for row in rows if path not in times or instant(row[times[path]]) < until]
        assert len(upserted([one], STREAM_OF[path])) == len(due), path
    calls = upserted([one], "queue_calls")
    assert all(calls[key]["call_duration"] == key[0] == calls[key]["_extra"]["new_field"] for key in calls)
    assert {(row["call_type_description"], row["asa"], row["csat"]) for row in calls.values()} == {("Saída", "Sim", "")}
    dialer = upserted([one], "dialer_calls")
    assert {instant(row["start_time"]).tzinfo is not None for row in dialer.values()} == {True}
    assert {row["hangup_cause"] for row in dialer.values()} == {"NO_ANSWER", "NORMAL_CLEARING"}
    assert {key[0] for key in upserted([one], "agent_pauses")} == {4, 5}
    agents = upserted([one], "agents")
    assert [agents[n,]["current_extension"] for n in (3, 1)] == [None, "sip/1"]
    assert json.loads(agents[2,]["current_extension"]) == {"id": 7, "exten": "sip/1"}
    assert (agents[1,]["current_pause"], agents[2,]["current_pause"]) == ("12", None)
    assert {row["slug"] for row in one.rows("queues")} == {"suporte", "archived"}
    limits = {(s.path, s.query.get("limit")) for s in vendor.seen if s.path in vendor.lists}
    assert limits == {(path, None if path == QUEUES else "50") for path in vendor.lists}


def test_g8_an_account_that_may_read_one_list_alone_has_it_whole(serve: Serve, run: Taps) -> None:
    """Each refused list costs one request, the last lines name it, and what may be read is complete."""
    vendor = serve(Evolux([Evolux.call(1, MARCH + timedelta(hours=1))]))
    vendor.lists = centre()
    vendor.denied = {DIALER, PAUSES, AGENTS, QUEUES}
    one = run("evolux", vendor.config("2024-03-01", end_date="2024-03-03"), code=1)
    assert len([seen for seen in vendor.seen if seen.path in vendor.denied]) == len(vendor.denied)
    assert ids(one) == {1}
    assert len(upserted([one], "queue_calls")) == len(
        [r for r in vendor.lists[CALLS] if instant(r["date_join"]) < MARCH + 2 * DAY]
    )
    for path in vendor.denied:
        assert any(STREAM_OF[path] in line and "403" in line for line in one.stderr.splitlines()), path


def test_g3_a_queue_call_in_progress_comes_again(serve: Serve, run: Taps) -> None:
    """Listed with `time_leave` null, it is loaded, and comes once more with its end, though it lasted for days."""
    vendor = serve(Evolux())
    vendor.lists = centre()
    lasting = vendor.lists[CALLS][3]
    lasting["time_leave"] = None
    config = vendor.config("2024-03-01", lookback="PT1H")
    first = run("evolux", config | {"end_date": "2024-03-03"})
    assert instant(first.bookmark("queue_calls")) == instant(lasting["date_join"])
    lasting["time_leave"] = "2024-03-03T00:00:00+00:00"
    second = run("evolux", config | {"end_date": "2024-03-04"}, state=first.state)
    assert upserted([first, second], "queue_calls")[3,]["time_leave"] == lasting["time_leave"]
    assert instant(second.bookmark("queue_calls")) > MARCH + DAY
