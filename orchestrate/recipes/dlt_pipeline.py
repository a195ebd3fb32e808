"""A tap as a source of dlt, which loads into DuckDB here and elsewhere by another `destination`.

    python dlt_pipeline.py /path/to/tap-evolux evolux.json calls.duckdb

The tap is a process of its own, so dlt and the Singer SDK need not share an environment. Its bookmarks are part of
dlt's state, which dlt stores together with the rows: both are there after a load, or neither.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt

if TYPE_CHECKING:
    from collections.abc import Iterator


def singer(tap: str, config: str) -> Any:
    """Return a resource that runs a tap and yields its records, each to the table of its stream.

    Args:
        tap: The tap's command.
        config: Path of its config file.
    """

    def records() -> Iterator[Any]:
        kept = dlt.current.resource_state()
        with tempfile.TemporaryDirectory(prefix="dlt-") as folder:
            line = [tap, "--config", config]
            if kept.get("singer"):
                state = Path(folder, "state.json")
                state.write_text(json.dumps(kept["singer"]), encoding="utf-8")
                line += ["--state", str(state)]
            process = subprocess.Popen(line, stdout=subprocess.PIPE)  # noqa: S603 - the command that the caller names
            with process:
                yield from _items(process, kept)
        if process.returncode:
            # dlt then loads nothing of this run, and its state stays where it was.
            raise RuntimeError(f"{tap} ended with exit code {process.returncode}: see its log above")

    return dlt.resource(records, name=Path(tap).name.replace("-", "_"), max_table_nesting=0)


def _items(process: subprocess.Popen[bytes], kept: dict[str, Any]) -> Iterator[Any]:
    for line in process.stdout or ():
        message = json.loads(line)
        if message["type"] == "RECORD":
            yield dlt.mark.with_table_name(message["record"], message["stream"])
        elif message["type"] == "SCHEMA":
            hints = dlt.mark.make_hints(
                table_name=message["stream"],
                primary_key=message["key_properties"],
                columns=columns(message["schema"]["properties"]),
                write_disposition="merge",
            )
            yield dlt.mark.with_hints([], hints, create_table_variant=True)
        elif message["type"] == "STATE":
            kept["singer"] = message["value"]


def columns(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the types of the tap's SCHEMA as dlt's column hints.

    Without them dlt takes each column's type from the first value that comes: 0 and then 3.5 makes two columns, a note
    that looks like a date makes a timestamp, and a column without any value is not there at all.

    Args:
        properties: The fields, each with its JSON schema.
    """
    return {name: {"name": name, "data_type": data_type(spec), "nullable": True} for name, spec in properties.items()}


def data_type(spec: dict[str, Any]) -> str:
    """Name a field's type as dlt does; what may have several types, or any, is kept as JSON."""
    declared = spec.get("type", [])
    kinds = {declared} if isinstance(declared, str) else set(declared)
    kinds.discard("null")
    if kinds == {"integer", "number"}:
        return "double"
    kind = kinds.pop() if len(kinds) == 1 else ""
    if kind == "string":
        return {"date-time": "timestamp", "date": "date", "time": "time"}.get(spec.get("format", ""), "text")
    return {"integer": "bigint", "number": "double", "boolean": "bool"}.get(kind, "json")


def main(tap: str, config: str, database: str) -> None:
    """Load the new records."""
    name = Path(tap).name.replace("-", "_")
    pipeline = dlt.pipeline(
        name, destination=dlt.destinations.duckdb(database), dataset_name=name, pipelines_dir=f"{database}.dlt"
    )
    print(pipeline.run(singer(tap, config)))  # noqa: T201 - a command


if __name__ == "__main__":
    main(*sys.argv[1:4])
