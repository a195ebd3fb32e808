"""`python3 run.py soak`: five taps for a set time, one request in five fails, runs are killed at random; then compare.

Each vendor is loaded again and again by `tap | target-duckdb` into a DuckDB file of its own, while rows arrive, arrive
late and change. A run begins at the last STATE that the target passed on, whatever ended the run before. When the time
is up every vendor is loaded until a run ends well under faults, and once without any. The files must then hold what
the vendors hold, field by field; nothing a process wrote may hold a credential; and memory must not have grown.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote, quote_plus

import duckdb
import requests

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from trunkline import signals  # noqa: E402 - same
from trunkline_contract import warehouse  # noqa: E402 - same
from trunkline_sandbox import Request, Response, Sandbox  # noqa: E402 - same
from trunkline_sandbox.vendors.evolux import SECRET_IN_TASKS  # noqa: E402 - same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

BIN = Path(sys.executable).parent
UTC = timezone.utc
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""The sandbox's first row; what its vendors' sample pages show is older."""

DAYS = 14
VENDORS = {vendor: tuple(s for v, s in warehouse.KEYS if v == vendor) for vendor, _ in warehouse.KEYS}
"""Each vendor's streams."""

LOOKBACKS = {"bspk": 24, "conpeek": 24, "evolux": 6, "hostedsuite": 48}
"""The lookbacks of the dated taps in hours: shorter than by default where a run would read too long to be many."""

PAGES = {"bspk": (50, 100), "conpeek": (50, 1000), "evolux": (20, 50), "hostedsuite": (30, 100)}
"""Sizes of a page; small ones make more requests for faults to fall on."""

SECRETS = ("auth_token", "api_key", "api_token", "customer_name", "user_name", "password")

KILL_SHARE = 0.5
"""Share of the runs that are to be killed; some end before."""

RELOADS_FROM = 60.0
"""A soak of so many seconds loads everything anew at the start of its second and its last third."""

MANY = 2000
"""Requests from which on every kind of fault must have happened."""

GROWTH_SHARE, GROWTH_MIB = 1.10, 4
"""Peaks of the last third may be this much above those of the first third: allocators and the moment differ."""

HUNG = 300.0
"""Seconds after which a run is taken for one that will never end."""

TIMEOUT = 2.0
"""The taps' request_timeout (seconds): short, so that stalls that outlast it cost little."""

STEP = 2.0
"""Seconds between two changes of a vendor's rows; some ten to forty minutes pass there."""

FINAL_TRIES = 10
LOOK = 0.05  # seconds between two looks at the processes


# -- what fails --------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A way to fail, and the share of all faults that it has."""

    label: str
    share: float
    rule: dict[str, Any]


def kinds() -> list[Kind]:
    """Every way to fail; 429 is rarer than the rest because a tap that meets it slows down for all that follows."""
    limited = {
        "429, Retry-After in seconds": {"Retry-After": "1"},
        "429, Retry-After as a date": {"Retry-After": "{date:1}"},
        "429, X-RateLimit-Reset as epoch": {"X-RateLimit-Reset": "{epoch:1}"},
        "429, X-RateLimit-Reset as epoch ms": {"X-RateLimit-Reset": "{epoch_ms:1}"},
        "429, RateLimit-Reset in seconds": {"RateLimit-Reset": "1"},
    }
    return [
        Kind("503 that repeats the credentials", 0.20, {"kind": "status", "status": 503}),
        Kind("503, Retry-After in seconds", 0.04, {"kind": "status", "status": 503, "headers": {"Retry-After": "1"}}),
        *(Kind(name, 0.015, {"kind": "status", "status": 429, "headers": h}) for name, h in limited.items()),
        Kind("reset", 0.19, {"kind": "reset"}),
        Kind("stall, shorter than the timeout", 0.06, {"kind": "stall", "seconds": TIMEOUT / 3}),
        Kind("stall, longer than the timeout", 0.05, {"kind": "stall", "seconds": TIMEOUT * 1.5}),
        Kind("body that comes in drops", 0.03, {"kind": "slow_body", "seconds": TIMEOUT / 2}),
        Kind("body cut off by the connection", 0.165, {"kind": "cut"}),
        Kind("half a body, said to be whole", 0.06, {"kind": "broken_json"}),
        Kind("HTML with status 200", 0.13, {"kind": "html200"}),
    ]


def rules(vendor: str, credentials: Sequence[str], rate: float) -> Iterator[dict[str, Any]]:
    """The faults of one vendor as the sandbox takes them, so that each share is one of all requests."""
    left = 1.0
    for kind in kinds():
        share = kind.share * rate
        # Rules are tried one after the other: a later one only meets what the earlier ones have left.
        rule = {**kind.rule, "rate": share / left, "match": rf"^\S+ /{vendor}/", "label": f"{vendor}: {kind.label}"}
        if "credentials" in kind.label:
            rule["body"] = _echo(credentials)
        left -= share
        yield rule


def _echo(credentials: Sequence[str]) -> str:
    """An error in every vendor's envelope at once, in each of the places that a tap may show in its log."""
    words = f"you sent {', '.join(credentials)}"
    places = {"error": words, "meta": {"status": 503, "message": words}}
    return json.dumps({**places, "ResponseStatus": {"ErrorCode": f"Down, {credentials[0]}", "Message": words}})


# -- processes ---------------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """A signal asks for the end of the soak.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Children:
    """The processes that were started, so that none outlives the soak."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start one.

        Raises:
            Stopped: The soak is being ended.
        """
        with self._lock:
            if self._closed:
                raise Stopped(0)
            self._alive = [one for one in self._alive if one.returncode is None]
            self._alive.append(subprocess.Popen(command, **options))
            return self._alive[-1]

    def close(self) -> None:
        """Kill all that live, and let no other be started."""
        with self._lock:
            self._closed = True
            for one in self._alive:
                one.kill()
            for one in self._alive:
                one.wait()


# -- the sandbox, a process of its own ---------------------------------------------------------------------------------


class Box:
    """A sandbox in a process of its own, reached over its admin paths; stands in for `Sandbox` in a comparison.

    Args:
        children: Where its process is started.
        seed: Decides the data and which requests fail.
        size: Rows of each vendor at the start.

    Raises:
        RuntimeError: It did not start.
    """

    def __init__(self, children: Children, seed: int, size: int) -> None:
        numbers = ["--port", "0", "--seed", str(seed), "--size", str(size), "--days", str(DAYS)]
        numbers += ["--first-day", BEGIN.date().isoformat()]
        command = [sys.executable, "-m", "trunkline_sandbox", *numbers]
        process = children.start(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        first = cast("IO[bytes]", process.stdout).readline()
        if not first:
            raise RuntimeError("the sandbox did not start: see its own words above")
        self.url = str(json.loads(first)["url"])
        # What finds contacts is taken from those that are there: asked for later, it would be other lookups.
        self.configs = {name: Sandbox(seed, size, DAYS, vendors=[name]).config(name, self.url) for name in VENDORS}
        # Every contact that a term finds, not the first one: what is found then only ever becomes more.
        self.ask("POST", "knobs/switchtransact", {"autocomplete": "list"})

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """One request to `/_sandbox/`.

        Raises:
            RuntimeError: The sandbox refuses it.
        """
        answer = requests.request(method, f"{self.url}/_sandbox/{path}", json=value, timeout=60)
        if not answer.ok:
            raise RuntimeError(f"the sandbox refuses {method} {path}: {answer.text[:300]}")
        return answer.json()

    def upsert(self, vendor: str, stream: str, *rows: Mapping[str, Any]) -> None:
        """Add or change rows."""
        self.ask("POST", f"rows/{vendor}/{stream}", rows)

    def truth(self, vendor: str, stream: str) -> list[dict[str, Any]]:
        """What the vendor holds."""
        rows: list[dict[str, Any]] = self.ask("GET", f"truth/{vendor}/{stream}")
        return rows

    def config(self, vendor: str) -> dict[str, Any]:
        """What the tap is configured with: the same lookups all along, whatever the vendor holds by now."""
        return self.configs[vendor]

    def handle(self, request: Request) -> Response:
        """The answer to a request that is made for the comparison."""
        answer = requests.request(
            request.method,
            self.url + request.path,
            params=dict(request.query),
            headers=dict(request.headers),
            timeout=60,
        )
        return Response(answer.status_code, (), answer.content)

    def fired(self) -> Counter[str]:
        """How often each rule has happened."""
        return Counter(self.ask("GET", "faults")["fired"])

    def requests(self, vendor: str) -> int:
        """How many requests came to the vendor."""
        entries = self.ask("GET", f"requests?vendor={vendor}")["requests"]
        return int(entries[-1]["n"]) if entries else 0


# -- what changes at a vendor ------------------------------------------------------------------------------------------


class Growth:
    """Lets time pass at a vendor: rows arrive, some late but within the lookback, and some change.

    Args:
        vendor: Its name.
        box: Where its rows are.
        dice: Decides everything.
    """

    def __init__(self, vendor: str, box: Box, dice: random.Random) -> None:
        self.vendor, self._box, self._dice = vendor, box, dice
        self.present = BEGIN + timedelta(days=DAYS)
        self.mine: list[tuple[datetime, dict[str, Any]]] = []
        self._number = 900_000
        self._reach = timedelta(hours=LOOKBACKS.get(vendor, 24)) * 0.7
        self._open: list[dict[str, Any]] = []
        self._more: Callable[[], None] = getattr(self, f"_{vendor}")

    def step(self) -> None:
        """A little time passes."""
        before = self.present
        self.present += timedelta(minutes=self._dice.randint(10, 40))
        self._since = before
        self._more()

    def _fresh(self) -> datetime:
        """An instant since the last step."""
        return self._since + (self.present - self._since) * self._dice.random()

    def _late(self) -> datetime:
        """An instant within the lookback of every run to come, as no bookmark is later than the present."""
        return self.present - self._reach * self._dice.random()

    def _arrivals(self, most: int) -> Iterator[tuple[int, datetime]]:
        """Numbers and times of new rows, the last one late."""
        for moment in [self._fresh() for _ in range(self._dice.randint(1, most))] + [self._late()]:
            self._number += 1
            yield self._number, moment

    def _edited(self) -> Iterator[dict[str, Any]]:
        """A row that may change, as it is within the lookback of every run to come."""
        self.mine = [(moment, row) for moment, row in self.mine if moment >= self.present - self._reach]
        if self.mine:
            yield self._dice.choice(self.mine)[1]

    def _bspk(self) -> None:
        rows = []
        for number, moment in self._arrivals(8):
            created = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
            key = {"sales_associate_id": f"SA_{number % 7}", "client_id": f"CLI_{number}", "created_at": created}
            rows.append({**key, "client_name": f"Zoë {number}", "to": f"+2772{number:07d}"})
            self.mine.append((moment, key))
        rows += [{**key, "client_name": f"Łukasz {self._number}"} for key in self._edited()]
        self._box.upsert("bspk", "calls", *rows)

    def _hostedsuite(self) -> None:
        rows: list[dict[str, Any]] = []
        for number, moment in self._arrivals(8):
            key = {"Id": f"{number:024x}", "StartTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
            rows.append({**key, "Notes": f"☎ {number}", "TalkTimeInSeconds": number / 4, "Type": "Incoming"})
            self.mine.append((moment, key))
        rows += [{**key, "Notes": f"changed {self._number}", "Flagged": True} for key in self._edited()]
        self._box.upsert("hostedsuite", "calls", *rows)

    def _conpeek(self) -> None:
        """A request that is open is read with every run, however old; one that is closed has a new date."""
        stream, now = "voice_campaign_requests", f"{self.present:%Y-%m-%d %H:%M:%S}"
        campaigns = self._box.config("conpeek")["voice_campaign_ids"]
        rows: list[dict[str, Any]] = []
        for number, moment in self._arrivals(6):
            key = {"id": f"{number:024x}", "voice_campaign_id": self._dice.choice(campaigns)}
            key["created_date"] = f"{moment:%Y-%m-%d %H:%M:%S}"
            rows.append({**key, "state": "OPEN", "custom": {"umowa": number}, "priority": number % 10})
            self._open.append(key)
        self._dice.shuffle(self._open)
        rows += [{**key, "case_state": f"W toku {self._number}"} for key in self._open[:2]]
        closing, self._open = self._open[2:6], [*self._open[:2], *self._open[6:]]
        rows += [{**key, "state": "CLOSED", "closed_date": now, "close_reason": "CALL_ENDED"} for key in closing]
        self._box.upsert("conpeek", stream, *rows)

    def _evolux(self) -> None:
        """Fewer than elsewhere: each costs a request of its own."""
        if self._dice.random() >= 0.25:  # noqa: PLR2004 - one in four
            return
        rows: list[dict[str, Any]] = []
        for number, moment in self._arrivals(1):
            key = {"id": number, "start_time": f"{moment:%Y-%m-%dT%H:%M:%S}+00:00"}
            flow = {"id": number % 3, "name": "Recepção"}
            rows.append({**key, "uuid": f"soak-{number}", "duration": number % 600, "call_flow": flow, "caller": "600"})
            self.mine.append((moment, key))
        rows += [{**key, "exit_reason": f"changed {self._number}", "duration": 7} for key in self._edited()]
        self._box.upsert("evolux", "studio_calls", *rows)

    def _switchtransact(self) -> None:
        """A new contact that a configured term finds; and one that changes in what no lookup looks at."""
        self._number += 1
        term = self._box.config("switchtransact")["terms"][0]
        new = {"id": f"soak-{self._number}", "firstname": "Zoë", "lastname": f"No. {self._number}", "company": term}
        rows = [new] if self._dice.random() < 0.2 else []  # noqa: PLR2004 - one in five
        self.mine.extend((self.present, {"id": row["id"]}) for row in rows)
        rows += [{**key, "customer_number": f"C-{self._number}"} for key in self._edited()]
        if rows:
            self._box.upsert("switchtransact", "contacts", *rows)


# -- one run -----------------------------------------------------------------------------------------------------------


@dataclass
class Kill:
    """A signal that is to end a run.

    Attributes:
        who: `tap`, `target` or `both`.
        number: SIGKILL or SIGTERM.
        after: Seconds after the start.
        hung: Whether the run had to be ended because it never would have.
        sent: Whether it was: the run may end before.
    """

    who: str
    number: signal.Signals
    after: float
    hung: bool = False
    sent: bool = False

    def hits(self, who: str) -> bool:
        """Whether that process got it."""
        return self.sent and self.who in {who, "both"}

    def __str__(self) -> str:
        return f"{'kill -9' if self.number == signal.SIGKILL else 'SIGTERM'} {self.who}"


@dataclass
class Ended:
    """How a run went.

    Attributes:
        lasted: Seconds.
        codes: Exit codes of tap and target as a shell shows them.
        peaks: The largest memory of tap and target, in KiB, as the kernel counted it; 0 where it can't be asked.
        kill: The signal that was sent, if one was.
        began: Seconds after the start of the soak.
    """

    lasted: float
    codes: tuple[int, int]
    peaks: tuple[int, int]
    kill: Kill | None
    began: float = 0.0


class Run:
    """One `tap | target-duckdb`, as a careful runner does it: what the tap writes is passed on, and so is the state.

    Args:
        children: Where its processes are started.
        name: The vendor's.
        folder: For the files of this run alone.
        state: The state's file, read at the start and written whenever the target passes a state on.
        settings: The tap's and the target's config.
        debug: Whether the tap tells everything.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        children: Children,
        name: str,
        folder: Path,
        state: Path,
        settings: Sequence[Mapping[str, Any]],
        *,
        debug: bool,
    ) -> None:
        self._children, self._folder, self._state = children, folder, state
        folder.mkdir(parents=True)
        for which, values in zip(("tap", "target"), settings, strict=True):
            (folder / f"{which}-config.json").write_text(json.dumps(values), encoding="utf-8")
        go_on = ["--state", str(state)] if state.exists() else []
        environment = {**os.environ, **({"LOGLEVEL": "DEBUG"} if debug else {})}
        # The target first: a tap that is quick must not meet a pipe that nobody holds yet.
        self.target = self._start("target-duckdb", "target", dict(os.environ), stdin=subprocess.PIPE)
        self.tap = self._start(f"tap-{name}", "tap", environment, *go_on, stdin=subprocess.DEVNULL)
        self._threads = [threading.Thread(target=self._pass_on), threading.Thread(target=self._keep_states)]
        for thread in self._threads:
            thread.start()

    def _start(
        self, command: str, which: str, environment: dict[str, str], *options: str, stdin: int
    ) -> subprocess.Popen[bytes]:
        with (self._folder / f"{which}.log").open("wb") as log:
            return self._children.start(
                [str(BIN / command), "--config", str(self._folder / f"{which}-config.json"), *options],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )

    def _pass_on(self) -> None:
        """From the tap to the target, and into a file; when the target is gone, the tap must notice."""
        source, sink = cast("IO[bytes]", self.tap.stdout), cast("IO[bytes]", self.target.stdin)
        with (self._folder / "tap.jsonl").open("wb") as copy, contextlib.suppress(BrokenPipeError), source, sink:
            while block := os.read(source.fileno(), 1 << 16):
                copy.write(block)
                sink.write(block)
                sink.flush()

    def _keep_states(self) -> None:
        """Keep the last state as it comes: what stands in the file is what the target has acknowledged."""
        source = cast("IO[bytes]", self.target.stdout)
        with (self._folder / "target.jsonl").open("wb") as copy, source:
            for line in source:
                copy.write(line)
                if line.endswith(b"\n"):
                    fresh = self._state.with_suffix(".new")
                    fresh.write_bytes(line)
                    fresh.replace(self._state)

    def watch(self, kill: Kill | None, stop: threading.Event) -> Ended:
        """Wait for the end, and send the signal when its moment has come.

        Args:
            kill: What is to be sent.
            stop: Set when the run is to be cut off at once.
        """
        started, peaks, pair = time.monotonic(), [0, 0], (self.tap, self.target)
        while None in [process.poll() for process in pair]:
            lasted = time.monotonic() - started
            peaks = [max(peak, peak_of(process)) for peak, process in zip(peaks, pair, strict=True)]
            if lasted > HUNG or (stop.is_set() and not (kill and kill.sent)):
                kill = Kill("both", signal.SIGKILL, lasted, hung=lasted > HUNG)
            if kill and not kill.sent and lasted >= kill.after:
                self._send(kill)
            time.sleep(LOOK)
        for thread in self._threads:
            thread.join()
        codes = (shell_code(self.tap.returncode), shell_code(self.target.returncode))
        return Ended(time.monotonic() - started, codes, (peaks[0], peaks[1]), kill if kill and kill.sent else None)

    def _send(self, kill: Kill) -> None:
        """Send a signal to those that have not ended; only this thread reaps them: until then the pid is theirs."""
        wanted = {"tap": [self.tap], "target": [self.target]}.get(kill.who, [self.tap, self.target])
        for process in wanted:
            if process.returncode is None:
                os.kill(process.pid, kill.number)
                kill.sent = True


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """The largest resident memory of a process so far, in KiB; 0 when it has ended or the system does not tell.

    It is the kernel's count of the program that runs now: `exec` begins a new one, so what the parent held when it
    forked is not in it.
    """
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else 0


def shell_code(code: int) -> int:
    """An exit code as a shell shows it: 128 and the number when a signal ended the process."""
    return code if code >= 0 else 128 - code


def forbidden(ended: Ended) -> list[str]:
    """Exit codes that nothing explains, and a run that hung.

    A tap may give up under faults (1) or lose its target (1); a target may find that its tap was cut off (1).
    """
    kill, taps, targets = ended.kill, {0, 1}, {0}
    if kill and kill.hung:
        return [f"it had not ended after {HUNG:.0f} s"]
    if kill and kill.hits("tap"):
        taps.add(128 + kill.number)
        targets |= {1} if kill.number == signal.SIGKILL else set()
    if kill and kill.hits("target"):
        targets.add(128 + kill.number)
    names = ("the tap", "target-duckdb")
    return [
        f"{who} ended with {code}"
        for who, code, known in zip(names, ended.codes, (taps, targets), strict=True)
        if code not in known
    ]


# -- what must not be seen ---------------------------------------------------------------------------------------------


def forms(secret: str) -> set[bytes]:
    """A credential as it is, as it stands in a URL, in JSON and in base64, at any place of a longer text."""
    raw = secret.encode()
    made = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], raw.hex()}
    for before in range(3):
        # Behind one or two other bytes the letters fall otherwise; those that hold bits of a neighbour are left out.
        whole = base64.b64encode(b"\0" * before + raw).decode()
        inner = whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        made |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {text.encode() for text in made}


def leaks(folder: Path, secrets: Sequence[str]) -> list[str]:
    """Files below a folder that hold a credential; configs are meant to."""
    patterns = re.compile(b"|".join(re.escape(form) for secret in secrets for form in sorted(forms(secret))))
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-config.json")]
    return [f"a credential is in {path.name} of {path.parent.name}" for path in files if patterns.search(_bytes(path))]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a state that is being replaced, or a write-ahead log that was written back
        return b""


# -- one vendor --------------------------------------------------------------------------------------------------------


class Vendor:
    """One vendor's runs, and what they showed.

    Args:
        name: Its name.
        folder: For everything that is written of it.
        box: The sandbox.
        children: Where processes are started.
        options: Of the command line.
    """

    def __init__(self, name: str, folder: Path, box: Box, children: Children, options: argparse.Namespace) -> None:
        self.name, self.folder, self.box, self.children, self.options = name, folder, box, children, options
        self.dice = random.Random(f"{options.seed}/{name}")  # noqa: S311 - no secret
        self.growth = Growth(name, box, random.Random(f"{options.seed}/{name}/growth"))  # noqa: S311 - same
        self.file, self.state = folder / f"{name}.duckdb", folder / "state.json"
        self.ended: list[Ended] = []
        self.problems: list[str] = []
        self.rows: Counter[str] = Counter()
        self.reloads = 0
        folder.mkdir(parents=True)

    @property
    def credentials(self) -> list[str]:
        """What the tap signs with."""
        config = self.box.config(self.name)
        return [config[name] for name in SECRETS if name in config]

    @property
    def secrets(self) -> list[str]:
        """What nothing may show: the credentials, and what Evolux's customers put into their tasks.

        A customer's name is signed with, but a state names it: it says whose bookmarks these are.
        """
        customer = self.box.config(self.name).get("customer_name")
        signed = [secret for secret in self.credentials if secret != customer]
        return [*signed, *([SECRET_IN_TASKS] * (self.name == "evolux"))]

    def soak(self, started: float, stop: threading.Event) -> None:
        """Load until it is time to stop."""
        while not stop.is_set():
            self._perhaps_reload(started)
            self.load(started, stop, kill=self._plan_kill())

    def finish(self, started: float, stop: threading.Event) -> None:
        """Load until a run ends well."""
        for _ in range(FINAL_TRIES):
            if self.load(started, stop).codes == (0, 0) or stop.is_set():
                return
        self.problems.append(f"{FINAL_TRIES} undisturbed runs under faults, and none ended well")

    def last(self, started: float, stop: threading.Event) -> None:
        """Load once with a vendor that is well."""
        codes = self.load(started, stop).codes
        if codes != (0, 0):
            self.problems.append(f"run {len(self.ended)}, undisturbed and without faults, ended with {codes}")

    def load(self, started: float, stop: threading.Event, kill: Kill | None = None) -> Ended:
        """One run."""
        number, began = len(self.ended) + 1, time.monotonic() - started
        folder = self.folder / f"{number:04d}"
        tap = {**self.box.config(self.name), **self._drawn(patient=kill is None)}
        target = {"path": str(self.file), "default_target_schema": f"tap_{self.name}"}
        debug = self.dice.random() < 0.2  # noqa: PLR2004 - one in five
        ended = Run(self.children, self.name, folder, self.state, (tap, target), debug=debug).watch(kill, stop)
        ended.began = began
        self.ended.append(ended)
        found = [*forbidden(ended), *leaks(folder, self.secrets), *self._check_file(folder)]
        if not debug:  # that level's tracebacks were asked for
            found += _traces(folder)
        for problem in found:
            self.problems.append(f"run {number} ({ended.kill or 'undisturbed'}): {problem}")
            print(f"{began:5.0f} s  {self.name}: {self.problems[-1]}", flush=True)
        if not found:
            (folder / "tap.jsonl").unlink()
        return ended

    def _drawn(self, *, patient: bool) -> dict[str, Any]:
        """Settings that must not matter. A run that may end early is a disturbance too: it tries less often."""
        dice = self.dice
        made: dict[str, Any] = {"concurrency": dice.choice((2, 4, 8)), "request_timeout": TIMEOUT}
        made["max_attempts"] = 8 if patient else dice.choice((3, 5, 8))
        if self.name == "switchtransact":
            return made
        made |= {"start_date": BEGIN.isoformat(), "end_date": self.growth.present.isoformat()}
        return {**made, "lookback": f"PT{LOOKBACKS[self.name]}H", "page_size": dice.choice(PAGES[self.name])}

    def _plan_kill(self) -> Kill | None:
        dice = self.dice
        if dice.random() >= KILL_SHARE:
            return None
        usual = statistics.median([one.lasted for one in self.ended if one.kill is None][-9:] or [3.0])
        who = dice.choice(("tap", "target", "both"))
        number = signal.SIGTERM if who != "both" and dice.random() < 0.2 else signal.SIGKILL  # noqa: PLR2004 - one in five
        return Kill(who, number, dice.uniform(0.1, usual))

    def _perhaps_reload(self, started: float) -> None:
        """Begin anew where a third begins: what has grown is then read as a whole, and memory must not follow.

        The file goes too: in a full one nobody would see what a run cut off in the middle of a long load has lost.
        """
        third = int(3 * (time.monotonic() - started) / self.options.seconds)
        if self.options.seconds >= RELOADS_FROM and third > self.reloads:
            self.reloads = third
            self.rows.clear()
            for path in (self.state, self.file, self.file.with_name(f"{self.file.name}.wal")):
                path.unlink(missing_ok=True)

    def _check_file(self, folder: Path) -> list[str]:
        """Whatever ended the run: the file opens, no key is there twice, no row is gone, none acknowledged missing."""
        promised = acknowledged(folder, self.name)
        if promised is None:
            return ["the target passed a state on that the tap never wrote"]
        if not self.file.exists():
            return ["the file is gone"] if self.rows or promised else []
        found = []
        with duckdb.connect(str(self.file), read_only=True) as connection:
            schema = f"tap_{self.name}"
            tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [schema])
            held = {stream: self._keys(connection, stream) for (stream,) in tables.fetchall()}
        for stream, keys in held.items():
            count, distinct, before = len(keys), len(set(keys)), self.rows[stream]
            found += [f"{stream}: {count} rows with {distinct} keys"] * (count != distinct)
            found += [f"{stream}: {before} rows became {count}"] * (count < before)
            self.rows[stream] = count
        for stream, wanted in promised.items():
            missing = wanted - set(held.get(stream, ()))
            found += [f"{stream}: {len(missing)} rows were acknowledged and are not in the file"] * bool(missing)
        return found

    def _keys(self, connection: duckdb.DuckDBPyConnection, stream: str) -> list[tuple[Any, ...]]:
        columns = ", ".join(f'"{key}"' for key in warehouse.KEYS[self.name, stream])
        return connection.execute(f'SELECT {columns} FROM "tap_{self.name}"."{stream}"').fetchall()  # noqa: S608 - own names

    def truth(self, stream: str) -> warehouse.Rows:
        """What the file must hold of a stream: what the vendor holds from the taps' start_date on."""
        return warehouse.expected(cast("Sandbox", self.box), self.name, stream, BEGIN)

    def compare(self) -> None:
        """Compare the file with the vendor, field by field, and look for credentials in all that was written."""
        for stream in VENDORS[self.name]:
            held = warehouse.duckdb_rows(self.file, self.name, stream) if stream in self.rows else {}
            self.problems += [f"{stream}: {line}" for line in differences(self.truth(stream), held)]
            self.rows[stream] = len(held)
            seen = repr(held).encode()  # values may be packed in the file
            if any(form in seen for secret in self.secrets for form in forms(secret)):
                self.problems.append(f"a credential is in the rows of {stream}")
        self.problems += leaks(self.folder, self.secrets)


def acknowledged(folder: Path, vendor: str) -> dict[str, set[tuple[Any, ...]]] | None:
    """The keys of the records, by stream, that a run's last acknowledged state stands behind.

    Args:
        folder: The run's, with what the tap wrote and the states that the target passed on.
        vendor: Its name.

    Returns:
        The keys; None when the tap never wrote that state.
    """
    states = _whole_lines(folder / "target.jsonl")
    keys: dict[str, set[tuple[Any, ...]]] = {}
    if not states:
        return keys
    last = json.loads(states[-1])
    for line in _whole_lines(folder / "tap.jsonl"):
        message = json.loads(line)
        if message["type"] == "RECORD":
            stream, record = message["stream"], message["record"]
            keys.setdefault(stream, set()).add(tuple(record[name] for name in warehouse.KEYS[vendor, stream]))
        elif message["type"] == "STATE" and message["value"] == last:
            return keys
    return None


def _whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def _traces(folder: Path) -> list[str]:
    logs = [folder / f"{which}.log" for which in ("tap", "target")]
    return [f"{log.name} has a traceback" for log in logs if b"Traceback" in log.read_bytes()]


def differences(truth: warehouse.Rows, held: warehouse.Rows) -> list[str]:
    """What is lost, what is there and should not be, and what is not as the vendor has it; a few of each."""
    lost, extra = sorted(truth.keys() - held.keys(), key=str), sorted(held.keys() - truth.keys(), key=str)
    other = [key for key in truth if key in held and truth[key] != held[key]]
    found = [
        f"{len(keys)} rows are {what}: {', '.join(map(str, keys[:5]))}"
        for keys, what in ((lost, "lost"), (extra, "not the vendor's"))
        if keys
    ]
    if other:
        found.append(f"{len(other)} rows have other values than the vendor's")
    for key in other[:5]:
        names = [name for name in {**truth[key], **held[key]} if truth[key].get(name) != held[key].get(name)]
        pairs = [f"{name}: vendor {truth[key].get(name)!r}, file {held[key].get(name)!r}" for name in names]
        found.append(f"{key}: {'; '.join(pairs)}"[:500])
    return found


# -- memory ------------------------------------------------------------------------------------------------------------


def thirds(ended: Sequence[Ended], seconds: float, which: int) -> tuple[int, int]:
    """The largest peaks (MiB) of the first and the last third; 0 where no run says.

    Args:
        ended: All runs.
        seconds: Length of the soak; what was run after it belongs to the last third.
        which: 0 for the tap, 1 for the target.
    """
    first = [one.peaks[which] for one in ended if one.began < seconds / 3]
    last = [one.peaks[which] for one in ended if one.began >= seconds * 2 / 3]
    return round(max(first, default=0) / 1024), round(max(last, default=0) / 1024)


def grown(first: int, last: int) -> bool:
    """Whether memory (MiB) has grown by more than moments differ."""
    return bool(first and last) and last > first * GROWTH_SHARE + GROWTH_MIB


# -- the soak ----------------------------------------------------------------------------------------------------------


class Soak:
    """The whole of it.

    Args:
        box: The sandbox.
        folder: For everything that is written.
        children: Where processes are started.
        options: Of the command line.
    """

    def __init__(self, box: Box, folder: Path, children: Children, options: argparse.Namespace) -> None:
        self.box, self.children, self.options = box, children, options
        self.up, self.ended = threading.Event(), threading.Event()  # the time for disturbances is up; all is over
        self.vendors = [Vendor(name, folder / name, box, children, options) for name in VENDORS]
        self.fired: Counter[str] = Counter()
        self.asked: dict[str, int] = {}

    def play(self) -> None:
        """Let it happen.

        Raises:
            Stopped: A signal came.
        """
        started = time.monotonic()
        for vendor in self.vendors:
            self.box.ask("POST", "faults", list(rules(vendor.name, vendor.credentials, self.options.rate)))
        with ThreadPoolExecutor(2 * len(self.vendors)) as pool:
            try:
                self._soak(pool, started)
                self._all(pool, lambda vendor: vendor.finish(started, self.ended))
                self.fired = self.box.fired()
                self.asked = {vendor.name: self.box.requests(vendor.name) for vendor in self.vendors}
                self.box.ask("DELETE", "faults")
                self._all(pool, lambda vendor: vendor.last(started, self.ended))
                self._all(pool, Vendor.compare)
            except BaseException:
                self.children.close()  # the threads wait for their processes
                raise
            finally:
                self.up.set()
                self.ended.set()

    def _all(self, pool: ThreadPoolExecutor, what: Callable[[Vendor], None]) -> None:
        for done in [pool.submit(what, vendor) for vendor in self.vendors]:
            done.result()

    def _soak(self, pool: ThreadPoolExecutor, started: float) -> None:
        growing = [pool.submit(self._grow, vendor.growth) for vendor in self.vendors]
        loading = [pool.submit(vendor.soak, started, self.up) for vendor in self.vendors]
        told = 0
        while (lasted := time.monotonic() - started) < self.options.seconds:
            if lasted >= told + 30:
                told += 30
                self._say(lasted)
            broken = [one for one in (*growing, *loading) if one.done()]
            if broken:
                broken[0].result()
            time.sleep(min(0.2, max(0.0, self.options.seconds - lasted)))
        self.up.set()
        for done in (*growing, *loading):
            done.result()
        for vendor in self.vendors:
            vendor.growth.present += timedelta(days=1)  # the last rows lie before the end of the last runs
            if vendor.name == "evolux":  # two details that are not there yet when they are first asked for
                newest = {str(row["id"]): 1 for _, row in vendor.growth.mine[-2:]}
                self.box.ask("POST", "knobs/evolux", {"cdr_pending": newest})

    def _grow(self, growth: Growth) -> None:
        while not self.up.wait(STEP):
            growth.step()

    def _say(self, lasted: float) -> None:
        ended = [one for vendor in self.vendors for one in vendor.ended]
        killed = sum(one.kill is not None for one in ended)
        print(f"{lasted:5.0f} s  {len(ended)} runs, {killed} of them killed", flush=True)

    def judge(self) -> list[str]:
        """Everything that is not well; empty when all is."""
        found = [f"{vendor.name}: {problem}" for vendor in self.vendors for problem in vendor.problems]
        for vendor in self.vendors:
            for which, who in enumerate(("tap", "target")):
                first, last = thirds(vendor.ended, self.options.seconds, which)
                if self.options.seconds >= RELOADS_FROM and grown(first, last):
                    found.append(f"{vendor.name}: memory of the {who} grew from {first} to {last} MiB")
        total, fired = sum(self.asked.values()), sum(self.fired.values())
        if total >= MANY:
            never = [kind.label for kind in kinds() if not self._of(kind.label)]
            found += [f"no request met this fault: {label}" for label in never]
            if not 0.75 <= fired / total / self.options.rate <= 1.25:  # noqa: PLR2004 - about as many as asked for
                found.append(f"{fired} faults on {total} requests: not the share that was asked for")
        return found

    def _of(self, label: str) -> int:
        return sum(self.fired[f"{vendor.name}: {label}"] for vendor in self.vendors)

    # -- the report --------------------------------------------------------------------------------

    def report(self) -> Iterator[str]:
        """Two tables."""
        yield from table([_HEAD, *(self._line(vendor) for vendor in self.vendors)])
        yield ""
        names = [vendor.name for vendor in self.vendors]
        rows = [[str(self.fired[f"{name}: {kind.label}"]) for name in names] for kind in kinds()]
        body = [(kind.label, *row, str(self._of(kind.label))) for kind, row in zip(kinds(), rows, strict=True)]
        yield from table([("fault", *names, "all"), *body])
        total, fired = sum(self.asked.values()), sum(self.fired.values())
        yield ""
        yield f"{fired:,} faults on {total:,} requests ({fired / max(total, 1):.0%})"
        yield (
            f"memory is flat when the largest peak of the last third is not more than {GROWTH_SHARE - 1:.0%} and "
            f"{GROWTH_MIB} MiB above that of the first; every third begins with a load of everything there is by then"
        )

    def _line(self, vendor: Vendor) -> tuple[str, ...]:
        ended = vendor.ended
        kills = Counter(str(one.kill) for one in ended if one.kill)
        nines = "/".join(str(kills[f"kill -9 {who}"]) for who in ("tap", "target", "both"))
        codes = [sorted(Counter(one.codes[which] for one in ended).items()) for which in (0, 1)]
        gave_up = sum(one.kill is None and one.codes[0] == 1 for one in ended)
        peaks = [" / ".join(map(str, thirds(ended, self.options.seconds, which))) for which in (0, 1)]
        rows = sum(vendor.rows[stream] for stream in VENDORS[vendor.name])
        return (
            vendor.name,
            str(len(ended)),
            nines,
            str(kills["SIGTERM tap"] + kills["SIGTERM target"]),
            str(gave_up),
            *(", ".join(f"{code}: {count}" for code, count in counts) for counts in codes),
            f"{self.asked.get(vendor.name, 0):,}",
            f"{sum(n for label, n in self.fired.items() if label.startswith(vendor.name + ':')):,}",
            f"{rows:,}",
            *peaks,
            "FAILED" if vendor.problems else "well",
        )


_HEAD = (
    "vendor", "runs", "kill -9 of tap/target/both", "SIGTERM", "gave up", "exit codes of the tap",
    "of target-duckdb", "requests", "faults", "rows", "tap MiB, first/last third", "target MiB", "verdict",
)  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as a table that a terminal and a page of docs can show."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for at, row in enumerate(rows):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        if at == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


# -- the command -------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak.

    Returns:
        0 when nothing was lost, doubled or leaked and memory stayed flat; 1 when something was; 2 when it can't begin;
        128 and the number of the signal that ended it.
    """
    options = _options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask_to_stop)
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        print(f"{options.keep} is not empty: --keep needs a folder for this soak alone", file=sys.stderr)
        return 2
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="trunkline-soak-"))).resolve()
    children, kept = Children(), options.keep is not None
    try:
        found = _play(folder, children, options)
        kept |= bool(found)
    except Stopped as stopped:
        print(f"stopped by signal {stopped.number}", file=sys.stderr)
        return 128 + stopped.number
    except BaseException:
        kept = True
        raise
    finally:
        children.close()
        if kept:
            print(f"what was written: {folder} (a folder a run, {options.seed} is the seed)")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


def _play(folder: Path, children: Children, options: argparse.Namespace) -> list[str]:
    """The soak and its report; returns what is not well."""
    share = f"one request in {1 / options.rate:.0f} fails" if options.rate else "no request fails"
    print(f"soak: {len(VENDORS)} vendors, {options.seconds:.0f} s, {share}, seed {options.seed}", flush=True)
    soak = Soak(Box(children, options.seed, options.size), folder, children, options)
    soak.play()
    print("", *soak.report(), "", sep="\n")
    found = soak.judge()
    memory = (
        "memory flat" if options.seconds >= RELOADS_FROM else f"memory not judged in less than {RELOADS_FROM:.0f} s"
    )
    print("\n".join(found) if found else f"nothing lost, nothing doubled, nothing else, no credential seen, {memory}")
    return found


def _ask_to_stop(number: int, _frame: FrameType | None) -> None:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # the clean-up is short
    raise Stopped(number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long runs are disturbed")
    parser.add_argument("--seed", type=int, default=1, help="decides rows, faults, settings and kills")
    parser.add_argument("--size", type=int, default=240, help="rows of each vendor at the start")
    parser.add_argument("--rate", type=float, default=0.2, metavar="SHARE", help="of requests that fail, 0 to 1")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything that is written there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signals.leave(main())
