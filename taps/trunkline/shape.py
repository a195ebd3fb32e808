"""Shape: from the vendor's bytes to the record that is written. Compiled once per stream, run once per row.

There are two ways to the same record. The short one decodes a row straight into a struct made from the schema, which
checks every type as it goes and is encoded again as it stands; what needs no look inside stays bytes. The long one
goes over a dict and knows what to do with everything else: unknown fields, numbers written in two ways, stream maps.
"""

from __future__ import annotations

import operator
import typing as t
from collections import Counter
from decimal import Decimal
from types import MappingProxyType

import msgspec

from trunkline import instants
from trunkline.errors import BadRecord, shown

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

EXTRA = "_extra"
"""The column that keeps what the schema does not name."""

MOST_DIGITS = 4000
"""Digits of a number with an exponent up to which it is written out as an integer; more may be a bomb."""

_TYPES: dict[str, t.Any] = {
    "string": str,
    "integer": int,
    "number": int | Decimal,
    "boolean": bool,
    "object": dict[str, t.Any],
    "array": list[t.Any],
    "null": None,
}
BROKEN = (msgspec.MsgspecError, RecursionError, ValueError, ArithmeticError)
"""What `decode` raises: a text that is no JSON or no UTF-8, nested too deeply, or with a number beyond all bounds."""

MOST_UNKNOWN = 100
"""Unknown fields that are told of by name; a vendor may send a new one in every row."""

_ODD = (*BROKEN, TypeError, KeyError, AttributeError, IndexError)
_INSIDE: dict[str, t.Any] = {"object": dict[str, msgspec.Raw], "array": list[msgspec.Raw]}
"""What needs no look inside: of the right kind, its parts passed on as they came."""

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decode JSON so that every number keeps its value: integers of any size, decimals with all their digits."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Encode JSON so that a decimal is written as the number it is."""


class Row(msgspec.Struct):
    """A row on the short way; behaves like the dict of the long one as far as a stream's own code needs it."""

    def __getitem__(self, name: str) -> t.Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: t.Any) -> None:
        setattr(self, name, value)

    def get(self, name: str, default: t.Any = None) -> t.Any:
        """The value of a field, or the default where the schema has no such field."""
        return getattr(self, name, default)


class Shape:
    """Makes records of one stream.

    Args:
        stream: The stream's name, for errors.
        schema: The stream's JSON schema.
        primary_keys: Names of the key fields, for errors.
        fields: Names of the fields to write; None for all of the schema.
        unknown_fields: `keep`, `drop` or `fail`.
        read_time: Reads a time as the vendor writes it: the instant, and how it is to be written.
        computed: Computed fields: the fields each is made from, and what makes it.
        compute: Mends a row where more than one field is touched.
        latest: Fields that are the latest of other times, as ISO 8601 in UTC: the times each is taken from.
        text_or_number: Text fields in which a number becomes its digits.
        text_or_json: Text fields in which anything else becomes its JSON.
        looks_into: Objects and arrays that `compute` looks into.
        finish: Called with each finished record, for example to protect personal data.
        as_dict: Whether records must be dicts, because somebody else goes on with them.
    """

    def __init__(  # noqa: PLR0913 - everything that is compiled into the shape
        self,
        stream: str,
        schema: Mapping[str, t.Any],
        primary_keys: Iterable[str],
        *,
        fields: Collection[str] | None = None,
        unknown_fields: str = "keep",
        read_time: Callable[[str], tuple[datetime, str]] = instants.read,
        computed: Mapping[str, tuple[tuple[str, ...], Callable[..., t.Any]]] = MappingProxyType({}),
        latest: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        compute: Callable[[t.Any], None] | None = None,
        text_or_number: Collection[str] = (),
        text_or_json: Collection[str] = (),
        looks_into: Collection[str] = (),
        finish: Callable[[t.Any], t.Any] | None = None,
        as_dict: bool = True,
    ) -> None:
        properties: Mapping[str, t.Any] = schema["properties"]
        self.stream, self.properties = stream, properties
        self.primary_keys = tuple(primary_keys)
        self.unknown_fields, self.read_time, self.compute, self.finish = unknown_fields, read_time, compute, finish
        self.unknown: Counter[str] = Counter()
        self.unnamed = 0  # how often others came, too many to be told of by name
        self._names = properties.keys() - {EXTRA}
        self._template: dict[str, t.Any] = dict.fromkeys(properties)
        self._latest = tuple(latest.items())
        self._times = tuple(
            name for name, spec in properties.items() if spec.get("format") == "date-time" and name not in latest
        )
        self._removed = tuple(name for name in properties if fields is not None and name not in fields)
        self._integers = tuple(name for name, spec in properties.items() if "integer" in _types(spec))
        self._numbers = tuple(
            name for name, spec in properties.items() if "number" in _types(spec) and "string" not in _types(spec)
        )
        self._texts = _getter(self._times)
        self._required = tuple(schema.get("required", ()))
        made = {*computed, *latest, *(self._required if compute else ())}
        # What the vendor itself must send, the short way's struct sees to.
        self._sent = {
            name for name in self._required if name not in made and "null" not in _types(properties.get(name, {}))
        }
        self._unsure = tuple(name for name in self._required if name not in self._sent)
        self._text_or_number = tuple(text_or_number)
        self._text_or_json = tuple(name for name in text_or_json if name in properties)
        self._computed = tuple((name, names, _getter(names), make) for name, (names, make) in computed.items())
        self._row_type = t.TypedDict(  # type: ignore[misc]
            "Checked", {name: _union(spec) for name, spec in properties.items()}, total=False
        )
        # A text would pass for a number on the short way, so a stream with decimals goes the long one.
        self._decode_row = None if as_dict or self._numbers or finish else self._compile(looks_into)

    def _compile(self, looks_into: Collection[str]) -> Callable[[msgspec.Raw], Row]:
        fields: list[tuple[str, t.Any] | tuple[str, t.Any, t.Any]] = []
        self._bytes: list[str] = []
        for name, spec in self.properties.items():
            kinds = set(_types(spec)) - {"null"}
            if name == EXTRA:
                fields.append((name, None, None))  # ours alone: a vendor's field of this name is unknown like any other
            elif name in self._text_or_json:
                fields.append((name, t.Any, None))
            elif kinds == _INSIDE.keys() and name not in looks_into:
                fields.append((name, msgspec.Raw, msgspec.Raw(b"null")))
                self._bytes.append(name)
            elif kinds and kinds <= _INSIDE.keys() and name not in looks_into:
                fields.append((name, _INSIDE[kinds.pop()] | None, None))
            elif name in self._sent:
                fields.append((name, _union(spec)))
            else:
                fields.append((name, _union(spec), None))
        row = msgspec.defstruct("Record", fields, bases=(Row,), forbid_unknown_fields=True, kw_only=True, gc=False)
        return t.cast("Callable[[msgspec.Raw], Row]", msgspec.json.Decoder(row, float_hook=Decimal).decode)

    def __call__(self, raw: msgspec.Raw | dict[str, t.Any]) -> tuple[t.Any, dict[str, datetime]]:
        """Make one record.

        Args:
            raw: The vendor's row, decoded or as bytes that the client has let in: UTF-8, on one line.

        Returns:
            The record with every field of the schema, null where the vendor left it out; and its instants by field.

        Raises:
            BadRecord: The row contradicts the schema; the error names stream, key and field, and no value.
        """
        if self._decode_row is None or isinstance(raw, dict):
            return self._long_way(raw)
        try:
            made = self._short_way(self._decode_row(raw))
        except _ODD:
            made = None
        # Where the short way stumbles, the long one knows better what is wrong, or that nothing is.
        return made or self._long_way(raw)

    def _short_way(self, row: Row) -> tuple[Row, dict[str, datetime]] | None:
        self._make(row)
        moments = {}
        read_time = self.read_time
        for name, text in zip(self._times, self._texts(row), strict=False):
            if text is not None:
                moments[name], written = read_time(text)
                if written is not text:
                    setattr(row, name, written)
        for name, names in self._latest:
            setattr(row, name, _latest(moments, name, names, row))
        for name in self._unsure:
            if getattr(row, name) is None:
                return None
        for name in self._bytes:
            if not bytes(getattr(row, name)).startswith((b"null", b"{", b"[")):
                return None
        for name in self._removed:
            setattr(row, name, msgspec.UNSET)
        return row, moments

    def _make(self, row: Row) -> None:
        """Make what is computed of the vendor's own values."""
        for name in self._text_or_json:
            value = getattr(row, name)
            if value is not None and type(value) is not str:
                setattr(row, name, str(encode(value), "utf-8"))
        for name, _, values_of, make in self._computed:
            setattr(row, name, make(*values_of(row)))
        if self.compute:
            self.compute(row)

    def _long_way(self, raw: msgspec.Raw | dict[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, datetime]]:
        row = raw if isinstance(raw, dict) else self.decode(raw)
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
            try:
                self.finish(record)
            except RecursionError:
                raise self._bad(row, "it is nested too deeply") from None
        return record, moments

    def _compute(self, row: dict[str, t.Any]) -> None:
        for name in self._text_or_number:
            value = row.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                row[name] = str(value)
        for name, _ in self._latest:
            row.pop(name, None)  # ours alone, made once the times are read
        try:
            for name in self._text_or_json:
                value = row.get(name)
                if value is not None and not isinstance(value, str):
                    row[name] = str(encode(value), "utf-8")
            for name, names, _, make in self._computed:
                row[name] = make(*map(row.get, names))
            if self.compute:
                self.compute(row)
        except _ODD as exc:
            raise self._bad(row, f"a computed field could not be made ({type(exc).__name__})") from None

    def _moments(self, row: dict[str, t.Any], record: dict[str, t.Any]) -> dict[str, datetime]:
        """Read all times, and give those a zone that have none."""
        moments: dict[str, datetime] = {}
        for name in self._times:
            text = record[name]
            if text is not None:
                try:
                    moments[name], record[name] = self.read_time(text)
                except ValueError:
                    raise self._bad(row, f"field {name} is no date-time that exists") from None
        for name, names in self._latest:
            record[name] = _latest(moments, name, names, record)
        return moments

    def decode(self, raw: msgspec.Raw) -> dict[str, t.Any]:
        """A row as a dict.

        Raises:
            BadRecord: It is no JSON object.
        """
        what = f"a row of {self.stream} could not be read"
        try:
            row = decode(raw)
        except BROKEN as exc:
            reason = "it is nested too deeply" if isinstance(exc, RecursionError) else "its text is broken"
            raise BadRecord(what, reason, "The bookmark stays where it was") from None
        if not isinstance(row, dict):
            raise BadRecord(what, f"it is a JSON {type(row).__name__}, no object", "The bookmark stays where it was")
        return row

    def _unknown(self, row: dict[str, t.Any]) -> dict[str, t.Any] | None:
        names = row.keys() - self._names
        if self.unknown_fields == "fail":
            raise self._bad(
                row,
                f"the schema does not name {', '.join(shown(name) for name in sorted(names)[:MOST_UNKNOWN])}",
                "Set unknown_fields to keep or drop, or upgrade to a release that knows the new field",
            )
        for name in names:
            if name in self.unknown or len(self.unknown) < MOST_UNKNOWN:
                self.unknown[name] += 1
            else:
                self.unnamed += 1
        return {name: row[name] for name in row if name in names} if self.unknown_fields == "keep" else None

    def _conform(self, row: dict[str, t.Any]) -> dict[str, t.Any]:
        """The row's known fields, their types checked."""
        for name in self._numbers:
            if isinstance(row.get(name), str):
                raise self._bad(row, f"field {name} is a text, no number")
        for name in self._integers:  # 5.0 is the integer 5, written otherwise
            value = row.get(name)
            if isinstance(value, Decimal) and value.adjusted() < MOST_DIGITS and value == value.to_integral_value():
                row[name] = int(value)
        try:
            return t.cast("dict[str, t.Any]", msgspec.convert(row, self._row_type))
        except BROKEN as exc:
            where = str(exc).replace(" - at `$.", " in field `") if isinstance(exc, msgspec.MsgspecError) else ""
            raise self._bad(row, where or "it is nested too deeply") from None

    def _bad(self, row: t.Any, why: str, remedy: str = "") -> BadRecord:
        parts = []
        for name in self.primary_keys:
            spec = self.properties.get(name, {})
            value = "(personal)" if spec.get("x-personal") else shown(str(row.get(name)))
            parts.append(f"{name} {value}")
        return BadRecord(
            f"{self.stream}, the record with {', '.join(parts) or 'no key'}, contradicts its schema",
            why,
            remedy or "Nothing after it was written and the bookmark stays; report it with the vendor's documentation",
        )


def _getter(names: Sequence[str]) -> Callable[[t.Any], tuple[t.Any, ...]]:
    """Gets the values of some fields in one call, always as a tuple."""
    if len(names) == 1:
        (only,) = names
        return lambda row: (getattr(row, only),)
    return operator.attrgetter(*names) if names else lambda _: ()


def _latest(moments: dict[str, datetime], name: str, names: Sequence[str], record: t.Any) -> str | None:
    """The latest of some times; its instant joins the others."""
    newest = None
    for other in names:
        instant = moments.get(other)
        if instant is not None and (newest is None or instant > moments[newest]):
            newest = other
    if newest is None:
        return None
    moments[name] = moments[newest]
    text: str = record[newest]
    return text if text[-6:] == "+00:00" else instants.to_iso(moments[newest])


def _types(spec: Mapping[str, t.Any]) -> tuple[str, ...]:
    types = spec.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


def _union(spec: Mapping[str, t.Any]) -> t.Any:
    """The Python type that a property's JSON types stand for; anything, where there is none or one can't be told."""
    types = _types(spec)
    if not types or {"string", "number"} <= set(types):
        return t.Any
    return t.Union[tuple(_TYPES[name] for name in types)]  # noqa: UP007 - made at run time
