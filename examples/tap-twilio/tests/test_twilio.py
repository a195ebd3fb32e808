"""The contract suite, run on tap-twilio, and tests of Twilio's own ways."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tap_twilio import Calls

from trunkline.doors import docs
from trunkline_contract.suite import BEGIN, DAY, HOUR, MINUTE, Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_sandbox import Sandbox

DOCS = Path(__file__).parents[1] / "docs"
TIMES = ("date_created", "date_updated", "start_time", "end_time")
SECOND = timedelta(seconds=1)


class TestContract(Contract):
    """Twilio's calls and their recordings: times are RFC 2822, and a page names the next one."""

    vendor = "twilio"

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """Return a call that rings, or a recording of one."""
        if stream == "recordings":
            return {"sid": f"RE{number:032x}", "status": "processing"}
        return {"sid": f"CA{number:032x}", "start_time": format_datetime(moment), "status": "ringing"}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        """Yield the vendor's rows with their times as instants, a price as text, and a call's start as its bookmark."""
        for row in super().expected(box, stream):
            row |= {name: parsedate_to_datetime(row[name]).isoformat() for name in TIMES if row.get(name)}
            if row.get("price"):
                row["price"] = str(row["price"])
            yield row if stream == "recordings" else {**row, "started_at": row["start_time"]}

    def test_the_page_is_fresh(self) -> None:
        """docs/twilio.md is what `python -m trunkline.doors.docs` makes of the tap and docs/notes.md."""
        made = docs.vendor_page(self.tap(), (DOCS / "notes.md").read_text(encoding="utf-8"))
        assert (DOCS / "twilio.md").read_text(encoding="utf-8") == made

    @pytest.mark.parametrize("day", ["before", "midnight", "whole"])
    def test_g1_no_call_is_lost_or_doubled_at_midnight(self, day: str) -> None:
        """Whatever `StartTime<` of a day means for that day, calls around midnight come, each once."""
        box = self.box()
        box.knobs(self.vendor, day=day)
        self.put(box, "calls", *(BEGIN + n * DAY + side for n in range(1, 6) for side in (-SECOND, 0 * SECOND, SECOND)))
        result = self.run(box, BEGIN + 6 * DAY, window="P2D", only="calls")
        assert result.code == 0, result.log
        sids = [record["sid"] for record in result.records("calls")]
        assert sorted((sid,) for sid in sids) == sorted(self.held(box, "calls"))

    def test_g1_the_day_that_is_not_over_is_read_up_to_the_run(self) -> None:
        """Calls of the running day come, and those that start after the run are the next one's."""
        box = self.box()
        self.put(box, "calls", BEGIN + DAY + HOUR, BEGIN + DAY + 3 * HOUR)
        first = self.run(box, BEGIN + DAY + 2 * HOUR, only="calls")
        second = self.run(box, BEGIN + DAY + 4 * HOUR, only="calls", state=first.state)
        assert [len(self.keys("calls", result)) for result in (first, second)] == [1, 2]

    def test_g3_a_call_that_moves_on_comes_again_within_the_lookback(self) -> None:
        """A call of yesterday that rang is completed in the next run, though a later call has moved the bookmark."""
        box, lookback = self.box(), self.tap().common["lookback"]["default"]
        self.put(box, "calls", BEGIN + 20 * HOUR, BEGIN + 30 * HOUR)
        first = self.run(box, BEGIN + 31 * HOUR, lookback=lookback, only="calls")
        ended = format_datetime(BEGIN + 43 * HOUR)
        self.put(box, "calls", BEGIN + 20 * HOUR, status="completed", end_time=ended, duration="82800")
        second = self.run(box, BEGIN + 44 * HOUR, lookback=lookback, only="calls", state=first.state)
        seen = [result.records("calls")[0]["status"] for result in (first, second)]
        assert seen == ["ringing", "completed"]
        assert self.mark("calls", second) == BEGIN + 30 * HOUR

    def test_g7_a_link_that_names_another_host_is_not_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only the token is taken from `next_page_uri`: all requests go to the configured address."""
        box = self.box()
        monkeypatch.setattr(box.vendors[self.vendor], "host", "https://elsewhere.example")
        self.put(box, "calls", *(BEGIN + n * MINUTE for n in range(10)))
        result = self.run(box, BEGIN + DAY, only="calls")
        assert result.code == 0, result.log
        assert self.keys("calls", result) == self.held(box, "calls").keys()
        assert {entry.vendor for entry in box.requests} == {self.vendor}
        assert sum("PageToken" in dict(entry.query) for entry in box.requests) > 1

    def test_a_call_that_was_not_dialed_stands_where_it_was_created(self) -> None:
        """`start_time` is empty until then, and the bookmark must count by something."""
        fields, make = Calls.computed["started_at"]
        row = {"start_time": "", "date_created": "Fri, 18 Oct 2019 17:00:00 +0000"}
        assert make(*map(row.get, fields)) == row["date_created"]
        assert make("Fri, 18 Oct 2019 17:02:00 +0000", row["date_created"]) == "Fri, 18 Oct 2019 17:02:00 +0000"
