"""One property's value: from its JSON text to what the staged batch holds, refused or widened when it does not fit.

These are the exact rules. `records.py` goes around them for the common case, where msgspec checks a whole record at
once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timezone
from decimal import Context, Decimal, DecimalException
from typing import Any

import msgspec

from trunkline_loader.columns import Column, Kind, TypeNames

if sys.version_info < (3, 11):
    from backports.datetime_fromisoformat import MonkeyPatch  # type: ignore[import-not-found,unused-ignore]

    MonkeyPatch.patch_fromisoformat()  # 3.10's own fromisoformat knows no `Z`

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_MOST_DIGITS = 1000  # 1e999999999 is a whole number, and must not fill the memory
SAFE = re.compile(rb"-?[0-9.]{1,15}")
"""In valid JSON: a number, and a double keeps any 15 digits."""

_FINE = re.compile(r"[.,](\d{6})(\d+)")  # a fraction of a second that is finer than a microsecond
_WHOLE = re.compile(rb"-?[0-9]+")
_FIRST_BYTES = {0x7B: "object", 0x5B: "array", 0x22: "string", 0x74: "boolean", 0x66: "boolean", 0x6E: "null"}


class Mismatch(Exception):  # noqa: N818 - a finding, made an InputError where stream and line are known
    """A value contradicts the type that the schema gives its property."""


class Outgrown(Exception):  # noqa: N818 - not an error: the loader widens the column and tries again
    """A value is right for its property but too large or too precise for the column.

    Args:
        column: The column.
        type_name: The type of the store that keeps the value.
    """

    def __init__(self, column: Column, type_name: str) -> None:
        super().__init__(column.name, type_name)
        self.column = column
        self.type_name = type_name


CARRIES = b".999999"
"""In a record with times: maybe a fraction that msgspec would round up into the next second, day or year."""

Convert = Callable[[bytes], Any]


def json_type(text: bytes) -> str:
    """Return the JSON type of a JSON text."""
    named = _FIRST_BYTES.get(text[0])
    if named:
        return named
    return "integer" if _WHOLE.fullmatch(text) else "number"


def converter(column: Column, types: TypeNames) -> Convert:
    """Return the function that turns a property's JSON text into the value that the batch holds.

    Returns:
        A function of the JSON text (never `null`). It raises Mismatch when the text contradicts the schema and
        Outgrown when the column must be widened first.
    """
    check = _CHECKS[column.declared.kind]
    if column.declared.kind is Kind.JSON:
        return _json_converter(column)
    if column.stored == types.json:
        return lambda text: (check(column, text, types), text.decode())[1]
    if column.stored == types.text:
        return lambda text: _as_text(check(column, text, types), text)
    return lambda text: check(column, text, types)


def _as_text(_checked: Any, text: bytes) -> str:
    """Return a checked scalar as text: a string's content, anything else as it is written in JSON."""
    return msgspec.json.decode(text, type=str) if text[:1] == b'"' else text.decode()


def _json_converter(column: Column) -> Convert:
    types = column.declared.types
    first_bytes = {byte for byte, kind in _FIRST_BYTES.items() if kind in types}

    def convert(text: bytes) -> str:
        if text[0] in first_bytes:
            return text.decode()
        found = json_type(text)
        if found not in types and not (found == "number" and "integer" in types and _is_whole(text)):
            raise Mismatch(found)
        return text.decode()

    return convert


def _is_whole(text: bytes) -> bool:
    try:
        number = Decimal(text.decode())
        exponent = number.as_tuple().exponent
        return isinstance(exponent, int) and (
            exponent >= 0 or number == number.to_integral_value(context=Context(prec=10_000))
        )
    except DecimalException:  # more digits, or a larger exponent, than anything whole that is stored here
        return False


def _integer(column: Column, text: bytes, types: TypeNames) -> int | str | msgspec.Raw:
    """Return a whole number: itself in a BIGINT, else its digits. In JSON schema `1.0` and `1e3` are whole."""
    if not _WHOLE.fullmatch(text):
        text = _whole_text(text)
    if column.stored == types.double:
        return _number(column, text, types)
    value = int(text) if len(text) <= types.most_digits + 1 else None
    wide = types.text if value is None or abs(value) > types.most_whole else types.whole
    if column.stored == types.integer:
        if value is not None and INT64_MIN <= value <= INT64_MAX:
            return value
        raise Outgrown(column, wide)
    if column.stored == types.whole and wide == types.text:
        raise Outgrown(column, wide)
    return text.decode()


def _whole_text(text: bytes) -> bytes:
    if json_type(text) != "number":
        raise Mismatch(json_type(text))
    if not _is_whole(text) or (number := Decimal(text.decode())).adjusted() > _MOST_DIGITS:
        raise Mismatch("number")
    return format(number, "f").split(".")[0].encode()


def _number(column: Column, text: bytes, types: TypeNames) -> msgspec.Raw | str:
    """Return a number's own text; the store's double of it is checked to be exact to the last written digit."""
    if json_type(text) not in {"integer", "number"}:
        raise Mismatch(json_type(text))
    if column.stored == types.double:
        if not survives_double(text):
            raise Outgrown(column, types.precise)
        return msgspec.Raw(text)
    if column.stored == types.precise != types.text and not _has_room(text, types.most_digits):
        raise Outgrown(column, types.text)
    return text.decode()


def _has_room(text: bytes, most_digits: int) -> bool:
    """Return whether a number has no more digits before and behind its point than the store has room for."""
    try:
        return abs(Decimal(text.decode()).adjusted()) < most_digits and len(text) < 2 * most_digits
    except DecimalException:
        return False


def survives_double(text: bytes) -> bool:
    """Return whether the nearest double, written with as many digits as the text, is the text's number again."""
    if SAFE.fullmatch(text):
        return True
    try:
        written = Decimal(text.decode())
        digits = len(written.as_tuple().digits)
        return Context(prec=max(digits, 1)).plus(Decimal(float(text))) == written
    except (DecimalException, OverflowError, ValueError):
        return False


def _boolean(column: Column, text: bytes, types: TypeNames) -> bool | str:
    if json_type(text) != "boolean":
        raise Mismatch(json_type(text))
    return text.decode() if column.stored == types.text else text == b"true"


def _string(_column: Column, text: bytes, _types: TypeNames) -> str:
    if json_type(text) != "string":
        raise Mismatch(json_type(text))
    return str(msgspec.json.decode(text, type=str))


def _date_time(column: Column, text: bytes, types: TypeNames) -> datetime:
    """Return an instant. Forms beyond RFC 3339 (no seconds, `+0200`, a bare date) are read too; no zone is UTC."""
    written = _to_microseconds(_string(column, text, types))
    try:
        value = msgspec.convert(written, datetime)
    except msgspec.ValidationError:
        try:
            value = datetime.fromisoformat(written)
            # JSON has no form for an offset with seconds: msgspec would write its minutes only.
            value = value.astimezone(timezone.utc) if value.tzinfo else value
        except (ValueError, OverflowError):
            raise Mismatch("a string that is no ISO 8601 date-time") from None
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)


def _to_microseconds(written: str) -> str:
    return _FINE.sub(_rounded, written, count=1)


def _rounded(fraction: re.Match[str]) -> str:
    """Round a fraction of a second to six digits as msgspec does, but never up into the next second."""
    digits, rest = fraction.groups()
    return f".{digits if rest < '5' or digits == '999999' else f'{int(digits) + 1:06}'}"


def _date(column: Column, text: bytes, types: TypeNames) -> date:
    _string(column, text, types)
    try:
        return msgspec.json.decode(text, type=date)
    except msgspec.ValidationError:
        raise Mismatch("a string that is no ISO 8601 date") from None


def _time(column: Column, text: bytes, types: TypeNames) -> time:
    written = _string(column, text, types)
    try:
        value = time.fromisoformat(_to_microseconds(written))
    except ValueError:
        raise Mismatch("a string that is no ISO 8601 time") from None
    if value.utcoffset():
        raise Mismatch("a time with an offset, which a TIME column can't keep")
    return value.replace(tzinfo=None)


def _anything(_column: Column, text: bytes, _types: TypeNames) -> bytes:
    return text


_CHECKS: dict[Kind, Callable[[Column, bytes, TypeNames], Any]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.STRING: _string,
    Kind.DATE_TIME: _date_time,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.JSON: _anything,
}
