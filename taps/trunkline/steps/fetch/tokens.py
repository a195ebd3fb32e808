"""OAuth2's access tokens: fetched through the client like everything else, renewed before they end and after a 401.

Rests on RFC 6749: 4.4 (client credentials), 5.1 and 5.2 (responses), 6 (refresh tokens).
"""

from __future__ import annotations

import base64
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from trunkline.errors import AccessDenied, BadResponse, Refused
from trunkline.redact import redactor
from trunkline.steps.fetch import words
from trunkline.steps.fetch.client import Cancelled
from trunkline.steps.fetch.exchange import Retriable, TokenRequest
from trunkline.steps.fetch.token_store import TokenStore

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping

    from trunkline.steps.fetch.client import Client
    from trunkline.steps.fetch.exchange import Reply, Request

MARGIN = 60.0
"""Seconds before its end, or a tenth of its life if that is less, from which on a token is renewed."""

_LOOK = 0.5  # how often a thread that waits for another one's token looks whether the run was cancelled
_PASSING = {"temporarily_unavailable", "server_error", "slow_down"}
_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


Credentials = Literal["basic", "body"]
Carrier = Literal["form", "json", "query"]


@dataclass(frozen=True)
class Grant:
    """A vendor's way to grant access tokens (see `trunkline.facts.oauth2`)."""

    path: str
    host: str
    client_id: str
    client_secret: str
    grant: str
    refresh_token: str
    scope: str
    params: Mapping[str, str]
    from_settings: Mapping[str, str]
    credentials: Credentials
    place: Carrier
    base: str
    scheme: str
    refreshes: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "refreshes", self.grant == "refresh_token")
        if self.place == "query" and (self.credentials == "body" or self.refreshes):
            raise ValueError("secrets do not belong into a query: servers and proxies log it")
        if self.credentials == "basic" and not self.client_secret:
            raise ValueError("credentials='basic' needs a client_secret; a client without one has credentials='body'")


class Owner(Protocol):
    """The tap that the tokens are for."""

    keep_settings: Callable[[Mapping[str, str]], None] | None

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings."""

    @property
    def client(self) -> Client:
        """The client that sends all requests of the tap."""

    @property
    def logger(self) -> logging.Logger:
        """The tap's logger."""

    def hint(self, status: int) -> str:
        """Return the remedy for a response with this status."""


@dataclass(frozen=True)
class Token:
    """An access token.

    Args:
        value: What is sent.
        due: Moment of the clock from which on it is renewed; infinity when the server does not send its end.
    """

    value: str
    due: float


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: Any = None
    refresh_token: str | None = None


class _No(msgspec.Struct):
    error: str = ""
    error_description: str = ""
    reason: str = ""


class Tokens:
    """The `sign` of a tap with OAuth2, and the ways of the server that grants its tokens.

    Args:
        facts: The vendor's grant.
        tap: The tap.
    """

    def __init__(self, facts: Grant, tap: Owner) -> None:
        self.facts, self.tap, self.clock = facts, tap, time.monotonic
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._sent = threading.local()
        self._refresh = self._unkept = ""
        self._requested = 0.0
        self._store: TokenStore | None = None
        if facts.refreshes:
            self._refresh = str(tap.config[facts.refresh_token])
            if path := tap.config.get("token_store"):
                self._store = TokenStore(Path(path), str(tap.config[facts.client_id]), self._refresh)

    # -- signing -----------------------------------------------------------------------------------

    def __call__(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """Sign with the access token.

        Raises:
            Refused: The request is for the host of the tokens, which gets no access token.
        """
        if request.base and request.base == self.facts.base:
            why = "its base URL is that of the token requests, which gets no access token"
            raise Refused(
                f"{request.about} was not sent", why, "Give the request another base URL", code="vendor-package"
            )
        token = self._token
        if token is None:
            raise Refused(
                f"{request.about} was not sent",
                "there is no access token",
                "Send it through the tap's client",
                code="vendor-package",
            )
        self._sent.token = token
        return {"Authorization": f"{self.facts.scheme} {token.value}"}, request.json

    def sign(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """Sign a request for a token with the client's credentials."""
        facts, config = self.facts, self.tap.config
        self._requested = self.clock()
        if facts.credentials == "basic":
            pair = f"{config[facts.client_id]}:{config[facts.client_secret]}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, request.json
        named = {"client_id": facts.client_id, "client_secret": facts.client_secret}
        own = {field: str(config[setting]) for field, setting in named.items() if setting}
        return {}, {**(request.form or request.json or {}), **own}

    # -- having a token ----------------------------------------------------------------------------

    def prepare(self, cancelled: threading.Event, /) -> None:
        """Ensure a token that is still good when the next request is sent; one thread fetches it, the others wait."""
        if not self._is_good():
            with self._turn(cancelled):
                if not self._is_good():
                    self._token = self._fetched(cancelled)

    def renew(self, cancelled: threading.Event, /) -> None:
        """Ensure another token than the one that this thread sent last; another thread may have fetched it already."""
        refused = getattr(self._sent, "token", None)
        with self._turn(cancelled):
            if self._token is refused:
                self._token = self._fetched(cancelled)

    def _is_good(self) -> bool:
        token = self._token
        return token is not None and self.clock() < token.due

    @contextmanager
    def _turn(self, cancelled: threading.Event) -> Iterator[None]:
        while not self._lock.acquire(timeout=_LOOK):
            if cancelled.is_set():
                raise Cancelled
        try:
            yield
        finally:
            self._lock.release()

    def _fetched(self, cancelled: threading.Event) -> Token:
        if not self.facts.refreshes:
            return self._granted({}, cancelled)[0]
        store = self._store
        with store.turn(cancelled) if store else nullcontext():
            if store:
                store.check()
                self._refresh = self._unkept or store.read() or self._refresh
            redactor.add([self._refresh])
            token, refresh = self._granted({"refresh_token": self._refresh}, cancelled)
            if refresh and refresh != self._refresh:
                self._refresh = refresh
                self._keep(refresh)
        return token

    def _granted(self, more: Mapping[str, str], cancelled: threading.Event) -> tuple[Token, str | None]:
        """Fetch a token, and the refresh token that replaces the one that was sent, if one does."""
        try:
            reply = self.tap.client.fetch(self._request(more), _opened, cancelled)
        except Refused as exc:  # for every other request it would be the same
            raise AccessDenied(exc.what, exc.why, exc.remedy, status=0) from None
        if reply.parsed is None:
            raise BadResponse(f"{reply.request.about} failed", "HTTP 204 without a token", "Check the token's URL")
        grant: _Granted = reply.parsed
        life = _seconds(grant.expires_in)
        due = self._requested + life - min(MARGIN, life / 10) if life else float("inf")
        return Token(grant.access_token, due), grant.refresh_token

    def _request(self, more: Mapping[str, str]) -> TokenRequest:
        facts, config = self.facts, self.tap.config
        fields = {"grant_type": facts.grant, **({"scope": facts.scope} if facts.scope else {}), **facts.params, **more}
        fields |= {field: str(config[setting]) for field, setting in facts.from_settings.items()}
        return TokenRequest(
            "the request for an access token",
            facts.path,
            tuple(fields.items()) if facts.place == "query" else (),
            method="POST",
            form=fields if facts.place == "form" else None,
            json=fields if facts.place == "json" else None,
            base=facts.base,
            endpoint="token",
        )

    def _keep(self, refresh: str) -> None:
        """Put a refresh token that replaces the one in use where the next run finds it."""
        self._unkept = ""
        name, kept = self.facts.refresh_token, False
        if self._store:
            try:
                self._store.write(refresh)
                kept = True
            except OSError as exc:
                self._unkept = refresh  # until the next one
                self.tap.logger.error(  # noqa: TRY400 - the reason is in the line
                    "token_store could not be written (%s): the new refresh token is known to this run alone, and the "
                    "next run needs a new authorization",
                    exc.strerror,
                )
        if self.tap.keep_settings:
            self.tap.keep_settings({name: refresh})
        elif not kept and not self._store:
            self.tap.logger.warning(
                "the vendor has replaced the refresh token, and nothing keeps the new one: the next run may be "
                "refused. Set token_store to the path of a file, and %s to a new one if it is refused",
                name,
            )

    # -- the ways of the server (`trunkline.steps.fetch.vendor.Vendor`) ----------------------------------------

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """Raise if no token is granted: without one nothing can be read, so that the tap ends.

        Raises:
            AccessDenied: The server refuses it for good.
            Retriable: It refuses it for now.
        """
        error = _read(body)
        if error.error in _PASSING and status not in _RETRIED:
            raise Retriable(f"the server responded with HTTP {status} {error.error}")
        plain = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _RETRIED
        if plain or (self.is_success(status, body) and error.error):
            why, reason = f"the server responded with HTTP {status}", words.one_line(self.reason(body))
            raise AccessDenied(
                f"{request.about} failed", f"{why}: {reason}" if reason else why, self.hint(status), status=0
            )

    def is_success(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - as a vendor has it
        """Return whether there is a token in it: any 2xx."""
        return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES

    def reason(self, body: bytes) -> str:
        """Return the error's code and the server's words."""
        error = _read(body)
        return ": ".join(filter(None, (error.error, error.error_description or error.reason)))

    def hint(self, status: int) -> str:
        """Name the settings that the server was sent."""
        facts = self.facts
        names = [facts.client_id, facts.client_secret, facts.refreshes and facts.refresh_token]
        sent = [name for name in (*names, *facts.from_settings.values(), facts.base) if name]
        hint = f"Check {', '.join(sent)}"
        if status == HTTPStatus.NOT_FOUND:
            return f"Check {facts.base or 'api_url'}: the token's path below it is {facts.path}"
        return f"{hint}; a refresh token that has ended takes a new authorization" if facts.refreshes else hint


def _opened(reply: Reply) -> _Granted:
    """Decode the grant in a response; its tokens are secrets from here on.

    Raises:
        BadResponse: There is no access token in it, or one that no header can carry.
    """
    grant = msgspec.json.decode(reply.body, type=_Granted)
    redactor.add(token for token in (grant.access_token, grant.refresh_token) if token)
    token = grant.access_token
    if not token or not (token.isascii() and token.isprintable()) or token != token.strip():
        raise BadResponse("the token's response has another form", "its access_token is none that a header can carry")
    return grant


def _read(body: bytes) -> _No:
    try:
        return msgspec.json.decode(body, type=_No)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _No()


def _seconds(value: Any) -> float:
    """Return how long a token lives, which some servers write as a text; 0 when they don't send it."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


__all__ = ["Token", "Tokens"]
