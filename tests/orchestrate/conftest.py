"""orchestrate/ is a source root of the checkout, and no part of the wheel: tests find it here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "orchestrate"))

from trunkline_orchestrate import sources

from trunkline_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline_orchestrate.sources import Settings

SPAN = {"since": "2026-01-01", "until": "2026-01-18", "span": "P9D"}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with sources of the sandbox, loaded into one DuckDB file by one unit at a time."""

    def make(configs: Mapping[str, Mapping[str, Any]], **more: Any) -> Settings:
        raw: dict[str, Any] = {
            "folder": str(tmp_path / "backfill"),
            "workers": 1,
            "target": {
                "command": ["target-duckdb"],
                "config": {"path": str(tmp_path / "calls.duckdb"), "default_target_schema": "tap_{vendor}"},
            },
            "sources": {name: {"config": dict(config)} for name, config in configs.items()},
            **SPAN,
            **more,
        }
        return sources.of(raw)

    return make


@pytest.fixture
def config() -> Callable[[str], dict[str, Any]]:
    """A config of a vendor, at an address where nobody answers."""
    return Sandbox(size=1).config
