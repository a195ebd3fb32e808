"""A computed key: the digest of the fields that tell a row from the others."""

from __future__ import annotations

import hashlib
import json

from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.facts import OnePage, PagedStream, VendorTap, common, hashed, text

parts = st.none() | st.text(st.characters(exclude_categories=["Cs"]))


@given(parts, parts, parts)
@example('"\\/', "\x00\x08\x0c\n\r\t\x1f\x7f", "Łódź \u2028\U0001f600")
def test_a_key_is_the_digest_of_its_fields(associate: str | None, client: str | None, created: str | None) -> None:
    """Whatever stands in the fields: hex SHA-256 of their JSON without blanks, as Python's json writes it."""
    computed = hashed("call_key", "associate", "client", "created")
    fields, make = computed["call_key"]
    written = json.dumps([associate, client, created], separators=(",", ":"), ensure_ascii=False)
    assert fields == ("associate", "client", "created")
    assert make(associate, client, created) == hashlib.sha256(written.encode()).hexdigest()


def test_rows_are_told_apart_by_what_their_key_is_computed_from() -> None:
    """The fields of a computed key tell the vendor's rows apart, each field once; other keys stand for themselves."""

    class Calls(PagedStream):
        name, path = "studio_calls", "/calls"
        primary_keys, replication_key = ("id", "call_key"), "start_time"
        computed = hashed("call_key", "caller", "id")
        paging = OnePage()

    class Tap(VendorTap):
        name, vendor = "tap-any", "evolux"
        common = common(lookback="P1D", window="P1D", page_size=50)
        settings = {"api_url": text("Address.", format="url", default="https://vendor.example")}  # noqa: RUF012
        stream_types = (Calls,)

    assert list(Calls(Tap(config={})).identity) == ["id", "caller"]
