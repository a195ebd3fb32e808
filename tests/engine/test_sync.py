"""A run: the same lines for any concurrency, one stream's failure alone, and a state that covers what was written."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import StreamMapConfigError
from tests.model.harness import first_streams

from tap_conpeek import TapConpeek
from tap_evolux import StudioCdr
from trunkline_contract.runs import timeless
from trunkline_sandbox import Response, Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.doors.command import VendorTap

TapEvolux = first_streams("evolux")
"""A list and the details of its rows: what the tests here are about."""

TapSwitchTransact = first_streams("switchtransact")

RUN = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
Result = tuple[int, list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(size=60)


@pytest.fixture
def run(sandbox: Sandbox, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Result]:
    """`run(TapEvolux, concurrency=8)`: exit code, messages, and lines without their time of extraction."""

    def go(kind: type[VendorTap], state: dict[str, Any] | None = None, **more: Any) -> Result:
        config = {**sandbox.config(kind.vendor), "max_attempts": 1, **more}
        adapter = SandboxAdapter(sandbox, sleep=lambda _: None)
        capfdbinary.readouterr()
        code = kind(config=config, state=state, run_start=RUN, transport=adapter).run()
        lines = capfdbinary.readouterr().out.splitlines()
        messages = [json.loads(line) for line in lines]
        return code, messages, [timeless(message) for message in messages]

    return go


def records(messages: list[dict[str, Any]], stream: str) -> list[dict[str, Any]]:
    return [message["record"] for message in messages if message["type"] == "RECORD" and message["stream"] == stream]


def truth(sandbox: Sandbox) -> set[int]:
    """The calls of the vendor since the start that the sandbox's config names."""
    return {row["id"] for row in sandbox.truth("evolux", "studio_calls") if row["start_time"] >= "2026"}


def last_state(messages: list[dict[str, Any]]) -> dict[str, Any]:
    bookmarks: dict[str, Any] = messages[-1]["value"]["bookmarks"]
    return bookmarks


@pytest.mark.parametrize("kind", [TapEvolux, TapConpeek])
def test_the_lines_are_the_same_for_any_concurrency(run: Callable[..., Result], kind: type[VendorTap]) -> None:
    """SCHEMA, RECORD and the last STATE are byte-identical; STATE in between comes by time."""
    runs = []
    for concurrency in (1, 2, 8, 32):
        code, messages, lines = run(kind, concurrency=concurrency)
        assert code == 0
        kept = [line for line, message in zip(lines, messages, strict=True) if message["type"] != "STATE"]
        runs.append([*kept, lines[-1]])
    assert len(runs[0]) > 60
    assert runs[1:] == runs[:-1]


def test_a_run_says_schema_first_and_state_last(run: Callable[..., Result], sandbox: Sandbox) -> None:
    """Every record follows its schema, everything the vendor had is there, and the last line covers it."""
    code, messages, _ = run(TapEvolux)
    assert code == 0
    seen: set[str] = set()
    for message in messages:
        if message["type"] == "SCHEMA":
            seen.add(message["stream"])
        elif message["type"] == "RECORD":
            assert message["stream"] in seen
    assert {record["id"] for record in records(messages, "studio_calls")} == truth(sandbox)
    assert messages[-1]["type"] == "STATE"
    assert set(last_state(messages)) == {"studio_calls", "studio_cdr"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker-")]


def test_a_second_run_re_reads_the_lookback_and_no_more(run: Callable[..., Result]) -> None:
    """The bookmark stays where it is, as nothing is new."""
    _, first, _ = run(TapEvolux)
    code, second, _ = run(TapEvolux, state={"bookmarks": last_state(first)})
    assert code == 0
    assert last_state(second) == last_state(first)
    assert 0 < len(records(second, "studio_calls")) < len(records(first, "studio_calls"))


def test_g8_one_failing_stream_does_not_stop_the_other(
    run: Callable[..., Result], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The exit code is not 0, the last lines say which and why, and the bookmark of the failed one stays."""
    sandbox.fault("status", r"/cdr", status=400)
    with caplog.at_level(logging.INFO):
        code, messages, _ = run(TapEvolux)
    assert code == 1
    assert len(records(messages, "studio_calls")) == len(truth(sandbox))
    assert set(last_state(messages)) == {"studio_calls"}
    assert "studio_cdr: FAILED after 0 rows" in caplog.text
    assert "HTTP 400" in caplog.text


def test_g8_details_that_are_down_stop_no_list_at_any_concurrency(
    run: Callable[..., Result], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every detail fails with a fault that is tried again: the calls are all read, whatever was in flight."""
    monkeypatch.setattr("trunkline.steps.fetch.client.backoff.full_jitter", lambda _: 0.0)
    sandbox.fault("status", r"/cdr", status=500)
    for workers in (1, 8, 32):
        code, messages, _ = run(TapEvolux, concurrency=workers, max_attempts=3)
        assert code == 1
        assert len(records(messages, "studio_calls")) == len(truth(sandbox)), workers
        assert set(last_state(messages)) == {"studio_calls"}


def test_g2_a_204_for_a_detail_is_one_that_is_not_there_yet(
    run: Callable[..., Result], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """No content is an answer, if an empty one: told, counted, and asked for again by later runs."""
    sandbox.fault("status", r"/cdr", status=204, times=2)
    with caplog.at_level(logging.WARNING):
        code, messages, _ = run(TapEvolux)
    assert code == 0
    assert len(records(messages, "studio_cdr")) == len(truth(sandbox)) - 2
    assert "2 details are not there yet" in caplog.text


def test_g8_one_stream_of_a_lookup_fails_alone(
    run: Callable[..., Result], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of the contacts that raises is an error, and what was looked up is on record all the same."""
    answer = Response(200, (), json.dumps({"status": True, "contact": {"id": "7", "firstname": "x"}}).encode())
    monkeypatch.setattr(sandbox, "handle", lambda _: answer)
    lookups = {"phones": ["+27720000000", "+27720000001"], "emails": [], "terms": [], "lookups_file": None}
    maps = {"contacts": {"half": "int(firstname) / 2"}}
    code, messages, _ = run(TapSwitchTransact, **lookups, stream_maps=maps)
    assert code == 1
    assert not records(messages, "contacts")
    assert len(records(messages, "contact_lookups")) == 2


def test_g10_a_catalog_that_names_or_selects_nothing_of_this_tap_is_told(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A catalog left over from another tap would read nothing without a word."""
    tap = TapEvolux(config=sandbox.config("evolux"))
    catalog = tap.catalog_dict
    for entry in catalog["streams"]:
        entry["tap_stream_id"] = entry["stream"] = "of_another_tap"
    with caplog.at_level(logging.WARNING):
        adapter = SandboxAdapter(sandbox, sleep=lambda _: None)
        assert TapEvolux(config=sandbox.config("evolux"), catalog=catalog, transport=adapter, run_start=RUN).run() == 0
    assert "the catalog names of_another_tap, which is no stream of this tap" in caplog.text
    assert "selects none of studio_calls, studio_cdr, window_proofs: nothing is read" in caplog.text


def test_g9_a_map_that_raises_is_named(run: Callable[..., Result], caplog: pytest.LogCaptureFixture) -> None:
    """What the user's own expression raises is no fault of the tap, and its text may hold values."""
    code, _, _ = run(TapEvolux, stream_maps={"studio_calls": {"x": "int('not a ' + str(id))"}})
    assert code == 1
    assert (
        "studio_calls: a record could not be mapped: the map of x (int(… + str(id))) raised ValueError: "
        "invalid literal for int() with base …: …." in caplog.text
    )


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ({"x": "missing_field"}, "the map of x (missing_field) raised NameNotDefined: 'missing_field' is not defined"),
        ({"x": "exit_reason + 5"}, "the map of x (exit_reason + …) raised TypeError: can only concatenate str"),
        ({"x": "record[exit_reason]"}, "the map of x (record[exit_reason]) raised KeyError: …"),
        (
            {"x": "float(exit_reason[1:])"},
            "the map of x (float(exit_reason[…:])) raised ValueError: could not convert string to float: …",
        ),
        ({"__filter__": "int(exit_reason) > 5"}, "the map of __filter__ (int(exit_reason) > …) raised ValueError"),
        ({"x": "1 / 0"}, "the map of x (… / …) raised ZeroDivisionError: division by zero"),
    ],
)
def test_g9_what_a_map_raises_is_told_without_values(
    run: Callable[..., Result], sandbox: Sandbox, caplog: pytest.LogCaptureFixture, maps: dict[str, str], said: str
) -> None:
    """Stream, field, expression, the exception's kind and text; no value of the record, whole or in part."""
    for row in sandbox.truth("evolux", "studio_calls"):
        sandbox.upsert("evolux", "studio_calls", [{**row, "exit_reason": "Kowalski 600700800"}])
    with caplog.at_level(logging.DEBUG, logger="tap-evolux"):
        code, _, _ = run(TapEvolux, stream_maps={"studio_calls": maps})
    assert code == 1
    assert f"studio_calls: a record could not be mapped: {said}" in caplog.text
    shown = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("tap-evolux"))
    assert not any(part in shown for part in ("Kowalski", "owalski", "600700800"))
    assert "Traceback" in caplog.text  # as LOGLEVEL=DEBUG asks for
    assert "in _eval" in caplog.text


def test_g9_a_map_of_a_stream_that_is_not_selected_is_not_built(sandbox: Sandbox) -> None:
    """What does not fit a stream that nobody reads is no error, also where `*` names it; of a selected one it is."""
    config = {**sandbox.config("evolux"), "stream_maps": {"*": {"call_id": None}}}
    catalog = TapEvolux(config=sandbox.config("evolux")).catalog_dict
    with pytest.raises(StreamMapConfigError):
        TapEvolux(config=config, catalog=catalog)
    for entry in catalog["streams"]:
        for part in entry["metadata"]:
            if not part["breadcrumb"] and entry["tap_stream_id"] == "studio_cdr":
                part["metadata"]["selected"] = False
    assert TapEvolux(config=config, catalog=catalog).streams["studio_calls"].stream_maps


def test_g8_a_fault_of_our_own_in_one_stream_does_not_stop_the_other(
    run: Callable[..., Result], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an exception that nobody foresaw is that stream's failure."""

    def records_of(_: StudioCdr, __: object) -> Any:
        raise KeyError("unforeseen")
        yield  # type: ignore[unreachable] # what makes it a generator

    monkeypatch.setattr(StudioCdr, "records", records_of)
    code, messages, _ = run(TapEvolux)
    assert code == 1
    assert len(records(messages, "studio_calls")) == len(truth(sandbox))
    assert set(last_state(messages)) == {"studio_calls"}


def test_g8_a_campaign_whose_bookmark_can_not_be_read_does_not_stop_the_others(run: Callable[..., Result]) -> None:
    """One partition's trouble is its own."""
    _, first, _ = run(TapConpeek)
    bookmarks = last_state(first)
    parts = bookmarks["voice_campaign_requests"]["partitions"]
    assert len(parts) > 1
    parts[0]["replication_key_value"] = "yesterday"
    code, messages, _ = run(TapConpeek, state={"bookmarks": bookmarks})
    assert code == 1
    other = parts[1]["context"]["voice_campaign_id"]
    assert any(record["voice_campaign_id"] == other for record in records(messages, "voice_campaign_requests"))


def test_wrong_credentials_knock_once(run: Callable[..., Result], sandbox: Sandbox) -> None:
    """A 401 ends the tap: one request, whatever the concurrency."""
    sandbox.requests.clear()
    code, messages, _ = run(TapEvolux, api_token="wrong-token", concurrency=32)
    assert code == 1
    assert len(sandbox.requests.of("evolux")) == 1
    assert not records(messages, "studio_calls")


def test_nothing_to_do_is_a_success_without_a_request(run: Callable[..., Result], sandbox: Sandbox) -> None:
    """An end before the bookmark leaves nothing to ask for."""
    _, first, _ = run(TapEvolux)
    sandbox.requests.clear()
    code, messages, _ = run(
        TapEvolux, state={"bookmarks": last_state(first)}, start_date="2025-01-01", end_date="2025-06-01"
    )
    assert code == 0
    assert len(sandbox.requests.of("evolux")) == 0
    assert not records(messages, "studio_calls")
