"""Credentials in free-form objects: whatever carries one is set to null, and what stands beside it stays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trunkline.facts import without_secrets


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"apiToken": "x", "n": 1}, {"apiToken": None, "n": 1}),
        ({"a": [{"auth": ["u", "p"]}, {"b": "x"}]}, {"a": [{"auth": None}, {"b": "x"}]}),
        ({"name": "password", "value": "x"}, {"name": "password", "value": None}),
        ({"name": "Enter the password please"}, {"name": "Enter the password please"}),
        (["Authorization", "Bearer x"], ["Authorization", None]),
        ('{"senha": "x", "n": 1.10}', {"senha": None, "n": Decimal("1.10")}),
        ({"text": '{"secret":"x","n":1.10}'}, {"text": '{"secret":null,"n":1.10}'}),
        ({"url": "https://u:p@a.example/?page=1&token=x"}, {"url": "https://a.example/?page=1&token="}),
        ("plain", "plain"),
        ("{no JSON", "{no JSON"),
        (None, None),
        (5, 5),
    ],
)
def test_g7_whatever_carries_a_credential_is_cleaned(given: Any, left: Any) -> None:
    """Fields, labels, pairs, JSON inside of a text, and a query; the rest is what it was."""
    assert without_secrets(given) == left


def test_g7_within_a_field_only_that_field_is_cleaned() -> None:
    """At any depth, also where all of it is a text; a credential elsewhere is the data's own."""
    task = {"token": "kept", "params": {"token": "x", "n": 1}}
    left = {"token": "kept", "params": {"token": None, "n": 1}}
    assert without_secrets([task], within="params") == [left]
    assert without_secrets({"a": {"b": task}}, within="params") == {"a": {"b": left}}
    assert without_secrets('[{"token": "kept", "params": "{\\"token\\": \\"x\\", \\"n\\": 1}"}]', within="params") == [
        left
    ]
