r"""The statements of a batch: every name in them went through `quoted`.

A staged line is a JSON array. Without its brackets, it is what COPY reads as CSV with `"` as the quote and a backslash
as the escape character, but for control characters, which JSON writes as `\n` or `\u001f`.
"""

# ruff: noqa: S608 - every name is quoted

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trunkline_loader.columns import quoted
from trunkline_postgres.columns import JSONB, NUMERIC, TEXT, TIMESTAMPTZ, TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline_loader.records import Codec

STAGE = "trunkline_batch"
"""The temporary table of one batch."""

_CHUNK = 1 << 20  # bytes that are made ready at once
_MAYBE_CONTROL = re.compile(rb'\\[^"\\]')  # or an escaped backslash before a letter
_UNICODE = re.compile(rb"\\u00([01][0-9a-f]|7f)")
_CONTROLS = ((rb"\n", b"\n"), (rb"\r", b"\r"), (rb"\t", b"\t"), (rb"\b", b"\b"), (rb"\f", b"\f"))
_ISO = "to_char({}::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


def stage_table(codec: Codec) -> str:
    """Return the statement that makes the temporary table for a batch, gone with the transaction."""
    columns = ", ".join(["n bigint", *(f"{codec.place(column)} {column.stored}" for column in codec.staged)])
    return f"CREATE TEMPORARY TABLE {STAGE} ({columns}) ON COMMIT DROP"


COPY = f"COPY pg_temp.{STAGE} FROM STDIN (FORMAT csv, QUOTE '\"', ESCAPE '\\', NULL 'null')"


def csv(lines: bytearray) -> Iterator[bytes]:
    """Yield staged lines as COPY reads them, in parts that end with a line."""
    start = 0
    while start < len(lines):
        end = lines.find(b"\n", start + _CHUNK)
        part = bytes(lines[start : end + 1 if end >= 0 else len(lines)])
        start += len(part)
        part = part[1:-2].replace(b"]\n[", b"\n") + b"\n"
        yield _with_controls(part) if _MAYBE_CONTROL.search(part) else part


def _with_controls(part: bytes) -> bytes:
    """Return a part with the characters in the place of their escapes."""
    part = part.replace(rb"\\", b"\0")  # no NUL character comes so far
    for escape, control in _CONTROLS:
        part = part.replace(escape, control)
    if rb"\u" in part:
        part = _UNICODE.sub(lambda found: bytes([int(found[1], 16)]), part)
    return part.replace(b"\0", rb"\\")


def insert(codec: Codec, into: str, *, append: bool) -> str:
    """Return the statement that brings a batch into the table. Of several records with one key the last one stays.

    Args:
        codec: What staged the lines.
        into: The table, qualified.
        append: Whether every record is a row of its own, even with a key that is there.
    """
    pairs = [(quoted(column.name), f"{codec.place(column)}::{column.stored}") for column in codec.staged]
    pairs += [(quoted(column.name), f"{value}::{column.stored}") for column, value in codec.filled]
    names, values = ", ".join(name for name, _ in pairs), ", ".join(value for _, value in pairs)
    keyed = [column for column in codec.columns if column.declared.name in codec.keys]
    if append or not keyed:
        return f"INSERT INTO {into} ({names}) SELECT {values} FROM pg_temp.{STAGE} ORDER BY n"
    places = ", ".join(codec.place(column) for column in keyed)
    keys = [quoted(column.name) for column in keyed]
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name, _ in pairs if name not in keys)
    # In the order of the key: two writers lock the rows that they share in the same order.
    return (
        f"INSERT INTO {into} ({names}) SELECT DISTINCT ON ({places}) {values} FROM pg_temp.{STAGE} "
        f"ORDER BY {places}, n DESC ON CONFLICT ({', '.join(keys)}) "
        + (f"DO UPDATE SET {changes}" if changes else "DO NOTHING")
    )


def conversion(name: str, stored: str, target: str) -> str:
    """Return SQL that turns a stored value into its like in a wider type."""
    if TYPES.widened(stored, TIMESTAMPTZ) == TIMESTAMPTZ and target in {TEXT, JSONB}:
        return f"to_jsonb({_ISO.format(name)})" if target == JSONB else _ISO.format(name)
    if target == JSONB and stored != "json":
        return f"to_jsonb({name})"
    if target == NUMERIC:  # a double becomes the number that it is written as, not the 15 digits of its cast
        return f"{name}::text::numeric"
    return f"{name}::{target}"
