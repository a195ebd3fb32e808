"""First step: the proofs that a loader holds, of each stream and partition."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.errors import TrunklineError
from trunkline_commands.verify.facts import PROOFS
from trunkline_loader.columns import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline_commands.verify.databases import Database

_TIMES = ("since", "until", "read_from", "read_to", "run_started")
_COUNTS = ("rows", "rows_within")


@dataclass(frozen=True)
class Proof:
    """A row of `window_proofs`; its times are microseconds since 1970, UTC.

    Args:
        stream: The stream.
        partition: The partition, as names and values.
        since: Where the span begins.
        until: Where it ends (exclusive); of a full table the same.
        read_from: When reading began.
        read_to: When it ended.
        run: When the run began.
        rows: Different keys that were written.
        within: Those of them that lie in the span.
    """

    stream: str
    partition: tuple[tuple[str, str], ...]
    since: int
    until: int
    read_from: int
    read_to: int
    run: int
    rows: int
    within: int


def read_proofs(database: Database, schema: str) -> list[Proof]:
    """Read all proofs of a schema.

    Raises:
        TrunklineError: The table lacks a column, or a row is no proof.
    """
    columns = database.columns(schema, PROOFS)
    names = {name: database.found(name, columns) for name in ("stream", "partition", *_TIMES, *_COUNTS)}
    missing = [name for name, found in names.items() if found is None]
    if missing:
        raise _unreadable(schema, f"it has no column {missing[0]}")
    at = [database.micros(quoted(str(names[name])), columns[str(names[name])]) for name in _TIMES]
    listed = ", ".join([*(quoted(str(names[name])) for name in ("stream", "partition", *_COUNTS)), *at])
    place = database.qualified(schema, PROOFS)
    try:
        return [_proof(row) for row in database.rows(f"SELECT DISTINCT {listed} FROM {place}")]  # noqa: S608 - quoted
    except (TypeError, ValueError, AttributeError):
        raise _unreadable(schema, "a row of it is no proof") from None


def _proof(row: Sequence[object]) -> Proof:
    stream, partition, *numbers = row
    named = partition if isinstance(partition, dict) else json.loads(str(partition or "{}"))
    parts = tuple(
        sorted((name, value if isinstance(value, str) else json.dumps(value)) for name, value in named.items())
    )
    rows, within, since, until, read_from, read_to, run = (int(str(number)) for number in numbers)
    return Proof(str(stream), parts, since, until, read_from, read_to, run, rows, within)


def _unreadable(schema: str, why: str) -> TrunklineError:
    return TrunklineError(
        f"the proofs in schema {schema} can't be read",
        why,
        f"Load the stream {PROOFS} again, as the tap writes it",
        code="no-proofs",
    )
