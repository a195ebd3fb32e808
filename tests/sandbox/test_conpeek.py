from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Response, Sandbox

    Ask = Callable[..., Response]
    Row = dict[str, Any]

FIRST, SECOND = "5b7c389fe8df7b60af688989", "5b7c389fe8df7b60af68898a"
PATH = f"/voice_campaign/{FIRST}/request"
STREAM = "voice_campaign_requests"


@pytest.fixture
def read(ask: Ask) -> Callable[..., Any]:
    """Requests of the first campaign that pass a filter."""

    def call(*rules: Row, tail: Any = "") -> Any:
        asked = f"&filter={quote(json.dumps(rules))}" if rules else ""
        return ask("conpeek", f"{PATH}?limit=1000{asked}{tail}").value()["data"]

    return call


@pytest.fixture
def held(sandbox: Sandbox) -> list[Row]:
    return [row for row in sandbox.truth("conpeek", STREAM) if row["voice_campaign_id"] == FIRST]


def _rule(name: str, value: Any, operator: str | None = None, key: str | None = None) -> Row:
    rule = {"property": name, "value": value, "operator": operator, "key": key}
    return {part: content for part, content in rule.items() if content is not None}


def test_a_campaign_answers_its_requests_under_data(ask: Ask, held: list[Row], sandbox: Sandbox) -> None:
    """`{"data": [...]}` by created_date, limit and offset cut it, and both campaigns make up the truth."""
    assert ask("conpeek", PATH).value() == {"data": held}
    assert ask("conpeek", f"{PATH}?limit=7&offset=20").value() == {"data": held[20:27]}
    assert ask("conpeek", f"{PATH}?offset=1000").value() == {"data": []}
    other = ask("conpeek", f"/voice_campaign/{SECOND}/request").value()["data"]
    assert sandbox.truth("conpeek", STREAM) == [*held, *other]
    assert len(held) == len(other) == 30


def test_limits_are_1000_by_default_and_capped_at_10000(ask: Ask, sandbox: Sandbox) -> None:
    """Nothing asked is 1000; the cap can be turned lower."""
    sandbox.reset(size=2400)
    assert len(ask("conpeek", PATH).value()["data"]) == 1000
    assert len(ask("conpeek", f"{PATH}?limit=20000").value()["data"]) == 1200
    sandbox.knobs("conpeek", limit_cap=500)
    assert len(ask("conpeek", f"{PATH}?limit=20000").value()["data"]) == 500


@pytest.mark.parametrize("name", ["created_date", "closed_date"])
def test_dates_are_inclusive_and_anded(read: Callable[..., Any], held: list[Row], name: str) -> None:
    """Gte and lte on one date are a range that holds its own bounds; rows without the date are out."""
    times = sorted(row[name] for row in held if row[name])
    low, high = times[3], times[-4]
    found = read(_rule(name, low, "gte"), _rule(name, high, "lte"))
    assert found == [row for row in held if row[name] and low <= row[name] <= high]
    assert len(found) == len(times) - 6


def test_lists_texts_numbers_and_custom_fields(read: Callable[..., Any], held: list[Row]) -> None:
    """Every other kind of property of the page, ANDed with each other."""
    assert read(_rule("state", ["OPEN", "PROCESSING"])) == [row for row in held if row["state"] != "CLOSED"]
    assert {row["application_state"] for row in read(_rule("application_state", ["NEW"]))} == {"NEW"}
    number = held[4]["contact_number"]
    assert read(_rule("contact_number", number)) == read(_rule("contact_number", [number])) == [held[4]]
    for operator, holds in {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__,
                            "eq": int.__eq__, "ne": int.__ne__}.items():  # fmt: skip
        assert read(_rule("priority", 5, operator)) == [row for row in held if holds(row["priority"], 5)]
    assert [row["id"] for row in read(_rule("custom_fields", "U/3/2026", key="umowa"))] == [held[3]["id"]]
    both = read(_rule("state", ["CLOSED"]), _rule("contact_try", 2, "gte"))
    assert both == [row for row in held if row["state"] == "CLOSED" and row["contact_try"] >= 2]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"property": "state"}',
        '[{"property": "colour", "value": 1}]',
        '[{"property": "state"}]',
        '[{"property": "created_date", "operator": "gt", "value": "2026-01-01 00:00:00"}]',
        '[{"property": "created_date", "value": "2026-01-01 00:00:00"}]',
        '[{"property": "created_date", "operator": "gte", "value": "2026-01-01T00:00:00Z"}]',
        '[{"property": "priority", "operator": "like", "value": 1}]',
        '[{"property": "custom_fields", "value": 1}]',
    ],
)
def test_a_bad_filter_is_a_400(ask: Ask, text: str) -> None:
    """What the page does not document is refused, not ignored."""
    assert ask("conpeek", f"{PATH}?filter={quote(text)}").status == 400


def test_exclude_leaves_fields_out(read: Callable[..., Any], held: list[Row]) -> None:
    """The named arrays are gone; others stay arrays of objects."""
    row = read(tail=f"&exclude={quote(json.dumps(['history', 'dialogs']))}")[0]
    assert set(held[0]) - set(row) == {"history", "dialogs"}
    assert isinstance(row["call_history"], list)
    assert set(held[0]) == set(read()[0])


def test_states_and_dates_fit(held: list[Row]) -> None:
    """Closed requests have a closed_date not before created_date; all three states occur; custom is text or object."""
    assert {row["state"] for row in held} == {"OPEN", "PROCESSING", "CLOSED"}
    for row in held:
        assert (row["closed_date"] is not None) == (row["state"] == "CLOSED")
        assert row["closed_date"] is None or row["closed_date"] >= row["created_date"]
    assert {type(row["custom"]) for row in held} == {str, dict, type(None)}


def test_the_vendor_says_no_with_403_and_404(ask: Ask, sandbox: Sandbox) -> None:
    """A wrong key is 403, an unknown or deleted campaign 404."""
    assert ask("conpeek", PATH, sign=False).status == 403
    assert ask("conpeek", "/voice_campaign/0123/request").status == 404
    sandbox.knobs("conpeek", deleted_campaigns=[FIRST])
    assert ask("conpeek", PATH).status == 404


def test_a_request_changes_where_it_stands(read: Callable[..., Any], sandbox: Sandbox, held: list[Row]) -> None:
    """Closing a request moves it between the answers of the filters at once."""
    request = next(row for row in held if row["state"] == "OPEN")
    assert request in read(_rule("state", ["OPEN"]))
    change = {"id": request["id"], "state": "CLOSED", "closed_date": "2026-03-01 10:00:00"}
    sandbox.upsert("conpeek", STREAM, [change])
    assert read(_rule("closed_date", "2026-03-01 10:00:00", "gte")) == [{**request, **change}]
    assert request["id"] not in {row["id"] for row in read(_rule("state", ["OPEN"]))}
    assert len(read()) == len(held)


# Typed from facts/siblings.md, 4.1.
DIALOG = (
    "dialog_uuid dialog_type business_direction business_end_cause from_display_target to_display_target start_time "
    "hangup_time serve_time talking_time alert_time answer_time ring_time waiting_time first_queue_waiting_time "
    "machine_detected machine_detected_type"
)


def test_the_call_history_has_every_dialog_of_the_requests(ask: Ask, sandbox: Sandbox) -> None:
    """Dialogs with the page's fields, by their end; those that a request names are the same dialogs."""
    rows = ask("conpeek", "/cdr_dialog?limit=1000").value()["data"]
    assert rows == sandbox.truth("conpeek", "cdr_dialogs")
    assert all(row.keys() == set(DIALOG.split()) for row in rows)
    assert [row["hangup_time"] for row in rows] == sorted(row["hangup_time"] for row in rows)
    by_id = {row["dialog_uuid"]: row for row in rows}
    for request in sandbox.truth("conpeek", "voice_campaign_requests"):
        for dialog in request["dialogs"]:
            assert dialog.items() <= by_id[dialog["dialog_uuid"]].items()


def test_dialogs_are_filtered_by_their_times(ask: Ask, sandbox: Sandbox) -> None:
    """Both ends with any of the four operators; anything else is a 400."""
    times = [row["hangup_time"] for row in sandbox.truth("conpeek", "cdr_dialogs")]

    def found(*rules: tuple[str, str, str]) -> list[str]:
        objects = [{"property": name, "operator": how, "value": value} for name, how, value in rules]
        answer = ask("conpeek", f"/cdr_dialog?limit=1000&filter={quote(json.dumps(objects))}")
        assert answer.status == 200
        return [row["hangup_time"] for row in answer.value()["data"]]

    low, high = times[10], times[50]
    assert found(("hangup_time", "gte", low), ("hangup_time", "lte", high)) == [t for t in times if low <= t <= high]
    assert found(("hangup_time", "gt", low), ("hangup_time", "lt", high)) == [t for t in times if low < t < high]
    assert found(("start_time", "gte", high), ("hangup_time", "lt", times[60]))
    unknown = quote('[{"property":"colour","operator":"gte","value":"x"}]')
    assert ask("conpeek", f"/cdr_dialog?filter={unknown}").status == 400
    assert len(ask("conpeek", "/cdr_dialog").value()["data"]) == min(500, len(times))


def test_a_machine_is_a_number_or_a_boolean(ask: Ask, sandbox: Sandbox) -> None:
    """The page calls it a boolean and shows 0 and 1: a knob has either."""
    kinds = {type(row["machine_detected"]) for row in ask("conpeek", "/cdr_dialog").value()["data"]}
    sandbox.knobs("conpeek", machine_detected="boolean")
    others = {type(row["machine_detected"]) for row in ask("conpeek", "/cdr_dialog").value()["data"]}
    assert (kinds, others) == ({int}, {bool})
