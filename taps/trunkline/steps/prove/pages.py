"""Pages: the facts of a response that lists rows, its rows still bytes."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.errors import BadResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from collections.abc import Set as AbstractSet

ENDLESS = 100_000
"""Pages of one window after which the vendor counts as endless, whatever its total is."""

MOST_ROWS = 2**53
"""Largest total that is believed to be one."""


class Page:
    """One response, its rows still bytes.

    Args:
        rows: The rows, each as the vendor's bytes.
        read_keys: Reads the keys of the rows.
        total: Rows of the whole window, if the vendor sends it.
        more: Whether the vendor reports that pages follow; None if it does not.
        pages: Pages of the whole window, if the vendor sends it.
        cursor: What names the next page, where pages have no numbers; None on the last one.

    Raises:
        BadResponse: The total is no number of rows.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a response may hold
        self,
        rows: list[msgspec.Raw],
        read_keys: Callable[[list[msgspec.Raw]], list[Any]],
        total: int | None = None,
        more: bool | None = None,  # noqa: FBT001 - a fact of the page, not a switch
        pages: int | None = None,
        cursor: str | None = None,
    ) -> None:
        self.rows, self._read_keys, self.total, self.more, self.pages = rows, read_keys, total, more, pages
        self.cursor = cursor
        if total is not None and not 0 <= total <= MOST_ROWS:
            raise BadResponse("the response has another form", "its total is no number that rows can have")

    @functools.cached_property
    def keys(self) -> list[Any]:
        """The keys of the rows; read on first use, as a span of one response never needs them."""
        return self._read_keys(self.rows)

    def without(self, keys: AbstractSet[Any]) -> Page:
        """Return the same page without the rows that have one of these keys."""
        rows = [row for row, key in zip(self.rows, self.keys, strict=True) if key not in keys]
        return Page(rows, self._read_keys, self.total, self.more, self.pages, self.cursor)


_WIDTH = 16  # bytes of a digest: two of millions being equal is less likely than a fault of the machine
_STRANGE = (msgspec.MsgspecError, UnicodeDecodeError)

EMPTY = Page([], list)
"""The page of a 204."""


class KeyReader:
    """Reads the key of a row, without decoding the rest of it.

    Of each key a digest is kept: a page may have a million rows, and as objects their keys take five times as much
    memory as the page itself.

    Args:
        names: The vendor's fields that make the key; one inside of an object by its dotted path.
        keyless: Whether there are rows whose key is null: each of them stands for itself.
    """

    def __init__(self, names: Sequence[str], *, keyless: bool = False) -> None:
        fields = [(f"part{n}", *_part(name)) for n, name in enumerate(names)]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Key", fields)).decode
        self._encode = msgspec.json.Encoder().encode
        self._no_key = self._encode(self._decode(b"{}")) if keyless else b""

    def __call__(self, rows: Sequence[msgspec.Raw]) -> list[Hashable]:
        """Return the key of each row; one with a strange type of key is its own key (its error comes later)."""
        decode, encode, digest = self._decode, self._encode, hashlib.blake2b
        if self._no_key:
            return [self._one(row) for row in rows]
        try:
            return [digest(encode(decode(row)), digest_size=_WIDTH).digest() for row in rows]
        except _STRANGE:
            return [self._one(row) for row in rows]

    def _one(self, row: msgspec.Raw) -> Hashable:
        try:
            key = self._encode(self._decode(row))
            return hashlib.blake2b(bytes(row) if key == self._no_key else key, digest_size=_WIDTH).digest()
        except _STRANGE:
            text = bytes(row)
            return text if len(text) < _WIDTH else hashlib.blake2b(text, digest_size=_WIDTH, person=b"strange").digest()


def _part(path: str) -> tuple[Any, Any]:
    """Return the type and the field of a part of a key."""
    name, _, inner = path.partition(".")
    kind: Any = str | int | float | None
    if inner:
        kind = msgspec.defstruct("Inner", [("part", *_part(inner))]) | None
    return kind, msgspec.field(name=name, default=None)
