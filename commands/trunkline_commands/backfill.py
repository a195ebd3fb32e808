"""`trunkline backfill`: years of history in units, with a scheduler that only starts commands, or none."""

from __future__ import annotations

from trunkline_orchestrate import __main__ as program

from trunkline_commands.passing import pass_on

command = pass_on("backfill", lambda arguments: program.main(list(arguments), prog="trunkline backfill"))
