"""`python -m trunkline_orchestrate`: a backfill on one machine, with a scheduler that only starts commands, or none."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline import instants, signals
from trunkline.doors.failures import error_lines
from trunkline.errors import Stopped, TrunklineError
from trunkline_orchestrate import bookmarks, sources, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from trunkline_orchestrate.sources import Settings
    from trunkline_orchestrate.unit import Result

PROG = "python -m trunkline_orchestrate"


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run a command line.

    Args:
        arguments: Of the command line.
        prog: How the help names the command.

    Returns:
        0 when it is done, 1 when it failed; 2 for a wrong command line, 128 + its number after a signal.
    """
    options = _options(arguments, prog)

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)  # by way of `finally`, so that tap and target end too

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        done: Callable[[Settings, argparse.Namespace], None] = options.do
        done(sources.load(options.settings), options)
    except TrunklineError as error:
        for line in error_lines(error):
            print(line, file=sys.stderr)  # noqa: T201 - a command
        return 1
    except Stopped as stopped:
        return 128 + stopped.signum
    return 0


def _plan(settings: Settings, options: argparse.Namespace) -> None:
    names = [options.source] if options.source else list(settings.sources)
    for name in names:
        for one in unit.planned(settings, name):
            if options.all or unit.finished(settings, one) is None:
                print(f"{name} {one.key}")  # noqa: T201 - its output


def _check(settings: Settings, options: argparse.Namespace) -> None:
    for name in [options.source] if options.source else list(settings.sources):
        unit.check(settings.source(name))
        print(f"{name}: ok, the vendor can be read")  # noqa: T201 - its output


def _unit(settings: Settings, options: argparse.Namespace) -> None:
    one = unit.named(unit.planned(settings, options.source), options.key)
    _print_result(str(one), unit.run(settings, one, timeout=options.timeout))


def _bookmark(settings: Settings, options: argparse.Namespace) -> None:
    state = bookmarks.set_file(settings, options.source)
    if options.meltano:
        command = [options.meltano_command, *([f"--environment={options.environment}"] if options.environment else [])]
        state = bookmarks.set_meltano(settings, options.source, options.meltano, command, options.project)
    for (stream, context), mark in bookmarks.marks(state).items():
        print(f"{options.source} {stream}{f' {context}' if context else ''}: {instants.to_iso(mark.at)}")  # noqa: T201 - its output


def _plain(settings: Settings, options: argparse.Namespace) -> None:
    until = instants.from_iso(options.until) if options.until else None
    result = unit.plain(settings, options.source, until=until, timeout=options.timeout)
    _print_result(f"{options.source}, plain run up to {instants.to_iso(until or datetime.now(timezone.utc))}", result)


def _print_result(what: str, result: Result) -> None:
    rows = "an unknown number of" if result.rows is None else f"{result.rows:,}"
    how = f"{rows} rows, {result.seconds:.1f} s" if result.ran else f"done before ({rows} rows)"
    print(f"{what}: {how}")  # noqa: T201 - its output


def _options(arguments: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=prog, description="A backfill on one machine, unit by unit.")
    parser.add_argument(
        "--settings",
        type=Path,
        default=Path(os.environ.get("TRUNKLINE_BACKFILL", "backfill.json")),
        help="the settings file (TRUNKLINE_BACKFILL, or backfill.json)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Callable[[Settings, argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        made.set_defaults(do=do)
        return made

    plan = command("plan", _plan, "print the units still to be done, a line each: source and key")
    plan.add_argument("source", nargs="?")
    plan.add_argument("--all", action="store_true", help="those that are done too")
    check = command("check", _check, "send one request to each vendor, to see that it can be read")
    check.add_argument("source", nargs="?")
    one = command("unit", _unit, "run one unit, unless it is done")
    one.add_argument("source")
    one.add_argument("key")
    mark = command("bookmark", _bookmark, "set the bookmark of the plain runs to what the units have proven")
    mark.add_argument("source")
    mark.add_argument("--meltano", metavar="STATE_ID", help="set it in Meltano's state too")
    mark.add_argument("--meltano-command", default="meltano")
    mark.add_argument("--environment", help="Meltano's environment")
    mark.add_argument("--project", type=Path, default=Path(), help="folder with meltano.yml")
    plain = command("plain", _plain, "run a source from its bookmark on")
    plain.add_argument("source")
    plain.add_argument("--until", help="read up to here (exclusive); now when left out")
    for timed in (one, plain):
        timed.add_argument("--timeout", type=float, metavar="SECONDS")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signals.leave(main())
