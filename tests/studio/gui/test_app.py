"""The program around the window: start, end, and errors at the start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, QSettings, QTimer, Signal
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from executor.base.errors import BadInput
from studio.gui import app
from studio.gui.toolkit.settings import Settings
from studio.gui.window import StudioWindow
from studio.views.theme import DARK, LIGHT
from tests.helpers.command_line import SHOP

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tmp_path: Path, qtbot: QtBot) -> Iterator[Path]:
    """A scenario, and empty settings."""
    kinds, scope = QSettings.Format.NativeFormat, QSettings.Scope.UserScope
    QSettings.setPath(kinds, scope, str(tmp_path / "settings"))
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP, encoding="utf-8")
    yield path
    for window in QApplication.topLevelWidgets():
        if isinstance(window, StudioWindow):
            window.setProperty("leaving", True)
            window.close()
            window.deleteLater()


def the_window() -> StudioWindow | None:
    found = [
        toplevelwidget
        for toplevelwidget in QApplication.topLevelWidgets()
        if isinstance(toplevelwidget, StudioWindow)
    ]
    return next((one for one in found if one.isVisible()), None)


def run_the_program(
    monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, then: Callable[[StudioWindow], None]
) -> None:
    """Replace Qt's event loop: wait for the first comparison, then call a function."""

    def loop(_self: QApplication) -> int:
        window = the_window()
        assert window is not None
        qtbot.waitUntil(lambda: window.document.comparison is not None, timeout=60_000)
        qtbot.waitUntil(lambda: not window.jobs.is_running, timeout=60_000)
        then(window)
        window.close()
        return 0

    monkeypatch.setattr(QApplication, "exec", loop)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # restored after the test


def test_the_program_opens_runs_and_remembers(
    shop: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    Settings().theme = DARK
    said: list[str] = []

    def look(window: StudioWindow) -> None:
        said.append(window.headline.banner.sentence)
        said.append(window.palette().window().color().name().upper())
        assert sys.excepthook is app._exit_on_defect

    run_the_program(monkeypatch, qtbot, look)
    assert app.open_studio(shop) == 0
    assert said == ["✓  Window 2 meets every objective in 4 of 4 runs", DARK.page]
    assert Settings().recent() == [shop]
    assert Settings().geometry is not None
    run_the_program(monkeypatch, qtbot, lambda window: said.append(window.windowTitle()))
    assert app.open_studio(shop) == 0  # the stored position
    assert said[-1] == "shop[*] – Rollcast"


def test_the_example_is_opened_where_nothing_is_named(
    shop: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "scenarios_dir", lambda: shop.parent)
    monkeypatch.setattr(app, "EXAMPLE", shop.name)
    names: list[str] = []
    run_the_program(monkeypatch, qtbot, lambda window: names.append(window.windowTitle()))
    assert app.open_studio(None) == 0
    assert names == ["scenario[*] – Rollcast"]  # a copy without a file
    assert Settings().recent() == []  # the shipped file is not a recent file


def test_a_file_that_is_wrong_opens_no_window(shop: Path) -> None:
    shop.write_text("rollcast: scenario/2\n", encoding="utf-8")
    with pytest.raises(BadInput, match="rollcast"):
        app.open_studio(shop)
    assert the_window() is None


def test_without_a_display_the_error_names_the_command_that_works(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "wayland;xcb;offscreen")
    with pytest.raises(BadInput, match="no display; rollcast compare works without one"):
        app.open_studio(shop)


def test_without_a_font_the_error_names_the_package(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "has_fonts", lambda: False)
    with pytest.raises(BadInput, match="apt-get install fonts-inter"):
        app.open_studio(shop)


def test_settings_that_are_damaged_are_passed_over(
    shop: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = QSettings("Rollcast", "Rollcast")
    for name, value in (("theme", 7), ("geometry", "wide"), ("recent", [3, "/nowhere", None])):
        store.setValue(name, value)
    store.sync()
    themes: list[str] = []
    run_the_program(
        monkeypatch,
        qtbot,
        lambda window: themes.append(window.palette().window().color().name().upper()),
    )
    assert app.open_studio(shop) == 0
    assert themes == [LIGHT.page]
    assert Settings().recent() == [shop]


class Bell(QObject):
    rung = Signal()


def test_an_error_in_a_slot_reaches_the_program(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Qt alone would print the exception and continue."""
    codes: list[int] = []
    monkeypatch.setattr("studio.gui.app.QApplication.exit", staticmethod(codes.append))
    monkeypatch.setattr(sys, "excepthook", app._exit_on_defect)

    def broken() -> None:
        raise RuntimeError("a defect in a slot")

    bell = Bell()
    bell.rung.connect(broken)
    bell.rung.emit()
    assert codes == [1]
    QTimer.singleShot(0, broken)
    qtbot.waitUntil(lambda: codes == [1, 1])
    assert capsys.readouterr().err.count("RuntimeError: a defect in a slot") == 2


def test_screenshots_of_an_invalid_scenario_fail_with_the_reason(
    shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("time,rate\n0,40\n10,40\n", encoding="utf-8")
    shop.write_text(SHOP.replace("40/s", "{trace: t.csv}"), encoding="utf-8")
    with pytest.raises(BadInput, match="trace"):
        app.take_screenshots(shop, tmp_path / "pictures", (1024, 640), "light")
    assert not (tmp_path / "pictures").exists()
    assert the_window() is None


def test_pictures_that_cannot_be_written_say_why(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"shop\.yaml: cannot be written: File exists"):
        app.take_screenshots(shop, shop, (1024, 640), "light")
    folder = tmp_path / "pictures"
    (folder / "compare-light.png").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"compare-light\.png: cannot be written"):
        app.take_screenshots(shop, folder, (1024, 640), "light")
    assert the_window() is None
