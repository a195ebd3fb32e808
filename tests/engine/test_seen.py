"""A set that keeps little of each member."""

from __future__ import annotations

import tracemalloc

from trunkline.seen import Seen


def test_each_text_is_new_once() -> None:
    """Over several sizes of the table; parts are not mixed up, and half a surrogate pair is a text too."""
    seen, texts = Seen(), list[tuple[str, ...]]((str(number), "x" * (number % 7)) for number in range(5_000))
    texts += [("a", "bc"), ("ab", "c"), ("abc",), ("",), ("\ud800",)]
    assert all(seen.add(*parts) for parts in texts)
    assert not any(seen.add(*parts) for parts in texts)
    assert len(seen) == len(texts)


def test_g5_a_member_takes_a_few_bytes() -> None:
    """Whatever its length: a run over a million rows keeps some tens of megabytes, not hundreds."""
    seen = Seen()
    tracemalloc.start()
    try:
        for number in range(20_000):
            seen.add(f"{number:0100d}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20_000 * 48
