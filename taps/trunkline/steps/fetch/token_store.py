"""The file that `token_store` names: refresh tokens that a vendor has replaced, so that the next run has the newest.

A refresh token that was replaced is worth nothing, and the new one is nowhere but here: the file is written as a whole
or not at all, readable by its owner alone, and two processes take turns.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

from trunkline.errors import AccessDenied
from trunkline.steps.fetch.client import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

_TURN = 0.1  # seconds between two looks whether another process is done


class TokenStore:
    """Keeps the newest refresh token of each account; a token that the config has anew begins another account.

    Args:
        path: The file; it need not be there.
        client_id: The client.
        refresh_token: The config's refresh token.
    """

    def __init__(self, path: Path, client_id: str, refresh_token: str) -> None:
        self._path = path.resolve()  # a link stays a link
        # The file may be shared by several accounts, and one that has authorized again must not get its old token.
        self._account = hashlib.sha256(msgspec.json.encode([client_id, refresh_token])).hexdigest()

    @contextlib.contextmanager
    def turn(self, cancelled: threading.Event) -> Iterator[None]:
        """Hold the file, from reading the token until its successor is in its place.

        Raises:
            AccessDenied: There can be no such file.
            Cancelled: The run ended while another process had it.
        """
        try:
            lock = self._open(".lock", os.O_RDWR)
        except OSError as exc:
            raise self._unusable(exc) from None
        try:
            _lock(lock, cancelled)
            yield
        finally:
            os.close(lock)

    def read(self) -> str | None:
        """Return the account's newest refresh token; None when the config's is the newest.

        Raises:
            AccessDenied: The file can't be read, or is another one.
        """
        return self._read().get(self._account)

    def check(self) -> None:
        """Write what is there once more, to find out before a token is used up whether its successor can be kept.

        Raises:
            AccessDenied: It can't.
        """
        try:
            self._write(self._read())
        except OSError as exc:
            raise self._unusable(exc) from None

    def write(self, refresh_token: str) -> None:
        """Keep the account's newest refresh token.

        Raises:
            OSError: It could not be written; what was there is still there.
        """
        self._write({**self._read(), self._account: refresh_token})

    def _read(self) -> dict[str, str]:
        try:
            content = self._path.read_bytes()
            return msgspec.json.decode(content, type=dict[str, str]) if content.strip() else {}
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._unusable(exc) from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise AccessDenied(
                "token_store could not be read",
                "the file holds something else than the refresh tokens that a run keeps in it",
                "Set token_store to a file of its own; one that does not exist is made",
                status=0,
                code="token-store",
            ) from None

    def _write(self, tokens: dict[str, str]) -> None:
        content = msgspec.json.format(msgspec.json.encode(tokens), indent=2) + b"\n"
        beside = self._beside(".new")
        beside.unlink(missing_ok=True)  # of a process that was killed; the lock is ours
        with os.fdopen(self._open(".new", os.O_WRONLY | os.O_EXCL), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        with contextlib.suppress(OSError, AttributeError):  # Windows opens no folders
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}{suffix}")

    def _open(self, suffix: str, flags: int) -> int:
        """Open a file beside it that is its owner's alone."""
        return os.open(self._beside(suffix), flags | os.O_CREAT, 0o600)

    @staticmethod
    def _unusable(exc: OSError) -> AccessDenied:
        return AccessDenied(
            "token_store can't be used",
            f"the file could not be read or replaced ({exc.strerror or type(exc).__name__}); no token was requested",
            "Set token_store to a file in a folder that this process may write to",
            status=0,
            code="token-store",
        )


def _lock(file: int, cancelled: threading.Event) -> None:
    """Wait until no other process has the lock.

    Raises:
        Cancelled: The run ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock: there two runs of one account at once are the user's own affair
        return
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if cancelled.wait(_TURN):
            raise Cancelled
