"""`python3 run.py soak`: five taps for a set time, one request in five fails, runs are killed at random; then compare.

Each vendor is loaded again and again by `tap | target-duckdb` into a DuckDB file of its own, while rows arrive, arrive
late and change. A run begins at the last STATE that the target passed on, however the run before ended. When the time
is up every vendor is loaded until a run ends well under faults, and once without any. The files must then hold what
the vendors hold, field by field; nothing a process wrote may hold a credential; and memory must not have grown.
"""

from __future__ import annotations

from datetime import datetime, timezone

from trunkline.doors.docs import stream_facts
from trunkline.doors.vendors import vendor_taps
from trunkline_contract.warehouse import KEYS

UTC = timezone.utc
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""The sandbox's first row; what its vendors' sample pages show is older."""

DAYS = 14
VENDORS = {
    vendor: tuple(stream.name for stream in stream_facts(tap) if stream.selected and (vendor, stream.name) in KEYS)
    for vendor, tap in vendor_taps("trunkline").items()
}
"""Each vendor's streams that a run reads by default: sensitive ones are not among them."""

LOOKBACKS = {"bspk": 24, "conpeek": 24, "evolux": 6, "hostedsuite": 48}
"""The lookbacks of the dated taps in hours: shorter than by default where a run would read too long to be many."""

TIMEOUT = 2.0
"""The taps' request_timeout (seconds): short, so that stalls that outlast it cost little."""

RELOADS_FROM = 60.0
"""A soak of so many seconds loads everything anew at the start of its second and its last third."""
