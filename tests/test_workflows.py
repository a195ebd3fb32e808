"""The workflows start what there is, and nothing that somebody else could exchange."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from run import TASKS

WORKFLOWS = sorted((Path(__file__).resolve().parent.parent / ".github" / "workflows").glob("*.yml"))


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
