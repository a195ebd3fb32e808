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

from trunkline import instants, settings
from trunkline.client import Request
from trunkline.errors import BadRecord, Refused, TrunklineError, Unproven
from trunkline.shape import BROKEN, decode
from trunkline.stream import Page, Rows, WindowedStream
from trunkline.tap import VendorTap

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from datetime import datetime

    from trunkline.ahead import Desk, Ticket
    from trunkline.client import Reply
    from trunkline.plan import Window
    from trunkline.stream import VendorStream

CALLS = "/api/v1/studio/calls"
_SECRET_NAME = re.compile(r"token|password|passwd|senha|secret|authorization|api.?key|credential", re.IGNORECASE)
_ALL_MISSING = 5


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
    uuid: str | None = None


class StudioCalls(WindowedStream):
    """The calls, page by page; without dates the vendor answers with the current day only."""

    name, path = "studio_calls", CALLS
    primary_keys, replication_key = ("id",), "start_time"
    read_calls = msgspec.json.Decoder(_Calls).decode

    def page_request(self, window: Window, number: int) -> Request:
        """The vendor's own pagination URLs drop `limit` and name other hosts: only the form of their dates is used."""
        since, until = window.asked(self.tick)
        return Request(
            f"{self.name} {window} page {number}",
            CALLS,
            (
                ("start_date", instants.to_iso(since) if since else ""),
                ("end_date", instants.to_iso(until)),
                ("limit", str(self.page_size)),
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
            desk.give_later(self.ask_detail(desk, call), functools.partial(self.detail, call))

    def detail(self, call: _Listed, ticket: Ticket) -> tuple[StudioCdr, Any]:
        """What is handed out for a call once its detail is answered."""
        return self, (call, ticket)

    def ask_detail(self, desk: Desk, call: _Listed) -> Ticket:
        """Want the detail of one call."""
        key = call.uuid if self.config["cdr_call_id"] == "uuid" else call.id
        path = f"{CALLS}/{quote(str(key), safe='')}/cdr"
        request = Request(f"{self.name} of call {call.id}", path, stream=self.name)
        return desk.ask(request, self.open_detail, owner=self)

    def compute(self, row: Any) -> None:
        """Remove what opens other systems from the parameters of the customer's own steps."""
        if self.config["redact_task_params"]:
            for task in row.get("executed_tasks") or ():
                if isinstance(task, dict) and "task_raw_params" in task:
                    task["task_raw_params"] = _without_secrets(_parsed(task["task_raw_params"]))

    def open_detail(self, reply: Reply) -> msgspec.Raw:
        """One object under `data`."""
        return self.read_detail(reply.body).data

    def records(self, thing: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """The detail with the call's id and start; nothing when the vendor does not have it (yet)."""
        if isinstance(thing, TrunklineError):
            raise thing
        call, ticket = thing
        self.asked += 1
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
        asked, missing = self.asked, self.missing
        self.asked = self.missing = 0
        if missing == asked >= _ALL_MISSING:
            other = "uuid" if self.config["cdr_call_id"] == "id" else "id"
            raise Unproven(
                f"{self.name}, {window}, could not be read",
                f"the vendor has no detail (404 or 204) of any of its {asked} calls",
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
    common = settings.common(lookback="P1D", window="P1D", page_size=50, most=50, start_required=True)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": settings.text("Address of the tenant, such as https://example.evolux.net.br.", format="url"),
        "api_token": settings.token("API token, sent in the header `token`."),
        "cdr_call_id": settings.text(
            "Which number of a call its detail is asked for with: the vendor's page does not say.",
            enum=["id", "uuid"],
            default="id",
        ),
        "redact_task_params": {
            "type": "boolean",
            "default": True,
            "description": "Remove authentication, headers and values named like a token, password or secret from the "
            "parameters of executed tasks: they belong to other systems.",
        },
    }
    required = ("api_url", "api_token")
    required_to_start = ("start_date",)
    stream_types = (StudioCalls, StudioCdr)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_token",
        HTTPStatus.FORBIDDEN: "Check what the token is allowed to read",
    }

    def sign(self, request: Request) -> tuple[Mapping[str, str], Any]:  # noqa: ARG002 - only headers are needed here
        """A header of the vendor's own; the token never goes into the query, though the vendor takes it there too."""
        return {"token": self.config["api_token"], "Content-Type": "application/json"}, None

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


def _parsed(value: Any) -> Any:
    """What a text stands for, where it is JSON of something to look into."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        with contextlib.suppress(*BROKEN):
            return decode(value)
    return value


def _without_secrets(value: Any) -> Any:
    """Task parameters without what opens other systems; anything may stand in them, at any depth."""
    if isinstance(value, dict):
        return {
            name: None if name.lower() in {"auth", "headers"} or _SECRET_NAME.search(name) else _without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return value
