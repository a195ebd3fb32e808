"""tap-twilio: the calls of a Twilio account, and the recordings of each call.

Rests on Twilio's API reference (twilio.com/docs/voice/api): Call, Recording; and on the OpenAPI file that Twilio makes
its clients from.
"""

from __future__ import annotations

from trunkline import instants
from trunkline.facts import CursorPages, PagedStream, PerRow, StatusInBody, VendorTap, basic, common, text, token


class Calls(PagedStream):
    """The calls; the filter knows whole days in UTC, of the start, which a call has once it is dialed."""

    name, path = "calls", "/2010-04-01/Accounts/{account_sid}/Calls.json"
    primary_keys, replication_key = ("sid",), "started_at"
    computed = {"started_at": (("start_time", "date_created"), lambda *times: next(filter(None, times), None))}  # noqa: RUF012 - a fact
    tick, up_to_now = instants.DAY, True
    paging = CursorPages(
        since="StartTime>",
        until="StartTime<",
        time=instants.to_day,
        size="PageSize",
        rows="calls",
        cursor="PageToken",
        next="next_page_uri",
    )


class Recordings(PerRow):
    """The recordings of each call: what is known of them, not the sound."""

    name, path = "recordings", "/2010-04-01/Accounts/{account_sid}/Calls/<sid>/Recordings.json"
    primary_keys, replication_key = ("sid",), "leg_started_at"
    listed, noun = Calls, "call"
    carries = {"leg_sid": "sid", "leg_started_at": "started_at"}  # noqa: RUF012 - a fact, never changed
    text_or_number = ("price",)
    paging = CursorPages(size="PageSize", rows="recordings", cursor="PageToken", next="next_page_uri")


class TapTwilio(VendorTap):
    """Singer tap for Twilio: the calls of an account, and the recordings of each call, without the sound."""

    name, vendor, package_name = "tap-twilio", "twilio", "tap-twilio"
    common = common(lookback="P2D", window="P7D", page_size=1000, max_page_size=1000, start_required=True)
    settings = {  # noqa: RUF012 - same
        "api_url": text("Address of the API.", format="url", default="https://api.twilio.com"),
        "account_sid": text("SID of the account, which stands in every path and is the user name."),
        "auth_token": token("Auth token of the account."),
    }
    required, required_to_start = ("account_sid", "auth_token"), ("start_date",)
    stream_types = (Calls, Recordings)
    hints = {401: "Check account_sid and auth_token", 404: "Check account_sid"}  # noqa: RUF012 - same
    sign = basic("account_sid", "auth_token")
    errors = StatusInBody("status", message="message")
