"""Trunkline's taps and targets as Meltano's plugins, with every setting as they declare it themselves."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import yaml

from trunkline.facts.window_proofs import WindowProofs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.doors.command import VendorTap

_LABELS = {
    "pii": "Personal data",
    "pii_key": "Key of the hash",
    "ca_bundle": "Certificate authority",
    "requests_per_minute": "Rate limit",
    "cdr_call_id": "Call ID of details",
    "faker_config": "Faker",
}
_CAPITALS = {"api": "API", "id": "ID", "ids": "IDs", "url": "URL"}


def project(tap: type[VendorTap], title: str) -> str:
    """Make a Meltano project with a tap of another package as its only plugin.

    Args:
        tap: Its class.
        title: The vendor's name for people.
    """
    whole = {
        "requires_meltano": ">=4.4,<5",
        "default_environment": "dev",
        "send_anonymous_usage_stats": False,
        "environments": [{"name": "dev"}],
        "plugins": {"extractors": [{**extractor(tap, title), "executable": tap.name}]},
    }
    known = "start_date" if "start_date" in tap.common else "api_url"
    variable = f"{tap.name}_{known}".upper().replace("-", "_")
    return f"# Every setting of the tap is an environment variable too: {variable}.\n\n{to_yaml(whole)}"


def extractor(tap: type[VendorTap], title: str) -> dict[str, Any]:
    """Describe a tap as a plugin.

    Args:
        tap: Its class.
        title: The vendor's name for people.
    """
    schema = copy.deepcopy(tap.config_jsonschema)
    tap.append_builtin_config(schema)
    streams: list[Any] = list(tap.stream_types)  # as classes: the SDK types their names for instances
    chosen = [stream.name for stream in streams if stream.selected_by_default]
    return {
        **_plugin(tap, title),
        # Without it, Meltano selects every stream: also those that are not to be read unless somebody means to.
        "select": [f"{name}.*" for name in [*chosen, WindowProofs.name]],
        "settings_group_validation": [[*tap.required, *tap.required_to_start]],
        "settings": [setting(name, spec) for name, spec in schema["properties"].items()],
    }


def loader(target: Any, title: str, values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe a target as a plugin.

    Args:
        target: Its class.
        title: What it loads into, for people.
        values: What Meltano sets.
    """
    schema = copy.deepcopy(target.config_jsonschema)
    target.append_builtin_config(schema)
    return {
        **_plugin(target, title),
        "settings_group_validation": getattr(target, "alternatives", [schema.get("required", [])]),
        "settings": [setting(name, spec, (values or {}).get(name)) for name, spec in schema["properties"].items()],
    }


def _plugin(plugin: Any, title: str) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "namespace": plugin.name.replace("-", "_"),
        "label": title,
        "description": plugin.__doc__.splitlines()[0],
        "executable": f"./.venv/bin/{plugin.name}",
        "capabilities": [str(capability) for capability in plugin.capabilities],
    }


def setting(name: str, spec: Mapping[str, Any], value: str | None = None) -> dict[str, Any]:
    """Describe a setting in Meltano's words.

    Args:
        name: Its name.
        spec: Its JSON schema.
        value: What Meltano sets. A default is only described: the plugin itself applies it.
    """
    title = spec.get("title") or label(name)
    description = " ".join((spec.get("description") or f"{title}.").split())
    if "default" in spec and value is None:
        default = str(spec["default"])
        description += f" Default {default.lower() if isinstance(spec['default'], bool) else default}."
    return {
        "name": name,
        "kind": kind(spec),
        **({"value": value} if value is not None else {}),
        **({"sensitive": True} if spec.get("secret") else {}),
        **({"options": _options(spec["enum"])} if "enum" in spec else {}),
        "label": title,
        "description": description,
    }


def kind(spec: Mapping[str, Any]) -> str:
    """Choose Meltano's kind of a setting.

    A number is an `integer` there. Meltano 4.4 can't write its own kind `decimal` to a tap's config ("Decimal is not
    JSON serializable"), and of an `integer` it converts only texts: a fraction still works, in meltano.yml.
    """
    if "enum" in spec:
        return "options"
    types = spec.get("type", "string")
    one = types if isinstance(types, str) else next(each for each in types if each != "null")
    if one == "string":
        return {"date": "date_iso8601", "file": "file"}.get(spec.get("format", ""), "string")
    return "integer" if one == "number" else str(one)


def _options(values: list[Any]) -> list[dict[str, str]]:
    """List the choices; one that may be written as 1 and as "1" is one choice."""
    return [{"label": label(one), "value": one} for one in dict.fromkeys(map(str, values))]


def label(name: str) -> str:
    """Make a name for people: "API URL" for `api_url`."""
    words = [_CAPITALS.get(word, word) for word in re.split("[_-]", name)]
    return _LABELS.get(name) or " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def to_yaml(value: Any, indent: str = "") -> str:
    """Write a value, each line behind an indent."""
    lines = yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000).splitlines(keepends=True)
    return "".join(indent + line for line in lines)


class _Plain(yaml.SafeDumper):
    """Writes equal values out again instead of pointing at the first one."""

    def ignore_aliases(self, data: Any) -> bool:
        """Ignore them always."""
        del data
        return True
