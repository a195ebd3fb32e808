"""Begin a vendor: `python3 run.py new-tap NAME`, in this checkout, or with `--package FOLDER` in a package of its own.

What is written works at once, against a made-up vendor that lists its calls in pages: the vendor's file, schema, part
of the sandbox, test, page, Meltano entry and commands. From there each fact is changed into the vendor's own, as
docs/adding-a-vendor.md tells. Files are made by cookiecutter from templates/tap; both places get the same ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cookiecutter.generate import generate_files

from trunkline.doors.vendors import VENDORS, vendor_taps
from trunkline_sandbox.vendors import GROUP as SANDBOX
from trunkline_sandbox.world import World

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "templates" / "tap"
ROOTS = ("taps", "targets", "sandbox", "tools")
MUST = "a name is 2 to 30 lower-case letters and digits, a letter first, such as aircall"
PLACES = {
    "tap_{name}/__init__.py": "taps/tap_{name}.py",
    "tap_{name}/sandbox.py": "sandbox/trunkline_sandbox/vendors/{name}.py",
    "tap_{name}/schemas/calls.json": "schemas/{name}/calls.json",
    "tests/test_contract.py": "tests/vendors/test_{name}.py",
    "docs/notes.md": "docs/notes/{name}.md",
}
"""Where the files of a package stand in this checkout; those that are not named here belong to a package only."""


class CannotError(Exception):
    """Why nothing was written."""


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write the files.

    Returns:
        0, or 2 when nothing was written because of the reason on standard error.
    """
    parser = argparse.ArgumentParser(prog="python3 run.py new-tap", description=__doc__.partition("\n\n")[0])
    parser.add_argument("name", help=MUST)
    parser.add_argument("--title", help="the vendor's name for people; by default the name with a capital")
    parser.add_argument("--package", metavar="FOLDER", type=Path, help="a new folder for a package of its own")
    options = parser.parse_args(arguments)
    title = options.title or options.name.capitalize()
    try:
        _check(options.name, title, options.package, root)
        with tempfile.TemporaryDirectory(prefix="new-tap-") as scratch:
            made = render(options.name, title, package=bool(options.package), into=Path(scratch))
            if options.package:
                _package(made, options.name, title, options.package)
            else:
                _checkout(made, options.name, title, root)
    except CannotError as problem:
        print(f"nothing was written: {problem}", file=sys.stderr)
        return 2
    return 0


def _check(name: str, title: str, folder: Path | None, root: Path) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]{1,29}", name):
        raise CannotError(f"{name!r} is no name for a vendor: {MUST}")
    if not re.fullmatch(r"\w[\w &.+-]{0,40}", title):
        raise CannotError("the title must be a name of letters, digits and blanks, of at most 41 characters")
    taken = [point for point in (*vendor_taps(), "duckdb") if point == name]
    if taken or importlib.util.find_spec(f"tap_{name}"):
        raise CannotError(f"there is a vendor {name!r} already: choose another name, or edit what is there")
    if folder and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotError(f"{folder} is there already and not empty: name a new folder")
    there = [place.format(name=name) for place in PLACES.values() if (root / place.format(name=name)).exists()]
    if not folder and there:
        raise CannotError(f"{', '.join(there)} is there already: choose another name, or remove it")


def render(name: str, title: str, *, package: bool, into: Path) -> Path:
    """The files of a package, each as it is written.

    Args:
        name: The vendor's name.
        title: Its name for people.
        package: Whether they are for a package, and not for this checkout.
        into: An empty folder.

    Returns:
        The package's folder in it.
    """
    facts = {
        "name": name,
        "title": title,
        "class": name.capitalize(),
        "package": "yes" if package else "no",
    }
    made = Path(generate_files(TEMPLATE, {"cookiecutter": facts}, into))
    config = ["--config", str(ROOT / "pyproject.toml")]
    # A longer name makes longer lines and another order of imports: the formatter knows which.
    _run([sys.executable, "-m", "ruff", "check", "--quiet", "--fix-only", "--select", "I", *config, str(made)])
    _run([sys.executable, "-m", "ruff", "format", "--quiet", *config, str(made)])
    return made


# -- a package of its own ----------------------------------------------------------------------------------------------


def _package(made: Path, name: str, title: str, folder: Path) -> None:
    with seen([made / "pyproject.toml"]) as environment:
        page = [sys.executable, "-m", "trunkline.doors.docs", name, str(made / "docs" / "notes.md")]
        (made / "docs" / f"{name}.md").write_text(_run(page, environment), encoding="utf-8")
        imports = "import meltano_yml; from trunkline.doors import vendors"
        code = f"{imports}; print(meltano_yml.project(vendors.vendor_taps()[{name!r}], {title!r}))"
        (made / "meltano.yml").write_text(_run([sys.executable, "-c", code], environment), encoding="utf-8")
    shutil.rmtree(made / f"tap_{name}" / "__pycache__", ignore_errors=True)
    shutil.copytree(made, folder, dirs_exist_ok=True)
    install = f"pip install {_installed()} -e . pytest ruff mypy"
    lint = "ruff check . && ruff format --check . && mypy"
    print(f"{folder} is a package with tap-{name}. Try it, in that folder:\n\n  {install}\n  pytest\n  {lint}\n")
    print(f"Then make it the real {title}'s: docs/adding-a-vendor.md tells how.")


def _installed() -> str:
    """Trunkline as pip is to be told of it: from where this one came, as no index may have it."""
    told = json.loads(metadata.distribution("trunkline").read_text("direct_url.json") or "{}")
    url = str(told.get("url", ""))
    if url.startswith("file:") and told.get("dir_info"):
        return f"-e {shlex.quote(url2pathname(urlsplit(url).path) + '[sandbox]')}"
    return shlex.quote(f"trunkline[sandbox] @ {url}" if url else "trunkline[sandbox]")


# -- this checkout -----------------------------------------------------------------------------------------------------


def _checkout(made: Path, name: str, title: str, root: Path) -> None:
    files = {
        root / place.format(name=name): (made / source.format(name=name)).read_text(encoding="utf-8")
        for source, place in PLACES.items()
    }
    files[root / "pyproject.toml"] = _in_pyproject(root, name)
    files[root / ".env.example"] = _in_env_example(root, name, title)
    files[root / "README.md"] = _in_readme(root, name, made / f"tap_{name}" / "sandbox.py")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(root)}")
    with seen([root / "pyproject.toml"], root) as environment:
        for tool in ("docs.py", "meltano_yml.py"):
            print(_run([sys.executable, str(root / "tools" / tool)], environment), end="")
    print(f"\ntap-{name} works, against a made-up {title}. Try it:\n\n  python3 run.py test tests/vendors\n")
    print(f"Then make it the real {title}'s: docs/adding-a-vendor.md tells how.")


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
    """The TOML with lines at the end of a table, which is made if it is not there."""
    found = re.search(rf"^\[{re.escape(table)}\]\n(?:[^\[\n].*\n)*", text, re.MULTILINE)
    if found:
        return f"{text[: found.end()]}{lines}\n{text[found.end() :]}"
    place = re.search(rf'^\[project\.entry-points\."{VENDORS}"\]\n(?:[^\[\n].*\n)*', text, re.MULTILINE)
    if not place:
        raise CannotError(f"pyproject.toml has no table {table}: put it back")
    return f"{text[: place.end()]}\n[{table}]\n{lines}\n{text[place.end() :]}"


def _in_env_example(root: Path, name: str, title: str) -> str:
    text = (root / ".env.example").read_text(encoding="utf-8")
    prefix = f"#TAP_{name.upper()}"
    block = f"# {title}: the API token.\n{prefix}_API_TOKEN=\n{prefix}_START_DATE=2026-01-01\n\n"
    head, mark, tail = text.partition("# PostgreSQL instead")
    return f"{head}{block}{mark}{tail}" if mark else f"{text.rstrip()}\n\n{block}".rstrip() + "\n"


def _in_readme(root: Path, name: str, sandbox: Path) -> str:
    """The README with what the demo will show of the vendor."""
    text = (root / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^vendor +stream +rows +earliest +latest\n-[- ]+\n((?:\w+ .*\n)+)", text, re.MULTILINE)
    if not found:
        return text
    rows = [re.split(r" {2,}", line) for line in found[1].splitlines()]
    rows = sorted([*rows, _demo_row(name, sandbox)], key=lambda row: row[0])
    head = ["vendor", "stream", "rows", "earliest", "latest"]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return text.replace(found[0], "\n".join(lines) + "\n")


def _demo_row(name: str, sandbox: Path) -> list[str]:
    spec = importlib.util.spec_from_file_location(f"new_{name}", sandbox)
    if not spec or not spec.loader:
        raise CannotError(f"{sandbox} can't be read: look at templates/")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vendor = getattr(module, name.capitalize())(World())
    column = vendor.find_route("calls").time
    times = sorted(vendor.read(row[column]) for row in vendor.rows("calls"))
    ends = (datetime.fromtimestamp(time // 1_000_000, timezone.utc) for time in (times[0], times[-1]))
    return [name, "calls", f"{len(times):,}", *(end.strftime("%Y-%m-%d %H:%M:%S UTC") for end in ends)]


# -- entry points that are not installed yet ---------------------------------------------------------------------------


class seen:  # noqa: N801 - reads as a statement: with seen(projects) as environment
    """Variables with which a new process finds entry points by what pyproject.toml files say, installed or not.

    The environment itself is left alone: the next task of run.py installs what has changed.

    Args:
        projects: The files.
        root: The checkout whose code is meant.
    """

    def __init__(self, projects: Sequence[Path], root: Path = ROOT) -> None:
        self.projects, self.root = projects, root

    def __enter__(self) -> dict[str, str]:
        self._folder = tempfile.TemporaryDirectory(prefix="entry-points-")
        for project_file in self.projects:
            told = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]
            info = Path(self._folder.name) / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
            info.mkdir()
            head = f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n"
            (info / "METADATA").write_text(head, encoding="utf-8")
            groups = {"console_scripts": told.get("scripts", {}), **told.get("entry-points", {})}
            lines = [
                line
                for group, points in groups.items()
                for line in (f"[{group}]", *(f"{point} = {value}" for point, value in points.items()))
            ]
            (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        places = [self._folder.name, *(str(self.root / part) for part in ROOTS)]
        places += [str(project_file.parent) for project_file in self.projects if project_file.parent != self.root]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"}

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
