"""The way to the server: its trouble is named in words that can be searched for, and is met twice at the beginning."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from tests.engine.world import LOGGER

from tap_evolux import TapEvolux
from trunkline.doors.failures import exit_with_one_line
from trunkline.errors import ConfigInvalid, SourceError, Unavailable
from trunkline.steps.fetch import network
from trunkline.steps.fetch.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CERTIFICATES = Path(__file__).with_name("certificates")
POOL = urllib3.HTTPSConnectionPool("vendor.example")
MAKING: Any = urllib3.connection.HTTPSConnection("vendor.example")
URL = "https://vendor.example:8443/x"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Listening:
    """A server on loopback that plays a part in each connection; counts them."""

    def __init__(self, play: Callable[[socket.socket], None]) -> None:
        self.play, self.connections = play, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                other, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with other, contextlib.suppress(OSError):
                other.settimeout(20)
                self.play(other)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def listening() -> Iterator[Callable[..., Listening]]:
    made: list[Listening] = []

    def listen(play: Callable[[socket.socket], None]) -> Listening:
        made.append(Listening(play))
        return made[-1]

    yield listen
    for server in made:
        server.close()


def say(text: bytes) -> Callable[[socket.socket], None]:
    def play(other: socket.socket) -> None:
        other.recv(65536)
        other.sendall(text)

    return play


def with_certificate(name: str) -> Callable[[socket.socket], None]:
    def play(other: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / name, CERTIFICATES / "key.pem")
        with context.wrap_socket(other, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    return play


def story(asked: Any) -> str:
    with pytest.raises(SourceError) as caught:
        asked.fetch(Request("the thing", "/x", (("phone", "+2772"),)))
    assert "2772" not in str(caught.value)
    return str(caught.value)


# -- over real sockets -----------------------------------------------------------------------------


def test_g9_a_port_where_nobody_listens_is_called_refused(bench: Callable[..., Any]) -> None:
    """Host, port, cause and setting; two tries and not eight."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    asked = bench([], api_url=f"https://127.0.0.1:{port}", transport=None, max_attempts=8)
    assert story(asked) == (
        f"the thing failed: 2 tries, the last: the connection to 127.0.0.1:{port} was refused. "
        "Check api_url, and that this machine may reach it [unreachable]"
    )
    assert asked.client.tally.requests == 2


@pytest.mark.parametrize(
    ("name", "bundle", "words"),
    [
        ("elsewhere.pem", "elsewhere.pem", r"is for another name than 127\.0\.0\.1\. Check the host in api_url"),
        ("expired.pem", "expired.pem", r"has expired\. .*clock"),
        ("here.pem", "elsewhere.pem", r"is not signed by an authority .* set ca_bundle"),
    ],
)
def test_g9_a_certificate_that_is_not_believed_says_why(
    bench: Callable[..., Any], listening: Callable[..., Listening], name: str, bundle: str, words: str
) -> None:
    """Name, time or authority: each has another remedy; none is tried twice."""
    server = listening(with_certificate(name))
    asked = bench(
        [],
        api_url=f"https://127.0.0.1:{server.port}",
        transport=None,
        ca_bundle=str(CERTIFICATES / bundle),
        timeout=120.0,
    )
    with pytest.raises(SourceError, match=rf"the TLS certificate of 127\.0\.0\.1:{server.port} {words}"):
        asked.fetch()
    assert server.connections == 1


def test_a_certificate_that_is_believed_is(bench: Callable[..., Any], listening: Callable[..., Listening]) -> None:
    """The same server, its own certificate named by `ca_bundle`."""
    server = listening(with_certificate("here.pem"))
    bundle = str(CERTIFICATES / "here.pem")
    asked = bench([], api_url=f"https://127.0.0.1:{server.port}", transport=None, ca_bundle=bundle, timeout=120.0)
    assert asked.fetch().status == 200


def test_g9_a_server_without_tls_is_called_that(bench: Callable[..., Any], listening: Callable[..., Listening]) -> None:
    """An https address with the port of an http server."""
    server = listening(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    asked = bench([], api_url=f"https://127.0.0.1:{server.port}", transport=None, timeout=120.0)
    assert f"127.0.0.1:{server.port} does not speak TLS. Check host and port in api_url" in story(asked)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "tries", "words"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            1,
            "requires credentials (HTTP 407). Put user name and",
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", 2, "does not connect to the server (HTTP 403). Check HTTPS_PROXY in the"),
    ],
)
def test_g9_a_proxys_no_is_the_proxys(  # noqa: PLR0917 - three fixtures, three parameters
    bench: Callable[..., Any],
    listening: Callable[..., Listening],
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    tries: int,
    words: str,
) -> None:
    """A 407 is about the proxy's credentials, not the vendor's; the variable is named, its value is not."""
    server = listening(say(answer))
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:sesame@127.0.0.1:{server.port}")
    told = story(bench([], transport=None, timeout=120.0))
    assert f"the proxy 127.0.0.1:{server.port} {words}" in told
    assert "HTTPS_PROXY" in told
    assert "sesame" not in told
    assert server.connections == tries


def test_g9_a_proxy_that_is_not_there_is_named(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that fails is the proxy's."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")
    told = story(bench([], transport=None, timeout=120.0))
    assert f"no way through the proxy: the connection to 127.0.0.1:{port} was refused. Check https_proxy" in told


# -- what can't be had on loopback -----------------------------------------------------------------


def lost(error: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(POOL, "/x?phone=%2B2772", error))


def connecting(number: int) -> urllib3.exceptions.NewConnectionError:
    made = urllib3.exceptions.NewConnectionError(MAKING, "no")
    made.__cause__ = OSError(number, "no")
    return made


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            lost(urllib3.exceptions.NameResolutionError("vendor.example", MAKING, socket.gaierror(-2, "no"))),
            "the DNS lookup of vendor.example failed",
        ),
        (
            requests.ConnectTimeout(
                urllib3.exceptions.MaxRetryError(POOL, "/", urllib3.exceptions.ConnectTimeoutError(MAKING, "late"))
            ),
            "the connection to vendor.example:8443 timed out",
        ),
        (lost(connecting(errno.EHOSTUNREACH)), "there is no route to vendor.example:8443"),
        (lost(connecting(errno.EACCES)), "the connection to vendor.example:8443 failed"),
    ],
)
def test_g6_a_run_whose_host_is_wrong_tries_twice(bench: Callable[..., Any], error: Exception, why: str) -> None:
    """The first request of a run, and none of any other stream after it."""
    asked = bench([error], api_url=URL, max_attempts=8)
    assert story(asked).startswith(f"the thing failed: 2 tries, the last: {why}. Check api_url")
    for number in range(5):
        with pytest.raises(Unavailable, match=f"^another was not sent: {why}. Check api_url"):
            asked.fetch(Request("another", "/y", stream=f"stream {number}"))
    assert len(asked.wire.seen) == 2


def test_g6_a_connection_that_fails_later_is_tried_as_ever(bench: Callable[..., Any]) -> None:
    """Once anything was answered the host is the right one, and the network's trouble may pass."""
    fails = lost(urllib3.exceptions.NameResolutionError("vendor.example", MAKING, socket.gaierror(-3, "no")))
    asked = bench([(503, {}, b""), fails, fails, fails, (200, {}, b"{}")], max_attempts=8)
    assert asked.fetch().status == 200


def test_a_500_at_the_beginning_is_tried_as_ever(bench: Callable[..., Any]) -> None:
    """A server that answers is reached."""
    asked = bench([*[(500, {}, b"")] * 5, (200, {}, b"{}")], max_attempts=8)
    assert asked.fetch().status == 200


# -- what is set wrongly ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://user:sesame@proxy.example:1080", "names a SOCKS proxy, which is not supported"),
        ("SOCKS5H://proxy.example", "names a SOCKS proxy, which is not supported"),
        ("http://proxy.example:port", "must be the address of an HTTP proxy"),
        ("http://", "must be the address of an HTTP proxy"),
        ("ftp://proxy.example", "must be the address of an HTTP proxy"),
        ("http://[::1", "must be the address of an HTTP proxy"),
        ("http://proxy example:3128", "must be the address of an HTTP proxy"),
        ("http://proxy.example:99999", "must be the address of an HTTP proxy"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_g9_a_proxy_variable_that_is_none_is_named_before_any_request(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """One line each, without the value, which may hold a password."""
    monkeypatch.setenv(name, value)
    (line,) = network.problems(URL, None)
    assert line.startswith(f"{name} in the environment {words}")
    assert "sesame" not in line
    monkeypatch.setenv("NO_PROXY", "vendor.example")
    assert network.problems(URL, None) == []


@pytest.mark.parametrize("value", ["http://proxy.example:3128", "proxy.example:3128", "https://u:p@proxy.example", ""])
def test_a_proxy_that_is_one_is_no_problem(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """With and without a scheme, with credentials; an empty variable is none."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    assert network.problems(URL, None) == []


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\xfe", (CERTIFICATES / "key.pem").read_bytes()])
def test_g9_a_bundle_that_is_no_pem_is_named_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """The setting, or the variable that stands for it."""
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    (line,) = network.problems(URL, str(path))
    assert line == "ca_bundle must be the path of a PEM file with the certificates of authorities"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    (line,) = network.problems(URL, None)
    assert line.startswith("REQUESTS_CA_BUNDLE in the environment must be")
    assert network.problems(URL, str(CERTIFICATES / "here.pem")) == []


def test_g9_a_tap_tells_of_both_with_its_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All that is wrong in one go, a line each, before anything is sent."""
    (tmp_path / "ca.pem").write_text("no")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    config = {"api_url": URL, "ca_bundle": str(tmp_path / "ca.pem"), "start_date": "soon"}
    with pytest.raises(ConfigInvalid) as caught:
        TapEvolux(config=config, validate_config=True)
    assert sorted(line.split()[0] for line in caught.value.errors) == [
        "HTTPS_PROXY", "api_token", "ca_bundle", "start_date",
    ]  # fmt: skip
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit), exit_with_one_line(LOGGER):
        raise caught.value
    assert caplog.messages[:-1] == [f"{line} [config]" for line in caught.value.errors]
    assert caplog.messages[-1] == f"4 settings are wrong: {'; '.join(caught.value.errors)} [config]"
