"""What a page says of its rows: their keys, read without the rest."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from trunkline.steps.prove.pages import KeyReader, Page


def test_a_key_is_what_the_named_fields_hold() -> None:
    """Of several fields, null or left out alike; the rest of the row is not looked at."""
    read_key = KeyReader(("a", "b"))
    rows = [b'{"a":1,"b":"x","c":{}}', b'{"b":"x","a":1}', b'{"a":1}', b'{"a":1,"b":null}', b'{"a":"1","b":"x"}']
    one, same, left_out, null, text = read_key([msgspec.Raw(row) for row in rows])
    assert one == same != left_out == null
    assert text not in (one, null)
    assert len({one, same, left_out, null, text}) == 3


def test_a_part_of_a_key_may_stand_inside_of_an_object() -> None:
    """Its dotted path names it: rows differ by it and by nothing else in the object; a null object is a null part."""
    rows = [
        b'{"who":{"id":1,"name":"a"},"at":"x"}',
        b'{"at":"x","who":{"id":1,"name":"b"}}',
        b'{"who":{"id":2,"name":"a"},"at":"x"}',
        b'{"who":null,"at":"x"}',
        b'{"at":"x"}',
    ]
    one, renamed, other, null, left_out = KeyReader(("who.id", "at"))([msgspec.Raw(row) for row in rows])
    assert one == renamed
    assert null == left_out
    assert len({one, other, null}) == 3


@pytest.mark.parametrize("row", [b"[]", b"5", b'{"a":[1]}', b'{"a":"\xff"}'])
def test_a_row_with_a_strange_key_stands_for_itself(row: bytes) -> None:
    """Its error comes when its turn comes, with its place in the order."""
    key, other = KeyReader(("a",))([msgspec.Raw(row), msgspec.Raw(b'{"a":1}')])
    assert key == row
    assert other != row


def test_rows_of_known_keys_are_left_out() -> None:
    """What an earlier reading has handed out is not handed out again; order and total stay."""
    page = Page([msgspec.Raw(b'{"a":1}'), msgspec.Raw(b'{"a":2}'), msgspec.Raw(b'{"a":3}')], KeyReader(("a",)), 9)
    first, second, third = page.keys
    rest = page.without({second})
    assert (rest.keys, rest.total) == ([first, third], 9)


def test_g5_a_million_keys_take_no_more_memory_than_their_page() -> None:
    """Of each key a digest is kept, however many fields it has; equal keys stay equal, others differ."""
    row = b'{"a":"associate","b":"client %d","c":"2021-03-01T10:00:00.000Z"}'
    body = b"[%s]" % b",".join(row % number for number in range(50_000))
    rows = msgspec.json.decode(body, type=list[msgspec.Raw])
    reader = KeyReader(("a", "b", "c"))
    tracemalloc.start()
    try:
        keys = reader(rows)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 70 * len(rows)
    assert len(set(keys)) == len(rows)
    assert reader(rows[:10]) == keys[:10]
