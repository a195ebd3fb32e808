#!/usr/bin/env python3
"""Trunkline's tasks, with nothing but Python 3.10 and pip: `python3 run.py demo` is the place to start.

The first task makes an environment in `.venv`: exactly the releases of requirements.lock, checked by their hashes, and
this checkout itself. uv installs them, because it takes seconds where pip takes a minute; pip gets uv, and does all of
it where uv can't. The settings of pip (its files and PIP_*) and of uv (UV_*) hold for both. A second task starts at
once, as long as lock, pyproject.toml and place are the same.

Tasks run by the Python that the environment was made with, whichever one starts this file, also the environment's own.
It is removed only when its Python is gone or no longer starts, or for `python3 run.py --rebuild <task>`.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "trunkline.stamp"
LOG = VENV / "install.log"


class Task(NamedTuple):
    """A task, run by `python3 run.py <name>`.

    Attributes:
        help: One line for the list of tasks.
        steps: Commands of the environment, one after the other; the last one gets the arguments of the command line.
    """

    help: str
    steps: Sequence[Sequence[str]]


TESTS = ("pytest", "-n", "3", "--dist", "loadfile")
"""Three at once: most tests wait for programs they started; a file's tests share what it has set up."""
FAST_TESTS = ("pytest", "-n", "2", "-m", "not slow", *(f"tests/engine/test_{name}.py" for name in (
    "bookmark", "chain", "credentials", "details", "errors", "facts_refusals", "facts_settings", "feeds", "governor",
    "instants", "layers", "lookups", "maps", "numbered", "paged", "pages", "per_row", "plan", "prefetch", "reading",
    "refusals", "schemas", "settings", "shape", "stream", "tap", "ways_of_paging", "whole", "words", "write",
)))  # fmt: skip
"""Tests of the engine that start no program and wait for no clock."""
MEASURED = (*TESTS, *(f"--ignore=tests/{name}" for name in (
    "test_bench.py", "test_lowest.py", "test_meltano.py", "test_mutants.py", "test_plugins.py", "test_readme.py",
    "test_run.py", "test_soak.py", "test_wheel.py", "transform",
)))  # fmt: skip
"""Every test but those that install or run something else than the four packages of this checkout."""
COVERAGE = (
    ("coverage", "erase"), ("coverage", "run", "-m", *MEASURED), ("coverage", "combine", "--quiet"),
    ("coverage", "report"),
)  # fmt: skip
COMMAND = ("python", "-m", "trunkline_commands")
"""The command `trunkline`, also where an older installation has none yet."""
LINT = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))

TASKS = {
    "demo": Task("load five vendors of a sandbox, build models and a page", [("python", "-m", "tools.demo")]),
    "test": Task("lint, types and every test; --fast: in a minute; PATH...: those tests alone", [*LINT, TESTS]),
    "lint": Task("ruff and mypy", LINT),
    "coverage": Task("run the tests, see that they reach as many lines as before", COVERAGE),
    "docs": Task("write the generated pages of docs/ anew", [("python", "tools/docs.py")]),
    "site": Task("make the site of docs/ in output/site", [("python", "-m", "tools.docs_site")]),
    "sandbox": Task("serve the five vendors on this machine", [(*COMMAND, "sandbox")]),
    "soak": Task("load the vendors under faults and kills for ten minutes; compare", [("python", "-m", "tools.soak")]),
    "fuzz": Task("try hostile input, steered by coverage", [("python", "tools/fuzz.py")]),
    "mutants": Task("break each step on purpose and see a test fail", [("python", "tools/mutants.py")]),
    "bench": Task("measure against the peers; writes docs/performance.md", [("python", "-m", "bench")]),
    "pyairbyte": Task("read every source with PyAirbyte, twice", [("python", "-m", "tools.pyairbyte")]),
    "backfill": Task("try a backfill on Dagster into PostgreSQL", [("python", "-m", "tools.backfill")]),
    "scale": Task("measure how a backfill's time grows; see docs/scale.md", [("python", "-m", "tools.scale")]),
    "recipes": Task("try the recipes of docs/recipes.md with the real tools", [("python", "-m", "tools.recipes")]),
    "hub-schema": Task("validate plugins/ with Meltano Hub's own schema", [("python", "-m", "tools.hub_schema")]),
    "audit": Task("look up known vulnerabilities of the locked packages", [("python", "tools/audit.py")]),
    "package": Task("build a release into dist/ and try it; see docs/releasing.md", [("python", "tools/package.py")]),
    "container": Task("build the image and try it; needs docker", [("python", "-m", "tools.container")]),
    "new-tap": Task("begin a vendor, here or in a package of its own", [(*COMMAND, "new-tap")]),
    "report": Task("make one HTML page of what a database holds", [(*COMMAND, "report")]),
    "meltano-yml": Task("write the plugins of meltano.yml from the settings", [("python", "tools/meltano_yml.py")]),
}


def main(arguments: list[str]) -> int:
    """Do a task.

    Returns:
        0 when every step ended well, else the exit code of the last one that did not; 2 for no task or an unknown one.
    """
    rebuild = arguments[:1] == ["--rebuild"]
    arguments = arguments[rebuild:]
    task = TASKS.get(arguments[0]) if arguments else None
    if task is None:
        helped = arguments[:1] in (["-h"], ["--help"])
        print(_usage(arguments), file=sys.stdout if helped else sys.stderr)
        return 0 if helped else 2
    try:
        environment = install(rebuild=rebuild)
    except InstallError as problem:
        print(problem, file=sys.stderr)
        return 1
    (ROOT / "output").mkdir(exist_ok=True)
    code, (steps, rest) = 0, chosen_tests(arguments[1:]) if arguments[0] == "test" else (task.steps, arguments[1:])
    for step in steps:
        last = step is steps[-1]
        command = [str(BIN / step[0]), *step[1:], *(rest if last else ())]
        if len(steps) > 1:
            print(f"$ {' '.join([step[0], *command[1:]])}", flush=True)
        try:
            failed = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        if failed and not last:
            print(f"{step[0]} failed: see above. The other steps go on.", flush=True)
        code = failed or code
    return code if code >= 0 else 128 - code


def chosen_tests(arguments: list[str]) -> tuple[Sequence[Sequence[str]], list[str]]:
    """Choose the steps of `test`, and what is left of its arguments.

    Without a path all is checked. Tests that are named by their paths run at once, without lint; `--fast` is the loop
    of somebody who edits.
    """
    if "--fast" in arguments:
        return (*LINT, FAST_TESTS), [argument for argument in arguments if argument != "--fast"]
    paths = [a for a in arguments if not a.startswith("-") and (ROOT / a.partition("::")[0]).exists()]
    if not paths:
        return (*LINT, TESTS), arguments
    return (TESTS if len(paths) > 1 else TESTS[:1],), arguments


def leave(code: int) -> NoReturn:
    """End with an exit code, by the signal where it is 128 and a signal's number."""
    if code > 128:  # noqa: PLR2004 - as shells count
        signal.signal(code - 128, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    sys.exit(code)


def _usage(arguments: list[str]) -> str:
    wrong = [f"there is no task {arguments[0]!r}", ""] if arguments and arguments[0] not in {"-h", "--help"} else []
    tasks = [f"  {name:<12} {task.help}" for name, task in TASKS.items()]
    usage = "python3 run.py [--rebuild] <task> [arguments of the task]"
    return "\n".join([*wrong, usage, "", *tasks, "", "--rebuild makes the environment in .venv anew before the task."])


# -- the environment ---------------------------------------------------------------------------------------------------


class InstallError(Exception):
    """An installation that failed: what failed, why (the tool's last lines), and what to do."""

    def __init__(self, what: str, why: str, todo: str) -> None:
        super().__init__(f"\n{what} failed.\n{_indented(why)}\nWhat to do: {todo} [install]")
        self.why = why


def install(*, rebuild: bool = False) -> dict[str, str]:
    """Make the environment ready, if it is not.

    Args:
        rebuild: Make it anew in any case.

    Returns:
        The variables for the programs that run in it.

    Raises:
        InstallError: Neither uv nor pip could install, or the environment that is to be removed runs this.
    """
    with _alone():
        stamp = STAMP.read_text(encoding="utf-8").split() if STAMP.exists() else []
        version = _version()
        if version and not rebuild and stamp == [_place(), _contents()]:
            _report_another_python(version)
            return _variables()
        started = time.monotonic()
        again = bool(version) and not rebuild
        whole = again and stamp[:1] != [_place()]
        if not again:
            _make_venv(_why_anew(version) if VENV.exists() else "")
        print(f"Installing into {VENV.relative_to(ROOT)} (once; {LOG.relative_to(ROOT)} has the details)", flush=True)
        if whole:  # the folder has moved, or an installation was interrupted: what is there is not to be relied on
            _do("Renewing .venv", [str(PYTHON), "-m", "venv", "--without-pip", str(VENV)], _variables())
        STAMP.unlink(missing_ok=True)  # what is interrupted from here on is installed anew
        environment = {**_variables(), **_uv_settings()}
        try:
            _with_uv(environment, *["--reinstall"] * whole)
        except InstallError as no_uv:
            print("  uv could not: trying pip, which takes longer", flush=True)
            try:
                _with_pip(environment, *["--force-reinstall"] * whole)
            except InstallError as no_pip:
                raise InstallError("The installation", f"{no_uv.why}\n{no_pip.why}", _ADVICE) from None
        STAMP.write_text(f"{_place()}\n{_contents()}\n", encoding="utf-8")
        print(f"Installed in {time.monotonic() - started:.0f} s", flush=True)
        return _variables()


_ADVICE = (
    "check the network; behind a mirror or proxy set PIP_INDEX_URL, HTTPS_PROXY or pip.conf as for any other project, "
    "with a certificate of your own SSL_CERT_FILE; then start the same command again."
)


def _version() -> str:
    """Return the release of the environment's Python; empty where there is none that Trunkline can run on."""
    found = _output([str(PYTHON), "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]).strip()
    return found if tuple(int(part) for part in found.split(".") if part) >= (3, 10) else ""


def _report_another_python(version: str) -> None:
    """Report when tasks run on another Python than the one that was called: a crontab may rely on it."""
    if version.split(".")[:2] != [str(part) for part in sys.version_info[:2]]:
        called = sys.version.split()[0]
        print(f"Using .venv with its Python {version}, not {called}; to change that: run.py --rebuild", flush=True)


def _why_anew(version: str) -> str:
    """Return why the environment that is there is removed.

    Raises:
        InstallError: It runs this.
    """
    if Path(sys.prefix).resolve() == VENV.resolve():
        base = Path(getattr(sys, "_base_executable", sys.executable))
        why = f"{VENV} runs this command, and is not removed under its feet."
        raise InstallError("Making .venv anew", why, f"deactivate it, then start the same command with {base}")
    return "--rebuild was given" if version else "its Python is gone, no longer starts, or is older than 3.10"


def _place() -> str:
    """Return a hash of the checkout's folder: its environment's commands name it, and can't survive its change."""
    return hashlib.sha256(str(ROOT).encode()).hexdigest()


def _contents() -> str:
    """Return a hash of everything that is to be installed."""
    parts = (LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), _release())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _release() -> bytes:
    """Return the tag of a release's own commit, else nothing: `--version` names a release there, and nowhere else."""
    return _output(["git", "-C", str(ROOT), "describe", "--tags", "--exact-match", "--match", "v*"]).strip().encode()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process install at a time; the second one then finds everything there."""
    with contextlib.ExitStack() as stack:
        try:
            import fcntl
        except ImportError:  # Windows has no flock: there two first tasks at once are the user's own affair
            pass
        else:
            fcntl.flock(stack.enter_context(Path(__file__).open("rb")), fcntl.LOCK_EX)
        yield


def _variables() -> dict[str, str]:
    """Return the caller's variables, without those that would lead Python or Meltano out of the environment."""
    dropped = {"PYTHONHOME", "PYTHONPATH", "UV_SYSTEM_PYTHON", "UV_PYTHON"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "VIRTUAL_ENV": str(VENV), "PATH": os.pathsep.join([str(BIN), kept.get("PATH", os.defpath)])}


def _make_venv(why: str) -> None:
    # Without pip: Debian's python3 has no ensurepip. uv needs none, and pip can install from outside.
    if why:
        print(f"Removing {VENV}, to make it anew with Python {sys.version.split()[0]}: {why}", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    _do("Making .venv", [sys.executable, "-m", "venv", "--without-pip", str(VENV)], dict(os.environ))


def _with_uv(environment: dict[str, str], *options: str) -> None:
    uv = _uv(environment)
    target = ["--python", str(PYTHON), *options]
    _do(
        "Installing the locked packages",
        [uv, "pip", "install", *target, "--require-hashes", "-r", str(LOCK)],
        environment,
    )
    editable = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    _do("Installing Trunkline itself", [uv, "pip", "install", *target, *editable], environment)


def _with_pip(environment: dict[str, str], *options: str) -> None:
    pip = [*_pip(), "--python", str(PYTHON), "install", *options]
    _do("Installing the locked packages with pip", [*pip, "--require-hashes", "-r", str(LOCK)], environment)
    _do("Installing Trunkline itself", [*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], environment)


def _uv(environment: dict[str, str]) -> str:
    """Return the uv of the lock, in a folder of its own; without a pip to get it, the one there or on the PATH."""
    there = VENV / "uv" / "bin" / "uv"
    found = str(there) if there.exists() else shutil.which("uv")
    if not _pip():
        if found:
            return found
        raise InstallError("Getting uv", "there is neither pip nor uv", "install pip for this Python")
    (VENV / "uv.txt").write_text(_locked("uv"), encoding="utf-8")
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--upgrade", "--target", str(VENV / "uv")]
    _do("Getting uv", [*_pip(), "install", *options, "-r", str(VENV / "uv.txt")], environment)
    return str(there)


def _locked(name: str) -> str:
    """Return the lines of a package in the lock: release and hashes."""
    block = re.search(rf"^{name}==.*?(?=^\S|\Z)", LOCK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return block.group() if block else name


def _pip() -> list[str]:
    """Return the command pip: this Python's own, or one on the PATH; empty when there is none."""
    # The environment has none of its own.
    base = str(getattr(sys, "_base_executable", sys.executable))
    commands = [[base, "-m", "pip"], [sys.executable, "-m", "pip"], ["pip3"], ["pip"]]
    return next((command for command in commands if _output([*command, "--version"])), [])


def _uv_settings() -> dict[str, str]:
    """Translate pip's settings into uv's, which reads neither pip.conf nor PIP_*; reset those that pip must not have.

    What the user set for uv itself is left as it is.
    """
    pip: dict[str, str] = {}
    lines = _output([*_pip(), "config", "list"]).splitlines() if _pip() else []
    for prefix in ("global.", "install.", ":env:."):  # the later ones win
        for line in lines:
            name, equals, value = line.partition("=")
            if equals and name.startswith(prefix):
                pip[name.removeprefix(prefix)] = " ".join(str(ast.literal_eval(value)).split())
    uv = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": pip.get("extra-index-url"),
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "UV_NO_INDEX": pip.get("no-index"),
        "UV_INSECURE_HOST": pip.get("trusted-host"),
        "SSL_CERT_FILE": pip.get("cert"),
        "ALL_PROXY": pip.get("proxy"),
        # As pip does: the best release of all indexes, not the first index that knows the name. Hashes guard both.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    if not any(name in os.environ for name in ("SSL_CERT_FILE", "UV_NATIVE_TLS")) and not pip.get("cert"):
        uv["UV_SYSTEM_CERTS"] = "1"
    old_names = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
    settings = {
        name: value
        for name, value in uv.items()
        if value and name not in os.environ and old_names.get(name, name) not in os.environ
    }
    return {**settings, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _do(what: str, command: list[str], environment: dict[str, str]) -> None:
    """Run a step of the installation, with a line at least every five seconds.

    Raises:
        InstallError: It ended badly.
    """
    print(f"  {what} ...", flush=True)
    started = time.monotonic()
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        start = log.tell()
        try:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
        except OSError as problem:
            raise InstallError(what, str(problem), _ADVICE) from None
        while process.poll() is None:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                print(f"  ... {time.monotonic() - started:.0f} s", flush=True)
    if process.returncode:
        with LOG.open("rb") as log_read:
            log_read.seek(start)
            output = log_read.read().decode(errors="replace").strip().splitlines()
        raise InstallError(
            what, "\n".join([f"{what}:", *(output[-8:] or [f"exit code {process.returncode}"])]), _ADVICE
        )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 - this file is run by any python3
        sys.exit(f"Trunkline needs Python 3.10 or newer, and this is {sys.version.split()[0]}: python3.12 run.py ...")
    leave(main(sys.argv[1:]))
