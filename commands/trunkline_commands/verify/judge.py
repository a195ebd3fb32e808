"""Fourth step: each span's proof against the rows held, and why a difference may be none."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from trunkline_commands.verify.recount import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline_commands.verify.facts import StreamFacts
    from trunkline_commands.verify.proofs import Proof
    from trunkline_commands.verify.recount import Recount, Table

AGREES, DIFFERS, CANT_TELL = "agrees", "differs", "can't tell"


@dataclass(frozen=True)
class Finding:
    """The verdict on one proof.

    Args:
        proof: The proof.
        counts: What its span holds, as far as no newer proof is about it.
        verdict: `agrees`, `differs` or `can't tell`.
        why: The reason, unless it agrees.
        missing: Rows that were proven and are not held.
        surplus: Rows that are held and were not proven, repeated ones included.
    """

    proof: Proof
    counts: Counts
    verdict: str
    why: str = ""
    missing: int = 0
    surplus: int = 0


@dataclass
class Verdict:
    """The verdict on one stream.

    Args:
        stream: The stream.
        findings: Of each proof that is not wholly covered by newer ones.
        reason: Why rows of it can't be compared.
    """

    stream: str
    findings: list[Finding] = field(default_factory=list)
    reason: str = ""

    @property
    def word(self) -> str:
        """The worst of its findings."""
        found = {finding.verdict for finding in self.findings} | ({CANT_TELL} if self.reason else set())
        return next((word for word in (DIFFERS, CANT_TELL) if word in found), AGREES)


@dataclass(frozen=True)
class _Case:
    """A proof, what its span holds, and what may explain a difference.

    Args:
        facts: Of the stream.
        table: Its table.
        proof: The proof.
        held: What is held where it is the newest proof.
        covered: Rows that are or were where a newer one is; None where there is no such part.
        strays: Whether rows came outside of the span that brought them.
        moved: Rows that have left the span, at most.
    """

    facts: StreamFacts
    table: Table
    proof: Proof
    held: Counts
    covered: int | None
    strays: bool
    moved: int

    @property
    def least(self) -> int:
        """Rows that must be held."""
        return self.proof.within - (self.covered or 0)

    def finding(self) -> Finding:
        """Judge the proof."""
        held, missing, surplus = self.held, self.least - self.held.held, self.held.fresh - self.proof.within
        if held.repeated:
            why = "several rows have the same key: the loader adds where it should replace"
            return Finding(self.proof, held, DIFFERS, why, max(0, missing), held.repeated)
        if missing > self.moved:
            return Finding(self.proof, held, DIFFERS, "proven rows are not held", missing=missing)
        if missing > 0:
            return Finding(self.proof, held, CANT_TELL, "as many rows as are missing may have moved to a later span")
        if surplus > 0:
            why = self.excess(surplus)
            if not why:
                return Finding(self.proof, held, DIFFERS, "more is held than was proven", surplus=surplus)
            return Finding(self.proof, held, CANT_TELL, why)
        why = self.doubt()
        return Finding(self.proof, held, CANT_TELL if why else AGREES, why)

    def excess(self, surplus: int) -> str:
        """Explain why more may be held than was proven; empty where nothing explains it."""
        if self.facts.keeps_outside or self.strays:
            return "rows are held that came with other spans"
        if self.facts.state and (self.table.unfinished is None or surplus <= self.held.unfinished):
            return "rows are held that are read in any span until they are finished"
        return ""

    def doubt(self) -> str:
        """Explain why rows that may be enough can't be shown to be those that were proven."""
        held = self.held
        if self.covered is not None:
            return "a newer proof is about a part of the span"
        if held.held == self.proof.within and not held.other:
            return ""
        if self.table.extracted is None:
            return "more is held than was proven, and without _sdc_extracted_at nobody knows when it came"
        return "rows are held that came with other readings than the proven one"


def judge(facts: StreamFacts, table: Table, proofs: Sequence[Proof], counted: Recount) -> Iterator[Finding]:
    """Judge the proofs of one partition.

    Args:
        facts: Of the stream.
        table: Its table.
        proofs: All of its proofs, also those that newer ones cover.
        counted: What its parts hold.
    """
    pieces, counts = counted.pieces, counted.counts
    own: dict[Proof, list[int]] = {}
    for number, piece in enumerate(pieces):
        own.setdefault(piece.proof, []).append(number)
    starts, ever = [piece.since for piece in pieces], [0, *accumulate(one.ever for one in counts)]
    strays = any(proof.rows > proof.within for proof in proofs)
    later = _later(counted, own)
    revived = sum((one.revived for one in counts), counted.outside.revived)
    for proof, numbers in own.items():
        held, covered = sum((counts[number] for number in numbers), Counts()), None
        length = sum(pieces[number].until - pieces[number].since for number in numbers)
        if facts.replication_key and length < proof.until - proof.since:
            first, last = bisect_left(starts, proof.since), bisect_left(starts, proof.until)
            covered = ever[last] - ever[first] - held.ever
        moved = later[proof] + revived if facts.moves else 0
        yield _Case(facts, table, proof, held, covered, strays, moved).finding()


def _later(counted: Recount, own: Mapping[Proof, Sequence[int]]) -> dict[Proof, int]:
    """Count the rows in parts that a later run than a proof's has read, or that have none: what left its span is there.

    What no proof is about was there with the last run, or came later. In its own run there is none of them: a row moves
    to the moment at which it changes, and a run reads up to its beginning.
    """
    of_run: dict[int, int] = {}
    for proof, numbers in own.items():
        of_run[proof.run] = of_run.get(proof.run, 0) + sum(counted.counts[number].ever for number in numbers)
    rows, after = counted.outside.ever - counted.outside.fresh, {}
    for number, run in enumerate(sorted(of_run, reverse=True)):
        after[run] = rows
        rows += of_run[run] + (0 if number else counted.outside.fresh)
    return {proof: after[proof.run] for proof in own}
