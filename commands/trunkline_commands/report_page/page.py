"""The page as HTML."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from trunkline_commands.report_page import models
from trunkline_commands.report_page.days import FEWEST, midnight
from trunkline_commands.report_page.manager import read_manager
from trunkline_commands.report_page.metrics import TODAY, clock, written
from trunkline_commands.report_page.rankings import MOST
from trunkline_commands.report_page.reading import read_story
from trunkline_commands.report_page.runs import runs
from trunkline_commands.report_page.story import RECENT, Story
from trunkline_commands.report_page.sums import total
from trunkline_commands.report_page.tables import opened, tables
from trunkline_commands.report_page.troubles import troubles
from trunkline_commands.verify.databases import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from trunkline_commands.report_page.tables import Connection

DAYS = 90
"""Days shown of each stream."""

TEMPLATES = Path(__file__).with_name("templates")


def page(database: Path | str, now: datetime, *, days: int = DAYS, folder: Path | None = None) -> str:
    """Make the page.

    Args:
        database: The DuckDB file, or the URL of a PostgreSQL database, of which the contacts are shown alone.
        now: The report's moment; its zone is the one that days are counted in.
        days: How many days to show at most.
        folder: Where reports of runs lie, if anywhere.

    Raises:
        ReportError: The file or the folder can't be read.
        TrunklineError: The server can't be reached.
    """
    last_runs, strange = runs(folder, now) if folder else ([], [])
    manager, broken, stories = None, "", list[Story]()
    with _reading(database, str(now.tzinfo)) as (query, connection):
        found = list(tables(connection)) if connection else []
        columns = [(table.schema, table.stream) for table in found]
        if schemas := models.schemas_of(columns) if connection else models.listed(query):
            try:
                manager = read_manager(query, schemas, now, days)
            except Exception as problem:  # noqa: BLE001 - models of any release; the words may quote values
                broken = type(problem).__name__
        made = models.made_by_dbt(columns)
        if connection:
            stories = [read_story(connection, one, now, days) for one in found if (one.schema, one.stream) not in made]
    stories.sort(key=lambda one: (one.table.vendor, one.table.stream, one.table.schema))
    vendors = _by_vendor(stories)
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    today = manager.today.sums if manager and manager.today else {}
    counted = [today[source.key] for source in manager.models.counted if source.key in today] if manager else []
    return environment.get_template("report.html.j2").render(
        now=now,
        midnight=midnight(now.date(), now.tzinfo),
        database=database.name if isinstance(database, Path) else "a PostgreSQL database",
        loaded=_written(database, now),
        manager=manager,
        broken=broken,
        today_total=(total(now for now, _ in counted), total(then for _, then in counted)),
        today_metrics=TODAY,
        most_listed=MOST,
        share=lambda value: "-" if value is None else written("share", value),
        clock=lambda value: "-" if value is None else clock(value),
        troubles=list(troubles(stories, last_runs, manager)),
        vendors=vendors,
        stories=stories,
        most=days,
        fewest=FEWEST,
        recent=RECENT,
        runs=last_runs,
        strange=strange,
        folder=folder,
        verdicts=Counter(story.verdict for story in stories),
        gaps=sum(story.recent_gaps for story in stories),
        failed=sum(run["verdict"] != "complete" for run in last_runs),
    )


def _by_vendor(stories: Sequence[Story]) -> dict[str, list[Story]]:
    """Group streams by vendor, and name those apart that several schemas hold."""
    alike = Counter((story.table.vendor, story.table.stream) for story in stories)
    vendors: dict[str, list[Story]] = {}
    for story in stories:
        table = story.table
        several = alike[table.vendor, table.stream] > 1
        story.name = f"{table.stream} ({table.schema})" if several else table.stream
        vendors.setdefault(table.vendor, []).append(story)
    return vendors


def _written(database: Path | str, now: datetime) -> datetime | None:
    """Return when a file was last written."""
    if isinstance(database, str):
        return None
    return datetime.fromtimestamp(database.stat().st_mtime, timezone.utc).astimezone(now.tzinfo)


@contextmanager
def _reading(database: Path | str, zone: str) -> Iterator[tuple[models.Query, Connection | None]]:
    """Open a database; give what runs a query, and the connection where it is DuckDB's."""
    if isinstance(database, Path):
        with opened(database, zone) as connection:
            yield lambda query: connection.execute(query).fetchall(), connection
        return
    server = connect(database)
    try:
        yield server.rows, None
    finally:
        server.close()


def default_zone(database: Path | str) -> tzinfo:
    """Return the zone that the models of a database count days in; UTC where it has none, or can't be read."""
    try:
        with _reading(database, "UTC") as (query, _):
            return zoneinfo.ZoneInfo(models.settings_of(query, models.listed(query)[0]).zone)
    except Exception:  # noqa: BLE001 - the page itself shows what is wrong with the database
        return timezone.utc
