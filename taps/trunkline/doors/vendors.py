"""Finds the taps of all vendors: those of this distribution, and those that other packages bring."""

from __future__ import annotations

import importlib
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.doors.command import VendorTap

VENDORS = "trunkline.vendors"
"""The entry point group that vendors are found by."""


def vendor_tap(vendor: str) -> type[VendorTap]:
    """Import one vendor's tap, and no other.

    Raises:
        TrunklineError: No installed package brings it.
    """
    for point in metadata.entry_points(group=VENDORS, name=vendor):
        tap: type[VendorTap] = point.load()
        return tap
    known = ", ".join(sorted(point.name for point in metadata.entry_points(group=VENDORS)))
    raise TrunklineError(
        f"there is no vendor {vendor!r}",
        f"no installed package names it in the entry point group {VENDORS}; there are {known}",
        "Install the package that brings it, or start the command under its own name",
        code="not-installed",
    )


def vendor_taps(distribution: str | None = None) -> dict[str, type[VendorTap]]:
    """Return every installed vendor's tap, by the vendor's name, in the order of names.

    Args:
        distribution: Only those that this distribution brings.
    """
    found = sorted(metadata.entry_points(group=VENDORS), key=lambda point: point.name)
    return {
        point.name: point.load()
        for point in found
        if distribution is None or (point.dist is not None and point.dist.name == distribution)
    }


def tap_in(folder: Path) -> type[VendorTap]:
    """Find the tap of a package that need not be installed: the first that its pyproject.toml names among the vendors.

    Args:
        folder: Where the package's pyproject.toml is.

    Raises:
        TrunklineError: It names none.
    """
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf'^\[project\.entry-points\."{VENDORS}"\]\n\w+ = "([\w.]+):(\w+)"', text, re.MULTILINE)
    if not found:
        raise TrunklineError(
            f"{folder} has no tap",
            f"its pyproject.toml has no entry point in the group {VENDORS}",
            "Add one",
            code="vendor-package",
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    tap: type[VendorTap] = getattr(importlib.import_module(found[1]), found[2])
    return tap
