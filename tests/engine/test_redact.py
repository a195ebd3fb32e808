"""Secrets reach no line of standard error, in whatever form they come."""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import given
from hypothesis import strategies as st

from trunkline import redact
from trunkline.redact import MASK, RedactingStream, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

secrets = st.text(st.characters(codec="utf-8"), min_size=8, max_size=30).filter(lambda text: text.strip() == text)

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
}


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
