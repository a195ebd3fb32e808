"""G4: what is written depends neither on the requests in flight, nor on faults, nor on the way a record takes."""

from __future__ import annotations

import io
import json
import logging
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.night import NIGHT

from trunkline.doors.vendors import vendor_taps
from trunkline.steps.write import BlockWriter
from trunkline_contract.runs import timeless
from trunkline_sandbox import Fault, Sandbox
from trunkline_sandbox.transport import SandboxAdapter

TAPS = vendor_taps("trunkline")
RUN_START = datetime(2026, 2, 1, 12, 0, 0, 500_000, tzinfo=timezone.utc)
SMALL_PAGES = {"bspk": {"page_size": 7}, "conpeek": {"page_size": 25}, "hostedsuite": {"page_size": 9}}


def lines(vendor: str, *, faults: bool = False, **config: Any) -> tuple[list[str], dict[str, Any]]:
    """RECORD and SCHEMA lines without the extraction time, and the last STATE."""
    logging.disable(logging.CRITICAL)
    sandbox = Sandbox(seed=3, size=120)
    if faults:
        again = {"Retry-After": "0"}
        sandbox.faults.add(*(Fault("status", status=status, headers=again, rate=0.05) for status in (429, 503)))
    output = io.BytesIO()
    tap = TAPS[vendor](
        config={
            **sandbox.config(vendor, "http://127.0.0.1:1"),
            **SMALL_PAGES.get(vendor, {}),
            "requests_per_minute": 1_000_000,
            **config,
        },
        transport=SandboxAdapter(sandbox),
        run_start=RUN_START,
        message_writer=BlockWriter(output),
    )
    assert tap.run() == 0
    logging.disable(logging.NOTSET)
    said = [json.loads(line) for line in output.getvalue().splitlines()]
    kept = [json.dumps(timeless(m)) for m in said if m["type"] in {"RECORD", "SCHEMA"}]
    return kept, [m for m in said if m["type"] == "STATE"][-1]


@pytest.mark.parametrize("concurrency", [2, 8, 32] if NIGHT else [8])
@pytest.mark.parametrize("vendor", TAPS)
def test_g4_the_output_is_the_same_for_any_concurrency(vendor: str, concurrency: int) -> None:
    """RECORD and SCHEMA lines and the last STATE of a serial run come out of a concurrent one."""
    assert lines(vendor, concurrency=concurrency) == lines(vendor, concurrency=1)


@pytest.mark.parametrize("vendor", TAPS)
def test_g4_faults_that_pass_leave_no_trace_in_the_output(vendor: str) -> None:
    """Refused and repeated requests change neither the rows nor their order."""
    assert lines(vendor, faults=True, concurrency=8, max_attempts=20) == lines(vendor, concurrency=1)


@pytest.mark.parametrize("vendor", TAPS)
def test_g4_a_map_that_changes_nothing_gives_the_same_records(vendor: str) -> None:
    """The SDK's own path, which stream maps take, writes the records that the short one writes."""
    maps = {stream.name: {"__filter__": "True"} for stream in _streams(vendor)}
    mapped, state = lines(vendor, concurrency=8, stream_maps=maps)
    plain, plain_state = lines(vendor, concurrency=1)
    assert [json.loads(line).get("record") for line in mapped] == [json.loads(line).get("record") for line in plain]
    assert state == plain_state


def _streams(vendor: str) -> list[Any]:
    return list(TAPS[vendor].stream_types)
