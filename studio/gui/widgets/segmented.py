"""A few choices side by side, one of them taken."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QToolButton


class Segmented(QFrame):
    """Buttons in one field; arrows go from one to the next."""

    picked = Signal(str)
    """The person took another choice, by its key."""

    def __init__(self, name: str, choices: Sequence[tuple[str, str, str]]) -> None:
        """Makes the choices.

        Args:
            name: What is chosen, for who cannot see it.
            choices: Of each the key, the words and a tip.
        """
        super().__init__()
        self.setObjectName("segmented")
        self.setAccessibleName(name)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._keys = [key for key, _, _ in choices]
        for number, (_key, words, tip) in enumerate(choices):
            button = QToolButton()
            button.setObjectName("segment")
            button.setText(words)
            button.setAccessibleName(f"{name}: {words}" if name else words)
            button.setToolTip(tip)
            button.setCheckable(True)
            self._group.addButton(button, number)
            layout.addWidget(button)
        self._group.idClicked.connect(lambda number: self.picked.emit(self._keys[number]))

    @property
    def selected_key(self) -> str | None:
        """The key of the choice that is taken."""
        number = self._group.checkedId()
        return self._keys[number] if number >= 0 else None

    def button(self, key: str) -> QToolButton:
        """The button of a choice."""
        found = self._group.button(self._keys.index(key))
        assert isinstance(found, QToolButton)
        return found

    def select(self, key: str) -> None:
        """Shows a choice as taken without telling anybody."""
        if key in self._keys:
            self.button(key).setChecked(True)
