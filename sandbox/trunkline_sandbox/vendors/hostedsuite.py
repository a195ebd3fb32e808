"""HostedSuite: `POST /api/calls` (vendor-docs/002, vendors.md section 3) and its other lists (siblings.md, 3a)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Selection, Table
from trunkline_sandbox.vendor import Knobs, RefusedError, Vendor, choice, json_object
from trunkline_sandbox.world import COMPANIES, START, World, mix, object_id, person, phone

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


_NEVER = {
    "iso": "0001-01-01T00:00:00",
    "msdate": "/Date(-62135596800000)/",
    "us": "1/1/0001 12:00:00 AM",
    "us24": "1/1/0001 0:00:00",
    "us24_minutes": "1/1/0001 0:00",
    "us_date": "1/1/0001",
}
""".NET's texts for a date that was never set, which the store keeps as `0001-01-01T00:00:00`."""
_ADDRESS = ("Street1", "Street2", "City", "State", "PostalCode", "Country")


@dataclass(frozen=True)
class _List:
    """A list without pages: a bare array.

    Attributes:
        paths: Where it is.
        equals: Parameters that let through the rows with that value in the column of the same name.
        likewise: Those whose column has another name: the parameter, the column.
        since: Parameter of the span's lower end; empty where there is no filter by date.
        until: Parameter of its upper end.
        times: Columns that are times.
    """

    paths: tuple[str, ...]
    equals: tuple[str, ...] = ()
    likewise: tuple[tuple[str, str], ...] = ()
    since: str = ""
    until: str = ""
    times: tuple[str, ...] = ("DateLastModified",)


_LISTS = {
    "clients": _List(
        ("/api/clients", "/api/clients/names"),
        equals=("CenterId", "Name", "ThirdPartyAccountId"),
        likewise=(("ClientId", "Id"),),
    ),
    "centers": _List(("/api/centers",), equals=("Name",)),
    "contacts": _List(
        ("/api/contacts",),
        equals=("ClientId", "CenterId", "FirstName", "LastName"),
        likewise=(("ContactId", "Id"),),
    ),
    "charges": _List(
        ("/api/charges",),
        equals=("ClientId",),
        since="StartDate",
        until="EndDate",
        times=("DateLastModified", "DateCreated", "DateOfCharge"),
    ),
    "reservations": _List(
        ("/api/scheduling/reservations",),
        equals=("CenterId", "ClientId", "Status", "PaymentStatus"),
        since="LastModifiedAfter",
        until="LastModifiedBefore",
        times=("DateLastModified", "StartTime", "EndTime", "OriginalDate"),
    ),
}
_LISTED = {path: stream for stream, facts in _LISTS.items() for path in facts.paths}
_SELECTORS = ("DateOfCharge", "DateCreated", "DateLastModified")


@dataclasses.dataclass
class HostedSuiteKnobs(Knobs):
    """Facts that HostedSuite's page leaves open.

    Attributes:
        page_base: Number of the first page. With 1, page 0 is the first one too.
        page_zero: With `page_base` 1: take page 0 for page 1, or refuse it.
        items_default: Items of a page when ItemsPerPage is missing or 0.
        items_cap: The most a page holds; a request for more is cut to it.
        start_time: How StartTime and all other times are written: zone-less ISO, ISO with Z, `/Date(ms+0000)/`,
            `M/d/yyyy h:mm:ss tt`,
            `M/d/yyyy H:mm:ss`, the same without seconds, or the date alone.
        filter_dates: The one form of date that the filter reads; any other one is ignored without an error.
        zone: IANA name of the zone of zone-less times, in responses and in filters.
        denied_status: HTTP status of wrong credentials.
        denied_code: ErrorCode of wrong credentials.
        order: Which calls come first without a SortField.
        obeys_sort: False: SortField and SortDir are ignored.
        clients_at: Where the clients are: at both paths, or at `/clients/names` alone.
        reservation_ends: Whether LastModifiedAfter and LastModifiedBefore let through what was changed at that moment.
        zone_names: Whether TimeZoneId is an IANA name or one of Windows.
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
    clients_at: str = choice("both", "names")
    reservation_ends: str = choice("inclusive", "exclusive")
    zone_names: str = choice("iana", "windows")


def _start(row: Row) -> int | None:
    return instants.parse_iso(row["StartTime"])


class HostedSuite(Vendor):
    """POSTs whose bodies carry filters, paging and credentials; nulls are left out of the responses."""

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
        """"UserName": "sandbox-user", "Password": "sandbox-hostedsuite-password", "StartDate": "{day}", """
        """"Page": 0, "ItemsPerPage": 2}}'"""
    )
    knob_sheet = HostedSuiteKnobs
    knobs: HostedSuiteKnobs

    def __init__(self, world: World) -> None:
        super().__init__(world)
        house = _House(world)
        self.tables = {
            "calls": Table(("Id",), {"start": _start}, count=world.size, make=house.call, when=house.call_at),
            **{stream: house.table(stream) for stream in _LISTS},
        }
        self._columns = {"calls": _FIELDS, **{stream: tuple(house.empty(stream)) for stream in _LISTS}}

    def complete(self, stream: str, row: Row) -> Row:
        """Give a new row every column, null where it names no value."""
        return {**dict.fromkeys(self._columns.get(stream, ())), **row}

    def upsert(self, stream: str, row: Row) -> None:
        """Add or change a row; also takes zone-less times (UTC); the store keeps `…Z`."""
        times = _LISTS[stream].times if stream in _LISTS else ("StartTime",)
        found = {name: _stored(row[name]) for name in times if isinstance(row.get(name), str)}
        super().upsert(stream, {**row, **found})

    def answer(self, request: Request) -> Response:
        """Return a page of calls, or one of the other lists.

        Raises:
            RefusedError: For a wrong path, method, body or credentials.
        """
        path = request.path.rstrip("/")
        moved = self.knobs.clients_at == "names" and path == "/api/clients"
        if path not in {self.path, *_LISTED} or moved:
            raise RefusedError(404, f"The operation '{request.path}' does not exist for this service", "NotFound")
        if request.method != "POST":
            raise RefusedError(405, "The operation does not support this method", "NotImplementedException")
        fields = json_object(request.body)
        if fields is None:
            raise RefusedError(400, "Unable to bind request", "SerializationException")
        self._authorize(fields)
        return self._page(fields) if path == self.path else self._list(_LISTED[path], path, fields)

    def _page(self, fields: Row) -> Response:
        found = self._select(fields)
        per_page = _integer(fields, "ItemsPerPage") or self.knobs.items_default
        per_page = max(1, min(per_page, self.knobs.items_cap))
        page = _integer(fields, "Page")
        numbers = found.page(self._offset(page, per_page), per_page)
        texts = self.tables["calls"].encode(numbers, self._view, self._shown)
        tail: dict[str, Any] = {"Page": page}
        if not _flag(fields.get("DisableStats")):
            tail |= {"TotalCount": len(found), "TotalPages": -(-len(found) // per_page)}
        body = b'{"Items":[' + b",".join(texts) + b"]," + msgspec.json.encode(tail)[1:]
        return Response(200, (JSON,), body)

    def _list(self, stream: str, path: str, fields: Row) -> Response:
        """Return all rows of a list that the filters let through."""
        facts, table, knobs = _LISTS[stream], self.tables[stream], self.knobs
        clock, low, high = None, None, None
        if stream == "charges":
            clock = fields.get("DateSelector") or _SELECTORS[0]
            if clock not in _SELECTORS:
                raise RefusedError(400, "Unable to bind 'DateSelector'", "SerializationException")
            if not fields.get("StartDate") or not fields.get("EndDate"):
                raise RefusedError(400, "StartDate and EndDate are required", "ArgumentNullException")
        if facts.since:
            zone = _zone(knobs.zone)
            low, high = (_date(fields.get(name), zone, knobs.filter_dates) for name in (facts.since, facts.until))
        if stream == "reservations" and knobs.reservation_ends == "exclusive":
            low, high = low and low + 1, high and high - 1
        pairs = [*((name, name) for name in facts.equals), *facts.likewise]
        if path.endswith("/names"):
            pairs = [("CenterId", "CenterId")]
        equal = tuple((column, fields[name]) for name, column in pairs if fields.get(name))
        where = (equal, lambda row: all(row[column] == value for column, value in equal)) if equal else None
        found = table.select(clock, low, high, where=where, newest_first=knobs.order == "newest")
        texts = table.encode(found.page(0, len(found)), self._view, lambda row: self._shown_row(stream, row))
        return Response(200, (JSON,), b"[" + b",".join(texts) + b"]")

    def error(self, no: RefusedError) -> Response:
        """Return ServiceStack's ResponseStatus."""
        status = {"ErrorCode": no.code or "Error", "Message": no.message, "Errors": []}
        return Response.json({"ResponseStatus": status}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """Return the request with `Page` less one."""
        fields = json_object(request.body) or {}
        page = _integer(fields, "Page")
        if page <= self.knobs.page_base:
            return None
        return request.with_body(msgspec.json.encode({**fields, "Page": page - 1}))

    def unfiltered(self, request: Request) -> Request | None:
        """Return the request without the ends of the span; of charges, where they are required, with ends far out."""
        fields = json_object(request.body) or {}
        ends = {"StartDate", "EndDate", "LastModifiedAfter", "LastModifiedBefore"}
        if request.path.rstrip("/") == "/api/charges":
            return request.with_body(msgspec.json.encode({**fields, "StartDate": "1/1/1990", "EndDate": "1/1/2090"}))
        kept = {name: value for name, value in fields.items() if name not in ends}
        return request.with_body(msgspec.json.encode(kept)) if len(kept) < len(fields) else None

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Return the response with another TotalCount."""
        value = json_object(response.body) or {}
        if "TotalCount" not in value:
            return None
        value["TotalCount"] = max(0, value["TotalCount"] + by)
        return dataclasses.replace(response, body=msgspec.json.encode(value))

    def soft_error(self) -> Response:
        """Return HTTP 200 with a ResponseStatus."""
        status = {"ErrorCode": "ApplicationException", "Message": "The call records can't be read right now"}
        return Response.json({"ResponseStatus": status})

    def _authorize(self, fields: Row) -> None:
        given = (fields.get("CustomerName"), fields.get("UserName"), fields.get("Password"))
        expected = (self.settings["customer_name"], self.settings["user_name"], self.settings["password"])
        if given != expected:
            raise RefusedError(self.knobs.denied_status, "Invalid customer, user or password", self.knobs.denied_code)

    def _offset(self, page: int, per_page: int) -> int:
        if page < 0 or (page < self.knobs.page_base and self.knobs.page_zero == "refuse"):
            raise RefusedError(400, "Page is out of range", "ArgumentOutOfRangeException")
        return max(0, page - self.knobs.page_base) * per_page

    def _select(self, fields: Row) -> Selection:
        zone = _zone(self.knobs.zone)
        table = self.tables["calls"]
        form = self.knobs.filter_dates
        low, high = _date(fields.get("StartDate"), zone, form), _date(fields.get("EndDate"), zone, form)
        newest_first = self.knobs.order == "newest"
        field = fields.get("SortField") if self.knobs.obeys_sort else None
        if field in _FIELDS:
            newest_first = fields.get("SortDir") == "Desc"
        where = _conditions(fields)
        if field in (None, "StartTime") or field not in _FIELDS:
            return table.select(None, low, high, where=where, newest_first=newest_first)
        found = table.select(None, low, high, where=where or ((), lambda _: True))
        numbers = sorted(found.ids, key=lambda number: _rank(table.row(number).get(str(field))))
        return Selection(numbers, 0, len(numbers), newest_first)

    @property
    def _view(self) -> str:
        return f"{self.knobs.start_time}/{self.knobs.zone}/{self.knobs.zone_names}"

    def _shown_row(self, stream: str, row: Row) -> Row:
        shown = {name: value for name, value in row.items() if value is not None}
        for name in _LISTS[stream].times:
            if name in shown:
                shown[name] = self._time(shown[name])
        if stream == "centers" and self.knobs.zone_names == "windows" and shown.get("TimeZoneId") in _WINDOWS:
            shown["TimeZoneId"] = _WINDOWS[shown["TimeZoneId"]]
        return shown

    def _shown(self, row: Row) -> Row:
        shown = {name: value for name, value in row.items() if value is not None}
        shown["StartTime"] = self._time(row["StartTime"])
        if row["Interactions"]:
            shown["Interactions"] = [{**one, "StartTime": self._time(one["StartTime"])} for one in row["Interactions"]]
        return shown

    def _time(self, kept: str) -> str:
        if kept.startswith("0001-"):
            return _NEVER.get(self.knobs.start_time, _NEVER["iso"])
        instant = instants.parse_iso(kept)
        return kept if instant is None else _written(instant, self.knobs.start_time, _zone(self.knobs.zone))


def _stored(text: str) -> str:
    if text.startswith("0001-"):
        return text
    instant = instants.parse_iso(text)
    return text if instant is None else instants.iso(instant, digits=3 if instant % instants.SECOND else 0)


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
    """Return a filter date, ISO or US; what can't be read is ignored, as integrators saw it happen (vendors.md)."""
    if not isinstance(value, str):
        return None
    if "/" not in value:
        return instants.parse_iso(value, zone) if form in {"any", "iso"} else None
    clock = "us" if value[-1:] in "Mm" else "us24"
    return instants.parse_us(value, zone) if form in {"any", clock} or (":" not in value and form != "iso") else None


def _integer(fields: Row, name: str) -> int:
    value = fields.get(name)
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        raise RefusedError(400, f"Unable to bind '{name}'", "SerializationException") from None


def _number(fields: Row, name: str) -> float | None:
    value = fields.get(name)
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


def _conditions(fields: Row) -> tuple[Hashable, Callable[[Row], bool]] | None:
    """Return the filters that are not dates.

    Raises:
        RefusedError: 400 for a call type or a number that can't be bound.
    """
    call_type = fields.get("CallType")
    if call_type not in (None, "Incoming", "Outgoing"):
        raise RefusedError(400, "Unable to bind 'CallType'", "SerializationException")
    pairs = (
        ("ClientId", fields.get("ClientId")),
        ("CenterId", fields.get("CenterId")),
        ("Id", fields.get("CallRecordId")),
        ("Type", call_type),
    )
    equal = tuple((column, value) for column, value in pairs if value)
    least, most = _number(fields, "MinCallDuration"), _number(fields, "MaxCallDuration")
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


_CENTERS = (
    ("Harbour House", "Accra", "GH", "Africa/Accra"),
    ("Broadway Suites", "Reykjavík", "IS", "Atlantic/Reykjavik"),
    ("Lakeside", "Abidjan", "CI", "Africa/Abidjan"),
)
"""Their clocks are those of UTC, as the knob `zone` has it."""
_WINDOWS = dict.fromkeys([zone for *_, zone in _CENTERS], "Greenwich Standard Time")
_SERVICES = (("Meeting room, hour", 45.0), ("Copies", 0.1), ("Parking, day", 12.5), ("Catering", None))
_STATES = ("Scheduled", "Scheduled", "Scheduled", "Cancelled", "PendingApproval")
_PAYMENTS = ("NotPaid", "Paid", "Included", "Cancelled", "NotPaid")
_CONTACTS_OF_A_CLIENT, _ROOMS = 4, 6
_HOUR = 3600 * instants.SECOND
_CHANGED = START  # tables without a filter were last changed before the made-up days begin


class _House:
    """The rows of one house: calls, charges and reservations are of the same clients in the same centers."""

    def __init__(self, world: World) -> None:
        dice = world.random("hostedsuite")
        self.salt = dice.getrandbits(64)
        self.world = world
        self.centers = [f"{dice.getrandbits(96):024x}" for _ in range(3)]
        self.clients = [(f"{dice.getrandbits(96):024x}", name) for name in COMPANIES]
        self.staff = [" ".join(person(dice.getrandbits(16))) for _ in range(8)]
        self.call_times = world.times(self.salt, world.size, instants.SECOND)
        quarter = world.size // 4
        self.counts = {
            "clients": min(world.size, len(self.clients)),
            "centers": min(world.size, len(self.centers)),
            "contacts": min(world.size, len(self.clients) * _CONTACTS_OF_A_CLIENT),
            "charges": quarter,
            "reservations": quarter,
        }
        self.changes = {
            stream: world.times(self.salt + place, max(1, quarter), instants.SECOND)
            for place, stream in enumerate(("charges", "reservations"), 2)
        }

    def table(self, stream: str) -> Table:
        """Make the table of a list, by the date of the last change where it can be filtered by it."""
        facts, make = _LISTS[stream], getattr(self, f"make_{stream}")
        clocks: dict[str, Callable[[Row], int | None]] = {"order": lambda _: 0}
        times = self.changes.get(stream)
        if times:
            clocks = {name: lambda row, name=name: instants.parse_iso(row[name] or "") for name in facts.times}  # type: ignore[misc]
        when = (lambda i: times(i)[0]) if times else (lambda _: 0)
        return Table(("Id",), clocks, count=self.counts[stream], make=make, when=when)

    def empty(self, stream: str) -> Row:
        """Make a row of a list, for the names of its columns."""
        row: Row = getattr(self, f"make_{stream}")(0)
        return row

    def call_at(self, i: int) -> int:
        """Return when call `i` was."""
        return self.call_times(i)[0]

    def client_of(self, bits: int) -> tuple[str, str]:
        """Return the client of a row, and its name."""
        return self.clients[(bits >> 4) % len(self.clients)]

    def call(self, i: int) -> Row:
        """Make call `i`."""
        start, bits = self.call_times(i)
        salt, staff = self.salt, self.staff
        client_id, client_name = self.client_of(bits)
        outgoing, moved, flagged = bits % 4 == 0, (bits >> 8) % 3 == 0, (bits >> 10) % 16 == 0
        ring, talk, held = (bits >> 14) % 40 / 2, (bits >> 20) % 1200 / 4, (bits >> 32) % 3
        return {
            "Id": object_id(salt, i, start),
            "ClientId": client_id,
            "ClientName": client_name,
            "CenterId": self.centers[(bits >> 12) % 3],
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

    def make_clients(self, i: int) -> Row:
        """Make client `i`."""
        identity, name = self.clients[i]
        bits = mix(self.salt + 10, i)
        place, _, _, _ = _CENTERS[i % len(_CENTERS)]
        return {
            "Id": identity,
            "DateLastModified": instants.iso(_CHANGED - (bits % 300) * instants.DAY),
            "Name": name,
            "CenterId": self.centers[i % len(_CENTERS)],
            "CenterName": place,
            "ScreenPops": [name, f"{name} ({i})"],
            "Greeting": f"Welcome to {name}, how may I help you?",
            "CallInstructions": "Nach 18 Uhr zur Mailbox" if bits % 3 == 0 else None,
            "PopupInformation": None,
            "Information": "VIP" if bits % 5 == 0 else None,
            "FaxNumber": phone(bits >> 8) if bits % 2 else None,
            "CustomFields": [{"Name": "Tariff", "Value": "AB"[bits % 2]}],
            "Address": _address(i, bits),
            "ThirdPartyAccountId": f"ACC-{1000 + i}",
            "CallAllowanceType": ("NumberOfCalls", "NumberOfMinutes", "NotBillable")[bits % 3],
            "CallAllowanceAmount": (50.0, 120.5, None)[bits % 3],
            "Links": [{"Id": f"L{i}", "Name": "Web", "Url": f"https://client{i}.example"}] if bits % 2 else [],
            "IndustryId": f"I{bits % 4}",
            "IndustryName": ("Law", "Health", "Trade", "Transport")[bits % 4],
            "Location": f"Office {100 + i}",
        }

    def make_centers(self, i: int) -> Row:
        """Make center `i`."""
        name, city, country, zone = _CENTERS[i]
        address = {**dict.fromkeys(_ADDRESS), "Street1": f"{i + 1} Main Street", "City": city, "Country": country}
        return {
            "Id": self.centers[i],
            "DateLastModified": instants.iso(_CHANGED - 100 * instants.DAY),
            "Name": name,
            "Address": address,
            "TimeZoneId": zone,
            "SupportEmailAddress": f"support{i}@centers.example",
            "ThirdPartyAccountId": None,
        }

    def make_contacts(self, i: int) -> Row:
        """Make contact `i`, with the login that the API sends along."""
        bits = mix(self.salt + 11, i)
        number = i // _CONTACTS_OF_A_CLIENT
        client_id, client_name = self.clients[number]
        first, last = person(bits)
        return {
            "Id": object_id(self.salt + 12, i, _CHANGED),
            "DateLastModified": instants.iso(_CHANGED - (bits % 200) * instants.DAY),
            "ClientName": client_name,
            "ClientId": client_id,
            "CenterId": self.centers[number % len(_CENTERS)],
            "CenterName": _CENTERS[number % len(_CENTERS)][0],
            "FirstName": first,
            "LastName": last,
            "Alert": "On leave" if bits % 9 == 0 else None,
            "Name": f"{first} {last}",
            "Status": "Available" if bits % 4 else "In a meeting",
            "Location": None,
            "LongDistanceCode": f"{bits % 10_000:04d}",
            "CallInstructions": None,
            "Information": "Spricht nur Deutsch" if bits % 7 == 0 else None,
            "MoreInformation": None,
            "Title": ("Director", "Assistant", "Dr.")[bits % 3],
            "UserName": f"login{i}",
            "Password": "never-to-be-loaded",
            "UserGroupId": f"G{bits % 2}",
            "LoginMustChangePasswordAtNextLogin": bits % 2 == 0,
            "GreetingOverride": None,
            "Keywords": [last.lower()],
            "Address": None,
            "PhoneNumbers": [_contact_number(i, bits)],
            "EmailAddresses": [
                {"Id": f"E{i}", "Address": f"contact{i}@example.com", "Name": "Work", "IncludeInNotification": True}
            ],
        }

    def make_charges(self, i: int) -> Row:
        """Make charge `i`."""
        changed, bits = self.changes["charges"](i)
        client_id, client_name = self.client_of(bits)
        service, price = _SERVICES[(bits >> 12) % len(_SERVICES)]
        made = changed - (bits >> 16) % 72 * _HOUR
        return {
            "EntityStatus": "Active",
            "Id": object_id(self.salt + 13, i, changed),
            "ClientId": client_id,
            "ClientName": client_name,
            "DateCreated": instants.iso(made),
            "DateOfCharge": instants.iso(made // instants.DAY * instants.DAY),
            "DateLastModified": instants.iso(changed),
            "Service": service,
            "ServiceId": f"S{(bits >> 12) % len(_SERVICES)}",
            "Quantity": 1 + (bits >> 20) % 4,
            "Cost": price,
            "Description": service,
            "Notes": "Auf Kulanz" if (bits >> 24) % 9 == 0 else None,
            "Memorized": (bits >> 28) % 8 == 0,
            "BillingCode": f"B{(bits >> 30) % 3}",
        }

    def make_reservations(self, i: int) -> Row:
        """Make reservation `i`."""
        changed, bits = self.changes["reservations"](i)
        client_id, client_name = self.client_of(bits)
        center, room = (bits >> 12) % len(_CENTERS), (bits >> 14) % _ROOMS
        begins = changed // instants.DAY * instants.DAY + (24 + 8 + (bits >> 20) % 9) * _HOUR
        first, last = person(bits >> 24)
        return {
            "Id": object_id(self.salt + 14, i, changed),
            "EntityStatus": "Active",
            "CenterId": self.centers[center],
            "CenterName": _CENTERS[center][0],
            "CenterAddress": f"{center + 1} Main Street, {_CENTERS[center][1]}",
            "MeetingRoomId": f"R{center}-{room}",
            "MeetingRoomName": f"Room {room + 1}",
            "StartTime": instants.iso(begins),
            "EndTime": instants.iso(begins + 2 * _HOUR),
            "Subject": "Jour fixe" if (bits >> 30) % 2 else "Client meeting",
            "Status": _STATES[(bits >> 32) % len(_STATES)],
            "Notes": None,
            "PaymentStatus": _PAYMENTS[(bits >> 36) % len(_PAYMENTS)],
            "ClientId": client_id,
            "ClientName": client_name,
            "IsRecurring": (bits >> 40) % 6 == 0,
            "OriginalDate": instants.iso(begins) if (bits >> 40) % 6 == 0 else None,
            "DateLastModified": instants.iso(changed),
            "LastModifiedBy": self.staff[(bits >> 44) % len(self.staff)],
            "Attendees": [{"Name": f"{first} {last}", "EmailAddress": f"guest{i}@example.com"}],
            "NumAttendees": 1 + (bits >> 48) % 8,
            "Organizer": {"Name": client_name, "EmailAddress": f"office{i % len(self.clients)}@example.com"},
            "CustomFields": [],
        }


def _address(i: int, bits: int) -> Row:
    street = f"{bits % 200 + 1} Long Street"
    return {
        **dict.fromkeys(_ADDRESS),
        "Street1": street,
        "City": _CENTERS[i % 3][1],
        "PostalCode": f"{bits % 9000:05d}",
    }


def _contact_number(i: int, bits: int) -> Row:
    return {
        "Id": f"P{i}",
        "Name": "Mobile",
        "Number": phone(bits >> 16),
        "DialingRuleId": None,
        "Mobile": True,
        "TransferTypes": "Both",
    }


def _interactions(start: int, held: int) -> list[Row]:
    return [
        {
            "StartTime": instants.iso(start + (30 + 20 * n) * instants.SECOND),
            "Type": "Hold",
            "Description": f"Caller on hold ({n + 1})",
        }
        for n in range(held)
    ]
