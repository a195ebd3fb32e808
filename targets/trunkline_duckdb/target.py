"""The command `target-duckdb`: its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trunkline_duckdb.store import DuckDB
from trunkline_loader.paths import why_no_file
from trunkline_loader.target import ADD_RECORD_METADATA, BATCH_SIZE_ROWS, LoadingTarget

if TYPE_CHECKING:
    from trunkline_loader.store import Store


class TargetDuckDB(LoadingTarget):
    """Loads Singer streams into one DuckDB file: upsert on the key, instants as TIMESTAMPTZ, nested values as JSON."""

    name = "target-duckdb"
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "title": "Path",
                "description": "The DuckDB file, relative to the working folder; made, with its folder, if it is "
                "missing.",
            },
            "default_target_schema": {
                "type": ["string", "null"],
                "minLength": 1,
                "title": "Schema",
                "description": "The schema in the file that gets one table a stream, `main` if not set.",
            },
            "batch_size_rows": dict(BATCH_SIZE_ROWS),
            "add_record_metadata": dict(ADD_RECORD_METADATA),
        },
    }

    def open_store(self) -> Store:
        """Return the file that `path` names, not yet open."""
        return DuckDB(Path(self.config["path"]), self.config.get("default_target_schema") or "main", self.logger)

    def problems(self, given: dict[str, Any]) -> list[str]:
        """Return the reason why `path` can't be a file's, if there is one."""
        path = given.get("path")
        reason = why_no_file(path) if path and isinstance(path, str) else None
        if reason:
            given["path"] = "x"
        return [f"path {reason} ({self.variable('path')})"] if reason else []
