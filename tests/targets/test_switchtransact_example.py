"""The page about `target-switchtransact` says what is: its example runs as it stands, its table is the settings."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tools import meltano_yml

from trunkline_sandbox import running
from trunkline_switchtransact import TargetSwitchTransact
from trunkline_switchtransact.calls import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "switchtransact-target.md").read_text(encoding="utf-8")
PORT = "8765"


def block(kind: str) -> str:
    """The first block of a kind on the page."""
    found = re.search(rf"^```{kind}\b[^\n]*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def loader(environments: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The target's entry in the environment `sandbox`."""
    (sandbox,) = (entry for entry in environments if entry["name"] == "sandbox")
    found = (entry for entry in sandbox["config"]["plugins"]["loaders"] if entry["name"] == "target-switchtransact")
    return dict(next(found))


def test_the_example_is_in_the_project_and_in_the_pipe() -> None:
    """meltano.yml has what the page shows, and the pipe has the same map."""
    shown = loader(yaml.safe_load(block("yaml")))
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    assert loader(project["environments"]) == shown
    piped = re.search(r"cat > switchtransact.json <<'END'\n(.*?)\nEND", PAGE, re.DOTALL)
    assert piped
    assert json.loads(piped[1])["stream_maps"] == shown["config"]["stream_maps"]


@pytest.mark.slow
def test_the_example_writes_every_call_that_has_a_number_once(tmp_path: Path) -> None:
    """The documented command with the documented config: all calls with a number are logged, each once."""
    with running(size=25, vendors=["bspk", "switchtransact"]) as served:
        project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
        (sandbox,) = (entry for entry in project["environments"] if entry["name"] == "sandbox")
        port = served.url.rpartition(":")[2]
        sandbox["config"]["plugins"]["loaders"] = [
            json.loads(json.dumps(loader(yaml.safe_load(block("yaml")))).replace(PORT, port))
        ]
        sandbox["config"]["plugins"]["extractors"] = [
            {"name": "tap-bspk", "config": {"api_url": served.api_url("bspk"), "auth_token": "sandbox-bspk-token"}}
        ]
        meltano_yml.copied(tmp_path).write_text(yaml.safe_dump(project), encoding="utf-8")
        (tmp_path / ".venv").symlink_to(sys.prefix)
        run(block("sh"), tmp_path)
        rows = [row for row in served.sandbox.truth("bspk", "calls") if row["to"]]
        logged = served.sandbox.truth("switchtransact", "call_logs")
    assert sorted(logged, key=str) == sorted(map(expected, rows), key=str)
    assert len(rows) > 10


def run(command: str, folder: Path) -> None:
    program, *arguments = shlex.split(command)
    assert shutil.which(program, path=str(Path(sys.executable).parent))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAP_", "TARGET_", "MELTANO_"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=folder,
        env={**kept, "MELTANO_HUB_URL": "http://127.0.0.1:9", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def expected(row: dict[str, Any]) -> dict[str, str]:
    """A BSPK call as SwitchTransact's call log, made here in another way than by the map."""
    first, *others = (row["sales_associate_name"] or "").split(" ", 1)
    at = datetime.strptime(row["created_at"], "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - it is UTC both times
    made = {
        "CallType": "Outbound",
        "CallDirection": "Outbound",
        "Number": row["to"],
        "Name": row["client_name"],
        "AgentFirstName": first,
        "AgentLastName": "".join(others),
        "DateTime": at.strftime("%d-%m-%y %H:%M:%S"),
    }
    return {name: value for name, value in made.items() if value}


def test_every_setting_and_every_field_is_on_the_page() -> None:
    """The table has the settings with default, sentence and variable; each field of the two calls is named."""
    schema = TargetSwitchTransact.config_jsonschema
    rows = {
        found[1]: found[0]
        for found in re.finditer(r"^\| `(\w+)` \|.*`TARGET_SWITCHTRANSACT_\w+` \|$", PAGE, re.MULTILINE)
    }
    own = {
        name: spec
        for name, spec in schema["properties"].items()
        if name not in {"stream_maps", "stream_map_config", "faker_config"}
    }
    assert list(rows) == list(own)
    for name, spec in own.items():
        default = spec.get("default", "")
        shown = str(default).lower() if isinstance(default, bool) else default
        need = "*required*, secret" if spec.get("secret") else f"`{shown}`" if shown != "" else ""
        cells = [f"`{name}`", need, spec["description"], f"`TARGET_SWITCHTRANSACT_{name.upper()}`"]
        assert rows[name] == f"| {' | '.join(cells)} |".replace("|  |", "| |")
    for call in CALLS.values():
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{call.stream}` |"))
        assert set(re.findall(r"`([A-Za-z]+)`", line)) >= set(call.names)
        assert call.path in line
