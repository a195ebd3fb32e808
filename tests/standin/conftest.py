"""Fixtures of the outsider's checks: stand-in vendors on loopback and the installed commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest

# The harness is shared by the modules of this folder; no installer has put the tests on the path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.standin.wire import Hub, StandIn, Taps

if TYPE_CHECKING:
    from collections.abc import Iterator

Vendor = TypeVar("Vendor", bound=StandIn)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """One server for all stand-ins."""
    made = Hub()
    yield made
    made.close()


@pytest.fixture
def run(tmp_path: Path) -> Taps:
    """The runner of installed commands, in a folder of its own."""
    return Taps(tmp_path)


class Serve(Protocol):
    """Puts a stand-in on the wire and gives it back."""

    def __call__(self, vendor: Vendor) -> Vendor: ...


@pytest.fixture
def serve(hub: Hub) -> Serve:
    """Serve a stand-in under an address of its own."""

    def served(vendor: Vendor) -> Vendor:
        hub.add(vendor)
        return vendor

    return served
