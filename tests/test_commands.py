"""The command `trunkline`: its help costs nothing, and what is missing is said."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from trunkline.doors import docs
from trunkline_commands import cli, extras

ROOT = Path(__file__).parents[1]


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trunkline_commands", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_the_help_names_every_command_and_imports_none() -> None:
    """`trunkline --help` starts as fast as Python allows: no command, no DuckDB and no tap is imported for it."""
    code = (
        "import sys; from trunkline_commands import cli; code = cli.run(['--help']); "
        "heavy = {'duckdb', 'singer_sdk', 'jinja2', 'starlette', 'requests'} & set(sys.modules); "
        "mine = [name for name in sys.modules if name.startswith('trunkline_commands.')]; "
        "print(sorted(heavy), mine, code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] ['trunkline_commands.cli'] 0"
    for name, sentence in cli.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert sentence.split(",")[0].split(".")[0] in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each name of the table is a command that says how it is used, under that name."""
    try:
        code = cli.run([name, "--help"])
    except SystemExit as ended:  # argparse
        code = int(ended.code or 0)
    assert code == 0
    assert f"trunkline {name}" in capsys.readouterr().out


def test_g9_a_wrong_command_line_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command and an unknown option are named."""
    assert cli.run(["raport"]) == 2
    assert "No such command 'raport'" in capsys.readouterr().err
    assert cli.run(["report", "--databse", "x"]) == 2
    assert "--databse" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "extra"), [("ruff", "new-tap"), ("ruff.a", "new-tap")])
def test_g9_a_missing_extra_is_said_with_the_line_that_installs_it(
    module: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that a plain install does not bring is no traceback; one that nobody knows still is."""

    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", lambda _: fail(module))
    assert cli.run(["report"]) == 1
    line = capsys.readouterr().err
    assert "pip install" in line
    assert f"[{extra}]" in line
    monkeypatch.setattr(importlib, "import_module", lambda _: fail("unheard_of"))
    with pytest.raises(ModuleNotFoundError):
        cli.run(["report"])


@pytest.mark.parametrize(
    ("came", "given"),
    [
        ("", "'trunkline[new-tap]'"),
        ('{"url": "file:///a/trunkline.whl", "archive_info": {}}', "'trunkline[new-tap] @ file:///a/trunkline.whl'"),
        ('{"url": "file:///a/folder", "dir_info": {"editable": true}}', "-e '/a/folder[new-tap]'"),
    ],
)
def test_an_extra_comes_from_where_trunkline_came(came: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed a wheel or a checkout is not sent to an index, which may have another package of that name."""
    monkeypatch.setattr(metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: came))
    assert extras.requirement("new-tap") == given


def test_docs_prints_the_page_of_a_vendor(capsys: pytest.CaptureFixture[str]) -> None:
    """`trunkline docs` is `python -m trunkline.doors.docs`."""
    notes = str(ROOT / "docs" / "notes" / "evolux.md")
    assert docs.main(["evolux", notes]) == 0
    page = capsys.readouterr().out
    assert cli.run(["docs", "evolux", notes]) == 0
    assert capsys.readouterr().out == page


def test_g9_the_sandbox_ends_by_the_signal() -> None:
    """A shell sees 128 and the signal's number."""
    command = [sys.executable, "-m", "trunkline_commands", "sandbox", "--port", "0", "--size", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout
        assert served.stdout.readline().startswith('{"url"')
        served.send_signal(signal.SIGTERM)
        served.communicate()
    assert served.returncode == -signal.SIGTERM


def test_the_group_is_a_click_group() -> None:
    """Other packages can add what click adds to a group."""
    assert isinstance(cli.trunkline, click.Group)
