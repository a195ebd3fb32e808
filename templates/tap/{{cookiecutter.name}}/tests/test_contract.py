"""The contract suite, asked of tap-{{ cookiecutter.name }}."""

from __future__ import annotations
{% if cookiecutter.package == "yes" %}
from pathlib import Path
{%- endif %}
from typing import TYPE_CHECKING, Any
{% if cookiecutter.package == "yes" %}
from trunkline.doors import docs
{%- endif %}
from trunkline_contract.suite import Contract

if TYPE_CHECKING:
    from datetime import datetime
{% if cookiecutter.package == "yes" %}
DOCS = Path(__file__).parents[1] / "docs"
{% endif %}

class TestContract(Contract):
    """{{ cookiecutter.title }}'s calls."""

    vendor = "{{ cookiecutter.name }}"

    def row(self, stream: str, number: int, moment: datetime) -> dict[str, Any]:
        """A call that goes on."""
        del stream
        return {"id": number, "started_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
{%- if cookiecutter.package == "yes" %}

    def test_the_page_is_fresh(self) -> None:
        """docs/{{ cookiecutter.name }}.md is what `python -m trunkline.doors.docs` makes of the tap and docs/notes.md."""
        made = docs.vendor_page(self.tap(), (DOCS / "notes.md").read_text(encoding="utf-8"))
        assert (DOCS / "{{ cookiecutter.name }}.md").read_text(encoding="utf-8") == made
{%- endif %}
