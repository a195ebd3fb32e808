"""Fields that are computed of a row: a key for rows to which the vendor gives none."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

_as_json = msgspec.json.Encoder().encode  # texts and nulls as json.dumps writes them, without its detour


def hashed(key: str, *fields: str) -> dict[str, tuple[tuple[str, ...], Callable[..., str]]]:
    """Compute a key from fields that stay as they are when all else about the row changes.

    It is the hex SHA-256 of the UTF-8 of the fields' values as a JSON array without blanks, each as the vendor wrote
    it. To be used as `computed`; the same fields then distinguish the vendor's rows.

    Args:
        key: Name of the computed field.
        fields: The vendor's fields, texts or null, in the order in which they are hashed.
    """
    return {key: (fields, digest)}


def digest(*values: str | None) -> str:
    """Hash some values as one: the hex SHA-256 of their JSON array."""
    return hashlib.sha256(_as_json(values)).hexdigest()
