"""Where the schema files are: beside this package in a wheel, at the top of a checkout otherwise."""

from __future__ import annotations

import copy
import functools
import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Traversable


@functools.cache
def folder() -> Traversable | Path:
    """The folder that holds `<vendor>/<stream>.json`.

    Raises:
        FileNotFoundError: Neither the installed package nor a checkout around it has one.
    """
    # The checkout first: an editable installation may hold an old copy beside the package.
    for parent in Path(__file__).resolve().parents:
        if (parent / "schemas").is_dir() and (parent / "pyproject.toml").is_file():
            return parent / "schemas"
    installed = resources.files("trunkline") / "schemas"
    if installed.is_dir():
        return installed
    raise FileNotFoundError("no folder 'schemas' in the installed trunkline package: install it again")


@functools.cache
def _read(vendor: str, stream: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder() / vendor / f"{stream}.json").read_text(encoding="utf-8"))
    return content


def load(vendor: str, stream: str) -> dict[str, Any]:
    """The schema of a stream, a copy of its own."""
    return copy.deepcopy(_read(vendor, stream))
