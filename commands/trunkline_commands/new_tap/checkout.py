"""A vendor in a checkout of Trunkline, as one of its own."""

from __future__ import annotations

import importlib.util
import re
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from trunkline.doors.vendors import VENDORS
from trunkline_commands.new_tap.entry_points import seen
from trunkline_commands.new_tap.files import start
from trunkline_commands.new_tap.vendor import CannotError, check_name
from trunkline_sandbox.vendors import GROUP as SANDBOX
from trunkline_sandbox.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline_commands.new_tap.vendor import NewVendor

PLACES = {
    "tap_{name}/__init__.py": "taps/tap_{name}.py",
    "tap_{name}/sandbox.py": "sandbox/trunkline_sandbox/vendors/{name}.py",
    "tap_{name}/schemas/calls.json": "schemas/{name}/calls.json",
    "tests/test_contract.py": "tests/vendors/test_{name}.py",
    "docs/notes.md": "docs/notes/{name}.md",
}
"""Where the files of a package stand in a checkout; those that are not named here belong to a package only."""


def check(name: str, root: Path) -> None:
    """Check that the files can be written.

    Raises:
        CannotError: They can't: the name is taken or none, or one of them is there.
    """
    check_name(name)
    there = [place.format(name=name) for place in PLACES.values() if (root / place.format(name=name)).exists()]
    if there:
        raise CannotError(f"{', '.join(there)} is there already: choose another name, or remove it")


def write(made: Path, vendor: NewVendor, root: Path) -> None:
    """Put the files where they belong, and write the generated ones anew.

    Args:
        made: The files of a package.
        vendor: Whose they are.
        root: The checkout.
    """
    name = vendor.name
    files = {
        root / place.format(name=name): (made / source.format(name=name)).read_text(encoding="utf-8")
        for source, place in PLACES.items()
    }
    files[root / "pyproject.toml"] = _in_pyproject(root, name)
    files[root / ".env.example"] = _in_env_example(root, vendor)
    files[root / "README.md"] = _in_readme(root, name, made / f"tap_{name}" / "sandbox.py")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path.relative_to(root)}")
    with seen([root / "pyproject.toml"], root) as environment:
        for tool in ("docs.py", "meltano_yml.py"):
            click.echo(start([sys.executable, str(root / "tools" / tool)], environment), nl=False)
    click.echo(
        f"\ntap-{name} works, against a made-up {vendor.title}. Try it:\n\n  python3 run.py test tests/vendors\n"
    )
    click.echo(f"Then make it the real {vendor.title}'s: docs/adding-a-vendor.md shows how.")


def _in_pyproject(root: Path, name: str) -> str:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    tap = f"tap_{name}:Tap{name.capitalize()}"
    text = _last_in(
        text, "project.scripts", f'tap-{name} = "{tap}.cli"\nsource-{name} = "trunkline.doors.airbyte.source:main"'
    )
    text = _last_in(text, f'project.entry-points."{VENDORS}"', f'{name} = "{tap}"')
    part = f'{name} = "trunkline_sandbox.vendors.{name}:{name.capitalize()}"'
    return _last_in(text, f'project.entry-points."{SANDBOX}"', part)


def _last_in(text: str, table: str, lines: str) -> str:
    """Put lines at the end of a table of the TOML, which is made if it is not there."""
    found = re.search(rf"^\[{re.escape(table)}\]\n(?:[^\[\n].*\n)*", text, re.MULTILINE)
    if found:
        return f"{text[: found.end()]}{lines}\n{text[found.end() :]}"
    place = re.search(rf'^\[project\.entry-points\."{VENDORS}"\]\n(?:[^\[\n].*\n)*', text, re.MULTILINE)
    if not place:
        raise CannotError(f"pyproject.toml has no table {table}: put it back")
    return f"{text[: place.end()]}\n[{table}]\n{lines}\n{text[place.end() :]}"


def _in_env_example(root: Path, vendor: NewVendor) -> str:
    text = (root / ".env.example").read_text(encoding="utf-8")
    names = [*vendor.words()["credentials"], *([] if vendor.span == "none" else ["start_date=2026-01-01"])]
    lines = [f"#TAP_{vendor.name.upper()}_{name.upper()}{'' if '=' in name else '='}\n" for name in names]
    block = f"# {vendor.title}: the credentials.\n{''.join(lines)}\n"
    head, mark, tail = text.partition("# PostgreSQL instead")
    return f"{head}{block}{mark}{tail}" if mark else f"{text.rstrip()}\n\n{block}".rstrip() + "\n"


def _in_readme(root: Path, name: str, sandbox: Path) -> str:
    """Make the README with the vendor's line of the demo."""
    text = (root / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^vendor +stream +rows +earliest +latest\n-[- ]+\n((?:\w+ .*\n)+)", text, re.MULTILINE)
    if not found:
        return text
    head = ["vendor", "stream", "rows", "earliest", "latest"]
    rows = [re.split(r" {2,}", line) for line in found[1].splitlines()]
    rows = sorted([*rows, _demo_row(name, sandbox)], key=lambda row: row[0])
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return text.replace(found[0], "\n".join(lines) + "\n")


def _demo_row(name: str, sandbox: Path) -> list[str]:
    spec = importlib.util.spec_from_file_location(f"new_{name}", sandbox)
    if not spec or not spec.loader:
        raise CannotError(f"{sandbox} can't be read: look at the templates")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vendor = getattr(module, name.capitalize())(World())
    rows, column = list(vendor.rows("calls")), vendor.find_route("calls").time
    times = sorted(vendor.read(row[column]) for row in rows) if column else []
    ends = (datetime.fromtimestamp(time // 1_000_000, timezone.utc) for time in (*times[:1], *times[-1:]))
    shown = [*(end.strftime("%Y-%m-%d %H:%M:%S UTC") for end in ends), "-", "-"]
    return [name, "calls", f"{len(rows):,}", *shown[:2]]
