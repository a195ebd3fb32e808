"""HostedSuite: `POST /api/calls` (vendor-docs/002, vendors.md section 3)."""

from __future__ import annotations

import dataclasses
from datetime import timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Selection, Table
from trunkline_sandbox.vendor import Knobs, RefusedError, Vendor, choice, json_object
from trunkline_sandbox.world import COMPANIES, World, object_id, person, phone

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import tzinfo

    from trunkline_sandbox.messages import Request

_FIELDS = (
    "Id",
    "ClientId",
    "ClientName",
    "CenterId",
    "StartTime",
    "CallerName",
    "CallerNumber",
    "TransferToName",
    "TransferToNumber",
    "Notes",
    "DurationInSeconds",
    "RingTimeInSeconds",
    "HoldTimeInSeconds",
    "HoldCount",
    "Interactions",
    "AnsweredBy",
    "Server",
    "TalkTimeInSeconds",
    "TransferTimeInSeconds",
    "ScreenPop",
    "CompletedFormIds",
    "Flagged",
    "FlagNotes",
    "Type",
    "WorkTimeInSeconds",
)


@dataclasses.dataclass
class HostedSuiteKnobs(Knobs):
    """What HostedSuite's page leaves open.

    Attributes:
        page_base: Number of the first page. With 1, page 0 is the first one too.
        page_zero: With `page_base` 1: answer page 0 as page 1, or refuse it.
        items_default: Items of a page when ItemsPerPage is missing or 0.
        items_cap: The most a page holds; more asked for is cut to it.
        start_time: How StartTime is written: zone-less ISO, ISO with Z, `/Date(ms+0000)/`, `M/d/yyyy h:mm:ss tt`,
            `M/d/yyyy H:mm:ss`, the same without seconds, or the date alone.
        filter_dates: The one form of date that the filter reads; any other one is ignored without an error.
        zone: IANA name of the zone of zone-less times, in answers and in filters.
        denied_status: HTTP status of wrong credentials.
        denied_code: ErrorCode of wrong credentials.
        order: Which calls come first when no SortField says.
        obeys_sort: False: SortField and SortDir are ignored.
    """

    page_base: int = choice(0, 1)
    page_zero: str = choice("first", "refuse")
    items_default: int = 100
    items_cap: int = 1000
    start_time: str = choice("iso", "iso_z", "msdate", "us", "us24", "us24_minutes", "us_date")
    filter_dates: str = choice("any", "iso", "us", "us24")
    zone: str = "UTC"
    denied_status: int = 500
    denied_code: str = "SecurityException"
    order: str = choice("oldest", "newest")
    obeys_sort: bool = True


def _start(row: Row) -> int | None:
    return instants.parse_iso(row["StartTime"])


class HostedSuite(Vendor):
    """A POST whose body carries filters, paging and credentials; nulls are left out of the answer."""

    name = "hostedsuite"
    title = "HostedSuite"
    path = "/api/calls"
    settings: ClassVar = {
        "customer_name": "Sandbox Offices",
        "user_name": "sandbox-user",
        "password": "sandbox-hostedsuite-password",
    }
    curl = (
        """-H 'Content-Type: application/json' '{url}/api/calls' -d '{{"CustomerName": "Sandbox Offices", """
        """"UserName": "sandbox-user", "Password": "sandbox-hostedsuite-password", "StartDate": "2026-01-01", """
        """"Page": 0, "ItemsPerPage": 2}}'"""
    )
    knob_sheet = HostedSuiteKnobs
    knobs: HostedSuiteKnobs

    def __init__(self, world: World) -> None:
        super().__init__(world)
        make, when = _calls(world)
        self.tables = {"calls": Table(("Id",), {"start": _start}, count=world.size, make=make, when=when)}

    def complete(self, stream: str, row: Row) -> Row:
        """A new call has every column, null where the row names no value."""
        del stream
        return {**dict.fromkeys(_FIELDS), **row}

    def upsert(self, stream: str, row: Row) -> None:
        """Also takes a zone-less StartTime (UTC); the store keeps `…Z`."""
        text = row.get("StartTime")
        instant = instants.parse_iso(text) if isinstance(text, str) else None
        if instant is not None:
            digits = 3 if instant % instants.SECOND else 0
            row = {**row, "StartTime": instants.iso(instant, digits=digits)}
        super().upsert(stream, row)

    def answer(self, request: Request) -> Response:
        """A page of calls.

        Raises:
            RefusedError: For a wrong path, method, body or credentials.
        """
        if request.path.rstrip("/") != self.path:
            raise RefusedError(404, f"The operation '{request.path}' does not exist for this service", "NotFound")
        if request.method != "POST":
            raise RefusedError(405, "The operation does not support this method", "NotImplementedException")
        asked = json_object(request.body)
        if asked is None:
            raise RefusedError(400, "Unable to bind request", "SerializationException")
        self._authorize(asked)
        found = self._select(asked)
        per_page = _integer(asked, "ItemsPerPage") or self.knobs.items_default
        per_page = max(1, min(per_page, self.knobs.items_cap))
        page = _integer(asked, "Page")
        numbers = found.page(self._offset(page, per_page), per_page)
        texts = self.tables["calls"].encode(numbers, f"{self.knobs.start_time}/{self.knobs.zone}", self._shown)
        tail: dict[str, Any] = {"Page": page}
        if not _flag(asked.get("DisableStats")):
            tail |= {"TotalCount": len(found), "TotalPages": -(-len(found) // per_page)}
        body = b'{"Items":[' + b",".join(texts) + b"]," + msgspec.json.encode(tail)[1:]
        return Response(200, (JSON,), body)

    def error(self, no: RefusedError) -> Response:
        """ServiceStack's ResponseStatus."""
        status = {"ErrorCode": no.code or "Error", "Message": no.message, "Errors": []}
        return Response.json({"ResponseStatus": status}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """`Page` less one."""
        asked = json_object(request.body) or {}
        page = _integer(asked, "Page")
        if page <= self.knobs.page_base:
            return None
        return request.with_body(msgspec.json.encode({**asked, "Page": page - 1}))

    def unfiltered(self, request: Request) -> Request | None:
        """Without StartDate and EndDate."""
        asked = json_object(request.body) or {}
        kept = {name: value for name, value in asked.items() if name not in {"StartDate", "EndDate"}}
        return request.with_body(msgspec.json.encode(kept)) if len(kept) < len(asked) else None

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Another TotalCount."""
        value = json_object(response.body) or {}
        if "TotalCount" not in value:
            return None
        value["TotalCount"] = max(0, value["TotalCount"] + by)
        return dataclasses.replace(response, body=msgspec.json.encode(value))

    def soft_error(self) -> Response:
        """HTTP 200 with a ResponseStatus."""
        status = {"ErrorCode": "ApplicationException", "Message": "The call records can't be read right now"}
        return Response.json({"ResponseStatus": status})

    def _authorize(self, asked: Row) -> None:
        given = (asked.get("CustomerName"), asked.get("UserName"), asked.get("Password"))
        wanted = (self.settings["customer_name"], self.settings["user_name"], self.settings["password"])
        if given != wanted:
            raise RefusedError(self.knobs.denied_status, "Invalid customer, user or password", self.knobs.denied_code)

    def _offset(self, page: int, per_page: int) -> int:
        if page < 0 or (page < self.knobs.page_base and self.knobs.page_zero == "refuse"):
            raise RefusedError(400, "Page is out of range", "ArgumentOutOfRangeException")
        return max(0, page - self.knobs.page_base) * per_page

    def _select(self, asked: Row) -> Selection:
        zone = _zone(self.knobs.zone)
        table = self.tables["calls"]
        form = self.knobs.filter_dates
        low, high = _date(asked.get("StartDate"), zone, form), _date(asked.get("EndDate"), zone, form)
        newest_first = self.knobs.order == "newest"
        field = asked.get("SortField") if self.knobs.obeys_sort else None
        if field in _FIELDS:
            newest_first = asked.get("SortDir") == "Desc"
        where = _conditions(asked)
        if field in (None, "StartTime") or field not in _FIELDS:
            return table.select(None, low, high, where=where, newest_first=newest_first)
        found = table.select(None, low, high, where=where or ((), lambda _: True))
        numbers = sorted(found.ids, key=lambda number: _rank(table.row(number).get(str(field))))
        return Selection(numbers, 0, len(numbers), newest_first)

    def _shown(self, row: Row) -> Row:
        shown = {name: value for name, value in row.items() if value is not None}
        shown["StartTime"] = self._time(row["StartTime"])
        if row["Interactions"]:
            shown["Interactions"] = [{**one, "StartTime": self._time(one["StartTime"])} for one in row["Interactions"]]
        return shown

    def _time(self, kept: str) -> str:
        instant = instants.parse_iso(kept)
        return kept if instant is None else _written(instant, self.knobs.start_time, _zone(self.knobs.zone))


@lru_cache(maxsize=16)
def _zone(name: str) -> tzinfo:
    return timezone.utc if name == "UTC" else ZoneInfo(name)


def _written(instant: int, form: str, zone: tzinfo) -> str:
    digits = 3 if instant % instants.SECOND else 0
    if form == "iso_z":
        return instants.iso(instant, digits=digits)
    if form == "msdate":
        return f"/Date({instant // 1000}+0000)/"
    if form.startswith("us"):
        return instants.us(instant, zone, form)
    local = instants.to_datetime(instant).astimezone(zone).replace(tzinfo=None)
    return local.isoformat(timespec="milliseconds" if digits else "seconds")


def _date(value: Any, zone: tzinfo, form: str) -> int | None:
    """A filter date, ISO or US; what can't be read is ignored, as integrators saw it happen (vendors.md)."""
    if not isinstance(value, str):
        return None
    if "/" not in value:
        return instants.parse_iso(value, zone) if form in {"any", "iso"} else None
    clock = "us" if value[-1:] in "Mm" else "us24"
    return instants.parse_us(value, zone) if form in {"any", clock} or (":" not in value and form != "iso") else None


def _integer(asked: Row, name: str) -> int:
    value = asked.get(name)
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        raise RefusedError(400, f"Unable to bind '{name}'", "SerializationException") from None


def _number(asked: Row, name: str) -> float | None:
    value = asked.get(name)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RefusedError(400, f"Unable to bind '{name}'", "SerializationException") from None


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _rank(value: Any) -> tuple[bool, Any]:
    return (True, value) if isinstance(value, (int, float)) else (value is not None, str(value))


def _conditions(asked: Row) -> tuple[Hashable, Callable[[Row], bool]] | None:
    """The filters that are not dates.

    Raises:
        RefusedError: 400 for a call type or a number that can't be bound.
    """
    call_type = asked.get("CallType")
    if call_type not in (None, "Incoming", "Outgoing"):
        raise RefusedError(400, "Unable to bind 'CallType'", "SerializationException")
    pairs = (
        ("ClientId", asked.get("ClientId")),
        ("CenterId", asked.get("CenterId")),
        ("Id", asked.get("CallRecordId")),
        ("Type", call_type),
    )
    equal = tuple((column, value) for column, value in pairs if value)
    least, most = _number(asked, "MinCallDuration"), _number(asked, "MaxCallDuration")
    if not equal and least is None and most is None:
        return None

    def holds(row: Row) -> bool:
        talk = row["TalkTimeInSeconds"] or 0
        return (
            all(row[column] == value for column, value in equal)
            and (least is None or talk >= least)
            and (most is None or talk <= most)
        )

    return (equal, least, most), holds


def _calls(world: World) -> tuple[Callable[[int], Row], Callable[[int], int]]:
    dice = world.random("hostedsuite")
    salt = dice.getrandbits(64)
    at = world.times(salt, world.size, instants.SECOND)
    centers = [f"{dice.getrandbits(96):024x}" for _ in range(3)]
    clients = [(f"{dice.getrandbits(96):024x}", name) for name in COMPANIES]
    staff = [" ".join(person(dice.getrandbits(16))) for _ in range(8)]

    def make(i: int) -> Row:
        start, bits = at(i)
        client_id, client_name = clients[(bits >> 4) % len(clients)]
        outgoing, moved, flagged = bits % 4 == 0, (bits >> 8) % 3 == 0, (bits >> 10) % 16 == 0
        ring, talk, held = (bits >> 14) % 40 / 2, (bits >> 20) % 1200 / 4, (bits >> 32) % 3
        return {
            "Id": object_id(salt, i, start),
            "ClientId": client_id,
            "ClientName": client_name,
            "CenterId": centers[(bits >> 12) % 3],
            "StartTime": instants.iso(start),
            "CallerName": " ".join(person(bits >> 36)) if (bits >> 44) % 4 else None,
            "CallerNumber": phone(bits >> 24),
            "TransferToName": staff[(bits >> 16) % 8] if moved else None,
            "TransferToNumber": phone(bits >> 28) if moved else None,
            "Notes": "Rückruf erbeten, ☎ nach 15 Uhr" if (bits >> 48) % 5 == 0 else None,
            "DurationInSeconds": ring + talk + held * 12.5,
            "RingTimeInSeconds": ring,
            "HoldTimeInSeconds": held * 12.5,
            "HoldCount": held,
            "Interactions": _interactions(start, held) if held else None,
            "AnsweredBy": None if talk == 0 else staff[(bits >> 40) % 8],
            "Server": f"pbx{(bits >> 52) % 3}",
            "TalkTimeInSeconds": talk,
            "TransferTimeInSeconds": 4.0 if moved else 0.0,
            "ScreenPop": client_name,
            "CompletedFormIds": [object_id(salt + 1, i, start)] if (bits >> 54) % 6 == 0 else [],
            "Flagged": flagged,
            "FlagNotes": "Prüfen" if flagged else None,
            "Type": "Outgoing" if outgoing else "Incoming",
            "WorkTimeInSeconds": (bits >> 56) % 60 / 2,
        }

    return make, lambda i: at(i)[0]


def _interactions(start: int, held: int) -> list[Row]:
    return [
        {
            "StartTime": instants.iso(start + (30 + 20 * n) * instants.SECOND),
            "Type": "Hold",
            "Description": f"Caller on hold ({n + 1})",
        }
        for n in range(held)
    ]
