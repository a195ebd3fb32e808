"""Settings of a vendor's tap, each a JSON Schema property, and rules about several of them.

Formats such as `duration`, `date` and `url` are checked by `trunkline.facts.config`; `secret` marks a value that is
never shown, and `must` describes the values that a setting takes, so that an error never has to show a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.facts.config import Objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.facts.config import Setting


def text(description: str, **more: Any) -> Setting:
    """Describe a setting that is a text and not blank; `secret=True` marks it as one never to be shown."""
    return {"type": "string", "minLength": 1, "description": description, **more}


def token(description: str) -> Setting:
    """Describe a secret that is sent in a header, where only printable ASCII has a place."""
    return text(
        description,
        secret=True,
        pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z",
        must="a text of printable ASCII characters, without a space or a line break at its ends",
    )


def array(description: str, items: Mapping[str, Any] | None = None, **more: Any) -> Setting:
    """Describe a setting that is a list, of texts unless `items` has another schema."""
    return {
        "type": "array",
        "items": dict(items or {"type": "string", "minLength": 1}),
        "description": description,
        **more,
    }


def integer(description: str, **more: Any) -> Setting:
    """Describe a setting that is a whole number; `minimum`, `maximum` and `default` as in JSON Schema."""
    return {"type": "integer", **more, "description": description}


def number(description: str, **more: Any) -> Setting:
    """Describe a setting that is a number; `minimum`, `exclusiveMinimum`, `maximum` and `default` as in JSON Schema."""
    return {"type": "number", **more, "description": description}


def switch(description: str, *, default: bool = False) -> Setting:
    """Describe a setting that is true or false."""
    return {"type": "boolean", "default": default, "description": description}


def objects(
    description: str,
    by: str,
    kinds: Mapping[str, Mapping[str, Setting]],
    *,
    required: Sequence[str] = (),
    **more: Any,
) -> Setting:
    """Describe a setting that is a list of objects of several kinds.

    Args:
        description: Sentence for the documentation.
        by: Field of an object that names its kind.
        kinds: Other fields of each kind, as JSON Schemas.
        required: Those of them that an object must have.
        more: Further keys of the setting's own schema.
    """
    setting = array(description, {"type": "object"}, **more)
    return Objects(setting, by=by, kinds=kinds, required=required)


# -- rules -----------------------------------------------------------------------------------------


class NotBoth(NamedTuple):
    """Two settings that exclude each other.

    Args:
        first: The one.
        second: The other.
        why: Reason, as the end of a sentence.
    """

    first: str
    second: str
    why: str

    def problems(self, config: Mapping[str, Any]) -> list[str]:
        """Return errors of a config, a line each."""
        both = config.get(self.first) and config.get(self.second)
        return [f"{self.first} and {self.second} must not both be set: {self.why}"] if both else []


class InOrder(NamedTuple):
    """Two settings of which the first must not be greater than the second.

    Args:
        low: The one that is the lower end.
        high: The one that is the upper end.
    """

    low: str
    high: str

    def problems(self, config: Mapping[str, Any]) -> list[str]:
        """Return errors of a config, a line each."""
        low, high = config.get(self.low), config.get(self.high)
        wrong = low is not None and high is not None and low > high
        return [f"{self.high} must not be less than {self.low}"] if wrong else []


class AtLeastOne:
    """Settings of which one at least must be set, to something that is not empty.

    Args:
        names: The settings.
        why: Reason, as the end of a sentence.
    """

    def __init__(self, *names: str, why: str) -> None:
        self.names, self.why = names, why

    def problems(self, config: Mapping[str, Any]) -> list[str]:
        """Return errors of a config, a line each."""
        if any(config.get(name) for name in self.names):
            return []
        return [f"{', '.join(self.names[:-1])} or {self.names[-1]} must be set: {self.why}"]


# -- of every tap ----------------------------------------------------------------------------------


def common(  # noqa: PLR0913 - each is one fact
    *,
    lookback: str | None = None,
    window: str | None = None,
    page_size: int | None = None,
    max_page_size: int | None = None,
    longest: str | None = None,
    start_required: bool = False,
) -> dict[str, Setting]:
    """Return the settings every tap has; a tap without dates, windows or pages leaves their defaults out.

    Args:
        lookback: Default of `lookback`, an ISO 8601 duration.
        window: Default of `window`, an ISO 8601 duration.
        page_size: Default of `page_size`, in records.
        max_page_size: Largest `page_size` the vendor documents.
        longest: Longest `window` that the vendor returns in full, an ISO 8601 duration in whole days; of a longer one
            it would leave rows out without a word.
        start_required: Whether there is no reading without a `start_date`.
    """
    dates: dict[str, Setting] = {}
    if lookback:
        dates = {
            "start_date": text(
                "The first run reads from here (inclusive), and no lookback reaches before it. Newer than the "
                "bookmark, it wins." + ("" if start_required else " Left out: everything the vendor has."),
                format="date",
            ),
            "end_date": text("Read up to here (exclusive). Left out: the moment the run started.", format="date"),
            "lookback": text(
                "Each run re-reads this much before the bookmark, as an ISO 8601 duration; it never moves the "
                "bookmark.",
                format="duration",
                default=lookback,
            ),
        }
    if window:
        dates |= {
            "window": text(
                "Longest span requested at once, as an ISO 8601 duration."
                + (f" The vendor returns at most {longest} in full." if longest else ""),
                format="duration",
                default=window,
                least=1,
                **({"longest": longest} if longest else {}),
            ),
        }
    if page_size:
        largest = {"maximum": max_page_size} if max_page_size else {}
        dates["page_size"] = integer("Records requested at once.", minimum=1, **largest, default=page_size)
    return {
        **dates,
        "concurrency": integer(
            "Requests in flight at most; the output is the same for any value.", minimum=1, maximum=64, default=8
        ),
        "requests_per_minute": number(
            "Replaces the vendor's documented limit; shared by all requests of the tap.",
            exclusiveMinimum=0,
            maximum=1_000_000,
        ),
        "request_timeout": number(
            "Seconds until the headers of a response must be there, and in which more of its body must come.",
            exclusiveMinimum=0,
            maximum=86_400,
            default=60,
        ),
        "max_attempts": integer("Tries per request before it has failed.", minimum=1, maximum=100, default=8),
        "unknown_fields": text(
            "Handling of a top-level field that the schema does not name: kept in the column _extra, dropped, or "
            "an error.",
            enum=["keep", "drop", "fail"],
            default="keep",
        ),
        "pii": text(
            "Personal data as it is, as a keyed hash (HMAC-SHA-256 with pii_key), or dropped.",
            enum=["clear", "hash", "drop"],
            default="clear",
        ),
        "pii_key": text("The key of the hash; the same key gives the same hash for every vendor and run.", secret=True),
        "phone_region": text(
            "ISO country code that national phone numbers belong to; they are brought to E.164 before they are hashed.",
            format="region",
            must="a two-letter ISO country code in capitals, such as PL",
        ),
        "ca_bundle": text("Path of a private certificate authority (PEM).", format="file"),
        "new_account": switch(
            "Accept a state whose bookmarks belong to another account: for one run, after the account has moved to "
            "another address."
        ),
        "run_report": text(
            "Path of a JSON file for the report of the run, with its figures as OpenMetrics text beside it; or of a "
            "folder, which gets a file for each run.",
            format="file",
            written=True,
            must="the path of a folder, or of a file to be made in a folder that is there and can be written to",
        ),
        "user_agent": text("The User-Agent header.", pattern=r"^[\x20-\x7e]+$", must="printable ASCII"),
    }
