"""Facts of a stream beside its paging: what it needs, what it leaves out, what keeps its bookmark, its own defaults."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.engine import wire
from tests.engine.wire import BEGIN, DAY, TEXT, TIME, Wire, call, records, tap

from trunkline import instants, schemas
from trunkline.errors import ConfigInvalid, TrunklineError
from trunkline.facts import NumberedPages, PagedStream, SnapshotStream


class Calls(wire.Calls):
    """Calls that may not have ended."""

    schema = wire.schema(("id", "at"), id={"type": "integer"}, at=TIME, uuid=TEXT, ended=TEXT)
    unfinished = "ended"


class Teams(SnapshotStream):
    """Rows of which some have no key."""

    name, path = "teams", "/calls"
    primary_keys = ("uuid",)
    schema = wire.schema(("uuid",), id={"type": ["integer", "null"]}, uuid={"type": "string"}, at=TEXT)
    paging = NumberedPages(rows="data", total="total")
    skips_keyless = True


def ended(number: int, **more: Any) -> dict[str, Any]:
    """A call that has ended."""
    return call(number, **{"ended": "yes", **more})


def mark(made: Any) -> datetime:
    """The bookmark of the calls."""
    return datetime.fromisoformat(made.bookmarks["bookmarks"]["calls"]["replication_key_value"])


# -- rows that are not final ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [None, ""])
@pytest.mark.parametrize("lookback", ["PT0S", "P1D"])
def test_g1_a_row_that_is_not_final_comes_again_until_it_is(end: str | None, lookback: str) -> None:
    """No bookmark passes the earliest call that has not ended, however many later ones have."""
    rows = [ended(n) for n in range(60)]
    rows[7]["ended"] = end
    made, _ = tap(Calls, wire=Wire(rows), lookback=lookback)
    assert made.run() == 0
    assert mark(made) == BEGIN + timedelta(hours=7)
    rows[7]["ended"] = "yes"
    after, output = tap(Calls, wire=Wire(rows), state=made.bookmarks, lookback=lookback)
    assert after.run() == 0
    assert (7, "yes") in {(row["id"], row["ended"]) for row in records(output, "calls")}
    assert mark(after) == BEGIN + timedelta(hours=59)


def test_g3_a_row_that_is_not_final_does_not_take_the_bookmark_back() -> None:
    """One within the lookback, older than the bookmark, leaves it where it is."""
    rows = [ended(n) for n in range(60)]
    made, _ = tap(Calls, wire=Wire(rows))
    assert made.run() == 0
    rows[50]["ended"] = None
    after, _ = tap(Calls, wire=Wire(rows), state=made.bookmarks)
    assert after.run() == 0
    assert mark(after) == mark(made) == BEGIN + timedelta(hours=59)


# -- rows without a key --------------------------------------------------------------------------------------------


def test_g10_rows_without_a_key_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Two of them are no repeat of each other, the total adds up with them, and a warning says how many there were."""
    rows = [{**call(n), "uuid": None if n in {2, 5} else f"u{n}"} for n in range(9)]
    vendor = Wire(rows)
    made, output = tap(Teams, wire=vendor, page_size=4)
    with caplog.at_level(logging.WARNING):
        assert made.run() == 0
    assert [row["uuid"] for row in records(output, "teams")] == [f"u{n}" for n in range(9) if n not in {2, 5}]
    assert "teams: 2 rows without uuid were left out" in caplog.text
    assert len(vendor.seen) == 3, "the table was read twice"


def test_g10_elsewhere_a_row_without_a_key_is_an_error() -> None:
    """Nothing is left out of a stream whose vendor has no such rows."""

    class Strict(Teams):
        skips_keyless = False

    made, _ = tap(Strict, wire=Wire([{**call(1), "uuid": None}]))
    assert made.run() == 1


# -- fields that are never loaded ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["keep", "drop", "fail"])
def test_g7_a_field_that_is_never_loaded_appears_nowhere(policy: str, caplog: pytest.LogCaptureFixture) -> None:
    """A password is in no column, not in `_extra`, in no warning, and no reason to fail."""

    class Users(Teams):
        never_loaded = ("*password*", "pin")

    secrets = {"Password": "hidden", "oldPasswordHash": "hidden", "PIN": "hidden"}
    made, output = tap(Users, wire=Wire([{**call(1), **secrets}]), unknown_fields=policy)
    assert made.run() == 0
    assert records(output, "teams")[0]["_extra"] is None
    assert "hidden" not in output.getvalue().decode() + caplog.text
    assert "Password" not in output.getvalue().decode() + caplog.text


# -- streams that need a setting -----------------------------------------------------------------------------------


class NeedsTeams(wire.Calls):
    """Calls that need the setting `teams`."""

    name = "calls_of_teams"
    needs = ("teams", "region")


def test_a_stream_without_its_setting_is_not_offered(caplog: pytest.LogCaptureFixture) -> None:
    """It is in no catalog, a line says why, and the others are read."""
    with caplog.at_level(logging.INFO):
        made, output = tap(wire.Calls, NeedsTeams, wire=Wire([call(1)]))
        assert [entry["stream"] for entry in made.catalog_dict["streams"]] == ["calls", "window_proofs"]
    assert "calls_of_teams is not offered: it needs teams or region" in caplog.text
    assert made.run() == 0
    assert len(records(output, "calls")) == 1


def test_a_stream_with_one_of_its_settings_is_offered() -> None:
    """One is enough."""
    made, _ = tap(wire.Calls, NeedsTeams, wire=Wire([]), region="x")
    assert set(made.streams) == {"calls", "calls_of_teams", "window_proofs"}


@pytest.mark.parametrize("selected", [True, False])
def test_g9_a_catalog_that_selects_a_stream_without_its_setting_is_an_error(*, selected: bool) -> None:
    """What somebody selected is not left out with a line; what nobody did is."""
    whole, _ = tap(wire.Calls, NeedsTeams, wire=Wire([]), region="x")
    catalog = whole.catalog_dict
    for entry in catalog["streams"]:
        next(part for part in entry["metadata"] if not part["breadcrumb"])["metadata"]["selected"] = selected
    if selected:
        with pytest.raises(ConfigInvalid, match="teams or region must be set: the catalog selects calls_of_teams"):
            _ = tap(wire.Calls, NeedsTeams, wire=Wire([]), catalog=catalog)[0].streams
    else:
        assert set(tap(wire.Calls, NeedsTeams, wire=Wire([]), catalog=catalog)[0].streams) == {"calls", "window_proofs"}


# -- defaults of a stream's own ------------------------------------------------------------------------------------


class Payments(wire.Calls):
    """Rows that change for weeks."""

    lookback, window = "P10D", "P5D"


@pytest.mark.parametrize(("config", "begin"), [({}, 5), ({"lookback": "P1D"}, 14), ({"lookback": "P3D"}, 12)])
def test_g3_a_stream_has_a_lookback_of_its_own_until_the_setting_is_set(config: dict[str, str], begin: int) -> None:
    """Set to the tap's default, it is set all the same."""
    rows = [call(n, at=BEGIN + n * DAY) for n in range(16)]
    made, _ = tap(Payments, wire=Wire(rows), **config)
    assert made.run() == 0
    again, output = tap(Payments, wire=Wire(rows), state=made.bookmarks, **config)
    assert again.run() == 0
    assert min(row["id"] for row in records(output, "calls")) == begin


@pytest.mark.parametrize(("config", "requests"), [({}, 5), ({"window": "P1D"}, 21)])
def test_a_stream_has_a_window_of_its_own_until_the_setting_is_set(config: dict[str, str], requests: int) -> None:
    """Twenty days with a row each, in windows of five or of one; for the minutes of overlap there is one more."""
    vendor = Wire([call(n, at=BEGIN + n * DAY + timedelta(hours=1)) for n in range(20)])
    made, _ = tap(Payments, wire=vendor, page_size=50, **config)
    assert made.run() == 0
    assert len(vendor.seen) == requests


# -- numbers in texts ----------------------------------------------------------------------------------------------


class Lengths(wire.Calls):
    """Calls whose length may come as text."""

    schema = wire.schema(
        ("id", "at"),
        id={"type": "integer"},
        at=TIME,
        uuid=TEXT,
        length={"type": ["integer", "null"]},
        price={"type": ["number", "null"]},
        other={"type": ["integer", "null"]},
    )
    number_or_text = ("length", "price")


@pytest.mark.parametrize(
    ("sent", "length", "extra"),
    [
        (61, 61, None),
        ("61", 61, None),
        (" 061 ", 61, None),
        ("61.0", 61, None),
        ("61.5", None, {"length": "61.5"}),
        ("1:01", None, {"length": "1:01"}),
        ("", None, {"length": ""}),
        (None, None, None),
    ],
)
def test_g10_a_number_may_come_as_its_digits(sent: Any, length: int | None, extra: dict[str, Any] | None) -> None:
    """It becomes the number where the stream says so; a text that is none is kept as it came."""
    made, output = tap(Lengths, wire=Wire([call(1, length=sent, price="1.5", other=7)]))
    assert made.run() == 0
    (row,) = records(output, "calls")
    assert (row["length"], row["price"], row["other"], row["_extra"]) == (length, 1.5, 7, extra)


def test_g10_elsewhere_a_number_in_a_text_contradicts_the_schema() -> None:
    """A field of which nobody knows that it comes as text is null, and kept as it came."""
    made, output = tap(Lengths, wire=Wire([call(1, other="7")]))
    assert made.run() == 0
    (row,) = records(output, "calls")
    assert (row["other"], row["_extra"]) == (None, {"other": "7"})


# -- two forms of an envelope --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"calls": [{"id": 1, "at": "2026-01-01T00:00:00Z"}]}, "total": 1}',
        b'{"data": [{"id": 1, "at": "2026-01-01T00:00:00Z"}], "total": 1}',
    ],
)
def test_g2_rows_may_stand_at_one_of_two_places(body: bytes) -> None:
    """Either form is read; another one is no answer."""

    class Either(PagedStream):
        name, path = "calls", "/calls"
        primary_keys, replication_key = ("id",), "at"
        schema = wire.schema(("id", "at"), id={"type": "integer"}, at=TIME)
        paging = NumberedPages(since="from", until="to", rows=("data.calls", "data"), total="total")

    made, _ = tap(Either, wire=Wire([]))
    stream = made.streams["calls"]
    page = stream.open(reply(body))
    assert (len(page.rows), page.total) == (1, 1)
    with pytest.raises(Exception, match=r"data|Object"):
        stream.open(reply(b'{"data": 5, "total": 1}'))


def reply(body: bytes) -> Any:
    """A response with a body."""
    from trunkline.steps.fetch.exchange import Reply, Request

    return Reply(Request("a page", "/"), 200, {}, body)


# -- faults of a vendor's file -------------------------------------------------------------------------------------


def test_g9_a_key_that_the_schema_lacks_is_an_error_that_names_both() -> None:
    """A target would make a table without its key, and keep every repeat."""

    class Misspelled(wire.Calls):
        primary_keys = ("callid",)

    made, _ = tap(Misspelled, wire=Wire([call(1)]))
    with pytest.raises(TrunklineError, match="calls can't be read: its schema has no field callid"):
        made.streams["calls"].compile_shape()


def test_g9_a_schema_that_is_not_there_is_named() -> None:
    """Its author sees which file to write."""
    with pytest.raises(TrunklineError, match=r"chats of evolux has no schema: there is no file .*chats\.json"):
        schemas.load("evolux", "chats")


@pytest.mark.parametrize("given", [1767225600123, "1767225600123"])
def test_epoch_milliseconds_are_read_as_numbers_and_texts(given: int | str) -> None:
    """Some vendors write one, some the other."""
    assert instants.from_epoch_ms(given) == "2026-01-01T00:00:00.123000+00:00"
    assert instants.from_epoch_ms(None) is None
    assert instants.from_epoch("1767225600") == "2026-01-01T00:00:00+00:00"


def test_a_vendor_without_a_page_size_is_read_whole() -> None:
    """A tap need not have the setting: nothing is sent in its place."""

    class NoSize(wire.Calls):
        paging = NumberedPages(since="from", until="to", size="", rows="data", total="total")

    made, output = tap(NoSize, wire=Wire([call(n) for n in range(12)]))
    del made.config_jsonschema["properties"]["page_size"]
    made._config.pop("page_size")  # noqa: SLF001 - as a tap whose `common` has none
    assert made.run() == 0
    assert len(records(output, "calls")) == 12
