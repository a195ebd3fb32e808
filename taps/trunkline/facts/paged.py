"""Streams said in facts alone: pages with numbers, the span in the query, rows and total in the answer.

Most vendors list what they have in this one way. A stream of theirs needs no code: `PagedStream` with the names of the
vendor's parameters and fields. A vendor that does it otherwise derives from `WindowedStream` and says how.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from trunkline import instants
from trunkline.client import Request
from trunkline.stream import Page, WindowedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from trunkline.client import Reply
    from trunkline.plan import Window


@dataclass(frozen=True)
class NumberedPages:
    """How a vendor pages, in its own names; a field inside of objects is named with dots, as in `meta.total`.

    Args:
        since: Query parameter of the span's lower end.
        until: Query parameter of the span's upper end.
        rows: Field that holds the rows; empty when the answer itself is the list.
        total: Field that holds the number of rows of the whole span; empty when the vendor does not say it.
        more: Field that is null, false, empty or not there on the last page; empty when there is none. Where it is a
            link, only its presence counts: a link is never followed.
        page: Query parameter of the page's number.
        size: Query parameter of the page's size.
        also: What else stands in every query.
        time: Writes an instant as the vendor's filter reads it.
    """

    since: str
    until: str
    rows: str
    total: str = ""
    more: str = ""
    page: str = "page"
    size: str = "per_page"
    also: tuple[tuple[str, str], ...] = ()
    time: Callable[[datetime], str] = instants.to_iso


class PagedStream(WindowedStream):
    """A stream that is read in pages with numbers; `paging` says what the vendor calls things."""

    paging: ClassVar[NumberedPages]

    def page_request(self, window: Window, number: int, size: int) -> Request:
        """The request for one page of a window, of `size` rows."""
        facts = self.paging
        since, until = self.bounds(window)
        lower = ((facts.since, facts.time(since)),) if since else ()
        paged = ((facts.page, str(number)), (facts.size, str(size)))
        return Request(
            f"{self.name} {window} page {number}",
            self.path,
            (*lower, (facts.until, facts.time(until)), *facts.also, *paged),
            stream=self.name,
        )

    def open(self, reply: Reply) -> Page:
        """Find the rows, the total and whether more follows where `paging` says they are."""
        answer = self._read(reply.body)
        rows, total, more = (at(answer) for at in self._places)
        return Page(rows, self.read_key, total, bool(more) if self.paging.more else None)

    @functools.cached_property
    def _tree(self) -> dict[str, Any]:
        """The fields of interest as nested objects; at their ends the type, and whether they may be missing."""
        facts, tree = self.paging, dict[str, Any]()
        for path, kind in ((facts.rows, list[msgspec.Raw]), (facts.total, int), (facts.more, Any)):
            if path:
                *above, name = path.split(".")
                node = functools.reduce(lambda node, part: node.setdefault(part, {}), above, tree)
                node[name] = (kind, path == facts.more)
        return tree

    @functools.cached_property
    def _read(self) -> Callable[[bytes], Any]:
        # Without a name for the rows, the answer is the list, and there is nothing beside it.
        return msgspec.json.Decoder(_struct(self._tree) if self.paging.rows else list[msgspec.Raw]).decode

    @functools.cached_property
    def _places(self) -> list[Callable[[Any], Any]]:
        facts = self.paging
        if not facts.rows:
            return [lambda answer: answer, _nowhere, _nowhere]
        return [_getter(self._tree, path) if path else _nowhere for path in (facts.rows, facts.total, facts.more)]


def _nowhere(_: Any) -> None:
    """What stands for a field that the vendor does not have."""


def _struct(tree: Mapping[str, Any]) -> type[msgspec.Struct]:
    """The type of an object that has these fields; what else it has is skipped without a look."""
    fields: list[Any] = []
    for number, (name, inner) in enumerate(tree.items()):
        if isinstance(inner, dict):
            optional = _all_optional(inner)
            kind = _struct(inner) | None if optional else _struct(inner)
        else:
            kind, optional = inner
        default = {"default": None} if optional else {}
        fields.append((f"part{number}", kind, msgspec.field(name=name, **default)))
    return msgspec.defstruct("Answer", fields, kw_only=True)


def _all_optional(tree: Mapping[str, Any]) -> bool:
    return all(_all_optional(inner) if isinstance(inner, dict) else inner[1] for inner in tree.values())


def _getter(tree: Mapping[str, Any], path: str) -> Callable[[Any], Any]:
    """What takes the field at a path out of an answer; None where an object on the way to it is not there."""
    places: list[str] = []
    for name in path.split("."):
        places.append(f"part{list(tree).index(name)}")
        tree = tree[name]

    def at(answer: Any) -> Any:
        for place in places:
            if answer is None:
                return None
            answer = getattr(answer, place)
        return answer

    return at
