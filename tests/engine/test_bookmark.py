"""The bookmark: never back, never past the run's start, one for each partition, in the SDK's own form."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import instants
from trunkline.errors import StateInvalid
from trunkline.steps import bookmark
from trunkline.steps.bookmark import Bookmark

UTC = timezone.utc
RUN = datetime(2026, 1, 31, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
ONE, TWO = {"voice_campaign_id": "1"}, {"voice_campaign_id": "2"}

moments = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(2050, 1, 1),  # noqa: DTZ001 - same
    timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def make(state: dict[str, Any], context: dict[str, Any] | None = None, key: str = "created_at") -> Bookmark:
    return Bookmark(state, "calls", key, context=context, run_start=RUN)


def saved(value: str, key: str = "created_at") -> dict[str, Any]:
    return {"bookmarks": {"calls": {"replication_key": key, "replication_key_value": value}}}


@given(st.lists(st.none() | moments, max_size=12))
def test_it_never_goes_back_and_never_past_the_runs_start(found: list[datetime | None]) -> None:
    """After any row of instants it is the latest of them, capped; compared as instants, whatever their zones."""
    state: dict[str, Any] = {}
    mark = make(state)
    highest: datetime | None = None
    for instant in found:
        moved = mark.advance(instant)
        assert moved == (instant is not None and (highest is None or min(instant, RUN) > highest))
        highest = max(filter(None, (highest, instant and min(instant, RUN))), default=None)
        assert mark.value == highest
    # What is written is what the next run reads.
    assert make(copy.deepcopy(state)).value == highest
    assert (state == {}) is (highest is None)


def test_the_form_is_the_sdks() -> None:
    """Meltano's state commands read, set and merge it."""
    state: dict[str, Any] = {}
    make(state).advance(RUN - HOUR)
    assert state == saved("2026-01-31T07:00:00+00:00")
    state = {}
    make(state, ONE).advance(RUN - HOUR)
    make(state, TWO).advance(RUN)
    assert state == {
        "bookmarks": {
            "calls": {
                "partitions": [
                    {"context": ONE, "replication_key": "created_at",
                     "replication_key_value": "2026-01-31T07:00:00+00:00"},
                    {"context": TWO, "replication_key": "created_at",
                     "replication_key_value": "2026-01-31T08:00:00+00:00"},
                ]
            }
        }
    }  # fmt: skip
    assert (make(state, ONE).value, make(state, TWO).value) == (RUN - HOUR, RUN)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31T09:00:00+02:00", RUN - HOUR),
        ("2026-01-31T07:00:00Z", RUN - HOUR),
        ("2026-01-31 07:00:00", RUN - HOUR),
        ("2026-01-31", RUN - 8 * HOUR),
    ],
)
def test_every_iso_form_can_be_gone_on_from(text: str, value: datetime) -> None:
    """A bookmark that a person wrote, or another release, is read as the instant it names."""
    assert make(saved(text)).value == value


def test_nothing_there_is_no_bookmark() -> None:
    """A new stream or partition begins at start_date."""
    assert make({}).value is None
    assert make({"bookmarks": {"other": {}}}).value is None
    assert make({"bookmarks": {"calls": {}}}, ONE).value is None
    assert (
        make({"bookmarks": {"calls": {"replication_key": "created_at", "replication_key_value": None}}}).value is None
    )


def test_a_bookmark_in_the_future_is_capped_in_the_state_too() -> None:
    """Left as it is, it would outrun every later run, and a pause longer than the lookback would be a hole."""
    for context in (None, ONE):
        state: dict[str, Any] = {}
        Bookmark(state, "calls", "created_at", context=context, run_start=RUN + 999 * HOUR).advance(RUN + 99 * HOUR)
        assert make(state, context).value == RUN
        assert Bookmark(state, "calls", "created_at", context=context, run_start=RUN + 999 * HOUR).value == RUN


def test_partitions_replace_the_bookmark_of_a_release_without_them() -> None:
    """And the other way round: one state never tells two stories."""
    state = saved("2026-01-31T07:00:00Z")
    make(state, ONE).advance(RUN)
    assert set(state["bookmarks"]["calls"]) == {"partitions"}
    make(state).advance(RUN)
    assert set(state["bookmarks"]["calls"]) == {"replication_key", "replication_key_value"}


def test_other_streams_are_left_alone() -> None:
    """The state of a stream that is not selected today is needed tomorrow."""
    state = {"bookmarks": {"other": {"replication_key_value": "x"}}}
    make(state).advance(RUN)
    assert state["bookmarks"]["other"] == {"replication_key_value": "x"}


@pytest.mark.parametrize("value", ["yesterday", 5, [], {}, True, "0001-01-01T00:00:00+05:00", ""])
def test_a_bookmark_that_is_no_instant_is_a_clear_error(value: Any) -> None:
    """The error names stream and place and says what to do; it is never taken for "no bookmark"."""
    with pytest.raises(StateInvalid, match=r"bookmark of calls can't be read.*ISO 8601.*bookmarks\.calls"):
        make(saved(value))


def test_a_bookmark_that_counts_by_another_field_is_a_clear_error() -> None:
    """A release that changed the replication key must not compare one with the other."""
    with pytest.raises(StateInvalid, match=r"counts by updated_at, this release by created_at.*Remove"):
        make(saved("2026-01-31T07:00:00Z", key="updated_at"))


@pytest.mark.parametrize("partitions", [5, "x", {"a": 1}, [5], [None]])
def test_partitions_of_another_form_are_a_clear_error(partitions: Any) -> None:
    """Neither a traceback nor a new beginning."""
    with pytest.raises(StateInvalid, match="partitions is not a list of objects"):
        make({"bookmarks": {"calls": {"partitions": partitions}}}, ONE)


@pytest.mark.parametrize(
    "given_state",
    [
        saved("x"),
        {"type": "STATE", "value": saved("x")},
        {"singer_state": saved("x")},
        {"type": "STATE", "value": {"singer_state": saved("x")}},
    ],
)
def test_older_and_wrapped_forms_of_the_state_are_read(given_state: Any) -> None:
    """A STATE line as a pipe keeps it, and what Meltano prints, are states too."""
    assert bookmark.check(given_state) == saved("x")


def test_no_state_is_an_empty_one() -> None:
    """A first run has none."""
    assert bookmark.check(None) == {}
    assert bookmark.check({}) == {}


@pytest.mark.parametrize(
    ("given_state", "why"),
    [
        ([], "no JSON object"),
        ("text", "no JSON object"),
        ({"type": "STATE"}, "no JSON object"),
        ({"calls": {}}, "no 'bookmarks'"),
        ({"bookmarks": None}, "object of objects"),
        ({"bookmarks": []}, "object of objects"),
        ({"bookmarks": {"calls": "2026-01-01"}}, "object of objects"),
    ],
)
def test_what_is_no_state_is_refused(given_state: Any, why: str) -> None:
    """What, why and what to do, instead of a full reload by surprise."""
    with pytest.raises(StateInvalid, match=rf"^the state can't be read: .*{why}.*STATE line"):
        bookmark.check(given_state)


def test_half_bookmarks_of_the_sdk_are_removed() -> None:
    """What its own machinery leaves when it is interrupted is no bookmark."""
    rubbish = {"progress_markers": {}, "starting_replication_value": "x", "replication_key_signpost": "y"}
    state = {
        "bookmarks": {
            "a": {**rubbish, "replication_key_value": "v"},
            "b": {"partitions": [{**rubbish, "context": ONE}]},
        }
    }
    bookmark.drop_markers(state)
    assert state == {"bookmarks": {"a": {"replication_key_value": "v"}, "b": {"partitions": [{"context": ONE}]}}}


@pytest.mark.parametrize("partitions", [5, None, "x", [5]])
def test_cleaning_an_odd_state_leaves_the_error_to_who_can_name_it(partitions: Any) -> None:
    """No traceback on the way."""
    bookmark.drop_markers({"bookmarks": {"calls": {"partitions": partitions}}})
    bookmark.drop_markers({})


def test_what_is_written_needs_no_rounding() -> None:
    """A bookmark keeps its microseconds: a row at the edge is neither lost nor read for ever."""
    state: dict[str, Any] = {}
    instant = RUN - timedelta(microseconds=1)
    make(state).advance(instant)
    assert instants.from_iso(state["bookmarks"]["calls"]["replication_key_value"]) == instant


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1", "https://api.example.com/v1/", "HTTPS://API.example.com:443/v1//",
        "https://api.example.com./v1",
    ],
)  # fmt: skip
def test_g1_an_account_is_the_same_however_its_address_is_written(url: str) -> None:
    """A slash at the end, capitals, the scheme's own port and a dot behind the host make no other server of it."""
    assert bookmark.account({"api_url": url, "x": 1}, ["api_url"]) == {"api_url": "https://api.example.com/v1"}


@pytest.mark.parametrize("url", ["https://api.example.com:8443/v1", "https://api.example.com/v2", "http://[::1]:80/v1"])
def test_g1_another_address_is_another_account(url: str) -> None:
    """Another port, path or host: the bookmarks there are of other rows."""
    ours = bookmark.account({"api_url": "https://api.example.com/v1"}, ["api_url"])
    theirs = bookmark.account({"api_url": url}, ["api_url"])
    state = {"bookmarks": {"calls": {"replication_key_value": "2026-01-01T00:00:00Z", "account": theirs}}}
    with pytest.raises(StateInvalid, match="another account"):
        bookmark.claim(state, ours, ["calls"], moved=False)


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, {"api_url": 5}, {"other": "x"}])
def test_g1_a_state_that_names_no_account_gets_ours(odd: Any) -> None:
    """One of an older release or by hand is gone on from; an entry without a bookmark is left as it is."""
    ours = {"api_url": "https://api.example.com"}
    mark = {"replication_key_value": "2026-01-01T00:00:00Z"}
    state = {"bookmarks": {"calls": {**mark, "account": odd}, "other": {}}}
    assert bookmark.claim(state, ours, ["calls", "other"], moved=False) == []
    assert state == {"bookmarks": {"calls": {**mark, "account": ours}, "other": {}}}


@pytest.mark.parametrize("context", [{"campaign": 5}, None, 5, [1], "x"])
def test_g3_every_bookmark_in_the_future_is_named(context: Any) -> None:
    """Each with its partition, whatever stands there; what is no time is told when it is used, and not here."""
    part = {"context": context, "replication_key_value": "2999-01-01T00:00:00Z"}
    odd: list[Any] = [5, "x", None, {"replication_key_value": 5}, {"replication_key_value": "2999"}]
    state = {"bookmarks": {"calls": {"partitions": [part, *odd]}, "other": {"replication_key_value": "2026-01-01"}}}
    (line,) = list(bookmark.ahead(state, RUN))
    assert line.startswith("calls of 5: " if isinstance(context, dict) else "calls: ")
    assert "2999-01-01T00:00:00+00:00 is in the future" in line
