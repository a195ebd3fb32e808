"""One run of a tap in this process against a sandbox: what it wrote, how it ended, and what a target made of it.

Needs no pytest: it also serves to run a tap without a socket and without a wait.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import logging
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from trunkline.errors import OutputLost
from trunkline.steps.write import BlockWriter
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trunkline.doors.command import VendorTap
    from trunkline.steps.fetch.client import Client
    from trunkline_sandbox import Sandbox

UTC = timezone.utc
Key = tuple[Any, ...]
PROOFS = "window_proofs"
"""The stream that every tap has, of what is proven of the others."""

_MOMENT = 0.001  # seconds: other threads run meanwhile


class Killed(BaseException):
    """Ends a run in this process as `kill -9` ends a process: only `finally` sees it."""


class Output(io.RawIOBase):
    """The tap's output; may break, or raise a signal, after so many bytes.

    Args:
        limit: Bytes that get through.
        then: Called when the limit is reached; what it raises, the tap meets in `write`.
    """

    def __init__(self, limit: int | None = None, then: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.taken = bytearray()
        self._limit, self._then = limit, then

    def write(self, block: Any) -> int:
        """Take the block, or as much of it as fits."""
        data = bytes(block)
        if self._limit is not None and self._then and len(self.taken) + len(data) > self._limit:
            then, self._then = self._then, None
            kept = self.taken + data[: self._limit - len(self.taken)]
            try:
                then()
            except BaseException:
                self.taken = kept
                raise
        self.taken += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""


def disk_full() -> None:
    """Let a write fail as it does on a full disk or towards a target that is gone."""
    raise OSError(28, "No space left on device")


def killed() -> None:
    """End the run at once."""
    raise Killed


@dataclass
class Result:
    """The result of a run.

    Attributes:
        code: The exit code; None when it was killed.
        messages: The complete lines it wrote.
        log: Lines it logged.
    """

    code: int | None
    messages: list[dict[str, Any]]
    log: list[str] = field(default_factory=list)

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the messages of a kind, of the stream that is named, or of all but the proofs of their windows."""
        found = [m for m in self.messages if m["type"] == kind]
        return [m for m in found if (m.get("stream") == stream if stream else m.get("stream") != PROOFS)]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Return the records of a stream."""
        return [message["record"] for message in self.of("RECORD", stream)]

    @property
    def state(self) -> dict[str, Any] | None:
        """The last state."""
        states = self.of("STATE")
        return states[-1]["value"] if states else None


def timeless(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message without what differs from run to run: when its record was read and, of a proof, its window."""
    kept = {**message, "time_extracted": None}
    if message["type"] == "RECORD" and message["stream"] == PROOFS:
        proof = {**message["record"], **dict.fromkeys(("read_from", "read_to", "run_started"))}
        if proof["since"] == proof["until"]:  # of a full table, when it was read
            proof["since"] = proof["until"] = None
        kept["record"] = proof
    return kept


class Target:
    """The tables that a target made of the messages: upsert by the key that SCHEMA names."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, dict[str, Any]]] = {}
        self._keys: dict[str, list[str]] = {}

    def apply(self, message: Mapping[str, Any]) -> None:
        """Take one message."""
        if message["type"] == "SCHEMA":
            self._keys[message["stream"]] = message["key_properties"]
            self.tables.setdefault(message["stream"], {})
        elif message["type"] == "RECORD":
            record = message["record"]
            key = tuple(record[name] for name in self._keys[message["stream"]])
            self.tables[message["stream"]][key] = record


def parse(output: bytes) -> list[dict[str, Any]]:
    """Return the complete lines; a last one that was cut off is no line."""
    return [json.loads(line) for line in output[: output.rfind(b"\n") + 1].splitlines()]


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _listening(logger: logging.Logger) -> Iterator[_Log]:
    """Keep a tap's log lines, and keep them off the terminal."""
    handler, before, level = _Log(), logger.propagate, logger.level
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
        logger.setLevel(level)


@contextmanager
def sheltered() -> Iterator[None]:
    """Survive a signal that comes a moment after the tap has given its handlers back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_for_nothing(client: Client) -> None:
    """Let no limit, no pause and no wait between two tries take time: it passes on a clock of the client's own."""
    # Every look at the governor's clock finds it ten seconds on.
    leaps = itertools.count(0, 10)
    client.governor.clock = lambda: float(next(leaps))
    client.governor.wait = lambda changed, _: changed.wait(_MOMENT)
    client.wait = lambda cancelled, _: cancelled.wait(_MOMENT)


def _settle(box: Sandbox) -> None:
    """Let the responses end that no run waits for any more: what they set off belongs to this run, not to the next."""
    end = time.monotonic() + 30.0
    while box.requests.in_flight and time.monotonic() < end:
        time.sleep(0.001)


def run(  # noqa: PLR0913 - who, with what, when, from where and to where
    box: Sandbox,
    tap_type: type[VendorTap],
    config: Mapping[str, Any],
    *,
    at: datetime | None = None,
    state: Mapping[str, Any] | None = None,
    output: Output | None = None,
) -> Result:
    """Run a tap once, in this process and without a socket.

    Args:
        box: The vendors.
        tap_type: The tap of one of them.
        config: Settings on top of those that the sandbox needs.
        at: The run's start.
        state: State to continue from.
        output: Where it writes.

    Raises:
        Exception: Any error that ends the run but a lost output and `Killed`.
    """
    output = output or Output()
    logger = logging.getLogger(tap_type.name)
    settings = {name: value for name, value in {**box.config(tap_type.vendor), **config}.items() if value is not None}
    code: int | None
    with _listening(logger) as log, sheltered():
        tap = tap_type(
            config=settings,
            state=copy.deepcopy(dict(state or {})),
            transport=SandboxAdapter(box, sleep=lambda _: None),
            run_start=at or datetime(2026, 6, 1, tzinfo=UTC),
            message_writer=BlockWriter(output),  # type: ignore[arg-type]
        )
        wait_for_nothing(tap.client)
        try:
            code = tap.run()
        except OutputLost:
            code = 1
        except Killed:
            code = None
        finally:
            _settle(box)
    return Result(code, parse(bytes(output.taken)), log.lines)


def bookmark(state: Mapping[str, Any] | None, stream: str, partition: str = "") -> datetime | None:
    """Return the bookmark of a stream, or of one campaign of it, read from a state."""
    entry = ((state or {}).get("bookmarks") or {}).get(stream) or {}
    if partition:
        parts = entry.get("partitions") or []
        entry = next((part for part in parts if partition in part["context"].values()), {})
    text = entry.get("replication_key_value")
    return None if text is None else instant(text)


def instant(text: str) -> datetime:
    """Read an ISO 8601 text as an instant; zone-less ones are UTC, and Python 3.10 is helped with `Z` and fractions."""
    text = text.replace("Z", "+00:00").replace(" ", "T")
    head, dot, tail = text.partition(".")
    if dot:
        digits = "".join(itertools.takewhile(str.isdigit, tail))
        text = f"{head}.{digits.ljust(6, '0')[:6]}{tail[len(digits) :]}"
    value = datetime.fromisoformat(text)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
