"""Rules of where requests may go: which URLs are addresses at all, which hosts are this machine, and past which proxy.

An unencrypted connection is allowed to this machine alone, so nothing on the way may lead it elsewhere: no proxy, no
name that belongs to another machine, no spelling that two readers of URLs take for different hosts.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from trunkline.errors import Refused
from trunkline.steps.fetch import deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import ProxyManager

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_LOCAL = ".localhost"


def read(url: str) -> SplitResult | None:
    """Return the parts of a URL; None when it has no host, or one that readers of URLs may differ about.

    Args:
        url: Any text.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if ":" in host:
            ipaddress.IPv6Address(host)
    except ValueError:
        return None
    if port == 0 or "%" in host or not url.isprintable() or " " in url:
        return None
    if host.isascii() and ":" not in host and not _NAME.fullmatch(host):
        return None
    place = parts.netloc.rpartition("@")[2].lower()
    written = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{place.rpartition(':')[2]}")
    return parts if host and place == written else None  # `[::1]evil.com` has the host `::1` for some readers


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: an address of no other, or a name that leads to such ones alone."""
    if host == "localhost":
        return True  # where it leads is seen when a connection is made
    if not host.endswith(_LOCAL):
        return _is_here(host)
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return all(map(_is_here, found))


def _is_here(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def proxies(url: str) -> Mapping[str, str]:
    """Return the proxies that the environment names for a URL; none for this machine: a proxy has its own."""
    host = urlsplit(url).hostname or ""
    if host.endswith(_LOCAL) or is_loopback(host):
        return {}
    return requests.utils.get_environ_proxies(url)


def _share(connection: HTTPConnection) -> None:
    """Let all addresses of a host share the time that connecting may take."""
    left = deadline.of_this_thread()
    if left is None or not isinstance(connection.timeout, (int, float)):
        return
    try:
        number = len(socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        number = 1  # connecting shows it
    connection.timeout = min(connection.timeout, left.left()) / max(number, 1)


class _SecureConnection(HTTPSConnection):
    """A connection with TLS whose exchanges keep their deadline."""

    response_class = deadline.TimedResponse

    def connect(self) -> None:
        """Connect."""
        _share(self)
        super().connect()


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Connection(HTTPConnection):
    """An unencrypted connection, closed before anything is sent if it leads to another machine."""

    response_class = deadline.TimedResponse

    def connect(self) -> None:
        """Connect.

        Raises:
            Refused: The other end is not this machine.
        """
        _share(self)
        super().connect()
        peer: Any = self.sock.getpeername()
        if not _is_here(peer[0]):
            self.close()
            raise Refused(
                "nothing was sent",
                f"{self.host} leads to another machine, and an unencrypted connection would show it the credentials",
                "Set api_url (or the setting of this address) to an https:// address, or have the name lead here",
                code="tls",
            )


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class Adapter(HTTPAdapter):
    """Requests' adapter on connections of ours.

    Exchanges keep their deadline; unencrypted requests go to this machine alone, wherever the name of a host leads by
    then.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools from ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> ProxyManager:
        """Make the pools of a proxy's connections."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        # Unencrypted, it may go to another machine: the proxy.
        manager.pool_classes_by_scheme = {**_POOLS, "http": HTTPConnectionPool}
        return manager


_POOLS: dict[str, Any] = {"http": _Pool, "https": _SecurePool}
