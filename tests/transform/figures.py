"""The model's figures once more, in Python, from the rows that the sandbox's vendors hold: an oracle for the SQL."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.transform import numbers

from trunkline_contract import warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trunkline_sandbox import Sandbox

Contact = dict[str, Any]

FIELDS = (
    "direction", "started_at", "answered_at", "ended_at", "wait_seconds", "ring_seconds", "talk_seconds",
    "hold_seconds", "wrap_up_seconds", "outcome", "agent_id", "customer_id", "customer_phone", "queue_id",
    "campaign_id",
)  # fmt: skip
"""What a contact has here; null where it is not named."""
KEYS = ("vendor", "stream", "channel", "direction", "queue_kind", "queue_id", "campaign_id")
_ANSWERED = ("answered", "transferred")


def contacts(sandbox: Sandbox, since: datetime) -> dict[str, Contact]:
    """Return the contacts that the vendors hold, by the model's key."""
    found = {}
    for (vendor, stream), make in _MAKERS.items():
        held = warehouse.expected(sandbox, vendor, "cdr_dialogs" if stream == "dialogs" else stream, since)
        for key, row in held.items():
            contact = dict.fromkeys((*FIELDS, "channel", "queue_kind", "agent_name")) | make(row)
            name = f"{vendor}/{stream}/{key[0]}"
            found[name] = contact | {"contact_key": name, "vendor": vendor, "stream": stream}
    requests = warehouse.expected(sandbox, "conpeek", "voice_campaign_requests", since).values()
    for request in requests:
        for dialog in request.get("dialogs", ()):
            known = found[f"conpeek/dialogs/{dialog['dialog_uuid']}"]
            known["campaign_id"] = request["voice_campaign_id"]
            known["customer_id"] = request.get("contact_identifier")
            known["agent_id"] = str(request["tenant_user_id"])
    return found


def phone(text: str | None) -> str | None:
    """Return a number as the model shows it in the region of the tests."""
    return numbers.e164(text, "ZA")


def _span(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else (until - since).total_seconds()


def _met(channel: str | None, direction: str | None) -> Callable[[dict[str, Any]], Contact]:
    return lambda row: {
        "channel": channel or row["channel"],
        "direction": direction,
        "started_at": row["created_at"],
        "agent_id": row["sales_associate_id"],
        "customer_id": row["client_id"],
        "customer_phone": phone(row.get("to")),
        "queue_kind": "store",
        "queue_id": row["store_id"],
    }


def _reception(row: dict[str, Any]) -> Contact:
    direction = {"Incoming": "inbound", "Outgoing": "outbound"}[row["Type"]]
    agent, start = row.get("AnsweredBy"), row["StartTime"]
    if agent:
        outcome = "transferred" if row.get("TransferToName") or row.get("TransferToNumber") else "answered"
    else:
        outcome = "abandoned" if direction == "inbound" else "no_answer"
    return {
        "channel": "voice",
        "direction": direction,
        "started_at": start,
        "answered_at": start + timedelta(seconds=row["RingTimeInSeconds"]) if agent else None,
        "ended_at": start + timedelta(seconds=row["DurationInSeconds"]),
        "wait_seconds": row["RingTimeInSeconds"],
        "ring_seconds": row["RingTimeInSeconds"],
        "talk_seconds": row["TalkTimeInSeconds"],
        "hold_seconds": row["HoldTimeInSeconds"],
        "outcome": outcome,
        "agent_id": agent,
        "customer_phone": phone(row.get("CallerNumber")),
        "queue_kind": "client",
        "queue_id": row["ClientId"],
    }


def _dialog(row: dict[str, Any]) -> Contact:
    inward = row["business_direction"] == "INBOUND"
    answered, ended = row.get("answer_time"), row["hangup_time"]
    return {
        "channel": "voice",
        "direction": "inbound" if inward else "outbound",
        "started_at": row["start_time"],
        "answered_at": answered,
        "ended_at": ended,
        "wait_seconds": _span(row["start_time"], answered or ended),
        "ring_seconds": _span(row["ring_time"], answered or ended),
        "talk_seconds": row["talking_time"] / 1000,
        "outcome": "machine"
        if row["machine_detected"]
        else "answered"
        if answered
        else "abandoned"
        if inward
        else "no_answer",
        "customer_phone": phone(row["from_display_target" if inward else "to_display_target"]),
        "agent_name": row["to_display_target" if inward else "from_display_target"],
    }


def _queue_call(row: dict[str, Any]) -> Contact:
    inward, connected = row["call_type_description"] == "Entrada", row.get("time_connect")
    return {
        "channel": "voice",
        "direction": "inbound" if inward else "outbound",
        "started_at": row["date_join"],
        "answered_at": connected,
        "ended_at": row["time_leave"],
        "wait_seconds": row["wait_duration"],
        "talk_seconds": row["call_duration"] if connected else None,
        "outcome": "answered" if connected else "abandoned" if inward else "no_answer",
        "agent_id": str(row["agent_id"]) if row.get("agent_id") else None,
        "customer_phone": phone(row["caller_number" if inward else "receiver_number"]),
        "queue_kind": "queue",
        "queue_id": str(row["queue_id"]),
    }


def _dialer_call(row: dict[str, Any]) -> Contact:
    answered, agent = row.get("answer_time"), row.get("agent")
    missed = {"USER_BUSY": "busy", "NO_ANSWER": "no_answer"}
    waited = _span(row["start_time"], answered or row["end_time"])
    return {
        "channel": "voice",
        "direction": "outbound",
        "started_at": row["start_time"],
        "answered_at": answered,
        "ended_at": row["end_time"],
        "wait_seconds": waited,
        "ring_seconds": waited,
        "talk_seconds": row["talking_duration"] if answered else None,
        "outcome": ("answered" if agent else "abandoned") if answered else missed[row["hangup_cause"]],
        "agent_id": str(agent["id"]) if agent else None,
        "customer_id": row["subscriber"]["external_id"],
        "customer_phone": phone(row["subscriber"]["number"]),
        "campaign_id": str(row["campaign"]["id"]),
    }


def _flow_call(row: dict[str, Any]) -> Contact:
    return {
        "channel": "voice",
        "started_at": row["start_time"],
        "ended_at": row["end_time"],
        "outcome": {"transfer": "passed_on", "hangup": "self_service"}[row["exit_reason"]],
        "customer_phone": phone(row.get("caller")),
        "queue_kind": "flow",
        "queue_id": str(row["call_flow"]["id"]),
    }


_MAKERS: dict[tuple[str, str], Callable[[dict[str, Any]], Contact]] = {
    ("bspk", "calls"): _met("voice", "outbound"),
    ("bspk", "messages"): _met(None, None),
    ("bspk", "emails"): _met("email", None),
    ("hostedsuite", "calls"): _reception,
    ("conpeek", "dialogs"): _dialog,
    ("evolux", "queue_calls"): _queue_call,
    ("evolux", "dialer_calls"): _dialer_call,
    ("evolux", "studio_calls"): _flow_call,
}


# -- figures of an interval --------------------------------------------------------------------------------------------


def by_interval(
    found: Iterable[Contact], zone: str, minutes: int, *, threshold: float, short: float, repeat_days: int
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the figures of each interval and group, under the marts' names.

    Args:
        found: The contacts.
        zone: The centre's time zone.
        minutes: Length of an interval: 1440 or 30.
        threshold: Seconds within which an answer is in time.
        short: Seconds below which an abandoned contact is short.
        repeat_days: How long ago a contact may be to make the next one a repeat.
    """
    rows = [*found]
    repeated = repeats(rows, repeat_days)
    groups = defaultdict(list)
    for row in rows:
        local = row["started_at"].astimezone(ZoneInfo(zone)).replace(tzinfo=None, second=0, microsecond=0)
        begin = local - timedelta(minutes=(local.hour * 60 + local.minute) % minutes)
        key = (begin, *(row[name] for name in KEYS))
        groups[key].append(row)
    return {key: of_group(group, repeated, threshold, short) for key, group in groups.items()}


def quiet_intervals(
    found: Iterable[Contact], zone: str, minutes: int, since: datetime, until: datetime
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return zeros for each interval in which a stream was proven and had no contact, under the marts' names.

    Args:
        found: The contacts.
        zone: The centre's time zone.
        minutes: Length of an interval: 1440 or 30.
        since: From when all streams are proven.
        until: Until when; a dialog's proof goes by its end, so that a day later has to be proven too.
    """
    met = defaultdict(list)
    for row in found:
        met[row["vendor"], row["stream"]].append(row["started_at"])
    quiet = {}
    for vendor, stream in _MAKERS:
        end = until - timedelta(days=1) if stream == "dialogs" else until
        local = since.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
        while local < end:
            begin, local = local, local + timedelta(minutes=minutes)
            if begin >= since and local <= end and not any(begin <= at < local for at in met[vendor, stream]):
                key = (begin.replace(tzinfo=None), vendor, stream, *[None] * 5)
                quiet[key] = _ZEROS | ({} if vendor == "bspk" else {"answered": 0, "abandoned": 0})
    return quiet


_ZEROS = {"contacts": 0, "proven": 0, "repeats": 0} | dict.fromkeys((
    "answered", "abandoned", "offered", "abandonment_rate", "handled", "handle_seconds", "average_handle_time",
    "average_speed_of_answer", "service_level_abandons_negative", "service_level_answered_only", "timed_answers",
))  # fmt: skip


def customer_of(row: Contact) -> Any:
    """Return what tells a contact's customer from others."""
    first, second = ("customer_id", "customer_phone") if row["vendor"] == "bspk" else ("customer_phone", "customer_id")
    return row[first] or row[second]


def handle_time(row: Contact) -> float | None:
    """Return talk, hold and wrap-up of a contact that was answered."""
    if row["outcome"] not in _ANSWERED or row["talk_seconds"] is None:
        return None
    return float(row["talk_seconds"] + (row["hold_seconds"] or 0) + (row["wrap_up_seconds"] or 0))


def repeats(rows: Iterable[Contact], days: int) -> dict[str, bool]:
    """Return whether a contact is a repeat, of those whose customer is known.

    Args:
        rows: All contacts.
        days: How long ago a contact may be to make the next one a repeat.
    """
    window = timedelta(days=days)
    latest: dict[Any, datetime] = {}
    found = {}
    for row in sorted(rows, key=lambda row: row["started_at"]):
        customer = customer_of(row)
        if customer is None:
            continue
        key = row["vendor"], row["stream"], row["direction"], customer
        found[row["contact_key"]] = key in latest and row["started_at"] - latest[key] <= window
        latest[key] = row["started_at"]
    return found


def of_group(group: list[Contact], repeated: dict[str, bool], threshold: float, short: float) -> dict[str, Any]:
    """Return the figures of some contacts; a service level if the first of them is incoming."""
    known = [row for row in group if row["outcome"]]
    answered = [row for row in known if row["outcome"] in _ANSWERED]
    abandoned = [row for row in known if row["outcome"] == "abandoned"]
    handled = [seconds for row in group if (seconds := handle_time(row)) is not None]
    waits, given_up = (
        [row["wait_seconds"] for row in rows if row["wait_seconds"] is not None] for rows in (answered, abandoned)
    )
    good, lost = sum(wait <= threshold for wait in waits), sum(wait <= threshold for wait in given_up)
    both = len(waits) + len(given_up)
    inward = bool(known) and group[0]["direction"] == "inbound"
    again = [repeated[row["contact_key"]] for row in group if row["contact_key"] in repeated]

    def level(part: int, whole: int) -> float | None:
        return part / whole if inward and whole else None

    return {
        "contacts": len(group),
        "proven": len(group),
        "answered": len(answered) if known else None,
        "abandoned": len(abandoned) if known else None,
        "offered": len(answered) + len(abandoned) if inward else None,
        "abandonment_rate": len(abandoned) / (len(answered) + len(abandoned)) if answered or abandoned else None,
        "service_level_abandons_negative": level(good, both),
        "service_level_abandons_ignored": level(good, both - lost),
        "service_level_abandons_positive": level(good + lost, both),
        "service_level_short_abandons_excluded": level(good, both - sum(wait < short for wait in given_up)),
        "service_level_answered_only": level(good, len(waits)),
        "average_speed_of_answer": sum(waits) / len(waits) if waits else None,
        "handled": len(handled) or None,
        "handle_seconds": sum(handled) if handled else None,
        "average_handle_time": sum(handled) / len(handled) if handled else None,
        "repeats": sum(again) if again else None,
    }
