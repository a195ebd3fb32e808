"""BSPK as an outsider's stand-in serves it (vendor-docs/000)."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response
from tests.standin.servers import SECOND, UTC, Bspk, instant
from tests.standin.wire import Answer, Case, Cut, Reset, Run, Seen, Stall, Taps, reply, upserted

if TYPE_CHECKING:
    from tests.standin.conftest import Serve

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MILLI = timedelta(milliseconds=1)


def key(row: dict[str, Any]) -> str:
    """The contract's call_key of a row as the vendor sends it."""
    text = json.dumps(
        [row["sales_associate_id"], row["client_id"], row["created_at"]], separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def history() -> list[dict[str, Any]]:
    """Calls over two months: on seams, beside them by a millisecond, tied, and with null and non-ASCII ids."""
    times = [MARCH + timedelta(hours=11 * n, milliseconds=n * 37) for n in range(1, 110)]
    for seam in (MARCH, MARCH + 30 * DAY, MARCH + 55 * DAY):
        times += [seam - SECOND, seam - MILLI, seam, seam + MILLI, seam + SECOND / 2, seam + SECOND]
    times += [MARCH + timedelta(hours=5)] * 9
    rows = [Bspk.call(number, at) for number, at in enumerate(times, 1)]
    rows[3]["client_id"] = None
    rows[4]["sales_associate_id"] = None
    rows[6]["client_id"] = "Łódź/é,\u2028\"'"
    return rows


def truth(rows: list[dict[str, Any]], low: datetime, high: datetime) -> set[str]:
    """The keys of the calls in [low, high)."""
    return {key(row) for row in rows if low <= instant(row["created_at"]) < high}


def keys(run: Run) -> set[str]:
    """The keys that a run emitted."""
    return {row["call_key"] for row in run.rows("calls")}


def test_g1_every_shape_of_the_array_gives_every_call(serve: Serve, run: Taps) -> None:
    """Whatever the links, total, cap, order and bounds, each call in the span comes with the contract's key."""
    shapes: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "everything": ({}, {"start_date": None}),
        "no Link, cap 7": ({"links": "none", "cap": 7}, {}),
        "no Link, no total": ({"links": "none", "total": lambda _true: None, "cap": 37}, {}),
        "Link, no total": ({"total": lambda _true: None}, {"page_size": 13}),
        "curly, random order": ({"links": "curly", "order": "random"}, {"page_size": 30}),
        "double quotes, oldest": ({"links": "double", "order": "oldest", "cap": 37}, {"window": "P7D"}),
        "whole seconds": ({"whole_seconds": True}, {"window": "P5D"}),
        "exclusive": ({"exclusive": True}, {"window": "P5D"}),
        "exclusive, whole seconds": ({"exclusive": True, "whole_seconds": True}, {"window": "P30D"}),
        "more than 100 pages": ({"cap": 1}, {"start_date": None}),
    }
    cases, vendors = {}, {}
    for name, (vendor, config) in shapes.items():
        vendors[name] = serve(Bspk(history()))
        vars(vendors[name]).update(vendor)
        wanted = vendors[name].config(end_date="2024-04-25") | {"start_date": "2024-03-01"} | config
        cases[name] = Case("bspk", {k: v for k, v in wanted.items() if v is not None})
    runs = run.many(cases)
    wrong = {}
    for name, one in runs.items():
        low = MARCH - 9 * DAY if "start_date" not in (cases[name].config or {}) else MARCH
        expected = truth(history(), low, MARCH + 55 * DAY)
        # `from` may mean updated, so an old call is never dropped: the tick that is asked before start_date may show.
        tick = truth(history(), MARCH - SECOND, MARCH)
        if one.code or keys(one) - tick != expected - tick:
            lost = [row["created_at"] for row in history() if key(row) in expected - keys(one)]
            foreign = [row["created_at"] for row in one.rows("calls") if row["call_key"] not in expected]
            wrong[name] = (one.code, "lost", lost, "foreign", foreign, one.stderr[-600:])
    assert not wrong, wrong
    assert instant(runs["everything"].bookmark("calls")) == MARCH + 55 * DAY - MILLI
    assert max(int(s.query["page"]) for s in vendors["more than 100 pages"].seen) <= 101
    assert all(s.query["to"] <= "2024-04-25T00:00:01Z" for v in vendors.values() for s in v.seen)


def test_g1_drift_while_reading_loses_nothing_over_this_run_and_the_next(serve: Serve, run: Taps) -> None:
    """Rows that enter or leave the window while its pages are read are all there after the next run."""
    now = datetime.now(UTC).replace(microsecond=0)
    drifts = {}

    def build() -> Bspk:
        vendor = serve(Bspk([Bspk.call(n, now - timedelta(minutes=10 * n)) for n in range(1, 60)]))
        vendor.cap = 7
        return vendor

    inserting, leaving, both = build(), build(), build()

    def insert(vendor: Bspk, ordinal: int) -> None:
        vendor.rows.append(Bspk.call(500 + ordinal, now - timedelta(minutes=1, seconds=ordinal)))

    def leave(vendor: Bspk, ordinal: int) -> None:
        vendor.rows[ordinal]["updated"] = (now + timedelta(seconds=40)).isoformat()

    inserting.before_page = lambda ordinal: insert(inserting, ordinal) if ordinal in {1, 4} else None
    leaving.before_page = lambda ordinal: leave(leaving, ordinal) if ordinal in {1, 4} else None

    def swap(ordinal: int) -> None:
        if ordinal == 2:
            leave(both, 1)
            both.rows.append(Bspk.call(900, now - timedelta(minutes=10 * 70)))

    both.before_page = swap
    drifts = {"insert": inserting, "leave": leaving, "both": both}
    configs = {name: vendor.config(start_date=(now - 3 * DAY).isoformat()) for name, vendor in drifts.items()}
    first = run.many({name: Case("bspk", config) for name, config in configs.items()})
    for vendor in drifts.values():
        vendor.before_page = lambda _ordinal: None
        for row in vendor.rows:
            row.pop("updated", None)
    second = run.many({name: Case("bspk", config, state=first[name].state) for name, config in configs.items()})
    for name, vendor in drifts.items():
        assert second[name].code == 0, second[name].stderr
        got = {k[0] for k in upserted([first[name], second[name]], "calls")}
        assert got >= {key(row) for row in vendor.rows}, name


def test_g3_second_run_reads_the_lookback_and_never_goes_back(serve: Serve, run: Taps) -> None:
    """A run re-reads its lookback, keeps old calls that were updated, and moves the bookmark never back or past now."""
    now = datetime.now(UTC).replace(microsecond=0)
    vendor = serve(Bspk([Bspk.call(n, now - timedelta(hours=3 * n)) for n in range(1, 20)]))
    config = vendor.config(lookback="PT6H")
    first = run("bspk", config)
    assert instant(first.bookmark("calls")) == now - timedelta(hours=3)
    late = Bspk.call(100, now - timedelta(hours=8))
    old = Bspk.call(101, now - timedelta(days=200), updated=(now - timedelta(hours=2)).isoformat())
    vendor.rows = [late, old]
    mark = len(vendor.seen)
    second = run("bspk", config, state=first.state)
    assert keys(second) == {key(late), key(old)}
    assert second.bookmark("calls") == first.bookmark("calls")
    asked = instant(vendor.seen[mark].query["from"])
    assert now - timedelta(hours=9) - SECOND <= asked <= now - timedelta(hours=9)
    # A bookmark written by a clock that ran ahead.
    far = {
        "bookmarks": {"calls": {"replication_key": "created_at", "replication_key_value": (now + 30 * DAY).isoformat()}}
    }
    fresh = Bspk.call(102, now - timedelta(hours=1))
    vendor.rows = [fresh]
    third = run("bspk", config, state=far)
    assert keys(third) == {key(fresh)}
    assert instant(third.bookmark("calls")) <= datetime.now(UTC)
    # start_date is newer than the bookmark: it wins and the line says so; nothing before it is asked for.
    mark = len(vendor.seen)
    newer = (now - timedelta(minutes=90)).isoformat()
    fourth = run("bspk", config | {"start_date": newer}, state=first.state)
    assert keys(fourth) == {key(fresh)}
    assert instant(vendor.seen[mark].query["from"]) >= now - timedelta(minutes=90) - SECOND
    assert any("start_date" in line and "bookmark" in line for line in fourth.stderr.splitlines())
    # end_date is not after the bookmark: nothing to do.
    mark = len(vendor.seen)
    fifth = run("bspk", config | {"end_date": first.bookmark("calls")}, state=first.state)
    assert not fifth.rows("calls")
    assert len(vendor.seen) == mark
    assert any("end_date" in line for line in fifth.stderr.splitlines())
    assert (fifth.state or first.state) == first.state


def test_g2_two_equal_calls_in_one_millisecond_are_proven_by_a_second_reading(serve: Serve, run: Taps) -> None:
    """When two calls share a key, a second reading with the same rows is proof, with a warning."""
    rows = [Bspk.call(n, MARCH + timedelta(minutes=n)) for n in range(1, 20)]
    vendor = serve(Bspk([*rows, dict(rows[4])]))
    vendor.cap = 7
    one = run("bspk", vendor.config(end_date="2024-03-02"))
    assert keys(one) == {key(row) for row in rows}
    assert "WARNING" in one.stderr
    assert instant(one.bookmark("calls")) == MARCH + timedelta(minutes=19)


def test_client_ids_of_any_length_are_all_asked_for(serve: Serve, run: Taps) -> None:
    """250 ids are asked for in portions that fit an address; both kinds of ids at once are a config error."""
    rows = [
        Bspk.call(n, MARCH + timedelta(minutes=n), client_id=f"client-with-a-rather-long-name-{n}") for n in range(300)
    ]
    vendor = serve(Bspk(rows))
    vendor.address_limit = 4000
    wanted = [row["client_id"] for row in rows[:250]]
    few = serve(Bspk(rows))
    runs = run.many(
        {
            "many": Case("bspk", vendor.config(client_ids=wanted, end_date="2024-04-01")),
            "associates": Case("bspk", few.config(sales_associate_ids=["SA_1"], end_date="2024-04-01")),
            "both": Case("bspk", few.config(sales_associate_ids=["SA_1"], client_ids=["x"])),
        }
    )
    assert runs["many"].code == 0, runs["many"].stderr
    assert {row["client_id"] for row in runs["many"].rows("calls")} == set(wanted)
    assert {row["sales_associate_id"] for row in runs["associates"].rows("calls")} == {"SA_1"}
    assert len(runs["associates"].rows("calls")) == 100
    assert runs["both"].code == 1
    assert "client_ids" in runs["both"].stderr
    assert "sales_associate_ids" in runs["both"].stderr


def test_g2_answers_that_are_no_array(serve: Serve, run: Taps) -> None:
    """Only an array is a page: anything else fails and holds the bookmark, but a 204, which is an empty answer."""
    answers: dict[str, Any] = {
        "object": lambda: reply({"error": "quota"}),
        "empty object": lambda: reply({}),
        "empty 200": lambda: Response("", 200),
        "HTML": lambda: Response("<html>maintenance</html>", 200, media_type="text/html"),
        "null": lambda: reply(None),
        "cut": lambda: Cut(b"[]", 60),
        "array of text": lambda: reply(["x"], X_Total_Count="1"),
        "total says more": lambda: reply([], X_Total_Count="12"),
        "204": lambda: Response(None, 204),
        "total no number": lambda: reply([], X_Total_Count="many"),
    }
    cases = {}
    for name, make in answers.items():
        vendor = serve(Bspk(history()))
        vendor.faults.append(lambda _n, _request, make=make: make())  # type: ignore[misc]
        cases[name] = Case("bspk", vendor.config(end_date="2024-04-25", max_attempts=2))
    for name, one in run.many(cases).items():
        assert one.code == (0 if name == "204" else 1), (name, one.stderr[-800:])
        assert one.bookmark("calls") is None, name
        assert not one.rows("calls"), name


def test_g6_faults_that_pass_are_waited_out(serve: Serve, run: Taps) -> None:
    """Faults that pass (429, 503, 408, reset, cut body, stall) are tried again, other 4xx are not."""

    def in_seconds(seconds: int) -> str:
        return str(int(time.time()) + seconds)

    passing: dict[str, Any] = {
        "Retry-After": lambda: reply({}, 429, Retry_After="2"),
        "Retry-After date": lambda: reply(
            {}, 503, Retry_After=time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
        ),
        "X-RateLimit-Reset": lambda: reply({}, 429, X_RateLimit_Reset=in_seconds(3)),
        "RateLimit-Reset": lambda: reply({}, 429, RateLimit_Reset=in_seconds(3)),
        "reset": Reset,
        "cut": lambda: Cut(b'[{"store_id": "', 900),
        "stall": lambda: Stall(3, reply([])),
        "408": lambda: reply({}, 408),
        "502 HTML": lambda: Response("<html>bad gateway</html>", 502, media_type="text/html"),
    }
    final = {"400": 400, "404": 404, "422": 422}
    cases, vendors = {}, {}
    for name, make in (passing | final).items():
        vendor = vendors[name] = serve(Bspk(history()[:30]))
        # The second request, so that a first answer has been had.

        def fault(ordinal: int, _request: Seen, make: Any = make) -> Answer | None:
            wrong: Answer = make() if callable(make) else reply({"error": "no"}, make)
            return wrong if ordinal == 1 else None

        vendor.faults.append(fault)
        cases[name] = Case("bspk", vendor.config(end_date="2024-04-25", page_size=10, request_timeout=1, concurrency=1))
    runs = run.many(cases)
    for name in passing:
        assert runs[name].code == 0, (name, runs[name].stderr[-800:])
        assert keys(runs[name]) == {key(row) for row in history()[:30]}, name
        times = [s.at for s in vendors[name].seen]
        if "R" in name:
            assert times[2] - times[1] >= 0.9, (name, times[2] - times[1])
    for name in final:
        assert runs[name].code == 1, name
        assert len(vendors[name].seen) == 2, name


@pytest.mark.parametrize("status", [401, 403])
def test_g6_a_wrong_credential_is_sent_once(serve: Serve, run: Taps, status: int) -> None:
    """A refusal before any success ends the tap after one request; a 403 speaks of the list of allowed addresses."""
    vendor = serve(Bspk(history()))
    vendor.faults.append(lambda _n, _request: reply({"error": "no"}, status))
    one = run("bspk", vendor.config(concurrency=32, client_ids=[f"c{n}" for n in range(200)]), code=1)
    assert len(vendor.seen) == 1
    assert "auth_token" in one.stderr
    if status == 403:
        assert "IP" in one.stderr or "allow" in one.stderr.lower()


@pytest.mark.parametrize("name", ["client_ids", "sales_associate_ids"])
def test_g9_a_blank_id_is_refused_and_not_sent_as_an_empty_filter(serve: Serve, run: Taps, name: str) -> None:
    """A member of nothing but white space would read the calls of everybody: an error that names the setting."""
    vendor = serve(Bspk([Bspk.call(1, MARCH)]))
    one = run("bspk", vendor.config(**{name: [" "]}), code=1)
    assert name in one.stderr.splitlines()[-1]
    assert not vendor.seen


CONTACT = ("sales_associate_id", "client_id", "created_at")
KEYS: dict[str, tuple[str, ...]] = {
    "messages": ("sales_associate_id", "client_id", "channel", "created_at"),
    "emails": CONTACT,
    "notes": CONTACT,
    "appointments": CONTACT,
    "reminders": CONTACT,
    "slices": ("created_by_sales_associate_id", "created_at"),
    "sales_associates": ("username", "created_at"),
}
"""What the contract makes the siblings' keys from."""
MARKS = dict.fromkeys(("appointments", "reminders", "slices", "sales_associates", "clients"), "updated_at")


def sibling(name: str, number: int, created: datetime, updated: datetime) -> dict[str, Any]:
    """A row as facts/siblings.md describes it; `updated` is what the vendor may filter by."""
    call = Bspk.call(number, created)
    del call["to"]
    shown = call["created_at"]
    changed = Bspk.call(number, updated)["created_at"]
    sent = {"template_id": "2", "template_name": None, "slice_id": number, "media": [{"any": number}]}
    entry = {"title": "t", "body": "b", "starts_at": shown, "ends_at": None, "is_done": False, "is_done_at": None}
    slice_of = {
        "created_by_sales_associate_id": f"SA_{number}",
        "created_by_sales_associate_name": "n",
        "item_ids": ["i"],
    }
    rows: dict[str, dict[str, Any]] = {
        "messages": call | sent | {"body": None, "channel": ("sms", "wechat")[number % 2]},
        "emails": call | sent,
        "notes": call | {"body": "b", "media": []},
        "appointments": call | entry | {"notes": "b", "updated_at": changed},
        "reminders": call | entry | {"notes": "b", "updated_at": changed},
        "slices": slice_of | {"store_id": "s", "title": None, "body": None, "created_at": shown, "updated_at": changed},
        "sales_associates": {
            "associate_id": None,
            "username": f"u{number}",
            "created_at": shown,
            "updated_at": changed,
        },
        "clients": {
            "client_id": f"C-{number}",
            "name": "Ann Example",
            "gender": None,
            "passport_number": "P-1",
            "addresses": [{"city": "Lyon", "zip": None}],
            "communication_preferences": {"opt_out": False},
            "preferences": ["a", {"b": 1}],
            "created_at": shown,
            "updated_at": changed,
        },
    }
    return rows[name]


def everything(found: Run) -> dict[str, Any]:
    """A discovered catalog in which every stream is selected."""
    catalog: dict[str, Any] = json.loads(found.stdout)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
    return catalog


@pytest.mark.parametrize("by", ["created", "updated"])
def test_g1_the_siblings_give_every_row_however_the_vendor_filters(serve: Serve, run: Taps, by: str) -> None:
    """All eight lists come as sent, under the contract's keys, by either reading of `from`, `[]` and 204 alike."""
    vendor = serve(Bspk([]))
    vendor.cap, vendor.no_content = 7, by == "updated"
    sent: dict[str, dict[str, dict[str, Any]]] = {}
    for name in Bspk.siblings:
        rows = []
        for number in range(20):
            created = MARCH + timedelta(hours=31 * number, milliseconds=7 * number)
            changed = created + (3 * DAY if number % 3 == 0 else 0 * DAY)
            row = sibling(name, number, created, changed)
            rows.append(row | {"updated": (changed if by == "updated" else created).isoformat()})
        if name == "clients":
            rows.append(rows[0] | {"client_id": None})
        vendor.lists[name] = rows
        sent[name] = {}
        for row in rows:
            plain = {field: value for field, value in row.items() if field != "updated"}
            text = json.dumps([plain[part] for part in KEYS.get(name, ())], separators=(",", ":"), ensure_ascii=False)
            at = hashlib.sha256(text.encode()).hexdigest() if name in KEYS else plain["client_id"]
            if at is not None:
                sent[name][at] = plain
    config = vendor.config(start_date="2024-03-01", end_date="2024-04-25", window="P7D", page_size=5)
    one = run("bspk", config, catalog=everything(run("bspk", config, "--discover")))
    for name, held in sent.items():
        key_of = "client_id" if name == "clients" else f"{name.removesuffix('s')}_key"
        got = {row[key_of]: row for row in one.rows(name)}
        assert got.keys() == held.keys(), name
        for at, row in held.items():
            assert {field: got[at][field] for field in row} == row, name
        mark = MARKS.get(name, "created_at")
        assert instant(one.bookmark(name)) <= max(instant(row[mark]) for row in held.values())
    assert "1 rows without client_id were left out" in one.stderr


def test_clients_are_not_read_unless_a_catalog_says_so(serve: Serve, run: Taps) -> None:
    """Passports and birthdays stay where they are by default, and no request is made for them."""
    vendor = serve(Bspk([Bspk.call(1, MARCH)]))
    vendor.lists["clients"] = [sibling("clients", 1, MARCH, MARCH)]
    one = run("bspk", vendor.config(end_date="2024-03-02"))
    assert one.rows("calls")
    assert not one.rows("clients")
    assert not [seen for seen in vendor.seen if seen.path.endswith("/clients")]


def test_ids_of_clients_go_only_where_they_are_a_parameter(serve: Serve, run: Taps) -> None:
    """`client_ids` narrows the lists that take it; associates and slices are read in full without it."""
    vendor = serve(Bspk([Bspk.call(n, MARCH) for n in range(3)]))
    vendor.lists = {name: [sibling(name, n, MARCH, MARCH) for n in range(3)] for name in ("notes", "slices")}
    one = run("bspk", vendor.config(client_ids=["CLIENT_1"], end_date="2024-03-02"))
    assert [len(one.rows(name)) for name in ("calls", "notes", "slices")] == [1, 1, 3]


@pytest.mark.parametrize("status", [403, 404])
def test_g8_a_list_that_may_not_be_read_fails_alone(serve: Serve, run: Taps, status: int) -> None:
    """It costs one request, the others are complete, and the last lines name it."""
    vendor = serve(Bspk([Bspk.call(n, MARCH) for n in range(3)]))
    vendor.lists = {name: [sibling(name, n, MARCH, MARCH) for n in range(3)] for name in ("notes", "reminders")}
    vendor.faults.append(lambda _n, seen: reply({}, status) if seen.path.endswith("/reminders") else None)
    one = run("bspk", vendor.config(start_date="2024-02-01", end_date="2024-04-25", window="P1D"), code=1)
    assert len([seen for seen in vendor.seen if seen.path.endswith("/reminders")]) == 1
    assert [len(one.rows(name)) for name in ("calls", "notes", "reminders")] == [3, 3, 0]
    assert "reminders" in "".join(one.stderr.splitlines()[-3:])
