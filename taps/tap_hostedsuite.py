"""tap-hostedsuite: calls, clients, contacts, charges and bookings of HostedSuite's reception service.

Rests on the vendor's service pages for `POST /api/calls` and its other lists, a ServiceStack service.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from trunkline import instants
from trunkline.facts import (
    NO_DATE_OF_DOTNET,
    CodeInBody,
    InOrder,
    NamesZone,
    NumberedPages,
    OnePage,
    SnapshotStream,
    VendorTap,
    WallClock,
    common,
    in_body,
    number,
    switch,
    text,
)

_FILTER_DATES = {"iso": "%Y-%m-%dT%H:%M:%S", "us": "%m/%d/%Y %I:%M %p", "us24": "%m/%d/%Y %H:%M"}
_CHANGED = (("DateSelector", "DateLastModified"),)
_NARROWING = {
    "client_id": "ClientId",
    "center_id": "CenterId",
    "call_record_id": "CallRecordId",
    "min_call_duration": "MinCallDuration",
    "max_call_duration": "MaxCallDuration",
    "call_type": "CallType",
}


class OnTheWall(WallClock):
    """Times in any of the forms a ServiceStack server writes; the null date of .NET is no time."""

    filter_dates, filter_date_setting = _FILTER_DATES, "filter_date_format"
    null_dates, read_date = NO_DATE_OF_DOTNET, staticmethod(instants.from_service_stack)
    filter_tolerance = timedelta(days=1)


class Calls(OnTheWall):
    """The call records; notes, flags and forms change after the call without a date, so the lookback is a week."""

    name, path = "calls", "/api/calls"
    primary_keys, replication_key, oldest_first = ("Id",), "StartTime", "sort"
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


class Table(SnapshotStream, OnTheWall):
    """A list without pages and without dates."""

    primary_keys = ("Id",)
    paging = OnePage(place="body", settings={"client_id": "ClientId", "center_id": "CenterId"})


class Clients(Table):
    """The clients; a server that knows no `/clients` has at least the route that other programs use."""

    name, path, other_path = "clients", "/api/clients", "/api/clients/names"


class Centers(Table, NamesZone):
    """The business centers, whose zone is the only hint at that of the times."""

    name, path, row_zone = "centers", "/api/centers", "TimeZoneId"
    paging = OnePage(place="body")


class Contacts(Table):
    """The people behind the clients, without their logins."""

    name, path, selected_by_default = "contacts", "/api/contacts", False
    never_loaded = ("UserName", "*password*", "*login*")


class Charges(OnTheWall):
    """The one-off charges, by the date of their last change."""

    name, path = "charges", "/api/charges"
    primary_keys, replication_key, key_moves = ("Id",), "DateLastModified", True
    paging = OnePage(
        place="body", since="StartDate", until="EndDate", settings={"client_id": "ClientId"}, extra_params=_CHANGED
    )


class Reservations(OnTheWall):
    """The bookings of meeting rooms, by the date of their last change."""

    name, path = "reservations", "/api/scheduling/reservations"
    primary_keys, replication_key, key_moves = ("Id",), "DateLastModified", True
    paging = replace(Table.paging, since="LastModifiedAfter", until="LastModifiedBefore")


class TapHostedSuite(VendorTap):
    """Singer tap for HostedSuite: calls that the reception took, its clients, centres, charges and bookings."""

    name, vendor = "tap-hostedsuite", "hostedsuite"
    common = common(lookback="P7D", window="P1D", page_size=100, start_required=True)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of your server, such as https://cpo.hostedsuite.com.", format="url"),
        "customer_name": text("The HostedSuite customer name.", secret=True),
        "user_name": text("The HostedSuite user name; what is read is what this user may see.", secret=True),
        "password": text("The user's password.", secret=True),
        "client_id": text("Read only what is of this client, where the route can be narrowed so."),
        "center_id": text("Read only what is of this center, where the route can be narrowed so."),
        "call_record_id": text("Read only this call record."),
        "min_call_duration": number("Least talk time in seconds.", minimum=0),
        "max_call_duration": number("Greatest talk time in seconds.", minimum=0),
        "call_type": text("Read only calls of this type.", enum=["Incoming", "Outgoing"]),
        "timezone": text("IANA time zone of times that name none, both ways.", format="zone", default="UTC"),
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
            "description": "Number of the first page; the vendor does not document it, auto finds it out.",
        },
        "sort": switch("Request ascending StartTime, so that new calls do not shift the pages.", default=True),
    }
    rules = (InOrder("min_call_duration", "max_call_duration"),)
    account_settings = ("api_url", "customer_name")
    required = ("api_url", "customer_name", "user_name", "password")
    required_to_start = ("start_date",)
    stream_types = (Calls, Clients, Centers, Contacts, Charges, Reservations)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check customer_name, user_name and password",
        HTTPStatus.FORBIDDEN: "Check what the user is allowed to see",
        HTTPStatus.NOT_FOUND: "Check api_url; where other streams are read, this server does not have the route",
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
