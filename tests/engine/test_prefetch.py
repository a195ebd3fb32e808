"""Looking ahead: what comes out is the same for any number of workers, and so is where it ends."""

# ruff: noqa: ARG002 - the fakes keep the signatures of what they stand for

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline.errors import Refused, Stopped, Unavailable
from trunkline.instants import EPOCH, SECOND
from trunkline.steps import feeds
from trunkline.steps.fetch import prefetch as module
from trunkline.steps.fetch.client import Cancelled
from trunkline.steps.fetch.context import FeedFailed, ReadContext, ReadOutcome
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.fetch.prefetch import Prefetcher
from trunkline.steps.fetch.workers import Workers
from trunkline.steps.plan import Pace, Window
from trunkline.steps.prove import numbered, pages, window_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from trunkline.steps.fetch.context import PendingReply


class FakeClient:
    """Answers in random order after a millisecond or less; keeps count of who is in flight."""

    def __init__(self, answer: Callable[[Request], bytes] = lambda _: b"x", *, seed: int | None = 0) -> None:
        self.answer, self.random = answer, random.Random(seed)  # noqa: S311 - only an order
        self.hurried = seed is None
        self.succeeded, self.second = threading.Event(), threading.Event()
        self.patience = 0.0  # seconds that the first request waits for a second one, before it has succeeded
        self.sent: list[str] = []
        self.in_flight = self.most = self.most_before_the_first_success = 0
        self.lock = threading.Lock()

    def fetch(self, request: Request, open_body: Callable[[Reply], Any], cancelled: threading.Event) -> Reply:
        with self.lock:
            if cancelled.is_set():
                raise Cancelled
            self.sent.append(request.about)
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            if not self.succeeded.is_set():
                self.most_before_the_first_success = max(self.most_before_the_first_success, self.in_flight)
            if self.in_flight > 1:
                self.second.set()
            pause = 0 if self.hurried else self.random.choice((0, 0, 0, 0.0003))
        try:
            if self.patience and not self.succeeded.is_set():
                self.second.wait(self.patience)
            if pause:
                time.sleep(pause)  # the answers' order is what is tried here
            reply = Reply(request, 200, {}, self.answer(request))
            return Reply(request, 200, {}, reply.body, open_body(reply))
        finally:
            with self.lock:
                self.in_flight -= 1
                self.succeeded.set()


@dataclass
class Source:
    """A vendor's rows, one for each second listed; pages of two; a window of more than three pages is too large."""

    name: str
    seconds: Sequence[int]
    look_ahead: int = 4
    first_page: int | None = 1
    page_size = 2
    grain = SECOND
    rounds_within: timedelta | None = None
    may_ignore_page = False
    warnings: list[str] = field(default_factory=list)

    def queue_page(self, ctx: ReadContext, window: Window, number: int, size: int) -> PendingReply:
        assert size == self.page_size
        assert window.since is not None
        since, until = (window.since - EPOCH) // SECOND, (window.until - EPOCH) // SECOND
        inside = [second for second in self.seconds if since <= second < until]
        page = inside[2 * (number - 1) : 2 * number]
        about = f"{self.name} {since}-{until} p{number}"
        return ctx.request(Request(about, "/"), lambda _: pages.Page([b"row"] * len(page), lambda _: page, len(inside)))  # type: ignore[list-item]

    def emit_page(self, ctx: ReadContext, window: Window, page: pages.Page, reply: Reply) -> None:
        for key in page.keys:
            ctx.emit((self.name, key))

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def read(self, job: Window, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
        return (yield from numbered.read_together([self], job, ctx))

    def may_wait(self, window: Window) -> bool:
        return False

    def feed(self, *, until: int, length: int) -> feeds.WindowFeed:
        pace = Pace(EPOCH, EPOCH + until * SECOND, length * SECOND)
        return feeds.WindowFeed(feeds.Jobs([], pace), self.read, {"name": self.name}, [])


class Plain:
    """A feed of jobs that each ask for one thing."""

    def __init__(self, name: str, number: int, *, later: bool = False) -> None:
        self.name, self.left, self.later = name, list(range(number)), later
        self.context: Mapping[str, Any] = {}
        self.listeners: Sequence[Any] = []

    def upcoming(self) -> Iterator[Hashable]:
        yield from list(self.left)

    def read(self, job: int, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
        pending = ctx.request(Request(f"{self.name}{job}", "/", stream=self.name), lambda reply: reply.body, owner=self)
        if self.later:
            ctx.emit_when_answered(pending, lambda pending: (job, pending.result().body))
            return ReadOutcome()
        reply = yield pending
        ctx.emit((job, reply.body), reply)
        return ReadOutcome()

    def split(self, job: Hashable, parts: tuple[Hashable, ...]) -> None:
        raise AssertionError("nothing here is split")

    def resolve(self, job: int, outcome: ReadOutcome) -> None:
        assert job == self.left.pop(0)


def run(client: FakeClient, concurrency: int, make_feeds: Callable[[], Any]) -> list[Any]:
    """Everything that comes out; failures as text."""
    workers = Workers(client, concurrency)  # type: ignore[arg-type]
    try:
        items = list(Prefetcher(workers, make_feeds()).items())
    finally:
        workers.close(120)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker-")]
    return [repr(item.error) if isinstance(item, FeedFailed) else item for _, item in items]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_reading, "MOST_PAGES", 3)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 63), unique=True, max_size=40).map(sorted), min_size=1, max_size=3),
    st.sampled_from([3, 10, 64]),
    st.sets(st.integers(0, 40), max_size=3),
    st.integers(0, 10),
)
@example([[10, 38, 42, 45, 63], []], 3, set(), 0)  # windows that grow, and a supposition that is refuted
@example([[10, 38, 42, 45, 63], []], 3, set(), 1)
@example([[10, 38, 42, 45, 63], []], 3, set(), 2)
@example([[10, 38, 42, 45, 63], []], 3, set(), 3)
@example([[10, 38, 42, 45, 63], []], 3, set(), 4)
@example([[10, 38, 42, 45, 63], []], 3, set(), 5)
@example([[10, 38, 42, 45, 63], []], 3, set(), 6)
@example([[10, 38, 42, 45, 63], []], 3, set(), 7)
def test_the_output_is_the_same_for_any_concurrency(
    sources: list[list[int]], length: int, broken: set[int], seed: int
) -> None:
    """Rows, proofs and failures in one order: with splits, growth, failing requests, and feeds that fail alone."""

    def answer(request: Request) -> bytes:
        if sum(request.about.encode()) % 41 in broken:
            raise Unavailable(request.about)
        return b"x" * 10

    def make() -> Iterator[feeds.WindowFeed]:
        for place, seconds in enumerate(sources):
            yield Source("abcd"[place], seconds).feed(until=64, length=length)

    # Hypothesis calls this without the fixture's patch being undone in between: the small windows hold throughout.
    alone = run(FakeClient(answer, seed=None), 1, make)
    for concurrency in (2, 8, 32):
        assert run(FakeClient(answer, seed=seed), concurrency, make) == alone
    if not broken:
        rows = [item for item in alone if isinstance(item, tuple)]
        assert rows == [("abcd"[place], s) for place, seconds in enumerate(sources) for s in seconds]


def test_a_split_is_read_in_order() -> None:
    """A window of more than three pages becomes two, again and again, and its rows come in the order of time."""
    source = Source("a", range(64))
    items = run(FakeClient(), 8, lambda: [source.feed(until=64, length=64)])
    assert [item for item in items if isinstance(item, tuple)] == [("a", s) for s in range(64)]
    windows = [item.window for item in items if isinstance(item, feeds.WindowProven)]
    assert len(windows) == 16
    assert [w.until for w in windows[:-1]] == [w.since for w in windows[1:]]


@pytest.mark.parametrize("concurrency", [1, 2, 8, 32])
def test_g8_a_feed_that_fails_does_so_alone(concurrency: int) -> None:
    """What stood before the failure comes out, then the failure, then the other feeds in full."""

    def answer(request: Request) -> bytes:
        if request.about == "b3":
            raise Unavailable("b3")
        return request.about.encode()

    items = run(FakeClient(answer), concurrency, lambda: [Plain("a", 5), Plain("b", 9), Plain("c", 5)])
    assert items == [
        *[(n, b"a%d" % n) for n in range(5)],
        *[(n, b"b%d" % n) for n in range(3)],
        repr(Unavailable("b3")),
        *[(n, b"c%d" % n) for n in range(5)],
    ]


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("later", [False, True])
def test_nothing_more_is_sent_for_a_feed_after_its_failure(concurrency: int, later: bool) -> None:  # noqa: FBT001 - a table
    """Once a failure was handed out, no request of that feed goes out any more."""

    def answer(request: Request) -> bytes:
        if request.about == "a2":
            raise Unavailable("a2")
        return b"x"

    client = FakeClient(answer)
    workers = Workers(client, concurrency)  # type: ignore[arg-type]
    sent_before = -1
    for _, item in Prefetcher(workers, [Plain("a", 100, later=later), Plain("b", 30)]).items():  # noqa: PERF102 - not a dict
        if isinstance(item, FeedFailed):
            with client.lock:
                sent_before = sum(about.startswith("a") for about in client.sent)
    workers.close(120)
    assert sent_before == sum(about.startswith("a") for about in client.sent)
    assert sent_before <= 3 + 3 * concurrency


def test_one_worker_sends_strictly_one_after_the_other() -> None:
    """Concurrency 1 is what the user who set it expects: a request is sent when it is needed, in order."""
    client = FakeClient()
    run(client, 1, lambda: [Plain("a", 20), Plain("b", 20, later=True)])
    assert client.most == 1
    assert client.sent == [f"a{n}" for n in range(20)] + [f"b{n}" for n in range(20)]


def test_one_worker_is_not_ahead_of_what_is_taken() -> None:
    """With concurrency 1 nothing is fetched before it is needed."""
    client = FakeClient(seed=None)
    workers = Workers(client, 1)  # type: ignore[arg-type]
    for place, _ in enumerate(Prefetcher(workers, [Plain("a", 10)]).items()):
        assert len(client.sent) == place + 1
    workers.close(120)


@pytest.mark.parametrize("concurrency", [2, 8, 32])
def test_nobody_knocks_a_second_time_before_the_first_success(concurrency: int) -> None:
    """Wrong credentials must not knock eight times; after the first answer all workers are used."""
    client = FakeClient()
    client.patience = 0.2
    run(client, concurrency, lambda: [Plain("a", 60), Plain("b", 60, later=True)])
    assert client.most_before_the_first_success == 1
    assert 1 < client.most <= concurrency


def test_a_first_request_that_is_never_answered_stays_alone() -> None:
    """Until there was an answer, each request waits for the one before."""
    client = FakeClient()
    client.succeeded = type("Never", (threading.Event,), {"set": lambda _: None})()
    run(client, 8, lambda: [Plain("a", 20)])
    assert client.most == 1


def test_the_capacity_keeps_the_workers_busy() -> None:
    """One before the first answer, then as many waiting as in flight; one worker has no queue."""
    client = FakeClient()
    assert [Workers(client, n).capacity for n in (1, 8)] == [1, 1]  # type: ignore[arg-type]
    client.succeeded.set()
    assert [Workers(client, n).capacity for n in (1, 8)] == [1, 16]  # type: ignore[arg-type]


@pytest.mark.parametrize("later", [False, True])
def test_the_number_of_answers_held_has_a_bound(later: bool) -> None:  # noqa: FBT001 - a table
    """A slow target does not make a fast vendor fill the memory: the look-ahead stops."""
    client = FakeClient(seed=None)
    workers = Workers(client, 2)  # type: ignore[arg-type]
    items = Prefetcher(workers, [Plain("a", 1000, later=later)]).items()
    next(items)
    for _ in range(5):
        next(items)
    with client.lock:
        assert len(client.sent) <= 6 + module.LOOK_AHEAD * 2 + 2 * workers.capacity
    items.close()
    workers.close(120)


def test_the_bytes_held_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is what was fetched and not handed out, and what is under way, with one answer to spare."""
    monkeypatch.setattr(module, "BUFFER", 5000)
    most = 0
    client = FakeClient(lambda _: b"x" * 1000, seed=None)
    workers = Workers(client, 8)  # type: ignore[arg-type]
    taken = 0
    for _ in Prefetcher(workers, [Plain("a", 200, later=True)]).items():
        taken += 1
        with client.lock:
            most = max(most, len(client.sent) - taken)
    workers.close(120)
    assert taken == 200
    assert most <= 6


def test_a_large_buffer_can_not_stop_the_answer_that_everything_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the room, the answer that is needed next is fetched."""
    monkeypatch.setattr(module, "BUFFER", 0)
    assert len(run(FakeClient(lambda _: b"x" * 1000), 8, lambda: [Plain("a", 20), Plain("b", 20, later=True)])) == 40


def test_what_was_given_stands_even_if_the_reading_fails_later() -> None:
    """A failure in the middle of a window comes after the rows read before it: repeats are harmless, a gap is not."""

    class Middle(Plain):
        def read(self, job: int, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
            reply = yield ctx.request(Request(f"first {job}", "/"), lambda reply: reply.body)
            ctx.emit(("first", job), reply)
            yield ctx.request(Request(f"second {job}", "/"), lambda reply: reply.body)
            ctx.emit(("second", job))
            return ReadOutcome()

    def answer(request: Request) -> bytes:
        if request.about == "second 1":
            raise Refused("second 1")
        return b"x"

    for concurrency in (1, 8):
        assert run(FakeClient(answer), concurrency, lambda: [Middle("a", 3)]) == [
            ("first", 0), ("second", 0), ("first", 1), repr(Refused("second 1")),
        ]  # fmt: skip


def test_an_item_that_can_not_be_made_fails_its_feed() -> None:
    """`emit_when_answered` hands the answer to the feed's own code: what that raises is the feed's failure."""

    class Bad(Plain):
        def read(self, job: int, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
            pending = ctx.request(Request("x", "/"), lambda reply: reply.body)
            ctx.emit_when_answered(pending, lambda _: dict[str, int]()["missing"])
            return ReadOutcome()
            yield  # type: ignore[unreachable] # what makes it a generator

    assert run(FakeClient(), 2, lambda: [Bad("a", 3), Plain("b", 1)]) == [repr(KeyError("missing")), (0, b"x")]


def test_a_dropped_feed_gives_nothing_more() -> None:
    """The consumer may end a feed, also one whose pages stand in line unsent."""
    client = FakeClient(seed=None)
    workers = Workers(client, 2)  # type: ignore[arg-type]
    source = Source("a", range(6), look_ahead=50)
    first, second = source.feed(until=6, length=6), Plain("b", 2)
    ahead = Prefetcher(workers, [first, second])
    seen: list[tuple[Any, Any]] = []
    for feed, item in ahead.items():
        seen.append((feed, item))
        if item == ("a", 2):
            ahead.drop(first)
    workers.close(120)
    assert [item for feed, item in seen if feed is first] == [("a", 0), ("a", 1), ("a", 2)]
    assert [item for feed, item in seen if feed is second] == [(0, b"x"), (1, b"x")]


def test_an_abandoned_owner_is_answered_without_a_request() -> None:
    """Details that one of two streams no longer needs are not fetched, and the rest goes on."""
    client = FakeClient(seed=None)
    workers = Workers(client, 1)  # type: ignore[arg-type]

    class Two(Plain):
        def read(self, job: int, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
            for number in range(5):
                pending = ctx.request(Request(f"detail {number}", "/"), lambda reply: reply.body, owner=self)
                ctx.emit_when_answered(pending, lambda pending: type(pending.error).__name__)
            ctx.emit("end")
            return ReadOutcome()
            yield  # type: ignore[unreachable] # what makes it a generator

    feed = Two("a", 1)
    ahead = Prefetcher(workers, [feed])
    seen = []
    for _, item in ahead.items():  # noqa: PERF102 - not a dict
        seen.append(item)
        if len(seen) == 2:
            ahead.abandon(feed)
    workers.close(120)
    assert seen == ["NoneType", "NoneType", "Cancelled", "Cancelled", "Cancelled", "end"]
    assert client.sent == ["detail 0", "detail 1"]


def test_an_abandoned_owners_requests_on_their_way_give_up() -> None:
    """Those that wait for the vendor's limit or their next try have no reader any more; those of others go on."""
    asked: list[tuple[str, threading.Event]] = []

    class Waiting:
        succeeded = threading.Event()

        def fetch(self, request: Request, _: object, cancelled: threading.Event) -> Reply:
            asked.append((request.about, cancelled))
            if request.about != "kept" and not cancelled.wait(60):
                raise AssertionError("the request was waited for")
            return Reply(request, 200, {}, b"")

    class Two(Plain):
        def read(self, job: int, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
            ctx.request(Request("left", "/", stream="left"), lambda reply: reply.body, owner="left")
            pending = ctx.request(Request("kept", "/"), lambda reply: reply.body)
            ctx.emit("first")
            ctx.emit((yield pending).request.about)
            return ReadOutcome()

    Waiting.succeeded.set()
    workers = Workers(Waiting(), 2)  # type: ignore[arg-type]
    ahead = Prefetcher(workers, [Two("a", 1)])
    seen = []
    for _, item in ahead.items():  # noqa: PERF102 - not a dict
        seen.append(item)
        ahead.abandon("left")
    workers.close(120)
    assert seen == ["first", "kept"]
    assert {about: cancelled.is_set() for about, cancelled in asked} == {"left": True, "kept": False}


def test_an_interrupt_ends_the_wait() -> None:
    """A signal that comes while everything waits for the vendor is seen at once."""
    gate = threading.Event()
    client = FakeClient(lambda _: b"x" * gate.wait(60), seed=None)
    workers = Workers(client, 2)  # type: ignore[arg-type]
    items = Prefetcher(workers, [Plain("a", 3)]).items()
    workers.interrupt(Stopped(15))
    with pytest.raises(Stopped):
        next(items)
    gate.set()
    workers.close(120)


def test_closing_leaves_no_thread_and_no_hanging_request_holds_it_up() -> None:
    """Idle workers end; one whose request hangs is left behind after the time given."""
    gate: SimpleQueue[None] = SimpleQueue()
    client = FakeClient(lambda request: b"" if request.about != "a0" else gate.get() or b"", seed=None)
    workers = Workers(client, 2)  # type: ignore[arg-type]
    feed = Plain("a", 1)
    ctx = ReadContext()
    workers.send(next(feed.read(0, ctx)))
    workers.close(0.001)
    (hanging,) = [thread for thread in threading.enumerate() if thread.name.startswith("worker-")]
    assert hanging.daemon
    gate.put(None)
    hanging.join(60)
    assert not hanging.is_alive()


def test_an_unexpected_exception_of_a_worker_reaches_the_feed() -> None:
    """A fault in our own code ends the feed with that fault, and no thread dies in silence."""

    def answer(_: Request) -> bytes:
        raise ZeroDivisionError

    assert run(FakeClient(answer), 2, lambda: [Plain("a", 2)]) == [repr(ZeroDivisionError())]


def test_feeds_are_taken_only_as_the_look_ahead_reaches_them() -> None:
    """A hundred thousand lookups are not all begun at once."""
    begun = []

    def make() -> Iterator[Plain]:
        for number in range(1000):
            begun.append(number)
            yield Plain(f"f{number}.", 1)

    client = FakeClient(seed=None)
    workers = Workers(client, 2)  # type: ignore[arg-type]
    items = Prefetcher(workers, make()).items()
    next(items)
    assert len(begun) < 40
    items.close()
    workers.close(120)


def test_asking_for_the_same_and_forgetting_it() -> None:
    """A pending that is forgotten before it was sent is not sent; forgetting twice does no harm."""
    ctx = ReadContext()
    first, second = (ctx.request(Request(name, "/"), lambda reply: reply) for name in "ab")
    ctx.forget([first])
    ctx.forget([first])
    assert list(ctx.queued) == [second]
