"""The rate of sending to a vendor whose limit is not known: it remembers where a 429 showed the limit."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

CUT = 0.7
"""Share of the refused rate that is left after a 429, as botocore's adaptive mode and TCP CUBIC have it."""

RETURN, RETURN_TO_LIMIT = 15, 60
"""Successes after which the refused rate is reached again. A vendor that has once shown a limit is probed less often:
each probe costs a refused request."""

HORIZON = 60.0
"""Seconds over which the rate that the vendor accepts is measured."""

SLOWEST = 1 / 60
"""Requests in a second at least, so that a run notices when the vendor accepts requests again."""

_BURST = 0.1  # seconds of the rate that may be sent at once: shorter waits are not worth their cost
_RECENT, _FEW = 32, 8  # requests among which the rate of sending is measured, over so many at a time
_INSTANT = 1e-3  # seconds that so many requests take at least
_IN_VAIN = 2  # requests refused one after the other until it is a limit and no chance
_MANY = 3  # requests under way that are refused as well (of many a third, of few all) until it is no chance either
_FORGOTTEN = 1.5  # how far the curve has to come past the refused rate until the limit is no longer believed in


@dataclass
class _Refusal:
    """The latest 429 to a request that was sent after the rate was last cut.

    Args:
        at: When it came.
        beside: Other requests under way then.
        also: Those of them that were refused as well.
    """

    at: float
    beside: int
    also: int = 0


class SendRate:
    """A token bucket whose rate follows what the vendor accepts.

    A 429 cuts the rate by a third of what was refused. It returns along a cubic curve: soon near the refused rate,
    there for a while, then past it, faster and faster. When several requests under way are refused too, or three in
    a row, the vendor has a limit that was far exceeded: the next requests are probes, each after half as much time
    again as passed since the last success, and when one succeeds the rate becomes the one at which requests were
    accepted on average.

    Args:
        most: Requests in a second that are never exceeded.
    """

    def __init__(self, most: float = math.inf) -> None:
        self.most = self.rate = most
        self._tokens, self._counted_at = 1.0, -math.inf
        self._sent: deque[float] = deque(maxlen=_RECENT)  # on a clock that stands still while all are held back
        self._held = 0.0  # seconds that it stood still
        self._began: float | None = None
        self._accepted: deque[list[float]] = deque()  # a second, and the number of requests accepted in it
        self._accepted_at = -math.inf
        self._refusal = _Refusal(-math.inf, 0)
        self._refused_rate: float | None = None  # None: as fast as may be
        self._successes, self._return = 0, RETURN
        self._in_vain = 0  # refusals since the latest success
        self._probing = self._limited = False

    def delay(self, now: float) -> float:
        """Return seconds until the next request may be sent; 0 when it may be now."""
        if math.isinf(self.rate):
            return 0.0
        missing = 1 - self._tokens_at(now)
        return missing / self.rate if missing > 1e-9 else 0.0  # noqa: PLR2004 - what a float may be off by

    def send(self, now: float) -> None:
        """Count a request that is sent now."""
        if self._began is None:
            self._began = self._accepted_at = now
        self._tokens, self._counted_at = self._tokens_at(now) - 1, now
        self._sent.append(now - self._held)

    def hold(self, seconds: float) -> None:
        """Leave out of the measured rate a time in which nothing is sent because the vendor requires it."""
        self._held += seconds

    def accept(self, now: float, sent: float) -> None:
        """Note a response that is no 429, to a request sent at `sent`."""
        self._count_accepted(now)
        if sent < self._refusal.at:
            return  # it was sent at the rate before
        if self._probing:
            number, seconds = self._accepted_of_late(now)
            self._refused_rate, self._return, self._successes = number / seconds, RETURN_TO_LIMIT, 0
            self._probing = False
        if self._refused_rate is not None:
            self._successes += 1
            self._follow_curve(now, self._refused_rate)

    def refuse(self, now: float, sent: float, beside: int) -> None:
        """Take note of a 429 to a request sent at `sent`, with `beside` others still under way."""
        refusal = self._refusal
        if sent < refusal.at:
            # One of several sent at the same rate: no reason to cut it again, but a sign that it is the rate.
            refusal.also += 1
            many = min(refusal.beside, max(_MANY, refusal.beside / _MANY))
            if refusal.also >= many > 1 and not self._probing:
                self._probe(now)
            return
        self._refusal = _Refusal(now, beside)
        self._in_vain += 1
        if self._probing or self._in_vain > _IN_VAIN:
            self._probe(now)
            return
        self._refused_rate = min(self.rate, self._measured(now))
        self._return, self._successes = RETURN_TO_LIMIT if self._limited else RETURN, 0
        self._follow_curve(now, self._refused_rate)

    # -- how fast ----------------------------------------------------------------------------------

    def _follow_curve(self, now: float, refused_rate: float) -> None:
        part = self._successes / self._return - 1
        if part > _FORGOTTEN:
            self._limited = False
        self._set(now, refused_rate * (1 + (1 - CUT) * part**3))
        if self.rate == self.most:
            self._refused_rate = None

    def _probe(self, now: float) -> None:
        self._probing = self._limited = True
        self._set(now, 1 / max(1.0, (now - self._accepted_at) / 2))
        self._tokens = 0.0

    def _set(self, now: float, rate: float) -> None:
        self._tokens, self._counted_at = self._tokens_at(now), now
        self.rate = min(max(rate, SLOWEST), self.most)

    def _tokens_at(self, now: float) -> float:
        if math.isinf(self.rate):
            return 1.0
        return min(self._tokens + (now - self._counted_at) * self.rate, max(1.0, self.rate * _BURST))

    # -- what is measured --------------------------------------------------------------------------

    def _measured(self, now: float) -> float:
        """Return the requests in a second, as they were sent of late.

        Towards a limit, on the average. Otherwise at the fastest: where workers wait for their next tries, less is sent
        than might be, and a rate cut from that would sink with each refusal.
        """
        sent = self._sent
        if len(sent) < 2:  # noqa: PLR2004 - a rate takes two
            return 1.0
        if self._limited:
            return len(sent) / max(now - self._held - sent[0], _INSTANT)
        few = min(_FEW, len(sent) - 1)
        return max(few / max(sent[place] - sent[place - few], _INSTANT) for place in range(few, len(sent)))

    def _count_accepted(self, now: float) -> None:
        self._accepted_at, self._in_vain = now, 0
        second = math.floor(now)
        if self._accepted and self._accepted[-1][0] == second:
            self._accepted[-1][1] += 1
        else:
            self._accepted.append([second, 1])
        while self._accepted[0][0] < now - HORIZON:
            self._accepted.popleft()

    def _accepted_of_late(self, now: float) -> tuple[float, float]:
        """Count the requests accepted within the horizon, and its seconds, waits included."""
        began = now if self._began is None else self._began
        return sum(number for _, number in self._accepted), max(min(now - began, HORIZON), 1.0)
