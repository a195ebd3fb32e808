"""Commands with closed or odd standard streams, odd log levels and odd beginnings of files: never a traceback."""

from __future__ import annotations

import codecs
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.night import NIGHT

from trunkline import logs
from trunkline_sandbox import running

BIN = Path(sys.executable).parent
TAP = {"api_url": "http://127.0.0.1:1", "api_token": "t", "start_date": "2026-01-01", "max_attempts": 1}
COMMANDS = {  # one of each kind
    "discover": "tap-evolux --config tap.json --discover",
    "about": "tap-evolux --about",
    "version": "tap-evolux --version",
    "run": "tap-evolux --config tap.json",
    "spec": "source-evolux spec",
    "check": "source-evolux check --config tap.json",
    "load": "target-duckdb --config duckdb.json",
    "write": "target-switchtransact --config switchtransact.json",
}
WRITES = {"discover", "about", "version", "run", "spec", "check"}
READS = {"load", "write"}
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "tap": TAP,
        "duckdb": {"path": "x.duckdb"},
        "switchtransact": {"api_key": "x", "api_url": "http://127.0.0.1:1"},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def shell(folder: Path, command: str, **variables: str) -> tuple[int, str, str]:
    """Run a command line; its exit code and what it wrote."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{BIN}/{command}"],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    for sign in ("Traceback", "Exception ignored", "lost sys.std", "unexpected "):
        assert sign not in out + err, err
    return done.returncode, out, err


@POSIX
@pytest.mark.parametrize("name", COMMANDS if NIGHT else ("version", "run", "check", "load", "write"))
def test_g9_closed_streams_are_said_and_nothing_is_lost_in_silence(folder: Path, name: str) -> None:
    """What must write to a closed or full output, or read a closed input, ends with 1 and a line; else all is well."""
    command = COMMANDS[name]
    plain, _, _ = shell(folder, command)
    for closed, needs, stream in ((">&-", WRITES, "output"), ("<&-", READS, "input")):
        code, _, err = shell(folder, f"{command} {closed}")
        assert code == (1 if name in needs else plain)
        assert (f"standard {stream} could not be" in err) == (name in needs)
    assert shell(folder, f"{command} 2>&-")[0] == plain
    assert shell(folder, f"{command} >&- <&- 2>&-")[0] in {0, 1}
    if Path("/dev/full").exists():
        assert shell(folder, f"{command} > /dev/full")[0] == (1 if name in WRITES else plain)


@POSIX
@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_g9_an_output_without_utf_8_is_written_all_the_same(folder: Path, variables: dict[str, str]) -> None:
    """What the encoding has no letter for is written as an escape."""
    (folder / "wrong.json").write_text(json.dumps({**TAP, "wörd☃": 1}), encoding="utf-8")
    for command in (COMMANDS["about"], COMMANDS["spec"]):
        code, out, _ = shell(folder, command, **variables)
        assert code == 0
        assert out
    code, _, err = shell(folder, "tap-evolux --config wrong.json", **variables)
    assert code == 1
    assert "is no setting of this tap" in err


@pytest.mark.parametrize("level", ["", "TRACE", "20", "Info", "nonsense"] if NIGHT else ["", "nonsense"])
@POSIX
def test_g9_any_log_level_is_taken(folder: Path, level: str) -> None:
    """Lower case, other tools' names, numbers and nothing at all are levels; what is none is said, and is INFO."""
    for name in ("version", "spec", "load"):
        code, _, err = shell(folder, COMMANDS[name], LOGLEVEL=level)
        assert code == 0
        assert ("is no log level" in err) == (level == "nonsense")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("debug", "DEBUG"), ("WARN", "WARNING"), (" fatal ", "CRITICAL"), ("trace", "DEBUG"), ("20", "INFO"),
        ("15", "DEBUG"), ("0", "DEBUG"), ("99", "CRITICAL"), ("9" * 9, None), ("nonsense", None), ("", None),
    ],
)  # fmt: skip
def test_log_levels_by_other_names(text: str, name: str | None) -> None:
    """As logging names it; a number is the level that it reaches."""
    assert logs.level_name(text) == name


BOM = codecs.BOM_UTF8


@POSIX
@pytest.mark.parametrize(
    "command", ["tap-evolux --config tap.json --discover", "source-evolux discover --config tap.json"]
)
def test_g9_a_bom_before_a_config_is_no_fault(folder: Path, command: str) -> None:
    """As Windows' editors write it."""
    (folder / "tap.json").write_bytes(BOM + json.dumps(TAP).encode())
    code, out, _ = shell(folder, command)
    assert code == 0
    assert "studio_calls" in out


@POSIX
def test_g9_a_bom_before_catalog_state_and_input_is_no_fault(folder: Path) -> None:
    """So it is before what a tap and the targets are given."""
    _, catalog, _ = shell(folder, COMMANDS["discover"])
    (folder / "catalog.json").write_bytes(BOM + catalog.encode())
    (folder / "state.json").write_bytes(BOM + b'{"bookmarks": {}}')
    _, _, err = shell(folder, "tap-evolux --config tap.json --catalog catalog.json --state state.json")
    assert "could not be read" not in err
    assert "studio_calls: reading from" in err
    schema: dict[str, Any] = {
        "type": "SCHEMA",
        "stream": "s",
        "key_properties": [],
        "schema": {"properties": {"n": {"type": "null"}}},
    }
    (folder / "input").write_bytes(BOM + json.dumps(schema).encode() + b"\n")
    for name in ("duckdb", "switchtransact"):
        (folder / f"{name}.json").write_bytes(BOM + (folder / f"{name}.json").read_bytes())
    code, _, err = shell(folder, f"{COMMANDS['load']} < input")
    assert code == 0, err
    code, _, err = shell(folder, f"{COMMANDS['write']} < input")
    assert "not JSON" not in err


@POSIX
@pytest.mark.parametrize("what", ["state", "catalog", "config"])
def test_g9_json_without_end_is_told(folder: Path, what: str) -> None:
    """A state, catalog or config that is nested without end is one that can't be read."""
    (folder / "deep.json").write_text('{"bookmarks": ' + "[" * 100_000 + "]" * 100_000 + "}", encoding="utf-8")
    arguments = "--config deep.json" if what == "config" else f"--config tap.json --{what} deep.json"
    code, _, err = shell(folder, f"tap-evolux {arguments}")
    assert code in {1, 2}
    assert "could not be read" in err
    arguments += "" if what == "catalog" else " --catalog tap.json"
    code, out, _ = shell(folder, f"source-evolux read {arguments}")
    assert code == 1
    assert "could not be read" in out


@POSIX
@pytest.mark.parametrize("vendor", ["evolux", "bspk"])
def test_g9_a_test_without_a_start_date_that_a_run_needs_fails(tmp_path: Path, vendor: str) -> None:
    """It tests all the same, then says what is missing; where a run needs none, all is well."""
    with running(size=5, vendors=[vendor]) as served:
        config = {name: value for name, value in served.config(vendor).items() if name != "start_date"}
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        code, _, err = shell(tmp_path, f"tap-{vendor} --config config.json --test")
    assert "ok, the vendor responds" in err
    assert code == (1 if vendor == "evolux" else 0)
    assert ("start_date is missing: it must be an ISO 8601 date" in err.splitlines()[-1]) == (vendor == "evolux")
