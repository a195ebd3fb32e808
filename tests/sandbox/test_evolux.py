from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Response, Sandbox

    Ask = Callable[..., Response]

CALLS = "/api/v1/studio/calls"
_DAY = (
    "http://example.evolux.net.br/api/v1/studio/calls?start_date=2020-01-12T00%3A00%3A00%2B00%3A00"
    "&end_date=2020-01-12T23%3A59%3A59.999999%2B00%3A00&page=1"
)
# Typed from vendor-docs/004; the doubled comma is mended.
PRINTED: dict[str, Any] = {
    "pagination": {
        "max_limit": 50,
        "first_url": _DAY,
        "items": 2,
        "current_url": _DAY,
        "limit": 2,
        "next_url": None,
        "last_url": _DAY,
        "total": 2,
        "prev_url": None,
    },
    "meta": {"status": 200, "message": "OK"},
    "data": [
        {
            "exit_reason": "transfer",
            "system_hangup_reason": None,
            "uuid": "2",
            "call_flow": {"id": 2, "name": "Test 1"},
            "start_time": "2020-01-12T13:00:00+00:00",
            "caller": "11999482052",
            "who_hangup": None,
            "project": {"id": 1, "name": "Test"},
            "end_time": "2020-01-12T13:01:00+00:00",
            "duration": 60,
            "exit_transfer_destination": "5050",
            "id": 2,
            "did_number": None,
        },
        {
            "exit_reason": "hangup",
            "system_hangup_reason": "hangup_task",
            "uuid": "1",
            "call_flow": {"id": 1, "name": "Test"},
            "start_time": "2020-01-12T11:59:00+00:00",
            "caller": "600",
            "who_hangup": "system",
            "project": {"id": 1, "name": "Test"},
            "end_time": "2020-01-12T11:59:59+00:00",
            "duration": 59,
            "exit_transfer_destination": None,
            "id": 1,
            "did_number": None,
        },
    ],
}
PRINTED_CDR = {
    "destination_number": "5050",
    "enter_time_epoch": 1580327987,
    "call_flow_version": None,
    "exit_reason": "hangup",
    "call_flow_name": "teste",
    "executed_tasks": [
        {
            "end_time_epoch": 1580327988,
            "task_id": "bff2195a-493a-402c-8bc8-4d125eb58aee",
            "task_raw_params": {},
            "task_description": "Iniciar",
            "task_name": "start",
            "start_time_epoch": 1580327988,
        },
        {
            "end_time_epoch": 1580327988,
            "task_id": "1184e6e2-d480-4b08-84e1-c01d29b5919a",
            "task_raw_params": {
                "data_type": "formdata",
                "url": "https://api.randomuser.me/",
                "verify": True,
                "auth": None,
                "headers": {},
                "params": {},
                "timeout": 30,
                "variable_name": "res",
                "data": {},
                "method": "GET",
            },
            "task_description": "HTTP",
            "task_name": "http",
            "start_time_epoch": 1580327988,
        },
        {
            "end_time_epoch": 1580327988,
            "task_id": "ad9d49c3-d6cc-4416-8099-7779e54b0c8f",
            "task_raw_params": {"cause": "NORMAL_CLEARING"},
            "task_description": "Desligar",
            "task_name": "hangup",
            "start_time_epoch": 1580327988,
        },
    ],
    "hostname": "example.evolux.net.br",
    "who_hangup": "system",
    "system_hangup_reason": "hangup_task",
    "source": "studio",
    "call_flow_id": "1",
    "session_uuid": "abcd05f6-42d1-11ea-9c86-2dfde66a88cb",
    "caller_id_number": "601",
    "project_id": "1",
    "incoming_did": None,
    "project_name": "teste",
    "caller_id_name": "601 - OP",
    "exit_time_epoch": 1580327988,
    "studio_version": "1.0.5",
    "tenant_domain": None,
    "call_uuid": "761a05f6-42d1-11ea-9c86-2dfde66a88cb",
    "exit_transfer_destination": None,
}
WHOLE = "start_date=2026-01-01T00:00:00%2B00:00&end_date=2026-01-31T00:00:00%2B00:00"


def test_the_printed_day_comes_back_as_printed(ask: Ask) -> None:
    """On the page's day, the page's request without dates answers the page's example, pagination included."""
    assert ask("evolux", f"{CALLS}?page=1&limit=2").value() == PRINTED


def test_the_printed_detail_comes_back_as_printed(ask: Ask) -> None:
    """The detail of call 1 is the page's; a call that is not there is the page's 404."""
    ok = {"status": 200, "message": "OK"}
    assert ask("evolux", f"{CALLS}/1/cdr").value() == {"meta": ok, "data": PRINTED_CDR}
    missing = ask("evolux", f"{CALLS}/999999/cdr")
    assert (missing.status, missing.value()) == (404, {"meta": {"status": 404, "message": "Not found"}})


def test_without_dates_only_today_is_listed(ask: Ask, clock: Any) -> None:
    """Today is the clock's day in UTC."""
    clock.now = clock.now.replace(day=13)
    assert ask("evolux", CALLS).value()["data"] == []


def test_pages_hold_50_at_most_and_end_without_next_url(ask: Ask, sandbox: Sandbox) -> None:
    """Limit is cut to 50, URLs drop it, the last page has no next_url, and pages behind it are empty."""
    first = ask("evolux", f"{CALLS}?{WHOLE}&limit=500").value()
    assert (first["pagination"]["limit"], first["pagination"]["items"], first["pagination"]["total"]) == (50, 50, 60)
    assert first["pagination"]["next_url"].endswith("&page=2")
    assert "limit" not in first["pagination"]["next_url"]
    second = ask("evolux", f"{CALLS}?{WHOLE}&page=2").value()
    assert (second["pagination"]["next_url"], len(second["data"])) == (None, 10)
    assert second["pagination"]["prev_url"].endswith("&page=1")
    assert ask("evolux", f"{CALLS}?{WHOLE}&page=3").value()["data"] == []
    held = [row for row in sandbox.truth("evolux", "studio_calls") if row["start_time"] > "2026"]
    assert [*first["data"], *second["data"]] == held[::-1]


def test_dates_are_inclusive_instants(ask: Ask) -> None:
    """A call at exactly start_date or end_date is in; offsets are understood; a date alone is its whole day."""
    for start, end in (("11:59:00%2B00:00", "13:00:00Z"), ("08:59:00-03:00", "10:00:00-03:00")):
        page = ask("evolux", f"{CALLS}?start_date=2020-01-12T{start}&end_date=2020-01-12T{end}").value()
        assert [call["id"] for call in page["data"]] == [2, 1]
    page = ask("evolux", f"{CALLS}?start_date=2020-01-12T11:59:01Z&end_date=2020-01-12T12:59:59Z").value()
    assert page["data"] == []
    page = ask("evolux", f"{CALLS}?start_date=2020-01-12&end_date=2020-01-12").value()
    assert page["pagination"]["first_url"] == _DAY
    assert [call["id"] for call in page["data"]] == [2, 1]
    assert ask("evolux", f"{CALLS}?start_date=soon").status == 400


def test_every_call_has_its_detail(ask: Ask, sandbox: Sandbox) -> None:
    """Each listed call's detail fits it, its ids are texts, and call_id in the truth says whose it is."""
    details = {row.pop("call_id"): row for row in sandbox.truth("evolux", "studio_cdr")}
    calls = sandbox.truth("evolux", "studio_calls")
    assert sorted(details) == sorted(call["id"] for call in calls)
    for call in calls[2:]:
        answer = ask("evolux", f"{CALLS}/{call['id']}/cdr").value()["data"]
        assert answer == details[call["id"]]
        assert set(answer) == set(PRINTED_CDR)
        assert (answer["call_uuid"], answer["call_flow_id"]) == (call["uuid"], str(call["call_flow"]["id"]))
        assert answer["exit_time_epoch"] - answer["enter_time_epoch"] == call["duration"]


def test_details_can_be_late_and_go_by_uuid(ask: Ask, sandbox: Sandbox) -> None:
    """A pending detail is a 404 as often as told; with the uuid knob the id finds nothing."""
    sandbox.knobs("evolux", cdr_pending={"2": 2, "3": None})
    assert [ask("evolux", f"{CALLS}/2/cdr").status for _ in range(3)] == [404, 404, 200]
    assert [ask("evolux", f"{CALLS}/3/cdr").status for _ in range(3)] == [404, 404, 404]
    sandbox.knobs("evolux", cdr_key="uuid", cdr_pending={})
    call = sandbox.truth("evolux", "studio_calls")[5]
    assert ask("evolux", f"{CALLS}/{call['uuid']}/cdr").value()["data"]["call_uuid"] == call["uuid"]
    assert ask("evolux", f"{CALLS}/{call['id']}/cdr").status == 404


def test_a_wrong_token_is_401_in_the_envelope(ask: Ask) -> None:
    """Errors are `meta` alone."""
    answer = ask("evolux", CALLS, sign=False)
    assert (answer.status, answer.value()) == (401, {"meta": {"status": 401, "message": "Unauthorized"}})


def test_added_calls_are_listed_with_every_field(ask: Ask, sandbox: Sandbox) -> None:
    """A call that a test adds with an id and a time has all fields of the list, and a detail."""
    sandbox.upsert("evolux", "studio_calls", [{"id": 9001, "start_time": "2020-01-12T15:00:00+00:00", "duration": 7}])
    (call, *_) = ask("evolux", CALLS).value()["data"]
    assert set(call) == set(PRINTED["data"][0])
    assert ask("evolux", f"{CALLS}/9001/cdr").value()["data"]["call_uuid"] == call["uuid"] == "9001"
    sandbox.upsert("evolux", "studio_cdr", [{"call_id": 9001, "hostname": "other"}])
    assert ask("evolux", f"{CALLS}/9001/cdr").value()["data"]["hostname"] == "other"
