"""`python3 run.py hub-schema`: validate the definition files of plugins/ with the schema of Meltano Hub itself.

    python -m tools.hub_schema                  downloads the Hub's schema, at a pinned commit and checked by SHA-256
    python -m tools.hub_schema --schema FOLDER  takes a copy: the folder `schemas` of the repository meltano/hub

The tests validate with our own statement of the Hub's rules, tools/hub.schema.json. So that the two can't part, each
definition is also changed in many ways, and both schemas must agree about every change.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("extractors", "loaders")
COMMIT = "9d28b36a64bf1ba18d6b0dd6936d8f14d2eaa0ba"
ADDRESS = f"https://raw.githubusercontent.com/meltano/hub/{COMMIT}/schemas/"
SHA256 = {
    "plugin_definitions/extractors.schema.json": "38e2644a5798aec65d3899576459d84ed5409680b0272e760087de6b7555b5d7",
    "plugin_definitions/loaders.schema.json": "190186b21e1c6c30982b5822481a29bd9b3ee1cca8da080e3783455ea31e35a3",
    "plugin_definitions/hub_metadata.schema.json": "f71f8333039c6eaadb183cc9542a1daf6e0cd250a242d702b44da9fcb0e959f4",
    "common/common.schema.json": "581f6b3f5cbb7fea699397badcf2e2cc5d7dcd93c442073719c2e389fbc8e354",
    "common/base_setting.schema.json": "d10f264744863d6f89989744fb46821383ffb4b493d499c8244a74bf01aa9c8e",
    "common/extractors_specific.schema.json": "0d8945144ff2a3c932489e5dff0d0874c9e53e3cc6de5cae663c6f381a4a4753",
    "common/loaders_specific.schema.json": "8572d2381c615fa341b25f3f80f5cfbe220ca9ce20b3920e6964dd4f5ce5bd94",
}
"""The Hub's files that the two kinds of definitions need."""
BASE = "https://hub.invalid/"  # where the files refer to each other; nothing is read from there
TIMEOUT = 30
"""Seconds that a download may take."""

GONE: Any = object()
"""Stands for a key that is left out."""
CHANGES: tuple[tuple[str, dict[str, Any], bool], ...] = (
    *(("plugin", {name: GONE}, False) for name in ("name", "namespace", "variant", "quality")),
    *(("plugin", {name: GONE}, True) for name in ("label", "pip_url", "capabilities", "settings", "keywords")),
    ("plugin", {"colour": "red"}, False),
    ("plugin", {"ext_repo": "https://example.com"}, False),
    ("plugin", {"config": {}}, False),
    ("plugin", {"quality": "platinum"}, False),
    ("plugin", {"quality": "gold"}, True),
    ("plugin", {"maintenance_status": "abandoned"}, False),
    ("plugin", {"maintenance_status": "active"}, True),
    ("plugin", {"name": 1}, False),
    ("plugin", {"variant": None}, False),
    ("plugin", {"pip_url": ["a", "b"]}, False),
    ("plugin", {"executable": None}, False),
    ("plugin", {"logo_url": None}, True),
    ("plugin", {"logo_url": False}, False),
    ("plugin", {"domain_url": None}, True),
    ("plugin", {"domain_url": 1}, False),
    ("plugin", {"repo": None}, False),
    ("plugin", {"docs": "https://example.com", "repo": "https://example.com", "python": "python3.12"}, True),
    ("plugin", {"keywords": "calls"}, False),
    ("plugin", {"keywords": [1]}, False),
    ("plugin", {"supported_python_versions": [3.1]}, False),
    ("plugin", {"supported_python_versions": ["3.10.1"]}, False),
    ("plugin", {"supported_python_versions": ["3.9", "3.14"]}, True),
    ("plugin", {"capabilities": ["catalogue"]}, False),
    ("plugin", {"capabilities": "about"}, False),
    ("plugin", {"capabilities": ["about", "batch", "structured-logging"]}, True),
    ("plugin", {"hidden": "true"}, False),
    ("plugin", {"usage": "Text.", "prereq": "Text.", "next_steps": "Text.", "settings_preamble": "Text."}, True),
    ("plugin", {"usage": ["Text."]}, False),
    ("plugin", {"definition": "reads calls.", "log_parser": "singer-sdk"}, True),
    ("plugin", {"commands": ["build"]}, False),
    ("plugin", {"requires": {"files": [{"name": "files-x", "variant": "y"}]}}, True),
    ("plugin", {"requires": {"files": [{"name": "files-x"}]}}, False),
    ("plugin", {"requires": {}}, False),
    ("plugin", {"settings_group_validation": [["a"], ["b", "c"]]}, True),
    ("plugin", {"settings_group_validation": ["a"]}, False),
    ("plugin", {"settings": {"a": {}}}, False),
    ("plugin", {"update": {"a": True}}, False),
    ("setting", {"name": GONE}, False),
    ("setting", {"name": 1}, False),
    ("setting", {"label": GONE, "description": GONE, "kind": GONE}, True),
    ("setting", {"kind": "number"}, False),
    ("setting", {"kind": "decimal"}, True),
    ("setting", {"sensitive": "true"}, False),
    ("setting", {"hidden": True}, True),
    ("setting", {"secret": True}, False),
    ("setting", {"value": {"any": ["thing", 1]}}, True),
    ("setting", {"aliases": "old"}, False),
    ("setting", {"aliases": ["old"], "env": "OLD", "placeholder": "1", "tooltip": "1", "documentation": "1"}, True),
    ("setting", {"options": [{"label": "One", "value": 1}]}, False),
    ("setting", {"options": [{"label": "One", "value": "1"}]}, True),
    ("setting", {"options": ["1"]}, False),
    ("setting", {"value_processor": "nest_object", "value_post_processor": "stringify"}, True),
    ("setting", {"value_processor": "upper"}, False),
    ("setting", {"oauth": {}}, False),
    ("setting", {"oauth": {"provider": "example"}}, True),
    ("setting", {"env": 1}, False),
    ("setting", {"description": None}, False),
)
"""Changes in the plugin or in its first setting, and whether a definition is still valid then."""
ONE_KIND: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({"select": ["calls.*"]}, ("extractors",)),
    ({"metadata": {"calls": {}}}, ("extractors",)),
    ({"schema": {"calls": {}}}, ("extractors",)),
    ({"select": "calls.*"}, ()),
    ({"metadata": []}, ()),
    ({"dialect": "duckdb"}, ("loaders",)),
    ({"target_schema": "calls"}, ("loaders",)),
    ({"capabilities": ["catalog", "state", "discover"]}, ("extractors",)),
    ({"capabilities": ["hard-delete", "target-schema"]}, ("loaders",)),
)
"""Changes in the plugin, and the kinds of which a definition is still valid then."""


class NotTakenError(Exception):
    """The Hub's schema could not be read: what failed, why, and what to do."""


def definitions() -> dict[Path, dict[str, Any]]:
    """Read the definition files of plugins/."""
    files = (path for kind in KINDS for path in sorted((ROOT / "plugins" / kind).glob("*.yml")))
    return {path: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}


def ours(kind: str) -> Draft202012Validator:
    """Make the validator of our own statement of the Hub's rules."""
    schema = json.loads(Path(__file__).with_name("hub.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{kind}"})


def hubs(folder: Path | None, kind: str) -> Draft7Validator:
    """Make the validator of the Hub's own schema.

    Args:
        folder: A copy of it; else it is downloaded.
        kind: Kind of the plugin.

    Raises:
        NotTakenError: It can't be read or downloaded, or it is another one.
    """
    registry: Registry[Any] = Registry()
    for name in SHA256:
        schema = json.loads(_taken(folder, name))
        schema.pop("$id", None)  # ids there are bare file names; the references are paths
        resource = Resource.from_contents(schema, default_specification=DRAFT7)
        registry = registry.with_resource(BASE + name, resource)
    return Draft7Validator({"$ref": f"{BASE}plugin_definitions/{kind}.schema.json"}, registry=registry)


def _taken(folder: Path | None, name: str) -> bytes:
    where = str(folder / name) if folder else ADDRESS + name
    try:
        if folder:
            content = (folder / name).read_bytes()
        else:
            with urllib.request.urlopen(where, timeout=TIMEOUT) as response:  # noqa: S310 - an https address, above
                content = response.read()
    except (OSError, urllib.error.URLError) as error:
        why = f"{where} could not be read: {error}. Check the network, or name a copy with --schema FOLDER"
        raise NotTakenError(why) from None
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise NotTakenError(f"{where} is not the file of commit {COMMIT}: its SHA-256 differs. Use that commit's copy")
    return content


def changes(kind: str) -> list[tuple[str, dict[str, Any], bool]]:
    """List the changes of a kind, and whether a definition is still valid then."""
    return [*CHANGES, *(("plugin", patch, kind in kinds) for patch, kinds in ONE_KIND)]


def changed(definition: dict[str, Any], where: str, patch: dict[str, Any]) -> dict[str, Any]:
    """Change a copy of a definition."""
    made = copy.deepcopy(definition)
    place = made if where == "plugin" else made["settings"][0]
    place.update(patch)
    for name in [name for name, value in patch.items() if value is GONE]:
        del place[name]
    return made


def main(arguments: list[str] | None = None) -> int:
    """Check the plugin files, and compare the two schemas.

    Returns:
        0 when all files are valid and the schemas agree; 1 when not, or when the Hub's schema can't be read.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--schema", type=Path, help="folder with a copy of the Hub's schema; nothing is downloaded then"
    )
    folder: Path | None = parser.parse_args(arguments).schema
    try:
        validators = {kind: (hubs(folder, kind), ours(kind)) for kind in KINDS}
    except NotTakenError as error:
        print(f"hub-schema: {error}", file=sys.stderr)
        return 1
    wrong, tried = [], 0
    for path, definition in definitions().items():
        kind, name = path.parent.name, path.relative_to(ROOT)
        hub, mine = validators[kind]
        wrong += [f"{name}: {error.json_path}: {error.message}" for error in hub.iter_errors(definition)]
        for where, patch, valid in changes(kind):
            made = changed(definition, where, patch)
            tried += 1
            if {hub.is_valid(made), mine.is_valid(made)} != {valid}:
                wrong.append(f"{name}: the schemas do not agree about {where} {patch}")
    print("\n".join(wrong) or f"hub-schema: all definition files are valid, and the schemas agree in {tried} cases")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
