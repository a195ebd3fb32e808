"""Backfills over vendor, window and campaign, and the bookmark that the plain runs go on from after them.

Nothing here but `definitions` knows an orchestrator. `python -m trunkline_orchestrate` is the same on one machine.

    sources      what is read, and where to        the settings file
    plan         which units                       pure functions on instants
    pipe         tap and target as two processes   the only room that starts programs
    unit         one unit, done once               state file, lock
    bookmarks    what the units have proven        never past a unit that is not done
    definitions  the same as a Dagster job, assets and a schedule
"""

from __future__ import annotations
