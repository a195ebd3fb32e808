"""The client: one request with all its tries. One request in, one reply that is what the vendor documents out."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import backoff
import msgspec

from trunkline.errors import AccessDenied, BadResponse, Refused, SourceError, Unavailable
from trunkline.exact import BROKEN
from trunkline.steps.fetch import words
from trunkline.steps.fetch.breaker import Breaker
from trunkline.steps.fetch.exchange import RETRIED_4XX, Exchanges, Reply, Request, Retriable, TokenRequest
from trunkline.steps.fetch.vendor import Signer

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from requests.adapters import BaseAdapter

    from trunkline.steps.fetch.governor import Governor
    from trunkline.steps.fetch.vendor import Vendor

__all__ = ["Cancelled", "Client", "Reply", "Request", "Retriable", "Tally", "one_line"]

MAX_WAIT = 60.0
"""Longest wait between two tries, in seconds, unless the vendor names a later moment."""

MAX_VENDOR_WAIT = 900.0
"""Longest wait a vendor can request, in seconds, before the request counts as failed."""

CONNECT_TRIES = 2
"""Tries of a run's first request while no connection can be made: a wrong host stays wrong."""

_REPORT = "Run again; if it fails again, report it with the vendor's documentation"
_AFTER = "Run again after that time"
_PAGE = "Check {}, and whether a login, a proxy or a gateway stands before the API"


class Cancelled(Exception):  # noqa: N818 - nothing failed: the response is simply not needed any more
    """The request was given up because the run ends."""


@dataclass
class Tally:
    """Counts of what the client did, for the table at the end of the run.

    Args:
        responses: Requests that succeeded: pages, details, lookups.
        requests: Requests sent.
        retries: Those of them that were second and later tries.
        waited: Seconds waited for the vendor's limit and between tries, over all requests.
    """

    responses: int = 0
    requests: int = 0
    retries: int = 0
    waited: float = 0.0


class Client:
    """Sends requests for one tap: signs, waits, retries and classifies. Safe to use from many threads.

    Args:
        vendor: The vendor's ways.
        api_url: What stands before every path; may carry a path prefix of its own, so it is joined as text.
        more_urls: Other base URLs by the settings that name them (`Request.base`).
        timeout: The setting `request_timeout`, in seconds (see `trunkline.steps.fetch.deadline`).
        max_attempts: Tries per request.
        user_agent: The `User-Agent` header.
        ca_bundle: Path of a private certificate authority, if any.
        pool_size: Connections kept open, at least as many as requests are in flight.
        governor: Keeps the vendor's limit.
        transport: Adapter in place of the network; the seam that tests use.
        logger: Logger of retries and waits.
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
        more_urls: Mapping[str, str] | None = None,
    ) -> None:
        self.vendor, self.timeout, self.max_attempts, self.logger = vendor, timeout, max_attempts, logger
        self.exchanges = Exchanges(
            api_url=api_url,
            more_urls=more_urls or {},
            timeout=timeout,
            user_agent=user_agent,
            ca_bundle=ca_bundle,
            pool_size=pool_size,
            transport=transport,
        )
        sign: Any = vendor.sign
        self.signer: Signer | None = sign if isinstance(sign, Signer) else None
        self.governor = governor
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.breaker = Breaker()
        self.responded = threading.Event()  # any response at all: the server is there
        self._reached: set[str] = set()  # base URLs whose servers are there
        self.succeeded = threading.Event()
        self.denied: AccessDenied | None = None
        self.forbidden: dict[str, str] = {}  # streams and partitions that got a 403, and the reason
        self.only = False
        """Whether the run reads one stream or partition alone, so that its 403 is that of the credentials."""
        self.wait: Callable[[threading.Event, float], bool] = lambda event, seconds: event.wait(seconds)
        """Waits between two tries, for so many seconds, and returns whether the event was set meanwhile."""
        self._lock = threading.Lock()

    @property
    def tally(self) -> Tally:
        """The counts of all streams together."""
        each = list(self.tallies.values())
        return Tally(*(sum(getattr(one, field.name) for one in each) for field in fields(Tally)))

    # -- one request, all its tries ----------------------------------------------------------------

    def fetch(self, request: Request, open_body: Callable[[Reply], Any], cancelled: threading.Event) -> Reply:
        """Send a request until it succeeds.

        Args:
            request: Request to send.
            open_body: Decodes what stands beside the rows and checks the form of the response. It raises `BadResponse`
                or any msgspec error for a body that is not what the vendor documents: the request is then tried again.
            cancelled: Set when the response is not needed any more: waits end at once.

        Returns:
            The reply, its body checked, with what `open_body` returned in `parsed`.

        Raises:
            AccessDenied: The credentials are refused.
            Refused: The vendor refuses this request.
            Unavailable: All tries failed.
            BadResponse: Every try brought a response of the wrong form.
            Cancelled: The run ended meanwhile.
        """
        began = time.monotonic()
        waits = backoff.expo(base=2, factor=1, max_value=MAX_WAIT)
        next(waits)
        endpoint = request.endpoint or request.stream
        most = self.breaker.tries(endpoint, self.max_attempts)
        if not most:
            raise Unavailable(
                f"{request.about} was not sent", self.breaker.why, self.breaker.remedy, code=self.breaker.code
            )
        attempt, renewed = 0, False
        while True:
            attempt += 1
            try:
                reply = self._try(request, open_body, cancelled)
            except AccessDenied as exc:
                self._renew(request, exc, cancelled, again=renewed)
                attempt, renewed = attempt - 1, True
            except Retriable as exc:
                tries = min(most, CONNECT_TRIES) if self._is_out_of_reach(request, exc) else most
                if attempt >= tries:
                    if tries < most:
                        self.breaker.open(exc.why, exc.remedy, exc.code)
                    self.breaker.failure(endpoint, began, probe=most < self.max_attempts)
                    raise self._failed(request, exc, attempt) from None
                # The vendor's word is a lower bound: a `Retry-After: 0` must not spend all tries in a few milliseconds.
                wait = max(backoff.full_jitter(next(waits) or 1.0), exc.not_before or 0.0)
                self._pause(
                    request,
                    wait,
                    f"{request.about}: {exc.why}; try {attempt + 1} of {tries} in {wait:.1f} s",
                    cancelled,
                )
            except Refused:
                self.breaker.success()  # a response, if not the one that was hoped for
                raise
            else:
                self.breaker.success()
                return reply

    def _renew(self, request: Request, refused: AccessDenied, cancelled: threading.Event, *, again: bool) -> None:
        """Fetch another access token, where the one that was sent may have ended.

        Args:
            request: What was refused.
            refused: How.
            cancelled: Set when the response is not needed any more.
            again: Whether it was sent with another token before.

        Raises:
            AccessDenied: A token that was renewed is refused too, or nothing here can be renewed.
        """
        if again:
            raise self._deny(AccessDenied(refused.what, f"{refused.why}, also with a new token", refused.remedy))
        renewable = refused.status == HTTPStatus.UNAUTHORIZED and not isinstance(request, TokenRequest)
        if self.signer is None or self.denied or not renewable:
            raise self._deny(refused)
        self.logger.info("%s: HTTP 401; it is sent once more, with a new access token", request.about)
        try:
            self.signer.renew(cancelled)
        except AccessDenied as exc:
            raise self._deny(exc) from None

    def _is_out_of_reach(self, request: Request, exc: Retriable) -> bool:
        """Return whether no connection could be made since the run began."""
        return exc.trouble is not None and not exc.trouble.connected and request.base not in self._reached

    @staticmethod
    def _failed(request: Request, exc: Retriable, tries: int) -> SourceError:
        counted = f"{tries} tries, the last" if tries > 1 else "one try"
        remedy = exc.remedy or ("Run again later" if exc.final is Unavailable else _REPORT)
        return exc.final(f"{request.about} failed", f"{counted}: {exc.why}", remedy, code=exc.code)

    def _pause(self, request: Request, seconds: float, message: str, cancelled: threading.Event) -> None:
        self.logger.warning(message)
        with self._lock:
            self.tallies[request.stream].retries += 1
            self.tallies[request.stream].waited += seconds
        if self.wait(cancelled, seconds):
            raise Cancelled

    # -- one try -----------------------------------------------------------------------------------

    def _exchange(
        self, request: Request, cancelled: threading.Event
    ) -> tuple[int, Mapping[str, str], bytes, float | None]:
        """Send a request once, when the limit has a place for it.

        Returns:
            Status, headers and body of the response, and the seconds that the vendor requests to wait, if any.
        """
        if self.signer and not isinstance(request, TokenRequest):
            self.signer.prepare(cancelled)  # before it has a place: the token's own request needs one
        before = time.monotonic()
        with self.governor.place(cancelled) as place:
            with self._lock:
                self.tallies[request.stream].waited += time.monotonic() - before
            if self.denied:
                raise self.denied
            if cancelled.is_set():
                raise Cancelled
            if why := self.forbidden.get(request.stream):
                hint = self.vendor.hint(HTTPStatus.FORBIDDEN)
                raise Refused(f"{request.about} was not sent", why, hint, status=HTTPStatus.FORBIDDEN, code="forbidden")
            sent = place.clock()
            status, headers, body = self._send(request)
            not_before = place.learn(status, headers, sent=sent)
        self.responded.set()
        self._reached.add(request.base)
        return status, headers, body, not_before

    def _try(self, request: Request, open_body: Callable[[Reply], Any], cancelled: threading.Event) -> Reply:
        status, headers, body, not_before = self._exchange(request, cancelled)
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
                raise Retriable(f"an empty response with HTTP {status}", final=BadResponse, code="not-json")
            if page := words.page(body, request.personal):
                remedy = _PAGE.format(request.base or "api_url")
                raise Retriable(f"{page} where JSON is expected", final=BadResponse, remedy=remedy, code="not-json")
            try:
                reply = Reply(request, status, headers, one_line(body))
                parsed = open_body(reply)
            except BROKEN as exc:
                raise Retriable(f"not what the vendor documents ({exc})", final=BadResponse) from None
            except BadResponse as exc:
                raise Retriable(exc.why or exc.what, final=BadResponse) from None
            reply = replace(reply, parsed=parsed)
        if not isinstance(request, TokenRequest):  # a token shows nothing of what may be read with it
            self.succeeded.set()
        with self._lock:
            self.tallies[request.stream].responses += 1
        return reply

    def _send(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        headers, body = self._vendor(request).sign(request)
        prepared = self.exchanges.prepare(request, headers, body)
        with self._lock:
            self.tallies[request.stream].requests += 1
        return self.exchanges.send(request, prepared)

    def _vendor(self, request: Request) -> Vendor:
        """Return the ways of the server that a request is for."""
        return self.signer if self.signer and isinstance(request, TokenRequest) else self.vendor

    # -- what a response means --------------------------------------------------------------------

    def _classify(self, request: Request, status: int, body: bytes, not_before: float | None) -> None:
        vendor = self._vendor(request)
        vendor.refuse(request, status, body)
        if not vendor.is_success(status, body):
            reason, page = vendor.reason(body), words.page(body, request.personal)
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
            request: Request that was sent.
            status: The status, from HTTP or from the vendor's own envelope.
            reason: The vendor's own words, if there are any.
            page: What to call the body, if it is a page for people.
            inside: Where the status was found.
            not_before: Seconds the vendor requests to wait.

        Raises:
            AccessDenied: 401; 403s of two streams or partitions before any success.
            Retriable: 408, 425, 429 or 5xx.
            Unavailable: The vendor requests a longer wait than a run should take.
            Refused: Anything else, redirects among it.
        """
        what, why = f"{request.about} failed", f"the vendor responded with {inside} {status}"
        if reason := words.one_line(reason, request.personal):
            why += f": {reason}"
        elif page:
            why += f", with {page}"
        hint = self._vendor(request).hint(status)
        if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and self._is_forbidden(request, why)):
            raise AccessDenied(what, why, hint, status=status)
        if status in RETRIED_4XX or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if not_before is not None and not_before > MAX_VENDOR_WAIT:
                wait = f"the vendor requests a wait of {not_before:.0f} s"
                self.breaker.open(wait, _AFTER, "rate-limited")  # every other request would get the same response
                raise Unavailable(what, wait, _AFTER, code="rate-limited")
            limited = status == HTTPStatus.TOO_MANY_REQUESTS
            raise Retriable(why, not_before=not_before, code="rate-limited" if limited else "")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise Refused(
                what,
                f"the vendor responded with a redirect (HTTP {status}), which is never followed: it would carry the "
                "credentials to another address",
                f"Set {request.base or 'api_url'} to the address that the vendor serves the API on",
                status=status,
                code="redirect",
            )
        code = "forbidden" if status == HTTPStatus.FORBIDDEN else ""
        raise Refused(what, why, hint, status=status, code=code)

    def _is_forbidden(self, request: Request, why: str) -> bool:
        """Take note of a 403, which costs its stream or partition one request; whether it is about the credentials."""
        with self._lock:
            self.forbidden[request.stream] = why
            return not self.succeeded.is_set() and (self.only or len(self.forbidden) > 1)

    def _deny(self, denied: AccessDenied) -> AccessDenied:
        self.denied = denied
        return denied

    @property
    def host(self) -> str:
        """The host of `api_url`, for log lines."""
        return urlsplit(self.exchanges.bases["api_url"].url).netloc.rpartition("@")[2]


def one_line(body: bytes) -> bytes:
    """Return a body whose rows can be passed on in parts: UTF-8, and no line break that would end a message.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
    """
    if not body.isascii():
        # A decoder that skips a text does not look at its letters. Decoding in pieces is no faster in a run, and its
        # many small blocks fragment the heap: a quarter more peak memory with large pages.
        str(body, "utf-8")
    return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body
