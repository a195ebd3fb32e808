"""Progress: honest figures from what the run has counted, a line now and then, and bars that tear no line."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.redact import RedactingStream, Redactor, redactor
from trunkline.run import progress
from trunkline.run.figures import Figures, StreamMeter
from trunkline.run.progress import Bars, LogLines, Progress
from trunkline.run.stream_run import PartitionProgress, ReadSpan
from trunkline_sandbox import running

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
UNTIL = START + timedelta(days=60)


class FakeRun:
    """A stream as far as progress looks at it."""

    def __init__(self, name: str = "calls", parts: int | None = None) -> None:
        self.stream = SimpleNamespace(name=name, parts=parts)
        self.rows, self.ended = 0, False
        self.current: PartitionProgress | None = None

    def at(self, day: float | None, *, rows: int = 0, windows: int = 0, number: int = 1, **more: Any) -> None:
        """Stand at a day of the span."""
        plan = ReadSpan(more.pop("since", START), UNTIL, timedelta(days=1))
        at = None if day is None else START + timedelta(days=day)
        self.rows += rows
        self.current = PartitionProgress(None, None, number, span=plan, at=at, windows=windows, **more)  # type: ignore[arg-type] # never looked at


def watched(run: FakeRun, leader: FakeRun | None = None) -> StreamMeter:
    return StreamMeter(run, leader or run)  # type: ignore[arg-type] # as far as it is looked at


def test_windows_rows_speed_and_time_left() -> None:
    """Of 60 days 15 are read in 30 seconds: 45 windows and 90 seconds are left, if it goes on like that."""
    run = FakeRun()
    look = watched(run).look
    run.at(None)
    assert str(look(100.0)) == "0 of about 60 windows, 0 %, 0 rows"
    run.at(15, rows=3000, windows=15)
    figures = look(130.0)
    assert str(figures) == "15 of about 60 windows, 25 %, 3000 rows, 100 rows/s"
    run.at(30, rows=3000, windows=30)
    assert str(look(150.0)) == "30 of about 60 windows, 50 %, 6000 rows, 120 rows/s, about 40 s left"


def test_windows_that_are_halved_or_grow_change_the_guess() -> None:
    """How many windows there will be is counted from where the reading stands, not from what was planned at first."""
    run = FakeRun()
    run.at(10, windows=40)
    assert watched(run).look(0.0).of_windows == 40 + 50
    run.at(58, windows=7)
    assert watched(run).look(0.0).of_windows == 7 + 2


def test_without_a_start_the_number_of_windows_is_not_guessed() -> None:
    """What is asked for as a whole has no number of windows; its share counts from the first row there is."""
    run = FakeRun()
    run.at(10, windows=1, since=None)
    assert str(watched(run).look(0.0)) == "1 window up to 2026-01-11, 0 rows"
    run.at(40, windows=3, rows=50, since=None, first=START + timedelta(days=20))
    assert str(watched(run).look(0.0)) == "3 windows up to 2026-02-10, 50 %, 50 rows"


def test_partitions_count_before_windows() -> None:
    """Half of the third of four campaigns is five eighths of all."""
    run = FakeRun(parts=4)
    run.at(30, windows=30, number=3)
    assert str(watched(run).look(0.0)) == "part 3 of 4, 30 of about 60 windows, 62 %, 0 rows"


def test_lookups_have_no_windows() -> None:
    """A stream without times is told by its parts alone."""
    run = FakeRun("contacts", parts=19)
    run.current = PartitionProgress(None, None, 7)  # type: ignore[arg-type] # never looked at
    run.rows = 6
    assert str(watched(run).look(0.0)) == "part 7 of 19, 36 %, 6 rows"


def test_a_stream_read_along_takes_the_plan_of_the_first() -> None:
    """Of streams that are read from the same answers only one knows what is asked for."""
    calls, details = FakeRun(), FakeRun("details")
    calls.at(30, windows=30)
    details.current = PartitionProgress(None, None, 1, at=START + timedelta(days=15), windows=15)  # type: ignore[arg-type] # same
    assert str(watched(details, calls).look(0.0)) == "15 of about 60 windows, 25 %, 0 rows"


def test_a_run_that_waits_says_so() -> None:
    """Speed is that of late: with no row in half a minute it is none."""
    run = FakeRun()
    look = watched(run).look
    for second, rows in ((0, 0), (10, 500), (20, 0), (30, 0), (40, 0), (50, 0)):
        run.at(10, rows=rows)
        figures = look(float(second))
    assert figures.rate == 0.0
    assert "500 rows, 0 rows/s" in str(figures)


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (89, "89 s"), (600, "10 min"), (7200, "2 h"), (300_000, "3 days")]
)
def test_time_left_is_as_exact_as_a_guess(seconds: float, words: str) -> None:
    """One unit is enough."""
    assert str(Figures("calls", 1, left=seconds)).endswith(f"about {words} left")


def test_a_line_comes_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """Between two lines nothing is said, and nothing of a stream that has ended."""
    now = 0.0
    calls, details = FakeRun(), FakeRun("details")
    calls.at(15, rows=90)
    run: Any = SimpleNamespace(reading=[calls, details], logger=logging.getLogger("tap"))
    looked = Progress(run, LogLines(run.logger), clock=lambda: now)
    with caplog.at_level(logging.INFO):
        for now in (1.0, 9.0, 10.0, 11.0, 19.0):  # noqa: B007 - the clock
            looked.look()
        assert caplog.messages == [
            "calls: 0 of about 45 windows, 25 %, 90 rows, 0 rows/s",
            "details: 0 of about 60 windows, 0 %, 0 rows, 0 rows/s",
        ]
        details.ended = True
        now = 20.0
        looked.look()
        assert len(caplog.messages) == 3


def test_what_goes_wrong_in_telling_stands_in_nobodys_way(caplog: pytest.LogCaptureFixture) -> None:
    """The thread ends with a line for the developer; the run goes on."""
    run: Any = SimpleNamespace(reading=[object()], logger=logging.getLogger("tap"))
    looked = Progress(run, LogLines(run.logger))
    looked.view.every = 0.01
    with caplog.at_level(logging.DEBUG):
        looked.start()
        looked._thread.join(60)  # noqa: SLF001 - what is tested
        looked.stop()
    assert caplog.messages == ["progress can't be shown"]


# -- a terminal ------------------------------------------------------------------------------------

WIDTH = 100


class Terminal:
    """A terminal, and what stands on it."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self._came = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                return
            if not part:
                return
            self._came += part

    def close(self) -> str:
        """Everything that was written."""
        self.file.close()
        self._reader.join(60)
        return self._came.decode()


def played(text: str) -> list[str]:
    """The lines that stand on a terminal after a text."""
    lines: list[list[str]] = [[]]
    row = column = 0
    for up, character in re.findall(r"\x1b\[(\d*)A|([\s\S])", text):
        if character == "\n":
            row += 1
        elif character == "\r":
            column = 0
        elif not character:
            row -= int(up or 1)
        else:
            line = lines[row]
            line += " " * (column + 1 - len(line))
            line[column] = character
            column += 1
        while len(lines) <= row:
            lines.append([])
    return ["".join(line).rstrip() for line in lines]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()
    os.close(made.master)


FIGURES = [Figures("calls", 320, 12.0, 3, 60, share=0.05), Figures("details", 7, share=0.9)]


def test_bars_tear_no_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """LogLines from several threads stand whole above the bars, and no bar is left when all is over."""
    stream: Any = RedactingStream(terminal.file, Redactor())
    monkeypatch.setattr(sys, "stderr", stream)
    logger, handler = logging.getLogger("torn"), logging.StreamHandler(stream)
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)  # the root's handlers are another test's affair
    bars = Bars(stream)

    def speak(name: str) -> None:
        for number in range(30):
            logger.warning("%s says %d of its lines", name, number)
            sys.stderr.write(f"{name} prints {number}\n")

    threads = [threading.Thread(target=speak, args=(f"worker-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        bars.show(FIGURES)
    bars.show(FIGURES[1:])
    bars.close()
    assert sys.stderr is stream
    assert handler.stream is stream
    logger.warning("the end")
    written = terminal.close()
    assert "3 of about 60 windows, 5 %, 320 rows, 12 rows/s" in written
    wanted = [
        f"worker-{n} {what}" for n in range(3) for k in range(30) for what in (f"says {k} of its lines", f"prints {k}")
    ]
    assert sorted(line for line in played(written) if line) == sorted([*wanted, "the end"])


def test_g7_no_secret_on_a_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on a bar passes the redactor as a log line does."""
    redactor.add(["hunter-two"])
    stream: Any = RedactingStream(terminal.file, redactor)
    monkeypatch.setattr(sys, "stderr", stream)
    bars = Bars(stream)
    bars.show([Figures("calls of hunter-two", 1, share=0.5)])
    bars.close()
    written = terminal.close()
    assert "hunter-two" not in written
    assert "calls of (redacted)" in written


def test_a_run_on_a_terminal_shows_bars_and_leaves_its_log(terminal: Terminal, tmp_path: Path) -> None:
    """The command itself, standard error a terminal: bars while it reads, and in the end nothing but whole lines."""
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "", "LINES": ""}
    config = tmp_path / "config.json"
    with running(size=400) as served:
        config.write_text(json.dumps({**served.config("evolux"), "concurrency": 1}))  # so that it takes a second
        command = [str(Path(sys.executable).with_name("tap-evolux")), "--config", str(config)]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=terminal.file, env=environment, timeout=60, check=False
        )
    written = terminal.close()
    assert done.returncode == 0
    assert re.search(r"studio_cdr [^\r]+ windows, \d+ %, \d+ rows", written)
    lines = [line for line in played(written) if line]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \| ", line) for line in lines), lines
    assert not any("of about" in line for line in lines)


def test_bars_are_for_a_terminal_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where nothing can be drawn, and not among the records of a run whose output is looked at."""

    def stream(*, terminal: bool) -> Any:
        return SimpleNamespace(isatty=lambda: terminal)

    told = {}
    for err, out, term in (
        (True, False, "xterm"),
        (False, False, "xterm"),
        (True, True, "xterm"),
        (True, False, "dumb"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream(terminal=err))
            patch.setattr(sys, "stdout", stream(terminal=out))
            patch.setenv("TERM", term)
            told[err, out, term] = progress._is_terminal()  # noqa: SLF001 - the decision is what counts
    assert [where for where, bars in told.items() if bars] == [(True, False, "xterm")]
