"""A vendor's stream: facts as class attributes, and the few methods that the steps call."""

from __future__ import annotations

import fnmatch
import functools
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from singer_sdk.helpers.conform import TypeConformanceLevel

from trunkline import instants, personal, schemas, sdk
from trunkline.errors import TrunklineError
from trunkline.exact import encode
from trunkline.steps.shape.shape import EXTRA, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import msgspec
    from singer_sdk.singerlib import Catalog

    from trunkline.facts.ports import OwningTap, StreamState
    from trunkline.sdk import Records
    from trunkline.steps.feeds import Proof
    from trunkline.steps.fetch.context import Feed, PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window
    from trunkline.steps.prove.pages import Page


_NAMED = re.compile(r"\{(\w+)\}")


def _matcher(names: Sequence[str]) -> Callable[[str], Any] | None:
    """Return the function that recognises a name of these; None where there are none."""
    return re.compile("|".join(map(fnmatch.translate, names)), re.IGNORECASE).match if names else None


@dataclass(frozen=True)
class Batch:
    """Data that came for one stream, which makes its records of it; each kind of stream has its kind of batch.

    Args:
        stream: The stream.
    """

    stream: VendorStream


@dataclass(frozen=True)
class WindowRows(Batch):
    """Rows of one response, in the vendor's order.

    Args:
        stream: The stream.
        window: Window that was requested.
        rows: The rows, as the vendor's bytes.
        by: The field that the vendor filtered on; empty when the filter can't be judged by a field.
        context: The partition.
    """

    window: Window
    rows: Sequence[msgspec.Raw]
    by: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


class VendorStream(sdk.OwnSync):
    """A stream whose schema is a file, and whose records come from feeds.

    The facts of a vendor's stream stand in its class; what is computed from the config stands in properties.
    """

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # Shape has seen to it, and keeps what conforming would change
    tap: OwningTap
    run: StreamState
    keeps_partitions: ClassVar[bool] = True
    """Whether a run remembers how far each of the stream's parts has come; not where there may be any number."""
    key_moves: ClassVar[bool] = False
    """Whether a row's replication key changes when the row does: then the row leaves the span that it was read in."""
    needs: ClassVar[Sequence[str]] = ()
    """Settings of which one must be set, or the stream is not offered."""
    skips_keyless: ClassVar[bool] = False
    """Whether rows without a primary key are left out and counted; elsewhere they are an error."""
    never_loaded: ClassVar[Sequence[str]] = ()
    """Names of fields, in any case and with `*`, that are dropped whatever the settings, such as `*password*`."""
    may_read_days: ClassVar[bool] = False
    """Whether the vendor may read the ends of its filter as whole days: no span is split that then holds no less."""
    computed: ClassVar[Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]]] = {}
    """Computed fields: the vendor's fields that each is made from, and what makes it of their values."""
    latest: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Computed fields that are the latest of other times."""
    grows_by: ClassVar[str] = ""
    """Field that marks new rows where no bookmark does: a copy is added to, and never written anew."""
    decode_fully: ClassVar[Sequence[str]] = ()
    """Objects and arrays that `compute` looks into."""
    text_or_number: ClassVar[Sequence[str]] = ()
    """Text fields that the vendor's pages show as numbers elsewhere; a number becomes its digits."""
    number_or_text: ClassVar[Sequence[str]] = ()
    """Number fields that the vendor may send as text; its digits become the number."""
    text_or_json: ClassVar[Sequence[str]] = ()
    """Text fields in which the vendor may send an object; it becomes its JSON."""
    flag_or_number: ClassVar[Sequence[str]] = ()
    """Boolean fields in which the vendor may send 0 or 1."""
    exclude_setting: ClassVar[str] = ""
    """Setting that lists the fields that the vendor is not to send; they leave the schema too."""

    def __init__(self, tap: Any) -> None:
        self.tap = tap
        super().__init__(tap=tap)

    @property
    def url_base(self) -> str:
        """The configured address, without a slash at its end."""
        return str(self.config["api_url"]).rstrip("/")

    def filled(self, path: str, context: Mapping[str, str]) -> str:
        """Write values of a partition, and of settings, into a path: each in the place of its name in braces."""

        def value(named: re.Match[str]) -> str:
            found = context.get(named[1], self.config.get(named[1]))
            return named[0] if found is None else quote(str(found), safe="")

        return _NAMED.sub(value, path)

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """The stream's schema file, less the fields that the config leaves out."""
        schema = schemas.load(self.tap.vendor, self.name)
        schema.pop("$schema", None)
        for name in self.excluded_fields():
            schema["properties"].pop(name, None)
        return schema if self.config.get("pii", "clear") == "clear" else personal.soften(schema)

    def compile_shape(self, *, as_dict: bool = False) -> Shape:
        """Compile the maker of the stream's records, with property selection; as dicts, if the caller changes them.

        Raises:
            TrunklineError: The schema lacks a key field.
        """
        schema = self.schema
        for key in (*self.primary_keys, *filter(None, [self.replication_key])):
            if key not in schema["properties"]:
                why = f"its schema has no field {key}, which is one of its keys"
                raise TrunklineError(
                    f"the stream {self.name} can't be read",
                    why,
                    "Correct its keys or its schema",
                    code="vendor-package",
                )
        left = {*sdk.unmentioned(self)}
        selected = {name for name in schema["properties"] if name not in left and self.mask["properties", name]}
        return Shape(
            self.name,
            sdk.chosen_inside(self),
            self.primary_keys,
            replication_key=self.replication_key,
            fields=None if len(selected) == len(schema["properties"]) else selected,
            unmentioned=left if EXTRA in selected else (),
            unknown_fields=self.config["unknown_fields"],
            keeps_odd=self.config["pii"] == "clear",
            read_time=self.read_time if self.reads_times else instants.read,
            computed=self.computed,
            compute=self.compute if self.computes else None,
            latest=self.latest,
            text_or_number=self.text_or_number,
            number_or_text=self.number_or_text,
            text_or_json=self.text_or_json,
            decode_fully=self.decode_fully,
            finish=self.protection(),
            never=_matcher(self.never_loaded),
            as_dict=as_dict or not sdk.writes_directly(self),
        )

    def note_unknown(self, fields: Mapping[str, Any]) -> None:
        """Count fields that the schema does not name."""
        self.run.shape.note_unknown(fields)

    def protection(self) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
        """Return the function that protects finished records, by the setting `pii`; None when they stay as they are."""
        if self.config["pii"] == "clear":
            return None
        change, digest = self._changes
        return personal.protect(self.schema, self.primary_keys, change, digest, EXTRA)

    def protection_of_unknown(self) -> Callable[[Any], Any]:
        """Return the function that does the same to a value that the schema does not name."""
        if self.config["pii"] == "clear":
            return lambda value: value
        return functools.partial(personal.unknown, self._changes[0])

    @functools.cached_property
    def _changes(self) -> tuple[personal.Change, personal.Change]:
        """The function that protects a personal text, and that for a key."""
        key = self.config.get("pii_key")
        digest = personal.hasher(key, self.config.get("phone_region")) if key else personal.drop
        return digest if self.config["pii"] == "hash" else personal.drop, digest

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and schema from a catalog, which may be an older release's."""
        sdk.complete(self, catalog.get_stream(self.name))
        super().apply_catalog(catalog)

    def excluded_fields(self) -> Iterable[str]:
        """Return fields that the config excludes: they leave the schema too, or an upsert would null them."""
        return self.config.get(self.exclude_setting) or ()

    def exclude_params(self) -> Iterator[tuple[str, str]]:
        """Yield the parameter that names them, which is called like the setting: as a JSON list."""
        if self.excluded_fields():
            yield self.exclude_setting, encode([*self.excluded_fields()]).decode()

    def read_time(self, text: str) -> tuple[datetime, str]:
        """Read a time as this vendor writes it.

        Returns:
            The instant in UTC, and the text to write: ISO 8601 with a zone.

        Raises:
            NullTimeError: It is the vendor's way to write that there is none.
            ValueError: It is no time.
        """
        return instants.read(text)

    def compute(self, row: Any) -> None:
        """Normalise what the vendor writes in more than one way; for what one field can't show (see `computed`).

        Args:
            row: The vendor's row, changed in place: a dict, or a struct that can be used like one.
        """
        for name in self.flag_or_number:
            if row.get(name) in (0, 1):
                row[name] = bool(row[name])

    @property
    def reads_times(self) -> bool:
        """Whether the vendor's times are read in a way of its own."""
        return type(self).read_time is not VendorStream.read_time

    @property
    def computes(self) -> bool:
        """Whether `compute` does anything."""
        return bool(self.flag_or_number) or type(self).compute is not VendorStream.compute

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """Yield the feeds to read for this stream.

        Args:
            listeners: The streams that take what is read: this one, or others read from the same responses, or both.
        """
        raise NotImplementedError

    @property
    def partitions(self) -> list[dict[str, Any]] | None:
        """The contexts of the partitions to read, where each has a bookmark of its own."""
        return None

    @property
    def parts(self) -> int | None:
        """How many parts there are to read, each of which may fail alone, where the stream has any."""
        return len(self.partitions) if self.partitions is not None else None

    def shares_with(self, other: VendorStream) -> bool:  # noqa: ARG002 - for streams that do
        """Return whether this stream is read from the same responses as another one of its tap."""
        return False

    def place(self) -> object:
        """Return where the stream stands; streams that list the same responses share them when they stand alike."""
        return None

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:
        """Show with as few requests as possible whether this stream can be read.

        Returns:
            Data that was read: it must be fit to be written.
        """
        raise NotImplementedError

    def records(self, batch: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """Make the records of a batch of this stream, each with the instant that counts for the bookmark.

        Raises:
            BadRecord: A row contradicts the schema.
            Unproven: A row shows that the vendor ignored the filter.
        """
        raise NotImplementedError

    def get_records(self, context: Mapping[str, Any] | None) -> Records:
        """Read the stream from its bookmark on, without writing messages or moving the bookmark.

        Args:
            context: The partition to read alone, where the stream has partitions.

        Returns:
            Finished records, as plain dicts.
        """
        return self.tap.read_records(self, context)

    def synced(self, context: Mapping[str, Any] | None, *, writes: bool) -> Records:
        """Read, write and hand out the stream's records, for the SDK's `sync`."""
        return self.tap.sync_records(self, context, writes=writes)

    def emit_page(
        self,
        ctx: ReadContext,
        window: Window,
        page: Page,
        reply: Reply,
        context: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Hand out what this stream makes of a page of a window, or of one partition's window."""
        raise NotImplementedError

    def proof_of(self, proof: Proof) -> Proof:
        """Return the proof of this stream's rows, from that of the rows that were listed."""
        return proof

    def prove(self, window: Window) -> None:
        """Raise if a window that adds up is not to be believed all the same."""

    def warn(self, message: str) -> None:
        """Log a note."""
        self.logger.warning("%s: %s", self.name, message)
