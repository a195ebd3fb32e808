"""Conpeek: `GET /voice_campaign/{voice_campaign_id}/request` (vendor-docs/003) and `GET /cdr_dialog` (siblings.md)."""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Selection, Table
from trunkline_sandbox.vendor import Knobs, RefusedError, Vendor, choice, whole
from trunkline_sandbox.vendors import conpeek_dialogs
from trunkline_sandbox.world import World, guid, object_id, person, phone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from trunkline_sandbox.messages import Request

CAMPAIGNS = ("5b7c389fe8df7b60af688989", "5b7c389fe8df7b60af68898a")
"""The campaign that the page names, and a second one."""

EXCLUDABLE = ("history", "call_history", "dialogs")

_DATES = ("created_date", "closed_date", "process_not_before")
_LISTS = ("state", "application_state", "tenant_user_id", "assigned_tenant_user_id", "close_reason")
_TEXTS = ("contact_number", "dialing_method")
_NUMBERS = ("priority", "consultant_try", "contact_try")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lte": operator.le,
    "lt": operator.lt,
    "eq": operator.eq,
    "ne": operator.ne,
}
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@dataclasses.dataclass
class ConpeekKnobs(Knobs):
    """Facts that Conpeek's page leaves open.

    Attributes:
        order: By created_date, which come first; no page documents it.
        limit_cap: The most one response holds; a request for more is cut to it.
        deleted_campaigns: Campaigns whose response is 404 although their requests are still in the truth.
        machine_detected: Its form in a dialog of the call history: by the page a boolean, in its example 0 and 1.
    """

    order: str = choice("oldest", "newest")
    limit_cap: int = 10_000
    deleted_campaigns: Collection[str] = ()
    machine_detected: str = choice("number", "boolean")


def _clock(name: str) -> Callable[[Row], int | None]:
    def read(row: Row) -> int | None:
        text = row[name]
        return None if text is None else instants.parse_iso(text)

    return read


_CLOCKS = {name: _clock(name) for name in ("created_date", "closed_date")}
_CLOCK_OF = {**_CLOCKS, "process_not_before": _clock("process_not_before")}


def _written(instant: int) -> str:
    return instants.iso(instant, between=" ", tail="")


class Conpeek(Vendor):
    """Offsets and a JSON filter in the query; no total, no next page, zone-less UTC times."""

    name = "conpeek"
    title = "Conpeek"
    path = re.compile(r"/voice_campaign/([^/]+)/request")
    settings: ClassVar = {"api_key": "sandbox-conpeek-key", "voice_campaign_ids": CAMPAIGNS}
    curl = (
        f"-H 'Authorization: sandbox-conpeek-key' '{{url}}/voice_campaign/{CAMPAIGNS[0]}/request"
        "?limit=2&filter=%5B%7B%22property%22:%22state%22,%22value%22:%5B%22OPEN%22%5D%7D%5D'"
    )
    knob_sheet = ConpeekKnobs
    knobs: ConpeekKnobs
    stream = "voice_campaign_requests"
    dialogs = "cdr_dialogs"
    dialogs_path = "/cdr_dialog"
    default_limit: ClassVar = {"voice_campaign_requests": 1000, "cdr_dialogs": 500}

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._campaigns: dict[str, Table] = {}
        self._counts: dict[str, int] = {}
        for place, campaign in enumerate(CAMPAIGNS):
            count = (world.size + len(CAMPAIGNS) - 1 - place) // len(CAMPAIGNS)
            self._counts[campaign] = count
            make, when = _requests(world, campaign, count)
            self._campaigns[campaign] = Table(("id",), _CLOCKS, count=count, make=make, when=when)

    @property
    def streams(self) -> tuple[str, ...]:
        """The requests, kept in one table a campaign, and the dialogs of all of them."""
        return (self.stream, self.dialogs)

    @functools.cached_property
    def _history(self) -> Table:
        """The dialogs of the made-up requests."""
        return conpeek_dialogs.history(
            {campaign: (self._counts[campaign], self._campaigns[campaign]) for campaign in self._counts}
        )

    def rows(self, stream: str) -> Iterator[Row]:
        """Yield the requests of all campaigns.

        Raises:
            ValueError: When the stream is another.
        """
        if stream == self.dialogs:
            return iter(self._history.rows())
        self._known(stream)
        return (row for table in self._campaigns.values() for row in table.rows())

    def upsert(self, stream: str, row: Row) -> None:
        """Add a request (a new campaign comes with it) or change it.

        Raises:
            ValueError: When id, campaign or created_date is missing or can't be read.
        """
        if stream == self.dialogs:
            self._upsert_dialog(row)
            return
        self._known(stream)
        known = self._find(row.get("id"))
        merged = {**(known or _blank()), **row}
        campaign = merged["voice_campaign_id"]
        if not (isinstance(merged["id"], str) and isinstance(campaign, str)):
            raise ValueError("a row of conpeek.voice_campaign_requests needs the texts id and voice_campaign_id")  # noqa: TRY004 - bad data, as for the other columns
        for name in _DATES:
            if merged[name] is None and name != "created_date":
                continue
            if not isinstance(merged[name], str) or instants.parse_iso(merged[name]) is None:
                raise ValueError(f"{name} of a Conpeek request is 'YYYY-MM-DD HH:MM:SS', not {merged[name]!r}")
        self._campaigns.setdefault(campaign, Table(("id",), _CLOCKS)).put(merged)

    def _upsert_dialog(self, row: Row) -> None:
        key = (row.get("dialog_uuid"),)
        merged = {**(self._history.find(key) or dict.fromkeys(conpeek_dialogs.FIELDS)), **row}
        if not isinstance(merged["dialog_uuid"], str) or instants.parse_iso(str(merged["hangup_time"])) is None:
            raise ValueError("a row of conpeek.cdr_dialogs needs the texts dialog_uuid and hangup_time")
        self._history.put(merged)

    def delete(self, stream: str, row: Row) -> bool:
        """Take a request out of the campaign it is in, or a dialog out of the history."""
        if stream == self.dialogs:
            return self._history.delete((row["dialog_uuid"],))
        self._known(stream)
        return any(table.delete((row["id"],)) for table in self._campaigns.values())

    def answer(self, request: Request) -> Response:
        """Return requests of one campaign, or dialogs.

        Raises:
            RefusedError: 403 for a wrong key, 404 for an unknown campaign, 400 for a bad filter.
        """
        found = self.path.fullmatch(request.path)
        if found is None and request.path != self.dialogs_path:
            raise RefusedError(404, "Resource not found")
        if request.headers.get("authorization") != self.settings["api_key"]:
            raise RefusedError(403, "Action can not be performed")
        if request.method != "GET":
            raise RefusedError(405, "Method not allowed")
        if found is None:
            return self._dialogs(request)
        table = self._campaigns.get(found[1])
        if table is None or found[1] in self.knobs.deleted_campaigns:
            raise RefusedError(404, "Resource not found")
        limit, offset = self._page(request)
        numbers = self._select(table, request.get("filter")).page(offset, limit)
        left_out = _excluded(request.get("exclude"))

        def shown(row: Row) -> Row:
            return {name: value for name, value in row.items() if name not in left_out}

        texts = table.encode(numbers, ",".join(sorted(left_out)), shown)
        return Response(200, (JSON,), b'{"data":[' + b",".join(texts) + b"]}")

    def _dialogs(self, request: Request) -> Response:
        """Return dialogs, their flag in the form that the knob sets."""
        limit, offset = self._page(request)
        newest_first = self.knobs.order == "newest"
        found = conpeek_dialogs.select(self._history, request.get("filter") or "[]", newest_first=newest_first)
        flag = bool if self.knobs.machine_detected == "boolean" else int

        def shown(row: Row) -> Row:
            flagged = row["machine_detected"]
            return row if flagged not in {0, 1} else {**row, "machine_detected": flag(flagged)}

        texts = self._history.encode(found.page(offset, limit), self.knobs.machine_detected, shown)
        return Response(200, (JSON,), b'{"data":[' + b",".join(texts) + b"]}")

    def _page(self, request: Request) -> tuple[int, int]:
        usual = self.default_limit[self.dialogs if request.path == self.dialogs_path else self.stream]
        limit = min(whole(request.get("limit"), usual, name="limit"), self.knobs.limit_cap)
        return limit, whole(request.get("offset"), 0, least=0, name="offset")

    def error(self, no: RefusedError) -> Response:
        """Return the page prints no error body; this one is the plainest."""
        return Response.json({"error": no.message}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """Return the request with `offset` less one `limit`."""
        limit, offset = self._page(request)
        return request.with_query(offset=str(max(0, offset - limit))) if offset else None

    def unfiltered(self, request: Request) -> Request | None:
        """Return the request without `filter`."""
        return request.with_query(filter=None) if request.get("filter") else None

    def _known(self, stream: str) -> None:
        if stream != self.stream:
            raise ValueError(f"conpeek has no stream {stream!r}: it has {', '.join(self.streams)}")

    def _find(self, key: Any) -> Row | None:
        found = (table.find((key,)) for table in self._campaigns.values())
        return next((row for row in found if row is not None), None)

    def _select(self, table: Table, text: str | None) -> Selection:
        """Return the rows that the filter lets through: a range of one date by its index, all else row by row."""
        newest_first = self.knobs.order == "newest"
        if not text:
            return table.select(newest_first=newest_first)
        rules = _rules(text)
        clock = next((rule.property for rule in rules if rule.property in _CLOCKS), "created_date")
        low = high = None
        rest: list[_Rule] = []
        for rule in rules:
            if rule.property != clock:
                rest.append(rule)
            elif rule.operator == "gte":
                low = rule.value if low is None else max(low, rule.value)
            else:
                high = rule.value if high is None else min(high, rule.value)
        where = None
        if rest or clock != "created_date":
            tests = [rule.test() for rule in rest]
            where = (text, lambda row: all(test(row) for test in tests))
        found = table.select(clock, low, high, where=where)
        if clock == "created_date":
            return dataclasses.replace(found, newest_first=newest_first)
        # The list has one order, by any filter.
        numbers = sorted(found.ids, key=lambda number: (_CLOCKS["created_date"](table.row(number)) or 0, number))
        return Selection(numbers, 0, len(numbers), newest_first)


@dataclasses.dataclass(frozen=True)
class _Rule:
    """One object of `filter`, checked."""

    property: str
    operator: str
    value: Any
    key: str | None = None

    def test(self) -> Callable[[Row], bool]:
        name, value = self.property, self.value
        if name in _DATES:
            clock, compare = _CLOCK_OF[name], _COMPARE[self.operator]

            def dated(row: Row) -> bool:
                when = clock(row)
                return when is not None and compare(when, value)

            return dated
        if name in _NUMBERS:
            compare = _COMPARE[self.operator]
            return lambda row: row[name] is not None and compare(row[name], value)
        if name == "custom_fields":
            return lambda row: _custom(row.get("custom")).get(self.key or "") == value
        return lambda row: row[name] in value


def _rules(text: str) -> Sequence[_Rule]:
    """Return the filter's objects.

    Raises:
        RefusedError: 400 when the filter is not a list of objects with known properties, operators and values.
    """
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise RefusedError(400, "filter is not valid JSON") from None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RefusedError(400, "filter must be a list of objects")
    return [_rule(item) for item in value]


def _rule(item: Row) -> _Rule:
    name = item.get("property")
    if not isinstance(name, str) or name not in (*_DATES, *_LISTS, *_TEXTS, *_NUMBERS, "custom_fields"):
        raise RefusedError(400, f"filter: unknown property {name!r}")
    if "value" not in item:
        raise RefusedError(400, f"filter: {name} has no value")
    value, how = item["value"], item.get("operator")
    if name in _DATES:
        return _Rule(name, _operator(name, how, ("gte", "lte")), _filter_date(name, value))
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RefusedError(400, f"filter: {name} needs a whole number")
        return _Rule(name, _operator(name, how or "eq", tuple(_COMPARE)), value)
    if how is not None:
        raise RefusedError(400, f"filter: {name} has no operator")
    if name == "custom_fields":
        if not isinstance(item.get("key"), str):
            raise RefusedError(400, "filter: custom_fields needs a key")
        return _Rule(name, "eq", value, item["key"])
    values = tuple(value) if isinstance(value, list) else (value,)
    # The page's own example filters by a number where numbers are texts.
    return _Rule(name, "in", tuple(str(one) for one in values) if name in _TEXTS else values)


def _operator(name: str, how: Any, known: tuple[str, ...]) -> str:
    if how not in known:
        raise RefusedError(400, f"filter: {name} has the operators {', '.join(known)}")
    return str(how)


def _filter_date(name: str, value: Any) -> int:
    instant = instants.parse_iso(value) if isinstance(value, str) and _DATE.fullmatch(value) else None
    if instant is None:
        raise RefusedError(400, f"filter: {name} needs YYYY-MM-DD HH:mm:ss")
    return instant


def _excluded(text: str | None) -> frozenset[str]:
    if not text:
        return frozenset()
    try:
        names = msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise RefusedError(400, "exclude must be a list of names") from None
    return frozenset(names) & frozenset(EXCLUDABLE)


def _custom(value: Any) -> Row:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return {}
    return value if isinstance(value, dict) else {}


def _blank() -> Row:
    """Return a request nobody has touched yet."""
    nothing = dict.fromkeys(
        (
            "id", "voice_campaign_id", "voice_campaign_name", "name", "contact_info", "contact_identifier", "case_id",
            "case_group", "case_state", "contact_number", "current_contact_number", "current_contact_name",
            "consultant_try", "contact_try", "user_reservation_try", "priority", "process_not_before", "process_date",
            "process_time", "process_from_date", "process_to_date", "process_day", "process_days", "process_hours",
            "process_from_time", "process_to_time", "dialing_method", "state", "application_state", "call_state",
            "call_state_reason", "close_reason", "project_id", "project_name", "tenant_user_id",
            "assigned_tenant_user_id", "assigned_tenant_user_name", "call_info", "trigger_code", "custom",
            "created_date", "closed_date",
        )
    )  # fmt: skip
    nothing |= {"consultant_try": 0, "contact_try": 0, "user_reservation_try": 0, "priority": 0}
    nothing |= {"dialing_method": "PREVIEW", "state": "OPEN", "application_state": "NEW"}
    return {**nothing, "history": [], "call_history": [], "dialogs": []}


_CLOSING = ("NO_USER_RESPONSE", "CALL_ENDED", "CONTACT_REFUSED")
_METHODS = ("PREVIEW", "PROGRESSIVE", "PREDICTIVE")


def _requests(world: World, campaign: str, count: int) -> tuple[Callable[[int], Row], Callable[[int], int]]:
    salt = world.random(f"conpeek/{campaign}").getrandbits(64)
    at = world.times(salt, count, instants.SECOND)

    def make(i: int) -> Row:
        created, bits = at(i)
        first, last = person(bits)
        number, user = phone(bits >> 16), 100 + (bits >> 40) % 12
        state = "CLOSED" if bits % 10 < 7 else "OPEN" if bits % 10 < 9 else "PROCESSING"  # noqa: PLR2004 - shares
        tries = (bits >> 24) % 4 + (state != "OPEN")
        row = _blank() | {
            "id": object_id(salt, i, created),
            "voice_campaign_id": campaign,
            "voice_campaign_name": f"Kampania zimowa {campaign[-2:]}",
            "name": f"Sprawa {i + 1}",
            "contact_info": f"{first} {last}",
            "contact_identifier": f"K-{bits % 100_000:05d}",
            "case_id": f"C{i:07d}" if i % 3 else None,
            "case_group": "zimowa" if i % 2 else None,
            "case_state": "W toku" if i % 4 == 0 else None,
            "contact_number": number,
            "current_contact_number": number,
            "current_contact_name": first if i % 5 else None,
            "consultant_try": tries,
            "contact_try": tries,
            "user_reservation_try": (bits >> 28) % 2,
            "priority": (bits >> 30) % 10,
            "process_date": "RANGE" if i % 2 else "ANY",
            "process_time": "RANGE",
            "process_from_time": 36_000,
            "process_to_time": 64_800,
            "process_days": ["MON", "TUE", "WED", "THU", "FRI"] if i % 3 == 0 else None,
            "dialing_method": _METHODS[(bits >> 34) % 3],
            "state": state,
            "project_id": 7 if i % 6 else None,
            "project_name": "Obsługa klienta" if i % 6 else None,
            "custom": _custom_of(i),
            "created_date": _written(created),
        }
        if i % 2:
            row |= {"process_from_date": _written(created), "process_to_date": _written(created + 7 * instants.DAY)}
        if tries:
            row |= _worked(salt, i, created, tries, user)
        if state == "CLOSED":
            closed = created + (600 + (bits >> 44) % 172_800) * instants.SECOND
            row |= _closed(max(created, min(closed, world.end - instants.SECOND)), bits, user)
        return row

    return make, lambda i: at(i)[0]


def _custom_of(i: int) -> Any:
    """Return text with JSON as webhooks show it; an object as requests made through the API have; nothing."""
    if i % 7 == 0:
        return None
    value = {"umowa": f"U/{i}/2026", "kwota": i * 10}
    return value if i % 5 == 0 else msgspec.json.encode(value).decode()


def _worked(salt: int, i: int, created: int, tries: int, user: int) -> Row:
    """Return the fields that talking to the contact leaves behind."""
    row: Row = {"history": [], "call_history": [], "dialogs": []}
    for n in range(tries):
        begin, number = created + (60 + 90 * n) * instants.SECOND, guid(salt + 8 + n, i)
        start, end = _written(begin), _written(begin + 45 * instants.SECOND)
        row["history"].append({"date": start, "state": "PROCESSING", "tenant_user_id": user})
        row["call_history"].append({"dialog_uuid": number, "start_time": start, "hangup_time": end})
        row["dialogs"].append(
            {
                "dialog_uuid": number,
                "dialog_type": "CONSULTANT",
                "business_direction": "OUTBOUND",
                "business_end_cause": "NORMAL",
                "start_time": start,
                "hangup_time": end,
                "talking_time": 1000 * (n + 5),
                "machine_detected": 0,
            }
        )
    last = row["dialogs"][-1]["hangup_time"]
    info = {"wynik": {"value": "zainteresowany", "tenant_user_id": user, "date": last}} if i % 3 else None
    return {
        **row,
        "application_state": "RETRY",
        "call_state": "CALL_ENDED",
        "tenant_user_id": user,
        "assigned_tenant_user_id": user if i % 2 else None,
        "assigned_tenant_user_name": "Agnieszka Wójcik" if i % 2 else None,
        "process_not_before": last,
        "call_info": info,
    }


def _closed(closed: int, bits: int, user: int) -> Row:
    reason = _CLOSING[(bits >> 36) % 3]
    return {
        "application_state": "CLOSED",
        "call_state_reason": reason,
        "close_reason": reason,
        "closed_date": _written(closed),
        "trigger_code": f"T{user}" if bits & 1 else None,
    }
