"""What becomes of a record, whatever the vendor answers; which STATE goes out; what a run tells."""

from __future__ import annotations

import io
import json
import socket
import sqlite3
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.targets.switchtransact_kit import (
    COMMAND,
    KEY,
    ReadContext,
    call,
    contact,
    counts,
    phone,
    record,
    schema,
    state,
)

from trunkline.errors import ConfigInvalid
from trunkline_sandbox.vendors.switchtransact import NO_READ_KEY
from trunkline_switchtransact import TargetSwitchTransact
from trunkline_switchtransact.errors import LedgerError
from trunkline_switchtransact.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

KEYED = [schema("contacts", "id"), schema("call_logs", "id")]
HINT = "it needs the permission Read on General"


@pytest.fixture
def desk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> ReadContext:
    return ReadContext(tmp_path, caplog)


def contacts(*numbers: int, **more: Any) -> list[str]:
    return [record("contacts", **contact(number, **more)) for number in numbers]


def calls(*numbers: int, **more: Any) -> list[str]:
    return [record("call_logs", **call(number, **more)) for number in numbers]


# -- written once ------------------------------------------------------------------------------------------------------


def test_each_record_is_written_once_and_in_the_vendors_form(desk: ReadContext) -> None:
    """Contacts are created and calls logged; the same input again writes nothing; the state comes out both times."""
    lines = [*KEYED, *contacts(1, 2), *calls(1, 2, Duration=90), state({"at": 1})]
    first, second = desk.run(lines), desk.run(lines)
    assert (first.code, first.counts) == (0, {"written": 4, "already written": 0, "rejected": 0, "in doubt": 0})
    assert (second.code, second.counts) == (0, {"written": 0, "already written": 4, "rejected": 0, "in doubt": 0})
    assert first.states == second.states == [{"at": 1}]
    assert sorted(desk.written("contacts"), key=str) == [
        {"firstname": f"First{number}", "lastname": f"Last{number}", "phone": phone(number)} for number in (1, 2)
    ]
    assert desk.written("call_logs")[0].keys() == {"CallType", "Number", "Name", "Duration", "DateTime"}
    assert {row["DateTime"] for row in desk.written("call_logs")} == {"31-01-26 08:00:00"}
    assert {row["Duration"] for row in desk.written("call_logs")} == {"00:01:30"}


def test_without_a_key_equal_records_are_told_by_their_order(desk: ReadContext) -> None:
    """Two equal records are two; the same input again, or a part of it, writes neither; a third equal one is new."""
    same = record("call_logs", CallType="Missed", Number="1", _sdc_extracted_at="then")
    later = same.replace("then", "now")
    assert desk.run([schema("call_logs"), same, same]).counts["written"] == 2
    assert desk.run([schema("call_logs"), later]).counts["already written"] == 1
    assert desk.run([schema("call_logs"), later, later, later]).counts["written"] == 1
    assert len(desk.written("call_logs")) == 3


def test_a_key_that_comes_twice_is_written_once_and_a_change_is_told(desk: ReadContext) -> None:
    """Also while the first is on its way, and with another number; that its values differ is said."""
    ran = desk.run([*KEYED, *contacts(1), *contacts(1, phone="+48999999999"), state(1)])
    assert (ran.counts["written"], ran.counts["already written"]) == (1, 1)
    assert "1 records came again with other values" in ran.told
    assert ran.states == [1]


def test_another_time_zone_does_not_make_records_new(desk: ReadContext) -> None:
    """A record is known by what came in, not by what goes out."""
    lines = [schema("call_logs"), record("call_logs", CallType="Missed", Number="1", DateTime="2026-01-31T23:30:00Z")]
    desk.run(lines, timezone="Europe/Warsaw")
    assert desk.written("call_logs")[0]["DateTime"] == "01-02-26 00:30:00"
    assert desk.run(lines, timezone="UTC").counts["already written"] == 1


def test_the_records_of_one_number_keep_their_order(desk: ReadContext) -> None:
    """The contact before its calls, its calls as they came, whatever the concurrency."""
    lines = [*KEYED]
    for number in range(5):
        lines += contacts(number)
        lines += [record("call_logs", **call(number, id=f"{number}-{turn}", Name=str(turn))) for turn in range(10)]
    assert desk.run(lines, concurrency=16).counts["written"] == 55
    for number in range(5):
        asked = [json.loads(entry.body) for entry in desk.sandbox.requests if phone(number) in entry.body]
        assert [row.get("Name", "new") for row in asked] == ["new", *map(str, range(10))]


def test_g6_the_first_request_is_answered_before_a_second_is_sent(desk: ReadContext) -> None:
    """A wrong key knocks once."""
    ran = desk.run([*KEYED, *contacts(*range(20))], api_key="wrong", concurrency=8)
    assert (ran.code, len(desk.requests)) == (1, 1)
    assert "Check api_key" in ran.told


# -- what the vendor says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 401, 403, 422, 500])
def test_g6_a_missing_permission_stops_at_once_with_the_reason_and_the_hint(desk: ReadContext, status: int) -> None:
    """Whatever its HTTP status; nothing is in doubt, no state goes out, and nothing is noted as written."""
    desk.sandbox.knobs("switchtransact", not_permitted_status=status)
    ran = desk.run([*KEYED, *contacts(*range(9)), state(1)], api_key=NO_READ_KEY)
    assert (ran.code, ran.states, len(desk.requests)) == (1, [], 1)
    assert "Not authorized to make this API call. Requesting Read on General" in ran.told
    assert HINT in ran.told
    assert {name for name, number in ran.counts.items() if number} == {"not sent"}
    assert desk.run([*KEYED, *contacts(*range(9))]).counts["written"] == 9


@pytest.mark.parametrize(("status", "path"), [(200, "create"), (403, "create"), (200, "record")])
def test_g7_a_refused_key_is_told_without_the_record(desk: ReadContext, status: int, path: str) -> None:
    """The reason of a "Not authorized" may repeat the contact that was sent or looked up: it is shown without."""
    error = f"Not authorized to show First1, LAST1 or %2B{phone(1)[1:]}. Requesting Read on General."
    if path == "record":
        desk.sandbox.fault("reset", "calls/create", times=1)
    body = json.dumps({"status": False, "error": error})
    desk.sandbox.fault("status", f"calls/{path}", status=status, body=body)
    ran = desk.run([*KEYED, *contacts(1)])
    assert (ran.code, HINT in ran.told, "Not authorized" in ran.told) == (1, True, True)
    assert not [value for value in ("First1", "LAST1", phone(1)[1:]) if value in ran.told]


@pytest.mark.parametrize("status", [200, 400, 422])
def test_another_error_rejects_its_record_alone(desk: ReadContext, status: int) -> None:
    """It is told with the vendor's reason, the others are written, the state goes out; later it may be tried again."""
    body = json.dumps({"status": False, "error": f"{phone(2)} is on the list of Last2."})
    desk.sandbox.fault("status", phone(2)[1:], status=status, body=body, times=1)
    lines = [*KEYED, *contacts(1, 2, 3), state(1)]
    ran = desk.run(lines)
    assert (ran.code, ran.states) == (1, [1])
    assert (ran.counts["written"], ran.counts["rejected"]) == (2, 1)
    assert (
        "contacts, record 2 (line 4): rejected: the vendor's message is: (personal) is on the list of (personal)"
        in ran.told
    )
    assert desk.run(lines).counts["written"] == 1


@pytest.mark.parametrize("status", [425, 429])
def test_a_429_is_waited_for_and_sent_again(desk: ReadContext, status: int) -> None:
    """The vendor did not act on it, so it is no doubt."""
    desk.sandbox.fault("status", "calls/log", status=status, headers={"Retry-After": "0"}, times=3)
    ran = desk.run([*KEYED, *calls(1, 2)])
    assert (ran.code, ran.counts["written"], len(desk.written("call_logs"))) == (0, 2, 2)


def test_where_nobody_listens_nothing_is_in_doubt(desk: ReadContext) -> None:
    """A refused connection is tried again; in the end the record is not sent, and the next run sends it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    config = {"api_url": url, "api_key": KEY, "ledger": str(desk.folder / "l"), "max_attempts": 1}
    with desk.caplog.at_level("INFO"):
        code = TargetSwitchTransact(config=config).run(io.StringIO("\n".join([*KEYED, *calls(1), state(1)])))
    assert code == 1
    assert counts(desk.caplog.messages[-1]) == {
        "written": 0, "already written": 0, "rejected": 0, "in doubt": 0, "not sent": 1,
    }  # fmt: skip
    assert "the connection to 127.0.0.1:" in desk.caplog.text


@pytest.mark.parametrize("status", [404, 405])
def test_a_path_that_is_not_there_stops_the_run(desk: ReadContext, status: int) -> None:
    """It is api_url, not the record: nothing is rejected, nothing in doubt, and no state goes out."""
    desk.sandbox.fault("status", status=status, body="<html>no such page</html>")
    ran = desk.run([*KEYED, *calls(1, 2), state(1)])
    assert (ran.code, ran.states, ran.counts["not sent"], ran.counts["in doubt"]) == (1, [], 2, 0)
    assert "Check api_url" in ran.told


LOST = [
    {"kind": "reset", "handled": True},
    {"kind": "reset"},
    {"kind": "stall", "seconds": 99},
    {"kind": "cut"},
    {"kind": "status", "status": 500, "handled": True},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500, "body": '{"status": false, "error": "Server error."}'},
    {"kind": "status", "status": 408},
    {"kind": "status", "status": 200, "body": '{"status": false}'},
    {"kind": "html200", "handled": True},
    {"kind": "empty200"},
    {"kind": "broken_json"},
    {"kind": "other_envelope"},
    {"kind": "redirect"},
    {"kind": "status", "status": 204},
    {"kind": "status", "status": 499},
    {"kind": "status", "status": 504, "handled": True},
    {"kind": "status", "status": 408, "body": '{"status": false, "error": "Timeout."}'},
]
"""Answers that leave open whether a call was written."""


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(map(str, fault.values())))
def test_g2_what_may_be_written_is_in_doubt_and_stops_the_run(desk: ReadContext, fault: dict[str, Any]) -> None:
    """It is sent once, no state goes out after it, and the next run stops before it reads, until somebody decides."""
    desk.sandbox.fault(match="calls/log.*Call2", times=1, **fault)
    lines = [*KEYED, *calls(1), state(1), *calls(2), state(2), *calls(3), state(3)]
    ran = desk.run(lines, concurrency=1)
    assert (ran.code, ran.counts["in doubt"], ran.counts["written"]) == (1, 1, 1)
    assert ran.states == [1]
    assert "call_logs, record 2 (line 5) [" in ran.told
    assert "run once with in_doubt set to skip" in ran.told
    again = desk.run(lines)
    assert (again.code, again.counts["in doubt"], again.states) == (1, 1, [])
    assert [entry.body.count("Call2") for entry in desk.sandbox.requests].count(1) == 1


@pytest.mark.parametrize("handled", [True, False])
def test_in_doubt_skip_goes_on_without_it(desk: ReadContext, handled: bool) -> None:  # noqa: FBT001 - both cases
    """It is never sent again, counts as in doubt wherever it comes, and does not hold the state up."""
    desk.sandbox.fault("reset", "calls/log.*Call2", handled=handled, times=1)
    lines = [*KEYED, *calls(1, 2, 3), state(1)]
    assert desk.run(lines, concurrency=1).counts["in doubt"] == 1
    for _ in range(2):
        ran = desk.run(lines, in_doubt="skip")
        assert (ran.code, ran.states, ran.counts["in doubt"]) == (1, [1], 1)
    assert [row["Name"] for row in desk.written("call_logs")] == ["Call1", *["Call2"] * handled, "Call3"]
    assert desk.run([*KEYED, *calls(3)]).code == 0


def test_in_doubt_resend_sends_it_again(desk: ReadContext) -> None:
    """What an earlier run left, and what is lost in this one; with luck it is there once, else twice."""
    desk.sandbox.fault("reset", "calls/log.*Call1", times=1)
    lines = [*KEYED, *calls(1, 2), state(1)]
    assert desk.run(lines).counts["in doubt"] == 1
    desk.sandbox.fault("reset", "calls/log.*Call2", handled=True, times=1)
    ran = desk.run(lines, in_doubt="resend", concurrency=1)
    assert (ran.code, ran.states, ran.counts["written"]) == (0, [1], 2)
    assert sorted(row["Name"] for row in desk.written("call_logs")) == ["Call1", "Call2", "Call2"]


def test_skip_does_not_skip_everything_when_the_vendor_is_down(desk: ReadContext) -> None:
    """After five in a row the run ends; what was not sent is not in doubt."""
    desk.sandbox.fault("status", status=503)
    ran = desk.run([*KEYED, *calls(*range(30)), state(1)], in_doubt="skip", concurrency=1)
    assert (ran.code, ran.states, ran.counts["in doubt"]) == (1, [], 5)
    assert ran.counts["not sent"] > 0
    assert len(desk.requests) == 5


def test_a_contact_in_doubt_is_looked_up_by_its_phone(desk: ReadContext) -> None:
    """Found with its names it is written, and nothing is left in doubt."""
    leave_in_doubt(desk, handled=True)
    ran = desk.run([*KEYED, *contacts(1), state(1)])
    assert (ran.code, ran.states, ran.counts) == (
        0,
        [1],
        {"written": 1, "already written": 0, "rejected": 0, "in doubt": 0},
    )
    assert len(desk.written("contacts")) == 1
    assert desk.requests.count("create") == 1
    assert desk.left_in_doubt() == 0


@pytest.mark.parametrize(("policy", "sent", "states"), [("stop", 1, []), ("skip", 1, [1]), ("resend", 2, [1])])
def test_g2_not_found_is_no_proof_that_it_was_not_written(
    desk: ReadContext, policy: str, sent: int, states: list[Any]
) -> None:
    """A contact that no look-up finds stays in doubt, however long ago it was sent: `in_doubt` decides."""
    leave_in_doubt(desk, handled=False)
    ran = desk.run([*KEYED, *contacts(1), state(1)], in_doubt=policy)
    assert (ran.states, desk.requests.count("create")) == (states, sent)
    assert ran.counts["in doubt"] == (0 if policy == "resend" else 1)
    assert ran.code == (0 if policy == "resend" else 1)


def leave_in_doubt(desk: ReadContext, **more: Any) -> None:
    """Let a run end while a contact's answer is lost and can't be looked up, and half an hour pass."""
    desk.sandbox.fault("reset", "calls/create", handled=more.pop("handled", False), times=1)
    desk.sandbox.fault("status", "calls/record", status=400)
    assert desk.run([*KEYED, *contacts(1, **more)]).counts["in doubt"] == 1
    desk.sandbox.faults.clear()
    desk.now += 1800


def test_a_lost_answer_to_a_contact_is_looked_up_in_the_same_run(desk: ReadContext) -> None:
    """The run goes on as if the answer had come."""
    desk.sandbox.fault("reset", "calls/create", handled=True, times=1)
    ran = desk.run([*KEYED, *contacts(1, 2), state(1)])
    assert (ran.code, ran.states, ran.counts["written"]) == (0, [1], 2)
    assert desk.requests.count("record") == 1


LATE = [{"kind": "reset"}, {"kind": "status", "status": 504}, {"kind": "stall", "seconds": 99}, {"kind": "cut"}]
"""Ends of an exchange after which the vendor may still write."""


@pytest.mark.parametrize("fault", LATE, ids=lambda fault: str(fault.get("status", fault["kind"])))
def test_g2_a_contact_that_appears_late_is_written_once(desk: ReadContext, fault: dict[str, Any]) -> None:
    """The vendor shows it only at the third look-up: it is found, and never sent a second time."""
    desk.sandbox.fault(match="calls/create", times=1, **{"handled": True, **fault})
    desk.sandbox.fault("status", "calls/record", status=200, body='{"status": false}', times=2)
    ran = desk.run([*KEYED, *contacts(1), state(1)], request_timeout=0.05)
    assert (ran.code, ran.states, ran.counts["written"]) == (0, [1], 1)
    assert desk.requests == ["create", "record", "record", "record"]
    assert len(desk.written("contacts")) == 1


@pytest.mark.parametrize("fault", LATE, ids=lambda fault: str(fault.get("status", fault["kind"])))
def test_g2_a_contact_that_no_look_up_finds_is_not_sent_again(desk: ReadContext, fault: dict[str, Any]) -> None:
    """The vendor commits after all look-ups: under `stop` the record is in doubt, and later runs send nothing."""
    desk.sandbox.fault(match="calls/create", times=1, **{"handled": True, **fault})
    desk.sandbox.fault("status", "calls/record", status=200, body='{"status": false}')
    for _ in range(2):
        ran = desk.run([*KEYED, *contacts(1, 2, 3), state(1)], request_timeout=0.05, concurrency=1)
        assert (ran.code, ran.states, ran.counts["in doubt"]) == (1, [], 1)
        desk.now += 1800
    assert desk.requests.count("create") == 1
    desk.sandbox.faults.clear()
    assert desk.run([*KEYED, *contacts(1, 2, 3), state(1)]).counts["written"] == 3
    assert len(desk.written("contacts")) == 3


def test_a_look_up_that_fails_is_tried_again(desk: ReadContext) -> None:
    """A vendor that answers look-ups with 503 for a while says nothing; the next look-up finds the contact."""
    desk.sandbox.fault("reset", "calls/create", handled=True, times=1)
    desk.sandbox.fault("status", "calls/record", status=503, times=1)
    ran = desk.run([*KEYED, *contacts(1), state(1)], request_timeout=0.05, max_attempts=1)
    assert (ran.code, ran.counts["written"], desk.requests.count("create")) == (0, 1, 1)


def test_g2_a_rejection_says_nothing_about_an_earlier_try(desk: ReadContext) -> None:
    """What may have been written and is refused when it is sent again stays in doubt: there is no third time."""
    desk.sandbox.fault("reset", "calls/log.*Call1", handled=True, times=1)
    lines = [*KEYED, *calls(1), state(1)]
    assert desk.run(lines).counts["in doubt"] == 1
    desk.sandbox.fault("status", "calls/log", status=422, body='{"status": false, "error": "It is there."}', times=1)
    ran = desk.run(lines, in_doubt="resend")
    assert (ran.code, ran.counts["rejected"]) == (1, 0)
    assert "sent again, the vendor's message is: It is there" in ran.told
    assert desk.run(lines).counts["in doubt"] == 1
    assert len(desk.requests) == 2


@pytest.mark.parametrize(
    "found",
    [
        {"firstname": "Somebody", "lastname": "Else", "mobilephone": phone(1)},
        {"firstname": "First1", "mobilephone": phone(1)},
    ],
)
def test_a_contact_with_that_phone_and_other_names_proves_nothing(desk: ReadContext, found: dict[str, Any]) -> None:
    """It may hide ours: the record stays in doubt."""
    leave_in_doubt(desk)
    desk.sandbox.upsert("switchtransact", "contacts", [{"id": "another", **found}])
    ran = desk.run([*KEYED, *contacts(1), state(1)])
    assert (ran.code, ran.states, ran.counts["in doubt"], ran.counts["written"]) == (1, [], 1, 0)
    assert desk.written("contacts") == []


def test_a_twin_that_was_written_proves_nothing(desk: ReadContext) -> None:
    """Two records that say the same: what is found may be the first, so the second stays in doubt."""
    assert desk.run([*KEYED, record("contacts", **contact(1, id="twin"))]).code == 0
    leave_in_doubt(desk)
    assert desk.run([*KEYED]).counts["in doubt"] == 1


def test_a_national_number_is_not_looked_up(desk: ReadContext) -> None:
    """It may be found under another form, or not at all."""
    desk.sandbox.fault("reset", "calls/create", times=1)
    ran = desk.run([*KEYED, *contacts(1, phone="0721234567")])
    assert (ran.counts["in doubt"], desk.requests) == (1, ["create"])


# -- before a request --------------------------------------------------------------------------------------------------


def test_g7_a_record_that_is_wrong_is_rejected_before_any_request(desk: ReadContext) -> None:
    """Stream, position and field are named, the value is not; the others are written and the state goes out."""
    bad = record("call_logs", **call(7, CallType="Sideways", Duration="Ada Lovelace", Extra="secret-thing"))
    ran = desk.run([*KEYED, *calls(1), bad, state(1)])
    assert (ran.code, ran.states) == (1, [1])
    assert (ran.counts["written"], ran.counts["rejected"], len(desk.requests)) == (1, 1, 1)
    told = next(line for line in ran.told.splitlines() if "rejected, nothing was sent" in line)
    assert told.startswith("call_logs, record 2 (line 4): rejected, nothing was sent: CallType must be Inbound")
    assert "Duration must be a duration" in told
    assert "'Extra' is no field of the vendor's" in told
    assert not [value for value in ("Sideways", "Ada", "secret-thing", "Call7", phone(7)) if value in ran.told]


def test_a_map_that_makes_every_record_wrong_does_not_lose_them(desk: ReadContext) -> None:
    """While every record was rejected no state goes out; with the first good one it does."""
    ran = desk.run([*KEYED, *calls(1, 2, CallType="inbound"), state(1)])
    assert (ran.code, ran.states, ran.counts["rejected"]) == (1, [], 2)
    assert "every record was rejected, so no state was passed on" in ran.told
    assert desk.run([*KEYED, *calls(1, CallType="inbound"), state(1), *calls(2), state(2)]).states == [2]


def test_dry_run_shows_what_would_be_sent_and_does_nothing(desk: ReadContext) -> None:
    """No request, no ledger, no state; personal values only by their form; what is written already is counted."""
    lines = [*KEYED, *contacts(1), *calls(1), state(1)]
    ran = desk.run(lines, dry_run=True)
    assert (ran.code, ran.states, desk.requests, list(desk.folder.iterdir())) == (0, [], [], [])
    assert ran.counts["would be sent"] == 2
    assert 'POST /calls/create {"firstname": "Xxxxx0", "lastname": "Xxxx0", "phone": "+00000000000"}' in ran.told
    assert (
        '"CallType": "Outbound", "Number": "+00000000000", "Name": "Xxxx0", "DateTime": "31-01-26 08:00:00"' in ran.told
    )
    desk.run(lines)
    before = (desk.folder / "ledger.sqlite").read_bytes()
    assert desk.run([*lines, *contacts(2)], dry_run=True).counts == {
        "written": 0, "already written": 2, "rejected": 0, "in doubt": 0, "would be sent": 1,
    }  # fmt: skip
    assert (desk.folder / "ledger.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (record("calls", id=1), "a RECORD of stream 'calls' came before its SCHEMA"),
        (schema("calls"), "stream 'calls' is none that SwitchTransact takes: contacts, call_logs"),
        ("{", "not JSON"),
        ('{"type": "RECORD", "stream": "contacts", "record": 5}', "is no object"),
        ('{"type": "RECORD", "stream": "contacts"}', "is no object"),
        ('{"type": "RECORD", "record": {}}', "a RECORD without a stream"),
        ('{"type": "SCHEMA", "stream": "contacts"}', "has no object `properties`"),
        ('{"type": "BATCH", "stream": "contacts"}', "Remove `batch_config`"),
        ('{"type": "SECRET"}', "unknown message type 'SECRET'"),
        ('{"type": "STATE"}', "a STATE without a value"),
        ('{"type": 5}', "no Singer message"),
    ],
)
def test_a_line_that_is_no_message_stops_after_what_came_before(desk: ReadContext, line: str, said: str) -> None:
    """The line is named; everything before it is written and its state is out; nothing after it is read."""
    ran = desk.run([*KEYED, *contacts(1), state(1), line, *contacts(2)])
    assert (ran.code, ran.states, ran.counts["written"]) == (1, [1], 1)
    assert "the input, line 5: " in ran.told
    assert said in ran.told


def test_other_messages_are_passed_over(desk: ReadContext) -> None:
    """ACTIVATE_VERSION means nothing here, and an empty line is none."""
    ran = desk.run([*KEYED, '{"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}', "", *contacts(1)])
    assert (ran.code, ran.counts["written"]) == (0, 1)


# -- stream maps -------------------------------------------------------------------------------------------------------


def test_stream_maps_are_the_sdks(desk: ReadContext) -> None:
    """A stream is renamed, filtered and reshaped, another is left out, and the key follows the map."""
    maps = {
        "people": {
            "__alias__": "contacts",
            "__filter__": "bool(tel)",
            "__else__": None,
            "uid": "uid",
            "firstname": "name.split(' ')[0]",
            "lastname": "name.split(' ')[1]",
            "phone": "tel",
        },
        "other": None,
    }
    lines = [
        schema("people", "uid", uid={"type": "integer"}, name={"type": "string"}, tel={"type": "string"}),
        schema("other", "id"),
        record("people", uid=1, name="Ada Lovelace", tel="+441", more="x"),
        record("people", uid=2, name="No Phone", tel=None),
        record("other", id=1),
    ]
    for written in (1, 0):
        ran = desk.run(lines, stream_maps=maps)
        assert (ran.code, ran.counts["written"], ran.counts["already written"]) == (0, written, 1 - written)
    assert desk.written("contacts") == [{"firstname": "Ada", "lastname": "Lovelace", "phone": "+441"}]


@pytest.mark.parametrize("expression", ["name.split(' ')[5]", "nothing", "name +"])
def test_a_map_that_can_t_be_applied_stops_the_run(desk: ReadContext, expression: str) -> None:
    """It would reject every record: the stream is named, no value is shown, and no state goes out."""
    maps = {"contacts": {"firstname": expression}}
    ran = desk.run([schema("contacts", "name"), record("contacts", name="Ada Lovelace"), state(1)], stream_maps=maps)
    assert (ran.code, ran.states, desk.requests) == (1, [], [])
    assert "stream_maps" in ran.told
    assert "Lovelace" not in ran.told


# -- the ledger --------------------------------------------------------------------------------------------------------


def test_the_ledger_keeps_a_body_only_while_it_is_in_doubt(desk: ReadContext) -> None:
    """Then nothing personal is left in the file, which is for its owner alone; the key is not in it."""
    desk.sandbox.fault("reset", "calls/log", times=1)
    desk.run([*KEYED, *calls(1)])
    path = desk.folder / "ledger.sqlite"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"Call1" in path.read_bytes()
    desk.run([*KEYED], in_doubt="resend")
    left = b"".join(file.read_bytes() for file in desk.folder.iterdir())
    assert b"Call1" not in left
    assert phone(1).encode() not in left
    assert KEY.encode() not in left


def test_a_ledger_is_of_one_account(desk: ReadContext) -> None:
    """Another address is an error before any request; another key is told: it may be a new one of the same account."""
    desk.run([*KEYED, *contacts(1)])
    with pytest.raises(LedgerError, match=r"it belongs to .* Set ledger to a path of its own"):
        desk.run([*KEYED], api_url="http://127.0.0.1/elsewhere")
    assert "api_key is another one" in desk.run([*KEYED], api_key=NO_READ_KEY).told
    assert "api_key is another one" not in desk.run([*KEYED], api_key=NO_READ_KEY).told


def test_a_file_that_is_no_ledger_is_left_alone(desk: ReadContext) -> None:
    """Another SQLite file, another file, a folder: an error that says what to do."""
    other = desk.folder / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    text = desk.folder / "text"
    text.write_text("not a database, but long enough to be taken for one" * 20, encoding="utf-8")
    for path in (other, text, desk.folder):
        with pytest.raises(LedgerError, match="the ledger"):
            desk.run([*KEYED], ledger=str(path))
    assert sqlite3.connect(other).execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_a_ledger_in_use_is_an_error_that_says_so(desk: ReadContext) -> None:
    """The second process gets no hold of it, not even to read."""
    desk.run([*KEYED])
    held = Ledger(desk.folder / "ledger.sqlite", api_url=desk.target().config["api_url"], api_key=KEY)
    held.open()
    try:
        for dry_run in (True, False):
            with pytest.raises(LedgerError, match="another process has it open"):
                desk.run([*KEYED, *contacts(1)], dry_run=dry_run)
    finally:
        held.close()
    assert desk.requests == []


def test_a_ledger_that_sqlite_refuses_at_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that make one ledger at the same moment: the refused one waits for the other instead of failing."""
    execute, refusals = Ledger._execute, iter(["locked"])  # noqa: SLF001 - what SQLite itself refuses

    def racing(self: Ledger, statement: str, *values: object) -> sqlite3.Cursor:
        if "journal_mode" in statement and next(refusals, None):
            raise sqlite3.OperationalError("database is locked")
        return execute(self, statement, *values)

    monkeypatch.setattr(Ledger, "_execute", racing)
    ledger = Ledger(tmp_path / "ledger.sqlite", api_url="https://example.com", api_key=KEY)
    ledger.open()
    ledger.close()
    assert next(refusals, None) is None


def test_what_can_t_be_noted_is_not_sent(desk: ReadContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that fails before a request ends the run without it; after one, the record is in doubt."""
    real, failing = Ledger.settle, sqlite3.OperationalError("database or disk is full")

    def full(self: Ledger, *_: object) -> None:
        with self._explained("written"):
            raise failing

    monkeypatch.setattr(Ledger, "settle", full)
    ran = desk.run([*KEYED, *calls(1), state(1)])
    assert (ran.code, ran.states, ran.counts["in doubt"]) == (1, [], 1)
    assert "disk is full" in ran.told
    monkeypatch.setattr(Ledger, "settle", real)
    monkeypatch.setattr(Ledger, "intend", full)
    desk.sandbox.requests.clear()
    ran = desk.run([*KEYED, *calls(2), state(1)], in_doubt="skip")
    assert (ran.code, ran.states, ran.counts["not sent"], desk.requests) == (1, [], 1, [])


# -- the command -------------------------------------------------------------------------------------------------------


def test_g9_every_wrong_setting_is_told_at_once() -> None:
    """Each line names a setting and what it must be, never a value."""
    with pytest.raises(ConfigInvalid) as caught:
        TargetSwitchTransact(
            config={
                "api_url": "http://example.com",
                "in_doubt": "maybe",
                "timezone": "Mars/Base",
                "concurrency": 65,
                "ledgr": "x",
                "add_record_metadata": True,
            }
        )
    said = sorted(caught.value.errors)
    names = ["add_record_metadata", "api_key", "api_url", "concurrency", "in_doubt", "ledgr", "timezone"]
    assert [line.split()[0] for line in said] == names
    assert "ledgr is no setting of this target: did you mean ledger?" in said
    assert "TARGET_SWITCHTRANSACT_API_KEY" in said[1]
    assert not [line for line in said if "Mars" in line or "maybe" in line]


def test_settings_come_from_the_environment_and_the_key_is_shown_nowhere(
    desk: ReadContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its type, by the SDK's rule, with `--config ENV`; what fails is a line without the key."""
    secret = "a-key-nobody-may-see"
    for name, value in {"api_key": secret, "api_url": "http://127.0.0.1:9", "max_attempts": "1", "dry_run": "no",
                        "ledger": str(desk.folder / "l"), "in_doubt": "skip"}.items():  # fmt: skip
        monkeypatch.setenv(f"TARGET_SWITCHTRANSACT_{name.upper()}", value)
    done = subprocess.run(
        [COMMAND, "--config", "ENV"], input="\n".join([*KEYED, *calls(1)]), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert counts(done.stderr)["not sent"] == 1
    assert "the connection to 127.0.0.1:" in done.stderr
    assert secret not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_the_counts_are_the_last_line_whatever_the_log_level(
    desk: ReadContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program can rely on it."""
    monkeypatch.setenv("LOGLEVEL", "ERROR")
    config = desk.folder / "config.json"
    config.write_text(json.dumps({"api_key": KEY, "dry_run": True, "ledger": str(desk.folder / "l")}), "utf-8")
    done = subprocess.run(
        [COMMAND, "--config", str(config)],
        input="\n".join([*KEYED, *calls(1)]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert counts(done.stderr)["would be sent"] == 1


def test_the_sdks_listen_works_too(desk: ReadContext) -> None:
    """Programs that use the class as any target of the SDK get the same run."""
    desk.target().listen(io.StringIO("\n".join([*KEYED, *contacts(1), ""])))
    assert len(desk.written("contacts")) == 1
    with pytest.raises(SystemExit):
        desk.target().listen(io.StringIO("nonsense\n"))
