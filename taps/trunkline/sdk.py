"""The one room that touches private names of singer-sdk (pinned ~=0.54.9); tests/test_sdk.py fails when one moves."""

from __future__ import annotations

import copy
import sys
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk import RESTStream, Tap
from singer_sdk.cli import plugin_cli
from singer_sdk.exceptions import MapExpressionError
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers._util import load_json
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.plugin_base import PluginBase
from singer_sdk.singerlib import Schema

from trunkline import logs, process, signals
from trunkline.errors import BadRecord, ConfigInvalid, TrunklineError
from trunkline.exact import decode, encode
from trunkline.steps.shape import mapped, maps
from trunkline.steps.shape.shape import EXTRA
from trunkline.steps.write import lost

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from singer_sdk.singerlib import CatalogEntry
    from singer_sdk.singerlib.encoding.simple import RecordMessage, SchemaMessage

    from trunkline.steps.write import BlockWriter

    Records = Generator[dict[str, Any], None, None]


def schema_messages(stream: OwnSync) -> Iterable[SchemaMessage]:
    """Yield the SCHEMA messages of a stream, one for each of its stream maps."""
    return stream._generate_schema_messages()  # noqa: SLF001


class OwnSync(RESTStream[Any]):
    """A stream whose `sync`, which can't be overridden, reads as our run does.

    The SDK's own loop would count every record for the bookmark, proven or not, and only the partitions that a state
    happens to name.
    """

    def synced(self, context: Mapping[str, Any] | None, *, writes: bool) -> Records:
        """Yield the records, each written before it is handed out."""
        raise NotImplementedError

    def protection_of_unknown(self) -> Callable[[Any], Any]:
        """Return the function that protects a value that the schema does not name."""
        raise NotImplementedError

    def note_unknown(self, fields: Mapping[str, Any]) -> None:
        """Count fields that the schema does not name."""
        raise NotImplementedError

    def _sync_records(self, context: Mapping[str, Any] | None = None, *, write_messages: bool = True) -> Records:
        return self.synced(context, writes=write_messages)

    def get_replication_key_signpost(self, context: Mapping[str, Any] | None = None) -> None:
        """Leave no mark in the state: a bookmark is capped at the run's start as it moves."""

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Leave the state as it is: a bookmark is moved once its window is proven, and final then."""


def complete(stream: OwnSync, entry: CatalogEntry | None) -> None:
    """Put into a catalog's entry what no record can do without: its keys, and `_extra` unless it is deselected."""
    if entry is None:
        return
    root, given, own = entry.metadata.root, entry.schema.to_dict(), stream.schema["properties"]
    entry.key_properties = entry.key_properties or root.table_key_properties or stream.primary_keys
    entry.replication_key = entry.replication_key or root.replication_key or stream.replication_key
    needed = {*stream.primary_keys, stream.replication_key}
    if entry.metadata.resolve_selection()["properties", EXTRA]:
        needed.add(EXTRA)
    there = given.get("properties", {})
    lacking = {name: own[name] for name in own if name in needed and name not in there}
    if lacking:
        entry.schema = Schema.from_dict({**given, "type": "object", "properties": {**there, **lacking}})


def unmentioned(stream: OwnSync) -> list[str]:
    """Return fields that the catalog at hand does not know: they can't have been deselected."""
    offered, mask = stream.effective_schema.get("properties", {}), stream.mask
    return [
        name
        for name in stream.schema["properties"]
        if name not in offered and mask["properties", name] and name != EXTRA
    ]


def chosen_inside(stream: OwnSync) -> dict[str, Any]:
    """Return the stream's schema without what is deselected inside of its objects, which is not to be checked."""
    chosen = get_selected_schema(stream.name, stream.schema, stream.mask)["properties"]
    properties = {name: chosen.get(name, spec) for name, spec in stream.schema["properties"].items()}
    return {**stream.schema, "properties": properties}


def writes_directly(stream: OwnSync) -> bool:
    """Return whether records are written as they are: no map, no flattening, and no selection inside of objects."""
    nested = any(len(crumbs) > 2 and not chosen for crumbs, chosen in stream.mask.items())  # noqa: PLR2004 - ("properties", name)
    return writes_as_it_is(stream) and not nested


def writes_as_it_is(stream: OwnSync) -> bool:
    """Return whether no map and no flattening makes other fields of the stream's."""
    chosen = stream.stream_maps
    return len(chosen) == 1 and type(chosen[0]) is SameRecordTransform and not chosen[0].flattening_enabled


def record_writer(stream: OwnSync, writer: BlockWriter) -> Callable[[dict[str, Any]], bool | None]:
    """Return the writer of finished records: the short way, or the SDK's own where a map or flattening changes them.

    It returns False for a record that the stream's map filters out.
    """
    if writes_directly(stream):
        return writer.record_line(stream.stream_maps[0].stream_alias)

    within, name = _within_schema(stream), stream.stream_maps[0].stream_alias

    def write(record: dict[str, Any]) -> bool:
        try:
            messages = [within(message) for message in stream._generate_record_messages(record)]  # noqa: SLF001
        except Exception as exc:  # noqa: BLE001 - whatever an expression of the user's raises
            deep = isinstance(exc, RecursionError)
            why = "it is nested too deeply" if deep else mapped.describe_error(exc, record)
            remedy = "The bookmark stays where it was" + ("" if deep else ": correct the map")
            error = BadRecord(f"{stream.name}: a record could not be mapped", why, remedy, code="stream-map")
            raise error.with_traceback(exc.__traceback__) from None
        for message in messages:
            writer.write_message(message)
        return any(message.stream == name for message in messages)

    return write


def passes_map(stream: OwnSync, record: dict[str, Any]) -> bool:
    """Return whether the stream's own map does not filter a record out; raises what its expression raises."""
    return stream.stream_maps[0].get_filter_result(record)


def _within_schema(stream: OwnSync) -> Callable[[RecordMessage], RecordMessage]:
    """Return a function that keeps flattened records inside of their SCHEMA: an unnamed field goes into `_extra`.

    The SDK's flattening makes a column of whatever a vendor puts into an object, and one of the object itself where it
    is null.
    """
    columns = {one.stream_alias: one.transformed_schema["properties"] for one in stream.stream_maps if _flattens(one)}
    guard = stream.protection_of_unknown()

    def within(message: RecordMessage) -> RecordMessage:
        names = columns.get(message.stream)
        record = message.record
        if names is None or record.keys() <= names.keys():
            return message
        outside = {name: guard(value) for name, value in record.items() if name not in names and value is not None}
        message.record = {name: value for name, value in record.items() if name in names}
        if outside:
            stream.note_unknown(outside)
            if EXTRA in names and stream.config["unknown_fields"] != "drop":
                kept = decode(record.get(EXTRA) or "{}")
                message.record[EXTRA] = encode({**kept, **outside}).decode()
        return message

    return within


def _flattens(one: Any) -> bool:
    return bool(getattr(one, "flattening_enabled", False))


def register_maps(tap: Tap, *, of_all: bool) -> None:
    """Build the stream maps of the selected streams, or of all; the other ones are never written to."""
    mapper = tap.mapper
    made = mapper.stream_maps_dict
    try:
        for entry in tap.catalog.streams:
            name, metadata = entry.stream or entry.tap_stream_id, entry.metadata
            if of_all and not metadata.resolve_selection()[()]:  # to be shown as it is once somebody selects it
                metadata = copy.deepcopy(metadata)
                metadata[()].selected = True
            selection = metadata.resolve_selection()
            mapper.stream_maps_dict = made if selection[()] else {}
            schema = get_selected_schema(name, entry.schema.to_dict(), selection)
            mapper.register_raw_stream_schema(name, schema, entry.key_properties)
    finally:
        mapper.stream_maps_dict = made


class ConfigFiles(PluginBase):
    """For a tap or target: a config file that can't be read, or a wrong stream map, is one line, never a traceback."""

    def setup_mapper(self) -> None:
        """Compile the stream maps.

        Raises:
            ConfigInvalid: One of them is wrong; with its place, and without the values in it.
        """
        try:
            self._build_maps()
        except Exception as exc:
            found = maps.errors(self.config.get("stream_maps"))
            if found or isinstance(exc, MapExpressionError):
                raise ConfigInvalid(found or [maps.describe_error(exc)]) from None
            raise

    def _build_maps(self) -> None:
        super().setup_mapper()

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the config files."""
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError, TypeError, RecursionError) as exc:
            reason = "it holds no JSON object"
            if isinstance(exc, OSError):
                reason = exc.strerror or "there is no such file"
            elif hasattr(exc, "lineno") and hasattr(exc, "colno"):  # of simplejson, which the SDK reads it with
                reason = f"it is no JSON from line {exc.lineno}, column {exc.colno} on"
            raise click.BadParameter(
                f"a config file could not be read: {reason}. Give the path of a JSON file, or ENV [input-file]",
                ctx,
                param,
            ) from None


def _command(cls: type[PluginBase]) -> click.Command:
    """Return the command of a tap or target."""
    prepare_process(cls.name)
    command: click.Command = PluginBase.__dict__["cli"].method(cls)
    return reports_lost_output(command)


def reports_lost_output(command: click.Command) -> click.Command:
    """Return the command, which reports in a line that its standard output can't be written."""
    main = command.main

    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            try:
                return main(*args, **kwargs)
            finally:
                if sys.stdout:
                    sys.stdout.flush()
        except OSError as exc:
            print(lost(sys.stdout.buffer, exc), file=sys.stderr)  # noqa: T201 - a command
            sys.exit(1)

    command.main = guarded  # type: ignore[method-assign] # the SDK makes the command
    return command


def prepare_process(command: str) -> None:
    """Guard standard error and the log before the first line, and let a signal end the process."""
    process.standard_streams()
    logs.install()
    logs.settle_level(command)
    signals.own_process()


command_line = plugin_cli(_command)
"""To stand as `cli` in a tap's or target's class."""


def read_json(name: str, file: IO[str] | None) -> Any:
    """Return the content of a file given on the command line.

    Raises:
        TrunklineError: It is no JSON object.
    """
    if file is None:
        return None
    try:
        text = file.read().removeprefix("\ufeff")  # which Windows' editors write
        content = load_json(text) if text.strip() else ""
    except (ValueError, RecursionError):
        content = None
    if content == "" and name == "state":
        raise TrunklineError(
            "the state file is empty",
            "a run that ended before its first STATE was written over it",
            "Give the state of the run before that one, or leave --state out to read everything from start_date on. "
            "Replace the file only when there is a new state: "
            "tail -n 1 state.jsonl > new.json && test -s new.json && mv new.json state.json",
            code="state",
        )
    if not isinstance(content, dict):
        raise TrunklineError(
            f"the {name} file could not be read",
            "it holds no JSON object",
            f"Give the {name} a tap or Meltano has written",
            code="input-file",
        )
    return content
