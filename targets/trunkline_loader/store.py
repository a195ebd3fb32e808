"""A database with one schema of tables: named, typed and widened alike in every store, by SQL that all of them take.

A store for a database derives from `Store`: it connects, reads the catalog, and writes batches. The loader knows no
more of it than is here. Each method raises StoreError, and then it has changed nothing.
"""

# ruff: noqa: S608 - every name in a query went through `quoted`

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trunkline_loader.columns import VERSION, Column, named, quoted
from trunkline_loader.errors import StoreError, shown

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from trunkline_loader.columns import Declared, TypeNames
    from trunkline_loader.records import Codec

_EXACT_IN_DOUBLE = 2**53


@dataclass
class Batch:
    """Staged records of one stream.

    Args:
        table: The table they go to.
        codec: What staged them.
        lines: The staged lines.
        rows: How many there are.
        longest: The longest line's length in bytes.
    """

    table: str
    codec: Codec
    lines: bytearray = field(default_factory=bytearray)
    rows: int = 0
    longest: int = 0


class Store:
    """A database.

    Args:
        place: Which one, for messages.
        schema: The schema that holds the tables.
        logger: For the lines a user sees.
    """

    types: TypeNames
    longest_name: int | None = None
    """Bytes of a name at most."""
    arrays = False
    """Whether a staged line is an array instead of an object."""
    activates_versions = True
    """Whether ACTIVATE_VERSION means anything."""
    deleted = "deleted"
    """The fate of the rows of an older version, in a word."""

    def __init__(self, place: object, schema: str, logger: logging.Logger) -> None:
        self.place, self.schema, self.logger = place, schema, logger
        self._streams: dict[str, str] = {}

    # -- what a database does in its own way ---------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, and make the schema if it is missing."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection to the database."""
        raise NotImplementedError

    def load(self, batches: Sequence[Batch]) -> None:
        """Write batches of any number of streams, all or nothing. When this returns, they are on disk."""
        raise NotImplementedError

    def changing(self, doing: str, table: str | None = None) -> AbstractContextManager[None]:
        """Change a table, or everything if none is named: all or nothing, while no other writer does."""
        raise NotImplementedError

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        raise NotImplementedError

    def names(self) -> list[str]:
        """Return the names in the schema that no new table may have."""
        raise NotImplementedError

    def stored(self, table: str) -> dict[str, str]:
        """Return a table's columns with their types; none of a table that does not exist."""
        raise NotImplementedError

    def qualified(self, table: str) -> str:
        """Return a table in SQL."""
        raise NotImplementedError

    def conversion(self, name: str, stored: str, target: str) -> str:
        """Return SQL that turns a stored value into its like in a wider type."""
        raise NotImplementedError

    def fold(self, name: str) -> str:
        """Return a name in the form in which the database compares it."""
        return name

    def fits(self, column: Column) -> bool:
        """Return whether a column can stay as it is, though its type is not the one that is made for its kind."""
        return column.stored == self.types.first[column.declared.kind]

    def prepare(self, stream: str, table: str, columns: Sequence[Column], keys: Sequence[str]) -> None:
        """Make the index or constraint that writing by key needs."""

    def end(self, tables: Sequence[str]) -> None:
        """Finish the load, once everything is written."""

    # -- what is the same in all of them -------------------------------------------------------------------------------

    def table_for(self, stream: str) -> str:
        """Return the name of the table that holds a stream, the same in every run.

        Raises:
            StoreError: Another stream has the name.
        """
        taken = {self.fold(name): name for name in [*self._streams, *self.names()]}
        table = named(stream, taken, self.fold, self.longest_name)
        if self._streams.setdefault(table, stream) != stream:
            raise StoreError(
                f"Streams {shown(stream)} and {shown(self._streams[table])} would share the table {shown(table)} in "
                f"{self.place}. Rename one of them in the tap",
                code="table-layout",
            )
        return table

    def columns_for(
        self, stream: str, table: str, declared: Sequence[Declared], keys: Sequence[str] = ()
    ) -> list[Column]:
        """Make the table, add the columns it lacks, and widen those that can't hold what the schema declares.

        Args:
            stream: The stream's name, for messages.
            table: The table's name.
            declared: The schema's properties.
            keys: The names of the key properties.

        Returns:
            The properties with their columns.

        Raises:
            StoreError: A stored column and its new type have nothing in common, or the database refuses the change.
        """
        with self.changing(f"change the table {shown(table)} in", table):
            present = self.stored(table)
            columns = self._named(stream, declared, present)
            fresh = [column for column in columns if column.name not in present]
            definitions = [f"{quoted(column.name)} {column.stored}" for column in fresh]
            if not columns and not present:
                raise StoreError(
                    f"Can't make the table {shown(table)}: its schema has no properties. Select some in the tap's "
                    "catalog",
                    code="table-layout",
                )
            if not present:
                self.query(f"CREATE TABLE {self.qualified(table)} ({', '.join(definitions)})")
            else:
                for column, definition in zip(fresh, definitions, strict=True):
                    self.query(f"ALTER TABLE {self.qualified(table)} ADD COLUMN {definition}")
                    self.logger.info("Added column %s %s to %s", shown(column.name), column.stored, shown(table))
            columns = [self._fitted(stream, table, column) if column.name in present else column for column in columns]
            self.prepare(stream, table, columns, keys)
            return columns

    def widen(self, stream: str, table: str, column: Column, needed: str) -> Column:
        """Change a column's type to one that holds the stored values and the new ones.

        Args:
            stream: The stream's name, for messages.
            table: The table's name.
            column: The column as it is.
            needed: The type that new values need.

        Returns:
            The column as it is now.

        Raises:
            StoreError: There is no such type, or the database refuses the change.
        """
        with self.changing(f"widen column {shown(column.name)} of table {shown(table)} in", table):
            stored = self.stored(table)[column.name]  # another run may have widened it since
            return self._widen(stream, table, Column(column.declared, column.name, stored), needed)

    def delete_older(self, table: str, version: int) -> int:
        """Delete the rows of a table whose version is older; rows without a version stay.

        Args:
            table: The table's name.
            version: The version that stays, and every newer one.

        Returns:
            The number of deleted rows.

        Raises:
            StoreError: Nothing was deleted.
        """
        with self.changing(f"delete rows of older versions of {shown(table)} in", table):
            if VERSION.name not in self.stored(table):
                return 0
            return self.delete(table, version)

    def delete(self, table: str, version: int) -> int:
        """Delete rows whose version is older."""
        raise NotImplementedError

    def count(self, table: str) -> str:
        """Count the rows of a table, for a message."""
        with self.changing(f"count the rows of {shown(table)} in"):
            return f"{self.query(f'SELECT count(*) FROM {self.qualified(table)}')[0][0]:,}"

    def _named(self, stream: str, declared: Sequence[Declared], present: dict[str, str]) -> list[Column]:
        """Return all properties with their columns, those included that the table doesn't have yet."""
        taken = {self.fold(name): name for name in present}
        owners: dict[str, str] = {}
        columns = []
        for one in declared:
            name = named(one.name, taken, self.fold, self.longest_name)
            if owners.setdefault(name, one.name) != one.name:
                raise StoreError(
                    f"Stream {shown(stream)}: properties {shown(one.name)} and {shown(owners[name])} would share the "
                    f"column {shown(name)}. Leave one of them out in the tap's catalog",
                    code="table-layout",
                )
            columns.append(Column(one, name, present.get(name, self.types.first[one.kind])))
            taken[self.fold(name)] = name
        return columns

    def _fitted(self, stream: str, table: str, column: Column) -> Column:
        needed = self.types.first[column.declared.kind]
        return column if self.fits(column) else self._widen(stream, table, column, needed)

    def _widen(self, stream: str, table: str, column: Column, needed: str) -> Column:
        target = self.types.widened(column.stored, needed)
        name, qualified = quoted(column.name), self.qualified(table)
        if target != needed and not self.query(f"SELECT 1 FROM {qualified} WHERE {name} IS NOT NULL LIMIT 1"):
            self.query(f"ALTER TABLE {qualified} ALTER {name} SET DATA TYPE {needed} USING NULL")
            return Column(column.declared, column.name, needed)
        if target is None:
            raise StoreError(
                f"Stream {shown(stream)}, column {shown(column.name)}: the table {shown(table)} in {self.place} stores "
                f"it as {column.stored}, the schema now declares {needed}, and no type holds both without loss. "
                "Convert the column (ALTER TABLE … ALTER … SET DATA TYPE … USING …), rename it, or drop the table and "
                "load it again",
                code="table-layout",
            )
        if target == self.types.double and column.stored in {self.types.integer, self.types.whole}:
            inexact = f"abs({name}::{self.types.whole}) > {_EXACT_IN_DOUBLE}"
            if self.query(f"SELECT 1 FROM {qualified} WHERE {inexact} LIMIT 1"):
                target = self.types.precise
        if target != column.stored:
            using = self.conversion(name, column.stored, target)
            self.query(f"ALTER TABLE {qualified} ALTER {name} SET DATA TYPE {target} USING {using}")
            self.logger.warning(
                "Stream %s: widened column %s from %s to %s, because the tap sends what %s can't hold",
                shown(stream), shown(column.name), column.stored, target, column.stored,
            )  # fmt: skip
        return Column(column.declared, column.name, target)
