"""The place of the schema files: beside this package in a wheel, at the top of a checkout otherwise.

A vendor in a package of its own brings them there, as `schemas/<stream>.json`.
"""

from __future__ import annotations

import copy
import functools
import json
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from importlib.abc import Traversable


@functools.cache
def folder() -> Traversable | Path:
    """Return the folder that holds `<vendor>/<stream>.json`, and `<stream>.json` of streams that every vendor has.

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


_homes: dict[str, Traversable] = {}


def beside(vendor: str, module: str) -> None:
    """Know the package that brings a vendor's schemas; a tap that is a module at the top, as ours are, brings none.

    Args:
        vendor: The vendor's name.
        module: Name of the module that its tap stands in.
    """
    package = getattr(getattr(sys.modules.get(module), "__spec__", None), "parent", "")
    home = resources.files(package) / "schemas" if package else None
    if home and home.is_dir():
        _homes[vendor] = home


@functools.cache
def _read(vendor: str, stream: str) -> dict[str, Any]:
    file = folder() / f"{stream}.json"  # one that every vendor has
    if not file.is_file():
        file = (_homes.get(vendor) or folder() / vendor) / f"{stream}.json"
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrunklineError(
            f"the stream {stream} of {vendor} has no schema",
            f"there is no file {file}",
            "Write it: see the guide",
            code="vendor-package",
        ) from None
    return content


def load(vendor: str, stream: str) -> dict[str, Any]:
    """Return the schema of a stream, a copy of its own.

    Raises:
        TrunklineError: There is no such file.
    """
    return copy.deepcopy(_read(vendor, stream))
