"""Runs commands as forks of one interpreter that has imported them: `python forks.py <descriptor of a socket>`.

A command has what a process of its own would get: arguments, environment, folder, standard streams, signals, and the
whole way out of the interpreter. Nothing here knows the project's code; `tests.starts` is the other end of the socket.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = struct.Struct("!I")
"""Length of the JSON that follows."""

Command = dict[str, Any]


def receive(link: socket.socket) -> tuple[Command, list[int]] | None:
    """Read one command and the descriptors sent with it; None when the other end is gone."""
    head, descriptors, _, _ = socket.recv_fds(link, HEAD.size, 8)
    if not head:
        return None
    (length,) = HEAD.unpack(rest(link, head, HEAD.size))
    return json.loads(rest(link, b"", length)), descriptors


def rest(link: socket.socket, text: bytes, length: int) -> bytes:
    """Read on to a length: a signal, that a command has ended, may cut a reading short."""
    while len(text) < length:
        more = link.recv(length - len(text))
        if not more:
            sys.exit()
        text += more
    return text


def serve(link: socket.socket) -> tuple[Command, Callable[[], Any], list[int]]:
    """Fork for each command until the other end is gone.

    Returns:
        In each fork: its command, what gives the function behind it, and its standard streams.
    """
    scripts = {entry.name: entry for entry in entry_points(group="console_scripts")}
    running = dict[int, int]()
    waking, woken = socket.socketpair()
    woken.setblocking(False)  # noqa: FBT003 - the signature of the standard library
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it at the terminal means the tests
    selector = selectors.DefaultSelector()
    for end in (waking, link):
        selector.register(end, selectors.EVENT_READ)
    while True:
        if waking in [key.fileobj for key, _ in selector.select()]:
            waking.recv(4096)
            reap(running)
            continue
        received = receive(link)
        if received is None:
            sys.exit()
        command, (*streams, status) = received
        try:
            program = scripts[os.path.basename(command["argv"][0])]  # noqa: PTH119 - a tap imports no pathlib
            import_module(program.module)
        except Exception as error:  # noqa: BLE001 - the other end raises it
            tell(status, f"{type(error).__name__}: {error}")
            close(*streams, status)
            continue
        assert threading.active_count() == 1, "a fork has no other threads, and would wait for their locks"
        gc.freeze()  # a collection in a fork would copy every page of what it shares
        pid = os.fork()
        if pid:
            tell(status, str(pid))
            running[pid] = status
            close(*streams)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for opened in (selector, waking, woken, link):
            opened.close()
        close(status, *running.values())
        return command, program.load, streams


def reap(running: dict[int, int]) -> None:
    """Tell the other end how the commands that have ended did so."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        descriptor = running.pop(pid)
        tell(descriptor, str(os.waitstatus_to_exitcode(status)))
        os.close(descriptor)


def tell(status: int, line: str) -> None:
    """Write a line to whoever waits for it; it may be gone."""
    with contextlib.suppress(BrokenPipeError):
        os.write(status, f"{line}\n".encode())


def close(*descriptors: int) -> None:
    """Close all of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def unfreeze() -> None:
    """Let go of everything at the end where a library counts what is left: it takes as long as all else."""
    if "duckdb" in sys.modules:
        gc.unfreeze()


def become(command: Command, streams: list[int]) -> None:
    """Take a command's place, environment and standard streams in this process."""
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["env"])
    time.tzset()
    sys.argv = command["argv"]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    close(*streams)


if __name__ == "__main__":
    del sys.path[0]  # this folder
    atexit.register(unfreeze)
    command, program, streams = serve(socket.socket(fileno=int(sys.argv[1])))
    become(command, streams)
    sys.exit(program()())
