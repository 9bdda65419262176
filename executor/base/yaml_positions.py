"""Read YAML with the lines of its values, and report problems as one line with that position.

A message names file, line, key, value and rule, and for an unknown key the nearest known one.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from executor.base.errors import BadInput
from executor.base.text_limits import MOST_YAML_LEVELS, TooLarge, refuse_too_large

Key = tuple[str | int, ...]

NOT_GIVEN = object()
"""Stands for the value of a key that a file does not have."""


class _SafeConstructor(SafeConstructor):
    """A constructor that refuses a text beyond the limits before it builds anything."""

    def construct_document(self, node: Any) -> Any:
        refuse_too_large(node)
        return super().construct_document(node)


class _Constructor(RoundTripConstructor):
    """A constructor that also names the line of an impossible value, such as the date 2024-13-45."""

    def construct_document(self, node: Any) -> Any:
        refuse_too_large(node)
        return super().construct_document(node)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"{shorten_value(node.value)}: {error}"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from None


def round_trip() -> YAML:
    """Return a reader and writer of YAML that keeps comments."""
    yaml = YAML()
    yaml.Constructor = _Constructor
    yaml.preserve_quotes = True
    yaml.width = 100
    yaml.max_depth = MOST_YAML_LEVELS
    return yaml


def load_yaml(text: str, name: str, begins: str) -> CommentedMap:
    """Return the tree of a YAML text.

    Args:
        text: The text.
        name: The name of the file in messages.
        begins: The value of ``rollcast`` with which such a file begins, for messages.

    Raises:
        BadInput: The text is not YAML, exceeds a limit, or is no mapping.
    """
    with _yaml_errors(name):
        root = round_trip().load(text)
    if not isinstance(root, CommentedMap):
        kind = begins.split("/", maxsplit=1)[0]
        article = "an" if kind[0] in "aeiou" else "a"
        raise BadInput(
            f"{name}:1: {article} {kind} is a mapping that begins with rollcast: {begins}"
        )
    return root


def load_documents(text: str, name: str) -> list[Any]:
    """Return every document of a YAML text as plain data.

    Args:
        text: The text.
        name: The name of the file in messages.

    Raises:
        BadInput: The text is not YAML or exceeds a limit.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _SafeConstructor
    with _yaml_errors(name):
        return list(yaml.load_all(text))


@contextmanager
def _yaml_errors(name: str) -> Iterator[None]:
    """Turn ruamel's errors into `BadInput` with the line."""
    try:
        yield
    except MaxDepthExceededError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput(f"{name}{line}: {too_deep()}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = (error.problem or error.context or "is not YAML").splitlines()[0]
        rule = problem if isinstance(error, TooLarge) else f"is not YAML: {problem}"
        raise BadInput(f"{name}{line}: {rule}") from None
    except (YAMLError, ValueError) as error:
        raise BadInput(f"{name}: is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise BadInput(f"{name}: {too_deep()}") from None


def load_value(text: str) -> Any:
    """Return the value of a YAML text without a file, as of a ``--set`` option.

    Raises:
        MaxDepthExceededError: The value is nested too deeply.
        YAMLError: The text is not YAML.
    """
    return round_trip().load(text)


def too_deep() -> str:
    """Return the rule that a text nested beyond `MOST_YAML_LEVELS` breaks."""
    return f"is nested too deeply: must not exceed {MOST_YAML_LEVELS} levels"


def plain(node: Any) -> Any:
    """Return a node as plain data, without ruamel's types."""
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


def places_of(node: Any) -> dict[str, Any]:
    """Return the keys of a mapping, or the indexes of a list, by their texts.

    A key in YAML may be a number, a date or null; a part of a key path is a text.
    """
    keys = range(len(node)) if isinstance(node, CommentedSeq) else node
    is_nested = isinstance(node, CommentedMap | CommentedSeq)
    return {str(key): key for key in keys} if is_nested else {}


def child_of(node: Any, part: str | int, otherwise: Any = None) -> Any:
    """Return the child of a node at one part of a key path, or ``otherwise``."""
    places = places_of(node)
    return node[places[str(part)]] if str(part) in places else otherwise


def line_of(node: Any, part: Any, otherwise: int) -> int:
    """Return the line of a key, counted from 1; ``otherwise`` for a key that was not read from a file."""
    try:
        position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
        return int(position[0]) + 1
    except (AttributeError, KeyError, TypeError, IndexError):
        return otherwise


def dotted_key(keys: Iterable[str | int]) -> str:
    """Return a key path with dots between its parts."""
    return ".".join(str(key) for key in keys)


def shorten_value(value: object) -> str:
    """Return a value as text for a message, of at most 60 characters for most values."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of about {round(value.bit_length() * 0.30103):,} digits"
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{k}: {shorten_value(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shorten_value(v) for v in value) + "]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def broken_text(key: Iterable[str | int], value: object, rule: str) -> str:
    """Return ``key.path: value: rule``, without the value where the file does not have it."""
    value_text = "" if value is NOT_GIVEN else f" {shorten_value(value)}:"
    return f"{dotted_key(key)}:{value_text} {rule}"


_RULES = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be a text",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "finite_number": "must be finite",
}


class Positions:
    """A file's tree, which gives problems their position in the file.

    Attributes:
        root: The file's tree.
        set_keys: Keys whose values were set by an option and not by the file.
    """

    def __init__(
        self,
        name: str,
        root: CommentedMap,
        schema: dict[str, Any],
        set_keys: frozenset[Key] = frozenset(),
        set_by: str = "",
    ) -> None:
        self._name = name
        self._schema = schema
        self.root = root
        self.set_keys = set_keys
        self._set_by = set_by

    def message(self, error: ValidationError) -> str:
        """Return one line about the first problem; an unknown key comes first, since it explains others."""
        problems = error.errors(include_url=False)
        problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        kind, loc = problem["type"], problem["loc"]
        if kind == "extra_forbidden":
            return self._unknown(loc)
        if kind == "missing":
            keys, line = self._walk(loc[:-1])
            return f"{self._place(keys, line)}: {dotted_key((*keys, loc[-1]))}: is missing"
        context = problem.get("ctx", {})
        rule = _RULES.get(kind) or {
            "literal_error": f"must be {context.get('expected', '')}",
            "greater_than": f"must be above {context.get('gt', 0):g}",
            "greater_than_equal": f"must be at least {context.get('ge', 0):g}",
            "less_than_equal": f"must be at most {context.get('le', 0):,}",
            "too_short": f"needs at least {context.get('min_length')} entry",
            "too_long": f"takes at most {context.get('max_length')} entries",
        }.get(kind)
        if rule is None:
            rule = re.sub(r"^(Value error|Assertion failed), ", "", problem["msg"])
        nearest = ""
        if kind == "literal_error":
            nearest = nearest_hint(str(problem["input"]), re.findall(r"'([^']+)'", rule))
            rule = rule.replace("'", "")
        return self.line(loc, rule) + nearest

    def line(self, loc: Sequence[str | int], rule: str) -> str:
        """Return ``file:line: key.path: value: rule`` for a value in the file."""
        keys, line = self._walk(loc)
        return f"{self._place(keys, line)}: {dotted_key(keys)}: {shorten_value(self._value(keys))}: {rule}"

    def broken(self, key: Key, value: object, rule: str) -> str:
        """Return ``file:line: key.path: value: rule`` for a key that may not be in the file."""
        _keys, line = self._walk(key)
        return f"{self._place(key, line)}: {broken_text(key, value, rule)}"

    def _unknown(self, loc: Sequence[str | int]) -> str:
        keys, line = self._walk(loc)
        known = _known_keys(self._schema, loc)
        near = nearest_hint(str(keys[-1]), known) or f" (known here: {', '.join(sorted(known))})"
        value = shorten_value(self._value(keys))
        return f"{self._place(keys, line)}: {dotted_key(keys)}: {value}: unknown key{near}"

    def _place(self, keys: Key, line: int) -> str:
        if any(keys[: len(key)] == key for key in self.set_keys):
            return f"{self._name}{self._set_by}"
        return f"{self._name}:{line}"

    def _value(self, keys: Key) -> object:
        node: Any = self.root
        for key in keys:
            node = child_of(node, key)
        return node

    def _walk(self, loc: Sequence[str | int]) -> tuple[Key, int]:
        """Return the key path in the file, without pydantic's union tags, and its line."""
        node: Any = self.root
        keys: list[str | int] = []
        line = 1
        for part, following in itertools.zip_longest(loc, loc[1:]):
            places, child = places_of(node), child_of(node, part)
            # A union tag may have the name of a key beside the one that is meant: {trace: …, scale: …}.
            is_tag = isinstance(following, str) and following in places.keys() - places_of(child)
            if str(part) in places and not is_tag:
                line = line_of(node, places[str(part)], line)
                keys.append(part)
                node = child
        return tuple(keys), line


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """Return `` (nearest: …)`` with the known word that is most like this one; empty where none is like it."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (nearest: {close[0]})" if close else ""


def _known_keys(schema: dict[str, Any], loc: Sequence[str | int]) -> list[str]:
    """Return the known keys at the place of the last part of ``loc``, from the JSON Schema."""
    definitions = schema["$defs"]
    known = set(schema["properties"])
    nodes = [schema]
    for part in loc[:-1]:
        children = []
        for node in nodes:
            options = [node, *node.get("anyOf", []), *node.get("oneOf", [])]
            for option in (
                definitions[o["$ref"].rsplit("/", 1)[1]] if "$ref" in o else o for o in options
            ):
                properties = option.get("properties", {})
                if part in properties:
                    children.append(properties[part])
                elif isinstance(option.get("additionalProperties"), dict):
                    children.append(option["additionalProperties"])
        if children:
            nodes = [_resolve_reference(node, definitions) for node in children]
            known = {key for node in nodes for key in _properties(node, definitions)}
    return sorted(known)


def _resolve_reference(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return definitions[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def _properties(node: dict[str, Any], definitions: dict[str, Any]) -> set[str]:
    options = [node, *node.get("anyOf", []), *node.get("oneOf", [])]
    return {
        key
        for option in options
        for key in _resolve_reference(option, definitions).get("properties", {})
    }
