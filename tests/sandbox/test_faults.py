"""Every fault kind, once through the in-process transport and once over a real connection."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from trunkline_sandbox import KINDS, Fault, Request, Sandbox, running
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trunkline_sandbox import Response, Running

    Ask = Callable[..., Response]

EVOLUX = "/api/v1/studio/calls"
WHOLE = {"start_date": "2026-01-01T00:00:00+00:00", "end_date": "2026-01-31T00:00:00+00:00", "limit": "10"}
SIGNED = {"token": "sandbox-evolux-token"}


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running(size=60) as one:
        yield one


@dataclass(frozen=True)
class Box:
    """A sandbox and a session that reaches it."""

    sandbox: Sandbox
    session: requests.Session
    base: str
    timeout: float = 60.0

    def fault(self, *faults: Fault) -> None:
        self.sandbox.faults.add(*faults)

    def get(self, **params: Any) -> requests.Response:
        """Evolux calls."""
        url = self.sandbox.api_url("evolux", self.base) + EVOLUX
        query = {**WHOLE, **params}
        return self.session.get(url, params=query, headers=SIGNED, timeout=self.timeout, allow_redirects=False)


@pytest.fixture(params=["in process", "over HTTP"])
def box(request: Any) -> Iterator[Box]:
    """A sandbox without faults, in process and over HTTP."""
    if request.param == "in process":
        sandbox = Sandbox(size=60)
        base = "http://127.0.0.1"
        session = requests.Session()
        session.mount(base, SandboxAdapter(sandbox))
    else:
        served = request.getfixturevalue("served")
        sandbox, base = served.sandbox, served.url
        sandbox.reset()
        session = requests.Session()

    with session:
        yield Box(sandbox, session, base)


def _ids(answer: requests.Response) -> list[int]:
    return [call["id"] for call in answer.json()["data"]]


def test_a_good_answer_is_a_real_response(box: Box) -> None:
    """Without faults: status, case-insensitive headers, body, elapsed and streaming work as with any server."""
    answer = box.get()
    assert (answer.status_code, answer.reason, len(answer.json()["data"])) == (200, "OK", 10)
    assert isinstance(answer.headers, CaseInsensitiveDict)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert b"".join(answer.iter_content(100)) == answer.content
    assert answer.elapsed.total_seconds() > 0


def test_status_with_headers(box: Box) -> None:
    """Any status, any headers, then business as usual."""
    box.fault(Fault("status", status=429, headers={"Retry-After": "7"}, times=1))
    refused = box.get()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert box.get().status_code == 200
    box.fault(Fault("status", status=204, times=1))
    assert (box.get().status_code, box.get().status_code) == (204, 200)


def test_reset_breaks_the_connection(box: Box) -> None:
    """No answer at all; the next request gets one; the log says 0."""
    box.fault(Fault("reset", times=1))
    with pytest.raises(requests.ConnectionError):
        box.get()
    assert box.get().status_code == 200
    assert [entry.status for entry in box.sandbox.requests] == [0, 200]


def test_cut_breaks_the_body(box: Box) -> None:
    """Fewer bytes than Content-Length says are an error of the transport, not a short page."""
    box.fault(Fault("cut", times=1))
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        box.get()
    assert len(box.get().json()["data"]) == 10


def test_stall_runs_into_the_timeout(box: Box) -> None:
    """A stall longer than the timeout is a ReadTimeout, a shorter one only takes its time."""
    box.fault(Fault("stall", times=1, seconds=2))
    with pytest.raises(requests.ReadTimeout):
        replace(box, timeout=0.4).get()
    box.fault(Fault("stall", times=1, seconds=0.1))
    started = time.perf_counter()
    assert box.get().status_code == 200
    assert time.perf_counter() - started >= 0.09


def test_slow_body_comes_whole(box: Box) -> None:
    """Drop by drop, never long enough apart for the timeout, and complete."""
    box.fault(Fault("slow_body", times=1, seconds=1.5))
    started = time.perf_counter()
    assert len(replace(box, timeout=1.2).get().json()["data"]) == 10
    assert time.perf_counter() - started >= 1.3


@pytest.mark.parametrize("kind", ["html200", "empty200", "broken_json"])
def test_bodies_that_are_not_json(box: Box, kind: str) -> None:
    """A 200 that can't be read as JSON."""
    box.fault(Fault(kind, times=1))
    answer = box.get()
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert answer.content == b"" or kind != "empty200"


def test_other_envelope(box: Box) -> None:
    """JSON, 200, and not what the vendor answers; the body can be chosen."""
    box.fault(Fault("other_envelope", times=1), Fault("other_envelope", times=1, body="[]"))
    assert "data" not in box.get().json()
    assert box.get().json() == []


def test_redirect(box: Box) -> None:
    """302 to wherever the rule says."""
    box.fault(Fault("redirect", times=1, url="https://thief.example/x"))
    answer = box.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://thief.example/x")


def test_repeat_page(box: Box) -> None:
    """Page 2 answers what page 1 did; page 1 itself can't repeat and does not use the rule up."""
    box.fault(Fault("repeat_page", times=1))
    first = box.get(page=1)
    assert _ids(box.get(page=2)) == _ids(first)
    assert _ids(box.get(page=2)) != _ids(first)


def test_ignore_filter(box: Box) -> None:
    """Calls from outside the asked span come back."""
    narrow = {"start_date": "2020-01-12T00:00:00Z", "end_date": "2020-01-12T23:59:59Z"}
    box.fault(Fault("ignore_filter", times=1))
    assert box.get(**narrow).json()["pagination"]["total"] == 62
    assert box.get(**narrow).json()["pagination"]["total"] == 2


def test_wrong_total(box: Box) -> None:
    """The total is off by as many as asked, the rows are right."""
    box.fault(Fault("wrong_total", times=1, by=-3))
    assert [box.get().json()["pagination"]["total"] for _ in range(2)] == [57, 60]


def test_echo_secret(box: Box) -> None:
    """A 400 that repeats the credentials."""
    box.fault(Fault("echo_secret", times=1))
    answer = box.get()
    assert (answer.status_code, answer.json()["request"]["headers"]["token"]) == (400, "sandbox-evolux-token")


def test_gzip_bomb(box: Box) -> None:
    """A small packed body that unpacks to as many MiB as asked."""
    box.fault(Fault("gzip_bomb", times=1, by=8))
    answer = box.get()
    assert int(answer.headers["Content-Length"]) < 100_000
    assert len(answer.content) > 8 * 1024 * 1024


def test_limit(box: Box) -> None:
    """So many requests in a period are answered, and no word says how many are left; the others get a 429."""
    box.fault(Fault("limit", by=2, seconds=3600, headers={"Retry-After": "7"}))
    answers = [box.get() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["Retry-After"] == "7"
    assert not any("ratelimit" in name.lower() for answer in answers for name in answer.headers)


def test_meta_error(box: Box) -> None:
    """HTTP says 200, meta.status says 500."""
    box.fault(Fault("meta_error", times=1))
    answer = box.get()
    assert (answer.status_code, answer.json()["meta"]["status"]) == (200, 500)


def test_every_kind_has_a_test_here() -> None:
    """A new kind of fault without a test in this module is noticed."""
    tested = {
        *(
            "status",
            "limit",
            "reset",
            "cut",
            "stall",
            "slow_body",
            "html200",
            "empty200",
            "broken_json",
            "other_envelope",
        ),
        *("redirect", "repeat_page", "ignore_filter", "wrong_total", "echo_secret", "gzip_bomb", "meta_error"),
    }
    assert set(KINDS) == tested


# Rules, without a transport ---------------------------------------------------------------------------------------


@pytest.fixture
def statuses(ask: Ask) -> Callable[..., list[int]]:
    def read(count: int, path: str = EVOLUX) -> list[int]:
        return [ask("evolux", path).status for _ in range(count)]

    return read


def test_after_and_times_count_matching_requests(sandbox: Sandbox, statuses: Callable[..., list[int]]) -> None:
    """After lets so many pass, times ends the rule, and requests that do not match count for neither."""
    sandbox.faults.add(Fault("status", r"GET /evolux/.*page=2", status=500, after=1, times=2))
    assert statuses(3) == [200, 200, 200]
    assert statuses(5, f"{EVOLUX}?page=2") == [200, 500, 500, 200, 200]
    assert sandbox.faults.fired() == {"status": 2}


def test_a_rate_is_drawn_with_the_seed(clock: Any) -> None:
    """The same seed hits the same requests, about as many as the rate says; another seed hits others."""

    def hits(seed: int) -> list[int]:
        sandbox = Sandbox(seed, size=1, clock=clock)
        sandbox.faults.add(Fault("status", rate=0.3))
        signed = Request.of("GET", f"/evolux{EVOLUX}", headers=SIGNED)
        return [n for n in range(300) if sandbox.handle(signed).status == 503]

    assert hits(1) == hits(1) != hits(2)
    assert 60 < len(hits(1)) < 120


def test_labels_are_counted_apart(sandbox: Sandbox, statuses: Callable[..., list[int]]) -> None:
    """Two rules of one kind can be told apart in what has fired; a rule without a label counts as its kind."""
    one, other = Fault("status", times=1, label="bare"), Fault("status", status=429, times=2, label="limited")
    sandbox.faults.add(one, other, Fault("status", status=500, times=1))
    assert statuses(5) == [503, 429, 429, 500, 200]
    assert sandbox.faults.fired() == {"bare": 1, "limited": 2, "status": 1}


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("{date:2}", "Sun, 12 Jan 2020 18:00:02 GMT"),
        ("{epoch:2}", "1578852002"),
        ("{epoch_ms:2}", "1578852002000"),
        ("2", "2"),
    ],
)
def test_a_header_can_name_a_moment(sandbox: Sandbox, ask: Ask, value: str, meant: str) -> None:
    """A moment in a header is counted from the answer, not from the making of the rule; other values stay."""
    sandbox.faults.add(Fault("status", status=429, headers={"Retry-After": value}))
    assert ask("evolux", EVOLUX).header("Retry-After") == meant


def test_the_body_can_be_matched_and_the_first_rule_wins(sandbox: Sandbox, ask: Ask) -> None:
    """HostedSuite's pages are told apart by their body."""
    sandbox.faults.add(Fault("status", r'"Page":1\b', status=500), Fault("status", "hostedsuite", status=502))
    assert [ask("hostedsuite", "/api/calls", json={"Page": page}).status for page in range(3)] == [502, 500, 502]
    sandbox.faults.clear()
    assert ask("hostedsuite", "/api/calls").status == 200


def test_a_lost_answer_can_follow_a_done_write(sandbox: Sandbox, ask: Ask) -> None:
    """handled: the vendor writes, the connection breaks; without it, nothing is written."""
    body = {"firstname": "A", "lastname": "B", "phone": "1"}
    sandbox.faults.add(Fault("reset", times=1), Fault("reset", times=1, handled=True))
    assert ask("switchtransact", "/api/1.0/calls/create", json=body).reset
    assert sandbox.truth("switchtransact", "created") == []
    assert ask("switchtransact", "/api/1.0/calls/create", json=body).reset
    assert sandbox.truth("switchtransact", "created") == [body]


@pytest.mark.parametrize(
    ("vendor", "path", "second"),
    [
        ("bspk", "/api/extraction/v1/calls?per_page=5", "&page=2"),
        ("conpeek", "/voice_campaign/5b7c389fe8df7b60af688989/request?limit=5", "&offset=5"),
    ],
)
def test_pages_repeat_elsewhere_too(sandbox: Sandbox, ask: Ask, vendor: str, path: str, second: str) -> None:
    """repeat_page knows page numbers and offsets."""
    first, right = ask(vendor, path).value(), ask(vendor, path + second).value()
    sandbox.faults.add(Fault("repeat_page", times=1))
    assert ask(vendor, path + second).value() == first != right
    assert ask(vendor, path + second).value() == right


def test_hostedsuite_pages_filters_totals(sandbox: Sandbox, ask: Ask) -> None:
    """The same three faults where paging, filters and totals are in JSON bodies."""
    body = {"ItemsPerPage": 5, "StartDate": "2026-01-05"}
    first = ask("hostedsuite", "/api/calls", json=body).value()
    sandbox.faults.add(Fault("repeat_page", times=1))
    assert ask("hostedsuite", "/api/calls", json={**body, "Page": 1}).value()["Items"] == first["Items"]
    sandbox.faults.add(Fault("ignore_filter", times=1))
    assert ask("hostedsuite", "/api/calls", json=body).value()["TotalCount"] == 60 > first["TotalCount"]
    sandbox.faults.add(Fault("wrong_total", times=1, by=2))
    assert ask("hostedsuite", "/api/calls", json=body).value()["TotalCount"] == first["TotalCount"] + 2
    sandbox.faults.add(Fault("meta_error", times=1))
    assert "ResponseStatus" in ask("hostedsuite", "/api/calls", json=body).value()


def test_bspk_totals_and_filters(sandbox: Sandbox, ask: Ask) -> None:
    """X-Total-Count is off, and from is ignored."""
    path = "/api/extraction/v1/calls?from=2026-01-05T00:00:00Z"
    right = int(ask("bspk", path).header("X-Total-Count"))
    sandbox.faults.add(Fault("wrong_total", times=1, by=4))
    assert int(ask("bspk", path).header("X-Total-Count")) == right + 4
    sandbox.faults.add(Fault("ignore_filter", times=1))
    assert int(ask("bspk", path).header("X-Total-Count")) == 62 > right


@pytest.mark.parametrize("values", [{"kind": "flood"}, {"kind": "cut", "rate": 2}, {"kind": "cut", "match": "("}])
def test_a_wrong_rule_is_refused(values: dict[str, Any]) -> None:
    """The error says which part is wrong."""
    with pytest.raises(ValueError, match=r"there are status|share from 0 to 1|regular expression"):
        Fault(**values)
