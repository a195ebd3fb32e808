"""What a backfill's settings file says, and what can't be said in one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from trunkline_orchestrate import sources
from trunkline_orchestrate.errors import SettingsInvalid

from trunkline.doors.vendors import vendor_taps
from trunkline.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trunkline_orchestrate.sources import Settings

    Make = Callable[..., Settings]
    Config = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"since": "soon"}, "since of bspk can't be read"),
        ({"span": "P1M"}, "span of bspk can't be read"),
        ({"workers": 0}, "workers can't be used"),
        ({"folders": "x"}, "the settings can't have folders"),
        ({"target": {"command": "target-duckdb"}}, "`command` must be a list"),
        ({"sources": {}}, "name no sources"),
        ({"sources": {"acme": {}}}, "no vendor 'acme'"),
        ({"sources": {"Bspk!": {"vendor": "bspk"}}}, "can't be called"),
    ],
    ids=str,
)
def test_g9_wrong_settings_are_told(settings: Make, config: Config, change: dict[str, Any], said: str) -> None:
    """What is wrong with the settings is one sentence that names the setting."""
    with pytest.raises(SettingsInvalid, match=said):
        settings({"bspk": config("bspk")}, **change)


def test_g7_wrong_config_of_a_source_names_no_secret(settings: Make, config: Config) -> None:
    """A source's config is checked as its tap checks it, and no value is shown; nor is one in a repr."""
    with pytest.raises(ConfigInvalid, match="source bspk: auth_token must be") as caught:
        settings({"bspk": {**config("bspk"), "auth_token": "a secret\n"}})
    assert "a secret" not in str(caught.value)
    made = settings({"bspk": {**config("bspk"), "auth_token": "a-secret"}})
    assert "a-secret" not in repr(made)


def test_several_writers_at_one_duckdb_file_are_refused(settings: Make, config: Config) -> None:
    """DuckDB lets one process write: more units at once are refused before the first, with what to do instead."""
    both = {"bspk": config("bspk"), "evolux": config("evolux")}
    with pytest.raises(SettingsInvalid, match="PostgreSQL"):
        settings(both, workers=2)
    apart = {"command": ["target-duckdb"], "config": {"path": "{source}.duckdb"}}
    assert settings(both, workers=2, target=apart).workers == 2
    with pytest.raises(SettingsInvalid, match="more than one writer"):
        settings({}, workers=2, target=apart, sources={"evolux": {"config": both["evolux"], "limit": 2}})


def test_two_accounts_of_a_vendor_are_two_sources(settings: Make, config: Config, monkeypatch: Any) -> None:
    """A source may have a name of its own, and take a secret from a variable."""
    monkeypatch.setenv("NORTH_TOKEN", "north")
    raw = {"vendor": "bspk", "config": {**config("bspk"), "auth_token": "${NORTH_TOKEN}"}}
    made = settings({}, sources={"north": raw, "south": {"vendor": "bspk", "config": config("bspk")}})
    assert made.sources["north"].config["auth_token"] == "north"
    assert made.target.of(made.sources["north"]).config == {
        **(made.target.config or {}),
        "default_target_schema": "tap_bspk",
    }
    monkeypatch.delenv("NORTH_TOKEN")
    with pytest.raises(SettingsInvalid, match="NORTH_TOKEN is not set"):
        settings({}, sources={"north": raw})


def test_settings_of_taps_come_from_the_environment(settings: Make, config: Config, monkeypatch: Any) -> None:
    """What the file does not say of a tap is taken from the variables that the tap itself knows."""
    monkeypatch.setenv("TAP_BSPK_AUTH_TOKEN", "from-outside")
    values = config("bspk")
    del values["auth_token"]
    assert settings({"bspk": values}).sources["bspk"].config["auth_token"] == "from-outside"


def test_vendor_of_another_package_is_a_source(settings: Make, config: Config, monkeypatch: Any) -> None:
    """Vendors are found by their entry point: one more needs no line here."""
    taps = vendor_taps()
    monkeypatch.setattr("trunkline_orchestrate.sources.vendor_taps", lambda: {**taps, "acme": taps["bspk"]})
    assert settings({"acme": config("bspk")}).sources["acme"].dated


def test_fingerprint_follows_what_is_read_and_not_the_credentials(settings: Make, config: Config) -> None:
    """New credentials or another rate go on with what is done; another account, filter or database does not."""

    def mark(target: dict[str, Any] | None = None, **more: Any) -> str:
        made = settings({"bspk": {**config("bspk"), **more}}, **({"target": target} if target else {}))
        return sources.fingerprint(made.sources["bspk"], made.target)

    assert mark() == mark(auth_token="another") == mark(requests_per_minute=5)
    assert mark() != mark(client_ids=["7"])
    urls = [f"postgresql://{user}@{host}/calls" for user, host in (("a:1", "one"), ("b:2", "one"), ("a:1", "two"))]
    first, second, third = (mark({"command": ["target-postgres"], "config": {"sqlalchemy_url": url}}) for url in urls)
    assert first == second != third


def test_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    """A settings file that can't be read is an error that says so."""
    path = tmp_path / "backfill.json"
    with pytest.raises(SettingsInvalid, match="No such file"):
        sources.load(path)
    path.write_text("{")
    with pytest.raises(SettingsInvalid, match="no JSON"):
        sources.load(path)
    path.write_text(json.dumps([]))
    with pytest.raises(SettingsInvalid, match="JSON object"):
        sources.load(path)
