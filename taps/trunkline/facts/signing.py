"""The usual ways to show who asks; each makes the `sign` of a tap: `sign = signing.bearer("api_token")`.

Credentials stand in a header, never in a URL: URLs end up in the logs of every machine on the way.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline.client import Request
    from trunkline.tap import VendorTap

    Sign = Callable[[VendorTap, Request], tuple[Mapping[str, str], Any]]


def header(name: str, setting: str, scheme: str = "") -> Sign:
    """The value of a setting in a header of the vendor's own.

    Args:
        name: The header.
        setting: The setting that holds the secret.
        scheme: Word before it, if any.
    """

    def sign(tap: VendorTap, request: Request) -> tuple[Mapping[str, str], Any]:
        return {name: f"{scheme} {tap.config[setting]}".strip()}, request.json

    return sign


def bearer(setting: str) -> Sign:
    """A bearer token (RFC 6750)."""
    return header("Authorization", setting, "Bearer")


def basic(user: str, password: str) -> Sign:
    """HTTP's basic authentication (RFC 7617), in UTF-8.

    Args:
        user: The setting that holds the user name, or what the vendor uses as one.
        password: The setting that holds the password.
    """

    def sign(tap: VendorTap, request: Request) -> tuple[Mapping[str, str], Any]:
        pair = f"{tap.config[user]}:{tap.config[password]}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, request.json

    return sign
