"""Questions in windows of their own; none blocks the program."""

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


def ask_for_files(parent: QWidget, words: str, then: Callable[[list[Path]], object]) -> None:
    """Asks for several files to read."""
    dialog = QFileDialog(parent, words)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.filesSelected.connect(lambda chosen: then([Path(one) for one in chosen]))
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


def ask_to_halt(parent: QWidget, words: str, then: Callable[[], object]) -> None:
    """Asks whether to close while something goes on that must not be ended without a word."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setText(words)
    box.addButton("Close", QMessageBox.ButtonRole.AcceptRole)
    box.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
    box.accepted.connect(then)
    box.open()


def ask_to_carry_out(parent: QWidget, words: str, about: str, then: Callable[[], object]) -> None:
    """Asks once more before real machines are touched; what Enter presses leaves them alone."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText(words)
    box.setInformativeText(about)
    go = box.addButton("Carry it out", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    go.clicked.connect(then)
    box.open()


def show_inside(parent: QWidget, title: str, inside: QWidget) -> QDialog:
    """A window of its own around a widget."""
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
    """Show lines to be read and copied, in type of one width."""
    lines = PlainText(name, wraps=False)
    lines.setPlainText(text)
    return show_inside(parent, title, lines)


def show_settings(parent: QWidget, settings: Settings, changed: Callable[[str], object]) -> QDialog:
    """The settings, each taken as soon as it is changed; ``changed`` hears of its key."""
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("Settings")
    form = QFormLayout(dialog)
    form.setContentsMargins(20, 18, 20, 14)
    form.setSpacing(10)

    def take(key: str, value: str | bool) -> None:
        settings.set_value(key, value)
        changed(key)

    for setting in SETTINGS:
        now = settings.value(setting.key)
        if setting.choices:
            box = QComboBox()
            for value, words in setting.choices:
                box.addItem(words, value)
            box.setCurrentIndex(max(0, box.findData(now)))
            box.currentIndexChanged.connect(
                lambda _index, key=setting.key, box=box: take(key, box.currentData())
            )
            box.setAccessibleName(setting.words)
            form.addRow(setting.words, box)
        else:
            check = QCheckBox(setting.words)
            check.setChecked(bool(now))
            check.toggled.connect(lambda on, key=setting.key: take(key, on))
            check.setToolTip(setting.tip)
            form.addRow(check)
        said = QLabel(setting.tip)
        said.setObjectName("soft")
        said.setWordWrap(True)
        form.addRow(said)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    form.addRow(buttons)
    dialog.setMinimumWidth(420)
    dialog.open()
    return dialog


def show_about(parent: QWidget) -> QDialog:
    """What this is, in which versions, and where it keeps things; the text can be copied."""
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
    """Versions and places, for whoever reports something."""
    packages = ("rollcast", "PySide6-Essentials", "simpy", "numpy", "numba", "pandas", "matplotlib")
    found = []
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found.append((package, metadata.version(package)))
    return [
        *found,
        ("Python", platform.python_version()),
        ("Qt", qVersion()),
        ("Platform", f"{platform.system()} {platform.machine()}, {QGuiApplication.platformName()}"),
        ("Engine", engine_version()[:12]),
        ("Cache", str(cache_directory("cells").parent)),
        ("Licence", "Apache-2.0"),
    ]
