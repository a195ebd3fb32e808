"""Second step: spans laid over each other, so that each instant has the newest proof that is about it."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trunkline_commands.verify.facts import StreamFacts
    from trunkline_commands.verify.proofs import Proof

NEVER = -(2**62)
"""Before any reading: where no row is known to be gone."""


@dataclass(frozen=True)
class Piece:
    """A part of the time line between two neighbouring edges of spans.

    Args:
        since: Where it begins, in microseconds since 1970.
        until: Where it ends (exclusive).
        proof: The newest proof of it.
        gone_before: A row in it that was read before this instant is gone at the vendor.
    """

    since: int
    until: int
    proof: Proof
    gone_before: int = NEVER


def lay(proofs: Sequence[Proof]) -> list[Piece]:
    """Cut the time line at the edges of all spans of one partition, and find the newest proof of each part.

    Args:
        proofs: The proofs of one stream and partition, in any order.

    Returns:
        The parts in order; no part where there is no proof.
    """
    waiting = sorted((proof for proof in proofs if proof.since < proof.until), key=lambda proof: -proof.since)
    edges = sorted({edge for proof in waiting for edge in (proof.since, proof.until)})
    open_: list[tuple[int, int, int, int, Proof]] = []
    pieces = []
    for number, (since, until) in enumerate(pairwise(edges)):
        while waiting and waiting[-1].since == since:
            proof = waiting.pop()
            heapq.heappush(open_, (-proof.read_from, -proof.run, number, len(waiting), proof))
        while open_ and open_[0][-1].until <= since:
            heapq.heappop(open_)
        if open_:
            pieces.append(Piece(since, until, open_[0][-1]))
    return pieces


def with_deletions(pieces: Sequence[Piece], facts: StreamFacts, *, strays: bool) -> list[Piece]:
    """Set for each part from when on a row in it must have come again, if the vendor still has it.

    Args:
        pieces: The parts of one partition.
        facts: Of the stream.
        strays: Whether rows were seen outside of the span that brought them: a neighbour may bring a row then.
    """
    if not facts.shows_deletions:
        return list(pieces)
    made = [replace(piece, gone_before=piece.proof.read_from) for piece in pieces]
    if strays:
        made = list(_as_neighbours(made, facts.tolerance))
    return [*_as_followed(made)][::-1] if facts.moves else made


def _as_neighbours(pieces: Sequence[Piece], reach: int) -> Iterator[Piece]:
    """Cut parts so that each has the oldest reading of all that lie within reach; none where there is a hole."""
    starts, ends = [piece.since for piece in pieces], [piece.until for piece in pieces]
    edges = sorted({edge + move for edge in (*starts, *ends) for move in (-reach, 0, reach)})
    for piece in pieces:
        inner = edges[bisect_right(edges, piece.since) : bisect_left(edges, piece.until)]
        for since, until in pairwise([piece.since, *inner, piece.until]):
            near = pieces[bisect_right(ends, since - reach) : bisect_left(starts, until + reach)]
            first, last = near[0].since, near[-1].until
            whole = first <= since - reach and last >= until + reach
            whole = whole and sum(one.until - one.since for one in near) == last - first
            oldest = min(one.gone_before for one in near) if whole else NEVER
            yield replace(piece, since=since, until=until, gone_before=oldest)


def _as_followed(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Let nothing be gone where it may have moved to a time that was not read again since; the last part comes first.

    A row that changed before a part was read lies between that part and the moment of the reading. When all of that was
    read again later, it would have come with its new key.
    """
    start = end = oldest = None
    for piece in reversed(pieces):
        if end is None or start != piece.until:
            end, oldest = piece.until, None
        start = piece.since
        followed = end > piece.proof.read_to and (oldest is None or oldest >= piece.proof.read_from)
        oldest = min(oldest or piece.proof.read_from, piece.proof.read_from)
        yield piece if followed else replace(piece, gone_before=NEVER)
