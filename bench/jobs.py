"""The jobs: what is requested of a vendor, written once and handed to every peer in its own terms."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environments
from trunkline.doors.vendors import vendor_taps

if TYPE_CHECKING:
    from collections.abc import Callable

PEERS = Path(__file__).parent / "peers"
START, END = "2026-01-01T00:00:00Z", "2026-01-17T00:00:00Z"
"""Around everything that the sandbox makes up: it begins on the first day and is spread over fourteen."""

CAMPAIGNS = ("5b7c389fe8df7b60af688989", "5b7c389fe8df7b60af68898a")
_SINCE, _UNTIL = "2026-01-01 00:00:00", "2026-01-17 00:00:00"
STREAMS = {
    "bspk": ("calls",),
    "conpeek": ("voice_campaign_requests",),
    "evolux": ("studio_calls", "studio_cdr"),
    "hostedsuite": ("calls",),
}
KEYS = {
    "calls": ("sales_associate_id", "client_id", "created_at"),
    "voice_campaign_requests": ("id",),
    "studio_calls": ("id",),
    "studio_cdr": ("call_uuid",),
}
"""The keys of each stream's rows, by fields that the vendor itself sends."""


def _filter(*rules: dict[str, Any]) -> str:
    return json.dumps(rules, separators=(",", ":"))


def _span(date: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {"property": date, "operator": "gte", "value": _SINCE},
        {"property": date, "operator": "lte", "value": _UNTIL},
    )


FILTERS = {
    "open": _filter({"property": "state", "value": ["OPEN", "PROCESSING"]}, *_span("created_date")),
    "created": _filter(*_span("created_date")),
    "closed": _filter(*_span("closed_date")),
}
"""The three lists of a Conpeek campaign that together miss no change of state."""


_HOURS = {"PT12H": 12, "P1D": 24, "P5D": 120, "P10D": 240, "P30D": 720}
"""The windows that are used, for the limit, which knows no ISO 8601."""


@dataclass(frozen=True)
class Job:
    """Everything of one vendor, read once.

    Attributes:
        vendor: Its name in the sandbox.
        url: Where the sandbox is.
        workers: Requests in flight at most.
        page_size: Records requested at once.
        window: For our taps: longest span requested at once.
    """

    vendor: str
    url: str
    workers: int
    page_size: int
    window: str

    @property
    def api_url(self) -> str:
        """The vendor's address."""
        return f"{self.url}/{self.vendor}"

    def ours(self) -> dict[str, Any]:
        """Return the config of our tap."""
        own: dict[str, dict[str, Any]] = {
            "bspk": {"auth_token": _TOKENS["bspk"]},
            "conpeek": {"api_key": _TOKENS["conpeek"], "voice_campaign_ids": list(CAMPAIGNS)},
            "evolux": {"api_token": _TOKENS["evolux"]},
            "hostedsuite": {
                "customer_name": "Sandbox Offices",
                "user_name": "sandbox-user",
                "password": _TOKENS["hostedsuite"],
            },
        }
        return {
            "api_url": self.api_url,
            **own[self.vendor],
            "start_date": START,
            "end_date": END,
            "window": self.window,
            "page_size": self.page_size,
            "concurrency": self.workers,
            # The sandbox keeps no limit by default, and the question here is what the code costs.
            "requests_per_minute": 1_000_000,
        }

    def theirs(self) -> dict[str, Any]:
        """Return the configuration of every other peer."""
        return {
            "vendor": self.vendor,
            "api_url": self.api_url,
            "token": _TOKENS[self.vendor],
            "start": START,
            "end": END,
            "page_size": self.page_size,
            "workers": self.workers,
            "campaigns": list(CAMPAIGNS),
            "filters": FILTERS,
            "window_hours": _HOURS[self.window],
        }

    def write(self, folder: Path) -> None:
        """Write the configurations into a folder."""
        (folder / "ours.json").write_text(json.dumps(self.ours()), encoding="utf-8")
        whole = vendor_taps("trunkline")[self.vendor](config=self.ours()).catalog_dict["streams"]
        chosen = [entry for entry in whole if entry["tap_stream_id"] in STREAMS[self.vendor]]
        (folder / "ours-catalog.json").write_text(json.dumps({"streams": chosen}), encoding="utf-8")
        (folder / "job.json").write_text(json.dumps(self.theirs()), encoding="utf-8")
        catalog = {
            "streams": [
                {
                    "stream": {
                        "name": name,
                        "json_schema": {},
                        "supported_sync_modes": ["full_refresh", "incremental"],
                    },
                    "sync_mode": "incremental" if name == "calls" else "full_refresh",
                    "destination_sync_mode": "append",
                }
                for name in STREAMS[self.vendor]
            ]
        }
        (folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")


_TOKENS = {
    "bspk": "sandbox-bspk-token",
    "conpeek": "sandbox-conpeek-key",
    "evolux": "sandbox-evolux-token",
    "hostedsuite": "sandbox-hostedsuite-password",
}


def installed(command: str) -> str:
    """Return an installed command of ours, beside the interpreter that runs the benchmark."""
    return str(Path(sys.executable).parent / command)


def _ours(vendor: str) -> list[str]:
    return [installed(f"tap-{vendor}"), "--config", "ours.json", "--catalog", "ours-catalog.json"]


def _vanilla(vendor: str) -> list[str]:
    return [environments.program("vanilla"), str(PEERS / "vanilla_tap.py"), vendor, "--config", "job.json"]


def _dlt(_: str) -> list[str]:
    return [environments.program("dlt"), str(PEERS / "dlt_source.py"), "job.json"]


def _airbyte(vendor: str) -> list[str]:
    python, script = environments.program("airbyte"), str(PEERS / "airbyte_source.py")
    return [python, script, f"{vendor}.yaml", "read", "--config", "job.json", "--catalog", "catalog.json"]


def _limit(_: str) -> list[str]:
    return [environments.program("limit"), str(PEERS / "limit.py"), "job.json"]


READERS: dict[str, Callable[[str], list[str]]] = {
    "trunkline": _ours,
    "vanilla": _vanilla,
    "dlt": _dlt,
    "airbyte": _airbyte,
    "limit": _limit,
}
"""Readers of a vendor: peer to its command, run in a folder with the job's files."""
