"""The definition files of plugins/, in a Meltano project that knows nothing else of Trunkline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest
import yaml
from jsonschema.validators import validator_for
from tests.night import at_night
from tools import hub_schema

from trunkline_sandbox import Sandbox

ROOT = Path(__file__).parents[1]
FILES = {path.stem: path for path in sorted((ROOT / "plugins").glob("*rs/*.yml"))}
DEFINITIONS = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
TAPS = [name for name in FILES if name.startswith("tap-")]
SENSITIVE = {"tap-bspk": "clients", "tap-hostedsuite": "contacts", "tap-switchtransact": "transactions"}
"""The streams that are left out until somebody switches them on."""
SECRET = re.compile(r"_token$|_key$|password$|^customer_name$|^user_name$|^sqlalchemy_url$")
HUB_ONLY = {"quality", "maintenance_status", "keywords", "supported_python_versions", "domain_url"}
"""Fields of the Hub's own schema that Meltano leaves out of a project."""
USUAL = {*HUB_ONLY, "variant", "pip_url", "label", "description", "executable", "capabilities", "settings"} - {
    "domain_url"
}
NOBODY_MAY_SEE = "a-secret-nobody-may-see"

pytestmark = pytest.mark.slow


def test_every_plugin_of_ours_has_a_file() -> None:
    """Five taps and three loaders, each in the folder of its kind, under its name."""
    commands = metadata.distribution("trunkline").entry_points.select(group="console_scripts").names
    assert {name for name in commands if re.match(r"tap-|target-", name)} == FILES.keys()
    for name, path in FILES.items():
        assert path.parent.name == ("extractors" if name in TAPS else "loaders")
        assert [DEFINITIONS[name][field] for field in ("name", "executable", "variant")] == [name, name, "trunkline"]


@pytest.mark.parametrize("name", FILES)
def test_definition_fits_the_schema_of_meltano(name: str) -> None:
    """Meltano's own schema takes the definition as a plugin of a project, and no field beyond it but the Hub's."""
    whole = json.loads(resources.files("meltano.schemas").joinpath("meltano.schema.json").read_text(encoding="utf-8"))
    schema = {
        **whole["$defs"]["plugins"][FILES[name].parent.name],
        "$schema": whole["$schema"],
        "$defs": whole["$defs"],
    }
    plugin = {key: value for key, value in DEFINITIONS[name].items() if key not in HUB_ONLY}
    assert [error.message for error in validator_for(schema)(schema).iter_errors(plugin)] == []


@pytest.mark.parametrize("name", FILES)
def test_definition_fits_the_rules_of_the_hub(name: str) -> None:
    """Each definition keeps the rules of Meltano Hub, has the usual fields, and has no address of nobody's."""
    definition = DEFINITIONS[name]
    assert [error.message for error in hub_schema.ours(FILES[name].parent.name).iter_errors(definition)] == []
    assert definition.keys() >= USUAL
    assert set(definition["supported_python_versions"]) >= {"3.10", "3.11", "3.12", "3.13"}
    assert all(setting.keys() >= {"name", "kind", "label", "description"} for setting in definition["settings"])
    assert "example" not in definition.get("domain_url", "")


@pytest.mark.parametrize("kind", hub_schema.KINDS)
def test_rules_of_the_hub_tell_right_from_wrong(kind: str) -> None:
    """Some 70 changes of a definition are judged as the Hub's own schema judges them: `run.py hub-schema` compares."""
    definition = next(DEFINITIONS[name] for name, path in FILES.items() if path.parent.name == kind)
    rules = hub_schema.ours(kind)
    rules.check_schema(rules.schema)
    judged = [
        (where, patch, rules.is_valid(hub_schema.changed(definition, where, patch)))
        for where, patch, _ in hub_schema.changes(kind)
    ]
    assert judged == hub_schema.changes(kind)


@pytest.mark.parametrize("name", FILES)
def test_g7_every_secret_of_a_definition_is_sensitive(name: str) -> None:
    """What is named like a credential is sensitive to Meltano, and nothing has a value but what is no credential."""
    for setting in DEFINITIONS[name]["settings"]:
        assert bool(SECRET.search(setting["name"])) == setting.get("sensitive", False), setting["name"]
        assert not ({"sensitive", "value"} <= setting.keys())


@pytest.mark.parametrize("name", TAPS)
def test_select_leaves_out_what_is_sensitive(name: str) -> None:
    """`select` names every stream with a schema file, window_proofs included, but the sensitive ones."""
    assert set(DEFINITIONS[name]["select"]) == {f"{stream}.*" for stream in streams(name) - {SENSITIVE.get(name)}}


def streams(tap: str) -> set[str]:
    """The streams that have a schema file, and window_proofs."""
    return {path.stem for path in (ROOT / "schemas" / tap.removeprefix("tap-")).glob("*.json")} | {"window_proofs"}


IN_TURN = """
import json, sys
from meltano.cli import cli
for arguments in json.loads(sys.argv[1]):
    print("$", *arguments)
    cli(arguments, standalone_mode=False)
"""
"""Runs several commands of Meltano in one process: its start takes a second or two."""


def meltano(folder: Path, *commands: list[str], **variables: str) -> dict[str, str]:
    """Run commands of Meltano one after the other, without a Hub.

    Args:
        folder: The project.
        commands: The arguments of each.
        variables: Further environment variables.

    Returns:
        What each of them prints.
    """
    inherited = {name: value for name, value in os.environ.items() if not re.match("MELTANO_|TAP_|TARGET_", name)}
    # Nothing listens on port 9: a request to the Hub fails.
    quiet = {"MELTANO_HUB_URL": "http://127.0.0.1:9", "MELTANO_CLI_DISABLE_VERSION_CHECK": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN, json.dumps(commands)],
        cwd=folder,
        env={**inherited, **quiet, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    printed = re.split(r"^\$ (.*)\n", done.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(printed[::2], printed[1::2], strict=True))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """An empty project to which every plugin was added, and what it then lists, where each secret is set."""
    folder = tmp_path_factory.mktemp("somebody's project")
    (folder / "meltano.yml").write_text("send_anonymous_usage_stats: false\n", encoding="utf-8")
    secrets = {
        f"{name}_{setting['name']}".upper().replace("-", "_"): NOBODY_MAY_SEE
        for name, plugin in DEFINITIONS.items()
        for setting in plugin["settings"]
        if setting.get("sensitive")
    }
    added = [["add", name, "--from-ref", str(path), "--no-install"] for name, path in FILES.items()]
    listed = [["config", "list", name, "--all", *more] for name in FILES for more in ([], ["--extras"])]
    return folder, meltano(folder, *added, *listed, **secrets)


@pytest.mark.parametrize("name", FILES)
def test_g7_a_project_lists_every_setting_and_shows_no_secret(project: tuple[Path, dict[str, str]], name: str) -> None:
    """After `meltano add --from-ref` in an empty project, `config list` names all settings and shows no secret."""
    settings = {each["name"]: each.get("sensitive", False) for each in DEFINITIONS[name]["settings"]}
    listed = project[1][f"config list {name} --all"]
    lines = dict(re.findall(r"^(\w+) .*?\[env: .*?\] current value: (\S+)", listed, re.MULTILINE))
    assert lines.keys() == {setting for setting in settings if not setting.startswith("_")}
    assert {setting for setting, value in lines.items() if value == "(redacted)"} == {
        setting for setting, sensitive in settings.items() if sensitive
    }
    assert NOBODY_MAY_SEE not in listed


@pytest.mark.parametrize("name", SENSITIVE)
def test_a_project_leaves_out_what_is_sensitive(project: tuple[Path, dict[str, str]], name: str) -> None:
    """Meltano drops `select` of a file and takes every stream: metadata in a setting keeps the sensitive one out."""
    listed = project[1][f"config list {name} --all --extras"]
    assert f"current value: {{'{SENSITIVE[name]}': {{'selected': False}}}}" in listed


@at_night("starts Meltano and the taps")
@pytest.mark.parametrize("name", TAPS)
def test_a_sensitive_stream_is_selected_only_when_it_is_switched_on(
    project: tuple[Path, dict[str, str]], name: str
) -> None:
    """What `meltano run` would read is every stream but the sensitive one, and that as well once it is switched on."""
    folder = project[0]
    venv = folder / ".meltano" / "extractors" / name / "venv"
    venv.mkdir(parents=True)
    (venv / "bin").symlink_to(Path(sys.executable).parent)
    assert selected(folder, name) == streams(name) - {SENSITIVE.get(name)}
    if name in SENSITIVE:
        meltano(folder, ["config", "set", name, f"_metadata.{SENSITIVE[name]}.selected", "true"])
        assert selected(folder, name) == streams(name)


def selected(folder: Path, tap: str) -> set[str]:
    """The streams that Meltano selects for a tap."""
    config = Sandbox(size=1).config(tap.removeprefix("tap-"), "http://127.0.0.1:9")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in config.items()}
    variables = {f"{tap}_{name}".upper().replace("-", "_"): value for name, value in texts.items()}
    (printed,) = meltano(folder, ["select", tap, "--list", "--all", "--json"], **variables).values()
    return {each["stream"] for each in json.loads(printed)["streams"] if each["selection"] == "selected"}
