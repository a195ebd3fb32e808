"""One sandbox a test, asked without a socket, and a caller that signs for each vendor."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from trunkline_sandbox import Request, Response, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNED = {
    "bspk": {"Authorization": "Bearer sandbox-bspk-token"},
    "switchtransact": {"Authorization": "sandbox-switchtransact-key"},
    "hostedsuite": {},
    "conpeek": {"Authorization": "sandbox-conpeek-key"},
    "evolux": {"token": "sandbox-evolux-token"},
}
LOGIN = {
    "CustomerName": "Sandbox Offices",
    "UserName": "sandbox-user",
    "Password": "sandbox-hostedsuite-password",
}


class FakeClock:
    """A present moment that only moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2020, 1, 12, 18, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sandbox(clock: FakeClock) -> Sandbox:
    return Sandbox(size=60, clock=clock)


@pytest.fixture
def ask(sandbox: Sandbox) -> Callable[..., Response]:
    """`ask("evolux", "/api/v1/studio/calls?page=1")`, signed; HostedSuite's body gets its credentials."""

    def call(vendor: str, path: str, *, json: Any = None, method: str | None = None, sign: bool = True) -> Response:
        if vendor == "hostedsuite" and sign:
            json = {**LOGIN, **(json or {})}
        method = method or ("GET" if json is None else "POST")
        headers = SIGNED[vendor] if sign else {}
        return sandbox.handle(Request.of(method, f"/{vendor}{path}", headers=headers, json=json))

    return call
