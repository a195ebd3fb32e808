"""Makes a command of a program that reads its own arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def pass_on(name: str, main: Callable[[Sequence[str]], int]) -> click.Command:
    """Make a command that hands all arguments, `--help` too, to a function.

    Args:
        name: The command's.
        main: Takes the arguments; returns the exit code.
    """

    @click.command(name, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> int:
        return main(arguments)

    return command
