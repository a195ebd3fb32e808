"""A command that the tests start as a fork runs as one that a user starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import starts

if TYPE_CHECKING:
    from collections.abc import Callable

TAP, TARGET = (str(Path(sys.executable).with_name(name)) for name in ("tap-evolux", "target-duckdb"))


@pytest.mark.parametrize(
    "command",
    [[TAP, "--version"], [TAP, "--config", "none.json"], [TAP, "--config", "ENV"], [TARGET, "--config", "ENV"]],
    ids=["version", "error", "log", "input"],
)
def test_a_fork_ends_and_writes_as_a_process_does(tmp_path: Path, command: list[str]) -> None:
    """Arguments, environment, folder, input, both outputs and the exit code are those of a process of its own."""
    schema = '{"type": "SCHEMA", "stream": "a", "schema": {"properties": {"b": {}}}, "key_properties": []}\n'

    def outcome(run: Callable[..., subprocess.CompletedProcess[str]], name: str) -> tuple[Any, ...]:
        folder = tmp_path / name
        folder.mkdir()
        env = {**os.environ, "TARGET_DUCKDB_PATH": "here.duckdb", "LOGLEVEL": "ERROR"}
        done = run(command, input=schema, capture_output=True, text=True, cwd=folder, env=env, check=False)
        log = re.sub(r"^[\d-]+ [\d:,]+ ", "", done.stderr, flags=re.MULTILINE)  # the time
        return done.returncode, done.stdout, log, sorted(path.name for path in folder.iterdir())

    assert outcome(starts.run, "forked") == outcome(subprocess.run, "started")


def test_a_fork_ends_by_a_signal(tmp_path: Path) -> None:
    """Its parent sees the signal, as of a process of its own; one that takes too long may be given up."""
    env = {**os.environ, "TARGET_DUCKDB_PATH": str(tmp_path / "here.duckdb")}
    for number in (signal.SIGKILL, signal.SIGTERM):
        with starts.start([TARGET, "--config", "ENV"], stdin=subprocess.PIPE, env=env) as process:
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.01)
            process.send_signal(number)
            assert process.wait() == process.poll() == -number


def test_a_command_that_is_not_there_cannot_be_started() -> None:
    """As `subprocess` has it, and the commands after it can be."""
    with pytest.raises(FileNotFoundError, match=r"tap-nobody could not be started: KeyError"):
        starts.start(["tap-nobody"])
    assert starts.run([TAP, "--version"], capture_output=True, text=True, check=True).stdout
