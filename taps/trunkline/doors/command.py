"""The Singer command of a tap: what it does with its arguments, and what it logs of an error."""

from __future__ import annotations

import sys
import typing as t
from typing import TYPE_CHECKING, Any

from trunkline import process, sdk, signals
from trunkline.doors.failures import exit_with_one_line
from trunkline.facts.tap import TapFacts
from trunkline.run import reading
from trunkline.run.check import test
from trunkline.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

    from trunkline.facts.stream import VendorStream
    from trunkline.sdk import Records


class VendorTap(TapFacts):
    """A tap for one vendor, as a command; the facts stand in the class (see `TapFacts`)."""

    run_type: type[Run] = Run

    def run(self) -> int:
        """Read every selected stream.

        Returns:
            The process's exit code: 0 only if all is well, 128 + the signal's number after a signal.
        """
        from trunkline.run import lineage, progress, report

        run = self.run_type(self)
        with (
            lineage.send_events(run) as send,  # outside of the signals: the run is over when it waits
            run.signals(),
            report.write_report(run, send) as exit_status,
            progress.show_progress(run),
        ):
            exit_status.exit_code = run.sync()
        return exit_status.exit_code

    def read_records(self, stream: VendorStream, context: Mapping[str, Any] | None) -> Records:
        """Yield the records of a stream, for its `get_records`: see `trunkline.run.reading.records`."""
        return reading.records(self, stream, context)

    def sync_records(self, stream: VendorStream, context: Mapping[str, Any] | None, *, writes: bool) -> Records:
        """Yield the records of a stream as they are written, for its `sync`: see `trunkline.run.reading.synced`."""
        return reading.synced(self, stream, context, writes=writes)

    # -- the command -------------------------------------------------------------------------------

    cli = sdk.command_line

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Run `--test`: a verdict for each stream, or `--test=schema`: the SCHEMA messages."""
        if value == "disabled":
            return
        if value == "schema":
            super().cb_test(ctx, param, value)
        with exit_with_one_line(cls.logger):
            tap = cls._from_command_line(ctx.params.get("config"))
            code = test(tap)
            missing = cls.missing_to_start(tap.config)
            for line in missing:
                tap.logger.error("a first run would fail: %s", line)
            sys.exit(1 if missing else code)

    @classmethod
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:  # noqa: FBT001 - the SDK's signature
        """Run `--discover`."""
        with exit_with_one_line(cls.logger):
            super().cb_discover(ctx, param, value)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: t.Any = None,
        state: t.IO[str] | None = None,
        catalog: t.IO[str] | None = None,
    ) -> None:
        """Run the tap's command: our own run in the place of the SDK's `sync_all`, which can't be overridden."""
        if about:
            cls.print_about(about_format)
            return
        cls.print_version(print_fn=cls.logger.info)
        with exit_with_one_line(cls.logger):
            tap = cls._from_command_line(
                config, state=sdk.read_json("state", state), catalog=sdk.read_json("catalog", catalog)
            )
            process.settle()
            signals.leave(tap.run())

    @classmethod
    def _from_command_line(cls, config: t.Any, **kwargs: t.Any) -> VendorTap:
        return cls(config=config.config if config else {}, parse_env_config=bool(config and config.parse_env), **kwargs)
