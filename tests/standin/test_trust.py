"""Trusted with other people's calls: no secret and nothing personal in anything a command writes, at any log level."""

from __future__ import annotations

import base64
import json
import os
import socketserver
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from tests import starts
from tests.standin.servers import SwitchTransact
from tests.standin.test_common import build
from tests.standin.wire import BIN, Case, Run, StandIn, Taps, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.standin.conftest import Serve

SECRETS = {
    "bspk": ("auth_token",),
    "switchtransact": ("api_key",),
    "hostedsuite": ("customer_name", "user_name", "password"),
    "conpeek": ("api_key",),
    "evolux": ("api_token",),
}
AWKWARD = r'Zx9"w/+&=%q\t1'
"""Every form of it is another text."""

LOUD = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"all": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}},
    "root": {"level": "DEBUG", "handlers": ["all"]},
    "loggers": {"urllib3": {"level": "DEBUG"}, "singer_sdk.metrics": {"level": "DEBUG"}},
}
"""What a user may ask the SDK for: every line of every library."""


def forms(secret: str) -> set[str]:
    """The secret as URLs, JSON and base64 write it."""
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
    }


def loudly(folder: Path) -> dict[str, str]:
    """The environment of a command that logs everything."""
    path = folder / "logging.json"
    path.write_text(json.dumps(LOUD))
    return {"LOGLEVEL": "DEBUG", "TAP_LOGLEVEL": "DEBUG", "SINGER_SDK_LOG_CONFIG": str(path)}


def outcome(run: Taps, case: Case) -> Run:
    """A run whose output is judged here: at this log level a traceback is asked for."""
    process = run.start(case.tap, case.config, *case.more, state=case.state, env=case.env)
    stdout, stderr = process.communicate(timeout=60)
    return Run(process.returncode, stdout, stderr, 0.0)


def awkward(serve: Serve, tap: str) -> tuple[StandIn, dict[str, Any], list[str]]:
    """A vendor that repeats the credentials in every error, its config, and the secrets in it."""
    vendor, config = build(serve, tap, days=1)
    secrets = {name: f"{AWKWARD}-{name}" for name in SECRETS[tap]}
    echo: dict[str, Any] = {
        "error": " ".join(one for secret in secrets.values() for one in sorted(forms(secret))),
        "message": AWKWARD,
    }
    echo |= {"meta": {"status": 400, "message": echo["error"]}, "ResponseStatus": {"ErrorCode": echo["error"][:60]}}
    vendor.faults.append(lambda _n, _request: reply(echo, 400))
    return vendor, {**config, **secrets, "max_attempts": 1}, list(secrets.values())


@pytest.mark.parametrize("tap", ["bspk", "hostedsuite", "evolux"])
def test_g7_no_form_of_a_secret_is_written_at_any_log_level(serve: Serve, run: Taps, tap: str) -> None:
    """A vendor that echoes them in its error, every logger at DEBUG, a traceback: only masks; --test too."""
    _, config, secrets = awkward(serve, tap)
    more = ("--test",) if tap == "hostedsuite" else ()
    broken = {"bookmarks": {"x": " ".join(secrets)}} if tap == "evolux" else None  # an error before the first request
    one = outcome(run, Case(tap, config, more, state=broken, env=loudly(run.folder)))
    assert one.code == 1, one.stderr[-2000:]
    for secret in secrets:
        shown = [form for form in forms(secret) if form in one.stdout + one.stderr]
        assert not shown, (shown, one.stderr[-2000:])
    assert "Traceback" in one.stderr or more  # the level was high enough for one to be shown


def test_g7_about_and_discover_know_no_secret(serve: Serve, run: Taps) -> None:
    """What describes a tap says which settings are secret, and not what they are, from a file or the environment."""
    _, config, (secret,) = awkward(serve, "conpeek")
    env = {f"TAP_CONPEEK_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    loud = loudly(run.folder)
    cases = {
        "discover": Case("conpeek", config, ("--discover",), env=loud),
        "about": Case("conpeek", None, ("--about", "--format", "json"), env={**loud, **env}),
    }
    for one in run.many(cases).values():
        assert one.code == 0, one.stderr[-2000:]
        assert not any(form in one.stdout + one.stderr for form in forms(secret))


def test_g7_a_record_keeps_what_looks_like_a_secret(serve: Serve, run: Taps) -> None:
    """The mask is for what people read: a customer whose name is the password stays in the data."""
    vendor = serve(SwitchTransact([SwitchTransact.contact(1)]))
    config = vendor.config(phones=["+27721234561"])
    vendor.contacts[0]["lastname"] = config["api_key"]
    one = outcome(run, Case("switchtransact", config))
    assert one.rows("contacts")[0]["lastname"] == config["api_key"]
    assert config["api_key"] not in one.stderr


def test_g7_nothing_personal_in_log_lines_state_and_metrics(serve: Serve, run: Taps) -> None:
    """SwitchTransact has phones and e-mails in its URLs: not a line of any library shows one, whatever goes wrong."""
    vendor = serve(SwitchTransact([SwitchTransact.contact(n) for n in range(3)]))
    vendor.faults.append(lambda n, _request: reply({"message": "no +27721234567"}, 500) if n == 2 else None)
    wanted = {
        "phones": ["+27721234567", "+27829999999"],
        "emails": ["anna.kowalska@example.com"],
        "terms": ["Zbigniew"],
    }
    case = Case("switchtransact", vendor.config(**wanted, max_attempts=1), env=loudly(run.folder))
    one = outcome(run, case)
    states = "".join(line for line in one.stdout.splitlines() if '"STATE"' in line)
    for value in ("27721234567", "27829999999", "721234567", "kowalska", "Zbigniew"):
        assert value not in one.stderr, one.stderr[-3000:]
        assert value not in states
    assert "lookup" in one.stderr


def test_g7_no_row_is_repeated_in_log_lines_state_and_metrics(serve: Serve, run: Taps) -> None:
    """A run over calls, every logger at DEBUG: no name, number or id of a person in lines, METRIC ones among them."""
    _, config = build(serve, "bspk", days=1)
    one = outcome(run, Case("bspk", config, env=loudly(run.folder)))
    assert one.code == 0, one.stderr[-2000:]
    rows = one.rows("calls")
    told = {str(row[name]) for row in rows for name in row if name.endswith(("_name", "_id", "to")) and row[name]}
    states = "".join(line for line in one.stdout.splitlines() if '"STATE"' in line)
    seen = {value for value in told if len(value) > 5 and value in one.stderr + states}
    assert not seen


# -- every way out ---------------------------------------------------------------------------------

EVERYWHERE = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"structured": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {
        "bare": {"class": "logging.StreamHandler", "stream": "ext://sys.__stderr__"},
        "file": {"class": "logging.FileHandler", "filename": "all.log", "formatter": "structured"},
    },
    "root": {"level": "DEBUG", "handlers": ["bare", "file"]},
    "loggers": {"urllib3.connection": {"level": "DEBUG", "handlers": ["file"], "propagate": True}},
}
"""Handlers of a user's own, one of them for a single module of the HTTP library."""


@pytest.fixture
def broken_header() -> Iterator[str]:
    """A vendor one of whose header lines is none, which repeats the request there and in its body; its address."""

    class Broken(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while line := self.rfile.readline().strip():
                head += line + b" "
            body = json.dumps({"status": False, "error": f"no Anna in {head.decode()}"}).encode()
            self.wfile.write(b"HTTP/1.1 500 no\r\nConnection: close\r\nX-Echo: " + head[:40] + b"\r\n\t" + head[40:])
            self.wfile.write(b"\r\nAnna Kowalska said no " + head + b"\r\n\r\n" + body)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("command", ["tap-switchtransact", "source-switchtransact", "target-switchtransact"])
@pytest.mark.parametrize("level", ["ERROR", "DEBUG"])
def test_g7_a_broken_header_shows_nothing_on_any_way_out(
    tmp_path: Path, broken_header: str, command: str, level: str
) -> None:
    """No URL, no header, no word of the vendor's by a library's own lines, whatever handlers a log config has."""
    (tmp_path / "logging.json").write_text(json.dumps(EVERYWHERE))
    config = {"api_url": broken_header, "api_key": AWKWARD, "max_attempts": 1, "request_timeout": 0.5}
    looked_up = {"phones": ["+27721234567"], "emails": ["anna@x.example"], "pii": "hash", "pii_key": "a key of its own"}
    is_target = command.startswith("target")
    (tmp_path / "config.json").write_text(json.dumps(config if is_target else {**config, **looked_up}))
    schema = {"type": "SCHEMA", "stream": "contacts", "key_properties": [], "schema": {"properties": {"phone": {}}}}
    record = {
        "type": "RECORD",
        "stream": "contacts",
        "record": {"phone": "+27721234567", "firstname": "Anna", "lastname": "K"},
    }
    line = ["check"] if command.startswith("source") else []
    done = starts.run(
        [BIN / command, *line, "--config", "config.json"],
        input=f"{json.dumps(schema)}\n{json.dumps(record)}\n" if is_target else "",
        env={**os.environ, "LOGLEVEL": level, "SINGER_SDK_LOG_CONFIG": "logging.json"},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    for file in tmp_path.glob("*.log"):
        told += file.read_text()
    assert "500" in told, told[-2000:]  # what the vendor answered was told by the command itself
    assert not [form for form in forms(AWKWARD) if form in told]
    for value in ("21234567", "anna", "Anna", "Kowalska", "parse headers", "phone="):
        assert value not in told, told[-3000:]
