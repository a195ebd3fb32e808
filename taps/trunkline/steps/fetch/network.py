"""The way to the vendor's server: why there is none, in words that can be searched for, and what is set wrongly."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from urllib3.util import parse_url

from trunkline.steps.fetch import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_PROXY_FORM = "the address of an HTTP proxy, such as http://proxy.example:3128"
_URL = "Check {}, and that this machine may reach it"

# OpenSSL's numbers of what is wrong with a certificate.
_NOT_YET, _EXPIRED, _OTHER_NAMES = 9, 10, {62, 64}
_UNKNOWN_ISSUER = {2, 18, 19, 20, 21}


@dataclass(frozen=True)
class Trouble:
    """The reason why no response came.

    Args:
        why: One clause, with host and port.
        code: Code of the error.
        remedy: What to do when it stays.
        connected: Whether there was a connection, so that the server itself may be at fault.
        lasting: Whether another try can't change it.
    """

    why: str
    code: str
    remedy: str = "Run again later"
    connected: bool = False
    lasting: bool = False


def trouble(exc: BaseException, url: str, proxies: Mapping[str, str], setting: str = "api_url") -> Trouble:
    """Name the cause of a failed exchange on the way to the server.

    Args:
        exc: What requests, urllib3 or the system raised. Its own text is not shown: it may hold the whole URL.
        url: The configured address.
        proxies: The proxies in use.
        setting: Setting that has the address.
    """
    parts = urlsplit(url)
    server = _place(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
    proxy = requests.utils.select_proxy(url, proxies)
    causes = list(_causes(exc))
    if proxy and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return _proxys(causes, proxy, variable(proxy))
    for cause in causes:
        if found := _certificates(cause, parts.hostname or "", server, setting):
            return found
    return _connections(causes, parts.hostname or "", server, _URL.format(setting)) or _responses(causes, server)


_PORTS = {"https": 443, "http": 80}


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all it came from, the outermost first."""
    seen: list[Any] = [exc]
    known: set[int] = set()
    while seen:
        cause = seen.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in known:
            known.add(id(cause))
            yield cause
            seen += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _connections(causes: list[BaseException], host: str, server: str, remedy: str) -> Trouble | None:
    """Name the trouble of a connection that does not stand yet."""
    for cause in causes:
        if isinstance(cause, (urllib3.exceptions.NameResolutionError, socket.gaierror)):
            return Trouble(f"the DNS lookup of {host} failed", "dns", remedy)
        if isinstance(cause, (urllib3.exceptions.ConnectTimeoutError, requests.exceptions.ConnectTimeout)):
            if not isinstance(cause, urllib3.exceptions.NewConnectionError):
                return Trouble(f"the connection to {server} timed out", "unreachable", remedy)
        elif isinstance(cause, ConnectionRefusedError):
            return Trouble(f"the connection to {server} was refused", "unreachable", remedy)
        elif isinstance(cause, OSError) and cause.errno in _NO_ROUTE:
            return Trouble(f"there is no route to {server}", "unreachable", remedy)
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return Trouble(f"the connection to {server} failed", "unreachable", remedy)
    return None


def _certificates(cause: BaseException, host: str, server: str, setting: str) -> Trouble | None:
    """Name the trouble of TLS."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        code = getattr(cause, "verify_code", 0)
        private = "For a private certificate authority set ca_bundle"
        if code in _OTHER_NAMES or (isinstance(cause, ssl.CertificateError) and "doesn't match" in str(cause)):
            why, remedy = f"is for another name than {host}", f"Check the host in {setting}"
        elif code == _EXPIRED:
            why, remedy = "has expired", "Report it to the server's operator, and check this machine's clock"
        elif code == _NOT_YET:
            why, remedy = "is not valid yet", "Check this machine's clock"
        elif code in _UNKNOWN_ISSUER:
            why, remedy = "is not signed by an authority that this machine trusts", private
        else:
            why, remedy = "could not be verified", private
        return Trouble(f"the TLS certificate of {server} {why}", "tls", remedy, lasting=True)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        if cause.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}:
            return Trouble(f"{server} does not speak TLS", "tls", f"Check host and port in {setting}")
        kind = f" ({cause.reason})" if cause.reason else ""
        return Trouble(f"the TLS handshake with {server} failed{kind}", "tls", _URL.format(setting))
    return None


def _proxys(causes: list[BaseException], proxy: str, name: str) -> Trouble:
    """Name the trouble of the way through a proxy."""
    parts = parse_url(proxy)
    place = _place(parts.host or "", parts.port or _PORTS.get(parts.scheme or "http", 80))
    remedy = f"Check {name} in the environment"
    status = next((found[1] for cause in causes if (found := _TUNNEL.search(str(cause)))), None)
    if status == str(int(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)):
        remedy = f"Put user name and password into {name}: http://user:password@host:port"
        return Trouble(f"the proxy {place} requires credentials (HTTP 407)", "proxy", remedy, lasting=True)
    if status:
        return Trouble(f"the proxy {place} does not connect to the server (HTTP {status})", "proxy", remedy)
    way = _connections(causes, parts.host or "", place, remedy)
    return Trouble(f"no way through the proxy: {way.why if way else f'{place} failed'}", "proxy", remedy)


def _responses(causes: list[BaseException], server: str) -> Trouble:
    """Name the trouble of a connection that stands."""
    for kind, why in _KINDS.items():
        if any(isinstance(cause, kind) for cause in causes):
            code = "timeout" if why == _TIMED_OUT else "unavailable"
            return Trouble(f"no complete response from {server} ({why})", code, connected=True)
    return Trouble(f"no complete response from {server} ({type(causes[0]).__name__})", "unavailable", connected=True)


_TIMED_OUT = "it timed out"
_KINDS: Mapping[type[BaseException], str] = {
    urllib3.exceptions.ReadTimeoutError: _TIMED_OUT,
    requests.exceptions.ReadTimeout: _TIMED_OUT,
    TimeoutError: _TIMED_OUT,
    urllib3.exceptions.DecodeError: "it could not be decompressed",
    requests.exceptions.ContentDecodingError: "it could not be decompressed",
    urllib3.exceptions.ProtocolError: "it was cut off",
    requests.exceptions.ChunkedEncodingError: "it was cut off",
    ConnectionError: "the connection was closed",
    ssl.SSLError: "the connection was closed within TLS",
    requests.exceptions.ConnectionError: "the connection failed",
}


# -- what is set wrongly -------------------------------------------------------------------------------


def variable(proxy: str) -> str:
    """Return the name of the environment's variable that names a proxy."""
    names = [name for name in os.environ if name.lower() in {"https_proxy", "http_proxy", "all_proxy"}]
    return next((name for name in sorted(names, reverse=True) if os.environ[name] == proxy), "HTTPS_PROXY")


def problems(api_url: str, ca_bundle: str | None) -> list[str]:
    """Return the errors of the proxy and certificate authorities that are set, a line each, without values."""
    found = []
    proxy = requests.utils.select_proxy(api_url, addresses.proxies(api_url))
    if proxy:
        found += [f"{variable(proxy)} in the environment {wrong}" for wrong in _proxy_problems(proxy)]
    if ca_bundle:
        return found + [f"ca_bundle {wrong}" for wrong in _bundle_problems(ca_bundle)]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            return found + [f"{name} in the environment {wrong}" for wrong in _bundle_problems(path)]
    return found


def _proxy_problems(proxy: str) -> Iterator[str]:
    scheme = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    if scheme.startswith("socks"):
        yield f"names a SOCKS proxy, which is not supported: it must be {_PROXY_FORM}"
        return
    try:
        parts = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        right = scheme in _PORTS and bool(parts.host) and parts.port != 0 and proxy.isprintable() and " " not in proxy
    except (urllib3.exceptions.HTTPError, ValueError):
        right = False
    if not right:
        yield f"must be {_PROXY_FORM}"


def _bundle_problems(path: str) -> Iterator[str]:
    must = "must be the path of a PEM file with the certificates of authorities"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if Path(path).is_dir():
            return  # a folder of certificates, as OpenSSL reads them; requests takes it too
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError):
        yield must
        return
    if not context.cert_store_stats()["x509"]:
        yield must
