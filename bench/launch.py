"""Starts a command, or several as one pipe, and reports what the operating system counted: run as a small process.

It stands alone because Linux hands the peak memory of a forking process on to the child: a large parent would show up
in the figures. One JSON argument in, one JSON line out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any


def main() -> int:
    """Run what the argument describes.

    Returns:
        0; what became of the commands is in the printed line.
    """
    order: dict[str, Any] = json.loads(sys.argv[1])
    processes: list[subprocess.Popen[bytes]] = []
    timed_out = False

    def stop(*_: object) -> None:
        nonlocal timed_out
        timed_out = True
        for process in processes:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    usage: dict[int, Any] = {}
    with open(order["stdout"], "wb") as output, open(order["stderr"], "wb") as errors:  # noqa: PTH123 - pathlib is large
        started = time.perf_counter()
        source = None
        for place, command in enumerate(order["commands"]):
            last = place + 1 == len(order["commands"])
            process = subprocess.Popen(  # noqa: S603 - the benchmark's own commands
                command,
                stdin=source.stdout if source else subprocess.DEVNULL,
                stdout=output if last else subprocess.PIPE,
                stderr=errors,
                env=order["environment"],
                cwd=order["folder"],
            )
            if source and source.stdout:
                source.stdout.close()  # or the first command never learns that the second one has ended
            processes.append(process)
            source = process
        signal.alarm(int(order["timeout"]))
        for _ in processes:
            pid, status, used = os.wait4(-1, 0)
            usage[pid] = (os.waitstatus_to_exitcode(status), used)
            next(process for process in processes if process.pid == pid).returncode = usage[pid][0]
        wall = time.perf_counter() - started
    signal.alarm(0)
    unit = 1 if sys.platform == "darwin" else 1024
    found = [
        {"code": code, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * unit}
        for code, used in (usage[process.pid] for process in processes)
    ]
    print(json.dumps({"wall": wall, "timed_out": timed_out, "processes": found}))  # noqa: T201 - its output
    return 0


if __name__ == "__main__":
    sys.exit(main())
