"""Aircall as the sandbox plays it: `GET /v1/calls`, from the vendor's page alone and not from the tap."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.messages import Response
from trunkline_sandbox.paged import PagedVendor, Route
from trunkline_sandbox.world import person, phone

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.store import Row
    from trunkline_sandbox.vendor import RefusedError

_MISSED = ("no_available_agent", "agents_did_not_answer", "abandoned_in_ivr", "out_of_opening_hours")
_CALL = (
    *("sid", "direct_link", "direction", "status", "missed_call_reason", "answered_at", "ended_at", "duration"),
    *("raw_digits", "voicemail", "recording", "asset", "archived", "user", "assigned_to", "transferred_by"),
    *("transferred_to", "contact", "number", "teams", "tags", "comments"),
)
listed = partial(
    Route, page="page", size="per_page", most=50, total="meta.total", next="meta.next_page_link", link=True
)


def make_call(i: int, instant: int, bits: int) -> Row:
    """Make a call that ended."""
    number, second, answered = 100_000 + i, instant // SECOND, bits % 4 > 0
    first, last = person(bits >> 10)
    user = {"id": bits % 20 + 1, "name": f"{first} {last}", "email": f"user{bits % 20 + 1}@example.com"}
    return {
        "id": number,
        "sid": f"CA{bits:032x}",
        "direct_link": f"https://api.aircall.io/v1/calls/{number}",
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


class Aircall(PagedVendor):
    """Rows under the list's name, everything about the page under `meta`; times are UNIX seconds."""

    name = "aircall"
    title = "Aircall"
    host = "https://api.aircall.io"
    settings: ClassVar = {"api_id": "sandbox-aircall-id", "api_token": "sandbox-aircall-token"}
    curl = "-u sandbox-aircall-id:sandbox-aircall-token '{url}/v1/calls?from=1767225600&per_page=2'"
    routes = (listed("calls", "/v1/calls", make_call, time="started_at", empty=_CALL),)

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
