"""BSPK, Extraction API: `GET /api/extraction/v1/<list>` (vendor-docs/000, facts/siblings.md section 1)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from trunkline_sandbox import instants
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Selection, Table
from trunkline_sandbox.vendor import Knobs, RateWindow, RefusedError, Vendor, choice, whole
from trunkline_sandbox.vendors.bspk_rows import KINDS, People

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from trunkline_sandbox.messages import Pairs, Request
    from trunkline_sandbox.world import World

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
    """Facts that BSPK's page leaves open.

    Attributes:
        filter_on: Whether `from` and `to` look at created or at updated times (the pages name both).
        empty: The response for a page without rows: an empty array, or 204.
        order: Which calls come first; no page documents it.
        per_page_cap: The most a page holds; a request for more is cut to it.
        enforce_rate_limit: Respond with 429 beyond the limit; when off, every response reports that plenty is left.
        rate_limit: Requests in any `rate_seconds`.
        rate_seconds: Seconds.
        link_headers: Send `Link`.
        total_header: Send `X-Total-Count`.
    """

    filter_on: str = choice("created", "updated")
    empty: str = choice("array", "no_content")
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


def _without_update(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "updated_at"}


class Bspk(Vendor):
    """Bare arrays; totals, links and limits are in headers; no ids, and in most lists no date of change."""

    name = "bspk"
    title = "BSPK"
    path = "/api/extraction/v1/"
    settings: ClassVar = {"auth_token": "sandbox-bspk-token"}
    curl = "-H 'Authorization: Bearer sandbox-bspk-token' '{url}/api/extraction/v1/calls?from={day}T00:00:00Z'"
    hidden: ClassVar = {name: ("updated_at",) for name, kind in KINDS.items() if "updated_at" not in kind.fields}
    knob_sheet = BspkKnobs
    knobs: BspkKnobs

    # Links name the vendor's own host, wherever the sandbox runs: a client that follows one leaves the configured host.
    link_host = "https://api.bspk.com"
    default_per_page = 30

    def __init__(self, world: World) -> None:
        super().__init__(world)
        people = People(world)
        for name, kind in KINDS.items():
            make, when = people.rows(name)
            clocks = {"created": _created, "updated": _updated}
            samples = SAMPLES if name == "calls" else ()
            self.tables[name] = Table(kind.key, clocks, count=people.count(name), make=make, when=when, extra=samples)
        self._rate = RateWindow()

    def complete(self, stream: str, row: Row) -> Row:
        """Return a new row has every field; it was updated when it was created, unless it has an `updated_at`."""
        made = {**dict.fromkeys(KINDS[stream].fields), **row}
        return made if made.get("updated_at") or stream in self.hidden else {**made, "updated_at": made["created_at"]}

    def answer(self, request: Request) -> Response:
        """Return a page of a list.

        Raises:
            RefusedError: 401, 403, 404, 400 as the pages describe.
        """
        limits = self._limits()
        if isinstance(limits, Response):
            return limits
        self._authorize(request)
        name = request.path.removeprefix(self.path)
        if not request.path.startswith(self.path) or name not in KINDS:
            raise RefusedError(404, "Not Found")
        if request.method != "GET":
            raise RefusedError(405, "Method Not Allowed")
        page = whole(request.get("page"), 1, name="page")
        per_page = min(whole(request.get("per_page"), self.default_per_page, name="per_page"), self.knobs.per_page_cap)
        found = self._select(name, request)
        numbers = found.page((page - 1) * per_page, per_page)
        headers = (*limits, *self._paging(request, page, per_page, len(found)))
        if not numbers and self.knobs.empty == "no_content":
            return Response(204, headers)
        show = _without_update if name in self.hidden else dict
        body = b"[" + b",".join(self.tables[name].encode(numbers, "", show)) + b"]"
        return Response(200, (JSON, *headers), body)

    def error(self, no: RefusedError) -> Response:
        """Return the pages print no error body; this one is the plainest."""
        return Response.json({"error": no.message}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """Return the request with `page` less one."""
        page = whole(request.get("page"), 1, name="page")
        return request.with_query(page=str(page - 1)) if page > 1 else None

    def unfiltered(self, request: Request) -> Request | None:
        """Return the request without `from` and `to`."""
        if request.get("from") is None and request.get("to") is None:
            return None
        return request.with_query(**{"from": None, "to": None})

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Return the response with another X-Total-Count."""
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

    def _select(self, name: str, request: Request) -> Selection:
        low, high = _second(request, "from"), _second(request, "to")
        if high is not None:
            high += instants.SECOND - 1
        where = _people(KINDS[name].people, request)
        newest_first = self.knobs.order == "newest"
        return self.tables[name].select(self.knobs.filter_on, low, high, where=where, newest_first=newest_first)

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
        return f"{self.link_host}{request.path}?{urlencode([*kept, ('page', str(page))])}"


def _second(request: Request, name: str) -> int | None:
    """Read `from` or `to` on its whole second.

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


def _people(columns: Mapping[str, str], request: Request) -> tuple[Hashable, Callable[[Row], bool]] | None:
    """Return the condition that client_ids or sales_associate_ids make.

    Raises:
        RefusedError: 400 when both are given, or one that the list does not take.
    """
    given = {name: request.get(name) for name in ("client_ids", "sales_associate_ids") if request.get(name)}
    if len(given) > 1:
        raise RefusedError(400, "client_ids and sales_associate_ids cannot be combined")
    if not given:
        return None
    ((name, text),) = given.items()
    if name not in columns:
        raise RefusedError(400, f"{name} is not a parameter of this list")
    column, requested = columns[name], frozenset(part.strip() for part in str(text).split(","))
    return (column, requested), lambda row: row[column] in requested
