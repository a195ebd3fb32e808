"""Streams that are read row by row of another stream: by each of its rows one more request, or a list of its own.

A child lists the rows of its parent for itself, in windows and with a bookmark of its own: so it can be read without
its parent, and resumes where it stopped.
"""

from __future__ import annotations

import functools
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import quote

import msgspec

from trunkline.errors import BadRecord, Unproven
from trunkline.facts.stream import Batch, VendorStream, WindowRows
from trunkline.steps.feeds import Proof
from trunkline.steps.shape.rows import getter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from trunkline.facts.ports import OwningTap
    from trunkline.facts.windowed import WindowedStream
    from trunkline.steps.fetch.context import Feed, PendingReply, ReadContext
    from trunkline.steps.fetch.exchange import Reply
    from trunkline.steps.plan import Window

MOST_MISSING = 5
"""Rows of a window from which on it is taken for a wrong path or key, and not for chance, if none of them has any."""

_NO_KEY = frozenset({"", ".", ".."})  # what makes another path of the child's
_PAIR = 2
_NAMED = 10  # rows without a key that a line names
_KINDS: dict[str, Any] = {"integer": int, "string": str, "number": int | float, "boolean": bool}
_PLACEHOLDER = re.compile(r"<\w+>")


class Parent(NamedTuple):
    """A row of the parent stream.

    Args:
        name: Value that identifies it in messages.
        path: The child's path for it; None where the vendor gives the row no key.
        carried: What of it goes into the child's records, and its partition.
        context: The partition.
    """

    name: Any
    path: str | None
    carried: dict[str, Any]
    context: Mapping[str, str] = MappingProxyType({})

    def __str__(self) -> str:
        return str(self.name)


class ChildStream(VendorStream):
    """A stream read row by row of another one; its `path` has the row's key in angle brackets: `/calls/<id>/detail`."""

    listed: ClassVar[type[WindowedStream]]
    """The parent: the stream whose rows are requested one by one."""
    carries: ClassVar[Mapping[str, str]]
    """Fields of the record that come from the parent's row, each with its name there: first a field that identifies the
    others, which must not be personal, and among them the replication key, unless the parent is a full table."""
    key: ClassVar[str] = ""
    """The parent's field that stands in the path; its first primary key when empty."""
    key_setting: ClassVar[str] = ""
    """Setting that names this field, where the vendor does not document which one it is."""
    noun: ClassVar[str] = "row"
    """A row of the parent, in messages."""
    thing: ClassVar[str] = "detail"
    """The noun for what each row has, in messages."""
    statuses: ClassVar[str] = "404 or 204"
    """HTTP statuses that mean that a row does not have it, in messages."""
    often_missing: ClassVar[bool] = False
    """Whether it is common that a row does not have it."""

    def __init__(self, tap: OwningTap) -> None:
        super().__init__(tap)
        self.counted = self.missing = 0
        self.unnamed: list[str] = []
        """Rows of the window at hand that have no key."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        per = cls.listed.per if hasattr(cls, "listed") else None
        if per:
            cls.state_partitioning_keys = (per.field,)  # type: ignore[assignment,method-assign] # as the SDK has it

    # -- the parent's rows -------------------------------------------------------------------------

    @functools.cached_property
    def source(self) -> WindowedStream:
        """The parent as this stream reads it: under its own name, with its own knowledge of how pages are counted.

        Of rows that are read again without a date to move a bookmark by (`unsettled`), nothing is requested again.
        """
        facts = {"name": self.name, "unsettled": None}
        kind: type[WindowedStream] = type(self.listed.__name__, (self.listed,), facts)
        return kind(self.tap)

    def place(self) -> object:
        """Return where the stream stands."""
        self.source.run = self.run
        return self.source.place()

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """Yield the parent's feeds: its windows from the start to the end, of each partition."""
        self.source.run = self.run
        return self.source.feeds(listeners)

    @property
    def parts(self) -> int | None:
        """How many partitions there are, where the parent has any."""
        return self.source.parts

    @property
    def key_field(self) -> str:
        """The parent's field that stands in the path."""
        return str(self.config[self.key_setting]) if self.key_setting else self.key or _facts(self.listed)[0]

    def parents(
        self, window: Window, rows: Iterable[msgspec.Raw], context: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[Parent]:
        """Read the parent's rows that belong to a window.

        Raises:
            BadRecord: A row is not what the vendor documents.
        Unproven: A row shows that the vendor ignored the filter.
        """
        source, by, key = self.source, self.source.replication_key or "", self.replication_key or ""
        window_rows = WindowRows(source, window, (), by)
        partition = {name: value for name, value in context.items() if name in self.schema["properties"]}
        try:
            for raw in rows:
                parent = self.read_parent(raw)
                if key:
                    instant, parent.carried[key] = source.read_time(parent.carried[key])
                    if not source.belongs(window_rows, {by: instant}):
                        continue
                if context:
                    parent = parent._replace(context=context)
                    parent.carried.update(partition)
                yield parent
        except (msgspec.MsgspecError, ValueError, TypeError) as exc:
            what = f"{self.name}: a {self.noun} of the list could not be read"
            why = f"{' and '.join(self.carries.values())} are not what the vendor documents ({exc})"
            raise BadRecord(what, why, "The bookmark stays where it was") from None

    @functools.cached_property
    def read_parent(self) -> Callable[[msgspec.Raw | bytes], Parent]:
        """Reads what is needed of the parent's row, and skips the rest of it."""
        computed = self.listed.computed
        plain = {name: field for name, field in self.carries.items() if field not in computed}
        made = {name: computed[field] for name, field in self.carries.items() if field in computed}
        # The fields of the vendor's row that are needed, each with its type, and null where they may be missing.
        fields: dict[str, Any] = {name: (Any, None) for inputs, _ in made.values() for name in inputs}
        fields |= {field: (_type(self.schema["properties"][name]),) for name, field in plain.items()}
        fields.setdefault(self.key_field, (Any, None))
        places = {field: f"field{number}" for number, field in enumerate(fields)}
        kinds: list[Any] = [
            (places[name], kind, msgspec.field(name=name, **({"default": None} if default else {})))
            for name, (kind, *default) in fields.items()
        ]
        read = msgspec.json.Decoder(msgspec.defstruct("Parent", kinds, kw_only=True)).decode
        values_of, key_place = getter([places[field] for field in plain.values()]), places[self.key_field]
        makers = [(name, getter([places[one] for one in inputs]), make) for name, (inputs, make) in made.items()]
        before, after = self._path_around_key
        first = next(iter(self.carries))

        def parent(raw: msgspec.Raw | bytes) -> Parent:
            row = read(raw)
            key = _text(getattr(row, key_place))
            carried = dict(zip(plain, values_of(row), strict=False))
            for name, inputs_of, make in makers:
                carried[name] = make(*inputs_of(row))
            path = None if key is None else f"{before}{quote(key, safe='')}{after}"
            return Parent(carried[first], path, carried)

        return parent

    @property
    def _path_around_key(self) -> list[str]:
        parts = _PLACEHOLDER.split(self.path)
        if len(parts) != _PAIR:
            raise TypeError(f"the path of {type(self).__name__} must have one place for the row's key, such as <id>")
        return parts

    def probe(self, ctx: ReadContext) -> Generator[PendingReply, Reply, list[Batch]]:
        """Request the last window's first page, and what one row on it has."""
        self.source.run = self.run
        batches: list[Any] = yield from self.source.probe(ctx)
        found = (parent for rows in batches for parent in self.parents(rows.window, rows.rows, rows.context))
        parent = next(found, None)
        return [] if parent is None else [(yield from self.probe_row(ctx, parent))]

    def probe_row(self, ctx: ReadContext, parent: Parent) -> Generator[PendingReply, Reply, Batch]:
        """Request what a row has."""
        raise NotImplementedError

    # -- rows that have nothing --------------------------------------------------------------------

    def note_unnamed(self, parent: Parent) -> None:
        """Count a row that has no key to request anything by."""
        self.missing += 1
        self.unnamed.append(str(parent))

    def proof_of(self, proof: Proof) -> Proof:  # noqa: ARG002 - that of the list shows nothing about what its rows have
        """Return that each row has its own response."""
        return Proof(0, "each_answered")

    def prove(self, window: Window) -> None:
        """Let some rows have nothing (yet), but not all: then they are requested by the wrong key.

        Raises:
            Unproven: None of the window's rows has anything.
        """
        counted, missing, unnamed = self.counted, self.missing, self.unnamed
        self.counted, self.missing, self.unnamed = 0, 0, []
        field, noun, thing = self.key_field, self.noun, self.thing
        if unnamed:
            rows = ", ".join(sorted(unnamed, key=_as_number)[:_NAMED]) + " and others" * (len(unnamed) > _NAMED)
            self.warn(
                f"{len(unnamed)} of {counted} {noun}s of {window} have no {field}, so their {thing}s can't be "
                f"requested ({noun}s {rows})" + f"; {self.key_setting} chooses the number" * bool(self.key_setting)
            )
            missing -= len(unnamed)
        if self.often_missing:
            missing = 0
        if missing + len(unnamed) == counted >= MOST_MISSING:
            raise Unproven(
                f"{self.name}, {window}, could not be read",
                f"the vendor has no {thing} ({self.statuses.replace(' or', ',')} or no {field}) of any of its "
                f"{counted} {noun}s",
                self._other_key(),
                code="details-missing",
            )
        if missing:
            self.run.missing += missing
            self.warn(
                f"{missing} of {counted} {noun}s of {window} have no {thing} yet ({self.statuses}); "
                "later runs request them again"
            )

    def _other_key(self) -> str:
        if not self.key_setting:
            return f"See in the vendor's documentation that {self.path} is where the {self.thing}s are"
        others = [name for name in self.tap.settings[self.key_setting]["enum"] if name != self.key_field]
        return (
            f"Its {self.thing}s may be known by the {self.noun}'s {' or '.join(others)}: "
            f"set {self.key_setting} to {others[0]}"
        )


def _facts(stream: type[WindowedStream]) -> Sequence[str]:
    """Return the primary keys of a class: the SDK types them for instances only."""
    facts: Any = stream
    keys: Sequence[str] = facts.primary_keys
    return keys


def _type(spec: Mapping[str, Any]) -> Any:
    """Return the type that a carried field has where it comes from."""
    kinds = spec.get("type", "string")
    return next((_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind in _KINDS), Any)


def _text(key: Any) -> str | None:
    """Return a key as it stands in a path; None where it is none."""
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        return None
    text = str(key)
    return None if text.strip() in _NO_KEY else text


def _as_number(text: str) -> tuple[int, str]:
    """Sort numbers by their size."""
    return (int(text), "") if text.isdecimal() else (0, text)
