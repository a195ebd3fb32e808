"""The pytest plugin: what turns a class derived from `Contract` into tests of each of the vendor's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# Before anything imports them: a failing assert then shows both sides, as in a test file of one's own.
pytest.register_assert_rewrite("trunkline_contract.suite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise over streams: `stream` means all, `dated` those with a bookmark, `chained` those with cursors."""
    for argument in ("stream", "dated", "chained"):
        streams: Callable[[str], list[str]] | None = getattr(metafunc.cls, "contract_streams", None)
        if streams and argument in metafunc.fixturenames:
            metafunc.parametrize(argument, streams(argument))
