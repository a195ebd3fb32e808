"""The vendor that is to be begun: its names, and the words that its files are made with."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Any

from trunkline.doors.vendors import vendor_taps
from trunkline.errors import TrunklineError

NAME_RULE = "2 to 30 lower-case letters and digits, a letter first, such as aircall"

PAGING = {
    "number": "pages with numbers, and a total",
    "offset": "rows from an offset on, and a total",
    "cursor": "each page names the next one by a cursor or token",
    "none": "all rows in one response",
}
SIGNING = {
    "header": "a token in a header of the vendor's own",
    "bearer": "a bearer token",
    "basic": "HTTP's basic authentication",
    "body": "a token in the JSON body of each request",
    "oauth2": "an access token, bought with a client's ID and secret",
}
SPANS = {
    "second": "from and to in seconds",
    "day": "from and to in whole days",
    "none": "there is none: a full table",
}
DEFAULTS = {"paging": "number", "signing": "bearer", "span": "second"}

_PAGES = {"number": "NumberedPages", "offset": "OffsetPages", "cursor": "CursorPages", "none": "OnePage"}
_SIGN = {
    "header": ("header", 'header("X-Api-Key", "api_token")', ("api_token",)),
    "bearer": ("bearer", 'bearer("api_token")', ("api_token",)),
    "basic": ("basic", 'basic("api_id", "api_token")', ("api_id", "api_token")),
    "body": ("in_body", 'in_body(api_token="api_token")', ("api_token",)),
    "oauth2": ("oauth2", 'oauth2("/oauth/token")', ("client_id", "client_secret")),
}
_CURL = {
    "header": ("-H 'X-Api-Key: sandbox-{name}-token' ", "'{{url}}/v1/calls'"),
    "bearer": ("-H 'Authorization: Bearer sandbox-{name}-token' ", "'{{url}}/v1/calls'"),
    "basic": ("-u sandbox-{name}-id:sandbox-{name}-token ", "'{{url}}/v1/calls'"),
    "body": ('--json \'{{{{"api_token": "sandbox-{name}-token"}}}}\' ', "'{{url}}/v1/calls'"),
    "oauth2": ("-u sandbox-{name}-id:sandbox-{name}-secret ", "-d grant_type=client_credentials '{{url}}/oauth/token'"),
}


class CannotError(TrunklineError):
    """The vendor can't be begun: before anything was written, unless a tool failed."""

    code = "vendor-package"


def check_name(name: str) -> None:
    """Check that a vendor can have this name.

    Raises:
        CannotError: It can't.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]{1,29}", name):
        raise CannotError(f"{name!r} is no name for a vendor: a name is {NAME_RULE}")
    if name in {*vendor_taps(), "duckdb", "postgres"} or importlib.util.find_spec(f"tap_{name}"):
        raise CannotError(f"there is a vendor {name!r} already: choose another name, or edit what is there")


@dataclass(frozen=True)
class NewVendor:
    """A vendor to begin.

    Attributes:
        name: The one that commands and files have.
        title: The one for people.
        paging: One of `PAGING`.
        signing: One of `SIGNING`.
        span: One of `SPANS`.
        package: Whether it gets a package of its own.

    Raises:
        CannotError: The title can't be one.
    """

    name: str
    title: str
    paging: str
    signing: str
    span: str
    package: bool

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w &.+-]{0,40}", self.title):
            raise CannotError("the title must be a name of letters, digits and blanks, of at most 41 characters")

    def words(self) -> dict[str, Any]:
        """Return the words of the templates."""
        sign, signature, credentials = _SIGN[self.signing]
        return {
            "name": self.name,
            "title": self.title,
            "class": self.name.capitalize(),
            "package": self.package,
            "paging": self.paging,
            "span": self.span,
            "pages": _PAGES[self.paging],
            "stream": "SnapshotStream" if self.span == "none" else "PagedStream",
            "method": "POST" if self.signing == "body" else "GET",
            "sign": sign,
            "signature": signature,
            "credentials": credentials,
            "curl": [repr(part.format(name=self.name)) for part in _CURL[self.signing]],
        }
