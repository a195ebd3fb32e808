"""A search for what must not be seen: a credential in any form."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def forms(secret: str) -> set[bytes]:
    """Return a credential as it is, as it stands in a URL, in JSON and in base64, at any place of a longer text."""
    raw = secret.encode()
    made = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], raw.hex()}
    for before in range(3):
        # Behind one or two other bytes the letters fall otherwise; those that hold bits of a neighbour are left out.
        whole = base64.b64encode(b"\0" * before + raw).decode()
        inner = whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        made |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {text.encode() for text in made}


def leaks(folder: Path, secrets: Sequence[str]) -> list[str]:
    """Return files below a folder that hold a credential; configs are meant to."""
    patterns = re.compile(b"|".join(re.escape(form) for secret in secrets for form in sorted(forms(secret))))
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-config.json")]
    return [f"a credential is in {path.name} of {path.parent.name}" for path in files if patterns.search(_bytes(path))]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a state that is being replaced, or a write-ahead log that was written back
        return b""
