"""tap-evolux: calls of Evolux Studio and the detail of each call.

Rests on the vendor's page "API - Relatório - Histórico de Chamadas - Studio" (Evolux wiki, DOC/1047330817).
"""

from __future__ import annotations

import contextlib
import functools
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from trunkline import instants
from trunkline.client import Request
from trunkline.errors import BadRecord, Refused, TrunklineError, Unproven
from trunkline.facts import VendorTap, common, header, switch, text, token
from trunkline.shape import BROKEN, decode, encode
from trunkline.stream import Page, Rows, WindowedStream

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from datetime import datetime

    from trunkline.ahead import Desk, Ticket
    from trunkline.client import Reply
    from trunkline.plan import Window
    from trunkline.stream import VendorStream

CALLS = "/api/v1/studio/calls"
_SECRET_NAME = re.compile(
    r"token|passwor|passwd|passphrase|senha|secret|authori[sz]ation|(api|private|access).?key|credential|cookie"
    r"|\b(pass|pwd)\b",
    re.IGNORECASE,
)
_SECRET_PARTS = frozenset({"auth", "headers", "header"})
"""Parts of a task's parameters that hold credentials whatever stands in them."""
_LABELS = frozenset({"name", "key", "field", "param", "parameter", "property", "header", "label", "id", "type"})
"""Fields that name what stands in the fields beside them."""
_VALUES = frozenset({"value", "val", "content"})
_PAIR = 2
_PARAMETER = re.compile(
    r"((?:^|(?<=[?&#;\s\"']))([\w.\-%\[\]]+)(?:=|:\s*))(?:(?:Bearer|Basic)\s+)?[^&#;,\s\"']+", re.IGNORECASE
)
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.\-]*://)[^/?#\s@]+@", re.IGNORECASE)
_ALL_MISSING = 5
_NO_KEY = ("", ".", "..")  # what makes another path of the detail's
_NAMED = 10  # calls without a number that a line names


class _Meta(msgspec.Struct):
    status: int = HTTPStatus.OK
    message: str = ""


class _Envelope(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Pagination(msgspec.Struct):
    total: int
    next_url: str | None = None


class _Calls(msgspec.Struct):
    pagination: _Pagination
    data: list[msgspec.Raw]


class _Detail(msgspec.Struct):
    data: msgspec.Raw


class _Listed(msgspec.Struct):
    """What the detail of a call needs to know of the call."""

    id: int
    start_time: str
    uuid: Any = None


class StudioCalls(WindowedStream):
    """The calls, page by page; without dates the vendor answers with the current day only."""

    name, path = "studio_calls", CALLS
    primary_keys, replication_key = ("id",), "start_time"
    read_calls = msgspec.json.Decoder(_Calls).decode

    def page_request(self, window: Window, number: int, size: int) -> Request:
        """The vendor's own pagination URLs drop `limit` and name other hosts: only the form of their dates is used."""
        since, until = self.bounds(window)
        return Request(
            f"{self.name} {window} page {number}",
            CALLS,
            (
                ("start_date", instants.to_iso(since) if since else ""),
                ("end_date", instants.to_iso(until)),
                ("limit", str(size)),
                ("page", str(number)),
            ),
            stream=self.name,
        )

    def open(self, reply: Reply) -> Page:
        """Calls under `data`; `next_url` only tells that more follow, `total` how many there are."""
        answer = self.read_calls(reply.body)
        more = answer.pagination.next_url is not None
        return Page(answer.data, self.read_key, answer.pagination.total, more)


class StudioCdr(StudioCalls):
    """The detail of each call, one request per call; it lists the calls of its own windows."""

    name, path = "studio_cdr", CALLS + "/<call_id>/cdr"
    primary_keys, replication_key = ("call_id",), "call_start_time"
    identity = ("id",)  # of the calls it lists
    looks_into = ("executed_tasks",)
    text_or_number = ("call_flow_id", "project_id", "call_flow_version", "studio_version")
    read_listed = msgspec.json.Decoder(_Listed).decode
    read_detail = msgspec.json.Decoder(_Detail).decode

    def __init__(self, tap: VendorTap) -> None:
        super().__init__(tap)
        self.asked = self.missing = 0
        self.unnamed: list[int] = []
        """Calls of the window at hand that have no number to request their detail by."""

    def shares_with(self, other: VendorStream) -> bool:
        """The list of calls serves both streams."""
        return isinstance(other, StudioCalls)

    def give_page(self, desk: Desk, window: Window, page: Page, reply: Reply) -> None:  # noqa: ARG002 - all is on the page
        """Want the detail of each call on the page."""
        asked = Rows(window, (), "start_time")
        for raw in page.rows:
            try:
                call = self.read_listed(raw)
                if not self.belongs(asked, {"start_time": instants.from_iso(call.start_time)}):
                    continue
            except (msgspec.MsgspecError, ValueError, TrunklineError) as exc:
                # Told when its turn comes, and for this stream alone: the list may serve another one too.
                desk.give((self, exc if isinstance(exc, TrunklineError) else _bad_call(exc)))
                return
            if self.key_of(call) is None:
                desk.give((self, (call, None)))
            else:
                desk.give_later(self.ask_detail(desk, call), functools.partial(self.detail, call))

    def key_of(self, call: _Listed) -> str | None:
        """The number that the detail of a call is requested by; None where the vendor gives the call none."""
        key = call.uuid if self.config["cdr_call_id"] == "uuid" else str(call.id)
        return key if isinstance(key, str) and key.strip() not in _NO_KEY else None

    def detail(self, call: _Listed, ticket: Ticket) -> tuple[StudioCdr, Any]:
        """What is handed out for a call once its detail is answered."""
        return self, (call, ticket)

    def ask_detail(self, desk: Desk, call: _Listed) -> Ticket:
        """Want the detail of one call."""
        path = f"{CALLS}/{quote(self.key_of(call) or '', safe='')}/cdr"
        request = Request(f"{self.name} of call {call.id}", path, stream=self.name)
        return desk.ask(request, self.open_detail, owner=self)

    def compute(self, row: Any) -> None:
        """Remove what opens other systems from the parameters of the customer's own steps."""
        if self.config["redact_task_params"]:
            tasks = row.get("executed_tasks")
            if tasks:
                row["executed_tasks"] = _tasks_without_secrets(tasks)

    def open_detail(self, reply: Reply) -> msgspec.Raw:
        """One object under `data`."""
        return self.read_detail(reply.body).data

    def records(self, thing: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """The detail with the call's id and start; nothing when the vendor does not have it (yet)."""
        if isinstance(thing, TrunklineError):
            raise thing
        call, ticket = thing
        self.asked += 1
        if ticket is None:
            self.missing += 1
            self.unnamed.append(call.id)
            return
        try:
            detail = ticket.result().parsed
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            detail = None
        if detail is None:  # a 404, or a 204: it may come later
            self.missing += 1
            return
        row = self.run.shape.decode(detail)
        record, moments = self.run.shape({**row, "call_id": call.id, "call_start_time": call.start_time})
        yield record, moments["call_start_time"]

    def prove(self, window: Window) -> None:
        """A detail may not be there yet, but not all of them: then they are asked for by the wrong number."""
        asked, missing, unnamed, number = self.asked, self.missing, self.unnamed, self.config["cdr_call_id"]
        self.asked, self.missing, self.unnamed = 0, 0, []
        if unnamed:
            calls = ", ".join(map(str, sorted(unnamed)[:_NAMED])) + " and others" * (len(unnamed) > _NAMED)
            self.warn(
                f"{len(unnamed)} of {asked} calls of {window} have no {number}, so their details can't be requested "
                f"(calls {calls}); cdr_call_id chooses the number"
            )
            missing -= len(unnamed)
        if missing + len(unnamed) == asked >= _ALL_MISSING:
            other = "uuid" if number == "id" else "id"
            raise Unproven(
                f"{self.name}, {window}, could not be read",
                f"the vendor has no detail (404, 204 or no {number}) of any of its {asked} calls",
                f"Its details may be known by the call's {other}: set cdr_call_id to {other}",
            )
        if missing:
            self.run.missing += missing
            self.warn(f"{missing} of {asked} calls of {window} have no detail yet (404 or 204); later runs ask again")

    def probe(self, desk: Desk) -> Generator[Ticket, Reply, list[Any]]:
        """The last window's first page, and the detail of one call on it."""
        things = yield from super().probe(desk)
        for raw in things[0].rows[:1]:
            call = self.read_listed(raw)
            if self.key_of(call) is None:
                return [(call, None)]
            ticket = self.ask_detail(desk, call)
            try:
                yield ticket
            except Refused as exc:
                if exc.status != HTTPStatus.NOT_FOUND:
                    raise
            return [(call, ticket)]
        return []


class TapEvolux(VendorTap):
    """Singer tap for Evolux Studio: the calls, and the detail of each call with the tasks that its flow executed."""

    name, vendor = "tap-evolux", "evolux"
    common = common(lookback="P1D", window="P1D", page_size=50, most=50, start_required=True)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the tenant, such as https://example.evolux.net.br.", format="url"),
        "api_token": token("API token, sent in the header `token`."),
        "cdr_call_id": text(
            "Which number of a call its detail is asked for with: the vendor's page does not say.",
            enum=["id", "uuid"],
            default="id",
        ),
        "redact_task_params": switch(
            "Remove authentication, headers and values named like a token, password or secret from the "
            "parameters of executed tasks: they belong to other systems.",
            default=True,
        ),
    }
    required = ("api_url", "api_token")
    required_to_start = ("start_date",)
    stream_types = (StudioCalls, StudioCdr)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_token",
        HTTPStatus.FORBIDDEN: "Check what the token is allowed to read",
    }
    sign = header("token", "api_token", Content_Type="application/json")

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """HTTP decides first; a `meta.status` from 400 on inside a 200 is a no all the same."""
        if status != HTTPStatus.OK:
            return
        said = _meta(body)
        if said.status >= HTTPStatus.BAD_REQUEST:
            self.client.judge(request, said.status, reason=said.message, inside="meta.status of an HTTP 200")

    def reason(self, body: bytes) -> str:
        """The vendor's own words."""
        return _meta(body).message


def _bad_call(exc: Exception) -> BadRecord:
    why = f"id and start_time are not what the vendor documents ({exc})"
    return BadRecord("studio_cdr: a call of the list could not be read", why, "The bookmark stays where it was")


def _meta(body: bytes) -> _Meta:
    try:
        return msgspec.json.decode(body, type=_Envelope).meta
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Meta()


def _without_secrets(value: Any) -> Any:
    """Task parameters without what opens other systems; anything may stand in them, at any depth."""
    if isinstance(value, dict):
        label = _secret_label(value)
        if label:  # `{"name": "token", "value": …}`: the name stands in a field of its own
            return {name: inner if name == label else None for name, inner in value.items()}
        return {name: None if _is_secret(name) else _without_secrets(inner) for name, inner in value.items()}
    if isinstance(value, list):
        if len(value) == _PAIR and isinstance(value[0], str) and _is_secret(value[0]):
            return [value[0], None]
        return [_without_secrets(inner) for inner in value]
    return _text_without_secrets(value) if isinstance(value, str) else value


def _secret_label(entry: Mapping[str, Any]) -> str:
    """The field of an entry that names its other fields as a secret; empty when there is none."""
    named = any(name.lower() in _VALUES for name in entry)
    for name, inner in entry.items():
        # A sentence is no name, unless a value stands beside it.
        if name.lower() in _LABELS and isinstance(inner, str) and _is_secret(inner) and (named or " " not in inner):
            return name
    return ""


def _is_secret(name: str) -> bool:
    return name.strip().lower() in _SECRET_PARTS or _SECRET_NAME.search(name) is not None


def _text_without_secrets(text: str) -> str:
    """A text without the secrets in the JSON that it is, or in a query or form that stands in it."""
    if text.lstrip()[:1] in {"{", "[", '"'}:
        with contextlib.suppress(*BROKEN):
            found = decode(text)
            cleaned = _without_secrets(found)
            return text if cleaned == found else encode(cleaned).decode()
    return _USER_INFO.sub(r"\1", _PARAMETER.sub(lambda part: part[1] if _is_secret(part[2]) else part[0], text))


def _tasks_without_secrets(value: Any) -> Any:
    """Executed tasks with their parameters cleaned, in whatever form they come; parameters that are text are read."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        with contextlib.suppress(*BROKEN):
            return _tasks_without_secrets(decode(value))
    if isinstance(value, list):
        return [_tasks_without_secrets(inner) for inner in value]
    if isinstance(value, dict):
        return {
            name: _without_secrets(_parsed(inner)) if name == "task_raw_params" else _tasks_without_secrets(inner)
            for name, inner in value.items()
        }
    return value


def _parsed(value: Any) -> Any:
    """The object or list that a text stands for; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "[", '"'}:
        with contextlib.suppress(*BROKEN):
            found = _parsed(decode(value))
            return found if isinstance(found, (dict, list)) else value
    return value
