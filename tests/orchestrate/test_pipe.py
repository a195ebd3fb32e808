"""Two processes joined by a pipe: what they leave behind, and that they never stay behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trunkline_orchestrate import pipe
from trunkline_orchestrate.errors import UnitFailed

WRITES = "for n in range(3): print(n)"
ECHOES = """
import sys
for line in sys.stdin:
    print('{"bookmarks": {"calls": {"n": %s}}}' % line.strip(), flush=True)
"""
WAITS = "import time; print(0, flush=True); time.sleep(3600)"


def run(tmp_path: Path, tap: str, target: str, timeout: float | None = None) -> pipe.Ended:
    return pipe.run(
        [sys.executable, "-c", tap],
        [sys.executable, "-c", target],
        tap_log=tmp_path / "tap.log",
        target_log=tmp_path / "target.log",
        environment=dict(os.environ),
        timeout=timeout,
    )


def test_last_state_of_the_target_counts(tmp_path: Path) -> None:
    """The state is the last one that the target printed; both exit codes are told."""
    ended = run(tmp_path, WRITES, ECHOES)
    assert (ended.tap, ended.target, ended.late) == (0, 0, False)
    assert ended.state == {"bookmarks": {"calls": {"n": 2}}}


@pytest.mark.parametrize(
    ("tap", "target", "said"),
    [
        (WRITES + "\nimport sys; sys.exit('the vendor is down')", ECHOES, "the tap ended with exit code 1: the vendor"),
        (WAITS, "import sys; sys.exit('the disk is full')", "the target ended with exit code 1: the disk is full"),
        ("import os; os.kill(os.getpid(), 9)", ECHOES, "the tap was ended by signal 9"),
    ],
    ids=["tap", "target", "killed"],
)
def test_g8_a_failure_of_either_is_told_with_its_last_words(tmp_path: Path, tap: str, target: str, said: str) -> None:
    """Whichever ends badly is named with what it said; a tap that waits is ended once nobody listens to it."""
    ended = run(tmp_path, tap, target)
    with pytest.raises(UnitFailed, match=said):
        pipe.judge(ended, "the unit", tmp_path / "tap.log", tmp_path / "target.log")


def test_g7_rows_in_a_targets_error_are_not_repeated(tmp_path: Path) -> None:
    """Of a foreign target's error only its name and sentence are told: the statement behind it may hold rows."""
    log = tmp_path / "target.log"
    log.write_text(
        'sqlalchemy.exc.IntegrityError: (psycopg.errors.UniqueViolation) duplicate key value violates "calls_key"\n'
        "[SQL: INSERT INTO calls VALUES (%(name)s)]\n[parameters: {'name': 'Jane Doe'}]\n(Background: ...)\n"
    )
    said = pipe.verdict(log)
    assert said == "sqlalchemy.exc.IntegrityError: (psycopg.errors.UniqueViolation) duplicate key value violates"


def test_both_end_when_their_time_is_up(tmp_path: Path) -> None:
    """A pipe that takes longer than it may is ended, and says so."""
    ended = run(tmp_path, WAITS, ECHOES, timeout=0.3)
    assert ended.late
    with pytest.raises(UnitFailed, match="longer than its time"):
        pipe.judge(ended, "the unit", tmp_path / "tap.log", tmp_path / "target.log")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_end_when_the_caller_is_stopped(tmp_path: Path, number: int) -> None:
    """A signal to the command ends tap and target too, before it ends itself."""
    script = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(pipe.__file__).rsplit("/", 2)[0]!r})
import signal
from trunkline_orchestrate import pipe
for n in (signal.SIGTERM, signal.SIGINT):
    signal.signal(n, lambda n, _: sys.exit(128 + n))
tell = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
echo = "import os, sys, time; line = sys.stdin.readline(); open({str(tmp_path / "pids")!r}, 'w').write(line + str(os.getpid())); time.sleep(60)"
pipe.run([sys.executable, "-c", tell], [sys.executable, "-c", echo], tap_log=Path({str(tmp_path / "a")!r}),
    target_log=Path({str(tmp_path / "b")!r}), environment=dict(os.environ))
"""  # noqa: E501 - a program's line
    process = subprocess.Popen([sys.executable, "-c", script])
    pids: list[str] = []
    while len(pids) < 2 and process.poll() is None:
        time.sleep(0.02)
        pids = (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []
    process.send_signal(number)
    assert process.wait(timeout=300) == 128 + number
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


READS = "import json, sys; print(json.loads(open(sys.argv[1]).read())['api_key'])"


def test_g7_a_config_is_never_a_file_with_a_name() -> None:
    """A program reads it as a file, more than once; nothing of it stands in any folder, and it is gone afterwards."""
    with pipe.handed() as files:
        path = files.written("tap.json", {"api_key": "secret"})
        assert Path(path).is_file()
        for _ in range(2):
            done = pipe.run_short([sys.executable, "-c", READS, path], keep=files.open)
            assert done.output == "secret\n", done.log
        assert os.fstat(files.open[0]).st_nlink == 0
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(files.open[0])


def test_g7_logs_can_be_read_by_their_user_alone(tmp_path: Path) -> None:
    """They may name windows and campaigns."""
    run(tmp_path, WRITES, ECHOES)
    assert stat.S_IMODE((tmp_path / "tap.log").stat().st_mode) == 0o600
