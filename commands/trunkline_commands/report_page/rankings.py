"""Agents, queues and campaigns with the most contacts, and how often customers came."""

# ruff: noqa: S608 - every name in a query went through `quoted`, every value is a number or an instant of ours

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from trunkline_commands.report_page.sums import Sums, contacts, read_sums, total
from trunkline_commands.report_page.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from trunkline_commands.report_page.models import Models, Query, Source

MOST = 12
"""Rows of a list; the others are one more."""

_NAMELESS, _CLIENTS = "without a name", "clients, whose names are not shown"
_TOGETHER = {_NAMELESS, _CLIENTS}
"""Labels of many, which are one row."""

_NUMBER = re.compile(r"[+(\d][\d\s()./-]{5,}")
_HASH = re.compile(r"[0-9a-f]{64}")

Span = tuple["datetime", "datetime"]


class Entry(NamedTuple):
    """A row of a list: its label, its vendor, and its contacts."""

    label: str
    vendor: str
    sums: Sums


class Ranking(NamedTuple):
    """A list.

    Args:
        name: What it lists.
        entries: The rows, most contacts first.
        others: How many rows more there would be, and their contacts.
        without: How many contacts name none.
        reasons: Why the vendor's contacts name none, by source.
    """

    name: str
    entries: Sequence[Entry]
    others: tuple[int, Sums]
    without: int
    reasons: Sequence[tuple[str, str]]


class Repeats(NamedTuple):
    """The contacts of customers who came several times.

    Args:
        customers: How many customers had 1, 2, 3 to 5 or more contacts.
        sums: The contacts.
        unknown: How many contacts name no customer.
    """

    customers: Sequence[tuple[str, int]]
    sums: Sums
    unknown: int


def read_rankings(query: Query, models: Models, span: Span) -> list[Ranking]:
    """Read the lists.

    Args:
        query: Runs a query.
        models: The models.
        span: From when, and before when.
    """
    place = quoted(models.schema)
    agents = {
        key: (name, ident) for key, name, ident in query(f"SELECT agent_key, agent_name, agent_id FROM {place}.agents")
    }
    queues = {
        (vendor, kind, ident): name
        for vendor, kind, ident, name in query(f"SELECT vendor, queue_kind, queue_id, queue_name FROM {place}.queues")
    }

    def agent(vendor: str, key: str) -> tuple[str, str]:
        return label(*agents.get(key, (None, None)), nobody=_NAMELESS), vendor

    def queue(vendor: str, kind: str, ident: str) -> tuple[str, str]:
        if kind == "client":  # those whom the centre answers calls for: the vendor's schema marks the names as personal
            return _CLIENTS, vendor
        return label(queues.get((vendor, kind, ident)), ident, nobody=_NAMELESS), f"{vendor} {kind}"

    def campaign(vendor: str, ident: str) -> tuple[str, str]:
        return label(queues.get((vendor, "campaign", ident)), ident, nobody=_NAMELESS), vendor

    return [
        _ranking(query, models, span, ("Agents", "agent_id", "agent_key"), agent),
        _ranking(query, models, span, ("Queues", "queue_id", "queue_kind, queue_id"), queue),
        _ranking(query, models, span, ("Campaigns", "campaign_id", "campaign_id"), campaign),
    ]


def label(name: str | None, ident: str | None, *, nobody: str) -> str:
    """Write a name, or the identifier where there is none; neither where it may be somebody's telephone number."""
    for text in (name, ident):
        if text and text.strip() and not _NUMBER.fullmatch(text.strip()):
            return f"{text[:10]}…" if _HASH.fullmatch(text) else text
    return nobody


def text(value: str) -> str:
    """Write a text as SQL does."""
    return "'" + value.replace("'", "''") + "'"


def _ranking(
    query: Query, models: Models, span: Span, what: tuple[str, str, str], named: Callable[..., tuple[str, str]]
) -> Ranking:
    name, field, keys = what
    sources: Mapping[Any, Source] = {source.key: source for source in models.counted}
    found: dict[tuple[str, ...], Sums] = {}
    without, silent = 0, {}
    for (vendor, stream, *key), sums in read_sums(query, models, span, f"vendor, stream, {keys}").items():
        if (vendor, stream) not in sources:
            continue
        if None in key:
            without += sums.contacts
            reason = sources[vendor, stream].missing.get(field)
            silent[sources[vendor, stream].name] = reason or ""
        else:
            shown = named(vendor, *key)
            at = shown if shown[0] in _TOGETHER else (*shown, *key)
            found[at] = found.get(at, Sums()) + sums
    alike = Counter(at[:2] for at in found)
    entries = [
        Entry(text, of if alike[text, of] == 1 else _apart(of, key), sums) for (text, of, *key), sums in found.items()
    ]
    entries.sort(key=lambda entry: (-entry.sums.contacts, entry.label, entry.vendor))
    rest = entries[MOST:]
    reasons = [(source, reason) for source, reason in silent.items() if reason]
    return Ranking(name, entries[:MOST], (len(rest), total(entry.sums for entry in rest)), without, reasons)


def _apart(of: str, key: Sequence[str]) -> str:
    """Distinguish two of one name by the fields of the model's key."""
    return f"{of} ({label(None, key[-1].rpartition('/')[2] if key else None, nobody='number')})"


def read_repeats(query: Query, models: Models, span: Span) -> Repeats:
    """Read how often customers came, as counts alone.

    Args:
        query: Runs a query.
        models: The models.
        span: From when, and before when.
    """
    keys = " OR ".join(f"(vendor = {text(one.vendor)} AND stream = {text(one.stream)})" for one in models.counted)
    rows = query(
        "SELECT least(found, 6), count(*) FROM (SELECT customer_key, count(*) AS found "
        f"FROM {contacts(models, *span)} WHERE customer_key IS NOT NULL AND ({keys}) GROUP BY customer_key) AS d "
        "GROUP BY 1"
    )
    by = {int(often): int(customers) for often, customers in rows}
    sums = read_sums(query, models, span, "vendor, stream")
    whole = total(sums.get(source.key, Sums()) for source in models.counted)
    customers = [
        ("once", by.get(1, 0)),
        ("twice", by.get(2, 0)),
        ("3 to 5 times", sum(by.get(often, 0) for often in (3, 4, 5))),
        ("6 times or more", by.get(6, 0)),
    ]
    return Repeats(customers, whole, whole.contacts - whole.known)
