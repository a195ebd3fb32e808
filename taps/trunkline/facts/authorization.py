"""OAuth2 in a vendor's file: the grant, where the token is fetched, and the settings it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlsplit

from trunkline.facts.settings import text, token
from trunkline.steps.fetch.tokens import Grant, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.facts.config import Setting
    from trunkline.facts.ports import OwningTap
    from trunkline.facts.signing import Sign
    from trunkline.steps.fetch.exchange import Request
    from trunkline.steps.fetch.tokens import Carrier, Credentials


class OAuth2(Grant):
    """A vendor's way to grant access tokens; as `sign` in a tap's class it signs with them. See `oauth2`."""

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings that come with it; the vendor file's own form of one of them wins."""
        found = {self.client_id: text("Client ID of the OAuth2 application.")}
        if self.client_secret:
            found[self.client_secret] = token("Client secret of the OAuth2 application.")
        for name, setting in self.from_settings.items():
            found[setting] = text(f"Sent as {name} with each request for an access token.")
        if self.refreshes:
            found[self.refresh_token] = token("Refresh token, from the vendor's authorization of the application.")
            found["token_store"] = text(
                "Path of a file that keeps the newest refresh token, for a vendor that replaces it when it is used. "
                "The file is made when it is not there, readable by its owner alone; it wins over the config's token "
                "that it follows.",
                format="file",
                written=True,
                must="the path of a file that is there or can be made, in a folder that can be written to",
            )
        if self.base:
            default = {"default": self.host} if self.host else {}
            found[self.base] = text("Address of the host that grants access tokens.", format="url", **default)
        return found

    @overload
    def __get__(self, tap: None, owner: type[Any]) -> OAuth2: ...

    @overload
    def __get__(self, tap: OwningTap, owner: type[Any]) -> Tokens: ...

    def __get__(self, tap: OwningTap | None, owner: type[Any]) -> OAuth2 | Tokens:
        """Return the tokens of one tap, made when they are first used."""
        if tap is None:
            return self
        tokens = tap.__dict__["sign"] = Tokens(self, tap)
        return tokens

    def __call__(self, tap: OwningTap, request: Request) -> tuple[Mapping[str, str], Any]:
        """Sign a request of a tap."""
        return self.__get__(tap, type(tap))(request)


def oauth2(  # noqa: PLR0913 - the facts of a grant, each named where it is used
    token_url: str,
    *,
    client_id: str = "client_id",
    client_secret: str = "client_secret",  # noqa: S107 - a setting's name
    grant: str = "client_credentials",
    refresh_token: str = "refresh_token",  # noqa: S107 - a setting's name
    scope: str = "",
    params: Mapping[str, str] | None = None,
    from_settings: Mapping[str, str] | None = None,
    credentials: Credentials = "basic",
    place: Carrier = "form",
    base: str = "",
    scheme: str = "Bearer",
) -> Sign:
    """Sign with an access token of OAuth2, renewed before it ends and once after a 401.

    The settings that it names come with it, secrets and descriptions included, and `token_store` with a refresh token.

    Args:
        token_url: Path of the token's endpoint below `api_url` (or `base`); or its whole URL, whose host is then the
            default of the setting `identity_url`.
        client_id: Setting of the client's ID.
        client_secret: Setting of its secret; empty for a client that has none.
        grant: `client_credentials`, `refresh_token`, or a vendor's own `grant_type`.
        refresh_token: Setting of the refresh token, with the grant of that name.
        scope: The scopes to request, with spaces between them.
        params: What else stands in every token request.
        from_settings: Fields of the token request whose values are settings, by the field.
        credentials: Whether client ID and secret go into HTTP's basic authentication or into the body.
        place: Whether the fields are sent as a form, as JSON, or in the query (without secrets).
        base: Setting of the base URL of the token's endpoint, if it is another one than `api_url`.
        scheme: Word before the access token in `Authorization`.
    """
    parts = urlsplit(token_url)
    host = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return OAuth2(
        path=parts.path,
        host=host,
        client_id=client_id,
        client_secret=client_secret,
        grant=grant,
        refresh_token=refresh_token,
        scope=scope,
        params=params or {},
        from_settings=from_settings or {},
        credentials=credentials,
        place=place,
        base=base or ("identity_url" if host else ""),
        scheme=scheme,
    )
