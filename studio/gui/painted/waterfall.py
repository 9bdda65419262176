"""The steps of each instance as a waterfall: the forecast thin, the actual steps thick below it.

Times are seconds since the first step. The selected row is also described as a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from simulation.results.states import State
from studio.gui.widgets.elided import ElidedLabel
from studio.views.figures_text import clock_text, duration_text
from studio.views.graph import short_names
from studio.views.spans import DRAWN, LEGEND, Span, colours
from studio.views.theme import LIGHT, SMALL_PX, Theme

LEAST_ROW_PX, MOST_ROW_PX = 13, 36
NAMES_PX = 84
RIGHT_PX = 12
AXIS_PX = 22
LEGEND_PX = 20

_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


class Waterfall(QFrame):
    """Rows of instances, an axis of time below them, and a legend."""

    picked = Signal(str)
    """Another instance is selected; the argument is its name."""

    def __init__(self, name: str, theme: Theme = LIGHT) -> None:
        super().__init__()
        self.rows = _Rows(name, theme)
        self._axis = _Axis(self.rows)
        self._legend = _WaterfallLegend(theme)
        self._about = ElidedLabel(name="Selected instance")
        self._about.setObjectName("soft")
        self._scroll = QScrollArea()
        self._scroll.setWidget(self.rows)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.rows.setObjectName("fields")  # as in the scenario panel: transparent over the card
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self._scroll, self._axis, self._legend, self._about):
            layout.addWidget(widget, 1 if widget is self._scroll else 0)
        self.rows.picked.connect(self._on_picked)

    def show_spans(
        self,
        instances: Sequence[str],
        forecast: Sequence[Span],
        actual: Sequence[Span],
        now_s: float | None,
        theme: Theme,
    ) -> None:
        """Show other spans.

        Args:
            instances: The instances with a row, from the top.
            forecast: The steps of one simulated run.
            actual: The steps that were carried out.
            now_s: The time of the line of the present, in seconds; None for no line.
            theme: The colours.
        """
        self.rows.show_spans(instances, forecast, actual, now_s, theme)
        self._axis.update()
        self._legend.show_theme(theme)
        self._about.setText(self.rows.selected_text())
        if now_s is not None:
            self._scroll_to_busy_rows()

    def _scroll_to_busy_rows(self) -> None:
        """Scroll to the rows with steps under way."""
        busy_rows = self.rows.busy_rows()
        if busy_rows and self.rows.height() > self._scroll.viewport().height():
            middle = round((busy_rows[-1] + 0.5) * self.rows.row_px)
            self._scroll.ensureVisible(0, middle, 0, 3 * round(self.rows.row_px))

    def _on_picked(self, name: str) -> None:
        self._about.setText(self.rows.selected_text())
        self._scroll.ensureVisible(0, self.rows.middle_of(name), 0, round(self.rows.row_px))
        self.picked.emit(name)


class _Rows(QWidget):
    picked = Signal(str)

    def __init__(self, name: str, theme: Theme) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self.theme = theme
        self.instances: tuple[str, ...] = ()
        self.now_s: float | None = None
        self.end_s = 1.0
        self._forecast: dict[str, list[Span]] = {}
        self._actual: dict[str, list[Span]] = {}
        self._shown_spans: object = None
        self._current: str | None = None
        self._short_names: dict[str, str] = {}

    def show_spans(
        self,
        instances: Sequence[str],
        forecast: Sequence[Span],
        actual: Sequence[Span],
        now_s: float | None,
        theme: Theme,
    ) -> None:
        if (tuple(instances), forecast, actual, now_s, theme) == self._shown_spans:
            return
        self._shown_spans = (tuple(instances), forecast, actual, now_s, theme)
        self.instances, self.now_s, self.theme = tuple(instances), now_s, theme
        self._forecast, self._actual = _by_instance(forecast), _by_instance(actual)
        self._short_names = short_names(self.instances)
        ends = [span.end_s for span in (*forecast, *actual) if span.state in DRAWN]
        self.end_s = max([*ends, now_s or 0.0], default=0.0) or 1.0
        if self._current not in self.instances:
            self._current = None
        self.setMinimumHeight(LEAST_ROW_PX * len(self.instances))
        self.setAccessibleDescription(self.selected_text())
        self.update()

    # Geometry

    @property
    def row_px(self) -> float:
        """The height of a row, in pixels."""
        return min(MOST_ROW_PX, self.height() / max(1, len(self.instances)))

    def x_of(self, time_s: float) -> float:
        """Return the x of a time, in pixels."""
        wide = max(1, self.width() - NAMES_PX - RIGHT_PX)
        return NAMES_PX + time_s / self.end_s * wide

    def middle_of(self, name: str) -> int:
        """Return the y of the middle of an instance's row, in pixels."""
        return round((self.instances.index(name) + 0.5) * self.row_px)

    def busy_rows(self) -> list[int]:
        """Return the rows with steps under way."""
        return [
            row
            for row, name in enumerate(self.instances)
            if name in self._actual and self._actual[name][-1].end_s >= (self.now_s or 0.0) - 1e-6
        ]

    def sizeHint(self) -> QSize:
        return QSize(320, 20 * max(3, len(self.instances)))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, row_px = self.theme, self.row_px
        font = painter.font()
        font.setPixelSize(round(min(SMALL_PX, row_px - 1)))
        painter.setFont(font)
        metrics = QFontMetrics(font)
        first = max(0, int(event.rect().top() / row_px))
        last = min(len(self.instances), int(event.rect().bottom() / row_px) + 1)
        for time_s in ticks_s(self.end_s):
            painter.setPen(QColor(theme.line))
            x = round(self.x_of(time_s))
            painter.drawLine(x, 0, x, round(row_px * len(self.instances)))
        for row in range(first, last):
            name, top = self.instances[row], row * row_px
            if name == self._current and self.hasFocus():
                painter.fillRect(QRectF(0, top, self.width(), row_px), QColor(theme.field))
            painter.setPen(QColor(theme.text if name == self._current else theme.soft))
            fits = metrics.horizontalAdvance(name) <= NAMES_PX - 10
            label = name if fits else self._short_names.get(name, name)
            shown = metrics.elidedText(label, Qt.TextElideMode.ElideMiddle, NAMES_PX - 10)
            side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(QRectF(2, top, NAMES_PX - 8, row_px), int(side), shown)
            # without actual steps, the forecast takes the height
            thin = (0.10, 0.20) if self._actual else (0.25, 0.50)
            for spans, (above, high) in ((self._forecast, thin), (self._actual, (0.36, 0.50))):
                box = QRectF(0, top + row_px * above, 0, max(2.0, row_px * high))
                self._paint_bars(painter, spans.get(name, []), box)
        if self.now_s is not None:
            painter.setPen(QPen(QColor(theme.text), 1.5))
            x = round(self.x_of(self.now_s))
            painter.drawLine(x, 0, x, round(row_px * len(self.instances)))

    def _paint_bars(self, painter: QPainter, spans: Sequence[Span], row: QRectF) -> None:
        colour_by_state = colours(self.theme)
        for span in spans:
            begin, end = self.x_of(span.begin_s), self.x_of(span.end_s)
            box = QRectF(begin, row.top(), max(1.0, end - begin), row.height())
            painter.fillRect(box, QColor(colour_by_state[span.state]))
            if span.state in (State.FAILED, State.CRASHED):
                painter.setPen(QColor(self.theme.text))
                side = int(Qt.AlignmentFlag.AlignVCenter)
                painter.drawText(box.adjusted(2, -4, 0, 4), side, "✗")

    # Selection

    def selected_text(self) -> str:
        """Return the selected row as a sentence; empty when none is selected."""
        name = self._current
        if name is None:
            return ""
        parts = [
            f"{words} {', '.join(_span_words(span) for span in spans)}"
            for words, spans in (
                ("done", self._actual.get(name, [])),
                ("forecast", self._forecast.get(name, [])),
            )
            if spans
        ]
        return f"{name}: {'; '.join(parts) or 'nothing yet'}"

    def pick(self, name: str) -> None:
        """Select an instance."""
        self._current = name
        self.setAccessibleDescription(self.selected_text())
        self.update()
        self.picked.emit(name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is None or not self.instances:
            super().keyPressEvent(event)
            return
        index = self.instances.index(self._current) if self._current is not None else -step
        self.pick(self.instances[max(0, min(len(self.instances) - 1, index + step))])

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if self._current is None and self.instances:
            self.pick(self.instances[0])
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        row = int(event.position().y() / self.row_px)
        if row < len(self.instances):
            self.pick(self.instances[row])

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            row = int(event.pos().y() / self.row_px)
            if row < len(self.instances):
                name = self.instances[row]
                spans = self._actual.get(name, []) or self._forecast.get(name, [])
                text = "\n".join([name, *(_span_words(span) for span in spans)])
                QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)


class _Axis(QWidget):
    def __init__(self, rows: _Rows) -> None:
        super().__init__()
        self._rows = rows
        self.setFixedHeight(AXIS_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(round(SMALL_PX))
        painter.setFont(font)
        painter.setPen(QColor(self._rows.theme.soft))
        for time_s in ticks_s(self._rows.end_s):
            box = QRectF(self._rows.x_of(time_s) - 30, 2, 60, AXIS_PX - 4)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), clock_text(time_s))


class _WaterfallLegend(QWidget):
    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setMinimumHeight(LEGEND_PX)
        self.setToolTip("Thin: forecast. Thick: what was done.")

    def show_theme(self, theme: Theme) -> None:
        if theme is not self._theme:
            self._theme = theme
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(round(SMALL_PX))
        painter.setFont(font)
        metrics, x, middle = QFontMetrics(font), 2.0, self.height() / 2
        for token, words in LEGEND:
            wide = metrics.horizontalAdvance(words)
            if x + 14 + wide > self.width():
                return
            painter.fillRect(QRectF(x, middle - 4, 9, 9), QColor(getattr(self._theme, token)))
            painter.setPen(QColor(self._theme.soft))
            painter.drawText(
                QRectF(x + 13, 0, wide + 2, self.height()),
                int(Qt.AlignmentFlag.AlignVCenter),
                words,
            )
            x += 13 + wide + 12
        note = "thin: forecast, thick: done"
        if x + metrics.horizontalAdvance(note) < self.width():
            box = QRectF(x, 0, self.width() - x - 4, self.height())
            side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(box, int(side), note)


def ticks_s(end_s: float) -> list[float]:
    """Return at most seven round times from 0 to ``end_s``."""
    width = next((candidate for candidate in _TICKS_S if end_s / candidate <= 6), _TICKS_S[-1])
    return [float(k * width) for k in range(int(end_s / width) + 1)]


def _by_instance(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """Return the spans that have a bar (states in `DRAWN`) by instance, in order of time."""
    spans_by_instance: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.begin_s):
        if span.state in DRAWN:
            spans_by_instance[span.instance].append(span)
    return dict(spans_by_instance)


def _span_words(span: Span) -> str:
    return f"{span.state.value} {duration_text(max(0.0, span.end_s - span.begin_s))}"
