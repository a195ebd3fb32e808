"""The queries for warehouses that `verify` does not connect to: they lay the spans in SQL, and count the exact ones.

They are written once, in DuckDB's SQL, and translated by sqlglot. Names are not quoted, as loaders for warehouses fold
them; a span that a newer proof is about in part is left out, as its rows can't be counted exactly.
"""

# ruff: noqa: S608 - names are those of the tap's own streams and fields

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import sqlglot
from sqlglot import exp

from trunkline_commands.verify.facts import PROOFS, stream_facts

if TYPE_CHECKING:
    from trunkline.doors.command import VendorTap
    from trunkline_commands.verify.facts import StreamFacts

_NAME = re.compile(r"\w+(\.\w+)*")
_JUDGED = (
    "CASE WHEN held < rows_within THEN 'missing' WHEN held > rows_within OR repeated > 0 THEN 'surplus' "
    "ELSE 'agrees' END AS verdict"
)


def queries(tap: type[VendorTap], schema: str | None, dialect: str) -> str:
    """Write a query for each stream of a tap.

    Args:
        tap: The tap.
        schema: The schema or data set; none leaves the tables unqualified.
        dialect: A dialect that sqlglot knows.

    Raises:
        click.UsageError: It knows no such dialect, or the schema is no plain name.
    """
    if dialect.lower() not in sqlglot.Dialect.classes or not dialect:
        raise click.UsageError(f"--sql must be one of {', '.join(sorted(filter(None, sqlglot.Dialect.classes)))}")
    if schema is not None and not _NAME.fullmatch(schema):
        raise click.UsageError("--schema must be a plain name here, such as tap_evolux or project.tap_evolux")
    place = f"{schema}." if schema else ""
    texts = []
    for facts in stream_facts(tap):
        query = _full(facts, place) if facts.replication_key is None else _spans(facts, place)
        texts.append(f"-- {tap.name}, {facts.name}: {_note(facts)}\n{_translated(query, dialect.lower())};\n")
    return "\n".join(texts)


def _note(facts: StreamFacts) -> str:
    if facts.keeps_outside:
        return "surplus is no difference, as rows also come with other spans than their own"
    if facts.lookup:
        return "surplus is no difference, as rows of older lookups stay"
    if facts.moves:
        return "missing rows are no difference where rows have changed since, which moves them to a later span"
    return "each span's rows as proven and as held; those not read again with their span are counted as not_again"


def _translated(query: str, dialect: str) -> str:
    tree = sqlglot.parse_one(query, read="duckdb")
    if dialect == "snowflake":  # folds what is not quoted to upper case
        for name in tree.find_all(exp.Identifier):
            name.set("this", name.name.upper())
    return tree.sql(dialect=dialect, pretty=True)


def _held(facts: StreamFacts) -> str:
    """Write columns that count a span's rows: each key once, if it is not marked and was not left out since."""
    key = facts.keys[0] if facts.keys else "_sdc_extracted_at"
    if len(facts.keys) > 1:
        key = " || '|' || ".join(f"CAST({name} AS VARCHAR)" for name in facts.keys)
    again = f"CASE WHEN held_rows._sdc_extracted_at >= spans.read_from THEN {key} END"
    if not facts.shows_deletions:
        return f"COUNT(DISTINCT {key}) AS held, 0 AS not_again, COUNT({key}) - COUNT(DISTINCT {key}) AS repeated"
    return (
        f"COUNT(DISTINCT {again}) AS held, "
        f"COUNT(DISTINCT CASE WHEN held_rows._sdc_extracted_at < spans.read_from THEN {key} END) AS not_again, "
        f"COUNT({key}) - COUNT(DISTINCT {key}) AS repeated"
    )


def _spans(facts: StreamFacts, place: str) -> str:
    key, parts = (
        facts.replication_key,
        "".join(f""" AND spans.part LIKE '%"' || CAST(held_rows.{name} AS VARCHAR) || '"%'""" for name in facts.parts),
    )
    return f"""
WITH proofs AS (
  SELECT DISTINCT "partition" AS part, since AS span_since, until AS span_until, rows_within, read_from
  FROM {place}{PROOFS} WHERE stream = '{facts.name}' AND since < until
),
edges AS (SELECT part, span_since AS edge FROM proofs UNION SELECT part, span_until FROM proofs),
pieces AS (SELECT part, edge, LEAD(edge) OVER (PARTITION BY part ORDER BY edge) AS next_edge FROM edges),
laid AS (
  SELECT proofs.part, span_since, span_until, rows_within, read_from,
    ROW_NUMBER() OVER (PARTITION BY pieces.part, edge ORDER BY read_from DESC) AS age
  FROM pieces JOIN proofs ON proofs.part = pieces.part AND span_since <= edge AND span_until >= next_edge
),
spans AS (
  SELECT part, span_since, span_until, rows_within, read_from FROM laid
  GROUP BY part, span_since, span_until, rows_within, read_from HAVING MAX(age) = 1
),
counted AS (
  SELECT spans.part, span_since, span_until, rows_within, {_held(facts)}
  FROM spans LEFT JOIN {place}{facts.name} AS held_rows
    ON held_rows.{key} >= span_since AND held_rows.{key} < span_until
    AND held_rows._sdc_deleted_at IS NULL{parts}
  GROUP BY spans.part, span_since, span_until, rows_within
)
SELECT part, span_since, span_until, rows_within, held, not_again, repeated, {_JUDGED}
FROM counted ORDER BY part, span_since"""


def _full(facts: StreamFacts, place: str) -> str:
    return f"""
WITH spans AS (
  SELECT rows_within, read_from FROM {place}{PROOFS} WHERE stream = '{facts.name}'
  AND read_from = (SELECT MAX(read_from) FROM {place}{PROOFS} WHERE stream = '{facts.name}')
),
counted AS (
  SELECT rows_within, {_held(facts)} FROM spans
  LEFT JOIN {place}{facts.name} AS held_rows ON held_rows._sdc_deleted_at IS NULL
  GROUP BY rows_within
)
SELECT rows_within, held, not_again, repeated, {_JUDGED} FROM counted"""
