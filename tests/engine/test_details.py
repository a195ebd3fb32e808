"""Details said in facts: a request for each row of another stream, whatever that stream is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.engine.wire import BEGIN, DAY, TEXT, TIME, Calls, Wire, bookmark, call, partitions, records, schema, tap

from trunkline.facts import (
    DetailStream,
    NumberedPages,
    OffsetPages,
    PagedStream,
    PerSetting,
    SnapshotStream,
    UncountedStream,
    details,
)
from trunkline.steps.fetch.context import ReadContext


class Details(DetailStream):
    """By a number that a setting names."""

    name, path = "details", "/calls/<id>/detail"
    primary_keys, replication_key = ("call_id",), "call_at"
    schema = schema(("call_id", "call_at"), call_id={"type": "integer"}, call_at=TIME, note=TEXT)
    listed, detail, key_setting, noun = Calls, "result.call", "known_by", "call"
    carries = {"call_id": "id", "call_at": "at"}  # noqa: RUF012 - a fact, never changed


def test_g1_each_row_has_its_detail_with_what_it_carries_from_there() -> None:
    """In the list's order; the bookmark is the latest row's, and a second run requests no more than the lookback."""
    wire = Wire([call(number) for number in range(60)])
    made, output = tap(Details, wire=wire)
    assert made.run() == 0
    rows = records(output, "details")
    assert [row["call_id"] for row in rows] == list(range(60))
    assert rows[7] == {
        "call_id": 7,
        "call_at": (BEGIN + timedelta(hours=7)).isoformat(),
        "note": "of 7",
        "_extra": None,
    }
    assert bookmark(output, "details") == (BEGIN + timedelta(hours=59)).isoformat()
    state = {"details": {"replication_key": "call_at", "replication_key_value": bookmark(output, "details")}}
    again, output = tap(Details, wire=wire, state={"bookmarks": state})
    assert again.run() == 0
    assert [row["call_id"] for row in records(output, "details")] == list(range(35, 60))


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_g4_one_list_serves_all_that_read_its_rows(concurrency: int) -> None:
    """The list, its details and other details of it stand at one place: each page and each detail is requested once."""

    class Others(Details):
        name = "others"

    wire = Wire([call(number) for number in range(30)], jitter=concurrency)
    made, output = tap(Calls, Details, Others, wire=wire, concurrency=concurrency)
    assert made.run() == 0
    for stream, key in (("calls", "id"), ("details", "call_id"), ("others", "call_id")):
        assert [row[key] for row in records(output, stream)] == list(range(30)), stream
    assert wire.paths["/calls/3/detail"] == 2
    # Behind the last call windows are supposed to be empty and to grow, and may be requested anew as that turns out.
    last = (BEGIN + timedelta(hours=30)).isoformat()
    pages = [tuple(sorted(query.items())) for path, query in wire.seen if path == "/calls" and query["from"] < last]
    assert len(pages) == len(set(pages)) > 5
    alone, output = tap(Details, Others, wire=Wire(wire.calls), concurrency=concurrency)
    assert alone.run() == 0
    assert [row["call_id"] for row in records(output, "others")] == list(range(30))


@pytest.mark.parametrize(("status", "code"), [(404, 0), (204, 0), (410, 1), (403, 1), (500, 1)])
def test_g2_only_a_404_or_204_says_that_a_detail_is_missing(status: int, code: int) -> None:
    """It is counted and the run goes on; whatever else is refused fails the stream."""
    wire = Wire([call(number) for number in range(6)])
    wire.faults["/calls/3/detail"] = lambda _: (status, None if status == 204 else {})
    made, output = tap(Details, wire=wire)
    assert made.run() == code
    assert {row["call_id"] for row in records(output, "details")} >= {0, 1, 2}
    assert (3 in {row["call_id"] for row in records(output, "details")}) is False
    assert made.streams["details"].run.missing == (1 if code == 0 else 0)


@pytest.mark.parametrize("known_by", ["id", "uuid"])
def test_g2_no_detail_of_any_row_is_a_wrong_key_and_not_chance(caplog: pytest.LogCaptureFixture, known_by: str) -> None:
    """Four rows without one may be; five are an error that names the setting and its other value."""
    for count, code in ((4, 0), (5, 1)):
        wire = Wire([call(number) for number in range(count)])
        for number in range(count):
            wire.faults[f"/calls/{number}/detail"] = wire.faults[f"/calls/u {number}/detail"] = lambda _: (404, {})
        made, output = tap(Details, wire=wire, known_by=known_by)
        assert made.run() == code
        assert bookmark(output, "details") is None
    other = "uuid" if known_by == "id" else "id"
    assert f"Its details may be known by the call's {other}: set known_by to {other}" in caplog.messages[-1]


@pytest.mark.parametrize("uuid", [None, "", " ", ".", ".."])
def test_g10_a_row_without_a_key_is_counted_and_named_and_not_requested(
    caplog: pytest.LogCaptureFixture, uuid: str | None
) -> None:
    """No null and no other path is ever requested."""
    wire = Wire([call(number) | ({"uuid": uuid} if number in {2, 4} else {}) for number in range(9)])
    made, output = tap(Details, wire=wire, known_by="uuid")
    assert made.run() == 0
    found = [row["call_id"] for row in records(output, "details")]
    assert found == [0, 1, 3, 5, 6, 7, 8]
    assert sorted(path for path in wire.paths if path != "/calls") == [f"/calls/u {number}/detail" for number in found]
    (line,) = [line for line in caplog.messages if "have no uuid" in line]
    assert "2 of 9 calls of" in line
    assert line.endswith("(calls 2, 4); known_by chooses the number")


@pytest.mark.parametrize("wrong", [{"at": "yesterday"}, {"at": None}, {"id": None}, {"id": "7"}])
def test_g8_a_row_that_can_not_be_read_fails_the_details_alone(
    caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    """What was read before it is written, and the bookmark stays before its window."""
    wire = Wire([call(0), call(1)])
    wire.faults["/calls"] = lambda _: (200, {"data": [call(0), call(1) | wrong], "total": 2})
    made, output = tap(Details, wire=wire, end_date=(BEGIN + DAY).isoformat())
    assert made.run() == 1
    assert bookmark(output, "details") is None
    assert "a call of the list could not be read: id and at are not what the vendor documents" in caplog.messages[-1]


def test_g1_what_the_list_computes_is_carried_too() -> None:
    """A parent whose time is made from UNIX seconds gives its children that time."""

    class Epochs(PagedStream):
        name, path = "calls", "/calls"
        primary_keys, replication_key = ("id",), "at"
        schema = Calls.schema
        computed = {"at": (("uuid",), lambda uuid: (BEGIN + timedelta(hours=int(uuid[2:]))).isoformat())}  # noqa: RUF012
        paging = NumberedPages(since="from", until="to", rows="data", total="total")

    class Computed(Details):
        listed, key_setting, key = Epochs, "", "uuid"  # type: ignore[assignment]

    wire = Wire([call(number) for number in range(12)])
    made, output = tap(Computed, wire=wire)
    assert made.run() == 0
    assert [row["call_at"] for row in records(output, "details")] == [row["at"] for row in wire.calls]


def test_a_path_without_a_place_for_the_key_is_the_authors_mistake() -> None:
    """It is named as one, with the class."""

    class Wrong(Details):
        path = "/calls/detail"

    made, _ = tap(Wrong, wire=Wire([call(0)]))
    with pytest.raises(TypeError, match="the path of Wrong must have one place"):
        made.streams["details"].read_parent(b"{}")


def test_g1_a_full_table_has_details_too() -> None:
    """Without a time to carry there is no bookmark: each run reads all of them."""

    class Table(SnapshotStream):
        name, path, primary_keys = "calls", "/calls", ("id",)
        schema = Calls.schema
        paging = NumberedPages(rows="data", total="total")

    class OfTable(Details):
        replication_key = None  # type: ignore[assignment]
        schema = schema(("call_id",), call_id={"type": "integer"}, note=TEXT)
        listed, carries = Table, {"call_id": "id"}  # type: ignore[assignment]

    wire = Wire([call(number) for number in range(12)])
    made, output = tap(Table, OfTable, wire=wire, concurrency=3)
    assert made.run() == 0
    assert [row["call_id"] for row in records(output, "details")] == list(range(12))
    assert bookmark(output, "details") is None
    assert wire.paths["/calls"] == 3


class OfTeams(Calls):
    """The calls of each team."""

    path, per = "/teams/{team}/calls", PerSetting("teams", "team", noun="team")


def test_g3_g8_a_partitioned_list_has_details_by_partition(caplog: pytest.LogCaptureFixture) -> None:
    """Each partition has its own bookmark, its own paths, and fails alone."""

    class OfTeamsCalls(Details):
        path, listed = "/teams/{team}/calls/<id>/detail", OfTeams
        primary_keys = ("team", "call_id")  # type: ignore[assignment]
        schema = schema(
            ("team", "call_id", "call_at"),
            team={"type": "string"},
            call_id={"type": "integer"},
            call_at=TIME,
            note=TEXT,
        )

    wire = Wire([call(number) for number in range(30)], jitter=4)
    wire.faults["/teams/b c/calls/27/detail"] = lambda _: (500, {})
    made, output = tap(OfTeams, OfTeamsCalls, wire=wire, teams=["a", "b c"], concurrency=4)
    assert made.run() == 1
    rows = [(row["team"], row["call_id"]) for row in records(output, "details")]
    assert [number for team, number in rows if team == "a"] == list(range(30))
    assert [number for team, number in rows if team == "b c"] == list(range(27))
    (of_a, mark_of_a), (of_bc, mark_of_bc) = partitions(output, "details")
    assert (of_a, of_bc) == ({"team": "a"}, {"team": "b c"})
    assert mark_of_bc < (BEGIN + DAY).isoformat() < mark_of_a == (BEGIN + timedelta(hours=29)).isoformat()
    assert len(records(output, "calls")) == 60
    assert "details of b c of call 27 failed" in caplog.messages[-1]


def test_g1_a_setting_stands_in_the_paths_of_a_list_and_of_its_details() -> None:
    """Percent-encoded, in the place of its name in braces; what names no setting, and a key in braces, stays."""

    class Listed(Calls):
        path = "/teams/{region}/calls"

    class OfListed(Details):
        path, listed = "/teams/{region}/calls/<id>/detail", Listed

    wire = Wire([call(number) for number in range(5)])
    made, output = tap(Listed, OfListed, wire=wire, region="a {region}")
    assert made.run() == 0
    assert len(records(output, "calls")) == len(records(output, "details")) == 5
    assert all(path.startswith("/teams/a {region}/calls") for path in wire.paths)
    stream = made.streams["details"]
    assert stream.filled("/{nobody}/%7Bregion%7D/{region}", {}) == "/{nobody}/%7Bregion%7D/a%20%7Bregion%7D"


def test_g1_a_list_without_a_total_has_details_too() -> None:
    """Its rows are requested one by one as soon as their span is proven."""

    class Uncounted(UncountedStream):
        name, path = "calls", "/calls"
        primary_keys, replication_key = ("id",), "at"
        schema = Calls.schema
        paging = OffsetPages(since="from", until="to", size="per_page", offset="offset", rows="data")

    class Lists(Wire):
        def page(self, rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
            first = int(query["offset"])
            return {"data": rows[first : first + int(query["per_page"])]}

    class OfUncounted(Details):
        listed = Uncounted  # type: ignore[assignment]

    made, output = tap(Uncounted, OfUncounted, wire=Lists([call(number) for number in range(12)]), concurrency=3)
    assert made.run() == 0
    assert {row["call_id"] for row in records(output, "details")} == set(range(12))
    assert bookmark(output, "details") == (BEGIN + timedelta(hours=11)).isoformat()
    assert len(records(output, "calls")) >= 12


@pytest.mark.parametrize("concurrency", [1, 8])
def test_g5_a_long_page_is_not_as_many_requests_at_once(monkeypatch: pytest.MonkeyPatch, concurrency: int) -> None:
    """A few are queued, the others as their turn comes; all details come, in the list's order."""
    monkeypatch.setattr(details, "AT_ONCE", 4)
    queued: list[int] = []
    real = ReadContext.request

    def request(ctx: ReadContext, *args: Any, **kwargs: Any) -> Any:
        queued.append(len(ctx.queued))
        return real(ctx, *args, **kwargs)

    monkeypatch.setattr(ReadContext, "request", request)
    wire = Wire([call(number) for number in range(60)])
    made, output = tap(Calls, Details, wire=wire, concurrency=concurrency, page_size=50)
    assert made.run() == 0
    assert [row["call_id"] for row in records(output, "details")] == list(range(60))
    assert max(queued) < 12
