"""Personal data: what the schemas mark `x-personal` goes out as it is, as a keyed hash, or not at all.

A phone number has so few digits that a plain hash of it is found by trying them all: hence HMAC-SHA-256 with a key.
Numbers are brought to E.164 first, so that the same line gives the same hash whichever vendor wrote it and however.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Literal

from trunkline.redact import Redactor, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import TypeAlias

    Change: TypeAlias = Callable[[Any], Any]

MARK = "x-personal"
_PHONE = re.compile(r"\s*(\+|00)?[\d\s().\-/]{5,24}\Z", re.ASCII)
_NUMBER = re.compile(  # digits of any script; between them blanks, dashes and dots of any kind, and invisible letters
    r"\+?\d[\d\s()./_|~*'+\u00ad\u00b7\u2010-\u2015\u2022\u2027\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2212\u30fb\ufeff\uff0d-]{4,}\d"
)
_DATE = re.compile(r"(?:19|20)\d\d-[01]\d-[0-3]\d(?: [0-2]\d)?", re.ASCII)  # a vendor quotes one that it can't read
_MAIL = re.compile(  # bounded: or long words would be searched for ages
    r"(?:\"[^\"@]{1,64}\"|[^\s@\uff20\ufe6b,;<>()]{1,64}) ?[@\uff20\ufe6b] ?[^\s@\uff20\ufe6b,;<>()]{1,255}"
)
_DIGITS = re.compile(r"\d{4,}", re.ASCII)  # of a number's: "ends with 4567"
_WORD = re.compile(r"[^\W_]+")
_KINDS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_DECODED = 3  # escapes inside escapes
_IDENTIFYING = re.compile(r"@|(\d[\s().\-/]*){5}", re.ASCII)
"""A name of a field that looks like an address or a number."""
_CACHED = 8_192  # values whose hash is remembered: an agent's name stands in thousands of calls


def mark_of(schema: Mapping[str, Any]) -> bool:
    """Return whether a property is about a person as a whole."""
    return bool(schema.get(MARK))


def protect(
    schema: Mapping[str, Any], primary_keys: Collection[str], change: Change, keep: Change, unnamed: str = ""
) -> Change:
    """Compile what protects the records of a stream.

    Args:
        schema: The stream's schema.
        primary_keys: Its keys: never null, so they are hashed even where other fields are dropped.
        change: What becomes of a personal text.
        keep: What becomes of a personal text that is a key.
        unnamed: The field that holds what the schema does not name, where nothing is known to be harmless.

    Returns:
        A function that changes a finished record in place.
    """
    steps: list[tuple[str, Change]] = [
        (name, step)
        for name, spec in schema["properties"].items()
        if name != unnamed and (step := _step(spec, keep if name in primary_keys else change))
    ]
    if unnamed in schema["properties"]:
        steps.append((unnamed, functools.partial(unknown, change)))

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        for name, step in steps:
            if record.get(name) is not None:
                record[name] = step(record[name])
        return record

    return finish


def _step(spec: Mapping[str, Any], change: Change) -> Change | None:
    """Return the change for a value of this property; None when nothing in it is personal."""
    if mark_of(spec):
        return functools.partial(_everything, change)
    inner = {name: step for name, part in spec.get("properties", {}).items() if (step := _step(part, change))}
    if inner:
        return functools.partial(_fields, inner)
    members = _step(spec["items"], change) if isinstance(spec.get("items"), dict) else None
    return functools.partial(_members, members) if members else None


def _everything(change: Change, value: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _everything(change, inner) for name, inner in value.items()}
    return [_everything(change, inner) for inner in value] if isinstance(value, list) else value


def unknown(change: Change, value: Any) -> Any:
    """Protect what the schema does not describe: any of it may be personal, numbers and the names of fields too.

    Args:
        change: What becomes of a text.
        value: The value. Of it only what is true, false or null stays.
    """
    if isinstance(value, dict):
        names = {name: change(name) if _IDENTIFYING.search(name) else name for name in value}
        return {names[name]: unknown(change, inner) for name, inner in value.items() if names[name] is not None}
    if isinstance(value, list):
        return [unknown(change, inner) for inner in value]
    if isinstance(value, str):
        return change(value)
    return value if value is None or isinstance(value, bool) else None


def _fields(steps: Mapping[str, Change], value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: steps[name](inner) if name in steps else inner for name, inner in value.items()}


def _members(step: Change, value: Any) -> Any:
    return [step(inner) for inner in value] if isinstance(value, list) else value


def hasher(key: str, region: str | None) -> Change:
    """Make the function that hashes a text.

    Args:
        key: The secret key; the same key gives the same hash for every vendor and run.
        region: ISO country code that numbers without a country belong to.

    Returns:
        A function from a text to the hex HMAC-SHA-256 of its UTF-8, a phone number's of its E.164 form.
    """
    secret = key.encode()

    @functools.lru_cache(maxsize=_CACHED)
    def digest(text: str) -> str:
        return hmac.new(secret, e164(text, region).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    return digest


def e164(text: str, region: str | None) -> str:
    """Return a phone number in E.164 (`+27721234567`); any other text as it is."""
    if not _PHONE.match(text):
        return text
    import phonenumbers  # its tables cost a tenth of a second that only a hash is worth

    number = text.strip()
    try:
        parsed = phonenumbers.parse("+" + number[2:] if number.startswith("00") else number, region)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(parsed):
        return text
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def drop(_: Any) -> None:
    """Return nothing in the place of a text."""


MASK = "(personal)"
"""Text in the place of a personal value in words that are shown."""


def mask(words: str, values: Iterable[str]) -> str:
    """Return a vendor's words without what they repeat of a person, in whatever case or escape.

    Args:
        words: The vendor's words about a record or a look-up.
        values: The personal values of that record or look-up. Each of their words is masked too, as a vendor may repeat
            but a first name, and so are all e-mail addresses and phone numbers.

    Returns:
        The words with their escapes decoded, fit to be cut and shown.
    """
    forms = {form for value in values for form in (value, *(unicodedata.normalize(kind, value) for kind in _KINDS))}
    parts = {part for form in forms for part in _WORD.findall(form)}
    short, digits = {part.casefold() for part in parts}, {re.sub(r"[^0-9]", "", form) for form in forms}
    masking = Redactor(MASK)
    masking.add(form for form in {form.strip() for form in forms} | parts if form)
    words = masking(words)
    for _ in range(_DECODED):
        words = masking(decode(words))
    words = _MAIL.sub(MASK, _NUMBER.sub(lambda found: found[0] if _DATE.fullmatch(found[0]) else MASK, words))
    # A short word shows nothing inside another one, but where it stands between others, as in `james_may`.
    words = _WORD.sub(lambda found: MASK if found[0].casefold() in short else found[0], words)
    return _DIGITS.sub(lambda found: MASK if any(found[0] in one for one in digits) else found[0], words)


def soften(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what goes out: where a hash stands in the place of a date, a format would be a lie."""

    def soften(spec: dict[str, Any], *, personal: bool) -> None:
        personal = personal or mark_of(spec)
        if personal:
            spec.pop("format", None)
        for part in spec.get("properties", {}).values():
            soften(part, personal=personal)
        if isinstance(spec.get("items"), dict):
            soften(spec["items"], personal=personal)

    soften(schema, personal=False)
    return schema
