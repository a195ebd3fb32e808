"""Twilio as the sandbox plays it: the calls of an account and the recordings of each, from the vendor's pages alone."""

from __future__ import annotations

import base64
import dataclasses
import re
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from trunkline_sandbox import instants
from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.messages import Response
from trunkline_sandbox.paged import PagedKnobs, PagedVendor, Route
from trunkline_sandbox.vendor import choice
from trunkline_sandbox.world import person, phone

if TYPE_CHECKING:
    from trunkline_sandbox.messages import Request
    from trunkline_sandbox.store import Row
    from trunkline_sandbox.vendor import RefusedError

ACCOUNT = "AC5a9db05a9db05a9db05a9db05a9db05a"
_LISTS = f"/2010-04-01/Accounts/{ACCOUNT}"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_STATUSES = ("completed", "completed", "completed", "busy", "no-answer", "failed", "canceled")
_CALL = (
    *("parent_call_sid", "account_sid", "status", "direction", "from", "from_formatted", "to", "to_formatted"),
    *("caller_name", "forwarded_from", "phone_number_sid", "date_created", "date_updated", "start_time", "end_time"),
    *("duration", "queue_time", "answered_by", "price", "price_unit", "group_sid", "trunk_sid", "api_version", "uri"),
    "subresource_uris",
)
_RECORDING = (
    *("conference_sid", "account_sid", "status", "source", "track", "channels", "date_created", "date_updated"),
    *("start_time", "duration", "price", "price_unit", "error_code", "encryption_details", "api_version", "uri"),
)
listed = partial(
    Route, key=("sid",), size="PageSize", usual=50, most=1000, cursor="PageToken", next="next_page_uri", link=True
)


def write(instant: int) -> str:
    """Write microseconds as RFC 2822, as Twilio does: `Fri, 18 Oct 2019 17:02:00 +0000`."""
    return format_datetime(instants.to_datetime(instant))


def make_call(i: int, instant: int, bits: int) -> Row:
    """Make a call that ended."""
    sid, status, length = f"CA{i:08x}{bits:024x}"[:34], _STATUSES[bits % len(_STATUSES)], bits % 900
    end, there = instant + length * SECOND, f"{_LISTS}/Calls/{sid}"
    return {
        "sid": sid,
        "account_sid": ACCOUNT,
        "status": status,
        "direction": "inbound" if bits % 3 else "outbound-api",
        "from": phone(bits >> 6),
        "to": "+13055550100",
        "to_formatted": "(305) 555-0100",
        "caller_name": " ".join(person(bits >> 10)) if bits % 5 == 0 else None,
        "phone_number_sid": f"PN{bits % 9:032x}",
        "date_created": write(instant - bits % 3 * SECOND),
        "date_updated": write(end),
        "start_time": write(instant),
        "end_time": write(end),
        "duration": str(length) if status == "completed" else None,
        "queue_time": "0",
        "price": f"-{bits % 90 / 1000:.5f}" if status == "completed" else None,
        "price_unit": "USD",
        "api_version": "2010-04-01",
        "uri": f"{there}.json",
        "subresource_uris": {
            name.lower(): f"{there}/{name}.json" for name in ("Events", "Notifications", "Recordings")
        },
    }


def make_recording(i: int, instant: int, bits: int) -> Row:
    """Make a recording; one in six is encrypted, and the price of every other one is a number."""
    price = -0.0025
    return {
        "sid": f"RE{i:08x}{bits:024x}"[:34],
        "account_sid": ACCOUNT,
        "status": "completed",
        "source": "DialVerb",
        "track": "both",
        "channels": bits % 2 + 1,
        "date_created": write(instant),
        "date_updated": write(instant + 9 * SECOND),
        "start_time": write(instant),
        "duration": str(bits % 900),
        "price": price if bits % 2 else str(price),
        "price_unit": "USD",
        "encryption_details": {"encryption_public_key_sid": f"CR{1:032x}", "encryption_iv": "AAAA"}
        if not bits % 6
        else None,
        "api_version": "2010-04-01",
    }


@dataclasses.dataclass
class TwilioKnobs(PagedKnobs):
    """Facts that Twilio's pages leave open.

    Attributes:
        day: The end of the list by `StartTime<` of a day: what is before its midnight, as newer copies document; its
            midnight too, as older ones do; or the whole day.
    """

    day: str = choice("before", "midnight", "whole")


class Twilio(PagedVendor):
    """Everything about a page stands beside its rows; times are RFC 2822, and the filter knows days in UTC."""

    name = "twilio"
    title = "Twilio"
    knob_sheet = TwilioKnobs
    knobs: TwilioKnobs
    settings: ClassVar = {"account_sid": ACCOUNT, "auth_token": "sandbox-twilio-token"}
    curl = f"-u {ACCOUNT}:sandbox-twilio-token '{{url}}{_LISTS}/Calls.json?StartTime%3E=2026-01-01&PageSize=2'"
    routes = (
        listed(
            "calls",
            f"{_LISTS}/Calls.json",
            make_call,
            time="start_time",
            since="StartTime>",
            until="StartTime<",
            empty=_CALL,
        ),
        listed(
            "recordings",
            f"{_LISTS}/Calls/<sid>/Recordings.json",
            make_recording,
            parent="calls",
            column="call_sid",
            sends_column=True,
            empty=_RECORDING,
        ),
    )

    def authorized(self, request: Request) -> bool:
        """Compare the basic authentication with account SID and auth token."""
        pair = f"{self.settings['account_sid']}:{self.settings['auth_token']}"
        return request.headers.get("authorization") == f"Basic {base64.b64encode(pair.encode()).decode()}"

    def read(self, value: Any) -> int | None:
        """Read RFC 2822."""
        try:
            return instants.from_datetime(parsedate_to_datetime(str(value)))
        except (TypeError, ValueError):
            return None

    def read_end(self, text: str, *, upper: bool) -> int | None:
        """Read a day as its midnight in UTC."""
        midnight = instants.parse_iso(text) if _DAY.fullmatch(text) else None
        if midnight is None or not upper:
            return midnight
        return midnight + {"before": -1, "midnight": 0, "whole": instants.DAY - 1}[self.knobs.day]

    def describe_page(self, request: Request, *, offset: int, size: int, count: int, total: int) -> dict[str, Any]:
        """Return number the page and its rows from 0; no total is sent."""
        del total
        first = request.with_query(PageToken=None, Page="0").target
        numbers = {"page": offset // size, "page_size": size, "start": offset, "end": max(offset, offset + count - 1)}
        return {**numbers, "uri": request.target, "first_page_uri": first, "previous_page_uri": None}

    def error(self, no: RefusedError) -> Response:
        """Put status, message and Twilio's own number of the error into an object."""
        code = {401: 20003, 404: 20404}.get(no.status, 20001)
        more = f"https://www.twilio.com/docs/errors/{code}"
        return Response.json({"code": code, "message": no.message, "more_info": more, "status": no.status}, no.status)
