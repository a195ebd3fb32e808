"""Make the site of the documentation, in output/site: `python3 run.py site`.

Sphinx makes it from docs/ as docs/conf.py sets, in an environment of its own. A link or an anchor that leads nowhere,
a page that the navigation does not name, or a block that can't be read fails the build. So does a page that would load
something from elsewhere: the site works from a folder, without a network, search included.
"""

from __future__ import annotations

import html.parser
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench import environments

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "output" / "site"

_FIRST = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=docs/index.html">\n'
_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}
"""Elements that a browser follows by itself, and the attribute that holds where to."""


class _Loads(html.parser.HTMLParser):
    """Reads the addresses of other hosts that a page loads from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(_LOADS.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")):
            self.found.append(address)


def loads(site: Path) -> Iterator[tuple[str, str]]:
    """Yield the addresses elsewhere that the pages and styles of a site load, as file and address.

    Args:
        site: The folder.
    """
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        yield from ((page.relative_to(site).as_posix(), address) for address in parser.found)
    for style in sorted(site.rglob("*.css")):
        text = style.read_text(encoding="utf-8").replace('"', "").replace("'", "")
        if "url(http" in text or "url(//" in text or "@import" in text:
            yield style.relative_to(site).as_posix(), "url() or @import"


def build(site: Path = SITE) -> int:
    """Make the site anew.

    Args:
        site: The folder; what is in it goes.

    Returns:
        The exit code: 0, or 1 when something in the pages is wrong, which Sphinx then has reported on standard error.

    Raises:
        NoEnvironment: Sphinx could not be installed.
    """
    sphinx = environments.program("site", "sphinx-build")
    shutil.rmtree(site, ignore_errors=True)
    # -E: a kept environment would hide what is wrong on pages that did not change.
    command = [sphinx, "-q", "-E", "-W", "--keep-going", "-n", "-d", str(site.with_name("site-parts")), "-c", "docs"]
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if subprocess.run([*command, ".", str(site)], cwd=ROOT, env=variables, check=False).returncode:
        print("The site was not made: fix what is named above, then start this again", file=sys.stderr)
        return 1
    elsewhere = list(loads(site))
    for page, address in elsewhere:
        print(f"{page} loads {address}: put it into docs/, so that the site works without a network", file=sys.stderr)
    (site / "index.html").write_text(_FIRST, encoding="utf-8")
    print(f"{sum(1 for _ in site.rglob('*.html'))} pages: open {(site / 'index.html').relative_to(ROOT)} in a browser")
    return 1 if elsewhere else 0


if __name__ == "__main__":
    try:
        sys.exit(build())
    except environments.NoEnvironment as problem:
        sys.exit(str(problem))
