"""What `target-postgres` promises about the server: TLS, certificates, rights, a full disk, another target's tables."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.night import at_night
from tests.targets.conftest import Loads
from tests.targets.test_duckdb import INSTANT, NUMBER, TEXT, WHOLE, row, schema, state

from trunkline_loader.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

# TLS. The server of the other tests is built without it: the system's own is taken where there is one.

_FOUND = [shutil.which("postgres"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")))]
POSTGRES = next((Path(found) for found in reversed(_FOUND) if found), None)
AS = {"user": "postgres", "group": "postgres"} if sys.platform != "win32" and os.geteuid() == 0 else {}
needs_tls = pytest.mark.skipif(
    POSTGRES is None or shutil.which("openssl") is None, reason="the system has no PostgreSQL, or no openssl"
)
_SETTINGS = """
listen_addresses = 'localhost'
port = {port}
unix_socket_directories = '{folder}'
fsync = off
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
ssl_ca_file = '{folder}/ca.crt'
"""
_ACCESS = """
local all all trust
hostssl all loader samehost trust
hostssl all carded samehost cert
"""


def _run(*command: str | Path, folder: Path) -> None:
    done = subprocess.run([str(one) for one in command], cwd=folder, capture_output=True, check=False, text=True, **AS)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr


def _certificate(folder: Path, name: str, subject: str, *more: str) -> None:
    """A key and a certificate; signed by the authority, unless it is one itself."""
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
    _run(
        "openssl",
        "req",
        "-x509",
        *new,
        "-days",
        "2",
        "-subj",
        f"/CN={subject}",
        "-out",
        f"{name}.crt",
        *more,
        folder=folder,
    )


@pytest.fixture(scope="module")
def tls() -> Iterator[dict[str, Any]]:
    """A server that takes nothing but TLS, its certificate for `localhost`; settings for the user `loader`."""
    assert POSTGRES
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as at:
        folder = Path(at)
        if AS:
            shutil.chown(folder, **AS)
        authority = ("-CA", "ca.crt", "-CAkey", "ca.key")
        _certificate(folder, "ca", "an authority")
        _certificate(folder, "server", "localhost", "-addext", "subjectAltName=DNS:localhost", *authority)
        _certificate(folder, "client", "carded", *authority)
        _certificate(folder, "stranger", "another authority")
        data = folder / "data"
        _run(POSTGRES.with_name("initdb"), "-A", "trust", "-U", "postgres", "--no-sync", "-D", data, folder=folder)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_SETTINGS.format(port=port, folder=folder))
        (data / "pg_hba.conf").write_text(_ACCESS, encoding="utf-8")
        control = POSTGRES.with_name("pg_ctl")
        _run(control, "-w", "-D", data, "-l", folder / "log", "start", folder=folder)
        try:
            url = f"postgresql://postgres@/postgres?host={folder}&port={port}"
            with psycopg.connect(url, autocommit=True) as connection:
                for user in ("loader", "carded"):
                    connection.execute(f"CREATE ROLE {user} LOGIN")
                    connection.execute(f"GRANT CREATE ON DATABASE postgres TO {user}")
            yield {
                "url": url, "folder": folder, "host": "localhost", "port": port, "user": "loader",
                "database": "postgres", "ssl_enable": True, "ssl_certificate_authority": str(folder / "ca.crt"),
            }  # fmt: skip
        finally:
            _run(control, "-D", data, "-m", "immediate", "stop", folder=folder)


def _settings(tls: dict[str, Any], **config: Any) -> tuple[Loads, dict[str, Any]]:
    """A schema of its own, and settings without a URL."""
    kept = {name: value for name, value in tls.items() if name not in {"url", "folder"}}
    return Loads(tls["url"]), {**kept, "sqlalchemy_url": None, **config}


@needs_tls
@pytest.mark.parametrize("inline", [False, True])
def test_g7_a_server_that_the_authority_has_signed_for_is_loaded_into(
    tls: dict[str, Any], tmp_path: Path, *, inline: bool
) -> None:
    """The authority is a file, or its text; nothing of it stays behind."""
    pg, config = _settings(tls)
    if inline:
        text = Path(config["ssl_certificate_authority"]).read_text(encoding="utf-8")
        config |= {"ssl_certificate_authority": text, "ssl_storage_directory": str(tmp_path)}
    pg(schema(), row(id="a"), **config)
    assert pg.query("SELECT id FROM calls") == [("a",)]
    assert not list(tmp_path.iterdir())


@needs_tls
@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {"host": "127.0.0.1"},
            r'certificate for "localhost".* does not match host name "127.0.0.1".*`host` is the name',
        ),
        (
            {"ssl_certificate_authority": "stranger.crt"},
            "certificate verify failed.*ssl_certificate_authority has signed",
        ),
        ({"ssl_certificate_authority": "missing.crt"}, r"no file .*missing.crt \(ssl_certificate_authority\)"),
        ({"user": "carded"}, "requires a valid client certificate.*ssl_client_certificate and its key"),
        (
            {"ssl_client_certificate_enable": True, "ssl_client_certificate": "missing.crt"},
            r"no file .*missing.crt \(ssl_client_certificate\)",
        ),
        ({"ssl_client_certificate_enable": True, "ssl_client_certificate": "client.crt"}, "private key.*and its key"),
    ],
)
def test_g7_a_certificate_that_is_not_right_is_a_clear_error(
    tls: dict[str, Any], config: dict[str, Any], why: str
) -> None:
    """Another name, another authority, no certificate: it names what was found and which settings to look at."""
    paths = {name: str(tls["folder"] / value) for name, value in config.items() if str(value).endswith(".crt")}
    pg, config = _settings(tls, **{**config, **paths})
    with pytest.raises(StoreError, match=why):
        pg(schema(), row(id="a"), **config)


@needs_tls
def test_a_mode_that_checks_less_connects_to_another_name(tls: dict[str, Any]) -> None:
    """`verify-ca` looks at the authority alone; where TLS is disabled, this server lets nobody in."""
    pg, config = _settings(tls, host="127.0.0.1", ssl_mode="verify-ca")
    pg(schema(), row(id="a"), **config)
    assert pg.query("SELECT id FROM calls") == [("a",)]
    with pytest.raises(StoreError, match="no encryption"):
        pg(schema(), row(id="b"), **{**config, "ssl_mode": "disable"})


@needs_tls
@pytest.mark.parametrize("inline", [False, True])
def test_a_client_certificate_takes_the_place_of_a_password(tls: dict[str, Any], *, inline: bool) -> None:
    """The certificate and its key are files, or their text."""
    shown = [tls["folder"] / f"client.{kind}" for kind in ("crt", "key")]
    certificate, key = (path.read_text(encoding="utf-8") if inline else str(path) for path in shown)
    pg, config = _settings(
        tls, user="carded",
        ssl_client_certificate_enable=True, ssl_client_certificate=certificate, ssl_client_private_key=key,
    )  # fmt: skip
    pg(schema(), row(id="a"), **config)
    assert pg.query("SELECT id FROM calls") == [("a",)]


# Rights


@pytest.fixture
def loader(pg: Loads, server: Any) -> Iterator[Loads]:
    """A user without any right of its own, and a database of its own; `query` is the owner's."""
    name = f"only_{pg.schema}"
    pg.query(f"CREATE ROLE {name} LOGIN")
    pg.query(f"CREATE DATABASE {name}")
    made = Loads(server.get_uri(name))
    made.query(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    made.query(f"GRANT CONNECT ON DATABASE {name} TO {name}")
    made.schema = name
    yield made
    pg.query(f"DROP DATABASE {name} WITH (FORCE)")
    pg.query(f"DROP ROLE {name}")


def test_create_and_temporary_are_all_the_rights_that_a_new_schema_needs(loader: Loads) -> None:
    """What is missing is named; with it, everything is made, and loaded once more."""
    name, url = loader.schema, loader.url.replace("postgres:@", f"{loader.schema}:@")
    for right, missing in (("CREATE", "for database"), ("TEMPORARY", "temporary tables")):
        with pytest.raises(StoreError, match=rf"permission denied .*{missing}.*needs CREATE and TEMPORARY"):
            loader(schema(), row(id="a"), sqlalchemy_url=url)
        loader.query(f"GRANT {right} ON DATABASE {name} TO {name}")
    for _ in range(2):
        loader(schema(id=TEXT, n=WHOLE), row(id="a"), row(id="b", n=2**70), sqlalchemy_url=url)
    assert loader.query("SELECT id FROM calls ORDER BY id") == [("a",), ("b",)]


def test_a_column_that_only_the_owner_may_add_is_a_clear_error(loader: Loads) -> None:
    """A user that may write to somebody else's table is told who must change it."""
    name, url = loader.schema, loader.url.replace("postgres:@", f"{loader.schema}:@")
    loader(schema(), row(id="a"))
    loader.query(f"GRANT TEMPORARY ON DATABASE {name} TO {name}")
    loader.query(f"GRANT USAGE ON SCHEMA {name} TO {name}")
    loader.query(f"GRANT SELECT, INSERT, UPDATE ON calls TO {name}")
    loader(schema(), row(id="b"), sqlalchemy_url=url)
    with pytest.raises(StoreError, match=r"must be owner of table calls.*by the table's owner alone"):
        loader(schema(id=TEXT, fresh=TEXT), row(id="c"), sqlalchemy_url=url)
    assert loader.query("SELECT id FROM calls ORDER BY id") == [("a",), ("b",)]


# A full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_g1_a_full_disk_of_the_server_loses_nothing(pg: Loads, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The state stays in, the error says to make room, and with room the same input is loaded."""
    pg(schema())
    found = pg.query("SELECT pg_relation_filepath('calls')")[0][0]
    file = Path(server.pgdata) / found
    kept = file.rename(file.with_suffix(".kept"))
    file.symlink_to("/dev/full")  # the kernel's own: empty to read, and no space left to write
    try:
        with pytest.raises(StoreError, match=r"No space left on device.*Make room on the server's disk"):
            pg(schema(), row(id="a"), state(1))
    finally:
        file.unlink()
        kept.rename(file)
    assert not capsys.readouterr().out
    pg(schema(), row(id="a"), state(1))
    assert pg.query("SELECT id FROM calls") == [("a",)]
    assert capsys.readouterr().out == '{"n": 1}\n'


# Another target's tables


@at_night("installs the published target")
def test_what_the_published_target_has_loaded_goes_on_being_loaded(pg: Loads, tmp_path: Path) -> None:
    """The same messages through it and then through ours: one table, each row once, no type made narrower."""
    from bench import environments

    declared = schema(
        id={"type": "string"}, at=INSTANT, day={"type": ["string", "null"], "format": "date"}, n=WHOLE, x=NUMBER,
        yes={"type": ["boolean", "null"]}, tree={"type": ["object", "null"]}, many={"type": ["array", "null"]},
        name=TEXT, names={"type": ["array", "null"], "items": TEXT},
    )  # fmt: skip
    values = {
        "at": "2024-01-01T00:00:00Z",
        "day": "2024-02-29",
        "n": 2**40,
        "x": 0.5,
        "yes": True,
        "name": "n",
        "names": ["x"],
    }
    messages = [declared, *(row(id=one, **values, tree={"a": one}, many=[1, {"b": 2}]) for one in "ab")]
    url = pg.url.replace("postgresql://", "postgresql+psycopg://")
    config = json.dumps({"sqlalchemy_url": url, "default_target_schema": pg.schema})
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    target = environments.program("postgres", "target-postgres")
    text = "".join(f"{json.dumps(message)}\n" for message in messages)
    command = [target, "--config", str(tmp_path / "config.json")]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before = pg.types()
    whole = pg.query("SELECT * FROM calls WHERE id = 'a'")[0][: len(declared["schema"]["properties"])]
    pg(*messages, row(id="c", **values), add_record_metadata=True)
    pg(declared, row(id="c", n=2**70), add_record_metadata=True)
    assert [one for (one,) in pg.query("SELECT id FROM calls ORDER BY id")] == ["a", "b", "c"]
    assert pg.query("SELECT * FROM calls WHERE id = 'a'")[0][: len(whole)] == whole
    after = pg.types()
    changed = {name: (kind, after[name]) for name, kind in before.items() if after[name] != kind}
    assert changed == {"n": ("bigint", "numeric"), "names": ("text[]", "jsonb")}
