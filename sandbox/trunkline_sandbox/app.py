"""The sandbox on the wire: a thin ASGI application, and the connection that can break."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from trunkline_sandbox.messages import BODILESS, Request, Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from trunkline_sandbox.sandbox import Sandbox

_TRANSPORT = "trunkline_sandbox.transport"
_PIECES = 10


def create_app(sandbox: Sandbox) -> Starlette:
    """Return the application for any ASGI server.

    The faults `reset` and `cut` need a server that closes connections on demand: uvicorn with `BreakableProtocol`,
    which `trunkline_sandbox.running` and `python -m trunkline_sandbox` use.
    """
    return Starlette(routes=[Route("/{path:path}", _Endpoint(sandbox))])


class _Endpoint:
    """Handle one request: hand it to the sandbox, wait as long as the response needs, and write it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await WebRequest(scope, receive).body()
        request = Request(
            scope["method"],
            scope["path"],
            tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body,
        )
        if request.path.startswith("/_sandbox/"):
            await _write(self._sandbox.handle(request), scope, receive, send)
            return
        with self._sandbox.requests.under_way():
            response = self._sandbox.handle(request)
            wait = self._sandbox.latency + response.stall
            if wait:
                await asyncio.sleep(wait)
            await _write(response, scope, receive, send)


async def _write(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if response.reset:
        await _hang_up(scope, receive)
        return
    body, length = response.body, len(response.body)
    if response.cut is not None:
        body, length = body[: response.cut], max(length, response.cut + 1)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if response.status not in BODILESS:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.drip:
        piece = max(1, -(-len(body) // _PIECES))
        for start in range(0, len(body), piece):
            await asyncio.sleep(response.drip / _PIECES)
            await send({"type": "http.response.body", "body": body[start : start + piece], "more_body": True})
        body = b""
    # A body that stays open when the application returns makes the server close the connection.
    await send({"type": "http.response.body", "body": body, "more_body": response.cut is not None})


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection with a TCP reset and wait until the server has noticed.

    Raises:
        RuntimeError: When the server is not one that lets itself be cut off.
    """
    transport = scope["extensions"].get(_TRANSPORT)
    if transport is None:
        raise RuntimeError("the fault reset needs uvicorn with trunkline_sandbox.app.BreakableProtocol")
    peer = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


class BreakableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which also passes its connection to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport where an endpoint finds it."""
        super().connection_made(transport)
        inner: Any = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[_TRANSPORT] = transport
            await inner(scope, receive, send)

        self.app = app
