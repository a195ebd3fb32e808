"""Put the checkout on the path: the harness is shared by the modules of this folder, and tests are no package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait between two tries takes no time; what a wait is for is tested elsewhere."""
    monkeypatch.setattr("trunkline.client.backoff.full_jitter", lambda _: 0.0)
