"""Show that the tests bite: break each step on purpose, one way at a time, and see a test fail.

`tests/mutants.toml` lists the ways. Each is tried in a copy of the tree, so that nothing here is ever broken, with the
few tests that must notice; those tests pass on the unbroken copy first. A mutant that survives is a promise nobody
checks: the exit code is then 1, as it is when the code has moved and a mutant no longer fits it.

    python3 run.py mutants --list
    python3 run.py mutants --only lookback-skipped
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path("tests/mutants.toml")
TREE = ("taps", "targets", "sandbox", "schemas", "transform", "bench", "tools", "tests", "pyproject.toml")
ENVIRONMENTS = (".venv", ".venv-bench-dbt")
"""Folders too large to be copied: nobody changes them, and links lead there."""
SOURCES = ("taps", "targets", "sandbox")
SECONDS = 120.0
"""Longest time the tests of one mutant may take, in seconds, unless the table gives it another."""

_GUARANTEE = re.compile(r"G([1-9]|10)|model")
_PASSED, _FAILED = 0, 1  # pytest's exit codes; any other one means that no test has judged
_TAIL = 25


class MutantError(Exception):
    """The table does not fit the code, or the tests do not pass without any mutant."""


@dataclass(frozen=True)
class Mutant:
    """One way to break the code.

    Args:
        id: Its name.
        guarantee: The rule that it breaks, `G1` to `G10`, or `model` for a figure of docs/model.md.
        broken: What is broken, in a sentence.
        file: The file it changes, from the root of the tree.
        old: The text to be replaced; it stands in the file exactly once.
        new: What stands there instead.
        tests: Ids of the tests that must fail.
        may_hang: Whether tests that do not come to an end have noticed too.
        seconds: Longest time the tests may take.
    """

    id: str
    guarantee: str
    broken: str
    file: str
    old: str
    new: str
    tests: list[str] = field(default_factory=list)
    may_hang: bool = False
    seconds: float = SECONDS

    def problems(self, root: Path) -> Iterator[str]:
        """Yield the reasons why this mutant can't be tried on a tree."""
        path = root / self.file
        if not _GUARANTEE.fullmatch(self.guarantee):
            yield f"{self.guarantee!r} is no guarantee: G1 to G10, or model"
        if not self.tests:
            yield "no test is named that must notice"
        if self.old == self.new:
            yield "it changes nothing"
        if not path.is_file():
            yield f"there is no {self.file}: the code has moved, so move the mutant with it"
        elif (count := path.read_text(encoding="utf-8").count(self.old)) != 1:
            yield f"its old text stands {count} times in {self.file}: the code has moved, so move the mutant with it"
        for test in self.tests:
            if not (root / test.partition("::")[0]).is_file():
                yield f"there is no test {test}"


class Verdict(Enum):
    """The verdict on a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    HUNG = "HUNG"
    UNJUDGED = "UNJUDGED"


@dataclass(frozen=True)
class Tried:
    """A mutant, its verdict, and the output of its tests."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    output: str


def load(root: Path) -> list[Mutant]:
    """Return the mutants of a tree.

    Raises:
        MutantError: One of them has not the fields of `Mutant`, or does not fit the code; all are reported at once.
    """
    # Python 3.10 has no tomllib; there the test tools bring tomli, which is the same.
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    table = toml.loads((root / TABLE).read_text(encoding="utf-8"))
    try:
        mutants = [Mutant(**entry) for entry in table["mutant"]]
    except TypeError as wrong:
        raise MutantError(f"{TABLE} has an entry of another form: {wrong}") from None
    names = [mutant.id for mutant in mutants]
    found = [f"{name}: there are several of this name" for name in sorted({n for n in names if names.count(n) > 1})]
    found += [f"{mutant.id}: {problem}" for mutant in mutants for problem in mutant.problems(root)]
    if found:
        raise MutantError("\n".join([f"{TABLE} does not fit the code:", *found]))
    return mutants


def chosen(mutants: Sequence[Mutant], only: Sequence[str] | None) -> list[Mutant]:
    """Return the mutants of these names, or all of them.

    Raises:
        MutantError: There is none of a name.
    """
    if unknown := set(only or ()) - {mutant.id for mutant in mutants}:
        raise MutantError(f"there is no mutant {', '.join(sorted(unknown))}: --list shows them")
    return [mutant for mutant in mutants if not only or mutant.id in only]


class Copy:
    """A copy of the tree, in which mutants are tried one after the other.

    Args:
        root: The tree.
        folder: Where the copy goes.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        leave_out = shutil.ignore_patterns("__pycache__", ".hypothesis", ".pytest_cache")
        for name in TREE:
            if (root / name).is_dir():
                shutil.copytree(root / name, folder / name, ignore=leave_out)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
        for name in ENVIRONMENTS:
            if (root / name).is_dir():
                (folder / name).symlink_to(root / name)

    def check(self, tests: Sequence[str], seconds: float) -> tuple[int | None, str]:
        """Run tests until the first one fails.

        Returns:
            pytest's exit code, None when the time was over; and what was printed.
        """
        options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        variables = {name: value for name, value in os.environ.items() if name not in {"PYTEST_ADDOPTS", "PYTHONPATH"}}
        variables["PYTHONPATH"] = os.pathsep.join(str(self.folder / name) for name in SOURCES)
        # Plugins that merely stand in the environment cost more than most of the tests here: two seconds of each start.
        variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        # The same drawn examples every time: a mutant must not live or die by luck.
        options += ["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return None, f"the tests did not come to an end in {seconds:.0f} s"
        return done.returncode, done.stdout + done.stderr

    def attempt(self, mutant: Mutant) -> Tried:
        """Break the copy, run the mutant's tests, and restore it."""
        path, began = self.folder / mutant.file, time.monotonic()
        text = path.read_text(encoding="utf-8")
        try:
            path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
            self._forget(path)
            code, output = self.check(mutant.tests, mutant.seconds)
        finally:
            path.write_text(text, encoding="utf-8")
            self._forget(path)
        if code is None:
            verdict = Verdict.KILLED if mutant.may_hang else Verdict.HUNG
        else:
            verdict = {_FAILED: Verdict.KILLED, _PASSED: Verdict.SURVIVED}.get(code, Verdict.UNJUDGED)
        return Tried(mutant, verdict, time.monotonic() - began, output)

    @staticmethod
    def _forget(path: Path) -> None:
        """Drop the compiled module: a change of the same length within a second would go unseen."""
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def attempts(mutants: Sequence[Mutant], copies: Sequence[Copy]) -> Iterator[Tried]:
    """Try each mutant, as many at once as there are copies; in the order of the table."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def attempt(mutant: Mutant) -> Tried:
        copy = free.get()
        try:
            return copy.attempt(mutant)
        finally:
            free.put(copy)

    pool = ThreadPoolExecutor(len(copies))
    try:
        yield from pool.map(attempt, mutants)
    finally:
        pool.shutdown(cancel_futures=True)


def prove_sound(copy: Copy, mutants: Sequence[Mutant]) -> None:
    """Run the tests of all mutants on the unbroken copy.

    Raises:
        MutantError: One of them fails or is not there: then a mutant's failing tests would prove nothing.
    """
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    code, output = copy.check(tests, SECONDS * 5)
    if code != _PASSED:
        raise MutantError(f"the tests do not pass without any mutant: fix that first\n{_tail(output)}")


def report(tried: Tried) -> None:
    """Print a line of the table; of a mutant that was not killed, all that helps to see why."""
    mutant = tried.mutant
    print(f"{tried.verdict.value:<9}{tried.seconds:6.1f} s  {mutant.guarantee:<6}{mutant.id:<32}{mutant.broken}")
    if tried.verdict is not Verdict.KILLED:
        print(f"    {mutant.file}\n{_marked('-', mutant.old)}\n{_marked('+', mutant.new)}")
        print(f"    not noticed by {' '.join(mutant.tests)}")
        print("" if tried.verdict is Verdict.SURVIVED else _tail(tried.output))
    sys.stdout.flush()


def _marked(mark: str, text: str) -> str:
    return "\n".join(f"    {mark} {line}" for line in text.splitlines())


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-_TAIL:])


def run(root: Path, mutants: Sequence[Mutant], jobs: int) -> int:
    """Try mutants and print what became of them.

    Returns:
        1 if one was not killed, else 0.

    Raises:
        MutantError: The tests do not pass without any mutant.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Copy(root, Path(folder, str(number))) for number in range(min(jobs, len(mutants)))]
        prove_sound(copies[0], mutants)
        print(f"their tests pass without any mutant ({time.monotonic() - began:.0f} s)", flush=True)
        killed = 0
        for tried in attempts(mutants, copies):
            report(tried)
            killed += tried.verdict is Verdict.KILLED
    print(f"{killed} of {len(mutants)} mutants killed in {time.monotonic() - began:.0f} s")
    return int(killed != len(mutants))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Return the command.

    Returns:
        0 if every mutant was killed; 1 if one was not, or nothing could be tried; 130 when it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="mutants", description="Break the code on purpose and see the tests fail.")
    parser.add_argument("--only", metavar="ID", action="append", help="try this mutant; may be given several times")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="how many to try at once (2)")
    parser.add_argument("--list", action="store_true", help="show the mutants and try none")
    options = parser.parse_args(arguments)
    try:
        mutants = chosen(load(root), options.only)
        if options.list:
            for mutant in mutants:
                print(f"{mutant.guarantee:<6}{mutant.id:<32}{mutant.file:<28}{mutant.broken}")
            return 0
        return run(root, mutants, max(1, options.jobs))
    except MutantError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
