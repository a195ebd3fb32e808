"""The same lists and details through the Airbyte CDK's declarative source: one manifest, one configuration.

python airbyte_source.py bspk.yaml read --config job.json --catalog catalog.json
"""

from __future__ import annotations

import sys
from pathlib import Path

from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch  # type: ignore[import-not-found]
from airbyte_cdk.sources.declarative.yaml_declarative_source import (  # type: ignore[import-not-found]
    YamlDeclarativeSource,
)


def main() -> None:
    """Run the command that the arguments name."""
    manifest, *arguments = sys.argv[1:]
    parsed = AirbyteEntrypoint.parse_args(arguments)
    config = YamlDeclarativeSource.read_config(parsed.config)
    catalog = YamlDeclarativeSource.read_catalog(parsed.catalog) if getattr(parsed, "catalog", None) else None
    path = Path(__file__).parent / "airbyte" / manifest
    launch(YamlDeclarativeSource(str(path), config=config, catalog=catalog, config_path=parsed.config), arguments)


if __name__ == "__main__":
    main()
