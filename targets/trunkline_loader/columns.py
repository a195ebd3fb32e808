"""From a stream's JSON schema to columns: each property becomes one of eight kinds, for which each store has a type.

A number is a double because queries need one, and almost every number that an API writes survives it. One
that does not (a 20-digit amount, 9007199254740993) makes the column a wider one: nothing is rounded.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Kind(enum.Enum):
    """Kinds of values that a property holds, as far as the loader treats them differently."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"
    DATE_TIME = "date-time"
    DATE = "date"
    TIME = "time"
    JSON = "json"


@dataclass(frozen=True)
class TypeNames:
    """A store's types, spelled as its catalog spells them.

    Args:
        first: The type that a new column of a kind gets.
        whole: Whole numbers past 64 bits.
        most_whole: The largest of these.
        precise: Numbers that a double would round; the text type where the store has none for them.
        text: Any text.
        numbers: Types of numbers, each of which holds what stands before it; whole ones are looked at first.
        aliases: Types that others may have given a column, without their bounds, and the type of ours for their values.
        has_nul: Whether a text may have NUL characters.
    """

    first: Mapping[Kind, str]
    whole: str
    most_whole: int
    precise: str
    text: str
    numbers: tuple[str, ...]
    aliases: Mapping[str, str]
    has_nul: bool = True

    @cached_property
    def most_digits(self) -> int:
        """Digits of the largest whole number."""
        return len(str(self.most_whole))

    @property
    def integer(self) -> str:
        """Whole numbers of 64 bits."""
        return self.first[Kind.INTEGER]

    @property
    def double(self) -> str:
        """Numbers that a double keeps to their last written digit."""
        return self.first[Kind.NUMBER]

    @property
    def json(self) -> str:
        """Any value."""
        return self.first[Kind.JSON]

    def widened(self, stored: str, needed: str) -> str | None:
        """Return the type that holds every value of both types, if there is one that invents nothing.

        Returns:
            `stored`, `needed` or a wider type; None when the two have nothing in common (a BOOLEAN and a DATE). Of
            whole numbers that become a double the caller must check that the stored ones survive.
        """
        stored = self.aliases.get(stored) or self.aliases.get(stored.partition("(")[0], stored)
        pair = {stored, needed}
        if stored == needed or not pair <= {*self.first.values(), *self.numbers, self.text}:
            return stored if stored == needed else None
        if self.json in pair or self.text in pair:
            return self.json if self.json in pair else self.text
        return max(pair, key=self.numbers.index) if pair <= set(self.numbers) else None


_FORMATS = {"date-time": Kind.DATE_TIME, "date": Kind.DATE, "time": Kind.TIME}
_SINGLE = {
    frozenset({"integer"}): Kind.INTEGER,
    frozenset({"number"}): Kind.NUMBER,
    frozenset({"integer", "number"}): Kind.NUMBER,
    frozenset({"boolean"}): Kind.BOOLEAN,
    frozenset({"string"}): Kind.STRING,
}
ANY_TYPE = frozenset({"object", "array", "string", "number", "integer", "boolean"})


@dataclass(frozen=True)
class Declared:
    """A property as the stream's schema declares it.

    Args:
        name: The property's name.
        kind: What it holds.
        types: The JSON types its value may have, without `null`.
        nullable: Whether the schema allows null.
    """

    name: str
    kind: Kind
    types: frozenset[str]
    nullable: bool


def _metadata(name: str, kind: Kind, type_: str) -> Declared:
    return Declared(f"_sdc_{name}", kind, frozenset({type_}), nullable=True)


VERSION = _metadata("table_version", Kind.INTEGER, "integer")
"""The column for the version of a RECORD message, called as the SDK's targets call it."""

STAMPS = (
    _metadata("extracted_at", Kind.DATE_TIME, "string"),
    _metadata("received_at", Kind.DATE_TIME, "string"),
    _metadata("sequence", Kind.INTEGER, "integer"),
)
"""Columns of `add_record_metadata` with a value for each record: when the tap read it, when it came, and that in ms."""

BATCHED_AT, DELETED_AT = (_metadata(name, Kind.DATE_TIME, "string") for name in ("batched_at", "deleted_at"))
"""Those with one for a whole batch: when it was written, and null, as a row that comes again is there again."""


@dataclass(frozen=True)
class Column:
    """A declared property and the column of the table that holds it.

    Args:
        declared: The property.
        name: The column's name in the store.
        stored: The column's type in the store.
    """

    declared: Declared
    name: str
    stored: str


def declare(name: str, schema: Any) -> Declared:
    """Read one property of a stream's JSON schema.

    `anyOf` and `oneOf` are understood as long as their branches agree on one kind; what is richer than that is kept as
    JSON, which holds anything.
    """
    types, formats = _collect(schema)
    nullable = "null" in types
    types -= {"null"}
    if not types or types >= ANY_TYPE - {"integer"}:
        return Declared(name, Kind.JSON, ANY_TYPE, nullable=nullable or not types)
    kind = _SINGLE.get(frozenset(types), Kind.JSON)
    if kind is Kind.STRING and len(formats) == 1:
        kind = _FORMATS.get(next(iter(formats)) or "", kind)
    return Declared(name, kind, frozenset(types | ({"integer"} if "number" in types else set())), nullable=nullable)


def _collect(schema: Any) -> tuple[set[str], set[str | None]]:
    """Collect the JSON types that a schema allows, and the formats of its string branches; no types means any."""
    if not isinstance(schema, dict):
        return set(), set()
    declared = schema.get("type")
    if declared is not None:
        types = {str(kind) for kind in declared} if isinstance(declared, list) else {str(declared)}
        named = schema.get("format")
        return types, {named if isinstance(named, str) else None} if "string" in types else set()
    branches = schema.get("anyOf") or schema.get("oneOf")
    types, formats = set(), set()
    for branch in branches if isinstance(branches, list) else ():
        branch_types, branch_formats = _collect(branch)
        if not branch_types:
            return set(), set()
        types |= branch_types
        formats |= branch_formats
    return types, formats


def named(name: str, taken: Mapping[str, str], fold: Callable[[str], str], longest: int | None = None) -> str:
    """Return the table or column name that stands for a stream or property, the same in every run.

    No database has an empty name, or one with a NUL character; some compare names without regard to case, some cut
    them. A name that is free is kept as it is; any other one gets eight hex digits of its own SHA-256 behind it.

    Returns:
        A name that is either exactly an existing one or free.
    """
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    plain = name.replace("\0", "_") or "unnamed"
    suffixed = f"{plain}_{digits}"
    if longest is not None and len(suffixed.encode()) > longest:
        suffixed = f"{plain.encode()[: longest - len(digits) - 1].decode(errors='ignore')}_{digits}"
    if taken.get(fold(suffixed)) == suffixed:
        return suffixed
    if plain != name or (longest is not None and len(name.encode()) > longest):
        return suffixed
    return name if taken.get(fold(name), name) == name else suffixed


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
