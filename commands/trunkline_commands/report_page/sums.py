"""Sums of contacts, and the rates that are made from them. A figure that the rows can't give is None, never 0."""

# ruff: noqa: S608 - every name in a query went through `quoted`, every value is a number or an instant of ours

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from trunkline_commands.report_page.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trunkline_commands.report_page.models import Models, Query

_IN, _OUT = "direction = 'inbound'", "direction = 'outbound'"


@dataclasses.dataclass(frozen=True)
class Sums:
    """Sums over contacts. They can be added; a rate has to be made anew from what was added.

    Args:
        contacts: Contacts that began.
        proven: Those of them in a span that was shown to be complete.
        provable: Those of vendors whose proofs were loaded.
        incoming: Incoming ones.
        outgoing: Outgoing ones.
        judged: Contacts whose outcome is known.
        answers: Those answered by an agent.
        in_judged: Incoming contacts whose outcome is known.
        in_answers: Those answered by an agent.
        in_abandons: Those abandoned.
        out_judged: Outgoing contacts whose outcome is known.
        out_answers: Those answered by an agent.
        out_abandons: Those abandoned.
        timed_answers: Incoming ones answered, whose wait is known.
        timed_abandons: Incoming ones abandoned, whose wait is known.
        within: Incoming ones answered within the threshold.
        wait: Seconds that those with a known wait waited for the answer.
        handled: Contacts whose handle time is known.
        handle: Their handle time, in seconds.
        known: Contacts whose customer is known.
        repeats: Those of a customer who was in contact shortly before.
    """

    contacts: int = 0
    proven: int = 0
    provable: int = 0
    incoming: int = 0
    outgoing: int = 0
    judged: int = 0
    answers: int = 0
    in_judged: int = 0
    in_answers: int = 0
    in_abandons: int = 0
    out_judged: int = 0
    out_answers: int = 0
    out_abandons: int = 0
    timed_answers: int = 0
    timed_abandons: int = 0
    within: int = 0
    wait: float = 0
    handled: int = 0
    handle: float = 0
    known: int = 0
    repeats: int = 0

    def __add__(self, other: Sums) -> Sums:
        """Add up two groups of contacts that have none in common."""
        return Sums(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)))

    @property
    def undirected(self) -> int:
        """Contacts whose direction is not known."""
        return self.contacts - self.incoming - self.outgoing

    @property
    def offered(self) -> int | None:
        """Incoming contacts that were answered or abandoned."""
        return self.in_answers + self.in_abandons if self.in_judged else None

    @property
    def in_rate(self) -> float | None:
        """Answered, of the incoming contacts whose outcome is known."""
        return self.in_answers / self.in_judged if self.in_judged else None

    @property
    def out_rate(self) -> float | None:
        """Answered, of the outgoing contacts whose outcome is known."""
        return self.out_answers / self.out_judged if self.out_judged else None

    @property
    def out_abandonment_rate(self) -> float | None:
        """Abandoned, of the outgoing contacts answered or abandoned; None where none was abandoned."""
        return self.out_abandons / (self.out_abandons + self.out_answers) if self.out_abandons else None

    @property
    def abandonment_rate(self) -> float | None:
        """Abandoned, of the incoming contacts answered or abandoned."""
        return self.in_abandons / self.offered if self.offered else None

    @property
    def service_level(self) -> float | None:
        """`service_level_abandons_negative` of docs/model.md."""
        both = self.timed_answers + self.timed_abandons
        return self.within / both if both else None

    @property
    def speed(self) -> float | None:
        """Average speed of answer of incoming contacts, in seconds."""
        return self.wait / self.timed_answers if self.timed_answers else None

    @property
    def handle_time(self) -> float | None:
        """Average handle time, in seconds."""
        return self.handle / self.handled if self.handled else None

    @property
    def answer_rate(self) -> float | None:
        """Answered, of the contacts whose outcome is known."""
        return self.answers / self.judged if self.judged else None

    @property
    def repeat_rate(self) -> float | None:
        """Repeats, of the contacts whose customer is known."""
        return self.repeats / self.known if self.known else None

    @property
    def unproven(self) -> int | None:
        """Contacts outside of every proven span; None where no proof was loaded."""
        return self.provable - self.proven if self.provable else None


def _count(condition: str = "true") -> str:
    return f"count(*) FILTER (WHERE {condition})"


def columns(threshold: float) -> str:
    """Write the sums as columns of a query, in the order of the fields.

    Args:
        threshold: Seconds within which an answer is in time.
    """
    timed = f"{_IN} AND wait_seconds IS NOT NULL AND"
    return ", ".join(
        (
            "count(*)",
            _count("proven"),
            "count(proven)",
            _count(_IN),
            _count(_OUT),
            "count(is_answered)",
            _count("is_answered"),
            _count(f"{_IN} AND is_answered IS NOT NULL"),
            _count(f"{_IN} AND is_answered"),
            _count(f"{_IN} AND is_abandoned"),
            _count(f"{_OUT} AND is_answered IS NOT NULL"),
            _count(f"{_OUT} AND is_answered"),
            _count(f"{_OUT} AND is_abandoned"),
            _count(f"{timed} is_answered"),
            _count(f"{timed} is_abandoned"),
            _count(f"{timed} is_answered AND wait_seconds <= {float(threshold)!r}"),
            f"coalesce(sum(wait_seconds) FILTER (WHERE {timed} is_answered), 0)",
            "count(handle_seconds)",
            "coalesce(sum(handle_seconds), 0)",
            "count(is_repeat)",
            _count("is_repeat"),
        )
    )


def contacts(models: Models, since: datetime, until: datetime) -> str:
    """Write the contacts that began within a span of instants as a relation named `c`."""
    place = quoted(models.schema)
    ends = [f"CAST('{end.isoformat()}' AS timestamptz)" for end in (since, until)]
    return (
        f"(SELECT m.*, r.is_repeat FROM {place}.contacts_made AS m "
        f"LEFT JOIN {place}.contact_repeats AS r ON r.contact_key = m.contact_key "
        f"WHERE m.started_at >= {ends[0]} AND m.started_at < {ends[1]}) AS c"
    )


def read_sums(query: Query, models: Models, span: tuple[datetime, datetime], keys: str) -> dict[tuple[Any, ...], Sums]:
    """Read the sums of the contacts of a span.

    Args:
        query: Runs a query.
        models: The models.
        span: From when, and before when.
        keys: Expressions in SQL to group by, with commas between them.

    Returns:
        The sums, by the values of the expressions.
    """
    width = len(dataclasses.fields(Sums))
    rows = query(f"SELECT {columns(models.settings.threshold)}, {keys} FROM {contacts(models, *span)} GROUP BY {keys}")
    return {row[width:]: Sums(*row[:width]) for row in rows}


def total(groups: Iterable[Sums]) -> Sums:
    """Add up groups of contacts that have none in common."""
    return sum(groups, start=Sums())
