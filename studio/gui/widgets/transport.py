"""The controls of a replay: play, steps, a time slider, the speed, and the choice of the run.

The user's requests leave as signals.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from studio.gui.toolkit.painting import claim_keys
from studio.views.figures_text import clock_text

SPEEDS = (0.5, 1.0, 2.0, 4.0, 10.0, 20.0)
FIRST_SPEED = 4.0
_SLIDER_STEPS = 10_000
TYPICAL, WORST = "typical", "worst"


class _Button(QToolButton):
    """A button that Space presses while it has the focus, although Space plays on the page."""

    def __init__(self, words: str, name: str, tip: str) -> None:
        super().__init__()
        self.setText(words)
        self.setAccessibleName(name)
        self.setToolTip(tip)

    def event(self, event: QEvent) -> bool:
        return claim_keys(event, {Qt.Key.Key_Space}) or super().event(event)


class _Choice(QComboBox):
    """A choice that Space opens, and that ignores the wheel."""

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)

    def event(self, event: QEvent) -> bool:
        keys = {Qt.Key.Key_Space, Qt.Key.Key_Left, Qt.Key.Key_Right}
        return claim_keys(event, keys) or super().event(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class Transport(QWidget):
    """A row of controls; it stores no time."""

    play_asked = Signal()
    stepped = Signal(int)
    """The user steps back (-1) or forward (1)."""
    scrubbed = Signal(float)
    """The user moves to a moment, in seconds."""
    run_chosen = Signal(object)
    """The user chooses another run: `TYPICAL`, `WORST`, or its index."""
    table_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._end_s = 1.0
        self.setToolTip("Move through the run: Space plays, ← and → go to the next change.")
        self.play = _Button("▶", "Play", "Play or pause (Space)")
        self.back = _Button(
            "◂", "Step back", "To the change before (←); Shift+← to the event before"
        )
        self.forward = _Button(
            "▸", "Step forward", "To the next change (→); Shift+→ to the next event"
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Time")
        self.slider.setRange(0, _SLIDER_STEPS)
        self.time = QLabel("0:00 / 0:00")
        self.time.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.speed = _Choice("Speed", "Seconds of the rollout per second of replay")
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g} ×", speed)
        self.speed.setCurrentIndex(SPEEDS.index(FIRST_SPEED))
        self.runs = _Choice("Run that is replayed", "The simulated run that is replayed")
        self.table = _Button("Table", "Table", "Show the fleet as a table (T)")
        self.table.setCheckable(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for button in (self.play, self.back, self.forward):
            layout.addWidget(button)
        layout.addWidget(self.slider, 1)
        rest: tuple[QWidget, ...] = (self.time, self.speed, self.runs, self.table)
        for widget in rest:
            layout.addWidget(widget)
        self.play.clicked.connect(self.play_asked)
        self.back.clicked.connect(lambda: self.stepped.emit(-1))
        self.forward.clicked.connect(lambda: self.stepped.emit(1))
        self.table.clicked.connect(self.table_asked)
        self.slider.valueChanged.connect(self._on_slide)
        self.runs.activated.connect(lambda _place: self.run_chosen.emit(self.runs.currentData()))

    @property
    def speed_factor(self) -> float:
        """The speed, in seconds of the rollout per second."""
        return float(self.speed.currentData())

    def show_runs(self, count: int, index: int, choice: object, typical: int, worst: int) -> None:
        """Show which runs there are, and which one is replayed.

        Args:
            count: Number of runs.
            index: Index of the replayed run.
            choice: How the run was chosen: `TYPICAL`, `WORST`, or by its index.
            typical: Index of the run whose p99 is nearest the median.
            worst: Index of the run with the highest p99.
        """
        with QSignalBlocker(self.runs):
            if self.runs.count() != (count + 2 if count else 1):
                self.runs.clear()
                for _ in range(count + 2 if count else 1):
                    self.runs.addItem("no run yet")
            if count:
                entries: list[tuple[str, object]] = [(f"typical: run {typical + 1} of {count}", TYPICAL),
                        (f"worst: run {worst + 1} of {count}", WORST)]  # fmt: skip
                entries += [(f"run {k + 1} of {count}", k) for k in range(count)]
                for row, (text, data) in enumerate(entries):
                    if self.runs.itemText(row) != text:
                        self.runs.setItemText(row, text)
                        self.runs.setItemData(row, data)
                row = {TYPICAL: 0, WORST: 1}.get(str(choice), index + 2)
                self.runs.setCurrentIndex(row)
        self.runs.setEnabled(count > 0)

    def show_end(self, end_s: float) -> None:
        """Show the end of the cursor's range, in seconds."""
        self._end_s = max(end_s, 1e-3)
        end = clock_text(end_s)
        self.time.setMinimumWidth(self.time.fontMetrics().horizontalAdvance(f"{end} / {end}0"))

    def show_time(self, time_s: float) -> None:
        """Show the cursor's position, in seconds."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(time_s / self._end_s * _SLIDER_STEPS))
        self.time.setText(f"{clock_text(time_s)} / {clock_text(self._end_s)}")

    def show_playing(self, is_playing: bool) -> None:
        """Show whether the replay plays."""
        self.play.setText("❚❚" if is_playing else "▶")
        self.play.setAccessibleName("Pause" if is_playing else "Play")

    def set_usable(self, is_usable: bool) -> None:
        """Enable the controls when there is a run to move through."""
        for widget in (self.play, self.back, self.forward, self.slider, self.table):
            widget.setEnabled(is_usable)

    def _on_slide(self, step: int) -> None:
        self.scrubbed.emit(step / _SLIDER_STEPS * self._end_s)
