"""The documentation says what is: generated parts are fresh, nothing is left out, and what it shows can be typed."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tokenize
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from bench import warehouses
from tests.night import at_night
from tools import meltano_yml, messages

from trunkline.doors import docs
from trunkline.doors.airbyte.source import command as source_command
from trunkline.doors.vendors import vendor_tap, vendor_taps
from trunkline.errors import TrunklineError
from trunkline.facts import config as settings
from trunkline.personal import hasher
from trunkline_commands import cli
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres
from trunkline_sandbox import Sandbox, running
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from trunkline.doors.command import VendorTap
    from trunkline_sandbox import Running

ROOT = Path(__file__).resolve().parent.parent
VENDORS = vendor_taps("trunkline")
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md")
PAGES = sorted([*(ROOT / name for name in OUTSIDE), *(ROOT / "docs").rglob("*.md")])
READ = [page for page in PAGES if page.parent.name != "notes"]  # notes are read woven into their vendor's page
EXAMPLES = sorted(page for page in (ROOT / "examples").rglob("*.md") if page.name != "notes.md")
OTHER_TOOLS = {
    *(".", "cat", "cd", "chmod", "cp", "dbt", "echo", "export", "gh", "git", "mv", "pipx", "sha256sum", "tail", "test"),
    *("set", "towncrier", "uv"),
}
IN_ANY_PROJECT = {
    ("job", "add"),
    *(("schedule", verb) for verb in ("add", "list", "run")),
    ("state", "get"),
    ("state", "list"),
}
"""Commands of Meltano that need nothing in this checkout."""
PERSONAL_DATA = ROOT / "docs" / "how-to" / "personal-data.md"
SHELL = re.compile(r"^```sh(?: ([^\n]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANY_SHELL = re.compile(SHELL.pattern.replace("sh", "(?:sh|bash|console|shell|zsh)", 1), SHELL.flags)
JSON = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load(ROOT / "tools" / "docs.py")


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> tuple[type[VendorTap], str]:
    """A vendor's tap and the text of its page."""
    return VENDORS[request.param], (ROOT / "docs" / "vendors" / f"{request.param}.md").read_text(encoding="utf-8")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tools_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(page: str, heading: str) -> str:
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -- fresh and complete ----------------------------------------------------------------------------


def test_generated_parts_are_fresh(tool: ModuleType) -> None:
    """Every generated page and block is what the code, the schemas and the tests say now."""
    stale = [named(page) for page, text in tool.pages().items() if page.read_text(encoding="utf-8") != text]
    assert not stale, "run `python3 run.py docs` and commit what it writes"


def test_a_stale_page_is_found_and_written(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` names a stale page and changes nothing; without it the page is written anew, once."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "transform", tmp_path / "transform", ignore=shutil.ignore_patterns("target", "logs"))
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool.pages, "__defaults__", (tmp_path,))
    tool.main([])
    page = tmp_path / "docs" / "vendors" / "evolux.md"
    fresh = page.read_text(encoding="utf-8")
    page.write_text(fresh.replace("| `api_token` |", "| `token` |"), encoding="utf-8")
    capsys.readouterr()
    assert tool.main(["--check"]) == 1
    assert "stale docs/vendors/evolux.md" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") != fresh
    assert tool.main([]) == 0
    assert page.read_text(encoding="utf-8") == fresh
    assert tool.main(["--check"]) == 0


def test_every_setting_is_documented(vendor: tuple[type[VendorTap], str]) -> None:
    """Every setting of a tap has a row on its page with its description and its environment variable."""
    tap, page = vendor
    table = section(page, "Settings")
    # The SDK adds its own to the class once a tap was made; those stand on the page of settings.
    for name, spec in {**tap.settings, **tap.common}.items():
        row = next((line for line in table.splitlines() if line.startswith(f"| `{name}` |")), "")
        assert row, f"{tap.name}: {name} has no row"
        assert f"`{tap.name.upper().replace('-', '_')}_{name.upper()}`" in row
        assert spec["description"].endswith(".")
        assert ("| yes |" in row) == bool(spec.get("secret"))
        if "default" in spec:
            assert f"`{str(spec['default']).lower() if isinstance(spec['default'], bool) else spec['default']}`" in row


def test_every_stream_and_field_is_documented(vendor: tuple[type[VendorTap], str]) -> None:
    """Every stream of a tap has a part on its page, and every field of its schema file a row in it, at any depth."""
    tap, page = vendor
    streams = section(page, "Streams")
    for stream in docs.stream_facts(tap):
        part = streams.split(f"\n### {stream.name}\n", 1)[1].split("\n### ", 1)[0]
        schema = json.loads((ROOT / "schemas" / tap.vendor / f"{stream.name}.json").read_text(encoding="utf-8"))
        rows = set(re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE))
        assert rows == set(paths(schema)), stream.name
        assert all(f"`{key}`" in part for key in stream.keys)


def paths(schema: dict[str, Any], above: str = "") -> Iterator[str]:
    """The fields of a schema, found here in another way than the generator does."""
    for name, spec in schema.get("properties", {}).items():
        yield above + name
        yield from paths(spec, f"{above}{name}.")
        if "items" in spec:
            yield from paths(spec["items"], f"{above}{name}[].")


def test_every_stream_is_among_the_endpoints(vendor: tuple[type[VendorTap], str]) -> None:
    """The table of endpoints names each stream beside its route, and gives a reason for every endpoint not read."""
    tap, page = vendor
    rows = [line.split("|") for line in section(page, "Endpoints").splitlines() if line.startswith("| `")]
    for stream in docs.stream_facts(tap):
        assert any(stream.request in row[1] and f"`{stream.name}`" in row[2] for row in rows), stream.name
    known = {f"`{stream.name}`" for stream in docs.stream_facts(tap)}
    for row in rows:
        assert set(re.findall(r"`\w+`", row[2])) & known or re.match(
            r" (not read|not used|never called): \S", row[2]
        ), row


def test_every_schema_file_has_a_stream() -> None:
    """No schema file is left that no page shows."""
    shown = {f"{tap.vendor}/{stream.name}" for tap in VENDORS.values() for stream in docs.stream_facts(tap)}
    files = {path for path in (ROOT / "schemas").glob("*/*.json") if path.stem != "window_proofs"}
    assert {f"{path.parent.name}/{path.stem}" for path in files} == shown


def test_notes_must_fit_the_tap() -> None:
    """Notes that lack a section, leave one empty, or have one too many are an error that names it and the vendor."""
    notes = (ROOT / "docs" / "notes" / "evolux.md").read_text(encoding="utf-8")
    for wrong, said in [
        (notes.replace("## Endpoints", "## End points"), ["'Endpoints'", "'End points'"]),
        (notes.replace("## Stream `studio_cdr`", "## Stream `cdr`"), ["'Stream `studio_cdr`'", "'Stream `cdr`'"]),
        (notes + "\n## First run\n", ["'First run'"]),
    ]:
        with pytest.raises(TrunklineError) as caught:
            docs.vendor_page(VENDORS["evolux"], wrong)
        assert all(words in str(caught.value) for words in [*said, "evolux"])


def test_a_page_can_be_printed_for_any_vendor(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m trunkline.doors.docs` prints the page of a vendor, and a line on how to use it when there is none."""
    notes = ROOT / "docs" / "notes" / "bspk.md"
    assert docs.main(["bspk", str(notes)]) == 0
    assert capsys.readouterr().out.startswith("# BSPK\n")
    assert docs.main(["no-vendor", str(notes)]) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("pii", ["hash", "drop"])
def test_fields_marked_personal_on_a_page_follow_pii(pii: str) -> None:
    """What a page marks as personal goes out changed when `pii` is not `clear`, and the computed key stays."""
    page = (ROOT / "docs" / "vendors" / "bspk.md").read_text(encoding="utf-8")
    marked = set(
        re.findall(
            r"^\| `(\w+)` \| [^|]+ \| yes \|", page.partition("\n### calls\n")[2].partition("\n### ")[0], re.MULTILINE
        )
    )
    clear, changed = (bspk_rows({"pii": mode, "pii_key": "key"}) for mode in ("clear", pii))
    key, row = next((key, row) for key, row in clear.items() if list(row.values()).count(None) == 1)
    assert row["_extra"] is None
    assert {name for name, value in row.items() if value != changed[key][name]} == marked - {"_extra"}


def bspk_rows(more: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Calls as the tap gives them, by their key."""
    sandbox = Sandbox(size=20)
    config = {**sandbox.config("bspk", "http://127.0.0.1"), **more}
    tap = VENDORS["bspk"](config=config, transport=SandboxAdapter(sandbox))
    rows: list[Any] = list(tap.streams["calls"].get_records(None))
    return {row["call_key"]: row for row in rows}


# -- guarantees ------------------------------------------------------------------------------------


def test_every_guarantee_lists_its_tests() -> None:
    """The page of guarantees has the ten rules in order, and each leads to its list, which is not empty."""
    page, listed = (
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("guarantees.md", "guarantee-tests.md")
    )
    wanted = [f"G{number}" for number in range(1, 11)]
    assert re.findall(r"^### (G\d+) \w+", page, re.MULTILINE) == wanted
    assert re.findall(r"<!-- generated: tests (G\d+) -->", page) == wanted
    assert re.findall(r"<!-- generated: test-list (G\d+) -->\n\n- ", listed) == wanted


def test_a_test_belongs_to_the_guarantees_in_its_name(tool: ModuleType, tmp_path: Path) -> None:
    """An ID counts in either case and as a word of its own: G1 is not part of G10, nor of a name like bug1."""
    file = tmp_path / "tests" / "deep" / "test_it.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "class TestIt:\n"
        '    def test_G1_whole(self):\n        """Must hold.\n\n        More."""\n'
        "def test_keeps_g10_and_g2():\n    pass\n"
        "def test_bug1():\n    pass\n"
        "def helper_g1():\n    pass\n",
        encoding="utf-8",
    )
    found = {name: [test for _, test, _ in tool.tests_of(name, tmp_path)] for name in ("G1", "G2", "G10", "G3")}
    assert found == {
        "G1": ["test_G1_whole"],
        "G2": ["test_keeps_g10_and_g2"],
        "G10": ["test_keeps_g10_and_g2"],
        "G3": [],
    }
    assert [sentence for *_, sentence in tool.tests_of("G1", tmp_path)] == ["Must hold."]


# -- errors ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told() -> messages.Messages:
    """The messages in the source."""
    return messages.messages(ROOT)


def test_g9_every_error_has_a_code_that_its_page_explains(told: messages.Messages) -> None:
    """No error is raised without a code, and docs/errors.md has a part for each code, and for no other."""
    assert told.without == []
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^### (\S+)\n\n\S.*?\n\n\*\*Causes\.\*\* .*?\n\n\*\*What to do\.\*\* ", page, re.MULTILINE | re.DOTALL
    )
    assert sorted(listed) == sorted(told.by_code)
    assert re.findall(r"^### (\S+)$", page, re.MULTILINE) == re.findall(r"<!-- generated: messages (\S+) -->", page)
    codes = {kind.code for kind in kinds(TrunklineError)} - {""}
    assert codes <= set(told.by_code)


NOT_OUR_WORDS = re.compile(
    r"\b(ask(s|ed|ing)?|answer(s|ed|ing)?|tells?|told|want(s|ed)?|mend(s|ed)?|desk|tickets?)\b(?!>)", re.IGNORECASE
)


def test_messages_are_in_the_words_of_the_field(told: messages.Messages) -> None:
    """Request, response, log: what a search engine knows. Names in angle brackets are values."""
    assert [text for texts in told.by_code.values() for text in texts if NOT_OUR_WORDS.search(text)] == []


QUOTED = re.findall(
    r"^```text\n(.*?)^```$",
    (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


@pytest.mark.parametrize("line", [line for block in QUOTED for line in block.splitlines()])
def test_a_message_that_troubleshooting_quotes_is_in_the_source(told: messages.Messages, line: str) -> None:
    """Somebody who searches for the words of a message finds the page; words that no code has mislead."""
    assert told.has(line)


def test_troubleshooting_leads_to_the_codes(told: messages.Messages) -> None:
    """Every part says why and what to do, and each link to a code names it."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    parts = re.split(r"^### ", page, flags=re.MULTILINE)[1:]
    assert all("**Why.** " in part and "**What to do.** " in part for part in parts)
    links = re.findall(r"\[`([a-z-]+)`\]\(errors\.md#([a-z-]+)\)", page)
    assert links
    assert all(name == anchor and name in told.by_code for name, anchor in links)


def kinds(base: type[TrunklineError]) -> Iterator[type[TrunklineError]]:
    """The classes of errors that are imported."""
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def test_messages_are_read_as_the_source_has_them(tmp_path: Path) -> None:
    """Variables, parameters, constants, choices and lines with a code of their own; what has no code is named."""
    (tmp_path / "taps").mkdir()
    (tmp_path / "taps" / "lost.py").write_text(
        "HOST = 'the right host'\n"
        "class Lost(TrunklineError):\n    code = 'lost'\n"
        "def fail(self, why):\n    return Lost(f'no way to {HOST}', why, 'Go on' if self.a else 'Go back')\n"
        "def go(self, place):\n    raise self.fail(f'{self.about} fell into {place!r}')\n"
        "def stop(self):\n    what = 'it stopped'\n    raise TrunklineError(what)\n"
        "def more(exc):\n    raise Lost('nothing there', exc.why, code='lost-more' if exc else '')\n"
        "LINE = 'nothing was found [not-there]'\n",
        encoding="utf-8",
    )
    found = messages.Messages(tmp_path)
    assert found.without == ["lost.py:10"]
    assert {code: list(texts) for code, texts in found.by_code.items() if code} == {
        "lost": [
            "no way to the right host: <request> fell into <place>. Go on",
            "no way to the right host: <request> fell into <place>. Go back",
            "nothing there: <why>",
        ],
        "lost-more": ["nothing there: <why>"],
        "not-there": ["nothing was found"],
    }
    assert found.has("no way to the right host")
    assert found.has("… fell into <hole>")
    assert not found.has("fell onto")


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*READ, *EXAMPLES], ids=named)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the checkout, and every anchor a heading in it."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for link in [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r"^\[[^\]]+\]: +(\S+)", text, re.MULTILINE)]:
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def anchors(page: Path) -> set[str]:
    """What a link can name on a page; headings that are alike get a number, and a comment in a block is none."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


def test_every_page_can_be_reached() -> None:
    """From the README, links lead to every page."""
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            links = re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
            todo += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert set(READ) - {ROOT / "docs" / "index.md"} <= seen


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """The navigation names each page once, apart from the README and the first page, and nothing that is not there."""
    (made,) = (
        node.value
        for node in ast.parse((ROOT / "docs" / "conf.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "NAVIGATION" and node.value
    )
    patterns = [pattern for pages in ast.literal_eval(made).values() for pattern in pages]
    found = [sorted(set(ROOT.glob(f"{pattern}.md")) & {*READ, *EXAMPLES}) for pattern in patterns]
    assert [pattern for pattern, pages in zip(patterns, found, strict=True) if not pages] == []
    listed = [page for pages in found for page in pages]
    assert len(listed) == len(set(listed))
    assert {*READ, *EXAMPLES} - set(listed) == {ROOT / "README.md", ROOT / "docs" / "index.md"}


# -- commands and configs --------------------------------------------------------------------------


def blocks(pattern: re.Pattern[str]) -> list[Any]:
    return [
        pytest.param(match, id=f"{named(page)}-{number}")
        for page in READ
        for number, match in enumerate(pattern.finditer(page.read_text(encoding="utf-8")), start=1)
    ]


def commands(block: str) -> Iterator[list[str]]:
    """The simple commands of a shell block, without redirections."""
    block = re.sub(r"<<'(\w+)'\n.*?\n\1$", "", block, flags=re.DOTALL | re.MULTILINE).replace("\\\n", "")
    for line in block.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if word in {"|", "&&", ";"}:
                yield words
                words = []
            else:
                words.append(word)
        yield [word for place, word in enumerate(words) if word[0] not in "<>" and words[place - 1] not in {">", ">>"}]


@pytest.mark.parametrize("block", blocks(SHELL))
def test_shown_commands_exist(block: re.Match[str]) -> None:
    """Every command in a shell block exists, with its options, tasks, plugins, jobs and environments."""
    for words in commands(block[2]):
        assert words
        while re.match(r"[A-Z_]+=", words[0]):  # a variable for this command alone
            del words[0]
        problem = wrong(words)
        assert not problem, f"{' '.join(words)}: {problem}"


STATE_RECIPES = sorted({
    (named(page), line)
    for page in [*READ, *EXAMPLES]
    for line in page.read_text(encoding="utf-8").splitlines()
    if "state.jsonl" in line and "target-" not in line and "state.json" in line.replace("state.jsonl", "")
    if not line.startswith("- `")  # a message that shows the recipe among other words
})  # fmt: skip


def test_each_page_with_a_pipe_tells_how_to_keep_its_state() -> None:
    """What the next test tries is found."""
    assert {page for page, _ in STATE_RECIPES} >= {"README.md", "docs/getting-started.md", "docs/recipes.md"}


@pytest.mark.parametrize(("page", "line"), STATE_RECIPES)
def test_g3_the_shell_recipe_keeps_the_old_state_of_a_run_that_has_none(tmp_path: Path, page: str, line: str) -> None:
    """The last state of a run replaces the file; a run that ended before its first one leaves the file as it was."""
    del page
    state = tmp_path / "state.json"
    for written, kept in (
        ("", None),
        ('{"n": 1}\n{"n": 2}\n', '{"n": 2}\n'),
        ("", '{"n": 2}\n'),
        ('{"n": 3}\n', '{"n": 3}\n'),
    ):
        (tmp_path / "state.jsonl").write_text(written)
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=False)
        assert (state.read_text() if state.exists() else None) == kept


def wrong(words: list[str]) -> str:
    """What does not exist of a command; nothing when all of it does."""
    points = metadata.distribution("trunkline").entry_points.select(group="console_scripts")
    ours, name, rest = {point.name: point for point in points}, words[0], words[1:]
    if name == "uvx":
        places = {".", "dist/*.whl"}
        return wrong(rest[2:]) if rest[0] == "--from" and rest[1] in places else "not from this checkout or its wheel"
    if name == "python3":
        tasks = load(ROOT / "run.py").TASKS
        return "" if rest[0] == "run.py" and rest[1] in tasks else "no task of run.py"
    if name == "python":
        return "" if rest[0] in {"-", "-c"} or importlib.util.find_spec(rest[1]) else "no module"
    if name == "meltano":
        return wrong_in_meltano(rest)
    if name in ours and (name != "trunkline" or rest[0] in cli.COMMANDS):
        source = name.startswith("source-")
        command: Any = source_command(vendor_tap(name.removeprefix("source-"))) if source else None
        command = command or (
            cli.trunkline.get_command(click.Context(cli.trunkline), rest[0])
            if name == "trunkline"
            else ours[name].load()
        )
        options = {option for param in command.params for option in param.opts}
        unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]
        return f"no option {unknown}" if unknown else ""
    return "" if name in OTHER_TOOLS or name.startswith("./") else "no such command"


def wrong_in_meltano(words: list[str]) -> str:
    file = meltano_yml.read()
    environments = {entry["name"] for entry in file["environments"]}
    plugins = [entry for kind in file["plugins"].values() for entry in kind]
    runnable = {entry["name"] for entry in plugins}
    runnable |= {f"{entry['name']}:{command}" for entry in plugins for command in entry.get("commands", ())}
    runnable |= {job["name"] for job in file["jobs"]}
    wanted = [word.partition("=")[2] for word in words if word.startswith("--environment=")]
    plain = [word for word in words if not word.startswith("--")]
    if not set(wanted) <= environments:
        return "no such environment"
    if plain[0] == "run":
        return "" if set(plain[1:]) <= runnable else "no such plugin or job"
    if plain[0] == "add":
        return "" if (ROOT / plain[-1].removeprefix("$TRUNKLINE/")).is_file() else "no such file"
    if plain[0] == "select" or plain[:2] in (["config", "list"], ["config", "set"], ["config", "test"]):
        return "" if plain[1 if plain[0] == "select" else 2] in runnable else "no such plugin"
    return "" if tuple(plain[:2]) in IN_ANY_PROJECT or plain[0] == "init" else "no such command"


@pytest.mark.parametrize("block", blocks(JSON))
def test_shown_configs_are_valid(block: re.Match[str]) -> None:
    """A JSON block is a config: of the vendor whose page it stands on, or of a tap or target that has its settings."""
    config = json.loads(block[1])
    schemas = [
        *(tap.config_jsonschema for tap in VENDORS.values()),
        TargetDuckDB.config_jsonschema,
        TargetPostgres.config_jsonschema,
    ]
    assert any(config.keys() <= schema["properties"].keys() for schema in schemas)


def test_first_config_of_a_vendor_is_complete(vendor: tuple[type[VendorTap], str]) -> None:
    """The config under "First run" is accepted by the tap as it stands, and enough to start without a bookmark."""
    tap, page = vendor
    config = json.loads(JSON.findall(section(page, "First run"))[0])
    assert settings.errors(config, tap.config_jsonschema) == []
    assert set(tap.required_to_start) <= config.keys()
    tap(config=config)


def said(page: Path) -> list[tuple[str, str]]:
    """The shell blocks of a page, each with what stands behind its fence."""
    return ANY_SHELL.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [*READ, *EXAMPLES], ids=named)
def test_every_command_is_run_somewhere(page: Path) -> None:
    """Each shell block is run here, or names the test or the task of CI that runs it, or says why none can."""
    for mark, text in said(page):
        assert not unseen(mark), f"{text.splitlines()[0]}: {unseen(mark)}; say `run`, `seen: …` or `not run: …`"


def unseen(mark: str) -> str:
    """What is wrong with what stands behind a fence; nothing when it is right."""
    kind, _, rest = mark.partition(": ")
    if mark in {"run", "run at night"} or (kind == "not run" and len(rest.split()) > 3):
        return ""
    where = re.findall(r"run\.py \S+|\S+", rest) if kind == "seen" else []
    return "; ".join(filter(None, map(no_place, where))) if where else "nothing says what runs it"


def no_place(where: str) -> str:
    """What is wrong with the name of a test, or of a task that a workflow starts."""
    if where.startswith("run.py "):
        started = [ROOT / ".ci" / "run", *(ROOT / ".github" / "workflows").glob("*.yml")]
        lines = "\n".join(file.read_text(encoding="utf-8") for file in started)
        tasks = re.findall(r"run\.py ([\w-]+)", lines) + re.findall(r"task: ([\w-]+)", lines)
        return "" if where.split()[1] in tasks else f"no workflow starts {where}"
    file, _, name = where.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).is_file() else ""
    return "" if name and f"\ndef {name}(" in text else f"there is no test {where}"


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        ("", "nothing says what runs it"),
        ("seen: ", "nothing says what runs it"),
        ("not run: because", "nothing says what runs it"),
        ("seen: tests/test_docs.py::test_nothing", "there is no test tests/test_docs.py::test_nothing"),
        ("seen: run.py nothing", "no workflow starts run.py nothing"),
        ("seen: run.py test tests/test_docs.py::test_every_schema_file_has_a_stream", ""),
    ],
)
def test_a_mark_must_lead_to_something(mark: str, wanted: str) -> None:
    """A mark that names no test, no task, or no reason is told."""
    assert unseen(mark) == wanted


def ran(page: Path, folder: Path, mark: str, served: Running, **more: str) -> None:
    """Run the blocks of a page that are so marked, one after the other, with the configs that the page supposes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TAP_", "TARGET_"))}
    for vendor in VENDORS:
        config = served.config(vendor)
        (folder / f"{vendor}.json").write_text(json.dumps(config), encoding="utf-8")
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in config.items()}
        environment |= {f"TAP_{vendor}_{name}".upper(): value for name, value in texts.items()}
    (folder / "duckdb.json").write_text('{"path": "calls.duckdb"}', encoding="utf-8")
    script = "\n".join(text for said_of, text in said(page) if said_of == mark)
    # "…" stands for the reader's own credential: here that is in the environment already.
    script = re.sub(r"^export \w+=…$", "", script, flags=re.MULTILINE).replace("8765", served.url.rpartition(":")[2])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**environment, "PATH": path, **more},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def marked(mark: str) -> list[Path]:
    return [page for page in READ if any(mark == of for of, _ in said(page))]


@pytest.mark.parametrize("page", marked("run"), ids=named)
def test_marked_commands_run(page: Path, tmp_path: Path) -> None:
    """The shell blocks of a page that are marked `run` succeed one after the other, in an empty folder."""
    with running(size=30) as served:
        ran(page, tmp_path, "run", served)


@at_night("takes minutes")
@pytest.mark.parametrize("page", marked("run at night"), ids=named)
def test_marked_commands_run_at_night(page: Path, tmp_path: Path) -> None:
    """So do the blocks marked `run at night`, in a Meltano project, with the five accounts and a real PostgreSQL."""
    meltano_yml.copied(tmp_path)
    shutil.copy(ROOT / ".env.example", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "output" / "jsonl").mkdir(parents=True)
    with running(size=30) as served, warehouses.postgres() as url:
        target = served.config("switchtransact")
        more = {
            "TARGET_POSTGRES_SQLALCHEMY_URL": url.replace("postgresql://", "postgresql+psycopg://"),
            "TARGET_SWITCHTRANSACT_API_URL": target["api_url"],
            "TARGET_SWITCHTRANSACT_API_KEY": target["api_key"],
            "TRUNKLINE": str(ROOT),
            "TRUNKLINE_PIP_URL": str(ROOT),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
        }
        ran(page, tmp_path, "run at night", served, **more)


def test_the_log_in_getting_started_is_what_a_run_tells(tmp_path: Path) -> None:
    """Line by line, but for the moment of the run and the number of windows and requests that it takes from then on."""
    text = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    shown = re.findall(r"```text\n(studio_calls: reading .*?)```", text, re.DOTALL)[0].splitlines()
    with running(vendors=["evolux"]) as served:
        (tmp_path / "evolux.json").write_text(json.dumps(served.config("evolux")), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("tap-evolux")), "--config", "evolux.json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = [line.split("| ", 3)[3] for line in done.stderr.splitlines()]
    assert [_timeless(line) for line in told[1:]] == [_timeless(line) for line in shown]


def _timeless(line: str) -> list[str]:
    """The words of a line of the log, without the moment of the run and what depends on it."""
    words = re.sub(r" to \S+$|\d+(?= windows)", "", line).split()
    return [*words[:2], *words[4:]] if words[-1:] == ["complete"] else words


def test_the_hash_by_which_a_person_is_deleted_is_the_taps(tmp_path: Path) -> None:
    """What the page of personal data computes of a number and a key is what `pii: hash` writes of them."""
    (script,) = re.findall(r"<<'END'\n(.*?)^END$", PERSONAL_DATA.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-"], input=script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hasher("the pii_key", "PL")("22 123 45 67")


# -- words -----------------------------------------------------------------------------------------

PRIVATE = re.compile(
    r"\b(?:ask(?:s|ed|ing)?|tell(?:s|ing)?|told|want(?:s|ed)?|mend(?:s|ed|ing)?|knock(?:s|ed|ing)?|whoever)\b",
    re.IGNORECASE,
)
"""Words for which the field has one of its own: request, report, log, need, fix, anyone who."""
NOT_PROSE = re.compile(r"<!-- generated: .*?<!-- end -->|^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
"""Generated blocks, and code: their words are the program's."""
GENERATED = {"docs/performance.md", *(f"docs/vendors/{vendor}.md" for vendor in VENDORS)}
ITS_OWN_WORDS = {"CHANGELOG.md", "CODE_OF_CONDUCT.md"}
"""What older releases wrote, and a page about people, who ask and tell."""
HAND_WRITTEN = [page for page in PAGES if named(page) not in {*GENERATED, *ITS_OWN_WORDS}]


def private(text: str) -> list[str]:
    """The words of a page's prose that a reader of the field would have to translate."""
    return PRIVATE.findall(NOT_PROSE.sub("", text))


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=named)
def test_a_page_has_the_words_of_the_field(page: Path) -> None:
    """No page that is written by hand has a private word for a request, a report, a need or a fix."""
    assert private(page.read_text(encoding="utf-8")) == []


def test_private_words_are_found_in_prose_alone() -> None:
    """Each form of a word is found, in any case; code, generated blocks and words that look alike are left alone."""
    assert private("Whoever ASKS is told: it wants mending, and knocks.") == [
        "Whoever",
        "ASKS",
        "told",
        "wants",
        "mending",
        "knocks",
    ]
    assert private("tasks, intellect, amend, recommend, `told`\n```sh run\nask\n```\nenough") == []
    assert private("<!-- generated: x -->\ntold\n<!-- end -->") == []


CODE = ("bench", "commands", "examples", "orchestrate", "run.py", "sandbox", "taps", "targets", "tools")
PRIVATE_IN_CODE = re.compile(rf"{PRIVATE.pattern}|\b(?:says?|said|saying|answers?|answering)\b", re.IGNORECASE)
NOT_ENGLISH = re.compile(r"`[^`]*`|\bcan't tell\b")
"""Names in backticks, and the verdict of `trunkline verify`."""
CALLS_ARE_ANSWERED = {f"commands/trunkline_commands/report_page/{name}.py" for name in ("models", "rankings", "sums")}
"""Modules about people who answer calls: there it is the field's own word."""
CLAUSES = {"How", "What", "When", "Where", "Whether", "Who", "Whoever", "Why"}
"""Beginnings of neither a verb phrase nor a noun phrase; a value of yes or no may begin with `Whether`."""
Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def modules(area: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each module of an area."""
    for path in [ROOT / area] if area.endswith(".py") else sorted((ROOT / area).rglob("*.py")):
        if any(part.startswith(".") for part in path.relative_to(ROOT).parts):
            continue  # an environment that an example's tool has made
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def docstrings(source: str) -> Iterator[tuple[Definition | None, str]]:
    """Every docstring, with what it is about; None for one that stands below a value."""
    for node in ast.walk(ast.parse(source)):
        for place, part in enumerate(node.body if isinstance(node, Definition) else ()):
            if (
                isinstance(part, ast.Expr)
                and isinstance(part.value, ast.Constant)
                and isinstance(part.value.value, str)
            ):
                yield (node if place == 0 else None), part.value.value  # type: ignore[misc]


def private_in_code(source: str) -> list[str]:
    """The private words of a module's docstrings and comments."""
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    texts = [*(text for _, text in docstrings(source)), *comments]
    return [word for text in texts for word in PRIVATE_IN_CODE.findall(NOT_ENGLISH.sub("", text))]


def clauses(source: str) -> Iterator[str]:
    """The docstrings that begin like a clause: of functions but properties and tests, or with `What` of anything."""
    for node, text in docstrings(source):
        first = text.split(maxsplit=1)[0].rstrip(",:") if text.strip() else ""
        decorators = [ast.unparse(one) for one in getattr(node, "decorator_list", ())]
        of_a_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            node.name.startswith("test_") or any("property" in name for name in decorators)
        )
        if first in (CLAUSES if of_a_function else {"What", "Whoever"}):
            yield text.splitlines()[0]


@pytest.mark.parametrize("area", CODE)
def test_code_has_the_words_of_the_field(area: str) -> None:
    """No docstring or comment has a private word for a request, a response, a report, a need or a fix."""
    found = {name: private_in_code(source) for name, source in modules(area)}
    allowed = {name: words for name, words in found.items() if name in CALLS_ARE_ANSWERED}
    assert {name: words for name, words in found.items() if words and name not in allowed} == {}
    assert {word for words in allowed.values() for word in words} <= {"answer", "answers"}


@pytest.mark.parametrize("area", CODE)
def test_a_docstring_begins_with_a_verb_or_a_noun(area: str) -> None:
    """A reader of an overview sees what a function does and what a value is."""
    assert {name: found for name, source in modules(area) if (found := list(clauses(source)))} == {}


def test_private_words_of_code_are_found_in_docstrings_and_comments_alone() -> None:
    """Names, other texts and what stands in backticks are left alone, and so is the verdict `can't tell`."""
    source = '''
"""It asks."""
told = "wanted"  # says `said`, or can't tell
"""The answer."""


class Thing:
    """A thing."""

    size = 1
    """What it is."""

    def way(self):
        """Why it answers."""

    @property
    def big(self):
        """Whether it is big."""
'''
    assert private_in_code(source) == ["asks", "answer", "answers", "says"]
    assert list(clauses(source)) == ["What it is.", "Why it answers."]


# -- the map -------------------------------------------------------------------------------------------------------

MAP = ROOT / "docs" / "architecture.md"


def test_the_map_names_what_stands_where_it_links() -> None:
    """A class or function in a link's text is defined in the module that the link leads to."""
    links = re.findall(r"\[`([\w.]+)`\]\((\.\./taps/[^)]+)\)", MAP.read_text(encoding="utf-8"))
    assert len(links) > 12
    for name, path in links:
        module = (MAP.parent / path).read_text(encoding="utf-8")
        last = name.rpartition(".")[2]
        assert re.search(rf"(?:def|class) {last}\b", module) or path.endswith(f"/{last}.py"), (name, path)


def test_the_map_sends_nobody_to_a_file_that_is_not_there() -> None:
    """Each path in "to change X, touch Y" is one of the checkout."""
    table = MAP.read_text(encoding="utf-8").partition("## To change X")[2]
    paths = [path for path in re.findall(r"`([\w/.<>]+)`", table) if "<" not in path and re.search(r"[./]", path)]
    assert len(paths) > 25
    places = (ROOT, ROOT / "taps" / "trunkline", ROOT / "tests" / "engine", ROOT / "taps/trunkline/steps/fetch")
    assert not [path for path in paths if path != "taps/trunkline/" and not any((p / path).exists() for p in places)]
