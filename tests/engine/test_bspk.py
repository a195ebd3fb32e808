"""BSPK: the key that the tap computes."""

from __future__ import annotations

import hashlib
import json

from hypothesis import example, given
from hypothesis import strategies as st

from tap_bspk import call_key

parts = st.none() | st.text(st.characters(exclude_categories=["Cs"]))


@given(parts, parts, parts)
@example('"\\/', "\x00\x08\x0c\n\r\t\x1f\x7f", "Łódź \u2028\U0001f600")
def test_the_key_of_a_call_is_that_of_the_contract(
    associate: str | None, client: str | None, created: str | None
) -> None:
    """Whatever stands in the three fields: hex SHA-256 of their JSON without blanks, as Python's json writes it."""
    text = json.dumps([associate, client, created], separators=(",", ":"), ensure_ascii=False)
    assert call_key(associate, client, created) == hashlib.sha256(text.encode()).hexdigest()
