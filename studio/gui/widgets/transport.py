"""What moves the cursor of a replay: play, steps, a scrubber, the time, the speed, which run.

Enters: how far the cursor can go, which runs there are. Leaves: what a person asks for, as signals.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from studio.gui.toolkit.painting import claim_keys
from studio.views.figures_text import clock_text

SPEEDS = (0.5, 1.0, 2.0, 4.0, 10.0, 20.0)
FIRST_SPEED = 4.0
_PLACES = 10_000
TYPICAL, WORST = "typical", "worst"


class _Button(QToolButton):
    """A button that Space presses while it has the focus, whatever else Space does on the page."""

    def __init__(self, words: str, name: str, tip: str) -> None:
        super().__init__()
        self.setText(words)
        self.setAccessibleName(name)
        self.setToolTip(tip)

    def event(self, event: QEvent) -> bool:
        return claim_keys(event, {Qt.Key.Key_Space}) or super().event(event)


class _Choice(QComboBox):
    """Choices that Space opens, and that the wheel passes over."""

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
    """A row of controls; it holds no time of its own."""

    play_asked = Signal()
    stepped = Signal(int)
    """A step back (−1) or forward (1)."""
    scrubbed = Signal(float)
    """The person moves to a moment, in seconds."""
    run_chosen = Signal(object)
    """Another run: `TYPICAL`, `WORST`, or its place among them."""
    table_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._end_s = 1.0
        self.setToolTip("Moves through the run: Space plays, ← and → go to the next change.")
        self.play = _Button("▶", "Play", "Play or pause (Space)")
        self.back = _Button(
            "◂", "Step back", "To the change before (←); Shift+← to the event before"
        )
        self.forward = _Button(
            "▸", "Step forward", "To the next change (→); Shift+→ to the next event"
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Time")
        self.slider.setRange(0, _PLACES)
        self.time = QLabel("0:00 / 0:00")
        self.time.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.speed = _Choice("Speed", "How many seconds of the rollout pass in one")
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g} ×", speed)
        self.speed.setCurrentIndex(SPEEDS.index(FIRST_SPEED))
        self.runs = _Choice("Run that is replayed", "Which of the simulated runs is replayed")
        self.table = _Button("Table", "Table", "The same as a table (T)")
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
    def seconds_a_second(self) -> float:
        """The speed."""
        return float(self.speed.currentData())

    def show_runs(self, count: int, place: int, chosen: object, typical: int, worst: int) -> None:
        """Shows which runs there are and which one is replayed.

        Args:
            count: How many.
            place: The one that is replayed.
            chosen: How it was chosen: `TYPICAL`, `WORST`, or by its place.
            typical: The one whose p99 is nearest the median.
            worst: The one with the highest p99.
        """
        with QSignalBlocker(self.runs):
            if self.runs.count() != (count + 2 if count else 1):
                self.runs.clear()
                for _ in range(count + 2 if count else 1):
                    self.runs.addItem("no run yet")
            if count:
                told: list[tuple[str, object]] = [(f"typical: run {typical + 1} of {count}", TYPICAL),
                        (f"worst: run {worst + 1} of {count}", WORST)]  # fmt: skip
                told += [(f"run {k + 1} of {count}", k) for k in range(count)]
                for row, (words, data) in enumerate(told):
                    if self.runs.itemText(row) != words:
                        self.runs.setItemText(row, words)
                        self.runs.setItemData(row, data)
                row = {TYPICAL: 0, WORST: 1}.get(str(chosen), place + 2)
                self.runs.setCurrentIndex(row)
        self.runs.setEnabled(count > 0)

    def show_end(self, end_s: float) -> None:
        """Says how far the cursor can go."""
        self._end_s = max(end_s, 1e-3)
        end = clock_text(end_s)
        self.time.setMinimumWidth(self.time.fontMetrics().horizontalAdvance(f"{end} / {end}0"))

    def show_time(self, time_s: float) -> None:
        """Shows where the cursor stands."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(time_s / self._end_s * _PLACES))
        self.time.setText(f"{clock_text(time_s)} / {clock_text(self._end_s)}")

    def show_playing(self, is_playing: bool) -> None:
        """Shows whether it plays."""
        self.play.setText("❚❚" if is_playing else "▶")
        self.play.setAccessibleName("Pause" if is_playing else "Play")

    def set_usable(self, is_usable: bool) -> None:
        """Whether there is something to move through."""
        for widget in (self.play, self.back, self.forward, self.slider, self.table):
            widget.setEnabled(is_usable)

    def _on_slide(self, place: int) -> None:
        self.scrubbed.emit(place / _PLACES * self._end_s)
