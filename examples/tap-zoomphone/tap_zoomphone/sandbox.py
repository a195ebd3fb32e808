"""Zoom Phone as the sandbox plays it, from Zoom's reference alone and not from the tap."""

from __future__ import annotations

import base64
import dataclasses
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs

from trunkline_sandbox import instants
from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.messages import Response
from trunkline_sandbox.paged import PagedKnobs, PagedVendor, Route
from trunkline_sandbox.vendor import RefusedError, choice
from trunkline_sandbox.world import person, phone

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.store import Row
    from trunkline_sandbox.world import World

MONTH = timedelta(days=31) // timedelta(microseconds=1)
_CALL = (
    *("direction", "international", "answer_time", "end_time", "duration", "connect_type", "sbc_id", "sbc_name"),
    *("sip_group_id", "sip_group_name", "call_type", "call_result", "hide_caller_id", "end_to_end", "department"),
    *("cost_center", "site_id", "site_name", "group_id", "spam", "recording_status"),
    *(
        f"{side}_{field}"
        for side in ("caller", "callee")
        for field in (
            *("ext_id", "did_number", "ext_number", "name", "email", "ext_type", "number_type", "device_type"),
            *("country_iso_code", "country_code", "account_code"),
        )
    ),
)
_USER = (
    *("phone_user_id", "name", "email", "extension_id", "extension_number", "status", "activation_status"),
    *("department", "cost_center", "site", "phone_numbers", "calling_plans"),
)
_RECORDING = (
    *("call_log_id", "call_history_id", "call_element_id", "meeting_uuid", "direction", "date_time", "end_time"),
    *("duration", "recording_type", "disclaimer_status", "caller_name", "caller_number", "caller_number_type"),
    *("caller_account_code", "callee_name", "callee_number", "callee_number_type", "callee_account_code"),
    *("outgoing_by", "accepted_by", "owner", "file_url", "download_url", "deleted_time", "soft_deleted_type"),
    "days_left_auto_permantely_delete",
)
_RESULTS = ("answered", "voicemail", "no_answer", "abandoned")
_HOST = "https://api.zoom.us"
_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
listed = partial(
    Route, cursor="next_page_token", size="page_size", usual=30, total="total_records", next="next_page_token", last=""
)


@dataclasses.dataclass
class ZoomPhoneKnobs(PagedKnobs):
    """Things that may end on Zoom's side while a list is read, or were never granted.

    Attributes:
        token_requests: Requests that an access token is good for; afterwards it has expired. None: any number.
        expired_page_tokens: Requests to come whose `next_page_token` has expired.
        scopes: Whether the application has the scopes that it needs.
    """

    token_requests: int | None = None
    expired_page_tokens: int = 0
    scopes: str = choice("granted", "missing")


def make_call(i: int, instant: int, bits: int) -> Row:
    """Make a call, three of four with a recording."""
    answered, inbound = bits % 4 > 0, bits % 3 > 0
    first, last = person(bits >> 10)
    ours = {
        "ext_id": f"ext-{bits % 20}",
        "did_number": "+27215550100",
        "ext_number": str(800 + bits % 20),
        "name": f"{first} {last}",
        "email": f"user{bits % 20}@example.com",
        "ext_type": "user",
        "number_type": "zoom_pstn",
        "device_type": "MAC_Client(6.0.2.33403)",
    }
    theirs = {"did_number": phone(bits >> 6), "number_type": "external_pstn"}
    sides = {"caller": theirs if inbound else ours, "callee": ours if inbound else theirs}
    return {
        "call_history_uuid": f"{instants.iso(instant)[:10].replace('-', '')}-{i:08d}",
        "call_id": str(7_018_317_023_722_000_000 + i),
        "direction": "inbound" if inbound else "outbound",
        "international": bits % 7 == 0,
        "start_time": instants.iso(instant),
        "answer_time": instants.iso(instant + 6 * SECOND) if answered else None,
        "end_time": instants.iso(instant + (6 + bits % 600) * SECOND),
        "duration": bits % 600,
        "connect_type": "external",
        "call_type": "general",
        "call_result": _RESULTS[bits % 4 - 1],
        "hide_caller_id": False,
        "end_to_end": False,
        "recording_status": "recorded" if answered else "non_recorded",
        "site_id": "8f71O6rWT8KFUGQmJIFAdQ",
        "site_name": "Main Site",
        **{f"{side}_{name}": value for side, fields in sides.items() for name, value in fields.items()},
    }


def make_user(i: int, instant: int, bits: int) -> Row:
    """Make a user with one number and one plan."""
    del instant
    first, last = person(bits >> 10)
    return {
        "id": f"user-{i}",
        "phone_user_id": f"phone-user-{i}",
        "name": f"{first} {last}",
        "email": f"user{i}@example.com",
        "extension_id": f"ext-{i}",
        "extension_number": 800 + i,
        "status": "activate" if bits % 9 else "deactivate",
        "activation_status": "activated",
        "site": {"id": "8f71O6rWT8KFUGQmJIFAdQ", "name": "Main Site"},
        "phone_numbers": [{"id": f"number-{i}", "number": phone(bits)}],
        "calling_plans": [{"name": "US/CA Metered Calling Plan", "type": 100}],
    }


def make_recording(i: int, instant: int, bits: int) -> Row:
    """Make what is known of a recording."""
    first, last = person(bits >> 10)
    name = f"recording-{i}"
    return {
        "id": name,
        "call_element_id": f"element-{i}",
        "date_time": instants.iso(instant),
        "end_time": instants.iso(instant + bits % 600 * SECOND),
        "duration": bits % 600,
        "recording_type": "Automatic" if bits % 3 else "OnDemand",
        "disclaimer_status": bits % 3,
        "caller_number": phone(bits),
        "caller_number_type": 2,
        "callee_name": f"{first} {last}",
        "callee_number": str(800 + bits % 20),
        "callee_number_type": 1,
        "accepted_by": {"name": f"{first} {last}", "extension_number": str(800 + bits % 20)},
        "owner": {"id": f"user-{bits % 20}", "name": first, "extension_number": 800 + bits % 20, "type": "user"},
        "file_url": f"https://recordings.example/{name}",
        "download_url": f"https://recordings.example/download/{name}",
    }


class ZoomPhone(PagedVendor):
    """Pages along `next_page_token`; the access token is granted where the real one's other host would be."""

    name = "zoomphone"
    title = "Zoom Phone"
    settings: ClassVar = {
        "account_id": "sandbox-zoomphone-account",
        "client_id": "sandbox-zoomphone-id",
        "client_secret": "sandbox-zoomphone-secret",
        "identity_url": "{url}",
    }
    curl = (
        "-u sandbox-zoomphone-id:sandbox-zoomphone-secret "
        "-d 'grant_type=account_credentials&account_id=sandbox-zoomphone-account' '{url}/oauth/token'"
    )
    routes = (
        listed(
            "call_history",
            "/v2/phone/call_history",
            make_call,
            key=("call_history_uuid",),
            most=300,
            time="start_time",
            equals=("recording_status",),
            empty=_CALL,
        ),
        listed("users", "/v2/phone/users", make_user, empty=_USER),
        Route(
            "recordings",
            "/v2/phone/call_logs/<call_id>/recordings",
            make_recording,
            rows="",
            parent="call_history",
            column="call_id",
            sends_column=True,
            one=True,
            empty=_RECORDING,
        ),
    )
    knob_sheet = ZoomPhoneKnobs
    knobs: ZoomPhoneKnobs

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._uses: dict[str, int] = {}

    def authorized(self, request: Request) -> bool:
        """Look for an access token that was granted here and has not expired."""
        granted = request.headers.get("authorization", "").removeprefix("Bearer ")
        if granted not in self._uses:
            return False
        self._uses[granted] += 1
        return self.knobs.token_requests is None or self._uses[granted] <= self.knobs.token_requests

    def answer(self, request: Request) -> Response:
        """Grant an access token, or make a page or what is known of a recording.

        Raises:
            RefusedError: 401 without a good access token, 400 for bad parameters, 404 for what is not there.
        """
        if request.path == _TOKEN_PATH:
            return self._grant(request)
        if request.get("next_page_token") and self.knobs.expired_page_tokens > 0:
            self.knobs.expired_page_tokens -= 1
            raise RefusedError(400, "The next page token is invalid or expired.", "300")
        if self.knobs.scopes == "missing":
            raise RefusedError(400, "Invalid access token, does not contain scopes.", "4711")
        response = super().answer(self._within_a_month(request))
        recording = self.find_route("recordings").pattern.fullmatch(request.path)
        if recording and not self._is_recorded(recording[1]):
            raise RefusedError(404, f'Recording does not exist: "{recording[1]}".', "1001")
        return response

    def describe_page(self, request: Request, *, offset: int, size: int, count: int, total: int) -> dict[str, Any]:
        """Return the span that was read, and its number of pages."""
        del offset, count
        if self.find_route("users").path == request.path:
            return {"page_size": size}
        span = {name: request.get(name) for name in ("from", "to")}
        return {**span, "page_size": size, "page_count": -(-total // size)}

    def error(self, no: RefusedError) -> Response:
        """Put Zoom's own code beside the words."""
        code = no.code or {401: "124"}.get(no.status, str(no.status))
        return Response.json({"code": int(code), "message": no.message}, no.status)

    def _within_a_month(self, request: Request) -> Request:
        """Shorten a span to the month before its end, as Zoom does without notice."""
        low, high = (self.read(request.get(name) or "") for name in ("from", "to"))
        if low is None or high is None or high - low <= MONTH:
            return request
        return request.with_query(**{"from": instants.iso(high - MONTH)})

    def _is_recorded(self, call_id: str) -> bool:
        calls = self.tables["call_history"]
        found = calls.select(where=(("call_id", call_id), lambda row: row["call_id"] == call_id)).page(0, 1)
        return bool(calls.row(found[0])["recording_status"] == "recorded")

    def _grant(self, request: Request) -> Response:
        pair = f"{self.settings['client_id']}:{self.settings['client_secret']}"
        if request.headers.get("authorization") != f"Basic {base64.b64encode(pair.encode()).decode()}":
            return Response.json({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}, 400)
        form = parse_qs(request.body.decode())
        requested = {"grant_type": ["account_credentials"], "account_id": [self.settings["account_id"]]}
        if request.method != "POST" or form != requested:
            return Response.json({"reason": "Bad Request", "error": "invalid_request"}, 400)
        granted = f"sandbox-access-token-{len(self._uses) + 1}"
        self._uses[granted] = 0
        scope = "phone:read:list_call_logs:admin phone:read:list_users:admin phone:read:call_recording:admin"
        return Response.json(
            {"access_token": granted, "token_type": "bearer", "expires_in": 3600, "scope": scope, "api_url": _HOST}
        )
