"""OpenLineage: what a run tells of itself, and that nobody who does not listen can hold it up."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine import wire
from tests.engine.test_window_proofs import Details, Everything, OfTeams
from tests.engine.wire import BEGIN, DAY, Wire, call, records, tap

from trunkline.run import lineage
from trunkline_contract.runs import PROOFS
from trunkline_sandbox.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-to-be-seen"


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where nothing of OpenLineage is configured; the library itself sets variables, which go again."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        del os.environ[name]
    os.environ["HOME"] = str(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("PATIENCE", "AFTER_SIGNAL"):  # loading the library may take longer than a run waits
        monkeypatch.setattr(lineage, name, 120.0)
    yield
    os.environ.clear()
    os.environ.update(before)


@contextmanager
def collector(status: int = 201, seconds: float = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A collector's URL, and the events that it was sent."""
    events: list[dict[str, Any]] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            over.wait(seconds)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", events
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def transport(url: str) -> None:
    """Configure a collector that is tried once."""
    os.environ["OPENLINEAGE__TRANSPORT"] = json.dumps({"type": "http", "url": url, "retry": {"total": 0}})


def assertions(event: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Each assertion of an event: stream, partition, span, and whether it holds."""
    return [
        (one["name"], *(each["params"].get(name) for name in ("partition", "since", "until")), each["success"])
        for one in event["inputs"]
        for each in one.get("inputFacets", {}).get("dataQualityAssertions", {"assertions": []})["assertions"]
    ]


def test_g2_each_proof_of_a_run_is_an_assertion_of_its_end() -> None:
    """START and COMPLETE of one run, streams as datasets, and the spans of window_proofs as they stand there."""
    with collector() as (url, events):
        os.environ["OPENLINEAGE_URL"] = url
        vendor = Wire([call(number) for number in range(100)])
        made, output = tap(wire.Calls, Details, Everything, OfTeams, wire=vendor, key=SECRET, teams=["a", "b"])
        assert made.run() == 0
    begun, ended = events
    assert (begun["eventType"], ended["eventType"]) == ("START", "COMPLETE")
    assert begun["run"]["runId"] == ended["run"]["runId"]
    assert begun["job"]["name"] == ended["job"]["name"] == "tap-any"
    assert {(one["namespace"], one["name"]) for one in ended["inputs"]} == {
        ("https://vendor.example", name) for name in ("calls", "details", "table", "team_calls")
    }
    rows = records(output, PROOFS)
    proven = [(row["stream"], row["partition"], row["since"], row["until"], True) for row in rows]
    assert sorted(assertions(ended)) == sorted(proven)
    assert assertions(begun) == []
    counts = {one["name"]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in ended["outputs"]}
    streams = ("calls", "details", "table", "team_calls", PROOFS)
    assert counts == {f"tap-any.{name}": len(records(output, name)) for name in streams}
    for event in events:
        fields = event["outputs"][0]["facets"]["schema"]["fields"]
        assert [(one["name"], one["type"]) for one in fields[:3]] == [
            ("id", "integer"), ("at", "date-time"), ("uuid", "string"),
        ]  # fmt: skip
    assert SECRET not in json.dumps(events)
    assert "u 1" not in json.dumps(events)  # of a row


def test_g2_what_failed_is_asserted_not_to_be_complete(tmp_path: Path) -> None:
    """FAIL with the reason, and the span without a proof; to the file that openlineage.yml in the folder names."""
    log = tmp_path / "events.jsonl"
    Path("openlineage.yml").write_text(f"transport: {{type: file, log_file_path: {log}, append: true}}")
    vendor = Wire([call(number) for number in range(100)])
    late = (BEGIN + 2 * DAY).isoformat()[:10]
    vendor.faults["/calls"] = lambda query: (500, {}) if query.get("to", "") > late else None
    made, output = tap(wire.Calls, Everything, wire=vendor)
    assert made.run() == 1
    begun, ended = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    assert (begun["eventType"], ended["eventType"]) == ("START", "FAIL")
    assert "HTTP 500" in ended["run"]["facets"]["errorMessage"]["message"]
    until = max(row["until"] for row in records(output, PROOFS) if row["stream"] == "calls")
    failed = [one for one in assertions(ended) if not one[-1]]
    assert failed == [("calls", "{}", until, (BEGIN + 20 * DAY).isoformat(), False)]


def test_a_failure_without_a_span_is_asserted_without_one() -> None:
    """A full table has none: that it is not complete is said nevertheless."""
    with collector() as (url, events):
        os.environ["OPENLINEAGE_URL"] = url
        vendor = Wire([])
        vendor.faults["/calls"] = lambda _: (500, {})
        assert tap(Everything, wire=vendor)[0].run() == 1
    assert assertions(events[1]) == [("table", "{}", None, None, False)]


def test_a_run_that_a_signal_ends_is_aborted() -> None:
    """ABORT, with what was proven until then and what was not."""

    def stop(query: dict[str, str]) -> None:
        if query["to"] > (BEGIN + 5 * DAY).isoformat():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    with collector() as (url, events):
        os.environ["OPENLINEAGE_URL"] = url
        vendor = Wire([call(number) for number in range(400)])
        vendor.faults["/calls"] = stop
        assert tap(wire.Calls, wire=vendor, concurrency=1)[0].run() == 143
    assert events[1]["eventType"] == "ABORT"
    found = assertions(events[1])
    assert [one[-1] for one in found] == [True] * (len(found) - 1) + [False]
    assert found[-1][3] == (BEGIN + 20 * DAY).isoformat()


@pytest.mark.parametrize("kind", ["refuses", "hangs", "fails", "file", "nowhere", "nonsense"])
def test_g8_a_collector_that_fails_changes_nothing_but_a_warning(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same rows and exit code, within the seconds that a run waits, and one line that says why."""
    with collector(500 if kind == "fails" else 201, 120 if kind == "hangs" else 0) as (url, _):
        match kind:
            case "refuses":
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    port = free.getsockname()[1]
                transport(f"http://user:{SECRET}@127.0.0.1:{port}")
                why = "ConnectionError"
            case "hangs":
                transport(url)
                monkeypatch.setattr(lineage, "PATIENCE", 0.3)
                why = "it took more than 0.3 s"
            case "fails":
                transport(url.replace("//", f"//user:{SECRET}@"))
                why = "too many 500 error responses"
            case "file":
                settings = {"type": "file", "log_file_path": str(tmp_path / "none" / "x")}
                os.environ["OPENLINEAGE__TRANSPORT"] = json.dumps(settings)
                why = "No such file or directory"
            case "nowhere":
                os.environ["OPENLINEAGE__FACETS__ENVIRONMENT_VARIABLES"] = "[]"
                why = "no transport is configured"
            case _:
                os.environ["OPENLINEAGE_URL"] = f"{SECRET} is no address"
                why = "ValueError"
        began = time.monotonic()
        made, output = tap(wire.Calls, wire=Wire([call(1), call(2)]))
        assert made.run() == 0
        assert time.monotonic() - began < 100
    assert [row["id"] for row in records(output, "calls")] == [1, 2]
    warnings = [one.getMessage() for one in caplog.records if one.name == "tap-any" and "OpenLineage" in one.message]
    assert len(warnings) == 1
    assert why in warnings[0]
    assert SECRET not in warnings[0]


def test_without_the_library_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Configured for other tools, perhaps, and the extra is not there: the run is as without it."""
    monkeypatch.setitem(sys.modules, "openlineage", None)
    monkeypatch.delitem(sys.modules, "trunkline.run.lineage_events", raising=False)
    for name in [name for name in sys.modules if name.startswith("openlineage.")]:
        monkeypatch.delitem(sys.modules, name)
    os.environ["OPENLINEAGE_URL"] = "http://127.0.0.1:1"
    assert tap(wire.Calls, wire=Wire([]))[0].run() == 0
    assert "pip install 'trunkline[openlineage]'" in caplog.text


@pytest.mark.parametrize("name", ["OPENLINEAGE_DISABLED", "OPENLINEAGE_NAMESPACE", ""])
def test_without_configuration_nothing_is_begun(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is switched off, or only a namespace is set."""
    os.environ["OPENLINEAGE_NAMESPACE"] = "x"
    if name == "OPENLINEAGE_DISABLED":
        os.environ.update({name: "True", "OPENLINEAGE_URL": "http://127.0.0.1:1"})
    monkeypatch.setattr(lineage, "_Sender", None)
    assert tap(wire.Calls, wire=Wire([]))[0].run() == 0


def test_the_library_is_loaded_by_nobody_but_the_sender() -> None:
    """A run without OpenLineage starts as fast and as small as before."""
    script = "import trunkline.run.lineage, trunkline.run.report, sys; sys.exit('openlineage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_spans_of_an_event_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a backfill: neighbours are joined, nothing is left out, and no gap is covered."""
    monkeypatch.setattr(lineage, "MOST_SPANS", 100)
    made, _ = tap(OfTeams, wire=Wire([]), teams=["a"])
    spans, run = lineage.ProvenSpans(), type("Run", (), {"stream": made.streams["team_calls"]})()
    for day in range(5_000):
        if day != 777:
            spans.note(run, {"team": "a"}, BEGIN + day * wire.MINUTE, BEGIN + (day + 1) * wire.MINUTE)
    (found,) = spans.by_stream["team_calls"].values()
    assert 2 < len(found) <= lineage.MOST_SPANS
    gaps = [(a[1], b[0]) for a, b in itertools.pairwise(found) if a[1] != b[0]]
    assert gaps == [(BEGIN + 777 * wire.MINUTE, BEGIN + 778 * wire.MINUTE)]
    assert (found[0][0], found[-1][1]) == (BEGIN, BEGIN + 5_000 * wire.MINUTE)


def test_g7_the_command_shows_no_secret_and_no_traceback_of_it(tmp_path: Path) -> None:
    """A collector that fails behind a URL with a password: one line, exit code 0, and records alone on stdout."""
    with collector(403) as (url, events), running(size=5) as served:
        (tmp_path / "tap.json").write_text(
            json.dumps({**served.config("evolux"), "requests_per_minute": 1e6}), encoding="utf-8"
        )
        env = {**os.environ, "OPENLINEAGE_URL": url.replace("//", f"//user:{SECRET}@"), "OPENLINEAGE_API_KEY": SECRET}
        env["OPENLINEAGE_CLIENT_LOGGING"] = "DEBUG"
        command = [str(Path(sys.executable).with_name("tap-evolux")), "--config", "tap.json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["type"] for line in done.stdout.splitlines()} == {"SCHEMA", "RECORD", "STATE"}
    assert "OpenLineage: not all events of this run were sent" in done.stderr
    assert "HTTP status 403" in done.stderr
    assert SECRET not in done.stderr + json.dumps(events)
    assert "Traceback" not in done.stderr
