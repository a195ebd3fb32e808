"""`python -m trunkline_sandbox`: the five vendors on loopback, for taps, curl and people without an account."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import date

import msgspec

from trunkline_sandbox.faults import Fault
from trunkline_sandbox.sandbox import Sandbox
from trunkline_sandbox.server import listen, server
from trunkline_sandbox.world import ending_yesterday


def main(arguments: list[str] | None = None, prog: str = "python -m trunkline_sandbox") -> int:
    """Serve until a signal comes.

    Args:
        arguments: Of the command line.
        prog: How the help names the command.

    Returns:
        2 when the port is taken or the server is not installed; else it ends by the signal.
    """
    options = _options(arguments, prog)
    first_day = options.first_day or ending_yesterday(options.days)
    sandbox = Sandbox(options.seed, options.size, options.days, first_day=first_day, latency=options.latency)
    if options.fault_rate:
        share = options.fault_rate / 4
        sandbox.faults.add(
            Fault("status", rate=share, status=503),
            Fault("status", rate=share, status=429, headers={"Retry-After": "1"}),
            Fault("reset", rate=share),
            Fault("cut", rate=share),
        )
    try:
        host = server(sandbox)
        listener = listen(options.host, options.port)
    except RuntimeError as problem:
        return _refuse(str(problem))
    except OSError as problem:
        return _refuse(f"can't listen on {options.host}:{options.port}: {problem}: choose another --port")
    name = f"[{options.host}]" if ":" in options.host else options.host
    _print(_welcome(sandbox, f"http://{name}:{listener.getsockname()[1]}"))
    # The server stops at this signal and then raises it again: by Python's handler it would end in a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    host.run(sockets=[listener])
    return 0


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - a command
    return 2


def _print(text: str) -> None:
    """Print; a reader that takes only the first line and closes the pipe does not end the server by it."""
    try:
        print(text, flush=True)  # noqa: T201 - a command
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(arguments: list[str] | None, prog: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Serve the five vendors' APIs with made-up data on this machine, for taps, curl and people without "
        "an account. Prints each vendor's address and credentials; ends with Ctrl-C.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8765, help="port (%(default)s); 0 picks a free one, which the first line names"
    )
    parser.add_argument("--seed", type=int, default=1, help="decides every value of the data (%(default)s)")
    parser.add_argument("--size", type=int, default=240, help="rows of each large stream (%(default)s)")
    parser.add_argument("--days", type=int, default=14, help="days that the rows are spread over (%(default)s)")
    text = "the first of these days, such as 2026-01-01; without it yesterday is the last one"
    parser.add_argument("--first-day", type=date.fromisoformat, metavar="DATE", help=text)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="wait before each response")
    parser.add_argument("--fault-rate", type=float, default=0.0, metavar="SHARE", help="of requests that fail, 0 to 1")
    return parser.parse_args(arguments)


def _welcome(sandbox: Sandbox, url: str) -> str:
    lines = [msgspec.json.encode({"url": url}).decode(), ""]
    for name, vendor in sandbox.vendors.items():
        config = sandbox.config(name, url)
        lines += [vendor.title, f"  api_url  {config['api_url']}"]
        lines += [f"  {key}  {config[key]}" for key, value in vendor.settings.items() if isinstance(value, str)]
        lines += [f"  curl -s {vendor.curl.format(url=config['api_url'], day=vendor.world.first_day)}", ""]
    lines.append(f"What a vendor holds: {url}/_sandbox/truth/evolux/studio_calls   Stop: Ctrl-C")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
