"""The chart of the page *Trade-off*: matplotlib's picture, and painted over it what must be quick.

Enters: a comparison and an estimate. Leaves: which point a person took, by mouse or by keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from simulation.estimates.estimate import Range
from simulation.study.compare import Comparison
from studio.charts import style
from studio.charts.trade_off import draw_trade_off
from studio.gui.painted.chart import ChartCanvas
from studio.views.theme import Theme
from studio.views.trade_off import AxisScale, Point, Risk, scale_of

LEFT_PX, TOP_PX = 62, 12
CLICK_PX = 18
"""How near the mouse must be to a point."""
_RING_PX = 10.0
_MARK_PX = 6.0


@dataclass(frozen=True)
class EstimatedPoint:
    """Where closed forms put what stands in the fields.

    Attributes:
        name: What it is called.
        duration_s: The rollout.
        risk: The risk that is shown.
    """

    name: str
    duration_s: Range
    risk: Range


@dataclass(frozen=True)
class ChartContent:
    """What the chart shows.

    Attributes:
        comparison: The candidates.
        selected: The one that is looked at.
        risk: What the duration is weighed against.
        names: What each is called; None where it is not shown.
        words: What is said of each when the mouse or the keys are at it.
    """

    comparison: Comparison
    selected: int | None
    risk: Risk
    names: Sequence[str | None]
    words: dict[int, str]


class TradeOffChart(ChartCanvas):
    """Points that can be picked; one may be looked at, and one may be an estimate."""

    picked = Signal(int)
    """The person looks at another candidate, by its place in the comparison."""
    plan_requested = Signal()
    """The person wants the plan of the one that is looked at."""

    def __init__(self) -> None:
        super().__init__(1, LEFT_PX, TOP_PX)
        self.setAccessibleName("Trade-off chart")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(220, 150)
        self.points: list[Point] = []
        self.estimated: EstimatedPoint | None = None
        self._words: dict[int, str] = {}
        self._selected: int | None = None
        self._hovered: int | None = None
        self._is_stale = False
        self._theme: Theme | None = None
        self._scale: tuple[object, AxisScale | None] = (None, None)
        self._over = _Overlay(self)

    def show_points(self, shown: ChartContent, theme: Theme) -> None:
        """Draws a comparison.

        The axes stay as they are while results of one comparison come in, so that what moves is
        what has changed.
        """
        comparison, risk = shown.comparison, shown.risk
        what = (risk.metric, tuple(one.candidate for one in comparison.candidates))
        wanted = scale_of(comparison, risk)
        before, scale = self._scale
        if before != what or scale is None or wanted is None or not scale.suits(wanted):
            scale = wanted
        self._scale = (what, scale)
        self._selected, self._theme, self._words = shown.selected, theme, shown.words
        with style.use_style():
            self.points = draw_trade_off(
                self.axes[0], comparison, shown.selected, theme, risk,
                names=shown.names, scale=scale, titled=False,
            )  # fmt: skip
        self._show(theme)

    def show_nothing(self, words: str, theme: Theme) -> None:
        """Says why there is no point."""
        self.points, self._selected, self._theme, self._words = [], None, theme, {}
        self.estimated = None
        axes = self.axes[0]
        with style.use_style():
            style.prepare(axes, theme, "", "")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(
                0.5, 0.5, words, transform=axes.transAxes, color=theme.soft,
                ha="center", va="center", wrap=True,
            )  # fmt: skip
        self._show(theme)

    def show_estimate(self, estimated: EstimatedPoint | None, is_stale: bool) -> None:
        """Paints what the fields would give over what was simulated before; takes no time."""
        self.estimated, self._is_stale = estimated, is_stale
        self._over.update()

    @property
    def is_stale(self) -> bool:
        """Whether what is drawn is told as being of before."""
        return self._is_stale

    def _show(self, theme: Theme) -> None:
        self.figure.set_facecolor(theme.card)
        self._hovered = None
        self._describe()
        self.draw_idle()  # type: ignore[no-untyped-call]  # matplotlib types no canvas
        self._over.update()

    def _describe(self) -> None:
        self.setAccessibleDescription(
            self._words.get(-1 if self._selected is None else self._selected, "")
        )

    # Actions of the user

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._over.resize(event.size())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        near = self._near(event.position())
        if near is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(near)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Nothing: matplotlib need not hear of it."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._near(event.position()) is not None:
            self.plan_requested.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        near = self._near(event.position())
        if near == self._hovered:
            return
        self._hovered = near
        shape = Qt.CursorShape.ArrowCursor if near is None else Qt.CursorShape.PointingHandCursor
        self.setCursor(shape)
        if near is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(event.globalPosition().toPoint(), self._words.get(near, ""), self)
        self._over.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = None
        self._over.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._over.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._over.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """← and → go along the durations, ↑ and ↓ along the risk; Enter takes the plan."""
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._selected is not None:
            self.plan_requested.emit()
            return
        across = sorted(self.points, key=lambda point: (point.duration_s, point.index))
        up = sorted(self.points, key=lambda point: (point.risk, point.index))
        rows = {
            Qt.Key.Key_Left: (across, -1),
            Qt.Key.Key_Right: (across, 1),
            Qt.Key.Key_Down: (up, -1),
            Qt.Key.Key_Up: (up, 1),
        }
        if key not in rows or not self.points:
            event.ignore()
            return
        row, step = rows[Qt.Key(key)]
        places = [place for place, point in enumerate(row) if point.index == self._selected]
        place = places[0] + step if places else 0
        if 0 <= place < len(row):
            self.picked.emit(row[place].index)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def _near(self, at: QPointF) -> int | None:
        """The point within reach of the mouse."""
        axes, found = self.axes[0], []
        for point in self.points:
            away = self.place_of(axes, point.duration_s, point.risk) - at
            found.append(((away.x() ** 2 + away.y() ** 2) ** 0.5, point.index))
        return min(found)[1] if found and min(found)[0] <= CLICK_PX else None

    # Overlay

    def paint_over(self, painter: QPainter) -> None:
        """The estimate, and rings around what the mouse or the keys are at."""
        if self._theme is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self.area_of(self.axes[0])
        if self._is_stale and self.points:
            wash = QColor(self._theme.card)
            wash.setAlpha(150)
            painter.fillRect(QRectF(area.left() + 1, 0, self.width(), area.bottom()), wash)
        accent = QColor(self._theme.accent)
        ringed = {self._hovered, self._selected if self.hasFocus() else None} - {None}
        painter.setPen(QPen(accent, 1.5))
        for point in self.points:
            if point.index in ringed:
                place = self.place_of(self.axes[0], point.duration_s, point.risk)
                painter.drawEllipse(place, _RING_PX, _RING_PX)
        if self.estimated is not None and self.points:
            self._paint_estimate(painter, self.estimated, area, accent)

    def _paint_estimate(
        self, painter: QPainter, estimated: EstimatedPoint, area: QRectF, accent: QColor
    ) -> None:
        assert self._theme is not None
        pen = QPen(accent, 1.6, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        duration, risk = estimated.duration_s, estimated.risk

        def inside(duration_s: float, value: float) -> QPointF:
            at = self.place_of(self.axes[0], duration_s, value)
            return QPointF(
                min(max(at.x(), area.left()), area.right()),
                min(max(at.y(), area.top()), area.bottom()),
            )

        painter.drawLine(inside(duration.low, risk.value), inside(duration.high, risk.value))
        painter.drawLine(inside(duration.value, risk.low), inside(duration.value, risk.high))
        at, free = (
            inside(duration.value, risk.value),
            self.place_of(self.axes[0], duration.value, risk.value),
        )
        pen.setStyle(Qt.PenStyle.SolidLine)
        painter.setPen(pen)
        painter.setBrush(QColor(self._theme.card))
        painter.drawEllipse(at, _MARK_PX, _MARK_PX)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        words = f"{estimated.name}, estimate" + (
            "" if (free - at).manhattanLength() < 1 else ", beyond the axes"
        )
        metrics = painter.fontMetrics()
        wide = metrics.horizontalAdvance(words)
        x = at.x() + 12 if at.x() + 14 + wide < self.width() else at.x() - 12 - wide
        y = max(at.y() - 10, area.top() + metrics.ascent())
        ground = QColor(self._theme.card)
        ground.setAlpha(220)
        painter.fillRect(
            QRectF(x - 3, y - metrics.ascent() - 1, wide + 6, metrics.height() + 2), ground
        )
        painter.setPen(accent)
        painter.drawText(QPointF(x, y), words)


class _Overlay(QWidget):
    """What lies over the picture and lets the mouse through."""

    def __init__(self, chart: TradeOffChart) -> None:
        super().__init__(chart)
        self._chart = chart
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._chart.paint_over(painter)
        painter.end()
