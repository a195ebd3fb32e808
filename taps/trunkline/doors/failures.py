"""Log lines of an error, before a command exits with 1."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import click
from singer_sdk.exceptions import ConfigValidationError

from trunkline import signals
from trunkline.errors import ConfigInvalid, OutputLost, Stopped, TrunklineError

if TYPE_CHECKING:
    from types import TracebackType

_FAULT = "This is a fault of the tap: run it again with LOGLEVEL=DEBUG in the environment and report the traceback"


class exit_with_one_line:  # noqa: N801 - reads as a statement: with exit_with_one_line(logger)
    """Log an error in lines, not in a traceback, and exit with 1; the traceback is there at log level DEBUG.

    Args:
        logger: Logger of the lines.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (SystemExit, click.exceptions.Exit, click.ClickException)):
            return
        if self.logger.isEnabledFor(logging.DEBUG):
            self.logger.debug("traceback, as set by the log level", exc_info=(type(error), error, trace))
        if isinstance(error, Stopped):
            signals.leave(128 + error.signum)
        if isinstance(error, KeyboardInterrupt):
            signals.leave(130)
        lines = error_lines(error)
        for line in lines:
            self.logger.error(line)
        if isinstance(error, ConfigInvalid) and len(lines) > 1:
            # Some callers show the last line alone: `meltano config test` does.
            self.logger.error(error.coded(f"{len(lines)} settings are wrong: {'; '.join(error.errors)}"))
        sys.exit(1)


def error_lines(error: BaseException) -> list[str]:
    """Return the lines that are logged of an error: one for each setting that is wrong, else one in all."""
    if isinstance(error, ConfigInvalid):
        return [error.coded(line) for line in error.errors]
    if isinstance(error, ConfigValidationError):
        return [f"{line} [config]" for line in error.errors or [str(error)]]
    if type(error).__module__.startswith("singer_sdk."):
        return [f"{error}. Correct the config (stream_maps, flattening) or the catalog [catalog]"]
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        what, advice = "standard output could not be written", "Look at what reads it, and at the disk"
        error = OutputLost(what, error.strerror, advice)
    if not isinstance(error, TrunklineError):
        error = TrunklineError(f"unexpected {type(error).__name__}", str(error), _FAULT, code="unexpected")
    return [str(error)]
