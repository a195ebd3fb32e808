"""DuckDB's types for the kinds of columns.

| JSON schema | column |
|---|---|
| `integer` | BIGINT; HUGEINT from the first value past 64 bits; VARCHAR past 128 |
| `number` | DOUBLE; VARCHAR from the first number that a double can't hold to its last written digit |
| `boolean` | BOOLEAN |
| `string` | VARCHAR |
| `string`, format `date-time` | TIMESTAMPTZ (microseconds; a time without zone is UTC) |
| `string`, format `date`, `time` | DATE, TIME |
| `object`, `array`, several types, no type | JSON, the text as it was sent |

The text of a number that is no double is kept in a VARCHAR column: `CAST(x AS DECIMAL(38, 10))` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline_loader.columns import Kind, TypeNames

if TYPE_CHECKING:
    from collections.abc import Mapping

HUGEINT, DOUBLE, VARCHAR, TIMESTAMPTZ, JSON = "HUGEINT", "DOUBLE", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "JSON"

FIRST_TYPE: Mapping[Kind, str] = {
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: DOUBLE,
    Kind.BOOLEAN: "BOOLEAN",
    Kind.STRING: VARCHAR,
    Kind.DATE_TIME: TIMESTAMPTZ,
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.JSON: JSON,
}
"""The DuckDB type a new column of a kind gets, spelled as `duckdb_columns()` spells it."""

TYPES = TypeNames(
    FIRST_TYPE,
    whole=HUGEINT,
    most_whole=2**127 - 1,
    precise=VARCHAR,
    text=VARCHAR,
    numbers=("BIGINT", HUGEINT, DOUBLE),
    aliases={
        **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"), "BIGINT"),
        "UBIGINT": HUGEINT,
        "FLOAT": DOUBLE,
    },
)
widened = TYPES.widened
