"""One stream's records: checked against the schema and staged as lines that a store reads with explicit column types.

The common record costs one typed msgspec decode and one encode. A record that this refuses is looked at again value by
value (`values.py`), which either corrects it (a `1.0` for an integer), asks for a wider column, or says what is wrong.

A staged line holds the record's ordinal in the batch (`n`) and its values as `c0`, `c1`, …: property names that differ
only in case, or that no SQL tool would like, never reach the store's JSON reader. JSON values travel as strings, so
that their numbers keep their digits.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional, Union

import msgspec
from msgspec import UNSET, Raw, UnsetType

from trunkline_loader import values
from trunkline_loader.columns import Column, Kind, TypeNames
from trunkline_loader.errors import InputError, MissingKeyError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TYPED: Mapping[Kind, Any] = {
    Kind.INTEGER: Annotated[int, msgspec.Meta(ge=values.INT64_MIN, le=values.INT64_MAX)],
    Kind.BOOLEAN: bool,
    Kind.STRING: str,
    Kind.DATE_TIME: datetime,
    Kind.DATE: date,
    Kind.TIME: Annotated[time, msgspec.Meta(tz=False)],
}
"""Kinds that msgspec checks and converts by itself, as long as the column has the kind's first type."""

_MISSING = "missing"
_MOST_EXTRAS = 100
_NAMED_KEY = 100


class Extras(NamedTuple):
    """Properties of a record that the schema doesn't name; a Singer target loads what the schema names."""

    names: list[str]
    more: bool


class Codec:
    """Checks and stages the records of one stream under one schema.

    Args:
        stream: The stream's name, for messages.
        types: The store's types.
        columns: The properties of the schema with their columns.
        keys: The names of the key properties.
        extras: Properties outside the schema that were reported already.
        version: The column that holds the table version of a RECORD message, if the stream's records have one.
    """

    def __init__(  # noqa: PLR0913 - each is one fact about the stream
        self,
        stream: str,
        types: TypeNames,
        columns: Sequence[Column],
        keys: Sequence[str],
        *,
        extras: Sequence[str] = (),
        version: Column | None = None,
    ) -> None:
        self.stream = stream
        self.types = types
        self.columns = tuple(columns)
        self.version = version
        self.written = (*self.columns, *([version] if version else []))
        self.keys = tuple(keys)
        self._positions = {column.declared.name: at for at, column in enumerate(self.columns)}
        self._exact = [values.converter(column, types) for column in self.columns]
        self._late = [(at, self._exact[at]) for at, column in enumerate(self.columns) if not self._is_typed(column)]
        self._has_times = any(column.declared.kind in {Kind.DATE_TIME, Kind.TIME} for column in self.columns)
        self.extras = list(extras)
        self._row = msgspec.defstruct(
            "Row", [("n", int), *((f"c{at}", Any, UNSET) for at in range(len(self.written)))], gc=False
        )
        self._encode_into = msgspec.json.Encoder().encode_into
        self._decode = self._typed_decoder()

    def stage(
        self, record: Raw, ordinal: int, batch: bytearray, line: int, version: int | None = None
    ) -> Extras | None:
        """Check a record and append it to a batch.

        Args:
            record: The record's JSON text.
            ordinal: Its place in the batch; of two records with one key the higher one wins.
            batch: The staged lines, which grow by one.
            line: The input's line number, for messages.
            version: The RECORD message's table version; the codec has a column for it.

        Returns:
            Properties seen for the first time that the schema doesn't name, or None.

        Raises:
            InputError: The record contradicts the schema.
            Outgrown: A column must be widened before this record fits; nothing was staged.
        """
        extras = None
        try:
            if self._has_times and values.CARRIES in bytes(record):
                raise values.Mismatch  # noqa: TRY301 - the exact rules see to it
            found = self._staged(self._decode(record))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, values.Mismatch):
            found, extras = self._examined(record, line)
        row = self._row(ordinal, *found) if version is None else self._row(ordinal, *found, version)
        self._encode_into(row, batch, -1)
        batch += b"\n"
        return extras

    def _staged(self, decoded: Any) -> Sequence[Any]:
        """The values of a decoded record, those that msgspec passed on as text converted."""
        found = msgspec.structs.astuple(decoded)
        if not self._late:
            return found[: len(self.columns)]
        result = list(found[: len(self.columns)])
        for at, convert in self._late:
            value = result[at]
            if value is UNSET:
                continue
            text = bytes(value)
            if text == b"null":
                if not self.columns[at].declared.nullable or self.columns[at].declared.name in self.keys:
                    raise values.Mismatch("null")
                result[at] = None
            else:
                result[at] = convert(text)
        return result

    def _typed_decoder(self) -> Any:
        """A decoder for whole records, or one that refuses all of them when msgspec can't take the property names."""
        fields = [(f"c{at}", *self._field(column)) for at, column in enumerate(self.columns)]
        counted = self.extras if self._counts_extras else []
        extras = [(f"x{at}", Raw | UnsetType, UNSET) for at in range(len(counted))]
        names = {f"c{at}": column.declared.name for at, column in enumerate(self.columns)}
        names |= {f"x{at}": name for at, name in enumerate(counted)}
        try:
            record = msgspec.defstruct(
                "Record",
                [*fields, *extras],
                rename=names,
                kw_only=True,
                gc=False,
                forbid_unknown_fields=self._counts_extras,
            )
        except ValueError:  # a quote, backslash or control character in a property's name
            return _refuse
        return msgspec.json.Decoder(record).decode

    def _examined(self, record: Raw, line: int) -> tuple[list[Any], Extras | None]:
        """The record value by value: slower, exact, and able to say what is wrong."""
        try:
            fields = msgspec.json.decode(record, type=dict[str, Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._problem("a record", "is not a JSON object in UTF-8", {}, line) from None
        found: list[Any] = []
        for column, convert in zip(self.columns, self._exact, strict=True):
            raw = fields.get(column.declared.name)
            try:
                found.append(self._value(column, convert, raw))
            except (values.Mismatch, UnicodeDecodeError, msgspec.DecodeError) as problem:
                reason = str(problem) if isinstance(problem, values.Mismatch) else "text that is not UTF-8"
                wanted = _wanted(column)
                error = self._problem(
                    shown(column.declared.name), f"is {reason}, its schema says {wanted}", fields, line
                )
                raise (MissingKeyError(*error.args) if reason == _MISSING else error) from None
        return found, self._new_extras(fields)

    def _value(self, column: Column, convert: values.Convert, raw: Raw | None) -> Any:
        is_key = column.declared.name in self.keys
        if raw is None:
            if is_key:
                raise values.Mismatch(_MISSING)
            return UNSET
        text = bytes(raw)
        if text != b"null":
            return convert(text)
        if is_key or not column.declared.nullable:
            raise values.Mismatch("null")
        return None

    def _new_extras(self, fields: Mapping[str, Raw]) -> Extras | None:
        if not self._counts_extras:
            return None
        known = {*self._positions, *self.extras}
        names = [name for name in fields if name not in known]
        if not names:
            return None
        self.extras += names[: _MOST_EXTRAS + 1]
        self._decode = self._typed_decoder()
        return Extras(names[:_MOST_EXTRAS], more=not self._counts_extras)

    @property
    def _counts_extras(self) -> bool:
        """Whether properties outside the schema are still reported; a hostile tap may send a new one every time."""
        return len(self.extras) <= _MOST_EXTRAS

    def _problem(self, what: str, reason: str, fields: Mapping[str, Raw], line: int) -> InputError:
        keys = ", ".join(
            f"{shown(key)} {bytes(fields[key])[:_NAMED_KEY].decode(errors='replace')}"
            for key in self.keys
            if key in fields
        )
        of = f" of the record with key {keys}" if keys else ""
        return InputError(
            f"Line {line}, stream {shown(self.stream)}",
            f"{what}{of} {reason}",
            "Nothing was stored for this record or after it. Correct the tap's schema (or its record), then run again: "
            "loading goes on from the last state",
        )

    def replaced(self, column: Column, wider: Column) -> Codec:
        """The codec of the same stream with another column in the place of one."""
        columns = [wider if one == column else one for one in self.columns]
        return Codec(self.stream, self.types, columns, self.keys, extras=self.extras, version=self.version)

    def place(self, column: Column) -> str:
        """The name of a column in a staged line."""
        return f"c{len(self.columns) if column is self.version else self._positions[column.declared.name]}"

    def _is_typed(self, column: Column) -> bool:
        return column.declared.kind in _TYPED and column.stored == self.types.first[column.declared.kind]

    def _field(self, column: Column) -> tuple[Any, ...]:
        """Type and default of a property in the typed record. A key has no default: a record without it is refused."""
        declared = column.declared
        typed = _TYPED[declared.kind] if self._is_typed(column) else Raw
        if declared.name in self.keys:
            return (typed,)
        if typed is not Raw and declared.nullable:
            typed = Optional[typed]  # noqa: UP045 - `|` does not take Annotated on 3.10
        return (Union[typed, UnsetType], UNSET)  # noqa: UP007 - same


def _refuse(_record: Raw) -> Any:
    raise msgspec.ValidationError


def _wanted(column: Column) -> str:
    kind = column.declared.kind
    names = sorted(column.declared.types) if kind is Kind.JSON else [kind.value]
    return " or ".join([*names, *(["null"] if column.declared.nullable else [])])
