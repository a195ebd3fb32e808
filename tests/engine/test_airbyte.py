"""The Airbyte face: every line is a message of the protocol, and what it says is what the tap and its vendor say."""

from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest
from airbyte_protocol_dataclasses.models import AirbyteMessage  # type: ignore[import-untyped]  # has no py.typed
from click.testing import CliRunner

from tap_bspk import TapBSPK
from tap_conpeek import TapConpeek
from tap_evolux import TapEvolux
from tap_hostedsuite import TapHostedSuite
from tap_switchtransact import TapSwitchTransact
from trunkline import process
from trunkline.doors.airbyte import source
from trunkline.doors.airbyte.messages import MessageLines
from trunkline.doors.airbyte.source import COMMANDS, serve
from trunkline.redact import MASK
from trunkline.steps.write import BlockWriter
from trunkline_contract.runs import PROOFS
from trunkline_sandbox import Sandbox, running
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.doors.command import VendorTap

    Message = dict[str, Any]

TAPS: dict[str, type[VendorTap]] = {
    "bspk": TapBSPK,
    "conpeek": TapConpeek,
    "evolux": TapEvolux,
    "hostedsuite": TapHostedSuite,
    "switchtransact": TapSwitchTransact,
}
INCREMENTAL = [vendor for vendor in TAPS if vendor != "switchtransact"]
RUN_START = datetime(2026, 2, 1, 12, tzinfo=timezone.utc)
SECRET = "sandbox-evolux-token"
FAST = {"requests_per_minute": 1_000_000, "max_attempts": 1, "window": "P7D"}


def valid(line: bytes) -> Message:
    """The message of a line, which must be one of the protocol's, with no field that the protocol does not have."""
    message: Message = msgspec.json.decode(line)
    model = msgspec.convert(message, AirbyteMessage)
    assert not list(foreign(message, msgspec.to_builtins(model), ""))
    return message


def foreign(message: Any, known: Any, at: str) -> Any:
    """The fields that a message has and its model does not; a stream's own state is anything."""
    if isinstance(message, dict) and not at.endswith(".stream_state"):
        for name, value in message.items():
            if name not in known:
                yield f"{at}.{name}"
            else:
                yield from foreign(value, known[name], f"{at}.{name}")
    elif isinstance(message, list):
        for one, other in zip(message, known, strict=True):
            yield from foreign(one, other, at)


class Airbyte:
    """Runs the commands of one source in this process, with a sandbox in the place of its vendor."""

    def __init__(self, folder: Path, vendor: str, size: int = 40) -> None:
        self.folder, self.vendor, self.tap = folder, vendor, TAPS[vendor]
        self.sandbox = Sandbox(seed=5, size=size)
        # By the time of creation, a row that was updated behind its window holds the bookmark back until the next run.
        self.sandbox.knobs("bspk", filter_on="updated")
        fast = {name: value for name, value in FAST.items() if name in self.tap.common}
        self.config = {**self.sandbox.config(vendor), **fast}
        self.code = 0

    def run(self, command: str, **files: Any) -> list[Message]:
        """The messages of a command; what stands in its files is given as JSON values, or as text for no JSON."""
        paths: dict[str, str | None] = {}
        for name, content in {"config": self.config, **files}.items():
            path = self.folder / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            paths[name] = str(path)
        output = io.BytesIO()
        transport = SandboxAdapter(self.sandbox, sleep=lambda _: None)
        self.code = serve(self.tap, command, paths, MessageLines(output), transport=transport, run_start=RUN_START)
        assert output.getvalue().endswith(b"\n")
        return [valid(line) for line in output.getvalue().splitlines()]

    def catalog(self, mode: str = "incremental", *, without: Sequence[str] = ()) -> Message:
        """The discovered streams, all of them, each to be read in this mode and without some fields."""
        streams = self.run("discover")[-1]["catalog"]["streams"]
        for stream in streams:
            for name in without:
                stream["json_schema"]["properties"].pop(name, None)
        return {
            "streams": [
                {"stream": stream, "sync_mode": mode, "destination_sync_mode": "append_dedup"} for stream in streams
            ]
        }

    def read(self, state: Any = None, mode: str = "incremental", **more: Any) -> list[Message]:
        """The messages of a read of all streams."""
        return self.run("read", catalog=self.catalog(mode, **more), **({} if state is None else {"state": state}))

    def own_records(self, **config: Any) -> list[tuple[str, Any]]:
        """What the tap itself writes, of all its streams."""
        output = io.BytesIO()
        transport = SandboxAdapter(self.sandbox, sleep=lambda _: None)
        kinds: Any = tuple(type(one.__name__, (one,), {"selected_by_default": True}) for one in self.tap.stream_types)
        tap = type(self.tap.__name__, (self.tap,), {"stream_types": kinds})(
            config={**self.config, **config},
            transport=transport,
            run_start=RUN_START,
            message_writer=BlockWriter(output),
        )
        assert tap.run() == 0
        lines = map(json.loads, output.getvalue().splitlines())
        written = ((line["stream"], line["record"]) for line in lines if line["type"] == "RECORD")
        return [(stream, record) for stream, record in written if stream != PROOFS]


@pytest.fixture
def airbyte(tmp_path: Path) -> Airbyte:
    return Airbyte(tmp_path, "evolux")


def of(messages: Sequence[Message], kind: str) -> list[Any]:
    """What the messages of a type hold."""
    return [message[kind.lower()] for message in messages if message["type"] == kind]


def records(messages: Sequence[Message]) -> list[tuple[str, Any]]:
    """The records but for the proofs of their windows, whose times differ from read to read."""
    found = ((record["stream"], record["data"]) for record in of(messages, "RECORD"))
    return [(stream, record) for stream, record in found if stream != PROOFS]


def states(messages: Sequence[Message]) -> list[Message]:
    """The STATE messages as Airbyte gives them to the next read: the last one of each stream."""
    last = {state["stream"]["stream_descriptor"]["name"]: state for state in of(messages, "STATE")}
    return list(last.values())


def statuses(messages: Sequence[Message], stream: str) -> list[str]:
    told = [trace["stream_status"] for trace in of(messages, "TRACE") if trace["type"] == "STREAM_STATUS"]
    return [one["status"] for one in told if one["stream_descriptor"]["name"] == stream]


def errors(messages: Sequence[Message]) -> list[Message]:
    return [trace["error"] for trace in of(messages, "TRACE") if trace["type"] == "ERROR"]


def status(messages: Sequence[Message]) -> Message:
    found: Message = messages[-1]["connectionStatus"]
    return found


def names(tap: type[VendorTap]) -> list[str]:
    kinds: list[Any] = list(tap.stream_types)
    return [kind.name for kind in kinds]


def once(tap: type[VendorTap], rows: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The records without those that say again what was last said under their key."""
    kinds: list[Any] = list(tap.stream_types)
    keys = {kind.name: kind.primary_keys for kind in kinds}
    last: dict[Any, Any] = {}
    found = []
    for stream, row in rows:
        key = (stream, *(row[name] for name in keys[stream]))
        if last.get(key) != row:
            found.append((stream, row))
        last[key] = row
    return found


# -- spec --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", TAPS)
def test_spec_is_a_form_for_the_taps_settings(tmp_path: Path, vendor: str) -> None:
    """A valid JSON schema with each setting once and in order; it accepts a good config and marks every secret."""
    airbyte = Airbyte(tmp_path, vendor)
    (message,) = airbyte.run("spec")
    form = message["spec"]["connectionSpecification"]
    jsonschema.Draft7Validator.check_schema(form)
    jsonschema.Draft7Validator(form).validate(airbyte.config)
    fields, settings = form["properties"], {**airbyte.tap.settings, **airbyte.tap.common}
    assert settings.keys() <= fields.keys()
    assert sorted(field["order"] for field in fields.values()) == list(range(len(fields)))
    assert {name for name, field in fields.items() if field.get("airbyte_secret")} == {
        name for name, setting in settings.items() if setting.get("secret")
    }
    assert set(form["required"]) == {*airbyte.tap.required, *airbyte.tap.required_to_start}
    assert all(field["description"] and isinstance(field["type"], str) for field in fields.values())
    assert message["spec"]["supportsIncremental"]
    assert not any(r"\Z" in field.get("pattern", "") for field in fields.values())
    assert {name: setting["default"] for name, setting in settings.items() if "default" in setting} == {
        name: field["default"] for name, field in fields.items() if "default" in field
    }


# -- check -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", TAPS)
def test_check_asks_the_vendor(tmp_path: Path, vendor: str) -> None:
    """With what the vendor accepts it succeeds, and it has asked."""
    airbyte = Airbyte(tmp_path, vendor)
    assert status(airbyte.run("check")) == {"status": "SUCCEEDED"}
    assert (airbyte.code, len(airbyte.sandbox.requests) > 0) == (0, True)


@pytest.mark.parametrize("vendor", TAPS)
def test_g7_a_check_with_wrong_credentials_fails_and_names_the_setting(tmp_path: Path, vendor: str) -> None:
    """FAILED with what to do and exit code 0, as Airbyte expects of an answer; the secret is in no message."""
    airbyte = Airbyte(tmp_path, vendor)
    secret = next(name for name in airbyte.tap.required if airbyte.tap.settings[name].get("secret"))
    airbyte.config[secret] = "not-the-right-one"
    messages = airbyte.run("check")
    assert (airbyte.code, status(messages)["status"]) == (0, "FAILED")
    assert "Check" in status(messages)["message"]
    assert "not-the-right-one" not in json.dumps(messages)


def test_g6_wrong_credentials_do_not_knock_for_every_stream(airbyte: Airbyte) -> None:
    """The first stream's no is the answer for all."""
    airbyte.config["api_token"] = "wrong"
    airbyte.run("check")
    assert len(airbyte.sandbox.requests) == 1


def test_g9_a_check_of_a_bad_config_tells_all_problems(airbyte: Airbyte) -> None:
    """A line each, a start_date that the first read will miss included; no traceback and no value of a secret."""
    airbyte.config |= {"api_token": f"{SECRET}\n", "page_size": 51, "windw": "P1D"}
    del airbyte.config["start_date"]
    messages = airbyte.run("check")
    lines = status(messages)["message"].splitlines()
    assert [line.split()[0] for line in lines] == ["windw", "api_token", "page_size", "start_date"]
    assert airbyte.code == 0
    assert SECRET not in json.dumps(messages)


def test_a_check_without_the_start_date_that_the_first_read_needs_fails(airbyte: Airbyte) -> None:
    """The tap alone would take it, as a bookmark may make it needless; a check knows no bookmark."""
    del airbyte.config["start_date"]
    assert status(airbyte.run("check"))["message"].startswith("start_date is missing: ")


def test_a_check_of_a_vendor_that_is_down_fails(airbyte: Airbyte) -> None:
    """It says for each stream why it can't be read."""
    airbyte.sandbox.fault("status", status=503)
    message = status(airbyte.run("check"))
    assert message["status"] == "FAILED"
    assert message["message"].startswith("studio_calls: ")
    assert "\nstudio_cdr: " in message["message"]


def test_a_fault_of_our_own_is_no_answer(airbyte: Airbyte, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TRACE message with the traceback and exit code 1, so that Airbyte does not blame the user's settings."""
    monkeypatch.setattr(TapEvolux, "sign", lambda *_: 1 // 0)
    messages = airbyte.run("check")
    (error,) = errors(messages)
    assert (airbyte.code, error["failure_type"]) == (1, "system_error")
    assert "ZeroDivisionError" in error["stack_trace"]
    assert not [message for message in messages if message["type"] == "CONNECTION_STATUS"]


# -- discover ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", TAPS)
def test_discover_tells_keys_and_cursors(tmp_path: Path, vendor: str) -> None:
    """Each stream with its schema, key and, where it has one, its replication key as the source's own cursor."""
    airbyte = Airbyte(tmp_path, vendor)
    streams = {stream["name"]: stream for stream in airbyte.run("discover")[-1]["catalog"]["streams"]}
    kinds: list[Any] = list(airbyte.tap.stream_types)
    assert sorted(streams) == sorted([*(kind.name for kind in kinds), PROOFS])
    for kind in kinds:
        stream = streams[kind.name]
        assert stream["source_defined_primary_key"] == [[name] for name in kind.primary_keys]
        assert {name for (name,) in stream["source_defined_primary_key"]} <= stream["json_schema"]["properties"].keys()
        assert stream.get("default_cursor_field") == ([kind.replication_key] if kind.replication_key else None)
        assert stream.get("source_defined_cursor", False) == bool(kind.replication_key)
        modes = ["full_refresh", "incremental"] if kind.replication_key else ["full_refresh"]
        assert stream["supported_sync_modes"] == modes
    assert len(airbyte.sandbox.requests) == 0


@pytest.mark.parametrize("command", ["discover", "read"])
def test_g9_a_bad_config_ends_the_other_commands_with_a_config_error(airbyte: Airbyte, command: str) -> None:
    """One TRACE message with all that is wrong, exit code 1, and no request."""
    airbyte.config |= {"page_size": 0, "windw": "P1D"}
    messages = airbyte.run(command, catalog={"streams": []})
    (error,) = errors(messages)
    assert (airbyte.code, error["failure_type"]) == (1, "config_error")
    assert [line.split()[0] for line in error["message"].splitlines()] == ["windw", "page_size"]
    assert "stack_trace" not in error


def test_what_airbyte_adds_to_a_config_is_no_setting(airbyte: Airbyte) -> None:
    """Names with underscores before them are Airbyte's own and are left out."""
    airbyte.config |= {"__injected_declarative_manifest": {}, "_limit": 3}
    assert status(airbyte.run("check")) == {"status": "SUCCEEDED"}


# -- read --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", TAPS)
def test_read_gives_what_the_tap_gives(tmp_path: Path, vendor: str) -> None:
    """The same records in the same order; each stream starts, runs, ends with a last STATE, and all are counted."""
    airbyte = Airbyte(tmp_path, vendor)
    messages = airbyte.read()
    assert airbyte.code == 0
    assert records(messages) == once(airbyte.tap, airbyte.own_records())
    counted = Counter(stream for stream, _ in records(messages))
    for name in names(airbyte.tap):
        assert statuses(messages, name) == ["STARTED", "RUNNING", "COMPLETE"]
        mine = [state for state in of(messages, "STATE") if state["stream"]["stream_descriptor"]["name"] == name]
        assert sum(state["sourceStats"]["recordCount"] for state in mine) == counted[name] > 0
    times = {record["emitted_at"] // 100_000_000_000 for record in of(messages, "RECORD")}
    assert times <= set(range(15, 25))  # milliseconds, of this decade or so
    assert not errors(messages)


@pytest.mark.parametrize("vendor", TAPS)
def test_g2_the_proofs_of_windows_are_a_stream_of_the_source(tmp_path: Path, vendor: str) -> None:
    """One for each window that the tap proves, counted by its own STATE; without its configuration there are none."""
    airbyte = Airbyte(tmp_path, vendor)
    messages = airbyte.read()
    proofs = [record["data"] for record in of(messages, "RECORD") if record["stream"] == PROOFS]
    assert {proof["stream"] for proof in proofs} == set(names(airbyte.tap))
    assert statuses(messages, PROOFS) == ["STARTED", "RUNNING", "COMPLETE"]
    states = [one for one in of(messages, "STATE") if one["stream"]["stream_descriptor"]["name"] == PROOFS]
    assert sum(one["sourceStats"]["recordCount"] for one in states) == len(proofs)
    assert states[-1]["stream"]["stream_state"]["replication_key_value"] == RUN_START.isoformat()
    (entry,) = (one["stream"] for one in airbyte.catalog()["streams"] if one["stream"]["name"] == PROOFS)
    assert entry["supported_sync_modes"] == ["full_refresh", "incremental"], "what overwrites would lose earlier proofs"
    assert entry["default_cursor_field"] == ["read_to"]
    without = {"streams": [one for one in airbyte.catalog()["streams"] if one["stream"]["name"] != PROOFS]}
    messages = airbyte.run("read", catalog=without)
    assert airbyte.code == 0
    assert PROOFS not in {record["stream"] for record in of(messages, "RECORD")}


@pytest.mark.parametrize("vendor", INCREMENTAL)
def test_a_second_read_goes_on_from_the_states_of_the_first(tmp_path: Path, vendor: str) -> None:
    """It asks less, gives the lookback again, and nothing is lost of what came in between."""
    airbyte = Airbyte(tmp_path, vendor)
    first = airbyte.read()
    asked = len(airbyte.sandbox.requests)
    airbyte.sandbox.requests.clear()
    second = airbyte.read(states(first))
    assert airbyte.code == 0
    assert len(airbyte.sandbox.requests) < asked
    assert 0 < len(records(second)) < len(records(first))
    keys = {str(row) for row in records(first)}
    assert {str(row) for row in records(second)} <= keys
    assert [one["stream"] for one in states(second)] == [one["stream"] for one in states(first)]


def test_rows_that_come_between_two_reads_are_in_the_second(tmp_path: Path) -> None:
    """The state is the tap's bookmark: what is newer than it is read, and it moves there."""
    airbyte = Airbyte(tmp_path, "bspk")
    first = airbyte.read()
    row = {**airbyte.sandbox.truth("bspk", "calls")[-1], "created_at": "2026-01-31T08:00:00.000Z"}
    airbyte.sandbox.upsert("bspk", "calls", [row])
    second = airbyte.read(states(first))
    assert [data["created_at"] for stream, data in records(second) if stream == "calls"][-1] == row["created_at"]
    assert states(second)[0]["stream"]["stream_state"]["replication_key_value"].startswith("2026-01-31T08:00:00")


def test_a_stream_with_nothing_to_read_is_complete_and_tells_its_state(airbyte: Airbyte) -> None:
    """The state that came in goes out again, with no records; a state that is not told might be taken for none."""
    first = airbyte.read()
    airbyte.config["end_date"] = "2026-01-02"
    second = airbyte.read(states(first))
    tables = {"agents", "queues"}  # read anew each time
    assert (airbyte.code, {stream for stream, _ in records(second)}) == (0, tables)
    assert stream_states(second) == stream_states(first)
    of = {one["stream"]["stream_descriptor"]["name"]: one["sourceStats"]["recordCount"] for one in states(second)}
    assert {count for name, count in of.items() if name not in {*tables, PROOFS}} == {0}
    assert statuses(second, "studio_cdr") == ["STARTED", "COMPLETE"]


def test_a_full_refresh_starts_from_start_date_whatever_the_state_says(airbyte: Airbyte) -> None:
    """Everything comes again, and there is a last STATE all the same."""
    first = airbyte.read()
    second = airbyte.read(states(first), mode="full_refresh")
    assert records(second) == records(first)
    assert [one["stream"] for one in states(second)] == [one["stream"] for one in states(first)]


def test_streams_of_one_source_can_be_read_in_different_modes(airbyte: Airbyte) -> None:
    """One from its state, the other one from the start, each as the catalog says."""
    first, catalog = airbyte.read(), airbyte.catalog()
    catalog["streams"][0]["sync_mode"] = "full_refresh"
    second = airbyte.run("read", catalog=catalog, state=states(first))
    before, after = (Counter(stream for stream, _ in records(messages)) for messages in (first, second))
    assert after["studio_calls"] == before["studio_calls"]
    assert 0 < after["studio_cdr"] < before["studio_cdr"]


def test_only_configured_streams_and_fields_are_read(airbyte: Airbyte) -> None:
    """A stream that the catalog leaves out is not asked for; of a field it leaves out nothing is written."""
    catalog = airbyte.catalog(without=["end_time"])
    catalog["streams"] = catalog["streams"][:1]
    messages = airbyte.run("read", catalog=catalog)
    assert {stream for stream, _ in records(messages)} == {"studio_calls"}
    assert all("end_time" not in data and "id" in data for _, data in records(messages))
    assert all("end_time" not in (data["_extra"] or ()) for _, data in records(messages))
    told = [message["log"]["message"] for message in messages if message["type"] == "LOG"]
    assert "studio_calls: the configured catalog leaves out end_time: not read" in told
    assert not [entry for entry in airbyte.sandbox.requests if entry.path.endswith("/cdr")]


def test_a_catalog_without_fields_means_all_of_them(airbyte: Airbyte) -> None:
    """A catalog written by hand need not repeat the schemas."""
    names = [stream["stream"]["name"] for stream in airbyte.catalog()["streams"]]
    streams = [{"stream": {"name": name, "json_schema": {}}, "sync_mode": "incremental"} for name in names]
    assert records(airbyte.run("read", catalog={"streams": streams})) == airbyte.own_records()


def test_stream_maps_are_told_and_read_under_their_names(airbyte: Airbyte) -> None:
    """A map that renames, filters or doubles a stream holds for discover, read and state alike."""
    maps = {"studio_cdr": {"__alias__": "details"}, "short": {"__source__": "studio_calls", "id": "id"}}
    airbyte.config["stream_maps"] = maps
    first = airbyte.read()
    assert airbyte.code == 0
    others = {"dialer_calls", "agent_pauses", "agents", "queues", "queue_calls"}
    assert set(Counter(stream for stream, _ in records(first))) == {"studio_calls", "short", "details", *others}
    assert records(first) == airbyte.own_records()
    assert all(statuses(first, name)[-1] == "COMPLETE" for name in ("studio_calls", "short", "details"))
    second = airbyte.read(states(first))
    assert 0 < len(records(second)) < len(records(first))
    one_forgotten = [one for one in states(first) if one["stream"]["stream_descriptor"]["name"] != "short"]
    third = Counter(stream for stream, _ in records(airbyte.read(one_forgotten)))
    assert third["short"] == third["studio_calls"] == Counter(stream for stream, _ in records(first))["short"]


@pytest.mark.parametrize("vendor", TAPS)
def test_g4_messages_are_the_same_for_any_concurrency(tmp_path: Path, vendor: str) -> None:
    """Records, statuses and the last STATE of each stream, but for the times at which they were emitted."""
    airbyte = Airbyte(tmp_path, vendor)
    told = []
    for concurrency in (1, 8):
        airbyte.config["concurrency"] = concurrency
        messages = airbyte.read()
        ended = [statuses(messages, name) for name in names(airbyte.tap)]
        told.append((records(messages), ended, stream_states(messages)))
    assert told[0] == told[1]


def stream_states(messages: Sequence[Message]) -> Mapping[str, Any]:
    return {one["stream"]["stream_descriptor"]["name"]: one["stream"]["stream_state"] for one in states(messages)}


# -- state and catalog that are no good --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["", "{}", "[]", "null", '[{"type":"LEGACY","data":{}}]'])
def test_no_state_is_a_start(airbyte: Airbyte, state: str) -> None:
    """However Airbyte says that there is none, and also when there is no file at all."""
    assert len(records(airbyte.read(state))) == len(airbyte.own_records())
    missing = {"config": str(airbyte.folder / "config.json"), "catalog": str(airbyte.folder / "catalog.json")}
    output = io.BytesIO()
    adapter = SandboxAdapter(airbyte.sandbox)
    files = {**missing, "state": str(airbyte.folder / "nowhere.json")}
    assert serve(TapEvolux, "read", files, MessageLines(output), transport=adapter, run_start=RUN_START) == 0


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("{", "JSON"),
        ('[{"type":"LEGACY","data":{"cursor":1}}]', "streams"),
        ('[{"type":"GLOBAL","global":{}}]', "streams"),
        ('["calls"]', "streams"),
        ('{"bookmarks":{}}', "streams"),
        ('[{"type":"STREAM","stream":{"stream_state":{"a":1}}}]', "stream_descriptor"),
        ('[{"type":"STREAM","stream":{"stream_descriptor":{"name":"studio_calls"},"stream_state":7}}]', "object"),
        (
            '[{"type":"STREAM","stream":{"stream_descriptor":{"name":"studio_calls"},"stream_state":{"cursor":"x"}}}]',
            "studio_calls",
        ),
    ],
)
def test_a_state_that_is_not_ours_is_refused(airbyte: Airbyte, state: str, word: str) -> None:
    """Before the first request and with what to do: it is never taken for none."""
    messages = airbyte.read(state)
    (error,) = errors(messages)
    assert (airbyte.code, error["failure_type"], len(airbyte.sandbox.requests)) == (1, "config_error", 0)
    assert word in error["message"]


def test_g1_a_state_of_another_account_is_refused_unless_it_has_moved(airbyte: Airbyte) -> None:
    """Each stream's state knows its account: a config_error before any request, and `new_account` goes on from it."""
    kept = json.loads(json.dumps(states(airbyte.read())))
    for one in kept:
        if "account" in one["stream"]["stream_state"]:
            assert one["stream"]["stream_state"]["account"] == {"api_url": airbyte.config["api_url"]}
            one["stream"]["stream_state"]["account"]["api_url"] = "https://elsewhere.example"
    airbyte.sandbox.requests.clear()
    (error,) = errors(airbyte.read(kept))
    assert (airbyte.code, error["failure_type"], len(airbyte.sandbox.requests)) == (1, "config_error", 0)
    assert "https://elsewhere.example" in error["message"]
    assert airbyte.config["api_url"] in error["message"]
    airbyte.config["new_account"] = True
    moved = states(airbyte.read(kept))
    assert airbyte.code == 0
    assert "elsewhere" not in json.dumps(moved)


@pytest.mark.parametrize(
    "catalog", ["", "[]", '{"streams":[{}]}', '{"streams":[{"stream":{"name":"studio_calls"},"sync_mode":"often"}]}']
)
def test_a_catalog_that_is_none_is_refused(airbyte: Airbyte, catalog: str) -> None:
    """With what to do, and before the first request."""
    (error,) = errors(airbyte.run("read", catalog=catalog))
    assert (airbyte.code, error["failure_type"], len(airbyte.sandbox.requests)) == (1, "config_error", 0)
    assert error["message"].startswith("the catalog could not be read: ")


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 503}, "transient_error"),
        ({"kind": "status", "status": 400}, "config_error"),
        ({"kind": "html200"}, "system_error"),
    ],
    ids=str,
)
def test_g8_one_failing_stream_leaves_the_other_complete(airbyte: Airbyte, fault: dict[str, Any], kind: str) -> None:
    """It is INCOMPLETE with a TRACE message of its own that says whose matter it is; the exit code is 1."""
    airbyte.sandbox.fault(match="/cdr", **fault)
    messages = airbyte.read()
    assert airbyte.code == 1
    assert statuses(messages, "studio_calls") == ["STARTED", "RUNNING", "COMPLETE"]
    assert statuses(messages, "studio_cdr")[-1] == "INCOMPLETE"
    (error,) = errors(messages)
    assert (error["failure_type"], error["stream_descriptor"]) == (kind, {"name": "studio_cdr"})
    assert error["message"].startswith("studio_cdr: ")


def test_refused_credentials_end_every_stream(airbyte: Airbyte) -> None:
    """Each is INCOMPLETE and a config_error, also the one that was never begun."""
    airbyte.config["api_token"] = "wrong"
    messages = airbyte.read()
    assert airbyte.code == 1
    assert {error["failure_type"] for error in errors(messages)} == {"config_error"}
    for stream in ("studio_calls", "studio_cdr"):
        assert statuses(messages, stream) == ["STARTED", "INCOMPLETE"]
    assert len(airbyte.sandbox.requests) == 1


def test_many_failed_partitions_are_one_message(tmp_path: Path) -> None:
    """A stream of thousands of lookups that all fail tells the first of them and how many more there are."""
    airbyte = Airbyte(tmp_path, "switchtransact")
    airbyte.sandbox.fault("status", status=400)
    messages = airbyte.read()
    first = errors(messages)[:2]
    assert [error["stream_descriptor"]["name"] for error in first] == ["contacts", "contact_lookups"]
    assert all("more failures are in the log" in error["message"] for error in first)


def test_a_stream_that_is_gone_does_not_stop_the_others(airbyte: Airbyte) -> None:
    """A catalog of an earlier release may name one: the error says to refresh it."""
    catalog = airbyte.catalog()
    catalog["streams"].append({"stream": {"name": "faxes", "json_schema": {}}, "sync_mode": "incremental"})
    messages = airbyte.run("read", catalog=catalog)
    (error,) = errors(messages)
    assert (airbyte.code, error["stream_descriptor"]) == (1, {"name": "faxes"})
    assert "Refresh the schema" in error["message"]
    assert statuses(messages, "studio_cdr")[-1] == "COMPLETE"


def test_g7_secrets_are_in_no_message_but_the_data_is_left_alone(airbyte: Airbyte) -> None:
    """What is logged while reading is a LOG message without secrets; a record that holds the same text keeps it."""
    row = {**airbyte.sandbox.truth("evolux", "studio_calls")[-1], "caller_id": SECRET}
    airbyte.sandbox.upsert("evolux", "studio_calls", [row])
    airbyte.sandbox.on_request = lambda *_: logging.getLogger("somebody").warning(
        "sent %s", SECRET, exc_info=_Oh(SECRET)
    )
    airbyte.sandbox.fault("status", "/cdr", status=400, body=f"no {SECRET}")
    messages = airbyte.read()
    assert SECRET in {data.get("caller_id") for _, data in records(messages)} | {
        value for _, data in records(messages) for value in (data.get("_extra") or {}).values()
    }
    others = [message for message in messages if message["type"] != "RECORD"]
    assert SECRET not in json.dumps(others)
    warned = [log for log in of(messages, "LOG") if log["message"].startswith("sent ")]
    assert {(log["level"], log["message"]) for log in warned} == {("WARN", f"sent {MASK}")}
    assert all(MASK in log["stack_trace"] for log in warned)


class _Oh(Exception):  # noqa: N818 - a cry
    """Something with a secret in it."""


# -- the process -------------------------------------------------------------------------------------------------------


def test_a_signal_keeps_what_was_proven(airbyte: Airbyte) -> None:
    """Exit code 143, streams under way INCOMPLETE, and the last STATE is one to go on from."""

    def stop(_box: Sandbox, _vendor: str, _request: Any, number: int) -> None:
        if number == 30:
            signal.raise_signal(signal.SIGTERM)

    airbyte.config |= {"window": "P1D", "concurrency": 1}
    airbyte.sandbox.on_request = stop
    cut = airbyte.read()
    assert airbyte.code == 143
    assert statuses(cut, "studio_calls") == ["STARTED", "RUNNING", "INCOMPLETE"]
    airbyte.sandbox.on_request = None
    rest = airbyte.read(states(cut))
    known = {str(row) for row in airbyte.own_records()}
    assert 0 < len(records(cut)) < len(known)
    assert {str(row) for row in [*records(cut), *records(rest)]} == known


class Few(io.RawIOBase):
    """An output that takes a few bytes a call, as an unbuffered pipe may."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, block: Any) -> int:
        self.taken += bytes(block[:7])
        return min(7, len(block))


class Closed(Few):
    """An output that nobody reads any more."""

    def write(self, _block: Any) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_an_output_that_takes_a_few_bytes_a_call_gets_whole_lines() -> None:
    """MessageLines of several threads are never mixed, and none is cut."""
    output = Few()
    MessageLines(output).emit({"type": "LOG", "log": {"level": "INFO", "message": "x" * 100}})  # type: ignore[arg-type]
    assert valid(bytes(output.taken))["log"]["message"] == "x" * 100


def test_nobody_listens(airbyte: Airbyte, capsys: pytest.CaptureFixture[str]) -> None:
    """The run ends with exit code 1, says why on standard error, and never with a traceback."""
    airbyte.read()
    files = {name: str(airbyte.folder / f"{name}.json") for name in ("config", "catalog")}
    adapter = SandboxAdapter(airbyte.sandbox)
    assert serve(TapEvolux, "read", files, MessageLines(Closed()), transport=adapter) == 1  # type: ignore[arg-type]
    assert "standard output could not be written" in capsys.readouterr().err


def test_the_command_ends_by_a_signal_and_prints_nothing_else(tmp_path: Path) -> None:
    """The installed command, stopped in the middle: every line on standard output is a message."""
    program = Path(sys.executable).with_name("source-bspk")
    with running(size=3000, latency=0.05, vendors=["bspk"]) as served:
        config = {**served.config("bspk"), "concurrency": 1}
        catalog = {"streams": [{"stream": {"name": "calls"}, "sync_mode": "incremental"}]}
        for name, content in (("config", config), ("catalog", catalog)):
            (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
        with subprocess.Popen(
            [str(program), "read", "--config", "config", "--catalog", "catalog"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout
            assert process.stderr
            lines = []
            for line in process.stdout:
                lines.append(line)
                if b'"RECORD"' in line:
                    process.send_signal(signal.SIGTERM)
                    break
            lines += process.stdout.readlines()
            err = process.stderr.read()
    messages = [valid(line) for line in lines]
    assert (process.returncode, err) == (-signal.SIGTERM, b"")
    assert statuses(messages, "calls") == ["STARTED", "RUNNING", "INCOMPLETE"]


def test_what_others_print_is_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that prints does not get between the messages: it is led to standard error."""
    monkeypatch.setattr(process, "settle", lambda: None)  # of this process
    monkeypatch.setattr(TapEvolux, "check_config", lambda *_: print("hello") or [])  # noqa: T201 - it is the point
    (tmp_path / "config").write_text(json.dumps(Sandbox(size=1).config("evolux")), encoding="utf-8")
    done = CliRunner().invoke(source.command(TapEvolux), ["discover", "--config", str(tmp_path / "config")])
    assert done.exit_code == 0
    assert [valid(line)["type"] for line in done.stdout_bytes.splitlines()][-1] == "CATALOG"
    assert "hello" in done.stderr


def test_the_command_line_says_what_is_missing() -> None:
    """Exit code 2 with the option that is needed; standard output stays empty."""
    for command, option in (("check", "config"), ("discover", "config"), ("read", "config")):
        done = CliRunner().invoke(source.command(TapEvolux), [command])
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"--{option}" in done.stderr
    done = CliRunner().invoke(source.command(TapEvolux), [])
    assert done.exit_code == 2
    assert all(name in done.stderr for name in COMMANDS)
