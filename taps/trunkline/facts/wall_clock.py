"""Streams of a vendor whose times name no zone: a setting names it, for the rows and for the filter.

Such a filter reads the clock on the wall. In the hour that a change of clocks repeats it is unknown which pass is
meant, and what a time leaves out (seconds, the time of day) is not in the row: both could put a row beside its window.
"""

from __future__ import annotations

import functools
import re
import zoneinfo
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from trunkline import instants, zones
from trunkline.errors import printable
from trunkline.facts.paged import PagedStream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from trunkline.facts.stream import WindowRows
    from trunkline.steps.plan import Window

NO_DATE_OF_DOTNET = re.compile(r"0001-|0?1/0?1/0001\b|/Date\(-62135[56]\d{8}[)+-]")
"""The forms .NET writes where a date was never set: the first day of the calendar, in any form and zone."""
_WITH_SECONDS = "%S"
_WHOLE_LENGTH = len("2021-08-10T00:00:00")


class WallClock(PagedStream):
    """A stream whose times are read on the clock on the wall, unless they name a zone.

    A full table of such rows derives from `SnapshotStream` and from this class, in this order.
    """

    zone_setting: ClassVar[str] = "timezone"
    """Setting that holds the IANA name of the zone."""
    filter_dates: ClassVar[Mapping[str, str]] = MappingProxyType({"": "%Y-%m-%dT%H:%M:%S"})
    """How the vendor's filter writes a date, as `strftime` takes it, by the value of `filter_date_setting`."""
    filter_date_setting: ClassVar[str] = ""
    """Setting that chooses one of them; empty where there is only one."""
    null_dates: ClassVar[re.Pattern[str] | None] = None
    """How a time begins that stands for none."""
    precision = timedelta(0)
    """The coarsest that a time of the stream was written with so far."""

    @staticmethod
    def read_date(text: str, zone: tzinfo) -> datetime:
        """Read a time, in a zone unless it names one itself.

        Raises:
            ValueError: It is no time.
        """
        return instants.from_iso(text, zone)

    @functools.cached_property
    def zone(self) -> tzinfo:
        """The zone of times that name none, both ways."""
        return zoneinfo.ZoneInfo(self.config[self.zone_setting])

    @property
    def filter_date(self) -> str:
        """The form of a date in the filter, as `strftime` takes it."""
        return self.filter_dates[self.config[self.filter_date_setting] if self.filter_date_setting else ""]

    @property
    def tick(self) -> timedelta:  # type: ignore[override] # it depends on a setting
        """Whole seconds, or whole minutes where the filter's form has no seconds."""
        return instants.SECOND if _WITH_SECONDS in self.filter_date else instants.MINUTE

    def span(self, window: Window) -> tuple[tuple[str, str], ...]:
        """Return the span to request, on the clock on the wall: wider on both sides where the clocks change.

        A row of the second pass of a repeated hour is read as one of the first, and must be found in the window that
        this makes it belong to.
        """
        facts = self.paging
        since, until = self.bounds(window)
        slack = instants.widest_change(since or until, until, self.zone)
        low, high = (
            moment and (moment.astimezone(self.zone).replace(tzinfo=None) + by).strftime(self.filter_date)
            for moment, by in ((since, -slack), (until, slack))
        )
        return tuple((name, text) for name, text in ((facts.since, low), (facts.until, high)) if name and text)

    def read_time(self, text: str) -> tuple[datetime, str]:
        """Read a time in the zone of the setting, unless it names one; note how coarse it is."""
        if self.null_dates and self.null_dates.match(text):
            raise instants.NullTimeError("it is the vendor's date for none")
        instant = self.read_date(text, self.zone)
        if len(text) < _WHOLE_LENGTH and self.precision < instants.DAY:
            self.precision = max(self.precision, instants.precision(text))
        return instant, text if instants.has_zone(text) else instants.to_iso(instant)

    def belongs(self, rows: WindowRows, moments: Mapping[str, datetime]) -> bool:
        """Return whether a row is this window's, also by the part of its time that the vendor left out.

        The filter knows the whole time; one that is a day alone reads as the beginning of that day, which may lie
        before the window, and no other window brings the row.
        """
        instant, since = moments.get(rows.by), rows.window.since
        if self.precision and instant is not None and since is not None and instant < since < self._behind(instant):
            return True
        return super().belongs(rows, moments)

    def _behind(self, instant: datetime) -> datetime:
        """Return the end of what a time that reads as this instant may mean."""
        day = instant.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        beginning, end = (one.replace(tzinfo=self.zone).astimezone(instants.UTC) for one in (day, day + instants.DAY))
        if self.precision == instants.DAY and instant == beginning:
            return end
        return instant + instants.MINUTE if instant == instants.floor(instant, instants.MINUTE) else instant


class NamesZone(WallClock):
    """A stream whose rows name the zone of a place, which a setting may contradict."""

    row_zone: ClassVar[str]
    """Field that names it, as IANA or Windows do."""

    def __init__(self, tap: Any) -> None:
        super().__init__(tap)
        self._named = set[str]()

    def compute(self, row: Any) -> None:
        """Warn of a zone whose clocks are not those of the setting: once for each, as many rows may name it."""
        named = row.get(self.row_zone)
        if not isinstance(named, str) or not named.strip() or named in self._named:
            return
        self._named.add(named)
        zone, setting = zones.find(named), f"{self.zone_setting} ({self.config[self.zone_setting]})"
        if zone is None:
            self.logger.info("%s: %s can't be compared with %s", self.name, printable(named), setting)
        elif zones.differ(zone, self.zone, self.tap.run_start):
            self.warn(
                f"a row has the {self.row_zone} {printable(named)}, whose clocks are not those of {setting}: times "
                f"that name no zone may be read wrongly. Compare one with the vendor's own page, and set "
                f"{self.zone_setting} to the zone that its times are in"
            )
