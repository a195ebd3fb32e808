"""The tree of errors: each sentence says what, why and what to do."""

from __future__ import annotations

import pickle

import pytest

from trunkline import errors


def tree(base: type[BaseException] = errors.TrunklineError) -> list[type[BaseException]]:
    return [base, *(below for child in base.__subclasses__() for below in tree(child))]


def test_an_error_says_what_why_and_what_to_do() -> None:
    """The text is one line with all three parts, in that order."""
    assert str(errors.Unavailable("calls failed", "8 tries, HTTP 503", "Run again later")) == (
        "calls failed: 8 tries, HTTP 503. Run again later [unavailable]"
    )


def test_g9_a_code_ends_the_line_also_where_it_is_cut() -> None:
    """It is the class's own, or the one given where the error is raised; a reader searches for it."""
    assert str(errors.Refused("what", "why", status=301, code="redirect")) == "what: why [redirect]"
    assert str(errors.Unproven("x" * 5_000)).endswith("x… [unproven]")
    assert errors.Unproven.code == "unproven"


@pytest.mark.parametrize(
    ("parts", "text"),
    [(("a",), "a"), (("a", "b"), "a: b"), (("a", "", "C"), "a. C"), (("a", "b", "C"), "a: b. C")],
)
def test_a_part_that_is_not_known_leaves_no_hole(parts: tuple[str, ...], text: str) -> None:
    """Missing parts leave neither a colon nor a full stop behind."""
    assert str(errors.TrunklineError(*parts)) == text


def test_config_errors_keep_a_line_for_each_setting() -> None:
    """All wrong settings are told together."""
    error = errors.ConfigInvalid(["a must be x", "b must be y"])
    assert error.errors == ["a must be x", "b must be y"]
    assert str(error) == "config is not valid: a must be x; b must be y [config]"


def test_a_refusal_knows_its_status() -> None:
    """Callers tell a 404 from a 400 without reading the text."""
    assert errors.Refused("what", "why", "how", status=404).status == 404
    assert errors.Refused("what").status == 0


def test_a_stop_is_no_exception_that_a_broad_except_swallows() -> None:
    """`except Exception` lets a signal through."""
    assert not issubclass(errors.Stopped, Exception)
    assert errors.Stopped(15).signum == 15


def test_one_except_clause_catches_all_of_the_tree_and_sources_alone() -> None:
    """The tree of the docstring is the tree of the classes."""
    sources = {"AccessDenied", "Refused", "Unavailable", "BadResponse", "Unproven"}
    assert {kind.__name__ for kind in tree(errors.SourceError)} == sources | {"SourceError"}
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in tree() if kind.__module__ == errors.__name__)


def test_an_error_survives_being_sent_to_another_process() -> None:
    """A backfill's workers hand their errors over pickled."""
    sent = errors.Unproven("what", "why", "how", code="filter-ignored")
    error = pickle.loads(pickle.dumps(sent))  # noqa: S301 - our own bytes
    assert str(error) == "what: why. how [filter-ignored]"
