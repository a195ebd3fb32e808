"""Evolux: Studio's calls and their details (vendor-docs/004, vendors.md 5), and the lists of the contact centre."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Table
from trunkline_sandbox.vendor import Knobs, RefusedError, Vendor, choice, whole
from trunkline_sandbox.vendors.evolux_centre import LISTINGS, Listing
from trunkline_sandbox.world import World, guid, mix, person, phone

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from trunkline_sandbox.messages import Request

_BRAZILIAN = re.compile(r"(\d{2})/(\d{2})/(\d{4})")
_LISTED = {listing.stream: listing for listing in LISTINGS}
_AT = {listing.path: listing for listing in LISTINGS}

SECRET_IN_TASKS = "sandbox-third-party-secret"  # noqa: S105 - public; stands for what customers put into flows
"""Stands in the `task_raw_params` of made-up details: in `auth`, in `headers` and under names like a token's."""

SAMPLE_CALLS: tuple[Row, ...] = (
    {
        "exit_reason": "hangup",
        "system_hangup_reason": "hangup_task",
        "uuid": "1",
        "call_flow": {"id": 1, "name": "Test"},
        "start_time": "2020-01-12T11:59:00+00:00",
        "caller": "600",
        "who_hangup": "system",
        "project": {"id": 1, "name": "Test"},
        "end_time": "2020-01-12T11:59:59+00:00",
        "duration": 59,
        "exit_transfer_destination": None,
        "id": 1,
        "did_number": None,
    },
    {
        "exit_reason": "transfer",
        "system_hangup_reason": None,
        "uuid": "2",
        "call_flow": {"id": 2, "name": "Test 1"},
        "start_time": "2020-01-12T13:00:00+00:00",
        "caller": "11999482052",
        "who_hangup": None,
        "project": {"id": 1, "name": "Test"},
        "end_time": "2020-01-12T13:01:00+00:00",
        "duration": 60,
        "exit_transfer_destination": "5050",
        "id": 2,
        "did_number": None,
    },
)
"""The two calls that the page prints, oldest first."""

SAMPLE_CDR: Row = {
    "destination_number": "5050",
    "enter_time_epoch": 1580327987,
    "call_flow_version": None,
    "exit_reason": "hangup",
    "call_flow_name": "teste",
    "executed_tasks": [
        {
            "end_time_epoch": 1580327988,
            "task_id": "bff2195a-493a-402c-8bc8-4d125eb58aee",
            "task_raw_params": {},
            "task_description": "Iniciar",
            "task_name": "start",
            "start_time_epoch": 1580327988,
        },
        {
            "end_time_epoch": 1580327988,
            "task_id": "1184e6e2-d480-4b08-84e1-c01d29b5919a",
            "task_raw_params": {
                "data_type": "formdata",
                "url": "https://api.randomuser.me/",
                "verify": True,
                "auth": None,
                "headers": {},
                "params": {},
                "timeout": 30,
                "variable_name": "res",
                "data": {},
                "method": "GET",
            },
            "task_description": "HTTP",
            "task_name": "http",
            "start_time_epoch": 1580327988,
        },
        {
            "end_time_epoch": 1580327988,
            "task_id": "ad9d49c3-d6cc-4416-8099-7779e54b0c8f",
            "task_raw_params": {"cause": "NORMAL_CLEARING"},
            "task_description": "Desligar",
            "task_name": "hangup",
            "start_time_epoch": 1580327988,
        },
    ],
    "hostname": "example.evolux.net.br",
    "who_hangup": "system",
    "system_hangup_reason": "hangup_task",
    "source": "studio",
    "call_flow_id": "1",
    "session_uuid": "abcd05f6-42d1-11ea-9c86-2dfde66a88cb",
    "caller_id_number": "601",
    "project_id": "1",
    "incoming_did": None,
    "project_name": "teste",
    "caller_id_name": "601 - OP",
    "exit_time_epoch": 1580327988,
    "studio_version": "1.0.5",
    "tenant_domain": None,
    "call_uuid": "761a05f6-42d1-11ea-9c86-2dfde66a88cb",
    "exit_transfer_destination": None,
}
"""The detail of call 1 that the page prints as a Python dict."""


@dataclasses.dataclass
class EvoluxKnobs(Knobs):
    """Facts that Evolux's pages leave open.

    Attributes:
        order: Which rows come first; Studio's example has the newest first.
        cdr_key: What `<call_id>` is in the path of a detail.
        limit_cap: The most a page holds; a request for more is cut to it. None: as much as the route's page allows.
        cdr_pending: Call id (as text) to how many requests still find no detail; None: none ever does.
        dates: How the lists of the contact centre read `end_date`: as the last instant, as the first one behind the
            span, or both dates as whole days.
        offset: How these lists write the offset of a time.
        pause_pages: Whether the list of pauses looks at `page`, which is in its links and not in its parameters.
        queue_rows: Where the calls of queues stand.
        call_duration: How a call of a queue writes its length.
        current: What an agent's `current_…` fields are when they are set.
        hangup_cause_twice: Whether a call of the dialer has the key twice, as one in the page's example; the first
            value is then `ORIGINATOR_CANCEL`.
    """

    order: str = choice("newest", "oldest")
    cdr_key: str = choice("id", "uuid")
    limit_cap: int | None = None
    dates: str = choice("inclusive", "exclusive", "days")
    offset: str = choice("+00:00", "+00")
    pause_pages: str = choice("honoured", "ignored")
    queue_rows: str = choice("data.calls", "data")
    call_duration: str = choice("number", "text")
    current: str = choice("scalar", "object")
    hangup_cause_twice: bool = False
    cdr_pending: Mapping[str, int | None] = dataclasses.field(default_factory=dict)


def _start(row: Row) -> int | None:
    return instants.parse_iso(row["start_time"])


def _same(row: Row) -> Row:
    return row


def _always(_: Row) -> int:
    return 0


class Evolux(Vendor):
    """An envelope of pagination, meta and data; without dates, only the current day (UTC) is listed."""

    name = "evolux"
    title = "Evolux"
    path = "/api/v1/studio/calls"
    detail = re.compile(r"/api/v1/studio/calls/([^/]+)/cdr")
    settings: ClassVar = {"api_token": "sandbox-evolux-token"}
    curl = (
        "-H 'token: sandbox-evolux-token' '{url}/api/v1/studio/calls?page=1&limit=2"
        "&start_date={day}T00:00:00%2B00:00&end_date={day}T23:59:59%2B00:00'"
    )
    hidden: ClassVar = {"agent_pauses": ("agent_id",), "queues": ("archived",)}
    knob_sheet = EvoluxKnobs
    knobs: EvoluxKnobs

    # Pagination URLs are plain http, name this host and drop `limit`, as the page's own example shows.
    link_host = "http://example.evolux.net.br"
    most = 50

    def __init__(self, world: World) -> None:
        super().__init__(world)
        make, when = _calls(world)
        calls = Table(("id",), {"start": _start}, count=world.size, make=make, when=when, extra=SAMPLE_CALLS)
        # Only details that differ from what `_detail` makes of a call: the page's sample, and those that tests set.
        details = Table(("call_id",), {"none": _always}, extra=({"call_id": 1, **SAMPLE_CDR},))
        self.tables = {"studio_calls": calls, "studio_cdr": details}
        self.tables |= {listing.stream: listing.table(world) for listing in LISTINGS}
        self._salt = world.random("evolux/cdr").getrandbits(64)

    def complete(self, stream: str, row: Row) -> Row:
        """Return a new row has every field of its list, a new detail every field of a detail."""
        if stream in _LISTED:
            row = {**dict.fromkeys(_LISTED[stream].make(self.world, 0, 0, 0)), **row}
            return {**row, "agent": row["agent"] or {"id": row["agent_id"]}} if stream == "agent_pauses" else row
        if stream == "studio_calls":
            return {**dict.fromkeys(SAMPLE_CALLS[0]), "uuid": str(row["id"]), **row}
        call = self.tables["studio_calls"].find((row["call_id"],))
        made = self._made_detail(call) if call else {**dict.fromkeys(SAMPLE_CDR), "executed_tasks": []}
        return {**made, **row}

    def rows(self, stream: str) -> Iterator[Row]:
        """Yield calls, or a detail for each, with the call's id as `call_id` (which the vendor does not send)."""
        calls = iter(super().rows("studio_calls"))
        if stream == "studio_cdr":
            return ({"call_id": call["id"], **self._detail_of(call)} for call in calls)
        return iter(super().rows(stream))

    def answer(self, request: Request) -> Response:
        """Return a page of rows, or one call's detail.

        Raises:
            RefusedError: 401 for a wrong token, 404 for another path or an unknown call, 400 for bad parameters.
        """
        if request.headers.get("token") != self.settings["api_token"]:
            raise RefusedError(401, "Unauthorized")
        if request.method != "GET":
            raise RefusedError(405, "Method not allowed")
        if request.path == self.path:
            return self._list(request)
        if request.path in _AT:
            return self._rows(_AT[request.path], request)
        found = self.detail.fullmatch(request.path)
        if found is None:
            raise RefusedError(404, "Not found")
        return self._cdr(found[1])

    def error(self, no: RefusedError) -> Response:
        """Return `meta` alone, as the page shows for 404."""
        return Response.json({"meta": {"status": no.status, "message": no.message}}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """Return the request with `page` less one."""
        page = whole(request.get("page"), 1, name="page")
        paged = request.path == self.path or (request.path in _AT and _AT[request.path].most)
        return request.with_query(page=str(page - 1)) if page > 1 and paged else None

    def unfiltered(self, request: Request) -> Request | None:
        """Return the request with dates that let everything through."""
        if request.path != self.path and not (request.path in _AT and _AT[request.path].time):
            return None
        return request.with_query(start_date="1970-01-01", end_date="2100-01-01")

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Return the response with another `pagination.total`."""
        value = response.value() if response.body else None
        if not isinstance(value, dict) or "pagination" not in value:
            return None
        value["pagination"]["total"] = max(0, value["pagination"]["total"] + by)
        return dataclasses.replace(response, body=msgspec.json.encode(value))

    def soft_error(self) -> Response:
        """Return HTTP 200 with `meta.status` 500."""
        return Response.json({"meta": {"status": 500, "message": "Internal server error"}})

    def _list(self, request: Request) -> Response:
        limit = self._limit(request, self.most)
        page = whole(request.get("page"), 1, name="page")
        start, end = self._span(request)
        found = self.tables["studio_calls"].select(None, start, end, newest_first=self.knobs.order == "newest")
        texts = self.tables["studio_calls"].encode(found.page((page - 1) * limit, limit), "", _same)
        kept = {"start_date": _encoded(start), "end_date": _encoded(end)}
        pagination = self._pagination(self.path, kept, page, limit, items=len(texts), total=len(found))
        head = msgspec.json.encode({"pagination": pagination, "meta": {"status": 200, "message": "OK"}})
        return Response(200, (JSON,), head[:-1] + b',"data":[' + b",".join(texts) + b"]}")

    def _limit(self, request: Request, most: int) -> int:
        return min(whole(request.get("limit"), most, name="limit"), self.knobs.limit_cap or most)

    def _span(self, request: Request) -> tuple[int, int]:
        today = instants.from_datetime(self.world.clock()) // instants.DAY * instants.DAY
        start = _bound(request, "start_date", today, end=False)
        return start, _bound(request, "end_date", today + instants.DAY - 1, end=True)

    def _rows(self, listing: Listing, request: Request) -> Response:
        """Return one page of a list of the contact centre, or all of it."""
        table, body = self.tables[listing.stream], {"meta": {"status": 200, "message": "OK"}}
        low, high = self._bounds(request) if listing.time else (None, None)
        found = table.select(
            None, low, high, where=_condition(listing, request), newest_first=self.knobs.order == "newest"
        )
        limit, page = max(1, len(found)), 1
        if listing.most:
            limit, page = self._limit(request, listing.most), whole(request.get("page"), 1, name="page")
            if listing.stream == "agent_pauses" and self.knobs.pause_pages == "ignored":
                page = 1
        numbers = found.page((page - 1) * limit, limit)
        if listing.most:
            kept = {name: quote(value, safe="") for name in listing.keeps if (value := request.get(name))}
            body["pagination"] = self._pagination(
                listing.path, kept, page, limit, items=len(numbers), total=len(found), most=listing.most
            )
        texts = self._render(listing, numbers, with_custom="campaign_id" in dict(request.query))
        data = b"[" + b",".join(texts) + b"]"
        if listing.stream == "queue_calls" and self.knobs.queue_rows == "data.calls":
            data = b'{"calls":' + data + b"}"
        return Response(200, (JSON,), msgspec.json.encode(body)[:-1] + b',"data":' + data + b"}")

    def _bounds(self, request: Request) -> tuple[int, int]:
        """Return the first and the last instant that the dates let through."""
        low, high = self._span(request)
        if self.knobs.dates == "days":
            return low // instants.DAY * instants.DAY, (high // instants.DAY + 1) * instants.DAY - 1
        return low, high - 1 if self.knobs.dates == "exclusive" else high

    def _render(self, listing: Listing, numbers: Iterable[int], *, with_custom: bool) -> list[bytes]:
        knobs, unsent = self.knobs, {*self.hidden.get(listing.stream, ())}
        if listing.stream == "dialer_calls" and not with_custom:
            unsent.add("custom_fields")

        def render(row: Row) -> Row:
            sent = {name: value for name, value in row.items() if name not in unsent}
            if listing.stream == "agents" and knobs.current == "object":
                current = {name: {"id": sent[name]} for name in sent if name.startswith("current_") and sent[name]}
                return {**sent, **current}
            if listing.stream == "queue_calls" and knobs.call_duration == "text" and sent["call_duration"] is not None:
                return {**sent, "call_duration": str(sent["call_duration"])}
            return sent

        view = f"{with_custom} {knobs.current} {knobs.call_duration}"
        texts = self.tables[listing.stream].encode(numbers, view, render)
        if knobs.offset == "+00":
            texts = [text.replace(b'+00:00"', b'+00"') for text in texts]
        if listing.stream == "dialer_calls" and knobs.hangup_cause_twice:
            texts = [b'{"hangup_cause":"ORIGINATOR_CANCEL",' + text[1:] for text in texts]
        return texts

    def _pagination(  # noqa: PLR0913 - the facts of one page
        self, path: str, kept: Mapping[str, str], page: int, limit: int, *, items: int, total: int, most: int = most
    ) -> Row:
        last = max(1, -(-total // limit))

        def url(to: int) -> str:
            return (
                f"{self.link_host}{path}?{'&'.join(f'{name}={value}' for name, value in {**kept, 'page': to}.items())}"
            )

        return {
            "max_limit": most,
            "first_url": url(1),
            "items": items,
            "current_url": url(page),
            "limit": limit,
            "next_url": url(page + 1) if page < last else None,
            "last_url": url(last),
            "total": total,
            "prev_url": url(page - 1) if page > 1 else None,
        }

    def _cdr(self, call_id: str) -> Response:
        call = self._call(call_id)
        if call is None or self._is_pending(str(call["id"])):
            raise RefusedError(404, "Not found")
        return Response.json({"meta": {"status": 200, "message": "OK"}, "data": self._detail_of(call)})

    def _call(self, text: str) -> Row | None:
        calls = self.tables["studio_calls"]
        if self.knobs.cdr_key == "id":
            return calls.find((int(text),)) if text.isascii() and text.isdigit() else None
        numbers = calls.select(where=(("uuid", text), lambda row: row["uuid"] == text)).page(0, 1)
        return calls.row(numbers[0]) if numbers else None

    def _is_pending(self, call_id: str) -> bool:
        pending = self.knobs.cdr_pending
        left: int | None = pending.get(call_id, 0)
        if left:
            self.knobs.cdr_pending = {**pending, call_id: left - 1}
        return left != 0

    def _detail_of(self, call: Row) -> Row:
        known = self.tables["studio_cdr"].find((call["id"],))
        if known is None:
            return self._made_detail(call)
        return {name: value for name, value in known.items() if name != "call_id"}

    def _made_detail(self, call: Row) -> Row:
        """Return the detail that goes with a call: it entered when the call started and left when it ended."""
        number, salt = call["id"], self._salt
        enter = (_start(call) or 0) // instants.SECOND
        leave = enter + (call["duration"] or 0)
        flow, project = call["call_flow"] or {}, call["project"] or {}
        first, last = person(mix(salt, number))
        return {
            "call_uuid": call["uuid"],
            "session_uuid": guid(salt, number),
            "enter_time_epoch": enter,
            "exit_time_epoch": leave,
            "call_flow_id": str(flow.get("id", "")),
            "call_flow_name": flow.get("name"),
            "call_flow_version": None if number % 3 else "7",
            "project_id": str(project.get("id", "")),
            "project_name": project.get("name"),
            "caller_id_number": call["caller"],
            "caller_id_name": f"{first} {last}",
            "destination_number": call["did_number"] or "5050",
            "incoming_did": call["did_number"],
            "hostname": "example.evolux.net.br",
            "tenant_domain": None,
            "source": "studio",
            "studio_version": "1.0.5",
            "exit_reason": call["exit_reason"],
            "exit_transfer_destination": call["exit_transfer_destination"],
            "who_hangup": call["who_hangup"],
            "system_hangup_reason": call["system_hangup_reason"],
            "executed_tasks": _tasks(salt, number, enter, leave),
        }


def _tasks(salt: int, number: int, enter: int, leave: int) -> list[Row]:
    middle = {
        "data_type": "json",
        "url": "https://crm.example/v2/lookup",
        "verify": True,
        "auth": {"user": "flow", "password": SECRET_IN_TASKS},
        "headers": {"Authorization": f"Bearer {SECRET_IN_TASKS}"},
        "params": {"access_token": SECRET_IN_TASKS, "document": f"{number:011d}"},
        "timeout": 30,
        "variable_name": "cliente",
        "data": {},
        "method": "POST",
    }
    steps: tuple[tuple[str, str, Row], ...] = (
        ("start", "Iniciar", {}),
        ("http", "Consulta de cliente", middle),
        ("hangup", "Desligar ligação", {"cause": "NORMAL_CLEARING"}),
    )
    times = (enter, min(enter + 1, leave), leave)
    return [
        {
            "task_id": guid(salt + position + 2, number),
            "task_name": name,
            "task_description": description,
            "start_time_epoch": times[position],
            "end_time_epoch": times[min(position + 1, 2)],
            "task_raw_params": params,
        }
        for position, (name, description, params) in enumerate(steps)
    ]


def _encoded(instant: int) -> str:
    digits = 6 if instant % instants.SECOND else 0
    return quote(instants.iso(instant, digits=digits, tail="+00:00"), safe="")


def _bound(request: Request, name: str, default: int, *, end: bool) -> int:
    """Return a date parameter; a date alone means its first or, as `end`, its last instant.

    Raises:
        RefusedError: 400 when it is neither an ISO 8601 time nor a date as dd/mm/yyyy.
    """
    text = request.get(name)
    if not text:
        return default
    found = _BRAZILIAN.fullmatch(text)
    text = f"{found[3]}-{found[2]}-{found[1]}" if found else text
    instant = instants.parse_iso(text)
    if instant is None:
        raise RefusedError(400, f"Invalid {name}")
    if end and len(text) == len("2020-01-12"):
        instant += instants.DAY - 1
    return instant


def _condition(listing: Listing, request: Request) -> tuple[Hashable, Callable[[Row], bool]] | None:
    """Return the filter of a list's parameters besides the dates, by a name."""
    if listing.stream == "dialer_calls":
        status = request.get("contact_status") or "success"
        if status not in {"success", "both", "error"}:
            raise RefusedError(400, "Invalid contact_status")
        if status != "both":
            return status, lambda row: (row["answer_time"] is not None) == (status == "success")
    if listing.stream == "queues" and request.get("include_archived") != "true":
        return "present", lambda row: not row["archived"]
    return None


_EXITS = (
    ("hangup", "system", "hangup_task", None),
    ("transfer", None, None, "5050"),
    ("hangup", "caller", None, None),
    ("transfer", None, None, "5081"),
)
_FLOWS = ((1, "URA principal"), (2, "Cobrança"), (3, "Pesquisa de satisfação"), (4, "Plantão"))


def _calls(world: World) -> tuple[Callable[[int], Row], Callable[[int], int]]:
    salt = world.random("evolux").getrandbits(64)
    at = world.times(salt, world.size, instants.SECOND)
    first_id = len(SAMPLE_CALLS) + 1

    def make(i: int) -> Row:
        start, bits = at(i)
        duration = bits % 900
        reason, who, system, to = _EXITS[(bits >> 12) % 4]
        flow_id, flow_name = _FLOWS[(bits >> 16) % 4]
        return {
            "exit_reason": reason,
            "system_hangup_reason": system,
            "uuid": guid(salt, i),
            "call_flow": {"id": flow_id, "name": flow_name},
            "start_time": instants.iso(start, tail="+00:00"),
            "caller": phone(bits >> 20) if bits & 7 else "anonymous",
            "who_hangup": who,
            "project": {"id": 1 + flow_id % 2, "name": "São Paulo" if flow_id % 2 else "Teste"},
            "end_time": instants.iso(start + duration * instants.SECOND, tail="+00:00"),
            "duration": duration,
            "exit_transfer_destination": to,
            "id": first_id + i,
            "did_number": None if (bits >> 18) & 3 == 0 else f"55113{(bits >> 24) % 10_000_000:07d}",
        }

    return make, lambda i: at(i)[0]
