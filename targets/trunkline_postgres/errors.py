"""Causes of a refusal by PostgreSQL, and remedies, in words that quote no record and no password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_ADVICE = {
    "08": "See that the server runs and can be reached, then run again",
    "22": "Correct the tap, or the column's type, then run again",
    "23505": "The table holds several rows for one key, or has a unique index of its own. Delete the surplus rows or "
    "drop the index, then run again",
    "23": "A record breaks a constraint that was added to the table. Drop the constraint or correct the tap, then run "
    "again",
    "25006": "The server takes no writes: give the primary's address, then run again",
    "28": "Check user and password, and the server's pg_hba.conf",
    "2BP01": "A view or a rule depends on the column. Drop it, run again, make it anew",
    "0A000": "A view or a rule depends on the column. Drop it, run again, make it anew",
    "3D000": "Make the database first (CREATE DATABASE), or correct `database`",
    "42501": "The user needs CREATE and TEMPORARY on the database (or CREATE and USAGE on the schema, if it is there), "
    "and INSERT, UPDATE and SELECT on tables that are there; a column is added or widened by the table's owner alone",
    "42": "Something made by other means is in the way, such as a view or a generated column. Rename it, then run "
    "again",
    "53100": "Make room on the server's disk, then run again",
    "53": "Give the server more memory or connections, or lower batch_size_rows, then run again",
    "54": "A key or row is too large for the table or its index. Correct the tap, then run again",
}
_CODES = {
    "08": "store-connect",
    "28": "store-access",
    "3D000": "store-access",
    "42501": "store-access",
    "53100": "disk-full",
}
_ANY = "Look at the server's log, then run again"
_UNREACHED = (
    "See that the server runs and can be reached, and that user, password and database are right, then run again"
)
_TLS = (
    "Check ssl_enable, ssl_mode, that ssl_certificate_authority has signed the server's certificate, that `host` is "
    "the name in it, and, where the server requires a certificate of the client, ssl_client_certificate and its key"
)
_OF_TLS = ("certificate", "SSL", "encryption", "private key")
# Messages of other classes may quote values of a record.
_QUOTES_VALUES = ("22", "23", "P0")
_AT = re.compile(r"COPY \w+, line \d+, column (\w+)")


def cause(problem: psycopg.Error) -> str:
    """Name the cause of a refusal, without a record's values; without a state, in libpq's own words."""
    state = problem.sqlstate or ""
    if not state:
        return " ".join(str(problem).split()).rstrip(".?") or type(problem).__name__
    if state.startswith(_QUOTES_VALUES):
        return f"{type(problem).__name__} ({state})"
    return (problem.diag.message_primary or type(problem).__name__).rstrip(".")


def advice(problem: psycopg.Error) -> str:
    """Return the remedy for an error, in one or two sentences."""
    state = problem.sqlstate
    if not state:  # while it connects, libpq has nothing but words
        return _TLS if any(word in str(problem) for word in _OF_TLS) else _UNREACHED
    return _ADVICE.get(state) or _ADVICE.get(state[:2], _ANY)


def code(problem: psycopg.Error | OSError) -> str:
    """Return the code of the error that PostgreSQL's becomes; empty for the class's own."""
    if isinstance(problem, OSError):  # a file of certificates that is not there
        return "config"
    state = problem.sqlstate
    return (_CODES.get(state) or _CODES.get(state[:2], "")) if state else "store-connect"


def place(problem: psycopg.Error) -> str | None:
    """Return the staged column that a value was refused for, if COPY names it."""
    found = _AT.search(problem.diag.context or "")
    return found[1] if found else None


def may_pass(problem: psycopg.Error, *, broken: bool) -> bool:
    """Return whether another try may succeed: the connection is lost, the server restarts, or two writers met.

    Args:
        problem: What was raised.
        broken: Whether the connection is of no more use.
    """
    state = problem.sqlstate or ""
    return (broken and not state) or state in {"57P01", "57P02", "57P03"} or state[:2] in {"08", "40"}
