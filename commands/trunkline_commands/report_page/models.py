"""Finds the models of `transform/`, and reads what the manager's part of the page rests on."""

# ruff: noqa: S608 - every name in a query went through `quoted`, every value is a number or an instant of ours

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline_commands.report_page.days import midnight
from trunkline_commands.report_page.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

Query = Callable[[str], "list[tuple[Any, ...]]"]
"""Runs a query in the words that DuckDB and PostgreSQL share; returns its rows."""

USUAL = "contact_centre"
"""The schema that the models go to unless somebody's own dbt project has another."""

_NEEDED = {"contacts_made", "contact_repeats", "model_settings", "proven_spans", "coverage", "agents", "queues"}

_STAGED = re.compile(r"stg_[a-z]+__")

_OVERLAPS = {("evolux", "studio_calls"): ("evolux", "queue_calls")}
"""Sources whose contacts may be in another one too, and that one: docs/model.md explains why nothing joins them."""

_PROOFS = {"dialogs": ("cdr_dialogs", "voice_campaign_requests")}
"""Streams of the tap that a source is made of, where they have other names."""

_REMARKS = {
    ("conpeek", "dialogs"): "A dialog is one party's part. Conpeek does not document whether the two parts of a "
    "conversation are two dialogs; if they are, they count twice here.",
}

Key = tuple[str, str]
"""A source: vendor and stream."""


class Settings(NamedTuple):
    """The variables of the models.

    Args:
        zone: The zone of the models' own days.
        threshold: Seconds within which an answer is in time.
        repeat_days: How long before a contact another one makes it a repeat.
    """

    zone: str
    threshold: float
    repeat_days: float


class Source(NamedTuple):
    """A vendor's stream of contacts.

    Args:
        vendor: The vendor.
        stream: The stream, by the models' name.
        begins: From when on its contacts are there: its first proof, or the midnight before its first contact.
        up_to: Where its newest proof ends, as the models know it.
        within: The source that may hold its contacts too: it is left out of all totals.
        missing: What the vendor can't supply: the reason, by the model's field.
    """

    vendor: str
    stream: str
    begins: datetime
    up_to: datetime | None
    within: str
    missing: Mapping[str, str]

    @property
    def key(self) -> Key:
        """Vendor and stream."""
        return self.vendor, self.stream

    @property
    def name(self) -> str:
        """The vendor, and the stream in words."""
        return f"{self.vendor} {self.stream.replace('_', ' ')}"

    @property
    def remark(self) -> str:
        """A remark on what is odd about counting it; empty where nothing is."""
        return _REMARKS.get(self.key, "")

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of the tap that it is made of."""
        return _PROOFS.get(self.stream, (self.stream,))


class Models(NamedTuple):
    """The models of a database.

    Args:
        schema: Where they are.
        others: Other schemas that hold models too, and are not shown.
        settings: Their variables.
        sources: What contacts come from.
        timeless: How many contacts have no start, and are in no figure.
    """

    schema: str
    others: Sequence[str]
    settings: Settings
    sources: Sequence[Source]
    timeless: int

    @property
    def counted(self) -> list[Source]:
        """The sources that totals add up."""
        return [source for source in self.sources if not source.within]


def schemas_of(columns: Iterable[tuple[str, str]]) -> list[str]:
    """Name the schemas that hold models, the usual one first.

    Args:
        columns: Schema and name of each table and view.
    """
    found: dict[str, set[str]] = {}
    for schema, table in columns:
        found.setdefault(schema, set()).add(table)
    return sorted((schema for schema, held in found.items() if held >= _NEEDED), key=lambda one: (one != USUAL, one))


def made_by_dbt(relations: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Find what is no table of a loader: all in the schemas that dbt builds in, and its views of streams.

    Args:
        relations: Schema and name of each table and view.
    """
    # One such name may be a stream of somebody's own.
    names = Counter(schema for schema, table in relations if table in _NEEDED - {"agents", "queues"})
    return {(schema, table) for schema, table in relations if names[schema] > 1 or _STAGED.match(table)}


def listed(query: Query) -> list[str]:
    """Name the schemas of a database that hold models, the usual one first."""
    rows = query(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = current_database()"
    )
    return schemas_of((schema, table) for schema, table in rows)


def settings_of(query: Query, schema: str) -> Settings:
    """Read the variables of the models in a schema."""
    ((zone, threshold, repeat_days),) = query(
        f"SELECT centre_timezone, service_level_seconds, repeat_days FROM {quoted(schema)}.model_settings"
    )
    return Settings(zone, threshold, repeat_days)


def read_models(query: Query, schemas: Sequence[str], zone: tzinfo | None) -> Models:
    """Read what the models of the first schema rest on.

    Args:
        query: Runs a query.
        schemas: The schemas that hold models.
        zone: The zone that days are counted in.
    """
    schema = schemas[0]
    place = quoted(schema)
    missing: dict[Key, dict[str, str]] = {}
    for vendor, stream, field, reason in query(
        f"SELECT vendor, stream, field, reason FROM {place}.coverage WHERE supplied = 'no'"
    ):
        missing.setdefault((vendor, stream), {})[field] = reason
    proven: dict[Key, list[tuple[datetime, datetime]]] = {}
    for vendor, stream, since, until in query(
        f"SELECT vendor, stream, {micros_of('min(since)')}, {micros_of('max(until)')} FROM {place}.proven_spans "
        "GROUP BY vendor, stream"
    ):
        proven.setdefault((vendor, stream), []).append((instant(since), instant(until)))
    rows = query(
        f"SELECT vendor, stream, {micros_of('min(started_at)')} FROM {place}.contacts_made "
        "WHERE started_at IS NOT NULL GROUP BY vendor, stream ORDER BY vendor, stream"
    )
    there = {(vendor, stream) for vendor, stream, _ in rows}
    sources = []
    for vendor, stream, first in rows:
        other = _OVERLAPS.get((vendor, stream))
        within = f"{other[0]} {other[1].replace('_', ' ')}" if other in there and other else ""
        spans = [span for one in _PROOFS.get(stream, (stream,)) for span in proven.get((vendor, one), ())]
        source = Source(
            vendor,
            stream,
            min([midnight(instant(first).astimezone(zone).date(), zone), *(since for since, _ in spans)]),
            max((until for _, until in spans), default=None),
            within,
            missing.get((vendor, stream), {}),
        )
        sources.append(source)
    ((timeless,),) = query(f"SELECT count(*) FROM {place}.contacts_made WHERE started_at IS NULL")
    return Models(schema, schemas[1:], settings_of(query, schema), sources, timeless)


def micros_of(instant: str) -> str:
    """Write an instant in SQL as microseconds since 1970: a database's own type may need a package for its zone."""
    return f"CAST(extract(epoch FROM {instant}) * 1000000 AS bigint)"


def instant(micros: int) -> datetime:
    """Return the instant of microseconds since 1970, to the second."""
    return datetime.fromtimestamp(micros // 1_000_000, timezone.utc)
