"""Places of a fact in a response: at a dotted path of its body, in a header, or in a link."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import requests

from trunkline.errors import BadResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from trunkline.steps.fetch.exchange import Reply

    Place: TypeAlias = "str | Header | Link"

_STRAIGHT = str.maketrans({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})


@dataclass(frozen=True)
class Header:
    """A header of the response.

    Args:
        name: Its name, in any case.
    """

    name: str

    def read(self, reply: Reply) -> str | None:
        """Return the header's value; None where it is not there."""
        return reply.headers.get(self.name)

    def number(self, reply: Reply) -> int | None:
        """Return the header's value as a number.

        Raises:
            BadResponse: It is none.
        """
        text = self.read(reply)
        if text is not None and text.strip() and not text.strip().isdecimal():
            raise BadResponse("the response has another form", f"its {self.name} is no number")
        return int(text) if text and text.strip() else None


@dataclass(frozen=True)
class Link:
    """A link of the header `Link` (RFC 8288), by its relation. Only its presence and query are used, never its host.

    Args:
        rel: Its relation; vendors put it between quotes of every kind.
    """

    rel: str

    def read(self, reply: Reply) -> bool | None:
        """Return whether the header has such a link; None where there is no such header."""
        header = reply.headers.get("Link")
        return None if header is None else self._url(header) is not None

    def parameter(self, reply: Reply, name: str) -> str | None:
        """Return a parameter in the query of the link; None where there is no such link."""
        url = self._url(reply.headers.get("Link") or "")
        return None if url is None else query_of(url, name)

    def _url(self, header: str) -> str | None:
        links = requests.utils.parse_header_links(header.translate(_STRAIGHT))
        return next((link.get("url", "") for link in links if link.get("rel") == self.rel), None)


def query_of(url: str, name: str) -> str | None:
    """Return the value of a parameter in the query of a URL, be it relative; None where it has none."""
    try:
        return parse_qs(urlsplit(url).query, keep_blank_values=True).get(name, [None])[0]
    except ValueError:
        return None


class BodyReader:
    """Reads some fields of a body in one pass; what else it has is skipped without a look.

    Args:
        fields: The dotted path of each field, its type, and whether it may be missing.
        whole: The type of the body where it has no such field, as when it is the list of rows itself.
    """

    def __init__(self, fields: Mapping[str, tuple[Any, bool]], whole: Any = None) -> None:
        tree: dict[str, Any] = {}
        for path, kind in fields.items():
            *above, name = path.split(".")
            functools.reduce(lambda node, part: node.setdefault(part, {}), above, tree)[name] = kind
        self.read: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(tree) if tree else whole).decode
        self._getters = {path: _getter(tree, path) for path in fields}

    def get(self, body: Any, path: str) -> Any:
        """Return a field of what was read; None where it or an object on the way to it is not there."""
        return self._getters[path](body)


def _struct(tree: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for number, (name, inner) in enumerate(tree.items()):
        if isinstance(inner, dict):
            optional = _all_optional(inner)
            kind = _struct(inner) | None if optional else _struct(inner)
        else:
            kind, optional = inner
        default = {"default": None} if optional else {}
        fields.append((f"field{number}", kind, msgspec.field(name=name, **default)))
    return msgspec.defstruct("Body", fields, kw_only=True)


def _all_optional(tree: Mapping[str, Any]) -> bool:
    return all(_all_optional(inner) if isinstance(inner, dict) else inner[1] for inner in tree.values())


def _getter(tree: Mapping[str, Any], path: str) -> Callable[[Any], Any]:
    places: list[str] = []
    for name in path.split("."):
        places.append(f"field{list(tree).index(name)}")
        tree = tree[name]

    def at(body: Any) -> Any:
        for place in places:
            if body is None:
                return None
            body = getattr(body, place)
        return body

    return at
