"""Lists within lists: the recordings of each call, in pages of their own."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.wire import (
    BEGIN,
    DAY,
    TEXT,
    TIME,
    Calls,
    Wire,
    bookmark,
    call,
    messages,
    partitions,
    records,
    schema,
    tap,
)

from trunkline.facts import CursorPages, NumberedPages, OffsetPages, OnePage, PerRow, PerSetting
from trunkline.run.check import verdicts
from trunkline.run.stream_run import StreamRun
from trunkline.steps.feeds import WindowProven
from trunkline.steps.fetch.context import PendingReply, ReadContext, Steps
from trunkline.steps.fetch.exchange import Reply
from trunkline.steps.plan import Window
from trunkline_contract.runs import timeless

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS = {number: number * 7 % 13 for number in range(40)}
"""Recordings of each call: none to twelve, in pages of five."""


class Recordings(PerRow):
    """A list for each call."""

    name, path = "recordings", "/calls/<id>/recordings"
    primary_keys, replication_key = ("call_id", "id"), "call_at"
    schema = schema(("call_id", "id", "call_at"), call_id={"type": "integer"}, call_at=TIME, id=TEXT, length=TEXT)
    text_or_number = ("length",)
    listed, key_setting, noun = Calls, "known_by", "call"
    carries = {"call_id": "id", "call_at": "at"}  # noqa: RUF012 - a fact, never changed
    paging = NumberedPages(rows="data", total="total")


def vendor(jitter: int = -1) -> Wire:
    """A vendor with forty calls."""
    return Wire([call(number) for number in range(40)], COUNTS, jitter=jitter)


def expected(numbers: range = range(40)) -> list[tuple[int, str]]:
    """Keys of the recordings, in order."""
    return [(number, f"{number}-{place}") for number in numbers for place in range(COUNTS[number])]


def keys(output: Any) -> list[tuple[int, str]]:
    """Keys of the records, in order."""
    return [(row["call_id"], row["id"]) for row in records(output, "recordings")]


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_g1_g4_each_row_has_its_list_whatever_the_order_of_answers(concurrency: int) -> None:
    """Every page of every list, in the order of the rows; the lines are the same for any concurrency."""
    made, output = tap(Recordings, wire=vendor(jitter=concurrency), concurrency=concurrency)
    assert made.run() == 0
    assert keys(output) == expected()
    assert records(output, "recordings")[0] == {
        "call_id": 1,
        "call_at": (BEGIN + timedelta(hours=1)).isoformat(),
        "id": "1-0",
        "length": "0",
        "_extra": None,
    }
    assert COUNTS[39] == 0  # the bookmark is the latest instant that was written
    assert bookmark(output, "recordings") == (BEGIN + timedelta(hours=38)).isoformat()


def test_g3_a_run_goes_on_from_the_rows_it_has_read() -> None:
    """The bookmark is a row's own time, and a second run requests the lists of the lookback and no more."""
    wire = vendor()
    made, output = tap(Recordings, wire=wire)
    assert made.run() == 0
    state = {"recordings": {"replication_key": "call_at", "replication_key_value": bookmark(output, "recordings")}}
    wire.seen.clear()
    again, output = tap(Recordings, wire=wire, state={"bookmarks": state})
    assert again.run() == 0
    assert keys(output) == expected(range(14, 40))
    assert {path for path in wire.paths if path != "/calls"} == {f"/calls/{n}/recordings" for n in range(14, 40)}


class Cursors(Wire):
    """A vendor whose lists are chains: each page names the next one."""

    def page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        if "from" in query:
            return super().page(rows, query)
        first = int(query.get("cursor", "0"))
        last = first + int(query["n"])
        return {"data": rows[first:last], "next": str(last) if last < len(rows) else None}


class Offsets(Wire):
    """A vendor whose lists have offsets."""

    def page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        if "from" in query:
            return super().page(rows, query)
        first = int(query["offset"])
        return {"data": rows[first : first + int(query["n"])], "total": len(rows)}


class Whole(Wire):
    """A vendor whose lists come in one answer, which is the list."""

    def page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> Any:
        return super().page(rows, query) if "from" in query else rows


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        (Cursors, CursorPages(rows="data", size="n")),
        (Offsets, OffsetPages(rows="data", size="n", total="total")),
        (Whole, OnePage()),
    ],
)
def test_g1_a_list_may_be_paged_in_any_way(kind: type[Wire], how: Any) -> None:
    """By a cursor, by an offset, or not at all."""

    class Lists(Recordings):
        paging = how

    made, output = tap(Lists, wire=kind([call(number) for number in range(40)], COUNTS, jitter=1), concurrency=4)
    assert made.run() == 0
    assert keys(output) == expected()


def test_g8_a_list_that_fails_fails_its_window_alone_and_all_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    """What was read before it is written, and the bookmark stays before the window; the other stream goes on."""
    wire = vendor(jitter=2)
    wire.faults["/calls/30/recordings"] = lambda query: (500, {}) if query["page"] == "2" else None
    wire.recordings = {**COUNTS, 30: 9}
    made, output = tap(Calls, Recordings, wire=wire, concurrency=4)
    assert made.run() == 1
    assert keys(output)[: len(expected(range(30)))] == expected(range(30))
    assert {number for number, _ in keys(output)} <= set(range(31))
    assert str(bookmark(output, "recordings")) < (BEGIN + DAY).isoformat()
    assert len(records(output, "calls")) == 40
    assert "recordings of call 30 page 2" in caplog.messages[-1]


@pytest.mark.parametrize("total", [4, 99])
def test_g2_a_list_that_does_not_add_up_fails(caplog: pytest.LogCaptureFixture, total: int) -> None:
    """Its total is the proof, as it is for a window, and the error names the row."""
    wire = Wire([call(number) for number in range(3)], {1: 12})
    wire.faults["/calls/1/recordings"] = lambda query: (
        200,
        {**wire.page([{"id": f"1-{n}", "length": n} for n in range(12)], query), "total": total},
    )
    made, output = tap(Recordings, wire=wire)
    assert made.run() == 1
    assert bookmark(output, "recordings") is None
    assert "recordings of call 1 could not be shown complete" in caplog.messages[-1]


@pytest.mark.parametrize(("status", "code"), [(404, 0), (410, 1), (500, 1)])
def test_g2_only_a_404_says_that_there_is_no_list(caplog: pytest.LogCaptureFixture, status: int, code: int) -> None:
    """It is counted; with a 204 the list is empty, and whatever else is refused fails the stream."""
    wire = vendor()
    wire.faults["/calls/3/recordings"] = lambda _: (status, {})
    wire.faults["/calls/4/recordings"] = lambda _: (204, None)
    made, output = tap(Recordings, wire=wire)
    assert made.run() == code
    found = {number for number, _ in keys(output)}
    assert not found & {3, 4}
    assert 2 in found
    if code == 0:
        (line,) = [line for line in caplog.messages if "have no list yet" in line]
        assert line.startswith("recordings: 1 of ")
        assert line.endswith("(404); later runs request them again")


@pytest.mark.parametrize(("often", "code"), [(False, 1), (True, 0)])
def test_g2_no_list_of_any_row_is_a_wrong_path_unless_that_is_nothing_special(often: bool, code: int) -> None:  # noqa: FBT001 - a parameter
    """Five rows without a list fail the stream, and not where the vendor says so of each row that has nothing."""

    class Lists(Recordings):
        often_missing = often

    wire = Wire([call(number) for number in range(5)])
    for number in range(5):
        wire.faults[f"/calls/{number}/recordings"] = lambda _: (404, {})
    made, output = tap(Lists, wire=wire)
    assert made.run() == code
    assert keys(output) == []


def test_g10_a_row_without_a_key_is_counted_and_named_and_not_requested(caplog: pytest.LogCaptureFixture) -> None:
    """As for details."""
    wire = Wire([call(number) | ({"uuid": None} if number == 2 else {}) for number in range(6)], COUNTS)
    made, output = tap(Recordings, wire=wire, known_by="uuid")
    assert made.run() == 0
    assert {number for number, _ in keys(output)} == {1, 3, 4, 5}
    assert not [path for path in wire.paths if "None" in path or "null" in path]
    (line,) = [line for line in caplog.messages if "have no uuid" in line]
    assert "lists can't be requested (calls 2)" in line


def test_a_probe_reads_the_list_of_one_row() -> None:
    """As few requests as possible show whether the stream can be read."""
    wire = vendor()
    made, _ = tap(Recordings, wire=wire)
    assert [error for _, error in verdicts(made)] == [None]
    assert len(wire.seen) <= 3
    assert [path for path in wire.paths if path != "/calls"] == ["/calls/0/recordings"]


# -- without threads: answers in any order -------------------------------------------------------------------------


class Play:
    """Runs a reading, its requests answered in an order of chance."""

    def __init__(self, seed: int, fails: Callable[[str], bool] = lambda _: False) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self.wire, self.fails = vendor(), fails
        made, _ = tap(Recordings, wire=self.wire, concurrency=3)
        self.stream: Recordings = made.streams["recordings"]
        self.stream.run = StreamRun(self.stream, lambda _: None)
        self.ctx, self.given, self.late = ReadContext(), list[Any](), list[PendingReply]()
        self.most_held = self.most_queued = 0

    def run(self) -> Steps:
        window = Window(BEGIN, BEGIN + 2 * DAY)
        self.stream.source.run = self.stream.run
        steps = Steps(self.ctx, self.stream.source.read([self.stream], window, self.ctx))
        steps.advance()
        while not steps.ended:
            self.most_queued = max(self.most_queued, len(self.ctx.queued))
            pending = self.dice.choice(self.ctx.queued)
            self.ctx.queued.remove(pending)
            request = pending.request
            pending.sent = True
            if self.fails(request.path):
                pending.error = RuntimeError(request.path)
            else:
                status, body = self.wire.answer(request.path, dict(request.params))
                assert status == 200
                reply = Reply(request, status, {}, json.dumps(body).encode())
                pending.reply = Reply(request, status, {}, reply.body, pending.open_body(reply))
            pending.done = True
            if self.dice.random() < 0.7:  # the others are answered and not noticed yet
                self.ctx.hold(pending)
            else:
                self.late.append(pending)
            steps.advance()
            self._take()
        for pending in self.late:
            self.ctx.hold(pending)
        return steps

    def _take(self) -> None:
        self.most_held = max(self.most_held, self.ctx.responses)
        while self.ctx.items:
            _, value, size = self.ctx.items.popleft()
            self.ctx.held -= size
            self.given.append(value)


@pytest.mark.parametrize("seed", range(30))
def test_g4_g5_answers_in_any_order_give_one_order_and_hold_little(seed: int) -> None:
    """The same items, the proof last, nothing held at the end, and never more requests than the look-ahead allows."""
    play = Play(seed)
    steps = play.run()
    assert steps.error is None
    assert isinstance(play.given[-1], WindowProven)
    found = [(given.parent.carried["call_id"], raw) for given in play.given[:-1] for raw in map(bytes, given.rows)]
    assert [number for number, _ in found] == [number for number, _ in expected()]
    ended = [given.parent.carried["call_id"] for given in play.given[:-1] if given.ended]
    assert ended == list(range(40))
    assert (play.ctx.held, play.ctx.responses, len(play.ctx.queued)) == (0, 0, 0)
    # Six lists at once, each with at most its own look-ahead, and the parent's pages.
    assert play.most_queued <= 6 * (1 + 2) + 6 + 1


@pytest.mark.parametrize("seed", range(10))
def test_g8_an_error_comes_in_its_turn_whatever_was_answered_before(seed: int) -> None:
    """Everything of the rows before it is given, and nothing of it or of those behind it."""
    play = Play(seed, lambda path: path == "/calls/20/recordings")
    steps = play.run()
    assert isinstance(steps.error, RuntimeError)
    ended = [given.parent.carried["call_id"] for given in play.given if given.ended]
    assert ended == list(range(20))


def test_the_lines_of_a_run_are_the_same_for_any_concurrency() -> None:
    """But for the time of their extraction."""
    lines = []
    for concurrency in (1, 5):
        made, output = tap(Calls, Recordings, wire=vendor(jitter=3), concurrency=concurrency)
        assert made.run() == 0
        said = messages(output)
        lines.append([timeless(one) for one in said if one["type"] != "STATE"])
    assert lines[0] == lines[1]


def test_g3_lists_of_a_partitioned_list_have_a_bookmark_for_each_partition() -> None:
    """Path, record and state name the partition."""

    class OfTeams(Calls):
        path, per = "/teams/{team}/calls", PerSetting("teams", "team")

    class Lists(Recordings):
        path, listed = "/teams/{team}/calls/<id>/recordings", OfTeams
        primary_keys = ("team", "call_id", "id")  # type: ignore[assignment]
        schema = schema(
            ("team", "call_id", "id", "call_at"),
            team={"type": "string"},
            call_id={"type": "integer"},
            call_at=TIME,
            id=TEXT,
            length=TEXT,
        )

    made, output = tap(Lists, wire=vendor(jitter=5), teams=["a", "b"], concurrency=4)
    assert made.run() == 0
    rows = [(row["team"], row["call_id"], row["id"]) for row in records(output, "recordings")]
    assert rows == [(team, *key) for team in ("a", "b") for key in expected()]
    mark = (BEGIN + timedelta(hours=38)).isoformat()
    assert partitions(output, "recordings") == [({"team": "a"}, mark), ({"team": "b"}, mark)]
    assert made.streams["recordings"].state_partitioning_keys == ("team",)
