"""One measured run of a command or a pipe, by the operating system's own accounting."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LAUNCH = Path(__file__).with_name("launch.py")
_DROPPED = ("PYTHON", "TAP_", "TARGET_", "DLT_", "MELTANO_", "LOGLEVEL")


class RunFailed(Exception):  # noqa: N818 - reads as what happened
    """A measured command ended badly: its command, exit codes and last lines."""


@dataclass(frozen=True)
class Sample:
    """The figures of one run.

    Attributes:
        wall: Seconds from start to the end of the last process.
        cpu: Seconds of user and system time, of all processes.
        peak: Bytes of memory at most, of the hungriest process.
        rows: Records that came out.
        distinct: How many of them differ by key; -1 when that was not counted.
        requests: Requests that came to the server.
        in_flight: Requests under way at once, at most.
        facts: Other figures that a case looks at.
    """

    wall: float
    cpu: float
    peak: int
    rows: int = 0
    distinct: int = -1
    requests: int = 0
    in_flight: int = 0
    facts: dict[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the sample as the results file has it."""
        return asdict(self)


def environment() -> dict[str, str]:
    """Return the caller's variables without those that change how a measured program runs.

    Above all PYTHONDONTWRITEBYTECODE (every start would compile) and PYTHONUNBUFFERED (every line would be a write).
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_DROPPED)}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    return {**kept, "DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONWARNINGS": "ignore"}


def run(commands: Sequence[Sequence[str]], folder: Path, *, timeout: float = 1800.0) -> Sample:
    """Run a command, or several as one pipe; standard output goes to `folder/out`, the rest to `folder/err`.

    Args:
        commands: From the first to the last of the pipe.
        folder: Working folder.
        timeout: Seconds after which the run is stopped.

    Raises:
        RunFailed: A process ended with another code than 0, or the time was up.
    """
    order = {
        "commands": [list(command) for command in commands],
        "stdout": str(folder / "out"),
        "stderr": str(folder / "err"),
        "environment": environment(),
        "folder": str(folder),
        "timeout": timeout,
    }
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(order)]
    done = subprocess.run(launcher, capture_output=True, check=True, text=True)  # noqa: S603 - our own program
    result = json.loads(done.stdout)
    processes = result["processes"]
    if result["timed_out"] or any(process["code"] for process in processes):
        lines = [line[:2000] for name in ("out", "err") for line in _last_lines(folder / name)]
        codes = ", ".join(str(process["code"]) for process in processes)
        why = f"no end after {timeout:.0f} s" if result["timed_out"] else f"exit code {codes}"
        raise RunFailed("\n".join([f"{' | '.join(' '.join(one) for one in commands)}: {why}", *lines]))
    return Sample(
        wall=result["wall"],
        cpu=sum(process["cpu"] for process in processes),
        peak=max(process["peak"] for process in processes),
    )


def _last_lines(path: Path, count: int = 12, most: int = 20_000) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        return file.read().decode(errors="replace").splitlines()[-count:]


@dataclass(frozen=True)
class Spread:
    """The smallest, the middle and the largest of several figures."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """Return the spread of at least one figure."""
        values = sorted(figures)
        return cls(values[0], statistics.median(values), values[-1])

    def text(self, form: str = "{:.2f}") -> str:
        """Write `median (least to most)`."""
        low, middle, high = (form.format(value) for value in (self.least, self.median, self.most))
        return f"{middle} ({low} to {high})"
