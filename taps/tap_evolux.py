"""tap-evolux: calls of Evolux Studio and the detail of each call.

Rests on the vendor's page "API - Relatório - Histórico de Chamadas - Studio" (Evolux wiki, DOC/1047330817).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from trunkline.facts import (
    DetailStream,
    NumberedPages,
    PagedStream,
    StatusInBody,
    VendorTap,
    common,
    header,
    switch,
    text,
    token,
    without_secrets,
)


class StudioCalls(PagedStream):
    """The calls, page by page; without dates the vendor returns the current day only."""

    name, path = "studio_calls", "/api/v1/studio/calls"
    primary_keys, replication_key = ("id",), "start_time"
    # The vendor's own pagination URLs drop `limit` and name other hosts: only that they are there is used.
    paging = NumberedPages(
        since="start_date",
        until="end_date",
        size="limit",
        rows="data",
        total="pagination.total",
        more="pagination.next_url",
    )


class StudioCdr(DetailStream):
    """The detail of each call, one request per call."""

    name, path = "studio_cdr", "/api/v1/studio/calls/<call_id>/cdr"
    primary_keys, replication_key = ("call_id",), "call_start_time"
    listed, detail, key_setting, noun = StudioCalls, "data", "cdr_call_id", "call"
    carries = {"call_id": "id", "call_start_time": "start_time"}  # noqa: RUF012 - a fact, never changed
    decode_fully = ("executed_tasks",)
    text_or_number = ("call_flow_id", "project_id", "call_flow_version", "studio_version")

    def compute(self, row: Any) -> None:
        """Remove what opens other systems from the parameters of the customer's own steps."""
        if self.config["redact_task_params"] and row.get("executed_tasks"):
            row["executed_tasks"] = without_secrets(row["executed_tasks"], within="task_raw_params")


class TapEvolux(VendorTap):
    """Singer tap for Evolux Studio: the calls, and the detail of each call with the tasks that its flow executed."""

    name, vendor = "tap-evolux", "evolux"
    common = common(lookback="P1D", window="P1D", page_size=50, max_page_size=50, start_required=True)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the tenant, such as https://example.evolux.net.br.", format="url"),
        "api_token": token("API token, sent in the header `token`."),
        "cdr_call_id": text(
            "Which number of a call its detail is requested with: the vendor does not document it.",
            enum=["id", "uuid"],
            default="id",
        ),
        "redact_task_params": switch(
            "Remove authentication, headers and values named like a token, password or secret from the "
            "parameters of executed tasks: they belong to other systems.",
            default=True,
        ),
    }
    required = ("api_url", "api_token")
    required_to_start = ("start_date",)
    stream_types = (StudioCalls, StudioCdr)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_token",
        HTTPStatus.FORBIDDEN: "Check what the token is allowed to read",
    }
    sign = header("token", "api_token", Content_Type="application/json")
    errors = StatusInBody("meta.status", message="meta.message")
