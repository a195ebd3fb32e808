"""Runs installed commands as forks of one interpreter: `python forks.py < cases`, so that only one of them starts up.

A case has what a process of its own would get: arguments, environment, folder, files for its output, and the whole way
out of the interpreter. Nothing here knows the project's code.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from importlib.metadata import entry_points
from typing import Any

TOGETHER = 3


def finish(running: dict[int, tuple[str, float]], ended: dict[str, tuple[int, float]], seconds: float) -> None:
    """Wait for one of the running commands, and kill those that take too long."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            name, begun = running.pop(pid)
            ended[name] = os.waitstatus_to_exitcode(status), time.monotonic() - begun
            return
        for late, (_, begun) in running.items():
            if time.monotonic() - begun > seconds:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(late, signal.SIGKILL)
        time.sleep(0.01)


def fork_all(cases: dict[str, dict[str, Any]], seconds: float) -> dict[str, Any] | dict[str, tuple[int, float]]:
    """Run the cases, a few at a time.

    Returns:
        In this process how each case ended and how long it took; in each fork, its case.
    """
    running: dict[int, tuple[str, float]] = {}
    ended: dict[str, tuple[int, float]] = {}
    assert threading.active_count() == 1, "a fork has no other threads, and would wait for their locks"
    gc.freeze()
    for name, case in cases.items():
        if len(running) >= TOGETHER:
            finish(running, ended, seconds)
        pid = os.fork()
        if not pid:
            return case
        running[pid] = name, time.monotonic()
    while running:
        finish(running, ended, seconds)
    return ended


def become(case: dict[str, Any]) -> None:
    """Take a case's place, environment and output in this process."""
    os.chdir(case["cwd"])
    os.environ.clear()
    os.environ.update(case["env"])
    sys.argv = case["argv"]
    for number, path in enumerate((os.devnull, case["stdout"], case["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)


asked = json.load(sys.stdin)
commands = {
    name: entry_points(group="console_scripts", name=name)[name].load()
    for name in {os.path.basename(case["argv"][0]) for case in asked["cases"].values()}  # noqa: PTH119 - no pathlib yet
}
answer = fork_all(asked["cases"], asked["seconds"])
if "argv" in answer:
    become(answer)
    sys.exit(commands[os.path.basename(sys.argv[0])]())  # noqa: PTH119 - same
json.dump(answer, sys.stdout)
