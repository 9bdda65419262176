"""The chart of the page *Trade-off*: a matplotlib picture with an overlay that Qt paints.

The overlay shows what must react at once: the estimate, and rings around points. The user selects
points by mouse or keys.
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
"""Maximum distance between the mouse and a point, in pixels."""
_RING_PX = 10.0
_MARK_PX = 6.0


@dataclass(frozen=True)
class EstimatedPoint:
    """The estimated point of the edited scenario.

    Attributes:
        name: The name.
        duration_s: The duration of the rollout, in seconds.
        risk: The shown risk.
    """

    name: str
    duration_s: Range
    risk: Range


@dataclass(frozen=True)
class ChartContent:
    """The content of the chart.

    Attributes:
        comparison: The candidates.
        selected: Index of the selected candidate; None for none.
        risk: The risk that the duration is weighed against.
        names: The name of each candidate; None where it is not shown.
        words: The sentence about each candidate, shown at its point.
    """

    comparison: Comparison
    selected: int | None
    risk: Risk
    names: Sequence[str | None]
    words: dict[int, str]


class TradeOffChart(ChartCanvas):
    """Points that the user selects; one may be an estimate."""

    picked = Signal(int)
    """The user selects another candidate; the argument is its index in the comparison."""
    plan_requested = Signal()
    """The user asks for the plan of the selected candidate."""

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
        self._overlay = _Overlay(self)

    def show_points(self, content: ChartContent, theme: Theme) -> None:
        """Draw a comparison.

        The axes stay the same while results of one comparison arrive, so that only changed points
        move.
        """
        comparison, risk = content.comparison, content.risk
        source = (risk.metric, tuple(candidate.candidate for candidate in comparison.candidates))
        new_scale = scale_of(comparison, risk)
        before, scale = self._scale
        if before != source or scale is None or new_scale is None or not scale.suits(new_scale):
            scale = new_scale
        self._scale = (source, scale)
        self._selected, self._theme, self._words = content.selected, theme, content.words
        with style.use_style():
            self.points = draw_trade_off(
                self.axes[0], comparison, content.selected, theme, risk,
                names=content.names, scale=scale, titled=False,
            )  # fmt: skip
        self._show(theme)

    def show_nothing(self, words: str, theme: Theme) -> None:
        """Show why there is no point."""
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
        """Paint the estimate of the edited scenario over the simulated points; takes no time."""
        self.estimated, self._is_stale = estimated, is_stale
        self._overlay.update()

    @property
    def is_stale(self) -> bool:
        """Return whether the points belong to the state before the user's edits."""
        return self._is_stale

    def _show(self, theme: Theme) -> None:
        self.figure.set_facecolor(theme.card)
        self._hovered = None
        self._describe()
        self.draw_idle()  # type: ignore[no-untyped-call]  # matplotlib types no canvas
        self._overlay.update()

    def _describe(self) -> None:
        self.setAccessibleDescription(
            self._words.get(-1 if self._selected is None else self._selected, "")
        )

    # Actions of the user

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._overlay.resize(event.size())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        near = self._point_near(event.position())
        if near is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(near)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Ignore the event, so that matplotlib does not handle it."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._point_near(event.position()) is not None:
            self.plan_requested.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        near = self._point_near(event.position())
        if near == self._hovered:
            return
        self._hovered = near
        shape = Qt.CursorShape.ArrowCursor if near is None else Qt.CursorShape.PointingHandCursor
        self.setCursor(shape)
        if near is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(event.globalPosition().toPoint(), self._words.get(near, ""), self)
        self._overlay.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = None
        self._overlay.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._overlay.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._overlay.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Select along the duration by ← →, along the risk by ↑ ↓; Enter asks for the plan."""
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._selected is not None:
            self.plan_requested.emit()
            return
        by_duration = sorted(self.points, key=lambda point: (point.duration_s, point.index))
        by_risk = sorted(self.points, key=lambda point: (point.risk, point.index))
        rows = {
            Qt.Key.Key_Left: (by_duration, -1),
            Qt.Key.Key_Right: (by_duration, 1),
            Qt.Key.Key_Down: (by_risk, -1),
            Qt.Key.Key_Up: (by_risk, 1),
        }
        if key not in rows or not self.points:
            event.ignore()
            return
        row, step = rows[Qt.Key(key)]
        indices = [index for index, point in enumerate(row) if point.index == self._selected]
        index = indices[0] + step if indices else 0
        if 0 <= index < len(row):
            self.picked.emit(row[index].index)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def _point_near(self, at: QPointF) -> int | None:
        """Return the candidate whose point is within `CLICK_PX` of the mouse; None where there is none."""
        axes, distances = self.axes[0], []
        for point in self.points:
            offset = self.place_of(axes, point.duration_s, point.risk) - at
            distances.append(((offset.x() ** 2 + offset.y() ** 2) ** 0.5, point.index))
        return min(distances)[1] if distances and min(distances)[0] <= CLICK_PX else None

    # Overlay

    def paint_over(self, painter: QPainter) -> None:
        """Paint the estimate, and rings around the hovered and the focused point."""
        if self._theme is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self.area_of(self.axes[0])
        if self._is_stale and self.points:
            veil = QColor(self._theme.card)
            veil.setAlpha(150)
            painter.fillRect(QRectF(area.left() + 1, 0, self.width(), area.bottom()), veil)
        accent = QColor(self._theme.accent)
        ringed_indices = {self._hovered, self._selected if self.hasFocus() else None} - {None}
        painter.setPen(QPen(accent, 1.5))
        for point in self.points:
            if point.index in ringed_indices:
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
        at, unclamped = (
            inside(duration.value, risk.value),
            self.place_of(self.axes[0], duration.value, risk.value),
        )
        pen.setStyle(Qt.PenStyle.SolidLine)
        painter.setPen(pen)
        painter.setBrush(QColor(self._theme.card))
        painter.drawEllipse(at, _MARK_PX, _MARK_PX)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        text = f"{estimated.name}, estimate" + (
            "" if (unclamped - at).manhattanLength() < 1 else ", beyond the axes"
        )
        metrics = painter.fontMetrics()
        wide = metrics.horizontalAdvance(text)
        x = at.x() + 12 if at.x() + 14 + wide < self.width() else at.x() - 12 - wide
        y = max(at.y() - 10, area.top() + metrics.ascent())
        ground = QColor(self._theme.card)
        ground.setAlpha(220)
        painter.fillRect(
            QRectF(x - 3, y - metrics.ascent() - 1, wide + 6, metrics.height() + 2), ground
        )
        painter.setPen(accent)
        painter.drawText(QPointF(x, y), text)


class _Overlay(QWidget):
    """An overlay over the picture that lets the mouse through."""

    def __init__(self, chart: TradeOffChart) -> None:
        super().__init__(chart)
        self._chart = chart
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._chart.paint_over(painter)
        painter.end()
