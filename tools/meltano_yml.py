"""Write meltano.yml: a frame written by hand, and every setting of our taps and target as they declare it themselves.

    python tools/meltano_yml.py            writes the file
    python tools/meltano_yml.py --check    only says whether it is up to date

Meltano takes a plugin with a `namespace` for the project's own: it asks no Hub about it and needs no lock file. One
without `pip_url` is not installed by Meltano either: ours stand in `.venv`, where run.py put them.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from trunkline.doors.vendors import tap_in, vendor_taps
from trunkline_duckdb import TargetDuckDB
from trunkline_sandbox import Sandbox
from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.doors.command import VendorTap

FILE = Path(__file__).resolve().parents[1] / "meltano.yml"
FRAME = Path(__file__).with_name("meltano_frame.yml")
_MOVES = {"new_account": True}  # the demo serves it on a free port
SANDBOX_URL = "http://127.0.0.1:8765"
"""Where `python3 run.py sandbox` serves unless told otherwise."""

_HEAD = """\
# Made by `python3 run.py meltano-yml`: change tools/meltano_frame.yml or a tap's settings, not this file.

"""
_MARK = re.compile(r"^( *)# << (\w+)\n", re.MULTILINE)
_LABELS = {
    "pii": "Personal data",
    "pii_key": "Key of the hash",
    "ca_bundle": "Certificate authority",
    "requests_per_minute": "Rate limit",
    "cdr_call_id": "Call ID of details",
    "faker_config": "Faker",
}
_CAPITALS = {"api": "API", "id": "ID", "ids": "IDs", "url": "URL"}


def text() -> str:
    """The whole of meltano.yml."""
    taps = vendors()
    sandbox = Sandbox()
    load = {tap.vendor: f"{tap.name} {TargetDuckDB.name}" for tap in taps}
    parts: dict[str, list[dict[str, Any]]] = {
        "sandbox": [
            {"name": tap.name, "config": {**sandbox.config(tap.vendor, SANDBOX_URL), **_MOVES}} for tap in taps
        ],
        "jobs": [
            {"name": "everything", "tasks": list(load.values())},
            *[{"name": vendor, "tasks": [task]} for vendor, task in load.items()],
        ],
        "schedules": [
            {"name": f"{vendor}-hourly", "job": vendor, "interval": f"{60 // len(load) * turn} * * * *"}
            for turn, vendor in enumerate(load)
        ],
        "extractors": [extractor(tap, sandbox.vendors[tap.vendor].title) for tap in taps],
        "duckdb": [duckdb()],
        "switchtransact": [loader(TargetSwitchTransact, "SwitchTransact")],
    }
    return _HEAD + _MARK.sub(lambda mark: _yaml(parts[mark[2]], mark[1]), FRAME.read_text(encoding="utf-8"))


def vendors() -> list[type[VendorTap]]:
    """This distribution's taps, by name; those that other packages bring are in their own Meltano projects."""
    return sorted(vendor_taps("trunkline").values(), key=lambda tap: str(tap.name))


def project(tap: type[VendorTap], title: str) -> str:
    """A Meltano project with a tap of another package as its only plugin.

    Args:
        tap: Its class.
        title: The vendor's name for people.
    """
    whole = {
        "version": 1,
        "default_environment": "dev",
        "send_anonymous_usage_stats": False,
        "environments": [{"name": "dev"}],
        "plugins": {"extractors": [{**extractor(tap, title), "executable": tap.name}]},
    }
    variable = f"{tap.name.upper().replace('-', '_')}_START_DATE"
    return f"# Every setting of the tap is an environment variable too: {variable}.\n\n{_yaml(whole, '')}"


def examples() -> dict[Path, str]:
    """The Meltano projects of examples/."""
    found = {}
    for place in sorted((FILE.parent / "examples").glob("*/pyproject.toml")):
        tap = tap_in(place.parent)
        notes = (place.parent / "docs" / "notes.md").read_text(encoding="utf-8")
        found[place.with_name("meltano.yml")] = project(tap, notes.partition("\n")[0].removeprefix("# "))
    return found


def extractor(tap: type[VendorTap], title: str) -> dict[str, Any]:
    """A tap as a plugin.

    Args:
        tap: Its class.
        title: The vendor's name for people.
    """
    schema = copy.deepcopy(tap.config_jsonschema)
    tap.append_builtin_config(schema)
    streams: list[Any] = list(tap.stream_types)  # as classes: the SDK types their names for instances
    return {
        **_plugin(tap, title),
        # Without it, Meltano selects every stream: also those that are not to be read unless somebody means to.
        "select": [f"{stream.name}.*" for stream in streams if stream.selected_by_default],
        "settings_group_validation": [[*tap.required, *tap.required_to_start]],
        "settings": [setting(name, spec) for name, spec in schema["properties"].items()],
    }


def duckdb() -> dict[str, Any]:
    """target-duckdb as a plugin: each vendor in a schema of its own."""
    return loader(TargetDuckDB, "DuckDB", {"default_target_schema": "$MELTANO_EXTRACT__LOAD_SCHEMA"})


def loader(target: Any, title: str, values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A target as a plugin.

    Args:
        target: Its class.
        title: What it loads into, for people.
        values: What Meltano sets.
    """
    schema = copy.deepcopy(target.config_jsonschema)
    target.append_builtin_config(schema)
    return {
        **_plugin(target, title),
        "settings_group_validation": [schema["required"]],
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
    """A setting in Meltano's words.

    Args:
        name: Its name.
        spec: Its JSON schema.
        value: What Meltano sets. A default is only told: it is the plugin that knows it.
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
    """Meltano's kind of a setting.

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
    """The choices; one that may be written as 1 and as "1" is one choice."""
    return [{"label": label(one), "value": one} for one in dict.fromkeys(map(str, values))]


def label(name: str) -> str:
    """A name for people: "API URL" for `api_url`."""
    words = [_CAPITALS.get(word, word) for word in re.split("[_-]", name)]
    return _LABELS.get(name) or " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _yaml(value: Any, indent: str) -> str:
    lines = yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000).splitlines(keepends=True)
    return "".join(indent + line for line in lines)


class _Plain(yaml.SafeDumper):
    """Writes equal values out again instead of pointing at the first one."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        del data
        return True


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or say that it is stale (exit code 1)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the file is stale")
    check = parser.parse_args(arguments).check
    stale = False
    for path, made in {FILE: text(), **examples()}.items():
        name = path.relative_to(FILE.parent)
        if path.exists() and path.read_text(encoding="utf-8") == made:
            print(f"{name} is up to date")
        elif check:
            print(f"{name} does not say what the taps do: run `python3 run.py meltano-yml`", file=sys.stderr)
            stale = True
        else:
            path.write_text(made, encoding="utf-8")
            print(f"{name} is written")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
