"""Schema files are found from a checkout, and handed out as copies."""

from __future__ import annotations

import pytest

from trunkline import schemas
from trunkline.errors import TrunklineError


def test_a_schema_is_a_copy_of_its_own() -> None:
    """A stream that leaves out a field does not leave it out for the next one."""
    first = schemas.load("evolux", "studio_calls")
    first["properties"].clear()
    assert schemas.load("evolux", "studio_calls")["properties"]


def test_the_folder_holds_a_file_for_each_stream() -> None:
    """Found around the package in a checkout, or inside it when installed."""
    assert (schemas.folder() / "evolux" / "studio_cdr.json").is_file()


def test_a_stream_without_a_schema_is_an_error() -> None:
    """Not an empty schema."""
    with pytest.raises(TrunklineError, match="has no schema"):
        schemas.load("evolux", "no_such_stream")
