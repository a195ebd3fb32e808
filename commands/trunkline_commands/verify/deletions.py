"""Fifth step, where it is called for: the rows that the vendor no longer has, listed and marked."""

# ruff: noqa: S608 - every name in a query went through `quoted`, every text through `literal`

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from trunkline import instants
from trunkline.errors import TrunklineError
from trunkline_commands.verify.recount import part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline_commands.verify.databases import Database
    from trunkline_commands.verify.facts import StreamFacts
    from trunkline_commands.verify.judge import Finding
    from trunkline_commands.verify.recount import Partition, Recount, Table


@dataclass(frozen=True)
class Gone:
    """Rows of a stream that the vendor no longer has.

    Args:
        facts: Of the stream.
        table: Its table.
        where: SQL that is true for such a row.
    """

    facts: StreamFacts
    table: Table
    where: str


def gone(facts: StreamFacts, table: Table, part_sql: str, counted: Mapping[Partition, Recount]) -> Gone | None:
    """Describe the rows that are gone; None where there are none."""
    parts = [
        f"({part(partition)}, {piece.since}, {piece.until}, {piece.gone_before})"
        for partition, one in counted.items()
        for piece, counts in zip(one.pieces, one.counts, strict=True)
        if counts.gone
    ]
    if not parts:
        return None
    where = (
        f"NOT ({table.marked}) AND EXISTS (SELECT 1 FROM (VALUES {', '.join(parts)}) "
        f"AS parts(part, since, until, gone_before) WHERE {part_sql} = parts.part AND {table.at} >= since "
        f"AND {table.at} < parts.until AND {table.extracted} < gone_before)"
    )
    return Gone(facts, table, where)


def listed(database: Database, found: Gone) -> Iterator[str]:
    """Name the rows, by key and time, in the order of time."""
    table, by = found.table, found.facts.replication_key
    names, places = [*found.facts.keys], [*table.keys]
    if by:
        names.append(by)
        places.append(table.at)
    order = ", ".join(str(number) for number in (len(places), *range(1, len(places))))  # by time, where there is one
    query = f"SELECT {', '.join(places)}, {table.extracted} FROM {table.place} WHERE {found.where} ORDER BY {order}"
    for *row, extracted in database.rows(query):
        if by:
            row[-1] = instant(row[-1])
        shown = json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str)
        yield f"{found.facts.name} {shown}, last read {instant(extracted)}"


def instant(micros: int) -> str:
    """Write an instant as ISO 8601."""
    if not int(micros):
        return "the beginning"
    return instants.to_iso(datetime.fromtimestamp(int(micros) / 1_000_000, timezone.utc))


def check_share(findings: Sequence[Finding], most: float) -> None:
    """Refuse a share of deletions that looks like a lost permission.

    Args:
        findings: Of all proofs.
        most: Percent of a span that may be gone.

    Raises:
        TrunklineError: More is gone of a span.
    """
    over = [one for one in findings if one.counts.gone * 100 > most * (one.counts.gone + one.counts.held)]
    if not over:
        return
    worst = max(over, key=lambda one: one.counts.gone / (one.counts.gone + one.counts.held))
    rows = worst.counts.gone + worst.counts.held
    share = 100 * worst.counts.gone / rows
    span = "the table" if worst.proof.since == worst.proof.until else f"the span from {instant(worst.proof.since)}"
    raise TrunklineError(
        f"{worst.proof.stream}: {worst.counts.gone} of {rows} rows of {span} did not come again",
        f"that is {share:.0f} percent, and more than {most:g} percent of a span looks like a permission that was lost, "
        f"or a setting that was narrowed ({len(over)} such spans)",
        f"If they are rightly gone, give --most {min(100, int(share) + 1)}",
        code="too-many-gone",
    )


def mark(database: Database, all_gone: Sequence[Gone], now: datetime) -> int:
    """Mark rows as deleted, all or nothing.

    Args:
        database: The database, open for changes.
        all_gone: The rows, of each stream.
        now: What `_sdc_deleted_at` becomes.

    Returns:
        How many rows were marked.

    Raises:
        TrunklineError: A table has no such column, or can't be changed.
    """
    marked = 0
    with database.changing():
        for found in all_gone:
            table = found.table
            if table.deleted is None:
                raise TrunklineError(
                    f"{found.facts.name}: its rows can't be marked",
                    "the table has no column _sdc_deleted_at",
                    "Load it with add_record_metadata: true",
                    code="no-proofs",
                )
            value = f"CAST(CAST('{now.isoformat()}' AS TIMESTAMPTZ) AS {table.deleted_type})"
            changed = f"UPDATE {table.place} SET {table.deleted} = {value} WHERE {found.where}"
            marked += len(database.rows(f"{changed} RETURNING 1"))
    return marked
