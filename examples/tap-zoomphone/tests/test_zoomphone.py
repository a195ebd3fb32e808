"""The contract suite, run on tap-zoomphone, and tests of Zoom's own ways."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.doors import docs
from trunkline.errors import ConfigInvalid
from trunkline_contract.suite import BEGIN, DAY, HOUR, MINUTE, Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_sandbox import Sandbox

DOCS = Path(__file__).parents[1] / "docs"


class TestContract(Contract):
    """Calls along a token, users as a full table, and the recordings of those calls that have one."""

    vendor = "zoomphone"

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """Return a call with a recording, a recording, or a user."""
        if stream == "users":
            return {"id": f"user-{number}"}
        if stream == "recordings":
            return {"id": f"recording-{number}"}
        text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        call = {"call_history_uuid": f"uuid-{number}", "call_id": str(number), "start_time": text}
        return {**call, "recording_status": "recorded"}

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        """Yield the vendor's rows; of the recordings those of calls that are listed as recorded."""
        calls = box.truth(self.vendor, "call_history")
        silent = {call["call_history_uuid"] for call in calls if call["recording_status"] != "recorded"}
        for row in super().expected(box, stream):
            if stream != "recordings" or row["call_history_uuid"] not in silent:
                yield row

    def test_the_page_is_fresh(self) -> None:
        """docs/zoomphone.md is what `python -m trunkline.doors.docs` makes of the tap and docs/notes.md."""
        made = docs.vendor_page(self.tap(), (DOCS / "notes.md").read_text(encoding="utf-8"))
        assert (DOCS / "zoomphone.md").read_text(encoding="utf-8") == made

    # -- a month -----------------------------------------------------------------------------------

    def test_g1_a_quiet_half_year_is_requested_by_the_month(self) -> None:
        """Zoom sends only the last month of a longer span: a call after each quiet stretch comes all the same."""
        box = self.box()
        self.put(box, "call_history", *(BEGIN + days * DAY for days in (1, 90, 178)))
        self.put(box, "recordings", *(BEGIN + days * DAY for days in (1, 90, 178)))
        result = self.run(box, BEGIN + 180 * DAY, window="P7D")
        assert result.code == 0, result.log
        assert len(self.keys("call_history", result)) == len(self.keys("recordings", result)) == 3
        spans = [dict(entry.query) for entry in box.requests if entry.path.endswith("/call_history")]
        assert spans
        for span in spans:
            low, high = (datetime.fromisoformat(span[name].replace("Z", "+00:00")) for name in ("from", "to"))
            assert high - low <= timedelta(days=28)

    @pytest.mark.parametrize(("window", "good"), [("P28D", True), ("P29D", False), ("P1Y", False)])
    def test_g9_a_window_of_more_than_a_month_is_an_error(self, window: str, *, good: bool) -> None:
        """It would lose what Zoom leaves out, so it is refused before the first request."""
        config = {**self.box().config(self.vendor), "window": window}
        if good:
            self.tap()(config=config)
            return
        with pytest.raises(ConfigInvalid, match="window must be"):
            self.tap()(config=config)

    # -- tokens ------------------------------------------------------------------------------------

    def test_g6_an_access_token_that_ends_in_the_middle_is_replaced(self) -> None:
        """After a 401 one worker fetches another token, the request is sent once more, and nothing is lost."""
        box = self.box()
        box.knobs(self.vendor, token_requests=5)
        self.put(box, "call_history", *(BEGIN + n * HOUR for n in range(30)))
        result = self.run(box, BEGIN + 2 * DAY, concurrency=1)
        assert result.code == 0, result.log
        assert self.keys("call_history", result) == self.held(box, "call_history").keys()
        refused = [entry for entry in box.requests if entry.status == 401]
        granted = [entry for entry in box.requests if entry.path.endswith("/oauth/token")]
        assert refused
        assert len(granted) == len(refused) + 1

    def test_g6_a_new_access_token_that_is_refused_too_ends_the_tap(self) -> None:
        """A token that is no good from the beginning is replaced once and not without end."""
        box = self.box()
        box.knobs(self.vendor, token_requests=0)
        result = self.run(box, BEGIN + DAY, concurrency=1)
        assert result.code == 1
        assert [entry.status for entry in box.requests] == [200, 401, 200, 401]

    def test_g2_a_page_token_that_has_expired_begins_the_span_anew(self) -> None:
        """Zoom's tokens of pages are good for a quarter of an hour: what came before it is not written twice."""
        box = self.box()
        box.knobs(self.vendor, expired_page_tokens=1)
        self.put(box, "call_history", *(BEGIN + n * MINUTE for n in range(1, 9)))
        result = self.run(box, BEGIN + DAY, only="call_history", concurrency=1)
        assert result.code == 0, result.log
        assert [entry.status for entry in box.requests].count(400) == 1
        written = [record["call_history_uuid"] for record in result.records("call_history")]
        assert sorted(written) == sorted(f"uuid-{number}" for number in range(100, 108))

    def test_g6_a_missing_scope_is_told_with_what_to_do(self) -> None:
        """Zoom reports it with HTTP 400 and a code of its own."""
        box = self.box()
        box.knobs(self.vendor, scopes="missing")
        result = self.run(box, BEGIN + DAY)
        assert result.code == 1
        assert self.tap().hints[403] in " ".join(result.log)
        assert "4711" in " ".join(result.log)

    # -- recordings --------------------------------------------------------------------------------

    def test_g1_a_call_without_a_recording_needs_no_request(self) -> None:
        """Recordings are requested for the calls that Zoom lists as recorded, and for no other."""
        box = self.box()
        self.put(box, "call_history", BEGIN + HOUR, recording_status="non_recorded")
        self.put(box, "recordings", BEGIN + 2 * HOUR, first=200)
        result = self.run(box, BEGIN + DAY)
        assert result.code == 0, result.log
        assert self.keys("recordings", result) == {("recording-200",)}
        assert [entry.path for entry in box.requests if "call_logs" in entry.path] == [
            "/zoomphone/v2/phone/call_logs/200/recordings"
        ]

    def test_g1_recordings_that_the_account_has_deleted_fail_nothing(self) -> None:
        """Recordings may be kept for a month and calls for six: that none is there is no error."""
        box = self.box()
        self.put(box, "call_history", *(BEGIN + n * HOUR for n in range(1, 9)))
        result = self.run(box, BEGIN + DAY)
        assert result.code == 0, result.log
        assert not result.records("recordings")

    def test_g3_a_recording_that_comes_later_is_read_within_the_lookback(self) -> None:
        """While it is not there the bookmark moves on all the same, and the next run requests it again."""
        box = self.box()
        self.put(box, "call_history", BEGIN + HOUR)
        self.put(box, "recordings", BEGIN + 2 * HOUR, first=200)
        first = self.run(box, BEGIN + DAY)
        assert first.code == 0, first.log
        assert self.keys("recordings", first) == {("recording-200",)}
        self.put(box, "recordings", BEGIN + HOUR)
        second = self.run(box, BEGIN + DAY, state=first.state, lookback="P2D")
        assert self.keys("recordings", second) == {("recording-100",), ("recording-200",)}

    # -- the limit ---------------------------------------------------------------------------------

    def test_g6_the_daily_limits_header_is_obeyed(self) -> None:
        """Zoom writes `Retry-After` as a date-time: until then nothing is sent."""
        tap = self.tap()(config=self.box().config(self.vendor))
        governor = tap.client.governor
        governor.wall = lambda: 1_590_883_170.0
        headers = {
            "X-RateLimit-Type": "Daily-limit",
            "X-RateLimit-Remaining": "0",
            "Retry-After": "2020-05-31T00:00:00Z",
        }
        assert governor.learn(429, headers) == 30.0
