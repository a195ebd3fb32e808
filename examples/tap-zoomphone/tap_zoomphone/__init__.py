"""tap-zoomphone: the call history, the users and the recordings of an account on Zoom Phone.

Rests on the Zoom Phone API reference (developers.zoom.us/docs/api/phone) and Zoom's pages on paging, limits and OAuth.
"""

from __future__ import annotations

from dataclasses import replace

from trunkline import instants
from trunkline.facts import (
    CodeInBody,
    CursorPages,
    DetailStream,
    Limit,
    PagedStream,
    SnapshotStream,
    VendorTap,
    common,
    oauth2,
    text,
)

PAGES = CursorPages(size="page_size", cursor="next_page_token", next="next_page_token", total="total_records")


class CallHistory(PagedStream):
    """The calls; the vendor lists each twice, and drops the older of both lists (`call_logs`) in November 2026."""

    name, path = "call_history", "/v2/phone/call_history"
    primary_keys, replication_key = ("call_history_uuid",), "start_time"
    paging = replace(PAGES, since="from", until="to", time=instants.to_seconds, rows="call_history")


class Users(SnapshotStream):
    """The users with a Zoom Phone licence."""

    name, path, primary_keys = "users", "/v2/phone/users", ("id",)
    paging, max_page_size = replace(PAGES, rows="users"), 100


class RecordedCalls(CallHistory):
    """The calls that have a recording: the others need no request."""

    paging = replace(CallHistory.paging, extra_params=(("recording_status", "recorded"),))


class Recordings(DetailStream):
    """Facts about the recording of a call, without the sound; some are deleted before their call is."""

    name, path = "recordings", "/v2/phone/call_logs/<call_id>/recordings"
    primary_keys, replication_key = ("id",), "call_start_time"
    listed, key, noun, thing, often_missing = RecordedCalls, "call_id", "call", "recording", True
    carries = {"call_history_uuid": "call_history_uuid", "call_start_time": "start_time"}  # noqa: RUF012 - a fact


class TapZoomPhone(VendorTap):
    """Singer tap for Zoom Phone: the call history of an account, its users, and what is known of its recordings."""

    name, vendor, package_name = "tap-zoomphone", "zoomphone", "tap-zoomphone"
    common = common(lookback="P2D", window="P7D", longest="P28D", page_size=300, max_page_size=300, start_required=True)
    settings = {"api_url": text("Address of the API.", format="url", default="https://api.zoom.us")}  # noqa: RUF012 - same
    required_to_start = ("start_date",)
    limit = Limit(10, 1.0)  # of a heavy route on a Business plan, and of a medium one on a Pro plan
    stream_types = (CallHistory, Users, Recordings)
    hints = {401: "Check client_id, client_secret, account_id", 403: "Give the application the scopes it lacks"}  # noqa: RUF012 - same
    sign = oauth2(
        "https://zoom.us/oauth/token", grant="account_credentials", from_settings={"account_id": "account_id"}
    )
    errors = CodeInBody("code", message="message", forbidden=r"^(104|4711)$")  # scopes that the token lacks
