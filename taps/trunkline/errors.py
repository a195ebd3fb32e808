"""The one tree of errors: each names what failed, why, and what to do about it, and carries a code.

A code stands in brackets at the end of the line: docs/errors.md has its causes and remedies under it. It is the class's
own, or the one given where the error is raised, where a reader of that line has something else to do. Codes are part
of what is promised: none is renamed.


TrunklineError
├── ConfigInvalid        a setting is wrong: found before the first request, all of them together
├── StateInvalid         the state file is not one this tap can continue from
├── OutputLost           the target on the other end of the pipe is gone
├── SourceError          the vendor's response ends a stream (or a partition of it)
│   ├── AccessDenied     wrong or missing credentials: ends the whole tap, nothing is retried
│   ├── Refused          the vendor refused this request (4xx): no use in repeating it
│   ├── Unavailable      the vendor could not be reached in `max_attempts` tries
│   ├── BadResponse      a response that is not what the vendor documents
│   └── Unproven         a window that can't be shown complete
└── BadRecord            a record that contradicts its schema
    └── Keyless          a record without its primary key
"""

# ruff: noqa: N818 - the names are what happened (Refused, Unproven) to the request or the window

from __future__ import annotations

import re
from collections import Counter
from http import HTTPStatus

from trunkline.redact import redactor

_LONGEST = 2_000  # characters of an error
_FEW = 5  # lines about one setting
_NAME = re.compile(r"[^\w-]")  # ends a setting's name


def printable(text: str, most: int = 100) -> str:
    """Return a text as a log shows it: without secrets, on one line, nothing in it that a terminal obeys, and cut.

    Args:
        text: Anything; a stranger may have written it.
        most: Characters that are shown.
    """
    text = redactor(text)  # before anything is stripped or cut: the rest of a secret is none that can be found
    if len(text) > most:
        text = f"{text[:most]}…"
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


class TrunklineError(Exception):
    """Base of everything this project raises on purpose.

    Args:
        what: What failed, in one clause.
        why: The reason, as far as it is known.
        remedy: What the reader can do now; empty when there is nothing to do but to run again.
        code: Code of the situation, where it is not the class's own.
    """

    code = ""

    def __init__(self, what: str, why: str = "", remedy: str = "", *, code: str = "") -> None:
        self.what, self.why, self.remedy, self.code = what, why, remedy, code or self.code
        super().__init__(what, why, remedy)

    def __str__(self) -> str:
        sentence = f"{self.what}: {self.why}" if self.why else self.what
        return self.coded(printable(f"{sentence}. {self.remedy}" if self.remedy else sentence, _LONGEST))

    def coded(self, line: str) -> str:
        """Return a line about this error with the code at its end."""
        return f"{line} [{self.code}]" if self.code else line


class ConfigInvalid(TrunklineError):
    """One or more settings are wrong.

    Args:
        errors: One line for each wrong setting, naming it and what it must be, never its value. Of a setting with many
            members the first wrong ones and the number of the others are kept.
    """

    code = "config"

    def __init__(self, errors: list[str]) -> None:
        self.errors = _few(errors)
        super().__init__("config is not valid", "; ".join(self.errors))


def _few(lines: list[str]) -> list[str]:
    """Keep only the first lines where many are about one setting, or about names that are none."""
    kinds = ["is no setting" if " is no setting of " in line else _NAME.split(line, 1)[0] for line in lines]
    total, kept, met = Counter(kinds), [], Counter[str]()
    for kind, line in zip(kinds, lines, strict=True):
        met[kind] += 1
        if met[kind] <= _FEW:
            kept.append(line)
        elif met[kind] == total[kind]:
            name = "config" if kind == "is no setting" else kind
            kept.append(f"{name}: {total[kind] - _FEW} more like the {_FEW} above, {total[kind]} in all")
    return kept


class StateInvalid(TrunklineError):
    """The state can't be continued from."""

    code = "state"


class OutputLost(TrunklineError):
    """Standard output is closed or can't be written to."""

    code = "output-closed"


class SourceError(TrunklineError):
    """The vendor's response, or the lack of one, ends a stream or one of its partitions."""


class AccessDenied(SourceError):
    """The credentials are refused: no other request of this run can succeed.

    Args:
        status: The HTTP status, or the one that the vendor's words stand for; 0 when a new access token can't help.
    """

    code = "access-denied"

    def __init__(
        self, what: str, why: str = "", remedy: str = "", *, status: int = HTTPStatus.UNAUTHORIZED, code: str = ""
    ) -> None:
        super().__init__(what, why, remedy, code=code)
        self.status = status


class Refused(SourceError):
    """The vendor refused the request itself (a 4xx that repeating does not change).

    Args:
        status: The HTTP status, or the one in the vendor's envelope.
    """

    code = "refused"

    def __init__(self, what: str, why: str = "", remedy: str = "", *, status: int = 0, code: str = "") -> None:
        super().__init__(what, why, remedy, code=code)
        self.status = status


class Unavailable(SourceError):
    """All tries failed: the vendor is down, unreachable, or keeps sending errors."""

    code = "unavailable"


class BadResponse(SourceError):
    """The response has a form that the vendor does not document, also after `max_attempts` tries."""

    code = "bad-response"


class Unproven(SourceError):
    """The rows read of a window do not add up, also in the second reading."""

    code = "unproven"


class BadRecord(TrunklineError):
    """A record contradicts its schema: it is neither changed nor dropped, the stream stops before it."""

    code = "bad-record"


class Keyless(BadRecord):
    """A record has no primary key; a stream whose vendor has such rows leaves them out, and counts them."""

    code = "missing-key"


class Stopped(BaseException):
    """A signal stops the run; not an error, so no `except Exception` may swallow it.

    Args:
        signum: The signal's number.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signum)
