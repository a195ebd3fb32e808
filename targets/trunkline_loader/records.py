"""One stream's records: checked against the schema and staged as lines that a store reads with explicit column types.

The common record costs one typed msgspec decode and one encode. A record that this refuses is looked at again value by
value (`values.py`), which corrects it (a `1.0` for an integer), requires a wider column, or reports what is wrong.

A staged line holds the record's ordinal in the batch (`n`) and its values as `c0`, `c1`, …: property names that differ
only in case, or that no SQL tool would like, never reach the store's JSON reader. JSON values travel as strings, so
that their numbers keep their digits.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import msgspec
from msgspec import Raw

from trunkline_loader import values
from trunkline_loader.columns import VERSION, Column, Kind, TypeNames
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
_NUL = b"\\u0000"  # how JSON has to write it, unless the backslash is itself a written one
_ESCAPES = re.compile(rb"\\(\\|u0000)")
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
        added: Columns whose values the loader gives: the version of a RECORD message, and metadata.
        filled: Columns with one value for a whole batch, and that value in SQL.
        arrays: Whether a staged line is an array instead of an object.
    """

    def __init__(  # noqa: PLR0913 - each is one fact about the stream
        self,
        stream: str,
        types: TypeNames,
        columns: Sequence[Column],
        keys: Sequence[str],
        *,
        extras: Sequence[str] = (),
        added: Sequence[Column] = (),
        filled: Sequence[tuple[Column, str]] = (),
        arrays: bool = False,
    ) -> None:
        self.stream = stream
        self.types = types
        self.columns = tuple(columns)
        self.added, self.filled, self.arrays = tuple(added), tuple(filled), arrays
        self.staged = (*self.columns, *self.added)
        self.keys = tuple(keys)
        self._positions = {column.declared.name: at for at, column in enumerate(self.staged)}
        self.nuls = 0
        """NUL characters that the store can't hold, replaced so far."""
        # A property's name may have NUL characters too, which are replaced with those of the values.
        nul = "\0" if types.has_nul else "\ufffd"
        self._names = [column.declared.name.replace("\0", nul) for column in self.columns]
        self._exact = [values.converter(column, types) for column in self.columns]
        untyped = [(at, column) for at, column in enumerate(self.columns) if not self._is_typed(column)]
        doubles = {
            at for at, column in untyped if column.declared.kind is Kind.NUMBER and column.stored == types.double
        }
        self._late = [(at, self._exact[at], at in doubles) for at, _ in untyped]
        self._has_times = any(column.declared.kind in {Kind.DATE_TIME, Kind.TIME} for column in self.columns)
        self.extras = list(extras)
        fields: list[Any] = [("n", int), *((f"c{at}", Any, None) for at in range(len(self.staged)))]
        self._row = msgspec.defstruct("Row", fields, gc=False, array_like=arrays, omit_defaults=not arrays)
        self._encode_into = msgspec.json.Encoder().encode_into
        self._decode = self._typed_decoder()

    def stage(self, record: Raw, ordinal: int, batch: bytearray, line: int, added: Sequence[Any] = ()) -> Extras | None:
        """Check a record and append it to a batch.

        Args:
            record: The record's JSON text.
            ordinal: Its place in the batch; of two records with one key the higher one wins.
            batch: The staged lines, which grow by one.
            line: The input's line number, for messages.
            added: The values of the columns that the loader adds.

        Returns:
            Properties seen for the first time that the schema doesn't name, or None.

        Raises:
            InputError: The record contradicts the schema.
            Outgrown: A column must be widened before this record fits; nothing was staged.
        """
        extras, nuls = None, 0
        if not self.types.has_nul and _NUL in bytes(record):
            text, nuls = _replaced(bytes(record))
            record = Raw(text)
        try:
            if self._has_times and values.CARRIES in bytes(record):
                raise values.Mismatch  # noqa: TRY301 - the exact rules see to it
            found = self._staged(self._decode(record))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, values.Mismatch):
            found, extras = self._examined(record, line)
        self._encode_into(self._row(ordinal, *found, *added), batch, -1)
        batch += b"\n"
        self.nuls += nuls  # once: a record that needs a wider column comes again
        return extras

    def _staged(self, decoded: Any) -> Sequence[Any]:
        """Return the values of a decoded record, those that msgspec passed on as text converted."""
        found = msgspec.structs.astuple(decoded)
        if not self._late:
            return found[: len(self.columns)]
        result = list(found[: len(self.columns)])
        safe = values.SAFE.fullmatch
        for at, convert, is_double in self._late:
            value = result[at]
            if value is None or (is_double and safe(value)):
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
        """Return a decoder for whole records, or one that refuses all when msgspec can't take the property names."""
        fields = [(f"c{at}", *self._field(column)) for at, column in enumerate(self.columns)]
        counted = self.extras if self._counts_extras else []
        extras = [(f"x{at}", Raw, None) for at in range(len(counted))]
        names = {f"c{at}": name for at, name in enumerate(self._names)}
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
        """Convert the record value by value: slower, exact, and able to report what is wrong."""
        try:
            fields = msgspec.json.decode(record, type=dict[str, Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._problem("a record", "is not a JSON object in UTF-8", {}, line) from None
        found: list[Any] = []
        for column, name, convert in zip(self.columns, self._names, self._exact, strict=True):
            raw = fields.get(name)
            try:
                found.append(self._value(column, convert, raw))
            except (values.Mismatch, UnicodeDecodeError, msgspec.DecodeError) as problem:
                reason = str(problem) if isinstance(problem, values.Mismatch) else "text that is not UTF-8"
                types = _types(column)
                error = self._problem(
                    shown(column.declared.name), f"is {reason}, its schema declares {types}", fields, line
                )
                raise (MissingKeyError(*error.args) if reason == _MISSING else error) from None
        return found, self._new_extras(fields)

    def _value(self, column: Column, convert: values.Convert, raw: Raw | None) -> Any:
        is_key = column.declared.name in self.keys
        if raw is None:
            if is_key:
                raise values.Mismatch(_MISSING)
            return None
        text = bytes(raw)
        if text != b"null":
            return convert(text)
        if is_key or not column.declared.nullable:
            raise values.Mismatch("null")
        return None

    def _new_extras(self, fields: Mapping[str, Raw]) -> Extras | None:
        if not self._counts_extras:
            return None
        known = {*self._names, *self.extras}
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
            code="bad-record",
        )

    def with_column(self, column: Column, wider: Column) -> Codec:
        """Return the codec of the same stream with another column in the place of one."""
        columns = [wider if one == column else one for one in self.columns]
        return self._like(columns, self.added)

    def with_version(self, version: Column) -> Codec:
        """Return the codec of the same stream whose records have a table version, as the first added value."""
        return self._like(self.columns, (version, *self.added))

    def _like(self, columns: Sequence[Column], added: Sequence[Column]) -> Codec:
        made = Codec(
            self.stream, self.types, columns, self.keys,
            extras=self.extras, added=added, filled=self.filled, arrays=self.arrays,
        )  # fmt: skip
        made.nuls = self.nuls
        return made

    @property
    def has_version(self) -> bool:
        """Whether records are staged with a table version."""
        return any(column.declared is VERSION for column in self.added)

    def place(self, column: Column) -> str:
        """Return the name of a column in a staged line."""
        return f"c{self._positions[column.declared.name]}"

    def _is_typed(self, column: Column) -> bool:
        return column.declared.kind in _TYPED and column.stored == self.types.first[column.declared.kind]

    def _field(self, column: Column) -> tuple[Any, ...]:
        """Return type and default of a property in the typed record. A key has no default: it must be there."""
        declared = column.declared
        typed = _TYPED[declared.kind] if self._is_typed(column) else Raw
        if declared.name in self.keys:
            return (typed,)
        if typed is not Raw and declared.nullable:
            typed = Optional[typed]  # noqa: UP045 - `|` does not take Annotated on 3.10
        return (typed, None)  # msgspec does not check a default: what is left out is null, a null may be an error


def _replaced(record: bytes) -> tuple[bytes, int]:
    """Return a record's JSON text with U+FFFD in the place of NUL characters, and how many there were."""
    found = 0

    def replacement(escape: re.Match[bytes]) -> bytes:
        nonlocal found
        if escape[1] == b"\\":
            return escape[0]
        found += 1
        return b"\\ufffd"

    return _ESCAPES.sub(replacement, record), found


def _refuse(_record: Raw) -> Any:
    raise msgspec.ValidationError


def _types(column: Column) -> str:
    kind = column.declared.kind
    names = sorted(column.declared.types) if kind is Kind.JSON else [kind.value]
    return " or ".join([*names, *(["null"] if column.declared.nullable else [])])
