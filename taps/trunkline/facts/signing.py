"""The usual ways to show who sends a request; each makes the `sign` of a tap: `sign = bearer("api_token")`.

Credentials stand in a header or in the body, never in a URL: URLs end up in the logs of every machine on the way.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline.facts.ports import OwningTap
    from trunkline.steps.fetch.exchange import Request

    Sign = Callable[[OwningTap, Request], tuple[Mapping[str, str], Any]]


def header(name: str, setting: str, scheme: str = "", **more: str) -> Sign:
    """Send the value of a setting in a header of the vendor's own.

    Args:
        name: The header.
        setting: The setting that holds the secret.
        scheme: Word before it, if any.
        more: Further headers that every request needs, with `_` for `-` in their names: `Content_Type=…`.
    """
    fixed = {other.replace("_", "-"): value for other, value in more.items()}

    def sign(tap: OwningTap, request: Request) -> tuple[Mapping[str, str], Any]:
        return {name: f"{scheme} {tap.config[setting]}".strip(), **fixed}, request.json

    return sign


def bearer(setting: str) -> Sign:
    """Send a bearer token (RFC 6750)."""
    return header("Authorization", setting, "Bearer")


def basic(user: str, password: str) -> Sign:
    """Sign with HTTP's basic authentication (RFC 7617), in UTF-8.

    Args:
        user: The setting that holds the user name, or what the vendor uses as one.
        password: The setting that holds the password.
    """

    def sign(tap: OwningTap, request: Request) -> tuple[Mapping[str, str], Any]:
        pair = f"{tap.config[user]}:{tap.config[password]}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, request.json

    return sign


def in_body(**fields: str) -> Sign:
    """Sign with credentials in the body of every request, beside its other content: in its JSON object, or its form.

    Args:
        fields: The setting that each field of the body holds, as in `Password="password"`.
    """

    def sign(tap: OwningTap, request: Request) -> tuple[Mapping[str, str], Any]:
        body = request.json if request.form is None else request.form
        return {}, {**(body or {}), **{field: tap.config[setting] for field, setting in fields.items()}}

    return sign
