"""Selection: what a user chooses decides what is written, never what is read nor whether it is believed."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from tests.night import NIGHT

from tap_bspk import TapBSPK
from tap_conpeek import TapConpeek
from tap_evolux import TapEvolux
from tap_hostedsuite import TapHostedSuite
from tap_switchtransact import TapSwitchTransact
from trunkline_contract.runs import PROOFS
from trunkline_sandbox import Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.doors.command import VendorTap

    Catalog = dict[str, Any]
    Change = Callable[[dict[str, Any]], None]

RUN = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
TAPS: tuple[type[VendorTap], ...] = (TapBSPK, TapConpeek, TapEvolux, TapHostedSuite, TapSwitchTransact)
MOST = None if NIGHT else 1
"""Streams of each tap that are tried: all at night, as every one of them is a run of the whole tap."""
STREAMS = [(tap, str(stream.name)) for tap in TAPS for stream in tap.stream_types[:MOST]]  # type: ignore[misc]


class Reader:
    """Runs a tap over the sandbox with a changed catalog."""

    def __init__(self, captured: pytest.CaptureFixture[bytes], logged: pytest.LogCaptureFixture) -> None:
        self.sandbox, self._captured, self._logged = Sandbox(size=12), captured, logged
        self.log = ""

    def __call__(
        self, tap: type[VendorTap], stream: str, change: Change = lambda _: None, **more: Any
    ) -> list[dict[str, Any]]:
        """The messages of one stream, after `change` on its entry of the discovered catalog."""
        config = {**self.sandbox.config(tap.vendor), "max_attempts": 1, "requests_per_minute": 600_000, **more}
        catalog: Catalog = json.loads(tap(config=config).catalog_json_text)
        for entry in catalog["streams"]:
            root = next(part for part in entry["metadata"] if not part["breadcrumb"])
            root["metadata"]["selected"] = entry["tap_stream_id"] in {stream, PROOFS}
            if entry["tap_stream_id"] == stream:
                change(entry)
        self._captured.readouterr()
        self._logged.clear()
        adapter = SandboxAdapter(self.sandbox, sleep=lambda _: None)
        code = tap(config=config, catalog=catalog, run_start=RUN, transport=adapter).run()
        captured, self.log = self._captured.readouterr(), self._logged.text
        assert code == 0, self.log[-3000:]
        return [json.loads(line) for line in captured.out.splitlines()]


@pytest.fixture
def read(capfdbinary: pytest.CaptureFixture[bytes], caplog: pytest.LogCaptureFixture) -> Reader:
    return Reader(capfdbinary, caplog)


def rows(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["record"] for message in messages if message["type"] == "RECORD" and message["stream"] != PROOFS]


def schema(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return next(
        dict(message["schema"]["properties"])
        for message in messages
        if message["type"] == "SCHEMA" and message["stream"] != PROOFS
    )


def deselect(*names: str) -> Change:
    def change(entry: dict[str, Any]) -> None:
        for part in entry["metadata"]:
            if part["breadcrumb"][1:2] and part["breadcrumb"][1] in names:
                part["metadata"]["selected"] = False

    return change


def forget(*names: str) -> Change:
    """As if the catalog had been written before the schema got these fields."""

    def change(entry: dict[str, Any]) -> None:
        entry["schema"]["properties"] = {k: v for k, v in entry["schema"]["properties"].items() if k not in names}
        entry["metadata"] = [
            part for part in entry["metadata"] if part["breadcrumb"][1:2] == [] or part["breadcrumb"][1] not in names
        ]

    return change


@pytest.mark.parametrize(("tap", "stream"), STREAMS)
def test_g1_what_is_deselected_changes_no_row_that_is_read(read: Reader, tap: type[VendorTap], stream: str) -> None:
    """Every field deselected alone, and all but the keys together: the same rows, and the tap's own checks hold."""
    whole = rows(read(tap, stream))
    assert whole
    fields = list(whole[0])
    for gone in [*((name,) for name in fields), tuple(fields)]:
        messages = read(tap, stream, deselect(*gone))
        left = list(rows(messages)[0])
        assert set(left) == set(schema(messages))
        assert set(fields) - set(gone) <= set(left)
        assert rows(messages) == [{name: row[name] for name in left} for row in whole], gone


@pytest.mark.parametrize(("tap", "stream"), STREAMS)
@pytest.mark.parametrize("mapped", [False, True])
def test_g10_a_field_that_the_catalog_does_not_mention_stays_in_extra(
    read: Reader, tap: type[VendorTap], stream: str, *, mapped: bool
) -> None:
    """A catalog of an older release has not deselected what the schema has since got: in `_extra`, with a line."""
    maps: dict[str, Any] = {"stream_maps": {stream: {"made": "'x'"}}} if mapped else {}
    whole = rows(read(tap, stream, **maps))
    keys = {"made"}
    for gone in ([name] for name in [*whole[0], ""] if name != "made"):
        names = gone if gone[0] else [name for name in whole[0] if name != "made"]
        messages = read(tap, stream, forget(*names), **maps)
        keys = set(schema(messages)) & set(names)  # what no record can do without
        lost = [name for name in names if name not in keys]
        for row, before in zip(rows(messages), whole, strict=True):
            kept = {name: before[name] for name in lost if before[name] is not None}
            assert row == {name: before[name] for name in row if name != "_extra"} | {"_extra": kept or None}
            assert set(row) == set(schema(messages))
        told = [line for line in read.log.splitlines() if "the catalog does not mention" in line]
        assert len(told) == bool(lost)
        assert all(name in told[0] for name in lost)


def test_g10_extra_itself_can_be_deselected(read: Reader) -> None:
    """Then nothing is kept in it, and the line says so."""

    def change(entry: dict[str, Any]) -> None:
        deselect("_extra")(entry)
        forget("caller")(entry)

    messages = read(TapEvolux, "studio_calls", change)
    assert not {"_extra", "caller"} & set(rows(messages)[0])
    assert "caller: left out, as _extra is deselected" in read.log


def test_g10_a_catalog_that_names_no_key_leaves_the_stream_its_own(read: Reader) -> None:
    """Keys and bookmark are the vendor's facts: an entry without them neither doubles rows nor reads all again."""

    def change(entry: dict[str, Any]) -> None:
        for name in ("key_properties", "replication_key", "replication_method"):
            entry.pop(name, None)
        entry["metadata"] = [{"breadcrumb": [], "metadata": {"selected": True}}]

    messages = read(TapEvolux, "studio_calls", change)
    (said,) = [line for line in messages if line["type"] == "SCHEMA" and line["stream"] == "studio_calls"]
    assert said["key_properties"] == ["id"]
    assert messages[-1]["value"]["bookmarks"]["studio_calls"]["replication_key"] == "start_time"


@pytest.mark.parametrize("pii", ["clear", "hash", "drop"])
def test_g7_what_the_catalog_does_not_mention_is_protected_by_its_own_mark(read: Reader, pii: str) -> None:
    """In `_extra` a field that the schema names keeps what is known of it: personal or harmless, numbers too."""
    mode: dict[str, Any] = {"pii": pii, "pii_key": "k"}
    whole = rows(read(TapEvolux, "studio_calls", **mode))
    some = rows(read(TapEvolux, "studio_calls", forget("caller", "duration", "exit_reason"), **mode))
    for row, before in zip(some, whole, strict=True):
        for name in ("caller", "duration", "exit_reason"):
            assert (row["_extra"] or {}).get(name) == before[name]


@pytest.mark.parametrize("pii", ["clear", "drop"])
def test_g10_flattened_records_hold_what_their_schema_names(read: Reader, pii: str) -> None:
    """What a vendor adds inside of an object goes into `_extra`, and an object that is null leaves no column behind."""
    name = "studio_calls"
    calls = [row for row in read.sandbox.truth("evolux", name) if row["start_time"] >= "2026"]
    read.sandbox.upsert("evolux", name, [{**calls[0], "call_flow": {"id": 1, "name": "a", "new": {"deep": 77_001}}}])
    read.sandbox.upsert("evolux", name, [{**calls[1], "project": None}])
    messages = read(TapEvolux, name, flattening_enabled=True, flattening_max_depth=3, pii=pii, pii_key="k")
    assert {field for row in rows(messages) for field in row} <= set(schema(messages))
    (row,) = [row for row in rows(messages) if row["id"] == calls[0]["id"]]
    assert "call_flow__new__deep" in row["_extra"]
    assert ("77001" in row["_extra"]) == (pii == "clear")
    assert "call_flow__new__deep" in read.log
