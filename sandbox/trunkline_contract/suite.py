"""The tests of the suite. Each states in one sentence what must hold; its guarantee stands in its name."""

# ruff: noqa: S101 - tests assert
# ruff: noqa: PLR2004 - the literal is the expectation

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from trunkline import personal, schemas
from trunkline.doors import docs
from trunkline.doors.vendors import VENDORS, vendor_taps
from trunkline.errors import ConfigInvalid
from trunkline.facts import CursorPages, DetailStream, PerRow
from trunkline.facts import config as common_settings
from trunkline_contract import runs, schema_file
from trunkline_contract.runs import UTC, Output, bookmark, instant, killed
from trunkline_sandbox import Fault, Sandbox, running
from trunkline_sandbox.paged import PagedVendor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from trunkline.doors.command import VendorTap
    from trunkline.doors.docs import StreamFacts
    from trunkline_contract.runs import Key, Result

    Rows = dict[Key, dict[str, Any]]

BEGIN = datetime(2021, 3, 1, tzinfo=UTC)
"""Before all rows of the sandbox, and in no clock's way: rows of a test's own stand from here on."""
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
AFTER = datetime(2026, 2, 1, 12, 0, 0, 500_000, tzinfo=UTC)
"""After all rows of the sandbox."""
NO_ANSWER = ("html200", "empty200", "broken_json", "other_envelope", "cut", "reset", "status")
AGAIN = {"Retry-After": "0"}
PASSING = (
    Fault("status", rate=0.2, times=4, status=503, headers=AGAIN),
    Fault("status", rate=0.2, times=4, status=429, headers=AGAIN),
    Fault("reset", rate=0.2, times=4),
    Fault("html200", rate=0.2, times=4),
    Fault("cut", rate=0.2, times=4),
)


class Contract:
    """The guarantees, tested on one vendor.

    Derive a class whose name begins with `Test`, name the vendor, and describe a row of it. Streams without
    a bookmark get the tests that need none, and those that page by a cursor one more. A stream that is read row by row
    of another one gets all of its parent's tests: each of its rows is put beside a row of the parent.

    Attributes:
        vendor: Name of the vendor's entry points.
        settings: Settings of the tap for all tests, on top of those of the sandbox's part.
        small: A page size at which a few rows need several pages.
        grain: The shortest time between two instants that the vendor can write.
    """

    vendor: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    small: ClassVar[int] = 3
    grain: ClassVar[timedelta] = timedelta(seconds=1)

    # -- facts of a vendor -----------------------------------------------------------------------

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """Return a row in the form that the vendor's part of the sandbox keeps.

        Args:
            stream: The stream.
            number: Makes the row's key: another number, another key.
            moment: The instant that its bookmark is made of; means nothing to a full table and to a row of a parent.
        """
        raise NotImplementedError(f"{type(self).__name__} must describe row {number} of {stream} at {moment}")

    def expected(self, box: Sandbox, stream: str) -> Iterable[dict[str, Any]]:
        """Yield the rows that the sandbox holds, as the tap must write them: with computed fields, else as they are.

        Those of a parent's rows come with what they carry of it, if the sandbox's part is a `PagedVendor`.
        """
        rows, child, vendor = box.truth(self.vendor, stream), self._stream(stream), box.vendors[self.vendor]
        if not hasattr(child, "listed") or not isinstance(vendor, PagedVendor):
            yield from rows
            return
        route = vendor.find_route(stream)
        parents = {row[route.known_by]: row for row in self.expected(box, route.parent)}
        for row in rows:
            mark = row[route.column] if route.sends_column else row.pop(route.column)
            if mark in parents:
                yield {**row, **{name: parents[mark][field] for name, field in child.carries.items()}}

    # -- what pytest and the tests need ------------------------------------------------------------

    @classmethod
    def tap(cls) -> type[VendorTap]:
        """Return the vendor's tap, found by its entry point."""
        found = _installed()
        if cls.vendor not in found:
            known = ", ".join(found)
            pytest.fail(
                f"no entry point {cls.vendor!r} in the group {VENDORS} (there are {known}): install the package "
                "that brings the vendor, for example with `pip install -e .`",
                pytrace=False,
            )
        return found[cls.vendor]

    @classmethod
    def facts(cls) -> dict[str, StreamFacts]:
        """Return the facts of each stream's class."""
        return {facts.name: facts for facts in docs.stream_facts(cls.tap())}

    @classmethod
    def contract_streams(cls, kind: str) -> list[str]:
        """Return the streams of a test: all (`stream`), those with a bookmark and a span, or those with cursors.

        Args:
            kind: `stream`, `dated` or `chained`.
        """
        if not hasattr(cls, "vendor"):
            return []
        names = cls.facts()
        if kind == "chained":
            return [name for name in names if isinstance(getattr(cls._stream(name), "paging", None), CursorPages)]
        dated = "lookback" in cls.tap().common
        return [name for name, facts in names.items() if kind == "stream" or (dated and facts.replication_key)]

    def box(self, size: int = 0) -> Sandbox:
        """Return the vendor with so many made-up rows."""
        return Sandbox(size=size, vendors=[self.vendor])

    def put(
        self,
        box: Sandbox,
        stream: str,
        *moments: datetime,
        first: int = 100,
        before: int | None = None,
        parent: int | None = None,
        **more: Any,
    ) -> None:
        """Add a row at each of these moments; for a stream with a parent, the parent's rows too.

        Args:
            box: Where.
            stream: The stream that is to have them.
            moments: The rows' instants; with a parent, the instants of the parent's rows.
            first: The first row's number; the others count on.
            before: Wait with it until this request, counted from 1.
            parent: Number of the one parent's row that is to have them all; each has its own when None.
            more: Columns on top of those of `row`.
        """
        rows = [{**self.row(stream, number, moment), **more} for number, moment in enumerate(moments, first)]
        vendor = box.vendors[self.vendor]
        if hasattr(self._stream(stream), "listed") and isinstance(vendor, PagedVendor):
            route = vendor.find_route(stream)
            for number, (row, moment) in enumerate(zip(rows, moments, strict=True), first):
                whose = (number, moment) if parent is None else (parent, BEGIN + MINUTE)
                above = self.row(route.parent, *whose)
                row[route.column] = above[route.known_by]
                box.upsert(self.vendor, route.parent, [above], before_request=before)
        box.upsert(self.vendor, stream, rows, before_request=before)

    def run(
        self, box: Sandbox, at: datetime = AFTER, *, state: Any = None, output: Any = None, only: str = "", **more: Any
    ) -> Result:
        """Run the tap once with small pages, and without those settings that it does not have.

        Args:
            box: The vendor.
            at: The run's start.
            state: State to continue from.
            output: Where it writes.
            only: The one stream to read, of details with the list that they share; all of them when empty.
            more: Settings.
        """
        usual = {"page_size": self.small, "concurrency": 2, "max_attempts": 3, **self.settings, **more}
        if "start_date" not in more and at < AFTER:
            usual |= {"start_date": BEGIN.isoformat(), "window": "P1D", "lookback": "PT0S", **more}
        tap = self.tap()
        names = {only} if only else {stream.name for stream in self._types()}
        if only and issubclass(self._stream(only), DetailStream):
            names.add(self._stream(only).listed.name)
        chosen: Any = tuple(_selected(stream) for stream in self._types() if stream.name in names)
        if chosen != tuple(self._types()):
            tap = type(tap.__name__, (tap,), {"stream_types": chosen})
        known = {**tap.settings, **tap.common}
        config = {name: value for name, value in usual.items() if name in known}
        return runs.run(box, tap, config, at=at, state=state, output=output)

    def keys(self, stream: str, result: Result) -> set[Key]:
        """Return the keys of the rows that a run wrote."""
        return {self._key(stream, record) for record in result.records(stream)}

    def held(self, box: Sandbox, stream: str, since: datetime = BEGIN, until: datetime = AFTER) -> Rows:
        """Return the rows that the vendor has in a span, in the form of `form`, by key."""
        name = self.facts()[stream].replication_key
        rows = (row for row in self.expected(box, stream) if not name or since <= instant(row[name]) < until)
        return {self._key(stream, row): self.form(stream, row) for row in rows}

    def form(self, stream: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row or record in the form that both can be compared in: without nulls, its times as instants."""
        times = _times(self.vendor, stream)
        return {name: instant(value) if name in times else value for name, value in row.items() if value is not None}

    def mark(self, stream: str, result: Result) -> datetime | None:
        """Return the bookmark that a run left; of a stream with partitions, the latest of them."""
        entry = ((result.state or {}).get("bookmarks") or {}).get(stream) or {}
        parts = [str(value) for part in entry.get("partitions") or () for value in part["context"].values()]
        found = [bookmark(result.state, stream, part) for part in parts or [""]]
        return max((mark for mark in found if mark), default=None)

    def secrets(self, box: Sandbox) -> list[str]:
        """Return the credentials of the sandbox."""
        config = box.config(self.vendor)
        return [
            str(config[name]) for name, spec in self.tap().settings.items() if spec.get("secret") and name in config
        ]

    def _key(self, stream: str, row: Mapping[str, Any]) -> Key:
        return tuple(row[name] for name in self._stream(stream).primary_keys)

    @classmethod
    def _types(cls) -> list[Any]:
        return [*cls.tap().stream_types]  # the SDK types their facts for instances

    @classmethod
    def _stream(cls, name: str) -> Any:
        return next(stream for stream in cls._types() if stream.name == name)

    def _fault(self, box: Sandbox, kind: str, stream: str, **values: Any) -> None:
        """Put a fault in force for a stream if the vendor knows it; skip the test if not.

        Of a list for each row, the list itself has the fault, and not the parent's one.
        """
        path = str(self._stream(stream).path) if issubclass(self._stream(stream), PerRow) else ""
        values["match"] = "[^/]+".join(map(re.escape, re.split(r"[<{]\w+[>}]", path)))
        probe = self.box()
        self.put(probe, stream, *(BEGIN + n * MINUTE for n in range(1, 9)), **self._on_one_list(stream))
        probe.fault(kind, **values)
        self.run(probe, BEGIN + DAY, only=stream)
        if not probe.faults.fired()[kind]:
            pytest.skip(f"the sandbox's {self.vendor} has nothing in {stream} that {kind} could change")
        box.fault(kind, **values)

    def _on_one_list(self, stream: str) -> dict[str, Any]:
        """Name the parent's row for all rows that are put, where each row of a parent has a list."""
        return {"parent": 1} if issubclass(self._stream(stream), PerRow) else {}

    # -- what it reports of itself-----------------------------------------------------------------

    def test_the_schema_file_is_complete(self, stream: str) -> None:
        """The schema names the keys, types and describes every field, marks no field by half, and closes nothing."""
        facts = self.facts()[stream]
        schema = schemas.load(self.vendor, stream)
        bookmarked = facts.replication_key
        found = schema_file.problems(schema, tap=self.tap().name, stream=stream, keys=facts.keys, bookmark=bookmarked)
        assert not found

    def test_discovery_names_keys_and_bookmark(self, stream: str) -> None:
        """The catalog has the stream with its primary key, its replication key and the fields of its schema file."""
        tap = self.tap()(config=self.box().config(self.vendor))
        entry = next(one for one in tap.catalog_dict["streams"] if one["tap_stream_id"] == stream)
        facts = self.facts()[stream]
        assert tuple(entry["key_properties"]) == tuple(facts.keys)
        assert entry.get("replication_key") == facts.replication_key
        assert entry["schema"]["properties"].keys() == schemas.load(self.vendor, stream)["properties"].keys()

    def test_settings_are_described_and_secrets_marked(self) -> None:
        """Every setting has a sentence; what is named like a secret is marked as one and has no default."""
        for name, spec in self.tap().settings.items():
            assert spec["description"].endswith("."), name
            if re.search(r"token|password|secret|api_?key", name) and spec.get("format") != "file":
                assert spec.get("secret"), f"{name} must be marked with secret"
                assert "default" not in spec, name

    def test_the_test_of_the_tap_reads_a_row(self) -> None:
        """`--test` reports of each stream that it can be read, and of none when the credentials are wrong."""
        for fault, code in ((None, 0), (Fault("status", status=401), 1)):
            box = self.box(20)
            if fault:
                box.faults.add(fault)
            tap = self._quiet(box)
            from trunkline.run.check import test as check

            assert check(tap) == code

    def _quiet(self, box: Sandbox) -> VendorTap:
        from trunkline_sandbox.transport import SandboxAdapter

        known = {**self.tap().settings, **self.tap().common}
        more = {name: value for name, value in self.settings.items() if name in known}
        return self.tap()(
            config={**box.config(self.vendor), **more},
            transport=SandboxAdapter(box, sleep=lambda _: None),
            run_start=AFTER,
        )

    # -- G1 ----------------------------------------------------------------------------------------

    def test_g1_a_first_run_brings_what_the_vendor_has(self, stream: str) -> None:
        """Every row comes with every value and instant, each fits the schema, and none comes that is not there."""
        box = self.box(60)
        result = self.run(box, window="P3D", only=stream)
        assert result.code == 0, result.log
        start = instant(str(box.config(self.vendor).get("start_date", "1970-01-01")) + "T00:00:00Z")
        records = result.records(stream)
        assert {self._key(stream, row): self.form(stream, row) for row in records} == self.held(box, stream, start)
        assert records
        check = Draft202012Validator(schemas.load(self.vendor, stream))
        assert not [error.message for record in records for error in check.iter_errors(record)]

    @pytest.mark.parametrize("window", ["PT1H", "PT3607S", "P1D"])
    def test_g1_no_row_is_lost_on_a_seam(self, dated: str, window: str) -> None:
        """A row on each seam of two windows, and one a hair before and after it, all come."""
        length = {"PT1H": HOUR, "PT3607S": HOUR, "P1D": DAY}[window]
        # Windows are whole minutes, each of them perhaps one shorter for the overlap.
        seams = sorted({BEGIN + n * length - k * MINUTE for n in range(1, 5) for k in range(n + 1)})
        box = self.box()
        self.put(box, dated, *(seam + side for seam in seams for side in (-self.grain, timedelta(0), self.grain)))
        result = self.run(box, seams[-1] + 10 * self.grain + MINUTE, window=window, only=dated)
        assert result.code == 0, result.log
        assert self.keys(dated, result) == self.held(box, dated).keys()

    def test_g1_rows_that_move_between_pages_all_come(self, stream: str) -> None:
        """In any order of the vendor's list, rows that come in while pages are read push none of the others out."""
        orders = next(
            (knob.metadata["choices"] for knob in dataclasses.fields(self._knobs()) if knob.name == "order"), (None,)
        )
        for order in orders:
            box = self.box()
            if order:
                box.knobs(self.vendor, order=order)
            one_list = self._on_one_list(stream)
            self.put(box, stream, *(BEGIN + n * MINUTE for n in range(10, 40)), **one_list)
            steady = self.held(box, stream).keys()
            for n, place in ((2, 1), (3, 50), (5, 2)):
                self.put(box, stream, BEGIN + place * MINUTE, first=900 + n, before=n, **one_list)
            result = self.run(box, BEGIN + DAY, only=stream)
            assert result.code == 0, (order, result.log)
            assert steady <= self.keys(stream, result), order

    def _knobs(self) -> Any:
        return type(self.box().vendors[self.vendor]).knob_sheet

    def test_g1_a_killed_run_goes_on_where_it_was(self, dated: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """After `kill -9` in the middle the next run brings the rest, and reads less than all again."""
        monkeypatch.setattr("trunkline.run.run.STATE_EVERY", 0.0)
        monkeypatch.setattr("trunkline.steps.write.BLOCK", 400)
        box = self.box()
        self.put(box, dated, *(BEGIN + n * 4 * HOUR for n in range(48)))
        size = sum(len(json.dumps(message)) for message in self.run(box, BEGIN + 9 * DAY, only=dated).messages)
        requests = len(box.requests)
        box.requests.clear()
        first = self.run(box, BEGIN + 9 * DAY, output=Output(size * 2 // 3, killed), only=dated)
        assert first.code is None
        assert first.state
        box.requests.clear()
        second = self.run(box, BEGIN + 9 * DAY, state=first.state, only=dated)
        assert second.code == 0, second.log
        assert self.keys(dated, first) | self.keys(dated, second) == self.held(box, dated).keys()
        assert len(box.requests) < requests

    # -- G2 ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", NO_ANSWER)
    def test_g2_an_answer_that_is_none_is_never_no_records(self, kind: str) -> None:
        """A body that is not the vendor's own envelope fails the run after its tries."""
        box = self.box()
        box.fault(kind, headers=AGAIN if kind == "status" else {})
        result = self.run(box, BEGIN + DAY)
        assert result.code == 1, result.log
        assert len(box.requests) > 1, "nothing was tried again"
        assert not result.of("RECORD")
        assert not [line for line in result.log if ": complete" in line], "a stream was called complete"

    @pytest.mark.parametrize("by", [1, -1])
    def test_g2_a_total_that_lies_fails_the_stream(self, stream: str, by: int) -> None:
        """Rows that twice do not add up to the vendor's total fail the run, and the bookmark stays."""
        box = self.box()
        self._fault(box, "wrong_total", stream, by=by)
        self.put(box, stream, *(BEGIN + n * HOUR for n in range(8)))
        result = self.run(box, BEGIN + DAY, only=stream)
        assert result.code == 1
        assert self.mark(stream, result) is None

    def test_g2_an_ignored_filter_fails_the_stream(self, dated: str) -> None:
        """Rows far outside the requested span show that the vendor did not filter: an error, never a bookmark."""
        stream = self._stream(dated)
        if getattr(getattr(stream, "listed", stream), "filter_tolerance", None) is None:
            pytest.skip("no row of this stream can show it: its filter may look at another time")
        box = self.box()
        box.fault("ignore_filter")
        self.put(box, dated, BEGIN + HOUR, BEGIN - 40 * DAY, BEGIN + 40 * DAY)
        result = self.run(box, BEGIN + 2 * DAY, page_size=50, only=dated)
        if not box.faults.fired()["ignore_filter"]:
            pytest.skip(f"the sandbox's {self.vendor} has no filter that could be ignored")
        assert result.code == 1
        assert self.mark(dated, result) is None
        assert any("filter" in line for line in result.log)

    def test_g2_a_page_that_repeats_is_an_error(self, stream: str) -> None:
        """A server that repeats each page with the one before is caught, and soon."""
        box = self.box()
        self._fault(box, "repeat_page", stream)
        self.put(box, stream, *(BEGIN + n * MINUTE for n in range(30)), **self._on_one_list(stream))
        result = self.run(box, BEGIN + DAY, only=stream)
        assert result.code == 1
        assert self.mark(stream, result) is None
        assert len(box.requests) < 60

    def test_g2_a_cursor_that_repeats_is_an_error(self, chained: str) -> None:
        """A server whose page names itself as the next one is caught, and soon."""
        box = self.box()
        if "cursor" not in {knob.name for knob in dataclasses.fields(self._knobs())}:
            pytest.skip(f"the sandbox's {self.vendor} has no knob for its cursors")
        box.knobs(self.vendor, cursor="same")
        self.put(box, chained, *(BEGIN + n * MINUTE for n in range(30)), **self._on_one_list(chained))
        result = self.run(box, BEGIN + DAY, only=chained)
        assert result.code == 1
        assert self.mark(chained, result) is None
        assert len(box.requests) < 60

    # -- G3 ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("lookback", "rows"), [("P7D", 2), ("PT0S", 1), ("P99D", 3)])
    def test_g3_a_second_run_reads_the_lookback_and_no_more(self, dated: str, lookback: str, rows: int) -> None:
        """The next run reads from the bookmark less the lookback on, and the bookmark stays."""
        box = self.box()
        self.put(box, dated, BEGIN + HOUR, BEGIN + 3 * DAY, BEGIN + 9 * DAY)
        first = self.run(box, BEGIN + 10 * DAY, only=dated)
        second = self.run(box, BEGIN + 10 * DAY, state=first.state, lookback=lookback, only=dated)
        assert first.code == second.code == 0, second.log
        assert len(self.keys(dated, second)) == rows
        assert self.mark(dated, second) == self.mark(dated, first) == BEGIN + 9 * DAY

    def test_g3_empty_windows_do_not_move_the_bookmark(self, dated: str) -> None:
        """Weeks without a row leave the bookmark at the last row: what comes late in them is still read."""
        box = self.box()
        self.put(box, dated, BEGIN + 7 * HOUR)
        first = self.run(box, BEGIN + 40 * DAY, only=dated)
        assert self.mark(dated, first) == BEGIN + 7 * HOUR
        self.put(box, dated, BEGIN + 20 * DAY, first=200)
        second = self.run(box, BEGIN + 41 * DAY, state=first.state, only=dated)
        assert self.mark(dated, second) == BEGIN + 20 * DAY

    # -- G4, G6 ------------------------------------------------------------------------------------

    def test_g4_the_output_is_the_same_for_any_concurrency(self) -> None:
        """SCHEMA, RECORD and the last STATE of a serial run come out of a concurrent one."""
        serial, concurrent = (self.run(self.box(60), concurrency=n) for n in (1, 8))
        assert serial.code == concurrent.code == 0
        assert self._lines(serial) == self._lines(concurrent)

    def test_g4_faults_that_pass_leave_no_trace_in_the_output(self) -> None:
        """503, 429, a reset connection, a page of HTML and half a response change neither the rows nor their order."""
        box = self.box(60)
        box.faults.add(*PASSING)
        troubled = self.run(box, concurrency=8, max_attempts=50)
        assert troubled.code == 0, troubled.log
        assert sum(box.faults.fired().values()) > 2
        assert self._lines(troubled) == self._lines(self.run(self.box(60), concurrency=1))

    @staticmethod
    def _lines(result: Result) -> tuple[list[str], Any]:
        kept = [runs.timeless(m) for m in result.messages if m["type"] in {"SCHEMA", "RECORD"}]
        return [json.dumps(message) for message in kept], result.state

    def test_g6_wrong_credentials_are_tried_once(self) -> None:
        """A 401 ends the tap without another try, and names what to check."""
        box = self.box()
        box.fault("status", status=401)
        result = self.run(box)
        assert result.code == 1
        assert len(box.requests) == 1
        assert self.tap().hints.get(401, "Check the credentials") in " ".join(result.log)

    # -- G7 ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["echo_secret", "redirect"])
    def test_g7_credentials_appear_nowhere(self, kind: str, tmp_path: Path) -> None:
        """The command shows no credential in output, state or log, also when the vendor echoes or redirects."""
        box, probe = self.box(5), self.box(5)
        self.run(probe)
        box.fault(kind, after=min(1, len(probe.requests) - 1))  # a table of one page is one request
        with running(box) as served:
            config = tmp_path / "config.json"
            known = {**self.tap().settings, **self.tap().common}
            more = {
                name: value
                for name, value in {"page_size": 1, "requests_per_minute": 1e6, **self.settings}.items()
                if name in known
            }
            config.write_text(json.dumps({**served.config(self.vendor), **more}), encoding="utf-8")
            done = subprocess.run(  # noqa: S603 - the tap's own command, in this interpreter
                [sys.executable, "-c", self._command(), "--config", str(config)],
                env={**os.environ, "LOGLEVEL": "DEBUG", "PYTHONPATH": os.pathsep.join(sys.path)},
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 1, done.stderr
        sent = {entry.headers.get("authorization", "").rpartition(" ")[2] for entry in box.requests}
        for secret in {*self.secrets(box), *sent} - {""}:
            assert secret not in done.stdout + done.stderr

    def _command(self) -> str:
        tap = self.tap()
        return f"from {tap.__module__} import {tap.__name__} as tap; tap.cli()"

    @pytest.mark.parametrize("pii", ["hash", "drop"])
    def test_g7_personal_fields_leave_as_configured(self, stream: str, pii: str) -> None:
        """Fields marked as personal are hashed or dropped, personal keys are hashed, and all others stay."""
        clear, changed = (
            self.run(self.box(12), only=stream, pii=mode, pii_key="a key of the test").records(stream)
            for mode in ("clear", pii)
        )
        properties = schemas.load(self.vendor, stream)["properties"]
        marked = {name for name, spec in properties.items() if personal.mark_of(spec)}
        assert clear
        assert len(clear) == len(changed)
        for before, after in zip(clear, changed, strict=True):
            for name, value in before.items():
                if name not in marked and not _holds_marks(properties[name]):
                    assert after[name] == value, name
                elif isinstance(value, str):
                    assert after[name] != value, name
                    assert (after[name] is None) == (pii == "drop" and name not in self.facts()[stream].keys), name

    # -- G9, G10 -----------------------------------------------------------------------------------

    def test_g9_a_wrong_config_names_each_setting_and_no_value(self) -> None:
        """Missing, misspelt and wrongly typed settings are a line each, before the first request."""
        box = self.box()
        whole = box.config(self.vendor)
        for name in self.tap().required:
            if "default" not in self.tap().settings[name]:
                with pytest.raises(ConfigInvalid) as caught:
                    self.tap()(config={key: value for key, value in whole.items() if key != name})
                assert any(line.startswith(f"{name} is missing") for line in caught.value.errors)
        with pytest.raises(ConfigInvalid) as caught:
            self.tap()(config={**whole, "concurency": 3, "max_attempts": "sesame"})
        lines = caught.value.errors
        assert any("did you mean concurrency?" in line for line in lines)
        assert any(line.startswith("max_attempts must be") for line in lines)
        assert "sesame" not in "".join(lines)

    def test_g9_the_sandboxs_config_is_right(self) -> None:
        """The part of the sandbox gives a config that the tap takes as it stands."""
        schema = self.tap().config_jsonschema
        assert common_settings.errors(self.box().config(self.vendor), schema) == []

    @pytest.mark.parametrize("policy", ["keep", "drop", "fail"])
    def test_g10_unknown_fields(self, stream: str, policy: str) -> None:
        """A field that the schema does not name is kept in `_extra`, dropped with a word, or an error with its name."""
        box = self.box()
        self.put(box, stream, BEGIN + HOUR, Nouveauté={"a": 1})
        result = self.run(box, BEGIN + DAY, unknown_fields=policy, only=stream)
        assert any("Nouveauté" in line for line in result.log), "the sandbox must serve fields that it does not know"
        assert result.code == (1 if policy == "fail" else 0)
        expected = {"keep": [{"Nouveauté": {"a": 1}}], "drop": [None], "fail": []}[policy]
        assert [record["_extra"] for record in result.records(stream)] == expected


_installed = functools.cache(vendor_taps)  # each look reads the metadata of every installed package


@functools.cache
def _times(vendor: str, stream: str) -> frozenset[str]:
    """Return the fields of a stream that are instants; kept, as they are needed for each row."""
    properties = schemas.load(vendor, stream)["properties"]
    return frozenset(name for name, spec in properties.items() if spec.get("format") == "date-time")


def _selected(stream: Any) -> Any:
    """Return a stream that is read without a catalog too, also where it is selected only on purpose."""
    return stream if stream.selected_by_default else type(stream.__name__, (stream,), {"selected_by_default": True})


def _holds_marks(spec: Mapping[str, Any]) -> bool:
    """Return whether something inside of a field is personal."""
    return any("x-personal" in node for _, node in schema_file.walk({"properties": {"it": spec}}))


__all__ = ["AFTER", "BEGIN", "Contract"]
