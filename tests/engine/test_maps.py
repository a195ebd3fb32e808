"""Wrong stream maps: told by stream and field, never with a value that an expression holds."""

from __future__ import annotations

from typing import Any

import pytest
from tests.model.harness import TAPS

from trunkline.errors import ConfigInvalid
from trunkline.steps.shape import maps
from trunkline_sandbox import Sandbox

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"calls": {"note": "md5('s3cret' + note"}}, "stream_maps.calls.note is no Python expression"),
    ({"calls": {"note": "note + 's3cret"}}, "stream_maps.calls.note is no Python expression"),
    ({"calls": {"note": 'f"""s3cret {note}""" +'}}, "stream_maps.calls.note is no Python expression"),
    ({"calls": {"note": "note == 48600100200 s3 'cret'"}}, "stream_maps.calls.note is no Python expression"),
    ({"calls": {"note": ""}}, "stream_maps.calls.note is no Python expression (it is empty)"),
    ({"calls": {"note": "(" * 5_000}}, "stream_maps.calls.note is no Python expression"),
    ({"calls": {"note": "a\0b"}}, "stream_maps.calls.note is no Python expression"),
    ({"calls": {"note": ["s3cret"]}}, "stream_maps.calls.note must be an expression"),
    ({"calls": {"note": {"deep": "s3cret"}}}, "stream_maps.calls.note must be an expression"),
    ({"calls": {"note": 48600100200}}, "stream_maps.calls.note must be an expression"),
    ({"calls": {"__filter__": "note == 's3cret"}}, "stream_maps.calls.__filter__ is no Python expression"),
    ({"calls": {"__filter__": 48600100200}}, "stream_maps.calls.__filter__ must be"),
    ({"calls": {"__else__": "s3cret"}}, "stream_maps.calls.__else__ must be null"),
    ({"calls": {"__key_properties__": "s3cret"}}, "stream_maps.calls.__key_properties__ must be a list"),
    ({"calls": "s3cret"}, "stream_maps.calls must be an object"),
    ({"__else__": "s3cret"}, "stream_maps.__else__ must be null"),
    ({"__other__": {"password": "s3cret"}}, "stream_maps.__other__ is no stream"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG, ids=str)
def test_g9_a_wrong_map_is_told_by_its_place(wrong: dict[str, Any], says: str) -> None:
    """One line: stream, field, what is wrong; texts and numbers of an expression are left out."""
    with pytest.raises(ConfigInvalid) as caught:
        _ = TAPS["bspk"](config={**Sandbox(size=0, vendors=["bspk"]).config("bspk"), "stream_maps": wrong}).streams
    (line,) = caught.value.errors
    assert line.startswith(says)
    assert line.isprintable()
    assert len(line) < 400
    assert not any(shown in line for shown in ("s3cret", "48600100200", "cret"))


def test_maps_that_are_right_stay() -> None:
    """Every form that the SDK takes is none of these errors."""
    right = {
        "calls": {
            "note": "md5(note)", "two": None, "three": "__NULL__", "__else__": None, "__filter__": "note != 's3cret'",
            "__key_properties__": ["note"], "__alias__": "other calls",
        },
        "other": {"__source__": "calls", "__key_properties__": None},
        "emails": None,
        "notes": "__NULL__",
        "__else__": None,
    }  # fmt: skip
    assert maps.errors(right) == []
    assert maps.errors("no object") == []


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("sha256(config['s3cret'] + note)", "sha256(config[…] + note)"),
        ('"it\'s" + note + \'a "b" c\'', "… + note + …"),
        (r"'a\'s3cret' + note2 * 12.5e3", "… + note2 * …"),
        ("'''a\n'b'\n''' + x1", "… + x1"),
        ("note + 'never ends", "note + …"),
    ],
)
def test_g9_an_expression_is_shown_without_its_values(expression: str, left: str) -> None:
    """Names and signs stay, so that it can be found; texts and numbers go."""
    assert maps.without_literals(expression) == left
