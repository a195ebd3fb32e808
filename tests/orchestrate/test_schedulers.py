"""The examples for cron, Airflow and Dagster: what they start, what they do when it fails, and each run for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pytest
from bench import environments
from tests.night import at_night
from tools import meltano_yml

from trunkline_sandbox import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = meltano_yml.ROOT / "orchestrate" / "schedulers"
CRON = FOLDER / "cron.sh"
STAND_IN = """#!/bin/sh
echo "meltano $*"
[ "$4" != broken ]
"""
"""A command `meltano` that fails for one vendor."""


class Project(NamedTuple):
    """A Meltano project."""

    folder: Path
    variables: dict[str, str]

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the project's variables."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.variables, "TRUNKLINE_PROJECT": str(self.folder), **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


# -- cron --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stand_in(tmp_path: Path) -> Project:
    """A project whose Meltano does nothing, and a mailer that keeps what it is given."""
    for name, text in {
        ".venv/bin/meltano": STAND_IN,
        "mailer": f'#!/bin/sh\necho "$@" >> {tmp_path}/mails\ncat >> {tmp_path}/mails\n',
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
    return Project(tmp_path, {"PATH": os.environ["PATH"], "MAILER": str(tmp_path / "mailer")})


def test_g8_cron_loads_the_others_and_sends_a_mail_about_a_vendor_that_fails(stand_in: Project) -> None:
    """Each vendor has a log; a failure is in the exit code, on stderr and in a mail with this run's lines alone."""
    done = stand_in.run(str(CRON), "evolux")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (stand_in.folder / "mails").exists()
    done = stand_in.run(str(CRON), "broken", "evolux", TRUNKLINE_MAIL="you@example.com")
    assert done.returncode == 1
    logs = stand_in.folder / "output" / "logs"
    assert done.stderr == f"broken failed with exit code 1: see {logs}/broken.log\n"
    line = "meltano --environment=prod run --no-install"
    assert (logs / "evolux.log").read_text(encoding="utf-8") == f"{line} evolux\n" * 2
    mail = "-s Trunkline: broken failed with exit code 1 you@example.com\n"
    assert (stand_in.folder / "mails").read_text(encoding="utf-8") == f"{mail}{line} broken\n"
    stand_in.run(str(CRON), "broken", TRUNKLINE_MAIL="you@example.com")
    assert (stand_in.folder / "mails").read_text(encoding="utf-8") == f"{mail}{line} broken\n" * 2


def test_cron_does_nothing_while_a_run_is_going(stand_in: Project) -> None:
    """A second run ends with exit code 75 and a line; when the first one is gone, the next one loads."""
    import fcntl  # not on every system

    logs = stand_in.folder / "output" / "logs"
    logs.mkdir(parents=True)
    with (logs / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = stand_in.run(str(CRON), "evolux")
        assert (done.returncode, done.stderr) == (75, "a run is still going: nothing done\n")
        assert not (logs / "evolux.log").exists()
    assert stand_in.run(str(CRON), "evolux").returncode == 0
    assert (logs / "evolux.log").exists()


def test_cron_names_the_log_where_it_is_and_no_vendor_is_an_error(stand_in: Project) -> None:
    """A folder outside the project stands in the line as it is; a line of cron that names no vendor is no run."""
    logs = stand_in.folder / "elsewhere" / "logs"
    done = stand_in.run(str(CRON), "broken", TRUNKLINE_LOGS=str(logs))
    assert done.stderr == f"broken failed with exit code 1: see {logs}/broken.log\n"
    done = stand_in.run(str(CRON))
    assert (done.returncode, done.stderr) == (2, "no vendor is named: nothing done\n")


def test_cron_ends_where_there_is_no_project(stand_in: Project) -> None:
    """A folder that is not there is an error, and nothing is made."""
    done = stand_in.run(str(CRON), "evolux", TRUNKLINE_PROJECT=str(stand_in.folder / "none"))
    assert done.returncode == 2
    assert "none" in done.stderr


# -- with the real tools -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    """Two vendors of the sandbox."""
    with running(size=30, vendors=["evolux", "bspk"]) as sandbox:
        yield sandbox


@pytest.fixture
def project(served: Running, tmp_path: Path) -> Project:
    """A copy of this checkout's project, for that sandbox."""
    meltano_yml.copied(tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "output").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAP_", "TARGET_", "MELTANO_"))}
    kept.pop("PYTHONPATH", None)
    urls = {f"TAP_{vendor.upper()}_API_URL": served.api_url(vendor) for vendor in ("evolux", "bspk")}
    nowhere = {"MELTANO_HUB_URL": "http://127.0.0.1:9", "NO_COLOR": "1"}
    which = {"TRUNKLINE_ENVIRONMENT": "sandbox", "TRUNKLINE_VENDORS": "evolux bspk"}
    return Project(tmp_path, {**kept, **urls, **nowhere, **which})


def loaded(project: Project, sandbox: Running) -> None:
    """See that both vendors' calls arrived."""
    with duckdb.connect(str(project.folder / "output" / "trunkline.duckdb"), read_only=True) as database:
        for vendor, stream, time in (("evolux", "studio_calls", "start_time"), ("bspk", "calls", "created_at")):
            (row,) = database.execute(f"SELECT count(*) FROM tap_{vendor}.{stream}").fetchall()  # noqa: S608 - ours
            assert row[0] == sum(each[time] >= "2026" for each in sandbox.sandbox.truth(vendor, stream)) > 0


@at_night("two starts of Meltano")
def test_cron_loads_two_vendors(project: Project, served: Running) -> None:
    """The script with the real Meltano and the sandbox."""
    done = project.run(str(CRON), "evolux", "bspk")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    loaded(project, served)


class _Alerts(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    texts: list[str]

    def do_POST(self) -> None:
        """Keep it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.texts.append(json.loads(body)["text"])
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def airflow(project: Project) -> Project:
    """Airflow with a database of its own, and the pool that the DAG names."""
    home = project.folder / "airflow"
    shutil.copytree(FOLDER, home / "dags", ignore=shutil.ignore_patterns("dagster*", "*.sh", "__pycache__"))
    more = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
    }
    made = Project(project.folder, {**project.variables, **more})
    command = environments.program("airflow", "airflow")
    for arguments in (["db", "migrate"], ["pools", "set", "trunkline", "1", "vendors that load at the same time"]):
        done = made.run(command, *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
    return made


@at_night("installs Airflow")
def test_airflow_parses_the_dag_and_loads_two_vendors(airflow: Project, served: Running) -> None:
    """Airflow finds no fault in the DAG, and a run of it loads each vendor by a task of its own."""
    command = environments.program("airflow", "airflow")
    code = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
assert not bag.import_errors, bag.import_errors
tasks = bag.dags["trunkline"].tasks
assert {task.task_id for task in tasks} == {"evolux", "bspk"}
assert all(task.pool == "trunkline" and task.retries == 3 and task.on_failure_callback for task in tasks)
"""
    done = airflow.run(environments.program("airflow"), "-c", code)
    assert done.returncode == 0, done.stderr[-3000:]
    done = airflow.run(command, "dags", "test", "trunkline", "2026-11-01")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    loaded(airflow, served)


@at_night("installs Airflow")
def test_g8_airflow_posts_an_alert_about_the_vendor_that_failed(airflow: Project) -> None:
    """The last failed try of a task is posted, with the task's name; the other vendor is loaded all the same."""
    _Alerts.texts = []
    server = HTTPServer(("127.0.0.1", 0), _Alerts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = """
from airflow_dag import dag
for task in dag.tasks:
    task.retries = 0  # else the test would wait for them
states = {one.task_id: one.state for one in dag.test().get_task_instances()}
assert states == {"evolux": "failed", "bspk": "success"}, states
"""
    try:
        done = airflow.run(
            environments.program("airflow"), "-c", code,
            PYTHONPATH=str(airflow.folder / "airflow" / "dags"),
            TAP_EVOLUX_API_TOKEN="wrong",
            TRUNKLINE_ALERT_URL=f"http://127.0.0.1:{server.server_port}/",
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (text,) = _Alerts.texts
    assert text.startswith("Trunkline: loading evolux failed in run ")


@at_night("installs Dagster")
def test_dagster_loads_two_vendors_by_the_schedule_s_job(project: Project, served: Running) -> None:
    """Dagster finds the job, the schedule and the sensor, and the job loads each vendor by a step of its own."""
    home = project.folder / "dagster"
    home.mkdir()
    file = str(FOLDER / "dagster_schedule.py")
    code = f"""
import runpy
defs = runpy.run_path({file!r})["defs"]
schedule, = defs.schedules
assert (schedule.cron_schedule, schedule.job_name) == ("7 * * * *", "trunkline")
assert [sensor.name for sensor in defs.sensors] == ["alert"]
"""
    more = {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    done = project.run(environments.program("dagster"), "-c", code, **more)
    assert done.returncode == 0, done.stderr[-3000:]
    done = project.run(
        environments.program("dagster", "dagster"), "job", "execute", "-f", file, "-j", "trunkline", **more
    )
    assert done.returncode == 0, done.stderr[-3000:]
    loaded(project, served)
