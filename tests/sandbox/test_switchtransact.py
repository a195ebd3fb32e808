from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from trunkline_sandbox import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Response, Sandbox

    Ask = Callable[..., Response]
    Row = dict[str, Any]

CALLS = "/api/1.0/calls"
# Typed from vendor-docs/001.
JAMES = {
    "id": "2916509f-f188-42d8-ab0e-a27bcb20d70d",
    "firstname": "James",
    "lastname": "May",
    "customer_number": "3008821",
    "company": "My Company name",
    "businessphone": None,
    "businessphone2": None,
    "mobilephone": "+27721234567",
    "email": "james@may.com",
    "entity_type": "Account",
}
NO_PERMISSION = {"status": False, "error": "Not authorized to make this API call. Requesting Read on General."}
LOG = {
    "CallType": "Inbound",
    "CallDirection": "Inbound",
    "Number": "0721234567",
    "Name": "James May",
    "Duration": "00:01:30",
    "DateTime": "31-01-26 23:59:59",
}


@pytest.mark.parametrize(
    "query", ["record?phone=%2B27721234567", "record?email=james@may.com", "autocomplete?term=my%20company"]
)
def test_the_printed_contact_comes_back_as_printed(ask: Ask, query: str) -> None:
    """Phone, e-mail and term find James May as the page shows him."""
    assert ask("switchtransact", f"{CALLS}/{query}").value() == {"status": True, "contact": JAMES}


@pytest.mark.parametrize("query", ["record?phone=+27721234567", "record?phone=0721234567", "record?email=x@y.z",
                                   "autocomplete?term=nobody"])  # fmt: skip
def test_a_miss_is_status_false_alone(ask: Ask, query: str) -> None:
    """Not found has no error; a raw plus is a space and finds nobody, nor does a national number."""
    answer = ask("switchtransact", f"{CALLS}/{query}")
    assert (answer.status, answer.value()) == (200, {"status": False})


@pytest.mark.parametrize(
    ("shape", "key", "kind"), [("object", "contact", dict), ("list", "contact", list), ("contacts", "contacts", list)]
)
def test_autocomplete_has_three_shapes(ask: Ask, sandbox: Sandbox, shape: str, key: str, kind: type) -> None:
    """The printed object, a list under the same name, or a list under `contacts`."""
    sandbox.knobs("switchtransact", autocomplete=shape)
    answer = ask("switchtransact", f"{CALLS}/autocomplete?term=example.com").value()
    assert isinstance(answer[key], kind)
    with_mail = [row for row in sandbox.truth("switchtransact", "contacts") if "example.com" in (row["email"] or "")]
    assert answer[key] == (with_mail[0] if kind is dict else with_mail)


def test_every_contact_is_found_by_what_it_has(ask: Ask, sandbox: Sandbox) -> None:
    """Numbers and e-mails of made contacts are unique; some contacts lack them."""
    rows = sandbox.truth("switchtransact", "contacts")
    for row in rows:
        for name in ("mobilephone", "businessphone", "businessphone2"):
            if row[name]:
                answer = ask("switchtransact", f"{CALLS}/record?phone=%2B{row[name][1:]}").value()
                assert answer["contact"] == row
        if row["email"]:
            assert ask("switchtransact", f"{CALLS}/record?email={row['email'].upper()}").value()["contact"] == row
    assert any(row["mobilephone"] is None for row in rows)
    assert any(row["email"] is None for row in rows)


def test_the_vendor_says_no(ask: Ask, sandbox: Sandbox) -> None:
    """No permission is the page's sentence with a 200; an unknown key is 401; no parameter is 422."""
    assert ask("switchtransact", f"{CALLS}/record?phone=1", sign=False).status == 401
    keyed = {"Authorization": "sandbox-switchtransact-no-read"}
    answer = sandbox.handle(Request.of("GET", f"/switchtransact{CALLS}/record?phone=1", headers=keyed))
    assert (answer.status, answer.value()) == (200, NO_PERMISSION)
    sandbox.knobs("switchtransact", permitted=False, not_permitted_status=403)
    assert ask("switchtransact", f"{CALLS}/record?phone=1").status == 403
    sandbox.knobs("switchtransact", permitted=True)
    assert ask("switchtransact", f"{CALLS}/record").status == 422
    assert ask("switchtransact", "/api/1.0/other").status == 404


def test_create_answers_the_record_and_keeps_it(ask: Ask, sandbox: Sandbox) -> None:
    """The answer is what was sent, without status; the write is in the truth, and its phone can be looked up."""
    body = {"firstname": "Łucja", "lastname": "Day", "phone": "+27729999999"}
    answer = ask("switchtransact", f"{CALLS}/create", json=body)
    assert (answer.status, answer.value()) == (200, body)
    ask("switchtransact", f"{CALLS}/create", json=body)
    assert sandbox.truth("switchtransact", "created") == [body, body]
    found = ask("switchtransact", f"{CALLS}/record?phone=%2B27729999999").value()["contact"]
    assert (found["firstname"], found["mobilephone"]) == ("Łucja", "+27729999999")
    assert set(found) == set(JAMES)


@pytest.mark.parametrize(
    "body", [{"firstname": "A", "lastname": "B"}, {"firstname": "", "lastname": "B", "phone": "1"}]
)
def test_an_invalid_create_has_an_error_and_leaves_nothing(ask: Ask, sandbox: Sandbox, body: Any) -> None:
    """A missing or empty value is the page's invalid answer."""
    answer = ask("switchtransact", f"{CALLS}/create", json=body)
    assert (answer.status, [*answer.value()]) == (422, ["status", "error"])
    assert sandbox.truth("switchtransact", "created") == []


def test_call_logs_are_kept(ask: Ask, sandbox: Sandbox) -> None:
    """A good log is answered with status alone and can be read as truth."""
    assert ask("switchtransact", f"{CALLS}/log", json=LOG).value() == {"status": True}
    assert sandbox.truth("switchtransact", "call_logs") == [LOG]


@pytest.mark.parametrize(
    "change",
    [
        {"CallType": "{Inbound|Outbound|Missed|Notanswered}"},
        {"CallDirection": "Sideways"},
        {"Number": ""},
        {"Duration": "90"},
        {"DateTime": "2026-01-31 23:59:59"},
        {"DateTime": "31-13-26 00:00:00"},
    ],
)
def test_a_bad_call_log_is_refused(ask: Ask, sandbox: Sandbox, change: Row) -> None:
    """What the page's placeholders spell out is checked, and nothing is kept of a bad log."""
    answer = ask("switchtransact", f"{CALLS}/log", json={**LOG, **change})
    assert (answer.status, answer.value()["status"]) == (422, False)
    assert sandbox.truth("switchtransact", "call_logs") == []


def test_the_limit_is_100_a_second(ask: Ask, sandbox: Sandbox) -> None:
    """When enforced, the 101st request within a second is a 429."""
    sandbox.knobs("switchtransact", enforce_rate_limit=True)
    statuses = [ask("switchtransact", f"{CALLS}/record?phone=1").status for _ in range(101)]
    assert statuses == [*[200] * 100, 429]


# -- the lists (siblings.md, 2.1 to 2.4) -----------------------------------------------------------


def test_lists_have_the_documented_envelopes(ask: Ask, sandbox: Sandbox) -> None:
    """`status` and `records`; of the choices `lookups` alone, narrowed by type and category."""
    for stream in ("agents", "branches"):
        body = ask("switchtransact", f"/api/1.0/contacts/{stream}").value()
        assert body == {"status": True, "records": sandbox.truth("switchtransact", stream)}
    held = sandbox.truth("switchtransact", "lookups")
    assert ask("switchtransact", "/api/1.0/lookups").value() == {"lookups": held}
    bank = ask("switchtransact", "/api/1.0/lookups?type=bank&category=accounts").value()["lookups"]
    assert bank == [row for row in held if row["type"] == "bank"]
    assert any(row["id"] is None for row in held)


@pytest.mark.parametrize("end", ["inclusive", "exclusive"])
def test_transactions_are_whole_days(ask: Ask, sandbox: Sandbox, end: str) -> None:
    """All of a span of days with their number; the last day is read or not; another form of day is refused."""
    sandbox.knobs("switchtransact", end_date=end)
    held = sandbox.truth("switchtransact", "transactions")
    body = ask("switchtransact", "/api/1.0/transactions?start_date=2026-01-03&end_date=2026-01-05").value()
    days = {"2026-01-03", "2026-01-04"} | ({"2026-01-05"} if end == "inclusive" else set())
    assert body["records"] == [row for row in held if row["transaction_date"][:10] in days]
    assert body["total"] == len(body["records"]) > 0
    assert ask("switchtransact", "/api/1.0/transactions").value()["total"] == len(held)
    assert ask("switchtransact", "/api/1.0/transactions?start_date=3.1.2026").status == 422
