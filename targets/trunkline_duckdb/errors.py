"""Causes of a refusal by DuckDB or the disk, and remedies, in words that quote no record."""

from __future__ import annotations

import errno

import duckdb

_LINKED = "An index or a foreign key made by other means depends on the table. Drop it, run again, make it anew."
_BROKEN = (
    "A record breaks a constraint that was added to the table. Drop the constraint or correct the tap, then run again."
)
_IN_THE_WAY = (
    "Something made by other means is in the way, such as a view or a generated column. Rename it, then run again."
)
_MEMORY = "Free some memory or lower batch_size_rows, then run again."
_CONVERT = "A stored value does not fit the column's new type. Convert the column or drop the table, then run again."
_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (duckdb.ConstraintException, _BROKEN),
    (duckdb.DependencyException, _LINKED),
    (duckdb.CatalogException, _IN_THE_WAY),
    (duckdb.BinderException, _IN_THE_WAY),
    (duckdb.OutOfMemoryException, _MEMORY),
    (MemoryError, _MEMORY),
    (duckdb.DataError, _CONVERT),
)
_DISK = (
    "Check that the disk has room, that the folder may be written and that the file is a DuckDB file that your DuckDB "
    "reads; then run again."
)
# Messages of these are about the file and its tables; other DuckDB messages may quote values of a record.
_SAYABLE = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.CatalogException,
    duckdb.BinderException,
    duckdb.DependencyException,
    duckdb.TransactionException,
    duckdb.ParserException,
    duckdb.FatalException,
    duckdb.PermissionException,
    OSError,
    ValueError,
)


def cause(problem: BaseException) -> str:
    """Return why DuckDB or the disk refused, without a record's values."""
    if isinstance(problem, duckdb.ConversionException) or not isinstance(problem, _SAYABLE):
        return type(problem).__name__
    return str(problem).strip().split("\n", 1)[0].rstrip(".!")


def code(problem: BaseException) -> str:
    """Return the code of the error that a problem of DuckDB or the disk becomes; empty for the class's own."""
    full = getattr(problem, "errno", None) == errno.ENOSPC or "No space left on device" in str(problem)
    return "disk-full" if full else ""


def advice(problem: BaseException) -> str:
    """Return the remedy for an error of DuckDB or the disk."""
    if isinstance(problem, duckdb.CatalogException) and "depend" in str(problem):
        return _LINKED
    return next((text for kind, text in _ADVICE if isinstance(problem, kind)), _DISK)
