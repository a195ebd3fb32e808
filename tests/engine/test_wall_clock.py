"""Times that name no zone: read by the setting, written for the filter, and compared with the zones that rows name."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from trunkline import instants, zones
from trunkline.facts import NamesZone, OnePage, VendorTap, WallClock, common, text
from trunkline.steps.plan import Window

UTC = timezone.utc
HOUR = timedelta(hours=1)
RUN = datetime(2026, 3, 1, tzinfo=UTC)


class Calls(WallClock):
    """The schema is borrowed from Evolux: only keys and times matter here."""

    name, path = "studio_calls", "/calls"
    primary_keys, replication_key = ("id",), "start_time"
    filter_dates: ClassVar = {"iso": "%Y-%m-%dT%H:%M:%S", "minutes": "%d.%m.%Y %H:%M"}
    filter_date_setting, null_dates = "form", re.compile("0001-")
    paging = OnePage(since="from", until="to")


class Places(NamesZone):
    """Rows that name a zone."""

    name, path, row_zone = "studio_calls", "/places", "zone"
    primary_keys, replication_key = ("id",), "start_time"
    paging = OnePage()


def stream(kind: type[Any], **config: Any) -> Any:
    """A stream of a tap with these settings."""
    facts = {
        "name": "tap-any",
        "vendor": "evolux",
        "common": common(lookback="P1D", window="P1D"),
        "settings": {
            "api_url": text("Address.", format="url", default="https://vendor.example"),
            "timezone": text("Zone.", format="zone", default="UTC"),
            "form": text("Form.", default="iso"),
        },
        "stream_types": (kind,),
    }
    return type("AnyTap", (VendorTap,), facts)(config=config, run_start=RUN).streams["studio_calls"]


def test_g1_the_filter_reads_the_clock_on_the_wall() -> None:
    """A span is written in the zone of the setting, in its form, and wider by what the clocks change in it."""
    turn = datetime(2021, 10, 31, 1, tzinfo=UTC)
    calls = stream(Calls, timezone="Europe/Warsaw")
    assert calls.span(Window(turn - 9 * 24 * HOUR, turn)) == (
        ("from", "2021-10-22T02:00:00"),
        ("to", "2021-10-31T03:00:00"),
    )
    assert calls.span(Window(None, turn - 240 * HOUR)) == (("to", "2021-10-21T03:00:00"),)
    short = stream(Calls, timezone="Europe/Warsaw", form="minutes")
    assert short.span(Window(turn - 300 * HOUR, turn - 240 * HOUR))[1] == ("to", "21.10.2021 03:00")
    assert (calls.tick, short.tick) == (instants.SECOND, instants.MINUTE)


def test_a_time_is_read_in_the_zone_unless_it_names_one() -> None:
    """It is written with its zone; a date for none is none."""
    calls = stream(Calls, timezone="America/New_York")
    assert calls.read_time("2026-01-05T08:00:00")[1] == "2026-01-05T13:00:00+00:00"
    assert calls.read_time("2026-01-05T08:00:00Z") == (datetime(2026, 1, 5, 8, tzinfo=UTC), "2026-01-05T08:00:00Z")
    with pytest.raises(instants.NullTimeError):
        calls.read_time("0001-01-01T00:00:00")


@pytest.mark.parametrize(
    ("zone", "setting", "said"),
    [
        ("America/New_York", "America/New_York", ""),
        ("Eastern Standard Time", "America/New_York", ""),
        ("America/Toronto", "America/New_York", ""),
        ("GMT Standard Time", "UTC", "whose clocks are not those of timezone (UTC)"),
        ("Pacific Standard Time", "America/New_York", "whose clocks are not those of timezone (America/New_York)"),
        ("Somewhere", "UTC", "can't be compared with timezone (UTC)"),
        ("../../etc/passwd", "UTC", "can't be compared"),
        (None, "UTC", ""),
        ("", "UTC", ""),
    ],
)
def test_g2_a_zone_that_contradicts_the_setting_is_a_warning(
    zone: str | None, setting: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that name another zone than the setting are told of once, by the clocks and not by the name."""
    places = stream(Places, timezone=setting)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            places.compute({"id": 1, "zone": zone})
    lines = [record.getMessage() for record in caplog.records if str(zone) in record.getMessage() and zone]
    assert len(lines) == bool(said)
    assert said in "".join(lines)


def test_clocks_that_part_for_a_season_differ() -> None:
    """Two zones that agree today and not in summer are different; two names of one zone are not."""
    london, arizona, denver = map(zones.find, ("Europe/London", "US Mountain Standard Time", "America/Denver"))
    assert london
    assert arizona
    assert denver
    assert zones.differ(london, UTC, RUN)
    assert zones.differ(arizona, denver, RUN)
    assert not zones.differ(denver, denver, RUN)
