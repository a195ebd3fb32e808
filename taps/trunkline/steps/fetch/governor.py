"""Keep the vendor's limit: one governor per tap, which every request passes before it is sent and after its response.

A published limiter counts requests when they are sent. A server counts them when they arrive, and requests sent evenly
arrive bunched: so here a request holds its place from the moment it is sent until a whole period after its response.
Whatever moment in between the server counted it at, no period of the server's then holds more than the limit.
How fast a vendor without a published limit may be sent to is learned from its refusals (see `send_rate`).
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from trunkline import instants
from trunkline.steps.fetch.send_rate import SendRate

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping

LOGGED_FROM = 1.0
"""Waits from this length on, in seconds, are logged."""

CEILING = 900.0
"""Longest pause taken from a header, in seconds: a header may be wrong, and a run must not hang for ever."""

_EPOCH_FROM = 1_000_000_000  # a reset above this is a moment (seconds since 1970), below it a number of seconds
_JITTER = 0.05
_REFUSED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_LOOK = 0.5  # how often a waiting thread looks whether the run was cancelled


@dataclass(frozen=True)
class Limit:
    """At most `requests` in any `seconds`.

    Args:
        requests: Their number.
        seconds: The period.
        spread: Send them evenly, and not all at the beginning of the period.
    """

    requests: int
    seconds: float
    spread: bool = False

    @classmethod
    def per_minute(cls, number: float) -> Limit:
        """Return the limit of a `requests_per_minute` setting; below one it is a single request in a longer time."""
        requests = max(1, int(number))
        return cls(requests, 60.0 * requests / float(number), spread=True)

    def __str__(self) -> str:
        return f"{self.requests} requests in any {self.seconds:g} s"


class Governor:
    """Lets requests through so that the vendor's limit holds.

    Args:
        limit: The documented limit, or the configured one; None when there is none.
        logger: Logger of waits.
        clock: Monotonic seconds.
        wall: Seconds since 1970, for headers that name a moment.
        headers: How the vendor's own headers of the limit begin, before `-Remaining` and `-Reset`.
    """

    def __init__(
        self,
        limit: Limit | None,
        *,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        headers: str = "X-RateLimit",
    ) -> None:
        self.limit, self.logger, self.clock, self.wall = limit, logger, clock, wall
        self.wait: Callable[[threading.Condition, float], object] = lambda changed, seconds: changed.wait(seconds)
        """Waits for a change, at most so many seconds: the seam of tests that have a clock of their own."""
        self._prefixes = tuple(dict.fromkeys((headers, "X-RateLimit", "RateLimit")))
        self.waited = 0.0
        self._changed = threading.Condition()
        self._in_flight = 0
        self._finished: deque[float] = deque()
        self._paused_until = 0.0
        self._rate = SendRate(limit.requests / limit.seconds) if limit and limit.spread else SendRate()
        self._logged_at = float("-inf")

    @contextmanager
    def place(self, cancelled: threading.Event) -> Iterator[Governor]:
        """Hold one place among the requests in flight; waits until there is one, or until `cancelled` is set."""
        self._enter(cancelled)
        try:
            yield self
        finally:
            with self._changed:
                self._in_flight -= 1
                if self.limit:
                    self._finished.append(self.clock())
                self._changed.notify_all()

    def _enter(self, cancelled: threading.Event) -> None:
        began = self.clock()
        with self._changed:
            while not cancelled.is_set():
                now = self.clock()
                delay = self._delay(now)
                if delay <= 0:
                    break
                self._log_wait(delay, now)
                self.wait(self._changed, min(delay, _LOOK))
            self._in_flight += 1
            now = self.clock()
            self._rate.send(now)
            self.waited += now - began

    def _delay(self, now: float) -> float:
        delay = max(self._paused_until - now, self._rate.delay(now))
        if self.limit:
            while self._finished and self._finished[0] <= now - self.limit.seconds:
                self._finished.popleft()
            if self._in_flight + len(self._finished) >= self.limit.requests:
                # Without a finished request the place comes free when one in flight is finished: look again then.
                free = self._finished[0] + self.limit.seconds - now if self._finished else _LOOK
                delay = max(delay, free)
        return delay

    def _log_wait(self, delay: float, now: float) -> None:
        if delay >= LOGGED_FROM and now - self._logged_at >= delay:
            self._logged_at = now
            full = self.limit and self._in_flight + len(self._finished) >= self.limit.requests
            by_limit = full or (self._paused_until <= now and self._rate.rate == self._rate.most)
            why = f"for the vendor's limit ({self.limit})" if by_limit else "after a 429 or a Retry-After"
            self.logger.info("waiting %.1f s %s", delay, why)

    def learn(self, status: int, headers: Mapping[str, str], *, sent: float = float("inf")) -> float | None:
        """Learn from a response about the limit.

        Args:
            status: HTTP status.
            headers: `Retry-After` (seconds, date or epoch), `X-RateLimit-*`, `RateLimit-*` and the vendor's are read.
            sent: When the request was sent, on the governor's clock: a 429 to one that was sent before the rate was
                last cut means nothing for the rate since.

        Returns:
            Seconds the vendor requests to wait before another try, if any.
        """
        wait = self._requested_wait(headers)
        left = (headers.get(f"{prefix}-Remaining") for prefix in self._prefixes)
        remaining = _number(next(filter(None, left), None))
        # A published limit's period frees its places; a user's own limit means nothing for the vendor's.
        period = self.limit.seconds if self.limit and not self.limit.spread else None
        refused = status in _REFUSED or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        with self._changed:
            now = self.clock()
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                self._rate.refuse(now, sent, max(self._in_flight - 1, 0))
                if wait is None and period:
                    wait = period
            elif status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._rate.accept(now, sent)
                if remaining is not None and remaining < 1 and (wait or period):
                    self._pause(wait or period or 0.0)
            if refused and wait is not None:
                self._pause(wait)
        return wait if refused else None

    def _pause(self, seconds: float) -> None:
        seconds = min(seconds, CEILING)
        # Spread, so that other clients with the same header are not met again at the same moment.
        now = self.clock()
        until = now + seconds + random.uniform(0, _JITTER * min(seconds, 10.0))  # noqa: S311 - no secret
        if until > self._paused_until:
            self._rate.hold(until - max(self._paused_until, now))
            self._paused_until = until

    def _requested_wait(self, headers: Mapping[str, str]) -> float | None:
        """Return seconds until the moment the headers name, measured on the server's own clock if it sends it.

        A moment that has passed, or none at all (`Retry-After: 0`), is ignored: another header may count.
        """
        for name in ("Retry-After", *(f"{prefix}-Reset" for prefix in self._prefixes)):
            text = headers.get(name, "").strip()
            seconds = self._seconds(text, headers) if text else None
            if seconds is not None and seconds > 0:
                return seconds
        return None

    def _seconds(self, text: str, headers: Mapping[str, str]) -> float | None:
        number = _number(text)
        if number is not None and number < _EPOCH_FROM:
            return number
        moment = number / (1000 if number > _EPOCH_FROM * 1000 else 1) if number is not None else _date(text)
        return None if moment is None else moment - (_date(headers.get("Date", "")) or self.wall())


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _date(text: str) -> float | None:
    """Return seconds since 1970 of an HTTP date or of ISO 8601, which Zoom writes; without a zone it is UTC."""
    read = instants.from_iso if text[4:5] == "-" else parsedate_to_datetime
    try:
        moment = read(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
