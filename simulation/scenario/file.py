"""YAML ↔ Scenario.

Enters: a path, or text, and values set over it (``services.checkout.slots=8``). Leaves: a
`ScenarioFile`: the scenario, and the text it came from with its comments. Errors are one line for
people: file, line, key, value, the rule, and the nearest right key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import YAMLError

from executor.base.errors import BadInput
from executor.base.files import atomic_write_text
from executor.base.text_limits import MOST_YAML_BYTES, MOST_YAML_LEVELS, TooLarge, read_limited_text
from executor.base.yaml_positions import (
    NOT_GIVEN,
    Key,
    Positions,
    child_of,
    load_value,
    load_yaml,
    plain,
    shorten_value,
    too_deep,
)
from simulation.scenario.model import Scenario
from simulation.scenario.rules import broken_rules
from simulation.scenario.units import why
from simulation.scenario.yaml_edits import dump_yaml, set_value, with_lines_of

_BEGINS = "scenario/1"


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
        as_read: The text before values were set, whose lines a save keeps; empty when none were.
    """

    text: str = field(compare=False)
    scenario: Scenario = field(compare=False)
    data: dict[str, Any]
    path: Path | None = field(default=None, compare=False)
    set_keys: frozenset[Key] = field(default=frozenset(), compare=False)
    as_read: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: Path, sets: Iterable[str] = ()) -> ScenarioFile:
        """Reads a scenario file and sets ``key.path=value`` over it.

        Raises:
            BadInput: Anything wrong with the file or the values, in one line.
        """
        try:
            text = read_limited_text(path, MOST_YAML_BYTES)
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
        made = _parsed(self.text, self.path, pairs, frozenset(key for key, _ in pairs), "")
        return replace(made, as_read=self.as_read or self.text)

    def with_value_of(self, other: ScenarioFile, key: str) -> ScenarioFile:
        """The same file with a key as the other says it, and without it where that is silent.

        Raises:
            BadInput: The value breaks a rule here.
        """
        value: Any = load_yaml(other.text, str(other.path), _BEGINS)
        for part in _split_key(key):
            value = child_of(value, part, NOT_GIVEN)
        return self.with_values({key: value})

    @property
    def text_to_save(self) -> str:
        """The text that `save` writes: lines that say the same stay as they were read."""
        return with_lines_of(self.text, self.as_read) if self.as_read else self.text

    def save(self, path: Path) -> ScenarioFile:
        """Writes the text, beside and renamed, and returns the file as it stands there.

        Raises:
            BadInput: The path cannot be written, or a trace is not to be found from there.
        """
        saved = ScenarioFile.parse(self.text_to_save, path)
        atomic_write_text(path, saved.text)
        return saved


def _parsed(
    text: str,
    path: Path | None,
    pairs: Sequence[tuple[Key, Any]],
    set_keys: frozenset[Key],
    set_by: str = " with --set",
) -> ScenarioFile:
    name = str(path) if path else "scenario"
    where = Positions(name, load_yaml(text, name, _BEGINS), _schema(), set_keys, set_by)
    return _checked(text, path, pairs, where)


def _checked(
    text: str, path: Path | None, pairs: Sequence[tuple[Key, Any]], where: Positions
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
    if len(parts) > MOST_YAML_LEVELS:
        raise BadInput(f"--set {shorten_value(text)}: {too_deep()}")
    return tuple(
        int(part) if part.isdecimal() and len(part) < 10 else part.strip() for part in parts
    )


def _split_set(text: str) -> tuple[Key, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--set {text}: must be key.path=value")
    try:
        return _split_key(key), load_value(value)
    except MaxDepthExceededError:
        raise BadInput(f"--set {key}: the value {too_deep()}") from None
    except TooLarge as error:
        raise BadInput(f"--set {shorten_value(text)}: {error.problem}") from None
    except (YAMLError, ValueError, RecursionError):
        raise BadInput(f"--set {shorten_value(text)}: the value is not YAML") from None


@cache
def _schema() -> dict[str, Any]:
    return Scenario.model_json_schema(by_alias=True)


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file, for editors and for ``assets/``."""
    schema = _schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rollcast scenario",
        **{key: value for key, value in schema.items() if key != "title"},
    }
