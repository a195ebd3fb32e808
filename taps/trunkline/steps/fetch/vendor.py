"""The vendor, as the client knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from trunkline.steps.fetch.exchange import Request


class Vendor(Protocol):
    """The ways of a vendor that the client uses: how it signs, how it refuses, and what its responses look like."""

    def sign(self, request: Request, /) -> tuple[Mapping[str, str], Any]:
        """Return headers to send, and the JSON body with any credentials that belong into it."""

    def refuse(self, request: Request, status: int, body: bytes) -> None:
        """Raise if this response is a refusal that its HTTP status does not show, or shows wrongly."""

    def is_success(self, status: int, body: bytes) -> bool:
        """Return whether this is the response to the request, whatever its HTTP status."""

    def reason(self, body: bytes) -> str:
        """Return the vendor's own words in an error's body; empty when there are none that are fit to be shown."""

    def hint(self, status: int) -> str:
        """Return the remedy for a response with this status."""


@runtime_checkable
class Signer(Vendor, Protocol):
    """A vendor's `sign` with access tokens that end; also the ways of the server that grants them."""

    def prepare(self, cancelled: threading.Event, /) -> None:
        """Ensure a token that is still good when the next request is sent."""

    def renew(self, cancelled: threading.Event, /) -> None:
        """Ensure another token than the one that this thread's last request was refused with."""
