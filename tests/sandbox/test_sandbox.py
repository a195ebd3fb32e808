"""The world, the truth, hooks, the log, the admin routes and the command."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pytest
import requests

from trunkline_sandbox import Request, Response, Sandbox, running, vendors
from trunkline_sandbox.server import listen
from trunkline_sandbox.store import Table
from trunkline_sandbox.transport import SandboxAdapter
from trunkline_sandbox.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trunkline_sandbox import Running
    from trunkline_sandbox.vendor import RefusedError

    Ask = Callable[..., Response]
    Row = dict[str, Any]

STREAMS = [
    ("bspk", "calls"),
    ("switchtransact", "contacts"),
    ("hostedsuite", "calls"),
    ("conpeek", "voice_campaign_requests"),
    ("evolux", "studio_calls"),
    ("evolux", "studio_cdr"),
]
TIMES = {"bspk": "created_at", "hostedsuite": "StartTime", "conpeek": "created_date", "evolux": "start_time"}


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with running(size=40) as one:
        yield one


@pytest.mark.parametrize(("vendor", "stream"), STREAMS)
def test_the_seed_decides_the_data(vendor: str, stream: str) -> None:
    """Same seed, same rows, whatever the clock; another seed, other rows."""
    rows = Sandbox(7, size=50).truth(vendor, stream)
    assert rows == Sandbox(7, size=50).truth(vendor, stream)
    assert rows != Sandbox(8, size=50).truth(vendor, stream)


@pytest.mark.parametrize("vendor", TIMES)
def test_rows_lie_within_the_days(vendor: str) -> None:
    """`size` rows from 2026-01-01 on, spread over `days`, besides the samples."""
    stream = dict(STREAMS[:5])[vendor]
    times = [row[TIMES[vendor]] for row in Sandbox(size=300, days=3).truth(vendor, stream)]
    made = sorted(time for time in times if time > "2026")
    assert len(made) == 300
    assert made[0][:10] == "2026-01-01"
    assert made[-1][:10] == "2026-01-03"


def test_keys_are_unique() -> None:
    """No key comes twice in a larger world."""
    sandbox = Sandbox(size=5000)
    for vendor, stream, *names in (
        ("bspk", "calls", "sales_associate_id", "client_id", "created_at"),
        ("switchtransact", "contacts", "id"),
        ("hostedsuite", "calls", "Id"),
        ("conpeek", "voice_campaign_requests", "id"),
        ("evolux", "studio_calls", "id"),
        ("evolux", "studio_calls", "uuid"),
    ):
        rows = sandbox.truth(vendor, stream)
        assert len({tuple(row[name] for name in names) for row in rows}) == len(rows)


def test_truth_is_a_copy(sandbox: Sandbox) -> None:
    """What a test does to the rows it read does not reach the vendor."""
    for vendor, stream in STREAMS:
        sandbox.truth(vendor, stream)[0].clear()
        assert sandbox.truth(vendor, stream)[0]


def test_upsert_adds_changes_and_delete_removes(sandbox: Sandbox) -> None:
    """By key, also for rows that were made from the seed; the order by time holds."""
    before = sandbox.truth("evolux", "studio_calls")
    sandbox.upsert("evolux", "studio_calls", [{"id": 10, "caller": "changed"}])
    sandbox.upsert("evolux", "studio_calls", [{"id": 777, "start_time": "2021-01-01T00:00:00Z"}])
    after = sandbox.truth("evolux", "studio_calls")
    assert [row["id"] for row in after[:4]] == [1, 2, 777, 3]
    assert next(row for row in after if row["id"] == 10) == {**before[9], "caller": "changed"}
    assert sandbox.delete("evolux", "studio_calls", [{"id": 777}, {"id": 888}]) == 1
    assert len(sandbox.truth("evolux", "studio_calls")) == len(before)


@pytest.mark.parametrize(
    ("vendor", "stream", "row"),
    [
        ("bspk", "calls", {"client_id": "x"}),
        ("bspk", "orders", {}),
        ("nobody", "calls", {}),
        ("evolux", "studio_calls", {"id": 5000}),
        ("evolux", "studio_calls", {"id": 3, "start_time": "soon"}),
        ("conpeek", "voice_campaign_requests", {"id": "x", "voice_campaign_id": "y"}),
    ],
)
def test_rows_that_cannot_be_kept_are_refused_and_change_nothing(
    sandbox: Sandbox, vendor: str, stream: str, row: Row
) -> None:
    """Unknown vendor or stream, missing key, unreadable time."""
    before = sandbox.truth("evolux", "studio_calls")
    with pytest.raises(ValueError, match=r"no stream|no vendor|needs the columns|is 'YYYY"):
        sandbox.upsert(vendor, stream, [row])
    assert sandbox.truth("evolux", "studio_calls") == before


def test_hooks_run_before_the_answer(sandbox: Sandbox, ask: Ask) -> None:
    """on_request and scheduled rows change what the very request sees."""
    path = "/api/v1/studio/calls"
    seen = []

    def hook(box: Sandbox, vendor: str, request: Request, n: int) -> None:
        seen.append((vendor, request.path, n))
        if n == 2:
            box.upsert("evolux", "studio_calls", [{"id": 777, "start_time": "2020-01-12T01:00:00Z"}])

    sandbox.on_request = hook
    sandbox.upsert("evolux", "studio_calls", [{"id": 778, "start_time": "2020-01-12T02:00:00Z"}], before_request=3)
    assert [ask("evolux", path).value()["pagination"]["total"] for _ in range(3)] == [2, 3, 4]
    assert seen == [("evolux", f"/evolux{path}", n) for n in (1, 2, 3)]


def test_the_log_tells_each_request(sandbox: Sandbox, ask: Ask) -> None:
    """Number by vendor, path, query, body and status; requests for nobody are there too; clear starts at 1."""
    ask("hostedsuite", "/api/calls", json={"Page": 4})
    ask("bspk", "/nothing?a=b%20c")
    sandbox.handle(Request.of("GET", "/elsewhere"))
    hosted, bspk, nobody = sandbox.requests
    assert (hosted.n, hosted.vendor, json.loads(hosted.body)["Page"], hosted.status) == (1, "hostedsuite", 4, 200)
    assert (bspk.n, bspk.path, bspk.query, bspk.status) == (1, "/bspk/nothing", (("a", "b c"),), 404)
    assert (nobody.vendor, nobody.status) == ("", 404)
    sandbox.requests.clear()
    ask("bspk", "/nothing")
    assert [entry.n for entry in sandbox.requests.of("bspk")] == [1]


def test_configs_are_whole(served: Running) -> None:
    """Each config names its api_url on the running sandbox, and its look-ups hit and miss."""
    for vendor in served.sandbox.vendors:
        config = served.config(vendor)
        assert config["api_url"] == served.api_url(vendor)
        assert config["api_url"].startswith(f"{served.url}/{vendor}")
        json.dumps(config)
    config = served.config("switchtransact")
    session = requests.Session()
    session.headers["Authorization"] = config["api_key"]
    for kind, route in (("phones", "record?phone"), ("emails", "record?email"), ("terms", "autocomplete?term")):
        hits = [
            session.get(f"{config['api_url']}/calls/{route}={quote(value)}", timeout=120).json()["status"]
            for value in config[kind]
        ]
        assert hits == [*[True] * (len(hits) - 1), False]


def test_the_wire_answers_what_handle_answers(served: Running) -> None:
    """Status, headers and bytes are the same over HTTP and in process, for each vendor."""
    quiet = Sandbox(size=40)
    session = requests.Session()
    session.mount("http://127.0.0.1:1/", SandboxAdapter(quiet))
    hosted = {"CustomerName": "Sandbox Offices", "UserName": "sandbox-user", "Password": "sandbox-hostedsuite-password"}
    for path, headers, body in (
        ("/bspk/api/extraction/v1/calls?page=2", {"Authorization": "Bearer sandbox-bspk-token"}, None),
        ("/switchtransact/api/1.0/calls/record?phone=%2B27721234567", {"Authorization": "wrong"}, None),
        ("/hostedsuite/api/calls", {}, hosted),
        ("/conpeek/voice_campaign/5b7c389fe8df7b60af68898a/request", {"Authorization": "sandbox-conpeek-key"}, None),
        ("/evolux/api/v1/studio/calls/1/cdr", {"token": "sandbox-evolux-token"}, None),
        ("/nobody", {}, None),
    ):
        method = "POST" if body else "GET"
        wire = requests.request(method, served.url + path, headers=headers, json=body, timeout=120)
        calm = session.request(method, f"http://127.0.0.1:1{path}", headers=headers, json=body, timeout=120)
        assert (wire.status_code, wire.content) == (calm.status_code, calm.content)
        wire.headers.pop("date")
        assert {k.lower(): v for k, v in wire.headers.items()} == {k.lower(): v for k, v in calm.headers.items()}


def test_the_listener_says_that_it_is_tcp() -> None:
    """Otherwise asyncio leaves Nagle's algorithm on, and each answer over HTTP takes 40 ms."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_latencies_wait_together(served: Running) -> None:
    """64 concurrent requests are under way at the same time, and the log has seen how many there were."""
    served.sandbox.requests.clear()
    served.sandbox.latency = 1.0
    url = f"{served.api_url('evolux')}/api/v1/studio/calls/1/cdr"
    try:
        with ThreadPoolExecutor(64) as pool:
            list(pool.map(lambda _: requests.get(url, headers={"token": "x"}, timeout=120), range(64)))
    finally:
        served.sandbox.latency = 0.0
    assert served.sandbox.requests.max_in_flight > 16


def test_admin_over_http(served: Running) -> None:
    """Truth, rows, faults, knobs, log and reset can all be reached over HTTP."""
    admin = f"{served.url}/_sandbox"
    calls = f"{served.api_url('evolux')}/api/v1/studio/calls?start_date=2020-01-12&end_date=2020-01-12"
    session = requests.Session()
    session.headers["token"] = "sandbox-evolux-token"
    assert requests.post(f"{admin}/reset", json={"seed": 3, "size": 5}, timeout=120).json() == {"status": "ok"}
    assert requests.get(f"{admin}/health", timeout=120).json()["vendors"]["evolux"][:2] == [
        "studio_calls",
        "studio_cdr",
    ]
    truth = requests.get(f"{admin}/truth/evolux/studio_calls", timeout=120)
    lines = requests.get(f"{admin}/truth/evolux/studio_calls?format=lines", timeout=120)
    assert (
        truth.json()
        == [json.loads(line) for line in lines.text.splitlines()]
        == served.sandbox.truth("evolux", "studio_calls")
    )
    assert len(truth.json()) == 7

    row = {"id": 777, "start_time": "2020-01-12T01:00:00Z"}
    requests.post(f"{admin}/rows/evolux/studio_calls?before_request=2", json=row, timeout=120).raise_for_status()
    assert [len(session.get(calls, timeout=120).json()["data"]) for _ in range(2)] == [2, 3]
    assert requests.delete(f"{admin}/rows/evolux/studio_calls", json=[row], timeout=120).json() == {"deleted": 1}

    fault = {"kind": "status", "status": 418, "times": 1}
    requests.post(f"{admin}/faults", json=fault, timeout=120).raise_for_status()
    assert [session.get(calls, timeout=120).status_code for _ in range(2)] == [418, 200]
    assert requests.get(f"{admin}/faults", timeout=120).json()["fired"] == {"status": 1}
    assert requests.delete(f"{admin}/faults", timeout=120).json()["faults"] == []

    assert requests.post(f"{admin}/knobs/evolux", json={"limit_cap": 1}, timeout=120).json()["limit_cap"] == 1
    assert len(session.get(calls, timeout=120).json()["data"]) == 1
    log = requests.get(f"{admin}/requests?vendor=evolux", timeout=120).json()
    assert [entry["status"] for entry in log["requests"]] == [200, 200, 418, 200, 200]
    assert log["max_in_flight"] == 1
    requests.delete(f"{admin}/requests", timeout=120).raise_for_status()
    assert len(served.sandbox.requests) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "truth/evolux/nothing", None),
        ("POST", "knobs/evolux", {"colour": 1}),
        ("POST", "faults", {"kind": "flood"}),
        ("POST", "faults", {"kind": "cut", "colour": 1}),
        ("POST", "rows/evolux/studio_calls", [1]),
        ("POST", "reset", {"colour": 1}),
    ],
)
def test_admin_says_what_is_wrong(sandbox: Sandbox, method: str, path: str, body: Any) -> None:
    """A wrong admin request is a 400 with a sentence."""
    answer = sandbox.handle(Request.of(method, f"/_sandbox/{path}", json=body))
    assert (answer.status, [*answer.value()]) == (400, ["error"])


def test_a_redirect_to_the_sandbox_itself_is_seen(sandbox: Sandbox) -> None:
    """What a client sends after a redirect is in the log, so that leaked credentials show."""
    sandbox.fault("redirect", "evolux", url="http://127.0.0.1/thief")
    session = requests.Session()
    session.mount("http://127.0.0.1", SandboxAdapter(sandbox))
    session.get("http://127.0.0.1/evolux/api/v1/studio/calls", headers={"token": "secret"}, timeout=120)
    assert [(entry.path, entry.headers["token"]) for entry in sandbox.requests][1] == ("/thief", "secret")


def test_the_log_counts_requests_in_flight_in_process(sandbox: Sandbox) -> None:
    """Through the adapter as over the wire."""
    sandbox.latency = 0.05
    session = requests.Session()
    session.mount("http://127.0.0.1", SandboxAdapter(sandbox))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: session.get("http://127.0.0.1/evolux/x", timeout=120), range(8)))
    assert sandbox.requests.max_in_flight > 1
    assert sandbox.requests.in_flight == 0


class Sixth(Vendor):
    name = "sixth"
    title = "Sixth"
    settings: ClassVar = {"token": "t", "identity_url": "{url}/identity", "ids": (1,)}
    curl = "{url}"

    def answer(self, request: Request) -> Response:
        return Response.json({"path": request.path, "seed": self.world.seed})

    def error(self, no: RefusedError) -> Response:
        return Response.json({"error": no.message}, no.status)


def test_another_package_can_bring_a_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group is a vendor like the others; one that takes a built-in name is refused."""
    entry = EntryPoint("sixth", f"{__name__}:Sixth", vendors.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Sixth)
    monkeypatch.setattr(vendors, "entry_points", lambda group: [entry] if group == vendors.GROUP else [])
    vendors.registry.cache_clear()
    try:
        sandbox = Sandbox(5, vendors=["sixth"])
        assert sandbox.handle(Request.of("GET", "/sixth/a/b")).value() == {"path": "/a/b", "seed": 5}
        config = sandbox.config("sixth", "http://127.0.0.1:9")
        assert config["identity_url"] == "http://127.0.0.1:9/sixth/identity"
        assert (config["api_url"], config["token"], config["ids"]) == ("http://127.0.0.1:9/sixth", "t", [1])
        entry = EntryPoint("bspk", "other:Bspk", vendors.GROUP)
        vendors.registry.cache_clear()
        with pytest.raises(ValueError, match="rename"):
            Sandbox()
    finally:
        monkeypatch.undo()
        vendors.registry.cache_clear()


def test_an_unknown_vendor_is_named() -> None:
    """The error lists who there is."""
    with pytest.raises(ValueError, match="there is no vendor 'sixth': there are bspk"):
        Sandbox(vendors=["sixth"])


@pytest.mark.parametrize(
    ("vendor", "stream", "time"),
    [("bspk", "calls", "created_at"), ("evolux", "studio_calls", "start_time"), ("hostedsuite", "calls", "StartTime")],
)
def test_another_first_day_moves_the_data_and_changes_nothing_else(vendor: str, stream: str, time: str) -> None:
    """The same rows so many days earlier, from the day that a tap's config names as its start."""
    usual, moved = Sandbox(size=20), Sandbox(size=20, first_day=date(2025, 3, 1))
    assert moved.config(vendor)["start_date"] == "2025-03-01"
    moved.reset()
    days = [[row[time][:10] for row in box.truth(vendor, stream) if row[time] > "2025"] for box in (usual, moved)]
    gap = date(2026, 1, 1) - date(2025, 3, 1)
    assert len(days[0]) == 20
    assert [(date.fromisoformat(day) - gap).isoformat() for day in days[0]] == days[1]


def _command(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-m", "trunkline_sandbox", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def _welcome(process: subprocess.Popen[str]) -> list[str]:
    """What the command prints once it listens."""
    assert process.stdout is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith("What a vendor holds")):
        lines.append(process.stdout.readline().strip())
        assert process.poll() is None, lines
    return lines


def test_the_command_serves_until_a_signal_ends_it() -> None:
    """First line machine readable, answers at once, keeps quiet, and ends by the signal."""
    process = _command("--port", "0", "--size", "12", "--seed", "4", "--first-day", "2025-03-01")
    try:
        lines = _welcome(process)
        url = json.loads(lines[0])["url"]
        rows = requests.get(f"{url}/_sandbox/truth/bspk/calls", timeout=120).json()
        assert rows == Sandbox(4, size=12, first_day=date(2025, 3, 1)).truth("bspk", "calls")
        assert {"BSPK", "SwitchTransact", "HostedSuite", "Conpeek", "Evolux"} < set(lines)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (-signal.SIGTERM, "", "")


def test_the_commands_data_ends_yesterday() -> None:
    """Nothing in it is late, and nothing is of a day that is not over."""
    process = _command("--port", "0", "--size", "30")
    try:
        url = json.loads(_welcome(process)[0])["url"]
        rows = requests.get(f"{url}/_sandbox/truth/evolux/studio_calls", timeout=120).json()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    latest = max(datetime.fromisoformat(row["start_time"]) for row in rows)
    now = datetime.now(timezone.utc)
    assert now - timedelta(days=3) < latest < now


def test_a_reader_of_one_line_does_not_end_the_command() -> None:
    """A script that takes the URL and closes the pipe keeps its server."""
    process = _command("--port", "0")
    assert process.stdout is not None
    try:
        url = json.loads(process.stdout.readline())["url"]
        process.stdout.close()
        assert requests.get(f"{url}/_sandbox/health", timeout=120).status_code == 200
    finally:
        process.terminate()
        assert process.wait(120) == -signal.SIGTERM
        assert process.stderr is not None
        process.stderr.close()


def _curl(line: str) -> requests.Response:
    """Do what the curl line says, as a shell would take it apart."""
    words = shlex.split(line)
    assert words[:2] == ["curl", "-s"]
    headers, url, body = {}, "", None
    rest = iter(words[2:])
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(rest)
        else:
            url = word
    return requests.request("POST" if body else "GET", url, headers=headers, data=body, timeout=120)


def test_the_printed_curl_lines_work() -> None:
    """Every curl line that the command prints gets a 200."""
    process = _command("--port", "0")
    try:
        lines = _welcome(process)
        curls = [line for line in lines if line.startswith("curl")]
        assert len(curls) == len(Sandbox().vendors)
        for line in curls:
            assert _curl(line).status_code == 200, line
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_a_taken_port_is_said(served: Running) -> None:
    """Exit code 2 and a sentence, no traceback."""
    process = _command("--port", served.url.rsplit(":", 1)[1])
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "choose another --port" in err
    assert "Traceback" not in err


def test_a_million_calls_start_at_once_and_page_fast() -> None:
    """Rows are made when a page needs them: a deep page of a million calls comes without making the others."""
    sandbox = Sandbox(size=1_000_000)
    signed = {"Authorization": "Bearer sandbox-bspk-token"}
    path = "/bspk/api/extraction/v1/calls?per_page=100&page=10000"
    answer = sandbox.handle(Request.of("GET", path, headers=signed))
    assert (len(answer.value()), answer.header("X-Total-Count")) == (100, "1000002")
    small = sandbox.handle(Request.of("GET", f"{path}&from=2026-01-14T23:59:00Z", headers=signed))
    assert small.value() == []


def test_a_table_without_a_clock_says_what_it_needs() -> None:
    """Who writes a vendor is told, and not by a bare StopIteration."""
    with pytest.raises(ValueError, match="a table needs a clock, which orders its rows"):
        Table(("id",), {})
