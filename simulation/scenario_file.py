"""YAML ↔ Scenario.

Enters: a path, or text, and values set over it (``services.checkout.slots=8``). Leaves: a
`ScenarioFile`: the scenario, and the text it came from with its comments. Errors are one line for
people: file, line, key, value, the rule, and the nearest right key.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from executor.errors import BadInput
from executor.files import atomic_write_text
from simulation.scenario import Scenario, broken_rules
from simulation.units import SILENT, why
from simulation.yaml_text import (
    Key,
    child_of,
    dotted,
    dump_yaml,
    line_of,
    load_value,
    load_yaml,
    places_of,
    plain,
    set_value,
    shown,
)


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
        value: Any = load_yaml(other.text, str(other.path))
        for part in _split_key(key):
            value = child_of(value, part, SILENT)
        return self.with_values({key: value})

    def save(self, path: Path) -> ScenarioFile:
        """Writes the text, beside and renamed, and returns the file as it stands there.

        Raises:
            BadInput: The path cannot be written, or a trace is not to be found from there.
        """
        saved = self if path == self.path else ScenarioFile.parse(self.text, path)
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
        where = _Positions(name, load_yaml(text, name), set_keys, set_by)
        return _checked(text, path, pairs, where)
    except RecursionError:
        raise BadInput(f"{name}: is nested too deeply") from None


def _checked(
    text: str, path: Path | None, pairs: Sequence[tuple[Key, Any]], where: _Positions
) -> ScenarioFile:
    root = where.root
    for key, value in pairs:
        set_value(root, key, value)
    said = plain(root)
    data = dict(said)
    if not str(data.get("name") or "") and path is not None:
        data["name"] = path.name.split(".")[0]
    context = {"base_directory": str(path.parent if path else Path())}
    try:
        scenario = Scenario.model_validate(data, context=context)
    except ValidationError as error:
        raise BadInput(where.message(error)) from None
    for key, value, rule in broken_rules(scenario):
        raise BadInput(where.broken(key, value, rule))
    return ScenarioFile(dump_yaml(root) if pairs else text, scenario, said, path, where.set_keys)


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
        return _split_key(key), load_value(value)
    except (YAMLError, RecursionError):
        raise BadInput(f"--set {text}: the value is not YAML") from None


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
        self.root = root
        self.set_keys = set_keys
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
            return f"{self._place(keys, line)}: {dotted((*keys, loc[-1]))}: is missing"
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
        return f"{self._place(keys, line)}: {dotted(keys)}: {shown(self._value(keys))}: {rule}"

    def broken(self, key: Key, value: object, rule: str) -> str:
        """The same for a value that may be a default, at a key that may not be in the file."""
        _keys, line = self._walk(key)
        told = "" if value is SILENT else f" {shown(value)}:"
        return f"{self._place(key, line)}: {dotted(key)}:{told} {rule}"

    def _unknown(self, loc: Sequence[str | int]) -> str:
        keys, line = self._walk(loc)
        known = _known_keys(loc)
        near = _nearest(str(keys[-1]), known) or f" (known here: {', '.join(sorted(known))})"
        value = shown(self._value(keys))
        return f"{self._place(keys, line)}: {dotted(keys)}: {value}: unknown key{near}"

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
        """The key path in the file, without pydantic's union tags, and the line it stands on."""
        node: Any = self.root
        keys: list[str | int] = []
        line = 1
        for part, following in itertools.zip_longest(loc, loc[1:]):
            places, child = places_of(node), child_of(node, part)
            # A tag may be called as the key beside the one that is meant: {trace: …, scale: …}.
            is_tag = isinstance(following, str) and following in places.keys() - places_of(child)
            if str(part) in places and not is_tag:
                line = line_of(node, places[str(part)], line)
                keys.append(part)
                node = child
        return tuple(keys), line


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
