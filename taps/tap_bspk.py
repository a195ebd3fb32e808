"""tap-bspk: calls that sales associates started, from BSPK's Extraction API.

Rests on the vendor's page "Extraction API, List calls" (developers.bspk.com) and its pages on paging and rate limits.
"""

from __future__ import annotations

import functools
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from trunkline import instants, numbered, settings
from trunkline.client import Request
from trunkline.errors import BadAnswer
from trunkline.governor import Limit
from trunkline.stream import Listened, Page, WindowedStream
from trunkline.tap import VendorTap

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from trunkline.ahead import Desk, Outcome, Ticket
    from trunkline.client import Reply
    from trunkline.plan import Window
    from trunkline.stream import VendorStream

_LONGEST_LIST = 1500  # characters of ids in one query: longer URLs are refused by servers on the way
_as_json = msgspec.json.Encoder().encode  # texts and nulls as json.dumps writes them, without its detour


def call_key(associate: str | None, client: str | None, created: str | None) -> str:
    """The key of a call, from the three fields that do not change when names, stores or phones do.

    Returns:
        Hex SHA-256 of the UTF-8 of `[associate, client, created]` as JSON without blanks.
    """
    return hashlib.sha256(_as_json((associate, client, created))).hexdigest()


class Calls(WindowedStream):
    """The calls; they have no id and no date of change, and two equal ones in a millisecond exist."""

    name, path = "calls", "/api/extraction/v1/calls"
    primary_keys, replication_key = ("call_key",), "created_at"
    identity = ("sales_associate_id", "client_id", "created_at")
    computed = {"call_key": (identity, call_key)}  # noqa: RUF012 - a fact, never changed
    beginning = instants.EPOCH
    # One page of the vendor's says that the dates filter on the time of the update, another on that of the creation:
    # so no row can show that they were ignored, and a row created outside the span may rightly be in it.
    honoured_within, keeps_outside = None, True
    read_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def read(self, listeners: Sequence[VendorStream], job: Any, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
        """Read a window, once for each part of a long list of ids; it is proven when all parts are."""
        parts = [_Part(self, listeners, ids) for ids in self.parts_of_ids()]
        return (yield from numbered.read_together(parts, job, desk))

    def parts_of_ids(self) -> list[tuple[tuple[str, str], ...]]:
        """The query parameter for the configured ids, cut where a URL got too long; one empty part without ids."""
        for name in ("client_ids", "sales_associate_ids"):
            ids = list(dict.fromkeys(value.strip() for value in self.config.get(name, ())))
            if ids:
                return [((name, ",".join(part)),) for part in _cut(ids)]
        return [()]

    def page_request(self, window: Window, number: int, size: int, ids: tuple[tuple[str, str], ...] = ()) -> Request:
        """Pages are counted here: a vendor's link would carry the credentials wherever it points."""
        since, until = self.bounds(window)
        return Request(
            f"{self.name} {window} page {number}",
            self.path,
            (
                *ids,
                ("from", _date(since)),
                ("to", _date(until)),
                ("page", str(number)),
                ("per_page", str(size)),
            ),
            stream=self.name,
        )

    def open(self, reply: Reply) -> Page:
        """A bare array; the total and whether more follows stand in headers."""
        rows = self.read_rows(reply.body)
        total = reply.headers.get("X-Total-Count")
        if total is not None and not total.strip().isdecimal():
            raise BadAnswer("the answer has another form", "its X-Total-Count is no number")
        return Page(rows, self.read_key, int(total) if total else None, _more(reply.headers.get("Link")))


class _Part(Listened):
    """The calls of one part of the configured ids."""

    def __init__(self, stream: Calls, listeners: Sequence[VendorStream], ids: tuple[tuple[str, str], ...]) -> None:
        super().__init__(stream, listeners)
        self.ids = ids

    def queue_page(self, desk: Desk, window: Window, number: int, size: int) -> Ticket:
        """Queue the request for one page of a window for these ids."""
        return desk.ask(self.stream.page_request(window, number, size, self.ids), self.stream.open)  # type: ignore[call-arg]


class TapBSPK(VendorTap):
    """Singer tap for BSPK: the calls that sales associates started with clients."""

    name, vendor = "tap-bspk", "bspk"
    common = settings.common(lookback="P1D", window="P30D", page_size=100, most=100)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": settings.text("Address of the API.", format="url", default="https://api.bspk.com"),
        "auth_token": settings.token("Token of an API key made in the BSPK Portal."),
        "client_ids": settings.array("Read only calls to these clients (the brand's own ids)."),
        "sales_associate_ids": settings.array("Read only calls of these associates (the brand's own ids)."),
    }
    required = ("auth_token",)
    limit = Limit(30, 10.0)
    stream_types = (Calls,)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check auth_token",
        HTTPStatus.FORBIDDEN: "Check auth_token, and have BSPK put this machine's IP address on the allow-list of the "
        "Extraction API (bspk-support@bspk.com)",
    }

    def sign(self, request: Request) -> tuple[Mapping[str, str], Any]:  # noqa: ARG002 - only headers are needed here
        """A bearer token."""
        return {"Authorization": f"Bearer {self.config['auth_token']}"}, None

    def check_config(self, config: Mapping[str, Any]) -> list[str]:
        """The vendor refuses both lists at once."""
        both = bool(config.get("client_ids") and config.get("sales_associate_ids"))
        return super().check_config(config) + (
            ["client_ids and sales_associate_ids must not both be set: the vendor can't combine them"] if both else []
        )


def _cut(ids: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for one in ids:
        if parts[-1] and sum(len(other) + 3 for other in parts[-1]) + len(one) > _LONGEST_LIST:
            parts.append([])
        parts[-1].append(one)
    return parts


def _more(link: str | None) -> bool | None:
    """Whether the Link header names a next page; its rel values stand in single quotes, in one rendering curly ones."""
    if link is None:
        return None
    links = requests.utils.parse_header_links(link.translate({0x2018: "'", 0x2019: "'"}))
    return any(entry.get("rel") == "next" for entry in links)


@functools.lru_cache(maxsize=64)  # every page of a window says the same two
def _date(instant: Any) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`."""
    return str(instant.strftime("%Y-%m-%dT%H:%M:%SZ"))
