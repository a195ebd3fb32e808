"""Full tables: users, teams, numbers, tags. Read whole in each run, without windows and without a bookmark."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from trunkline import instants
from trunkline.errors import Refused
from trunkline.facts.paged import PagedStream
from trunkline.facts.stream import WindowRows
from trunkline.steps import feeds
from trunkline.steps.plan import Window
from trunkline.steps.prove.pages import EMPTY

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from trunkline.facts.stream import Batch, VendorStream
    from trunkline.steps.fetch.context import Feed, PendingReply, ReadContext, ReadOutcome
    from trunkline.steps.fetch.exchange import Reply


@dataclass(frozen=True)
class WholeTable(Window):
    """The whole of a table, in the place of a window; it can't be split."""

    def __str__(self) -> str:
        return "the whole table"

    def holds(self, instant: datetime) -> bool:  # noqa: ARG002 - whatever it is
        """Return true: every row belongs to it."""
        return True

    def halves(self, grain: timedelta) -> None:
        """Split nothing: a whole table has no parts."""

    def cut(self, count: int, grain: timedelta) -> tuple[Window, ...]:  # noqa: ARG002 - same
        """Split nothing: a whole table has no parts."""
        return ()


class SnapshotStream(PagedStream):
    """A full table, paged in any way.

    With a total, or along a chain of cursors, one reading is the proof; it is read once more only if it changed while
    it was read. Several pages with numbers and no total are proven by two readings that agree.
    """

    replication_key = None
    other_path: ClassVar[str] = ""
    """Where the table is on a server that does not know `path`: requested after a 404."""

    @property
    def table(self) -> WholeTable:
        """The whole table, as a window."""
        return WholeTable(None, instants.floor(self.tap.run_start, self.tick))

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """Yield one feed, of one job."""
        self.logger.info("%s: reading the whole table", self.name)
        yield feeds.WindowFeed(feeds.Jobs([self.table], None), functools.partial(self.read, listeners), {}, listeners)

    def place(self) -> object:
        """Return the same in each run."""
        return None

    def span(self, window: Window) -> tuple[()]:  # noqa: ARG002 - it has none
        """Return nothing: a table has no span."""
        return ()

    def may_wait(self, window: Window) -> bool:  # noqa: ARG002 - whatever it is
        """Return false: the next run has no bookmark to show that a part of this one was left out."""
        return False

    def belongs(self, rows: WindowRows, moments: Mapping[str, datetime]) -> bool:  # noqa: ARG002 - same
        """Return true: every row belongs to the table."""
        return True

    def read(
        self,
        listeners: Sequence[VendorStream],
        job: Any,
        ctx: ReadContext,
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Read the table, at its other path where the server does not know the first."""
        try:
            return (yield from super().read(listeners, job, ctx, context))
        except Refused as exc:
            self._turn_to_other_path(exc)
        return (yield from super().read(listeners, job, ctx, context))

    def _turn_to_other_path(self, refused: Refused) -> None:
        if refused.status != HTTPStatus.NOT_FOUND or self.other_path in {"", self.path}:
            raise refused
        self.logger.info("%s: %s is not there (404), so %s is read", self.name, self.path, self.other_path)
        self.path = self.other_path

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:
        """Request the first page."""
        try:
            reply = yield ctx.request(self.first_request(self.table), self.open)
        except Refused as exc:
            self._turn_to_other_path(exc)
            reply = yield ctx.request(self.first_request(self.table), self.open)
        return [WindowRows(self, self.table, (reply.parsed or EMPTY).rows)]
