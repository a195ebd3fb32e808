"""The client: one request in, one answer or one clear error out; nothing is knocked at twice without need."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
import requests
import urllib3

from trunkline.errors import AccessDenied, BadResponse, Refused, SourceError, TrunklineError, Unavailable
from trunkline.steps.fetch import breaker, exchange
from trunkline.steps.fetch.client import Cancelled
from trunkline.steps.fetch.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trunkline.steps.fetch.exchange import Reply

OK: Any = (200, {}, b'{"rows":[]}')


def status(code: int, body: bytes = b"words", **headers: str) -> tuple[int, dict[str, str], bytes]:
    return code, {name.replace("_", "-"): value for name, value in headers.items()}, body


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# -- what is tried again, and what is not ----------------------------------------------------------

CUT = (200, {"Content-Length": "99"}, b"short")
FAULTS: dict[str, Any] = {
    "408": status(408),
    "425": status(425),
    "429": status(429),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "599": status(599),
    "refused": requests.ConnectionError("refused"),
    "read timeout": requests.ReadTimeout("late"),
    "reset": ConnectionResetError("reset"),
    "cut": CUT,
    "cut chunks": requests.exceptions.ChunkedEncodingError("cut"),
    "broken gzip": (200, {"Content-Encoding": "gzip"}, b"no gzip at all"),
    "proxy": requests.exceptions.ProxyError("no"),
}
ODD_ANSWERS: dict[str, Any] = {
    "html": status(200, b"<html>gateway</html>"),
    "empty": status(200, b""),
    "not utf-8": status(200, b'{"rows":["\xff"]}'),
    "not utf-8 where nobody looks": status(200, b'{"rows":[],"other":"\xff"}'),
    "other form": status(200, b'{"items":[]}'),
    "too deep": status(200, b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
}


class Envelope(msgspec.Struct):
    rows: list[Any]


def open_rows(reply: Reply) -> list[Any]:
    return msgspec.json.decode(reply.body, type=Envelope).rows


@pytest.mark.parametrize("name", [*FAULTS, *ODD_ANSWERS])
def test_a_fault_that_passes_is_not_seen(bench: Callable[..., Any], name: str) -> None:
    """A try that another one may cure is followed by another one."""
    asked = bench([{**FAULTS, **ODD_ANSWERS}[name], OK])
    assert asked.fetch(open_body=open_rows).parsed == []
    assert len(asked.wire.seen) == 2
    assert (asked.client.tally.requests, asked.client.tally.retries) == (2, 1)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_stays_ends_after_max_attempts(bench: Callable[..., Any], name: str) -> None:
    """The error says what was asked for, how often, what came last, and what to do."""
    asked = bench([FAULTS[name]])
    with pytest.raises(Unavailable, match=r"^the thing failed: 4 tries, the last: .+\. Run again later \[[a-z-]+\]$"):
        asked.fetch()
    assert len(asked.wire.seen) == 4
    assert len(asked.patience.waits) == 3


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_answer_of_another_form_is_an_error_and_never_an_empty_page(bench: Callable[..., Any], name: str) -> None:
    """A 200 is believed only when it is what the vendor documents."""
    asked = bench([ODD_ANSWERS[name]])
    with pytest.raises(BadResponse, match=r"^the thing failed: 4 tries"):
        asked.fetch(open_body=open_rows)
    assert len(asked.wire.seen) == 4


def test_a_body_that_the_stream_can_not_believe_is_tried_again(bench: Callable[..., Any]) -> None:
    """`BadResponse` out of `open_body` is a fault like broken JSON."""

    def refuse(_: Reply) -> None:
        raise BadResponse("the answer has another form", "it has no list")

    asked = bench([OK])
    with pytest.raises(BadResponse, match="it has no list"):
        asked.fetch(open_body=refuse)
    assert len(asked.wire.seen) == 4


@pytest.mark.parametrize("code", [400, 402, 404, 405, 406, 409, 410, 413, 418, 422, 451])
def test_other_4xx_are_not_tried_again(bench: Callable[..., Any], code: int) -> None:
    """A request that is wrong stays wrong; the error shows the vendor's words and the hint."""
    asked = bench([status(code), OK])
    with pytest.raises(Refused, match=rf"HTTP {code}: words\. hint for {code} \[refused\]$") as caught:
        asked.fetch()
    assert caught.value.status == code
    assert len(asked.wire.seen) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 304])
def test_g7_a_redirect_is_refused_and_never_followed(bench: Callable[..., Any], code: int) -> None:
    """The credentials go to the configured host only, whatever a Location says."""
    asked = bench([status(code, b"", Location="https://evil.example/things")])
    with pytest.raises(Refused, match=r"redirect.*api_url"):
        asked.fetch()
    assert [request.url for request in asked.wire.seen] == ["https://vendor.example/prefix/things"]


def test_a_form_is_sent_as_one(bench: Callable[..., Any]) -> None:
    """A form's fields are percent-encoded in the body; what a vendor's `sign` returns for it takes their place."""
    asked = bench([OK])
    asked.fetch(Request("the search", "/search", method="POST", form={"from": "2026-01-31 08:00", "phone": "+48&1"}))
    asked.vendor.sign = lambda request: ({}, {**request.form, "key": "sesame"})
    asked.fetch(Request("the search", "/search", method="POST", form={"a": "b"}))
    assert [request.body for request in asked.wire.seen] == [
        b"from=2026-01-31+08%3A00&phone=%2B48%261",
        b"a=b&key=sesame",
    ]
    for request in asked.wire.seen:
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert request.headers["Content-Length"] == str(len(request.body))


def test_g7_a_request_goes_to_the_base_url_that_it_names(bench: Callable[..., Any]) -> None:
    """Each base URL has its setting: errors name the one that is wrong."""
    answers = [OK, status(302, b""), OK]
    asked = bench(answers, more_urls={"identity_url": "https://identity.example/realm/"})
    asked.fetch(Request("the token", "/token", base="identity_url"))
    with pytest.raises(Refused, match=r"redirect.*Set identity_url to"):
        asked.fetch(Request("the token", "/token", base="identity_url"))
    asked.fetch()
    assert [request.url for request in asked.wire.seen] == [
        *["https://identity.example/realm/token"] * 2,
        "https://vendor.example/prefix/things",
    ]


def test_g9_a_second_host_that_can_not_be_reached_is_named_by_its_setting(bench: Callable[..., Any]) -> None:
    """That one host was reached says nothing of the other one: it gets two tries."""

    def answer(_: int, request: requests.PreparedRequest) -> Any:
        return OK if "vendor.example" in str(request.url) else ConnectionRefusedError()

    asked = bench(answer, more_urls={"identity_url": "https://identity.example"})
    asked.fetch()
    with pytest.raises(Unavailable, match=r"2 tries.*identity\.example:443 was refused\. Check identity_url"):
        asked.fetch(Request("the token", "/token", base="identity_url"))


def test_a_204_is_an_empty_answer(bench: Callable[..., Any]) -> None:
    """No content is a documented way to say nothing: the body is not opened."""
    reply = bench([status(204, b"")]).fetch(open_body=open_rows)
    assert (reply.status, reply.body, reply.parsed) == (204, b"", None)


# -- credentials -----------------------------------------------------------------------------------


def test_a_401_is_knocked_at_once(bench: Callable[..., Any]) -> None:
    """Wrong credentials are not tried again, by this request or any later one: vendors lock accounts."""
    asked = bench([status(401), OK])
    for _ in range(3):
        with pytest.raises(AccessDenied, match=r"HTTP 401.*hint for 401"):
            asked.fetch()
    assert len(asked.wire.seen) == 1


def test_a_401_after_successes_ends_the_tap_too(bench: Callable[..., Any]) -> None:
    """A token that was taken back is as wrong as one that never worked."""
    asked = bench([OK, status(401), OK])
    asked.fetch()
    for _ in range(2):
        with pytest.raises(AccessDenied):
            asked.fetch()
    assert len(asked.wire.seen) == 2


def test_g6_403s_of_two_streams_before_any_success_end_the_tap(bench: Callable[..., Any]) -> None:
    """One may be about that stream; two are about the credentials or the address."""
    asked = bench([status(403), status(403), OK])
    with pytest.raises(Refused):
        asked.fetch(Request("one", "/one", stream="one"))
    with pytest.raises(AccessDenied):
        asked.fetch(Request("two", "/two", stream="two"))
    with pytest.raises(AccessDenied):
        asked.fetch(Request("three", "/three", stream="three"))
    assert len(asked.wire.seen) == 2


def test_g6_the_403_of_the_only_stream_ends_the_tap(bench: Callable[..., Any]) -> None:
    """There is nothing else that it could be about."""
    asked = bench([status(403), OK])
    asked.client.only = True
    for _ in range(2):
        with pytest.raises(AccessDenied):
            asked.fetch()
    assert len(asked.wire.seen) == 1


def test_g6_a_403_costs_its_stream_one_request_and_no_other_stream_any(bench: Callable[..., Any]) -> None:
    """Before a success and after one: what is forbidden is not sent again."""
    asked = bench([status(403), OK, status(403), OK])
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            asked.fetch(Request("one", "/one", stream="one"))
        assert caught.value.status == 403
    asked.fetch(Request("two", "/two", stream="two"))
    for _ in range(3):
        with pytest.raises(Refused, match="HTTP 403"):
            asked.fetch(Request("three", "/three", stream="three"))
    assert asked.fetch(Request("two", "/two", stream="two")).status == 200
    assert len(asked.wire.seen) == 4


def test_only_a_believed_answer_is_a_success(bench: Callable[..., Any]) -> None:
    """A login page with HTTP 200 does not show that the credentials are right."""
    asked = bench([status(200, b"<html>"), status(403)])
    asked.client.only = True
    with pytest.raises(AccessDenied):
        asked.fetch(open_body=open_rows)


def test_a_no_inside_a_200_counts_like_one_by_status(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vendor whose body says no has the same three ways: denied, refused, tried again."""
    asked = bench([OK])
    answers = iter([503, 404, 401])
    monkeypatch.setattr(
        asked.vendor,
        "refuse",
        lambda request, _status, _body: asked.client.judge(request, next(answers), inside="meta.status"),
    )
    with pytest.raises(Refused, match=r"meta\.status 404"):
        asked.fetch()
    assert len(asked.wire.seen) == 2
    with pytest.raises(AccessDenied):
        asked.fetch()
    with pytest.raises(AccessDenied):
        asked.fetch()
    assert len(asked.wire.seen) == 3


def test_the_first_answer_of_any_kind_opens_the_gate(bench: Callable[..., Any]) -> None:
    """Until one request was answered no second one is sent; a fault on the way is no answer, a 500 is."""
    asked = bench([requests.ConnectionError("no")])
    with pytest.raises(Unavailable):
        asked.fetch()
    assert not asked.client.responded.is_set()
    asked = bench([status(500)])
    with pytest.raises(Unavailable):
        asked.fetch()
    assert asked.client.responded.is_set()
    assert not asked.client.succeeded.is_set()


@pytest.mark.parametrize("secret", ["sesame\n", "sesame\r\nX-Other: 1", "zażółć"])
def test_a_secret_that_fits_no_header_is_a_clear_error(bench: Callable[..., Any], secret: str) -> None:
    """A token read from a file with its line break must not end in a traceback, nor be shown."""
    asked = bench([OK])
    asked.vendor.secret = secret
    with pytest.raises(TrunklineError) as caught:
        asked.fetch()
    assert "sesame" not in str(caught.value)


# -- waits -----------------------------------------------------------------------------------------


def test_waits_grow_and_have_a_bound(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word of the vendor's: up to 1, 2, 4, 8 … seconds, at most a minute, with jitter."""
    monkeypatch.setattr("trunkline.steps.fetch.client.backoff.full_jitter", lambda value: value)
    asked = bench([status(500)], max_attempts=10)
    with pytest.raises(Unavailable):
        asked.fetch()
    assert asked.patience.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert asked.client.tally.waited >= sum(asked.patience.waits)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "0"},
        {"Retry_After": "-1"},
        {"Retry_After": "Mon, 13 Nov 2023 22:13:20 GMT"},
        {"X_RateLimit_Reset": "1699999000"},
        {"RateLimit_Reset": "0"},
        {"Retry_After": "1"},
    ],
)
@pytest.mark.parametrize("code", [429, 500, 503])
def test_g6_a_hint_is_a_lower_bound_on_the_backoff(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, code: int, headers: dict[str, str]
) -> None:
    """A moment that is now or has passed does not spend all tries within milliseconds."""
    monkeypatch.setattr("trunkline.steps.fetch.client.backoff.full_jitter", lambda value: value)
    asked = bench([status(code, b"words", **headers)], max_attempts=5)
    with pytest.raises(Unavailable):
        asked.fetch()
    assert asked.patience.waits == [1, 2, 4, 8]


def test_the_vendors_own_wait_is_kept(bench: Callable[..., Any]) -> None:
    """Nobody tries again before the moment of Retry-After."""
    asked = bench([status(429, Retry_After="17"), status(503, Retry_After="3"), OK])
    asked.fetch()
    assert asked.patience.waits == [17.0, 3.0]


def test_a_wait_longer_than_a_run_should_take_is_an_error(bench: Callable[..., Any]) -> None:
    """A vendor that says "in an hour" is not waited for: the error says how long."""
    asked = bench([status(429, Retry_After="3600")])
    with pytest.raises(Unavailable, match=r"wait of 3600 s.*Run again"):
        asked.fetch()
    assert len(asked.wire.seen) == 1


def test_a_vendor_that_says_in_an_hour_is_not_asked_again_and_again(bench: Callable[..., Any]) -> None:
    """A thousand partitions must not each wait a quarter of an hour for the same refusal."""
    asked = bench([status(503, Retry_After="3600")])
    for _ in range(50):
        with pytest.raises(Unavailable):
            asked.client.fetch(Request("x", "/x"), lambda reply: reply, asked.patience)
        asked.clock.now += 1000
    assert len(asked.wire.seen) <= 4


def test_a_cancelled_wait_gives_up(bench: Callable[..., Any]) -> None:
    """When the run ends, a request between two tries is given up at once."""
    asked = bench([status(500)])
    asked.patience.cancelled_after = 1
    with pytest.raises(Cancelled):
        asked.fetch()
    assert len(asked.wire.seen) == 1


def test_nothing_is_sent_once_cancelled(bench: Callable[..., Any]) -> None:
    """A request that is not wanted any more does not go out."""
    asked = bench([OK])
    asked.patience.cancelled_after = 0
    with pytest.raises(Cancelled):
        asked.fetch()
    assert asked.wire.seen == []


# -- the breaker -----------------------------------------------------------------------------------


def test_a_vendor_that_is_down_gets_a_bounded_number_of_tries(bench: Callable[..., Any]) -> None:
    """A thousand requests do not knock eight thousand times: the first in full, a few as probes, then none."""
    asked = bench([status(503)], max_attempts=8)
    for _ in range(1000):
        with pytest.raises(Unavailable) as caught:
            asked.fetch()
    assert 8 < len(asked.wire.seen) <= 8 + 2 * breaker.PROBES
    assert "the vendor is down" in str(caught.value)


def test_threads_together_stay_within_the_same_order(bench: Callable[..., Any]) -> None:
    """Each thread may be in the middle of its tries when the vendor goes down, and no more than that."""
    asked = bench([status(503)], max_attempts=4)

    def work() -> None:
        for _ in range(50):
            with pytest.raises(Unavailable):
                asked.fetch()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked.wire.seen) <= 8 * (4 + breaker.PROBES)


def test_a_probe_that_succeeds_closes_the_breaker(bench: Callable[..., Any]) -> None:
    """One broken request is its own trouble: after any success the next one gets all its tries again."""
    asked = bench([*[status(503)] * 4, OK, *[status(503)] * 3, OK])
    with pytest.raises(Unavailable):
        asked.fetch()
    asked.fetch()
    assert asked.fetch().status == 200
    assert len(asked.wire.seen) == 9


def test_a_refusal_shows_that_the_vendor_is_up(bench: Callable[..., Any]) -> None:
    """A 404 is an answer: after it a request gets all its tries again."""
    asked = bench([*[status(503)] * 4, status(404), status(503), OK])
    with pytest.raises(Unavailable):
        asked.fetch()
    with pytest.raises(Refused):
        asked.fetch()
    assert asked.fetch().status == 200


def test_g8_an_endpoint_that_is_down_takes_no_other_with_it(bench: Callable[..., Any]) -> None:
    """Details that are all broken, and their probes too, leave the list its own; an answer closes the breaker."""
    asked = bench(lambda _, sent: OK if "list" in sent.url else status(503), max_attempts=4)
    for _ in range(20):
        with pytest.raises(Unavailable):
            asked.fetch(Request("a detail", "/details/7", stream="details"))
    assert asked.fetch(Request("the list", "/list", stream="calls")).status == 200
    # The campaigns of one endpoint share what is known of it.
    asked = bench([status(503)], max_attempts=4)
    for number in range(100):
        with pytest.raises(Unavailable):
            asked.fetch(Request("requests", f"/{number}", stream=f"requests of {number}", endpoint="requests"))
    assert len(asked.wire.seen) <= 4 + 2 * breaker.PROBES


# -- bodies ----------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the size after decompression: a bomb is small on the wire."""
    monkeypatch.setattr(exchange, "MAX_BODY", 2**20)
    bomb = gzip.compress(b"0" * (2**20 + 1))
    asked = bench([(200, {"Content-Encoding": "gzip"}, bomb)])
    with pytest.raises(Refused, match=r"larger than 1 MiB\. Request less"):
        asked.fetch()
    assert len(asked.wire.seen) == 1


def test_a_body_at_the_limit_is_read(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself is allowed."""
    monkeypatch.setattr(exchange, "MAX_BODY", 2**20)
    assert len(bench([status(200, b"0" * 2**20)]).fetch().body) == 2**20


def test_a_compressed_body_is_unpacked(bench: Callable[..., Any]) -> None:
    """What is handed on is what the vendor wrote."""
    asked = bench([(200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"rows":[1]}'))])
    assert asked.fetch(open_body=open_rows).parsed == [1]


def test_a_body_over_many_lines_is_put_on_one(bench: Callable[..., Any]) -> None:
    """Rows are passed on in parts: a line break between two tokens would end a message in its middle."""
    spread = b'{\r\n "rows" : [ 1.50,\n"a\\n b" ]\n}\n'
    assert bench([status(200, spread)]).fetch(open_body=open_rows).body == b'{"rows":[1.50,"a\\n b"]}'


def test_headers_of_a_reply_know_no_case(bench: Callable[..., Any]) -> None:
    """Proxies on the way change the case of names."""
    assert bench([(200, {"x-total-count": "7"}, b"[]")]).fetch().headers["X-Total-Count"] == "7"


def test_g7_a_vendors_words_are_cut_and_cleaned(bench: Callable[..., Any]) -> None:
    """One log line: no markup, no line breaks, no novel."""
    with pytest.raises(Refused) as caught:
        bench([status(400, b"<h1>no\r\n\x1b[31m</h1>" + b"x" * 10_000)]).fetch()
    text = str(caught.value)
    assert len(text) < 400
    assert not set("<>\r\n\x1b") & set(text)


# -- what goes over the wire -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api_url", "url"),
    [
        ("https://vendor.example", "https://vendor.example/api/v1/calls"),
        ("https://vendor.example/", "https://vendor.example/api/v1/calls"),
        ("https://proxy.example:8443/a/b/", "https://proxy.example:8443/a/b/api/v1/calls"),
    ],
)
def test_a_path_prefix_is_kept(bench: Callable[..., Any], api_url: str, url: str) -> None:
    """`api_url` stands before every path, also behind a proxy with a path of its own."""
    asked = bench([OK], api_url=api_url)
    asked.fetch(Request("calls", "/api/v1/calls"))
    assert asked.wire.seen[0].url == url


def test_values_are_percent_encoded(bench: Callable[..., Any]) -> None:
    """A plus must not become a space, nor a space a plus; order and repetition are kept."""
    asked = bench([OK])
    asked.fetch(Request("x", "/x", (("phone", "+27 72"), ("b", "a&b=c/d?"), ("a", "ż"), ("a", "2"))))
    assert asked.wire.seen[0].url == (
        "https://vendor.example/prefix/x?phone=%2B27%2072&b=a%26b%3Dc%2Fd%3F&a=%C5%BC&a=2"
    )


def test_a_json_body_is_sent_with_its_type(bench: Callable[..., Any]) -> None:
    """A vendor that is asked by POST gets JSON, and a GET gets no body."""
    asked = bench([OK])
    asked.fetch(Request("x", "/x", method="POST", json={"Page": 1}))
    asked.fetch()
    post, get = asked.wire.seen
    assert (post.method, post.body, post.headers["Content-Type"]) == ("POST", b'{"Page":1}', "application/json")
    assert (get.method, get.body) == ("GET", None)
    assert "Content-Type" not in get.headers
    assert get.headers["User-Agent"] == "test"
    assert get.headers["Authorization"] == "sesame"


def test_g7_netrc_does_not_replace_the_credentials(
    bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry for the vendor's host in ~/.netrc belongs to somebody else."""
    (tmp_path / ".netrc").write_text("machine vendor.example login other password other\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    asked = bench([OK])
    asked.fetch()
    assert asked.wire.seen[0].headers["Authorization"] == "sesame"


def test_g7_cookies_are_not_kept(bench: Callable[..., Any]) -> None:
    """Requests are alike, whichever thread sends them."""
    asked = bench([(200, {"Set-Cookie": "session=1; Path=/"}, b"{}")])
    asked.fetch()
    asked.fetch()
    assert "Cookie" not in asked.wire.seen[1].headers


def test_proxies_come_from_the_environment(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy is used, and no_proxy is heeded."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    asked = bench([OK])
    asked.fetch()
    assert asked.wire.options[0]["proxies"]["https"] == "http://proxy.example:3128"
    monkeypatch.setenv("NO_PROXY", "vendor.example")
    asked = bench([OK])
    asked.fetch()
    assert "https" not in asked.wire.options[0]["proxies"]


def test_g7_the_certificate_authority_is_the_configured_one(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ca_bundle` wins over the environment; verification is never off."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert bench([OK]).client.exchanges.verify is True
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/env.pem")
    assert bench([OK]).client.exchanges.verify == "/env.pem"
    asked = bench([OK], ca_bundle="/mine.pem")
    asked.fetch()
    assert asked.wire.options[0]["verify"] == "/mine.pem"
    assert asked.wire.options[0]["timeout"] == (5.0, 5.0)


def wrapped(error: ssl.SSLError) -> requests.exceptions.SSLError:
    """A TLS error as requests raises it."""
    pool = urllib3.HTTPSConnectionPool("vendor.example")
    return requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(pool, "/", urllib3.exceptions.SSLError(error)))


def test_g7_an_unknown_certificate_is_not_tried_again(bench: Callable[..., Any]) -> None:
    """Repeating does not make a certificate better; the error names the setting that does."""
    asked = bench([wrapped(ssl.SSLCertVerificationError(1, "certificate verify failed"))])
    with pytest.raises(Refused, match=r"certificate of vendor.example:443 could not be verified.*ca_bundle"):
        asked.fetch()
    assert len(asked.wire.seen) == 1


def test_a_connection_lost_within_tls_is_tried_again(bench: Callable[..., Any]) -> None:
    """A peer that hangs up during the handshake is a network fault, not a wrong certificate."""
    asked = bench([wrapped(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")), OK])
    assert asked.fetch().status == 200


def test_g7_an_error_shows_no_url(bench: Callable[..., Any]) -> None:
    """A URL may hold a phone number: the kind of the fault says enough."""
    asked = bench([requests.ConnectionError("HTTPSConnectionPool: /things?phone=%2B2772")])
    with pytest.raises(SourceError) as caught:
        asked.fetch(Request("a lookup", "/things", (("phone", "+2772"),)))
    assert "2772" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_host_of_log_lines_has_no_credentials(bench: Callable[..., Any]) -> None:
    """An address with a user in it is shown without."""
    assert bench([OK], api_url="https://user:pw@vendor.example:8443/x").client.host == "vendor.example:8443"


# -- once over a real socket: what the fake wire can't show ----------------------------------------


class Served(http.server.BaseHTTPRequestHandler):
    """Answers by the path, and notes what it was asked for and over which connection."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.client_address[1]))
        self.send_response({"/moved": 302, "/401": 401}.get(self.path.removesuffix("-chunks"), 200))
        {
            "/moved": self.moved, "/cut": self.cut, "/drops": self.drops, "/401": self.cut,
            "/401-chunks": self.cut_chunks, "/chunks": self.chunks, "/cut-chunks": self.cut_chunks,
            "/packed": self.packed,
        }.get(self.path, self.plain)()  # fmt: skip

    def plain(self, body: bytes = b"[" + b"1," * 200_000 + b"1]", **headers: str) -> None:
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def moved(self) -> None:
        self.plain(b"{}", Location="/elsewhere")

    def packed(self) -> None:
        self.plain(gzip.compress(b"[" + b"1," * 200_000 + b"1]"), Content_Encoding="gzip")

    def cut(self) -> None:
        self.plain(b"{}", Content_Length="99", Connection="close")
        self.close_connection = True

    def chunks(self) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"1\r\n[\r\n" + b"2\r\n1,\r\n" * 50 + b"2\r\n1]\r\n0\r\n\r\n")

    def cut_chunks(self) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"2\r\n[1\r\n")
        self.close_connection = True

    def drops(self) -> None:
        self.send_header("Content-Length", "2000")
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side may hang up
            for _ in range(2000):
                self.wfile.write(b"1")
                time.sleep(0.001)  # or several would be read as one
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def served() -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """A server on loopback; its address, and the path and the client's port of every request."""
    Served.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Served.seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_g7_over_a_socket_redirects_stay_and_cut_bodies_are_noticed(
    bench: Callable[..., Any], served: tuple[str, list[tuple[str, int]]]
) -> None:
    """The library's own adapter behaves as the fake one: no redirect is followed, a short body is a fault."""
    url, seen = served
    asked = bench([OK], api_url=url, transport=None)
    with pytest.raises(Refused, match="redirect"):
        asked.fetch(Request("x", "/moved"))
    for path in ("/cut", "/cut-chunks"):
        with pytest.raises(Unavailable, match="cut off"):
            bench([OK], api_url=url, transport=None).fetch(Request("x", path))
    assert [path for path, _ in seen] == ["/moved", *["/cut"] * 4, *["/cut-chunks"] * 4]


@pytest.mark.parametrize("path", ["/401", "/401-chunks"])
def test_g6_over_a_socket_a_401_whose_body_is_cut_off_knocks_once(
    bench: Callable[..., Any], served: tuple[str, list[tuple[str, int]]], path: str
) -> None:
    """The status has said no: what is missing of the body is no reason to send wrong credentials again."""
    url, seen = served
    with pytest.raises(AccessDenied, match="HTTP 401"):
        bench([OK], api_url=url, transport=None).fetch(Request("x", path))
    assert len(seen) == 1


def test_over_a_socket_bodies_of_every_form_are_whole_and_the_connection_is_kept(
    bench: Callable[..., Any], served: tuple[str, list[tuple[str, int]]]
) -> None:
    """With a length, in chunks or packed: the last byte is known for it, and the next request goes the same way."""
    url, seen = served
    asked = bench([OK], api_url=url, transport=None)
    for path, values in (("/plain", 200_001), ("/chunks", 51), ("/packed", 200_001)) * 2:
        assert asked.fetch(Request("x", path)).body.count(b"1") == values
    assert len({port for _, port in seen}) == 1
