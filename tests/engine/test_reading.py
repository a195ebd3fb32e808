"""What the SDK makes public, called as somebody's own Python does: the same records, bookmarks and errors as a run."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from tests.model.harness import TAPS, UTC, Output, Result, bookmark, first_streams, parse, run

from trunkline.errors import AccessDenied, Refused, StateInvalid, TrunklineError, Unavailable, Unproven
from trunkline.exact import encode
from trunkline.steps.write import BlockWriter
from trunkline_contract.runs import PROOFS, timeless
from trunkline_sandbox import Fault, Sandbox
from trunkline_sandbox.transport import SandboxAdapter
from trunkline_sandbox.vendors.conpeek import CAMPAIGNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trunkline.doors.command import VendorTap

RUN_START = datetime(2026, 6, 1, tzinfo=UTC)
FIRST, SECOND = ({"voice_campaign_id": campaign} for campaign in CAMPAIGNS)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "hashed": {"pii": "hash", "pii_key": "key"},
    "mapped": {"stream_maps": {"*": {"__filter__": "True"}}, "flattening_enabled": True, "flattening_max_depth": 1},
}


def made(box: Sandbox, vendor: str, config: dict[str, Any] | None = None, **more: Any) -> tuple[VendorTap, Output]:
    """A tap as an SDK user makes it, and what it writes to."""
    output = Output()
    tap = first_streams(vendor)(
        config={**box.config(vendor), "requests_per_minute": 1_000_000, **(config or {})},
        transport=SandboxAdapter(box, sleep=lambda _: None),
        run_start=RUN_START,
        message_writer=BlockWriter(output),  # type: ignore[arg-type]
        **more,
    )
    return tap, output


def result(output: Output) -> Result:
    """What was written, without what differs from run to run."""
    return Result(0, parse(bytes(output.taken)))


def plain(records: Iterable[Any]) -> list[Any]:
    """Records as JSON has them."""
    return [json.loads(encode(record)) for record in records]


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(size=60)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("vendor", TAPS)
def test_g1_sync_all_writes_what_the_command_writes(box: Sandbox, vendor: str, options: str) -> None:
    """SCHEMA, RECORD and the last STATE are those of a run, with maps, flattening and personal data protected too."""
    ran = run(box, vendor, OPTIONS[options])
    tap, output = made(box, vendor, OPTIONS[options])
    tap.sync_all()
    found = result(output)
    assert found.state == ran.state
    streams = {message["stream"] for message in ran.of("SCHEMA")}
    assert streams
    for stream in streams:
        assert found.of("SCHEMA", stream) == ran.of("SCHEMA", stream)
        assert found.records(stream) == ran.records(stream) != []
    mine, theirs = ({encode(timeless(line)) for line in one.of("RECORD", PROOFS)} for one in (found, ran))
    assert mine == theirs != set()


@pytest.mark.parametrize("options", ["plain", "hashed"])
@pytest.mark.parametrize("vendor", TAPS)
def test_g1_get_records_gives_the_commands_records_as_plain_dicts(box: Sandbox, vendor: str, options: str) -> None:
    """Finished records, again and again, while nothing is written and no bookmark moves."""
    ran = run(box, vendor, OPTIONS[options])
    tap, output = made(box, vendor, OPTIONS[options])
    for _ in range(2):
        for name, stream in tap.streams.items():
            if name == PROOFS:
                continue  # there is nothing to request
            records = list(stream.get_records(None))
            assert {type(record) for record in records} == {dict}
            assert plain(records) == ran.records(name)
    assert (tap.state, bytes(output.taken)) == ({}, b"")


@pytest.mark.parametrize("vendor", TAPS)
def test_g1_one_stream_is_synced_alone(box: Sandbox, vendor: str) -> None:
    """`sync` of one stream writes its SCHEMA, its records and the bookmark that they prove, and no other stream's."""
    ran = run(box, vendor, {})
    assert ran.state is not None
    bookmarks = ran.state.get("bookmarks", {})
    for name in set(made(box, vendor)[0].streams) - {PROOFS}:
        tap, output = made(box, vendor)
        tap.streams[name].sync()
        found = result(output)
        assert {message.get("stream", name) for message in found.messages} == {name}
        assert found.records(name) == ran.records(name)
        assert found.state is not None
        assert found.state.get("bookmarks", {}) == {key: bookmarks[key] for key in bookmarks if key == name}


@pytest.mark.parametrize("vendor", TAPS)
def test_g3_a_dry_run_stops_at_its_limit_and_loses_nothing(box: Sandbox, vendor: str) -> None:
    """As many records a stream as were wanted; a run that goes on from its last STATE has all the rest."""
    ran = run(box, vendor, {})
    for wanted in (1, 7):
        tap, output = made(box, vendor)
        assert tap.run_sync_dry_run(dry_run_record_limit=wanted)
        found = result(output)
        later = run(box, vendor, {}, state=found.state)
        for name in set(tap.streams) - {PROOFS}:
            assert len(found.records(name)) == wanted
            keys = {encode(record) for record in found.records(name) + later.records(name)}
            assert keys == {encode(record) for record in ran.records(name)}
    tap, output = made(box, vendor)
    assert tap.run_connection_test()
    read = set(tap.streams) - {PROOFS}  # a window that is cut off is not proven
    assert {name: len(result(output).records(name)) for name in read} == dict.fromkeys(read, 1)


def test_a_limit_is_told_by_the_sdks_own_exceptions(box: Sandbox) -> None:
    """A stream with a bookmark is paused, a full table has failed: as the SDK documents them. Both end with a STATE."""
    for vendor, name, kind in (
        ("bspk", "calls", AbortedSyncPausedException),
        ("switchtransact", "contacts", AbortedSyncFailedException),
    ):
        tap, output = made(box, vendor)
        stream = tap.streams[name]
        stream.ABORT_AT_RECORD_COUNT = 2
        with pytest.raises(kind):
            stream.sync()
        assert [message["type"] for message in result(output).messages] == ["SCHEMA", "RECORD", "RECORD", "STATE"]


def test_g6_a_connection_test_costs_few_requests(box: Sandbox) -> None:
    """What is cut off after a record is not read ahead."""
    tap, _ = made(box, "evolux", {"page_size": 5, "concurrency": 16})
    before = len(box.requests)
    tap.run_connection_test()
    assert len(box.requests) - before <= 4


@pytest.mark.parametrize("vendor", ["bspk", "hostedsuite", "evolux"])
def test_g2_what_does_not_add_up_is_raised_and_moves_no_bookmark(box: Sandbox, vendor: str) -> None:
    """The SDK's own loop would take the last record for the bookmark."""
    box.fault("wrong_total", by=1)
    tap, output = made(box, vendor, {"max_attempts": 1})
    stream = next(iter(tap.streams.values()))
    with pytest.raises(Unproven):
        list(stream.get_records(None))
    with pytest.raises(Unproven):
        tap.sync_all()
    assert result(output).records(stream.name)
    assert result(output).state == tap.state == {}


def test_g3_a_bookmark_stays_before_what_failed(box: Sandbox) -> None:
    """The window before the failed one is proven; the last STATE is the one of a run that met the same fault."""
    config = {"max_attempts": 1, "window": "P5D", "concurrency": 1}
    fault = Fault("status", r"/calls\?", after=3, status=500)
    box.faults.add(fault)
    ran = run(box, "evolux", config)
    box.faults.clear()
    box.faults.add(fault)
    tap, output = made(box, "evolux", config)
    with pytest.raises(Unavailable):
        tap.streams["studio_calls"].sync()
    found = result(output)
    assert found.records("studio_calls") == ran.records("studio_calls")
    assert bookmark(found.state, "studio_calls") == bookmark(ran.state, "studio_calls")
    assert bookmark(found.state, "studio_calls") is not None


def test_g3_a_stream_goes_on_from_its_bookmark(box: Sandbox) -> None:
    """Both read what a second run reads, and no more."""
    state = run(box, "evolux", {}).state
    again = run(box, "evolux", {}, state=state).records("studio_calls")
    assert 0 < len(again) < 60
    tap, output = made(box, "evolux", state=copy.deepcopy(state))
    assert plain(tap.streams["studio_calls"].get_records(None)) == again
    tap.sync_all()
    assert result(output).records("studio_calls") == again
    assert result(output).state == state


def test_g1_partitions_are_those_of_the_config(box: Sandbox) -> None:
    """A campaign that the state does not know yet is read too: the SDK's own loop knows those of the state alone."""
    alone = run(box, "conpeek", {"voice_campaign_ids": [CAMPAIGNS[0]]})
    tap, output = made(box, "conpeek", state=copy.deepcopy(alone.state))
    assert tap.streams["voice_campaign_requests"].partitions == [FIRST, SECOND]
    tap.sync_all()
    entry = result(output).state["bookmarks"]["voice_campaign_requests"]  # type: ignore[index]
    assert [part["context"] for part in entry["partitions"]] == [FIRST, SECOND]
    assert entry == run(box, "conpeek", {}).state["bookmarks"]["voice_campaign_requests"]  # type: ignore[index]


def test_g6_a_context_reads_its_partition_alone(box: Sandbox) -> None:
    """Records, requests and bookmark of the campaign, and nothing of the other one."""
    ran = run(box, "conpeek", {}).records("voice_campaign_requests")
    mine = [record for record in ran if record["voice_campaign_id"] == CAMPAIGNS[1]]
    tap, output = made(box, "conpeek")
    stream = tap.streams["voice_campaign_requests"]
    box.requests.clear()
    assert plain(stream.get_records(SECOND)) == mine
    stream.sync(dict(SECOND))
    assert result(output).records(stream.name) == mine
    assert all(CAMPAIGNS[1] in entry.path for entry in box.requests)
    (part,) = tap.state["bookmarks"][stream.name]["partitions"]
    assert part["context"] == SECOND


def test_g8_another_partitions_bookmark_does_not_matter(box: Sandbox) -> None:
    """One that can't be read is an error of its own campaign alone."""
    broken = {"context": FIRST, "replication_key": "changed_at", "replication_key_value": "yesterday"}
    state = {"bookmarks": {"voice_campaign_requests": {"partitions": [broken]}}}
    stream = made(box, "conpeek", state=state)[0].streams["voice_campaign_requests"]
    assert list(stream.get_records(SECOND))
    with pytest.raises(StateInvalid):
        list(stream.get_records(FIRST))
    with pytest.raises(StateInvalid):
        list(stream.get_records(None))


def test_g2_a_partition_that_is_none_is_an_error(box: Sandbox) -> None:
    """Never "0 records"; and a stream without partitions is read whatever context it gets, as the SDK documents."""
    tap, _ = made(box, "conpeek")
    with pytest.raises(TrunklineError, match=r"there is no partition .*nobody.*Give one of"):
        list(tap.streams["voice_campaign_requests"].get_records({"voice_campaign_id": "nobody"}))
    calls = made(box, "bspk")[0].streams["calls"]
    assert plain(calls.get_records({"any": "thing"})) == run(box, "bspk", {}).records("calls")


def test_g8_a_failing_partition_does_not_stop_the_others(box: Sandbox) -> None:
    """The other campaigns are read and their bookmarks kept; then the failure is raised."""
    box.fault("status", CAMPAIGNS[0], status=404)
    tap, output = made(box, "conpeek")
    with pytest.raises(Refused, match=CAMPAIGNS[0]):
        tap.sync_all()
    assert {record["voice_campaign_id"] for record in result(output).records("voice_campaign_requests")} == {
        CAMPAIGNS[1]
    }
    assert [part["context"] for part in tap.state["bookmarks"]["voice_campaign_requests"]["partitions"]] == [SECOND]


def test_g6_wrong_credentials_knock_once(box: Sandbox) -> None:
    """A 401 ends the tap: the next stream sends no request."""
    tap, _ = made(box, "evolux", {"api_token": "wrong"})
    for name in set(tap.streams) - {PROOFS}:
        stream = tap.streams[name]
        with pytest.raises(AccessDenied):
            list(stream.get_records(None))
    assert len(box.requests) == 1


@pytest.mark.parametrize("concurrency", [1, 8])
def test_g1_two_streams_are_read_at_the_same_time(box: Sandbox, concurrency: int) -> None:
    """A caller may hold several iterators: each gets its own answers, and one that is left early holds up none."""
    ran = run(box, "evolux", {})
    tap, _ = made(box, "evolux", {"page_size": 5, "concurrency": concurrency})
    left = iter(tap.streams["studio_cdr"].get_records(None))
    next(left)
    names = ("studio_calls", "studio_cdr")
    rows: list[Any] = list(zip(*(tap.streams[name].get_records(None) for name in names), strict=True))
    for place, name in enumerate(names):
        assert plain(row[place] for row in rows) == ran.records(name)


def test_g1_a_stream_is_read_after_a_run(box: Sandbox) -> None:
    """A run ends its threads; what is read of the same tap afterwards has its own."""
    tap, _ = made(box, "bspk")
    assert tap.run() == 0
    assert list(tap.streams["calls"].get_records(None))


def test_g10_what_is_odd_is_told(box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Unknown fields are kept, and counted in the log, as in a run."""
    row = {**box.truth("evolux", "studio_calls")[-1], "made_up": 1}
    box.upsert("evolux", "studio_calls", [row])
    tap, _ = made(box, "evolux")
    with caplog.at_level(logging.WARNING):
        records: list[Any] = list(tap.streams["studio_calls"].get_records(None))
    assert [record["_extra"] for record in records if record["_extra"]] == [{"made_up": 1}]
    assert "fields not in the schema, kept in _extra: made_up (1 times)" in caplog.text


def test_g1_an_unselected_stream_is_left_alone(box: Sandbox) -> None:
    """`sync_all` reads what is selected; no request is sent for anything else."""
    tap, output = made(box, "evolux")
    tap.streams["studio_cdr"].selected = False
    tap.sync_all()
    tap.streams["studio_cdr"].sync()
    assert {message["stream"] for message in result(output).of("RECORD")} == {"studio_calls"}
    assert not any(entry.path.endswith("/cdr") for entry in box.requests)


def test_g1_records_for_somebody_elses_batches(box: Sandbox) -> None:
    """`_sync_records(write_messages=False)`, on which the SDK's `get_batches` stands, writes nothing."""
    tap, output = made(box, "bspk")
    stream: Any = tap.streams["calls"]
    records = list(stream._sync_records(None, write_messages=False))  # noqa: SLF001 - the SDK's own seam
    assert plain(records) == run(box, "bspk", {}).records("calls")
    assert bytes(output.taken) == b""
    assert tap.state == run(box, "bspk", {}).state


def test_g1_standard_output_may_take_text_alone(box: Sandbox) -> None:
    """`redirect_stdout(io.StringIO())` is how many a test of a tap begins."""
    ran = run(box, "bspk", {})
    tap = first_streams("bspk")(config=box.config("bspk"), transport=SandboxAdapter(box), run_start=RUN_START)
    with contextlib.redirect_stdout(io.StringIO()) as text:
        tap.sync_all()
    found = Result(0, parse(text.getvalue().encode()))
    assert (found.records("calls"), found.state) == (ran.records("calls"), ran.state)


@pytest.mark.parametrize("vendor", TAPS)
def test_the_catalog_is_taken_back(box: Sandbox, vendor: str) -> None:
    """`catalog_dict` of one tap is a catalog for the next one, and its state a state."""
    tap, _ = made(box, vendor)
    tap.sync_all()
    catalog = tap.catalog_dict
    assert [entry["tap_stream_id"] for entry in catalog["streams"]] == sorted(tap.streams)
    again, output = made(box, vendor, catalog=catalog, state=copy.deepcopy(tap.state))
    again.sync_all()
    assert result(output).state == tap.state
