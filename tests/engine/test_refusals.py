"""What is refused is not knocked at again and again, and hides nothing else."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from tests.model.harness import Result, run

from trunkline_sandbox import Response, Sandbox
from trunkline_sandbox.vendors.conpeek import CAMPAIGNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox import Request

JSON = (("Content-Type", "application/json"),)
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
CODES = ("AuthenticationException", "Error", "Exception", "InvalidOperationException", "ArgumentException", "17", "")
ENVELOPES: dict[str, Callable[[str], Any]] = {
    "pascal": lambda code: {"ResponseStatus": {"ErrorCode": code, "Message": "no"}},
    "camel": lambda code: {"responseStatus": {"errorCode": code, "message": "no"}},
    "lower": lambda code: {"responsestatus": {"errorcode": code, "message": "no"}},
    "nested": lambda code: {"d": {"Result": {"ResponseStatus": {"ErrorCode": code, "Message": "no"}}}},
    "in an error": lambda code: {"error": {"errorCode": code, "message": "no"}},
    "beside no rows": lambda code: {"Items": None, "ResponseStatus": {"ErrorCode": code, "Message": "no"}},
    "plain": lambda code: {"Success": False, "Message": code},
    "a text": lambda code: code or "no",
}


class Refusing(Sandbox):
    """The sandbox's vendors, some of whose answers are a no.

    Args:
        answer: Makes the answer to a request with its number from 0; None leaves it to the vendor.
    """

    def __init__(self, answer: Callable[[int, Request], Response | None]) -> None:
        super().__init__(size=60)
        self.answer, self.knocks = answer, 0
        self.refused: Counter[str] = Counter()

    def handle(self, request: Request) -> Response:
        number, self.knocks = self.knocks, self.knocks + 1
        response = self.answer(number, request)
        if response is None:
            return super().handle(request)
        self.refused[request.path] += 1
        return response


def no(body: Any, status: int) -> Response:
    return Response(status, JSON, json.dumps(body).encode())


def read(vendor: str, answer: Callable[[int, Request], Response | None], **config: Any) -> tuple[Result, Refusing]:
    box = Refusing(answer)
    start = {} if vendor == "switchtransact" else {"start_date": "2026-01-01"}
    return run(box, vendor, {"concurrency": 8, "window": "P1D", **start, **config}, at=BEGIN + timedelta(days=20)), box


# -- HostedSuite locks a user out ------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500])
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_g6_wrong_credentials_knock_twice_at_most_whatever_the_form(envelope: str, status: int) -> None:
    """Whatever code, status and writing: an account is locked by repeated failed logins."""
    if status == 500 and envelope in {"plain", "a text"}:
        pytest.skip("a 5xx without the vendor's envelope may pass")
    for code in CODES:
        result, box = read("hostedsuite", lambda *_: no(ENVELOPES[envelope](code), status))  # noqa: B023 - used at once
        assert result.code == 1
        assert box.knocks <= 2, (code, box.knocks)
        if status == 401 or (code == CODES[0] and envelope not in {"plain", "a text"}):
            assert box.knocks == 1, code
            assert "customer_name" in " ".join(result.log)


@pytest.mark.parametrize("body", [b"", b"Bad gateway", b"<html>down</html>", b'{"error":"down"}'])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_g6_a_5xx_without_the_vendors_envelope_may_pass(status: int, body: bytes) -> None:
    """A gateway's answer says nothing about the credentials."""
    result, _ = read("hostedsuite", lambda number, _: Response(status, (), body) if number < 4 else None)
    assert result.code == 0, result.log


def test_g6_an_error_of_the_vendors_after_a_success_may_pass() -> None:
    """The credentials were right a moment ago."""
    body = ENVELOPES["pascal"]("SqlException")
    result, box = read("hostedsuite", lambda number, _: no(body, 500) if 2 <= number < 5 else None)
    assert result.code == 0, result.log
    assert sum(box.refused.values()) == 3


# -- a 403 is about one thing, two of them about the key -------------------------------------------


@pytest.mark.parametrize("place", [0, 1])
def test_g8_one_forbidden_campaign_does_not_hide_the_others(place: int) -> None:
    """It costs one request and fails alone, wherever it stands in the list."""
    campaigns = [*CAMPAIGNS[:2]]
    mine = campaigns[place]
    result, box = read(
        "conpeek",
        lambda _, request: no({"error": "forbidden"}, 403) if f"/{mine}/" in request.path else None,
        voice_campaign_ids=campaigns,
    )
    assert result.code == 1
    assert sum(box.refused.values()) == 1
    assert {record["voice_campaign_id"] for record in result.records("voice_campaign_requests")} == {
        campaigns[1 - place]
    }
    assert mine in result.log[-1]
    assert "403" in result.log[-1]


def test_g6_two_forbidden_campaigns_before_any_success_are_the_key() -> None:
    """The third one is not asked for."""
    result, box = read(
        "conpeek", lambda *_: no({"error": "forbidden"}, 403), voice_campaign_ids=["one", "two", "three", "four"]
    )
    assert result.code == 1
    assert box.knocks == 2
    assert "Check api_key" in " ".join(result.log)


def test_g6_the_only_campaigns_403_ends_the_tap() -> None:
    """There is nothing else that it could be about."""
    result, box = read("conpeek", lambda *_: no({}, 403), voice_campaign_ids=["one"])
    assert (result.code, box.knocks) == (1, 1)


@pytest.mark.parametrize("vendor", ["bspk", "evolux"])
def test_g6_a_403_from_the_beginning_costs_a_request_a_stream_and_two_at_most(vendor: str) -> None:
    """Whatever the number of workers."""
    result, box = read(vendor, lambda *_: no({}, 403))
    assert result.code == 1
    assert box.knocks <= 2


def test_g6_a_401_ends_the_tap_at_once() -> None:
    """Without another try, for any campaign."""
    result, box = read("conpeek", lambda *_: no({}, 401), voice_campaign_ids=["one", "two"])
    assert (result.code, box.knocks) == (1, 1)


def test_g6_a_campaign_that_is_forbidden_later_costs_one_request() -> None:
    """Its windows are not all sent for before the first of them is refused."""
    campaigns = [*CAMPAIGNS[:2]]
    numbers = itertools.count()

    def refuse(_: int, request: Request) -> Response | None:
        if f"/{campaigns[1]}/" not in request.path:
            return None
        if next(numbers) == 0:
            threading.Event().wait(0.2)  # what else is sent for the campaign is sent meanwhile
        return no({}, 403)

    result, box = read(
        "conpeek",
        refuse,
        voice_campaign_ids=campaigns,
        concurrency=16,
    )
    assert result.code == 1
    assert sum(box.refused.values()) == 1
