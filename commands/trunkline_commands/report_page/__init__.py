"""One HTML page for two readers, from a database that a loader wrote: `trunkline report`.

What is wrong stands at the top. Then come contacts, for the centre's managers, from the models of `transform/`
(`manager` puts them together); then the loads of a DuckDB file, for those who run them: rows by day, freshness, gaps,
proofs, how long calls took and how they ended, and the last runs, from the reports that the taps write (`run_report`).
The page needs no network and runs no script; it can be opened from a mail or a share. Of customers it holds counts
alone, of agents the names that the models hold, and of the streams no field that a schema marks as personal.
"""

from __future__ import annotations

from trunkline.errors import TrunklineError


class ReportError(TrunklineError):
    """The page can't be made."""

    code = "report-page"
