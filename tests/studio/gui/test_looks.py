"""Rules for every widget: names, keys, contrast, size, and thousands of repaints."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAccessible, QAction, QImage
from PySide6.QtWidgets import QAbstractButton, QLabel, QSlider, QWidget

from simulation.scenario.file import ScenarioFile
from studio.gui import app
from studio.gui.document.commands import edit_windows
from studio.gui.toolkit.actions import PAGES
from studio.views.theme import THEMES, Theme
from tests.helpers.command_line import SHOP
from tests.studio.gui.conftest import NAME, Desk

pytestmark = pytest.mark.slow

LONG = "a-name-of-eighty-characters-that-somebody-gave-to-a-scenario-without-thinking-so"
SIZES = [(1024, 640), (1180, 760), (1600, 1000)]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_every_text_can_be_read(theme: Theme) -> None:
    pairs = {
        "text on page": (theme.text, theme.page),
        "text on card": (theme.text, theme.card),
        "text in field": (theme.text, theme.field),
        "soft on page": (theme.soft, theme.page),
        "soft on card": (theme.soft, theme.card),
        "soft in field": (theme.soft, theme.field),
        "on accent": (theme.on_accent, theme.accent),
        "meets": (theme.meets_text, theme.meets_ground),
        "fails": (theme.fails_text, theme.fails_ground),
        "undecided": (theme.undecided_text, theme.undecided_ground),
        "missed anyway": (theme.missed_text, theme.missed_ground),
        "missed anyway on card": (theme.missed_text, theme.card),
        "meets on card": (theme.meets_text, theme.card),
        "fails on card": (theme.fails_text, theme.card),
        "undecided on card": (theme.undecided_text, theme.card),
    }
    assert {name: c for name, pair in pairs.items() if (c := contrast(*pair)) < 4.5} == {}


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def reachable(desk: Desk) -> list[QWidget]:
    """Return the widgets that the Tab key reaches."""
    return [
        widget
        for widget in desk.window.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]


def test_everything_that_can_be_reached_has_a_name(desk: Desk) -> None:
    desk.run()
    widgets = reachable(desk)
    assert len(widgets) > 20
    nameless = []
    for widget in widgets:
        spoken = QAccessible.queryAccessibleInterface(widget)
        parent = widget.parentWidget()
        assert parent is not None
        inside_a_named_one = parent.accessibleName() != ""
        if not spoken.text(QAccessible.Text.Name) and not inside_a_named_one:
            nameless.append(widget)
    assert nameless == []


def focused_in(desk: Desk) -> QWidget | None:
    """Return the widget that has the focus; Qt's stubs say wrongly that there is always one."""
    return desk.window.focusWidget()


def test_the_tab_key_comes_to_every_field(desk: Desk) -> None:
    names = set()
    desk.window.setFocus()
    for _step in range(80):
        widget = focused_in(desk)
        desk.qtbot.keyClick(desk.window if widget is None else widget, Qt.Key.Key_Tab)
        widget = focused_in(desk)
        if widget is not None:
            names.add(widget.accessibleName())
    sliders = {
        slider.accessibleName()
        for slider in desk.window.findChildren(QSlider)
        if slider.isEnabled()  # disabled before the first results
    }
    assert sliders <= names
    assert {"Window size", "Compare", "Start at", "Runs"} <= names


def test_every_action_has_a_key(desk: Desk) -> None:
    for action in desk.window.actions():
        assert isinstance(action, QAction)
        assert not action.shortcut().isEmpty(), action.text()
    keys = [key.toString() for action in desk.window.actions() for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


def test_every_field_is_explained(desk: Desk) -> None:
    for slider in desk.window.panel.findChildren(QSlider):
        field = slider.parentWidget()
        assert field is not None
        assert field.toolTip().endswith(".")
    for card in desk.window.headline.cards.values():
        assert card.toolTip()


def has_room(button: QAbstractButton) -> bool:
    """Return whether a widget's text fits; Qt lays a changed text out a moment later."""
    return button.width() >= button.fontMetrics().horizontalAdvance(button.text())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("text", [SHOP, SHOP + f"name: {LONG}\n"], ids=["short", "long name"])
def test_nothing_sticks_out_or_is_pressed_flat(
    desk: Desk, size: tuple[int, int], text: str
) -> None:
    large = text.replace("instances: 6", "instances: 1000").replace("window: 2", "window: 250")
    desk.document.open(ScenarioFile.parse(large))
    edit_windows(desk.document, (250, 500))
    desk.window.resize(*size)
    desk.run()
    assert (desk.window.width(), desk.window.height()) == size
    bounds = desk.window.rect()
    widgets = [*desk.window.findChildren(QLabel), *desk.window.findChildren(QAbstractButton)]
    for widget in widgets:
        if not widget.isVisible() or desk.window.panel.isAncestorOf(widget):
            continue  # the fields scroll
        corner = widget.mapTo(desk.window, widget.rect().topLeft())
        assert bounds.contains(widget.rect().translated(corner)), widget
        if isinstance(widget, QAbstractButton) and widget.text():
            desk.qtbot.waitUntil(partial(has_room, widget))
    table = desk.window.runs.table
    for column in range(table.model().columnCount()):
        if not table.isColumnHidden(column) and column != NAME:  # the tooltip has the whole name
            assert table.sizeHintForColumn(column) <= table.columnWidth(column) + 1, column


def test_an_error_in_a_slot_ends_the_program(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr("studio.gui.app.QApplication.exit", staticmethod(ended.append))
    try:
        raise RuntimeError("a defect")
    except RuntimeError as error:
        app._exit_on_defect(type(error), error, sys.exc_info()[2])
    assert ended == [1]
    assert "RuntimeError: a defect" in capsys.readouterr().err


def test_thousands_of_repaints_harm_nothing(desk: Desk) -> None:
    """A version of PySide6 crashes after some thousand repaints (see pyproject.toml)."""
    desk.run()
    headline = desk.window.headline
    page = desk.window.page("compare")
    widgets = [headline.banner, desk.window.runs.table.viewport(), *headline.cards.values()]
    frames, painted = 60_000, 0

    class Counter(QWidget):
        def eventFilter(self, watched: object, event: QEvent) -> bool:
            nonlocal painted
            painted += event.type() == QEvent.Type.Paint
            return False

    counter = Counter()
    for widget in widgets:
        widget.installEventFilter(counter)
    rounds = 0
    while painted < frames:
        for widget in widgets:
            widget.repaint()
        rounds += 1
        if rounds % 500 == 1:
            page.grab()
    for widget in widgets:
        widget.removeEventFilter(counter)
    assert painted >= frames
    assert headline.banner.sentence.startswith("✓  Window 2 meets")


@pytest.mark.parametrize("theme", [None, "dark"])
def test_pictures_are_written(desk: Desk, tmp_path: Path, theme: str | None) -> None:
    folder = tmp_path / "pictures"
    assert app.take_screenshots(desk.path, folder, (1024, 640), theme) == 0
    written = sorted(path.name for path in folder.iterdir())
    pages = [key.replace("_", "-") for key, _words, _tip in PAGES]
    themes = [theme] if theme else list(THEMES)
    assert written == sorted(f"{page}-{name}.png" for page in pages for name in themes)
    for path in folder.iterdir():
        picture = QImage(str(path))
        assert (picture.width(), picture.height()) == (1024, 640)
        corner = picture.pixelColor(3, 60).name().upper()
        assert corner == THEMES[path.stem.rpartition("-")[2]].page
