"""Compares the report page's figures with those that Python computes from the vendors' rows, and with the marts."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from tests.transform import figures
from tests.transform.harness import InPostgres

from trunkline_commands.report_page import models, tables
from trunkline_commands.report_page.manager import Manager, read_manager
from trunkline_commands.report_page.page import page
from trunkline_commands.verify.databases import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.transform.harness import Built

    from trunkline_commands.report_page.sums import Sums

NOW = datetime(2026, 1, 14, 12, 30, tzinfo=ZoneInfo("UTC"))
"""Within the last day of the sandbox's data, so that today and two weeks before it have some."""
LEFT_OUT = ("evolux", "studio_calls")
"""In no total, as calls of queues may be among them."""


def compare(built: Built, wanted: Mapping[str, figures.Contact], zone: str, how: Mapping[str, Any]) -> None:
    """Compare what the page shows in a zone.

    Args:
        built: The warehouse.
        wanted: The contacts as Python makes them.
        zone: The page's zone.
        how: Threshold and so on, as `figures.by_interval` takes them.
    """
    now = NOW.astimezone(ZoneInfo(zone))
    made = _read(built, now)
    assert made.left_out == []
    rows = [row for row in wanted.values() if (row["vendor"], row["stream"]) != LEFT_OUT]
    repeated = figures.repeats(wanted.values(), how["repeat_days"])

    def of(group: Iterable[figures.Contact]) -> dict[str, Any]:
        return figures.of_group([*group], repeated, how["threshold"], how["short"])

    local = {row["contact_key"]: row["started_at"].astimezone(ZoneInfo(zone)) for row in rows}
    today = now.date()
    for back, found in enumerate(made.sums):
        last = today - timedelta(days=1 + 7 * back)
        week = [row for row in rows if last - timedelta(days=7) < local[row["contact_key"]].date() <= last]
        _same(found, week, of)
    _same_today(made, rows, local)
    span = [row for row in rows if made.span[0].first <= local[row["contact_key"]].date() < today]
    _same_hours(made, span, local)
    _same_lists(made, span)


def _read(built: Built, now: datetime) -> Manager:
    if isinstance(built, InPostgres):
        database = connect(built.url)
        try:
            return read_manager(database.rows, models.listed(database.rows), now, 90)
        finally:
            database.close()
    with tables.opened(Path(built.place), str(now.tzinfo)) as connection:
        return read_manager(lambda text: connection.execute(text).fetchall(), ["contact_centre"], now, 90)


def _same(found: Sums, rows: list[figures.Contact], of: Callable[[Iterable[figures.Contact]], dict[str, Any]]) -> None:
    inward = of(row for row in rows if row["direction"] == "inbound")
    whole = of(rows)
    assert (found.contacts, found.incoming) == (len(rows), inward["contacts"])
    assert found.outgoing == sum(row["direction"] == "outbound" for row in rows)
    assert found.unproven == 0
    assert (found.offered, found.in_answers, found.answers) == (
        inward["offered"],
        inward["answered"],
        whole["answered"],
    )
    assert found.service_level == pytest.approx(inward["service_level_abandons_negative"])
    assert found.speed == pytest.approx(inward["average_speed_of_answer"])
    assert found.abandonment_rate == pytest.approx(inward["abandonment_rate"])
    assert found.handled == whole["handled"]
    assert found.handle_time == pytest.approx(whole["average_handle_time"])
    assert found.repeats == whole["repeats"]


def _same_today(made: Manager, rows: list[figures.Contact], local: Mapping[str, datetime]) -> None:
    assert made.today
    found = Counter({source: sums[0].contacts for source, sums in made.today.sums.items() if source != LEFT_OUT})
    began = [(row, local[row["contact_key"]]) for row in rows]
    today = made.now.date()
    assert found == Counter(
        (row["vendor"], row["stream"]) for row, at in began if at.date() == today and row["started_at"] < NOW
    )
    ago, until = today - timedelta(days=7), made.now.time()
    before = sum(sums[1].contacts for source, sums in made.today.sums.items() if source != LEFT_OUT)
    assert before == sum(at.date() == ago and at.time() < until for _, at in began)


def _same_hours(made: Manager, rows: list[figures.Contact], local: Mapping[str, datetime]) -> None:
    names = {"inbound": "Incoming", "outbound": "Outgoing", None: "Direction not known"}
    moments = [(names[row["direction"]], local[row["contact_key"]]) for row in rows]
    wanted = Counter((name, at.hour, at.weekday()) for name, at in moments)
    found = {
        (heat.name, hour, weekday): value * len(made.span)
        for heat in made.heats
        for hour, cells in heat.rows
        for weekday, (value, _) in enumerate(cells)
        if value
    }
    assert found == wanted


def _same_lists(made: Manager, rows: list[figures.Contact]) -> None:
    lists: list[Counter[tuple[Any, ...]]] = [
        Counter((row["vendor"], row["agent_id"] or row["agent_name"]) for row in rows),
        Counter(
            (row["vendor"], row["queue_kind"], row["queue_kind"] != "client" and row["queue_id"])
            for row in rows
            if row["queue_id"]
        ),
        Counter((row["vendor"], row["campaign_id"]) for row in rows if row["campaign_id"]),
    ]
    for ranking, count in zip(made.rankings, lists, strict=True):
        found = [entry.sums.contacts for entry in ranking.entries]
        named = sorted((n for key, n in count.items() if key[1] is not None), reverse=True)
        assert found == named[: len(found)]
        assert ranking.others[0] == len(named) - len(found)
        assert ranking.others[1].contacts == sum(named[len(found) :])
        assert ranking.without == len(rows) - sum(named)
    customers = Counter(
        Counter((row["vendor"], who) for row in rows if (who := figures.customer_of(row)) is not None).values()
    )
    assert made.repeats
    often = dict(made.repeats.customers)
    assert (often["once"], often["twice"]) == (customers[1], customers[2])
    assert sum(often.values()) == sum(customers.values())


def compare_marts(built: Built, zone: str) -> None:
    """Compare the last week with the mart by day, in the zone that the mart counts days in."""
    made = _read(built, NOW.astimezone(ZoneInfo(zone)))
    first, last = (day.isoformat() for day in made.weeks[-1])
    days = [
        row
        for row in built.rows("contacts_by_day")
        if first <= _day(row["day"]) <= last and (row["vendor"], row["stream"]) != LEFT_OUT
    ]

    def added(name: str, *, inward: bool = True) -> Any:
        return sum(row[name] or 0 for row in days if not inward or row["direction"] == "inbound")

    week = made.sums[0]
    assert (week.contacts, week.proven) == (added("contacts", inward=False), added("proven", inward=False))
    assert (week.offered, week.in_abandons, week.within) == (
        added("offered"),
        added("abandoned"),
        added("answers_within"),
    )
    assert week.speed == pytest.approx(added("answer_wait_seconds") / added("timed_answers"))
    assert week.handle == pytest.approx(added("handle_seconds", inward=False))
    assert week.repeats == added("repeats", inward=False)


def _day(value: Any) -> str:
    return str(value)[:10]


def assert_nothing_of_customers(built: Built) -> None:
    """See that the page names agents, and no number, name or identifier of a customer."""
    text = page(built.url if isinstance(built, InPostgres) else Path(built.place), NOW)
    rows = built.rows("contacts_made")
    agents = {row["agent_name"] for row in built.rows("agents")}
    private = {row["customer_name"] for row in (*rows, *built.rows("customers"))}
    private |= {row[name] for row in rows for name in ("customer_phone", "customer_id")}
    # The sandbox makes up a few names for several uses, and names of stores from those of clients.
    private -= agents | {row["queue_name"] for row in rows}
    assert len(private) > 400
    assert not [one for one in private if one and len(one) > 3 and one in text]
    clients = {row["queue_name"] for row in rows if row["queue_kind"] == "client"}
    assert not [name for name in clients if f">{name} <" in text]
    assert sum(name in text for name in agents if name) > 5
