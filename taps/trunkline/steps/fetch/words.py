"""A vendor's words, as an error or a log line may show them: no secret, nothing personal, one line, and cut."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trunkline.errors import printable
from trunkline.personal import mask
from trunkline.redact import decode, redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 200
"""Characters of a vendor's own words that are shown."""

_LOOKED_AT = 65_536  # bytes of a page in which its title is looked for
_STRIPPED = re.compile(r"[\x00-\x1f\x7f<>]+")
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b",
    re.IGNORECASE | re.DOTALL,
)


def one_line(text: str, values: Iterable[str] = ()) -> str:
    """Return a vendor's words, fit for one log line.

    Args:
        text: The words; e-mail addresses and phone numbers in them are mask.
        values: Personal values that it may repeat: what was looked up, or sent.
    """
    words = decode(decode(redactor(text)))
    words = mask(_STRIPPED.sub(" ", words), values)
    return printable(_STRIPPED.sub(" ", words).strip()[:LONGEST].rstrip(". "), LONGEST)


def page(body: bytes, values: Iterable[str] = ()) -> str:
    """Describe a body that is a page for people, with its title; empty when it is none.

    Args:
        body: Of a response; what a gateway, a login or a wrong address sends in the place of JSON.
        values: Personal values that it may repeat.
    """
    begin = body[:_LOOKED_AT]
    if not _HTML.match(begin):
        return ""
    title = one_line(" ".join(_title(begin).decode(errors="replace").split()), values)
    return f'an HTML page with the title "{title}"' if title else "an HTML page"


def _title(begin: bytes) -> bytes:
    """Find the content of the first title, step by step, as a pattern could be kept busy by many that never end."""
    low = begin.lower()
    opened = low.find(b">", max(low.find(b"<title"), 0)) + 1
    closed = low.find(b"</title", opened)
    return begin[opened:closed] if b"<title" in low[:opened] and closed > 0 else b""
