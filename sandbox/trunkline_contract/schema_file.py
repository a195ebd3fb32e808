"""Checks of a stream's schema file: the one source of catalog, documentation and checks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
SWITCH = {"boolean", "integer"}
"""Both types of a switch that a vendor writes as 0 and 1 or as false and true; warehouses have one column for them."""
OPEN = {"object", "string"}
"""Types of an entry of a list that the vendor does not describe."""
CLOSING = {"enum", "const", "pattern", "maxLength", "minLength", "maximum", "minimum", "maxItems", "minItems"}
"""A vendor may add a value, lengthen a text or send a field more: none of that may break a sync."""

_SENTENCE = re.compile(r"[A-Z0-9].*[^.]\.")
_INNER_FULL_STOP = re.compile(r"[.!?]\s")
_MOST_SENTENCES = 2


def types(node: Mapping[str, Any]) -> list[str]:
    """Return the types a property may have, as a list, whether the file writes one or several."""
    kind = node.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def walk(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property and array items below a node: `call_flow.id`, `dialogs[]`, `dialogs[].talking_time`."""
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, child
        yield from walk(child, here)
    if "items" in node:
        yield f"{path}[]", node["items"]
        yield from walk(node["items"], f"{path}[]")


def properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all properties at every depth, array items left out."""
    return {path: node for path, node in walk(schema) if not path.endswith("[]")}


def problems(schema: dict[str, Any], *, tap: str, stream: str, keys: Sequence[str], bookmark: str | None) -> list[str]:
    """Return the problems of a schema file, a sentence each.

    Args:
        schema: Its content.
        tap: The tap's name, such as `tap-evolux`.
        stream: The stream's name.
        keys: The primary key.
        bookmark: The replication key, if there is one.
    """
    return [
        *_head(schema, f"{tap} {stream}", keys),
        *(line for path, node in walk(schema) for line in _node(path, node)),
        *_nulls(schema, [*dict.fromkeys([*keys, *([bookmark] if bookmark else [])])]),
        *_instants(schema, bookmark),
        *_extra(schema),
    ]


def _head(schema: dict[str, Any], title: str, keys: Sequence[str]) -> Iterator[str]:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as problem:
        yield f"it is no schema: {problem.message}"
    expected = ["$schema", "title", "description", "type", "properties", "required"]
    if list(schema) != expected:
        yield f"it must have {', '.join(expected)}, in this order and nothing else (closed to nothing)"
    for name, value in (("$schema", DRAFT), ("title", title), ("type", "object")):
        if schema.get(name) != value:
            yield f"{name} must be {value!r}"
    text = str(schema.get("description"))
    sentences = len(_INNER_FULL_STOP.findall(text)) + 1
    if not _SENTENCE.fullmatch(text) or sentences > _MOST_SENTENCES or "https://" not in text:
        yield "its description must be one or two sentences that name the vendor's page (https://)"
    if "known by " + " and ".join(keys) not in text:
        yield f"its description must name the key of a row: known by {' and '.join(keys)}"


def _node(path: str, node: dict[str, Any]) -> Iterator[str]:
    text = node.get("description", "")
    if not _SENTENCE.fullmatch(text) or _INNER_FULL_STOP.search(text):
        yield f"{path} must be described in one sentence with a full stop"
    if CLOSING & set(node) or "required" in node:
        yield f"{path} must not be narrowed: what a vendor adds later may break nothing"
    kinds = types(node)
    if node.get("additionalProperties") is not (True if "object" in kinds else None):
        yield f"{path}: additionalProperties must be true for an object, and stand nowhere else"
    named = set(kinds) - {"null"}
    open_entry = path.endswith("[]") and named == OPEN
    if not set(kinds) <= TYPES or (len(named) != 1 and named != SWITCH and not open_entry):
        yield f"{path} must have one type, besides null (or {' and '.join(sorted(SWITCH))}, of a switch)"
    if ("array" in kinds) != ("items" in node):
        yield f"{path} must describe its items, if it is an array"
    if node.get("x-personal", True) is not True:
        yield f"{path}: x-personal is true or not there"


def _nulls(schema: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    if schema.get("required") != list(keys):
        yield f"required must be the primary key and the replication key: {', '.join(keys)}"
    for path, node in properties(schema).items():
        if ("null" in types(node)) == (path in keys):
            yield f"{path} {'is a key and must never be null' if path in keys else 'must be allowed to be null'}"


def _instants(schema: Mapping[str, Any], bookmark: str | None) -> Iterator[str]:
    known = properties(schema)
    if bookmark and known.get(bookmark, {}).get("format") != "date-time":
        yield f"{bookmark} is the replication key and must have the format date-time"
    for path, node in walk(schema):
        if "format" in node and (node["format"] != "date-time" or "string" not in types(node)):
            yield f"{path}: the only format is date-time, of a string"


def _extra(schema: Mapping[str, Any]) -> Iterator[str]:
    name, node = list(schema["properties"].items())[-1]
    expected = {"type": ["object", "null"], "additionalProperties": True, "x-personal": True}
    if name != "_extra" or {key: value for key, value in node.items() if key != "description"} != expected:
        yield f"the last property must be _extra, with {expected}: it keeps what the schema does not name"
