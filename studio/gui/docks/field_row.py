"""One row of the scenario panel: label, slider, number, unit, and a dot that resets the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QToolButton,
    QWidget,
)

from studio.gui.document.fields import SMOOTH, Field, FieldChoice

LABEL_WIDTH = 84
NUMBER_WIDTH = 54
UNIT_WIDTH = 22
HIGHEST = 1e6
"""Largest number that can be typed; the scenario's own rules report what is too large."""


class _FieldRow(QWidget):
    """A labelled row with a dot at its end."""

    reset = Signal()
    typing = Signal()
    """The user is typing; the text is not taken over yet."""

    def __init__(self, label: str, tip: str) -> None:
        super().__init__()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(5)
        name = QLabel(label)
        name.setFixedWidth(LABEL_WIDTH)
        self._layout.addWidget(name)
        self.setToolTip(tip)
        self._dot = QToolButton()
        self._dot.setObjectName("dot")
        self._dot.setText("●")
        self._dot.setFixedWidth(12)
        self._dot.setToolTip("Back to the saved value")
        self._dot.setAccessibleName(f"Reset {label}")
        self._dot.clicked.connect(self.reset)
        keep = self._dot.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self._dot.setSizePolicy(keep)

    def mark_changed(self, changed: bool) -> None:
        """Show the dot where the value differs from the saved one."""
        self._dot.setVisible(changed)


def _is_undo(event: QEvent) -> bool:
    """Return whether Qt asks if a field handles the undo or redo keys itself."""
    keys = QKeySequence.StandardKey
    return (
        event.type() == QEvent.Type.ShortcutOverride
        and isinstance(event, QKeyEvent)
        and (event.matches(keys.Undo) or event.matches(keys.Redo))
    )


class _Slider(QSlider):
    """A slider that ignores the wheel, so that the wheel scrolls the panel and changes no value."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class _Number(QDoubleSpinBox):
    """A number that ignores the wheel. Once the number is taken over, the document handles undo."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def event(self, event: QEvent) -> bool:
        if _is_undo(event) and self.text() == self.textFromValue(self.value()):
            event.ignore()
            return False
        return super().event(event)


class _Line(QLineEdit):
    """A line of text. Once the text is taken over, the document handles undo."""

    def event(self, event: QEvent) -> bool:
        if _is_undo(event) and not self.isModified():
            event.ignore()
            return False
        return super().event(event)


class NumberRow(_FieldRow):
    """A number, set by a slider or typed."""

    typed = Signal(float)
    """The user has set another value."""
    slid = Signal(float)
    """The user moves the slider."""

    def __init__(self, field: Field) -> None:
        super().__init__(field.label, field.tip)
        self._field = self._latest = field
        self._slider = _Slider(Qt.Orientation.Horizontal)
        self._slider.setAccessibleName(f"{field.label}, slider")
        self._slider.setMinimumWidth(44)
        self._number = _Number()
        self._number.setAccessibleName(field.label)
        self._number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self._number.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._number.setFixedWidth(NUMBER_WIDTH)
        self._number.setKeyboardTracking(False)
        unit = QLabel(field.unit)
        unit.setObjectName("unit")
        unit.setFixedWidth(UNIT_WIDTH)
        for widget in (self._slider, self._number, unit, self._dot):
            self._layout.addWidget(widget, 1 if widget is self._slider else 0)
        self.show_field(field)
        self._slider.valueChanged.connect(self._on_slide)
        self._slider.sliderReleased.connect(lambda: self.show_field(self._latest))
        self._number.valueChanged.connect(self.typed)
        self._number.lineEdit().textEdited.connect(self.typing)

    def commit_typed(self) -> None:
        """Take over the number that is still being typed."""
        self._number.interpretText()

    def show_field(self, field: Field) -> None:
        """Show a value without reporting it as the user's."""
        self._latest = field
        if self._slider.isSliderDown():  # the scale must not change while the user drags
            field = replace(field, low=self._field.low, high=self._field.high)
        self._field = field
        with QSignalBlocker(self._slider), QSignalBlocker(self._number):
            self._number.setDecimals(field.decimals)
            self._number.setRange(field.low, max(field.high, HIGHEST))
            self._number.setValue(field.value)
            span = field.high - field.low
            self._slider.setRange(0, min(SMOOTH, round(span * 10**field.decimals)))
            fraction = (field.value - field.low) / span if span else 0.0
            self._slider.setValue(round(min(1.0, fraction) * self._slider.maximum()))

    def _on_slide(self, position: int) -> None:
        field = self._field
        steps = max(1, self._slider.maximum())
        value = field.low + (field.high - field.low) * position / steps
        self.slid.emit(round(value, field.decimals))


class _Words(QComboBox):
    """A choice of words that ignores the wheel."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class ChoiceRow(_FieldRow):
    """One of a few words."""

    chosen = Signal(str)
    """The user has chosen another word, as the file has it."""

    def __init__(self, field: FieldChoice) -> None:
        super().__init__(field.label, field.tip)
        self._box = _Words()
        self._box.setAccessibleName(field.label)
        for word in field.words:
            self._box.addItem(word.replace("_", " "), word)
        self._layout.addWidget(self._box, 1)
        self._layout.addWidget(self._dot)
        self.show_field(field)
        self._box.activated.connect(lambda _index: self.chosen.emit(self._box.currentData()))

    def commit_typed(self) -> None:
        """Do nothing: no text is typed here."""

    def show_field(self, field: FieldChoice) -> None:
        """Show a value without reporting it as the user's."""
        self._box.setCurrentIndex(self._box.findData(field.value))


class TextRow(_FieldRow):
    """A short text, taken over when the user leaves the row or presses Enter."""

    typed = Signal(object)
    """The user has given another value; the argument is the parsed value."""
    refused = Signal(str)
    """The typed text breaks a rule; the argument is the rule."""

    def __init__(self, label: str, tip: str, parse: Callable[[str], object]) -> None:
        super().__init__(label, tip)
        self._label = label
        self._parse = parse
        self._shown_text = ""
        self._edit = _Line()
        self._edit.setAccessibleName(label)
        self._layout.addWidget(self._edit, 1)
        self._layout.addWidget(self._dot)
        self._edit.editingFinished.connect(self.commit_typed)
        self._edit.textEdited.connect(self.typing)

    def show_text(self, text: str) -> None:
        """Show a value without reporting it as the user's."""
        self._shown_text = text
        self._edit.setText(text)
        self._edit.home(False)  # show a long text from its beginning

    def commit_typed(self) -> None:
        """Take over the text that is still being typed."""
        text = self._edit.text()
        if text == self._shown_text:
            return
        try:
            value = self._parse(text)
        except ValueError as error:
            self._edit.setText(self._shown_text)
            self.refused.emit(f"{self._label}: {text}: {error}")
            return
        self.typed.emit(value)
