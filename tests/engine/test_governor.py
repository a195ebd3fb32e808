"""The governor: no period of the server's holds more than the limit, and what headers say is obeyed by everyone."""

from __future__ import annotations

import logging
import threading
import time
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.engine.world import LOGGER, NEVER, WALL, World

from trunkline import instants
from trunkline.steps.fetch.governor import CEILING, Governor, Limit


def iso(moment: float) -> str:
    """A moment (seconds since 1970) in UTC as Zoom writes one in `Retry-After`, but with the offset as digits."""
    return instants.to_iso(instants.EPOCH + moment * instants.SECOND)


eighths = st.integers(0, 160).map(lambda number: number / 8)  # sums that a float holds exactly


@given(
    st.integers(1, 5),
    st.integers(1, 12),
    st.lists(st.tuples(eighths, eighths, st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=40),
)
@example(2, 10, [(0, 8, 1.0), (0, 8, 1.0), (0, 0, 0.0), (0, 0, 0.0)])
def test_no_period_of_the_servers_holds_more_than_the_limit(
    requests: int, seconds: int, plays: list[tuple[float, float, float]]
) -> None:
    """Whatever the moment between sending and answer at which the server counts a request."""
    world = World(Limit(requests, float(seconds)))
    arrivals = []
    for pause, latency, part in plays:
        world.pass_until(world.now + pause)
        arrivals.append(world.send(latency) + latency * part)
    for begin in arrivals:
        assert sum(begin <= arrival < begin + seconds for arrival in arrivals) <= requests


def test_the_limit_is_used_and_not_only_kept() -> None:
    """Thirty requests that are answered at once go out at once; the next one as soon as the first is a period old."""
    world = World(Limit(30, 10.0))
    assert [world.send() for _ in range(30)] == [100.0] * 30
    assert world.send() == 110.0


def test_without_a_limit_nothing_waits() -> None:
    """A vendor without a documented limit is not slowed down."""
    world = World(None)
    assert [world.send(latency=50.0) for _ in range(100)] == [100.0] * 100
    assert world.governor.waited == 0.0


def test_waiting_is_counted() -> None:
    """The table at the end tells how long the limit made everyone wait, in seconds."""
    world = World(Limit(1, 4.0))
    world.send()
    world.send()
    assert world.governor.waited == 4.0


@pytest.mark.parametrize(
    ("per_minute", "requests", "seconds"), [(60, 60, 60.0), (1, 1, 60.0), (0.5, 1, 120.0), (90.5, 90, 60 * 90 / 90.5)]
)
def test_requests_per_minute(per_minute: float, requests: int, seconds: float) -> None:
    """A setting below one is one request in a longer time, a broken one keeps its rate."""
    limit = Limit.per_minute(per_minute)
    assert limit.requests == requests
    assert limit.seconds == pytest.approx(seconds)
    assert str(Limit(30, 10.0)) == "30 requests in any 10 s"


# -- what headers say ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "0", "X-RateLimit-Reset": "8"}, 8.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": formatdate(WALL + 42, usegmt=True)}, 42.0),
        ({"Retry-After": formatdate(WALL - 42, usegmt=True)}, None),
        ({"Retry-After": iso(WALL + 42)}, 42.0),
        ({"Retry-After": iso(WALL + 42).replace("+00:00", "Z")}, 42.0),
        ({"Retry-After": iso(WALL + 42).removesuffix("+00:00")}, 42.0),
        ({"X-RateLimit-Reset": str(int(WALL) - 9)}, None),
        ({"Retry-After": str(int(WALL) + 9)}, 9.0),
        ({"X-RateLimit-Reset": str(int(WALL) + 9)}, 9.0),
        ({"X-RateLimit-Reset": str((int(WALL) + 9) * 1000)}, 9.0),
        ({"RateLimit-Reset": "12"}, 12.0),
        ({"RateLimit-Reset": str(int(WALL) + 12)}, 12.0),
        ({"Retry-After": "3", "X-RateLimit-Reset": "8"}, 3.0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "8"}, 8.0),
        ({"Retry-After": " "}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_that_names_a_moment_is_obeyed_by_everyone(
    headers: dict[str, str], seconds: float | None, status: int
) -> None:
    """Seconds, a date (HTTP's or ISO 8601), seconds or milliseconds since 1970: this request waits, and all others."""
    world = World(None)
    assert world.governor.learn(status, headers) == seconds
    if seconds:
        assert 100 + seconds <= world.send() <= 100 + seconds * 1.2


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_a_moment_is_measured_on_the_servers_clock(skew: int) -> None:
    """A machine whose clock is an hour off waits as long as one whose clock is right."""
    date = formatdate(WALL + skew, usegmt=True)
    headers = {"X-RateLimit-Reset": str(int(WALL) + skew + 9), "Date": date}
    assert World(None).governor.learn(429, headers) == 9.0


def test_a_429_that_names_no_moment_waits_for_the_documented_period() -> None:
    """The vendor has counted more than we sent: a whole period later there must be room."""
    world = World(Limit(30, 10.0))
    assert world.governor.learn(429, {}) == 10.0
    assert 110 <= world.send() <= 111


def test_a_used_up_limit_is_waited_out_before_the_429() -> None:
    """Remaining 0 on a success holds everyone back until the reset, but is no reason for this request to wait."""
    world = World(None)
    assert world.governor.learn(200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "5"}) is None
    assert 105 <= world.send() <= 106
    world = World(None)
    assert world.governor.learn(200, {"RateLimit-Remaining": "3", "RateLimit-Reset": "5"}) is None
    assert world.send() == 100.0


def test_no_header_holds_a_run_for_ever() -> None:
    """A pause has a ceiling; what the request itself is told stays the truth, for the caller to judge."""
    world = World(None)
    assert world.governor.learn(429, {"Retry-After": "86400"}) == 86_400.0
    assert 100 + CEILING <= world.send() <= 100 + CEILING + 1


@pytest.mark.parametrize("status", [408, 425])
def test_retry_after_is_obeyed_with_every_status_that_is_tried_again(status: int) -> None:
    """A client that tries a 408 or 425 again does so when the vendor says."""
    assert World(None).governor.learn(status, {"Retry-After": "7"}) == 7.0


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize(
    "date", ["Tue, 14 Nov 2023 22:13:29 -0000", "Tue Nov 14 22:13:29 2023", "Tue, 14 Nov 2023 22:13:29"]
)
def test_g6_a_date_without_a_zone_is_utc_wherever_the_machine_stands(
    date: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP's own forms of a date name no zone or an unknown one, and mean UTC: nine seconds, not hours."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert World(None).governor.learn(503, {"Retry-After": date}) == 9.0
        assert World(None).governor.learn(503, {"Retry-After": str(int(WALL) + 9), "Date": date}) is None
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.integers(100, 599), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
@example(429, "1e400", "nan", "Mon, 32 Jan 99999 25:00:00 +9999")
@example(429, "nan", "inf", "Thu, 01 Jan 1970 00:00:00 -0000")
@example(429, "Mon, 01 Jan 0001 00:00:00 +2359", "-inf", "")
def test_no_header_breaks_a_run(status: int, retry_after: str, remaining: str, date: str) -> None:
    """Whatever stands in them, headers are advice: never an exception, never a negative wait."""
    headers = {"Retry-After": retry_after, "X-RateLimit-Remaining": remaining, "Date": date}
    asked = Governor(Limit(1, 1.0), logger=LOGGER, clock=lambda: 0.0, wall=lambda: WALL).learn(status, headers)
    assert asked is None or asked >= 0


# -- waiting ---------------------------------------------------------------------------------------


def test_a_cancelled_wait_ends_at_once() -> None:
    """When a run ends nobody stays in the queue, and the place is given back."""
    world = World(Limit(1, 1000.0))
    world.send()
    cancelled = threading.Event()
    cancelled.set()
    with world.governor.place(cancelled):
        assert world.now == 100.0
    assert world.governor._in_flight == 0  # noqa: SLF001 - a place that is lost would never be seen


def test_a_place_is_given_back_after_an_error() -> None:
    """A request that raised counts like any other: it may have reached the server."""
    world = World(Limit(1, 8.0))
    with pytest.raises(OSError, match="lost"), world.governor.place(NEVER):
        raise OSError("lost")
    assert world.send() == 108.0


def test_long_waits_are_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    """A user who looks at a quiet terminal learns why, in a few lines and not in one for each look."""
    world = World(Limit(1, 60.0))
    world.send()
    with caplog.at_level(logging.INFO):
        world.send()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "waiting 60.0 s for the vendor's limit (1 requests in any 60 s)"
    assert len(lines) <= 8
