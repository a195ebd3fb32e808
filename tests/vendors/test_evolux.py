"""Evolux keeps the contract in all its streams, and both ways of each thing that its pages leave open work."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from trunkline_contract import warehouse
from trunkline_contract.suite import BEGIN, Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_sandbox import Sandbox

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
REPORTS = ("dialer_calls", "agent_pauses", "queue_calls")
CENTRE = (*REPORTS, "agents", "queues")
ROUTES = {
    "dialer_calls": "/api/v1/dialer/calls_history",
    "agent_pauses": "/api/v1/report/complete_pause",
    "agents": "/api/v1/agents",
    "queues": "/api/v1/queues",
    "queue_calls": "/api/v1/report/calls_history",
}


class TestEvolux(Contract):
    """A vendor whose second stream is made of details, with reports in pages and full tables beside them."""

    vendor = "evolux"

    @classmethod
    def contract_streams(cls, kind: str) -> list[str]:
        # What holds for the details holds for the list that they are read from.
        return [name for name in super().contract_streams(kind) if kind != "dated" or name != "studio_calls"]

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        at = moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        rows: dict[str, dict[str, Any]] = {
            "dialer_calls": {"id": number, "start_time": at},
            "agent_pauses": {"agent_id": number, "time_start": at},
            "agents": {"id": number},
            "queues": {"id": number},
            "queue_calls": {"call_id": number, "date_join": at, "time_leave": at},
        }
        return rows.get(stream, {"id": number, "uuid": str(number), "start_time": at})

    def put(self, box: Sandbox, stream: str, *moments: datetime, first: int = 100, **more: Any) -> None:
        if stream != "studio_cdr":
            super().put(box, stream, *moments, first=first, **more)
            return
        super().put(box, "studio_calls", *moments, first=first, before=more.pop("before", None))
        if more:
            box.upsert(self.vendor, stream, [{"call_id": first + n, **more} for n in range(len(moments))])

    def expected(self, box: Sandbox, stream: str) -> Iterator[dict[str, Any]]:
        for row in warehouse.expected(box, self.vendor, stream).values():
            yield json.loads(json.dumps(row, default=datetime.isoformat))

    def test_g2_a_page_that_repeats_is_an_error(self, stream: str) -> None:
        """Of pauses it is none: their list may not look at the page's number, and is read in shorter spans."""
        if stream != "agent_pauses":
            super().test_g2_a_page_that_repeats_is_an_error(stream)
            return
        box = self.box()
        self.put(box, stream, *(BEGIN + n * MINUTE for n in range(30)))
        box.fault("repeat_page")
        result = self.run(box, BEGIN + DAY, only=stream)
        assert result.code == 0, result.log
        assert self.keys(stream, result) == self.held(box, stream).keys()

    # -- what the pages leave open -----------------------------------------------------------------

    @pytest.mark.parametrize(
        "knobs",
        [
            {"dates": "exclusive"},
            {"dates": "days"},
            {"dates": "days", "order": "oldest"},
            {"offset": "+00"},
            {"pause_pages": "ignored"},
            {"queue_rows": "data"},
            {"call_duration": "text"},
            {"current": "object"},
        ],
        ids=lambda knobs: "-".join(map(str, knobs.values())),
    )
    def test_g1_each_way_of_what_the_pages_leave_open_brings_the_same_rows(self, knobs: dict[str, Any]) -> None:
        """Ends of a span, offsets, pages, envelopes and types: every row comes with every value, and no other."""
        box = self.box(60)
        box.knobs(self.vendor, **knobs)
        for minutes in (0, 1, 59):  # on the seams of windows, and beside them
            for stream in REPORTS:
                moments = (
                    BEGIN + n * DAY + minutes * MINUTE + side for n in range(3) for side in (-SECOND, 0 * SECOND)
                )
                self.put(box, stream, *moments, first=1000 + 10 * minutes)
        result = self.run(box, window="P1D", start_date=BEGIN.isoformat(), page_size=7)
        assert result.code == 0, result.log
        for stream in CENTRE:
            found = {self._key(stream, row): self.form(stream, row) for row in result.records(stream)}
            held = self.held(box, stream)
            if stream == "agents" and knobs.get("current") == "object":
                for row in held.values():
                    for name in [name for name in row if name.startswith("current_")]:
                        value = row[name] if name == "current_extension" else int(row[name])
                        row[name] = json.dumps({"id": value}, separators=(",", ":"))
            assert found == held, stream

    def test_g1_a_busy_day_of_a_server_that_reads_whole_days_is_not_halved_for_nothing(self) -> None:
        """A part of a day that brings the whole day is read as it is, whatever the number of its pages."""
        box = self.box()
        box.knobs(self.vendor, dates="days")
        self.put(box, "queue_calls", *(BEGIN + n * 5 * MINUTE for n in range(250)))
        result = self.run(box, BEGIN + DAY, page_size=2, only="queue_calls")
        assert result.code == 0, result.log
        assert self.keys("queue_calls", result) == self.held(box, "queue_calls", until=BEGIN + DAY).keys()
        assert len(box.requests) < 1000

    def test_g2_pauses_that_no_span_is_short_enough_for_fail(self) -> None:
        """More pauses in a minute than a page holds, of a server that shows one page: never called complete."""
        box = self.box()
        box.knobs(self.vendor, pause_pages="ignored")
        self.put(box, "agent_pauses", *(BEGIN + HOUR + n * SECOND for n in range(9)))
        result = self.run(box, BEGIN + DAY, only="agent_pauses")
        assert result.code == 1
        assert (self.mark("agent_pauses", result) or BEGIN) <= BEGIN + HOUR
        assert any("a page came twice" in line for line in result.log)

    # -- what is the vendor's own ------------------------------------------------------------------

    def test_g1_calls_that_failed_are_requested_too(self) -> None:
        """The vendor's default leaves them out, so every request says `both`."""
        box = self.box(30)
        result = self.run(box, only="dialer_calls")
        failed = {row["id"] for row in box.truth(self.vendor, "dialer_calls") if row["answer_time"] is None}
        assert failed
        assert failed <= {row["id"] for row in result.records("dialer_calls")}
        assert {dict(entry.query)["contact_status"] for entry in box.requests} == {"both"}

    def test_g10_of_a_key_that_comes_twice_the_last_value_is_kept(self) -> None:
        """The vendor's example has `hangup_cause` twice in one call: the last one counts, as wherever JSON is read."""
        box = self.box(12)
        box.knobs(self.vendor, hangup_cause_twice=True)
        for pii in ("clear", "hash"):
            result = self.run(box, only="dialer_calls", pii=pii, pii_key="a key of the test")
            causes = {row["id"]: row["hangup_cause"] for row in box.truth(self.vendor, "dialer_calls")}
            assert {row["id"]: row["hangup_cause"] for row in result.records("dialer_calls")} == causes

    def test_g1_g3_a_call_that_lasts_comes_again_until_it_has_ended(self) -> None:
        """The bookmark waits at the earliest call in progress, however long it lasts."""
        box = self.box()
        self.put(box, "queue_calls", *(BEGIN + n * DAY for n in range(1, 9)))
        self.put(box, "queue_calls", BEGIN + 3 * DAY + HOUR, first=500, time_leave=None, call_duration=None)
        first = self.run(box, BEGIN + 9 * DAY, only="queue_calls")
        assert first.code == 0, first.log
        assert self.mark("queue_calls", first) == BEGIN + 3 * DAY + HOUR
        self.put(box, "queue_calls", BEGIN + 3 * DAY + HOUR, first=500, call_duration=7)
        second = self.run(box, BEGIN + 10 * DAY, only="queue_calls", state=first.state)
        assert (500, 7) in {(row["call_id"], row["call_duration"]) for row in second.records("queue_calls")}
        assert self.mark("queue_calls", second) == BEGIN + 8 * DAY

    def test_g10_two_pauses_that_begin_at_once_are_two(self) -> None:
        """The key is the agent and the instant: in pages of any size both come, and nothing is read twice."""
        box = self.box()
        self.put(box, "agent_pauses", *[BEGIN + HOUR] * 7)
        result = self.run(box, BEGIN + DAY, only="agent_pauses")
        assert result.code == 0, result.log
        assert [row["agent_id"] for row in result.records("agent_pauses")] == [*range(100, 107)][::-1]
        assert not any("once more" in line for line in result.log)

    @pytest.mark.parametrize("status", [403, 404])
    @pytest.mark.parametrize("refused", CENTRE)
    def test_g8_a_route_that_the_account_may_not_read_fails_alone(self, refused: str, status: int) -> None:
        """It costs one request, the last lines name it, and all others are complete."""
        box = self.box(6)
        box.fault("status", match=f"{ROUTES[refused]}\\b", status=status)
        result = self.run(box, window="P30D", page_size=50)
        assert result.code == 1
        requests = [entry for entry in box.requests if entry.path.endswith(ROUTES[refused])]
        assert len(requests) == 1
        assert any(refused in line and str(status) in line for line in result.log[-12:]), result.log[-12:]
        for other in {*CENTRE, "studio_calls", "studio_cdr"} - {refused}:
            assert result.records(other), other
