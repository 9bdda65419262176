"""Rules of style that a program can check: names of functions and classes, first words of docstrings."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from tests.helpers.paths import ROOT

PACKAGES = ("executor", "simulation", "studio")

NO_SUBJECT = re.compile(r"(Who|Whoever|What|So (many|much)|Until|Whether|Nobody|Of|Those|That)\b")
"""First words of a docstring that has no subject and no verb."""

PARTICIPLES = frozenset(
    [
        "asked",
        "carried_out",
        "counted",
        "done",
        "drafted",
        "given",
        "held",
        "kept",
        "known",
        "landed",
        "looked_at",
        "made",
        "offered",
        "said",
        "seen",
        "shown",
        "simulated",
        "taken",
        "thinned",
        "told",
        "tried",
        "watched",
    ]
)
"""Names that say what has happened, not what the function does."""


def definitions() -> Iterator[tuple[str, ast.AST]]:
    """Yield every module, class and function with its place."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                line = getattr(node, "lineno", 1)
                yield f"{path.relative_to(ROOT)}:{line}", node


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for place, node in definitions():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield place, node


def test_a_docstring_begins_with_a_verb_or_a_noun() -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        f"{place} {text.splitlines()[0]}"
        for place, node in definitions()
        if isinstance(node, kinds) and (text := ast.get_docstring(node)) and NO_SUBJECT.match(text)
    ]
    assert found == []


def test_no_function_is_named_by_a_participle() -> None:
    assert [f"{place} {node.name}" for place, node in functions() if node.name in PARTICIPLES] == []


def test_a_predicate_returns_a_bool() -> None:
    found = [
        f"{place} {node.name} -> {returns}"
        for place, node in functions()
        if re.match(r"_?(is|has|are|may|should)_", node.name)
        and (returns := ast.unparse(node.returns) if node.returns else "nothing")
        not in ("bool", "bool | None", "NDArray[np.bool_]", "TypeGuard[float]")
    ]
    assert found == []


def test_no_class_name_has_two_meanings() -> None:
    places = defaultdict(list)
    for place, node in definitions():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            places[node.name].append(place)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_the_checks_find_what_they_look_for() -> None:
    assert NO_SUBJECT.match("So many processes are started.")
    assert NO_SUBJECT.match("Whether the server is ready.")
    assert not NO_SUBJECT.match("Return whether the server is ready.")
