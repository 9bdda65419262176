"""The command palette (Ctrl+K): every action by its name."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from studio.gui.toolkit.actions import action_text

_WIDTH_PX, _HEIGHT_PX = 480, 360
_MOVES = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


def is_match(typed: str, name: str) -> bool:
    """Return whether the typed letters occur in the name, in their order."""
    letters = iter(name.casefold())
    return all(letter in letters for letter in typed.casefold() if not letter.isspace())


def closeness(typed: str, name: str) -> tuple[int, int]:
    """Return the sort key of a name: names with the typed text first, by its position, then short names."""
    place = name.casefold().find(typed.casefold().strip())
    return (0, place) if place >= 0 else (1, len(name))


class CommandPalette(QDialog):
    """A line to type in, and the actions that match; Enter runs the selected one."""

    def __init__(self, parent: QWidget, actions: Iterable[QAction]) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self.setObjectName("palette")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Every action")
        self._actions = list(actions)
        self.line = QLineEdit()
        self.line.setAccessibleName("Find an action")
        self.line.setPlaceholderText("Find an action")
        self.list = QListWidget()
        self.list.setAccessibleName("Actions")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.line)
        layout.addWidget(self.list)
        self.resize(_WIDTH_PX, _HEIGHT_PX)
        corner = parent.mapToGlobal(parent.rect().center())
        self.move(corner.x() - _WIDTH_PX // 2, parent.mapToGlobal(parent.rect().topLeft()).y() + 70)
        self.line.textChanged.connect(self._show)
        self.line.installEventFilter(self)
        self.list.itemClicked.connect(self._run)
        self._show("")
        self.line.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in _MOVES:
                self.list.keyPressEvent(event)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _show(self, typed: str) -> None:
        self.list.clear()
        matching = [action for action in self._actions if is_match(typed, action_text(action))]
        for action in sorted(matching, key=lambda action: closeness(typed, action_text(action))):
            keys = action.shortcut().toString()
            item = QListWidgetItem(
                f"{action_text(action)}    {keys}" if keys else action_text(action)
            )
            item.setData(Qt.ItemDataRole.UserRole, action)
            item.setToolTip(action.toolTip())
            if not action.isEnabled():
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _run(self, item: QListWidgetItem | None) -> None:
        if item is None or not item.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        action: QAction = item.data(Qt.ItemDataRole.UserRole)
        self.close()
        action.trigger()
