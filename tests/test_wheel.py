"""The distribution as others install it: built, put into an environment of its own, and used from another folder."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from bench import environments
from tests.night import NIGHT, at_night

from trunkline.doors.vendors import vendor_taps
from trunkline_sandbox import Sandbox, running

ROOT = Path(__file__).parents[1]
VENDORS = tuple(vendor_taps("trunkline"))
UV = [sys.executable, "-m", "uv"]

pytestmark = pytest.mark.slow


class Installed(NamedTuple):
    """The wheel, and a folder elsewhere whose environment has it."""

    wheel: Path
    folder: Path

    def run(self, command: str, *arguments: str) -> str:
        """Output of an installed command."""
        done = subprocess.run(
            [str(self.folder / "venv" / "bin" / command), *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def scripts(self) -> list[str]:
        """Names of the commands that the wheel brings."""
        parser = configparser.ConfigParser(delimiters=("=",))
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
            parser.read_string(archive.read(name).decode())
        return list(parser["console_scripts"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel that is made from the source distribution, so that both are whole."""
    folder = tmp_path_factory.mktemp("elsewhere")
    _do([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)])
    (wheel,) = (folder / "dist").glob("*.whl")
    _do([*UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
    # The locked releases, so that the test does not change with what was published last night.
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(re.findall(r"^([a-z0-9].*?) \\$", lock, re.MULTILINE)), encoding="utf-8")
    python = str(folder / "venv" / "bin" / "python")
    _do([*UV, "pip", "install", "--quiet", "--python", python, "--constraint", str(constraints), str(wheel)])
    return Installed(wheel, folder)


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_tells_its_version(installed: Installed) -> None:
    """A plain install brings every command, and each knows the version of the distribution."""
    version = installed.wheel.name.split("-")[1]
    scripts = installed.scripts()
    assert {*(f"tap-{vendor}" for vendor in VENDORS), "target-duckdb", "trunkline"} <= set(scripts)
    tried = scripts if NIGHT else ["tap-bspk", "source-evolux", "target-duckdb", "target-postgres", "trunkline"]
    for script in tried:
        assert version in installed.run(script, "--version"), script


@pytest.mark.parametrize("vendor", VENDORS)
def test_catalog_comes_from_the_installed_schemas(installed: Installed, vendor: str) -> None:
    """`--discover` in another folder gives each stream of the vendor, its key and its fields as schemas/ has them."""
    config = installed.folder / f"{vendor}.json"
    config.write_text(json.dumps(Sandbox(size=1).config(vendor)), encoding="utf-8")
    catalog = json.loads(installed.run(f"tap-{vendor}", "--config", str(config), "--discover"))
    schemas = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "schemas" / vendor).iterdir()
    }
    assert {stream["tap_stream_id"] for stream in catalog["streams"]} == schemas.keys()
    for stream in catalog["streams"]:
        schema = schemas[stream["tap_stream_id"]]
        assert set(stream["key_properties"]) <= schema["properties"].keys()
        assert stream["schema"]["properties"].keys() == schema["properties"].keys()


def test_g9_trunkline_works_where_there_is_no_checkout(installed: Installed) -> None:
    """A report of a loaded file is made; what a plain install lacks is said with the line that installs it."""
    code = "import duckdb; duckdb.connect('calls.duckdb').execute('CREATE TABLE t AS SELECT 1 AS n')"
    installed.run("python", "-c", code)
    said = installed.run("trunkline", "report", "--database", "calls.duckdb", "--output", "page.html")
    assert said.strip() == str(installed.folder / "page.html")
    assert "<html" in (installed.folder / "page.html").read_text(encoding="utf-8")
    assert "SOURCE" in installed.run("trunkline", "backfill", "unit", "--help").upper()
    assert "window_proofs" in installed.run("trunkline", "verify", "--tap", "tap-bspk", "--sql", "bigquery")
    serve = "from trunkline_sandbox import running\nwith running(size=3) as served: print(served.url)"
    assert "http://127.0.0.1" in installed.run("python", "-c", serve)
    done = subprocess.run(
        [str(installed.folder / "venv" / "bin" / "trunkline"), "new-tap", "other"],
        cwd=installed.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'trunkline[new-tap] @ file://" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_vendor_begun_from_the_wheel_is_whole(installed: Installed) -> None:
    """With the extra, `trunkline new-tap` writes a package whose tap, installed beside it, says what it is."""
    python = str(installed.folder / "venv" / "bin" / "python")
    _do([*UV, "pip", "install", "--quiet", "--python", python, "ruff", "hatchling"])
    said = installed.run("trunkline", "new-tap", "other", "--paging", "cursor", "--signing", "oauth2")
    assert "tap-other is a package" in said
    package = installed.folder / "tap-other"
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python]
    _do([*UV, *install, str(package)])
    about = json.loads(installed.run("tap-other", "--about", "--format", "json"))
    assert {"client_id", "client_secret"} <= set(about["settings"]["properties"])
    page = installed.run("trunkline", "docs", "other", str(package / "docs" / "notes.md"))
    assert page == (package / "docs" / "other.md").read_text(encoding="utf-8")


def test_python_finds_the_packages_in_the_environment(installed: Installed) -> None:
    """What is imported is the installed copy, not the checkout, and its types are marked as such."""
    code = (
        "import trunkline, tap_evolux, trunkline_duckdb, trunkline_sandbox as s; print(trunkline.__file__, s.__file__)"
    )
    for path in installed.run("python", "-c", code).split():
        assert Path(path).is_relative_to(installed.folder / "venv")
        assert Path(path).with_name("py.typed").exists()


def test_wheel_holds_the_code_and_nothing_else(installed: Installed) -> None:
    """No test, no tool and no document of the checkout is in the wheel; every schema and the licence are."""
    with zipfile.ZipFile(installed.wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    code = {
        path.name
        for root in ("taps", "targets", "sandbox", "commands", "orchestrate")
        for path in (ROOT / root).iterdir()
    }
    assert {top for top in tops if not top.endswith(".dist-info")} <= code
    for path in (ROOT / "schemas").rglob("*.json"):
        assert f"trunkline/schemas/{path.relative_to(ROOT / 'schemas').as_posix()}" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


@at_night("installs everything three times")
@pytest.mark.parametrize("tool", ["pip", "pipx", "uvx"])
def test_a_tap_reads_a_vendor_however_the_wheel_is_installed(installed: Installed, tool: str, tmp_path: Path) -> None:
    """By pip, by pipx and by uvx, from a folder that is no checkout: the connection test, and a run with its rows."""
    started = {
        "pip": lambda: _by_pip(installed.wheel, tmp_path),
        "pipx": lambda: _by_pipx(installed.wheel, tmp_path),
        "uvx": lambda: [*UV, "tool", "run", "--python", sys.executable, "--from", str(installed.wheel), "tap-evolux"],
    }[tool]()
    with running(size=20, vendors=["evolux"]) as served:
        (tmp_path / "evolux.json").write_text(json.dumps(served.config("evolux")), encoding="utf-8")
        for options in (["--test"], []):
            done = subprocess.run(
                [*started, "--config", "evolux.json", *options],
                cwd=tmp_path, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
        rows = {line["record"]["id"] for line in map(json.loads, done.stdout.splitlines())
                if line["type"] == "RECORD" and line["stream"] == "studio_calls"}  # fmt: skip
        first = served.config("evolux")["start_date"]
        assert rows == {
            row["id"] for row in served.sandbox.truth("evolux", "studio_calls") if row["start_time"] >= first
        }


def _by_pip(wheel: Path, folder: Path) -> list[str]:
    _do([sys.executable, "-m", "venv", str(folder / "venv")])
    _do([str(folder / "venv" / "bin" / "pip"), "install", "--quiet", str(wheel)])
    return [str(folder / "venv" / "bin" / "tap-evolux")]


def _by_pipx(wheel: Path, folder: Path) -> list[str]:
    places = {
        "PIPX_HOME": str(folder / "pipx"),
        "PIPX_BIN_DIR": str(folder / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
    }
    command = [environments.program("pipx", "pipx"), "install", "--python", sys.executable, str(wheel)]
    done = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [str(folder / "bin" / "tap-evolux")]
