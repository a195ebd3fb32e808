"""Experiments on what is requested one by one: details and lists of rows, and lookups of configured values."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from trunkline.errors import TrunklineError
from trunkline.exact import decode
from trunkline.steps.fetch.context import ReadContext
from trunkline.steps.fetch.exchange import Request
from trunkline_commands.doctor import judges
from trunkline_commands.doctor.line import Note
from trunkline_commands.doctor.rows import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import msgspec

    from trunkline.facts.children import ChildStream
    from trunkline.facts.details import DetailStream
    from trunkline.facts.lookups import Lookup, LookupStream
    from trunkline_commands.doctor.filter_experiments import Variant
    from trunkline_commands.doctor.finding import Finding
    from trunkline_commands.doctor.line import Line, Outcome
    from trunkline_commands.doctor.subject import Subject

_AT_HAND = 300  # lookups of a long file that are chosen from
_NO_ROW = "there is no row to request it for"


def details(stream: DetailStream, parent: Subject, line: Line, variant: Variant) -> Iterator[Finding]:
    """Request the detail of a row by each number that it may be known by, the one of the setting first.

    Args:
        stream: The details.
        parent: The stream whose rows they are of.
        line: Where requests go.
        variant: Makes the same stream with another value of a setting.
    """
    setting, chosen = stream.key_setting, stream.key_field
    choices = stream.tap.settings[setting]["enum"] if setting else ()
    values = {chosen: stream, **{value: variant(stream, setting, value) for value in choices if value != chosen}}
    found: dict[str, bool | None] = {}
    outcomes: list[Outcome] = []
    for raw in parent.samples:
        if len(values) > 1 and _are_one(raw, list(values)):
            continue
        for value, requested in values.items():
            outcome = _detail(requested, raw, line, value)
            found[value] = None if outcome is None else _is_there(outcome)
            outcomes += [outcome] if outcome else []
            if found[value]:
                break
        if any(found.values()):
            break
    yield judges.route(stream.name, _of_details(parent, found, outcomes), listed=False)
    if setting and parent.known.ok:
        yield judges.detail_key(stream.name, setting, chosen, found)


def _are_one(raw: msgspec.Raw, names: Sequence[str]) -> bool:
    """Return whether two numbers of a row are the same: then it does not show which one is meant."""
    row = decode(raw)
    return len({str(row.get(name)) for name in names}) < len(names)


def _detail(stream: DetailStream, raw: msgspec.Raw, line: Line, value: str) -> Outcome | None:
    row = stream.read_parent(raw)
    if row.path is None:
        return None
    request = stream.queue_detail(ReadContext(), row).request
    return line.request(
        request, stream.open_detail, Note(stream.name, f"a detail by {value}", "", str(stream.path), [])
    )


def _is_there(outcome: Outcome) -> bool | None:
    if outcome.reply is not None:
        return outcome.reply.parsed is not None
    return False if outcome.refused == HTTPStatus.NOT_FOUND else None


def _of_details(parent: Subject, found: Mapping[str, bool | None], outcomes: Sequence[Outcome]) -> Seen:
    """Return the outcome that shows whether details may be read: a 404 of one row shows nothing about the route."""
    if any(found.values()):
        return Seen(status=HTTPStatus.OK)
    refused = next((one for one in outcomes if one.reply is None and one.refused != HTTPStatus.NOT_FOUND), None)
    if refused:
        return Seen(status=refused.status, refused=refused.refused, problem=refused.problem)
    none = "the rows that were tried have no detail" if outcomes else _NO_ROW
    return Seen(problem=none if parent.known.ok else parent.known.problem or _NO_ROW)


def lists(stream: ChildStream, line: Line) -> Finding:
    """Request the list of one row, as `--test` does."""
    seen, steps = Seen(problem=_NO_ROW), stream.probe(ReadContext())
    try:
        pending = next(steps)
        while True:
            outcome = line.request(
                pending.request, pending.open_body, Note(stream.name, "rows", "", str(stream.path), [])
            )
            pending.done, pending.reply, pending.error = True, outcome.reply, outcome.error
            seen = Seen(status=outcome.status, refused=outcome.refused, problem=outcome.problem)
            error = outcome.error or TrunklineError(outcome.problem, code="unavailable")
            pending = steps.send(outcome.reply) if outcome.reply is not None else steps.throw(error)
    except StopIteration as end:
        seen = seen if end.value else Seen(problem=_NO_ROW)
    except TrunklineError:
        pass  # as `seen` has it
    return judges.route(stream.name, seen, listed=False)


def lookups(stream: LookupStream, line: Line) -> Iterator[Finding]:
    """Look up some of the configured values, and no other."""
    facts = stream.lookups
    outcomes: list[tuple[Seen, str]] = []
    for lookup in _few(stream):
        _, path = facts.kinds[lookup.kind]
        parameters, personal = ((lookup.kind, lookup.value),), (lookup.value,)
        request = Request(lookup.label, path, parameters, stream=stream.name, personal=personal)
        note = Note(stream.name, f"a lookup by {lookup.kind}", "", path, [])
        outcome = line.request(request, facts.open, note)
        form = ""
        if outcome.reply is not None and outcome.reply.parsed:
            note.rows = len(outcome.reply.parsed)
            form = _form(decode(outcome.reply.body), facts.rows)
        outcomes.append((Seen(status=outcome.status, refused=outcome.refused, problem=outcome.problem), form))
    if not outcomes:
        return
    first = next((seen for seen, _ in outcomes if seen.ok), outcomes[0][0])
    yield judges.route(stream.name, first, listed=False)
    yield from judges.lookups(stream.name, outcomes)


def _few(stream: LookupStream) -> Iterator[Lookup]:
    """Yield the first and the last configured lookup of each kind, of those at hand."""
    kinds: dict[str, list[Lookup]] = {}
    for lookup, _ in zip(stream.configured, range(_AT_HAND), strict=False):
        kinds.setdefault(lookup.kind, []).append(lookup)
    for found in kinds.values():
        yield found[0]
        yield from found[1:][-1:]


def _form(body: Mapping[str, Any], names: Sequence[str]) -> str:
    found = next(name for name in names if body.get(name) is not None)
    return f"`{found}` is {'a list' if isinstance(body[found], list) else 'one object'}"
