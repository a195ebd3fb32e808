"""The SDK's own tests of a tap, as they are, on the five taps: against the sandbox on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import get_tap_test_class

from tap_bspk import TapBSPK
from tap_conpeek import TapConpeek
from tap_evolux import TapEvolux
from tap_hostedsuite import TapHostedSuite
from tap_switchtransact import TapSwitchTransact
from trunkline_sandbox import Sandbox, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.doors.command import VendorTap

BOX = Sandbox(size=60)
CONFIGS: dict[str, dict[str, Any]] = {}


@pytest.fixture(scope="module", autouse=True)
def _served() -> Iterator[None]:
    """A config is fixed when its class is made, before any server runs: the address is put into it here."""
    with running(BOX) as served:
        for vendor, config in CONFIGS.items():
            config.update(served.config(vendor), requests_per_minute=1_000_000)
        yield


def suite(tap: type[VendorTap]) -> Any:
    """`get_tap_test_class`, as its documentation shows it."""
    config = CONFIGS.setdefault(tap.vendor, BOX.config(tap.vendor, "http://127.0.0.1:9"))
    kinds: Any = tuple(type(one.__name__, (one,), {"selected_by_default": True}) for one in tap.stream_types)
    return get_tap_test_class(tap_class=type(tap.__name__, (tap,), {"stream_types": kinds}), config=config)


class TestTapBSPK(suite(TapBSPK)):  # type: ignore[misc]
    """The suite on tap-bspk."""


class TestTapSwitchTransact(suite(TapSwitchTransact)):  # type: ignore[misc]
    """The suite on tap-switchtransact."""


class TestTapHostedSuite(suite(TapHostedSuite)):  # type: ignore[misc]
    """The suite on tap-hostedsuite."""


class TestTapConpeek(suite(TapConpeek)):  # type: ignore[misc]
    """The suite on tap-conpeek."""


class TestTapEvolux(suite(TapEvolux)):  # type: ignore[misc]
    """The suite on tap-evolux."""
