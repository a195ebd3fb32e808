"""The fuzz targets: functions of bytes that raise when the project breaks its promise about hostile input.

A target takes what a stranger may send (a vendor's response, a config, a state, the lines of a tap) the way it really
comes in. An error of the project's own tree is a good end. Any other exception is a finding, and so is a record that
is no JSON, or whose value is not the one that came.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import re
import tempfile
import threading
import zoneinfo
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests.adapters import BaseAdapter, HTTPAdapter
from singer_sdk.exceptions import ConfigValidationError
from urllib3 import HTTPResponse

from tap_bspk import TapBSPK
from tap_conpeek import TapConpeek
from tap_evolux import TapEvolux
from tap_hostedsuite import TapHostedSuite
from tap_switchtransact import LOOKUPS, TapSwitchTransact
from trunkline import instants, schemas
from trunkline.errors import TrunklineError
from trunkline.facts import DetailStream
from trunkline.facts import config as settings
from trunkline.facts.details import Detail
from trunkline.facts.lookups import Found, Lookup
from trunkline.facts.stream import WindowRows
from trunkline.facts.uncounted import SpanRows
from trunkline.facts.windowed import WindowedStream
from trunkline.run.stream_run import StreamRun
from trunkline.steps import bookmark, feeds
from trunkline.steps.fetch.breaker import Breaker
from trunkline.steps.fetch.context import PendingReply, ReadContext
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.plan import Window
from trunkline.steps.prove.pages import EMPTY
from trunkline.steps.write import BlockWriter
from trunkline_contract.runs import wait_for_nothing
from trunkline_duckdb.store import DuckDB
from trunkline_loader.errors import LoadError
from trunkline_loader.loader import Loader
from trunkline_sandbox import Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import requests

    from trunkline.doors.command import VendorTap
    from trunkline.facts.stream import VendorStream

    Target = Callable[[bytes], None]

UTC = timezone.utc
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _first(tap: Any, count: int = 1) -> Any:
    """Return the tap with its first streams alone: an input is one response, and has to be one of theirs."""
    return type(tap.__name__, (tap,), {"stream_types": tap.stream_types[:count]})


TAPS: dict[str, type[VendorTap]] = {
    tap.vendor: tap
    for tap in (
        _first(TapBSPK),
        _first(TapSwitchTransact, 2),
        _first(TapHostedSuite),
        _first(TapConpeek),
        _first(TapEvolux, 2),
    )
}
_BRIEF = {"page_size": 3, "max_attempts": 1}
_STATUSES = (200, 204, 400, 401, 403, 404, 429, 500)
_SEARCHED = 20_000  # bytes of an input that are mutated
_LONGEST = 5_000  # characters of a line that reports an error


class Finding(Exception):  # noqa: N818 - a finding of the fuzzer, not an error of the project
    """The project has broken a promise without an exception."""


class _Wire(BaseAdapter):
    """Responds to every request with the bytes at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.headers, self.body = 200, dict[str, str](), b""
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        raw = HTTPResponse(
            io.BytesIO(self.body), self.headers, status=self.status, preload_content=False, decode_content=False
        )
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class _Recorder(SandboxAdapter):
    """A sandbox whose responses are kept."""

    def __init__(self, box: Sandbox) -> None:
        super().__init__(box, sleep=lambda _: None)
        self.responses: list[tuple[str, bytes]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(request, *args, **kwargs)
        head = [str(response.headers.get(name, "")) for name in ("X-Total-Count", "Link")]
        recorded = f"{response.status_code} {head[0]}\n{head[1]}\n".encode() + response.content
        self.responses.append((request.url or "", recorded))
        response.raw = HTTPResponse(io.BytesIO(response.content), preload_content=False, decode_content=False)
        return response


# -- a vendor's responses --------------------------------------------------------------------------


class Pages:
    """From a response to RECORD lines: client, form of the response, shape and writer as in a run.

    Args:
        vendor: Whose responses.
        more: Settings beside those that the sandbox needs.
    """

    def __init__(self, vendor: str, **more: Any) -> None:
        self.wire, self.output = _Wire(), io.BytesIO()
        self.writer = BlockWriter(self.output)
        box = Sandbox(size=0, vendors=[vendor])
        config = {name: value for name, value in {**box.config(vendor), **_BRIEF, **more}.items() if value is not None}
        if vendor == "switchtransact":
            del config["page_size"]
        self.tap = TAPS[vendor](config=config, transport=self.wire, run_start=NOW, message_writer=self.writer)
        wait_for_nothing(self.tap.client)

    def __call__(self, data: bytes) -> None:
        """Take a response: a line with status and X-Total-Count, a line with Link, the body.

        Raises:
            Finding: A line that was written is no JSON, or has another value than the response.
        """
        for stream in self.tap.ordered_streams():
            stream.run = StreamRun(stream, self.writer.record_line(stream.name))
        for stream in self.tap.ordered_streams():
            self.output.seek(0)
            self.output.truncate()
            try:
                self._read(stream, data)
            except TrunklineError as exc:
                if len(str(exc)) > _LONGEST or not str(exc).isprintable():
                    raise Finding(f"an error that is no line for a log: {str(exc)[:500]!r}") from exc
            self.writer.flush()
            for line in self.output.getvalue().splitlines():
                _strict(line)

    def fetch(self, data: bytes, open_body: Callable[[Reply], Any]) -> Reply:
        """Send a request through the client, which gets `data` as its response."""
        head, _, rest = data.partition(b"\n")
        link, _, self.wire.body = rest.partition(b"\n")
        status, _, total = head.decode("latin-1").partition(" ")
        self.wire.status = int(status) if status.isdecimal() and int(status[:9]) in _STATUSES else 200
        self.wire.headers = {}
        for name, value in (("X-Total-Count", total), ("Link", link.decode("latin-1"))):
            if value:
                self.wire.headers[name] = value
        client = self.tap.client
        client.denied, client.breaker = None, Breaker()
        return client.fetch(Request("the thing", "/thing", json={}), open_body, threading.Event())

    def _read(self, stream: VendorStream, data: bytes) -> None:
        for thing, rows in self._things(stream, data):
            mark = self.output.tell()
            stream.run.take({}, thing)
            self.writer.flush()
            self.output.seek(mark)
            _same(stream, rows, [_strict(line) for line in self.output.read().splitlines()])

    def _things(self, stream: VendorStream, data: bytes) -> Iterator[tuple[Any, Sequence[Any]]]:
        if isinstance(stream, DetailStream):
            page = self.fetch(data, stream.source.open).parsed or EMPTY
            ctx = ReadContext()
            stream.emit_page(ctx, Window(instants.EPOCH, NOW), page, Reply(Request("a page", "/"), 200, {}, data))
            for item in ctx.items:  # an error, if there is one: details are a target of their own
                if item.pending is None:
                    stream.run.take({}, item.value)
            return
        if not isinstance(stream, WindowedStream):
            rows = self.fetch(data, LOOKUPS.open).parsed or []
            yield Found(stream, Lookup("phone", "+27720000000", "phone lookup 1 of 1"), rows), ()
            return
        reply = self.fetch(data, stream.open)
        page = reply.parsed or EMPTY
        window = Window(instants.EPOCH, NOW)
        if isinstance(stream.tap, TapConpeek):
            stream.split(Window(None, NOW), "created_date", page)  # type: ignore[attr-defined]
            yield SpanRows(stream, window, page.rows, "created_date", {"voice_campaign_id": "campaign"}), page.rows
        else:
            yield WindowRows(stream, window, page.rows, stream.replication_key or ""), page.rows


class Details(Pages):
    """From the response that a call's detail is to its RECORD line."""

    def _things(self, stream: VendorStream, data: bytes) -> Iterator[tuple[Any, Sequence[Any]]]:
        if not isinstance(stream, DetailStream):
            return
        call = stream.read_parent(b'{"id":1,"start_time":"2024-01-01T00:00:00Z"}')
        pending = PendingReply(ReadContext(), Request("a detail", "/"), stream.open_detail, stream)
        pending.reply, pending.done = self.fetch(data, stream.open_detail), True
        if pending.reply.parsed is not None:
            yield Detail(stream, call, pending), ()


def _strict(line: bytes) -> dict[str, Any]:
    """Return a RECORD line's record."""
    try:
        found = json.loads(line.decode(), parse_constant=_no_constant, parse_float=_exact, parse_int=_exact)
    except ValueError as exc:
        raise Finding(f"a line that is no JSON: {line[:300]!r}") from exc
    record: dict[str, Any] = found["record"]
    return record


def _exact(number: str) -> Decimal | str:
    """Return a number with all its digits; as text where its exponent is beyond what any reader takes."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return number


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _same(stream: VendorStream, rows: Sequence[Any], records: Sequence[Mapping[str, Any]]) -> None:
    """Check that every number, text and truth value of a row was written as it came."""
    if len(rows) != len(records) or stream.config["pii"] != "clear":
        return
    plain = {
        name
        for name, spec in stream.schema["properties"].items()
        if spec.get("format") != "date-time" and name not in stream.computed and name not in stream.text_or_number
    }
    for raw, record in zip(rows, records, strict=True):
        row = json.loads(bytes(raw), parse_float=_exact, parse_int=_exact)
        odd = record.get("_extra") or {}  # where a value that contradicts the schema is kept, null in its place
        for name in plain & row.keys():
            written = odd.get(name) if record.get(name) is None else record[name]
            if isinstance(row[name], (str, Decimal, bool)) and written != row[name] and name != "custom":
                raise Finding(f"{name} came as {row[name]!r} and was written as {record.get(name)!r}")


# -- texts and settings ----------------------------------------------------------------------------

_ZONES = (UTC, zoneinfo.ZoneInfo("Europe/Warsaw"), timezone(timedelta(hours=-11)))


def times(data: bytes) -> None:
    """Read a vendor's time in every way, and what is written of it."""
    zone, text = _ZONES[data[0] % len(_ZONES) if data else 0], data[1:].decode("utf-8", "replace")
    for read in (instants.from_iso, instants.from_service_stack):
        try:
            instant = read(text, zone)
        except ValueError:
            continue
        if instants.from_iso(instants.to_iso(instant)) != instant:
            raise Finding(f"{text!r} does not survive being written")
    try:
        instant, written = instants.read(text, zone)
    except ValueError:
        return
    if not instants.has_zone(written) or instants.from_iso(written) != instant:
        raise Finding(f"{text!r} is written as {written!r}")


def durations(data: bytes) -> None:
    """Read a duration out of a config."""
    try:
        instants.duration(data.decode("utf-8", "replace"))
    except ValueError:
        return


def config(data: bytes) -> None:
    """Read a config file: first the vendor's number, then JSON, as the command reads it."""
    vendor = list(TAPS)[data[0] % len(TAPS) if data else 0]
    try:
        given = json.loads(data[1:])
    except (ValueError, RecursionError):
        return
    if not isinstance(given, dict):
        return
    try:
        tap = TAPS[vendor](config={**Sandbox(size=0, vendors=[vendor]).config(vendor), **given}, run_start=NOW)
        for stream in tap.ordered_streams():
            stream.run = StreamRun(stream, lambda _: None)
            if isinstance(stream, WindowedStream):
                _first_windows(stream)
    except (TrunklineError, ConfigValidationError) as exc:
        if any(len(line) > _LONGEST or not line.isprintable() for line in getattr(exc, "errors", [])):
            raise Finding(f"an error that is no line: {str(exc)[:500]!r}") from exc


def _first_windows(stream: WindowedStream) -> None:
    """Plan the first windows, which a far date or a long duration must not break."""
    stream.place()
    start = stream.start(stream.run.bookmark({}).value)
    if not stream.nothing_to_do(start):
        for job in itertools.islice(stream.jobs(start).upcoming(), 8):
            span: Any = job
            window: Window = getattr(span, "window", span)
            requested = stream.bounds(window)
            if requested[0] and requested[0] > requested[1]:
                raise Finding(f"{window} is requested backwards")
            if stream.tap.vendor != "conpeek":
                stream.page_request(window, 1, 50)
            stream.belongs(WindowRows(stream, window, (), "at"), {"at": window.since or window.until - instants.SECOND})


def environment(data: bytes) -> None:
    """Read settings from the environment: NAME=VALUE, a line each."""
    text = data.decode("utf-8", "replace")
    variables = {f"TAP_CONPEEK_{name}": value for line in text.split("\n") for name, _, value in [line.partition("=")]}
    properties = TapConpeek.config_jsonschema["properties"]
    settings.errors(settings.from_environment(properties, "TAP_CONPEEK_", variables), TapConpeek.config_jsonschema)


_STATEFUL: list[VendorTap] = []


def state(data: bytes) -> None:
    """Read a state file, as the command does, and plan the first windows from there."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not _STATEFUL:
        for vendor in ("bspk", "conpeek", "hostedsuite"):
            tap = TAPS[vendor](config=Sandbox(size=0, vendors=[vendor]).config(vendor), run_start=NOW)
            _STATEFUL.append(tap)
    for tap in _STATEFUL:
        tap.bookmarks.clear()
        try:
            tap.load_state(given)
            bookmark.drop_markers(tap.bookmarks)
            for stream in tap.ordered_streams():
                stream.run = StreamRun(stream, lambda _: None)
                if isinstance(stream, WindowedStream):
                    _first_windows(stream)
                    stream.run.proven({}, feeds.WindowProven(Window(None, NOW)))
        except TrunklineError:
            continue


# -- the lines a target reads ----------------------------------------------------------------------


class Lines:
    """`target-duckdb` from its lines to a file; a new file now and then, as hostile names pile up in one."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("fuzz")
        self.folder = tempfile.TemporaryDirectory()
        self.store: DuckDB | None = None
        self.count = 0

    def __call__(self, data: bytes) -> None:
        """Load lines. What is committed can be counted afterwards, for any input."""
        if self.store is None:
            self.store = DuckDB(Path(self.folder.name) / f"{self.count}.duckdb", "main", self.logger)
            self.store.open()
        self.count += 1
        try:
            with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
                Loader(self.store, 3, self.logger).run(io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape"))
        except LoadError as exc:
            if len(str(exc)) > _LONGEST or not str(exc).isprintable():
                raise Finding(f"an error that is no line for a log: {str(exc)[:500]!r}") from exc
        finally:
            if not self.count % 200:
                self.store.close()
                self.store.path.unlink(missing_ok=True)
                self.store = None


# -- all of them, and what they begin with ---------------------------------------------------------


def targets() -> dict[str, Callable[[], Target]]:
    """Return a maker of each target, by name."""
    responses: dict[str, Callable[[], Target]] = {vendor: lambda vendor=vendor: Pages(vendor) for vendor in TAPS}  # type: ignore[misc]
    return {
        **responses,
        "personal": lambda: Pages("hostedsuite", pii="hash", pii_key="key", phone_region="PL"),
        "details": lambda: Details("evolux"),
        "times": lambda: times,
        "durations": lambda: durations,
        "config": lambda: config,
        "environment": lambda: environment,
        "state": lambda: state,
        "duckdb": Lines,
    }


def seeds(name: str) -> list[bytes]:
    """Return the inputs that a target's corpus begins with: the sandbox's responses, and what taps make of them."""
    made: dict[str, Callable[[], list[bytes]]] = {
        **{vendor: lambda vendor=vendor: [response for _, response in _recorded(vendor)[0]] for vendor in TAPS},  # type: ignore[misc]
        "personal": lambda: seeds("hostedsuite"),
        "details": lambda: [response for url, response in _recorded("evolux")[0] if "/cdr" in url],
        "times": lambda: [b"\x01" + text.encode() for text in _TEXTS],
        "durations": lambda: [text.encode() for text in _TEXTS],
        "environment": lambda: list(_VARIABLES),
        "config": _configs,
        "state": lambda: [line for line in _output().splitlines() if line.startswith(b'{"type":"STATE"')],
        "duckdb": lambda: [b"".join(_recorded(vendor)[1].splitlines(keepends=True)[:6]) for vendor in TAPS],
    }
    return made[name]()[:40]


_VARIABLES = (
    b"PAGE_SIZE=3\nVOICE_CAMPAIGN_IDS=a,b\nLOOKBACK=P1D\nFILTER=[]\nREQUEST_TIMEOUT=1.5",
    b"API_URL=https://x.example\nPII=hash\nSKIP_MISSING_CAMPAIGNS=yes",
)


def _configs() -> list[bytes]:
    dates = b'\x00{"start_date":"2024-01-01","end_date":"2024-02-01T00:00:00Z","lookback":"P1D","window":"PT6H"}'
    given = [json.dumps(Sandbox(size=0, vendors=[vendor]).config(vendor)).encode() for vendor in TAPS]
    return [*(bytes([number]) + one for number, one in enumerate(given)), dates]


def _output() -> bytes:
    return b"".join(_recorded(vendor)[1] for vendor in TAPS)


HOSTILE = (
    b"NaN", b"-Infinity", b"1e400", b"1e-400", b"1e9999999999999999999", b"9" * 5_000, b"18446744073709551616",
    b"-9223372036854775809", b"0.1000000000000000055511151231257827", b"5.0", b"-0", b"01", b"null", b"true",
    b"[]", b"{}", b"[[]]", b'""', b'"\\ud800"', b'"\\u0000"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"',
    b'"2024-02-30T10:00:00Z"', b'"2024-01-01T25:61:00Z"', b'"0001-01-01T00:00:00"', b'"9999-12-31T23:59:59-12:00"',
    b'"/Date(99999999999999999999)/"', b'"12/31/9999 11:59 PM"', b"[" * 3_000, b'{"a":' * 400 + b"1" + b"}" * 400,
    b'{"a":1,"a":2}', b'" OR 1=1; DROP TABLE calls; --"',
)  # fmt: skip
"""JSON values, and texts that are nearly such, which programs trip over."""


_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|null|true|false|[\[{]')


def mutated(data: bytes, place: int, value: bytes) -> bytes:
    """Return an input with a hostile value in the place of one of its values or names; of an empty one, the value."""
    found = list(_VALUE.finditer(data, 0, _SEARCHED))
    if not found:
        return data + value
    one = found[place % len(found)]
    return data[: one.start()] + value + data[one.end() :]


def words() -> list[bytes]:
    """Return words worth putting into an input: hostile values, and names that schemas and settings know."""
    names: set[str] = {"pagination", "total", "next_url", "data", "Items", "TotalCount", "status", "contact"}
    for tap in TAPS.values():
        names |= tap.config_jsonschema["properties"].keys()
        facts: list[Any] = list(tap.stream_types)
        for stream in facts:
            names |= schemas.load(tap.vendor, stream.name)["properties"].keys()
    names |= {
        "bookmarks",
        "type",
        "stream",
        "record",
        "schema",
        "key_properties",
        "properties",
        "RECORD",
        "SCHEMA",
        "STATE",
    }
    return [value for value in HOSTILE if len(value) < 60] + [b'"%s"' % name.encode() for name in sorted(names)]  # noqa: PLR2004 - longer ones do not help a mutation


_TEXTS = (
    "2024-08-07T12:29:23.594Z", "2021-08-10 00:00:00", "2024-02-30T25:61:00+02:00", "/Date(1700000000000+0100)/",
    "3/31/2024 2:30 AM", "2024-W01-1", "20240101T000000", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999-12:00",
    "P7D", "PT6H", "P1Y2M", "-P1D", "P1DT1.5H", "P999999999D",
)  # fmt: skip


def _recorded(vendor: str) -> tuple[list[tuple[str, bytes]], bytes]:
    """Return the responses of one run against the sandbox, and its output."""
    box, output = Sandbox(size=12, vendors=[vendor]), io.BytesIO()
    recorder = _Recorder(box)
    config = {**box.config(vendor), **_BRIEF, "concurrency": 1}
    if vendor == "switchtransact":
        del config["page_size"]
    tap = TAPS[vendor](config=config, transport=recorder, run_start=NOW, message_writer=BlockWriter(output))
    wait_for_nothing(tap.client)
    tap.run()
    return recorder.responses, output.getvalue()
