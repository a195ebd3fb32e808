"""Time for the governor, and what happens in it: no thread, no sleep."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from trunkline.steps.fetch.governor import Governor, Limit

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

WALL = 1_700_000_000.0
LOGGER = logging.getLogger("trunkline.tests")
NEVER = threading.Event()


class World:
    """Time, and what happens in it: it stands in the place of the governor's condition, whose waits let time pass."""

    def __init__(self, limit: Limit | None) -> None:
        self.now = 100.0
        self.events: list[tuple[float, Callable[[], Any]]] = []
        self.governor = Governor(limit, logger=LOGGER, clock=lambda: self.now, wall=lambda: WALL)
        self.governor._changed = self  # type: ignore[assignment] # noqa: SLF001 - the seam where real time would pass

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.pass_until(min([self.now + seconds, *(at for at, _ in self.events)]))

    def notify_all(self) -> None:
        """Nobody waits: one thread plays all parts."""

    def pass_until(self, moment: float) -> None:
        self.now = max(self.now, moment)
        due = [event for event in self.events if event[0] <= self.now]
        self.events = [event for event in self.events if event[0] > self.now]
        for _, act in due:
            act()

    def at(self, moment: float, act: Callable[[], Any]) -> None:
        """Have something happen at a moment."""
        self.events.append((moment, act))
        self.events.sort(key=lambda event: event[0])

    def send(self, latency: float = 0.0, status: int = 200, headers: dict[str, str] | None = None) -> float:
        """Send a request as soon as the governor lets it; its answer comes `latency` later. The moment it was sent."""
        place: AbstractContextManager[Governor] = self.governor.place(NEVER)
        place.__enter__()
        sent = self.now

        def answered() -> None:
            self.governor.learn(status, headers or {})
            place.__exit__(None, None, None)

        self.at(sent + latency, answered)
        if not latency:
            self.pass_until(sent)
        return sent
