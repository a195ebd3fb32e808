"""Conpeek: the contract for requests and dialogs, and what its documents leave open."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.errors import ConfigInvalid
from trunkline_contract import runs, warehouse
from trunkline_contract.suite import BEGIN, Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_sandbox import Sandbox

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
CAMPAIGN = "5b7c389fe8df7b60af688989"


def written(moment: datetime) -> str:
    """A time as the vendor writes it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


class TestConpeek(Contract):
    """Requests with a partition each campaign, and the dialogs of the tenant."""

    vendor = "conpeek"

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """A request that is not open, or a dialog that is over."""
        if stream == "cdr_dialogs":
            return {"dialog_uuid": f"d-{number}", "hangup_time": written(moment), "machine_detected": number % 2}
        # Without a date of its end it is found by one date alone, and comes once.
        settled = {"state": "CLOSED", "application_state": "CLOSED", "created_date": written(moment)}
        return {"id": f"{number:024x}", "voice_campaign_id": CAMPAIGN, **settled}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        """The sandbox's rows, with the fields that the tap computes and the types of the schema."""
        for row in warehouse.expected(box, self.vendor, stream).values():
            made = {name: v.isoformat() if isinstance(v, datetime) else v for name, v in row.items()}
            if isinstance(made.get("custom"), tuple):
                made["custom"] = made["custom"][1]
            yield made

    def form(self, stream: str, row: Any) -> dict[str, Any]:
        """`custom` is compared as what its JSON holds, and the times inside of lists by their text in UTC."""
        made = {name: warehouse.canonical(value) for name, value in super().form(stream, row).items()}
        if isinstance(made.get("custom"), str):
            made["custom"] = json.loads(made["custom"])
        return made

    # -- dialogs -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("said", ["number", "boolean"])
    def test_a_machine_is_a_boolean_however_the_vendor_says_it(self, said: str) -> None:
        """0 and 1, and false and true, both end as one type; what is neither is kept in `_extra`."""
        box = self.box(40)
        box.knobs("conpeek", machine_detected=said)
        box.upsert("conpeek", "cdr_dialogs", [self.row("cdr_dialogs", 1, BEGIN + HOUR) | {"machine_detected": "maybe"}])
        result = self.run(box, start_date=BEGIN.isoformat(), only="cdr_dialogs", page_size=1000)
        assert result.code == 0, result.log
        odd, *rows = result.records("cdr_dialogs")
        assert (odd["machine_detected"], odd["_extra"]) == (None, {"machine_detected": "maybe"})
        assert {type(row["machine_detected"]) for row in rows} == {bool}
        truth = {row["dialog_uuid"]: bool(row["machine_detected"]) for row in box.truth("conpeek", "cdr_dialogs")[1:]}
        assert {row["dialog_uuid"]: row["machine_detected"] for row in rows} == truth
        assert {True, False} == {*truth.values()}

    def test_the_dialogs_of_requests_are_in_the_history(self) -> None:
        """Every dialog that a request names is a dialog of the tenant's, known by the same identifier."""
        result = self.run(self.box(60), page_size=1000)
        named = {one["dialog_uuid"] for row in result.records("voice_campaign_requests") for one in row["dialogs"]}
        assert named <= {row["dialog_uuid"] for row in result.records("cdr_dialogs")}
        assert named

    def test_the_filter_setting_is_for_requests_alone(self) -> None:
        """Filter objects of the user narrow the requests; the dialogs are requested by their time only."""
        box = self.box(40)
        narrow = [{"property": "priority", "operator": "gte", "value": 5}]
        result = self.run(box, page_size=1000, filter=narrow, exclude=["history"])
        assert result.code == 0, result.log
        for entry in box.requests:
            sent, filters = dict(entry.query), json.loads(dict(entry.query)["filter"])
            of_requests = "voice_campaign" in entry.path
            assert (narrow[0] in filters) is ("exclude" in sent) is of_requests
            assert of_requests or {one["property"] for one in filters} == {"hangup_time"}
        assert len(result.records("cdr_dialogs")) == len(box.truth("conpeek", "cdr_dialogs"))

    def test_dialogs_are_read_without_campaigns(self) -> None:
        """Without `voice_campaign_ids` requests are not offered, and no catalog may select them."""
        box = self.box(20)
        result = runs.run(box, self.tap(), {"voice_campaign_ids": None, "page_size": 1000})
        assert result.code == 0, result.log
        assert any("voice_campaign_requests is not offered: it needs voice_campaign_ids" in line for line in result.log)
        assert len(result.records("cdr_dialogs")) == len(box.truth("conpeek", "cdr_dialogs"))
        assert {entry.path for entry in box.requests} == {"/conpeek/cdr_dialog"}
        config = box.config("conpeek")
        catalog = self.tap()(config=config).catalog_dict
        del config["voice_campaign_ids"]
        with pytest.raises(ConfigInvalid, match="voice_campaign_ids must be set"):
            self.tap()(config=config, catalog=catalog)

    def test_g1_a_cap_that_the_page_does_not_name_hides_no_dialog(self) -> None:
        """There is no total: whatever an answer is cut to, the empty one behind it is looked for."""
        box = self.box(60)
        box.knobs("conpeek", limit_cap=7)
        result = self.run(box, page_size=1000, only="cdr_dialogs")
        assert result.code == 0, result.log
        assert len(self.keys("cdr_dialogs", result)) == len(box.truth("conpeek", "cdr_dialogs"))

    @pytest.mark.parametrize("status", [403, 404])
    def test_g8_dialogs_that_the_account_may_not_read_fail_alone_at_one_request(self, status: int) -> None:
        """A refused route costs one request, and the campaigns are complete."""
        box = self.box(30)
        box.fault("status", "/cdr_dialog", status=status)
        result = self.run(box, page_size=1000)
        assert result.code == 1
        assert sum(entry.path.endswith("/cdr_dialog") for entry in box.requests) == 1
        assert len(self.keys("voice_campaign_requests", result)) == len(box.truth("conpeek", "voice_campaign_requests"))
        assert any("cdr_dialogs" in line and str(status) in line for line in result.log)
