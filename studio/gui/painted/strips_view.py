"""Strips that share one axis of time, the steps below, and one cursor over all of them.

Everything but the cursor is painted once into a picture, so that moving the cursor costs a few
lines. The user moves the cursor with the mouse.
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
from studio.gui.painted.strip_painter import NAME_PX, TICK_PX, PixelScale, paint_label, paint_strip
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
_READOUT_GAP_PX = 7
_LABEL_MAX_PX = 380
"""Maximum width of the text beside the cursor, in pixels."""
_EVENT_REACH_PX = 5
"""An event is named when the cursor is this near, in pixels."""


class StripsView(QWidget):
    """All figures of a run over time."""

    moved = Signal(float)
    """The user points at a moment; the argument is its time in seconds."""
    picked = Signal(int)
    """The user double-clicks the steps of an instance; the argument is its number."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Capacity and traffic, latency, errors, queue and steps over time")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(GUTTER_PX + 120, 120)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._theme: Theme = LIGHT
        self._strips: Sequence[Strip] = ()
        self._story: Story | None = None
        self._is_faded = (False, False)
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
        """Show other strips.

        Args:
            strips: The strips, from top to bottom.
            story: The story whose steps stand below; None for none.
            theme: The colours.
            end_s: The end of the axis of time, in seconds.
            faded: Whether the strips, and whether the steps, belong to the state before the user's
                edits.
        """
        self._strips, self._story, self._theme = strips, story, theme
        self._end_s, self._is_faded, self._picture = max(end_s, 1e-3), faded, None
        self.update()

    def show_time(self, time_s: float | None) -> None:
        """Move the cursor; None removes it."""
        if time_s == self._time_s:
            return
        before, self._time_s = self._cursor_rect(), time_s
        self.update(before)
        self.update(self._cursor_rect())

    @property
    def scale(self) -> PixelScale:
        """The scale from seconds to pixels."""
        return PixelScale(GUTTER_PX, max(1, self.width() - GUTTER_PX - _RIGHT_PX), self._end_s)

    @property
    def strips(self) -> Sequence[Strip]:
        """The shown strips."""
        return self._strips

    # Geometry

    def _lay_out(self) -> None:
        """Give each strip its height: an empty strip gets one line, the others share the rest."""
        is_quiet = [strip.is_quiet for strip in self._strips]
        shares = [0.0 if is_empty else _SHARES.get(strip.name, 1.5)
                  for strip, is_empty in zip(self._strips, is_quiet, strict=True)]  # fmt: skip
        has_steps = self._story is not None and len(self._story.order) > 0
        steps = _STEPS_SHARE if has_steps else 0.0
        gaps = _BETWEEN_PX * (len(shares) - (0 if steps else 1))
        free = self.height() - _TOP_PX - _AXIS_PX - gaps - _QUIET_PX * sum(is_quiet)
        unit_px = max(0.0, free) / max(1e-9, sum(shares) + steps)
        width = max(1, self.width() - GUTTER_PX - _RIGHT_PX)
        top, self._boxes = float(_TOP_PX), []
        for share, is_empty in zip(shares, is_quiet, strict=True):
            height = _QUIET_PX if is_empty else unit_px * share
            self._boxes.append(QRect(GUTTER_PX, round(top), width, round(height)))
            top += height + _BETWEEN_PX
        self._steps_box = QRect(GUTTER_PX, round(top), width, max(0, round(unit_px * steps)))

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
            paint_strip(painter, strip, box, scale, self._theme, faded=self._is_faded[0])
            self._paint_title(painter, box, strip.name, strip.unit)
        if self._story is not None and self._steps_box.height() > 0:
            painter.setClipRect(self._steps_box)
            paint_steps(
                painter, self._story, self._steps_box, scale, self._theme, faded=self._is_faded[1]
            )
            painter.setClipping(False)
            readout_parts = "before changes" if self._is_faded[1] else "one row each"
            self._paint_title(painter, self._steps_box, "Steps", readout_parts)
        if self._story is not None and not self._is_faded[1]:
            self._paint_worst(painter, scale, self._story.worst)

    def _paint_title(self, painter: QPainter, box: QRect, name: str, unit: str) -> None:
        """Paint a strip's name left of it, on two lines where needed, and the unit below."""
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
        max_ticks = max(1, int(scale.width_px // _TICK_ROOM_PX))
        step_s = next(
            (candidate_s for candidate_s in _TICKS_S if self._end_s / candidate_s <= max_ticks),
            _TICKS_S[-1],
        )
        painter.setFont(font_of(TICK_PX))
        painter.setPen(QColor(self._theme.soft))
        bottom = self.height() - _AXIS_PX
        for k in range(int(self._end_s / step_s) + 1):
            x = round(scale.x(k * step_s))
            left = min(max(GUTTER_PX, x - 30), self.width() - 60 - 2)
            alignment = Qt.AlignmentFlag.AlignLeft if k == 0 else Qt.AlignmentFlag.AlignHCenter
            painter.drawText(
                QRect(left, bottom + 4, 60, 14), alignment | Qt.AlignmentFlag.AlignVCenter,
                clock_text(k * step_s),
            )  # fmt: skip

    def _paint_worst(self, painter: QPainter, scale: PixelScale, worst: ReplayEvent) -> None:
        """Mark the worst moment on the upper edge."""
        x = scale.x(worst.time_s)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.failed))
        painter.drawPolygon(QPolygonF([QPointF(x - 4, 1), QPointF(x + 4, 1), QPointF(x, 7)]))

    def _event_near(self, time_s: float) -> ReplayEvent | None:
        """Return the event nearest to the cursor, within `_EVENT_REACH_PX`; None where there is none."""
        if self._story is None or self._is_faded[1]:
            return None
        near_s = _EVENT_REACH_PX / self.scale.width_px * self._end_s
        events = [event for event in self._story.events if abs(event.time_s - time_s) <= near_s]
        return min(events, key=lambda event: abs(event.time_s - time_s)) if events else None

    def _cursor_rect(self) -> QRect:
        """Return the area that the cursor and its text cover."""
        if self._time_s is None:
            return QRect()
        x = round(self.scale.x(self._time_s))
        return QRect(x - _LABEL_MAX_PX - 8, 0, 2 * _LABEL_MAX_PX + 16, self.height())

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
            room_px = min(_LABEL_MAX_PX, self.width() - GUTTER_PX - _RIGHT_PX - 12)
            text = metrics.elidedText(event.words, Qt.TextElideMode.ElideMiddle, room_px)
            width = metrics.horizontalAdvance(text)
            left_px = self._text_left(x, width)
            if left_px < GUTTER_PX + NAME_PX:  # the names of the lines stand there
                left_px = min(x + 6, self.width() - _RIGHT_PX - width)
            y = self._boxes[0].top() + 9 if self._boxes else 12
            paint_label(
                painter,
                QPointF(left_px, y),
                text,
                self._theme.text,
                self._theme,
                bold=True,
                alpha=255,
            )

    def _paint_readout(
        self, painter: QPainter, x: float, box: QRect, readout_parts: list[tuple[str, str]]
    ) -> None:
        """Paint the values of the lines at the cursor, each in its line's colour."""
        metrics = QFontMetrics(font_of(SMALL_PX, bold=True))
        widths = [
            metrics.horizontalAdvance(words) + _READOUT_GAP_PX for _token, words in readout_parts
        ]
        left_px = self._text_left(x, sum(widths))
        for (token, words), width in zip(readout_parts, widths, strict=True):
            ink = ink_of(token, self._theme)
            paint_label(
                painter,
                QPointF(left_px, box.bottom() - 5),
                words,
                ink,
                self._theme,
                bold=True,
                alpha=255,
            )
            left_px += width

    def _text_left(self, x: float, width: float) -> float:
        """Return where text beside the cursor begins: right of the cursor, or left of it near the edge."""
        return x + 6 if x + 6 + width < self.width() - _RIGHT_PX else x - 6 - width

    def readout_text(self, time_s: float) -> str:
        """Return the values at a moment as a sentence, for a screen reader."""
        readout_parts = [
            f"{strip.name}: {' / '.join(words for _, words in readout(strip, time_s))} {strip.unit}"
            for strip in self._strips
        ]
        event = self._event_near(time_s)
        return "; ".join(readout_parts if event is None else [event.words, *readout_parts])

    # Actions of the user

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._move_cursor_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._move_cursor_to(event)

    def _move_cursor_to(self, event: QMouseEvent) -> None:
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
                readout_parts = [self._story.names[instance], *sentences_of(self._story, instance)]
                QToolTip.showText(event.globalPos(), "\n".join(readout_parts), self)
            return True
        return super().event(event)
