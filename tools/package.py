"""`python3 run.py package`: build a release into dist/ and try it, here as in the workflow that publishes.

dist/ then holds the wheel, the source distribution, what is in them as CycloneDX, the sums of all three, and NOTES.md,
which nobody uploads to an index. A commit with a tag must be ready for it: its version in CHANGELOG.md, and no fragment
left in changes/.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
UV = (sys.executable, "-m", "uv")
BIN = "Scripts" if os.name == "nt" else "bin"


class NotReadyError(Exception):
    """A release can't be made; with the reason, and what to do."""


def main() -> int:
    """Make dist/ anew.

    Returns:
        0 when everything in it passed; 1 with a line for what did not.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = build(Path(folder) / "again")
            version = wheel.name.split("-")[1]
            notes = release_notes(version)
            checker = environment(Path(folder) / "checker", "--require-hashes", "-r", str(ROOT / "release.lock"))
            sources = sorted(str(file) for file in DIST.glob("trunkline-*"))
            run(str(checker / "twine"), "check", "--strict", *sources)
            user = environment(Path(folder) / "user", "--constraint", str(ROOT / "requirements.lock"), str(wheel))
            try_commands(wheel, user)
            bill = DIST / f"trunkline-{version}.cdx.json"
            described = ("--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application")
            output = ("--output-reproducible", "--spec-version", "1.6", "--output-file", str(bill))
            run(str(checker / "cyclonedx-py"), "environment", *described, *output, str(user / "python"))
            name_version(bill, version)
    except (NotReadyError, subprocess.CalledProcessError) as problem:
        print(f"package: not ready: {problem}")
        return 1
    (DIST / "SHA256SUMS").write_text(sums(), encoding="utf-8")
    (DIST / "NOTES.md").write_text(notes, encoding="utf-8")
    print("\n".join(["", f"Trunkline {version} in dist/:", sums().rstrip()]))
    return 0


def build(again: Path) -> Path:
    """Build both distributions twice, the wheel from the source distribution.

    Args:
        again: A folder for the second pair.

    Returns:
        The wheel in dist/.

    Raises:
        NotReadyError: The second pair differs from the first: nobody could show what a release was built from.
    """
    shutil.rmtree(DIST, ignore_errors=True)
    for folder in (DIST, again):
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), quiet=True)
    for file in again.iterdir():
        if (DIST / file.name).read_bytes() != file.read_bytes():
            raise NotReadyError(f"{file.name} is another one each time it is built: look for a time or an order in it")
    (wheel,) = DIST.glob("*.whl")
    return wheel


def environment(folder: Path, *installed: str) -> Path:
    """Make an environment.

    Returns:
        The folder of its commands.
    """
    run(*UV, "venv", "--quiet", "--python", sys.executable, str(folder))
    python = folder / BIN / "python"
    run(*UV, "pip", "install", "--quiet", "--python", str(python), *installed)
    return python.parent


def try_commands(wheel: Path, commands: Path) -> None:
    """Start each command that the wheel brings.

    Raises:
        NotReadyError: One does not name the version.
    """
    version, parser = wheel.name.split("-")[1], configparser.ConfigParser(delimiters=("=",))
    with zipfile.ZipFile(wheel) as archive:
        (points,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        parser.read_string(archive.read(points).decode())
    for name in parser["console_scripts"]:
        done = subprocess.run([str(commands / name), "--version"], capture_output=True, text=True, check=False)
        if done.returncode or version not in done.stdout:
            raise NotReadyError(f"`{name} --version` does not name {version}: {done.stdout}{done.stderr}")
        print(f"{name}: {done.stdout.strip()}")


def name_version(bill: Path, version: str) -> None:
    """Write the version of Trunkline itself into the bill: the tool reads pyproject.toml, which has none."""
    content = json.loads(bill.read_text(encoding="utf-8"))
    content["metadata"]["component"] |= {"version": version, "purl": f"pkg:pypi/trunkline@{version}"}
    bill.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def release_notes(version: str) -> str:
    """Return a version's section of the changelog; of a development version, the one that its fragments will make.

    Raises:
        NotReadyError: A release has no section of its own, or fragments are left.
    """
    if "dev" in version:
        return run(sys.executable, "-m", "towncrier", "build", "--draft", "--version", version, quiet=True)
    left = [path.name for path in (ROOT / "changes").glob("*.md") if path.name != "README.md"]
    if left:
        raise NotReadyError(f"changes/ still has {', '.join(left)}: run towncrier build, see docs/releasing.md")
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise NotReadyError(f"CHANGELOG.md has no section {version}: run towncrier build, see docs/releasing.md")
    return found.group(1).strip() + "\n"


def sums() -> str:
    """Return the SHA-256 sums of what is published, in the form that `sha256sum --check` reads."""
    files = sorted(DIST.glob("trunkline-*"))
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


def run(*command: str, quiet: bool = False) -> str:
    """Run a command, by the time of the commit where a time is written.

    Returns:
        What it printed, when it is quiet.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    variables = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _committed()}
    done = subprocess.run(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE if quiet else None, check=True)
    return done.stdout.decode() if quiet else ""


def _committed() -> str:
    """Return the seconds of the commit since 1970; where there is none, a fixed day that a zip file can hold."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "1577836800"


if __name__ == "__main__":
    sys.exit(main())
