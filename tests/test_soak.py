"""The soak: a short one through the real commands, and that its judge notices what it is there to notice."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.night import at_night
from tools.soak import box, faults, held, leaks, one_run, whole

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "tools.soak"]
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")


# -- the whole of it ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@at_night("some twenty runs")
def test_g1_g7_a_short_soak_loses_doubles_and_shows_nothing(tmp_path: Path) -> None:
    """Five taps under faults and kills leave what the vendors hold, field by field, and no credential anywhere."""
    options = ["--seconds", "2", "--size", "12", "--seed", "3", "--keep", str(tmp_path / "kept")]
    done = subprocess.run([*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [re.split(r" *\| *", line.strip("| ")) for line in done.stdout.splitlines() if line.startswith("| ")]
    head, vendors = lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[1:6]]
    assert {"runs", "kill -9 of tap/target/both", "requests", "faults", "rows", "verdict"} <= set(head)
    assert {line["verdict"] for line in vendors} == {"well"}
    assert sum(int(n) for line in vendors for n in line["kill -9 of tap/target/both"].split("/")) > 0
    assert sum(int(line["faults"]) for line in vendors) > 0
    assert all(int(line["rows"]) >= 12 for line in vendors)


@LINUX
def test_an_interrupted_soak_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGINT ends it soon and by that signal; no process of its own lives on, and its folder is gone."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([*COMMAND, "--size", "5"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    wait_for(lambda: bool(list(tmp_path.glob("*/*/0001/tap.log"))))
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == -signal.SIGINT
    assert not list(tmp_path.iterdir())
    assert not [one for one in processes() if str(tmp_path) in one]


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes() -> list[str]:
    """The command lines of all processes."""
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


# -- one run -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`watched("sleep 9", "cat", kill)`: how a run of these two shell scripts ends; its state is `tmp_path/state`."""

    def go(tap: str, target: str, kill: Any = None) -> Any:
        for name, script in (("tap-x", tap), ("target-duckdb", target)):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setattr(one_run, "BIN", tmp_path)
        run = one_run.Run(box.Children(), "x", tmp_path / "run", tmp_path / "state", ({}, {}), debug=False)
        return run.watch(kill, threading.Event())

    return go


def test_only_a_whole_line_is_an_acknowledged_state(watched: Callable[..., Any], tmp_path: Path) -> None:
    """A target that was cut off in the middle of a state has not acknowledged it."""
    ended = watched(
        'echo \'{"type": "STATE"}\'', "echo '{\"at\": 1}'; echo '{\"at\": 2}'; printf '{\"at\"'; cat > /dev/null"
    )
    assert ended.codes == (0, 0)
    assert (tmp_path / "state").read_text() == '{"at": 2}\n'


@pytest.mark.parametrize(
    ("who", "number", "codes"),
    [("tap", 9, (137, 0)), ("target", 9, (0, 137)), ("both", 9, (137, 137)), ("tap", 15, (143, 0))],
)
def test_a_signal_reaches_the_process_it_is_for(
    watched: Callable[..., Any], who: str, number: int, codes: tuple[int, int]
) -> None:
    """A killed tap shows as 137 or 143, and so does a killed target; the other one ends by itself."""
    sleeping, ending = "exec sleep 60", "exec cat > /dev/null"
    scripts = (sleeping if who != "target" else "sleep 0.3", ending if who == "tap" else sleeping)
    ended = watched(*scripts, one_run.Kill(who, signal.Signals(number), 0.1))
    assert ended.codes == codes
    assert ended.kill.sent
    assert one_run.forbidden(ended) == []


@LINUX
def test_memory_is_that_of_the_program_itself() -> None:
    """What the parent holds when it starts a program is not counted as the program's, what the program held is."""
    held = bytearray(os.urandom(1 << 20)) * 150
    script = "import sys; del [b'x' * 60_000_000][:]; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    peak = one_run.peak_of(process)
    process.communicate()
    assert 55_000 < peak < len(held) // 1024
    assert one_run.peak_of(process) == 0


# -- the judge ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({("a",): {"n": 1}, ("b",): {"n": 2}}, []),
        ({("a",): {"n": 1}}, ["1 rows are lost: ('b',)"]),
        ({("a",): {"n": 1}, ("b",): {"n": 2}, ("c",): {}}, ["1 rows are not the vendor's: ('c',)"]),
        (
            {("a",): {"n": 1}, ("b",): {"n": 3}},
            ["1 rows have other values than the vendor's", "('b',): n: vendor 2, file 3"],
        ),
    ],
)
def test_a_lost_an_extra_and_a_changed_row_are_noticed(rows: Any, says: list[str]) -> None:
    """Each is told with its key, a changed one with both values."""
    truth = {("a",): {"n": 1}, ("b",): {"n": 2}}
    assert held.differences(truth, rows) == says


def test_what_a_state_stands_behind_is_what_came_before_it(tmp_path: Path) -> None:
    """The records before the last whole state count as acknowledged, those after it and half a state do not."""
    rows = [f'{{"type":"RECORD","stream":"calls","record":{{"Id":"{n}"}}}}' for n in range(3)]
    states = [f'{{"type":"STATE","value":{{"at":{n}}}}}' for n in range(3)]
    lines = [line for pair in zip(rows, states, strict=True) for line in pair]
    (tmp_path / "tap.jsonl").write_text("\n".join([*lines, '{"type":"REC']), encoding="utf-8")
    (tmp_path / "target.jsonl").write_text('{"at":0}\n{"at": 1}\n{"at":2}', encoding="utf-8")
    assert held.acknowledged(tmp_path, "hostedsuite") == {"calls": {("0",), ("1",)}}
    (tmp_path / "target.jsonl").write_text("{}\n", encoding="utf-8")
    assert held.acknowledged(tmp_path, "hostedsuite") is None
    (tmp_path / "target.jsonl").write_text("", encoding="utf-8")
    assert held.acknowledged(tmp_path, "hostedsuite") == {}


@pytest.mark.parametrize("before", ["", "u:", "me:"])
def test_a_credential_is_found_in_every_form(tmp_path: Path, before: str) -> None:
    """In plain, in a URL and in base64 behind any text, in any file but a config."""
    secret = 'pass/wörd + "1"'
    said = {
        "plain": secret,
        "url": quote(secret, safe=""),
        "json": '{"error": "pass/w\\u00f6rd + \\"1\\""}',
        "base64": base64.b64encode(f"{before}{secret}:after".encode()).decode(),
        "url-safe": base64.urlsafe_b64encode(f"{before}{secret}".encode()).decode(),
    }
    for name, text in said.items():
        (tmp_path / f"{name}.log").write_text(f"before {text} after", encoding="utf-8")
    (tmp_path / "tap-config.json").write_text(secret, encoding="utf-8")
    (tmp_path / "state.json").write_text('{"bookmarks": {"calls": "pass"}}', encoding="utf-8")
    assert {re.split(r"[ .]", line)[4] for line in leaks.leaks(tmp_path, [secret])} == set(said)


@pytest.mark.parametrize(
    ("codes", "kill", "fine"),
    [
        ((0, 0), None, True),
        ((1, 0), None, True),  # gave up under faults
        ((0, 1), None, False),  # nobody cut its input off
        ((137, 0), None, False),
        ((137, 1), ("tap", 9), True),  # half a line was left
        ((143, 1), ("tap", 15), False),  # a tap that is asked to stop writes whole lines
        ((1, 137), ("target", 9), True),
        ((120, 137), ("target", 9), False),
        ((137, 137), ("both", 9), True),
    ],
)
def test_exit_codes_that_nothing_explains_are_noticed(
    codes: tuple[int, int], kill: tuple[str, int] | None, *, fine: bool
) -> None:
    """A code is right when a fault or the signal that was sent explains it."""
    sent = one_run.Kill(kill[0], signal.Signals(kill[1]), 0.0, sent=True) if kill else None
    assert (one_run.forbidden(one_run.Ended(1.0, codes, (1, 1), sent)) == []) is fine


def test_memory_that_grows_is_noticed() -> None:
    """The largest peak of the last third counts, against that of the first; what a moment differs by does not."""
    peaks = [(began, mib * 1024) for began, mib in ((0, 40), (9, 50), (12, 99), (21, 52), (31, 58))]
    ended = [one_run.Ended(1.0, (0, 0), (peak, 0), None, began) for began, peak in peaks]
    assert whole.thirds(ended, 30, 0) == (50, 58)
    assert (whole.grown(50, 58), whole.grown(50, 60), whole.grown(0, 60)) == (False, True, False)


def test_shares_of_the_faults_add_up() -> None:
    """Rules are tried one after the other; together they hit the share of requests that was asked for."""
    left = 1.0
    for rule in faults.rules("bspk", ["secret"], 0.2):
        left *= 1 - rule["rate"]
    assert left == pytest.approx(0.8)
