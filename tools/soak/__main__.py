"""The command: `python -m tools.soak`."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools import soak
from tools.soak import RELOADS_FROM, VENDORS
from tools.soak.box import Box, Children, Stopped
from tools.soak.whole import Soak

from trunkline import signals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak.

    Returns:
        0 when nothing was lost, doubled or leaked and memory stayed flat; 1 when something was; 2 when it can't begin;
        128 and the number of the signal that ended it.
    """
    options = _options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request_stop)
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        print(f"{options.keep} is not empty: --keep needs a folder for this soak alone", file=sys.stderr)
        return 2
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="trunkline-soak-"))).resolve()
    children, kept = Children(), options.keep is not None
    try:
        found = _play(folder, children, options)
        kept |= bool(found)
    except Stopped as stopped:
        print(f"stopped by signal {stopped.number}", file=sys.stderr)
        return 128 + stopped.number
    except BaseException:
        kept = True
        raise
    finally:
        children.close()
        if kept:
            print(f"what was written: {folder} (a folder a run, {options.seed} is the seed)")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


def _play(folder: Path, children: Children, options: argparse.Namespace) -> list[str]:
    """Run the soak and write its report; return the problems found."""
    share = f"one request in {1 / options.rate:.0f} fails" if options.rate else "no request fails"
    print(f"soak: {len(VENDORS)} vendors, {options.seconds:.0f} s, {share}, seed {options.seed}", flush=True)
    whole = Soak(Box(children, options.seed, options.size), folder, children, options)
    whole.play()
    print("", *whole.report(), "", sep="\n")
    found = whole.judge()
    memory = (
        "memory flat" if options.seconds >= RELOADS_FROM else f"memory not judged in less than {RELOADS_FROM:.0f} s"
    )
    print("\n".join(found) if found else f"nothing lost, nothing doubled, nothing else, no credential seen, {memory}")
    return found


def _request_stop(number: int, _frame: FrameType | None) -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # the clean-up is short
    raise Stopped(number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py soak", description=soak.__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long runs are disturbed")
    parser.add_argument("--seed", type=int, default=1, help="decides rows, faults, settings and kills")
    parser.add_argument("--size", type=int, default=240, help="rows of each vendor at the start")
    parser.add_argument("--rate", type=float, default=0.2, metavar="SHARE", help="of requests that fail, 0 to 1")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything that is written there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signals.leave(main())
