"""Proofs of windows as rows: one for each window that is proven, after its rows and before the STATE that covers it."""

from __future__ import annotations

import itertools
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine import wire
from tests.engine.wire import BEGIN, DAY, MINUTE, Wire, call, messages, records, tap

from trunkline.doors.vendors import vendor_taps
from trunkline.facts import DetailStream, NumberedPages, PerSetting, SnapshotStream
from trunkline_contract.runs import PROOFS, run
from trunkline_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

END = BEGIN + 20 * DAY


class NoTotal(wire.Calls):
    """The same calls, and nobody counts them."""

    paging = NumberedPages(since="from", until="to", rows="data")


class Everything(SnapshotStream):
    """All calls as a full table."""

    name, path = "table", "/calls"
    primary_keys = ("id",)
    schema = wire.schema(("id",), id={"type": "integer"})
    paging = NumberedPages(rows="data", total="total")


class Details(DetailStream):
    """One of each call."""

    name, path = "details", "/calls/<id>/detail"
    primary_keys, replication_key = ("call_id",), "call_at"
    listed, detail = wire.Calls, "result.call"
    carries = {"call_id": "id", "call_at": "at"}  # noqa: RUF012 - a fact
    schema = wire.schema(("call_id", "call_at"), call_id={"type": "integer"}, call_at=wire.TIME, note=wire.TEXT)


class OfTeams(wire.Calls):
    """The calls of each team."""

    name, path = "team_calls", "/teams/{team}/calls"
    per = PerSetting("teams", "team")


def proofs(*streams: Any, vendor: Wire, code: int = 0, **config: Any) -> list[dict[str, Any]]:
    """The rows of window_proofs of a run."""
    made, output = tap(*streams, wire=vendor, **config)
    assert made.run() == code
    return records(output, PROOFS)


def spans(rows: Iterable[dict[str, Any]], stream: str) -> list[tuple[datetime, datetime]]:
    """The spans of a stream, in order."""
    found = [row for row in rows if row["stream"] == stream]
    return [(datetime.fromisoformat(row["since"]), datetime.fromisoformat(row["until"])) for row in found]


def test_g2_each_proven_window_has_a_row_and_the_spans_adjoin() -> None:
    """From where the run reads to where it ends, without a gap, each with as many rows as lie in it."""
    calls = [call(number) for number in range(24 * 18)]
    rows = proofs(wire.Calls, vendor=Wire(calls))
    found = spans(rows, "calls")
    assert (found[0][0], found[-1][1]) == (BEGIN, END)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    for row, (since, until) in zip(rows, found, strict=True):
        held = sum(1 for one in calls if since <= datetime.fromisoformat(one["at"]) < until)
        assert (row["rows"], row["rows_within"], row["proof"]) == (held, held, "total")
        assert row["vendor_total"] >= held  # a window is requested from a minute before it begins
        assert row["partition"] == "{}"
        assert row["run_started"] == END.isoformat()
        assert row["read_from"] <= row["read_to"]


def test_g3_a_proof_stands_between_the_rows_of_its_window_and_the_state_that_covers_it() -> None:
    """A loader that has committed a STATE holds the proofs of all rows before it."""
    made, output = tap(wire.Calls, wire=Wire([call(number) for number in range(100)]))
    assert made.run() == 0
    rows, covered = 0, 0
    for line in messages(output):
        if line["type"] == "RECORD" and line["stream"] == "calls":
            rows += 1
        elif line["type"] == "RECORD":
            covered += line["record"]["rows"]
            assert covered == rows
        elif line["type"] == "STATE":
            assert covered == rows
    assert covered == 100


def test_a_window_that_is_read_in_parts_counts_what_each_part_wrote() -> None:
    """Rows of the reading that was given up come again with the parts, and count for none of them twice."""
    calls = [call(number, BEGIN + number * MINUTE) for number in range(900)]
    rows = proofs(wire.Calls, vendor=Wire(calls, cap=5), window="P20D")
    assert len(rows) > 1
    assert sum(row["rows"] for row in rows) == len(calls)
    moving = Wire([call(6 * number) for number in range(60)])
    new = iter(range(1000, 1100))

    def insert(query: dict[str, str]) -> None:
        if query["page"] == "3" and query["to"] > (BEGIN + DAY).isoformat():  # the whole of it never holds still
            moving.calls.insert(0, call(next(new), BEGIN + 30 * MINUTE))

    moving.faults["/calls"] = insert
    rows = proofs(wire.Calls, vendor=moving, window="P20D")
    assert len(rows) > 1
    assert sum(row["rows"] for row in rows) == sum(row["rows_within"] for row in rows) == len(moving.calls) > 60


def test_the_way_of_the_proof_is_named() -> None:
    """By the vendor's total, by two readings, by one that nothing stands behind, or by an answer for each row."""
    few, many = [call(1)], [call(number, BEGIN + number * MINUTE) for number in range(1, 12)]
    assert {row["proof"] for row in proofs(wire.Calls, vendor=Wire(many))} == {"total"}
    assert proofs(NoTotal, vendor=Wire(few))[0]["proof"] == "not_cut_off"
    twice = proofs(NoTotal, vendor=Wire(many))[0]
    assert (twice["proof"], twice["rows"], twice["vendor_total"]) == ("read_twice", 11, None)
    detailed = [row for row in proofs(wire.Calls, Details, vendor=Wire(many)) if row["stream"] == "details"]
    assert {(row["proof"], row["vendor_total"]) for row in detailed} == {("each_answered", None)}
    assert sum(row["rows"] for row in detailed) == sum(row["rows_within"] for row in detailed) == 11


def test_a_full_table_has_one_proof_a_run_at_the_moment_it_was_read() -> None:
    """Its span is that moment, and all of its rows lie within."""
    (row,) = proofs(Everything, vendor=Wire([call(number) for number in range(12)]))
    assert row["since"] == row["until"] == row["read_from"]
    assert (row["rows"], row["rows_within"], row["vendor_total"]) == (12, 12, 12)


def test_each_partition_has_its_proofs() -> None:
    """The partition is JSON text, as in the state."""
    rows = proofs(OfTeams, vendor=Wire([call(1), call(2)]), teams=["a", "b"])
    assert [json.loads(row["partition"]) for row in rows if row["rows"]] == [{"team": "a"}, {"team": "b"}]


def test_g2_a_window_that_failed_has_no_proof() -> None:
    """Those before it have theirs; nothing is claimed of the others."""
    vendor = Wire([call(number) for number in range(100)])
    late = (BEGIN + 2 * DAY).isoformat()[:10]
    vendor.faults["/calls"] = lambda query: (500, {}) if query["to"] > late else None
    rows = proofs(wire.Calls, vendor=vendor, code=1)
    assert rows
    assert max(row["until"] for row in rows) <= (BEGIN + 2 * DAY).isoformat()


def test_without_its_selection_there_are_none() -> None:
    """Whoever does not want the stream deselects it, as any other."""
    made, _ = tap(wire.Calls, wire=Wire([]))
    catalog = made.catalog_dict
    for entry in catalog["streams"]:
        root = next(part for part in entry["metadata"] if not part["breadcrumb"])
        root["metadata"]["selected"] = entry["stream"] != PROOFS
    made, output = tap(wire.Calls, wire=Wire([call(1)]), catalog=catalog)
    assert made.run() == 0
    assert {line.get("stream") for line in messages(output)} == {"calls", None}


def test_g8_proofs_that_can_t_be_written_stop_no_other_stream() -> None:
    """A stream map that raises is named with its stream, and the calls are all there."""
    made, output = tap(wire.Calls, wire=Wire([call(1), call(2)]), stream_maps={PROOFS: {"x": "int('no ' + stream)"}})
    assert made.run() == 1
    assert len(records(output, "calls")) == 2


def test_g2_sync_all_writes_the_proofs_of_streams_of_any_name() -> None:
    """The SDK reads streams in the order of their names, and the proofs come behind the last of them."""

    class Zones(wire.Calls):
        name = "zones"

    made, output = tap(Zones, wire=Wire([call(1), call(2)]))
    made.sync_all()
    assert sum(row["rows"] for row in records(output, PROOFS)) == len(records(output, "zones")) == 2


@pytest.mark.parametrize("by_sdk", [False, True])
def test_g2_a_row_that_a_map_filters_out_is_in_no_proof(*, by_sdk: bool) -> None:
    """A recount would miss it otherwise; a copy of the stream that has it is another table."""
    maps = {"calls": {"__filter__": "id < 5"}, "all_calls": {"__source__": "calls"}}
    made, output = tap(wire.Calls, wire=Wire([call(number) for number in range(12)]), stream_maps=maps)
    assert not (made.sync_all() if by_sdk else made.run())
    assert len(records(output, "all_calls")) == 12
    assert sum(row["rows_within"] for row in records(output, PROOFS)) == len(records(output, "calls")) == 5


@pytest.mark.parametrize("vendor", sorted(vendor_taps("trunkline")))
def test_g2_the_proofs_of_every_stream_count_what_it_wrote(vendor: str) -> None:
    """Each stream that was read has proofs, and they add up to its different keys."""
    result = run(Sandbox(size=20), vendor_taps("trunkline")[vendor], {}, at=BEGIN + 60 * DAY)
    assert result.code == 0
    keys = {line["stream"]: line["key_properties"] for line in result.of("SCHEMA")}
    rows = result.records(PROOFS)
    for stream, names in keys.items():
        different = {tuple(record[name] for name in names) for record in result.records(stream)}
        assert sum(row["rows"] for row in rows if row["stream"] == stream) == len(different), stream
        assert any(row["stream"] == stream for row in rows), stream
