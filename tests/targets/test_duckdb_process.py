"""What `target-duckdb` promises as a process: signals, kills, locks, full disks, its command line."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import duckdb
import pytest

import trunkline_duckdb
from trunkline_duckdb import StoreError, store

COMMAND = [sys.executable, "-c", "from trunkline_duckdb import TargetDuckDB; TargetDuckDB.cli()"]
ROOT = str(Path(trunkline_duckdb.__file__).parents[1])
SCHEMA = {
    "type": "SCHEMA",
    "stream": "calls",
    "schema": {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}},
    "key_properties": ["id"],
}


def messages(first: int, last: int) -> str:
    """Records numbered from first up to last, a state after every tenth that says how far it is."""
    result = [json.dumps(SCHEMA)]
    for number in range(first, last):
        result.append(
            json.dumps({"type": "RECORD", "stream": "calls", "record": {"id": number, "name": f"secret {number}"}})
        )
        if number % 10 == 9:
            result.append(json.dumps({"type": "STATE", "value": {"loaded": number + 1}}))
    return "".join(f"{line}\n" for line in result)


def start(config: dict[str, Any], folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """The command, its settings in a file, its input and output in pipes."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])}
    return subprocess.Popen(
        [*COMMAND, "--config", str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        **options,
    )


def numbers(path: Path) -> list[int]:
    with duckdb.connect(str(path)) as connection:
        return [number for (number,) in connection.execute("SELECT id FROM calls ORDER BY id").fetchall()]


def loaded(states: bytes) -> int:
    """What the last complete state line says."""
    complete = states.decode().split("\n")[:-1]
    return int(json.loads(complete[-1])["loaded"]) if complete else 0


def feed(pipe: IO[bytes], text: str) -> None:
    """Write until the reader is gone."""
    try:
        pipe.write(text.encode())
        pipe.close()
    except BrokenPipeError:
        pass


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_after_a_kill_no_acknowledged_row_is_missing(tmp_path: Path) -> None:
    """Killed at any moment the file opens, holds every row of the last state, and the next run completes it."""
    path, chance, done = tmp_path / "calls.duckdb", random.Random(20240807), 0  # noqa: S311 - a seeded test
    for _ in range(6):
        process = start({"path": str(path), "batch_size_rows": 50}, tmp_path)
        assert process.stdin
        assert process.stdout
        writer = threading.Thread(target=feed, args=(process.stdin, messages(done, done + 20_000)))
        writer.start()
        states = b"".join(process.stdout.readline() for _ in range(chance.randrange(1, 40)))
        process.kill()
        states += process.stdout.read()
        process.wait()
        writer.join()
        done = loaded(states)
        rows = numbers(path)
        assert rows == list(range(len(rows)))
        assert len(rows) >= done > 0
    final = start({"path": str(path)}, tmp_path)
    out, _ = final.communicate(messages(done, done + 100).encode())
    assert final.returncode == 0
    assert numbers(path) == list(range(max(len(rows), loaded(out))))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["calls.duckdb", "config.json"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_commits_what_came_and_passes_on_its_state(tmp_path: Path, number: signal.Signals) -> None:
    """It ends by the signal; half a line is not a row."""
    path = tmp_path / "calls.duckdb"
    process = start({"path": str(path), "batch_size_rows": 5}, tmp_path)
    assert process.stdin
    assert process.stdout
    process.stdin.write((messages(0, 25) + '{"type": "RECORD", "stream": "ca').encode())
    process.stdin.flush()
    first = b"".join(process.stdout.readline() for _ in range(2))
    process.send_signal(number)
    rest, errors = process.stdout.read(), process.stderr.read() if process.stderr else b""
    assert process.wait() == -number
    assert loaded(first + rest) == 20
    assert numbers(path) == list(range(25))
    assert b"Traceback" not in errors


def test_a_second_writer_waits_and_then_gives_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line says that it waits and for what, the error says what to do; when the file is free again it goes on."""
    caplog.set_level("INFO", logger=trunkline_duckdb.TargetDuckDB.logger.name)
    path = tmp_path / "calls.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"open\n"
    second = store.DuckDB(path, "main", trunkline_duckdb.TargetDuckDB.logger, lock_timeout=0.01)
    with pytest.raises(StoreError, match=r"another process has had it open.*Close that program") as problem:
        second.open()
    second.close()
    assert str(holder.pid) in str(problem.value)
    assert "Waiting up to 0.01 s" in caplog.text
    stopped, waiting = start({"path": str(path)}, tmp_path), start({"path": str(path)}, tmp_path)
    for process in (stopped, waiting):
        assert process.stderr
        for line in process.stderr:
            if b"Waiting up to" in line:
                break
    stopped.terminate()
    stopped.communicate()
    assert stopped.returncode == -signal.SIGTERM
    holder.communicate(b"\n")
    waiting.communicate(messages(0, 10).encode())
    assert waiting.returncode == 0
    assert numbers(path) == list(range(10))


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no RLIMIT_FSIZE")
def test_a_full_disk_is_a_clear_error_and_the_file_stays_readable(tmp_path: Path) -> None:
    """What was acknowledged before the disk was full is there, and loading goes on when there is room."""
    import resource

    path, limit = tmp_path / "calls.duckdb", 1_500_000
    process = start(
        {"path": str(path), "batch_size_rows": 2_000},
        tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    out, errors = process.communicate(messages(0, 200_000).encode())
    assert process.returncode == 1
    assert b"Check that the disk has room" in errors
    assert b"Traceback" not in errors
    rows, done = numbers(path), loaded(out)
    assert rows[:done] == list(range(done))
    assert done > 0
    again = start({"path": str(path)}, tmp_path)
    again.communicate(messages(done, done + 100).encode())
    assert again.returncode == 0


def test_states_that_nobody_reads_are_a_clear_error(tmp_path: Path) -> None:
    """The rows are committed; that the next run will not know is said."""
    process = start({"path": "calls.duckdb", "batch_size_rows": 10}, tmp_path)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    feed(process.stdin, messages(0, 100))
    errors = process.stderr.read().decode()
    assert process.wait() == 1
    assert "Can't pass on the state" in errors
    assert "Traceback" not in errors


def test_input_is_read_from_a_file(tmp_path: Path) -> None:
    """`--input` does what a pipe does; no line on standard error holds a record's value."""
    (tmp_path / "calls.jsonl").write_text(messages(0, 1_000))
    process = start(
        {"path": "deep/er/calls.duckdb", "default_target_schema": "five"}, tmp_path, "--input", "calls.jsonl"
    )
    out, errors = process.communicate()
    assert process.returncode == 0
    assert out == b'{"loaded": 1000}\n'
    assert b"Stream 'calls': 1,000 rows received, 1,000 rows in table 'five.calls'" in errors
    assert b"secret" not in errors


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    """`--config ENV` reads TARGET_DUCKDB_*, with the types that the settings have."""
    environment = {
        **os.environ,
        "PYTHONPATH": ROOT,
        "TARGET_DUCKDB_PATH": str(tmp_path / "calls.duckdb"),
        "TARGET_DUCKDB_BATCH_SIZE_ROWS": "10",
    }
    run = [*COMMAND, "--config", "ENV"]
    done = subprocess.run(run, input=messages(0, 100).encode(), env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr.count(b"Committed 10 rows") == 10
    environment["TARGET_DUCKDB_BATCH_SIZE_ROWS"] = "many"
    done = subprocess.run(run, input=b"", env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"batch_size_rows must be an integer" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("config", "code", "says"),
    [
        ({"pathh": "x"}, 1, "did you mean path?"),
        ({"path": "/"}, 1, "it is a folder"),
        (5, 2, "it holds no JSON object"),
    ],
)
def test_bad_settings_end_the_command_without_a_traceback(tmp_path: Path, config: Any, code: int, says: str) -> None:
    """One line says what is wrong, before any input is read."""
    process = start(config, tmp_path)
    _, errors = process.communicate()
    assert process.returncode == code
    assert says in re.sub(r"\s+", " ", errors.decode())
    assert b"Traceback" not in errors


def test_a_bad_line_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    """The last line on standard error says what failed, why, and what to do."""
    process = start({"path": "calls.duckdb"}, tmp_path)
    _, errors = process.communicate((messages(0, 10) + '{"type": "REC').encode())
    assert process.returncode == 1
    assert b"Line 13: ends in the middle" in errors.splitlines()[-1]
    assert b"Traceback" not in errors
    assert numbers(tmp_path / "calls.duckdb") == list(range(10))


@pytest.mark.parametrize("option", [["--about", "--format", "json"], ["--version"]])
def test_the_command_tells_about_itself(tmp_path: Path, option: list[str]) -> None:
    """`--about` and `--version` need no settings and touch no file."""
    environment = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run([*COMMAND, *option], capture_output=True, cwd=tmp_path, env=environment, check=True)
    assert b"target-duckdb" in done.stdout
    assert not list(tmp_path.iterdir())
