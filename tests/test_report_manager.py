"""The manager's part of the report page: calendar days, sources that overlap, what is not known, and whose names."""

# ruff: noqa: S608 - rows of our own

from __future__ import annotations

import zoneinfo
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from tests.test_report_page import HOSTILE, NOW, Page, evolux, loaded, proofs, report

from trunkline_commands.report_page import manager, page, rankings, tables, troubles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

WARSAW = zoneinfo.ZoneInfo("Europe/Warsaw")
TABLES = (
    """contacts_made (contact_key VARCHAR, vendor VARCHAR, stream VARCHAR, direction VARCHAR, started_at TIMESTAMPTZ,
    is_answered BOOLEAN, is_abandoned BOOLEAN, wait_seconds DOUBLE, handle_seconds DOUBLE, proven BOOLEAN,
    agent_key VARCHAR, queue_kind VARCHAR, queue_id VARCHAR, campaign_id VARCHAR, customer_key VARCHAR,
    customer_name VARCHAR)""",
    "contact_repeats (contact_key VARCHAR, is_repeat BOOLEAN)",
    "coverage (vendor VARCHAR, stream VARCHAR, field VARCHAR, supplied VARCHAR, reason VARCHAR)",
    "proven_spans (vendor VARCHAR, stream VARCHAR, since TIMESTAMPTZ, until TIMESTAMPTZ)",
    "agents (agent_key VARCHAR, agent_id VARCHAR, agent_name VARCHAR)",
    "queues (vendor VARCHAR, queue_kind VARCHAR, queue_id VARCHAR, queue_name VARCHAR)",
    """model_settings AS SELECT 'Europe/Warsaw' AS centre_timezone, 20.0 AS service_level_seconds,
    5.0 AS short_abandon_seconds, 7.0 AS repeat_days""",
)
CALL = {
    "vendor": "evolux", "stream": "queue_calls", "direction": "inbound", "is_answered": True, "is_abandoned": False,
    "wait_seconds": 10, "handle_seconds": 60, "proven": True,
}  # fmt: skip


def modelled(path: Path, contacts: Iterable[dict[str, Any]] = (), **others: list[dict[str, Any]]) -> Path:
    """A file with models of these contacts; of other tables only what is named."""
    rows = [("contacts_made", {"contact_key": str(n), **CALL, **row}) for n, row in enumerate(contacts)]
    rows += [(name, row) for name, found in others.items() for row in found]
    inserted = [
        f"INSERT INTO contact_centre.{name} ({', '.join(row)}) VALUES ({', '.join(map(literal, row.values()))})"
        for name, row in rows
    ]
    made = (f"CREATE TABLE contact_centre.{table}" for table in TABLES)
    return loaded(path, "CREATE SCHEMA contact_centre", *made, *inserted)


def literal(value: Any) -> str:
    """A value as SQL writes it."""
    if value is None or isinstance(value, (bool, int, float)):
        return "NULL" if value is None else str(value)
    return f"$x${value}$x$"


def at(*moments: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"started_at": moment, **fields} for moment in moments]


def read(path: Path, now: datetime = NOW) -> manager.Manager:
    with tables.opened(path, str(now.tzinfo)) as connection:
        query = lambda text: connection.execute(text).fetchall()  # noqa: E731 - as the page has it
        made = manager.read_manager(query, ["contact_centre"], now, 90)
    assert made.left_out == []
    return made


LOCAL = NOW.astimezone(WARSAW)  # Tuesday, 31 March, 9:30; the clocks were changed on the 29th
EDGES = ("2026-03-23 22:59:59Z", "2026-03-23 23:00:00Z", "2026-03-30 21:59:59Z", "2026-03-30 22:00:00Z")
"""Around the first and the last of the seven days before it, the last of them in summer time."""


def test_the_last_week_is_of_whole_calendar_days_over_a_change_of_clocks(tmp_path: Path) -> None:
    """Seven days from midnight to midnight on the zone's clocks, one of them of 23 hours; today is in none."""
    made = read(modelled(tmp_path / "x.duckdb", at("2026-03-01 12:00:00Z", *EDGES)), LOCAL)
    assert made.weeks[-1] == (date(2026, 3, 24), date(2026, 3, 30))
    assert [sums.contacts for sums in made.sums] == [2, 1]
    assert [bar.rows for bar in made.cards[0].lines[0].bars] == [0, 0, 1, 2]
    assert {stack.day: sum(stack.counts) for stack in made.stacks if sum(stack.counts)} == {
        date(2026, 3, 1): 1, date(2026, 3, 23): 1, date(2026, 3, 24): 1, date(2026, 3, 30): 1, date(2026, 3, 31): 1,
    }  # fmt: skip


def test_today_is_compared_up_to_the_same_time_on_the_wall(tmp_path: Path) -> None:
    """9:30 of summer time against 9:30 of winter time; a source is compared as far as its load is proven."""
    path = modelled(
        tmp_path / "x.duckdb",
        [
            *at("2026-03-31 07:00Z", "2026-03-24 08:29Z", "2026-03-24 08:31Z"),
            *at("2026-03-24 05:00Z", "2026-03-24 07:00Z", vendor="conpeek", stream="dialogs"),
            *at("2026-03-24 07:00Z", vendor="hostedsuite", stream="calls"),
        ],
        proven_spans=[
            {"vendor": "conpeek", "stream": "cdr_dialogs", "since": "2026-03-01", "until": "2026-03-31 04:30Z"},
            {"vendor": "hostedsuite", "stream": "calls", "since": "2026-03-01", "until": "2026-03-30 21:00Z"},
        ],
    )
    made = read(path, LOCAL)
    assert made.today
    found = {key: [sums.contacts for sums in both] for key, both in made.today.sums.items()}
    assert found == {
        ("evolux", "queue_calls"): [1, 1],
        ("conpeek", "dialogs"): [0, 1],
        ("hostedsuite", "calls"): [0, 0],
    }
    assert [source.vendor for source in made.partial] == ["hostedsuite"]
    text = Page(page.page(path, LOCAL)).text
    assert "not loaded since 2026-03-30 23:00" in text
    assert "Not whole: hostedsuite calls up to 2026-03-30 23:00" in text
    assert {tile.change for tile in made.tiles} == {""}


def test_days_are_those_of_the_models_unless_another_zone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zone of the models is the default; in another one everything is counted anew, and the page says both."""
    path, output = modelled(tmp_path / "x.duckdb", at(*EDGES)), tmp_path / "x.html"
    options = ("--database", str(path), "--output", str(output))
    assert report(monkeypatch, *options) == 0
    assert "Days and times are those of Europe/Warsaw" in output.read_text(encoding="utf-8")
    assert report(monkeypatch, *options, "--timezone", "UTC") == 0
    text = output.read_text(encoding="utf-8")
    assert "The models count days in Europe/Warsaw; this page counts them anew in UTC" in text
    assert '2026-03-23</th><td class="n">2</td>' in text


def test_a_source_that_another_may_hold_is_left_out_of_totals(tmp_path: Path) -> None:
    """Calls of Evolux's flows are in no total beside those of its queues, and it is said; alone they are."""
    flows = at("2026-03-30 10:00Z", "2026-03-30 11:00Z", stream="studio_calls", direction=None)
    both = modelled(tmp_path / "both.duckdb", [*flows, *at("2026-03-30 10:00Z")])
    assert read(both).sums[0].contacts == 1
    assert {card.source.stream: card.sums.contacts for card in read(both).cards} == {
        "studio_calls": 2,
        "queue_calls": 1,
    }
    assert "Totals leave out evolux studio calls" in Page(page.page(both, NOW)).text
    assert read(modelled(tmp_path / "one.duckdb", flows)).sums[0].contacts == 2


def test_what_a_vendor_can_not_supply_is_not_known_with_the_reason(tmp_path: Path) -> None:
    """Never zero: neither in the headline, nor beside a source, nor in a list."""
    silent = dict.fromkeys(("is_answered", "is_abandoned", "wait_seconds", "handle_seconds", "proven"))
    path = modelled(
        tmp_path / "x.duckdb",
        at("2026-03-30 10:00Z", vendor="bspk", stream="calls", agent_key="bspk/1", **silent),
        coverage=[
            {"vendor": "bspk", "stream": "calls", "field": "outcome", "supplied": "no", "reason": "it never ended"}
        ],
        agents=[{"agent_key": "bspk/1", "agent_name": "Zoë"}],
    )
    made = read(path)
    values = {tile.name: tile.value for tile in made.tiles}
    assert values["Contacts"] == "1"
    assert {values[name] for name in ("Incoming answered", "Service level", "Handle time", "Repeats")} == {"not known"}
    assert ("Incoming answered, Incoming abandoned, Service level, Speed of answer, Handle time", "it never ended") in (
        made.cards[0].unknown
    )
    assert made.rankings[0].entries[0].sums.answer_rate is None
    assert "Nothing is known of completeness" in page.page(path, NOW)


def test_service_level_speed_and_rates_are_of_incoming_contacts(tmp_path: Path) -> None:
    """Answered within the threshold by all answered or abandoned whose wait is known; machines are in neither."""
    day = "2026-03-30 10:00Z"
    lost, machine = {"is_answered": False, "is_abandoned": True}, {"is_answered": False}
    path = modelled(
        tmp_path / "x.duckdb",
        [
            *at(day, wait_seconds=20),
            *at(day, wait_seconds=21),
            *at(day, wait_seconds=None),
            *at(day, wait_seconds=3, **lost),
            *at(day, wait_seconds=1, **machine),
            *at(day, direction="outbound", wait_seconds=1, **lost),
        ],
    )
    week = read(path).sums[0]
    assert week.service_level == pytest.approx(1 / 3)
    assert week.speed == 20.5
    assert (week.offered, week.in_rate, week.abandonment_rate) == (4, 3 / 5, 1 / 4)
    assert (week.out_rate, week.out_abandonment_rate) == (0, 1)


def test_hours_and_weekdays_are_averages_of_whole_weeks(tmp_path: Path) -> None:
    """Two weeks: a Monday's hour with three contacts in all is one and a half; one scale for all directions."""
    moments = ("2026-03-17 00:00Z", "2026-03-23 10:05Z", "2026-03-30 10:00Z", "2026-03-30 10:59Z")
    made = read(modelled(tmp_path / "x.duckdb", [*at(*moments), *at("2026-03-30 11:00Z", direction="outbound")]))
    assert len(made.span) == 2
    (inward, outward) = made.heats
    assert dict(inward.rows)[10][0] == (1.5, 6)
    assert dict(inward.rows)[0][1] == (0.5, 2)
    assert [hour for hour, _ in inward.rows] == list(range(11))
    assert (outward.name, [cells[0] for _, cells in outward.rows]) == ("Outgoing", [(0.5, 2)])


def test_a_list_ends_with_all_others(tmp_path: Path) -> None:
    """The rows with most contacts, then one of the others; whoever shares a name stays apart."""
    contacts = [
        row for n in range(rankings.MOST + 3) for row in at(*["2026-03-30 10:00Z"] * (n + 1), agent_key=f"evolux/{n}")
    ]
    agents = [{"agent_key": f"evolux/{n}", "agent_id": str(n), "agent_name": "Ana"} for n in range(rankings.MOST + 3)]
    ranking = read(modelled(tmp_path / "x.duckdb", contacts, agents=agents)).rankings[0]
    assert [entry.sums.contacts for entry in ranking.entries] == list(range(15, 3, -1))
    assert (ranking.entries[0].label, ranking.entries[0].vendor) == ("Ana", "evolux (14)")
    assert (ranking.others[0], ranking.others[1].contacts) == (3, 6)


def test_g7_names_of_strangers_stay_text_and_nothing_of_customers_is_shown(tmp_path: Path) -> None:
    """Agents as the models hold them, but no telephone number for a name; clients of the centre as one; no customer."""
    agents = [*HOSTILE, "+48 601 234 567", "0a" * 32, None]
    queues = [("queue", "1", HOSTILE[0]), ("client", "anna-nowak", "Anna Nowak"), ("client", "jan-nowak", "Jan Nowak")]
    path = modelled(
        tmp_path / "x.duckdb",
        [
            *(at("2026-03-30 10:00Z", agent_key=f"e/{n}")[0] for n in range(len(agents))),
            *(
                {**row, "queue_kind": kind, "queue_id": ident}
                for kind, ident, _ in queues
                for row in at("2026-03-30 9:00Z")
            ),
            *at("2026-03-30 8:00Z", customer_key="evolux/+48700100200", customer_name="Cecylia Kowalczyk"),
        ],
        agents=[{"agent_key": f"e/{n}", "agent_id": "601234567", "agent_name": name} for n, name in enumerate(agents)],
        queues=[{"vendor": "evolux", "queue_kind": a, "queue_id": b, "queue_name": c} for a, b, c in queues],
    )
    text = page.page(path, NOW)
    shown = Page(text)
    assert all(name in shown.text for name in HOSTILE)
    assert [shown.elements[name] for name in ("script", "img")] == [0, 0]
    assert "0a0a0a0a0a…" in shown.text
    for private in ("601", "Nowak", "nowak", "48700", "700100200", "Cecylia"):
        assert private not in text
    made = {entry.label: entry.sums.contacts for entry in read(path).rankings[1].entries}
    assert made == {"clients, whose names are not shown": 2, HOSTILE[0]: 1}
    assert {entry.label: entry.sums.contacts for entry in read(path).rankings[0].entries}["without a name"] == 2
    repeats = read(path).repeats
    assert repeats
    assert repeats.customers == [("once", 1), ("twice", 0), ("3 to 5 times", 0), ("6 times or more", 0)]


def test_without_models_the_page_says_how_to_build_them(tmp_path: Path) -> None:
    """None, some that hold no contact yet, and some of another release: each is said, and the loads are shown."""
    none = evolux(tmp_path / "none.duckdb", {date(2026, 3, 30): 2})
    assert "TARGET_DUCKDB_PATH=path/of/none.duckdb meltano run dbt-duckdb:build" in page.page(none, NOW)
    assert "hold no contact yet" in page.page(modelled(tmp_path / "empty.duckdb"), NOW)
    other = modelled(tmp_path / "other.duckdb", at("2026-03-30 10:00Z"))
    loaded(other, "ALTER TABLE contact_centre.model_settings DROP COLUMN repeat_days")
    text = page.page(other, NOW)
    assert "The models in this database could not be read (BinderException)" in text
    assert "--full-refresh" in text


def test_models_are_no_streams_and_are_built_again_after_a_load(tmp_path: Path) -> None:
    """Tables of dbt are not among the loads; models that know less than the proofs beside them are a trouble."""
    path = evolux(tmp_path / "x.duckdb", {date(2026, 3, day): 2 for day in range(1, 31)})
    proofs(path, ("queue_calls", "{}", "2026-03-01 00:00Z", "2026-03-31 06:00Z"))
    loaded(
        path, "CREATE TABLE tap_evolux.queue_calls AS SELECT 1 AS call_id, TIMESTAMPTZ '2026-03-30 10:00Z' AS date_join"
    )
    modelled(
        path,
        at("2026-03-30 10:00Z"),
        proven_spans=[
            {"vendor": "evolux", "stream": "queue_calls", "since": "2026-03-01", "until": "2026-03-30 06:00Z"}
        ],
    )
    loaded(path, "CREATE SCHEMA staging", "CREATE VIEW staging.stg_evolux__queues AS SELECT 1 AS id")
    shown = Page(page.page(path, NOW))
    assert "not built since the last load: build them again for evolux queue calls" in shown.text
    assert "contacts_made" not in shown.text
    assert "stg_evolux" not in shown.text


def test_another_schema_that_is_loaded_makes_no_models_late(tmp_path: Path) -> None:
    """A trial in a schema of its own is newer than the models, which do not read it."""
    path = tmp_path / "x.duckdb"
    table = "queue_calls AS SELECT 1 AS call_id, TIMESTAMPTZ '2026-03-30 10:00Z' AS date_join"
    span = {"vendor": "evolux", "stream": "queue_calls", "since": "2026-03-01", "until": "2026-03-31 05:00Z"}
    modelled(path, at("2026-03-30 10:00Z"), proven_spans=[span])
    for schema, hour in (("tap_evolux", 5), ("tap_evolux_trial", 6)):
        loaded(
            path,
            f"CREATE SCHEMA {schema}",
            f"CREATE TABLE {schema}.{table}",
            f"CREATE TABLE {schema}.window_proofs AS SELECT 'queue_calls' AS stream, '{{}}' AS partition, "
            f"TIMESTAMPTZ '2026-03-01 00:00Z' AS since, TIMESTAMPTZ '2026-03-31 0{hour}:00Z' AS until",
        )
    assert "not built since" not in Page(page.page(path, NOW)).text


def test_a_stream_that_is_named_like_a_model_hides_no_other(tmp_path: Path) -> None:
    """A loader's table `coverage`, or one that begins with `stg_`, is a stream, as are those beside it."""
    made = [f"CREATE TABLE tap_own.{name} AS SELECT 1 AS id" for name in ("coverage", "orders", "stg_orders")]
    text = Page(page.page(loaded(tmp_path / "x.duckdb", "CREATE SCHEMA tap_own", *made), NOW)).text
    assert [name for name in ("coverage", "orders", "stg_orders") if name not in text] == []


@pytest.mark.parametrize("scheme", ["postgresql+psycopg2", "POSTGRESQL", "mysql"])
def test_g7_a_url_is_no_path_and_its_password_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scheme: str
) -> None:
    """Whatever driver or letters its scheme has; of another database it is an error that holds nothing of the URL."""
    url = f"{scheme}://someone:hidden-word@127.0.0.1:1/x"
    assert report(monkeypatch, "--database", url, "--output", str(tmp_path / "x.html")) == 1
    shown = capsys.readouterr().err
    assert "can't connect" in shown
    assert "hidden-word" not in shown


def test_a_file_may_be_named_as_verify_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`duckdb:///path` is the path."""
    path, output = modelled(tmp_path / "x.duckdb", at(*EDGES)), tmp_path / "x.html"
    assert report(monkeypatch, "--database", f"duckdb:///{path}", "--output", str(output)) == 0
    assert "contact_centre" in output.read_text(encoding="utf-8")


def test_streams_of_two_schemas_are_named_apart_and_weeks_are_calendar_days(tmp_path: Path) -> None:
    """A stream in two schemas has the schema's name with it; a week is of seven days whether rows came or not."""
    days = {NOW.date() - timedelta(days=n): 2 for n in (1, 9, 20)}
    path = evolux(tmp_path / "x.duckdb", days)
    loaded(
        path, "CREATE SCHEMA tap_evolux_old", "CREATE TABLE tap_evolux_old.studio_calls AS FROM tap_evolux.studio_calls"
    )
    text = Page(page.page(path, NOW)).text
    for schema in ("tap_evolux", "tap_evolux_old"):
        assert text.count(f"studio_calls ({schema})") >= 2
    assert "+0 %" in text


def test_troubles_stand_at_the_top_with_links() -> None:
    """The last run of a tap that failed with its reason, earlier ones as a number, each with the place to look at."""
    began = datetime(2026, 3, 31, tzinfo=timezone.utc)
    run = {"tap": "tap-x", "started": began, "verdict": "failed", "failures": ["it broke"]}
    found = list(
        troubles.troubles([], [run, {**run, "failures": []}, {**run, "tap": "tap-y", "verdict": "complete"}], None)
    )
    assert [(one.word, one.what, one.detail, one.place) for one in found] == [
        ("failed", "tap-x, 2026-03-31 00:00", "it broke", "run0"),
        ("before", "1 earlier run was not complete", "", "runs"),
    ]


def test_late_streams_of_a_vendor_are_one_line_with_a_link(tmp_path: Path) -> None:
    """Four names and how many more, the longest time, and the place of the first of them."""
    path = evolux(tmp_path / "x.duckdb", {date(2026, 3, day): 2 for day in range(1, 20)})
    copies = [f"CREATE TABLE tap_evolux.{name} AS FROM tap_evolux.studio_calls" for name in "abcde"]
    shown = Page(page.page(loaded(path, *copies), NOW))
    assert "tap_evolux a, b, c, d and 1 more: up to 11 days passed without rows that usually have some" in shown.text
    assert ("href", "#s1") in shown.attributes
