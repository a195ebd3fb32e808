"""The steps in their order, for each stream of a tap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from trunkline.errors import TrunklineError
from trunkline_commands.verify.deletions import Gone, gone
from trunkline_commands.verify.facts import PROOFS, stream_facts
from trunkline_commands.verify.judge import Verdict, judge
from trunkline_commands.verify.proofs import read_proofs
from trunkline_commands.verify.recount import EVER, RunEnds, find_table, part_of, recount
from trunkline_commands.verify.spans import NEVER, Piece, lay, with_deletions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline.doors.command import VendorTap
    from trunkline_commands.verify.databases import Database
    from trunkline_commands.verify.facts import StreamFacts
    from trunkline_commands.verify.proofs import Proof
    from trunkline_commands.verify.recount import Partition


@dataclass(frozen=True)
class Compared:
    """The result for one stream.

    Args:
        facts: Of the stream.
        verdict: The verdict on it.
        gone: The rows that the vendor no longer has, of each kind of partition.
        blind: Why deletions of it can't be found; empty when they can.
    """

    facts: StreamFacts
    verdict: Verdict
    gone: Sequence[Gone] = ()
    blind: str = ""


def find_schema(database: Database, tap: type[VendorTap], schema: str | None) -> str:
    """Find the schema that holds a tap's proofs.

    Args:
        database: The database.
        tap: The tap.
        schema: The one that was named, if any.

    Raises:
        TrunklineError: There is none, or there are several.
    """
    holding = database.with_proofs()
    if schema is not None:
        found = database.found(schema, dict.fromkeys(holding))
        if found is None:
            raise TrunklineError(
                f"{database.place} can't be compared",
                f"schema {schema} has no table {PROOFS}",
                f"Give the --schema that the loader writes to, and see that the stream {PROOFS} is selected",
                code="no-proofs",
            )
        return found
    if len(holding) > 1:
        holding = [one for one in holding if _is_of(database, one, {facts.name: facts for facts in stream_facts(tap)})]
    if len(holding) == 1:
        return holding[0]
    if not holding:
        raise TrunklineError(
            f"{database.place} can't be compared",
            f"no schema has a table {PROOFS} of {tap.name}",
            f"Load the stream {PROOFS} of {tap.name} too: it is selected by default",
            code="no-proofs",
        )
    raise TrunklineError(
        f"{database.place} can't be compared",
        f"{len(holding)} schemas hold proofs of {tap.name}: {', '.join(holding)}",
        "Give one of them as --schema; if it was loaded twice, drop the other",
        code="no-proofs",
    )


def _is_of(database: Database, schema: str, streams: Mapping[str, StreamFacts]) -> bool:
    """Return whether the proofs in a schema may be a tap's: all of its streams, with the keys that its tables have.

    Two vendors name a stream alike, such as `calls`; where nothing else was loaded, the keys alone distinguish them.
    """
    proven = {proof.stream for proof in read_proofs(database, schema)}
    held = {name: database.columns(schema, name) for name in proven}
    return bool(proven) and all(
        name in streams and (not held[name] or all(database.found(key, held[name]) for key in streams[name].keys))
        for name in proven
    )


def compare(database: Database, tap: type[VendorTap], schema: str) -> Iterator[Compared]:
    """Compare each stream that has proofs.

    Raises:
        TrunklineError: The database can't be read, or has no proof of the tap.
    """
    proofs: dict[str, list[Proof]] = {}
    for proof in read_proofs(database, schema):
        proofs.setdefault(proof.stream, []).append(proof)
    ends = RunEnds(proof for of_stream in proofs.values() for proof in of_stream)
    known = [facts for facts in stream_facts(tap) if facts.name in proofs]
    if not known:
        raise TrunklineError(
            f"{database.place} can't be compared",
            f"the proofs in schema {schema} are about no stream of {tap.name}",
            "Give the --tap that was loaded there, or another --schema",
            code="no-proofs",
        )
    for facts in known:
        yield compare_stream(database, schema, facts, proofs[facts.name], ends)


def compare_stream(
    database: Database, schema: str, facts: StreamFacts, proofs: Sequence[Proof], ends: RunEnds | None = None
) -> Compared:
    """Compare one stream.

    Args:
        database: The database.
        schema: The schema.
        facts: Of the stream.
        proofs: Its proofs.
        ends: When each run has ended, by the proofs of all streams; by these alone when left out.
    """
    ends = ends or RunEnds(proofs)
    verdict, all_gone, blind = Verdict(facts.name), [], ""

    def names(proof: Proof) -> tuple[str, ...]:
        return tuple(name for name, _ in proof.partition)

    for parts, alike in groupby(sorted(proofs, key=names), key=names):
        table = find_table(database, schema, facts, parts)
        if isinstance(table, str):
            verdict.reason = blind = table
            continue
        of: dict[Partition, list[Proof]] = {}
        for proof in alike:
            of.setdefault(proof.partition, []).append(proof)
        part_sql = part_of(database, schema, facts, parts)
        counted = recount(database, table, part_sql, {one: _pieces(facts, given) for one, given in of.items()}, ends)
        for partition, one in counted.items():
            verdict.findings += judge(facts, table, of[partition], one)
        if found := gone(facts, table, part_sql, counted):
            all_gone.append(found)
        if table.extracted is None:
            blind = "the table has no _sdc_extracted_at: load it with add_record_metadata: true"
    if facts.keeps_outside:
        blind = "its rows also come with other spans than their own"
    elif facts.lookup:
        blind = "only what is looked up is read"
    return Compared(facts, verdict, all_gone, blind)


def _pieces(facts: StreamFacts, proofs: Sequence[Proof]) -> list[Piece]:
    """Lay the spans of one partition; a full table is one part, with its newest proof."""
    if facts.replication_key is None:
        newest = max(proofs, key=lambda proof: (proof.read_from, proof.run))
        return [Piece(NEVER, EVER, newest, newest.read_from if facts.shows_deletions else NEVER)]
    strays = any(proof.rows > proof.within for proof in proofs)
    return with_deletions(lay(proofs), facts, strays=strays)
