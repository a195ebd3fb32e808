"""Fuzz what strangers may send: vendors' responses, times, settings, state, and the lines that target-duckdb reads.

    python3 run.py fuzz
    python3 run.py fuzz --seconds 600 bspk duckdb
    python3 run.py fuzz --list

atheris steers by coverage; it lives in an environment of its own, `.venv-fuzz`, with the releases of the lock. What a
target is and when it fails stands in tools/fuzz_targets.py. The corpus grows from run to run in output/fuzz/corpus;
a finding (the input, and the traceback beside it) stays in output/fuzz/findings, one for each place in the code, until
it is fixed and deleted. The exit code is 1 while there are any.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import logging
import os
import random
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv-fuzz"
OUTPUT = ROOT / "output" / "fuzz"
LOCK = ROOT / "requirements.lock"
ATHERIS = "atheris==3.0.0"
SECONDS = 30
"""Default of seconds for each target."""

_SOURCES = ("taps", "targets", "sandbox")
_LONGEST = 65_536  # bytes of an input
_PATIENCE = 20  # seconds for one input: one that takes longer is a finding
_MEMORY = 2_048  # MiB, same
_KEPT = 5  # findings of one target in one run: the rest is most likely more of the same


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the named targets, or all of them, one after the other.

    Returns:
        0 when nothing was found; 1 for findings, new or old; 2 where atheris can't be installed.
    """
    options = _parser().parse_args(arguments)
    sys.path[:0] = [str(ROOT / source) for source in (*_SOURCES, "tools")]
    if options.inside:
        return _inside(options.targets[0], options.seconds)
    names = list(importlib.import_module("fuzz_targets").targets())
    unknown = [name for name in options.targets if name not in names]
    if options.list or unknown:
        for name in unknown:
            print(f"there is no target {name!r}; there are:", file=sys.stderr)
        print("\n".join(names))
        return 2 if unknown else 0
    try:
        python = _environment()
    except subprocess.CalledProcessError as problem:
        version = ".".join(map(str, sys.version_info[:2]))
        print(
            f"fuzz: {ATHERIS} could not be installed (see above: {problem.cmd[1]} ended with {problem.returncode}). It "
            f"has wheels for Linux and CPython 3.11 to 3.13, and this is {sys.platform} with {version}; the same "
            "targets run without it, steered by Hypothesis: pytest tests/engine/test_fuzz.py",
            file=sys.stderr,
        )
        return 2
    ran = [_fuzz(python, name, options.seconds) for name in options.targets or names]
    return _list_findings() if all(ran) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py fuzz", description="Fuzz what strangers may send.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which; all of them when left out")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser


# -- the environment -------------------------------------------------------------------------------


def _environment() -> Path:
    """Return the Python that has atheris; made when it is missing, or the lock has changed.

    Raises:
        subprocess.CalledProcessError: uv could not install.
    """
    python, stamp = HOME / ("Scripts" if os.name == "nt" else "bin") / "python", HOME / "fuzz.stamp"
    current = hashlib.sha256(f"{ATHERIS} {sys.version}".encode() + LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == current:
        return python
    print(f"making {HOME.name}: {ATHERIS} and the releases of {LOCK.name}", flush=True)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(HOME)], check=True)
    constrained = ["--constraint", str(LOCK), "-r", str(ROOT / "pyproject.toml")]
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *constrained, ATHERIS], check=True)
    stamp.write_text(current, encoding="utf-8")
    return python


# -- one target ------------------------------------------------------------------------------------


def _fuzz(python: Path, name: str, seconds: int) -> bool:
    """Fuzz one target.

    Returns:
        Whether it ran to its end: what did not run has found nothing either.
    """
    print(f"== {name}, {seconds} s", flush=True)
    command = [str(python), str(Path(__file__)), "--inside", "--seconds", str(seconds), name]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, errors="replace")
    lines = done.stderr.splitlines()
    ended = [line for line in lines if line.startswith("Done ")]
    print("\n".join(ended or [*lines[-30:], f"fuzz: {name} did not run to its end"]), flush=True)
    return bool(ended)


def _inside(name: str, seconds: int) -> int:
    """Run a target under atheris; never returns, as libFuzzer ends the process itself."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["trunkline", "trunkline_duckdb", "trunkline_loader", *_tap_modules()]):
        module = importlib.import_module("fuzz_targets")
    logging.disable()
    corpus, findings = OUTPUT / "corpus" / name, OUTPUT / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in module.seeds(name):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = OUTPUT / "words.txt"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in module.words()), encoding="utf-8")
    target = _keeping(name, module.targets()[name](), findings)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        f"-timeout={_PATIENCE}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={findings / name}-",
        f"-dict={words}",
        "-verbosity=1",
    ]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        """Put a hostile value in the place of one half of the time; else mutate in libFuzzer's own ways."""
        if seed % 2:
            return bytes(atheris.Mutate(data, most))
        chance = random.Random(seed)  # noqa: S311 - a fuzzer
        return bytes(module.mutated(data, chance.randrange(10_000), chance.choice(module.HOSTILE))[:most])

    atheris.Setup([sys.argv[0], *options, str(corpus)], target, custom_mutator=mutate)
    atheris.Fuzz()
    return 0


def _escaped(word: bytes) -> str:
    """Escape a word as libFuzzer's dictionaries do."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def _tap_modules() -> list[str]:
    return [path.stem for path in (ROOT / "taps").glob("tap_*.py")]


def _keeping(name: str, target: Callable[[bytes], None], folder: Path) -> Callable[[bytes], None]:
    """Return the target, its findings kept, one for each place in the code, so that one does not end the search."""
    seen: set[str] = set()

    def once(data: bytes) -> None:
        try:
            target(data)
        except Exception as problem:  # noqa: BLE001 - any exception that a target lets through is a finding
            frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if str(ROOT) in frame.filename]
            place = f"{type(problem).__name__} {frames[-1].name if frames else ''}"
            if place in seen or len(seen) >= _KEPT:
                return
            seen.add(place)
            file = folder / f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
            file.with_suffix(".input").write_bytes(data)
            file.with_suffix(".txt").write_text("".join(traceback.format_exception(problem)), encoding="utf-8")

    return once


def _list_findings() -> int:
    """Print the findings in their folder."""
    folder = OUTPUT / "findings"
    found = sorted(path for path in folder.glob("*") if path.suffix != ".txt") if folder.is_dir() else []
    for path in found:
        story = path.with_suffix(".txt")
        last = story.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1] if story.exists() else ""
        print(f"{path.relative_to(ROOT)}: {last[:200]}")
    print(f"fuzz: {len(found)} findings" if found else "fuzz: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
