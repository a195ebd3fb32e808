"""Requests and responses of a vendor, without any socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Pairs = tuple[tuple[str, str], ...]
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
BODILESS = frozenset({204, 304})
"""Statuses whose responses have no body and no Content-Length."""
JSON = ("Content-Type", "application/json; charset=utf-8")


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        method: In capitals.
        path: Percent-decoded; before a vendor sees it, its own prefix is gone.
        query: Decoded name and value pairs in the order sent; `+` was read as a space.
        headers: Names in lower case.
        body: As sent.
    """

    method: str
    path: str
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    body: bytes = b""

    @classmethod
    def of(
        cls, method: str, url: str, *, headers: Mapping[str, str] | None = None, json: Any = None, body: bytes = b""
    ) -> Request:
        """Return a request from a URL or a path with its query, and optionally a value to send as JSON."""
        parts = urlsplit(url)
        if json is not None:
            body = msgspec.json.encode(json)
        return cls(
            method.upper(),
            unquote(parts.path),
            tuple(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in (headers or {}).items()},
            body,
        )

    def get(self, name: str) -> str | None:
        """Return the last value of a query parameter, or None."""
        for key, value in reversed(self.query):
            if key == name:
                return value
        return None

    def with_query(self, **values: str | None) -> Request:
        """Return the same request with these query parameters replaced (None: left out)."""
        kept = tuple(pair for pair in self.query if pair[0] not in values)
        added = tuple((name, value) for name, value in values.items() if value is not None)
        return Request(self.method, self.path, kept + added, self.headers, self.body)

    def with_path(self, path: str) -> Request:
        """Return the same request for another path."""
        return Request(self.method, path, self.query, self.headers, self.body)

    def with_body(self, body: bytes) -> Request:
        """Return the same request with another body."""
        return Request(self.method, self.path, self.query, self.headers, body)

    @property
    def target(self) -> str:
        """Path and query, encoded again: for logs and for the rules of faults."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Response:
    """One HTTP response, and what happens to it on the wire.

    Attributes:
        status: HTTP status.
        headers: Without Content-Length, which the transport adds.
        body: In full, also when `cut` lets only a part of it through.
        stall: Seconds before the first byte.
        reset: The connection is closed instead of a response.
        cut: Bytes of the body that get through before the connection is closed, or None.
        drip: Seconds over which the body is spread.
    """

    status: int = 200
    headers: Pairs = ()
    body: bytes = b""
    stall: float = 0.0
    reset: bool = False
    cut: int | None = None
    drip: float = 0.0

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Pairs = ()) -> Response:
        """Return a response with a JSON body."""
        return cls(status, (JSON, *headers), msgspec.json.encode(value))

    def value(self) -> Any:
        """Return the body read as JSON.

        Raises:
            msgspec.DecodeError: When the body is not JSON.
        """
        return msgspec.json.decode(self.body)

    def header(self, name: str) -> str:
        """Return the value of a header, with its name in any case; empty when there is none."""
        folded = name.lower()
        return next((value for key, value in self.headers if key.lower() == folded), "")
