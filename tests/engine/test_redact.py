"""Secrets reach no line of standard error, in whatever form they come."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import string
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trunkline import redact
from trunkline.errors import printable
from trunkline.redact import LONGEST, MASK, RedactingStream, Redactor
from trunkline.steps.fetch.words import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Control characters apart: nobody types them, no header takes them, and a letter less is a shorter secret.
secrets = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=8, max_size=30).filter(
    lambda text: text.strip() == text
)

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "quote": quote,
    "quote all": lambda secret: quote(secret, safe=""),
    "quote plus": quote_plus,
    "query": lambda secret: urlencode({"token": secret}),
    "json": json.dumps,
    "json with characters": lambda secret: json.dumps(secret, ensure_ascii=False),
    "json with slashes escaped": lambda secret: json.dumps(secret).replace("/", r"\/"),
    "repr": repr,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "quote in lower case": lambda secret: re.sub("%..", lambda one: one[0].lower(), quote(secret, safe="")),
    "every letter percent-encoded": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "percent-encoded twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "json in capitals": lambda secret: "".join(f"\\u{unit}" for unit in re.findall("....", utf16(secret).upper())),
    "json in lower case": lambda secret: "".join(f"\\u{unit}" for unit in re.findall("....", utf16(secret))),
    "json in json": lambda secret: json.dumps(json.dumps(secret)),
    "html": html.escape,
    "decimal entities": lambda secret: "".join(f"&#{ord(letter)};" for letter in secret),
    "hexadecimal entities": lambda secret: "".join(f"&#X{ord(letter):X};" for letter in secret),
    "hexadecimal": lambda secret: secret.encode().hex().upper(),
    "repr of bytes": lambda secret: repr(secret.encode()),
    "with a line break in it": lambda secret: f"{secret[:4]}\n{secret[4:]}",
    "with NUL between all letters": "\0".join,
    "with NUL in JSON": lambda secret: json.dumps(f"{secret[:4]}\0{secret[4:]}"),
    "in tags": lambda secret: f"{secret[:3]}<{secret[3:6]}>{secret[6:]}",
    "folded over two header lines": lambda secret: f"{secret[:5]}\r\n\t {secret[5:]}",
    "folded, in repr": lambda secret: repr(f"{secret[:5]}\r\n {secret[5:]}"),
    "in the other case": lambda secret: re.sub("[A-Za-z]", lambda letter: letter[0].swapcase(), secret),
    "with a mark that has no width": lambda secret: f"{secret[:4]}\u200b{secret[4:]}",
}


def utf16(text: str) -> str:
    return text.encode("utf-16-be").hex()


@contextmanager
def known(secret: str) -> Iterator[None]:
    """The process's own redactor knows this secret alone."""
    redact.redactor.secrets.clear()
    redact.redactor.add([secret])
    yield
    redact.redactor.secrets.clear()


def knowing(*known: str) -> Redactor:
    redactor = Redactor()
    redactor.add(known)
    return redactor


@given(secrets, st.sampled_from(sorted(FORMS)), st.text(max_size=10), st.text(max_size=10))
def test_g7_no_form_of_a_secret_gets_through(secret: str, form: str, before: str, after: str) -> None:
    """URLs, JSON, Python's repr and base64: none shows the secret, whatever stands around it."""
    shown = FORMS[form](secret)
    text = knowing(secret)(f"{before} {shown} {after}")
    assert MASK in text
    core = shown.strip("'\"")
    assert core not in text or core in f"{before} {MASK} {after}"


tokens = st.text(st.sampled_from(string.ascii_letters + string.digits + "<>-_/+=.%&\\\"'~"), min_size=12, max_size=40)


def pieces(secret: str, text: str, size: int = 4) -> set[str]:
    """The parts of a secret that a text shows."""
    found = {secret[n : n + size] for n in range(len(secret) - size + 1)} & {
        text[n : n + size] for n in range(len(text) - size + 1)
    }
    return {part for part in found if part not in MASK}


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"hexadecimal"}))
@settings(max_examples=30)
@given(secret=tokens, before=st.integers(0, 230))
def test_g7_a_secret_across_the_cut_shows_nothing(form: str, secret: str, before: int) -> None:
    """Wherever a line is cut, whatever is stripped from it: no part of a token is left, in a vendor's words or ours."""
    for sound in (one_line, printable):
        letters = "." * before
        assume(not pieces(secret, letters))
        with known(secret):
            assert not pieces(secret, sound(f"{letters} {FORMS[form](secret)} and on"))


def test_g7_a_text_without_end_shows_nothing_of_a_token_in_it() -> None:
    """Megabytes are looked at as far as they are shown, and a token that this cut goes through is masked too."""
    secret = "sesame-token-0123456789"
    for reach in range(len(secret) + 4):
        for noise in ("", "\0" * 3, "%"):
            said = "\x1f" * (LONGEST - reach) + noise + secret + "x" * 2**20
            text = knowing(secret)(said)
            assert not pieces(secret, text), (reach, noise)
            assert len(text) <= LONGEST + len(MASK) + 1


def test_g7_what_a_vendor_cut_off_is_masked_too() -> None:
    """A token at the end of a vendor's words, less its last characters, is most of a token."""
    assert knowing("sesame-token-0123")("no such key: sesame-token-01") == f"no such key: {MASK}"
    assert knowing("sesame-token-0123")("open sesame") == "open sesame"


def test_a_short_secret_hides_no_words() -> None:
    """Blanks are looked through for long secrets alone."""
    assert knowing("theme")("the message of the theme") == f"the message of the {MASK}"


def test_g7_secrets_that_overlap_are_masked_together() -> None:
    """A short secret that begins in front of a long one takes nothing away from it."""
    assert knowing("abcd", "cd-long-secret")("see abcd-long-secret.") == f"see {MASK}."


@given(secrets, st.text(st.characters(codec="ascii"), max_size=7))
def test_g7_basic_authentication_gives_nothing_away(secret: str, user: str) -> None:
    """Inside `user:password` the letters of base64 fall otherwise; the part that is fixed is masked."""
    header = base64.b64encode(f"{user}:{secret}".encode()).decode()
    text = knowing(secret)(f"Authorization: Basic {header}")
    assert MASK in text
    assert header not in text


def test_what_is_no_secret_stays() -> None:
    """Lines stay readable, and a text without secrets is passed on as it is."""
    assert knowing("sesame-token")("GET /calls?page=2 took 0.2 s") == "GET /calls?page=2 took 0.2 s"
    assert Redactor()("anything") == "anything"
    assert knowing("")("anything") == "anything"


def test_a_short_secret_is_only_masked_where_it_stands_alone() -> None:
    """A password `a` must not turn every line into masks."""
    redactor = knowing("abc")
    assert redactor("password abc, abcd, xabc") == f"password {MASK}, abcd, xabc"


def test_the_longest_secret_goes_first() -> None:
    """A secret that begins like another one leaves no tail."""
    assert knowing("sesame", "sesame-street")("sesame-street sesame") == f"{MASK} {MASK}"


def test_secrets_can_be_added_later() -> None:
    """A token that is learned during the run is masked from then on, the others still are."""
    redactor = knowing("first-secret")
    redactor.add(["second-secret"])
    assert redactor("first-secret second-secret") == f"{MASK} {MASK}"


def test_g7_a_secret_in_pieces_is_masked() -> None:
    """What is written bit by bit waits for the end of its line."""
    out = io.StringIO()
    stream = RedactingStream(out, knowing("sesame-token"))
    for piece in ("the tok", "en is ses", "ame-to", "ken\nnext"):
        assert stream.write(piece) == len(piece)
    assert out.getvalue() == f"the token is {MASK}\n"
    stream.flush()
    assert out.getvalue() == f"the token is {MASK}\nnext"
    stream.write(" line\n")
    assert out.getvalue().endswith("next line\n")


def test_the_stream_behaves_like_the_one_behind() -> None:
    """A logging handler or click asks it for its encoding, and whether it is a terminal."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stream = RedactingStream(out, Redactor())
    assert stream.encoding == "utf-8"
    assert stream.isatty() is False


def test_installing_twice_is_installing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several taps in a process do not mask in layers."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    redact.install()
    first = sys.stderr
    redact.install()
    assert sys.stderr is first
    assert isinstance(first, RedactingStream)
