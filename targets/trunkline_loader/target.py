"""The way from the SDK's command line to the loader: settings, and a target that takes whole lines, not records."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities
from singer_sdk.io_base import SingerReader

from trunkline import sdk, signals
from trunkline.errors import Stopped, TrunklineError
from trunkline.facts import config as settings
from trunkline_loader.loader import Loader

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from trunkline_loader.store import Store

BATCH_ROWS = 100_000
"""Default of `batch_size_rows`."""

BATCH_SIZE_ROWS: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "default": BATCH_ROWS,
    "title": "Batch size",
    "description": "Most records held in memory and written in one transaction, over all streams together. "
    "A batch also ends at 32 MB and after 30 seconds.",
}

ADD_RECORD_METADATA: Mapping[str, Any] = {
    "type": "boolean",
    "default": True,
    "title": "Record metadata",
    "description": "Add the columns _sdc_extracted_at, _sdc_received_at, _sdc_batched_at, _sdc_deleted_at and "
    "_sdc_sequence, also to a table that is there already.",
}


class LineReader(SingerReader):
    """The SDK's seam for reading input: instead of one Python dict a record, whole lines go to what reads them.

    Args:
        run: Reads the whole input, standard input when it is None, and counts the messages of each type.
    """

    def __init__(self, run: Callable[[IO[str] | None], Counter[str]]) -> None:
        super().__init__()
        self._run = run

    def process_lines(
        self,
        file_input: IO[str] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],  # noqa: ARG002 - every message is handled by `run`
    ) -> Counter[str]:
        """Read the whole input."""
        return self._run(file_input)


class LoadingTarget(sdk.ConfigFiles, Target):
    """A target that loads any stream into a store.

    Args:
        kwargs: What the SDK's `Target` takes.
    """

    refused: ClassVar[Mapping[str, str]] = {}
    """Settings that other targets have and this one refuses, with the reason."""
    package_name = "trunkline"
    cli = sdk.command_line
    # Stream maps and flattening are the tap's: a target that takes records as bytes offers only what it does.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [PluginCapabilities.ABOUT, PluginCapabilities.STRUCTURED_LOGGING]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message_reader = LineReader(self._load)

    @property
    def _env_var_config(self) -> dict[str, Any]:
        return settings.from_environment(self.config_jsonschema["properties"], self.variable(""))

    def _setup_signal_handlers(self) -> None:
        """Leave signals alone until a run begins: the SDK's handler exits with 0 in the middle of anything."""

    def open_store(self) -> Store:
        """Return the store that the settings name, not yet open."""
        raise NotImplementedError

    def problems(self, given: dict[str, Any]) -> list[str]:
        """Return problems beside those that the settings' schema shows, a line each; a wrong setting is taken out."""
        raise NotImplementedError

    def _load(self, source: IO[str] | None) -> Counter[str]:
        """Open the store, load everything, close the store.

        Raises:
            LoadError: What failed, why, and what to do.
            Stopped: A signal ended it.
        """
        store = self.open_store()
        rows, metadata = self.config.get("batch_size_rows"), self.config.get("add_record_metadata")
        loader = Loader(store, rows or BATCH_ROWS, self.logger, metadata=metadata is not False)
        with signals.Signals(loader.stop):
            try:
                store.open()
                return loader.run(source)
            finally:
                store.close()

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check every setting; a line for each that is wrong names what it must be and never its value."""
        given = {name: value for name, value in self._config.items() if name not in self.refused}
        known = self.config_jsonschema["properties"]
        found = [f"{name} {self.refused[name]}" for name in self._config if name in self.refused]
        found += self.problems(given)
        for line in settings.errors(given, self.config_jsonschema, self.variable("")):
            name, unknown, near = line.partition(" is no setting of this tap")
            near = near or f": there are {', '.join(known)}"
            found.append(f"{name} is not a setting of {self.name}{near}" if unknown else line)
        if found and raise_errors:
            lines = [f"{line} [config]" for line in found]
            raise ConfigValidationError("Config validation failed", errors=lines, schema=self.config_jsonschema)
        return found

    @classmethod
    def variable(cls, setting: str) -> str:
        """Return the environment variable of a setting."""
        return f"{cls.name}_{setting}".replace("-", "_").upper()

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add nothing: the SDK's own target settings act on its sinks, which are not used here."""

    @classmethod
    def invoke(cls, **kwargs: Any) -> None:
        """Run the command; what fails is one line on standard error and exit code 1, never a traceback."""
        try:
            super().invoke(**kwargs)
        except Stopped as stopped:
            signals.leave(128 + stopped.signum)
        except TrunklineError as problem:
            cls.logger.error("%s", problem)  # noqa: TRY400 - the sentence is for a user; a traceback adds nothing
            sys.exit(1)

    def process_endofpipe(self) -> None:
        """Do nothing: the loader has flushed already, and there are no SDK sinks to drain."""
