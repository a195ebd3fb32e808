"""tap-switchtransact: contacts of SwitchTransact's contact centre, looked up by phone, e-mail or search term.

Rests on the vendor's page "Contact Centre, Calls". The API has no way to read calls back, so this tap has no calls.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.ahead import Outcome
from trunkline.client import Request
from trunkline.errors import AccessDenied, BadAnswer, BadRecord, ConfigInvalid, Refused
from trunkline.facts import AtLeastOne, Limit, VendorTap, array, common, header, text, token
from trunkline.personal import e164
from trunkline.seen import Seen
from trunkline.shape import decode
from trunkline.stream import VendorStream
from trunkline.words import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline.ahead import Desk, Feed, Ticket
    from trunkline.client import Reply

KINDS = {"phone": "/calls/record", "email": "/calls/record", "term": "/calls/autocomplete"}
"""What can be looked up, and where."""


class _Answer(msgspec.Struct):
    status: bool
    error: str | None = None
    contact: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    contacts: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_read_answer = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class Lookup:
    """One thing to look up; `label` names it in messages without telling it."""

    kind: str
    value: str
    label: str


class Lookups:
    """The configured lookups, trimmed, e-mails in lower case, each once.

    A file may name hundreds of thousands: it is read again for each iteration, and none of them is kept.

    Args:
        config: The tap's settings, checked.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def __iter__(self) -> Iterator[Lookup]:
        seen = Seen()
        for kind, value in self._wanted():
            if seen.add(kind, value):
                yield Lookup(kind, value, f"{kind} lookup {len(seen)} of {len(self)}")

    def __len__(self) -> int:
        return self._known[0]

    @property
    def in_one(self) -> Collection[tuple[str, str]]:
        """Kinds and E.164 forms of phone numbers that several lookups write in different ways.

        Hashed they are one key, so that one row would overwrite another; in clear each has a key of its own.
        """
        return self._known[1]

    @functools.cached_property
    def _known(self) -> tuple[int, Collection[tuple[str, str]]]:
        seen, numbers, found = Seen(), Seen(), set()
        hashed, region = self._config["pii"] != "clear", self._config.get("phone_region")
        for kind, value in self._wanted():
            if seen.add(kind, value) and hashed and not numbers.add(kind, number := e164(value, region)):
                found.add((kind, number))
        return len(seen), found

    def _wanted(self) -> Iterator[tuple[str, str]]:
        for kind in KINDS:
            for value in self._config.get(f"{kind}s", ()):
                yield kind, _trimmed(kind, value)
        if self._config.get("lookups_file"):
            for place, kind, value in _rows(Path(self._config["lookups_file"])):
                if problem := _problem(kind, value):
                    raise ConfigInvalid([f"{place}: {problem}"])  # it was right when the run began
                yield kind, _trimmed(kind, value)


class LookupFeed:
    """One lookup: it fails alone."""

    def __init__(self, lookup: Lookup, listeners: Sequence[VendorStream]) -> None:
        self.listeners = listeners
        self.context: Mapping[str, Any] = {"lookup": lookup.label}
        self._left = [lookup]

    def upcoming(self) -> Iterator[Lookup]:
        """The lookup, until it is done."""
        yield from self._left

    def read(self, job: Lookup, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
        """Ask for it, and give what was found to every stream."""
        request = Request(
            job.label, KINDS[job.kind], ((job.kind, job.value),), stream=self.listeners[0].name, personal=(job.value,)
        )
        reply = yield desk.ask(request, open_contacts)
        for stream in self.listeners:
            desk.give((stream, (job, reply.parsed or [])), reply)
        return Outcome()

    def split(self, job: Lookup, parts: tuple[Any, ...]) -> None:
        """Never needed: an answer to a lookup is small."""

    def resolve(self, job: Lookup, outcome: Outcome) -> None:  # noqa: ARG002 - there is nothing to decide
        """Done."""
        self._left.clear()


def open_contacts(reply: Reply) -> list[dict[str, Any]]:
    """The contacts of an answer: one object as documented, or a list, as a search may well have it."""
    answer = _read_answer(reply.body)
    found = answer.contact if answer.contact is not msgspec.UNSET else answer.contacts
    content = decode(found) if found is not msgspec.UNSET else None
    if not answer.status:
        if content:
            raise BadAnswer("the answer has another form", "its status is false, and it has a contact")
        return []  # not found; a `false` with an error was refused before
    rows: list[Any] = content if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise BadAnswer("the answer has another form", "its status is true, but it has no contact")
    return rows


class _LookedUp(VendorStream):
    """A stream made of the answers to the configured lookups."""

    tap: TapSwitchTransact
    path = "/calls/record"
    replication_key = None
    keeps_parts = False

    def shares_with(self, other: VendorStream) -> bool:
        """Both streams come from the same answers."""
        return isinstance(other, _LookedUp)

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """One feed for each lookup."""
        lookups = self.tap.lookups
        for stream in listeners:
            if isinstance(stream, _LookedUp):
                stream.begin()
        self.logger.info("%s: %d lookups", " and ".join(stream.name for stream in listeners), len(lookups))
        for lookup in lookups:
            yield LookupFeed(lookup, listeners)

    def begin(self) -> None:
        """Forget what an earlier reading has found."""

    @property
    def parts(self) -> int:
        """The lookups."""
        return len(self.tap.lookups)

    def probe(self, desk: Desk) -> Generator[Ticket, Reply, list[Any]]:
        """The first lookup."""
        self.begin()
        lookup = next(iter(self.tap.lookups))
        yield from LookupFeed(lookup, [self]).read(lookup, desk)
        return [item.value[1] for item in desk.items]


class Contacts(_LookedUp):
    """The contacts found, each once however many lookups find it."""

    name, primary_keys = "contacts", ("id",)
    text_or_number = ("customer_number", "businessphone", "businessphone2", "mobilephone")

    def begin(self) -> None:
        """Forget what an earlier reading has found."""
        self._seen = Seen()

    def records(self, thing: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Contacts not seen before."""
        for row in thing[1]:
            record, _ = self.run.shape(dict(row))
            if self._seen.add(str(row["id"])):
                yield record, None


class ContactLookups(_LookedUp):
    """What each lookup found, so that one that found nothing is on record too."""

    name, primary_keys = "contact_lookups", ("kind", "value")

    def begin(self) -> None:
        """Forget what an earlier reading has found."""
        self._found: dict[tuple[str, str], list[str]] = {}  # by lookups that are one row when they are hashed

    def records(self, thing: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """One row for each lookup; where several are one key, a row that has what all of them found so far."""
        lookup, rows = thing
        named = [row.get("id") for row in rows]
        if not all(isinstance(one, str) for one in named):
            what, why = f"{self.name}: {lookup.label} could not be read", "a contact found has no text as its id"
            raise BadRecord(what, why, "Report it with the vendor's documentation")
        ids = list(dict.fromkeys(named))
        number = lookup.kind, e164(lookup.value, self.config.get("phone_region"))
        if number in self.tap.lookups.in_one:
            before = self._found.get(number)
            ids = list(dict.fromkeys([*(before or ()), *ids]))
            if ids == before:
                return  # it would be the same row once more
            self._found[number] = ids
        found = {
            "kind": lookup.kind,
            "value": lookup.value,
            "matched": bool(ids),
            "contact_ids": ids,
            "contact_id": ids[0] if len(ids) == 1 else None,
        }
        yield self.run.shape(found)[0], None


class TapSwitchTransact(VendorTap):
    """Singer tap for SwitchTransact: contacts looked up by phone, e-mail or search term; calls can't be read back."""

    name, vendor = "tap-switchtransact", "switchtransact"
    common = common()
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the API.", format="url", default="https://app.switchtransact.com/api/1.0"),
        "api_key": token("API key, sent as it is in the header `Authorization`."),
        "phones": array("Phone numbers to look up, best in E.164 (+27…)."),
        "emails": array("E-mail addresses to look up."),
        "terms": array("Search terms: a name, company, e-mail or phone."),
        "lookups_file": text(
            "Path of a CSV file with the columns kind (phone, email or term) and value.", format="file"
        ),
    }
    rules = (
        AtLeastOne("phones", "emails", "terms", "lookups_file", why="there is nothing to look up without one of them"),
    )
    required = ("api_key",)
    limit = Limit(100, 1.0)
    stream_types = (Contacts, ContactLookups)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_key",
        HTTPStatus.FORBIDDEN: "Check api_key: it needs the permission Read on General (API Keys in SwitchTransact)",
    }
    sign = header("Authorization", "api_key", Content_Type="application/json")

    def check_config(self, config: Mapping[str, Any]) -> list[str]:
        """A file whose rows are all lookups, and at least one lookup there or elsewhere."""
        found = super().check_config(config)
        if config.get("lookups_file"):
            rows, problems = _check_file(Path(config["lookups_file"]))
            found += problems
            if not rows and not problems and not any(config.get(name) for name in ("phones", "emails", "terms")):
                found.append("lookups_file must have at least one row")
        return found

    @functools.cached_property
    def lookups(self) -> Lookups:
        """The configured lookups."""
        return Lookups(self.config)

    def is_answer(self, status: int, body: bytes) -> bool:
        """The vendor does not say which status "not found" comes with: a 404 with its body is that answer too."""
        if status == HTTPStatus.NOT_FOUND:
            answer = _answer(body)
            return answer is not None and not answer.status and not answer.error
        return super().is_answer(status, body)

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """The body decides before HTTP: `status: false` with an error is a no, without one it is "not found"."""
        answer = _answer(body)
        if answer is None or answer.status or not answer.error:
            return
        what = f"{request.about} failed"
        if "not authorized" in answer.error.lower():
            hint = self.hint(HTTPStatus.FORBIDDEN)
            raise AccessDenied(what, f"the vendor answered: {clean(answer.error, request.personal)}", hint)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TOLD_BY_HTTP:
            # Its words may repeat what was looked up, which is personal: the kind and the place of it must do.
            raise Refused(
                what, f"the vendor refused it (HTTP {status})", "Check the value at that place", status=status
            )


_TOLD_BY_HTTP = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
"""Statuses that say more than the words of a body: about the key, and about the pace."""


def _answer(body: bytes) -> _Answer | None:
    """The vendor's envelope, if it is one."""
    try:
        return _read_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _trimmed(kind: str, value: str) -> str:
    return value.strip().lower() if kind == "email" else value.strip()


def _check_file(path: Path) -> tuple[int, list[str]]:
    """How many rows of a file are lookups, and what is wrong with the others, by line number."""
    rows, problems = 0, []
    try:
        for place, kind, value in _rows(path):
            if problem := _problem(kind, value):
                problems.append(f"{place}: {problem}")
            rows += not problem
    except ConfigInvalid as exc:
        problems += exc.errors
    return rows, problems


def _problem(kind: str, value: str) -> str:
    """Why a row is no lookup; empty when it is one."""
    if kind not in KINDS:
        return "kind must be phone, email or term"
    return "" if value else "value must not be empty"


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """The rows of a file: where each stands, its kind and its value.

    Raises:
        ConfigInvalid: It is no file of lookups.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"kind", "value"} <= set(reader.fieldnames or ()):
                raise ConfigInvalid(["lookups_file must have the columns kind and value in its first line"])
            for row in reader:
                kind, value = (row["kind"] or "").strip().lower(), (row["value"] or "").strip()
                yield f"lookups_file, line {reader.line_num}", kind, value
    except UnicodeDecodeError:
        raise ConfigInvalid(["lookups_file must be a CSV file in UTF-8"]) from None
    except (OSError, csv.Error):
        raise ConfigInvalid(["lookups_file must be a CSV file that can be read"]) from None
