"""The proof of a chain: its end, no cursor and no page twice, and the vendor's total where there is one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine import scripted
from tests.engine.scripted import SHORTEST, WINDOW, drive

from trunkline.errors import Refused, Unproven
from trunkline.steps.feeds import Proof, WindowProven, WindowUnsettled
from trunkline.steps.fetch.context import ReadContext, ReadOutcome
from trunkline.steps.fetch.exchange import Request
from trunkline.steps.plan import MINUTE, Window
from trunkline.steps.prove import chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trunkline.steps.fetch.context import PendingReply
    from trunkline.steps.prove.pages import Page


def link(keys: Sequence[Any], cursor: str | None = None, total: int | None = None) -> Page:
    """A page that names the next one."""
    page = scripted.page(keys, total)
    page.cursor = cursor
    return page


class Chain(scripted.Script):
    """A stream that plays a chain: the answer to each cursor, and how often it was requested."""

    def __init__(self, follow: Callable[[str | None, int], Any], *, waits: bool = False) -> None:
        super().__init__(waits=waits)
        self.follow = follow
        self.cursors: list[str | None] = []

    def queue_link(self, ctx: ReadContext, window: Window, cursor: str | None) -> PendingReply:  # noqa: ARG002 - as it is called
        return ctx.request(Request("", "/", (("cursor", cursor or ""),)), lambda reply: reply)

    def reply_to(self, pending: PendingReply) -> Any:
        cursor = pending.request.params[0][1] or None
        self.cursors.append(cursor)
        assert len(self.cursors) < 1000
        return self.follow(cursor, self.cursors.count(cursor))


def read(play: Chain, window: Window = WINDOW) -> tuple[ReadOutcome, list[Any]]:
    ctx = ReadContext()
    outcome: ReadOutcome = drive(play, ctx, chain.read_chains([play], window, ctx))
    assert not ctx.queued
    return outcome, [item.value for item in ctx.items]


def test_a_chain_is_read_to_its_end_once() -> None:
    """Each page names the next one; the last one names none."""
    play = Chain(lambda cursor, _: {None: link("ab", "x"), "x": link("cd", "y"), "y": link("e")}[cursor])
    assert read(play) == (ReadOutcome(empty=False), [WindowProven(WINDOW, Proof(5, "pages_ended"))])
    assert ("".join(play.given), play.cursors, play.warnings) == ("abcde", [None, "x", "y"], [])


def test_an_empty_chain_is_one_request() -> None:
    """Nothing there, be it a 204."""
    for nothing in (link(""), None):
        play = Chain(lambda *_, nothing=nothing: nothing)
        assert read(play) == (ReadOutcome(empty=True), [WindowProven(WINDOW, Proof(0, "pages_ended"))])


def test_an_empty_page_in_the_middle_is_no_end() -> None:
    """Some vendors filter a page after they have cut it: only a missing cursor is the end."""
    play = Chain(lambda cursor, _: {None: link("ab", "x"), "x": link("", "y"), "y": link("c")}[cursor])
    read(play)
    assert play.given == list("abc")


@pytest.mark.parametrize("waits", [True, False])
def test_g2_a_total_that_a_chain_does_not_reach_is_an_error_with_both_numbers(waits: bool) -> None:  # noqa: FBT001 - drawn
    """It is read once more; what agrees with itself and not with the total does not wait either."""
    play = Chain(lambda cursor, _: {None: link("ab", "x", 4), "x": link("c", None, 4)}[cursor], waits=waits)
    with pytest.raises(Unproven, match="total is 4, 3 different rows"):
        read(play)
    assert "".join(play.given) == "abc"


@pytest.mark.parametrize(
    ("follow", "why"),
    [
        (lambda cursor, _: link("ab", f"{cursor}x"), "a page came twice"),
        (lambda cursor, time: link([f"{cursor}{time}"], "x" if cursor != "y" else "y"), "a cursor came twice"),
    ],
)
def test_g2_a_chain_that_goes_round_is_an_error(follow: Callable[..., Page], why: str) -> None:
    """A cursor or a page that comes twice is no way to an end."""
    with pytest.raises(Unproven, match=why):
        read(Chain(follow), SHORTEST)


def test_a_cursor_that_expired_is_no_end() -> None:
    """The window is read once more from its beginning, and rows that came are not handed out twice."""

    def follow(cursor: str | None, time: int) -> Any:
        if cursor == "x" and time == 1:
            return Refused("x failed", "the vendor responded with HTTP 400", status=400)
        return {None: link("ab", "x"), "x": link("cd")}[cursor]

    play = Chain(follow)
    read(play)
    assert ("".join(play.given), len(play.warnings)) == ("abcd", 1)
    with pytest.raises(Refused):
        read(Chain(lambda *_: Refused("x failed", status=404)))


def test_a_window_of_too_many_pages_is_halved_by_its_total() -> None:
    """Before a row is handed out."""
    play = Chain(lambda *_: link("ab", "x", 1000))
    assert read(play)[0].split == WINDOW.halves(MINUTE)
    assert play.given == []


def growing(time: int) -> Page:
    return link(range(time + 3), None, time + 4)


def test_a_chain_that_does_not_hold_still_is_read_in_parts_or_waits() -> None:
    """The newest part of a run is handed out and waits for the next one; elsewhere it is an error."""
    assert read(Chain(lambda _, time: growing(time)))[0].split == WINDOW.cut(2, MINUTE)
    with pytest.raises(Unproven):
        read(Chain(lambda _, time: growing(time)), SHORTEST)
    _, (marker,) = read(Chain(lambda _, time: growing(time), waits=True), SHORTEST)
    assert isinstance(marker, WindowUnsettled)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40), st.integers(1, 7), st.integers(0, 2**32), st.booleans(), st.booleans())
def test_g1_g2_what_stays_there_comes_along_any_chain(
    count: int,
    size: int,
    seed: int,
    total: bool,  # noqa: FBT001 - drawn
    moves: bool,  # noqa: FBT001 - same
) -> None:
    """Rows that are there all the time are handed out, however others come and go, or the window is not proven."""
    chance = random.Random(seed)  # noqa: S311 - a drawn seed
    rows = list(range(0, 10 * count, 10))

    def follow(cursor: str | None, _: int) -> Page:
        if moves and chance.random() < 0.2:
            rows.append(chance.randrange(10 * count + 1) * 10 + 5)
            rows.sort()
        behind = [row for row in rows if cursor is None or row > int(cursor)]
        page = behind[:size]
        return link(page, str(page[-1]) if len(behind) > size else None, len(rows) if total else None)

    play = Chain(follow)
    try:
        outcome, _ = read(play)
    except Unproven:
        assert moves
        return
    if not outcome.split:
        assert set(range(0, 10 * count, 10)) <= set(play.given)
