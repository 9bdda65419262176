"""A bar above the pages that states one thing and offers actions; it blocks nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

NoticeAction = tuple[str, str, Callable[[], object]]
"""An action of a notice: the word on the button, what it does in a sentence, the function."""


class Notice(QFrame):
    """A bar that is hidden until it shows something; each of its actions hides it again."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Make the bar; ``name`` is its name for a screen reader."""
        super().__init__(parent)
        self.setObjectName("notice")
        self.setAccessibleName(name)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(12, 7, 8, 7)
        self._layout.setSpacing(8)
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._layout.addWidget(self._label, 1)
        self._buttons: list[QPushButton] = []
        self.hide()

    @property
    def words(self) -> str:
        """The shown text."""
        return self._label.text()

    @property
    def buttons(self) -> dict[str, QPushButton]:
        """The buttons, by their words."""
        return {button.text(): button for button in self._buttons}

    def ask(self, text: str, actions: Sequence[NoticeAction], *, rich: bool = False) -> None:
        """Show a text with actions; the first action is the proposed one.

        Args:
            text: The text.
            actions: The actions.
            rich: Whether the text has markup such as ``<b>``; use it only for texts of the studio's
                own.
        """
        for button in self._buttons:
            self._layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        text_format = Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText
        self._label.setTextFormat(text_format)
        self._label.setText(text)
        self._buttons = [self._button(*action) for action in actions]
        self._buttons[0].setObjectName("primary")
        self.show()

    def _button(self, word: str, tip: str, then: Callable[[], object]) -> QPushButton:
        button = QPushButton(word)
        button.setToolTip(tip)
        button.setAccessibleDescription(tip)

        def on_clicked() -> None:
            self.hide()
            then()

        button.clicked.connect(on_clicked)
        self._layout.addWidget(button)
        return button
