"""The breaker: no endpoint that is down gets every request through every try."""

from __future__ import annotations

import threading
import time
from collections import Counter

PROBES, PROBE_TRIES = 3, 2
"""After a request has used up its tries: how many others of an endpoint are tried, and how often, until it is down."""

_DOWN, _LATER = "the vendor is down", "Run again later"


class Breaker:
    """Breaker of all requests of a tap: separates one broken partition, or endpoint, from a vendor that is down."""

    def __init__(self) -> None:
        self._tripped = self._shut = False
        self.why, self.remedy, self.code = _DOWN, _LATER, ""
        """Why nothing is sent any more, what to do, and the code of that."""
        self._probes_failed: Counter[str] = Counter()  # by endpoint: one that is broken means little for the others
        self._last_success = float("-inf")
        self._lock = threading.Lock()

    def tries(self, endpoint: str, max_attempts: int) -> int:
        """Return the number of tries of a new request: all; a few, as a probe; or none, when the vendor is down."""
        if not self._tripped:
            return max_attempts
        return 0 if self._shut or self._probes_failed[endpoint] >= PROBES else min(PROBE_TRIES, max_attempts)

    def success(self) -> None:
        """Note that the vendor responded: whatever failed before was that request's own trouble."""
        with self._lock:
            self._tripped = self._shut = False
            self.why, self.remedy, self.code = _DOWN, _LATER, ""
            self._probes_failed.clear()
            self._last_success = time.monotonic()

    def open(self, why: str, remedy: str, code: str) -> None:
        """Send nothing more: the vendor is closed for long, by its own response, or it can't be reached at all."""
        with self._lock:
            self._tripped = self._shut = True
            self.why, self.remedy, self.code = why, remedy or _LATER, code

    def failure(self, endpoint: str, began: float, *, probe: bool) -> None:
        """Note a request, begun at `began`, that used up its tries; it counts if nothing else succeeded meanwhile."""
        with self._lock:
            if self._last_success < began:
                self._probes_failed[endpoint] += probe and self._tripped
                self._tripped = True
