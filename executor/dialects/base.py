"""The interface of a dialect: a tool's settings, how they are read and written, and advice on them.

Dialects are pure: they read no file and know nothing of a fleet but the number of its instances.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from executor.base.errors import BadInput
from executor.dialects.manner import Manner

Settings = Mapping[str, Any]
"""Values of a tool's settings, as they are written, by the names that the tool has for them."""


@dataclass(frozen=True)
class ToolSetting:
    """One setting of a tool.

    Attributes:
        name: Its name, as the tool has it, such as ``maxSurge``.
        default: The value that holds where it is not written; None where there is none.
        about: What it does, as a verb phrase or a noun phrase.
    """

    name: str
    default: Any
    about: str


@dataclass(frozen=True)
class Written:
    """A manner as settings of a tool.

    Attributes:
        settings: The settings, by name, without those that are at their default.
        lost: A sentence for each thing of the manner that the tool does not do.
    """

    settings: dict[str, Any]
    lost: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """A piece of advice on settings that each pass the tool's own validation.

    Attributes:
        rule: A short name of the rule, the same for every tool, such as ``window-rounds-to-nothing``.
        level: error: the tool will not do what is written. warning: it does something that is seldom
            meant. note: worth knowing.
        settings: The names of the settings that it is about, the first of which is pointed at.
        why: What will happen, as a sentence.
        change: The change to make, as an imperative sentence.
    """

    rule: str
    level: Literal["error", "warning", "note"]
    settings: tuple[str, ...]
    why: str
    change: str


class Dialect(Protocol):
    """A tool that rolls fleets.

    Attributes:
        name: Its name, as `rollout.tool` and `--as` take it.
        title: The tool, in words.
        settings: Its settings with their defaults.
        assumed: A sentence for each rule that is assumed, because no documentation or source has it.
    """

    name: str
    title: str
    settings: tuple[ToolSetting, ...]
    assumed: tuple[str, ...]

    def read(self, settings: Settings, n: int) -> Manner:
        """Return how the tool rolls n instances with these settings; missing ones have their defaults.

        Raises:
            BadInput: The tool refuses a setting; the message has the tool's own words where it has any.
        """
        ...

    def write(self, manner: Manner, n: int) -> Written:
        """Return the settings with which the tool rolls n instances most like this, and what is lost.

        What cannot be written is rolled more carefully (a smaller window), never less.
        """
        ...

    def advise(self, settings: Settings, n: int) -> tuple[Advice, ...]:
        """Return what these settings do that is seldom meant.

        Raises:
            BadInput: As `read` does.
        """
        ...


def with_defaults(dialect: Dialect, settings: Settings) -> dict[str, Any]:
    """Return all settings of a tool: those that are given, and the defaults of the others.

    Raises:
        BadInput: A name is none of the tool's settings; the message names the nearest.
    """
    names = [setting.name for setting in dialect.settings]
    for name in settings:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise BadInput(f"{dialect.name}: {name} must be one of {', '.join(names)}{hint}")
    return {
        setting.name: settings.get(setting.name, setting.default) for setting in dialect.settings
    }
