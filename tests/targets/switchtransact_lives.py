"""Starts the target again and again and kills it: `python switchtransact_lives.py PLAN`, where PLAN is a JSON file.

Each life is forked from this process, which has imported everything and has no threads, so that a life costs
milliseconds. It begins at the last STATE that came out, a few records earlier, as a tap with a lookback does, and ends
by SIGKILL at a random moment. The last life is left to end by itself. What was told stands in the folder of the plan,
and how many lines the last STATE covers is printed.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from trunkline_switchtransact import TargetSwitchTransact
from trunkline_switchtransact.ledger import Entry, Ledger

OVERLAP = 7  # lines
AT_ONCE = 500  # lines of input: more than any life comes to
AT_LAST = 100  # lines of the last life


def main(plan: dict[str, Any], folder: Path) -> int:
    """Let the target live and die; 0 when every life but the last was killed."""
    random.seed(plan["seed"])
    for life in range(plan["kills"]):
        child, begun = born(plan, folder, life, AT_ONCE)
        # A word comes when the run begins and with each intent. Every other life is killed from its first intent on, so
        # that also on a slow machine many die while they write.
        for _ in range(1 + life % 2):
            os.read(begun, 1)
        time.sleep(random.uniform(0, plan["longest"]))  # noqa: S311 - a seeded test
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(begun)
        if not os.WIFSIGNALED(status):
            print(f"life {life} had ended by itself: {status}", file=sys.stderr)  # noqa: T201 - a command
            return 1
    os.waitpid(born(plan, folder, plan["kills"], AT_LAST)[0], 0)
    print(at(folder))  # noqa: T201 - a command
    return 0


def tell_of_intents(to: int) -> None:
    """Let a byte go out with each intent."""
    intend = Ledger.intend

    def telling(self: Ledger, entry: Entry) -> None:
        intend(self, entry)
        os.write(to, b".")

    Ledger.intend = telling  # type: ignore[method-assign] # it is this process's own, and the process ends soon


def at(folder: Path) -> int:
    """How many lines the last STATE covers."""
    whole = (folder / "states").read_text(encoding="utf-8").split("\n")[:-1] if (folder / "states").exists() else []
    return int(json.loads(whole[-1])["line"]) if whole else 0


def born(plan: dict[str, Any], folder: Path, life: int, lines: int) -> tuple[int, int]:
    """Begin a life with so many lines of input; returns its process, and what can be read from when the run begins."""
    begin = max(0, at(folder) - OVERLAP)
    given = plan["lines"][begin : begin + lines]
    (folder / "input").write_text("\n".join([*plan["schemas"], *given, ""]), encoding="utf-8")
    ours, theirs = os.pipe()
    child = os.fork()
    if child:
        os.close(theirs)
        return child, ours
    code = 70
    try:
        for name, number in (("states", 1), ("told", 2)):
            os.dup2(os.open(folder / name, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), number)
        logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stderr)
        # Each life is an hour later: what was sent in an earlier one is not under way any more.
        target = TargetSwitchTransact(config=plan["config"], clock=lambda: time.time() + 3600 * life)
        tell_of_intents(theirs)
        os.write(theirs, b".")
        code = target.run((folder / "input").open(encoding="utf-8"))
    finally:
        os._exit(code)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    sys.exit(main(json.loads(path.read_text(encoding="utf-8")), path.parent))
