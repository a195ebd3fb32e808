"""PostgreSQL's types for the kinds of columns.

| JSON schema | column |
|---|---|
| `integer` | bigint; numeric from the first value past 64 bits; text past 1,000 digits |
| `number` | double precision; numeric from the first number that a double can't hold to its last written digit |
| `boolean` | boolean |
| `string` | text |
| `string`, format `date-time` | timestamptz (microseconds; a time without zone is UTC) |
| `string`, format `date`, `time` | date, time |
| `object`, `array`, several types, no type | jsonb |

A column of zone-less timestamps that is there already is kept, and written in UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline_loader.columns import Kind, TypeNames

if TYPE_CHECKING:
    from collections.abc import Mapping

BIGINT, NUMERIC, DOUBLE, TEXT, JSONB = "bigint", "numeric", "double precision", "text", "jsonb"
TIMESTAMPTZ, TIMESTAMP = "timestamp with time zone", "timestamp without time zone"

FIRST_TYPE: Mapping[Kind, str] = {
    Kind.INTEGER: BIGINT,
    Kind.NUMBER: DOUBLE,
    Kind.BOOLEAN: "boolean",
    Kind.STRING: TEXT,
    Kind.DATE_TIME: TIMESTAMPTZ,
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.JSON: JSONB,
}
"""The type a new column of a kind gets, spelled as `format_type` spells it."""

TYPES = TypeNames(
    FIRST_TYPE,
    whole=NUMERIC,
    most_whole=10**1000,  # numeric has room for far more, which nobody means
    precise=NUMERIC,
    text=TEXT,
    numbers=(BIGINT, DOUBLE, NUMERIC),
    aliases={
        "smallint": BIGINT,
        "integer": BIGINT,
        "real": DOUBLE,
        "numeric": NUMERIC,
        "character varying": TEXT,
        "character": TEXT,
        "timestamp": TIMESTAMPTZ,
        "json": JSONB,
        **dict.fromkeys(("jsonb[]", "text[]", "bigint[]", "numeric[]", "boolean[]"), JSONB),  # the published target's
    },
    has_nul=False,
)

AS_GOOD = {"character varying": TEXT, TIMESTAMP: TIMESTAMPTZ}
"""Types that take the same values as one of ours: the session's time zone is UTC, so what is zone-less is in UTC."""
