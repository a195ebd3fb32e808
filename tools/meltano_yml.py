"""Write meltano.yml: a frame written by hand, and every setting of our taps and target as they declare it themselves.

    python tools/meltano_yml.py            writes the file
    python tools/meltano_yml.py --check    only says whether it is up to date

Meltano takes a plugin with a `namespace` for the project's own: it asks no Hub about it and needs no lock file. One
without `pip_url` is not installed by Meltano either: ours stand in `.venv`, where run.py put them.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.doors.vendors import tap_in, vendor_taps
from trunkline_commands.meltano import extractor, loader, project, to_yaml
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres
from trunkline_sandbox import Sandbox
from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from trunkline.doors.command import VendorTap

FILE = Path(__file__).resolve().parents[1] / "meltano.yml"
FRAME = Path(__file__).with_name("meltano_frame.yml")
_A_SCHEMA_EACH = {"default_target_schema": "$MELTANO_EXTRACT__LOAD_SCHEMA"}
_MOVES = {"new_account": True}  # the demo serves it on a free port
SANDBOX_URL = "http://127.0.0.1:8765"
"""Where `python3 run.py sandbox` serves unless told otherwise."""

_HEAD = """\
# Made by `python3 run.py meltano-yml`: change tools/meltano_frame.yml or a tap's settings, not this file.

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
        "extractors": [extractor(tap, sandbox.vendors[tap.vendor].title) for tap in taps],
        "duckdb": [duckdb()],
        "postgres": [loader(TargetPostgres, "PostgreSQL", _A_SCHEMA_EACH)],
        "switchtransact": [loader(TargetSwitchTransact, "SwitchTransact")],
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


def duckdb() -> dict[str, Any]:
    """target-duckdb as a plugin: each vendor in a schema of its own."""
    return loader(TargetDuckDB, "DuckDB", _A_SCHEMA_EACH)


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
