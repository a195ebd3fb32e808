"""Phone numbers of several countries as people write them, and the SQL that `trunkline.phone` makes."""

from __future__ import annotations

import functools
import json
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
import phonenumbers
from bench.environments import ROOT
from phonenumbers import PhoneNumberFormat, PhoneNumberType

if TYPE_CHECKING:
    from collections.abc import Iterator

REGIONS = (
    "AR", "AU", "BR", "CN", "DE", "ES", "FR", "GB", "HU", "IN", "IT", "JP", "KE", "LT", "MX", "NG", "PL", "RU",
    "US", "ZA",
)  # fmt: skip
ELSEWHERE = ("+442079460123", "+39 06 6982", "+49 30 123456", "+33 1 23 45 67 89", "+1 201 555 0123")
KINDS = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE)


def drawn(region: str) -> list[str]:
    """Return numbers of a region, and some of others, the same ones each time."""
    chance = random.Random(region)  # noqa: S311 - no secret
    found = [*ELSEWHERE]
    for kind in KINDS:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        digits = phonenumbers.national_significant_number(example)
        for _ in range(4):
            number = digits[:-4] + f"{chance.randrange(10_000):04d}"
            found += _written(region, phonenumbers.parse(f"+{example.country_code}{number}"))
        found.append(digits[:3])
    return found


def _written(region: str, number: phonenumbers.PhoneNumber) -> Iterator[str]:
    full = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    yield from (full, full[1:], phonenumbers.national_significant_number(number))
    for form in (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL):
        # Argentina's 15 within a mobile number is the one rule that the SQL does not know.
        if (region, form) != ("AR", PhoneNumberFormat.NATIONAL):
            yield phonenumbers.format_number(number, form)
    facts: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
    abroad = facts.international_prefix
    if abroad.isdigit():
        yield abroad + full[1:]


def e164(text: str | None, region: str) -> str | None:
    """Return what libphonenumber makes of a number, as the models show it: null, E.164 or the digits."""
    text = text or ""
    digits = "".join(letter for letter in text if letter.isdigit())
    if len(digits) < 4:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return digits
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if possible else digits


@functools.cache
def sql(region: str) -> str:
    """Return the expression of `number` that the package makes, rendered without a start of dbt."""
    macros = (ROOT / "transform" / "macros" / f"{name}.sql" for name in ("phone_regions", "phones"))
    source = "".join(macro.read_text(encoding="utf-8") for macro in macros)
    package = SimpleNamespace()
    names = {"fromjson": json.loads, "var": lambda _: "", "trunkline": package}
    template = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(source)  # noqa: S701 - SQL, no page
    made = template.make_module(names)
    package.phone_regions = made.phone_regions  # type: ignore[attr-defined]
    return str(made.phone("number", region))  # type: ignore[attr-defined]
