"""Run schemas through the conversion code of a published loader, in the loader's own environment.

    python tools/loader_schemas.py bigquery < schemas.json

Standard input holds a JSON object of JSON schemas by name; standard output gets, by the same names, each column's type.
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


def bigquery(schema: dict[str, Any]) -> Columns:
    """As z3-target-bigquery does it: both of its resolvers, and the protobuf messages of its bulk loads."""
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
    """As meltanolabs-target-snowflake does it."""
    from target_snowflake.connector import SnowflakeConnector

    connector = SnowflakeConnector(config={"user": "x", "password": "x", "account": "x", "database": "x"})
    return {name: str(connector.to_sql_type(spec)) for name, spec in schema["properties"].items()}


def redshift(schema: dict[str, Any]) -> Columns:
    """As pipelinewise-target-redshift does it, flat and with every object flattened."""
    from target_redshift import db_sync

    for depth in (1, DEEPEST):
        for spec in db_sync.flatten_schema(schema, max_level=depth).values():
            db_sync.column_type(spec)
    return {name: db_sync.column_type(spec) for name, spec in db_sync.flatten_schema(schema).items()}


LOADERS: dict[str, Callable[[dict[str, Any]], Columns]] = {
    "bigquery": bigquery,
    "snowflake": snowflake,
    "redshift": redshift,
}


if __name__ == "__main__":
    convert = LOADERS[sys.argv[1]]
    json.dump({name: convert(schema) for name, schema in json.load(sys.stdin).items()}, sys.stdout)
