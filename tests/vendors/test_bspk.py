"""BSPK: the contract for its nine lists, and what its documents leave open."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.errors import ConfigInvalid
from trunkline_contract import runs, warehouse
from trunkline_contract.runs import bookmark, instant
from trunkline_contract.suite import BEGIN, Contract
from trunkline_sandbox.vendors.bspk import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_contract.runs import Result
    from trunkline_sandbox import Sandbox

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
UPDATED = ("appointments", "reminders", "slices", "sales_associates", "clients")
CONTACT = ("calls", "messages", "emails", "notes", "appointments", "reminders")


def written(moment: datetime) -> str:
    """A time as the vendor writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class TestBspk(Contract):
    """Nine lists of one form."""

    vendor = "bspk"
    grain = timedelta(milliseconds=1)

    def box(self, size: int = 0) -> Sandbox:
        """The vendor without the two calls that its page prints: they are of another year."""
        box = super().box(size)
        box.delete(self.vendor, "calls", SAMPLES)
        return box

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """A row whose times of creation and of update are the same, so that either filter finds it."""
        named = {
            "slices": {"created_by_sales_associate_id": f"SA_{number}"},
            "sales_associates": {"username": f"user-{number}", "associate_id": f"SA_{number}"},
            "clients": {"client_id": f"C_{number}", "current_sales_associate_id": "SA_1"},
        }
        named["messages"] = {"sales_associate_id": "SA_1", "client_id": f"C_{number}", "channel": "sms"}
        people = named.get(stream, {"sales_associate_id": "SA_1", "client_id": f"C_{number}"})
        times = {"created_at": written(moment)}
        return {**people, **times, **({"updated_at": written(moment)} if stream in UPDATED else {})}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        """The sandbox's rows with the keys of the contract."""
        for row in warehouse.expected(box, self.vendor, stream).values():
            yield {name: v.isoformat() if isinstance(v, datetime) else v for name, v in row.items()}

    # -- what the documents leave open -------------------------------------------------------------

    @pytest.mark.parametrize("filter_on", ["created", "updated"])
    @pytest.mark.parametrize("empty", ["array", "no_content"])
    def test_g1_both_readings_of_the_filter_and_of_nothing_bring_all(self, filter_on: str, empty: str) -> None:
        """Whether `from` means created or updated, and an empty page is `[]` or a 204: every row comes."""
        box = self.box(40)
        box.knobs("bspk", filter_on=filter_on, empty=empty)
        result = self.run(box, window="P3D", page_size=20, end_date=None)
        assert result.code == 0, result.log
        for stream in self.facts():
            assert self.keys(stream, result) == self.held(box, stream, instant("2026-01-01T00:00:00Z")).keys(), stream

    @pytest.mark.parametrize("changing", UPDATED)
    def test_g1_a_row_updated_behind_its_window_is_kept_and_the_bookmark_stays_inside(self, changing: str) -> None:
        """A filter by creation: what was updated later comes, also after `end_date`, and moves no bookmark there."""
        box = self.box()
        box.knobs("bspk", filter_on="created")
        self.put(box, changing, BEGIN + HOUR, updated_at=written(BEGIN + 9 * DAY))
        self.put(box, changing, BEGIN + 5 * DAY, first=200)
        result = self.run(box, BEGIN + 30 * DAY, end_date=(BEGIN + 3 * DAY).isoformat(), only=changing)
        assert result.code == 0, result.log
        assert [row["updated_at"] for row in result.records(changing)] == [written(BEGIN + 9 * DAY)]
        assert (self.mark(changing, result) or BEGIN) <= BEGIN + 3 * DAY
        second = self.run(box, BEGIN + 30 * DAY, state=result.state, only=changing)
        assert self.keys(changing, result) | self.keys(changing, second) == self.held(box, changing).keys()
        assert self.mark(changing, second) == BEGIN + 5 * DAY

    @pytest.mark.parametrize("changing", UPDATED)
    def test_g1_an_old_row_that_was_updated_comes_again_under_the_same_key(self, changing: str) -> None:
        """A filter by update: a change brings the row again, and no second one beside it."""
        box = self.box()
        box.knobs("bspk", filter_on="updated")
        self.put(box, changing, BEGIN + HOUR, BEGIN + 2 * HOUR)
        first = self.run(box, BEGIN + DAY, only=changing)
        self.put(box, changing, BEGIN + HOUR, updated_at=written(BEGIN + 20 * DAY))
        second = self.run(box, BEGIN + 30 * DAY, state=first.state, only=changing)
        assert len(self.keys(changing, first)) == 2
        assert self.keys(changing, second) <= self.keys(changing, first)
        assert written(BEGIN + 20 * DAY) in {row["updated_at"] for row in second.records(changing)}

    @pytest.mark.parametrize("setting", ["client_ids", "sales_associate_ids"])
    def test_a_list_is_narrowed_only_where_it_takes_the_parameter(self, setting: str) -> None:
        """Ids go to the lists that document the parameter; the others are read in full, and nothing is refused."""
        box = self.box(60)
        wanted = {"client_ids": "CLI_1001", "sales_associate_ids": "SA_11"}[setting]
        narrowed: Any = {setting: [wanted]}
        result = self.run(box, page_size=100, **narrowed)
        assert result.code == 0, result.log
        sent = {entry.path.rpartition("/")[2] for entry in box.requests if setting in dict(entry.query)}
        without = {"slices", "sales_associates"} if setting == "client_ids" else set[str]()
        assert sent == {*self.facts()} - without
        for name in without:
            assert len(result.records(name)) == len(box.truth("bspk", name))
        columns = {"client_ids": "client_id", "sales_associate_ids": "sales_associate_id"}
        for name in CONTACT:
            assert {row[columns[setting]] for row in result.records(name)} <= {wanted}

    def test_g10_a_client_without_an_id_is_left_out_and_counted(self) -> None:
        """Clients whom the brand has not linked have no key: a warning counts them, and the others come as they are."""
        box = self.box()
        self.put(box, "clients", *(BEGIN + n * MINUTE for n in range(1, 8)), preferences=[{"size": 38}, "blue"])
        for n in (1, 2, 3):
            box.upsert("bspk", "clients", [self.row("clients", 0, BEGIN + n * HOUR) | {"client_id": None}])
        result = self.run(box, BEGIN + DAY, only="clients")
        assert result.code == 0, result.log
        assert [row["preferences"] for row in result.records("clients")] == [[{"size": 38}, "blue"]] * 7
        assert any("3 rows without client_id were left out" in line for line in result.log)
        assert self.mark("clients", result) == BEGIN + 7 * MINUTE

    # -- which streams -----------------------------------------------------------------------------

    def test_clients_are_read_only_when_a_catalog_selects_them(self) -> None:
        """Without a catalog the profiles of clients are not read, and the catalog says that it does not select them."""
        box = self.box(20)
        result = runs.run(box, self.tap(), {"page_size": 100})
        assert result.code == 0, result.log
        assert not result.records("clients")
        assert result.records("sales_associates")
        assert not any(entry.path.endswith("/clients") for entry in box.requests)
        entry = next(
            one for one in self.tap()(config=box.config("bspk")).catalog_dict["streams"] if one["stream"] == "clients"
        )
        (root,) = (one["metadata"] for one in entry["metadata"] if not one["breadcrumb"])
        assert root["selected-by-default"] is False

    @pytest.mark.parametrize("status", [403, 404])
    def test_g8_a_list_that_the_account_may_not_read_fails_alone_at_one_request(self, status: int) -> None:
        """One refused route costs one request; the others are complete, and the last lines name it."""
        box = self.box(30)
        box.fault("status", "/reminders", status=status)
        result = self.run(box, page_size=100, window="P5D")
        assert result.code == 1
        assert sum(entry.path.endswith("/reminders") for entry in box.requests) == 1
        for name in {*self.facts()} - {"reminders"}:
            assert self.keys(name, result) == self.held(box, name, instant("2026-01-01T00:00:00Z")).keys(), name
        assert not result.records("reminders")
        assert any("reminders" in line and str(status) in line for line in result.log)

    def test_g6_one_limit_holds_for_all_lists_together(self) -> None:
        """The vendor counts requests over all lists: nine of them at once meet no 429 that is not waited out."""
        box = self.box(30)
        box.knobs("bspk", enforce_rate_limit=True, rate_seconds=0.05)
        result = self.run(box, page_size=20, concurrency=8, max_attempts=100)  # each waits a moment only
        assert result.code == 0, result.log

    # -- personal data -----------------------------------------------------------------------------

    def test_g7_passports_and_birthdays_are_hashed_or_dropped(self) -> None:
        """Nothing that tells who a client is leaves in clear when `pii` is not `clear`, also not inside of objects."""
        box = self.box(60)
        private = {
            "passport_number",
            "birthday",
            "email",
            "mobile_phone",
            "name",
            "first_name",
            "last_name",
            "nationality",
        }
        for mode in ("hash", "drop"):
            clear, changed = (
                self.run(box, page_size=100, only="clients", pii=pii, pii_key="a key") for pii in ("clear", mode)
            )
            text = json.dumps(changed.records("clients"), ensure_ascii=False)
            for row in clear.records("clients"):
                for name in private:
                    assert row[name] is None or f'"{row[name]}"' not in text, name
                assert f'"{row["client_id"]}"' not in text
            assert "Long Street" not in text

    def test_g9_a_personal_key_needs_a_key_to_hash_it_only_where_it_is_read(self) -> None:
        """`pii: drop` goes without `pii_key` until a catalog selects the clients, whose key is personal."""
        config = {**self.box().config("bspk"), "pii": "drop"}
        tap = self.tap()(config=config)
        catalog = tap.catalog_dict
        for entry in catalog["streams"]:
            for one in entry["metadata"]:
                if not one["breadcrumb"]:
                    one["metadata"]["selected"] = entry["stream"] == "clients"
        with pytest.raises(ConfigInvalid, match=r"pii_key must be set when pii is drop: the catalog selects clients"):
            self.tap()(config=config, catalog=catalog)
        self.tap()(config={**config, "pii_key": "a key"}, catalog=catalog)


def test_bookmarks_are_of_the_time_that_the_contract_names() -> None:
    """Lists with a time of update bookmark on it, the others on the time of creation."""
    suite = TestBspk()
    box = suite.box(20)
    result: Result = suite.run(box, page_size=100)
    for name, facts in suite.facts().items():
        assert facts.replication_key == ("updated_at" if name in UPDATED else "created_at")
        assert bookmark(result.state, name) == max(instant(row[facts.replication_key]) for row in result.records(name))
