"""SwitchTransact keeps the contract in all its streams, and what is its own: whole days, and lists under two names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tap_switchtransact import TapSwitchTransact, Transactions
from trunkline.errors import ConfigInvalid
from trunkline_contract import runs, warehouse
from trunkline_contract.suite import AFTER, BEGIN, Contract
from trunkline_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_contract.runs import Result

DAY = timedelta(days=1)
LISTS = ("agents", "branches", "lookups")
PATHS = {"agents": "/contacts/agents", "branches": "/contacts/branches", "lookups": "/lookups"}


class TestSwitchTransact(Contract):
    """The contract, stream by stream; a lookup's rows are what the configured lookups find."""

    vendor = "switchtransact"
    settings: ClassVar = {"phones": [], "emails": [], "terms": ["Nobody-at-all"]}
    grain = DAY

    @pytest.fixture(autouse=True)
    def days(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Short windows: the suite's histories are short, too."""
        monkeypatch.setattr(Transactions, "window", "P1D")

    @classmethod
    def contract_streams(cls, kind: str) -> list[str]:
        made = {"contacts", "contact_lookups"}  # made of lookups: tests/engine/test_lookups.py has their contract
        return [name for name in super().contract_streams(kind) if name not in made]

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        if stream == "lookups":
            return {"type": "t", "category": "c", "title": str(number)}
        if stream == "transactions":
            text = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            return {"transaction_number": str(number), "transaction_date": text}
        return {"id": str(number)}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        for row in box.truth(self.vendor, stream):
            yield {**row, "_extra": None}


def read(box: Sandbox, *streams: str, at: datetime = AFTER, state: Any = None, **config: Any) -> Result:
    """Run these streams, selected or not."""
    chosen = (one for one in TapSwitchTransact.stream_types if str(one.name) in streams)
    kinds: Any = tuple(type(one.__name__, (one,), {"selected_by_default": True}) for one in chosen)
    tap = type("TapSwitchTransact", (TapSwitchTransact,), {"stream_types": kinds})
    return runs.run(box, tap, {"max_attempts": 2, **config}, at=at, state=state)


def pay(box: Sandbox, *moments: datetime, first: int = 1, **more: Any) -> set[str]:
    """Add a transaction on each of these days."""
    rows = [
        {"transaction_number": str(number), "transaction_date": moment.strftime("%Y-%m-%dT00:00:00.000Z"), **more}
        for number, moment in enumerate(moments, first)
    ]
    box.upsert("switchtransact", "transactions", rows)
    return {row["transaction_number"] for row in rows}


def numbers(result: Result) -> set[str]:
    """The keys of the transactions that a run wrote."""
    return {record["transaction_number"] for record in result.records("transactions")}


def test_transactions_alone_are_not_selected_by_default() -> None:
    """They are payments with national ids, so a catalog says that they must be chosen."""
    chosen = {str(stream.name): stream.selected_by_default for stream in TapSwitchTransact.stream_types}
    assert [name for name, default in chosen.items() if not default] == ["transactions"]


@pytest.mark.parametrize("end", ["inclusive", "exclusive"])
@pytest.mark.parametrize("window", ["P1D", "P3D", "P30D"])
def test_g1_each_day_comes_whatever_the_last_one_means(end: str, window: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment on every day, that of the run among them, comes once, whether end_date is read or not."""
    monkeypatch.setattr(Transactions, "window", window)
    box = Sandbox(size=0, vendors=["switchtransact"])
    box.knobs("switchtransact", end_date=end)
    paid = pay(box, *(BEGIN + n * DAY for n in range(8)))
    result = read(box, "transactions", at=BEGIN + 7 * DAY + timedelta(hours=9), start_date=BEGIN.isoformat())
    assert result.code == 0, result.log
    assert numbers(result) == paid
    assert len(result.records("transactions")) == len(paid)


def test_g1_without_a_start_date_everything_comes_at_once() -> None:
    """The vendor answers any span at once, as its page shows: one request from the beginning."""
    box = Sandbox(size=0, vendors=["switchtransact"])
    paid = pay(box, datetime(2011, 5, 6, tzinfo=runs.UTC), BEGIN, BEGIN + DAY)
    result = read(box, "transactions", at=BEGIN + 2 * DAY)
    assert result.code == 0, result.log
    assert numbers(result) == paid
    queries = [dict(entry.query) for entry in box.requests.of("switchtransact")]
    assert queries == [{"start_date": "1970-01-01", "end_date": "2021-03-03"}]


def test_g3_payments_are_read_again_for_weeks() -> None:
    """A status moves on: the next run re-reads 30 days, or what the setting says."""
    box = Sandbox(size=0, vendors=["switchtransact"])
    pay(box, *(BEGIN + n * DAY for n in (0, 12, 40)), status="Pending")
    first = read(box, "transactions", at=BEGIN + 41 * DAY, start_date=BEGIN.isoformat())
    pay(box, BEGIN + 12 * DAY, first=2, status="Reversed")
    usual = read(box, "transactions", at=BEGIN + 41 * DAY, state=first.state)
    assert {row["transaction_number"]: row["status"] for row in usual.records("transactions")} == {
        "2": "Reversed",
        "3": "Pending",
    }
    short = read(box, "transactions", at=BEGIN + 41 * DAY, state=first.state, lookback="P5D")
    assert numbers(short) == {"3"}


def test_amounts_and_numbers_stay_text() -> None:
    """150.00 keeps its zeros; a number of a member that comes as a number becomes its digits."""
    box = Sandbox(size=0, vendors=["switchtransact"])
    pay(box, BEGIN, amount="150.00", member_number=3008821, id_number="0001015009087")
    (record,) = read(box, "transactions", at=BEGIN + DAY, start_date="2021-03-01").records("transactions")
    assert (record["amount"], record["member_number"], record["id_number"]) == ("150.00", "3008821", "0001015009087")


@pytest.mark.parametrize("pii", ["hash", "drop"])
def test_g7_a_national_id_is_not_loaded_in_clear(pii: str) -> None:
    """Where personal data is hashed or dropped, so are the ids of a payment."""
    box = Sandbox(size=9, vendors=["switchtransact"])
    held = {row["id_number"] for row in box.truth("switchtransact", "transactions")}
    records = read(box, "transactions", pii=pii, pii_key="a key of the test").records("transactions")
    assert len(records) == 9
    assert not held & {record["id_number"] for record in records}


@pytest.mark.parametrize("stream", LISTS)
@pytest.mark.parametrize("status", [200, 403])
def test_g8_a_list_that_the_key_may_not_read_fails_alone(stream: str, status: int) -> None:
    """A "Not authorized" of one route, in whatever HTTP status, costs it one request and leaves the others alone."""
    box = Sandbox(size=12, vendors=["switchtransact"])
    box.knobs("switchtransact", unreadable=(PATHS[stream],), not_permitted_status=status)
    result = read(box, "contacts", *LISTS)
    assert result.code == 1
    assert {name for name in ("contacts", *LISTS) if result.records(name)} == {"contacts", *LISTS} - {stream}
    assert sum(entry.path.endswith(PATHS[stream]) for entry in box.requests.of("switchtransact")) == 1
    assert any(stream in line and "Requesting Read on General" in line for line in result.log)


def test_g6_a_key_that_may_read_nothing_ends_the_run_soon() -> None:
    """Two streams that are not authorized before any success: then it is the key."""
    box = Sandbox(size=12, vendors=["switchtransact"])
    box.knobs("switchtransact", permitted=False)
    result = read(box, "contacts", *LISTS)
    assert (result.code, len(box.requests)) == (1, 2)
    assert not result.of("RECORD")


def test_without_a_lookup_the_lists_are_read_alone() -> None:
    """What must be looked up is not offered without a lookup, and said so; a catalog that selects it is an error."""
    box = Sandbox(size=12, vendors=["switchtransact"])
    none: dict[str, Any] = {"phones": [], "emails": [], "terms": []}
    every = ("contacts", "contact_lookups", *LISTS)
    result = read(box, *every, **none)
    assert result.code == 0, result.log
    assert {name for name in every if result.records(name)} == {*LISTS}
    assert any("contacts is not offered: it needs phones or emails" in line for line in result.log)
    config = {**box.config("switchtransact"), **none}
    catalog = TapSwitchTransact(config=box.config("switchtransact")).catalog_dict
    with pytest.raises(ConfigInvalid, match=r"phones or emails or terms or lookups_file must be set"):
        _ = TapSwitchTransact(config=config, catalog=catalog).streams


def test_choices_need_no_id() -> None:
    """A value without an id is a row like any other, and two with one title in other lists are two."""
    box = Sandbox(size=0, vendors=["switchtransact"])
    rows = [{"type": kind, "category": "c", "title": "Other", "id": None} for kind in ("bank", "people")]
    box.upsert("switchtransact", "lookups", rows)
    result = read(box, "lookups")
    assert result.code == 0, result.log
    assert sorted(row["type"] for row in result.records("lookups")) == ["bank", "people"]


def test_rows_of_the_sandbox_belong_together() -> None:
    """Agents stand in the regions of the branches, and work for companies that the choices name."""
    box = Sandbox(size=40, vendors=["switchtransact"])
    agents, branches, choices = (box.truth("switchtransact", stream) for stream in LISTS)
    assert {row["branches_regions_id"] for row in agents} <= {row["branches_regions_id"] for row in branches}
    assert {row["company_lookups_id"] for row in agents} <= {row["id"] for row in choices}
    assert warehouse.expected(box, "switchtransact", "lookups").keys() == {
        (row["type"], row["category"], row["title"]) for row in choices
    }
