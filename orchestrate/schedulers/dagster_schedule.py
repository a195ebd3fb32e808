"""A schedule for Dagster: `meltano run` of each vendor, every hour, with retries and one writer at a time.

    dagster dev -f orchestrate/schedulers/dagster_schedule.py

Dagster needs nothing of Trunkline or Meltano in its own environment: each step starts the command `meltano` of the
project. For years of history, and for bookmarks that Dagster's runs keep by day, see `trunkline backfill` instead
(docs/orchestration.md). The environment holds what differs between machines:

    TRUNKLINE_PROJECT      folder of the Meltano project; /opt/trunkline if not set
    TRUNKLINE_VENDORS      jobs of meltano.yml, separated by blanks; all five vendors if not set
    TRUNKLINE_ENVIRONMENT  environment of Meltano; prod if not set

Credentials are in the project's .env, which Meltano reads, or in the environment (TAP_EVOLUX_API_TOKEN).
"""

from __future__ import annotations

import os
import subprocess

import dagster as dg

PROJECT = os.environ.get("TRUNKLINE_PROJECT", "/opt/trunkline")
VENDORS = os.environ.get("TRUNKLINE_VENDORS", "bspk conpeek evolux hostedsuite switchtransact").split()
ENVIRONMENT = os.environ.get("TRUNKLINE_ENVIRONMENT", "prod")
WRITERS = 1
"""Vendors that load at the same time: a DuckDB file takes one writer, PostgreSQL takes many."""


def load(vendor: str) -> dg.OpDefinition:
    """Make the step that loads a vendor.

    Args:
        vendor: Its job in meltano.yml.
    """

    @dg.op(name=vendor, retry_policy=dg.RetryPolicy(max_retries=3, delay=120, backoff=dg.Backoff.EXPONENTIAL))
    def run() -> None:
        command = [f"{PROJECT}/.venv/bin/meltano", f"--environment={ENVIRONMENT}", "run", "--no-install", vendor]
        subprocess.run(command, cwd=PROJECT, check=True)  # what it prints is the step's log

    return run


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": WRITERS}))
def trunkline() -> None:
    """Load each vendor's new records; one that fails stops no other."""
    for vendor in VENDORS:
        load(vendor)()


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def alert(context: dg.RunFailureSensorContext) -> None:
    """Report a run that failed for good: put a mail or a message in place of the log line."""
    context.log.error("Trunkline: run %s failed: %s", context.dagster_run.run_id, context.failure_event.message)


hourly = dg.ScheduleDefinition(job=trunkline, cron_schedule="7 * * * *", execution_timezone="UTC")
"""Meltano refuses a second run with the same state, so a run that is still going is not disturbed by the next one."""

defs = dg.Definitions(jobs=[trunkline], schedules=[hourly], sensors=[alert])
