"""YAML as a person writes it: values read, set and taken out, comments and places kept.

Enters: text, and keys as tuples of their parts. Leaves: a tree that can be dumped again, its values
as plain data, and the lines that they stand on.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from executor.errors import BadInput
from simulation.units import SILENT

Key = tuple[str | int, ...]


class _Constructor(RoundTripConstructor):
    """Says on which line a value stands that has a form but no meaning, such as 2024-13-45."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            told = f"{shown(node.value)}: {error}"
            raise ConstructorError(problem=told, problem_mark=node.start_mark) from None


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Constructor = _Constructor
    yaml.preserve_quotes = True
    yaml.width = 100
    return yaml


def load_yaml(text: str, name: str) -> CommentedMap:
    """The tree of a text; errors call it ``name``.

    Raises:
        BadInput: It is not YAML, or no mapping.
    """
    try:
        root = _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = (error.problem or error.context or "is not YAML").splitlines()[0]
        raise BadInput(f"{name}{line}: is not YAML: {problem}") from None
    except YAMLError as error:
        raise BadInput(f"{name}: is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(root, CommentedMap):
        raise BadInput(f"{name}:1: a scenario is a mapping that begins with rollcast: scenario/1")
    return root


def load_value(text: str) -> Any:
    """A value alone.

    Raises:
        YAMLError: It is not YAML.
    """
    return _yaml().load(text)


def dump_yaml(root: CommentedMap) -> str:
    """The text of a tree."""
    out = io.StringIO()
    _yaml().dump(root, out)
    return out.getvalue()


def plain(node: Any) -> Any:
    """The node without ruamel's own types, so that scenarios stay plain data."""
    if isinstance(node, CommentedMap):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def set_value(root: CommentedMap, key: Key, value: Any) -> None:
    """Puts the value at the key; mappings on the way are made where they are missing.

    `SILENT` takes the key out.

    Raises:
        BadInput: There is no such place.
    """
    if value is SILENT:
        _take_out(root, key)
        return
    node: Any = root
    for depth, part in enumerate(key[:-1]):
        child = child_of(node, part)
        if not isinstance(child, CommentedMap | CommentedSeq):
            if child is not None:
                said = dotted(key[: depth + 1])
                raise BadInput(f"--set {dotted(key)}: {said} is {shown(child)}, it has no keys")
            child = CommentedMap()
            node[part] = child
        node = child
    last, places = key[-1], places_of(node)
    if isinstance(node, CommentedSeq) and str(last) not in places:
        raise BadInput(f"--set {dotted(key)}: no such place in a list")
    place = places.get(str(last), last)
    was = node[place] if str(last) in places else None
    if isinstance(was, CommentedSeq) and was.fa.flow_style() and type(value) is list:
        value = CommentedSeq(value)
        value.fa.set_flow_style()  # a list in one line stays one
    node[place] = value


def _take_out(root: CommentedMap, key: Key) -> None:
    """Removes a key, and the mappings that held nothing else."""
    parents: list[Any] = [root]
    for part in key[:-1]:
        parents.append(child_of(parents[-1], part))
    for parent, part in zip(reversed(parents), reversed(key), strict=True):
        places = places_of(parent)
        if str(part) in places:
            del parent[places[str(part)]]
        if parent:
            return


def places_of(node: Any) -> dict[str, Any]:
    """The keys of a mapping or the places of a list by their texts.

    A key of YAML may be a number, a date or nothing; a part of a key path is its text.
    """
    keys = range(len(node)) if isinstance(node, CommentedSeq) else node
    is_nested = isinstance(node, CommentedMap | CommentedSeq)
    return {str(key): key for key in keys} if is_nested else {}


def child_of(node: Any, part: str | int, otherwise: Any = None) -> Any:
    """What stands at one part of a key."""
    places = places_of(node)
    return node[places[str(part)]] if str(part) in places else otherwise


def line_of(node: Any, part: Any, otherwise: int) -> int:
    """The line of a key, counted from 1; ``otherwise`` where it was set rather than read."""
    try:
        position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
        return int(position[0]) + 1
    except (AttributeError, KeyError, TypeError, IndexError):
        return otherwise


def dotted(keys: Iterable[str | int]) -> str:
    """A key as it is said: its parts with dots between."""
    return ".".join(str(key) for key in keys)


def shown(value: object) -> str:
    """A value as it is said, shortened where it is long."""
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(v) for v in value) + "]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
