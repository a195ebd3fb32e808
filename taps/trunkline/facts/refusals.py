"""Refusals in the body of a response, which may be a success for HTTP; each class makes the `errors` of a tap."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from trunkline.errors import AccessDenied, BadResponse, Refused
from trunkline.exact import BROKEN
from trunkline.facts.places import BodyReader
from trunkline.steps.fetch.exchange import Retriable
from trunkline.steps.fetch.words import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trunkline.facts.ports import OwningTap
    from trunkline.steps.fetch.exchange import Request

_FAULTS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_DECIDED_BY_HTTP = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
"""Statuses that outweigh the words of a body: about the key, and about the pace."""
_LARGEST_ERROR = 65_536  # bytes of a body in which a code is looked for
_DEEPEST_ERROR = 3  # objects around it
_NO_ERROR = {"0", "none", "null", "ok", "success"}


class HttpErrors:
    """Errors of the HTTP status alone: those of a vendor whose body adds nothing."""

    def refuse(self, tap: OwningTap, request: Request, status: int, body: bytes) -> None:
        """Raise if the response is a refusal that its HTTP status does not show, or shows wrongly."""

    def is_success(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - for vendors whose body decides
        """Return whether this is the response to the request: any 2xx, unless the body decides otherwise."""
        return _is_success(status)

    def reason(self, body: bytes) -> str:  # noqa: ARG002 - for vendors whose errors give a reason
        """Return the vendor's own words in an error's body, where they are fit to be shown."""
        return ""


@dataclass(frozen=True)
class StatusInBody(HttpErrors):
    """A status in the body of an HTTP 200 that counts like HTTP's.

    Args:
        status: Field of the status, as in `meta.status`.
        message: Field of the vendor's words, which are shown; empty where there is none.
    """

    status: str
    message: str = ""

    @functools.cached_property
    def _read(self) -> Callable[[bytes], tuple[Any, ...]]:
        return _reader(self.status, self.message)

    def refuse(self, tap: OwningTap, request: Request, status: int, body: bytes) -> None:
        """Let HTTP decide first; a status from 400 on in the body of a success is a refusal all the same."""
        if not _is_success(status):
            return
        inner, words = self._read(body)
        if isinstance(inner, int) and inner >= HTTPStatus.BAD_REQUEST:
            tap.client.judge(request, inner, reason=_text(words), inside=f"{self.status} of an HTTP {status}")

    def reason(self, body: bytes) -> str:
        """Return the vendor's own words."""
        return _text(self._read(body)[1])


@dataclass(frozen=True)
class ErrorInBody(HttpErrors):
    """An error in a field of its own. Its words are not shown, as they may repeat what was sent.

    Args:
        error: Field that is there, and neither null nor empty, in an error.
        success: Field that is false in an error.
        not_found: Whether `success` that is false without an error means that nothing was found; then a 404 whose body
            reports that is a success, too.
        denied: Pattern of the words that are about the credentials: they end the tap, and are shown.
        forbidden: Pattern of the words that are about what the credentials may do: they count as a 403, and are shown.
        remedy: The remedy for any other error, which is not retried; without one an error is retried.
    """

    error: str
    success: str = ""
    not_found: bool = False
    denied: str = ""
    forbidden: str = ""
    remedy: str = ""

    @functools.cached_property
    def _read(self) -> Callable[[bytes], tuple[Any, ...]]:
        return _reader(self.error, self.success)

    @functools.cached_property
    def _names(self) -> list[bytes]:
        fields = [self.error] if self.not_found or not self.success else [self.error, self.success]
        return [f'"{path.rpartition(".")[2]}"'.encode() for path in fields]

    def refuse(self, tap: OwningTap, request: Request, status: int, body: bytes) -> None:
        """Let the body decide before HTTP."""
        if not any(name in body for name in self._names):  # a page of rows is not read for an error that is not there
            return
        error, success = self._read(body)
        if not (success is False and error if self.not_found else success is False or error):
            return
        what = f"{request.about} failed"
        if self.denied and re.search(self.denied, _text(error), re.IGNORECASE):
            words = one_line(_text(error), request.personal)
            raise AccessDenied(what, f"the vendor's message is: {words}", tap.hint(HTTPStatus.FORBIDDEN))
        decided = status in _DECIDED_BY_HTTP - {HTTPStatus.FORBIDDEN}
        if self.forbidden and not decided and re.search(self.forbidden, _text(error), re.IGNORECASE):
            tap.client.judge(request, HTTPStatus.FORBIDDEN, reason=_text(error), inside="an error, as if")
        if self.remedy and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _DECIDED_BY_HTTP:
            raise Refused(what, f"the vendor refused it (HTTP {status})", self.remedy, status=status)
        if not self.remedy and _is_success(status):
            raise Retriable("a response that reports an error", final=BadResponse)

    def is_success(self, status: int, body: bytes) -> bool:
        """Return whether it is any 2xx, or a 404 that reports that nothing was found."""
        if self.not_found and status == HTTPStatus.NOT_FOUND:
            error, success = self._read(body)
            return success is False and not error
        return _is_success(status)


class Coded(NamedTuple):
    """The code of an error and the vendor's words beside it."""

    code: str = ""
    message: str = ""


class CodeInBody(HttpErrors):
    """An error with a code in an envelope that decides before HTTP, in any spelling (capitals, underscores).

    An error of no known kind is one of the server. The words beside the code are not shown: they may repeat what was
    sent, and with it the credentials.

    Args:
        codes: Where a code may be: `Status.Code` is a field of the envelope `Status`, `Code` one of any object.
        message: Field of the vendor's words beside it.
        denied: Pattern of the codes about the credentials; before any success, also of the words about them.
        forbidden: Pattern of the codes about permissions.
        refused: Pattern of the codes about the request itself, which is not retried.
        rows: Field of the rows: beside them nothing is an error that has no envelope.
        total: Field of their number.
        locks_out: Whether failed logins lock the user out: then, before any success, a second response without rows
            ends the tap, whatever its form, unless it is a fault of a server or a network.
    """

    def __init__(  # noqa: PLR0913 - facts, each named where they are given
        self,
        *codes: str,
        message: str,
        denied: str = "",
        forbidden: str = "",
        refused: str = "",
        rows: str = "",
        total: str = "",
        locks_out: bool = False,
    ) -> None:
        self._denied, self._forbidden, self._refused = (
            re.compile(pattern or "(?!)", re.IGNORECASE) for pattern in (denied, forbidden, refused)
        )
        self._paths = [[_plain(name) for name in path.split(".")] for path in codes]
        self._message, self._rows = _plain(message), _plain(rows)
        self._total, self._locks_out = total, locks_out
        names = dict.fromkeys(name for path in codes for name in path.split("."))
        spelt = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_?", name) for name in names)
        self._hint = re.compile("|".join(spelt).encode(), re.IGNORECASE)

    def refuse(self, tap: OwningTap, request: Request, status: int, body: bytes) -> None:
        """Let the envelope decide before HTTP: wrong credentials may be a 500, and many tries lock the user out."""
        error, succeeded = self.find(body), tap.client.succeeded.is_set()
        what, why = f"{request.about} failed", f"the vendor responded with {one_line(error.code) or f'HTTP {status}'}"
        if self._denied.search(error.code) or (not succeeded and self._denied.search(error.message)):
            raise AccessDenied(what, why, tap.hint(HTTPStatus.UNAUTHORIZED))
        if status == HTTPStatus.UNAUTHORIZED:
            tap.client.judge(request, status, reason=error.code)
        if self._locks_out and not succeeded and self._is_no(error, status, body):
            tap.denials += 1
            if tap.denials > 1:
                why += ", the second no before any success: more tries could lock the user out"
                raise AccessDenied(what, why, tap.hint(HTTPStatus.UNAUTHORIZED))
        if self._forbidden.search(error.code):
            tap.client.judge(request, HTTPStatus.FORBIDDEN, reason=error.code, inside="an error, as if")
        if self._refused.search(error.code):
            hint = tap.hint(status if status == HTTPStatus.NOT_FOUND else HTTPStatus.BAD_REQUEST)
            raise Refused(what, why, hint, status=status)
        if any(error) and status < HTTPStatus.MULTIPLE_CHOICES:
            tap.client.judge(request, HTTPStatus.INTERNAL_SERVER_ERROR, reason=error.code, inside="an error, as if")

    def reason(self, body: bytes) -> str:
        """Return the error's code."""
        return self.find(body).code

    def find(self, body: bytes) -> Coded:
        """Find the error in a body, wherever its envelope stands; empty where there is none."""
        if len(body) > _LARGEST_ERROR or not self._hint.search(body):
            return Coded()
        try:
            return self._found(msgspec.json.decode(body), _DEEPEST_ERROR) or Coded()
        except BROKEN:
            return Coded()

    def _found(self, value: Any, depth: int) -> Coded | None:
        fields = _plainly_named(value)
        if fields is None:
            return None
        for *above, code in self._paths:
            envelope = _within(fields, above)
            if envelope is not None and (above or (code in envelope and self._rows not in envelope)):
                found = Coded(*(str(envelope.get(name) or "").strip() for name in (code, self._message)))
                return found if any(found) and found.code.lower() not in _NO_ERROR else None
        inner = (self._found(member, depth - 1) for member in value.values()) if depth else ()
        return next(filter(None, inner), None)

    def _is_no(self, error: Coded, status: int, body: bytes) -> bool:
        """Return whether a response refuses what was sent, and is neither rows nor a fault of a server or a network."""
        if any(error):
            return True
        if status in _FAULTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.NO_CONTENT:
            return False
        return not _is_success(status) or not self._has_rows(body)

    def _has_rows(self, body: bytes) -> bool:
        try:
            whole = msgspec.json.decode(body, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
        except BROKEN:
            return False
        return (
            isinstance(whole, list) or self._total in whole or any(bytes(each)[:1] == b"[" for each in whole.values())
        )


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _reader(*paths: str) -> Callable[[bytes], tuple[Any, ...]]:
    """Compile a reader of some fields of a body, in one pass; None for each where the body has another form."""
    reader = BodyReader({path: (Any, True) for path in paths if path})

    def read(body: bytes) -> tuple[Any, ...]:
        try:
            found = reader.read(body)
        except BROKEN:
            return (None,) * len(paths)
        return tuple(reader.get(found, path) if path else None for path in paths)

    return read


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _plainly_named(value: Any) -> Mapping[str, Any] | None:
    """Return an object's fields by their plain names; None for anything else."""
    return {_plain(str(name)): member for name, member in value.items()} if isinstance(value, dict) else None


def _within(fields: Mapping[str, Any] | None, names: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the fields of an object inside of others; None where there is none."""
    for name in names:
        fields = _plainly_named(fields.get(name)) if fields is not None else None
    return fields
