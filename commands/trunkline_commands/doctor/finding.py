"""Facts the doctor looks at, and its finding about each."""

from __future__ import annotations

from dataclasses import dataclass

CONFIRMED, REFUTED, UNKNOWN = "confirmed", "refuted", "unknown"
VERDICTS = (CONFIRMED, REFUTED, UNKNOWN)

_FAILS = "the stream fails, as no window can be shown complete"
_HARMLESS = "nothing: windows overlap by a minute, and rows that come twice have one key"


@dataclass(frozen=True)
class Fact:
    """Something that a tap presumes.

    Args:
        sentence: What it presumes.
        cost: What it costs where that does not hold.
    """

    sentence: str
    cost: str = ""


FACTS = {
    "route": Fact(
        "the credentials may read it, its form is the documented one", "the stream fails, the others are read"
    ),
    "forms": Fact("fields that the vendor writes in several ways have one of these", "the values are kept in `_extra`"),
    "pages": Fact("pages are counted as the tap counts them", "the first page is left out, or comes twice"),
    "page-size": Fact("a page holds as many rows as page_size requests", "more requests: what is cut off is read on"),
    "steady": Fact("pages of one span do not overlap", "rows stand on two pages or on none, so windows are read twice"),
    "order": Fact("the rows come oldest first, as requested", "calls that arrive meanwhile shift the pages"),
    "past-the-end": Fact("a page behind the last one is empty", f"without a total {_FAILS}"),
    "total": Fact("the total counts the rows that are listed", _FAILS),
    "filter": Fact("the filter by date acts", _FAILS),
    "filter-time": Fact(
        "the filter looks at the time that the bookmark counts by, or lookback covers what it misses",
        "a change that comes later is not seen",
    ),
    "exact": Fact("the filter lets through no more than the span", _HARMLESS),
    "lower-end": Fact("the lower end of the span is inclusive", _HARMLESS),
    "upper-end": Fact("the upper end of the span is inclusive", _HARMLESS),
    "combine": Fact("of several filters all must hold", _FAILS),
    "zone": Fact("times are in the zone that the tap reads them in", "every time is wrong by hours"),
    "zone-names": Fact("zones have names of IANA or of Windows", "they are not compared with the setting"),
    "detail-key": Fact("a detail is known by the number that the setting names", "no detail is found"),
    "not-found": Fact("a lookup that finds nothing is distinguished from an error", "the lookup fails"),
    "search": Fact("a lookup finds one object, or a list of them", "the lookup fails"),
    "limit": Fact("the limit is the one that is documented", "the vendor refuses requests, and the tap waits"),
}
"""Facts by their names, which the docs use too."""


@dataclass(frozen=True)
class Finding:
    """A line of the doctor's output.

    Args:
        stream: The stream; empty for the whole vendor.
        fact: Name of the fact in `FACTS`.
        verdict: One of `VERDICTS`.
        seen: What was seen: counts, statuses and forms, no values.
        cost: What it costs, if that is not what `FACTS` has.
        setting: The setting to change, if any.
        value: What to change it to.
        advice: What else to do.
    """

    stream: str
    fact: str
    verdict: str
    seen: str
    cost: str = ""
    setting: str = ""
    value: str = ""
    advice: str = ""

    def __str__(self) -> str:
        """Write the line."""
        fact = FACTS[self.fact]
        parts = [f"{self.verdict:<9}  {self.stream or 'all'}, {self.fact}: {fact.sentence}. Seen: {self.seen}"]
        if self.verdict == REFUTED:
            parts.append(f"Cost: {self.cost or fact.cost}")
        if self.setting:
            parts.append(f"Set {self.setting} to {self.value}")
        if self.advice:
            parts.append(self.advice)
        return ". ".join(parts)

    def as_evidence(self) -> dict[str, str]:
        """Write it for the evidence."""
        fact = FACTS[self.fact]
        found = {
            "stream": self.stream,
            "fact": self.fact,
            "presumed": fact.sentence,
            "verdict": self.verdict,
            "seen": self.seen,
            "cost": (self.cost or fact.cost) if self.verdict == REFUTED else "",
            "setting": self.setting,
            "value": self.value,
            "advice": self.advice,
        }
        return {name: text for name, text in found.items() if text}
