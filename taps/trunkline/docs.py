"""The page of a vendor: facts from its tap and schemas, woven with notes written by hand.

`python -m trunkline.docs NAME NOTES` prints the page of any vendor that is known by the entry point group
`trunkline.vendors`, one from another package too. Notes are Markdown: a `# Title`, then the sections of `SECTIONS` and
one section "Stream `name`" for each stream, in any order. A section more or less is an error: nothing stays
undocumented by oversight.
"""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline import schemas
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trunkline.settings import Setting
    from trunkline.tap import VendorTap

SECTIONS = ("What it reads", "First run", "Endpoints", "What is known", "What the vendor makes impossible")
"""The sections that every vendor's notes have, beside one for each stream."""

VENDORS = "trunkline.vendors"
"""The entry point group that vendors are found by."""

_FORMATS = {
    "url": "URL",
    "date": "date or date-time",
    "duration": "ISO 8601 duration",
    "file": "path",
    "zone": "IANA time zone",
    "region": "ISO country code",
}
_PLURALS = {"string": "texts", "object": "objects", "integer": "integers"}
_NAME = re.compile(r"(?<![\w/<.`\-])(_?[a-z0-9]+(?:_[a-z0-9]+)+|_[a-z]+)(?![\w/>`])")


@dataclass(frozen=True)
class StreamFacts:
    """What a stream's class says of itself, before there is an instance."""

    name: str
    request: str
    keys: Sequence[str]
    replication_key: str | None
    partition: Sequence[str]

    @property
    def heading(self) -> str:
        """The heading of the stream's section in the notes."""
        return f"Stream `{self.name}`"

    @property
    def key(self) -> str:
        """The primary key, as code."""
        return _codes(self.keys)

    @property
    def bookmark(self) -> str:
        """What the stream goes on from."""
        if not self.replication_key:
            return "none: full table"
        return f"`{self.replication_key}`" + (f", for each {_codes(self.partition)}" if self.partition else "")


def stream_facts(tap: type[VendorTap]) -> list[StreamFacts]:
    """The facts of a tap's streams, in the tap's order."""
    found = []
    for stream_type in tap.stream_types:
        # The SDK types these for instances, and has properties where a class says nothing.
        stream: Any = stream_type
        in_url = getattr(getattr(stream, "paging", None), "place", "query") == "query"
        method = stream.http_method if isinstance(stream.http_method, str) else "GET" if in_url else "POST"
        partition = stream.state_partitioning_keys
        found.append(
            StreamFacts(
                stream.name,
                f"{method} {stream.path}",
                stream.primary_keys,
                stream.replication_key,
                partition if isinstance(partition, (list, tuple)) else (),
            )
        )
    return found


def vendor_taps(distribution: str | None = None) -> dict[str, type[VendorTap]]:
    """Every installed vendor's tap, by the vendor's name, in the order of names.

    Args:
        distribution: Only those that this distribution brings.
    """
    found = sorted(metadata.entry_points(group=VENDORS), key=lambda point: point.name)
    return {
        point.name: point.load()
        for point in found
        if distribution is None or (point.dist is not None and point.dist.name == distribution)
    }


def tap_in(folder: Path) -> type[VendorTap]:
    """The tap of a package that need not be installed: the first that its pyproject.toml names among the vendors.

    Args:
        folder: Where the package's pyproject.toml is.

    Raises:
        TrunklineError: It names none.
    """
    told = (folder / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf'^\[project\.entry-points\."{VENDORS}"\]\n\w+ = "([\w.]+):(\w+)"', told, re.MULTILINE)
    if not found:
        raise TrunklineError(
            f"{folder} has no tap", f"its pyproject.toml has no entry point in the group {VENDORS}", "Add one"
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    tap: type[VendorTap] = getattr(importlib.import_module(found[1]), found[2])
    return tap


def vendor_page(tap: type[VendorTap], notes: str, settings_page: str = "") -> str:
    """The Markdown page of one vendor.

    Args:
        tap: The vendor's tap.
        notes: What is written by hand, in Markdown.
        settings_page: Address of a page on the settings that all taps have, relative to this one, if there is one.

    Raises:
        TrunklineError: The notes lack a section, or have one that has no place.
    """
    title, told = _sections(tap, notes)
    more = f" What they have in common is told [here]({settings_page})." if settings_page else ""
    return (
        "\n\n".join(
            [
                f"# {title}",
                f"<!-- Generated by {_maker(tap)}. Edit those. -->",
                f"`{tap.name}` · {summary(tap)}",
                f"## What it reads\n\n{told['What it reads']}",
                f"## First run\n\n{told['First run']}",
                "## Streams",
                *(_stream(tap, stream, told[stream.heading]) for stream in stream_facts(tap)),
                f"## Settings\n\nThe vendor's own come first.{more}\n\n{settings_table(tap)}",
                f"## Endpoints\n\n{told['Endpoints']}",
                f"## What is known\n\n{told['What is known']}",
                f"## What the vendor makes impossible\n\n{told['What the vendor makes impossible']}",
            ]
        ).rstrip()
        + "\n"
    )


def _maker(tap: type[VendorTap]) -> str:
    """How the page is made, and from what."""
    if tap.package_name == "trunkline":
        return "`python3 run.py docs` from the tap, schemas/ and docs/notes/"
    return f"`python -m trunkline.docs {tap.vendor}` from the tap, its schemas and the notes"


def summary(tap: type[VendorTap]) -> str:
    """The first sentence of a tap's docstring, less "Singer tap for"."""
    text = (tap.__doc__ or "").strip().splitlines()[0]
    return text.removeprefix("Singer tap for ")


def _sections(tap: type[VendorTap], notes: str) -> tuple[str, dict[str, str]]:
    head, *parts = re.split(r"^## +", notes, flags=re.MULTILINE)
    title = head.strip().removeprefix("#").strip()
    told = {name.strip(): body.strip() for name, _, body in (part.partition("\n") for part in parts)}
    wanted = {*SECTIONS, *(stream.heading for stream in stream_facts(tap))}
    missing, idle = sorted(wanted - told.keys()), sorted(told.keys() - wanted)
    missing += sorted(name for name in wanted & told.keys() if not told[name])
    if missing or idle or not title:
        raise TrunklineError(
            f"the page of {tap.vendor} could not be made",
            "; ".join(
                [
                    *(f"its notes say nothing under '{name}'" for name in missing),
                    *(f"there is no place for '{name}'" for name in idle),
                    *([] if title else ["its notes have no '# Title'"]),
                ]
            ),
            f"Correct the headings in the notes of {tap.vendor}",
        )
    return title, told


# -- streams ---------------------------------------------------------------------------------------


def _stream(tap: type[VendorTap], stream: StreamFacts, told: str) -> str:
    schema = schemas.load(tap.vendor, stream.name)
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(tap, stream))
    return "\n\n".join(
        [
            f"### {stream.name}",
            prose(schema["description"]),
            f"| | |\n|---|---|\n{facts}",
            told,
            f"| field | type | personal | description |\n|---|---|---|---|\n{fields_table(schema)}",
        ]
    )


def _facts(tap: type[VendorTap], stream: StreamFacts) -> Iterator[tuple[str, str]]:
    yield "request", f"`{stream.request}`"
    yield "primary key", stream.key
    yield "bookmark", stream.bookmark
    if stream.replication_key:
        defaults = {name: spec.get("default") for name, spec in tap.common.items()}
        most = tap.common["page_size"].get("maximum")
        yield "records a request", f"{defaults['page_size']}, {f'at most {most}' if most else 'most unknown'}"
        yield "window", f"`{defaults['window']}`"
        yield "lookback", f"`{defaults['lookback']}`"
        needed = "start_date" in tap.required_to_start
        yield "without `start_date` and bookmark", "an error" if needed else "everything the vendor has"
    yield "documented limit", str(tap.limit or "none")


def one_row_is(schema: Mapping[str, Any]) -> str:
    """What a row stands for, in the words the schema's description begins with ("One call that …, known by …")."""
    words = re.split(r", known by |[.;] ", schema["description"])[0].rstrip(".")
    return prose(re.sub(r"^One ", "a ", words[:1].lower() + words[1:], flags=re.IGNORECASE))


def fields_table(schema: Mapping[str, Any]) -> str:
    """Rows of a table of fields: name, type, whether personal, description; fields of objects under their path."""
    return "\n".join(
        f"| `{name}` | {_json_type(spec)} | {'yes' if spec.get('x-personal') else ''} | {prose(spec['description'])} |"
        for name, spec in fields(schema)
    )


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field of a schema at any depth, as `tasks[].name` and its own schema."""
    for name, spec in schema.get("properties", {}).items():
        yield path + name, spec
        inner, suffix = spec, ""
        while "items" in inner:
            inner, suffix = inner["items"], suffix + "[]"
        yield from fields(inner, f"{path}{name}{suffix}.")


def _json_type(spec: Mapping[str, Any]) -> str:
    kinds = spec.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    shown = [spec["format"] if kind == "string" and "format" in spec else kind for kind in kinds if kind != "null"]
    return " or ".join(shown) + (", null" if "null" in kinds else "")


# -- settings --------------------------------------------------------------------------------------


def settings_table(tap: type[VendorTap]) -> str:
    """A table of a tap's settings, its own first."""
    prefix = f"{tap.name.upper().replace('-', '_')}_"
    rows = []
    for name, spec in {**tap.settings, **tap.common}.items():
        need = "*required*" if name in tap.required else default(spec)
        if name in tap.required_to_start:
            need = "*required* until there is a bookmark"
        rows.append((name, setting_type(spec), need, spec, f"`{prefix}{name.upper()}`"))
    return table_of_settings(rows)


def table_of_settings(rows: Iterable[tuple[str, str, str, Mapping[str, Any], str]]) -> str:
    """A table of settings.

    Args:
        rows: For each setting its name, type, default, schema and environment variable.
    """
    head = "| setting | type | default | secret | meaning | environment variable |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| `{name}` | {kind} | {default} | {'yes' if spec.get('secret') else ''} "
        f"| {prose(spec['description'])} | {variable} |"
        for name, kind, default, spec, variable in rows
    )


def setting_type(spec: Setting) -> str:
    """What a setting takes, in few words."""
    kinds = spec.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    if "enum" in spec:
        return ", ".join(f"`{value}`" for value in dict.fromkeys(map(str, spec["enum"])))
    if "format" in spec:
        return _FORMATS[spec["format"]]
    if kinds == ["array"]:
        inner = spec["items"]
        return "list of " + (setting_type(inner) if "enum" in inner else _PLURALS[inner["type"]])
    if kinds[0] in {"integer", "number"}:
        low, above, high = spec.get("minimum"), spec.get("exclusiveMinimum"), spec.get("maximum")
        least = f" from {low}" if low is not None else f" above {above}" if above is not None else ""
        return f"{kinds[0]}{least}" + ("" if high is None else f" to {high}")
    return {"string": "text", "boolean": "true or false"}.get(str(kinds[0]), " or ".join(map(str, kinds)))


def default(spec: Mapping[str, Any]) -> str:
    """A setting's default as code, or nothing."""
    if "default" not in spec:
        return ""
    value = spec["default"]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


# -- text ------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A sentence that is no Markdown yet, fit for a table's cell; names with an underscore become code."""
    flat = " ".join(text.split()).replace("|", r"\|")
    return _NAME.sub(r"`\1`", re.sub(r"<(?=\w)", r"\\<", flat))


def _codes(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: Sequence[str]) -> int:
    """Print a vendor's page.

    Returns:
        The exit code: 0, or 2 when it could not be made.
    """
    taps = vendor_taps()
    if len(arguments) != 2 or arguments[0] not in taps:  # noqa: PLR2004 - name and notes
        print(f"usage: python -m trunkline.docs {{{','.join(taps)}}} NOTES.md", file=sys.stderr)  # noqa: T201 - a command
        return 2
    try:
        print(vendor_page(taps[arguments[0]], Path(arguments[1]).read_text(encoding="utf-8")), end="")  # noqa: T201 - same
    except (TrunklineError, OSError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - same
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
