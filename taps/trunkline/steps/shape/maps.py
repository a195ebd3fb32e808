"""Errors of stream maps, by stream and field, without the values that stand in their expressions."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from trunkline.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NULL = "__NULL__"  # as the SDK writes a null in an environment variable
_ELSE, _KEYS = "__else__", "__key_properties__"
_TEXTS = ("__alias__", "__filter__", "__source__")
_NAMES = ("__alias__", "__source__")  # names of streams beside expressions: not parsed here

_LITERAL = re.compile(
    r"""(?P<quote>'{3}|"{3}|'|")(?:\\.|(?!(?P=quote)).)*(?:(?P=quote)|\Z)|(?<![\w.])\d[\w.]*""", re.DOTALL
)


def without_literals(expression: str) -> str:
    """Return an expression without its texts and numbers: a password or a customer's number may be among them."""
    return _LITERAL.sub("…", expression)


def describe_error(error: Exception) -> str:
    """Return an error of the SDK's mapper, without the values in the expressions that it repeats."""
    return f"stream_maps could not be built ({type(error).__name__}): {printable(without_literals(str(error)), 300)}"


def errors(maps: Any, *, parse: bool = True) -> list[str]:
    """Return the errors of stream maps as they are written, a line for each place.

    Args:
        maps: The setting; what is no object is reported by the settings' own check.
        parse: Whether to read the expressions too.
    """
    return list(_errors(maps, parse=parse)) if isinstance(maps, dict) else []


def _errors(maps: dict[str, Any], *, parse: bool) -> Iterator[str]:
    for stream, fields in maps.items():
        place = f"stream_maps.{printable(stream)}"
        if stream == _ELSE:
            if not _is_null(fields):
                yield f"{place} must be null"
        elif stream.startswith("__"):
            yield f"{place} is no stream: {_ELSE} is the only name that may begin with two underscores here"
        elif isinstance(fields, dict):
            for name, value in fields.items():
                if problem := _problem(name, value) or (parse and _reads(name, value)):
                    yield f"{place}.{printable(name)} {problem}"
        elif not _is_null(fields):
            yield f"{place} must be an object of fields and their expressions, or null to leave the stream out"


def _problem(name: str, value: Any) -> str:
    if name == _ELSE:
        return "" if _is_null(value) else "must be null"
    if name == _KEYS:
        names = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return "" if names or _is_null(value) else "must be a list of names, or null"
    if _is_null(value) and name not in _TEXTS:
        return ""
    return "" if isinstance(value, str) else "must be an expression in a text, or null to leave the field out"


def _reads(name: str, expression: Any) -> str:
    if not isinstance(expression, str) or name in {_ELSE, _KEYS, *_NAMES} or _is_null(expression):
        return ""
    try:
        if ast.parse(expression).body:
            return ""
        why = "it is empty"
    except SyntaxError as exc:
        why = f"{exc.msg} at character {exc.offset}"
    except (ValueError, RecursionError, MemoryError):  # a NUL, or brackets without end
        why = "it can't be read"
    return f"is no Python expression ({why}): {printable(without_literals(expression), 200)}"


def _is_null(value: Any) -> bool:
    return value is None or value == _NULL
