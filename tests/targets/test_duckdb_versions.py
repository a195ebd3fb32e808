"""ACTIVATE_VERSION at `target-duckdb`: rows of an older version of a full table go, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import RecordsWithoutSchemaException
from tests.targets.test_duckdb import INSTANT, TEXT, WHOLE, Loads, row, schema, state

from trunkline_duckdb import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def load(tmp_path: Path) -> Loads:
    return Loads(tmp_path)


def activate(version: Any, stream: str = "calls") -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def versioned(version: Any, stream: str = "calls", /, **record: Any) -> dict[str, Any]:
    return {**row(stream, **record), "version": version}


FIRST, LAST = "first", "last"


@pytest.mark.parametrize("where", [{FIRST}, {LAST}, {FIRST, LAST}])
@pytest.mark.parametrize("batch_size_rows", [1, 2, 100])
def test_g1_a_full_table_without_key_does_not_double(load: Loads, where: set[str], batch_size_rows: int) -> None:
    """The newest version is there, whether the tap sends the message before the rows, as the SDK does, or after."""
    for version in (1_700_000_000, 1_700_000_060, 1_700_000_120):
        rows = [versioned(version, id=one, name=str(version)) for one in ("a", "a", "b")]
        before, after = ([activate(version)] if place in where else [] for place in (FIRST, LAST))
        load(schema(keys=[]), *before, *rows, *after, state(version), batch_size_rows=batch_size_rows)
        held = load.query("SELECT id, name FROM calls ORDER BY ALL")
        assert held == [("a", str(version)), ("a", str(version)), ("b", str(version))]


def test_g1_with_keys_what_a_new_version_lacks_goes(load: Loads) -> None:
    """Rows that came again are updated, new ones added, the others deleted."""
    load(schema(), versioned(1, id="a", name="x"), versioned(1, id="b", name="x"), activate(1))
    load(schema(), versioned(2, id="b", name="y"), versioned(2, id="c", name="y"), activate(2))
    assert load.query("SELECT id, name, _sdc_table_version FROM calls ORDER BY id") == [("b", "y", 2), ("c", "y", 2)]


def test_g1_the_same_version_again_deletes_nothing(load: Loads) -> None:
    """Taps that read increments repeat their table's version at every run."""
    load(schema(), activate(5), versioned(5, id="a"), activate(5))
    load(schema(), activate(5), versioned(5, id="b"), activate(5))
    assert load.query("SELECT id FROM calls ORDER BY id") == [("a",), ("b",)]


def test_g1_rows_without_a_version_stay(load: Loads) -> None:
    """Nobody said that they are old: rows of before the first version, and of a tap that gives its records none."""
    load(schema(keys=[]), row(id="before"))
    load(schema(keys=[]), activate(1), row(id="plain"), {**row(id="null"), "version": None}, versioned(1, id="one"))
    load(schema(keys=[]), activate(2), versioned(2, id="two"))
    assert load.query("SELECT id FROM calls ORDER BY id") == [("before",), ("null",), ("plain",), ("two",)]
    load(schema("other", keys=[]), row("other", id="a"), activate(9, "other"))
    assert load.types("other") == {"id": "VARCHAR", "name": "VARCHAR"}
    assert load.query("SELECT id FROM other") == [("a",)]


def test_g1_other_streams_keep_their_rows(load: Loads) -> None:
    """The message is about one stream."""
    load(schema(), schema("other"), versioned(1, id="a"), versioned(1, "other", id="b"))
    load(schema(), schema("other"), activate(2), versioned(2, id="c"))
    assert load.query("SELECT id FROM calls UNION ALL SELECT id FROM other ORDER BY 1") == [("b",), ("c",)]


def test_g1_an_input_that_ends_in_a_fault_deletes_nothing(load: Loads) -> None:
    """The old rows are there until the new ones are."""
    load(schema(keys=[]), versioned(1, id="a"))
    with pytest.raises(InputError):
        load(schema(keys=[]), activate(2), versioned(2, id="b"), "not JSON")
    assert load.query("SELECT id FROM calls ORDER BY id") == [("a",), ("b",)]
    load(schema(keys=[]), activate(3), versioned(3, id="c"))
    assert load.query("SELECT id FROM calls") == [("c",)]


def test_g1_the_version_survives_a_wider_schema_and_a_wider_column(load: Loads) -> None:
    """New columns and a number past 64 bits come between two records of a version."""
    wider = schema(keys=[], id=TEXT, n=WHOLE, at=INSTANT)
    old = versioned(1, id="old", n=1)
    load(schema(keys=[], id=TEXT, n=WHOLE), old)
    load(
        schema(keys=[], id=TEXT, n=WHOLE), activate(2), versioned(2, id="a", n=2), wider, versioned(2, id="b", n=2**70)
    )
    assert load.query("SELECT id, n, _sdc_table_version FROM calls ORDER BY id") == [("a", 2, 2), ("b", 2**70, 2)]


def test_g1_a_schema_that_names_the_column_fills_it_itself(load: Loads) -> None:
    """A tap that reads what another loader wrote has the version among its properties."""
    declared = schema(keys=[], id=TEXT, _sdc_table_version=WHOLE)
    load(declared, versioned(7, id="a", _sdc_table_version=1), versioned(7, id="b", _sdc_table_version=3), activate(2))
    assert load.query("SELECT id, _sdc_table_version FROM calls") == [("b", 3)]


@pytest.mark.parametrize("version", ["new", 1.5, 2**64, {}, True])
def test_a_version_that_is_none_is_a_clear_error(load: Loads, version: Any) -> None:
    """In either message; what came before it is loaded."""
    for message in (activate(version), versioned(version, id="b")):
        with pytest.raises(InputError, match=r"Line 3: the version of an? [A-Z_]+ is no whole number"):
            load(schema(), row(id="a"), message)
    assert load.query("SELECT id FROM calls") == [("a",)]


@pytest.mark.parametrize("message", [{"type": "ACTIVATE_VERSION", "stream": "calls"}, activate(None)])
def test_a_message_without_a_version_is_a_clear_error(load: Loads, message: dict[str, Any]) -> None:
    """It would say nothing."""
    with pytest.raises(InputError, match="Line 2: the ACTIVATE_VERSION of stream 'calls' has no version"):
        load(schema(), message)


def test_a_version_of_an_unknown_stream_is_a_clear_error(load: Loads) -> None:
    """As of a RECORD that comes before its SCHEMA."""
    with pytest.raises(RecordsWithoutSchemaException, match=r"Line 1: an ACTIVATE_VERSION of .* came before"):
        load(activate(1))
