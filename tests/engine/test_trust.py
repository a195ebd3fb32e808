"""Trusted with other people's calls, seen in this process: what is hashed, what fails alone, what is told."""

from __future__ import annotations

import html
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.engine.test_hostile import BEGIN, CONFIG, DAY, ROWS, STREAMS, fields, page, read
from tests.model.harness import TAPS, bookmark, run

from trunkline import personal, schemas
from trunkline.errors import ConfigInvalid
from trunkline.facts import config as settings
from trunkline_sandbox import Sandbox
from trunkline_sandbox.vendors.conpeek import CAMPAIGNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UTC = timezone.utc
HEX = set("0123456789abcdef")


# -- personal data ---------------------------------------------------------------------------------


def test_g7_a_number_has_one_hash_whoever_writes_it() -> None:
    """The same line, national or international, with blanks or without, in two vendors' fields: a join still works."""
    config: dict[str, Any] = {"pii": "hash", "pii_key": "one key for all", "phone_region": "ZA"}
    found = fields(ROWS["switchtransact"], mobilephone='"072 123 4567"')
    contact, _ = read("switchtransact", page("switchtransact", found), **config)
    call, _ = read("bspk", page("bspk", fields(ROWS["bspk"], to='"+27721234567"')), **config)
    digest = personal.hasher("one key for all", "ZA")("0027 72 123-4567")
    assert contact.records("contacts")[0]["mobilephone"] == call.records("calls")[0]["to"] == digest
    assert len(digest) == 64
    assert set(digest) <= HEX


@pytest.mark.parametrize("vendor", sorted(CONFIG))
@pytest.mark.parametrize("mode", ["hash", "drop"])
def test_g7_unknown_fields_are_personal_until_they_are_known(vendor: str, mode: str) -> None:
    """Nobody has said what a field that the vendor adds is about: of it only true, false and null leave in clear."""
    row = fields(ROWS[vendor])[:-1] + ',"new":"Anna","more":{"deep":["Anna",48601234567,true]},"n":48601234567,"x":0.5}'
    result, _ = read(vendor, page(vendor, row), pii=mode, pii_key="key")
    assert result.code == 0, result.log
    stream = STREAMS[vendor][0]
    extra = result.records(stream)[0]["_extra"]
    there = personal.hasher("key", None)("Anna") if mode == "hash" else None
    assert extra == {"new": there, "more": {"deep": [there, None, True]}, "n": None, "x": None}
    assert "48601234567" not in json.dumps(result.messages)
    assert "Anna" not in json.dumps(result.messages) + "\n".join(result.log)


@pytest.mark.parametrize("vendor", sorted(CONFIG))
def test_g7_the_schema_says_text_where_a_hash_goes_out(vendor: str) -> None:
    """A date format would be a lie about a hash; the type of the column stays one that it fits."""
    result, _ = read(vendor, page(vendor, fields(ROWS[vendor])), pii="hash", pii_key="key")
    seen: list[str] = []

    def look(file: dict[str, Any], sent: dict[str, Any], *, inside: bool) -> None:
        inside = inside or bool(file.get("x-personal"))
        if inside and "string" in sent.get("type", ()):
            seen.append(sent.get("format", ""))
        for name, part in file.get("properties", {}).items():
            look(part, sent["properties"][name], inside=inside)
        if isinstance(file.get("items"), dict):
            look(file["items"], sent["items"], inside=inside)

    for message in result.of("SCHEMA"):
        look(schemas.load(TAPS[vendor].vendor, message["stream"]), message["schema"], inside=False)
    assert seen
    assert set(seen) == {""}


# -- isolation -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "status", "says"),
    [
        ("bspk", 403, "allow-list"),
        ("switchtransact", 403, "Read on General"),
        ("hostedsuite", 400, "filter_date_format"),
        ("hostedsuite", 400, "first_page"),
        ("conpeek", 401, "api_key"),
        ("evolux", 401, "api_token"),
    ],
)
def test_g8_the_last_lines_are_a_table_and_what_to_do(vendor: str, status: int, says: str) -> None:
    """Rows, pages, requests, retries, seconds, span and verdict of each stream; then each failure and its cure."""
    box = Sandbox(size=0, vendors=[vendor])
    box.fault("status", status=status, body="{}")
    span = {} if vendor == "switchtransact" else {"start_date": BEGIN.isoformat()}
    result = run(box, vendor, {**span, **CONFIG[vendor], "max_attempts": 1}, at=BEGIN + DAY)
    head = next(n for n, line in enumerate(result.log) if line.split()[:2] == ["stream", "rows"])
    columns = ["stream", "rows", "pages", "requests", "retries", "waited", "from", "to", "verdict"]
    assert result.log[head].split() == columns
    assert result.log[head + 1].split()[-1] == "FAILED"
    assert says in result.log[-1]
    assert f"HTTP {status}" in " ".join(result.log[head:])
    assert result.code == 1


def test_g8_what_failed_keeps_its_bookmark() -> None:
    """Of two campaigns one fails: its bookmark stays, the other's moves, and the exit code says so."""
    good, bad = CAMPAIGNS[:2]
    box = Sandbox(size=0, vendors=["conpeek"])
    created = BEGIN + timedelta(hours=20)
    row = {"id": "5b7c", "voice_campaign_id": good, "created_date": created.strftime("%Y-%m-%d %H:%M:%S")}
    box.upsert("conpeek", "voice_campaign_requests", [row])
    box.fault("status", match=bad, status=500)
    old = (BEGIN + timedelta(hours=5)).isoformat()
    parts = [
        {"context": {"voice_campaign_id": one}, "replication_key": "changed_at", "replication_key_value": old}
        for one in (bad, good)
    ]
    result = run(
        box,
        "conpeek",
        {"voice_campaign_ids": [bad, good], "max_attempts": 1, "start_date": BEGIN.isoformat()},
        at=BEGIN + DAY,
        state={"bookmarks": {"voice_campaign_requests": {"partitions": parts}}},
    )
    assert result.code == 1
    assert bookmark(result.state, "voice_campaign_requests", bad) == datetime.fromisoformat(old)
    assert bookmark(result.state, "voice_campaign_requests", good) == created


# -- config ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lookups_file", "x" * 5_000),
        ("lookups_file", "a\0b"),
        ("ca_bundle", "x" * 5_000),
        ("phones", ["\ud800"]),
        ("api_url", "https://a\0b.example"),
        ("stream_maps", [1]),
        ("stream_maps", "\ud800"),
        ("flattening_enabled", "yes"),
        ("concurrency", 10**400),
        ("x" * 100_000, 1),
        ("a\nb\x1b[2J", 1),
    ],
)
def test_g9_a_hostile_setting_is_one_short_line(name: str, value: Any) -> None:
    """Names and values that files, URLs and terminals choke on: a line that names the setting and shows no value."""
    schema = TAPS["switchtransact"].config_jsonschema
    TAPS["switchtransact"].append_builtin_config(schema)
    (line,) = settings.errors({"api_key": "k", name: value}, schema)
    assert line.isprintable()
    assert len(line) < 400
    assert line[:5] == name[:5].replace("\n", " ").replace("\x1b", " ")


@pytest.mark.parametrize("date", ["0001-01-01", "1899-12-31T23:59:59Z", "3000-01-01", "9999-12-31T23:59:59-12:00"])
def test_g9_a_date_that_nothing_can_be_reckoned_from_is_refused(date: str) -> None:
    """A lookback before year 1, or a tick after year 9999, has no place in a calendar."""
    schema = TAPS["bspk"].config_jsonschema
    (line,) = settings.errors({"auth_token": "t", "end_date": date}, schema)
    assert line.startswith("end_date must be an ISO 8601 date")
    assert date not in line


@pytest.mark.parametrize(
    "entry", [{"property": []}, {"property": {}}, {"property": "priority", "operator": {}, "value": 1}]
)
def test_g9_a_hostile_filter_is_told_by_its_place(entry: dict[str, Any]) -> None:
    """Lists and objects where names should be."""
    with pytest.raises(ConfigInvalid) as caught:
        TAPS["conpeek"](config={**Sandbox(size=0, vendors=["conpeek"]).config("conpeek"), "filter": [entry]})
    assert all(line.startswith("filter[0] must have") for line in caught.value.errors)


@pytest.mark.parametrize("number", ["1e999999", "1e9999999999999999999", "9" * 5_000, "NaN", "-Infinity", "[" * 5_000])
def test_g9_no_variable_is_too_large_to_be_refused(number: str) -> None:
    """A number of any size, or brackets without end, in the environment stay text, which is then told of."""
    properties = TAPS["conpeek"].config_jsonschema["properties"]
    variables = {"TAP_CONPEEK_PAGE_SIZE": number, "TAP_CONPEEK_FILTER": number}
    given = settings.from_environment(properties, "TAP_CONPEEK_", variables)
    told = settings.errors(given, {"properties": properties})
    assert [line.split()[0] for line in told] == ["filter", "page_size"] or len(told) == 2


# -- a vendor that repeats the credentials ---------------------------------------------------------

TOKEN = "Zx9-sesame<token>Qw7/plus+0k1m2n3p4q"
ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "with NUL inside": lambda token: f"{token[:9]}\0{token[9:]}",
    "over two lines": lambda token: f"{token[:14]}\r\n {token[14:]}",
    "lower-case percent": lambda token: quote(token, safe="").lower().replace("zx9", "Zx9"),
    "entities": html.escape,
    "in JSON": lambda token: json.dumps({"k": token}).replace("/", r"\/"),
}
ENVELOPES: dict[str, tuple[int, Callable[[str], Any]]] = {
    "evolux": (400, lambda said: {"meta": {"status": 400, "message": said}}),
    "hostedsuite": (500, lambda said: {"ResponseStatus": {"ErrorCode": said, "Message": said}}),
    "switchtransact": (403, lambda said: {"status": False, "error": f"Not authorized: {said}"}),
    "bspk": (502, lambda said: f"<html><title>{said}</title>"),
}
SECRET_SETTING = {"evolux": "api_token", "hostedsuite": "password", "switchtransact": "api_key", "bspk": "auth_token"}


@pytest.mark.parametrize("vendor", sorted(ENVELOPES))
@pytest.mark.parametrize("way", ECHOES)
def test_g7_a_token_across_any_cut_shows_on_no_way_out(vendor: str, way: str, tmp_path: Path) -> None:
    """In a reason, a code or a title, at each place before the cut: neither log nor report has a part of it."""
    status, envelope = ENVELOPES[vendor]
    for before in (0, 170, 190, 5_000):
        said = f"{'.' * before} {ECHOES[way](TOKEN)} and more"
        body = envelope(said)
        box = Sandbox(size=0, vendors=[vendor])
        box.fault("status", status=status, body=body if isinstance(body, str) else json.dumps(body))
        config = {**CONFIG[vendor], SECRET_SETTING[vendor]: TOKEN, "max_attempts": 1, "run_report": str(tmp_path / "r")}
        span = {} if vendor == "switchtransact" else {"start_date": BEGIN.isoformat()}
        result = run(box, vendor, {**span, **config}, at=BEGIN + DAY)
        told = "\n".join(result.log) + (tmp_path / "r").read_text()
        assert result.code == 1
        assert str(status) in told or "Not authorized" in told or "an error, as if" in told
        parts = {TOKEN[n : n + 5] for n in range(len(TOKEN) - 4)}
        assert not [part for part in parts if part in told], told[-1500:]
