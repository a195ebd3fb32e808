"""The figures of the manager's part: the meaning of each, its form, and the text when it is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline_commands.report_page.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trunkline_commands.report_page.models import Settings, Source
    from trunkline_commands.report_page.sums import Sums

_SPACE = "\N{NO-BREAK SPACE}"
UNKNOWN, NONE = "not known", "none"
"""In place of a figure: the vendor can't supply it, or there is no such contact."""


class Metric(NamedTuple):
    """A figure.

    Args:
        name: What it is called.
        of: Makes it from sums; None where they can't give it.
        kind: `count`, `share` or `seconds`.
        applies: Whether the contacts are of the kind that it is about.
        fields: What the model needs for it: the reason why one is missing is shown.
        note: What it is made of.
    """

    name: str
    of: Callable[[Sums], float | None]
    kind: str
    applies: Callable[[Sums], int]
    fields: tuple[str, ...]
    note: str = ""

    def text(self, sums: Sums) -> str:
        """Write the figure of some contacts."""
        value = self.of(sums)
        if value is None:
            return UNKNOWN if self.applies(sums) else NONE
        return written(self.kind, value)

    def change(self, now: Sums, before: Sums) -> str:
        """Write how it changed; nothing where one of the two is not there."""
        new, old = self.of(now), self.of(before)
        if new is None or old is None:
            return ""
        if self.text(now) == self.text(before):
            return "unchanged"
        if self.kind == "share":
            return f"{100 * (new - old):+.1f}{_SPACE}points"
        if self.kind == "seconds":
            return f"{'+' if new > old else '-'}{written('seconds', abs(round(new) - round(old)))}"
        return f"{100 * (new - old) / old:+.0f}{_SPACE}%" if old else ""


def written(kind: str, value: float) -> str:
    """Write a figure of a kind."""
    if kind == "share":
        return f"{100 * value:.1f}{_SPACE}%"
    return words(value, exact=True).replace(" ", _SPACE) if kind == "seconds" else f"{value:,.0f}"


def clock(seconds: float) -> str:
    """Write a length of time as minutes and seconds, for a narrow column."""
    return "{}:{:02}".format(*divmod(round(seconds), 60))


def _incoming(sums: Sums) -> int:
    return sums.incoming or sums.undirected


def _outgoing(sums: Sums) -> int:
    return sums.outgoing


def _contacts(sums: Sums) -> int:
    return sums.contacts


def _answered(sums: Sums) -> int:
    return sums.answers or sums.contacts - sums.judged


_OUTCOME = ("outcome", "direction")
CONTACTS = Metric("Contacts", lambda sums: sums.contacts, "count", _contacts, ())

ANSWERED = Metric("Incoming answered", lambda sums: sums.in_rate, "share", _incoming, _OUTCOME, "of incoming contacts")
ABANDONED = Metric(
    "Incoming abandoned",
    lambda sums: sums.abandonment_rate,
    "share",
    _incoming,
    _OUTCOME,
    "of incoming contacts answered or abandoned",
)
SPEED = Metric(
    "Speed of answer",
    lambda sums: sums.speed,
    "seconds",
    _incoming,
    (*_OUTCOME, "wait_seconds"),
    "average wait of incoming contacts that were answered",
)
TODAY = (CONTACTS, ANSWERED, ABANDONED, SPEED)
"""Figures of today so far."""


def metrics(settings: Settings) -> list[Metric]:
    """List the figures.

    Args:
        settings: The variables of the models.
    """
    threshold = f"{settings.threshold:g} s"
    return [
        CONTACTS,
        ANSWERED,
        ABANDONED,
        Metric(
            "Service level",
            lambda sums: sums.service_level,
            "share",
            _incoming,
            (*_OUTCOME, "wait_seconds"),
            f"answered within {threshold}, of incoming contacts answered or abandoned",
        ),
        SPEED,
        Metric("Outgoing answered", lambda sums: sums.out_rate, "share", _outgoing, _OUTCOME, "of outgoing contacts"),
        Metric(
            "Outgoing abandoned",
            lambda sums: sums.out_abandonment_rate,
            "share",
            lambda sums: sums.out_abandons,
            _OUTCOME,
            "no agent for a person who was reached, of outgoing contacts answered or abandoned",
        ),
        Metric(
            "Handle time",
            lambda sums: sums.handle_time,
            "seconds",
            _answered,
            ("outcome", "talk_seconds"),
            "average talk, hold and wrap-up, as far as the vendor supplies them",
        ),
        Metric(
            "Repeats",
            lambda sums: sums.repeat_rate,
            "share",
            _contacts,
            ("customer_id",),
            f"the same customer was in contact in the {settings.repeat_days:g} days before",
        ),
    ]


def unknown(source: Source, sums: Sums, found: Iterable[Metric]) -> list[tuple[str, str]]:
    """Give the reasons why figures of a source are not known: the figures' names, and the reason.

    Args:
        source: The source.
        sums: All of its contacts that are shown.
        found: The figures.
    """
    reasons: dict[str, list[str]] = {}
    for metric in found:
        if metric.of(sums) is None and metric.applies(sums):
            given = [source.missing[field] for field in metric.fields if field in source.missing]
            reasons.setdefault(given[0] if given else "no contact of these weeks has it", []).append(metric.name)
    return [(", ".join(names), reason) for reason, names in reasons.items()]
