"""A few choices side by side, one of them selected."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QToolButton


class Segmented(QFrame):
    """Buttons in one field; arrow keys move from one to the next."""

    picked = Signal(str)
    """The user has selected another choice; the argument is its key."""

    def __init__(self, name: str, choices: Sequence[tuple[str, str, str]]) -> None:
        """Make the choices.

        Args:
            name: The name of the choice, for a screen reader.
            choices: Key, text and tooltip of each choice.
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
        for number, (_key, text, tip) in enumerate(choices):
            button = QToolButton()
            button.setObjectName("segment")
            button.setText(text)
            button.setAccessibleName(f"{name}: {text}" if name else text)
            button.setToolTip(tip)
            button.setCheckable(True)
            self._group.addButton(button, number)
            layout.addWidget(button)
        self._group.idClicked.connect(lambda number: self.picked.emit(self._keys[number]))

    @property
    def selected_key(self) -> str | None:
        """The key of the selected choice; None when none is selected."""
        number = self._group.checkedId()
        return self._keys[number] if number >= 0 else None

    def button(self, key: str) -> QToolButton:
        """Return the button of a choice."""
        button = self._group.button(self._keys.index(key))
        assert isinstance(button, QToolButton)
        return button

    def select(self, key: str) -> None:
        """Select a choice without emitting `picked`."""
        if key in self._keys:
            self.button(key).setChecked(True)
