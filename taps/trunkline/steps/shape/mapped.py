"""Errors of a user's stream map, described so that they can be corrected, and without the values of the record."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Any

from trunkline.steps.shape.maps import without_literals

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d.,:eE+-]*\d")  # of two digits at least: `column 3` identifies no person
_TYPES = {name for name in dir(builtins) if isinstance(getattr(builtins, name), type)} | {"NoneType", "datetime"}
_LEFT_OUT = "…"
_LONGEST = 300  # characters of an expression or of what was raised


def describe_error(exc: BaseException, record: Any) -> str:
    """Describe what a map raised, and where: field, expression, the exception's kind and its text without values.

    Args:
        exc: The exception; the frames that it passed know the field and the expression.
        record: The record, none of whose values may be shown.
    """
    field, expression = _place(exc)
    cause = exc.__cause__ or exc  # the SDK wraps some, without a word of why
    if expression is None:
        return f"stream_maps or flattening raised {type(cause).__name__}{_text(cause, '', record)}"
    raised = f"{type(cause).__name__}{_text(cause, expression, record)}"
    return f"the map of {field or '__filter__'} ({without_literals(expression)[:_LONGEST]}) raised {raised}"


def _place(exc: BaseException) -> tuple[str | None, str | None]:
    """Find the field and the expression that was evaluated: `_eval` of the SDK's map has both."""
    trace = exc.__traceback__
    while trace is not None:
        values = trace.tb_frame.f_locals
        if trace.tb_frame.f_code.co_name == "_eval" and "expr_parsed" in values:
            return values.get("property_name"), str(values["expr"])
        trace = trace.tb_next
    return None, None


def _text(exc: BaseException, expression: str, record: Any) -> str:
    """Return an exception's words: what is quoted or a number is left out unless the expression has it too."""

    def kept(match: re.Match[str]) -> str:
        inner = match.group()[1:-1] if match.group()[0] in "'\"" else match.group()
        known = inner in _TYPES or (inner and re.search(rf"(?<!\w){re.escape(inner)}(?!\w)", expression))
        return match.group() if known else _LEFT_OUT

    text = _NUMBER.sub(kept, _QUOTED.sub(kept, str(exc)))
    for value in sorted(set(_strings(record)), key=len, reverse=True):
        if value not in expression:
            text = text.replace(value, _LEFT_OUT)
    return f": {text[:_LONGEST]}" if text else ""


def _strings(value: Any) -> Iterator[str]:
    """Yield every text of a record that would be recognised, at any depth."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str) and len(one.strip()) > 2:  # noqa: PLR2004 - shorter ones are in every word
            yield one
        elif isinstance(one, dict):
            rest.extend(one.values())
        elif isinstance(one, (list, tuple)):
            rest.extend(one)


__all__ = ["describe_error"]
