"""The base of all vendors: a name, a prefix, public credentials, knobs, streams, and a response to any request."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline_sandbox.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trunkline_sandbox.store import Row, Table
    from trunkline_sandbox.world import World


class RefusedError(Exception):
    """The vendor refuses; `Vendor.error` gives the sentence the vendor's own envelope."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclasses.dataclass
class Knobs:
    """Facts that the vendor's page leaves open, and things that its servers may do one day."""


class RateWindow:
    """Counts requests over the last seconds, as a server with a rolling limit does."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def take(self, now: float, limit: int, seconds: float) -> tuple[int, float]:
        """Count one request at `now`.

        Returns:
            How many are left after it, -1 when it was one too many (it is then not counted), and the epoch second at
            which the oldest one stops counting.
        """
        while self._times and self._times[0] <= now - seconds:
            self._times.popleft()
        oldest = self._times[0] if self._times else now
        if len(self._times) >= limit:
            return -1, oldest + seconds
        self._times.append(now)
        return limit - len(self._times), oldest + seconds


class Vendor(ABC):
    """One vendor's API.

    Subclasses read like a page of facts. Another package adds one with the entry point group `trunkline.sandbox`
    (its name: the class).

    Args:
        world: Seed, amount and clock of the made-up data.

    Attributes:
        name: Its name in paths, in truth and in knobs.
        title: Its name for people.
        base_path: What `api_url` has behind `/<name>`.
        settings: A working tap's own settings: public credentials and what else it must name; `{url}` in a text stands
            for the api_url, where a second address is to lead to the sandbox as well.
        curl: Arguments of a curl call that works, with `{url}` for the api_url and `{day}` for the data's first day.
        knob_sheet: A dataclass of what may differ.
        knobs: Its present values.
        hidden: Columns per stream that the vendor keeps and never serves.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    base_path: ClassVar[str] = ""
    settings: ClassVar[Mapping[str, Any]]
    curl: ClassVar[str]
    hidden: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    knob_sheet: ClassVar[type[Knobs]] = Knobs

    def __init__(self, world: World) -> None:
        self.world = world
        self.knobs = self.knob_sheet()
        self.tables: dict[str, Table] = {}
        self.taken = RateWindow()  # requests, for the fault `limit`

    def handle(self, request: Request) -> Response:
        """Return the vendor's response. `request.path` is without the vendor's prefix."""
        try:
            return self.answer(request)
        except RefusedError as no:
            return self.error(no)

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """Return the response to a request.

        Raises:
            RefusedError: When the vendor would refuse it.
        """

    @abstractmethod
    def error(self, no: RefusedError) -> Response:
        """Return the envelope that the vendor puts around an error."""

    def tap_config(self) -> dict[str, Any]:
        """Return a working tap's settings, `api_url` apart."""
        settings = {name: list(value) if isinstance(value, tuple) else value for name, value in self.settings.items()}
        return {**settings, "start_date": self.world.first_day.isoformat()}

    # Data ---------------------------------------------------------------------------------------------------------

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of what can be read as truth."""
        return tuple(self.tables)

    def rows(self, stream: str) -> Iterable[Row]:
        """Yield every row the vendor holds, hidden columns included."""
        return self.table(stream).rows()

    def table(self, stream: str) -> Table:
        """Return the table behind a stream.

        Raises:
            ValueError: When the vendor has no such stream.
        """
        found = self.tables.get(stream)
        if found is None:
            raise ValueError(f"{self.name} has no stream {stream!r}: it has {', '.join(self.streams)}")
        return found

    def complete(self, stream: str, row: Row) -> Row:
        """Return a row with every column that a new one needs; subclasses fill in what the vendor itself would."""
        del stream
        return row

    def upsert(self, stream: str, row: Row) -> None:
        """Add a row, or change the given columns of the one with its key.

        Raises:
            ValueError: When the key or the time is missing or can't be read.
        """
        table = self.table(stream)
        try:
            known = table.find(table.key_of(row))
            table.put({**known, **row} if known is not None else self.complete(stream, dict(row)))
        except (KeyError, TypeError) as problem:
            raise ValueError(
                f"a row of {self.name}.{stream} needs the columns {', '.join(table.key)} and a readable time: {problem}"
            ) from problem

    def delete(self, stream: str, row: Row) -> bool:
        """Take out the row with the key of `row`; False when there is none."""
        table = self.table(stream)
        return table.delete(table.key_of(row))

    # Knobs --------------------------------------------------------------------------------------------------------

    def turn(self, **values: Any) -> None:
        """Set knobs.

        Raises:
            ValueError: When there is no such knob, or it can't have that value.
        """
        known = {knob.name: knob for knob in dataclasses.fields(self.knob_sheet)}
        for name, value in values.items():
            knob = known.get(name)
            if knob is None:
                raise ValueError(f"{self.name} has no knob {name!r}: it has {', '.join(known) or 'none'}")
            choices = knob.metadata.get("choices")
            if choices and value not in choices:
                raise ValueError(f"{self.name}'s knob {name} can't be {value!r}: it is one of {choices}")
        self.knobs = dataclasses.replace(self.knobs, **values)

    # What faults need to know of a vendor; None: the fault does not apply to that request ---------------------------

    def page_before(self, request: Request) -> Request | None:
        """Return the request for the page before the requested one."""
        del request
        return None

    def unfiltered(self, request: Request) -> Request | None:
        """Return the request without its filters."""
        del request
        return None

    def miscounted(self, response: Response, by: int) -> Response | None:
        """Return the response with a total that is off by so many."""
        del response, by
        return None

    def soft_error(self) -> Response:
        """Return an error sent with HTTP 200."""
        return Response.json({"error": "Internal error"})


def choice(*values: Any) -> Any:
    """Return a knob that has one of these values, the first one by default."""
    return dataclasses.field(default=values[0], metadata={"choices": values})


def whole(text: str | None, default: int, *, least: int = 1, name: str) -> int:
    """Return a query parameter as a whole number.

    Raises:
        RefusedError: 400 when it is no number or less than `least`.
    """
    if text is None or not text:
        return default
    try:
        number = int(text)
    except ValueError:
        raise RefusedError(400, f"{name} must be a whole number") from None
    if number < least:
        raise RefusedError(400, f"{name} must be at least {least}")
    return number


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return a body read as a JSON object, or None when it is something else."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


__all__ = ["Knobs", "RateWindow", "RefusedError", "Request", "Response", "Vendor", "choice", "json_object", "whole"]
