"""Which units a backfill is made of."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline_orchestrate import plan, sources
from trunkline_orchestrate.errors import SettingsInvalid
from trunkline_orchestrate.plan import Unit

from trunkline.doors.vendors import vendor_taps

if TYPE_CHECKING:
    from collections.abc import Callable

UTC = timezone.utc
NOW = datetime(2026, 11, 22, 12, 30, 15, 250_000, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


def source(config: dict[str, Any], vendor: str = "bspk", **more: Any) -> sources.Source:
    return sources.Source(vendor, vendor_taps()[vendor], config, **more)


@given(since=MOMENTS, length=st.integers(1, 10**8), span=st.integers(3600, 10**8), micros=st.integers(0, 999_999))
@settings(max_examples=60, deadline=None)
def test_g1_units_adjoin_on_whole_ticks(since: datetime, length: int, span: int, micros: int) -> None:
    """Units cover the span without a gap or an overlap, on whole seconds, none longer than asked for."""
    until = min(since + timedelta(seconds=length, microseconds=micros), NOW)
    longest = timedelta(seconds=max(span, length // 50), microseconds=micros)
    one = source({"auth_token": "x"}, since=since, until=until, span=longest)
    if since.replace(microsecond=0) >= until.replace(microsecond=0):
        return
    units = plan.units(one, NOW)
    assert units[0].since == since.replace(microsecond=0)
    assert units[-1].until == until.replace(microsecond=0)
    assert all(left.until == right.since for left, right in pairwise(units))
    assert all(unit.since and unit.until and timedelta(0) < unit.until - unit.since <= one.span for unit in units)
    assert len({unit.key for unit in units}) == len(units)
    assert [Unit.from_json(unit.to_json()) for unit in units] == units


def test_each_campaign_has_units_of_its_own(config: Callable[[str], dict[str, Any]]) -> None:
    """A source that lists campaigns is split by them; their bookmarks are counted apart."""
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    values = config("conpeek")
    one = source(values, "conpeek", since=since, until=until, span=timedelta(days=1))
    assert one.partitions == ("voice_campaign_ids", "voice_campaign_id")
    assert [(unit.partition, unit.since) for unit in plan.units(one, NOW)] == [
        (campaign, day) for campaign in values["voice_campaign_ids"] for day in (since, since + timedelta(days=1))
    ]


def test_vendor_without_dates_is_one_unit(config: Callable[[str], dict[str, Any]]) -> None:
    """SwitchTransact can't be asked for a span: it is one unit."""
    assert plan.units(source(config("switchtransact"), "switchtransact"), NOW) == [Unit("switchtransact")]


@pytest.mark.parametrize("form", ["us", "us24"])
def test_edges_are_whole_minutes_where_the_filter_knows_no_seconds(
    config: Callable[[str], dict[str, Any]], form: str
) -> None:
    """Units of HostedSuite in its American forms begin and end on minutes."""
    values = {**config("hostedsuite"), "filter_date_format": form}
    one = source(values, "hostedsuite", since=NOW - timedelta(days=2), span=timedelta(hours=13, seconds=20))
    edges = {edge for unit in plan.units(one, NOW) for edge in (unit.since, unit.until)}
    assert all(edge and not edge.second and not edge.microsecond for edge in edges)


def test_keys_are_plain_and_tell_campaigns_apart() -> None:
    """A key has letters, digits and _ only, as orchestrators want it, and two campaigns never share one."""
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    keys = [Unit("conpeek", since, until, name).key for name in ("ab", "a-b", "a b", "ä")]
    assert len(set(keys)) == len(keys)
    assert all(key.replace("_", "").isalnum() and key.isascii() for key in keys)


def test_g1_plan_never_ends_in_the_future(config: Callable[[str], dict[str, Any]]) -> None:
    """Rows that come after their unit was read would be behind the bookmark: a plan into the future is refused."""
    until = NOW + timedelta(seconds=1)
    with pytest.raises(SettingsInvalid, match="has not come yet"):
        plan.units(source(config("bspk"), since=NOW - timedelta(days=3), until=until), NOW)
    with pytest.raises(SettingsInvalid, match="nothing to read"):
        plan.units(source(config("bspk"), since=NOW), NOW)
