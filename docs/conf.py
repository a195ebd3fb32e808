"""How Sphinx makes the site of these pages: `python3 run.py site`, see tools/docs_site.py.

Sphinx, MyST and Furo, as all three are kept up and read the Markdown as it is shown elsewhere. Of the others in 2026:
MkDocs has stood still since 2024, its theme Material gets repairs only, and Zensical, which follows on it, is new.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.data import JsonLexer

from trunkline import facts

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

NAVIGATION: dict[str, tuple[str, ...]] = {
    "Start": ("docs/getting-started", "docs/first-run", "docs/in-your-project"),
    "Vendors": ("docs/vendors/*",),
    "How to": (
        "docs/how-to/schedule",
        "docs/how-to/backfill",
        "docs/how-to/reload",
        "docs/how-to/personal-data",
        "docs/how-to/secrets",
        "docs/how-to/monitor",
        "docs/how-to/debug",
        "docs/how-to/upgrade",
        "docs/how-to/snowflake",
        "docs/how-to/bigquery",
        "docs/how-to/redshift",
        "docs/how-to/s3-parquet",
        "docs/recipes",
        "docs/airbyte",
        "docs/switchtransact-target",
    ),
    "Reference": (
        "docs/settings",
        "docs/streams",
        "docs/loaders",
        "docs/troubleshooting",
        "docs/errors",
        "docs/model",
        "docs/watching",
        "docs/orchestration",
        "docs/upgrading",
    ),
    "How it works": (
        "docs/architecture",
        "docs/guarantees",
        "docs/guarantee-tests",
        "docs/proofs",
        "docs/performance",
        "docs/scale",
        "docs/testing",
        "SECURITY",
        "docs/why",
        "docs/decisions/*",
    ),
    "Contribute": (
        "CONTRIBUTING",
        "docs/adding-a-vendor",
        "docs/api",
        "docs/releasing",
        "CODE_OF_CONDUCT",
        "examples/*/README",
        "examples/*/docs/*",
        "CHANGELOG",
    ),
}
"""The pages in their order, by heading: paths from the checkout, without `.md`. A page that is missing here, or there,
fails the build."""
NOTES = ("docs/notes/*.md", "examples/*/docs/notes.md")
"""Raw material, read woven into its vendor's page."""

# The checkout is the source, so that a link means here what it means in the checkout. Links to a file that is no page
# offer that file.
root_doc = "docs/index"
include_patterns = [f"{root_doc}.md", *(f"{page}.md" for pages in NAVIGATION.values() for page in pages)]
# Sphinx walks through what is not excluded, and environments are large.
_walked = {"docs", "examples"}
exclude_patterns = [*NOTES, *(place.name for place in ROOT.iterdir() if place.is_dir() and place.name not in _walked)]

project = "Trunkline"
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True, "exclude-members": "__init__, __new__"}
autodoc_preserve_defaults = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of the engine and of other packages have no page here
myst_heading_anchors = 4
html_theme = "furo"
html_title = "Trunkline"
html_static_path = ["style"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
highlight_language = "text"


def setup(app: Sphinx) -> None:
    """Bring in what the pages need and Sphinx does not have."""
    app.add_lexer("jsonc", JsonLexer)  # it takes comments
    app.connect("source-read", _navigated)
    app.connect("source-read", _referenced)


def _navigated(_: Sphinx, name: str, text: list[str]) -> None:
    """Put the navigation into the first page; in the checkout its own links do."""
    if name == root_doc:
        for heading, pages in NAVIGATION.items():
            tree = [":hidden:", ":glob:", f":caption: {heading}", *(f"/{page}" for page in pages)]
            text[0] += "\n".join(["", "```{toctree}", *tree, "```", ""])


def _referenced(_: Sphinx, name: str, text: list[str]) -> None:
    """Put each name's signature, arguments and members in the place of its line, from its docstring."""
    if name == "docs/api":
        text[0] = re.sub(r"^- `(\w+)`: .*$", _reference, text[0], flags=re.MULTILINE)


def _reference(line: re.Match[str]) -> str:
    kind = "class" if isinstance(getattr(facts, line[1]), type) else "function"
    more = "\n.. autoclass:: trunkline.facts.tap.TapFacts" if line[1] == "VendorTap" else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: trunkline.facts.{line[1]}{more}\n```\n"
