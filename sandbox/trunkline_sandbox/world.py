"""The made-up world that all vendors share: how much happened when, and who the people are. Same seed, same world."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from trunkline_sandbox.instants import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DAY = date(2026, 1, 1)
"""Default of the first day of the data."""

_MASK = (1 << 64) - 1

FIRST_NAMES = (
    "James", "Zoë", "Łukasz", "José", "Agnieszka", "Jürgen", "Siobhán", "Thị Hương", "Chloé", "Thabo", "Nomvula",
    "Søren", "Ines", "Małgorzata", "João", "Ayşe", "Pieter", "Emily", "Ngozi", "François", "Lerato", "Björn", "Ana",
    "Οδυσσέας", "Юлия", "美咲",
)  # fmt: skip
LAST_NAMES = (
    "van der Merwe", "Kowalska", "Dlamini", "Müller", "O'Brien", "García Núñez", "Nguyễn", "Silva", "Øvergård",
    "Naidoo", "Wójcik", "Mokoena", "Lefèvre", "Smith", "Öztürk", "Botha", "Żurawska",
    "Ferreira", "Παππάς", "Иванова", "佐藤",
)  # fmt: skip
COMPANIES = (
    "Northwind Dental", "Żabka Logistyka", "Café do Porto", "Kgalagadi Water", "Müller & Söhne", "Ubuntu Insurance",
    "Harbour Law", "São Bento Clínica", "Fjord Reiser", "Blue Crane Telecom",
)  # fmt: skip


_EPOCH = date(1970, 1, 1)
START = (FIRST_DAY - _EPOCH).days * DAY
"""Default of the first instant of the data."""


def ending_yesterday(days: int) -> date:
    """Return the first of so many days, of which yesterday (UTC) is the last."""
    return _now().date() - timedelta(days=days)


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class World:
    """The seeds that every vendor's data is made from.

    Attributes:
        seed: Decides every value.
        size: Rows of each vendor, the pages' samples not counted.
        days: Days over which they are spread.
        clock: The present moment (aware); for limits and for Evolux's "today", never for data.
        first_day: The first of these days, in UTC.
    """

    seed: int = 1
    size: int = 240
    days: int = 14
    clock: Callable[[], datetime] = field(default=_now)
    first_day: date = FIRST_DAY

    @property
    def start(self) -> int:
        """The first instant of the data."""
        return (self.first_day - _EPOCH).days * DAY

    @property
    def end(self) -> int:
        """The instant behind the last one of the data."""
        return self.start + self.days * DAY

    def random(self, name: str) -> random.Random:
        """Return a generator of its own for each purpose, so that one more draw here moves nothing there."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311 - made-up data, no secret

    def times(self, salt: int, count: int, unit: int) -> Callable[[int], tuple[int, int]]:
        """Return the instant of row `i` of `count`, and 64 bits to make the rest of it from.

        The instants rise, are scattered over the days, and lie on whole `unit` microseconds.
        """
        span = self.days * DAY // unit
        start = self.start

        def at(i: int) -> tuple[int, int]:
            bits = mix(salt, i)
            base = span * i // count
            room = span * (i + 1) // count - base
            # The time comes from the top bits; rows are made from the lower ones.
            return start + (base + (bits * room >> 64)) * unit, bits

        return at


def mix(salt: int, i: int) -> int:
    """Return 64 well-stirred bits for row `i`: a row can be made without the ones before it."""
    x = (salt + i * 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def person(bits: int) -> tuple[str, str]:
    """Return first and last name."""
    return FIRST_NAMES[bits % len(FIRST_NAMES)], LAST_NAMES[(bits >> 8) % len(LAST_NAMES)]


def phone(bits: int) -> str:
    """Return a South African mobile number in E.164."""
    return f"+2772{bits % 10_000_000:07d}"


def guid(salt: int, i: int) -> str:
    """Return a version 4 UUID."""
    return str(uuid.UUID(int=mix(salt, i) << 64 | mix(salt + 1, i), version=4))


def object_id(salt: int, i: int, instant: int) -> str:
    """Return 24 hex digits as MongoDB makes them: the second, then noise."""
    return f"{instant // 1_000_000 & 0xFFFFFFFF:08x}{mix(salt, i):016x}"
