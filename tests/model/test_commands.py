"""G1, G3: the same histories through the installed commands, killed for good and going on from the last STATE."""

# ruff: noqa: N802 - a test's name carries the guarantee it holds

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import starts
from tests.model.harness import Result, parse
from tests.model.histories import History, Trouble
from tests.night import NIGHT

from trunkline_sandbox import Fault, running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline_sandbox import Running

BIN = Path(sys.executable).parent
ONE = os.environ.get("TRUNKLINE_MODEL_SEED")
COUNTS = {"bspk": 2, "hostedsuite": 2, "conpeek": 2, "evolux": 2, "switchtransact": 1}
"""Histories of each vendor; at night there are three times as many."""
MORE = 3 if NIGHT else 1
SECONDS = 600.0
RETRIED_AT_ONCE = Fault("status", times=2, status=503, headers={"Retry-After": "0"})


class CommandHistory(History):
    """A history whose runs are processes.

    Args:
        name: `<vendor>/command-<number>`.
        folder: For config and state.
    """

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self.folder = folder
        self.served: Running | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.sent: list[int] = []

    def play(self) -> None:
        """Serve the vendor while it happens."""
        with running(self.box) as self.served:
            super().play()

    def _trouble(self) -> Trouble:
        dice = self.dice
        kind = dice.choice(("asked", "kill -9", "kill -9", "disk"))
        after = dice.randrange(1, 4000) if kind == "disk" else dice.randrange(1, 16)
        drift = {dice.randrange(1, 12): 2} if dice.random() < 0.3 else {}
        return Trouble(kind, after, drift, self._faults())

    def _faults(self) -> tuple[Fault, ...]:
        return (RETRIED_AT_ONCE,) * self.dice.choice((0, 1))

    def _disturbances(self) -> int:
        return 1

    def _pass_time(self, number: int) -> None:
        """The commands go by the clock of the machine: the present of the history is their `end_date`."""
        super()._pass_time(number)
        if self.model.dated:
            self.model.end = self.model.floor(self.now)
            self.model.config["end_date"] = self.model.end.isoformat()

    def _interrupt(self, kind: str) -> None:
        assert self.process is not None
        number = signal.SIGKILL if kind == "kill -9" else signal.SIGTERM
        self.sent.append(number)
        self.process.send_signal(number)

    def _execute(self, trouble: Trouble) -> Result:
        assert self.served is not None
        vendor = self.model.vendor
        config = {**self.served.config(vendor), **self.model.config, "requests_per_minute": 60_000}
        self._write("config", {name: value for name, value in config.items() if value is not None})
        self._write("state", self.state or {})
        arguments = ["--config", str(self.folder / "config.json"), "--state", str(self.folder / "state.json")]
        command = [str(BIN / f"tap-{vendor}"), *arguments]
        self.sent = []
        with (self.folder / "log").open("wb") as log:
            self.process = starts.start(command, stdout=subprocess.PIPE, stderr=log, cwd=self.folder)
            with self.process as process:
                assert process.stdout is not None
                output = process.stdout.read(trouble.after) if trouble.kind == "disk" else process.stdout.read()
                process.stdout.close()
                code = process.wait(SECONDS)
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        self._check_code(code, lines)
        # A command may end well before it notices that nobody has read it to the end.
        gone = trouble.kind == "disk" and len(output) == trouble.after
        return Result(None if gone else code, parse(output), lines)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    def _check_code(self, code: int, lines: list[str]) -> None:
        """A command that a signal ended says so; and no end is a traceback."""
        allowed = {0, 1, *(-number for number in self.sent)}
        assert code in allowed, f"exit code {code} after the signals {self.sent}: {lines[-5:]}"
        assert not any("Traceback" in line for line in lines), lines


def _names() -> list[str]:
    if ONE:
        return [ONE] if "/command-" in ONE else []
    return [f"{vendor}/command-{n}" for vendor, count in COUNTS.items() for n in range(count * MORE)]


@pytest.mark.skipif(not _names(), reason="TRUNKLINE_MODEL_SEED names a history in process")
def test_G1_G3_commands(tmp_path: Path) -> None:
    """`kill -9`, SIGTERM or a target that is gone at any moment: a run from the last STATE seen makes it whole."""

    def play(name: str) -> None:
        folder = tmp_path / name.replace("/", "-")
        folder.mkdir()
        CommandHistory(name, folder).play()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(play, _names()))
