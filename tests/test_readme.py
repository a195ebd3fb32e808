"""The README's vendor is one that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.acme.sandbox import Acme

from trunkline import facts
from trunkline_contract.runs import run
from trunkline_contract.suite import AFTER
from trunkline_sandbox import Sandbox

if TYPE_CHECKING:
    import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_vendors_file_shown_is_whole_and_reads_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands there, and nothing else, brings every call and user of a vendor that pages as it says."""
    monkeypatch.setattr("trunkline_sandbox.sandbox.registry", lambda: {"acme": Acme})
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {"__name__": "tests.acme"}  # beside whose module the schemas stand
    exec(block, names)  # noqa: S102 - the README's own
    box = Sandbox(seed=1, size=120, vendors=["acme"])
    result = run(box, names["TapAcme"], {"page_size": 7}, at=AFTER)
    assert result.code == 0, result.log
    for stream in ("calls", "users"):
        assert {row["id"] for row in result.records(stream)} == {row["id"] for row in box.truth("acme", stream)}
        assert len(result.records(stream)) == 120


def test_the_guide_has_every_word_that_a_vendors_file_may_import() -> None:
    """A name that nobody can look up is one that nobody uses."""
    guide = (Path(__file__).parents[1] / "docs" / "adding-a-vendor.md").read_text(encoding="utf-8")
    assert not [name for name in facts.__all__ if not re.search(rf"\b{name}\b", guide)]
