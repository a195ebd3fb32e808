"""Third step: the rows of the tables, counted by the database, one query for each stream and kind of partition."""

# ruff: noqa: S608 - every name in a query went through `quoted`, every text through `literal`

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline_commands.verify.spans import NEVER
from trunkline_duckdb.sql import literal
from trunkline_loader.columns import DELETED_AT, STAMPS, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trunkline_commands.verify.databases import Database
    from trunkline_commands.verify.facts import StreamFacts
    from trunkline_commands.verify.proofs import Proof
    from trunkline_commands.verify.spans import Piece

EVER = 2**62
"""After any reading, in microseconds since 1970."""

Partition = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A stream's table, by the SQL of what is counted in it.

    Args:
        place: The table.
        keys: Columns of the primary key.
        at: The replication key in microseconds since 1970; of a full table a constant.
        extracted: When a row was read, likewise; null where the table does not hold it.
        deleted: The column that marks rows; None where there is none.
        deleted_type: Its type.
        unfinished: Whether a row is of those that are read in any span; None where the table does not show it.
    """

    place: str
    keys: tuple[str, ...]
    at: str
    extracted: str | None
    deleted: str | None
    deleted_type: str = ""
    unfinished: str | None = "1 = 0"

    @property
    def marked(self) -> str:
        """Whether a row is marked as deleted."""
        return f"{self.deleted} IS NOT NULL" if self.deleted else "1 = 0"


@dataclass
class Counts:
    """Rows of a part of a table, each key once.

    Args:
        fresh: Read while the part's proof was made.
        trailing: Written by the same run or before the next one, or nobody knows when.
        other: Read before the proof, or by a later run that has no proof of the part.
        gone: Read before, and must have come again.
        marked: Marked as deleted.
        repeated: Rows beyond the first with the same key.
        unfinished: Those of the first three that are read in any span.
        revived: Those of them that came after the part was proven.
    """

    fresh: int = 0
    trailing: int = 0
    other: int = 0
    gone: int = 0
    marked: int = 0
    repeated: int = 0
    unfinished: int = 0
    revived: int = 0

    @property
    def held(self) -> int:
        """Rows that count."""
        return self.fresh + self.trailing + self.other

    @property
    def ever(self) -> int:
        """Rows that are there or were."""
        return self.held + self.gone + self.marked

    def __add__(self, other: Counts) -> Counts:
        both = Counter(vars(self))
        both.update(vars(other))
        return Counts(**both)


@dataclass
class Recount:
    """The counts of one partition.

    Args:
        pieces: Its parts.
        counts: Of each part.
        outside: What lies in no part.
    """

    pieces: Sequence[Piece]
    counts: list[Counts] = field(default_factory=list)
    outside: Counts = field(default_factory=Counts)


def find_table(database: Database, schema: str, facts: StreamFacts, parts: Iterable[str]) -> Table | str:
    """Find a stream's table and what is needed of it.

    Args:
        database: The database.
        schema: The schema.
        facts: Of the stream.
        parts: Names of its partition.

    Returns:
        The table; or why its rows can't be counted again.
    """
    columns = database.columns(schema, facts.name)
    if not columns:
        return f"schema {schema} has no table {facts.name}"
    needed = [*facts.keys, *([facts.replication_key] if facts.replication_key else []), *parts]
    found = {name: database.found(name, columns) for name in needed}
    if missing := [name for name, column in found.items() if column is None]:
        return f"the table has no column {missing[0]}: it was left out, renamed or flattened"

    def micros(name: str) -> str | None:
        column = database.found(name, columns)
        return database.micros(quoted(column), columns[column]) if column else None

    deleted = database.found(DELETED_AT.name, columns)
    unfinished: str | None = "1 = 0"
    if facts.state:
        column = database.found(facts.state[0], columns)
        unfinished = f"{quoted(column)} IN ({', '.join(map(literal, facts.state[1]))})" if column else None
    return Table(
        database.qualified(schema, facts.name),
        tuple(quoted(str(found[key])) for key in facts.keys),
        (micros(facts.replication_key) if facts.replication_key else None) or "0",
        micros(STAMPS[0].name),
        quoted(deleted) if deleted else None,
        columns[deleted] if deleted else "",
        unfinished,
    )


def part_of(database: Database, schema: str, facts: StreamFacts, names: Sequence[str]) -> str:
    """Write the SQL of the text that names a row's partition."""
    columns = database.columns(schema, facts.name)
    texts = [f"CAST({quoted(str(database.found(name, columns)))} AS VARCHAR)" for name in names]
    return " || chr(31) || ".join(texts) or "''"


def part(partition: Partition) -> str:
    """Write the same text of a proof's partition, as an SQL string."""
    return literal("\x1f".join(value for _, value in partition))


def recount(
    database: Database, table: Table, part_sql: str, laid: Mapping[Partition, Sequence[Piece]], ends: RunEnds
) -> dict[Partition, Recount]:
    """Count the rows of each part.

    Args:
        database: The database.
        table: The table.
        part_sql: SQL of a row's partition.
        laid: The parts of each partition, all with the same names.
        ends: When each run has ended.
    """
    places: list[tuple[Partition, int]] = []  # of each mark: its partition and part, or -1 where there is none
    marks: list[tuple[object, ...]] = []
    gap = NEVER, NEVER, ends.last, EVER  # what is there was read by one of the known runs, or later
    for partition, pieces in laid.items():
        name, end = part(partition), None
        for number, piece in enumerate(pieces):
            if piece.since != end:
                marks.append((name, NEVER if end is None else end, len(marks), *gap))
                places.append((partition, -1))
            proof, end = piece.proof, piece.until
            marks.append((name, piece.since, len(marks), proof.read_from, piece.gone_before, *ends.of(proof.run)))
            places.append((partition, number))
        marks.append((name, end, len(marks), *gap))
        places.append((partition, -1))
    made = {partition: Recount(pieces, [Counts() for _ in pieces]) for partition, pieces in laid.items()}
    values = ", ".join(f"({', '.join(map(str, mark))})" for mark in marks)
    for place, kind, rows, repeated, unfinished in database.rows(_query(table, part_sql, values)):
        found = Counts(**{kind: int(rows)}, repeated=int(repeated or 0), unfinished=int(unfinished or 0))
        found.revived = found.unfinished if kind != "fresh" else 0
        partition, number = places[place]
        if number >= 0:
            made[partition].counts[number] += found
        else:
            made[partition].outside += found
    return made


def _query(table: Table, part_sql: str, values: str) -> str:
    """Write one query that reads a table once: each row meets the last mark before it in the order of time."""
    keys = ", ".join(f"key_{number}" for number in range(len(table.keys)))
    named = ", ".join(f"{key} AS key_{number}" for number, key in enumerate(table.keys))
    return f"""
WITH marks(part, moment, n, read_from, gone_before, read_to, following) AS (VALUES {values}),
held AS (
  SELECT part, moment, sum(live) AS copies, max(extracted) AS extracted, max(unfinished) AS unfinished
  FROM (
    SELECT {named}, {part_sql} AS part, {table.at} AS moment, CASE WHEN {table.marked} THEN 0 ELSE 1 END AS live,
      {table.extracted or "CAST(NULL AS bigint)"} AS extracted,
      CASE WHEN {table.unfinished or "1 = 0"} THEN 1 ELSE 0 END AS unfinished
    FROM {table.place}
  ) AS each_row
  WHERE moment IS NOT NULL
  GROUP BY {keys}, part, moment
),
laid AS (
  SELECT kind, part, copies, extracted, unfinished,
    max(n) OVER (PARTITION BY part ORDER BY moment, kind ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n
  FROM (
    SELECT 0 AS kind, part, moment, n, 0 AS copies, 0 AS extracted, 0 AS unfinished FROM marks
    UNION ALL SELECT 1, part, moment, NULL, copies, extracted, unfinished FROM held
  ) AS both_kinds
)
SELECT n, class, count(*), sum(CASE WHEN copies > 1 THEN copies - 1 ELSE 0 END), sum(unfinished)
FROM (
  SELECT laid.n, copies, CASE WHEN copies > 0 THEN unfinished ELSE 0 END AS unfinished,
    CASE
      WHEN copies = 0 THEN 'marked'
      WHEN extracted IS NULL THEN 'trailing'
      WHEN extracted < gone_before THEN 'gone'
      WHEN extracted < read_from THEN 'other'
      WHEN extracted <= read_to THEN 'fresh'
      WHEN extracted < following OR unfinished = 1 THEN 'trailing'
      ELSE 'other'
    END AS class
  FROM laid JOIN marks ON marks.n = laid.n
  WHERE laid.kind = 1
) AS judged
GROUP BY n, class"""


class RunEnds:
    """The ends of runs, as far as proofs show them.

    Args:
        proofs: Of all streams.
    """

    def __init__(self, proofs: Iterable[Proof]) -> None:
        self._ends: dict[int, int] = {}
        begun: dict[int, int] = {}
        for proof in proofs:
            self._ends[proof.run] = max(proof.read_to, self._ends.get(proof.run, proof.read_to))
            begun[proof.run] = min(proof.read_from, begun.get(proof.run, proof.read_from))
        self._runs = sorted(begun)
        self._begun = [begun[run] for run in self._runs]
        self.last = max(self._ends.values(), default=NEVER)
        """The last reading of all."""

    def of(self, run: int) -> tuple[int, int]:
        """Return the last reading of a run, and the first one of the next run."""
        number = bisect_right(self._runs, run)
        return self._ends[run], self._begun[number] if number < len(self._begun) else EVER
