"""Dialogs; none of them blocks the program."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from executor.base.directories import cache_directory
from simulation.engine_version import engine_version
from studio.gui.toolkit.settings import SETTINGS, Settings
from studio.gui.widgets.log import PlainText


def ask_for_file(
    parent: QWidget, title: str, kinds: str, then: Callable[[Path], object], name: str = ""
) -> None:
    """Ask for a file: one to read, or one to write where a name is proposed."""
    dialog = QFileDialog(parent, title)
    dialog.setNameFilter(kinds)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if name:
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(Path(name).suffix)
        dialog.selectFile(name)
        # Qt adapts the suffix of the name in the field to the chosen kind, but not of a name typed
        # later.
        dialog.filterSelected.connect(
            lambda kind: dialog.setDefaultSuffix(kind.rpartition("*.")[2].strip(")"))
        )
    dialog.fileSelected.connect(lambda path: then(Path(path)))
    dialog.open()


def ask_for_files(parent: QWidget, title: str, then: Callable[[list[Path]], object]) -> None:
    """Ask for several files to read."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.filesSelected.connect(lambda paths: then([Path(path) for path in paths]))
    dialog.open()


def ask_about_changes(
    parent: QWidget, name: str, save: Callable[[], bool], then: Callable[[], object]
) -> None:
    """Ask what to do with unsaved changes before they would be lost.

    Args:
        parent: The parent window.
        name: The name of the changed scenario.
        save: Saves the changes; returns whether that worked.
        then: Called after the changes were saved or discarded.
    """
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setText(f"{name} has changes that are not saved.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)

    def on_clicked(pressed: QAbstractButton) -> None:
        answer = box.standardButton(pressed)
        if answer == buttons.Discard or (answer == buttons.Save and save()):
            then()

    box.buttonClicked.connect(on_clicked)
    box.open()


def ask_to_halt(parent: QWidget, words: str, then: Callable[[], object]) -> None:
    """Ask whether to close the window although work is running that closing would interrupt."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setText(words)
    box.addButton("Close", QMessageBox.ButtonRole.AcceptRole)
    box.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
    box.accepted.connect(then)
    box.open()


def ask_to_carry_out(parent: QWidget, words: str, details: str, then: Callable[[], object]) -> None:
    """Ask for confirmation before real machines are changed; Enter cancels."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText(words)
    box.setInformativeText(details)
    go = box.addButton("Carry it out", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    go.clicked.connect(then)
    box.open()


def show_inside(parent: QWidget, title: str, inside: QWidget) -> QDialog:
    """Show a widget in a dialog of its own."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(title)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(20, 18, 12, 18)
    layout.addWidget(inside)
    dialog.resize(min(820, parent.width() - 80), min(380, parent.height() - 80))
    dialog.open()
    return dialog


def show_text(parent: QWidget, title: str, name: str, text: str) -> QDialog:
    """Show text to be read and copied, in a monospaced font."""
    lines = PlainText(name, wraps=False)
    lines.setPlainText(text)
    return show_inside(parent, title, lines)


def show_settings(parent: QWidget, settings: Settings, changed: Callable[[str], object]) -> QDialog:
    """Show the settings; each is stored as soon as it is changed, and ``changed`` receives its key."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("Settings")
    form = QFormLayout(dialog)
    form.setContentsMargins(20, 18, 20, 14)
    form.setSpacing(10)

    def store(key: str, value: str | bool) -> None:
        settings.set_value(key, value)
        changed(key)

    for setting in SETTINGS:
        value_now = settings.value(setting.key)
        if setting.choices:
            box = QComboBox()
            for value, words in setting.choices:
                box.addItem(words, value)
            box.setCurrentIndex(max(0, box.findData(value_now)))
            box.currentIndexChanged.connect(
                lambda _index, key=setting.key, box=box: store(key, box.currentData())
            )
            box.setAccessibleName(setting.words)
            form.addRow(setting.words, box)
        else:
            check = QCheckBox(setting.words)
            check.setChecked(bool(value_now))
            check.toggled.connect(lambda is_on, key=setting.key: store(key, is_on))
            check.setToolTip(setting.tip)
            form.addRow(check)
        description = QLabel(setting.tip)
        description.setObjectName("soft")
        description.setWordWrap(True)
        form.addRow(description)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    form.addRow(buttons)
    dialog.setMinimumWidth(420)
    dialog.open()
    return dialog


def show_about(parent: QWidget) -> QDialog:
    """Show the versions and where the studio keeps its files; the text can be copied."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("About Rollcast")
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(20, 18, 20, 14)
    title = QLabel("Rollcast")
    title.setObjectName("figure")
    layout.addWidget(title)
    layout.addWidget(QLabel("See a rolling deployment before it happens."))
    text = QLabel("\n".join(f"{name}  {value}" for name, value in about_lines()))
    text.setObjectName("soft")
    text.setWordWrap(True)
    text.setAccessibleName("Versions")
    text.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    layout.addWidget(text)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
    copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(text.text()))
    buttons.rejected.connect(dialog.close)
    layout.addWidget(buttons)
    dialog.open()
    return dialog


def about_lines() -> list[tuple[str, str]]:
    """Return versions and directories, for bug reports."""
    packages = ("rollcast", "PySide6-Essentials", "simpy", "numpy", "numba", "pandas", "matplotlib")
    versions = []
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            versions.append((package, metadata.version(package)))
    return [
        *versions,
        ("Python", platform.python_version()),
        ("Qt", qVersion()),
        ("Platform", f"{platform.system()} {platform.machine()}, {QGuiApplication.platformName()}"),
        ("Engine", engine_version()[:12]),
        ("Cache", str(cache_directory("cells").parent)),
        ("Licence", "Apache-2.0"),
    ]
