"""The definitions that Dagster loads: `dagster dev -m trunkline_orchestrate.definitions`.

The variable TRUNKLINE_BACKFILL names the settings file; without it, it is backfill.json in the working folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from trunkline_orchestrate.on_dagster import definitions

defs = definitions(Path(os.environ.get("TRUNKLINE_BACKFILL", "backfill.json")))
