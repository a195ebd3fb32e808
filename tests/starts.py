"""Starts the installed commands as forks of a process that has imported them: importing takes longer than most runs.

`start` and `run` take what `subprocess.Popen` and `subprocess.run` take. What a test says of a process as a user starts
it (its first moment, its interpreter's own variables, its terminal) needs `subprocess` itself.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, AnyStr

from tests.forks import HEAD

if TYPE_CHECKING:
    from collections.abc import Sequence


class Forks:
    """A process that forks: one for each kind of command, so that a tap has no database library in its memory.

    Args:
        kind: Beginning of the commands' names, which the list of processes shows.
    """

    def __init__(self, kind: str) -> None:
        self.lock = threading.Lock()
        self.link, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py")), str(theirs.fileno()), kind],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self.close)

    def fork(self, argv: Sequence[str], cwd: str, env: dict[str, str], streams: Sequence[int]) -> tuple[int, int]:
        """Start a command.

        Returns:
            Its process id, and the descriptor from which its exit code comes.
        """
        reading, writing = os.pipe()
        try:
            text = json.dumps({"argv": list(argv), "cwd": cwd, "env": env}).encode()
            with self.lock:
                socket.send_fds(self.link, [HEAD.pack(len(text))], [*streams, writing])
                self.link.sendall(text)
        finally:
            os.close(writing)
        told = _line(reading)
        if not told.isdecimal():
            os.close(reading)
            raise FileNotFoundError(f"{argv[0]} could not be started: {told or 'the process that forks has ended'}")
        return int(told), reading

    def close(self) -> None:
        """End the process."""
        self.link.close()
        self.process.wait()


def _line(descriptor: int) -> str:
    """A line, read byte by byte: what follows it is another reader's."""
    text = b""
    while (byte := os.read(descriptor, 1)) not in {b"", b"\n"}:
        text += byte
    return text.decode()


_FORKS: dict[str, Forks] = {}
_STARTING = threading.Lock()


def forks(kind: str) -> Forks:
    """The process that forks commands of a kind."""
    with _STARTING:
        if kind not in _FORKS:
            _FORKS[kind] = Forks(kind)
        return _FORKS[kind]


class Forked(subprocess.Popen[AnyStr]):
    """A command that runs as a fork; all that is another process' child is how it starts and what it ends with."""

    # The first three methods are where `subprocess` itself differs between systems, from Python 3.10 to 3.14.

    def _execute_child(self, args: Any, *options: Any) -> None:
        (cwd, env), handles = options[4:6], options[9:15]
        theirs = handles[0], handles[3], handles[5]
        streams = [own if handle == -1 else handle for own, handle in enumerate(theirs)]
        argv = [str(word) for word in args]
        try:
            self.pid, self._status = forks(Path(argv[0]).name.partition("-")[0]).fork(
                argv,
                str(cwd or Path.cwd()),
                {str(name): str(value) for name, value in (os.environ if env is None else env).items()},
                streams,
            )
            self._child_created = True
        finally:
            self._close_pipe_fds(*handles)  # type: ignore[attr-defined]

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        return self._ended(0)

    def _wait(self, timeout: float | None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _ended(self, seconds: float | None) -> int | None:
        with self._waitpid_lock:  # type: ignore[attr-defined]
            if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
                self.returncode = int(_line(self._status) or -signal.SIGKILL)  # empty when its parent was killed
                os.close(self._status)
        return self.returncode


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
    """Start an installed command, as `subprocess.Popen` does."""
    return Forked(command, **options)


def run(
    command: Sequence[str | Path],
    *,
    input: Any = None,  # noqa: A002 - as subprocess names it
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run an installed command to its end, as `subprocess.run` does."""
    if options.pop("capture_output", False):
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with start(command, **options) as process:
        try:
            stdout, stderr = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    if check:
        done.check_returncode()
    return done
