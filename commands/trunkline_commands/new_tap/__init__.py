"""`trunkline new-tap`: begin a vendor, in a package of its own or, in a checkout of Trunkline, as one of its own.

What is written works at once, against a made-up vendor that lists its calls: the vendor's file, schema, part of the
sandbox, test, page, Meltano project and commands. From there each fact is changed into the vendor's own, as
docs/adding-a-vendor.md shows. Both places get the same files, made from the templates beside this module.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trunkline_commands.new_tap import checkout, package
from trunkline_commands.new_tap.files import ROOT, render
from trunkline_commands.new_tap.vendor import DEFAULTS, NAME_RULE, PAGING, SIGNING, SPANS, CannotError, NewVendor

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUESTIONS = {
    "paging": ("How does the vendor cut its lists into pages?", PAGING),
    "signing": ("How does a request show its credentials?", SIGNING),
    "span": ("What does the filter of the list know?", SPANS),
}


def _choice(name: str, text: str) -> click.Option:
    shown = f"{text} By default {DEFAULTS[name]}, or as chosen on a terminal."
    return click.Option([f"--{name}"], type=click.Choice(list(_QUESTIONS[name][1])), help=shown)


def begin(  # noqa: PLR0913 - the options of the command
    name: str,
    *,
    title: str | None = None,
    folder: Path | None = None,
    paging: str | None = None,
    signing: str | None = None,
    span: str | None = None,
    root: Path | None = ROOT,
) -> int:
    """Write the files.

    Args:
        name: The vendor's name.
        title: Its name for people; the name with a capital when None.
        folder: A new folder for a package of its own.
        paging: One of `PAGING`; as for the next two, None prompts on a terminal and means the default elsewhere.
        signing: One of `SIGNING`.
        span: One of `SPANS`.
        root: The checkout of Trunkline that it is to stand in without a folder; None when there is none.

    Returns:
        The exit code: 2 when it could not be done, for the reason on standard error.
    """
    if root is None and folder is None:
        folder = Path(f"tap-{name}")
    try:
        package.check(name, folder) if folder else checkout.check(name, root or Path())
        facts = {"paging": paging, "signing": signing, "span": span}
        chosen = {fact: value or _choose(fact) for fact, value in facts.items()}
        vendor = NewVendor(name, title or name.capitalize(), package=bool(folder), **chosen)
        with tempfile.TemporaryDirectory(prefix="new-tap-") as scratch:
            made = render(vendor, Path(scratch))
            if folder:
                package.write(made, vendor, folder)
            else:
                checkout.write(made, vendor, root or Path())
    except CannotError as problem:
        click.echo(f"new-tap: {problem}", err=True)
        return 2
    return 0


def _choose(fact: str) -> str:
    """Prompt for a fact on a terminal; elsewhere return its default."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return DEFAULTS[fact]
    question, choices = _QUESTIONS[fact]
    lines = [f"  {choice:<8} {meaning}" for choice, meaning in choices.items()]
    click.echo("\n".join([question, *lines]))
    chosen: str = click.prompt(fact, type=click.Choice(list(choices)), default=DEFAULTS[fact], show_choices=False)
    return chosen


command = click.Command(
    "new-tap",
    callback=begin,
    help=f"Begin a vendor that works at once, against a made-up one that lists its calls. NAME: {NAME_RULE}.",
    params=[
        click.Argument(["name"]),
        click.Option(["--title"], help="The vendor's name for people; by default the name with a capital."),
        click.Option(
            ["--package", "folder"],
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="A new folder for a package of its own; without a checkout of Trunkline, tap-NAME by default.",
        ),
        _choice("paging", "How the vendor cuts its lists."),
        _choice("signing", "How a request shows its credentials."),
        _choice("span", "What the vendor's filter knows."),
    ],
)


def main(arguments: Sequence[str], root: Path | None = ROOT) -> int:
    """Run a command line, in a checkout at `root`."""
    with command.make_context("trunkline new-tap", list(arguments)) as context:
        return begin(root=root, **context.params)
