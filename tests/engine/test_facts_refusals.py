"""Words for a no in the body of a response: what each makes of it, by the vendor's own field names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_evolux import TapEvolux
from trunkline.errors import AccessDenied, Refused
from trunkline.facts import CodeInBody, ErrorInBody, StatusInBody
from trunkline.steps.fetch.exchange import Request, Retriable

if TYPE_CHECKING:
    from trunkline.facts.refusals import HttpErrors

STATUS = StatusInBody("meta.status", message="meta.message")
ERROR = ErrorInBody("error", success="success")
FOUND = ErrorInBody("error", success="status", not_found=True, denied="not allowed", remedy="Check it")
MAY = ErrorInBody("error", success="status", not_found=True, forbidden="not allowed", remedy="Check it")
CODE = CodeInBody("Status.Code", "Code", message="Words", denied="denied|login", refused="bad", rows="Rows")
LOCK = CodeInBody("Status.Code", message="Words", denied="denied", rows="Rows", total="Total", locks_out=True)


def tap(errors: HttpErrors) -> TapEvolux:
    """A tap whose vendor says no like that."""
    made = TapEvolux(config={"api_url": "https://vendor.example", "api_token": "sesame", "start_date": "2026-01-01"})
    vars(made)["errors"] = errors
    return made


def outcome(errors: HttpErrors, status: int, body: bytes) -> tuple[type[Exception] | None, str]:
    """What is raised for a response, and its words."""
    made = tap(errors)
    try:
        made.refuse(Request("it", "/", personal=("+48221234567",)), status, body)
    except (AccessDenied, Refused, Retriable) as exc:
        return type(exc), str(exc)
    return None, ""


@pytest.mark.parametrize(
    ("errors", "status", "body", "kind", "words"),
    [
        (STATUS, 200, b'{"meta":{"status":404,"message":"no"}}', Refused, "meta.status of an HTTP 200 404: no"),
        (STATUS, 200, b'{"meta":{"status":401}}', AccessDenied, "Check api_token"),
        (STATUS, 200, b'{"meta":{"status":503,"message":7}}', Retriable, "503"),
        (STATUS, 200, b'{"meta":{"status":200,"message":"fine"},"data":[]}', None, ""),
        (STATUS, 500, b'{"meta":{"status":404}}', None, ""),
        (STATUS, 200, b'{"meta":[]}', None, ""),
        (STATUS, 200, b"no JSON", None, ""),
        (ERROR, 200, b'{"data":[],"error":"over quota"}', Retriable, "reports an error"),
        (ERROR, 200, b'{"data":[],"success":false}', Retriable, "reports an error"),
        (ERROR, 200, b'{"data":[{"error":"x"}],"success":true,"error":null}', None, ""),
        (ERROR, 404, b'{"error":"gone"}', None, ""),
        (FOUND, 200, b'{"status":false,"error":"no +48221234567"}', Refused, "refused it (HTTP 200). Check it"),
        (FOUND, 200, b'{"status":false,"error":"Not allowed"}', AccessDenied, "Not allowed"),
        (MAY, 200, b'{"status":false,"error":"Not allowed to +48221234567"}', Refused, "403: Not allowed"),
        (MAY, 403, b'{"status":false,"error":"Not allowed"}', Refused, "as if 403"),
        (MAY, 401, b'{"status":false,"error":"Not allowed"}', None, ""),
        (FOUND, 200, b'{"status":false}', None, ""),
        (FOUND, 200, b'{"status":true,"error":"x"}', None, ""),
        (FOUND, 401, b'{"status":false,"error":"x"}', None, ""),
        (FOUND, 503, b'{"status":false,"error":"x"}', None, ""),
        (CODE, 500, b'{"d":{"status":{"CODE":"LoginFailed"}}}', AccessDenied, "LoginFailed"),
        (CODE, 500, b'{"code":"x","words":"login sesame"}', AccessDenied, "responded with x"),
        (CODE, 200, b'{"Status":{"Code":"BadDate","Words":"sesame"}}', Refused, "responded with BadDate"),
        (CODE, 200, b'{"Status":{"Code":"Deadlock"}}', Retriable, "Deadlock"),
        (CODE, 500, b'{"Status":{"Code":"Deadlock"}}', None, ""),
        (CODE, 200, b'{"Status":{"Code":"Ok"},"Rows":[]}', None, ""),
        (CODE, 200, b'{"Code":"BadDate","Rows":[]}', None, ""),
        (CODE, 200, b'{"a":{"a":{"a":{"a":{"Code":"BadDate"}}}}}', None, ""),
    ],
)  # fmt: skip
def test_g2_a_no_in_a_body_is_what_the_facts_say(
    errors: HttpErrors, status: int, body: bytes, kind: type[Exception] | None, words: str
) -> None:
    """Ended, refused or tried again; never a success, and nobody's secret or number in the words."""
    raised, text = outcome(errors, status, body)
    assert raised is kind
    assert words in text
    assert "sesame" not in text
    assert "+48221234567" not in text


@pytest.mark.parametrize(
    ("errors", "body", "answers"),
    [
        (FOUND, b'{"status":false}', True),
        (FOUND, b'{"status":false,"error":"x"}', False),
        (FOUND, b"{}", False),
        (ERROR, b'{"success":false}', False),
    ],
)
def test_g2_only_a_404_that_says_so_means_that_nothing_was_found(
    errors: HttpErrors, body: bytes, *, answers: bool
) -> None:
    """A 404 of a wrong address is no empty answer."""
    assert tap(errors).is_success(404, body) is answers
    assert tap(errors).is_success(200, body)


def test_g7_only_words_that_are_fit_to_be_shown_are_a_reason() -> None:
    """A message that may repeat what was sent is none."""
    body = b'{"meta":{"message":"m"},"error":"sesame","Status":{"Code":"c","Words":"sesame"}}'
    reasons: list[Any] = [tap(errors).reason(body) for errors in (STATUS, StatusInBody("meta.status"), ERROR, CODE)]
    assert reasons == ["m", "", "", "c"]


@pytest.mark.parametrize("status", [200, 400, 404])
def test_g6_the_second_no_before_a_success_ends_the_tap_where_it_locks_out(status: int) -> None:
    """Whatever its form; rows, and faults of a server, are none."""
    made, request = tap(LOCK), Request("it", "/")
    for passing in ((503, b"down"), (429, b""), (204, b""), (200, b'{"Total":0}'), (200, b'{"Rows":[]}')):
        made.refuse(request, *passing)
    made.refuse(request, status, b'{"x":"no"}')
    with pytest.raises(AccessDenied, match="second no before any success"):
        made.refuse(request, status, b"no")


def test_after_a_success_no_number_of_noes_is_about_the_credentials() -> None:
    """They were right a moment ago."""
    made, request = tap(LOCK), Request("it", "/")
    made.client.succeeded.set()
    for _ in range(3):
        made.refuse(request, 404, b"no")
