"""run.py in a checkout of its own: the demo, what an installation says when it can't, and the lock it installs from."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tests.night import NIGHT
from tools import demo

from trunkline.doors.docs import stream_facts
from trunkline.doors.vendors import vendor_taps

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".meltano", ".env", "output", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone would hold, under a path with blanks, committed."""
    folder = tmp_path / "a fresh clone"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "test")
    return folder


def git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def run(folder: Path, *arguments: str, python: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """run.py by a Python, or the one that a user would take, from another folder."""
    base = python or str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return subprocess.run(
        [base if Path(base).exists() else sys.executable, str(folder / "run.py"), *arguments],
        cwd=folder.parent,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    """run.py as a module."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_demo_loads_everything_and_can_be_run_again(checkout: Path) -> None:
    """In a fresh clone the demo ends with all streams in a table, the models built and the page written.

    Run again, it shows the same. At night once more with a model that is broken: the rows stay, and it fails.
    """
    first = run(checkout, "demo")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Installing" in first.stdout
    assert "from the start" in first.stdout
    table = table_of(first.stdout)
    page = (checkout / "output" / "report.html").read_text(encoding="utf-8")
    for text in ("days proven", "The last 7 days", "each run that is shown below was complete"):
        assert text in page
    assert re.search(r"models built in \d+\.\d s", first.stdout)
    assert re.search(r"page written in \d+\.\d s: output/report.html", first.stdout)
    assert str(checkout / "output" / "report.html") in first.stdout
    assert str(checkout / "output" / "trunkline.duckdb") in first.stdout
    counts, begins = rows_of(table)
    assert contacts_in(checkout) == sum(counts[stream] for stream in CONTACTS)
    kept = date.fromisoformat((checkout / "output" / "demo-first-day").read_text(encoding="utf-8"))
    assert begins == kept.isoformat()
    assert timedelta(days=14) <= datetime.now(timezone.utc).date() - kept <= timedelta(days=15), "not late"
    run_again(checkout, table)
    if NIGHT:
        run_with_a_broken_model(checkout, table)
    assert git(checkout, "status", "--porcelain") == ""


def run_again(checkout: Path, table: str) -> None:
    """Run the demo once more, as when its environment is activated."""
    second = run(checkout, "demo", python=str(checkout / ".venv" / "bin" / "python"))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Installing" not in second.stdout
    assert "from the last bookmarks on" in second.stdout
    assert table_of(second.stdout) == table


def run_with_a_broken_model(checkout: Path, table: str) -> None:
    """Run it with a model that dbt can't build."""
    held, model = contacts_in(checkout), checkout / "transform" / "models" / "marts" / "agent_days.sql"
    whole = model.read_text(encoding="utf-8")
    model.write_text("select no_such_column from {{ ref('contacts_made') }}", encoding="utf-8")
    broken = run(checkout, "demo")
    model.write_text(whole, encoding="utf-8")
    assert broken.returncode == 1
    assert "the models are not built" in broken.stderr
    assert "no_such_column" in broken.stderr
    assert table_of(broken.stdout) == table
    assert contacts_in(checkout) == held


def table_of(output: str) -> str:
    """What the demo shows of the file, with the recount; the recount must find nothing."""
    assert re.search(r"Recounted against [\d,]+ proofs of 27 streams: nothing differs", output)
    return output[output.index("vendor  ") : output.index("Recounted")]


CONTACTS = [
    ("bspk", "calls"), ("bspk", "messages"), ("bspk", "emails"), ("conpeek", "cdr_dialogs"), ("hostedsuite", "calls"),
    ("evolux", "studio_calls"), ("evolux", "dialer_calls"), ("evolux", "queue_calls"),
]  # fmt: skip
"""Streams whose every row is a contact."""


def contacts_in(checkout: Path) -> int:
    """How many contacts the models have."""
    with duckdb.connect(str(checkout / "output" / "trunkline.duckdb"), read_only=True) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM contact_centre.contacts_made").fetchall()
    return int(count)


def rows_of(table: str) -> tuple[dict[tuple[str, ...], int], str]:
    """The rows of each stream, and the day on which Evolux's begin."""
    lines = table.splitlines()[2:]
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in lines if line}
    counts = {key: cells[0] for key, cells in rows.items()}
    assert counts.keys() == {
        (name, one.name) for name, tap in vendor_taps("trunkline").items() for one in stream_facts(tap) if one.selected
    }
    assert (
        counts.items()
        >= {
            ("bspk", "calls"): "240",
            ("conpeek", "voice_campaign_requests"): "240",
            ("evolux", "studio_calls"): "240",
            ("evolux", "studio_cdr"): "240",
            ("evolux", "dialer_calls"): "240",
            ("evolux", "agent_pauses"): "240",
            ("evolux", "agents"): "12",
            ("evolux", "queues"): "4",
            ("evolux", "queue_calls"): "240",
            ("hostedsuite", "calls"): "240",
            ("switchtransact", "contacts"): "7",
            ("switchtransact", "contact_lookups"): "19",
        }.items()
    )
    return {key: int(count) for key, count in counts.items()}, rows["evolux", "studio_calls"][1]


def test_a_demo_whose_models_are_not_built_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The exit code is not 0, the rows are shown as loaded, and the end of dbt's log and what to do are on stderr."""
    (tmp_path / "output").mkdir()
    (tmp_path / demo.MODELS_LOG).write_text("Database Error in model agent_days\n", encoding="utf-8")
    for name, value in {
        "ROOT": tmp_path,
        "load": lambda *_, **__: 0,
        "build": lambda *_: 1,
        "table": lambda: (["a row"], []),
        "page": lambda _: None,
        "recounted": lambda: "recounted",
    }.items():
        monkeypatch.setattr(demo, name, value)
    assert demo.main() == 1
    out, err = capsys.readouterr()
    assert "a row" in out
    assert "The rows are loaded, but the models are not built" in err
    assert "Database Error in model agent_days" in err
    assert "What to do: read dbt's first error" in err


def test_a_file_that_is_open_elsewhere_ends_the_demo_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback of DuckDB's or of ours when the page or the table can't read the file."""
    (tmp_path / "output").mkdir()
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    for name in ("load", "build"):
        monkeypatch.setattr(demo, name, lambda *_, **__: 0)
    (tmp_path / demo.DATABASE).write_text("locked", encoding="utf-8")
    assert demo.main() == 1
    assert "is not a valid DuckDB database" in capsys.readouterr().err


def test_the_demo_says_why_fewer_rows_are_kept_than_came() -> None:
    """Where a vendor is read in two ways, the line that shows the smaller number says so."""
    line = "2026 | INFO | target-duckdb | Stream 'r': {} rows received, 1,240 rows in table 'tap_conpeek.r'"
    why = "(1,480 came: what was read in two ways, and the key keeps one of each)"
    assert list(demo.progress(line.format("1,480"))) == [f"conpeek: r loaded, 1,240 rows in the table {why}"]
    assert list(demo.progress(line.format("1,240"))) == ["conpeek: r loaded, 1,240 rows in the table"]


# -- when it can't -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_failed_installation_says_what_why_and_what_to_do(checkout: Path) -> None:
    """Without an index an installation ends soon, names the step, shows the installer's words, and gives advice."""
    done = run(checkout, "lint", PIP_NO_INDEX="1", PIP_FIND_LINKS="", UV_NO_CACHE="1", UV_FIND_LINKS="")
    assert done.returncode == 1
    assert "The installation failed." in done.stderr
    assert "No matching distribution found" in done.stderr
    assert "What to do: check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv" / "trunkline.stamp").exists()


def test_unknown_task_lists_the_tasks(tasks: ModuleType) -> None:
    """A task that does not exist costs no installation: it is named, the tasks are listed, and the exit code is 2."""
    done = run(ROOT, "dmeo")
    assert done.returncode == 2
    assert "there is no task 'dmeo'" in done.stderr
    for name in tasks.TASKS:
        assert f"  {name} " in done.stderr
    assert "demo" in run(ROOT).stderr


def test_help_is_no_error(tasks: ModuleType) -> None:
    """Whoever asks for help gets the tasks on standard output, and the exit code is 0."""
    done = run(ROOT, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"  {name} " in done.stdout for name in tasks.TASKS)


@pytest.fixture
def made(tmp_path: Path, tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose environment is complete, with tools that only say that they ran."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("run.py", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    environment = folder / ".venv"
    subprocess.run([BASE, "-m", "venv", "--without-pip", str(environment)], check=True)
    for name in ("ruff", "mypy"):
        (environment / "bin" / name).write_text("#!/bin/sh\necho ran\n")
        (environment / "bin" / name).chmod(0o755)
    for name, path in {"ROOT": folder, "VENV": environment, "LOCK": folder / "requirements.lock"}.items():
        monkeypatch.setattr(tasks, name, path)
    for name, place in {"PYTHON": "bin/python", "STAMP": "trunkline.stamp", "LOG": "install.log"}.items():
        monkeypatch.setattr(tasks, name, environment / place)
    stamp = f"{tasks._place()}\n{tasks._contents()}\n"  # noqa: SLF001 - run.py is one file that nobody imports
    (environment / "trunkline.stamp").write_text(stamp)
    (environment / "mine").write_text("kept")
    return folder


BASE = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
POSIX = pytest.mark.skipif(os.name == "nt" or not Path(BASE).exists(), reason="needs the layout of POSIX")


@POSIX
def test_g9_whichever_python_starts_it_the_environment_stays(made: Path) -> None:
    """The environment's own Python, and another one on the machine, use it as it is."""
    link = made / "another" / "python3"
    link.parent.mkdir()
    link.symlink_to(BASE)
    for python in map(str, (made / ".venv" / "bin" / "python", link, BASE)):
        done = subprocess.run([python, "run.py", "lint"], cwd=made, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.count("ran"), done.stderr) == (0, 3, "")
        assert "Installing" not in done.stdout
    assert (made / ".venv" / "mine").exists()


@POSIX
def test_g9_an_environment_is_never_removed_by_what_runs_in_it(made: Path) -> None:
    """`--rebuild` by its own Python is refused, with the command that does it."""
    python = made / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "run.py", "--rebuild", "lint"], cwd=made, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is not removed under its feet" in done.stderr
    assert "deactivate it, then start the same command with" in done.stderr
    assert "Traceback" not in done.stderr
    assert (made / ".venv" / "mine").exists()


@POSIX
@pytest.mark.parametrize("fault", ["none", "interrupted", "moved", "changed", "rebuild", "broken"])
def test_g9_what_is_rebuilt_is_said_before(
    made: Path, tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """Only a Python that no longer starts, or `--rebuild`, removes an environment; all else is installed in place."""
    installed: list[tuple[str, ...]] = []
    mine = made / ".venv" / "mine"
    monkeypatch.setattr(tasks, "_with_uv", lambda _, *options: installed.append((*options, str(mine.exists()))))
    monkeypatch.setattr(tasks, "_uv_settings", dict)
    stamp = made / ".venv" / "trunkline.stamp"
    if fault == "interrupted":
        stamp.unlink()
    elif fault == "moved":
        stamp.write_text(f"{'0' * 64}\n{tasks._contents()}\n")  # noqa: SLF001 - run.py is one file that nobody imports
    elif fault == "changed":
        (made / "requirements.lock").write_text("")
    elif fault == "broken":
        (made / ".venv" / "bin" / "python").unlink()
        (made / ".venv" / "bin" / "python").write_text("#!/nowhere\n")
    tasks.install(rebuild=fault == "rebuild")
    said = capsys.readouterr().out
    whole = ("--reinstall",) if fault in {"interrupted", "moved"} else ()
    assert installed == ([] if fault == "none" else [(*whole, str(fault not in {"rebuild", "broken"}))])
    assert ("Removing" in said) == (fault in {"rebuild", "broken"})
    assert mine.exists() == (fault not in {"rebuild", "broken"})
    assert stamp.exists()


@POSIX
def test_tests_that_are_named_run_without_lint(made: Path) -> None:
    """A path, or a test in it, starts pytest alone; else ruff and mypy come first; `--fast` takes no long test."""
    pytest_ = made / ".venv" / "bin" / "pytest"
    pytest_.write_text('#!/bin/sh\necho pytest "$@"\n')
    pytest_.chmod(0o755)
    (made / "tests").mkdir()

    def said(*arguments: str) -> list[str]:
        done = subprocess.run(
            [BASE, "run.py", "test", *arguments], cwd=made, capture_output=True, text=True, check=True
        )
        return [line for line in done.stdout.splitlines() if not line.startswith("$")]

    assert said("tests::test_it", "-k", "it") == ["pytest tests::test_it -k it"]
    whole, fast = said("-x"), said("--fast", "-x")
    assert (whole[:3], fast[:3]) == (["ran"] * 3, ["ran"] * 3)
    assert whole[3].endswith("loadfile -x")
    assert "not slow" in fast[3]
    assert "--fast" not in fast[3]


def test_the_fast_tests_are_there(tasks: ModuleType) -> None:
    """Each file of the quick loop exists: one that was renamed is not left out in silence."""
    files = [word for word in tasks.FAST_TESTS if word.startswith("tests/")]
    assert len(files) > 20
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_pip_settings_are_said_to_uv(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index, a proxy and a certificate that pip is set to reach uv; variables win over files, uv's own over both."""
    lines = (
        "global.index-url='https://files.example/simple'",
        "global.extra-index-url='\\nhttps://one.example/simple\\nhttps://two.example/simple'",
        "install.find-links='/wheels /more'",
        "global.proxy='http://proxy.example:3128'",
        "global.cert='/etc/own.pem'",
        ":env:.index-url='https://variable.example/simple'",
    )
    settings = _settings(tasks, monkeypatch, "\n".join(lines))
    assert settings["UV_DEFAULT_INDEX"] == "https://variable.example/simple"
    assert settings["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert settings["UV_FIND_LINKS"] == "/wheels,/more"
    assert settings["ALL_PROXY"] == "http://proxy.example:3128"
    assert settings["SSL_CERT_FILE"] == "/etc/own.pem"

    own = _settings(
        tasks, monkeypatch, "\n".join(lines), UV_INDEX_URL="https://uv.example/simple", SSL_CERT_FILE="/a.pem"
    )
    assert not own.keys() & {"UV_DEFAULT_INDEX", "SSL_CERT_FILE", "UV_SYSTEM_CERTS"}


def test_uv_trusts_what_the_system_trusts(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no certificate is named, uv takes the system's, as a company's own authority is there and nowhere else."""
    assert _settings(tasks, monkeypatch, "")["UV_SYSTEM_CERTS"] == "1"


def _settings(tasks: Any, monkeypatch: pytest.MonkeyPatch, pip_config: str, **variables: str) -> dict[str, str]:
    for name in [name for name in os.environ if name.startswith(("UV_", "SSL_", "PIP_", "ALL_PROXY"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tasks, "_output", lambda command: pip_config if command[-1] == "list" else "pip 26")
    made: dict[str, str] = tasks._uv_settings()  # noqa: SLF001 - run.py is one file that nobody imports
    return made


# -- the lock ----------------------------------------------------------------------------------------------------------


def test_lock_satisfies_pyproject() -> None:
    """For each Python, every requirement, extras and developers' included, is locked at a release that it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *(line for lines in project["project"]["optional-dependencies"].values() for line in lines),
    ]
    locked: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^([a-z0-9].*?) \\$", LOCK, re.MULTILINE):
        locked.setdefault(Requirement(line).name, []).append(Requirement(line))
    for python in ("3.10", "3.11", "3.12", "3.13", "3.14"):
        environment = {"python_version": python, "python_full_version": f"{python}.5"}
        for requirement in map(Requirement, wanted):
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            name = re.sub("[-_.]+", "-", requirement.name).lower()
            found = [one for one in locked.get(name, ()) if not one.marker or one.marker.evaluate(environment)]
            assert len(found) == 1, f"{requirement} on Python {python}: {_HOW}"
            (release,) = found[0].specifier
            assert requirement.specifier.contains(Version(release.version), prereleases=True), f"{requirement}: {_HOW}"


_HOW = (
    "write the lock anew: uv pip compile pyproject.toml --extra sandbox --extra meltano --extra openlineage "
    "--extra verify --group dev --universal --python-version 3.10 --generate-hashes --no-header --no-annotate "
    "--no-emit-index-url -o requirements.lock"
)


def test_lock_names_hashes_and_no_host() -> None:
    """Each locked release has hashes, and nothing in the file says where it was got: a user's own index works."""
    blocks = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > 50
    for block in blocks:
        assert re.match(r"[a-z0-9-]+==\S+", block), block
        assert "--hash=sha256:" in block
    assert "://" not in LOCK
