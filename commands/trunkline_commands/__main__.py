"""`python -m trunkline_commands` is `trunkline`, also where the command is not installed."""

from __future__ import annotations

from trunkline_commands.cli import main

main()
