"""The vendor's signing and refusals as this target meets them, and a client that sends a write once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from tap_switchtransact import TapSwitchTransact
from trunkline.errors import AccessDenied, Refused, TrunklineError
from trunkline.steps.fetch.addresses import Adapter
from trunkline.steps.fetch.client import Client
from trunkline.steps.fetch.exchange import Request, Retriable
from trunkline_switchtransact.calls import CALLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    from requests.adapters import BaseAdapter

    from trunkline.steps.fetch.vendor import Vendor

_PERMISSION = TapSwitchTransact.hints[HTTPStatus.FORBIDDEN]
_WRITE = "POST"
_NO_PATH = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}


class Envelope(msgspec.Struct):
    """The part of a response that shows success or refusal.

    Args:
        status: As the vendor has it; a created record is repeated without one.
        error: The vendor's reason for a refusal.
    """

    status: bool | msgspec.UnsetType = msgspec.UNSET
    error: str | None = None


_read = msgspec.json.Decoder(Envelope).decode


class NotSent(Retriable):
    """No connection was made: the vendor has seen nothing of the request."""


class Lost(Exception):  # noqa: N818 - nothing need have failed: the write may have been acted on
    """A request that may have reached the vendor, and whose response is not known.

    Args:
        why: One clause for the log.
        error: What ends the run, if it does.
    """

    def __init__(self, why: str, error: TrunklineError | None = None) -> None:
        self.why, self.error = why, error
        super().__init__(why)


@dataclass(frozen=True)
class WriteResponse:
    """Any response to a write."""

    status: int
    body: bytes
    not_before: float | None


class OwnConnections(Adapter):
    """Sends each write on a connection of its own, and knows whether there was one.

    A connection that was kept alive may be closed by the other end at any time: an error on it shows nothing about
    whether the request was read. On a new one, an error before it stands shows that no byte of the request has left.
    """

    def __init__(self, pool_size: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=pool_size)
        self._thread = threading.local()

    @property
    def connected(self) -> bool:
        """Whether a connection stood for this thread's write: bytes of it may have left."""
        return bool(getattr(self._thread, "connected", False))

    @connected.setter
    def connected(self, value: bool) -> None:
        self._thread.connected = value

    def send(  # noqa: PLR0913, PLR0917 - the signature is that of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - same
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002 - same
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request; a write on a new connection, which is closed after its response."""
        if request.method != _WRITE:
            return super().send(request, stream, timeout, verify, cert, proxies)
        own = Adapter(pool_connections=1, pool_maxsize=1)
        try:
            self._watch(own.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert))
            return own.send(request, stream, timeout, verify, cert, proxies)
        finally:
            own.close()  # a connection that is in use closes once the response was read

    def _watch(self, pool: Any) -> None:
        """Take note when a connection stands: through the proxy, and with TLS, where there is any.

        Args:
            pool: urllib3's, whose connections are made by its attribute `ConnectionCls`.
        """
        make = pool.ConnectionCls

        def made(*args: Any, **kwargs: Any) -> Any:
            connection = make(*args, **kwargs)
            connect = connection.connect

            def connecting() -> None:
                connect()
                self.connected = True

            connection.connect = connecting
            return connection

        pool.ConnectionCls = made


class WritingClient(Client):
    """The taps' client, which also sends what must not be sent twice.

    Args:
        vendor: The vendor's ways.
        transport: Responds in place of the network.
        pool_size: Connections kept open for look-ups.
        more: What the taps' client takes.
    """

    def __init__(self, vendor: Vendor, *, transport: BaseAdapter | None, pool_size: int, **more: Any) -> None:
        self._own = None if transport else OwnConnections(pool_size)
        super().__init__(vendor, transport=transport or self._own, pool_size=pool_size, **more)

    def post(self, request: Request, cancelled: threading.Event) -> WriteResponse:
        """Send a request once.

        Raises:
            NotSent: No connection was made.
            Lost: Nobody knows whether the vendor has acted on it.
            Refused: The server's certificate is not to be trusted, so that nothing was sent.
            AccessDenied: The response to another request reported that the key is not permitted.
            Cancelled: The run ended before the request was sent.
        """
        status, _, body, not_before = self._exchange(request, cancelled)
        return WriteResponse(status, body, not_before)

    def _send(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        if request.method != _WRITE:
            return super()._send(request)
        if self._own:
            self._own.connected = False
        try:
            return super()._send(request)
        except Exception as exc:
            never_left = self._own is not None and not self._own.connected
            if isinstance(exc, Retriable):
                raise (NotSent if never_left else Lost)(exc.why) from exc.__context__
            if never_left:
                raise
            if isinstance(exc, TrunklineError):
                raise Lost(exc.why, exc) from exc.__context__
            raise Lost(f"unexpected {type(exc).__name__}") from exc


class Account:
    """The facts of the vendor that the client needs (`trunkline.steps.fetch.vendor.Vendor`), as the tap has them.

    Args:
        api_key: Sent as it is.
    """

    def __init__(self, api_key: str) -> None:
        self._headers = {"Authorization": api_key, "Content-Type": "application/json"}

    def sign(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """Return the key as it is, without a scheme."""
        return self._headers, request.json

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """Let the body decide before HTTP, for look-ups: `status: false` with an error is a refusal.

        Raises:
            AccessDenied: The key may not do this.
            Refused: Any other error.
        """
        envelope = envelope_of(body)
        if envelope is None or envelope.status or not envelope.error:
            return
        if denied := denial(request, status, envelope):
            raise denied
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
            raise Refused(f"{request.about} failed", f"the vendor refused it (HTTP {status})", status=status)

    def is_success(self, status: int, body: bytes) -> bool:
        """Take a 404 with `status: false` for the success of a look-up that found nobody."""
        return TapSwitchTransact.errors.is_success(status, body)

    def reason(self, body: bytes) -> str:  # noqa: ARG002 - a look-up's error may repeat what was looked up
        """Return an empty text: nothing of the reason could be shown."""
        return ""

    def hint(self, status: int) -> str:
        """Return the remedy for a response with this status."""
        return TapSwitchTransact.hints.get(status) or NOBODY_THERE.get(status, "")


NOBODY_THERE: Mapping[int, str] = {
    **dict.fromkeys(_NO_PATH, "Check api_url: the path below it is the vendor's own"),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Check the proxy and its credentials",
}


def envelope_of(body: bytes) -> Envelope | None:
    """Return the vendor's envelope, if it is one."""
    try:
        return _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def denial(request: Request, status: int, envelope: Envelope | None) -> AccessDenied | None:
    """Return the error of a response that denies the key this request; None for any other response.

    The vendor's reason may repeat what was sent: it is shown without. Of a look-up's nothing is shown, which may be
    about whom it found.
    """
    what = f"{request.about} failed"
    reason = (envelope.error if envelope else None) or ""
    shown = CALLS[request.stream].reason(reason, request.json) if request.json else ""
    if envelope is not None and envelope.status is False and "not authorized" in reason.lower():
        return AccessDenied(what, f"the vendor's message is: {shown or 'Not authorized'}", _PERMISSION)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        why = f"the vendor responded with HTTP {status}" + (f", with the words: {shown}" if shown else "")
        return AccessDenied(what, why, TapSwitchTransact.hints[status])
    return None
