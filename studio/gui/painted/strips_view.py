"""Strips that share one axis of time, the steps beneath, and one cursor over all of them.

Enters: strips as data, a story, a moment. Leaves: the picture, and `moved` when a person points at
another moment. All but the cursor is painted once into a picture; the cursor costs a few lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from studio.gui.painted.steps_painter import instance_in, paint_steps
from studio.gui.painted.strip_painter import NAME_PX, TICK_PX, PixelScale, label, paint_strip
from studio.gui.toolkit.painting import font_of, picture_of
from studio.views.figures_text import clock_text
from studio.views.replay import ReplayEvent, Story, sentences_of
from studio.views.states import ink_of
from studio.views.strips import Strip, readout
from studio.views.theme import BASE_PX, LIGHT, SMALL_PX, Theme

GUTTER_PX = 108
_RIGHT_PX, _TOP_PX, _AXIS_PX, _BETWEEN_PX = 12, 12, 20, 8
_QUIET_PX = 16
_SHARES = {"Capacity and traffic": 3.0, "Latency": 3.0}
_STEPS_SHARE = 3.5
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
_TICK_ROOM_PX = 64
_APART_PX = 7
_WORDS_PX = 380
"""Words beside the cursor are no wider."""
_NEAR_PX = 5
"""An event is told when the cursor is so near."""


class StripsView(QWidget):
    """Everything about a run that is told over time."""

    moved = Signal(float)
    """The person points at a moment, in seconds."""
    picked = Signal(int)
    """The person double-clicks the steps of an instance, by its number."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Capacity and traffic, latency, errors, queue and steps over time")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(GUTTER_PX + 120, 120)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._theme: Theme = LIGHT
        self._strips: Sequence[Strip] = ()
        self._story: Story | None = None
        self._faded = (False, False)
        self._boxes: list[QRect] = []
        self._steps_box = QRect()
        self._picture: QPixmap | None = None
        self._end_s = 1.0
        self._time_s: float | None = 0.0

    def show_strips(
        self,
        strips: Sequence[Strip],
        story: Story | None,
        theme: Theme,
        *,
        end_s: float,
        faded: tuple[bool, bool] = (False, False),
    ) -> None:
        """Shows other lines.

        Args:
            strips: From top to bottom.
            story: Whose steps stand beneath; None for nobody's.
            theme: The colours.
            end_s: How far the axis of time goes.
            faded: Whether the strips, and the steps, are of what was before the person's changes.
        """
        self._strips, self._story, self._theme = strips, story, theme
        self._end_s, self._faded, self._picture = max(end_s, 1e-3), faded, None
        self.update()

    def show_time(self, time_s: float | None) -> None:
        """Moves the cursor; None takes it away."""
        if time_s == self._time_s:
            return
        before, self._time_s = self._cursor_room(), time_s
        self.update(before)
        self.update(self._cursor_room())

    @property
    def scale(self) -> PixelScale:
        """Where moments are."""
        return PixelScale(GUTTER_PX, max(1, self.width() - GUTTER_PX - _RIGHT_PX), self._end_s)

    @property
    def strips(self) -> Sequence[Strip]:
        """The strips that are shown."""
        return self._strips

    # Geometry

    def _lay_out(self) -> None:
        """Gives each strip its height: what is quiet gets a line, the rest share the room."""
        quiet = [one.is_quiet for one in self._strips]
        shares = [0.0 if hush else _SHARES.get(one.name, 1.5)
                  for one, hush in zip(self._strips, quiet, strict=True)]  # fmt: skip
        has_steps = self._story is not None and len(self._story.order) > 0
        steps = _STEPS_SHARE if has_steps else 0.0
        gaps = _BETWEEN_PX * (len(shares) - (0 if steps else 1))
        free = self.height() - _TOP_PX - _AXIS_PX - gaps - _QUIET_PX * sum(quiet)
        each = max(0.0, free) / max(1e-9, sum(shares) + steps)
        width = max(1, self.width() - GUTTER_PX - _RIGHT_PX)
        top, self._boxes = float(_TOP_PX), []
        for share, hush in zip(shares, quiet, strict=True):
            height = _QUIET_PX if hush else each * share
            self._boxes.append(QRect(GUTTER_PX, round(top), width, round(height)))
            top += height + _BETWEEN_PX
        self._steps_box = QRect(GUTTER_PX, round(top), width, max(0, round(each * steps)))

    def resizeEvent(self, _event: object) -> None:
        self._picture = None

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        paint, ground = self._paint_picture, self._theme.card
        self._picture = picture_of(self, self._picture, ground, paint)
        ratio = self._picture.devicePixelRatio()
        painter = QPainter(self)
        room = QRectF(event.rect())
        source = QRectF(room.topLeft() * ratio, room.size() * ratio)
        painter.drawPixmap(room, self._picture, source)
        if self._time_s is not None and (self._strips or self._story is not None):
            self._paint_cursor(painter, self._time_s)

    def _paint_picture(self, painter: QPainter) -> None:
        self._lay_out()
        scale = self.scale
        if self._strips or self._story is not None:
            self._paint_times(painter, scale)
        for strip, box in zip(self._strips, self._boxes, strict=True):
            paint_strip(painter, strip, box, scale, self._theme, faded=self._faded[0])
            self._paint_name(painter, box, strip.name, strip.unit)
        if self._story is not None and self._steps_box.height() > 0:
            painter.setClipRect(self._steps_box)
            paint_steps(
                painter, self._story, self._steps_box, scale, self._theme, faded=self._faded[1]
            )
            painter.setClipping(False)
            told = "before changes" if self._faded[1] else "one row each"
            self._paint_name(painter, self._steps_box, "Steps", told)
        if self._story is not None and not self._faded[1]:
            self._paint_worst(painter, scale, self._story.worst)

    def _paint_name(self, painter: QPainter, box: QRect, name: str, unit: str) -> None:
        """The name in the gutter, on two lines where it needs them, and the unit under it."""
        font = font_of(BASE_PX if box.height() > 48 else SMALL_PX)
        metrics = QFontMetrics(font)
        lines = [name]
        if metrics.horizontalAdvance(name) > GUTTER_PX - 46 and box.height() > 22:
            words = name.split(" ")
            middle = len(words) // 2
            lines = [" ".join(words[:middle]), " ".join(words[middle:])] if middle else lines
        painter.setFont(font)
        painter.setPen(QColor(self._theme.text))
        y = box.top() + metrics.ascent() - (3 if box.height() > 20 else 0)
        for line in lines:
            painter.drawText(12, y, line)
            y += metrics.height() - 1
        if y < box.bottom() + 4:
            painter.setFont(font_of(TICK_PX))
            painter.setPen(QColor(self._theme.soft))
            painter.drawText(12, y - 1, unit)

    def _paint_times(self, painter: QPainter, scale: PixelScale) -> None:
        most = max(1, int(scale.width_px // _TICK_ROOM_PX))
        step_s = next((one for one in _TICKS_S if self._end_s / one <= most), _TICKS_S[-1])
        painter.setFont(font_of(TICK_PX))
        painter.setPen(QColor(self._theme.soft))
        bottom = self.height() - _AXIS_PX
        for k in range(int(self._end_s / step_s) + 1):
            x = round(scale.x(k * step_s))
            left = min(max(GUTTER_PX, x - 30), self.width() - 60 - 2)
            aligned = Qt.AlignmentFlag.AlignLeft if k == 0 else Qt.AlignmentFlag.AlignHCenter
            painter.drawText(
                QRect(left, bottom + 4, 60, 14), aligned | Qt.AlignmentFlag.AlignVCenter,
                clock_text(k * step_s),
            )  # fmt: skip

    def _paint_worst(self, painter: QPainter, scale: PixelScale, worst: ReplayEvent) -> None:
        """A mark on the upper edge, where the moment to look at first is."""
        x = scale.x(worst.time_s)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.failed))
        painter.drawPolygon(QPolygonF([QPointF(x - 4, 1), QPointF(x + 4, 1), QPointF(x, 7)]))

    def _event_near(self, time_s: float) -> ReplayEvent | None:
        """What happened where the cursor stands; the latest of what is near."""
        if self._story is None or self._faded[1]:
            return None
        near_s = _NEAR_PX / self.scale.width_px * self._end_s
        near = [one for one in self._story.events if abs(one.time_s - time_s) <= near_s]
        return min(near, key=lambda one: abs(one.time_s - time_s)) if near else None

    def _cursor_room(self) -> QRect:
        """What the cursor covers with its words."""
        if self._time_s is None:
            return QRect()
        x = round(self.scale.x(self._time_s))
        return QRect(x - _WORDS_PX - 8, 0, 2 * _WORDS_PX + 16, self.height())

    def _paint_cursor(self, painter: QPainter, time_s: float) -> None:
        x = self.scale.x(time_s)
        bottom = self.height() - _AXIS_PX
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.text), 1.6))
        painter.drawLine(QPointF(x, 8), QPointF(x, bottom))
        metrics = QFontMetrics(font_of(SMALL_PX, bold=True))
        for strip, box in zip(self._strips, self._boxes, strict=True):
            if not strip.is_quiet:
                self._paint_readout(painter, x, box, readout(strip, time_s))
        event = self._event_near(time_s)
        if event is not None:
            room = min(_WORDS_PX, self.width() - GUTTER_PX - _RIGHT_PX - 12)
            words = metrics.elidedText(event.words, Qt.TextElideMode.ElideMiddle, room)
            width = metrics.horizontalAdvance(words)
            at = self._beside(x, width)
            if at < GUTTER_PX + NAME_PX:  # the lines have their names there
                at = min(x + 6, self.width() - _RIGHT_PX - width)
            y = self._boxes[0].top() + 9 if self._boxes else 12
            label(
                painter, QPointF(at, y), words, self._theme.text, self._theme, bold=True, alpha=255
            )

    def _paint_readout(
        self, painter: QPainter, x: float, box: QRect, told: list[tuple[str, str]]
    ) -> None:
        """What the lines say there, each in its line's colour."""
        metrics = QFontMetrics(font_of(SMALL_PX, bold=True))
        widths = [metrics.horizontalAdvance(words) + _APART_PX for _token, words in told]
        at = self._beside(x, sum(widths))
        for (token, words), width in zip(told, widths, strict=True):
            ink = ink_of(token, self._theme)
            label(
                painter,
                QPointF(at, box.bottom() - 5),
                words,
                ink,
                self._theme,
                bold=True,
                alpha=255,
            )
            at += width

    def _beside(self, x: float, width: float) -> float:
        """Where words beside the cursor begin: on its right, or on its left where that ends."""
        return x + 6 if x + 6 + width < self.width() - _RIGHT_PX else x - 6 - width

    def readout_text(self, time_s: float) -> str:
        """A moment in words, for who cannot see it."""
        told = [
            f"{one.name}: {' / '.join(words for _, words in readout(one, time_s))} {one.unit}"
            for one in self._strips
        ]
        event = self._event_near(time_s)
        return "; ".join(told if event is None else [event.words, *told])

    # Actions of the user

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._point(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point(event)

    def _point(self, event: QMouseEvent) -> None:
        at = event.position()
        if event.buttons() & Qt.MouseButton.LeftButton and at.x() >= GUTTER_PX - 6:
            self.moved.emit(self.scale.time_s(at.x()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        instance = self._row_at(event.position().toPoint())
        if instance is not None:
            self.picked.emit(instance)

    def _row_at(self, point: QPoint) -> int | None:
        if self._story is None or not self._steps_box.contains(point):
            return None
        return instance_in(self._story, self._steps_box, point.y())

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            instance = self._row_at(event.pos())
            if instance is None or self._story is None:
                QToolTip.hideText()
            else:
                told = [self._story.names[instance], *sentences_of(self._story, instance)]
                QToolTip.showText(event.globalPos(), "\n".join(told), self)
            return True
        return super().event(event)
