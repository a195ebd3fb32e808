"""Errors of a load: each says what failed, why, and what to do, in the type that the SDK has for it, if it has one."""

from __future__ import annotations

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

_SHOWN = 100  # characters of a name or key that a message shows; a hostile name may be megabytes long


class LoadError(Exception):
    """The load can't go on. What was committed before stays; the last STATE on stdout covers it."""

    def __str__(self) -> str:
        # Names, types and keys in it may be a stranger's: nothing in them ends the line or is obeyed by a terminal.
        return "".join(letter if letter.isprintable() else " " for letter in super().__str__())


class InputError(LoadError):
    """The Singer input can't be loaded; everything before the named line can."""


class UnannouncedError(InputError, RecordsWithoutSchemaException):
    """A message about a stream came before the stream's SCHEMA."""


class MissingKeyError(InputError, MissingKeyPropertiesError):
    """A record lacks a key property."""


class StoreError(LoadError):
    """The DuckDB file can't be opened, changed or written."""


def shown(name: str) -> str:
    """A stream, column or key as a message shows it: quoted, on one line, never longer than a line.

    Args:
        name: Any text.

    Returns:
        The quoted text, cut at 100 characters.
    """
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
