"""The contract suite, run on tap-aircall, and tests of Aircall's own ways."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.doors import docs
from trunkline_contract.suite import BEGIN, DAY, MINUTE, Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_sandbox import Sandbox

DOCS = Path(__file__).parents[1] / "docs"


class TestContract(Contract):
    """Aircall's lists; the calls' bookmark is made from UNIX seconds."""

    vendor = "aircall"

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """Make a call that rings, or a row of a full table."""
        return {"id": number, "started_at": int(moment.timestamp())} if stream == "calls" else {"id": number}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        """Give the vendor's calls their start as an instant."""
        for row in super().expected(box, stream):
            started = datetime.fromtimestamp(row.get("started_at", 0), timezone.utc).isoformat()
            yield {**row, "start_time": started} if stream == "calls" else row

    def test_the_page_is_fresh(self) -> None:
        """docs/aircall.md is what `python -m trunkline.doors.docs` makes of the tap and docs/notes.md."""
        made = docs.vendor_page(self.tap(), (DOCS / "notes.md").read_text(encoding="utf-8"))
        assert (DOCS / "aircall.md").read_text(encoding="utf-8") == made

    def test_g1_no_call_is_behind_the_last_page_that_can_be_reached(self) -> None:
        """A span with more rows than can be paged through is split before it is read; here the limit is 100 rows."""
        box = self.box()
        box.knobs(self.vendor, reachable=100)
        self.put(box, "calls", *(BEGIN + n * MINUTE for n in range(130)))
        result = self.run(box, BEGIN + DAY, page_size=1)
        assert result.code == 0, result.log
        assert self.keys("calls", result) == self.held(box, "calls").keys()

    def test_g1_a_call_that_starts_after_its_creation_is_read(self) -> None:
        """The filter looks at the creation: calls that start a minute later, beyond the edge of a window, come too."""
        box = self.box()
        box.knobs(self.vendor, filter_lag=60)
        self.put(box, "calls", *(BEGIN + n * timedelta(hours=6) + timedelta(seconds=30) for n in range(1, 9)))
        result = self.run(box, BEGIN + 3 * DAY, window="PT6H")
        assert result.code == 0, result.log
        assert self.keys("calls", result) == self.held(box, "calls").keys()

    def test_g6_the_vendors_own_header_is_obeyed(self) -> None:
        """`X-AircallApi-Reset` names the second from which requests are welcome again."""
        tap = self.tap()(config=self.box().config(self.vendor))
        governor = tap.client.governor
        governor.wall = lambda: 1_800_000_000.0
        assert governor.learn(429, {"X-AircallApi-Remaining": "0", "X-AircallApi-Reset": "1800000007"}) == 7.0
