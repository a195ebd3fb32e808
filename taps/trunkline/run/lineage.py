"""OpenLineage: events, to a catalog or a file, that a run began, how it ended, and which windows are proven.

It is configured as for any other tool: by `OPENLINEAGE_URL`, by variables that begin with `OPENLINEAGE__`, or by a file
`openlineage.yml`. Nothing of it is loaded without that. A thread of its own loads the library and sends, so a collector
that refuses or hangs costs a run a warning, and a few seconds at its end.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.errors import TrunklineError
from trunkline.exact import encode
from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from trunkline.run.lineage_events import Report
    from trunkline.run.run import Run
    from trunkline.run.stream_run import StreamRun

PATIENCE = 5.0
"""Seconds that a run waits at its end for what is not sent yet."""

AFTER_SIGNAL = 1.0
"""The same after a signal, whose sender waits for the process to end."""

MOST_SPANS = 1000
"""Spans of a stream that are listed one by one; where there are more, neighbours are joined."""


def is_configured() -> bool:
    """Return whether OpenLineage is configured for this process, and not switched off."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    names = [name for name, value in os.environ.items() if value]
    if any(name in {"OPENLINEAGE_URL", "OPENLINEAGE_CONFIG"} or name.startswith("OPENLINEAGE__") for name in names):
        return True
    folders = ("", os.path.expanduser("~/.openlineage"))  # noqa: PTH111 - Path raises where there is no home
    return any(Path(folder, "openlineage.yml").is_file() for folder in folders)


@contextmanager
def send_events(run: Run) -> Iterator[Callable[[Report], None] | None]:
    """Send the events of a run while it lasts, where OpenLineage is configured.

    Yields:
        What takes the report of the run at its end; None where nothing is to be sent.
    """
    if not is_configured():
        yield None
        return
    sender = _Sender(run)
    try:
        yield sender.finish
    finally:
        sender.wait()


class _Sender:
    def __init__(self, run: Run) -> None:
        self._tap, self._spans = run.tap, ProvenSpans()
        run.note_proof = self._spans.note
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._patience = PATIENCE
        self._problem = ""
        self._thread = threading.Thread(target=self._send, name="openlineage", daemon=True)
        self._thread.start()

    def finish(self, report: Report) -> None:
        """Take the report of the run."""
        self._patience = AFTER_SIGNAL if report["signal"] else PATIENCE
        self._reports.put(report)

    def wait(self) -> None:
        """Wait for what is not sent yet, and log what could not be."""
        self._reports.put(None)  # a run may end without a report
        self._thread.join(self._patience)
        problem = f"it took more than {self._patience:g} s" if self._thread.is_alive() else self._problem
        if problem:
            line = "OpenLineage: not all events of this run were sent, which changes nothing else: %s. Check %s"
            self._tap.logger.warning(line, problem, "OPENLINEAGE_URL, or openlineage.yml and what receives them")

    def _send(self) -> None:
        try:
            from trunkline.run.lineage_events import Events

            events = Events(self._tap)
        except ModuleNotFoundError as exc:
            self._problem = f"{exc.name} is not installed; pip install 'trunkline[openlineage]' brings it"
            return
        except Exception as exc:  # noqa: BLE001 - whatever the configuration leads to
            self._problem = _reason(exc)
            return
        self._try(events.begin)
        report = self._reports.get()
        if report:
            self._try(events.end, report, self._spans.by_stream)
        self._try(events.close)

    def _try(self, send: Callable[..., None], *facts: Any) -> None:
        try:
            send(*facts)
        except Exception as exc:  # noqa: BLE001 - whatever happens on the way
            self._problem = _reason(exc)


class ProvenSpans:
    """The spans that were proven, by stream and partition; their number stays bounded."""

    def __init__(self) -> None:
        self.by_stream: dict[str, dict[str, list[tuple[datetime, datetime]]]] = {}

    def note(self, run: StreamRun, context: Mapping[str, Any], since: datetime, until: datetime) -> None:
        """Add a span."""
        parts = self.by_stream.setdefault(run.stream.name, {})
        spans = parts.setdefault(redactor(encode(dict(context)).decode()), [])
        spans.append((since, until))
        if len(spans) > max(MOST_SPANS // len(parts), 1):
            spans[:] = _joined(spans)


def _joined(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the spans, each second one joined with the one before where they adjoin."""
    joined: list[tuple[datetime, datetime]] = []
    for number, (since, until) in enumerate(spans):
        if number % 2 and joined[-1][1] == since:
            joined[-1] = joined[-1][0], until
        else:
            joined.append((since, until))
    return joined


def _reason(error: Exception) -> str:
    """Describe an error without a library's own words: they may hold a URL with a password."""
    if isinstance(error, TrunklineError):
        return error.why
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"the collector responded with HTTP status {status}"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if type(reason).__name__ == "ResponseError":  # urllib3's, of a status that was tried again
        return str(reason)
    system = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return getattr(system, "strerror", None) or type(error).__name__
