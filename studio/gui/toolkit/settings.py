"""The values that the studio stores between starts: settings, the window's geometry, recent files.

Each setting is declared once in `SETTINGS`; the dialog and `docs/studio.md` come from there.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from studio.views.theme import LIGHT, THEMES, Theme

RECENT_COUNT = 10
"""Maximum number of recent files."""


@dataclass(frozen=True)
class Setting:
    """A setting of the studio.

    Attributes:
        key: The key in the settings file.
        words: The name.
        tip: What the setting does, in a sentence.
        default: The value before the user has set one.
        choices: The values and their names; empty for yes or no.
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
        "simulate_at_once", "Simulate after a change",
        "The comparison begins a moment after the last change. When this is off, F5 begins it.", True,
    ),
    Setting(
        "reopen_last", "Open the last scenario at the start",
        "Started without a scenario, the studio opens the last one. When this is off, it opens the example.",
        False,
    ),
)  # fmt: skip


class Settings:
    """Named values in `QSettings`."""

    def __init__(self, store: QSettings | None = None) -> None:
        self._store = store or QSettings("Rollcast", "Rollcast")

    def value(self, key: str) -> str | bool:
        """Return the value of a setting, by its key."""
        setting = next(candidate for candidate in SETTINGS if candidate.key == key)
        value = self._store.value(key, setting.default)
        if isinstance(setting.default, bool):
            return value in (True, "true")  # a settings file stores words
        known = {choice for choice, _ in setting.choices}
        return str(value) if value in known else setting.default

    def set_value(self, key: str, value: str | bool) -> None:
        """Set the value of a setting."""
        self._store.setValue(key, value)

    @property
    def theme(self) -> Theme:
        """The theme that was chosen last."""
        return THEMES.get(str(self.value("theme")), LIGHT)

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self.set_value("theme", theme.name)

    @property
    def simulates_at_once(self) -> bool:
        """Return whether a change is simulated without pressing F5."""
        return bool(self.value("simulate_at_once"))

    @property
    def was_started_before(self) -> bool:
        """Return whether the studio was started before."""
        return self._store.value("started", False) in (True, "true")

    def note_start(self) -> None:
        """Note that the studio was started."""
        self._store.setValue("started", True)

    @property
    def geometry(self) -> QByteArray | None:
        """The size and the position of the window."""
        value = self._store.value("geometry")
        return value if isinstance(value, QByteArray) else None

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("geometry", value)

    def recent(self) -> list[Path]:
        """Return the recently opened files that still exist, the latest first."""
        value = self._store.value("recent", [])
        # Qt returns a single entry without a list
        names = value if isinstance(value, list) else [value]
        return [Path(name) for name in names if isinstance(name, str) and os.path.exists(name)]

    def remember(self, path: Path) -> None:
        """Put a file first in the list of recent files."""
        full = path.resolve()
        others = [recent for recent in self.recent() if recent != full]
        self._store.setValue("recent", [str(recent) for recent in [full, *others][:RECENT_COUNT]])
