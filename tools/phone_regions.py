"""Make the macro `phone_regions` of transform/: how each country writes its numbers, from libphonenumber's metadata.

tools/docs.py writes it. Constants in the SQL, where a seed would be joined for every number of every row.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HEAD = """\
{#- Made by `python3 run.py docs` from the metadata of libphonenumber (Apache License 2.0): of each region the country
    code, then as patterns what is dialled before a country code, what before a national number, how many digits that
    may have, and which. -#}
"""


def files(root: Path) -> dict[Path, str]:
    """Return the generated macro, with its text.

    Args:
        root: The checkout.
    """
    lines = ",\n".join(f'"{region}": {json.dumps(_facts(region))}' for region in sorted(phonenumbers.SUPPORTED_REGIONS))
    text = f"{_HEAD}{{% macro phone_regions() %}}\n{{% raw %}}{{\n{lines}\n}}{{% endraw %}}\n{{% endmacro %}}\n"
    return {root / "transform" / "macros" / "phone_regions.sql": text}


def _facts(region: str) -> list[str]:
    facts: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
    # A rule that turns one number into another (Argentina's 15, Brazil's carriers) is no prefix to be taken away.
    plain = facts.national_prefix_transform_rule is None and facts.national_prefix_for_parsing
    trunk = plain or facts.national_prefix or ""
    general = facts.general_desc
    digits = _digits(general.possible_length)
    return [str(facts.country_code), facts.international_prefix or "", trunk, digits, general.national_number_pattern]


def _digits(lengths: Iterable[int]) -> str:
    """Return a pattern of digits of these lengths: `[0-9]{7,9}|[0-9]{12}`."""
    # Those that follow one another have the same distance from their places.
    runs = itertools.groupby(enumerate(sorted(lengths)), key=lambda numbered: numbered[1] - numbered[0])
    ends = [(found[0][1], found[-1][1]) for _, run in runs if (found := [*run])]
    return "|".join(f"[0-9]{{{first}}}" if first == last else f"[0-9]{{{first},{last}}}" for first, last in ends)
