"""The parts of a response that a judge needs: keys as digests, instants, and forms without their values."""

from __future__ import annotations

import fnmatch
import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.exact import decode

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from datetime import datetime

    from trunkline.facts.stream import VendorStream
    from trunkline.steps.prove.pages import Page

_ZONE = re.compile(r"(?<=[\d.])(?:Z|[+-]\d{2}(?::?\d{2})?)\Z")
_SHOWN = re.compile(r"[^\w:/.,+\- ()]")
_WORDS = {"T", "Z", "AM", "PM", "am", "pm", "Date", "GMT", "UTC"}
_PLAIN = re.compile(r"[A-Za-z_]\w{0,40}", re.ASCII)


@dataclass(frozen=True)
class Row:
    """A row.

    Args:
        key: Digest of what identifies it.
        moments: Its instants by field.
        coarse: How much each of them leaves out: a minute, a day, or nothing.
    """

    key: Hashable
    moments: Mapping[str, datetime] = field(default_factory=dict)
    coarse: timedelta = timedelta(0)


@dataclass(frozen=True)
class Seen:
    """The outcome of a request for rows.

    Args:
        rows: The rows.
        status: HTTP status; 0 when nothing came.
        refused: Status of a refusal, from HTTP or from the vendor's envelope.
        problem: Why there are no rows, if that is no success.
        requested: Rows that were requested; 0 where no page has a size.
        total: The vendor's total.
        more: Whether the vendor reports that pages follow; None if it does not.
        cursor: What names the next page.
        forms: How times are written, digits as `0`.
        zoneless: Whether a time names no zone.
        kinds: JSON types of the fields that may have several.
        unknown: Fields that the schema does not name, as far as they are names.
        zones: Zones that rows name.
        states: What marks unsettled rows, of each row; empty where nothing does.
    """

    rows: tuple[Row, ...] = ()
    status: int = 0
    refused: int = 0
    problem: str = ""
    requested: int = 0
    total: int | None = None
    more: bool | None = None
    cursor: str | None = None
    forms: tuple[str, ...] = ()
    zoneless: bool = False
    kinds: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    states: tuple[Any, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return not self.problem and self.status > 0

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """Keys of the rows in their order."""
        return tuple(row.key for row in self.rows)

    @property
    def follows(self) -> bool:
        """Whether the vendor lets know that more rows follow."""
        return bool(self.more or self.cursor or (self.total is not None and self.total > len(self.rows)))

    def direction(self, by: str) -> str:
        """Describe the order of the rows' times."""
        times = [row.moments[by] for row in self.rows if by in row.moments]
        if len(set(times)) < 2:  # noqa: PLR2004 - one has no order
            return "of no order that shows"
        if all(one <= other for one, other in pairwise(times)):
            return "oldest first"
        return "newest first" if all(one >= other for one, other in pairwise(times)) else "in no order of time"


def read_rows(stream: VendorStream, page: Page, by: str) -> dict[str, Any]:
    """Read the fields of `Seen` that are about rows from a page.

    Args:
        stream: The stream.
        page: The page.
        by: The field that the vendor is supposed to filter by.
    """
    rows, forms, kinds, unknown, zones, zoneless = (
        [],
        dict[str, None](),
        dict[str, None](),
        set[str](),
        set[str](),
        False,
    )
    known, states, marker = stream.schema["properties"], list[Any](), getattr(stream, "unsettled", None)
    for key, raw in zip(page.keys, page.rows, strict=True):
        try:
            row = decode(raw)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            rows.append(Row(key))
            continue
        text = row.get(by)
        if isinstance(text, str):
            forms[form(text)] = None
            zoneless = zoneless or not _names_zone(text)
        coarse = instants.precision(text) if isinstance(text, str) else timedelta(0)
        rows.append(Row(key, moments(stream, row), coarse))
        for name in (*stream.text_or_number, *stream.number_or_text, *stream.text_or_json, *stream.flag_or_number):
            if row.get(name) is not None:
                kinds[f"{name} is {_kind(row[name])}"] = None
        unknown |= {
            name for name in row.keys() - known.keys() if _PLAIN.fullmatch(name) and not _is_never(stream, name)
        }
        if marker:
            states.append(row.get(marker.field))
        if isinstance(zone := row.get(getattr(stream, "row_zone", "")), str):
            zones.add(zone)
    return {
        "rows": tuple(rows),
        "forms": tuple(forms),
        "zoneless": zoneless,
        "kinds": tuple(sorted(kinds)),
        "unknown": tuple(sorted(unknown)),
        "zones": tuple(sorted(zones)),
        "states": tuple(states),
    }


def moments(stream: VendorStream, row: Mapping[str, Any]) -> dict[str, datetime]:
    """Read the instants of a row by their fields, as a run does; what can't be read is left out."""
    found: dict[str, datetime] = {}
    for name, spec in stream.schema["properties"].items():
        if spec.get("format") != "date-time":
            continue
        try:
            inputs, make = stream.computed.get(name, ((name,), _same))
            found[name] = stream.read_time(make(*map(row.get, inputs)))[0]
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
            continue
    for name, others in stream.latest.items():
        if times := [found[other] for other in others if other in found]:
            found[name] = max(times)
    return found


def _is_never(stream: VendorStream, name: str) -> bool:
    return any(fnmatch.fnmatch(name.lower(), pattern.lower()) for pattern in stream.never_loaded)


def form(text: str) -> str:
    """Return a time's form: digits as 0, and of words only those that times have."""
    words = re.sub(r"[^\W\d_]+", lambda word: word[0] if word[0] in _WORDS else "x", text[:40])
    return re.sub(r"\d", "0", _SHOWN.sub("?", words))


def several(words: Iterable[str], most: int = 5) -> str:
    """Join some words, and count the others."""
    found: Sequence[str] = list(words)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def roughly(span: timedelta) -> str:
    """Describe a length of time, rounded up."""
    if span < timedelta(minutes=2):
        return f"{math.ceil(span.total_seconds())} s"
    hours = span / timedelta(hours=1)
    return f"{math.ceil(span.total_seconds() / 60)} min" if hours < 2 else f"{math.ceil(hours)} h"  # noqa: PLR2004


def _same(value: Any) -> Any:
    return value


def _names_zone(text: str) -> bool:
    return bool(text.startswith("/Date(") or _ZONE.search(text) or text.endswith("GMT"))


def _kind(value: Any) -> str:
    names = {bool: "true or false", str: "a text", dict: "an object", list: "a list"}
    return names.get(type(value), "a number")
