"""Verdict on a window: proven, or if not, smaller windows, the next run, or an error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.errors import Unproven
from trunkline.steps.feeds import Proof, WindowProven, WindowUnsettled
from trunkline.steps.fetch.context import ReadOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from trunkline.steps.fetch.context import ReadContext
    from trunkline.steps.plan import Window

    Verdict = Proof | tuple[Window, ...] | WindowUnsettled
    """The proof of a window, or the windows to read in its place, or that its newest part has to wait."""

_ROOM = 1.4  # parts for each page of a window that moves


class Judged(Protocol):
    """The stream, as a decision about a window needs it."""

    grain: timedelta

    def may_wait(self, window: Window) -> bool:
        """Return whether the next run reads this window again anyway."""

    def warn(self, message: str) -> None:
        """Log a warning."""


class ReadingResult(Protocol):
    """A reading, as a decision about a window needs it."""

    pages: int

    @property
    def story(self) -> str:
        """The result, for the error."""

    def equals(self, other: Any) -> bool:
        """Return whether both readings came to the same."""


def judge(stream: Judged, window: Window, readings: Sequence[ReadingResult]) -> tuple[Window, ...] | WindowUnsettled:
    """Decide about a window that was not proven: smaller parts, the next run, or an error."""
    before, last = readings[-2:]
    story = f"{last.story}; in the first reading, {readings[0].story}"
    if not before.equals(last):
        parts = window.cut(max(2, math.ceil(_ROOM * last.pages)), stream.grain)
        if parts:
            stream.warn(f"{window} does not hold still ({story}): it is read in {len(parts)} parts")
            return parts
        if stream.may_wait(window):
            return WindowUnsettled(window, story)
    raise Unproven(
        f"{window} could not be shown complete",
        story,
        "The bookmark stays where it was: run again; if it fails again, report this span to the vendor",
    )


def conclude(
    ctx: ReadContext, window: Window, proofs: Sequence[Proof], unsettled: WindowUnsettled | None
) -> ReadOutcome:
    """Hand out how a window ended whose parts were all read: proven, or left to the next run."""
    if unsettled:
        ctx.emit(unsettled)
        return ReadOutcome()
    proof = Proof.of_parts(proofs)
    ctx.emit(WindowProven(window, proof, ctx.began))
    return ReadOutcome(empty=not proof.rows)
