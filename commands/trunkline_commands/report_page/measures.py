"""Durations and outcomes of calls."""

# ruff: noqa: S608 - every name in a query went through `quoted`

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline_commands.report_page.story import Bar, Share, Story
from trunkline_commands.report_page.tables import quoted
from trunkline_commands.report_page.words import words

if TYPE_CHECKING:
    from trunkline_commands.report_page.tables import Connection

_MOST_VALUES, _SHOWN_VALUES = 40, 6  # a field with more values is free text; of the others the most frequent are named
_SHORT = (10, 30, 60, 120, 300, 600, 1200, 3600)
_LONG = (600, 3600, 4 * 3600, 12 * 3600, 86_400, 2 * 86_400, 4 * 86_400, 7 * 86_400)


def add_durations(connection: Connection, story: Story, place: str, within: str) -> None:
    """Add the distribution of durations, if the table has any."""
    if not story.table.duration:
        return
    expression, name = story.table.duration
    measured = f"(SELECT CAST({expression} AS DOUBLE) AS s FROM {place} WHERE {within}) WHERE s >= 0 AND isfinite(s)"
    found = connection.execute(
        f"SELECT count(*), quantile_cont(s, [0.5, 0.9, 0.99]), max(s) FROM {measured}"
    ).fetchone()
    if not found or not found[0]:
        return
    count, (median, most, nearly), longest = found
    edges = _LONG if most > 2 * _SHORT[-1] else _SHORT
    cases = " ".join(f"WHEN s < {edge} THEN {n}" for n, edge in enumerate(edges, start=1))
    buckets = dict(
        connection.execute(
            f"SELECT CASE WHEN s = 0 THEN 0 {cases} ELSE {len(edges) + 1} END, count(*) FROM {measured} GROUP BY 1"
        ).fetchall()
    )
    labels = ["0 s", *(f"to {words(edge)}" for edge in edges), f"over {words(edges[-1])}"]
    top = max(buckets.values())
    story.durations = [Bar(label, buckets.get(n, 0), 100 * buckets.get(n, 0) / top) for n, label in enumerate(labels)]
    quantiles = (("median", median), ("9 of 10 within", most), ("99 of 100 within", nearly), ("longest", longest))
    story.length = name, [*((text, words(value, exact=True)) for text, value in quantiles), ("measured", f"{count:,}")]


def read_shares(connection: Connection, place: str, name: str, within: str, rows: int) -> list[Share]:
    """Count the values of an outcome; none where nothing is in it, or where it is free text."""
    column = quoted(name)
    found = connection.execute(
        f"SELECT CAST({column} AS VARCHAR), count(*) FROM {place} WHERE {within} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
        [_MOST_VALUES + 1],
    ).fetchall()
    if len(found) > _MOST_VALUES or not any(value is not None for value, _ in found):
        return []
    total = sum(count for _, count in found) or rows
    named = [("(none)" if value is None else value or "(empty)", count) for value, count in found]
    rest = sum(count for _, count in named[_SHOWN_VALUES:])
    shown = [*named[:_SHOWN_VALUES], *([(f"{len(named) - _SHOWN_VALUES} others", rest)] if rest else [])]
    made, start = [], 0.0
    for place_in_bar, (value, count) in enumerate(shown):
        percent = 100 * count / total
        made.append(Share(value, count, percent, start, place_in_bar))
        start += percent
    return made
