"""`trunkline doctor`: each switch of the sandbox that is a doubtful fact is recognised, in the requests announced."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from tests.acme import TapAcme
from tests.acme.sandbox import Acme
from tests.night import at_night

from trunkline import personal, schemas, sdk
from trunkline.doors.vendors import tap_in, vendor_tap
from trunkline_commands import cli, doctor
from trunkline_commands.doctor.examination import MOST, Examination
from trunkline_commands.doctor.finding import CONFIRMED, FACTS, REFUTED, UNKNOWN
from trunkline_sandbox import Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trunkline_commands.doctor.finding import Finding

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 15, 12, tzinfo=timezone.utc)
"""A day after the last row of the sandbox."""
VENDORS = ("bspk", "switchtransact", "hostedsuite", "conpeek", "evolux")


@dataclass
class Case:
    """A switch, and what the doctor is to find: `stream, fact` with the verdict, and the setting with its value."""

    vendor: str
    knobs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    faults: Sequence[Mapping[str, Any]] = ()
    says: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refuted: int = 1
    """How many facts are refuted."""
    now: datetime = NOW
    size: int = 240


def served(case: Case) -> Sandbox:
    """A sandbox as the case has it."""
    box = Sandbox(size=case.size, clock=lambda: case.now)
    box.knobs(case.vendor, **case.knobs)
    for fault in case.faults:
        box.fault(**fault)
    return box


def examine(case: Case, box: Sandbox | None = None, *, state: dict[str, Any] | None = None) -> Examination:
    """Examine the sandbox as the case has it."""
    box = box or served(case)
    config = {**box.config(case.vendor), **case.config}
    tap = vendor_tap(case.vendor)(
        config={name: value for name, value in config.items() if value is not None},
        state=state,
        run_start=case.now,
        transport=SandboxAdapter(box, sleep=lambda _: None),
    )
    _let_time_pass(tap.client)
    examination = Examination(tap)
    examination.run()
    assert len(box.requests) == examination.line.meter.sent <= examination.most <= MOST
    return examination


class OddClock(SandboxAdapter):
    """A vendor whose responses have a date that nobody can compute with."""

    date = ""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        response = super().send(*args, **kwargs)
        response.headers["Date"] = self.date
        return response


def _let_time_pass(client: Any) -> None:
    """Let no wait take any time."""
    clock = [1000.0]
    client.wait = lambda *_: False
    client.governor.clock = lambda: clock[0]
    client.governor.wait = lambda _, seconds: clock.append(clock.pop() + seconds + 1)


def find(examination: Examination, place: str) -> Finding:
    """The finding of a stream and a fact; the stream without its partition."""
    stream, fact = place.split(", ")
    found = [one for one in examination.findings if (one.stream.split(" ")[0], one.fact) == (stream, fact)]
    assert found, [f"{one.stream}, {one.fact}" for one in examination.findings]
    return found[0]


def refuted(examination: Examination) -> list[str]:
    return [f"{one.stream.split(' ')[0]}, {one.fact}" for one in examination.findings if one.verdict == REFUTED]


CAP = (REFUTED, "page_size", "20")
CASES = {
    # BSPK
    "bspk filters by the creation": Case(
        "bspk", {"filter_on": "created"}, says={"appointments, filter-time": (REFUTED, "lookback", "P2D")}
    ),
    "bspk filters by the update": Case(
        "bspk",
        {"filter_on": "updated"},
        says={"appointments, filter-time": (CONFIRMED,), "appointments, filter": (CONFIRMED,)},
        refuted=0,
    ),
    "bspk filters by the creation, and a chosen lookback covers it": Case(
        "bspk", config={"lookback": "P2D"}, says={"appointments, filter-time": (CONFIRMED,)}, refuted=0
    ),
    "bspk cuts pages": Case("bspk", {"filter_on": "updated", "per_page_cap": 20}, says={"calls, page-size": CAP}),
    "bspk sends no total": Case(
        "bspk", {"filter_on": "updated", "total_header": False}, says={"calls, total": (REFUTED,)}
    ),
    "bspk has no page behind the last one": Case(
        "bspk",
        {"filter_on": "updated", "empty": "no_content", "link_headers": False},
        says={"calls, past-the-end": (CONFIRMED,)},
        refuted=0,
    ),
    "bspk lists the newest first": Case(
        "bspk", {"filter_on": "updated", "order": "newest"}, says={"calls, steady": (CONFIRMED,)}, refuted=0
    ),
    "bspk allows fewer requests": Case(
        "bspk",
        {"filter_on": "updated", "rate_limit": 20},
        says={", limit": (REFUTED, "requests_per_minute", "120")},
    ),
    "bspk refuses one route": Case(
        "bspk",
        {"filter_on": "updated"},
        faults=[{"kind": "status", "status": 403, "match": "/notes"}],
        says={"notes, route": (REFUTED,), "emails, route": (CONFIRMED,)},
    ),
    "bspk filters by the creation, of few rows": Case(
        "bspk", size=60, says={"appointments, filter-time": (REFUTED, "lookback", "P2D")}
    ),
    "bspk sends no total, and short pages": Case(
        "bspk",
        {"filter_on": "updated", "per_page_cap": 7, "total_header": False, "link_headers": False},
        says={"calls, page-size": (REFUTED, "page_size", "7"), "calls, past-the-end": (CONFIRMED,)},
        refuted=2,
    ),
    # HostedSuite
    "hostedsuite counts from 0": Case("hostedsuite", says={"calls, pages": (CONFIRMED,)}, refuted=0),
    "hostedsuite counts from 1": Case("hostedsuite", {"page_base": 1}, says={"calls, pages": (CONFIRMED,)}, refuted=0),
    "hostedsuite counts from 1 and refuses 0": Case(
        "hostedsuite", {"page_base": 1, "page_zero": "refuse"}, says={"calls, pages": (CONFIRMED,)}, refuted=0
    ),
    "hostedsuite counts from 1, the config from 0": Case(
        "hostedsuite", {"page_base": 1}, {"first_page": "0"}, says={"calls, pages": (REFUTED, "first_page", "1")}
    ),
    "hostedsuite counts from 1 and refuses 0, the config counts from 0": Case(
        "hostedsuite",
        {"page_base": 1, "page_zero": "refuse"},
        {"first_page": "0"},
        says={"calls, pages": (REFUTED, "first_page", "1")},
    ),
    "hostedsuite counts from 0, the config from 1": Case(
        "hostedsuite",
        config={"first_page": "1"},
        says={"calls, pages": (REFUTED, "first_page", "0"), "calls, filter": (CONFIRMED,)},
    ),
    "hostedsuite counts from 0, and all of it is one page": Case(
        "hostedsuite",
        config={"first_page": "1", "page_size": 1000},
        says={"calls, pages": (REFUTED, "first_page", "0"), "calls, filter": (CONFIRMED,)},
    ),
    "hostedsuite counts from 0, the config from 1, and pages are short": Case(
        "hostedsuite",
        {"items_cap": 7},
        {"first_page": "1"},
        size=12,
        says={"calls, pages": (REFUTED, "first_page", "0"), "calls, total": (CONFIRMED,)},
        refuted=2,
    ),
    "hostedsuite counts from 1 and refuses 0, and its last day has no row": Case(
        "hostedsuite",
        {"page_base": 1, "page_zero": "refuse"},
        {"first_page": "0"},
        now=NOW + timedelta(days=20),
        says={"calls, pages": (REFUTED, "first_page", "1")},
    ),
    "hostedsuite cuts pages": Case("hostedsuite", {"items_cap": 20}, says={"calls, page-size": CAP}),
    "hostedsuite reads us24": Case(
        "hostedsuite",
        {"filter_dates": "us24"},
        says={"calls, filter": (REFUTED, "filter_date_format", "us24")},
        refuted=3,
    ),
    "hostedsuite reads us": Case(
        "hostedsuite",
        {"filter_dates": "us", "start_time": "us"},
        says={"calls, filter": (REFUTED, "filter_date_format", "us")},
        refuted=3,
    ),
    "hostedsuite reads iso, the config writes us": Case(
        "hostedsuite",
        {"filter_dates": "iso"},
        {"filter_date_format": "us"},
        says={"calls, filter": (REFUTED, "filter_date_format", "iso")},
        refuted=3,
    ),
    "hostedsuite writes days alone": Case(
        "hostedsuite", {"start_time": "us_date"}, says={"calls, lower-end": (UNKNOWN,)}, refuted=0
    ),
    "hostedsuite does not sort": Case(
        "hostedsuite", {"obeys_sort": False, "order": "newest"}, says={"calls, order": (REFUTED, "sort", "false")}
    ),
    "hostedsuite excludes the ends": Case(
        "hostedsuite",
        {"reservation_ends": "exclusive"},
        says={"reservations, lower-end": (REFUTED,), "reservations, upper-end": (REFUTED,)},
        refuted=2,
    ),
    "hostedsuite has the clients elsewhere": Case(
        "hostedsuite", {"clients_at": "names"}, says={"clients, route": (CONFIRMED,)}, refuted=0
    ),
    "hostedsuite names zones as Windows does": Case(
        "hostedsuite", {"zone_names": "windows"}, says={"centers, zone-names": (CONFIRMED,)}, refuted=0
    ),
    # Conpeek
    "conpeek as documented": Case(
        "conpeek",
        says={
            "voice_campaign_requests, combine": (CONFIRMED,),
            "cdr_dialogs, combine": (CONFIRMED,),
            "cdr_dialogs, lower-end": (CONFIRMED,),
            "cdr_dialogs, forms": (CONFIRMED,),
        },
        refuted=0,
    ),
    "conpeek cuts answers": Case(
        "conpeek",
        {"limit_cap": 20},
        says={"voice_campaign_requests, page-size": CAP, "cdr_dialogs, page-size": CAP},
        refuted=2,
    ),
    "conpeek lists the newest first": Case(
        "conpeek", {"order": "newest"}, says={"cdr_dialogs, steady": (CONFIRMED,)}, refuted=0
    ),
    "conpeek knows a campaign no more": Case(
        "conpeek",
        {"deleted_campaigns": ("5b7c389fe8df7b60af688989",)},
        says={"voice_campaign_requests, route": (REFUTED, "skip_missing_campaigns", "true")},
    ),
    # Evolux
    "evolux as documented": Case(
        "evolux", says={"studio_cdr, detail-key": (CONFIRMED,), "agent_pauses, steady": (CONFIRMED,)}, refuted=0
    ),
    "evolux knows details by uuid": Case(
        "evolux", {"cdr_key": "uuid"}, says={"studio_cdr, detail-key": (REFUTED, "cdr_call_id", "uuid")}
    ),
    "evolux knows details by uuid, as configured": Case(
        "evolux",
        {"cdr_key": "uuid"},
        {"cdr_call_id": "uuid"},
        says={"studio_cdr, detail-key": (CONFIRMED,)},
        refuted=0,
    ),
    "evolux reads days": Case("evolux", {"dates": "days"}, says={"queue_calls, exact": (REFUTED,)}, refuted=3),
    "evolux reads days, and all known rows are of one": Case(
        "evolux",
        {"dates": "days", "limit_cap": 7},
        says={"queue_calls, exact": (REFUTED,), "queue_calls, filter": (CONFIRMED,)},
        refuted=8,
    ),
    "evolux ignores the page of pauses, and pages are short": Case(
        "evolux",
        {"pause_pages": "ignored", "limit_cap": 7},
        says={"agent_pauses, steady": (REFUTED,)},
        refuted=6,
    ),
    "evolux excludes the end": Case(
        "evolux", {"dates": "exclusive"}, says={"dialer_calls, upper-end": (REFUTED,)}, refuted=3
    ),
    "evolux ignores the page of pauses": Case(
        "evolux",
        {"pause_pages": "ignored"},
        says={"agent_pauses, steady": (REFUTED,), "agent_pauses, past-the-end": (REFUTED,)},
        refuted=2,
    ),
    "evolux cuts pages": Case(
        "evolux", {"limit_cap": 20}, says={"studio_calls, page-size": CAP, "queue_calls, page-size": CAP}, refuted=4
    ),
    "evolux writes what it may write otherwise": Case(
        "evolux",
        {"offset": "+00", "call_duration": "text", "current": "object", "queue_rows": "data", "order": "oldest"},
        says={
            "agents, forms": (CONFIRMED,),
            "queue_calls, forms": (CONFIRMED,),
            "dialer_calls, zone": (CONFIRMED,),
            "queue_calls, route": (CONFIRMED,),
        },
        refuted=0,
    ),
    # SwitchTransact
    "switchtransact as documented": Case(
        "switchtransact",
        says={"contacts, not-found": (CONFIRMED,), "contacts, search": (CONFIRMED,)},
        refuted=0,
    ),
    "switchtransact answers otherwise": Case(
        "switchtransact",
        {"not_found_status": 404, "autocomplete": "contacts"},
        says={"contacts, not-found": (CONFIRMED,), "contacts, search": (CONFIRMED,)},
        refuted=0,
    ),
    "switchtransact leaves out the last day": Case(
        "switchtransact", {"end_date": "exclusive"}, says={"transactions, upper-end": (REFUTED,)}
    ),
    "switchtransact refuses a route": Case(
        "switchtransact",
        {"unreadable": ("/contacts/agents",)},
        says={"agents, route": (REFUTED,), "branches, route": (CONFIRMED,)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_switch_is_recognised(name: str) -> None:
    """A fact that does not hold is refuted, with the setting to change and its value, and no other fact is."""
    case = CASES[name]
    examination = examine(case)
    for place, (verdict, *change) in case.says.items():
        found = find(examination, place)
        assert found.verdict == verdict, str(found)
        assert [text for text in (found.setting, found.value) if text] == change, str(found)
    assert len(refuted(examination)) == case.refuted, refuted(examination)
    assert examination.code == (3 if case.refuted else 0)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_quiet_account_is_unknown_and_no_guess(vendor: str) -> None:
    """Without a row nothing is refuted, and only what needs no row is confirmed."""
    case = Case(vendor, size=0)
    box = served(case)
    for stream in ("calls", "studio_calls", "contacts"):
        if stream in box.vendors[vendor].streams:
            box.delete(vendor, stream, box.truth(vendor, stream))
    examination = examine(case, box)
    assert not refuted(examination)
    needless = {"route", "past-the-end", "not-found", "limit"}
    assert {one.fact for one in examination.findings if one.verdict == CONFIRMED} <= needless
    assert any(one.verdict == UNKNOWN for one in examination.findings)
    assert examination.code == 0


@pytest.mark.parametrize(
    ("faults", "place", "verdict", "seen"),
    [
        ([{"kind": "ignore_filter"}], "studio_calls, filter", REFUTED, "outside of the span"),
        ([{"kind": "wrong_total"}], "studio_calls, total", REFUTED, "a total of"),
        ([{"kind": "wrong_total", "by": 60}], "agents, total", REFUTED, "a total of"),
        ([{"kind": "repeat_page"}], "studio_calls, pages", REFUTED, "the first page is 2"),
        ([{"kind": "status", "status": 500, "match": "/queues"}], "queues, route", UNKNOWN, "HTTP 500"),
        ([{"kind": "html200", "match": "/queues"}], "queues, route", UNKNOWN, "HTTP 200 with a body of another form"),
        ([{"kind": "redirect", "match": "/queues"}], "queues, route", UNKNOWN, "HTTP 302"),
        ([{"kind": "status", "status": 403, "match": "/queues"}], "queues, route", REFUTED, "HTTP 403"),
        ([{"kind": "status", "status": 404, "match": "/queues"}], "queues, route", REFUTED, "HTTP 404"),
        ([{"kind": "status", "status": 403, "match": "/cdr"}], "studio_cdr, route", REFUTED, "HTTP 403"),
        ([{"kind": "status", "status": 404, "match": "/cdr"}], "studio_cdr, detail-key", UNKNOWN, "id: none"),
        ([{"kind": "status", "status": 400, "match": r"page=1\d"}], "studio_calls, past-the-end", REFUTED, "HTTP 400"),
        ([{"kind": "status", "status": 429, "times": 1}], ", limit", REFUTED, "HTTP 429 to 1 requests"),
    ],
)
def test_what_a_server_may_do_is_named(faults: list[dict[str, Any]], place: str, verdict: str, seen: str) -> None:
    """A refusal is its route's, and what is no answer is unknown, with the reason; the others go on."""
    examination = examine(Case("evolux", faults=faults))
    found = find(examination, place)
    assert (found.verdict, seen in found.seen) == (verdict, True), str(found)
    assert find(examination, "agents, route").verdict == CONFIRMED


@pytest.mark.parametrize("vendor", VENDORS)
def test_g6_refused_credentials_end_it_and_refute_nothing(vendor: str) -> None:
    """After a 401, or two refusals, nothing more is sent; nothing could be checked."""
    secret = {"hostedsuite": "password", "bspk": "auth_token", "evolux": "api_token"}.get(vendor, "api_key")
    case = Case(vendor, config={secret: "wrong-secret-0815"})
    box = served(case)
    examination = examine(case, box)
    assert examination.code == 1
    assert examination.denied is not None
    assert not refuted(examination)
    assert len(box.requests) <= 2


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("zone", "zones", "verdict", "value"),
    [
        ("Asia/Tokyo", ["Asia/Tokyo"], REFUTED, "Asia/Tokyo"),
        ("Asia/Tokyo", ["Tokyo Standard Time", "Europe/Paris"], REFUTED, "Asia/Tokyo"),
        ("Asia/Tokyo", [], REFUTED, "the account's own, at least 9 h further east"),
        ("America/New_York", ["America/New_York"], UNKNOWN, ""),
        ("UTC", [], CONFIRMED, ""),
    ],
)
def test_a_zone_is_refuted_only_when_times_run_ahead(zone: str, zones: list[str], verdict: str, value: str) -> None:
    """Times from the future show a wrong zone; older ones may only be old. A busy line up to now confirms it."""
    case = Case("hostedsuite", {"zone": zone})
    box = served(case)
    box.delete("hostedsuite", "centers", box.truth("hostedsuite", "centers"))
    box.upsert("hostedsuite", "centers", [{"Id": str(n), "TimeZoneId": name} for n, name in enumerate(zones)])
    newest = [NOW - timedelta(minutes=2 + 5 * n) for n in range(9)]
    box.upsert("hostedsuite", "calls", [{"Id": f"new-{n}", "StartTime": at(one)} for n, one in enumerate(newest)])
    found = find(examine(case, box), "calls, zone")
    assert (found.verdict, found.setting, found.value) == (verdict, "timezone" if value else "", value), str(found)


@pytest.mark.parametrize("minutes", [[180 + 5 * n for n in range(9)], [2, 70, 140]])
def test_times_that_are_old_or_few_confirm_no_zone(minutes: list[int]) -> None:
    """A line that is quiet may be read in the wrong zone and look the same."""
    case = Case("hostedsuite", size=20)
    box = served(case)
    for n, age in enumerate(minutes):
        box.upsert("hostedsuite", "calls", [{"Id": f"new-{n}", "StartTime": at(NOW - timedelta(minutes=age))}])
    assert find(examine(case, box), "calls, zone").verdict == UNKNOWN


def test_times_in_utc_without_a_zone_are_looked_at_too() -> None:
    """Conpeek's times name no zone and have no setting: one ahead of the clock is to be reported."""
    case = Case("conpeek")
    box = served(case)
    row = {**box.truth("conpeek", "cdr_dialogs")[0], "dialog_uuid": "late", "hangup_time": "2026-01-15 13:58:00"}
    box.upsert("conpeek", "cdr_dialogs", [row])
    found = find(examine(case, box), "cdr_dialogs, zone")
    assert (found.verdict, found.setting) == (REFUTED, "")
    assert "Report it" in found.advice


def test_rows_on_whole_seconds_show_the_ends_of_bspk() -> None:
    """Milliseconds hide the lower end, as the filter has none; rows without any show it."""
    case = Case("bspk", {"filter_on": "updated"})
    box = served(case)
    for stream in ("appointments", "reminders", "slices", "sales_associates", "clients"):
        box.delete("bspk", stream, box.truth("bspk", stream))
    for n in range(9):
        created, updated = NOW - timedelta(hours=n * 20 + 10), NOW - timedelta(hours=n * 20)
        row = {"sales_associate_id": f"SA_{n}", "client_id": "C", "created_at": at(created), "updated_at": at(updated)}
        box.upsert("bspk", "appointments", [row])
    examination = examine(case, box)
    assert find(examination, "appointments, lower-end").verdict == CONFIRMED
    assert find(examination, "appointments, upper-end").verdict == CONFIRMED


def test_a_wrong_count_of_pages_makes_no_total_wrong() -> None:
    """Where the first page is another one than configured, the last one is too."""
    case = Case("hostedsuite", config={"first_page": "1"})
    box = served(case)
    box.delete("hostedsuite", "calls", box.truth("hostedsuite", "calls"))
    two = [NOW - timedelta(hours=1), NOW - timedelta(hours=2)]
    box.upsert("hostedsuite", "calls", [{"Id": f"c{n:03d}", "StartTime": at(two[n % 2])} for n in range(250)])
    examination = examine(case, box)
    assert refuted(examination) == ["calls, pages"]
    assert find(examination, "calls, total").verdict == CONFIRMED


def test_a_route_that_takes_nothing_is_no_wrong_password() -> None:
    """Two refusals before any success would end the tap, as they may lock the user out: so other routes come first."""
    examination = examine(Case("hostedsuite", faults=[{"kind": "status", "status": 400, "match": "/api/calls"}]))
    assert examination.denied is None
    assert find(examination, "calls, route").verdict == UNKNOWN
    assert find(examination, "charges, route").verdict == CONFIRMED


def test_equal_numbers_show_no_key_of_details() -> None:
    """Where a call's id is its uuid, a detail that comes by it shows nothing."""
    case = Case("evolux", {"cdr_key": "uuid"})
    box = served(case)
    box.upsert(
        "evolux",
        "studio_calls",
        [{"id": row["id"], "uuid": str(row["id"])} for row in box.truth("evolux", "studio_calls")],
    )
    assert find(examine(case, box), "studio_cdr, detail-key").verdict == UNKNOWN


def test_g7_a_field_that_is_named_like_a_secret_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of unknown fields are evidence, unless one is the token."""
    monkeypatch.setattr("trunkline_sandbox.vendors.evolux.Evolux.settings", {"api_token": "token_of_a_customer"})
    case = Case("evolux")
    box = served(case)
    box.upsert("evolux", "agents", [{**box.truth("evolux", "agents")[0], "token_of_a_customer": 1, "nickname": "x"}])
    written = json.dumps(doctor.as_evidence(examine(case, box)))
    assert "nickname" in written
    assert "token_of_a_customer" not in written


def test_g7_names_of_what_is_never_loaded_are_not_unknown_fields() -> None:
    """A contact's login has fields that the tap knows and drops: they are no news."""
    assert "assword" not in find(examine(Case("hostedsuite")), "contacts, route").seen


def test_a_state_leads_to_the_rows() -> None:
    """An account that has been quiet for years is examined where its bookmark stands."""
    late = NOW + timedelta(days=900)
    state = {"bookmarks": {"studio_calls": {"replication_key": "start_time", "replication_key_value": at(NOW)}}}
    with_state = examine(Case("evolux", {"limit_cap": 20}, {"start_date": None}, now=late), state=state)
    assert find(with_state, "studio_calls, page-size").verdict == REFUTED
    without = examine(Case("evolux", {"limit_cap": 20}, {"start_date": None}, now=late))
    assert find(without, "studio_calls, page-size").verdict == UNKNOWN


class Ored(SandboxAdapter):
    """A vendor that reads several filters as alternatives, so that both ends of a span let everything through."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(request.url)
        pairs = [
            (name, value) for name, value in parse_qsl(parts.query) if name != "filter" or len(json.loads(value)) < 2
        ]
        request.url = parts._replace(query=urlencode(pairs)).geturl()
        return super().send(request, *args, **kwargs)


def test_filters_that_are_alternatives_do_not_combine() -> None:
    """One end of a span alone acts, and both together do not: then it is the combination that fails."""
    box = served(Case("conpeek"))
    tap = vendor_tap("conpeek")(config=box.config("conpeek"), run_start=NOW, transport=Ored(box))
    examination = Examination(tap)
    examination.run()
    for stream in ("voice_campaign_requests", "cdr_dialogs"):
        assert find(examination, f"{stream}, combine").verdict == REFUTED
        assert find(examination, f"{stream}, filter").verdict == CONFIRMED


def a_random_case(seed: int) -> tuple[Case, set[str]]:
    """An account of any size and with any switches, and the facts that do not hold for it."""
    dice = random.Random(seed)  # noqa: S311 - a test
    vendor, pick = dice.choice(VENDORS), dice.choice
    cap, zone, first = pick([None, None, 7, 20]), pick(["UTC", "America/New_York"]), pick(["auto", "0", "1"])
    dates, ends = pick(["inclusive", "exclusive", "days"]), pick(["inclusive", "exclusive"])
    form, order, flag = pick(["iso", "us", "us24"]), pick(["oldest", "newest"]), pick([True, False])
    time = pick(["iso", "iso_z", "msdate", "us", "us24", "us24_minutes", "us_date"])
    base, read, key = pick([0, 1]), pick(["any", "iso", "us", "us24"]), pick(["id", "uuid"])
    knobs: dict[str, dict[str, Any]] = {
        "bspk": {"order": order, "per_page_cap": cap or 100, "total_header": flag, "link_headers": pick([True, False])},
        "hostedsuite": {
            "page_base": base, "page_zero": pick(["first", "refuse"]), "items_cap": cap or 1000, "start_time": time,
            "filter_dates": read, "zone": zone, "reservation_ends": ends, "obeys_sort": flag, "order": order,
        },
        "conpeek": {"order": order, "limit_cap": cap or 10_000},
        "evolux": {"order": order, "cdr_key": key, "limit_cap": cap, "dates": dates, "pause_pages": "honoured"},
        "switchtransact": {"end_date": ends, "not_found_status": pick([200, 404])},
    }  # fmt: skip
    config = {"hostedsuite": {"first_page": first, "filter_date_format": form, "timezone": zone}}.get(vendor, {})
    facts: dict[str, dict[str, Any]] = {
        "bspk": {"filter-time": True, "page-size": cap, "total": not flag},
        "hostedsuite": {
            "pages": first not in {"auto", str(base)}, "filter": read not in {"any", form}, "page-size": cap,
            "order": not flag and order == "newest", "lower-end": ends == "exclusive", "upper-end": ends == "exclusive",
        },
        "conpeek": {"page-size": cap},
        "evolux": {
            "detail-key": key == "uuid", "page-size": cap, "exact": dates == "days", "upper-end": dates == "exclusive",
        },
        "switchtransact": {"upper-end": ends == "exclusive"},
    }  # fmt: skip
    size, late = pick([0, 1, 2, 3, 5, 8, 12, 20, 30, 60, 120, 240]), timedelta(days=pick([0, 0, 20, 60]))
    return Case(vendor, knobs[vendor], config, size=size, now=NOW + late), {
        name for name, off in facts[vendor].items() if off
    }


@pytest.mark.parametrize("seeds", [range(24), pytest.param(range(24, 600), marks=at_night("takes minutes"))], ids=str)
def test_nothing_that_holds_is_refuted_for_any_account(seeds: range) -> None:
    """Whatever an account has few of and its server does otherwise: only what does not hold is ever refuted."""
    for seed in seeds:
        case, wrong = a_random_case(seed)
        examination = examine(case)
        assert examination.denied is None, seed
        assert {place.partition(", ")[2] for place in refuted(examination)} <= wrong, seed


def texts(value: Any) -> Iterable[str]:
    """Every text at any depth."""
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("twisted", [False, True])
def test_g7_evidence_and_lines_hold_no_value_of_a_row(vendor: str, twisted: bool) -> None:  # noqa: FBT001 - a parameter
    """No credential, no id and nothing personal of any row, nor an instant of one, is in what is written."""
    faults: list[dict[str, Any]] = [{"kind": "echo_secret", "rate": 0.3}, {"kind": "wrong_total"}]
    case = Case(vendor, faults=faults if twisted else ())
    box = served(case)
    examination = examine(case, box)
    written = json.dumps(doctor.as_evidence(examination)) + "\n".join(map(str, examination.findings))
    streams = [one.name for one in examination.streams if one.name in box.vendors[vendor].streams]
    values = {
        text
        for stream in streams
        for row in box.truth(vendor, stream, hidden=True)
        for text in texts(_guarded(vendor, stream, row))
    }
    values |= {text for text in texts(box.vendors[vendor].tap_config()) if len(text) > 3}
    assert len(values) > 20
    assert not [value for value in values if len(value) > 4 and value in written]


def _guarded(vendor: str, stream: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row must not be written: what is personal, its keys and its times."""
    known = schemas.load(vendor, stream)["properties"]
    keys = ("id", "Id", "uuid", "dialog_uuid", "transaction_number")
    return {
        name: value
        for name, value in row.items()
        if name in keys
        or name not in known
        or personal.mark_of(known[name])
        or known[name].get("format") == "date-time"
    }


# -- other packages' vendors ---------------------------------------------------------------------------------------


def acme(monkeypatch: pytest.MonkeyPatch, **knobs: Any) -> Examination:
    """Examine the vendor of the tests, which has a list of each kind."""
    monkeypatch.setattr("trunkline_sandbox.sandbox.registry", lambda: {"acme": Acme})
    box = Sandbox(size=240, vendors=["acme"])
    box.knobs("acme", **knobs)
    tap = TapAcme(config=box.config("acme"), run_start=NOW, transport=SandboxAdapter(box, sleep=lambda _: None))
    examination = Examination(tap)
    examination.run()
    assert len(box.requests) == examination.line.meter.sent <= examination.most <= MOST
    return examination


def test_a_plugin_has_experiments_of_its_own_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cursors, offsets, a list in one response, lists and details of rows: each is examined by what is declared."""
    examination = acme(monkeypatch)
    assert not refuted(examination)
    for place in ("calls, filter", "calls, steady", "calls, page-size", "users, total", "users, steady"):
        assert find(examination, place).verdict == CONFIRMED, place
    for stream in ("tags", "recordings", "devices", "ratings"):
        assert find(examination, f"{stream}, route").verdict == CONFIRMED, stream


def test_a_plugins_switches_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that names itself as the next one is no steady list; a cap is named with the setting."""
    assert refuted(acme(monkeypatch, cursor="same")) == ["calls, steady"]
    capped = acme(monkeypatch, page_cap=20)
    assert find(capped, "users, page-size").value == "20"
    assert find(capped, "calls, page-size").value == "20"


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*/pyproject.toml")), ids=lambda one: one.parent.name
)
def test_the_examples_can_be_examined(example: Path) -> None:
    """Every tap has experiments, and a number of requests to announce."""
    tap = tap_in(example.parent)
    assert Examination(_unsent(tap)).most in range(1, MOST + 1)


def _unsent(tap: Any) -> Any:
    config = {"api_url": "http://127.0.0.1:9", "start_date": "2026-01-01"}
    for name in tap.config_jsonschema["required"]:
        config.setdefault(name, "http://127.0.0.1:9" if tap.settings[name].get("format") == "url" else "abcdefgh")
    return tap(config=config)


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Runs `trunkline doctor` in this process, without making the process a command's own."""
    monkeypatch.setattr(sdk, "prepare_process", lambda _: None)

    def made(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["doctor", *arguments])
        return (code, *capsys.readouterr())

    return made


def test_g9_a_wrong_config_is_worded_as_the_tap_does(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """One line for each wrong setting, before any request; so are a missing file, another state and an unknown tap."""
    config, state = tmp_path / "config.json", tmp_path / "state.json"
    config.write_text(json.dumps({"api_url": "http://example.org", "api_tokn": "x"}))
    code, out, err = run("tap-evolux", "--config", str(config))
    assert (code, out) == (1, "")
    assert "did you mean api_token?" in err
    assert len(err.splitlines()) == 3
    assert "no such file" in run("tap-evolux", "--config", str(tmp_path / "none.json"))[2].lower()
    assert "the installed ones are" in run("tap-none", "--config", str(config))[2]
    config.write_text(json.dumps({"api_url": "http://127.0.0.1:9", "api_token": "abcdefgh"}))
    state.write_text(json.dumps({"bookmarks": {"calls": {"replication_key_value": "2026-01-01T00:00:00Z"}}}))
    code, out, err = run("tap-evolux", "--config", str(config), "--state", str(state))
    assert (code, out) == (1, "")
    assert "another tap" in err


def test_settings_of_the_environment_are_read(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str, str]]
) -> None:
    """`--config ENV` is what it is for a tap; what can't be reached is no finding, and the exit code is 1."""
    monkeypatch.setenv("TAP_SWITCHTRANSACT_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TAP_SWITCHTRANSACT_API_KEY", "a-key-of-nobody")
    monkeypatch.setenv("TAP_SWITCHTRANSACT_MAX_ATTEMPTS", "1")
    code, out, err = run("tap-switchtransact", "--config", "ENV")
    assert code == 1
    assert "0 refuted" in out
    assert out.startswith("at most ")
    assert "nothing could be checked: " in err
    assert "Check api_url" in err


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_doubt_of_a_vendors_page_has_an_experiment_or_a_reason(vendor: str) -> None:
    """What is not documented beyond doubt names facts that the doctor examines for this vendor, or why none can be."""
    notes = (ROOT / "docs" / "notes" / f"{vendor}.md").read_text(encoding="utf-8")
    table = notes.split("## What is known\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"][2:]
    examined = {one.fact for one in examine(Case(vendor)).findings}
    for what, _, sure, _, tried in rows:
        facts = set(re.findall(r"`([a-z-]+)`", tried)) & FACTS.keys()
        assert facts <= examined, what
        assert facts or tried.startswith("no: ") or (not tried and sure == "documented"), what


def test_every_fact_of_a_finding_is_in_the_table() -> None:
    """Each fact has a sentence, and each that can be refuted a cost."""
    assert all(fact.sentence and fact.cost for fact in FACTS.values())


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 2024 00:00:00 +99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "yesterday"]
)
def test_g9_a_date_that_is_none_ends_no_examination(date: str) -> None:
    """The clock of a proxy may be anywhere; it shows nothing then."""
    box = Sandbox(size=60, clock=lambda: NOW)
    vendor = OddClock(box, sleep=lambda _: None)
    vendor.date = date
    examination = Examination(vendor_tap("hostedsuite")(config=box.config("hostedsuite"), transport=vendor))
    _let_time_pass(examination.tap.client)
    examination.run()
    assert examination.code != 1
