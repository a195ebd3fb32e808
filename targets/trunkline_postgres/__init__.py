"""`target-postgres`: a Singer target that loads into PostgreSQL in bulk and loses nothing. See `trunkline_loader`.

| module | its one reason to change |
|---|---|
| `target` | settings |
| `connection` | from settings to a connection; certificates |
| `columns` | PostgreSQL's types |
| `store` | tables, keys, locks, lost connections |
| `sql` | what is sent for a batch |
| `errors` | why PostgreSQL refuses, and what to do |
"""

from __future__ import annotations

from trunkline_postgres.target import TargetPostgres

__all__ = ["TargetPostgres"]
