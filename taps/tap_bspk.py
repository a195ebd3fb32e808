"""tap-bspk: what sales associates do with their clients, from BSPK's Extraction API.

Rests on the vendor's pages "Extraction API" (developers.bspk.com), one a list, and on those on paging and rate limits.
"""

from __future__ import annotations

from http import HTTPStatus

from trunkline import facts, instants
from trunkline.facts import array, hashed, text

_CONTACT = "sales_associate_id", "client_id", "created_at"


class Extraction(facts.PagedStream):
    """A list of the API. Rows have no id, and two equal ones in a millisecond exist."""

    replication_key = "created_at"
    beginning = instants.EPOCH
    # One page of the vendor's has it that the dates filter on the time of the update, another on that of the creation:
    # so no row can show that they were ignored, and a row of another time may rightly be in the span.
    filter_tolerance, keep_rows_outside_window, other_filter_times = None, True, ("created_at",)
    paging = facts.NumberedPages(
        since="from", until="to", time=instants.to_seconds, total=facts.Header("X-Total-Count"), more=facts.Link("next")
    )
    chunks = facts.InChunks("client_ids", "sales_associate_ids")


class Calls(Extraction):
    """The calls that associates started."""

    name, path = "calls", "/api/extraction/v1/calls"
    primary_keys, computed = ("call_key",), hashed("call_key", *_CONTACT)


class Messages(Extraction):
    """The messages, by whichever channel."""

    name, path = "messages", "/api/extraction/v1/messages"
    primary_keys = ("message_key",)
    computed = hashed("message_key", "sales_associate_id", "client_id", "channel", "created_at")


class Emails(Extraction):
    """The e-mails, without their text."""

    name, path = "emails", "/api/extraction/v1/emails"
    primary_keys, computed = ("email_key",), hashed("email_key", *_CONTACT)


class Notes(Extraction):
    """The notes about clients."""

    name, path = "notes", "/api/extraction/v1/notes"
    primary_keys, computed = ("note_key",), hashed("note_key", *_CONTACT)


class Changing(Extraction):
    """A list whose rows change, by the time of the last change."""

    replication_key, key_moves = "updated_at", True


class Appointments(Changing):
    """The appointments with clients."""

    name, path = "appointments", "/api/extraction/v1/appointments"
    primary_keys, computed = ("appointment_key",), hashed("appointment_key", *_CONTACT)


class Reminders(Changing):
    """The reminders about clients."""

    name, path = "reminders", "/api/extraction/v1/reminders"
    primary_keys, computed = ("reminder_key",), hashed("reminder_key", *_CONTACT)


class Slices(Changing):
    """The selections of products; no route takes clients here."""

    name, path = "slices", "/api/extraction/v1/slices"
    chunks = facts.InChunks("sales_associate_ids")
    primary_keys, computed = ("slice_key",), hashed("slice_key", "created_by_sales_associate_id", "created_at")


class SalesAssociates(Changing):
    """The associates; none of the vendor's ids is there for all of them."""

    name, path = "sales_associates", "/api/extraction/v1/sales_associates"
    chunks = facts.InChunks("sales_associate_ids")
    primary_keys, computed = ("sales_associate_key",), hashed("sales_associate_key", "username", "created_at")


class Clients(Changing):
    """The clients, with passports and birthdays; some may have no id of the brand's."""

    name, path = "clients", "/api/extraction/v1/clients"
    primary_keys, skips_keyless, selected_by_default = ("client_id",), True, False


class TapBSPK(facts.VendorTap):
    """Singer tap for BSPK: calls, messages and appointments of sales associates, and their clients."""

    name, vendor = "tap-bspk", "bspk"
    common = facts.common(lookback="P1D", window="P30D", page_size=100, max_page_size=100)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the API.", format="url", default="https://api.bspk.com"),
        "auth_token": facts.token("Token of an API key made in the BSPK Portal."),
        "client_ids": array("Read only what concerns these clients (the brand's own ids)."),
        "sales_associate_ids": array("Read only what is of these associates (the brand's own ids)."),
    }
    rules = (facts.NotBoth("client_ids", "sales_associate_ids", "the vendor can't combine them"),)
    required = ("auth_token",)
    limit = facts.Limit(30, 10.0)
    stream_types = (Calls, Messages, Emails, Notes, Appointments, Reminders, Slices, SalesAssociates, Clients)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check auth_token",
        HTTPStatus.FORBIDDEN: "Check auth_token, and have BSPK put this machine's IP address on the allow-list of the "
        "Extraction API (bspk-support@bspk.com)",
    }
    sign = facts.bearer("auth_token")
