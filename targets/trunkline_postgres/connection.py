"""From settings to a connection: the URL in every form that SQLAlchemy and libpq know, or its parts; certificates."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = re.compile(r"(postgres|postgresql)(\+\w+)?://", re.IGNORECASE)
_FILES = {
    "ssl_certificate_authority": "sslrootcert",
    "ssl_client_certificate": "sslcert",
    "ssl_client_private_key": "sslkey",
}
_DEFAULTS = {
    "connect_timeout": "30",  # seconds
    "application_name": "target-postgres",
    "client_encoding": "UTF8",
    # A server that has gone without a word is noticed after a minute.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


class BadUrl(ValueError):  # noqa: N818 - reads as what it is
    """A text that is no URL of a PostgreSQL database; the message ends a sentence and holds nothing of the URL."""


def from_url(url: str) -> dict[str, Any]:
    """Return the parts of a URL.

    Args:
        url: `postgresql://`, `postgres://`, with or without a driver's name (`postgresql+psycopg2://`).

    Returns:
        libpq's parameters.

    Raises:
        BadUrl: It is another database's, or can't be read.
    """
    scheme = _SCHEME.match(url.strip())
    if not scheme:
        raise BadUrl("must begin with postgresql:// (a driver's name may follow: postgresql+psycopg://)")
    try:
        found = dict(conninfo_to_dict(f"postgresql://{url.strip()[scheme.end() :]}"))
    except (psycopg.Error, UnicodeError):
        found = {"port": "none"}
    if not all(not port or port.isdecimal() for port in str(found.get("port") or "").split(",")):
        raise BadUrl(
            "must be a URL such as postgresql://user:password@host:5432/database; a character of the password that "
            "means something in a URL is written with a percent sign: %40 for @, %2F for /, %20 for a space"
        )
    return found


class Access:
    """Parameters to connect with, and files for certificates that are given as text.

    Args:
        config: The target's settings, checked.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection, each statement of which is a transaction unless one is begun; its time zone is UTC.

        Raises:
            psycopg.Error: There is none.
            OSError: A certificate can't be read.
        """
        found = self.parameters()
        for setting, name in _FILES.items():
            # Libpq goes on without a client's certificate that is not there.
            if self._config.get(setting) and name in found and not Path(found[name]).exists():
                raise FileNotFoundError(errno.ENOENT, f"there is no file {found[name]} ({setting})")
        connection = psycopg.connect(make_conninfo(**{**_DEFAULTS, **found}), autocommit=True)
        connection.prepare_threshold = None  # statements are not repeated, and poolers keep no prepared ones
        for setting in ("TimeZone = 'UTC'", "DateStyle = 'ISO, YMD'", "statement_timeout = 0"):
            connection.execute(f"SET {setting}")
        return connection

    def parameters(self) -> dict[str, Any]:
        """Return libpq's parameters; the password is in none that another process can see."""
        config = self._config
        if config.get("sqlalchemy_url"):
            return from_url(config["sqlalchemy_url"])
        found = {name: config.get(name) for name in ("host", "port", "user", "password")}
        found["dbname"] = config.get("database")
        if config.get("ssl_enable"):
            found["sslmode"] = config.get("ssl_mode") or "verify-full"
            found["sslrootcert"] = self._file("ssl_certificate_authority")
        if config.get("ssl_client_certificate_enable"):
            found |= {_FILES[name]: self._file(name) for name in ("ssl_client_certificate", "ssl_client_private_key")}
        return {name: str(value) for name, value in found.items() if value is not None}

    @property
    def place(self) -> str:
        """The database in words, without user and password."""
        found = self.parameters()
        host, port = found.get("host") or found.get("hostaddr") or "localhost", found.get("port") or 5432
        return f"database {found.get('dbname') or found.get('user') or ''} at {host}:{port}"

    def close(self) -> None:
        """Remove the certificates that were given as text."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _file(self, setting: str) -> str | None:
        value = self._config.get(setting)
        if not value:
            return None
        if "-----BEGIN" not in value:
            return str(Path(value).expanduser())
        if self._folder is None:
            within = self._config.get("ssl_storage_directory")
            if within:
                Path(within).mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix="target-postgres-", dir=within)
        path = Path(self._folder.name) / setting
        # A private key: readable by the owner only, or libpq refuses it.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value.replace("\\n", "\n"))
        return str(path)
