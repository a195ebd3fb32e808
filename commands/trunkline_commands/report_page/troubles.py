"""What is wrong, for the top of the page: runs that failed, streams that are late, gaps, and models that lag behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline_commands.report_page.manager import Manager
    from trunkline_commands.report_page.story import Story


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
    for place, story in enumerate(stories):
        if story.verdict == "late":
            passed = f"{story.missed:,} {'day' if story.missed == 1 else 'days'} without rows that usually have some"
            yield Trouble("late", "late", f"{story.table.vendor} {story.name}", passed, f"s{place}")
    if manager:
        yield from _lag(stories, manager)
    for place, story in enumerate(stories):
        if story.recent_gaps:
            days = f"{story.recent_gaps} {'day' if story.recent_gaps == 1 else 'days'} without rows"
            yield Trouble("gap", "gap", f"{story.table.vendor} {story.name}", days, f"s{place}")
    for place, story in enumerate(stories):
        if story.left_out:
            yield Trouble(
                "gap", "left out", f"{story.table.vendor} {story.name}", ", ".join(story.left_out), f"s{place}"
            )


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
    """Models that were not built since the last load."""
    ends: dict[tuple[str, str], datetime] = {
        (story.table.vendor, story.table.stream): story.proven.up_to for story in stories if story.proven
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
