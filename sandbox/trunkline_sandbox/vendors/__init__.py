"""The vendors by name: the five that ship with the sandbox, and those that other packages bring."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from trunkline_sandbox.vendors.bspk import Bspk
from trunkline_sandbox.vendors.conpeek import Conpeek
from trunkline_sandbox.vendors.evolux import Evolux
from trunkline_sandbox.vendors.hostedsuite import HostedSuite
from trunkline_sandbox.vendors.switchtransact import SwitchTransact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline_sandbox.vendor import Vendor

GROUP = "trunkline.sandbox"
BUILT_IN: Mapping[str, type[Vendor]] = {
    vendor.name: vendor for vendor in (Bspk, SwitchTransact, HostedSuite, Conpeek, Evolux)
}


@lru_cache(maxsize=1)
def registry() -> Mapping[str, type[Vendor]]:
    """Return the vendor classes by name; an entry point may not take the name of a built-in vendor.

    Raises:
        ValueError: When one does.
    """
    found = dict(BUILT_IN)
    for entry in entry_points(group=GROUP):
        vendor = entry.load()
        if found.setdefault(entry.name, vendor) is not vendor:
            raise ValueError(f"entry point {entry.value!r} of {GROUP} has the name of a vendor that is there: rename")
    return found
