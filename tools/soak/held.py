"""Differences between the promises of a run and the rows of a file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from trunkline.instants import EPOCH
from trunkline_contract import warehouse

if TYPE_CHECKING:
    from pathlib import Path


def acknowledged(folder: Path, vendor: str) -> dict[str, set[tuple[Any, ...]]] | None:
    """Return the keys of the records, by stream, that a run's last acknowledged state stands behind.

    Args:
        folder: The run's, with what the tap wrote and the states that the target passed on.
        vendor: Its name.

    Returns:
        The keys; None when the tap never wrote that state.
    """
    states = _whole_lines(folder / "target.jsonl")
    keys: dict[str, set[tuple[Any, ...]]] = {}
    if not states:
        return keys
    last = json.loads(states[-1])
    for line in _whole_lines(folder / "tap.jsonl"):
        message = json.loads(line)
        if message["type"] == "RECORD" and (vendor, message["stream"]) in warehouse.KEYS:  # else the tap's own: proofs
            stream, record = message["stream"], message["record"]
            key = tuple(_comparable(record[name]) for name in warehouse.KEYS[vendor, stream])
            keys.setdefault(stream, set()).add(key)
        elif message["type"] == "STATE" and message["value"] == last:
            return keys
    return None


def _comparable(value: Any) -> Any:
    """Write an instant as microseconds, as they are read from the file."""
    plain = warehouse.canonical(value)
    return (plain - EPOCH) // timedelta(microseconds=1) if isinstance(plain, datetime) else plain


def _whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def tracebacks(folder: Path) -> list[str]:
    """Name the logs of a run that have a traceback."""
    logs = [folder / f"{which}.log" for which in ("tap", "target")]
    return [f"{log.name} has a traceback" for log in logs if b"Traceback" in log.read_bytes()]


def differences(truth: warehouse.Rows, held: warehouse.Rows) -> list[str]:
    """Return rows that are lost, that should not be there, and that differ from the vendor's; a few of each."""
    lost, extra = sorted(truth.keys() - held.keys(), key=str), sorted(held.keys() - truth.keys(), key=str)
    other = [key for key in truth if key in held and truth[key] != held[key]]
    found = [
        f"{len(keys)} rows are {what}: {', '.join(map(str, keys[:5]))}"
        for keys, what in ((lost, "lost"), (extra, "not the vendor's"))
        if keys
    ]
    if other:
        found.append(f"{len(other)} rows have other values than the vendor's")
    for key in other[:5]:
        names = [name for name in {**truth[key], **held[key]} if truth[key].get(name) != held[key].get(name)]
        pairs = [f"{name}: vendor {truth[key].get(name)!r}, file {held[key].get(name)!r}" for name in names]
        found.append(f"{key}: {'; '.join(pairs)}"[:500])
    return found
