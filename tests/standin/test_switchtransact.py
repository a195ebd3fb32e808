"""SwitchTransact as an outsider's stand-in serves it (vendor-docs/001)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from tests.standin.servers import SwitchTransact
from tests.standin.wire import Answer, Case, Run, Seen, Taps, reply

if TYPE_CHECKING:
    from tests.standin.conftest import Serve


def lookups(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    """The lookups of a run by kind and value."""
    return {(row["kind"], row["value"]): row for row in run.rows("contact_lookups")}


def people(count: int = 6) -> list[dict[str, Any]]:
    """Some contacts, one with text from anywhere."""
    made = [SwitchTransact.contact(n) for n in range(count)]
    made[2] |= {"company": "Łoś & Söhne + Co", "entity_type": "Lead"}
    return made


def test_g1_every_lookup_is_answered_for_once(serve: Serve, run: Taps) -> None:
    """Each lookup is trimmed, asked for once with its plus sign, and each contact is emitted once."""
    folder = run.folder
    (folder / "lookups.csv").write_text(
        'kind,value\nphone,+27721234563\nemail," JAMES4@may.com "\nterm,"Łoś & Söhne + Co"\nphone,+27721234561\n',
        encoding="utf-8",
    )
    (folder / "bom.csv").write_bytes("﻿kind,value\r\nphone,+27721234563\r\n".encode())
    config = {
        "phones": ["+27721234561", " +27721234561 ", "+27000000000"],
        "emails": ["James1@May.com", "nobody@may.com"],
        "terms": ["may", "zzz"],
        "lookups_file": "lookups.csv",
    }
    cases, vendors = {}, {}
    for shape in ("object", "list", "contacts"):
        vendors[shape] = serve(SwitchTransact(people()))
        vendors[shape].shape = shape
        cases[shape] = Case("switchtransact", vendors[shape].config(**config))
    cases["bom"] = Case("switchtransact", vendors["list"].config(lookups_file="bom.csv"))
    runs = run.many(cases)
    for shape in ("object", "list", "contacts"):
        one = runs[shape]
        assert one.code == 0, one.stderr
        seen = [(s.path, *s.query.items()) for s in vendors[shape].seen]
        assert ("/calls/record", ("phone", "+27721234561")) in seen
        assert ("/calls/record", ("email", "james4@may.com")) in seen
        assert ("/calls/autocomplete", ("term", "Łoś & Söhne + Co")) in seen
        if shape == "object":
            assert len(seen) == len(set(seen)) == 9
        found = lookups(one)
        assert set(found) == {
            ("phone", "+27721234561"),
            ("phone", "+27000000000"),
            ("phone", "+27721234563"),
            ("email", "james1@may.com"),
            ("email", "nobody@may.com"),
            ("email", "james4@may.com"),
            ("term", "may"),
            ("term", "zzz"),
            ("term", "Łoś & Söhne + Co"),
        }
        assert len(one.rows("contact_lookups")) == len(found)
        assert found["phone", "+27721234561"] | {"_extra": None} == {
            "kind": "phone",
            "value": "+27721234561",
            "matched": True,
            "contact_ids": ["contact-1"],
            "contact_id": "contact-1",
            "_extra": None,
        }
        nobody = found["email", "nobody@may.com"]
        assert (nobody["matched"], nobody["contact_id"]) == (False, None)
        assert not nobody["contact_ids"]
        contacts = one.rows("contacts")
        assert len(contacts) == len({row["id"] for row in contacts})
        may = found["term", "may"]
        if shape == "object":
            assert may["contact_id"] == "contact-0"
            assert {row["id"] for row in contacts} == {f"contact-{n}" for n in (0, 1, 2, 3, 4)}
        else:
            assert sorted(may["contact_ids"]) == [f"contact-{n}" for n in range(6)]
            assert (may["matched"], may["contact_id"]) == (True, None)
            assert {row["id"] for row in contacts} == {f"contact-{n}" for n in range(6)}
    assert runs["bom"].code == 0, runs["bom"].stderr
    assert set(lookups(runs["bom"])) == {("phone", "+27721234563")}
    kept = next(row for row in runs["list"].rows("contacts") if row["id"] == "contact-2")
    assert {k: v for k, v in kept.items() if k != "_extra"} == people()[2]


def test_g2_only_a_plain_no_is_not_found(serve: Serve, run: Taps) -> None:
    """Only a plain `status: false` is 'not found', all else fails, and personal values stay out of the messages."""
    denied = {"status": False, "error": SwitchTransact.denied}
    answers: dict[str, tuple[Any, int | None]] = {
        "denied 200": (lambda: reply(denied), 1),
        "denied 401": (lambda: reply(denied, 401), 1),
        "other error": (lambda: reply({"status": False, "error": "Something else."}), None),
        "true without contact": (lambda: reply({"status": True}), None),
        "contact null": (lambda: reply({"status": True, "contact": None}), None),
        "contact text": (lambda: reply({"status": True, "contact": "James"}), None),
        "no status": (lambda: reply({"message": "hello"}), None),
        "array": (lambda: reply([]), None),
        "HTML 200": (lambda: Response("<html>Login</html>", 200, media_type="text/html"), None),
        "HTML 404": (lambda: Response("<html>?</html>", 404, media_type="text/html"), None),
        "empty 200": (lambda: Response("", 200), None),
        "422": (lambda: reply({"message": "The phone +27721234567 is invalid"}, 422), None),
        "contact without id": (lambda: reply({"status": True, "contact": {"firstname": "J"}}), None),
    }
    cases, vendors = {}, {}
    for name, (make, _times) in answers.items():
        vendors[name] = serve(SwitchTransact(people()))
        vendors[name].faults.append(lambda _n, _request, make=make: make())  # type: ignore[misc]
        cases[name] = Case(
            "switchtransact", vendors[name].config(phones=["+27721234567", "+27721234568"], max_attempts=2)
        )
    wrong = {}
    for name, one in run.many(cases).items():
        times = answers[name][1]
        quiet = "+2772" not in one.stderr and "%2B2772" not in one.stderr
        if one.code != 1 or not quiet or one.rows("contact_lookups") or (times and len(vendors[name].seen) != times):
            wrong[name] = (one.code, len(vendors[name].seen), one.rows("contact_lookups"), one.stderr[-600:])
    assert not wrong, wrong
    missing = serve(SwitchTransact(people()))
    missing.faults.append(lambda _n, _request: reply({"status": False}, 404))
    one = run("switchtransact", missing.config(phones=["+1"]), code=None)
    # A JSON "no" with 404 may be read as "not found" or as a failure; it must not be a silent success without a row.
    assert (one.code == 0) == (len(one.rows("contact_lookups")) == 1)


def test_g9_lookups_are_checked_before_anything_is_asked(serve: Serve, run: Taps) -> None:
    """Broken lookups and dates, and settings of taps with windows, are config errors naming the setting."""
    vendor = serve(SwitchTransact(people()))
    (run.folder / "columns.csv").write_text("type,val\nphone,1\n")
    (run.folder / "kind.csv").write_text("kind,value\nfax,1\n")
    (run.folder / "empty.csv").write_text("kind,value\n")
    (run.folder / "latin.csv").write_bytes("kind,value\nterm,Söhne\n".encode("latin-1"))
    wrongs: dict[str, tuple[dict[str, Any], str]] = {
        "file": ({"lookups_file": "nowhere.csv"}, "lookups_file"),
        "columns": ({"lookups_file": "columns.csv"}, "lookups_file"),
        "kind": ({"lookups_file": "kind.csv"}, "lookups_file"),
        "empty": ({"lookups_file": "empty.csv"}, "lookups_file"),
        "latin": ({"lookups_file": "latin.csv"}, "lookups_file"),
        "start_date": ({"phones": ["+1"], "start_date": "soon"}, "start_date"),
        "window": ({"phones": ["+1"], "window": "P1D"}, "window"),
        "page_size": ({"phones": ["+1"], "page_size": 3}, "page_size"),
    }
    runs = run.many({name: Case("switchtransact", vendor.config(**config)) for name, (config, _word) in wrongs.items()})
    for name, (_config, word) in wrongs.items():
        assert runs[name].code == 1, (name, runs[name].stderr)
        assert word in runs[name].stderr, (name, runs[name].stderr)
    assert not vendor.seen


def test_g8_one_failing_lookup_is_told_by_kind_and_place(serve: Serve, run: Taps) -> None:
    """A lookup that fails for good makes the exit code 1, and its kind and ordinal are named, not its value."""
    vendor = serve(SwitchTransact(people()))

    def fault(_ordinal: int, request: Seen) -> Answer | None:
        return reply({"message": "bad"}, 422) if request.query.get("phone") == "+27721234562" else None

    vendor.faults.append(fault)
    one = run(
        "switchtransact", vendor.config(phones=["+27721234561", "+27721234562", "+27721234563"], max_attempts=2), code=1
    )
    assert "phone" in one.stderr
    assert "27721234562" not in one.stderr


def test_g1_the_lists_come_as_an_outsider_reads_their_pages(serve: Serve, run: Taps) -> None:
    """Agents, branches and choices come whole; payments, once chosen, by whole days whichever way the end is meant."""
    agents = [{"id": "a1", "name": "Ann", "agent_code": "7", "is_commission": True, "branches_regions_id": "g"}]
    choices: list[dict[str, Any]] = [
        {"id": None, "type": "bank", "title": "Cheque", "category": "accounts", "value": None},
        {"id": "x", "type": "bank", "title": "Savings", "category": "accounts", "value": "2"},
    ]
    payments = [
        {
            "transaction_number": f"t{day}",
            "amount": "150.00",
            "status": "Paid",
            "transaction_date": f"2024-03-{day:02}T00:00:00.000Z",
            "company_name": "",
        }
        for day in range(1, 11)
    ]
    cases = {}
    for last_day in (True, False):
        vendor = serve(SwitchTransact())
        vendor.agents, vendor.lookups, vendor.transactions = agents, choices, payments
        vendor.branches, vendor.last_day = [{"id": "b", "title": "Durban", "is_active": False}], last_day
        config = vendor.config(start_date="2024-03-02", end_date="2024-03-10")
        cases[str(last_day)] = Case("switchtransact", config)
    for name, one in run.many(cases).items():
        assert one.code == 0, (name, one.stderr)
        assert {k: v for k, v in one.rows("agents")[0].items() if k in agents[0]} == agents[0]
        assert [row["title"] for row in one.rows("branches")] == ["Durban"]
        assert [(row["id"], row["title"]) for row in one.rows("lookups")] == [(None, "Cheque"), ("x", "Savings")]
        assert not one.rows("transactions"), "they must be chosen"
        assert "contacts is not offered" in one.stderr
        wanted = cases[name].config
        catalog = json.loads(run("switchtransact", wanted, "--discover").stdout)
        for entry in catalog["streams"]:
            root = next(one for one in entry["metadata"] if not one["breadcrumb"])
            root["metadata"]["selected"] = entry["tap_stream_id"] == "transactions"
        paid = run("switchtransact", wanted, catalog=catalog).rows("transactions")
        assert [row["transaction_number"] for row in paid] == [f"t{day}" for day in range(2, 10)]
        assert {row["amount"] for row in paid} == {"150.00"}
