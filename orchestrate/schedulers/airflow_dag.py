"""A DAG for Airflow 3: `meltano run` of each vendor, every hour, with retries, a pool and an alert.

Copy this file into the folder of your DAGs. Airflow needs nothing of Trunkline or Meltano in its own environment: each
task starts the command `meltano` of the project. Make the pool once, with as many slots as vendors may load at the same
time. A DuckDB file takes one writer:

    airflow pools set trunkline 1 "vendors that load at the same time"

The environment of the workers holds what differs between machines:

    TRUNKLINE_PROJECT      folder of the Meltano project; /opt/trunkline if not set
    TRUNKLINE_VENDORS      jobs of meltano.yml, separated by blanks; all five vendors if not set
    TRUNKLINE_ENVIRONMENT  environment of Meltano; prod if not set
    TRUNKLINE_ALERT_URL    receives a JSON object with `text` when the last try of a task has failed; none if not set

Credentials are in the project's .env, which Meltano reads, or in the environment of the workers (TAP_EVOLUX_API_TOKEN).
"""

from __future__ import annotations

import json
import os
import urllib.request
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = os.environ.get("TRUNKLINE_PROJECT", "/opt/trunkline")
VENDORS = os.environ.get("TRUNKLINE_VENDORS", "bspk conpeek evolux hostedsuite switchtransact").split()
ENVIRONMENT = os.environ.get("TRUNKLINE_ENVIRONMENT", "prod")


def alert(context: Any) -> None:
    """Post the name of a task that has failed for good, and where its log is.

    Args:
        context: Airflow's, of the failed task.
    """
    address = os.environ.get("TRUNKLINE_ALERT_URL")
    if not address:
        return
    task = context["task_instance"]
    text = f"Trunkline: loading {task.task_id} failed in run {context['run_id']}. Log: {task.log_url}"
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - the operator's
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - the operator's
        response.read()


with DAG(
    dag_id="trunkline",
    description="Load what is new of each vendor",
    schedule="7 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,  # a run reads from the bookmark on: one run makes up for all that were missed
    max_active_runs=1,  # Meltano refuses a second run with the same state
    default_args={
        "pool": "trunkline",
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        "execution_timeout": timedelta(hours=6),
        "on_failure_callback": alert,
    },
    tags=["trunkline"],
) as dag:
    for vendor in VENDORS:  # no task waits for another: a vendor that fails stops no other
        BashOperator(
            task_id=vendor,
            bash_command=f"exec .venv/bin/meltano --environment={ENVIRONMENT} run --no-install {vendor}",
            cwd=PROJECT,
        )
