"""The contract suite passes for a vendor that keeps the contract, and bites one that breaks it anywhere."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.acme import Calls, Recordings, TapAcme, Users
from tests.acme.sandbox import Acme
from tests.vendors import test_evolux

from tap_evolux import StudioCalls, TapEvolux
from trunkline.run.stream_run import StreamRun
from trunkline.steps import plan
from trunkline.steps.fetch.exchange import Retriable
from trunkline.steps.prove.pages import EMPTY, Page
from trunkline_contract.suite import Contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.steps.fetch.exchange import Reply


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sandbox know the vendor of the tests, as an entry point would."""
    monkeypatch.setattr("trunkline_sandbox.sandbox.registry", lambda: {"acme": Acme})


@pytest.mark.usefixtures("acme")
class TestAcme(Contract):
    """A vendor with a list of each kind: its rows are all that the suite needs to know."""

    vendor = "acme"

    @classmethod
    def tap(cls) -> type[TapAcme]:
        return TapAcme

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        rows: dict[str, dict[str, Any]] = {
            "calls": {"id": number, "started_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ")},
            "users": {"id": number, "email": f"{number}@acme.example"},
            "tags": {"id": str(number)},
            "recordings": {"id": str(number)},
            "devices": {"id": number},
            "ratings": {"score": 3},
        }
        return rows[stream]


# -- it bites ------------------------------------------------------------------------------------------------------


def _first_row_lost(patch: pytest.MonkeyPatch) -> None:
    records = StudioCalls.records
    patch.setattr(StudioCalls, "records", lambda self, thing: list(records(self, thing))[1:])


def _a_value_changed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StudioCalls, "compute", lambda _, row: row.__setitem__("caller", "0"))


def _a_seam_not_covered(patch: pytest.MonkeyPatch) -> None:
    bounds = plan.Window.bounds

    def late(
        window: plan.Window, tick: timedelta, grain: timedelta, latest: datetime
    ) -> tuple[datetime | None, datetime]:
        since, until = bounds(window, tick, grain, latest)
        return since and since + grain + 2 * tick, until

    patch.setattr(plan.Window, "bounds", late)


def _a_strange_answer_is_no_rows(patch: pytest.MonkeyPatch) -> None:
    read = StudioCalls.open

    def indulgent(self: StudioCalls, reply: Reply) -> Page:
        try:
            return read(self, reply)
        except msgspec.MsgspecError:
            return Page([], self.read_key, 0, more=False)

    patch.setattr(StudioCalls, "open", indulgent)


def _the_total_ignored(patch: pytest.MonkeyPatch) -> None:
    read = StudioCalls.open
    patch.setattr(StudioCalls, "open", lambda self, reply: Page(read(self, reply).rows, self.read_key))


def _the_filter_trusted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StudioCalls, "belongs", lambda *_: False)


def _no_lookback(patch: pytest.MonkeyPatch) -> None:
    start = plan.start
    patch.setattr(plan, "start", lambda **facts: start(**{**facts, "lookback": timedelta(0)}))


def _the_bookmark_at_the_end_of_empty_windows(patch: pytest.MonkeyPatch) -> None:
    proven = StreamRun.proven

    def eager(self: StreamRun, context: Any, item: Any) -> bool:
        moved = proven(self, context, item)
        return self.bookmark(context).advance(item.window.until) or moved

    patch.setattr(StreamRun, "proven", eager)


def _concurrency_in_the_output(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StudioCalls, "compute", lambda self, row: row.__setitem__("caller", str(self.config["concurrency"])))


def _a_401_tried_again(patch: pytest.MonkeyPatch) -> None:
    def refuse(_tap: TapEvolux, _request: Any, status: int, _body: bytes) -> None:
        if status == HTTPStatus.UNAUTHORIZED:
            raise Retriable("try again")

    patch.setattr(TapEvolux, "refuse", refuse)


def _personal_data_in_the_clear(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StudioCalls, "protection", lambda _: None)


def _nothing_required(patch: pytest.MonkeyPatch) -> None:
    schema = {**TapEvolux.config_jsonschema, "required": []}
    patch.setattr(TapEvolux, "config_jsonschema", schema)


def _a_secret_unmarked(patch: pytest.MonkeyPatch) -> None:
    plain = {**TapEvolux.settings["api_token"], "secret": False}
    patch.setattr(TapEvolux, "settings", {**TapEvolux.settings, "api_token": plain})


def _another_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StudioCalls, "primary_keys", ("uuid",))


def _unknown_fields_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("trunkline.steps.shape.shape.Shape._unknown", lambda *_: None)


BITES: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]] = {
    _first_row_lost: ("test_g1_a_first_run_brings_what_the_vendor_has", "studio_calls"),
    _a_value_changed: ("test_g1_a_first_run_brings_what_the_vendor_has", "studio_calls"),
    _a_seam_not_covered: ("test_g1_no_row_is_lost_on_a_seam", "studio_calls", "PT1H"),
    _a_strange_answer_is_no_rows: ("test_g2_an_answer_that_is_none_is_never_no_records", "other_envelope"),
    _the_total_ignored: ("test_g2_a_total_that_lies_fails_the_stream", "studio_calls", "1"),
    _the_filter_trusted: ("test_g2_an_ignored_filter_fails_the_stream", "studio_calls"),
    _no_lookback: ("test_g3_a_second_run_reads_the_lookback_and_no_more", "studio_calls", "P7D", "2"),
    _the_bookmark_at_the_end_of_empty_windows: ("test_g3_empty_windows_do_not_move_the_bookmark", "studio_calls"),
    _concurrency_in_the_output: ("test_g4_the_output_is_the_same_for_any_concurrency",),
    _a_401_tried_again: ("test_g6_wrong_credentials_are_tried_once",),
    _personal_data_in_the_clear: ("test_g7_personal_fields_leave_as_configured", "studio_calls", "hash"),
    _nothing_required: ("test_g9_a_wrong_config_names_each_setting_and_no_value",),
    _a_secret_unmarked: ("test_settings_are_described_and_secrets_marked",),
    _another_key: ("test_the_schema_file_is_complete", "studio_calls"),
    _unknown_fields_lost: ("test_g10_unknown_fields", "studio_calls", "keep"),
}
"""What is broken, and the test of the suite that must notice it."""


@pytest.mark.parametrize("broken", BITES, ids=lambda broken: broken.__name__.strip("_"))
def test_the_suite_bites(broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A tap that breaks one promise fails the test that holds it, which passes without the break."""
    name, *arguments = BITES[broken]
    test = functools.partial(
        getattr(test_evolux.TestEvolux(), name), *(int(text) if text.isdecimal() else text for text in arguments)
    )
    broken(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError)):
        test()


def _a_total_of_a_table_ignored(patch: pytest.MonkeyPatch) -> None:
    read = Users.open
    patch.setattr(Users, "open", lambda self, reply: Page(read(self, reply).rows, self.read_key))


def _a_table_without_its_last_row(patch: pytest.MonkeyPatch) -> None:
    records = Users.records
    patch.setattr(Users, "records", lambda self, thing: list(records(self, thing))[:-1])


def _another_parents_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recordings, "compute", lambda _, row: row.__setitem__("call_at", "2026-01-01T00:00:00Z"))


def _a_cursor_that_comes_twice_is_the_end(patch: pytest.MonkeyPatch) -> None:
    read, seen = Calls.open, set[str | None]()

    def trusting(self: Calls, reply: Reply) -> Page:
        page = read(self, reply)
        again, page.cursor = page.cursor in seen, None if page.cursor in seen else page.cursor
        seen.add(page.cursor)
        return EMPTY if again else page

    patch.setattr(Calls, "open", trusting)


OTHER_BITES: dict[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]] = {
    _a_total_of_a_table_ignored: ("test_g2_a_total_that_lies_fails_the_stream", "users", "1"),
    _a_table_without_its_last_row: ("test_g1_rows_that_move_between_pages_all_come", "users"),
    _another_parents_time: ("test_g1_a_first_run_brings_what_the_vendor_has", "recordings"),
    _a_cursor_that_comes_twice_is_the_end: ("test_g2_a_cursor_that_repeats_is_an_error", "calls"),
}
"""The same for a vendor whose streams are of other kinds."""


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("broken", OTHER_BITES, ids=lambda broken: broken.__name__.strip("_"))
def test_the_suite_bites_streams_of_other_kinds(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full table, a list for each row and a chain of cursors that break a promise fail the test that holds it."""
    name, *arguments = OTHER_BITES[broken]
    test = functools.partial(
        getattr(TestAcme(), name), *(int(text) if text.isdecimal() else text for text in arguments)
    )
    test()
    broken(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        test()


def test_a_vendor_that_is_not_installed_is_told() -> None:
    """Without its entry point the suite says which one is missing, and what to do."""

    class TestNobody(Contract):
        vendor = "nobody"

    with pytest.raises(pytest.fail.Exception, match=r"no entry point 'nobody'.*install the package"):
        TestNobody.tap()
