"""The same lists and details through dlt's declarative `rest_api` source.

By default the rows are taken from the source as they come and written as RECORD lines: the lightest way through dlt,
without its normalising and loading. With a path as second argument, a dlt pipeline loads them into that DuckDB file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import dlt  # type: ignore[import-not-found]
from dlt.common.json import json as dlt_json  # type: ignore[import-not-found]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

_BLOCK = 64 * 1024


def bspk(job: dict[str, Any]) -> Any:
    """Read by page numbers until a page is empty: the vendor's links lead to its own host."""
    return rest_api_source(
        {
            "client": {
                "base_url": f"{job['api_url']}/",
                "auth": {"type": "bearer", "token": job["token"]},
                "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
            },
            "resources": [
                {
                    "name": "calls",
                    "primary_key": ["sales_associate_id", "client_id", "created_at"],
                    "endpoint": {
                        "path": "api/extraction/v1/calls",
                        "data_selector": "$",
                        "params": {
                            "per_page": job["page_size"],
                            "to": job["end"],
                            "from": {"type": "incremental", "cursor_path": "created_at", "initial_value": job["start"]},
                        },
                    },
                }
            ],
        }
    )


def conpeek(job: dict[str, Any]) -> Any:
    """Return a resource for each list of each campaign, read at the same time."""
    return rest_api_source(
        {
            "client": {
                "base_url": f"{job['api_url']}/",
                "auth": {
                    "type": "api_key",
                    "name": "Authorization",
                    "api_key": job["token"],
                    "location": "header",
                },
                "paginator": {"type": "offset", "limit": job["page_size"], "total_path": None},
            },
            "resources": [
                {
                    "name": f"requests_{which}_{campaign}",
                    "primary_key": "id",
                    "endpoint": {
                        "path": f"voice_campaign/{campaign}/request",
                        "data_selector": "data",
                        "params": {"filter": rules.replace("{", "{{").replace("}", "}}")},  # dlt reads braces
                    },
                }
                for campaign in job["campaigns"]
                for which, rules in job["filters"].items()
            ],
        }
    )


def evolux(job: dict[str, Any]) -> Any:
    """Return the calls, and a dependent resource for their details."""
    return rest_api_source(
        {
            "client": {
                "base_url": f"{job['api_url']}/",
                "auth": {"type": "api_key", "name": "token", "api_key": job["token"], "location": "header"},
            },
            "resources": [
                {
                    "name": "studio_calls",
                    "primary_key": "id",
                    "parallelized": True,
                    "endpoint": {
                        "path": "api/v1/studio/calls",
                        "data_selector": "data",
                        "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
                        "params": {
                            "limit": job["page_size"],
                            "end_date": job["end"],
                            "start_date": {
                                "type": "incremental",
                                "cursor_path": "start_time",
                                "initial_value": job["start"],
                            },
                        },
                    },
                },
                {
                    "name": "studio_cdr",
                    "primary_key": "call_uuid",
                    "parallelized": True,
                    "include_from_parent": ["id", "start_time"],
                    "endpoint": {
                        "path": "api/v1/studio/calls/{resources.studio_calls.id}/cdr",
                        "data_selector": "data",
                        "paginator": "single_page",
                    },
                },
            ],
        }
    )


def stream_of(row: dict[str, Any]) -> bytes:
    """Return the stream of a row; rows of several resources come mixed and without their name."""
    if "executed_tasks" in row:
        return b"studio_cdr"
    if "voice_campaign_id" in row:
        return b"voice_campaign_requests"
    return b"studio_calls" if "uuid" in row else b"calls"


def write(source: Any) -> None:
    """Write a RECORD line for each row."""
    block, dumps = bytearray(), dlt_json.dumpb
    for row in source:
        block += b'{"type":"RECORD","stream":"' + stream_of(row) + b'","record":' + dumps(row) + b"}\n"
        if len(block) > _BLOCK:
            sys.stdout.buffer.write(block)
            block.clear()
    sys.stdout.buffer.write(block)


def main() -> None:
    """Read the vendor that the configuration names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ.update(
        {
            "EXTRACT__WORKERS": str(job["workers"]),
            "EXTRACT__MAX_PARALLEL_ITEMS": str(4 * job["workers"]),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
    )
    source = {"bspk": bspk, "conpeek": conpeek, "evolux": evolux}[job["vendor"]](job)
    if job["vendor"] != "evolux":
        # For resources that depend on none, `parallelized` in their description has no effect in this release.
        source = source.parallelize()
    if len(sys.argv) == 2:  # noqa: PLR2004 - no second argument
        write(source)
        return
    path = Path(sys.argv[2])
    pipeline = dlt.pipeline(
        f"bench_{path.stem}", destination=dlt.destinations.duckdb(str(path)), pipelines_dir=str(path.parent / "dlt")
    )
    pipeline.run(source, write_disposition="merge")


if __name__ == "__main__":
    main()
