"""The mutation command: it tells a test that bites from one that does not, and never breaks what it reads."""

from __future__ import annotations

import importlib.util
import json
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
    """`attempt({"new": "n / 3"})`: exit code and output for a small tree with these mutants."""

    def go(*mutants: dict[str, Any], test: str = TEST) -> tuple[int, str]:
        for folder in (name for name in tool.TREE if "." not in name):
            (tmp_path / folder).mkdir()
        (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
        (tmp_path / "taps" / "halves.py").write_text(CODE, encoding="utf-8")
        (tmp_path / "tests" / "test_halves.py").write_text(test, encoding="utf-8")
        table = [line for n, fields in enumerate(mutants) for line in entry({"id": f"mutant-{n}", **fields})]
        (tmp_path / "tests" / "mutants.toml").write_text("\n".join(table), encoding="utf-8")
        code = tool.main([], tmp_path)
        assert (tmp_path / "taps" / "halves.py").read_text(encoding="utf-8") == CODE
        said = capsys.readouterr()
        return code, said.out + said.err

    return go


def entry(fields: dict[str, Any]) -> list[str]:
    """The lines of a mutant; what is not given fits."""
    whole = {
        "guarantee": "G10",
        "broken": "A half is no half.",
        "file": "taps/halves.py",
        "old": "n // 2",
        "new": "n // 3",
        "tests": ["tests/test_halves.py::test_half"],
        **fields,
    }
    return ["[[mutant]]", *(f"{name} = {json.dumps(value)}" for name, value in whole.items())]


def test_every_mutant_fits_the_code(tool: Any) -> None:
    """Whoever moves code moves its mutants: `old` stands once, the named tests exist, and every rule has a mutant."""
    mutants = tool.load(ROOT)
    assert len(mutants) >= 40
    assert {mutant.guarantee for mutant in mutants} == {"model", *(f"G{number}" for number in range(1, 11))}
    for mutant in mutants:
        for test in mutant.tests:
            path, _, name = test.partition("[")[0].partition("::")
            assert re.search(
                rf"def {re.escape(name.rpartition('::')[2])}\(", (ROOT / path).read_text(encoding="utf-8")
            ), test


@pytest.mark.slow
def test_only_a_test_that_fails_kills(attempt: Callable[..., tuple[int, str]]) -> None:
    """One that passes does not, nor code that can't be loaded; an endless loop counts only where it is marked so."""
    hangs = {"new": 'n // 2 + (__import__("time").sleep(60) or 0)', "seconds": 2}
    code, said = attempt({}, {"new": "n >> 1"}, {"new": "n //// 2"}, hangs, {**hangs, "may_hang": True})
    verdicts = [line.split()[0] for line in said.splitlines() if " G10   mutant-" in line]
    assert verdicts == ["killed", "SURVIVED", "UNJUDGED", "HUNG", "killed"]
    assert code == 1
    assert "+ n >> 1" in said
    assert "2 of 5 mutants killed" in said


@pytest.mark.slow
def test_all_killed_is_a_success(attempt: Callable[..., tuple[int, str]]) -> None:
    """The exit code is 0."""
    code, said = attempt({})
    assert code == 0
    assert "1 of 1 mutants killed" in said


@pytest.mark.slow
def test_tests_that_fail_anyway_show_nothing(attempt: Callable[..., tuple[int, str]]) -> None:
    """Without any mutant they must pass first."""
    code, said = attempt({}, test=TEST.replace("== 2", "== 3"))
    assert code == 1
    assert "do not pass without any mutant" in said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"old": "n // 4"}, "stands 0 times in taps/halves.py: the code has moved"),
        ({"old": "n"}, "times in taps/halves.py"),
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
    code, said = attempt(fields)
    assert code == 1
    assert words in said


def test_a_mutant_can_be_chosen(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` shows them, with `--only` those named; a name that is none is an error."""
    assert tool.main(["--list", "--only", "lookback-skipped"]) == 0
    assert capsys.readouterr().out.startswith("G3    lookback-skipped")
    assert tool.main(["--only", "no-such-mutant"]) == 1
    assert "no-such-mutant" in capsys.readouterr().err
