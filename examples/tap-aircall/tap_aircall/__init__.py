"""tap-aircall: a company on Aircall, after its API reference (https://developer.aircall.io/api-references)."""

from __future__ import annotations

from functools import partial

from trunkline import instants
from trunkline.facts import Limit, NumberedPages, PagedStream, SnapshotStream, VendorTap, basic, common, text, token

pages = partial(NumberedPages, total="meta.total", more="meta.next_page_link")


class Calls(PagedStream):
    """The calls; the vendor filters on their creation, which it does not show and which may differ from their start."""

    name, path, primary_keys, replication_key = "calls", "/v1/calls", ("id",), "start_time"
    computed = {"start_time": (("started_at",), instants.from_epoch)}  # noqa: RUF012 - a fact, never changed
    beginning, filter_tolerance, keep_rows_outside_window = instants.EPOCH, instants.DAY, True
    # The vendor pages through 10,000 rows at most: a span of more than 100 pages of 50 is halved before that.
    paging = pages(since="from", until="to", time=instants.to_epoch, extra_params=(("order", "asc"),), rows="calls")


class Users(SnapshotStream):
    """The users: agents and admins."""

    name, path, primary_keys, paging = "users", "/v2/users", ("id",), pages(rows="users")


class Teams(SnapshotStream):
    """The teams, with their users."""

    name, path, primary_keys, paging = "teams", "/v1/teams", ("id",), pages(rows="teams")


class Numbers(SnapshotStream):
    """The company's phone numbers."""

    name, path, primary_keys, paging = "numbers", "/v1/numbers", ("id",), pages(rows="numbers")


class Tags(SnapshotStream):
    """The tags that calls may have."""

    name, path, primary_keys, paging = "tags", "/v1/tags", ("id",), pages(rows="tags")


class TapAircall(VendorTap):
    """Singer tap for Aircall: a company's calls, and its users, teams, numbers and tags."""

    name, vendor, package_name = "tap-aircall", "aircall", "tap-aircall"
    common = common(lookback="P7D", window="P7D", page_size=50, max_page_size=50)
    settings = {  # noqa: RUF012 - same
        "api_url": text("Address of the API.", format="url", default="https://api.aircall.io"),
        "api_id": token("API ID of a key made under Company Settings."),
        "api_token": token("API token that belongs to the API ID."),
    }
    required, limit, limit_headers = ("api_id", "api_token"), Limit(60, 60.0), "X-AircallApi"
    stream_types = (Calls, Users, Teams, Numbers, Tags)
    hints = {401: "Check api_id and api_token", 403: "Check api_id and api_token"}  # noqa: RUF012 - same
    sign = basic("api_id", "api_token")
