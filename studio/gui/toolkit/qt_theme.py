"""A theme for Qt: palette, style sheet and fonts.

Qt's own dark mode has no effect on xcb and offscreen, so this module sets both palettes.
"""

from __future__ import annotations

from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from studio.resources import assets_dir
from studio.views.theme import (
    BASE_PX,
    FIGURE_PX,
    FONT_FAMILIES,
    GAP_PX,
    RADIUS_PX,
    SMALL_PX,
    Theme,
)


def apply_theme(application: QApplication, theme: Theme) -> None:
    """Apply a theme's colours and font to the whole application."""
    application.setStyle("Fusion")
    application.setPalette(_palette(theme))
    application.setFont(base_font())
    application.setStyleSheet(_style_sheet(theme))


def base_font() -> QFont:
    """Return Inter where it is installed, else the system's font, with tabular figures."""
    installed = set(QFontDatabase.families())
    family = next((name for name in FONT_FAMILIES if name in installed), None)
    font = QFont(family) if family else QFont()
    font.setPixelSize(round(BASE_PX))
    if hasattr(QFont, "Tag"):
        font.setFeature(QFont.Tag("tnum"), 1)
    return font


def has_fonts() -> bool:
    """Return whether any font is installed: without one Qt draws boxes and reports nothing."""
    return bool(QFontDatabase.families())


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.page,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.card,
        QPalette.ColorRole.AlternateBase: theme.field,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.soft,
        QPalette.ColorRole.Button: theme.card,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.ToolTipBase: theme.card,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Mid: theme.line,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.soft))
    return palette


def _icon(name: str, theme: Theme) -> str:
    return (assets_dir() / "icons" / f"{name}-{theme.name}.svg").as_posix()


def _style_sheet(t: Theme) -> str:
    return f"""
    QMainWindow, QWidget#page, QWidget#centre {{ background: {t.page}; }}
    QWidget {{ color: {t.text}; }}
    QToolTip {{ background: {t.card}; color: {t.text}; border: 1px solid {t.line}; padding: 5px; }}
    QFrame#card, QFrame#panel {{
        background: {t.card}; border: 1px solid {t.line}; border-radius: {RADIUS_PX}px; }}
    QFrame#notice {{
        background: {t.card}; border: 1px solid {t.accent}; border-radius: {RADIUS_PX}px; }}
    QFrame#topBar, QFrame#bottomBar {{ background: {t.card}; border: none; }}
    QFrame#topBar {{ border-bottom: 1px solid {t.line}; }}
    QFrame#bottomBar {{ border-top: 1px solid {t.line}; }}
    QScrollArea, QScrollArea > QWidget > QWidget#fields {{ background: transparent; border: none; }}
    QLabel {{ background: transparent; }}
    QLabel#soft, QLabel#unit {{ color: {t.soft}; font-size: {SMALL_PX:g}px; }}
    QLabel#group {{ color: {t.soft}; font-size: {SMALL_PX:g}px; font-weight: 600; }}
    QLabel#strong, QLabel#task {{ font-weight: 600; }}
    QLabel#passed {{ color: {t.meets_text}; font-size: {SMALL_PX:g}px; font-weight: 600; }}
    QLabel#title {{ font-weight: 600; font-size: 15px; }}
    QLabel#heading {{ font-weight: 600; }}
    QLabel#question {{ color: {t.soft}; }}
    QLabel#figure {{ font-size: {FIGURE_PX:g}px; font-weight: 600; }}
    QLabel#good {{ color: {t.meets_text}; font-size: {SMALL_PX:g}px; }}
    QLabel#bad {{ color: {t.fails_text}; font-size: {SMALL_PX:g}px; }}
    QLabel#missed {{ color: {t.missed_text}; font-size: {SMALL_PX:g}px; }}
    QPushButton, QToolButton {{
        background: {t.card}; border: 1px solid {t.line}; border-radius: 6px; padding: 5px 12px; }}
    QPushButton#choice {{ border-radius: {RADIUS_PX}px; padding: 0; text-align: left; }}
    QPushButton#choice:hover, QPushButton#choice:focus {{ background: {t.field}; }}
    QPushButton#choice QLabel#strong {{ font-weight: 600; }}
    QToolButton {{ padding: 4px 8px; }}
    QPushButton:hover, QToolButton:hover {{ border-color: {t.accent}; }}
    QPushButton:focus, QToolButton:focus {{ border-color: {t.accent}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {t.soft}; background: {t.field}; }}
    QPushButton#primary {{
        background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; font-weight: 600; }}
    QPushButton#primary:disabled {{
        background: {t.field}; color: {t.soft}; border-color: {t.line}; }}
    QToolButton#dot {{ border: none; background: transparent; color: {t.accent}; padding: 0; }}
    QFrame#segmented {{ background: {t.field}; border: none; border-radius: 7px; }}
    QToolButton#segment {{
        border: 1px solid transparent; background: transparent; color: {t.soft};
        padding: 4px 8px; border-radius: 5px; }}
    QToolButton#segment:checked {{ background: {t.card}; color: {t.text}; font-weight: 600; }}
    QToolButton#segment:hover {{ color: {t.text}; }}
    QToolButton#segment:focus {{ border-color: {t.accent}; }}
    QToolButton#hint {{ border: none; background: transparent; color: {t.soft};
        font-size: {SMALL_PX:g}px; padding: 2px 4px; }}
    QToolButton#hint:hover, QToolButton#hint:focus {{ color: {t.accent}; }}
    QStatusBar {{ background: {t.card}; border: none; }}
    QStatusBar::item {{ border: none; }}
    QMainWindow::separator {{ background: {t.page}; width: {GAP_PX}px; height: {GAP_PX}px; }}
    QDialog, QDialog#palette {{ background: {t.card}; }}
    QDialog#palette {{ border: 1px solid {t.line}; border-radius: {RADIUS_PX}px; }}
    QListWidget {{ background: {t.card}; border: none; outline: none; }}
    QListWidget::item {{ padding: 5px 8px; border-radius: 5px; }}
    QListWidget::item:selected {{ background: {t.field}; color: {t.text}; }}
    QComboBox {{
        background: {t.field}; border: 1px solid transparent; border-radius: 6px;
        padding: 2px 8px; }}
    QComboBox::drop-down {{ border: none; width: 18px; }}
    QComboBox::down-arrow {{ image: url({_icon("chevron", t)}); width: 10px; height: 10px; }}
    QComboBox:focus {{ border-color: {t.accent}; }}
    QComboBox QAbstractItemView {{ background: {t.card}; border: 1px solid {t.line}; }}
    QCheckBox {{ background: transparent; spacing: 6px; }}
    QCheckBox::indicator, QTableView::indicator {{ width: 13px; height: 13px; border-radius: 4px;
        border: 1px solid {t.soft}; background: {t.field}; }}
    QCheckBox::indicator:hover, QCheckBox::indicator:focus {{ border-color: {t.accent}; }}
    QCheckBox::indicator:checked, QTableView::indicator:checked {{ background: {t.accent}; border-color: {t.accent};
        image: url({_icon("check", t)}); }}
    QCheckBox:focus {{ color: {t.accent}; }}
    QRadioButton::indicator {{ width: 13px; height: 13px; border-radius: 7px;
        border: 1px solid {t.soft}; background: {t.field}; }}
    QRadioButton::indicator:hover, QRadioButton::indicator:focus {{ border-color: {t.accent}; }}
    QRadioButton::indicator:checked {{ width: 5px; height: 5px; border: 5px solid {t.accent};
        border-radius: 7px; background: {t.card}; }}
    QToolButton#menu::menu-indicator {{ image: none; width: 0; }}
    QPlainTextEdit {{
        background: {t.field}; border: 1px solid {t.line}; border-radius: 6px; padding: 2px;
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QPlainTextEdit:focus {{ border-color: {t.accent}; }}
    QLineEdit, QAbstractSpinBox {{
        background: {t.field}; border: 1px solid transparent; border-radius: 6px;
        padding: 2px 6px; selection-background-color: {t.accent};
        selection-color: {t.on_accent}; }}
    QLineEdit:focus, QAbstractSpinBox:focus {{ border-color: {t.accent}; }}
    QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{
        width: 0px; subcontrol-origin: margin; }}
    QAbstractSpinBox QLineEdit {{ background: transparent; border: none; padding: 0; }}
    QSlider {{ background: transparent; min-height: 18px; }}
    QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.line}; }}
    QSlider::sub-page:horizontal {{ height: 4px; border-radius: 2px; background: {t.accent}; }}
    QSlider::handle:horizontal {{
        width: 10px; height: 10px; margin: -5px 0; border-radius: 7px;
        background: {t.card}; border: 2px solid {t.accent}; }}
    QSlider::handle:horizontal:focus {{ background: {t.accent}; }}
    QSlider::sub-page:horizontal:disabled {{ background: {t.line}; }}
    QSlider::handle:horizontal:disabled {{ border-color: {t.line}; background: {t.field}; }}
    QLabel:disabled, QComboBox:disabled, QAbstractSpinBox:disabled, QLineEdit:disabled {{
        color: {t.soft}; }}
    QProgressBar {{
        background: {t.line}; border: none; border-radius: 2px; max-height: 5px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: 2px; }}
    QTableView {{
        background: {t.card}; border: none; gridline-color: {t.line};
        selection-background-color: {t.field}; selection-color: {t.text}; outline: none; }}
    QTableView::item {{ padding: 0 16px 0 8px; border-bottom: 1px solid {t.line}; }}
    QTableView::item:selected {{ background: {t.field}; color: {t.text}; }}
    QTableView#runs::item {{ padding: 0 4px; }}
    QTableView#runs QHeaderView::section {{ padding: 4px 4px; }}
    QTableView QLineEdit {{ padding: 0 2px; border-radius: 3px; }}
    QHeaderView {{ background: {t.card}; }}
    QHeaderView::section {{
        background: {t.card}; color: {t.soft}; border: none;
        border-bottom: 1px solid {t.line}; padding: 4px 16px 4px 8px; font-size: {SMALL_PX:g}px; }}
    QTableCornerButton::section {{ background: {t.card}; border: none; }}
    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QMessageBox, QFileDialog {{ background: {t.card}; }}
    QMenu {{ background: {t.card}; border: 1px solid {t.line}; padding: 4px; }}
    QMenu::item {{ padding: 5px 22px 5px 12px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {t.field}; }}
    QScrollBar:vertical {{ background: transparent; width: 8px; margin: 0; }}
    QScrollBar::handle:vertical {{
        background: {t.line}; border-radius: 4px; min-height: 24px; }}
    QScrollBar:horizontal {{ background: transparent; height: 8px; margin: 0; }}
    QScrollBar::handle:horizontal {{
        background: {t.line}; border-radius: 4px; min-width: 24px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
    QAbstractScrollArea::corner {{ background: transparent; }}
    """
