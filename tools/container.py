"""`python3 run.py container`: build the image and try it as it is meant to run.

Not root, on a file system that can't be written, without rights; and a tap and a target of it, joined by a pipe, load
what a sandbox of this machine serves. `--engine podman` takes that instead of docker; `--image NAME` tries one that is
there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from trunkline_sandbox import running

ROOT = Path(__file__).resolve().parents[1]
USER = "10001"
CONFINED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108 - the image's own
PIPE = """
tap-evolux --config evolux.json | target-duckdb --config duckdb.json > state.jsonl
test -s state.jsonl
python -c 'import duckdb as d; print(*d.connect("calls.duckdb").execute("SELECT count() FROM studio_calls").fetchone())'
"""


def main(arguments: list[str]) -> int:
    """Build the image and try it.

    Returns:
        0 when it works; 1 with a line for what does not.
    """
    parser = argparse.ArgumentParser(prog="run.py container", description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="docker")
    parser.add_argument("--image", help="an image that is there: nothing is built")
    chosen = parser.parse_args(arguments)
    image = chosen.image or "trunkline:try"
    try:
        if not chosen.image:
            version = f"VERSION={metadata.version('trunkline')}"
            subprocess.run([chosen.engine, "build", "--build-arg", version, "--tag", image, str(ROOT)], check=True)
        rows = _tried([chosen.engine, "run", "--rm", *CONFINED], image)
    except (AssertionError, OSError, subprocess.CalledProcessError) as problem:
        print(f"container: {problem}\n{getattr(problem, 'stderr', None) or ''}")
        return 1
    print(f"container: every command starts, and the pipe loaded {rows} calls")
    return 0


def _tried(run: list[str], image: str) -> str:
    """Try the image, and return how many rows came through the pipe.

    Raises:
        AssertionError: The user or the file system is another one than it must be, or rows are missing.
        subprocess.CalledProcessError: A command failed.
    """

    def output(*command: str, options: tuple[str, ...] = ("--network", "none")) -> str:
        done = subprocess.run([*run, *options, image, *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    if output("id", "-u") != USER:
        raise AssertionError(f"it does not run as {USER}")
    if "kept" not in output("sh", "-c", "touch /opt/trunkline/new 2>/dev/null || echo kept"):
        raise AssertionError("its file system can be written")
    points = metadata.distribution("trunkline").entry_points.select(group="console_scripts")
    for name in sorted(point.name for point in points):
        print(output(name, "--version"), flush=True)
    with running(size=60, vendors=["evolux"]) as served, tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o777)  # the image's user is none of this machine's
        (data / "evolux.json").write_text(json.dumps(served.config("evolux")), encoding="utf-8")
        (data / "duckdb.json").write_text(json.dumps({"path": "calls.duckdb"}), encoding="utf-8")
        rows = output("sh", "-euc", PIPE, options=("--network", "host", "--volume", f"{folder}:/data"))
    if not int(rows):
        raise AssertionError("no row came through the pipe")
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
