"""A made-up vendor with a list of each kind: by span and cursor, full tables, lists and details of rows."""

from __future__ import annotations

from trunkline import instants
from trunkline.facts import (
    CursorPages,
    DetailStream,
    NumberedPages,
    OffsetPages,
    OnePage,
    PagedStream,
    PerRow,
    SnapshotStream,
    VendorTap,
    bearer,
    common,
    text,
    token,
)


class Calls(PagedStream):
    """The calls, along a chain of links."""

    name, path = "calls", "/v1/calls"
    primary_keys, replication_key = ("id",), "started_at"
    beginning = instants.EPOCH
    paging = CursorPages(since="from", until="to", size="limit", rows="data.calls", next="data.next_uri")


class Users(SnapshotStream):
    """The users, from an offset on."""

    name, path = "users", "/v1/users"
    primary_keys = ("id",)
    paging = OffsetPages(offset="skip", size="limit", rows="users", total="total")


class Tags(SnapshotStream):
    """The tags, in one response that is the list."""

    name, path = "tags", "/v1/tags"
    primary_keys = ("id",)
    paging = OnePage()


class Recordings(PerRow):
    """The recordings of each call, along a chain of tokens."""

    name, path = "recordings", "/v1/calls/<id>/recordings"
    primary_keys, replication_key = ("id",), "call_at"
    listed = Calls
    carries = {"call_id": "id", "call_at": "started_at"}  # noqa: RUF012 - a fact, never changed
    paging = CursorPages(cursor="token", size="limit", rows="recordings", next="next_token", total="count")


class Devices(PerRow):
    """The devices of each user, in pages with numbers."""

    name, path = "devices", "/v1/users/<email>/devices"
    primary_keys, replication_key = ("user_id", "id"), None
    listed, key, noun = Users, "email", "user"
    carries = {"user_id": "id"}  # noqa: RUF012 - same
    paging = NumberedPages(rows="devices", size="limit", total="total")


class Ratings(DetailStream):
    """The rating of each call."""

    name, path = "ratings", "/v1/calls/<id>/rating"
    primary_keys, replication_key = ("call_id",), "call_at"
    listed, detail = Calls, "rating"
    carries = {"call_id": "id", "call_at": "started_at"}  # noqa: RUF012 - same


class TapAcme(VendorTap):
    """Singer tap for a vendor of the tests."""

    name, vendor = "tap-acme", "acme"
    common = common(lookback="P1D", window="P30D", page_size=100, max_page_size=100)
    settings = {  # noqa: RUF012 - same
        "api_url": text("Address of the API.", format="url", default="https://api.acme.example"),
        "api_token": token("API token."),
    }
    required = ("api_token",)
    stream_types = (Calls, Users, Tags, Recordings, Devices, Ratings)
    sign = bearer("api_token")
