"""A vendor that lists its rows in pages with numbers, as most do: what is its own is told in facts and four answers."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Table
from trunkline_sandbox.vendor import Knobs, RefusedError, Vendor, choice, whole

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.world import World


@dataclasses.dataclass
class PagedKnobs(Knobs):
    """What such a vendor's page may leave open.

    Attributes:
        order: Which rows come first.
        page_cap: The most a page holds; more asked for is cut to it. None: the vendor's own most.
        reachable: How many rows of a query can be paged through; no page shows those behind. None: all.
        filter_lag: Seconds by which the time that the filter looks at comes before the one that a row shows.
    """

    order: str = choice("oldest", "newest")
    page_cap: int | None = None
    reachable: int | None = None
    filter_lag: int = 0


class PagedVendor(Vendor):
    """A list under one path, filtered by a span of time.

    Attributes:
        path: Of the list.
        stream: Name of what is listed.
        key: Columns that tell rows apart.
        unit: Microseconds between two times that the vendor can write.
        since: Query parameter of the span's lower end (inclusive, as is the upper one).
        until: Query parameter of its upper end.
        page: Query parameter of the page's number, from 1 on.
        size: Query parameter of the page's size.
        usual: Rows of a page that nobody asked a size for.
        most: Rows of a page at most.
        rows_field: Where the rows stand in the answer.
        total_path: Where the number of all rows stands in what `beside` returns; empty when it is not said.
        empty: Columns of a new row that are null unless they are given.
    """

    path: ClassVar[str]
    stream: ClassVar[str] = "calls"
    key: ClassVar[tuple[str, ...]] = ("id",)
    unit: ClassVar[int] = SECOND
    since, until, page, size = "from", "to", "page", "per_page"
    usual: ClassVar[int] = 20
    most: ClassVar[int] = 100
    rows_field: ClassVar[str] = "calls"
    total_path: ClassVar[tuple[str, ...]] = ("total",)
    empty: ClassVar[tuple[str, ...]] = ()
    knob_sheet = PagedKnobs
    knobs: PagedKnobs

    def __init__(self, world: World) -> None:
        super().__init__(world)
        at = world.times(world.random(self.name).getrandbits(64), world.size, self.unit)
        self.tables = {
            self.stream: Table(
                self.key,
                {"filtered": self.instant},
                count=world.size,
                make=lambda i: self.make(i, *at(i)),
                when=lambda i: at(i)[0],
            )
        }

    @abstractmethod
    def make(self, i: int, instant: int, bits: int) -> Row:
        """Row `i` of the made-up world: its instant in microseconds, and bits to make the rest of it from."""

    @abstractmethod
    def instant(self, row: Row) -> int | None:
        """The time that the filter looks at, in microseconds; None when it can't be read."""

    @abstractmethod
    def read(self, text: str) -> int | None:
        """An end of the span as the filter's parameters have it, in microseconds; None when it can't be read."""

    @abstractmethod
    def authorized(self, request: Request) -> bool:
        """Whether the request carries the right credentials."""

    def beside(self, *, page: int, size: int, count: int, total: int) -> dict[str, Any]:
        """What stands in the answer beside the rows."""
        del page, size, count
        return {"total": total}

    def complete(self, stream: str, row: Row) -> Row:
        """A new row has every column."""
        del stream
        return {**dict.fromkeys(self.empty), **row}

    def answer(self, request: Request) -> Response:
        """A page.

        Raises:
            RefusedError: 401 for wrong credentials, 404 for another path, 400 for bad parameters.
        """
        if not self.authorized(request):
            raise RefusedError(401, "Unauthorized")
        if (request.method, request.path) != ("GET", self.path):
            raise RefusedError(404, "Not found")
        knobs, table = self.knobs, self.tables[self.stream]
        page = whole(request.get(self.page), 1, name=self.page)
        size = min(whole(request.get(self.size), self.usual, name=self.size), knobs.page_cap or self.most)
        low, high = self._bound(request, self.since), self._bound(request, self.until)
        found = table.select(None, low, high, newest_first=knobs.order == "newest")
        skipped = (page - 1) * size
        shown = size if knobs.reachable is None else max(0, min(size, knobs.reachable - skipped))
        rows = [msgspec.Raw(text) for text in table.encode(found.page(skipped, shown), "", lambda row: row)]
        beside = self.beside(page=page, size=size, count=len(rows), total=len(found))
        return Response(200, (JSON,), msgspec.json.encode({**beside, self.rows_field: rows}))

    def error(self, no: RefusedError) -> Response:
        """The sentence under `error`."""
        return Response.json({"error": no.message}, no.status)

    def page_before(self, request: Request) -> Request | None:
        """The page's number less one."""
        page = whole(request.get(self.page), 1, name=self.page)
        return request.with_query(**{self.page: str(page - 1)}) if page > 1 else None

    def unfiltered(self, request: Request) -> Request | None:
        """Without the ends of the span."""
        return request.with_query(**{self.since: None, self.until: None})

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Another total."""
        answer = response.value()
        node, (*above, last) = answer, self.total_path or ("",)
        for name in above:
            node = node.get(name, {})
        if last not in node:
            return None
        node[last] = max(0, node[last] + by)
        return dataclasses.replace(response, body=msgspec.json.encode(answer))

    def _bound(self, request: Request, name: str) -> int | None:
        text = request.get(name)
        if text is None:
            return None
        instant = self.read(text)
        if instant is None:
            raise RefusedError(400, f"{name} can't be read")
        return instant + self.knobs.filter_lag * SECOND
