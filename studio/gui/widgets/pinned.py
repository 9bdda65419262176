"""The story of one instance, pinned beside the picture: its steps with their times, as sentences."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QToolButton,
    QVBoxLayout,
)

from studio.gui.widgets.elided import ElidedLabel
from studio.views.replay import Story, sentences_of

WIDTH_PX = 214


class PinnedStory(QFrame):
    """A card with a heading and a list; hidden while no instance is pinned."""

    closed = Signal()
    """The user closes the story."""
    moved = Signal(float)
    """The user goes to the beginning of a step; the argument is the time in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setFixedWidth(WIDTH_PX)
        self._heading = ElidedLabel()
        self._heading.setObjectName("heading")
        close = QToolButton()
        close.setObjectName("hint")
        close.setText("✕")
        close.setAccessibleName("Close the story")
        close.setToolTip("Close (Esc)")
        close.clicked.connect(self.closed)
        self.list = QListWidget()
        self.list.setAccessibleName("What the instance did")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.itemClicked.connect(self._on_item)
        self.list.itemActivated.connect(self._on_item)
        top = QHBoxLayout()
        top.addWidget(self._heading, 1)
        top.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 6, 8)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.list, 1)
        self.hide()

    @property
    def heading(self) -> str:
        """The name of the instance."""
        return self._heading.text()

    def show_story(self, story: Story, instance: int) -> None:
        """Show the story of an instance."""
        self._heading.setText(story.names[instance])
        self.list.clear()
        for sentence, interval in zip(
            sentences_of(story, instance), story.spells_of(instance), strict=False
        ):
            item = QListWidgetItem(sentence)
            item.setData(Qt.ItemDataRole.UserRole, max(0.0, interval.begin_s))
            item.setToolTip(sentence)
            self.list.addItem(item)
        self.show()

    def show_time(self, time_s: float) -> None:
        """Select the step at a moment."""
        begun_rows = [
            row
            for row in range(self.list.count())
            if self.list.item(row).data(Qt.ItemDataRole.UserRole) <= time_s
        ]
        self.list.setCurrentRow(begun_rows[-1] if begun_rows else -1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _on_item(self, item: QListWidgetItem) -> None:
        self.moved.emit(float(item.data(Qt.ItemDataRole.UserRole)))
