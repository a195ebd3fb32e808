"""Faults of the soak, and how often they happen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tools.soak import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Kind(NamedTuple):
    """A way to fail, and the share of all faults that it has."""

    label: str
    share: float
    rule: dict[str, Any]


def kinds() -> list[Kind]:
    """Return every way to fail; 429 is rarer than the rest because it slows a tap down for all that follows."""
    limited = {
        "429, Retry-After in seconds": {"Retry-After": "1"},
        "429, Retry-After as a date": {"Retry-After": "{date:1}"},
        "429, X-RateLimit-Reset as epoch": {"X-RateLimit-Reset": "{epoch:1}"},
        "429, X-RateLimit-Reset as epoch ms": {"X-RateLimit-Reset": "{epoch_ms:1}"},
        "429, RateLimit-Reset in seconds": {"RateLimit-Reset": "1"},
    }
    return [
        Kind("503 that repeats the credentials", 0.20, {"kind": "status", "status": 503}),
        Kind("503, Retry-After in seconds", 0.04, {"kind": "status", "status": 503, "headers": {"Retry-After": "1"}}),
        *(Kind(name, 0.015, {"kind": "status", "status": 429, "headers": h}) for name, h in limited.items()),
        Kind("reset", 0.19, {"kind": "reset"}),
        Kind("stall, shorter than the timeout", 0.06, {"kind": "stall", "seconds": TIMEOUT / 3}),
        Kind("stall, longer than the timeout", 0.05, {"kind": "stall", "seconds": TIMEOUT * 1.5}),
        Kind("body that comes in drops", 0.03, {"kind": "slow_body", "seconds": TIMEOUT / 2}),
        Kind("body cut off by the connection", 0.165, {"kind": "cut"}),
        Kind("half a body, declared to be whole", 0.06, {"kind": "broken_json"}),
        Kind("HTML with status 200", 0.13, {"kind": "html200"}),
    ]


def rules(vendor: str, credentials: Sequence[str], rate: float) -> Iterator[dict[str, Any]]:
    """Yield the faults of one vendor as the sandbox takes them, so that each share is one of all requests."""
    left = 1.0
    for kind in kinds():
        share = kind.share * rate
        # Rules are tried one after the other: a later one only meets what the earlier ones have left.
        rule = {**kind.rule, "rate": share / left, "match": rf"^\S+ /{vendor}/", "label": f"{vendor}: {kind.label}"}
        if "credentials" in kind.label:
            rule["body"] = _echo(credentials)
        left -= share
        yield rule


def _echo(credentials: Sequence[str]) -> str:
    """Return an error in every vendor's envelope at once, in each of the places that a tap may show in its log."""
    words = f"you sent {', '.join(credentials)}"
    places = {"error": words, "meta": {"status": 503, "message": words}}
    return json.dumps({**places, "ResponseStatus": {"ErrorCode": f"Down, {credentials[0]}", "Message": words}})
