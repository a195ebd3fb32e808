"""Read sources with PyAirbyte, as its documentation shows it; runs in PyAirbyte's own environment (tools/pyairbyte.py).

On standard input comes the job, a line of JSON: `cache`, the path of the DuckDB file, and `sources`, for each vendor
its `program` and `config`. Then the name of a vendor on a line of its own is an order to read it, and the
response is one line of JSON: `records`, how many came, and `rows`, those that the cache now holds of each stream.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import airbyte as ab  # type: ignore[import-not-found]  # only its own environment has it
from airbyte.caches import DuckDBCache  # type: ignore[import-not-found]  # same


def main() -> None:
    """Carry out orders until there are no more."""
    responses, sys.stdout = sys.stdout, sys.stderr  # PyAirbyte's own output is no response
    job = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        vendor = line.strip()
        print(json.dumps(read(job, vendor), default=str), file=responses, flush=True)


def read(job: dict[str, Any], vendor: str) -> dict[str, Any]:
    """Read all streams of a source into the cache; from where it stands by the cache, if it has been read before."""
    source = ab.get_source(
        f"source-{vendor}",
        config=job["sources"][vendor]["config"],
        local_executable=job["sources"][vendor]["program"],
    )
    source.check()
    source.select_all_streams()
    cache = DuckDBCache(db_path=job["cache"], schema_name=vendor)
    result = source.read(cache=cache)
    rows = {}
    for name in source.get_selected_streams():
        table = cache.streams[name].to_sql_table()
        rows[name] = cache.run_sql_query(f'SELECT * FROM "{vendor}"."{table.name}"')  # noqa: S608 - names of our own
    cache.close()
    return {"records": result.processed_records, "rows": rows}


if __name__ == "__main__":
    main()
