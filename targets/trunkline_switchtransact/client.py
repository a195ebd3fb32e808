"""The vendor as this target meets it: how it is signed to, how it says no, and a client that sends a write once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import urllib3.exceptions
from requests.exceptions import RequestException

from tap_switchtransact import TapSwitchTransact
from trunkline.client import Client, Request, Retriable, clean
from trunkline.errors import AccessDenied, Refused

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

_PERMISSION = TapSwitchTransact.hints[HTTPStatus.FORBIDDEN]
_NO_PATH = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}


class Answer(msgspec.Struct):
    """The part of an answer that says yes or no.

    Args:
        status: As the vendor has it; a created record is repeated without one.
        error: The vendor's reason for a no.
    """

    status: bool | msgspec.UnsetType = msgspec.UNSET
    error: str | None = None


_read = msgspec.json.Decoder(Answer).decode


class NotSent(Retriable):
    """No connection was made: the vendor has seen nothing of the request."""


@dataclass(frozen=True)
class Said:
    """An answer to a write, whatever it says."""

    status: int
    body: bytes
    not_before: float | None


class WritingClient(Client):
    """The taps' client, which also sends what must not be sent twice."""

    def post(self, request: Request, cancelled: threading.Event) -> Said:
        """Send a request once.

        Raises:
            Retriable: There was no complete answer; `NotSent` when the vendor has seen nothing of the request.
            Refused: The server's certificate is not to be trusted, or the answer is larger than any can be.
            AccessDenied: Another request was told that the key is not permitted.
            Cancelled: The run ended before the request was sent.
        """
        status, _, body, not_before = self._asked(request, cancelled)
        return Said(status, body, not_before)

    def _send(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        try:
            return super()._send(request)
        except Retriable as exc:
            # The client hides the network's own error from the log, as its text may be personal; it is still there.
            if never_left(exc.__context__):
                raise NotSent(exc.why) from exc.__context__
            raise


def never_left(exc: BaseException | None) -> bool:
    """Whether a network's error shows that no byte of the request can have reached the vendor."""
    seen: list[Any] = [exc]
    while seen:
        cause = seen.pop()
        if isinstance(
            cause,
            (
                urllib3.exceptions.NewConnectionError,  # refused, unreachable, or the name is not known
                urllib3.exceptions.ConnectTimeoutError,
                urllib3.exceptions.ProxyError,  # only raised until the way through the proxy stands
                ssl.SSLCertVerificationError,
            ),
        ):
            return True
        if isinstance(cause, (RequestException, urllib3.exceptions.HTTPError)):
            seen += [*cause.args, getattr(cause, "reason", None)]
    return False


class Account:
    """What the client must know of the vendor (`trunkline.client.Vendor`), as the tap has it.

    Args:
        api_key: Sent as it is.
    """

    def __init__(self, api_key: str) -> None:
        self._headers = {"Authorization": api_key, "Content-Type": "application/json"}

    def sign(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """The key as it is, without a scheme."""
        return self._headers, request.json

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """The body decides before HTTP, for look-ups: `status: false` with an error is a no.

        Raises:
            AccessDenied: The key may not do this.
            Refused: Any other error.
        """
        answer = answer_of(body)
        if answer is None or answer.status or not answer.error:
            return
        if denied := denial(request, status, answer):
            raise denied
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
            raise Refused(f"{request.about} failed", f"the vendor refused it (HTTP {status})", status=status)

    def is_answer(self, status: int, body: bytes) -> bool:
        """A 404 that says `status: false` is a look-up that found nobody."""
        if status == HTTPStatus.NOT_FOUND:
            answer = answer_of(body)
            return answer is not None and answer.status is False and not answer.error
        return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES

    def reason(self, body: bytes) -> str:  # noqa: ARG002 - a look-up's error may repeat what was looked up
        """Nothing that could be shown."""
        return ""

    def hint(self, status: int) -> str:
        """What to do when the vendor answers with this status."""
        return TapSwitchTransact.hints.get(status) or NOBODY_THERE.get(status, "")


NOBODY_THERE: Mapping[int, str] = {
    **dict.fromkeys(_NO_PATH, "Check api_url: the path below it is the vendor's own"),
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Check the proxy and its credentials",
}


def answer_of(body: bytes) -> Answer | None:
    """The vendor's envelope, if it is one."""
    try:
        return _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def denial(request: Request, status: int, answer: Answer | None) -> AccessDenied | None:
    """The error of an answer that says that the key may not do this; None when it says something else."""
    what = f"{request.about} failed"
    if answer is not None and answer.status is False and "not authorized" in (answer.error or "").lower():
        return AccessDenied(what, f"the vendor answered: {clean(answer.error or '')}", _PERMISSION)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        said = clean(answer.error or "") if answer is not None else ""
        why = f"the vendor answered HTTP {status}" + (f", saying: {said}" if said else "")
        return AccessDenied(what, why, TapSwitchTransact.hints[status])
    return None
