"""tap-switchtransact: contacts of SwitchTransact's contact centre, looked up by phone, e-mail or search term.

Rests on the vendor's page "Contact Centre, Calls". The API has no way to read calls back, so this tap has no calls.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from trunkline.errors import AccessDenied, Refused
from trunkline.facts import (
    AtLeastOne,
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
from trunkline.words import clean

if TYPE_CHECKING:
    from trunkline.client import Request

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


class _Answer(msgspec.Struct):
    status: bool
    error: str | None = None


_read_answer = msgspec.json.Decoder(_Answer).decode


class Contacts(LookupStream):
    """The contacts found, each once however many lookups find it."""

    name, primary_keys, lookups = "contacts", ("id",), LOOKUPS
    text_or_number = ("customer_number", "businessphone", "businessphone2", "mobilephone")


class ContactLookups(LookupResults):
    """What each lookup found, so that one that found nothing is on record too."""

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

    def is_answer(self, status: int, body: bytes) -> bool:
        """The vendor does not say which status "not found" comes with: a 404 with its body is that answer too."""
        if status == HTTPStatus.NOT_FOUND:
            answer = _answer(body)
            return answer is not None and not answer.status and not answer.error
        return super().is_answer(status, body)

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """The body decides before HTTP: `status: false` with an error is a no, without one it is "not found"."""
        answer = _answer(body)
        if answer is None or answer.status or not answer.error:
            return
        what = f"{request.about} failed"
        if "not authorized" in answer.error.lower():
            hint = self.hint(HTTPStatus.FORBIDDEN)
            raise AccessDenied(what, f"the vendor answered: {clean(answer.error, request.personal)}", hint)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TOLD_BY_HTTP:
            # Its words may repeat what was looked up, which is personal: the kind and the place of it must do.
            raise Refused(
                what, f"the vendor refused it (HTTP {status})", "Check the value at that place", status=status
            )


_TOLD_BY_HTTP = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
"""Statuses that say more than the words of a body: about the key, and about the pace."""


def _answer(body: bytes) -> _Answer | None:
    """The vendor's envelope, if it is one."""
    try:
        return _read_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
