"""A vendor, a wire and a clock that do what a test tells them: no socket, no sleep, no real time."""

from __future__ import annotations

import io
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from trunkline.steps.fetch.client import Client
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.fetch.governor import Governor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from trunkline.steps.fetch.governor import Limit

    Answer = tuple[int, Mapping[str, str], bytes] | BaseException

settings.register_profile("engine", deadline=None)  # a busy machine is no failure
settings.load_profile("engine")

LOGGER = logging.getLogger("trunkline.tests")


class FakeClock:
    """Seconds that only pass when told to; in steps that a float holds exactly."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Patience:
    """Stands for the event `cancelled`: a wait passes at once, and the clock with it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.waits: list[float] = []
        self.cancelled_after: int | None = None

    def is_set(self) -> bool:
        return self.cancelled_after is not None and len(self.waits) >= self.cancelled_after

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.clock.now += seconds * 2 + 2  # more than the governor's jitter adds
        return self.is_set()


class Passing(threading.Condition):
    """Stands for the governor's condition: a wait lets the clock pass."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.now += timeout or 0.0
        return True


class Wire(BaseAdapter):
    """Answers requests from a function of the request's number (from 1) and the request."""

    def __init__(self, answer: Callable[[int, requests.PreparedRequest], Answer]) -> None:
        super().__init__()
        self.answer = answer
        self.seen: list[requests.PreparedRequest] = []
        self.options: list[dict[str, Any]] = []
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        del args
        self.seen.append(request)
        self.options.append(kwargs)
        answer = self.answer(len(self.seen), request)
        if isinstance(answer, BaseException):
            raise answer
        status, headers, body = answer
        raw = HTTPResponse(io.BytesIO(body), headers, status=status, preload_content=False, decode_content=False)
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """There is nothing to close."""


class FakeVendor:
    """Signs with a header, and says no only by HTTP status unless a test says otherwise."""

    def __init__(self) -> None:
        self.secret = "sesame"

    def sign(self, request: Request) -> tuple[Mapping[str, str], Any]:
        return {"Authorization": self.secret}, request.json

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """Nothing beside the status."""

    def is_success(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - as a vendor's tap has it
        return 200 <= status < 300

    def reason(self, body: bytes) -> str:
        return body.decode(errors="replace")

    def hint(self, status: int) -> str:
        return f"hint for {status}"


class Bench:
    """A client on a wire, and what is needed to ask it."""

    def __init__(
        self, answer: Callable[[int, requests.PreparedRequest], Answer], limit: Limit | None, **settings: Any
    ) -> None:
        self.clock = FakeClock()
        self.vendor = FakeVendor()
        self.wire = Wire(answer)
        self.patience = Patience(self.clock)
        self.governor = Governor(limit, logger=LOGGER, clock=self.clock, wall=lambda: 1_700_000_000.0)
        self.governor._changed = Passing(self.clock)  # noqa: SLF001 - the seam where real time would pass
        self.client = Client(
            self.vendor,
            governor=self.governor,
            logger=LOGGER,
            **{
                "transport": self.wire,
                "api_url": "https://vendor.example/prefix",
                "timeout": 5.0,
                "max_attempts": 4,
                "user_agent": "test",
                "ca_bundle": None,
                "pool_size": 1,
                **settings,
            },
        )

    def fetch(
        self, request: Request | None = None, open_body: Callable[[Reply], Any] = lambda reply: reply.body
    ) -> Reply:
        return self.client.fetch(request or Request("the thing", "/things"), open_body, self.patience)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """`bench(answer)`: a client whose requests `answer(number, request)` answers."""

    def make(answer: Any, limit: Limit | None = None, **settings: Any) -> Bench:
        if callable(answer):
            return Bench(answer, limit, **settings)
        script = list(answer)
        return Bench(lambda n, _: script[min(n, len(script)) - 1], limit, **settings)

    return make
