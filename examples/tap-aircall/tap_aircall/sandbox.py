"""Aircall as the sandbox plays it: its lists, from the vendor's page alone and not from the tap."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from trunkline_sandbox.instants import SECOND, iso
from trunkline_sandbox.messages import Response
from trunkline_sandbox.paged import PagedVendor, Route
from trunkline_sandbox.world import mix, person, phone

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.store import Row
    from trunkline_sandbox.vendor import RefusedError

_MISSED = ("no_available_agent", "agents_did_not_answer", "abandoned_in_ivr", "out_of_opening_hours")
_LINK = "https://api.aircall.io"
_USER = (
    *("direct_link", "name", "email", "created_at", "available", "availability_status", "substatus", "time_zone"),
    *("language", "wrap_up_time"),
)
_CALL = (
    *("sid", "direct_link", "direction", "status", "missed_call_reason", "answered_at", "ended_at", "duration"),
    *("raw_digits", "voicemail", "recording", "asset", "archived", "user", "assigned_to", "transferred_by"),
    *("transferred_to", "contact", "number", "teams", "tags", "comments"),
)
_NUMBER = (
    *("direct_link", "name", "digits", "created_at", "country", "time_zone", "open", "availability_status", "is_ivr"),
    *("live_recording_activated", "priority", "users", "messages"),
)
_MESSAGES = (
    *("welcome", "waiting", "ringing_tone", "unanswered_call", "after_hours", "ivr", "voicemail", "closed"),
    "callback_later",
)


def make_user(i: int, instant: int, bits: int) -> Row:
    """Make an agent."""
    first, last = person(bits >> 10)
    working = bits % 3 > 0
    return {
        "id": 456 + i,
        "direct_link": f"{_LINK}/v2/users/{456 + i}",
        "name": f"{first} {last}",
        "email": f"user{456 + i}@example.com",
        "created_at": iso(instant, digits=3),
        "available": working,
        "availability_status": "available" if working else "unavailable",
        "substatus": "always_open" if working else "On a break",
        "time_zone": "Europe/Paris" if bits % 2 else "Etc/UTC",
        "language": "en-US",
        "wrap_up_time": bits % 4 * 15,
    }


def make_team(i: int, instant: int, bits: int) -> Row:
    """Make a team of up to two users."""
    return {
        "id": 678 + i,
        "direct_link": f"{_LINK}/v1/teams/{678 + i}",
        "name": f"Team {i + 1}",
        "created_at": iso(instant, digits=3),
        "users": [make_user(bits % 20 + n, instant, mix(bits, n)) for n in range(bits % 3)],
    }


def make_number(i: int, instant: int, bits: int) -> Row:
    """Make a line of the company's."""
    return {
        "id": 1234 + i,
        "direct_link": f"{_LINK}/v1/numbers/{1234 + i}",
        "name": f"Line {i + 1}",
        "digits": f"+27 21 555 {bits % 10_000:04d}",
        "created_at": iso(instant, digits=3),
        "country": "ZA",
        "time_zone": "Africa/Johannesburg",
        "open": bits % 2 > 0,
        "availability_status": ("open", "custom", "closed")[bits % 3],
        "is_ivr": False,
        "live_recording_activated": bits % 5 > 0,
        "priority": (None, 0, 1)[bits % 3],
        "users": [make_user(bits % 20, instant, bits)] if bits % 2 else [],
        "messages": {name: f"https://files.example/{i}/{name}.mp3" for name in _MESSAGES},
    }


def make_tag(i: int, _: int, bits: int) -> Row:
    """Make a tag, with a description or without."""
    return {
        "id": 1 + i,
        "direct_link": f"{_LINK}/v1/tags/{1 + i}",
        "name": f"Tag {i + 1}",
        "color": f"#{bits % 0xFFFFFF:06X}",
        "description": f"Calls of kind {i + 1}" if bits % 2 else None,
    }


def make_call(i: int, instant: int, bits: int) -> Row:
    """Make a call that ended."""
    number, second, answered = 100_000 + i, instant // SECOND, bits % 4 > 0
    first, last = person(bits >> 10)
    user = {"id": bits % 20 + 1, "name": f"{first} {last}", "email": f"user{bits % 20 + 1}@example.com"}
    return {
        "id": number,
        "sid": f"CA{bits:032x}",
        "direct_link": f"{_LINK}/v1/calls/{number}",
        "direction": "inbound" if bits % 3 else "outbound",
        "status": "done",
        "missed_call_reason": None if answered else _MISSED[bits % len(_MISSED)],
        "started_at": second,
        "answered_at": second + 5 if answered else None,
        "ended_at": second + 5 + bits % 600,
        "duration": 5 + bits % 600,
        "raw_digits": phone(bits >> 6) if bits % 9 else "anonymous",
        "recording": f"https://recordings.example/{number}.mp3" if answered else None,
        "archived": bits % 5 == 0,
        "user": user if answered else None,
        "number": {"id": bits % 3 + 1, "name": f"Line {bits % 3 + 1}", "digits": "+27215550100"},
        "teams": [{"id": 1, "name": "Support"}] if bits % 2 else [],
        "tags": [{"id": 7, "name": "VIP"}] if bits % 11 == 0 else [],
        "comments": [],
    }


listed = partial(
    Route, page="page", size="per_page", most=50, total="meta.total", next="meta.next_page_link", link=True
)


class Aircall(PagedVendor):
    """Rows under the list's name, everything about the page under `meta`; times are UNIX seconds."""

    name = "aircall"
    title = "Aircall"
    host = _LINK
    settings: ClassVar = {"api_id": "sandbox-aircall-id", "api_token": "sandbox-aircall-token"}
    curl = "-u sandbox-aircall-id:sandbox-aircall-token '{url}/v1/calls?from=1767225600&per_page=2'"
    routes = (
        listed("calls", "/v1/calls", make_call, time="started_at", empty=_CALL),
        listed("users", "/v2/users", make_user, empty=_USER),
        listed("teams", "/v1/teams", make_team, empty=("direct_link", "name", "created_at", "users")),
        listed("numbers", "/v1/numbers", make_number, empty=_NUMBER),
        listed("tags", "/v1/tags", make_tag, empty=("direct_link", "name", "color", "description")),
    )

    def authorized(self, request: Request) -> bool:
        """Compare the basic authentication with API ID and token."""
        pair = f"{self.settings['api_id']}:{self.settings['api_token']}"
        return request.headers.get("authorization") == f"Basic {base64.b64encode(pair.encode()).decode()}"

    def read(self, value: Any) -> int | None:
        """Read UNIX seconds."""
        return int(value) * SECOND if str(value).lstrip("-").isdecimal() else None

    def describe_page(self, request: Request, *, offset: int, size: int, count: int, total: int) -> dict[str, Any]:
        """Fill the rest of `meta`."""
        del total
        page = offset // size + 1
        before = request.with_query(page=str(page - 1)).target
        meta = {"count": count, "current_page": page, "per_page": size}
        return {"meta": {**meta, "previous_page_link": self.host + before if page > 1 else None}}

    def error(self, no: RefusedError) -> Response:
        """Put the sentence under `error`, and one under `troubleshoot`."""
        return Response.json({"error": no.message, "troubleshoot": "See the API reference"}, no.status)
