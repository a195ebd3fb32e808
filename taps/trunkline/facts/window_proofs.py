"""Proofs of windows: a stream that every tap has, with one row for each window that was shown to be complete.

A run writes them while it reads the other streams, each after the rows of its window and before the STATE that covers
it (`trunkline.run.proofs`); there is nothing to request. Where streams are synced one by one, as the SDK's `sync_all`
does, those of the others are kept until the turn of this one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline.facts.stream import Batch, VendorStream

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline.steps.fetch.context import Feed, PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply


@dataclass(frozen=True)
class Proofs(Batch):
    """Rows of the stream.

    Args:
        stream: The stream.
        rows: The rows; a field that they lack is null.
    """

    rows: Sequence[Mapping[str, Any]]


class WindowProofs(VendorStream):
    """The windows that were shown to be complete; what a loader holds can be recounted against them."""

    name = "window_proofs"
    path = ""
    primary_keys = ("stream", "partition", "since", "until")
    replication_key = None
    grows_by = "read_to"

    def __init__(self, tap: Any) -> None:
        super().__init__(tap)
        self.kept: list[dict[str, Any]] = []
        """Rows of streams that were synced alone, to be written when this one is."""

    @functools.cached_property
    def _names(self) -> list[str]:
        """The fields that are selected, once the catalog is there."""
        return [name for name in self.schema["properties"] if self.mask["properties", name]]

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:  # noqa: ARG002 - there are none
        """Yield nothing: there is nothing to request."""
        yield from ()

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:  # noqa: ARG002 - same
        """Request nothing."""
        yield from ()
        return []

    def records(self, batch: Proofs) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Yield the rows, with the fields that are selected."""
        for row in batch.rows:
            yield {name: row.get(name) for name in self._names}, None
