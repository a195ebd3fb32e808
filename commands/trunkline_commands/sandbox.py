"""`trunkline sandbox`: the vendors on loopback, for taps, curl and people without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline_commands.passing import pass_on
from trunkline_sandbox import __main__ as program

if TYPE_CHECKING:
    from collections.abc import Sequence


def _serve(arguments: Sequence[str]) -> int:
    return program.main(list(arguments), prog="trunkline sandbox")


command = pass_on("sandbox", _serve)
