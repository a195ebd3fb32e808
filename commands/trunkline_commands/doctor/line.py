"""The line to the vendor: each request through the tap's own client, counted, and noted without a value of its."""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from requests.adapters import BaseAdapter

from trunkline.errors import AccessDenied, BadResponse, Refused, TrunklineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from trunkline.facts.tap import TapFacts
    from trunkline.steps.fetch.exchange import Reply, Request

TRIES = 2
"""Tries per request: what fails twice is unknown, and costs no more of the requests."""

_LIMITS = re.compile(r"(?:\w+-)*rate-?limit(?:-\w+)*|retry-after", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_OK = 300
_FUTURE = timedelta(days=366)  # no clock is further ahead, and times behind the year 9999 can't be computed with


class SpentError(TrunklineError):
    """All requests that were announced are used up."""

    code = "unavailable"


class NothingCheckedError(Exception):
    """No other request can show anything: the credentials are refused, or nothing responds.

    Args:
        error: Why.
    """

    def __init__(self, error: TrunklineError) -> None:
        self.error = error
        super().__init__(error)


class Meter(BaseAdapter):
    """An adapter that counts requests, sends no more of them than was announced, and keeps headers about limits.

    Args:
        inner: The adapter that sends.
        most: Requests that pass.
    """

    def __init__(self, inner: BaseAdapter, most: int) -> None:
        super().__init__()
        self.inner, self.most, self.sent, self.status, self.refused = inner, most, 0, 0, 0
        self.limits: dict[str, str] = {}
        """Headers about limits, with the last value of each that is a number."""
        self.ahead = timedelta(0)
        """How far the vendor's clock was ahead of this machine's in the last response that had a date."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request, if it is one of those announced.

        Raises:
            SpentError: It would be one more.
        """
        if self.sent >= self.most:
            raise SpentError("the request was not sent", f"the {self.most} requests that were announced are used up")
        self.sent, self.status = self.sent + 1, 0
        response = self.inner.send(request, *args, **kwargs)
        self.status = response.status_code
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            ahead = parsedate_to_datetime(response.headers.get("Date", "")) - datetime.now(timezone.utc)
            self.ahead = min(ahead, _FUTURE)
        self.refused += response.status_code == 429  # noqa: PLR2004 - the status
        for name, value in response.headers.items():
            if _LIMITS.fullmatch(name):
                self.limits[name.lower()] = value if _NUMBER.fullmatch(value) else "no number"
        return response

    def close(self) -> None:
        """Close the inner adapter."""
        self.inner.close()


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request.

    Args:
        reply: The reply; None when there is none.
        status: HTTP status; 0 when nothing came.
        refused: Status of a refusal, from HTTP or from the vendor's envelope.
        problem: Why there is no reply, without a word of the vendor's.
        error: What was raised in its place.
    """

    reply: Reply | None = None
    status: int = 0
    refused: int = 0
    problem: str = ""
    error: Exception | None = None


@dataclass
class Note:
    """A request, for the evidence.

    Args:
        stream: The stream it was for.
        why: What it was sent for.
        method: HTTP method.
        path: Path with names in the place of values.
        parameters: Names of parameters.
        span: The span requested, relative to the run's start.
        status: HTTP status of the last try.
        requests: Requests it took, tries and tokens counted.
        rows: Rows that came.
        total: The vendor's total, if any.
        problem: Why there is no success.
    """

    stream: str
    why: str
    method: str
    path: str
    parameters: list[str]
    span: str = ""
    status: int = 0
    requests: int = 0
    rows: int | None = None
    total: int | None = None
    problem: str = ""


@dataclass
class Line:
    """Sends the doctor's requests.

    Args:
        tap: The tap.
        most: Requests at most.
    """

    tap: TapFacts
    most: int
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        client = self.tap.client
        self.meter = Meter(client.exchanges.adapter, self.most)
        client.exchanges.adapter = self.meter
        client.max_attempts = min(client.max_attempts, TRIES)

    def request(self, request: Request, open_body: Callable[[Reply], Any], note: Note) -> Outcome:
        """Send a request.

        Args:
            request: The request.
            open_body: Reads what came, as in a run.
            note: What the evidence has of it; it is completed here.

        Returns:
            What came of it: a refusal, a page for people or a server's error is an outcome too.

        Raises:
            NothingCheckedError: The credentials are refused, or nothing has responded yet.
        """
        before, outcome = self.meter.sent, Outcome()
        note.method, note.parameters = request.method, sorted(_names(request))
        self.notes.append(note)
        try:
            reply = self.tap.client.fetch(request, open_body, threading.Event())
            outcome = Outcome(reply, reply.status)
        except AccessDenied as denied:
            note.problem = f"the credentials were refused (HTTP {denied.status})"
            raise NothingCheckedError(denied) from None
        except Refused as refused:
            status = refused.status or self.meter.status
            outcome = Outcome(None, self.meter.status, status, _refusal(status, self.meter.status), refused)
        except SpentError as spent:
            outcome = Outcome(problem=spent.why, error=spent)
        except BadResponse as other:
            problem = f"HTTP {self.meter.status} with a body of another form"
            outcome = Outcome(None, self.meter.status, 0, problem, other)
        except TrunklineError as failed:
            if not self.tap.client.responded.is_set():
                note.problem = "no response"
                raise NothingCheckedError(failed) from None
            self.tap.logger.warning("%s", failed)
            status = self.meter.status
            problem = f"HTTP {status}" if status >= _OK else "no complete response"
            outcome = Outcome(None, status, 0, problem, failed)
        finally:
            note.requests, note.status = self.meter.sent - before, self.meter.status if self.meter.sent > before else 0
            note.problem = note.problem or outcome.problem
        return outcome


def _refusal(status: int, http: int) -> str:
    return f"HTTP {http}" if status == http else f"HTTP {http}, which stands for {status}"


def _names(request: Request) -> set[str]:
    """Name the parameters of a request, those of a body in objects with dots."""
    names = {name for name, _ in request.params} | {*(request.form or {})}
    return names | set(_flat(request.json)) if isinstance(request.json, dict) else names


def _flat(body: Mapping[str, Any], above: str = "") -> list[str]:
    found = []
    for name, value in body.items():
        found += _flat(value, f"{above}{name}.") if isinstance(value, dict) else [above + name]
    return found
