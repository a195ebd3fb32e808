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

    from trunkline_sandbox import Sandbox

TAPS = vendor_taps("trunkline")


def run(
    box: Sandbox,
    vendor: str,
    config: Mapping[str, Any],
    *,
    at: datetime | None = None,
    state: Mapping[str, Any] | None = None,
    output: Output | None = None,
) -> Result:
    """Run a tap once; see `trunkline_contract.runs.run`."""
    return runs.run(box, TAPS[vendor], config, at=at, state=state, output=output)


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
    "instant",
    "killed",
    "parse",
    "run",
]
