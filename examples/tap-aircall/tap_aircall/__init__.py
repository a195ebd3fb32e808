"""tap-aircall: the calls of a company on Aircall.

Rests on Aircall's API reference (developer.aircall.io/api-references): Calls, Pagination, Rate Limiting.
"""

from __future__ import annotations

from datetime import timedelta

from trunkline import instants
from trunkline.facts import Limit, NumberedPages, PagedStream, VendorTap, basic, common, text, token


class Calls(PagedStream):
    """The calls; the vendor filters on their creation, which it does not show and which may differ from their start."""

    name, path = "calls", "/v1/calls"
    primary_keys, replication_key = ("id",), "start_time"
    computed = {"start_time": (("started_at",), instants.from_epoch)}  # noqa: RUF012 - a fact, never changed
    beginning = instants.EPOCH
    honoured_within, keeps_outside = timedelta(days=1), True
    # The vendor pages through 10,000 rows at most: a span of more than 100 pages of 50 is halved before that.
    paging = NumberedPages(
        since="from",
        until="to",
        time=instants.to_epoch,
        also=(("order", "asc"),),
        rows="calls",
        total="meta.total",
        more="meta.next_page_link",
    )


class TapAircall(VendorTap):
    """Singer tap for Aircall: the calls of a company, inbound and outbound, as its phone system keeps them."""

    name, vendor, package_name = "tap-aircall", "aircall", "tap-aircall"
    common = common(lookback="P7D", window="P7D", page_size=50, most=50)
    settings = {  # noqa: RUF012 - same
        "api_url": text("Address of the API.", format="url", default="https://api.aircall.io"),
        "api_id": token("API ID of a key made under Company Settings."),
        "api_token": token("API token that belongs to the API ID."),
    }
    required = ("api_id", "api_token")
    limit, limit_headers = Limit(60, 60.0), "X-AircallApi"
    stream_types = (Calls,)
    hints = {401: "Check api_id and api_token", 403: "Check api_id and api_token"}  # noqa: RUF012 - same
    sign = basic("api_id", "api_token")
