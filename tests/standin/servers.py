"""Stand-ins of the five vendors, from the vendors' pages alone; what a page leaves in doubt is an attribute."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from starlette.responses import Response
from tests.standin.wire import Answer, Seen, StandIn, reply

if TYPE_CHECKING:
    from collections.abc import Callable

UTC = timezone.utc
# Around the value of `rel`: the vendor's pages show single quotes, one rendering of them typographic ones.
QUOTES = {"single": ("'", "'"), "curly": ("\u2018", "\u2019"), "double": ('"', '"')}
SECOND = timedelta(seconds=1)


def instant(text: str) -> datetime:
    """An aware instant from ISO 8601 on any supported Python; zone-less is UTC."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ordered(rows: list[dict[str, Any]], order: str, when: Callable[[dict[str, Any]], datetime]) -> list[dict[str, Any]]:
    """Rows `oldest` first, `newest` first, or `random`: by a digest, a steady order that no client could know."""
    if order == "random":
        return sorted(rows, key=lambda row: hashlib.md5(json.dumps(row, default=str).encode()).hexdigest())  # noqa: S324 - not for safety
    return sorted(rows, key=when, reverse=order == "newest")


class Paged(StandIn):
    """What the paging vendors share.

    Attributes:
        cap: most rows in a page whatever was asked for; a function of the number of requests may let it change.
        by_size: pages are numbered by the size that was asked for, whatever the cap makes of them.
        rounding: what the server makes of the bounds of its filter.
        ignores_filter: the date filter does nothing.
        whole_seconds: both bounds are compared with the row's time cut to the second.
        exclusive: both bounds exclude the row on them.
        total: makes the stated total from the true one; None leaves it out.
        before_page: called with the ordinal of a list request, under the lock, to change the rows.
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = rows or []
        self.cap: int | Callable[[int], int] = 10_000
        self.by_size = False
        self.rounding: Callable[[datetime], datetime] = lambda bound: bound
        self.order = "newest"
        self.ignores_filter = False
        self.whole_seconds = False
        self.exclusive = False
        self.total: Callable[[int], Any] = lambda true: true
        self.before_page: Callable[[int], None] = lambda _ordinal: None
        self.pages = 0

    def within(self, when: datetime, low: datetime | None, high: datetime | None) -> bool:
        """Whether the vendor's filter lets a row of this time through."""
        if self.ignores_filter:
            return True
        low, high = (bound and self.rounding(bound) for bound in (low, high))
        if self.whole_seconds:
            when = when.replace(microsecond=0)
        if self.exclusive:
            return (low is None or when > low) and (high is None or when < high)
        return (low is None or when >= low) and (high is None or when <= high)

    def most(self) -> int:
        """Rows that this answer may hold."""
        return self.cap if isinstance(self.cap, int) else self.cap(self.pages)

    def numbered(self, rows: list[Any], place: int, size: int) -> tuple[list[Any], int]:
        """The rows of a page, counted from 0, and the rows that pages are counted by."""
        sent = min(size, self.most())
        step = size if self.by_size else sent
        return rows[place * step : place * step + sent], step

    def next_page(self) -> None:
        """Let the rows change before a list is answered."""
        self.before_page(self.pages)
        self.pages += 1


class Evolux(Paged):
    """`GET /api/v1/studio/calls` and `/api/v1/studio/calls/<call_id>/cdr` (vendor-docs/004), and the contact centre.

    The lists of the contact centre are empty unless a test fills `lists`; they are as facts/siblings.md has them.
    """

    DATED: ClassVar = {
        "/api/v1/dialer/calls_history": "start_time",
        "/api/v1/report/complete_pause": "time_start",
        "/api/v1/report/calls_history": "date_join",
    }
    TABLES: ClassVar = ("/api/v1/agents", "/api/v1/queues")

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(rows)
        self.token = "evolux-s3cret-token"
        self.no_detail: set[Any] = set()
        self.detail_by = "id"
        self.detail_extra: dict[str, Any] = {}
        self.link_host = "http://example.evolux.net.br"
        self.latest_page: int | None = None
        self.lists: dict[str, list[dict[str, Any]]] = {path: [] for path in (*self.DATED, *self.TABLES)}
        self.ignores_pause_page = False
        self.calls_in_data = False
        self.denied: set[str] = set()

    @staticmethod
    def call(number: int, start: datetime, **more: Any) -> dict[str, Any]:
        """A call as the list shows it."""
        return {
            "id": number,
            "uuid": f"uuid-{number}",
            "start_time": start.isoformat(),
            "end_time": (start + timedelta(seconds=60)).isoformat(),
            "duration": 60,
            "caller": "11999482052",
            "did_number": None,
            "call_flow": {"id": 2, "name": "Test 1"},
            "project": {"id": 1, "name": "Test"},
            "exit_reason": "transfer",
            "exit_transfer_destination": "5050",
            "who_hangup": None,
            "system_hangup_reason": None,
        } | more

    def config(self, start_date: str, **more: Any) -> dict[str, Any]:
        """A configuration that reads this stand-in."""
        return {
            "api_url": self.url,
            "api_token": self.token,
            "start_date": start_date,
            "max_attempts": 3,
            "request_timeout": 120,
        } | more

    def answer(self, request: Seen) -> Answer:
        if request.headers.get("token") != self.token:
            return reply({"meta": {"status": 401, "message": "Unauthorized"}}, 401)
        if request.path in self.denied:
            return reply({"meta": {"status": 403, "message": "Forbidden"}}, 403)
        if request.path == "/api/v1/studio/calls":
            return self.list(request)
        if request.path in self.lists:
            return self.centre(request)
        if request.path.startswith("/api/v1/studio/calls/") and request.path.endswith("/cdr"):
            return self.detail(request.path.split("/")[-2])
        return reply({"meta": {"status": 404, "message": "Not found"}}, 404)

    def list(self, request: Seen) -> Answer:
        """One page of calls."""
        self.next_page()
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        low = instant(request.query.get("start_date", today.isoformat()))
        high = instant(request.query.get("end_date", (today + timedelta(days=1, microseconds=-1)).isoformat()))
        rows = [row for row in self.rows if self.within(instant(row["start_time"]), low, high)]
        rows = ordered(rows, self.order, lambda row: instant(row["start_time"]))
        page = int(request.query.get("page", 1))
        data, limit = self.numbered(rows, page - 1, min(int(request.query.get("limit", 50)), 50))
        link = f"{self.link_host}/api/v1/studio/calls?start_date=x&end_date=y&page="
        last = max(1, math.ceil(len(rows) / limit))
        pagination = {
            "max_limit": 50,
            "first_url": f"{link}1",
            "items": len(data),
            "current_url": f"{link}{page}",
            "limit": limit,
            "next_url": f"{link}{page + 1}" if page < last else None,
            "last_url": f"{link}{last}",
            "total": self.total(len(rows)),
            "prev_url": f"{link}{page - 1}" if page > 1 else None,
        }
        if pagination["total"] is None:
            del pagination["total"]
        return reply({"pagination": pagination, "meta": {"status": 200, "message": "OK"}, "data": data})

    def centre(self, request: Seen) -> Answer:
        """One page of a list of the contact centre; of queues, all of them."""
        path, query, ok = request.path, request.query, {"status": 200, "message": "OK"}
        rows, time = list(self.lists[path]), self.DATED.get(path)
        if time:
            low, high = (instant(query[name]) for name in ("start_date", "end_date"))
            rows = [row for row in rows if low <= instant(row[time]) <= high]
        if path.startswith("/api/v1/dialer") and query.get("contact_status", "success") != "both":
            rows = [row for row in rows if row["hangup_cause"] == "NORMAL_CLEARING"]
        if path == "/api/v1/queues":
            shown = query.get("include_archived") == "true"
            return reply({"meta": ok, "data": [row for row in rows if shown or row["slug"] != "archived"]})
        most = 100 if path.endswith("complete_pause") else 50
        limit, page = min(int(query.get("limit", most)), most), int(query.get("page", 1))
        if path.endswith("complete_pause") and self.ignores_pause_page:
            page = 1
        data: Any = rows[(page - 1) * limit : page * limit]
        more = page * limit < len(rows)
        pagination = {
            "max_limit": most,
            "limit": limit,
            "items": len(data),
            "total": len(rows),
            "next_url": f"{self.link_host}{path}?page={page + 1}" if more else None,
        }
        if path == "/api/v1/report/calls_history" and not self.calls_in_data:
            data = {"calls": data}
        return reply({"pagination": pagination, "meta": ok, "data": data})

    def detail(self, call_id: str) -> Answer:
        """One call's detail."""
        for row in self.rows:
            if str(row[self.detail_by]) == call_id and row["id"] not in self.no_detail:
                return reply({"meta": {"status": 200, "message": "OK"}, "data": self.cdr(row)})
        return reply({"meta": {"status": 404, "message": "Not found"}}, 404)

    def cdr(self, row: dict[str, Any]) -> dict[str, Any]:
        """A detail as the page prints it."""
        epoch = int(instant(row["start_time"]).timestamp())
        return {
            "destination_number": "5050",
            "enter_time_epoch": epoch,
            "exit_time_epoch": epoch + 60,
            "call_flow_version": None,
            "exit_reason": "hangup",
            "call_flow_name": "teste",
            "executed_tasks": [
                {
                    "end_time_epoch": epoch + 1,
                    "task_id": "1184e6e2-d480-4b08-84e1-c01d29b5919a",
                    "task_raw_params": {
                        "url": "https://api.example.org/",
                        "verify": True,
                        "auth": {"user": "u", "pass": "third-party-pass"},
                        "headers": {"X-Key": "third-party-header"},
                        "params": {
                            "access_token": "third-party-token",
                            "page": 1,
                            "client_secret": {"deep": "third-party-deep"},
                        },
                        "data": {"login": {"password": "third-party-password", "name": "n"}},
                        "timeout": 30,
                    },
                    "task_description": "HTTP",
                    "task_name": "http",
                    "start_time_epoch": epoch,
                }
            ],
            "hostname": "example.evolux.net.br",
            "who_hangup": "system",
            "system_hangup_reason": "hangup_task",
            "source": "studio",
            "call_flow_id": "1",
            "session_uuid": f"session-{row['id']}",
            "caller_id_number": "601",
            "project_id": "1",
            "incoming_did": None,
            "project_name": "teste",
            "caller_id_name": "601 - OP",
            "studio_version": "1.0.5",
            "tenant_domain": None,
            "call_uuid": row["uuid"],
            "exit_transfer_destination": None,
        } | self.detail_extra


class Bspk(Paged):
    """`GET /api/extraction/v1/calls` (vendor-docs/000) and its eight siblings (facts/siblings.md 1).

    Attributes:
        lists: rows of the siblings that a test is about; the others are empty, and asking for them is not noted.
        no_content: a page without rows is a 204.
        links: `single` quotes (as the vendor's pages show), `curly`, `double` or `none` (no Link header at all).
        address_limit: a longer request target is refused with 414.
    """

    path = "/api/extraction/v1/calls"
    siblings = (
        "clients", "sales_associates", "appointments", "reminders", "messages", "emails", "notes", "slices",
    )  # fmt: skip

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(rows)
        self.token = "bspk-s3cret-token"
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.no_content = False
        self.links = "single"
        self.whole_seconds = False
        self.address_limit = 8000
        self.link_host = "https://elsewhere.example.org"

    @staticmethod
    def call(number: int, at: datetime, **more: Any) -> dict[str, Any]:
        """A call as the array shows it."""
        return {
            "store_id": "Store-external_id-47",
            "store_name": "Store-56",
            "sales_associate_id": f"SA_{number % 3}",
            "sales_associate_name": "FirstName-79 LastName-79",
            "client_id": f"CLIENT_{number}",
            "client_name": "Zoë \u2018Curly\u2019 Łuk",
            "to": None,
            "created_at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
        } | more

    def config(self, **more: Any) -> dict[str, Any]:
        """A configuration that reads this stand-in."""
        # The limit is far above the vendor's, so that tests do not wait for it.
        own = {"api_url": self.url, "auth_token": self.token, "max_attempts": 3, "request_timeout": 120}
        return own | {"requests_per_minute": 60_000} | more

    def aside(self, request: Seen) -> Answer | None:
        name = request.path.rpartition("/")[2]
        known = request.headers.get("authorization") == f"Bearer {self.token}"
        return reply([], X_Total_Count="0") if known and name in self.siblings and name not in self.lists else None

    def refusal(self, request: Seen) -> Answer | None:
        """What is wrong with a request, if anything is."""
        base, _, name = request.path.rpartition("/")
        asked = request.query.keys() & {"client_ids", "sales_associate_ids"}
        checks = (
            (request.headers.get("authorization") == f"Bearer {self.token}", "unauthorized", 401),
            (f"{base}/calls" == self.path and name in {"calls", *self.lists}, "not found", 404),
            (len(request.raw_query) <= self.address_limit, "URI too long", 414),
            (len(asked) < 2, "not both", 400),
            (name not in {"slices", "sales_associates"} or "client_ids" not in asked, "no such parameter", 400),
        )
        wrong = next(((message, status) for fine, message, status in checks if not fine), None)
        return None if wrong is None else reply({"error": wrong[0]}, wrong[1])

    def answer(self, request: Seen) -> Answer:
        refused = self.refusal(request)
        if refused is not None:
            return refused
        name = request.path.rpartition("/")[2]
        self.next_page()
        low = instant(request.query["from"]) if "from" in request.query else None
        high = instant(request.query["to"]) if "to" in request.query else None
        rows = self.rows if name == "calls" else self.lists[name]
        rows = [row for row in rows if self.within(instant(row.get("updated", row["created_at"])), low, high)]
        for parameter, column in (("client_ids", "client_id"), ("sales_associate_ids", "sales_associate_id")):
            if parameter in request.query:
                wanted = set(request.query[parameter].split(","))
                rows = [row for row in rows if row[column] in wanted]
        rows = ordered(rows, self.order, lambda row: instant(row["created_at"]))
        page = int(request.query.get("page", 1))
        listed, size = self.numbered(rows, page - 1, min(int(request.query.get("per_page", 30)), 100))
        data = [{k: v for k, v in row.items() if k != "updated"} for row in listed]
        if not data and self.no_content:
            return Response(None, 204)
        headers = {}
        total = self.total(len(rows))
        if total is not None:
            headers["X_Total_Count"] = str(total)
        last = max(1, math.ceil(len(rows) / size))
        if self.links != "none":
            left, right = QUOTES[self.links]
            rels = [("next", page + 1)] if page < last else []
            rels.append(("last", last))
            headers["Link"] = ", ".join(
                f"<{self.link_host}{request.path}?page={n}>; rel={left}{rel}{right}" for rel, n in rels
            )
        answer = reply(data)
        for name, text in headers.items():
            # Typographic quotes travel as UTF-8 bytes.
            answer.raw_headers.append((name.replace("_", "-").lower().encode(), text.encode()))
        return answer


class HostedSuite(Paged):
    """`POST /api/calls` (vendor-docs/002), and the bare arrays of the other routes (siblings.md, 3a).

    Attributes:
        lists: rows of the other routes by path; a route that is not there answers 404.
        changed: the parameters by which a route filters on DateLastModified.
        base: number of the first page; with base 1, page 0 is page 1 or, with `rejects_zero`, an argument error.
        written: how StartTime is written: `iso` (zone-less, local), `us`, `us24`, `us24 minutes`, `us date`, `ms`
            (`/Date(…)/`) or `utc` (with Z).
        zone: the zone of what has none, in filters and rows.
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(rows)
        self.secret = {"CustomerName": "cust-s3cret", "UserName": "user-s3cret", "Password": "pass-s3cret"}
        self.base = 0
        self.rejects_zero = False
        self.written = "iso"
        self.zone = "UTC"
        self.filter_format = "iso"
        self.lists: dict[str, list[dict[str, Any]]] = {
            f"/api/{name}": [] for name in ("clients", "centers", "contacts", "charges", "scheduling/reservations")
        }
        self.changed = {
            "/api/charges": ("StartDate", "EndDate"),
            "/api/scheduling/reservations": ("LastModifiedAfter", "LastModifiedBefore"),
        }

    @staticmethod
    def call(number: int, at: datetime, **more: Any) -> dict[str, Any]:
        """A call as the stand-in keeps it: `at` becomes StartTime when it is sent."""
        return {
            "Id": f"{number:024x}",
            "at": at,
            "ClientId": "client-1",
            "CenterId": "center-1",
            "CallerNumber": "+4822000",
            "DurationInSeconds": 61.5,
            "TalkTimeInSeconds": 60.0,
            "HoldCount": 1,
            "Flagged": False,
            "Type": "Incoming",
        } | more

    def config(self, start_date: str, **more: Any) -> dict[str, Any]:
        """A configuration that reads this stand-in."""
        names = {"customer_name": "CustomerName", "user_name": "UserName", "password": "Password"}
        own = {name: self.secret[key] for name, key in names.items()}
        return {"api_url": self.url, "start_date": start_date, "max_attempts": 3, "request_timeout": 120} | own | more

    def write(self, at: datetime) -> str:
        """StartTime in the vendor's way."""
        local = at.astimezone(ZoneInfo(self.zone))
        if self.written == "ms":
            return f"/Date({int(at.timestamp() * 1000)}{local.strftime('%z')})/"
        if self.written.startswith("us"):
            day = f"{local.month}/{local.day}/{local.year} "
            clock = {"us": "%I:%M:%S %p", "us24": "%H:%M:%S", "us24 minutes": "%H:%M", "us date": ""}[self.written]
            return (day + local.strftime(clock).removeprefix("0")).strip()
        if self.written == "utc":
            return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return local.replace(tzinfo=None).isoformat()

    def bound(self, text: str | None) -> datetime | None:
        """A bound as the vendor reads it; what it cannot read it ignores (seen in the field)."""
        if not text:
            return None
        zone = ZoneInfo(self.zone)
        if self.filter_format != "iso":
            form = {"us": "%m/%d/%Y %I:%M %p", "us24": "%m/%d/%Y %H:%M"}[self.filter_format]
            try:
                return datetime.strptime(text, form).replace(tzinfo=zone)
            except ValueError:
                return None
        try:
            found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=zone)

    def aside(self, request: Seen) -> Answer | None:
        return reply([]) if self.lists.get(request.path) == [] else None

    def answer(self, request: Seen) -> Answer:
        if request.method != "POST" or request.path not in {"/api/calls", *self.lists}:
            return reply({"ResponseStatus": {"ErrorCode": "NotFound", "Message": "no route"}}, 404)
        asked = request.json()
        if any(asked.get(key) != value for key, value in self.secret.items()):
            status = {"ErrorCode": "SecurityException", "Message": f"Login failed for {asked}", "Errors": []}
            return reply({"ResponseStatus": status}, 500)
        return self.calls(asked) if request.path == "/api/calls" else self.list(request.path, asked)

    def calls(self, asked: dict[str, Any]) -> Answer:
        """A page of calls."""
        self.next_page()
        page = int(asked.get("Page", 0))
        if page < self.base:
            if self.rejects_zero:
                status = {"ErrorCode": "ArgumentException", "Message": "Page must be 1 or more"}
                return reply({"ResponseStatus": status}, 400)
            page = self.base
        low, high = self.bound(asked.get("StartDate")), self.bound(asked.get("EndDate"))
        rows = [row for row in self.rows if self.within(row["at"], low, high)]
        for key, column in (
            ("ClientId", "ClientId"),
            ("CenterId", "CenterId"),
            ("CallRecordId", "Id"),
            ("CallType", "Type"),
        ):
            if asked.get(key) is not None:
                rows = [row for row in rows if row[column] == asked[key]]
        if asked.get("MinCallDuration") is not None:
            rows = [row for row in rows if row["TalkTimeInSeconds"] >= asked["MinCallDuration"]]
        if asked.get("MaxCallDuration") is not None:
            rows = [row for row in rows if row["TalkTimeInSeconds"] <= asked["MaxCallDuration"]]
        order = self.order
        if asked.get("SortField") == "StartTime":
            order = "oldest" if asked.get("SortDir") == "Asc" else "newest"
        rows = ordered(rows, order, lambda row: row["at"])
        listed, size = self.numbered(rows, page - self.base, int(asked.get("ItemsPerPage") or 50))
        # ServiceStack leaves null members out.
        items = [
            {k: v for k, v in row.items() if k != "at" and v is not None} | {"StartTime": self.write(row["at"])}
            for row in listed
        ]
        body = {
            "Items": items,
            "Page": page,
            "TotalCount": self.total(len(rows)),
            "TotalPages": math.ceil(len(rows) / size),
        }
        return reply({key: value for key, value in body.items() if value is not None})

    def list(self, path: str, asked: dict[str, Any]) -> Answer:
        """A route without pages: every row, or those changed in a span (`at` becomes DateLastModified)."""
        rows = self.lists[path]
        for key in ("ClientId", "CenterId"):
            if asked.get(key) is not None:
                rows = [row for row in rows if row.get(key) == asked[key]]
        if path == "/api/charges" and asked.get("DateSelector") != "DateLastModified":
            return reply({"ResponseStatus": {"ErrorCode": "ArgumentException", "Message": "which date?"}}, 400)
        if path in self.changed:
            low, high = (self.bound(asked.get(name)) for name in self.changed[path])
            if low is None or high is None:
                return reply({"ResponseStatus": {"ErrorCode": "ArgumentNullException", "Message": "dates"}}, 400)
            rows = [row for row in rows if self.within(row["at"], low, high)]
        return reply(
            [
                {key: value for key, value in row.items() if key != "at" and value is not None}
                | ({"DateLastModified": self.write(row["at"])} if "at" in row else {})
                for row in rows
            ]
        )


class Conpeek(Paged):
    """`GET /voice_campaign/{voice_campaign_id}/request` (vendor-docs/003); times are zone-less UTC in whole seconds.

    Attributes:
        dialogs: what `GET /cdr_dialog` lists (facts/siblings.md 4.1); when None, none, and asking for it is not noted.
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__(rows)
        self.key = "conpeek-s3cret-key"
        self.campaigns = {"c1"}
        self.dialogs: list[dict[str, Any]] | None = None
        self.ignored: set[str] = set()

    @staticmethod
    def time(at: datetime) -> str:
        """The vendor's way to write a time."""
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

    @classmethod
    def request(cls, number: int, created: datetime, closed: datetime | None = None, **more: Any) -> dict[str, Any]:
        """A request of a campaign."""
        return {
            "id": f"{number:024x}",
            "voice_campaign_id": "c1",
            "name": f"case {number}",
            "contact_number": "48600100200",
            "state": "OPEN" if closed is None else "CLOSED",
            "application_state": "NEW" if closed is None else "CLOSED",
            "priority": 1,
            "contact_try": 0,
            "created_date": cls.time(created),
            "closed_date": None if closed is None else cls.time(closed),
            "custom": '{"a": 1}',
            "history": [{"h": 1}],
            "call_history": [],
            "dialogs": [{"dialog_uuid": f"d{number}"}],
        } | more

    def config(self, **more: Any) -> dict[str, Any]:
        """A configuration that reads this stand-in."""
        own = {"api_url": self.url, "api_key": self.key, "max_attempts": 3, "request_timeout": 120}
        return own | {"voice_campaign_ids": sorted(self.campaigns)} | more

    def keeps(self, row: dict[str, Any], one: dict[str, Any]) -> bool:
        """Whether one filter object lets a row through."""
        name, value, operator = one["property"], one["value"], one.get("operator", "eq")
        if name in self.ignored or self.ignores_filter:
            return True
        have = row.get(name)
        if name in {"start_time", "hangup_time"}:
            tests = {"gte": (instant(value), None), "lte": (None, instant(value))}
            return have is not None and self.within(instant(have), *tests[operator])
        if name in {"created_date", "closed_date", "process_not_before"}:
            if operator not in {"gte", "lte"} or have is None:
                return False
            low, high = (instant(value), None) if operator == "gte" else (None, instant(value))
            return self.within(instant(have), low, high)
        if isinstance(value, list):
            return have in value
        tests = {"eq": have == value, "ne": have != value}
        if isinstance(have, int):
            tests |= {"gt": have > value, "gte": have >= value, "lt": have < value, "lte": have <= value}
        return bool(tests[operator])

    def aside(self, request: Seen) -> Answer | None:
        idle = self.dialogs is None and request.path == "/cdr_dialog"
        return reply({"data": []}) if idle and request.headers.get("authorization") == self.key else None

    def answer(self, request: Seen) -> Answer:
        if request.headers.get("authorization") != self.key:
            return reply({"message": "Forbidden"}, 403)
        parts = request.path.split("/")
        if parts == ["", "cdr_dialog"] and self.dialogs is not None:
            rows = [
                row for row in self.dialogs if all(self.keeps(row, one) for one in json.loads(request.query["filter"]))
            ]
            rows = ordered(rows, self.order, lambda row: instant(row["start_time"]))
            limit, offset = int(request.query.get("limit", 500)), int(request.query.get("offset", 0))
            return reply({"data": rows[offset : offset + min(limit, self.most())]})
        if (
            request.method != "GET"
            or parts[1] != "voice_campaign"
            or parts[3:] != ["request"]
            or parts[2] not in self.campaigns
        ):
            return reply({"message": "Not found"}, 404)
        if "+" in request.raw_query:  # encodeURI writes a space as %20; a plus would be read as it is
            return reply({"message": "bad date"}, 400)
        self.next_page()
        filters = json.loads(request.query.get("filter", "[]"))
        rows = [row for row in self.rows if row["voice_campaign_id"] == parts[2]]
        rows = [row for row in rows if all(self.keeps(row, one) for one in filters)]
        rows = ordered(rows, self.order, lambda row: instant(row["created_date"]))
        limit, offset = int(request.query.get("limit", 1000)), int(request.query.get("offset", 0))
        left_out = json.loads(request.query.get("exclude", "[]"))
        data = rows[offset : offset + min(limit, self.most())]
        return reply({"data": [{k: v for k, v in row.items() if k not in left_out} for row in data]})


class SwitchTransact(StandIn):
    """`GET /calls/record` and `GET /calls/autocomplete` (vendor-docs/001), and the lists (siblings.md, 2.1 to 2.4).

    Attributes:
        agents, branches, lookups, transactions: rows of the lists.
        last_day: whether the day that `end_date` names is still read.
        shape: how autocomplete answers: `object` (as the page shows), `list`, or `contacts` (a list by that name).
    """

    denied = "Not authorized to make this API call. Requesting Read on General."

    def __init__(self, contacts: list[dict[str, Any]] | None = None) -> None:
        super().__init__()
        self.key = "switch-s3cret-key"
        self.contacts = contacts or []
        self.shape = "list"
        self.agents: list[dict[str, Any]] = []
        self.branches: list[dict[str, Any]] = []
        self.lookups: list[dict[str, Any]] = []
        self.transactions: list[dict[str, Any]] = []
        self.last_day = True

    @staticmethod
    def contact(number: int, **more: Any) -> dict[str, Any]:
        """A contact as the page prints it."""
        return {
            "id": f"contact-{number}",
            "firstname": "James",
            "lastname": f"May{number}",
            "customer_number": f"0030{number}",
            "company": "My Company name",
            "businessphone": None,
            "businessphone2": None,
            "mobilephone": f"+2772123456{number}",
            "email": f"james{number}@may.com",
            "entity_type": "Account",
        } | more

    def config(self, **more: Any) -> dict[str, Any]:
        """A configuration that reads this stand-in."""
        return {"api_url": self.url, "api_key": self.key, "max_attempts": 3, "request_timeout": 120} | more

    def aside(self, request: Seen) -> Answer | None:
        name = request.path.rpartition("/")[2]
        if name not in {"agents", "branches", "lookups", "transactions"} or getattr(self, name):
            return None
        return reply({"lookups": []} if name == "lookups" else {"status": True, "total": 0, "records": []})

    def answer(self, request: Seen) -> Answer:  # noqa: PLR0911 - one answer a case of the page
        if request.headers.get("authorization") != self.key:
            return reply({"status": False, "error": self.denied}, 401)
        if request.method != "GET":
            return reply({"status": False, "error": "A tap only reads"}, 405)
        if request.path == "/calls/record":
            found = [
                contact
                for contact in self.contacts
                if ("phone" in request.query and contact["mobilephone"] == request.query["phone"])
                or ("email" in request.query and contact["email"] == request.query["email"])
            ]
            return reply({"status": True, "contact": found[0]} if found else {"status": False})
        if request.path == "/calls/autocomplete":
            term = request.query["term"].lower()
            found = [c for c in self.contacts if any(term in str(value).lower() for value in c.values())]
            if not found:
                return reply({"status": False})
            if self.shape == "object":
                return reply({"status": True, "contact": found[0]})
            return reply({"status": True, "contact" if self.shape == "list" else "contacts": found})
        if request.path in {"/contacts/agents", "/contacts/branches"}:
            return reply({"status": True, "records": getattr(self, request.path.rpartition("/")[2])})
        if request.path == "/lookups":
            return reply({"lookups": self.lookups})
        if request.path == "/transactions":
            low, high = request.query.get("start_date", ""), request.query.get("end_date", "9")
            days = [(row["transaction_date"][:10], row) for row in self.transactions]
            rows = [row for day, row in days if low <= day and (day < high or (self.last_day and day == high))]
            return reply({"status": True, "total": len(rows), "records": rows})
        return Response("<html>nothing here</html>", 404, media_type="text/html")
