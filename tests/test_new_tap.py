"""`new-tap`: what it writes works at once, here and in a package of its own; the examples are such packages."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.night import NIGHT, at_night

from trunkline import facts, instants
from trunkline_commands import new_tap
from trunkline_commands.new_tap.entry_points import SOURCES, seen
from trunkline_commands.new_tap.files import start
from trunkline_commands.new_tap.vendor import PAGING, SIGNING, SPANS, CannotError

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "tap-aircall"
EXAMPLES = sorted(project.parent for project in (ROOT / "examples").glob("*/pyproject.toml"))
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".meltano", ".env", "output", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)
CHOICES = (
    ("number", "bearer", "second"),
    ("cursor", "oauth2", "second"),
    ("offset", "basic", "day"),
    ("cursor", "body", "day"),
    ("none", "header", "none"),
    ("number", "body", "none"),
)
"""Every word of the three options at least once: what CI lays out, lints and types."""
Packages = dict[tuple[str, str, str], Path]


def run(*words: str, cwd: Path, **variables: str) -> str:
    """Output of a command of this environment that must end well; tests that it runs are those of the day."""
    outer = {name: value for name, value in os.environ.items() if name != "TRUNKLINE_NIGHT"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**outer, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def install(site: Path, *folders: Path) -> None:
    """Install packages in `site`, where their entry points are found."""
    options = ["-m", "uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    run(*options, "--target", str(site), *map(str, folders), cwd=site.parent)


def passed(site: Path, folder: Path, *arguments: str) -> int:
    """How many tests pass, with what is installed in `site`."""
    said = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, cwd=folder, PYTHONPATH=str(site))
    found = re.search(r"(\d+) passed", said)
    assert found, said
    assert "failed" not in said
    return int(found[1])


# -- in this checkout ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@at_night("half a minute; packages of its own are tried below")
def test_a_sixth_vendor_passes_everything_at_once(tmp_path: Path) -> None:
    """In a copy of the checkout, new-tap is all it takes: contract, schema, pages, Meltano entry and lint are right."""
    copy = tmp_path / "a copy"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    paths = os.pathsep.join(str(copy / root) for root in SOURCES)
    run("-m", "trunkline_commands", "new-tap", "sixthone", "--title", "The Sixth One", cwd=copy, PYTHONPATH=paths)
    suite = "tests/vendors/test_sixthone.py"
    with seen([copy / "pyproject.toml"], copy) as environment:
        files = (suite, "tests/test_schemas.py", "tests/test_meltano.py", "tests/test_docs.py")
        # Of the pages, what a vendor can break; the others' commands take seconds.
        chosen = (
            "vendors or schemas or meltano or documented or endpoints or complete or a_stream or in_the_readme or "
            "run_somewhere"
        )
        options = ("-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", chosen)
        said = run("-m", "pytest", *options, *files, cwd=copy, PYTHONPATH=environment["PYTHONPATH"])
        assert "passed" in said
    written = ("taps/tap_sixthone.py", "sandbox/trunkline_sandbox/vendors/sixthone.py", suite)
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
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    """A bad or taken name is one sentence with what to do, exit code 2, and no file is written."""
    (tmp_path / "schemas" / "halfway").mkdir(parents=True)
    (tmp_path / "schemas" / "halfway" / "calls.json").write_text("{}", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert new_tap.main([name], root=tmp_path) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


# -- in a package of its own ---------------------------------------------------------------------------------------


ALL_CHOICES = tuple(itertools.product(PAGING, SIGNING, SPANS)) if NIGHT else CHOICES
QUICK = "schema or page or first_run or sandboxs_config or faults_that_pass or wrong_credentials"


def package(folder: Path, name: str, paging: str, signing: str, span: str) -> Path:
    """A package for these choices, in a new folder."""
    options = ["--paging", paging, "--signing", signing, "--span", span, "--title", "Other & Sons"]
    assert new_tap.main([name, "--package", str(folder), *options]) == 0
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """A package for each of the choices, under a name of its own: what looks at them then starts once."""
    folder = tmp_path_factory.mktemp("packages")
    return {choices: package(folder / "".join(choices), "".join(choices), *choices) for choices in ALL_CHOICES}


@pytest.mark.slow
def test_a_package_for_any_choices_is_typed_and_linted(packages: Packages) -> None:
    """The package's own settings of ruff and mypy are there and find nothing, whatever the vendor is like."""
    top, config = next(iter(packages.values())).parent, next(iter(packages.values())) / "pyproject.toml"
    run("-m", "ruff", "check", ".", cwd=top)
    run("-m", "ruff", "format", "--check", ".", cwd=top)
    taps = [str(next(folder.glob("tap_*"))) for folder in packages.values()]
    if NIGHT:  # by day the types of one package are checked, below
        run("-m", "mypy", "--config-file", str(config), *taps, str(config.parent / "tests"), cwd=top)


@pytest.mark.slow
def test_a_package_for_any_choices_keeps_the_contract(packages: Packages, tmp_path: Path) -> None:
    """It is found by its entry points, has schema, page, Meltano project and commands, and keeps the guarantees."""
    site, folders = tmp_path / "site", list(packages.values())
    install(site, *folders)
    tests = [str(folder / "tests") for folder in folders]
    chosen = () if NIGHT else ("-k", QUICK)
    assert passed(site, folders[0].parent, "--import-mode=importlib", *chosen, *tests) >= 7 * len(folders)
    for (*_, span), folder in packages.items():
        variable = f"TAP_{folder.name.upper()}_START_DATE"
        assert (variable in (folder / "meltano.yml").read_text(encoding="utf-8")) == (span != "none")
        assert {path.name for path in (site / "bin").iterdir()} >= {f"tap-{folder.name}", f"source-{folder.name}"}


def test_a_package_says_how_to_install_it_and_its_types_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line that installs it works in any folder, and a fault in the package is found by its own settings."""
    folder = package(tmp_path / "tap-other", "other", *CHOICES[0])
    said = capsys.readouterr().out
    assert f"cd {folder}" in said
    assert f"pip install -e '{ROOT}[new-tap]' -e ." in said
    (folder / "tap_other" / "wrong.py").write_text('"""A fault."""\n\nNUMBER: int = "text"\n', encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True, check=False)
    assert "wrong.py" in done.stdout


def test_a_tool_that_fails_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Its output stands above the error as it is, however long: the reason is at its end."""
    with pytest.raises(CannotError, match=r"failed: see above"):
        start([sys.executable, "-c", "import sys; print('line\\n' * 900); sys.exit('Trace' + 'back')"])
    assert capsys.readouterr().err.endswith("line\n\nTraceback\n")


def test_without_a_checkout_a_package_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed the wheel need not name a folder; without a terminal nothing is asked."""
    monkeypatch.chdir(tmp_path)
    assert new_tap.main(["other"], root=None) == 0
    text = (tmp_path / "tap-other" / "tap_other" / "__init__.py").read_text(encoding="utf-8")
    assert "NumberedPages(" in text
    assert 'bearer("api_token")' in text


def test_what_is_not_given_is_asked_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the three is asked once, with what its words mean, and an option is not asked again."""
    asked: list[str] = []

    def prompt(fact: str, **_: object) -> str:
        asked.append(fact)
        return {"paging": "cursor", "span": "day"}[fact]

    monkeypatch.setattr("click.prompt", prompt)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    assert new_tap.main(["other", "--package", str(tmp_path / "tap"), "--signing", "basic"]) == 0
    assert asked == ["paging", "span"]
    text = (tmp_path / "tap" / "tap_other" / "__init__.py").read_text(encoding="utf-8")
    for word in ("CursorPages(", "instants.to_day", 'basic("api_id", "api_token")'):
        assert word in text


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package is written into a new or empty folder only."""
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert new_tap.main(["other", "--package", str(tmp_path)]) == 2
    assert "name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# -- the examples --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES if NIGHT else EXAMPLES[:1], ids=lambda example: example.name)
def test_the_example_passes_the_contract_suite(example: Path, tmp_path: Path) -> None:
    """An example, installed as any other package, passes every test of the suite and its own."""
    folder = tmp_path / example.name
    shutil.copytree(example, folder, ignore=LEFT_OUT)
    install(tmp_path / "site", folder)
    assert passed(tmp_path / "site", folder) > 35


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
