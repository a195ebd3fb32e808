"""The made-up vendor as the sandbox plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from trunkline_sandbox import instants
from trunkline_sandbox.paged import PagedVendor, Route

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.store import Row


def make_call(i: int, instant: int, bits: int) -> Row:
    return {"id": 1000 + i, "started_at": instants.iso(instant), "direction": "inbound" if bits % 2 else "outbound"}


def make_user(i: int, _: int, bits: int) -> Row:
    return {"id": i, "email": f"user{i}@acme.example", "active": bits % 3 > 0}


def make_tag(i: int, _: int, bits: int) -> Row:
    return {"id": f"T{i}", "colour": f"#{bits % 0xFFFFFF:06x}"}


def make_recording(i: int, _: int, bits: int) -> Row:
    return {"id": f"R{i}", "seconds": bits % 600}


def make_device(i: int, _: int, bits: int) -> Row:
    return {"id": i % 7 + 10 * i, "kind": "phone" if bits % 2 else "headset"}


def make_rating(i: int, _: int, bits: int) -> Row:
    return {"score": (i + bits) % 5 + 1}


class Acme(PagedVendor):
    """One route of each kind."""

    name, title, host = "acme", "Acme", "https://api.acme.example"
    settings: ClassVar = {"api_token": "sandbox-acme-token"}
    curl = "-H 'Authorization: Bearer sandbox-acme-token' '{url}/v1/calls'"
    routes = (
        Route(
            "calls",
            "/v1/calls",
            make_call,
            rows="data.calls",
            time="started_at",
            cursor="cursor",
            size="limit",
            next="data.next_uri",
            link=True,
        ),
        Route("users", "/v1/users", make_user, offset="skip", size="limit", total="total"),
        Route("tags", "/v1/tags", make_tag, rows=""),
        Route(
            "recordings",
            "/v1/calls/<id>/recordings",
            make_recording,
            cursor="token",
            size="limit",
            total="count",
            next="next_token",
            parent="calls",
            column="call_id",
            sends_column=True,
        ),
        Route(
            "devices",
            "/v1/users/<email>/devices",
            make_device,
            page="page",
            size="limit",
            total="total",
            key=("owner", "id"),
            parent="users",
            column="owner",
        ),
        Route(
            "ratings",
            "/v1/calls/<id>/rating",
            make_rating,
            key=("call",),
            rows="rating",
            parent="calls",
            column="call",
            one=True,
        ),
    )

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == "Bearer sandbox-acme-token"

    def describe_page(self, request: Request, **_: Any) -> dict[str, Any]:
        return {"path": request.path} if request.path == "/v1/users" else {}
