"""`trunkline doctor`: examines a real account: whether the facts that its tap rests on hold."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from trunkline import sdk
from trunkline.doors.failures import error_lines
from trunkline.doors.vendors import vendor_taps
from trunkline.errors import TrunklineError
from trunkline.redact import redactor
from trunkline_commands.doctor.examination import Examination
from trunkline_commands.doctor.finding import VERDICTS

if TYPE_CHECKING:
    from trunkline.doors.command import VendorTap


_CONFIG = click.Option(["--config"], multiple=True)


@click.command("doctor")
@click.argument("tap")
@click.option(
    "--config", "configs", required=True, multiple=True, help="A file with the tap's config, or ENV; several."
)
@click.option("--state", type=click.File(encoding="utf-8"), help="A state of the tap: where it stands there are rows.")
@click.option(
    "--json", "evidence", type=click.Path(path_type=Path), help="Write the evidence, fit for a public report."
)
def command(tap: str, configs: tuple[str, ...], state: IO[str] | None, evidence: Path | None) -> int:
    """Check on a real account, read only, each doubtful fact of the vendor's page. TAP is a name such as tap-evolux.

    Exit code 0: nothing is refuted; 3: something is; 1: nothing could be checked.
    """
    sdk.prepare_process(tap)
    try:
        examination = Examination(_tap(tap, configs, state))
    except click.ClickException:
        raise
    except Exception as wrong:  # noqa: BLE001 - whatever a config may hold: as the tap words it
        for line in error_lines(wrong):
            click.echo(redactor(line), err=True)
        return 1
    limit = examination.tap.limit or "none is documented"
    click.echo(f"at most {examination.most} requests, read only, within the vendor's limit ({limit})")
    examination.run()
    for finding in examination.findings:
        click.echo(redactor(str(finding)))
    counts = ", ".join(f"{sum(one.verdict == name for one in examination.findings)} {name}" for name in VERDICTS)
    click.echo(f"{examination.line.meter.sent} requests: {counts}")
    if examination.denied:
        click.echo(f"nothing could be checked: {examination.denied}", err=True)
    elif examination.code == 1:
        click.echo("nothing could be checked: no request succeeded. Check api_url and the network", err=True)
    if evidence:
        try:
            evidence.write_text(json.dumps(as_evidence(examination), indent=2) + "\n", encoding="utf-8")
        except OSError as wrong:
            click.echo(f"the evidence could not be written: {wrong.strerror}. Name another file after --json", err=True)
            return 1
    return examination.code


def _tap(name: str, configs: tuple[str, ...], state: IO[str] | None) -> VendorTap:
    """Make the tap.

    Raises:
        TrunklineError: There is no such tap, or the state can't be read.
        BadParameter: A config can't be read.
    """
    taps = {found.name: found for found in vendor_taps().values()}
    if name not in taps:
        why = f"the installed ones are {', '.join(taps)}"
        raise TrunklineError(
            f"there is no tap {name!r}", why, "Install the package that brings it", code="not-installed"
        )
    context = click.get_current_context()
    given = taps[name].cb_config(context, _CONFIG, configs)
    return taps[name](config=given.config, state=sdk.read_json("state", state), parse_env_config=given.parse_env)


def _clean(value: Any) -> Any:
    """Redact secrets in each text of the evidence."""
    if isinstance(value, dict):
        return {name: _clean(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return redactor(value) if isinstance(value, str) else value


def as_evidence(examination: Examination) -> dict[str, Any]:
    """Return the findings and requests, without credentials, addresses, ids, values or instants of rows."""
    tap = examination.tap
    found: dict[str, Any] = {
        "tap": tap.name,
        "trunkline": metadata.version("trunkline"),
        "day": datetime.now(timezone.utc).date().isoformat(),
        "at_most": examination.most,
        "requests_sent": examination.line.meter.sent,
        "could_ask": examination.code != 1,
        "findings": [finding.as_evidence() for finding in examination.findings],
        "requests": [vars(note) for note in examination.line.notes],
    }
    return {name: _clean(value) for name, value in found.items()}
