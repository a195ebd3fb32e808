"""`/_sandbox/...`: reading and changing the sandbox over HTTP. Every response is JSON."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline_sandbox import faults
from trunkline_sandbox.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline_sandbox.sandbox import Sandbox

NDJSON = "application/x-ndjson"


def handle(sandbox: Sandbox, request: Request) -> Response:
    """Return the response to an admin request; 400 names what was wrong with it."""
    for method, path, route in _ROUTES:
        found = path.fullmatch(request.path)
        if found and method == request.method:
            try:
                return route(sandbox, request, *found.groups())
            except (ValueError, msgspec.DecodeError) as problem:
                return Response.json({"error": str(problem)}, 400)
    known = ", ".join(f"{method} {path.pattern}" for method, path, _ in _ROUTES)
    return Response.json({"error": f"no {request.method} {request.path}: there are {known}"}, 404)


def _health(sandbox: Sandbox, _: Request) -> Response:
    streams = {name: list(vendor.streams) for name, vendor in sandbox.vendors.items()}
    return Response.json({"status": "ok", "vendors": streams})


def _truth(sandbox: Sandbox, request: Request, vendor: str, stream: str) -> Response:
    rows = sandbox.truth(vendor, stream, hidden=request.get("hidden") == "true")
    if request.get("format") == "lines" or NDJSON in request.headers.get("accept", ""):
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        return Response(200, (("Content-Type", NDJSON),), lines)
    return Response.json(rows)


def _rows(sandbox: Sandbox, request: Request, vendor: str, stream: str) -> Response:
    rows = _objects(request)
    before = request.get("before_request")
    sandbox.upsert(vendor, stream, rows, before_request=None if before is None else int(before))
    return Response.json({"rows": len(rows), "before_request": before})


def _delete_rows(sandbox: Sandbox, request: Request, vendor: str, stream: str) -> Response:
    return Response.json({"deleted": sandbox.delete(vendor, stream, _objects(request))})


def _faults(sandbox: Sandbox, _: Request) -> Response:
    rules = [asdict(fault) for fault in sandbox.faults]
    return Response.json({"faults": rules, "fired": sandbox.faults.fired()})


def _add_faults(sandbox: Sandbox, request: Request) -> Response:
    sandbox.faults.add(*[faults.of(values) for values in _objects(request)])
    return _faults(sandbox, request)


def _clear_faults(sandbox: Sandbox, request: Request) -> Response:
    sandbox.faults.clear()
    return _faults(sandbox, request)


def _knobs(sandbox: Sandbox, request: Request, vendor: str) -> Response:
    values = _object(request) if request.body else {}
    return Response.json(sandbox.knobs(vendor, **values))


def _requests(sandbox: Sandbox, request: Request) -> Response:
    vendor = request.get("vendor")
    entries = [asdict(entry) for entry in sandbox.requests if vendor in (None, entry.vendor)]
    return Response.json({"max_in_flight": sandbox.requests.max_in_flight, "requests": entries})


def _clear_requests(sandbox: Sandbox, _: Request) -> Response:
    sandbox.requests.clear()
    return Response.json({"requests": []})


def _reset(sandbox: Sandbox, request: Request) -> Response:
    values = _object(request) if request.body else {}
    unknown = set(values) - {"seed", "size", "days"}
    if unknown or not all(isinstance(value, int) for value in values.values()):
        raise ValueError("reset takes the whole numbers seed, size and days")
    sandbox.reset(**values)
    return Response.json({"status": "ok"})


def _object(request: Request) -> dict[str, Any]:
    value = msgspec.json.decode(request.body)
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - what was sent is wrong, not its Python type
    return value


def _objects(request: Request) -> list[dict[str, Any]]:
    value = msgspec.json.decode(request.body)
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in values):
        raise ValueError("the body must be a JSON object or a list of them")
    return values


_STREAM = r"([^/]+)/([^/]+)"
_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...] = tuple(
    (method, re.compile(f"/_sandbox/{path}"), route)
    for method, path, route in (
        ("GET", "health", _health),
        ("GET", f"truth/{_STREAM}", _truth),
        ("POST", f"rows/{_STREAM}", _rows),
        ("DELETE", f"rows/{_STREAM}", _delete_rows),
        ("GET", "faults", _faults),
        ("POST", "faults", _add_faults),
        ("DELETE", "faults", _clear_faults),
        ("GET", "knobs/([^/]+)", _knobs),
        ("POST", "knobs/([^/]+)", _knobs),
        ("GET", "requests", _requests),
        ("DELETE", "requests", _clear_requests),
        ("POST", "reset", _reset),
    )
)
