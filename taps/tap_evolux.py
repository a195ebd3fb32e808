"""tap-evolux: calls of Studio, of the dialer and of queues, and the agents, their pauses and the queues.

Rests on the vendor's page "API - Relatório - Histórico de Chamadas - Studio" (Evolux wiki, DOC/1047330817) and on those
that docs/notes/evolux.md names; the response of `queue_calls` is known from public clients alone.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from operator import itemgetter
from typing import Any

from trunkline import instants
from trunkline.facts import (
    DetailStream,
    NumberedPages,
    OnePage,
    PagedStream,
    SnapshotStream,
    StatusInBody,
    VendorTap,
    common,
    header,
    switch,
    text,
    token,
    without_secrets,
)

# The vendor's own pagination URLs drop `limit` and name other hosts: only that they are there is used.
pages = partial(NumberedPages, size="limit", rows="data", total="pagination.total", more="pagination.next_url")
dated = partial(pages, since="start_date", until="end_date")


class StudioCalls(PagedStream):
    """The calls, page by page; without dates the vendor returns the current day only."""

    name, path = "studio_calls", "/api/v1/studio/calls"
    primary_keys, replication_key = ("id",), "start_time"
    paging = dated()


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


class Report(PagedStream):
    """A list of the contact centre; no page documents whether it reads its dates as instants or as whole days."""

    filter_tolerance, may_read_days = instants.DAY, True


class DialerCalls(Report):
    """The calls of the dialer; without `contact_status` the vendor leaves out those that failed."""

    name, path = "dialer_calls", "/api/v1/dialer/calls_history"
    primary_keys, replication_key = ("id",), "start_time"
    paging = dated(extra_params=(("contact_status", "both"),))


class AgentPauses(Report):
    """The pauses of the agents; `page` stands in the vendor's links and not among its parameters."""

    name, path = "agent_pauses", "/api/v1/report/complete_pause"
    primary_keys, replication_key = ("agent_id", "time_start"), "time_start"
    identity, decode_fully = ("agent.id", "time_start"), ("agent",)
    computed = {"agent_id": (("agent",), itemgetter("id"))}  # noqa: RUF012 - a fact, never changed
    paging, may_ignore_page = dated(), True


class Agents(SnapshotStream):
    """The agents."""

    name, path, primary_keys, paging = "agents", "/api/v1/agents", ("id",), pages()
    text_or_json = ("current_extension", "current_outbound_queue", "current_pause")


class Queues(SnapshotStream):
    """The queues, archived ones included, in one response."""

    name, path, primary_keys = "queues", "/api/v1/queues", ("id",)
    paging = OnePage(rows="data", extra_params=(("include_archived", "true"),))


class QueueCalls(Report):
    """The calls of all queues, also those that still last: these come again until they have ended."""

    name, path = "queue_calls", "/api/v1/report/calls_history"
    primary_keys, replication_key, unfinished = ("call_id",), "date_join", "time_leave"
    paging, number_or_text = dated(rows=("data.calls", "data")), ("call_duration",)


class TapEvolux(VendorTap):
    """Singer tap for Evolux: calls of Studio flows, of the dialer and of queues; agents and their pauses."""

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
    stream_types = (StudioCalls, StudioCdr, DialerCalls, AgentPauses, Agents, Queues, QueueCalls)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_token",
        HTTPStatus.FORBIDDEN: "Check what the token is allowed to read",
    }
    sign = header("token", "api_token", Content_Type="application/json")
    errors = StatusInBody("meta.status", message="meta.message")
