"""One row of the scenario panel: label, slider, number, unit, and a dot that resets."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QToolButton,
    QWidget,
)

from studio.gui.fields import SMOOTH, Field

LABEL_WIDTH = 84
NUMBER_WIDTH = 58
UNIT_WIDTH = 22


class _Row(QWidget):
    """A labelled row with a dot at its end."""

    reset = Signal()

    def __init__(self, label: str, tip: str) -> None:
        super().__init__()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
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
        """Shows the dot where the value is not the saved one."""
        self._dot.setVisible(changed)


class NumberRow(_Row):
    """A number by slider or by typing."""

    typed = Signal(float)
    """The person gave another value."""
    slid = Signal(float)
    """The slider is on its way."""

    def __init__(self, field: Field) -> None:
        super().__init__(field.label, field.tip)
        self._field = field
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setAccessibleName(f"{field.label}, slider")
        self._slider.setMinimumWidth(48)
        self._number = QDoubleSpinBox()
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
        self._number.valueChanged.connect(self.typed)

    def show_field(self, field: Field) -> None:
        """Shows a value without taking it for the person's."""
        self._field = field
        with QSignalBlocker(self._slider), QSignalBlocker(self._number):
            self._number.setDecimals(field.decimals)
            self._number.setRange(field.low, max(field.high, 1e6 if field.decimals else field.high))
            self._number.setValue(field.value)
            whole = field.decimals == 0 and field.high - field.low <= SMOOTH
            self._slider.setRange(0, int(field.high - field.low) if whole else SMOOTH)
            span = field.high - field.low
            share = (field.value - field.low) / span if span else 0.0
            self._slider.setValue(round(min(1.0, share) * self._slider.maximum()))

    def _on_slide(self, place: int) -> None:
        field = self._field
        steps = max(1, self._slider.maximum())
        value = field.low + (field.high - field.low) * place / steps
        self.slid.emit(round(value, field.decimals))


class TextRow(_Row):
    """A short text, taken when the person leaves it or presses Enter."""

    typed = Signal(object)
    """The person gave another value; as it was parsed."""
    refused = Signal(str)
    """What was typed breaks the rule that is told."""

    def __init__(self, label: str, tip: str, parse: Callable[[str], object]) -> None:
        super().__init__(label, tip)
        self._label = label
        self._parse = parse
        self._shown = ""
        self._edit = QLineEdit()
        self._edit.setAccessibleName(label)
        self._layout.addWidget(self._edit, 1)
        self._layout.addWidget(self._dot)
        self._edit.editingFinished.connect(self._on_done)

    def show_text(self, text: str) -> None:
        """Shows a value without taking it for the person's."""
        self._shown = text
        self._edit.setText(text)

    def _on_done(self) -> None:
        text = self._edit.text()
        if text == self._shown:
            return
        try:
            value = self._parse(text)
        except ValueError as error:
            self._edit.setText(self._shown)
            self.refused.emit(f"{self._label}: {text}: {error}")
            return
        self.typed.emit(value)
