"""The report of a run: what every stream came to, also when it failed or was stopped, and nothing that is secret."""

from __future__ import annotations

import json
import math
import os
import re
import signal
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tests.engine import wire
from tests.engine.test_window_proofs import Details
from tests.engine.wire import BEGIN, DAY, Wire, call, records, tap
from tests.model.harness import first_streams

from tap_bspk import TapBSPK
from tap_conpeek import TapConpeek
from tap_evolux import StudioCdr
from trunkline.doors.vendors import vendor_taps
from trunkline.errors import OutputLost
from trunkline.facts import common
from trunkline.facts import config as settings
from trunkline.run import report
from trunkline.run.run import Run
from trunkline_contract.runs import PROOFS
from trunkline_contract.runs import run as contract_run
from trunkline_sandbox import Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from trunkline.doors.command import VendorTap

TapEvolux = first_streams("evolux")
"""A list and the details of its rows: what the tests here are about."""

TapSwitchTransact = first_streams("switchtransact")

RUN = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "watching.md"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(size=60)


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """`run(TapEvolux)`: exit code and report."""

    def go(kind: type[VendorTap], state: dict[str, Any] | None = None, **more: Any) -> tuple[int, dict[str, Any]]:
        path = tmp_path / "run.json"
        config = {**sandbox.config(kind.vendor), "max_attempts": 1, "run_report": str(path), **more}
        adapter = SandboxAdapter(sandbox, sleep=lambda _: None)
        code = kind(config=config, state=state, run_start=RUN, transport=adapter).run()
        return code, json.loads(path.read_text(encoding="utf-8"))

    return go


families = cast("Callable[[str], Iterator[Metric]]", text_string_to_metric_families)


def figures(text: str) -> dict[tuple[str, ...], float]:
    """OpenMetrics text by name and label values, read by the parser of prometheus-client."""
    return {
        (sample.name, *sample.labels.values()): sample.value for family in families(text) for sample in family.samples
    }


def test_a_report_has_what_the_log_tells(
    run: Callable[..., tuple[int, dict[str, Any]]], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Rows, requests and bookmarks of each stream, as JSON and as valid OpenMetrics text beside it."""
    code, told = run(TapEvolux)
    calls, details, proofs = told["streams"]
    assert (code, told["verdict"], told["exit_code"], told["error"], told["signal"]) == (0, "complete", 0, None, None)
    assert [stream["stream"] for stream in told["streams"]] == ["studio_calls", "studio_cdr", PROOFS]
    rows = [row["start_time"] for row in sandbox.truth("evolux", "studio_calls") if row["start_time"] >= "2026"]
    assert calls["rows"] == details["rows"] == len(rows)
    assert told["rows"] == 2 * len(rows) + proofs["rows"]
    assert calls["requests"] + details["requests"] == told["requests"] == calls["pages"] + details["pages"]
    assert calls["bookmark_before"] is None
    assert calls["to"] == calls["bookmark_after"] == details["bookmark_after"]
    assert told["peak_memory_bytes"] > 10_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.prom"]
    numbers = figures((tmp_path / "run.prom").read_text(encoding="utf-8"))
    assert numbers["trunkline_run_exit_code", "tap-evolux"] == 0
    assert numbers["trunkline_stream_rows", "tap-evolux", "studio_calls"] == len(rows)
    latest = datetime.fromisoformat(calls["to"]).timestamp()
    assert numbers["trunkline_stream_bookmark_timestamp_seconds", "tap-evolux", "studio_calls"] == latest
    again, second = run(TapEvolux, state={"bookmarks": {"studio_calls": _bookmark("start_time", calls["to"])}})
    assert again == 0
    assert second["streams"][0]["bookmark_before"] == calls["to"] == second["streams"][0]["bookmark_after"]


def _bookmark(key: str, value: str) -> dict[str, str]:
    return {"replication_key": key, "replication_key_value": value}


def test_campaigns_are_told_each_for_itself(run: Callable[..., tuple[int, dict[str, Any]]], sandbox: Sandbox) -> None:
    """Rows, requests, bookmark and verdict of each partition; one that is not there fails alone, with what to do."""
    campaigns = sandbox.config("conpeek")["voice_campaign_ids"]
    code, told = run(TapConpeek, voice_campaign_ids=[campaigns[0], "gone", campaigns[1]])
    stream, dialogs, _ = told["streams"]
    assert (code, told["verdict"], stream["verdict"], dialogs["verdict"]) == (1, "failed", "failed", "complete")
    parts = {part["partition"]["voice_campaign_id"]: part for part in stream["partitions"]}
    assert [part["verdict"] for part in parts.values()] == ["complete", "failed", "complete"]
    assert sum(part["rows"] for part in parts.values()) == stream["rows"] > parts[campaigns[0]]["rows"] > 0
    assert (
        sum(part["requests"] for part in parts.values()) == stream["requests"] == told["requests"] - dialogs["requests"]
    )
    assert parts[campaigns[0]]["bookmark_after"]
    (failure,) = stream["failures"]
    assert failure["partition"] == {"voice_campaign_id": "gone"}
    assert "404" in failure["why"]
    assert "skip_missing_campaigns" in failure["remedy"]


@pytest.mark.parametrize("vendor", sorted(vendor_taps("trunkline")))
def test_g2_a_report_leads_to_the_proofs_of_its_run(vendor: str, tmp_path: Path) -> None:
    """As many windows as window_proofs has rows of this run, from the first one's since to the last one's until."""
    path = tmp_path / "run.json"
    result = contract_run(Sandbox(size=20), vendor_taps("trunkline")[vendor], {"run_report": str(path)}, at=RUN)
    told = json.loads(path.read_text(encoding="utf-8"))
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result.records(PROOFS):
        rows.setdefault((row["stream"], row["partition"]), []).append(row)
        assert row["run_started"] == told["run_started"]
    parts = {
        (stream["stream"], json.dumps(part.get("partition", {}), separators=(",", ":"))): part
        for stream in told["streams"]
        for part in stream["partitions"] or [stream]
        if stream["stream"] != PROOFS
    }
    assert rows.keys() == parts.keys()
    for key, found in rows.items():
        proven = (len(found), min(row["since"] for row in found), max(row["until"] for row in found))
        assert proven == tuple(parts[key][name] for name in ("windows", "proven_from", "proven_to")), key
        assert parts[key]["unproven_from"] is parts[key]["unproven_to"] is None


def test_g2_a_failure_names_the_span_that_has_no_proof(tmp_path: Path) -> None:
    """From the end of the last proof to where the run was to read; also of a stream read from the same responses."""
    vendor = Wire([call(number) for number in range(100)])
    late = (BEGIN + 2 * DAY).isoformat()[:10]
    vendor.faults["/calls"] = lambda query: (500, {}) if query["to"] > late else None
    made, output = tap(wire.Calls, Details, wire=vendor, run_report=str(tmp_path / "run.json"))
    assert made.run() == 1
    told = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [stream["stream"] for stream in told["streams"]] == ["calls", "details", PROOFS]
    for stream in told["streams"][:2]:
        until = max(row["until"] for row in records(output, PROOFS) if row["stream"] == stream["stream"])
        (failure,) = stream["failures"]
        assert BEGIN.isoformat() < until < (BEGIN + 3 * DAY).isoformat()
        assert (failure["unproven_from"], failure["unproven_to"]) == (until, (BEGIN + 20 * DAY).isoformat())
        assert (stream["unproven_from"], stream["unproven_to"]) == (until, (BEGIN + 20 * DAY).isoformat())


def test_lookups_that_failed_are_told_by_their_place(
    run: Callable[..., tuple[int, dict[str, Any]]], sandbox: Sandbox
) -> None:
    """G7: a lookup's value is personal and stands nowhere in the report."""
    sandbox.fault("status", r"email=", status=400)
    code, told = run(TapSwitchTransact)
    assert code == 1
    assert all("lookup" in failure["partition"]["lookup"] for failure in told["streams"][0]["failures"])
    text = json.dumps(told)
    config = sandbox.config("switchtransact")
    assert not [value for kind in ("phones", "emails", "terms") for value in config[kind] if value in text]


def test_g7_no_secret_and_no_words_of_an_unforeseen_error(
    run: Callable[..., tuple[int, dict[str, Any]]], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A vendor that repeats the token is masked, and of an error that may quote a record only the kind is told."""
    token = sandbox.config("evolux")["api_token"]

    def records_of(_: StudioCdr, __: object) -> Any:
        raise KeyError("+48 600 700 800")
        yield  # type: ignore[unreachable] # what makes it a generator

    monkeypatch.setattr(StudioCdr, "records", records_of)
    code, told = run(TapEvolux)
    assert code == 1
    calls, details, _ = told["streams"]
    assert (calls["verdict"], details["verdict"]) == ("complete", "failed")
    assert details["failures"][0]["what"] == "unexpected KeyError"
    assert "600 700" not in json.dumps(told)
    body = json.dumps({"meta": {"status": 400, "message": f"bad token {token}"}})
    sandbox.fault("status", r"/calls", status=400, body=body)
    _, told = run(TapEvolux)
    written = (tmp_path / "run.json").read_text(encoding="utf-8") + (tmp_path / "run.prom").read_text(encoding="utf-8")
    assert token not in written
    assert "(redacted)" in told["streams"][0]["failures"][0]["why"]


def test_a_run_that_a_signal_ends_is_reported(
    run: Callable[..., tuple[int, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read until then, and which streams it did not come to."""
    real = StudioCdr.records

    def records(self: StudioCdr, thing: Any) -> Any:
        if self.run.rows == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        yield from real(self, thing)

    monkeypatch.setattr(StudioCdr, "records", records)
    code, told = run(TapEvolux)
    assert (code, told["exit_code"], told["verdict"], told["signal"]) == (143, 143, "stopped", 15)
    assert told["error"] is None
    assert told["streams"][1]["verdict"] == "stopped"
    assert 5 <= told["streams"][1]["rows"] < 60


def test_a_run_whose_target_is_gone_is_reported(
    run: Callable[..., tuple[int, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error that ends the run as a whole stands in the report, with what to do, and still ends the run."""

    def lost(*_: object) -> None:
        raise OutputLost("standard output could not be written", "it is closed", "Look at the target's own log")

    monkeypatch.setattr("trunkline.steps.write.BlockWriter.write_message", lost)
    with pytest.raises(OutputLost):
        run(TapBSPK)
    told = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (told["verdict"], told["exit_code"], told["error"]["why"]) == ("failed", 1, "it is closed")
    assert told["streams"][0]["verdict"] == "not read"


def test_a_folder_gets_a_file_for_each_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each run's JSON stays; the figures are those of the last run, in one file a tap."""
    folder = tmp_path / "runs"
    folder.mkdir()
    config = {**sandbox.config("bspk"), "run_report": str(folder)}
    for second in (1, 2):
        tap = TapBSPK(config=config, transport=SandboxAdapter(sandbox))
        told = report.build(Run(tap), report.ExitStatus(0), RUN.replace(second=second), RUN, 1.0)
        report.save(told, folder, RUN.replace(second=second))
    names = [re.sub(r"-\d+\.json$", "-PID.json", path.name) for path in sorted(folder.iterdir())]
    assert names == ["tap-bspk-20260301T080001Z-PID.json", "tap-bspk-20260301T080002Z-PID.json", "tap-bspk.prom"]


def test_a_report_that_can_not_be_replaced_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a report is never seen, and nothing is left lying about."""
    path = tmp_path / "run.json"
    path.write_text("the old one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        report._replace(path, b"the new one")
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_can_not_be_written_in_the_end_is_told(
    run: Callable[..., tuple[int, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was read is as good without it: a line says so, and the exit code stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "save", full)
    with pytest.raises(FileNotFoundError):  # there is no report to be looked at
        run(TapBSPK)
    assert "the report of the run could not be written: No space left on device. Check the folder" in caplog.text


@pytest.mark.parametrize("place", ["missing/run.json", "file/run.json", "device", "loop", "x" * 300])
def test_g9_a_path_that_can_not_be_written_is_told_before_the_first_request(place: str, tmp_path: Path) -> None:
    """A folder that is not there, a file in a folder's place, and what must never be replaced by a file."""
    (tmp_path / "file").write_text("")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    schema = {"properties": common()}
    (line,) = settings.errors({"run_report": str(tmp_path / place)}, schema)
    assert line.startswith("run_report must be the path of a folder, or of a file")
    assert settings.errors({"run_report": str(tmp_path / "file")}, schema) == []
    assert settings.errors({"run_report": str(tmp_path)}, schema) == []


def test_hostile_names_are_escaped_in_openmetrics() -> None:
    """Quotes, backslashes and line breaks in a partition's name stay inside its label."""
    name = 'a"b\\nc\nd{}'
    stream = {"stream": "calls", "verdict": "complete", **dict.fromkeys(("rows", "pages", "requests", "retries"), 1)}
    stream |= {"waited_seconds": 0.5, "windows": 1, "to": None, "proven_to": None, "bookmark_after": None}
    told = {
        "tap": "tap-x", "version": "1", "exit_code": 1, "started": "2026-03-01T08:00:00+00:00",
        "ended": "2026-03-01T08:00:01+00:00", "seconds": 1.0, "peak_memory_bytes": None,
        "streams": [{**stream, "partitions": [{**stream, "partition": {"campaign": name}}]}],
    }  # fmt: skip
    numbers = figures(report.openmetrics(told))
    assert numbers["trunkline_partition_rows", "tap-x", "calls", name] == 1
    assert not [key for key in numbers if "memory" in key[0] or "bookmark" in key[0]]  # what is unknown is left out
    assert all(math.isfinite(value) for value in numbers.values())


def test_every_name_of_a_report_is_documented(run: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    """The tables of docs/watching.md name what a report has, and nothing else; and every figure."""
    _, told = run(TapConpeek, voice_campaign_ids=["gone"])
    _, whole = run(TapConpeek)
    page = DOCS.read_text(encoding="utf-8")
    documented = {name for name in re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) if "trunkline_" not in name}
    names = {*told, *told["streams"][0], *told["streams"][0]["failures"][0], *whole["streams"][0]["partitions"][0]}
    assert documented == names
    _, plain = run(TapBSPK)  # a stream without partitions has a bookmark itself
    made = {family.name for told in (whole, plain) for family in families(report.openmetrics(told))}
    # One row stands for a stream and for a partition.
    shown = {
        name.replace("stream|partition", kind)
        for name in re.findall(r"^\| `(trunkline_[\w|\\]+)` \|", page.replace("\\|", "|"), re.MULTILINE)
        for kind in ("stream", "partition")
    }
    assert shown == made


def test_without_the_setting_nothing_is_written(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file, and no figure is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "build", None)
    assert TapBSPK(config=sandbox.config("bspk"), transport=SandboxAdapter(sandbox), run_start=RUN).run() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_plain_json(run: Callable[..., tuple[int, dict[str, Any]]], tmp_path: Path) -> None:
    """Any reader of JSON takes it: UTF-8, indented, ended by a line break."""
    run(TapBSPK)
    content = (tmp_path / "run.json").read_bytes()
    assert content.endswith(b"\n}\n")
    assert msgspec.json.decode(content)["format"] == report.FORMAT
