"""tap-switchtransact: contacts of SwitchTransact's contact centre, looked up, and its agents, branches and payments.

Rests on the vendor's pages "Contact Centre, Calls", "Contacts", "Lookups" and "Transactions". The API has no way to
read calls back, so this tap has no calls.
"""

from __future__ import annotations

from http import HTTPStatus

from trunkline import instants
from trunkline.facts import (
    ErrorInBody,
    Limit,
    LookupResults,
    Lookups,
    LookupStream,
    OnePage,
    PagedStream,
    SnapshotStream,
    VendorTap,
    array,
    common,
    header,
    text,
    token,
)

LOOKUPS = Lookups(
    kinds={
        "phone": ("phones", "/calls/record"),
        "email": ("emails", "/calls/record"),
        "term": ("terms", "/calls/autocomplete"),
    },
    # One object as documented, or a list, as a search may well have it.
    rows=("contact", "contacts"),
    found="status",
    error="error",
    lower_case=("email",),
    file="lookups_file",
)
LISTED = ("phones", "emails", "terms", "lookups_file")


class Contacts(LookupStream):
    """The contacts found, each once however many lookups find it."""

    name, primary_keys, lookups, needs = "contacts", ("id",), LOOKUPS, LISTED
    text_or_number = ("customer_number", "businessphone", "businessphone2", "mobilephone")


class ContactLookups(LookupResults):
    """Results of each lookup, so that one that found nothing is on record too."""

    name, lookups, ids, needs = "contact_lookups", LOOKUPS, ("contact_ids", "contact_id"), LISTED


class Agents(SnapshotStream):
    """The agents, also those who are not active."""

    name, path, primary_keys = "agents", "/contacts/agents", ("id",)
    paging = OnePage(rows="records")


class Branches(SnapshotStream):
    """The branches."""

    name, path, primary_keys = "branches", "/contacts/branches", ("id",)
    paging = OnePage(rows="records")


class Choices(SnapshotStream):
    """The values of the account's lists of choices; an id is not always there."""

    name, path, primary_keys = "lookups", "/lookups", ("type", "category", "title")
    paging = OnePage(rows="lookups")


class Transactions(PagedStream):
    """The payments by whole days, all of a span at once; their states move on for weeks."""

    name, path, selected_by_default = "transactions", "/transactions", False
    primary_keys, replication_key = ("transaction_number",), "transaction_date"
    key_moves = True  # no page documents whether a payment keeps its date when its state moves on
    tick, up_to_now, beginning, window = instants.DAY, True, instants.EPOCH, "P30D"
    text_or_number = ("amount", "id_number", "reference_number", "member_number", "workflow_reference")
    paging = OnePage(rows="records", since="start_date", until="end_date", total="total", time=instants.to_day)


class TapSwitchTransact(VendorTap):
    """Singer tap for SwitchTransact: contacts that you look up, reference lists, payments; its API reads no calls."""

    name, vendor = "tap-switchtransact", "switchtransact"
    common = common(lookback="P30D")
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the API.", format="url", default="https://app.switchtransact.com/api/1.0"),
        "api_key": token("API key, sent as it is in the header `Authorization`."),
        "phones": array("Phone numbers to look up, best in E.164 (+27…)."),
        "emails": array("E-mail addresses to look up."),
        "terms": array("Search terms: a name, company, e-mail or phone."),
        "lookups_file": text(
            "Path of a CSV file with the columns kind (phone, email or term) and value.", format="file"
        ),
    }
    rules = (LOOKUPS,)
    required = ("api_key",)
    limit = Limit(100, 1.0)
    stream_types = (Contacts, ContactLookups, Agents, Branches, Choices, Transactions)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_key",
        HTTPStatus.FORBIDDEN: "Check api_key: it needs the permission Read on General (API Keys in SwitchTransact)",
    }
    sign = header("Authorization", "api_key", Content_Type="application/json")
    errors = ErrorInBody(
        "error",
        success="status",
        not_found=True,  # no page names the HTTP status it comes with
        forbidden="not authorized",
        remedy="Check the value at that place",
    )
