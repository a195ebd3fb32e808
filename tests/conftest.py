"""Fixtures of every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """A password `t` in one test must not mask the letter in the next one's errors."""
    before = redactor.secrets.copy()
    yield
    redactor.secrets.clear()
    redactor.secrets.update(before)
