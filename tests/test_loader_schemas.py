"""The pages about published loaders: schemas and rows through each loader's own code, in an environment of its own."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import requests
import yaml
from bench import environments
from tests.night import at_night

from trunkline_contract import warehouse
from trunkline_sandbox import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "how-to"
SCHEMAS = {
    path.relative_to(ROOT / "schemas").with_suffix("").as_posix(): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "schemas").glob("*/*.json"))
}
INSTANTS = {"bigquery": "TIMESTAMP", "snowflake": "TIMESTAMP_TZ", "redshift": "timestamp without time zone"}
LOADERS = {"bigquery": "bigquery", "snowflake": "snowflake", "redshift": "redshift", "s3-parquet": "s3"}
"""Each page, and the environment of its loader."""


def plugin(page: str) -> dict[str, Any]:
    """The definition that a page shows, as Meltano reads it."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```yaml\n(plugins:\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = yaml.safe_load(shown)["plugins"]["loaders"]
    return dict(found)


@pytest.mark.parametrize("page", LOADERS)
def test_a_page_shows_the_release_that_is_tried(page: str) -> None:
    """Each page's definition needs no Hub, and pins what the tests install; each setting has its kind."""
    shown = plugin(page)
    assert shown["pip_url"].split()[0] == environments.PACKAGES[LOADERS[page]][0]
    assert shown["namespace"] == shown["name"].replace("-", "_")
    assert all(setting.keys() >= {"name", "kind"} for setting in shown["settings"])
    assert shown["config"].keys() <= {setting["name"].partition(".")[0] for setting in shown["settings"]}
    secret = re.compile("password|credentials_json|private_key$|access_key_id|secret")
    for setting in shown["settings"]:
        assert bool(secret.search(setting["name"])) == setting.get("sensitive", False), setting


def test_redshifts_loader_is_shown_with_a_python_that_it_starts_on() -> None:
    """It uses a name that Python 3.10 no longer has."""
    assert plugin("redshift")["python"] == "python3.8"


@at_night("installs 300 MB of loaders")
@pytest.mark.parametrize("page", ["bigquery", "snowflake", "s3-parquet"])
def test_a_page_shows_settings_that_the_loader_has(page: str) -> None:
    """Every setting that a page names is one of the release that it pins."""
    shown = plugin(page)
    command = environments.program(LOADERS[page], shown["executable"])
    done = subprocess.run([command, "--about", "--format", "json"], capture_output=True, text=True, check=True)
    known = json.loads(done.stdout)["settings"]["properties"]
    for setting in shown["settings"]:
        place = known
        for part in setting["name"].split("."):
            assert part in place, setting["name"]
            place = place[part].get("properties", {})


@at_night("installs 300 MB of loaders")
@pytest.mark.parametrize("loader", INSTANTS)
def test_g10_a_published_loader_makes_a_column_of_every_field(loader: str) -> None:
    """No schema ends in an error there, no field is without a column, and an instant is none of text."""
    made = through(loader, json.dumps(SCHEMAS))
    for name, schema in SCHEMAS.items():
        properties: dict[str, Any] = schema["properties"]
        assert set(made[name]) == set(properties), name
        for field, spec in properties.items():
            if spec.get("format") == "date-time":
                assert made[name][field] == INSTANTS[loader], f"{name}: {field}"


@at_night("installs 300 MB of loaders")
@pytest.mark.parametrize("vendor", ["bspk", "conpeek", "evolux", "hostedsuite", "switchtransact"])
def test_g10_bigquerys_loader_keeps_every_value_of_a_record(vendor: str, tmp_path: Path) -> None:
    """What its code makes of each record, by either of its resolvers, has the record's values, nested ones too."""
    with running(size=40, vendors=[vendor]) as served:
        (tmp_path / "tap.json").write_text(json.dumps(served.config(vendor)), encoding="utf-8")
        lines = tapped(vendor, tmp_path)
    assert lines.count('"RECORD"') > 20
    assert through("bigquery-records", lines) == {}


def through(what: str, text: str) -> dict[str, Any]:
    """Run a loader's code in its environment."""
    command = [environments.program(what.partition("-")[0]), str(ROOT / "tools" / "loader_schemas.py"), what]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def tapped(vendor: str, folder: Path, *options: str) -> str:
    """The lines that a tap writes."""
    tap = str(Path(sys.executable).with_name(f"tap-{vendor}"))
    command = [tap, "--config", "tap.json", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


# -- S3 ----------------------------------------------------------------------------------------------------------------


@contextmanager
def storage() -> Iterator[str]:
    """An S3 on this machine that has the bucket `calls`: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    command = [environments.program("moto", "moto_server"), "-H", "127.0.0.1", "-p", port]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                try:
                    requests.put(f"{url}/calls", timeout=10).raise_for_status()
                    break
                except requests.ConnectionError:
                    time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def fetched(url: str, folder: Path) -> None:
    """Copy what the bucket holds into a folder."""
    for key in re.findall("<Key>(.*?)</Key>", requests.get(f"{url}/calls?list-type=2", timeout=10).text):
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(requests.get(f"{url}/calls/{key}", timeout=10).content)


def piped(folder: Path, served: Running, config: dict[str, Any], *, until: str, flat: bool) -> None:
    """Load Evolux as the page does: from the state of the run before, if there was one."""
    mine = {**served.config("evolux"), "end_date": until, "start_date": "2026-01-01"}
    more = {"flattening_enabled": True, "flattening_max_depth": 1} if flat else {}
    (folder / "tap.json").write_text(json.dumps({**mine, **more}), encoding="utf-8")
    (folder / "s3.json").write_text(json.dumps(config), encoding="utf-8")
    state = folder / "state.json"
    lines = tapped("evolux", folder, *(["--state", "state.json"] if state.exists() else []))
    command = [environments.program("s3", "target-s3"), "--config", "s3.json"]
    done = subprocess.run(command, cwd=folder, input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    state.write_text(done.stdout.splitlines()[-1], encoding="utf-8")


@at_night("installs a loader and an S3")
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_g1_files_in_s3_hold_every_row_of_two_runs(form: str, tmp_path: Path) -> None:
    """Two runs with the page's settings leave each row in the bucket; the query of the page has each once."""
    shown = plugin("s3-parquet")["config"]
    with storage() as url, running(size=120, vendors=["evolux"]) as served:
        aws = {"aws_endpoint_override": url, "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        provider = {**shown["cloud_provider"], "aws": {"aws_region": "us-east-1", "aws_bucket": "calls", **aws}}
        config = {**shown, "format": {"format_type": form}, "cloud_provider": provider, "prefix": "tap_evolux"}
        truth = {key: row for key, row in warehouse.expected(served.sandbox, "evolux", "studio_calls").items()
                 if row["start_time"] >= warehouse.instant("2026-01-01T00:00:00Z")}  # fmt: skip
        middle = sorted(row["start_time"] for row in truth.values())[len(truth) // 2].isoformat()
        for until in (middle, "2026-02-01"):
            piped(tmp_path, served, config, until=until, flat=form == "parquet")
        fetched(url, tmp_path / "bucket")
    page = (PAGES / "s3-parquet.md").read_text(encoding="utf-8")
    (query,) = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = list((tmp_path / "bucket").rglob(f"tap_evolux/studio_calls/**/*.{form}*"))
    assert len(files) >= 2
    read = f"read_{'json' if form == 'jsonl' else 'parquet'}"
    query = re.sub(r"read_\w+\('.*?'\)", f"{read}({[str(file) for file in files]!r})", query)
    columns = "id, caller, start_time::TIMESTAMPTZ, duration"
    with duckdb.connect() as database:
        rows = database.execute(f"SELECT {columns} FROM ({query})").fetchall()  # noqa: S608 - the page's
    assert len(rows) == len(truth)
    for key, caller, start_time, duration in rows:
        row = truth[key,]
        assert (caller, start_time, duration) == (row["caller"], row["start_time"], row["duration"])
