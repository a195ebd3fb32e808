"""Make the sources and the staging views of the dbt package `transform/` from schemas/, and tables for docs/model.md.

tools/docs.py writes them.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import yaml

from trunkline import schemas
from trunkline.doors.vendors import vendor_taps
from trunkline.facts.window_proofs import WindowProofs
from trunkline_commands.meltano import to_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trunkline.doors.command import VendorTap

_HEAD = "# Made by `python3 run.py docs` from schemas/{vendor}: change those, not this file.\n\n"
_TYPES = {"integer": "int8", "number": "float8", "boolean": "boolean", "object": "json", "array": "json"}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_FRESH = (
    "select max(read_to) from {{ adapter.quote(this.schema) }}.window_proofs where stream = '{{ this.identifier }}'"
)
"""The column of when the stream was last read: the youngest row shows when somebody last called instead."""


def files(root: Path) -> dict[Path, str]:
    """Return every generated file of the package, with its text.

    Args:
        root: The checkout.
    """
    found = {}
    for vendor, tap in vendor_taps("trunkline").items():
        folder = root / "transform" / "models" / "staging" / vendor
        streams = {stream.name: stream for stream in _streams(tap)}
        content = {"version": 2, "sources": [_source(tap, streams)], "models": _models(vendor, streams)}
        found[folder / f"{vendor}.yml"] = _HEAD.format(vendor=vendor) + to_yaml(content)
        for stream in streams:
            found[folder / f"{view(vendor, stream)}.sql"] = f"{{{{ trunkline.staged('{vendor}', '{stream}') }}}}\n"
    return found


def view(vendor: str, stream: str) -> str:
    """Return the name of a stream's staging view."""
    return f"stg_{vendor}__{stream}"


def column_name(field: str) -> str:
    """Return a field's name in a staging view, in snake case: `CompletedFormIds` is `completed_form_ids`."""
    return _WORD.sub("_", field).lower()


def data_type(field: dict[str, Any]) -> str:
    """Return the type that a staging view gives a field: a name both databases know, or `json`."""
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    known = [name for name in types if name != "null"]
    if field.get("format") == "date-time":
        return "timestamptz"
    return _TYPES.get(known[0], "text") if len(known) == 1 else "json"


def _streams(tap: type[VendorTap]) -> tuple[Any, ...]:
    """Return the streams of a vendor as classes; the SDK types their names for instances."""
    return (*tap.stream_types, WindowProofs)


def _source(tap: type[VendorTap], streams: Mapping[str, Any]) -> dict[str, Any]:
    tables = []
    for name, stream in streams.items():
        schema = schemas.load(tap.vendor, name)
        columns = [
            {"name": field, "description": _prose(spec), "data_type": data_type(spec)}
            for field, spec in schema["properties"].items()
        ]
        # What nobody has to load is not late.
        late = {} if name != WindowProofs.name and stream.selected_by_default else {"config": {"freshness": None}}
        tables.append({"name": name, "description": _prose(schema), **late, "columns": columns})
    return {
        "name": tap.name.replace("-", "_"),
        "description": f"What {tap.name} has loaded.",
        "schema": f"{{{{ var('schema_{tap.vendor}') }}}}",
        "config": {
            "loaded_at_query": _FRESH,
            "freshness": {
                "warn_after": {"count": "{{ var('fresh_hours') }}", "period": "hour"},
                "error_after": {"count": "{{ var('stale_hours') }}", "period": "hour"},
            },
        },
        "tables": tables,
    }


def _models(vendor: str, streams: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for stream, facts in streams.items():
        schema = schemas.load(vendor, stream)
        columns = []
        for name, field in schema["properties"].items():
            columns.append({"name": column_name(name), "description": _prose(field)})
            if data_type(field) == "timestamptz":
                local = "The same on the clocks of the centre, without a zone."
                columns.append({"name": f"{column_name(name)}_local", "description": local})
        columns.append(
            {"name": "loaded_at", "description": "When the loader wrote the row, null where it does not say."}
        )
        test = {"key": {"arguments": {"columns": [column_name(name) for name in facts.primary_keys]}}}
        made.append(
            {
                "name": view(vendor, stream),
                "description": _prose(schema),
                "data_tests": [test],
                "columns": columns,
            }
        )
    return made


def _prose(schema: dict[str, Any]) -> str:
    """Return a description that dbt does not take for a template."""
    text = str(schema["description"])
    return f"{{% raw %}}{text}{{% endraw %}}" if re.search(r"\{[{%#]", text) else text


def columns(root: Path, model: str) -> str:
    """Write the meanings of a model's columns as a table.

    Args:
        root: The checkout.
        model: Its name.
    """
    folder = root / "transform" / "models"
    (found,) = (
        one
        for file in (folder / "core" / "core.yml", folder / "marts" / "marts.yml")
        for one in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]
        if one["name"] == model
    )
    rows = [f"| `{column['name']}` | {column['description']} |" for column in found["columns"]]
    return "\n".join(["| column | meaning |", "|---|---|", *rows])


def matrix(root: Path) -> str:
    """Write which fields of a contact each stream can't supply, and the reasons, from the seed `coverage`.

    Args:
        root: The checkout.
    """
    with (root / "transform" / "seeds" / "coverage.csv").open(encoding="utf-8") as lines:
        rows = [*csv.DictReader(lines)]
    streams = [*dict.fromkeys(f"{row['vendor']} {row['stream']}" for row in rows)]
    marks = {(row["field"], f"{row['vendor']} {row['stream']}"): row["supplied"] for row in rows}
    fields = [*dict.fromkeys(row["field"] for row in rows)]
    table = [f"| | {' | '.join(streams)} |", "|---" * (len(streams) + 1) + "|"]
    table += [f"| `{field}` | {' | '.join(marks.get((field, one), 'yes') for one in streams)} |" for field in fields]
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        where = f"{row['vendor']} {row['stream']}", row["supplied"], row["reason"]
        reasons.setdefault(where, []).append(f"`{row['field']}`")
    why = [f"| {one} | {', '.join(of)} | {supplied} | {reason} |" for (one, supplied, reason), of in reasons.items()]
    return "\n".join([*table, "", "| stream | fields | supplied | why |", "|---|---|---|---|", *why])
