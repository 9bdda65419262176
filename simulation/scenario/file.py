"""Reading and writing scenario files.

A `ScenarioFile` has the scenario and the YAML text that it was read from, with its comments. Values can
be set over the text (``services.checkout.slots=8``). An error is one line: file, line, key, value, the
rule, and the nearest valid key.
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
    """A scenario with the YAML text that it was read from.

    Two are equal when their data are equal, whatever their path, layout and comments.

    Attributes:
        text: The YAML text with its comments.
        scenario: The scenario of the text.
        data: The text as plain data, without defaults or other derived values.
        path: The file that it was read from, None when it is new.
        set_keys: Keys whose values were set over the text, for error messages.
        as_read: The text before values were set, whose line breaks a save keeps; empty when no
            value was set.
    """

    text: str = field(compare=False)
    scenario: Scenario = field(compare=False)
    data: dict[str, Any]
    path: Path | None = field(default=None, compare=False)
    set_keys: frozenset[Key] = field(default=frozenset(), compare=False)
    as_read: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: Path, sets: Iterable[str] = ()) -> ScenarioFile:
        """Read a scenario file and set values over it.

        Args:
            path: The file.
            sets: Values to set, each as ``key.path=value``.

        Raises:
            BadInput: The file cannot be read, or breaks a rule; the message is one line.
        """
        try:
            text = read_limited_text(path, MOST_YAML_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: cannot be read: {why(error)}") from None
        return cls.parse(text, path, sets)

    @classmethod
    def parse(cls, text: str, path: Path | None = None, sets: Iterable[str] = ()) -> ScenarioFile:
        """Do the same as `load` for a text; files that it names are relative to ``path``.

        Raises:
            BadInput: The text breaks a rule.
        """
        pairs = [_split_set(text) for text in sets]
        return _parse(text, path, pairs, frozenset(key for key, _ in pairs))

    def with_values(self, values: dict[str, Any]) -> ScenarioFile:
        """Return the same file with other values at some keys; comments are kept.

        Args:
            values: Plain values by dotted key, such as ``{"rollout.drain.timeout": "30s"}``.

        Raises:
            BadInput: A value breaks a rule.
        """
        pairs = [(_split_key(key), value) for key, value in values.items()]
        file = _parse(self.text, self.path, pairs, frozenset(key for key, _ in pairs), "")
        return replace(file, as_read=self.as_read or self.text)

    def with_value_of(self, other: ScenarioFile, key: str) -> ScenarioFile:
        """Return the same file with another file's value of a key, or without a key it does not have.

        Raises:
            BadInput: The value breaks a rule here.
        """
        value: Any = load_yaml(other.text, str(other.path), _BEGINS)
        for part in _split_key(key):
            value = child_of(value, part, NOT_GIVEN)
        return self.with_values({key: value})

    @property
    def text_to_save(self) -> str:
        """The text that `save` writes: unchanged lists and mappings keep their line breaks."""
        return with_lines_of(self.text, self.as_read) if self.as_read else self.text

    def save(self, path: Path) -> ScenarioFile:
        """Write the text atomically, and return the file at its new path.

        Raises:
            BadInput: The path cannot be written, or a trace is not found relative to it.
        """
        saved = ScenarioFile.parse(self.text_to_save, path)
        atomic_write_text(path, saved.text)
        return saved


def _parse(
    text: str,
    path: Path | None,
    pairs: Sequence[tuple[Key, Any]],
    set_keys: frozenset[Key],
    set_by: str = " with --set",
) -> ScenarioFile:
    name = str(path) if path else "scenario"
    where = Positions(name, load_yaml(text, name, _BEGINS), _schema(), set_keys, set_by)
    return _validate(text, path, pairs, where)


def _validate(
    text: str, path: Path | None, pairs: Sequence[tuple[Key, Any]], where: Positions
) -> ScenarioFile:
    root = where.root
    for key, value in pairs:
        set_value(root, key, value)
    own_data = plain(root)
    data = dict(own_data)
    if not str(data.get("name") or "") and path is not None:
        data["name"] = path.name.split(".")[0]
    context = {"base_directory": str(path.parent if path else Path())}
    try:
        scenario = Scenario.model_validate(data, context=context)
    except ValidationError as error:
        raise BadInput(where.message(error)) from None
    for key, value, rule in broken_rules(scenario):
        raise BadInput(where.broken(key, value, rule))
    new_text = dump_yaml(root) if pairs else text
    return ScenarioFile(new_text, scenario, own_data, path, where.set_keys)


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
    """Return the JSON Schema of a scenario file, for editors and for ``assets/``."""
    schema = _schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rollcast scenario",
        **{key: value for key, value in schema.items() if key != "title"},
    }
