"""`trunkline verify` on random honest histories: it is silent, finds each deletion that it can, and invents none."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.night import NIGHT
from tests.verify_world import KINDS, World, listed

from trunkline_commands.verify.judge import AGREES, DIFFERS

if TYPE_CHECKING:
    from pathlib import Path

HISTORIES = 200 if NIGHT else 12
"""Of each kind of stream."""


def played(kind: str, seed: int) -> World:
    """A history: things happen, and in between a tap reads, with a lookback and windows of any length."""
    dice = random.Random(f"{kind} {seed}")  # noqa: S311 - a test
    world = World(KINDS[kind], dice)
    lookback, window = dice.choice((0, 7, 30, 100)), dice.choice((5, 13, 40, 400))
    for _ in range(dice.randrange(2, 9)):
        for _ in range(dice.randrange(40)):
            world.happen()
        if kind == "table":
            world.snapshot()
        else:
            world.run(lookback=lookback, window=window)
    return world


@pytest.mark.parametrize("kind", KINDS)
def test_g2_honest_histories_make_no_difference_and_no_deletion(kind: str, tmp_path: Path) -> None:
    """Whatever an honest vendor, tap and loader do, nothing differs; what is listed as gone really is."""
    agreed = gone = 0
    for seed in range(HISTORIES):
        world, path = played(kind, seed), tmp_path / "calls.duckdb"
        world.dump(path)
        found = world.compared(path)
        assert [one for one in found.verdict.findings if one.verdict == DIFFERS] == [], f"{kind} {seed}"
        agreed += sum(one.verdict == AGREES for one in found.verdict.findings)
        rows, expected = listed(path, found), world.gone_by_proof()
        assert {number for number in rows if world.rows[number].gone is None} == set(), f"{kind} {seed}"
        if kind in {"fixed", "table"}:
            assert rows == expected, f"{kind} {seed}"
        if kind == "outside":
            assert not rows
        gone += len(rows)
    assert agreed > HISTORIES / 2
    assert gone > 0 or kind == "outside"


@pytest.mark.parametrize("kind", KINDS)
def test_g2_one_row_less_differs_where_it_agreed(kind: str, tmp_path: Path) -> None:
    """A row taken out of a span that agreed makes that span differ, unless rows of the stream may have moved on."""
    found = told = 0
    for seed in range(HISTORIES // 3):
        world, path = played(kind, seed), tmp_path / "calls.duckdb"
        world.dump(path)
        agreed = [one for one in world.compared(path).verdict.findings if one.verdict == AGREES and one.proof.within]
        if not agreed:
            continue
        proof = world.dice.choice(agreed).proof
        inside = [
            number
            for number, row in world.held.items()
            if kind == "table" or proof.since <= row.at * 1_000_000 < proof.until
        ]
        taken = [number for number in inside if row_is_proven(world, number, proof.read_from)]
        world.dump(path, but=[world.dice.choice(taken)])
        (now,) = [one for one in world.compared(path).verdict.findings if one.proof == proof]
        found += now.verdict == DIFFERS
        assert now.verdict != AGREES, f"{kind} {seed}"
        told += 1
    assert told
    assert found == told or world.facts.moves


def row_is_proven(world: World, number: int, read_from: int) -> bool:
    return world.held[number].extracted * 1_000_000 >= read_from
