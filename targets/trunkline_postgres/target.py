"""The command `target-postgres`: its settings, called as those of the published target of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from trunkline.redact import redactor
from trunkline_loader.target import ADD_RECORD_METADATA, BATCH_SIZE_ROWS, LoadingTarget
from trunkline_postgres.connection import Access, BadUrl, from_url
from trunkline_postgres.store import PostgreSQL

if TYPE_CHECKING:
    from trunkline_loader.store import Store

SCHEMA = "melty"
"""Default of `default_target_schema`, as the published target has it."""

_THE_TAPS = "is not offered: mapping and flattening are the tap's, which does them before a key is made; set it there"
REFUSED = {
    **dict.fromkeys(("stream_maps", "stream_map_config", "faker_config"), _THE_TAPS),
    **{f"flattening_{name}": _THE_TAPS for name in ("enabled", "max_depth", "max_key_length", "separator")},
    "use_copy": "is not needed: every batch is copied; leave it out",
    "sanitize_null_text_characters": "is not needed: NUL characters are always replaced; leave it out",
    "validate_records": "is not needed: every record is checked while it is decoded; leave it out",
    "process_activate_version_messages": "is called activate_version here",
    "interpret_content_encoding": "is not offered: a text is stored as it comes; leave it out",
    "dialect+driver": "is not needed: leave it out",
    "ssh_tunnel": "is not offered: open the tunnel beside it (ssh -L), and give its end as host and port",
}
"""Settings of the published target that this one has no use for, with the reason."""


def _text(title: str, description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], "minLength": 1, "title": title, "description": description, **more}


def _switch(title: str, description: str, *, default: bool) -> dict[str, Any]:
    return {"type": ["boolean", "null"], "default": default, "title": title, "description": description}


class TargetPostgres(LoadingTarget):
    """Loads streams into PostgreSQL in bulk: upsert on the key, instants as timestamptz, nested values as jsonb."""

    name = "target-postgres"
    refused = REFUSED
    alternatives: ClassVar[list[list[str]]] = [["sqlalchemy_url"], ["host", "user", "database"]]
    """Settings of which one group is needed."""
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "sqlalchemy_url": _text(
                "URL",
                "The database as a URL, in the forms of SQLAlchemy and libpq: postgresql://user:password@host:5432/"
                "database, with or without a driver's name (postgresql+psycopg://). It takes the place of host, port, "
                "user, password, database and the ssl settings; TLS is in its query then (?sslmode=verify-full).",
                secret=True,
            ),
            "host": _text("Host", "Name or address of the server, or the folder of its socket."),
            "port": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 65535,
                "default": 5432,
                "title": "Port",
                "description": "Port of the server.",
            },
            "user": _text("User", "Who loads. CREATE and TEMPORARY on the database are enough for a new schema."),
            "password": _text("Password", "The user's password.", secret=True),
            "database": _text("Database", "The database, which must exist."),
            "default_target_schema": _text(
                "Schema", "The schema that gets one table a stream; made if it is missing.", default=SCHEMA
            ),
            "load_method": _text(
                "Load method",
                "upsert: a record replaces the row with its key. append-only: every record is a row. overwrite: a "
                "stream's table is emptied with the run's first batch, then upserted.",
                enum=["upsert", "append-only", "overwrite"],
                default="upsert",
            ),
            "batch_size_rows": dict(BATCH_SIZE_ROWS),
            "add_record_metadata": dict(ADD_RECORD_METADATA),
            "activate_version": _switch("Versions", "Whether ACTIVATE_VERSION messages are obeyed.", default=True),
            "hard_delete": _switch(
                "Hard delete",
                "Whether rows that ACTIVATE_VERSION makes old are deleted; otherwise _sdc_deleted_at is set.",
                default=False,
            ),
            "ssl_enable": _switch("TLS", "Whether the connection is encrypted, as ssl_mode sets it.", default=False),
            "ssl_mode": _text(
                "TLS mode",
                "How far the server is checked. verify-full: its certificate and its name.",
                enum=["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
                default="verify-full",
            ),
            "ssl_certificate_authority": _text(
                "Certificate authority",
                "The authority that signed the server's certificate: a path, or the PEM text itself. Without it, "
                "libpq's own: ~/.postgresql/root.crt.",
            ),
            "ssl_client_certificate_enable": _switch(
                "Client certificate", "Whether the client shows a certificate.", default=False
            ),
            "ssl_client_certificate": _text("Client certificate", "The certificate: a path, or the PEM text itself."),
            "ssl_client_private_key": _text(
                "Client key", "Its private key: a path, or the PEM text itself.", secret=True
            ),
            "ssl_storage_directory": _text(
                "Certificate folder",
                "Where certificates that are given as text stand during a run, in a folder for the owner alone; the "
                "system's temporary folder if not set.",
            ),
        },
    }

    def open_store(self) -> Store:
        """Return the database that the settings name, not yet connected to."""
        config = self.config
        return PostgreSQL(
            Access(config),
            config.get("default_target_schema") or SCHEMA,
            self.logger,
            load_method=config.get("load_method") or "upsert",
            hard_delete=bool(config.get("hard_delete")),
            activate_version=config.get("activate_version") is not False,
        )

    def problems(self, given: dict[str, Any]) -> list[str]:
        """Return the problems of the URL, and whether there is any database at all, a line each."""
        url = given.get("sqlalchemy_url")
        redactor.add([value for name in ("password", "sqlalchemy_url") if isinstance(value := given.get(name), str)])
        if not url:
            missing = [name for name in ("host", "user", "database") if not given.get(name)]
            return [f"{name} is missing: give it ({self.variable(name)}), or sqlalchemy_url" for name in missing]
        if not isinstance(url, str):
            return []
        try:
            redactor.add([str(value) for name, value in from_url(url).items() if name in {"password", "sslpassword"}])
        except BadUrl as problem:
            return [f"sqlalchemy_url {problem} ({self.variable('sqlalchemy_url')})"]
        return []
