"""The contract suite's runs, of this checkout's taps by their vendor's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.doors.vendors import vendor_taps
from trunkline_contract import runs
from trunkline_contract.runs import (
    UTC,
    Key,
    Killed,
    Output,
    Result,
    Target,
    bookmark,
    disk_full,
    instant,
    killed,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trunkline.doors.command import VendorTap
    from trunkline_sandbox import Sandbox

TAPS = vendor_taps("trunkline")
STREAMS = {
    "bspk": {"calls"},
    "conpeek": {"voice_campaign_requests"},
    "evolux": {"studio_calls", "studio_cdr"},
    "hostedsuite": {"calls"},
    "switchtransact": {"contacts", "contact_lookups"},
}
"""What is read of each vendor: one answer, or one count of requests, is enough for a promise of the engine's."""


def run(
    box: Sandbox,
    vendor: str,
    config: Mapping[str, Any],
    *,
    at: datetime | None = None,
    state: Mapping[str, Any] | None = None,
    output: Output | None = None,
) -> Result:
    """Run the first streams of a tap once; see `trunkline_contract.runs.run`."""
    return runs.run(box, first_streams(vendor), config, at=at, state=state, output=output)


def first_streams(vendor: str) -> type[VendorTap]:
    """A vendor's tap with the streams of `STREAMS` alone."""
    tap: Any = TAPS[vendor]  # the SDK types a stream's name for instances
    kinds = tuple(stream for stream in tap.stream_types if stream.name in STREAMS[vendor])
    found: type[VendorTap] = type(tap.__name__, (tap,), {"stream_types": kinds})
    return found


__all__ = [
    "TAPS",
    "UTC",
    "Key",
    "Killed",
    "Output",
    "Result",
    "Target",
    "bookmark",
    "disk_full",
    "first_streams",
    "instant",
    "killed",
    "parse",
    "run",
]
