"""Conform: a value against its schema, at any depth; compiled once per stream.

A value that contradicts its schema becomes null in its place, so that the record fits its own SCHEMA, and is handed
back as it came under its path (`Interactions[0].StartTime`). Where the place can't be null, what holds it becomes null.
"""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal

import msgspec

from trunkline import instants

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    ReadTime = Callable[[str], tuple[datetime, str]]

MOST_DIGITS = 4000
"""Digits of a number with an exponent up to which it is written out as an integer; more may be a bomb."""

TIME = "date-time"

_NUMBER = re.compile(r"\s*[+-]?\d{1,40}(\.\d{1,40})?\s*", re.ASCII)

_PLAIN: dict[str, t.Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}


class _Nothing:
    """The place of a value that may not be null either."""


NOTHING = _Nothing()


def types(spec: Mapping[str, t.Any]) -> tuple[str, ...]:
    """Return the JSON types that a property may have; empty when it may have any."""
    kinds = spec.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def has_parts(spec: Mapping[str, t.Any]) -> bool:
    """Return whether the schema describes what stands inside of an object or array."""
    return bool(spec.get("properties") or (isinstance(spec.get("items"), dict) and types(spec["items"])))


def checked(spec: Mapping[str, t.Any]) -> t.Any:
    """Return the type that JSON is decoded as only to see whether it fits; what the schema does not name is skipped."""
    parts = [_PLAIN[kind] if kind in _PLAIN else _container(kind, spec) for kind in types(spec)]
    return t.Union[tuple(parts)] if parts else msgspec.Raw  # noqa: UP007 - made at run time


def _container(kind: str, spec: Mapping[str, t.Any]) -> t.Any:
    if kind == "array":
        return list[checked(spec["items"]) if isinstance(spec.get("items"), dict) else msgspec.Raw]  # type: ignore[misc]
    return checked_object(spec.get("properties", {}))  # without any, the quickest way over an object


def checked_object(properties: Mapping[str, t.Any]) -> t.Any:
    """Return the same for an object with these properties; any of them may be missing."""
    fields = [
        (f"part{number}", checked(spec), msgspec.field(name=name, default=None))
        for number, (name, spec) in enumerate(properties.items())
    ]
    return msgspec.defstruct("Checked", fields, gc=False)


class Times:
    """The times inside of one property: each is written with its zone.

    Args:
        spec: The property's schema.
    """

    def __init__(self, spec: Mapping[str, t.Any]) -> None:
        self.itself = spec.get("format") == TIME
        inner = {name: Times(part) for name, part in spec.get("properties", {}).items()}
        self.fields = [(name, times) for name, times in inner.items() if times]
        items = Times(spec["items"]) if isinstance(spec.get("items"), dict) else None
        self.items = items or None

    def __bool__(self) -> bool:
        return bool(self.itself or self.fields or self.items)

    def write(self, value: t.Any, read: ReadTime) -> t.Any:
        """Return the value with its times written so; changed in place where it holds others.

        Raises:
            ValueError: One of them is no time.
        """
        if isinstance(value, str):
            return read(value)[1] if self.itself else value
        if isinstance(value, list) and self.items:
            for place, member in enumerate(value):
                value[place] = self.items.write(member, read)
        elif isinstance(value, dict):
            for name, times in self.fields:
                if name in value:
                    value[name] = times.write(value[name], read)
        return value


class Fitter:
    """Makes values fit their schema.

    Args:
        read: Reads a time as the vendor writes it.
        numbers: The paths of numbers that may come as their digits.
    """

    def __init__(self, read: ReadTime, numbers: Collection[str] = ()) -> None:
        self._read, self._numbers = read, numbers

    def fit(self, spec: Mapping[str, t.Any], value: t.Any, path: str, odd: dict[str, t.Any]) -> t.Any:
        """Return the value as the schema has it.

        Args:
            spec: The schema of the place.
            value: What stands there.
            path: The place.
            odd: Gets what contradicts the schema, by its path.

        Returns:
            The value itself where it fits; null where it does not; NOTHING where null does not fit either.
        """
        kinds = types(spec)
        if not kinds:
            return value
        null = None if "null" in kinds else NOTHING
        if value is None:
            return null
        inner: dict[str, t.Any] = {}
        try:
            fitted = self._fit(spec, kinds, value, path, inner)
        except instants.NullTimeError:
            return null
        except ValueError:
            fitted = NOTHING
        if fitted is NOTHING:
            odd[path] = value
            return null
        odd.update(inner)
        return fitted

    def _fit(  # noqa: PLR0911 - one for each type
        self, spec: Mapping[str, t.Any], kinds: tuple[str, ...], value: t.Any, path: str, odd: dict[str, t.Any]
    ) -> t.Any:
        if isinstance(value, bool):
            return value if "boolean" in kinds else NOTHING
        if isinstance(value, str) and path in self._numbers and _NUMBER.fullmatch(value):
            value = Decimal(value)
        if isinstance(value, str):
            if "string" not in kinds:
                return NOTHING
            return time(value, self._read)[1] if spec.get("format") == TIME else value
        if isinstance(value, dict):
            return self._object(spec, value, path, odd) if "object" in kinds else NOTHING
        if isinstance(value, list):
            return self._array(spec, value, path, odd) if "array" in kinds else NOTHING
        if "number" in kinds or (isinstance(value, int) and "integer" in kinds):
            return value
        if "integer" in kinds and isinstance(value, Decimal) and value.adjusted() < MOST_DIGITS:
            whole = value.to_integral_value()
            return int(whole) if whole == value else NOTHING  # 5.0 is the integer 5, written otherwise
        return NOTHING

    def _object(self, spec: Mapping[str, t.Any], value: dict[str, t.Any], path: str, odd: dict[str, t.Any]) -> t.Any:
        fitted = dict(value)
        for name, part in spec.get("properties", {}).items():
            if name in value:
                fitted[name] = self.fit(part, value[name], f"{path}.{name}", odd)
                if fitted[name] is NOTHING:
                    return NOTHING
        return fitted

    def _array(self, spec: Mapping[str, t.Any], value: list[t.Any], path: str, odd: dict[str, t.Any]) -> t.Any:
        items = spec.get("items")
        if not isinstance(items, dict):
            return value
        fitted = [self.fit(items, member, f"{path}[{place}]", odd) for place, member in enumerate(value)]
        return NOTHING if any(member is NOTHING for member in fitted) else fitted


def time(text: str, read: ReadTime) -> tuple[datetime, str]:
    """Read a time.

    Raises:
        NullTimeError: It is the vendor's way to write that there is none.
        ValueError: It is no time.
    """
    if not text.strip():
        raise instants.NullTimeError("it is empty")
    return read(text)


def contradiction(name: str, spec: Mapping[str, t.Any], value: t.Any) -> str:
    """Describe what is wrong with a field, without its value."""
    kind = next((kind for kind, of in _KINDS if isinstance(value, of)), "number")
    if kind in types(spec):
        return f"field {name} is " + (f"no {TIME} that exists" if spec.get("format") == TIME else "odd inside")
    return f"field {name} is of type {kind}, the schema has {' or '.join(types(spec))}"


_KINDS = (("boolean", bool), ("integer", int), ("string", str), ("object", dict), ("array", list))
