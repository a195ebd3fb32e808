"""Progress: how far each stream has come, shown on standard error during the run.

On a terminal it is a bar for each stream that is being read, below the log; elsewhere a log line every few seconds,
with the same figures. A thread of its own looks at what the run has counted, so reading and writing pay nothing for
it, and a run that waits for its vendor is reported too.

The bars are tqdm's: it brings no other package along and is imported only when there is a terminal. rich can draw the
same, at twice the time to import it and with three more packages.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.redact import redactor
from trunkline.run.figures import Figures, StreamMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from trunkline.run.run import Run

LINE_EVERY = 10.0
"""Seconds between two log lines, where there is no terminal."""

DRAW_EVERY = 0.25
"""Seconds between two drawings of a bar."""

LOOK_EVERY = 1.0
"""Seconds between two looks at the run at most, so that the first line knows a speed too."""

_WHOLE = 1000  # steps of a bar


# -- where it is shown -----------------------------------------------------------------------------


class ProgressView(Protocol):
    """The output that shows progress."""

    every: float
    """Seconds between two times that it is shown."""

    def show(self, figures: Sequence[Figures]) -> None:
        """Show the streams that are being read; those shown before and not named now have ended."""

    def close(self) -> None:
        """Leave no trace."""


class LogLines:
    """A log line for each stream, every few seconds.

    Args:
        logger: Where they go.
    """

    every = LINE_EVERY

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def show(self, figures: Sequence[Figures]) -> None:
        """Log one line a stream."""
        for each in figures:
            self.logger.info("%s: %s", each.name, each)

    def close(self) -> None:
        """Do nothing: there is nothing to undo."""


class Bars:
    """A bar for each stream, below everything else that is written to standard error.

    Args:
        stream: Standard error, a terminal; secrets are replaced in what passes it (see `trunkline.redact`).
    """

    every = DRAW_EVERY

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar = _bar_type()
        self._bars: dict[str, Any] = {}
        self._above = _LinesAboveBars(stream, self._bar)
        self._moved: list[logging.StreamHandler[Any]] = []
        self._lift()

    def show(self, figures: Sequence[Figures]) -> None:
        """Draw the bars anew."""
        names = [each.name for each in figures]
        if list(self._bars) != names:
            self._clear()
        for place, each in enumerate(figures):
            bar = self._bars.get(each.name)
            if bar is None:
                bar = self._bars[each.name] = self._bar(
                    total=_WHOLE,
                    file=self._stream,
                    leave=False,
                    dynamic_ncols=True,
                    position=place,
                    desc=redactor(each.name),
                    bar_format="{desc} {bar} {figures}",
                    figures=redactor(str(each)),
                )
            bar.figures = redactor(str(each))  # before the bar is measured: a mask is longer than a short secret
            bar.n = int(_WHOLE * (each.share or 0.0))
            bar.refresh()

    def close(self) -> None:
        """Remove the bars and let everything be written as before."""
        self._clear()
        if sys.stderr is self._above:
            sys.stderr = self._stream
        for handler in self._moved:
            handler.setStream(self._stream)
        self._above.finish()

    def _clear(self) -> None:
        for bar in reversed(list(self._bars.values())):
            bar.close()
        self._bars.clear()

    def _lift(self) -> None:
        """Let log lines, and whatever else goes to standard error, be written above the bars."""
        known = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
        for logger in known:
            for handler in getattr(logger, "handlers", ()):
                if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                    handler.setStream(self._above)
                    self._moved.append(handler)
        if sys.stderr is self._stream:
            sys.stderr = self._above


class _LinesAboveBars:
    """Takes the place of standard error: removes the bars before a line, and draws them again after it.

    Args:
        stream: Standard error.
        bar: The class of the bars, which holds the lock that keeps lines and bars apart.
    """

    def __init__(self, stream: TextIO, bar: Any) -> None:
        self._stream, self._bar, self._line = stream, bar, ""

    def write(self, text: str) -> int:
        """Write text; what is not yet a whole line waits for its end."""
        with self._bar.get_lock():
            lines, newline, self._line = (self._line + text).rpartition("\n")
            if newline:
                with self._bar.external_write_mode(file=self._stream):
                    self._stream.write(lines + newline)
                    self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: whole lines have left already, and an unfinished one would be torn by the bars."""

    def finish(self) -> None:
        """Pass on what never became a whole line."""
        if self._line:
            self._stream.write(self._line)
            self._line = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _bar_type() -> Any:
    """Make a bar of tqdm's that shows our figures, and leaves the cursor where another program may write its line."""
    from tqdm.std import tqdm

    class Bar(tqdm):  # type: ignore[type-arg] # it counts nothing that has a type
        monitor_interval = 0  # no thread of its own: ours draws

        def __init__(self, *, figures: str, **kwargs: Any) -> None:
            self.figures = figures  # it draws itself at once
            super().__init__(**kwargs)

        @property
        def format_dict(self) -> dict[str, Any]:
            return {**super().format_dict, "figures": self.figures}

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            super().display(msg, pos)
            self.fp.write("\r")  # the target's line, on the same terminal, then begins in the first column
            self.fp.flush()

    # tqdm's own lock takes a semaphore of the system for processes that share a terminal: here are only threads.
    Bar.set_lock(threading.RLock())
    return Bar


# -- the thread ------------------------------------------------------------------------------------


class Progress:
    """Looks at a run now and then, and shows how far it is.

    Args:
        run: The run.
        view: Where to show it.
        clock: Monotonic seconds.
    """

    def __init__(self, run: Run, view: ProgressView, clock: Callable[[], float] = time.monotonic) -> None:
        self.run, self.view, self.clock = run, view, clock
        self._watched: list[StreamMeter] = []
        self._shown_at = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def look(self) -> None:
        """Look once, and show it when it is time."""
        group = self.run.reading
        reading = [run for run in group if not run.ended]
        if [watched.run for watched in self._watched] != reading:
            self._watched = [StreamMeter(run, group[0]) for run in reading]
        now = self.clock()
        figures = [watched.look(now) for watched in self._watched]
        if now - self._shown_at >= self.view.every:
            self._shown_at = now
            self.view.show(figures)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(1.0)
        self.view.close()

    def _watch(self) -> None:
        try:
            while not self._over.wait(min(self.view.every, LOOK_EVERY)):
                self.look()
        except Exception:  # a display must never stand in the way of its run
            self.run.logger.debug("progress can't be shown", exc_info=True)


@contextmanager
def show_progress(run: Run) -> Iterator[None]:
    """Show the progress of a run for as long as it lasts."""
    progress = Progress(run, Bars(sys.stderr) if _is_terminal() else LogLines(run.logger))
    progress.start()
    try:
        yield
    finally:
        progress.stop()


def _is_terminal() -> bool:
    """Return whether bars can be drawn: on a terminal that moves its cursor, and not among records on the same one."""
    try:
        return sys.stderr.isatty() and not sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
    except (AttributeError, ValueError):  # closed, or something that is no file
        return False


__all__ = ["Bars", "Figures", "LogLines", "Progress", "StreamMeter", "show_progress"]
