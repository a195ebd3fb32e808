"""Contents that a warehouse must hold: each vendor's rows made into records once more, by the contract and its pages.

An oracle for tests and for the commands that compare: nothing of the taps is used here. Both sides are brought to one
form: an instant is an aware datetime, nested values are objects and lists, and a null is left out, so that
`expected(...) == duckdb_rows(...)` compares field by field.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from trunkline_sandbox import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from trunkline_sandbox import Sandbox

Row = dict[str, Any]
Rows = dict[Any, Row]

KEYS = {
    ("bspk", "calls"): ("call_key",),
    ("bspk", "messages"): ("message_key",),
    ("bspk", "emails"): ("email_key",),
    ("bspk", "notes"): ("note_key",),
    ("bspk", "appointments"): ("appointment_key",),
    ("bspk", "reminders"): ("reminder_key",),
    ("bspk", "slices"): ("slice_key",),
    ("bspk", "sales_associates"): ("sales_associate_key",),
    ("bspk", "clients"): ("client_id",),
    ("conpeek", "voice_campaign_requests"): ("id",),
    ("conpeek", "cdr_dialogs"): ("dialog_uuid",),
    ("evolux", "studio_calls"): ("id",),
    ("evolux", "studio_cdr"): ("call_id",),
    ("evolux", "dialer_calls"): ("id",),
    ("evolux", "agent_pauses"): ("agent_id", "time_start"),
    ("evolux", "agents"): ("id",),
    ("evolux", "queues"): ("id",),
    ("evolux", "queue_calls"): ("call_id",),
    ("hostedsuite", "calls"): ("Id",),
    ("hostedsuite", "clients"): ("Id",),
    ("hostedsuite", "centers"): ("Id",),
    ("hostedsuite", "charges"): ("Id",),
    ("hostedsuite", "reservations"): ("Id",),
    ("switchtransact", "contacts"): ("id",),
    ("switchtransact", "contact_lookups"): ("kind", "value"),
    ("switchtransact", "agents"): ("id",),
    ("switchtransact", "branches"): ("id",),
    ("switchtransact", "lookups"): ("type", "category", "title"),
}
"""Every stream that is selected by default, with its primary key, as the contract has it."""

UNSELECTED = {("bspk", "clients"), ("hostedsuite", "contacts"), ("switchtransact", "transactions")}
"""Streams that are loaded only when somebody selects them."""

LOADED = {stream: key for stream, key in KEYS.items() if stream not in UNSELECTED}
"""Keys of those that are loaded by default."""

TIMES = {
    ("bspk", "calls"): "created_at",
    ("conpeek", "voice_campaign_requests"): "changed_at",
    ("evolux", "studio_calls"): "start_time",
    ("evolux", "studio_cdr"): "call_start_time",
    ("evolux", "dialer_calls"): "start_time",
    ("evolux", "agent_pauses"): "time_start",
    ("evolux", "queue_calls"): "date_join",
    ("hostedsuite", "calls"): "StartTime",
    ("hostedsuite", "charges"): "DateLastModified",
    ("hostedsuite", "reservations"): "DateLastModified",
}
"""The replication keys: a row that is older than the taps' start_date is left out."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_SECRET = re.compile("token|password|secret", re.IGNORECASE)


def expected(sandbox: Sandbox, vendor: str, stream: str, since: datetime | None = None) -> Rows:
    """Return the records of the rows that the vendor holds, by key.

    Args:
        sandbox: Where the vendor is.
        vendor: Its name.
        stream: Which rows.
        since: The taps' start_date; all rows when None.
    """
    rows = by_key(vendor, stream, _EXPECT[stream if stream in _EXPECT else vendor](sandbox, vendor, stream))
    time = TIMES.get((vendor, stream))
    return {key: row for key, row in rows.items() if not since or not time or row[time] >= since}


def duckdb_rows(path: Path, vendor: str, stream: str) -> Rows:
    """Return a stream's rows in a DuckDB file, by key, without the loader's columns. An instant is a TIMESTAMPTZ."""
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
            "AND NOT starts_with(column_name, '_sdc_')",
            [f"tap_{vendor}", stream],
        ).fetchall()
        # The Python client would need pytz for the zone: as epoch microseconds a time needs nothing.
        picked = [f'epoch_us("{name}")' if kind == _INSTANT else f'"{name}"' for name, kind in columns]
        rows = connection.execute(f'SELECT {", ".join(picked)} FROM "tap_{vendor}"."{stream}"').fetchall()  # noqa: S608 - names of our own
    made = [{name: _from_duckdb(kind, value) for (name, kind), value in zip(columns, row, strict=True)} for row in rows]
    return by_key(vendor, stream, made)


_INSTANT = "TIMESTAMP WITH TIME ZONE"


def postgres_rows(url: str, vendor: str, stream: str) -> Rows:
    """Return a stream's rows in a PostgreSQL database, by key, without the loader's columns; needs psycopg."""
    import psycopg

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "tap_{vendor}"."{stream}"')  # noqa: S608 - names of our own
        names = [column.name for column in cursor.description or ()]
        made = [
            {name: value for name, value in zip(names, row, strict=True) if not name.startswith("_sdc_")}
            for row in cursor
        ]
    return by_key(vendor, stream, made)


def instant(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is UTC, as on the vendors' pages."""
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"no time: {text}")
    day, clock, fraction, zone = found.groups()
    # 3.10's fromisoformat knows neither Z nor fractions of any length.
    whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in (None, 'Z') else zone}")
    return whole.replace(microsecond=int((fraction or ".0")[1:].ljust(6, "0"))).astimezone(timezone.utc)


# -- one form ----------------------------------------------------------------------------------------------------------


def by_key(vendor: str, stream: str, rows: Iterable[Row]) -> Rows:
    """Return rows in the one form, by key.

    Raises:
        ValueError: Two rows have the same key.
    """
    key = KEYS[vendor, stream]
    made: Rows = {}
    for row in rows:
        plain = {name: canonical(value) for name, value in row.items() if value is not None}
        if isinstance(plain.get("custom"), str):  # Conpeek's: a text that holds JSON, however it is spaced
            plain["custom"] = ("text", json.loads(plain["custom"]))
        at = tuple(plain[name] for name in key)
        if at in made:
            raise ValueError(f"{vendor} {stream}: two rows with the key {at}")
        made[at] = plain
    return made


def canonical(value: Any) -> Any:
    """Return a value in the form that both sides have."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        return instant(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    if isinstance(value, dict):
        return {name: canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else value


def _from_duckdb(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == _INSTANT:
        return datetime.fromtimestamp(value // 1_000_000, timezone.utc).replace(microsecond=value % 1_000_000)
    return json.loads(value) if kind == "JSON" else value


# -- the vendors -------------------------------------------------------------------------------------------------------


def _as_sent(sandbox: Sandbox, vendor: str, stream: str) -> list[Row]:
    return sandbox.truth(vendor, stream)


_CONTACT = ("sales_associate_id", "client_id", "created_at")
_HASHED = {
    "messages": ("sales_associate_id", "client_id", "channel", "created_at"),
    "slices": ("created_by_sales_associate_id", "created_at"),
    "sales_associates": ("username", "created_at"),
}
"""Fields that the keys of BSPK's streams are made from, where it is not the contact."""


def _bspk(sandbox: Sandbox, vendor: str, stream: str) -> list[Row]:
    rows, (key,) = sandbox.truth(vendor, stream), KEYS[vendor, stream]
    if stream == "clients":
        return [row for row in rows if row["client_id"] is not None]
    for row in rows:
        parts = [row[name] for name in _HASHED.get(stream, _CONTACT)]
        text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
        row[key] = hashlib.sha256(text.encode()).hexdigest()
    return rows


def _conpeek(sandbox: Sandbox, vendor: str, stream: str) -> list[Row]:
    rows = sandbox.truth(vendor, stream)
    for row in rows:
        row["changed_at"] = max(row[name] for name in ("created_date", "closed_date") if row[name])
        if row["custom"] is not None and not isinstance(row["custom"], str):
            row["custom"] = json.dumps(row["custom"])
    return rows


def _dialogs(sandbox: Sandbox, vendor: str, stream: str) -> list[Row]:
    rows = sandbox.truth(vendor, stream)
    return [row | {"machine_detected": bool(row["machine_detected"])} for row in rows]


def _cdr(sandbox: Sandbox, vendor: str, stream: str) -> list[Row]:
    starts = {call["id"]: call["start_time"] for call in sandbox.truth(vendor, "studio_calls")}
    rows = sandbox.truth(vendor, stream)
    for row in rows:
        row["call_start_time"] = starts[row["call_id"]]
        for task in row["executed_tasks"]:
            task["task_raw_params"] = _redacted(task["task_raw_params"])
    return rows


def _centre(sandbox: Sandbox, vendor: str, stream: str) -> list[Row]:
    rows = sandbox.truth(vendor, stream)
    for row in rows:
        row.pop("custom_fields", None)  # only for those who request one campaign
        if stream == "agent_pauses":
            row["agent_id"] = row["agent"]["id"]
        for name in row:
            if name.startswith("current_") and row[name] is not None and not isinstance(row[name], str):
                row[name] = json.dumps(row[name], separators=(",", ":"))
    return rows


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: None if name in {"auth", "headers"} or _SECRET.search(name) else _redacted(inner)
            for name, inner in value.items()
        }
    return [_redacted(inner) for inner in value] if isinstance(value, list) else value


def _responses(sandbox: Sandbox) -> dict[tuple[str, str], list[Row]]:
    """Return SwitchTransact's own response to each of the configured lookups."""
    config = sandbox.config("switchtransact")
    responses: dict[tuple[str, str], list[Row]] = {}
    for kind, route in (("phone", "record"), ("email", "record"), ("term", "autocomplete")):
        for value in config[f"{kind}s"]:
            looked_up = value.lower() if kind == "email" else value
            path = f"/switchtransact/api/1.0/calls/{route}"
            request = Request("GET", path, ((kind, looked_up),), {"authorization": config["api_key"]})
            found = json.loads(sandbox.handle(request).body).get("contact") or []
            responses[kind, looked_up] = found if isinstance(found, list) else [found]
    return responses


def _contacts(sandbox: Sandbox, _vendor: str, _stream: str) -> list[Row]:
    return list({row["id"]: row for found in _responses(sandbox).values() for row in found}.values())


def _lookups(sandbox: Sandbox, _vendor: str, _stream: str) -> list[Row]:
    return [
        {
            "kind": kind,
            "value": value,
            "matched": bool(found),
            "contact_ids": [row["id"] for row in found],
            "contact_id": found[0]["id"] if len(found) == 1 else None,
        }
        for (kind, value), found in _responses(sandbox).items()
    ]


_EXPECT: dict[str, Callable[[Sandbox, str, str], list[Row]]] = {
    "bspk": _bspk,
    "conpeek": _conpeek,
    "cdr_dialogs": _dialogs,
    "evolux": _as_sent,
    "studio_cdr": _cdr,
    **dict.fromkeys(("dialer_calls", "agent_pauses", "agents", "queues", "queue_calls"), _centre),
    "hostedsuite": _as_sent,
    "switchtransact": _as_sent,
    "contacts": _contacts,
    "contact_lookups": _lookups,
}
