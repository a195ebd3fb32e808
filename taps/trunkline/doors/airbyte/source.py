"""The Airbyte face of a tap: `source-<vendor>` with spec, check, discover and read, over the same streams.

Rests on Airbyte's protocol and its Docker interface: JSON files come in by their paths, and every line on standard
output is a message. What a user must correct (a config_error) is no fault of the connector: `check` reports FAILED with
exit code 0, the other commands end with a TRACE message and exit code 1.
"""

from __future__ import annotations

import copy
import functools
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trunkline import instants, logs, process, sdk, signals
from trunkline.doors.airbyte.inputs import read_catalog, read_config, read_states
from trunkline.doors.airbyte.messages import (
    NO_CURSOR,
    AirbyteWriter,
    LogMessages,
    MessageLines,
    SourceStream,
    control,
    failure,
    printable,
)
from trunkline.doors.airbyte.spec import specification
from trunkline.doors.failures import error_lines
from trunkline.doors.vendors import vendor_tap
from trunkline.errors import (
    BadRecord,
    BadResponse,
    ConfigInvalid,
    OutputLost,
    Stopped,
    TrunklineError,
    Unavailable,
    Unproven,
)
from trunkline.run.check import verdicts
from trunkline.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from singer_sdk.singerlib.encoding.simple import SchemaMessage

    from trunkline.doors.airbyte.inputs import ConfiguredStream
    from trunkline.doors.command import VendorTap
    from trunkline.facts.stream import VendorStream
    from trunkline.run.stream_run import StreamRun

_ByStream = Mapping[str, tuple["VendorStream", "list[ConfiguredStream]"]]
"""The tap's streams, and what is configured of each."""

COMMANDS = ("spec", "check", "discover", "read")

_NEEDS = {"spec": (), "check": ("config",), "discover": ("config",), "read": ("config", "catalog")}
_MOST_FAILURES = 5  # of a stream's partitions that its TRACE message lists; the log has them all


# -- the command -------------------------------------------------------------------------------------------------------


def main() -> None:
    """Run the command `source-<vendor>` of the vendor in its name: all vendors share this entry point."""
    name = Path(sys.argv[0]).name.removesuffix(".exe")
    sdk.prepare_process(name.replace("source-", "tap-", 1))
    try:
        tap = vendor_tap(name.removeprefix("source-").removesuffix(".py"))
    except TrunklineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command that knows no vendor has no log and no messages
        sys.exit(1)
    sdk.reports_lost_output(command(tap))()


def command(cls: type[VendorTap]) -> click.Command:
    """Make the command `source-<vendor>` of a tap."""
    file = functools.partial(click.Option, metavar="FILE")
    version = click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version(cls))
    return click.Command(
        f"source-{cls.name.removeprefix('tap-')}",
        help=f"{cls.__doc__}\n\nSpeaks the Airbyte protocol.",
        params=[
            click.Argument(["name"], metavar=f"[{'|'.join(COMMANDS)}]", type=click.Choice(COMMANDS)),
            file(["--config"], help="The settings, as a JSON object."),
            file(["--catalog"], help="The configured catalog: streams and how each is to be read."),
            file(["--state"], help="The STATE messages of the last read, as a JSON array."),
            version,
        ],
        callback=functools.partial(_run, cls),
    )


def _print_version(cls: type[VendorTap]) -> Callable[..., None]:
    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
        if value:
            cls.print_version(print_fn=click.echo)
            ctx.exit()

    return show


def _run(cls: type[VendorTap], name: str, **files: str | None) -> None:
    for needed in _NEEDS[name]:
        if not files[needed]:
            raise click.UsageError(f"{name} needs --{needed} with the path of a JSON file")
    process.settle()
    lines = MessageLines(sys.stdout.buffer)
    with redirect_stdout(sys.stderr):  # what anybody else prints is no message
        code = serve(cls, name, files, lines)
    signals.leave(code)


def serve(
    cls: type[VendorTap],
    name: str,
    files: Mapping[str, str | None],
    lines: MessageLines,
    **options: Any,
) -> int:
    """Carry out one command of the protocol.

    Args:
        cls: The tap.
        name: One of `COMMANDS`.
        files: Paths by the names `config`, `catalog` and `state`.
        lines: Where the messages go.
        options: More arguments for the tap, for tests.

    Returns:
        The exit code: 0 when it was carried out, also for a `check` that FAILED; 1 after a TRACE message; 128 + the
        signal's number after a signal.
    """
    with _log_messages(cls, lines):
        try:
            source = AirbyteSource(cls, options, lines)
            if name == "read":
                return source.read(files, lines)
            message = source.spec() if name == "spec" else getattr(source, name)(files["config"])
            lines.emit(message)
        except OutputLost as lost:
            print(printable(str(lost)), file=sys.stderr)  # noqa: T201 - standard output is gone
            return 1
        except Stopped as stopped:
            return 128 + stopped.signum
        except Exception as error:  # noqa: BLE001 - whatever it is, Airbyte gets it as a message
            kind = failure_type(error)
            expected = kind == "config_error"
            with suppress(OutputLost):
                lines.emit(failure("\n".join(error_lines(error)), kind, error=None if expected else error))
            return 1
    return 0


@contextmanager
def _log_messages(cls: type[VendorTap], lines: MessageLines) -> Iterator[None]:
    """Let log lines leave as LOG messages."""
    root, handler = logging.getLogger(), LogMessages(lines)
    variables = (f"{cls.name.upper().replace('-', '_')}_LOGLEVEL", "LOGLEVEL", "LOG_LEVEL")
    level = next((os.environ[name] for name in variables if os.environ.get(name)), "INFO")
    before = root.level
    root.setLevel(logs.level_name(level) or logging.INFO)
    root.addHandler(handler)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(handler)
        root.setLevel(before)


def failure_type(error: BaseException) -> str:
    """Classify an error by who can act on it: the user, time, or only us (or the vendor)."""
    if isinstance(error, Unavailable):
        return "transient_error"
    if isinstance(error, (BadResponse, BadRecord, Unproven)):
        return "system_error"
    # All others of ours, and the SDK's, are about settings, catalog, state or credentials.
    ours = isinstance(error, TrunklineError) or type(error).__module__.startswith("singer_sdk.")
    return "config_error" if ours else "system_error"


# -- the commands ------------------------------------------------------------------------------------------------------


class AirbyteSource:
    """A tap as a source.

    Args:
        cls: The tap.
        options: More arguments for it, for tests.
        lines: Where settings go that the vendor has replaced.
    """

    def __init__(self, cls: type[VendorTap], options: Mapping[str, Any], lines: MessageLines) -> None:
        self._cls, self._options, self._lines = cls, options, lines

    def spec(self) -> dict[str, Any]:
        """Make the message that lists the settings."""
        return {"type": "SPEC", "spec": specification(self._cls)}

    def check(self, path: str) -> dict[str, Any]:
        """Request as little as possible of each stream; the message reports whether all can be read."""
        try:
            problems = self._problems(read_config(path))
        except Exception as error:
            if failure_type(error) == "system_error" and not isinstance(error, TrunklineError):
                raise
            problems = error_lines(error)
        state = {"status": "FAILED", "message": printable("\n".join(problems))} if problems else {"status": "SUCCEEDED"}
        return {"type": "CONNECTION_STATUS", "connectionStatus": state}

    def _problems(self, config: Mapping[str, Any]) -> list[str]:
        missing = self._cls.missing_to_start(config)  # a check knows no state, and the first read has none
        try:
            tap = self._tap(config)
        except ConfigInvalid as error:
            return [*error_lines(error), *missing]
        return missing or [f"{stream.name}: {error}" for stream, error in verdicts(tap) if error]

    def discover(self, path: str) -> dict[str, Any]:
        """Make the message that lists the streams, as stream maps and flattening leave them."""
        streams = [_described(message, stream) for stream, message in _offered(self._tap(read_config(path)))]
        return {"type": "CATALOG", "catalog": {"streams": streams}}

    def read(self, files: Mapping[str, str | None], lines: MessageLines) -> int:
        """Read the configured streams.

        Returns:
            The exit code.
        """
        config = read_config(files["config"] or "")
        configured = read_catalog(files["catalog"] or "")
        states = read_states(files.get("state"))
        tap = self._tap(config)
        offered = {message.stream: (stream, message.key_properties or ()) for stream, message in _offered(tap)}
        known = [one for one in configured if one.name in offered]
        for one in configured:
            if one not in known:
                lines.emit(failure(_unknown(one.name, offered), "config_error", stream=one.name))
        progress = {
            one.name: SourceStream(stream.name, keys, without_bookmark=_without_bookmark(stream))
            for one in known
            for stream, keys in [offered[one.name]]
        }
        by_stream = {
            stream.name: (stream, [one for one in known if progress[one.name].source == stream.name])
            for stream in tap.ordered_streams()
        }
        _log_left_out(by_stream)
        reading = self._tap(
            config,
            state=_state(by_stream, states),
            catalog=_selection(tap.catalog_dict, by_stream),
            message_writer=AirbyteWriter(lines, progress),
        )
        reading.run_type = AirbyteRun
        return reading.run() or int(len(known) < len(configured))

    def _tap(self, config: Mapping[str, Any], **more: Any) -> VendorTap:
        # Without a catalog it is what can be chosen: as the maps leave it.
        tap = self._cls(config=dict(config), map_all="catalog" not in more, **self._options, **more)
        tap.keep_settings = lambda replaced: self._lines.emit(control({**config, **replaced}))
        return tap


def _offered(tap: VendorTap) -> Iterator[tuple[VendorStream, SchemaMessage]]:
    """Yield the tap's streams as they appear outside: stream maps may rename, double or remove them."""
    for stream in tap.ordered_streams():
        for message in sdk.schema_messages(stream):
            yield stream, message


def _described(message: SchemaMessage, stream: VendorStream) -> dict[str, Any]:
    """Describe a stream as Airbyte's catalog has it.

    It is not resumable: a full refresh that was cut off is begun anew, so that Airbyte leaves out what it had of it.
    """
    key = stream.replication_key or stream.grows_by
    return {
        "name": message.stream,
        "json_schema": message.schema,
        "supported_sync_modes": ["full_refresh", "incremental"] if key else ["full_refresh"],
        "source_defined_primary_key": [[name] for name in message.key_properties or ()],
        "is_resumable": False,
        **({"source_defined_cursor": True, "default_cursor_field": [key]} if key else {}),
    }


def _without_bookmark(stream: VendorStream) -> dict[str, Any] | None:
    """Return the STATE of a stream that has no bookmark: none to go on from, but that it was read, where it grows."""
    if stream.replication_key:
        return None
    if not stream.grows_by:
        return NO_CURSOR
    return {"replication_key": stream.grows_by, "replication_key_value": instants.to_iso(stream.tap.run_start)}


def _unknown(name: str, offered: Iterable[str]) -> str:
    there = ", ".join(offered)
    return f"{name}: there is no such stream; there are {there}. Refresh the schema of the connection"


def _state(by_stream: _ByStream, states: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the tap's state: a stream continues from where all that is made of it stands, or it begins anew."""
    bookmarks = {}
    for name, (stream, mine) in by_stream.items():
        kept = [states.get(one.name, {}) if one.incremental else {} for one in mine]
        if stream.replication_key and kept and kept[0] and all(one == kept[0] for one in kept):
            bookmarks[name] = copy.deepcopy(kept[0])
    return {"bookmarks": bookmarks} if bookmarks else {}


def _selection(catalog: Mapping[str, Any], by_stream: _ByStream) -> dict[str, Any]:
    """Return the tap's catalog with the configured streams, and of those written as they are the configured fields."""
    chosen = copy.deepcopy(dict(catalog))
    for entry in chosen["streams"]:
        stream, mine = by_stream[entry["tap_stream_id"]]
        fields = mine[0].fields if mine and sdk.writes_as_it_is(stream) else None
        for part in entry["metadata"]:
            crumbs, metadata = part["breadcrumb"], part["metadata"]
            if not crumbs:
                metadata["selected"] = bool(mine)
            elif fields is not None and len(crumbs) == 2 and metadata.get("inclusion") != "automatic":  # noqa: PLR2004 - ("properties", name)
                metadata["selected"] = crumbs[1] in fields
    return chosen


def _log_left_out(by_stream: _ByStream) -> None:
    """Log the columns that the configured catalog leaves out: they may be new, and left out by oversight."""
    for name, (stream, mine) in by_stream.items():
        fields = mine[0].fields if mine and sdk.writes_as_it_is(stream) else None
        if fields is not None:
            left = [field for field in stream.schema["properties"] if field not in {*fields, *stream.primary_keys}]
            if left:
                stream.logger.info("%s: the configured catalog leaves out %s: not read", name, ", ".join(left))


class AirbyteRun(Run):
    """A run that writes each stream's end, and what failed in it, as messages."""

    def sync(self) -> int:
        """Read every selected stream.

        Returns:
            The exit code.
        """
        try:
            return super().sync()
        finally:
            if self.stop is not None:
                self._airbyte.cut_off()

    @property
    def _airbyte(self) -> AirbyteWriter:
        assert isinstance(self.writer, AirbyteWriter)  # noqa: S101 - `read` gives the tap no other
        return self.writer

    def _log_end(self, run: StreamRun) -> None:
        super()._log_end(run)
        self._airbyte.ended(run.stream.name, self.tap.bookmarks, functools.partial(_failures, run))


def _failures(run: StreamRun, name: str) -> list[dict[str, Any]]:
    """Return one TRACE message for all failures of a stream: it may have thousands of partitions."""
    if not run.failures:
        return []
    kinds = {failure_type(error) for _, error in run.causes}
    # Waiting helps with nothing while something else is wrong; what the user can fix comes after what is our own.
    kind = next(kind for kind in ("system_error", "config_error", "transient_error") if kind in kinds)
    lines = run.failures[:_MOST_FAILURES]
    if len(run.failures) + run.unlogged > len(lines):
        lines.append(f"{len(run.failures) + run.unlogged - len(lines)} more failures are in the log")
    unexpected = next((error for _, error in run.causes if not isinstance(error, TrunklineError)), None)
    return [failure("\n".join(lines), kind, stream=name, error=unexpected)]
