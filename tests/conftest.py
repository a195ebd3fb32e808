"""Fixtures of every test."""

from __future__ import annotations

import gc
import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest

from trunkline import process
from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

# Hundreds of processes are started here, and without bytecode each compiles anew all that it imports: more than half of
# its time. Images for containers set this variable.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Each run of a tap reads the certificates that these name, to see whether they are any. It takes longer than most runs,
# and all the vendors here are on loopback. pip alone may need them, and knows another name.
for _name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    if _bundle := os.environ.pop(_name, None):
        os.environ.setdefault("PIP_CERT", _bundle)


@pytest.fixture(scope="module", autouse=True)
def _what_stands_is_not_looked_at() -> None:
    """Thousands of tests and their reports stay to the end: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:
    """A password `t` in one test must not mask the letter in the next one's errors."""
    before = redactor.secrets.copy()
    yield
    redactor.secrets.clear()
    redactor.secrets.update(before)


@pytest.fixture(autouse=True)
def _no_settled_process() -> Iterator[None]:
    """A command settles its process: memory is given back at each STATE, and log lines go to a stream of its own.

    In a process that holds all tests the one is slow, and the other makes the lines of all later tests once more.
    """
    threshold, root = gc.get_threshold(), logging.getLogger()
    before = root.handlers.copy()
    yield
    gc.set_threshold(*threshold)
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler and one not in before]:
        root.removeHandler(handler)
    process._malloc.clear()  # noqa: SLF001 - what `settle` leaves there
