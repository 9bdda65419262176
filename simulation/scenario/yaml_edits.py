"""YAML as a person writes it: values set and taken out, comments and places kept.

Enters: a tree as `executor.base.yaml_positions` reads it, and keys as tuples of their parts. Leaves: the tree
with other values, and its text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from executor.base.errors import BadInput
from executor.base.yaml_positions import (
    NOT_GIVEN,
    Key,
    child_of,
    dotted_key,
    places_of,
    round_trip,
    shorten_value,
)


def dump_yaml(root: CommentedMap) -> str:
    """The text of a tree."""
    out = io.StringIO()
    round_trip().dump(root, out)
    return out.getvalue()


def with_lines_of(text: str, before: str) -> str:
    """A dumped text in which lists and mappings in brackets stand in the lines that they stood in.

    A dump fills such lines anew, to a width of its own. What says something else than before stays
    as it was dumped.
    """
    was = dict(_in_brackets(before))
    kept, rest = [], len(text)
    for key, one in reversed(list(_in_brackets(text))):
        old = was.get(key)
        if old is not None and one.end_mark.index <= rest and _said(old) == _said(one):
            after = text[one.end_mark.index : rest]
            if after.lstrip(" ").startswith("#"):  # a comment stays as far behind it
                apart = before[old.end_mark.index :]
                after = apart[: len(apart) - len(apart.lstrip(" "))] + after.lstrip(" ")
            kept.append(after)
            kept.append(_written(before, old))
            rest = one.start_mark.index
    return text[:rest] + "".join(reversed(kept))


def _written(text: str, node: Node) -> str:
    written: str = text[node.start_mark.index : node.end_mark.index]
    return written


def _in_brackets(text: str) -> Iterator[tuple[Key, Node]]:
    """The outermost collections in brackets, by their keys, in the order of the text."""
    left: list[tuple[Key, Node]] = [((), round_trip().compose(text))]
    while left:
        key, node = left.pop()
        if not isinstance(node, CollectionNode):
            continue
        if node.flow_style:
            yield key, node
            continue
        inside = (
            [(str(name.value), child) for name, child in node.value]
            if isinstance(node, MappingNode)
            else list(enumerate(node.value))
        )
        left += [((*key, part), child) for part, child in reversed(inside)]


def _said(node: Any) -> Any:
    """What a node says, however it is written."""
    if isinstance(node, ScalarNode):
        return node.tag, node.value
    if isinstance(node, CollectionNode):
        return node.tag, [_said(one) for one in node.value]
    return [_said(one) for one in node]


def set_value(root: CommentedMap, key: Key, value: Any) -> None:
    """Puts the value at the key; mappings on the way are made where they are missing.

    `NOT_GIVEN` takes the key out.

    Raises:
        BadInput: There is no such place.
    """
    if value is NOT_GIVEN:
        _take_out(root, key)
        return
    node: Any = root
    for depth, part in enumerate(key[:-1]):
        child = child_of(node, part)
        if not isinstance(child, CommentedMap | CommentedSeq):
            if child is not None:
                said = dotted_key(key[: depth + 1])
                raise BadInput(
                    f"--set {dotted_key(key)}: {said} is {shorten_value(child)}, it has no keys"
                )
            child = CommentedMap()
            node[part] = child
        node = child
    last, places = key[-1], places_of(node)
    if isinstance(node, CommentedSeq) and str(last) not in places:
        raise BadInput(f"--set {dotted_key(key)}: no such place in a list")
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
