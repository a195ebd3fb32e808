"""BSPK, Extraction API: `GET /api/extraction/v1/calls` (vendor-docs/000, vendors.md section 1)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from trunkline_sandbox import instants
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Selection, Table
from trunkline_sandbox.vendor import Knobs, RateWindow, RefusedError, Vendor, choice, whole
from trunkline_sandbox.world import COMPANIES, World, person, phone

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from trunkline_sandbox.messages import Pairs, Request

_FIELDS = (
    "store_id",
    "store_name",
    "sales_associate_id",
    "sales_associate_name",
    "client_id",
    "client_name",
    "to",
    "created_at",
)

_SAMPLE: Row = {
    "store_id": "Store-external_id-47",
    "store_name": "Store-56",
    "sales_associate_id": "SA_01",
    "sales_associate_name": "FirstName-79 LastName-79",
    "client_id": "EXTERNAL_ID_145",
    "client_name": "FirstName-80 LastName-80",
    "to": None,
}
SAMPLES: tuple[Row, ...] = (
    {**_SAMPLE, "created_at": "2024-08-07T12:29:23.594Z"},
    {**_SAMPLE, "created_at": "2024-08-07T12:29:23.599Z"},
)
"""The two calls that the page prints."""


@dataclasses.dataclass
class BspkKnobs(Knobs):
    """What BSPK's page leaves open.

    Attributes:
        filter_on: Whether `from` and `to` look at created or at updated times (the pages say both).
        order: Which calls come first; no page says.
        per_page_cap: The most a page holds; more asked for is cut to it.
        enforce_rate_limit: Answer 429 beyond the limit; when off, every answer says that plenty is left.
        rate_limit: Requests in any `rate_seconds`.
        rate_seconds: Seconds.
        link_headers: Send `Link`.
        total_header: Send `X-Total-Count`.
    """

    filter_on: str = choice("created", "updated")
    order: str = choice("oldest", "newest")
    per_page_cap: int = 100
    enforce_rate_limit: bool = False
    rate_limit: int = 30
    rate_seconds: float = 10.0
    link_headers: bool = True
    total_header: bool = True


def _created(row: Row) -> int | None:
    return instants.parse_iso(row["created_at"])


def _updated(row: Row) -> int | None:
    return instants.parse_iso(row.get("updated_at") or row["created_at"])


def _shown(row: Row) -> Row:
    return {name: row[name] for name in _FIELDS} if "updated_at" in row else row


class Bspk(Vendor):
    """A bare array; totals, links and limits are in headers; no id and no modified date in a call."""

    name = "bspk"
    title = "BSPK"
    path = "/api/extraction/v1/calls"
    settings: ClassVar = {"auth_token": "sandbox-bspk-token"}
    curl = "-H 'Authorization: Bearer sandbox-bspk-token' '{url}/api/extraction/v1/calls?from=2026-01-01T00:00:00Z'"
    hidden: ClassVar = {"calls": ("updated_at",)}
    knob_sheet = BspkKnobs
    knobs: BspkKnobs

    # Links name the vendor's own host, wherever the sandbox runs: whoever follows one leaves the configured host.
    link_host = "https://api.bspk.com"
    default_per_page = 30

    def __init__(self, world: World) -> None:
        super().__init__(world)
        make, when = _calls(world)
        calls = Table(
            ("sales_associate_id", "client_id", "created_at"),
            {"created": _created, "updated": _updated},
            count=world.size,
            make=make,
            when=when,
            extra=SAMPLES,
        )
        self.tables = {"calls": calls}
        self._rate = RateWindow()

    def complete(self, stream: str, row: Row) -> Row:
        """A new call has every field; it was updated when it was created, unless the row has an `updated_at`."""
        del stream
        return {**dict.fromkeys(_FIELDS), **row}

    def answer(self, request: Request) -> Response:
        """A page of calls.

        Raises:
            RefusedError: 401, 403, 404, 400 as the pages describe.
        """
        limits = self._limits()
        if isinstance(limits, Response):
            return limits
        self._authorize(request)
        if request.path != self.path:
            raise RefusedError(404, "Not Found")
        if request.method != "GET":
            raise RefusedError(405, "Method Not Allowed")
        page = whole(request.get("page"), 1, name="page")
        per_page = min(whole(request.get("per_page"), self.default_per_page, name="per_page"), self.knobs.per_page_cap)
        found = self._select(request)
        numbers = found.page((page - 1) * per_page, per_page)
        body = b"[" + b",".join(self.tables["calls"].encode(numbers, "", _shown)) + b"]"
        return Response(200, (JSON, *limits, *self._paging(request, page, per_page, len(found))), body)

    def error(self, no: RefusedError) -> Response:
        """The pages print no error body; this one is the plainest."""
        return Response.json({"error": no.message}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """`page` less one."""
        page = whole(request.get("page"), 1, name="page")
        return request.with_query(page=str(page - 1)) if page > 1 else None

    def unfiltered(self, request: Request) -> Request | None:
        """Without `from` and `to`."""
        if request.get("from") is None and request.get("to") is None:
            return None
        return request.with_query(**{"from": None, "to": None})

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Another X-Total-Count."""
        total = response.header("X-Total-Count")
        if not total:
            return None
        headers = tuple(pair for pair in response.headers if pair[0] != "X-Total-Count")
        return dataclasses.replace(response, headers=(*headers, ("X-Total-Count", str(max(0, int(total) + by)))))

    def _authorize(self, request: Request) -> None:
        header = request.headers.get("authorization")
        if header is None:
            raise RefusedError(401, "Unauthorized")
        if header != f"Bearer {self.settings['auth_token']}":
            raise RefusedError(403, "Forbidden")

    def _limits(self) -> Pairs | Response:
        limit = self.knobs.rate_limit
        if not self.knobs.enforce_rate_limit:
            return (("X-RateLimit-Limit", str(limit)), ("X-RateLimit-Remaining", str(limit - 1)))
        left, reset = self._rate.take(self.world.clock().timestamp(), limit, self.knobs.rate_seconds)
        headers = (("X-RateLimit-Limit", str(limit)), ("X-RateLimit-Remaining", str(max(0, left))))
        if left < 0:
            # Whole seconds, rounded up: a client that waits until then is let in.
            reset_header = ("X-RateLimit-Reset", str(-int(-reset // 1)))
            return Response.json({"error": "Too Many Requests"}, 429, (*headers, reset_header))
        return headers

    def _select(self, request: Request) -> Selection:
        low, high = _second(request, "from"), _second(request, "to")
        if high is not None:
            high += instants.SECOND - 1
        return self.tables["calls"].select(
            self.knobs.filter_on, low, high, where=_people(request), newest_first=self.knobs.order == "newest"
        )

    def _paging(self, request: Request, page: int, per_page: int, total: int) -> Pairs:
        headers = []
        if self.knobs.total_header:
            headers.append(("X-Total-Count", str(total)))
        last = max(1, -(-total // per_page))
        if self.knobs.link_headers:
            links = [(page + 1, "next")] if page < last else []
            links.append((last, "last"))
            headers.append(("Link", ", ".join(f"<{self._link(request, to)}>; rel='{rel}'" for to, rel in links)))
        return tuple(headers)

    def _link(self, request: Request, page: int) -> str:
        kept = [pair for pair in request.query if pair[0] != "page"]
        return f"{self.link_host}{self.path}?{urlencode([*kept, ('page', str(page))])}"


def _second(request: Request, name: str) -> int | None:
    """`from` or `to` on its whole second.

    Raises:
        RefusedError: 400 when it is no ISO 8601 time.
    """
    text = request.get(name)
    if not text:
        return None
    instant = instants.parse_iso(text)
    if instant is None:
        raise RefusedError(400, f"{name} is not a valid ISO 8601 timestamp")
    return instant // instants.SECOND * instants.SECOND


def _people(request: Request) -> tuple[Hashable, Callable[[Row], bool]] | None:
    """The condition that client_ids or sales_associate_ids make.

    Raises:
        RefusedError: 400 when both are given.
    """
    clients, associates = request.get("client_ids"), request.get("sales_associate_ids")
    if clients and associates:
        raise RefusedError(400, "client_ids and sales_associate_ids cannot be combined")
    if not clients and not associates:
        return None
    column = "client_id" if clients else "sales_associate_id"
    wanted = frozenset(part.strip() for part in (clients or associates or "").split(","))
    return (column, wanted), lambda row: row[column] in wanted


def _calls(world: World) -> tuple[Callable[[int], Row], Callable[[int], int]]:
    dice = world.random("bspk")
    salt = dice.getrandbits(64)
    stores = [
        (f"Store-external_id-{n}", None if n == 105 else f"{COMPANIES[n % len(COMPANIES)]} {n}")  # noqa: PLR2004 - one nameless store
        for n in range(100, 112)
    ]
    associates = [(f"SA_{n}", " ".join(person(dice.getrandbits(16))), *stores[n % len(stores)]) for n in range(10, 46)]
    clients = [
        (f"CLI_{n}", " ".join(person(dice.getrandbits(16))), None if n % 4 == 0 else phone(dice.getrandbits(32)))
        for n in range(1000, 1400)
    ]
    at = world.times(salt, world.size, 1000)  # the vendor writes milliseconds

    def make(i: int) -> Row:
        created, bits = at(i)
        associate_id, associate_name, store_id, store_name = associates[bits % 36]
        client_id, client_name, to = clients[(bits >> 20) % 400]
        return {
            "store_id": store_id,
            "store_name": store_name,
            "sales_associate_id": associate_id,
            "sales_associate_name": associate_name,
            "client_id": client_id,
            "client_name": client_name,
            "to": to,
            "created_at": instants.iso(created, digits=3),
        }

    return make, lambda i: at(i)[0]
