"""`trunkline report`: one HTML page about what was loaded."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, tzinfo
from pathlib import Path

import click

from trunkline.errors import TrunklineError
from trunkline_commands.report_page import ReportError
from trunkline_commands.report_page.page import DAYS, default_zone, page


class Zone(click.ParamType[tzinfo]):
    """The name of a time zone."""

    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """Find the zone; an error where there is none of that name."""
        try:
            return zoneinfo.ZoneInfo(str(value))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            self.fail("must be an IANA time zone, such as Europe/Warsaw", param, ctx)


_FILE = "duckdb:///"  # as `trunkline verify` takes it


class Place(click.ParamType[Path | str]):
    """A DuckDB file, or the URL of a PostgreSQL database."""

    name = "place"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:  # noqa: ARG002 - click's
        """Return a URL as it is, which no error may show, and a path or a file's URL as a path."""
        text = str(value).strip()
        if text.lower().startswith(_FILE):
            return Path(text[len(_FILE) :]).expanduser()
        return text if "://" in text else Path(text)


@click.command("report")
@click.option(
    "--database",
    type=Place(),
    default="output/trunkline.duckdb",
    show_default=True,
    help="DuckDB file, or postgresql:// URL.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("output/report.html"), show_default=True)
@click.option("--runs", type=click.Path(path_type=Path), help="Folder or file that the taps' run_report names.")
@click.option("--days", type=click.IntRange(1, 3660), default=DAYS, show_default=True, help="Days to show at most.")
@click.option(
    "--timezone",
    type=Zone(),
    help="Zone that days are counted in.  [default: the models' own, or UTC without any]",
)
def command(database: Path | str, output: Path, runs: Path | None, days: int, timezone: tzinfo | None) -> int:
    """Make one HTML page of what a database holds: contacts and service for a manager, and how its loads go."""
    try:
        made = page(database, now(timezone or default_zone(database)), days=days, folder=runs)
        _write(made, output)
    except (TrunklineError, OSError) as problem:
        click.echo(str(problem), err=True)
        return 1
    click.echo(str(output.absolute()))
    return 0


def _write(made: str, output: Path) -> None:
    """Write the page, with its folder.

    Raises:
        ReportError: The system does not allow it.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(made, encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        why = problem.strerror or type(problem).__name__
        raise ReportError(
            f"the page could not be written to {output}", why, "Give --output the path of a file that can be written"
        ) from problem


def now(timezone: tzinfo) -> datetime:
    """Read the clock: a test has another one."""
    return datetime.now(timezone)
