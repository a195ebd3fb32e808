"""Conpeek's call history: the dialogs that its requests name, and callers who ring back (facts/siblings.md 4.1)."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline_sandbox import instants
from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.store import Table
from trunkline_sandbox.vendor import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline_sandbox.store import Row, Selection

FIELDS = (
    "dialog_uuid", "dialog_type", "business_direction", "business_end_cause", "from_display_target",
    "to_display_target", "start_time", "hangup_time", "serve_time", "talking_time", "alert_time", "answer_time",
    "ring_time", "waiting_time", "first_queue_waiting_time", "machine_detected", "machine_detected_type",
)  # fmt: skip
"""The fields of a dialog that the page could be read to."""
KEY = ("dialog_uuid",)

_COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_RINGING = 5 * SECOND


def history(requests: Mapping[str, tuple[int, Table]]) -> Table:
    """Return the dialogs of all campaigns, ordered by their end.

    Args:
        requests: Of each campaign how many requests are made up, and its table.
    """
    found: list[tuple[int, str, int, int]] = []
    for campaign, (count, table) in requests.items():
        for i in range(count):
            ends = [instants.parse_iso(one["hangup_time"]) or 0 for one in table.row(i)["dialogs"]]
            back = [max(ends) + 3600 * SECOND] if ends and i % 4 == 0 else []
            found += [(end, campaign, i, n) for n, end in enumerate((*ends, *back))]
    found.sort()

    def make(number: int) -> Row:
        end, campaign, i, n = found[number]
        return _dialog(requests[campaign][1].row(i), end, n)

    clocks = {name: _clock(name) for name in ("hangup_time", "start_time")}
    return Table(KEY, clocks, count=len(found), make=make, when=lambda number: found[number][0])


def select(table: Table, text: str, *, newest_first: bool) -> Selection:
    """Return the dialogs that the filter lets through: only its two times are known here.

    Raises:
        RefusedError: 400 when the filter is none that is known.
    """
    rules = [_rule(item) for item in _objects(text)]
    clock = next((name for name, _, _ in rules), "hangup_time")

    def holds(row: Row) -> bool:
        times = ((_clock(name)(row), how, value) for name, how, value in rules)
        return all(when is not None and _COMPARE[how](when, value) for when, how, value in times)

    # The index narrows it down to the second; the rules decide.
    lows = [value for name, how, value in rules if name == clock and how.startswith("gt")]
    highs = [value for name, how, value in rules if name == clock and how.startswith("lt")]
    where = (text, holds) if rules else None
    low, high = max(lows, default=None), min(highs, default=None)
    return table.select(clock, low, high, where=where, newest_first=newest_first)


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise RefusedError(400, "filter must be a list of objects") from None


def _rule(item: Row) -> tuple[str, str, int]:
    name, how, value = (item.get(part) for part in ("property", "operator", "value"))
    if name not in {"start_time", "hangup_time"} or how not in _COMPARE:
        raise RefusedError(400, f"filter: property {name!r} and operator {how!r} are not known together")
    instant = instants.parse_iso(value) if isinstance(value, str) and _TIME.fullmatch(value) else None
    if instant is None:
        raise RefusedError(400, f"filter: {name} needs YYYY-MM-DD HH:mm:ss")
    return str(name), str(how), instant


def _clock(name: str) -> Callable[[Row], int | None]:
    return lambda row: None if row[name] is None else instants.parse_iso(row[name])


def _written(instant: int) -> str:
    return instants.iso(instant, between=" ", tail="")


def _dialog(request: Row, end: int, n: int) -> Row:
    """Return a dialog that a request names by its number, or the call back behind the last of them."""
    dialogs, user = request["dialogs"], f"Konsultant {request['tenant_user_id']}"
    row = dict.fromkeys(FIELDS)
    if n < len(dialogs):
        row |= dialogs[n] | {"from_display_target": user, "to_display_target": request["contact_number"]}
    else:
        # The number is the first dialog's, but for its end.
        number = f"{dialogs[0]['dialog_uuid'][:-4]}f00d"
        machine = number < "8"
        row |= {
            "dialog_uuid": number,
            "dialog_type": "EXTERNAL",
            "business_direction": "INBOUND",
            "business_end_cause": "DIALOG_LEFT",
            "from_display_target": request["contact_number"],
            "to_display_target": user,
            "start_time": _written(end - 120 * SECOND),
            "hangup_time": _written(end),
            "talking_time": 90_000,
            "machine_detected": int(machine),
            "machine_detected_type": "AMD" if machine else None,
        }
    start = instants.parse_iso(row["start_time"]) or 0
    answered = _written(start + _RINGING)
    return row | {
        "alert_time": row["start_time"],
        "ring_time": row["start_time"],
        "answer_time": answered,
        "serve_time": answered,
        "waiting_time": _RINGING // 1000,  # milliseconds
        "first_queue_waiting_time": _RINGING // 1000 if n else 0,
    }


__all__ = ["FIELDS", "KEY", "history", "select"]
