"""A small world for `trunkline verify`: a vendor, runs that prove what they read, and a loader that upserts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb

from trunkline_commands.verify import proofs as reading
from trunkline_commands.verify import steps
from trunkline_commands.verify.databases import DuckDB
from trunkline_commands.verify.facts import StreamFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FIXED = StreamFacts("calls", ("id",), "made_at")
KINDS = {
    "fixed": FIXED,
    "moving": replace(FIXED, moves=True),
    "outside": replace(FIXED, keeps_outside=True),
    "open": replace(FIXED, moves=True, state=("state", ("OPEN",))),
    "table": StreamFacts("calls", ("id",), None),
}
_COLUMNS = '"partition" VARCHAR, since TIMESTAMPTZ, until TIMESTAMPTZ, "rows" BIGINT, rows_within BIGINT'


@dataclass
class Row:
    """A row of the vendor's: when it was made, last changed, closed, and deleted."""

    made: int
    changed: int
    closed: int | None = None
    gone: int | None = None


@dataclass
class Held:
    """A row of the loader's: its replication key, when it was read, and the rest."""

    at: int
    extracted: int
    state: str = "CLOSED"
    deleted: int | None = None


@dataclass
class World:
    """One history, whose clock counts seconds and passes with everything that happens.

    Args:
        facts: Of the stream that is read.
        dice: What decides.
    """

    facts: StreamFacts
    dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - a test
    now: int = 1_000
    rows: dict[int, Row] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)
    proofs: dict[tuple[int, int], tuple[int, int, int, int, int]] = field(default_factory=dict)
    bookmark: int | None = None

    # -- the vendor ----------------------------------------------------------------------------------------------------

    @property
    def living(self) -> list[int]:
        """The rows that the vendor has."""
        return [number for number, row in self.rows.items() if row.gone is None]

    def key(self, row: Row) -> int:
        """The replication key."""
        if self.facts.state:
            return row.closed or row.made
        return row.changed if self.facts.moves else row.made

    def answer(self, since: int, until: int) -> list[int]:
        """The rows of a span by the vendor's filter."""

        def matches(row: Row) -> bool:
            if self.facts.state:
                return any(at is not None and since <= at < until for at in (row.made, row.closed))
            return since <= (row.changed if self.facts.keeps_outside else self.key(row)) < until

        return [number for number in self.living if matches(self.rows[number])]

    def happen(self) -> None:
        """Let something happen: a new row, a late one, a change, a deletion."""
        self.now += 1
        what, living = self.dice.random(), self.living
        if what < 0.5 or not living:
            at = self.now - self.dice.choice((0, 0, 0, self.dice.randrange(60)))
            self.rows[len(self.rows)] = Row(at, at)
        elif what < 0.85:
            row = self.rows[self.dice.choice(living)]
            row.changed = self.now
            reopened = row.closed is not None and self.dice.random() < 0.3
            row.closed = None if reopened else self.now
        else:
            self.rows[self.dice.choice(living)].gone = self.now

    # -- the tap and the loader ----------------------------------------------------------------------------------------

    def run(self, *, lookback: int, window: int, quiet: bool = False) -> None:
        """Read from the bookmark on; now and then a window fails once its rows are written, which ends the run."""
        self.now += 1
        begun = until = self.now
        at = 0 if self.bookmark is None else max(0, self.bookmark - lookback)
        if self.facts.state:
            self.load(number for number in self.living if self.rows[number].closed is None)
        while at < until:
            end = min(until, at + window) if self.bookmark is not None or self.dice.random() < 0.5 else until
            self.now += 1
            keys = self.load(self.answer(at, end))
            if not quiet and self.dice.random() < 0.05:
                return
            within = sum(at <= key < end for key in keys)
            self.proofs[at, end] = (len(keys), within, self.now, self.now, begun)
            if keys:
                self.bookmark = max(self.bookmark or 0, min(end, max(keys)))
            at = end
            if not quiet and self.dice.random() < 0.3:
                self.happen()

    def snapshot(self) -> None:
        """Read everything, as of a full table."""
        self.now += 1
        keys = self.load(self.living)
        self.proofs[self.now, self.now] = (len(keys), len(keys), self.now, self.now, self.now)

    def load(self, numbers: Iterable[int]) -> list[int]:
        """Write rows as they are now; returns their keys."""
        written = list(numbers)
        for number in written:
            row = self.rows[number]
            self.held[number] = Held(self.key(row), self.now, "OPEN" if row.closed is None else "CLOSED")
        return [self.held[number].at for number in written]

    # -- what is checked -----------------------------------------------------------------------------------------------

    def gone_by_proof(self) -> set[int]:
        """The rows whose span was read after they were deleted, by what really happened."""
        found = set()
        for number, held in self.held.items():
            spans = [(since, until) for since, until in self.proofs if since <= held.at < until or since == until]
            newest = max((self.proofs[span][2] for span in spans), default=0)
            gone = self.rows[number].gone
            if held.deleted is None and gone is not None and gone < newest:
                found.add(number)
        return found

    def dump(self, path: Path, *, copies: int = 1, metadata: bool = True, but: Sequence[int] = ()) -> None:
        """Write the tables into a file, so many times each row, and all rows but these."""
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            added = ", _sdc_extracted_at TIMESTAMPTZ, _sdc_deleted_at TIMESTAMPTZ" if metadata else ""
            connection.execute(f"CREATE TABLE calls (id BIGINT, made_at TIMESTAMPTZ, state VARCHAR{added})")
            connection.execute(
                f"CREATE TABLE window_proofs (stream VARCHAR, {_COLUMNS}, read_from TIMESTAMPTZ, read_to TIMESTAMPTZ, "
                "run_started TIMESTAMPTZ)"
            )
            rows = [
                f"({number}, {time(row.at)}, '{row.state}'"
                + (f", {time(row.extracted)}, {time(row.deleted)})" if metadata else ")")
                for number, row in self.held.items()
                if number not in but
            ]
            proofs = [
                f"('calls', '{{}}', {time(since)}, {time(until)}, {rows}, {within}, {', '.join(map(time, times))})"
                for (since, until), (rows, within, *times) in self.proofs.items()
            ]
            for table, values in (("calls", rows * copies), ("window_proofs", proofs)):
                if values:
                    connection.execute(f"INSERT INTO {table} VALUES {', '.join(values)}")  # noqa: S608 - ours

    def compared(self, path: Path) -> steps.Compared:
        """Compare what a file holds."""
        database = DuckDB(path, writes=False)
        try:
            proofs = reading.read_proofs(database, "main")
            return steps.compare_stream(database, "main", self.facts, proofs)
        finally:
            database.close()


def listed(path: Path, found: steps.Compared) -> set[int]:
    """The rows that are gone, as verify has it."""
    database = DuckDB(path, writes=False)
    try:
        queries = [f"SELECT id FROM {one.table.place} WHERE {one.where}" for one in found.gone]  # noqa: S608 - ours
        return {number for query in queries for (number,) in database.rows(query)}
    finally:
        database.close()


def time(second: int | None) -> str:
    """An instant in SQL."""
    return "NULL" if second is None else f"make_timestamptz({second * 1_000_000})"


__all__ = ["FIXED", "KINDS", "Held", "Row", "World", "listed", "time"]
