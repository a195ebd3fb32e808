"""tap-conpeek: requests (cases) of voice campaigns, and the dialogs of the call history.

Rests on the vendor's pages "Read Voice Campaign Requests" and "Read CDR Dialogs"; the fields of a request are inferred
from the payloads of the vendor's webhook pages, and those of its dialogs from the objects of the call history.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from trunkline import facts
from trunkline.facts import FilterObjects, OffsetPages, UncountedStream, array, objects, switch, text

_CLOCK = "%Y-%m-%d %H:%M:%S"  # the vendor's form of a time, in UTC


class VoiceCampaignRequests(UncountedStream):
    """The requests of the configured campaigns: those still open first, then span by span the created and closed."""

    name, path = "voice_campaign_requests", "/voice_campaign/{voice_campaign_id}/request"
    primary_keys, replication_key, key_moves = ("id",), "changed_at", True
    per = facts.PerSetting(
        "voice_campaign_ids", "voice_campaign_id", skip_setting="skip_missing_campaigns", noun="campaign"
    )
    paging = OffsetPages(rows="data", filter=FilterObjects(setting="filter"), time=lambda at: at.strftime(_CLOCK))
    exclude_setting = "exclude"
    needs = ("voice_campaign_ids",)
    dates = ("created_date", "closed_date")
    latest = {"changed_at": dates}  # noqa: RUF012 - a fact, never changed
    unsettled = facts.Unsettled("state", ("OPEN", "PROCESSING"), noun="still open")
    inclusive = True  # `gte`, "more or equal"
    text_or_number = (
        "name", "contact_info", "contact_identifier", "contact_number", "current_contact_number", "case_id",
        "case_group", "process_date", "process_time", "process_day", "trigger_code",
    )  # fmt: skip
    text_or_json = ("custom", "custom_fields")


class CdrDialogs(UncountedStream):
    """The dialogs of the whole tenant, once they are over."""

    name, path = "cdr_dialogs", "/cdr_dialog"
    primary_keys, replication_key = ("dialog_uuid",), "hangup_time"
    paging = OffsetPages(rows="data", filter=FilterObjects(), time=lambda at: at.strftime(_CLOCK))
    inclusive = True
    flag_or_number = ("machine_detected",)


_DATE = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\Z",
    "format": "instant",
    "must": "YYYY-MM-DD HH:mm:ss, in UTC",
}
_TEXT, _INTEGER = {"type": "string", "must": "a text"}, {"type": "integer"}
# The page's own example writes the number as a text, as a number, and in a list.
_NUMBER = {"type": ["string", "integer", "array"], "items": {"type": ["string", "integer"]}, "must": "a number"}
_SPAN, _ORDER = {"enum": ["gte", "lte"]}, {"enum": ["eq", "gt", "gte", "lt", "lte", "ne"]}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


_FILTERS: dict[str, Any] = {
    **{key: {"operator": _SPAN, "value": _DATE} for key in ("created_date", "closed_date", "process_not_before")},
    "state": {"value": _list({"enum": ["OPEN", "PROCESSING", "CLOSED"]})},
    "application_state": {"value": _list({"enum": ["NEW", "RECALL", "RETRY", "CLOSED"]})},
    "contact_number": {"value": _NUMBER},
    "dialing_method": {"value": _TEXT},
    **{key: {"value": _list(_INTEGER)} for key in ("tenant_user_id", "assigned_tenant_user_id")},
    "close_reason": {"value": _list(_TEXT)},
    "custom_fields": {"key": {"type": "string", "minLength": 1, "must": "a field's name"}, "value": _TEXT},
    **{key: {"operator": _ORDER, "value": _INTEGER} for key in ("priority", "consultant_try", "contact_try")},
}
"""Properties that the vendor filters by, with the operators and values that each takes."""


class TapConpeek(facts.VendorTap):
    """Singer tap for Conpeek: the requests of voice campaigns, and the dialogs of the call history."""

    name, vendor = "tap-conpeek", "conpeek"
    common = facts.common(lookback="P1D", window="P30D", page_size=1000, max_page_size=10_000)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the tenant's API, such as https://api-example.cloud.conpeek.com.", format="url"),
        "api_key": facts.token("API key, sent as it is in the header `Authorization`."),
        "voice_campaign_ids": array(
            "The campaigns whose requests to read; the vendor has no list of them.",
            minItems=1,
            must="a list of at least one campaign id, none of them blank",
        ),
        "exclude": array(
            "Parts of a request not to be sent; their columns leave the schema too.",
            {"type": "string", "enum": ["history", "call_history", "dialogs"]},
        ),
        "filter": objects(
            "Filter objects for requests, added to the tap's own: property, value, where documented operator or key.",
            "property",
            _FILTERS,
            required=("value",),
            must="a list of filter objects, each with property and value",
        ),
        "skip_missing_campaigns": switch(
            "Continue with a warning when a campaign is not there any more, instead of failing."
        ),
    }
    required = ("api_url", "api_key")
    stream_types = (VoiceCampaignRequests, CdrDialogs)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_key",
        HTTPStatus.FORBIDDEN: "Check api_key and what it is allowed to do",
        HTTPStatus.NOT_FOUND: "Check voice_campaign_ids and api_url; for a campaign that was deleted set "
        "skip_missing_campaigns",
        HTTPStatus.BAD_REQUEST: "Check filter",
    }
    sign = facts.header("Authorization", "api_key", Content_Type="application/json")
    errors = facts.ErrorInBody("error", success="success")  # as on the vendor's other routes
