"""Questions in windows of their own; none blocks the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QMessageBox, QWidget


def ask_for_file(
    parent: QWidget, words: str, kinds: str, then: Callable[[Path], object], name: str = ""
) -> None:
    """Asks for a file: one to read, or one to write where a name is proposed."""
    dialog = QFileDialog(parent, words)
    dialog.setNameFilter(kinds)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if name:
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(Path(name).suffix)
        dialog.selectFile(name)
        # Qt gives the name in the field the ending of another kind, but not one that is typed later.
        dialog.filterSelected.connect(
            lambda kind: dialog.setDefaultSuffix(kind.rpartition("*.")[2].strip(")"))
        )
    dialog.fileSelected.connect(lambda chosen: then(Path(chosen)))
    dialog.open()


def ask_about_changes(
    parent: QWidget, name: str, save: Callable[[], bool], then: Callable[[], object]
) -> None:
    """Asks what shall become of changes that are not saved, before they would be lost.

    Args:
        parent: The window that it stands over.
        name: What has changes.
        save: Saves them; says whether it could.
        then: What is done when they are saved or given up.
    """
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setText(f"{name} has changes that are not saved.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)

    def answered(pressed: QAbstractButton) -> None:
        answer = box.standardButton(pressed)
        if answer == buttons.Discard or (answer == buttons.Save and save()):
            then()

    box.buttonClicked.connect(answered)
    box.open()
