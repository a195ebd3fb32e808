"""OAuth2: a token for many requests, renewed in time; refresh tokens that are replaced are never lost; secrets stay."""

from __future__ import annotations

import base64
import http.server
import io
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from airbyte_protocol_dataclasses.models import AirbyteMessage  # type: ignore[import-untyped]  # has no py.typed

from trunkline.doors.airbyte.messages import MessageLines
from trunkline.doors.airbyte.source import serve
from trunkline.errors import AccessDenied, BadResponse, ConfigInvalid, Refused, Unavailable
from trunkline.facts import Limit, NumberedPages, PagedStream, VendorTap, common, oauth2, text
from trunkline.redact import MASK, redactor
from trunkline.steps.fetch.exchange import Request
from trunkline.steps.fetch.token_store import TokenStore
from trunkline.steps.fetch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NEVER = threading.Event()
GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-vendor.md"
Answer = tuple[int, "Mapping[str, str]", Any]


class Server(http.server.ThreadingHTTPServer):
    """Keeps each request, and answers with what `answer` returns: status, headers, and JSON or bytes."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Any], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.seen = answer, list[Any]()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Seen:
    """A request as it came."""

    def __init__(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        parts = urlsplit(handler.path)
        self.method, self.path, self.query = handler.command, parts.path, dict(parse_qsl(parts.query))
        self.body, self.form, self.authorization = body, dict(parse_qsl(body)), handler.headers.get("Authorization", "")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        seen = Seen(self)
        server.seen.append(seen)
        status, headers, content = server.answer(seen)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


class World:
    """An identity host that grants `access-1`, `access-2`…, and an API that takes the newest."""

    def __init__(self) -> None:
        self.expires_in: Any = 3600
        self.rotates, self.answers, self.revoked = False, list[Answer](), set[str]()
        self.valid = "refresh-of-the-config"
        self._lock = threading.Lock()
        self.identity, self.api = Server(self.grant), Server(self.read)

    def grant(self, seen: Seen) -> Answer:
        with self._lock:
            number = len(self.identity.seen)
            if self.answers:
                return self.answers.pop(0)
            made: dict[str, Any] = {"access_token": f"access-{number}", "token_type": "bearer"}
            if self.expires_in is not None:
                made["expires_in"] = self.expires_in
            if "refresh_token" in seen.form and self.rotates:
                if seen.form["refresh_token"] != self.valid:
                    return 400, {}, {"error": "invalid_grant", "error_description": f"{self.valid} is the newest"}
                made["refresh_token"] = self.valid = f"refresh-number-{number}"
            return 200, {}, made

    def read(self, seen: Seen) -> Answer:
        if seen.authorization.removeprefix("Bearer ") in self.revoked:
            return 401, {}, {"no": seen.authorization}
        return 200, {}, {"data": [], "total": 0}

    @property
    def shown(self) -> list[str]:
        """The access tokens that the API was shown."""
        return [seen.authorization.removeprefix("Bearer ") for seen in self.api.seen]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for server in (made.identity, made.api):
        server.shutdown()
        server.server_close()


class Calls(PagedStream):
    """A schema is borrowed from Evolux: only keys matter here."""

    name, path = "studio_calls", "/calls"
    primary_keys, replication_key = ("id",), "start_time"
    paging = NumberedPages(since="from", until="to", rows="data", total="total")


class TapServer(VendorTap):
    """Server to server, as Zoom has it."""

    name, vendor = "tap-server", "evolux"
    common = common(lookback="P1D", window="P1D", page_size=50)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address.", format="url", default="https://api.vendor.example"),
        "account_id": text("Account."),
    }
    stream_types = (Calls,)
    sign = oauth2(
        "https://vendor.example/oauth/token",
        grant="account_credentials",
        from_settings={"account_id": "account_id"},
    )


class TapRefresh(TapServer):
    """A refresh token, and the client in the body."""

    name = "tap-refresh"
    settings = {"api_url": text("Address.", format="url")}  # noqa: RUF012 - a fact, never changed
    required = ()
    sign = oauth2("/realm/token", base="identity_url", grant="refresh_token", credentials="body", scope="calls users")


CLIENT = {"client_id": "the-client", "client_secret": "sesame-of-the-client"}
REFRESH = {**CLIENT, "refresh_token": "refresh-of-the-config"}


def tap(world: World, kind: type[VendorTap] = TapServer, **more: Any) -> Any:
    """A tap of that world."""
    own = (
        {"account_id": "the-account", **CLIENT}
        if issubclass(kind, TapServer) and kind.name == "tap-server"
        else REFRESH
    )
    urls = {"api_url": world.api.url, "identity_url": world.identity.url}
    fast = {"requests_per_minute": 1_000_000, "max_attempts": 3, "request_timeout": 60}
    return kind(config={**own, **urls, **fast, **more})


def fetch(made: Any, about: str = "the page") -> Any:
    return made.client.fetch(Request(about, "/calls", stream="studio_calls"), lambda reply: reply.body, NEVER)


# -- having a token --------------------------------------------------------------------------------


def test_g7_credentials_go_to_the_identity_host_and_tokens_to_the_api(world: World) -> None:
    """Each host sees what is for it, and no more; one token serves many requests."""
    made = tap(world)
    for _ in range(3):
        fetch(made)
    (asked,) = world.identity.seen
    assert (asked.method, asked.path, asked.query) == ("POST", "/oauth/token", {})
    assert asked.form == {"grant_type": "account_credentials", "account_id": "the-account"}
    pair = base64.b64decode(asked.authorization.removeprefix("Basic ")).decode()
    assert pair == "the-client:sesame-of-the-client"
    assert world.shown == ["access-1"] * 3
    assert made.client.tally.requests == 4


def test_g7_no_access_token_goes_to_the_identity_host(world: World) -> None:
    """A stream whose requests name the base URL of the tokens gets an error, and nothing is sent."""
    made = tap(world)
    fetch(made)
    with pytest.raises(Refused, match="base URL is that of the token requests"):
        made.client.fetch(Request("me", "/me", base="identity_url"), lambda reply: reply.body, NEVER)
    assert len(world.identity.seen) == 1


@pytest.mark.parametrize(
    ("facts", "query", "body", "basic"),
    [
        ({}, {}, "grant_type=client_credentials", True),
        ({"place": "query"}, {"grant_type": "client_credentials"}, "", True),
        (
            {"place": "json", "params": {"audience": "x"}},
            {},
            '{"grant_type":"client_credentials","audience":"x"}',
            True,
        ),
        (
            {"credentials": "body", "scope": "a b"},
            {},
            "grant_type=client_credentials&scope=a+b&client_id=the-client&client_secret=sesame-of-the-client",
            False,
        ),
        ({"credentials": "body", "client_secret": ""}, {}, "grant_type=client_credentials&client_id=the-client", False),
    ],
)
def test_a_token_request_has_the_form_that_the_facts_say(
    world: World, facts: Any, query: Any, body: str, *, basic: bool
) -> None:
    """Fields in a form, JSON or the query; client and secret in the header or in the body."""

    class TapOther(TapServer):
        settings = {"api_url": TapServer.settings["api_url"]}  # noqa: RUF012 - a fact
        required = ()
        sign = oauth2("/token", scheme="Vendor-token", **facts)

    secret = {} if facts.get("client_secret") == "" else {"client_secret": CLIENT["client_secret"]}
    world.api.answer = lambda seen: world.grant(seen) if seen.path == "/token" else world.read(seen)
    world.identity.seen.append(None)
    fetch(TapOther(config={"api_url": world.api.url, "client_id": "the-client", **secret}))
    asked, page = world.api.seen
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", "/token", query, body)
    assert asked.authorization.startswith("Basic ") is basic
    assert page.authorization == "Vendor-token access-1"


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [(3600, 3540), ("3600", 3540), (100, 90), (None, None), (0, None), (-5, None), ("soon", None), (True, None)],
)
def test_g6_a_token_is_renewed_before_it_ends(world: World, expires_in: Any, good_for: float | None) -> None:
    """A minute before its end, or a tenth of its life; never, where the server does not say when it ends."""
    world.expires_in = expires_in
    made, now = tap(world), [1000.0]
    made.sign.clock = lambda: now[0]
    fetch(made)
    now[0] += (good_for or 10**9) - 0.5
    fetch(made)
    assert world.shown == ["access-1"] * 2
    if good_for:
        now[0] += 0.5
        fetch(made)
        assert world.shown[-1] == "access-2"


def test_g6_a_401_is_followed_by_one_request_with_a_new_token(world: World) -> None:
    """The token may have been revoked: it is renewed once, and the request sent once more."""
    made = tap(world, max_attempts=1)
    fetch(made)
    world.revoked = {"access-1"}
    fetch(made)
    assert world.shown == ["access-1", "access-1", "access-2"]
    assert len(world.identity.seen) == 2


def test_g6_a_second_401_ends_the_tap(world: World) -> None:
    """It is not the token then; nothing more is sent."""
    world.revoked = {"access-1", "access-2", "access-3"}
    made = tap(world)
    for _ in range(2):
        with pytest.raises(AccessDenied, match="HTTP 401, also with a new token"):
            fetch(made)
    assert (len(world.api.seen), len(world.identity.seen)) == (2, 2)


def test_g6_many_workers_fetch_one_token(world: World) -> None:
    """One asks and the others wait, for the first token and after a 401."""
    world.revoked = {"access-1"}
    made, gate = tap(world), threading.Barrier(8)

    def work(_: int) -> None:
        gate.wait(30)
        fetch(made)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(world.identity.seen) == 2
    assert world.shown.count("access-2") == 8


def test_g6_a_limit_of_one_request_leaves_room_for_the_token(world: World) -> None:
    """The token is fetched before a request takes its place: nobody waits for himself."""

    class TapSlow(TapServer):
        settings = TapServer.settings
        limit = Limit(1, 0.01)

    config = {**CLIENT, "account_id": "a", "api_url": world.api.url, "identity_url": world.identity.url}
    made = TapSlow(config=config)
    fetch(made)
    assert made.client.governor.limit == Limit(1, 0.01)
    assert world.shown == ["access-1"]


# -- what the identity host says ---------------------------------------------------------------------

_NO = [
    (400, {"error": "invalid_client"}, "HTTP 400: invalid_client"),
    (400, {"error": "invalid_grant", "error_description": "it ended"}, ": invalid_grant: it ended"),
    (400, {"reason": "Invalid client_id", "error": "invalid_client"}, "invalid_client: Invalid client_id"),
    (401, {"error": "invalid_client"}, "HTTP 401: invalid_client"),
    (401, b"", "HTTP 401"),
    (403, {}, "HTTP 403"),
    (200, {"error": "bad_verification_code"}, "HTTP 200: bad_verification_code"),
]


@pytest.mark.parametrize(("status", "body", "words"), _NO)
def test_g6_refused_credentials_end_the_tap_after_one_try(world: World, status: int, body: Any, words: str) -> None:
    """The settings are named; nothing is sent to the API, and no other token is requested."""
    world.answers = [(status, {}, body)]
    made = tap(world)
    for _ in range(2):
        with pytest.raises(AccessDenied) as caught:
            fetch(made)
        assert "the request for an access token failed: the server responded with HTTP " in str(caught.value)
        assert words in str(caught.value)
        assert "Check client_id, client_secret, account_id, identity_url" in str(caught.value)
    assert (len(world.identity.seen), len(world.api.seen)) == (1, 0)


def test_g7_a_redirect_of_a_token_request_ends_the_tap(world: World) -> None:
    """The client's secret goes to the configured host only, and no second request is of use."""
    world.answers = [(307, {"Location": world.api.url}, b"")]
    made = tap(world)
    for _ in range(2):
        with pytest.raises(AccessDenied, match=r"redirect .* Set identity_url to the address"):
            fetch(made)
    assert (len(world.identity.seen), len(world.api.seen)) == (1, 0)


def test_g9_a_path_that_is_not_there_names_the_address(world: World) -> None:
    """A 404 is about the address and not about the secret."""
    world.answers = [(404, {}, b"<html>")]
    with pytest.raises(AccessDenied, match=r"Check identity_url: the token's path below it is /oauth/token"):
        fetch(tap(world))


@pytest.mark.parametrize(
    "no", [(503, {}, b""), (429, {}, {"error": "x"}), (400, {}, {"error": "temporarily_unavailable"}), (200, {}, b"{}")]
)
def test_g6_a_fault_of_the_identity_host_that_passes_is_not_seen(
    world: World, no: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token's request is retried as every other one is."""
    monkeypatch.setattr("trunkline.steps.fetch.client.MAX_WAIT", 0.01)
    monkeypatch.setattr("trunkline.steps.fetch.client.backoff.full_jitter", lambda _: 0.0)
    world.answers = [no]
    fetch(tap(world))
    assert (len(world.identity.seen), len(world.api.seen)) == (2, 1)


@pytest.mark.parametrize(
    "wrong", [{"access_token": "sesame\n"}, {"access_token": ""}, {"token": "sesame"}, [], b"<html>"]
)
def test_g2_a_response_without_a_token_is_an_error(world: World, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and at last an error in which no token stands."""
    monkeypatch.setattr("trunkline.steps.fetch.client.backoff.full_jitter", lambda _: 0.0)
    world.answers = [(200, {}, wrong)] * 3
    with pytest.raises(BadResponse, match="the request for an access token failed: 3 tries") as caught:
        fetch(tap(world))
    assert "sesame" not in str(caught.value)
    world.answers = [(204, {}, b"")]
    with pytest.raises(BadResponse, match="HTTP 204"):
        fetch(tap(world))


def test_g6_an_identity_host_that_is_down_gets_a_bounded_number_of_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of many requests does not send each one's token request through all tries."""
    monkeypatch.setattr("trunkline.steps.fetch.client.backoff.full_jitter", lambda _: 0.0)
    world.answers = [(503, {}, b"")] * 100
    made = tap(world, max_attempts=8)
    for _ in range(10):
        with pytest.raises(Unavailable):
            fetch(made)
    assert len(world.identity.seen) <= 8 + 3 * 2
    assert not world.api.seen


def test_g7_a_proxy_is_not_used_for_an_identity_host_on_this_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fetch(tap(world))
    assert world.shown == ["access-1"]


# -- refresh tokens ----------------------------------------------------------------------------------


def renewed(made: Any) -> None:
    """Have a tap fetch a token that it would not need yet."""
    fetch(made)
    made.sign.renew(NEVER)


def test_g7_a_replaced_refresh_token_is_kept_for_the_next_run(world: World, tmp_path: Path) -> None:
    """In the file that token_store names, readable by its owner alone; the next run begins with it."""
    world.rotates, store = True, tmp_path / "tokens.json"
    store.write_text("")
    store.chmod(0o644)
    for run in range(3):
        fetch(tap(world, TapRefresh, token_store=str(store)))
        assert world.valid == f"refresh-number-{run + 1}"
        assert list(json.loads(store.read_text()).values()) == [world.valid]
    assert store.stat().st_mode & 0o777 == 0o600
    assert [seen.form["refresh_token"] for seen in world.identity.seen] == [
        "refresh-of-the-config",
        "refresh-number-1",
        "refresh-number-2",
    ]
    assert world.identity.seen[0].form == {**REFRESH, "grant_type": "refresh_token", "scope": "calls users"}


def test_a_new_authorization_wins_over_what_is_kept(world: World, tmp_path: Path) -> None:
    """A refresh token that the config has anew is used, and another account's stays in the file."""
    world.rotates, store = True, str(tmp_path / "tokens.json")
    fetch(tap(world, TapRefresh, token_store=store))
    before = world.valid
    world.valid = "refresh-authorized-again"
    fetch(tap(world, TapRefresh, token_store=store, refresh_token="refresh-authorized-again"))
    assert world.identity.seen[-1].form["refresh_token"] == "refresh-authorized-again"
    assert set(json.loads((tmp_path / "tokens.json").read_text()).values()) == {before, world.valid}


def test_g7_two_runs_at_once_lose_no_refresh_token(world: World, tmp_path: Path) -> None:
    """They take turns from reading the token to keeping its successor: the vendor takes each token once."""
    world.rotates, store = True, str(tmp_path / "tokens.json")
    with ThreadPoolExecutor(6) as pool:  # a file's lock is between open files, of one process or of many
        list(pool.map(renewed, [tap(world, TapRefresh, token_store=store) for _ in range(6)]))
    assert len(world.identity.seen) == 12
    assert list(json.loads((tmp_path / "tokens.json").read_text()).values()) == [world.valid]


_KILLED = """
import os, signal, sys
from pathlib import Path
from trunkline.steps.fetch.token_store import TokenStore
store = TokenStore(Path(sys.argv[1]), "client", "first")
store.write("second")
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.write("third")
"""


def test_g7_a_kill_leaves_the_old_token_or_the_new_one(tmp_path: Path) -> None:
    """The file is replaced as a whole; what a killed process left beside it is in nobody's way."""
    path = tmp_path / "tokens.json"
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False, timeout=120)
    assert ended.returncode == -9
    store = TokenStore(path, "client", "first")
    assert store.read() == "second"
    store.write("third")
    assert store.read() == "third"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"not JSON", b"[1]", b'{"a": 1}', b"\xff"])
def test_g9_a_token_store_that_is_another_file_ends_the_tap_before_a_token_is_used_up(
    world: World, tmp_path: Path, content: bytes
) -> None:
    """It is left as it is."""
    store = tmp_path / "tokens.json"
    store.write_bytes(content)
    with pytest.raises(AccessDenied, match=r"token_store could not be read: .* Set token_store to a file of its own"):
        fetch(tap(world, TapRefresh, token_store=str(store)))
    assert store.read_bytes() == content
    assert not world.identity.seen


def test_g9_a_token_store_that_can_not_be_written_ends_the_tap_before_a_token_is_used_up(
    world: World, tmp_path: Path
) -> None:
    """A folder in its place is found out before the token is sent; one that is not there, when the config is read."""
    with pytest.raises(AccessDenied, match="token_store can't be used"):
        fetch(tap(world, TapRefresh, token_store=str(tmp_path)))
    with pytest.raises(ConfigInvalid, match="token_store must be the path of a file"):
        tap(world, TapRefresh, token_store=str(tmp_path / "no" / "tokens.json"))
    assert not world.identity.seen


def test_g7_a_refresh_token_that_could_not_be_kept_is_used_by_this_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full at the wrong moment: the run goes on with it, says so, and keeps the one after it."""
    world.rotates, store = True, tmp_path / "tokens.json"
    made = tap(world, TapRefresh, token_store=str(store))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TokenStore, "write", full)
        fetch(made)
    assert "token_store could not be written (No space left on device)" in caplog.text
    assert json.loads(store.read_text()) == {}
    made.sign.renew(NEVER)
    assert list(json.loads(store.read_text()).values()) == [world.valid] == ["refresh-number-2"]


def test_g9_a_replaced_refresh_token_without_a_place_is_warned_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Without token_store the next run has a token that is worth nothing: the warning names the setting."""
    world.rotates = True
    made = tap(world, TapRefresh)
    renewed(made)  # this run goes on with it
    assert "Set token_store to the path of a file" in caplog.text
    assert len(world.identity.seen) == 2


# -- what is seen of it --------------------------------------------------------------------------------


def forms(secret: str) -> list[str]:
    return [
        secret,
        secret.upper(),
        base64.b64encode(f"x:{secret}".encode()).decode(),
        json.dumps(secret),
        secret.encode().hex(),
    ]


def test_g7_tokens_are_masked_from_the_moment_they_are_known(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Access tokens, refresh tokens and the client's secret, in every form, also where a vendor echoes them."""
    world.rotates, world.revoked = True, {"access-1", "access-2"}
    made = tap(world, TapRefresh, token_store=str(tmp_path / "tokens.json"))
    with pytest.raises(AccessDenied) as caught:
        fetch(made)
    assert not re.search(r"access-\d", str(caught.value))
    for secret in ("access-1", "access-2", "refresh-number-1", "refresh-number-2", *list(REFRESH.values())[1:]):
        assert secret not in caplog.text
        for form in forms(secret):
            assert MASK in redactor(f"before {form} after"), form
    assert "access-" not in json.dumps(made.state)
    world.rotates, world.answers = True, []
    world.valid = "refresh-unknown-to-it"
    with pytest.raises(AccessDenied, match="invalid_grant") as caught:
        fetch(tap(world, TapRefresh))
    assert REFRESH["refresh_token"] not in str(caught.value)


def test_g7_secrets_may_come_while_others_are_looked_for() -> None:
    """A token that comes in the middle of a run does not disturb the threads that write the log."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            redactor("a line of the log with sesame-0-of-many in it")

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for number in range(200):
            redactor.add([f"sesame-{number}-of-many"])
        stop.set()
        for one in looking:
            one.result(30)
    assert redactor("sesame-0-of-many, sesame-199-of-many") == f"{MASK}, {MASK}"


@pytest.mark.parametrize("command", ["check", "read"])
def test_g7_airbyte_is_given_a_replaced_refresh_token_as_a_control_message(
    world: World, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The config as it came, with the new token; no other message, no state and no log has it."""
    world.rotates = True
    config = {**REFRESH, "api_url": world.api.url, "identity_url": world.identity.url, "start_date": "2026-01-01"}
    stream = {"name": "studio_calls", "json_schema": {}, "supported_sync_modes": ["incremental"]}
    catalog = {"streams": [{"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}]}
    for name, content in {"config": config, "catalog": catalog}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files: dict[str, str | None] = {name: str(tmp_path / f"{name}.json") for name in ("config", "catalog")}
    output = io.BytesIO()
    assert serve(TapRefresh, command, {**files, "state": None}, MessageLines(output), transport=None) == 0
    lines = output.getvalue().splitlines()
    for line in lines:
        msgspec.convert(msgspec.json.decode(line), AirbyteMessage)
    (found,) = [line for line in lines if b'"CONTROL"' in line]
    told = msgspec.json.decode(found)["control"]
    assert (told["type"], told["connectorConfig"]["config"]) == (
        "CONNECTOR_CONFIG",
        {**config, "refresh_token": "refresh-number-1"},
    )
    rest = b"".join(line for line in lines if line != found).decode() + "".join(capsys.readouterr())
    assert "refresh-number-1" not in rest
    assert "access-1" not in rest


# -- the guide ------------------------------------------------------------------------------------------


def test_the_guides_examples_say_what_they_are_said_to(world: World) -> None:
    """Each example of docs/adding-a-vendor.md signs the requests of a tap."""
    section = GUIDE.read_text(encoding="utf-8").partition("## Signing with OAuth2")[2].partition("\n## ")[0]
    examples = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(examples) == 2
    for number, example in enumerate(examples, 1):
        facts: dict[str, Any] = {"oauth2": oauth2}
        exec(example, facts)  # noqa: S102 - the guide's own words
        kind: Any = type(
            "TapGuide", (TapServer,), {"settings": TapServer.settings, "required": (), "sign": facts["sign"]}
        )
        names = kind.config_jsonschema["properties"]
        config = {name: value for name, value in {**REFRESH, "account_id": "the-account"}.items() if name in names}
        fetch(kind(config={**config, "api_url": world.api.url, "identity_url": world.identity.url}))
        assert world.shown[-1] == f"access-{number}"
    zoom, refreshed = (seen.form for seen in world.identity.seen)
    assert zoom == {"grant_type": "account_credentials", "account_id": "the-account"}
    assert refreshed == {**REFRESH, "grant_type": "refresh_token", "scope": "calls users"}


# -- what comes with the word ---------------------------------------------------------------------------


def test_the_settings_come_with_the_word() -> None:
    """Secrets are marked, addresses have a default where the vendor has one host; the vendor's own word wins."""
    properties = TapServer.config_jsonschema["properties"]
    assert properties["account_id"]["description"] == "Account."
    assert properties["identity_url"]["default"] == "https://vendor.example"
    assert properties["client_secret"]["secret"]
    assert "token_store" not in properties
    assert set(TapServer.config_jsonschema["required"]) == {"client_id", "client_secret", "account_id"}
    assert TapRefresh.config_jsonschema["properties"]["refresh_token"]["secret"]
    assert set(TapRefresh.config_jsonschema["required"]) == {*REFRESH, "identity_url"}
    with pytest.raises(ConfigInvalid, match="identity_url must be an https"):
        TapServer(config={**CLIENT, "account_id": "a", "identity_url": "http://vendor.example"})
    assert isinstance(TapServer(config={**CLIENT, "account_id": "a"}).sign, Tokens)


@pytest.mark.parametrize(
    "facts",
    [
        {"place": "query", "credentials": "body"},
        {"place": "query", "grant": "refresh_token"},
        {"client_secret": ""},
    ],
)
def test_g7_facts_that_would_show_a_secret_are_refused(facts: Any) -> None:
    """A secret in a query stands in the logs of every machine on the way."""
    with pytest.raises(ValueError, match="secret"):
        oauth2("/token", **facts)


def test_a_request_that_goes_past_the_client_is_not_signed() -> None:
    """There is no token before the client has fetched one."""
    made = TapServer(config={**CLIENT, "account_id": "a"})
    with pytest.raises(Refused, match="there is no access token"):
        made.sign(Request("the page", "/calls"))
