"""`trunkline verify`: recounts what a loader holds against the proofs that came with it.

| module | step |
|---|---|
| `facts` | what it must know of a tap's streams |
| `databases` | DuckDB and PostgreSQL |
| `proofs` | reads the proofs |
| `spans` | lays spans over each other: the newest proof of each instant |
| `recount` | counts the rows of each part, in the database |
| `judge` | proven against held, and why a difference may be none |
| `deletions` | rows that the vendor no longer has |
| `steps` | the steps in their order |
| `lines` | prints |
| `dialects` | the query for other warehouses |
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from trunkline.doors.vendors import vendor_tap
from trunkline.errors import TrunklineError
from trunkline_commands.verify import deletions, lines
from trunkline_commands.verify.databases import connect
from trunkline_commands.verify.judge import DIFFERS
from trunkline_commands.verify.steps import compare, find_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.doors.command import VendorTap
    from trunkline_commands.verify.steps import Compared

SOME = 3
"""Exit code: something differs, or rows are gone."""


class Tap(click.ParamType[Any]):
    """The name of a tap."""

    name = "tap"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> type[VendorTap]:
        """Find the tap; an error where no package brings it."""
        try:
            return vendor_tap(str(value).removeprefix("tap-"))
        except TrunklineError as problem:
            self.fail(problem.why, param, ctx)


@click.command("verify")
@click.option("--tap", type=Tap(), required=True, help="The tap that was loaded, such as tap-evolux.")
@click.option("--database", metavar="URL", help="duckdb:///path (//// where it is absolute), or postgresql://….")
@click.option(
    "--schema", help="The schema that the loader wrote to; not needed where one alone holds proofs of the tap."
)
@click.option("--deleted", is_flag=True, help="List the rows that the vendor no longer has.")
@click.option("--mark", is_flag=True, help="Set _sdc_deleted_at of these rows.")
@click.option(
    "--most",
    type=click.FloatRange(0, 100),
    default=10.0,
    show_default=True,
    help="Percent of a span that may be gone: more looks like a lost permission.",
)
@click.option(
    "--sql", "dialect", metavar="DIALECT", help="Print the queries for another warehouse: bigquery, snowflake…."
)
def command(  # noqa: PLR0913, PLR0917 - the options
    tap: type[VendorTap],
    database: str | None,
    schema: str | None,
    deleted: bool,  # noqa: FBT001 - flags of the command line
    mark: bool,  # noqa: FBT001 - same
    most: float,
    dialect: str | None,
) -> int:
    """Recount what a loader holds against the proofs that the tap wrote with the rows.

    Exit code 0: nothing differs; 3: something does, or with --deleted some rows are gone; 1: nothing could be compared.
    """
    if mark and not deleted:
        raise click.UsageError("--mark needs --deleted")
    if dialect:
        from trunkline_commands.verify import dialects

        click.echo(dialects.queries(tap, schema, dialect))
        return 0
    if not database:
        raise click.UsageError("--database is missing: the URL of the database that was loaded")
    held = connect(database, writes=mark)
    try:
        compared = list(compare(held, tap, find_schema(held, tap, schema)))
        if not deleted:
            return report(compared)
        found = [one for stream in compared for one in stream.gone]
        for stream in compared:
            deletions.check_share(stream.verdict.findings, most)
            if stream.blind:
                click.echo(f"{stream.facts.name}: it can't tell what is gone: {stream.blind}")
        for one in found:
            for line in deletions.listed(held, one):
                click.echo(line)
        if mark and found:
            click.echo(f"{deletions.mark(held, found, datetime.now(timezone.utc)):,} rows marked as deleted")
        return SOME if found else 0
    finally:
        held.close()


def report(compared: Sequence[Compared]) -> int:
    """Print the results of all streams.

    Returns:
        The exit code.
    """
    verdicts = [one.verdict for one in compared]
    for line in lines.summary(verdicts):
        click.echo(line)
    for verdict in verdicts:
        for line in lines.details(verdict):
            click.echo(line)
    return SOME if any(verdict.word == DIFFERS for verdict in verdicts) else 0
