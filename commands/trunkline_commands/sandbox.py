"""`trunkline sandbox`: the vendors on loopback, for taps, curl and people without an account."""

from __future__ import annotations

from trunkline_commands.passing import pass_on
from trunkline_sandbox import __main__ as program

command = pass_on("sandbox", lambda arguments: program.main(list(arguments), prog="trunkline sandbox"))
