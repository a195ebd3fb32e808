"""Progress: how far each stream has come, told on standard error while the run goes on.

On a terminal it is a bar for each stream that is being read, below the log; elsewhere a log line every few seconds,
with the same figures. A thread of its own looks at what the run has counted, so reading and writing pay nothing for
it, and a run that waits for its vendor is told of too.

The bars are tqdm's: it brings no other package along and is imported only when there is a terminal. rich can draw the
same, at twice the time to import it and with three more packages.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from typing import TextIO

    from trunkline.sync import Partition, Plan, Run, StreamRun

LINE_EVERY = 10.0
"""Seconds between two log lines, where there is no terminal."""

DRAW_EVERY = 0.25
"""Seconds between two drawings of a bar."""

LOOK_EVERY = 1.0
"""Seconds between two looks at the run at most, so that the first line knows a speed too."""

_HORIZON = 30.0  # seconds over which rows per second are averaged
_SURE_AFTER = 3.0  # seconds of reading before anything is said about the time left
_WHOLE = 1000  # steps of a bar


@dataclass(frozen=True)
class Figures:
    """How far one stream has come.

    Args:
        name: The stream.
        rows: Records written.
        rate: Rows per second of late; None before that can be told.
        windows: Windows proven.
        of_windows: How many there may be in all: windows are halved and grow, so it is never certain. None where
            nobody can tell.
        part: The place of the partition at hand among `of_parts`, from 1; 0 before the first.
        of_parts: How many partitions there are; None for a stream without partitions.
        share: How much of the asked span of time (or of the partitions) is done, from 0 to 1; None if unknown.
        at: What was read up to.
        left: Seconds that may be left; None before that can be told.
    """

    name: str
    rows: int
    rate: float | None = None
    windows: int = 0
    of_windows: int | None = None
    part: int = 0
    of_parts: int | None = None
    share: float | None = None
    at: datetime | None = None
    left: float | None = None

    def __str__(self) -> str:
        parts = []
        if self.of_parts is not None:
            parts.append(f"part {self.part} of {self.of_parts}")
        if self.of_windows is not None:
            parts.append(f"{self.windows} of about {self.of_windows} windows")
        elif self.windows:
            # How many there will be is not known: how far they reach is.
            up_to = f" up to {self.at:%Y-%m-%d}" if self.at else ""
            parts.append(f"{self.windows} {'window' if self.windows == 1 else 'windows'}{up_to}")
        if self.share is not None:
            parts.append(f"{math.floor(100 * self.share)} %")
        parts.append(f"{self.rows} rows")
        if self.rate is not None:
            parts.append(f"{self.rate:.0f} rows/s" if self.rate >= 1 or not self.rate else f"{self.rate:.1f} rows/s")
        if self.left is not None:
            parts.append(f"about {_words(self.left)} left")
        return ", ".join(parts)


def _words(seconds: float) -> str:
    """A length of time, as exact as a guess deserves."""
    for unit, size, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 36 * 3600)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


class Watched:
    """One stream, looked at again and again.

    Args:
        run: What counts.
        leader: The stream whose windows are read: another one, where several are read from the same answers.
    """

    def __init__(self, run: StreamRun, leader: StreamRun) -> None:
        self.run, self.leader = run, leader
        self._samples: deque[tuple[float, int]] = deque()
        self._start: tuple[float, float] | None = None  # when the first row had come, and the share done by then
        self._seen_rows = False

    def look(self, now: float) -> Figures:
        """The figures at this moment.

        Args:
            now: Monotonic seconds.
        """
        run, rows = self.run, self.run.rows
        at_hand = run.current
        # Where several streams are read from the same answers, one of them knows what is asked for.
        ahead = self.leader.current
        plan = (at_hand.plan if at_hand else None) or (ahead.plan if ahead else None)
        of_parts = run.stream.parts
        share = _share(at_hand, plan)
        total = None
        if plan and plan.since is not None:
            at = at_hand.at if at_hand and at_hand.at else plan.since
            rest = max(plan.until - at, timedelta(0))
            total = (at_hand.windows if at_hand else 0) + math.ceil(rest / plan.length)
        number = at_hand.number if at_hand else 0
        if of_parts is not None:
            done = max(number - 1, 0) + (share or 0.0) if plan else number
            share = min(done / of_parts, 1.0) if of_parts else None
        return Figures(
            run.stream.name,
            rows,
            self._rate(now, rows),
            at_hand.windows if at_hand else 0,
            total,
            number,
            of_parts,
            share,
            at_hand.at if at_hand else None,
            self._left(now, rows, share),
        )

    def _rate(self, now: float, rows: int) -> float | None:
        samples = self._samples
        samples.append((now, rows))
        while len(samples) > 2 and samples[1][0] <= now - _HORIZON:  # noqa: PLR2004 - one before the horizon, and now
            samples.popleft()
        since, before = samples[0]
        return (rows - before) / (now - since) if now > since else None

    def _left(self, now: float, rows: int, share: float | None) -> float | None:
        """Seconds left at the pace since the first row: empty years at the beginning pass in no time."""
        if share is None:
            return None
        if self._start is None or (rows and not self._seen_rows):
            self._start, self._seen_rows = (now, share), rows > 0
        since, before = self._start
        if now - since < _SURE_AFTER or share <= before:
            return None
        return (1 - share) * (now - since) / (share - before)


def _share(at_hand: Partition | None, plan: Plan | None) -> float | None:
    """How much of the asked span is done; where everything was asked for, of the span since the first row."""
    if plan is None:
        return None
    since = plan.since or (at_hand.first if at_hand else None)
    if since is None or since >= plan.until:
        return None
    at = (at_hand.at if at_hand else None) or since
    return float(min(max((at - since) / (plan.until - since), 0.0), 1.0))


# -- where it is shown -----------------------------------------------------------------------------


class Shown(Protocol):
    """Where progress is shown."""

    every: float
    """Seconds between two times that it is shown."""

    def show(self, figures: Sequence[Figures]) -> None:
        """Show the streams that are being read; those shown before and not named now have ended."""

    def close(self) -> None:
        """Leave no trace."""


class Lines:
    """A log line for each stream, every few seconds.

    Args:
        logger: Where they go.
    """

    every = LINE_EVERY

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def show(self, figures: Sequence[Figures]) -> None:
        """One line a stream."""
        for each in figures:
            self.logger.info("%s: %s", each.name, each)

    def close(self) -> None:
        """There is nothing to undo."""


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
        self._above = _Above(stream, self._bar)
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


class _Above:
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
        """Whole lines have left already; an unfinished one would be torn by the bars."""

    def finish(self) -> None:
        """Pass on what never became a whole line."""
        if self._line:
            self._stream.write(self._line)
            self._line = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _bar_type() -> Any:
    """A bar of tqdm's that shows our figures, and leaves the cursor where another program may write its line."""
    from tqdm.std import tqdm

    class Bar(tqdm):  # type: ignore[type-arg] # it counts nothing that has a type
        monitor_interval = 0  # no thread of its own: ours draws

        def __init__(self, *, figures: str, **kwargs: Any) -> None:
            self.figures = figures  # the first thing it does is to draw itself
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
        shown: Where to show it.
        clock: Monotonic seconds.
    """

    def __init__(self, run: Run, shown: Shown, clock: Callable[[], float] = time.monotonic) -> None:
        self.run, self.shown, self.clock = run, shown, clock
        self._watched: list[Watched] = []
        self._shown_at = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def look(self) -> None:
        """Look once, and show it when it is time."""
        group = self.run.reading
        reading = [run for run in group if not run.ended]
        if [watched.run for watched in self._watched] != reading:
            self._watched = [Watched(run, group[0]) for run in reading]
        now = self.clock()
        figures = [watched.look(now) for watched in self._watched]
        if now - self._shown_at >= self.shown.every:
            self._shown_at = now
            self.shown.show(figures)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(1.0)
        self.shown.close()

    def _watch(self) -> None:
        try:
            while not self._over.wait(min(self.shown.every, LOOK_EVERY)):
                self.look()
        except Exception:  # what only tells about a run must never stand in its way
            self.run.logger.debug("progress can't be shown", exc_info=True)


@contextmanager
def shown(run: Run) -> Iterator[None]:
    """Show the progress of a run for as long as it lasts."""
    progress = Progress(run, Bars(sys.stderr) if _is_terminal() else Lines(run.logger))
    progress.start()
    try:
        yield
    finally:
        progress.stop()


def _is_terminal() -> bool:
    """Whether bars can be drawn: on a terminal that moves its cursor, and not among records on the same one."""
    try:
        return sys.stderr.isatty() and not sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
    except (AttributeError, ValueError):  # closed, or something that is no file
        return False


__all__ = ["Bars", "Figures", "Lines", "Progress", "Watched", "shown"]
