"""The writer: whole lines, in order, and nothing is lost at the end."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from singer_sdk.singerlib.encoding.simple import RecordMessage, StateMessage

from trunkline import instants
from trunkline.errors import OutputLost, TrunklineError
from trunkline.steps import write as module
from trunkline.steps.write import BLOCK, BlockWriter


class Output(io.BytesIO):
    """Counts writes."""

    writes = 0

    def write(self, data: Any, /) -> int:
        self.writes += 1
        return super().write(data)


class Unbuffered(io.RawIOBase):
    """Takes a few bytes a call, as the raw output of `python -u` may."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.taken += bytes(data[:7])
        return min(7, len(data))


class Closed(io.BytesIO):
    """A pipe whose other end is gone."""

    def write(self, _: Any, /) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def lines(output: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in output.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still: nothing is written because of its age."""
    monkeypatch.setattr("trunkline.steps.write.time.monotonic", lambda: 100.0)


def test_records_come_out_whole_and_in_order() -> None:
    """Each line is a RECORD message with its stream, the record as it is, and when it was extracted."""
    output = Output()
    writer = BlockWriter(output)
    write = writer.record_line('stream "x"')
    records = [{"id": n, "text": "żó\n\u2028", "n": Decimal("1.10"), "none": None} for n in range(3000)]
    for record in records:
        write(record)
    writer.flush()
    found = lines(output)
    assert [message["record"] for message in found] == records
    assert {message["type"] for message in found} == {"RECORD"}
    assert {message["stream"] for message in found} == {'stream "x"'}
    assert all(instants.from_iso(message["time_extracted"]) for message in found)
    assert output.getvalue().count(b"\n") == 3000
    assert writer.bytes_written == len(output.getvalue())


def test_records_leave_in_blocks() -> None:
    """A write for each record costs more than making it; a block that is full leaves at once."""
    output = Output()
    write = BlockWriter(output).record_line("s")
    for _ in range(1000):
        write({"text": "x" * 1000})
    assert output.writes <= 1_100_000 // BLOCK + 1
    assert len(output.getvalue()) > 1_000_000 - BLOCK


def test_a_state_leaves_at_once_and_after_what_it_covers() -> None:
    """STATE is the promise that everything before it is out."""
    output = Output()
    writer = BlockWriter(output)
    write = writer.record_line("s")
    for n in range(3):
        write({"id": n})
    assert output.getvalue() == b""
    writer.write_message(StateMessage(value={"bookmarks": {}}))
    assert [message["type"] for message in lines(output)] == ["RECORD"] * 3 + ["STATE"]
    write({"id": 3})
    writer.flush()
    assert lines(output)[-1]["record"] == {"id": 3}


def test_both_ways_to_write_a_record_keep_one_order() -> None:
    """A stream with a map and one without share the block."""
    output = Output()
    writer = BlockWriter(output)
    first, second = writer.record_line("a"), writer.record_line("b")
    first({"id": 1})
    writer.write_message(RecordMessage(stream="c", record={"id": 2}))
    second({"id": 3})
    writer.flush()
    assert [(message["stream"], message["record"]["id"]) for message in lines(output)] == [("a", 1), ("c", 2), ("b", 3)]


def test_a_flush_without_anything_writes_nothing() -> None:
    """No empty write, no empty line."""
    output = Output()
    BlockWriter(output).flush()
    assert output.writes == 0


def test_what_a_stream_map_made_is_written() -> None:
    """A date out of an expression becomes ISO 8601; a decimal stays the number it is."""
    output = Output()
    writer = BlockWriter(output)
    moment = datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    writer.write_message(RecordMessage(stream="s", record={"at": moment, "n": Decimal("1.10"), "c": complex(1, 2)}))
    writer.flush()
    assert b'"n":1.10' in output.getvalue()
    record = lines(output)[0]["record"]
    assert instants.from_iso(record["at"]) == moment


def test_an_output_that_takes_a_few_bytes_a_call_gets_them_all() -> None:
    """`python -u` writes to the pipe itself: a signal in the middle makes the write short."""
    output = Unbuffered()
    writer = BlockWriter(output)  # type: ignore[arg-type]
    write = writer.record_line("s")
    for n in range(50):
        write({"id": n})
    writer.flush()
    assert [json.loads(line)["record"]["id"] for line in output.taken.splitlines()] == list(range(50))


def test_a_closed_pipe_is_a_clear_error() -> None:
    """The target has ended: the error says what to look at, and nothing is counted as written."""
    writer = BlockWriter(Closed())
    writer.record_line("s")({"id": 1})
    with pytest.raises(OutputLost, match=r"could not be written: Broken pipe.*target.*next run"):
        writer.flush()
    assert writer.bytes_written == 0


def test_a_closed_file_is_a_clear_error_too() -> None:
    """Python raises ValueError for a file that was closed on our side."""
    output = io.BytesIO()
    output.close()
    writer = BlockWriter(output)
    writer.record_line("s")({"id": 1})
    with pytest.raises(OutputLost, match="closed"):
        writer.flush()


@pytest.mark.parametrize("value", ["\ud800", 10**5000], ids=["surrogate", "digits"])
def test_a_record_that_can_not_be_written_leaves_no_half_line(value: Any) -> None:
    """What JSON can't hold is a clear error, and the lines around it stay whole."""
    output = Output()
    writer = BlockWriter(output)
    write = writer.record_line("calls")
    write({"id": 1})
    with pytest.raises(TrunklineError, match="calls"):
        write({"id": 2, "text": value})
    with pytest.raises(TrunklineError, match="calls"):
        writer.write_message(RecordMessage(stream="calls", record={"id": 2, "text": value}))
    write({"id": 3})
    writer.flush()
    assert [message["record"]["id"] for message in lines(output)] == [1, 3]


def test_a_small_block_leaves_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow vendor's rows are seen at once, not when a block is full."""
    output = Output()
    writer = BlockWriter(output)
    writer.record_line("s")({"id": 1})
    writer.tick()
    assert output.getvalue() == b""
    monkeypatch.setattr("trunkline.steps.write.time.monotonic", lambda: 100.0 + 2 * module.AGE)
    writer.tick()
    assert len(lines(output)) == 1
