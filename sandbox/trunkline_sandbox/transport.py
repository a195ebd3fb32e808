"""The sandbox as a requests transport: the same code as over the wire, with no socket and no thread."""

from __future__ import annotations

import io
import time
from http.client import responses as reasons
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse

from trunkline_sandbox.messages import BODILESS, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox.messages import Response
    from trunkline_sandbox.sandbox import Sandbox


class SandboxAdapter(BaseAdapter):
    """Responds to a session's requests from a sandbox in this process.

    Mount it wherever the tap's `api_url` begins, for example `session.mount("http://127.0.0.1", SandboxAdapter(s))`;
    host and port do not matter, only the path does.

    Args:
        sandbox: The sandbox.
        sleep: Waits for latencies and stalls (seconds); a test without patience passes a function that does nothing.
            A wait that is not shorter than the read timeout is not slept: it raises `requests.ReadTimeout` at once.
    """

    def __init__(self, sandbox: Sandbox, *, sleep: Callable[[float], object] = time.sleep) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._sleep = sleep
        self._builder = HTTPAdapter()

    def send(  # noqa: PLR0913, PLR0917 - the signature is that of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - same
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002 - same
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Return the sandbox's response.

        Raises:
            requests.ConnectionError: For the fault `reset`.
            requests.ReadTimeout: When a latency or stall is not shorter than the read timeout.
        """
        del stream, verify, cert, proxies
        with self._sandbox.requests.under_way():
            response = self._sandbox.handle(_received(request))
            self._wait(self._sandbox.latency + response.stall, timeout, request)
            if response.reset:
                raise requests.ConnectionError("Connection reset by the sandbox", request=request)
            # The connection pool's own response class unpacks gzip and notices a body that is too short.
            return self._builder.build_response(request, self._raw(request, response))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _wait(self, seconds: float, timeout: Any, request: requests.PreparedRequest) -> None:
        read = timeout[1] if isinstance(timeout, tuple) else timeout
        if isinstance(read, (int, float)) and seconds >= read:
            raise requests.ReadTimeout(f"Read timed out after {read} s", request=request)
        if seconds:
            self._sleep(seconds)

    def _raw(self, request: requests.PreparedRequest, response: Response) -> HTTPResponse:
        body, length = response.body, len(response.body)
        if response.cut is not None:
            body, length = body[: response.cut], max(length, response.cut + 1)
        headers = HTTPHeaderDict(response.headers)
        if response.status not in BODILESS:
            headers["Content-Length"] = str(length)
        pieces = _SlowBody(body, response.drip, self._sleep) if response.drip else io.BytesIO(body)
        return HTTPResponse(
            body=pieces,
            headers=headers,
            status=response.status,
            reason=reasons.get(response.status, ""),
            preload_content=False,
            decode_content=False,
            request_method=request.method,
        )


class _SlowBody(io.BytesIO):
    """A body that comes in ten pieces, with a pause before each."""

    def __init__(self, body: bytes, seconds: float, sleep: Callable[[float], object]) -> None:
        super().__init__(body)
        self._piece = max(1, -(-len(body) // 10))
        self._pause = seconds / 10
        self._pause_by = sleep

    def read1(self, size: int | None = -1, /) -> bytes:
        part = super().read1(self._piece if size is None or size < 0 else min(self._piece, size))
        if part:
            self._pause_by(self._pause)
        return part

    def read(self, size: int | None = -1, /) -> bytes:
        parts = []
        left = len(self.getbuffer()) if size is None or size < 0 else size
        while left > 0 and (part := self.read1(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def _received(request: requests.PreparedRequest) -> Request:
    parts = urlsplit(request.url or "")
    body: Any = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = body.read() if hasattr(body, "read") else b"".join(body)
    return Request(
        (request.method or "GET").upper(),
        unquote(parts.path),
        tuple(parse_qsl(parts.query, keep_blank_values=True)),
        {name.lower(): value if isinstance(value, str) else value.decode() for name, value in request.headers.items()},
        body,
    )
