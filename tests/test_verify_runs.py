"""`trunkline verify` over what taps and loaders really write: every tap, twice, and what may happen in between."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import io
import json
import subprocess
from contextlib import redirect_stdout
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from bench import environments
from tests.model.histories import History
from tests.night import NIGHT, at_night

from trunkline.doors import docs
from trunkline.doors.vendors import vendor_taps
from trunkline_commands import cli
from trunkline_contract import runs
from trunkline_duckdb import TargetDuckDB
from trunkline_sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

TAPS = vendor_taps("trunkline")
FIRST, SECOND = (datetime(2026, 1, day, 12, tzinfo=timezone.utc) for day in (20, 22))


LISTS = {
    "studio_calls": "start_time",
    "dialer_calls": "start_time",
    "agents": "",
    "queues": "",
    "centers": "",
    "branches": "",
    "cdr_dialogs": "hangup_time",
}
"""Streams that show deletions, with their time; the deletion of a call takes its detail along."""


class Account:
    """A vendor of the sandbox, and a file that its tap is loaded into.

    Args:
        folder: Where the file is.
        vendor: The vendor.
        config: Settings of the tap.
    """

    def __init__(self, folder: Path, vendor: str, **config: Any) -> None:
        self.box, self.vendor, self.config = Sandbox(size=60, days=20), vendor, config
        self.path = folder / "calls.duckdb"
        self.state: dict[str, Any] | None = None

    def run(self, at: datetime) -> list[str]:
        """Run the tap once from the last run's state; returns what it wrote."""
        done = runs.run(self.box, TAPS[self.vendor], self.config, at=at, state=self.state)
        assert done.code == 0, done.log[-5:]
        self.state = done.state
        return [json.dumps(message) for message in done.messages]

    def load(self, at: datetime) -> Account:
        """Run the tap and load what it wrote."""
        with redirect_stdout(io.StringIO()):
            text = io.StringIO("\n".join(self.run(at)) + "\n")
            TargetDuckDB(config={"path": str(self.path), "default_target_schema": "held"}).listen(text)
        return self

    def verify(self, *options: str) -> int:
        """Exit code of the command."""
        return cli.run(["verify", "--tap", f"tap-{self.vendor}", "--database", f"duckdb:///{self.path}", *options])

    def said(self, capsys: pytest.CaptureFixture[str]) -> str:
        """What the command prints."""
        capsys.readouterr()
        self.verify()
        return capsys.readouterr().out

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Do something to the file that only another program would."""
        with duckdb.connect(str(self.path)) as held:
            return held.execute(statement).fetchall()


def table(out: str) -> dict[str, list[str]]:
    """The lines of the streams, by name: spans, rows proven, held, missing, surplus, deleted, verdict."""
    lines = [line.split(None, 7) for line in out.splitlines()]
    return {stream: cells for stream, *cells in lines if cells[0].replace(",", "").isdigit()}


@pytest.mark.parametrize("vendor", TAPS)
def test_g1_two_runs_of_every_tap_make_no_difference(
    tmp_path: Path, vendor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the first run everything agrees; after the second nothing differs, whatever was read again in part."""
    account = Account(tmp_path, vendor).load(FIRST)
    assert account.verify() == 0
    first = table(capsys.readouterr().out)
    assert {cells[-1] for cells in first.values()} == {"agrees"}, first
    wanted = {facts.name for facts in docs.stream_facts(TAPS[vendor]) if facts.selected}
    assert set(first) == wanted - {"window_proofs"}
    account.load(SECOND)
    assert account.verify() == 0
    assert account.verify("--deleted") == 0


@pytest.mark.parametrize("vendor", TAPS if NIGHT else ["hostedsuite"])
def test_g1_a_row_less_of_any_stream_is_found(tmp_path: Path, vendor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Out of each table one row is taken at random: each of the streams differs by one."""
    account = Account(tmp_path, vendor).load(FIRST)
    for stream in table(account.said(capsys)):
        account.query(f"DELETE FROM held.{stream} WHERE rowid = (SELECT min(rowid) + 1 FROM held.{stream})")
    assert account.verify() == 3
    found = table(capsys.readouterr().out)
    assert {stream: cells[3] for stream, cells in found.items()} == dict.fromkeys(found, "1")


@pytest.mark.parametrize("vendor", TAPS if NIGHT else ["evolux", "switchtransact"])
def test_g2_what_the_vendor_deletes_is_listed_and_nothing_else(
    tmp_path: Path, vendor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between two runs the newest row of each list goes, and others change: the first of these alone are gone."""
    account = Account(tmp_path, vendor).load(FIRST)
    wanted = set()
    for stream in [stream for stream in table(account.said(capsys)) if stream in LISTS]:
        rows = account.box.truth(vendor, stream)
        time = LISTS[stream]
        held = [row for row in rows if not time or str(row[time]) < "2026-01-20"]
        assert account.box.delete(vendor, stream, held[-1:]) == 1
        wanted.add(stream)
    account.load(SECOND)
    assert account.verify() == 0
    capsys.readouterr()
    assert account.verify("--deleted", "--most", "100") == (3 if wanted else 0)
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "last read" in line]
    assert sorted(listed) == sorted(wanted | ({"studio_cdr"} if "studio_calls" in wanted else set()))


def test_g2_hashed_keys_are_keys(tmp_path: Path) -> None:
    """Under `pii: hash` what is loaded agrees, as a key is hashed alike in each run."""
    account = Account(tmp_path, "bspk", pii="hash", pii_key="a key of some length").load(FIRST).load(SECOND)
    assert account.verify() == 0


def test_g2_a_stream_map_that_renames_can_not_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stream under another name has no table of its own name; the others agree."""
    account = Account(tmp_path, "evolux", stream_maps={"studio_calls": {"__alias__": "telephony"}}).load(FIRST)
    assert account.verify() == 0
    out = capsys.readouterr().out
    assert "can't tell: schema held has no table studio_calls" in out
    assert table(out)["queue_calls"][-1] == "agrees"


class Loaded(History):
    """A history of a tap, all of whose messages that came to the target are kept."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lines: list[str] = []

    def _deliver(self, result: runs.Result, count: int) -> None:
        super()._deliver(result, count)
        self.lines += [json.dumps(message) for message in result.messages[:count] if message["type"] != "STATE"]


HISTORIES = {"bspk": 60, "hostedsuite": 60, "conpeek": 30, "evolux": 40, "switchtransact": 20}
"""At night; by day one of each."""


@pytest.mark.parametrize("vendor", HISTORIES)
def test_g2_the_histories_of_taps_make_no_difference(
    tmp_path: Path, vendor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows come late, change and shift, runs are disturbed, killed and go on: nothing differs, and no row is gone."""
    for number in range(HISTORIES[vendor] if NIGHT else 1):
        history, path = Loaded(f"{vendor}/{number}"), tmp_path / f"{number}.duckdb"
        history.play()
        with redirect_stdout(io.StringIO()):
            text = io.StringIO("".join(f"{line}\n" for line in history.lines))
            TargetDuckDB(config={"path": str(path), "default_target_schema": "held"}).listen(text)
        account = Account(tmp_path, vendor)
        account.path = path
        codes = [account.verify(), account.verify("--deleted", "--most", "100")]
        out = capsys.readouterr()
        unproven = "has a table window_proofs" in out.err or "are about no stream of" in out.err
        assert codes == [0, 0] or unproven, f"{vendor}/{number}:\n{out.out}{out.err}"


@at_night("installs the published target-duckdb")
def test_g1_a_loader_that_drops_rows_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The published target-duckdb 0.8.0 leaves out the first row of tables that are all text."""
    account = Account(tmp_path, "hostedsuite")
    (tmp_path / "target.json").write_text(json.dumps({"path": str(account.path), "default_target_schema": "held"}))
    command = [environments.program("published", "target-duckdb"), "--config", str(tmp_path / "target.json")]
    subprocess.run(command, input="\n".join(account.run(FIRST)) + "\n", text=True, check=True, capture_output=True)
    assert account.verify() == 3
    found = table(capsys.readouterr().out)
    assert {stream: cells[3] for stream, cells in found.items()} == dict.fromkeys(found, "1")
