"""Pipe: a tap and a target as two processes, the one writing straight into the other.

The only room that starts programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from trunkline_orchestrate.errors import SettingsInvalid, UnitFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GRACE = 10.0
"""Seconds that a process has to end after SIGTERM, before it is killed."""

_REPEATED = 4  # lines of a log that an error repeats
_SEARCHED = 400  # lines in which the error is looked for: a database's names it first, and then the whole statement
_LONGEST = 300
_ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|^[\w.]*(Error|Exception)\b")


@dataclass(frozen=True)
class Ended:
    """The end of a pipe.

    Attributes:
        tap: The tap's exit code.
        target: The target's exit code.
        state: The last state that the target printed: what came before it is in the warehouse. None without one.
        seconds: From the start of the first to the end of both.
        late: Whether they were ended because their time was up.
    """

    tap: int
    target: int
    state: dict[str, Any] | None
    seconds: float
    late: bool = False


@dataclass(frozen=True)
class Finished:
    """The result of a short program: its exit code, its output, and the last lines of its log as one."""

    code: int
    output: str
    log: str


def command(name: str) -> str:
    """Return the path of a program: beside this interpreter, else on the PATH.

    Raises:
        SettingsInvalid: It is in neither place.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if not found:
        why = f"it is neither in {beside} nor on the PATH"
        raise SettingsInvalid(f"there is no program {name}", why, "Install the package that brings it")
    return found


class Handed:
    """Files for programs that are started here, without a name: however this process ends, none is left on the disk.

    Attributes:
        open: Their descriptors, which the programs inherit.

    Args:
        files: What closes them.
    """

    def __init__(self, files: contextlib.ExitStack) -> None:
        self.open: list[int] = []
        self._files = files

    def written(self, name: str, values: Mapping[str, Any]) -> str:
        """Write a file, and give the path under which a program that inherits it can read it.

        Args:
            name: Under which the system lists it.
            values: Its content, as a JSON object.
        """
        file = self._files.enter_context(_nameless(name))
        file.write(json.dumps(values).encode())
        file.seek(0)  # where the system opens it not anew, a program reads on from here
        self.open.append(file.fileno())
        return f"{_DESCRIPTORS}/{file.fileno()}"


_DESCRIPTORS = "/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd"


@contextlib.contextmanager
def handed() -> Iterator[Handed]:
    """Make room for files of the programs that are started meanwhile, and close them at the end."""
    with contextlib.ExitStack() as files:
        yield Handed(files)


def _nameless(name: str) -> IO[bytes]:
    """Return a file in memory; where the system has none, one that loses its name before anything is written to it."""
    in_memory = getattr(os, "memfd_create", None)
    return os.fdopen(in_memory(name), "w+b", buffering=0) if in_memory else tempfile.TemporaryFile(buffering=0)


def open_private(path: Path, flags: int) -> IO[bytes]:
    """Open a file for writing that only this user can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600), "wb")


def run(  # noqa: PLR0913 - a pipe has two ends, each with a command and a log
    tap: Sequence[str],
    target: Sequence[str],
    *,
    tap_log: Path,
    target_log: Path,
    environment: Mapping[str, str],
    timeout: float | None = None,
    keep: Sequence[int] = (),
) -> Ended:
    """Run `tap | target` until both have ended; if this call ends early, so do they.

    Args:
        tap: The tap's command line.
        target: The target's.
        tap_log: Gets the tap's log, behind what stands there.
        target_log: The same for the target.
        environment: Of both.
        timeout: Seconds they have; None: as long as it takes.
        keep: Open files that both inherit: their settings, and a lock that lasts as long as either of them.
    """
    began = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    with open_private(tap_log, os.O_APPEND) as tap_output, open_private(target_log, os.O_APPEND) as target_output:
        try:
            reader = _start(tap, processes, tap_output, environment, keep, stdin=subprocess.DEVNULL)
            writer = _start(target, processes, target_output, environment, keep, stdin=reader.stdout)
            assert reader.stdout is not None  # noqa: S101 - `_start` makes it a pipe
            assert writer.stdout is not None  # noqa: S101 - `_start` makes it a pipe
            reader.stdout.close()  # or the tap never learns that the target has gone
            alarm = _Alarm(timeout, processes)
            with alarm:
                last = b""
                for line in writer.stdout:
                    last = line if line.strip() else last
                if writer.wait() != 0:
                    reader.terminate()  # it may be waiting for the vendor, and nobody listens any more
                reader.wait()
        finally:
            _end(processes)
    return Ended(reader.returncode, writer.returncode, _state(last), time.monotonic() - began, alarm.rang)


def _start(  # noqa: PLR0913, PLR0917 - what a process is made of
    line: Sequence[str],
    processes: list[subprocess.Popen[bytes]],
    log: IO[bytes],
    environment: Mapping[str, str],
    keep: Sequence[int],
    stdin: Any,
) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(  # noqa: S603 - the commands that the settings name
            list(line), stdin=stdin, stdout=subprocess.PIPE, stderr=log, env=dict(environment), pass_fds=tuple(keep)
        )
    except OSError as exc:
        raise UnitFailed(f"{line[0]} could not be started", exc.strerror or str(exc), "Check the path") from None
    processes.append(process)
    return process


class _Alarm:
    """Ends processes whose time is up."""

    def __init__(self, seconds: float | None, processes: list[subprocess.Popen[bytes]]) -> None:
        self.rang = False
        self._processes = processes
        self._timer = threading.Timer(seconds, self._ring) if seconds is not None else None

    def _ring(self) -> None:
        self.rang = True
        _end(self._processes)

    def __enter__(self) -> None:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Terminate the processes that still run, and kill those that do not end."""
    left = [process for process in processes if process.poll() is None]
    for process in left:
        process.terminate()
    until = time.monotonic() + GRACE
    for process in left:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:  # noqa: PERF203 - a loop that waits
            process.kill()
            process.wait()


def _state(line: bytes) -> dict[str, Any] | None:
    if not line:
        return None
    try:
        state = json.loads(line)
    except ValueError:
        return None
    return state if isinstance(state, dict) else None


def run_short(
    line: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep: Sequence[int] = (),
) -> Finished:
    """Run a program that ends by itself soon, and wait for it.

    Args:
        line: Its command line.
        environment: Its variables; the caller's when left out.
        folder: Where it runs; here when left out.
        keep: Open files that it inherits.
    """
    done = subprocess.run(  # noqa: S603 - a tap's own command, or Meltano
        list(line), env=environment, cwd=folder, pass_fds=tuple(keep),
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    lines = [text.strip() for text in done.stderr.strip().splitlines()[-_REPEATED:]]
    return Finished(done.returncode, done.stdout, " / ".join(lines) or "it logged nothing")


def judge(ended: Ended, what: str, tap_log: Path, target_log: Path) -> None:
    """Check that both ended well.

    Raises:
        UnitFailed: One of them did not; with the last lines of the tap, which keeps them clean of secrets and personal
            data, and of the target's the one that names its error, less the values in it.
    """
    if ended.late:
        raise UnitFailed(f"{what} was ended", f"it took longer than its time ({ended.seconds:.0f} s)", "Allow it more")
    failures = []
    for name, code, last in (
        ("tap", ended.tap, " / ".join(tail(tap_log))),
        ("target", ended.target, verdict(target_log)),
    ):
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            failures.append(f"the {name} {how}: {last or 'it logged nothing'}")
    if failures:
        raise UnitFailed(f"{what} failed", "; ".join(failures), f"The whole logs are {tap_log} and {target_log}")


def verdict(path: Path) -> str:
    """Return the last line of a foreign program's log that names an error, up to the first value that it may quote."""
    lines = tail(path, _SEARCHED)
    named = [line for line in lines if _ERROR.search(line)] or lines
    return re.split(r"[\"'{\[]", named[-1])[0].strip()[:_LONGEST] if named else ""


def tail(path: Path, count: int = _REPEATED) -> list[str]:
    """Return the last lines of a file."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            return [line.strip() for line in deque(lines, maxlen=count) if line.strip()]
    except OSError:
        return []
