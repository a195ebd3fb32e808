"""Whatever is logged, by whom and to which handler: no secret, and no line of a library that sees requests."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.logging import ConsoleFormatter, StructuredFormatter
from singer_sdk.metrics import Metric, Point

from trunkline import logs
from trunkline.redact import MASK, redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "sesame-token-0123456789"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command's process, for a while."""
    monkeypatch.setattr(logging.Logger, "handle", logging.Logger.handle)
    redactor.add([SECRET])
    logs.install()
    yield
    logging.captureWarnings(capture=False)


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Callable[[], io.StringIO]:
    """Calling it in a test puts a text in the place of standard error, under both names, and guards it."""

    def replace() -> io.StringIO:
        out = io.StringIO()
        for name in ("stderr", "__stderr__"):
            monkeypatch.setattr(sys, name, out)
        logs.install()
        return out

    return replace


@pytest.fixture(params=["message alone", "console", "structured"])
def said(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """A handler of the user's own on the root logger, at DEBUG; calling it gives what it wrote."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    if request.param != "message alone":
        handler.setFormatter(ConsoleFormatter() if request.param == "console" else StructuredFormatter())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield out.getvalue
    root.removeHandler(handler)
    root.setLevel(before)


class Quoting:
    """An argument that shows the secret once it is written."""

    def __str__(self) -> str:
        return SECRET


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"the token is {SECRET}", ()),
        ("the token is %s", (SECRET,)),
        ("the token is %s", (Quoting(),)),
        ("the token is %(token)s", ({"token": SECRET},)),
        (f"%d {SECRET}", ("no number",)),
        ("%s", ("se\0same-tok\nen-0123456789",)),
        ("%r", (f"{SECRET[:9]}\r\n {SECRET[9:]}",)),
    ],
)
def test_g7_no_handler_sees_a_secret_in_a_message(said: Callable[[], str], message: str, args: Any) -> None:
    """In the text, in an argument, in one that makes no line at all: the mask, in every form of a line."""
    logging.getLogger("anybody").debug(message, *args)
    assert MASK in said()
    assert "sesame" not in said()
    assert "0123456789" not in said()


def test_g7_no_handler_sees_a_secret_in_what_was_raised(said: Callable[[], str]) -> None:
    """The exception, what caused it, what it came while handling, its notes, the stack and extra fields."""
    error = ValueError(f"no {SECRET}")
    error.__cause__, error.__context__ = KeyError(SECRET), OSError(SECRET)
    error.__dict__["__notes__"] = [f"noted {SECRET}"]  # as `add_note` of Python 3.11 leaves it
    logger = logging.getLogger("anybody")
    logger.error("it failed", exc_info=error, extra={"config": {"token": SECRET, SECRET: [SECRET, Quoting(), 5]}})
    logger.error("%s", error, stack_info=True)
    assert "ValueError" in said()
    assert SECRET not in said()


def test_g7_metrics_stay_what_they_are(said: Callable[[], str]) -> None:
    """The SDK's structured form of a metric still has its value, and no secret among its tags."""
    point = Point("counter", Metric.RECORD_COUNT, 7, {"context": {"key": SECRET}, "stream": "calls"})
    logging.getLogger("singer_sdk.metrics").info("METRIC: %s", point)
    assert SECRET not in said()
    assert "calls" in said()
    if '"message":"METRIC"' in said():
        assert json.loads(said())["metric_info"]["value"] == 7


@pytest.mark.parametrize("name", ["urllib3", "urllib3.connection", "urllib3.util.retry", "requests.x", "asyncio"])
def test_g7_libraries_that_see_requests_are_not_heard(said: Callable[[], str], name: str) -> None:
    """At no level, whatever a log config sets for them, and however late their logger is made."""
    logger = logging.getLogger(name)
    logging.config.dictConfig(
        {"version": 1, "incremental": True, "loggers": {name: {"level": "DEBUG"}}, "disable_existing_loggers": False}
    )
    for one in (logger, logger.getChild("made.later")):
        one.critical("Failed to parse headers (url=https://x/?phone=+27721234567)", exc_info=ValueError("Anna"))
        one.debug("GET /?phone=+27721234567")
    assert said() == ""


def test_g7_the_mapper_tells_no_values(said: Callable[[], str]) -> None:
    """The SDK logs the filter it was given at INFO, and at DEBUG what each expression made of a record."""
    logging.getLogger("singer_sdk.mapper").info("Found '%s' filter rule: %s", "contacts", "email == 'anna@x.example'")
    assert said() == ""


@pytest.mark.parametrize("name", ["stderr", "__stderr__"])
def test_g7_both_names_of_standard_error_are_guarded(errors: Callable[[], io.StringIO], name: str) -> None:
    """A handler on `sys.__stderr__`, and a traceback that Python itself prints."""
    out = errors()
    print(f"the token is {SECRET}", file=getattr(sys, name), flush=True)
    assert out.getvalue() == f"the token is {MASK}\n"


def test_g7_threads_and_warnings_show_no_secret(said: Callable[[], str], errors: Callable[[], io.StringIO]) -> None:
    """Tracebacks of threads go to standard error, warnings to the log: neither shows one."""
    out = errors()

    def fail() -> None:
        raise ValueError(SECRET)

    before, threading.excepthook = threading.excepthook, threading.__excepthook__
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    threading.excepthook = before
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(SECRET, stacklevel=1)
    sys.stderr.flush()
    assert "ValueError" in out.getvalue()
    assert SECRET not in out.getvalue() + said()


def test_g7_no_line_is_megabytes_long(said: Callable[[], str]) -> None:
    """A vendor's whole answer in a log line is cut."""
    logging.getLogger("anybody").error("%s", "x" * 5_000_000)
    assert len(said()) < 200_000


def test_installing_twice_is_installing_once() -> None:
    """A second tap in a process adds nothing."""
    first = logging.Logger.handle
    logs.install()
    assert logging.Logger.handle is first
