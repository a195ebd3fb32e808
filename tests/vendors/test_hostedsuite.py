"""HostedSuite keeps the contract in all its streams, and what is its own: lists without pages, times without a zone."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tap_hostedsuite import TapHostedSuite
from trunkline.run import check
from trunkline_contract import runs, warehouse
from trunkline_contract.runs import UTC
from trunkline_contract.suite import AFTER, BEGIN, PASSING, Contract
from trunkline_sandbox import Fault, Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline_contract.runs import Result

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LISTS = ("clients", "centers", "contacts", "charges", "reservations")
DATED = ("charges", "reservations")
LOGIN = ("UserName", "Password", "LoginMustChangePasswordAtNextLogin")


class TestHostedSuite(Contract):
    """The contract, stream by stream."""

    vendor = "hostedsuite"
    settings: ClassVar = {"first_page": 0}

    def form(self, stream: str, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: warehouse.canonical(value) for name, value in super().form(stream, row).items()}

    def test_g4_faults_that_pass_leave_no_trace_in_the_output(self) -> None:
        """As for every vendor, after a first success: before it, a second no could lock the user out."""
        box = self.box(60)
        box.faults.add(*(dataclasses.replace(fault, after=2) for fault in PASSING))
        troubled = self.run(box, concurrency=8, max_attempts=50)
        assert troubled.code == 0, troubled.log
        assert sum(box.faults.fired().values()) > 2
        assert self._lines(troubled) == self._lines(self.run(self.box(60), concurrency=1))

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        time = "StartTime" if stream == "calls" else "DateLastModified"
        return {"Id": f"{number:024x}", time: text}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        for row in super().expected(box, stream):
            yield {name: value for name, value in row.items() if name not in LOGIN}


def read(box: Sandbox, *streams: str, at: datetime = AFTER, **config: Any) -> Result:
    """Run these streams, selected or not."""
    chosen = (one for one in TapHostedSuite.stream_types if str(one.name) in streams)
    kinds: Any = tuple(type(one.__name__, (one,), {"selected_by_default": True}) for one in chosen)
    tap = type("TapHostedSuite", (TapHostedSuite,), {"stream_types": kinds})
    return runs.run(box, tap, {"max_attempts": 2, **config}, at=at)


def ids(rows: Any) -> set[str]:
    """The keys of rows."""
    return {row["Id"] for row in rows}


def bodies(box: Sandbox) -> list[dict[str, Any]]:
    """What was sent, without the credentials."""
    sent = [json.loads(entry.body) for entry in box.requests.of("hostedsuite")]
    return [{k: v for k, v in one.items() if k not in {"CustomerName", "UserName", "Password"}} for one in sent]


def test_contacts_alone_are_not_selected_by_default() -> None:
    """They are people, so a catalog says that they must be chosen."""
    chosen = {str(stream.name): stream.selected_by_default for stream in TapHostedSuite.stream_types}
    assert [name for name, default in chosen.items() if not default] == ["contacts"]


@pytest.mark.parametrize("pii", ["clear", "hash"])
def test_g7_a_contacts_login_is_never_loaded(pii: str) -> None:
    """User name, password and what belongs to the login are neither columns nor kept beside them, nor told of."""
    box = Sandbox(size=12, vendors=["hostedsuite"])
    result = read(box, "contacts", pii=pii, pii_key="a key of the test")
    assert result.code == 0
    assert len(result.records("contacts")) == 12
    assert all(record["_extra"] is None and not {*LOGIN} & {*record} for record in result.records("contacts"))
    assert not any(name in line for line in result.log for name in LOGIN)


@pytest.mark.parametrize("at", ["both", "names"])
def test_g1_clients_are_found_at_either_path(at: str) -> None:
    """A server that knows no `/clients` has `/clients/names`; the first is tried once a run."""
    box = Sandbox(size=12, vendors=["hostedsuite"])
    box.knobs("hostedsuite", clients_at=at)
    result = read(box, "clients")
    assert result.code == 0, result.log
    assert ids(result.records("clients")) == ids(box.truth("hostedsuite", "clients"))
    assert len(box.requests) == (1 if at == "both" else 2)


def test_g8_without_either_path_the_clients_fail_alone() -> None:
    """A server that has no such route costs its stream, and the others come."""
    box = Sandbox(size=12, vendors=["hostedsuite"])
    box.faults.add(Fault("status", status=404, match="/api/clients"))
    result = runs.run(box, TapHostedSuite, {"window": "P30D"}, at=AFTER)
    assert result.code == 1
    assert {stream for stream in ("calls", *LISTS) if result.records(stream)} == {"calls", *LISTS} - {
        "clients",
        "contacts",
    }
    assert sum("clients" in line and "404" in line for line in result.log) >= 1


@pytest.mark.parametrize("stream", LISTS)
def test_g8_a_list_that_the_user_may_not_read_costs_one_request(stream: str) -> None:
    """A 403 fails its stream alone, with its name, and is not tried again."""
    box = Sandbox(size=12, vendors=["hostedsuite"])
    path = {"reservations": "/api/scheduling/reservations"}.get(stream, f"/api/{stream}")
    box.faults.add(Fault("status", status=403, match=path))
    result = read(box, "calls", *LISTS, window="P30D")
    assert result.code == 1
    assert {name for name in LISTS if not result.records(name)} == {stream}
    assert result.records("calls")
    assert sum(entry.path.endswith(path) for entry in box.requests.of("hostedsuite")) == 1
    assert any(stream in line and "403" in line for line in result.log)


@pytest.mark.parametrize("ends", ["inclusive", "exclusive"])
@pytest.mark.parametrize("form", ["iso", "us", "us24"])
@pytest.mark.parametrize("stream", DATED)
def test_g1_changes_are_found_whatever_the_filter_means_by_its_ends(stream: str, ends: str, form: str) -> None:
    """Rows on the seams of windows, a second before and after them and at the start come, in each form of date."""
    box = Sandbox(size=0, vendors=["hostedsuite"])
    box.knobs("hostedsuite", reservation_ends=ends, filter_dates=form, zone="America/New_York")
    moments = [BEGIN + n * HOUR + side * timedelta(seconds=1) for n in range(6) for side in (-1, 0, 1)][1:]
    rows = [{"Id": str(n), "DateLastModified": moment.isoformat()} for n, moment in enumerate(moments)]
    box.upsert("hostedsuite", stream, rows)
    config = {"start_date": BEGIN.isoformat(), "window": "PT1H", "timezone": "America/New_York"}
    result = read(box, stream, at=BEGIN + 8 * HOUR, filter_date_format=form, **config)
    assert result.code == 0, result.log
    assert ids(result.records(stream)) == ids(rows)


@pytest.mark.parametrize("form", ["iso", "iso_z", "msdate", "us", "us24", "us24_minutes", "us_date"])
@pytest.mark.parametrize("stream", DATED)
def test_g1_times_are_read_in_every_form(stream: str, form: str) -> None:
    """Each form of a time brings each row once; the null date of .NET is none."""
    box = Sandbox(size=40, vendors=["hostedsuite"])
    box.knobs("hostedsuite", start_time=form, zone="America/New_York")
    none = {"DateCreated": "0001-01-01T00:00:00"} if stream == "charges" else {"OriginalDate": "0001-01-01T00:00:00"}
    box.upsert("hostedsuite", stream, [{"Id": "none", "DateLastModified": "2026-01-03T10:00:00Z", **none}])
    result = read(box, stream, timezone="America/New_York", start_date="2025-12-01")
    assert result.code == 0, result.log
    records = result.records(stream)
    assert ids(records) == ids(box.truth("hostedsuite", stream))
    row = next(record for record in records if record["Id"] == "none")
    assert [row[name] for name in none] == [None]
    if form == "us":
        assert row["DateLastModified"] == "2026-01-03T10:00:00+00:00"


def test_what_each_route_is_sent() -> None:
    """The ids that narrow go where a route has them; charges always say which date is meant."""
    box = Sandbox(size=0, vendors=["hostedsuite"])
    config = {"client_id": "c1", "center_id": "z1", "start_date": BEGIN.isoformat(), "window": "P2D"}
    for stream in LISTS:
        assert read(box, stream, at=BEGIN + DAY, **config).code == 0
    assert bodies(box) == [
        {"ClientId": "c1", "CenterId": "z1"},
        {},
        {"ClientId": "c1", "CenterId": "z1"},
        {
            "StartDate": "2021-02-28T23:59:00",
            "EndDate": "2021-03-02T00:00:00",
            "ClientId": "c1",
            "DateSelector": "DateLastModified",
        },
        {
            "LastModifiedAfter": "2021-02-28T23:59:00",
            "LastModifiedBefore": "2021-03-02T00:00:00",
            "ClientId": "c1",
            "CenterId": "z1",
        },
    ]


@pytest.mark.parametrize("names", ["iana", "windows"])
@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("Africa/Johannesburg", ("Africa/Accra", "Greenwich Standard Time")),
        ("Africa/Accra", ()),
        ("UTC", ()),
    ],
)
def test_g2_a_center_in_another_zone_is_told(names: str, setting: str, told: tuple[str, ...]) -> None:
    """Its clocks, and not its name, are compared with the setting; the rows come all the same."""
    box = Sandbox(size=1, vendors=["hostedsuite"])
    box.knobs("hostedsuite", zone_names=names)
    result = read(box, "centers", timezone=setting)
    assert result.code == 0
    assert len(result.records("centers")) == 1
    lines = [line for line in result.log if "TimeZoneId" in line]
    assert len(lines) == bool(told)
    assert not told or told[names == "windows"] in lines[0]


def test_rows_of_the_sandbox_belong_together() -> None:
    """Calls, charges, contacts and reservations name clients and centers that are there."""
    box = Sandbox(size=60, vendors=["hostedsuite"])
    clients, centers = (ids(box.truth("hostedsuite", stream)) for stream in ("clients", "centers"))
    for stream in ("calls", "contacts", *DATED):
        rows = box.truth("hostedsuite", stream)
        assert {row["ClientId"] for row in rows} <= clients, stream
        assert {row["CenterId"] for row in rows if "CenterId" in row} <= centers, stream


def test_a_time_at_the_very_start_is_read() -> None:
    """A booking changed at the moment that start_date names comes, though its filter says "after"."""
    box = Sandbox(size=0, vendors=["hostedsuite"])
    box.knobs("hostedsuite", reservation_ends="exclusive")
    box.upsert("hostedsuite", "reservations", [{"Id": "a", "DateLastModified": "2021-03-01T00:00:00Z"}])
    result = read(box, "reservations", at=datetime(2021, 3, 2, tzinfo=UTC), start_date="2021-03-01")
    assert ids(result.records("reservations")) == {"a"}


def test_g8_a_connection_test_leaves_out_what_is_not_selected() -> None:
    """A user who may not read the contacts, and does not choose them, has a connection that works."""
    box = Sandbox(size=12, vendors=["hostedsuite"])
    box.faults.add(Fault("status", status=403, match="/api/contacts"))
    tap = TapHostedSuite(config=box.config("hostedsuite"), run_start=AFTER, transport=SandboxAdapter(box))
    assert check.test(tap) == 0
    assert not [entry for entry in box.requests.of("hostedsuite") if entry.path.endswith("/contacts")]
