"""Counting what came out of a reader: messages, their bytes, and rows that differ."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.jobs import KEYS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Output:
    """The counts of a reader's output.

    Attributes:
        messages: How many of each type.
        largest_state: Bytes of the longest STATE line.
        state_bytes: Bytes of all STATE lines.
        keys: For each stream, the keys of its records; empty unless they are counted.
    """

    messages: Counter[str] = field(default_factory=Counter)
    largest_state: int = 0
    state_bytes: int = 0
    keys: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Records."""
        return self.messages["RECORD"]

    @property
    def distinct(self) -> int:
        """Records that differ by key, over all streams."""
        return sum(len(keys) for keys in self.keys.values())


_TYPES = {kind: (f'"type":"{kind}"'.encode(), f'"type": "{kind}"'.encode()) for kind in ("RECORD", "STATE", "SCHEMA")}


def read(path: Path, *, keys: bool = False) -> Output:
    """Count the lines of a file; the messages of Singer and of Airbyte are both known.

    Args:
        path: What a reader wrote.
        keys: Also collect the keys of the records, which takes longer.
    """
    output = Output()
    with path.open("rb") as lines:
        for line in lines:
            kind = _kind(line)
            output.messages[kind] += 1
            if kind == "STATE":
                output.largest_state = max(output.largest_state, len(line))
                output.state_bytes += len(line)
            elif kind == "RECORD" and keys:
                stream, key = _key(line)
                output.keys.setdefault(stream, set()).add(key)
    return output


def _kind(line: bytes) -> str:
    head = line[:40]
    for kind, marks in _TYPES.items():
        if marks[0] in head or marks[1] in head:
            return kind
    return "other"


def _key(line: bytes) -> tuple[str, tuple[Any, ...]]:
    message = json.loads(line)
    record = message["record"]
    stream = message.get("stream") or record["stream"]
    row = record if "stream" in message else record["data"]
    return stream, tuple(row[name] for name in KEYS[stream])
