"""A vendor made of routes: each way of paging, lists and details of rows, and what faults and knobs make of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.acme.sandbox import Acme

from trunkline_sandbox import Fault, Request, Sandbox
from trunkline_sandbox.world import World

SIGNED = {"Authorization": "Bearer sandbox-acme-token"}


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The vendor of the tests, with seven users and one call."""
    monkeypatch.setattr("trunkline_sandbox.sandbox.registry", lambda: {"acme": Acme})
    box = Sandbox(size=0, vendors=["acme"])
    box.upsert("acme", "users", [{"id": n, "email": f"{n}@acme.example"} for n in range(7)])
    box.upsert("acme", "calls", [{"id": n, "started_at": f"2026-01-0{n}T00:00:00Z"} for n in range(1, 8)])
    box.upsert("acme", "recordings", [{"id": f"R{n}", "call_id": 2} for n in range(3)])
    box.upsert("acme", "devices", [{"id": n, "owner": "3@acme.example"} for n in range(3)])
    return box


def get(box: Sandbox, path: str) -> tuple[int, Any]:
    response = box.handle(Request.of("GET", f"/acme{path}", headers=SIGNED))
    return response.status, response.value()


def ids(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["id"] for row in rows]


def test_offsets_pass_over_rows_and_the_total_counts_all(box: Sandbox) -> None:
    """A full table has no span: parameters that look like one change nothing."""
    status, body = get(box, "/v1/users?skip=5&limit=3&from=2027-01-01")
    assert (status, ids(body["users"]), body["total"], body["path"]) == (200, [5, 6], 7, "/v1/users")


def test_a_chain_of_links_leads_through_a_span(box: Sandbox) -> None:
    """Each page names the next one by an address at the vendor, with the span in it; the last one names none."""
    found, path = [], "/v1/calls?limit=2&from=2026-01-02&to=2026-01-06T00:00:00Z"
    while path:
        _, body = get(box, path)
        found += ids(body["data"]["calls"])
        path = (body["data"]["next_uri"] or "").removeprefix("https://api.acme.example")
    assert found == [2, 3, 4, 5, 6]


def test_a_list_for_each_row_holds_its_rows_alone(box: Sandbox) -> None:
    """The parent's key stands in the path; a column that the vendor keeps to itself is in the truth, and not sent."""
    _, body = get(box, "/v1/calls/2/recordings?limit=2")
    assert body["recordings"] == [{"id": "R0", "call_id": 2}, {"id": "R1", "call_id": 2}]
    assert body["count"] == 3
    assert ids(get(box, f"/v1/calls/2/recordings?limit=2&token={body['next_token']}")[1]["recordings"]) == ["R2"]
    assert get(box, "/v1/calls/3/recordings")[1] == {"count": 0, "next_token": None, "recordings": []}
    _, body = get(box, "/v1/users/3%40acme.example/devices?page=2&limit=2")
    assert body == {"total": 3, "devices": [{"id": 2}]}
    assert box.truth("acme", "devices")[0] == {"id": 0, "owner": "3@acme.example"}


def test_a_detail_is_one_row(box: Sandbox) -> None:
    """A row of the parent has one, or none yet (404)."""
    box.upsert("acme", "ratings", [{"call": 4, "score": 5}])
    assert get(box, "/v1/calls/4/rating") == (200, {"rating": {"score": 5}})
    assert get(box, "/v1/calls/5/rating")[0] == 404


def test_the_whole_response_can_be_the_list(box: Sandbox) -> None:
    """Without a field for the rows the body is an array, of all of them."""
    box.upsert("acme", "tags", [{"id": str(n)} for n in range(150)])
    _, body = get(box, "/v1/tags")
    assert len(body) == 150


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/nothing", 404),
        ("/v1/calls/99/recordings", 404),
        ("/v1/calls/2/recordings?token=x", 400),
        ("/v1/users?skip=-1", 400),
        ("/v1/users?limit=0", 400),
        ("/v1/calls?from=soon", 400),
        ("/v1/users/3@acme.example/devices?page=0", 400),
    ],
)
def test_what_can_not_be_is_refused(box: Sandbox, path: str, status: int) -> None:
    """A strange path, parent, cursor, number or time has the status that a vendor gives it."""
    assert get(box, path)[0] == status


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/users?skip=3&limit=3", "users"),
        ("/v1/users/3@acme.example/devices?page=2&limit=3", "devices"),
        ("/v1/calls/2/recordings?limit=3&token=YWZ0ZXIgMw==", "recordings"),
    ],
)
def test_a_page_can_repeat_whatever_pages(box: Sandbox, path: str, field: str) -> None:
    """The fault sends the page before: of an offset, of a number, and of a cursor."""
    box.fault("repeat_page")
    assert len(get(box, path)[1][field]) == 3
    assert box.faults.fired() == {"repeat_page": 1}


def test_faults_let_be_what_they_are_not_about(box: Sandbox) -> None:
    """No filter is ignored where there is none, no total changed, and no page before the first one sent."""
    box.faults.add(Fault("ignore_filter"), Fault("repeat_page"))
    assert ids(get(box, "/v1/users?limit=9")[1]["users"]) == list(range(7))
    assert get(box, "/v1/tags")[1] == []
    assert box.faults.fired() == {"ignore_filter": 0, "repeat_page": 0}
    box.fault("ignore_filter")
    assert len(get(box, "/v1/calls?from=2027-01-01")[1]["data"]["calls"]) == 7
    box.faults.clear()
    box.fault("wrong_total", by=2)
    assert get(box, "/v1/calls/2/recordings")[1]["count"] == 5
    assert "total" not in get(box, "/v1/calls")[1]["data"]


def test_a_cursor_may_name_its_own_page(box: Sandbox) -> None:
    """With the knob on `same`, the cursor of a page leads to it again, without end."""
    box.knobs("acme", cursor="same")
    _, first = get(box, "/v1/calls/2/recordings?limit=2")
    _, second = get(box, f"/v1/calls/2/recordings?limit=2&token={first['next_token']}")
    assert first == second


def test_the_order_turns_and_pages_can_be_capped(box: Sandbox) -> None:
    """Knobs apply to every list, be it filtered or not."""
    box.knobs("acme", order="newest", page_cap=2, reachable=3)
    assert ids(get(box, "/v1/users?limit=5")[1]["users"]) == [6, 5]
    assert ids(get(box, "/v1/users?limit=5&skip=2")[1]["users"]) == [4]
    assert ids(get(box, "/v1/calls?limit=5")[1]["data"]["calls"]) == [7, 6]


def test_made_rows_belong_to_made_parents() -> None:
    """Every made list and detail hangs on a row that is there; each row has a detail, and lists are uneven."""
    vendor = Acme(World(size=60))
    calls = {row["id"] for row in vendor.rows("calls")}
    assert {row["call"] for row in vendor.rows("ratings")} == calls
    owners = [row["call_id"] for row in vendor.rows("recordings")]
    assert set(owners) < calls
    assert max(map(owners.count, owners)) > 3


def test_a_column_can_be_a_filter_and_the_last_page_has_the_vendors_own_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter named like a column lets through the rows with that value; without it all come."""
    monkeypatch.setattr(Acme, "routes", [replace(route, equals=("direction",), last="") for route in Acme.routes])
    monkeypatch.setattr("trunkline_sandbox.sandbox.registry", lambda: {"acme": Acme})
    box = Sandbox(size=0, vendors=["acme"])
    rows = [{"id": n, "direction": ("inbound", "outbound")[n % 2]} for n in range(4)]
    box.upsert("acme", "calls", [{**row, "started_at": "2026-01-01T00:00:00Z"} for row in rows])
    for asked, found in (("direction=outbound", [1, 3]), ("direction=", [0, 1, 2, 3]), ("", [0, 1, 2, 3])):
        _, body = get(box, f"/v1/calls?{asked}&limit=9")
        assert ids(body["data"]["calls"]) == found, asked
        assert body["data"]["next_uri"] == ""
