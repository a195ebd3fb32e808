"""Rows in memory, found by key and by time: made when they are first needed, so that a million of them cost little."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

Row = dict[str, Any]
Key = tuple[Any, ...]

# Up to here made rows are kept as dicts; a larger table makes them anew, which is slower and small.
_KEEP_ROWS = 50_000
_KEEP_BYTES = 250_000
_KEEP_SELECTIONS = 64


class Index:
    """Row numbers in the order of one time."""

    __slots__ = ("ids", "times")

    def __init__(self, times: Iterable[int] = (), ids: Iterable[int] = ()) -> None:
        self.times = array("q", times)
        self.ids = array("q", ids)

    def add(self, when: int, number: int) -> None:
        """Put a row behind all that are not later."""
        at = bisect_right(self.times, when)
        self.times.insert(at, when)
        self.ids.insert(at, number)

    def discard(self, when: int, number: int) -> None:
        """Take a row out."""
        at = bisect_left(self.times, when)
        while self.ids[at] != number:
            at += 1
        del self.times[at], self.ids[at]

    def span(self, low: int | None, high: int | None) -> tuple[int, int]:
        """Return the first position and the one behind the last, both bounds inclusive, None open."""
        first = 0 if low is None else bisect_left(self.times, low)
        behind = len(self.times) if high is None else bisect_right(self.times, high)
        return first, max(first, behind)


@dataclass(frozen=True)
class Selection:
    """The row numbers that a query found: a stretch of an index, never copied as a whole."""

    ids: Sequence[int]
    first: int
    behind: int
    newest_first: bool = False

    def __len__(self) -> int:
        return self.behind - self.first

    def page(self, offset: int, limit: int) -> Sequence[int]:
        """Return the row numbers from `offset` on, at most `limit`."""
        if self.newest_first:
            high = self.behind - offset
            low = max(self.first, high - limit)
            return self.ids[low:high][::-1] if high > self.first else ()
        low = self.first + offset
        return self.ids[low : min(self.behind, low + limit)] if low < self.behind else ()


class Table:
    """The rows of one stream.

    Args:
        key: Names of the key's columns.
        clocks: Functions from a row to an instant (microseconds) or None. The first one orders the table and is
            never None; there must be one.
        count: How many rows are made on demand.
        make: Makes row `i`, the same one each time.
        when: Instant of row `i` by the first clock, without making it; never falls as `i` grows.
        extra: Rows that are there from the start besides the made ones.

    Raises:
        ValueError: There is no clock.
    """

    def __init__(  # noqa: PLR0913 - what a table is made of
        self,
        key: tuple[str, ...],
        clocks: Mapping[str, Callable[[Row], int | None]],
        *,
        count: int = 0,
        make: Callable[[int], Row] | None = None,
        when: Callable[[int], int] | None = None,
        extra: Iterable[Row] = (),
    ) -> None:
        self.key = key
        self.version = 0
        self._clocks = dict(clocks)
        if not self._clocks:
            raise ValueError(
                "a table needs a clock, which orders its rows; for rows without times give one that is the same for "
                "all, such as {'order': lambda row: 0}"
            )
        self._main = next(iter(self._clocks))
        self._count = count
        self._make = make
        self._when = when
        # Made rows have the numbers from 0 on, added ones those from -1 down; no number is ever used again.
        self._added: dict[int, Row] = {-1 - n: row for n, row in enumerate(extra)}
        self._next = -1 - len(self._added)
        self._made: dict[int, Row] | None = {} if count <= _KEEP_ROWS else None
        self._keys: dict[Key, int] | None = None
        self._bytes: dict[tuple[str, int], bytes] = {}
        self._selections: dict[Hashable, list[int]] = {}
        self._indexes: dict[str, Index] = {}

    def __len__(self) -> int:
        return len(self._index(self._main).ids)

    def row(self, number: int) -> Row:
        """Return the row of that number. It belongs to the table: read it only."""
        if number < 0:
            return self._added[number]
        if self._make is None:
            raise KeyError(number)
        if self._made is None:
            return self._make(number)
        row = self._made.get(number)
        if row is None:
            row = self._made[number] = self._make(number)
        return row

    def rows(self) -> Iterator[Row]:
        """Return all rows in the order of the first clock."""
        return map(self.row, tuple(self._index(self._main).ids))

    def find(self, key: Key) -> Row | None:
        """Return the row with that key."""
        number = self._key_index().get(key)
        return None if number is None else self.row(number)

    def add(self, row: Row) -> None:
        """Add a row that is known to be new; no key is looked up.

        Raises:
            TypeError: When its time can't be read.
        """
        if self._clocks[self._main](row) is None:
            raise TypeError(f"no readable {self._main} time")
        number, self._next = self._next, self._next - 1
        self._added[number] = row
        for name, index in self._indexes.items():
            when = self._clocks[name](row)
            if when is not None:
                index.add(when, number)
        if self._keys is not None:
            self._keys[self.key_of(row)] = number
        self._changed()

    def put(self, row: Row) -> None:
        """Add the row, or put it in the place of the one with its key.

        Raises:
            TypeError: When its time can't be read.
        """
        if self._clocks[self._main](row) is None:
            raise TypeError(f"no readable {self._main} time")
        self.delete(self.key_of(row))
        self.add(row)

    def delete(self, key: Key) -> bool:
        """Take the row with that key out; False when there is none."""
        number = self._key_index().pop(key, None)
        if number is None:
            return False
        row = self.row(number)
        for name, index in self._indexes.items():
            when = self._clocks[name](row)
            if when is not None:
                index.discard(when, number)
        self._added.pop(number, None)
        if self._made is not None:
            self._made.pop(number, None)
        self._changed()
        return True

    def key_of(self, row: Row) -> Key:
        """Return the values of the key's columns."""
        return tuple(row[name] for name in self.key)

    def select(
        self,
        clock: str | None = None,
        low: int | None = None,
        high: int | None = None,
        *,
        where: tuple[Hashable, Callable[[Row], bool]] | None = None,
        newest_first: bool = False,
    ) -> Selection:
        """Return the rows whose time lies between the bounds (inclusive) and for which `where` holds.

        Args:
            clock: Which time; the first clock when None. Rows without that time are left out.
            low: Earliest instant, or None.
            high: Latest instant, or None.
            where: A name for the condition, by which its result is remembered, and the condition.
            newest_first: Turn the order round.
        """
        name = clock or self._main
        index = self._index(name)
        first, behind = index.span(low, high)
        if where is None:
            return Selection(index.ids, first, behind, newest_first)
        token = (name, low, high, where[0])
        found = self._selections.get(token)
        if found is None:
            if len(self._selections) >= _KEEP_SELECTIONS:
                self._selections.clear()
            holds = where[1]
            found = [number for number in islice(index.ids, first, behind) if holds(self.row(number))]
            self._selections[token] = found
        return Selection(found, 0, len(found), newest_first)

    def encode(self, numbers: Iterable[int], view: str, render: Callable[[Row], Any]) -> list[bytes]:
        """Return the rows as JSON; `view` names what `render` makes of a row, so that the bytes can be kept."""
        kept = self._bytes
        if len(kept) > _KEEP_BYTES:
            kept.clear()
        encode = msgspec.json.encode
        texts = []
        for number in numbers:
            text = kept.get((view, number))
            if text is None:
                text = kept[view, number] = encode(render(self.row(number)))
            texts.append(text)
        return texts

    def _index(self, name: str) -> Index:
        """Build the index when it is first needed: a vendor without requests costs nothing."""
        index = self._indexes.get(name)
        if index is None:
            index = self._indexes[name] = self._first_index() if name == self._main else self._other_index(name)
        return index

    def _first_index(self) -> Index:
        numbers = range(self._count)
        index = Index(map(self._when, numbers) if self._when else (), numbers)
        clock = self._clocks[self._main]
        for number, row in self._added.items():
            index.add(clock(row) or 0, number)
        return index

    def _other_index(self, name: str) -> Index:
        clock = self._clocks[name]
        timed = [(clock(self.row(number)), number) for number in self._index(self._main).ids]
        known = sorted(((when, number) for when, number in timed if when is not None), key=lambda pair: pair[0])
        return Index((when for when, _ in known), (number for _, number in known))

    def _key_index(self) -> dict[Key, int]:
        if self._keys is None:
            self._keys = {self.key_of(self.row(number)): number for number in self._index(self._main).ids}
        return self._keys

    def _changed(self) -> None:
        self.version += 1
        self._selections.clear()
