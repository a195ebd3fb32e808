"""SwitchTransact: look-ups and two writes (vendor-docs/001, vendors.md section 2), four lists (siblings.md, 2)."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.messages import Response
from trunkline_sandbox.store import Row, Table
from trunkline_sandbox.vendor import Knobs, RateWindow, RefusedError, Vendor, choice, json_object
from trunkline_sandbox.world import COMPANIES, FIRST_NAMES, LAST_NAMES, World, guid, mix, person

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trunkline_sandbox.messages import Request

SAMPLE: Row = {
    "id": "2916509f-f188-42d8-ab0e-a27bcb20d70d",
    "firstname": "James",
    "lastname": "May",
    "customer_number": "3008821",
    "company": "My Company name",
    "businessphone": None,
    "businessphone2": None,
    "mobilephone": "+27721234567",
    "email": "james@may.com",
    "entity_type": "Account",
}
"""The contact that the page prints."""

NOT_AUTHORIZED = "Not authorized to make this API call. Requesting Read on General."
"""The text that the page prints for an API key without the permission."""

NO_READ_KEY = "sandbox-switchtransact-no-read"
"""A public key that is known, and may do nothing."""

_PHONES = ("mobilephone", "businessphone", "businessphone2")
_SEARCHED = ("firstname", "lastname", "company", "email", *_PHONES)
_CALL_TYPES = frozenset({"Inbound", "Outbound", "Missed", "Notanswered"})
_DIRECTIONS = frozenset({"Inbound", "Outbound"})
_TIME = re.compile(r"\d{2,}:[0-5]\d:[0-5]\d")
_STAMP = re.compile(r"(0[1-9]|[12]\d|3[01])-(0[1-9]|1[0-2])-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d")


@dataclasses.dataclass
class SwitchTransactKnobs(Knobs):
    """Facts that SwitchTransact's page leaves open.

    Attributes:
        autocomplete: `contact` is one object as printed, `contact` is a list, or a list under `contacts`.
        permitted: Whether the key may read and write; if not, the response is the page's "Not authorized".
        not_permitted_status: HTTP status of that response.
        not_found_status: HTTP status of `{"status": false}`.
        invalid_status: HTTP status of an invalid write.
        enforce_rate_limit: Respond with 429 beyond `rate_limit` requests in a second.
        rate_limit: Requests in any second.
        knows_national: Whether a look-up of `0721234567` finds `+27721234567`.
        end_date: Whether the day that `end_date` names is read too, or the one before it is the last.
        unreadable: Routes that the key has no permission for, below `/api/1.0`.
    """

    autocomplete: str = choice("object", "list", "contacts")
    permitted: bool = True
    not_permitted_status: int = 200
    not_found_status: int = 200
    invalid_status: int = 422
    enforce_rate_limit: bool = False
    rate_limit: int = 100
    knows_national: bool = False
    end_date: str = choice("inclusive", "exclusive")
    unreadable: tuple[str, ...] = ()


def _in_order(_: Row) -> int:
    """Keep the order they came in: contacts and writes have no time."""
    return 0


class SwitchTransact(Vendor):
    """A contact is found by phone, by e-mail or by a term; of the rest there are lists, one of them by whole days."""

    name = "switchtransact"
    title = "SwitchTransact"
    base_path = "/api/1.0"
    settings: ClassVar = {"api_key": "sandbox-switchtransact-key"}
    curl = "-H 'Authorization: sandbox-switchtransact-key' '{url}/calls/record?phone=%2B27721234567'"
    hidden: ClassVar = {"created": ("number",), "call_logs": ("number",)}
    knob_sheet = SwitchTransactKnobs
    knobs: SwitchTransactKnobs

    def __init__(self, world: World) -> None:
        super().__init__(world)
        contacts = Table(
            ("id",),
            {"none": _in_order},
            count=world.size,
            make=_contacts(world),
            when=lambda _: 0,
            extra=(SAMPLE,),
        )
        house = _House(world)
        self.tables = {
            "contacts": contacts,
            **{stream: house.table(stream) for stream in _COLUMNS},
            "created": Table(("number",), {"none": _in_order}),
            "call_logs": Table(("number",), {"none": _in_order}),
        }
        self._new_ids = world.random("switchtransact/new").getrandbits(64)
        self._rate = RateWindow()
        self._found: dict[tuple[str, str], list[Row]] = {}
        self._found_at = -1

    def tap_config(self) -> dict[str, Any]:
        """Return the key, and look-ups of each kind: some that find somebody, and one that does not."""
        contacts = list(self.tables["contacts"].rows())
        known = {name: [row[name] for row in contacts if row[name]] for name in ("mobilephone", "email", "company")}
        return {
            **self.settings,
            "phones": [SAMPLE["mobilephone"], *known["mobilephone"][:5], "+27720000000"],
            "emails": [SAMPLE["email"], *known["email"][:5], "nobody@example.com"],
            "terms": [SAMPLE["company"], *dict.fromkeys(known["company"][:3]), "no-such-term"],
        }

    def complete(self, stream: str, row: Row) -> Row:
        """Return a new contact has every column, a write the next number."""
        if stream == "contacts":
            return {**dict.fromkeys(SAMPLE), "entity_type": "Contact", **row}
        return {**dict.fromkeys(_COLUMNS.get(stream, ())), **row}

    def upsert(self, stream: str, row: Row) -> None:
        """Give writes without a number the next one."""
        if stream in self.hidden and "number" not in row:
            row = {"number": len(self.tables[stream]) + 1 if stream in self.tables else 0, **row}
        super().upsert(stream, row)

    def answer(self, request: Request) -> Response:
        """Return a contact, or what became of a write.

        Raises:
            RefusedError: 401 for an unknown key, 404 for another path, 429 beyond the limit.
        """
        route = {
            ("GET", "/api/1.0/contacts/agents"): self._agents,
            ("GET", "/api/1.0/contacts/branches"): self._branches,
            ("GET", "/api/1.0/lookups"): self._choices,
            ("GET", "/api/1.0/transactions"): self._transactions,
            ("GET", "/api/1.0/calls/record"): self._record,
            ("GET", "/api/1.0/calls/autocomplete"): self._autocomplete,
            ("POST", "/api/1.0/calls/create"): self._create,
            ("POST", "/api/1.0/calls/log"): self._log,
        }.get((request.method, request.path))
        if route is None:
            raise RefusedError(404, "Not Found")
        key = request.headers.get("authorization")
        if key not in (self.settings["api_key"], NO_READ_KEY):
            raise RefusedError(401, "Unauthorized")
        if self.knobs.enforce_rate_limit:
            left, _ = self._rate.take(self.world.clock().timestamp(), self.knobs.rate_limit, 1.0)
            if left < 0:
                raise RefusedError(429, "Too Many Requests")
        closed = request.path.removeprefix("/api/1.0") in self.knobs.unreadable
        if key == NO_READ_KEY or closed or not self.knobs.permitted:
            raise RefusedError(self.knobs.not_permitted_status, NOT_AUTHORIZED)
        return route(request)

    def error(self, no: RefusedError) -> Response:
        """Return `status` false with the reason."""
        return Response.json({"status": False, "error": no.message}, no.status)

    def soft_error(self) -> Response:
        """Return HTTP 200 with `status` false and a reason."""
        return Response.json({"status": False, "error": "Something went wrong."})

    # What faults need to know ---------------------------------------------------------------------

    def unfiltered(self, request: Request) -> Request | None:
        """Leave out the days."""
        return request.with_query(start_date=None, end_date=None) if request.path.endswith("/transactions") else None

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Change the total."""
        body = json_object(response.body) or {}
        if "total" not in body:
            return None
        return dataclasses.replace(response, body=msgspec.json.encode({**body, "total": max(0, body["total"] + by)}))

    # Lists ----------------------------------------------------------------------------------------

    def _agents(self, _: Request) -> Response:
        return Response.json({"status": True, "records": [*self.tables["agents"].rows()]})

    def _branches(self, _: Request) -> Response:
        return Response.json({"status": True, "records": [*self.tables["branches"].rows()]})

    def _choices(self, request: Request) -> Response:
        """Return an envelope without `status`."""
        requested = {name: value for name in ("type", "category") if (value := request.get(name))}
        rows = self.tables["lookups"].rows()
        return Response.json({"lookups": [row for row in rows if requested.items() <= row.items()]})

    def _transactions(self, request: Request) -> Response:
        """Return all of a span of days at once, with their number."""
        low, high = (self._day(request, name) for name in ("start_date", "end_date"))
        if high is not None:
            high += (instants.DAY if self.knobs.end_date == "inclusive" else 0) - 1
        table = self.tables["transactions"]
        found = table.select(None, low, high)
        rows = [table.row(number) for number in found.page(0, len(found))]
        return Response.json({"status": True, "total": len(rows), "records": rows})

    def _day(self, request: Request, name: str) -> int | None:
        text = request.get(name)
        if text is None:
            return None
        day = instants.parse_iso(text) if _DAY.fullmatch(text) else None
        if day is None:
            raise RefusedError(self.knobs.invalid_status, f"{name} must be yyyy-mm-dd.")
        return day

    def _record(self, request: Request) -> Response:
        phone, email = request.get("phone"), request.get("email")
        if not phone and not email:
            raise RefusedError(self.knobs.invalid_status, "phone or email is required.")
        found = self._lookup("phone", phone) if phone else self._lookup("email", (email or "").lower())
        if not found:
            return self._nobody()
        return Response.json({"status": True, "contact": found[0]})

    def _autocomplete(self, request: Request) -> Response:
        term = (request.get("term") or "").strip().lower()
        if not term:
            raise RefusedError(self.knobs.invalid_status, "term is required.")
        found = self._lookup("term", term)
        if not found:
            return self._nobody()
        shape = self.knobs.autocomplete
        if shape == "contacts":
            return Response.json({"status": True, "contacts": found})
        return Response.json({"status": True, "contact": found[0] if shape == "object" else found})

    def _nobody(self) -> Response:
        return Response.json({"status": False}, self.knobs.not_found_status)

    def _lookup(self, kind: str, value: str) -> Sequence[Row]:
        """Find who has that phone or e-mail, or the term in a name, company, e-mail or number; kept until a change."""
        contacts = self.tables["contacts"]
        if self._found_at != contacts.version:
            self._found, self._found_at = self._directory(), contacts.version
        if kind == "phone" and self.knobs.knows_national and value.startswith("0"):
            value = f"+27{value[1:]}"
        if kind != "term":
            return self._found.get((kind, value), ())
        found = self._found.get((kind, value))
        if found is None:
            found = self._found[kind, value] = [
                row for row in contacts.rows() if any(value in (row[name] or "").lower() for name in _SEARCHED)
            ]
        return found

    def _directory(self) -> dict[tuple[str, str], list[Row]]:
        directory: dict[tuple[str, str], list[Row]] = {}
        for row in self.tables["contacts"].rows():
            numbers = {row[name] for name in _PHONES if row[name]}
            for number in numbers:
                directory.setdefault(("phone", number), []).append(row)
            if row["email"]:
                directory.setdefault(("email", row["email"].lower()), []).append(row)
        return directory

    def _create(self, request: Request) -> Response:
        body = self._body(request)
        for name in ("firstname", "lastname", "phone"):
            if not isinstance(body.get(name), str) or not body[name].strip():
                raise RefusedError(self.knobs.invalid_status, f"{name} is required.")
        number = len(self.tables["created"])
        self.tables["created"].add({"number": number + 1, **body})
        contact = {name: body[name] for name in ("firstname", "lastname")}
        contact |= {"id": guid(self._new_ids, number), "mobilephone": body["phone"], "entity_type": "Lead"}
        self.tables["contacts"].add(self.complete("contacts", contact))
        return Response.json(body)

    def _log(self, request: Request) -> Response:
        body = self._body(request)
        self._check_log(body)
        self.tables["call_logs"].add({"number": len(self.tables["call_logs"]) + 1, **body})
        return Response.json({"status": True})

    def _check_log(self, body: Row) -> None:
        problem = _log_problem(body)
        if problem:
            raise RefusedError(self.knobs.invalid_status, problem)

    def _body(self, request: Request) -> Row:
        body = json_object(request.body)
        if body is None:
            raise RefusedError(self.knobs.invalid_status, "The body must be a JSON object.")
        return body


def _log_problem(body: Row) -> str | None:
    """Return the problem of a call log, or None; only what the page's placeholders spell out is checked."""
    if body.get("CallType") not in _CALL_TYPES:
        return "CallType must be Inbound, Outbound, Missed or Notanswered."
    if body.get("CallDirection") not in (None, *_DIRECTIONS):
        return "CallDirection must be Inbound or Outbound."
    if not body.get("Number"):
        return "Number is required."
    for name in ("Duration", "DurationTimespan", "CallStartTimeLocal", "CallEndTimeLocal"):
        value: Any = body.get(name)
        if value is not None and not (isinstance(value, str) and _TIME.fullmatch(value)):
            return f"{name} must be hh:mm:ss."
    stamp = body.get("DateTime")
    if stamp is not None and not (isinstance(stamp, str) and _STAMP.fullmatch(stamp)):
        return "DateTime must be dd-mm-yy hh:mm:ss."
    return None


_COLUMNS = {
    "agents": (
        *("id", "name", "agent_code", "email", "mobile", "address", "company_lookups_id", "is_commission"),
        *("is_active", "branches_regions_id"),
    ),
    "branches": ("id", "branches_regions_id", "title", "is_active"),
    "lookups": ("id", "type", "title", "category", "value", "parent_lookups_id"),
    "transactions": (
        *("transaction_number", "amount", "status", "transaction_date", "id_number", "company_name"),
        *("response_reason", "reference_number", "member_number", "workflow_reference"),
    ),
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_BRANCHES = ("Cape Town", "Durban", "Johannesburg", "Gqeberha")
_CHOICES = (
    ("bank", "accounts", ("Cheque", "Savings", "Transmission")),
    ("company", "names", COMPANIES[:4]),
    ("people", "languages", ("English", "Afrikaans", "isiZulu", "isiXhosa")),
)
_STATES = ("Pending", "Generated", "Sent", "Paid", "Unpaid", "Reversed", "Redirected")
_AGENTS = 12


class _House:
    """The lists: agents stand in the regions of the branches, and transactions are of members by number."""

    def __init__(self, world: World) -> None:
        self.salt = world.random("switchtransact/lists").getrandbits(64)
        self.choices = [(kind, category, title) for kind, category, titles in _CHOICES for title in titles]
        self.times = world.times(self.salt, max(1, world.size), instants.DAY)
        self.counts = {
            "agents": min(world.size, _AGENTS),
            "branches": min(world.size, len(_BRANCHES)),
            "lookups": min(world.size, len(self.choices)),
            "transactions": world.size,
        }

    def table(self, stream: str) -> Table:
        """Make the table of a list: payments by their day, the others as they came."""
        keys = {"transactions": ("transaction_number",), "lookups": ("type", "category", "title")}
        dated = stream == "transactions"
        clock = (lambda row: instants.parse_iso(row["transaction_date"])) if dated else _in_order
        when = (lambda i: self.times(i)[0]) if dated else (lambda _: 0)
        make = getattr(self, f"make_{stream}")
        return Table(keys.get(stream, ("id",)), {"none": clock}, count=self.counts[stream], make=make, when=when)

    def make_branches(self, i: int) -> Row:
        """Make branch `i`."""
        region, active = guid(self.salt + 1, i % 2), i != len(_BRANCHES) - 1
        return {"id": guid(self.salt + 2, i), "branches_regions_id": region, "title": _BRANCHES[i], "is_active": active}

    def make_agents(self, i: int) -> Row:
        """Make agent `i`."""
        bits = mix(self.salt, i)
        return {
            "id": guid(self.salt + 3, i),
            "name": " ".join(person(bits)),
            "agent_code": f"A{100 + i}",
            "email": f"agent{i}@example.com",
            "mobile": f"+2784{bits % _ROOM:07d}",
            "address": f"{bits % 200 + 1} Long Street",
            "company_lookups_id": guid(self.salt + 4, len(_CHOICES[0][2]) + bits % len(_CHOICES[1][2])),
            "is_commission": bits % 3 == 0,
            "is_active": bits % 5 > 0,
            "branches_regions_id": guid(self.salt + 1, i % 2),
        }

    def make_lookups(self, i: int) -> Row:
        """Make choice `i`; some can't be chosen, and have no id."""
        kind, category, title = self.choices[i]
        known = kind != "people" or i % 2 == 0
        return {
            "id": guid(self.salt + 4, i) if known else None,
            "type": kind,
            "title": title,
            "category": category,
            "value": str(i) if i % 2 else None,
            "parent_lookups_id": None,
        }

    def make_transactions(self, i: int) -> Row:
        """Make transaction `i`: a day, and no time of it."""
        day, bits = self.times(i)
        company = (bits >> 8) % 3 == 0
        state = _STATES[(bits >> 12) % len(_STATES)]
        return {
            "transaction_number": guid(self.salt + 5, i),
            "amount": f"{(bits >> 16) % 100_000 / 100:.2f}",
            "status": state,
            "transaction_date": instants.iso(day, digits=3),
            "id_number": f"{bits % 10**13:013d}",
            "company_name": COMPANIES[(bits >> 20) % len(COMPANIES)] if company else "",
            "response_reason": "Insufficient funds" if state == "Unpaid" else "",
            "reference_number": f"REF{i:06d}",
            "member_number": str(3_100_000 + (bits >> 24) % 500),
            "workflow_reference": f"W{(bits >> 28) % 100}",
        }


_TYPES = ("Account", "Contact", "Lead")
_ROOM = 10_000_000  # numbers behind one prefix
_STEP = 7919  # has no factor in common with _ROOM: no number comes twice


def _contacts(world: World) -> Callable[[int], Row]:
    salt = world.random("switchtransact").getrandbits(64)
    ascii_only = [name for name in (*FIRST_NAMES, *LAST_NAMES) if name.isascii() and name.isalpha()]

    def number(prefix: str, i: int) -> str:
        return f"{prefix}{(salt + i * _STEP) % _ROOM:07d}"

    def make(i: int) -> Row:
        bits = mix(salt, i)
        first, last = person(bits)
        kind = _TYPES[(bits >> 20) % 3]
        lead = kind == "Lead"
        mailbox = ascii_only[(bits >> 24) % len(ascii_only)].lower()
        return {
            "id": guid(salt, i),
            "firstname": first,
            "lastname": last,
            "customer_number": None if lead else str(3_100_000 + i),
            "company": COMPANIES[(bits >> 28) % len(COMPANIES)] if (bits >> 32) % 4 else None,
            "businessphone": number("+2711", i) if (bits >> 34) % 2 else None,
            "businessphone2": number("+2721", i) if (bits >> 36) % 5 == 0 else None,
            "mobilephone": number("+2783", i) if (bits >> 38) % 8 else None,
            "email": f"{mailbox}.{i}@example.com" if (bits >> 42) % 8 else None,
            "entity_type": kind,
        }

    return make
