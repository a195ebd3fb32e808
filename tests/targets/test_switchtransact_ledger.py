"""What the ledger keeps: hashes that say nothing without its key, and what older releases noted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import stat
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.targets.switchtransact_kit import COMMAND, KEY, ReadContext, contact, phone, record, schema, state

from trunkline.errors import ConfigInvalid
from trunkline_switchtransact.calls import content_identity, digest, key_identity, numbered
from trunkline_switchtransact.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

PHONES = [schema("contacts", "phone")]
OLD = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE writes (
    number INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE, stream TEXT NOT NULL, content BLOB NOT NULL,
    place TEXT NOT NULL, outcome TEXT, body TEXT, sent_at REAL NOT NULL, settled_at REAL
);
CREATE INDEX by_content ON writes (content);
CREATE INDEX in_doubt ON writes (number) WHERE outcome IS NULL;
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1414288212;
PRAGMA user_version = 1;
"""
"""A ledger as the release before keyed hashes made it."""


@pytest.fixture
def desk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> ReadContext:
    return ReadContext(tmp_path, caplog)


def person(number: int) -> dict[str, str]:
    return {name: value for name, value in contact(number).items() if name != "id"}


def old_ledger(desk: ReadContext, outcomes: dict[int, str | None]) -> list[bytes]:
    """Leave a ledger of an older release with contacts known by their phone; returns their plain hashes."""
    hashes = []
    with closing(sqlite3.connect(desk.folder / "ledger.sqlite")) as ledger:
        ledger.executescript(OLD)
        about = {"api_url": desk.target().config["api_url"], "salt": "00", "key": "another"}
        ledger.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        for number, outcome in outcomes.items():
            body = person(number)
            hashes += [key_identity("contacts", body, ["phone"]), digest(body)]
            ledger.execute(
                "INSERT INTO writes VALUES (?, ?, 'contacts', ?, 'record 1 (line 2)', ?, ?, 0, 0)",
                (number, hashes[-2], hashes[-1], outcome, None if outcome else json.dumps(body)),
            )
        keyless = content_identity("contacts", person(8))
        hashes += [numbered(keyless, 1)]
        ledger.execute(
            "INSERT INTO writes VALUES (8, ?, 'contacts', ?, 'record 1 (line 2)', 'written', NULL, 0, 0)",
            (hashes[-1], digest(person(8))),
        )
        ledger.commit()
    return hashes


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def plain(number: int) -> list[bytes]:
    """Hashes of a phone number that anybody could make: by trying all numbers it would be found."""
    identity = key_identity("contacts", person(number), ["phone"])
    text = phone(number).encode()
    return [identity, hashlib.sha256(text).digest(), digest(person(number))]


def labels_in(log: str) -> set[str]:
    """The labels of records in doubt."""
    return set(re.findall(r"\[([0-9a-f]{12})\]", log))


def test_g7_no_plain_hash_of_a_phone_number_is_shown_or_kept(desk: ReadContext) -> None:
    """A contact known by its phone: what the log shows and the ledger keeps differs from ledger to ledger."""
    labels = set()
    for turn in range(2):
        desk.sandbox.fault("reset", "calls/create", times=1)
        desk.sandbox.fault("status", "calls/record", status=400, times=1)
        ran = desk.run([*PHONES, record("contacts", **person(1))], ledger=str(desk.folder / str(turn)))
        assert ran.counts["in doubt"] == 1
        labels |= labels_in(ran.told)
        assert not [one for one in plain(1) if one.hex()[:12] in ran.told]
    kept = everything(desk.folder)
    assert not [one for one in plain(1) if one in kept or one.hex().encode() in kept]
    assert len(labels) == 2


def test_g7_a_label_leads_to_its_record_in_the_ledger(desk: ReadContext) -> None:
    """`hex(identity)` begins like the label in the log, in whichever run the record is told of."""
    desk.sandbox.fault("reset", "calls/create", times=1)
    desk.sandbox.fault("status", "calls/record", status=400)
    labels = set().union(*(labels_in(desk.run([*PHONES, record("contacts", **person(1))]).told) for _ in range(2)))
    with closing(sqlite3.connect(desk.folder / "ledger.sqlite")) as ledger:
        (identity,) = ledger.execute("SELECT lower(hex(identity)) FROM writes").fetchone()
    assert labels == {identity[:12]}


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_an_older_ledger_shows_as_written_is_never_written_again(desk: ReadContext, dry_run: bool) -> None:  # noqa: FBT001 - both cases
    """Known by a key or by content; what is new is written, and a dry run changes nothing in the file."""
    hashes = old_ledger(desk, {1: "written", 2: "skipped", 3: "rejected"})
    before = everything(desk.folder)
    lines = [*PHONES, *(record("contacts", **person(number)) for number in range(1, 5))]
    lines += [schema("contacts"), record("contacts", **person(8)), state(1)]
    found = desk.run(lines, dry_run=dry_run).counts
    assert (found["already written"], found["in doubt"]) == (2, 1)
    assert found["would be sent" if dry_run else "written"] == 2
    assert len(desk.requests) == (0 if dry_run else 2)
    kept = everything(desk.folder)
    assert kept == before if dry_run else not [one for one in hashes if one in kept]


def test_an_older_ledgers_doubts_are_taken_over(desk: ReadContext) -> None:
    """What may have been written stays in doubt, under another label, and a new run finds or stops at it."""
    (identity, *_) = old_ledger(desk, {1: None})
    ran = desk.run([*PHONES, record("contacts", **person(1)), state(1)])
    assert (ran.code, ran.states, ran.counts["in doubt"]) == (1, [], 1)
    assert identity.hex()[:12] not in ran.told
    assert desk.run([*PHONES, record("contacts", **person(1)), state(1)], in_doubt="skip").states == [1]
    assert desk.requests.count("create") == 0


@pytest.mark.parametrize("twin", [{"lastname": " LAST1"}, {"phone": "012000 0001"}, {"firstname": "FIRST1"}])
def test_g2_a_twin_written_in_another_way_proves_nothing(desk: ReadContext, twin: dict[str, Any]) -> None:
    """Where a contact was written that a look-up can't tell from the one in doubt, finding it says nothing."""
    lines = [schema("contacts", "id")]
    assert desk.run([*lines, record("contacts", **contact(1, id="twin", **twin))]).code == 0
    desk.sandbox.fault("reset", "calls/create", times=1)
    desk.sandbox.fault("status", "calls/record", status=400)
    assert desk.run([*lines, record("contacts", **contact(1))]).counts["in doubt"] == 1
    desk.sandbox.faults.clear()
    desk.sandbox.upsert("switchtransact", "contacts", [{"id": "twin", **person(1), "mobilephone": phone(1)}])
    assert desk.run(lines).counts["in doubt"] == 1


def test_g7_a_new_ledger_is_for_its_owner_alone(desk: ReadContext) -> None:
    """Also behind a link that leads to no file yet, and its folder is made."""
    (desk.folder / "link").symlink_to(desk.folder / "target")
    for path in ("new/ledger", "link"):
        assert desk.run([*PHONES, record("contacts", **person(1))], ledger=str(desk.folder / path)).code == 0
    for path in ("new/ledger", "target"):
        assert stat.S_IMODE((desk.folder / path).stat().st_mode) == 0o600


def test_the_api_key_is_not_the_ledgers_key(desk: ReadContext) -> None:
    """Two ledgers of one account have different keys, so that neither says anything about the other."""
    keys: set[Any] = set()
    for name in ("a", "b"):
        desk.run(PHONES, ledger=str(desk.folder / name))
        with closing(sqlite3.connect(desk.folder / name)) as ledger:
            keys |= set(ledger.execute("SELECT value FROM about WHERE name = 'hash_key'").fetchall())
    assert len(keys) == 2
    assert KEY not in str(keys)


NO_PATHS = [
    ":memory:", " :memory: ", "md:ledger", "s3://bucket/ledger.sqlite", "file:ledger?mode=memory", "https://x/ledger",
    "sqlite:///ledger", "a\0b", "folder/", " ", "half \ud800",
]  # fmt: skip


@pytest.mark.parametrize("path", NO_PATHS)
def test_g9_a_ledger_that_is_no_file_is_refused_before_anything_is_sent(desk: ReadContext, path: str) -> None:
    """A ledger in memory or nowhere would forget what was written: a contact would be written again by each run."""
    with pytest.raises(ConfigInvalid) as caught:
        desk.run([*PHONES, record("contacts", **person(1))], ledger=path)
    assert len(caught.value.errors) == 1
    assert caught.value.errors[0].startswith("ledger must ")
    assert (desk.requests, list(desk.folder.iterdir())) == ([], [])


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("path", ["/dev/null", "x" * 300, "file/ledger", "circle", "pipe"])
def test_g9_a_ledger_that_can_t_be_made_is_an_error(desk: ReadContext, path: str, dry_run: bool) -> None:  # noqa: FBT001 - both cases
    """A device takes everything and remembers nothing; a name is too long; a folder is a file: nothing is sent."""
    (desk.folder / "file").touch()
    (desk.folder / "circle").symlink_to(desk.folder / "circle")
    os.mkfifo(desk.folder / "pipe")
    with pytest.raises(LedgerError, match="the ledger"):
        desk.run([*PHONES, record("contacts", **person(1))], ledger=str(desk.folder / path), dry_run=dry_run)
    assert desk.requests == []


@pytest.mark.parametrize("path", [":memory:", "a\0b", "x" * 300, "/dev/null"])
def test_g9_the_command_refuses_a_ledger_in_a_line(desk: ReadContext, path: str) -> None:
    """Without a traceback, and with an exit code that is not 0."""
    config = desk.folder / "config.json"
    config.write_text(json.dumps({"api_key": KEY, "api_url": "http://127.0.0.1:9", "ledger": path}), encoding="utf-8")
    lines = "\n".join([*PHONES, record("contacts", **person(1)), ""])
    done = subprocess.run(
        [COMMAND, "--config", str(config)], input=lines, capture_output=True, text=True, check=False, cwd=desk.folder
    )
    assert done.returncode == 1
    assert "ledger" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
