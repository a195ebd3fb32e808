"""A vendor that lists its rows, as most do: a table of routes holds its lists, and how each is paged."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.messages import JSON, Response
from trunkline_sandbox.store import Row, Selection, Table
from trunkline_sandbox.vendor import Knobs, RefusedError, Vendor, choice, json_object, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.world import World

_PLACEHOLDER = re.compile(r"<(\w+)>")


@dataclass(frozen=True)
class Route:
    """One list of a vendor: where it is, what its rows are, and how it is paged.

    A field of a response is named by its dotted path. One of `page`, `offset` and `cursor` names the parameter that
    pages; without any of them all rows stand in one response.

    Attributes:
        stream: Name of what is listed.
        path: Of the list. `<column>` in it stands for that column of a parent's row: `/v1/calls/<id>/recordings`.
        make: Makes row `i` of the made-up world, of its instant in microseconds and of 64 bits for the rest of it.
        key: Columns that distinguish rows; in a list per row, those of the whole stream.
        rows: Field that holds the rows; the stream's name when None, and empty when the response itself is the list.
        time: Column that the filter looks at; empty for a full table, which has no filter.
        since: Query parameter of the span's lower end (inclusive, as is the upper one).
        until: Query parameter of its upper end.
        equals: Query parameters that are named like a column, and let through the rows with that value in it.
        page: Query parameter of the page's number.
        first: Number of the first page.
        offset: Query parameter of the number of rows to pass over.
        cursor: Query parameter of the cursor that the page before named.
        size: Query parameter of the page's size.
        usual: Rows of a page where the request names no size.
        most: Rows of a page at most.
        total: Field of the number of all rows; empty where the vendor does not send it.
        next: Field of what leads to the next page: its number, offset or cursor.
        last: What stands there on the last page.
        link: Whether it is the next page's address instead, as `Vendor.host` begins it.
        parent: Stream whose rows have each a list (or a detail) of their own.
        column: Column of a row that holds what stands in the path for its parent.
        sends_column: Whether the vendor sends this column.
        one: Whether a response is one row and no list, such as the detail of a call.
        empty: Columns of a new row that are null unless they are given.
        unit: Microseconds between two times that the vendor can write.
    """

    stream: str
    path: str
    make: Callable[[int, int, int], Row]
    _: KW_ONLY
    key: tuple[str, ...] = ("id",)
    rows: str | None = None
    time: str = ""
    since: str = "from"
    until: str = "to"
    equals: tuple[str, ...] = ()
    page: str = ""
    first: int = 1
    offset: str = ""
    cursor: str = ""
    size: str = ""
    usual: int = 20
    most: int = 100
    total: str = ""
    next: str = ""
    last: str | None = None
    link: bool = False
    parent: str = ""
    column: str = ""
    sends_column: bool = False
    one: bool = False
    empty: tuple[str, ...] = ()
    unit: int = SECOND

    @property
    def place(self) -> str:
        """The query parameter that pages; empty where none does."""
        return self.page or self.offset or self.cursor

    @property
    def known_by(self) -> str:
        """Column of the parent's row that stands in the path; empty where there is no parent."""
        found = _PLACEHOLDER.search(self.path)
        return found[1] if found else ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of a request's path, and where in it the parent's value stands."""
        before, *behind = _PLACEHOLDER.split(self.path)[::2]
        return re.compile("([^/]+)".join(map(re.escape, (before, *behind))))

    def read_offset(self, request: Request, size: int) -> int:
        """Read how many rows stand before the page that is requested.

        Raises:
            RefusedError: 400 when the parameter is none that the vendor knows.
        """
        text = request.get(self.place) if self.place else None
        if self.page:
            return (whole(text, self.first, least=self.first, name=self.page) - self.first) * size
        if self.cursor and text:
            return _read_cursor(text)
        return whole(text, 0, least=0, name=self.offset)

    def write_mark(self, offset: int, size: int) -> str:
        """Write the parameter's value for the page that begins at an offset."""
        if self.cursor:
            return base64.urlsafe_b64encode(f"after {offset}".encode()).decode()
        return str(offset // size + self.first if self.page else offset)


@dataclass
class PagedKnobs(Knobs):
    """Facts that such a vendor's page may leave open.

    Attributes:
        order: Which rows come first.
        page_cap: The most a page holds; more is cut to it. None: the vendor's own most.
        reachable: How many rows of a query can be paged through; no page shows those behind. None: all.
        filter_lag: Seconds by which the time that the filter looks at comes before the one that a row shows.
        cursor: Whether a page names the one behind it, as it should, or itself, without end.
    """

    order: str = choice("oldest", "newest")
    page_cap: int | None = None
    reachable: int | None = None
    filter_lag: int = 0
    cursor: str = choice("next", "same")


class PagedVendor(Vendor):
    """Lists under paths; what is the vendor's own stands in the routes and in one or two methods.

    Attributes:
        routes: Its lists; the first whose path is the request's one serves it.
        host: How the links begin that its responses hold; they name the vendor wherever the sandbox runs.
        parameters_in_body: Whether they stand in the JSON body of a POST and not in the query.
    """

    routes: ClassVar[tuple[Route, ...]]
    host: ClassVar[str] = ""
    parameters_in_body: ClassVar[bool] = False
    knob_sheet = PagedKnobs
    knobs: PagedKnobs

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.tables = {route.stream: self._table(route) for route in self.routes}

    def tap_config(self) -> dict[str, Any]:
        """Give a working tap's settings; without a filter there is no date to begin at."""
        config = super().tap_config()
        return config if any(route.time for route in self.routes) else {**self.settings}

    @abstractmethod
    def authorized(self, request: Request) -> bool:
        """Return whether the request carries the right credentials."""

    def read(self, value: Any) -> int | None:
        """Read a time as rows and filter write it, in microseconds; None when it is none. ISO 8601 if left as is."""
        return instants.parse_iso(str(value))

    def read_end(self, text: str, *, upper: bool) -> int | None:
        """Read an end of the span as the filter's parameter writes it, where that is not as in a row."""
        del upper
        return self.read(text)

    def describe_page(self, request: Request, *, offset: int, size: int, count: int, total: int) -> dict[str, Any]:
        """Return the fields of the response beside the rows, their total and what leads to the next page.

        Args:
            request: The request for the page.
            offset: Rows before the page.
            size: Rows of a page.
            count: Rows of this page.
            total: Rows of all pages.
        """
        del request, offset, size, count, total
        return {}

    def find_route(self, stream: str) -> Route:
        """Find the route of a stream."""
        return next(route for route in self.routes if route.stream == stream)

    def complete(self, stream: str, row: Row) -> Row:
        """Fill in the columns that a new row lacks."""
        return {**dict.fromkeys(self.find_route(stream).empty), **row}

    def answer(self, request: Request) -> Response:
        """Make a page, or one row.

        Raises:
            RefusedError: 401 for wrong credentials, 404 for another path or row, 400 for bad parameters.
        """
        request = self._plain(request)
        if not self.authorized(request):
            raise RefusedError(401, "Unauthorized")
        route = self._route(request)
        if route is None:
            raise RefusedError(404, "Not found")
        found = self._find(route, request)
        size = self._size(route, request) if route.place else max(1, len(found))
        offset = route.read_offset(request, size)
        reachable = self.knobs.reachable
        shown = size if reachable is None else max(0, min(size, reachable - offset))
        numbers = found.page(offset, shown)
        rows: list[Any] = [msgspec.Raw(text) for text in self._encode(route, numbers)]
        if route.one and not rows:
            raise RefusedError(404, "Not found")
        body = self.describe_page(request, offset=offset, size=size, count=len(rows), total=len(found))
        if route.total:
            _put(body, route.total, len(found))
        if route.next:
            _put(body, route.next, self._next(route, request, offset, size, len(found)))
        field = route.stream if route.rows is None else route.rows
        value = rows[0] if route.one else rows
        if field:
            _put(body, field, value)
        return Response(200, (JSON,), msgspec.json.encode(body if field else value))

    def error(self, no: RefusedError) -> Response:
        """Put the sentence under `error`."""
        return Response.json({"error": no.message}, no.status)

    # What faults need to know ---------------------------------------------------------------------

    def page_before(self, request: Request) -> Request | None:
        """Go back by one page."""
        request = self._plain(request)
        route = self._route(request)
        if route is None or not route.place:
            return None
        size = self._size(route, request)
        offset = route.read_offset(request, size)
        mark = route.write_mark(max(0, offset - size), size)
        return request.with_query(**{route.place: mark}) if offset > 0 else None

    def unfiltered(self, request: Request) -> Request | None:
        """Leave out the ends of the span; a full table has none."""
        request = self._plain(request)
        route = self._route(request)
        return request.with_query(**{route.since: None, route.until: None}) if route and route.time else None

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Change the total."""
        body = response.value()
        for total in dict.fromkeys(route.total for route in self.routes if route.total):
            node, (*above, last) = body, total.split(".")
            for name in above:
                node = node.get(name) if isinstance(node, dict) else None
            if isinstance(node, dict) and isinstance(node.get(last), int):
                node[last] = max(0, node[last] + by)
                return dataclasses.replace(response, body=msgspec.json.encode(body))
        return None

    # Rows -----------------------------------------------------------------------------------------

    def _table(self, route: Route) -> Table:
        """Make the rows of a route: by time where it is filtered, else as they came; and by what stands in a path."""
        size = self.world.size
        at = self.world.times(self.world.random(f"{self.name}/{route.stream}").getrandbits(64), size, route.unit)
        clocks: dict[str, Callable[[Row], int | None]] = (
            {"filtered": lambda row: self.read(row[route.time])} if route.time else {"order": lambda _: 0}
        )
        if route.column:
            clocks["parent"] = lambda row: hash(str(row[route.column]))
        for child in self.routes:
            if child.parent == route.stream:
                clocks[child.known_by] = lambda row, column=child.known_by: hash(str(row[column]))  # type: ignore[misc]

        def make(i: int) -> Row:
            instant, bits = at(i)
            row = self.complete(route.stream, route.make(i, instant, bits))
            if route.parent:
                # A detail for each row; of the lists, one half is empty and the others have some rows.
                number = i if route.one else bits % max(1, size // 2)
                row[route.column] = self.tables[route.parent].row(number)[route.known_by]
            return row

        return Table(route.key, clocks, count=size, make=make, when=lambda i: at(i)[0] if route.time else 0)

    def _plain(self, request: Request) -> Request:
        """Write the parameters of a body as those of a query, names in objects with dots."""
        values = json_object(request.body) if self.parameters_in_body and request.body else None
        return request.with_body(b"").with_query(**dict(_flat(values))) if values is not None else request

    def _route(self, request: Request) -> Route | None:
        if request.method != ("POST" if self.parameters_in_body else "GET"):
            return None
        return next((route for route in self.routes if route.pattern.fullmatch(request.path)), None)

    def _find(self, route: Route, request: Request) -> Selection:
        table, newest_first = self.tables[route.stream], self.knobs.order == "newest"
        if route.parent:
            matched = route.pattern.fullmatch(request.path)
            mark = hash(matched[1] if matched else "")
            if not len(self.tables[route.parent].select(route.known_by, mark, mark)):
                raise RefusedError(404, "Not found")
            return table.select("parent", mark, mark, newest_first=newest_first)
        low, high = (self._end(route, request, upper=upper) for upper in (False, True))
        expected = tuple((name, value) for name in route.equals if (value := request.get(name)))
        where = (expected, lambda row: all(str(row[name]) == value for name, value in expected)) if expected else None
        return table.select(None, low, high, where=where, newest_first=newest_first)

    def _end(self, route: Route, request: Request, *, upper: bool) -> int | None:
        name = route.until if upper else route.since
        text = request.get(name) if route.time else None
        if text is None:
            return None
        instant = self.read_end(text, upper=upper)
        if instant is None:
            raise RefusedError(400, f"{name} can't be read")
        return instant + self.knobs.filter_lag * SECOND

    def _size(self, route: Route, request: Request) -> int:
        expected = whole(request.get(route.size), route.usual, name=route.size)
        return min(expected, self.knobs.page_cap or route.most)

    def _next(self, route: Route, request: Request, offset: int, size: int, total: int) -> str | int | None:
        if offset + size >= total:
            return route.last
        same = route.cursor and self.knobs.cursor == "same"
        mark = route.write_mark(offset if same else offset + size, size)
        if route.link:
            return self.host + request.with_query(**{route.place: mark}).target
        return mark if route.cursor else int(mark)

    def _encode(self, route: Route, numbers: Iterable[int]) -> list[bytes]:
        unsent = {route.column} if route.column and not route.sends_column else set()
        return self.tables[route.stream].encode(
            numbers, "", lambda row: {name: value for name, value in row.items() if name not in unsent}
        )


def _flat(node: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, str(value)


def _put(node: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        node = node.setdefault(name, {})
    node[last] = value


def _read_cursor(text: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(text).decode().removeprefix("after "))
    except (binascii.Error, ValueError):
        raise RefusedError(400, "The cursor is not one of this list") from None


__all__ = ["PagedKnobs", "PagedVendor", "Route"]
