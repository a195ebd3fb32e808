"""The exchange: one request is sent, one response is read, within one deadline and in bounded memory."""

from __future__ import annotations

import codecs
import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from trunkline.errors import Refused, SourceError, Unavailable
from trunkline.exact import encode
from trunkline.steps.fetch import addresses, network
from trunkline.steps.fetch.deadline import CONNECT, Deadline, Late, limited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.adapters import BaseAdapter

    from trunkline.steps.fetch.network import Trouble

MAX_BODY = 64 * 1024 * 1024
"""Largest response read, in bytes after decompression: a bomb must not take the machine's memory."""

MOST_VALUES = 4_000_000
"""Values of a response at most, as its commas and brackets have them: `[1,1,…` takes fifty times its size once read."""

RETRIED_4XX = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}

_LESS = "Request less at once: a smaller page_size or window"
_CHUNK, _PACKED_CHUNK = 8 * 1024 * 1024, 256 * 1024
"""Bytes taken at once: as many as have come; few of a packed body, which may be a bomb."""


def is_final(status: int) -> bool:
    """Return whether a status is a refusal that another try does not turn into a success."""
    return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in RETRIED_4XX


@dataclass(frozen=True)
class Request:
    """One request, still without host and credentials.

    Args:
        about: What is requested, in words fit for a log: nothing personal, no credentials.
        path: Path below the base URL, beginning with a slash.
        params: Query parameters in order; values are percent-encoded here (`+` as `%2B`, a space as `%20`).
        method: HTTP method.
        json: Body to send as JSON, if any.
        form: Body to send as a form (`application/x-www-form-urlencoded`), if any.
        base: Setting of the base URL; `api_url` when left out.
        stream: Name of the stream it is for, under which it is counted.
        endpoint: What the vendor may fail to serve while it serves others; the stream when left out.
        personal: Values in it that are about a person, and that the vendor's words may repeat.
    """

    about: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    json: Any = None
    form: Mapping[str, str] | None = None
    base: str = ""
    stream: str = ""
    endpoint: str = ""
    personal: tuple[str, ...] = ()


class TokenRequest(Request):
    """A request for the access token that the other requests are signed with."""


@dataclass(frozen=True)
class Base:
    """A base URL.

    Args:
        setting: Setting that names it, for errors.
        url: What stands before every path; may carry a path prefix of its own, so it is joined as text.
        proxies: The proxies on the way to it.
    """

    setting: str
    url: str
    proxies: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """A successful response, its body still bytes.

    Args:
        request: The request.
        status: HTTP status (2xx).
        headers: Header names are case-insensitive.
        body: Decompressed body, UTF-8 and without line breaks; empty only for a 204.
        parsed: Facts of the vendor's envelope beside the rows, as `Vendor.open` returned it.
    """

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes
    parsed: Any = None


class Retriable(Exception):  # noqa: N818 - not an error yet: it becomes one when the tries are used up
    """The try failed in a way that another one may cure.

    Args:
        why: One clause for the log and for the error at the end.
        not_before: Seconds the vendor requests to wait, if any.
        final: The error this becomes when no try is left.
        remedy: What to do then; when left out, to run again.
        trouble: What kept the request from the server, if anything did.
        code: Code of that error, where it is neither the trouble's nor its class's own.
    """

    def __init__(  # noqa: PLR0913 - what is known of a failed try, each named where it is raised
        self,
        why: str,
        *,
        not_before: float | None = None,
        final: type[SourceError] = Unavailable,
        remedy: str = "",
        trouble: Trouble | None = None,
        code: str = "",
    ) -> None:
        self.why, self.not_before, self.final, self.remedy = why, not_before, final, remedy
        self.trouble, self.code = trouble, code or (trouble.code if trouble else "")
        super().__init__(why)


class Exchanges:
    """Sends requests and reads responses, once each. Safe to use from many threads.

    Args:
        api_url: What stands before every path; may carry a path prefix of its own, so it is joined as text.
        more_urls: Other base URLs by the settings that name them.
        timeout: The setting `request_timeout`, in seconds.
        user_agent: The `User-Agent` header.
        ca_bundle: Path of a private certificate authority, if any.
        pool_size: Connections kept open.
        transport: Adapter in place of the network.
    """

    def __init__(  # noqa: PLR0913 - the settings, each named where it is made
        self,
        *,
        api_url: str,
        more_urls: Mapping[str, str],
        timeout: float,
        user_agent: str,
        ca_bundle: str | None,
        pool_size: int,
        transport: BaseAdapter | None,
    ) -> None:
        # The environment is read once: per request it costs more than the request's own preparation.
        self.bases = {
            name: Base(name, url.rstrip("/"), addresses.proxies(url))
            for name, url in {**more_urls, "api_url": api_url}.items()
        }
        self.timeout = timeout
        self.headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        self.adapter = transport or addresses.Adapter(pool_connections=len(self.bases), pool_maxsize=pool_size)
        self.verify: str | bool = (
            ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )

    def base(self, request: Request) -> Base:
        """Return the base URL of a request."""
        return self.bases[request.base or "api_url"]

    def prepare(self, request: Request, headers: Mapping[str, str], body: Any) -> requests.PreparedRequest:
        """Make the request as it is sent, with a vendor's headers and the body: as JSON, or of a form its fields.

        Raises:
            Refused: A header's value is none that can be sent.
        """
        url = self.base(request).url + request.path
        if request.params:
            # As text and with quote: the space in a date must be %20 and the plus of a phone number %2B.
            url += "?" + urlencode(request.params, quote_via=quote)
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, url
        prepared.headers = CaseInsensitiveDict({**self.headers, **headers})
        for name, value in prepared.headers.items():
            if not (value.isascii() and value.isprintable()):
                raise Refused(
                    f"{request.about} could not be sent",
                    f"the value of the header {name} has characters that no header can carry",
                    "Look for a line break or a letter beyond ASCII in the credentials",
                    code="config",
                )
        if request.form is not None:
            prepared.body = urlencode(request.form if body is None else body).encode()
            prepared.headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            prepared.body = encode(body)
            prepared.headers["Content-Type"] = "application/json"
        if prepared.body is not None:
            prepared.headers["Content-Length"] = str(len(prepared.body))
        return prepared

    def send(self, request: Request, prepared: requests.PreparedRequest) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request and read its response to the end.

        Returns:
            Status, headers and decompressed body.

        Raises:
            Retriable: There was no complete response.
            Refused: There can be none: an untrusted certificate, a body that is too large.
        """
        base = self.base(request)
        try:
            # The adapter alone, no session around it: nothing then follows a redirect, keeps a cookie, reads a
            # ~/.netrc or changes a header, and its pool of connections is the only thing that threads share.
            with (
                limited(Deadline(self.timeout, time.monotonic)) as deadline,
                self.adapter.send(
                    prepared,
                    stream=True,
                    timeout=(min(self.timeout, CONNECT), self.timeout),
                    verify=self.verify,
                    proxies=base.proxies,
                ) as response,
            ):
                return response.status_code, response.headers, self._read_or_none(request, response, deadline)
        except Late as exc:
            raise Retriable(exc.why, code="timeout") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            trouble = network.trouble(exc, base.url, base.proxies, base.setting)
            # The exception's own text holds the URL, which may hold personal data: it is left out.
            if trouble.lasting:
                raise Refused(f"{request.about} failed", trouble.why, trouble.remedy, code=trouble.code) from None
            raise Retriable(trouble.why, remedy=trouble.remedy, trouble=trouble) from None

    def _read_or_none(self, request: Request, response: requests.Response, deadline: Deadline) -> bytes:
        """Read the body; of a response that its status alone refuses, return an empty one where it can't be read.

        A 401 whose body is cut off, late or broken is still a 401: another try would be another wrong login.
        """
        try:
            return self._read(request, response, deadline)
        except (Late, Refused, requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError):
            if is_final(response.status_code):
                return b""
            raise

    def _read(self, request: Request, response: requests.Response, deadline: Deadline) -> bytes:
        deadline.body()
        packed = "Content-Encoding" in response.headers
        chunks, size = [], 0
        # What has come and no more: a read that waits until it is full does not notice a body that comes in drops.
        while chunk := response.raw.read1(_PACKED_CHUNK if packed else _CHUNK, decode_content=packed):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                why = f"the response is larger than {MAX_BODY // 2**20} MiB"
                raise Refused(f"{request.about} failed", why, _LESS, code="response-too-large")
            deadline.body(len(chunk))
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        # Counting takes time, and no response has more values than bytes.
        if size > MOST_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
            raise Refused(
                f"{request.about} failed",
                f"the response has more than {MOST_VALUES:,} values",
                _LESS,
                code="response-too-large",
            )
        return body.removeprefix(codecs.BOM_UTF8)  # which RFC 8259 lets a reader ignore, and some servers write
