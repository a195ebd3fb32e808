"""A tap as somebody writes it who follows the Singer SDK's cookiecutter: nothing tuned, nothing wrong.

`RESTStream`, page numbers or offsets, JSONPath, schemas in Python, details as a child stream, the default writer:

    python vanilla_tap.py bspk --config job.json
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator, BearerTokenAuthenticator
from singer_sdk.pagination import OffsetPaginator, PageNumberPaginator

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

_CONFIG: dict[str, Any] = th.PropertiesList(
    th.Property("vendor", th.StringType),
    th.Property("api_url", th.StringType, required=True),
    th.Property("token", th.StringType, required=True, secret=True),
    th.Property("start", th.StringType, required=True),
    th.Property("end", th.StringType, required=True),
    th.Property("page_size", th.IntegerType, required=True),
    th.Property("workers", th.IntegerType),
    th.Property("campaigns", th.ArrayType(th.StringType)),
    th.Property("filters", th.ObjectType(additional_properties=True)),
).to_dict()


class VendorStream(RESTStream[int]):
    """The base of the streams of all three taps."""

    @property
    def url_base(self) -> str:
        """The configured address."""
        return str(self.config["api_url"])


# -- BSPK --------------------------------------------------------------------------------------------------------------


class LinkedPages(PageNumberPaginator):
    """Page numbers, as long as the Link header names a next page."""

    def has_more(self, response: requests.Response) -> bool:
        """Return whether a page follows."""
        return "rel='next'" in response.headers.get("Link", "")


class BspkCalls(VendorStream):
    """The calls."""

    name = "calls"
    path = "/api/extraction/v1/calls"
    primary_keys: ClassVar = ("sales_associate_id", "client_id", "created_at")
    replication_key = "created_at"
    records_jsonpath = "$[*]"
    schema = th.PropertiesList(
        th.Property("store_id", th.StringType),
        th.Property("store_name", th.StringType),
        th.Property("sales_associate_id", th.StringType),
        th.Property("sales_associate_name", th.StringType),
        th.Property("client_id", th.StringType),
        th.Property("client_name", th.StringType),
        th.Property("to", th.StringType),
        th.Property("created_at", th.DateTimeType),
    ).to_dict()

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """A bearer token."""
        return BearerTokenAuthenticator(token=self.config["token"])

    def get_new_paginator(self) -> LinkedPages:
        """Return a paginator of pages that count from one."""
        return LinkedPages(1)

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: int | None) -> dict[str, Any]:
        """Return the span and the page."""
        del context
        return {
            "from": self.config["start"],
            "to": self.config["end"],
            "page": next_page_token or 1,
            "per_page": self.config["page_size"],
        }


# -- Conpeek -----------------------------------------------------------------------------------------------------------


class ConpeekRequests(VendorStream):
    """The requests of each campaign: those still open, those created and those closed in the span."""

    name = "voice_campaign_requests"
    path = "/voice_campaign/{voice_campaign_id}/request"
    primary_keys: ClassVar = ("id",)
    replication_key = "created_date"
    records_jsonpath = "$.data[*]"
    schema = th.PropertiesList(
        th.Property("id", th.StringType),
        th.Property("voice_campaign_id", th.StringType),
        th.Property("voice_campaign_name", th.StringType),
        th.Property("name", th.StringType),
        th.Property("contact_info", th.StringType),
        th.Property("contact_identifier", th.StringType),
        th.Property("case_id", th.StringType),
        th.Property("case_group", th.StringType),
        th.Property("case_state", th.StringType),
        th.Property("contact_number", th.StringType),
        th.Property("current_contact_number", th.StringType),
        th.Property("current_contact_name", th.StringType),
        th.Property("consultant_try", th.IntegerType),
        th.Property("contact_try", th.IntegerType),
        th.Property("user_reservation_try", th.IntegerType),
        th.Property("priority", th.IntegerType),
        th.Property("process_not_before", th.DateTimeType),
        th.Property("process_date", th.StringType),
        th.Property("process_time", th.StringType),
        th.Property("process_from_date", th.DateTimeType),
        th.Property("process_to_date", th.DateTimeType),
        th.Property("process_day", th.StringType),
        th.Property("process_days", th.ArrayType(th.StringType)),
        th.Property("process_hours", th.ArrayType(th.StringType)),
        th.Property("process_from_time", th.IntegerType),
        th.Property("process_to_time", th.IntegerType),
        th.Property("dialing_method", th.StringType),
        th.Property("state", th.StringType),
        th.Property("application_state", th.StringType),
        th.Property("call_state", th.StringType),
        th.Property("call_state_reason", th.StringType),
        th.Property("close_reason", th.StringType),
        th.Property("project_id", th.IntegerType),
        th.Property("project_name", th.StringType),
        th.Property("tenant_user_id", th.IntegerType),
        th.Property("assigned_tenant_user_id", th.IntegerType),
        th.Property("assigned_tenant_user_name", th.StringType),
        th.Property("call_info", th.ObjectType(additional_properties=True)),
        th.Property("trigger_code", th.StringType),
        th.Property("custom", th.CustomType({"type": ["string", "object", "null"]})),
        th.Property("created_date", th.DateTimeType),
        th.Property("closed_date", th.DateTimeType),
        th.Property(
            "history",
            th.ArrayType(
                th.ObjectType(
                    th.Property("date", th.DateTimeType),
                    th.Property("state", th.StringType),
                    th.Property("tenant_user_id", th.IntegerType),
                )
            ),
        ),
        th.Property(
            "call_history",
            th.ArrayType(
                th.ObjectType(
                    th.Property("dialog_uuid", th.StringType),
                    th.Property("start_time", th.DateTimeType),
                    th.Property("hangup_time", th.DateTimeType),
                )
            ),
        ),
        th.Property(
            "dialogs",
            th.ArrayType(
                th.ObjectType(
                    th.Property("dialog_uuid", th.StringType),
                    th.Property("dialog_type", th.StringType),
                    th.Property("business_direction", th.StringType),
                    th.Property("business_end_cause", th.StringType),
                    th.Property("start_time", th.DateTimeType),
                    th.Property("hangup_time", th.DateTimeType),
                    th.Property("talking_time", th.IntegerType),
                    th.Property("machine_detected", th.IntegerType),
                )
            ),
        ),
    ).to_dict()

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """The key as it is."""
        return APIKeyAuthenticator(key="Authorization", value=self.config["token"])

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """The lists of each campaign."""
        return [
            {"voice_campaign_id": campaign, "which": which}
            for campaign in self.config["campaigns"]
            for which in self.config["filters"]
        ]

    def get_new_paginator(self) -> OffsetPaginator:
        """Return offsets, until a response is empty."""
        return OffsetPaginator(0, self.config["page_size"])

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: int | None) -> dict[str, Any]:
        """Return the list and the offset."""
        return {
            "filter": self.config["filters"][(context or {})["which"]],
            "limit": self.config["page_size"],
            "offset": next_page_token or 0,
        }


# -- Evolux ------------------------------------------------------------------------------------------------------------


class EvoluxPages(PageNumberPaginator):
    """Page numbers, as long as there is an address of a next page."""

    def has_more(self, response: requests.Response) -> bool:
        """Return whether a page follows."""
        return response.json()["pagination"]["next_url"] is not None


class EvoluxStream(VendorStream):
    """The base of the list and the details."""

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """A header of the vendor's own."""
        return APIKeyAuthenticator(key="token", value=self.config["token"])


class EvoluxCalls(EvoluxStream):
    """The calls."""

    name = "studio_calls"
    path = "/api/v1/studio/calls"
    primary_keys: ClassVar = ("id",)
    replication_key = "start_time"
    records_jsonpath = "$.data[*]"
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("uuid", th.StringType),
        th.Property("start_time", th.DateTimeType),
        th.Property("end_time", th.DateTimeType),
        th.Property("duration", th.IntegerType),
        th.Property("caller", th.StringType),
        th.Property("did_number", th.StringType),
        th.Property("who_hangup", th.StringType),
        th.Property("exit_reason", th.StringType),
        th.Property("system_hangup_reason", th.StringType),
        th.Property("exit_transfer_destination", th.StringType),
        th.Property("call_flow", th.ObjectType(th.Property("id", th.IntegerType), th.Property("name", th.StringType))),
        th.Property("project", th.ObjectType(th.Property("id", th.IntegerType), th.Property("name", th.StringType))),
    ).to_dict()

    def get_new_paginator(self) -> EvoluxPages:
        """Return a paginator of pages that count from one."""
        return EvoluxPages(1)

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: int | None) -> dict[str, Any]:
        """Return the span and the page."""
        del context
        return {
            "start_date": self.config["start"],
            "end_date": self.config["end"],
            "page": next_page_token or 1,
            "limit": self.config["page_size"],
        }

    def get_child_context(self, record: dict[str, Any], context: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the values that the detail of a call is requested with."""
        del context
        return {"call_id": record["id"]}


class EvoluxDetails(EvoluxStream):
    """The detail of each call."""

    name = "studio_cdr"
    path = "/api/v1/studio/calls/{call_id}/cdr"
    parent_stream_type = EvoluxCalls
    primary_keys: ClassVar = ("call_id",)
    replication_key = None
    records_jsonpath = "$.data"
    schema = th.PropertiesList(
        th.Property("call_id", th.IntegerType),
        th.Property("call_uuid", th.StringType),
        th.Property("session_uuid", th.StringType),
        th.Property("enter_time_epoch", th.IntegerType),
        th.Property("exit_time_epoch", th.IntegerType),
        th.Property("call_flow_id", th.StringType),
        th.Property("call_flow_name", th.StringType),
        th.Property("call_flow_version", th.StringType),
        th.Property("project_id", th.StringType),
        th.Property("project_name", th.StringType),
        th.Property("caller_id_number", th.StringType),
        th.Property("caller_id_name", th.StringType),
        th.Property("destination_number", th.StringType),
        th.Property("incoming_did", th.StringType),
        th.Property("hostname", th.StringType),
        th.Property("tenant_domain", th.StringType),
        th.Property("source", th.StringType),
        th.Property("studio_version", th.StringType),
        th.Property("exit_reason", th.StringType),
        th.Property("exit_transfer_destination", th.StringType),
        th.Property("who_hangup", th.StringType),
        th.Property("system_hangup_reason", th.StringType),
        th.Property(
            "executed_tasks",
            th.ArrayType(
                th.ObjectType(
                    th.Property("task_id", th.StringType),
                    th.Property("task_name", th.StringType),
                    th.Property("task_description", th.StringType),
                    th.Property("start_time_epoch", th.IntegerType),
                    th.Property("end_time_epoch", th.IntegerType),
                    th.Property("task_raw_params", th.ObjectType(additional_properties=True)),
                )
            ),
        ),
    ).to_dict()


class TapVanilla(Tap):
    """A tap for one of three vendors."""

    config_jsonschema = _CONFIG
    stream_types: ClassVar[tuple[type[VendorStream], ...]]

    def discover_streams(self) -> list[VendorStream]:
        """Return the vendor's streams."""
        return [stream_type(self) for stream_type in self.stream_types]


class TapBspk(TapVanilla):
    """BSPK."""

    name = "tap-bspk"
    stream_types = (BspkCalls,)


class TapConpeek(TapVanilla):
    """Conpeek."""

    name = "tap-conpeek"
    stream_types = (ConpeekRequests,)


class TapEvolux(TapVanilla):
    """Evolux."""

    name = "tap-evolux"
    stream_types = (EvoluxCalls, EvoluxDetails)


if __name__ == "__main__":
    {"bspk": TapBspk, "conpeek": TapConpeek, "evolux": TapEvolux}[sys.argv.pop(1)].cli()
