"""What `target-switchtransact` promises as a process: killed at any moment, stopped, started twice."""

from __future__ import annotations

import hmac
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.night import NIGHT
from tests.targets.switchtransact_kit import KEY, call, contact, counts, record, schema, start, state

from trunkline_sandbox import Running, running
from trunkline_switchtransact.calls import key_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

LIVES = Path(__file__).with_name("switchtransact_lives.py")
KILLS = int(os.environ.get("TRUNKLINE_KILLS", "200" if NIGHT else "30"))
"""SIGKILLs of the random test; thousands are its long form."""


@pytest.fixture
def served() -> Iterator[Running]:
    with running(size=5, vendors=["switchtransact"], latency=0.002) as sandbox:
        yield sandbox


def config(served: Running, folder: Path, **more: Any) -> dict[str, Any]:
    ledger = str(folder / "ledger.sqlite")
    return {"api_url": served.api_url("switchtransact"), "api_key": KEY, "ledger": ledger, **more}


def lines(count: int) -> list[str]:
    """Contacts and calls in turn, and after every tenth a state that says how many lines there were."""
    made: list[str] = []
    for number in range(count):
        made.append(record("contacts", **contact(number)) if number % 2 else record("call_logs", **call(number)))
        if number % 10 == 9:
            made.append(state({"line": len(made) + 1}))
    return made


def in_doubt(told: str) -> set[str]:
    """The beginnings of the identities of all records that were reported as in doubt."""
    return set(re.findall(r"\[([0-9a-f]{12})\]: in doubt", told))


def missing(served: Running, folder: Path, count: int) -> tuple[set[str], set[str]]:
    """Labels of the contacts and calls that the vendor has not; none is there twice."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        key = bytes.fromhex(ledger.execute("SELECT value FROM about WHERE name = 'hash_key'").fetchone()[0])

    def label(stream: str, number: int) -> str:
        return hmac.digest(key, key_identity(stream, {"id": number}, ["id"]), "sha256").hex()[:12]

    created = Counter(row["phone"] for row in served.sandbox.truth("switchtransact", "created"))
    logged = Counter(row["Name"] for row in served.sandbox.truth("switchtransact", "call_logs"))
    assert {*created.values(), *logged.values()} == {1}
    contacts = [number for number in range(1, count, 2) if not created[contact(number)["phone"]]]
    calls = [number for number in range(0, count, 2) if not logged[call(number)["Name"]]]
    return {label("contacts", number) for number in contacts}, {label("call_logs", number) for number in calls}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system can't fork")
def test_killed_at_random_moments_writes_nothing_twice_and_loses_nothing_in_silence(
    served: Running, tmp_path: Path
) -> None:
    """After dozens of SIGKILLs every record is there at most once; what is not there was told as in doubt."""
    plan = {
        # Two at a time and a slow vendor: a life gets no further than some records on any machine.
        "config": config(served, tmp_path, in_doubt="skip", concurrency=2, requests_per_minute=1_000_000),
        "schemas": [schema("contacts", "id"), schema("call_logs", "id")],
        "lines": lines(30 * KILLS),
        "kills": KILLS,
        "longest": 0.05,
        "seed": 20240807,
    }
    served.sandbox.latency = 0.006
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    done = subprocess.run([sys.executable, str(LIVES), str(path)], capture_output=True, text=True, check=False)
    told = (tmp_path / "told").read_text(encoding="utf-8")
    assert done.returncode == 0, done.stderr + told[-2000:]
    contacts, calls = missing(served, tmp_path, int(done.stdout) * 10 // 11)
    lost = contacts | calls
    print(f"{KILLS} kills, {done.stdout.strip()} lines, {len(in_doubt(told))} in doubt, {len(lost)} not written")  # noqa: T201
    assert lost <= in_doubt(told)
    assert in_doubt(told), "no kill hit a request: the test shows nothing"


def test_killed_as_a_command_it_goes_on_where_it_was(served: Running, tmp_path: Path) -> None:
    """The command itself, killed twice while it writes: the third run completes it, and nothing is there twice."""
    text, chance = "\n".join([schema("contacts", "id"), schema("call_logs", "id"), *lines(200), ""]), random.Random(7)  # noqa: S311
    told = ""
    for _ in range(2):
        before = len(served.sandbox.requests)
        process = start(config(served, tmp_path, in_doubt="skip", request_timeout=0.2), tmp_path)
        writer = threading.Thread(target=feed, args=(process, text), daemon=True)
        writer.start()
        until(lambda before=before: len(served.sandbox.requests) > before + chance.randrange(5, 40))
        process.kill()
        assert process.stderr
        told += process.stderr.read().decode()
        process.wait()
    last = start(config(served, tmp_path, in_doubt="skip", request_timeout=0.2), tmp_path)
    _, errors = last.communicate(text.encode())
    told += errors.decode()
    contacts, calls = missing(served, tmp_path, 200)
    assert contacts | calls <= in_doubt(told)
    found = counts(errors.decode())
    assert found["written"] + found["already written"] + found["in doubt"] == 200
    assert last.returncode == (1 if found["in doubt"] else 0)


def feed(process: subprocess.Popen[bytes], text: str) -> None:
    """Write until the reader is gone."""
    assert process.stdin
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        pass


def until(holds: Any, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.002)


def test_two_processes_on_one_ledger_write_each_record_once(served: Running, tmp_path: Path) -> None:
    """One has the ledger; the other waits for it, and finds everything written."""
    text = "\n".join([schema("contacts", "id"), schema("call_logs", "id"), *lines(60), ""]).encode()
    first, second = (start(config(served, tmp_path), tmp_path, f"{name}.json") for name in ("first", "second"))
    threading.Thread(target=second.communicate, args=(text,), daemon=True).start()
    _, told = first.communicate(text)
    second.wait()
    assert first.returncode == second.returncode == 0, told
    assert missing(served, tmp_path, 60) == (set(), set())
    assert len(served.sandbox.requests) == 60


def test_a_signal_waits_for_what_is_in_flight_and_notes_it(served: Running, tmp_path: Path) -> None:
    """It ends by the signal, and the next run finds nothing in doubt."""
    served.sandbox.latency = 0.2
    text = "\n".join([schema("contacts", "id"), schema("call_logs", "id"), *lines(60), ""])
    process = start(config(served, tmp_path), tmp_path)
    threading.Thread(target=feed, args=(process, text), daemon=True).start()
    until(lambda: served.sandbox.requests.in_flight > 3)
    process.send_signal(signal.SIGTERM)
    assert process.stdout
    assert process.stderr
    states, told = process.stdout.read(), process.stderr.read().decode()
    assert process.wait() == -signal.SIGTERM
    found = counts(told)
    assert found["written"] == len(served.sandbox.requests)
    assert found["in doubt"] == 0
    assert found["not sent"] > 0
    assert states.count(b"\n") <= 1
    served.sandbox.latency = 0
    again = start(config(served, tmp_path), tmp_path)
    _, told_again = again.communicate(text.encode())
    assert again.returncode == 0
    assert counts(told_again.decode()) == {
        "written": 60 - found["written"],
        "already written": found["written"],
        "rejected": 0,
        "in doubt": 0,
    }
    assert missing(served, tmp_path, 60) == (set(), set())


def test_the_reader_of_the_states_may_go(served: Running, tmp_path: Path) -> None:
    """When nobody reads the states any more, the run says so and ends with 1; what was written is noted."""
    process = start(config(served, tmp_path), tmp_path)
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    text = "\n".join([schema("contacts", "id"), schema("call_logs", "id"), *lines(20), ""])
    _, told = process.communicate(text.encode())
    assert process.returncode == 1
    assert "Can't pass on the state" in told.decode()
    assert b"Traceback" not in told
    assert counts(told.decode())["in doubt"] == 0
