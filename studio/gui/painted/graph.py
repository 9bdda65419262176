"""A graph that the user moves through by mouse and wheel, or by keys alone.

The layout comes from `studio.views.graph.Drawing`; Qt paints it. The critical path has a thick line
and bold text, and the sentence about a box says so too.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsItem,
    QGraphicsPathItem,
    QGraphicsScene,
    QGraphicsView,
    QStyleOptionGraphicsItem,
    QWidget,
)

from studio.views.graph import Drawing, Node
from studio.views.theme import BASE_PX, LIGHT, SMALL_PX, Theme

SIZES = {"service": (150.0, 46.0), "instance": (72.0, 32.0), "gate": (84.0, 24.0)}
"""Width and height of a box in pixels, by what the box shows."""

BETWEEN_PX, ABOVE_PX = 24.0, 7.0
MARGIN_PX = 8.0
LEAST_SCALE, MOST_SCALE = 0.68, 2.5
"""Smallest scale that `fit` chooses, and largest scale of the zoom.

Below the smallest scale the text cannot be read, so the view scrolls instead.
"""

SMALLEST_SCALE = 0.1
_STEP = 1.15
_RADIUS_PX = 6.0


class _Box(QGraphicsItem):
    """The box of a node."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self.node, self.theme = node, theme
        self.is_current = False
        self.size = SIZES[node.kind]
        self.setToolTip(node.about)

    def boundingRect(self) -> QRectF:
        width, height = self.size
        return QRectF(-width / 2 - 3, -height / 2 - 3, width + 6, height + 6)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        theme, node = self.theme, self.node
        width, height = self.size
        box = QRectF(-width / 2, -height / 2, width, height)
        is_gate = node.kind == "gate"
        painter.setBrush(QColor(theme.field if is_gate else theme.card))
        line = QColor(theme.accent if node.is_critical else theme.old_version)
        painter.setPen(QPen(line, 2.0 if node.is_critical else 1.0))
        radius = height / 2 if is_gate else _RADIUS_PX
        painter.drawRoundedRect(box, radius, radius)
        if self.is_current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.text), 1.5, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(box.adjusted(-2.5, -2.5, 2.5, 2.5), radius + 2, radius + 2)
        scale = painter.worldTransform().m11() / max(1.0, painter.device().devicePixelRatioF())
        if scale * SMALL_PX >= 4.0:
            self._write(painter, box)

    def _write(self, painter: QPainter, box: QRectF) -> None:
        node, theme = self.node, self.theme
        font = QFont(painter.font())
        font.setPixelSize(round(SMALL_PX if node.kind == "gate" else BASE_PX))
        font.setWeight(QFont.Weight.DemiBold if node.is_critical else QFont.Weight.Normal)
        inside = box.adjusted(5, 2, -5, -2)
        upper = inside if not node.under else inside.adjusted(0, 0, 0, -inside.height() * 0.45)
        _draw(painter, font, theme.text, upper, node.title)
        if not node.under:
            return
        font.setPixelSize(round(SMALL_PX))
        font.setWeight(QFont.Weight.Normal)
        lower = inside.adjusted(0, inside.height() * 0.52, 0, 0)
        colour = theme.failed if node.is_failed else theme.soft
        _draw(painter, font, colour, lower, node.under)


def _draw(painter: QPainter, font: QFont, colour: str, box: QRectF, text: str) -> None:
    """Draw a line of text in the middle of a box, shortened in its middle where it is too long."""
    painter.setFont(font)
    painter.setPen(QColor(colour))
    shown = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideMiddle, box.width())
    painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), shown)


class GraphView(QGraphicsView):
    """A view of a drawing; arrow keys move from box to box, the wheel, + and − zoom, 0 fits."""

    picked = Signal(str)
    """Another box is selected; the argument is its key."""

    def __init__(self, name: str, theme: Theme = LIGHT) -> None:
        super().__init__()
        self._name = name
        self._scene = QGraphicsScene(self)
        self.setScene(self._scene)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setDragMode(QGraphicsView.DragMode.ScrollHandDrag)
        self.viewport().setCursor(Qt.CursorShape.ArrowCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Arrow keys move from box to box, + and − zoom, 0 fits")
        self._theme = theme
        self._drawing: Drawing | None = None
        self._boxes: dict[str, _Box] = {}
        self._current: str | None = None
        self._is_zoomed = False
        self._press_position: QPointF | None = None

    @property
    def drawing(self) -> Drawing | None:
        """The shown drawing."""
        return self._drawing

    @property
    def current(self) -> Node | None:
        """The selected node; None when none is selected."""
        return None if self._current is None else self._boxes[self._current].node

    def show_drawing(self, drawing: Drawing | None, theme: Theme) -> None:
        """Show another drawing; the selection stays where its box still exists."""
        if drawing == self._drawing and theme is self._theme:
            return
        has_same_boxes = (
            self._boxes.keys() == {node.key for node in drawing.nodes} if drawing else False
        )
        self._drawing, self._theme = drawing, theme
        self.setBackgroundBrush(QColor(theme.card))
        self._scene.clear()
        self._boxes = {}
        if drawing is not None:
            self._fill(drawing)
        self._current = self._current if self._current in self._boxes else None
        self._mark()
        if not has_same_boxes or not self._is_zoomed:
            self.fit()
        if self.hasFocus():
            self._select_first()

    def _fill(self, drawing: Drawing) -> None:
        wide = max((SIZES[node.kind][0] for node in drawing.nodes), default=0.0)
        high = max((SIZES[node.kind][1] for node in drawing.nodes), default=0.0)
        for node in drawing.nodes:
            box = _Box(node, self._theme)
            box.setPos(node.column * (wide + BETWEEN_PX), node.row * (high + ABOVE_PX))
            box.setZValue(1)
            self._scene.addItem(box)
            self._boxes[node.key] = box
        for edge in drawing.edges:
            self._join(self._boxes[edge.first], self._boxes[edge.then], edge.is_critical)
        bounds = self._scene.itemsBoundingRect()
        self._scene.setSceneRect(bounds.adjusted(-MARGIN_PX, -MARGIN_PX, MARGIN_PX, MARGIN_PX))

    def _join(self, first: _Box, then: _Box, is_critical: bool) -> None:
        begin = first.pos() + QPointF(first.size[0] / 2, 0)
        end = then.pos() - QPointF(then.size[0] / 2, 0)
        bend = max(8.0, (end.x() - begin.x()) / 2)
        path = QPainterPath(begin)
        path.cubicTo(begin + QPointF(bend, 0), end - QPointF(bend, 0), end)
        path.moveTo(end + QPointF(-5, -3.5))
        path.lineTo(end)
        path.lineTo(end + QPointF(-5, 3.5))
        item = QGraphicsPathItem(path)
        colour = QColor(self._theme.accent if is_critical else self._theme.soft)
        if not is_critical:
            colour.setAlpha(130)
        item.setPen(QPen(colour, 2.2 if is_critical else 1.0))
        item.setZValue(0.5 if is_critical else 0)
        self._scene.addItem(item)

    # Zoom

    @property
    def scale_now(self) -> float:
        """The present scale; 1 is the scale of the layout."""
        return self.transform().m11()

    def fit(self) -> None:
        """Show the whole graph where it can be read at that scale, else its beginning."""
        self._is_zoomed = False
        whole, viewport = self._scene.sceneRect(), self.viewport().rect()
        if whole.isEmpty() or viewport.isEmpty() or self._drawing is None:
            return
        scale = min(viewport.width() / whole.width(), viewport.height() / whole.height())
        self._scale_to(min(1.0, max(LEAST_SCALE, scale)))
        self.horizontalScrollBar().setValue(self.horizontalScrollBar().minimum())
        self.verticalScrollBar().setValue(self.verticalScrollBar().minimum())

    def zoom(self, factor: float) -> None:
        """Zoom by a factor; the zoom stays when the window is resized."""
        self._is_zoomed = True
        self._scale_to(min(MOST_SCALE, max(SMALLEST_SCALE, self.scale_now * factor)))

    def _scale_to(self, scale: float) -> None:
        self.resetTransform()
        self.scale(scale, scale)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._is_zoomed:
            self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().y():
            self.zoom(_STEP ** (event.angleDelta().y() / 120))
        event.accept()

    # Selection

    def pick(self, key: str) -> None:
        """Select a box."""
        if key in self._boxes and key != self._current:
            self._current = key
            self._mark()
            self.ensureVisible(self._boxes[key], 12, 12)
            self.picked.emit(key)

    def _mark(self) -> None:
        for key, box in self._boxes.items():
            is_current = key == self._current and self.hasFocus()
            if box.is_current != is_current:
                box.is_current = is_current
                box.update()
        node = self.current
        self.setAccessibleDescription("" if node is None else node.about)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._select_first()
        self._mark()

    def _select_first(self) -> None:
        """Select the first box when the keyboard focus arrives and no box is selected."""
        if self._current is None and self._drawing is not None and self._drawing.nodes:
            self.pick(self._drawing.nodes[0].key)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._mark()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        event.accept()
        self._press_position = event.position()
        self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        event.accept()
        self.viewport().setCursor(Qt.CursorShape.ArrowCursor)
        press_position, self._press_position = self._press_position, None
        if press_position is not None and (event.position() - press_position).manhattanLength() < 4:
            item = self.itemAt(event.position().toPoint())
            if isinstance(item, _Box):
                self.pick(item.node.key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        ways = {
            Qt.Key.Key_Left: QPointF(-1, 0),
            Qt.Key.Key_Right: QPointF(1, 0),
            Qt.Key.Key_Up: QPointF(0, -1),
            Qt.Key.Key_Down: QPointF(0, 1),
        }
        key = Qt.Key(event.key())
        if key in ways:
            self._move_selection(ways[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom(_STEP)
        elif key == Qt.Key.Key_Minus:
            self.zoom(1 / _STEP)
        elif key == Qt.Key.Key_0:
            self.fit()
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End) and self._drawing:
            nodes = self._drawing.nodes
            if nodes:
                self.pick(nodes[0 if key == Qt.Key.Key_Home else -1].key)
        else:
            super().keyPressEvent(event)

    def _move_selection(self, way: QPointF) -> None:
        """Select the nearest box in a direction; a box straight ahead counts as nearer."""
        if self._current is None:
            return
        here, nearest = self._boxes[self._current].pos(), None
        for key, box in self._boxes.items():
            offset = box.pos() - here
            ahead = offset.x() * way.x() + offset.y() * way.y()
            aside = abs(offset.x() * way.y()) + abs(offset.y() * way.x())
            if ahead > 1:
                distance = ahead + 3 * aside
                if nearest is None or distance < nearest[0]:
                    nearest = (distance, key)
        if nearest is not None:
            self.pick(nearest[1])
