"""The private names of singer-sdk that we use: each is still there, and our short way writes what the SDK's would."""

from __future__ import annotations

import inspect
import io
import json
from typing import TYPE_CHECKING, Any

import click
import msgspec
import pytest
import singer_sdk.helpers._util
import singer_sdk.mapper
from singer_sdk import Stream, Tap
from singer_sdk.plugin_base import PluginBase

from tap_evolux import TapEvolux
from tap_switchtransact import TapSwitchTransact
from trunkline import sdk
from trunkline.errors import TrunklineError
from trunkline.steps.write import BlockWriter
from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.doors.command import VendorTap

CONFIG = {"api_url": "https://vendor.example", "api_token": "t", "start_date": "2026-01-01"}
DETAIL: dict[str, Any] = {
    "call_id": 5,
    "call_start_time": "2026-01-01T08:00:00Z",
    "executed_tasks": [{"name": "ura", "task_raw_params": {"a": {"b": 1}}}],
    "made_up_field": {"x": [1, 2]},
}


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Stream, "_generate_schema_messages"),
        (Stream, "_generate_record_messages"),
        (Stream, "_sync_records"),
        (Stream, "get_replication_key_signpost"),
        (Stream, "finalize_state_progress_markers"),
        (Stream, "partitions"),
        (Stream, "effective_schema"),
        (Stream, "mask"),
        (Stream, "stream_maps"),
        (Tap, "_env_var_config"),
        (Tap, "_validate_config"),
        (Tap, "_setup_signal_handlers"),
        (Tap, "append_builtin_config"),
        (Tap, "cb_test"),
        (Tap, "cb_discover"),
        (Tap, "cb_config"),
        (Tap, "invoke"),
        (Tap, "load_state"),
        (Tap, "message_writer_class"),
        (singer_sdk.mapper, "SameRecordTransform"),
        (singer_sdk.mapper.CustomStreamMap, "_eval"),
        (singer_sdk.mapper.PluginMapper, "register_raw_stream_schema"),
        (Tap, "setup_mapper"),
        (singer_sdk.helpers._catalog, "get_selected_schema"),  # noqa: SLF001 - the name under test
        (singer_sdk.helpers._util, "load_json"),  # noqa: SLF001 - the name under test
    ],
)
def test_a_name_that_we_override_or_call_is_there(owner: object, name: str) -> None:
    """A release of the SDK that moves it fails here, and not at a user's."""
    assert inspect.getattr_static(owner, name) is not None


def test_the_command_is_made_the_way_we_make_it_anew() -> None:
    """`cli` is a descriptor whose function takes the class."""
    command = PluginBase.__dict__["cli"].method
    assert list(inspect.signature(command).parameters) == ["cls"]
    assert TapEvolux.cli.name == "tap-evolux"


def test_what_invoke_gets_is_what_ours_takes() -> None:
    """The SDK calls it by keyword."""
    theirs, ours = (inspect.signature(tap.invoke).parameters for tap in (Tap, TapEvolux))
    assert set(theirs) == set(ours)


def written(tap: VendorTap, name: str, row: dict[str, Any], *, ours: bool) -> list[dict[str, Any]]:
    """The RECORD lines of a row, our way or all the SDK's own, without the time of extraction."""
    output = io.BytesIO()
    writer = BlockWriter(output)
    stream: Any = tap.streams[name]
    raw = msgspec.Raw(msgspec.json.encode(row))
    shape = stream.compile_shape()
    if ours:
        sdk.record_writer(stream, writer)(shape(raw)[0])
    else:
        shape.__init__(
            stream.name, stream.schema, stream.primary_keys, read_time=stream.read_time, computed=stream.computed,
            compute=stream.compute if stream.computes else None, text_or_number=stream.text_or_number,
            decode_fully=stream.decode_fully,
        )  # fmt: skip
        for message in stream._generate_record_messages(shape(raw)[0]):  # noqa: SLF001 - the SDK's own path
            writer.write_message(message)
    writer.flush()
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    for line in lines:
        assert line.pop("time_extracted")
        line.pop("version", None)
    return lines


def catalog_without(tap: VendorTap, *left_out: tuple[str, ...]) -> dict[str, Any]:
    """The discovered catalog, with these breadcrumbs of studio_cdr deselected."""
    catalog: dict[str, Any] = json.loads(tap.catalog_json_text)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if tuple(entry["breadcrumb"]) in left_out:
                entry["metadata"].update(selected=False, inclusion="available")
    return catalog


TOP = ("properties", "executed_tasks")
MAPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a map": {"stream_maps": {"studio_cdr": {"twice": "call_id * 2", "executed_tasks": "__NULL__"}}},
    "an alias": {"stream_maps": {"studio_cdr": {"__alias__": "details"}}},
    "a filter": {"stream_maps": {"studio_cdr": {"__filter__": "call_id > 99"}}},
    "flattening": {"flattening_enabled": True, "flattening_max_depth": 2},
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("left_out", [(), (TOP,)], ids=["all", "without a field"])
def test_our_records_are_the_sdks(name: str, left_out: tuple[tuple[str, ...], ...]) -> None:
    """With and without a map, an alias, a filter, flattening, and deselected fields: the same lines either way."""
    config = {**CONFIG, **MAPS[name]}
    catalog = catalog_without(TapEvolux(config=CONFIG), *left_out)
    tap = TapEvolux(config=config, catalog=catalog)
    assert written(tap, "studio_cdr", DETAIL, ours=True) == written(tap, "studio_cdr", DETAIL, ours=False)


def test_a_deselected_field_is_absent_and_a_selected_one_is_there() -> None:
    """Both ways agreeing is not enough: this is what they must agree on."""
    tap = TapEvolux(config=CONFIG, catalog=catalog_without(TapEvolux(config=CONFIG), TOP))
    (line,) = written(tap, "studio_cdr", DETAIL, ours=True)
    assert "executed_tasks" not in line["record"]
    assert line["record"]["call_id"] == 5
    assert line["record"]["_extra"] == {"made_up_field": {"x": [1, 2]}}


def nested_breadcrumb(tap: VendorTap, name: str) -> tuple[str, ...] | None:
    """A field inside an object of a stream's schema, if the catalog has one."""
    for entry in json.loads(tap.catalog_json_text)["streams"]:
        if entry["tap_stream_id"] == name:
            return next((tuple(e["breadcrumb"]) for e in entry["metadata"] if len(e["breadcrumb"]) > 2), None)
    return None


def test_a_field_deselected_inside_an_object_goes_the_sdks_way() -> None:
    """Selection inside of objects is the SDK's own: our record is the one it makes."""
    for tap_type, config in (
        (TapEvolux, CONFIG),
        (TapSwitchTransact, {"api_key": "k", "phones": ["+1"]}),
    ):
        for name in tap_type(config=config).streams:
            crumb = nested_breadcrumb(tap_type(config=config), name)
            if crumb is None or tap_type(config=config).streams[name].computed:  # type: ignore[attr-defined] # ours
                continue
            tap = tap_type(config=config, catalog=catalog_without(tap_type(config=config), crumb))
            row = {**DETAIL, "id": 5, "start_time": "2026-01-01T08:00:00Z", crumb[1]: {crumb[-1]: None, "kept": 1}}
            ours = written(tap, name, row, ours=True)
            assert ours == written(tap, name, row, ours=False)
            assert ours[0]["record"][crumb[1]] == {"kept": 1}
            return
    pytest.skip("no schema names fields inside an object")


def test_one_schema_message_for_each_map() -> None:
    """The SCHEMA says what the records are, under the name they have."""
    tap = TapEvolux(config={**CONFIG, **MAPS["an alias"]})
    (message,) = sdk.schema_messages(tap.streams["studio_cdr"])  # type: ignore[arg-type]
    assert (message.stream, list(message.key_properties or ())) == ("details", ["call_id"])


def test_a_file_that_is_no_json_is_a_clear_error() -> None:
    """What, why and what to do, without a traceback."""
    assert sdk.read_json("state", None) is None
    assert sdk.read_json("state", io.StringIO('{"a":1}')) == {"a": 1}
    for text in ("{", "[1]", "5"):
        with pytest.raises(TrunklineError, match=r"^the state file could not be read: .*Give the state"):
            sdk.read_json("state", io.StringIO(text))


@pytest.mark.parametrize("text", ["", "\n", " \r\n\t"])
def test_g3_an_empty_state_file_is_an_error_that_names_the_cause(text: str) -> None:
    """It must not be taken for a first run, and what made it is said, with the way out."""
    with pytest.raises(TrunklineError, match=r"the state file is empty: .* before its first STATE.*leave --state out"):
        sdk.read_json("state", io.StringIO(text))
    with pytest.raises(TrunklineError, match=r"^the catalog file could not be read"):
        sdk.read_json("catalog", io.StringIO(text))


@pytest.mark.parametrize("name", ["tap", "target"])
def test_g9_a_config_file_that_is_not_there_is_told_as_such(name: str, tmp_path: Path) -> None:
    """Of a tap and of a target: why, in words, and what to give."""
    command = TapEvolux if name == "tap" else TargetSwitchTransact
    with pytest.raises(click.BadParameter, match=r"could not be read: there is no such file\. Give the path"):
        command.cb_config(None, None, (str(tmp_path / "none.json"),))  # type: ignore[arg-type]


def test_g9_a_config_file_that_is_no_json_names_the_place(tmp_path: Path) -> None:
    """The line and column of a comma too many, and nothing of what stands there."""
    file = tmp_path / "config.json"
    file.write_text('{\n  "api_token": "sesame",\n}', encoding="utf-8")
    with pytest.raises(click.BadParameter, match=r"it is no JSON from line (2, column 24|3, column 1) on") as caught:
        TapEvolux.cb_config(None, None, (str(file),))  # type: ignore[arg-type]
    assert "sesame" not in caught.value.message
