"""From a stream's JSON schema to typed columns, and how a column's type may grow without losing a value.

Every property becomes one of nine kinds; a kind has one DuckDB type at the start:

| JSON schema | column |
|---|---|
| `integer` | BIGINT; HUGEINT from the first value past 64 bits; VARCHAR past 128 |
| `number` | DOUBLE; VARCHAR from the first number that a double can't hold to its last written digit |
| `boolean` | BOOLEAN |
| `string` | VARCHAR |
| `string`, format `date-time` | TIMESTAMPTZ (microseconds; a time without zone is UTC) |
| `string`, format `date`, `time` | DATE, TIME |
| `object`, `array`, several types, no type | JSON, the text as it was sent |

A number is DOUBLE because that is what a query wants, and almost every number that an API writes survives it. The text
of one that does not (a 20-digit amount, 9007199254740993) is kept in a VARCHAR column, not rounded: `CAST(x AS
DECIMAL(38, 10))` reads it.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(enum.Enum):
    """What a property holds, as far as the loader tells values apart."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"
    DATE_TIME = "date-time"
    DATE = "date"
    TIME = "time"
    JSON = "json"


BIGINT, HUGEINT, DOUBLE, BOOLEAN, VARCHAR = "BIGINT", "HUGEINT", "DOUBLE", "BOOLEAN", "VARCHAR"
TIMESTAMPTZ, DATE, TIME, JSON = "TIMESTAMP WITH TIME ZONE", "DATE", "TIME", "JSON"

FIRST_TYPE: Mapping[Kind, str] = {
    Kind.INTEGER: BIGINT,
    Kind.NUMBER: DOUBLE,
    Kind.BOOLEAN: BOOLEAN,
    Kind.STRING: VARCHAR,
    Kind.DATE_TIME: TIMESTAMPTZ,
    Kind.DATE: DATE,
    Kind.TIME: TIME,
    Kind.JSON: JSON,
}
"""The DuckDB type a new column of a kind gets, spelled as `duckdb_columns()` spells it."""

_SCALARS = frozenset({BIGINT, HUGEINT, DOUBLE, BOOLEAN, TIMESTAMPTZ, DATE, TIME})
_WHOLE = frozenset({BIGINT, HUGEINT})
_FOREIGN = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"), BIGINT),
    "UBIGINT": HUGEINT,
    "FLOAT": DOUBLE,
}
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


VERSION = Declared("_sdc_table_version", Kind.INTEGER, frozenset({"integer"}), nullable=True)
"""The column for the version of a RECORD message, called as the SDK's targets call it."""


@dataclass(frozen=True)
class Column:
    """A declared property and the column of the table that holds it.

    Args:
        declared: The property.
        name: The column's name in DuckDB.
        stored: The column's type in DuckDB.
    """

    declared: Declared
    name: str
    stored: str


def declare(name: str, schema: Any) -> Declared:
    """Read one property of a stream's JSON schema.

    `anyOf` and `oneOf` are understood as long as their branches agree on one kind; what is richer than that is kept as
    JSON, which holds anything.

    Args:
        name: The property's name.
        schema: Its JSON schema.

    Returns:
        The property's kind, JSON types and nullability.
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
    """All JSON types that a schema allows, and the formats of its string branches; no types means any."""
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


def widened(stored: str, wanted: str) -> str | None:
    """The type that holds every value of both types, if there is one that invents nothing.

    Args:
        stored: The column's type in the file.
        wanted: The type that new values need.

    Returns:
        `stored`, `wanted` or a wider type; None when the two have nothing in common (a BOOLEAN and a DATE). Of whole
        numbers that become DOUBLE the caller must check that the stored ones survive.
    """
    stored = _FOREIGN.get(stored, stored)
    if stored == wanted:
        return stored
    pair = {stored, wanted}
    if not pair <= _SCALARS | {VARCHAR, JSON}:
        return None
    if JSON in pair or VARCHAR in pair:
        return JSON if JSON in pair else VARCHAR
    if pair <= _WHOLE | {DOUBLE}:
        return DOUBLE if DOUBLE in pair else HUGEINT
    return None


def identifier(name: str, taken: Mapping[str, str]) -> str:
    """The table or column name that stands for a stream or property, the same in every run.

    DuckDB compares names without regard to case and has no empty name, Singer does neither. A name that is free is
    kept as it is; `id` beside an existing `Id`, and an empty name, get eight hex digits of their own SHA-256 behind
    them.

    Args:
        name: The stream's or property's name.
        taken: The names that exist already, by their lower-case form.

    Returns:
        A name that is either exactly an existing one or free.
    """
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    plain = name.replace("\0", "_") or "unnamed"
    suffixed = f"{plain}_{digits}"
    if taken.get(suffixed.lower()) == suffixed:
        return suffixed
    if plain != name:
        return suffixed
    return name if taken.get(name.lower(), name) == name else suffixed


def quoted(name: str) -> str:
    """A name as an SQL identifier.

    Args:
        name: Any name.

    Returns:
        The name between double quotes, with the quotes in it doubled.
    """
    return '"' + name.replace('"', '""') + '"'
