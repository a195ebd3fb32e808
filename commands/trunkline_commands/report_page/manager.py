"""The manager's part of the page, from the models."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from trunkline_commands.report_page import days as calendar
from trunkline_commands.report_page.metrics import CONTACTS, metrics, unknown
from trunkline_commands.report_page.models import read_models
from trunkline_commands.report_page.rankings import read_rankings, read_repeats
from trunkline_commands.report_page.story import Bar
from trunkline_commands.report_page.sums import Sums, read_sums, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from trunkline_commands.report_page.metrics import Metric
    from trunkline_commands.report_page.models import Key, Models, Query, Source
    from trunkline_commands.report_page.rankings import Ranking, Repeats

MOST_WEEKS, SPAN_WEEKS = 8, 4
"""Weeks shown as a series at most, and those that the heat map and the lists are made of."""
_WEEK = 7
_STEPS = 6  # of the colour scale, beside the one for nothing


class Week(NamedTuple):
    """Seven days up to yesterday, or as many before them."""

    first: date
    last: date


class Tile(NamedTuple):
    """A headline figure: its name, value, change, value before, and what it is made of."""

    name: str
    value: str
    change: str
    before: str
    note: str


class Line(NamedTuple):
    """A figure of a source over weeks: its name, value, change, small chart, and each week's value."""

    metric: Metric
    value: str
    change: str
    bars: Sequence[Bar]


@dataclasses.dataclass(frozen=True)
class Card:
    """The part about a source: its weeks, its figures over them, and those that are not known with the reason."""

    source: Source
    sums: Sums
    weeks: Sequence[Week]
    lines: Sequence[Line]
    unknown: Sequence[tuple[str, str]]


class Today(NamedTuple):
    """Today so far against the same weekday a week ago, up to the same time of day.

    Args:
        up_to: Up to when each source's rows are compared; the report's own moment unless its load is older.
        sums: Contacts by source: today's, and those of a week ago.
    """

    up_to: Mapping[Key, datetime]
    sums: Mapping[Key, tuple[Sums, Sums]]


class Heat(NamedTuple):
    """Contacts in an average hour of each weekday, of one direction.

    Args:
        name: The direction.
        rows: Hours, each with a cell for Monday to Sunday: contacts an hour, and the step on the scale.
    """

    name: str
    rows: Sequence[tuple[int, Sequence[tuple[float, int]]]]


class Stack(NamedTuple):
    """A day of the chart by direction: incoming, outgoing, not known; with heights from 0 to 100."""

    day: date
    counts: tuple[int, int, int]
    heights: tuple[float, float, float]


@dataclasses.dataclass
class Manager:
    """The manager's part.

    Args:
        models: The models.
        now: The report's moment, in the zone that days are counted in.
        weeks: Whole weeks of the totals, newest last.
        tiles: Headline figures of the newest of them.
        sums: The contacts of that week, and of the one before.
        cards: A card for each source.
        today: Today so far.
        heats: When contacts begin.
        stacks: Contacts by day and direction.
        ticks: Labels below that chart.
        top: What the full height of that chart stands for.
        rankings: Agents, queues, campaigns.
        repeats: How often customers came.
        left_out: Figures that could not be made, and why.
    """

    models: Models
    now: datetime
    weeks: list[Week] = dataclasses.field(default_factory=list)
    tiles: list[Tile] = dataclasses.field(default_factory=list)
    sums: tuple[Sums, Sums] = (Sums(), Sums())
    cards: list[Card] = dataclasses.field(default_factory=list)
    today: Today | None = None
    heats: list[Heat] = dataclasses.field(default_factory=list)
    stacks: list[Stack] = dataclasses.field(default_factory=list)
    ticks: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    top: int = 0
    rankings: list[Ranking] = dataclasses.field(default_factory=list)
    repeats: Repeats | None = None
    left_out: list[str] = dataclasses.field(default_factory=list)

    @contextmanager
    def figure(self, name: str) -> Iterator[None]:
        """Let one part fail alone: it is left out and named."""
        try:
            yield
        except Exception as problem:  # noqa: BLE001 - a row may bring about any error; the database's words quote values
            self.left_out.append(f"{name} ({type(problem).__name__})")

    @property
    def span(self) -> Sequence[Week]:
        """The weeks that the heat map and the lists are made of."""
        return self.weeks[-SPAN_WEEKS:]

    @property
    def partial(self) -> list[Source]:
        """Counted sources of which the last week is not whole, because what is proven ends in it."""
        return [source for source in self.models.counted if source.up_to and source.up_to < self.midnight(self.today_)]

    @property
    def young(self) -> list[Source]:
        """Counted sources that begin after the week before: a change means nothing there."""
        first = self.midnight(self.today_ - timedelta(days=2 * _WEEK))
        return [source for source in self.models.counted if source.begins > first]

    @property
    def today_(self) -> date:
        """The day of the report."""
        return self.now.date()

    def midnight(self, day: date) -> datetime:
        """Return the instant at which a day begins."""
        return calendar.midnight(day, self.now.tzinfo)


def read_manager(query: Query, schemas: Sequence[str], now: datetime, days: int) -> Manager:
    """Read the manager's part.

    Args:
        query: Runs a query.
        schemas: The schemas that hold models; those of the first are shown.
        now: The report's moment, in the zone that days are counted in.
        days: How many days to show at most.
    """
    made = Manager(read_models(query, schemas, now.tzinfo), now)
    if not made.models.sources:
        return made
    made.weeks = _weeks(made, made.models.counted or made.models.sources)
    with made.figure("figures by day"):
        _add_days(made, query, days)
    with made.figure("today"):
        made.today = _read_today(made, query)
    with made.figure("weekdays and hours"):
        made.heats = _read_heats(made, query)
    span = made.midnight(made.span[0].first), made.midnight(made.today_)
    with made.figure("agents, queues and campaigns"):
        made.rankings = read_rankings(query, made.models, span)
    with made.figure("repeats"):
        made.repeats = read_repeats(query, made.models, span)
    return made


def _weeks(made: Manager, sources: Iterable[Source]) -> list[Week]:
    """List the weeks that lie behind the beginning of some source; the newest one in any case."""
    begins = min(source.begins for source in sources)
    found = []
    for number in range(MOST_WEEKS):
        last = made.today_ - timedelta(days=1 + _WEEK * number)
        week = Week(last - timedelta(days=_WEEK - 1), last)
        if number and begins > made.midnight(week.first):
            break
        found.append(week)
    return found[::-1]


def _local(made: Manager) -> str:
    return f"timezone('{made.now.tzinfo}', started_at)"


def _add_days(made: Manager, query: Query, days: int) -> None:
    first = made.today_ - timedelta(days=max(days - 1, _WEEK * MOST_WEEKS))
    span = made.midnight(first), made.now
    found = read_sums(query, made.models, span, f"vendor, stream, CAST({_local(made)} AS date)")
    by_day: dict[Key, dict[date, Sums]] = {source.key: {} for source in made.models.sources}
    for (vendor, stream, day), sums in found.items():
        by_day[vendor, stream][day] = sums
    counted = [by_day[source.key] for source in made.models.counted]
    before = Week(*(day - timedelta(days=_WEEK) for day in made.weeks[-1]))
    made.sums = _of(made.weeks[-1], counted), _of(before, counted)
    known = len(made.weeks) > 1
    for metric in metrics(made.models.settings):
        now, then = made.sums
        if metric.applies(now) or metric is CONTACTS:
            change = metric.change(now, then) if known and not made.partial else ""
            then_text = metric.text(then) if known else ""
            made.tiles.append(Tile(metric.name, metric.text(now), change, then_text, metric.note))
    made.cards = [_card(made, source, by_day[source.key]) for source in made.models.sources]
    begins = min(source.begins for source in made.models.sources).astimezone(made.now.tzinfo).date()
    shown = calendar.span(max(made.today_ - timedelta(days=days - 1), min(begins, made.today_)), made.today_)
    _add_stacks(made, {day: total(held[day] for held in counted if day in held) for day in shown})


def _of(week: Week, sources: Iterable[Mapping[date, Sums]]) -> Sums:
    """Add up the contacts of a week."""
    return total(sums for held in sources for day, sums in held.items() if week.first <= day <= week.last)


def _add_stacks(made: Manager, shown: Mapping[date, Sums]) -> None:
    made.top = max(sums.contacts for sums in shown.values())
    for day, sums in shown.items():
        counts = sums.incoming, sums.outgoing, sums.undirected
        low, middle, high = (100 * count / max(made.top, 1) for count in counts)
        made.stacks.append(Stack(day, counts, (low, middle, high)))
    made.ticks = calendar.ticks(list(shown))


def _card(made: Manager, source: Source, by_day: Mapping[date, Sums]) -> Card:
    weeks = _weeks(made, [source])
    by_week = [_of(week, [by_day]) for week in weeks]
    whole = total(by_week)
    lines = []
    for metric in metrics(made.models.settings):
        values = [metric.of(sums) for sums in by_week]
        if not any(value is not None for value in values):
            continue
        top = max(value for value in values if value is not None)
        bars = [
            Bar(f"{week.first} to {week.last}", sums.contacts, 100 * (value or 0) / (top or 1), metric.text(sums))
            for week, sums, value in zip(weeks, by_week, values, strict=True)
        ]
        change = metric.change(by_week[-1], by_week[-2]) if len(weeks) > 1 and source not in made.partial else ""
        lines.append(Line(metric, metric.text(by_week[-1]), change, bars))
    return Card(source, by_week[-1], weeks, lines, unknown(source, whole, metrics(made.models.settings)))


def _read_today(made: Manager, query: Query) -> Today:
    """Read today's contacts of each source up to where its load reaches, and those of a week ago up to that time."""
    begin, zone = made.midnight(made.today_), made.now.tzinfo
    up_to, sums = {}, {}
    for source in made.models.sources:
        end = min(made.now, source.up_to or made.now).astimezone(zone)
        up_to[source.key] = end
        if end <= begin:
            sums[source.key] = Sums(), Sums()
            continue
        # By the clocks on the wall: an hour that is changed in between is not made up for.
        then = (end.replace(tzinfo=None) - timedelta(days=_WEEK)).replace(tzinfo=zone)
        spans = (begin, end), (made.midnight(made.today_ - timedelta(days=_WEEK)), then)
        now, before = (read_sums(query, made.models, span, "vendor, stream").get(source.key, Sums()) for span in spans)
        sums[source.key] = now, before
    return Today(up_to, sums)


def _read_heats(made: Manager, query: Query) -> list[Heat]:
    span = made.midnight(made.span[0].first), made.midnight(made.today_)
    at = _local(made)
    parts = f"CAST(extract(isodow FROM {at}) AS int), CAST(extract(hour FROM {at}) AS int)"
    found = read_sums(query, made.models, span, f"vendor, stream, direction, {parts}")
    counted = {source.key for source in made.models.counted}
    names = {"inbound": "Incoming", "outbound": "Outgoing", None: "Direction not known"}
    counts: dict[str | None, dict[tuple[int, int], int]] = {direction: {} for direction in names}
    for (vendor, stream, direction, weekday, hour), sums in found.items():
        if (vendor, stream) in counted:
            cells = counts[direction]
            cells[weekday, hour] = cells.get((weekday, hour), 0) + sums.contacts
    weeks = len(made.span)
    top = max((count for cells in counts.values() for count in cells.values()), default=0)
    heats = []
    for direction, cells in counts.items():
        if not cells:
            continue
        hours = [hour for _, hour in cells]
        table = []
        for hour in range(min(hours), max(hours) + 1):
            counts_ = [cells.get((weekday, hour), 0) for weekday in range(1, _WEEK + 1)]
            table.append((hour, [(count / weeks, -(-_STEPS * count // top)) for count in counts_]))
        heats.append(Heat(names[direction], table))
    return heats
