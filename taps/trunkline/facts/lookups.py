"""Streams of lookups: one request for each value that the config names, in settings or in a CSV file of any length."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import msgspec

from trunkline.errors import BadRecord, BadResponse, ConfigInvalid
from trunkline.exact import decode
from trunkline.facts.stream import Batch, VendorStream
from trunkline.personal import e164
from trunkline.seen import Seen
from trunkline.steps.fetch.context import ReadOutcome
from trunkline.steps.fetch.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from trunkline.facts.ports import OwningTap
    from trunkline.steps.fetch.context import Feed, PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookups:
    """Kinds of lookups, their paths, and the form of their responses. It is also the rule that checks the file.

    Args:
        kinds: Setting that lists the values of each kind, and the path where they are looked up, by a query parameter
            that is called like the kind.
        rows: Fields that may hold what was found, an object or a list of objects; the first that is there counts.
        found: Field that is true when something was found, and false when nothing was; empty when there is none.
        error: Field with the reason, where the response is false for another reason; empty when there is none.
        lower_case: Kinds whose values are the same in any case.
        file: Setting that names a CSV file with the columns kind and value; empty when there is none.
    """

    kinds: Mapping[str, tuple[str, str]]
    rows: tuple[str, ...]
    found: str = ""
    error: str = ""
    lower_case: tuple[str, ...] = ()
    file: str = ""
    _of: WeakKeyDictionary[OwningTap, Configured] = field(default_factory=WeakKeyDictionary, repr=False)

    def of(self, tap: OwningTap) -> Configured:
        """Return the lookups of a tap: the same for all of its streams, as a file may be long."""
        if tap not in self._of:
            self._of[tap] = Configured(self, tap.config)
        return self._of[tap]

    def trim(self, kind: str, value: str) -> str:
        """Return a value as it is looked up."""
        value = value.strip()
        return value.lower() if kind in self.lower_case else value

    def problem(self, kind: str, value: str) -> str:
        """Return why a row of the file is no lookup; empty when it is one."""
        if kind not in self.kinds:
            *most, last = self.kinds
            return f"kind must be {', '.join(most)} or {last}" if most else f"kind must be {last}"
        return "" if value else "value must not be empty"

    def problems(self, config: Mapping[str, Any]) -> list[str]:
        """Check that the rows of the file are lookups, and that there is one at least, there or in a setting."""
        if not config.get(self.file):
            return []
        count, found = 0, []
        try:
            for place, kind, value in self.file_rows(config):
                if problem := self.problem(kind, value):
                    found.append(f"{place}: {problem}")
                count += not problem
        except ConfigInvalid as exc:
            found += exc.errors
        if not count and not found and not any(config.get(setting) for setting, _ in self.kinds.values()):
            found.append(f"{self.file} must have at least one row")
        return found

    def file_rows(self, config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Read the file row by row: where each stands, its kind and its value.

        Raises:
            ConfigInvalid: It is no file of lookups.
        """
        try:
            with Path(config[self.file]).open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                if not {"kind", "value"} <= set(reader.fieldnames or ()):
                    raise ConfigInvalid([f"{self.file} must have the columns kind and value in its first line"])
                for row in reader:
                    kind, value = (row["kind"] or "").strip().lower(), (row["value"] or "").strip()
                    yield f"{self.file}, line {reader.line_num}", kind, value
        except UnicodeDecodeError:
            raise ConfigInvalid([f"{self.file} must be a CSV file in UTF-8"]) from None
        except (OSError, csv.Error):
            raise ConfigInvalid([f"{self.file} must be a CSV file that can be read"]) from None

    def open(self, reply: Reply) -> list[dict[str, Any]]:
        """Find the rows of a response; none where it reports that there are none.

        Raises:
            BadResponse: It contradicts itself.
        """
        body = self._read(reply.body)
        parts = (getattr(body, f"field{number}") for number in range(len(self.rows)))
        raw = next((part for part in parts if part is not msgspec.UNSET), None)
        content = None if raw is None else decode(raw)
        if self.found and not body.found:
            if content or body.error:
                other = self.rows[0] if content else self.error
                raise BadResponse("the response has another form", f"its {self.found} is false, and it has a {other}")
            return []
        rows: list[Any] = content if isinstance(content, list) else [content]
        if not all(isinstance(row, dict) for row in rows):
            subject = f"its {self.found} is true, but it" if self.found else "it"
            raise BadResponse("the response has another form", f"{subject} has no {self.rows[0]}")
        return rows

    @functools.cached_property
    def _read(self) -> Callable[[bytes], Any]:
        fields: list[Any] = [
            (f"field{number}", msgspec.Raw | msgspec.UnsetType, msgspec.field(name=name, default=msgspec.UNSET))
            for number, name in enumerate(self.rows)
        ]
        if self.found:
            fields.append(("found", bool, msgspec.field(name=self.found)))
            fields.append(("error", str | None, msgspec.field(name=self.error or "\0", default=None)))
        return msgspec.json.Decoder(msgspec.defstruct("Body", fields, kw_only=True)).decode


@dataclass(frozen=True)
class Lookup:
    """One value to look up; `label` names it in messages without showing it."""

    kind: str
    value: str
    label: str


class Configured:
    """The configured lookups, trimmed, each once.

    A file may name hundreds of thousands: it is read again for each iteration, and none of them is kept.

    Args:
        facts: What can be looked up.
        config: The tap's settings, checked.
    """

    def __init__(self, facts: Lookups, config: Mapping[str, Any]) -> None:
        self._facts, self._config = facts, config

    def __iter__(self) -> Iterator[Lookup]:
        seen = Seen()
        for kind, value in self._values():
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
        for kind, value in self._values():
            if seen.add(kind, value) and hashed and not numbers.add(kind, number := e164(value, region)):
                found.add((kind, number))
        return len(seen), found

    def _values(self) -> Iterator[tuple[str, str]]:
        facts, config = self._facts, self._config
        for kind, (setting, _) in facts.kinds.items():
            for value in config.get(setting, ()):
                yield kind, facts.trim(kind, value)
        if config.get(facts.file):
            for place, kind, value in facts.file_rows(config):
                if problem := facts.problem(kind, value):
                    raise ConfigInvalid([f"{place}: {problem}"])  # it was right when the run began
                yield kind, facts.trim(kind, value)


@dataclass(frozen=True)
class Found(Batch):
    """Rows that one lookup found for a stream.

    Args:
        stream: The stream.
        lookup: The lookup.
        rows: The rows found, decoded.
    """

    lookup: Lookup
    rows: Sequence[dict[str, Any]]


class LookupFeed:
    """One lookup: it fails alone."""

    def __init__(self, facts: Lookups, lookup: Lookup, listeners: Sequence[VendorStream]) -> None:
        self.listeners = listeners
        self.context: Mapping[str, Any] = {"lookup": lookup.label}
        self._facts, self._left = facts, [lookup]

    def upcoming(self) -> Iterator[Lookup]:
        """Yield the lookup, until it is done."""
        yield from self._left

    def read(self, job: Lookup, ctx: ReadContext) -> Generator[PendingReply, Reply, ReadOutcome]:
        """Request it, and give what was found to every stream."""
        _, path = self._facts.kinds[job.kind]
        parameters = ((job.kind, job.value),)
        request = Request(job.label, path, parameters, stream=self.listeners[0].name, personal=(job.value,))
        reply = yield ctx.request(request, self._facts.open)
        for stream in self.listeners:
            ctx.emit(Found(stream, job, reply.parsed or []), reply)
        return ReadOutcome()

    def split(self, job: Lookup, parts: tuple[Any, ...]) -> None:
        """Do nothing: the response to a lookup is small, and never split."""

    def resolve(self, job: Lookup, outcome: ReadOutcome) -> None:  # noqa: ARG002 - there is nothing to decide
        """Note that it is done."""
        self._left.clear()


class LookupStream(VendorStream):
    """The rows that were found, each once however many lookups find it; one request serves all streams of `lookups`."""

    lookups: ClassVar[Lookups]
    replication_key = None
    keeps_partitions = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "lookups" in vars(cls):
            cls.path = next(path for _, path in cls.lookups.kinds.values())

    def __init__(self, tap: OwningTap) -> None:
        super().__init__(tap)
        self.begin()

    @functools.cached_property
    def configured(self) -> Configured:
        """The lookups of the config and the file."""
        return self.lookups.of(self.tap)

    def shares_with(self, other: VendorStream) -> bool:
        """Share the responses with the other streams that are made of them."""
        return isinstance(other, LookupStream) and other.lookups is self.lookups

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """Yield one feed for each lookup."""
        for stream in listeners:
            if isinstance(stream, LookupStream):
                stream.begin()
        names = " and ".join(stream.name for stream in listeners)
        self.logger.info("%s: %d lookups", names, len(self.configured))
        for lookup in self.configured:
            yield LookupFeed(self.lookups, lookup, listeners)

    def begin(self) -> None:
        """Forget what an earlier reading has found."""
        self._seen = Seen()

    @property
    def parts(self) -> int | None:
        """The number of lookups; None where the file has become invalid, which reading it reports."""
        try:
            return len(self.configured)
        except ConfigInvalid:
            return None

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:
        """Request the first lookup."""
        self.begin()
        lookup = next(iter(self.configured))
        yield from LookupFeed(self.lookups, lookup, [self]).read(lookup, ctx)
        return [item.value for item in ctx.items]

    def records(self, batch: Found) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Make the records of rows not seen before."""
        for row in batch.rows:
            record, _ = self.run.shape(dict(row))
            if self._seen.add(*(str(row[name]) for name in self.primary_keys)):
                yield record, None


class LookupResults(LookupStream):
    """Results of each lookup, so that one that found nothing is on record too.

    Fields of a record: `kind` and `value`, which are its key, `matched`, and the two that `ids` names.
    """

    primary_keys = ("kind", "value")
    ids: ClassVar[tuple[str, str]]
    """Field for the ids of all rows found, and field for the id where there is one alone."""
    row_id: ClassVar[str] = "id"
    """Field of a row found that holds its id."""

    def begin(self) -> None:
        """Forget what an earlier reading has found."""
        self._found: dict[tuple[str, str], list[str]] = {}  # by lookups that are one row when they are hashed

    def records(self, batch: Found) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Make one record for each lookup; where several are one key, one that has what all of them found so far."""
        lookup, rows = batch.lookup, batch.rows
        named: list[Any] = [row.get(self.row_id) for row in rows]
        if not all(isinstance(one, str) for one in named):
            what = f"{self.name}: {lookup.label} could not be read"
            why = f"a {self.lookups.rows[0]} found has no text as its {self.row_id}"
            raise BadRecord(what, why, "Report it with the vendor's documentation")
        ids = list(dict.fromkeys(named))
        number = lookup.kind, e164(lookup.value, self.config.get("phone_region"))
        if number in self.configured.in_one:
            before = self._found.get(number)
            ids = list(dict.fromkeys([*(before or ()), *ids]))
            if ids == before:
                return  # it would be the same row once more
            self.run.repeated += before is not None
            self._found[number] = ids
        several, single = self.ids
        found = {
            "kind": lookup.kind,
            "value": lookup.value,
            "matched": bool(ids),
            several: ids,
            single: ids[0] if len(ids) == 1 else None,
        }
        yield self.run.shape(found)[0], None
