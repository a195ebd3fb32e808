"""One record's requests: the meaning of a response, what is tried again, and what is in doubt.

A request is repeated only where the vendor provably did not act on it: no connection was made, or it sent a 429. A
lost response, a 5xx and a response that is not the vendor's leave the record in doubt: it may be written, now or
in a while. A contact can be looked up, which may show that it was written; nothing ever shows that it was not. What is
not found then is for the setting `in_doubt` to decide.
"""

from __future__ import annotations

import enum
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import backoff
import msgspec

from tap_switchtransact import LOOKUPS
from trunkline.errors import BadResponse, Refused, SourceError, Unavailable
from trunkline.steps.fetch.client import MAX_VENDOR_WAIT, MAX_WAIT, Cancelled
from trunkline.steps.fetch.exchange import Request
from trunkline_switchtransact.calls import NAMES, folded
from trunkline_switchtransact.client import NOBODY_THERE, Lost, NotSent, denial, envelope_of
from trunkline_switchtransact.errors import LedgerError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from trunkline_switchtransact.calls import Call
    from trunkline_switchtransact.client import WriteResponse, WritingClient

LOOK_UP = "/calls/record"
"""Where a contact is looked up by its phone."""

LOOKS = 4
"""Look-ups of a contact in doubt: one at once, the others over the time in which the vendor may still write it."""


class End(enum.Enum):
    """The ways in which a record ends."""

    WRITTEN = "written"
    ALREADY = "already written"
    REJECTED = "rejected"
    DOUBT = "in doubt"
    SKIPPED = "in doubt and skipped"
    UNSENT = "not sent"
    PLANNED = "would be sent"


@dataclass
class Order:
    """A record on its way.

    Args:
        call: What is to be called.
        body: What is to be sent.
        identity: What the record is known by.
        content: Hash of the body.
        place: Where it stands in the input, in words.
        lane: Whose it is; records of one lane are sent one after the other.
        turn: Counts what came in, from 1; 0 for what an earlier run left in doubt.
        doubt: Why it is in doubt; empty when it is not.
        provable: Whether a look-up can show that it is written.
        sent_at: When its request was about to leave, in seconds since 1970.
    """

    call: Call
    body: dict[str, str]
    identity: bytes
    content: bytes
    place: str
    lane: str
    turn: int = 0
    doubt: str = ""
    provable: bool = False
    sent_at: float = 0.0

    @property
    def about(self) -> str:
        """The record in words fit for a log."""
        return f"{self.call.stream}, {self.place}"

    @property
    def shown(self) -> str:
        """The body as it may be shown: without personal values."""
        return json.dumps(self.call.masked(self.body), ensure_ascii=False)


@dataclass(frozen=True)
class Result:
    """The result of an order.

    Args:
        order: The order.
        end: How it ended.
        why: The reason, without personal values.
        error: What ends the run, if it does.
    """

    order: Order
    end: End
    why: str = ""
    error: Exception | None = None


@dataclass
class Sender:
    """Brings one record at a time to an end. Safe to use from many threads.

    Args:
        client: Sends the requests.
        policy: `stop`, `resend` or `skip`: what becomes of a record in doubt that can't be looked up.
        again: Notes that the request of an intent is about to leave once more; returns the moment.
        cancelled: Set when the run ends: what waits is not sent, what is sent is waited for.
        log: Where second tries are logged.
        clock: Seconds since 1970.
    """

    client: WritingClient
    policy: str
    again: Callable[[bytes], float]
    cancelled: threading.Event
    log: Callable[[str], None]
    clock: Callable[[], float] = field(default=time.time)

    def deliver(self, order: Order) -> Result:
        """Send a record until it is written, refused or in doubt; first look it up, where it is in doubt already.

        Args:
            order: The record; its intent is noted. `doubt` and `sent_at` change with what happens.

        Returns:
            How it ended. With an `error` the run can't go on.
        """
        try:
            return self._deliver(order)
        except Cancelled:
            return self._open(order, "the run ended")
        except (SourceError, LedgerError) as exc:
            return self._open(order, exc.why, exc)

    def _deliver(self, order: Order) -> Result:
        waits = backoff.expo(base=2, factor=1, max_value=MAX_WAIT)
        next(waits)
        tries, why, wait = 0, "", None
        while True:
            if order.doubt and (result := self._resolve(order, fresh=tries > 0)):
                return result
            if tries == self.client.max_attempts:
                counted = f"{tries} tries, the last" if tries > 1 else "one try"
                error = Unavailable(f"{order.about} failed", f"{counted}: {why}", "Run again later")
                return self._open(order, why, error)
            if tries:
                self._pause(order, why, max(backoff.full_jitter(next(waits) or 1.0), wait or 0.0))
            if tries or order.sent_at:
                order.sent_at = self.again(order.identity)
            tries += 1
            verdict = self._try(order)
            if isinstance(verdict, Result):
                return verdict
            why, wait = verdict

    def _open(self, order: Order, why: str, error: Exception | None = None) -> Result:
        """Return the end of a record that is not written as far as we know."""
        return Result(order, End.DOUBT if order.doubt else End.UNSENT, order.doubt or why, error)

    def _pause(self, order: Order, why: str, seconds: float) -> None:
        self.log(f"{order.about}: {why}; another try in {seconds:.1f} s")
        if self.cancelled.wait(seconds):
            raise Cancelled

    # -- one try -------------------------------------------------------------------------------------------------------

    def _try(self, order: Order) -> Result | tuple[str, float | None]:
        """Send once: the end, or why there may be another try and the seconds that the vendor requests a wait of."""
        request = Request(order.about, order.call.path, method="POST", json=order.body, stream=order.call.stream)
        before, order.doubt = order.doubt, "the run was ended while it was sent"
        order.sent_at = order.sent_at or self.clock()
        try:
            response = self.client.post(request, self.cancelled)
        except NotSent as exc:
            order.doubt = before
            return exc.why, None
        except Lost as exc:
            order.doubt = exc.why
            return self._open(order, exc.why, exc.error) if exc.error else (exc.why, None)
        except (Cancelled, SourceError):  # raised before anything was sent
            order.doubt = before
            raise
        order.doubt = before
        return self._judge(order, request, response)

    def _judge(self, order: Order, request: Request, response: WriteResponse) -> Result | tuple[str, float | None]:
        """Judge a response: the body decides before HTTP."""
        envelope, status = envelope_of(response.body), response.status
        if denied := denial(request, status, envelope):
            self.client.denied = denied
            return self._open(order, denied.why, denied)
        if status in _NOT_YET:
            return self._not_yet(order, response)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and _is_success(order.call, response.body):
            self.client.succeeded.set()
            return Result(order, End.WRITTEN)
        if _may_be_refusal(status) and envelope is not None and envelope.status is False and envelope.error:
            return self._rejected(order, f"the vendor's message is: {order.call.reason(envelope.error, order.body)}")
        if _is_refusal(status):
            return self._no(order, status)
        order.doubt = _doubt(status)
        return order.doubt, response.not_before

    def _rejected(self, order: Order, why: str) -> Result:
        """Reject this try; an earlier one may have been written all the same, and then the record stays in doubt."""
        if order.doubt:
            return Result(order, End.SKIPPED, f"{order.doubt}; sent again, {why}")
        return Result(order, End.REJECTED, why)

    def _no(self, order: Order, status: int) -> Result:
        """Judge a 4xx without a reason of the vendor's."""
        why = f"the vendor responded with HTTP {status}, without a reason"
        hint = NOBODY_THERE.get(status)
        if hint is None:
            return self._rejected(order, why)
        # Nobody was there to act on it, and nobody will be for the next one.
        return self._open(order, why, Refused(f"{order.about} failed", why, hint, status=status))

    def _not_yet(self, order: Order, response: WriteResponse) -> Result | tuple[str, float | None]:
        """Judge a 429 or 425, which was not acted on: it is tried again, unless the wait is too long."""
        if response.not_before is None or response.not_before <= MAX_VENDOR_WAIT:
            return f"the vendor responded with HTTP {response.status}", response.not_before
        why = f"the vendor requests a wait of {response.not_before:.0f} s"
        return self._open(
            order, why, Unavailable(f"{order.about} failed", why, "Run again after that time", code="rate-limited")
        )

    # -- in doubt ------------------------------------------------------------------------------------------------------

    def _resolve(self, order: Order, *, fresh: bool) -> Result | None:
        """Decide about a record in doubt: an end, or None when it may be sent all the same."""
        if order.provable and self._look_up(order, fresh=fresh):
            return Result(order, End.WRITTEN, "found by its phone")
        if self.policy == "resend":
            return None
        return Result(order, End.SKIPPED if self.policy == "skip" else End.DOUBT, order.doubt)

    def _look_up(self, order: Order, *, fresh: bool) -> bool:
        """Look a contact in doubt up, now and until it would have been written: False proves nothing.

        Args:
            order: The contact.
            fresh: Whether it has just come to be in doubt.
        """
        timeout = self.client.timeout
        left = min(max(order.sent_at + 2 * timeout - self.clock(), timeout if fresh else 0.0), 2 * timeout)
        found = self._find_contact(order)
        for _ in range(LOOKS - 1 if left else 0):
            if found is not False:
                break
            pause = left / (LOOKS - 1)
            self.log(f"{order.about}: not there yet, looked up again in {pause:.1f} s")
            if self.cancelled.wait(pause):
                raise Cancelled
            found = self._find_contact(order)
        return bool(found)

    def _find_contact(self, order: Order) -> bool | None:
        """Look a contact up: False when it is not there yet, None when looking again would be of no use."""
        phone = order.body[order.call.number]
        request = Request(
            f"{order.about}: the look-up by phone", LOOK_UP, (("phone", phone),), stream=order.call.stream
        )
        try:
            reply = self.client.fetch(request, LOOKUPS.open, self.cancelled)
        except (Unavailable, BadResponse) as exc:
            self.log(f"{exc}: nothing is known about that record yet")
            return False
        except Refused as exc:
            self.log(f"{exc}: nothing is known about that record")
            return None
        # The phone alone may be somebody else's, or an older contact's that hides ours.
        rows: list[dict[str, Any]] = reply.parsed or []
        return (True if any(_same(row, order.body) for row in rows) else None) if rows else False


_NOT_YET = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.TOO_EARLY}
_REFUSALS = {int(status) for status in HTTPStatus} - {HTTPStatus.REQUEST_TIMEOUT}


def _same(row: Mapping[str, Any], body: Mapping[str, str]) -> bool:
    """Return whether a contact has the names of the one we sent."""
    return all(folded(str(row.get(name) or "")) == folded(body[name]) for name in NAMES)


def _is_success(call: Call, body: bytes) -> bool:
    """Return whether a body is what the vendor's page shows for a record that was written."""
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(envelope, dict) or envelope.get("error"):
        return False
    if call.echoes:
        return "status" not in envelope and all(name in envelope for name in call.names)
    return envelope.get("status") is True


def _may_be_refusal(status: int) -> bool:
    """Return whether the vendor's words in a response with this status can be taken to be about the record."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or _is_refusal(status)


def _is_refusal(status: int) -> bool:
    """Return whether a status shows that the request was not acted on.

    After a 408 nobody knows what had arrived; a 4xx that no standard names (460, 499) is a gateway's that gave up.
    """
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status in _REFUSALS


def _doubt(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"a redirect (HTTP {status}), which is never followed; see that api_url is the address of the API itself"
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return f"a response with HTTP {status} that is not what the vendor documents"
    return f"the vendor responded with HTTP {status}"
