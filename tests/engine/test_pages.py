"""The proof of a window: what does not add up is read once more, and then it is an error with both numbers."""

# ruff: noqa: ARG002 - the fakes keep the signatures of what they stand for

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from trunkline import pages
from trunkline.ahead import Desk, Outcome
from trunkline.client import Reply, Request
from trunkline.errors import Refused, Unproven
from trunkline.instants import EPOCH, SECOND
from trunkline.pages import KeyReader, Page
from trunkline.plan import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trunkline.ahead import Ticket

WINDOW = Window(EPOCH, EPOCH + 8 * SECOND)
LOGGER = logging.getLogger("trunkline.tests")


def page(keys: str, total: int | None = None, *, more: bool | None = None, count: int | None = None) -> Page:
    """A page whose rows have these letters as keys."""
    return Page([msgspec.Raw(b"{}")] * len(keys), lambda _: list(keys), total, more, count)


class Play:
    """A stream that plays answers: by page number, or one list of pages a reading."""

    tick = SECOND
    limit = 4

    def __init__(self, answer: Callable[[int, int], Any], *, first_page: int | None = 1, look_ahead: int = 1) -> None:
        self.answer, self.first_page, self.look_ahead = answer, first_page, look_ahead
        self.longest = 0
        self.asked: list[int] = []
        self.given = ""
        self.warnings: list[str] = []

    def ask_page(self, desk: Desk, window: Window, number: int) -> Ticket:
        return desk.ask(Request(str(number), "/", (("n", str(number)),)), lambda reply: reply)

    def give_page(self, desk: Desk, window: Window, page: Page, reply: Reply) -> None:
        self.given += "".join(page.keys)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def drive(play: Play, desk: Desk, steps: Generator[Ticket, Reply, Any]) -> Any:
    """Run a reading, its requests answered one after the other in the order they are needed."""
    try:
        ticket = next(steps)
        while True:
            number = int(ticket.request.params[0][1])
            if ticket in desk.wanted:
                desk.wanted.remove(ticket)
            ticket.sent = True
            play.asked.append(number)
            assert len(play.asked) < 500
            answer = play.answer(number, play.asked.count(number))
            if isinstance(answer, Exception):
                ticket = steps.throw(answer)
            else:
                ticket = steps.send(Reply(ticket.request, 200, {}, b"", answer))
    except StopIteration as end:
        return end.value


def read(play: Play, window: Window = WINDOW) -> Outcome:
    desk = Desk()
    outcome: Outcome = drive(play, desk, pages.read_together([play], window, desk))
    assert not desk.wanted
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
    play = Play(listed(page("ab", 5), page("cd", 5), page("e", 5)), look_ahead=look_ahead)
    assert read(play) == Outcome(empty=False)
    assert (play.given, play.asked, play.warnings) == ("abcde", [1, 2, 3], [])


def test_a_server_that_caps_its_pages_loses_nothing() -> None:
    """A page shorter than asked for is no last page as long as the total is not reached."""
    play = Play(listed(page("a", 3), page("bc", 3)))
    read(play)
    assert play.given == "abc"


@pytest.mark.parametrize("total", [0, None])
def test_an_empty_window_is_one_request(total: int | None) -> None:
    """Nothing there is an answer; a 204 too."""
    play = Play(lambda *_: page("", total))
    assert read(play) == Outcome(empty=True)
    assert play.asked == [1]
    play = Play(lambda *_: None)
    assert read(play) == Outcome(empty=True)


def test_without_a_total_pages_are_read_until_an_empty_one() -> None:
    """A short page may be a cap: only nothing is the end."""
    play = Play(listed(page("ab"), page("c"), page("d")))
    read(play)
    assert (play.given, play.asked) == ("abcd", [1, 2, 3, 4])


def test_the_vendors_word_that_more_follows_is_taken() -> None:
    """`more` goes beyond a total that is reached in rows but not in pages, and ends where it says so."""
    play = Play(listed(page("ab", 3, more=True), page("c", 3, more=False)))
    read(play)
    assert (play.given, play.asked) == ("abc", [1, 2])


def test_the_vendors_word_that_nothing_follows_is_not_believed_against_its_total() -> None:
    """A total that is not reached wins over a missing link."""
    play = Play(listed(page("ab", 3, more=False), page("c", 3, more=False)))
    read(play)
    assert play.given == "abc"


def test_g1_without_a_total_rows_that_move_between_pages_are_read_again() -> None:
    """A row that comes twice tells that rows moved, and then others may have been passed over."""
    play = Play(lambda number, time: [page("ab"), page("bc" if time == 1 else "cd"), page("")][number - 1])
    read(play)
    assert set(play.given) == set("abcd")
    assert (play.asked, len(play.warnings)) == ([1, 2, 3] * 2, 1)


def test_without_a_total_rows_that_share_a_key_are_taken_when_two_readings_agree() -> None:
    """Two equal calls in a millisecond exist: the same rows twice are what the vendor has."""
    play = Play(listed(page("ab"), page("bc")))
    assert read(play) == Outcome(empty=False)
    assert len(play.warnings) == 2


def test_g1_a_total_that_only_counts_its_page_is_no_end() -> None:
    """Where the vendor says that there are more pages, a total that is reached is not believed before the next one."""
    with pytest.raises(Unproven, match="total says 2, 3 different rows"):
        read(Play(listed(page("ab", 2, count=2), page("c", 2, count=2))))


def test_a_number_of_pages_never_ends_a_window_and_costs_one_request_where_it_is_too_high() -> None:
    """A cap makes more pages than the vendor counts; one that is too many is empty."""
    for count, asked in ((1, [1, 2]), (2, [1, 2]), (9, [1, 2, 3])):
        play = Play(listed(page("ab", 3, count=count), page("c", 3, count=count)))
        assert read(play) == Outcome(empty=False)
        assert (play.given, play.asked, play.warnings) == ("abc", asked, [])


@pytest.mark.parametrize("total", [2, 4])
def test_a_total_that_stays_wrong_fails_with_both_numbers(total: int) -> None:
    """Fewer or more rows than the total, twice: never a proof."""
    play = Play(listed(page("abc", total, more=False)))
    if total == 2:
        play = Play(listed(page("ab", 2, more=True), page("c", 2, more=True)))
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

    play = Play(answer)
    read(play)
    assert play.given == "abbdabcd"
    assert "4, 3 different rows came" in play.warnings[0]


def test_a_total_that_changes_on_the_way_is_no_proof() -> None:
    """A window that grows while it is read is read once more."""

    def answer(number: int, time: int) -> Page:
        return page("ab" if number == 1 else "cd", 3 + (number - 1 if time == 1 else 1))

    play = Play(answer)
    read(play)
    assert play.given == "abcdabcd"
    assert "3 then 4" in play.warnings[0]


def test_rows_that_share_a_key_in_two_readings_are_how_the_vendor_has_them() -> None:
    """As many rows as the total, some keys twice, both times the same: told, and taken."""
    play = Play(lambda number, _: page("aab", 4) if number == 1 else page("c", 4) if number == 2 else page("", 4))
    assert read(play) == Outcome(empty=False)
    assert any("1 of 4 rows share their key" in warning for warning in play.warnings)


@pytest.mark.parametrize("total", [None, 9])
def test_a_server_that_repeats_its_last_page_does_not_go_on_for_ever(total: int | None) -> None:
    """The same page twice is trouble, with or without a total."""
    with pytest.raises(Unproven, match="a page came twice after 4 rows"):
        read(Play(lambda number, _: page("ab" if number == 1 else "cd", total)))


def test_pages_without_an_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that makes up rows is not read until the disk is full."""
    monkeypatch.setattr(pages, "ENDLESS", 20)
    play = Play(lambda number, time: page(chr(1000 * time + number)))
    with pytest.raises(Unproven, match="did not end after 20"):
        read(play)


def test_a_window_that_is_too_large_is_halved_before_anything_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pages than allowed by the vendor's own total: the halves, and no row yet."""
    monkeypatch.setattr(pages, "MOST_PAGES", 2)
    play = Play(lambda *_: page("ab", 5))
    assert read(play).split == WINDOW.halves(SECOND)
    assert (play.given, play.asked) == ("", [1])


def test_a_window_of_exactly_the_most_pages_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred pages are allowed."""
    monkeypatch.setattr(pages, "MOST_PAGES", 2)
    assert not read(Play(listed(page("ab", 4), page("cd", 4)))).split


def test_a_single_tick_is_read_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be halved is read page by page."""
    monkeypatch.setattr(pages, "MOST_PAGES", 1)
    play = Play(listed(page("ab", 4), page("cd", 4)))
    read(play, Window(EPOCH, EPOCH + SECOND))
    assert play.given == "abcd"


# -- how pages are counted -------------------------------------------------------------------------

ROWS = [page("ab", 5), page("cd", 5), page("e", 5)]


def test_a_server_that_counts_from_zero() -> None:
    """Page 0 is a page of its own: learned with the second page."""
    play = Play(listed(*ROWS, base=0), first_page=None)
    read(play)
    assert (play.given, play.first_page, play.warnings) == ("abcde", 0, [])


def test_a_server_that_counts_from_one_and_takes_zero_for_it() -> None:
    """Page 1 is page 0 again: it is not handed out a second time."""
    play = Play(lambda number, _: listed(*ROWS)(max(number, 1), 1), first_page=None)
    read(play)
    assert (play.given, play.first_page, play.warnings) == ("abcde", 1, [])


def test_a_server_that_counts_from_one_and_has_nothing_on_page_zero() -> None:
    """An empty page 0 with a total is no empty window."""
    play = Play(listed(*ROWS), first_page=None)
    assert not read(play).empty
    assert (play.given, play.first_page) == ("abcde", 1)


def test_a_server_that_counts_from_one_and_refuses_page_zero() -> None:
    """The refusal of page 0 is no refusal of the window."""
    play = Play(lambda n, _: Refused("no page 0", status=400) if n == 0 else listed(*ROWS)(n, 1), first_page=None)
    read(play)
    assert (play.given, play.first_page) == ("abcde", 1)


def test_a_refusal_of_the_right_first_page_is_a_refusal() -> None:
    """Where the count is known, nothing is guessed."""
    with pytest.raises(Refused):
        read(Play(lambda *_: Refused("no", status=400)))


def test_a_window_of_a_single_page_teaches_nothing() -> None:
    """Page 0 with all of it does not say where the count begins."""
    play = Play(listed(page("ab", 2), base=0), first_page=None)
    read(play)
    assert (play.given, play.first_page) == ("ab", None)


def test_g1_an_empty_page_0_without_a_total_is_no_empty_window() -> None:
    """Page 1 is asked for too, in each window until one has rows: an empty one does not tell how pages are counted."""
    empty = Play(lambda *_: page(""), first_page=None)
    assert read(empty) == Outcome(empty=True)
    assert (empty.asked, empty.first_page) == ([0, 1], None)
    play = Play(lambda number, _: page("ab" if number == 1 else ""), first_page=None)
    assert read(play) == Outcome(empty=False)
    assert (play.given, play.asked, play.first_page) == ("ab", [0, 1, 2], 1)


def test_a_redirect_is_not_taken_for_a_refused_page() -> None:
    """What is no word about the page does not tell how pages are counted, and is the window's error."""
    moved = Play(lambda *_: Refused("x failed", "a redirect", status=301), first_page=None)
    with pytest.raises(Refused, match="a redirect"):
        read(moved)
    assert moved.asked == [0]


# -- without totals: a span in one answer ----------------------------------------------------------


def whole(rows: dict[int, str], *, cap: int = 4, longest: int = 0, window: Window = WINDOW) -> tuple[Any, Play]:
    """Read a span whose vendor has these rows in each reading and answers with at most `cap`."""
    play = Play(lambda offset, time: page(rows.get(time, rows[1])[offset : offset + cap]))
    play.longest = longest
    desk = Desk()

    def ask(offset: int) -> Ticket:
        return play.ask_page(desk, window, offset)

    def give(page: Page, reply: Reply) -> None:
        play.give_page(desk, window, page, reply)

    question = pages.Question(window, ask, give, lambda _: window.halves(SECOND))
    return drive(play, desk, pages.read_whole(play, question, ask(0))), play


def test_an_answer_shorter_than_the_longest_is_whole() -> None:
    """The server has shown that it can send more."""
    result, play = whole({1: "ab"}, longest=3)
    assert (result, play.given, play.asked) == (2, "ab", [0])


def test_the_longest_answer_so_far_is_whole_if_nothing_stands_behind_it() -> None:
    """A server may cap at any number: the row behind the last one is looked for."""
    result, play = whole({1: "abc"})
    assert (result, play.given, play.asked, play.longest) == (3, "abc", [0, 3], 3)


def test_a_capped_answer_is_halved() -> None:
    """Whether at our limit or at one of the server's own: no row is given, the halves are read."""
    for cap in (4, 2):
        result, play = whole({1: "abcde"}, cap=cap)
        assert result == WINDOW.halves(SECOND)
        assert play.given == ""


def test_an_empty_span_is_one_request() -> None:
    """Nothing there needs no second look."""
    result, play = whole({1: ""})
    assert (result, play.asked) == (0, [0])


def test_a_single_tick_is_paged_and_read_twice() -> None:
    """Rows that move between pages can't be told from missing ones: two readings must agree."""
    tick = Window(EPOCH, EPOCH + SECOND)
    result, play = whole({1: "abcdefghi"}, window=tick)
    assert result == 9
    assert set(play.given) == set("abcdefghi")
    with pytest.raises(Unproven, match="9 different rows, a second one 8"):
        whole({1: "abcdefghi", 2: "abcdefgh"}, window=tick)


def test_a_server_that_ignores_the_offset_is_found_out() -> None:
    """The same page for ever is an error that says where."""
    play = Play(lambda *_: page("abcd"))
    desk, tick = Desk(), Window(EPOCH, EPOCH + SECOND)

    def ask(offset: int) -> Ticket:
        return play.ask_page(desk, tick, offset)

    question = pages.Question(tick, ask, lambda *_: None, lambda _: tick.halves(SECOND))
    with pytest.raises(Unproven, match="offset 4 brought nothing new"):
        drive(play, desk, pages.read_whole(play, question, ask(0)))


# -- keys ------------------------------------------------------------------------------------------


def test_a_key_is_what_the_named_fields_hold() -> None:
    """Of several fields, null or left out alike; the rest of the row is not looked at."""
    read_key = KeyReader(("a", "b"))
    rows = [b'{"a":1,"b":"x","c":{}}', b'{"b":"x","a":1}', b'{"a":1}', b'{"a":1,"b":null}', b'{"a":"1","b":"x"}']
    one, same, left_out, null, text = read_key([msgspec.Raw(row) for row in rows])
    assert one == same != left_out == null
    assert text not in (one, null)
    assert len({one, same, left_out, null, text}) == 3


@pytest.mark.parametrize("row", [b"[]", b"5", b'{"a":[1]}', b'{"a":"\xff"}'])
def test_a_row_with_a_strange_key_stands_for_itself(row: bytes) -> None:
    """Its error comes when its turn comes, with its place in the order."""
    key, other = KeyReader(("a",))([msgspec.Raw(row), msgspec.Raw(b'{"a":1}')])
    assert key == row
    assert other != row
