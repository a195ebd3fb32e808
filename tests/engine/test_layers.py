"""The engine's rooms stand in layers: each imports what lies below it, and no two modules import each other."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "taps" / "trunkline"
LAYERS = ("", "steps", "sdk", "facts", "run", "doors")
"""From the ground up: a module imports its own layer and those before it."""
STEPS = ("plan", "fetch", "feeds", "prove", "shape", "write", "bookmark")
"""The way of the data: a step imports itself and those before it."""
FACADE = "trunkline.facts"
"""The names that vendors' files import: it reaches into all rooms when a name is used, so no room may use it."""


def modules() -> dict[str, ast.Module]:
    """Every module of the engine by its dotted name, parsed."""
    found = {}
    for path in sorted(ENGINE.rglob("*.py")):
        name = ".".join(("trunkline", *path.relative_to(ENGINE).with_suffix("").parts)).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The engine's modules that a module imports, also for types and inside of functions."""
    found = set()
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "trunkline":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in MODULES)
    return found - {name}


GRAPH = {name: imports(name) for name in MODULES if name != FACADE}


def layer(name: str) -> int:
    """The place of a module's room."""
    room = name.split(".")[1] if name.count(".") else ""
    return LAYERS.index(room if room in LAYERS else "")


@pytest.mark.parametrize("name", GRAPH)
def test_a_room_imports_only_what_lies_below_it(name: str) -> None:
    """Imports go down: doors > run > facts > sdk > steps > the ground; types count as well."""
    assert FACADE not in GRAPH[name]
    above = [other for other in GRAPH[name] if layer(other) > layer(name)]
    assert not above


@pytest.mark.parametrize("name", [name for name in GRAPH if name.startswith("trunkline.steps.")])
def test_a_step_imports_only_steps_before_it(name: str) -> None:
    """The data flows in one direction, and no step calls back."""
    step = STEPS.index(name.split(".")[2])
    after = [
        other
        for other in GRAPH[name]
        if other.startswith("trunkline.steps.") and STEPS.index(other.split(".")[2]) > step
    ]
    assert not after


def test_no_two_modules_import_each_other() -> None:
    """There is no circle, not even one of types or through a third module."""
    TopologicalSorter(GRAPH).prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_at_most_400_lines(name: str) -> None:
    """A module that grows beyond it has more than one reason to change."""
    path = ENGINE.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400
