"""The first hour of a stranger: README and getting-started as they stand, twice, and the mistakes that people make."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tools import meltano_yml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
TOKEN = "sandbox-evolux-token"
WRONG_TOKEN = "sesame-of-another-account"
PORT = "8765"
"""Port in the guide's commands; here the sandbox takes a free one."""

_OTHERS = ("TAP_", "TARGET_", "MELTANO_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "LOGLEVEL")
"""Beginnings of variables that a stranger has not set."""


class Walk:
    """A folder, and a shell with the environment activated, in which a stranger types.

    Args:
        folder: Where it is.
        port: Port of the sandbox.
    """

    def __init__(self, folder: Path, port: str) -> None:
        self.folder = folder
        self.port = port

    def types(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run commands as they stand in a guide, one after the other, until one fails."""
        (self.folder / "home").mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OTHERS)}
        path = os.pathsep.join([str(BIN), kept.get("PATH", os.defpath)])
        own = {"PATH": path, "HOME": str(self.folder / "home"), "VIRTUAL_ENV": sys.prefix}
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script.replace(PORT, self.port)],
            cwd=self.folder,
            env={**kept, **own, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def writes(self, name: str, **settings: Any) -> Path:
        """Write the guide's config, with other settings; None leaves one out."""
        config = {**json.loads(blocks(GUIDE, "api_token")), **settings}
        text = json.dumps({name: value for name, value in config.items() if value is not None})
        (self.folder / name).write_text(text.replace(PORT, self.port), encoding="utf-8")
        return self.folder / name


def blocks(page: str, word: str) -> str:
    """The JSON of a page that has a word in it."""
    found: list[str] = re.findall(r"^\{.*?^\}", page, re.MULTILINE | re.DOTALL)
    return next(text for text in found if word in text)


def commands(page: str, mark: str) -> str:
    """The shell blocks of a page that are so marked, as one script."""
    return "\n".join(re.findall(rf"^```sh {mark}\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """Port of a sandbox that the guide's command serves."""
    (line,) = re.findall(r"^python3 run\.py (sandbox --port \d+.*)$", GUIDE, re.MULTILINE)
    arguments = line.replace(f"--port {PORT}", "--port 0 --size 40").split()[1:]
    served = subprocess.Popen(
        [sys.executable, "-m", "trunkline_sandbox", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert served.stdout
        yield str(json.loads(served.stdout.readline())["url"].rpartition(":")[2])
    finally:
        served.send_signal(signal.SIGTERM)
        served.communicate()


@pytest.fixture
def walk(tmp_path: Path, port: str) -> Walk:
    return Walk(tmp_path, port)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line that a stranger sees, without the time and the name before it."""
    return re.sub(r"^\S+ \S+ \| (\w+) +\| \S+ +\| ", r"\1: ", done.stderr.splitlines()[-1])


# -- as it stands ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_g9_the_walk_of_the_guide_twice(walk: Walk) -> None:
    """Every command of the guide, and all of them again in the same folder: no error, no warning, no row doubled."""
    script = commands(GUIDE, "run")
    for program in ("--test", "target-duckdb", "--state state.json", "duckdb.connect", "--discover", "--catalog"):
        assert program in script
    for _ in range(2):
        done = walk.types(script)
        assert done.returncode == 0, done.stderr
        assert not re.search(r"\| (ERROR|WARNING|CRITICAL) |Traceback", done.stderr), done.stderr
        assert "studio_calls: ok, the vendor responds" in done.stderr
        assert "40 rows in table 'tap_evolux.studio_calls'" in done.stderr
        assert "(the bookmark " in done.stderr
        assert "3 rows" in done.stdout
        assert TOKEN not in done.stdout + done.stderr
    assert json.loads((walk.folder / "state.json").read_text(encoding="utf-8"))["bookmarks"].keys() == {
        "studio_calls",
        "studio_cdr",
        "dialer_calls",
        "agent_pauses",
        "queue_calls",
    }


def test_g9_a_token_in_the_environment_needs_the_option_that_the_error_names(walk: Walk) -> None:
    """A variable that is set and not read is hard to find: the error says who reads it, and it then works."""
    walk.writes("evolux.json", api_token=None)
    command = "tap-evolux --config evolux.json --test"
    first = walk.types(command, TAP_EVOLUX_API_TOKEN=TOKEN)
    assert first.returncode == 1
    told = r"ERROR: api_token is missing: .* TAP_EVOLUX_API_TOKEN in the environment \(.*--config ENV\)"
    assert re.match(told, last_line(first))
    assert "--config evolux.json --config ENV" in GUIDE
    second = walk.types(f"{command} --config ENV", TAP_EVOLUX_API_TOKEN=TOKEN)
    assert second.returncode == 0, second.stderr


# -- mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    # What is written into the config; what failed, and why; what to do, with the setting.
    "a wrong token": ({"api_token": WRONG_TOKEN}, "failed: the vendor responded with HTTP 401", "Check api_token"),
    "nothing listens": (
        {"api_url": "http://127.0.0.1:1"},
        "the connection to 127.0.0.1:1 was refused",
        "Check api_url, and that this machine may reach it",
    ),
    "https to http": (
        {"api_url": f"https://127.0.0.1:{PORT}/evolux"},
        f"127.0.0.1:{PORT} does not speak TLS",
        "Check host and port in api_url",
    ),
    "a wrong path": (
        {"api_url": f"http://127.0.0.1:{PORT}/evolx"},
        "failed: the vendor responded with HTTP 404",
        "api_url",
    ),
    "a typo": ({"start_dat": "2026-01-01"}, "start_dat is no setting of this tap", "did you mean start_date?"),
    "a typo in what is required": (
        {"api_token": None, "api_tokn": WRONG_TOKEN},
        "api_tokn is no setting of this tap: did you mean api_token?",
        "api_token is missing: it must be",
    ),
    "no start date": ({"start_date": None}, "start_date is missing", "it must be a"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_g9_a_mistake_is_told_with_its_cause_and_the_way_out(walk: Walk, mistake: str) -> None:
    """By `--test` and by a run, in the last line, and nothing is written that a loader would take for progress."""
    settings, why, todo = MISTAKES[mistake]
    walk.writes("evolux.json", **settings)
    command = "tap-evolux --config evolux.json"
    with ThreadPoolExecutor() as both:
        told = list(both.map(walk.types, (f"{command} --test", command)))
    for done in told:
        assert done.returncode == 1, done.stderr
        line = last_line(done)
        assert why.replace(PORT, walk.port) in line
        assert todo in line
        assert "Traceback" not in done.stdout + done.stderr
        assert "unexpected" not in done.stderr
        for secret in (TOKEN, WRONG_TOKEN):
            assert secret not in done.stdout + done.stderr
        assert '"RECORD"' not in done.stdout
        assert '"bookmarks"' not in done.stdout


@pytest.mark.parametrize(
    ("command", "content", "why"),
    [
        ("tap-evolux", None, "there is no such file"),
        ("tap-evolux", '{"api_token": "sesame-comma",}', r"it is no JSON from line 1, column (29|30) on"),
        ("target-duckdb", "", "it is no JSON from line 1, column 1 on"),
        ("target-duckdb", '["sesame-list"]', "it holds no JSON object"),
    ],
)
def test_g9_a_wrong_file_is_told_as_such(walk: Walk, command: str, content: str | None, why: str) -> None:
    """One that is not there, one that an editor left half done, one of another kind."""
    if content is not None:
        (walk.folder / "mine.json").write_text(content, encoding="utf-8")
    done = walk.types(f"{command} --config mine.json")
    assert done.returncode == 2
    told = f"Error: Invalid value for '--config': a config file could not be read: {why}. Give the path of a JSON file"
    assert re.match(told, last_line(done))
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr


# -- with Meltano ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_g9_an_env_file_that_is_not_filled_in_is_told_by_meltano(walk: Walk) -> None:
    """`.env` as it is copied, before it is filled in: the settings that are missing, and not a fault of the tap."""
    meltano_yml.copied(walk.folder)
    (walk.folder / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    (walk.folder / ".venv").symlink_to(sys.prefix)
    done = walk.types(
        "cp .env.example .env\nmeltano --environment=prod config test tap-evolux",
        MELTANO_HUB_URL="http://127.0.0.1:9",
        NO_COLOR="1",
    )
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    for name in ("api_url", "api_token"):
        assert f"{name} is missing: " in told
        assert f"TAP_EVOLUX_{name.upper()} in the environment (read by Meltano" in told
    assert "fault of the tap" not in told
    assert "Traceback" not in told
