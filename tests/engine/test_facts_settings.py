"""Words for settings, and rules about several of them, as a vendor's file has them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from trunkline.facts import AtLeastOne, InOrder, NotBoth, array, common, integer, number, objects, switch
from trunkline.facts import config as settings

KINDS: dict[str, Any] = {
    "state": {"value": {"type": "array", "minItems": 1, "items": {"enum": ["OPEN", "CLOSED"]}}},
    "created": {"operator": {"enum": ["gte", "lte"]}, "value": {"type": "string", "format": "instant"}},
    "custom": {"key": {"type": "string", "minLength": 1, "must": "a name"}, "value": {"type": "integer"}},
}
FILTER = objects("Filters.", "property", KINDS, required=("value",), must="a list of filters")


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        ({"property": "state", "value": ["OPEN"]}, []),
        ({"property": "created", "operator": "gte", "value": "9999-12-31 23:59:59"}, []),
        ({"property": "created", "value": "2026-01-31 00:00:00"}, []),
        ({"property": "custom", "key": "x", "value": 1}, []),
        ({}, ["have a property: one of state, created, custom"]),
        ({"property": []}, ["have a property: one of state, created, custom"]),
        ({"property": "state"}, ["have a value: for state, a list that is not empty, each of its members one of"]),
        ({"property": "state", "value": []}, ["have a value: for state"]),
        ({"property": "state", "value": ["OPEN"], "operator": "gte"}, ["have no operator: state takes none"]),
        ({"property": "created", "value": "2026-02-30"}, ["have a value: for created, an ISO 8601 date-time"]),
        ({"property": "created", "value": "2026-01-31", "operator": {}}, ["have an operator: for created, one of gte"]),
        ({"property": "custom", "key": "", "value": True}, ["have a value: for custom", "have a key: for custom, a n"]),
        ({"property": "custom", "value": 1, "x": 1}, ["have only property, value, operator and key, not x"]),
    ],
)
def test_g9_an_object_of_a_list_is_named_by_its_place_and_field(entry: dict[str, Any], lines: list[str]) -> None:
    """Each wrong field is a line that says what it must be."""
    good = {"property": "custom", "value": 7}
    found = settings.errors({"filter": [good, entry]}, {"properties": {"filter": FILTER}})
    assert len(found) == len(lines)
    for line, words in zip(found, lines, strict=True):
        assert line.startswith(f"filter[1] must {words}")


def test_g9_no_value_of_an_object_is_shown() -> None:
    """A wrong value may be a secret in the wrong place."""
    entry = {"property": "sesame", "value": "sesame"}, {"property": "created", "value": "sesame", "operator": "sesame"}
    lines = settings.errors({"filter": list(entry)}, {"properties": {"filter": FILTER}})
    assert len(lines) == 3
    assert "sesame" not in " ".join(lines)


def test_a_list_of_objects_is_published_as_one_and_checked_by_its_kinds_when_copied() -> None:
    """The kinds of object are no part of the schema that forms and files are made of."""
    plain = array("Filters.", {"type": "object"}, must="a list of filters")
    assert json.dumps(FILTER) == json.dumps(plain)
    assert settings.errors({"filter": [{}]}, {"properties": {"filter": copy.deepcopy(FILTER)}})


def test_numbers_and_switches_are_properties_of_their_type() -> None:
    """With the bounds and the default that they are given."""
    assert integer("N.", minimum=1, default=2) == {"type": "integer", "minimum": 1, "default": 2, "description": "N."}
    assert number("N.", maximum=1) == {"type": "number", "maximum": 1, "description": "N."}
    assert switch("S.") == {"type": "boolean", "default": False, "description": "S."}
    assert switch("S.", default=True)["default"] is True


def test_g2_a_window_is_no_longer_than_the_vendor_answers_in_full() -> None:
    """Of a longer one the vendor would send a part, and say of that part that it is all."""
    properties = common(lookback="P1D", window="P7D", longest="P28D")
    for window in ("P7D", "P28D", "PT672H"):
        assert not settings.errors({"window": window}, {"properties": properties})
    for window in ("P29D", "P28DT1S"):
        (line,) = settings.errors({"window": window}, {"properties": properties})
        assert line == "window must be an ISO 8601 duration, such as P7D or PT6H, of at least 1 s and at most 28 days"
    assert not settings.errors({"window": "P365D"}, {"properties": common(lookback="P1D", window="P7D")})


@pytest.mark.parametrize(
    ("rule", "wrong", "right", "line"),
    [
        (NotBoth("a", "b", "no"), {"a": [1], "b": [1]}, [{}, {"a": [1], "b": []}], "a and b must not both be set: no"),
        (InOrder("a", "b"), {"a": 2, "b": 0}, [{}, {"a": 1}, {"a": 0, "b": 0}], "b must not be less than a"),
        (AtLeastOne("a", "b", "c", why="no"), {"a": []}, [{"c": [1]}, {"b": "x"}], "a, b or c must be set: no"),
    ],
)
def test_g9_a_rule_about_several_settings_is_a_line_that_begins_with_one(
    rule: settings.Rule, wrong: dict[str, Any], right: list[dict[str, Any]], line: str
) -> None:
    """Only where the rule is broken."""
    assert rule.problems(wrong) == [line]
    assert all(rule.problems(config) == [] for config in right)
