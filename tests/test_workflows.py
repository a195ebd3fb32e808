"""The workflows start what there is, and nothing that somebody else could exchange."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from run import TASKS

GITHUB = Path(__file__).resolve().parent.parent / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
WRITES = {
    "attest": {"id-token", "attestations"},
    "publish": {"id-token"},
    "announce": {"contents"},
}
"""Jobs of release.yml that may write, and what."""


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_and_tasks_exist(file: Path) -> None:
    """Each action is a commit with its release beside it, rights are to read, and each task is one of run.py."""
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used)
    assert len(set(used)) == len({action.partition("@")[0] for action in used})
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())
    tasks = re.findall(r"run\.py ([\w-]+)", text) + re.findall(r"task: ([\w-]+)", text)
    assert set(tasks) <= set(TASKS)


def test_only_the_jobs_of_a_release_may_write() -> None:
    """Each job's rights are as few as it needs, and what builds a release can't publish it."""
    found = {
        job: {right for right, access in content.get("permissions", {}).items() if access == "write"}
        for file in WORKFLOWS
        for job, content in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].items()
    }
    assert {job: rights for job, rights in found.items() if rights} == WRITES


def test_no_weak_spot_in_a_workflow() -> None:
    """zizmor, without a network, finds nothing in workflows and in dependabot's settings."""
    command = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--no-progress", str(GITHUB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
