"""A window on a small scenario, with its own settings, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PySide6.QtCore import QSettings, Qt, SignalInstance
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDoubleSpinBox,
    QLineEdit,
    QMenu,
    QSlider,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from studio.gui.docks.runs_dock import HEADINGS
from studio.gui.document.document import Document
from studio.gui.toolkit.qt_theme import apply_theme
from studio.gui.toolkit.settings import Settings
from studio.gui.window import StudioWindow
from studio.views.theme import LIGHT
from tests.helpers.command_line import SHOP

RUN_MS = 60_000
NAME, WINDOW = HEADINGS.index("run"), HEADINGS.index("window")
"""Columns of the list of runs."""
AnyWidget = TypeVar("AnyWidget", bound=QWidget)


class PatientQtBot(QtBot):
    """A QtBot whose waits last as long on a busy machine as a run may."""

    def waitUntil(self, callback: Callable[[], bool | None], *, timeout: int = RUN_MS) -> None:
        """Wait until a condition holds, at most `timeout` milliseconds."""
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal: SignalInstance, *, timeout: int = RUN_MS, **options: Any) -> Any:
        """Return a block that ends when a signal is emitted, at most `timeout` milliseconds."""
        return super().waitSignal(signal, timeout=timeout, **options)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> PatientQtBot:
    """Replace the plugin's fixture, whose waits fail after 5 s."""
    return PatientQtBot(request)


class Desk:
    """A user at the window: finds widgets by their accessible names."""

    def __init__(self, qtbot: QtBot, folder: Path, store: QSettings) -> None:
        self.qtbot, self.folder = qtbot, folder
        self.path = folder / "shop.yaml"
        self.path.write_text(SHOP, encoding="utf-8")
        self.settings = Settings(store)
        self.settings.set_value("simulate_at_once", False)  # a test starts its simulations itself
        self.document = Document(ScenarioFile.load(self.path))
        self.window = StudioWindow(self.document, self.settings)
        self.window.show()
        self.window.activateWindow()
        qtbot.waitUntil(self.window.isActiveWindow)

    def find(self, kind: type[AnyWidget], name: str) -> AnyWidget:
        """The widget of a kind with an accessible name."""
        found = [
            widget for widget in self.window.findChildren(kind) if widget.accessibleName() == name
        ]
        assert len(found) == 1, f"{len(found)} widgets of the name {name}"
        return found[0]

    def slide(self, name: str, *keys: Qt.Key) -> None:
        slider = self.find(QSlider, f"{name}, slider")
        slider.setFocus()
        for key in keys:
            self.qtbot.keyClick(slider, key)

    def type_number(self, name: str, text: str) -> None:
        box = self.find(QDoubleSpinBox, name)
        box.setFocus()
        box.selectAll()
        self.qtbot.keyClicks(box, text)
        self.qtbot.keyClick(box, Qt.Key.Key_Return)

    def type_text(self, name: str, text: str) -> None:
        edit = self.find(QLineEdit, name)
        edit.setFocus()
        edit.selectAll()
        self.qtbot.keyClicks(edit, text) if text else self.qtbot.keyClick(edit, Qt.Key.Key_Delete)
        self.qtbot.keyClick(edit, Qt.Key.Key_Return)

    def dot(self, name: str) -> QToolButton:
        return self.find(QToolButton, f"Reset {name}")

    def keys(self, key: Qt.Key, *modifiers: Qt.KeyboardModifier) -> None:
        held = Qt.KeyboardModifier.NoModifier
        for modifier in modifiers:
            held |= modifier
        # Send the key to the system's window, so that the focused widget may handle it.
        QTest.keyClick(self.window.windowHandle(), key, held)

    def menu(self, *names: str) -> QMenu:
        """A part of the menu, by the names that lead there."""
        found = self.window.top_bar.menu_button.menu()
        for name in names:
            inner = next(action.menu() for action in found.actions() if action.text() == name)
            assert isinstance(inner, QMenu)
            found = inner
            found.aboutToShow.emit()
        return found

    def action(self, key: str) -> QAction:
        return self.window.actions_by_key[key]

    def click(self, widget: QWidget) -> None:
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)

    def come_back(self, dialog: type[QWidget]) -> None:
        """To the window, from a dialogue that is closing; a desktop does this by itself."""
        self.qtbot.waitUntil(lambda: self.window.findChild(dialog) is None)
        if self.window.isVisible() and QApplication.activeModalWidget() is None:
            self.window.activateWindow()
            self.qtbot.waitUntil(self.window.isActiveWindow)

    def run(self, start: Callable[[], object] | None = None) -> None:
        """Runs the comparison to its end, by F5 unless told otherwise."""
        with self.qtbot.waitSignal(self.window.jobs.ended, timeout=RUN_MS):
            (start or (lambda: self.keys(Qt.Key.Key_F5)))()


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the state of rollouts and edits in the test's folder, not in the developer's."""
    monkeypatch.setenv("ROLLCAST_STATE", str(tmp_path / "rollcast-state"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path) -> Iterator[Desk]:
    store = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    apply_theme(application, LIGHT)
    seat = Desk(qtbot, tmp_path, store)
    yield seat
    seat.window.setProperty("leaving", True)
    seat.window.close()
    seat.window.deleteLater()
