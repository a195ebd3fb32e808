"""G1, G2, G3: what upserts make of many random histories of each vendor is what the vendor has."""

# ruff: noqa: N802 - a test's name carries the guarantee it holds

from __future__ import annotations

import os

import pytest
from tests.model.histories import play

HISTORIES = {"bspk": 300, "hostedsuite": 300, "conpeek": 200, "evolux": 150, "switchtransact": 75}
BATCH = 25
ONE = os.environ.get("TRUNKLINE_MODEL_SEED")
TIMES = int(os.environ.get("TRUNKLINE_MODEL_REPEAT", "1"))
MORE = int(os.environ.get("TRUNKLINE_MODEL_FACTOR", "1"))


def _batches() -> list[list[str]]:
    if ONE:
        return [[ONE] * TIMES]
    names = {vendor: [f"{vendor}/{n}" for n in range(count * MORE)] for vendor, count in HISTORIES.items()}
    return [all_[place : place + BATCH] for all_ in names.values() for place in range(0, len(all_), BATCH)]


@pytest.mark.parametrize("names", _batches(), ids=lambda names: f"{names[0]}-{names[-1].partition('/')[2]}")
def test_G1_G2_G3_histories(names: list[str]) -> None:
    """After late, changed and shifting rows and runs cut off anywhere, one undisturbed run leaves nothing missing."""
    for name in names:
        play(name)
