"""What the tests of `target-switchtransact` share: a sandbox, Singer lines, a run in this process or as a command."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline_sandbox import Sandbox
from trunkline_sandbox.transport import SandboxAdapter
from trunkline_switchtransact import TargetSwitchTransact

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMAND = str(Path(sys.executable).with_name("target-switchtransact"))
KEY = "sandbox-switchtransact-key"
ANY: dict[str, Any] = {"properties": {}}


def line(kind: str, **parts: Any) -> str:
    return json.dumps({"type": kind, **parts})


def schema(stream: str, *keys: str, **properties: Any) -> str:
    return line("SCHEMA", stream=stream, schema={"properties": properties}, key_properties=list(keys))


def record(stream: str, **values: Any) -> str:
    return line("RECORD", stream=stream, record=values)


def state(value: Any) -> str:
    return line("STATE", value=value)


def contact(number: int, **more: Any) -> dict[str, Any]:
    """A contact that no other number has, its phone in E.164."""
    return {"id": number, "firstname": f"First{number}", "lastname": f"Last{number}", "phone": phone(number), **more}


def call(number: int, **more: Any) -> dict[str, Any]:
    """A call that no other number has."""
    made = {"id": number, "CallType": "Outbound", "Number": phone(number), "DateTime": "2026-01-31T08:00:00Z"}
    return {**made, "Name": f"Call{number}", **more}


def phone(number: int) -> str:
    return f"+4812{number:07d}"


@dataclass
class Ran:
    """A run that has ended.

    Attributes:
        code: Its exit code.
        states: The lines on standard output, decoded.
        told: Everything it logged.
    """

    code: int
    states: list[Any]
    told: str

    @property
    def counts(self) -> dict[str, int]:
        """The last line: how many records ended in which way."""
        return counts(self.told)


def counts(told: str) -> dict[str, int]:
    last = told.strip().splitlines()[-1]
    return {words: int(number) for number, words in re.findall(r"(\d+) ([a-z][a-z ]*[a-z])", last.rpartition("|")[2])}


@dataclass
class ReadContext:
    """A sandbox, a ledger, and runs of the target against them in this process.

    Attributes:
        folder: Where the ledger is.
        sandbox: The vendor.
        settings: Changed by a test as it likes.
        now: Seconds since 1970, moved by a test.
    """

    folder: Path
    caplog: Any
    sandbox: Sandbox = field(default_factory=lambda: Sandbox(size=5, vendors=["switchtransact"]))
    settings: dict[str, Any] = field(default_factory=dict)
    now: float = 1_800_000_000.0

    def target(self, **settings: Any) -> TargetSwitchTransact:
        config = {
            "api_url": self.sandbox.api_url("switchtransact", "http://127.0.0.1"),
            "api_key": KEY,
            "ledger": str(self.folder / "ledger.sqlite"),
            **self.settings,
            **settings,
        }
        adapter = SandboxAdapter(self.sandbox, sleep=lambda _: None)
        return TargetSwitchTransact(config=config, transport=adapter, clock=lambda: self.now, lock_wait=0.05)

    def run(self, lines: Iterable[str], **settings: Any) -> Ran:
        """Feed lines to the target."""
        self.caplog.clear()
        out = io.StringIO()
        with redirect_stdout(out), self.caplog.at_level("INFO"):
            code = self.target(**settings).run(io.StringIO("".join(f"{one}\n" for one in lines)))
        told = "\n".join(entry.getMessage() for entry in self.caplog.records)
        return Ran(code, [json.loads(one) for one in out.getvalue().splitlines()], told)

    def written(self, stream: str) -> list[dict[str, Any]]:
        """What the vendor has written, in order."""
        return self.sandbox.truth("switchtransact", {"contacts": "created"}.get(stream, stream))

    def left_in_doubt(self) -> int:
        """How many intents in the ledger have no outcome."""
        with closing(sqlite3.connect(self.folder / "ledger.sqlite")) as ledger:
            return int(ledger.execute("SELECT count(*) FROM writes WHERE outcome IS NULL").fetchone()[0])

    @property
    def requests(self) -> list[str]:
        """The last part of each path that was asked for."""
        return [entry.path.rpartition("/")[2] for entry in self.sandbox.requests]


def start(config: dict[str, Any], folder: Path, name: str = "config.json") -> subprocess.Popen[bytes]:
    """The command, its settings in a file, its input and output in pipes."""
    path = folder / name
    path.write_text(json.dumps(config), encoding="utf-8")
    return subprocess.Popen(
        [COMMAND, "--config", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
