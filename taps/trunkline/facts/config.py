"""Settings: how they are read from a file or the environment, and the errors of those that are wrong.

A setting is a JSON Schema property (`trunkline.facts.settings` has the words that make one).
"""

from __future__ import annotations

import difflib
import json
import os
import stat
import zoneinfo
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import jsonschema
import msgspec

from trunkline import instants
from trunkline.errors import printable
from trunkline.steps.fetch import addresses
from trunkline.steps.shape import maps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

Setting = dict[str, Any]

_YEARS = range(instants.EARLIEST.year, 3000)  # of dates; far outside, what is reckoned from them leaves the calendar
_READ_BY = "read by Meltano, and with --config ENV"
"""Readers of environment variables: one that is set and not read is hard to find."""
_MOST_DIGITS = 18  # before the point, of a number in the environment

REFUSED = {
    "batch_config": "is not offered: the SDK's BATCH files would hold unmapped and deselected fields; leave it out",
}
"""Settings that other taps have and this one refuses, with the reason."""


class Rule(Protocol):
    """A rule about several settings, each of which is right for itself."""

    def problems(self, config: Mapping[str, Any]) -> list[str]:
        """Return errors of a config, a line each, beginning with a setting's name."""


class Objects(Setting):
    """A setting that is a list of objects of several kinds, whose fields are no part of the schema that is published.

    Args:
        setting: The schema that is published.
        by: Field of an object that names its kind.
        kinds: Other fields of each kind, as JSON Schemas.
        required: Those of them that an object must have.
    """

    def __init__(
        self, setting: Setting, *, by: str, kinds: Mapping[str, Mapping[str, Setting]], required: Collection[str]
    ) -> None:
        super().__init__(setting)
        self.by, self.kinds, self.required = by, kinds, required
        self.fields = list(dict.fromkeys(name for fields in kinds.values() for name in fields))

    def problems(self, entry: Mapping[str, Any]) -> Iterator[str]:
        """Yield the errors of one of the objects: a field, and what it must be."""
        known = [self.by, *self.fields]
        if unknown := [printable(name) for name in entry if name not in known]:
            yield f"must have only {', '.join(known[:-1])} and {known[-1]}, not {', '.join(sorted(unknown))}"
        kind = entry.get(self.by)
        if not isinstance(kind, str) or kind not in self.kinds:
            yield f"must have {_a(self.by)}: one of {', '.join(self.kinds)}"
            return
        specs = self.kinds[kind]
        for name in self.fields:
            if name not in specs:
                if name in entry:
                    yield f"must have no {name}: {kind} takes none"
            elif (name in entry and _problem(entry[name], specs[name])) or name in set(self.required) - entry.keys():
                yield f"must have {_a(name)}: for {kind}, {must(specs[name])}"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


# -- reading ---------------------------------------------------------------------------------------


def from_environment(
    properties: Mapping[str, Setting], prefix: str, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Read settings from the environment, each in its type; a value that has no such form stays text and is refused.

    Args:
        properties: The settings.
        prefix: For example `TAP_EVOLUX_`.
        environ: Where to look; the process's environment when left out.
    """
    environ = os.environ if environ is None else environ
    found = ((name, environ.get(prefix + name.upper().replace("-", "_"))) for name in properties)
    # An empty variable is how a shell and a .env file mean "not set".
    return {name: _typed(properties[name], value) for name, value in found if value}


def _typed(spec: Setting, value: str) -> Any:
    kinds = spec.get("type", "string")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "string" in kinds:
        return value
    if "boolean" in kinds:
        return _SWITCHES.get(value.lower(), value)
    if kinds & {"integer", "number"}:
        return _number(value)
    return _list(value) if "array" in kinds else _json(value)


_SWITCHES = {**dict.fromkeys(("true", "1", "yes", "on"), True), **dict.fromkeys(("false", "0", "no", "off"), False)}


def _number(value: str) -> int | float | str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        return value
    return int(number) if number == number.to_integral_value() else float(number)


def _list(value: str) -> Any:
    """Return a JSON list; or `a,b`, and a bare `a` is a list of one."""
    parsed = _json(value)
    if isinstance(parsed, list) or value[0] in "[{":
        return parsed
    return [part.strip() for part in value.split(",")]


def _json(value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return value


# -- checking --------------------------------------------------------------------------------------


def errors(config: Mapping[str, Any], schema: Mapping[str, Any], environment: str = "") -> list[str]:
    """Return the errors of a config, a line each: the setting, what it must be, never its value.

    Args:
        config: The settings as given.
        schema: The tap's config schema.
        environment: Prefix of the environment variables, named when a required setting is missing.
    """
    properties: Mapping[str, Setting] = schema["properties"]
    found = [_unknown(name, properties) for name in config if name not in properties]
    for name, spec in properties.items():
        if name == "stream_maps" and isinstance(config.get(name), dict) and not _has_half_surrogate(config[name]):
            found += maps.errors(config[name], parse=False)  # one that no stream uses need not be an expression
        elif name in config and config[name] is not None:
            problem, blank = _problem(config[name], spec), _blank(config[name], spec)
            if problem:
                found.append(f"{name} {problem}")
            elif blank is not None:
                found.append(f"{name}{blank} must not be blank")
            elif isinstance(spec, Objects):
                for place, entry in enumerate(config[name]):
                    found += [f"{name}[{place}] {line}" for line in spec.problems(entry)]
        elif name in schema.get("required", ()):
            variable = f", or {environment}{name.upper()} in the environment ({_READ_BY})" if environment else ""
            found.append(f"{name} is missing: it must be {must(spec)}{variable}")
    return found


def _unknown(name: str, properties: Mapping[str, Setting]) -> str:
    if name in REFUSED:
        return f"{name} {REFUSED[name]}"
    name = printable(name)
    near = difflib.get_close_matches(name, properties, n=1, cutoff=0.6)
    return f"{name} is no setting of this tap" + (f": did you mean {near[0]}?" if near else "")


_OUR_OWN = {"format", "default", "secret", "must", "least", "longest", "written"}


def _problem(value: Any, spec: Setting) -> str:
    # `format` is checked below, in our own words.
    standard = {key: part for key, part in spec.items() if key not in _OUR_OWN}
    if _has_half_surrogate(value):  # JSON can write one, and nothing that is sent can hold it
        return f"must be {must(spec)}, without half a surrogate pair (\\ud800 to \\udfff)"
    if list(jsonschema.Draft202012Validator(standard).iter_errors(value)):
        return f"must be {must(spec)}"
    check = _FORMATS.get(spec.get("format", ""))
    if check and isinstance(value, str):
        return check(value, spec)
    return ""


def _has_half_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()  # the SDK reads a fraction as a Decimal
    except UnicodeEncodeError:
        return True
    return False


def _blank(value: Any, spec: Setting) -> str | None:
    """Return where a text is only white space: `[2]` in a list, else empty; None: nowhere."""
    if isinstance(value, list):
        places = (place for place, member in enumerate(value) if _blank(member, spec.get("items", {})) is not None)
        return next((f"[{place}]" for place in places), None)
    return "" if isinstance(value, str) and spec.get("minLength") and not value.strip() else None


def must(spec: Setting) -> str:
    """Describe the values that a setting takes."""
    if "must" in spec:
        return str(spec["must"])
    if "enum" in spec:
        return f"one of {', '.join(map(str, spec['enum']))}"
    if spec.get("format") in _WORDS:
        return _WORDS[spec["format"]]
    kinds = spec.get("type", "string")
    # The SDK's own settings may be null, which is the same as leaving them out.
    kind = kinds if isinstance(kinds, str) else next(kind for kind in kinds if kind != "null")
    if kind == "array":
        filled = " that is not empty" if spec.get("minItems") else ""
        return f"a list{filled}, each of its members {must(spec['items'])}" if spec.get("items") else f"a list{filled}"
    if kind in {"integer", "number"}:
        return ("an integer" if kind == "integer" else "a number") + _bounds(spec)
    plain = {"string": "a text that is not blank", "boolean": "true or false", "object": "an object"}
    return plain.get(str(kind), f"a {kind}")


def _bounds(spec: Setting) -> str:
    low, above, high = spec.get("minimum"), spec.get("exclusiveMinimum"), spec.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    words = [f"of at least {low}"] * (low is not None) + [f"above {above}"] * (above is not None)
    return "".join(f" {word}" for word in [*words, *[f"of at most {high}"] * (high is not None)])


_WORDS = {
    "url": "an https:// address (http:// only for this machine)",
    "date": "an ISO 8601 date or date-time, such as 2026-01-31 or 2026-01-31T08:00:00Z",
    "instant": "an ISO 8601 date-time",
    "duration": "an ISO 8601 duration, such as P7D or PT6H",
    "file": "the path of a file that can be read",
    "zone": "an IANA time zone, such as Europe/Warsaw",
}


def _url(value: str, _: Setting) -> str:
    parts = addresses.read(value)
    if parts is None:
        return f"must be {_WORDS['url']}"
    if "@" in parts.netloc:
        return "must not carry a user name or password"
    if parts.query or parts.fragment:
        return "must end with its path: no query and no fragment"
    if parts.scheme != "https" and not (parts.scheme == "http" and addresses.is_loopback(parts.hostname or "")):
        return f"must be {_WORDS['url']}"
    return ""


def _date(value: str, _: Setting) -> str:
    try:
        year = instants.from_iso(value).year
    except (ValueError, OverflowError):
        return f"must be {_WORDS['date']}"
    return "" if year in _YEARS else f"must be {_WORDS['date']}, from {_YEARS[0]} to {_YEARS[-1]}"


def _instant(value: str, spec: Setting) -> str:
    try:
        instants.from_iso(value)
    except (ValueError, OverflowError):
        return f"must be {must(spec)}"
    return ""


def _duration(value: str, spec: Setting) -> str:
    try:
        span = instants.duration(value)
    except (ValueError, OverflowError, ArithmeticError):
        return f"must be {_WORDS['duration']}"
    least, longest = spec.get("least", 0), spec.get("longest")
    days = instants.duration(longest).days if longest else 36_500
    if span.total_seconds() < least or span > timedelta(days=days):
        return f"must be {_WORDS['duration']}, of at least {least} s and at most {days} days"
    return ""


def _file(value: str, spec: Setting) -> str:
    path = Path(value)
    if spec.get("written"):
        return "" if _can_be_written(path) else f"must be {must(spec)}"
    try:
        readable = path.is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError):  # a name that is too long, or that holds a NUL
        readable = False
    return "" if readable else f"must be {_WORDS['file']}"


def _can_be_written(path: Path) -> bool:
    """Return whether a file can be put at a path, or into it if it is a folder; never in the place of a device."""
    try:
        path = path.resolve()
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG  # as the file that will be there
        folder = path if stat.S_ISDIR(mode) else path.parent
        replaceable = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
        return replaceable and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except (OSError, ValueError, RuntimeError):  # a name that is too long, that holds a NUL, or a circle of links
        return False


_CALLED = {"UK": "GB", "EN": "GB", "EL": "GR", "JA": "JP", "SP": "ES"}
"""Codes that people take for those of countries, and the countries' own."""


def _region(value: str, spec: Setting) -> str:
    import phonenumbers  # its tables cost a tenth of a second that only a setting is worth

    if value in phonenumbers.SUPPORTED_REGIONS:
        return ""
    code = value.strip().upper()
    code = _CALLED.get(code, code)
    near = f": did you mean {code}?" if code in phonenumbers.SUPPORTED_REGIONS else ""
    return f"must be {must(spec)}{near}"


def _zone(value: str, _: Setting) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"must be {_WORDS['zone']}"
    return ""


_FORMATS: dict[str, Callable[[str, Setting], str]] = {
    "url": _url,
    "date": _date,
    "instant": _instant,  # of any year: it is passed on, and nothing is reckoned from it
    "duration": _duration,
    "file": _file,
    "zone": _zone,
    "region": _region,
}
