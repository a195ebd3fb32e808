"""What a record must be to be sent, and what becomes of its values on the way."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from trunkline_switchtransact.calls import (
    CREATE,
    LOG,
    Call,
    content_identity,
    duration,
    is_e164,
    key_identity,
    stamp,
    time_of_day,
)

UTC, WARSAW = ZoneInfo("UTC"), ZoneInfo("Europe/Warsaw")
CALL = {"CallType": "Inbound", "Number": "0721234567"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("00:01:30", "00:01:30"),
        ("1:02:03", "01:02:03"),
        (90, "00:01:30"),
        (90.5, "00:01:31"),
        (89.4, "00:01:29"),
        (Decimal("90.0"), "00:01:30"),
        ("90", "00:01:30"),
        ("PT1M30S", "00:01:30"),
        (0, "00:00:00"),
        (90_000, "25:00:00"),
        ("99:59:59", "99:59:59"),
    ],
)
def test_a_duration_is_written_as_hours_minutes_and_seconds(value: Any, written: str) -> None:
    """The vendor's form, seconds and ISO 8601 are taken; a day and more is that many hours."""
    assert duration(value, UTC) == written


@pytest.mark.parametrize(
    "value",
    [-1, -0.2, 360_000, "100:00:00", "00:60:00", "01:30", "", "soon", True, [], float("nan"), float("inf"), "P1M"],
)
def test_what_is_no_duration_is_refused(value: Any) -> None:
    """Negative, longer than two digits of hours, or another form: an error that says what it must be."""
    with pytest.raises(ValueError, match="must be a duration"):
        duration(value, UTC)


@pytest.mark.parametrize(
    ("value", "zone", "written"),
    [
        ("31-01-26 23:59:59", WARSAW, "31-01-26 23:59:59"),
        ("2026-01-31T22:59:59.999Z", WARSAW, "31-01-26 23:59:59"),
        ("2026-07-31T22:59:59+00:00", WARSAW, "01-08-26 00:59:59"),
        ("2026-01-31 08:00:00", WARSAW, "31-01-26 08:00:00"),
        ("2026-01-31T08:00:00-05:00", UTC, "31-01-26 13:00:00"),
        (datetime(2026, 1, 31, 8, tzinfo=timezone.utc), WARSAW, "31-01-26 09:00:00"),
        ("29-02-24 00:00:00", UTC, "29-02-24 00:00:00"),
    ],
)
def test_a_moment_is_written_on_the_clocks_of_the_zone(value: Any, zone: ZoneInfo, written: str) -> None:
    """The vendor's form stays; an ISO date-time is converted, and without a zone it is of that zone already."""
    assert stamp(value, zone) == written


@pytest.mark.parametrize(
    "value",
    ["29-02-26 00:00:00", "31-13-26 00:00:00", "31-01-26 24:00:00", "2026-01-31", "1999-12-31T23:59:59Z", 5, "", "now"],
)
def test_what_is_no_moment_is_refused(value: Any) -> None:
    """A day the calendar lacks, a date alone, and a year that two digits can't say."""
    with pytest.raises(ValueError, match="must be a"):
        stamp(value, UTC)


@pytest.mark.parametrize(
    ("value", "written"), [("8:00:00", "08:00:00"), ("23:59:59", "23:59:59"), ("2026-01-31T22:00:00Z", "23:00:00")]
)
def test_a_time_of_day_is_on_the_clocks_of_the_zone(value: str, written: str) -> None:
    """`CallStartTimeLocal` and `CallEndTimeLocal` take a time, or the time of a date-time."""
    assert time_of_day(value, WARSAW) == written


@pytest.mark.parametrize("value", ["24:00:00", "08:00", 8, ""])
def test_what_is_no_time_of_day_is_refused(value: Any) -> None:
    """Another form is an error that says what it must be."""
    with pytest.raises(ValueError, match="must be a time of day"):
        time_of_day(value, UTC)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CallType": None}, "CallType is missing"),
        ({"CallType": "inbound"}, "CallType must be Inbound, Outbound, Missed or Notanswered"),
        ({"CallType": ["Inbound"]}, "CallType must be"),
        ({"CallDirection": "Missed"}, "CallDirection must be Inbound or Outbound"),
        ({"Number": " "}, "Number is missing"),
        ({"Number": 721234567}, "Number must be text"),
        ({"Name": {"first": "Ada"}}, "Name must be text"),
        ({"Name": "half \ud83d"}, "Name must be text that UTF-8 can hold"),
        ({"Durtion": 90}, "'Durtion' is no field of the vendor's (is it Duration?)"),
        ({"id": None}, "the key 'id' has no value"),
    ],
)
def test_g10_a_field_that_the_vendor_would_not_take_is_named(change: dict[str, Any], said: str) -> None:
    """Each wrong field is named with what it must be and without its value; a field that would be lost is an error."""
    _, problems = LOG.body({**CALL, "id": 1, **change}, ["id"], UTC)
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_every_wrong_field_is_told_at_once() -> None:
    """A record with several faults names them all."""
    _, problems = CREATE.body({"firstname": 1, "nick": "x"}, [], UTC)
    assert [problem.split()[0] for problem in problems] == ["firstname", "lastname", "phone", "'nick'"]


def test_what_is_sent_is_the_vendors_fields_alone() -> None:
    """Nulls, empty texts, the key and the transport's own fields are not sent."""
    body, problems = LOG.body({**CALL, "id": 1, "Name": None, "EntityId": "", "_sdc_batched_at": "x"}, ["id"], UTC)
    assert (body, problems) == (CALL, [])


def test_records_of_one_number_share_a_lane_however_it_is_written() -> None:
    """A national and an international form of one number, of a contact and of its call."""
    forms = ["+27 72 123-4567", "0721234567", "+27721234567"]
    lanes = {LOG.lane({"Number": form}) for form in forms} | {CREATE.lane({"phone": form}) for form in forms}
    assert len(lanes) == 1
    assert LOG.lane({"Number": "anonymous"}) != LOG.lane({"Number": "600"})


OBRIEN = {"firstname": "Zoë", "lastname": "O'Brien-Lund", "phone": "+27 72 123 4567"}
JAMES = {"CallType": "Missed", "Number": "0721234567", "Name": "James May", "AgentEmail": "j.do@agency.example"}
QUOTED = [
    (LOG, JAMES, "James is taken"),
    (LOG, JAMES, "JAMES is taken by may"),
    (LOG, JAMES, "the record james_may is taken"),
    (LOG, JAMES, "/people?name=James%20May&mail=j.do%40agency.example is taken"),
    (LOG, JAMES, "name=James+May&number=%2B27721234567 is taken"),
    (LOG, JAMES, "<b>James</b>&nbsp;May is taken"),
    (LOG, JAMES, "072-123 4567 and &#48;721234567 are taken; it ends in 4567"),
    (LOG, JAMES, "somebody%40else.example, somebody@else.example and +48 123 456 789 know it"),
    (CREATE, OBRIEN, "O&#39;Brien-Lund is taken"),
    (CREATE, OBRIEN, "o&apos;brien&#x2d;lund is taken"),
    (CREATE, OBRIEN, "O%27BRIEN-LUND is taken, O'Brien too, and lund"),
    (CREATE, OBRIEN, "Zo&euml; is taken, and ZO%C3%8B, Zo\\u00eb, Zoe\u0308 and &amp;lt;Zo&amp;euml;"),
]
"""Reasons of the vendor that repeat a record."""


@pytest.mark.parametrize(("call", "body", "reason"), QUOTED, ids=[reason for _, _, reason in QUOTED])
def test_g7_the_vendors_words_are_told_without_what_they_repeat(call: Call, body: dict[str, str], reason: str) -> None:
    """A reason that quotes the record is shown without personal values, in whatever case or escape they come."""
    said = call.reason(reason, body).casefold()
    parts = ("james", "may", "brien", "lund", "zo", "4567", "721", "j.do", "agency", "somebody", "else", "123", "456")
    assert not [part for part in parts if part in said.replace("(personal)", "")]
    assert "(personal)" in said
    assert "%40" not in said


def test_g7_what_is_not_personal_is_told_as_it_is() -> None:
    """A user must be able to see what the vendor did not like; line breaks and markup go."""
    assert LOG.reason("Inbound is not allowed", {"CallType": "Inbound"}) == "Inbound is not allowed"
    body = {"firstname": "Łucja", "lastname": "May", "phone": "0721234567"}
    said = CREATE.reason("łucja May (072 123 4567, lucja@example.com) may exist\nalready", body)
    assert said == "(personal) (personal) ((personal), (personal)) (personal) exist already"
    assert len(LOG.reason("x" * 10**6 + "@" + "1 " * 10**6, JAMES)) <= 201


def test_a_record_is_known_by_its_key_or_by_its_content() -> None:
    """Neither order, nulls, the transport's fields nor 90 for 90.0 make it another; any value does."""
    one = {"Number": "1", "Duration": 90, "Name": None, "_sdc_extracted_at": "now"}
    assert content_identity("call_logs", one) == content_identity("call_logs", {"Duration": 90.0, "Number": "1"})
    assert content_identity("call_logs", one) != content_identity("call_logs", {**one, "Name": "x"})
    assert content_identity("call_logs", one) != content_identity("contacts", one)
    assert key_identity("contacts", {"id": 1, "phone": "1"}, ["id"]) == key_identity("contacts", {"id": 1}, ["id"])
    assert key_identity("contacts", {"id": 1}, ["id"]) != key_identity("contacts", {"id": "1"}, ["id"])
    assert key_identity("contacts", {"a": 1, "b": 2}, ["a", "b"]) == key_identity(
        "contacts", {"b": 2, "a": 1}, ["b", "a"]
    )


@pytest.mark.parametrize(
    ("number", "is_one"),
    [
        ("+27721234567", True),
        ("0721234567", False),
        ("+27 72 123 4567", False),
        ("+0721234567", False),
        ("+123", False),
    ],
)
def test_only_e164_can_be_looked_up(number: str, is_one: bool) -> None:  # noqa: FBT001 - a table's column
    """A number in another form may be found or not, and proves nothing."""
    assert is_e164(number) == is_one
