"""The proof of a window whose pages have numbers: what does not add up is read again, in smaller parts, or an error."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.scripted import SHORTEST, WINDOW, Script, drive, page

from trunkline.errors import Refused, Unproven
from trunkline.steps.feeds import WindowProven, WindowUnsettled
from trunkline.steps.fetch.context import ReadContext, ReadOutcome
from trunkline.steps.plan import MINUTE, Window
from trunkline.steps.prove import numbered, window_reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from trunkline.steps.prove.pages import Page


def read(play: Script, window: Window = WINDOW) -> ReadOutcome:
    """Read a window, which ends with a marker unless it is split."""
    ctx = ReadContext()
    outcome: ReadOutcome = drive(play, ctx, numbered.read_together([play], window, ctx))
    assert not ctx.queued
    markers = [item.value for item in ctx.items]
    assert [type(marker) for marker in markers] == (
        [] if outcome.split else [WindowUnsettled if play.waited else WindowProven]
    )
    return outcome


def listed(*answers: Page, base: int = 1) -> Callable[[int, int], Page]:
    """The same pages in every reading; an empty one behind the last."""
    return lambda number, _: (
        answers[number - base] if base <= number < base + len(answers) else page("", answers[0].total)
    )


# -- pages with numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("look_ahead", [1, 16])
def test_pages_up_to_the_total_are_a_proof(look_ahead: int) -> None:
    """As many different rows as the vendor says there are: read once, in order, without a page too many."""
    play = Script(listed(page("ab", 5), page("cd", 5), page("e", 5)), look_ahead=look_ahead)
    assert read(play) == ReadOutcome(empty=False)
    assert ("".join(play.given), play.asked, play.warnings) == ("abcde", [1, 2, 3], [])


def test_a_server_that_caps_its_pages_loses_nothing() -> None:
    """A page shorter than asked for is no last page as long as the total is not reached."""
    play = Script(listed(page("a", 3), page("bc", 3)))
    read(play)
    assert "".join(play.given) == "abc"


@pytest.mark.parametrize("total", [0, None])
def test_an_empty_window_is_one_request(total: int | None) -> None:
    """Nothing there is an answer; a 204 too."""
    play = Script(lambda *_: page("", total))
    assert read(play) == ReadOutcome(empty=True)
    assert play.asked == [1]
    play = Script(lambda *_: None)
    assert read(play) == ReadOutcome(empty=True)


def test_without_a_total_full_pages_are_read_until_an_empty_one_and_once_more() -> None:
    """Only nothing is the end, and only a second reading shows that no row moved past a page."""
    play = Script(listed(page("ab"), page("cd"), page("ef")))
    read(play)
    assert ("".join(play.given), play.asked, play.warnings) == ("abcdef", [1, 2, 3, 4] * 2, [])


def test_without_a_total_a_single_page_is_proven_by_nothing_behind_its_last_row() -> None:
    """A page that is shorter than requested may be cut off: the row behind it is requested, by a page of its size."""
    play = Script(listed(page("abc")), page_size=100)
    read(play)
    assert ("".join(play.given), play.requests) == ("abc", [(1, 100), (2, 3)])


def test_the_vendors_word_that_more_follows_is_taken() -> None:
    """`more` goes beyond a total that is reached in rows but not in pages, and ends where it says so."""
    play = Script(listed(page("ab", 3, more=True), page("c", 3, more=False)))
    read(play)
    assert ("".join(play.given), play.asked) == ("abc", [1, 2])


def test_the_vendors_word_that_nothing_follows_is_not_believed_against_its_total() -> None:
    """A total that is not reached wins over a missing link."""
    play = Script(listed(page("ab", 3, more=False), page("c", 3, more=False)))
    read(play)
    assert "".join(play.given) == "abc"


def test_g1_without_a_total_rows_that_move_between_pages_are_read_until_two_readings_agree() -> None:
    """A row that slipped to a page already read is missing once; only two readings that agree are a proof."""
    play = Script(lambda number, time: [page("ab"), page("de" if time == 1 else "cd"), page("")][number - 1])
    read(play)
    assert set(play.given) == set("abcde")
    assert (play.asked, len(play.warnings)) == ([1, 2, 3] * 3, 1)


def test_without_a_total_rows_that_share_a_key_are_taken_when_two_readings_agree() -> None:
    """Two equal calls in a millisecond exist: the same rows twice are what the vendor has."""
    play = Script(listed(page("ab"), page("bc")))
    assert read(play) == ReadOutcome(empty=False)
    assert len(play.warnings) == 2


def test_g1_a_total_that_only_counts_its_page_is_no_end() -> None:
    """Where the vendor says that there are more pages, a total that is reached is not believed before the next one."""
    with pytest.raises(Unproven, match="total is 2, 3 different rows"):
        read(Script(listed(page("ab", 2, count=2), page("c", 2, count=2))))


def test_a_number_of_pages_never_ends_a_window_and_costs_one_request_where_it_is_too_high() -> None:
    """A cap makes more pages than the vendor counts; one that is too many is empty."""
    for count, asked in ((1, [1, 2]), (2, [1, 2]), (9, [1, 2, 3])):
        play = Script(listed(page("ab", 3, count=count), page("c", 3, count=count)))
        assert read(play) == ReadOutcome(empty=False)
        assert ("".join(play.given), play.asked, play.warnings) == ("abc", asked, [])


@pytest.mark.parametrize("total", [2, 4])
def test_a_total_that_stays_wrong_fails_with_both_numbers(total: int) -> None:
    """Fewer or more rows than the total, twice: never a proof."""
    play = Script(listed(page("abc", total, more=False)))
    if total == 2:
        play = Script(listed(page("ab", 2, more=True), page("c", 2, more=True)))
    with pytest.raises(Unproven, match=r"could not be shown complete.*first reading.*bookmark stays") as caught:
        read(play)
    assert str(total) in caught.value.why
    assert len(play.warnings) == 1


def test_rows_that_move_while_they_are_read_are_read_once_more() -> None:
    """A row that slipped to a page already read is missing once, and there in the second reading."""

    def answer(number: int, time: int) -> Page:
        first = {1: page("ab", 4), 2: page("bd", 4), 3: page("", 4)}
        second = {1: page("ab", 4), 2: page("cd", 4)}
        return (first if time == 1 else second)[number]

    play = Script(answer)
    read(play)
    assert "".join(play.given) == "abbdc"
    assert "4, 3 different rows came" in play.warnings[0]


def test_a_total_that_changes_on_the_way_is_no_proof() -> None:
    """A window that grows while it is read is read once more."""

    def answer(number: int, time: int) -> Page:
        return page("ab" if number == 1 else "cd", 3 + (number - 1 if time == 1 else 1))

    play = Script(answer)
    read(play)
    assert "".join(play.given) == "abcd"
    assert "3 then 4" in play.warnings[0]


def test_rows_that_share_a_key_in_two_readings_are_how_the_vendor_has_them() -> None:
    """As many rows as the total, some keys twice, both times the same: told, and taken."""
    play = Script(lambda number, _: page("aab", 4) if number == 1 else page("c", 4) if number == 2 else page("", 4))
    assert read(play) == ReadOutcome(empty=False)
    assert any("1 of 4 rows share their key" in warning for warning in play.warnings)


@pytest.mark.parametrize("total", [None, 9])
def test_a_server_that_repeats_its_last_page_does_not_go_on_for_ever(total: int | None) -> None:
    """The same page twice is trouble, with or without a total."""
    with pytest.raises(Unproven, match="a page came twice after 4 rows"):
        read(Script(lambda number, _: page("ab" if number == 1 else "cd", total)))


def test_pages_without_an_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that makes up rows is not read until the disk is full."""
    monkeypatch.setattr(window_reading, "ENDLESS", 20)
    with pytest.raises(Unproven, match="did not end after 20"):
        read(Script(lambda number, _: page([number]), page_size=1), SHORTEST)


def test_g5_without_a_total_a_window_of_too_many_pages_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of a window is bounded, whether the vendor says how much it holds or not."""
    monkeypatch.setattr(window_reading, "MOST_PAGES", 5)
    play = Script(lambda number, _: page([number]), page_size=1)
    outcome = read(play)
    assert (outcome.split, play.given) == (WINDOW.cut(16, MINUTE), [1, 2, 3, 4, 5])


def test_a_window_that_is_too_large_is_halved_before_anything_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pages than allowed by the vendor's own total: the halves, and no row yet."""
    monkeypatch.setattr(window_reading, "MOST_PAGES", 2)
    play = Script(lambda *_: page("ab", 5))
    assert read(play).split == WINDOW.halves(MINUTE)
    assert ("".join(play.given), play.asked) == ("", [1])


def test_a_window_of_exactly_the_most_pages_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred pages are allowed."""
    monkeypatch.setattr(window_reading, "MOST_PAGES", 2)
    assert not read(Script(listed(page("ab", 4), page("cd", 4)))).split


def test_a_single_tick_is_read_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be halved is read page by page."""
    monkeypatch.setattr(window_reading, "MOST_PAGES", 1)
    play = Script(listed(page("ab", 4), page("cd", 4)))
    read(play, SHORTEST)
    assert "".join(play.given) == "abcd"


@pytest.mark.parametrize(("tolerance", "read_whole"), [(8 * MINUTE, True), (3 * MINUTE, False), (None, False)])
def test_a_half_that_holds_as_much_as_the_whole_is_not_halved_again(
    monkeypatch: pytest.MonkeyPatch,
    tolerance: timedelta | None,
    read_whole: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A filter that rounds to whole days brings the day for each of its parts: within that reach it is read once."""
    monkeypatch.setattr(window_reading, "MOST_PAGES", 1)
    play = Script(listed(page("ab", 4), page("cd", 4)))
    play.rounds_within = tolerance
    halves: Any = read(play).split
    assert halves
    assert bool(read(play, halves[0]).split) is not read_whole
    smaller = Script(listed(page("ab", 3), page("c", 3)))
    smaller.rounds_within = tolerance
    assert read(smaller, halves[1]).split, "a half that holds less is halved again"


@pytest.mark.parametrize(("total", "parts"), [(4, 4), (9, 8), (None, 4)])
def test_g1_a_page_that_comes_twice_is_read_in_parts_where_the_vendor_may_not_look_at_its_number(
    total: int | None, parts: int
) -> None:
    """The first page whatever is requested: the window is split by how many pages it holds, and nothing is proven."""
    play = Script(lambda *_: page("ab", total))
    play.may_ignore_page = True
    assert read(play).split == WINDOW.cut(parts, MINUTE)
    assert (play.asked, play.warnings) == ([1, 2], [])


def test_g2_a_page_that_comes_twice_in_the_shortest_span_is_an_error() -> None:
    """What can't be split further is not called complete."""
    play = Script(lambda *_: page("ab", 4))
    play.may_ignore_page = True
    with pytest.raises(Unproven, match="a page came twice after 2 rows"):
        read(play, SHORTEST)


# -- a vendor that pages in its own way, and whose rows move --------------------------------------------------------


class Vendor:
    """Lists rows in pages, as configured.

    Attributes:
        rows: What is there, in the vendor's order.
        cap: Rows of a page, at most; a function of how many requests came may make it sink or jump.
        by_size: Whether pages are counted by the size that was requested, whatever the cap makes of them.
        total: Whether it says how many rows there are.
        more: Whether it says that pages follow.
        past: What comes behind the last page: `empty`, `404`, or `400`.
        moves: What to do to the rows before an answer is made.
    """

    def __init__(self, count: int, **facts: Any) -> None:
        self.rows = list(range(count))
        self.cap: Callable[[int], int] = lambda _: 100
        self.by_size, self.total, self.more, self.past, self.base = True, False, False, "empty", 1
        self.moves: Callable[[int, list[int]], None] = lambda *_: None
        self.count = 0
        vars(self).update(facts)

    def __call__(self, number: int, size: int) -> Page | Refused | None:
        self.count += 1
        self.moves(self.count, self.rows)
        sent = min(size, self.cap(self.count))
        first = (number - self.base) * (size if self.by_size else sent)
        rows = self.rows[first : first + sent]
        if first >= max(len(self.rows), 1) and self.past != "empty":
            return Refused("x failed", "nothing there", status=int(self.past))
        follows = first + (size if self.by_size else sent) < len(self.rows)
        return page(rows, len(self.rows) if self.total else None, more=follows if self.more else None)


@pytest.mark.parametrize("cap", [3, 7, 50, 60, 99])
@pytest.mark.parametrize("count", [60, 100, 240, 250])
@pytest.mark.parametrize("facts", [{}, {"total": True}, {"more": True}, {"by_size": False}])
def test_g1_a_server_that_numbers_pages_by_the_requested_size_and_sends_less_loses_nothing(
    cap: int, count: int, facts: dict[str, Any]
) -> None:
    """A page shorter than requested with more behind it: pages are requested at that size."""
    play = Script(sized=Vendor(count, cap=lambda _: cap, **facts), page_size=100)
    assert not read(play).split
    assert sorted(set(play.given)) == list(range(count))


@pytest.mark.parametrize("past", ["404", "400"])
@pytest.mark.parametrize("count", [3, 10, 25])
def test_g1_behind_the_last_page_a_vendor_that_says_so_may_refuse(past: str, count: int) -> None:
    """It said that no page follows: a 404 behind it says the same, and the window is complete."""
    play = Script(sized=Vendor(count, more=True, past=past), page_size=10)
    read(play)
    assert sorted(set(play.given)) == list(range(count))


def test_g1_a_404_behind_the_last_page_is_its_end_without_a_word_before() -> None:
    """The same page answered before: the route is there, and only this page of it is not."""
    play = Script(sized=Vendor(25, past="404"), page_size=10)
    read(play)
    assert sorted(play.given) == list(range(25))
    with pytest.raises(Refused):
        read(Script(lambda *_: Refused("x failed", status=404)))


def test_g1_pages_with_holes_are_read_with_two_sizes() -> None:
    """Rows that are counted and not shown make pages shorter than requested: nothing is missing all the same."""

    def holes(number: int, size: int) -> Page:
        first = (number - 1) * size
        return page([row for row in range(first, min(first + size, 250)) if row % 10])

    play = Script(sized=holes, page_size=100)
    assert not read(play).split
    assert sorted(set(play.given)) == [row for row in range(250) if row % 10]


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 12),
    cap=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    facts=st.fixed_dictionaries({
        "by_size": st.booleans(), "total": st.booleans(), "more": st.booleans(),
        "past": st.sampled_from(["empty", "404"]), "base": st.sampled_from([0, 1]),
    }),
    change=st.sampled_from(["none", "delete", "insert", "both"]),
    look_ahead=st.sampled_from([1, 4]),
)  # fmt: skip
def test_g1_g2_whatever_moves_and_however_pages_are_cut_what_was_there_comes_or_the_window_is_not_proven(  # noqa: PLR0917 - the vendor's ways
    count: int, size: int, cap: int, seed: int, facts: dict[str, Any], change: str, look_ahead: int
) -> None:
    """Rows that stay there for the whole reading are handed out, unless the window is split or fails."""
    chance = random.Random(seed)  # noqa: S311 - a drawn seed
    fresh = itertools.count(1000)

    def moves(_: int, rows: list[int]) -> None:
        if change in {"delete", "both"} and rows and chance.random() < 0.15:
            rows.pop(chance.randrange(len(rows)))
        if change in {"insert", "both"} and chance.random() < 0.15:
            rows.insert(chance.randrange(len(rows) + 1), next(fresh))

    vendor = Vendor(count, moves=moves, cap=lambda _: cap, **facts)
    play = Script(sized=vendor, page_size=size, look_ahead=look_ahead, first_page=facts["base"])
    try:
        outcome = read(play)
    except (Unproven, Refused):  # refused: a page that the one before it announced
        assert change != "none"
        return
    # A total says nothing where as many rows come as go, and neither does what stands behind a single page that is cut.
    certain = change == "none" or (change != "both" if facts["total"] else count >= size <= cap)
    if not outcome.split and certain:
        assert set(range(count)) & set(vendor.rows) <= set(play.given)


def test_a_window_that_does_not_hold_still_is_read_in_parts() -> None:
    """Its total changes at every reading: the older part may hold still, and is proven alone."""

    def grows(_: int, rows: list[int]) -> None:
        rows.append(len(rows))

    play = Script(sized=Vendor(30, total=True, moves=grows), page_size=10)
    outcome = read(play)
    assert outcome.split == WINDOW.cut(6, MINUTE)
    assert len(outcome.split) > 2


def test_g2_only_the_newest_part_of_a_run_may_wait_for_the_next_one() -> None:
    """A span too short to be split that moves all the time: handed out and not proven, or an error."""

    def grows(_: int, rows: list[int]) -> None:
        rows.append(len(rows))

    play = Script(sized=Vendor(30, total=True, moves=grows), page_size=10)
    with pytest.raises(Unproven):
        read(play, SHORTEST)
    play = Script(sized=Vendor(30, total=True, moves=grows), page_size=10, waits=True)
    play.waited = True
    assert not read(play, SHORTEST).split
    assert set(range(30)) <= set(play.given)


def test_g2_a_total_that_is_wrong_in_the_same_way_twice_does_not_wait() -> None:
    """Readings that agree with each other and not with the total are no window that moves."""
    with pytest.raises(Unproven, match="total is 4"):
        read(Script(listed(page("ab", 4), page("c", 4)), waits=True), SHORTEST)


# -- how pages are counted -------------------------------------------------------------------------

ROWS = [page("ab", 5), page("cd", 5), page("e", 5)]


def test_a_server_that_counts_from_zero() -> None:
    """Page 0 is a page of its own: learned with the second page."""
    play = Script(listed(*ROWS, base=0), first_page=None)
    read(play)
    assert ("".join(play.given), play.first_page, play.warnings) == ("abcde", 0, [])


def test_a_server_that_counts_from_one_and_takes_zero_for_it() -> None:
    """Page 1 is page 0 again: it is not handed out a second time."""
    play = Script(lambda number, _: listed(*ROWS)(max(number, 1), 1), first_page=None)
    read(play)
    assert ("".join(play.given), play.first_page, play.warnings) == ("abcde", 1, [])


def test_g1_page_1_is_page_0_again_also_when_a_row_went_in_between() -> None:
    """Taken for two pages, page 0 would come twice in every reading of the run, and nothing could be shown."""
    rows = list(range(60))

    def answer(number: int, times: int) -> Page:
        if number == 1 and times == 1:
            del rows[5]
        start = max(number - 1, 0) * 25
        return page(rows[start : start + 25])

    play = Script(answer, first_page=None, page_size=25)
    assert not read(play).empty
    assert (set(play.given), play.first_page) == (set(range(60)), 1)


def test_g1_a_page_0_of_its_own_stays_one_when_rows_come_in_at_the_front() -> None:
    """A few rows of page 0 on page 1 are no page 0."""
    rows = list(range(60))

    def answer(number: int, times: int) -> Page:
        if number == 1 and times == 1:
            rows[:0] = range(-6, 0)
        return page(rows[number * 25 : (number + 1) * 25])

    play = Script(answer, first_page=None, page_size=25)
    assert not read(play).empty
    assert (set(play.given), play.first_page) == (set(range(-6, 60)), 0)


def test_a_server_that_counts_from_one_and_has_nothing_on_page_zero() -> None:
    """An empty page 0 with a total is no empty window."""
    play = Script(listed(*ROWS), first_page=None)
    assert not read(play).empty
    assert ("".join(play.given), play.first_page) == ("abcde", 1)


def test_a_server_that_counts_from_one_and_refuses_page_zero() -> None:
    """The refusal of page 0 is no refusal of the window."""
    play = Script(lambda n, _: Refused("no page 0", status=400) if n == 0 else listed(*ROWS)(n, 1), first_page=None)
    read(play)
    assert ("".join(play.given), play.first_page) == ("abcde", 1)


def test_a_refusal_of_the_right_first_page_is_a_refusal() -> None:
    """Where the count is known, nothing is guessed."""
    with pytest.raises(Refused):
        read(Script(lambda *_: Refused("no", status=400)))


def test_a_window_of_a_single_page_teaches_nothing() -> None:
    """Page 0 with all of it does not say where the count begins."""
    play = Script(listed(page("ab", 2), base=0), first_page=None)
    read(play)
    assert ("".join(play.given), play.first_page) == ("ab", None)


def test_g1_an_empty_page_0_without_a_total_is_no_empty_window() -> None:
    """Page 1 is asked for too, in each window until one has rows: an empty one does not tell how pages are counted."""
    empty = Script(lambda *_: page(""), first_page=None)
    assert read(empty) == ReadOutcome(empty=True)
    assert (empty.asked, empty.first_page) == ([0, 1], None)
    play = Script(lambda number, _: page("ab" if number == 1 else ""), first_page=None, page_size=9)
    assert read(play) == ReadOutcome(empty=False)
    assert ("".join(play.given), play.asked, play.first_page) == ("ab", [0, 1, 2], 1)


def test_a_redirect_is_not_taken_for_a_refused_page() -> None:
    """What is no word about the page does not tell how pages are counted, and is the window's error."""
    moved = Script(lambda *_: Refused("x failed", "a redirect", status=301), first_page=None)
    with pytest.raises(Refused, match="a redirect"):
        read(moved)
    assert moved.asked == [0]
