"""The proof of a span without a total: one answer with nothing behind its last row, or two readings that agree."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.scripted import SHORTEST, WINDOW, Script, drive, page

from trunkline.errors import Refused, Unproven
from trunkline.steps.feeds import Proof, WindowUnsettled
from trunkline.steps.fetch.context import ReadContext
from trunkline.steps.plan import MINUTE, Window
from trunkline.steps.prove import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.steps.fetch.context import PendingReply
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.prove.pages import Page

LIMIT = 4


def ask(answer: Callable[[int, int], Page | Refused], window: Window = WINDOW, **facts: Any) -> tuple[Any, Script]:
    """Read a span whose vendor answers by offset and limit."""
    play, ctx = Script(sized=answer), ReadContext()

    def queue(offset: int, limit: int) -> PendingReply:
        return play.queue_page(ctx, window, offset, limit)

    def give(page: Page, reply: Reply) -> None:
        play.emit_page(ctx, window, page, reply)

    question = whole.SpanSource(window, LIMIT, queue, give, lambda _: window.halves(MINUTE) or (), **facts)
    result = drive(play, ctx, whole.read_whole(question, queue(0, LIMIT)))
    return result.rows if isinstance(result, Proof) else result, play


def listed(rows: str, cap: int = 100) -> Callable[[int, int], Page]:
    """The rows from an offset on, as many as requested or as the server's cap lets through."""
    return lambda offset, limit: page(rows[offset : offset + min(limit, cap)])


def test_g2_an_answer_is_whole_when_nothing_stands_behind_its_last_row() -> None:
    """Not when it is shorter than another one: the row behind it is requested alone, which is cheap."""
    result, play = ask(listed("abc"))
    assert (result, "".join(play.given), play.requests) == (3, "abc", [(0, LIMIT), (3, 1)])


def refusing(rows: str, status: int = 404) -> Callable[[int, int], Page | Refused]:
    """The rows from an offset on; behind the last one, a refusal."""
    answer = listed(rows)
    return lambda offset, limit: answer(offset, limit) if offset < len(rows) else Refused("rows", status=status)


@pytest.mark.parametrize(("window", "rows"), [(WINDOW, "abc"), (SHORTEST, "abc"), (SHORTEST, "abcdefghi")])
def test_g1_a_404_behind_the_last_row_is_the_end_while_that_row_is_there(window: Window, rows: str) -> None:
    """It would else fail the stream for ever, or skip its partition as one that is not there."""
    result, play = ask(refusing(rows), window)
    assert (result, "".join(play.given)) == (len(rows), rows)
    assert (len(rows) - 1, 1) in play.requests


@pytest.mark.parametrize("gone", [lambda: Refused("rows", status=404), lambda: page(""), lambda: page("z")])
def test_g2_a_404_is_no_end_where_the_last_row_is_gone_as_well(gone: Callable[[], Page | Refused]) -> None:
    """Then it is the list that is not there, or an offset that counts something else."""
    with pytest.raises(Refused):
        ask(lambda offset, _: gone() if offset == 2 else page("abc") if not offset else Refused("rows", status=404))


def test_g2_no_other_refusal_is_an_end() -> None:
    """A 400 may mean any part of the request."""
    with pytest.raises(Refused):
        ask(refusing("abc", status=400))


@pytest.mark.parametrize("cap", [4, 2, 1])
def test_a_capped_answer_is_split(cap: int) -> None:
    """Whether at our limit or at one of the server's own: no row is given, the smaller spans are read."""
    result, play = ask(listed("abcde", cap))
    assert result == WINDOW.halves(MINUTE)
    assert not play.given


def test_an_empty_span_is_one_request() -> None:
    """Nothing there needs no second look."""
    result, play = ask(listed(""))
    assert (result, play.asked) == (0, [0])


@pytest.mark.parametrize("cap", [100, 3, 1])
def test_the_shortest_span_is_paged_and_read_twice(cap: int) -> None:
    """Rows that move between pages can't be told from missing ones: two readings must agree, and give each row once."""
    result, play = ask(listed("abcdefghi", cap), SHORTEST)
    assert (result, "".join(play.given)) == (9, "abcdefghi")
    assert play.requests.count((9, LIMIT)) == 2


def changing(readings: list[str]) -> Callable[[int, int], Page]:
    """Other rows in each reading, the last ones for ever."""
    left = iter(readings)
    now = [next(left)]

    def answer(offset: int, limit: int) -> Page:
        if offset >= len(now[0]):
            now[0] = next(left, now[0])
            return page("")
        return page(now[0][offset : offset + limit])

    return answer


def test_readings_that_differ_are_repeated_until_two_agree() -> None:
    """A row that was passed over in one of them comes with the next."""
    result, play = ask(changing(["abcdefgh", "abcdefghi", "abcdefghi"]), SHORTEST)
    assert (result, set(play.given)) == (9, set("abcdefghi"))


def test_g2_readings_that_never_agree_fail_but_in_the_newest_part_of_a_run() -> None:
    """There the rows are handed out, and the next run reads the span again."""
    moving = ["abcdefghi"[:n] for n in range(5, 10)]
    with pytest.raises(Unproven, match="none of those before it the same ones"):
        ask(changing(moving), SHORTEST)
    result, play = ask(changing(moving), SHORTEST, may_wait=True)
    assert isinstance(result, WindowUnsettled)
    assert set(play.given) == set("abcdefgh")


def test_where_rows_may_leave_at_any_time_nothing_new_is_agreement() -> None:
    """Requests that are open close while they are read, and are found among the closed ones."""
    result, play = ask(changing(["abcdefghi", "abcdefgh"]), SHORTEST, may_leave=True)
    assert (result, "".join(play.given)) == (8, "abcdefghi")


@pytest.mark.parametrize("answer", [lambda *_: page("abcd"), lambda *_: page("ab")])
def test_g2_a_server_that_ignores_the_offset_is_found_out(answer: Callable[[int, int], Page]) -> None:
    """The same page for ever is an error that says where, also in the newest part of a run."""
    with pytest.raises(Unproven, match="brought nothing new: the vendor seems to ignore the offset"):
        ask(answer, SHORTEST, may_wait=True)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 40), st.lists(st.integers(1, 6), min_size=1, max_size=40), st.integers(0, 2**32), st.booleans())
def test_g1_g4_whatever_caps_each_answer_every_row_comes_or_the_span_is_split(
    count: int,
    caps: list[int],
    seed: int,
    grows: bool,  # noqa: FBT001 - drawn
) -> None:
    """A cap by bytes or by load, one that sinks, rows that come meanwhile: nothing that was there is missing."""
    chance, fresh = random.Random(seed), itertools.count(1000)  # noqa: S311 - a drawn seed
    rows, cap = list(range(count)), itertools.cycle(caps)

    def answer(offset: int, limit: int) -> Page:
        if grows and chance.random() < 0.1:
            rows.insert(chance.randrange(len(rows) + 1), next(fresh))
        return page(rows[offset : offset + min(limit, next(cap))])

    for window in (WINDOW, SHORTEST):
        try:
            result, play = ask(answer, window)
        except Unproven:
            assert grows
            continue
        if isinstance(result, int):
            assert set(range(count)) <= set(play.given)
