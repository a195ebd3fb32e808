"""Entry points that are not installed yet."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline_commands.new_tap.files import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = ("taps", "targets", "sandbox", "commands", "orchestrate")


class seen:  # noqa: N801 - reads as a statement: with seen(projects) as environment
    """Variables with which a new process finds the entry points of pyproject.toml files, installed or not.

    The environment itself is left alone: the next task of run.py, or pip, installs what has changed.

    Args:
        projects: The files.
        root: The checkout whose code is meant, if there is one.
    """

    def __init__(self, projects: Sequence[Path], root: Path | None = ROOT) -> None:
        self.projects, self.root = projects, root

    def __enter__(self) -> dict[str, str]:
        self._folder = tempfile.TemporaryDirectory(prefix="entry-points-")
        for project_file in self.projects:
            project = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]
            version = project.get("version", "0")  # one that comes from a tag is in no file
            info = Path(self._folder.name) / f"{project['name'].replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
            (info / "METADATA").write_text(head, encoding="utf-8")
            groups = {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}
            lines = [
                line
                for group, points in groups.items()
                for line in (f"[{group}]", *(f"{point} = {value}" for point, value in points.items()))
            ]
            (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        places = [self._folder.name, *(str(self.root / part) for part in SOURCES if self.root)]
        places += [str(project_file.parent) for project_file in self.projects if project_file.parent != self.root]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"}

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
