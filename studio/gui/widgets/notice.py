"""A bar over everything that says one thing and offers what can be done about it; it blocks nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

NoticeAction = tuple[str, str, Callable[[], object]]
"""What can be done: the word on the button, what it does in a sentence, the doing."""


class Notice(QFrame):
    """Hidden until it is shown something; any of its answers hides it again."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Makes it; ``name`` is what a screen reader calls it."""
        super().__init__(parent)
        self.setObjectName("notice")
        self.setAccessibleName(name)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(12, 7, 8, 7)
        self._layout.setSpacing(8)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._layout.addWidget(self._words, 1)
        self._buttons: list[QPushButton] = []
        self.hide()

    @property
    def words(self) -> str:
        """What it says."""
        return self._words.text()

    @property
    def buttons(self) -> dict[str, QPushButton]:
        """What can be pressed, by its word."""
        return {button.text(): button for button in self._buttons}

    def ask(self, words: str, answers: Sequence[NoticeAction], *, rich: bool = False) -> None:
        """Says something; the first answer is the one that is proposed.

        Args:
            words: What is said.
            answers: What can be done about it.
            rich: Whether the words have marks of their own, such as ``<i>``; they are ours then.
        """
        for button in self._buttons:
            self._layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        form = Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText
        self._words.setTextFormat(form)
        self._words.setText(words)
        self._buttons = [self._button(*answer) for answer in answers]
        self._buttons[0].setObjectName("primary")
        self.show()

    def _button(self, word: str, tip: str, then: Callable[[], object]) -> QPushButton:
        button = QPushButton(word)
        button.setToolTip(tip)
        button.setAccessibleDescription(tip)

        def pressed() -> None:
            self.hide()
            then()

        button.clicked.connect(pressed)
        self._layout.addWidget(button)
        return button
