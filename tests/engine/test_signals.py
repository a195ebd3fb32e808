"""A command that a signal ended ends by that signal, within seconds, with its report written."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from trunkline import signals
from trunkline.errors import Stopped
from trunkline_sandbox.server import running

BIN = Path(sys.executable).parent
SOON = 60.0
"""Seconds within which a command has ended, however busy the machine is: what hangs here, hangs for ever."""
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
SIGNALS = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system has no such signals")


def until(condition: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(
    command: str, config: dict[str, Any], folder: Path, *arguments: str, **options: Any
) -> subprocess.Popen[bytes]:
    """Start an installed command."""
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([str(BIN / command), *arguments, "--config", "config.json"], cwd=folder, **options)


def stopped(process: subprocess.Popen[bytes], number: int) -> float:
    """Send a signal; returns the seconds until the process has ended by it."""
    began = time.monotonic()
    process.send_signal(number)
    try:
        assert process.wait(2 * SOON) == -number
    finally:
        process.kill()
    return time.monotonic() - began


def report(folder: Path) -> dict[str, Any]:
    """The report of the run."""
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


def errors(process: subprocess.Popen[bytes]) -> bytes:
    """What was written to standard error."""
    return process.stderr.read() if process.stderr else b""


def pending(pipe: Any) -> int:
    """Bytes that wait in a pipe to be read."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


@SIGNALS
@BOTH
def test_g5_requests_that_hang_do_not_keep_a_tap(tmp_path: Path, number: int) -> None:
    """64 requests that are never answered hold a stopped tap no longer than one; its report says `stopped`."""
    with running(size=20_000, vendors=["evolux"]) as served:
        config = {**served.config("evolux"), "concurrency": 64, "requests_per_minute": 1e6, "page_size": 1}
        process = start("tap-evolux", {**config, "run_report": "run.json"}, tmp_path, stdout=subprocess.DEVNULL)
        until(lambda: len(served.sandbox.requests) > 1)
        served.sandbox.latency = 600
        until(lambda: served.sandbox.requests.in_flight >= 64)
        assert stopped(process, number) < SOON
    assert (report(tmp_path)["verdict"], report(tmp_path)["signal"]) == ("stopped", number)
    assert b"Traceback" not in errors(process)


@SIGNALS
@BOTH
def test_g5_a_pipe_that_nobody_reads_does_not_keep_a_tap(tmp_path: Path, number: int) -> None:
    """Blocked on a full pipe a tap ends by the signal; what it wrote are whole lines and, at most, half a line."""
    with running(size=2_000, vendors=["bspk"]) as served:
        config = {**served.config("bspk"), "run_report": "run.json"}
        process = start("tap-bspk", config, tmp_path, stderr=(tmp_path / "log").open("wb"))
        assert process.stdout
        until(lambda: pending(process.stdout) >= 60_000)
        assert stopped(process, number) < SOON
        written = process.stdout.read()
    assert (report(tmp_path)["verdict"], report(tmp_path)["signal"]) == ("stopped", number)
    *whole, _half = written.split(b"\n")
    assert {json.loads(line)["type"] for line in whole} >= {"RECORD"}


@SIGNALS
def test_g1_a_reader_that_is_slow_gets_the_last_state(tmp_path: Path) -> None:
    """A target that reads on after the signal gets whole lines, and a STATE at their end."""
    with running(size=20_000, vendors=["bspk"]) as served:
        process = start("tap-bspk", {**served.config("bspk"), "window": "P1D"}, tmp_path)
        assert process.stdout
        until(lambda: pending(process.stdout) >= 60_000)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(2 * SOON) == -signal.SIGTERM
    assert lines[-1]["type"] == "STATE"


@SIGNALS
def test_g5_a_log_that_nobody_reads_does_not_keep_a_tap(tmp_path: Path) -> None:
    """Blocked on standard error a tap ends by the signal too, and its report is written."""
    gate, (reading, writing) = threading.Event(), os.pipe()
    with running(size=100, vendors=["bspk"]) as served, os.fdopen(reading, "rb") as log:

        def wait(*_: object) -> None:
            gate.wait(60)

        served.sandbox.on_request = wait
        config = {**served.config("bspk"), "run_report": "run.json"}
        process = start("tap-bspk", config, tmp_path, stderr=writing)
        assert any(b"reading from" in line for line in log)
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
        os.close(writing)
        gate.set()
        assert process.stdout
        assert any(b'"STATE"' in line for line in process.stdout)
        assert stopped(process, signal.SIGTERM) < SOON
    assert report(tmp_path)["signal"] == signal.SIGTERM


@SIGNALS
@pytest.mark.parametrize("command", ["tap-bspk", "source-bspk", "target-duckdb", "target-switchtransact"])
def test_g5_a_signal_before_anything_ends_a_command(tmp_path: Path, command: str) -> None:
    """The parent process sees the signal, and a shell 128 and its number."""
    with running(size=10, latency=600, vendors=["bspk", "switchtransact"]) as served:
        vendor = "bspk" if "bspk" in command else "switchtransact"
        config = {"path": "x.duckdb"} if command == "target-duckdb" else served.config(vendor)
        if command.startswith("target-s"):
            config = {name: config[name] for name in ("api_url", "api_key")}
        arguments = ["check"] if command.startswith("source") else []
        process = start(command, config, tmp_path, *arguments, stdin=subprocess.PIPE)
        if command.startswith("source"):
            until(lambda: served.sandbox.requests.in_flight)
        else:
            assert process.stderr
            assert command.encode() in process.stderr.readline()
        assert stopped(process, signal.SIGTERM) < SOON
    assert b"Traceback" not in errors(process)


def test_g5_a_signal_within_a_query_ends_by_the_signal() -> None:
    """DuckDB makes an error of its own of what the handler raises; the run still ends by the signal."""

    def stop(number: int) -> None:
        raise Stopped(number)

    def query() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise RuntimeError("Query interrupted") from None

    with pytest.raises(Stopped), signals.Signals(stop):
        query()


@SIGNALS
def test_g5_an_airbyte_source_that_nobody_reads_ends_by_the_signal(tmp_path: Path) -> None:
    """As PyAirbyte ends a read early: a line is read, then it sends SIGTERM, waits, and takes -15 alone."""
    catalog = {"streams": [{"stream": {"name": "calls"}, "sync_mode": "incremental"}]}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
    with running(size=2_000, vendors=["bspk"]) as served:
        arguments = ("read", "--catalog", "catalog.json")
        process = start("source-bspk", {**served.config("bspk"), "run_report": "run.json"}, tmp_path, *arguments)
        assert process.stdout
        assert b'"type"' in process.stdout.readline()
        until(lambda: pending(process.stdout) >= 60_000)
        assert stopped(process, signal.SIGTERM) < SOON
    assert report(tmp_path)["verdict"] == "stopped"
    assert errors(process) == b""


@SIGNALS
def test_g5_a_target_whose_states_nobody_reads_ends_by_the_signal(tmp_path: Path) -> None:
    """Blocked while it passes on a STATE, `target-duckdb` still ends, and its file has what was committed."""
    process = start("target-duckdb", {"path": "x.duckdb", "batch_size_rows": 1}, tmp_path, stdin=subprocess.PIPE)
    assert process.stdin
    schema = {"type": "SCHEMA", "stream": "s", "key_properties": [], "schema": {"properties": {"n": {"type": "null"}}}}
    state = {"type": "STATE", "value": {"x": "y" * 70_000}}
    process.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in (schema, state)))
    process.stdin.flush()
    until(lambda: pending(process.stdout) >= 60_000)
    assert stopped(process, signal.SIGTERM) < SOON
    assert b"Traceback" not in errors(process)


@SIGNALS
def test_g5_a_write_that_hangs_does_not_keep_a_target(tmp_path: Path) -> None:
    """A request that is not answered leaves its record in doubt, and the counts are the last line all the same."""
    with running(size=0, vendors=["switchtransact"]) as served:
        served.sandbox.latency = 600
        config = {name: served.config("switchtransact")[name] for name in ("api_url", "api_key")}
        process = start("target-switchtransact", config, tmp_path, stdin=subprocess.PIPE)
        assert process.stdin
        record = {"firstname": "Anna", "lastname": "Lind", "phone": "+27721234567"}
        schema = {"properties": {name: {"type": "string"} for name in record}}
        for line in (
            {"type": "SCHEMA", "stream": "contacts", "key_properties": [], "schema": schema},
            {"type": "RECORD", "stream": "contacts", "record": record},
        ):
            process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        until(lambda: served.sandbox.requests.in_flight)
        assert stopped(process, signal.SIGTERM) < SOON
    assert errors(process).splitlines()[-1].endswith(b"0 written, 0 already written, 0 rejected, 1 in doubt")


@SIGNALS
def test_a_process_that_survives_the_signal_ends_with_its_number() -> None:
    """The first process of a container is not ended by its own signal: the exit code then is 128 and the number."""
    program = (
        "import signal; from trunkline.signals import end_by;"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); end_by(signal.SIGTERM)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 128 + signal.SIGTERM


def test_g8_a_signal_is_obeyed_within_five_seconds() -> None:
    """Whatever hangs, the process has ended by then: no test here asserts seconds, so the promised number is."""
    assert 0 < signals.PATIENCE < signals.GRACE < 5
