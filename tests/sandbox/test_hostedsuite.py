from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from trunkline_sandbox import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Response, Sandbox

    Ask = Callable[..., Response]

CALLS = "/api/calls"
# The names of the page's table (vendor-docs/002), in its order.
FIELDS = [
    *("Id", "ClientId", "ClientName", "CenterId", "StartTime", "CallerName", "CallerNumber", "TransferToName"),
    *("TransferToNumber", "Notes", "DurationInSeconds", "RingTimeInSeconds", "HoldTimeInSeconds", "HoldCount"),
    *("Interactions", "AnsweredBy", "Server", "TalkTimeInSeconds", "TransferTimeInSeconds", "ScreenPop"),
    *("CompletedFormIds", "Flagged", "FlagNotes", "Type", "WorkTimeInSeconds"),
]


@pytest.fixture
def items(ask: Ask) -> Callable[..., Any]:
    """The items of an answer to a body."""

    def read(**body: Any) -> Any:
        return ask("hostedsuite", CALLS, json=body).value()["Items"]

    return read


def test_the_envelope_is_the_printed_one(ask: Ask, sandbox: Sandbox) -> None:
    """Items, Page, TotalCount and TotalPages; DisableStats drops the totals; past the end is empty."""
    answer = ask("hostedsuite", CALLS, json={"Page": 1, "ItemsPerPage": 25}).value()
    assert [*answer] == ["Items", "Page", "TotalCount", "TotalPages"]
    assert (len(answer["Items"]), answer["Page"], answer["TotalCount"], answer["TotalPages"]) == (25, 1, 60, 3)
    assert [*ask("hostedsuite", CALLS, json={"DisableStats": True}).value()] == ["Items", "Page"]
    assert ask("hostedsuite", CALLS, json={"Page": 3, "ItemsPerPage": 25}).value()["Items"] == []
    assert set(sandbox.truth("hostedsuite", "calls")[0]) == set(FIELDS)


def test_nulls_are_left_out(items: Callable[..., Any], sandbox: Sandbox) -> None:
    """A column without a value is no key in the answer, as ServiceStack writes it."""
    held = sandbox.truth("hostedsuite", "calls")
    for item, row in zip(items(ItemsPerPage=1000), held, strict=True):
        assert set(item) == {name for name, value in row.items() if value is not None}
    assert any(row["Notes"] is None for row in held)


def test_pages_begin_at_0_or_at_1(items: Callable[..., Any], sandbox: Sandbox) -> None:
    """All pages together are the truth for either base; with base 1, page 0 is page 1 or refused."""
    ids = [row["Id"] for row in sandbox.truth("hostedsuite", "calls")]
    assert [item["Id"] for page in range(3) for item in items(Page=page, ItemsPerPage=20)] == ids
    sandbox.knobs("hostedsuite", page_base=1)
    assert [item["Id"] for page in range(1, 4) for item in items(Page=page, ItemsPerPage=20)] == ids
    assert items(Page=0) == items(Page=1)


def test_page_0_can_be_refused(ask: Ask, sandbox: Sandbox) -> None:
    """A server that counts from 1 may refuse page 0 with a ResponseStatus."""
    sandbox.knobs("hostedsuite", page_base=1, page_zero="refuse", items_cap=7)
    refused = ask("hostedsuite", CALLS, json={"Page": 0})
    assert (refused.status, refused.value()["ResponseStatus"]["ErrorCode"]) == (400, "ArgumentOutOfRangeException")
    assert len(ask("hostedsuite", CALLS, json={"Page": 1, "ItemsPerPage": 50}).value()["Items"]) == 7


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-03T00:00:00Z", "2026-01-04T12:30:00Z"),
        ("2026-01-03", "2026-01-04T12:30"),
        ("1/3/2026", "1/4/2026 12:30 PM"),
        ("01/03/2026 00:00", "01/04/2026 12:30:00"),
    ],
)
def test_dates_filter_inclusively_in_iso_and_us_form(
    items: Callable[..., Any], sandbox: Sandbox, start: str, end: str
) -> None:
    """Each way to write the range finds what the store holds in it."""
    held = [row["Id"] for row in sandbox.truth("hostedsuite", "calls")
            if "2026-01-03T00:00:00Z" <= row["StartTime"] <= "2026-01-04T12:30:00Z"]  # fmt: skip
    assert [item["Id"] for item in items(StartDate=start, EndDate=end)] == held
    assert held


@pytest.mark.parametrize(
    ("reads", "start", "read"),
    [
        ("iso", "2026-01-03T00:00", True),
        ("iso", "1/3/2026 00:00", False),
        ("iso", "1/3/2026", False),
        ("us", "1/3/2026 12:00 AM", True),
        ("us", "1/3/2026", True),
        ("us", "1/3/2026 00:00", False),
        ("us", "2026-01-03", False),
        ("us24", "1/3/2026 00:00", True),
        ("us24", "1/3/2026", True),
        ("us24", "1/3/2026 12:00 AM", False),
        ("us24", "2026-01-03", False),
    ],
)
def test_a_server_may_read_one_form_of_date_alone(
    items: Callable[..., Any],
    sandbox: Sandbox,
    reads: str,
    start: str,
    read: bool,  # noqa: FBT001 - a table
) -> None:
    """What is not in the form that the knob names is ignored without an error."""
    sandbox.knobs("hostedsuite", filter_dates=reads)
    held = sandbox.truth("hostedsuite", "calls")
    assert len(items(StartDate=start)) == sum(not read or row["StartTime"] >= "2026-01-03" for row in held)


def test_unreadable_dates_are_ignored(items: Callable[..., Any]) -> None:
    """A filter that can't be read is no error: everything comes back."""
    assert len(items(StartDate="03.01.2026", EndDate="soon")) == 60


@pytest.mark.parametrize(
    ("form", "zone", "written"),
    [
        ("iso", "UTC", "2026-07-01T17:05:09"),
        ("iso", "America/New_York", "2026-07-01T13:05:09"),
        ("iso_z", "America/New_York", "2026-07-01T17:05:09Z"),
        ("msdate", "UTC", "/Date(1782925509000+0000)/"),
        ("us", "UTC", "7/1/2026 5:05:09 PM"),
        ("us", "Asia/Kolkata", "7/1/2026 10:35:09 PM"),
        ("us24", "UTC", "7/1/2026 17:05:09"),
        ("us24_minutes", "America/New_York", "7/1/2026 13:05"),
        ("us_date", "Pacific/Auckland", "7/2/2026"),
    ],
)
def test_start_time_is_written_as_the_knob_says(
    items: Callable[..., Any], sandbox: Sandbox, form: str, zone: str, written: str
) -> None:
    """The same instant in every form, and the filter in the same zone; the truth stays in UTC."""
    sandbox.knobs("hostedsuite", start_time=form, zone=zone)
    sandbox.upsert("hostedsuite", "calls", [{"Id": "x", "StartTime": "2026-07-01T17:05:09Z"}])
    assert items(StartDate="2026-06-01") == [{"Id": "x", "StartTime": written}]
    assert sandbox.truth("hostedsuite", "calls")[-1]["StartTime"] == "2026-07-01T17:05:09Z"


def test_the_other_filters(items: Callable[..., Any], sandbox: Sandbox) -> None:
    """Ids, call type and talk time narrow the list; an unknown call type can't be bound."""
    held = sandbox.truth("hostedsuite", "calls")
    row = held[0]
    assert [item["Id"] for item in items(CallRecordId=row["Id"])] == [row["Id"]]
    for column in ("ClientId", "CenterId"):
        assert [item["Id"] for item in items(**{column: row[column]})] == [
            other["Id"] for other in held if other[column] == row[column]
        ]
    assert {item["Type"] for item in items(CallType="Outgoing")} == {"Outgoing"}
    assert len(items(CallType="Outgoing")) + len(items(CallType="Incoming")) == len(items(CallType=None)) == 60
    talks = sorted(one["TalkTimeInSeconds"] for one in held)
    found = items(MinCallDuration=talks[10], MaxCallDuration=talks[20])
    assert sorted(item["TalkTimeInSeconds"] for item in found) == talks[10:21]


def test_sorting(items: Callable[..., Any], sandbox: Sandbox) -> None:
    """StartTime and other fields sort both ways; unknown fields are ignored."""
    ids = [row["Id"] for row in sandbox.truth("hostedsuite", "calls")]
    assert [item["Id"] for item in items(SortField="StartTime", SortDir="Desc")] == ids[::-1]
    talks = [item["TalkTimeInSeconds"] for item in items(SortField="TalkTimeInSeconds", SortDir="Asc")]
    assert talks == sorted(talks)
    assert [item["Id"] for item in items(SortField="Nonsense")] == ids


def test_wrong_credentials_are_a_500_with_security_exception(sandbox: Sandbox, ask: Ask) -> None:
    """The inferred login error, and that its status can be turned to 401."""
    body = {"CustomerName": "Sandbox Offices", "UserName": "sandbox-user", "Password": "guess"}
    answer = ask("hostedsuite", CALLS, json=body)
    assert (answer.status, answer.value()["ResponseStatus"]["ErrorCode"]) == (500, "SecurityException")
    sandbox.knobs("hostedsuite", denied_status=401)
    assert ask("hostedsuite", CALLS, json=body).status == 401


def test_errors_are_a_response_status(sandbox: Sandbox, ask: Ask) -> None:
    """Bodies that can't be bound, other methods and other paths."""
    unbound = ask("hostedsuite", CALLS, json={"CallType": "Sideways"})
    assert (unbound.status, unbound.value()["ResponseStatus"]["ErrorCode"]) == (400, "SerializationException")
    assert sandbox.handle(Request.of("POST", f"/hostedsuite{CALLS}", body=b"{")).status == 400
    assert sandbox.handle(Request.of("GET", f"/hostedsuite{CALLS}")).status == 405
    assert sandbox.handle(Request.of("POST", "/hostedsuite/api/other", json={})).status == 404


# -- the other lists (siblings.md, 3a) -------------------------------------------------------------

LISTS = {
    "clients": "/api/clients",
    "centers": "/api/centers",
    "contacts": "/api/contacts",
    "charges": "/api/charges",
    "reservations": "/api/scheduling/reservations",
}
SPAN = {"StartDate": "2025-01-01", "EndDate": "2027-01-01"}


@pytest.mark.parametrize("stream", LISTS)
def test_a_list_is_a_bare_array_without_nulls(ask: Ask, sandbox: Sandbox, stream: str) -> None:
    """All rows at once; what has no value is no key."""
    rows = ask("hostedsuite", LISTS[stream], json={**SPAN, "DateSelector": "DateLastModified"}).value()
    held = sandbox.truth("hostedsuite", stream)
    assert [row["Id"] for row in rows] == [row["Id"] for row in held]
    assert [set(row) for row in rows] == [{k for k, value in row.items() if value is not None} for row in held]
    assert ask("hostedsuite", LISTS[stream], method="GET").status == 405


def test_clients_may_be_at_names_alone(ask: Ask, sandbox: Sandbox) -> None:
    """Then `/clients` is unknown; `/clients/names` knows only the center."""
    client = sandbox.truth("hostedsuite", "clients")[0]
    assert [row["Id"] for row in ask("hostedsuite", LISTS["clients"], json={"ClientId": client["Id"]}).value()] == [
        client["Id"]
    ]
    sandbox.knobs("hostedsuite", clients_at="names")
    assert ask("hostedsuite", LISTS["clients"], json={}).status == 404
    named = ask("hostedsuite", "/api/clients/names", json={"ClientId": client["Id"]}).value()
    assert len(named) == len(sandbox.truth("hostedsuite", "clients"))


def test_charges_need_their_dates_and_say_which(ask: Ask, sandbox: Sandbox) -> None:
    """Without dates they are refused; the selector decides which date is compared, ends included."""
    assert ask("hostedsuite", LISTS["charges"], json={}).status == 400
    assert ask("hostedsuite", LISTS["charges"], json={**SPAN, "DateSelector": "Tomorrow"}).status == 400
    row = sandbox.truth("hostedsuite", "charges")[3]
    for name in ("DateOfCharge", "DateCreated", "DateLastModified"):
        asked = {"StartDate": row[name], "EndDate": row[name], "DateSelector": name}
        assert row["Id"] in {one["Id"] for one in ask("hostedsuite", LISTS["charges"], json=asked).value()}


@pytest.mark.parametrize(("ends", "found"), [("inclusive", True), ("exclusive", False)])
def test_reservations_may_leave_out_their_ends(ask: Ask, sandbox: Sandbox, ends: str, found: bool) -> None:  # noqa: FBT001 - a table
    """What was changed at the very moment is let through, or not."""
    sandbox.knobs("hostedsuite", reservation_ends=ends)
    row = sandbox.truth("hostedsuite", "reservations")[3]
    asked = {"LastModifiedAfter": row["DateLastModified"], "LastModifiedBefore": row["DateLastModified"]}
    rows = ask("hostedsuite", LISTS["reservations"], json=asked).value()
    assert (row["Id"] in {one["Id"] for one in rows}) is found


def test_a_centers_zone_has_a_name_of_iana_or_windows(ask: Ask, sandbox: Sandbox) -> None:
    """As the knob says."""
    names = [row["TimeZoneId"] for row in ask("hostedsuite", LISTS["centers"], json={}).value()]
    sandbox.knobs("hostedsuite", zone_names="windows")
    of_windows = [row["TimeZoneId"] for row in ask("hostedsuite", LISTS["centers"], json={}).value()]
    assert names[0] == "Africa/Accra"
    assert of_windows[0] == "Greenwich Standard Time"
