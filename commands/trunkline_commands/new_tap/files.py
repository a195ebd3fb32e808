"""The files of a new vendor, made from the templates."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import jinja2

from trunkline_commands.extras import requirement
from trunkline_commands.new_tap.vendor import CannotError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline_commands.new_tap.vendor import NewVendor

TEMPLATES = Path(__file__).with_name("templates")
_ROOT = Path(__file__).resolve().parents[3]
ROOT: Path | None = _ROOT if (_ROOT / "taps" / "trunkline").is_dir() else None
"""The checkout of Trunkline that this is a part of; None where it was installed from a wheel."""

FILES = {
    "tap.py.j2": "tap_{name}/__init__.py",
    "sandbox.py.j2": "tap_{name}/sandbox.py",
    "calls.json.j2": "tap_{name}/schemas/calls.json",
    "test_contract.py.j2": "tests/test_contract.py",
    "notes.md.j2": "docs/notes.md",
    "README.md.j2": "README.md",
    "pyproject.toml.j2": "pyproject.toml",
    "gitignore.j2": ".gitignore",
}
"""Each template, and where its file stands in a package."""


def render(vendor: NewVendor, into: Path) -> Path:
    """Make the files of a package, each as it is written.

    Args:
        vendor: The vendor they describe.
        into: An empty folder.

    Returns:
        The folder.

    Raises:
        CannotError: ruff is not installed.
    """
    if not importlib.util.find_spec("ruff"):
        raise CannotError(f"ruff, which lays the files out, is not installed: pip install {requirement('new-tap')}")
    # The files are Python, TOML and Markdown: nothing is escaped for HTML.
    environment = jinja2.Environment(  # noqa: S701 - same
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    for template, place in FILES.items():
        path = into / place.format(name=vendor.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        path.write_text(environment.from_string(text).render(vendor.words()), encoding="utf-8")
    (into / f"tap_{vendor.name}" / "py.typed").touch()
    # A longer name makes longer lines and another order of imports: the formatter knows which.
    config = ["--config", str(into / "pyproject.toml")]
    start([sys.executable, "-m", "ruff", "check", "--quiet", "--fix-only", "--select", "I", *config, str(into)])
    start([sys.executable, "-m", "ruff", "format", "--quiet", *config, str(into)])
    return into


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program that must succeed, and return its output; that of one that fails is shown whole.

    Raises:
        CannotError: It did not.
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - programs of this environment
    if done.returncode:
        click.echo(f"{done.stdout}{done.stderr}", nl=False, err=True)
        raise CannotError(f"{' '.join(command)} failed", "see above")
    return done.stdout
