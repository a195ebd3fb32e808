"""Secrets never reach what a person or a log collector reads: everything written to standard error passes here."""

from __future__ import annotations

import base64
import json
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "(redacted)"
_SHORT = 4  # a secret below this length is only replaced where it stands alone, or no line would be readable


class Redactor:
    """Replaces secrets, and the forms they take in URLs, JSON and base64, by a mask."""

    def __init__(self) -> None:
        self._pattern: re.Pattern[str] | None = None
        self._forms: set[str] = set()

    def add(self, secrets: Iterable[str]) -> None:
        """Know these secrets from now on."""
        for secret in secrets:
            self._forms |= _forms(secret)
        longest_first = sorted(self._forms, key=len, reverse=True)
        parts = [
            re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)" for form in longest_first
        ]
        self._pattern = re.compile("|".join(parts)) if parts else None

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {
        secret,
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    }
    forms |= {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", r"\/"),
    }
    forms |= {repr(secret)[1:-1]}
    for shift in range(3):
        # Inside a longer text (`user:password`) the same bytes fall on other letters: the inner ones are fixed.
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        inner = encoded[(shift * 8 + 5) // 6 : (len(raw) + shift) * 8 // 6]
        if len(inner) >= _SHORT * 2:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {form for form in forms if form}


class RedactingStream:
    """A text stream that replaces secrets in whole lines before they leave.

    Args:
        stream: Where the lines go.
        redactor: What replaces.
    """

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream, self._redact, self._line = stream, redactor, ""

    def write(self, text: str) -> int:
        """Write text; what is not yet a whole line waits for its end, so that a secret can't slip through in pieces."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._stream.write(self._redact(line) + "\n")
        return len(text)

    def flush(self) -> None:
        """Pass on what is there, also an unfinished line."""
        if self._line:
            self._stream.write(self._redact(self._line))
            self._line = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


redactor = Redactor()
"""The process's own; a tap adds its secrets as soon as it knows them."""


def install() -> None:
    """Let standard error pass the redactor."""
    if not isinstance(sys.stderr, RedactingStream):
        sys.stderr = RedactingStream(sys.stderr, redactor)
