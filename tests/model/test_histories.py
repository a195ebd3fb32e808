"""G1, G2, G3: what upserts make of many random histories of each vendor is what the vendor has.

A history that fails names itself. `TRUNKLINE_MODEL_SEED=bspk/17 python -m pytest tests/model` plays it alone, and
`TRUNKLINE_MODEL_REPEAT=50` so many times: with several requests in flight their order is not the seed's to decide.
"""

# ruff: noqa: N802 - a test's name carries the guarantee it holds

from __future__ import annotations

import os

import pytest
from tests.model.histories import play
from tests.night import NIGHT

HISTORIES = {"bspk": 50, "hostedsuite": 50, "conpeek": 20, "evolux": 25, "switchtransact": 15}
"""Shared out by what a run costs; at night, and by TRUNKLINE_MODEL_FACTOR, there are more."""

BATCH = 25
ONE = os.environ.get("TRUNKLINE_MODEL_SEED")
TIMES = int(os.environ.get("TRUNKLINE_MODEL_REPEAT", "1"))
MORE = int(os.environ.get("TRUNKLINE_MODEL_FACTOR", "6" if NIGHT else "1"))


def _batches() -> list[list[str]]:
    if ONE:
        return [] if "/command-" in ONE else [[ONE] * TIMES]
    names = {vendor: [f"{vendor}/{n}" for n in range(count * MORE)] for vendor, count in HISTORIES.items()}
    return [all_[place : place + BATCH] for all_ in names.values() for place in range(0, len(all_), BATCH)]


@pytest.mark.parametrize("names", _batches(), ids=lambda names: f"{names[0]}-{names[-1].partition('/')[2]}")
def test_G1_G2_G3_histories(names: list[str]) -> None:
    """After late, changed and shifting rows and runs cut off anywhere, one undisturbed run leaves nothing missing."""
    for name in names:
        play(name)
