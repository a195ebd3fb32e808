"""One HTML page about what was loaded, from the DuckDB file that target-duckdb wrote: `trunkline report`.

For each vendor and stream it shows rows by day, how fresh they are, days that should have rows and have none, how long
calls took and how they ended, and the last runs, from the reports that the taps write (`run_report`). The page needs
no network and runs no script; it can be opened from a mail or a share. It holds counts, and values of the fields that
say how a call ended, never a field that a schema marks as personal.
"""

from __future__ import annotations

from trunkline.errors import TrunklineError


class ReportError(TrunklineError):
    """The page can't be made."""

    code = "report-page"
