"""A tap's frame: config and state judged before the first request, errors told in lines."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_bspk import TapBSPK
from tap_evolux import TapEvolux
from trunkline import signals
from trunkline.doors.docs import stream_facts
from trunkline.doors.failures import exit_with_one_line
from trunkline.doors.vendors import vendor_taps
from trunkline.errors import ConfigInvalid, StateInvalid, Stopped, Unavailable
from trunkline.facts import text
from trunkline.redact import MASK, redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOGGER = logging.getLogger("trunkline.tests")
CONFIG = {"api_url": "https://vendor.example", "api_token": "sesame-evolux", "start_date": "2026-01-01"}


def test_wrong_settings_are_told_together_and_before_anything_else() -> None:
    """A line each, and never a value."""
    with pytest.raises(ConfigInvalid) as caught:
        TapEvolux(config={**CONFIG, "api_tokn": "sesame-other", "page_size": 51, "lookback": "sesame"})
    lines = caught.value.errors
    assert len(lines) == 3
    assert "sesame" not in "".join(lines)


def test_g9_settings_that_contradict_each_other() -> None:
    """Each right for itself, and wrong together."""
    for more, line in (
        ({"end_date": "2026-01-01"}, "end_date must be later than start_date"),
        ({"start_date": "2026-01-01T01:00:00+02:00", "end_date": "2025-12-31T23:00:00Z"}, "end_date must be later"),
        ({"pii": "hash"}, "pii_key must be set when pii is hash"),
    ):
        with pytest.raises(ConfigInvalid, match=line):
            TapEvolux(config={**CONFIG, **more})


@pytest.mark.parametrize("vendor", sorted(vendor_taps("trunkline")))
@pytest.mark.parametrize("config", [{}, {"api_url": "https://vendor.example:port", "lookback": 5, "pii": []}])
def test_g9_discovery_takes_any_config(
    vendor: str, config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Meltano discovers before it runs: the run then says what is missing, instead of a fault in discovery."""
    tap = vendor_taps("trunkline")[vendor]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        tap.cli(["--config", str(tmp_path / "config.json"), "--discover"])
    assert ended.value.code == 0
    catalog = json.loads(capsys.readouterr().out)
    kinds: list[Any] = [*tap.stream_types]  # the SDK types their names for instances
    needy = {kind.name for kind in kinds if kind.needs}
    assert {entry["stream"] for entry in catalog["streams"]} == {
        stream.name for stream in stream_facts(tap)
    } - needy | {"window_proofs"}


def test_defaults_are_filled_in_and_not_shared() -> None:
    """A tap sees every setting that has a default; null means "not set"."""
    tap = TapEvolux(config={**CONFIG, "window": None})
    assert (tap.config["window"], tap.config["page_size"], tap.config["concurrency"]) == ("P1D", 50, 8)
    assert "end_date" not in tap.config


def test_g7_secrets_are_masked_from_the_first_line_on() -> None:
    """Known to the redactor before anything can be logged, also when the rest of the config is wrong."""
    with pytest.raises(ConfigInvalid):
        TapEvolux(config={**CONFIG, "api_token": "sesame-of-a-wrong-config", "page_size": 0})
    assert redactor("token sesame-of-a-wrong-config") == f"token {MASK}"


def test_g9_the_environment_is_read_in_the_types_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is a list, a number a number, when the user asked for the environment."""
    for name, value in {"AUTH_TOKEN": "sesame-bspk", "CONCURRENCY": "4", "CLIENT_IDS": "a,b", "PAGE_SIZE": ""}.items():
        monkeypatch.setenv(f"TAP_BSPK_{name}", value)
    tap = TapBSPK(config={}, parse_env_config=True)
    assert (tap.config["concurrency"], tap.config["client_ids"], tap.config["page_size"]) == (4, ["a", "b"], 100)


def test_a_state_that_is_none_is_refused() -> None:
    """Before the first request, with what to do."""
    with pytest.raises(StateInvalid, match="no 'bookmarks'"):
        TapEvolux(config=CONFIG, state={"studio_calls": {}})


def test_a_state_in_another_wrapping_is_taken() -> None:
    """What Meltano prints, or a whole STATE line."""
    entry: dict[str, Any] = {"replication_key": "start_time", "replication_key_value": "2026-01-02"}
    state = {"bookmarks": {"studio_calls": {**entry, "account": {"api_url": CONFIG["api_url"]}}}}
    for given in (state, {"singer_state": state}, {"type": "STATE", "value": state}):
        assert TapEvolux(config=CONFIG, state=given).state == state


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            ConfigInvalid(["a must be x", "b must be y"]),
            1,
            ["a must be x", "b must be y", "2 settings are wrong: a must be x; b must be y"],
        ),
        (ConfigValidationError("x", errors=["c is wrong"]), 1, ["c is wrong"]),
        (StateInvalid("the state", "why", "Do this"), 1, ["the state: why. Do this"]),
        (Unavailable("calls failed", "why", "Run again"), 1, ["calls failed: why. Run again"]),
        (ZeroDivisionError("oh"), 1, ["unexpected ZeroDivisionError: oh"]),
        (Stopped(15), 143, []),
        (Stopped(2), 130, []),
        (KeyboardInterrupt(), 130, []),
    ],
)
def test_g9_an_error_is_told_in_lines_and_not_in_a_traceback(
    error: BaseException,
    code: int,
    words: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each line is one sentence, and the exit code says how it ended; a signal ends the process itself."""
    monkeypatch.setattr(signals, "end_by", lambda number: sys.exit(128 + number))  # of this process
    with pytest.raises(SystemExit) as caught, caplog.at_level(logging.INFO), exit_with_one_line(LOGGER):
        raise error
    assert caught.value.code == code
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(words)
    assert all(line.startswith(start) for line, start in zip(lines, words, strict=True))
    assert "Traceback" not in caplog.text


def test_g9_the_traceback_is_there_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """At log level DEBUG."""
    with pytest.raises(SystemExit), caplog.at_level(logging.DEBUG), exit_with_one_line(LOGGER):
        raise ZeroDivisionError
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "error", [lambda: SystemExit(3), lambda: click.UsageError("x"), lambda: click.exceptions.Exit(0)]
)
def test_an_exit_on_purpose_passes(error: Callable[[], BaseException]) -> None:
    """Click and sys.exit know what they do."""
    raised: Any = error()
    with pytest.raises(type(raised)), exit_with_one_line(LOGGER):
        raise raised


def test_g7_every_base_url_is_checked_and_known_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second address has the rules of `api_url`: TLS but for this machine, and proxies that are addresses."""

    class TapTwoHosts(TapEvolux):
        settings = {**TapEvolux.settings, "identity_url": text("Address of the identity host.", format="url")}  # noqa: RUF012

    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for wrong in ("http://identity.example", "https://user:sesame@identity.example", "identity.example"):
        with pytest.raises(ConfigInvalid, match=r"^config is not valid: identity_url must"):
            TapTwoHosts(config={**CONFIG, "identity_url": wrong})
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    with pytest.raises(ConfigInvalid) as caught:
        TapTwoHosts(config={**CONFIG, "identity_url": "https://identity.example"})
    assert len(caught.value.errors) == 1
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    bases = TapTwoHosts(config={**CONFIG, "identity_url": "http://127.0.0.1:9"}).client.exchanges.bases
    assert (bases["identity_url"].url, bases["api_url"].url) == ("http://127.0.0.1:9", CONFIG["api_url"])
    assert not bases["identity_url"].proxies
    assert bases["api_url"].proxies["https"] == "http://proxy.example:3128"


def test_a_vendors_hint_wins_over_the_general_one() -> None:
    """What to do about a status is the vendor's to say, where it has said it."""
    tap = TapEvolux(config=CONFIG)
    assert tap.hint(401) == "Check api_token"
    assert "api_url" in tap.hint(404)
    assert tap.hint(599) == ""


def test_g9_everything_that_is_wrong_is_told_at_once() -> None:
    """A misspelt setting, two that exclude each other and dates in the wrong order are three lines of one error."""
    config = {
        "auth_token": "t",
        "client_ids": ["a"],
        "sales_associate_ids": ["b"],
        "concurency": 3,
        "start_date": "2026-02-01",
        "end_date": "2026-01-01",
    }
    with pytest.raises(ConfigInvalid) as caught:
        TapBSPK(config=config)
    assert [line.split()[0] for line in caught.value.errors] == ["concurency", "end_date", "client_ids"]
    assert "did you mean concurrency?" in caught.value.errors[0]
