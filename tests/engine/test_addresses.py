"""Where requests may go: spellings of this machine, proxies, and names that lead elsewhere."""

from __future__ import annotations

import http.server
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.errors import Refused
from trunkline.facts import config as settings
from trunkline.facts import text
from trunkline.steps.fetch import addresses
from trunkline.steps.fetch.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROPERTIES = {"api_url": text("Address.", format="url")}
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def problems(url: str) -> list[str]:
    return settings.errors({"api_url": url}, {"properties": PROPERTIES})


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Where names lead; all others lead nowhere."""
    made: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def find(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host.replace(".", "").isdigit():
            return real(host, port, *args, **kwargs)
        if host not in made:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [entry for one in made[host] for entry in real(one, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    return made


SPELLINGS = r"""
    [::1]evil.com  [::1]:80evil.com  evil.com[::1]  [127.0.0.1]  [::1%25eth0]  [::1%lo]  [::ffff:8.8.8.8]  [::]
    127.1  127.0.1  0x7f.1  0x7f000001  2130706433  017700000001  0177.0.0.1  127.0.0.1.  127.0.0.01  0.0.0.0  0
    10.0.0.1  [::2]  127.0.0.1.evil.com  localhost.evil.com  localhost.  evil.com.localhost.  evil.com.localhost
    127.0.0.1\@evil.com  127.0.0.1@evil.com  @127.0.0.1  evil.com\.localhost  127.0.0.1%2eevil.com  ..localhost
    evil.com%00.localhost  evil.com;.localhost  127.0.0.1:80:80  127.0.0.1:  127.0.0.1:0  127.0.0.1:99999
"""
BEYOND_ASCII = ["\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u24dbocalhost", "evil.com\t.localhost", ""]


@pytest.mark.parametrize("place", [*SPELLINGS.split(), *BEYOND_ASCII])
def test_g7_no_other_spelling_is_this_machine(names: dict[str, list[str]], place: str) -> None:
    """What only looks like loopback, or is so for some readers of URLs and not for others, gets no plain http."""
    names["evil.com.localhost"] = ["192.0.2.1"]
    (line,) = problems(f"http://{place}/x")
    assert line.startswith("api_url must")
    assert "evil" not in line


@pytest.mark.parametrize(
    "place", ["127.0.0.1", "127.9.9.9:8080", "[::1]:8080", "localhost", "LOCALHOST:80", "[::ffff:127.0.0.1]"]
)
def test_g7_this_machine_is_known_by_its_addresses(place: str) -> None:
    """All of 127/8, `::1`, and the former as IPv6 writes it."""
    assert problems(f"http://{place}/x") == []


@pytest.mark.parametrize(
    ("found", "fine"),
    [(["127.0.0.1"], True), (["192.0.2.1"], False), (["127.0.0.1", "192.0.2.1"], False), (None, False)],
)
def test_g7_a_name_below_localhost_is_where_it_leads(
    names: dict[str, list[str]],
    found: list[str] | None,
    fine: bool,  # noqa: FBT001 - a case's own
) -> None:
    """To this machine alone; not to another one, to both, or nowhere."""
    if found:
        names["x.localhost"] = found
    assert (problems("http://x.localhost:8000") == []) is fine


@pytest.mark.parametrize(
    "url", ["https://[::1]evil.com/", "https://a%2eb/", "https://a;b/", "https://a\\b/", "https://@a/"]
)
def test_g7_what_readers_differ_about_is_no_address(url: str) -> None:
    """With TLS too, the host that is named must be the host that is asked."""
    assert problems(url) != []


@pytest.mark.parametrize(
    "url", ["https://vendor.example", "https://bücher.example:8443/p", "https://192.0.2.7", "https://a_b.example./x"]
)
def test_what_is_an_address_stays_one(url: str) -> None:
    """Names with letters beyond ASCII or an underscore, addresses, ports, a dot at the end."""
    assert problems(url) == []


# -- proxies ---------------------------------------------------------------------------------------


class Proxy(http.server.BaseHTTPRequestHandler):
    """Answers every request, as a proxy and as a vendor, and keeps what it was asked."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[tuple[int, list[str]]]:
    """A server on loopback: its port, and the targets of the requests it got."""
    seen: list[str] = []
    handler = type("Handler", (Proxy,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made.server_port, seen
        made.shutdown()


@pytest.mark.parametrize("variable", [*VARIABLES[:3], *map(str.lower, VARIABLES[:3])])
@pytest.mark.parametrize("no_proxy", [None, "", "vendor.example", "localhost"])
def test_g7_no_proxy_sees_a_request_to_this_machine(
    bench: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    server: tuple[int, list[str]],
    variable: str,
    no_proxy: str | None,
) -> None:
    """Whatever the environment says: for a proxy, loopback is another machine, and the token would go there."""
    port, seen = server
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    if no_proxy is not None:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    for host in ("127.0.0.1", "localhost"):
        asked = bench([], api_url=f"http://{host}:{port}", transport=None, max_attempts=1)
        assert asked.fetch(Request("x", "/calls")).status == 200
    assert seen == ["/calls", "/calls"]


def test_https_addresses_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy sees an encrypted connection, as everywhere."""
    for name in VARIABLES:
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv(name, "" if name == "NO_PROXY" else "http://proxy.example:3128")
    assert addresses.proxies("https://vendor.example/x")["https"] == "http://proxy.example:3128"
    for url in ("http://127.0.0.1:80/", "https://localhost/", "http://[::1]/", "http://x.localhost/"):
        assert addresses.proxies(url) == {}


def test_g7_a_name_that_leads_elsewhere_by_now_is_sent_nothing(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, server: tuple[int, list[str]]
) -> None:
    """The connection itself is looked at before the request is sent: a name may lead elsewhere a moment later."""
    port, seen = server
    real = addresses._is_here  # noqa: SLF001 - another machine can't be had in a test
    monkeypatch.setattr(addresses, "_is_here", lambda address: real(address) and address != "127.0.0.1")
    with pytest.raises(Refused, match=r"leads to another machine.*api_url"):
        bench([], api_url=f"http://localhost:{port}", transport=None, max_attempts=3).fetch(Request("x", "/calls"))
    assert seen == []
