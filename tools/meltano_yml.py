"""Write meltano.yml: a frame written by hand, and every setting of our taps and target as they declare it themselves.

    python tools/meltano_yml.py            writes the file
    python tools/meltano_yml.py --check    only says whether it is up to date

So are the definition files in plugins/, one for each plugin, which other people's projects take by `--from-ref`.

Meltano takes a plugin with a `namespace` for the project's own: it asks no Hub about it and needs no lock file. One
without `pip_url` is not installed by Meltano either: ours stand in `.venv`, where run.py put them.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a file, as `run.py meltano-yml` does

from bench.environments import PACKAGES

from trunkline.doors.vendors import tap_in, vendor_taps
from trunkline_commands.meltano import extractor, loader, project, setting, to_yaml
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres
from trunkline_sandbox import Sandbox
from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from trunkline.doors.command import VendorTap
    from trunkline_loader.target import LoadingTarget

FILE = Path(__file__).resolve().parents[1] / "meltano.yml"
FRAME = Path(__file__).with_name("meltano_frame.yml")
_A_SCHEMA_EACH = {"default_target_schema": "$MELTANO_EXTRACT__LOAD_SCHEMA"}
_MOVES = {"new_account": True}  # the demo serves it on a free port
SANDBOX_URL = "http://127.0.0.1:8765"
"""Where `python3 run.py sandbox` serves unless told otherwise."""

_HEAD = """\
# Made by `python3 run.py meltano-yml`: change tools/meltano_frame.yml or a tap's settings, not this file.

"""
_DEFINITION_HEAD = """\
# Made by `python3 run.py meltano-yml`: change what {name} declares, not this file. For any Meltano project:
#
#     meltano add {name} --from-ref path/or/address/of/this/file.yml
#
# Meltano installs what TRUNKLINE_PIP_URL says, in the environment or in the project's .env, as pip reads it: a wheel
# (/path/to/trunkline-….whl), a checkout (/path/to/trunkline) or a repository (git+https://host/trunkline.git@tag).
# Or write that into your meltano.yml in place of the variable.

"""
_MARK = re.compile(r"^( *)# << (\w+)\n", re.MULTILINE)


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
        "extractors": extractors(),
        **{plugin["name"].removeprefix("target-"): [plugin] for plugin in loaders()},
        "dbt": [dbt("duckdb", "DuckDB", TargetDuckDB), dbt("postgres", "PostgreSQL", TargetPostgres)],
    }
    return _HEAD + _MARK.sub(lambda mark: to_yaml(parts[mark[2]], mark[1]), FRAME.read_text(encoding="utf-8"))


def vendors() -> list[type[VendorTap]]:
    """This distribution's taps, by name; those that other packages bring are in their own Meltano projects."""
    return sorted(vendor_taps("trunkline").values(), key=lambda tap: str(tap.name))


def examples() -> dict[Path, str]:
    """The Meltano projects of examples/."""
    found = {}
    for place in sorted((FILE.parent / "examples").glob("*/pyproject.toml")):
        tap = tap_in(place.parent)
        notes = (place.parent / "docs" / "notes.md").read_text(encoding="utf-8")
        found[place.with_name("meltano.yml")] = project(tap, notes.partition("\n")[0].removeprefix("# "))
    return found


def extractors() -> list[dict[str, Any]]:
    """Our taps as plugins."""
    titles = Sandbox().vendors
    return [extractor(tap, titles[tap.vendor].title) for tap in vendors()]


def loaders() -> list[dict[str, Any]]:
    """Our targets as plugins: each vendor in a schema of its own."""
    return [
        loader(TargetDuckDB, "DuckDB", _A_SCHEMA_EACH),
        loader(TargetPostgres, "PostgreSQL", _A_SCHEMA_EACH),
        loader(TargetSwitchTransact, "SwitchTransact"),
    ]


def definitions() -> dict[Path, str]:
    """The definition files, in the folders and with the fields that the Hub has."""
    found = {}
    taps = {str(tap.name): tap for tap in vendors()}
    for kind, plugins in {"extractors": extractors(), "loaders": loaders()}.items():
        for plugin in plugins:
            name = plugin["name"]
            known = {
                "name": name,
                "variant": "trunkline",
                "pip_url": "${TRUNKLINE_PIP_URL}",
                "maintenance_status": "beta",
                "quality": "unknown",  # it is the Hub that rates
                "keywords": ["calls", "contact-centre", "singer"],
                **plugin,
                "executable": name,
                "settings": [*plugin["settings"], *_switches(taps.get(name))],
            }
            head = _DEFINITION_HEAD.format(name=name)
            found[FILE.parent / "plugins" / kind / f"{name}.yml"] = head + to_yaml(known)
    return found


def _switches(tap: type[VendorTap] | None) -> list[dict[str, Any]]:
    """Settings that keep a sensitive stream out until it is switched on.

    `select` alone would not: Meltano 4.4 drops it from a definition that comes by `--from-ref`, and then takes `*.*`.
    It keeps the settings, and applies the metadata after the selection.
    """
    streams: list[Any] = list(tap.stream_types) if tap else []
    return [
        {
            "name": f"_metadata.{stream.name}.selected",
            "kind": "boolean",
            "value": False,
            "label": f"Read {stream.name}",
            "description": f"Read the stream {stream.name}, which is sensitive and therefore left out. Default false.",
        }
        for stream in streams
        if not stream.selected_by_default
    ]


def dbt(adapter: str, title: str, target: type[LoadingTarget]) -> dict[str, Any]:
    """Describe dbt as a utility, with the settings and the variables of the target whose tables it reads.

    Args:
        adapter: Name of dbt's adapter.
        title: The database's name for people.
        target: Who loads into it.
    """
    known = target.config_jsonschema["properties"]
    places = {
        name: {**setting(name, known[name]), "env": target.variable(name)}
        for name in ("path", "host", "port", "user", "password", "database")
        if name in known
    }
    return {
        "name": f"dbt-{adapter}",
        "namespace": f"dbt_{adapter}",
        "label": f"dbt ({title})",
        "pip_url": " ".join(one for one in PACKAGES["dbt"] if one.startswith(("dbt-core", f"dbt-{adapter}", adapter))),
        "executable": "dbt",
        "settings": [
            _fixed("project_dir", "DBT_PROJECT_DIR", "transform", "Folder of the dbt project."),
            _fixed("profiles_dir", "DBT_PROFILES_DIR", "transform", "Folder of profiles.yml."),
            _fixed("target", "TRUNKLINE_DBT_TARGET", adapter, "Which of the profile's outputs is built in."),
            *places.values(),
        ],
        "commands": {
            "build": {"args": "build", "description": "Build every model and run every test."},
            "freshness": {"args": "source freshness", "description": "See when each stream was read last."},
        },
    }


def _fixed(name: str, variable: str, value: str, description: str) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    return {
        "name": name, "env": variable, "kind": "string", "value": value, "label": label, "description": description,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or say that it is stale (exit code 1)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the file is stale")
    check = parser.parse_args(arguments).check
    stale = False
    for path, made in {FILE: text(), **definitions(), **examples()}.items():
        name = path.relative_to(FILE.parent)
        if path.exists() and path.read_text(encoding="utf-8") == made:
            print(f"{name} is up to date")
        elif check:
            print(f"{name} does not say what the taps do: run `python3 run.py meltano-yml`", file=sys.stderr)
            stale = True
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made, encoding="utf-8")
            print(f"{name} is written")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
