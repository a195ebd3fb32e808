"""Settings: read in the type they have, and judged in one line each that never shows a value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.facts import array, common, text
from trunkline.facts import config as settings

if TYPE_CHECKING:
    from pathlib import Path

COMMON = common(lookback="P1D", window="P30D", page_size=50, max_page_size=100)
PROPERTIES = {
    **COMMON,
    "api_url": text("Address.", format="url"),
    "api_token": text("Token.", secret=True),
    "ids": array("Ids."),
    "filter": array("Filters.", {"type": "object"}),
    "flag": {"type": "boolean"},
    "timezone": text("Zone.", format="zone"),
}
SCHEMA = {"properties": PROPERTIES, "required": ["api_url", "api_token"]}
GOOD = {"api_url": "https://vendor.example/x", "api_token": "t"}


def errors(**config: Any) -> list[str]:
    return settings.errors({**GOOD, **config}, SCHEMA, "TAP_X_")


def test_a_good_config_has_no_errors() -> None:
    """Every setting in its usual form is taken."""
    assert errors(
        start_date="2026-01-31", end_date="2026-01-31T08:00:00Z", lookback="P7D", window="PT6H", page_size=100,
        concurrency=64, requests_per_minute=0.5, request_timeout=60, max_attempts=1, unknown_fields="drop", pii="hash",
        pii_key="k", phone_region="PL", user_agent="me/1.0", ids=["a"], filter=[{}], flag=False,
        timezone="Europe/Warsaw",
    ) == []  # fmt: skip
    assert errors(start_date=None) == []


BAD: list[tuple[str, Any, str]] = [
    ("start_date", "yesterday", "an ISO 8601 date"),
    ("start_date", 20260131, "an ISO 8601 date"),
    ("lookback", "7 days", "an ISO 8601 duration"),
    ("lookback", "P1M", "an ISO 8601 duration"),
    ("lookback", "P99999999999D", "an ISO 8601 duration"),
    ("window", "PT0S", "at least 1 s"),
    ("window", "P99999D", "at most 36500 days"),
    ("page_size", 0, "an integer from 1 to 100"),
    ("page_size", 101, "an integer from 1 to 100"),
    ("page_size", "50", "an integer"),
    ("page_size", True, "an integer"),
    ("concurrency", 65, "an integer from 1 to 64"),
    ("concurrency", 1.5, "an integer"),
    ("requests_per_minute", 0, "a number above 0"),
    ("request_timeout", -1, "a number above 0"),
    ("max_attempts", 0, "an integer from 1"),
    ("unknown_fields", "ignore", "one of keep, drop, fail"),
    ("pii", "yes", "one of clear, hash, drop"),
    ("phone_region", "Poland", "two-letter ISO country code"),
    ("ca_bundle", "/nowhere/ca.pem", "a file that can be read"),
    ("user_agent", "a\nb", "printable ASCII"),
    ("api_url", "ftp://vendor.example", "an https:// address"),
    ("api_url", "http://vendor.example", "an https:// address"),
    ("api_url", "vendor.example", "an https:// address"),
    ("api_url", "https://", "an https:// address"),
    ("api_url", "https://[::1", "an https:// address"),
    ("api_url", "https://vendor.example:port", "an https:// address"),
    ("api_url", "https://a b.example", "an https:// address"),
    ("api_url", "https://me:pw@vendor.example", "must not carry a user name"),
    ("api_url", "https://vendor.example?x=1", "no query"),
    ("api_token", "", "a text that is not blank"),
    ("api_token", 5, "a text that is not blank"),
    ("ids", "abc", "a list"),
    ("api_token", " \t", "must not be blank"),
    ("ids", [""], "a list"),
    ("ids", ["a", " "], "ids[1] must not be blank"),
    ("ids", ["\u00a0"], "ids[0] must not be blank"),
    ("filter", ["x"], "a list, each of its members an object"),
    ("flag", "true", "true or false"),
    ("timezone", "Warsaw", "an IANA time zone"),
    ("timezone", "../etc/passwd", "an IANA time zone"),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_a_wrong_setting_is_one_line_that_says_what_it_must_be(name: str, value: Any, words: str) -> None:
    """The setting, then what it must be."""
    (line,) = errors(**{name: value})
    assert line.startswith((f"{name} must", f"{name}["))
    assert words in line
    assert "\n" not in line


@given(
    st.sampled_from(sorted(PROPERTIES)),
    # Digits around it: `requests` stands in the name of a setting, and `characters` in what another must be.
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=30).map("9{}7".format),
)
def test_g9_no_value_is_ever_shown(name: str, value: str) -> None:
    """A secret in the wrong setting is still a secret."""
    for given_value in (value, [value], {"a": value}, f"{value}\n", f"https://user:{value}@vendor.example/"):
        for line in errors(**{name: given_value}):
            assert value not in line


def test_g9_all_wrong_settings_are_told_together() -> None:
    """One run, all the errors."""
    assert len(errors(pii="x", page_size=0, lookback="x")) == 3


def test_a_missing_setting_names_its_variable() -> None:
    """Null is as good as missing."""
    address, token = settings.errors({"api_token": None}, SCHEMA, "TAP_X_")
    assert address.startswith("api_url is missing: it must be an https:// address")
    read = "in the environment (read by Meltano, and with --config ENV)"
    assert address.endswith(f", or TAP_X_API_URL {read}")
    assert token == f"api_token is missing: it must be a text that is not blank, or TAP_X_API_TOKEN {read}"


@pytest.mark.parametrize(
    ("name", "near"),
    [("api_tokn", "api_token"), ("startdate", "start_date"), ("page-size", "page_size"), ("concurency", "concurrency")],
)
def test_g9_an_unknown_setting_names_the_nearest_known_one(name: str, near: str) -> None:
    """A typing error must not silently mean "the default"."""
    assert errors(**{name: "x"}) == [f"{name} is no setting of this tap: did you mean {near}?"]


def test_a_setting_like_no_other_gets_no_guess() -> None:
    """A wild guess helps nobody."""
    assert errors(zzz="x") == ["zzz is no setting of this tap"]


def test_the_sdks_batches_are_refused_with_the_reason() -> None:
    """They would hold what the user has deselected."""
    (line,) = errors(batch_config={})
    assert line.startswith("batch_config is not offered: ")


def test_a_certificate_file_is_looked_for(tmp_path: Path) -> None:
    """A folder is no file."""
    (tmp_path / "ca.pem").write_text("x")
    assert errors(ca_bundle=str(tmp_path / "ca.pem")) == []
    assert errors(ca_bundle=str(tmp_path)) != []


# -- from the environment --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("concurrency", "4", 4),
        ("concurrency", "4.0", 4),
        ("requests_per_minute", "0.5", 0.5),
        ("requests_per_minute", "1e2", 100),
        ("concurrency", "many", "many"),
        ("concurrency", "NaN", "NaN"),
        ("concurrency", "inf", "inf"),
        ("flag", "true", True),
        ("flag", "Yes", True),
        ("flag", "0", False),
        ("flag", "off", False),
        ("flag", "perhaps", "perhaps"),
        ("api_token", "123", "123"),
        ("api_token", "[1]", "[1]"),
        ("ids", '["a","b"]', ["a", "b"]),
        ("ids", "a, b", ["a", "b"]),
        ("ids", "123", ["123"]),
        ("ids", "5b7c", ["5b7c"]),
        ("ids", '["a"', '["a"'),
        ("filter", '[{"property":"a"}]', [{"property": "a"}]),
    ],
)
def test_a_variable_becomes_what_its_setting_is(name: str, text: str, value: Any) -> None:
    """What has no such form stays text, so that the check can refuse it."""
    found = settings.from_environment(PROPERTIES, "TAP_X_", {f"TAP_X_{name.upper()}": text})
    assert found == {name: value}
    assert type(found[name]) is type(value)


def test_other_variables_and_empty_ones_are_not_settings() -> None:
    """An empty variable is how a shell says "not set"."""
    environ = {"TAP_X_API_TOKEN": "", "TAP_Y_API_URL": "https://y", "API_URL": "z", "TAP_X_OTHER": "1"}
    assert settings.from_environment(PROPERTIES, "TAP_X_", environ) == {}


@given(st.sampled_from(sorted(PROPERTIES)), st.text(min_size=1, max_size=40))
def test_no_variable_breaks_the_reading(name: str, text: str) -> None:
    """Whatever stands in it: a value, or a line that says what it must be."""
    found = settings.from_environment(PROPERTIES, "TAP_X_", {f"TAP_X_{name.upper()}": text})
    assert all(isinstance(line, str) for line in settings.errors({**GOOD, **found}, SCHEMA))


# -- what a setting is -----------------------------------------------------------------------------


def test_a_tap_without_dates_has_no_such_settings() -> None:
    """A setting that would do nothing is an error to set."""
    assert not {"start_date", "end_date", "lookback", "window", "page_size"} & common().keys()
    assert {"concurrency", "pii", "unknown_fields"} <= common().keys()


def test_every_setting_is_described_and_its_default_is_right() -> None:
    """The docs come from here; a default that the check refuses would be an error nobody made."""
    for name, spec in COMMON.items():
        assert spec["description"].endswith("."), name
        if "default" in spec:
            assert errors(**{name: spec["default"]}) == []
    assert json.dumps(COMMON)


def test_a_page_size_without_a_known_most_has_none() -> None:
    """A vendor that documents no maximum is not given one."""
    spec = common(lookback="P1D", window="P1D", page_size=100)["page_size"]
    assert settings.must(spec) == "an integer of at least 1"


@pytest.mark.parametrize("region", ["PL", "ZA", "GB", "US", "XK"])
def test_a_country_with_phone_numbers_is_a_region(region: str) -> None:
    """Its numbers can be brought to E.164."""
    assert settings.errors({"phone_region": region}, {"properties": common()}) == []


@pytest.mark.parametrize(
    ("region", "near"),
    [("UK", "GB"), ("uk", "GB"), ("EL", "GR"), ("gb", "GB"), (" GB", "GB"), ("XX", ""), ("EU", ""), ("GBR", ""),
     ("001", ""), ("Z\u0410", "")],
)  # fmt: skip
def test_g9_a_region_that_is_no_country_is_refused(region: str, near: str) -> None:
    """Numbers of no country would be hashed as they are written: the setting is named, and the code that is meant."""
    (line,) = settings.errors({"phone_region": region}, {"properties": common()})
    assert line.startswith("phone_region must be a two-letter ISO country code in capitals")
    assert line.endswith(f": did you mean {near}?") == bool(near)


def test_a_tap_may_have_dates_without_windows() -> None:
    """A vendor that answers any span at once has dates and a lookback, and no setting for the length of a span."""
    made = common(lookback="P30D")
    assert {"start_date", "end_date", "lookback"} <= made.keys()
    assert not {"window", "page_size"} & made.keys()
    assert not {"start_date", "lookback"} & common().keys()
