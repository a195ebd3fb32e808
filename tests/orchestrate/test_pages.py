"""What the pages on orchestration show, and the files they tell of, fit the code."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline_orchestrate import __main__ as command
from trunkline_orchestrate import sources

if TYPE_CHECKING:
    import argparse

    import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "orchestration.md").read_text(encoding="utf-8")
UNITS = ROOT / "orchestrate" / "systemd"
COMMAND = re.compile("-m trunkline_orchestrate |trunkline backfill ")


def options(line: str) -> argparse.Namespace:
    """A command line of ours, as the command itself reads it."""
    return command._options(shlex.split(COMMAND.split(line, maxsplit=1)[1]))  # noqa: SLF001 - without running it


def test_settings_file_that_is_shown_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings file on the page is complete, and its table has every setting."""
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql+psycopg://localhost/calls")
    monkeypatch.setenv("BSPK_TOKEN", "token")
    monkeypatch.setenv("TAP_EVOLUX_API_TOKEN", "token")
    (shown,) = re.findall(r"^```jsonc\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    made = sources.of(json.loads(shown))
    assert set(made.sources) == {"evolux", "bspk"}
    table = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = set(re.findall("`([a-z_]+)`", " ".join(table)))
    wanted = {*sources._TOP, "limit"}  # noqa: SLF001 - all there are
    assert wanted <= named


def test_shown_commands_are_the_commands() -> None:
    """Every command of ours on the page is one that the command line knows, with its arguments."""
    parts = [part for line in PAGE.splitlines() for part in line.split(" | ")]
    lines = [part for part in parts if COMMAND.search(part) and "`" not in part]
    shown = {COMMAND.split(line, maxsplit=1)[1].split()[0] for line in lines}
    assert shown == {"check", "plan", "unit", "bookmark", "plain"}
    for line in lines:
        options(f"{line} evolux KEY" if line.endswith(" unit") else line)  # xargs adds what `plan` printed


def test_systemd_units_run_the_command() -> None:
    """Service and timer can be read, start the plain run of their source, and bring nothing but what they name."""
    service, timer = (_unit(f"trunkline@.{kind}") for kind in ("service", "timer"))
    assert options(service["Service"]["ExecStart"]).source == "%i"
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["NoNewPrivileges"] == "yes"
    assert timer["Timer"]["Persistent"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"


def _unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)  # a unit may name a key several times
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys are in capitals and small letters
    parser.read_string((UNITS / name).read_text(encoding="utf-8"))
    return parser


def test_crontab_runs_the_command() -> None:
    """Each line of the crontab has five times, a user, and a plain run of one source."""
    lines = [line for line in (UNITS / "crontab").read_text(encoding="utf-8").splitlines() if line[:1].isdigit()]
    assert lines
    for line in lines:
        *times, user, rest = line.split(maxsplit=6)
        assert len(times) == 5
        assert user == "trunkline"
        assert options(rest).until is None


def test_container_takes_what_is_there() -> None:
    """The container's file copies only what exists and is let in, installs by the lock, and does not run as root."""
    file = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", file, re.MULTILINE) for word in line.split()]
    assert copied
    for path in copied:
        assert (ROOT / path).exists()
        assert path.split("/")[0] in let_in
    (version,) = re.findall(r"^uv==([\d.]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"uv=={version}" in file
    assert re.search(r"^USER \d+", file, re.MULTILINE)
