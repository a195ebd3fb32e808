"""Promises that a break on purpose showed to be unwatched: each of these tests kills a mutant of tests/mutants.toml."""

# ruff: noqa: N802 - a test's name carries the guarantee it holds

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from tests.model.harness import Output, bookmark, run

from tap_evolux import TapEvolux
from tap_hostedsuite import TapHostedSuite
from trunkline import personal
from trunkline.instants import SECOND
from trunkline.redact import MASK, Redactor
from trunkline.steps.bookmark import Bookmark
from trunkline.steps.fetch import prefetch as ahead
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.fetch.exchange import Reply, Request
from trunkline.steps.fetch.prefetch import Prefetcher
from trunkline.steps.fetch.workers import Workers
from trunkline.steps.plan import MINUTE, Window
from trunkline_sandbox import Sandbox
from trunkline_sandbox.vendors.conpeek import CAMPAIGNS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from tap_evolux import StudioCdr
    from tap_hostedsuite import Calls
    from trunkline.steps.fetch.context import PendingReply, ReadContext

UTC = timezone.utc
BEGIN = datetime(2021, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def bspk_call(client: str, created: datetime, updated: datetime | None = None) -> dict[str, Any]:
    forms = {"created_at": created, "updated_at": updated or created}
    times = {name: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z") for name, moment in forms.items()}
    return {"sales_associate_id": "SA", "client_id": client, **times}


# -- plan ------------------------------------------------------------------------------------------


def test_G1_a_seam_is_requested_from_a_minute_earlier() -> None:
    """A filter may leave its lower end out, know whole ticks only and round to minutes: no row is lost on a seam."""
    until, later = BEGIN + DAY + timedelta(milliseconds=1), BEGIN + 9 * DAY
    assert Window(BEGIN, until, seam=True).bounds(SECOND, MINUTE, later) == (BEGIN - MINUTE, BEGIN + DAY + MINUTE)
    assert Window(BEGIN + SECOND, until, seam=True).bounds(SECOND, MINUTE, later)[0] == BEGIN - MINUTE
    assert Window(BEGIN + SECOND, until).bounds(SECOND, MINUTE, later)[0] == BEGIN + SECOND
    assert Window(None, until, seam=True).bounds(SECOND, MINUTE, later)[0] is None
    assert Window(BEGIN, until).bounds(SECOND, MINUTE, until)[1] == BEGIN + DAY + SECOND, "not past the run's start"


# -- bookmark --------------------------------------------------------------------------------------


def test_G3_bookmarks_are_compared_as_instants() -> None:
    """An instant that is later, though its text sorts earlier, moves the bookmark; the other way round it does not."""
    west = timezone(timedelta(hours=-8))
    mark = Bookmark({}, "calls", "at", run_start=BEGIN + 9 * DAY)
    assert mark.advance(BEGIN + timedelta(hours=10))
    assert mark.advance((BEGIN + timedelta(hours=11)).astimezone(west))
    assert not mark.advance(BEGIN + timedelta(hours=10, minutes=30))
    assert mark.value == BEGIN + timedelta(hours=11)


def test_G3_a_row_beyond_its_window_does_not_take_the_bookmark_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """BSPK may filter by the update: a row created behind its window (a wrong clock) must not hide what is between."""
    monkeypatch.setattr("trunkline.run.run.STATE_EVERY", 0.0)
    monkeypatch.setattr("trunkline.steps.write.BLOCK", 1)
    box = Sandbox(size=0, vendors=["bspk"])
    box.knobs("bspk", filter_on="updated")
    box.upsert("bspk", "calls", [bspk_call("C1", BEGIN + 20 * DAY, BEGIN + DAY), bspk_call("C2", BEGIN + 8 * DAY)])
    result = run(box, "bspk", {"start_date": BEGIN.isoformat(), "window": "P5D"}, at=BEGIN + 30 * DAY)
    assert len(result.records("calls")) == 2
    first = bookmark(result.of("STATE")[0]["value"], "calls")
    assert first is not None
    assert first <= BEGIN + 5 * DAY


# -- ahead -----------------------------------------------------------------------------------------


class Details:
    """A feed of one job that wants many things at once, as a page of calls wants the detail of each."""

    context: Mapping[str, Any] = {}
    listeners: Sequence[Any] = ()

    def __init__(self, number: int) -> None:
        self.left, self.number = ["page"], number

    def upcoming(self) -> Iterator[str]:
        yield from list(self.left)

    def read(self, _: str, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
        for n in range(self.number):
            ctx.emit_when_answered(
                ctx.request(Request(f"d{n}", "/"), lambda reply: reply.body), lambda pending: pending.result()
            )
        yield from ()
        return ReadOutcome()

    def split(self, *_: Any) -> None:
        raise AssertionError("nothing here is split")

    def resolve(self, *_: Any) -> None:
        self.left.clear()


class Stuck:
    """A vendor that keeps the second answer back until more than `bound` requests were sent, or for a second."""

    def __init__(self, bound: int) -> None:
        self.bound, self.sent, self.meanwhile = bound, 0, 0
        self.succeeded, self.many, self.lock = threading.Event(), threading.Event(), threading.Lock()

    def fetch(self, request: Request, open_body: Callable[[Reply], Any], _: threading.Event) -> Reply:
        with self.lock:
            self.sent += 1
            if self.sent > self.bound:
                self.many.set()
        if request.about == "d1":
            self.many.wait(1.0)  # a slow machine sends less in this time: that fails nothing
            self.meanwhile = self.sent
        self.succeeded.set()
        body = b"x" * 1000
        return Reply(request, 200, {}, body, open_body(Reply(request, 200, {}, body)))


@pytest.mark.parametrize(
    ("buffer", "bound"),
    [
        pytest.param(ahead.BUFFER, 1 + 2 * ahead.LOOK_AHEAD + 4, id="answers"),
        pytest.param(5000, 1 + 5 + 4, id="bytes"),
    ],
)
def test_G5_an_answer_that_does_not_come_lets_nothing_pile_up(
    monkeypatch: pytest.MonkeyPatch, buffer: int, bound: int
) -> None:
    """What is fetched behind it has a bound in answers and in bytes: handed out, held, and on the way."""
    monkeypatch.setattr(ahead, "BUFFER", buffer)
    client = Stuck(bound)
    workers = Workers(client, 2)  # type: ignore[arg-type]
    assert len(list(Prefetcher(workers, [Details(200)]).items())) == 200
    workers.close(30)
    assert 2 <= client.meanwhile <= bound


# -- the run ---------------------------------------------------------------------------------------


def test_G1_a_signal_stops_the_run_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends a run with 128 + 15, after the record at hand; its last line is the STATE of what was proven."""
    monkeypatch.setattr("trunkline.steps.write.BLOCK", 1)
    box = Sandbox(size=0, vendors=["bspk"])
    box.upsert("bspk", "calls", [bspk_call(f"C{n}", BEGIN + n * DAY / 4) for n in range(40)])
    output = Output(6000, lambda: signal.raise_signal(signal.SIGTERM))
    result = run(box, "bspk", {"start_date": BEGIN.isoformat(), "window": "P1D"}, at=BEGIN + 30 * DAY, output=output)
    assert result.code == 128 + signal.SIGTERM
    assert 0 < len(result.records("calls")) < 40
    assert result.messages[-1]["type"] == "STATE"


# -- vendors ---------------------------------------------------------------------------------------


def conpeek_ids(row: dict[str, Any]) -> list[str]:
    """The requests that a run on the 25th day reads, going on from the 15th, if this one came on the second."""
    box = Sandbox(size=0, vendors=["conpeek"])
    created = (BEGIN + DAY).strftime("%Y-%m-%d %H:%M:%S")
    box.upsert(
        "conpeek",
        "voice_campaign_requests",
        [{"id": "5b7c", "voice_campaign_id": CAMPAIGNS[0], "created_date": created, **row}],
    )
    part = {
        "context": {"voice_campaign_id": CAMPAIGNS[0]},
        "replication_key": "changed_at",
        "replication_key_value": (BEGIN + 15 * DAY).isoformat(),
    }
    state = {"bookmarks": {"voice_campaign_requests": {"partitions": [part]}}}
    config = {"start_date": BEGIN.isoformat(), "voice_campaign_ids": [CAMPAIGNS[0]]}
    result = run(box, "conpeek", config, at=BEGIN + 25 * DAY, state=state)
    assert result.code == 0
    return [record["id"] for record in result.records("voice_campaign_requests")]


def test_G1_conpeek_finds_what_was_closed_since() -> None:
    """A request created long before the bookmark and closed after it comes again, with its outcome."""
    assert conpeek_ids({"state": "CLOSED", "closed_date": "2021-03-20 12:00:00"}) == ["5b7c"]
    assert conpeek_ids({"state": "CLOSED", "closed_date": "2021-03-03 12:00:00"}) == []


def test_G1_conpeek_reads_again_what_is_still_open() -> None:
    """The state of an open request changes without any date: however old, it comes with every run."""
    assert conpeek_ids({"state": "OPEN"}) == ["5b7c"]
    assert conpeek_ids({"state": "PROCESSING"}) == ["5b7c"]


def test_G7_evolux_task_parameters_lose_what_opens_other_systems() -> None:
    """Authentication, headers and values named like a secret become null, at any depth; the rest stays."""
    config = {"api_url": "https://vendor.example", "api_token": "t", "start_date": "2021-03-01"}
    cdr: StudioCdr = TapEvolux(config=config).streams["studio_cdr"]  # type: ignore[assignment]
    given = {
        "url": "https://crm.example",
        "auth": ["u", "p"],
        "headers": {"X": "y"},
        "data": [{"apiToken": "z", "n": 1}],
    }
    row = {"executed_tasks": [{"task_name": "http", "task_raw_params": given}]}
    cdr.compute(row)
    kept = {"url": "https://crm.example", "auth": None, "headers": None, "data": [{"apiToken": None, "n": 1}]}
    assert row["executed_tasks"] == [{"task_name": "http", "task_raw_params": kept}]
    for text, left in ((json.dumps(given), kept), ("{no JSON", "{no JSON"), ("plain", "plain")):
        row = {"executed_tasks": [{"task_raw_params": text}]}
        cdr.compute(row)
        assert row["executed_tasks"] == [{"task_raw_params": left}], "a text that is JSON is looked into"


def test_G1_hostedsuite_asks_an_hour_wider_where_the_clocks_change() -> None:
    """Zone-less filters can't tell the two passes of an hour apart: both are asked for; elsewhere just the span."""
    config = {
        "api_url": "https://vendor.example",
        "customer_name": "c",
        "user_name": "u",
        "password": "p",
        "start_date": "2021-03-01",
        "timezone": "Europe/Warsaw",
    }
    calls: Calls = TapHostedSuite(config=config).streams["calls"]  # type: ignore[assignment]
    turn = datetime(2021, 10, 31, 1, tzinfo=UTC)  # three o'clock there, which then is two again
    hour = timedelta(hours=1)
    on_the_wall = [text for _, text in calls.span(Window(turn - hour, turn + hour))]
    assert on_the_wall == ["2021-10-31T01:00:00", "2021-10-31T04:00:00"]
    on_the_wall = [text for _, text in calls.span(Window(turn - 9 * DAY, turn - 8 * DAY))]
    assert on_the_wall == ["2021-10-22T03:00:00", "2021-10-23T03:00:00"]


def test_G6_hostedsuite_knocks_once_with_wrong_credentials() -> None:
    """They may come back as a 500, and a user who knocks eight times is locked out."""
    box = Sandbox(size=0, vendors=["hostedsuite"])
    result = run(box, "hostedsuite", {"password": "wrong", "start_date": BEGIN.isoformat()}, at=BEGIN + DAY)
    assert (result.code, len(box.requests.of("hostedsuite"))) == (1, 1)


def test_G1_bspk_asks_for_every_part_of_a_long_list_of_ids() -> None:
    """A list too long for one URL is asked for in parts, and every client's calls come."""
    box = Sandbox(size=0, vendors=["bspk"])
    clients = [f"CLIENT-{n:04}" for n in range(500)]
    box.upsert("bspk", "calls", [bspk_call(client, BEGIN + DAY) for client in (clients[0], clients[250], clients[499])])
    result = run(box, "bspk", {"start_date": BEGIN.isoformat(), "client_ids": clients}, at=BEGIN + 2 * DAY)
    assert result.code == 0
    assert {record["client_id"] for record in result.records("calls")} == {clients[0], clients[250], clients[499]}


def test_G2_switchtransact_tells_an_error_from_a_miss() -> None:
    """`status: false` without an error is "not found"; with one it is a failure, and nothing is said to be missing."""
    box = Sandbox(size=0, vendors=["switchtransact"])
    config = {"phones": ["+27720000000"], "emails": None, "terms": None}
    missed = run(box, "switchtransact", config)
    assert missed.code == 0
    assert [row["matched"] for row in missed.records("contact_lookups")] == [False]
    box.knobs("switchtransact", permitted=False)
    denied = run(box, "switchtransact", config)
    assert denied.code == 1
    assert not denied.records("contact_lookups")


# -- secrets ---------------------------------------------------------------------------------------

AWKWARD = 'gęś/"jaźń"+ 1&2'


@pytest.mark.parametrize(
    "shown",
    [
        AWKWARD,
        quote(AWKWARD),
        quote(AWKWARD, safe=""),
        quote_plus(AWKWARD),
        json.dumps(AWKWARD),
        json.dumps(AWKWARD, ensure_ascii=False),
        json.dumps(AWKWARD).replace("/", r"\/"),
        repr(AWKWARD),
        base64.b64encode(AWKWARD.encode()).decode(),
        base64.urlsafe_b64encode(AWKWARD.encode()).decode(),
    ],
)
def test_G7_every_form_of_an_awkward_secret_is_masked(shown: str) -> None:
    """Letters beyond ASCII, quotes, slashes and blanks at once: each form is one of its own."""
    redactor = Redactor()
    redactor.add([AWKWARD])
    assert redactor(f"said: {shown}").replace('"', "").replace("'", "") == f"said: {MASK}"


# -- personal data ---------------------------------------------------------------------------------


def test_G7_personal_data_leaves_as_a_keyed_hash() -> None:
    """HMAC-SHA-256 with the configured key, over the E.164 form of a number and over any other text as it is."""
    digest = personal.hasher("key", "ZA")
    for text, hashed in (("072 123 4567", "+27721234567"), ("Zoë", "Zoë")):
        assert digest(text) == hmac.new(b"key", hashed.encode(), hashlib.sha256).hexdigest()
    assert personal.hasher("other", "ZA")("Zoë") != digest("Zoë")


def test_G10_a_personal_key_is_hashed_where_the_rest_is_dropped() -> None:
    """Without its key a row would fall on all the others."""
    schema = {"properties": {name: {"type": "string", "x-personal": True} for name in ("value", "name")}}
    finish = personal.protect(schema, ["value"], personal.drop, lambda text: f"hash of {text}")
    assert finish({"value": "a@b.example", "name": "Anna"}) == {"value": "hash of a@b.example", "name": None}
