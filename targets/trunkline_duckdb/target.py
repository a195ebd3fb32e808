"""The command `target-duckdb`: settings, and the way from the SDK's command line to the loader."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities
from singer_sdk.io_base import SingerReader

from trunkline import sdk, signals
from trunkline.errors import Stopped, TrunklineError, printable
from trunkline.facts import config as settings
from trunkline_duckdb.errors import LoadError, StoreError
from trunkline_duckdb.loader import Loader
from trunkline_duckdb.store import Store
from trunkline_files import why_no_file

if TYPE_CHECKING:
    import logging
    from collections import Counter
    from collections.abc import Callable, Mapping

BATCH_ROWS = 100_000
"""Default of `batch_size_rows`."""


class _LoadingReader(SingerReader):
    """The SDK's seam for reading input: instead of one Python dict a record, whole lines go to our loader.

    Args:
        config: The target's settings, checked.
        logger: For the lines a user sees.
    """

    def __init__(self, config: Mapping[str, Any], logger: logging.Logger) -> None:
        super().__init__()
        self._config = config
        self._logger = logger

    def process_lines(
        self,
        file_input: IO[str] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],  # noqa: ARG002 - the loader handles every message itself
    ) -> Counter[str]:
        """Open the file, load everything, close the file.

        Args:
            file_input: Where Singer messages come from; None is standard input.
            callbacks: The SDK's message handlers, which take parsed records and are not used.

        Returns:
            How many messages of each type came.

        Raises:
            LoadError: What failed, why, and what to do.
            Stopped: A signal ended it.
        """
        store = Store(Path(self._config["path"]), self._config.get("default_target_schema") or "main", self._logger)
        rows = self._config.get("batch_size_rows") or BATCH_ROWS
        loader = Loader(store, rows, self._logger)
        with signals.Signals(loader.stop):
            try:
                store.open()
                return loader.run(file_input)
            finally:
                store.close()


class TargetDuckDB(sdk.ConfigFiles, Target):
    """Loads Singer streams into one DuckDB file: upsert on the key, instants as TIMESTAMPTZ, nested values as JSON."""

    name = "target-duckdb"
    package_name = "trunkline"
    cli = sdk.command_line
    # Stream maps and flattening are the tap's: a target that takes records as bytes offers only what it does.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [PluginCapabilities.ABOUT, PluginCapabilities.STRUCTURED_LOGGING]
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "path",
            th.StringType(min_length=1),
            required=True,
            title="Path",
            description="The DuckDB file, relative to the working folder; made, with its folder, if it is missing.",
        ),
        th.Property(
            "default_target_schema",
            th.StringType(min_length=1),
            title="Schema",
            description="The schema in the file that gets one table a stream, `main` if not set.",
        ),
        th.Property(
            "batch_size_rows",
            th.IntegerType(minimum=1),
            default=BATCH_ROWS,
            title="Batch size",
            description="Most records held in memory and written in one transaction, over all streams together. "
            "A batch also ends at 32 MB and after 30 seconds.",
        ),
    ).to_dict()

    def __init__(self, *, config: dict[str, Any] | None = None, validate_config: bool = True, **kwargs: Any) -> None:
        """Check the settings.

        Args:
            config: The settings.
            validate_config: Whether a wrong setting is an error.
            **kwargs: As the SDK's Target.

        Raises:
            ConfigValidationError: One line for each wrong setting.
        """
        try:
            super().__init__(config=config, validate_config=validate_config, **kwargs)
        except ValueError:
            problem = "batch_size_rows must be a whole number of at least 1 (TARGET_DUCKDB_BATCH_SIZE_ROWS)"
            raise ConfigValidationError(
                "Config validation failed", errors=[problem], schema=self.config_jsonschema
            ) from None
        self.message_reader = _LoadingReader(self.config, self.logger)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """See that every setting is right; a line for each that is not names what it must be and never its value."""
        known = self.config_jsonschema["properties"]
        given = {name: value for name, value in self._config.items() if name in known}
        problems = unknown_settings(self._config, known)
        path = given.get("path")
        if reason := why_no_file(path) if path and isinstance(path, str) else None:
            problems.append(f"path {reason} (TARGET_DUCKDB_PATH)")
            given["path"] = "x"
        problems += settings.errors(given, self.config_jsonschema, "TARGET_DUCKDB_")
        if problems and raise_errors:
            raise ConfigValidationError("Config validation failed", errors=problems, schema=self.config_jsonschema)
        return problems

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add nothing: the SDK's own target settings act on its sinks, which are not used here.

        Args:
            config_jsonschema: The settings' JSON schema.
        """

    @classmethod
    def invoke(cls, **kwargs: Any) -> None:
        """Run the command; what fails is one line on standard error and exit code 1, never a traceback.

        Args:
            **kwargs: As the SDK's Target.
        """
        try:
            super().invoke(**kwargs)
        except Stopped as stopped:
            signals.leave(128 + stopped.signum)
        except (LoadError, TrunklineError) as problem:
            cls.logger.error("%s", problem)  # noqa: TRY400 - the sentence is for a user; a traceback says no more
            sys.exit(1)

    def process_endofpipe(self) -> None:
        """Do nothing: the loader has flushed already, and there are no SDK sinks to drain."""


def unknown_settings(config: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """One sentence for each setting that does not exist.

    Args:
        config: The settings as given.
        known: The settings that exist.

    Returns:
        The error_lines, each naming the nearest setting that exists.
    """
    problems = []
    for name in config:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            problems.append(f"{printable(name)} is not a setting of target-duckdb: {hint}")
    return problems


__all__ = ["StoreError", "TargetDuckDB", "unknown_settings"]
