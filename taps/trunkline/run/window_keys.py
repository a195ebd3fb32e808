"""Different keys that were written of the window at hand: what its proof counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.steps.shape.rows import getter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime


class WindowKeys:
    """Keys of records, each once, and the replication key of each: a row may come twice, in any order.

    Args:
        keys: The fields of the primary key.
        replication_key: The field that the bookmark counts by; None for a full table.
    """

    def __init__(self, keys: Sequence[str], replication_key: str | None) -> None:
        # A number in the place of a key is small, and two keys of one window that share one are less likely than a
        # fault of the machine.
        self._found: dict[int, datetime | None] = {}
        self._keys, self._of_row, self._replication_key = tuple(keys), getter(keys), replication_key

    def adder(self, by: str | None) -> Callable[[Any, datetime | None], None]:
        """Return the function that takes a record and the instant that it came with.

        Args:
            by: The field of that instant, where the vendor filters on another one than the replication key.
        """
        found, keys, of_row, own = self._found, self._keys, self._of_row, self._replication_key or ""

        def add(record: Any, instant: datetime | None) -> None:
            key = tuple(map(record.get, keys)) if type(record) is dict else of_row(record)
            found[hash(key)] = instant

        def add_by_own_time(record: Any, _: datetime | None) -> None:
            text = record.get(own)
            add(record, instants.from_iso(text) if text else None)

        return add if by in {None, "", own} else add_by_own_time

    def count(self, since: datetime, until: datetime) -> tuple[int, int]:
        """Return the number of keys, and of those whose replication key lies in a span; of a full table, all do."""
        if self._replication_key is None:
            return len(self._found), len(self._found)
        within = sum(1 for instant in self._found.values() if instant is not None and since <= instant < until)
        return len(self._found), within

    def clear(self) -> None:
        """Begin the next window."""
        self._found.clear()
