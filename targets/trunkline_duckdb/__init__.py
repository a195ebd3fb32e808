"""`target-duckdb`: a Singer target that loads into one DuckDB file and loses nothing.

| module | its one reason to change |
|---|---|
| `target` | settings and command line |
| `reader` | where lines come from; signals |
| `loader` | Singer messages, when a batch is flushed, which STATE goes out |
| `records` | how a record is checked and staged fast |
| `values` | what a single value may be |
| `columns` | types and names of columns |
| `store` | the DuckDB file |
| `sql` | the statements of a load |
| `errors` | what can go wrong |
"""

from __future__ import annotations

from trunkline_duckdb.errors import InputError, LoadError, StoreError
from trunkline_duckdb.target import TargetDuckDB

__all__ = ["InputError", "LoadError", "StoreError", "TargetDuckDB"]
