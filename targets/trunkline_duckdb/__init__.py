"""`target-duckdb`: a Singer target that loads into one DuckDB file and loses nothing. See `trunkline_loader`.

| module | its one reason to change |
|---|---|
| `target` | settings |
| `columns` | DuckDB's types |
| `store` | the DuckDB file |
| `sql` | the statements of a load |
| `errors` | why DuckDB refuses, and what to do |
"""

from __future__ import annotations

from trunkline_duckdb.target import TargetDuckDB
from trunkline_loader.errors import InputError, LoadError, StoreError

__all__ = ["InputError", "LoadError", "StoreError", "TargetDuckDB"]
