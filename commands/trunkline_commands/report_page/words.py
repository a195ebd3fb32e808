"""Lengths of time in words."""

from __future__ import annotations


def words(seconds: float, *, exact: bool = False) -> str:
    """Write a length of time in words.

    Args:
        seconds: The length.
        exact: With a second unit, `4 min 10 s` instead of `4 min`.
    """
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    whole = max(round(seconds), 0)
    for place, (unit, size) in enumerate(units):
        if whole >= size:
            small = whole % size // units[place + 1][1] if size > 1 else 0
            return f"{whole // size} {unit}" + (f" {small} {units[place + 1][0]}" if exact and small else "")
    return "0 s"
