"""A matplotlib figure in a card, laid out in pixels."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QResizeEvent

from studio.charts.style import DPI, spread_labels

LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX, BETWEEN_PX = 52, 14, 32, 26, 40


class ChartCanvas(FigureCanvasQTAgg):
    """A canvas whose axes keep their margins in pixels when it is resized."""

    def __init__(self, rows: int, left_px: int = LEFT_PX, top_px: int = TOP_PX) -> None:
        super().__init__(Figure(dpi=DPI))  # type: ignore[no-untyped-call]  # matplotlib types no canvas
        self._rows, self._left_px, self._top_px = rows, left_px, top_px
        self.axes: list[Axes] = [self.figure.add_subplot(rows, 1, row + 1) for row in range(rows)]

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.lay_out(event.size().width(), event.size().height())
        super().resizeEvent(event)  # type: ignore[no-untyped-call]  # matplotlib types no canvas

    def lay_out(self, width: int, height: int) -> None:
        """Give all axes the same height, and the margins their pixels."""
        free = height - self._top_px - BOTTOM_PX - BETWEEN_PX * (self._rows - 1)
        if width <= self._left_px + RIGHT_PX or free <= 0:
            return
        axes_height = free / self._rows
        for row, axes in enumerate(self.axes):
            top = self._top_px + row * (axes_height + BETWEEN_PX)
            axes.set_position(
                (
                    self._left_px / width,
                    1 - (top + axes_height) / height,
                    (width - self._left_px - RIGHT_PX) / width,
                    axes_height / height,
                )
            )
            spread_labels(axes)

    def place_of(self, axes: Axes, x: float, y: float) -> QPointF:
        """Return the position of a data point of the axes on this widget."""
        across, up = axes.transData.transform((x, y))
        ratio = self.device_pixel_ratio
        return QPointF(across / ratio, self.height() - up / ratio)

    def area_of(self, axes: Axes) -> QRectF:
        """Return the area of the axes on this widget."""
        box, ratio = axes.bbox, self.device_pixel_ratio
        return QRectF(
            box.x0 / ratio, self.height() - box.y1 / ratio, box.width / ratio, box.height / ratio
        )
