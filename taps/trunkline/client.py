"""Fetch: the only room that knows HTTP. One request in, one proven-to-be-an-answer reply out, or an error."""

from __future__ import annotations

import codecs
import os
import ssl
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import backoff
import msgspec
import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from trunkline import addresses, words
from trunkline.errors import AccessDenied, BadAnswer, Refused, SourceError, Unavailable
from trunkline.shape import BROKEN, encode

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from requests.adapters import BaseAdapter

    from trunkline.governor import Governor

MAX_BODY = 64 * 1024 * 1024
"""Largest answer read, in bytes after decompression: a bomb must not take the machine's memory."""

MOST_VALUES = 4_000_000
"""Values of an answer at most, as its commas and brackets have them: `[1,1,…` takes fifty times its size once read."""

MAX_WAIT = 60.0
"""Longest wait between two tries, in seconds, unless the vendor names a later moment."""

MAX_VENDOR_WAIT = 900.0
"""Longest wait a vendor can ask for, in seconds, before the request counts as failed."""

SLOW_BODY_FACTOR = 10
"""A body may take this many times `request_timeout` as a whole; each single read may take `request_timeout`."""

PROBES, PROBE_TRIES = 3, 2
"""After a request has used up its tries: how many others of an endpoint are tried, and how often, until it is down."""

_REPORT = "Run again; if it goes on, report it with the vendor's documentation"
_PAGE = "Check api_url, and whether a login, a proxy or a gateway stands before the API"
_LESS = "Ask for less at once: a smaller page_size or window"
_CHUNK, _PACKED_CHUNK = 8 * 1024 * 1024, 256 * 1024
"""Bytes taken at once: as many as have come; few of a packed body, which may be a bomb."""

_RETRIED_4XX = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Request:
    """One request, still without host and credentials.

    Args:
        about: What is asked for, in words fit for a log: nothing personal, no credentials.
        path: Path below `api_url`, beginning with a slash.
        params: Query parameters in order; values are percent-encoded here (`+` as `%2B`, a space as `%20`).
        method: HTTP method.
        json: Body to send as JSON, if any.
        stream: Name of the stream it is for, under which it is counted.
        endpoint: What the vendor may fail to serve while it serves others; the stream when left out.
        personal: Values in it that are about a person, and that the vendor's words may repeat.
    """

    about: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    json: Any = None
    stream: str = ""
    endpoint: str = ""
    personal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    """A successful answer, its body still bytes.

    Args:
        request: What was asked.
        status: HTTP status (2xx).
        headers: Header names are case-insensitive.
        body: Decompressed body, UTF-8 and without line breaks; empty only for a 204.
        parsed: What the vendor's envelope says beside the rows, as `Vendor.open` returned it.
    """

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes
    parsed: Any = None


class Retriable(Exception):  # noqa: N818 - not an error yet: it becomes one when the tries are used up
    """The try failed in a way that another one may cure.

    Args:
        why: One clause for the log and for the error at the end.
        not_before: Seconds the vendor asks to wait, if it does.
        final: The error this becomes when no try is left.
        remedy: What to do then; when left out, to run again.
    """

    def __init__(
        self, why: str, *, not_before: float | None = None, final: type[SourceError] = Unavailable, remedy: str = ""
    ) -> None:
        self.why, self.not_before, self.final, self.remedy = why, not_before, final, remedy
        super().__init__(why)


class Cancelled(Exception):  # noqa: N818 - nothing failed: the answer is simply not wanted any more
    """The request was given up because the run ends."""


class Vendor(Protocol):
    """What the client must know of a vendor: how it signs, how it says no, and what its answers look like."""

    def sign(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """Headers to send, and the JSON body with whatever credentials belong into it."""

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """Raise if this answer is a no that its HTTP status does not tell, or tells wrongly."""

    def is_answer(self, status: int, body: bytes) -> bool:
        """Whether this is the answer to what was asked, whatever its HTTP status."""

    def reason(self, body: bytes) -> str:
        """The vendor's own words in an error's body; empty when there are none that are fit to be shown."""

    def hint(self, status: int) -> str:
        """What to do when the vendor answers with this status."""


@dataclass
class Tally:
    """What the client did, for the table at the end of the run.

    Args:
        answers: Requests that were answered as they should be: pages, details, lookups.
        requests: Requests sent.
        retries: Those of them that were second and later tries.
        waited: Seconds waited for the vendor's limit and between tries, over all requests.
    """

    answers: int = 0
    requests: int = 0
    retries: int = 0
    waited: float = 0.0


class Breaker:
    """Shared by all requests of a tap: tells one broken partition, or endpoint, from a vendor that is down."""

    def __init__(self) -> None:
        self._tripped = self._shut = False
        self._probes_failed: Counter[str] = Counter()  # by endpoint: one that is broken says little of the others
        self._last_success = float("-inf")
        self._lock = threading.Lock()

    def tries(self, endpoint: str, max_attempts: int) -> int:
        """How many tries a new request gets: all of them; a few, as a probe; or none, when the vendor is down."""
        if not self._tripped:
            return max_attempts
        return 0 if self._shut or self._probes_failed[endpoint] >= PROBES else min(PROBE_TRIES, max_attempts)

    def success(self) -> None:
        """The vendor answered: whatever failed before was that request's own trouble."""
        with self._lock:
            self._tripped = self._shut = False
            self._probes_failed.clear()
            self._last_success = time.monotonic()

    def open(self) -> None:
        """The vendor said itself that there is nothing to be had for long."""
        with self._lock:
            self._tripped = self._shut = True

    def failure(self, endpoint: str, began: float, *, probe: bool) -> None:
        """A request that began at `began` has used up its tries; it counts if nothing else succeeded meanwhile."""
        with self._lock:
            if self._last_success < began:
                self._probes_failed[endpoint] += probe and self._tripped
                self._tripped = True


class Client:
    """Sends requests for one tap: signs, waits, retries and classifies. Safe to use from many threads.

    Args:
        vendor: The vendor's ways.
        api_url: What stands before every path; may carry a path prefix of its own, so it is joined as text.
        timeout: Seconds to wait for a connection, and for each read of the answer.
        max_attempts: Tries per request.
        user_agent: The `User-Agent` header.
        ca_bundle: Path of a private certificate authority, if any.
        pool_size: Connections kept open, at least as many as requests are in flight.
        governor: Keeps the vendor's limit.
        transport: Answers in place of the network; the seam that tests use.
        logger: Where retries and waits are told.
    """

    def __init__(  # noqa: PLR0913 - the settings of a client, each named where it is made
        self,
        vendor: Vendor,
        *,
        api_url: str,
        timeout: float,
        max_attempts: int,
        user_agent: str,
        ca_bundle: str | None,
        pool_size: int,
        governor: Governor,
        transport: BaseAdapter | None,
        logger: logging.Logger,
    ) -> None:
        self.vendor, self.timeout, self.max_attempts, self.logger = vendor, timeout, max_attempts, logger
        self.base = api_url.rstrip("/")
        self.headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        self.governor = governor
        self.adapter = transport or addresses.Adapter(pool_connections=1, pool_maxsize=pool_size)
        # What the environment says is read once: per request it costs more than the request's own preparation.
        self.proxies = addresses.proxies(self.base)
        self.verify: str | bool = (
            ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.breaker = Breaker()
        self.answered = threading.Event()  # any answer at all: the credentials may be right
        self.succeeded = threading.Event()
        self.denied: AccessDenied | None = None
        self._lock = threading.Lock()

    @property
    def tally(self) -> Tally:
        """What was done for all streams together."""
        each = list(self.tallies.values())
        return Tally(*(sum(getattr(one, field.name) for one in each) for field in fields(Tally)))

    # -- one request, all its tries ----------------------------------------------------------------

    def fetch(self, request: Request, open_body: Callable[[Reply], Any], cancelled: threading.Event) -> Reply:
        """Send a request until it is answered.

        Args:
            request: What to ask.
            open_body: Decodes what stands beside the rows and checks the form of the answer. It raises `BadAnswer`
                or any msgspec error for a body that is not what the vendor documents: the request is then tried again.
            cancelled: Set when the answer is not wanted any more: waits end at once.

        Returns:
            The reply, its body checked, with what `open_body` returned in `parsed`.

        Raises:
            AccessDenied: The credentials are refused.
            Refused: The vendor refuses this request.
            Unavailable: All tries failed.
            BadAnswer: Every try brought an answer of the wrong form.
            Cancelled: The run ended meanwhile.
        """
        began = time.monotonic()
        waits = backoff.expo(base=2, factor=1, max_value=MAX_WAIT)
        next(waits)
        endpoint = request.endpoint or request.stream
        tries = self.breaker.tries(endpoint, self.max_attempts)
        if not tries:
            raise Unavailable(f"{request.about} was not asked for", "the vendor is down", "Run again later")
        for attempt in range(1, tries + 1):
            try:
                reply = self._try(request, open_body, cancelled)
            except Retriable as exc:  # noqa: PERF203 - a network's wait is longer than any of Python's
                if attempt == tries:
                    self.breaker.failure(endpoint, began, probe=tries < self.max_attempts)
                    counted = f"{tries} tries, the last" if tries > 1 else "one try"
                    remedy = exc.remedy or ("Run again later" if exc.final is Unavailable else _REPORT)
                    raise exc.final(f"{request.about} failed", f"{counted}: {exc.why}", remedy) from None
                # The vendor's word is a lower bound: a `Retry-After: 0` must not spend all tries in a few milliseconds.
                wait = max(backoff.full_jitter(next(waits) or 1.0), exc.not_before or 0.0)
                self._pause(
                    request,
                    wait,
                    f"{request.about}: {exc.why}; try {attempt + 1} of {tries} in {wait:.1f} s",
                    cancelled,
                )
            except Refused:
                self.breaker.success()  # an answer, if not the one that was hoped for
                raise
            else:
                self.breaker.success()
                return reply
        raise AssertionError("unreachable: the last try returns or raises")

    def _pause(self, request: Request, seconds: float, message: str, cancelled: threading.Event) -> None:
        self.logger.warning(message)
        with self._lock:
            self.tallies[request.stream].retries += 1
            self.tallies[request.stream].waited += seconds
        if cancelled.wait(seconds):
            raise Cancelled

    # -- one try -----------------------------------------------------------------------------------

    def _asked(
        self, request: Request, cancelled: threading.Event
    ) -> tuple[int, Mapping[str, str], bytes, float | None]:
        """Send a request once, when the limit has a place for it.

        Returns:
            Status, headers and body of the answer, and the seconds that the vendor asks to wait, if it does.
        """
        before = time.monotonic()
        with self.governor.place(cancelled) as place:
            with self._lock:
                self.tallies[request.stream].waited += time.monotonic() - before
            if self.denied:
                raise self.denied
            if cancelled.is_set():
                raise Cancelled
            sent = place.clock()
            status, headers, body = self._send(request)
            not_before = place.learn(status, headers, sent=sent)
        self.answered.set()
        return status, headers, body, not_before

    def _try(self, request: Request, open_body: Callable[[Reply], Any], cancelled: threading.Event) -> Reply:
        status, headers, body, not_before = self._asked(request, cancelled)
        try:
            self._classify(request, status, body, not_before)
        except Retriable as exc:
            if exc.not_before is None and status < HTTPStatus.BAD_REQUEST:
                # A no inside a yes: its headers count all the same.
                exc.not_before = self.governor.learn(HTTPStatus.SERVICE_UNAVAILABLE, headers)
            raise
        reply = Reply(request, status, headers, body)
        if status != HTTPStatus.NO_CONTENT:
            if not body:
                raise Retriable(f"an empty answer with HTTP {status}", final=BadAnswer)
            if page := words.page(body, request.personal):
                raise Retriable(f"{page} where JSON is expected", final=BadAnswer, remedy=_PAGE)
            try:
                reply = Reply(request, status, headers, one_line(body))
                parsed = open_body(reply)
            except BROKEN as exc:
                raise Retriable(f"an answer that is not what the vendor documents ({exc})", final=BadAnswer) from None
            except BadAnswer as exc:
                raise Retriable(exc.why or exc.what, final=BadAnswer) from None
            reply = replace(reply, parsed=parsed)
        self.succeeded.set()
        with self._lock:
            self.tallies[request.stream].answers += 1
        return reply

    def _send(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        prepared = self._prepare(request)
        with self._lock:
            self.tallies[request.stream].requests += 1
        try:
            # The adapter alone, no session around it: nothing then follows a redirect, keeps a cookie, reads a
            # ~/.netrc or changes a header, and its pool of connections is the only thing that threads share.
            with self.adapter.send(
                prepared, stream=True, timeout=self.timeout, verify=self.verify, proxies=self.proxies
            ) as response:
                return response.status_code, response.headers, self._read(request, response)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            if _is_untrusted(exc):
                raise Refused(
                    f"{request.about} failed",
                    "the server's certificate could not be verified",
                    "For a private certificate authority set ca_bundle",
                ) from None
            # The exception's own text holds the URL, which may hold personal data: its kind says enough.
            raise Retriable(f"no complete answer ({_kind(exc)})") from None

    def _read(self, request: Request, response: requests.Response) -> bytes:
        deadline = time.monotonic() + self.timeout * SLOW_BODY_FACTOR
        packed = "Content-Encoding" in response.headers
        chunks, size = [], 0
        # What has come and no more: a read that waits until it is full does not notice a body that comes in drops.
        while chunk := response.raw.read1(_PACKED_CHUNK if packed else _CHUNK, decode_content=packed):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                raise Refused(f"{request.about} failed", f"the answer is larger than {MAX_BODY // 2**20} MiB", _LESS)
            if time.monotonic() > deadline:
                raise Retriable(f"the answer was not complete after {self.timeout * SLOW_BODY_FACTOR:.0f} s")
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        # Counting takes time, and no answer has more values than bytes.
        if size > MOST_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
            raise Refused(f"{request.about} failed", f"the answer has more than {MOST_VALUES:,} values", _LESS)
        return body.removeprefix(codecs.BOM_UTF8)  # which RFC 8259 lets a reader ignore, and some servers write

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        headers, body = self.vendor.sign(request)
        url = self.base + request.path
        if request.params:
            # As text and with quote: the space in a date must be %20 and the plus of a phone number %2B.
            url += "?" + urlencode(request.params, quote_via=quote)
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, url
        prepared.headers = CaseInsensitiveDict({**self.headers, **headers})
        for name, value in prepared.headers.items():
            if not (value.isascii() and value.isprintable()):
                raise Refused(
                    f"{request.about} could not be asked for",
                    f"the value of the header {name} has characters that no header can carry",
                    "Look for a line break or a letter beyond ASCII in the credentials",
                )
        if body is not None:
            prepared.body = encode(body)
            prepared.headers["Content-Type"] = "application/json"
            prepared.headers["Content-Length"] = str(len(prepared.body))
        return prepared

    # -- what an answer means ----------------------------------------------------------------------

    def _classify(self, request: Request, status: int, body: bytes, not_before: float | None) -> None:
        try:
            self.vendor.refuse(request, status, body)
        except AccessDenied as exc:
            raise self._deny(exc) from None
        if not self.vendor.is_answer(status, body):
            reason, page = self.vendor.reason(body), words.page(body, request.personal)
            self.judge(request, status, reason=reason, page=page, not_before=not_before)

    def judge(  # noqa: PLR0913 - what a response is judged by, each named where it is called
        self,
        request: Request,
        status: int,
        *,
        reason: str = "",
        page: str = "",
        inside: str = "HTTP",
        not_before: float | None = None,
    ) -> None:
        """Raise what a status that is no success means.

        Args:
            request: What was asked.
            status: The status, from HTTP or from the vendor's own envelope.
            reason: The vendor's own words, if there are any.
            page: What to call the body, if it is a page for people.
            inside: Where the status was found.
            not_before: Seconds the vendor asks to wait.

        Raises:
            AccessDenied: 401, or 403 before any success.
            Retriable: 408, 425, 429 or 5xx.
            Unavailable: The vendor asks for a longer wait than a run should take.
            Refused: Anything else, redirects among it.
        """
        what, why = f"{request.about} failed", f"the vendor answered {inside} {status}"
        if reason := words.clean(reason, request.personal):
            why += f", saying: {reason}"
        elif page:
            why += f", with {page}"
        hint = self.vendor.hint(status)
        if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and not self.succeeded.is_set()):
            raise self._deny(AccessDenied(what, why, hint))
        if status in _RETRIED_4XX or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if not_before is not None and not_before > MAX_VENDOR_WAIT:
                self.breaker.open()  # every other request would be told the same
                raise Unavailable(what, f"the vendor asks to wait {not_before:.0f} s", "Run again after that time")
            raise Retriable(why, not_before=not_before)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            why = (
                f"the vendor answered with a redirect (HTTP {status}), which is never followed: it would carry the "
                "credentials to another address"
            )
            hint = "Set api_url to the address that the vendor serves the API on"
        raise Refused(what, why, hint, status=status)

    def _deny(self, denied: AccessDenied) -> AccessDenied:
        self.denied = denied
        return denied

    @property
    def host(self) -> str:
        """The configured host, for log lines."""
        return urlsplit(self.base).netloc.rpartition("@")[2]


def _is_untrusted(exc: BaseException) -> bool:
    """Whether it was the certificate: any other trouble with TLS is a network's fault and may pass."""
    seen: list[Any] = [exc]
    while seen:
        cause = seen.pop()
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        if isinstance(cause, BaseException):
            seen += [*cause.args, cause.__cause__, getattr(cause, "reason", None)]
    return False


def one_line(body: bytes) -> bytes:
    """A body whose rows can be passed on in parts: UTF-8, and no line break that would end a message in its middle.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
    """
    if not body.isascii():
        # A decoder that skips a text does not look at its letters. Decoding in pieces is no faster in a run, and its
        # many small blocks leave the heap in shreds: a quarter more peak memory with large pages.
        str(body, "utf-8")
    return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body


def _kind(exc: BaseException) -> str:
    kinds = {
        "ConnectTimeout": "the connection timed out",
        "ReadTimeout": "the answer timed out",
        "ReadTimeoutError": "the answer timed out",
        "IncompleteRead": "the answer was cut off",
        "ProtocolError": "the answer was cut off",
        "DecodeError": "the answer could not be decompressed",
        "ProxyError": "the proxy refused",
        "ConnectionError": "the connection failed",
    }
    return next((kinds[c.__name__] for c in type(exc).__mro__ if c.__name__ in kinds), type(exc).__name__)
