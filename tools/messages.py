"""The messages of errors, read from the source: for docs/errors.md, and to check what other pages quote.

A message is the text of an error where it is raised in the code, with `<name>` where it puts in a value. Arguments that
are variables are followed to where they are set, and parameters to where the function is called, within one file.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDERS = ("taps", "targets", "commands", "orchestrate")
"""Where errors are raised."""

_BASE, _FEW, _FAR = (
    "TrunklineError",
    12,
    3,
)  # the root of the tree; alternatives of a message that are worth a line; steps to a value
_LABELS = {"about": "request"}  # attributes whose name shows less than what they hold
_SHOWN = {
    "printable",
    "shown",
    "repr",
    "str",
    "len",
    "to_iso",
    "one_line",
    "sorted",
    "min",
    "int",
    "join",
    "format",
    "map",
    "filter",
}
"""Functions that show their argument."""
_CONFIG = re.compile(r"\bmust (be|have|name|begin|not|differ)\b|is (no|not a) setting of")
_PERCENT = re.compile(r"%(?:\.\d)?[sdfg]")
_BARE = re.compile(r"<[^>]*>|[^a-z]", re.IGNORECASE)  # parts by which no message is recognised
_LEAST = 8  # letters of a message that can be recognised
_CODED = re.compile(r" \[([a-z-]+)\]$")
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module


class Source:
    """A file of the source.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.nodes = list(ast.walk(self.tree))
        self.above = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.beside = [self]
        """The files of the same folder."""
        self.calls = [node for node in self.nodes if isinstance(node, ast.Call)]

    def scope(self, node: ast.AST) -> _Scope:
        """Return the function that a node stands in, or the module."""
        while not isinstance(node := self.above[node], _Scope):
            pass
        return node

    def texts(self, node: ast.expr | None, depth: int = 0) -> list[str]:
        """Return the texts that an expression may become, with `<name>` where only a run knows it."""
        match node:
            case ast.Constant():
                return [str(node.value)]
            case ast.JoinedStr():
                found = _joined(self.texts(part, depth) for part in node.values)
            case ast.BinOp(left, ast.Add(), right):
                found = _joined([self.texts(left, depth), self.texts(right, depth)])
            case ast.FormattedValue(ast.IfExp() as chosen):
                found = self.texts(chosen, depth)
            case ast.FormattedValue(ast.Name() as name) if depth < _FAR:
                found = self._values(name, depth + 1)
                found = found if all(map(_is_recognisable, found)) else []
            case ast.IfExp():
                found = [*self.texts(node.body, depth), *self.texts(node.orelse, depth)]
            case ast.BoolOp():
                found = [text for part in node.values for text in self.texts(part, depth)]
            case ast.Name() if depth < _FAR:
                found = self._values(node, depth)
            case ast.Call(ast.Attribute(ast.Name("self"), name)):
                found = [text for value in self._returned(name) for text in self.texts(value, depth + 1)]
            case _:
                found = []
        return found or ([f"<{_label(node)}>"] if node else [])

    def _returned(self, name: str) -> Iterator[ast.expr]:
        """Yield the texts that a method returns."""
        for method in self.nodes:
            if isinstance(method, ast.FunctionDef) and method.name == name:
                yield from (
                    one.value for one in ast.walk(method) if isinstance(one, ast.Return) and _is_text(one.value)
                )

    def _values(self, name: ast.Name, depth: int) -> list[str]:
        scope = self.scope(name)
        while True:
            values = dict.fromkeys(self._assigned(scope, name.id))
            given = list(dict.fromkeys(text for value in values for text in self.texts(value, depth + 1)))
            if not given and not isinstance(scope, ast.Module):
                given = list(self._passed(scope, name.id, depth + 1))
            if given or isinstance(scope, ast.Module):
                return given
            scope = self.scope(scope)

    def _assigned(self, scope: _Scope, name: str) -> Iterator[ast.expr]:
        for node in ast.walk(scope):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            value = getattr(node, "value", None)
            if (
                value is None
                or isinstance(node, ast.AugAssign)
                or (isinstance(scope, ast.Module) and self.above.get(node) is not scope)
            ):
                continue
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield value
                elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs = zip(target.elts, value.elts, strict=True)
                    yield from (part for place, part in pairs if isinstance(place, ast.Name) and place.id == name)

    def _passed(self, scope: ast.FunctionDef | ast.AsyncFunctionDef, name: str, depth: int) -> Iterator[str]:
        """Yield the texts that callers pass for a parameter."""
        names = [argument.arg for argument in scope.args.args if argument.arg not in {"self", "cls"}]
        if name not in names:
            return
        place, default = names.index(name), dict(zip(names[::-1], scope.args.defaults[::-1], strict=False)).get(name)
        for source in [self] if scope.name.startswith("_") else self.beside:
            for call in source.calls:
                if _name(call.func) == scope.name:
                    passed = {keyword.arg: keyword.value for keyword in call.keywords}
                    value = call.args[place] if place < len(call.args) else passed.get(name)
                    yield from source.texts(value, depth) if value else self.texts(default, depth)


def _joined(parts: Iterable[list[str]]) -> list[str]:
    return ["".join(texts) for texts in itertools.islice(itertools.product(*parts), _FEW)]


def _name(function: ast.expr) -> str:
    """Return the name of what is called."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _label(node: ast.AST | None) -> str:
    """Return the name of a value."""
    if isinstance(node, ast.Name):
        return node.id.strip("_").lower() if node.id.isupper() else node.id
    if isinstance(node, ast.Attribute):
        return _LABELS.get(node.attr, node.attr.strip("_"))
    if isinstance(node, ast.Call):
        name = _name(node.func)
        return _label(node.args[0]) if node.args and name in _SHOWN else name.strip("_") or "…"
    inner = next(ast.iter_child_nodes(node), None) if node else None
    return _label(inner) if isinstance(inner, ast.expr) else "…"


class Messages:
    """All messages of a checkout.

    Args:
        root: The checkout.
    """

    def __init__(self, root: Path) -> None:
        files = [path for name in FOLDERS for path in sorted((root / name).rglob("*.py"))]
        files += root.glob("run.py")
        self.sources = [Source(path) for path in files if path.name != "errors.py" or path.parent.name != "trunkline"]
        self._tree = [Source(path) for path in files if path not in {one.path for one in self.sources}]
        for source in self.sources:
            source.beside = [one for one in self.sources if one.path.parent == source.path.parent]
        self.classes = self._classes()
        self.by_code: dict[str, dict[str, None]] = defaultdict(dict)
        """Messages by code, in the order of the source."""
        self.without: list[str] = []
        """Places that raise an error without a code."""
        for source in self.sources:
            for call in source.calls:
                self._add(source, call)
            self._add_texts(source)

    def _classes(self) -> dict[str, str]:
        """Return the code of each class of errors, its base's where it has none; empty where neither has."""
        found = {_BASE: ""}
        kinds = [
            node for source in [*self._tree, *self.sources] for node in source.nodes if isinstance(node, ast.ClassDef)
        ]
        for _ in range(5):  # the tree is no deeper
            for kind in kinds:
                base = next((name for name in map(_label, kind.bases) if name in found), None)
                if base and kind.name != _BASE:
                    own = [part.value for part in kind.body if isinstance(part, ast.Assign) and _is_code(part)]
                    found[kind.name] = str(own[0].value) if own and isinstance(own[0], ast.Constant) else found[base]
        return found

    def _add(self, source: Source, call: ast.Call) -> None:
        name, given = _name(call.func), {keyword.arg: keyword.value for keyword in call.keywords}
        if name == "__init__" and (kind := source.above[source.scope(call)]) and isinstance(kind, ast.ClassDef):
            name = kind.name  # a class with sentences of its own
        if name == "Retriable":
            codes = self._codes(
                source, given.get("code"), self.classes[_label(given.get("final")).replace("…", "Unavailable")]
            )
            parts = [call.args[0]]
        elif name == "Trouble":
            codes, parts = self._codes(source, call.args[1], ""), [call.args[0]]
        elif name in self.classes:
            codes = self._codes(source, given.get("code"), self.classes[name])
            parts = call.args[:3]
        else:
            return
        if not all(codes):
            self.without.append(f"{source.path.name}:{call.lineno}")
        if name == "ConfigInvalid":
            parts = parts[0].elts if parts and isinstance(parts[0], ast.List) else []
        for text in _messages([source.texts(part) for part in parts]):
            for code in codes if _is_recognisable(text) else ():
                self.by_code[code][text] = None

    def _codes(self, source: Source, given: ast.expr | None, own: str) -> set[str]:
        if isinstance(given, ast.Call):  # a function in the same package's errors.py
            beside = next(one for one in self.sources if one.path == source.path.with_name("errors.py"))
            return {own, *_codes_beside(beside)} - {""}
        if given is None or isinstance(given, ast.Attribute):  # the one of another error, listed where that is raised
            return {own}
        return {code or own for code in source.texts(given)}

    def _add_texts(self, source: Source) -> None:
        """Add the lines about settings, and those that have their code at their end."""
        for node in source.nodes:
            above = source.above.get(node)
            if isinstance(above, ast.JoinedStr | ast.FormattedValue | ast.Expr) or not _is_text(node):
                continue
            for text in map(_flat, source.texts(node)):
                coded = _CODED.search(text)
                if coded and _is_recognisable(text[: coded.start()]):
                    self.by_code[coded[1]][text[: coded.start()]] = None
                elif _CONFIG.search(text) and text.startswith(("<", "must", "start_date", "end_date", "pii")):
                    self.by_code["config"][text] = None

    @functools.cached_property
    def texts(self) -> list[str]:
        """Every text of the source, for any use, and the messages that are put together from several."""
        every = [(one, node) for one in self.sources for node in one.nodes if _is_text(node)]
        alone = [_flat(text) for one, node in every for text in one.texts(node)]
        return [*alone, *(text for found in self.by_code.values() for text in found)]

    def has(self, quoted: str) -> bool:
        """Return whether the source has what a page quotes: each part between its placeholders, in one text."""
        parts = [part.strip() for part in re.split(r"<[^>]*>|…", quoted)]
        return all(any(part in text for text in self.texts) for part in parts if part)


def _flat(text: str) -> str:
    return " ".join(_PERCENT.sub("<…>", text).split())


def _is_recognisable(text: str) -> bool:
    return len(_BARE.sub("", text)) >= _LEAST


def _is_code(part: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "code" for target in part.targets)


def _is_text(node: ast.AST | None) -> TypeGuard[ast.expr]:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _codes_beside(source: Source) -> set[str]:
    """Return the codes that a loader's errors.py chooses from."""
    code = next(node for node in source.nodes if isinstance(node, ast.FunctionDef) and node.name == "code")
    tables = [
        node.value for node in source.nodes if isinstance(node, ast.Assign) and _label(node.targets[0]) == "codes"
    ]
    returned = [node.value for node in ast.walk(code) if isinstance(node, ast.Return)]
    values = [*returned, *(value for table in tables if isinstance(table, ast.Dict) for value in table.values)]
    return {text for value in values for text in source.texts(value) if re.fullmatch(r"[a-z]+(-[a-z]+)*", text)}


def _messages(parts: list[list[str]]) -> Iterator[str]:
    """Yield the lines that an error's parts come to."""
    for texts in itertools.zip_longest(*parts):
        what, why, remedy = [
            *(text if text is not None else part[-1] for text, part in zip(texts, parts, strict=True)),
            "",
            "",
        ][:3]
        line = f"{what}: {why}" if why else what
        yield f"{line}. {remedy}" if remedy else line


@functools.lru_cache
def messages(root: Path) -> Messages:
    """Read the messages of a checkout."""
    return Messages(root)


def block(root: Path, code: str) -> str:
    """Write the list of a code's messages."""
    found = messages(root).by_code.get(code, {})
    return "\n".join(f"- ``{text}``" if "`" in text else f"- `{text}`" for text in found) or "None in this checkout."
