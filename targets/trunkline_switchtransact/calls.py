"""The vendor's two write calls as facts, and what makes a record one of them: all is checked before a request.

It rests on the vendor's page "Contact Centre, Calls" (Create a Record, Create a Call Log). The page shows the fields
and their forms and does not state which may be left out: required is only what a contact or a call can't be without.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.steps.fetch.words import one_line
from trunkline_loader.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from zoneinfo import ZoneInfo

    Read = Callable[[Any, ZoneInfo], str]

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d):([0-5]\d)", re.ASCII)
_STAMP = re.compile(r"(\d\d)-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d+)?", re.ASCII)
_DATE_LENGTH = len("2026-01-31")
_CENTURY = range(2000, 2100)  # what two digits of a year can stand for
_LONGEST = 100 * 3600  # seconds: `hh` has room for 99 hours
_HOURS = 24
_LANE = 7  # last digits of a number that decide whose it is: 0721234567 and +27721234567 may be the same contact
METADATA = "_sdc_"
"""Fields that begin so are about the transport, never about the record."""


# -- what a value may be -----------------------------------------------------------------------------------------------


def text(value: Any, _: ZoneInfo) -> str:
    """Return a text as it is.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - one kind of error for all that a value can be wrong in
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text that UTF-8 can hold, without half a surrogate pair") from None
    return value


def one_of(*choices: str) -> Read:
    """Return a text out of a list."""

    def read(value: Any, _: ZoneInfo) -> str:
        if value not in choices:
            raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
        return str(value)

    return read


def duration(value: Any, _: ZoneInfo) -> str:
    """Return a duration as `hh:mm:ss`, from that form, seconds or an ISO 8601 duration; half seconds count as one.

    Raises:
        ValueError: It is none of these, negative, or longer than two digits of hours can hold.
    """
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError("must be a duration: hh:mm:ss, a number of seconds, or ISO 8601 such as PT1M30S")
    if not 0 <= seconds < _LONGEST:
        raise ValueError("must be a duration from 00:00:00 to 99:59:59")
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _seconds(value: Any) -> int | None:
    """Return whole seconds; None when the value is no duration."""
    try:
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return -1 if value < 0 else int(value * 2 + 1) // 2
        if not isinstance(value, str):
            return None
        if match := _CLOCK.fullmatch(value):
            hours, minutes, seconds = map(int, match.groups())
            return hours * 3600 + minutes * 60 + seconds
        return _seconds(Decimal(value) if _SECONDS.fullmatch(value) else instants.duration(value).total_seconds())
    except (ValueError, ArithmeticError):  # no such duration, or a number that is none (NaN)
        return None


def stamp(value: Any, zone: ZoneInfo) -> str:
    """Return a moment as `dd-mm-yy hh:mm:ss` on the clocks of `zone`, from that form or an ISO 8601 date-time.

    A part of a second is cut off. What has no zone is taken to be on the clocks of `zone` already.

    Raises:
        ValueError: It is neither, there is no such moment, or its year is not one of 2000 to 2099.
    """
    if isinstance(value, str) and (match := _STAMP.fullmatch(value)):
        day, month, year, hour, minute, second = map(int, match.groups())
        try:
            datetime(_CENTURY[year], month, day, hour, minute, second)  # noqa: DTZ001 - to see that there is such a moment
        except ValueError:
            raise ValueError("must be a moment that the calendar has") from None
        return value
    moment = _local(value, zone)
    if moment is None:
        raise ValueError("must be a date-time: dd-mm-yy hh:mm:ss, or ISO 8601 such as 2026-01-31T08:00:00Z")
    if moment.year not in _CENTURY:
        raise ValueError("must be a date-time in the years 2000 to 2099, as the vendor's form has two digits")
    return moment.strftime("%d-%m-%y %H:%M:%S")


def time_of_day(value: Any, zone: ZoneInfo) -> str:
    """Return a time of day as `hh:mm:ss`, from that form, or of an ISO 8601 date-time on the clocks of `zone`.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value)) and int(match[1]) < _HOURS:
        return value.rjust(8, "0")
    moment = _local(value, zone)
    if moment is None:
        raise ValueError("must be a time of day: hh:mm:ss, or an ISO 8601 date-time")
    return moment.strftime("%H:%M:%S")


def _local(value: Any, zone: ZoneInfo) -> datetime | None:
    """Return a date-time on the clocks of a zone; None when the value is none."""
    try:
        if isinstance(value, datetime):  # as a stream map may make one
            return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(zone)
        if isinstance(value, str) and len(value) > _DATE_LENGTH and ":" in value:
            return instants.from_iso(value, zone).astimezone(zone)
    except (ValueError, OverflowError):
        pass
    return None


# -- the calls ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One field of a body.

    Args:
        name: The vendor's name of it.
        read: Makes the vendor's form of a value, or raises ValueError with what the value must be.
        required: Whether a record can't be without it.
        personal: Whether it is about a person: its value is never shown.
    """

    name: str
    read: Read = text
    required: bool = False
    personal: bool = False


@dataclass(frozen=True)
class Call:
    """One of the vendor's write calls.

    Args:
        stream: The Singer stream it takes.
        path: Path below `api_url`.
        fields: Its body, in the vendor's order.
        number: The field with the phone number, which shows whose record it is.
        echoes: Whether a success repeats the record (and has no `status`), instead of responding `status: true`.
    """

    stream: str
    path: str
    fields: tuple[Field, ...]
    number: str
    echoes: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' names."""
        return tuple(field.name for field in self.fields)

    def body(
        self, record: Mapping[str, Any], keys: Collection[str], zone: ZoneInfo
    ) -> tuple[dict[str, str], list[str]]:
        """Make the body to send of a record.

        A null or an empty text counts as left out. A key that is no field of the vendor's identifies the record and is
        not sent. Any other field that the vendor does not know is an error: it would be lost, and a write can't be
        repeated with it.

        Args:
            record: The record, after stream maps.
            keys: Its key properties.
            zone: Whose clocks the vendor's times are on.

        Returns:
            The body, and what is wrong with the record: a clause for each field, without its value.
        """
        made, problems = {}, []
        for field in self.fields:
            value = record.get(field.name)
            if value is None or (isinstance(value, str) and not value.strip()):
                if field.required:
                    problems.append(f"{field.name} is missing")
                continue
            try:
                made[field.name] = field.read(value, zone)
            except ValueError as exc:
                problems.append(f"{field.name} {exc}")
        for name, value in record.items():
            if value is not None and name not in self.names and name not in keys and not name.startswith(METADATA):
                near = difflib.get_close_matches(name, self.names, n=1)
                problems.append(f"{shown(name)} is no field of the vendor's" + (f" (is it {near[0]}?)" if near else ""))
        problems += [f"the key {shown(key)} has no value" for key in keys if record.get(key) is None]
        return made, problems

    def masked(self, body: Mapping[str, str]) -> dict[str, str]:
        """Return a body as it may be shown: of a personal value only its form, +00000000000 or Xxxxx."""
        personal = {field.name for field in self.fields if field.personal}
        return {name: _form(value) if name in personal else value for name, value in body.items()}

    def reason(self, reason: str, body: Mapping[str, str]) -> str:
        """Return a vendor's reason for refusing a record, without the personal values that they may repeat."""
        return one_line(reason, [body[field.name] for field in self.fields if field.personal and field.name in body])

    def lane(self, body: Mapping[str, str]) -> str:
        """Return whose record it is: records of one lane are sent one after the other, in the order they came in."""
        number = body.get(self.number, "")
        return re.sub(r"\D", "", number)[-_LANE:] or number.lower()


def _form(value: str) -> str:
    return "".join("0" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in value)


CREATE = Call(
    "contacts",
    "/calls/create",
    (
        Field("firstname", required=True, personal=True),
        Field("lastname", required=True, personal=True),
        Field("phone", required=True, personal=True),
    ),
    number="phone",
    echoes=True,
)
"""Create a Record."""

LOG = Call(
    "call_logs",
    "/calls/log",
    (
        Field("CallType", one_of("Inbound", "Outbound", "Missed", "Notanswered"), required=True),
        Field("CallDirection", one_of("Inbound", "Outbound")),
        Field("Number", required=True, personal=True),
        Field("Name", personal=True),
        Field("EntityId", personal=True),
        Field("EntityType"),
        Field("AgentFirstName", personal=True),
        Field("AgentLastName", personal=True),
        Field("AgentEmail", personal=True),
        Field("Duration", duration),
        Field("DurationTimespan", duration),
        Field("DateTime", stamp),
        Field("CallStartTimeLocal", time_of_day),
        Field("CallEndTimeLocal", time_of_day),
    ),
    number="Number",
)
"""Create a Call Log."""

NAMES = ("firstname", "lastname")
"""The fields by which a contact that was found is distinguished from another one with its phone."""

CALLS = {call.stream: call for call in (CREATE, LOG)}
"""The streams that can be written."""


def is_e164(number: str) -> bool:
    """Return whether a number is that of one line worldwide; a national one may be found in another form, or not."""
    return _E164.fullmatch(number) is not None


# -- who a record is ---------------------------------------------------------------------------------------------------


def key_identity(stream: str, record: Mapping[str, Any], keys: Collection[str]) -> bytes:
    """Return the identity of a record with key properties: a hash, as a key may be a phone number."""
    return _digest([stream, {key: record.get(key) for key in keys}])


def content_identity(stream: str, record: Mapping[str, Any]) -> bytes:
    """Return the identity that equal records without a key have in common; their ordinals distinguish them.

    It is of the record and not of the body, so that another `timezone` does not make every record a new one. What is
    null or about the transport does not count: it differs from one release of a tap to the next.
    """
    content = {name: value for name, value in record.items() if value is not None and not name.startswith(METADATA)}
    return _digest([stream, content])


def numbered(identity: bytes, ordinal: int) -> bytes:
    """Return the identity of the ordinal-th (from 1) among equal records."""
    return hashlib.sha256(identity + ordinal.to_bytes(8, "big")).digest()


def gist(body: Mapping[str, str]) -> bytes:
    """Return the hash of what a look-up shows of a contact: whose number it is, and names however written."""
    return _digest([CREATE.lane(body), *(folded(body[name]) for name in NAMES)])


def folded(name: str) -> str:
    """Return a name without what a vendor may change in it: space around it, and the case of its letters."""
    return name.strip().casefold()


def digest(body: Mapping[str, str]) -> bytes:
    """Return the hash of a body, by which records with the same content are recognised."""
    return _digest(dict(body))


def _digest(value: Any) -> bytes:
    written = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).digest()


def _plain(value: Any) -> Any:
    """Return a value so that equal numbers are written alike: 90 and 90.0."""
    if isinstance(value, (float, Decimal)):
        return int(value) if value == value // 1 else float(value)
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
