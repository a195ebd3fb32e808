"""`trunkline doctor` at stand-ins that know neither it nor the taps: each switch is named, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.standin.test_common import build

if TYPE_CHECKING:
    from tests.standin.conftest import Serve
    from tests.standin.wire import Taps


class Case(NamedTuple):
    """A stand-in with switches, and the facts that do not hold then, each with the end of its line."""

    tap: str
    switches: dict[str, Any]
    config: dict[str, Any]
    refuted: dict[str, str]


NOTHING = "Cost: nothing: windows overlap by a minute, and rows that come twice have one key"
FAILS = "Cost: the stream fails, as no window can be shown complete"
ENDS = {"lower-end": NOTHING, "upper-end": NOTHING}
CASES = {
    "bspk": Case("bspk", {}, {}, {}),
    "bspk, a cap": Case("bspk", {"cap": 4}, {}, {"page-size": "Set page_size to 4"}),
    "bspk, no filter": Case("bspk", {"ignores_filter": True}, {}, {"filter": FAILS}),
    "bspk, exclusive": Case("bspk", {"exclusive": True}, {}, ENDS),
    "conpeek": Case("conpeek", {}, {}, {}),
    "conpeek, a cap": Case("conpeek", {"cap": 5}, {}, {"page-size": "Set page_size to 5"}),
    "conpeek, one filter alone": Case("conpeek", {"ignored": {"state"}}, {}, {"combine": FAILS}),
    "evolux": Case("evolux", {}, {}, {}),
    "evolux, by uuid": Case("evolux", {"detail_by": "uuid"}, {}, {"detail-key": "Set cdr_call_id to uuid"}),
    "evolux, a cap": Case("evolux", {"cap": 5}, {}, {"page-size": "Set page_size to 5"}),
    "evolux, a wrong total": Case("evolux", {"total": lambda true: true + 3}, {}, {"total": FAILS}),
    "evolux, exclusive": Case("evolux", {"exclusive": True}, {}, ENDS),
    "hostedsuite": Case("hostedsuite", {}, {}, {}),
    "hostedsuite, pages from 1": Case(
        "hostedsuite", {"base": 1}, {"first_page": "0"}, {"pages": "Set first_page to 1"}
    ),
    "hostedsuite, pages from 0": Case(
        "hostedsuite", {"base": 0}, {"first_page": "1"}, {"pages": "Set first_page to 0"}
    ),
    "hostedsuite, found out": Case("hostedsuite", {"base": 1}, {}, {}),
    "hostedsuite, American": Case(
        "hostedsuite", {"filter_format": "us"}, {}, {"filter": "Set filter_date_format to us"}
    ),
    "hostedsuite, a cap": Case("hostedsuite", {"cap": 3}, {}, {"page-size": "Set page_size to 3"}),
    "switchtransact": Case("switchtransact", {}, {}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_g2_each_switch_of_a_stand_in_is_named_and_nothing_else(serve: Serve, run: Taps, name: str) -> None:
    """What does not hold is refuted, with the setting to change; fewer requests are sent than were announced."""
    case = CASES[name]
    vendor, config = build(serve, case.tap)
    for switch, value in case.switches.items():
        setattr(vendor, switch, value)
    command = [str(Path(sys.executable).with_name("trunkline")), "doctor", f"tap-{case.tap}"]
    done = subprocess.run(
        [*command, "--config", run.file({**config, **case.config})],
        env=run.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    head, *lines = done.stdout.splitlines()
    found = {line.partition(": ")[0].rpartition(", ")[2]: line for line in lines if line.startswith("refuted ")}
    assert found.keys() == case.refuted.keys(), done.stdout
    assert all(found[fact].endswith(end) for fact, end in case.refuted.items()), found
    assert done.returncode == (3 if case.refuted else 0), done.stderr
    assert 0 < len(vendor.seen) <= int(head.split()[2])
