"""The facts about a tap's streams that a recount needs, read from their classes: no tap is started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trunkline.facts import LookupStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.doors.command import VendorTap

PROOFS = "window_proofs"
"""The stream of proofs, which has none about itself."""


@dataclass(frozen=True)
class StreamFacts:
    """A stream, as far as its rows can be counted again.

    Args:
        name: Its name.
        keys: Its primary key.
        replication_key: The field that spans are about; None of a full table.
        keeps_outside: Whether rows outside of the span that brought them are kept.
        moves: Whether the replication key of a row changes when the row does.
        tolerance: How far outside of its span a row may lie that came with it, in microseconds.
        lookup: Whether only what the config names is read.
        parts: Fields that hold a row's partition, where a setting lists the partitions.
        state: Field and values of rows that are read in any span; None where there are none.
    """

    name: str
    keys: tuple[str, ...]
    replication_key: str | None
    keeps_outside: bool = False
    moves: bool = False
    tolerance: int = 0
    lookup: bool = False
    parts: tuple[str, ...] = ()
    state: tuple[str, tuple[str, ...]] | None = None

    @property
    def shows_deletions(self) -> bool:
        """Whether a row that did not come again is gone at the vendor."""
        return not (self.keeps_outside or self.lookup)


def stream_facts(tap: type[VendorTap]) -> Iterator[StreamFacts]:
    """Read the facts of a tap's streams, in the tap's order."""
    for kind in tap.stream_types:
        stream: Any = kind  # the SDK types these for instances, and has properties where a class has no value
        if stream.name == PROOFS:
            continue
        source = getattr(stream, "listed", stream)  # details and sub-lists lie where the rows of their list do
        key, state = stream.replication_key, getattr(source, "unsettled", None)
        reach = [getattr(source, name, None) for name in ("filter_tolerance", "tick")]
        tolerance = max([one for one in reach if isinstance(one, timedelta)], default=timedelta(0))
        yield StreamFacts(
            stream.name,
            tuple(stream.primary_keys),
            key if isinstance(key, str) else None,
            getattr(source, "keep_rows_outside_window", False),
            getattr(source, "key_moves", False),
            tolerance // timedelta(microseconds=1),
            issubclass(stream, LookupStream),
            (source.per.field,) if getattr(source, "per", None) else (),
            (state.field, state.values) if state else None,
        )
