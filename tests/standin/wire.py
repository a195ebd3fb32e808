"""The harness: one loopback server for every stand-in, and a runner for the installed commands.

Nothing here knows the project's code: the taps are started as a user starts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.responses import Response
from tests import starts
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping

    from starlette.types import Receive, Scope, Send

BIN = Path(sys.executable).parent
PATIENCE = 600.0
"""Seconds until a command is taken to hang: they matter only then, however busy the machine is."""
TOGETHER = 3
"""Commands that run side by side."""
SECRET_SETTINGS = frozenset(
    {"api_token", "auth_token", "api_key", "password", "user_name", "pii_key"},
)


@dataclass
class Seen:
    """One request as a stand-in saw it; `at` is `time.monotonic()`."""

    method: str
    path: str
    raw_query: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Reset:
    """The connection is aborted without an answer."""


@dataclass
class Cut:
    """An answer that promises more bytes than it sends."""

    body: bytes
    promised: int


@dataclass
class Stall:
    """Silence for `seconds`, then the answer."""

    seconds: float
    answer: Response


Answer = Response | Reset | Cut | Stall


def reply(value: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer; an underscore in a header's name stands for a hyphen."""
    return Response(
        json.dumps(value),
        status,
        {name.replace("_", "-"): text for name, text in headers.items()},
        "application/json",
    )


class StandIn:
    """A vendor: it keeps what it was asked and may be told to misbehave.

    Attributes:
        faults: called with a request's ordinal (from 0) and the request; what they return is sent instead.
    """

    prefix = "/proxy/v9"

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.faults: list[Callable[[int, Seen], Answer | None]] = []
        self.lock = threading.Lock()
        self.in_flight = 0
        self.most_in_flight = 0
        self.delay = 0.0
        self.jitter = 0.0
        self.url = ""
        self.broken: list[Exception] = []

    def answer(self, request: Seen) -> Answer:
        """What the vendor says to a request whose path has lost the prefix."""
        raise NotImplementedError

    def aside(self, request: Seen) -> Answer | None:  # noqa: ARG002 - for vendors with lists that a test is not about
        """Answer a request for a list that the test is not about: it is neither noted nor disturbed."""
        return None

    def handle(self, request: Seen) -> Answer:
        """Note the request, then fault or answer."""
        aside = self.aside(request)
        if aside is not None:
            return aside
        with self.lock:
            ordinal = len(self.seen)
            self.seen.append(request)
            for fault in self.faults:
                wrong = fault(ordinal, request)
                if wrong is not None:
                    return wrong
            return self.answer(request)

    def fail_first(self, times: int, wrong: Callable[[], Answer]) -> None:
        """Answer the first `times` requests with `wrong()`."""
        self.faults.append(lambda ordinal, _request: wrong() if ordinal < times else None)


class Hub:
    """Serves any number of stand-ins from one loopback port, each under a path of its own."""

    def __init__(self) -> None:
        self.vendors: dict[str, StandIn] = {}
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}
        hub = self

        class Remembering(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                hub.transports[transport.get_extra_info("peername")] = transport
                # Headers and body are two writes: the second would wait 40 ms for the first one's acknowledgement.
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        config = uvicorn.Config(
            self.app, log_level="critical", interface="asgi3", http=Remembering, lifespan="off", timeout_keep_alive=60
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop the server."""
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)

    def add(self, vendor: StandIn) -> None:
        """Serve `vendor` and tell it its address, a path prefix included."""
        name = f"/s{len(self.vendors)}"
        self.vendors[name] = vendor
        vendor.url = f"http://127.0.0.1:{self.port}{name}{vendor.prefix}"

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        name, _, rest = scope["path"][1:].partition("/")
        vendor = self.vendors.get(f"/{name}")
        if vendor is None or not f"/{rest}".startswith(vendor.prefix + "/"):
            await Response("no such address", 404)(scope, receive, send)
            return
        raw_query = scope["query_string"].decode("ascii")
        request = Seen(
            scope["method"],
            f"/{rest}"[len(vendor.prefix) :],
            raw_query,
            dict(parse_qsl(raw_query, keep_blank_values=True)),
            {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]},
            body,
            time.monotonic(),
        )
        vendor.in_flight += 1
        vendor.most_in_flight = max(vendor.most_in_flight, vendor.in_flight)
        try:
            if vendor.delay or vendor.jitter:
                await asyncio.sleep(vendor.delay + random.uniform(0, vendor.jitter))  # noqa: S311 - no secret
            try:
                answer = vendor.handle(request)
            except Exception as error:
                vendor.broken.append(error)
                raise
            if isinstance(answer, Stall):
                await asyncio.sleep(answer.seconds)
                answer = answer.answer
        finally:
            vendor.in_flight -= 1
        if isinstance(answer, Reset):
            self.transports[scope["client"]].abort()
        elif isinstance(answer, Cut):
            headers = [(b"content-length", str(answer.promised).encode()), (b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body, "more_body": True})
            await asyncio.sleep(0.02)
            self.transports[scope["client"]].abort()
        else:
            with contextlib.suppress(ConnectionError):
                await answer(scope, receive, send)


@dataclass
class Run:
    """What one command printed and how it ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    messages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for line in self.stdout.split("\n")[:-1]:
            with contextlib.suppress(json.JSONDecodeError):
                self.messages.append(json.loads(line))

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """The records of a stream, in order, repeats included."""
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]

    @property
    def state(self) -> dict[str, Any] | None:
        """The last STATE, as a target would acknowledge it."""
        states = [m["value"] for m in self.messages if m["type"] == "STATE"]
        return states[-1] if states else None

    def bookmark(self, stream: str) -> Any:
        """The bookmark of a stream without partitions."""
        return (self.state or {}).get("bookmarks", {}).get(stream, {}).get("replication_key_value")

    def keys(self, stream: str) -> list[str]:
        """The key properties that the last SCHEMA of a stream names."""
        found = [m["key_properties"] for m in self.messages if m["type"] == "SCHEMA" and m["stream"] == stream]
        return list(found[-1])

    def schema(self, stream: str) -> dict[str, Any]:
        """The properties that the last SCHEMA of a stream names."""
        found = [m["schema"]["properties"] for m in self.messages if m["type"] == "SCHEMA" and m["stream"] == stream]
        return dict(found[-1])

    def canonical(self) -> list[str]:
        """SCHEMA and RECORD lines and the last STATE, less extraction times and the address of the stand-in."""
        lines = [line for line in self.stdout.split("\n")[:-1] if '"type":"STATE"' not in line.replace(" ", "")]
        kept = []
        for line in lines:
            message = json.loads(line)
            message.pop("time_extracted", None)
            if message["type"] == "RECORD" and message["stream"] == "window_proofs":
                span = {message["record"]["since"], message["record"]["until"]}
                for name in ("read_from", "read_to", "run_started", *(() if len(span) > 1 else ("since", "until"))):
                    del message["record"][name]
            kept.append(json.dumps(message))
        marks = (self.state or {}).get("bookmarks", {}).items()
        return [*kept, json.dumps({name: {**entry, "account": None} for name, entry in marks})]


def upserted(runs: Iterable[Run], stream: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What a target holds after upserting the records of `runs`."""
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for run in runs:
        for row in run.rows(stream):
            table[tuple(row[key] for key in run.keys(stream))] = row
    return table


@dataclass
class Case:
    """A command to run: see `Taps.__call__`."""

    tap: str
    config: Mapping[str, Any] | None
    more: tuple[str, ...] = ()
    state: Any = None
    env: Mapping[str, str] | None = None


class Taps:
    """Starts installed commands in a folder of its own; every run owes an output without secret and traceback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = itertools.count()

    def file(self, value: Any, name: str = "") -> str:
        """Write `value` as JSON and give its path."""
        path = self.folder / (name or f"{next(self.files)}.json")
        path.write_text(json.dumps(value))
        return str(path)

    def start(
        self,
        tap: str,
        config: Mapping[str, Any] | None,
        *more: str,
        state: Any = None,
        catalog: Any = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start `tap-<tap>` and return at once."""
        return starts.start(
            self.command(Case(tap, config, more, state, env), catalog),
            cwd=self.folder,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, case: Case, catalog: Any = None) -> list[str]:
        """The command line of a case, its files written."""
        command = [str(BIN / f"tap-{case.tap}")]
        command += ["--config", "ENV" if case.config is None else self.file(case.config)]
        if case.state is not None:
            command += ["--state", self.file(case.state)]
        if catalog is not None:
            command += ["--catalog", self.file(catalog)]
        return [*command, *case.more]

    @staticmethod
    def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a command: this one's, without settings of taps and proxies, and what is given."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TAP_", "HTTP", "http"))}
        return clean | dict(env or {})

    def finish(
        self, process: subprocess.Popen[str], config: Mapping[str, Any] | None, timeout: float, begun: float
    ) -> Run:
        """Wait for a command, fail when it hangs, and check its output for secrets and tracebacks."""
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise AssertionError(f"still running after {timeout} s; stderr ends: {stderr[-1500:]}") from None
        return self.checked(Run(process.returncode, stdout, stderr, time.monotonic() - begun), config)

    @staticmethod
    def checked(run: Run, config: Mapping[str, Any] | None) -> Run:
        """Give a run back whose output has neither secret nor traceback."""
        for name, value in (config or {}).items():
            if name in SECRET_SETTINGS and isinstance(value, str):
                assert value not in run.stdout + run.stderr, f"G7: {name} is in the output"
        assert "Traceback" not in run.stderr, run.stderr[-3000:]
        return run

    def __call__(
        self,
        tap: str,
        config: Mapping[str, Any] | None,
        *more: str,
        timeout: float = PATIENCE,
        code: int | None = 0,
        state: Any = None,
        catalog: Any = None,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        """Run `tap-<tap>` to its end; `code` None takes any exit code."""
        begun = time.monotonic()
        process = self.start(tap, config, *more, state=state, catalog=catalog, env=env)
        run = self.finish(process, config, timeout, begun)
        if code is not None:
            assert run.code == code, f"exit code {run.code}\n{run.stderr[-3000:]}"
        return run

    def many(self, cases: Mapping[str, Case]) -> dict[str, Run]:
        """Run several commands, three at a time, and give their runs by the case's name."""

        def run(case: Case) -> Run:
            return self(case.tap, case.config, *case.more, code=None, state=case.state, env=case.env)

        with ThreadPoolExecutor(TOGETHER) as pool:
            return dict(zip(cases, pool.map(run, cases.values()), strict=True))

    def interrupted(
        self, tap: str, config: Mapping[str, Any], number: signal.Signals, after_lines: int, state: Any = None
    ) -> Run:
        """Run a tap, signal it after `after_lines` lines, and keep the whole lines: what a target reads."""
        begun = time.monotonic()
        process = self.start(tap, config, state=state)
        assert process.stdout is not None
        read: list[str] = []
        for line in process.stdout:
            read.append(line)
            if len(read) == after_lines:
                process.send_signal(number)
        assert process.stderr is not None
        stderr = process.stderr.read()
        code = process.wait(PATIENCE)
        text = "".join(read)
        whole = text[: text.rfind("\n") + 1]
        return Run(code, whole, stderr, time.monotonic() - begun)
