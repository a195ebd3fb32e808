"""Conpeek as an outsider's stand-in serves it (vendor-docs/003)."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response
from tests.standin.servers import SECOND, UTC, Conpeek, instant
from tests.standin.wire import Answer, Case, Cut, Run, Seen, Taps, reply, upserted

if TYPE_CHECKING:
    from tests.standin.conftest import Serve

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
STREAM = "voice_campaign_requests"


def history() -> list[dict[str, Any]]:
    """Ninety days: on seams, 60 in one second (a bulk import), open, processing, and closed long after."""
    times = [MARCH + timedelta(hours=9 * n, seconds=n) for n in range(1, 240)]
    times += [MARCH + timedelta(days=10, hours=4)] * 60
    for seam in (MARCH, MARCH + 30 * DAY, MARCH + 60 * DAY, MARCH + 90 * DAY):
        times += [seam - SECOND, seam, seam + SECOND]
    rows = []
    for number, at in enumerate(times, 1):
        closed = None if number % 5 == 0 else at + timedelta(days=number % 40, seconds=number)
        rows.append(Conpeek.request(number, at, closed))
    rows[9]["state"] = "PROCESSING"
    rows[14] |= {"voice_campaign_id": "c2"}
    return rows


def changed(row: dict[str, Any]) -> datetime:
    """The contract's changed_at."""
    return max(instant(row[name]) for name in ("created_date", "closed_date") if row[name])


def truth(rows: list[dict[str, Any]], low: datetime, high: datetime) -> set[str]:
    """Ids of the requests whose created_date or closed_date lies in [low, high)."""
    return {
        row["id"]
        for row in rows
        if any(row[n] and low <= instant(row[n]) < high for n in ("created_date", "closed_date"))
    }


def ids(run: Run) -> set[str]:
    """The ids that a run emitted."""
    return {row["id"] for row in run.rows(STREAM)}


def mark(run: Run, campaign: str = "c1") -> datetime | None:
    """The bookmark of a campaign."""
    parts = (run.state or {}).get("bookmarks", {}).get(STREAM, {}).get("partitions", [])
    found = [p.get("replication_key_value") for p in parts if p["context"] == {"voice_campaign_id": campaign}]
    return instant(found[0]) if found and found[0] else None


def test_g1_every_cap_order_and_bound_gives_every_request(serve: Serve, run: Taps) -> None:
    """Whatever the cap, order and bounds, each request comes, by created or closed date, with its changed_at."""
    shapes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "plain": ({}, {}),
        "cap 7": ({"cap": 7}, {}),
        "cap 37, random order": ({"cap": 37, "order": "random"}, {"page_size": 1000}),
        "page_size 60": ({"order": "oldest"}, {"page_size": 60}),
        "page_size 5": ({}, {"page_size": 5, "window": "P7D"}),
        "exclusive": ({"exclusive": True}, {"window": "P10D", "page_size": 50}),
        "everything": ({"cap": 50}, {"start_date": None}),
        "two campaigns": ({"campaigns": {"c1", "c2"}}, {}),
    }
    cases, vendors = {}, {}
    for name, (vendor, config) in shapes.items():
        vendors[name] = serve(Conpeek(history()))
        vars(vendors[name]).update(vendor)
        wanted = vendors[name].config(start_date="2024-03-01", end_date="2024-05-30") | config
        cases[name] = Case("conpeek", {k: v for k, v in wanted.items() if v is not None})
    wrong = {}
    runs = run.many(cases)
    for name, one in runs.items():
        low = MARCH - DAY if name == "everything" else MARCH
        rows = [row for row in history() if row["voice_campaign_id"] in vendors[name].campaigns]
        must = truth(rows, low, MARCH + 90 * DAY)
        may = must | {row["id"] for row in rows if row["state"] != "CLOSED"}
        by_id = {row["id"]: row for row in rows}
        lost = [(by_id[i]["created_date"], by_id[i]["closed_date"]) for i in must - ids(one)]
        foreign = [(by_id[i]["created_date"], by_id[i]["closed_date"]) for i in ids(one) - may]
        badly = [row["id"] for row in one.rows(STREAM) if instant(row["changed_at"]) != changed(by_id[row["id"]])]
        if one.code or lost or foreign or badly:
            wrong[name] = (
                one.code,
                "lost",
                lost[:9],
                "foreign",
                foreign[:9],
                "changed_at",
                badly[:3],
                one.stderr[-700:],
            )
    assert not wrong, wrong
    assert mark(runs["two campaigns"], "c1")
    assert mark(runs["two campaigns"], "c2")
    row = runs["plain"].rows(STREAM)[0]
    assert row["custom"] == '{"a": 1}'
    assert row["dialogs"]
    for one_seen in vendors["page_size 60"].seen:
        # Behind a shorter answer a single request is looked for.
        assert one_seen.query["limit"] in {"60", "1"}
        assert one_seen.query["limit"] == "60" or one_seen.query["offset"] != "0"


def test_g1_states_that_change_between_runs_arrive(serve: Serve, run: Taps) -> None:
    """Requests that are worked on, closed, re-opened or created stand with their last state after the next run."""
    now = datetime.now(UTC).replace(microsecond=0)
    rows = [
        Conpeek.request(
            n,
            now - timedelta(days=100) + timedelta(hours=20 * n),
            None if n % 4 == 0 else now - timedelta(days=50 - n / 4),
        )
        for n in range(1, 110)
    ]
    vendor = serve(Conpeek(rows))
    vendor.cap = 7
    config = vendor.config()
    moved = [row for row in rows if row["state"] == "OPEN"][2:5]

    def close_some(ordinal: int) -> None:
        # They leave the open set while it is paged.
        if ordinal in {1, 2, 3}:
            moved[ordinal - 1].update(state="CLOSED", closed_date=Conpeek.time(datetime.now(UTC)))

    vendor.before_page = close_some
    first = run("conpeek", config)
    assert ids(first) == {row["id"] for row in rows}
    vendor.before_page = lambda _ordinal: None
    still_open = [row for row in rows if row["state"] == "OPEN"]
    still_open[0].update(state="PROCESSING", contact_try=3)
    still_open[1].update(state="CLOSED", closed_date=Conpeek.time(now), contact_try=9)
    closed = [row for row in rows if row["state"] == "CLOSED"]
    closed[3].update(state="OPEN", closed_date=None, contact_try=7)
    closed[4].update(state="PROCESSING", contact_try=8)  # re-opened, and the old closed_date stays
    rows.append(Conpeek.request(900, now))
    last_change = datetime.now(UTC).replace(microsecond=0)
    begin = len(vendor.seen)
    # A run reads up to the second it starts in, which is not over: what happened in that one is the next run's.
    while datetime.now(UTC).replace(microsecond=0) <= last_change:
        time.sleep(0.05)
    second = run("conpeek", config, state=first.state)
    table = upserted([first, second], STREAM)
    for row in rows:
        have = table[row["id"],]
        assert (have["state"], have["contact_try"]) == (row["state"], row["contact_try"]), row
        assert (have["closed_date"] and instant(have["closed_date"])) == (
            row["closed_date"] and instant(row["closed_date"])
        )
    for seen in vendor.seen[begin:]:  # no more than the lookback and the open set
        lows = [
            one
            for one in json.loads(seen.query["filter"])
            if one["property"] in {"created_date", "closed_date"} and one.get("operator") == "gte"
        ]
        states = [one for one in json.loads(seen.query["filter"]) if one["property"] == "state"]
        first_mark = mark(first)
        assert first_mark is not None
        assert states or (lows and instant(lows[0]["value"]) >= first_mark - DAY - 2 * SECOND)
    second_mark = mark(second)
    assert second_mark is not None
    assert second_mark <= datetime.now(UTC)


def test_settings_of_the_tap(serve: Serve, run: Taps) -> None:
    """Fields named by exclude leave request and schema, filter narrows, and an object in custom becomes its JSON."""
    rows = [
        Conpeek.request(n, MARCH + timedelta(hours=n), custom={"ż": [1, 2.50]} if n == 3 else None, priority=n)
        for n in range(1, 20)
    ]
    vendor = serve(Conpeek(rows))
    mine = [{"property": "priority", "operator": "gte", "value": 5}]
    runs = run.many(
        {
            "exclude": Case("conpeek", vendor.config(end_date="2024-04-01", exclude=["history", "dialogs"])),
            "filter": Case("conpeek", vendor.config(end_date="2024-04-01", filter=mine)),
            "bad property": Case("conpeek", vendor.config(filter=[{"property": "colour", "value": 1}])),
            "bad operator": Case(
                "conpeek",
                vendor.config(filter=[{"property": "created_date", "operator": "gt", "value": "2024-01-01 00:00:00"}]),
            ),
            "no value": Case("conpeek", vendor.config(filter=[{"property": "priority"}])),
            "bad exclude": Case("conpeek", vendor.config(exclude=["calls"])),
        }
    )
    assert {"history", "dialogs"}.isdisjoint(runs["exclude"].schema(STREAM))
    assert "call_history" in runs["exclude"].schema(STREAM)
    assert all({"history", "dialogs"}.isdisjoint(row) for row in runs["exclude"].rows(STREAM))
    third = next(row for row in runs["exclude"].rows(STREAM) if row["id"] == rows[2]["id"])
    assert json.loads(third["custom"]) == {"ż": [1, 2.5]}
    assert "2.5" in third["custom"]
    assert ids(runs["filter"]) == {row["id"] for row in rows if row["priority"] >= 5}
    for name, word in {
        "bad property": "filter",
        "bad operator": "operator",
        "no value": "value",
        "bad exclude": "exclude",
    }.items():
        assert runs[name].code == 1, name
        assert word in runs[name].stderr, name


def test_g8_a_campaign_that_fails_or_is_gone_does_not_stop_the_others(serve: Serve, run: Taps) -> None:
    """A campaign that is sick or gone is named and keeps its bookmark while the others are read."""
    rows = [Conpeek.request(n, MARCH + timedelta(hours=n), voice_campaign_id=f"c{n % 3}") for n in range(1, 30)]
    state = {
        "bookmarks": {
            STREAM: {
                "partitions": [
                    {
                        "context": {"voice_campaign_id": "gone"},
                        "replication_key": "changed_at",
                        "replication_key_value": "2024-02-01T00:00:00+00:00",
                    }
                ]
            }
        }
    }
    vendor = serve(Conpeek(rows))
    vendor.campaigns = {"c0", "c1", "c2"}
    sick = serve(Conpeek(rows))
    sick.campaigns = vendor.campaigns

    def fault(_ordinal: int, request: Seen) -> Answer | None:
        return reply({}, 500) if "/c1/" in request.path else None

    sick.faults.append(fault)
    wanted = ["c0", "gone", "c1", "c2"]
    runs = run.many(
        {
            "fail": Case("conpeek", vendor.config(voice_campaign_ids=wanted, end_date="2024-04-01"), state=state),
            "skip": Case(
                "conpeek",
                vendor.config(voice_campaign_ids=wanted, end_date="2024-04-01", skip_missing_campaigns=True),
                state=state,
            ),
            "sick": Case("conpeek", sick.config(end_date="2024-04-01", max_attempts=2)),
        }
    )
    assert {name: one.code for name, one in runs.items()} == {"fail": 1, "skip": 0, "sick": 1}, runs["skip"].stderr
    for name in ("fail", "skip"):
        assert ids(runs[name]) == {row["id"] for row in rows}, name
        assert "gone" in runs[name].stderr
        assert mark(runs[name], "gone") == datetime(2024, 2, 1, tzinfo=UTC), name
    assert ids(runs["sick"]) == {row["id"] for row in rows if row["voice_campaign_id"] != "c1"}
    assert mark(runs["sick"], "c0")
    assert mark(runs["sick"], "c2")
    assert mark(runs["sick"], "c1") is None
    assert "c1" in "".join(runs["sick"].stderr.splitlines()[-3:])


def test_g2_ignored_filters_and_wrong_envelopes_fail(serve: Serve, run: Taps) -> None:
    """A filter without effect or a body that is no list of requests fails and holds the bookmark."""
    answers: dict[str, Any] = {
        "no data": lambda: reply({"rows": []}),
        "data object": lambda: reply({"data": {}}),
        "bare array": lambda: reply([]),
        "HTML": lambda: Response("<html></html>", 200, media_type="text/html"),
        "empty 200": lambda: Response("", 200),
        "cut": lambda: Cut(b'{"data": []', 44),
        "400": lambda: reply({"message": "bad filter"}, 400),
    }
    cases = {}
    for name, make in answers.items():
        vendor = serve(Conpeek(history()))
        vendor.faults.append(lambda _n, _request, make=make: make())  # type: ignore[misc]
        cases[name] = Case("conpeek", vendor.config(start_date="2024-04-01", end_date="2024-05-01", max_attempts=2))
    for ignored in ("created_date", "closed_date", "state"):
        vendor = serve(Conpeek(history()))
        vendor.ignored = {ignored}
        cases[f"{ignored} ignored"] = Case("conpeek", vendor.config(start_date="2024-04-01", end_date="2024-04-10"))
    no_offset = serve(Conpeek([Conpeek.request(n, MARCH) for n in range(1, 50)]))

    def stuck(_ordinal: int, request: Seen) -> Answer | None:
        return reply({"data": no_offset.rows[: int(request.query["limit"])]})  # offset and filter do nothing

    no_offset.faults.append(stuck)
    cases["same page for ever"] = Case(
        "conpeek", no_offset.config(start_date="2024-02-01", end_date="2024-04-10", page_size=10)
    )
    wrong = {}
    for name, one in run.many(cases).items():
        if one.code != 1 or mark(one) is not None:
            wrong[name] = (one.code, mark(one), len(one.rows(STREAM)), one.stderr[-600:])
    assert not wrong, wrong
    assert len(no_offset.seen) < 600


def dialog(number: int, hangup: datetime | None, **more: Any) -> dict[str, Any]:
    """A dialog as facts/siblings.md describes it."""
    start = Conpeek.time((hangup or MARCH) - timedelta(minutes=3))
    return {
        "dialog_uuid": f"d-{number}",
        "dialog_type": "EXTERNAL",
        "business_direction": "INBOUND",
        "from_display_target": "48600100200",
        "start_time": start,
        "hangup_time": None if hangup is None else Conpeek.time(hangup),
        "talking_time": 10_000,
        "answer_time": None,
        "machine_detected": number % 2,
        "something_new": {"a": number},
    } | more


@pytest.mark.parametrize("said", [int, bool])
def test_g1_the_call_history_comes_by_the_end_of_its_dialogs(serve: Serve, run: Taps, said: type) -> None:
    """Whatever the cap, each dialog that is over comes once, its flag a boolean; one that goes on waits for its end."""
    vendor = serve(Conpeek([]))
    vendor.cap = 7
    ends = [MARCH + timedelta(hours=7 * n) for n in range(60)] + [MARCH + timedelta(hours=9)] * 9
    vendor.dialogs = [dialog(n, at, machine_detected=said(n % 2)) for n, at in enumerate(ends)]
    vendor.dialogs.append(dialog(900, None))
    config = vendor.config(start_date="2024-03-01", end_date="2024-04-01", window="P7D")
    del config["voice_campaign_ids"]
    first = run("conpeek", config)
    got = {row["dialog_uuid"]: row for row in first.rows("cdr_dialogs")}
    assert got.keys() == {f"d-{n}" for n in range(len(ends))}
    assert all(row["machine_detected"] is bool(int(row["dialog_uuid"][2:]) % 2) for row in got.values())
    assert got["d-3"]["_extra"] == {"something_new": {"a": 3}}
    assert instant(got["d-3"]["hangup_time"]) == ends[3]
    assert "voice_campaign_requests is not offered" in first.stderr
    assert instant(first.bookmark("cdr_dialogs")) == max(ends)
    vendor.dialogs[-1] = dialog(900, max(ends) + timedelta(hours=1))
    second = run("conpeek", config | {"lookback": "PT0S"}, state=first.state)
    assert "d-900" in {row["dialog_uuid"] for row in second.rows("cdr_dialogs")}
