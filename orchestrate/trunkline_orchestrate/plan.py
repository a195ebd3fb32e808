"""The units that a backfill is made of. Pure functions on instants; nothing here reads a clock or a file."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline_orchestrate.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from trunkline_orchestrate.sources import Source

_PLAIN = re.compile(r"[A-Za-z0-9]+")
_EDGE = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Unit:
    """One piece of work: a source from `since` (inclusive) to `until` (exclusive), of one campaign if it has such.

    Attributes:
        source: Name of the source.
        since: In UTC; None for a vendor without dates.
        until: In UTC; None for a vendor without dates.
        partition: The campaign; empty when the source is not split by one.
    """

    source: str
    since: datetime | None = None
    until: datetime | None = None
    partition: str = ""

    @property
    def key(self) -> str:
        """The unit's name within its source: letters, digits and _ only, as orchestrators require."""
        span = "whole"
        if self.since and self.until:
            span = f"{_edge(self.since)}_{_edge(self.until)}"
        return f"{span}_{_tag(self.partition)}" if self.partition else span

    def __str__(self) -> str:
        span = f" {instants.to_iso(self.since)} to {instants.to_iso(self.until)}" if self.since and self.until else ""
        return f"{self.source}{f' {self.partition}' if self.partition else ''}{span}"

    def to_json(self) -> dict[str, Any]:
        """Return the unit as JSON can hold it."""
        since, until = (instants.to_iso(edge) if edge else None for edge in (self.since, self.until))
        return {"source": self.source, "since": since, "until": until, "partition": self.partition}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Unit:
        """Return the unit that `to_json` wrote."""
        since, until = (instants.from_iso(value[name]) if value[name] else None for name in ("since", "until"))
        return cls(value["source"], since, until, value["partition"])


def _edge(instant: datetime) -> str:
    fraction = f"{instant.microsecond:06d}" if instant.microsecond else ""
    return f"{instant.strftime(_EDGE)}{fraction}Z"


def _tag(partition: str) -> str:
    """Return the partition itself, or, where it has other characters, what is left of it with a piece of its hash."""
    if _PLAIN.fullmatch(partition):
        return partition
    return f"{re.sub('[^A-Za-z0-9]', '', partition)}_{hashlib.sha256(partition.encode()).hexdigest()[:12]}"


def units(source: Source, now: datetime) -> list[Unit]:
    """Return the units of a source: by campaign, then by time, adjoining, on whole ticks, the last one perhaps shorter.

    Args:
        source: With `since` and perhaps `until`.
        now: Where the plan ends if the source sets no end.

    Raises:
        SettingsInvalid: The plan would end in the future, or before it begins.
    """
    if not source.dated:
        return [Unit(source.name)]
    assert source.since is not None  # noqa: S101 - sources.of sees to it
    since = instants.floor(source.since, source.tick)
    until = end(source, now)
    if since >= until:
        why = f"since ({instants.to_iso(since)}) is not before until ({instants.to_iso(until)})"
        raise SettingsInvalid(f"source {source.name} has nothing to read", why, "Set an earlier since or a later until")
    step = max(instants.floor(instants.EPOCH + source.span, source.tick) - instants.EPOCH, source.tick)
    edges = [since]
    while until - edges[-1] > step:
        edges.append(edges[-1] + step)
    edges.append(until)
    spans = list(itertools.pairwise(edges))
    return [Unit(source.name, low, high, part) for part in campaigns(source) for low, high in spans]


def end(source: Source, now: datetime) -> datetime:
    """Return where the plan of a source ends (exclusive).

    Raises:
        SettingsInvalid: In the future. A row that comes after its unit was read would be behind the bookmark that the
            later units set.
    """
    limit = instants.floor(now, source.tick)
    if source.until is None:
        return limit
    until = instants.floor(source.until, source.tick)
    if until > limit:
        why = f"until ({instants.to_iso(until)}) has not come yet"
        raise SettingsInvalid(f"source {source.name} can't be planned", why, "Set until to a moment that has passed")
    return until


def campaigns(source: Source) -> list[str]:
    """Return the partitions that a source is split by; one without a name when it has none."""
    split = source.partitions
    listed = list(dict.fromkeys(source.config.get(split[0]) or ())) if split else []
    return [str(one) for one in listed] or [""]


def share(rate: float, limit: int) -> float:
    """Return the part of a shared rate that each of several units may use: a whole number, where that leaves one."""
    each = rate / limit
    return int(each) if each >= 1 else each


def settled(unit: Unit, started: datetime, lookback: timedelta) -> bool:
    """Return whether no row of the unit could still come, by the vendor's lookback, when it began to be read."""
    return unit.until is None or unit.until <= started - lookback
