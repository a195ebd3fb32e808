"""Shape: from the vendor's bytes to the record that is written. Compiled once per stream, run once per row."""

from __future__ import annotations

import typing as t
from collections import Counter
from decimal import Decimal

import msgspec

from trunkline import instants
from trunkline.errors import BadRecord

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

EXTRA = "_extra"
"""The column that keeps what the schema does not name."""

_TYPES: dict[str, t.Any] = {
    "string": str,
    "integer": int,
    "number": int | Decimal,
    "boolean": bool,
    "object": dict[str, t.Any],
    "array": list[t.Any],
    "null": None,
}

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decode JSON so that every number keeps its value: integers of any size, decimals with all their digits."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Encode JSON so that a decimal is written as the number it is."""


class Shape:
    """Makes records of one stream.

    Args:
        stream: The stream's name, for errors.
        schema: The stream's JSON schema.
        primary_keys: Names of the key fields, for errors.
        fields: Names of the fields to write; None for all of the schema.
        unknown_fields: `keep`, `drop` or `fail`.
        instant: Reads a time as the vendor writes it.
        compute: Adds computed fields to a row and mends what the vendor is known to write in two ways.
        finish: Called with each finished record, for example to protect personal data.
    """

    def __init__(  # noqa: PLR0913 - everything that is compiled into the shape
        self,
        stream: str,
        schema: Mapping[str, t.Any],
        primary_keys: Iterable[str],
        *,
        fields: t.Collection[str] | None = None,
        unknown_fields: str = "keep",
        instant: Callable[[str], datetime] = instants.from_iso,
        compute: Callable[[dict[str, t.Any]], None] | None = None,
        finish: Callable[[dict[str, t.Any]], None] | None = None,
    ) -> None:
        properties: Mapping[str, t.Any] = schema["properties"]
        self.stream, self.properties = stream, properties
        self.primary_keys = tuple(primary_keys)
        self.unknown_fields, self.instant, self.compute, self.finish = unknown_fields, instant, compute, finish
        self.unknown: Counter[str] = Counter()
        self._names = properties.keys() - {EXTRA}
        self._template: dict[str, t.Any] = dict.fromkeys(properties)
        self._times = tuple(name for name, spec in properties.items() if spec.get("format") == "date-time")
        self._removed = tuple(name for name in properties if fields is not None and name not in fields)
        self._integers = tuple(name for name, spec in properties.items() if "integer" in _types(spec))
        self._required = tuple(schema.get("required", ()))
        self._row_type = t.TypedDict(  # type: ignore[misc]
            "Row",
            {name: _union(spec) for name, spec in properties.items()},
            total=False,
        )

    def __call__(self, raw: msgspec.Raw | dict[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, datetime]]:
        """Make one record.

        Args:
            raw: The vendor's row, as bytes or decoded.

        Returns:
            The record with every field of the schema, null where the vendor left it out; and its instants by field.

        Raises:
            BadRecord: The row contradicts the schema; the error names stream, key and field, and no value.
        """
        row = raw if isinstance(raw, dict) else self._decode(raw)
        self._compute(row)
        extra = None if row.keys() <= self._names else self._unknown(row)
        record = {**self._template, **self._conform(row)}
        if extra:
            record[EXTRA] = extra
        moments = self._moments(row, record)
        for name in self._required:
            if record[name] is None:
                raise self._bad(row, f"field {name} is missing or null")
        for name in self._removed:
            del record[name]
        if self.finish:
            self.finish(record)
        return record, moments

    def _compute(self, row: dict[str, t.Any]) -> None:
        if self.compute:
            try:
                self.compute(row)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
                raise self._bad(row, f"a computed field could not be made ({type(exc).__name__})") from None

    def _moments(self, row: dict[str, t.Any], record: dict[str, t.Any]) -> dict[str, datetime]:
        """Read all times, and give those a zone that have none."""
        moments: dict[str, datetime] = {}
        for name in self._times:
            text = record[name]
            if text is not None:
                try:
                    moments[name] = moment = self.instant(text)
                except (ValueError, OverflowError):
                    raise self._bad(row, f"field {name} is no date-time that exists") from None
                if not instants.has_zone(text):
                    record[name] = instants.to_iso(moment)
        return moments

    def _decode(self, raw: msgspec.Raw) -> dict[str, t.Any]:
        try:
            row = decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise BadRecord(f"a row of {self.stream} could not be read", f"its text is broken ({exc})") from None
        if not isinstance(row, dict):
            raise BadRecord(
                f"a row of {self.stream} could not be read", f"it is a JSON {type(row).__name__}, no object"
            )
        return row

    def _unknown(self, row: dict[str, t.Any]) -> dict[str, t.Any] | None:
        names = row.keys() - self._names
        if self.unknown_fields == "fail":
            raise self._bad(
                row,
                f"the schema does not name {', '.join(sorted(names))}",
                "Set unknown_fields to keep or drop, or upgrade to a release that knows the new field",
            )
        self.unknown.update(names)
        return {name: row[name] for name in row if name in names} if self.unknown_fields == "keep" else None

    def _conform(self, row: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            return t.cast("dict[str, t.Any]", msgspec.convert(row, self._row_type))
        except msgspec.ValidationError:
            for name in self._integers:  # 5.0 is the integer 5, written otherwise
                value = row.get(name)
                if isinstance(value, Decimal) and value == value.to_integral_value():
                    row[name] = int(value)
        try:
            return t.cast("dict[str, t.Any]", msgspec.convert(row, self._row_type))
        except msgspec.ValidationError as exc:
            raise self._bad(row, str(exc).replace(" - at `$.", " in field `")) from None

    def _bad(self, row: Mapping[str, t.Any], why: str, remedy: str = "") -> BadRecord:
        parts = []
        for name in self.primary_keys:
            spec = self.properties.get(name, {})
            value = "(personal)" if spec.get("x-personal") else row.get(name)
            parts.append(f"{name} {value}")
        return BadRecord(
            f"{self.stream}, the record with {', '.join(parts) or 'no key'}, contradicts its schema",
            why,
            remedy or "Nothing after it was written and the bookmark stays; report it with the vendor's documentation",
        )


def _types(spec: Mapping[str, t.Any]) -> tuple[str, ...]:
    types = spec.get("type", tuple(_TYPES))
    return (types,) if isinstance(types, str) else tuple(types)


def _union(spec: Mapping[str, t.Any]) -> t.Any:
    """The Python type that a property's JSON types stand for."""
    return t.Union[tuple(_TYPES[name] for name in _types(spec))]  # noqa: UP007 - made at run time
