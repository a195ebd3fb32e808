"""Faults on demand: what servers, proxies and networks do to a response, by rule."""

from __future__ import annotations

import math
import random
import re
import zlib
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from trunkline_sandbox.messages import BODILESS, JSON, Request, Response
from trunkline_sandbox.vendor import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trunkline_sandbox.vendor import Vendor

_HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>"
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Fault:
    """One rule.

    Attributes:
        kind: What happens; see `KINDS`.
        match: Regular expression searched in `METHOD /vendor/path?query body`; the empty one finds every request.
        times: How often it happens at most; None: always.
        rate: Share of the matching requests (0 to 1) that it happens to, drawn with the sandbox's seed; None: all.
        after: Matching requests that pass before the rule starts.
        handled: For faults that replace the response: the vendor acts on the request first, so that a write is done
            although its response is lost.
        status: HTTP status of `status`.
        headers: Headers of `status` and of every fault that makes a response of its own. `{date:2}` in a value becomes
            the HTTP date two seconds after the response, `{epoch:2}` and `{epoch_ms:2}` that moment in (milli)seconds
            since 1970, rounded up to a whole second: a wait until then is long enough.
        body: Text of a response instead of the kind's own.
        seconds: Length of `stall` and `slow_body`; period of `limit`.
        url: Where `redirect` points.
        by: How far `wrong_total` is off; size of `gzip_bomb` unpacked, in MiB; requests of `limit` in its period.
        label: What `Faults.fired` counts it under; the empty one is the kind.
    """

    kind: str
    match: str = ""
    times: int | None = None
    rate: float | None = None
    after: int = 0
    handled: bool = False
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 30.0
    url: str = "https://elsewhere.example/"
    by: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}: there are {', '.join(KINDS)}")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"a fault's rate is a share from 0 to 1, not {self.rate!r}")
        try:
            re.compile(self.match)
        except re.error as problem:
            raise ValueError(f"a fault's match is a regular expression: {self.match!r}: {problem}") from problem

    def respond(self, status: int, body: bytes, *headers: tuple[str, str]) -> Response:
        """Return a response of the fault's own."""
        if self.body is not None:
            body = self.body.encode()
        return Response(status, (*headers, *self.headers.items()), body)


class _Rule:
    """A fault and how often it has been met."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self.pattern = re.compile(fault.match) if fault.match else None
        self.seen = 0
        self.used = 0
        self.dice = random.Random(seed)  # noqa: S311 - faults in a simulator

    def matches(self, text: str) -> bool:
        fault = self.fault
        if fault.times is not None and self.used >= fault.times:
            return False
        if self.pattern is not None and not self.pattern.search(text):
            return False
        self.seen += 1
        return self.seen > fault.after and (fault.rate is None or self.dice.random() < fault.rate)


class Faults:
    """The rules in force; the first that fires decides what happens to a request.

    Args:
        seed: Decides which requests a `rate` hits.
    """

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._rules: list[_Rule] = []
        self._count = 0

    def __iter__(self) -> Iterator[Fault]:
        return (rule.fault for rule in tuple(self._rules))

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, *faults: Fault) -> None:
        """Put rules behind those in force."""
        for fault in faults:
            self._count += 1
            self._rules.append(_Rule(fault, f"{self._seed}/{self._count}"))

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def fired(self) -> dict[str, int]:
        """Count how often each kind (or label, where a rule has one) in force has happened."""
        counts: dict[str, int] = {}
        for rule in self._rules:
            name = rule.fault.label or rule.fault.kind
            counts[name] = counts.get(name, 0) + rule.used
        return counts

    def play(self, vendor: Vendor, whole: Request, request: Request) -> Response:
        """Return the vendor's response after the rules.

        Args:
            vendor: The vendor.
            whole: The request as it came, for matching.
            request: The request as the vendor sees it.
        """
        if self._rules:
            text = f"{whole.method} {whole.target} {whole.body.decode(errors='replace')}"
            for rule in self._rules:
                if rule.matches(text):
                    fault = _dated(rule.fault, vendor.world.clock().timestamp())
                    response = KINDS[fault.kind](fault, vendor, request)
                    if response is not None:
                        rule.used += 1
                        return response
        return vendor.handle(request)


def of(values: Mapping[str, Any]) -> Fault:
    """Return a fault from JSON.

    Raises:
        ValueError: When a name or a value is wrong.
    """
    try:
        return Fault(**values)
    except TypeError as problem:
        raise ValueError(f"a fault is an object with kind, match, times, rate, after and so on: {problem}") from problem


_MOMENT = re.compile(r"\{(date|epoch|epoch_ms):(\d+)\}")


def _dated(fault: Fault, now: float) -> Fault:
    """Return the fault with the moments that its headers name, counted from now (seconds since 1970)."""
    if not any("{" in value for value in fault.headers.values()):
        return fault

    def moment(found: re.Match[str]) -> str:
        at = math.ceil(now) + int(found[2])
        return formatdate(at, usegmt=True) if found[1] == "date" else str(at * 1000 if found[1] == "epoch_ms" else at)

    return replace(fault, headers={name: _MOMENT.sub(moment, value) for name, value in fault.headers.items()})


def _first(fault: Fault, vendor: Vendor, request: Request) -> None:
    if fault.handled:
        vendor.handle(request)


def _status(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    if fault.status in BODILESS:
        return fault.respond(fault.status, b"")
    return fault.respond(fault.status, b'{"error":"injected"}', JSON)


def _limit(fault: Fault, vendor: Vendor, request: Request) -> Response | None:
    """Return a 429 beyond a number of requests in any so many seconds; those that are refused do not count."""
    left, _ = vendor.taken.take(vendor.world.clock().timestamp(), fault.by, fault.seconds)
    return None if left >= 0 else _status(replace(fault, status=429), vendor, request)


def _reset(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    return Response(reset=True)


def _stall(fault: Fault, vendor: Vendor, request: Request) -> Response:
    return replace(vendor.handle(request), stall=fault.seconds)


def _cut(_: Fault, vendor: Vendor, request: Request) -> Response:
    response = vendor.handle(request)
    return replace(response, cut=len(response.body) // 2)


def _slow_body(fault: Fault, vendor: Vendor, request: Request) -> Response:
    return replace(vendor.handle(request), drip=fault.seconds)


def _html200(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    return fault.respond(200, _HTML, ("Content-Type", "text/html; charset=utf-8"))


def _empty200(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    return fault.respond(200, b"", JSON)


def _broken_json(fault: Fault, vendor: Vendor, request: Request) -> Response:
    """Return a response that is complete on the wire, but without its last third."""
    response = vendor.handle(request)
    return fault.respond(200, response.body[: len(response.body) * 2 // 3] + b",,", JSON)


def _other_envelope(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    return fault.respond(200, b'{"result":[],"message":"This is not the envelope you know"}', JSON)


def _redirect(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    return fault.respond(302, b"", ("Location", fault.url))


def _repeat_page(_: Fault, vendor: Vendor, request: Request) -> Response | None:
    try:
        before = vendor.page_before(request)
    except RefusedError:  # a page that there is not
        before = None
    return None if before is None else vendor.handle(before)


def _ignore_filter(_: Fault, vendor: Vendor, request: Request) -> Response | None:
    everything = vendor.unfiltered(request)
    return None if everything is None else vendor.handle(everything)


def _wrong_total(fault: Fault, vendor: Vendor, request: Request) -> Response | None:
    return vendor.miscounted(vendor.handle(request), fault.by)


def _echo_secret(_: Fault, vendor: Vendor, request: Request) -> Response:
    del vendor
    echo = {"headers": dict(request.headers), "body": request.body.decode(errors="replace")}
    return Response.json({"error": "Bad request", "request": echo}, 400)


def _gzip_bomb(fault: Fault, vendor: Vendor, request: Request) -> Response:
    _first(fault, vendor, request)
    return Response(200, (JSON, ("Content-Encoding", "gzip")), _bomb(max(fault.by, 1)))


def _meta_error(_: Fault, vendor: Vendor, request: Request) -> Response:
    del request
    return vendor.soft_error()


@lru_cache(maxsize=2)
def _bomb(mebibytes: int) -> bytes:
    """Return a valid JSON array with one very long text, packed about a thousandfold."""
    pack = zlib.compressobj(6, zlib.DEFLATED, 31)
    parts = [pack.compress(b'["')]
    parts += [pack.compress(b"x" * _MEBIBYTE) for _ in range(mebibytes)]
    return b"".join((*parts, pack.compress(b'"]'), pack.flush()))


KINDS: Mapping[str, Callable[[Fault, Any, Request], Response | None]] = {
    "status": _status,
    "limit": _limit,
    "reset": _reset,
    "stall": _stall,
    "cut": _cut,
    "html200": _html200,
    "empty200": _empty200,
    "broken_json": _broken_json,
    "other_envelope": _other_envelope,
    "redirect": _redirect,
    "repeat_page": _repeat_page,
    "ignore_filter": _ignore_filter,
    "wrong_total": _wrong_total,
    "echo_secret": _echo_secret,
    "gzip_bomb": _gzip_bomb,
    "slow_body": _slow_body,
    "meta_error": _meta_error,
}
"""Kinds of faults. A kind returns None for a request it has nothing to do with; that does not count."""
