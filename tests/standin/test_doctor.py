"""`trunkline doctor`, installed, against stand-ins: what a vendor does otherwise is named, with the setting."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests import starts
from tests.standin.servers import UTC, Bspk, Conpeek, Evolux, HostedSuite
from tests.standin.wire import BIN, PATIENCE, reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.standin.conftest import Serve
    from tests.standin.wire import Seen, StandIn

NOW = datetime.now(UTC).replace(microsecond=0)
HOURS = [NOW - timedelta(hours=3 * n + 1, minutes=n) for n in range(120)]


class Found:
    """How the doctor ended, and what it wrote."""

    def __init__(self, folder: Path, vendor: StandIn, tap: str, config: Mapping[str, Any], *more: str) -> None:
        config_file, evidence = folder / "config.json", folder / "evidence.json"
        config_file.write_text(json.dumps(config))
        command = [str(BIN / "trunkline"), "doctor", f"tap-{tap}", "--config", str(config_file)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TAP_")}
        process = starts.start(
            [*command, "--json", str(evidence), *more],
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out, self.err = process.communicate(timeout=PATIENCE)
        self.code, self.text = process.returncode, evidence.read_text()
        self.evidence: dict[str, Any] = json.loads(self.text)
        self.sent = len(vendor.seen)
        first, *_, last = self.out.splitlines()
        most = int(first.split()[2])
        assert first.startswith(f"at most {most} requests, read only, within the vendor's limit")
        assert last.startswith(f"{self.evidence['requests_sent']} requests: ")
        assert self.sent <= self.evidence["requests_sent"] <= most <= 40
        assert "Traceback" not in self.err

    def line(self, place: str) -> str:
        """The line of a stream and a fact."""
        lines: list[str] = self.out.splitlines()
        return next(line for line in lines if f"  {place}: " in line)

    def named(self, fact: str) -> dict[str, str]:
        """The first refuted finding of a fact."""
        findings: list[dict[str, str]] = self.evidence["findings"]
        return next(one for one in findings if one["fact"] == fact and one["verdict"] == "refuted")


def calls() -> list[dict[str, Any]]:
    """Calls of Evolux over two weeks."""
    return [Evolux.call(n, at, uuid=f"u-{n}") for n, at in enumerate(HOURS)]


def test_evolux_with_another_key_of_details_and_a_cap(serve: Serve, tmp_path: Path) -> None:
    """The detail's number and the cap of a page are found, each with its setting; 3 is the exit code."""
    vendor = serve(Evolux(calls()))
    vendor.detail_by, vendor.cap = "uuid", 20
    found = Found(tmp_path, vendor, "evolux", vendor.config("2020-01-01"))
    assert found.code == 3
    assert found.named("detail-key")["value"] == "uuid"
    assert found.line("studio_calls, page-size").endswith("Set page_size to 20")
    assert vendor.token not in found.text + found.out + found.err
    assert not any(row["uuid"] in found.text for row in vendor.rows)


def test_hostedsuite_with_other_dates_and_another_zone(serve: Serve, tmp_path: Path) -> None:
    """The form of dates that the filter reads is found, and times ahead of the clock show the zone."""
    rows = [HostedSuite.call(n, at) for n, at in enumerate([NOW - timedelta(minutes=3), *HOURS])]
    vendor = serve(HostedSuite(rows))
    vendor.filter_format, vendor.zone, vendor.base = "us24", "Asia/Tokyo", 1
    found = Found(tmp_path, vendor, "hostedsuite", vendor.config("2020-01-01"))
    assert found.code == 3
    assert found.named("filter") | {"setting": "filter_date_format", "value": "us24"} == found.named("filter")
    assert found.named("zone")["setting"] == "timezone"
    assert found.line("calls, pages").startswith("confirmed")
    assert "CALL" not in found.text


def test_bspk_that_filters_by_the_creation(serve: Serve, tmp_path: Path) -> None:
    """Rows with both times show which one counts, and how far back is to be read."""
    vendor = serve(Bspk([Bspk.call(n, at) for n, at in enumerate(HOURS)]))
    late = [at.strftime("%Y-%m-%dT%H:%M:%S.000Z") for at in HOURS]
    vendor.lists["appointments"] = [
        {**Bspk.call(n, at), "updated_at": late[max(0, n - 30)], "title": "A private matter"}
        for n, at in enumerate(HOURS)
    ]
    found = Found(tmp_path, vendor, "bspk", vendor.config())
    assert found.code == 3
    assert found.named("filter-time")["setting"] == "lookback"
    assert found.named("filter-time")["value"] in {"P5D", "P6D"}
    assert "Private" not in found.text


@pytest.mark.parametrize(("ignored", "fact"), [({"state"}, "combine"), ({"created_date"}, "filter")])
def test_conpeek_whose_filters_do_not_combine(serve: Serve, tmp_path: Path, ignored: set[str], fact: str) -> None:
    """A filter that another one switches off is no filter."""
    rows = [Conpeek.request(n, at, None if n % 5 == 0 else at + timedelta(hours=1)) for n, at in enumerate(HOURS)]
    vendor = serve(Conpeek(rows))
    vendor.ignored = ignored
    found = Found(tmp_path, vendor, "conpeek", vendor.config(start_date="2020-01-01"))
    assert found.code == 3
    assert found.named(fact)["stream"].startswith("voice_campaign_requests")


def test_g6_credentials_that_are_refused(serve: Serve, tmp_path: Path) -> None:
    """A 401 ends it with 1, before a second request; nothing is refuted by it."""
    vendor = serve(Evolux(calls()))
    vendor.faults.append(lambda _n, _request: reply({"meta": {"status": 401, "message": "token"}}, 401))
    found = Found(tmp_path, vendor, "evolux", vendor.config("2020-01-01"))
    assert (found.code, found.evidence["requests_sent"], found.evidence["could_ask"]) == (1, 1, False)
    assert "refuted" not in {one["verdict"] for one in found.evidence["findings"]}
    assert "Check api_token" in found.err


def test_one_route_that_may_not_be_read(serve: Serve, tmp_path: Path) -> None:
    """A 403 is that route's line; what others show is not touched by it."""
    vendor = serve(Evolux(calls()))
    vendor.denied = {"/api/v1/agents"}

    def forbid(_: int, request: Seen) -> Any:
        return reply({"meta": {"status": 403, "message": "Forbidden"}}, 403) if "agents" in request.path else None

    vendor.faults.append(forbid)
    found = Found(tmp_path, vendor, "evolux", vendor.config("2020-01-01"))
    assert found.code == 3
    assert found.line("agents, route").startswith("refuted")
    assert found.line("studio_calls, route").startswith("confirmed")
