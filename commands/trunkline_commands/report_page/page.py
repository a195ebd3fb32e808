"""The page as HTML."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import jinja2

from trunkline_commands.report_page.days import FEWEST
from trunkline_commands.report_page.reading import read_story
from trunkline_commands.report_page.runs import runs
from trunkline_commands.report_page.story import RECENT, Story
from trunkline_commands.report_page.tables import opened, tables

DAYS = 90
"""Days shown of each stream."""

TEMPLATE = Path(__file__).with_name("report.html.j2")


def page(database: Path, now: datetime, *, days: int = DAYS, folder: Path | None = None) -> str:
    """Make the page.

    Args:
        database: The DuckDB file.
        now: The report's moment; its zone is the one that days are counted in.
        days: How many days to show at most.
        folder: Where reports of runs lie, if anywhere.

    Raises:
        ReportError: The file or the folder can't be read.
    """
    last_runs, strange = runs(folder, now) if folder else ([], [])
    with opened(database, str(now.tzinfo)) as connection:
        stories = [read_story(connection, table, now, days) for table in tables(connection)]
    vendors: dict[str, list[Story]] = {}
    for story in sorted(stories, key=lambda one: (one.table.vendor, one.table.schema, one.table.stream)):
        vendors.setdefault(story.table.vendor, []).append(story)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        now=now,
        database=database.name,
        loaded=datetime.fromtimestamp(database.stat().st_mtime, timezone.utc).astimezone(now.tzinfo),
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
