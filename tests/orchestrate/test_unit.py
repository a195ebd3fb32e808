"""The unit of work with real taps, a real target and the sandbox's vendors: done once, whole, and gone on from."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from tests.orchestrate.conftest import SPAN
from trunkline_orchestrate import __main__ as command
from trunkline_orchestrate import bookmarks, pipe, unit
from trunkline_orchestrate.errors import Busy, SettingsInvalid, UnitFailed
from trunkline_orchestrate.plan import Unit

from trunkline_contract import warehouse
from trunkline_sandbox import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_orchestrate.sources import Settings

    from trunkline_sandbox import Running

    Make = Callable[..., Settings]
    Config = Callable[[str], dict[str, Any]]

VENDOR = "hostedsuite"
TIMES = {"calls": "StartTime", "charges": "DateLastModified", "reservations": "DateLastModified"}
"""The replication key of each stream that has one."""
NEW = {"Id": "6970a0a0a0a0a0a0a0a0a0a0", "StartTime": "2026-01-21T09:10:11Z"}


@pytest.mark.slow
def test_g1_g3_backfill_is_whole_and_the_next_run_goes_on_from_it(settings: Make, tmp_path: Path) -> None:
    """A unit that failed is run again, one that is done is not; the plain run then reads the lookback and no more."""
    with running(size=60) as served:
        made = settings({VENDOR: {**served.config(VENDOR), "max_attempts": 1}})
        first, second = unit.planned(made, VENDOR)
        served.sandbox.fault("status", status=503, times=1, after=4)
        with pytest.raises(UnitFailed, match=r"the tap ended with exit code 1: .*503"):
            unit.run(made, first)
        assert unit.finished(made, first) is None
        later = unit.run(made, second)
        assert bookmarks.set_file(made, VENDOR) == {}, "what the first unit holds would be behind the bookmark"
        assert unit.run(made, first).ran
        served.sandbox.requests.clear()
        assert unit.run(made, first) == unit.finished(made, first)
        assert not len(served.sandbox.requests)
        held = warehouse.duckdb_rows(tmp_path / "calls.duckdb", VENDOR, "calls")
        assert held == warehouse.expected(served.sandbox, VENDOR, "calls")

        spans = proven(tmp_path, "calls")
        assert (spans[0][0], spans[-1][1]) == (first.since, second.until)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))

        state = bookmarks.set_file(made, VENDOR)
        assert state == later.state
        last = max(row["StartTime"] for row in held.values())
        marks = {stream: mark.at for (stream, _), mark in bookmarks.marks(state).items()}
        assert marks == {name: latest(served, tmp_path, name) for name in TIMES}
        assert marks["calls"] == last

        served.sandbox.upsert(VENDOR, "calls", [{**served.sandbox.truth(VENDOR, "calls")[-1], **NEW}])
        result = unit.plain(made, VENDOR, until=datetime(2026, 2, 1, tzinfo=timezone.utc))
        held = warehouse.duckdb_rows(tmp_path / "calls.duckdb", VENDOR, "calls")
        assert held == warehouse.expected(served.sandbox, VENDOR, "calls")
        since = last - made.source(VENDOR).lookback
        assert sum(row["StartTime"] >= since for row in held.values()) < len(held)
        assert result.rows == sum(
            name not in TIMES or row[TIMES[name]] >= marks[name] - made.source(VENDOR).lookback
            for vendor, name in warehouse.LOADED
            if vendor == VENDOR
            for row in warehouse.duckdb_rows(tmp_path / "calls.duckdb", VENDOR, name).values()
        )
        assert earliest_asked(served) == since
        assert bookmarks.marks(result.state) == bookmarks.marks(unit.read(made.folder / VENDOR / "state.json") or {})
        _nowhere(made.folder, served.config(VENDOR)["password"])


def proven(folder: Path, stream: str) -> list[tuple[datetime, datetime]]:
    """The spans of a stream that the units have proven, in order."""
    with duckdb.connect(str(folder / "calls.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT epoch_us(since), epoch_us(until) FROM tap_hostedsuite.window_proofs WHERE stream = ? "
            "ORDER BY 1",
            [stream],
        ).fetchall()
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return [(epoch + timedelta(microseconds=since), epoch + timedelta(microseconds=until)) for since, until in rows]


def latest(served: Running, folder: Path, stream: str) -> datetime:
    """Where the bookmark of a stream stands: at the latest row that the vendor has."""
    held = warehouse.duckdb_rows(folder / "calls.duckdb", VENDOR, stream)
    assert held == warehouse.expected(served.sandbox, VENDOR, stream)
    found: datetime = max(row[TIMES[stream]] for row in held.values())
    return found


def earliest_asked(served: Running) -> datetime:
    calls = [entry for entry in served.sandbox.requests.of(VENDOR) if entry.path.endswith("/calls")]
    dates = [json.loads(entry.body)["StartDate"] for entry in calls]
    return min(warehouse.instant(date) for date in dates)


def _nowhere(folder: Path, secret: str) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_g7_credentials_the_vendor_echoes_stand_in_no_log_and_no_error(settings: Make) -> None:
    """A vendor that repeats the credentials in its error gets them into nothing that is kept or told."""
    with running(size=20) as served:
        made = settings({"evolux": {**served.config("evolux"), "max_attempts": 1}})
        token = served.config("evolux")["api_token"]
        served.sandbox.fault("echo_secret")
        with pytest.raises(UnitFailed) as caught:
            unit.run(made, unit.planned(made, "evolux")[0])
        assert token not in str(caught.value)
        _nowhere(made.folder, token)


def test_one_process_at_a_time_is_at_a_unit(settings: Make, config: Config) -> None:
    """A unit that another process is at is not started a second time."""
    made = settings({"bspk": config("bspk")})
    one = unit.planned(made, "bspk")[0]
    with (
        unit.locked(made.folder / "bspk" / "units" / f"{one.key}.lock", "the unit"),
        pytest.raises(Busy, match="another process is at it"),
    ):
        unit.run(made, one)


def test_first_unit_of_a_vendor_runs_alone(settings: Make, config: Config) -> None:
    """Until a vendor's first unit is done its units wait for each other, or each would make the tables."""
    made = settings({"bspk": config("bspk")})
    first = made.folder / "first-bspk.lock"
    with unit._first(made, made.source("bspk")):  # noqa: SLF001 - the rule itself
        with pytest.raises(Busy), unit.locked(first, "x"):
            pass
        unit.store(made.folder / "bspk" / "units" / "one.json", {})
        with unit._first(made, made.source("bspk")):  # noqa: SLF001 - same
            pass
    with unit._first(made, made.source("bspk")), unit.locked(first, "x"):  # noqa: SLF001 - same
        pass


def test_lock_outlives_a_killed_caller(tmp_path: Path) -> None:
    """What a killed caller had started holds its lock: the unit does not run twice at once."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(unit.__file__).parents[1])!r})
from pathlib import Path
from trunkline_orchestrate import pipe, unit
here = Path({str(tmp_path)!r})
stays = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
tells = "import sys; print(sys.stdin.readline(), file=sys.stderr, flush=True); sys.stdin.read()"
with unit.locked(here / "lock", "x") as lock:
    pipe.run([sys.executable, "-c", stays], [sys.executable, "-c", tells], tap_log=here / "tap",
             target_log=here / "target", environment=dict(os.environ), keep=[lock.fileno()])
"""
    caller = subprocess.Popen([sys.executable, "-c", script])
    while not (tmp_path / "target").exists() or not (tmp_path / "target").read_text().strip():
        assert caller.poll() is None
    caller.kill()
    caller.wait()
    with pytest.raises(Busy), unit.locked(tmp_path / "lock", "x"):
        pass
    os.kill(int((tmp_path / "target").read_text()), signal.SIGKILL)


def test_g7_a_killed_unit_leaves_no_secret_on_the_disk(config: Config, tmp_path: Path) -> None:
    """The programs run with their settings, the caller is killed: no file in any of its folders holds the token."""
    (tmp_path / "temporary").mkdir()
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nfor last; do :; done\ngrep -c a-to[k]en "$last" >&2\necho $$ >&2\nexec sleep 60\n')
    program.chmod(0o700)
    script = f"""
import json, sys
sys.path.insert(0, {str(Path(unit.__file__).parents[1])!r})
from trunkline_orchestrate import pipe, sources, unit
pipe.command = lambda _: {str(program)!r}
made = sources.of(json.loads(sys.argv[1]))
unit.run(made, unit.planned(made, "bspk")[0])
"""
    raw = {
        "folder": str(tmp_path / "backfill"),
        "target": {"command": ["any"], "config": {"password": "a-token"}},
        "sources": {"bspk": {"config": {**config("bspk"), "auth_token": "a-token"}}},
        **SPAN,
    }
    caller = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(raw)], env={**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    )
    pids: list[int] = []
    while len(pids) < 2:
        assert caller.poll() is None
        said = [path.read_text().split() for path in tmp_path.glob("backfill/bspk/logs/*.log")]
        pids = [int(words[1]) for words in said if len(words) == 2]
    caller.kill()
    caller.wait()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert all(words[0] == "1" for words in said)  # their settings had come
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"a-token" in path.read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are looked up in /proc")
def test_tap_and_target_hold_the_lock_of_their_unit(
    settings: Make, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both programs of a unit inherit its lock, and end with it."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nls -l /proc/$$/fd >&2\n")
    program.chmod(0o700)
    monkeypatch.setattr(pipe, "command", lambda _: str(program))
    made = settings({"bspk": config("bspk")})
    one = unit.planned(made, "bspk")[0]
    unit.run(made, one)
    for name in ("tap", "target"):
        log = made.folder / "bspk" / "logs" / f"{one.key}.{name}.log"
        assert f"{one.key}.lock" in log.read_text(encoding="utf-8")


def test_units_stay_the_same_when_the_plan_is_made_again(settings: Make, config: Config) -> None:
    """Without `until` a plan ends where it ended when it was first made; other settings need another folder."""
    made = settings({"bspk": config("bspk")}, until=None)
    early, late = (datetime(2026, 2, day, tzinfo=timezone.utc) for day in (1, 20))
    assert unit.planned(made, "bspk", early) == unit.planned(made, "bspk", late)
    other = settings({"bspk": {**config("bspk"), "client_ids": ["7"]}}, until=None)
    with pytest.raises(SettingsInvalid, match="other settings"):
        unit.planned(other, "bspk", late)


def test_units_of_a_source_share_the_vendors_limit(settings: Make, config: Config) -> None:
    """Two units at once ask half as often each; a unit of one campaign asks for that one, in its own span."""
    account = {**config("bspk"), "requests_per_minute": 601}
    target = {"command": ["target-postgres"]}
    sources: dict[str, Any] = {
        "bspk": {"config": account, "limit": 2},
        "conpeek": {"config": config("conpeek"), "limit": 2},
    }
    made = settings({}, sources=sources, target=target)
    first = unit.planned(made, "bspk")[0]
    asked = unit.unit_config(made.source("bspk"), first)
    assert asked["requests_per_minute"] == 300
    assert (asked["start_date"], asked["end_date"]) == ("2026-01-01T00:00:00+00:00", "2026-01-10T00:00:00+00:00")
    last = unit.planned(made, "conpeek")[-1]
    alone = unit.unit_config(made.source("conpeek"), last)
    assert alone["voice_campaign_ids"] == [last.partition]
    assert "requests_per_minute" not in alone
    del account["requests_per_minute"]
    with pytest.raises(SettingsInvalid, match="30 requests in any 10 s"):
        settings({}, sources=sources, target=target)


def test_state_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """A state file is replaced at once and leaves nothing beside it; one that can't be read is told, not overlooked."""
    path = tmp_path / "units" / "one.json"
    unit.store(path, {"a": 1})
    unit.store(path, {"a": 2})
    assert unit.read(path) == {"a": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["one.json"]
    path.write_text("{")
    with pytest.raises(SettingsInvalid, match=r"one\.json can't be read"):
        unit.read(path)


def test_command_lists_what_is_still_to_be_done(
    settings: Make, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan` prints a line for each unit that is not done; what is wrong goes to standard error, with exit code 1."""
    made = settings({"bspk": config("bspk")})
    done, left = unit.planned(made, "bspk")
    started = datetime(2026, 3, 1, tzinfo=timezone.utc)
    result = unit.Result(3, 1.0, {"bookmarks": {}}, started)
    unit.store(made.folder / "bspk" / "units" / f"{done.key}.json", {"unit": done.to_json(), **result.to_json()})
    raw = {
        "folder": str(made.folder),
        "target": {"command": list(made.target.command), "config": made.target.config},
        "sources": {"bspk": {"config": config("bspk")}},
        "workers": 1,
        "since": "2026-01-01",
        "until": "2026-01-18",
        "span": "P9D",
    }
    file = tmp_path / "backfill.json"
    file.write_text(json.dumps(raw), encoding="utf-8")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert command.main(["--settings", str(file), "plan"]) == 0
        assert capsys.readouterr().out.splitlines() == [f"bspk {left.key}"]
        assert command.main(["--settings", str(file), "unit", "bspk", done.key]) == 0
        assert "done before (3 rows)" in capsys.readouterr().out
        assert command.main(["--settings", str(file), "unit", "bspk", "nosuch"]) == 1
        assert "there is no unit 'nosuch'" in capsys.readouterr().err
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert Unit.from_json((unit.read(made.folder / "bspk" / "units" / f"{done.key}.json") or {})["unit"]) == done


def test_check_says_that_a_vendor_can_be_read(tmp_path: Path) -> None:
    """A line for each source; without one nobody knows whether anything was asked."""
    with running(size=5, vendors=["bspk"]) as served:
        raw = {"target": {"command": ["cat"]}, "sources": {"bspk": {"config": served.config("bspk")}}}
        file = tmp_path / "backfill.json"
        file.write_text(json.dumps(raw), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "trunkline_orchestrate", "--settings", str(file), "check"],
            env={**os.environ, "PYTHONPATH": str(Path(unit.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "bspk: ok, the vendor can be read\n"), done.stderr
