"""A fleet as tiles: one per instance, with colour, glyph, number and load bar.

Only changed tiles are painted again. With many instances the tiles shrink to a mosaic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from simulation.results.states import State
from studio.gui.painted.tile_grid import HEADING_PX, WITH_WORDS, TileLayout, fit_tiles
from studio.gui.toolkit.painting import claim_keys, font_of
from studio.views.figures_text import NOTHING, clock_text, percent_text
from studio.views.replay import STATES, StateSpan, Story
from studio.views.states import Look, look_of, readable, version_text
from studio.views.theme import LIGHT, SMALL_PX, Theme

_BAR_STEPS = 20
"""Number of steps of a load bar: a smaller change is not painted again."""

_KEYS = {
    Qt.Key.Key_Left: "left",
    Qt.Key.Key_Right: "right",
    Qt.Key.Key_Up: "up",
    Qt.Key.Key_Down: "down",
    Qt.Key.Key_Home: "first",
    Qt.Key.Key_End: "last",
}


class Tiles(QWidget):
    """All instances at a moment; arrow keys move from tile to tile, Enter picks one."""

    picked = Signal(int)
    """The user asks for the story of an instance; the argument is its number."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Fleet")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._theme: Theme = LIGHT
        self._story: Story | None = None
        self._time_s = 0.0
        self._is_faded = False
        self._tile_codes = np.zeros(0, dtype=np.int64)
        self._interval = np.zeros(0, dtype=np.intp)
        self._rects: list[QRect] = []
        self._headings: list[tuple[QRect, str]] = []
        self._grid = TileLayout(WITH_WORDS, 4, 1)
        self._budget_px = 120
        self._focused = 0
        self._pinned: int | None = None

    # Display

    @property
    def focused_instance(self) -> int:
        """The instance that has the keyboard focus."""
        return self._focused

    def show_story(self, story: Story | None, theme: Theme, *, faded: bool = False) -> None:
        """Show another story.

        Args:
            story: The story; None for no fleet.
            theme: The colours.
            faded: Whether the story belongs to the state before the user's edits.
        """
        self._story, self._theme, self._is_faded = story, theme, faded
        self._focused = min(self._focused, max(0, (story.count if story else 1) - 1))
        self._tile_codes = np.zeros(0, dtype=np.int64)
        self._lay_out()
        self.show_time(self._time_s)
        self.update()

    def show_time(self, time_s: float) -> None:
        """Show another moment; only the changed tiles are painted again."""
        self._time_s = time_s
        story = self._story
        if story is None:
            return
        self._interval = story.at(time_s)
        tile_codes = self._codes_of(story)
        if len(tile_codes) != len(self._tile_codes):
            self._tile_codes = tile_codes
            self.update()
            return
        changed_tiles = np.flatnonzero(tile_codes != self._tile_codes)
        self._tile_codes = tile_codes
        if len(changed_tiles) > len(tile_codes) // 3:
            self.update()
        else:
            for number in changed_tiles:
                self.update(self._rects[number])
        if self.hasFocus():
            self.setAccessibleDescription(self.tile_text(self._focused))

    def show_pinned(self, instance: int | None) -> None:
        """Mark the instance whose story is shown."""
        for marked in (self._pinned, instance):
            if marked is not None and marked < len(self._rects):
                self.update(self._rects[marked].adjusted(-2, -2, 2, 2))
        self._pinned = instance

    def _codes_of(self, story: Story) -> NDArray[np.int64]:
        """Return what each tile shows as a number: state, version and steps of the bar."""
        interval = self._interval
        code: NDArray[np.int64] = story.code[interval].astype(np.int64) * 2
        code += story.is_new[interval]
        code *= _BAR_STEPS + 1
        if not self._grid.is_mosaic:
            code += self._bars(story)
        return code

    def _bars(self, story: Story) -> NDArray[np.int64]:
        """Return how full each bar is, 0 to `_BAR_STEPS`: the busy share, or the progress of a step."""
        interval = self._interval
        begin, end = story.begin_s[interval], story.end_s[interval]
        span = np.maximum(end - begin, 1e-9)
        fraction = np.clip((self._time_s - begin) / span, 0, 1)
        busy = story.busy_fraction(self._time_s)
        is_serving = story.code[interval] == STATES.index(State.SERVING)
        fraction = np.where(is_serving, 0.0 if np.isnan(busy) else min(1.0, busy), fraction)
        idle_codes = [STATES.index(state) for state in (State.FAILED, State.CRASHED, State.ABSENT)]
        fraction = np.where(np.isin(story.code[interval], idle_codes), 0.0, fraction)
        steps: NDArray[np.int64] = np.round(fraction * _BAR_STEPS).astype(np.int64)
        return steps

    def tile_text(self, instance: int) -> str:
        """Return a tile as a sentence, for its tooltip and for a screen reader."""
        story = self._story
        if story is None or instance >= story.count:
            return ""
        interval = story.spell(int(self._interval[instance]))
        version = version_text(interval.state, interval.is_new)
        since = (
            "from the beginning"
            if interval.begin_s <= 0
            else f"since {clock_text(interval.begin_s)}"
        )
        words = f"{story.names[instance]}: {interval.state.value} {since}"
        if version != NOTHING:
            words += f", {version} version"
        return f"{words}. {self._bar_text(interval)}".rstrip()

    def _bar_text(self, interval: StateSpan) -> str:
        story = self._story
        assert story is not None
        if interval.state is State.SERVING:
            busy = story.busy_fraction(self._time_s)
            if np.isnan(busy):
                return ""
            return (
                f"Bar: {percent_text(busy)} of slots busy, the mean of all instances that are up."
            )
        if interval.state in (State.FAILED, State.CRASHED, State.ABSENT):
            return ""
        return f"Bar: progress of the step, which ends at {clock_text(interval.end_s)}."

    # Geometry

    def set_budget(self, height_px: int) -> None:
        """Set the maximum height of the tiles; the tiles take what they need of it."""
        if height_px != self._budget_px:
            self._budget_px = height_px
            self._lay_out()

    def resizeEvent(self, _event: object) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        story = self._story
        self._rects, self._headings = [], []
        if story is None or story.count == 0:
            self.setFixedHeight(1)
            return
        counts = [group.count for group in story.groups]
        self._grid = fit_tiles(counts, self.width(), self._budget_px)
        for group, (top, rects) in zip(story.groups, self._grid.places(counts), strict=True):
            if len(counts) > 1:
                self._headings.append((QRect(0, top, self.width(), HEADING_PX), group.service))
            self._rects += rects
        self.setFixedHeight(max(1, self._grid.height_px(counts) + 1))
        self._tile_codes = np.zeros(0, dtype=np.int64)
        self.show_time(self._time_s)
        self.update()

    def rect_of(self, instance: int) -> QRect:
        """Return the rectangle of an instance's tile."""
        return self._rects[instance]

    def instance_at(self, point: QPoint) -> int | None:
        """Return the instance whose tile is at a point; None where there is none."""
        return next((k for k, rect in enumerate(self._rects) if rect.contains(point)), None)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._is_faded:
            painter.setOpacity(0.4)
        story, region = self._story, event.region()
        if story is None:
            return
        painter.setFont(font_of(SMALL_PX))
        painter.setPen(QColor(self._theme.soft))
        for rect, words in self._headings:
            if region.intersects(rect):
                painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter, words)
        is_mosaic = self._grid.is_mosaic
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, not is_mosaic)
        fonts = font_of(SMALL_PX, bold=True), font_of(SMALL_PX - 0.5)
        is_whole = region.boundingRect().contains(self.rect())
        for instance, rect in enumerate(self._rects):
            if not is_whole and not region.intersects(rect):
                continue
            self._paint_tile(painter, story, instance, rect, fonts)
        for marked, colour in (
            (self._pinned, self._theme.text),
            (self._focus_ring(), self._theme.accent),
        ):
            if marked is not None and marked < len(self._rects):
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(colour), 2))
                painter.drawRoundedRect(self._rects[marked].adjusted(0, 0, -1, -1), 5, 5)

    def _focus_ring(self) -> int | None:
        return self._focused if self.hasFocus() else None

    def _paint_tile(
        self,
        painter: QPainter,
        story: Story,
        instance: int,
        rect: QRect,
        fonts: tuple[QFont, QFont],
    ) -> None:
        code, bar = divmod(int(self._tile_codes[instance]), _BAR_STEPS + 1)
        state, is_new = STATES[code // 2], bool(code % 2)
        look = look_of(state, is_new)
        ground, ink = readable(getattr(self._theme, look.token))
        if self._grid.is_mosaic:
            colour = self._theme.line if state is State.ABSENT else ground
            painter.fillRect(rect, QColor(colour))
            painter.setPen(QColor(self._theme.soft if state is State.ABSENT else ink))
            if self._grid.has_glyphs:
                painter.setFont(fonts[1])
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, look.glyph)
            elif state in (State.FAILED, State.CRASHED) and rect.width() >= 6:
                painter.drawLine(rect.topLeft() + QPoint(1, 1), rect.bottomRight() - QPoint(1, 1))
            return
        is_absent = state is State.ABSENT
        painter.setPen(
            QPen(QColor(self._theme.line), 1, Qt.PenStyle.DashLine)
            if is_absent
            else Qt.PenStyle.NoPen
        )
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        ink_colour = QColor(self._theme.soft if is_absent else ink)
        self._paint_words(painter, (story, instance, look), rect, ink_colour, fonts)
        if not is_absent and self._grid.has_words:
            track = QRectF(rect.left() + 7, rect.bottom() - 6, rect.width() - 14, 3)
            painter.setPen(Qt.PenStyle.NoPen)
            for width, strength in ((track.width(), 70), (track.width() * bar / _BAR_STEPS, 255)):
                ink_colour.setAlpha(strength)
                painter.setBrush(ink_colour)
                painter.drawRoundedRect(QRectF(track.topLeft(), track.size()).adjusted(
                    0, 0, width - track.width(), 0), 1.5, 1.5)  # fmt: skip

    def _paint_words(
        self,
        painter: QPainter,
        shown: tuple[Story, int, Look],
        rect: QRect,
        ink: QColor,
        fonts: tuple[QFont, QFont],
    ) -> None:
        story, instance, look = shown
        bold, small = fonts
        painter.setPen(ink)
        has_words = self._grid.has_words
        upper = rect.adjusted(6, 4, -5, 0) if has_words else rect.adjusted(4, 0, -3, 0)
        if has_words:
            upper.setHeight(14)
        centre, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        painter.setFont(bold)
        room = upper.width() - QFontMetrics(bold).horizontalAdvance(look.glyph) - 2
        number = story.short_name(instance)
        elided = QFontMetrics(bold).elidedText(number, Qt.TextElideMode.ElideLeft, room)
        painter.drawText(upper, centre, elided)
        painter.drawText(upper, centre | right, look.glyph)
        if has_words:
            painter.setFont(small)
            lower = QRect(upper.left(), upper.bottom() + 1, upper.width(), 13)
            painter.drawText(lower, centre, look.word)

    # Actions of the user

    def event(self, event: QEvent) -> bool:
        if claim_keys(event, _KEYS):
            return True
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            instance = self.instance_at(event.pos())
            if instance is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.tile_text(instance), self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        instance = self.instance_at(event.position().toPoint())
        if instance is not None and event.button() == Qt.MouseButton.LeftButton:
            self._focus(instance)
            self.picked.emit(instance)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._rects:
            self.picked.emit(self._focused)
        elif key in _KEYS and self._rects:
            self._focus(self._target_of_key(_KEYS[key]))
        else:
            super().keyPressEvent(event)

    def _target_of_key(self, way: str) -> int:
        """Return the tile that a key leads to: up and down lead to the nearest tile of another row."""
        current, last = self._focused, len(self._rects) - 1
        if way in ("first", "last"):
            return 0 if way == "first" else last
        if way in ("left", "right"):
            return min(last, max(0, current + (1 if way == "right" else -1)))
        own = self._rects[current]
        candidates = [
            (abs(rect.top() - own.top()), abs(rect.left() - own.left()), k)
            for k, rect in enumerate(self._rects)
            if (rect.top() > own.top() if way == "down" else rect.top() < own.top())
        ]
        return min(candidates)[2] if candidates else current

    def _focus(self, instance: int) -> None:
        for changed in (self._focused, instance):
            if changed < len(self._rects):
                self.update(self._rects[changed].adjusted(-2, -2, 2, 2))
        self._focused = instance
        self.setAccessibleDescription(self.tile_text(instance))

    def focusInEvent(self, event: object) -> None:
        self.setAccessibleDescription(self.tile_text(self._focused))
        self.update()

    def focusOutEvent(self, event: object) -> None:
        self.update()
