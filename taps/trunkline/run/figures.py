"""Figures of how far each stream has come, made of what the run has counted, for progress."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from trunkline.run.stream_run import PartitionProgress, ReadSpan, StreamRun

_HORIZON = 30.0  # seconds over which rows per second are averaged
_SURE_AFTER = 3.0  # seconds of reading before the time left is estimated


@dataclass(frozen=True)
class Figures:
    """The progress of one stream.

    Args:
        name: The stream.
        rows: Records written.
        rate: Rows per second of late; None before it is known.
        windows: Windows proven.
        of_windows: How many there may be in all: windows are halved and grow, so it is never certain. None where
            nothing is known.
        part: The place of the partition at hand among `of_parts`, from 1; 0 before the first.
        of_parts: How many partitions there are; None for a stream without partitions.
        share: How much of the requested span of time (or of the partitions) is done, from 0 to 1; None if unknown.
        at: What was read up to.
        left: Seconds that may be left; None before it is known.
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
    """Describe a length of time, as exact as a guess deserves."""
    for unit, size, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 36 * 3600)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


class StreamMeter:
    """One stream, looked at again and again.

    Args:
        run: What counts.
        leader: The stream whose windows are read: another one, where several are read from the same responses.
    """

    def __init__(self, run: StreamRun, leader: StreamRun) -> None:
        self.run, self.leader = run, leader
        self._samples: deque[tuple[float, int]] = deque()
        self._start: tuple[float, float] | None = None  # when the first row had come, and the share done by then
        self._seen_rows = False

    def look(self, now: float) -> Figures:
        """Return the figures at this moment.

        Args:
            now: Monotonic seconds.
        """
        run, rows = self.run, self.run.rows
        at_hand = run.current
        # Where several streams are read from the same responses, one of them knows what is requested.
        ahead = self.leader.current
        plan = (at_hand.span if at_hand else None) or (ahead.span if ahead else None)
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
        """Return the seconds left at the pace since the first row: empty years at the beginning pass in no time."""
        if share is None:
            return None
        if self._start is None or (rows and not self._seen_rows):
            self._start, self._seen_rows = (now, share), rows > 0
        since, before = self._start
        if now - since < _SURE_AFTER or share <= before:
            return None
        return (1 - share) * (now - since) / (share - before)


def _share(at_hand: PartitionProgress | None, plan: ReadSpan | None) -> float | None:
    """Return how much of the requested span is done; where everything was requested, of that since the first row."""
    if plan is None:
        return None
    since = plan.since or (at_hand.first if at_hand else None)
    if since is None or since >= plan.until:
        return None
    at = (at_hand.at if at_hand else None) or since
    return float(min(max((at - since) / (plan.until - since), 0.0), 1.0))
