"""`new-tap`: what it writes works at once, here and in a package of its own; the examples are such packages."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trunkline import facts, instants

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "tap-aircall"
EXAMPLES = sorted(project.parent for project in (ROOT / "examples").glob("*/pyproject.toml"))
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".meltano", ".env", "output", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)
ROOTS = ("taps", "targets", "sandbox")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The command as a module."""
    return load(ROOT / "tools" / "new_tap.py")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tools_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*words: str, cwd: Path, **variables: str) -> str:
    """Output of a command of this environment that must end well."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def passed_in(folder: Path, site: Path, *arguments: str) -> int:
    """How many tests of a package pass, with the package installed in `site` and its entry points found there."""
    options = ["-m", "uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    run(*options, "--target", str(site), str(folder), cwd=site.parent)
    said = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, cwd=folder, PYTHONPATH=str(site))
    found = re.search(r"(\d+) passed", said)
    assert found, said
    assert "failed" not in said
    return int(found[1])


# -- in this checkout ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sixth_vendor_passes_everything_at_once(tool: Any, tmp_path: Path) -> None:
    """In a copy of the checkout, new-tap is all it takes: contract, schema, pages, Meltano entry and lint are right."""
    copy = tmp_path / "a copy"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    paths = os.pathsep.join(str(copy / root) for root in ROOTS)
    run("tools/new_tap.py", "sixthone", "--title", "The Sixth One", cwd=copy, PYTHONPATH=paths)
    with tool.seen([copy / "pyproject.toml"], copy) as environment:
        files = ("tests/vendors", "tests/test_schemas.py", "tests/test_meltano.py", "tests/test_docs.py")
        # Of the pages, what a vendor can break; the others' commands take seconds.
        chosen = (
            "vendors or schemas or meltano or documented or endpoints or complete or a_stream or in_the_readme or "
            "run_somewhere"
        )
        options = ("-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", chosen)
        said = run("-m", "pytest", *options, *files, cwd=copy, PYTHONPATH=environment["PYTHONPATH"])
        assert "passed" in said
    written = ("taps/tap_sixthone.py", "sandbox/trunkline_sandbox/vendors/sixthone.py", "tests/vendors")
    run("-m", "ruff", "check", *written, cwd=copy)
    run("-m", "ruff", "format", "--check", *written, cwd=copy)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Aircall", "is no name for a vendor"),
        ("a", "is no name for a vendor"),
        ("my-vendor", "is no name for a vendor"),
        ("../x", "is no name for a vendor"),
        ("evolux", "there is a vendor 'evolux' already"),
        ("duckdb", "there is a vendor 'duckdb' already"),
        ("halfway", "schemas/halfway/calls.json is there already"),
    ],
)
def test_a_name_that_can_not_be_is_told_and_changes_nothing(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    """A bad or taken name is one sentence with what to do, exit code 2, and no file is written."""
    (tmp_path / "schemas" / "halfway").mkdir(parents=True)
    (tmp_path / "schemas" / "halfway" / "calls.json").write_text("{}", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert tool.main([name], root=tmp_path) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


# -- in a package of its own ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif("TRUNKLINE_NIGHT" not in os.environ, reason="the same as above, in a package: at night")
def test_a_package_of_its_own_passes_everything_at_once(tool: Any, tmp_path: Path) -> None:
    """A package that new-tap wrote is found by its entry points, and has schema, page, Meltano project and commands."""
    folder = tmp_path / "tap-other"
    assert tool.main(["other", "--package", str(folder)]) == 0
    assert passed_in(folder, tmp_path / "site", "-k", "schema or discovery or page or first_run or settings") > 4
    assert "TAP_OTHER_START_DATE" in (folder / "meltano.yml").read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "site" / "bin").iterdir()} >= {"tap-other", "source-other"}


def test_a_package_of_its_own_is_typed_and_linted_and_says_how_to_install_it(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own settings of ruff and mypy are there and find nothing; the line that installs it works anywhere."""
    folder = tmp_path / "tap-other"
    assert tool.main(["other", "--title", "Other & Sons", "--package", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"pip install -e '{ROOT}[sandbox]' -e . pytest ruff mypy" in said
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        run("-m", *command, cwd=folder)
    (folder / "tap_other" / "wrong.py").write_text('"""A fault."""\n\nNUMBER: int = "text"\n', encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True, check=False)
    assert "wrong.py" in done.stdout


def test_a_folder_that_is_there_is_left_alone(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package is written into a new or empty folder only."""
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert tool.main(["other", "--package", str(tmp_path)]) == 2
    assert "name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# -- the examples --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_example_passes_the_contract_suite(example: Path, tmp_path: Path) -> None:
    """An example, installed as any other package, passes every test of the suite and its own."""
    folder = tmp_path / example.name
    shutil.copytree(example, folder, ignore=LEFT_OUT)
    assert passed_in(folder, tmp_path / "site") > 35


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_has_every_part_of_a_package_and_a_short_page_of_facts(example: Path) -> None:
    """What the guide's table names for a package is there, and the vendor's file has 70 lines at most."""
    package = example.name.replace("-", "_")
    vendor = package.removeprefix("tap_")
    parts = ("__init__.py", "sandbox.py", "py.typed")
    beside = ("docs/notes.md", f"docs/{vendor}.md", "meltano.yml", "pyproject.toml", "README.md", ".gitignore")
    for part in (*(f"{package}/{part}" for part in parts), *beside):
        assert (example / part).is_file(), part
    assert list((example / package / "schemas").glob("*.json"))
    assert list((example / "tests").glob("test_*.py"))
    assert len((example / package / "__init__.py").read_text(encoding="utf-8").splitlines()) <= 70


def test_the_guide_shows_the_example_as_it_is() -> None:
    """The guide's Python stands in the example as it is there, its whole file too; or is facts that can be made."""
    guide = (ROOT / "docs" / "adding-a-vendor.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    tap = (EXAMPLE / "tap_aircall" / "__init__.py").read_text(encoding="utf-8")
    assert tap in blocks
    assert len(tap.splitlines()) <= 60
    files = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLE.rglob("*.py"))]
    words = {"instants": instants, **{name: getattr(facts, name) for name in facts.__all__}}
    for block in blocks:
        if not any(block.strip("\n") in text for text in files):
            made = dict(words)
            exec(block, made)  # noqa: S102 - the guide's own words
            assert made.keys() - words.keys() - {"__builtins__"}, block
