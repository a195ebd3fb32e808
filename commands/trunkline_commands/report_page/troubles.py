"""Troubles, for the top of the page: runs that failed, streams that are late, gaps, and models that lag behind."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline_commands.report_page.manager import Manager
    from trunkline_commands.report_page.story import Story

_NAMED = 4  # streams of a vendor; the others are a number


class Trouble(NamedTuple):
    """A trouble.

    Args:
        kind: `failed`, `stopped`, `late` or `gap`.
        word: The kind in words.
        what: What it is about.
        detail: What is known of it.
        place: Where the page has more.
    """

    kind: str
    word: str
    what: str
    detail: str
    place: str


def troubles(stories: Sequence[Story], runs: Sequence[Mapping[str, Any]], manager: Manager | None) -> Iterator[Trouble]:
    """List the troubles, the worst first.

    Args:
        stories: The streams, in the order of the page.
        runs: The last runs, newest first.
        manager: The manager's part, where there are models.
    """
    yield from _runs(runs)
    late = [(place, story, story.missed) for place, story in enumerate(stories) if story.verdict == "late"]
    yield from _by_vendor("late", late, "days passed without rows that usually have some")
    if manager:
        yield from _lag(stories, manager)
    gaps = [(place, story, story.recent_gaps) for place, story in enumerate(stories) if story.recent_gaps]
    yield from _by_vendor("gap", gaps, "days without rows between others")
    for place, story in enumerate(stories):
        if story.left_out:
            names = ", ".join(story.left_out)
            yield Trouble("gap", "left out", f"{story.table.vendor} {story.name}", names, f"s{place}")


def _by_vendor(kind: str, found: Iterable[tuple[int, Story, int]], what: str) -> Iterator[Trouble]:
    """List streams of a trouble, a vendor's as one: their places on the page, and how many days it is about."""
    for vendor, group in itertools.groupby(found, key=lambda one: one[1].table.vendor):
        listed = list(group)
        names = ", ".join(story.name for _, story, _ in listed[:_NAMED])
        more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
        most = max(days for _, _, days in listed)
        detail = f"{'up to ' if len(listed) > 1 else ''}{most:,} {what}"
        yield Trouble(kind, kind, f"{vendor} {names}{more}", detail, f"s{listed[0][0]}")


def _runs(runs: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    """List runs that were not complete: the last of each tap with its reason, earlier ones as a number."""
    seen, earlier = set(), 0
    for place, run in enumerate(runs):
        bad = run["verdict"] != "complete"
        if run["tap"] not in seen and bad:
            kind = "stopped" if run["verdict"] == "stopped" else "failed"
            reason = run["failures"][0] if run["failures"] else ""
            yield Trouble(kind, run["verdict"], f"{run['tap']}, {run['started']:%Y-%m-%d %H:%M}", reason, f"run{place}")
        elif bad:
            earlier += 1
        seen.add(run["tap"])
    if earlier:
        runs_were = "run was" if earlier == 1 else "runs were"
        yield Trouble("stopped", "before", f"{earlier} earlier {runs_were} not complete", "", "runs")


def _lag(stories: Sequence[Story], manager: Manager) -> Iterator[Trouble]:
    """Yield models that were not built since the last load."""
    # Of a stream in several schemas the one that counts is where the models read it, unless they are set otherwise.
    usual_last = sorted(stories, key=lambda story: story.table.schema == f"tap_{story.table.vendor}")
    ends: dict[tuple[str, str], datetime] = {
        (story.table.vendor, story.table.stream): story.proven.up_to for story in usual_last if story.proven
    }
    behind = [
        source.name
        for source in manager.models.sources
        for stream in source.streams
        if source.up_to and ends.get((source.vendor, stream), source.up_to) > source.up_to
    ]
    if behind:
        names = ", ".join(dict.fromkeys(behind))
        yield Trouble("late", "models", "not built since the last load", f"build them again for {names}", "manager")
