"""Errors of a load: each names failure, cause and remedy, in the type that the SDK has for it, if it has one."""

from __future__ import annotations

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from trunkline.errors import TrunklineError

_SHOWN = 100  # characters of a name or key that a message shows; a hostile name may be megabytes long


class LoadError(TrunklineError):
    """The load can't go on. What was committed before stays; the last STATE on stdout covers it."""


class InputError(LoadError):
    """The Singer input is invalid from the named line on; everything before that line is good."""

    code = "singer-input"


class UnannouncedError(InputError, RecordsWithoutSchemaException):
    """A message about a stream came before the stream's SCHEMA."""


class MissingKeyError(InputError, MissingKeyPropertiesError):
    """A record lacks a key property."""

    code = "missing-key"


class StoreError(LoadError):
    """The store can't be opened, changed or written."""

    code = "store"


def shown(name: object) -> str:
    """Return a stream, column or key as a message shows it: quoted, on one line, never longer than a line."""
    text = str(name)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
