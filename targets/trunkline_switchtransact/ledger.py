"""The ledger: one SQLite file that knows of every write before it is sent and how it ended.

The vendor's writes can't be undone and carry no key of ours: only what is noted here keeps a record from being written
twice. An intent is on disk (WAL, synchronous=FULL) before its request leaves, its outcome after the response came. What
has an intent and no outcome is in doubt: the process was killed in between, or the response was lost.

The body of a request is kept while it is in doubt, so that it can be looked up or sent again; then it is overwritten.
Of what a record is known by, a keyed hash is kept: a phone number has so few digits that a plain hash of it is found by
trying them all. The key is random and stands in the ledger alone, so that what a log shows reveals nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import stat
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trunkline_loader.errors import shown
from trunkline_switchtransact.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITTEN, REJECTED, SKIPPED = "written", "rejected", "skipped"
"""Outcomes; an intent has none yet."""

LOCK_WAIT = 10.0
"""Seconds to wait for another process to let go of the ledger."""

_RETRY = 0.05  # seconds between two tries to lock the file
_APPLICATION = 0x54_4C_53_54  # "TLST": distinguishes our file from any other SQLite file
_VERSION = 2
_UNKEYED = 1  # the version before: its hashes were plain ones
_LABEL = 12  # hex digits of an identity that a log shows
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE writes (
    number INTEGER PRIMARY KEY,
    identity BLOB NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    content BLOB NOT NULL,
    gist BLOB,
    place TEXT NOT NULL,
    outcome TEXT,
    body TEXT,
    sent_at REAL NOT NULL,
    settled_at REAL
);
CREATE INDEX by_content ON writes (content);
CREATE INDEX by_gist ON writes (gist);
CREATE INDEX in_doubt ON writes (number) WHERE outcome IS NULL;
"""


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger: everything it holds about a record.

    Args:
        identity: What the record is known by (see `Ledger.keyed`).
        stream: Its stream.
        content: Keyed hash of its body.
        place: Where it stood in the input that it was sent from, in words.
        body: What was to be sent; empty when it is not needed any more.
        outcome: How it ended; None while it is in doubt.
        sent_at: When a request for it was about to leave, in seconds since 1970.
        gist: Keyed hash of what a look-up compares, to be noted; None where nothing can be looked up.
    """

    identity: bytes
    stream: str
    content: bytes
    place: str
    body: dict[str, str]
    outcome: str | None = None
    sent_at: float = 0.0
    gist: bytes | None = None


class Ledger:
    """The ledger of records written, refused and in doubt. Safe to use from many threads.

    Args:
        path: The file; made, with its folder, if it is missing.
        api_url: The account's address: what is written there shows nothing about another one.
        api_key: Only its salted hash is kept, to notice that it is another one.
        read_only: Note nothing, and make no file (`dry_run`).
        lock_wait: Seconds to wait for another process to let go of the file.
        clock: Seconds since 1970.
    """

    def __init__(  # noqa: PLR0913 - each is one fact about the file
        self,
        path: Path,
        *,
        api_url: str,
        api_key: str,
        read_only: bool = False,
        lock_wait: float = LOCK_WAIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.api_url, self.read_only, self.clock = path, api_url.rstrip("/"), read_only, clock
        self.key_changed = False
        self._api_key, self._lock_wait = api_key, lock_wait
        self._hash_key = secrets.token_bytes(32)
        self._unkeyed = False
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    # -- opening -------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the file for this process alone, until `close` or the process's end.

        Raises:
            LedgerError: Another process has it, it belongs to another account, or it is no ledger.
        """
        with self._explained("opened"):
            nothing = self._is_nothing()
            if not self.read_only and nothing:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # A body that is in doubt is personal: it is for the owner alone.
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._connect(":memory:" if self.read_only and nothing else str(self.path))
            try:
                self._recognise()
            except BaseException:
                self._execute("ROLLBACK")
                raise
            self._execute("COMMIT")
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that of plain hashes taken over none is left
            self._execute("CREATE TEMP TABLE seen (identity BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID")

    def _connect(self, place: str) -> None:
        """Connect and lock the file, which another process may have for as long as `lock_wait`.

        SQLite does not wait in every case: of two processes that change a new file's journal at once it refuses one
        immediately, because each would wait for the other.
        """
        until = time.monotonic() + self._lock_wait
        while True:
            left = max(until - time.monotonic(), 0)
            self._connection = sqlite3.connect(place, timeout=left, isolation_level=None, check_same_thread=False)
            try:
                # Held by the system for as long as the process lives, also against one started after a kill -9.
                for setting in (
                    "locking_mode = EXCLUSIVE",
                    "journal_mode = WAL",
                    "synchronous = FULL",
                    "secure_delete = ON",
                ):
                    self._execute(f"PRAGMA {setting}")
                self._execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc) or time.monotonic() >= until:
                    raise
                self._connection.close()
                time.sleep(_RETRY)
            else:
                return

    def _is_nothing(self) -> bool:
        """Return whether there is no ledger yet: no file, or an empty one."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return True
        if not stat.S_ISREG(found.st_mode):  # a device takes everything and remembers nothing
            raise self._refused("it is no file", "Set ledger to the path of a file")
        return not found.st_size

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):  # what was noted is on disk: there is nothing left to fail
                    self._connection.close()
                self._connection = None

    def _recognise(self) -> None:
        """Make the tables of a new file; check that an old one is this account's."""
        if self._value("PRAGMA application_id") != _APPLICATION:
            if self._value("SELECT count(*) FROM sqlite_master"):
                raise self._refused("it is an SQLite file of something else", "Set ledger to another path")
            for statement in _TABLES.split(";"):
                self._execute(statement)
            self._execute(f"PRAGMA application_id = {_APPLICATION}")
            self._execute(f"PRAGMA user_version = {_VERSION}")
            self._about("api_url", self.api_url)
            self._about("salt", secrets.token_hex(16))
            self._about("hash_key", self._hash_key.hex())
        self._unkeyed = self._value("PRAGMA user_version") == _UNKEYED
        if not self._unkeyed and self._value("PRAGMA user_version") != _VERSION:
            raise self._refused("a newer release of this target has written it", "Use that release, or a newer one")
        known = self._value("SELECT value FROM about WHERE name = 'api_url'")
        if known != self.api_url:
            raise self._refused(
                f"it belongs to {known}, and what was written there has nothing about {self.api_url}",
                "Set ledger to a path of its own for each account",
            )
        if not self._unkeyed:
            self._hash_key = bytes.fromhex(self._value("SELECT value FROM about WHERE name = 'hash_key'"))
        elif not self.read_only:
            self._take_over()
        self._remember_key()

    def _take_over(self) -> None:
        """Key the hashes of a ledger whose hashes are plain: what it knows stays known, by hashes of these hashes."""
        self._unkeyed = False
        assert self._connection is not None  # noqa: S101 - it has just been opened
        self._connection.create_function("keyed", 1, self.keyed, deterministic=True)
        self._execute("ALTER TABLE writes ADD COLUMN gist BLOB")
        self._execute("CREATE INDEX by_gist ON writes (gist)")
        self._execute("UPDATE writes SET identity = keyed(identity), content = keyed(content)")
        self._about("hash_key", self._hash_key.hex())
        self._execute(f"PRAGMA user_version = {_VERSION}")

    def _remember_key(self) -> None:
        salt = str(self._value("SELECT value FROM about WHERE name = 'salt'"))
        mark = hashlib.sha256(f"{salt}{self._api_key}".encode()).hexdigest()[:16]
        known = self._value("SELECT value FROM about WHERE name = 'key'")
        self.key_changed = known is not None and known != mark
        if known != mark and not self.read_only:
            self._about("key", mark)

    def _about(self, name: str, value: str) -> None:
        self._execute("INSERT OR REPLACE INTO about VALUES (?, ?)", name, value)

    # -- who a record is -----------------------------------------------------------------------------------------------

    def keyed(self, digest: bytes) -> bytes:
        """Return the HMAC of a hash, as the ledger keeps it; of an old ledger that must not change, the bare hash."""
        return digest if self._unkeyed else hmac.digest(self._hash_key, digest, "sha256")

    def label(self, identity: bytes) -> str:
        """Return the beginning of an identity as a log shows it: `hex(identity)` in the ledger begins so."""
        return (hmac.digest(self._hash_key, identity, "sha256") if self._unkeyed else identity).hex()[:_LABEL]

    # -- reading -------------------------------------------------------------------------------------------------------

    def find(self, identity: bytes) -> Entry | None:
        """Return the entry of a record; None when there is none."""
        with self._explained("read"):
            row = self._execute(f"{_SELECT} WHERE identity = ?", identity).fetchone()
        return _entry(row) if row else None

    def doubtful(self) -> list[Entry]:
        """Return every intent without an outcome, in the order they were first sent in."""
        with self._explained("read"):
            return [_entry(row) for row in self._execute(f"{_SELECT} WHERE outcome IS NULL ORDER BY number")]

    def has_twin(self, entry: Entry) -> bool:
        """Return whether another record with the same content was sent: what is found at the vendor may be that one."""
        with self._explained("read"):
            found = self._value(
                "SELECT EXISTS (SELECT 1 FROM writes WHERE content = ? AND identity <> ? AND outcome IS NOT 'rejected' "
                "UNION ALL SELECT 1 FROM writes WHERE gist = ? AND identity <> ? AND outcome IS NOT 'rejected')",
                entry.content,
                entry.identity,
                entry.gist,
                entry.identity,
            )
        return bool(found)

    def ordinal(self, identity: bytes) -> int:
        """Count the equal records of this input, this one included. On disk: an input may be of any length."""
        with self._explained("written"):
            self._execute(
                "INSERT INTO seen VALUES (?, 1) ON CONFLICT (identity) DO UPDATE SET number = number + 1",
                self.keyed(identity),
            )
            return int(self._value("SELECT number FROM seen WHERE identity = ?", self.keyed(identity)))

    # -- noting --------------------------------------------------------------------------------------------------------

    @contextmanager
    def together(self) -> Iterator[None]:
        """Put everything noted inside on disk at the end, at the price of one wait for the disk.

        Raises:
            LedgerError: It could not be written; nothing of it is noted then.
        """
        with self._lock, self._explained("written"):
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):
                    self._execute("ROLLBACK")
                raise
            self._execute("COMMIT")

    def intend(self, entry: Entry) -> None:
        """Note that a record is about to be sent, or sent again."""
        with self._explained("written"):
            self._execute(
                "INSERT INTO writes (identity, stream, content, gist, place, body, sent_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET content = excluded.content, "
                "gist = excluded.gist, place = excluded.place, body = excluded.body, sent_at = excluded.sent_at, "
                "outcome = NULL, settled_at = NULL",
                entry.identity,
                entry.stream,
                entry.content,
                entry.gist,
                entry.place,
                json.dumps(entry.body),
                self.clock(),
            )

    def again(self, identity: bytes) -> float:
        """Note that the request of an intent is about to leave once more, and return the moment."""
        now = self.clock()
        with self._explained("written"):
            self._execute("UPDATE writes SET sent_at = ? WHERE identity = ?", now, identity)
        return now

    def settle(self, identity: bytes, outcome: str) -> None:
        """Note how a write ended; its body is not kept any longer."""
        with self._explained("written"):
            self._execute(
                "UPDATE writes SET outcome = ?, body = NULL, settled_at = ? WHERE identity = ?",
                outcome,
                self.clock(),
                identity,
            )

    def withdraw(self, identity: bytes) -> None:
        """Forget an intent that was provably not acted on."""
        with self._explained("written"):
            self._execute("DELETE FROM writes WHERE identity = ? AND outcome IS NULL", identity)

    # -- SQLite --------------------------------------------------------------------------------------------------------

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        with self._lock:
            if self._connection is None:
                raise sqlite3.ProgrammingError("the ledger is closed")
            return self._connection.execute(statement, values)

    def _value(self, statement: str, *values: Any) -> Any:
        row = self._execute(statement, *values).fetchone()
        return row[0] if row else None

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Turn errors of SQLite and the system into a sentence for a user."""
        try:
            yield
        except sqlite3.OperationalError as exc:
            if "locked" in str(exc):
                raise self._refused(
                    "another process has it open",
                    "Let one target at a time write with a ledger; if none seems to run, look for one that hangs",
                ) from None
            raise self._failed(done, exc) from None
        except (sqlite3.Error, OSError) as exc:
            raise self._failed(done, exc) from None

    def _failed(self, done: str, exc: Exception) -> LedgerError:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        return LedgerError(
            f"the ledger {shown(self.path)} can't be {done}",
            why,
            "See to the disk, the path and its rights. Don't remove the file: it knows what was written",
        )

    def _refused(self, why: str, remedy: str) -> LedgerError:
        return LedgerError(f"the ledger {shown(self.path)} can't be used", why, remedy)


_SELECT = "SELECT identity, stream, content, place, body, outcome, sent_at FROM writes"


def _entry(row: tuple[Any, ...]) -> Entry:
    identity, stream, content, place, body, outcome, sent_at = row
    return Entry(identity, stream, content, place, json.loads(body) if body else {}, outcome, sent_at)
