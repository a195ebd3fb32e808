from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Response, Sandbox

    Ask = Callable[..., Response]
    Row = dict[str, Any]

CALLS = "/api/extraction/v1/calls"
# Typed from vendor-docs/000.
PRINTED = [
    {
        "store_id": "Store-external_id-47",
        "store_name": "Store-56",
        "sales_associate_id": "SA_01",
        "sales_associate_name": "FirstName-79 LastName-79",
        "client_id": "EXTERNAL_ID_145",
        "client_name": "FirstName-80 LastName-80",
        "to": None,
        "created_at": "2024-08-07T12:29:23.594Z",
    },
    {
        "store_id": "Store-external_id-47",
        "store_name": "Store-56",
        "sales_associate_id": "SA_01",
        "sales_associate_name": "FirstName-79 LastName-79",
        "client_id": "EXTERNAL_ID_145",
        "client_name": "FirstName-80 LastName-80",
        "to": None,
        "created_at": "2024-08-07T12:29:23.599Z",
    },
]


def _row(created_at: str, **values: Any) -> Row:
    return {**PRINTED[0], "created_at": created_at, **values}


def test_the_printed_calls_come_back_as_printed(ask: Ask) -> None:
    """The page's two calls are a bare array, value for value, and nothing else is in their second."""
    answer = ask("bspk", f"{CALLS}?from=2024-08-07T12:29:23Z&to=2024-08-07T12:29:23Z")
    assert (answer.status, answer.value()) == (200, PRINTED)


def test_a_page_holds_30_by_default_and_100_at_most(ask: Ask, sandbox: Sandbox) -> None:
    """per_page defaults to 30 and is cut to 100; a page past the end is an empty array."""
    sandbox.reset(size=150)
    assert len(ask("bspk", CALLS).value()) == 30
    assert len(ask("bspk", f"{CALLS}?per_page=1000").value()) == 100
    assert len(ask("bspk", f"{CALLS}?per_page=1000&page=2").value()) == 52
    assert ask("bspk", f"{CALLS}?per_page=100&page=3").value() == []
    assert ask("bspk", f"{CALLS}?page=0").status == 400


def test_totals_links_and_limits_are_in_the_headers(ask: Ask) -> None:
    """X-Total-Count counts all pages; Link names another host, in single quotes, and keeps the query."""
    answer = ask("bspk", f"{CALLS}?from=2026-01-01T00:00:00Z&per_page=25")
    assert answer.header("X-Total-Count") == "60"
    base = r"<https://api\.bspk\.com/api/extraction/v1/calls\?from=2026-01-01T00%3A00%3A00Z&per_page=25&page="
    assert re.fullmatch(rf"{base}2>; rel='next', {base}3>; rel='last'", answer.header("Link"))
    assert (answer.header("X-RateLimit-Limit"), answer.header("X-RateLimit-Remaining")) == ("30", "29")
    assert "next" not in ask("bspk", f"{CALLS}?from=2026-01-01T00:00:00Z&per_page=25&page=3").header("Link")


def test_all_pages_together_are_the_truth(ask: Ask, sandbox: Sandbox) -> None:
    """Reading every page gives the held rows in order, without the hidden updated_at."""
    rows = [row for page in range(1, 8) for row in ask("bspk", f"{CALLS}?per_page=10&page={page}").value()]
    assert rows == sandbox.truth("bspk", "calls")
    assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)
    sandbox.knobs("bspk", order="newest")
    assert ask("bspk", f"{CALLS}?per_page=10").value() == rows[::-1][:10]


def test_from_and_to_take_whole_seconds_inclusive(ask: Ask, sandbox: Sandbox) -> None:
    """Both bounds let their own second in, milliseconds included, and no other."""
    times = [
        "2025-05-01T09:59:59.999Z",
        "2025-05-01T10:00:00.000Z",
        "2025-05-01T10:00:05.999Z",
        "2025-05-01T10:00:06.000Z",
    ]
    sandbox.upsert("bspk", "calls", [_row(time) for time in times])
    found = ask("bspk", f"{CALLS}?from=2025-05-01T10:00:00Z&to=2025-05-01T10:00:05Z").value()
    assert [row["created_at"] for row in found] == times[1:3]
    assert ask("bspk", f"{CALLS}?from=yesterday").status == 400


def test_the_filter_can_mean_updated(ask: Ask, sandbox: Sandbox) -> None:
    """With the other documented meaning, an old call that was updated later is found by its update."""
    sandbox.upsert("bspk", "calls", [_row("2025-05-01T10:00:00.000Z", updated_at="2025-06-01T00:00:00.000Z")])
    june = f"{CALLS}?from=2025-06-01T00:00:00Z&to=2025-06-02T00:00:00Z"
    assert ask("bspk", june).value() == []
    sandbox.knobs("bspk", filter_on="updated")
    assert [row["created_at"] for row in ask("bspk", june).value()] == ["2025-05-01T10:00:00.000Z"]
    assert sandbox.truth("bspk", "calls", hidden=True)[2]["updated_at"] == "2025-06-01T00:00:00.000Z"


def test_clients_and_associates_are_lists_that_exclude_each_other(ask: Ask, sandbox: Sandbox) -> None:
    """Comma lists narrow to the named ids; both at once are a 400."""
    wanted = sorted({row["client_id"] for row in sandbox.truth("bspk", "calls")})[:2]
    found = ask("bspk", f"{CALLS}?per_page=100&client_ids={','.join(wanted)}").value()
    assert {row["client_id"] for row in found} == set(wanted)
    assert ask("bspk", f"{CALLS}?sales_associate_ids=SA_01").value() == PRINTED
    assert ask("bspk", f"{CALLS}?sales_associate_ids=SA_01&client_ids=x").status == 400


def test_credentials_missing_401_wrong_403(ask: Ask, sandbox: Sandbox) -> None:
    """The vendor's two ways to say no."""
    from trunkline_sandbox import Request

    assert ask("bspk", CALLS, sign=False).status == 401
    wrong = Request.of("GET", f"/bspk{CALLS}", headers={"Authorization": "Bearer other"})
    assert sandbox.handle(wrong).status == 403


def test_the_limit_counts_any_ten_seconds(ask: Ask, sandbox: Sandbox, clock: Any) -> None:
    """The 31st request within ten seconds is a 429 that names the epoch second from which one is let in again."""
    sandbox.knobs("bspk", enforce_rate_limit=True)
    left = [ask("bspk", f"{CALLS}?per_page=1").header("X-RateLimit-Remaining") for _ in range(30)]
    assert (left[0], left[-1]) == ("29", "0")
    refused = ask("bspk", CALLS)
    assert refused.status == 429
    assert int(refused.header("X-RateLimit-Reset")) == clock.now.timestamp() + 10
    clock.now += timedelta(seconds=9.9)
    assert ask("bspk", CALLS).status == 429
    clock.now += timedelta(seconds=0.1)
    assert ask("bspk", CALLS).status == 200


def test_a_knob_that_is_not_there_is_named(sandbox: Sandbox) -> None:
    """A wrong knob or value is an error that lists the right ones."""
    with pytest.raises(ValueError, match=r"no knob 'ordr': it has filter_on, empty, order"):
        sandbox.knobs("bspk", ordr="newest")
    with pytest.raises(ValueError, match=r"can't be 'random'"):
        sandbox.knobs("bspk", order="random")


LISTS = "/api/extraction/v1/"
# Typed from facts/siblings.md, section 1.
WITH = "store_id store_name sales_associate_id sales_associate_name client_id client_name"
ENTRY = f"{WITH} title body starts_at ends_at is_done is_done_at notes created_at updated_at"
FIELDS = {
    "messages": f"{WITH} body channel template_id template_name slice_id media created_at",
    "emails": f"{WITH} template_id template_name slice_id media created_at",
    "notes": f"{WITH} body media created_at",
    "appointments": ENTRY,
    "reminders": ENTRY,
    "slices": "store_id store_name created_by_sales_associate_id created_by_sales_associate_name title body created_at "
    "updated_at item_ids",
    "sales_associates": "created_at updated_at current_store_id associate_id associate_id_2 sales_associate_name "
    "username email mobile_phone job_title imessage_enabled wechat_enabled wechat_code line_enabled adyen_enabled",
    "clients": "current_sales_associate_id current_sales_associate_name current_store_id current_store_name client_id "
    "name first_name last_name email mobile_phone other_phone birthday gender nationality passport_number language "
    "title address addresses preferred_contact_channel communication_preferences preferences interests "
    "preferred_journey segment referred_by_client_id referred_at consent notify_of_new_collection last_contacted_at "
    "created_at updated_at",
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_siblings_have_the_fields_of_their_pages(ask: Ask, sandbox: Sandbox, name: str) -> None:
    """Each list sends every documented field and no other, in pages with a total, as `calls` does."""
    answer = ask("bspk", f"{LISTS}{name}?per_page=7")
    assert len(answer.value()) == 7
    assert answer.header("X-Total-Count") == str(len(sandbox.truth("bspk", name)))
    assert f"{LISTS}{name}?" in answer.header("Link")
    assert all(row.keys() == set(FIELDS[name].split()) for row in answer.value())


def test_the_lists_are_of_one_world(sandbox: Sandbox) -> None:
    """Whoever stands in a row is in the lists of associates and clients, by the same identifier and name."""
    associates = {row["associate_id"]: row["sales_associate_name"] for row in sandbox.truth("bspk", "sales_associates")}
    clients = {row["client_id"]: row["name"] for row in sandbox.truth("bspk", "clients")}
    for name in ("messages", "emails", "notes", "appointments", "reminders"):
        for row in sandbox.truth("bspk", name):
            assert associates[row["sales_associate_id"]] == row["sales_associate_name"]
            assert clients[row["client_id"]] == row["client_name"]
    made = [row for row in sandbox.truth("bspk", "calls") if row["created_at"] > "2026"]
    assert {row["client_id"] for row in made} <= clients.keys()
    for row in sandbox.truth("bspk", "slices"):
        assert associates[row["created_by_sales_associate_id"]] == row["created_by_sales_associate_name"]


def test_a_page_without_rows_can_be_a_204(ask: Ask, sandbox: Sandbox) -> None:
    """An empty array by default; with the knob no content, which the vendor's list of status codes has."""
    nothing = f"{LISTS}notes?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"
    assert (ask("bspk", nothing).status, ask("bspk", nothing).value()) == (200, [])
    sandbox.knobs("bspk", empty="no_content")
    assert (ask("bspk", nothing).status, ask("bspk", nothing).body) == (204, b"")


def test_lists_without_clients_refuse_their_ids(ask: Ask) -> None:
    """`client_ids` is no parameter of slices and associates; `sales_associate_ids` is one of all lists."""
    for name in ("slices", "sales_associates"):
        assert ask("bspk", f"{LISTS}{name}?client_ids=CLI_1001").status == 400
        assert ask("bspk", f"{LISTS}{name}?sales_associate_ids=SA_11").status == 200
    assert {row["client_id"] for row in ask("bspk", f"{LISTS}clients?client_ids=CLI_1001").value()} == {"CLI_1001"}
