"""Edits of YAML that keep comments and layout: setting and removing values.

The trees are those of `executor.base.yaml_positions`; a key is a tuple of its parts.
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
    """Return the text of a tree."""
    out = io.StringIO()
    round_trip().dump(root, out)
    return out.getvalue()


def with_lines_of(text: str, before: str) -> str:
    """Return a dumped text with the original line breaks of its lists and mappings in brackets.

    A dump breaks such lines at a width of its own. Lists and mappings whose values have changed stay
    as they were dumped.
    """
    old_nodes = dict(_in_brackets(before))
    parts, rest = [], len(text)
    for key, node in reversed(list(_in_brackets(text))):
        old = old_nodes.get(key)
        if old is not None and node.end_mark.index <= rest and _content(old) == _content(node):
            after = text[node.end_mark.index : rest]
            if after.lstrip(" ").startswith("#"):  # keep the distance of a comment
                old_after = before[old.end_mark.index :]
                spaces = old_after[: len(old_after) - len(old_after.lstrip(" "))]
                after = spaces + after.lstrip(" ")
            parts.append(after)
            parts.append(_source(before, old))
            rest = node.start_mark.index
    return text[:rest] + "".join(reversed(parts))


def _source(text: str, node: Node) -> str:
    source: str = text[node.start_mark.index : node.end_mark.index]
    return source


def _in_brackets(text: str) -> Iterator[tuple[Key, Node]]:
    """Yield the outermost collections in brackets with their keys, in the order of the text."""
    stack: list[tuple[Key, Node]] = [((), round_trip().compose(text))]
    while stack:
        key, node = stack.pop()
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
        stack += [((*key, part), child) for part, child in reversed(inside)]


def _content(node: Any) -> Any:
    """Return the tags and values of a node, without its layout."""
    if isinstance(node, ScalarNode):
        return node.tag, node.value
    if isinstance(node, CollectionNode):
        return node.tag, [_content(child) for child in node.value]
    return [_content(child) for child in node]


def set_value(root: CommentedMap, key: Key, value: Any) -> None:
    """Set the value of a key; missing mappings on the way are added. `NOT_GIVEN` removes the key.

    Raises:
        BadInput: The key leads through a value that has no keys, or beyond the end of a list.
    """
    if value is NOT_GIVEN:
        _remove(root, key)
        return
    node: Any = root
    for depth, part in enumerate(key[:-1]):
        child = child_of(node, part)
        if not isinstance(child, CommentedMap | CommentedSeq):
            if child is not None:
                parent = dotted_key(key[: depth + 1])
                raise BadInput(
                    f"--set {dotted_key(key)}: {parent} is {shorten_value(child)}, it has no keys"
                )
            child = CommentedMap()
            node[part] = child
        node = child
    last, places = key[-1], places_of(node)
    if isinstance(node, CommentedSeq) and str(last) not in places:
        raise BadInput(f"--set {dotted_key(key)}: no such place in a list")
    place = places.get(str(last), last)
    old = node[place] if str(last) in places else None
    if isinstance(old, CommentedSeq) and old.fa.flow_style() and type(value) is list:
        value = CommentedSeq(value)
        value.fa.set_flow_style()  # a list in brackets stays in brackets
    node[place] = value


def _remove(root: CommentedMap, key: Key) -> None:
    """Remove a key, and the mappings that contained nothing else."""
    parents: list[Any] = [root]
    for part in key[:-1]:
        parents.append(child_of(parents[-1], part))
    for parent, part in zip(reversed(parents), reversed(key), strict=True):
        places = places_of(parent)
        if str(part) in places:
            del parent[places[str(part)]]
        if parent:
            return
