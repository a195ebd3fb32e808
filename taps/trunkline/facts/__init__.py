"""Names a vendor's file imports: streams, paging, signing and settings, in the vendor's own names.

    from trunkline.facts import NumberedPages, PagedStream, VendorTap, bearer, common, text, token

Each name is imported from its module when it is first used, so that a part of the engine that needs one of the modules
does not load the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trunkline.credentials import without_secrets
    from trunkline.doors.command import VendorTap
    from trunkline.facts.authorization import oauth2
    from trunkline.facts.computed import hashed
    from trunkline.facts.details import DetailStream
    from trunkline.facts.lookups import LookupResults, Lookups, LookupStream
    from trunkline.facts.paged import PagedStream
    from trunkline.facts.paging import CursorPages, FilterObjects, NumberedPages, OffsetPages, OnePage
    from trunkline.facts.partitions import InChunks, PerSetting
    from trunkline.facts.per_row import PerRow
    from trunkline.facts.places import Header, Link
    from trunkline.facts.refusals import CodeInBody, ErrorInBody, StatusInBody
    from trunkline.facts.settings import (
        AtLeastOne,
        InOrder,
        NotBoth,
        array,
        common,
        integer,
        number,
        objects,
        switch,
        text,
        token,
    )
    from trunkline.facts.signing import basic, bearer, header, in_body
    from trunkline.facts.snapshot import SnapshotStream
    from trunkline.facts.stream import VendorStream
    from trunkline.facts.uncounted import UncountedStream, Unsettled
    from trunkline.facts.wall_clock import NO_DATE_OF_DOTNET, NamesZone, WallClock
    from trunkline.facts.windowed import WindowedStream
    from trunkline.steps.fetch.governor import Limit

_PLACES = {
    "trunkline.credentials": ("without_secrets",),
    "trunkline.facts.computed": ("hashed",),
    "trunkline.facts.details": ("DetailStream",),
    "trunkline.facts.lookups": ("LookupResults", "LookupStream", "Lookups"),
    "trunkline.facts.authorization": ("oauth2",),
    "trunkline.facts.paged": ("PagedStream",),
    "trunkline.facts.paging": ("CursorPages", "FilterObjects", "NumberedPages", "OffsetPages", "OnePage"),
    "trunkline.facts.partitions": ("InChunks", "PerSetting"),
    "trunkline.facts.places": ("Header", "Link"),
    "trunkline.facts.per_row": ("PerRow",),
    "trunkline.facts.signing": ("basic", "bearer", "header", "in_body"),
    "trunkline.facts.snapshot": ("SnapshotStream",),
    "trunkline.facts.refusals": ("CodeInBody", "ErrorInBody", "StatusInBody"),
    "trunkline.facts.settings": (
        "AtLeastOne",
        "InOrder",
        "NotBoth",
        "array",
        "common",
        "integer",
        "number",
        "objects",
        "switch",
        "text",
        "token",
    ),
    "trunkline.facts.uncounted": ("UncountedStream", "Unsettled"),
    "trunkline.facts.wall_clock": ("NO_DATE_OF_DOTNET", "NamesZone", "WallClock"),
    "trunkline.steps.fetch.governor": ("Limit",),
    "trunkline.facts.stream": ("VendorStream",),
    "trunkline.facts.windowed": ("WindowedStream",),
    "trunkline.doors.command": ("VendorTap",),
}
_PLACE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "NO_DATE_OF_DOTNET",
    "AtLeastOne",
    "CodeInBody",
    "CursorPages",
    "DetailStream",
    "ErrorInBody",
    "FilterObjects",
    "Header",
    "InChunks",
    "InOrder",
    "Limit",
    "Link",
    "LookupResults",
    "LookupStream",
    "Lookups",
    "NamesZone",
    "NotBoth",
    "NumberedPages",
    "OffsetPages",
    "OnePage",
    "PagedStream",
    "PerRow",
    "PerSetting",
    "SnapshotStream",
    "StatusInBody",
    "UncountedStream",
    "Unsettled",
    "VendorStream",
    "VendorTap",
    "WallClock",
    "WindowedStream",
    "array",
    "basic",
    "bearer",
    "common",
    "hashed",
    "header",
    "in_body",
    "integer",
    "number",
    "oauth2",
    "objects",
    "switch",
    "text",
    "token",
    "without_secrets",
]


def __getattr__(name: str) -> Any:
    """Import a name from its module.

    Raises:
        AttributeError: There is no such name.
    """
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACE_OF[name]), name)
