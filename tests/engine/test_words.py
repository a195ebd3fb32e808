"""A vendor's words in errors and log lines: what they repeat of a person is masked, and a page is called one."""

from __future__ import annotations

import html
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from trunkline.errors import BadResponse, Refused, Unavailable
from trunkline.redact import redactor
from trunkline.steps.fetch.exchange import Request
from trunkline.steps.fetch.words import LONGEST, one_line, page

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = ["11999482052", "+55 11 99948-2052", "(011) 9994-82052", "0048 600.100.200", "600100200", "+27\0721234567"]
WAYS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "percent": lambda text: quote(text, safe=""),
    "entities": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "json": lambda text: json.dumps({"caller": text}),
    "units": lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("personal", [*NUMBERS, "anna.kowalska@x.example", "Anna <anna@x.example>"])
def test_g7_a_vendors_words_show_no_caller(personal: str, way: str) -> None:
    """Numbers and e-mail addresses in any form and escape are masked, the words around them stay."""
    said = one_line(f"no call of {WAYS[way](personal)} was found")
    assert said.startswith("no call of ")
    assert said.endswith("was found")
    assert "anna@" not in said
    assert "kowalska" not in said
    assert not [run for run in ("9994", "8205", "2052", "600100", "100.200", "1234567", "48 600") if run in said]


@pytest.mark.parametrize(
    "personal",
    [
        "１１９９９４８２０５２",  # noqa: RUF001 - digits of another script
        "٠٧٢١٢٣٤٥٦٧",
        *(f"11{between}999{between}482{between}052" for between in "\u2013\u2011\u2009\u202f\u200b\u00ad\u00b7_+*"),
        "anna.kowalska\uff20x.example",
        "anna.kowalska @ x.example",
        '"anna k"@x.example',
    ],
)
def test_g7_a_caller_in_any_typography_is_masked(personal: str) -> None:
    """Whatever stands between the digits, and whatever digits and at signs they are."""
    assert one_line(f"no call of {personal} was found") == "no call of (personal) was found"


def test_g7_a_looked_up_value_is_masked_in_a_vendors_words() -> None:
    """A term is a name more often than not; in capitals, in parts and escaped it is the same."""
    for said in ("Zbigniew O'Hara", "ZBIGNIEW is unknown", html.escape("nobody called O'Hara")):
        shown = one_line(said, ["Zbigniew O'Hara"]).casefold()
        assert "zbigniew" not in shown
        assert "hara" not in shown


def test_g9_what_helps_stays_in_a_vendors_words() -> None:
    """Small numbers and dates are what a vendor's reason is about."""
    for said in ("limit must be at most 50", "end_date 2026-01-31 is before 2026-02-01 08:00:00", "error 4031"):
        assert one_line(said) == said


# -- pages for people ------------------------------------------------------------------------------

PAGE = b'<!DOCTYPE html>\n<html><head>\n<title class="x">\n Sign in &mdash; Acme\n</title></head><body>no</body></html>'


@pytest.mark.parametrize(
    "body",
    [
        PAGE,
        PAGE.lower().replace(b"sign in &mdash; acme", b"Sign in &mdash; Acme"),
        b"\r\n\r\n<!-- cached -->\n" + PAGE,
        b'<?xml version="1.0"?><html><title>Sign in &#8212; Acme</title>',
        b"<HTML><TITLE>Sign in \xe2\x80\x94 Acme</TITLE>" + b"x" * 1_000_000,
    ],
)
def test_g9_an_html_page_is_called_that_with_its_title(bench: Callable[..., Any], body: bytes) -> None:
    """With HTTP 200, and as the body of an error: what stands there, and that api_url may be the reason."""
    with pytest.raises(BadResponse) as caught:
        bench([(200, {}, body)], max_attempts=2).fetch()
    assert 'an HTML page with the title "Sign in \u2014 Acme" where JSON is expected. Check api_url' in str(
        caught.value
    )
    for status, error in ((404, Refused), (503, Unavailable)):
        asked = bench([(status, {}, body)], max_attempts=1)
        asked.vendor.reason = lambda _body: ""  # the vendor's envelope is not there
        with pytest.raises(error, match=rf'HTTP {status}, with an HTML page with the title "Sign in \u2014 Acme"'):
            asked.fetch()


@pytest.mark.parametrize(
    "body", [b'{"a":"<html>"}', b"", b"[", b"<", b"<error/>", b"\xff\xfe<html>", b'"<title>x</title>"']
)
def test_what_is_no_page_is_not_called_one(body: bytes) -> None:
    """JSON that speaks of HTML, XML, and nothing at all."""
    assert page(body) == ""


def test_g7_a_title_shows_nothing_that_other_words_would_not(bench: Callable[..., Any]) -> None:
    """Token, caller, looked-up value, markup, terminal codes and megabytes in it."""
    redactor.add(["sesame-token-0123"])
    for inside in ("sesame-\ntoken-0123", "+27 72 123 4567", "anna@x.example", "Zbigniew", "a<b>\x1b[2J", "x" * 50_000):
        with pytest.raises(BadResponse) as caught:
            bench([(200, {}, f"<html><title>no {inside} here</title>".encode())], max_attempts=1).fetch(
                Request("the thing", "/things", personal=("Zbigniew",))
            )
        told = str(caught.value)
        assert len(told) < LONGEST + 300
        assert told.isprintable()
        for part in ("token-0123", "123 4567", "anna", "Zbigniew", "<b>"):
            assert part not in told
    assert page(b"<html><body>no title") == page(b"<html><title>  </title>") == "an HTML page"


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"<html>" + part * 20_000
            for part in (b"<title>", b"<title", b"<title>x</titl", b"&lt;a@", b"a" * 50 + b"@")
        ),
        *(part * 20_000 for part in (b"<!---->", b"<!--", b"<!-- -->\n", b"<?xml >", b" ")),
        *(b"<html><title>" + part * 20_000 for part in (b"1 ", b"1(", b"%25", b"&amp;", b"\\u0041", b"a@", b"a.")),
    ],
    ids=range(17),
)
def test_g5_no_page_keeps_the_tap_busy(body: bytes) -> None:
    """Parts that begin and never end, or end again and again: looked at once each, far below a try's time."""
    redactor.add(["sesame-token-0123"])
    began = time.process_time()
    page(body)
    page(body[:60_000] + b"</title></html>")
    assert time.process_time() - began < 20
