"""Judges of routes, clocks, limits, details and lookups: pure functions of the responses.

Where a response shows nothing the verdict is unknown, never a guess.
"""

from __future__ import annotations

import math
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from trunkline import instants, zones
from trunkline_commands.doctor.finding import CONFIRMED, REFUTED, UNKNOWN, Finding
from trunkline_commands.doctor.rows import roughly, several

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from trunkline.facts.stream import VendorStream
    from trunkline.steps.fetch.governor import Limit
    from trunkline_commands.doctor.rows import Row, Seen

QUIET = "no row in the spans that were tried"
_AHEAD = timedelta(minutes=5)
_FRESH = timedelta(minutes=10)
_BUSY = 5  # rows in the hour before the newest one


def route(stream: str, seen: Seen, *, more: str = "", listed: bool = True) -> Finding:
    """Judge whether the credentials may read a route, from the first request to it.

    Args:
        stream: The stream.
        seen: What came.
        more: A further remark.
        listed: Whether what came is a list of rows.
    """
    if seen.ok:
        unknown = f", fields that the schema does not name: {several(seen.unknown)}" if seen.unknown else ""
        return Finding(
            stream, "route", CONFIRMED, f"HTTP {seen.status}{f', {len(seen.rows)} rows' * listed}{more}{unknown}"
        )
    if seen.refused == HTTPStatus.FORBIDDEN:
        advice = "Have the vendor allow it, or deselect the stream"
        return Finding(stream, "route", REFUTED, seen.problem, advice=advice)
    if seen.refused == HTTPStatus.NOT_FOUND:
        advice = "Deselect the stream, or check api_url and the ids in the config"
        return Finding(stream, "route", REFUTED, f"{seen.problem}: it is not there", advice=advice)
    return Finding(stream, "route", UNKNOWN, seen.problem)


def forms(stream: str, seen: Seen, facts: VendorStream) -> list[Finding]:
    """Judge the JSON types of fields that may have several, as the stream's facts declare them; none where none may."""
    text, number, flag = "a text", "a number", "true or false"
    declared = {name: {text, number} for name in (*facts.text_or_number, *facts.number_or_text)}
    declared |= {name: {text, number, flag, "an object", "a list"} for name in facts.text_or_json}
    declared |= {name: {number, flag} for name in facts.flag_or_number}
    if not (declared and seen.ok):
        return []
    if not seen.kinds:
        return [Finding(stream, "forms", UNKNOWN, "none of them was filled" if seen.rows else QUIET)]
    split = [(kind, *kind.split(" is ", 1)) for kind in seen.kinds]
    odd = [kind for kind, name, written in split if written not in declared[name]]
    return [Finding(stream, "forms", REFUTED if odd else CONFIRMED, several(odd or seen.kinds))]


def zone(  # noqa: PLR0913 - what a clock is judged by, each named
    stream: str,
    rows: Sequence[Row],
    by: str,
    now: datetime,
    *,
    zoneless: bool,
    forms: Sequence[str],
    setting: str = "",
    current: tzinfo = instants.UTC,
    names: Sequence[str] = (),
) -> Finding:
    """Judge the zone of times that name none: it is wrong for sure only when times run ahead of the clock.

    Args:
        stream: The stream.
        rows: Rows, those with times to come among them.
        by: The field.
        now: The moment.
        zoneless: Whether a time names no zone.
        forms: Forms of times.
        setting: The setting that holds the zone, if any.
        current: The zone that they are read in.
        names: Zones that rows of other streams name.
    """
    times = sorted(row.moments[by] for row in rows if by in row.moments)
    written = f"written as {several(forms, 2)}"
    if not times:
        return Finding(stream, "zone", UNKNOWN, QUIET)
    if not zoneless:
        return Finding(stream, "zone", CONFIRMED, f"times name their zone, {written}")
    ahead = times[-1] - now
    if ahead > _AHEAD:
        half_hours = math.ceil(ahead / timedelta(minutes=30)) / 2
        seen = f"times run {roughly(ahead)} ahead of the clock, {written}"
        if not setting:
            return Finding(stream, "zone", REFUTED, seen, advice="Report it: there is no setting for it")
        found = [(zone, _east(zone, current, now)) for zone in map(zones.find, names)]
        named = sorted((offset, str(zone)) for zone, offset in found if zone and offset >= ahead)
        value = named[0][1] if named else f"the account's own, at least {half_hours:g} h further east"
        return Finding(stream, "zone", REFUTED, seen, setting=setting, value=value)
    fresh = now - times[-1] < _FRESH and sum(times[-1] - at < timedelta(hours=1) for at in times) >= _BUSY
    seen = f"the newest time is {'some minutes' if fresh else 'more than ' + roughly(_FRESH)} old, {written}"
    advice = "" if fresh else "Compare one time with the vendor's own page"
    return Finding(stream, "zone", CONFIRMED if fresh else UNKNOWN, seen, advice=advice)


def _east(zone: tzinfo | None, current: tzinfo, now: datetime) -> timedelta:
    """Return how far the clocks of a zone are ahead of those of another one, with room for what is in flight."""
    offsets = [now.astimezone(one).utcoffset() for one in (zone or current, current)]
    return (offsets[0] or timedelta(0)) - (offsets[1] or timedelta(0)) + _AHEAD


def zone_names(stream: str, names: Sequence[str]) -> Finding:
    """Judge whether zones that rows name are known ones."""
    if not names:
        return Finding(stream, "zone-names", UNKNOWN, QUIET)
    unknown = sum(zones.find(name) is None for name in names)
    seen = f"{len(names) - unknown} of {len(names)} names are known"
    return Finding(stream, "zone-names", REFUTED if unknown else CONFIRMED, seen)


def limit(limits: Mapping[str, str], refused: int, documented: Limit | None) -> Finding:
    """Judge the limit, from headers about limits and from responses that refuse the pace.

    Args:
        limits: Headers about limits, the last value of each.
        refused: Responses with the status 429.
        documented: The documented limit.
    """
    named = {name: value for name, value in limits.items() if name.endswith("-limit") and value != "no number"}
    least = min(map(float, named.values()), default=None)
    seen = f"{several(f'{name} {value}' for name, value in named.items())}" if named else "no response names one"
    if refused:
        advice = "Set requests_per_minute to what the vendor allows"
        return Finding("", "limit", REFUTED, f"HTTP 429 to {refused} requests; {seen}", advice=advice)
    if documented is None:
        return Finding("", "limit", UNKNOWN, f"none is documented; {seen}")
    if least is None:
        return Finding("", "limit", UNKNOWN, f"{documented} is documented; {seen}")
    if least < documented.requests:
        slower = math.floor(least * 60 / documented.seconds)
        what = f"{documented} is documented; {seen}"
        return Finding("", "limit", REFUTED, what, setting="requests_per_minute", value=str(max(1, slower)))
    return Finding("", "limit", CONFIRMED, f"{documented} is documented; {seen}")


def detail_key(stream: str, setting: str, chosen: str, found: Mapping[str, bool | None]) -> Finding:
    """Judge which number of a row its detail is known by.

    Args:
        stream: The stream of details.
        setting: The setting that names it.
        chosen: Its value.
        found: Whether there was a detail, by each value that was tried; None where that is unknown.
    """
    if found.get(chosen):
        return Finding(stream, "detail-key", CONFIRMED, f"the detail is there by {chosen}")
    other = next((value for value, there in found.items() if there), None)
    if other and found.get(chosen) is False:
        seen = f"no detail by {chosen}, one by {other}"
        return Finding(stream, "detail-key", REFUTED, seen, setting=setting, value=other)
    tried = several(f"{value}: {'none' if there is False else 'not known'}" for value, there in found.items())
    return Finding(stream, "detail-key", UNKNOWN, tried or "no row has a different number for each")


def lookups(stream: str, outcomes: Sequence[tuple[Seen, str]]) -> list[Finding]:
    """Judge the outcomes of lookups.

    Args:
        stream: The stream.
        outcomes: Each with the form of what was found, empty where nothing was.
    """
    good = [(seen, form) for seen, form in outcomes if seen.ok]
    bad = [seen for seen, _ in outcomes if not seen.ok]
    nothing = [seen for seen, form in good if not form]
    found = sorted({form for _, form in good if form})
    problem = several(dict.fromkeys(seen.problem for seen in bad))
    if nothing:
        statuses = several(sorted({f"HTTP {seen.status}" for seen in nothing}))
        missing = Finding(stream, "not-found", CONFIRMED, f"{len(nothing)} lookups found nothing, with {statuses}")
    else:
        missing = Finding(
            stream, "not-found", UNKNOWN, problem or "all configured lookups that were tried found something"
        )
    if found:
        return [missing, Finding(stream, "search", CONFIRMED, several(found))]
    return [
        missing,
        Finding(stream, "search", UNKNOWN, problem or "no configured lookup that was tried found anything"),
    ]
