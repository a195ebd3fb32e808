"""`trunkline`: a group of commands, each in a module that is imported when the command is used.

A new command is a line of `COMMANDS` and a module `trunkline_commands.<name>` with a click command `command`.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from trunkline import signals
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "doctor": "Check on a real account whether the facts that its tap rests on hold.",
    "verify": "Recount what a loader holds against the proofs that came with it.",
    "report": "Make one HTML page of what a database holds.",
    "sandbox": "Serve the vendors on this machine, without an account.",
    "new-tap": "Begin a vendor, in a package of its own.",
    "backfill": "Load years of history in units, and set the bookmark behind them.",
    "docs": "Print the page of a vendor, from its tap and its notes.",
}
"""Each command and its line in the help."""


class LazyGroup(click.Group):
    """Commands that cost nothing until they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            click.ClickException: A package that it needs is not installed.
        """
        del ctx
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"trunkline_commands.{cmd_name.replace('-', '_')}")
        except ModuleNotFoundError as missing:
            raise missing_extra(cmd_name, missing) from missing
        found: click.Command = module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def missing_extra(command: str, missing: ModuleNotFoundError) -> click.ClickException:
    """Make the error about a package that is not there: what failed, why, and what to do.

    Raises:
        ModuleNotFoundError: It is no package of an extra.
    """
    from trunkline_commands.extras import EXTRAS, requirement

    name = (missing.name or "").partition(".")[0]
    if name not in EXTRAS:
        raise missing
    return click.ClickException(
        f"trunkline {command} can't start: {name} is not installed. Install it with "
        f"pip install {requirement(EXTRAS[name])}"
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trunkline")
def trunkline() -> None:
    """Do everything beside running a tap: `trunkline COMMAND --help` lists the options."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns:
        The exit code: the command's own, 2 for a wrong command line, 1 for an error, 128 and a signal's number.
    """
    try:
        code = trunkline.main(list(arguments), prog_name="trunkline", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 128 + 2
    except ModuleNotFoundError as missing:
        missing_extra(next(iter(arguments)), missing).show()
        return 1
    except TrunklineError as problem:
        click.echo(str(problem), err=True)
        return 1
    return int(code or 0)


def main() -> NoReturn:
    """Run the process's command line, and exit with its code, or by the signal that ended it."""
    signals.leave(run(sys.argv[1:]))
