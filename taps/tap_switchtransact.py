"""tap-switchtransact: contacts of SwitchTransact's contact centre, looked up by phone, e-mail or search term.

Rests on the vendor's page "Contact Centre, Calls". The API has no way to read calls back, so this tap has no calls.
"""

from __future__ import annotations

from http import HTTPStatus

from trunkline.facts import (
    AtLeastOne,
    ErrorInBody,
    Limit,
    LookupResults,
    Lookups,
    LookupStream,
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


class Contacts(LookupStream):
    """The contacts found, each once however many lookups find it."""

    name, primary_keys, lookups = "contacts", ("id",), LOOKUPS
    text_or_number = ("customer_number", "businessphone", "businessphone2", "mobilephone")


class ContactLookups(LookupResults):
    """Results of each lookup, so that one that found nothing is on record too."""

    name, lookups, ids = "contact_lookups", LOOKUPS, ("contact_ids", "contact_id")


class TapSwitchTransact(VendorTap):
    """Singer tap for SwitchTransact: contacts looked up by phone, e-mail or search term; calls can't be read back."""

    name, vendor = "tap-switchtransact", "switchtransact"
    common = common()
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
    rules = (
        AtLeastOne("phones", "emails", "terms", "lookups_file", why="there is nothing to look up without one of them"),
        LOOKUPS,
    )
    required = ("api_key",)
    limit = Limit(100, 1.0)
    stream_types = (Contacts, ContactLookups)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_key",
        HTTPStatus.FORBIDDEN: "Check api_key: it needs the permission Read on General (API Keys in SwitchTransact)",
    }
    sign = header("Authorization", "api_key", Content_Type="application/json")
    errors = ErrorInBody(
        "error",
        success="status",
        not_found=True,  # no page names the HTTP status it comes with
        denied="not authorized",
        remedy="Check the value at that place",
    )
