"""SwitchTransact: what its body says decides before what HTTP says."""

from __future__ import annotations

import gc
import io
import itertools
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from requests.adapters import BaseAdapter, HTTPAdapter
from tests.model.harness import first_streams
from tests.night import NIGHT
from urllib3 import HTTPResponse

from trunkline.errors import ConfigInvalid
from trunkline.steps.write import BlockWriter
from trunkline_sandbox import Fault, Sandbox
from trunkline_sandbox.transport import SandboxAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests


TapSwitchTransact = first_streams("switchtransact")


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


def lookups_of(folder: Path, *rows: tuple[str, str], **more: Any) -> Any:
    """The tap on a sandbox of its own and its output, with a file of lookups."""
    file = folder / "lookups.csv"
    file.write_text("kind,value\n" + "".join(f"{kind},{value}\n" for kind, value in rows), encoding="utf-8")
    sandbox, transport = more.pop("sandbox", None) or Sandbox(size=5), more.pop("transport", None)
    config = {"api_url": sandbox.api_url("switchtransact", "http://127.0.0.1"), "api_key": "sandbox-switchtransact-key"}
    output = io.BytesIO()
    tap = TapSwitchTransact(
        config={**config, "lookups_file": str(file), "requests_per_minute": 1_000_000, "max_attempts": 1, **more},
        transport=transport or SandboxAdapter(sandbox),
        message_writer=BlockWriter(output),
    )
    return tap, output


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def records(output: io.BytesIO, stream: str) -> list[dict[str, Any]]:
    said = [json.loads(line) for line in output.getvalue().splitlines()]
    return [message["record"] for message in said if message["type"] == "RECORD" and message["stream"] == stream]


FORMS = ("0721234567", "+27721234567", "0027 72 123 4567")
HASHED = {"pii": "hash", "pii_key": "a key", "phone_region": "ZA"}


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("forms", list(itertools.permutations(FORMS)))
def test_g1_a_miss_never_overwrites_a_match_under_one_key(
    tmp_path: Path, forms: tuple[str, ...], concurrency: int
) -> None:
    """Ways to write one number are one key once hashed: the last row of it has the match that any of them found."""
    others = [("phone", f"+2772000{number:04d}") for number in range(5)]
    tap, output = lookups_of(tmp_path, *(("phone", form) for form in forms), *others, concurrency=concurrency, **HASHED)
    assert tap.run() == 0
    rows = records(output, "contact_lookups")
    last = {(row["kind"], row["value"]): row for row in rows}
    assert len(last) == 6
    assert [row["contact_id"] for row in last.values() if row["matched"]] == ["2916509f-f188-42d8-ab0e-a27bcb20d70d"]


def test_g1_matches_under_one_key_are_kept_together(tmp_path: Path) -> None:
    """Two ways to write a number that find different contacts make one row with both; in clear there are two rows."""
    sandbox = Sandbox(size=5)
    twin = {"id": "national", "firstname": "J", "lastname": "M", "mobilephone": "0721234567"}
    sandbox.upsert("switchtransact", "contacts", [twin])
    rows = [("phone", "+27721234567"), ("phone", "0721234567")]
    tap, output = lookups_of(tmp_path, *rows, sandbox=sandbox, **HASHED)
    assert tap.run() == 0
    last = records(output, "contact_lookups")[-1]
    assert last["contact_ids"] == ["2916509f-f188-42d8-ab0e-a27bcb20d70d", "national"]
    assert (last["matched"], last["contact_id"]) == (True, None)
    tap, output = lookups_of(tmp_path, *rows, sandbox=sandbox)
    assert tap.run() == 0
    assert [row["contact_ids"] for row in records(output, "contact_lookups")] == [last["contact_ids"][:1], ["national"]]


class Same(BaseAdapter):
    """Answers every request alike, and remembers none.

    Args:
        status: HTTP status.
        answer: Makes the body of what was looked up.
    """

    def __init__(self, status: int, answer: Callable[[str], Any]) -> None:
        super().__init__()
        self._status, self._answer, self._builder = status, answer, HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """The answer."""
        body = json.dumps(self._answer((request.url or "").rpartition("=")[2])).encode()
        raw = HTTPResponse(io.BytesIO(body), status=self._status, preload_content=False, decode_content=False)
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize("status", [200, *([422] if NIGHT else [])])  # a minute: at night
def test_g5_memory_does_not_grow_with_the_lookups(tmp_path: Path, status: int) -> None:
    """A lookup leaves some bytes behind, whether it finds a contact or fails: no part, feed or error of its own."""
    answers: dict[int, Callable[[str], Any]] = {
        200: lambda value: {"status": True, "contact": {"id": f"id of {value}", "mobilephone": value}},
        422: lambda _: {"message": "no"},
    }
    kept = []
    for count in (50, 300, 1_300):  # the first also imports what is imported late
        rows = [("phone", f"+2772{number:07d}") for number in range(count)]
        tap, output = lookups_of(
            made(tmp_path / str(count)), *rows, transport=Same(status, answers[status]), pii="clear"
        )
        output.write = len  # what is written is the target's
        tracemalloc.start()
        try:
            assert tap.run() == (0 if status == 200 else 1)
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert kept[2] - kept[1] < 1_000 * 150


def test_g8_many_failing_lookups_are_told_by_the_first_and_their_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the last lines would be thousands."""
    sandbox = Sandbox(size=5)
    sandbox.faults.add(Fault("status", status=422))
    tap, _ = lookups_of(tmp_path, *(("phone", f"+2772{number:07d}") for number in range(300)), sandbox=sandbox)
    assert tap.run() == 1
    told = [message for message in caplog.messages if "more failed" in message]
    assert told == [f"{name}: 280 more failed, as those above" for name in ("contacts", "contact_lookups")]
    assert len(caplog.messages) < 100


def test_g9_many_bad_rows_are_told_by_the_first_and_their_number(tmp_path: Path) -> None:
    """20,000 rows of a file that are no lookups are a few lines, with the lines of the file and the count."""
    with pytest.raises(ConfigInvalid) as caught:
        lookups_of(tmp_path, *[("fax", "1")] * 19_999, ("phone", ""), ("phone", "+1"), page_size=5)
    assert caught.value.errors == [
        "page_size is no setting of this tap",
        *[f"lookups_file, line {line}: kind must be phone, email or term" for line in range(2, 7)],
        "lookups_file: 19995 more like the 5 above, 20000 in all",
    ]


def test_a_file_that_changes_under_a_run_fails_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is read again, row by row: what is no lookup by then is named, and the run is not called complete."""
    tap, _ = lookups_of(tmp_path, ("phone", "+1"))
    (tmp_path / "lookups.csv").write_text("kind,value\nphone,+1\nfax,1\n", encoding="utf-8")
    assert tap.run() == 1
    assert "lookups_file, line 3: kind must be phone" in caplog.messages[-1]
