"""The mutation command: it tells a test that bites from one that does not, and never breaks what it reads."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
CODE = "def half(n: int) -> int:\n    return n // 2\n"
TEST = "from halves import half\n\n\ndef test_half() -> None:\n    assert half(4) == 2\n"


@pytest.fixture(scope="module")
def tool() -> Any:
    """The command as a module."""
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def attempt(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`attempt(new="return n / 3")`: exit code and output for a small tree and one mutant of it."""

    def go(test: str = TEST, **fields: Any) -> tuple[int, str]:
        for folder in ("taps", "targets", "sandbox", "schemas", "tests"):
            (tmp_path / folder).mkdir()
        (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
        (tmp_path / "taps" / "halves.py").write_text(CODE, encoding="utf-8")
        (tmp_path / "tests" / "test_halves.py").write_text(test, encoding="utf-8")
        mutant = {
            "id": "wrong-half",
            "guarantee": "G10",
            "broken": "A half is no half.",
            "file": "taps/halves.py",
            "old": "n // 2",
            "new": "n // 3",
            "tests": ["tests/test_halves.py::test_half"],
            **fields,
        }
        lines = [
            f"{name} = {str(value).lower() if isinstance(value, bool) else value!r}" for name, value in mutant.items()
        ]
        (tmp_path / "tests" / "mutants.toml").write_text("\n".join(["[[mutant]]", *lines]), encoding="utf-8")
        code = tool.main([], tmp_path)
        assert (tmp_path / "taps" / "halves.py").read_text(encoding="utf-8") == CODE
        said = capsys.readouterr()
        return code, said.out + said.err

    return go


def test_every_mutant_fits_the_code(tool: Any) -> None:
    """Whoever moves code moves its mutants: `old` stands once, the named tests exist, and every rule has a mutant."""
    mutants = tool.load(ROOT)
    assert len(mutants) >= 40
    assert {mutant.guarantee for mutant in mutants} == {f"G{number}" for number in range(1, 11)}
    for mutant in mutants:
        for test in mutant.tests:
            path, _, name = test.partition("::")
            assert re.search(rf"def {re.escape(name)}\(", (ROOT / path).read_text(encoding="utf-8")), test


def test_the_page_says_how_many_there_are(tool: Any) -> None:
    """docs/testing.md names the number twice."""
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert f"{len(tool.load(ROOT))} of {len(tool.load(ROOT))} mutants killed" in page


def test_a_mutant_that_a_test_notices_is_killed(attempt: Callable[..., tuple[int, str]]) -> None:
    """Its tests fail: the exit code is 0."""
    code, said = attempt()
    assert code == 0
    assert "1 of 1 mutants killed" in said


def test_a_mutant_that_nobody_notices_is_told(attempt: Callable[..., tuple[int, str]]) -> None:
    """Its tests pass: the exit code is 1, and what was changed is shown."""
    code, said = attempt(new="n >> 1")
    assert code == 1
    assert "SURVIVED" in said
    assert "+ n >> 1" in said
    assert "0 of 1 mutants killed" in said


def test_a_mutant_that_can_not_be_loaded_is_not_killed(attempt: Callable[..., tuple[int, str]]) -> None:
    """Code that no longer compiles is noticed by anything: that shows nothing."""
    code, said = attempt(new="n //// 2")
    assert code == 1
    assert "UNJUDGED" in said


@pytest.mark.parametrize(("may_hang", "code", "words"), [(True, 0, "1 of 1"), (False, 1, "HUNG")])
def test_an_endless_loop_counts_where_it_may(
    attempt: Callable[..., tuple[int, str]],
    may_hang: bool,  # noqa: FBT001 - a table
    code: int,
    words: str,
) -> None:
    """Tests that do not come to an end have noticed only what is marked so."""
    result, said = attempt(new="max(iter(int, 1))", may_hang=may_hang, seconds=3)
    assert result == code
    assert words in said


def test_tests_that_fail_anyway_show_nothing(attempt: Callable[..., tuple[int, str]]) -> None:
    """Without any mutant they must pass first."""
    code, said = attempt(test=TEST.replace("== 2", "== 3"))
    assert code == 1
    assert "do not pass without any mutant" in said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"old": "n // 4"}, "stands 0 times in taps/halves.py: the code has moved"),
        ({"old": "n"}, "stands 5 times"),
        ({"file": "taps/thirds.py"}, "there is no taps/thirds.py"),
        ({"new": "n // 2"}, "it changes nothing"),
        ({"guarantee": "G11"}, "'G11' is no guarantee"),
        ({"tests": []}, "no test is named"),
        ({"tests": ["tests/test_thirds.py::test_third"]}, "there is no test"),
        ({"hurry": True}, "an entry of another form"),
    ],
)
def test_a_table_that_does_not_fit_is_told(
    attempt: Callable[..., tuple[int, str]], fields: dict[str, Any], words: str
) -> None:
    """Which mutant, and what is wrong with it; nothing is tried."""
    code, said = attempt(**fields)
    assert code == 1
    assert words in said


def test_a_mutant_can_be_chosen(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` shows them, with `--only` those named; a name that is none is an error."""
    assert tool.main(["--list", "--only", "lookback-skipped"]) == 0
    assert capsys.readouterr().out.startswith("G3  lookback-skipped")
    assert tool.main(["--only", "no-such-mutant"]) == 1
    assert "no-such-mutant" in capsys.readouterr().err
