"""Log records without secrets, whichever handler writes them where; for the process of a command.

A user's log config may bring handlers of its own: files, a collector, the bare standard error. So a record loses its
secrets before any of them sees it: in its message, what was raised, and what the SDK's structured form adds.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from singer_sdk.metrics import Point

from trunkline import redact
from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

HELD_BACK = frozenset({
    "asyncio", "certifi", "chardet", "charset_normalizer", "h11", "h2", "http", "httpcore", "httpcore2", "httpx",
    "httpx2", "idna", "oauthlib", "openlineage", "requests", "requests_oauthlib", "socks", "urllib3",
})  # fmt: skip
"""Libraries, with all below them, whose lines hold URLs, headers, bodies or settings: phone numbers, names, secrets."""

_SHOWS_VALUES = "singer_sdk.mapper"  # below a warning it logs the user's expressions, and what each makes of a record
_OF_NO_USE = {"Skipping parse of env var settings...", "Parsing env var for settings config..."}  # the SDK, each run
_OWN = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})
_DEEPEST = 20  # causes of causes of an exception, and lists in lists of a record's extra fields

_plain_handle = logging.Logger.handle


_NAMES = {"WARN": "WARNING", "FATAL": "CRITICAL", "TRACE": "DEBUG", "NOTSET": "DEBUG"}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def level_name(text: str) -> str | None:
    """Return the name that logging has for a level: in either case, under the names of other tools, or as a number.

    Returns:
        The name; None for what is no level.
    """
    text = text.strip().upper()
    if text.isdecimal() and len(text) < 6:  # noqa: PLR2004 - more digits than any level has
        return next((name for name in reversed(_LEVELS) if int(text) >= getattr(logging, name)), "DEBUG")
    text = _NAMES.get(text, text)
    return text if text in _LEVELS else None


def settle_level(command: str) -> None:
    """Let the variables that set the log level hold what the SDK knows; it ends in a traceback on anything else.

    Args:
        command: The command's name, which is in its own variable.
    """
    for variable in (f"{command.upper().replace('-', '_')}_LOGLEVEL", "LOGLEVEL"):
        text = os.environ.get(variable)
        if text is None:
            continue
        name = level_name(text)
        if text.strip() and name is None:
            known = ", ".join(_LEVELS)
            print(f"{variable} is no log level, so it is INFO: it must be one of {known}", file=sys.stderr)  # noqa: T201 - before the log is set up
            name = "INFO"
        if name:
            os.environ[variable] = name
        else:
            del os.environ[variable]


def install() -> None:
    """Guard standard error, and every record that any logger of this process makes from now on."""
    redact.install()
    logging.Logger.handle = _handle  # type: ignore[method-assign] # filters and factories miss some records or fields


def _handle(self: logging.Logger, record: logging.LogRecord) -> None:
    """Pass a record on to the handlers, if it may be seen, without secrets."""
    if record.name.partition(".")[0] in HELD_BACK:
        return
    if record.msg in _OF_NO_USE:
        return
    if record.name == _SHOWS_VALUES and record.levelno < logging.WARNING:
        return
    _plain_handle(self, without_secrets(record))


def without_secrets(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record, in which secrets are replaced by a mask.

    Args:
        record: Any logger's; it is changed.
    """
    if isinstance(record.args, tuple) and record.args and isinstance(record.args[0], Point):
        record.args = (_point(record.args[0]), *record.args[1:])  # the SDK's structured form looks for it
    else:
        record.msg, record.args = redactor(_message(record)), None
    if record.exc_info and record.exc_info[1]:
        error = _stand_in(record.exc_info[1])
        record.exc_info = (type(error), error, record.exc_info[2])
    record.exc_text = redactor(record.exc_text) if record.exc_text else None
    record.stack_info = redactor(record.stack_info) if record.stack_info else None
    for name in record.__dict__.keys() - _OWN:
        record.__dict__[name] = _values(record.__dict__[name])
    return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever the arguments of somebody's log line raise
        return str(record.msg)


def _point(point: Point[Any]) -> Point[Any]:
    return dataclasses.replace(point, tags=_values(point.tags))


def _values(value: Any, depth: int = 0) -> Any:
    """Return a field of a record: texts without secrets, at any depth."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict) and depth < _DEEPEST:
        return {redactor(str(name)): _values(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, (list, tuple)) and depth < _DEEPEST:
        return [_values(inner, depth + 1) for inner in value]
    return redactor(str(value))


def _stand_in(error: BaseException, depth: int = 0) -> Exception:
    """Make an exception of the same name and traceback as another one, whose words hold no secrets."""
    kind = type(error)
    names: Mapping[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    try:
        words = redactor(str(error))
    except Exception:  # noqa: BLE001 - an exception that can't be printed
        words = ""
    made: Exception = type(kind.__name__, (Exception,), dict(names))(words)
    made.__traceback__ = error.__traceback__
    if depth < _DEEPEST:
        made.__cause__ = error.__cause__ and _stand_in(error.__cause__, depth + 1)
        made.__context__ = error.__context__ and _stand_in(error.__context__, depth + 1)
    made.__suppress_context__ = error.__suppress_context__
    for note in getattr(error, "__notes__", ()):
        made.__notes__ = [*getattr(made, "__notes__", ()), redactor(str(note))]  # type: ignore[attr-defined] # Python 3.10 has none
    return made
