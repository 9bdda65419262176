"""YAML ↔ Scenario.

Enters: a path, or text, and values set over it (``services.checkout.slots=8``). Leaves: a
`ScenarioFile`: the scenario, and the text it came from with its comments. Errors are one line for
people: file, line, key, value, the rule, and the nearest right key.
"""

from __future__ import annotations

import difflib
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from executor.errors import BadInput
from executor.files import atomic_write_text
from simulation.scenario import Scenario, broken_rules
from simulation.units import why

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario with the text that says it.

    Two are equal when they say the same, however that is written and wherever it stands.

    Attributes:
        text: The YAML, comments kept.
        scenario: What it says.
        data: The text as plain data, without what is derived from it.
        path: Where it was read from, None when it is new.
        set_keys: Keys whose values were set over the text, for error messages.
    """

    text: str = field(compare=False)
    scenario: Scenario = field(compare=False)
    data: dict[str, Any]
    path: Path | None = field(default=None, compare=False)
    set_keys: frozenset[Key] = field(default=frozenset(), compare=False)

    @classmethod
    def load(cls, path: Path, sets: Iterable[str] = ()) -> ScenarioFile:
        """Reads a scenario file and sets ``key.path=value`` over it.

        Raises:
            BadInput: Anything wrong with the file or the values, in one line.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: cannot be read: {why(error)}") from None
        return cls.parse(text, path, sets)

    @classmethod
    def parse(cls, text: str, path: Path | None = None, sets: Iterable[str] = ()) -> ScenarioFile:
        """The same from text; ``path`` says where other files are looked for.

        Raises:
            BadInput: As `load`.
        """
        pairs = [_split_set(one) for one in sets]
        return _parsed(text, path, pairs, frozenset(key for key, _ in pairs))

    def with_values(self, values: dict[str, Any]) -> ScenarioFile:
        """The same file with other values at some keys, comments kept.

        Args:
            values: Plain values by dotted key, such as ``{"rollout.drain.timeout": "30s"}``.

        Raises:
            BadInput: A value breaks a rule.
        """
        pairs = [(_split_key(key), value) for key, value in values.items()]
        return _parsed(self.text, self.path, pairs, frozenset(key for key, _ in pairs), "")

    def with_value_of(self, other: ScenarioFile, key: str) -> ScenarioFile:
        """The same file with a key as the other says it, and without it where that is silent.

        Raises:
            BadInput: The value breaks a rule here.
        """
        value: Any = _load_yaml(other.text, str(other.path))
        for part in _split_key(key):
            value = _child(value, part, _SILENT)
        return self.with_values({key: value})

    def at(self, path: Path | None) -> ScenarioFile:
        """The same text as if it stood at another path, which may name it and hold its traces.

        Raises:
            BadInput: Its trace is not to be found from there.
        """
        return self if path == self.path else ScenarioFile.parse(self.text, path)

    def save(self, path: Path) -> ScenarioFile:
        """Writes the text, beside and renamed, and returns the file as it stands there.

        Raises:
            BadInput: The path cannot be written, or a trace is not to be found from there.
        """
        saved = self.at(path)
        atomic_write_text(path, saved.text)
        return replace(saved, set_keys=frozenset())


def _parsed(
    text: str,
    path: Path | None,
    pairs: Sequence[tuple[Key, Any]],
    set_keys: frozenset[Key],
    set_by: str = " with --set",
) -> ScenarioFile:
    name = str(path) if path else "scenario"
    try:
        return _checked(text, path, name, pairs, set_keys, set_by)
    except RecursionError:
        raise BadInput(f"{name}: is nested too deeply") from None


def _checked(
    text: str,
    path: Path | None,
    name: str,
    pairs: Sequence[tuple[Key, Any]],
    set_keys: frozenset[Key],
    set_by: str,
) -> ScenarioFile:
    root = _load_yaml(text, name)
    for key, value in pairs:
        _set(root, key, value)
    said = _plain(root)
    data = dict(said)
    if not str(data.get("name") or "") and path is not None:
        data["name"] = path.name.split(".")[0]
    context = {"base_directory": str(path.parent if path else Path())}
    where = _Positions(name, root, set_keys, set_by)
    try:
        scenario = Scenario.model_validate(data, context=context)
    except ValidationError as error:
        raise BadInput(where.message(error)) from None
    for key, value, rule in broken_rules(scenario):
        raise BadInput(where.broken(key, value, rule))
    return ScenarioFile(_dump(root) if pairs else text, scenario, said, path, set_keys)


class _Constructor(RoundTripConstructor):
    """Says on which line a value stands that has a form but no meaning, such as 2024-13-45."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            told = f"{_shown(node.value)}: {error}"
            raise ConstructorError(problem=told, problem_mark=node.start_mark) from None


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Constructor = _Constructor
    yaml.preserve_quotes = True
    yaml.width = 100
    return yaml


def _load_yaml(text: str, name: str) -> CommentedMap:
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


def _dump(root: CommentedMap) -> str:
    out = io.StringIO()
    _yaml().dump(root, out)
    return out.getvalue()


def _plain(node: Any) -> Any:
    """The node without ruamel's own types, so that scenarios stay plain data."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def _split_key(text: str) -> Key:
    parts = text.split(".")
    if not all(part.strip() for part in parts):
        raise BadInput(f"--set {text}: a key is names with dots between, such as rollout.window")
    return tuple(int(part) if part.isdecimal() else part.strip() for part in parts)


def _split_set(text: str) -> tuple[Key, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text}: must be key.path=value")
    try:
        return _split_key(key), _yaml().load(value)
    except (YAMLError, RecursionError):
        raise BadInput(f"--set {text}: the value is not YAML") from None


_SILENT = object()
"""In the place of a value that a file does not say."""


def _set(root: CommentedMap, key: Key, value: Any) -> None:
    """Puts the value at the key; mappings on the way are made where they are missing."""
    if value is _SILENT:
        _take_out(root, key)
        return
    node: Any = root
    for depth, part in enumerate(key[:-1]):
        child = _child(node, part)
        if not isinstance(child, CommentedMap | CommentedSeq):
            if child is not None:
                said = _dotted(key[: depth + 1])
                raise BadInput(f"--set {_dotted(key)}: {said} is {_shown(child)}, it has no keys")
            child = CommentedMap()
            node[part] = child
        node = child
    last, places = key[-1], _places(node)
    if isinstance(node, CommentedSeq) and str(last) not in places:
        raise BadInput(f"--set {_dotted(key)}: no such place in a list")
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
        parents.append(_child(parents[-1], part))
    for parent, part in zip(reversed(parents), reversed(key), strict=True):
        places = _places(parent)
        if str(part) in places:
            del parent[places[str(part)]]
        if parent:
            return


def _places(node: Any) -> dict[str, Any]:
    """The keys of a mapping or the places of a list by their texts.

    A key of YAML may be a number, a date or nothing; a part of a key path is its text.
    """
    keys = range(len(node)) if isinstance(node, CommentedSeq) else node
    is_nested = isinstance(node, CommentedMap | CommentedSeq)
    return {str(key): key for key in keys} if is_nested else {}


def _child(node: Any, part: str | int, otherwise: Any = None) -> Any:
    places = _places(node)
    return node[places[str(part)]] if str(part) in places else otherwise


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


class _Positions:
    """Says where in the file something is wrong."""

    def __init__(
        self, name: str, root: CommentedMap, set_keys: frozenset[Key], set_by: str
    ) -> None:
        self._name = name
        self._root = root
        self._set_keys = set_keys
        self._set_by = set_by

    def message(self, error: ValidationError) -> str:
        """One line for the first thing wrong; unknown keys first, since they explain others."""
        problems = error.errors(include_url=False)
        problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        kind, loc = problem["type"], problem["loc"]
        if kind == "extra_forbidden":
            return self._unknown(loc)
        if kind == "missing":
            keys, line = self._walk(loc[:-1])
            return f"{self._place(keys, line)}: {_dotted((*keys, loc[-1]))}: is missing"
        context = problem.get("ctx", {})
        rule = _RULES.get(kind) or {
            "literal_error": f"must be {context.get('expected', '')}",
            "greater_than": f"must be above {context.get('gt', 0):g}",
            "greater_than_equal": f"must be at least {context.get('ge', 0):g}",
            "too_short": f"needs at least {context.get('min_length')} entry",
            "too_long": f"takes at most {context.get('max_length')} entries",
        }.get(kind)
        if rule is None:
            rule = re.sub(r"^(Value error|Assertion failed), ", "", problem["msg"])
        nearest = ""
        if kind == "literal_error":
            nearest = _nearest(str(problem["input"]), re.findall(r"'([^']+)'", rule))
            rule = rule.replace("'", "")
        return self.line(loc, rule) + nearest

    def line(self, loc: Sequence[str | int], rule: str) -> str:
        """``file:line: key.path: value: rule`` for a value that stands in the file."""
        keys, line = self._walk(loc)
        return f"{self._place(keys, line)}: {_dotted(keys)}: {_shown(self._value(keys))}: {rule}"

    def broken(self, key: Key, value: object, rule: str) -> str:
        """The same for a value that may be a default, at a key that may not be in the file."""
        _keys, line = self._walk(key)
        return f"{self._place(key, line)}: {_dotted(key)}: {_shown(value)}: {rule}"

    def _unknown(self, loc: Sequence[str | int]) -> str:
        keys, line = self._walk(loc)
        known = _known_keys(loc)
        near = _nearest(str(keys[-1]), known) or f" (known here: {', '.join(sorted(known))})"
        value = _shown(self._value(keys))
        return f"{self._place(keys, line)}: {_dotted(keys)}: {value}: unknown key{near}"

    def _place(self, keys: Key, line: int) -> str:
        if any(keys[: len(key)] == key for key in self._set_keys):
            return f"{self._name}{self._set_by}"
        return f"{self._name}:{line}"

    def _value(self, keys: Key) -> object:
        node: Any = self._root
        for key in keys:
            node = _child(node, key)
        return node

    def _walk(self, loc: Sequence[str | int]) -> tuple[Key, int]:
        """The key path in the file, without pydantic's union tags, and the line it stands on."""
        node: Any = self._root
        keys: list[str | int] = []
        line = 1
        for part, following in itertools.zip_longest(loc, loc[1:]):
            places, child = _places(node), _child(node, part)
            # A tag may be called as the key beside the one that is meant: {trace: …, scale: …}.
            is_tag = isinstance(following, str) and following in places.keys() - _places(child)
            if str(part) in places and not is_tag:
                line = _line_of(node, places[str(part)], line)
                keys.append(part)
                node = child
        return tuple(keys), line


def _line_of(node: Any, part: Any, otherwise: int) -> int:
    """The line of a key, counted from 1; ``otherwise`` where it was set rather than read."""
    try:
        position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
        return int(position[0]) + 1
    except (AttributeError, KeyError, TypeError, IndexError):
        return otherwise


def _dotted(keys: Iterable[str | int]) -> str:
    return ".".join(str(key) for key in keys)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(_shown(v) for v in value) + "]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (nearest: {close[0]})" if close else ""


def _known_keys(loc: Sequence[str | int]) -> list[str]:
    """The keys that may stand beside the last part of ``loc``, from the JSON Schema."""
    schema = Scenario.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    known = set(schema["properties"])
    nodes = [schema]
    for part in loc[:-1]:
        found = []
        for node in nodes:
            options = [node, *node.get("anyOf", []), *node.get("oneOf", [])]
            for option in (
                definitions[o["$ref"].rsplit("/", 1)[1]] if "$ref" in o else o for o in options
            ):
                properties = option.get("properties", {})
                if part in properties:
                    found.append(properties[part])
                elif isinstance(option.get("additionalProperties"), dict):
                    found.append(option["additionalProperties"])
        if found:
            nodes = [_resolved(node, definitions) for node in found]
            known = {key for node in nodes for key in _properties(node, definitions)}
    return sorted(known)


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return definitions[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def _properties(node: dict[str, Any], definitions: dict[str, Any]) -> set[str]:
    options = [node, *node.get("anyOf", []), *node.get("oneOf", [])]
    return {
        key for option in options for key in _resolved(option, definitions).get("properties", {})
    }


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file, for editors and for ``assets/``."""
    schema = Scenario.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rollcast scenario",
        **{key: value for key, value in schema.items() if key != "title"},
    }
