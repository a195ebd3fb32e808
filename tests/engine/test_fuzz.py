"""The targets of `python3 run.py fuzz`, steered by Hypothesis: a few examples each, more with TRUNKLINE_FUZZ=5000."""

from __future__ import annotations

import functools
import io
import itertools
import json
import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools import fuzz_targets

from trunkline import instants, plan
from trunkline_duckdb import LoadError, TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLES = int(os.environ.get("TRUNKLINE_FUZZ", "40"))
UTC = timezone.utc
seeds = functools.cache(fuzz_targets.seeds)
changes = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(fuzz_targets.HOSTILE)), max_size=3)
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@functools.cache
def target(name: str) -> Callable[[bytes], None]:
    """A target, made once."""
    return fuzz_targets.targets()[name]()


@pytest.mark.parametrize("name", [name for name in fuzz_targets.targets() if name != "duckdb"])
def test_g2_g10_no_input_ends_in_an_exception_of_another_kind(name: str) -> None:
    """Samples with hostile values in the place of theirs, cut anywhere: our own errors, or what came, in JSON."""

    @fuzzed
    @given(st.sampled_from(seeds(name)), changes, st.none() | st.floats(0, 1))
    def check(sample: bytes, places: list[tuple[int, bytes]], cut: float | None) -> None:
        for place, value in places:
            sample = fuzz_targets.mutated(sample, place, value)
        target(name)(sample if cut is None else sample[: int(cut * len(sample))])

    check()


@pytest.mark.parametrize("name", ["times", "durations", "environment"])
def test_g9_no_text_ends_in_an_exception_of_another_kind(name: str) -> None:
    """Whatever stands in a time, a duration or a variable."""

    @fuzzed
    @given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
    def check(data: bytes) -> None:
        target(name)(data)

    check()


far = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone
ticks = st.sampled_from([instants.SECOND, timedelta(minutes=1)])


@fuzzed
@given(st.none() | far, far, far, far, ticks)
def test_g1_whatever_rows_come_the_pieces_are_the_window(
    since: datetime | None, until: datetime, low: datetime, high: datetime, tick: timedelta
) -> None:
    """Rows may say any instant of the calendar: a window is split into parts that follow each other, or not at all."""
    until = min(max(until, datetime(1970, 1, 2, tzinfo=UTC)), datetime(2999, 1, 1, tzinfo=UTC))
    if since is not None:
        since = instants.floor(max(min(since, until - tick), instants.EPOCH), tick)
    window = plan.Window(since, until)
    parts = window.pieces(min(low, high), max(low, high), tick)
    if parts:
        assert (parts[0].since, parts[-1].until) == (since, until)
        assert all(one.until == other.since for one, other in itertools.pairwise(parts))
        assert all(part.since is None or part.since < part.until for part in parts)


@fuzzed
@given(st.none() | far, st.none() | far, st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_g3_no_bookmark_leads_out_of_the_calendar(
    bookmark: datetime | None, start: datetime | None, lookback: timedelta
) -> None:
    """A server's year 1 in a bookmark less a lookback is still a place to begin, and never after the run's start."""
    run_start = datetime(2026, 6, 1, tzinfo=UTC)
    begun = plan.start(bookmark=bookmark, start_date=start, lookback=lookback, run_start=run_start)
    if bookmark is not None:
        assert begun.at is not None
        assert start is not None or begun.at <= run_start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=max(EXAMPLES // 4, 8), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_line_ends_target_duckdb_in_an_exception_of_another_kind(data: st.DataObject, folder: Path) -> None:
    """Lines of taps with hostile values in the place of theirs: loaded, or an error that names the line."""
    lines = data.draw(st.sampled_from(seeds("duckdb")))
    for place, value in data.draw(changes):
        lines = fuzz_targets.mutated(lines, place, value)
    try:
        TargetDuckDB(config={"path": str(folder / "fuzz.duckdb")}).listen(
            io.StringIO(lines.decode("utf-8", "surrogateescape"))
        )
    except LoadError as problem:
        assert str(problem).isprintable()  # noqa: PT017 - both ends are right
    finally:
        (folder / "fuzz.duckdb").unlink(missing_ok=True)


def test_a_finding_is_a_finding() -> None:
    """The targets notice what they are there for: a value that is not the one that came, and a line that is no JSON."""
    pages: Any = fuzz_targets.Pages("bspk")
    row = b'{"sales_associate_id":"SA","client_id":"C","created_at":"2024-01-01T00:00:00.000Z","store_name":"A"}'
    pages(b"200 1\n\n[" + row + b"]")
    stream = pages.tap.ordered_streams()[0]
    with pytest.raises(fuzz_targets.Finding, match="store_name"):
        fuzz_targets._same(stream, [row], [{**json.loads(row), "store_name": "B"}])  # noqa: SLF001 - what is tested
    with pytest.raises(fuzz_targets.Finding, match="no JSON"):
        fuzz_targets._strict(b'{"record":NaN}')  # noqa: SLF001 - same
