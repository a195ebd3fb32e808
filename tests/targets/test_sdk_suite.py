"""The SDK's own tests of a target, as they are, on the targets that load any stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import get_target_test_class

from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config is fixed when the class is made: its relative path stands for a new file in each test."""
    monkeypatch.chdir(tmp_path)


Suite = get_target_test_class(target_class=TargetDuckDB, config={"path": "calls.duckdb"})


class TestTargetDuckDB(Suite):  # type: ignore[misc,valid-type]
    """`get_target_test_class`, as its documentation shows it."""


_SERVER: dict[str, Any] = {}
"""Filled before the first test: the class is made before there is a server."""

PostgresSuite = get_target_test_class(target_class=TargetPostgres, config=_SERVER)


class TestTargetPostgres(PostgresSuite):  # type: ignore[misc,valid-type]
    """The same, with a server that is there when a test begins."""

    @pytest.fixture(autouse=True, scope="class")
    def _served(self, server: Any) -> None:
        _SERVER["sqlalchemy_url"] = server.get_uri("calls")
