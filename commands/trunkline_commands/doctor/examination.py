"""The examination of a tap: which experiments its facts call for, and in what order they are made.

Experiments are derived from what is declared: a stream's kind, its paging and its filter, and the settings that the
vendor's page leaves open. So a plugin's facts have experiments too. Streams that share a folder of routes and a way of
paging share the experiments about it; every route is requested once at least.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from trunkline.facts.children import ChildStream
from trunkline.facts.details import DetailStream
from trunkline.facts.lookups import LookupStream
from trunkline.run.stream_run import StreamRun
from trunkline_commands.doctor import filter_experiments, judges, page_experiments, row_experiments
from trunkline_commands.doctor.finding import REFUTED, UNKNOWN, Finding
from trunkline_commands.doctor.line import Line, NothingCheckedError
from trunkline_commands.doctor.subject import BINDING, Subject, can_be_paged, subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.errors import TrunklineError
    from trunkline.facts.stream import VendorStream
    from trunkline.facts.tap import TapFacts

MOST = 40
"""Requests of an examination, at most."""

_GROUP, _ONE_ROUTE, _LOOKUPS, _ROWS = 14, 1, 2, 4
"""Requests at most: of a group's experiments, another stream of it, a kind of lookup, and of details or lists."""
_PARTITIONS = 3


@dataclass
class Examination:
    """The examination of one account.

    Args:
        tap: The tap, with its config and a state if there is one.
    """

    tap: TapFacts
    findings: list[Finding] = field(default_factory=list)
    denied: TrunklineError | None = None
    """Why it ended early, if it did: the credentials were refused, or nothing responded."""

    def __post_init__(self) -> None:
        self.streams = [stream for stream in self.tap.ordered_streams() if _has_requests(stream)]
        for stream in self.streams:
            stream.run = StreamRun(stream, lambda _: None)
        self.line = Line(self.tap, MOST)
        self.groups: list[list[Subject]] = []
        for stream in filter(can_be_paged, self.streams):
            for subject in subjects(stream, self.line, _PARTITIONS):
                self._group(subject).append(subject)
        # Full tables first: what they show is least in doubt, and a success before a refusal keeps the tap, and a
        # vendor that locks users out, from taking a parameter for a wrong password.
        self.groups.sort(key=lambda group: (group[0].is_dated, group[0].size > 0))
        self.line.meter.most = self.most

    def _group(self, subject: Subject) -> list[Subject]:
        """Return the group of a stream: those that page and filter alike, in one folder of routes."""
        for group in self.groups:
            if group[0].kind == subject.kind:
                return group
        self.groups.append([])
        return self.groups[-1]

    @property
    def most(self) -> int:
        """Requests that it takes at most: printed before the first one, and kept."""
        others = sum(len(group) - 1 for group in self.groups) * _ONE_ROUTE
        kinds = sum(len(stream.lookups.kinds) for stream in self._lookups())
        children = sum(isinstance(stream, ChildStream) for stream in self.streams)
        return min(MOST, len(self.groups) * _GROUP + others + kinds * _LOOKUPS + children * _ROWS)

    @property
    def code(self) -> int:
        """The exit code: 0 when nothing is refuted, 3 when something is, 1 when nothing could be checked."""
        if self.denied or not self.tap.client.succeeded.is_set():
            return 1
        return 3 if any(one.verdict == REFUTED for one in self.findings) else 0

    def run(self) -> None:
        """Make all experiments."""
        try:
            for finding in self._experiments():
                self.findings.append(finding)
        except NothingCheckedError as ended:
            self.denied = ended.error
            if not self.tap.client.succeeded.is_set():  # then a refusal was the credentials', and no route's
                self.findings = [
                    replace(one, verdict=UNKNOWN, setting="", value="", advice="") for one in self.findings
                ]
        meter = self.line.meter
        self.findings.append(judges.limit(meter.limits, meter.refused, self.tap.limit))
        order = [facts.name for facts in self._facts()]
        self.findings.sort(key=lambda one: order.index(one.stream.partition(" ")[0]) if one.stream else len(order))

    def _facts(self) -> list[Any]:
        return list(self.tap.stream_types)

    def _experiments(self) -> Iterator[Finding]:
        for facts in self._facts():
            if facts.name not in self.tap.streams:
                yield Finding(facts.name, "route", UNKNOWN, f"not requested: it needs {' or '.join(facts.needs)}")
        for group in self.groups:
            for place, subject in enumerate(group):
                yield from self._survey(subject, longest=not place)
        for lookups in self._lookups():
            yield from row_experiments.lookups(lookups, self.line)
        for stream in self.streams:
            if isinstance(stream, ChildStream):
                yield from self._children(stream)
        yield from self._of_groups()

    def _of_groups(self) -> Iterator[Finding]:
        """Make the experiments that a group shares: those on the filter first, as most depends on it."""
        for group in self.groups:
            chosen = filter_experiments.choose(group)
            if chosen is not None:
                yield from filter_experiments.examine(chosen, self.variant)
                yield filter_experiments.zone(chosen, self._zones())
        for group in self.groups:
            most = max(group, key=lambda one: len(one.known.rows))
            if most.known.ok:
                yield from page_experiments.examine(most)

    def _survey(self, subject: Subject, *, longest: bool) -> Iterator[Finding]:
        """Check that a stream may be read, and find out where its rows are."""
        stream, more = subject.stream, ""
        seen = subject.survey(longest=longest)
        other = getattr(stream, "other_path", "")
        if seen.refused == HTTPStatus.NOT_FOUND and other:
            stream.path, more = other, f", at {other}"
            seen = subject.survey(longest=longest)
        route, per = judges.route(subject.name, seen, more=more), stream.per
        if seen.refused == HTTPStatus.NOT_FOUND and per and per.skip_setting:
            route = replace(route, setting=per.skip_setting, value="true", advice=f"Or correct {per.setting}")
        yield route
        yield from judges.forms(subject.name, seen, stream)
        if hasattr(stream, "row_zone") and seen.ok:
            yield judges.zone_names(subject.name, seen.zones)
        if seen.refused in BINDING and subject.is_dated:
            refused = Finding(subject.name, "filter", REFUTED, f"{seen.problem} to its dates")
            named = filter_experiments.with_other_form(subject, [refused], self.variant)
            yield from (one for one in named if one.setting)

    def _children(self, stream: ChildStream) -> Iterator[Finding]:
        parent = next((one for group in self.groups for one in group if type(one.stream) is stream.listed), None)
        if isinstance(stream, DetailStream) and parent is not None:
            yield from row_experiments.details(stream, parent, self.line, self.variant)
        else:
            yield row_experiments.lists(stream, self.line)

    def _lookups(self) -> list[LookupStream]:
        """Return the first stream of those that are made of the same lookups."""
        found: dict[int, LookupStream] = {}
        for stream in self.streams:
            if isinstance(stream, LookupStream):
                found.setdefault(id(stream.lookups), stream)
        return list(found.values())

    def _zones(self) -> list[str]:
        return [name for group in self.groups for subject in group for name in subject.known.zones]

    def variant(self, stream: Any, setting: str, value: str) -> Any:
        """Return the same stream of the same account with another value of a setting; it shares the client."""
        tap = self.tap
        other = type(tap)(config={**tap.config, setting: value}, run_start=tap.run_start, transport=tap.transport)
        other.client = tap.client
        found: Any = other.streams[stream.name]
        found.run = StreamRun(found, lambda _: None)
        return found


def _has_requests(stream: VendorStream) -> bool:
    return can_be_paged(stream) or isinstance(stream, (LookupStream, ChildStream))
