"""A tap's process settles its memory, and only its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SETTLE = """
import gc
from trunkline import process
process.settle()
process.trim()
print(gc.get_threshold()[0], gc.get_freeze_count() > 1000)
"""
_ALONE = """
import gc
before = gc.get_threshold(), gc.get_freeze_count()
from trunkline import process
from trunkline.doors import command
from trunkline.run import run
process.trim()
print(before == (gc.get_threshold(), gc.get_freeze_count()), process._malloc)
"""


def _said(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_g5_what_the_imports_made_is_not_looked_through_again() -> None:
    """The collector's work does not grow with the rows."""
    assert _said(_SETTLE) == "50000 True"


def test_a_process_of_somebody_else_is_left_alone() -> None:
    """Whoever imports a tap keeps their own collector and heap."""
    assert _said(_ALONE) == "True []"


_CLOSED = """
import os, sys
assert os.open("/dev/zero", os.O_RDONLY) == 0  # as an import may do before the streams are looked at
from trunkline import process
process.standard_streams()
try:
    print(sys.stdin.read(1))
except OSError as problem:
    print(problem.strerror)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_g9_a_closed_stream_stays_closed_where_a_file_has_taken_its_number() -> None:
    """What an import opens under the number of a closed standard input is not read as input."""
    command = ["/bin/sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, _CLOSED]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "Bad file descriptor"
