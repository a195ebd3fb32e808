"""tap-bspk: calls that sales associates started, from BSPK's Extraction API.

Rests on the vendor's page "Extraction API, List calls" (developers.bspk.com) and its pages on paging and rate limits.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus

import msgspec

from trunkline import instants
from trunkline.facts import (
    Header,
    InChunks,
    Limit,
    Link,
    NotBoth,
    NumberedPages,
    PagedStream,
    VendorTap,
    array,
    bearer,
    common,
    text,
    token,
)

_as_json = msgspec.json.Encoder().encode  # texts and nulls as json.dumps writes them, without its detour


def call_key(associate: str | None, client: str | None, created: str | None) -> str:
    """Return the key of a call, from the three fields that do not change when names, stores or phones do.

    Returns:
        Hex SHA-256 of the UTF-8 of `[associate, client, created]` as JSON without blanks.
    """
    return hashlib.sha256(_as_json((associate, client, created))).hexdigest()


class Calls(PagedStream):
    """The calls; they have no id and no date of change, and two equal ones in a millisecond exist."""

    name, path = "calls", "/api/extraction/v1/calls"
    primary_keys, replication_key = ("call_key",), "created_at"
    identity = ("sales_associate_id", "client_id", "created_at")
    computed = {"call_key": (identity, call_key)}  # noqa: RUF012 - a fact, never changed
    beginning = instants.EPOCH
    # One page of the vendor's has it that the dates filter on the time of the update, another on that of the creation:
    # so no row can show that they were ignored, and a row created outside the span may rightly be in it.
    filter_tolerance, keep_rows_outside_window = None, True
    paging = NumberedPages(
        since="from", until="to", time=instants.to_seconds, total=Header("X-Total-Count"), more=Link("next")
    )
    chunks = InChunks("client_ids", "sales_associate_ids")


class TapBSPK(VendorTap):
    """Singer tap for BSPK: the calls that sales associates started with clients."""

    name, vendor = "tap-bspk", "bspk"
    common = common(lookback="P1D", window="P30D", page_size=100, max_page_size=100)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the API.", format="url", default="https://api.bspk.com"),
        "auth_token": token("Token of an API key made in the BSPK Portal."),
        "client_ids": array("Read only calls to these clients (the brand's own ids)."),
        "sales_associate_ids": array("Read only calls of these associates (the brand's own ids)."),
    }
    rules = (NotBoth("client_ids", "sales_associate_ids", "the vendor can't combine them"),)
    required = ("auth_token",)
    limit = Limit(30, 10.0)
    stream_types = (Calls,)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check auth_token",
        HTTPStatus.FORBIDDEN: "Check auth_token, and have BSPK put this machine's IP address on the allow-list of the "
        "Extraction API (bspk-support@bspk.com)",
    }
    sign = bearer("auth_token")
