"""The sandbox itself: vendors, faults, hooks and the log, without any socket."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline_sandbox.faults import Fault, Faults
from trunkline_sandbox.messages import Request, Response
from trunkline_sandbox.vendors import registry
from trunkline_sandbox.world import FIRST_DAY, World

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import date, datetime

    from trunkline_sandbox.messages import Pairs
    from trunkline_sandbox.store import Row
    from trunkline_sandbox.vendor import Vendor

    Hook = Callable[["Sandbox", str, Request, int], None]

_LOG_SIZE = 200_000
ADMIN = "/_sandbox/"
"""Paths from here on are about the sandbox, not about a vendor."""


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes:
        n: Counts the vendor's requests from 1.
        vendor: Its name; empty when the path belongs to none.
        method: In capitals.
        path: With the vendor's prefix.
        query: Decoded pairs.
        headers: Names in lower case.
        body: As text.
        status: Of the response; 0 when the connection was closed instead.
        in_flight: Requests in progress when this one came, this one included.
        at: When its response was made, in seconds since 1970 on the sandbox's clock.
    """

    n: int
    vendor: str
    method: str
    path: str
    query: Pairs
    headers: Mapping[str, str]
    body: str
    status: int
    in_flight: int
    at: float = 0.0


class RequestLog:
    """The requests that had a response, the latest 200,000 of them, and how many were under way at once."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_LOG_SIZE)
        self._counts: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self.in_flight = 0
        self.max_in_flight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __getitem__(self, position: int) -> Entry:
        return self._entries[position]

    def of(self, vendor: str) -> list[Entry]:
        """Return the vendor's requests."""
        return [entry for entry in self if entry.vendor == vendor]

    def clear(self) -> None:
        """Forget all, and count from 1 again."""
        self._entries.clear()
        self._counts.clear()
        self.max_in_flight = self.in_flight

    def next(self, vendor: str) -> int:
        """Return the number of the vendor's next request."""
        self._counts[vendor] += 1
        return self._counts[vendor]

    def note(self, n: int, vendor: str, request: Request, status: int, at: float) -> None:
        """Write a line."""
        self._entries.append(
            Entry(
                n,
                vendor,
                request.method,
                request.path,
                request.query,
                request.headers,
                request.body.decode(errors="replace") if request.body else "",
                status,
                self.in_flight,
                at,
            )
        )

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a request as under way while a transport is busy with it, its latency included."""
        with self._lock:
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1


class Sandbox:
    """Five vendors (and those that other packages bring) over one made-up world.

    Args:
        seed: Decides every value of the data and which requests a fault's `rate` hits.
        size: Rows of each vendor, the samples of the vendors' pages not counted.
        days: Days over which the rows are spread.
        first_day: The first of these days, in UTC.
        clock: Returns the present moment (aware datetime): for rate limits and for Evolux's "today".
        vendors: Names of the vendors; all by default.
        latency: Seconds that a transport waits before each response; `handle` itself never waits.
        on_request: Called as `on_request(sandbox, vendor, request, n)` before the response to a vendor's n-th request,
            for data that changes while it is read. `request.path` has the vendor's prefix.

    Attributes:
        vendors: Vendors by name.
        faults: The rules in force.
        requests: The log.
    """

    def __init__(  # noqa: PLR0913 - each is one independent property of the world
        self,
        seed: int = 1,
        size: int = 240,
        days: int = 14,
        *,
        first_day: date = FIRST_DAY,
        clock: Callable[[], datetime] | None = None,
        vendors: Collection[str] | None = None,
        latency: float = 0.0,
        on_request: Hook | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._chosen = vendors
        self._world = World(seed, size, days, first_day=first_day, **({"clock": clock} if clock else {}))
        self.latency = latency
        self.on_request = on_request
        self.requests = RequestLog()
        self.vendors: dict[str, Vendor] = {}
        self._due: dict[tuple[str, int], list[tuple[str, list[Row]]]] = {}
        self.reset()

    def reset(self, *, seed: int | None = None, size: int | None = None, days: int | None = None) -> None:
        """Make the data anew and drop faults, knobs, scheduled rows and the log.

        Raises:
            ValueError: When a vendor does not exist.
        """
        old = self._world
        world = World(
            old.seed if seed is None else seed,
            old.size if size is None else size,
            old.days if days is None else days,
            old.clock,
            old.first_day,
        )
        known = registry()
        names = tuple(known) if self._chosen is None else tuple(self._chosen)
        for name in names:
            if name not in known:
                raise ValueError(f"there is no vendor {name!r}: there are {', '.join(known)}")
        with self._lock:
            self._world = world
            self.vendors = {name: known[name](world) for name in names}
            self.faults = Faults(world.seed)
            self._due.clear()
            self.requests.clear()

    # Data ---------------------------------------------------------------------------------------------------------

    def truth(self, vendor: str, stream: str, *, hidden: bool = False) -> list[Row]:
        """Return copies of all rows of a stream that the vendor holds, oldest first.

        Rows are as the vendor sends them by default, with these differences: null fields that HostedSuite leaves out
        are there as None, its `StartTime` is `YYYY-MM-DDTHH:MM:SSZ` for any value of the knob, and a `studio_cdr` of
        Evolux carries the `call_id` that it is requested with.

        Args:
            vendor: Its name.
            stream: One of `vendors[vendor].streams`.
            hidden: Also show columns that the vendor never sends (BSPK's `updated_at`).
        """
        source = self._vendor(vendor)
        with self._lock:
            rows = msgspec.json.decode(msgspec.json.encode(list(source.rows(stream))), type=list[dict[str, Any]])
        for name in () if hidden else source.hidden.get(stream, ()):
            for row in rows:
                row.pop(name, None)
        return rows

    def upsert(self, vendor: str, stream: str, rows: Iterable[Row], *, before_request: int | None = None) -> None:
        """Add rows, or change the given columns of those whose keys are known.

        Args:
            vendor: Its name.
            stream: Its stream.
            rows: Rows with at least the key's columns and the time.
            before_request: Wait with it until this request to the vendor, by its number `n` in the log.

        Raises:
            ValueError: When vendor or stream is unknown, or a row lacks its key or time.
        """
        target = self._vendor(vendor)
        changed = list(rows)
        with self._lock:
            if before_request is not None:
                self._due.setdefault((vendor, before_request), []).append((stream, changed))
                return
            for row in changed:
                target.upsert(stream, row)

    def delete(self, vendor: str, stream: str, rows: Iterable[Row]) -> int:
        """Take out the rows with the keys of `rows`, and return how many were there."""
        target = self._vendor(vendor)
        with self._lock:
            return sum(target.delete(stream, row) for row in rows)

    def knobs(self, vendor: str, **values: Any) -> dict[str, Any]:
        """Set knobs of a vendor and return all of them.

        Raises:
            ValueError: When there is no such vendor or knob, or the knob can't have that value.
        """
        target = self._vendor(vendor)
        with self._lock:
            target.turn(**values)
            return asdict(target.knobs)

    def fault(self, kind: str, match: str = "", **values: Any) -> None:
        """Add a fault; short for `faults.add(Fault(kind, match, ...))`."""
        self.faults.add(Fault(kind, match, **values))

    def api_url(self, vendor: str, base: str) -> str:
        """Return the vendor's `api_url` when the sandbox stands at `base`."""
        return f"{base}/{vendor}{self._vendor(vendor).base_path}"

    def config(self, vendor: str, base: str = "http://127.0.0.1") -> dict[str, Any]:
        """Return a tap's whole config for the vendor when the sandbox stands at `base`."""
        url = self.api_url(vendor, base)
        settings = self._vendor(vendor).tap_config()
        placed = {name: value.replace("{url}", url) for name, value in settings.items() if isinstance(value, str)}
        return {"api_url": url, **settings, **placed}

    # Requests -----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Return the response to a request, after hooks and faults. Never waits; safe to call from several threads."""
        if request.path.startswith(ADMIN):
            from trunkline_sandbox import admin

            return admin.handle(self, request)
        _, name, rest = (*request.path.split("/", 2), "", "")[:3]
        with self._lock:
            vendor = self.vendors.get(name)
            n = self.requests.next(name if vendor else "")
            if vendor is None:
                known = ", ".join(f"/{one}" for one in self.vendors)
                response = Response.json({"error": f"no vendor at {request.path}: paths begin with {known}"}, 404)
            else:
                self._before(name, request, n)
                response = self.faults.play(vendor, request, request.with_path(f"/{rest}"))
            status, now = 0 if response.reset else response.status, self._world.clock().timestamp()
            self.requests.note(n, name if vendor else "", request, status, now)
        return response

    def _before(self, vendor: str, request: Request, n: int) -> None:
        if self._due:
            for stream, rows in self._due.pop((vendor, n), ()):
                self.upsert(vendor, stream, rows)
        if self.on_request is not None:
            self.on_request(self, vendor, request, n)

    def _vendor(self, name: str) -> Vendor:
        found = self.vendors.get(name)
        if found is None:
            raise ValueError(f"there is no vendor {name!r}: there are {', '.join(self.vendors)}")
        return found
