"""What the studio remembers between starts: what a person set, windows, recent files.

What can be set is declared once, in `SETTINGS`: the dialogue and `docs/studio.md` come from it.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from studio.views.theme import LIGHT, THEMES, Theme

RECENT_COUNT = 10


@dataclass(frozen=True)
class Setting:
    """Something that can be set.

    Attributes:
        key: Where it is kept.
        words: What it is called.
        tip: What it does, in a sentence.
        default: What it is before anybody has set it.
        choices: Its values and what they are called; empty for yes or no.
    """

    key: str
    words: str
    tip: str
    default: str | bool
    choices: tuple[tuple[str, str], ...] = ()


SETTINGS = (
    Setting(
        "theme", "Theme", "The colours of windows and charts.", "light",
        (("light", "Light"), ("dark", "Dark")),
    ),
    Setting(
        "simulate_at_once", "Simulate by itself after a change",
        "A moment after the last change the comparison begins anew; else F5 begins it.", True,
    ),
    Setting(
        "reopen_last", "Open the last scenario at the start",
        "Without a scenario named, the studio opens the one that was open last, else the example.",
        False,
    ),
)  # fmt: skip


class Settings:
    """Named values over `QSettings`."""

    def __init__(self, store: QSettings | None = None) -> None:
        self._store = store or QSettings("Rollcast", "Rollcast")

    def value(self, key: str) -> str | bool:
        """What is set, by the key of one of `SETTINGS`."""
        setting = next(one for one in SETTINGS if one.key == key)
        value = self._store.value(key, setting.default)
        if isinstance(setting.default, bool):
            return value in (True, "true")  # a file of settings keeps words
        known = {choice for choice, _ in setting.choices}
        return str(value) if value in known else setting.default

    def set_value(self, key: str, value: str | bool) -> None:
        """Sets it."""
        self._store.setValue(key, value)

    @property
    def theme(self) -> Theme:
        """The theme chosen last."""
        return THEMES.get(str(self.value("theme")), LIGHT)

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self.set_value("theme", theme.name)

    @property
    def simulates_at_once(self) -> bool:
        """Whether a change is simulated by itself."""
        return bool(self.value("simulate_at_once"))

    @property
    def was_started_before(self) -> bool:
        """Whether this is not the very first start."""
        return self._store.value("started", False) in (True, "true")

    def note_start(self) -> None:
        """From now on the first start has been."""
        self._store.setValue("started", True)

    @property
    def geometry(self) -> QByteArray | None:
        """Where the window was."""
        value = self._store.value("geometry")
        return value if isinstance(value, QByteArray) else None

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("geometry", value)

    def recent(self) -> list[Path]:
        """The files opened last that are still there, the latest first."""
        value = self._store.value("recent", [])
        names = value if isinstance(value, list) else [value]  # one entry comes bare
        return [Path(name) for name in names if isinstance(name, str) and os.path.exists(name)]

    def remember(self, path: Path) -> None:
        """Puts a file on top of the recent ones."""
        full = path.resolve()
        others = [one for one in self.recent() if one != full]
        self._store.setValue("recent", [str(one) for one in [full, *others][:RECENT_COUNT]])
