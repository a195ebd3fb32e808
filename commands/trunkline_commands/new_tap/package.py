"""A vendor in a package of its own."""

from __future__ import annotations

import shlex
import shutil
import sys
from typing import TYPE_CHECKING

import click

from trunkline_commands.extras import requirement
from trunkline_commands.new_tap.entry_points import seen
from trunkline_commands.new_tap.files import start
from trunkline_commands.new_tap.vendor import CannotError, check_name

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline_commands.new_tap.vendor import NewVendor


_PAGES = """
import pathlib, sys
from trunkline.doors import docs, vendors
from trunkline_commands import meltano
name, title, folder = sys.argv[1:]
tap, folder = vendors.vendor_tap(name), pathlib.Path(folder)
notes = (folder / "docs" / "notes.md").read_text(encoding="utf-8")
(folder / "docs" / f"{name}.md").write_text(docs.vendor_page(tap, notes), encoding="utf-8")
(folder / "meltano.yml").write_text(meltano.project(tap, title), encoding="utf-8")
"""
"""Python code that a process runs once it sees the new entry points."""


def check(name: str, folder: Path) -> None:
    """Check that the package can be written.

    Raises:
        CannotError: It can't: the name is taken or none, or the folder is not empty.
    """
    check_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotError(f"{folder} is there already and not empty: name a new folder")


def write(made: Path, vendor: NewVendor, folder: Path) -> None:
    """Write the files that are made from the tap itself, and put all files into the folder.

    Args:
        made: The files.
        vendor: Whose they are.
        folder: Where they go.
    """
    name = vendor.name
    with seen([made / "pyproject.toml"]) as environment:
        start([sys.executable, "-c", _PAGES, name, vendor.title, str(made)], environment)
    shutil.rmtree(made / f"tap_{name}" / "__pycache__", ignore_errors=True)
    shutil.copytree(made, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*_cache"))
    lint = "ruff check . && ruff format --check . && mypy"
    click.echo(f"{folder} is a package with tap-{name}. Try it:\n")
    for line in (
        f"cd {shlex.quote(str(folder.absolute()))}",
        f"pip install {requirement('new-tap')} -e .",
        "pytest",
        lint,
    ):
        click.echo(f"  {line}")
    click.echo(f"\nThen make it the real {vendor.title}'s: docs/adding-a-vendor.md of Trunkline shows how.")
