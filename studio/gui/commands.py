"""Edits that can be undone: a command swaps one state of the document for another."""

from __future__ import annotations

from PySide6.QtGui import QUndoCommand

from studio.gui.document import Document, State


class Edit(QUndoCommand):
    """One edit of one field; edits of the same field in a row, as a slider makes, are one."""

    _ids: dict[str, int] = {}  # noqa: RUF012 - field names in the order they were first edited

    def __init__(self, document: Document, field: str, words: str, after: State) -> None:
        super().__init__(words)
        self._document = document
        self._field = field
        self._before = document.state
        self._after = after

    def id(self) -> int:
        """What makes two edits the same to Qt: their field."""
        return self._ids.setdefault(self._field, len(self._ids) + 1)

    def redo(self) -> None:
        self._document.restore(self._after)

    def undo(self) -> None:
        self._document.restore(self._before)

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, Edit) or other._field != self._field:
            return False
        self._after = other._after
        self.setText(other.text())
        self.setObsolete(self._after == self._before)
        return True


def edit_values(document: Document, words: str, values: dict[str, object]) -> bool:
    """Edits values of the scenario; says whether they were accepted."""
    after = document.edited_with(values)
    return after is not None and _push(document, next(iter(values)), words, after)


def edit_windows(document: Document, windows: tuple[int, ...]) -> bool:
    """Edits which windows are compared."""
    after = State(document.state.file, windows)
    return _push(document, "windows", "windows to compare", after)


def _push(document: Document, field: str, words: str, after: State) -> bool:
    if after != document.state:
        document.undo.push(Edit(document, field, words, after))
    return True
