"""The report of a run (`run_report`): what every stream came to as JSON, and its figures as OpenMetrics text.

Both are written when the run ends, also when it failed or a signal ended it, and each at once: a reader sees
the report of the run before or the new one, never half of it. What stands in them comes from the tap
itself: no record, no credentials, and of an error of no known kind only its kind, as its words may quote a record.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from trunkline import instants
from trunkline.errors import OutputLost, Stopped, TrunklineError
from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from trunkline.run.run import Run
    from trunkline.run.stream_run import PartitionProgress, StreamRun
    from trunkline.steps.fetch.client import Tally

FORMAT = 1
"""Number of the report's form: it changes when a name is taken away or means something else."""

_UNFORESEEN = "Read the tap's log: its lines on this may quote a record, so it is not repeated here"


@dataclass
class ExitStatus:
    """Facts that the run itself does not know when the report is written.

    Args:
        exit_code: The process's exit code.
        error: What ended the whole run, if anything did.
    """

    exit_code: int = 1
    error: BaseException | None = None


@contextmanager
def write_report(
    run: Run, also: Callable[[Mapping[str, Any]], None] | None = None, now: Callable[[], datetime] | None = None
) -> Iterator[ExitStatus]:
    """Write the report of a run when it ends, however it ends, if `run_report` is set.

    A report that can't be written in the end is logged; what was read is as good as without it, so the exit
    code stays.

    Args:
        run: The run.
        also: Takes the report too, whether or not it is written.
        now: The time, aware.
    """
    now = now or (lambda: datetime.now(instants.UTC))
    status, started, began, alone = ExitStatus(), now(), time.monotonic(), threading.Lock()

    def write(status: ExitStatus) -> None:
        path = run.tap.config.get("run_report")
        if not (path or also) or not alone.acquire(blocking=False):
            return
        report = build(run, status, started, now(), time.monotonic() - began)
        if also:
            also(report)
        try:
            if path:
                save(report, Path(path), started)
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
            run.logger.error(  # noqa: TRY400 - one line, no traceback
                "the report of the run could not be written: %s. Check the folder that run_report names", reason
            )

    run.last_words = lambda signum: write(ExitStatus(128 + signum))
    try:
        yield status
    except BaseException as exc:
        status.error, status.exit_code = exc, _exit_code(exc, run.stop)
        raise
    finally:
        write(status)


def _exit_code(error: BaseException, signum: int | None) -> int:
    if isinstance(error, Stopped):
        signum = error.signum
    # Who ends a pipeline by a signal may close it first.
    if signum is not None and isinstance(error, (Stopped, OutputLost)):
        return 128 + signum
    return 130 if isinstance(error, KeyboardInterrupt) else 1


# -- its content -----------------------------------------------------------------------------------


def build(run: Run, status: ExitStatus, started: datetime, ended: datetime, seconds: float) -> dict[str, Any]:
    """Make the report.

    Args:
        run: The run, at its end.
        status: How the process ends.
        started: When it began.
        ended: When it ended.
        seconds: How long it took, by a monotonic clock.

    Returns:
        JSON's own types; docs/watching.md explains each name.
    """
    streams = [_stream(run, stream) for stream in run.runs]
    read = {stream["stream"] for stream in streams}
    streams += [
        _unread(stream.name) for stream in run.tap.ordered_streams() if stream.selected and stream.name not in read
    ]
    stopped = status.exit_code - 128 if status.exit_code > 128 else None  # noqa: PLR2004 - as shells count
    verdict = "complete" if not status.exit_code else "stopped" if stopped else "failed"
    return {
        "format": FORMAT,
        "tap": run.tap.name,
        "version": run.tap.get_plugin_version(),
        "run_started": instants.to_iso(run.tap.run_start),
        "started": instants.to_iso(started),
        "ended": instants.to_iso(ended),
        "seconds": round(seconds, 3),
        "verdict": verdict,
        "exit_code": status.exit_code,
        "signal": stopped,
        "error": None if status.error is None or isinstance(status.error, Stopped) else _cause(status.error),
        "peak_memory_bytes": peak_memory(),
        "rows": sum(stream["rows"] for stream in streams),
        **_counted(run.tap.client.tally),
        "streams": streams,
    }


def _stream(run: Run, stream: StreamRun) -> dict[str, Any]:
    partitions = [(context, partition) for context, partition in stream.partitions if context]
    whole = next((partition for context, partition in stream.partitions if not context), None)
    if stream.causes:
        verdict = "failed"
    elif stream.ended:
        verdict = "complete"
    else:
        verdict = "stopped" if stream.current else "not read"
    tallies = run.tap.client.tallies
    return {
        "stream": stream.stream.name,
        "verdict": verdict,
        "rows": stream.rows,
        **_counted(stream.tally(tallies)),
        "windows": sum(partition.windows for _, partition in stream.partitions) + bool(stream.whole),
        **_span("proven", (stream.whole, stream.whole) if stream.whole else whole.proven if whole else None),
        **_span("unproven", whole.unproven if whole else None),
        "from": _iso(stream.first),
        "to": _iso(stream.last),
        "complete_up_to": _iso(stream.complete_up_to),
        "bookmark_before": _iso(whole.before if whole else None),
        "bookmark_after": _iso(whole.bookmark.value if whole else None),
        "missing_details": stream.missing,
        "unknown_fields": {redactor(name): count for name, count in sorted(stream.shape.unknown.items())},
        "notes": [redactor(note) for note in stream.notes],
        "failures": [
            {"partition": _context(context), **_cause(error), **_span("unproven", stream.unproven(context))}
            for context, error in stream.causes
        ],
        "partitions": [
            _partition(stream, context, partition, stream.tally(tallies, context))
            for context, partition in partitions
            # A lookup is a partition too, but keeps no bookmark: one that failed is among the failures.
            if stream.stream.replication_method == REPLICATION_INCREMENTAL
        ],
    }


def _partition(
    stream: StreamRun, context: Mapping[str, Any], partition: PartitionProgress, tally: Tally
) -> dict[str, Any]:
    failed = any(dict(context) == where for where, _ in stream.causes)
    # They are read in order: what stands before the one at hand was read to its end.
    passed = stream.current is not None and partition.number < stream.current.number
    whole = passed or (stream.ended and not stream.failure)
    return {
        "partition": _context(context),
        "verdict": "failed" if failed else "complete" if whole else "stopped",
        "rows": partition.rows,
        **_counted(tally),
        "windows": partition.windows,
        **_span("proven", partition.proven),
        **_span("unproven", partition.unproven),
        "from": _iso(partition.first),
        "to": _iso(partition.last),
        "complete_up_to": _iso(partition.complete_up_to),
        "bookmark_before": _iso(partition.before),
        "bookmark_after": _iso(partition.bookmark.value),
    }


def _unread(name: str) -> dict[str, Any]:
    """Describe a stream that the run did not come to."""
    nothing: dict[str, Any] = dict.fromkeys(("from", "to", "complete_up_to", "bookmark_before", "bookmark_after"))
    return {
        "stream": name,
        "verdict": "not read",
        **dict.fromkeys(("rows", "pages", "requests", "retries"), 0),
        "waited_seconds": 0.0,
        "windows": 0,
        **_span("proven", None),
        **_span("unproven", None),
        **nothing,
        "missing_details": 0,
        "unknown_fields": {},
        "notes": [],
        "failures": [],
        "partitions": [],
    }


def _counted(tally: Tally) -> dict[str, Any]:
    return {
        "pages": tally.responses,
        "requests": tally.requests,
        "retries": tally.retries,
        "waited_seconds": round(float(tally.waited), 3),
    }


def _cause(error: BaseException) -> dict[str, str]:
    if isinstance(error, TrunklineError):
        words = {"what": error.what, "why": error.why, "remedy": error.remedy}
        return {"code": error.code, **{name: redactor(text) for name, text in words.items()}}
    return {"code": "unexpected", "what": f"unexpected {type(error).__name__}", "why": "", "remedy": _UNFORESEEN}


def _context(context: Mapping[str, Any]) -> dict[str, str]:
    return {name: redactor(str(value)) for name, value in context.items()}


def _span(name: str, span: tuple[datetime, datetime] | None) -> dict[str, str | None]:
    since, until = span or (None, None)
    return {f"{name}_from": _iso(since), f"{name}_to": _iso(until)}


def _iso(instant: datetime | None) -> str | None:
    return instants.to_iso(instant) if instant else None


def peak_memory() -> int | None:
    """Return the most memory this process had at once, in bytes; None where the system does not report it."""
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


# -- OpenMetrics -----------------------------------------------------------------------------------

_RUN: tuple[tuple[str, str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("exit_code", "Exit code of the last run; 0 only if all was well.", lambda r: r["exit_code"]),
    ("started_timestamp_seconds", "When the last run began.", lambda r: _epoch(r["started"])),
    ("ended_timestamp_seconds", "When the last run ended.", lambda r: _epoch(r["ended"])),
    ("duration_seconds", "How long the last run took.", lambda r: r["seconds"]),
    ("peak_memory_bytes", "Most memory the last run had at once.", lambda r: r["peak_memory_bytes"]),
)
_FIGURES: tuple[tuple[str, str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("complete", "1 if it was read to its end in the last run.", lambda s: int(s["verdict"] == "complete")),
    ("rows", "Records written in the last run.", lambda s: s["rows"]),
    ("pages", "Responses of the vendor in the last run.", lambda s: s["pages"]),
    ("requests", "Requests sent in the last run.", lambda s: s["requests"]),
    ("retries", "Second and later tries in the last run.", lambda s: s["retries"]),
    ("waited_seconds", "Waited for the vendor in the last run, over all requests.", lambda s: s["waited_seconds"]),
    ("windows", "Windows shown to be complete in the last run.", lambda s: s["windows"]),
    (
        "proven_timestamp_seconds",
        "Where what the last run proved ends.",
        lambda s: _epoch(s["proven_to"]),
    ),
    ("latest_timestamp_seconds", "Latest instant proven in the last run.", lambda s: _epoch(s["to"])),
    ("bookmark_timestamp_seconds", "The bookmark after the last run.", lambda s: _epoch(s["bookmark_after"])),
)
_UNITS = ("seconds", "bytes")


def openmetrics(report: Mapping[str, Any]) -> str:
    """Return the figures of a report as OpenMetrics text, which collectors of the older Prometheus form read too.

    All are gauges: they are of the last run, and the next one's may be smaller.
    """
    lines: list[str] = []
    tap = {"tap": report["tap"]}
    _family(lines, "build_info", "Release of the tap.", [({**tap, "version": report["version"]}, 1)])
    for name, text, value in _RUN:
        _family(lines, f"run_{name}", text, [(tap, value(dict(report)))])
    streams = [({**tap, "stream": stream["stream"]}, stream) for stream in report["streams"]]
    parts = [
        ({**labels, "partition": ",".join(part["partition"].values())}, part)
        for labels, stream in streams
        for part in stream["partitions"]
    ]
    for kind, entries in (("stream", streams), ("partition", parts)):
        for name, text, value in _FIGURES:
            _family(lines, f"{kind}_{name}", text, [(labels, value(entry)) for labels, entry in entries])
    return "\n".join([*lines, "# EOF", ""])


def _family(lines: list[str], name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> None:
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return
    name = f"trunkline_{name}"
    lines.append(f"# TYPE {name} gauge")
    lines.extend(f"# UNIT {name} {unit}" for unit in _UNITS if name.endswith(f"_{unit}"))
    lines.append(f"# HELP {name} {text}")
    for labels, value in known:
        pairs = ",".join(f'{label}="{_escaped(content)}"' for label, content in labels.items())
        lines.append(f"{name}{{{pairs}}} {value!r}")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _epoch(text: str | None) -> float | None:
    return instants.from_iso(text).timestamp() if text else None


# -- where it goes ---------------------------------------------------------------------------------


def places(path: Path, tap: str, started: datetime) -> tuple[Path, Path]:
    """Return the files of a report: JSON, and OpenMetrics text.

    Args:
        path: The setting: a file, whose metrics stand beside it under the suffix `.prom`; or a folder, in which each
            run gets a JSON file of its own and each tap one file of metrics, that of its last run.
        tap: The tap's name.
        started: When the run began.
    """
    path = path.resolve()
    if path.is_dir():
        moment = started.astimezone(instants.UTC).strftime("%Y%m%dT%H%M%SZ")
        return path / f"{tap}-{moment}-{os.getpid()}.json", path / f"{tap}.prom"
    return path, path.with_suffix(".prom") if path.suffix == ".json" else path.with_name(f"{path.name}.prom")


def save(report: Mapping[str, Any], path: Path, started: datetime) -> None:
    """Write a report and its figures.

    Raises:
        OSError: They could not be written.
    """
    facts, figures = places(path, report["tap"], started)
    _replace(facts, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    _replace(figures, openmetrics(report).encode())


def _replace(path: Path, content: bytes) -> None:
    """Put a file in its place at once, by a rename inside its folder."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


__all__ = ["FORMAT", "ExitStatus", "build", "openmetrics", "peak_memory", "places", "save", "write_report"]
