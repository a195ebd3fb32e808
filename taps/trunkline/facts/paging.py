"""Ways in which vendors page, in their own names: by number, by offset, by a cursor, or not at all.

A field of a body is named by its dotted path, as in `meta.total`; `Header(…)` and `Link(…)` name what stands elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.exact import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from trunkline.facts.places import Place


@dataclass(frozen=True, kw_only=True)
class FilterObjects:
    """A filter that is a list of objects, each of a property, a value and mostly an operator, as JSON in one parameter.

    Args:
        parameter: The parameter.
        since: Operator of the span's lower end.
        until: Operator of its upper end.
        setting: Setting that holds further objects, sent as they are.
    """

    parameter: str = "filter"
    since: str = "gte"
    until: str = "lte"
    setting: str = ""

    def write(self, by: str, span: tuple[Any, Any], config: Mapping[str, Any], **among: Any) -> tuple[str, str]:
        """Write the parameter.

        Args:
            by: The property that the span is about.
            span: Its ends as the vendor reads them; None stands for no end.
            config: The settings.
            among: Properties of which the value must be one of a list.
        """
        ends = zip((self.since, self.until), span, strict=True)
        rules = [
            *({"property": name, "value": list(values)} for name, values in among.items()),
            *({"property": by, "operator": how, "value": end} for how, end in ends if end is not None),
            *config.get(self.setting, ()),
        ]
        return self.parameter, encode(rules).decode()


@dataclass(frozen=True, kw_only=True)
class Paging:
    """Facts that all ways of paging share.

    Args:
        rows: Field that holds the rows; empty when the body itself is the list. Several where the vendor has more
            than one form of its response: the first that fits.
        since: Parameter of the span's lower end; empty where there is none.
        until: Parameter of the span's upper end.
        filter: The same in one parameter, where the vendor filters by objects.
        size: Parameter of the rows requested at once; empty where there is none.
        total: Where the number of rows of the whole span stands; empty when the vendor does not send it.
        none_left_out: Whether a response may leave the rows out when its total is 0.
        place: Where the parameters go: `query`, `body` (JSON, names with dots in objects) or `form`.
        extra_params: What else stands in every request.
        extra_params_if: The same, for a setting that is on.
        settings: Parameters that hold the value of a setting, where it is set: the setting's name, the parameter's.
        time: Writes an instant as the vendor's filter reads it.
    """

    rows: str | tuple[str, ...] = ""
    since: str = ""
    until: str = ""
    filter: FilterObjects | None = None
    size: str = ""
    total: Place = ""
    none_left_out: bool = False
    place: str = "query"
    extra_params: tuple[tuple[str, Any], ...] = ()
    extra_params_if: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    time: Callable[[datetime], Any] = instants.to_iso

    def span(
        self, ends: tuple[datetime | None, datetime], by: str, config: Mapping[str, Any], **among: Any
    ) -> Iterator[tuple[str, Any]]:
        """Yield the parameters of a span.

        Args:
            ends: Its ends, in UTC; None stands for no lower one.
            by: The vendor's field that the span is about.
            config: The settings.
            among: Fields of which the value must be one of a list, where the vendor filters by objects.
        """
        since, until = (None if end is None else self.time(end) for end in ends)
        if self.filter:
            yield self.filter.write(by, (since, until), config, **among)
            return
        if self.since and since is not None:
            yield self.since, since
        if self.until:
            yield self.until, until


@dataclass(frozen=True, kw_only=True)
class NumberedPages(Paging):
    """Pages with numbers.

    Args:
        page: Parameter of the page's number.
        more: Where it stands that pages follow: null, false, empty or not there on the last page; empty when the vendor
            does not send it. Where it is a link, only its presence counts: a link is never followed.
        pages: Where the number of pages stands.
        first: Number of the first page, or the setting that holds it; `auto` in the setting finds it out.
    """

    size: str = "per_page"
    page: str = "page"
    first: int | str = 1
    more: Place = ""
    pages: Place = ""


@dataclass(frozen=True, kw_only=True)
class OffsetPages(Paging):
    """Rows from an offset on.

    Args:
        offset: Parameter of the number of rows to pass over.
        more: As for `NumberedPages`.
    """

    size: str = "limit"
    offset: str = "offset"
    more: Place = ""


@dataclass(frozen=True, kw_only=True)
class CursorPages(Paging):
    """Pages of which each names the next one by a cursor, also called a token.

    Args:
        cursor: Parameter of the cursor; the first page is requested without it.
        next: Where the next page's cursor stands: null, empty or not there on the last page. Of a link, also of one in
            a field, it is the parameter of that name in its query: a link is never followed.
        more: Field that is false on the last page, where the vendor sends a cursor there too.
    """

    cursor: str = "cursor"
    next: Place = "next"
    more: Place = ""


@dataclass(frozen=True, kw_only=True)
class OnePage(Paging):
    """All rows in one response."""
