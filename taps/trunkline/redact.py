"""Secrets never reach what a person or a log collector reads: everything written to standard error passes here.

A secret is looked for in a text as it stands and as it reads once escapes are decoded (percent-encoding, JSON, HTML,
Python's repr), without blanks, control characters and angle brackets: those are stripped from a vendor's words, so a
line break inside a token must not hide it.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MASK = "(redacted)"
LONGEST = 2**16
"""Characters of a text that are looked at and passed on; a vendor may send megabytes."""

_SHORT = 4  # a secret below this length is only replaced where it stands alone, or no line would be readable
_BLANKS_HIDE = 8  # from this length on, blanks inside a secret do not hide it; `the me` is no `theme`
_DEPTH = 4  # escapes inside escapes that are decoded

_ESCAPE = re.compile(
    r"""(?P<bytes>(?:%[0-9a-f]{2})+|(?:\\x[0-9a-f]{2})+)
    |(?P<units>(?:\\u[0-9a-f]{4})+)
    |(?P<entity>&(?:\#\d{1,7}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});)
    |\\(?P<letter>["'\\/abfnrtv0])""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_CUT_ESCAPE = re.compile(r"(?:%[0-9a-f]?|\\[ux]?[0-9a-f]{0,3}|&[#\w]{0,31})\Z", re.IGNORECASE | re.ASCII)
_NOISE = re.compile(r"[\x00-\x20<>+\x7f]+|[^\x00-\x7f]+")
_LETTERS = dict(zip("abfnrtv0", "\a\b\f\n\r\t\v\0", strict=True))


class Redactor:
    """Replaces secrets by a mask, in whatever form a text has them.

    Args:
        mask: What stands in their place.
    """

    def __init__(self, mask: str = MASK) -> None:
        self._mask = mask
        self.secrets: dict[str, str] = {}
        """Their forms, as a text without noise has them, in lower case; and as they are."""
        self._lock = threading.Lock()

    def add(self, secrets: Iterable[str]) -> None:
        """Know these secrets from now on."""
        found: dict[str, str] = {}
        for secret in secrets:
            for form in _forms(secret):
                for one in (form, *(view.text for view in _views(form))):
                    found.setdefault(_lower(one), form)
        found.pop("", None)
        with self._lock:
            # A token comes in the middle of a run, while other threads look for those that are known.
            self.secrets = {**found, **self.secrets}

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, cut at `LONGEST`; one that the cut goes through shows nothing."""
        if not self.secrets:
            return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        cut = len(text) > LONGEST
        if cut:
            text = _CUT_ESCAPE.sub("", text[:LONGEST])
        kept, end = [], 0
        for start, stop in _merged(self._found(text, cut=cut)):
            kept += [text[end:start], self._mask]
            end = stop
        return "".join([*kept, text[end:], "…" * cut])

    def _found(self, text: str, *, cut: bool) -> Iterator[tuple[int, int]]:
        """Find secrets in a text."""
        for view in (_View.of(text), *_views(text)):
            read = _lower(view.text)
            for form, secret in self.secrets.items():
                at = read.find(form)
                while at >= 0:
                    span = view.starts[at], view.ends[at + len(form) - 1]
                    if _is_meant(text, span, form, secret):
                        yield span
                    at = read.find(form, at + 1)
                # A vendor cuts too: most of a token at the end of its words is as good as all of it.
                least = 1 if cut else max(_BLANKS_HIDE, len(form) // 2)
                if part := _begun(read, form, least):
                    yield view.starts[-part], len(text)


def _begun(text: str, form: str, least: int) -> int:
    """Count the characters of a form that a text ends with, if not fewer than `least`; else 0."""
    return next((n for n in range(min(len(form) - 1, len(text)), least - 1, -1) if text.endswith(form[:n])), 0)


def _is_meant(text: str, span: tuple[int, int], form: str, secret: str) -> bool:
    """Return whether what was found is the secret, and no word that happens to hold the letters of a short one."""
    start, stop = span
    if len(form) < _SHORT and ((start and _in_word(text[start - 1])) or _in_word(text[stop : stop + 1])):
        return False
    found = text[start:stop]
    return len(form) >= _BLANKS_HIDE or found.isprintable() is False or not set(found) & set(" +") - set(secret)


def _in_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans in order, those that overlap as one."""
    start = stop = -1
    for begin, end in sorted(spans):
        if begin < stop:
            stop = max(stop, end)
            continue
        if stop > 0:
            yield start, stop
        start, stop = begin, end
    if stop > 0:
        yield start, stop


def _lower(text: str) -> str:
    """Return a text in lower case, letter for letter."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(one if len(one) == 1 else "i" for one in map(str.lower, text))


# -- how a text reads --------------------------------------------------------------------------------


class _View:
    """A text that was made of another one, and where in that one each of its letters begins and ends."""

    def __init__(self, text: str, starts: Sequence[int], ends: Sequence[int]) -> None:
        self.text, self.starts, self.ends = text, starts, ends

    @classmethod
    def of(cls, text: str) -> _View:
        """Return the text itself."""
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def put(self, pattern: re.Pattern[str], read: Callable[[re.Match[str]], Iterable[tuple[str, int]]]) -> _View:
        """Return the view with each match replaced by letters, each of which takes up so many of the match."""
        made: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        end = 0
        for match in pattern.finditer(self.text):
            start, stop = match.span()
            made.append(self.text[end:start])
            starts += self.starts[end:start]
            ends += self.ends[end:start]
            for letter, width in read(match):
                if letter:
                    made.append(letter)
                    starts.append(self.starts[start])
                    ends.append(self.ends[start + width - 1])
                start += width
            end = stop
        return _View("".join([*made, self.text[end:]]), [*starts, *self.starts[end:]], [*ends, *self.ends[end:]])


def _views(text: str) -> Iterator[_View]:
    """Yield the text without noise, as it stands and with escapes decoded, as often as there are any."""
    whole = _View.of(text)
    quiet = whole.put(_NOISE, _quiet)
    yield quiet
    # Noise may stand inside an escape, and without it letters may look like one: both ways are gone.
    for view in (whole, quiet):
        for _ in range(_DEPTH):
            if not _ESCAPE.search(view.text):
                break
            view = view.put(_ESCAPE, _decode)  # noqa: PLW2901 - each level is made of the one before
            yield view.put(_NOISE, _quiet)


def _quiet(match: re.Match[str]) -> Iterable[tuple[str, int]]:
    """Yield the letters of a run that are no noise: those beyond ASCII that can be seen."""
    return ((letter if letter > "\x7f" and letter.isprintable() else "", 1) for letter in match[0])


def _decode(match: re.Match[str]) -> Iterable[tuple[str, int]]:
    """Yield the letters that an escape stands for, and the width of each."""
    text = match[0]
    if match["bytes"]:
        width = 3 if text[0] == "%" else 4
        raw = bytes(int(text[at + width - 2 : at + width], 16) for at in range(0, len(text), width))
        try:
            return [(letter, width * len(letter.encode())) for letter in raw.decode()]
        except UnicodeDecodeError:
            return [(letter, width) for letter in raw.decode("latin-1")]
    if match["units"]:
        units = b"".join(int(text[at + 2 : at + 6], 16).to_bytes(2, "big") for at in range(0, len(text), 6))
        return [(letter, 12 if letter > "\uffff" else 6) for letter in units.decode("utf-16-be", "surrogatepass")]
    if match["letter"]:
        return [(_LETTERS.get(match["letter"].lower(), match["letter"]), len(text))]
    letter = _numbered(text.lower()) if text[1] == "#" else html.unescape(text)
    return [(letter, len(text))] if len(letter) == 1 else [(one, 1) for one in text]  # `&nbs;` is no entity


def _numbered(entity: str) -> str:
    """Return the letter of an entity such as `&#65;`; the standard library leaves out control characters."""
    number = int(entity[3:-1], 16) if entity[2] == "x" else int(entity[2:-1])
    return chr(number) if number <= sys.maxunicode else ""


def decode(text: str) -> str:
    """Return a text with its escapes decoded, as a person reads it."""
    return _ESCAPE.sub(lambda match: "".join(letter for letter, _ in _decode(match)), text)


# -- the forms of a secret ---------------------------------------------------------------------------


def _forms(secret: str) -> set[str]:
    """Return the secret as URLs, JSON, Python, hexadecimal and base64 write it."""
    raw = secret.encode("utf-8", "surrogatepass")
    written = json.dumps(secret)[1:-1]
    forms = {
        secret,
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
        written,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        written.replace("/", r"\/"),
        repr(secret)[1:-1],
    }
    if len(raw) >= _SHORT:
        forms.add(raw.hex())
    for shift in range(3):
        # Inside a longer text (`user:password`) the same bytes fall on other letters: the inner ones are fixed.
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        inner = encoded[(shift * 8 + 5) // 6 : (len(raw) + shift) * 8 // 6]
        if len(inner) >= _SHORT * 2:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return forms


# -- the way out -------------------------------------------------------------------------------------


class RedactingStream:
    """A text stream that replaces secrets in whole lines before they leave.

    Args:
        stream: Where the lines go.
        redactor: What replaces.
    """

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream, self._redact, self._line = stream, redactor, ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Write text; what is not yet a whole line waits for its end, so that a secret can't slip through in pieces."""
        with self._lock:
            block, end, self._line = (self._line + text).rpartition("\n")
            if end:
                self._stream.write(self._without_secrets(block) + end)
        return len(text)

    def flush(self) -> None:
        """Pass on what is there, also an unfinished line."""
        with self._lock:
            rest, self._line = self._line, ""
            if rest:
                self._stream.write(self._without_secrets(rest))
            self._stream.flush()

    def _without_secrets(self, block: str) -> str:
        """Redact lines written together, as a secret may hold a line break; each for itself where they are many."""
        lines = [block] if len(block) <= LONGEST else block.split("\n")
        return "\n".join(map(self._redact, lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


redactor = Redactor()
"""The process's own; a tap adds its secrets as soon as it knows them."""


def install() -> None:
    """Let standard error pass the redactor, under both of its names."""
    plain = sys.stderr
    for name in ("stderr", "__stderr__"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactingStream):
            same = name == "__stderr__" and stream is plain
            setattr(sys, name, sys.stderr if same else RedactingStream(stream, redactor))
