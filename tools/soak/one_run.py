"""One run: a tap, a target, and perhaps a signal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.soak.box import Children

BIN = Path(sys.executable).parent

HUNG = 300.0
"""Seconds after which a run is taken for one that will never end."""

LOOK = 0.05  # seconds between two looks at the processes


@dataclass
class Kill:
    """A signal that is to end a run.

    Attributes:
        who: `tap`, `target` or `both`.
        number: SIGKILL or SIGTERM.
        after: Seconds after the start.
        hung: Whether the run had to be ended because it never would have.
        sent: Whether it was: the run may end before.
    """

    who: str
    number: signal.Signals
    after: float
    hung: bool = False
    sent: bool = False

    def hits(self, who: str) -> bool:
        """Return whether that process got it."""
        return self.sent and self.who in {who, "both"}

    def __str__(self) -> str:
        return f"{'kill -9' if self.number == signal.SIGKILL else 'SIGTERM'} {self.who}"


@dataclass
class Ended:
    """The result of a run.

    Attributes:
        lasted: Seconds.
        codes: Exit codes of tap and target as a shell shows them.
        peaks: The largest memory of tap and target, in KiB, as the kernel counted it; 0 where it does not count.
        kill: The signal that was sent, if one was.
        began: Seconds after the start of the soak.
    """

    lasted: float
    codes: tuple[int, int]
    peaks: tuple[int, int]
    kill: Kill | None
    began: float = 0.0


class Run:
    """One `tap | target-duckdb`, as a careful runner does it: what the tap writes is passed on, and so is the state.

    Args:
        children: Where its processes are started.
        name: The vendor's.
        folder: For the files of this run alone.
        state: The state's file, read at the start and written whenever the target passes a state on.
        settings: The tap's and the target's config.
        debug: Whether the tap logs everything.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        children: Children,
        name: str,
        folder: Path,
        state: Path,
        settings: Sequence[Mapping[str, Any]],
        *,
        debug: bool,
    ) -> None:
        self._children, self._folder, self._state = children, folder, state
        folder.mkdir(parents=True)
        for which, values in zip(("tap", "target"), settings, strict=True):
            (folder / f"{which}-config.json").write_text(json.dumps(values), encoding="utf-8")
        go_on = ["--state", str(state)] if state.exists() else []
        environment = {**os.environ, **({"LOGLEVEL": "DEBUG"} if debug else {})}
        # The target first: a tap that is quick must not meet a pipe that nobody holds yet.
        self.target = self._start("target-duckdb", "target", dict(os.environ), stdin=subprocess.PIPE)
        self.tap = self._start(f"tap-{name}", "tap", environment, *go_on, stdin=subprocess.DEVNULL)
        self._threads = [threading.Thread(target=self._pass_on), threading.Thread(target=self._keep_states)]
        for thread in self._threads:
            thread.start()

    def _start(
        self, command: str, which: str, environment: dict[str, str], *options: str, stdin: int
    ) -> subprocess.Popen[bytes]:
        with (self._folder / f"{which}.log").open("wb") as log:
            return self._children.start(
                [str(BIN / command), "--config", str(self._folder / f"{which}-config.json"), *options],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )

    def _pass_on(self) -> None:
        """Pass lines from the tap to the target, and into a file; when the target is gone, the tap must notice."""
        source, sink = cast("IO[bytes]", self.tap.stdout), cast("IO[bytes]", self.target.stdin)
        with (self._folder / "tap.jsonl").open("wb") as copy, contextlib.suppress(BrokenPipeError), source, sink:
            while block := os.read(source.fileno(), 1 << 16):
                copy.write(block)
                sink.write(block)
                sink.flush()

    def _keep_states(self) -> None:
        """Keep the last state as it comes: what stands in the file is what the target has acknowledged."""
        source = cast("IO[bytes]", self.target.stdout)
        with (self._folder / "target.jsonl").open("wb") as copy, source:
            for line in source:
                copy.write(line)
                if line.endswith(b"\n"):
                    fresh = self._state.with_suffix(".new")
                    fresh.write_bytes(line)
                    fresh.replace(self._state)

    def watch(self, kill: Kill | None, stop: threading.Event) -> Ended:
        """Wait for the end, and send the signal when its moment has come.

        Args:
            kill: What is to be sent.
            stop: Set when the run is to be cut off at once.
        """
        started, peaks, pair = time.monotonic(), [0, 0], (self.tap, self.target)
        while None in [process.poll() for process in pair]:
            lasted = time.monotonic() - started
            peaks = [max(peak, peak_of(process)) for peak, process in zip(peaks, pair, strict=True)]
            if lasted > HUNG or (stop.is_set() and not (kill and kill.sent)):
                kill = Kill("both", signal.SIGKILL, lasted, hung=lasted > HUNG)
            if kill and not kill.sent and lasted >= kill.after:
                self._send(kill)
            time.sleep(LOOK)
        for thread in self._threads:
            thread.join()
        codes = (shell_code(self.tap.returncode), shell_code(self.target.returncode))
        return Ended(time.monotonic() - started, codes, (peaks[0], peaks[1]), kill if kill and kill.sent else None)

    def _send(self, kill: Kill) -> None:
        """Send a signal to those that have not ended; only this thread reaps them: until then the pid is theirs."""
        chosen = {"tap": [self.tap], "target": [self.target]}.get(kill.who, [self.tap, self.target])
        for process in chosen:
            if process.returncode is None:
                os.kill(process.pid, kill.number)
                kill.sent = True


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """Return the largest resident memory of a process so far, in KiB; 0 when it has ended or nobody counts it.

    It is the kernel's count of the program that runs now: `exec` begins a new one, so what the parent held when it
    forked is not in it.
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else 0


def shell_code(code: int) -> int:
    """Return an exit code as a shell shows it: 128 and the number when a signal ended the process."""
    return code if code >= 0 else 128 - code


def forbidden(ended: Ended) -> list[str]:
    """Exit codes that nothing explains, and a run that hung.

    A tap may give up under faults (1) or lose its target (1); a target may find that its tap was cut off (1).
    """
    kill, taps, targets = ended.kill, {0, 1}, {0}
    if kill and kill.hung:
        return [f"it had not ended after {HUNG:.0f} s"]
    if kill and kill.hits("tap"):
        taps.add(128 + kill.number)
        targets |= {1} if kill.number == signal.SIGKILL else set()
    if kill and kill.hits("target"):
        targets.add(128 + kill.number)
    names = ("the tap", "target-duckdb")
    return [
        f"{who} ended with {code}"
        for who, code, known in zip(names, ended.codes, (taps, targets), strict=True)
        if code not in known
    ]
