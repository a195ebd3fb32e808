"""The content of `source-<vendor> spec`: a tap's settings as Airbyte's forms take them.

Rests on Airbyte's connector specification reference (airbyte_secret, airbyte_hidden, order, pattern_descriptor).
"""

from __future__ import annotations

import copy
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trunkline.doors.command import VendorTap
    from trunkline.facts.config import Setting

_EXAMPLES = {
    "date": ["2026-01-31", "2026-01-31T08:00:00Z"],
    "duration": ["P7D", "PT6H"],
    "zone": ["Europe/Warsaw"],
    "url": ["https://api.example.com"],
}
_KEPT = (
    "type", "enum", "default", "pattern", "minLength", "minimum", "exclusiveMinimum", "maximum", "minItems", "examples",
)  # fmt: skip
_CAPITALS = {"api", "url", "id", "ids", "ca", "pii", "cdr"}


def specification(cls: type[VendorTap]) -> dict[str, Any]:
    """Return the content of a SPEC message.

    Unknown settings are allowed by the schema and refused by `check`, which names the nearest one that exists.
    """
    schema = copy.deepcopy(cls.config_jsonschema)
    cls.append_builtin_config(schema)
    properties: dict[str, Setting] = schema["properties"]
    # What the first read can't do without is required in the form.
    required = [*schema.get("required", ()), *cls.required_to_start]
    order = sorted(properties, key=lambda name: name not in required)
    address = _documentation(cls.package_name or "")
    return {
        **({"documentationUrl": address} if address else {}),
        "connectionSpecification": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": cls.name.removeprefix("tap-"),
            "type": "object",
            "required": required,
            "additionalProperties": True,
            "properties": {name: _setting(name, properties[name], place) for place, name in enumerate(order)},
        },
        "supportsIncremental": any(getattr(stream, "replication_key", None) for stream in _streams(cls)),
    }


def _streams(cls: type[VendorTap]) -> Iterable[Any]:
    return cls.stream_types


def _documentation(distribution: str) -> str:
    """Return the address of the distribution's documentation."""
    try:
        urls = dict(url.split(", ", 1) for url in metadata.metadata(distribution).get_all("Project-URL") or ())
    except metadata.PackageNotFoundError:
        return ""
    return urls.get("Documentation") or urls.get("Homepage") or ""


def _setting(name: str, spec: Setting, place: int) -> dict[str, Any]:
    """Return a setting as a field of the form."""
    kinds = [spec["type"]] if isinstance(spec.get("type"), str) else spec.get("type", ["string"])
    kind = next(kind for kind in kinds if kind != "null")
    made = {key: spec[key] for key in _KEPT if key in spec}
    made |= {"type": kind, "title": spec.get("title") or _title(name), "order": place}
    if "description" in spec:
        made["description"] = spec["description"]
    if "pattern" in made:
        # Python's end of text is no end of text in the languages that check a form.
        made["pattern"] = made["pattern"].replace(r"\Z", "$")
    if "must" in spec:
        made["pattern_descriptor"] = spec["must"]
    if spec.get("format") in _EXAMPLES and "default" not in spec:
        made.setdefault("examples", _EXAMPLES[spec["format"]])
    if spec.get("secret") or spec.get("writeOnly"):
        made["airbyte_secret"] = True
    if kind == "array":
        made["items"] = spec.get("items", {"type": "string"})
    if kind == "object" or made.get("items", {}).get("type") == "object":
        # No form shows an object whose fields are not known; it can still be set by API or file.
        made |= {"airbyte_hidden": True}
        made |= {"additionalProperties": True} if kind == "object" else {}
    return made


def _title(name: str) -> str:
    words = [word.upper() if word in _CAPITALS else word for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])
