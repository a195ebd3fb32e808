"""Serving the sandbox: in a thread for tests and demos, or in the foreground as a command."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline_sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import uvicorn

_START_SECONDS = 10.0


@dataclass(frozen=True)
class Running:
    """A sandbox that listens on loopback.

    Attributes:
        url: `http://127.0.0.1:<port>`.
        sandbox: The one behind it: change its data, faults and knobs at any time.
    """

    url: str
    sandbox: Sandbox

    def api_url(self, vendor: str) -> str:
        """Return the vendor's `api_url`."""
        return self.sandbox.api_url(vendor, self.url)

    def config(self, vendor: str) -> dict[str, Any]:
        """Return a tap's whole config for the vendor."""
        return self.sandbox.config(vendor, self.url)


@contextmanager
def running(sandbox: Sandbox | None = None, **options: Any) -> Iterator[Running]:
    """Serve a sandbox on a free port of 127.0.0.1 until the block ends.

    Args:
        sandbox: The one to serve; without it, `Sandbox(**options)`.
        **options: Arguments of `Sandbox`.

    Raises:
        TypeError: When both a sandbox and options are given.
        RuntimeError: When the server does not start within ten seconds.
    """
    if sandbox is not None and options:
        raise TypeError("give running() a sandbox or the options of one, not both")
    served = sandbox if sandbox is not None else Sandbox(**options)
    listener = listen("127.0.0.1", 0)
    host = server(served)
    thread = threading.Thread(target=host.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    try:
        _wait_for(host, thread)
        yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", served)
    finally:
        host.should_exit = host.force_exit = True
        thread.join(timeout=_START_SECONDS)
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket: clients may connect before the server has started.

    Raises:
        OSError: When the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets marked as TCP; with it a response takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(512)
    return listener


def server(sandbox: Sandbox) -> uvicorn.Server:
    """Return a uvicorn server that keeps quiet: no access log, no warnings about the connections that faults break."""
    import uvicorn

    from trunkline_sandbox.app import BreakableProtocol, create_app

    return uvicorn.Server(
        uvicorn.Config(
            create_app(sandbox),
            http=BreakableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def _wait_for(host: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + _START_SECONDS
    while not host.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError("the sandbox did not start: see the error above")
        time.sleep(0.005)
