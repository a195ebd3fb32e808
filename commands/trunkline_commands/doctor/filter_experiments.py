"""Experiments on the filter of dates: a narrow span among known rows, other forms of its dates, and rows to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.facts.uncounted import UncountedStream
from trunkline.facts.wall_clock import WallClock
from trunkline_commands.doctor import filter_judges, judges
from trunkline_commands.doctor.filter_judges import Filtered, Span
from trunkline_commands.doctor.finding import CONFIRMED, REFUTED, UNKNOWN, Finding
from trunkline_commands.doctor.subject import Exactly, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trunkline_commands.doctor.rows import Seen

    Variant = Callable[[Any, str, str], Any]

_LEAST = 3
_FAR = timedelta(days=40)
_TO_COME, _JUST_NOW, _MOMENT = timedelta(hours=26), timedelta(hours=1), timedelta(minutes=2)


def choose(group: Sequence[Subject]) -> Subject | None:
    """Choose the stream whose rows show most about the filter that a group shares; None where none has one."""
    dated = [subject for subject in group if subject.is_dated and subject.known.ok]
    if not dated:
        return None
    best = max(dated, key=_worth)
    unlike = next((subject for subject in dated if other_times(subject)), best)
    if unlike is not best and not other_times(best):
        unlike.survey(longest=True)  # only its rows can show which of several times the filter looks at
        best = unlike if _shows(unlike) else best
    return best


def examine(subject: Subject, variant: Variant) -> list[Finding]:
    """Request a narrow span, and judge what the filter does with it.

    Args:
        subject: The stream.
        variant: Makes the same stream with another value of a setting.
    """
    rows = subject.known.rows
    span = filter_judges.choose_span(rows, subject.by, subject.stream.tick, other_times(subject))
    if span is None or _clocks_change(subject, span):
        few = "the clocks change in the span" if span else "the rows have too few different times"
        why = few if rows else judges.QUIET
        return [Finding(subject.name, name, UNKNOWN, why) for name in ("filter", "lower-end", "upper-end")]
    found = _narrow(subject, span)
    if not any(one.fact == "filter" and one.verdict == REFUTED for one in found):
        return found
    return with_other_form(subject, found, variant)


def other_times(subject: Subject) -> list[str]:
    """Name the other times that the vendor may look at, as the stream declares them."""
    return [name for name in subject.stream.other_filter_times if name != subject.by]


def with_other_form(subject: Subject, found: Sequence[Finding], variant: Variant) -> list[Finding]:
    """Try the other forms that a setting knows for the filter's dates; name the one that acts, and go on with it."""
    stream, setting = subject.stream, getattr(subject.stream, "filter_date_setting", "")
    for value in stream.filter_dates if setting and isinstance(stream, WallClock) else ():
        if value == stream.config[setting]:
            continue
        other = variant(stream, setting, value)
        other.first_page = stream.first_page
        more = _try(replace(subject, stream=other, pages=[], samples=[]), subject.known)
        if any(one.fact == "filter" and one.verdict == CONFIRMED for one in more):
            subject.go_on_with(other)
            named = [replace(one, setting=setting, value=value) for one in found if one.fact == "filter"]
            return [*named, *(one for one in more if one.fact != "filter")]
    return list(found)


def _try(tried: Subject, known: Seen) -> list[Finding]:
    """Judge the filter with another form of its dates."""
    why = "a span, in another form of dates"
    span = filter_judges.choose_span(known.rows, tried.by, tried.stream.tick)
    if span is None:
        seen = tried.page(why, next(iter(tried.spans())), tried.base, tried.size)
        return [Finding(tried.name, "filter", CONFIRMED if seen.ok else UNKNOWN, seen.problem)]
    seen = tried.page(why, Exactly(span.since, span.until), tried.base, tried.size)
    narrow = Filtered(span, known.rows, seen, tried.by, tried.stream.filter_tolerance)
    return filter_judges.filtered(tried.name, narrow)


def _narrow(subject: Subject, span: Span) -> list[Finding]:
    """Request the span, and where the filter is made of objects whether these combine."""
    stream, seen = subject.stream, subject.first(Exactly(span.since, span.until))
    if seen.ok:
        subject.pages.append(seen)
    lookback = stream.duration("lookback") if stream.tap.is_set("lookback") else timedelta(0)
    narrow = Filtered(span, subject.known.rows, seen, subject.by, stream.filter_tolerance, lookback)
    known_keys = set(subject.known.keys)
    if seen.ok and narrow.is_in_doubt:
        earliest = min(row.moments[subject.by] for row in narrow.known if subject.by in row.moments)
        low = instants.floor(earliest - _FAR, stream.tick)
        far = subject.page(
            "a span far from all known rows", Exactly(low, low + instants.DAY), subject.base, subject.size
        )
        narrow = replace(narrow, far=replace(far, rows=tuple(row for row in far.rows if row.key in known_keys)))
    found = filter_judges.filtered(subject.name, narrow)
    others = other_times(subject)
    if others and not any(one.fact == "filter-time" for one in found):
        found.append(filter_judges.filter_time(subject.name, narrow, others))
    if not subject.paging.filter or not seen.ok:
        return found
    if any(one.fact == "filter" and one.verdict == REFUTED for one in found):
        window = Exactly(None, span.until)
        alone = subject.page("one end of a span", window, subject.base, subject.size)
        return filter_judges.one_end(subject.name, found, replace(narrow, seen=alone))
    return [*found, _combined(subject, narrow)]


def _combined(subject: Subject, narrow: Filtered) -> Finding:
    stream, window = subject.stream, subject.span
    unsettled = stream.unsettled if isinstance(stream, UncountedStream) else None
    if unsettled is None or window is None or window.since is None:
        return filter_judges.combined(subject.name, narrow)
    seen = subject.page("a span and states", window, 0, subject.size, unsettled=True)
    wide = replace(narrow, span=Span(window.since, window.until, narrow.span.tick), seen=seen)
    return filter_judges.combined(subject.name, wide, seen.states, unsettled.values)


def zone(subject: Subject, names: Sequence[str]) -> Finding:
    """Look for rows whose times are still to come, where times name no zone.

    Args:
        subject: The stream.
        names: Zones that rows of other streams name.
    """
    stream, known = subject.stream, subject.known
    now = stream.tap.run_start + max(timedelta(0), subject.line.meter.ahead)  # a slow clock here is no wrong zone there
    rows, tick, wall = known.rows, stream.tick, isinstance(stream, WallClock)
    if known.rows and known.zoneless:
        window = Exactly(instants.floor(now - _JUST_NOW, tick), instants.ceil(now + _TO_COME, tick))
        newest = subject.page("the newest rows", window, subject.base, subject.size)
        if newest.ok and newest.follows:
            to_come = Exactly(instants.ceil(now + _MOMENT, tick), window.until)
            newest = subject.page("rows to come", to_come, subject.base, subject.size)
        rows = (*rows, *newest.rows)
    return judges.zone(
        subject.name,
        rows,
        subject.by,
        now,
        zoneless=known.zoneless,
        forms=known.forms,
        setting=stream.zone_setting if isinstance(stream, WallClock) else "",
        current=stream.zone if isinstance(stream, WallClock) else instants.UTC,
        names=names if wall else (),
    )


def _worth(subject: Subject) -> tuple[bool, bool, int]:
    """Rank streams by what their rows show about the filter; a stream that is not loaded by default comes last."""
    shows = bool(other_times(subject)) and _shows(subject)
    return shows, bool(subject.stream.selected_by_default), len(subject.known.rows)


def _shows(subject: Subject) -> bool:
    return len({row.moments.get(subject.by) for row in subject.known.rows}) >= _LEAST


def _clocks_change(subject: Subject, span: Span) -> bool:
    """Return whether the clocks change in a span: a stream then requests it wider."""
    stream = subject.stream
    return isinstance(stream, WallClock) and bool(instants.widest_change(span.since, span.until, stream.zone))
