"""The schemas through the code with which published loaders make their columns, each in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bench import environments
from tests.night import at_night

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = {
    path.relative_to(ROOT / "schemas").with_suffix("").as_posix(): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "schemas").glob("*/*.json"))
}
INSTANTS = {"bigquery": "TIMESTAMP", "snowflake": "TIMESTAMP_NTZ", "redshift": "timestamp without time zone"}
pytestmark = at_night("installs 300 MB of loaders")


@pytest.mark.parametrize("loader", INSTANTS)
def test_g10_a_published_loader_makes_a_column_of_every_field(loader: str) -> None:
    """No schema ends in an error there, no field is without a column, and an instant is none of text."""
    script = ROOT / "tools" / "loader_schemas.py"
    done = subprocess.run(
        [environments.program(loader), str(script), loader],
        input=json.dumps(SCHEMAS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made: dict[str, dict[str, str]] = json.loads(done.stdout)
    for name, schema in SCHEMAS.items():
        properties: dict[str, Any] = schema["properties"]
        assert set(made[name]) == set(properties), name
        for field, spec in properties.items():
            if spec.get("format") == "date-time":
                assert made[name][field] == INSTANTS[loader], f"{name}: {field}"
