"""What the studio remembers between starts: theme, window, recent files."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from studio.theme import LIGHT, THEMES, Theme

RECENT_COUNT = 10


class Settings:
    """A few named values over `QSettings`."""

    def __init__(self, store: QSettings | None = None) -> None:
        self._store = store or QSettings("Rollcast", "Rollcast")

    @property
    def theme(self) -> Theme:
        """The theme chosen last."""
        return THEMES.get(str(self._store.value("theme", LIGHT.name)), LIGHT)

    @theme.setter
    def theme(self, theme: Theme) -> None:
        self._store.setValue("theme", theme.name)

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
        return [Path(name) for name in names if isinstance(name, str) and Path(name).exists()]

    def remember(self, path: Path) -> None:
        """Puts a file on top of the recent ones."""
        full = path.resolve()
        others = [one for one in self.recent() if one != full]
        self._store.setValue("recent", [str(one) for one in [full, *others][:RECENT_COUNT]])
