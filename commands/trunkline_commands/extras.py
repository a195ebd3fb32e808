"""The extras of the distribution, and how this installation gets one."""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from urllib.parse import urlsplit
from urllib.request import url2pathname

EXTRAS = {"ruff": "new-tap"}
"""Extras of the distribution, by the module that is missing without each."""


def requirement(extra: str) -> str:
    """Return what pip must be given for an extra: Trunkline from where this one came, as no index may have it."""
    source = json.loads(metadata.distribution("trunkline").read_text("direct_url.json") or "{}")
    url = str(source.get("url", ""))
    if url.startswith("file:") and source.get("dir_info"):
        return f"-e {shlex.quote(f'{url2pathname(urlsplit(url).path)}[{extra}]')}"
    return shlex.quote(f"trunkline[{extra}] @ {url}" if url else f"trunkline[{extra}]")
