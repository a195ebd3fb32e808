"""Remove what opens other systems from the free-form objects that customers write into a vendor's product.

Nothing is known of such objects: a credential may stand in a field named like one, beside a field that names it, in a
pair, in JSON inside of a text, or in a query, a form or a header that a text holds.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from trunkline.exact import BROKEN, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET_NAME = re.compile(
    r"token|passwor|passwd|passphrase|senha|secret|authori[sz]ation|(api|private|access).?key|credential|cookie"
    r"|\b(pass|pwd)\b",
    re.IGNORECASE,
)
_SECRET_PARTS = frozenset({"auth", "headers", "header"})
"""Parts that hold credentials whatever stands in them."""
_LABELS = frozenset({"name", "key", "field", "param", "parameter", "property", "header", "label", "id", "type"})
"""Fields that name what stands in the fields beside them."""
_VALUES = frozenset({"value", "val", "content"})
_PAIR = 2
_PARAMETER = re.compile(
    r"((?:^|(?<=[?&#;\s\"']))([\w.\-%\[\]]+)(?:=|:\s*))(?:(?:Bearer|Basic)\s+)?[^&#;,\s\"']+", re.IGNORECASE
)
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.\-]*://)[^/?#\s@]+@", re.IGNORECASE)


def without_secrets(value: Any, within: str = "") -> Any:
    """Set to null what is or may be a credential; what stands beside it stays.

    Args:
        value: Anything that JSON can hold; a text that is JSON is read.
        within: Only in fields of this name, at any depth; everywhere when empty.
    """
    value = _read(value)
    if not within:
        return _clean(value)
    if isinstance(value, list):
        return [without_secrets(inner, within) for inner in value]
    if isinstance(value, dict):
        return {name: without_secrets(inner, "" if name == within else within) for name, inner in value.items()}
    return value


def _read(value: Any) -> Any:
    """Return the object or list that a text stands for, be it JSON inside of JSON; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "[", '"'}:
        with contextlib.suppress(*BROKEN):
            found = _read(decode(value))
            return found if isinstance(found, (dict, list)) else value
    return value


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        label = _secret_label(value)
        if label:  # `{"name": "token", "value": …}`: the name stands in a field of its own
            return {name: inner if name == label else None for name, inner in value.items()}
        return {name: None if _is_secret(name) else _clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        if len(value) == _PAIR and isinstance(value[0], str) and _is_secret(value[0]):
            return [value[0], None]
        return [_clean(inner) for inner in value]
    return _clean_text(value) if isinstance(value, str) else value


def _secret_label(entry: Mapping[str, Any]) -> str:
    """Find the field of an entry that names its other fields as a secret; empty when there is none."""
    named = any(name.lower() in _VALUES for name in entry)
    for name, inner in entry.items():
        # A sentence is no name, unless a value stands beside it.
        if name.lower() in _LABELS and isinstance(inner, str) and _is_secret(inner) and (named or " " not in inner):
            return name
    return ""


def _is_secret(name: str) -> bool:
    return name.strip().lower() in _SECRET_PARTS or _SECRET_NAME.search(name) is not None


def _clean_text(text: str) -> str:
    """Clean the JSON that a text is, or a query, form or header that stands in it."""
    if text.lstrip()[:1] in {"{", "[", '"'}:
        with contextlib.suppress(*BROKEN):
            found = decode(text)
            cleaned = _clean(found)
            return text if cleaned == found else encode(cleaned).decode()
    return _USER_INFO.sub(r"\1", _PARAMETER.sub(lambda part: part[1] if _is_secret(part[2]) else part[0], text))
