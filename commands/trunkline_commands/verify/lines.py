"""Last step: the lines that are printed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trunkline_commands.verify.deletions import instant
from trunkline_commands.verify.judge import AGREES, CANT_TELL, DIFFERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trunkline_commands.verify.judge import Finding, Verdict

HEAD = ("stream", "spans", "rows proven", "rows held", "missing", "surplus", "deleted", "verdict")


def summary(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Write a line for each stream, in columns.

    Rows proven and held are those of the spans that can be counted exactly; rows of the others are not comparable.
    """
    rows = [HEAD, *map(_row, verdicts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(verdict: Verdict) -> tuple[str, ...]:
    findings = verdict.findings
    exact = [one for one in findings if one.verdict != CANT_TELL]
    counts = Counter(one.verdict for one in findings)
    word = verdict.word
    if len(counts) > 1:
        word += f" ({', '.join(f'{counts[one]} {one}' for one in (DIFFERS, CANT_TELL, AGREES) if counts[one])})"
    return (
        verdict.stream,
        *(
            f"{number:,}"
            for number in (
                len(findings),
                sum(one.proof.within for one in exact),
                sum(one.counts.held for one in exact),
                sum(one.missing for one in findings),
                sum(one.surplus for one in findings),
                sum(one.counts.gone for one in findings),
            )
        ),
        f"{word}: {verdict.reason}" if verdict.reason else word,
    )


def details(verdict: Verdict) -> Iterator[str]:
    """Write a line for each span that differs, and one for each reason why others have no verdict."""
    for one in verdict.findings:
        if one.verdict == DIFFERS:
            numbers = f"{one.proof.within:,} proven, {one.counts.held:,} held"
            found = [
                f"{number:,} {noun}" for number, noun in ((one.missing, "missing"), (one.surplus, "surplus")) if number
            ]
            yield f"{verdict.stream} {place(one)}: {numbers}, {', '.join(found)}: {one.why}"
    doubts = Counter(one.why for one in verdict.findings if one.verdict == CANT_TELL)
    for why, count in doubts.items():
        yield f"{verdict.stream}: of {count:,} span{'s' * (count > 1)} it can't tell: {why}"


def place(finding: Finding) -> str:
    """Name the span of a proof, and its partition."""
    proof = finding.proof
    part = ", ".join(f"{name} {value}" for name, value in proof.partition)
    span = f"{instant(proof.since)} to {instant(proof.until)}"
    if proof.since == proof.until:
        span = f"read {instant(proof.read_from)}"
    return f"{part}, {span}" if part else span
