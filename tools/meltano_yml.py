"""Write the plugins of meltano.yml: every setting of our taps and targets, as they declare it themselves.

    python tools/meltano_yml.py            writes what is not up to date
    python tools/meltano_yml.py --check    only reports what is not

Three kinds of files are generated: plugins/project/, which this checkout's meltano.yml includes; plugins/extractors/
and plugins/loaders/, a definition file for each plugin in the form of Meltano Hub, which other people's projects take
by `--from-ref`; and the projects of examples/. The first two can't be one: what a project includes has `plugins:` at
its top, and the Hub's schema allows no such key. meltano.yml itself is written by hand; a vendor that it lacks is added
to its environment `sandbox`, its jobs and its schedules.

Meltano takes a plugin with a `namespace` for the project's own: it looks it up in no Hub and needs no lock file. One
without `pip_url` is not installed by Meltano either: ours are in `.venv`, where run.py put them.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a file, as `run.py meltano-yml` does

from bench.environments import PACKAGES
from meltano.core import yaml as meltano_yaml
from meltano.core.meltano_file import MeltanoFile

from trunkline.doors.vendors import tap_in, vendor_taps
from trunkline_commands.meltano import extractor, loader, project, setting, to_yaml
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres
from trunkline_sandbox import Sandbox
from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from trunkline.doors.command import VendorTap
    from trunkline_loader.target import LoadingTarget

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "meltano.yml"
INCLUDED = ROOT / "plugins" / "project"
SANDBOX_URL = "http://127.0.0.1:8765"
"""Where `python3 run.py sandbox` serves unless another port is set."""
_A_SCHEMA_EACH = {"default_target_schema": "$MELTANO_EXTRACT__LOAD_SCHEMA"}
_SITES = {"target-duckdb": "https://duckdb.org", "target-postgres": "https://www.postgresql.org"}

_HEAD = "# Made by `python3 run.py meltano-yml` for meltano.yml: change {source}, not this file.\n\n"
_DEFINITION_HEAD = """\
# Made by `python3 run.py meltano-yml`: change what {name} declares, not this file. For any Meltano project:
#
#     meltano add {name} --from-ref path/or/address/of/this/file.yml
#
# Meltano installs what TRUNKLINE_PIP_URL names, in the environment or in the project's .env, as pip reads it: a wheel
# (/path/to/trunkline-….whl), a checkout (/path/to/trunkline) or a repository (git+https://host/trunkline.git@tag).
# Or write that into your meltano.yml in place of the variable.

"""


def read(file: Path = FILE) -> dict[str, Any]:
    """Read a project with the files that it includes, as Meltano merges them.

    Args:
        file: Its meltano.yml.
    """
    project: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    plugins = project.setdefault("plugins", {})
    for name in project["include_paths"]:
        included = yaml.safe_load((file.parent / name).read_text(encoding="utf-8"))
        for kind, entries in included["plugins"].items():
            plugins.setdefault(kind, []).extend(entries)
    return project


def copied(folder: Path) -> Path:
    """Copy this checkout's project, with the files that it includes, into a folder.

    A link would not do: Meltano includes no file that lies outside the project.

    Returns:
        The copy of meltano.yml.
    """
    shutil.copytree(INCLUDED, folder / INCLUDED.relative_to(ROOT), dirs_exist_ok=True)
    return Path(shutil.copy(FILE, folder))


def text() -> str:
    """Make the text of meltano.yml: as it is, and an entry in each list for a vendor that has none."""
    made = FILE.read_text(encoding="utf-8")
    there = {job["name"] for job in yaml.safe_load(made)["jobs"]}
    for tap in vendors():
        if tap.vendor not in there:
            made = _with_vendor(made, tap)
    return made


def _with_vendor(project: str, tap: type[VendorTap]) -> str:
    # `new_account`: the demo serves the sandbox on a free port.
    sandbox = [{"name": tap.name, "config": {**Sandbox().config(tap.vendor, SANDBOX_URL), "new_account": True}}]
    task = f"{tap.name} {TargetDuckDB.name}"
    taken = {int(minute) for minute in re.findall(r"interval: (\d+) ", project)}
    minute = next(minute for minute in (*range(6, 60, 12), *range(60)) if minute not in taken)
    schedule = {"name": f"{tap.vendor}-hourly", "interval": f"{minute} * * * *", "job": tap.vendor}
    for lines, entry in (  # the lines after which the vendor is added
        (r"      extractors:\n(?:      [- ].*\n)+", to_yaml(sandbox, "      ")),
        (r"- name: everything\n  tasks:\n(?:  - .*\n)+", f"  - {task}\n"),
        (r"^jobs:\n(?:[- ].*\n)+", to_yaml([{"name": tap.vendor, "tasks": [task]}])),
        (r"^schedules:\n(?:[- ].*\n)+", to_yaml([schedule])),
    ):
        found = re.search(lines, project, re.MULTILINE)
        if not found:
            sys.exit(f"meltano.yml has nothing like {lines!r}, after which {tap.vendor} is added: put it back")
        project = project[: found.end()] + entry + project[found.end() :]
    return project


def included() -> dict[Path, str]:
    """Make the files that meltano.yml includes, in the form that Meltano writes.

    `meltano config set` writes every included file anew: it then changes nothing but what it sets. Its settings
    (`config`) stay when the file is made again, and so do the selections of `meltano select`.
    """
    made = {
        "extractors": (extractors(), "the settings of a tap"),
        "loaders": (loaders(), "the settings of a target"),
        "utilities": (
            [dbt("duckdb", "DuckDB", TargetDuckDB), dbt("postgres", "PostgreSQL", TargetPostgres)],
            "tools/meltano_yml.py",
        ),
    }
    paths = {kind: INCLUDED / f"{kind}.meltano.yml" for kind in made}
    return {
        paths[kind]: _HEAD.format(source=source) + as_meltano_writes(paths[kind], kind, plugins)
        for kind, (plugins, source) in made.items()
    }


def as_meltano_writes(path: Path, kind: str, plugins: list[dict[str, Any]]) -> str:
    """Make the text of an included file, with the configs that are set in the one that is there.

    Args:
        path: The file.
        kind: Kind of plugins, such as `extractors`.
        plugins: All of them.
    """
    there = yaml.safe_load(path.read_text(encoding="utf-8"))["plugins"][kind] if path.exists() else []
    held = {plugin["name"]: plugin for plugin in there}
    whole = {
        "plugins": {kind: [{**plugin, **_set_by_hand(held.get(plugin["name"], {}), plugin)} for plugin in plugins]}
    }
    written = io.StringIO()
    meltano_yaml.dump(MeltanoFile.parse(whole).canonical(), written)
    return written.getvalue()


def _set_by_hand(held: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Return the values that Meltano wrote into a plugin: a field that somebody deselected is not to be read again."""
    found: dict[str, Any] = {name: held[name] for name in ("config", "metadata") if name in held}
    added = [pattern for pattern in held.get("select", ()) if pattern not in made.get("select", ())]
    return {**found, "select": [*made.get("select", ()), *added]} if added else found


def vendors() -> list[type[VendorTap]]:
    """Return this distribution's taps, by name; those that other packages bring are in their own Meltano projects."""
    return sorted(vendor_taps("trunkline").values(), key=lambda tap: str(tap.name))


def examples() -> dict[Path, str]:
    """Return the Meltano projects of examples/."""
    found = {}
    for place in sorted((ROOT / "examples").glob("*/pyproject.toml")):
        tap = tap_in(place.parent)
        notes = (place.parent / "docs" / "notes.md").read_text(encoding="utf-8")
        found[place.with_name("meltano.yml")] = project(tap, notes.partition("\n")[0].removeprefix("# "))
    return found


def extractors() -> list[dict[str, Any]]:
    """Describe our taps as plugins."""
    titles = Sandbox().vendors
    return [extractor(tap, titles[tap.vendor].title) for tap in vendors()]


def loaders() -> list[dict[str, Any]]:
    """Describe our targets as plugins: each vendor in a schema of its own."""
    return [
        loader(TargetDuckDB, "DuckDB", _A_SCHEMA_EACH),
        loader(TargetPostgres, "PostgreSQL", _A_SCHEMA_EACH),
        loader(TargetSwitchTransact, "SwitchTransact"),
    ]


def definitions() -> dict[Path, str]:
    """Make the definition files, in the folders and with the fields that Meltano Hub has."""
    found = {}
    taps = {str(tap.name): tap for tap in vendors()}
    for kind, plugins in {"extractors": extractors(), "loaders": loaders()}.items():
        for plugin in plugins:
            name = plugin["name"]
            known = {
                "name": name,
                "variant": "trunkline",
                "pip_url": "${TRUNKLINE_PIP_URL}",
                **_links(),
                **_site(name, taps.get(name)),
                "maintenance_status": "beta",
                "quality": "unknown",  # it is the Hub that rates
                "keywords": ["calls", "contact-centre", "singer", name.partition("-")[2]],
                "supported_python_versions": _pythons(),
                **plugin,
                "executable": name,
                "settings": [*plugin["settings"], *_switches(taps.get(name))],
            }
            head = _DEFINITION_HEAD.format(name=name)
            found[ROOT / "plugins" / kind / f"{name}.yml"] = head + to_yaml(known)
    return found


def _links() -> dict[str, str]:
    """Give the addresses of repository and pages, where the distribution names them (`project.urls`)."""
    fields = {"repo": "Repository", "docs": "Documentation"}
    return {field: _declared()["urls"][name] for field, name in fields.items() if name in _declared().get("urls", {})}


def _declared() -> dict[str, Any]:
    # Not the installed metadata: `new-tap` starts this with metadata that hold the entry points alone.
    declared: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return declared


def _site(name: str, tap: type[VendorTap] | None) -> dict[str, str]:
    """Give the site of the vendor or database: of a vendor whose customers have a host each there is none."""
    schema = tap.config_jsonschema["properties"]["api_url"] if tap else {}
    host = urlsplit(schema["default"]).netloc if "default" in schema else ""
    site = f"https://{host}" if host else _SITES.get(name)
    return {"domain_url": site} if site else {}


def _pythons() -> list[str]:
    """Give the releases of Python that the distribution is tried with."""
    prefix = "Programming Language :: Python :: "
    return [one.removeprefix(prefix) for one in _declared()["classifiers"] if one.startswith(f"{prefix}3.")]


def _switches(tap: type[VendorTap] | None) -> list[dict[str, Any]]:
    """Return settings that keep a sensitive stream out until it is switched on.

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
    """Write the files, or report those that are stale (exit code 1)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the file is stale")
    check = parser.parse_args(arguments).check
    stale = False
    for path, made in {FILE: text(), **included(), **definitions(), **examples()}.items():
        name = path.relative_to(ROOT)
        if path.exists() and path.read_text(encoding="utf-8") == made:
            print(f"{name} is up to date")
        elif check:
            print(f"{name} does not match the taps: run `python3 run.py meltano-yml`", file=sys.stderr)
            stale = True
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made, encoding="utf-8")
            print(f"{name} is written")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
