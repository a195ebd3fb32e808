"""The rate of sending: soon back where a 429 showed the limit, and no crawl after one that was about something else."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.engine.world import NEVER, World

from trunkline.steps.fetch.governor import Limit
from trunkline.steps.fetch.send_rate import CUT, SLOWEST, SendRate

if TYPE_CHECKING:
    from collections.abc import Callable

    Refusal = dict[str, str]
    Server = Callable[[float], Refusal | None]  # the headers of a 429 to a request that arrives now, if it is one


@pytest.fixture(autouse=True)
def same_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pause be as long in each run of a test: what is asserted of a play holds for this one."""
    monkeypatch.setattr("trunkline.steps.fetch.governor.random", random.Random(1))  # noqa: S311 - no secret


def by_chance(share: float, seed: int, headers: Refusal) -> Server:
    dice = random.Random(seed)  # noqa: S311 - a play
    return lambda _: headers if dice.random() < share else None


def in_any(requests: int, seconds: float, headers: Refusal) -> Server:
    """A server that keeps a limit over a sliding period."""
    arrived: deque[float] = deque()

    def answer(now: float) -> Refusal | None:
        while arrived and arrived[0] <= now - seconds:
            arrived.popleft()
        if len(arrived) >= requests:
            return headers
        arrived.append(now)
        return None

    return answer


def in_each(requests: int, seconds: float, headers: Refusal) -> Server:
    """A server that counts anew in each period of the clock."""
    counted: dict[float, int] = {}

    def answer(now: float) -> Refusal | None:
        period = now // seconds
        counted[period] = counted.get(period, 0) + 1
        return headers if counted[period] > requests else None

    return answer


def by_tokens(requests: int, seconds: float, headers: Refusal) -> Server:
    """A server with a token bucket."""
    tokens, at = float(requests), 0.0

    def answer(now: float) -> Refusal | None:
        nonlocal tokens, at
        tokens, at = min(requests, tokens + (now - at) * requests / seconds), now
        if tokens < 1:
            return headers
        tokens -= 1
        return None

    return answer


@dataclass
class Play:
    """Workers that send a number of requests to a server, each until it is let through, in the governor's own time.

    A worker keeps its request while it waits for the next try, as the client's threads do.
    """

    server: Server
    workers: int = 8
    requests: int = 514
    latency: float = 0.03
    seed: int = 1
    limit: Limit | None = None
    sent: list[float] = field(default_factory=list)
    refused: int = 0
    most_tries: int = 0
    named: float = 0.0  # seconds that Retry-After names, those that overlap counted once

    def run(self) -> Play:
        world, dice = World(self.limit), random.Random(self.seed)  # noqa: S311 - same
        waiting, busy, done, until = deque([0] * self.requests), 0, 0, 0.0

        def send(tries: int) -> None:
            place = world.governor.place(NEVER)
            place.__enter__()
            sent, latency = world.now, self.latency * dice.uniform(0.6, 1.6)
            self.sent.append(sent)
            self.most_tries = max(self.most_tries, tries + 1)
            refusal: list[Refusal | None] = []

            def answered() -> None:
                nonlocal busy, done, until
                (headers,) = refusal
                place.__exit__(None, None, None)
                if headers is None:
                    world.governor.learn(200, {}, sent=sent)
                    busy, done = busy - 1, done + 1
                    return
                self.refused += 1
                named = world.governor.learn(429, headers, sent=sent) or 0.0
                self.named += max(0.0, world.now + named - max(until, world.now))
                until = max(until, world.now + named)
                world.at(world.now + max(named, dice.uniform(0, min(60, 2**tries))), lambda: again(tries + 1))

            world.at(sent + latency / 2, lambda: refusal.append(self.server(world.now)))
            world.at(sent + latency, answered)

        def again(tries: int) -> None:
            nonlocal busy
            busy -= 1
            waiting.appendleft(tries)

        while done < self.requests:
            if waiting and busy < self.workers:
                busy += 1
                send(waiting.popleft())
            else:
                world.pass_until(min(at for at, _ in world.events))
        self.seconds = world.now - self.sent[0]
        return self


ONE = {"Retry-After": "1"}


@pytest.mark.parametrize("workers", [1, 4, 8, 16, 64])
@pytest.mark.parametrize("latency", [0.03, 0.2])
def test_g6_a_429_now_and_then_does_not_make_a_run_crawl(workers: int, latency: float) -> None:
    """On 3 % of the requests: at most three times the time without, plus what Retry-After itself takes."""
    without = Play(by_chance(0, 1, {}), workers, latency=latency).run().seconds
    for seed in range(10):
        play = Play(by_chance(0.03, seed, ONE), workers, latency=latency, seed=seed).run()
        assert play.seconds - play.named < 3 * without


@pytest.mark.parametrize("headers", [{}, ONE], ids=["silent", "a second"])
@pytest.mark.parametrize("server", [in_any, in_each, by_tokens])
@pytest.mark.parametrize("latency", [0.004, 0.03, 0.2])
def test_g6_a_limit_that_is_not_published_is_found_and_used(
    server: Callable[..., Server], headers: Refusal, latency: float
) -> None:
    """30 requests in 10 s: eight workers reach four fifths of them, with under 5 % refused and no tries used up."""
    for seed in range(3):
        play = Play(server(30, 10.0, headers), latency=latency, seed=seed).run()
        assert play.requests / play.seconds > 0.8 * 3
        assert play.refused < 0.05 * len(play.sent)
        assert play.most_tries < 8


def test_g6_requests_per_minute_are_spread() -> None:
    """600 in a minute are ten in each second, not 600 at once and a minute of silence."""
    play = Play(by_chance(0, 1, {}), requests=300, limit=Limit.per_minute(600)).run()
    assert max(sum(begin <= sent < begin + 1 for sent in play.sent) for begin in play.sent) <= 11
    assert max(b - a for a, b in pairwise(play.sent)) < 0.2
    assert play.seconds == pytest.approx(30, abs=1)


def test_a_setting_that_is_no_limit_costs_no_waits() -> None:
    """A million requests a minute are not measured out one by one."""
    world = World(Limit.per_minute(1_000_000))
    sent = [world.send(latency=50.0) for _ in range(1000)]
    assert sent == [100.0] * 1000


def paced(pace: SendRate, number: int, now: float = 0.0) -> list[float]:
    """When requests that are all accepted at once are sent."""
    sent = []
    for _ in range(number):
        now += max(0.0, pace.delay(now))
        pace.send(now)
        pace.accept(now, now)
        sent.append(now)
    return sent


def rate_of(sent: list[float]) -> float:
    return (len(sent) - 1) / (sent[-1] - sent[0])


def refused_at(rate: float, beside: int = 0) -> tuple[SendRate, float]:
    """A pace whose requests went out evenly at a rate when one was refused."""
    pace = SendRate()
    for number in range(50):
        pace.send(number / rate)
        pace.accept(number / rate, number / rate)
    pace.send(50 / rate)
    pace.refuse(50 / rate, 50 / rate, beside)
    return pace, 50 / rate


def test_a_429_cuts_a_third_and_the_rate_returns() -> None:
    """From seven tenths back to what was refused after a few successes, and past it after more."""
    pace, now = refused_at(10.0)
    assert pace.rate == pytest.approx(CUT * 10, rel=0.05)
    sent = paced(pace, 60, now)
    assert rate_of(sent[5:16]) == pytest.approx(10, rel=0.1)
    assert rate_of(sent[-5:]) > 30


def test_the_429s_of_requests_in_flight_together_cut_once() -> None:
    """Three of eight were refused at the old rate: one reason to slow down, and no sign of a limit yet."""
    pace, now = refused_at(10.0, beside=7)
    rate = pace.rate
    for _ in range(2):
        pace.refuse(now + 0.1, now - 0.1, 5)
    assert pace.rate == rate


def test_most_requests_under_way_refused_show_a_limit() -> None:
    """Then single requests probe it; after a success the rate is what was accepted on average."""
    pace, now = refused_at(100.0, beside=7)  # 50 within half a second
    for _ in range(4):
        pace.refuse(now, now - 0.1, 3)
    assert pace.rate == 1.0
    for now in (1.5, 3.0, 5.0, 8.0):
        assert pace.delay(now) == 0
        pace.send(now)
        pace.refuse(now, now, 0)
        assert pace.delay(now) > 0.9
    pace.send(20.0)
    pace.accept(20.0, 20.0)
    assert pace.rate == pytest.approx(CUT * 51 / 20, rel=0.05)


def test_a_vendor_that_refuses_everything_is_probed_ever_less_often_but_always() -> None:
    """Each probe waits half as much again as the vendor has refused so far, at most a minute."""
    pace, now = refused_at(10.0)
    sent = []
    for _ in range(40):
        now += max(0.0, pace.delay(now))
        pace.send(now)
        pace.refuse(now, now, 0)
        sent.append(now)
    gaps = [round(b - a, 6) for a, b in pairwise(sent)][3:]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(1 / SLOWEST)


def test_time_in_which_all_are_held_back_does_not_count_for_the_measured_rate() -> None:
    """Ten requests a second with pauses of a minute between them are ten a second."""
    pace = SendRate()
    now = 0.0
    for number in range(40):
        if number % 10 == 9:
            pace.hold(60.0)
            now += 60.0
        pace.send(now)
        pace.accept(now, now)
        now += 0.1
    pace.refuse(now, now, 5)
    assert pace.rate == pytest.approx(CUT * 10, rel=0.1)


def test_an_answer_to_what_was_sent_before_the_cut_does_not_speed_up() -> None:
    """Only requests at the new rate show that it can be borne."""
    pace, now = refused_at(10.0)
    rate = pace.rate
    for _ in range(10):
        pace.accept(now + 0.1, now - 0.1)
    assert pace.rate == rate


def test_a_configured_rate_is_never_exceeded() -> None:
    """Neither before a refusal nor long after it."""
    pace = SendRate(5.0)
    assert rate_of(paced(pace, 50)) == pytest.approx(5)
    pace.refuse(20.0, 20.0, 0)
    assert pace.rate < 5
    assert rate_of(paced(pace, 500, 20.0)[-50:]) == pytest.approx(5)
    assert not math.isinf(pace.rate)
