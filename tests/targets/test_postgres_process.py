"""What `target-postgres` promises as a process: kills, what `ps` shows, and rows equal to those in DuckDB."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
from tests.night import at_night
from tests.targets.test_duckdb_process import feed, loaded, messages

from trunkline.doors.vendors import vendor_taps
from trunkline_contract import warehouse
from trunkline_duckdb import TargetDuckDB
from trunkline_sandbox import Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from tests.targets.conftest import Loads

COMMAND = str(Path(sys.executable).with_name("target-postgres"))


def start(config: dict[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    """The command, its settings in a file, its input and output in pipes."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([COMMAND, "--config", str(path)], cwd=folder, **pipes)  # type: ignore[call-overload,no-any-return]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_g1_after_a_kill_no_acknowledged_row_is_missing(pg: Loads, tmp_path: Path) -> None:
    """Killed at any moment the table holds every row of the last state, and the next run completes it."""
    chance, done, rows = random.Random(20240807), 0, list[int]()  # noqa: S311 - a seeded test
    for _ in range(4):
        process = start(pg.config(batch_size_rows=50), tmp_path)
        assert process.stdin
        assert process.stdout
        writer = threading.Thread(target=feed, args=(process.stdin, messages(done, done + 20_000)))
        writer.start()
        states = b"".join(process.stdout.readline() for _ in range(chance.randrange(1, 20)))
        process.kill()
        states += process.stdout.read()
        process.wait()
        writer.join()
        done = loaded(states)
        rows = [number for (number,) in pg.query("SELECT id FROM calls ORDER BY id")]
        assert rows == list(range(len(rows)))
        assert len(rows) >= done > 0
    final = start(pg.config(), tmp_path)
    out, _ = final.communicate(messages(done, done + 100).encode())
    assert final.returncode == 0
    assert pg.query("SELECT count(*) FROM calls") == [(max(len(rows), loaded(out)),)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_commits_what_came_and_passes_on_its_state(pg: Loads, tmp_path: Path, number: signal.Signals) -> None:
    """It ends by the signal; half a line is not a row."""
    process = start(pg.config(batch_size_rows=5), tmp_path)
    assert process.stdin
    assert process.stdout
    process.stdin.write((messages(0, 25) + '{"type": "RECORD", "stream": "ca').encode())
    process.stdin.flush()
    first = b"".join(process.stdout.readline() for _ in range(2))
    process.send_signal(number)
    rest, errors = process.stdout.read(), process.stderr.read() if process.stderr else b""
    assert process.wait() == -number
    assert loaded(first + rest) == 20
    assert pg.query("SELECT count(*) FROM calls") == [(25,)]
    assert b"Traceback" not in errors


def test_g7_the_password_is_in_no_output_and_no_process_list(pg: Loads, tmp_path: Path) -> None:
    """Neither the command line nor the name that the server shows has it; a refused login does not repeat it."""
    pg.query("DROP ROLE IF EXISTS loader")
    pg.query("CREATE ROLE loader LOGIN PASSWORD 'hunter2 hunter2'")
    pg.query("GRANT CREATE ON DATABASE calls TO loader")
    url = pg.url.replace("postgres:@", "loader:hunter2%20hunter2@")
    process = start(pg.config(sqlalchemy_url=url, batch_size_rows=5), tmp_path)
    assert process.stdin
    assert process.stdout
    process.stdin.write(messages(0, 25).encode())
    process.stdin.flush()
    process.stdout.readline()
    shown = Path(f"/proc/{process.pid}/cmdline")
    listed = shown.read_bytes() if shown.exists() else b""
    listed += json.dumps(pg.query("SELECT application_name, query FROM pg_stat_activity")).encode()
    out, errors = process.communicate()
    assert process.returncode == 0
    for text in (listed, out, errors):
        assert b"hunter2" not in text


@pytest.mark.parametrize("vendor", sorted(vendor_taps("trunkline")))
def test_every_stream_is_field_by_field_what_duckdb_holds(pg: Loads, tmp_path: Path, vendor: str) -> None:
    """The same records through both of our loaders, in batches of odd sizes, and once more."""
    box = Sandbox(size=30, vendors=[vendor])
    made = io.StringIO()
    with redirect_stdout(made):
        tap = vendor_taps("trunkline")[vendor](
            config={**box.config(vendor), "requests_per_minute": 1_000_000},
            transport=SandboxAdapter(box, sleep=lambda _: None),
        )
        tap.sync_all()
    path = tmp_path / "calls.duckdb"
    for size in (7, 1000):
        pg.text(made.getvalue(), batch_size_rows=size, add_record_metadata=True)
        with redirect_stdout(io.StringIO()):
            TargetDuckDB(config={"path": str(path), "batch_size_rows": size}).listen(io.StringIO(made.getvalue()))
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        assert tables
        for table in tables:
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            kinds = [(column[0], str(column[1])) for column in cursor.description or ()]
            ours = [dict(zip(kinds, values, strict=True)) for values in cursor.fetchall()]
            assert _plain(_from_postgres(pg, table)) == _plain(
                {name: json.loads(value) if kind == "JSON" and value is not None else value
                 for (name, kind), value in one.items()} for one in ours
            )  # fmt: skip


def _from_postgres(pg: Loads, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(pg.url) as connection:
        cursor = connection.execute(f'SELECT * FROM "{pg.schema}"."{table}"'.encode())
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _plain(rows: Any) -> list[str]:
    """Rows without the loaders' own columns, in one form and order."""
    kept = [{name: warehouse.canonical(value) for name, value in one.items() if name[:5] != "_sdc_"} for one in rows]
    return sorted(json.dumps(one, sort_keys=True, default=str) for one in kept)


@at_night("loads half a million rows")
@pytest.mark.parametrize("command", ["target-duckdb", "target-postgres"])
def test_g5_memory_does_not_grow_with_the_number_of_rows(pg: Loads, tmp_path: Path, command: str) -> None:
    """A batch and the one before it are held, however many there are; DuckDB keeps a bounded part of its file."""
    from bench import measure

    peaks = []
    for rows in (50_000, 450_000):
        own = {"path": str(tmp_path / f"{rows}.duckdb"), "batch_size_rows": 5000}
        config = pg.config(batch_size_rows=5000) if command == "target-postgres" else own
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (tmp_path / "input").write_text(messages(0, rows), encoding="utf-8")
        words = [str(Path(COMMAND).with_name(command)), "--config", "config.json", "--input", "input"]
        peaks.append(measure.run([words], tmp_path).peak / 1e6)
    assert peaks[1] < peaks[0] + 60, peaks
