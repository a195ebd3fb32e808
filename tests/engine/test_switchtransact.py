"""SwitchTransact: what its body says decides before what HTTP says."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tap_switchtransact import TapSwitchTransact
from trunkline.errors import ConfigInvalid
from trunkline.write import BlockWriter
from trunkline_sandbox import Fault, Sandbox
from trunkline_sandbox.transport import SandboxAdapter


def looked_up(fault: Fault) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and the lookups that were written, of a run whose every answer is the fault's."""
    sandbox = Sandbox(size=5)
    sandbox.faults.add(fault)
    output = io.BytesIO()
    config = {**sandbox.config("switchtransact", "http://127.0.0.1:1"), "emails": [], "terms": [], "max_attempts": 1}
    tap = TapSwitchTransact(
        config={**config, "phones": ["+27721234567"]},
        transport=SandboxAdapter(sandbox),
        message_writer=BlockWriter(output),
    )
    code = tap.run()
    said = [json.loads(line) for line in output.getvalue().splitlines()]
    return code, [m["record"] for m in said if m["type"] == "RECORD" and m["stream"] == "contact_lookups"]


@pytest.mark.parametrize("status", [200, 404])
def test_g2_not_found_is_an_answer_whatever_status_it_comes_with(status: int) -> None:
    """`{"status": false}` says that there is no such contact, and the lookup is on record as one without a match."""
    code, rows = looked_up(Fault("status", status=status, body='{"status": false}'))
    assert code == 0
    assert [(row["matched"], row["contact_id"]) for row in rows] == [(False, None)]


@pytest.mark.parametrize("body", ["Not Found", '{"status": false, "error": "no such path"}', "[]"])
def test_g2_a_404_with_another_body_is_no_miss(body: str) -> None:
    """A wrong address answers 404 too: that fails, and no lookup is recorded as one without a match."""
    assert looked_up(Fault("status", status=404, body=body)) == (1, [])


@pytest.mark.parametrize("status", [401, 403])
def test_g6_a_refused_key_is_knocked_with_once_whatever_the_body_says(status: int) -> None:
    """A 401, or a 403 before any success, is about the key, also when the body gives another reason."""
    sandbox = Sandbox(size=5)
    sandbox.faults.add(Fault("status", status=status, body='{"status": false, "error": "Invalid key"}'))
    config = {**sandbox.config("switchtransact", "http://127.0.0.1:1"), "phones": ["+27721234567", "+27721234568"]}
    tap = TapSwitchTransact(config=config, transport=SandboxAdapter(sandbox), message_writer=BlockWriter(io.BytesIO()))
    assert tap.run() == 1
    assert len(sandbox.requests.of("switchtransact")) == 1


def test_g10_a_blank_lookup_is_an_error() -> None:
    """It can't be looked up, and leaving it out would be silent: told with its place, before any request."""
    sandbox = Sandbox(size=5)
    config = {**sandbox.config("switchtransact", "http://127.0.0.1:1"), "phones": ["+27721234567", " "], "terms": [" "]}
    with pytest.raises(ConfigInvalid) as caught:
        TapSwitchTransact(config=config)
    assert caught.value.errors == ["phones[1] must not be blank", "terms[0] must not be blank"]


def test_g7_a_refusal_does_not_repeat_what_was_looked_up(caplog: pytest.LogCaptureFixture) -> None:
    """The vendor's reason for its "Not authorized" is shown, without the value that it quotes."""
    said = "Not authorized to look up &lt;+27721234567&gt; %2B27721234567. Requesting Read on General."
    sandbox = Sandbox(size=5)
    sandbox.faults.add(Fault("status", status=200, body=json.dumps({"status": False, "error": said})))
    config = {**sandbox.config("switchtransact", "http://127.0.0.1:1"), "emails": [], "terms": []}
    tap = TapSwitchTransact(
        config={**config, "phones": ["+27721234567"]},
        transport=SandboxAdapter(sandbox),
        message_writer=BlockWriter(io.BytesIO()),
    )
    assert tap.run() == 1
    assert "Requesting Read on General" in caplog.text
    assert "721234567" not in caplog.text
