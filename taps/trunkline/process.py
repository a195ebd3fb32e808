"""Care of a tap's own process for its memory; nothing of it happens in a process of somebody else's."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

_STREAMS = (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))

NEW_OBJECTS = 50_000
"""Objects after which Python looks for cycles: a page of rows has thousands, and none of them is in one."""

_M_ARENA_MAX = -8  # malloc.h of glibc
_malloc: list[Any] = []  # glibc, once the process is settled


def standard_streams() -> None:
    """Take the places of standard streams that are closed: else the next file that is opened is one of them.

    What then stands there can't be read as input or written as output, which is an error as it is for other programs;
    a closed standard error only keeps quiet. What a stream's encoding has no letter for is written as an escape.
    """
    for number, (name, flags, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            # Of its own: what an import opened may have the number by now, such as libffi the file of its code.
            stream = os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8")
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and getattr(stream, "errors", "") == "strict":
            stream.reconfigure(errors="backslashreplace")


def settle() -> None:
    """Keep memory small and the collector out of the way of rows; for a process that does nothing but read.

    What the imports made lives to the end, so it is not looked through again. And glibc would give each thread that
    receives responses a heap of its own, which keeps what it once held: one heap for all halves the peak of a tap with
    large pages.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    if sys.platform != "linux":
        return
    import ctypes  # the SDK has it already

    # Another C library has no such functions, and no such heaps.
    with contextlib.suppress(AttributeError, OSError):
        glibc = ctypes.CDLL(None)
        glibc.mallopt(_M_ARENA_MAX, 1)
        _malloc.append(glibc.malloc_trim)


def trim() -> None:
    """Give back what the heap holds between its blocks, which would slowly grow with the number of responses."""
    for trim_heap in _malloc:
        trim_heap(0)
