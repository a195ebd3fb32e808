"""{{ cookiecutter.title }} as the sandbox plays it: `GET /v1/calls`, from the vendor's page alone and not from the tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trunkline_sandbox import instants
from trunkline_sandbox.paged import PagedVendor, Route
from trunkline_sandbox.world import person, phone

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.store import Row


def make_call(i: int, instant: int, bits: int) -> Row:
    """Make a call that ended."""
    return {
        "id": 1000 + i,
        "started_at": instants.iso(instant),
        "direction": "inbound" if bits % 3 else "outbound",
        "caller": phone(bits >> 6),
        "agent": " ".join(person(bits >> 10)),
        "duration": bits % 600,
    }


class {{ cookiecutter.class }}(PagedVendor):
    """Rows under `calls`, their number under `total`; times are ISO 8601."""

    name = "{{ cookiecutter.name }}"
    title = "{{ cookiecutter.title }}"
    settings: ClassVar = {"api_token": "sandbox-{{ cookiecutter.name }}-token"}
    curl = "-H 'Authorization: Bearer sandbox-{{ cookiecutter.name }}-token' '{url}/v1/calls?from=2026-01-01T00:00:00Z&per_page=2'"
    routes = (
        Route(
            "calls",
            "/v1/calls",
            make_call,
            time="started_at",
            page="page",
            size="per_page",
            total="total",
            empty=("direction", "caller", "agent", "duration"),
        ),
    )

    def authorized(self, request: Request) -> bool:
        """Compare the bearer token."""
        return request.headers.get("authorization") == f"Bearer {self.settings['api_token']}"
