"""Signals: SIGTERM and SIGINT end a command by that very signal, and within seconds, whatever it is doing.

Python runs a handler between two steps of the main thread. One that is blocked in a write to a full pipe is woken by
the signal, runs the handler, and continues the write; one that a signal reaches just before it blocks does not even
do that. So a thread watches too: it wakes the main thread until the signal is noticed, gives what is being done a few
seconds to come to a good end, then has it break off, and at last ends the process itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from trunkline.errors import OutputLost, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

ENDING = (signal.SIGTERM, signal.SIGINT)

NUDGE = 0.25
"""Seconds after which the main thread is woken once more: it may have blocked just before it could notice."""

PATIENCE = 2.5
"""Seconds that are given to finish: a reader that is slow, but reads, gets whole lines and the last STATE."""

GRACE = 4.0
"""Seconds after which the process ends, whatever it is doing."""

_FLUSH = 0.5  # seconds to pass on what was logged
_watched = hasattr(signal, "pthread_kill")  # Windows has no such signals
_own: list[bool] = []  # not empty once the process is a command's own


def own_process() -> None:
    """Take the process as a command's own: until a run takes over there is nothing to finish, a signal ends it."""
    _own.append(True)
    # The system's own way to end is quickest, but it does not apply to a container's first process.
    handler = signal.SIG_DFL if os.getpid() != 1 else lambda number, _frame: end_by(number)
    for number in ENDING:
        signal.signal(number, handler)


def leave(code: int) -> NoReturn:
    """End the process with an exit code, by the signal where it is 128 and a signal's number."""
    if code > 128:  # noqa: PLR2004 - as shells count
        end_by(code - 128)
    sys.exit(code)


def end_by(number: int) -> NoReturn:
    """End the process by a signal, as one that has no handler for it does."""
    flushing = threading.Thread(target=_flush, daemon=True)  # its reader may sleep
    flushing.start()
    flushing.join(_FLUSH)
    _die(number)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()


def _die(number: int) -> NoReturn:
    if threading.current_thread() is threading.main_thread():
        signal.signal(number, signal.SIG_DFL)
    else:
        _reset(number)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container survives its own signals


def _reset(number: int) -> None:
    """Undo a handler from any thread: Python lets the main thread alone do that."""
    import ctypes  # the SDK has it already

    with contextlib.suppress(AttributeError, OSError):
        reset = ctypes.CDLL(None).signal
        reset.argtypes, reset.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        reset(number, None)


class Signals:
    """Handlers while it is entered: a signal makes the run end, then break off, then ends the process.

    Args:
        noticed: Called in the handler with the first signal; must be reentrant.
        break_off: Called in the handler before `Stopped` is raised wherever the main thread is.
        last_words: Called before the process is ended in the middle of something, from another thread.
    """

    def __init__(
        self,
        noticed: Callable[[int], None],
        break_off: Callable[[], None] = lambda: None,
        last_words: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._noticed, self._break_off, self._last_words = noticed, break_off, last_words
        self._before: dict[int, object] = {}
        self._over, self._lock = threading.Event(), threading.Lock()
        self._overdue = self._broken_off = self._raised = False
        self.number: int | None = None
        """The signal that came first, or None."""

    def __enter__(self) -> Signals:  # noqa: PYI034 - it has no subclasses, and 3.10 has no Self
        if threading.current_thread() is threading.main_thread():
            if _watched:
                self._reading, self._writing = os.pipe()
                os.set_blocking(self._writing, False)
                self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
                threading.Thread(target=self._watch, name="signals", daemon=True).start()
            self._before = {number: signal.signal(number, self._handle) for number in ENDING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broken_off = True  # there is nothing left to break off
        if self._before and _watched:
            signal.set_wakeup_fd(self._wakeup)  # before the other end is closed: Python reports that, at any price
        with self._lock:
            self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._before and _watched:
            os.close(self._writing)
        if self.number is not None and (isinstance(error, OutputLost) or (error is not None and self._raised)):
            # Who ends a pipeline closes it and sends the signal, in whichever order. And a library in whose call the
            # handler runs may raise an error of its own instead: DuckDB's is a RuntimeError.
            raise Stopped(self.number) from None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        try:
            if self.number is None:
                self.number = number
                self._noticed(number)
            if self._overdue and not self._broken_off:
                self._broken_off = True
                self._break_off()
                raise Stopped(self.number)  # noqa: TRY301 - noticed too may raise it
        except Stopped:
            self._raised = True
            raise

    def _watch(self) -> None:
        try:
            while came := os.read(self._reading, 1):
                if came[0] in ENDING:
                    self._end(came[0])
                    return
        finally:
            os.close(self._reading)

    def _end(self, number: int) -> None:
        """Wake the main thread until it is over, and at last end the process."""
        for seconds, overdue in ((NUDGE, False), (PATIENCE - NUDGE, True)):
            self._over.wait(seconds)
            with self._lock:  # once it is over, the handler is another one
                if self._over.is_set():
                    return
                self._overdue = overdue
                signal.pthread_kill(threading.main_thread().ident or 0, number)
        if _own and not self._over.wait(GRACE - PATIENCE):
            self._last_words(number)
            _die(number)


__all__ = ["Signals", "end_by", "leave", "own_process"]
