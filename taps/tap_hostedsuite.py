"""tap-hostedsuite: call records of HostedSuite's reception service.

Rests on the vendor's service page for `POST /api/calls` (operation ListCallRecordsRequest), a ServiceStack service.
"""

from __future__ import annotations

import functools
import re
import zoneinfo
from datetime import datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import TYPE_CHECKING

from trunkline import instants
from trunkline.facts import (
    CodeInBody,
    InOrder,
    NumberedPages,
    PagedStream,
    VendorTap,
    common,
    in_body,
    number,
    switch,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.facts.stream import WindowRows
    from trunkline.steps.plan import Window

_NULL_DATE = re.compile(r"0001-|0?1/0?1/0001\b|/Date\(-62135[56]\d{8}[)+-]")
"""What .NET writes where a date was never set: the first day of the calendar, in any form and zone."""
_FILTER_DATES = {"iso": "%Y-%m-%dT%H:%M:%S", "us": "%m/%d/%Y %I:%M %p", "us24": "%m/%d/%Y %H:%M"}
_WITH_SECONDS = "%S"
_WHOLE_LENGTH = len("2021-08-10T00:00:00")
_NARROWING = {
    "client_id": "ClientId",
    "center_id": "CenterId",
    "call_record_id": "CallRecordId",
    "min_call_duration": "MinCallDuration",
    "max_call_duration": "MaxCallDuration",
    "call_type": "CallType",
}


class Calls(PagedStream):
    """The call records; notes, flags and forms change after the call without a date, so the lookback is a week."""

    name, path = "calls", "/api/calls"
    primary_keys, replication_key = ("Id",), "StartTime"
    filter_tolerance = timedelta(days=1)
    paging = NumberedPages(
        place="body",
        since="StartDate",
        until="EndDate",
        page="Page",
        first="first_page",
        size="ItemsPerPage",
        rows="Items",
        total="TotalCount",
        none_left_out=True,
        pages="TotalPages",
        settings=_NARROWING,
        # Calls that arrive while the pages are read then stand on the last one.
        extra_params_if={"sort": {"SortField": "StartTime", "SortDir": "Asc"}},
    )
    precision = timedelta(0)
    """The coarsest that StartTime was written with so far."""

    @functools.cached_property
    def zone(self) -> tzinfo:
        """The zone of times that name none, both ways."""
        return zoneinfo.ZoneInfo(self.config["timezone"])

    @property
    def tick(self) -> timedelta:  # type: ignore[override]
        """Whole seconds, or whole minutes: the US forms in use have no seconds."""
        return instants.SECOND if _WITH_SECONDS in self.filter_date else instants.MINUTE

    @property
    def filter_date(self) -> str:
        """The form of a date in the filter, as `strftime` takes it."""
        return _FILTER_DATES[self.config["filter_date_format"]]

    def span(self, window: Window) -> tuple[tuple[str, str], ...]:
        """The span to request, on the clock on the wall: wider on both sides where the clocks change.

        The filter knows no zone, and in the hour that a change repeats it can't be told which pass is meant. A row of
        its second pass is read as one of the first, and must be found in the window that this makes it belong to.
        """
        since, until = self.bounds(window)
        assert since is not None  # noqa: S101 - there is always a start_date
        slack = instants.widest_change(since, until, self.zone)
        low, high = (moment.astimezone(self.zone).replace(tzinfo=None) for moment in (since, until))
        return ("StartDate", self.date(low - slack)), ("EndDate", self.date(high + slack))

    def date(self, on_the_wall: datetime) -> str:
        """A date as the server's filter reads it."""
        return on_the_wall.strftime(self.filter_date)

    def read_time(self, text: str) -> tuple[datetime, str]:
        """Any of the forms a ServiceStack server writes; the null date of .NET is no time."""
        if _NULL_DATE.match(text):
            raise instants.NullTimeError("it is the null date of .NET")
        instant = instants.from_service_stack(text, self.zone)
        if len(text) < _WHOLE_LENGTH and self.precision < instants.DAY:
            self.precision = max(self.precision, instants.precision(text))
        return instant, text if instants.has_zone(text) else instants.to_iso(instant)

    def belongs(self, rows: WindowRows, moments: Mapping[str, datetime]) -> bool:
        """Whether a row is this window's, also by the part of its StartTime that the vendor left out.

        The filter knows when the call began; a StartTime that is a day alone reads as the beginning of that day, which
        may lie before the window, and no other window brings the call.
        """
        instant, since = moments.get(rows.by), rows.window.since
        if self.precision and instant is not None and since is not None and instant < since < self.behind(instant):
            return True
        return super().belongs(rows, moments)

    def behind(self, instant: datetime) -> datetime:
        """The end of what a StartTime that reads as this instant may mean."""
        day = instant.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        beginning, end = (one.replace(tzinfo=self.zone).astimezone(instants.UTC) for one in (day, day + instants.DAY))
        if self.precision == instants.DAY and instant == beginning:
            return end
        return instant + instants.MINUTE if instant == instants.floor(instant, instants.MINUTE) else instant


class TapHostedSuite(VendorTap):
    """Singer tap for HostedSuite: the call records of its reception service."""

    name, vendor = "tap-hostedsuite", "hostedsuite"
    common = common(lookback="P7D", window="P1D", page_size=100, start_required=True)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of your server, such as https://cpo.hostedsuite.com.", format="url"),
        "customer_name": text("The HostedSuite customer name.", secret=True),
        "user_name": text("The HostedSuite user name; what is read is what this user may see.", secret=True),
        "password": text("The user's password.", secret=True),
        "client_id": text("Read only calls for this client."),
        "center_id": text("Read only calls of this center."),
        "call_record_id": text("Read only this call record."),
        "min_call_duration": number("Least talk time in seconds.", minimum=0),
        "max_call_duration": number("Greatest talk time in seconds.", minimum=0),
        "call_type": text("Read only calls of this type.", enum=["Incoming", "Outgoing"]),
        "timezone": text(
            "IANA time zone of times that name none, in what is read and in what is asked.",
            format="zone",
            default="UTC",
        ),
        "filter_date_format": text(
            "How dates are written in the filter: ISO 8601, M/d/yyyy h:mm tt, or M/d/yyyy HH:mm.",
            enum=list(_FILTER_DATES),
            default="iso",
        ),
        "first_page": {
            "type": ["string", "integer"],
            "enum": ["auto", "0", "1", 0, 1],
            "must": "auto, 0 or 1",
            "default": "auto",
            "description": "Number of the first page; the vendor's page does not say, auto finds it out.",
        },
        "sort": switch("Ask for ascending StartTime, so that new calls do not shift the pages.", default=True),
    }
    rules = (InOrder("min_call_duration", "max_call_duration"),)
    account_settings = ("api_url", "customer_name")
    required = ("api_url", "customer_name", "user_name", "password")
    required_to_start = ("start_date",)
    stream_types = (Calls,)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check customer_name, user_name and password",
        HTTPStatus.FORBIDDEN: "Check what the user is allowed to see",
        HTTPStatus.BAD_REQUEST: "If the server does not take the dates set filter_date_format, if not the page set "
        "first_page",
    }
    filter_hint = "The server ignores dates it does not understand: set filter_date_format to another form"
    sign = in_body(CustomerName="customer_name", UserName="user_name", Password="password")  # noqa: S106 - its setting
    errors = CodeInBody(
        "ResponseStatus.ErrorCode",
        "ErrorCode",
        message="Message",
        denied=r"security|authenticat|unauthori[sz]ed|login|credential|password|user.?name",
        forbidden=r"forbidden|permission|access.?denied",
        refused=r"argument|validation|format|serializ|notfound|not.?implemented|not.?supported|null",
        rows="Items",
        total="TotalCount",
        locks_out=True,
    )
