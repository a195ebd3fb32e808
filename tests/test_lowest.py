"""The oldest releases that pyproject.toml admits: installed, and every tap loaded with them.

It runs on every Python of the workflow, the oldest and the newest among them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.night import NIGHT
from tests.test_meltano import expected

from trunkline.doors.vendors import vendor_taps
from trunkline_contract import warehouse
from trunkline_sandbox import Running, running

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
UV = [sys.executable, "-m", "uv"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = PROJECT["dependencies"]
NAMES = {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in DIRECT}

pytestmark = pytest.mark.slow


def run(*command: str | Path, **options: str) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the commands of an environment that has them; what they need in turn is as in the lock."""
    folder = tmp_path_factory.mktemp("lowest")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = [
        line for line in re.findall(r"^([a-z0-9].*?) \\$", lock, re.MULTILINE) if line.split("==")[0] not in NAMES
    ]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line for line in pinned if line.split("==")[0] not in NAMES), encoding="utf-8")
    run(*UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    oldest = ("--resolution", "lowest-direct", "--constraint", constraints)
    run(*UV, "pip", "install", "--quiet", "--python", folder / "venv" / "bin" / "python", *oldest, str(ROOT))
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with running(size=60) as served:
        yield served


def test_the_lowest_releases_are_what_is_tried(commands: Path) -> None:
    """No other requirement lifts one of ours: then the bound in pyproject.toml would say less than what holds."""
    listed = run(*UV, "pip", "list", "--format", "json", "--python", commands / "python")
    installed = {one["name"].lower(): one["version"] for one in json.loads(listed)}
    for line in DIRECT:
        name, bound = re.match(r"([\w.-]+)(?:[>~]=([\d.]+))?", line).groups()  # type: ignore[union-attr]
        if bound and (name.lower() in installed or ";" not in line):
            assert f"{installed[name.lower()]}.0".startswith(f"{bound}."), f"{name}: {installed[name.lower()]}"


@pytest.mark.parametrize("vendor", vendor_taps("trunkline") if NIGHT else ["conpeek"])
def test_g1_every_tap_and_target_duckdb_load_with_them(
    commands: Path, sandbox: Running, tmp_path: Path, vendor: str
) -> None:
    """What arrives is what the vendor holds."""
    (tmp_path / "tap.json").write_text(json.dumps(sandbox.config(vendor)), encoding="utf-8")
    config = {"path": "calls.duckdb", "default_target_schema": f"tap_{vendor}"}
    (tmp_path / "target.json").write_text(json.dumps(config), encoding="utf-8")
    for _ in range(2):
        written = run(commands / f"tap-{vendor}", "--config", "tap.json", cwd=str(tmp_path))
        run(commands / "target-duckdb", "--config", "target.json", cwd=str(tmp_path), input=written)
    for stream in (stream for of, stream in warehouse.LOADED if of == vendor):
        found = warehouse.duckdb_rows(tmp_path / "calls.duckdb", vendor, stream)
        assert found == expected(sandbox, vendor, stream)


def test_g9_faults_are_told_with_them(commands: Path, tmp_path: Path) -> None:
    """Releases differ in what they raise: a setting that is no JSON array, and a line that is no JSON, are caught."""
    wrong = {"TAP_BSPK_AUTH_TOKEN": "token", "TAP_BSPK_CLIENT_IDS": "[", "TARGET_DUCKDB_PATH": "calls.duckdb"}
    for command, says in (("tap-bspk", "client_ids"), ("target-duckdb", "Line 1: not JSON")):
        line = [str(commands / command), "--config", "ENV"]
        done = subprocess.run(
            line, input="many\n", env=wrong, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert says in done.stderr


OTHERS = [name for name in PROJECT["scripts"] if not name.startswith("tap-")]


@pytest.mark.parametrize("command", OTHERS if NIGHT else ["source-bspk", "target-postgres", "trunkline"])
def test_every_other_command_starts_with_them(commands: Path, command: str) -> None:
    """A class that a release lacks is seen at its import."""
    asked = {"source": "spec", "target": "--about"}.get(command.partition("-")[0], "--help")
    assert run(commands / command, asked)


def test_the_sandbox_serves_with_them(commands: Path) -> None:
    """The web server of the sandbox too."""
    script = "from trunkline_sandbox import running\nwith running(size=3) as served: print(served.url)"
    assert "http://127.0.0.1" in run(commands / "python", "-c", script)
