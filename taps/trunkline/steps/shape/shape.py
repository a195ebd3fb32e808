"""Shape: from the vendor's bytes to the record that is written. Compiled once per stream, run once per row.

There are two ways to the same record. The short one decodes a row straight into a struct made from the schema, which
checks every type as it goes and is encoded again as it stands; what needs no look inside stays bytes. The long one
goes over a dict and knows what to do with everything else: unknown fields, numbers written in two ways, stream maps.
"""

from __future__ import annotations

import functools
import re
import typing as t
from collections import Counter
from decimal import Decimal
from types import MappingProxyType

import msgspec

from trunkline import instants
from trunkline.errors import BadRecord, Keyless, printable
from trunkline.exact import BROKEN, decode, encode
from trunkline.steps.shape.conform import (
    NOTHING,
    TIME,
    Fitter,
    Times,
    checked_object,
    contradiction,
    has_parts,
    time,
    types,
)
from trunkline.steps.shape.rows import Row, RowType, getter, is_null

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

EXTRA = "_extra"
"""The column that keeps what the schema does not name."""

MOST_UNKNOWN = 100
"""Unknown fields that are logged by name; a vendor may send a new one in every row."""

_PLACE = re.compile(r"\[\d+\]")
_REPORT = "Nothing after it was written and the bookmark stays; report it with the vendor's documentation"
_ODD = (*BROKEN, TypeError, KeyError, AttributeError, IndexError)


class Shape:
    """Makes records of one stream.

    A key field (a primary key, the replication key, or what one of them is made from) that contradicts the schema is an
    error. Any other value that does becomes null in its place and is kept in `_extra` under its path.

    Args:
        stream: The stream's name, for errors.
        schema: The stream's JSON schema.
        primary_keys: Names of the key fields.
        replication_key: Name of the field that the bookmark counts by.
        fields: Names of the fields to write; None for all of the schema. The others are neither checked nor made.
        unmentioned: Names of fields to keep in `_extra` instead, as the catalog does not know them.
        unknown_fields: `keep`, `drop` or `fail`.
        keeps_odd: Whether a value that contradicts the schema may be kept; False where it may be personal.
        read_time: Reads a time as the vendor writes it: the instant, and how it is to be written.
        computed: Computed fields: the fields each is made from, and what makes it.
        compute: Completes a row where more than one field is touched.
        latest: Fields that are the latest of other times, as ISO 8601 in UTC: the times each is taken from.
        text_or_number: Text fields in which a number becomes its digits.
        number_or_text: Number fields in which digits in a text become the number.
        text_or_json: Text fields in which anything else becomes its JSON.
        decode_fully: Objects and arrays that `compute` looks into.
        never: Recognises names of fields that are dropped and not counted as unknown.
        finish: Called with each finished record, for example to protect personal data.
        as_dict: Whether records must be dicts, because the caller changes them.
    """

    def __init__(  # noqa: PLR0913 - everything that is compiled into the shape
        self,
        stream: str,
        schema: Mapping[str, t.Any],
        primary_keys: Iterable[str],
        *,
        replication_key: str | None = None,
        fields: Collection[str] | None = None,
        unmentioned: Iterable[str] = (),
        unknown_fields: str = "keep",
        keeps_odd: bool = True,
        read_time: Callable[[str], tuple[datetime, str]] = instants.read,
        computed: Mapping[str, tuple[tuple[str, ...], Callable[..., t.Any]]] = MappingProxyType({}),
        latest: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        compute: Callable[[t.Any], None] | None = None,
        text_or_number: Collection[str] = (),
        number_or_text: Collection[str] = (),
        text_or_json: Collection[str] = (),
        decode_fully: Collection[str] = (),
        never: Callable[[str], t.Any] | None = None,
        finish: Callable[[t.Any], t.Any] | None = None,
        as_dict: bool = True,
    ) -> None:
        properties: Mapping[str, t.Any] = schema["properties"]
        self.stream, self.properties, self.keeps_odd = stream, properties, keeps_odd
        self.primary_keys, self.unmentioned = tuple(primary_keys), tuple(unmentioned)
        self.unknown_fields, self.read_time, self.compute, self.finish = unknown_fields, read_time, compute, finish
        self.unknown: Counter[str] = Counter()
        self.unnamed = 0  # how often others came, too many to be logged by name
        self.odd: Counter[str] = Counter()
        """Values that contradicted the schema, by their path without the places in lists."""
        self._fitter = Fitter(read_time, number_or_text)
        self._names = properties.keys() - {EXTRA}
        self._template: dict[str, t.Any] = dict.fromkeys(properties)
        self._keys = _key_fields(self.primary_keys, replication_key, computed, latest)
        self._removed = tuple(name for name in properties if fields is not None and name not in fields)
        self._skipped = frozenset(self._removed) - self._keys - {*self.unmentioned, EXTRA}
        self._never = never
        judged = {name: spec for name, spec in properties.items() if name not in self._skipped and name != EXTRA}
        self._latest = tuple((name, names) for name, names in latest.items() if name in judged)
        self._times = tuple(name for name, spec in judged.items() if spec.get("format") == TIME and name not in latest)
        self._inner_times = {name: times for name, spec in judged.items() if has_parts(spec) and (times := Times(spec))}
        self._judged, self._texts = judged, getter(self._times)
        self._required = tuple(schema.get("required", ()))
        made = {*computed, *latest, *(self._required if compute else ())}
        # What the vendor itself must send, the short way's struct sees to.
        self._sent = {
            name for name in self._required if name not in made and "null" not in types(properties.get(name, {}))
        }
        self._unsure = tuple(name for name in self._required if name not in self._sent)
        self._text_or_number = tuple(name for name in text_or_number if name in judged)
        self._text_or_json = tuple(name for name in text_or_json if name in judged)
        self._computed = tuple(
            (name, names, getter(names), make) for name, (names, make) in computed.items() if name in judged
        )
        self._fits = self._compile_check()
        # A text would pass for a number on the short way, so a stream with decimals goes the long one.
        numbers = any("number" in types(spec) and "string" not in types(spec) for spec in judged.values())
        self._rows = None
        if not (as_dict or numbers or finish):
            self._rows = RowType(
                properties,
                ours=EXTRA,
                untouched=self._skipped,
                free=self._text_or_json,
                sent=self._sent,
                decode_fully=decode_fully,
                times=self._inner_times,
                decode=decode,
            )

    def _compile_check(self) -> Callable[[msgspec.Raw], t.Any]:
        """Return the function that decodes a row only to check every type in it, at any depth, against the schema."""
        free = {*self._text_or_json, *(name for name, *_ in self._computed), *(name for name, _ in self._latest)}
        specs = {name: {} if name in free else spec for name, spec in self._judged.items()}
        for name in self._text_or_number:
            specs[name] = {**specs[name], "type": [*types(specs[name]), "number"]}
        return t.cast("Callable[[msgspec.Raw], t.Any]", msgspec.json.Decoder(checked_object(specs)).decode)

    def __call__(self, raw: msgspec.Raw | dict[str, t.Any]) -> tuple[t.Any, dict[str, datetime]]:
        """Make one record.

        Args:
            raw: The vendor's row, decoded or as bytes that the client has let in: UTF-8, on one line.

        Returns:
            The record with every field of the schema, null where the vendor left it out; and its instants by field.

        Raises:
            BadRecord: It is no row, or a key field contradicts the schema; the error names stream, key and field, and
                no value.
        """
        rows = self._rows
        if rows is None or isinstance(raw, dict):
            return self._long_way(raw)
        try:
            row = rows.decode(raw)
            if rows.has_parts:
                rows.look_inside(row, self.read_time)
            made = self._short_way(row)
        except _ODD:
            made = None
        # Where the short way stumbles, the long one knows better what is wrong, or that nothing is.
        return made or self._long_way(raw)

    def _short_way(self, row: Row) -> tuple[Row, dict[str, datetime]] | None:
        for name in self._skipped:
            setattr(row, name, None)
        self._make(row)
        moments = {}
        read_time = self.read_time
        for name, text in zip(self._times, self._texts(row), strict=False):
            if text is not None:
                moments[name], written = read_time(text)
                if written is not text:
                    setattr(row, name, written)
        for name, names in self._latest:
            setattr(row, name, _latest(moments, name, names, row))
        for name in self._unsure:
            if getattr(row, name) is None:
                return None
        if self._removed:
            self._select(row)
        return row, moments

    def _select(self, row: Row) -> None:
        """Take out what is not to be written."""
        if self.unmentioned:
            kept = {name: getattr(row, name) for name in self.unmentioned}
            row[EXTRA] = {name: value for name, value in kept.items() if not is_null(value)} or None
        for name in self._removed:
            setattr(row, name, msgspec.UNSET)

    def _make(self, row: Row) -> None:
        """Make what is computed of the vendor's own values."""
        for name in self._text_or_json:
            value = getattr(row, name)
            if value is not None and type(value) is not str:
                setattr(row, name, str(encode(value), "utf-8"))
        for name, _, values_of, make in self._computed:
            setattr(row, name, make(*values_of(row)))
        if self.compute:
            self.compute(row)

    def _long_way(self, raw: msgspec.Raw | dict[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, datetime]]:
        row = raw if isinstance(raw, dict) else self.decode(raw)
        skipped, never = self._skipped, self._never
        row = {name: row[name] for name in row if name not in skipped and not (never and never(name))}
        odd: dict[str, t.Any] = {}
        self._compute(row, odd)
        known, extra = row, None
        if not row.keys() <= self._names:
            known, extra = {name: row[name] for name in row if name in self._names}, self._unknown(row)
        record = {**self._template, **known}
        moments = self._checked(raw, record)
        if moments is None:
            moments = self._fitted(known, record, odd)
        record[EXTRA] = self._noted(odd, extra) if odd else extra
        for name in self._required:
            if record[name] is None:
                why = f"field {name} is missing or null"
                raise Keyless(self._what(row), why, _REPORT) if name in self.primary_keys else self._bad(row, why)
        self._finish(row, record)
        return record, moments

    def _finish(self, row: dict[str, t.Any], record: dict[str, t.Any]) -> None:
        """Protect what is personal, and take out what is not to be written."""
        if self.finish:
            try:
                self.finish(record)
            except RecursionError:
                raise self._bad(row, "it is nested too deeply") from None
        if kept := {name: record[name] for name in self.unmentioned if record[name] is not None}:
            record[EXTRA] = {**(record[EXTRA] or {}), **kept}
        for name in self._removed:
            record.pop(name, None)

    def _compute(self, row: dict[str, t.Any], odd: dict[str, t.Any]) -> None:
        for name in self._text_or_number:
            value = row.get(name)
            if isinstance(value, int | Decimal) and not isinstance(value, bool):
                row[name] = str(value)
        for name, _ in self._latest:
            row.pop(name, None)  # ours alone, made once the times are read
        try:
            for name in self._text_or_json:
                value = row.get(name)
                if value is not None and not isinstance(value, str):
                    row[name] = str(encode(value), "utf-8")
            for name, names, _, make in self._computed:
                self._compute_one(row, odd, name, functools.partial(make, *map(row.get, names)))
            if self.compute:
                self.compute(row)
        except _ODD as exc:
            raise self._bad(row, f"a computed field could not be made ({type(exc).__name__})") from None

    def _compute_one(self, row: dict[str, t.Any], odd: dict[str, t.Any], name: str, make: Callable[[], t.Any]) -> None:
        """Make a computed field; one that is no key is null where that is not possible, and counted."""
        try:
            row[name] = make()
        except _ODD as exc:
            if name in self._keys:
                why = f"the computed field {name} could not be made ({type(exc).__name__})"
                raise self._bad(row, why) from None
            odd[name] = row[name] = None  # what it is made from stands in its own place

    def _checked(self, raw: msgspec.Raw | dict[str, t.Any], record: dict[str, t.Any]) -> dict[str, datetime] | None:
        """Return the instants of a row in which all is as the schema has it, times with a zone; None for any other."""
        if isinstance(raw, dict):
            return None
        moments: dict[str, datetime] = {}
        read_time = self.read_time
        try:
            self._fits(raw)
            for name, times in self._inner_times.items():
                times.write(record[name], read_time)
            for name in self._times:
                text = record[name]
                if text is not None:
                    moments[name], record[name] = read_time(text)
        except BROKEN:
            return None
        for name, names in self._latest:
            record[name] = _latest(moments, name, names, record)
        return moments

    def _fitted(self, row: dict[str, t.Any], record: dict[str, t.Any], odd: dict[str, t.Any]) -> dict[str, datetime]:
        """Make a record fit field by field; its instants."""
        moments: dict[str, datetime] = {}
        for name, spec in self._judged.items():
            value = row.get(name)
            if value is None:
                continue
            found: dict[str, t.Any] = {}
            fitted = self._fitter.fit(spec, value, name, found)
            if found and name in self._keys:
                raise self._bad(row, contradiction(name, spec, value))
            odd.update(found)
            record[name] = None if fitted is NOTHING else fitted
            if name in self._times and record[name] is not None:
                moments[name], record[name] = time(value, self.read_time)
        for name, names in self._latest:
            record[name] = _latest(moments, name, names, record)
        return moments

    def _noted(self, odd: dict[str, t.Any], extra: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
        """Count what contradicts the schema, and keep it with what is unknown."""
        self.odd.update(_PLACE.sub("[]", path) for path in odd)
        kept = {path: value for path, value in odd.items() if value is not None} if self.keeps_odd else {}
        return {**(extra or {}), **kept} if kept else extra

    def decode(self, raw: msgspec.Raw) -> dict[str, t.Any]:
        """Decode a row as a dict.

        Raises:
            BadRecord: It is no JSON object.
        """
        what = f"a row of {self.stream} could not be read"
        try:
            row = decode(raw)
        except BROKEN as exc:
            reason = "it is nested too deeply" if isinstance(exc, RecursionError) else "its text is broken"
            raise BadRecord(what, reason, "The bookmark stays where it was") from None
        if not isinstance(row, dict):
            raise BadRecord(what, f"it is a JSON {type(row).__name__}, no object", "The bookmark stays where it was")
        return row

    def _unknown(self, row: dict[str, t.Any]) -> dict[str, t.Any] | None:
        names = row.keys() - self._names
        if self.unknown_fields == "fail":
            raise self._bad(
                row,
                f"the schema does not name {', '.join(printable(name) for name in sorted(names)[:MOST_UNKNOWN])}",
                "Set unknown_fields to keep or drop, or upgrade to a release that knows the new field",
            )
        self.note_unknown(names)
        return {name: row[name] for name in row if name in names} if self.unknown_fields == "keep" else None

    def note_unknown(self, names: Iterable[str]) -> None:
        """Count fields that the schema does not name."""
        for name in names:
            if name in self.unknown or len(self.unknown) < MOST_UNKNOWN:
                self.unknown[name] += 1
            else:
                self.unnamed += 1

    def _bad(self, row: t.Any, why: str, remedy: str = "") -> BadRecord:
        return BadRecord(self._what(row), why, remedy or _REPORT)

    def _what(self, row: t.Any) -> str:
        parts = []
        for name in self.primary_keys:
            spec = self.properties.get(name, {})
            value = "(personal)" if spec.get("x-personal") else printable(str(row.get(name)))
            parts.append(f"{name} {value}")
        return f"{self.stream}, the record with {', '.join(parts) or 'no key'}, contradicts its schema"


def _latest(moments: dict[str, datetime], name: str, names: Sequence[str], record: t.Any) -> str | None:
    """Find the latest of some times; its instant joins the others."""
    newest = None
    for other in names:
        instant = moments.get(other)
        if instant is not None and (newest is None or instant > moments[newest]):
            newest = other
    if newest is None:
        return None
    moments[name] = moments[newest]
    text: str = record[newest]
    return text if text[-6:] == "+00:00" else instants.to_iso(moments[newest])


def _key_fields(
    primary_keys: Iterable[str],
    replication_key: str | None,
    computed: Mapping[str, tuple[tuple[str, ...], t.Any]],
    latest: Mapping[str, tuple[str, ...]],
) -> frozenset[str]:
    """Return the keys of a stream, and the fields that the computed ones are made from."""
    keys = {*primary_keys, *([replication_key] if replication_key else ())}
    for name in tuple(keys):
        keys |= {*computed.get(name, ((),))[0], *latest.get(name, ())}
    return frozenset(keys)
