"""The targets of `python3 run.py fuzz`, steered by Hypothesis: a few examples each, more with TRUNKLINE_FUZZ=5000."""

from __future__ import annotations

import functools
import io
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools import fuzz_targets

from trunkline_duckdb import LoadError, TargetDuckDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXAMPLES = int(os.environ.get("TRUNKLINE_FUZZ", "40"))
seeds = functools.cache(fuzz_targets.seeds)
changes = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(fuzz_targets.HOSTILE)), max_size=3)
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _in_silence() -> Iterator[None]:
    """Thousands of log lines say nothing; the loggers that the targets have muted speak again to the next test."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and logger.level == logging.CRITICAL:
            logger.setLevel(logging.NOTSET)


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
