"""Keys that were there before, in little memory: a run over millions of rows must not keep each of them."""

from __future__ import annotations

import hashlib

_WIDTH = 16  # bytes of a digest: two of millions being equal is less likely than a fault of the machine
_EMPTY = bytes(_WIDTH)
_FIRST = 1024  # places of a table to begin with


class Seen:
    """A set of texts that keeps 16 bytes of each, and knows only whether one is new."""

    def __init__(self) -> None:
        self._places, self._count = _FIRST, 0
        self._table = bytearray(_FIRST * _WIDTH)

    def __len__(self) -> int:
        return self._count

    def add(self, *parts: str) -> bool:
        """Add a text in parts, and return whether it is new."""
        digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=_WIDTH).digest()
        at = self._find(digest)
        if self._table[at : at + _WIDTH] == digest:
            return False
        self._table[at : at + _WIDTH] = digest
        self._count += 1
        if 4 * self._count > 3 * self._places:
            self._grow()
        return True

    def _find(self, digest: bytes) -> int:
        """Find where a digest stands in the table, or belongs."""
        place = int.from_bytes(digest[:8], "big") % self._places
        while True:
            at = place * _WIDTH
            if self._table[at : at + _WIDTH] in (digest, _EMPTY):
                return at
            place = (place + 1) % self._places

    def _grow(self) -> None:
        before, self._places = self._table, 2 * self._places
        self._table = bytearray(self._places * _WIDTH)
        for at in range(0, len(before), _WIDTH):
            digest = bytes(before[at : at + _WIDTH])
            if digest != _EMPTY:
                to = self._find(digest)
                self._table[to : to + _WIDTH] = digest
