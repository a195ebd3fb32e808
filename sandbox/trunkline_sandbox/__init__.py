"""Five contact-centre vendors on loopback, true to their own pages, with faults on demand.

As a command, for taps and curl without an account:

    python -m trunkline_sandbox --port 8765

In a test, over HTTP:

    from trunkline_sandbox import running

    with running(size=500) as served:
        config = served.config("evolux")            # a whole tap config: api_url, credentials, start_date
        served.sandbox.fault("status", r"page=2", status=503, times=1)
        ...                                         # run the tap
        rows = served.sandbox.truth("evolux", "studio_calls")

In a test, without a socket (thousands of histories a minute):

    from trunkline_sandbox import Sandbox
    from trunkline_sandbox.transport import SandboxAdapter

    sandbox = Sandbox(size=20)
    session.mount("http://127.0.0.1", SandboxAdapter(sandbox))
    sandbox.on_request = lambda box, vendor, request, n: ...      # data that changes while it is read
    sandbox.upsert("bspk", "calls", [{...}])                      # add, or change by key
    sandbox.knobs("hostedsuite", page_base=1, start_time="us")    # what a vendor's page leaves open

Each vendor's `api_url` is a path: `/bspk`, `/switchtransact/api/1.0`, `/hostedsuite`, `/conpeek`, `/evolux`. The data
is made from a seed and a first day (2026-01-01 by default) and knows no clock; the command's data ends
yesterday. The samples that the vendors print are part of it.

Over HTTP the sandbox itself is under `/_sandbox/`: GET `health`, GET `truth/{vendor}/{stream}` (`?format=lines`), POST
and DELETE `rows/{vendor}/{stream}` (`?before_request=n` waits for the vendor's n-th request), GET, POST and DELETE
`faults`, GET and POST `knobs/{vendor}`, GET and DELETE `requests`, POST `reset`.

Another package adds a vendor with a class derived from `trunkline_sandbox.vendor.Vendor` under the entry point group
`trunkline.sandbox`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline_sandbox.faults import KINDS, Fault
from trunkline_sandbox.messages import Request, Response
from trunkline_sandbox.sandbox import Sandbox
from trunkline_sandbox.server import Running, running

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["KINDS", "Fault", "Request", "Response", "Running", "Sandbox", "create_app", "running"]


def create_app(sandbox: Sandbox) -> Starlette:
    """Return the sandbox as an ASGI application; see `trunkline_sandbox.app.create_app`."""
    from trunkline_sandbox import app

    return app.create_app(sandbox)
