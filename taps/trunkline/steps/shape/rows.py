"""Rows: the struct that a row is decoded into on the short way, made from the stream's schema."""

from __future__ import annotations

import operator
import typing as t
from decimal import Decimal

import msgspec

from trunkline.steps.shape.conform import checked, has_parts, types

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from trunkline.steps.shape.conform import ReadTime, Times

_TYPES: dict[str, t.Any] = {
    "string": str,
    "integer": int,
    "number": int | Decimal,
    "boolean": bool,
    "object": dict[str, t.Any],
    "array": list[t.Any],
    "null": None,
}
_INSIDE: dict[str, t.Any] = {"object": dict[str, msgspec.Raw], "array": list[msgspec.Raw]}
"""A value that needs no look inside: of the right kind, its parts passed on as they came."""

NULL = msgspec.Raw(b"null")


class Row(msgspec.Struct):
    """A row on the short way; behaves like the dict of the long one as far as a stream's own code needs it."""

    def __getitem__(self, name: str) -> t.Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: t.Any) -> None:
        setattr(self, name, value)

    def get(self, name: str, default: t.Any = None) -> t.Any:
        """Return the value of a field, or the default where the schema has no such field."""
        return getattr(self, name, default)


class RowType:
    """The struct of a stream's rows, and the checks of what stands inside of their fields.

    Args:
        properties: The fields.
        ours: The one that is never the vendor's: of this name, any field of it is unknown.
        untouched: Those that are not selected: whatever the vendor sends there is let pass.
        free: Those that may hold anything.
        sent: Those that the vendor must send.
        decode_fully: Objects and arrays that must be decoded.
        times: The times inside of fields.
        decode: Decodes what is looked into.
    """

    def __init__(  # noqa: PLR0913 - what is compiled into it
        self,
        properties: Mapping[str, t.Any],
        *,
        ours: str,
        untouched: Collection[str],
        free: Collection[str],
        sent: Collection[str],
        decode_fully: Collection[str],
        times: Mapping[str, Times],
        decode: Callable[[t.Any], t.Any],
    ) -> None:
        self._parts: list[tuple[str, Callable[[t.Any], t.Any]]] = []
        self._opened, self._times, self._decode_inner = [*decode_fully, *times], times, decode
        fields: list[t.Any] = []
        for name, spec in properties.items():
            if name == ours:
                fields.append((name, None, None))
            elif name in untouched:
                fields.append((name, msgspec.Raw, NULL))
            elif name in free:
                fields.append((name, t.Any, None))
            else:
                fields.append((name, *self._field(name, spec, sent)))
        self._opened = [name for name, _ in self._parts if name in self._opened]
        row = msgspec.defstruct("Record", fields, bases=(Row,), forbid_unknown_fields=True, kw_only=True, gc=False)
        self.decode = t.cast("Callable[[msgspec.Raw], Row]", msgspec.json.Decoder(row, float_hook=Decimal).decode)
        """Decodes a row, but for what stands inside of its fields."""
        self.has_parts = bool(self._parts)
        self._checks = [check for _, check in self._parts]
        self._inner = getter([name for name, _ in self._parts])

    def _field(self, name: str, spec: Mapping[str, t.Any], sent: Collection[str]) -> tuple[t.Any, ...]:
        kinds = set(types(spec)) - {"null"}
        if has_parts(spec) or (name not in self._opened and kinds == _INSIDE.keys()):
            self._parts.append((name, msgspec.json.Decoder(checked(spec)).decode))
            return msgspec.Raw, NULL
        if name not in self._opened and kinds and kinds <= _INSIDE.keys():
            return _INSIDE[kinds.pop()] | None, None
        return (_union(spec),) if name in sent else (_union(spec), None)

    def look_inside(self, row: Row, read_time: ReadTime) -> None:
        """Check what stands inside of a row's fields against the schema, and write its times with a zone.

        Raises:
            msgspec.MsgspecError: It is not.
            ValueError: A time in it is none.
        """
        for check, raw in zip(self._checks, self._inner(row), strict=False):
            if raw is not NULL:
                check(raw)
        if self._opened:
            for name in self._opened:
                setattr(row, name, self._decode_inner(getattr(row, name)))
            for name, times in self._times.items():
                times.write(getattr(row, name), read_time)


def getter(names: Sequence[str]) -> Callable[[t.Any], tuple[t.Any, ...]]:
    """Return a function that gets the values of some fields in one call, always as a tuple."""
    if len(names) == 1:
        (only,) = names
        return lambda row: (getattr(row, only),)
    return operator.attrgetter(*names) if names else lambda _: ()


def is_null(value: t.Any) -> bool:
    """Return whether a field of a row is null."""
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value) == b"null")


def _union(spec: Mapping[str, t.Any]) -> t.Any:
    """Return the Python type of a property's JSON types; anything, where there is none or one can't be known."""
    kinds = types(spec)
    if not kinds or {"string", "number"} <= set(kinds):
        return t.Any
    return t.Union[tuple(_TYPES[name] for name in kinds)]  # noqa: UP007 - made at run time
