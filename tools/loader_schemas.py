"""Run schemas through the conversion code of a published loader, in the loader's own environment.

    python tools/loader_schemas.py bigquery < schemas.json
    python tools/loader_schemas.py bigquery-records < lines.jsonl

Standard input holds a JSON object of JSON schemas by name; standard output gets, by the same names, each column's type.
With records, it holds a tap's lines; standard output gets the values that the loader would change.
It imports nothing of this project, which is not installed there.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Columns = dict[str, str]
DEEPEST = 9
SNOWFLAKE = dict.fromkeys(("user", "password", "account", "database"), "x")


def bigquery(schema: dict[str, Any]) -> Columns:
    """Convert a schema as z3-target-bigquery does: by both resolvers, and as protobuf messages of bulk loads."""
    from target_bigquery import core, proto_gen

    versions = core.SchemaResolverVersion
    strict, lenient = (core.SchemaTranslator(schema, {}, version) for version in (versions.V1, versions.V2))
    for translated in (strict.translated_schema, lenient.translated_schema):
        proto_gen.proto_schema_factory_v2(translated)
    return {field.name: _bigquery_type(field) for field in strict.translated_schema}


def _bigquery_type(field: Any) -> str:
    inner = f"<{', '.join(f'{one.name} {_bigquery_type(one)}' for one in field.fields)}>" if field.fields else ""
    return f"{field.field_type.upper()}{inner}{' REPEATED' if field.mode == 'REPEATED' else ''}"


def snowflake(schema: dict[str, Any]) -> Columns:
    """Convert a schema as meltanolabs-target-snowflake does, with the type of instants of docs/how-to/snowflake.md."""
    from target_snowflake.connector import SnowflakeConnector

    connector = SnowflakeConnector(config={**SNOWFLAKE, "timestamp_type": "TIMESTAMP_TZ"})
    return {name: str(connector.to_sql_type(spec)) for name, spec in schema["properties"].items()}


def redshift(schema: dict[str, Any]) -> Columns:
    """Convert a schema as pipelinewise-target-redshift does, flat and with every object flattened."""
    from target_redshift import db_sync

    for depth in (1, DEEPEST):
        for spec in db_sync.flatten_schema(schema, max_level=depth).values():
            db_sync.column_type(spec)
    return {name: db_sync.column_type(spec) for name, spec in db_sync.flatten_schema(schema).items()}


def bigquery_records(lines: str) -> dict[str, list[Any]]:
    """List the values that z3-target-bigquery changes: by stream and field, the value and what becomes of it."""
    from target_bigquery import core

    versions, changed = core.SchemaResolverVersion, {}
    translators: dict[str, list[Any]] = {}
    for line in lines.splitlines():
        message = json.loads(line)
        if message["type"] == "SCHEMA":
            schema = message["schema"]
            translators[message["stream"]] = [
                core.SchemaTranslator(schema, {}, one) for one in (versions.V1, versions.V2)
            ]
        for translator in translators[message["stream"]] if message["type"] == "RECORD" else ():
            made = translator.translate_record(json.loads(line)["record"])
            for name, value in message["record"].items():
                there = made.get(name)
                there = json.loads(there) if isinstance(there, str) and not isinstance(value, str) else there
                if _without_nulls(there) != _without_nulls(value):
                    changed[f"{message['stream']}.{name}"] = [value, there]
    return changed


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


LOADERS: dict[str, Callable[[dict[str, Any]], Columns]] = {
    "bigquery": bigquery,
    "snowflake": snowflake,
    "redshift": redshift,
}


if __name__ == "__main__":
    if sys.argv[1] == "bigquery-records":
        json.dump(bigquery_records(sys.stdin.read()), sys.stdout)
    else:
        convert = LOADERS[sys.argv[1]]
        json.dump({name: convert(schema) for name, schema in json.load(sys.stdin).items()}, sys.stdout)
