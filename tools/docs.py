"""Write the generated parts of the documentation: `python3 run.py docs`, or with `--check` only report what is stale.

docs/vendors/<vendor>.md is made as a whole (see `trunkline.doors.docs`), and so are the pages of examples/ and the
sources of transform/ (see `tools.dbt_sources`) and the countries of its phone numbers (`tools.phone_regions`). In
README.md and the other pages, what stands between `<!-- generated: NAME -->` and `<!-- end -->` is; everything else
there is written by hand.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started as a file, as `run.py docs` does

from tools import dbt_sources, messages, phone_regions

from trunkline import facts, schemas
from trunkline.doors import docs
from trunkline.doors.vendors import tap_in, vendor_taps
from trunkline.facts import common
from trunkline_commands.doctor.finding import FACTS
from trunkline_duckdb import TargetDuckDB
from trunkline_postgres import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trunkline.doors.command import VendorTap
    from trunkline_loader.target import LoadingTarget

ROOT = Path(__file__).resolve().parent.parent

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+)(?: (?P<argument>\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)
_GUARANTEE = re.compile(r"(?<![A-Za-z0-9])g(10|[1-9])(?![0-9])", re.IGNORECASE)
_SKIPPED = {"notes", "vendors"}  # folders under docs/: raw material, and pages made as a whole


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Return every page that is generated or has generated parts, as it should be.

    Args:
        root: The checkout.

    Raises:
        TrunklineError: A vendor's notes lack a section.
        KeyError: A page names a block that nobody makes.
    """
    found = dbt_sources.files(root) | phone_regions.files(root)
    for vendor, tap in ours().items():
        notes = (root / "docs" / "notes" / f"{vendor}.md").read_text(encoding="utf-8")
        found[root / "docs" / "vendors" / f"{vendor}.md"] = docs.vendor_page(tap, notes, "../settings.md")
    for project in sorted((root / "examples").glob("*/pyproject.toml")):
        tap, place = tap_in(project.parent), project.parent / "docs"
        found[place / f"{tap.vendor}.md"] = docs.vendor_page(tap, (place / "notes.md").read_text(encoding="utf-8"))
    for page in written(root):
        text = page.read_text(encoding="utf-8")
        if _BLOCK.search(text):
            found[page] = _BLOCK.sub(lambda match, page=page: _filled(match, page, root), text)  # type: ignore[misc]
    return found


def ours() -> dict[str, type[VendorTap]]:
    """Return the vendors of this checkout: another package's, installed beside it, has its page elsewhere."""
    return vendor_taps("trunkline")


def written(root: Path = ROOT) -> Iterator[Path]:
    """Yield the pages written by hand."""
    yield root / "README.md"
    for page in sorted((root / "docs").rglob("*.md")):
        if page.relative_to(root / "docs").parts[0] not in _SKIPPED:
            yield page


def _filled(match: re.Match[str], page: Path, root: Path) -> str:
    made = BLOCKS[match["name"]](page, root, match["argument"] or "")
    return f"{match[1]}\n{made.strip()}\n\n{match[4]}"


# -- blocks ----------------------------------------------------------------------------------------


def _streams(page: Path, root: Path, _: str) -> str:
    rows = ["| tap | stream | one row is | primary key | bookmark |", "|---|---|---|---|---|"]
    for vendor, tap in ours().items():
        link = _link(page, root / "docs" / "vendors" / f"{vendor}.md")
        for stream in docs.stream_facts(tap):
            row = docs.one_row_is(schemas.load(vendor, stream.name))
            cells = (f"[`{tap.name}`]({link})", f"`{stream.name}`", row, stream.key, stream.bookmark)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _vendor_table(page: Path, root: Path, _: str) -> str:
    rows = ["| vendor | tap | what it reads | streams |", "|---|---|---|---|"]
    for vendor, tap in ours().items():
        link = _link(page, root / "docs" / "vendors" / f"{vendor}.md")
        title, _, reads = docs.summary(tap).removesuffix(".").partition(": ")
        streams = ", ".join(f"`{one.name}`" + ("" if one.selected else r"\*") for one in docs.stream_facts(tap))
        rows.append(f"| [{title}]({link}) | `{tap.name}` | {reads} | {streams} |")
    return "\n".join([*rows, "", r"\* not read unless you select it: personal data of customers, or payments."])


def _vendors(page: Path, root: Path, _: str) -> str:
    return "\n".join(
        f"- [{tap.name}]({_link(page, root / 'docs' / 'vendors' / f'{vendor}.md')}): {docs.summary(tap)}"
        for vendor, tap in ours().items()
    )


def _common_settings(*_: object) -> str:
    settings = common(lookback="*", window="*", page_size=1, start_required=True)
    taps = ours().values()
    rows = []
    for name, spec in settings.items():
        defaults = {str(tap.common[name].get("default", "")) for tap in taps if name in tap.common}
        shown = "differs, see below" if len(defaults) > 1 else "".join(f"`{value}`" for value in defaults if value)
        rows.append((name, docs.setting_type(spec), shown, spec, f"`TAP_…_{name.upper()}`"))
    return docs.table_of_settings(rows)


def _differing_settings(*_: object) -> str:
    names = ("lookback", "window", "page_size")
    rows = [
        "| tap | `lookback` | `window` | `page_size` (most) | without `start_date` | documented limit |",
        "|---|" + "---|" * 5,
    ]
    for tap in ours().values():
        cells = [f"`{tap.common[name]['default']}`" if name in tap.common else "none" for name in names]
        if "page_size" in tap.common:
            cells[2] += f" ({tap.common['page_size'].get('maximum', 'unknown')})"
        dated = "start_date" in tap.common
        needed = "start_date" in tap.required_to_start
        cells += ["" if not dated else "an error" if needed else "everything the vendor has", str(tap.limit or "none")]
        rows.append(f"| `{tap.name}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def _built_in_settings(*_: object) -> str:
    tap = next(iter(ours().values()))
    schema: dict[str, Any] = {"properties": {}}
    tap.append_builtin_config(schema)
    return "\n".join(
        [
            "| setting | type | meaning |",
            "|---|---|---|",
            *(
                f"| `{name}` | {docs.setting_type(spec)} | {docs.prose(spec['description'])} |"
                for name, spec in schema["properties"].items()
            ),
        ]
    )


def _api(_: Path, __: Path, module: str) -> str:
    names = [name for name in facts.__all__ if getattr(getattr(facts, name), "__module__", "") == module]
    sentences = [docs.prose((inspect.getdoc(getattr(facts, name)) or "").split("\n\n")[0]) for name in names]
    return "\n".join(f"- `{name}`: {sentence}" for name, sentence in zip(names, sentences, strict=True))


def _doctor_facts(*_: object) -> str:
    rows = ["| fact | what is presumed | what it costs where it does not hold |", "|---|---|---|"]
    return "\n".join(
        [*rows, *(f"| `{name}` | {docs.prose(fact.sentence)} | {fact.cost} |" for name, fact in FACTS.items())]
    )


def _loader_settings(target: type[LoadingTarget]) -> str:
    schema = target.config_jsonschema
    rows = []
    for name, spec in schema["properties"].items():
        need = (
            "*required*" if name in schema.get("required", ()) else f"`{spec['default']}`" if "default" in spec else ""
        )
        rows.append((name, docs.setting_type(spec), need, spec, f"`{target.variable(name)}`"))
    return docs.table_of_settings(rows)


def _tests(page: Path, root: Path, guarantee: str) -> str:
    count = len(list(tests_of(guarantee, root)))
    listed = root / "docs" / "guarantee-tests.md"
    (heading,) = re.findall(rf"^## ({guarantee} .+)$", listed.read_text(encoding="utf-8"), re.MULTILINE)
    link = f"{_link(page, listed)}#{heading.lower().replace(' ', '-')}"
    return f"[{count} {'test holds' if count == 1 else 'tests hold'} it]({link})"


def _test_list(page: Path, root: Path, guarantee: str) -> str:
    found = tests_of(guarantee, root)
    return "\n".join(f"- {sentence} [`{name}`]({_link(page, path)})" for path, name, sentence in found)


def tests_of(guarantee: str, root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the tests that carry a guarantee's ID in their name, each with its file and its docstring's sentence.

    Args:
        guarantee: For example `G1`.
        root: The checkout.
    """
    suite = root / "sandbox" / "trunkline_contract" / "suite.py"
    for path in [*sorted((root / "tests").rglob("test_*.py")), *([suite] if suite.exists() else [])]:
        for name, sentence in _named_tests(path.read_text(encoding="utf-8")):
            if guarantee[1:] in _GUARANTEE.findall(name):
                yield path, name, docs.prose(sentence)


@functools.cache  # ten guarantees read the same files twice
def _named_tests(code: str) -> list[tuple[str, str]]:
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    tests = [node for node in functions if node.name.startswith("test") and _GUARANTEE.search(node.name)]
    return [(node.name, (ast.get_docstring(node) or "").split("\n\n")[0]) for node in tests]


BLOCKS: dict[str, Callable[[Path, Path, str], str]] = {
    "api": _api,
    "streams": _streams,
    "vendor-table": _vendor_table,
    "vendors": _vendors,
    "common-settings": _common_settings,
    "differing-settings": _differing_settings,
    "built-in-settings": _built_in_settings,
    "doctor-facts": _doctor_facts,
    "duckdb-settings": lambda *_: _loader_settings(TargetDuckDB),
    "postgres-settings": lambda *_: _loader_settings(TargetPostgres),
    "model": lambda _, root, name: dbt_sources.columns(root, name),
    "coverage": lambda _, root, __: dbt_sources.matrix(root),
    "messages": lambda _, root, code: messages.block(root, code),
    "tests": _tests,
    "test-list": _test_list,
}
"""Generated blocks by the name that a page has for them."""


def _link(page: Path, to: Path) -> str:
    return Path(os.path.relpath(to, page.parent)).as_posix()


def main(arguments: Sequence[str]) -> int:
    """Write what is stale, or report it.

    Returns:
        The exit code: 0, or 1 when `--check` found something stale.
    """
    check = "--check" in arguments
    stale = [(page, text) for page, text in pages().items() if not page.exists() or page.read_text("utf-8") != text]
    for page, text in stale:
        print(f"{'stale' if check else 'wrote'} {page.relative_to(ROOT)}")
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    if stale and check:
        print("Run `python3 run.py docs` and commit what it writes")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
