"""What takes too long for each change is tried at night, by the workflow that sets `TRUNKLINE_NIGHT`."""

from __future__ import annotations

import os

import pytest

NIGHT = "TRUNKLINE_NIGHT" in os.environ
"""Whether everything is tried."""


def at_night(reason: str) -> pytest.MarkDecorator:
    """Skip a test by day, for a reason."""
    return pytest.mark.skipif(not NIGHT, reason=f"{reason}: at night")
